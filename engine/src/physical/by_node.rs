//! Changes of a plan that look at one node at a time.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

use super::Rule;

/// What stands in place of a node; `None` where it stays.
pub(super) type Replacement = Option<Arc<dyn ExecutionPlan>>;

/// The plan with its nodes replaced as `replacement` says, inputs first.
pub(super) fn replaced(
    plan: Arc<dyn ExecutionPlan>,
    mut replacement: impl FnMut(&Arc<dyn ExecutionPlan>) -> Result<Replacement>,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        Ok(match replacement(&node)? {
            Some(other) => Transformed::yes(other),
            None => Transformed::no(node),
        })
    })
    .data()
}

/// The rule of that name that replaces nodes.
pub(super) fn rule(
    name: &'static str,
    replacement: fn(&Arc<dyn ExecutionPlan>) -> Result<Replacement>,
) -> Rule {
    Arc::new(ByNode { name, replacement })
}

#[derive(Debug)]
struct ByNode {
    name: &'static str,
    replacement: fn(&Arc<dyn ExecutionPlan>) -> Result<Replacement>,
}

impl PhysicalOptimizerRule for ByNode {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        replaced(plan, self.replacement)
    }

    fn name(&self) -> &str {
        self.name
    }

    fn schema_check(&self) -> bool {
        true
    }
}
