//! Files, types, catalogs and plans with changed bytes are read or refused: nothing panics, and a
//! file that is read in pieces has the rows that it has when it is read whole.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::DefaultPhysicalProtoConverter;
use emporia_core::catalog::{Catalog, parse_type, type_name};
use emporia_e2e::hostile::{Dice, changed};
use emporia_e2e::sandbox::query;
use emporia_engine::state::{logical_codec, physical_codec};
use emporia_engine::{EngineOptions, Session, Target};

const DELIMITED: &str = "id,name,price,day\n1,\"a, \"\"b\"\"\",1.50,2024-01-31\n2,,0.00,2024-02-29\n\
                         3,\"two\nlines\",-7.25,1999-12-31\n4,é,10,2024-03-01\n";
const MARKS: [&str; 14] = [
    "\"", "\"\"", ",", "\n", "\r\n", "\r", ";", "\t", "\u{feff}", "\\", "\0", "1e400", "\"\n\"",
    "é",
];
const JSON: &str = "{\"id\": 1, \"name\": \"a\", \"price\": 1.5, \"day\": \"2024-01-31\"}\n\
                    {\"id\": 2, \"name\": null, \"price\": 0.25}\n\
                    {\"id\": 3, \"name\": \"\\u00e9\\n\", \"price\": -7, \"day\": null}\n";
const TOKENS: [&str; 16] = [
    "{",
    "}",
    "[",
    "]",
    "null",
    "\"",
    "\\",
    "\\ud800",
    "1e999",
    "-0",
    "0.1",
    ",",
    ":",
    "\n",
    "{\"id\": 9}",
    "9223372036854775808",
];

fn session(folder: &Path, partitions: usize) -> Session {
    let table = |name: &str, id: &str, price: &str, day: &str| {
        format!(
            "[tables.{name}]\nconnector = \"{name}\"\nlocation = \"{name}/\"\n\
             columns = [\"id {id}\", \"name string\", \"price {price}\", \"day {day}\"]\n"
        )
    };
    // Most changes leave texts valid, so that rows are compared; the other table checks types.
    let csv = table("csv", "string", "string", "string");
    let text = format!("{csv}{}", table("json", "int64", "decimal(10,2)", "date"));
    let catalog = Catalog::parse(&text, Some(folder)).unwrap();
    let options = EngineOptions {
        target_partitions: partitions,
        ..EngineOptions::default()
    };
    Session::open(catalog, Target::SingleProcess, &options, &Arc::default()).unwrap()
}

/// The rows, sorted, or the error.
async fn rows(folder: &Path, table: &str, partitions: usize) -> Result<Vec<Vec<String>>, String> {
    let sql = format!("SELECT id, name, price, day FROM {table}");
    let mut rows = query(&session(folder, partitions), &sql)
        .await
        .map_err(|e| e.to_string())?;
    rows.sort();
    Ok(rows)
}

/// Reads changed files whole and in pieces.
async fn read_all(table: &str, good: &str, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join(table);
    fs::create_dir(&place).unwrap();
    let file = place.join(format!("part.{table}"));
    let (mut n_read, mut n_refused) = (0, 0);
    for seed in 0..300 {
        let bytes = changed(good.as_bytes(), words, &mut Dice::new(seed));
        fs::write(&file, &bytes).unwrap();
        let whole = rows(folder.path(), table, 1).await;
        let pieces = rows(folder.path(), table, 4).await;
        let text = String::from_utf8_lossy(&bytes);
        match (whole, pieces) {
            (Ok(whole), Ok(pieces)) => {
                assert_eq!(whole, pieces, "seed {seed}: {text}");
                n_read += 1;
            }
            (Err(whole), Err(pieces)) => {
                for error in [whole, pieces] {
                    assert!(!error.contains("panic"), "seed {seed}: {error}: {text}");
                }
                n_refused += 1;
            }
            (whole, pieces) => panic!("seed {seed}: {whole:?}, in pieces {pieces:?}: {text}"),
        }
    }
    // Else the changes show nothing.
    assert!(
        n_read > 10 && n_refused > 10,
        "{n_read} read, {n_refused} refused"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_delimited_files_are_read_or_refused() {
    read_all("csv", DELIMITED, &MARKS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_json_files_are_read_or_refused() {
    read_all("json", JSON, &TOKENS).await;
}

#[test]
fn changed_types_are_parsed_or_refused() {
    let good = [
        "decimal(10,2)",
        "list(int32)",
        "struct(a int64, b text)",
        "struct(a int64, B list(map(string, decimal(10,2))), c struct(d timestamp))",
    ];
    let words = [
        "(",
        ")",
        ",",
        " ",
        "list(",
        "map(string,",
        "decimal(38,38)",
        "99",
        "-1",
        "é",
        "int32",
    ];
    let mut n_parsed = 0;
    for seed in 0..20_000 {
        let mut dice = Dice::new(seed);
        let good = good[dice.below(good.len())];
        let bytes = changed(good.as_bytes(), &words, &mut dice);
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(data_type) = parse_type(&text) {
            // Maps can be declared, but no table that Emporia writes has one.
            let Ok(name) = type_name(&data_type) else {
                assert!(text.to_lowercase().contains("map("), "{text}");
                continue;
            };
            assert_eq!(parse_type(&name).unwrap(), data_type, "{text} is {name}");
            n_parsed += 1;
        }
    }
    assert!(n_parsed > 100, "{n_parsed}");
}

#[test]
fn changed_catalogs_and_locations_are_parsed_or_refused() {
    let good = "[tables.a]\nconnector = \"csv\"\nlocation = \"data/a b/x.csv\"\ncolumns = [\"id int64\"]\n\
                [tables.b]\nconnector = \"parquet\"\nlocation = \"hdfs://host:8020/Größe/\"\n";
    let words = [
        "\"",
        "'",
        "\n",
        "[",
        "]",
        "=",
        "..",
        "/",
        "//",
        "%",
        "%2F",
        "%zz",
        "#",
        "?",
        "*",
        "{",
        "file://",
        "hdfs://",
        "hbase:",
        "mongodb:a.b",
        "é",
        "e\u{301}",
        "\\",
        ":",
        " ",
    ];
    let mut n_parsed = 0;
    for seed in 0..20_000 {
        let bytes = changed(good.as_bytes(), &words, &mut Dice::new(seed));
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(catalog) = Catalog::parse(&text, Some(Path::new("/shop/data"))) {
            for table in catalog.tables.values() {
                let _ = table.declared_schema();
            }
            n_parsed += 1;
        }
    }
    assert!(n_parsed > 100, "{n_parsed}");
}

/// Whether the reader ends without a panic.
fn ends<T>(read: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(read)).is_ok()
}

#[tokio::test]
async fn changed_plans_are_decoded_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (table, text) in [("csv", DELIMITED), ("json", JSON)] {
        fs::create_dir(folder.path().join(table)).unwrap();
        let file = folder.path().join(table).join(format!("part.{table}"));
        fs::write(file, text).unwrap();
    }
    let session = session(folder.path(), 2);
    let frame = session
        .sql("SELECT c.id, max(c.price) FROM csv c JOIN json j ON c.name = j.name WHERE c.name <> 'x' GROUP BY c.id")
        .await
        .unwrap();
    let context = session.context().task_ctx();
    let (logical, physical) = (logical_codec(), physical_codec());
    let name = TableReference::bare("csv");
    let provider = session.context().table_provider("csv").await.unwrap();
    let mut table = Vec::new();
    logical
        .try_encode_table_provider(&name, Arc::clone(&provider), &mut table)
        .unwrap();
    let mut scan = Vec::new();
    let plan = frame.create_physical_plan().await.unwrap();
    let node = find(&plan, "SplitScanExec").unwrap();
    let inputs: Vec<_> = node.children().into_iter().map(Arc::clone).collect();
    let convert = DefaultPhysicalProtoConverter {};
    physical
        .try_encode(Arc::clone(&node), &mut scan, &convert)
        .unwrap();
    let words = [
        "\0",
        "csv",
        "delimited",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "null",
        "-1",
        "1e99",
        ":",
    ];
    for seed in 0..5_000 {
        let bytes = changed(&table, &words, &mut Dice::new(seed));
        let schema = provider.schema();
        let read = || logical.try_decode_table_provider(&bytes, &name, schema, &context);
        assert!(ends(read), "table of seed {seed}");
        let bytes = changed(&scan, &words, &mut Dice::new(seed));
        let read = || physical.try_decode(&bytes, &inputs, &context, &convert);
        assert!(ends(read), "scan of seed {seed}");
    }
}

/// The first node of a plan with this name.
fn find(plan: &Arc<dyn ExecutionPlan>, name: &str) -> Option<Arc<dyn ExecutionPlan>> {
    if plan.name() == name {
        return Some(Arc::clone(plan));
    }
    plan.children()
        .into_iter()
        .find_map(|child| find(child, name))
}
