//! A cluster of separate processes that ends with its test, however the test ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use emporia_e2e::programs::emporia;

/// Where the cluster keeps its state, below the folder of the test.
pub(crate) const STATE_DIR: &str = "cluster";

/// Two executors with two slots each; they are stopped when this is dropped.
pub(crate) struct ProcessCluster {
    folder: PathBuf,
    url: String,
}

impl ProcessCluster {
    /// Starts it with the configuration of `folder`.
    pub(crate) fn up(folder: &Path) -> Self {
        let args = [
            "cluster",
            "up",
            "--port",
            "0",
            "--quiet",
            "--state-dir",
            STATE_DIR,
        ];
        let output = emporia(folder, &args).unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let url = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Self {
            folder: folder.to_owned(),
            url,
        }
    }

    /// The scheduler's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Number of jobs that the scheduler has taken and that have not ended.
    pub(crate) fn n_active_jobs(&self) -> usize {
        let host = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        // Version 1.0 makes the server close the connection after its answer.
        write!(stream, "GET /api/jobs HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 OK\r\n"), "{answer}");
        let n_jobs = |status: &str| answer.matches(&format!("\"status\":\"{status}\"")).count();
        n_jobs("Queued") + n_jobs("Running")
    }
}

impl Drop for ProcessCluster {
    fn drop(&mut self) {
        let args = [
            "cluster",
            "down",
            "--deadline",
            "5s",
            "--quiet",
            "--state-dir",
            STATE_DIR,
        ];
        // A panic in here would hide the one that ends the test.
        let _ = emporia(&self.folder, &args);
    }
}
