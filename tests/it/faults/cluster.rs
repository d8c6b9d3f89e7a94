//! Clusters of processes that end with their test.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use emporia_client::port;
use emporia_e2e::cluster::{Cluster, signal};
use emporia_e2e::programs::{program, wait_until};
use serde_json::Value;

use super::proxy::Proxy;

const START: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(5);
/// Where the scheduler lists its executors.
const EXECUTORS: &str = "/api/executors";

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

/// Starts a cluster of executors with one slot each in `folder`.
pub(crate) fn start(
    folder: &Path,
    n_executors: usize,
    patience: Patience,
    environment: &[(&str, String)],
) -> Result<Cluster, String> {
    let n_executors = n_executors.to_string();
    let flags = ["--slots", "1", "--executors", &n_executors];
    let variables = patience.variables().iter();
    let variables = variables.map(|(name, value)| (*name, (*value).to_owned()));
    let environment: Vec<_> = variables.chain(environment.iter().cloned()).collect();
    Cluster::up(folder, &flags, &environment)
}

/// Where proxies listen. Programs listen on 127.0.0.1, on the same ports.
pub(super) const PROXY_HOST: &str = "127.0.0.2";

/// How processes reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    Direct,
    /// The scheduler reaches the executors directly. Their reports go through a proxy, not their heartbeats.
    Reports,
    /// Whoever reaches an executor or the scheduler does so through a proxy.
    All,
}

/// A scheduler and executors that are children of the test, so that their exit codes can be seen.
pub(super) struct Processes {
    folder: PathBuf,
    network: Network,
    pub(super) url: String,
    pub(super) scheduler: Process,
    /// Between executors and the scheduler.
    pub(super) scheduler_link: Option<Proxy>,
    pub(super) executors: Vec<Executor>,
}

/// An executor, how it was started, and where it serves its metrics.
pub(super) struct Executor {
    pub(super) name: String,
    pub(super) process: Process,
    pub(super) work_dir: PathBuf,
    /// Before its port of data, at which the scheduler asks it, too, and before the port of tasks.
    pub(super) links: Option<[Proxy; 2]>,
    folder: PathBuf,
    flags: Vec<String>,
    health_url: String,
}

impl Processes {
    /// Starts executors with one slot each and waits until they are registered.
    pub(super) fn start(folder: &Path, n_executors: usize) -> Result<Self, String> {
        Self::start_on(Network::Direct, folder, n_executors)
    }

    /// The same, on a network that can be cut.
    pub(super) fn start_on(
        network: Network,
        folder: &Path,
        n_executors: usize,
    ) -> Result<Self, String> {
        let [port] = free_ports()?;
        let mut flags = vec!["--bind-port", &port];
        let mut scheduler_link = None;
        if network != Network::Direct {
            flags.extend(["--external-host", PROXY_HOST]);
            scheduler_link = Some(Proxy::start(&port)?);
        }
        let mut processes = Self {
            folder: folder.to_owned(),
            network,
            url: format!("http://127.0.0.1:{port}"),
            scheduler: Process::start(folder, "scheduler", &flags)?,
            scheduler_link,
            executors: Vec::new(),
        };
        // A proxy takes connections before the scheduler does, and closes them. An executor waits for a scheduler
        // that cannot be reached, and ends where it is not registered.
        if network != Network::Direct
            && !wait_until(START, || get(&processes.url, EXECUTORS).is_ok())
        {
            return Err(format!(
                "the scheduler of {} does not answer",
                processes.url
            ));
        }
        for _ in 0..n_executors {
            processes.add_executor()?;
        }
        match wait_until(START, || executors_of(&processes.url).len() == n_executors) {
            true => Ok(processes),
            false => Err(format!(
                "the executors of {} did not register",
                processes.url
            )),
        }
    }

    /// Starts one more executor, without waiting for it.
    pub(super) fn add_executor(&mut self) -> Result<(), String> {
        let name = format!("executor-{}", self.executors.len() + 1);
        let [flight, grpc, health] = free_ports()?;
        let work_dir = self.folder.join(&name);
        let work_path = work_dir.display().to_string();
        let is_linked = self.network == Network::All;
        let url = match is_linked {
            true => self.url.replace("127.0.0.1", PROXY_HOST),
            false => self.url.clone(),
        };
        #[rustfmt::skip]
        let mut flags = vec![
            "--id", &name, "--scheduler-url", &url, "--task-slots", "1",
            "--work-dir", &work_path, "--flight-port", &flight, "--grpc-port", &grpc,
            "--health-port", &health,
        ];
        let mut links = None;
        if is_linked {
            flags.extend(["--external-host", PROXY_HOST]);
            links = Some([Proxy::start(&flight)?, Proxy::start(&grpc)?]);
        }
        self.executors.push(Executor {
            process: Process::start(&self.folder, "executor", &flags)?,
            work_dir,
            links,
            folder: self.folder.clone(),
            flags: flags.into_iter().map(str::to_owned).collect(),
            health_url: format!("http://127.0.0.1:{health}"),
            name,
        });
        Ok(())
    }
}

impl Executor {
    /// Kills it and starts it again, under the same name.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let _ = self.process.0.kill();
        let _ = self.process.0.wait();
        self.process = Process::start(&self.folder, "executor", &flags)?;
        Ok(())
    }

    /// Whether it takes tasks.
    pub(super) fn is_ready(&self) -> bool {
        get(&self.health_url, "/readyz").is_ok_and(|(status, _)| status == 200)
    }

    /// How many tasks it has done; 0 where it does not answer.
    pub(super) fn n_done(&self) -> u64 {
        let name = "emporia_executor_tasks_total{outcome=\"succeeded\"}";
        metric(&self.health_url, name).unwrap_or(0)
    }

    /// How many tasks it runs; `None` where it does not answer.
    pub(super) fn n_running(&self) -> Option<u64> {
        metric(&self.health_url, "emporia_executor_tasks_running")
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
            .env("EMPORIA_STORES__LOCAL_ROOTS", "/")
            .spawn();
        child.map(Self).map_err(|e| e.to_string())
    }

    /// Sends the process a signal, such as `TERM`.
    pub(super) fn signal(&self, name: &str) -> Result<(), String> {
        signal(name, self.0.id().into())
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
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

pub(super) fn free_ports<const N: usize>() -> Result<[String; N], String> {
    let ports = port::free_ports().map_err(|e| e.to_string())?;
    Ok(ports.map(|port| port.to_string()))
}

/// Status and body of a GET.
pub(crate) fn get(url: &str, path: &str) -> std::io::Result<(u16, String)> {
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

/// A metric of a process; `None` where it does not say it.
pub(super) fn metric(url: &str, name: &str) -> Option<u64> {
    let (_, text) = get(url, "/metrics").ok()?;
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// The list that the scheduler answers; empty where it does not answer.
fn list(url: &str, path: &str) -> Vec<Value> {
    let body = get(url, path).map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or_default()
}

/// The executors that the scheduler counts on.
pub(super) fn executors_of(url: &str) -> Vec<String> {
    let executors = list(url, EXECUTORS);
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
