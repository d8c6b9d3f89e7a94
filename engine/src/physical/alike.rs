//! Filters above columns of the same name.
//!
//! DataFusion moves the filters of a physical plan down by the names of columns. Where an input has several
//! columns of one name, as the rows of a join have, it takes the first of them, and the filter looks at another
//! column than before. So filters stay above such inputs; those that may move below have done so in the
//! logical plan, which knows the tables of columns.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use emporia_connectors::marked::{Mark, MarkedExec};

use super::Rule;

/// DataFusion's rule that moves filters down, which leaves them above columns of the same name.
#[derive(Debug)]
pub(super) struct ByPlace(Rule);

impl ByPlace {
    /// The rule itself, or its careful form where it is one of those that move filters.
    pub(super) fn of(rule: Rule) -> Rule {
        match rule.name().starts_with("FilterPushdown") {
            true => Arc::new(Self(rule)),
            false => rule,
        }
    }
}

impl PhysicalOptimizerRule for ByPlace {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let marked = plan.transform_up(|node| Ok(marked(node))).data()?;
        let moved = self.0.optimize(marked, config)?;
        moved.transform_up(|node| Ok(unmarked(node))).data()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn marked(node: Arc<dyn ExecutionPlan>) -> Transformed<Arc<dyn ExecutionPlan>> {
    let schema = node.schema();
    let mut names = HashSet::new();
    match schema.fields().iter().all(|f| names.insert(f.name())) {
        true => Transformed::no(node),
        false => Transformed::yes(Arc::new(MarkedExec::new(node, Mark::Alike))),
    }
}

fn unmarked(node: Arc<dyn ExecutionPlan>) -> Transformed<Arc<dyn ExecutionPlan>> {
    match node.downcast_ref::<MarkedExec>() {
        Some(marked) if marked.mark() == Mark::Alike => {
            Transformed::yes(Arc::clone(marked.input()))
        }
        _ => Transformed::no(node),
    }
}
