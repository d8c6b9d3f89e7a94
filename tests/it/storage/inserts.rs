//! Statements and jobs that write: what they add, replace, and leave alone when they fail.

use super::workplace::{Workplace, said};

/// Users of the generated shop.
const N_USERS: usize = 100;

/// A table to write to in each store, another definition that reads it, and a folder on HDFS.
const CATALOG: &str = r##"
[tables.in_hbase]
connector = "hbase"
location = "hbase:inserts_{id}"
columns = ["user_id string", "country string", "n int64"]
options = { key = "user_id", family = "f", presence = "f:_" }

[tables.in_mongodb]
connector = "mongodb"
location = "mongodb:inserts_{id}.users"
columns = ["user_id string", "country string", "n int64"]
options = { key = "user_id", indexes = "country" }

[tables.in_parquet]
connector = "parquet"
location = "HDFS/inserts_{id}/users"
columns = ["user_id string", "country string", "n int64"]
"##;

/// A job whose last row cannot be computed where `bad` is a user.
const JOB: &str = "\
-- name: copy_users
-- description: Copies the users
-- param: n int -- a number for every row
-- param: bad text -- the user whose number cannot be computed
-- input: users
-- output: rows
-- key: user_id

SELECT user_id, country, CAST(CASE WHEN user_id = $bad THEN 'x' ELSE '1' END AS BIGINT) * $n AS n
FROM users
";

const STORES: [&str; 3] = ["in_hbase", "in_mongodb", "in_parquet"];

fn filled() -> Option<Workplace> {
    let workplace = Workplace::open()?;
    workplace.generate("0.01", "users", ".");
    workplace.catalog(&CATALOG.replace("HDFS", &workplace.services.hdfs));
    workplace.write("copy.sql", JOB);
    assert_eq!(
        workplace.value("SELECT count(*) FROM users"),
        N_USERS.to_string()
    );
    Some(workplace)
}

impl Workplace {
    /// All rows of a table, in order.
    #[track_caller]
    fn table(&self, name: &str) -> Vec<String> {
        self.rows(&format!(
            "SELECT user_id, country, n FROM {name} ORDER BY user_id"
        ))
    }

    /// The users with `n`.
    #[track_caller]
    fn users(&self, n: u32, filter: &str) -> Vec<String> {
        self.rows(&format!(
            "SELECT user_id, country, {n} AS n FROM users WHERE {filter} ORDER BY user_id"
        ))
    }

    /// Runs the job into a table; what it said, and whether it ended well.
    fn submit(&self, n: u32, bad: &str, output: &str) -> (bool, String) {
        let (n, bad) = (format!("n={n}"), format!("bad={bad}"));
        let args = [
            "submit",
            "copy.sql",
            "--no-progress",
            "-p",
            &n,
            "-p",
            &bad,
            "--output",
            output,
        ];
        let output = self.run(&args, &[]);
        (output.status.success(), said(&output))
    }

    /// The collections of the database that the tests write to, without that of Emporia's markers.
    fn collections(&self) -> Vec<String> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let stores = self.services.stores();
            let client = stores.mongodb().await.unwrap();
            let database = client.database(&format!("inserts_{}", self.id));
            let mut names = database.list_collection_names().await.unwrap();
            names.retain(|name| name != "emporia_markers");
            names
        })
    }
}

#[test]
fn insert_into_adds_rows_and_can_be_repeated() {
    let Some(workplace) = filled() else { return };
    for store in ["in_hbase", "in_mongodb"] {
        let half = "user_id < 'user_000050'";
        let insert = |n: u32, filter: &str| {
            workplace.writes(&format!(
                "INSERT INTO {store} SELECT user_id, country, {n} FROM users WHERE {filter}"
            ))
        };
        let n_half = workplace.users(1, half).len();
        assert!((1..N_USERS).contains(&n_half), "{n_half}");
        for _ in 0..2 {
            let said = insert(1, half);
            assert!(said.contains(&format!("wrote {n_half} rows")), "{said}");
            assert_eq!(workplace.table(store), workplace.users(1, half), "{store}");
        }
        // Rows with a key that is there are replaced, the others added.
        insert(2, "true");
        assert_eq!(
            workplace.table(store),
            workplace.users(2, "true"),
            "{store}"
        );
        // Two rows with one key are one row in the end.
        let said = workplace.writes(&format!(
            "INSERT INTO {store} SELECT user_id, country, 3 FROM users \
             UNION ALL SELECT user_id, country, 3 FROM users"
        ));
        assert!(said.contains("wrote 200 rows"), "{said}");
        assert_eq!(
            workplace.table(store),
            workplace.users(3, "true"),
            "{store}"
        );
        // A null takes the place of an older value.
        workplace.writes(&format!(
            "INSERT INTO {store} SELECT user_id, NULL AS country, NULL AS n FROM users WHERE {half}"
        ));
        let nulls = format!("SELECT count(*) FROM {store} WHERE n IS NULL AND country IS NULL");
        assert_eq!(workplace.value(&nulls), n_half.to_string(), "{store}");
        assert_eq!(
            workplace.value(&format!("SELECT count(*) FROM {store}")),
            "100"
        );
    }
    // The first rows of an empty folder become a result, which takes more; rows that are there are not replaced.
    let half = "user_id < 'user_000050'";
    for filter in [half, "user_id >= 'user_000050'"] {
        workplace.writes(&format!(
            "INSERT INTO in_parquet SELECT user_id, country, 1 FROM users WHERE {filter}"
        ));
    }
    assert_eq!(workplace.table("in_parquet"), workplace.users(1, "true"));
    workplace.writes(&format!(
        "INSERT INTO in_parquet SELECT user_id, country, 2 FROM users WHERE {half}"
    ));
    assert_eq!(
        workplace.table("in_parquet").len(),
        N_USERS + workplace.users(2, half).len()
    );
}

#[test]
fn insert_overwrite_replaces_all_rows() {
    let Some(workplace) = filled() else { return };
    for store in STORES {
        for (n, filter) in [
            (1, "true"),
            (2, "user_id < 'user_000010'"),
            (3, "true"),
            (4, "false"),
        ] {
            let said = workplace.writes(&format!(
                "INSERT OVERWRITE {store} SELECT user_id, country, {n} FROM users WHERE {filter}"
            ));
            let expected = workplace.users(n, filter);
            let wrote = match expected.len() {
                1 => "wrote 1 row ".to_owned(),
                n => format!("wrote {n} rows "),
            };
            assert!(said.contains(&wrote), "{store}: {said}");
            assert_eq!(workplace.table(store), expected, "{store}");
            if store == "in_hbase" {
                // Rows of older runs are gone for those, too, who know nothing of runs.
                let table = format!("inserts_{}", workplace.id);
                let plain = workplace.independent(&[&table, "--plain"]);
                assert_eq!(plain.lines().count(), expected.len(), "{plain}");
            }
        }
    }
    assert_eq!(workplace.collections(), ["users"]);
    workplace.refuses(
        "INSERT INTO in_hbase SELECT user_id, country, 1 FROM users",
        3,
        &["published", "hint: "],
    );
    workplace.refuses(
        "INSERT OVERWRITE in_hbas SELECT user_id, country, 1 FROM users",
        3,
        &["in_hbas", "did you mean", "in_hbase"],
    );
}

#[test]
fn rows_that_share_a_key_are_no_result() {
    let Some(workplace) = filled() else { return };
    let tenth = workplace.value("SELECT user_id FROM users ORDER BY user_id LIMIT 1 OFFSET 9");
    for store in ["in_hbase", "in_mongodb"] {
        workplace.writes(&format!(
            "INSERT OVERWRITE {store} SELECT user_id, country, 1 FROM users"
        ));
        let before = workplace.table(store);
        let words = match store {
            "in_hbase" => ["110 rows were written", "does not tell its rows apart"],
            _ => ["110 rows became 100 documents", "rows have the same key"],
        };
        workplace.refuses(
            &format!(
                "INSERT OVERWRITE {store} SELECT user_id, country, 2 FROM users \
                 UNION ALL SELECT user_id, country, 3 FROM users WHERE user_id <= '{tenth}'"
            ),
            1,
            &words,
        );
        assert_eq!(workplace.table(store), before, "{store}");
    }
    assert_eq!(workplace.collections(), ["users"]);
    // A key has to be there.
    for store in ["in_hbase", "in_mongodb"] {
        let output = workplace.run(
            &[
                "sql",
                "--no-progress",
                "-e",
                &format!("INSERT OVERWRITE {store} SELECT NULL, country, 1 FROM users"),
            ],
            &[],
        );
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{store}: {said}");
        assert!(said.contains("user_id"), "{store}: {said}");
    }
}

#[test]
fn a_write_that_fails_leaves_the_old_rows() {
    let Some(workplace) = filled() else { return };
    let last = workplace.value("SELECT max(user_id) FROM users");
    for store in STORES {
        let (is_ok, said) = workplace.submit(1, "nobody", store);
        assert!(is_ok, "{store}: {said}");
        assert!(said.contains("wrote 100 rows"), "{store}: {said}");
        let before = workplace.table(store);
        assert_eq!(before, workplace.users(1, "true"), "{store}");

        let (is_ok, said) = workplace.submit(2, &last, store);
        assert!(!is_ok && said.contains("'x'"), "{store}: {said}");
        assert_eq!(workplace.table(store), before, "{store}");
        workplace.refuses(
            &format!(
                "INSERT OVERWRITE {store} SELECT user_id, country, \
                 CAST(CASE WHEN user_id = '{last}' THEN 'x' ELSE '2' END AS BIGINT) FROM users"
            ),
            1,
            &["'x'", "hint: "],
        );
        assert_eq!(workplace.table(store), before, "{store}");

        let (is_ok, said) = workplace.submit(2, "nobody", store);
        assert!(is_ok, "{store}: {said}");
        assert_eq!(
            workplace.table(store),
            workplace.users(2, "true"),
            "{store}"
        );
    }
    assert_eq!(workplace.collections(), ["users"]);
}

#[test]
fn copy_writes_a_folder_whole_or_not_at_all() {
    let Some(workplace) = filled() else { return };
    let hdfs = format!("{}/copies_{}", workplace.services.hdfs, workplace.id);
    let local = format!("file://{}", workplace.path("copies").display());
    let last = workplace.value("SELECT max(user_id) FROM users");
    for base in [hdfs, local] {
        for format in ["parquet", "csv", "json"] {
            let target = format!("{base}/{format}");
            // The folder of the only output.
            workplace.catalog(&format!(
                "[tables.{format}_{}]\nconnector = \"{format}\"\nlocation = \"{target}\"\n\
                 columns = [\"user_id string\", \"country string\", \"n int64\"]\n",
                &base[..4]
            ));
            let table = format!("{format}_{}", &base[..4]);
            for n in [1, 2] {
                let said = workplace.writes(&format!(
                    "COPY (SELECT user_id, country, CAST({n} AS BIGINT) AS n FROM users) \
                     TO '{target}' STORED AS {format}"
                ));
                assert!(said.contains("wrote 100 rows"), "{table}: {said}");
                assert_eq!(
                    workplace.table(&table),
                    workplace.users(n, "true"),
                    "{table}"
                );
            }
            workplace.refuses(
                &format!(
                    "COPY (SELECT user_id, country, CAST(CASE WHEN user_id = '{last}' THEN 'x' \
                     ELSE '3' END AS BIGINT) AS n FROM users) TO '{target}' STORED AS {format}"
                ),
                1,
                &["'x'", "hint: "],
            );
            assert_eq!(
                workplace.table(&table),
                workplace.users(2, "true"),
                "{table}"
            );
        }
    }
}
