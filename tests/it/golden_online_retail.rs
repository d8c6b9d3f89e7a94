//! The published numbers of the UCI Online Retail data set (Chen, Sain and Guo 2012), on a
//! cluster of two executors: in one process, and as processes of their own.

use emporia_core::catalog::{Catalog, TableDef};
use emporia_e2e::golden::{import, rows, submit};
use emporia_e2e::sandbox::{Sandbox, query};
use emporia_e2e::shared_data;
use emporia_engine::{EngineOptions, Session};

struct Imported {
    folder: tempfile::TempDir,
    catalog: Catalog,
    sandbox: Sandbox,
}

impl Imported {
    async fn open(in_process: bool) -> Option<Self> {
        let source = shared_data("online_retail")?;
        let folder = tempfile::tempdir().unwrap();
        let catalog = import("online-retail", &source, folder.path()).unwrap();
        let sandbox = match in_process {
            true => Sandbox::start(&[1, 1]).await,
            false => Sandbox::of_processes(folder.path()),
        };
        Some(Self {
            folder,
            catalog,
            sandbox: sandbox.unwrap(),
        })
    }

    fn session(&self, catalog: &Catalog) -> Session {
        self.sandbox
            .session(catalog.clone(), &EngineOptions::default())
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn online_retail_has_the_published_numbers() {
    published_numbers(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn online_retail_has_the_published_numbers_on_two_executor_processes() {
    published_numbers(false).await;
}

async fn published_numbers(in_process: bool) {
    let Some(data) = Imported::open(in_process).await else {
        return;
    };
    let session = data.session(&data.catalog);
    raw_table(&session).await;
    ladder(&data).await;
    cohort(&session).await;
    reconciliation(&session).await;
    france_baskets(&data).await;
}

async fn check(session: &Session, sql: &str, expected: &[&str]) {
    assert_eq!(query(session, sql).await.unwrap(), [expected], "{sql}");
}

async fn raw_table(session: &Session) {
    check(
        session,
        "SELECT count(*), count(DISTINCT invoice_no), \
         count(DISTINCT CASE WHEN invoice_no LIKE 'C%' THEN invoice_no END), \
         count(DISTINCT CASE WHEN invoice_no LIKE 'A%' THEN invoice_no END), \
         count(CASE WHEN invoice_no LIKE 'C%' THEN 1 END) FROM online_retail",
        &["541909", "25900", "3836", "3", "9288"],
    )
    .await;
    check(
        session,
        "SELECT count(*) - count(customer_id), count(*) - count(description), \
         count(DISTINCT customer_id), count(DISTINCT stock_code), count(DISTINCT country) \
         FROM online_retail",
        &["135080", "1454", "4372", "4070", "38"],
    )
    .await;
    check(
        session,
        "SELECT count(CASE WHEN quantity < 0 THEN 1 END), count(CASE WHEN unit_price = 0 THEN 1 END), \
         count(CASE WHEN unit_price < 0 THEN 1 END), sum(quantity) FROM online_retail",
        &["10624", "2515", "2", "5176450"],
    )
    .await;
    check(
        session,
        "SELECT sum(n - 1) FROM (SELECT count(*) AS n FROM online_retail GROUP BY invoice_no, \
         stock_code, description, quantity, invoice_ts, unit_price, customer_id, country)",
        &["5268"],
    )
    .await;
    check(
        session,
        "SELECT sum(quantity * unit_price) FROM online_retail",
        &["9747747.934"],
    )
    .await;
    let by_country = query(
        session,
        "SELECT country, sum(quantity * unit_price) AS revenue FROM online_retail \
         GROUP BY country ORDER BY revenue DESC LIMIT 6",
    );
    let expected = [
        ["United Kingdom", "8187806.364"],
        ["Netherlands", "284661.540"],
        ["EIRE", "263276.820"],
        ["Germany", "221698.210"],
        ["France", "197403.900"],
        ["Australia", "137077.270"],
    ];
    assert_eq!(by_country.await.unwrap(), expected);
    check(
        session,
        "SELECT count(*), count(DISTINCT customer_id), sum(quantity * unit_price) \
         FROM online_retail WHERE customer_id IS NOT NULL",
        &["406829", "4372", "8300065.814"],
    )
    .await;
}

/// The steps from raw rows to sales, by the cleaning job.
async fn ladder(data: &Imported) {
    let steps = [
        ("exact_duplicate", "397884", "8911407.904"),
        ("", "392692", "8887208.894"),
    ];
    for (skip, n_rows, revenue) in steps {
        let location = data.folder.path().join(format!("results-{n_rows}"));
        let session = data.session(&data.catalog);
        let mut params = vec![("rules", "online_retail")];
        if !skip.is_empty() {
            params.push(("skip", skip));
        }
        submit(&session, "cleaning", &params, &location)
            .await
            .unwrap();
        let clean = location.join("online_retail_clean").display().to_string();
        let catalog = Catalog {
            tables: [(
                "clean".to_owned(),
                TableDef::new("parquet", format!("file://{clean}")),
            )]
            .into(),
            ..Catalog::default()
        };
        let session = data.session(&catalog);
        check(
            &session,
            "SELECT count(*), sum(quantity * unit_price) FROM clean",
            &[n_rows, revenue],
        )
        .await;
        if skip.is_empty() {
            continue;
        }
        check(
            &session,
            "SELECT count(DISTINCT customer_id), count(DISTINCT invoice_no), \
             count(DISTINCT stock_code), count(DISTINCT country) FROM clean",
            &["4338", "18532", "3665", "37"],
        )
        .await;
    }
}

/// Customers of December 2010 by month of their later orders, cancellations included.
async fn cohort(session: &Session) {
    let params = [
        ("anchor", "first_purchase"),
        ("period", "month"),
        ("statuses", "all"),
    ];
    let rows = rows(session, "cohort", &params).await.unwrap();
    let users: Vec<&str> = rows
        .iter()
        .filter(|r| r[0] == "2010-12-01")
        .map(|r| r[4].as_str())
        .collect();
    let expected = [
        "948", "362", "317", "367", "341", "376", "360", "336", "336", "374", "354", "474", "260",
    ];
    assert_eq!(users, expected);
}

/// The imported orders and lines add up to the same cents as the raw file.
async fn reconciliation(session: &Session) {
    check(
        session,
        "SELECT count(*), sum(total) FROM transactions",
        &["25900", "9747747.934"],
    )
    .await;
    check(
        session,
        "SELECT count(*), sum(subtotal) FROM transaction_items",
        &["541909", "9747747.934"],
    )
    .await;
}

/// Association rules of the French orders, as published with mlxtend.
async fn france_baskets(data: &Imported) {
    let session = data.session(&data.catalog);
    let lines = "SELECT invoice_no, trim(description) AS item, sum(quantity) AS quantity \
                 FROM online_retail WHERE country = 'France' AND invoice_no NOT LIKE 'C%' \
                 AND trim(description) <> 'POSTAGE' GROUP BY 1, 2 HAVING sum(quantity) >= 1";
    let baskets = format!("SELECT count(DISTINCT invoice_no) FROM ({lines})");
    let baskets = query(&session, &baskets).await.unwrap();
    // An invoice of postage alone is an empty basket, which mlxtend counts too.
    let all = "SELECT count(DISTINCT invoice_no) FROM online_retail WHERE country = 'France' \
               AND invoice_no NOT LIKE 'C%'";
    let all = query(&session, all).await.unwrap()[0][0].clone();
    assert_eq!(all, "392");
    assert!(baskets[0][0].parse::<u32>().unwrap() <= 392);

    let min_count = 28; // 7 % of 392, rounded up
    let single = format!(
        "SELECT item, count(*) AS n FROM ({lines}) GROUP BY item HAVING count(*) >= {min_count}"
    );
    let n_single = query(&session, &format!("SELECT count(*) FROM ({single})"))
        .await
        .unwrap();
    assert_eq!(n_single, [["40"]]);
    let pairs = format!(
        "SELECT a.item AS first, b.item AS second, count(*) AS n FROM ({lines}) a JOIN ({lines}) b \
         ON a.invoice_no = b.invoice_no AND a.item < b.item GROUP BY 1, 2 HAVING count(*) >= {min_count}"
    );
    let n_pairs = query(&session, &format!("SELECT count(*) FROM ({pairs})"))
        .await
        .unwrap();
    assert_eq!(n_pairs, [["10"]]);
    let triples = format!(
        "SELECT count(*) FROM (SELECT 1 FROM ({lines}) a JOIN ({lines}) b ON a.invoice_no = b.invoice_no \
         AND a.item < b.item JOIN ({lines}) c ON b.invoice_no = c.invoice_no AND b.item < c.item \
         GROUP BY a.item, b.item, c.item HAVING count(*) >= {min_count})"
    );
    assert_eq!(query(&session, &triples).await.unwrap(), [["1"]]);
    let rule = format!(
        "SELECT round(p.n / 392.0, 6), round(p.n / CAST(b.n AS DOUBLE), 3), \
         round(p.n * 392.0 / (a.n * b.n), 6) FROM ({pairs}) p \
         JOIN ({single}) a ON a.item = p.first JOIN ({single}) b ON b.item = p.second \
         WHERE p.first = 'ALARM CLOCK BAKELIKE GREEN' AND p.second = 'ALARM CLOCK BAKELIKE PINK'"
    );
    assert_eq!(
        query(&session, &rule).await.unwrap(),
        [["0.07398", "0.725", "7.478947"]]
    );
}
