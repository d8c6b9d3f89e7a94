//! The jobs over stores: transactions in Parquet on HDFS, sessions in HBase, users and products in
//! MongoDB. The rows are those of the run over local files.

use std::collections::{BTreeMap, BTreeSet};

use emporia_e2e::cluster::Cluster;
use serde_json::Value;

use super::workplace::Workplace;

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

/// Two catalogs of the same data, and a cluster of two executors for all jobs.
struct Scene {
    place: Workplace,
    cluster: Cluster,
    /// Where the files of each catalog are.
    files: [String; 2],
}

const LOCAL: &str = "local/emporia.toml";
const STORED: &str = "stored.toml";

impl Scene {
    fn open() -> Option<Self> {
        let place = Workplace::open()?;
        let flags = ["--executors", "2", "--slots", "1"];
        let environment = place.services.environment();
        let cluster = Cluster::up(&place.path(""), &flags, &environment).unwrap();
        let files = [
            format!("file://{}", place.path("local").display()),
            format!("{}/jobs-{}", place.services.hdfs, place.id),
        ];
        let scene = Self {
            place,
            cluster,
            files,
        };
        scene.fill();
        Some(scene)
    }

    /// Standard output of a run that ends well.
    #[track_caller]
    fn ok(&self, catalog: &str, args: &[&str]) -> String {
        let common = [
            "--quiet",
            "--catalog",
            catalog,
            "--cluster",
            &self.cluster.url,
        ];
        self.place.ok(&[args, &common].concat())
    }

    /// Makes the data twice, on disk and in the stores, and the catalogs of both.
    fn fill(&self) {
        let id = &self.place.id;
        for out in &self.files {
            let what = ["--quiet", "--page-views", "--scale", SCALE];
            self.place
                .ok(&[&["generate"][..], &what, &["--out", out]].concat());
        }
        let text = std::fs::read_to_string(self.place.path(LOCAL)).unwrap();
        let mut catalog: toml::Table = text.parse().unwrap();
        let tables = catalog["tables"].as_table_mut().unwrap();
        for (name, table) in tables.iter_mut() {
            table["location"] = format!("{}/{name}/", self.files[1]).into();
        }
        for (name, connector) in LOADED {
            let target = match connector {
                "hbase" => format!("hbase:jobs_{id}_{name}"),
                _ => format!("mongodb:jobs_{id}.{name}"),
            };
            let mut args = vec!["load", name, "--to", &target];
            if name == "products" {
                // FerretDB, which stands in for MongoDB, has no decimals.
                args.extend(["--option", "stored.base_price=text"]);
            }
            let entry: toml::Table = self.ok(LOCAL, &args).parse().unwrap();
            tables.insert(name.to_owned(), entry["tables"][name].clone());
        }
        self.place.write(STORED, &catalog.to_string());
        // Some jobs read the orders that another one cleans.
        for (name, files) in [LOCAL, STORED].into_iter().zip(&self.files) {
            let orders = format!("{files}/orders");
            self.ok(
                name,
                &["submit", "cleaning", "--no-progress", "--output", &orders],
            );
            let text = std::fs::read_to_string(self.place.path(name)).unwrap();
            let entry =
                format!("[tables.orders]\nconnector = \"parquet\"\nlocation = \"{orders}\"\n");
            self.place.write(name, &format!("{text}\n{entry}"));
        }
    }

    fn jobs(&self) -> Vec<String> {
        let jobs = self.place.ok(&["jobs", "--format", "json"]);
        let jobs: Value = serde_json::from_str(&jobs).unwrap();
        let jobs = jobs.as_array().unwrap().iter();
        jobs.map(|job| job["job"].as_str().unwrap().to_owned())
            .collect()
    }

    /// All outputs of a job as sorted lines. Rows that name a file name it by its path in the data.
    #[track_caller]
    fn rows(&self, job: &str, catalog: &str) -> Vec<String> {
        let how = ["--no-progress", "--all-outputs", "--format", "csv"];
        let mut text = self.ok(catalog, &[&["submit", job][..], &how].concat());
        for files in &self.files {
            text = text.replace(files, "");
        }
        sorted(&text)
    }

    /// What an independent client reads of a table in HBase.
    fn independent(&self, table: &str) -> Vec<BTreeMap<String, Value>> {
        let text = self.place.independent(&[table]);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn jobs_over_stores_make_the_rows_of_the_run_over_files() {
    let Some(scene) = Scene::open() else {
        return;
    };
    let jobs = scene.jobs();
    assert!(jobs.len() >= 25, "{jobs:?}");
    for job in jobs {
        let expected = scene.rows(&job, LOCAL);
        assert!(expected.len() > 1, "{job} made no rows");
        let rows = scene.rows(&job, STORED);
        let differing = expected.iter().zip(&rows).find(|(a, b)| a != b);
        assert!(
            rows == expected,
            "{job} made {} rows instead of {}: {differing:?}",
            rows.len(),
            expected.len()
        );
    }
    for job in TO_HBASE {
        check_result_in_hbase(&scene, job);
    }
}

fn check_result_in_hbase(scene: &Scene, job: &str) {
    let table = format!("result_{}_{job}", scene.place.id);
    let target = format!("hbase:{table}");
    // Twice: the second run replaces the first.
    for _ in 0..2 {
        scene.ok(
            STORED,
            &["submit", job, "--no-progress", "--output", &target],
        );
    }
    let back = "back.toml";
    let entry = format!("[tables.result]\nconnector = \"hbase\"\nlocation = \"{target}\"\n");
    scene.place.write(back, &entry);
    let read = |format: &str| {
        let sql = ["sql", "--no-progress", "--format", format, "-e"];
        scene.ok(back, &[&sql[..], &["SELECT * FROM result"]].concat())
    };
    let printed = scene.ok(LOCAL, &["submit", job, "--no-progress", "--format", "csv"]);
    assert_eq!(sorted(&read("csv")), sorted(&printed), "{job} read back");

    // The other client sees as many rows, and each value of them in Emporia's answer.
    let rows = scene.independent(&table);
    assert_eq!(rows.len(), printed.lines().count() - 1, "{job}");
    let answer: Vec<Value> = serde_json::from_str(&read("json")).unwrap();
    let mut theirs: Vec<_> = rows.iter().map(values_of).collect();
    // Columns of the key are no cells.
    let cells: BTreeSet<_> = theirs.iter().flat_map(|row| row.keys().cloned()).collect();
    assert!(!cells.is_empty(), "{job} has no cells");
    let mut ours: Vec<_> = answer
        .iter()
        .map(|row| values_of_json(row, &cells))
        .collect();
    theirs.sort();
    ours.sort();
    assert_eq!(theirs, ours, "{job} through another client");
}

/// The non-key cells by qualifier; the presence cell says nothing.
fn values_of(row: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let cells = row.iter().filter_map(|(column, value)| {
        let (_, qualifier) = column.split_once(':')?;
        let value = plain_number(value.as_str()?);
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
        cells
            .contains(name)
            .then(|| (name.clone(), plain_number(&text)))
    });
    values.collect()
}

/// A decimal without the zeros at its end, which a number of JSON does not have. Shares, which are
/// floats, are compared by their first twelve decimals, because reading JSON loses the last bit.
fn plain_number(text: &str) -> String {
    const EXACT: usize = 12;
    match text.split_once('.') {
        Some((_, decimals)) if decimals.len() > EXACT => match text.parse::<f64>() {
            Ok(value) => format!("{value:.EXACT$}"),
            Err(_) => text.to_owned(),
        },
        Some((_, decimals)) if text.parse::<f64>().is_ok() && !decimals.contains('e') => {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => text.to_owned(),
    }
}
