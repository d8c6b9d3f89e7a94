//! A join for which NULL equals NULL takes no further keys.
//!
//! DataFusion makes join keys of the equalities in a join's condition. Whether NULL equals NULL is
//! said once for all keys of a join, and DataFusion does not look at it: `a.y = b.y`, moved to a join
//! `ON a.x IS NOT DISTINCT FROM b.x`, would match NULL with NULL.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{NullEquality, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule of DataFusion that makes keys of equalities.
const EXTRACTS_KEYS: &str = "extract_equijoin_predicate";

/// The rule, kept away from joins for which NULL equals NULL if it makes keys.
pub(super) fn bounded(
    rule: Arc<dyn OptimizerRule + Send + Sync>,
) -> Arc<dyn OptimizerRule + Send + Sync> {
    if rule.name() == EXTRACTS_KEYS {
        Arc::new(ExtractKeys(rule))
    } else {
        rule
    }
}

#[derive(Debug)]
struct ExtractKeys(Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for ExtractKeys {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Join(join) if join.null_equality == NullEquality::NullEqualsNull => {
                Ok(Transformed::no(plan))
            }
            _ => self.0.rewrite(plan, config),
        }
    }
}
