//! The published numbers of CDNOW (Fader and Hardie), on a cluster of two executors: in one process,
//! and as processes of their own.

use std::path::Path;

use emporia_core::catalog::Catalog;
use emporia_e2e::golden::{import, rows, submit};
use emporia_e2e::sandbox::{Sandbox, query};
use emporia_e2e::shared_data;
use emporia_engine::EngineOptions;

#[tokio::test(flavor = "multi_thread")]
async fn cdnow_master_has_the_published_cohorts_and_cents() {
    let Some(source) = shared_data("cdnow/CDNOW_master.txt") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let catalog = import("cdnow", &source, folder.path()).unwrap();
    for sandbox in sandboxes(folder.path()).await {
        master(&sandbox, &catalog).await;
    }
}

/// A cluster in this process and one of processes.
async fn sandboxes(folder: &Path) -> [Sandbox; 2] {
    [
        Sandbox::start(&[1, 1]).await.unwrap(),
        Sandbox::of_processes(folder).unwrap(),
    ]
}

async fn master(sandbox: &Sandbox, catalog: &Catalog) {
    let session = sandbox
        .session(catalog.clone(), &EngineOptions::default())
        .unwrap();
    let totals = query(
        &session,
        "SELECT count(*), count(DISTINCT user_id), sum(total), \
         count(CASE WHEN total = 0 THEN 1 END) FROM transactions",
    );
    assert_eq!(
        totals.await.unwrap(),
        [["69659", "23570", "2500315.63", "80"]]
    );
    let cds = query(&session, "SELECT sum(quantity) FROM transaction_items")
        .await
        .unwrap();
    assert_eq!(cds, [["167881"]]);
    let days = "SELECT count(*) FROM (SELECT DISTINCT user_id, ts FROM transactions)";
    assert_eq!(query(&session, days).await.unwrap(), [["67591"]]);

    let params = [("anchor", "first_purchase"), ("period", "month")];
    let rows = rows(&session, "cohort", &params).await.unwrap();
    let users = |cohort: &str, k: &str| {
        rows.iter()
            .find(|r| r[0] == cohort && r[1] == k)
            .map(|r| r[4].clone())
            .unwrap()
    };
    for (cohort, size, next) in [
        ("1997-01-01", "7846", "1157"),
        ("1997-02-01", "8476", "1312"),
        ("1997-03-01", "7248", "1032"),
    ] {
        assert_eq!(
            (users(cohort, "0"), users(cohort, "1")),
            (size.to_owned(), next.to_owned())
        );
    }
    let cents: i64 = rows
        .iter()
        .map(|r| r[6].replace('.', "").parse::<i64>().unwrap())
        .sum();
    assert_eq!(cents, 250_031_563, "the cohorts' revenue is all revenue");
}

#[tokio::test(flavor = "multi_thread")]
async fn cdnow_sample_has_the_published_fit() {
    let Some(source) = shared_data("cdnow/CDNOW_sample.txt") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let catalog = import("cdnow", &source, folder.path()).unwrap();
    for (n, sandbox) in sandboxes(folder.path()).await.into_iter().enumerate() {
        let results = folder.path().join(format!("clv-{n}"));
        sample(&sandbox, &catalog, &results).await;
    }
}

async fn sample(sandbox: &Sandbox, catalog: &Catalog, results: &Path) {
    let session = sandbox
        .session(catalog.clone(), &EngineOptions::default())
        .unwrap();
    let params = [("time_unit", "week"), ("calibration_end", "1997-09-30")];
    submit(&session, "clv", &params, results).await.unwrap();
    let table = |name: &str| {
        let location = format!("file://{}/{name}", results.display());
        (
            name.to_owned(),
            emporia_core::catalog::TableDef::new("parquet", location),
        )
    };
    let catalog = Catalog {
        tables: [table("clv"), table("clv_model")].into(),
        ..Catalog::default()
    };
    let session = sandbox.session(catalog, &EngineOptions::default()).unwrap();
    let found = query(
        &session,
        "SELECT model, parameter, estimate, standard_error FROM clv_model",
    )
    .await
    .unwrap();
    // Estimates on full precision data; the published ones rest on values rounded to two decimals.
    for (model, parameter, value, tolerance) in [
        ("bg_nbd", "r", 0.242_593, 0.001),
        ("bg_nbd", "alpha", 4.413_532, 0.01),
        ("bg_nbd", "a", 0.792_886, 0.005),
        ("bg_nbd", "b", 2.425_752, 0.01),
        ("gamma_gamma", "p", 6.2488, 0.01),
        ("gamma_gamma", "q", 3.7446, 0.01),
        ("gamma_gamma", "v", 15.4477, 0.05),
    ] {
        let row = found.iter().find(|r| r[0] == model && r[1] == parameter);
        let row = row.unwrap_or_else(|| panic!("{model} {parameter} is missing in {found:?}"));
        let estimate: f64 = row[2].parse().unwrap();
        assert!(
            (estimate - value).abs() < tolerance,
            "{model} {parameter}: {estimate} for {value}"
        );
    }
    let n = query(
        &session,
        "SELECT count(*), count(CASE WHEN frequency > 0 THEN 1 END) FROM clv",
    );
    assert_eq!(n.await.unwrap(), [["2357", "946"]]);
}
