//! A node that changes nothing about the rows of its input, only what planners may conclude from it.
//!
//! Ballista plans again after DataFusion did: it cuts the plan into stages, runs rules over each of them
//! and decides about joins a second time. What it has to know must therefore stand in the plan itself.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::{Constraints, Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::projection::{ProjectionExec, make_with_child};
use datafusion::physical_plan::proto::ExecutionPlanEncodeCtx;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::physical_plan_node::PhysicalPlanType;
use datafusion_proto::protobuf::{PhysicalExtensionNode, PhysicalPlanNode};
use serde::{Deserialize, Serialize};

use crate::folded;
use crate::nodes::{only_input, usual_methods};

/// What a [`MarkedExec`] says about its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mark {
    /// All rows have to be seen by one task.
    Whole,
    /// No column is to be taken for unique.
    Keyless,
    /// No column is to be taken for unique, constant, in order, or equal to another one.
    Unrelated,
    /// Its size is to be taken for unknown.
    Unsized,
    /// Its rows are to be taken for unordered.
    Unordered,
    /// What is above it does not move below.
    Apart,
    /// Its rows have the order that they come in, and no sort moves below.
    SortsStay,
    /// Several of its columns have the same name, so that no filter moves below while it is there.
    Alike,
    /// Nothing: a new message begins there (`folded.rs`).
    Folded,
}

/// Yields its input as it is.
#[derive(Debug)]
pub struct MarkedExec {
    input: Arc<dyn ExecutionPlan>,
    mark: Mark,
    properties: Arc<PlanProperties>,
}

impl MarkedExec {
    /// Marks `input`.
    pub fn new(input: Arc<dyn ExecutionPlan>, mark: Mark) -> Self {
        let given = input.properties();
        let properties = match mark {
            // Until the planner has put an exchange below.
            Mark::Whole if input.output_partitioning().partition_count() != 1 => {
                let of_one = EquivalenceProperties::new(input.schema());
                let properties = PlanProperties::clone(given).with_eq_properties(of_one);
                Arc::new(properties.with_partitioning(Partitioning::UnknownPartitioning(1)))
            }
            Mark::Keyless => {
                let properties = PlanProperties::clone(given);
                Arc::new(properties.with_constraints(Constraints::default()))
            }
            Mark::Unrelated => {
                let unrelated = EquivalenceProperties::new(input.schema());
                Arc::new(PlanProperties::clone(given).with_eq_properties(unrelated))
            }
            Mark::Unordered => {
                let mut unordered = given.equivalence_properties().clone();
                unordered.clear_orderings();
                Arc::new(PlanProperties::clone(given).with_eq_properties(unordered))
            }
            Mark::Whole
            | Mark::Unsized
            | Mark::Apart
            | Mark::SortsStay
            | Mark::Alike
            | Mark::Folded => Arc::clone(given),
        };
        Self {
            input,
            mark,
            properties,
        }
    }

    /// Whether all that it says is about the order of rows, so that filters and projections may move below.
    fn is_about_order(&self) -> bool {
        matches!(self.mark, Mark::Unordered | Mark::SortsStay)
    }

    /// What yields the rows.
    pub fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    /// What is said about the input.
    pub fn mark(&self) -> Mark {
        self.mark
    }
}

impl DisplayAs for MarkedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MarkedExec: {:?}", self.mark)
    }
}

impl ExecutionPlan for MarkedExec {
    usual_methods!();

    fn name(&self) -> &'static str {
        "MarkedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![match self.mark {
            Mark::Whole => Distribution::SinglePartition,
            Mark::Keyless
            | Mark::Unrelated
            | Mark::Unsized
            | Mark::Unordered
            | Mark::Apart
            | Mark::SortsStay
            | Mark::Alike
            | Mark::Folded => Distribution::UnspecifiedDistribution,
        }]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![!self.is_about_order() && self.mark != Mark::Unrelated]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if self.mark == Mark::Whole {
            return Ok(None);
        }
        let input = self.input.repartitioned(target_partitions, config)?;
        Ok(input.map(|input| -> Arc<dyn ExecutionPlan> { Arc::new(Self::new(input, self.mark)) }))
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = only_input(self.name(), children)?;
        Ok(Arc::new(Self::new(input, self.mark)))
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        match self.is_about_order() {
            true => FilterDescription::from_children(filters, &self.children()),
            false => Ok(FilterDescription::all_unsupported(
                &filters,
                &self.children(),
            )),
        }
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let n_columns = self.schema().fields().len();
        if !self.is_about_order() || projection.expr().len() >= n_columns {
            return Ok(None);
        }
        let input = make_with_child(projection, &self.input)?;
        Ok(Some(Arc::new(Self::new(input, self.mark))))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let n_partitions = self.input.output_partitioning().partition_count();
        if self.mark == Mark::Whole && n_partitions > 1 {
            return internal_err!("one task has to see all rows, and the plan has {n_partitions}");
        }
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![match self.mark {
            Mark::Unsized => ChildStats::Skip,
            Mark::Whole
            | Mark::Keyless
            | Mark::Unrelated
            | Mark::Unordered
            | Mark::Apart
            | Mark::SortsStay
            | Mark::Alike
            | Mark::Folded => ChildStats::At(partition),
        }]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        match (self.mark, inputs) {
            (Mark::Unsized, _) | (_, [] | [_, _, ..]) => {
                Ok(Arc::new(Statistics::new_unknown(&self.schema())))
            }
            (_, [input]) => Ok(Arc::clone(input)),
        }
    }

    fn try_to_proto(
        &self,
        context: &ExecutionPlanEncodeCtx<'_>,
    ) -> Result<Option<PhysicalPlanNode>> {
        if self.mark != Mark::Folded {
            return Ok(None);
        }
        let mut node = folded::MAGIC.to_vec();
        context.encode_child(&self.input)?.try_encode(&mut node)?;
        let extension = PhysicalExtensionNode {
            node,
            inputs: Vec::new(),
        };
        Ok(Some(PhysicalPlanNode {
            physical_plan_type: Some(PhysicalPlanType::Extension(extension)),
        }))
    }
}
