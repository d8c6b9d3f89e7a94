//! `LIMIT (SELECT …)` and `OFFSET (SELECT …)`: rows are numbered and compared with the value, because the
//! planner takes numbers only.
//!
//! The same is done to numbers of more than 32 bits, of which plans keep the rest only on the wire, and no limit
//! becomes one of 63 bits there.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, Limit, LogicalPlan, LogicalPlanBuilder, Projection, Sort, SortExpr,
    SubqueryAlias, lit,
};
use datafusion::optimizer::analyzer::AnalyzerRule;

use super::subqueries::{fresh, has_subquery};
use crate::functions::{row_count, row_number};
use crate::wire::MOST_ROWS;

/// Turns limits that are subqueries into conditions.
#[derive(Debug)]
pub(super) struct LimitByNumber;

impl AnalyzerRule for LimitByNumber {
    fn name(&self) -> &'static str {
        "limit_by_number"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Limit(mut limit) => {
                let is_endless = is_endless(&limit);
                if is_endless {
                    limit.fetch = None;
                }
                match is_computed(&limit) || is_long(&limit) {
                    true => limited(limit).map(Transformed::yes),
                    false => Ok(Transformed::new_transformed(
                        LogicalPlan::Limit(limit),
                        is_endless,
                    )),
                }
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

fn is_computed(limit: &Limit) -> bool {
    let mut numbers = [&limit.skip, &limit.fetch].into_iter().flatten();
    numbers.any(|number| has_subquery(number))
}

/// More rows than there are.
const ENDLESS: i64 = 1 << 48;

fn number(expr: Option<&Expr>) -> Option<i64> {
    match expr {
        Some(Expr::Literal(ScalarValue::Int64(number), _)) => *number,
        _ => None,
    }
}

fn is_endless(limit: &Limit) -> bool {
    number(limit.fetch.as_deref()).is_some_and(|fetch| fetch >= ENDLESS)
}

/// Whether a scan would be asked for more rows than its limit can say on the wire.
fn is_long(limit: &Limit) -> bool {
    let numbers = [&limit.skip, &limit.fetch].map(|expr| number(expr.as_deref()).unwrap_or(0));
    numbers.into_iter().fold(0, i64::saturating_add) > i64::from(MOST_ROWS)
}

fn limited(limit: Limit) -> Result<LogicalPlan> {
    let within = |input: &Arc<LogicalPlan>| {
        let input = Arc::clone(input);
        let limit = Limit {
            input,
            ..limit.clone()
        };
        limited(limit).map(Arc::new)
    };
    match limit.input.as_ref() {
        // The order is below what makes columns of each row.
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let plan = Projection::try_new(expr.clone(), within(input)?)?;
            Ok(LogicalPlan::Projection(plan))
        }
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            let plan = SubqueryAlias::try_new(within(input)?, alias.clone())?;
            Ok(LogicalPlan::SubqueryAlias(plan))
        }
        LogicalPlan::Sort(Sort {
            expr,
            input,
            fetch: None,
        }) => first_rows(input, expr, &limit),
        _ => first_rows(&limit.input, &[], &limit),
    }
}

fn first_rows(input: &Arc<LogicalPlan>, order: &[SortExpr], limit: &Limit) -> Result<LogicalPlan> {
    let columns = input.schema().columns().into_iter().map(Expr::Column);
    let columns: Vec<Expr> = columns.collect();
    let name = fresh("number");
    let mut numbered = row_number().partition_by(Vec::new());
    if !order.is_empty() {
        numbered = numbered.order_by(order.to_vec());
    }
    let number = Expr::Column(Column::from_name(&name));
    let counted = |value: &Option<Box<Expr>>, default: i64| match value {
        // NULL is no limit.
        Some(value) => coalesce(vec![
            row_count().call(vec![value.as_ref().clone()]),
            lit(default),
        ]),
        None => lit(default),
    };
    let after = number.clone() - counted(&limit.skip, 0);
    let wanted = after
        .clone()
        .gt(lit(0_i64))
        .and(after.lt_eq(counted(&limit.fetch, i64::MAX)));
    LogicalPlanBuilder::from(Arc::clone(input))
        .window([numbered.build()?.alias(&name)])?
        .filter(wanted)?
        .sort([number.sort(true, false)])?
        .project(columns)?
        .build()
}
