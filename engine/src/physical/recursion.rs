//! The tables between the rounds of a recursive query, in a form that the wire keeps.

use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableScan, TableScanBuilder,
};

/// The plan with the rows of the round before read whole and projected above. The node that reads some of
/// their columns does not tell which, so it could not be sent.
pub(crate) fn with_whole_work_tables(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::TableScan(scan) if scan.projection.is_some() && is_work_table(&scan) => {
            let columns = scan.projected_schema.columns();
            let whole = TableScanBuilder::new(scan.table_name, scan.source)
                .with_filters(scan.filters)
                .with_fetch(scan.fetch)
                .build()?;
            LogicalPlanBuilder::from(LogicalPlan::TableScan(whole))
                .project(columns.into_iter().map(Expr::Column))?
                .build()
                .map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

fn is_work_table(scan: &TableScan) -> bool {
    source_as_provider(&scan.source).is_ok_and(|provider| provider.is::<CteWorkTable>())
}
