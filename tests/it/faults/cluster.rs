//! Clusters of processes that end with their test.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use emporia_client::port;
use emporia_e2e::programs::{program, wait_until};
use serde_json::Value;

const START: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(5);

/// How soon a dead executor is noticed.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// As the programs come.
    Default,
    /// In about 6 s, for tests that wait for it often.
    Short,
}

impl Patience {
    fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Default => &[],
            Self::Short => &[
                ("EMPORIA_SCHEDULER__EXECUTOR_TIMEOUT", "6s"),
                ("EMPORIA_SCHEDULER__EXPIRE_DEAD_EXECUTOR_INTERVAL", "1s"),
                ("EMPORIA_EXECUTOR__HEARTBEAT_INTERVAL", "2s"),
            ],
        }
    }
}

/// A cluster that `emporia cluster up` started; it is stopped on drop.
pub(crate) struct Cluster {
    pub(crate) url: String,
    folder: PathBuf,
    state: Value,
}

impl Cluster {
    /// Starts executors with one slot each; state and logs are in `folder`.
    pub(super) fn up(
        folder: &Path,
        n_executors: usize,
        patience: Patience,
    ) -> Result<Self, String> {
        Self::up_with(folder, n_executors, patience, &[])
    }

    /// As [`Cluster::up`], with more environment variables.
    pub(crate) fn up_with(
        folder: &Path,
        n_executors: usize,
        patience: Patience,
        environment: &[(&str, String)],
    ) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        let output = Command::new(program("emporia")?)
            .args([
                "cluster",
                "up",
                "--quiet",
                "--slots",
                "1",
                "--port",
                "0",
                "--executors",
            ])
            .arg(n_executors.to_string())
            .arg("--state-dir")
            .arg(folder)
            .current_dir(folder)
            .stdin(Stdio::null())
            .env_remove("EMPORIA_CONFIG")
            .envs(patience.variables().iter().copied())
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .output()
            .map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let url = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let mut cluster = Self {
            url,
            folder: folder.to_owned(),
            state: Value::Null,
        };
        let text = fs::read_to_string(folder.join("state.json")).map_err(|e| e.to_string())?;
        cluster.state = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        Ok(cluster)
    }

    /// Kills the process of that name at once.
    pub(crate) fn kill(&self, name: &str) -> Result<(), String> {
        let processes = self.state["processes"]
            .as_array()
            .ok_or("no processes in the state")?;
        let process = processes.iter().find(|process| process["name"] == name);
        let pid = process
            .and_then(|p| p["pid"].as_u64())
            .ok_or_else(|| format!("no {name}"))?;
        signal("KILL", pid)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Ok(emporia) = program("emporia") else {
            return;
        };
        let _ = Command::new(emporia)
            .args([
                "cluster",
                "down",
                "--quiet",
                "--deadline",
                "1s",
                "--state-dir",
            ])
            .arg(&self.folder)
            .current_dir(&self.folder)
            .env_remove("EMPORIA_CONFIG")
            .output();
    }
}

/// A scheduler and executors that are children of the test, so that their exit codes can be seen.
pub(super) struct Processes {
    pub(super) url: String,
    pub(super) scheduler: Process,
    pub(super) executors: Vec<Process>,
}

impl Processes {
    /// Starts executors with one slot each and waits until they are registered.
    pub(super) fn start(folder: &Path, n_executors: usize) -> Result<Self, String> {
        let [port] = free_ports()?;
        let url = format!("http://127.0.0.1:{port}");
        let scheduler = Process::start(folder, "scheduler", &["--bind-port", &port])?;
        let mut executors = Vec::new();
        for number in 1..=n_executors {
            let name = format!("executor-{number}");
            let [flight, grpc, health] = free_ports()?;
            let work_dir = folder.join(&name).display().to_string();
            #[rustfmt::skip]
            let flags = [
                "--id", &name, "--scheduler-url", &url, "--task-slots", "1",
                "--work-dir", &work_dir, "--flight-port", &flight, "--grpc-port", &grpc,
                "--health-port", &health,
            ];
            executors.push(Process::start(folder, "executor", &flags)?);
        }
        let processes = Self {
            url,
            scheduler,
            executors,
        };
        match wait_until(START, || executors_of(&processes.url).len() == n_executors) {
            true => Ok(processes),
            false => Err(format!(
                "the executors of {} did not register",
                processes.url
            )),
        }
    }
}

/// A child that is killed on drop.
pub(super) struct Process(pub(super) Child);

impl Process {
    fn start(folder: &Path, role: &str, flags: &[&str]) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        let log = File::create(folder.join(format!("{role}-{}.log", flags[1])));
        let child = Command::new(program(&format!("emporia-{role}"))?)
            .args(flags)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.map_err(|e| e.to_string())?)
            .env_remove("EMPORIA_CONFIG")
            .spawn();
        child.map(Self).map_err(|e| e.to_string())
    }

    /// Tells the process to end.
    pub(super) fn terminate(&self) -> Result<(), String> {
        signal("TERM", self.0.id().into())
    }

    /// How it ended; `None` where it has not within `limit`.
    pub(super) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut status = None;
        wait_until(limit, || {
            status = self.0.try_wait().ok().flatten();
            status.is_some()
        });
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The `kill` of the shell; the program of that name is missing in small containers.
fn signal(name: &str, pid: u64) -> Result<(), String> {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()])
        .status()
        .map_err(|e| e.to_string())?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cannot send SIG{name} to {pid}"))
    }
}

fn free_ports<const N: usize>() -> Result<[String; N], String> {
    let ports = port::free_ports().map_err(|e| e.to_string())?;
    Ok(ports.map(|port| port.to_string()))
}

/// Status and body of a GET.
pub(super) fn get(url: &str, path: &str) -> std::io::Result<(u16, String)> {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("no HTTP status"))?;
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned());
    Ok((status, body.unwrap_or_default()))
}

/// The list that the scheduler answers; empty where it does not answer.
fn list(url: &str, path: &str) -> Vec<Value> {
    let body = get(url, path).map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or_default()
}

/// The executors that the scheduler counts on.
pub(super) fn executors_of(url: &str) -> Vec<String> {
    let executors = list(url, "/api/executors");
    executors
        .iter()
        .filter_map(|e| Some(e["id"].as_str()?.to_owned()))
        .collect()
}

/// What the queries of a cluster have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Stages that are complete, over all queries since the start of the cluster.
    pub(super) n_stages: u64,
    /// Whether a query runs.
    pub(super) is_running: bool,
}

impl Progress {
    /// Asks the scheduler.
    pub(super) fn of(url: &str) -> Self {
        let queries = list(url, "/api/jobs");
        Self {
            n_stages: queries
                .iter()
                .filter_map(|q| q["completed_stages"].as_u64())
                .sum(),
            is_running: queries.iter().any(|q| q["status"] == "Running"),
        }
    }
}
