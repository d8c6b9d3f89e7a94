//! Files whose blocks are known.
//!
//! A scan reads a file in many ranges. Their blocks are looked up once, and DataNodes that failed
//! one range are left out for the next: else each range would wait for the dead one again. An entry
//! counts for one version of the file, which a reader has asked the NameNode for, so that no reader
//! gets the bytes of a file that was replaced.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::filesystem::{Blocks, Version};

/// How long an entry counts: blocks move when DataNodes come and go.
const LIFETIME: Duration = Duration::from_secs(60);
/// Entries at which old ones are removed.
const CAPACITY: usize = 256;

/// The files that were opened lately.
#[derive(Default)]
pub(super) struct OpenFiles(Mutex<HashMap<String, OpenFile>>);

struct OpenFile {
    version: Version,
    blocks: Arc<dyn Blocks>,
    since: Instant,
}

impl fmt::Debug for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenFiles({})", self.files().len())
    }
}

impl OpenFiles {
    fn files(&self) -> MutexGuard<'_, HashMap<String, OpenFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, path: &str, version: Version) -> Option<Arc<dyn Blocks>> {
        self.files()
            .get(path)
            .filter(|file| file.version == version && file.since.elapsed() < LIFETIME)
            .map(|file| Arc::clone(&file.blocks))
    }

    pub(super) fn put(&self, path: &str, version: Version, blocks: &Arc<dyn Blocks>) {
        let mut files = self.files();
        if files.len() >= CAPACITY {
            files.retain(|_, file| file.since.elapsed() < LIFETIME);
        }
        if files.len() >= CAPACITY {
            files.clear();
        }
        let file = OpenFile {
            version,
            blocks: Arc::clone(blocks),
            since: Instant::now(),
        };
        files.insert(path.to_owned(), file);
    }

    pub(super) fn forget(&self, path: &str) {
        self.files().remove(path);
    }
}
