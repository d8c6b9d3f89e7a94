//! Window functions that keep their options on the wire.
//!
//! A physical plan of DataFusion 55 forgets on the wire that `lag`, `lead`, `first_value`, `last_value` or
//! `nth_value` leaves NULLs out, and that the planner has turned it around to spare a sort; the tasks then
//! compute another function. Here the option is a part of the function, and none is turned around.
//!
//! A function that looks for values other than NULL in later rows, `lead(x, 2) IGNORE NULLS`, loses count of them
//! where rows are yielded while they are read. It reads each partition whole.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::functions_window::all_default_window_functions;
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs,
};
use datafusion::logical_expr::{
    Documentation, PartitionEvaluator, ReversedUDWF, Signature, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;

/// What a window function does with NULLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Nulls {
    /// They are values.
    Respect,
    /// They are left out.
    Ignore,
}

/// A window function of DataFusion with its option.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct WireWindow {
    inner: Arc<WindowUDF>,
    nulls: Nulls,
}

impl WireWindow {
    /// `function` in a form that the wire keeps; `None` where it needs none.
    pub fn over(function: &Arc<WindowUDF>, nulls: Nulls) -> Option<WindowUDF> {
        let has_options = matches!(
            function.name(),
            "lag" | "lead" | "first_value" | "last_value" | "nth_value"
        );
        if !has_options || function.inner().is::<Self>() {
            return None;
        }
        let inner = Arc::clone(function);
        Some(WindowUDF::from(Self { inner, nulls }))
    }

    /// The option of `function`, if it is one of these.
    pub fn option_of(function: &WindowUDF) -> Option<Nulls> {
        Some(function.inner().downcast_ref::<Self>()?.nulls)
    }

    /// The function of that name and option.
    ///
    /// # Errors
    /// Where DataFusion has none of that name.
    pub fn decode(name: &str, nulls: Nulls) -> Result<WindowUDF> {
        let inner = all_default_window_functions();
        let Some(inner) = inner.into_iter().find(|f| f.name() == name) else {
            return plan_err!("there is no window function `{name}`");
        };
        Ok(WindowUDF::from(Self { inner, nulls }))
    }
}

impl WindowUDFImpl for WireWindow {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn expressions(&self, arguments: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        self.inner.expressions(arguments)
    }

    fn partition_evaluator(
        &self,
        arguments: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let arguments = PartitionEvaluatorArgs::new(
            arguments.input_exprs(),
            arguments.input_fields(),
            arguments.is_reversed(),
            self.nulls == Nulls::Ignore,
        );
        let inner = self.inner.partition_evaluator_factory(arguments)?;
        let is_shift = matches!(self.name(), "lag" | "lead");
        if is_shift && self.nulls == Nulls::Ignore && !inner.is_causal() {
            return Ok(Box::new(Whole(inner)));
        }
        Ok(inner)
    }

    fn field(&self, arguments: WindowUDFFieldArgs) -> Result<FieldRef> {
        self.inner.field(arguments)
    }

    fn sort_options(&self) -> Option<SortOptions> {
        self.inner.sort_options()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        ReversedUDWF::NotSupported
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// A function of rows that are all read before it is computed.
#[derive(Debug)]
struct Whole(Box<dyn PartitionEvaluator>);

impl PartitionEvaluator for Whole {
    fn evaluate_all(&mut self, values: &[ArrayRef], n_rows: usize) -> Result<ArrayRef> {
        self.0.evaluate_all(values, n_rows)
    }

    fn supports_bounded_execution(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{Column, lit};

    use super::*;

    #[test]
    fn only_what_looks_ahead_for_values_reads_whole_partitions() -> Result<()> {
        for (name, offset, nulls, is_whole) in [
            ("lead", 1, Nulls::Ignore, true),
            ("lead", 2, Nulls::Ignore, true),
            ("lead", -2, Nulls::Ignore, false),
            ("lag", 2, Nulls::Ignore, false),
            ("lag", -2, Nulls::Ignore, true),
            ("lead", 2, Nulls::Respect, false),
        ] {
            let function = WireWindow::decode(name, nulls)?;
            let exprs: [Arc<dyn PhysicalExpr>; 2] =
                [Arc::new(Column::new("x", 0)), lit(i64::from(offset))];
            let fields = [
                Arc::new(Field::new("x", DataType::Utf8, true)),
                Arc::new(Field::new("n", DataType::Int64, false)),
            ];
            let arguments = PartitionEvaluatorArgs::new(&exprs, &fields, false, false);
            let evaluator = function.partition_evaluator_factory(arguments)?;
            let is_streamed = evaluator.supports_bounded_execution();
            assert_eq!(is_streamed, !is_whole, "{name} {offset} {nulls:?}");
        }
        Ok(())
    }
}
