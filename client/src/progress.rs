//! What a running query does, shown on standard error: a bar on a terminal, lines elsewhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use emporia_core::error::Result;
use emporia_engine::Session;
use emporia_engine::query::ActiveQueries;
use emporia_engine::rest::{JobInfo, Rest, StagesInfo};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::task::AbortOnDropHandle;

use crate::console::{Console, ProgressMode, count, grouped, write_line};

/// A query that is done by then shows nothing.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const FAILED: &str = "Failed";
const POLL: Duration = Duration::from_millis(300);

/// Shows the queries of a session until it is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    _poller: Option<AbortOnDropHandle<()>>,
}

impl Progress {
    /// Begins to watch the queries that `session` runs on the scheduler at `url`.
    pub(crate) fn watch(console: Console, session: &Session, url: &str) -> Result<Self> {
        let mode = console.progress();
        if mode == ProgressMode::Off {
            return Ok(Self {
                bar: ProgressBar::hidden(),
                _poller: None,
            });
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
            bar.set_style(style);
        }
        let watcher = Watcher {
            rest: Rest::new(url)?,
            active: session.active().clone(),
            bar: (mode == ProgressMode::Bar).then(|| bar.clone()),
            reported: BTreeMap::new(),
        };
        let poller = tokio::spawn(watcher.run());
        Ok(Self {
            bar,
            _poller: Some(AbortOnDropHandle::new(poller)),
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

struct Watcher {
    rest: Rest,
    active: ActiveQueries,
    bar: Option<ProgressBar>,
    /// The last line of each job.
    reported: BTreeMap<String, String>,
}

impl Watcher {
    async fn run(mut self) {
        tokio::time::sleep(FIRST_LOOK).await;
        let start = Instant::now();
        loop {
            for id in self.active.job_ids() {
                self.look_at(&id, start).await;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Progress is a courtesy: an answer that does not come is passed over.
    async fn look_at(&mut self, id: &str, start: Instant) {
        let Ok(job) = self.rest.job(id).await else {
            return;
        };
        match &self.bar {
            Some(bar) => {
                let Ok(stages) = self.rest.stages(id).await else {
                    return;
                };
                bar.set_message(format!("job {id}: {}", detail(&job, &stages)));
                bar.tick();
            }
            None => {
                let state = summary(&job);
                // Why a query failed, or that it was cancelled, is said at the end.
                let has_failed = job.status == FAILED;
                if !has_failed && self.reported.get(id) != Some(&state) {
                    let elapsed = (start.elapsed() + FIRST_LOOK).as_secs_f64();
                    write_line(&format!("job {id}: {state}, {elapsed:.1} s"));
                    self.reported.insert(id.to_owned(), state);
                }
            }
        }
    }
}

fn summary(job: &JobInfo) -> String {
    let status = job.status.to_lowercase();
    format!(
        "{status}, stage {}/{}",
        job.completed_stages, job.num_stages
    )
}

fn detail(job: &JobInfo, stages: &StagesInfo) -> String {
    let tasks = || stages.stages.iter().flat_map(|s| s.tasks.iter().flatten());
    let in_state = |state: &str| tasks().filter(|t| t.status == state).count();
    let (done, running) = (in_state("Successful"), in_state("Running"));
    let failed = tasks().filter(|t| t.status.is_object()).count();
    let rows: u64 = stages.stages.iter().map(|s| s.input_rows).sum();
    let mut text = format!(
        "stage {}/{}  {} done, {} running  {} rows",
        job.completed_stages,
        job.num_stages,
        count(done as u64, "task"),
        running,
        grouped(rows)
    );
    if failed > 0 {
        text.push_str(&format!("  {failed} failed"));
    }
    text
}

#[cfg(test)]
mod tests {
    use emporia_engine::rest::{StageInfo, TaskInfo};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_how_far_the_job_is() {
        let job = JobInfo {
            status: "Running".into(),
            num_stages: 3,
            completed_stages: 1,
        };
        assert_eq!(summary(&job), "running, stage 1/3");
        let task = |status| Some(TaskInfo { status });
        let stage = StageInfo {
            stage_status: "Running".into(),
            input_rows: 12_345,
            tasks: vec![
                task(json!("Successful")),
                task(json!("Running")),
                None,
                task(json!({"Failed": {}})),
            ],
        };
        let stages = StagesInfo {
            stages: vec![stage],
        };
        let expected = "stage 1/3  1 task done, 1 running  12,345 rows  1 failed";
        assert_eq!(detail(&job, &stages), expected);
    }
}
