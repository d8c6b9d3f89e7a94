//! What is done to physical plans so that their tasks, each in a process of its own, make the same rows as
//! one process does.

mod alike;
mod apart;
mod by_node;
mod embedded;
mod exchanged;
mod guarded;
mod hash_joins;
mod kept_limits;
mod keys;
mod large_limits;
mod leaves;
mod limits;
mod memory;
mod offsets;
mod one_task;
mod orders;
mod recursion;
mod related_keys;
mod sliding;
mod unions;
mod unsorted_joins;
#[cfg(test)]
mod upstream;
mod whole_frames;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use emporia_connectors::estimated::EstimatedExec;
use emporia_connectors::folded::fold_physical;
use emporia_connectors::marked::MarkedExec;
use emporia_connectors::sealed::seal_recursion;

pub use hash_joins::partitioned_hash_join;
pub(crate) use recursion::with_whole_work_tables;
pub use whole_frames::with_whole_frames;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The rule of DataFusion after which joins are chosen and before which inputs are exchanged.
const JOINS: &str = "join_selection";
/// The rule of DataFusion that adds exchanges and sorts, and takes away what it takes for superfluous.
const REQUIREMENTS: &str = "EnsureRequirements";
/// The rule of DataFusion that moves projections down.
const PROJECTIONS: &str = "ProjectionPushdown";

/// DataFusion's optimizer rules with ours among them.
pub(crate) fn optimizer_rules() -> Vec<Rule> {
    let rules = PhysicalOptimizer::new().rules.into_iter();
    let mut rules: Vec<Rule> = rules.map(alike::ByPlace::of).collect();
    let joins: Vec<Rule> = vec![
        Arc::new(hash_joins::SmallHashJoins),
        by_node::rule("one_task", one_task::with_needed_rows),
        by_node::rule("true_keys", keys::without_wrong_keys),
        by_node::rule("sliding", sliding::unordered),
        by_node::rule("unsorted_joins", unsorted_joins::unordered),
        by_node::rule("related_keys", related_keys::sorted),
        by_node::rule("exchanged", exchanged::from_the_start),
        by_node::rule("kept_limits", kept_limits::above_sorts),
    ];
    insert_after(&mut rules, JOINS, joins);
    let placed: Vec<Rule> = vec![
        Arc::new(orders::TrueOrders),
        by_node::rule("shown_sizes", exchanged::with_sizes),
    ];
    insert_after(&mut rules, REQUIREMENTS, placed);
    rules = rules.into_iter().flat_map(after_embedded).collect();
    rules.push(by_node::rule("true_keys", keys::without_wrong_keys));
    let first = [
        by_node::rule("offsets", offsets::as_steps),
        by_node::rule("keep_apart", apart::kept_apart),
        by_node::rule("keep_above_filters", guarded::kept_above_filters),
    ];
    rules.splice(0..0, first);
    rules
}

/// The rule, after filters have been made ready for it.
fn after_embedded(rule: Rule) -> Vec<Rule> {
    match rule.name() == PROJECTIONS {
        true => vec![by_node::rule("whole_filters", embedded::apart), rule],
        false => vec![rule],
    }
}

fn insert_after(rules: &mut Vec<Rule>, name: &str, ours: Vec<Rule>) {
    let at = rules.iter().position(|rule| rule.name() == name);
    let at = at.map_or(rules.len(), |at| at + 1);
    rules.splice(at..at, ours);
}

/// Whether a node yields its input as it is, and only says something about it.
pub fn is_estimate_or_mark(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<EstimatedExec>() || node.is::<MarkedExec>()
}

/// The functions of a window; `None` for another node.
fn window_exprs(node: &Arc<dyn ExecutionPlan>) -> Option<&[Arc<dyn WindowExpr>]> {
    match node.downcast_ref::<BoundedWindowAggExec>() {
        Some(window) => Some(window.window_expr()),
        None => Some(node.downcast_ref::<WindowAggExec>()?.window_expr()),
    }
}

/// The plan in a form that can be cut into stages.
pub(crate) fn cuttable(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = with_whole_frames(seal_recursion(plan)?)?;
    let plan = memory::with_limits_above(plan)?;
    let plan = limits::with_stages_for_limits(large_limits::as_nodes(plan)?)?;
    let plan = unions::with_sorts_above(leaves::with_leaves_of_unions(plan)?)?;
    fold_physical(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_ours_follow_exist() {
        let rules = optimizer_rules();
        let at = |name: &str| rules.iter().position(|rule| rule.name() == name);
        assert_eq!(at("small_hash_joins"), at(JOINS).map(|at| at + 1));
        assert_eq!(at("true_orders"), at(REQUIREMENTS).map(|at| at + 1));
        assert_eq!(at("whole_filters").map(|at| at + 1), at(PROJECTIONS));
    }
}
