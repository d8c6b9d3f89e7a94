//! Jobs over the cleaned flat orders.

use crate::data::{TestResult, context, run};

const ORDERS: &str = r#"
{"order_id":"O1","customer_id":1,"category":"Books","price":"10.00","quantity":2,"timestamp":"2024-01-01T00:00:00Z","status":"Delivered","discount":"10.00","delivery_time":3,"user_rating":5,"is_prime":true,"currency":"USD"}
{"order_id":"O2","customer_id":1,"category":"Books","price":"5.55","quantity":1,"timestamp":"2024-01-02T00:00:00Z","status":"Shipped","discount":"0.00","delivery_time":9,"user_rating":1,"is_prime":false,"currency":"USD"}
{"order_id":"O3","customer_id":2,"category":"Toys","price":"7.77","quantity":1,"timestamp":"2024-01-03T00:00:00Z","status":"Canceled","discount":"0.00","delivery_time":9,"user_rating":1,"is_prime":false,"currency":"USD"}
{"order_id":"O4","customer_id":2,"price":"3.33","quantity":3,"timestamp":"2024-01-04T00:00:00Z","status":"Delivered","is_prime":true,"currency":"EUR"}
{"order_id":"O5","customer_id":3,"category":"Books","price":"1.11","quantity":1,"timestamp":"2024-01-05T00:00:00Z","status":"Delivered","discount":"0.00","delivery_time":10,"user_rating":4,"is_prime":true,"currency":"USD"}
{"order_id":"O6","customer_id":3,"category":"Books","price":"1.00","quantity":1,"timestamp":"2024-01-06T00:00:00Z","status":"Delivered","discount":"0.00","delivery_time":5,"is_prime":false,"currency":"USD"}
"#;

#[tokio::test]
async fn d1_satisfaction_is_the_user_rating() -> TestResult {
    let context = context(&[("orders", ORDERS)])?;
    let columns = [
        "category",
        "ratings",
        "unrated",
        "avg_rating",
        "satisfied_share",
        "rated_1",
        "rated_2",
        "rated_3",
        "rated_4",
        "rated_5",
    ];
    let rows = run(&context, "satisfaction_by_category", &[], &columns).await?;
    // Books: 5, 1, 4 and one order without a rating; delivery days go up to 10, ratings to 5.
    assert_eq!(
        rows,
        [
            "Books|3|1|3.3333|0.6667|1|0|0|1|1",
            "unknown|0|1|-|-|0|0|0|0|0"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn d2_prime_and_non_prime_are_both_there() -> TestResult {
    let context = context(&[("orders", ORDERS)])?;
    let columns = [
        "currency",
        "membership",
        "orders",
        "order_share",
        "customers",
        "units",
        "gross_revenue",
        "net_revenue",
    ];
    let rows = run(&context, "prime_vs_non_prime", &[], &columns).await?;
    // D4: quantity and discount count, the cancelled order does not, currencies stay apart.
    assert_eq!(
        rows,
        [
            "EUR|prime|1|1.0000|1|3|9.99|9.99000000",
            "USD|non_prime|2|0.5000|2|2|6.55|6.55000000",
            "USD|prime|2|0.5000|2|3|21.11|19.11000000",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn d4_the_meaning_of_the_discount_is_a_choice() -> TestResult {
    let context = context(&[("orders", ORDERS)])?;
    for (meaning, expected) in [("amount", "11.11"), ("none", "21.11")] {
        let rows = run(
            &context,
            "prime_vs_non_prime",
            &[("discount_as", meaning)],
            &["net_revenue"],
        )
        .await?;
        let net = rows.last().map(|r| r.trim_end_matches('0').to_owned());
        assert_eq!(net.as_deref(), Some(expected), "{meaning}");
    }
    Ok(())
}

#[tokio::test]
async fn delivery_percentiles_are_exact() -> TestResult {
    let context = context(&[("orders", ORDERS)])?;
    let columns = [
        "category",
        "orders",
        "avg_days",
        "p50_days",
        "p90_days",
        "p99_days",
        "max_days",
        "in_time_share",
    ];
    let rows = run(&context, "delivery_time", &[], &columns).await?;
    // Delivered books took 3, 5 and 10 days.
    assert_eq!(rows, ["Books|3|6.0000|5|10|10|10|0.6667"]);
    let given = [
        ("statuses", "delivered,shipped,canceled"),
        ("target_days", "8"),
    ];
    let rows = run(&context, "delivery_time", &given, &columns).await?;
    // Nearest rank: half of 3, 5, 9, 10 arrived within 5 days.
    assert_eq!(
        rows,
        [
            "Books|4|6.7500|5|10|10|10|0.5000",
            "Toys|1|9.0000|9|9|9|9|0.0000"
        ]
    );
    Ok(())
}
