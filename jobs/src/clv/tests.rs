//! Unit tests of `clv`.

use datafusion::logical_expr::lit;
use datafusion::prelude::ident;
use emporia_core::error::ErrorKind;
use emporia_engine::Session;
use emporia_models::bg_nbd::BgNbd;
use emporia_models::gamma_gamma::GammaGamma;
use emporia_models::simulate::{Customer, Process};

use super::*;
use crate::testing::{contract_table, frame, lines, params, session};

const TRANSACTIONS: &str = "
    t1,,u1,2024-01-01T08:00:00Z,20.00,0.00,20.00,card,completed,USD
    t2,,u1,2024-01-15T08:00:00Z,10.00,0.00,10.00,card,completed,USD
    t3,,u1,2024-01-15T20:00:00Z,12.00,2.00,10.00,card,completed,USD
    t4,,u1,2024-01-29T08:00:00Z,30.00,0.00,30.00,card,completed,USD
    t5,,u2,2024-01-08T08:00:00Z,5.00,0.00,5.00,card,completed,USD
    t6,,u3,2024-02-05T08:00:00Z,7.00,0.00,7.00,card,shipped,USD
    t7,,u3,2024-02-06T08:00:00Z,7.00,0.00,7.00,card,canceled,USD
    t8,,,2024-02-06T08:00:00Z,7.00,0.00,7.00,card,completed,USD";

async fn clv(session: &Session, given: &[(&str, &str)]) -> JobRun {
    let params = params(Clv::new().spec(), given);
    run(session, &params).await.expect("a run")
}

#[tokio::test]
async fn history_counts_days_and_leaves_the_first_one_out_of_the_mean() {
    let session = session();
    contract_table(&session, "transactions", TRANSACTIONS);
    let run = clv(&session, &[]).await;
    let columns = [
        "user_id",
        "frequency",
        "recency",
        "age",
        "orders",
        "revenue",
        "aov",
        "currency",
    ];
    let rows = lines(frame(&run, "clv"), &columns).await;
    let expected = [
        "u1 2 4.0 5.0 4 70.00 17.50 USD",
        "u2 0 0.0 4.0 1 5.00 5.00 USD",
        "u3 0 0.0 0.0 1 7.00 7.00 USD",
    ];
    assert_eq!(rows, expected);
    let rows = lines(
        frame(&run, "clv"),
        &["user_id", "days_since_last_order", "rfm"],
    )
    .await;
    assert_eq!(rows.len(), 3);
    assert!(rows[2].starts_with("u3 0 "), "{rows:?}");
    // Three customers fit nothing, and the notes say so.
    assert!(
        run.notes
            .iter()
            .any(|n| n.contains("weak") || n.contains("no purchase model"))
    );
}

#[tokio::test]
async fn d18_calibration_ends_where_the_user_says() {
    let session = session();
    contract_table(&session, "transactions", TRANSACTIONS);
    let run = clv(
        &session,
        &[("calibration_end", "2024-01-22"), ("time_unit", "day")],
    )
    .await;
    let rows = lines(
        frame(&run, "clv"),
        &["user_id", "frequency", "recency", "age"],
    )
    .await;
    assert_eq!(rows, ["u1 1 14.0 21.0", "u2 0 0.0 14.0"]);
}

#[tokio::test]
async fn margins_follow_subcategory_and_discount() {
    let session = session();
    contract_table(&session, "transactions", TRANSACTIONS);
    contract_table(
        &session,
        "transaction_items",
        "t1,1,p1,,1,20.00,20.00
         t3,1,p1,,1,6.00,6.00
         t3,2,p2,,1,6.00,6.00
         t5,1,p9,,1,5.00,5.00",
    );
    contract_table(&session, "products", "p1,Lamp,c1,s1,,,,\np2,Desk,c1,s2,,,,");
    contract_table(
        &session,
        "subcategories",
        "s1,c1,Lamps,0.2500\ns2,c1,Desks,0.5000",
    );
    let run = clv(&session, &[]).await;
    let rows = lines(frame(&run, "clv"), &["user_id", "margin_revenue"]).await;
    // 5.00, and (1.50 + 3.00) less a sixth; an unknown product has no margin.
    assert_eq!(rows, ["u1 8.75", "u2 0.00", "u3 0.00"]);
}

#[tokio::test]
async fn no_customers_give_no_rows() {
    let session = session();
    contract_table(&session, "transactions", "");
    let run = clv(&session, &[]).await;
    assert!(lines(frame(&run, "clv"), &["user_id"]).await.is_empty());
    assert!(lines(frame(&run, "clv_model"), &["model"]).await.is_empty());
}

#[tokio::test]
async fn parameters_of_simulated_customers_are_recovered() {
    let process = Process {
        purchases: BgNbd {
            r: 0.8,
            alpha: 40.0,
            a: 0.9,
            b: 2.5,
        },
        spend: GammaGamma {
            p: 6.0,
            q: 4.0,
            v: 15.0,
        },
    };
    let mut random = fastrand::Rng::with_seed(4);
    let mut uniform = || random.f64();
    let mut transactions = String::new();
    let start = chrono::NaiveDate::from_ymd_opt(2023, 1, 1).expect("a date");
    for user in 0..3000_u64 {
        let customer = Customer::draw(&process, &mut uniform);
        let joined = user % 180;
        let age = (720 - joined) as f64;
        for (at, purchase) in customer.purchases(&process, age, &mut uniform).enumerate() {
            let day = start + chrono::Days::new(joined + purchase.time as u64);
            let total = format!("{:.2}", purchase.value.max(0.01));
            transactions += &format!(
                "t{user}-{at},,u{user},{day}T12:00:00Z,{total},0.00,{total},card,completed,USD\n"
            );
        }
    }
    let session = session();
    contract_table(&session, "transactions", &transactions);
    let given = [("time_unit", "day"), ("calibration_end", "2024-12-21")];
    let run = clv(&session, &given).await;
    let columns = [
        "model",
        "parameter",
        "estimate",
        "standard_error",
        "n",
        "weak",
    ];
    let rows = lines(frame(&run, "clv_model"), &columns).await;
    let truth = [
        ("a", 0.9),
        ("alpha", 40.0),
        ("b", 2.5),
        ("r", 0.8),
        ("p", 6.0),
        ("q", 4.0),
        ("v", 15.0),
    ];
    for (parameter, value) in truth {
        let row = rows
            .iter()
            .find(|r| r.split(' ').nth(1) == Some(parameter))
            .expect("a row");
        let numbers: Vec<f64> = row
            .split(' ')
            .skip(2)
            .filter_map(|v| v.parse().ok())
            .collect();
        // Purchases are cut to whole days, which moves the estimates a little.
        assert!(
            (numbers[0] - value).abs() < 4.0 * numbers[1] + 0.03 * value,
            "{row}"
        );
    }
    // Scores are probabilities, and value comes with them.
    let bad = frame(&run, "clv").filter(
        ident("p_alive")
            .between(lit(0.0), lit(1.0))
            .and(ident("clv").gt_eq(lit(0_i64)))
            .is_not_true(),
    );
    assert_eq!(bad.expect("a filter").count().await.expect("a count"), 0);
    assert_eq!(frame(&run, "clv").count().await.expect("a count"), 3000);
}

#[tokio::test]
async fn a_sample_is_taken_of_too_many_customers() {
    let session = session();
    let orders: String = (0..200)
        .map(|u| format!("t{u},,u{u},2024-01-01T08:00:00Z,5.00,0.00,5.00,card,completed,USD\n"))
        .collect();
    contract_table(&session, "transactions", &orders);
    let run = clv(&session, &[("fit_customers", "100")]).await;
    assert!(
        run.notes.iter().any(|n| n.contains("one customer in 4")),
        "{:?}",
        run.notes
    );
    assert_eq!(frame(&run, "clv").count().await.expect("a count"), 200);
}

#[tokio::test]
async fn orders_of_several_currencies_are_refused() {
    let refused = async |orders: &str, given: &[(&str, &str)]| {
        let session = session();
        contract_table(&session, "transactions", orders);
        let params = params(Clv::new().spec(), given);
        let error = run(&session, &params).await.err().expect("an error");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.contains("several currencies"), "{text}");
    };
    let order = |user: usize, day: usize, currency: &str| {
        format!(
            "t{user}-{day},,u{user},2024-01-{day:02}T08:00:00Z,5.00,0.00,5.00,card,completed,{currency}\n"
        )
    };
    // After the calibration.
    let end = [("calibration_end", "2024-01-10")];
    let dollars = order(1, 1, "USD") + &order(2, 2, "USD");
    refused(&(dollars.clone() + &order(1, 20, "EUR")), &end).await;
    let both = order(1, 20, "EUR") + &order(2, 21, "USD");
    refused(&(dollars + &both), &end).await;
    // Of a customer who may be in the sample or not.
    for other in 0..6 {
        let currency = |user| if user == other { "EUR" } else { "USD" };
        let orders: String = (0..12).map(|u| order(u, 1, currency(u))).collect();
        refused(&orders, &[("fit_customers", "6")]).await;
    }
}

#[tokio::test]
async fn a_date_ends_the_calibration_with_its_whole_day() {
    let session = session();
    contract_table(&session, "transactions", TRANSACTIONS);
    let columns = ["user_id", "orders", "revenue", "recency", "age"];
    // The orders of the last day are at 08:00 and 20:00.
    let day = [("calibration_end", "2024-01-15"), ("time_unit", "day")];
    let run = clv(&session, &day).await;
    assert_eq!(
        lines(frame(&run, "clv"), &columns).await,
        ["u1 3 40.00 14.0 14.0", "u2 1 5.00 0.0 7.0"]
    );
    let left_out = "2 orders after 2024-01-15, up to 2024-02-05, are left out";
    assert!(
        run.notes.iter().any(|n| n.starts_with(left_out)),
        "{:?}",
        run.notes
    );
    let noon = [
        ("calibration_end", "2024-01-15T12:00:00Z"),
        ("time_unit", "day"),
    ];
    let run = clv(&session, &noon).await;
    assert_eq!(
        lines(frame(&run, "clv"), &columns).await,
        ["u1 2 30.00 14.0 14.0", "u2 1 5.00 0.0 7.0"]
    );
    let partial = "the last day is observed until 12:00:00 UTC only";
    assert!(
        run.notes.iter().any(|n| n.starts_with(partial)),
        "{:?}",
        run.notes
    );
}

#[tokio::test]
async fn the_holdout_has_what_happened_after_the_calibration() {
    let session = session();
    contract_table(&session, "transactions", TRANSACTIONS);
    let run = clv(
        &session,
        &[("calibration_end", "2024-01-20"), ("time_unit", "day")],
    )
    .await;
    let columns = [
        "frequency",
        "customers",
        "holdout_days",
        "actual_purchases",
        "actual_revenue",
    ];
    // u1 bought twice before and once after; u2 never came back; u3 is new.
    assert_eq!(
        lines(frame(&run, "clv_holdout"), &columns).await,
        ["0 1 16 0 0.00", "1 1 16 1 30.00"]
    );
    // Without an end, nothing is held out.
    let run = clv(&session, &[]).await;
    assert!(lines(frame(&run, "clv_holdout"), &columns).await.is_empty());
}

#[test]
fn horizons_in_days_weeks_and_months_are_of_one_kind() {
    let settings = |unit: &str, horizon: &str| {
        let given = [
            ("horizon_unit", unit),
            ("horizon", horizon),
            ("time_unit", "day"),
        ];
        Settings::of(&params(Clv::new().spec(), &given)).expect("settings")
    };
    let month = settings("month", "12");
    let day = settings("day", "360");
    assert_eq!((month.step(), day.step()), (30.0, 1.0));
    assert_eq!(settings("week", "4").step(), 7.0);
    let compounded = (1.0 + day.discount_per_step()).powi(30) - 1.0;
    assert!((compounded - month.discount_per_step()).abs() < 1e-12);
}
