//! A plan that runs as a whole in one task.
//!
//! The terms of `WITH RECURSIVE` hand rows to each other through memory, round after round, so no stage can
//! be cut between them. This node hides them: to a planner of stages it is a leaf of one partition. On the
//! wire it is a recipe that holds the terms.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::physical_plan::PhysicalExtensionCodec;

use crate::nodes::{only_input, usual_methods, with_inputs};

/// How often the second term of `WITH RECURSIVE` runs at most.
pub const MAX_ROUNDS: usize = 100_000;

/// Runs a plan in one task.
#[derive(Debug)]
pub struct SealedExec {
    plan: Arc<dyn ExecutionPlan>,
}

impl SealedExec {
    /// The node of a recipe.
    ///
    /// # Errors
    /// When a part of it is unknown here.
    pub fn decode(
        recipe: &[u8],
        context: &TaskContext,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<Self> {
        let plan = physical_plan_from_bytes_with_extension_codec(recipe, context, codec)?;
        Ok(Self { plan })
    }

    /// The recipe of the hidden plan.
    ///
    /// # Errors
    /// When a node of it has no form on the wire.
    pub fn encode(&self, codec: &dyn PhysicalExtensionCodec) -> Result<Vec<u8>> {
        let plan = Arc::clone(&self.plan);
        let bytes = physical_plan_to_bytes_with_extension_codec(plan, codec)?;
        Ok(bytes.to_vec())
    }
}

/// The plan with its recursive queries hidden and their rounds counted.
///
/// # Errors
/// When a node cannot be rebuilt.
pub fn seal_recursion(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let counted = plan.transform_up(|node| {
        let Some(query) = node.downcast_ref::<RecursiveQueryExec>() else {
            return Ok(Transformed::no(node));
        };
        let next = query.recursive_term();
        if next.is::<RoundsExec>() {
            return Ok(Transformed::no(node));
        }
        let next = Arc::new(RoundsExec::new(Arc::clone(next)));
        let first = Arc::clone(query.static_term());
        with_inputs(node, vec![first, next]).map(Transformed::yes)
    });
    counted?
        .data
        .transform_down(|node| match node.is::<RecursiveQueryExec>() {
            true => {
                let sealed = Arc::new(SealedExec { plan: node });
                Ok(Transformed::new(sealed, true, TreeNodeRecursion::Jump))
            }
            false => Ok(Transformed::no(node)),
        })
        .data()
}

impl DisplayAs for SealedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedExec: a recursive query in one task")
    }
}

impl ExecutionPlan for SealedExec {
    usual_methods!();

    fn name(&self) -> &'static str {
        "SealedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.plan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.is_empty() {
            true => Ok(self),
            false => internal_err!("SealedExec has no child"),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.plan.execute(partition, context)
    }
}

/// Counts how often its input runs.
#[derive(Debug)]
pub struct RoundsExec {
    term: Arc<dyn ExecutionPlan>,
    n_rounds: Arc<AtomicUsize>,
}

impl RoundsExec {
    /// Counts the runs of `term`, the second term of a recursive query.
    pub fn new(term: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            term,
            n_rounds: Arc::default(),
        }
    }
}

impl DisplayAs for RoundsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoundsExec: at most {MAX_ROUNDS}")
    }
}

impl ExecutionPlan for RoundsExec {
    usual_methods!();

    fn name(&self) -> &'static str {
        "RoundsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.term.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.term]
    }

    // Each round runs a copy; all of them count together.
    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            term: only_input(self.name(), children)?,
            n_rounds: Arc::clone(&self.n_rounds),
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if self.n_rounds.fetch_add(1, Ordering::Relaxed) >= MAX_ROUNDS {
            return exec_err!(
                "WITH RECURSIVE did not end after {MAX_ROUNDS} rounds; does its condition ever become false?"
            );
        }
        self.term.execute(partition, context)
    }
}
