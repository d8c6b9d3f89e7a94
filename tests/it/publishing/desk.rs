//! Where the tests of publishing work: a feed, jobs that read it, and a place for results.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Output;

use emporia_e2e::programs::emporia;
use serde_json::Value;
use tempfile::TempDir;

pub(super) const N_FILES: usize = 4;
pub(super) const ROWS_PER_FILE: usize = 10_000;
pub(super) const TABLES: &str = r#"
[tables.result]
connector = "parquet"
location = "out/"

[tables.feed]
connector = "csv"
location = "feed/"
columns = ["id int64", "price decimal(10,2)"]
"#;

/// Every task writes while it reads.
const COPY: &str = "\
-- name: copy
-- description: The feed from an id on
-- param: least int = 0 -- smallest id
-- input: feed
-- output: rows
-- key: id

SELECT id, price FROM feed WHERE id >= $least
";

const SORTED: &str = "\
-- name: sorted
-- description: The feed, dearest first
-- input: feed
-- output: rows
-- key: id

SELECT id, price FROM feed ORDER BY price DESC, id
";

/// Looks at as many pairs of each row as the modulus goes into the rows, so it takes as long as one
/// likes.
const PAIRS: &str = "\
-- name: pairs
-- description: Some pairs of rows
-- param: modulus int -- more is faster
-- input: feed
-- output: pairs
-- key: a, b

SELECT a.id AS a, b.id AS b
FROM feed AS a JOIN feed AS b ON a.id % $modulus = b.id % $modulus
WHERE md5(CAST(a.id AS VARCHAR) || '-' || CAST(b.id AS VARCHAR)) LIKE '00%'
";

/// A folder with a feed of several CSV files, jobs that read it, and a place for results.
pub(super) struct Desk(TempDir);

impl Desk {
    pub(super) fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("emporia.toml", TABLES);
        for (name, text) in [
            ("copy.sql", COPY),
            ("sorted.sql", SORTED),
            ("pairs.sql", PAIRS),
        ] {
            desk.write(name, text);
        }
        fs::create_dir(desk.path("feed")).unwrap();
        for file in 0..N_FILES {
            let mut text = String::from("id,price\n");
            for row in 1..=ROWS_PER_FILE {
                writeln!(text, "{},{row}.25", file * ROWS_PER_FILE + row).unwrap();
            }
            desk.write(&format!("feed/part-{file}.csv"), &text);
        }
        desk
    }

    pub(super) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        emporia(self.0.path(), args).unwrap()
    }

    /// Runs `emporia`, which must succeed, and returns what it printed.
    #[track_caller]
    pub(super) fn printed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?} said: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Submits a job, which must fail while it reads the bad line of the last file.
    #[track_caller]
    pub(super) fn fails(&self, args: &[&str]) {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?} said: {said}");
        assert!(
            said.contains("feed/part-3.csv") && said.contains("`id` is not Int64"),
            "{said}"
        );
    }

    /// Ends the last file with a line that is not of its columns.
    pub(super) fn spoil_last_file(&self) {
        let path = self.path(&format!("feed/part-{}.csv", N_FILES - 1));
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, b"x,bad\n").unwrap();
    }

    /// The answer to one query over the catalog, as CSV without header.
    #[track_caller]
    pub(super) fn ask(&self, sql: &str) -> String {
        self.printed(&["sql", "--format", "csv", "--no-header", "-e", sql])
            .trim_end()
            .to_owned()
    }

    /// The pointer of the result folder, byte by byte.
    pub(super) fn pointer(&self) -> Vec<u8> {
        fs::read(self.path("out/_current")).unwrap()
    }

    /// The current and the previous run by the pointer.
    pub(super) fn pointed_runs(&self) -> (String, Option<String>) {
        let pointer: Value = serde_json::from_slice(&self.pointer()).unwrap();
        let previous = pointer["previous"].as_str().map(str::to_owned);
        (pointer["run_id"].as_str().unwrap().to_owned(), previous)
    }

    /// Files of an output by the pointer, in their order.
    pub(super) fn files(&self, output: &str) -> Vec<PathBuf> {
        let pointer: Value = serde_json::from_slice(&self.pointer()).unwrap();
        let files = pointer["outputs"][output]["files"]
            .as_array()
            .unwrap()
            .iter();
        files
            .map(|f| self.path("out").join(f["path"].as_str().unwrap()))
            .collect()
    }

    /// The runs that have a folder.
    pub(super) fn runs(&self) -> BTreeSet<String> {
        let names = fs::read_dir(self.path("out"))
            .unwrap()
            .map(|e| e.unwrap().file_name());
        names
            .filter_map(|n| n.to_str()?.strip_prefix("run-").map(str::to_owned))
            .collect()
    }

    /// The runs that the pointer names have folders, and no others have.
    #[track_caller]
    pub(super) fn has_no_other_runs(&self) {
        let (current, previous) = self.pointed_runs();
        let expected: BTreeSet<_> = previous.into_iter().chain([current]).collect();
        assert_eq!(self.runs(), expected);
    }
}
