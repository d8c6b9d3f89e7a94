//! Whole tables over local files: values in folders, versions of files, results with declared columns.

use std::fs;
use std::path::{Path as LocalPath, PathBuf};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;

use super::*;
use crate::published::{DataFile, Head, ResultSet};

/// A folder that goes with its value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("files-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn put(&self, file: &str, text: &str) -> PathBuf {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The folder, or something in it, as a table.
    fn table(&self, connector: &str, columns: &[&str], options: &[(&str, &str)]) -> TableDef {
        let mut table = TableDef::new(connector, self.0.display().to_string());
        table.columns = columns.iter().map(|c| (*c).to_owned()).collect();
        let options = options.iter();
        let options = options.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        table.options = options.collect();
        table
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn session(n_partitions: usize) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(n_partitions);
    SessionContext::new_with_config(config.with_batch_size(1024))
}

async fn try_rows(table: &TableDef, n_partitions: usize, sql: &str) -> Result<Vec<String>> {
    let context = session(n_partitions);
    let provider = provider("t", table, &context.state()).await?;
    context.register_table("t", provider).unwrap();
    let frame = context.sql(sql).await.unwrap();
    let batches = frame.collect().await.map_err(|e| unreadable("t", e))?;
    Ok(shown(&batches))
}

/// The rows of a query, which are the same for any number of partitions.
async fn rows(table: &TableDef, sql: &str) -> Vec<String> {
    let mut found: Vec<Vec<String>> = Vec::new();
    for n_partitions in [1, 2, 7] {
        let rows = try_rows(table, n_partitions, sql).await;
        found.push(rows.unwrap_or_else(|e| panic!("{sql}: {e:?}")));
    }
    assert!(found.iter().all(|rows| *rows == found[0]), "{sql}");
    found.remove(0)
}

fn shown(batches: &[RecordBatch]) -> Vec<String> {
    let row = |batch: &RecordBatch, row: usize| {
        let cells = batch.columns().iter().map(|column| {
            match column.logical_nulls().is_some_and(|n| n.is_null(row)) {
                true => "NULL".to_owned(),
                false => array_value_to_string(column, row).unwrap(),
            }
        });
        cells.collect::<Vec<_>>().join(",")
    };
    let rows = batches.iter();
    rows.flat_map(|batch| (0..batch.num_rows()).map(move |n| row(batch, n)))
        .collect()
}

fn assert_has(error: &Error, words: &[&str]) {
    let text = format!("{error:?}; {}", error.hint().unwrap_or_default());
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

/// Files whose `n` is a power of two, in folders of all kinds.
fn shops(connector: &str) -> Folder {
    let folder = Folder::new();
    for (n, place) in [
        "shop=Oslo/year=2024",
        "shop=Oslo/year=__HIVE_DEFAULT_PARTITION__",
        "shop=__HIVE_DEFAULT_PARTITION__/year=2025",
        "shop=K%C3%B6ln%2FDeutz/year=2025/more",
        "shop=/year=2025",
    ]
    .iter()
    .enumerate()
    {
        let n = 1 << n;
        match connector {
            "csv" => folder.put(&format!("{place}/p.csv"), &format!("n,x\n{n},\"a,\"\n")),
            _ => folder.put(&format!("{place}/p.json"), &format!("{{\"n\": {n}}}\n")),
        };
    }
    folder
}

#[tokio::test]
async fn folders_of_text_have_values() {
    let partitions = ("partitions", "shop string; year int32");
    for connector in ["csv", "json"] {
        let folder = shops(connector);
        let table = folder.table(connector, &["n int64"], &[partitions]);
        let all = rows(&table, "SELECT n, shop, year FROM t ORDER BY n").await;
        let expected = [
            "1,Oslo,2024",
            "2,Oslo,NULL",
            "4,NULL,2025",
            "8,Köln/Deutz,2025",
            "16,,2025",
        ];
        assert_eq!(all, expected, "{connector}");
        for (filter, sum) in [
            ("year IS NULL", "2"),
            ("shop IS NULL", "4"),
            ("shop IS NULL OR year < 2025", "5"),
            ("year > 2024 AND n < 16", "12"),
            ("shop = ''", "16"),
            ("shop <> 'Oslo'", "24"),
            ("year + n = 2033", "8"),
            ("coalesce(shop, 'none') = 'none'", "4"),
            ("year = 1999", "NULL"),
            ("year = (SELECT max(year) FROM t)", "28"),
        ] {
            let found = rows(&table, &format!("SELECT sum(n) FROM t WHERE {filter}")).await;
            assert_eq!(found, [sum], "{connector} {filter}");
        }
        let counted = "SELECT count(*), count(shop), min(year), max(year) FROM t";
        assert_eq!(rows(&table, counted).await, ["5,4,2024,2025"]);
        assert_eq!(
            rows(
                &table,
                "SELECT year FROM t WHERE shop = 'Oslo' AND year > 0"
            )
            .await,
            ["2024"]
        );
        // Columns may name them as well.
        let table = folder.table(
            connector,
            &["year int32", "n int64", "shop string"],
            &[partitions],
        );
        assert_eq!(
            rows(&table, "SELECT * FROM t WHERE n = 8").await,
            ["8,Köln/Deutz,2025"]
        );
        let options = [partitions, ("permissive", "true")];
        let table = folder.table(connector, &["n int64"], &options);
        let sql = "SELECT shop, year, _position, _error FROM t WHERE n = 1";
        let position = if connector == "csv" { 4 } else { 0 };
        let expected = format!("Oslo,2024,{position},NULL");
        assert_eq!(rows(&table, sql).await, [expected]);
    }
    let folder = shops("json");
    let table = folder.table("json", &[], &[partitions, ("lines", "text")]);
    let sql = "SELECT line, shop, year FROM t WHERE shop LIKE 'K%'";
    assert_eq!(rows(&table, sql).await, ["{\"n\": 8},Köln/Deutz,2025"]);
}

#[tokio::test]
async fn only_the_folders_that_a_query_needs_are_read() {
    let folder = Folder::new();
    folder.put("day=2025-02-01/p.csv", "n\n1\n");
    folder.put("day=2025-02-02/p.csv", "n\nnone\n");
    let partitions = [("partitions", "day date")];
    let table = folder.table("csv", &["n int64"], &partitions);
    let sql = "SELECT n FROM t WHERE day < '2025-02-02'";
    assert_eq!(rows(&table, sql).await, ["1"]);
    assert!(try_rows(&table, 2, "SELECT n FROM t").await.is_err());
    // Fields without a header are found by their places in the file.
    let headless = [partitions[0], ("header", "false")];
    folder.put("day=2025-02-01/p.csv", "7,x\n");
    let table = folder.table("csv", &["day date", "n int64", "x string"], &headless);
    let sql = "SELECT x, n, day FROM t WHERE day = '2025-02-01'";
    assert_eq!(rows(&table, sql).await, ["x,7,2025-02-01"]);
}

#[tokio::test]
async fn folders_of_text_that_do_not_fit_are_named() {
    for connector in ["csv", "json"] {
        let folder = Folder::new();
        let text = match connector {
            "csv" => "n\n1\n",
            _ => "{\"n\": 1}\n",
        };
        folder.put("year=2024/p", text);
        let columns = ["n int64"];
        let fails = async |options: &[(&str, &str)], words: &[&str]| {
            let table = folder.table(connector, &columns, options);
            let error = try_rows(&table, 2, "SELECT * FROM t").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_has(&error, words);
        };
        fails(&[], &["`year=2024`", "partitions = \"year string\""]).await;
        let year = ("partitions", "year int32");
        folder.put("year=next/p", text);
        fails(&[year], &["`year=next`", "no Int32"]).await;
        fails(&[("partitions", "year")], &["`year` is not of the form"]).await;
        fails(&[("partitions", "month int32")], &["`month=…`"]).await;
        fails(
            &[("partition", "year int32")],
            &["`partition`", "partitions"],
        )
        .await;
    }
    let folder = shops("csv");
    let partitions = ("partitions", "shop string; year int32");
    let table = folder.table("csv", &["year int32"], &[partitions]);
    let error = try_rows(&table, 2, "SELECT * FROM t").await.unwrap_err();
    assert_has(&error, &["declares no columns of its files"]);
    let options = [("partitions", "_error string"), ("permissive", "true")];
    let table = folder.table("csv", &["n int64"], &options);
    assert!(try_rows(&table, 2, "SELECT * FROM t").await.is_err());
}

/// The rows of the table as they come, from one partition.
async fn stream(table: &TableDef) -> SendableRecordBatchStream {
    let context = session(1);
    let table = provider("t", table, &context.state()).await.unwrap();
    let plan = table.scan(&context.state(), None, &[], None).await.unwrap();
    plan.execute(0, context.task_ctx()).unwrap()
}

/// Replaces a file by one of the same size and time: by another file, or in its place.
fn change(path: &LocalPath, text: &str, in_place: bool) {
    let before = fs::metadata(path).unwrap();
    assert_eq!(before.len(), text.len() as u64);
    let written = match in_place {
        true => path.to_owned(),
        false => path.with_extension("new"),
    };
    // Without being cut first.
    let file = fs::File::options();
    let mut file = file
        .clone()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&written)
        .unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    fs::rename(written, path).unwrap();
}

#[tokio::test]
async fn text_that_changes_under_a_read_fails_it() {
    // Longer than what is read ahead.
    let n_lines = 3_000_000;
    let texts = |connector: &str, digit: char| match connector {
        "csv" => format!("n\n{}", format!("100000{digit}\n").repeat(n_lines)),
        _ => format!("{{\"n\":{digit}}}\n").repeat(n_lines),
    };
    for connector in ["csv", "json"] {
        for in_place in [false, true] {
            let folder = Folder::new();
            let path = folder.put("t", &texts(connector, '1'));
            let table = folder.table(connector, &["n int64"], &[]);
            let mut rows = stream(&table).await;
            assert_eq!(rows.try_next().await.unwrap().unwrap().num_rows(), 1024);
            change(&path, &texts(connector, '2'), in_place);
            let error = rows.try_collect::<Vec<_>>().await.unwrap_err();
            let path = path
                .display()
                .to_string()
                .trim_start_matches('/')
                .to_owned();
            assert_eq!(ReadFault::of(&error), Some(&ReadFault::Changed { path }));
        }
    }
}

#[tokio::test]
async fn a_change_between_the_list_and_the_read_is_seen() {
    for (connector, old, new) in [
        ("csv", "n\n1\n", "n\n2\n"),
        ("json", "{\"n\":1}\n", "{\"n\":2}\n"),
    ] {
        for in_place in [false, true] {
            let folder = Folder::new();
            let path = folder.put("t", old);
            let table = folder.table(connector, &["n int64"], &[]);
            let rows = stream(&table).await;
            change(&path, new, in_place);
            let error = rows.try_collect::<Vec<_>>().await.unwrap_err();
            assert!(ReadFault::of(&error).is_some(), "{connector}: {error}");
            // The next query lists again.
            let rows = stream(&table).await.try_collect::<Vec<_>>().await;
            assert_eq!(shown(&rows.unwrap()), ["2"]);
            let rows = stream(&table).await;
            fs::remove_file(&path).unwrap();
            let error = rows.try_collect::<Vec<_>>().await.unwrap_err();
            let fault = ReadFault::of(&error);
            assert!(matches!(fault, Some(ReadFault::Gone { .. })), "{error}");
        }
    }
}

/// A published result with the columns `id int64, name string`, of one file of this text.
async fn published_text(format: &str, text: &str) -> Folder {
    let folder = Folder::new();
    let path = format!("run-1/rows/part-0.{format}");
    folder.put(&path, text);
    let output = PublishedOutput {
        format: format.to_owned(),
        columns: [("id", "Int64"), ("name", "Utf8")]
            .map(|(name, data_type)| (name.to_owned(), data_type.to_owned()))
            .to_vec(),
        required: Vec::new(),
        files: vec![DataFile {
            path,
            rows: 2,
            bytes: text.len() as u64,
        }],
    };
    let results = ResultSet {
        run_id: "1".to_owned(),
        previous: None,
        main: "rows".to_owned(),
        outputs: [("rows".to_owned(), output)].into(),
    };
    let place = Location::parse(&folder.0.display().to_string()).unwrap();
    let store = place.open(&session(1).state()).unwrap();
    let store = store.as_ref();
    let before = Head::load(store, &place.path).await.unwrap();
    before.publish(store, &place.path, results).await.unwrap();
    folder
}

#[tokio::test]
async fn declared_columns_of_a_result_count() {
    for (format, text) in [
        ("csv", "id,name\n1,a\n2,\n"),
        (
            "json",
            "{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"name\":null}\n",
        ),
    ] {
        let folder = published_text(format, text).await;
        let all = "SELECT * FROM t";
        let table = |columns: &[&str]| folder.table("parquet", columns, &[]);
        assert_eq!(rows(&table(&[]), all).await, ["1,a", "2,NULL"]);
        let turned = table(&["name string", "id int64"]);
        assert_eq!(rows(&turned, all).await, ["a,1", "NULL,2"]);
        assert_eq!(rows(&table(&["id int64"]), all).await, ["1", "2"]);
        for (columns, words) in [
            (
                &["id int64", "nam string"][..],
                &["`nam`", "does not have", "id, name", "did you mean `name`?"][..],
            ),
            (
                &["id string"][..],
                &[
                    "declares `id` as Utf8",
                    "has it as Int64",
                    "cast in the query",
                ][..],
            ),
            (&["id int32"][..], &["declares `id` as Int32"][..]),
        ] {
            let error = try_rows(&table(columns), 2, all).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_has(&error, words);
        }
        // What another program made of the file is no part of the result.
        let path = folder.0.join(format!("run-1/rows/part-0.{format}"));
        let rows = stream(&table(&[])).await;
        change(&path, &text.replace('1', "7"), true);
        let error = rows.try_collect::<Vec<_>>().await.unwrap_err();
        assert!(ReadFault::of(&error).is_some(), "{error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_leads_nowhere_fails_the_table() {
    let folder = Folder::new();
    folder.put("a", "n\n1\n");
    let table = folder.table("csv", &["n int64"], &[]);
    let all = "SELECT n FROM t";
    std::os::unix::fs::symlink("gone", folder.0.join("b")).unwrap();
    let error = try_rows(&table, 1, all).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_has(&error, &["/b` leads nowhere", "remove the link"]);
    fs::rename(folder.0.join("b"), folder.0.join("_b")).unwrap();
    assert_eq!(rows(&table, all).await, ["1"]);
}

#[tokio::test]
async fn a_folder_above_a_result_is_no_table() {
    let folder = Folder::new();
    let run = "run-0195d9a2000170008000000000000002";
    folder.put(&format!("sums/{run}/rows/part-0.csv"), "n\n1\n");
    folder.put("sums/_commits/1.json", "{}");
    let table = folder.table("csv", &["n int64"], &[]);
    let error = try_rows(&table, 1, "SELECT n FROM t").await.unwrap_err();
    assert_has(&error, &["/sums` holds a published result", "that folder"]);
}
