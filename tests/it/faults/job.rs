//! Jobs that take a second or more, and what they leave behind.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use emporia_e2e::programs::{emporia, program, wait_until};
use serde_json::Value;
use tempfile::TempDir;

use super::cluster::{Process, Progress};

/// The DataFrame jobs.
pub(super) const JOBS: [&str; 4] = ["cleaning", "cohort", "clv", "revenue_by_category"];
/// The longest time of an undisturbed run.
const UNDISTURBED: Duration = Duration::from_secs(60);

/// Generated tables, shared by the tests that run at a time.
pub(super) struct Data(TempDir);

impl Data {
    /// The tables; made at the first call.
    pub(super) fn get() -> Result<Arc<Self>, String> {
        static DATA: Mutex<Weak<Data>> = Mutex::new(Weak::new());
        let mut shared = DATA.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(data) = shared.upgrade() {
            return Ok(data);
        }
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let shop =
            "users,transactions,transaction_items,products,categories,subcategories,price_history";
        for (name, scale, tables) in [("shop", "0.5", shop), ("raw", "0.03", "orders_raw")] {
            let args = [
                "generate", "--quiet", "--seed", "3", "--scale", scale, "--tables", tables,
                "--out", name,
            ];
            let output = emporia(folder.path(), &args)?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned());
            }
        }
        let data = Arc::new(Self(folder));
        *shared = Arc::downgrade(&data);
        Ok(data)
    }

    /// The folder with the tables of the shop.
    pub(super) fn shop(&self) -> PathBuf {
        self.0.path().join("shop")
    }

    /// The catalog with the inputs of the job.
    fn catalog(&self, job: &str) -> PathBuf {
        let name = if job == "cleaning" { "raw" } else { "shop" };
        self.0.path().join(name).join("emporia.toml")
    }

    /// `emporia submit` of the job.
    pub(super) fn submit(&self, job: &str, cluster: &str) -> Result<Command, String> {
        let mut command = Command::new(program("emporia")?);
        command
            .args(["submit", job, "--quiet", "--no-progress", "--format", "csv"])
            .args(["--cluster", cluster, "--catalog"])
            .arg(self.catalog(job))
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .env_remove("EMPORIA_CONFIG");
        Ok(command)
    }
}

/// Whether stages are planned again when their inputs are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replanning {
    On,
    Off,
}

impl Replanning {
    pub(super) const BOTH: [Self; 2] = [Self::On, Self::Off];
}

/// Where and how a job runs.
pub(super) struct Submission {
    pub(super) data: Arc<Data>,
    pub(super) job: &'static str,
    pub(super) url: String,
    pub(super) replanning: Replanning,
    /// For results and errors.
    pub(super) folder: PathBuf,
}

/// A published result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    run_id: String,
    /// Lines per output, sorted.
    rows: BTreeMap<String, Vec<String>>,
}

/// What an undisturbed run left.
pub(super) struct Undisturbed {
    pub(super) published: Published,
    n_stages: u64,
    n_stages_before: u64,
}

impl Submission {
    fn output(&self) -> PathBuf {
        self.folder.join("result")
    }

    /// Starts the job; its errors go to a file.
    pub(super) fn start(&self) -> Result<Process, String> {
        fs::create_dir_all(&self.folder).map_err(|e| e.to_string())?;
        let errors = File::create(self.folder.join("errors")).map_err(|e| e.to_string())?;
        let child = self
            .data
            .submit(self.job, &self.url)?
            .arg(match self.replanning {
                Replanning::On => "--aqe=true",
                Replanning::Off => "--aqe=false",
            })
            .arg("--output")
            .arg(self.output())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn();
        child.map(Process).map_err(|e| e.to_string())
    }

    /// Runs the job to its end.
    pub(super) fn run(&self) -> Result<Undisturbed, String> {
        let n_stages_before = Progress::of(&self.url).n_stages;
        match self.start()?.wait(UNDISTURBED) {
            Some(status) if status.success() => {}
            status => return Err(format!("{}: {status:?}: {}", self.job, self.errors())),
        }
        let n_stages_after = Progress::of(&self.url).n_stages;
        let published = self.published()?.ok_or("nothing is published")?;
        Ok(Undisturbed {
            published,
            n_stages: n_stages_after - n_stages_before,
            n_stages_before: n_stages_after,
        })
    }

    /// Starts the job again and returns when it is half done; `None` where it was too fast.
    pub(super) fn start_half(&self, before: &Undisturbed) -> Result<Option<Process>, String> {
        let half = before.n_stages_before + before.n_stages / 2;
        let mut job = self.start()?;
        let mut has_ended = false;
        let is_half = wait_until(UNDISTURBED, || {
            has_ended = !matches!(job.0.try_wait(), Ok(None));
            let progress = Progress::of(&self.url);
            has_ended || (progress.is_running && progress.n_stages >= half)
        });
        match (is_half, has_ended) {
            (true, false) => Ok(Some(job)),
            (true, true) => Ok(None),
            (false, _) => Err(format!("{} does not come to its half", self.job)),
        }
    }

    /// What the last run printed to standard error.
    pub(super) fn errors(&self) -> String {
        fs::read_to_string(self.folder.join("errors")).unwrap_or_default()
    }

    /// The current result, read without Emporia; `None` where there is none.
    pub(super) fn published(&self) -> Result<Option<Published>, String> {
        let output = self.output();
        let Ok(text) = fs::read_to_string(output.join("_current")) else {
            return Ok(None);
        };
        let current: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let outputs = current["outputs"].as_object().ok_or("no outputs")?;
        let mut rows = BTreeMap::new();
        for (name, content) in outputs {
            let files = content["files"].as_array().ok_or("no files")?;
            let mut lines = Vec::new();
            for file in files {
                let path = output.join(file["path"].as_str().ok_or("no path")?);
                lines.extend(lines_of(&path)?);
            }
            lines.sort_unstable();
            rows.insert(name.clone(), lines);
        }
        let run_id = current["run_id"].as_str().ok_or("no run_id")?.to_owned();
        Ok(Some(Published { run_id, rows }))
    }

    /// Whether a run since `before` published the same rows, or why not.
    pub(super) fn compare(&self, before: &Published) -> Result<(), String> {
        let now = self.published()?.ok_or("the result is gone")?;
        if now.run_id == before.run_id {
            return Err("nothing new is published".to_owned());
        }
        for (name, expected) in &before.rows {
            let found = now.rows.get(name).map(Vec::as_slice).unwrap_or_default();
            let n_wrong = found
                .iter()
                .filter(|row| expected.binary_search(row).is_err())
                .count();
            if found != expected.as_slice() {
                let differ = found.iter().zip(expected).find(|(row, other)| row != other);
                return Err(format!(
                    "wrong rows in {name}: {} instead of {}, {n_wrong} of them unknown; \
                     the first that differ: {differ:#?}",
                    found.len(),
                    expected.len()
                ));
            }
        }
        Ok(())
    }
}

fn lines_of(path: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(text.lines().skip(1).map(str::to_owned).collect())
}
