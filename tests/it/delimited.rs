//! Delimited text through the whole program: what is written is read as the same rows, and a file that
//! several tasks read has the rows that it has.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use emporia_e2e::programs::emporia;
use tempfile::TempDir;

const CATALOG: &str = r#"
[tables.remarks]
connector = "json"
location = "remarks.json"
columns = ["id int64", "remark string"]

[tables.copy]
connector = "csv"
location = "out/copy"
columns = ["id int64", "remark string"]

[tables.single]
connector = "csv"
location = "out/single"
columns = ["remark string"]

[tables.copied]
connector = "csv"
location = "out/copied"
columns = ["id int64", "remark string"]

[tables.one_csv]
connector = "csv"
location = "one.csv"
columns = ["id int64", "remark string"]

[tables.one_tsv]
connector = "csv"
location = "one.tsv"
columns = ["id int64", "remark string"]
options = { null = "NULL" }

[tables.wide]
connector = "csv"
location = "wide.csv"
columns = ["id int64", "remark string"]
options = { permissive = "true" }
"#;

const REMARKS: &str = r##"{"id": 1, "remark": "first\nsecond"}
{"id": 2, "remark": "first\r\nsecond, \"third\""}
{"id": 3, "remark": ""}
{"id": 4, "remark": null}
{"id": 5, "remark": "  blanks\t"}
{"id": 6, "remark": "NULL"}
{"id": 7, "remark": "#1; 5\" \\n"}
{"id": 8, "remark": "\n9,\"x"}
"##;

fn desk() -> TempDir {
    let desk = tempfile::tempdir().unwrap();
    fs::write(desk.path().join("emporia.toml"), CATALOG).unwrap();
    fs::write(desk.path().join("remarks.json"), REMARKS).unwrap();
    desk
}

#[track_caller]
fn sql(desk: &Path, args: &[&str], query: &str) -> String {
    let args = [&["sql", "--quiet"], args, &["-e", query]].concat();
    let output = emporia(desk, &args).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{query} said: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn rows_come_back_as_they_were_written() {
    let desk = desk();
    let rows = |table: &str| {
        let query = format!("SELECT id, remark FROM {table} ORDER BY id");
        sql(desk.path(), &["--format", "ndjson"], &query)
    };
    let expected = rows("remarks");
    assert_eq!(expected.lines().count(), 8);
    sql(
        desk.path(),
        &[],
        "INSERT OVERWRITE copy SELECT id, remark FROM remarks; \
         INSERT OVERWRITE single SELECT remark FROM remarks; \
         COPY (SELECT id, remark FROM remarks) TO 'out/copied' STORED AS CSV",
    );
    let all = "SELECT id, remark FROM remarks ORDER BY id";
    let csv = sql(desk.path(), &["--format", "csv"], all);
    fs::write(desk.path().join("one.csv"), csv).unwrap();
    let tsv = ["--format", "tsv", "--null-string", "NULL"];
    let tsv = sql(desk.path(), &tsv, all);
    fs::write(desk.path().join("one.tsv"), tsv).unwrap();
    for table in ["copy", "copied", "one_csv", "one_tsv"] {
        assert_eq!(rows(table), expected, "{table}");
    }
    let single = "SELECT remark FROM single ORDER BY remark";
    let remarks = "SELECT remark FROM remarks ORDER BY remark";
    let ndjson = ["--format", "ndjson"];
    assert_eq!(
        sql(desk.path(), &ndjson, single),
        sql(desk.path(), &ndjson, remarks)
    );
}

#[test]
fn lists_are_refused_before_anything_is_written() {
    let desk = desk();
    let query =
        "COPY (SELECT id, make_array(remark) AS tags FROM remarks) TO 'out/tags' STORED AS CSV";
    let output = emporia(desk.path(), &["sql", "-e", query]).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("column `tags` has the type"), "{said}");
    assert!(!desk.path().join("out").exists());
}

#[test]
fn a_large_file_with_line_breaks_in_quotes_is_read_by_several_tasks() {
    let desk = desk();
    let n_records: u64 = 120_000;
    let mut text = String::from("id,remark\r\n");
    let filler = "several words, ".repeat(12);
    for id in 1..=n_records {
        // What looks like a record is one only outside of quotes.
        write!(text, "{id},\"{filler}\n7,\"\"x\"\"\n{id}\"\r\n").unwrap();
    }
    assert!(text.len() > 20 * 1024 * 1024);
    fs::write(desk.path().join("wide.csv"), text).unwrap();
    let query = "SELECT count(*) AS n, sum(id) AS ids, count(DISTINCT _position) AS places, \
                 min(length(remark)) AS least, count(_error) AS faults FROM wide";
    let expected = format!(
        "{n_records},{},{n_records},188,0\n",
        n_records * (n_records + 1) / 2
    );
    let args = ["--format", "csv", "--no-header"];
    assert_eq!(sql(desk.path(), &args, query), expected);
}
