//! The built programs, as a user runs them.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Path of a program of this workspace, built beside the test binary.
///
/// # Errors
/// Says how to build it where it is missing.
pub fn program(name: &str) -> Result<PathBuf, String> {
    let test = std::env::current_exe().map_err(|e| e.to_string())?;
    let folder = test
        .parent()
        .and_then(|deps| deps.parent())
        .ok_or("no target folder")?;
    let path = folder.join(name);
    match path.try_exists() {
        Ok(true) => Ok(path),
        _ => Err(format!(
            "{} is missing; run `cargo build --release --workspace` first",
            path.display()
        )),
    }
}

/// Runs `emporia` with `args` in `folder` and waits for it.
///
/// # Errors
/// Where it cannot be started.
pub fn emporia(folder: &std::path::Path, args: &[&str]) -> Result<Output, String> {
    Command::new(program("emporia")?)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env_remove("EMPORIA_CONFIG")
        .output()
        .map_err(|e| e.to_string())
}

/// Polls `condition` until it holds or `limit` has passed.
pub fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
