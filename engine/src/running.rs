//! What an executor answers when the scheduler asks which tasks it runs.

use serde::{Deserialize, Serialize};

/// The Flight action by which the scheduler asks; the answer is one result with an [`ExecutorTasks`].
pub const TASKS_ACTION: &str = "EMPORIA_TASKS";

/// A task, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskName {
    /// Id of the job.
    pub job: String,
    /// Number of the stage within the job.
    pub stage: usize,
    /// Number of the task within the stage.
    pub task: usize,
}

/// The tasks of an executor process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorTasks {
    /// Id of the process; another process under the same name has another.
    pub incarnation: String,
    /// The tasks that run.
    pub running: Vec<TaskName>,
    /// Tasks that ended lately, and whose end was reported once.
    pub ended: Vec<TaskName>,
}

impl ExecutorTasks {
    /// The answer as bytes (JSON).
    ///
    /// # Errors
    /// None that is known; the form allows for one.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// Where the bytes are no answer, for example because the executor is of another version.
    pub fn decode(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_the_wire() -> serde_json::Result<()> {
        let name = |task| TaskName {
            job: "j".to_owned(),
            stage: 2,
            task,
        };
        let answer = ExecutorTasks {
            incarnation: "one".to_owned(),
            running: vec![name(0), name(3)],
            ended: vec![name(1)],
        };
        assert_eq!(ExecutorTasks::decode(&answer.encode()?)?, answer);
        assert!(ExecutorTasks::decode(b"IO_BLOCK_TRANSPORT").is_err());
        Ok(())
    }

    /// Schedulers of other versions read this form.
    #[test]
    fn an_answer_stays_what_it_is() -> serde_json::Result<()> {
        let stored = r#"{"incarnation":"one","running":[{"job":"j","stage":2,"task":0}],"ended":[{"job":"j","stage":2,"task":1}]}"#;
        let answer = ExecutorTasks::decode(stored.as_bytes())?;
        assert_eq!(answer.running.len() + answer.ended.len(), 2);
        assert_eq!(String::from_utf8_lossy(&answer.encode()?), stored);
        Ok(())
    }
}
