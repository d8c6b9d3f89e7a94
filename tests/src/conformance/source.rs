//! Where DataFusion's test files are: in cargo's folder of crate sources, fetched when they are not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::workspace;

/// The crate that has the files, of the version of DataFusion that Emporia is built on.
pub(super) const CRATE: &str = "datafusion-sqllogictest";
const VERSION: &str = "55.2.0";

/// The folder of the crate.
#[derive(Debug, Clone)]
pub struct Source {
    root: PathBuf,
}

impl Source {
    /// Asks cargo for the crate, which fetches it.
    ///
    /// # Errors
    /// With what cargo said.
    pub fn fetch() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let manifest = folder.path().join("Cargo.toml");
        let text = format!(
            "[package]\nname = \"files\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [lib]\npath = \"lib.rs\"\n[workspace]\n\
             [dependencies]\n{CRATE} = {{ version = \"={VERSION}\", default-features = false }}\n"
        );
        fs::write(&manifest, text).map_err(|e| e.to_string())?;
        fs::write(folder.path().join("lib.rs"), "").map_err(|e| e.to_string())?;
        // The versions that are on this machine already.
        fs::copy(
            workspace().join("Cargo.lock"),
            folder.path().join("Cargo.lock"),
        )
        .map_err(|e| e.to_string())?;
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--filter-platform"])
            .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
            .arg("--manifest-path")
            .arg(&manifest)
            .output()
            .map_err(|e| format!("cannot run cargo: {e}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("cannot fetch {CRATE} {VERSION}: {said}"));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let found = packages
            .filter(|package| package["name"] == CRATE)
            .filter_map(|package| package["manifest_path"].as_str())
            .next();
        let root = found
            .and_then(|path| Path::new(path).parent())
            .ok_or_else(|| format!("cargo does not say where {CRATE} is"))?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// The folder of the test files.
    pub fn files(&self) -> PathBuf {
        self.root.join("test_files")
    }

    /// The name of a file below that folder.
    pub(super) fn name_of(&self, file: &Path) -> String {
        let name = file.strip_prefix(self.files()).unwrap_or(file);
        name.display().to_string()
    }

    /// A statement with the paths of this machine; what it writes goes to `scratch`.
    pub(super) fn with_paths(&self, sql: &str, scratch: &Path) -> String {
        let scratch = format!("{}/", scratch.display());
        let here = format!("'{}/", self.root.display());
        sql.replace("test_files/scratch/", &scratch)
            .replace("'../", &format!("{here}../"))
            .replace("'data/", &format!("{here}data/"))
            .replace("'test_files/", &format!("{here}test_files/"))
    }
}

/// The `.slt` files below a folder, sorted.
///
/// # Errors
/// Where a folder cannot be read.
pub fn test_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.is_dir() {
            files.extend(test_files(&path)?);
        } else if path.extension().is_some_and(|e| e == "slt") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
