//! Waits until a scheduler answers.

use std::error::Error as _;
use std::time::{Duration, Instant};

use ballista_core::serde::protobuf::GetJobStatusParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_engine::state;
use tonic::Status;
use tonic::transport::Endpoint;

/// Pause after the first attempt to reach the scheduler; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Asks at `address` until a scheduler answers. A connection alone says nothing: a load balancer accepts it before any
/// scheduler listens.
///
/// # Errors
/// `Unavailable` where none answers within `patience`.
pub(crate) async fn for_scheduler(address: &str, patience: Duration) -> Result<()> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut n_attempts = 0_u32;
    loop {
        let Err(status) = ask(address).await else {
            if n_attempts > 0 {
                tracing::info!(scheduler = address, n_attempts, "the scheduler answers");
            }
            return Ok(());
        };
        if start.elapsed() >= patience {
            let text = format!("cannot reach the scheduler at {address}");
            return Err(Error::new(ErrorKind::Unavailable, text)
                .with_hint("start the scheduler first, or pass another --scheduler-url")
                .with_source(reason(&status)));
        }
        n_attempts += 1;
        tracing::warn!(
            scheduler = address,
            n_attempts,
            reason = %reason(&status),
            ?pause,
            "the scheduler does not answer; it is asked again"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Asks for a job that is not there, which costs nothing and has an answer.
async fn ask(address: &str) -> Result<(), Status> {
    let silent = |_| Status::deadline_exceeded("no answer");
    let connect = async {
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let endpoint = endpoint.map_err(|e| Status::from_error(Box::new(e)))?;
        let channel = state::with_limits(endpoint).connect().await;
        let channel = channel.map_err(|e| Status::from_error(Box::new(e)))?;
        let question = GetJobStatusParams {
            job_id: "none".to_owned(),
        };
        SchedulerGrpcClient::new(channel)
            .get_job_status(question)
            .await
    };
    let answer = tokio::time::timeout(ANSWER, connect).await;
    answer.map_err(silent)?.map(drop)
}

/// The innermost cause, which names the fault of the network.
fn reason(status: &Status) -> String {
    let below = std::iter::successors(status.source(), |&cause| cause.source());
    let innermost = below.last().map(ToString::to_string);
    innermost.unwrap_or_else(|| status.message().to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_port_that_accepts_is_no_scheduler() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let balancer = tokio::spawn(async move {
            let mut n_connections = 0;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                n_connections += 1;
                // One without a word, one with that of a balancer of HTTP.
                if n_connections % 2 == 0 {
                    let _ = stream
                        .write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
                        .await;
                }
            }
        });
        let patience = Duration::from_millis(500);
        let error = for_scheduler(&address, patience).await.unwrap_err();
        balancer.abort();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains(&address), "{error}");
    }
}
