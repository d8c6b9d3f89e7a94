//! Unit tests of `revenue`.

use std::sync::Arc;

use datafusion::arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray};
use emporia_engine::Session;

use super::*;
use crate::testing::{contract_table, frame, lines, params, register, session};

const COLUMNS: [&str; 9] = [
    "period",
    "category_id",
    "subcategory_id",
    "gross",
    "discount",
    "net",
    "units",
    "orders",
    "lines",
];

const TRANSACTIONS: &str = "
    t1,,u1,2024-01-31T23:59:59Z,30.00,1.00,29.00,card,completed,USD
    t2,,u2,2024-02-01T00:00:00Z,10.00,0.00,10.00,card,shipped,USD
    t3,,u2,2024-02-02T00:00:00Z,50.00,5.00,45.00,card,canceled,USD";

// t1 has three lines of 10.00 and 100 cents of discount: 34, 33 and 33.
const ITEMS: &str = "
    t1,1,p1,c1,1,10.00,10.00
    t1,2,p2,,2,5.00,10.00
    t1,3,p9,,1,10.00,10.00
    t2,1,p1,c2,1,10.00,10.00
    t3,1,p1,c1,5,10.00,50.00";

const PRODUCTS: &str = "
    p1,Lamp,c1,s1,12.00,5,true,2023-01-01T00:00:00Z
    p2,Desk,c1,s2,5.00,5,true,2023-01-01T00:00:00Z";

fn shop(transactions: &str, items: &str) -> Session {
    let session = session();
    contract_table(&session, "transactions", transactions);
    contract_table(&session, "transaction_items", items);
    contract_table(&session, "products", PRODUCTS);
    contract_table(&session, "categories", "c1,Home\nc2,Sale");
    session
}

async fn try_revenue(session: &Session, given: &[(&str, &str)]) -> Result<Vec<String>> {
    let params = params(RevenueByCategory::new().spec(), given);
    let run = run(session, &params).await?;
    Ok(lines(frame(&run, "revenue_by_category"), &COLUMNS).await)
}

async fn revenue(session: &Session, given: &[(&str, &str)]) -> Vec<String> {
    try_revenue(session, given).await.expect("a run")
}

#[tokio::test]
async fn discounts_are_spread_over_lines_and_categories_are_as_of_the_sale() {
    let session = shop(TRANSACTIONS, ITEMS);
    let rows = revenue(&session, &[]).await;
    let expected = [
        "2024-01 c1 all 20.00 0.67 19.33 3 1 2",
        "2024-01 unknown all 10.00 0.33 9.67 1 1 1",
        "2024-02 c2 all 10.00 0.00 10.00 1 1 1",
    ];
    assert_eq!(rows, expected);
    let rows = revenue(&session, &[("granularity", "total")]).await;
    assert_eq!(rows.len(), 3);
    assert!(rows[0].starts_with("total c1 "), "{rows:?}");
}

#[tokio::test]
async fn subcategories_are_unknown_after_a_change_of_category() {
    let rows = revenue(&shop(TRANSACTIONS, ITEMS), &[("level", "subcategory")]).await;
    let expected = [
        "2024-01 c1 s1 10.00 0.34 9.66 1 1 1",
        "2024-01 c1 s2 10.00 0.33 9.67 2 1 1",
        "2024-01 unknown unknown 10.00 0.33 9.67 1 1 1",
        "2024-02 c2 unknown 10.00 0.00 10.00 1 1 1",
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn time_is_limited_to_a_half_open_range() {
    let session = shop(TRANSACTIONS, ITEMS);
    let rows = revenue(&session, &[("from", "2024-02-01"), ("to", "2024-02-02")]).await;
    assert_eq!(rows, ["2024-02 c2 all 10.00 0.00 10.00 1 1 1"]);
}

#[tokio::test]
async fn d16_orders_are_not_multiplied_by_their_lines() {
    let rows = revenue(&shop(TRANSACTIONS, ITEMS), &[("granularity", "total")]).await;
    let net: f64 = rows
        .iter()
        .filter_map(|r| r.split(' ').nth(5)?.parse::<f64>().ok())
        .sum();
    // 29.00 and 10.00, whatever the number of lines.
    assert!((net - 39.0).abs() < 1e-9, "{rows:?}");
    // A product that is there twice would multiply lines: that is found, not published.
    let session = shop(TRANSACTIONS, ITEMS);
    session
        .context()
        .deregister_table("products")
        .expect("a table");
    contract_table(&session, "products", &format!("{PRODUCTS}\n{PRODUCTS}"));
    let error = try_revenue(&session, &[]).await.expect_err("an error");
    assert!(
        error
            .to_string()
            .contains("gross revenue of all categories"),
        "{error}"
    );
}

#[tokio::test]
async fn d18_cancelled_orders_count_only_on_demand() {
    let rows = revenue(&shop(TRANSACTIONS, ITEMS), &[("statuses", "canceled")]).await;
    assert_eq!(rows, ["2024-02 c1 all 50.00 5.00 45.00 5 1 1"]);
}

#[tokio::test]
async fn an_order_without_lines_is_an_error() {
    let session = shop(TRANSACTIONS, "t1,1,p1,c1,3,10.00,30.00");
    let error = try_revenue(&session, &[]).await.expect_err("an error");
    assert_eq!(error.kind(), emporia_core::ErrorKind::Failed);
}

/// What [`allocation`] does, one order at a time.
fn largest_remainder(discount: i64, amounts: &[i64]) -> Vec<i64> {
    let total: i64 = amounts.iter().sum();
    let (weights, total) = if total == 0 {
        (vec![1; amounts.len()], amounts.len() as i64)
    } else {
        (
            amounts.iter().map(|a| a * total.signum()).collect(),
            total.abs(),
        )
    };
    let mut shares: Vec<i64> = weights
        .iter()
        .map(|w: &i64| (discount * w).div_euclid(total))
        .collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|i| (-(discount * weights[*i]).rem_euclid(total), *i));
    let left = discount - shares.iter().sum::<i64>();
    for line in order.into_iter().take(left as usize) {
        shares[line] += 1;
    }
    shares
}

#[tokio::test]
async fn shares_add_up_exactly_for_random_orders() {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut orders, mut numbers, mut amounts, mut discounts) = (vec![], vec![], vec![], vec![]);
    let mut expected = Vec::new();
    for order in 0..500 {
        let n_lines = random.usize(1..9);
        let range = if order % 10 == 0 {
            -5_000..5_000
        } else {
            0..100_000
        };
        let of_order: Vec<i64> = (0..n_lines).map(|_| random.i64(range.clone())).collect();
        let discount = random.i64(-20..20_000);
        let shares = largest_remainder(discount, &of_order);
        assert_eq!(shares.iter().sum::<i64>(), discount);
        for (line, amount) in of_order.iter().enumerate() {
            orders.push(format!("t{order}"));
            numbers.push(line as i32);
            amounts.push(*amount);
            discounts.push(discount);
            expected.push(format!("t{order} {line} {}", shares[line]));
        }
    }
    let session = session();
    let category = vec!["c"; orders.len()];
    let batch = RecordBatch::try_from_iter([
        ("transaction_id", Arc::new(StringArray::from(orders)) as _),
        ("line_no", Arc::new(Int32Array::from(numbers)) as _),
        ("amount", Arc::new(Int64Array::from(amounts)) as _),
        ("discount", Arc::new(Int64Array::from(discounts)) as _),
        (
            "category",
            Arc::new(StringArray::from(category.clone())) as _,
        ),
        ("subcategory", Arc::new(StringArray::from(category)) as _),
    ])
    .expect("a batch");
    register(&session, "lines", batch);
    let table = session.table("lines").await.expect("a table");
    let shares = allocation::allocate(table).expect("a plan");
    expected.sort();
    assert_eq!(
        lines(shares, &["transaction_id", "line_no", "share"]).await,
        expected
    );
}
