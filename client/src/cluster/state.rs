//! What `emporia cluster up` leaves behind for `status` and `down`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use emporia_connectors::format::CLUSTER_STATE;
use emporia_core::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::process;

const FILE: &str = "state.json";

/// A started cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Version of the format.
    #[serde(default = "first")]
    pub(crate) version: u32,
    /// Address of the scheduler, for `--cluster`.
    pub(crate) url: String,
    /// When it was started, RFC 3339.
    pub(crate) started: String,
    /// The scheduler first.
    pub(crate) processes: Vec<Process>,
}

/// The version of a state that does not say one.
fn first() -> u32 {
    CLUSTER_STATE.oldest
}

/// One process of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// `scheduler`, or the id of an executor.
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) pid: u32,
    /// Tells the process from a later one with the same pid; `None` where the system does not say.
    pub(crate) start_ticks: Option<u64>,
    /// `host:port` of its service.
    pub(crate) address: String,
    /// Base of its probes.
    pub(crate) probe_url: String,
    pub(crate) log: PathBuf,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Plans and hands out tasks.
    Scheduler,
    /// Runs tasks.
    Executor,
}

impl State {
    /// Reads the state in a folder; `None` where no cluster was started from there.
    ///
    /// # Errors
    /// `Corrupt` where the file is not a state, `Unsupported` where it is of another version.
    pub(crate) fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed("read", &path, e)),
        };
        CLUSTER_STATE.check_json(format!("`{}`", path.display()), text.as_bytes())?;
        serde_json::from_str(&text).map(Some).map_err(|e| {
            Error::new(
                ErrorKind::Corrupt,
                format!("`{}` is not the state of a cluster", path.display()),
            )
            .with_hint("end its processes by hand and remove the file")
            .with_source(e)
        })
    }

    /// Writes the state whole.
    ///
    /// # Errors
    /// `AlreadyExists` where another cluster was started from the folder in the meantime.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::internal("cannot write the state").with_source(e))?;
        let mut file =
            tempfile::NamedTempFile::new_in(folder).map_err(|e| failed("write", &path, e))?;
        file.write_all(&text)
            .map_err(|e| failed("write", &path, e))?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(()),
            Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(already_runs(folder, None))
            }
            Err(e) => Err(failed("write", &path, e.error)),
        }
    }

    /// Removes the state, if there is one.
    pub(crate) fn remove(folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &path, e)),
            _ => Ok(()),
        }
    }

    /// Whether any of the processes lives.
    pub(crate) fn is_alive(&self) -> bool {
        self.processes.iter().any(Process::is_alive)
    }

    /// The scheduler.
    pub(crate) fn scheduler(&self) -> Option<&Process> {
        self.processes
            .iter()
            .find(|process| process.role == Role::Scheduler)
    }
}

impl Process {
    /// Whether this very process lives.
    pub(crate) fn is_alive(&self) -> bool {
        process::is_alive(self.pid, self.start_ticks)
    }
}

/// The error for a second cluster in one folder.
pub(crate) fn already_runs(folder: &Path, url: Option<&str>) -> Error {
    let place = url.map(|url| format!(" at {url}")).unwrap_or_default();
    Error::new(
        ErrorKind::AlreadyExists,
        format!(
            "a cluster of `{}` is already running{place}",
            folder.display()
        ),
    )
    .with_hint(
        "stop it with `emporia cluster down`, or start another one with --state-dir and --port",
    )
}

/// The error for the executors of a cluster that has lost its scheduler.
pub(crate) fn headless(folder: &Path) -> Error {
    let text = format!(
        "executors of a cluster are still running in `{}`, but its scheduler is dead",
        folder.display()
    );
    Error::new(ErrorKind::AlreadyExists, text)
        .with_hint("clean up with `emporia cluster down`, then start it again")
}

fn failed(verb: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Failed,
        format!("cannot {verb} `{}`", path.display()),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let pid = std::process::id();
        State {
            version: CLUSTER_STATE.newest,
            url: "http://127.0.0.1:50050".into(),
            started: "2024-05-06T07:08:09Z".into(),
            processes: vec![Process {
                name: "scheduler".into(),
                role: Role::Scheduler,
                pid,
                start_ticks: process::start_ticks(pid),
                address: "127.0.0.1:50050".into(),
                probe_url: "http://127.0.0.1:50050".into(),
                log: "logs/scheduler.log".into(),
            }],
        }
    }

    fn folder() -> Result<tempfile::TempDir> {
        tempfile::tempdir().map_err(|e| Error::internal("no folder").with_source(e))
    }

    #[test]
    fn a_state_is_found_again_and_never_overwritten() -> Result<()> {
        let folder = folder()?;
        assert_eq!(State::load(folder.path())?, None);
        let state = state();
        state.save(folder.path())?;
        assert_eq!(State::load(folder.path())?, Some(state.clone()));
        let second = state.save(folder.path()).err().map(|e| e.kind());
        assert_eq!(second, Some(ErrorKind::AlreadyExists));
        State::remove(folder.path())?;
        State::remove(folder.path())?;
        assert_eq!(State::load(folder.path())?, None);
        Ok(())
    }

    #[test]
    fn a_damaged_state_is_reported() -> Result<()> {
        let folder = folder()?;
        fs::write(folder.path().join(FILE), "{").map_err(|e| failed("write", folder.path(), e))?;
        let kind = State::load(folder.path()).err().map(|e| e.kind());
        assert_eq!(kind, Some(ErrorKind::Corrupt));
        Ok(())
    }

    #[test]
    fn states_of_all_versions_are_read() -> Result<()> {
        let folder = folder()?;
        let read = |text: &str| {
            fs::write(folder.path().join(FILE), text)
                .map_err(|e| failed("write", folder.path(), e))?;
            State::load(folder.path())
        };
        let stored = include_str!("testdata/state-2.json");
        let second = read(stored)?.unwrap();
        assert_eq!(
            serde_json::to_string_pretty(&second).unwrap(),
            stored.trim_end()
        );
        let first = read(include_str!("testdata/state-1.json"))?.unwrap();
        assert_eq!(
            first,
            State {
                version: 1,
                ..second
            }
        );
        let newer = read(&stored.replace("\"version\": 2", "\"version\": 3")).unwrap_err();
        assert_eq!(newer.kind(), ErrorKind::Unsupported);
        assert!(
            newer
                .message()
                .contains("is a state of a cluster of version 3"),
            "{newer}"
        );
        Ok(())
    }

    #[test]
    fn another_process_with_the_pid_is_not_ours() {
        let mut state = state();
        assert!(state.is_alive());
        if let Some(ticks) = &mut state.processes[0].start_ticks {
            *ticks += 1;
            assert!(!state.is_alive());
        }
    }
}
