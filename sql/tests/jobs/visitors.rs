//! Sessions of users and groups of users, and the summary of all tables.

use crate::data::{TestResult, context, run};

const SESSIONS: &str = r#"
{"session_id":"s1","user_id":"u1","start_ts":"2024-01-01T10:00:00Z","end_ts":"2024-01-01T10:30:00Z","duration_seconds":1800,"device_type":"mobile","referrer":"email","viewed_products":["A","B"],"cart":[{"product_id":"A","quantity":1,"price":"1.00"}],"conversion_status":"converted"}
{"session_id":"s2","user_id":"u1","start_ts":"2024-01-03T11:00:00Z","end_ts":"2024-01-03T11:01:00Z","duration_seconds":60,"device_type":"mobile","referrer":"email","viewed_products":["A"],"cart":[],"conversion_status":"abandoned"}
{"session_id":"s3","user_id":"u2","start_ts":"2024-01-02T12:00:00Z","end_ts":"2024-01-02T12:30:00Z","duration_seconds":100,"conversion_status":"browsed"}
"#;

#[tokio::test]
async fn summaries_are_of_any_user() -> TestResult {
    let context = context(&[("sessions", SESSIONS)])?;
    let columns = [
        "user_id",
        "sessions",
        "duration_seconds",
        "avg_duration_seconds",
        "viewed_products",
        "sessions_with_cart",
        "converted",
        "conversion_rate",
    ];
    let rows = run(&context, "user_session_summary", &[], &columns).await?;
    assert_eq!(
        rows,
        [
            "u1|2|1860|930.0000|3|1|1|0.5000",
            "u2|1|100|100.0000|0|0|0|0.0000"
        ]
    );
    let rows = run(
        &context,
        "user_session_summary",
        &[("user_id", "u2")],
        &columns[..2],
    )
    .await?;
    assert_eq!(rows, ["u2|1"]);
    let times = ["first_start_ts", "last_start_ts"];
    let rows = run(
        &context,
        "user_session_summary",
        &[("user_id", "u1")],
        &times,
    )
    .await?;
    assert_eq!(rows, ["2024-01-01T10:00:00Z|2024-01-03T11:00:00Z"]);
    Ok(())
}

#[tokio::test]
async fn conversion_has_an_interval() -> TestResult {
    let context = context(&[("sessions", SESSIONS)])?;
    let columns = [
        "device_type",
        "referrer",
        "sessions",
        "converted",
        "conversion_rate",
        "rate_low",
        "rate_high",
    ];
    let rows = run(&context, "conversion_by_device_referrer", &[], &columns).await?;
    // Wilson 95 %: 1 of 2 is (0.0945, 0.9055), 0 of 1 is (0, 0.7935).
    assert_eq!(
        rows,
        [
            "mobile|email|2|1|0.5000|0.0945|0.9055",
            "unknown|unknown|1|0|0.0000|0.0000|0.7935",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn the_summary_counts_every_main_table() -> TestResult {
    let users = r#"{"user_id":"u1","registration_ts":"2022-05-01T00:00:00Z","last_active_ts":"2024-01-01T00:00:00Z"}"#;
    let context = context(&[
        ("users", users),
        ("categories", r#"{"category_id":"c1","name":"C"}"#),
        ("products", ""),
        ("transactions", ""),
        ("transaction_items", ""),
        ("sessions", SESSIONS),
        ("page_views", ""),
    ])?;
    let columns = ["table_name", "row_count", "first_ts", "last_ts"];
    let rows = run(&context, "dataset_summary", &[], &columns).await?;
    assert_eq!(
        rows,
        [
            "categories|1|-|-",
            "page_views|0|-|-",
            "products|0|-|-",
            "sessions|3|2024-01-01T10:00:00Z|2024-01-03T11:00:00Z",
            "transaction_items|0|-|-",
            "transactions|0|-|-",
            "users|1|2022-05-01T00:00:00Z|2022-05-01T00:00:00Z",
        ]
    );
    Ok(())
}
