//! The three funnels.

use crate::data::{TestResult, context, run};

const STAGES: [&str; 4] = ["stage", "sessions", "step_rate", "overall_rate"];

const SESSIONS: &str = r#"
{"session_id":"s1","user_id":"u1","start_ts":"2024-01-01T10:00:00Z","end_ts":"2024-01-01T10:30:00Z","duration_seconds":1800,"viewed_products":["A","B"],"cart":[{"product_id":"A","quantity":1,"price":"1.00"}],"conversion_status":"converted"}
{"session_id":"s2","user_id":"u1","start_ts":"2024-01-01T11:00:00Z","end_ts":"2024-01-01T11:30:00Z","duration_seconds":1800,"viewed_products":["A"],"cart":[{"product_id":"A","quantity":1,"price":"1.00"}],"conversion_status":"abandoned"}
{"session_id":"s3","user_id":"u2","start_ts":"2024-01-01T12:00:00Z","end_ts":"2024-01-01T12:30:00Z","duration_seconds":1800,"viewed_products":["B"],"cart":[],"conversion_status":"browsed"}
{"session_id":"s4","user_id":"u2","start_ts":"2024-01-01T13:00:00Z","end_ts":"2024-01-01T13:30:00Z","duration_seconds":1800,"conversion_status":"browsed"}
{"session_id":"s5","user_id":"u3","start_ts":"2024-01-02T00:00:00Z","end_ts":"2024-01-02T00:30:00Z","duration_seconds":1800,"viewed_products":["B"],"cart":[],"conversion_status":"converted"}
"#;

#[tokio::test]
async fn the_set_funnel_has_independent_flags() -> TestResult {
    let context = context(&[("sessions", SESSIONS)])?;
    let columns = [
        "stage",
        "sessions",
        "step_rate",
        "overall_rate",
        "session_rate",
    ];
    let rows = run(&context, "conversion_funnel", &[], &columns).await?;
    // D14: s5 is converted with an empty cart.
    assert_eq!(
        rows,
        [
            "viewed|4|-|1.0000|0.8000",
            "carted|2|0.5000|0.5000|0.4000",
            "converted|2|1.0000|0.5000|0.4000",
        ]
    );
    let rows = run(
        &context,
        "conversion_funnel",
        &[("to", "2024-01-02")],
        &["sessions"],
    )
    .await?;
    assert_eq!(rows, ["3", "2", "1"]);
    let rows = run(
        &context,
        "conversion_funnel",
        &[("to", "2020-01-01")],
        &STAGES,
    )
    .await?;
    assert_eq!(rows, ["viewed|0|-|-", "carted|0|-|-", "converted|0|-|-"]);
    Ok(())
}

/// `session minute page` lines as page views of one day.
fn page_views(script: &str) -> String {
    let lines = script.lines().filter(|l| !l.trim().is_empty()).enumerate();
    lines
        .map(|(seq, line)| {
            let mut words = line.split_whitespace();
            let mut word = || words.next().unwrap_or_default();
            let (session, time, page) = (word(), word(), word());
            format!(
                "{{\"session_id\":\"{session}\",\"seq\":{seq},\"ts\":\"2024-01-01T{time}:00Z\",\"page_type\":\"{page}\",\"view_duration\":1}}\n"
            )
        })
        .collect()
}

#[tokio::test]
async fn the_ordered_funnel_needs_order_and_window() -> TestResult {
    let views = page_views(
        "s1 10:00 home
         s1 10:01 product_detail
         s1 10:02 search
         s1 10:03 cart
         s1 10:04 checkout
         s1 10:05 confirmation
         s2 10:00 cart
         s2 10:01 product_detail
         s3 10:00 product_detail
         s3 11:01 cart
         s4 10:00 product_detail
         s4 10:30 cart
         s4 10:50 product_detail
         s4 11:00 checkout
         s5 10:00 checkout
         s6 10:00 product_detail
         s6 10:00 cart
         s7 10:00 product_detail
         s7 10:30 cart
         s7 10:50 product_detail
         s7 11:10 checkout",
    );
    let context = context(&[("page_views", &views)])?;
    let rows = run(&context, "conversion_funnel_ordered", &[], &STAGES).await?;
    // s2 is out of order, s3 too late, s5 skips steps. The checkout of s4 is exactly 60 minutes
    // after the view of its chain; that of s7 is later, and the second view of s7 has no cart.
    assert_eq!(
        rows,
        [
            "product_detail|6|-|1.0000",
            "cart|4|0.6667|0.6667",
            "checkout|2|0.5000|0.3333",
            "confirmation|1|0.5000|0.1667",
        ]
    );
    let wide = [("window_minutes", "90")];
    let rows = run(&context, "conversion_funnel_ordered", &wide, &["sessions"]).await?;
    assert_eq!(rows, ["6", "5", "3", "1"]);
    let narrow = [("window_minutes", "0")];
    let rows = run(
        &context,
        "conversion_funnel_ordered",
        &narrow,
        &["sessions"],
    )
    .await?;
    assert_eq!(rows, ["6", "1", "0", "0"]);
    Ok(())
}

#[tokio::test]
async fn the_event_funnel_goes_from_view_over_cart_to_purchase() -> TestResult {
    let events = r#"
{"event_id":1,"event_time":"2024-01-01T10:00:00Z","event_type":"view","product_id":"A","user_id":"u1","user_session":"x"}
{"event_id":2,"event_time":"2024-01-01T10:00:00Z","event_type":"cart","product_id":"A","user_id":"u1","user_session":"x"}
{"event_id":3,"event_time":"2024-01-01T10:10:00Z","event_type":"purchase","product_id":"A","user_id":"u1","user_session":"x"}
{"event_id":4,"event_time":"2024-01-01T10:00:00Z","event_type":"view","product_id":"A","user_id":"u2","user_session":"y"}
{"event_id":5,"event_time":"2024-01-01T10:10:00Z","event_type":"purchase","product_id":"A","user_id":"u2","user_session":"y"}
{"event_id":6,"event_time":"2024-01-01T10:10:00Z","event_type":"remove_from_cart","product_id":"A","user_id":"u2","user_session":"z"}
"#;
    let context = context(&[("events", events)])?;
    let rows = run(&context, "event_funnel_ordered", &[], &STAGES).await?;
    assert_eq!(
        rows,
        [
            "view|2|-|1.0000",
            "cart|1|0.5000|0.5000",
            "purchase|1|1.0000|0.5000"
        ]
    );
    Ok(())
}
