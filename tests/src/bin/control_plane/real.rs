//! Small queries on real executors.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use emporia_core::catalog::Catalog;
use emporia_engine::{EngineOptions, Session, Stores, Target};
use serde_json::Value;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::Options;
use crate::processes::program;

/// Two stages, four groups.
const QUERY: &str = "SELECT column1 % 4 AS k, count(*) AS n, sum(column1) AS s \
                     FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8)) AS v GROUP BY column1 % 4";
const N_ROWS: usize = 4;

/// Runs queries on two executors with two slots each.
pub(crate) async fn run(options: &Options) -> Result<(), String> {
    let n_queries = options.number("queries", 10_000)?;
    let n_clients = options.number("clients", 4)?;
    let every = options.number("every", 1_000)?;
    let per_session = options.number("per-session", 100)?.max(1);
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let slots = ["--executors", "2", "--slots", "2", "--port", "0"];
    cluster(folder.path(), "up", &slots).await?;
    let result = queries(folder.path(), n_queries, n_clients, every, per_session).await;
    cluster(folder.path(), "down", &[]).await?;
    result
}

async fn cluster(folder: &Path, verb: &str, flags: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program("emporia")?);
    command
        .args(["cluster", verb, "--quiet", "--state-dir", "cluster"])
        .args(flags)
        .env_remove("EMPORIA_CONFIG")
        .current_dir(folder);
    let output = command.output().await.map_err(|e| e.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

async fn queries(
    folder: &Path,
    n_queries: usize,
    n_clients: usize,
    every: usize,
    per_session: usize,
) -> Result<(), String> {
    let state = std::fs::read_to_string(folder.join("cluster/state.json"));
    let state: Value =
        serde_json::from_str(&state.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    let url = state["url"].as_str().ok_or("no url")?.to_owned();
    let processes = state["processes"].as_array().ok_or("no processes")?;
    let scheduler = processes
        .iter()
        .find(|process| process["name"] == "scheduler");
    let pid = scheduler
        .and_then(|p| p["pid"].as_u64())
        .ok_or("no scheduler")?;
    let pid = pid.try_into().map_err(|_| "no number of a process")?;
    let n_started = Arc::new(AtomicUsize::new(0));
    let n_done = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..n_clients {
        let (url, n_started, n_done) = (url.clone(), Arc::clone(&n_started), Arc::clone(&n_done));
        clients.spawn(async move {
            let stores = Stores::new(Default::default());
            loop {
                let target = Target::Scheduler(url.clone());
                let opened = Session::open(
                    Catalog::default(),
                    target,
                    &EngineOptions::default(),
                    &stores,
                );
                let session = opened.map_err(|e| e.to_string())?;
                for _ in 0..per_session {
                    if n_started.fetch_add(1, Ordering::Relaxed) >= n_queries {
                        return Ok(());
                    }
                    query(&session).await?;
                    n_done.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    let address = url.trim_start_matches("http://");
    crate::watch(address, pid, &n_done, every, clients).await
}

async fn query(session: &Session) -> Result<(), String> {
    let frame = session
        .context()
        .sql(QUERY)
        .await
        .map_err(|e| e.to_string())?;
    let rows = session.collect(frame).await.map_err(|e| e.to_string())?;
    let n_rows: usize = rows.iter().map(|batch| batch.num_rows()).sum();
    if n_rows == N_ROWS {
        Ok(())
    } else {
        Err(format!("{n_rows} rows"))
    }
}
