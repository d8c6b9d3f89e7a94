//! The scheduler's REST API, as far as Emporia uses it: the client shows the executors and how far a
//! job is.

use std::time::Duration;

use emporia_core::error::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Patience with one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one scheduler.
#[derive(Debug, Clone)]
pub struct Rest {
    url: String,
    client: reqwest::Client,
}

/// An executor that the scheduler knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ExecutorInfo {
    /// Its name.
    pub id: String,
    /// Where other processes reach it.
    pub host: String,
    /// Port of its data service.
    pub port: u16,
    /// Milliseconds since the epoch of the last heartbeat.
    pub last_seen: Option<u64>,
    /// What it offers.
    pub specification: Specification,
    /// Seconds for which it gets no tasks: they fail there and not elsewhere, or other executors do not reach it.
    #[serde(default)]
    pub set_aside_seconds: u64,
}

/// What an executor offers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Specification {
    /// Task slots.
    pub vcores: u32,
}

/// A job, as far as progress needs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct JobInfo {
    /// `Queued`, `Running`, `Completed` or `Failed`.
    pub status: String,
    /// Stages of the plan.
    pub num_stages: usize,
    /// Stages that are done.
    pub completed_stages: usize,
}

/// The stages of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct StagesInfo {
    /// In the order of the plan.
    pub stages: Vec<StageInfo>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StageInfo {
    /// `Running`, `Successful` and others.
    pub stage_status: String,
    /// Rows that its tasks have read.
    pub input_rows: u64,
    /// Its tasks; `None` for those that have not begun.
    pub tasks: Vec<Option<TaskInfo>>,
}

/// One task of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TaskInfo {
    /// A word, or an object for a failure.
    pub status: serde_json::Value,
}

impl Rest {
    /// A client of the scheduler at `url`.
    ///
    /// # Errors
    /// `Internal` where there is no HTTP client to be had.
    pub fn new(url: &str) -> Result<Self> {
        // A proxy of the environment is for the internet, not for the cluster.
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(|e| Error::internal("cannot make an HTTP client").with_source(e))?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            client,
        })
    }

    /// The executors that are registered.
    ///
    /// # Errors
    /// `Unavailable` where the scheduler does not answer.
    pub async fn executors(&self) -> Result<Vec<ExecutorInfo>> {
        let address = format!("{}/api/executors", self.url);
        let answer = self.client.get(address).send().await;
        let answer = answer.map_err(|e| self.silent("its executors", e))?;
        let status = answer.status();
        let executors = match status.is_success() {
            true => answer.json().await.ok(),
            false => None,
        };
        executors.ok_or_else(|| {
            let text = format!("what answers at `{}` is not an Emporia scheduler", self.url);
            let error = Error::new(ErrorKind::Unavailable, text)
                .with_hint("check host and port; a scheduler listens on port 50050 by default");
            match status.is_success() {
                true => error,
                false => error.with_source(format!("HTTP status {status}")),
            }
        })
    }

    /// The state of a job.
    ///
    /// # Errors
    /// `Unavailable` where the scheduler does not answer or does not know the job.
    pub async fn job(&self, id: &str) -> Result<JobInfo> {
        self.get(&format!("/api/job/{id}")).await
    }

    /// The stages of a job.
    ///
    /// # Errors
    /// `Unavailable` where the scheduler does not answer or does not know the job.
    pub async fn stages(&self, id: &str) -> Result<StagesInfo> {
        self.get(&format!("/api/job/{id}/stages")).await
    }

    /// The state behind a `/readyz` probe; `None` where nobody answers.
    pub async fn probe(&self) -> Option<Probe> {
        let answer = self
            .client
            .get(format!("{}/readyz", self.url))
            .send()
            .await
            .ok()?;
        if answer.status().is_success() {
            return Some(Probe::Ready);
        }
        let text = answer.text().await.unwrap_or_default();
        Some(if text.contains("draining") {
            Probe::Draining
        } else {
            Probe::NotReady
        })
    }

    fn silent(&self, what: &str, error: reqwest::Error) -> Error {
        let text = format!("cannot ask the scheduler at `{}` for {what}", self.url);
        Error::new(ErrorKind::Unavailable, text).with_source(error)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let failed = |e| self.silent(path, e);
        let address = format!("{}{path}", self.url);
        let answer = self.client.get(address).send().await.map_err(failed)?;
        answer
            .error_for_status()
            .map_err(failed)?
            .json()
            .await
            .map_err(failed)
    }
}

/// What a process says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It takes work.
    Ready,
    /// It answers but does not take work yet.
    NotReady,
    /// It finishes its work and ends.
    Draining,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_scheduler_are_understood() -> serde_json::Result<()> {
        let executors: Vec<ExecutorInfo> = serde_json::from_str(
            r#"[{"id":"e1","host":"127.0.0.1","port":50051,"last_seen":1700000000000,
                "specification":{"vcores":2},"metrics":[],"os_info":{"cpu":"x"}}]"#,
        )?;
        assert_eq!(executors[0].specification.vcores, 2);
        assert_eq!(executors[0].set_aside_seconds, 0);
        let stages: StagesInfo = serde_json::from_str(
            r#"{"stages":[{"stage_id":"1","stage_status":"Running","input_rows":7,"output_rows":0,
                "tasks":[null,{"id":1,"status":"Running"},
                         {"id":2,"status":{"Failed":{"reason":"r","error":"e"}}}]}]}"#,
        )?;
        assert_eq!(stages.stages[0].tasks.iter().flatten().count(), 2);
        Ok(())
    }
}
