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
        &["parameter `from` of job `since`: `yesterday` is not a timestamp"],
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
        "`./userz`",
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
}
