//! The scheduler's REST API, as far as the client uses it.

use std::time::Duration;

use emporia_core::error::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Patience with one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    url: String,
    client: reqwest::Client,
}

/// An executor that the scheduler knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ExecutorInfo {
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Milliseconds since the epoch of the last heartbeat.
    pub(crate) last_seen: Option<u64>,
    pub(crate) specification: Specification,
}

/// What an executor offers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Specification {
    /// Task slots.
    pub(crate) vcores: u32,
}

/// A job, as far as progress needs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct JobInfo {
    pub(crate) status: String,
    pub(crate) num_stages: usize,
    pub(crate) completed_stages: usize,
}

/// The stages of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct StagesInfo {
    pub(crate) stages: Vec<StageInfo>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct StageInfo {
    pub(crate) stage_status: String,
    pub(crate) input_rows: u64,
    pub(crate) tasks: Vec<Option<TaskInfo>>,
}

/// One task of a stage; the status is a word, or an object for a failure.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct TaskInfo {
    pub(crate) status: serde_json::Value,
}

impl Rest {
    /// A client of the scheduler at `url`.
    pub(crate) fn new(url: &str) -> Result<Self> {
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
    pub(crate) async fn executors(&self) -> Result<Vec<ExecutorInfo>> {
        self.get("/api/executors").await
    }

    /// The state of a job.
    pub(crate) async fn job(&self, id: &str) -> Result<JobInfo> {
        self.get(&format!("/api/job/{id}")).await
    }

    /// The stages of a job.
    pub(crate) async fn stages(&self, id: &str) -> Result<StagesInfo> {
        self.get(&format!("/api/job/{id}/stages")).await
    }

    /// The state behind a `/readyz` probe; `None` where nobody answers.
    pub(crate) async fn probe(&self) -> Option<Probe> {
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

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let failed = |e: reqwest::Error| {
            Error::new(
                ErrorKind::Unavailable,
                format!("cannot ask the scheduler at `{}` for {path}", self.url),
            )
            .with_source(e)
        };
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
pub(crate) enum Probe {
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
        let stages: StagesInfo = serde_json::from_str(
            r#"{"stages":[{"stage_id":"1","stage_status":"Running","input_rows":7,"output_rows":0,
                "tasks":[null,{"id":1,"status":"Running"},
                         {"id":2,"status":{"Failed":{"reason":"r","error":"e"}}}]}]}"#,
        )?;
        assert_eq!(stages.stages[0].tasks.iter().flatten().count(), 2);
        Ok(())
    }
}
