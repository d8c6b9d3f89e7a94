//! Asks the executors whether they are there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::Empty;
use arrow_flight::flight_service_client::FlightServiceClient;
use ballista_core::serde::scheduler::ExecutorMetadata;
use ballista_scheduler::cluster::ClusterState;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use super::cluster::Recovering;

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an answer may take. A stopped process accepts connections and never answers.
const PATIENCE: Duration = Duration::from_secs(3);
/// An executor that has not answered that often in a row is lost.
const MAX_SILENT: u32 = 3;
/// So is one whose port has refused connections that often in a row: its process is gone.
const MAX_REFUSED: u32 = 2;

/// What is known of an executor.
#[derive(Debug, Clone, Default)]
struct Known {
    channel: Option<Channel>,
    n_silent: u32,
    n_refused: u32,
}

/// How an executor took the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Fine,
    Refused,
    Silent,
}

/// Asks all executors each second, for as long as the scheduler runs, and tells `cluster` which are
/// silent.
pub(crate) async fn watch(cluster: Arc<Recovering>) {
    let mut known: HashMap<String, Known> = HashMap::new();
    loop {
        tokio::time::sleep(PAUSE).await;
        let executors = cluster.registered_executor_metadata().await;
        known.retain(|id, _| executors.iter().any(|e| &e.id == id));
        let mut questions = JoinSet::new();
        for executor in executors {
            let channel = known
                .entry(executor.id.clone())
                .or_default()
                .channel
                .clone();
            questions.spawn(async move {
                let (answer, channel) = ask(&executor, channel).await;
                (executor.id, answer, channel)
            });
        }
        while let Some(Ok((id, answer, channel))) = questions.join_next().await {
            let state = known.entry(id.clone()).or_default();
            if state.take_note(answer, channel) {
                tracing::warn!(executor = id, ?answer, "an executor does not answer");
                cluster.set_silent(&id);
            }
        }
    }
}

impl Known {
    /// Whether the executor is lost, after this answer.
    fn take_note(&mut self, answer: Answer, channel: Option<Channel>) -> bool {
        self.channel = channel;
        match answer {
            Answer::Fine => (self.n_silent, self.n_refused) = (0, 0),
            Answer::Refused => {
                self.n_silent += 1;
                self.n_refused += 1;
            }
            Answer::Silent => {
                self.n_silent += 1;
                self.n_refused = 0;
            }
        }
        self.n_silent >= MAX_SILENT || self.n_refused >= MAX_REFUSED
    }
}

/// Asks for what the executor's Flight service can do, which it answers from memory. The channel can be
/// used again.
async fn ask(executor: &ExecutorMetadata, channel: Option<Channel>) -> (Answer, Option<Channel>) {
    let question = async {
        let channel = match channel {
            Some(channel) => channel,
            None => connect(executor).await?,
        };
        let mut client = FlightServiceClient::new(channel.clone());
        match client.list_actions(Empty {}).await {
            Ok(_) => Ok(channel),
            // The connection broke; whether the process is there shows a new one.
            Err(status) => Err(is_refused(&status)),
        }
    };
    match timeout(PATIENCE, question).await {
        Ok(Ok(channel)) => (Answer::Fine, Some(channel)),
        Ok(Err(true)) => (Answer::Refused, None),
        Ok(Err(false)) | Err(_) => (Answer::Silent, None),
    }
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
        let mut ask = |answer| executor.take_note(answer, None);
        assert!(!ask(Answer::Silent));
        assert!(!ask(Answer::Silent));
        assert!(!ask(Answer::Fine));
        assert!(!ask(Answer::Silent));
        assert!(!ask(Answer::Refused));
        assert!(ask(Answer::Refused));
        assert!(ask(Answer::Silent));
        assert!(!ask(Answer::Fine));
    }
}
