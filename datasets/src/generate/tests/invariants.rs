//! The rules of the data contract, and the mix of the sessions.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::options;
use crate::process::{END_DAY, FIRST_DAY, SESSION_MIX};
use crate::stored::{Rows, TestResult, check_share, generated, table};

const MICROS_PER_DAY: i64 = 86_400_000_000;

fn check_unique(rows: &Rows, key: &str) -> HashSet<String> {
    let keys: HashSet<String> = rows.text(key).into_iter().collect();
    assert_eq!(keys.len(), rows.len(), "{key} is not unique");
    keys
}

fn check_known(rows: &Rows, column: &str, known: &HashSet<String>) {
    let unknown = rows
        .text(column)
        .into_iter()
        .find(|value| !known.contains(value));
    assert_eq!(unknown, None, "{column}");
}

#[tokio::test]
async fn keys_are_unique_and_resolve() -> TestResult {
    let names = [
        "users",
        "categories",
        "subcategories",
        "products",
        "price_history",
        "transactions",
        "transaction_items",
        "sessions",
        "page_views",
    ];
    let (store, _) = generated(options(0.01, &names)).await?;
    let users = check_unique(&table(&store, "users").await?, "user_id");
    let categories = check_unique(&table(&store, "categories").await?, "category_id");
    assert_eq!(categories.len(), 25);
    let subcategories = table(&store, "subcategories").await?;
    check_known(&subcategories, "category_id", &categories);
    let products = table(&store, "products").await?;
    check_known(&products, "category_id", &categories);
    check_known(
        &products,
        "subcategory_id",
        &check_unique(&subcategories, "subcategory_id"),
    );
    assert!(
        products
            .numbers("current_stock")?
            .iter()
            .all(|stock| *stock >= 0)
    );
    let products = check_unique(&products, "product_id");
    check_known(
        &table(&store, "price_history").await?,
        "product_id",
        &products,
    );
    let sessions = table(&store, "sessions").await?;
    check_known(&sessions, "user_id", &users);
    let transactions = table(&store, "transactions").await?;
    check_known(&transactions, "user_id", &users);
    let items = table(&store, "transaction_items").await?;
    check_known(
        &items,
        "transaction_id",
        &check_unique(&transactions, "transaction_id"),
    );
    check_known(&items, "product_id", &products);
    check_known(&items, "category_id", &categories);
    let mut sessions = check_unique(&sessions, "session_id");
    check_known(&table(&store, "page_views").await?, "session_id", &sessions);
    sessions.insert(String::new());
    check_known(&transactions, "session_id", &sessions);
    Ok(())
}

#[tokio::test]
async fn prices_add_up_and_are_those_of_the_day() -> TestResult {
    let names = [
        "products",
        "price_history",
        "transactions",
        "transaction_items",
    ];
    let (store, _) = generated(options(0.02, &names)).await?;
    let prices = table(&store, "price_history").await?;
    let mut history: HashMap<String, BTreeMap<i64, i64>> = HashMap::new();
    let times = prices.numbers("ts")?;
    for ((product, ts), price) in prices
        .text("product_id")
        .into_iter()
        .zip(times)
        .zip(prices.numbers("price")?)
    {
        history.entry(product).or_default().insert(ts, price);
    }
    let products = table(&store, "products").await?;
    let base_prices = products.numbers("base_price")?;
    for (product, base_price) in products.text("product_id").iter().zip(base_prices) {
        assert_eq!(history[product].values().last(), Some(&base_price));
    }

    let transactions = table(&store, "transactions").await?;
    let ids = transactions.text("transaction_id");
    let (times, statuses) = (transactions.numbers("ts")?, transactions.text("status"));
    let sold_at: HashMap<&String, i64> = ids.iter().zip(times.iter().copied()).collect();
    let items = table(&store, "transaction_items").await?;
    let mut subtotals: HashMap<String, i64> = HashMap::new();
    let mut lines = HashSet::new();
    let (quantities, unit_prices) = (items.numbers("quantity")?, items.numbers("unit_price")?);
    let (products, subtotal) = (items.text("product_id"), items.numbers("subtotal")?);
    for (row, id) in items.text("transaction_id").into_iter().enumerate() {
        assert_eq!(subtotal[row], quantities[row] * unit_prices[row]);
        assert!(quantities[row] > 0);
        assert!(
            lines.insert((id.clone(), products[row].clone())),
            "a product has two lines"
        );
        let as_of = history[&products[row]].range(..=sold_at[&id]).next_back();
        assert_eq!(as_of.map(|price| *price.1), Some(unit_prices[row]));
        *subtotals.entry(id).or_default() += subtotal[row];
    }
    let discounts = transactions.numbers("discount")?;
    let totals = transactions.numbers("total")?;
    for (row, subtotal) in transactions.numbers("subtotal")?.into_iter().enumerate() {
        assert_eq!(subtotals.get(&ids[row]), Some(&subtotal));
        assert_eq!(totals[row], subtotal - discounts[row]);
        assert!(discounts[row] >= 0 && discounts[row] * 5 <= subtotal);
    }
    let of = |status: &str| statuses.iter().filter(|s| *s == status).count();
    let extra = of("cancelled") + of("refunded");
    assert!(extra > 0 && extra * 20 < statuses.len());
    check_share(
        "discounts",
        discounts.iter().filter(|d| **d > 0).count(),
        ids.len(),
        0.2,
    );
    assert!(
        transactions
            .text("currency")
            .iter()
            .all(|currency| currency == "USD")
    );
    Ok(())
}

#[tokio::test]
async fn d14_linked_orders_are_the_carts_of_converted_sessions() -> TestResult {
    let names = ["transactions", "transaction_items", "sessions", "users"];
    let (store, _) = generated(options(0.02, &names)).await?;
    let sessions = table(&store, "sessions").await?;
    let by_id: HashMap<String, usize> = sessions.text("session_id").into_iter().zip(0..).collect();
    let (starts, ends) = (sessions.numbers("start_ts")?, sessions.numbers("end_ts")?);
    let seconds = sessions.numbers("duration_seconds")?;
    let (carts, viewed) = (sessions.carts(), sessions.text_lists("viewed_products"));
    let (users, status) = (sessions.text("user_id"), sessions.text("conversion_status"));
    for row in 0..sessions.len() {
        assert_eq!(ends[row] - starts[row], seconds[row] * 1_000_000);
        assert!((30..=3_600).contains(&seconds[row]));
        assert_eq!(carts[row].is_empty(), status[row] == "browsed");
        assert!(
            carts[row]
                .iter()
                .all(|entry| entry.1 > 0 && viewed[row].contains(&entry.0))
        );
        let distinct: HashSet<&String> = viewed[row].iter().collect();
        assert_eq!(distinct.len(), viewed[row].len());
    }

    let items = table(&store, "transaction_items").await?;
    let mut baskets: HashMap<String, Vec<(String, i64, i64)>> = HashMap::new();
    let (quantities, prices) = (items.numbers("quantity")?, items.numbers("unit_price")?);
    let products = items.text("product_id");
    for (row, id) in items.text("transaction_id").into_iter().enumerate() {
        let line = (products[row].clone(), quantities[row], prices[row]);
        baskets.entry(id).or_default().push(line);
    }
    let transactions = table(&store, "transactions").await?;
    let (ids, buyers) = (
        transactions.text("transaction_id"),
        transactions.text("user_id"),
    );
    let (times, statuses) = (transactions.numbers("ts")?, transactions.text("status"));
    let mut linked = HashSet::new();
    for (row, session) in transactions.text("session_id").into_iter().enumerate() {
        assert!(times[row] >= FIRST_DAY * MICROS_PER_DAY && times[row] < END_DAY * MICROS_PER_DAY);
        let Some(&session) = by_id.get(&session) else {
            continue;
        };
        assert!(linked.insert(session), "a session has two orders");
        assert_eq!(status[session], "converted");
        assert_eq!(statuses[row], "completed");
        assert_eq!(users[session], buyers[row]);
        assert_eq!(ends[session], times[row]);
        assert_eq!(carts[session], baskets[&ids[row]]);
    }
    assert_eq!(
        linked.len(),
        status
            .iter()
            .filter(|status| *status == "converted")
            .count()
    );

    let people = table(&store, "users").await?;
    let registered = people.numbers("registration_ts")?;
    let last_active = people.numbers("last_active_ts")?;
    let people: HashMap<String, usize> = people.text("user_id").into_iter().zip(0..).collect();
    for (user, (start, end)) in users.iter().zip(starts.iter().zip(&ends)) {
        assert!(registered[people[user]] < *start && *end <= last_active[people[user]]);
    }
    for (user, ts) in buyers.iter().zip(&times) {
        assert!(registered[people[user]] < *ts);
    }
    let never = people.len() - buyers.iter().collect::<HashSet<_>>().len();
    assert!(
        never * 20 >= people.len() && never * 3 < people.len(),
        "{never} never bought"
    );
    Ok(())
}

#[tokio::test]
async fn sessions_have_the_mix_and_pages_in_order() -> TestResult {
    let (store, _) = generated(options(0.05, &["sessions", "page_views"])).await?;
    let sessions = table(&store, "sessions").await?;
    let status = sessions.text("conversion_status");
    let viewed = sessions.text_lists("viewed_products");
    let n = sessions.len();
    let of = |wanted: &str| status.iter().filter(|status| *status == wanted).count();
    check_share("converted", of("converted"), n, SESSION_MIX.converted);
    check_share(
        "abandoned",
        of("abandoned"),
        n,
        SESSION_MIX.cart - SESSION_MIX.converted,
    );
    check_share("browsed", of("browsed"), n, 1.0 - SESSION_MIX.cart);
    let n_viewed = viewed.iter().filter(|viewed| !viewed.is_empty()).count();
    check_share("viewed any", n_viewed, n, SESSION_MIX.viewed);

    let pages = table(&store, "page_views").await?;
    let (starts, ends) = (sessions.numbers("start_ts")?, sessions.numbers("end_ts")?);
    let rows: HashMap<String, usize> = sessions.text("session_id").into_iter().zip(0..).collect();
    let mut reached = vec![false; n];
    let mut seen = vec![Vec::new(); n];
    let (times, durations) = (pages.numbers("ts")?, pages.numbers("view_duration")?);
    let (types, products) = (pages.text("page_type"), pages.text("product_id"));
    let mut last: (usize, i64, i64) = (usize::MAX, 0, 0);
    for (page, (id, seq)) in pages
        .text("session_id")
        .iter()
        .zip(pages.numbers("seq")?)
        .enumerate()
    {
        let row = rows[id];
        let (last_row, last_seq, last_ts) = last;
        if row == last_row {
            assert!(seq == last_seq + 1 && times[page] >= last_ts);
        } else {
            assert!(seq == 1 && times[page] == starts[row]);
        }
        assert!(durations[page] >= 0 && times[page] + durations[page] * 1_000_000 <= ends[row]);
        reached[row] |= matches!(types[page].as_str(), "checkout" | "confirmation");
        if types[page] == "product_detail" {
            seen[row].push(products[page].clone());
        }
        last = (row, seq, times[page]);
    }
    assert!(seen == viewed, "pages and viewed products differ");
    for row in 0..n {
        assert!(reached[row] || status[row] != "converted");
    }
    let n_reached = reached.iter().filter(|reached| **reached).count();
    check_share("checkout", n_reached, n, SESSION_MIX.checkout);
    let mean = pages.len() as f64 / n as f64;
    assert!((9.8..10.4).contains(&mean), "{mean} pages per session");
    Ok(())
}
