//! Asks the executors whether they are there and what they run.

use std::collections::HashMap;
use std::time::Duration;

use arrow_flight::Action;
use arrow_flight::flight_service_client::FlightServiceClient;
use ballista_core::serde::scheduler::ExecutorMetadata;
use emporia_engine::running::{ExecutorTasks, TASKS_ACTION};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

/// How long an answer may take. A stopped process accepts connections and never answers.
const PATIENCE: Duration = Duration::from_secs(3);
/// An executor that has not answered that often in a row is lost.
const MAX_SILENT: u32 = 3;
/// So is one whose port has refused connections that often in a row: its process is gone.
const MAX_REFUSED: u32 = 2;

/// The connections to the executors and what is known of them.
#[derive(Debug, Default)]
pub(super) struct Probe {
    known: HashMap<String, Known>,
}

/// What an executor answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// What it runs.
    Tasks(ExecutorTasks),
    /// It does not answer, for so long that it counts as lost.
    Lost,
    /// Nothing yet.
    None,
}

/// What is known of an executor.
#[derive(Debug, Clone, Default)]
struct Known {
    channel: Option<Channel>,
    n_silent: u32,
    n_refused: u32,
}

/// How an executor took the question.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    Fine(ExecutorTasks),
    Refused,
    Silent,
}

impl Probe {
    /// Forgets all executors but these.
    pub(super) fn keep(&mut self, is_same: impl Fn(&str) -> bool) {
        self.known.retain(|id, _| is_same(id));
    }

    /// Asks `executors` at once.
    pub(super) async fn ask(
        &mut self,
        executors: Vec<ExecutorMetadata>,
    ) -> Vec<(ExecutorMetadata, Answer)> {
        let mut questions = JoinSet::new();
        for executor in executors {
            let known = self.known.entry(executor.id.clone()).or_default();
            let channel = known.channel.clone();
            questions.spawn(async move {
                let (reply, channel) = ask(&executor, channel).await;
                (executor, reply, channel)
            });
        }
        let mut answers = Vec::new();
        while let Some(Ok((executor, reply, channel))) = questions.join_next().await {
            let known = self.known.entry(executor.id.clone()).or_default();
            let is_lost = known.take_note(&reply, channel);
            let answer = match reply {
                Reply::Fine(tasks) => Answer::Tasks(tasks),
                Reply::Refused | Reply::Silent if is_lost => {
                    tracing::warn!(
                        executor = executor.id,
                        ?reply,
                        "an executor does not answer"
                    );
                    Answer::Lost
                }
                Reply::Refused | Reply::Silent => Answer::None,
            };
            answers.push((executor, answer));
        }
        answers
    }
}

impl Known {
    /// Whether the executor is lost, after this reply.
    fn take_note(&mut self, reply: &Reply, channel: Option<Channel>) -> bool {
        self.channel = channel;
        match reply {
            Reply::Fine(_) => (self.n_silent, self.n_refused) = (0, 0),
            Reply::Refused => {
                self.n_silent += 1;
                self.n_refused += 1;
            }
            Reply::Silent => {
                self.n_silent += 1;
                self.n_refused = 0;
            }
        }
        self.n_silent >= MAX_SILENT || self.n_refused >= MAX_REFUSED
    }
}

/// Asks for what the executor runs, which it answers from memory. The channel can be used again.
async fn ask(executor: &ExecutorMetadata, channel: Option<Channel>) -> (Reply, Option<Channel>) {
    let question = async {
        let channel = match channel {
            Some(channel) => channel,
            None => connect(executor).await?,
        };
        let tasks = tasks_of(channel.clone()).await?;
        Ok((tasks, channel))
    };
    match timeout(PATIENCE, question).await {
        Ok(Ok((tasks, channel))) => (Reply::Fine(tasks), Some(channel)),
        Ok(Err(true)) => (Reply::Refused, None),
        Ok(Err(false)) | Err(_) => (Reply::Silent, None),
    }
}

/// What runs there, or whether the connection was refused.
async fn tasks_of(channel: Channel) -> Result<ExecutorTasks, bool> {
    let action = Action {
        r#type: TASKS_ACTION.to_owned(),
        ..Action::default()
    };
    let mut client = FlightServiceClient::new(channel).max_decoding_message_size(usize::MAX);
    // Where the connection broke, a new one shows whether the process is there.
    let answer = client.do_action(action).await.map_err(|e| is_refused(&e))?;
    let message = answer.into_inner().message().await;
    let message = message.map_err(|e| is_refused(&e))?.ok_or(false)?;
    ExecutorTasks::decode(&message.body).map_err(|error| {
        tracing::warn!(%error, "an executor does not say what it runs");
        false
    })
}

/// A new connection, or whether it was refused.
async fn connect(executor: &ExecutorMetadata) -> Result<Channel, bool> {
    let url = format!("http://{}:{}", executor.host, executor.port);
    let endpoint = Endpoint::from_shared(url).map_err(|_| false)?;
    endpoint.connect().await.map_err(|e| is_refused(&e))
}

fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_is_lost_after_silence_in_a_row() {
        let mut executor = Known::default();
        let mut ask = |reply| executor.take_note(&reply, None);
        let fine = || Reply::Fine(ExecutorTasks::default());
        assert!(!ask(Reply::Silent));
        assert!(!ask(Reply::Silent));
        assert!(!ask(fine()));
        assert!(!ask(Reply::Silent));
        assert!(!ask(Reply::Refused));
        assert!(ask(Reply::Refused));
        assert!(ask(Reply::Silent));
        assert!(!ask(fine()));
    }
}
