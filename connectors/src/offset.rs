//! A node that leaves out the first rows of its input.
//!
//! DataFusion's own node for `OFFSET` counts as one that sorts may move below, with a limit that forgets the rows
//! that are left out; and a plan that is made again may merge what is below in any order. This one asks for the
//! order that its input came in, and nothing moves below it.

use std::fmt;
use std::sync::Arc;

use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, LexOrdering, OrderingRequirements};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::limit::LimitStream;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};

use crate::nodes::{only_input, usual_methods};

/// Yields the rows of its input but for the first ones.
#[derive(Debug)]
pub struct OffsetExec {
    input: Arc<dyn ExecutionPlan>,
    skip: usize,
    /// The order of the rows, which decides which of them are the first; `None` where any may be.
    order: Option<LexOrdering>,
    metrics: ExecutionPlanMetricsSet,
}

impl OffsetExec {
    /// Leaves out the first `skip` rows of `input`, in the order that it has now.
    pub fn new(input: Arc<dyn ExecutionPlan>, skip: usize) -> Self {
        let order = input.output_ordering().cloned();
        Self::in_order(input, skip, order)
    }

    /// Leaves out the first `skip` rows of `input` in this order; without one, any rows.
    pub fn in_order(
        input: Arc<dyn ExecutionPlan>,
        skip: usize,
        order: Option<LexOrdering>,
    ) -> Self {
        Self {
            input,
            skip,
            order,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The number of rows that are left out.
    pub fn skip(&self) -> usize {
        self.skip
    }
}

impl DisplayAs for OffsetExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OffsetExec: skip={}", self.skip)
    }
}

impl ExecutionPlan for OffsetExec {
    usual_methods!();

    fn name(&self) -> &'static str {
        "OffsetExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.order.clone().map(OrderingRequirements::from)]
    }

    /// It keeps the order, but sorts would move below if it said so.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
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
        Ok(Arc::new(Self::in_order(
            input,
            self.skip,
            self.order.clone(),
        )))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let rows = self.input.execute(partition, context)?;
        Ok(Box::pin(LimitStream::new(rows, self.skip, None, metrics)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let of_input = match inputs {
            [input] => Statistics::clone(input),
            _ => Statistics::new_unknown(&self.schema()),
        };
        of_input.with_fetch(None, self.skip, 1).map(Arc::new)
    }
}
