//! Deep plans in messages that can be read.
//!
//! A message is read to a depth of a hundred, and each step of a plan is two messages, one in the other: forty
//! common table expressions, or as many joins, were too many. So the part of a plan that is below a number of
//! steps is one opaque value of the message, and is read as a separate message.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;

use crate::marked::{Mark, MarkedExec};
use crate::nodes::with_inputs;

/// The first bytes of a message that holds a plan as it is.
pub(crate) const MAGIC: &[u8; 5] = b"EMPF\x01";
/// Steps of a plan in one message; half of the depth is left for the expressions in them.
const MAX_STEPS: usize = 18;

/// A part of a logical plan, opaque until it is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FoldedPlan {
    plan: LogicalPlan,
}

impl FoldedPlan {
    /// Hides `plan`.
    pub(crate) fn new(plan: LogicalPlan) -> Self {
        Self { plan }
    }

    /// What is hidden.
    pub(crate) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }
}

impl PartialOrd for FoldedPlan {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.plan.partial_cmp(&other.plan)
    }
}

impl UserDefinedLogicalNodeCore for FoldedPlan {
    fn name(&self) -> &'static str {
        "Folded"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        self.plan.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Folded")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.is_empty() {
            true => Ok(self.clone()),
            false => internal_err!("Folded has no input"),
        }
    }
}

/// The plan with parts that are too deep folded.
///
/// # Errors
/// When a node cannot be rebuilt.
pub fn fold(plan: LogicalPlan) -> Result<LogicalPlan> {
    match steps(&plan) > MAX_STEPS {
        true => Ok(folded(plan)?.0),
        false => Ok(plan),
    }
}

/// The folded plan and the steps of its message.
fn folded(plan: LogicalPlan) -> Result<(LogicalPlan, usize)> {
    // A recursive query looks for its work table below.
    let is_recursive = matches!(plan, LogicalPlan::RecursiveQuery(_));
    let mut steps = 0;
    let plan = plan.map_children(|input| {
        let (input, of_input) = folded(input)?;
        let (input, of_input) = match of_input >= MAX_STEPS && !is_recursive {
            true => {
                let node = Arc::new(FoldedPlan::new(input));
                (LogicalPlan::Extension(Extension { node }), 1)
            }
            false => (input, of_input),
        };
        steps = steps.max(of_input);
        Ok(Transformed::yes(input))
    })?;
    Ok((plan.data, steps + 1))
}

/// The plan with all its parts.
///
/// # Errors
/// When a node cannot be rebuilt.
pub fn unfold(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_down_with_subqueries(|plan| {
        let mut plan = Transformed::no(plan);
        while let LogicalPlan::Extension(extension) = &plan.data
            && let Some(folded) = extension.node.as_any().downcast_ref::<FoldedPlan>()
        {
            plan = Transformed::yes(folded.plan().clone());
        }
        Ok(plan)
    })
    .data()
}

/// How deep a logical plan is.
pub fn steps(plan: &LogicalPlan) -> usize {
    let below = plan.inputs().into_iter().map(steps);
    1 + below.max().unwrap_or_default()
}

/// The physical plan with marks at which a new message begins.
///
/// # Errors
/// When a node cannot be rebuilt.
pub fn fold_physical(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    Ok(folded_physical(plan)?.0)
}

fn folded_physical(plan: Arc<dyn ExecutionPlan>) -> Result<(Arc<dyn ExecutionPlan>, usize)> {
    let children: Vec<_> = plan.children().into_iter().map(Arc::clone).collect();
    // Where a stage ends, Ballista looks at what is below.
    let ends_stage = plan.is::<CoalescePartitionsExec>()
        || plan.is::<SortPreservingMergeExec>()
        || plan.is::<RepartitionExec>()
        || plan.is::<UnionExec>();
    let mut steps = 0;
    let mut inputs = Vec::new();
    for child in &children {
        let (input, of_input) = folded_physical(Arc::clone(child))?;
        let is_end = input.is::<CoalescePartitionsExec>();
        let (input, of_input): (Arc<dyn ExecutionPlan>, _) =
            match of_input >= MAX_STEPS && !ends_stage && !is_end {
                true => (Arc::new(MarkedExec::new(input, Mark::Folded)), 1),
                false => (input, of_input),
            };
        steps = steps.max(of_input);
        inputs.push(input);
    }
    Ok((with_inputs(plan, inputs)?, steps + 1))
}
