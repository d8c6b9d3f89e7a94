//! Sales by age, gender and location of the customer.

use crate::data::{TestResult, context, run};

/// Repeated rows, an age of -1, a missing and an impossible age, an unknown gender.
const CUSTOMERS: &str = r#"
{"customer_id":1,"age":20,"gender":"M","location":"Paris"}
{"customer_id":1,"age":20,"gender":"M","location":"Paris"}
{"customer_id":2,"age":-1,"location":""}
{"customer_id":3,"age":24,"gender":"f","location":"Rome"}
{"customer_id":4,"age":111,"gender":"X"}
{"customer_id":5,"gender":"O","location":"Rome"}
{"customer_id":6,"age":18,"gender":"F","location":"Oslo"}
{"age":30,"gender":"F","location":"Oslo"}
"#;

/// A repeated order, amounts of -1 and null, an unknown customer, an order without one.
const ORDERS: &str = r#"
{"order_id":1,"customer_id":1,"product_id":1,"quantity":1,"total_amount":"10.00","transaction_date":"2020-01-05"}
{"order_id":1,"customer_id":1,"product_id":1,"quantity":1,"total_amount":"10.00","transaction_date":"2020-01-05"}
{"order_id":2,"customer_id":2,"product_id":1,"quantity":1,"total_amount":"20.00","transaction_date":"2021-01-05"}
{"order_id":3,"customer_id":3,"product_id":1,"quantity":1,"total_amount":"-1.00","transaction_date":"2021-01-05"}
{"order_id":4,"customer_id":3,"product_id":1,"quantity":1,"total_amount":"6.00","transaction_date":"2021-01-06"}
{"order_id":5,"customer_id":9,"product_id":1,"quantity":1,"total_amount":"7.00","transaction_date":"2021-01-06"}
{"order_id":6,"customer_id":4,"product_id":1,"quantity":1,"total_amount":"5.00","transaction_date":"2021-01-06"}
{"order_id":7,"customer_id":5,"product_id":1,"quantity":1,"transaction_date":"2021-01-06"}
{"order_id":8,"product_id":1,"quantity":1,"total_amount":"2.00","transaction_date":"2021-01-06"}
{"customer_id":1,"product_id":1,"quantity":1,"total_amount":"999.00","transaction_date":"2021-01-06"}
"#;

const TABLES: [(&str, &str); 2] = [("shop_customers", CUSTOMERS), ("shop_orders", ORDERS)];

#[tokio::test]
async fn d8_impossible_ages_are_unknown_and_never_zero() -> TestResult {
    let context = context(&TABLES)?;
    let columns = [
        "age_bucket",
        "age_from",
        "customers",
        "orders",
        "orders_without_amount",
        "revenue",
        "avg_order_value",
    ];
    let rows = run(&context, "sales_by_age", &[], &columns).await?;
    assert_eq!(
        rows,
        [
            "20-24|20|2|3|1|16.00|8.000000",
            "unknown|-|4|5|1|34.00|8.500000"
        ]
    );
    let rows = run(
        &context,
        "sales_by_age",
        &[("bucket_years", "10")],
        &["age_bucket"],
    )
    .await?;
    assert_eq!(rows, ["20-29", "unknown"]);
    Ok(())
}

#[tokio::test]
async fn d10_sales_by_gender_are_money_and_not_heads() -> TestResult {
    let context = context(&TABLES)?;
    let columns = ["gender", "customers", "orders", "revenue", "revenue_share"];
    let rows = run(&context, "sales_by_gender", &[], &columns).await?;
    assert_eq!(
        rows,
        [
            "unknown|3|4|34.00|0.6800",
            "M|1|1|10.00|0.2000",
            "F|1|2|6.00|0.1200",
            "O|1|1|0.00|0.0000"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn d11_repeated_orders_and_wrong_amounts_add_nothing() -> TestResult {
    let context = context(&TABLES)?;
    let columns = ["location", "orders", "orders_without_amount", "revenue"];
    let rows = run(&context, "sales_by_location", &[], &columns).await?;
    assert_eq!(
        rows,
        ["unknown|4|0|34.00", "Paris|1|0|10.00", "Rome|3|2|6.00"]
    );
    let given = [("from", "2020-01-05"), ("to", "2021-01-05")];
    let rows = run(&context, "sales_by_location", &given, &columns).await?;
    assert_eq!(rows, ["Paris|1|0|10.00"]);
    Ok(())
}
