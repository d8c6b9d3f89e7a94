//! `row_number`, `rank`, `dense_rank` and `ntile` as BIGINT, as in Spark, PostgreSQL and DuckDB.
//!
//! DataFusion's are unsigned: a rank less a later one overflows, and `(row_number() - 1) / 3` has digits behind the point.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::{CastOptions, SortOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::functions_window::rank::{dense_rank_udwf, rank_udwf};
use datafusion::functions_window::{ntile::ntile_udwf, row_number::row_number_udwf};
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs,
};
use datafusion::logical_expr::{
    Documentation, Expr, LimitEffect, PartitionEvaluator, ReversedUDWF, Signature, WindowUDF,
    WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;

/// Puts ours in the place of DataFusion's.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    let functions = [
        row_number_udwf(),
        rank_udwf(),
        dense_rank_udwf(),
        ntile_udwf(),
    ];
    for inner in functions {
        state.register_udwf(Arc::new(Rank { inner }.into()))?;
    }
    Ok(())
}

/// `row_number()`: the BIGINT number of a row of its window, from 1.
pub fn row_number() -> Expr {
    let inner = row_number_udwf();
    WindowUDF::from(Rank { inner }).call(Vec::new())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Rank {
    inner: Arc<WindowUDF>,
}

impl WindowUDFImpl for Rank {
    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let inner = self.inner.partition_evaluator_factory(args)?;
        Ok(Box::new(Signed(inner)))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let field = self.inner.field(args)?.as_ref().clone();
        Ok(Arc::new(field.with_data_type(DataType::Int64)))
    }

    // The rest is DataFusion's.

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn expressions(&self, args: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        self.inner.expressions(args)
    }

    fn sort_options(&self) -> Option<SortOptions> {
        self.inner.sort_options()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        self.inner.reverse_expr()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn limit_effect(&self, args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        self.inner.inner().limit_effect(args)
    }
}

/// An evaluator whose unsigned numbers become signed ones.
#[derive(Debug)]
struct Signed(Box<dyn PartitionEvaluator>);

fn signed(numbers: &ArrayRef) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: false,
        ..Default::default()
    };
    Ok(cast_with_options(numbers, &DataType::Int64, &options)?)
}

impl PartitionEvaluator for Signed {
    fn evaluate_all(&mut self, values: &[ArrayRef], n_rows: usize) -> Result<ArrayRef> {
        signed(&self.0.evaluate_all(values, n_rows)?)
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        self.0.evaluate(values, range)?.cast_to(&DataType::Int64)
    }

    fn evaluate_all_with_rank(&self, n_rows: usize, ranks: &[Range<usize>]) -> Result<ArrayRef> {
        signed(&self.0.evaluate_all_with_rank(n_rows, ranks)?)
    }

    fn get_range(&self, row: usize, n_rows: usize) -> Result<Range<usize>> {
        self.0.get_range(row, n_rows)
    }

    fn is_causal(&self) -> bool {
        self.0.is_causal()
    }

    fn supports_bounded_execution(&self) -> bool {
        self.0.supports_bounded_execution()
    }

    fn uses_window_frame(&self) -> bool {
        self.0.uses_window_frame()
    }

    fn include_rank(&self) -> bool {
        self.0.include_rank()
    }
}

#[cfg(test)]
mod tests {
    use crate::plain::shown;

    /// Once this fails, the functions may go.
    #[tokio::test]
    async fn datafusion_counts_without_a_sign() {
        let query = "SELECT r - lead(r) OVER (ORDER BY r) FROM \
                     (SELECT row_number() OVER (ORDER BY x) AS r FROM (VALUES (1), (2)) AS v(x))";
        let rows = shown(query).await.unwrap();
        assert_eq!(rows, "18446744073709551615, NULL", "right is -1, NULL");
    }
}
