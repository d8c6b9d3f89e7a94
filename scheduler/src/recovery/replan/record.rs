//! What was changed in the plans of stages, for those who look at a job.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ballista_core::JobId;

use super::super::lineage::StageId;
use super::Change;

/// How many jobs are remembered; of those that are kept whole after their end there are fewer.
const MAX_JOBS: usize = 1000;

/// The changes of each stage that was planned again, by stage.
pub(crate) type StageChanges = BTreeMap<StageId, Vec<String>>;

/// What was changed in the stages of the last jobs.
#[derive(Debug, Default)]
pub(crate) struct Replans {
    /// Ids of jobs sort by time.
    jobs: Mutex<BTreeMap<JobId, StageChanges>>,
}

impl Replans {
    /// Notes the changes of a stage in place of those that were made for a plan before.
    pub(in super::super) fn note(&self, job: &JobId, stage: StageId, changes: &[Change]) {
        let mut jobs = self.jobs();
        if changes.is_empty() {
            if let Some(stages) = jobs.get_mut(job) {
                stages.remove(&stage);
            }
            return;
        }
        let texts = changes.iter().map(ToString::to_string).collect();
        jobs.entry(job.clone()).or_default().insert(stage, texts);
        while jobs.len() > MAX_JOBS {
            jobs.pop_first();
        }
    }

    /// The changes of a job's stages.
    pub(crate) fn of(&self, job: &JobId) -> StageChanges {
        self.jobs().get(job).cloned().unwrap_or_default()
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<JobId, StageChanges>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_plan_of_a_stage_is_told_and_old_jobs_are_forgotten() {
        let replans = Replans::default();
        let job = |n: usize| JobId::from(format!("{n:06}"));
        let grouped = |to| [Change::Grouped { from: 8, to }];
        replans.note(&job(0), 2, &grouped(4));
        replans.note(&job(0), 2, &grouped(2));
        replans.note(&job(0), 3, &grouped(1));
        replans.note(&job(0), 3, &[]);
        let told = StageChanges::from([(2, vec!["8 partitions are read as 2".to_owned()])]);
        assert_eq!(replans.of(&job(0)), told);
        assert!(replans.of(&job(1)).is_empty());
        for n in 1..=MAX_JOBS {
            replans.note(&job(n), 1, &grouped(4));
        }
        assert!(replans.of(&job(0)).is_empty());
        assert_eq!(replans.of(&job(1)).len(), 1);
    }
}
