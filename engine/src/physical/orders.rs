//! Orders of rows that a plan relies on and that its tasks do not have.
//!
//! DataFusion leaves out a sort where the rows are in order already. That holds within a stage. Ballista
//! exchanges rows between stages and takes no order over, even where one sorted partition is dealt out to
//! many. Where an operator relies on such an order, windows fail and sorted
//! results are not sorted. So each stage is looked at as Ballista will see it, and sorts are added where it
//! needs them.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, Partitioning,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::ensure_requirements::EnsureRequirements;
use datafusion::physical_optimizer::output_requirements::OutputRequirementExec;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use emporia_connectors::nodes::{usual_methods, with_inputs};

use super::by_node::replaced;

/// How often a plan is mended at most: a sort that is added may bring an exchange with it.
const MAX_PASSES: usize = 4;

/// Adds the sorts that a stage needs.
#[derive(Debug)]
pub(super) struct TrueOrders;

impl PhysicalOptimizerRule for TrueOrders {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plan = with_ordered_limits(plan)?;
        for _ in 0..MAX_PASSES {
            let mended = mended(Arc::clone(&plan), config)?;
            if !mended.transformed {
                return without_requirements_of_limits(plan);
            }
            plan = mended.data;
        }
        internal_err!("the order of rows that the query needs cannot be kept between its stages")
    }

    fn name(&self) -> &'static str {
        "true_orders"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

type Plan = Arc<dyn ExecutionPlan>;

fn is_limit(node: &Plan) -> bool {
    node.is::<GlobalLimitExec>() || node.is::<LocalLimitExec>()
}

/// The plan with limits that ask for the order that their rows come in. DataFusion takes a sort with a limit for a
/// limit where the rows are in order.
fn with_ordered_limits(plan: Plan) -> Result<Plan> {
    replaced(plan, |node| {
        let [input] = node.children()[..] else {
            return Ok(None);
        };
        let Some(order) = input.output_ordering().filter(|_| is_limit(node)) else {
            return Ok(None);
        };
        let order = Some(OrderingRequirements::from(order.clone()));
        let any = Distribution::UnspecifiedDistribution;
        let ordered = OutputRequirementExec::new(Arc::clone(input), order, any, None);
        with_inputs(Arc::clone(node), vec![Arc::new(ordered)]).map(Some)
    })
}

fn without_requirements_of_limits(plan: Plan) -> Result<Plan> {
    replaced(plan, |node| {
        let [input] = node.children()[..] else {
            return Ok(None);
        };
        match (
            is_limit(node),
            input.downcast_ref::<OutputRequirementExec>(),
        ) {
            (true, Some(ordered)) => with_inputs(Arc::clone(node), vec![ordered.input()]).map(Some),
            _ => Ok(None),
        }
    })
}

/// The plan with the orders that each of its stages needs.
fn mended(plan: Plan, config: &ConfigOptions) -> Result<Transformed<Plan>> {
    let mut any = false;
    let top = plan.transform_up(|node| {
        if let Some(exchange) = node.downcast_ref::<RepartitionExec>() {
            let partitioning = exchange.partitioning().clone();
            if !matches!(partitioning, Partitioning::Hash(..)) {
                return Ok(Transformed::no(node));
            }
            let input = mended_stage(Arc::clone(exchange.input()), config, &mut any)?;
            let exchange = with_inputs(node, vec![input])?;
            return Ok(Transformed::yes(Cut::exchanged(exchange, None)));
        }
        if let Some(merge) = node.downcast_ref::<SortPreservingMergeExec>() {
            let order = merge.expr().clone();
            let mut input = mended_stage(Arc::clone(merge.input()), config, &mut any)?;
            let is_sorted = input
                .equivalence_properties()
                .ordering_satisfy(order.clone())?;
            if !is_sorted {
                any = true;
                let sort = SortExec::new(order.clone(), input)
                    .with_preserve_partitioning(true)
                    .with_fetch(merge.fetch());
                input = Arc::new(sort);
            }
            let input = Cut::exchanged(input, Some(order));
            return with_inputs(node, vec![input]).map(Transformed::yes);
        }
        if node.is::<CoalescePartitionsExec>() {
            let children = node.children().into_iter().map(Arc::clone);
            let inputs = children
                .map(|input| Ok(Cut::exchanged(mended_stage(input, config, &mut any)?, None)))
                .collect::<Result<Vec<_>>>()?;
            return with_inputs(node, inputs).map(Transformed::yes);
        }
        Ok(Transformed::no(node))
    })?;
    let top = mended_stage(top.data, config, &mut any)?;
    Ok(match any {
        true => Transformed::yes(top),
        false => Transformed::no(top),
    })
}

/// A stage, which has cuts for leaves, with the sorts that it needs and without the cuts.
fn mended_stage(stage: Plan, config: &ConfigOptions, any: &mut bool) -> Result<Plan> {
    let is_sane = |stage: &Plan| {
        let check = SanityCheckPlan::new();
        check.optimize(Arc::clone(stage), config).is_ok()
    };
    if is_sane(&stage) {
        return whole(stage);
    }
    *any = true;
    let sorted = with_sorts(Arc::clone(&stage))?;
    if is_sane(&sorted) {
        return whole(sorted);
    }
    let planned = EnsureRequirements::new().optimize(stage, config)?;
    whole(with_sorts(planned)?)
}

/// The stage with a sort wherever a node asks for an order that its input has not.
fn with_sorts(stage: Plan) -> Result<Plan> {
    stage
        .transform_up(|node| {
            let mut any = false;
            let mut inputs = Vec::new();
            for (input, order) in node
                .children()
                .into_iter()
                .zip(node.required_input_ordering())
            {
                let mut input = Arc::clone(input);
                if let Some(order) = order {
                    let order = order.into_single();
                    let equivalences = input.equivalence_properties();
                    if !equivalences.ordering_satisfy_requirement(order.clone())? {
                        any = true;
                        let keep = input.output_partitioning().partition_count() > 1;
                        let sort = SortExec::new(LexOrdering::from(order), input);
                        input = Arc::new(sort.with_preserve_partitioning(keep));
                    }
                }
                inputs.push(input);
            }
            match any {
                true => with_inputs(node, inputs).map(Transformed::yes),
                false => Ok(Transformed::no(node)),
            }
        })
        .data()
}

/// The plan with what was cut off.
fn whole(plan: Plan) -> Result<Plan> {
    plan.transform_down(|node| {
        let Some(cut) = node.downcast_ref::<Cut>() else {
            return Ok(Transformed::no(node));
        };
        let plan = whole(Arc::clone(&cut.plan))?;
        Ok(Transformed::new(plan, true, TreeNodeRecursion::Jump))
    })
    .data()
}

/// A leaf in the place of `plan`, with the properties that Ballista leaves it.
#[derive(Debug)]
struct Cut {
    plan: Plan,
    properties: Arc<PlanProperties>,
}

impl Cut {
    fn with(plan: Plan, equivalences: EquivalenceProperties) -> Plan {
        let properties = PlanProperties::clone(plan.properties()).with_eq_properties(equivalences);
        let properties = Arc::new(properties);
        Arc::new(Self { plan, properties })
    }

    /// Rows that come from another stage, in no order but `order`.
    fn exchanged(plan: Plan, order: Option<LexOrdering>) -> Plan {
        let equivalences = EquivalenceProperties::new_with_orderings(plan.schema(), order);
        Self::with(plan, equivalences)
    }
}

impl DisplayAs for Cut {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cut: {}", self.plan.name())
    }
}

impl ExecutionPlan for Cut {
    usual_methods!();

    fn name(&self) -> &'static str {
        "Cut"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Plan> {
        Vec::new()
    }

    fn replace_children(self: Arc<Self>, _: Vec<Plan>, _: ReplaceChildrenOptions) -> Result<Plan> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        internal_err!("a cut of a plan does not run")
    }
}
