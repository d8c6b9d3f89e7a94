//! What the tests share: sessions on one process and on a cluster, the public data sets, and the
//! built programs.

pub mod cluster;
pub mod conformance;
pub mod golden;
pub mod names;
pub mod programs;
pub mod sandbox;
pub mod services;

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default()
}

/// A public data set, or `None` after one line that says why the test is skipped.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let path = workspace().join("../shared/data").join(name);
    if path.try_exists().unwrap_or_default() {
        return Some(path);
    }
    let text = format!("skipped: the data set {} is not there\n", path.display());
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
    None
}
