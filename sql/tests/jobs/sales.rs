//! Sales over time, by customer and by payment method.

use arrow::datatypes::DataType;
use emporia_sql::SqlJob;

use crate::data::{TestResult, context, frame, job, run};

/// An order with a payment method that has blanks and capitals, a guest, a cancelled order, an
/// order in another currency, the last microsecond of a month.
const TRANSACTIONS: &str = r#"
{"transaction_id":"t1","user_id":"u1","ts":"2023-12-31T23:30:00Z","subtotal":"100.10","discount":"0","total":"100.10","payment_method":"credit_card","status":"completed","currency":"USD"}
{"transaction_id":"t2","user_id":"u2","ts":"2024-01-01T00:00:00Z","subtotal":"50.05","discount":"0","total":"50.05","payment_method":"paypal","status":"shipped","currency":"USD"}
{"transaction_id":"t3","ts":"2024-01-31T23:59:59.999999Z","subtotal":"0.01","discount":"0","total":"0.01","payment_method":" PayPal ","status":"delivered","currency":"USD"}
{"transaction_id":"t4","user_id":"u1","ts":"2024-03-05T12:00:00Z","subtotal":"999.99","discount":"0","total":"999.99","payment_method":"paypal","status":"cancelled","currency":"USD"}
{"transaction_id":"t5","user_id":"u1","ts":"2024-03-31T12:00:00Z","subtotal":"70.07","discount":"10.00","total":"60.07","status":"completed","currency":"USD"}
{"transaction_id":"t6","user_id":"u3","ts":"2024-03-31T12:00:00Z","subtotal":"10.00","discount":"0","total":"10.00","payment_method":"paypal","status":"processing","currency":"EUR"}
"#;

const USERS: &str = r#"
{"user_id":"u1","registration_ts":"2022-05-01T00:00:00Z","last_active_ts":"2024-01-01T00:00:00Z","country":"US"}
{"user_id":"u2","registration_ts":"2023-12-31T23:59:59Z","last_active_ts":"2024-01-01T00:00:00Z","country":" US "}
{"user_id":"u3","registration_ts":"2023-01-01T00:00:00Z","last_active_ts":"2024-01-01T00:00:00Z"}
{"user_id":"u4","registration_ts":"2021-01-01T00:00:00Z","last_active_ts":"2024-01-01T00:00:00Z","country":"DE"}
"#;

const MONTH: [&str; 8] = [
    "currency",
    "month",
    "orders",
    "buyers",
    "revenue",
    "avg_order_value",
    "revenue_change",
    "is_partial",
];

#[tokio::test]
async fn months_have_no_gaps_and_keep_currencies_apart() -> TestResult {
    let context = context(&[("transactions", TRANSACTIONS)])?;
    let rows = run(&context, "sales_by_month", &[], &MONTH).await?;
    assert_eq!(
        rows,
        [
            "EUR|2023-12-01|0|0|0.00|-|-|true",
            "EUR|2024-01-01|0|0|0.00|-|-|false",
            "EUR|2024-02-01|0|0|0.00|-|-|false",
            "EUR|2024-03-01|1|1|10.00|10.000000|-|true",
            "USD|2023-12-01|1|1|100.10|100.100000|-|true",
            "USD|2024-01-01|2|1|50.06|25.030000|-|false",
            "USD|2024-02-01|0|0|0.00|-|-1.0000|false",
            "USD|2024-03-01|1|1|60.07|60.070000|-|true",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn d9_the_same_month_of_two_years_is_two_rows() -> TestResult {
    let rows = r#"
{"transaction_id":"a","ts":"2023-01-01T10:00:00Z","subtotal":"1","discount":"0","total":"100.00","status":"completed","currency":"USD"}
{"transaction_id":"b","ts":"2023-02-10T10:00:00Z","subtotal":"1","discount":"0","total":"150.00","status":"completed","currency":"USD"}
{"transaction_id":"c","ts":"2024-01-31T10:00:00Z","subtotal":"1","discount":"0","total":"7.00","status":"completed","currency":"USD"}
"#;
    let context = context(&[("transactions", rows)])?;
    let rows = run(
        &context,
        "sales_by_month",
        &[],
        &["month", "revenue", "revenue_change", "is_partial"],
    )
    .await?;
    assert_eq!(rows.len(), 13);
    assert_eq!(rows[0], "2023-01-01|100.00|-|false");
    assert_eq!(rows[1], "2023-02-01|150.00|0.5000|false");
    assert_eq!(rows[2], "2023-03-01|0.00|-1.0000|false");
    assert_eq!(rows[12], "2024-01-01|7.00|-|true");
    Ok(())
}

#[tokio::test]
async fn the_last_month_and_the_last_day_are_judged_alike() -> TestResult {
    for (first, last, is_partial) in [
        ("2024-01-01T00:00:00Z", "2024-02-29T22:59:59Z", true),
        ("2024-01-01T00:00:00Z", "2024-02-29T23:00:00Z", false),
        ("2024-01-01T00:10:00Z", "2024-02-29T00:00:00Z", true),
        ("2024-01-01T00:00:00Z", "2024-02-29T00:00:00Z", false),
    ] {
        let order = |id: &str, time: &str| {
            format!(
                r#"{{"transaction_id":"{id}","ts":"{time}","subtotal":"1","discount":"0","total":"7.00","status":"completed","currency":"USD"}}"#
            )
        };
        let orders = [order("a", first), order("b", last)].join("\n");
        let context = context(&[("transactions", orders.as_str())])?;
        for job in ["sales_by_day", "sales_by_month"] {
            let rows = run(&context, job, &[], &["is_partial"]).await?;
            assert_eq!(rows[0], "false", "{job} {first}");
            assert_eq!(rows[rows.len() - 1], is_partial.to_string(), "{job} {last}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn days_have_no_gaps_and_add_up_to_the_months() -> TestResult {
    let context = context(&[("transactions", TRANSACTIONS)])?;
    let days = run(
        &context,
        "sales_by_day",
        &[],
        &["currency", "day", "orders", "revenue", "is_partial"],
    )
    .await?;
    // 2023-12-31 to 2024-03-31 is 1 + 31 + 29 + 31 days.
    assert_eq!(days.len(), 2 * 92);
    assert_eq!(days[92], "USD|2023-12-31|1|100.10|true");
    assert_eq!(days[93], "USD|2024-01-01|1|50.05|false");
    assert_eq!(days[123], "USD|2024-01-31|1|0.01|false");
    assert_eq!(days[157], "USD|2024-03-05|0|0.00|false");
    assert_eq!(days[183], "USD|2024-03-31|1|60.07|true");
    let day_frame = frame(&context, "sales_by_day", &[]).await?;
    let month_frame = frame(&context, "sales_by_month", &[]).await?;
    context.register_table("days", day_frame.into_view())?;
    context.register_table("months", month_frame.into_view())?;
    let different = context
        .sql(
            "SELECT count(*) AS n FROM (
                SELECT currency, date_trunc('month', day) AS month, sum(revenue) AS revenue, sum(orders) AS orders
                FROM days GROUP BY currency, date_trunc('month', day)
            ) AS d
            FULL JOIN months AS m ON d.currency = m.currency AND d.month = m.month
            WHERE (d.revenue IS DISTINCT FROM m.revenue) OR (d.orders IS DISTINCT FROM m.orders)",
        )
        .await?;
    assert_eq!(crate::data::rows(different, &["n"]).await?, ["0"]);
    Ok(())
}

#[tokio::test]
async fn the_moving_mean_is_of_seven_calendar_days() -> TestResult {
    let rows = r#"
{"transaction_id":"a","ts":"2024-02-26T00:10:00Z","subtotal":"7","discount":"0","total":"7.00","status":"completed","currency":"USD"}
{"transaction_id":"b","ts":"2024-03-04T23:10:00Z","subtotal":"14","discount":"0","total":"14.01","status":"completed","currency":"USD"}
"#;
    let context = context(&[("transactions", rows)])?;
    let rows = run(
        &context,
        "sales_by_day",
        &[],
        &["day", "revenue", "revenue_ma7", "is_partial"],
    )
    .await?;
    assert_eq!(rows.len(), 8);
    assert_eq!(rows[0], "2024-02-26|7.00|-|false");
    assert_eq!(rows[5], "2024-03-02|0.00|-|false");
    assert_eq!(rows[6], "2024-03-03|0.00|1.000000|false");
    assert_eq!(rows[7], "2024-03-04|14.01|2.001429|false");
    Ok(())
}

#[tokio::test]
async fn d18_statuses_decide_what_is_a_sale() -> TestResult {
    let context = context(&[("transactions", TRANSACTIONS)])?;
    let columns = ["month", "orders", "revenue"];
    let usd_march = async |statuses: &str| -> TestResult<String> {
        let given = [("statuses", statuses), ("from", "2024-03-01")];
        let rows = run(&context, "sales_by_month", &given, &columns).await?;
        Ok(rows.last().cloned().unwrap_or_default())
    };
    assert_eq!(usd_march("completed").await?, "2024-03-01|1|60.07");
    assert_eq!(usd_march("cancelled").await?, "2024-03-01|1|999.99");
    assert_eq!(usd_march("null").await?, "2024-03-01|2|1060.06");
    assert_eq!(usd_march("none_of_them").await?, "2024-03-01|0|0.00");
    Ok(())
}

#[tokio::test]
async fn the_time_range_is_half_open() -> TestResult {
    let context = context(&[("transactions", TRANSACTIONS)])?;
    let given = [
        ("from", "2023-12-31T23:30:00Z"),
        ("to", "2024-01-31 23:59:59"),
    ];
    let rows = run(&context, "sales_by_month", &given, &["month", "revenue"]).await?;
    assert_eq!(rows, ["2023-12-01|100.10", "2024-01-01|50.05"]);
    let given = [("from", "2024-01-01"), ("to", "2024-01-01")];
    assert!(
        run(&context, "sales_by_month", &given, &["month"])
            .await?
            .is_empty()
    );
    Ok(())
}

#[tokio::test]
async fn top_customers_rank_within_the_currency_and_leave_guests_out() -> TestResult {
    let context = context(&[("transactions", TRANSACTIONS)])?;
    let columns = [
        "currency",
        "rank",
        "user_id",
        "orders",
        "revenue",
        "revenue_share",
        "is_tied",
    ];
    let rows = run(&context, "top_customers", &[], &columns).await?;
    // 160.17 and 50.05 of 210.23, of which a guest spent 0.01.
    assert_eq!(
        rows,
        [
            "EUR|1|u3|1|10.00|1.0000|false",
            "USD|1|u1|2|160.17|0.7619|false",
            "USD|2|u2|1|50.05|0.2381|false"
        ]
    );
    let given = [
        ("by", "orders"),
        ("top", "1"),
        ("statuses", "shipped,completed"),
        ("to", "2024-02-01"),
    ];
    let tied = run(&context, "top_customers", &given, &columns[1..4]).await?;
    assert_eq!(tied, ["1|u1|1", "1|u2|1"]);
    Ok(())
}

#[tokio::test]
async fn payment_methods_are_compared_without_case_and_blanks() -> TestResult {
    let context = context(&[("transactions", TRANSACTIONS)])?;
    let columns = [
        "currency",
        "payment_method",
        "orders",
        "order_share",
        "revenue",
        "avg_order_value",
    ];
    let rows = run(&context, "payment_methods", &[], &columns).await?;
    assert_eq!(
        rows,
        [
            "EUR|paypal|1|1.0000|10.00|10.000000",
            "USD|credit_card|1|0.2500|100.10|100.100000",
            "USD|unknown|1|0.2500|60.07|60.070000",
            "USD|paypal|2|0.5000|50.06|25.030000",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn spending_by_registration_year_keeps_customers_who_never_bought() -> TestResult {
    let context = context(&[("transactions", TRANSACTIONS), ("users", USERS)])?;
    let columns = [
        "registration_year",
        "currency",
        "customers",
        "buyers",
        "orders",
        "revenue",
        "avg_order_value",
        "revenue_per_customer",
    ];
    let rows = run(&context, "spending_by_registration_year", &[], &columns).await?;
    assert_eq!(
        rows,
        [
            "2021|none|1|0|0|0.00|-|0.000000",
            "2022|USD|1|1|2|160.17|80.085000|160.170000",
            "2023|EUR|2|1|1|10.00|10.000000|5.000000",
            "2023|USD|2|1|1|50.05|50.050000|25.025000",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn d16_customers_are_not_multiplied_by_their_orders() -> TestResult {
    let twice = format!("{USERS}{USERS}");
    let context = context(&[("transactions", TRANSACTIONS), ("users", &twice)])?;
    let columns = [
        "country",
        "customers",
        "customer_share",
        "buyers",
        "buyer_rate",
    ];
    let rows = run(&context, "customers_by_country", &[], &columns).await?;
    assert_eq!(
        rows,
        [
            "US|2|0.5000|2|1.0000",
            "DE|1|0.2500|0|0.0000",
            "unknown|1|0.2500|1|1.0000"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn money_stays_decimal_with_the_scale_of_the_data() -> TestResult {
    let context = context(&[("transactions", TRANSACTIONS)])?;
    let scale_3 = context
        .sql(
            "SELECT transaction_id, session_id, user_id, ts, payment_method, status, currency,
                arrow_cast(subtotal, 'Decimal128(18, 3)') AS subtotal,
                arrow_cast(discount, 'Decimal128(18, 3)') AS discount,
                arrow_cast(total, 'Decimal128(18, 3)') AS total
            FROM transactions",
        )
        .await?;
    context.deregister_table("transactions")?;
    context.register_table("transactions", scale_3.into_view())?;
    for name in [
        "sales_by_day",
        "sales_by_month",
        "payment_methods",
        "top_customers",
    ] {
        let frame = frame(&context, name, &[]).await?;
        let revenue = frame
            .schema()
            .field_with_unqualified_name("revenue")?
            .data_type()
            .clone();
        assert!(
            matches!(revenue, DataType::Decimal128(_, 3)),
            "{name}: {revenue}"
        );
    }
    let rows = run(&context, "sales_by_month", &[], &["revenue"]).await?;
    assert_eq!(rows.last().map(String::as_str), Some("60.070"));
    Ok(())
}

#[tokio::test]
async fn parameters_are_values_and_never_text() -> TestResult {
    let context = context(&[("transactions", TRANSACTIONS)])?;
    let given = [("statuses", "completed') OR (1 = 1")];
    let rows = run(&context, "sales_by_month", &given, &["orders"]).await?;
    assert!(rows.iter().all(|orders| orders == "0"), "{rows:?}");
    Ok(())
}

#[tokio::test]
async fn null_is_refused_where_the_header_does_not_allow_it() -> TestResult {
    let context = context(&[("transactions", TRANSACTIONS)])?;
    let error = frame(&context, "top_customers", &[("by", "null")])
        .await
        .err();
    let message = error.map(|e| e.to_string()).unwrap_or_default();
    assert_eq!(
        message,
        "parameter `by` of job `top_customers` must not be null"
    );
    Ok(())
}

#[tokio::test]
async fn planning_errors_show_the_place_in_the_job_file() -> TestResult {
    let context = context(&[("transactions", TRANSACTIONS)])?;
    let text = job("payment_methods")?
        .text()
        .replace("sum(total)", "sum(totl)");
    let job = SqlJob::parse("mine.sql", text)?;
    let params = emporia_core::job::Params::bind(job.spec(), &[])?;
    let error = emporia_sql::plan(&context, &job, &params)
        .await
        .err()
        .ok_or("planned")?;
    assert_eq!(error.kind(), emporia_core::error::ErrorKind::NotFound);
    assert!(error.message().starts_with("mine.sql:24:"), "{error}");
    assert_eq!(error.hint(), Some("did you mean `total`?"));
    Ok(())
}
