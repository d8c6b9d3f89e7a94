//! Managed tables through the program: what stays for the next one, exit codes and messages.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use emporia_e2e::programs::{emporia, program};

/// Runs SQL; returns the exit code, what was printed and what was said.
fn sql(folder: &Path, text: &str) -> (Option<i32>, String, String) {
    let args = [
        "sql",
        "--cluster",
        "local[2]",
        "--format",
        "csv",
        "-e",
        text,
    ];
    let output = emporia(folder, &args).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[track_caller]
fn printed(folder: &Path, text: &str) -> String {
    let (code, printed, said) = sql(folder, text);
    assert_eq!(code, Some(0), "{text}: {said}");
    printed
}

#[test]
fn a_table_of_the_warehouse_is_there_for_the_next_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let config = "warehouse = \"tables\"\n[client]\ntarget_partitions = 2\n";
    fs::write(path.join("emporia.toml"), config).unwrap();
    let made = printed(
        path,
        "CREATE TABLE sums (k VARCHAR, v BIGINT NOT NULL); INSERT INTO sums VALUES ('a', 1), ('b', 2);\
         CREATE TEMP TABLE passing AS SELECT * FROM sums; SELECT sum(v) AS v FROM passing; SHOW TABLES",
    );
    assert_eq!(made, "v\n3\ntable,kind\npassing,table\nsums,table\n");
    let listed = emporia(path, &["tables", "--format", "csv"]).unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("\nsums,parquet,managed,file://"),
        "{listed}"
    );
    assert!(!listed.contains("passing"), "{listed}");
    assert_eq!(super::names(&path.join("tables")), ["_warehouse", "sums"]);

    let described = "column,type,nullable\nk,string,yes\nv,int64,no\n";
    assert_eq!(printed(path, "DESCRIBE sums"), described);
    let args = ["tables", "sums", "--format", "csv"];
    assert_eq!(emporia(path, &args).unwrap().stdout, described.as_bytes());
    let grown = printed(
        path,
        "INSERT INTO sums VALUES ('c', 4); SELECT sum(v) AS v FROM sums",
    );
    assert_eq!(grown, "v\n7\n");

    fs::write(path.join("tables/notes.txt"), "mine").unwrap();
    assert_eq!(printed(path, "DROP TABLE sums"), "");
    let (code, _, said) = sql(path, "SELECT * FROM sums");
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(
        super::names(&path.join("tables")),
        ["_warehouse", "notes.txt"]
    );
}

#[test]
fn without_a_warehouse_tables_end_with_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let text = "CREATE TABLE t AS SELECT 1 AS a UNION ALL SELECT 2; INSERT INTO t SELECT a + 2 FROM t;\
                SELECT sum(a) AS s FROM t";
    let output = Command::new(program("emporia").unwrap())
        .args([
            "sql",
            "--cluster",
            "local[2]",
            "--format",
            "csv",
            "-e",
            text,
        ])
        .current_dir(folder.path())
        .env_remove("EMPORIA_CONFIG")
        .env("TMPDIR", &temporary)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "s\n10\n", "{said}");
    assert!(
        said.contains("created table `t`, which ends with this session"),
        "{said}"
    );
    let left = super::names(&temporary);
    let is_of_tables = |name: &String| name.starts_with("emporia-tables-");
    assert!(!left.iter().any(is_of_tables), "{left:?}");
    let (code, _, said) = sql(folder.path(), "SELECT * FROM t");
    assert_eq!(code, Some(3), "{said}");
}

#[test]
fn statements_that_are_not_supported_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for text in [
        "BEGIN",
        "GRANT SELECT ON t TO u",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
        "SELECT 1 AS a INTO t UNION ALL SELECT 2",
        "CREATE SCHEMA s",
        "ALTER TABLE t ADD COLUMN a INT",
        "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1 AS a",
        "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a",
        "DROP TABLE t CASCADE",
        "SET datafusion.execution.parquet.pushdown_filters = true",
        "VACUUM",
    ] {
        let (code, printed, said) = sql(folder.path(), text);
        assert_eq!(code, Some(3), "{text}: {said}");
        assert_eq!(printed, "", "{text}");
        for word in ["Proto", "Codec", "{", "panicked", "DataFusion"] {
            assert!(!said.contains(word), "{text}: {said}");
        }
    }
}

#[test]
fn a_script_stops_at_the_statement_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let script = "CREATE TABLE t AS SELECT 'a;b' AS x; -- one; two\n\
                  SELECT x FROM t;\n\
                  /* three; */ SELECT $$four;$$ AS x;\n\n\
                  INSERT INTO t\n  SELECT y FROM t;\n\
                  SELECT 5 AS x;\n";
    fs::write(folder.path().join("steps.sql"), script).unwrap();
    let args = [
        "sql",
        "--cluster",
        "local[2]",
        "--format",
        "csv",
        "-f",
        "steps.sql",
    ];
    let output = emporia(folder.path(), &args).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "x\na;b\nx\nfour;\n"
    );
    assert!(
        said.contains("statement 4, line 5: steps.sql:6:10: no column `y`"),
        "{said}"
    );

    fs::write(
        folder.path().join("steps.sql"),
        "SELECT 1 AS x;\nSELECT 1 / 0;\nSELECT 2",
    )
    .unwrap();
    let output = emporia(folder.path(), &args).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("statement 2, line 2: job "), "{said}");
}
