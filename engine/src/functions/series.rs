//! `generate_series` and `range` after FROM: the elements of the list that the function of the same name
//! makes, as rows. DataFusion's own tables of that name cannot be sent to a scheduler.

use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{LogicalPlanBuilder, ScalarUDF};

/// The only column.
const VALUE: &str = "value";

/// Registers both.
///
/// # Errors
/// When the functions that make the lists are missing.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    for name in ["generate_series", "range"] {
        let list = state.udf(name)?;
        state.register_udtf(name, Arc::new(Elements { list }));
    }
    Ok(())
}

/// A table of the elements of the list that a function returns.
#[derive(Debug)]
struct Elements {
    list: Arc<ScalarUDF>,
}

impl TableFunctionImpl for Elements {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let list = self.list.call(args.exprs().to_vec());
        let plan = LogicalPlanBuilder::empty(true)
            .project([list.alias(VALUE)])?
            .unnest_column(VALUE)?
            .build()?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}
