//! Products: revenue, ranks and pairs bought together.

use crate::data::{TestResult, context, run};

const TRANSACTIONS: &str = r#"
{"transaction_id":"t1","user_id":"u1","ts":"2024-01-01T10:00:00Z","subtotal":"100.10","discount":"0.10","total":"100.00","status":"completed","currency":"USD"}
{"transaction_id":"t2","user_id":"u2","ts":"2024-01-02T10:00:00Z","subtotal":"50.05","discount":"0","total":"50.05","status":"shipped","currency":"USD"}
{"transaction_id":"t3","ts":"2024-01-03T10:00:00Z","subtotal":"25.01","discount":"0","total":"25.01","status":"delivered","currency":"USD"}
{"transaction_id":"t4","user_id":"u1","ts":"2024-01-04T10:00:00Z","subtotal":"999.99","discount":"0","total":"999.99","status":"cancelled","currency":"USD"}
"#;

/// Three-product orders, a product on two lines of one order, a product without a name.
const ITEMS: &str = r#"
{"transaction_id":"t1","line_no":1,"product_id":"A","quantity":1,"unit_price":"20.00","subtotal":"20.00"}
{"transaction_id":"t1","line_no":2,"product_id":"A","quantity":1,"unit_price":"20.00","subtotal":"20.00"}
{"transaction_id":"t1","line_no":3,"product_id":"B","quantity":1,"unit_price":"30.05","subtotal":"30.05"}
{"transaction_id":"t1","line_no":4,"product_id":"C","quantity":1,"unit_price":"30.05","subtotal":"30.05"}
{"transaction_id":"t2","line_no":1,"product_id":"B","quantity":1,"unit_price":"25.05","subtotal":"25.05"}
{"transaction_id":"t2","line_no":2,"product_id":"A","quantity":1,"unit_price":"25.00","subtotal":"25.00"}
{"transaction_id":"t2","line_no":3,"product_id":"C","quantity":0,"unit_price":"25.00","subtotal":"0.00"}
{"transaction_id":"t3","line_no":1,"product_id":"Z","quantity":1,"unit_price":"25.01","subtotal":"25.01"}
{"transaction_id":"t4","line_no":1,"product_id":"A","quantity":9,"unit_price":"111.11","subtotal":"999.99"}
"#;

/// The base price of today has nothing to do with the prices of the sales.
const PRODUCTS: &str = r#"
{"product_id":"A","name":"Anvil","base_price":"1.00"}
{"product_id":"B","name":"Bell","base_price":"1.00"}
{"product_id":"C","name":"Clock","base_price":"1.00"}
"#;

const TABLES: [(&str, &str); 3] = [
    ("transactions", TRANSACTIONS),
    ("transaction_items", ITEMS),
    ("products", PRODUCTS),
];

#[tokio::test]
async fn d13_revenue_is_at_the_price_of_the_sale() -> TestResult {
    let context = context(&TABLES)?;
    let columns = [
        "currency",
        "product_id",
        "product_name",
        "units",
        "orders",
        "revenue",
        "avg_price",
        "min_price",
        "max_price",
    ];
    let rows = run(&context, "revenue_by_product", &[], &columns).await?;
    assert_eq!(
        rows,
        [
            "USD|A|Anvil|3|2|65.00|21.666667|20.00|25.00",
            "USD|B|Bell|2|2|55.10|27.550000|25.05|30.05",
            "USD|C|Clock|1|1|30.05|30.050000|30.05|30.05",
            "USD|Z|-|1|1|25.01|25.010000|25.01|25.01",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn d16_products_add_up_to_the_orders() -> TestResult {
    let doubled = format!("{PRODUCTS}{PRODUCTS}");
    let context = context(&[
        ("transactions", TRANSACTIONS),
        ("transaction_items", ITEMS),
        ("products", &doubled),
    ])?;
    let revenue = run(&context, "revenue_by_product", &[], &["revenue"]).await?;
    let cents: i64 = revenue
        .iter()
        .filter_map(|r| r.replace('.', "").parse::<i64>().ok())
        .sum();
    // Subtotals of the three orders that are not cancelled.
    assert_eq!(cents, 10_010 + 5_005 + 2_501);
    Ok(())
}

#[tokio::test]
async fn d12_totals_are_of_all_lines() -> TestResult {
    use std::fmt::Write as _;
    let n_orders = 2_600_i64;
    let (mut transactions, mut items) = (String::new(), String::new());
    for n in 1..=n_orders {
        let (id, amount) = (format!("\"t{n}\""), format!("\"{n}.01\""));
        writeln!(
            transactions,
            r#"{{"transaction_id":{id},"user_id":"u1","ts":"2024-01-01T10:00:00Z","subtotal":{amount},"discount":"0","total":{amount},"status":"completed","currency":"USD"}}"#
        )?;
        writeln!(
            items,
            r#"{{"transaction_id":{id},"line_no":1,"product_id":"P{}","quantity":1,"unit_price":{amount},"subtotal":{amount}}}"#,
            n % 1_300
        )?;
    }
    let context = context(&[
        ("transactions", &transactions),
        ("transaction_items", &items),
        ("products", PRODUCTS),
    ])?;
    let revenue = run(&context, "revenue_by_product", &[], &["revenue"]).await?;
    assert_eq!(revenue.len(), 1_300);
    let cents: i64 = revenue
        .iter()
        .filter_map(|r| r.replace('.', "").parse::<i64>().ok())
        .sum();
    assert_eq!(cents, n_orders * (n_orders + 1) / 2 * 100 + n_orders);
    Ok(())
}

#[tokio::test]
async fn top_products_state_ties() -> TestResult {
    let context = context(&TABLES)?;
    let columns = ["rank", "product_id", "units", "revenue", "is_tied"];
    let mut rows = run(&context, "top_products", &[("top", "3")], &columns).await?;
    // Taking some of the columns gives up the order of the query.
    rows.sort();
    assert_eq!(
        rows,
        [
            "1|A|3|65.00|false",
            "2|B|2|55.10|false",
            "3|C|1|30.05|true",
            "3|Z|1|25.01|true"
        ]
    );
    let given = [("by", "revenue"), ("top", "1"), ("statuses", "null")];
    let rows = run(&context, "top_products", &given, &columns).await?;
    assert_eq!(rows, ["1|A|12|1064.99|false"]);
    let all = run(
        &context,
        "top_products",
        &[("top", "null")],
        &["product_id"],
    )
    .await?;
    assert_eq!(all.len(), 4);
    Ok(())
}

#[tokio::test]
async fn d17_pairs_count_once_and_over_all_items_of_an_order() -> TestResult {
    let context = context(&TABLES)?;
    let columns = [
        "product_a",
        "product_b",
        "orders",
        "orders_a",
        "orders_b",
        "baskets",
        "support",
        "confidence_a_to_b",
        "confidence_b_to_a",
        "lift",
        "leverage",
        "jaccard",
    ];
    let rows = run(
        &context,
        "product_affinity",
        &[("min_support_count", "1")],
        &columns,
    )
    .await?;
    // Baskets {A, B, C}, {A, B} and {Z}: three products give three pairs, each once.
    assert_eq!(
        rows,
        [
            "A|B|2|2|2|3|0.6667|1.0000|1.0000|1.5000|0.2222|1.0000",
            "A|C|1|2|1|3|0.3333|0.5000|1.0000|1.5000|0.1111|0.5000",
            "B|C|1|2|1|3|0.3333|0.5000|1.0000|1.5000|0.1111|0.5000",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn affinity_honours_minimum_order_and_limit() -> TestResult {
    let context = context(&TABLES)?;
    let columns = ["product_name_a", "product_name_b", "orders"];
    let rows = run(&context, "product_affinity", &[], &columns).await?;
    assert_eq!(rows, ["Anvil|Bell|2"]);
    let given = [
        ("min_support_count", "1"),
        ("rank_by", "lift"),
        ("top", "2"),
    ];
    let rows = run(&context, "product_affinity", &given, &columns).await?;
    assert_eq!(rows, ["Anvil|Bell|2", "Anvil|Clock|1"]);
    Ok(())
}
