//! Rules of DataFusion within bounds of ours.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

pub(super) type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// What is done instead of calling a rule; it calls the rule for what is within bounds.
type Rewrite = fn(&Rule, LogicalPlan, &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>>;

/// `rule` under its name and in its order, with `rewrite` in its place.
pub(super) fn with_bounds(rule: Rule, rewrite: Rewrite) -> Rule {
    Arc::new(Bounded { rule, rewrite })
}

#[derive(Debug)]
struct Bounded {
    rule: Rule,
    rewrite: Rewrite,
}

impl OptimizerRule for Bounded {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        (self.rewrite)(&self.rule, plan, config)
    }
}
