//! JSON as people write it and as Emporia writes it, on one process and on a cluster.

use std::fs;
use std::path::Path;

use emporia_core::catalog::Catalog;
use emporia_e2e::programs::emporia;
use emporia_e2e::sandbox::{Sandbox, query, single_process};
use emporia_engine::EngineOptions;
use tempfile::TempDir;

/// Rows with values that other ways of writing lose: nested nulls, large numbers, hostile text.
const HOSTILE: &str = "\
-- name: hostile
-- description: Rows that are easily lost
-- input: source
-- output: hostile
-- key: id

SELECT id, note, big, CAST(amount AS DECIMAL(38,10)) AS amount,
       CASE WHEN id = 3 THEN CAST('NaN' AS DOUBLE) WHEN id = 1 THEN 0.1 END AS rate,
       CAST(at AS TIMESTAMP) AS at, parts
FROM source
";

const SOURCE: &str = r#"{"id": 1, "note": "a\nb, \"c\"", "big": 9223372036854775807, "amount": 0.5, "at": "2024-02-29T10:00:00.000001", "parts": [{"n": 1, "tags": []}, null]}
{"id": 2, "note": "", "big": -9223372036854775808, "amount": 12345678901234567.25, "at": null, "parts": []}
{"id": 3, "note": null, "big": null, "amount": null, "parts": [{"n": null, "tags": [null, "x"]}]}
{"id": 4, "note": "null", "big": 0, "amount": 1, "at": "1969-12-31T23:59:59", "parts": null}
"#;

const ROWS: &str = "SELECT id, note IS NULL AS is_null, length(note) AS n_note, big, amount, rate, at, parts \
                    FROM t ORDER BY id";

/// A folder with a catalog; relative locations are relative to it.
fn place(files: &[(&str, &str)], catalog: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(folder.path().join("emporia.toml"), catalog).unwrap();
    folder
}

fn sql(folder: &Path, text: &str) -> (Option<i32>, String, String) {
    let args = [
        "sql",
        "--quiet",
        "--no-progress",
        "--format",
        "csv",
        "-e",
        text,
    ];
    let output = emporia(folder, &args).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The rows of a query that has to succeed.
#[track_caller]
fn rows(folder: &Path, text: &str) -> String {
    let (code, printed, said) = sql(folder, text);
    assert_eq!(code, Some(0), "{text}: {said}");
    printed
}

#[track_caller]
fn fails(folder: &Path, text: &str, code: i32, words: &[&str]) {
    let (found, printed, said) = sql(folder, text);
    assert_eq!(
        found,
        Some(code),
        "{text} printed {printed} and said {said}"
    );
    for word in words {
        assert!(said.contains(word), "{text} does not say `{word}`: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_keys_and_types_are_found_in_files_of_all_names() {
    let early = "{\"basket\": 1, \"price\": 4}\n".repeat(3_000);
    let late = "{\"basket\": 2, \"price\": 4.25, \"voucher\": \"V\"}\n".repeat(40);
    let files = [
        ("f/a.json", early.as_str()),
        ("f/b.jsonl", late.as_str()),
        ("f/c.ndjson", ""),
        ("f/d", "[{\"price\": 0.25}]"),
        ("f/_SUCCESS", ""),
        ("f/.hidden.json", "broken"),
    ];
    let catalog = "[tables.t]\nconnector = \"json\"\nlocation = \"f/\"\n";
    let folder = place(&files, catalog);
    let catalog = Catalog::parse(catalog, Some(folder.path())).unwrap();
    let sandbox = Sandbox::start(&[1, 1]).await.unwrap();
    let text = "SELECT count(*), count(voucher), sum(price), count(basket) FROM t";
    let expected = [["3041", "40", "12170.25", "3040"]];
    let single = single_process(catalog.clone()).unwrap();
    assert_eq!(query(&single, text).await.unwrap(), expected);
    for target_partitions in [1, 2, 4] {
        let options = EngineOptions {
            target_partitions,
            ..EngineOptions::default()
        };
        let cluster = sandbox.session(catalog.clone(), &options).unwrap();
        assert_eq!(query(&cluster, text).await.unwrap(), expected);
    }
}

#[test]
fn a_value_that_is_not_of_its_column_fails_with_its_place() {
    let files = [
        (
            "prices.json",
            "{\"sku\": \"a\", \"price\": 3}\n{\"sku\": \"b\", \"price\": 3.5}\n",
        ),
        ("empty/a.json", ""),
        ("empty/b.json", "\n"),
        ("mixed/a.json", "{\"id\": 1, \"price\": 3, \"tags\": []}\n"),
        (
            "mixed/b.json",
            "{\"id\": 2, \"price\": 3.5, \"tags\": [4]}\n",
        ),
        ("other/a.json", "{\"id\": 1}\n"),
        ("other/b.csv", "id\n1\n"),
        ("bad.json", "{\"id\": 1}\n{\"id\": \n"),
    ];
    let columns = "columns = [\"id int64\", \"price decimal(18,2)\", \"tags list(int64)\"]\n";
    let catalog = format!(
        "[tables.whole]\nconnector = \"json\"\nlocation = \"prices.json\"\ncolumns = [\"sku string\", \"price int64\"]\n\
         [tables.found]\nconnector = \"json\"\nlocation = \"prices.json\"\n\
         [tables.empty]\nconnector = \"json\"\nlocation = \"empty/\"\n{columns}\
         [tables.nothing]\nconnector = \"json\"\nlocation = \"empty/\"\n\
         [tables.mixed]\nconnector = \"json\"\nlocation = \"mixed/\"\n{columns}\
         [tables.other]\nconnector = \"json\"\nlocation = \"other/\"\n\
         [tables.bad]\nconnector = \"json\"\nlocation = \"bad.json\"\n"
    );
    let folder = place(&files, &catalog);
    let folder = folder.path();
    let words = [
        "line 2",
        "prices.json",
        "column `price`",
        "`3.5` is not int64",
    ];
    fails(folder, "SELECT sum(price) AS s FROM whole", 1, &words);
    assert_eq!(
        rows(folder, "SELECT sum(price) AS s FROM found"),
        "s\n6.5\n"
    );
    assert_eq!(rows(folder, "SELECT count(*) AS n FROM empty"), "n\n0\n");
    fails(
        folder,
        "SELECT * FROM nothing",
        3,
        &["table `nothing` has no columns", "columns = ["],
    );
    let text = "SELECT id, price, tags FROM mixed ORDER BY id";
    assert_eq!(rows(folder, text), "id,price,tags\n1,3.00,[]\n2,3.50,[4]\n");
    fails(folder, "SELECT * FROM other", 3, &["b.csv"]);
    fails(folder, "SELECT * FROM bad", 1, &["line 2", "bad.json"]);
}

#[test]
fn what_emporia_writes_it_reads_by_that_name() {
    let columns = "columns = [\"id int64\", \"note string\", \"big int64\", \"amount decimal(38,10)\", \"rate float64\", \
                   \"at timestamp\", \"parts list(struct(n int64, tags list(string)))\"]\n";
    let catalog = "[tables.source]\nconnector = \"json\"\nlocation = \"source.json\"\n\
         [tables.folder]\nconnector = \"json\"\nlocation = \"folder\"\n";
    let place = place(
        &[("source.json", SOURCE), ("hostile.sql", HOSTILE)],
        catalog,
    );
    let folder = place.path();
    let expected = rows(folder, &format!("WITH t AS ({}) {ROWS}", select()));
    assert!(
        expected.contains("12345678901234567.2500000000"),
        "{expected}"
    );
    assert!(expected.contains("NaN"), "{expected}");
    for name in ["one.json", "one.ndjson", "one.jsonl", "result/"] {
        let args = [
            "submit",
            "hostile.sql",
            "--quiet",
            "--no-progress",
            "--format",
            "json",
            "-o",
            name,
        ];
        let args: Vec<_> = match name.ends_with('/') {
            true => args.to_vec(),
            false => [&args[..4], &args[6..]].concat(),
        };
        let written = emporia(folder, &args).unwrap();
        let said = String::from_utf8_lossy(&written.stderr);
        assert!(written.status.success(), "{name}: {said}");
        for declared in ["", columns] {
            let table =
                format!("[tables.t]\nconnector = \"json\"\nlocation = \"{name}\"\n{declared}");
            fs::write(folder.join("emporia.toml"), format!("{catalog}{table}")).unwrap();
            // A single file does not say that a text is a time and a number a decimal, and declared times
            // are in UTC.
            let typed = match name.ends_with('/') && declared.is_empty() {
                false => ROWS
                    .replace("amount,", "CAST(amount AS DECIMAL(38,10)) AS amount,")
                    .replace(" at,", " CAST(at AS TIMESTAMP) AS at,"),
                true => ROWS.to_owned(),
            };
            assert_eq!(rows(folder, &typed), expected, "{name} {declared}");
        }
    }
    let copied = ROWS.replace("FROM t", "FROM folder");
    for statement in ["COPY", "INSERT"] {
        let text = match statement {
            "COPY" => format!("COPY ({}) TO 'folder' STORED AS JSON", select()),
            _ => format!("INSERT OVERWRITE folder {}", select()),
        };
        let (code, _, said) = sql(folder, &text);
        assert_eq!(code, Some(0), "{statement}: {said}");
        assert_eq!(rows(folder, &copied), expected, "{statement}");
    }
    for refused in [
        "INTERVAL '1 month' AS length",
        "id AS a, note AS \"A\", big AS a",
    ] {
        let text = format!("COPY (SELECT {refused} FROM source) TO 'folder' STORED AS JSON");
        let (code, printed, said) = sql(folder, &text);
        assert_eq!((code, printed.as_str()), (Some(3), ""), "{refused}: {said}");
        assert_eq!(rows(folder, &copied), expected, "{refused}");
    }
}

/// The query of the job.
fn select() -> &'static str {
    HOSTILE.split_once("\n\n").map_or("", |(_, text)| text)
}
