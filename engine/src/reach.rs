//! Whether this process reaches the executors, which hand out the rows of results themselves.
//!
//! A scheduler may be reachable where its executors are not, for example through the only port of a container
//! network that is open.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use emporia_core::error::{Error, ErrorKind, Result};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;

use crate::rest::{ExecutorInfo, Rest};

/// Patience with one connection.
const CONNECT: Duration = Duration::from_secs(3);
/// How long an executor that lives may be without a heartbeat, with room to spare.
const HEARTBEAT: Duration = Duration::from_secs(12);
const POLL: Duration = Duration::from_millis(500);
/// How many addresses a message names.
const MAX_NAMED: usize = 3;

/// Fails where the scheduler of `rest` has executors that live and none of `executors` can be reached from here.
///
/// One that is dead, or listens no more, is for the scheduler to find out.
///
/// # Errors
/// `Unavailable`, with the addresses.
pub async fn check_any(rest: &Rest, executors: &[ExecutorInfo]) -> Result<()> {
    let mut answers: FuturesUnordered<_> = executors.iter().map(is_reached).collect();
    let mut is_any = executors.is_empty();
    while !is_any && let Some(is_one) = answers.next().await {
        is_any = is_one;
    }
    if is_any {
        return Ok(());
    }
    match alive(rest, executors).await {
        alive if alive.is_empty() => Ok(()),
        alive => Err(out_of_reach(
            "the scheduler answers, but none of its executors can be reached from here",
            &alive,
        )),
    }
}

/// Of the executors with these names, those that live and cannot be reached from here.
pub(crate) async fn unreached(rest: &Rest, names: &[String]) -> Vec<ExecutorInfo> {
    let Ok(mut executors) = rest.executors().await else {
        return Vec::new();
    };
    executors.retain(|executor| names.contains(&executor.id));
    let answers = futures::future::join_all(executors.iter().map(is_reached)).await;
    let mut answers = answers.into_iter();
    executors.retain(|_| answers.next() == Some(false));
    if executors.is_empty() {
        return executors;
    }
    alive(rest, &executors).await
}

/// The error for executors that cannot be reached.
pub(crate) fn out_of_reach(text: &str, executors: &[ExecutorInfo]) -> Error {
    let addresses: Vec<_> = executors.iter().take(MAX_NAMED).map(address).collect();
    let more = match executors.len() > MAX_NAMED {
        true => ", …",
        false => "",
    };
    let text = format!("{text}: {}{more}", addresses.join(", "));
    Error::new(ErrorKind::Unavailable, text).with_hint(
        "rows come from the executors themselves: run the client where it reaches these addresses, for example in \
         the cluster's network",
    )
}

fn address(executor: &ExecutorInfo) -> String {
    match executor.host.contains(':') {
        true => format!("[{}]:{}", executor.host, executor.port),
        false => format!("{}:{}", executor.host, executor.port),
    }
}

/// Whether the machine of the executor answers, be it that nobody listens there any more.
async fn is_reached(executor: &ExecutorInfo) -> bool {
    let connect = TcpStream::connect((executor.host.as_str(), executor.port));
    match tokio::time::timeout(CONNECT, connect).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
        ),
        Err(_) => false,
    }
}

/// Those of the executors of which the scheduler hears from now on.
async fn alive(rest: &Rest, executors: &[ExecutorInfo]) -> Vec<ExecutorInfo> {
    let before: HashMap<&str, _> = executors
        .iter()
        .map(|executor| (executor.id.as_str(), executor.last_seen))
        .collect();
    let start = Instant::now();
    loop {
        tokio::time::sleep(POLL).await;
        let Ok(mut now) = rest.executors().await else {
            return Vec::new();
        };
        now.retain(|executor| {
            let seen = before.get(executor.id.as_str());
            seen.is_some_and(|before| executor.last_seen > *before)
        });
        if !now.is_empty() || start.elapsed() >= HEARTBEAT {
            return now;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::rest::Specification;

    fn executor(host: &str, port: u16) -> ExecutorInfo {
        ExecutorInfo {
            id: format!("at-{port}"),
            host: host.to_owned(),
            port,
            last_seen: Some(1),
            specification: Specification { vcores: 1 },
            set_aside_seconds: 0,
        }
    }

    #[tokio::test]
    async fn a_machine_that_answers_is_reached() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        assert!(is_reached(&executor("127.0.0.1", port)).await);
        drop(listener);
        assert!(is_reached(&executor("127.0.0.1", port)).await);
        assert!(!is_reached(&executor("no-such-host.invalid", port)).await);
        Ok(())
    }

    #[tokio::test]
    async fn one_executor_that_is_reached_is_enough() -> Result<()> {
        let rest = Rest::new("http://127.0.0.1:1")?;
        check_any(&rest, &[]).await?;
        let executors = [
            executor("no-such-host.invalid", 1),
            executor("127.0.0.1", 1),
        ];
        check_any(&rest, &executors).await
    }

    #[test]
    fn few_addresses_are_named() {
        let executors: Vec<_> = (1..=4).map(|port| executor("::1", port)).collect();
        let error = out_of_reach("none is there", &executors);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(
            error.message(),
            "none is there: [::1]:1, [::1]:2, [::1]:3, …"
        );
    }
}
