//! The built programs in a folder of their own, with access to the servers.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use emporia_e2e::programs::program;
use emporia_e2e::services::Services;
use tempfile::TempDir;
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

/// Whether other tests may use the servers meanwhile.
enum Turn {
    Shared {
        _turn: RwLockReadGuard<'static, ()>,
    },
    Alone {
        _turn: RwLockWriteGuard<'static, ()>,
    },
}

/// A folder with a catalog, and names that no other test uses.
pub(super) struct Workplace {
    pub(super) services: Services,
    /// Distinguishes tables of this test from all others on the servers.
    pub(super) id: String,
    /// Variables of all programs of this test, which replace or add to the servers' addresses.
    pub(super) settings: Vec<(&'static str, String)>,
    folder: TempDir,
    _turn: Turn,
}

/// Servers that run for one test only.
pub(super) struct OwnServers {
    services: Services,
    names: &'static [&'static str],
}

impl OwnServers {
    /// Starts the service or group `what`, which is `names`.
    #[track_caller]
    pub(super) fn start(workplace: &Workplace, what: &str, names: &'static [&'static str]) -> Self {
        let servers = Self {
            services: workplace.services.clone(),
            names,
        };
        workplace.control(&["up", what]);
        servers
    }
}

impl Drop for OwnServers {
    fn drop(&mut self) {
        for name in self.names {
            let _ = control(&self.services, &["kill", name]);
        }
    }
}

/// Runs the control script of the servers.
fn control(services: &Services, args: &[&str]) -> std::io::Result<Output> {
    Command::new(emporia_e2e::workspace().join("tests/services/services"))
        .args(args)
        .env("EMPORIA_SERVICES_DIR", &services.folder)
        .output()
}

impl Workplace {
    /// `None`, with a line that says why, where no servers run.
    pub(super) fn open() -> Option<Self> {
        Some(Self::with(Services::find()?, |servers| Turn::Shared {
            _turn: servers.blocking_read(),
        }))
    }

    /// As [`Workplace::open`], for a test that breaks the servers.
    pub(super) fn alone() -> Option<Self> {
        Some(Self::with(Services::find()?, |servers| Turn::Alone {
            _turn: servers.blocking_write(),
        }))
    }

    fn with(services: Services, turn: fn(&'static tokio::sync::RwLock<()>) -> Turn) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            services,
            id: format!("{}_{number}", std::process::id()),
            settings: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
            _turn: turn(&super::SERVERS),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the folder; `{id}` in the text becomes the mark of this test.
    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text.replace("{id}", &self.id)).unwrap();
    }

    /// Adds entries to the catalog.
    pub(super) fn catalog(&self, entries: &str) {
        let before = std::fs::read_to_string(self.path("emporia.toml")).unwrap_or_default();
        self.write("emporia.toml", &(before + "\n" + entries));
    }

    /// `emporia` with the servers' addresses; `extra` variables replace or add to them.
    pub(super) fn command(&self, args: &[&str], extra: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program("emporia").unwrap());
        command
            .args(args)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_remove("EMPORIA_CONFIG")
            .envs(self.services.environment())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .envs(extra.iter().copied());
        command
    }

    /// Runs `emporia` to its end.
    pub(super) fn run(&self, args: &[&str], extra: &[(&str, &str)]) -> Output {
        self.command(args, extra).output().unwrap()
    }

    /// What a run that must end well printed.
    #[track_caller]
    pub(super) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args, &[]);
        let status = output.status;
        assert!(status.success(), "{args:?} ({status}): {}", said(&output));
        printed(&output)
    }

    /// Generates tables, named with commas between them, below `out` and into the catalog there.
    #[track_caller]
    pub(super) fn generate(&self, scale: &str, tables: &str, out: &str) {
        self.ok(&[
            "generate", "--quiet", "--scale", scale, "--tables", tables, "--out", out,
        ]);
    }

    /// The header and the rows of a query as CSV.
    #[track_caller]
    pub(super) fn csv(&self, sql: &str) -> String {
        self.ok(&[
            "sql",
            "--quiet",
            "--no-progress",
            "--format",
            "csv",
            "-e",
            sql,
        ])
    }

    /// The rows of a query as CSV lines, without the header.
    #[track_caller]
    pub(super) fn rows(&self, sql: &str) -> Vec<String> {
        self.csv(sql).lines().skip(1).map(str::to_owned).collect()
    }

    /// The only value of a query.
    #[track_caller]
    pub(super) fn value(&self, sql: &str) -> String {
        let mut rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.remove(0)
    }

    /// Runs a statement that writes and returns what was said.
    #[track_caller]
    pub(super) fn writes(&self, sql: &str) -> String {
        let output = self.run(&["sql", "--no-progress", "-e", sql], &[]);
        let status = output.status;
        assert!(status.success(), "{sql} ({status}): {}", said(&output));
        said(&output)
    }

    /// Runs `emporia`, which must end with `code`, say all `words` and print nothing.
    #[track_caller]
    pub(super) fn refused(&self, args: &[&str], extra: &[(&str, &str)], code: i32, words: &[&str]) {
        let output = self.run(args, extra);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?} said: {said}");
        let printed = printed(&output);
        assert!(printed.is_empty(), "{args:?} printed: {printed}");
        let mut missing = String::new();
        for word in words.iter().filter(|word| !said.contains(**word)) {
            writeln!(missing, "`{word}` is not said").unwrap();
        }
        assert!(missing.is_empty(), "{args:?}: {missing}{said}");
    }

    /// [`Workplace::refused`] for one statement of SQL.
    #[track_caller]
    pub(super) fn refuses(&self, sql: &str, code: i32, words: &[&str]) {
        self.refused(&["sql", "--no-progress", "-e", sql], &[], code, words);
    }

    /// What an independent client reads of a table in HBase: a JSON object in each line.
    #[track_caller]
    pub(super) fn independent(&self, args: &[&str]) -> String {
        let services = emporia_e2e::workspace().join("tests/services");
        let gateways = &self.services.hbase_gateways;
        let output = Command::new(services.join("python"))
            .arg(services.join("read_table.py"))
            .arg(gateways.split(',').next().unwrap())
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        printed(&output)
    }

    /// As [`Self::control`], where it may fail.
    pub(super) fn try_control(&self, args: &[&str]) -> std::io::Result<Output> {
        control(&self.services, args)
    }

    /// Runs the control script of the servers.
    #[track_caller]
    pub(super) fn control(&self, args: &[&str]) -> String {
        let output = self.try_control(args).unwrap();
        assert!(
            output.status.success(),
            "services {args:?}: {}",
            said(&output)
        );
        printed(&output)
    }
}

/// What a run printed to standard output.
pub(super) fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a run said on standard error.
pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
