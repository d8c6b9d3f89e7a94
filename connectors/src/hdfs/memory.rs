//! A cluster in memory that fails as it is told, for the tests of the store.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::fault::{Fault, FaultKind};
use super::filesystem::{Blocks, FileSystem, NewFile, Status, Version};

/// How many bytes a read gives at a time.
const PACKET: usize = 10;

#[derive(Debug, Clone)]
struct File {
    content: Vec<u8>,
    modified: u64,
    replication: u32,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, File>,
    /// What becomes of the calls to come, by operation.
    script: Vec<(&'static str, VecDeque<Outcome>)>,
    /// Offsets at which reads break.
    breaks: VecDeque<u64>,
    log: Vec<String>,
    clock: u64,
}

/// What becomes of one call.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Passes,
    Fails(Fault),
    /// It is done, but the answer is lost.
    AnswerLost,
    Hangs,
}

/// The cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    state: Arc<Mutex<State>>,
    reconnects: Arc<AtomicU64>,
}

pub(super) fn fault(kind: FaultKind) -> Outcome {
    Outcome::Fails(Fault::new(kind, format!("{kind:?} by the test")))
}

impl Memory {
    /// Sets what becomes of the next calls of `operation`; those after pass.
    pub(super) fn script(&self, operation: &'static str, outcomes: Vec<Outcome>) {
        let mut state = self.state.lock().unwrap();
        state.script.retain(|(name, _)| *name != operation);
        state.script.push((operation, outcomes.into()));
    }

    /// Breaks the next reads when they reach these offsets.
    pub(super) fn break_reads_at(&self, offsets: &[u64]) {
        self.state.lock().unwrap().breaks = offsets.iter().copied().collect();
    }

    /// Puts a file there, as another client would.
    pub(super) fn set(&self, path: &str, content: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.clock += 1;
        let file = File {
            content: content.to_vec(),
            modified: state.clock,
            replication: 3,
        };
        state.files.insert(path.to_owned(), file);
    }

    pub(super) fn content(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state.lock().unwrap();
        state.files.get(path).map(|file| file.content.clone())
    }

    /// All paths.
    pub(super) fn paths(&self) -> Vec<String> {
        self.state.lock().unwrap().files.keys().cloned().collect()
    }

    /// The calls so far that start with `prefix`.
    pub(super) fn log(&self, prefix: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let found = state.log.iter().filter(|line| line.starts_with(prefix));
        found.cloned().collect()
    }

    pub(super) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// Runs one call as the script says.
    async fn call<T>(
        &self,
        operation: &str,
        detail: &str,
        run: impl FnOnce(&mut State) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let outcome = {
            let mut state = self.state.lock().unwrap();
            state.log.push(format!("{operation} {detail}"));
            let script = state.script.iter_mut().find(|(name, _)| *name == operation);
            script.and_then(|(_, outcomes)| outcomes.pop_front())
        };
        match outcome.unwrap_or(Outcome::Passes) {
            Outcome::Passes => run(&mut self.state.lock().unwrap()),
            Outcome::Fails(fault) => Err(fault),
            Outcome::Hangs => std::future::pending().await,
            Outcome::AnswerLost => {
                run(&mut self.state.lock().unwrap())?;
                Err(Fault::new(FaultKind::Unreachable, "the connection broke"))
            }
        }
    }
}

fn missing(path: &str) -> Fault {
    Fault::new(FaultKind::NotFound, format!("`{path}` does not exist"))
}

impl State {
    fn status(&self, path: &str) -> Result<Status, Fault> {
        let folder = format!("{}/", path.trim_end_matches('/'));
        let file = self.files.get(path);
        if file.is_none() && !self.files.keys().any(|known| known.starts_with(&folder)) {
            return Err(missing(path));
        }
        Ok(Status {
            path: path.to_owned(),
            is_folder: file.is_none(),
            version: Version {
                length: file.map_or(0, |file| file.content.len() as u64),
                modified_millis: file.map_or(0, |file| file.modified),
            },
            replication: file.map(|file| file.replication),
        })
    }
}

#[async_trait]
impl FileSystem for Memory {
    async fn status(&self, path: &str) -> Result<Status, Fault> {
        self.call("status", path, |state| state.status(path)).await
    }

    async fn list(&self, path: &str) -> Result<Vec<Status>, Fault> {
        self.call("list", path, |state| {
            if !state.status(path)?.is_folder {
                return Ok(vec![state.status(path)?]);
            }
            let folder = format!("{}/", path.trim_end_matches('/'));
            let inside = state.files.keys().filter_map(|p| p.strip_prefix(&folder));
            let mut names: Vec<_> = inside
                .map(|rest| rest.split('/').next().unwrap().to_owned())
                .collect();
            names.dedup();
            let paths = names.iter().map(|name| format!("{folder}{name}"));
            paths.map(|path| state.status(&path)).collect()
        })
        .await
    }

    async fn open(&self, path: &str) -> Result<Arc<dyn Blocks>, Fault> {
        self.call("open", path, |state| {
            let file = state.files.get(path).ok_or_else(|| missing(path))?;
            Ok(Arc::new(Opened {
                memory: self.clone(),
                content: file.content.clone().into(),
            }) as Arc<dyn Blocks>)
        })
        .await
    }

    async fn create(
        &self,
        path: &str,
        replication: Option<u32>,
    ) -> Result<Box<dyn NewFile>, Fault> {
        let detail = format!("{path} {replication:?}");
        self.call("create", &detail, |state| {
            let file = File {
                content: Vec::new(),
                modified: state.clock,
                replication: replication.unwrap_or(3),
            };
            state.files.insert(path.to_owned(), file);
            Ok(Box::new(Writing {
                memory: self.clone(),
                path: path.to_owned(),
            }) as Box<dyn NewFile>)
        })
        .await
    }

    async fn rename(&self, from: &str, to: &str, overwrite: bool) -> Result<(), Fault> {
        self.call("rename", to, |state| {
            if !overwrite && state.files.contains_key(to) {
                return Err(Fault::new(FaultKind::AlreadyExists, to));
            }
            let file = state.files.remove(from).ok_or_else(|| missing(from))?;
            state.files.insert(to.to_owned(), file);
            Ok(())
        })
        .await
    }

    async fn delete(&self, path: &str) -> Result<(), Fault> {
        self.call("delete", path, |state| {
            state.files.remove(path);
            Ok(())
        })
        .await
    }

    async fn make_folder(&self, path: &str) -> Result<(), Fault> {
        self.call("make_folder", path, |_| Ok(())).await
    }

    async fn set_replication(&self, path: &str, replication: u32) -> Result<(), Fault> {
        let detail = format!("{path} {replication}");
        self.call("set_replication", &detail, |state| {
            let file = state.files.get_mut(path).ok_or_else(|| missing(path))?;
            file.replication = replication;
            Ok(())
        })
        .await
    }

    fn reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }
}

struct Opened {
    memory: Memory,
    content: Bytes,
}

impl Blocks for Opened {
    fn length(&self) -> u64 {
        self.content.len() as u64
    }

    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Fault>> {
        let mut state = self.memory.state.lock().unwrap();
        state
            .log
            .push(format!("read {}..{}", range.start, range.end));
        let breaks = state
            .breaks
            .pop_front_if(|at| range.contains(at))
            .unwrap_or(range.end);
        let whole = self.content.slice(range.start as usize..breaks as usize);
        let packets: Vec<_> = whole.chunks(PACKET).map(Bytes::copy_from_slice).collect();
        let lost = (breaks < range.end)
            .then(|| Err(Fault::new(FaultKind::DataNodes, "the DataNode is gone")));
        stream::iter(packets.into_iter().map(Ok).chain(lost)).boxed()
    }
}

struct Writing {
    memory: Memory,
    path: String,
}

#[async_trait]
impl NewFile for Writing {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let memory = self.memory.clone();
        memory
            .call("write", &self.path, |state| {
                let file = state.files.get_mut(&self.path);
                file.ok_or_else(|| missing(&self.path))?
                    .content
                    .extend(bytes);
                Ok(())
            })
            .await
    }

    async fn close(&mut self) -> Result<(), Fault> {
        let memory = self.memory.clone();
        memory.call("close", &self.path, |_| Ok(())).await
    }
}
