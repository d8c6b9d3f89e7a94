//! Mistakes in what is typed: SQL, names, parameters, flags and configuration. All are found before
//! anything is started.

use std::fs;

use super::{printed, refused, shop};

const SINCE: &str = "\
-- name: since
-- description: Orders since an instant
-- param: from timestamp -- first instant
-- input: transactions
-- output: since
-- key: n

SELECT count(*) AS n FROM transactions WHERE ts >= $from
";

const MISSPELT: &str = "\
-- name: misspelt
-- description: A job with a column that is not there
-- input: transactions
-- output: misspelt
-- key: user_id

SELECT user_id,
    totl
FROM transactions
";

#[test]
fn a_mistake_in_sql_shows_its_place_and_the_nearest_name() {
    let shop = shop();
    let check = |sql: &str, words: &[&str]| refused(shop.path(), &["sql", "-e", sql], 3, words);
    check(
        "SELECT count(*) FROM transaction",
        &[
            "1:22: no table `transaction`",
            "1 | SELECT count(*) FROM transaction\n  |                      ^^^^^^^^^^^\n",
            "did you mean `transactions`?",
        ],
    );
    check(
        "SELECT user_id,\n  totl FROM transactions",
        &[
            "2:3: no column `totl`",
            "2 |   totl FROM transactions\n  |   ^^^^\n",
            "did you mean `total`?",
        ],
    );
    check(
        "SELECT user_id,, FROM users",
        &[
            "1:16: expected: an expression, found: ,",
            "1 | SELECT user_id,, FROM users\n  |                ^\n",
        ],
    );
    check(
        "SELECT user_id FROM users WHERE 'open",
        &[
            "1:33:",
            "1 | SELECT user_id FROM users WHERE 'open\n  |                                 ^",
        ],
    );
}

#[test]
fn a_mistake_in_a_later_statement_is_found_before_the_first_one_runs() {
    let shop = shop();
    refused(
        shop.path(),
        &["sql", "-e", "SELECT 1; SELEC 2"],
        3,
        &["1:11: ", "1 | SELECT 1; SELEC 2\n  |           ^\n"],
    );
    let script = "SELECT 1;\n\nSELECT 2 +\n";
    fs::write(shop.path().join("script.sql"), script).unwrap();
    let words = [
        "script.sql:3:11: expected: an expression, found: EOF",
        "3 | SELECT 2 +\n  |           ^\n",
    ];
    refused(shop.path(), &["sql", "-f", "script.sql"], 3, &words);
}

#[test]
fn types_that_do_not_fit_are_a_mistake_with_its_cause() {
    let shop = shop();
    let check = |sql: &str, words: &[&str]| refused(shop.path(), &["sql", "-e", sql], 3, words);
    check("SELECT user_id + 1 FROM users", &["1:8: cannot coerce"]);
    // These are found when the plan is made: by the client, and for EXPLAIN by the scheduler.
    let no_number = ["cannot cast string 'abc' to value of Int32 type\n"];
    check("SELECT CAST('abc' AS INT)", &no_number);
    check("EXPLAIN SELECT CAST('abc' AS INT)", &no_number);
    check(
        "EXPLAIN SELECT * FROM users WHERE user_id + 1 > 2",
        &["cannot coerce"],
    );
    check(
        "SELECT sum(user_id) FROM users",
        &["no function fits `sum(", "`sum(Decimal)`"],
    );
    check(
        "DESCRIBE usres",
        &["no table `usres`", "did you mean `users`?"],
    );
}

#[test]
fn a_value_that_cannot_be_computed_fails_the_query_in_plain_words() {
    let shop = shop();
    let check = |sql: &str, words: &[&str]| refused(shop.path(), &["sql", "-e", sql], 1, words);
    check("SELECT 1 / 0", &["failed: division by zero\n"]);
    check(
        "SELECT quantity / 0 FROM transaction_items",
        &["failed: division by zero\n"],
    );
    check(
        "SELECT CAST(user_id AS INT) FROM users",
        &["failed: cannot cast string 'user_"],
    );
}

#[test]
fn a_mistake_in_a_file_names_file_and_line() {
    let shop = shop();
    fs::write(
        shop.path().join("query.sql"),
        "-- the cities\n\nSELECT ctiy FROM users;\n",
    )
    .unwrap();
    let words = ["query.sql:3:8: no column `ctiy`", "did you mean `city`?"];
    refused(shop.path(), &["sql", "-f", "query.sql"], 3, &words);
    refused(
        shop.path(),
        &["sql", "-f", "gone.sql"],
        3,
        &["cannot read the SQL file `gone.sql`"],
    );

    fs::write(shop.path().join("misspelt.sql"), MISSPELT).unwrap();
    let words = [
        "misspelt.sql:8:5: no column `totl`",
        "8 |     totl\n",
        "did you mean `total`?",
    ];
    refused(shop.path(), &["submit", "misspelt.sql"], 3, &words);
    refused(
        shop.path(),
        &["submit", "gone.sql"],
        3,
        &["cannot read SQL job `gone.sql`"],
    );
}

#[test]
fn an_unknown_job_names_the_nearest() {
    let shop = shop();
    let words = [
        "there is no job `top_custmers`",
        "did you mean `top_customers`?",
    ];
    refused(shop.path(), &["submit", "top_custmers"], 3, &words);
    refused(
        shop.path(),
        &["submit", "xyzzy_42"],
        3,
        &["no job `xyzzy_42`", "`emporia jobs` lists"],
    );
}

#[test]
fn a_job_without_its_table_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let words = [
        "`top_customers` reads the table `transactions`",
        "--catalog",
    ];
    refused(folder.path(), &["submit", "top_customers"], 3, &words);
    let words = ["cannot read catalog `gone.toml`"];
    refused(
        folder.path(),
        &["sql", "--catalog", "gone.toml", "-e", "SELECT 1"],
        3,
        &words,
    );
}

#[test]
fn parameters_are_checked_before_anything_starts() {
    let shop = shop();
    fs::write(shop.path().join("since.sql"), SINCE).unwrap();
    let check = |args: &[&str], words: &[&str]| refused(shop.path(), args, 3, words);
    check(
        &["submit", "since.sql"],
        &[
            "job `since` needs the parameter `from` (timestamp)",
            "first instant",
            "-p from=<timestamp>",
        ],
    );
    check(
        &["submit", "since.sql", "-p", "from=yesterday"],
        &["parameter `from` of job `since`: `yesterday` is not a date (YYYY-MM-DD) or a timestamp"],
    );
    check(
        &["submit", "top_customers", "-p", "top=many"],
        &["parameter `top` of job `top_customers`: `many` is not an integer"],
    );
    check(
        &["submit", "since.sql", "-p", "form=2024-01-01"],
        &[
            "job `since` has no parameter `form`",
            "did you mean `from`?",
        ],
    );
    let args = [
        "submit",
        "since.sql",
        "-p",
        "from=2200-01-01",
        "--format",
        "csv",
    ];
    assert_eq!(
        printed(shop.path(), &args),
        "n\n0\n",
        "the job itself is right"
    );
}

#[test]
fn an_output_that_is_no_table_is_refused() {
    let shop = shop();
    let words = [
        "there is no table `userz` to write to",
        "did you mean `users`?",
        "`./userz/`",
    ];
    refused(
        shop.path(),
        &["submit", "top_customers", "-o", "userz"],
        3,
        &words,
    );
    let words = [
        "job `top_customers` reads the table `transactions`",
        "write to another table",
    ];
    refused(
        shop.path(),
        &["submit", "top_customers", "-o", "transactions"],
        3,
        &words,
    );
}

#[test]
fn an_unknown_ending_is_no_folder() {
    let shop = shop();
    let words = ["`x.xlsx`", ".csv", "a folder in /"];
    let args = ["submit", "top_customers", "-o", "x.xlsx"];
    refused(shop.path(), &args, 3, &words);
    refused(
        shop.path(),
        &["generate", "--scale", "0.01", "--out", "x.xlsx"],
        3,
        &words,
    );
    let words = ["`x.csv` is the name of a file", "name a folder"];
    refused(
        shop.path(),
        &["generate", "--scale", "0.01", "--out", "x.csv"],
        3,
        &words,
    );
    for name in ["x.xlsx", "x.csv"] {
        assert!(!shop.path().join(name).try_exists().unwrap(), "{name}");
    }
}

#[test]
fn only_queries_and_jobs_are_explained() {
    let shop = shop();
    refused(
        shop.path(),
        &["explain", "-e", "DESCRIBE users"],
        3,
        &["statement 1 is not a query"],
    );
    refused(
        shop.path(),
        &["explain", "-e", "SELECT 1", "-p", "top=3"],
        3,
        &["a query has no parameter `top`"],
    );
}

#[test]
fn a_mistake_in_the_configuration_names_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str, words: &[&str]| {
        fs::write(folder.path().join("bad.toml"), text).unwrap();
        refused(
            folder.path(),
            &["--config", "bad.toml", "sql", "-e", "SELECT 1"],
            3,
            words,
        );
    };
    check(
        "[client]\nbatch_sise = 100\n",
        &[
            "unknown key `client.batch_sise` (bad.toml:2)",
            "did you mean `client.batch_size`?",
        ],
    );
    check(
        "[client]\naqe = false\nbatch_size = \"many\"\n",
        &["`client.batch_size` = `many` (bad.toml:3) is not a whole number"],
    );
    check("[client]\n\nbatch_size = \n", &["bad.toml:3:"]);
    check(
        "[tables.users]\nconnector = \"parket\"\nlocation = \"users/\"\nloction = \"x\"\n",
        &[
            "bad.toml",
            "line 4",
            "unknown field `loction`",
            "`location`",
        ],
    );
    let words = ["cannot read the configuration file `gone.toml`"];
    refused(
        folder.path(),
        &["--config", "gone.toml", "sql", "-e", "SELECT 1"],
        3,
        &words,
    );
}

#[test]
fn a_wrong_flag_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let check = |args: &[&str], words: &[&str]| refused(folder.path(), args, 2, words);
    check(
        &["submit", "top_customers", "--tpo", "3"],
        &["unexpected argument '--tpo'", "Usage:"],
    );
    check(
        &["sql", "--batch-size", "many", "-e", "SELECT 1"],
        &[
            "invalid value 'many' for '--batch-size <N>'",
            "not a whole number",
        ],
    );
    check(
        &["sql", "--cluster", "local[0]", "-e", "SELECT 1"],
        &[
            "'local[0]'",
            "`local[N]` with N from 1 to 64, or `http://host:port`",
        ],
    );
    check(&["submit"], &["<JOB|FILE.sql>"]);
    check(
        &["jobs", "--format", "parquet"],
        &["'parquet'", "table, csv, tsv, json, ndjson"],
    );
}
