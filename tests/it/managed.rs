//! Tables and views that statements make: what one process would show, the cluster shows, and what
//! cannot be stored is refused.

mod changes;
mod program;

use std::fs;
use std::path::Path;

use emporia_core::catalog::{Catalog, TableDef};
use emporia_core::error::{Error, ErrorKind};
use emporia_e2e::sandbox::{Sandbox, query, single_process};
use emporia_engine::{EngineOptions, Session};
use tempfile::TempDir;

/// A cluster of two executors and a folder for its tables.
struct Shop {
    folder: TempDir,
    sandbox: Sandbox,
}

impl Shop {
    async fn open() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            sandbox: Sandbox::start(&[1, 1]).await.unwrap(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// A catalog with the table `visits`, a folder of delimited text, and perhaps a warehouse.
    fn catalog(&self, warehouse: Option<&str>) -> Catalog {
        let location = |name: &str| format!("file://{}", self.path(name).display());
        fs::create_dir_all(self.path("visits")).unwrap();
        fs::write(self.path("visits/1.csv"), "page,seconds\nhome,5\ncart,7\n").unwrap();
        let mut visits = TableDef::new("csv", location("visits/"));
        visits.columns = vec!["page string".into(), "seconds int64".into()];
        Catalog {
            warehouse: warehouse.map(location),
            tables: [("visits".to_owned(), visits)].into(),
        }
    }

    /// A session on the cluster with several partitions.
    fn session(&self, catalog: Catalog) -> Session {
        let options = EngineOptions {
            target_partitions: 3,
            ..EngineOptions::default()
        };
        self.sandbox.session(catalog, &options).unwrap()
    }

    /// A session on the cluster and one without, each with a warehouse of its own.
    fn both(&self) -> [Session; 2] {
        let single = single_process(self.catalog(Some("single"))).unwrap();
        [self.session(self.catalog(Some("cluster"))), single]
    }
}

/// Runs statements that succeed.
async fn run(session: &Session, statements: &[&str]) {
    for statement in statements {
        if let Err(error) = query(session, statement).await {
            panic!("{statement}: {error}");
        }
    }
}

/// The rows of a query, in lines, with cells separated by commas.
async fn rows(session: &Session, sql: &str) -> String {
    match query(session, sql).await {
        Ok(rows) => {
            let lines: Vec<_> = rows.iter().map(|row| row.join(",")).collect();
            lines.join("\n")
        }
        Err(error) => panic!("{sql}: {error}"),
    }
}

async fn refusal(session: &Session, sql: &str) -> Error {
    match query(session, sql).await {
        Ok(rows) => panic!("{sql}: {rows:?}"),
        Err(error) => error,
    }
}

/// Names in a folder, without those of tables that were dropped: a manifest of the drop stays.
fn names(folder: &Path) -> Vec<String> {
    let mut names = all_names(folder);
    names.retain(|name| all_names(&folder.join(name)) != ["_commits"]);
    names
}

fn all_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).map(Iterator::collect::<Vec<_>>);
    let entries = entries.unwrap_or_default().into_iter();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_grow_change_and_go() {
    let shop = Shop::open().await;
    for session in shop.both() {
        run(
            &session,
            &[
                "CREATE TABLE prices (sku VARCHAR NOT NULL, price DECIMAL(10,2), since DATE)",
                "INSERT INTO prices VALUES ('cup', 4.50, '2024-05-01'), ('pot', 12, NULL)",
                "INSERT INTO prices (price, sku) SELECT seconds, page FROM visits WHERE seconds > 5",
            ],
        )
        .await;
        let all = "SELECT sku, price, since FROM prices ORDER BY sku";
        let grown = "cart,7.00,NULL\ncup,4.50,2024-05-01\npot,12.00,NULL";
        assert_eq!(rows(&session, all).await, grown);

        run(
            &session,
            &[
                "CREATE TABLE dear AS SELECT sku, price * 2 AS twice FROM prices WHERE price > 5",
                "INSERT OVERWRITE prices SELECT sku, price + 1, since FROM prices",
            ],
        )
        .await;
        let changed = "cart,8.00,NULL\ncup,5.50,2024-05-01\npot,13.00,NULL";
        assert_eq!(rows(&session, all).await, changed);
        let dear = "SELECT sku, twice FROM dear ORDER BY sku";
        assert_eq!(rows(&session, dear).await, "cart,14.00\npot,24.00");

        run(
            &session,
            &[
                "CREATE OR REPLACE TABLE dear AS SELECT sku, twice FROM dear WHERE sku = 'pot'",
                "CREATE TABLE IF NOT EXISTS dear AS SELECT 1 AS other",
                "TRUNCATE TABLE prices",
            ],
        )
        .await;
        assert_eq!(rows(&session, dear).await, "pot,24.00");
        assert_eq!(
            rows(&session, "SELECT count(*), max(price) FROM prices").await,
            "0,NULL"
        );
        run(
            &session,
            &["INSERT INTO prices VALUES ('mug', 3, DATE '2024-01-01')"],
        )
        .await;
        assert_eq!(rows(&session, all).await, "mug,3.00,2024-01-01");
        let described = rows(
            &session,
            "SELECT arrow_typeof(sku), arrow_typeof(price) FROM prices",
        );
        assert_eq!(described.await, "Utf8,Decimal128(10, 2)");

        run(
            &session,
            &["DROP TABLE dear", "DROP TABLE IF EXISTS dear, prices"],
        )
        .await;
        let error = refusal(&session, "SELECT * FROM prices").await;
        assert!(error.to_string().contains("prices"), "{error}");
        assert!(session.made().await.unwrap().is_empty());
    }
    assert_eq!(names(&shop.path("cluster")), ["_warehouse"]);
    assert_eq!(names(&shop.path("visits")), ["1.csv"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_back_as_it_was() {
    let columns = [
        "CAST(1 AS TINYINT) AS a",
        "CAST(2 AS BIGINT UNSIGNED) AS b",
        "CAST(1.5 AS REAL) AS c",
        "CAST('nan' AS DOUBLE) AS d",
        "CAST(12345678901234567890.12345 AS DECIMAL(38,5)) AS e",
        "TIMESTAMP '2024-05-01 10:00:00.123456789' AS f",
        "arrow_cast('2024-05-01T10:00:00', 'Timestamp(Second, None)') AS g",
        "arrow_cast('2024-05-01T10:00:00Z', 'Timestamp(Microsecond, Some(\"UTC\"))') AS h",
        "DATE '0001-01-01' AS i",
        "TIME '23:59:59.5' AS j",
        "[1, NULL, 3] AS k",
        "[['x'], NULL] AS l",
        "named_struct('n', 1, 'Two Words', 'b') AS m",
        "arrow_cast('x', 'Dictionary(Int32, Utf8)') AS n",
        "X'00ff' AS o",
        "true AS p",
        "CAST(NULL AS INT) AS q",
        "'' AS r",
        "'é\u{1f600}' AS s",
        "arrow_cast('y', 'LargeUtf8') AS t",
    ];
    let shop = Shop::open().await;
    let names: Vec<_> = columns
        .iter()
        .map(|c| c.rsplit_once(' ').unwrap().1)
        .collect();
    let types: Vec<_> = names
        .iter()
        .map(|name| format!("arrow_typeof({name})"))
        .collect();
    let shown = format!("SELECT {}, {} FROM ", names.join(", "), types.join(", "));
    let source = format!("(SELECT {})", columns.join(", "));
    for session in shop.both() {
        let expected = rows(&session, &format!("{shown} {source}")).await;
        run(
            &session,
            &[
                &format!("CREATE TABLE kinds AS SELECT * FROM {source}"),
                &format!("CREATE TABLE none AS SELECT * FROM {source} WHERE 1 = 0"),
                "INSERT INTO none SELECT * FROM kinds",
            ],
        )
        .await;
        for table in ["kinds", "none"] {
            assert_eq!(rows(&session, &format!("{shown} {table}")).await, expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit_change_nothing() {
    let shop = Shop::open().await;
    let wrong_texts = [
        (
            "VALUES (1, 'a', 1.239)",
            "row 1: column `price` (decimal(8,2)) cannot hold",
        ),
        (
            "VALUES (1, 'a', 1), (2.5, 'b', 1)",
            "row 2: column `id` (int32) cannot hold the value 2.5",
        ),
        (
            "VALUES (3000000000, 'a', 1)",
            "row 1: column `id` (int32): ",
        ),
        ("VALUES ('x', 'a', 1)", "row 1: column `id` (int32): "),
        ("VALUES (NULL, 'a', 1)", "row 1: column `id` takes no null"),
        ("VALUES (1, 'a')", "row 1 has 2"),
        ("SELECT 1", "the query has 1"),
        (
            "VALUES (true, 'a', 1)",
            "column `id` of table `stock` is int32 and takes no bool",
        ),
        (
            "SELECT DATE '2024-01-01', 'a', 1",
            "is int32 and takes no date",
        ),
    ];
    let wrong_rows = [
        (
            "SELECT seconds / 2.0, page, 1 FROM visits",
            "column `id` (int32) cannot hold the value ",
        ),
        (
            "SELECT NULLIF(seconds, 7), page, 1 FROM visits",
            "column `id` takes no null",
        ),
        (
            "SELECT seconds / 0, page, 1 FROM visits",
            "division by zero",
        ),
    ];
    for session in shop.both() {
        run(
            &session,
            &[
                "CREATE TABLE stock (id INT NOT NULL, name VARCHAR, price DECIMAL(8,2))",
                "INSERT INTO stock VALUES (1, 'a', 0.10), (2, NULL, NULL)",
                // What a floating number cannot hold, and what is exactly right.
                "INSERT INTO stock VALUES (CAST(3.9 AS INT), 'c', 123456.78), (2 + 2, 'd', '5.5')",
                "INSERT INTO stock SELECT x * 2, 'e', 0.1 + 0.2 FROM (VALUES (2.5)) AS v(x)",
            ],
        )
        .await;
        let all = "SELECT id, name, price FROM stock ORDER BY id";
        let expected = "1,a,0.10\n2,NULL,NULL\n3,c,123456.78\n4,d,5.50\n5,e,0.30";
        assert_eq!(rows(&session, all).await, expected);
        for (source, words) in wrong_texts {
            for verb in ["INSERT INTO", "INSERT OVERWRITE"] {
                let error = refusal(&session, &format!("{verb} stock {source}")).await;
                assert!(error.to_string().contains(words), "{source}: {error}");
                assert_eq!(error.kind().exit_code(), 3, "{source}: {error}");
            }
        }
        for (source, words) in wrong_rows {
            let error = refusal(&session, &format!("INSERT INTO stock {source}")).await;
            assert!(error.to_string().contains(words), "{source}: {error}");
            assert_eq!(error.kind().exit_code(), 1, "{source}: {error}");
        }
        let named = "INSERT INTO stock (name, colour) VALUES ('a', 'b')";
        assert!(
            refusal(&session, named)
                .await
                .to_string()
                .contains("colour")
        );
        let missing = "INSERT INTO stock (name) VALUES ('a')";
        assert!(
            refusal(&session, missing)
                .await
                .to_string()
                .contains("`id`")
        );
        let made = "CREATE TABLE halves (h INT) AS SELECT seconds / 2.0 FROM visits";
        let error = refusal(&session, made).await;
        assert!(
            error.to_string().contains("cannot hold the value "),
            "{error}"
        );
        assert_eq!(rows(&session, all).await, expected);
        let made = session.made().await.unwrap();
        assert_eq!(made.len(), 1, "{made:?}");
    }
    let run_folders = |name: &str| {
        let names = names(&shop.path(name));
        names.iter().filter(|name| name.starts_with("run-")).count()
    };
    // One run for each of the statements that wrote rows.
    assert_eq!(run_folders("cluster/stock"), 3);
    assert_eq!(run_folders("single/stock"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn big_decimals_are_not_taken_for_floating_numbers() {
    let shop = Shop::open().await;
    for session in shop.both() {
        run(
            &session,
            &[
                "CREATE TABLE exact (d DECIMAL(38,2))",
                "INSERT INTO exact VALUES (12345678901234567.89), (-0.05), (9007199254740993)",
            ],
        )
        .await;
        let seen = rows(&session, "SELECT d FROM exact ORDER BY d").await;
        assert_eq!(seen, "-0.05\n9007199254740993.00\n12345678901234567.89");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_prepared_statements_see_files_as_they_are() {
    let shop = Shop::open().await;
    for session in shop.both() {
        fs::write(shop.path("visits/1.csv"), "page,seconds\nhome,5\ncart,7\n").unwrap();
        let _ = fs::remove_file(shop.path("visits/2.csv"));
        run(
            &session,
            &[
                "CREATE VIEW long AS SELECT page, seconds FROM visits WHERE seconds > 4",
                "CREATE TEMP VIEW total AS SELECT sum(seconds) AS s FROM long",
                "CREATE VIEW named(n) AS SELECT count(*) FROM (SELECT * FROM long)",
                "PREPARE above(INT) AS SELECT count(*) FROM visits WHERE seconds > $1",
                "CREATE TABLE taken (page VARCHAR, seconds INT)",
                "PREPARE take AS INSERT INTO taken VALUES ($1, $2)",
            ],
        )
        .await;
        let seen = async || {
            let total = rows(&session, "SELECT s, n FROM total, named").await;
            let above = rows(&session, "EXECUTE above(5)").await;
            format!("{total} {above}")
        };
        assert_eq!(seen().await, "12,2 1");
        fs::write(shop.path("visits/2.csv"), "page,seconds\nhelp,9\nhome,1\n").unwrap();
        assert_eq!(seen().await, "21,3 2");
        fs::remove_file(shop.path("visits/1.csv")).unwrap();
        assert_eq!(seen().await, "9,1 1");

        run(
            &session,
            &["EXECUTE take('a', 1 + 1)", "EXECUTE take(upper('b'), NULL)"],
        )
        .await;
        let taken = rows(&session, "SELECT page, seconds FROM taken ORDER BY page").await;
        assert_eq!(taken, "B,NULL\na,2");
        for (wrong, words) in [
            ("EXECUTE take('a')", "takes 2 values, not 1"),
            ("EXECUTE take('a', 2.5)", "cannot hold the value 2.5"),
            (
                "EXECUTE above(2.9)",
                "2.9 has more digits behind the point than INT",
            ),
            ("EXECUTE gone(1)", "there is no prepared statement `gone`"),
            ("PREPARE take AS SELECT 1", "already"),
            (
                "PREPARE p AS DROP TABLE taken",
                "PREPARE of this statement is not supported",
            ),
            ("PREPARE p AS SELECT ?", "`?` is not a place"),
        ] {
            let error = refusal(&session, wrong).await;
            assert!(error.to_string().contains(words), "{wrong}: {error}");
        }
        run(&session, &["DEALLOCATE take", "DEALLOCATE ALL"]).await;
        let error = refusal(&session, "EXECUTE above(5)").await;
        assert_eq!(error.kind(), ErrorKind::NotFound);

        let itself = "CREATE OR REPLACE VIEW long AS SELECT * FROM total";
        let error = refusal(&session, itself).await;
        assert!(error.to_string().contains("`long` reads itself"), "{error}");
        run(&session, &["DROP VIEW long"]).await;
        let error = refusal(&session, "SELECT * FROM total").await;
        let gone = "view `total`: there is no table `long` any more";
        assert_eq!(error.to_string(), gone);
        run(
            &session,
            &["DROP VIEW IF EXISTS named, long", "DROP VIEW total"],
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_taken_once() {
    let shop = Shop::open().await;
    let session = shop.session(shop.catalog(Some("tables")));
    run(
        &session,
        &[
            "CREATE TABLE stays AS SELECT 1 AS a",
            "CREATE TEMP TABLE passes AS SELECT 2 AS a",
            "CREATE VIEW looks AS SELECT 3 AS a",
        ],
    )
    .await;
    for (statement, kind, words) in [
        (
            "CREATE TABLE stays AS SELECT 1 AS a",
            ErrorKind::AlreadyExists,
            "of the warehouse",
        ),
        (
            "CREATE TEMP TABLE stays AS SELECT 1 AS a",
            ErrorKind::AlreadyExists,
            "of the warehouse",
        ),
        (
            "CREATE VIEW stays AS SELECT 1 AS a",
            ErrorKind::AlreadyExists,
            "of the warehouse",
        ),
        (
            "CREATE OR REPLACE VIEW passes AS SELECT 1 AS a",
            ErrorKind::AlreadyExists,
            "of this session",
        ),
        (
            "CREATE OR REPLACE TABLE passes AS SELECT 1 AS a",
            ErrorKind::AlreadyExists,
            "of this session",
        ),
        (
            "CREATE OR REPLACE TABLE looks AS SELECT 1 AS a",
            ErrorKind::AlreadyExists,
            "a view",
        ),
        (
            "CREATE OR REPLACE TABLE visits AS SELECT 1 AS a",
            ErrorKind::AlreadyExists,
            "of the catalog",
        ),
        (
            "CREATE OR REPLACE VIEW visits AS SELECT 1 AS a",
            ErrorKind::AlreadyExists,
            "of the catalog",
        ),
        (
            "DROP TABLE visits",
            ErrorKind::InvalidInput,
            "of the catalog",
        ),
        (
            "TRUNCATE visits",
            ErrorKind::Unsupported,
            "TRUNCATE of `visits`",
        ),
        (
            "INSERT INTO visits VALUES ('x', 1)",
            ErrorKind::InvalidInput,
            "which is a set of files",
        ),
        (
            "INSERT INTO looks VALUES (1)",
            ErrorKind::InvalidInput,
            "`looks` is a view",
        ),
        ("DROP TABLE looks", ErrorKind::InvalidInput, "is a view"),
        ("DROP VIEW stays", ErrorKind::InvalidInput, "is a table"),
        ("DROP TABLE stays, gone", ErrorKind::NotFound, "`gone`"),
        (
            "DROP TABLE other.stays",
            ErrorKind::Unsupported,
            "tables have no schema",
        ),
        (
            "CREATE TABLE t (a INT PRIMARY KEY)",
            ErrorKind::Unsupported,
            "PRIMARY KEY",
        ),
        (
            "CREATE TABLE t (a INT DEFAULT 1)",
            ErrorKind::Unsupported,
            "DEFAULT 1",
        ),
        (
            "CREATE TABLE t AS SELECT * FROM passes, looks",
            ErrorKind::InvalidInput,
            "two columns are named `a`",
        ),
        (
            "CREATE TABLE t AS SELECT NULL AS a",
            ErrorKind::Unsupported,
            "type Null",
        ),
        (
            "CREATE TABLE t AS SELECT INTERVAL '1' MONTH AS a",
            ErrorKind::Unsupported,
            "Interval",
        ),
        (
            "CREATE TABLE \"a.b\" AS SELECT 1 AS a",
            ErrorKind::InvalidInput,
            "`a.b` cannot be the name of a table",
        ),
        (
            "CREATE TABLE \"\" AS SELECT 1 AS a",
            ErrorKind::InvalidInput,
            "has a name",
        ),
    ] {
        let error = refusal(&session, statement).await;
        assert!(error.to_string().contains(words), "{statement}: {error}");
        assert_eq!(error.kind(), kind, "{statement}: {error}");
    }
    let long = format!("CREATE TABLE {} AS SELECT 1 AS a", "n".repeat(300));
    assert!(
        refusal(&session, &long)
            .await
            .to_string()
            .contains("too long")
    );
    let all = "SELECT stays.a, passes.a, looks.a FROM stays, passes, looks";
    assert_eq!(rows(&session, all).await, "1,2,3");

    let hostile = [
        "../up", "a/b", "Ünï", "Stays", "_current", "run-1", "1 2", "+", "%2e",
    ];
    for name in hostile {
        run(
            &session,
            &[
                &format!("CREATE TABLE \"{name}\" AS SELECT '{name}' AS n"),
                &format!("INSERT INTO \"{name}\" VALUES ('more')"),
            ],
        )
        .await;
    }
    for name in hostile {
        let seen = rows(
            &session,
            &format!("SELECT n FROM \"{name}\" ORDER BY n = 'more'"),
        )
        .await;
        assert_eq!(seen, format!("{name}\nmore"));
    }
    let other = shop.session(shop.catalog(Some("tables")));
    assert_eq!(
        rows(&other, "SELECT n FROM \"../up\" WHERE n <> 'more'").await,
        "../up"
    );
    assert_eq!(other.made().await.unwrap().len(), hostile.len() + 1);
    for name in hostile {
        run(&other, &[&format!("DROP TABLE \"{name}\"")]).await;
    }
    session.close().await.unwrap();
    assert_eq!(names(&shop.path("tables")), ["_warehouse", "stays"]);
    assert_eq!(names(shop.folder.path()), ["tables", "visits"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_added_to_a_published_result_by_one_session_at_a_time() {
    let shop = Shop::open().await;
    let mut catalog = shop.catalog(None);
    let location = format!("file://{}", shop.path("out/").display());
    let out = TableDef::new("parquet", location);
    catalog.tables.insert("out".to_owned(), out);
    let session = shop.session(catalog.clone());
    let folder = shop.path("out").display().to_string();
    run(
        &session,
        &[&format!(
            "COPY (SELECT page, seconds FROM visits) TO '{folder}' STORED AS PARQUET"
        )],
    )
    .await;
    let other = shop.session(catalog);
    for number in 0..4 {
        let session = if number % 2 == 0 { &session } else { &other };
        run(
            session,
            &[&format!("INSERT INTO out VALUES ('p{number}', {number})")],
        )
        .await;
    }
    let seen = "SELECT count(*), sum(seconds), count(DISTINCT page) FROM out";
    assert_eq!(rows(&session, seen).await, "6,18,6");
    assert_eq!(rows(&other, seen).await, "6,18,6");
    run(&other, &["INSERT OVERWRITE out SELECT 'one', 1"]).await;
    assert_eq!(rows(&session, seen).await, "1,1,1");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_unnested_beside_their_rows() {
    let shop = Shop::open().await;
    for session in shop.both() {
        run(
            &session,
            &[
                "CREATE TABLE carts (id INT, items VARCHAR[], counts INT[])",
                "INSERT INTO carts VALUES (1, ['a', 'b'], [1, 2]), (2, [], []), (3, NULL, [9]),\
                 (4, [NULL], NULL)",
            ],
        )
        .await;
        for (query, expected) in [
            (
                "SELECT c.id, u.item FROM carts c, UNNEST(c.items) AS u(item)",
                "1,a\n1,b\n4,NULL",
            ),
            (
                "SELECT id, items FROM (SELECT c.id, u.items FROM carts c CROSS JOIN UNNEST(c.items) AS u(items))",
                "1,a\n1,b\n4,NULL",
            ),
            (
                "SELECT c.id, n FROM carts c JOIN UNNEST(c.counts) AS u(n) ON n > 1",
                "1,2\n3,9",
            ),
            (
                "SELECT c.id, u.a, u.b FROM carts c, UNNEST(c.items, c.counts) AS u(a, b) WHERE c.id < 3",
                "1,a,1\n1,b,2",
            ),
            ("SELECT id, unnest(counts) AS n FROM carts", "1,1\n1,2\n3,9"),
        ] {
            let seen = rows(&session, &format!("SELECT * FROM ({query}) ORDER BY 1, 2")).await;
            assert_eq!(seen, expected, "{query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_safe_settings_change() {
    let shop = Shop::open().await;
    let session = shop.session(shop.catalog(None));
    run(
        &session,
        &[
            "SET batch_size = 7",
            "SET datafusion.execution.target_partitions = 1",
            "SET TIME ZONE 'UTC'",
            "SET datafusion.explain.logical_plan_only = true",
            "RESET datafusion.explain.logical_plan_only",
        ],
    )
    .await;
    let shown = rows(&session, "SHOW batch_size").await;
    assert_eq!(shown, "datafusion.execution.batch_size,7");
    let shown = rows(&session, "SHOW datafusion.execution.target_partitions").await;
    assert_eq!(shown, "datafusion.execution.target_partitions,1");
    assert_eq!(
        rows(&session, "SELECT sum(seconds) FROM visits").await,
        "12"
    );
    for (wrong, words) in [
        ("SET batch_size = 0", "from 1 to"),
        ("SET target_partitions = 'many'", "from 1 to"),
        ("SET TIME ZONE 'Europe/Oslo'", "times are UTC"),
        (
            "SET datafusion.sql_parser.dialect = 'mysql'",
            "not a setting that a statement may change",
        ),
        (
            "SET ballista.shuffle.sort_based.enabled = true",
            "not a setting that a statement may change",
        ),
    ] {
        let error = refusal(&session, wrong).await;
        assert!(error.to_string().contains(words), "{wrong}: {error}");
        assert_eq!(error.kind().exit_code(), 3, "{wrong}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_read_has_to_be_there() {
    let shop = Shop::open().await;
    let mut catalog = shop.catalog(None);
    for name in ["made", "missing"] {
        let location = format!("file://{}", shop.path(name).display());
        let mut table = TableDef::new("parquet", location);
        table.columns = vec!["page string".into(), "seconds int64".into()];
        catalog.tables.insert(name.to_owned(), table);
    }
    for session in [
        shop.session(catalog.clone()),
        single_process(catalog).unwrap(),
    ] {
        for sql in [
            "INSERT OVERWRITE made SELECT * FROM missing",
            "INSERT OVERWRITE missing SELECT * FROM missing",
        ] {
            assert_eq!(refusal(&session, sql).await.kind(), ErrorKind::NotFound);
            assert!(!shop.path("made").exists() && !shop.path("missing").exists());
        }
    }
    let session = single_process(shop.catalog(None)).unwrap();
    run(&session, &["CREATE TABLE t AS SELECT * FROM visits"]).await;
    run(
        &session,
        &["INSERT OVERWRITE t SELECT page, seconds + 1 FROM t"],
    )
    .await;
    assert_eq!(rows(&session, "SELECT sum(seconds) FROM t").await, "14");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_has_the_type_of_all_branches() {
    let shop = Shop::open().await;
    for session in shop.both() {
        let sql = "CREATE TABLE u AS SELECT NULL AS x, 1 AS n UNION ALL SELECT 'a', 2.5";
        run(&session, &[sql]).await;
        let found = rows(&session, "SELECT count(x), min(x), sum(n) FROM u").await;
        assert_eq!(found, "1,a,3.5");
    }
}
