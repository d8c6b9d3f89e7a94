//! `generate_series` and `range` after FROM: the elements of the list that the function of the same name
//! makes, as rows. DataFusion's own tables of that name cannot be sent to a scheduler. Of whole numbers, only
//! the ends are sent.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ScalarUDF};
use emporia_connectors::series::{End, Series, SeriesTable};

/// The only column.
const VALUE: &str = "value";

/// Registers both.
///
/// # Errors
/// When the functions that make the lists are missing.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    for name in ["generate_series", "range"] {
        let list = state.udf(name)?;
        let end = match name {
            "range" => End::Excluded,
            _ => End::Included,
        };
        state.register_udtf(name, Arc::new(Elements { list, end }));
    }
    Ok(())
}

/// A table of the elements of the list that a function returns.
#[derive(Debug)]
struct Elements {
    list: Arc<ScalarUDF>,
    end: End,
}

impl TableFunctionImpl for Elements {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        if let Some(series) = series(args.exprs(), self.end) {
            return Ok(Arc::new(SeriesTable::new(series)));
        }
        let list = self.list.call(args.exprs().to_vec());
        let plan = LogicalPlanBuilder::empty(true)
            .project([list.alias(VALUE)])?
            .unnest_column(VALUE)?
            .build()?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}

/// The series of arguments that are whole numbers.
fn series(arguments: &[Expr], end: End) -> Option<Series> {
    let numbers: Option<Vec<i64>> = arguments.iter().map(number).collect();
    match numbers?[..] {
        [last] => Some(Series::new(0, last, 1, end)),
        [first, last] => Some(Series::new(first, last, 1, end)),
        [first, last, step] if step != 0 => Some(Series::new(first, last, step, end)),
        _ => None,
    }
}

fn number(argument: &Expr) -> Option<i64> {
    match argument {
        Expr::Literal(value, _) if value.data_type().is_integer() => {
            match value.cast_to(&DataType::Int64).ok()? {
                ScalarValue::Int64(number) => number,
                _ => None,
            }
        }
        Expr::Negative(value) => number(value)?.checked_neg(),
        _ => None,
    }
}
