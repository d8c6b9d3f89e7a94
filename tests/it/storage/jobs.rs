//! The jobs over stores: transactions in Parquet on HDFS, sessions in HBase, users and products in
//! MongoDB. The rows are those of the run over local files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use emporia_e2e::programs::program;
use emporia_e2e::services::Services;
use serde_json::Value;
use tempfile::TempDir;

const SCALE: &str = "0.01";
/// Tables that are loaded into a store; all others are files on HDFS.
const LOADED: [(&str, &str); 3] = [
    ("sessions", "hbase"),
    ("users", "mongodb"),
    ("products", "mongodb"),
];
/// A job whose result has several tables, and some that have one.
const TO_HBASE: [&str; 4] = [
    "cohort",
    "revenue_by_category",
    "sales_by_month",
    "conversion_by_device_referrer",
];

struct Scene {
    services: Services,
    folder: TempDir,
    id: u32,
}

impl Scene {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(program("emporia").unwrap())
            .args(args)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_remove("EMPORIA_CONFIG")
            .envs(self.services.environment())
            .output()
            .unwrap()
    }

    /// Standard output of a run that ends well.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes the data twice, on disk and in the stores; the catalogs of both.
    fn fill(&self) -> (PathBuf, PathBuf) {
        let local = self.path("local");
        let hdfs = format!("{}/jobs-{}", self.services.hdfs, self.id);
        for out in [local.to_str().unwrap(), &hdfs] {
            self.ok(&[
                "generate",
                "--quiet",
                "--page-views",
                "--scale",
                SCALE,
                "--out",
                out,
            ]);
        }
        let local = local.join("emporia.toml");
        let text = std::fs::read_to_string(&local).unwrap();
        let mut catalog: toml::Table = text.parse().unwrap();
        let tables = catalog["tables"].as_table_mut().unwrap();
        for (_, table) in tables.iter_mut() {
            let folder = table["location"].as_str().unwrap().to_owned();
            let folder = folder.rsplit("/local/").next().unwrap().to_owned();
            table["location"] = format!("{hdfs}/{folder}").into();
        }
        for (name, connector) in LOADED {
            let target = match connector {
                "hbase" => format!("hbase:jobs_{}_{name}", self.id),
                _ => format!("mongodb:jobs_{}.{name}", self.id),
            };
            let catalog = local.to_str().unwrap();
            let mut args = vec![
                "load",
                name,
                "--quiet",
                "--catalog",
                catalog,
                "--to",
                &target,
            ];
            if name == "products" {
                // FerretDB, which stands in for MongoDB, has no decimals.
                args.extend(["--option", "stored.base_price=text"]);
            }
            let entry = self.ok(&args);
            let entry: toml::Table = entry.parse().unwrap();
            tables.insert(name.to_owned(), entry["tables"][name].clone());
        }
        let stored = self.path("stored.toml");
        std::fs::write(&stored, catalog.to_string()).unwrap();
        (local, stored)
    }

    /// All outputs of a job as sorted lines; those of a job that must fail as its message.
    fn rows(&self, job: &str, catalog: &Path) -> Vec<String> {
        let catalog = catalog.to_str().unwrap();
        let text = self.ok(&[
            "submit",
            job,
            "--quiet",
            "--no-progress",
            "--all-outputs",
            "--format",
            "csv",
            "--catalog",
            catalog,
        ]);
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn jobs(&self) -> Vec<String> {
        let jobs: Value = serde_json::from_str(&self.ok(&["jobs", "--format", "json"])).unwrap();
        let jobs = jobs.as_array().unwrap().iter();
        jobs.map(|job| job["job"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What an independent client reads of a table in HBase.
    fn independent(&self, table: &str) -> Vec<BTreeMap<String, Value>> {
        let services = emporia_e2e::workspace().join("tests/services");
        let gateway = self.services.hbase_gateways.split(',').next().unwrap();
        let output = Command::new(services.join("python"))
            .arg(services.join("read_table.py"))
            .args([gateway, table])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[test]
fn jobs_over_stores_make_the_rows_of_the_run_over_files() {
    let Some(services) = Services::find() else {
        return;
    };
    if super::faults::n_runs() == 0 {
        eprintln!("skipped: it takes many minutes; EMPORIA_FAULT_RUNS=1 runs it");
        return;
    }
    let _servers = super::SERVERS.blocking_read();
    let scene = Scene {
        services,
        folder: tempfile::tempdir().unwrap(),
        id: std::process::id(),
    };
    let (local, stored) = scene.fill();
    for job in scene.jobs() {
        let expected = scene.rows(&job, &local);
        assert!(expected.len() > 1, "{job} made no rows");
        assert_eq!(scene.rows(&job, &stored), expected, "{job}");
    }

    for job in TO_HBASE {
        let table = format!("result_{}_{job}", scene.id);
        let target = format!("hbase:{table}");
        let catalog = stored.to_str().unwrap();
        // Twice: the second run replaces the first.
        for _ in 0..2 {
            scene.ok(&[
                "submit",
                job,
                "--quiet",
                "--no-progress",
                "--catalog",
                catalog,
                "--output",
                &target,
            ]);
        }
        let name = "result";
        let entry = format!("[tables.{name}]\nconnector = \"hbase\"\nlocation = \"{target}\"\n");
        let back = scene.path("back.toml");
        std::fs::write(&back, entry).unwrap();
        let back = back.to_str().unwrap();
        let read = scene.ok(&[
            "sql",
            "--quiet",
            "--no-progress",
            "--format",
            "csv",
            "--catalog",
            back,
            "-e",
            "SELECT * FROM result",
        ]);
        let printed = scene.ok(&[
            "submit",
            job,
            "--quiet",
            "--no-progress",
            "--format",
            "csv",
            "--catalog",
            local.to_str().unwrap(),
        ]);
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&read), sorted(&printed), "{job} read back");

        // The other client sees as many rows, and each value of them in Emporia's answer.
        let rows = scene.independent(&table);
        assert_eq!(rows.len(), printed.lines().count() - 1, "{job}");
        let answer = scene.ok(&[
            "sql",
            "--quiet",
            "--no-progress",
            "--format",
            "json",
            "--catalog",
            back,
            "-e",
            "SELECT * FROM result",
        ]);
        let answer: Vec<Value> = serde_json::from_str(&answer).unwrap();
        let mut theirs: Vec<_> = rows.iter().map(values_of).collect();
        // Columns of the key are no cells.
        let cells: BTreeSet<_> = theirs.iter().flat_map(|row| row.keys().cloned()).collect();
        let mut ours: Vec<_> = answer
            .iter()
            .map(|row| values_of_json(row, &cells))
            .collect();
        theirs.sort();
        ours.sort();
        assert_eq!(theirs, ours, "{job} through another client");
    }
}

/// The non-key cells by qualifier; the presence cell says nothing.
fn values_of(row: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let cells = row.iter().filter_map(|(column, value)| {
        let (_, qualifier) = column.split_once(':')?;
        let value = value.as_str()?.to_owned();
        (qualifier != "_").then(|| (qualifier.to_owned(), value))
    });
    cells.collect()
}

fn values_of_json(row: &Value, cells: &BTreeSet<String>) -> BTreeMap<String, String> {
    let values = row.as_object().unwrap().iter().filter_map(|(name, value)| {
        let text = match value {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        cells.contains(name).then(|| (name.clone(), text))
    });
    values.collect()
}
