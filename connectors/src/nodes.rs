//! What is done with the nodes of physical plans, ours and others, alike.

use std::sync::Arc;

use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};

pub use crate::usual_methods;

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

/// The input of the node `name`, which has one.
///
/// # Errors
/// Where there is another number of inputs.
pub fn only_input(
    name: &str,
    mut inputs: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    match (inputs.pop(), inputs.is_empty()) {
        (Some(input), true) => Ok(input),
        _ => internal_err!("{name} has exactly one input"),
    }
}

/// What `ExecutionPlan` asks of a node of ours besides its work: it computes no expressions, and whoever puts it
/// over other inputs by the old method gets what `replace_children` makes.
#[macro_export]
macro_rules! usual_methods {
    () => {
        fn apply_expressions(
            &self,
            _: &mut dyn FnMut(
                &::std::sync::Arc<dyn ::datafusion::physical_expr::PhysicalExpr>,
            ) -> ::datafusion::common::Result<
                ::datafusion::common::tree_node::TreeNodeRecursion,
            >,
        ) -> ::datafusion::common::Result<::datafusion::common::tree_node::TreeNodeRecursion> {
            Ok(::datafusion::common::tree_node::TreeNodeRecursion::Continue)
        }

        fn with_new_children(
            self: ::std::sync::Arc<Self>,
            children: Vec<::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>>,
        ) -> ::datafusion::common::Result<
            ::std::sync::Arc<dyn ::datafusion::physical_plan::ExecutionPlan>,
        > {
            use ::datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
            use ::datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
            let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            self.replace_children(children, recompute)
        }
    };
}
