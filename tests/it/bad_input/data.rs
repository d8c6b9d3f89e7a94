//! Damaged, missing and empty data. A location that a user names wrongly is a mistake of the
//! command (3), damaged data is a failed job (1), and no rows are no fault at all.
//!
//! There is no case of a folder without read permission: the tests may run as root, who reads all.

use std::fs;
use std::path::Path;

use emporia_e2e::programs::emporia;
use tempfile::TempDir;

use super::{printed, refused, shop};

/// Bytes in the middle of a Parquet file that are overwritten, far from its header and footer.
const DAMAGE: std::ops::Range<usize> = 2_000..62_000;

const NOTHING: &str = "\
-- name: nothing
-- description: A result without rows
-- input: transactions
-- output: nothing
-- key: user_id

SELECT user_id, total FROM transactions WHERE total < 0
";

/// A folder with a table `t` of one connector; `definition` are further lines of its section.
fn table(connector: &str, location: &str, definition: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("t")).unwrap();
    let text = format!(
        "[tables.t]\nconnector = \"{connector}\"\nlocation = \"{location}\"\n{definition}\n"
    );
    fs::write(folder.path().join("emporia.toml"), text).unwrap();
    folder
}

/// A table `t` of CSV files in a folder.
fn csv(files: &[(&str, &str)]) -> TempDir {
    let folder = table(
        "csv",
        "t/",
        "columns = [\"id int64\", \"price decimal(10,2)\"]",
    );
    for (name, text) in files {
        fs::write(folder.path().join("t").join(name), text).unwrap();
    }
    folder
}

/// A table `t` of one Parquet file in a folder, with the bytes of a generated one, damaged.
fn parquet(damage: impl FnOnce(Vec<u8>) -> Vec<u8>) -> TempDir {
    let shop = shop();
    let whole = fs::read(shop.path().join("transactions/part-00000.parquet")).unwrap();
    let folder = table("parquet", "t/", "");
    fs::write(folder.path().join("t/a.parquet"), damage(whole)).unwrap();
    folder
}

/// Bytes that look like chance and are the same in every run.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(n).collect()
}

const COUNT: [&str; 6] = [
    "sql",
    "--format",
    "csv",
    "--no-header",
    "-e",
    "SELECT count(*) FROM t",
];
const ROWS: [&str; 5] = ["sql", "--format", "csv", "-e", "SELECT * FROM t"];

#[test]
fn a_parquet_file_that_is_none_names_the_table() {
    let words = [
        "cannot read the files of table `t`",
        "Corrupt footer",
        "check that they are complete",
    ];
    let truncated = parquet(|mut bytes| {
        bytes.truncate(bytes.len() / 2);
        bytes
    });
    refused(truncated.path(), &COUNT, 1, &words);
    let random = parquet(|_| noise(5_000));
    refused(random.path(), &COUNT, 1, &words);
}

#[test]
fn a_parquet_file_with_damaged_pages_fails_the_query() {
    let folder = parquet(|mut bytes| {
        assert!(
            bytes.len() > DAMAGE.end + 10_000,
            "the file is too small for the test"
        );
        bytes[DAMAGE].copy_from_slice(&noise(DAMAGE.len()));
        bytes
    });
    let words = [
        "job ",
        " failed: ",
        "cannot read the file `/",
        "t/a.parquet`: ",
        "check that the input files are complete",
    ];
    refused(folder.path(), &ROWS, 1, &words);
}

#[test]
fn a_missing_csv_column_names_file_and_column() {
    let first = csv(&[("a.csv", "id,cost\n1,2\n")]);
    let words = [
        "cannot read table `t`",
        "t/a.csv` has no column `price`",
        "its header names id, cost",
    ];
    refused(first.path(), &COUNT, 3, &words);
    let second = csv(&[("a.csv", "id,price\n1,2\n"), ("b.csv", "id,cost\n1,2\n")]);
    let words = [
        "t/b.csv` has no column `price`",
        "its header names id, cost",
    ];
    refused(second.path(), &ROWS, 3, &words);
}

#[test]
fn a_bad_csv_value_names_its_byte_and_column() {
    let value = csv(&[("a.csv", "id,price\n1,2.50\n2,abc\n")]);
    let words = [
        "the record at line 3, byte 16 of `file://",
        "/t/a.csv`",
        "column `price` is not Decimal128(10, 2): `2,abc`",
        "permissive = \"true\"",
    ];
    refused(value.path(), &ROWS, 1, &words);
    let fields = csv(&[("a.csv", "id,price\n1,2.50\n2,3,4\n")]);
    let words = [
        "the record at line 3, byte 16 of",
        "it does not have 2 fields: `2,3,4`",
    ];
    refused(fields.path(), &ROWS, 1, &words);
}

#[test]
fn a_wrong_table_definition_says_what_is_wrong() {
    let check = |folder: TempDir, words: &[&str]| refused(folder.path(), &COUNT, 3, words);
    check(
        table("parquet", "gone/", ""),
        &["table `t`: there are no parquet files at `/", "/gone`"],
    );
    let columns = "columns = [\"id int64\"]";
    check(
        table("csv", "t/gone.csv", columns),
        &["table `t`: there are no csv files at `/", "gone.csv"],
    );
    check(
        table("parket", "t/", ""),
        &["unknown connector `parket`", "did you mean `parquet`?"],
    );
    refused(
        table("parket", "t/", "").path(),
        &["tables"],
        3,
        &["unknown connector `parket`", "did you mean `parquet`?"],
    );
    check(
        table("csv", "t/", ""),
        &["csv table `t` declares no columns", "add columns = "],
    );
    check(
        table("csv", "s4://bucket/t/", columns),
        &["no store is registered for `s4://bucket/`"],
    );
    check(
        table("parquet", "t/", "contract = \"usres\""),
        &["`usres`", "did you mean `users`?"],
    );
}

#[test]
fn an_empty_folder_is_a_missing_table() {
    let words = [
        "table `t`: there are no parquet files at `/",
        "check the location",
    ];
    refused(table("parquet", "t/", "").path(), &COUNT, 3, &words);
    refused(
        csv(&[]).path(),
        &COUNT,
        3,
        &["table `t`: there are no csv files at `/"],
    );
}

#[test]
fn csv_files_without_records_are_an_empty_table() {
    for text in ["id,price\n", ""] {
        let folder = csv(&[("a.csv", text)]);
        assert_eq!(printed(folder.path(), &COUNT), "0\n");
        assert_eq!(printed(folder.path(), &ROWS), "id,price\n");
    }
}

/// Writes a result without rows to `output`, below `folder`.
fn write_nothing(folder: &Path, output: &str) {
    let shop = shop();
    fs::write(shop.path().join("nothing.sql"), NOTHING).unwrap();
    let output = folder.join(output).display().to_string();
    let written = emporia(shop.path(), &["submit", "nothing.sql", "--output", &output]).unwrap();
    assert!(
        written.status.success(),
        "{}",
        String::from_utf8_lossy(&written.stderr)
    );
}

#[test]
fn a_parquet_file_without_rows_is_an_empty_table() {
    let folder = table("parquet", "t/", "");
    write_nothing(folder.path(), "t/a.parquet");
    assert_eq!(printed(folder.path(), &COUNT), "0\n");
    assert_eq!(printed(folder.path(), &ROWS), "user_id,total\n");
}

#[test]
fn a_published_result_without_files_is_an_empty_table() {
    let folder = table("parquet", "result/", "");
    write_nothing(folder.path(), "result");
    let pointer = fs::read_to_string(folder.path().join("result/_current")).unwrap();
    assert!(pointer.contains("\"files\": []"), "{pointer}");
    assert_eq!(printed(folder.path(), &COUNT), "0\n");
    assert_eq!(printed(folder.path(), &ROWS), "user_id,total\n");
}

#[test]
fn a_table_may_be_a_single_file() {
    let columns = "columns = [\"id int64\", \"price decimal(10,2)\"]";
    let text = table("csv", "t/a.csv", columns);
    fs::write(text.path().join("t/a.csv"), "id,price\n1,2.50\n").unwrap();
    assert_eq!(printed(text.path(), &ROWS), "id,price\n1,2.50\n");
    let rows = table("parquet", "t/a.parquet", "");
    write_nothing(rows.path(), "t/a.parquet");
    assert_eq!(printed(rows.path(), &COUNT), "0\n");
}
