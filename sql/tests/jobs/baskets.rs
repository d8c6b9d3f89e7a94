//! Rules between products, customers who come back, and revenue by country.

use crate::data::{TestResult, context, run};

const COLUMNS: [&str; 9] = [
    "antecedent",
    "consequent",
    "orders",
    "orders_antecedent",
    "orders_consequent",
    "baskets",
    "lift",
    "leverage",
    "conviction",
];

/// Orders of one customer with these products, each product a line.
fn orders(baskets: &[&str]) -> (String, String) {
    let (mut orders, mut items) = (String::new(), String::new());
    for (n, basket) in baskets.iter().enumerate() {
        orders += &format!(
            r#"{{"transaction_id":"t{n}","user_id":"u1","ts":"2024-01-0{}T10:00:00Z","subtotal":"1","discount":"0","total":"1.00","status":"completed","currency":"USD"}}"#,
            n + 1
        );
        orders.push('\n');
        for (line, product) in basket.chars().enumerate() {
            items += &format!(
                r#"{{"transaction_id":"t{n}","line_no":{line},"product_id":"{product}","quantity":1,"unit_price":"1","subtotal":"1"}}"#
            );
            items.push('\n');
        }
    }
    (orders, items)
}

#[tokio::test]
async fn rules_of_three_products_have_their_measures() -> TestResult {
    // A appears twice in one order, which is one basket all the same.
    let (orders, items) = orders(&["ABCA", "ABC", "AB", "AC", "D"]);
    let context = context(&[("transactions", &orders), ("transaction_items", &items)])?;
    let given = [("top", "null"), ("min_support_count", "2")];
    let rows = run(&context, "product_rules", &given, &COLUMNS).await?;
    // Baskets: A 4, B 3, C 3, AB 3, AC 3, BC 2, ABC 2, of 5.
    assert_eq!(
        rows,
        [
            "B|A|3|3|4|5|1.2500|0.1200|-",
            "C|A|3|3|4|5|1.2500|0.1200|-",
            "A|B|3|4|3|5|1.2500|0.1200|1.6000",
            "A|C|3|4|3|5|1.2500|0.1200|1.6000",
            "B + C|A|2|2|4|5|1.2500|0.0800|-",
            "B|C|2|3|3|5|1.1111|0.0400|1.2000",
            "A + B|C|2|3|3|5|1.1111|0.0400|1.2000",
            "A + C|B|2|3|3|5|1.1111|0.0400|1.2000",
            "C|B|2|3|3|5|1.1111|0.0400|1.2000",
        ]
        .map(str::to_owned)
        .sorted_as(&rows)
    );
    let pairs = [("top", "null"), ("max_items", "2")];
    assert_eq!(
        run(&context, "product_rules", &pairs, &COLUMNS)
            .await?
            .len(),
        6
    );
    Ok(())
}

/// The expectation in the order of the rows, so that a difference is easy to see; the order itself is
/// tested below.
trait SortedAs {
    fn sorted_as(self, rows: &[String]) -> Vec<String>;
}

impl<const N: usize> SortedAs for [String; N] {
    fn sorted_as(self, rows: &[String]) -> Vec<String> {
        let place = |row: &String| rows.iter().position(|other| other == row);
        let mut expected = self.to_vec();
        expected.sort_by_key(place);
        expected
    }
}

#[tokio::test]
async fn rules_of_four_products_are_ranked_without_ties() -> TestResult {
    let (orders, items) = orders(&["ABCD", "ABCD", "E"]);
    let context = context(&[("transactions", &orders), ("transaction_items", &items)])?;
    let columns = ["antecedent", "consequent"];
    let given = [("top", "null"), ("max_items", "4"), ("rank_by", "orders")];
    let rows = run(&context, "product_rules", &given, &columns).await?;
    // 6 pairs, 4 triples and 1 set of four.
    assert_eq!(rows.len(), 6 * 2 + 4 * 3 + 4);
    assert!(rows.contains(&"A + B + D|C".to_owned()), "{rows:?}");
    let pairs: Vec<_> = rows.iter().filter_map(|row| row.split_once('|')).collect();
    assert!(pairs.is_sorted(), "{pairs:?}");
    let first = [("top", "3"), ("max_items", "4"), ("rank_by", "orders")];
    assert_eq!(
        run(&context, "product_rules", &first, &columns).await?,
        rows[..3]
    );
    Ok(())
}

const SALES: &str = r#"
{"transaction_id":"t1","user_id":"u1","ts":"2024-01-01T10:00:00Z","subtotal":"10","discount":"0","total":"10.00","status":"completed","currency":"USD"}
{"transaction_id":"t2","user_id":"u1","ts":"2024-01-01T20:00:00Z","subtotal":"10","discount":"0","total":"10.00","status":"completed","currency":"USD"}
{"transaction_id":"t3","user_id":"u2","ts":"2024-01-02T10:00:00Z","subtotal":"20","discount":"0","total":"20.01","status":"completed","currency":"USD"}
{"transaction_id":"t4","user_id":"u2","ts":"2024-01-12T10:00:00Z","subtotal":"20","discount":"0","total":"20.00","status":"shipped","currency":"USD"}
{"transaction_id":"t5","user_id":"u2","ts":"2024-02-12T10:00:00Z","subtotal":"20","discount":"0","total":"20.00","status":"cancelled","currency":"USD"}
{"transaction_id":"t6","ts":"2024-01-03T10:00:00Z","subtotal":"5","discount":"0","total":"5.00","status":"completed","currency":"USD"}
{"transaction_id":"t7","user_id":"u9","ts":"2024-01-03T10:00:00Z","subtotal":"7","discount":"0","total":"7.00","status":"completed","currency":"EUR"}
"#;

const USERS: &str = r#"
{"user_id":"u1","registration_ts":"2023-01-01T00:00:00Z","last_active_ts":"2024-01-01T00:00:00Z","country":"NO"}
{"user_id":"u2","registration_ts":"2023-01-01T00:00:00Z","last_active_ts":"2024-01-01T00:00:00Z","country":" SE "}
"#;

#[tokio::test]
async fn customers_who_come_back_do_so_on_another_day() -> TestResult {
    let context = context(&[("transactions", SALES)])?;
    let columns = [
        "currency",
        "customers",
        "repeat_customers",
        "repeat_rate",
        "purchases",
        "purchases_per_customer",
        "avg_days_to_second",
    ];
    let rows = run(&context, "repeat_rate", &[], &columns).await?;
    assert_eq!(
        rows,
        [
            "EUR|1|0|0.0000|1|1.0000|-",
            "USD|2|1|0.5000|3|1.5000|10.0000"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn revenue_of_a_country_keeps_currencies_and_guests_apart() -> TestResult {
    let context = context(&[("transactions", SALES), ("users", USERS)])?;
    let columns = [
        "currency",
        "country",
        "buyers",
        "orders",
        "revenue",
        "revenue_share",
        "avg_order_value",
    ];
    let rows = run(&context, "revenue_by_country", &[], &columns).await?;
    assert_eq!(
        rows,
        [
            "EUR|unknown|1|1|7.00|1.0000|7.000000",
            "USD|SE|1|2|40.01|0.6154|20.005000",
            "USD|NO|1|2|20.00|0.3076|10.000000",
            "USD|unknown|0|1|5.00|0.0769|5.000000",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn days_of_data_without_times_are_whole() -> TestResult {
    let at = |time: &str| {
        format!(
            r#"{{"transaction_id":"{time}","user_id":"u1","ts":"{time}Z","subtotal":"1","discount":"0","total":"1.00","status":"completed","currency":"USD"}}"#
        )
    };
    let columns = ["day", "is_partial"];
    let days = [at("2024-01-01T00:00:00"), at("2024-01-02T00:00:00")].join("\n");
    let without_times = context(&[("transactions", &days)])?;
    assert_eq!(
        run(&without_times, "sales_by_day", &[], &columns).await?,
        ["2024-01-01|false", "2024-01-02|false"]
    );
    let times = [at("2024-01-01T00:30:00"), at("2024-01-02T00:00:00")].join("\n");
    let with_times = context(&[("transactions", &times)])?;
    assert_eq!(
        run(&with_times, "sales_by_day", &[], &columns).await?,
        ["2024-01-01|false", "2024-01-02|true"]
    );
    Ok(())
}
