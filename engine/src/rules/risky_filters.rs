//! Conditions that may fail stay above joins, and behind those that cannot.
//!
//! DataFusion moves a condition of a filter to the side of a join that has its columns. There it meets
//! rows without a partner, of which the query says nothing: `a / b > 1` divides by zero for a row that
//! the join leaves out. Elsewhere a condition meets the same rows below as above.
//!
//! It also computes what is in several conditions of a filter once, below the filter, if the first
//! condition needs it; so the first one must not be one that another one guards.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, JoinType, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan};
use datafusion::optimizer::OptimizerConfig;

use super::COMMON;
use super::bounds::{Rule, with_bounds};
use super::fallible::{Risk, risk};

/// The rule of DataFusion that moves conditions.
const MOVES_CONDITIONS: &str = "push_down_filter";

/// The rule, kept away from conditions that may fail if it moves or shares them.
pub(super) fn bounded(rule: Rule) -> Rule {
    match rule.name() {
        MOVES_CONDITIONS => with_bounds(rule, with_conditions_moved),
        COMMON => with_bounds(rule, with_parts_shared),
        _ => rule,
    }
}

/// Moves conditions, but not below a join where they would fail for rows that it leaves out.
fn with_conditions_moved(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Filter(filter) = plan else {
        return rule.rewrite(plan, config);
    };
    let filter = merged(filter)?;
    let (kept, moved) = match filter.input.as_ref() {
        LogicalPlan::Join(join) => {
            let mut kept = Vec::new();
            let mut moved = Vec::new();
            for part in split_conjunction_owned(filter.predicate.clone()) {
                match stays(&part, join)? {
                    true => kept.push(part),
                    false => moved.push(part),
                }
            }
            (kept, moved)
        }
        _ => return rule.rewrite(LogicalPlan::Filter(filter), config),
    };
    let Some(kept) = conjunction(kept) else {
        return rule.rewrite(LogicalPlan::Filter(filter), config);
    };
    let Some(moved) = conjunction(moved) else {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    };
    let below = LogicalPlan::Filter(Filter::try_new(moved, filter.input)?);
    let below = rule.rewrite(below, config)?;
    below.map_data(|below| {
        let above = Filter::try_new(kept, Arc::new(below))?;
        Ok(LogicalPlan::Filter(above))
    })
}

/// Computes common parts once, with the conditions last that may fail.
fn with_parts_shared(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    // The rule goes down the plan itself.
    let ordered = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(filter) => with_risk_last(filter),
        other => Ok(Transformed::no(other)),
    })?;
    ordered.transform_data(|plan| rule.rewrite(plan, config))
}

/// The filter with the conditions last that may fail.
fn with_risk_last(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let mut safe = Vec::new();
    let mut risky = Vec::new();
    for part in split_conjunction_owned(filter.predicate.clone()) {
        match risk(&part, filter.input.schema())? {
            Risk::Never => safe.push(part),
            Risk::Overflow | Risk::Value => risky.push(part),
        }
    }
    let is_mixed = !safe.is_empty() && !risky.is_empty();
    let ordered = conjunction(safe.into_iter().chain(risky));
    match ordered.filter(|ordered| is_mixed && *ordered != filter.predicate) {
        Some(ordered) => {
            let filter = Filter::try_new(ordered, filter.input)?;
            Ok(Transformed::yes(LogicalPlan::Filter(filter)))
        }
        None => Ok(Transformed::no(LogicalPlan::Filter(filter))),
    }
}

/// The filter with those below, whose conditions come first. The rule would merge them, too, and go on.
fn merged(mut filter: Filter) -> Result<Filter> {
    while let LogicalPlan::Filter(below) = filter.input.as_ref() {
        let predicate = below.predicate.clone().and(filter.predicate);
        filter = Filter::try_new(predicate, Arc::clone(&below.input))?;
    }
    Ok(filter)
}

/// Whether the condition would meet more rows on a side of the join.
fn stays(part: &Expr, join: &Join) -> Result<bool> {
    if risk(part, &join.schema)? < Risk::Value {
        return Ok(false);
    }
    let columns = part.column_refs();
    let is_of = |schema: &DFSchema| columns.iter().all(|c| schema.has_column(c));
    Ok(match join.join_type {
        // All rows of this side are above as well.
        JoinType::Left | JoinType::LeftMark => !is_of(join.left.schema()),
        JoinType::Right | JoinType::RightMark => !is_of(join.right.schema()),
        JoinType::Full => true,
        // What reads both sides is computed for pairs of rows.
        JoinType::Inner => is_of(join.left.schema()) || is_of(join.right.schema()),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::optimizer::Optimizer;

    use super::*;

    #[test]
    fn the_rules_within_bounds_exist() {
        let rules = Optimizer::new().rules;
        for name in [MOVES_CONDITIONS, COMMON] {
            assert!(rules.iter().any(|rule| rule.name() == name), "{name}");
        }
    }
}
