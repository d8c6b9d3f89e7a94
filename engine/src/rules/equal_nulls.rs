//! A join for which NULL equals NULL keeps its keys to itself.
//!
//! Whether NULL equals NULL is said once for all keys of a join, and two rules of DataFusion that move
//! keys do not look at it. One makes keys of equalities in a join's condition: `a.y = b.y`, moved to a
//! join `ON a.x IS NOT DISTINCT FROM b.x`, would match NULL with NULL. The other orders inner joins
//! anew, and gives all of them what one of them had.

use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::logical_expr::{Join, LogicalPlan};
use datafusion::optimizer::OptimizerConfig;

use super::bounds::{Rule, with_bounds};

/// The rule of DataFusion that makes keys of equalities.
const EXTRACTS_KEYS: &str = "extract_equijoin_predicate";
/// The rule of DataFusion that orders inner joins.
const ORDERS_JOINS: &str = "eliminate_cross_join";

/// The rule, kept away from joins for which NULL equals NULL if it moves keys.
pub(super) fn bounded(rule: Rule) -> Rule {
    match rule.name() {
        EXTRACTS_KEYS => with_bounds(rule, with_keys_extracted),
        ORDERS_JOINS => with_bounds(rule, with_joins_ordered),
        _ => rule,
    }
}

/// Makes keys of equalities, but not for joins for which NULL equals NULL.
fn with_keys_extracted(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    match &plan {
        LogicalPlan::Join(join) if join.null_equality == NullEquality::NullEqualsNull => {
            Ok(Transformed::no(plan))
        }
        _ => rule.rewrite(plan, config),
    }
}

/// Orders inner joins, but not those for which NULL equals NULL.
fn with_joins_ordered(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    // The rule takes inner joins only, and looks at the inputs of others one by one.
    let hidden = plan.transform_up_with_subqueries(|plan| {
        Ok(match plan {
            LogicalPlan::Join(join) if is_kept_apart(&join) => {
                Transformed::yes(LogicalPlan::Join(Join {
                    join_type: JoinType::Full,
                    null_aware: true,
                    ..join
                }))
            }
            other => Transformed::no(other),
        })
    })?;
    if !hidden.transformed {
        return rule.rewrite(hidden.data, config);
    }
    let ordered = rule.rewrite(hidden.data, config)?;
    let is_changed = ordered.transformed;
    let shown = ordered.data.transform_up_with_subqueries(|plan| {
        Ok(match plan {
            LogicalPlan::Join(join) if is_hidden(&join) => {
                let join = LogicalPlan::Join(Join {
                    join_type: JoinType::Inner,
                    null_aware: false,
                    ..join
                });
                Transformed::yes(join.recompute_schema()?)
            }
            other => Transformed::no(other),
        })
    });
    let plan = shown.data()?;
    Ok(if is_changed {
        Transformed::yes(plan)
    } else {
        Transformed::no(plan)
    })
}

fn is_kept_apart(join: &Join) -> bool {
    join.join_type == JoinType::Inner
        && join.null_equality == NullEquality::NullEqualsNull
        && !join.on.is_empty()
}

/// Of a full join nothing says otherwise that it minds NULL.
fn is_hidden(join: &Join) -> bool {
    join.join_type == JoinType::Full && join.null_aware
}
