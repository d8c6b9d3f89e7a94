//! Starting the processes of a cluster and waiting until they work.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use emporia_connectors::format::CLUSTER_STATE;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_engine::rest::{Probe, Rest};

use super::process::{Signal, send, start_ticks};
use super::state::{Process, Role, State, already_runs, headless};
use crate::port::{self, LOOPBACK as HOST};

/// The allocator gives memory back after this many milliseconds. Its own 10 ms make the kernel zero the
/// same pages again and again, which takes some percent of a large scan.
const PURGE_DELAY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "1000");

const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// Lines of a log that an error shows.
const TAIL_LINES: usize = 15;

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) executors: u16,
    pub(crate) slots: u16,
    /// Port of the scheduler; 0 for any.
    pub(crate) port: u16,
    /// Folder for state, logs and data.
    pub(crate) folder: PathBuf,
    /// Configuration file of the processes.
    pub(crate) config: Option<PathBuf>,
    /// Whether their configuration says which local files they may use. If it does not, they may use what the user
    /// of this program may, who is theirs, too.
    pub(crate) has_local_roots: bool,
}

/// Starts the processes, waits until all are ready, and saves the state.
///
/// # Errors
/// `AlreadyExists` where a cluster runs in the folder, `Failed` with the end of a log where a
/// process does not start, `Unavailable` where one ends for want of another, or of a port, in each
/// of a few tries; then nothing is left running.
pub(crate) async fn start(plan: &Plan) -> Result<State> {
    match State::load(&plan.folder)? {
        Some(state) if state.is_alive() => {
            let is_whole = state.scheduler().is_some_and(Process::is_alive);
            return Err(match is_whole {
                true => already_runs(&plan.folder, Some(&state.url)),
                false => headless(&plan.folder),
            });
        }
        _ => State::remove(&plan.folder)?,
    }
    port::with_tries(async || start_once(plan).await).await
}

async fn start_once(plan: &Plan) -> Result<State> {
    let mut started = Started::default();
    let state = started.spawn(plan)?;
    state.save(&plan.folder)?;
    // From here on the file is ours to remove.
    started.state_folder = Some(plan.folder.clone());
    started
        .wait_until_ready(&state, usize::from(plan.executors))
        .await?;
    started.release();
    Ok(state)
}

/// Processes that end with this value, unless they are released.
#[derive(Default)]
struct Started {
    children: Vec<(Child, PathBuf)>,
    state_folder: Option<PathBuf>,
}

impl Drop for Started {
    fn drop(&mut self) {
        for (child, _) in &self.children {
            send(Signal::Terminate, child.id());
        }
        for (child, _) in &mut self.children {
            // There are no jobs yet, so there is nothing to wait for.
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(folder) = &self.state_folder
            && let Err(error) = State::remove(folder)
        {
            tracing::warn!(%error, "the state is left behind");
        }
    }
}

impl Started {
    fn spawn(&mut self, plan: &Plan) -> Result<State> {
        let folder = std::path::absolute(&plan.folder).unwrap_or_else(|_| plan.folder.clone());
        let logs = folder.join("logs");
        fs::create_dir_all(&logs).map_err(|e| {
            Error::new(
                ErrorKind::Failed,
                format!("cannot make `{}`", logs.display()),
            )
            .with_source(e)
        })?;
        let scheduler_port = port::claim(plan.port)?;
        let url = format!("http://{HOST}:{scheduler_port}");
        let events = folder.join("events").display().to_string();
        let port = scheduler_port.to_string();
        let flags = [
            "--bind-host",
            HOST,
            "--bind-port",
            &port,
            "--event-log-dir",
            &events,
        ];
        let mut processes = Vec::new();
        processes.push(Process {
            name: "scheduler".to_owned(),
            role: Role::Scheduler,
            address: format!("{HOST}:{scheduler_port}"),
            probe_url: url.clone(),
            ..self.spawn_one("emporia-scheduler", "scheduler", &flags, plan, &logs)?
        });
        for number in 1..=plan.executors {
            let name = format!("executor-{number}");
            let ports = port::free_ports().map_err(|e| {
                Error::new(ErrorKind::Failed, "cannot find free ports").with_source(e)
            })?;
            let [flight, grpc, health] = ports.map(|port| port.to_string());
            let work_dir = folder.join("work").join(&name).display().to_string();
            let slots = plan.slots.to_string();
            let flags = [
                "--id",
                &name,
                "--bind-host",
                HOST,
                "--scheduler-url",
                &url,
                "--flight-port",
                &flight,
                "--grpc-port",
                &grpc,
                "--health-port",
                &health,
                "--work-dir",
                &work_dir,
                "--task-slots",
                &slots,
            ];
            processes.push(Process {
                role: Role::Executor,
                address: format!("{HOST}:{flight}"),
                probe_url: format!("http://{HOST}:{health}"),
                ..self.spawn_one("emporia-executor", &name, &flags, plan, &logs)?
            });
        }
        let started = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        Ok(State {
            version: CLUSTER_STATE.newest,
            url,
            started,
            processes,
        })
    }

    fn spawn_one(
        &mut self,
        program: &str,
        name: &str,
        flags: &[&str],
        plan: &Plan,
        logs: &Path,
    ) -> Result<Process> {
        let path = program_path(program);
        let log = logs.join(format!("{name}.log"));
        let failed = |e: std::io::Error| {
            Error::new(
                ErrorKind::Failed,
                format!("cannot start `{}`", path.display()),
            )
            .with_hint(format!("put `{program}` beside `emporia` or on the PATH"))
            .with_source(e)
        };
        let output = File::create(&log).map_err(failed)?;
        let mut command = Command::new(&path);
        command
            .args(flags)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output);
        if std::env::var_os(PURGE_DELAY.0).is_none() {
            command.env(PURGE_DELAY.0, PURGE_DELAY.1);
        }
        if !plan.has_local_roots {
            command.env("EMPORIA_STORES__LOCAL_ROOTS", "/");
        }
        if let Some(config) = &plan.config {
            command.arg("--config").arg(config);
        }
        // Ctrl-C in this terminal is not meant for the cluster.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(failed)?;
        let pid = child.id();
        self.children.push((child, log.clone()));
        Ok(Process {
            name: name.to_owned(),
            role: Role::Executor,
            pid,
            start_ticks: start_ticks(pid),
            address: String::new(),
            probe_url: String::new(),
            log,
        })
    }

    async fn wait_until_ready(&mut self, state: &State, n_executors: usize) -> Result<()> {
        let rest = Rest::new(&state.url)?;
        let start = Instant::now();
        let mut n_found = 0;
        while start.elapsed() < START_TIMEOUT {
            for (child, log) in &mut self.children {
                if let Ok(Some(status)) = child.try_wait() {
                    let message = format!("a process of the cluster ended at its start ({status})");
                    let kind = match status.code() {
                        Some(code) if code == i32::from(ErrorKind::Unavailable.exit_code()) => {
                            ErrorKind::Unavailable
                        }
                        _ => ErrorKind::Failed,
                    };
                    return Err(Error::new(kind, message).with_source(tail(log)));
                }
            }
            if rest.probe().await == Some(Probe::Ready)
                && let Ok(executors) = rest.executors().await
            {
                n_found = executors.len();
                if n_found >= n_executors {
                    return Ok(());
                }
            }
            tokio::time::sleep(POLL).await;
        }
        let log = self
            .children
            .last()
            .map(|(_, log)| tail(log))
            .unwrap_or_default();
        let seconds = START_TIMEOUT.as_secs();
        let message = format!("{n_found} of {n_executors} executors are ready after {seconds} s");
        Err(Error::new(ErrorKind::Timeout, message).with_source(log))
    }

    /// Lets the processes live on.
    fn release(mut self) {
        self.children.clear();
        self.state_folder = None;
    }
}

/// The program beside this one, else the one on the PATH.
fn program_path(name: &str) -> PathBuf {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join(name)));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(name))
}

/// The last lines of a log, with its name.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    format!("end of {}:\n{}", log.display(), last.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_shown() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("x.log");
        let lines: Vec<_> = (1..=20).map(|n| n.to_string()).collect();
        fs::write(&log, lines.join("\n"))?;
        let shown = tail(&log);
        assert!(
            shown.contains(":\n6\n7\n") && shown.ends_with("\n20"),
            "{shown}"
        );
        Ok(())
    }
}
