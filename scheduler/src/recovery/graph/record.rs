//! What is kept of a job that has ended.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use ballista_core::serde::protobuf::JobStatus;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_scheduler::state::execution_graph::ExecutionGraphBox;
use datafusion::arrow::datatypes::Schema;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::prelude::SessionConfig;

use super::super::cluster::Shared;
use super::super::lineage::Lineage;
use super::super::places::Outputs;
use super::stages::{StageCounts, Stages};
use super::{About, RecoveringGraph};

/// All records show these, in the place of what is not kept.
static NO_PLAN: LazyLock<Arc<dyn ExecutionPlan>> =
    LazyLock::new(|| Arc::new(EmptyExec::new(Arc::new(Schema::empty()))));
static NO_CONFIG: LazyLock<Arc<SessionConfig>> = LazyLock::new(Arc::default);

impl RecoveringGraph {
    /// The job after its end, with all its stages to look at.
    pub(super) fn ended(&self) -> Self {
        Self {
            about: self.about.clone(),
            status: self.status.clone(),
            queued_at: self.queued_at,
            end_time: self.end_time,
            lineage: Lineage::ended(),
            stages: self.stages.ended(),
            outputs: Outputs::default(),
            may_be_copied: HashSet::new(),
            shared: Arc::clone(&self.shared),
        }
    }
}

/// The small record of a job: how it ended and where its result lies, without plans, stages and settings.
pub(in super::super) fn record_of(
    graph: &ExecutionGraphBox,
    shared: &Arc<Shared>,
) -> ExecutionGraphBox {
    let mut record = record_of_status(graph.status().clone(), shared);
    graph.session_id().clone_into(&mut record.about.session_id);
    record.about.start_time = graph.start_time();
    record.end_time = graph.end_time();
    record.stages = Stages::none(StageCounts {
        all: graph.stage_count(),
        completed: graph.completed_stages(),
    });
    Box::new(record)
}

/// The record of a job that could not be planned.
pub(in super::super) fn record_of_unplanned(
    status: JobStatus,
    shared: &Arc<Shared>,
) -> ExecutionGraphBox {
    Box::new(record_of_status(status, shared))
}

fn record_of_status(status: JobStatus, shared: &Arc<Shared>) -> RecoveringGraph {
    let (queued_at, start_time, end_time) = match &status.status {
        Some(Status::Successful(job)) => (job.queued_at, job.started_at, job.ended_at),
        Some(Status::Failed(job)) => (job.queued_at, job.started_at, job.ended_at),
        _ => (0, 0, 0),
    };
    RecoveringGraph {
        about: About {
            job_id: status.job_id.clone().into(),
            job_name: status.job_name.clone(),
            session_id: String::new(),
            scheduler_id: None,
            session_config: Arc::clone(&NO_CONFIG),
            logical_plan: None,
            physical_plan: Arc::clone(&NO_PLAN),
            start_time,
        },
        status,
        queued_at,
        end_time,
        lineage: Lineage::ended(),
        stages: Stages::none(StageCounts::default()),
        outputs: Outputs::default(),
        may_be_copied: HashSet::new(),
        shared: Arc::clone(shared),
    }
}
