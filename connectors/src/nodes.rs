//! What is done with the nodes of physical plans, ours and others, alike.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};

/// `node` over these inputs; `node` itself where it has them already.
///
/// # Errors
/// Where the node cannot be built over them.
pub fn with_inputs(
    node: Arc<dyn ExecutionPlan>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let given = node.children();
    let has_them =
        given.len() == inputs.len() && given.iter().zip(&inputs).all(|(a, b)| Arc::ptr_eq(a, b));
    if has_them {
        return Ok(node);
    }
    let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    node.replace_children(inputs, recompute)
}
