//! The side of a job that Ballista's scheduler calls.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::{JobStatus, TaskStatus};
use ballista_core::serde::scheduler::{ExecutorMetadata, PartitionLocation};
use ballista_scheduler::scheduler_server::event::QueryStageSchedulerEvent;
use ballista_scheduler::state::execution_graph::{
    ExecutionGraph, ExecutionGraphBox, RunningTaskInfo,
};
use ballista_scheduler::state::execution_stage::{ExecutionStage, RunningStage};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

use super::{Effects, RecoveringGraph, STRAGGLERS};

impl ExecutionGraph for RecoveringGraph {
    fn job_id(&self) -> &JobId {
        &self.about.job_id
    }

    fn job_name(&self) -> &str {
        &self.about.job_name
    }

    fn session_id(&self) -> &str {
        &self.about.session_id
    }

    fn scheduler_id(&self) -> Option<&str> {
        self.about.scheduler_id.as_deref()
    }

    fn session_config(&self) -> Arc<SessionConfig> {
        Arc::clone(&self.about.session_config)
    }

    fn status(&self) -> &JobStatus {
        &self.status
    }

    fn logical_plan(&self) -> Option<&str> {
        self.about.logical_plan.as_deref()
    }

    fn physical_plan(&self) -> Arc<dyn ExecutionPlan> {
        Arc::clone(&self.about.physical_plan)
    }

    fn start_time(&self) -> u64 {
        self.about.start_time
    }

    fn end_time(&self) -> u64 {
        self.end_time
    }

    fn completed_stages(&self) -> usize {
        self.stages.counts().completed
    }

    fn is_successful(&self) -> bool {
        matches!(self.status.status, Some(Status::Successful(_)))
    }

    /// Stages start as soon as they can.
    fn revive(&mut self) -> bool {
        false
    }

    fn update_task_status(
        &mut self,
        executor: &ExecutorMetadata,
        task_statuses: Vec<TaskStatus>,
        _max_task_failures: usize,
        _max_stage_failures: usize,
    ) -> Result<Vec<QueryStageSchedulerEvent>> {
        self.note_bound();
        let mut effects = Effects::default();
        for report in task_statuses {
            self.report(executor, report, &mut effects);
        }
        Ok(self.events_of(effects))
    }

    fn running_stages(&self) -> Vec<usize> {
        self.stages.running().map(|(id, _)| id).collect()
    }

    fn running_tasks(&self) -> Vec<RunningTaskInfo> {
        let running = self.stages.running();
        running
            .flat_map(|(_, stage)| stage.running_tasks())
            .map(|(task_id, stage_id, executor_id)| RunningTaskInfo {
                task_id,
                job_id: self.about.job_id.clone(),
                stage_id,
                executor_id,
            })
            .collect()
    }

    fn available_tasks(&self) -> usize {
        let running = self.stages.running();
        running.map(|(_, stage)| stage.available_tasks()).sum()
    }

    fn fetch_running_stage(&mut self, black_list: &[usize]) -> Option<&mut RunningStage> {
        self.note_bound();
        if !matches!(self.status.status, Some(Status::Running(_))) {
            return None;
        }
        if black_list == STRAGGLERS {
            return self.offer_straggler();
        }
        let open = self
            .stages
            .running()
            .filter(|(id, stage)| stage.available_tasks() > 0 && !black_list.contains(id));
        let first = open.map(|(id, _)| id).min()?;
        self.stages.running_mut(first)
    }

    fn update_status(&mut self, status: JobStatus) {
        self.status = status;
    }

    fn output_locations(&self) -> Vec<PartitionLocation> {
        self.places_of_result()
    }

    fn reset_stages_on_lost_executor(
        &mut self,
        executor_id: &str,
    ) -> Result<(HashSet<usize>, Vec<RunningTaskInfo>)> {
        self.note_bound();
        let effects = self.lose(executor_id);
        if !effects.changed.is_empty() {
            let stages = &effects.changed;
            tracing::warn!(job = %self.about.job_id, executor_id, ?stages, "an executor was lost");
        }
        Ok((effects.changed, effects.cancelled))
    }

    fn abort_running(&mut self, error: String) -> Vec<RunningTaskInfo> {
        self.note_bound();
        let running = self.running_tasks();
        self.lineage.end();
        // A job that failed by itself keeps its reason.
        if !matches!(self.status.status, Some(Status::Failed(_))) {
            self.set_failed(error.clone());
        }
        for stage in self.running_stages() {
            self.stages.set_failed(stage, error.clone());
        }
        running
    }

    fn fail_stage(&mut self, stage_id: usize, err_msg: String) -> bool {
        self.stages.set_failed(stage_id, err_msg)
    }

    fn fail_job(&mut self, error: String) {
        self.lineage.end();
        self.set_failed(error);
    }

    fn succeed_job(&mut self) -> Result<()> {
        self.set_successful()
    }

    fn stages(&self) -> &HashMap<usize, ExecutionStage> {
        self.stages.shown()
    }

    fn stage_count(&self) -> usize {
        self.stages.counts().all
    }

    fn cloned(&self) -> ExecutionGraphBox {
        if matches!(self.status.status, Some(Status::Running(_))) {
            Box::new(self.clone())
        } else {
            Box::new(self.ended())
        }
    }

    // Ballista calls these of its own graphs only, from their other methods. The lineage decides here.

    fn resolve_stage(&mut self, _stage_id: usize) -> Result<bool> {
        Ok(false)
    }

    fn succeed_stage(&mut self, _stage_id: usize) -> bool {
        false
    }

    fn rollback_running_stage(
        &mut self,
        _stage_id: usize,
        _failure_reasons: HashSet<String>,
    ) -> Result<Vec<RunningTaskInfo>> {
        Ok(Vec::new())
    }

    fn rollback_resolved_stage(&mut self, _stage_id: usize) -> Result<bool> {
        Ok(false)
    }

    fn rerun_successful_stage(&mut self, _stage_id: usize) -> bool {
        false
    }
}
