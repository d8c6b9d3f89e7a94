//! A node that knows how many rows its input has better than the statistics of the input do.
//!
//! Ballista sends a side of a join to every task where the statistics take it for small, after the plan
//! was made; this node tells it what the planner found out.

use std::fmt;
use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use serde::{Deserialize, Serialize};

use crate::nodes::{only_input, usual_methods};

/// The size of what a node yields, all partitions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Number of rows.
    pub rows: usize,
    /// Their bytes in memory.
    pub bytes: usize,
}

/// Yields its input as it is.
#[derive(Debug)]
pub struct EstimatedExec {
    input: Arc<dyn ExecutionPlan>,
    estimate: Estimate,
}

impl EstimatedExec {
    /// States the size of `input`.
    pub fn new(input: Arc<dyn ExecutionPlan>, estimate: Estimate) -> Self {
        Self { input, estimate }
    }

    /// The stated size.
    pub fn estimate(&self) -> Estimate {
        self.estimate
    }
}

impl DisplayAs for EstimatedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EstimatedExec: rows={}", self.estimate.rows)
    }
}

impl ExecutionPlan for EstimatedExec {
    usual_methods!();

    fn name(&self) -> &'static str {
        "EstimatedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = only_input(self.name(), children)?;
        Ok(Arc::new(Self::new(input, self.estimate)))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = match inputs {
            [input] => Statistics::clone(input),
            _ => Statistics::new_unknown(&self.schema()),
        };
        if args.partition().is_none() {
            statistics.num_rows = Precision::Inexact(self.estimate.rows);
            statistics.total_byte_size = Precision::Inexact(self.estimate.bytes);
        }
        Ok(Arc::new(statistics))
    }
}
