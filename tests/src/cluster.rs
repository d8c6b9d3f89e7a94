//! A cluster of separate processes that ends with its test, however the test ends.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::programs::program;

/// Where the cluster keeps its state and logs, below the folder of the test.
pub const STATE_DIR: &str = "cluster";

/// Patience with an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A cluster that `emporia cluster up` started; it is stopped on drop.
#[derive(Debug)]
pub struct Cluster {
    /// The scheduler's address.
    pub url: String,
    folder: PathBuf,
    state: Value,
}

impl Cluster {
    /// Starts it in `folder`, with the configuration that is there and more flags of `cluster up`.
    ///
    /// # Errors
    /// With what the program said.
    pub fn up(
        folder: &Path,
        flags: &[&str],
        environment: &[(&str, String)],
    ) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        let output = command(folder, "up")?
            .args(["--port", "0"])
            .args(flags)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .output()
            .map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let mut cluster = Self {
            url: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            folder: folder.to_owned(),
            state: Value::Null,
        };
        let file = folder.join(STATE_DIR).join("state.json");
        let text = fs::read_to_string(file).map_err(|e| e.to_string())?;
        cluster.state = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        Ok(cluster)
    }

    /// Kills the process of that name at once.
    ///
    /// # Errors
    /// Where there is none, or it cannot be killed.
    pub fn kill(&self, name: &str) -> Result<(), String> {
        let mut processes = self.processes();
        let process = processes.find(|process| process["name"] == name);
        let pid = process
            .and_then(|p| p["pid"].as_u64())
            .ok_or_else(|| format!("no {name}"))?;
        signal("KILL", pid)
    }

    fn processes(&self) -> impl Iterator<Item = &Value> {
        self.state["processes"].as_array().into_iter().flatten()
    }

    fn executors(&self) -> impl Iterator<Item = &Value> {
        self.processes().filter(|p| p["role"] == "executor")
    }

    /// Processor time that the executors have used, in ticks of the kernel: how far a job is, whatever else
    /// the machine does. Executors that are gone count as 0.
    pub fn executor_ticks(&self) -> u64 {
        let pids = self.executors().filter_map(|p| p["pid"].as_u64());
        pids.filter_map(ticks).sum()
    }

    /// Number of tasks that run. Executors that do not answer count as idle.
    pub fn n_running_tasks(&self) -> u64 {
        let urls = self.executors().filter_map(|p| p["probe_url"].as_str());
        let running = urls.filter_map(|url| {
            let metrics = get(url, "/metrics").ok()?;
            let mut lines = metrics.lines();
            let n = lines.find_map(|line| line.strip_prefix("emporia_executor_tasks_running "));
            n?.trim().parse::<u64>().ok()
        });
        running.sum()
    }

    /// Number of queries that the scheduler has taken and that have not ended.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn n_active_queries(&self) -> Result<usize, String> {
        let answer = get(&self.url, "/api/jobs")?;
        let n_queries = |status: &str| answer.matches(&format!("\"status\":\"{status}\"")).count();
        Ok(n_queries("Queued") + n_queries("Running"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A panic in here would hide the one that ends the test.
        if let Ok(mut down) = command(&self.folder, "down") {
            let _ = down.args(["--deadline", "2s"]).output();
        }
        // Where the folder went first, nobody knows of the processes but us.
        for process in self.processes() {
            if let Some(pid) = process["pid"].as_u64()
                && is_of_emporia(pid)
            {
                let _ = signal("KILL", pid);
            }
        }
    }
}

/// The answer to a GET.
fn get(url: &str, path: &str) -> Result<String, String> {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).map_err(|e| e.to_string())?;
    stream
        .set_read_timeout(Some(ANSWER))
        .map_err(|e| e.to_string())?;
    // Version 1.0 makes the server close the connection after its answer.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").map_err(|e| e.to_string())?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .map_err(|e| e.to_string())?;
    match answer.contains(" 200 OK\r\n") {
        true => Ok(answer),
        false => Err(answer),
    }
}

/// Processor time of a process, in ticks of the kernel.
fn ticks(pid: u64) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may have spaces; user and system time are the 12th and 13th field after it.
    let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let times = fields.take(2).map(|field| field.parse::<u64>().ok());
    times.sum()
}

/// Whether the number has not been given to another program meanwhile.
fn is_of_emporia(pid: u64) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("/emporia-"))
}

fn command(folder: &Path, verb: &str) -> Result<Command, String> {
    let mut command = Command::new(program("emporia")?);
    command
        .args(["cluster", verb, "--quiet", "--state-dir", STATE_DIR])
        .current_dir(folder)
        .stdin(Stdio::null())
        .env_remove("EMPORIA_CONFIG");
    Ok(command)
}

/// Sends a signal with the `kill` of the shell; the program of that name is missing in small
/// containers.
///
/// # Errors
/// Where the process is not there.
pub fn signal(name: &str, pid: u64) -> Result<(), String> {
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
