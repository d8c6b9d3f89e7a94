//! Deep and long expressions, on one process and on a cluster of two executors.

use emporia_core::catalog::Catalog;
use emporia_e2e::programs::emporia;
use emporia_e2e::sandbox::{Sandbox, cells, single_process};
use emporia_engine::{EngineOptions, Session};

const TABLE: &str = "CREATE TABLE t AS SELECT value AS n, CAST(value AS DOUBLE) AS x \
                     FROM generate_series(1, 5) AS g(value)";

/// `open(open(… inner … close) close)`, `n` times.
fn nested(n: usize, open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(n), close.repeat(n))
}

/// Queries and their one value.
fn queries() -> Vec<(String, String)> {
    let steps = (1..=50).map(|at| {
        let before = match at {
            1 => "t".to_owned(),
            _ => format!("s{}", at - 1),
        };
        format!("s{at} AS (SELECT abs(n + {at}) AS n FROM {before})")
    });
    let steps: Vec<_> = steps.collect();
    let filters = (1..=60).map(|at| {
        let before = match at {
            1 => "t".to_owned(),
            _ => format!("f{}", at - 1),
        };
        format!("f{at} AS (SELECT n + 1 AS n FROM {before} WHERE n <> 2 + {at} AND n > -1)")
    });
    let filters: Vec<_> = filters.collect();
    let quotients = (1..=40).map(|at| {
        let before = match at {
            1 => "t".to_owned(),
            _ => format!("q{}", at - 1),
        };
        format!("q{at} AS (SELECT n, abs(x) AS x FROM {before} WHERE 60 / n > x - {at} OR n = 0)")
    });
    let quotients: Vec<_> = quotients.collect();
    let mut sum = "x".to_owned();
    for at in 1..1000 {
        let sign = if at % 2 == 0 { '+' } else { '-' };
        sum.push_str(&format!(" {sign} {at} * x"));
    }
    let branches: String = (0..1000)
        .map(|at| format!("WHEN n = {} THEN {at} ", at - 990))
        .collect();
    let list: Vec<_> = (3..10_003).map(|at| format!("{}", at * 2)).collect();
    let conditions: String = (0..500)
        .map(|at| format!(" AND (n <> {} OR x > {at})", at + 10))
        .collect();
    let branches_of_branches = (1..=200).fold("n".to_owned(), |inner, at| {
        format!("CASE WHEN n = {at} THEN {at} - 1 ELSE {inner} END")
    });
    let case = nested(10, "CASE WHEN n > 0 THEN ", "n", " + 1 ELSE 0 END");
    let alternating = nested(8, "CASE WHEN n > 0 THEN abs(", "n", ") + 1 END");
    let selects: Vec<_> = (0..200)
        .map(|at| format!("SELECT n + {at} AS n FROM t"))
        .collect();
    let joins: String = (0..60)
        .map(|at| format!(" JOIN t AS t{at} ON t{at}.n = t.n"))
        .collect();
    vec![
        (
            format!("WITH {} SELECT sum(n) FROM s50", steps.join(", ")),
            "6390".into(),
        ),
        (
            format!("WITH {} SELECT sum(n) FROM f60", filters.join(", ")),
            "252".into(),
        ),
        (
            format!("WITH {} SELECT sum(n) FROM q40", quotients.join(", ")),
            "15".into(),
        ),
        (
            format!("SELECT sum(n) FROM ({}) s", selects.join(" UNION ALL ")),
            "102500".into(),
        ),
        (format!("SELECT count(*) FROM t{joins}"), "5".into()),
        (
            format!("SELECT sum({}) FROM t", nested(200, "abs(", "n", ")")),
            "15".into(),
        ),
        (
            format!(
                "SELECT sum(n) FROM t WHERE {} > 3",
                nested(300, "abs(", "n", ")")
            ),
            "9".into(),
        ),
        (
            format!(
                "SELECT count(*) FROM t GROUP BY {} ORDER BY 1 LIMIT 1",
                nested(200, "abs(", "n % 2", ")")
            ),
            "2".into(),
        ),
        (
            format!(
                "SELECT n FROM t ORDER BY {} DESC LIMIT 1",
                nested(200, "abs(", "n", ")")
            ),
            "5".into(),
        ),
        (format!("SELECT sum({sum}) FROM t"), "-7485.0".into()),
        (
            format!("SELECT sum({branches_of_branches}) FROM t"),
            "10".into(),
        ),
        (format!("SELECT sum({case}) FROM t"), "65".into()),
        (format!("SELECT sum({alternating}) FROM t"), "55".into()),
        (
            format!("SELECT sum(CASE {branches} END) FROM t"),
            "4965".into(),
        ),
        (
            format!(
                "SELECT count(*) FROM t WHERE n NOT IN ({})",
                list.join(", ")
            ),
            "5".into(),
        ),
        (
            format!("SELECT count(*) FROM t WHERE n > 0{conditions}"),
            "5".into(),
        ),
        (
            format!(
                "SELECT count(*) FROM t AS a JOIN t AS b ON {} = b.n",
                nested(100, "abs(", "a.n", ")")
            ),
            "5".into(),
        ),
        (
            format!(
                "SELECT {} AS y FROM t WHERE n = 1 ORDER BY y",
                nested(100, "abs(", "-n", ")")
            ),
            "1".into(),
        ),
        // A guard holds at any depth.
        (
            format!(
                "SELECT sum(CASE WHEN n <> 3 THEN {} ELSE 0 END) FROM t",
                nested(100, "abs(", "12 / (n - 3)", ")")
            ),
            "36".into(),
        ),
    ]
}

async fn check(session: &Session) {
    let run = async |sql: &str| -> emporia_core::error::Result<Vec<Vec<String>>> {
        let frame = session.sql(sql).await?;
        let batches = session.collect(frame).await?;
        Ok(cells(&batches).unwrap())
    };
    run(TABLE).await.unwrap();
    for (sql, expected) in queries() {
        let start: String = sql.chars().take(60).collect();
        let rows = run(&sql).await;
        let rows = rows.unwrap_or_else(|e| panic!("{start}: {e}"));
        assert_eq!(rows, [[expected]], "{start}");
    }
    let too_deep = format!("SELECT {} FROM t", nested(600, "abs(", "n", ")"));
    let error = run(&too_deep).await.unwrap_err().to_string();
    assert!(error.contains("600 deep, and at most 500"), "{error}");
    let cases = nested(20, "CASE WHEN x > 0 THEN ", "x", " + 1 END");
    let error = run(&format!("SELECT {cases} FROM t")).await.unwrap_err();
    assert!(error.to_string().contains("at most 12 can be"), "{error}");
    let too_deep = format!("SELECT {} FROM t", nested(3000, "abs(", "n", ")"));
    let error = run(&too_deep).await.unwrap_err().to_string();
    assert!(error.contains("nested too deeply"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_expressions_on_one_process() {
    check(&single_process(Catalog::default()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_expressions_on_a_cluster() {
    let sandbox = Sandbox::start(&[1, 1]).await.unwrap();
    let options = EngineOptions {
        target_partitions: 4,
        ..EngineOptions::default()
    };
    check(&sandbox.session(Catalog::default(), &options).unwrap()).await;
}

#[test]
fn subqueries_of_a_command_may_be_nested() {
    let text = nested(300, "(SELECT * FROM ", "(VALUES (3)) v(x)", ") s");
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "sql",
        "--format",
        "csv",
        "-e",
        &format!("SELECT * FROM {text}"),
    ];
    let output = emporia(folder.path(), &args).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "x\n3\n");
}
