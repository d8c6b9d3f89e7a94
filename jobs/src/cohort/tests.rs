//! Unit tests of `cohort`.

use emporia_engine::Session;
use emporia_models::bg_nbd::BgNbd;
use emporia_models::gamma_gamma::GammaGamma;
use emporia_models::simulate::{Customer, Process};

use super::*;
use crate::testing::{contract_table, frame, lines, params, session};

const USERS: &str = "
    u1,2024-01-05T10:00:00Z,2024-06-01T00:00:00Z,,,
    u2,2024-01-31T23:59:59Z,2024-06-01T00:00:00Z,,,
    u3,2024-01-20T00:00:00Z,2024-06-01T00:00:00Z,,,
    u4,2024-02-01T00:00:00Z,2024-06-01T00:00:00Z,,,";

// u3 never buys; t6 is cancelled, t7 is a guest's, t8 is from before the registration.
const TRANSACTIONS: &str = "
    t1,,u1,2024-01-06T00:00:00Z,10.00,0.00,10.00,card,completed,USD
    t2,,u1,2024-01-07T00:00:00Z,5.50,0.00,5.50,card,shipped,USD
    t3,,u2,2024-02-01T00:00:00Z,20.00,0.00,20.00,card,completed,USD
    t4,,u1,2024-04-10T00:00:00Z,1.00,0.00,1.00,card,delivered,USD
    t5,,u4,2024-03-31T23:59:59Z,7.00,0.00,7.00,card,processing,USD
    t6,,u4,2024-02-10T00:00:00Z,99.00,0.00,99.00,card,canceled,USD
    t7,,,2024-02-11T00:00:00Z,3.00,0.00,3.00,card,completed,USD
    t8,,u4,2024-01-15T00:00:00Z,4.00,0.00,4.00,card,completed,USD";

const COLUMNS: [&str; 9] = [
    "cohort",
    "period_index",
    "period_start",
    "cohort_size",
    "users",
    "orders",
    "revenue",
    "cumulative_revenue",
    "incomplete",
];

fn shop() -> Session {
    let session = session();
    contract_table(&session, "users", USERS);
    contract_table(&session, "transactions", TRANSACTIONS);
    session
}

async fn cohorts(session: &Session, given: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let params = params(Cohort::new().spec(), given);
    let run = run(session, &params).await.expect("a run");
    (lines(frame(&run, "cohort"), &COLUMNS).await, run.notes)
}

#[tokio::test]
async fn registration_cohorts_keep_customers_who_never_bought() {
    let (rows, notes) = cohorts(&shop(), &[]).await;
    let expected = [
        "2024-01-01 0 2024-01-01 3 1 2 15.50 15.50 false",
        "2024-01-01 1 2024-02-01 3 1 1 20.00 35.50 false",
        "2024-01-01 2 2024-03-01 3 0 0 0.00 35.50 false",
        "2024-01-01 3 2024-04-01 3 1 1 1.00 36.50 true",
        "2024-02-01 0 2024-02-01 1 0 0 0.00 0.00 false",
        "2024-02-01 1 2024-03-01 1 1 1 7.00 7.00 false",
    ];
    assert_eq!(rows, expected);
    assert!(
        notes
            .iter()
            .any(|n| n.starts_with("1 orders worth 4.00 are from before")),
        "{notes:?}"
    );
    assert!(
        notes
            .iter()
            .any(|n| n.starts_with("1 orders worth 3.00 have no user")),
        "{notes:?}"
    );
}

#[tokio::test]
async fn first_purchase_cohorts_begin_with_everybody() {
    let (rows, _) = cohorts(&shop(), &[("anchor", "first_purchase")]).await;
    let expected = [
        "2024-01-01 0 2024-01-01 2 2 3 19.50 19.50 false",
        "2024-01-01 1 2024-02-01 2 0 0 0.00 19.50 false",
        "2024-01-01 2 2024-03-01 2 1 1 7.00 26.50 false",
        "2024-01-01 3 2024-04-01 2 1 1 1.00 27.50 true",
        "2024-02-01 0 2024-02-01 1 1 1 20.00 20.00 false",
        "2024-02-01 1 2024-03-01 1 0 0 0.00 20.00 false",
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_period_is_complete_at_its_end() {
    let given = [("as_of", "2024-02-29T23:59:59Z")];
    let (rows, _) = cohorts(&shop(), &given).await;
    assert!(
        rows.contains(&"2024-01-01 1 2024-02-01 3 1 1 20.00 35.50 true".to_owned()),
        "{rows:?}"
    );
    let (rows, _) = cohorts(&shop(), &[("as_of", "2024-03-01")]).await;
    assert!(
        rows.contains(&"2024-01-01 1 2024-02-01 3 1 1 20.00 35.50 false".to_owned()),
        "{rows:?}"
    );
}

#[tokio::test]
async fn rolling_weeks_count_from_the_own_beginning() {
    let given = [
        ("period", "week"),
        ("rolling", "true"),
        ("as_of", "2024-02-12"),
    ];
    let (rows, _) = cohorts(&shop(), &given).await;
    // u1 registered on Friday of the week of 2024-01-01, and bought 0 and 1 days later.
    assert!(
        rows.iter()
            .any(|r| r == "2024-01-01 0 2024-01-01 1 1 2 15.50 15.50 false"),
        "{rows:?}"
    );
    // The last customer of that week may have begun on 2024-01-08, 5 weeks before.
    let complete = rows
        .iter()
        .filter(|r| r.starts_with("2024-01-01") && r.ends_with("false"));
    assert_eq!(complete.count(), 5);
}

#[tokio::test]
async fn no_orders_give_no_rows() {
    let session = session();
    contract_table(&session, "users", USERS);
    contract_table(&session, "transactions", "");
    let (rows, _) = cohorts(&session, &[]).await;
    assert!(rows.is_empty(), "{rows:?}");
}

#[tokio::test]
async fn several_currencies_are_an_error() {
    let session = session();
    contract_table(&session, "users", USERS);
    let foreign = "t9,,u1,2024-01-06T00:00:00Z,10.00,0.00,10.00,card,completed,EUR";
    contract_table(
        &session,
        "transactions",
        &format!("{TRANSACTIONS}\n{foreign}"),
    );
    let spec = Cohort::new();
    let error = run(&session, &params(spec.spec(), &[]))
        .await
        .err()
        .expect("an error");
    assert!(error.to_string().contains("several currencies"), "{error}");
    let (rows, _) = cohorts(&session, &[("currency", "EUR")]).await;
    assert!(
        rows[0].starts_with("2024-01-01 0 2024-01-01 3 1 1 10.00"),
        "{rows:?}"
    );
}

#[tokio::test]
async fn d9_months_of_different_years_are_different() {
    let session = session();
    contract_table(
        &session,
        "users",
        "u1,2023-01-05T10:00:00Z,2024-06-01T00:00:00Z,,,",
    );
    contract_table(
        &session,
        "transactions",
        "t1,,u1,2023-01-06T00:00:00Z,1.00,0.00,1.00,card,completed,USD
         t2,,u1,2024-01-06T00:00:00Z,2.00,0.00,2.00,card,completed,USD",
    );
    let (rows, _) = cohorts(&session, &[]).await;
    assert_eq!(rows.len(), 13);
    assert!(
        rows.contains(&"2023-01-01 12 2024-01-01 1 1 1 2.00 3.00 true".to_owned()),
        "{rows:?}"
    );
}

#[tokio::test]
async fn d18_statuses_are_chosen_and_time_is_utc() {
    // Cancelled orders do not count unless they are asked for.
    let (rows, _) = cohorts(&shop(), &[("statuses", "all")]).await;
    assert!(
        rows.contains(&"2024-02-01 0 2024-02-01 1 1 1 99.00 99.00 false".to_owned()),
        "{rows:?}"
    );
    let (rows, _) = cohorts(&shop(), &[("statuses", "canceled")]).await;
    assert!(rows.iter().any(|r| r.contains(" 99.00 ")), "{rows:?}");
    // u2 registered in the last second of January in UTC, and u4 in the first of February.
    let (rows, _) = cohorts(&shop(), &[]).await;
    assert!(
        rows[0].starts_with("2024-01-01 0 2024-01-01 3 "),
        "{rows:?}"
    );
}

#[tokio::test]
async fn d15_retention_of_real_customers_is_not_degenerate() {
    let process = Process {
        purchases: BgNbd {
            r: 0.6,
            alpha: 20.0,
            a: 0.8,
            b: 2.4,
        },
        spend: GammaGamma {
            p: 6.0,
            q: 4.0,
            v: 1500.0,
        },
    };
    let mut random = fastrand::Rng::with_seed(15);
    let mut uniform = || random.f64();
    let (mut users, mut transactions) = (String::new(), String::new());
    let n_users = 600;
    for user in 0..n_users {
        users += &format!("u{user},2024-01-01T00:00:00Z,2024-12-31T00:00:00Z,,,\n");
        let customer = Customer::draw(&process, &mut uniform);
        for (at, purchase) in customer
            .purchases(&process, 360.0, &mut uniform)
            .enumerate()
        {
            let day = chrono::NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date")
                + chrono::Days::new(purchase.time as u64);
            let cents = purchase.value as u64;
            let total = format!("{}.{:02}", cents / 100, cents % 100);
            transactions += &format!(
                "t{user}-{at},,u{user},{day}T12:00:00Z,{total},0.00,{total},card,completed,USD\n"
            );
        }
    }
    let session = session();
    contract_table(&session, "users", &users);
    contract_table(&session, "transactions", &transactions);
    let params = params(Cohort::new().spec(), &[("as_of", "2025-01-01")]);
    let run = run(&session, &params).await.expect("a run");
    let rows = lines(
        frame(&run, "cohort"),
        &["period_index", "users", "cohort_size"],
    )
    .await;
    let users_of = |index: &str| -> u64 {
        let row = rows
            .iter()
            .find(|r| r.starts_with(&format!("{index} ")))
            .expect("a row");
        row.split(' ')
            .nth(1)
            .and_then(|n| n.parse().ok())
            .expect("a number")
    };
    // Everybody buys at first; then some do, and ever fewer.
    assert_eq!(users_of("0"), n_users);
    let (early, late) = (
        users_of("1") + users_of("2"),
        users_of("10") + users_of("11"),
    );
    assert!(early < n_users && late < early && late > 0, "{rows:?}");
}
