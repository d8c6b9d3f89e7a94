//! The raw feeds: every fault is labelled, every label is true.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::options;
use crate::process::{RAW_FAULTS, SHOP_DIRT};
use crate::stored::{TestResult, check_share, files, generated, table};

const CATEGORIES: [&str; 5] = ["Electronics", "Clothing", "Books", "Home & Kitchen", "Toys"];
const PAYMENT_METHODS: [&str; 4] = ["Credit Card", "Debit Card", "PayPal", "Cash on Delivery"];
const STATUSES: [&str; 4] = ["Shipped", "Delivered", "Pending", "Canceled"];

fn is_number_in(text: &str, low: f64, high: f64) -> bool {
    text.parse::<f64>()
        .is_ok_and(|value| (low..=high).contains(&value))
}

fn is_timestamp(text: &str) -> bool {
    chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.6f").is_ok()
}

/// What is wrong with a row that has a key of its own, by looking at its text.
fn fault_in(line: &str, fields: &[String]) -> Option<&'static str> {
    if fields.len() < 16 {
        return Some("field_missing");
    }
    if fields.len() > 16 {
        return Some("field_extra");
    }
    if [0, 1, 4, 5, 6]
        .iter()
        .any(|column| fields[*column].is_empty())
    {
        return Some("missing_required");
    }
    for (column, negative, far, low, high) in [
        (4, "negative_price", "price_out_of_range", 5.0, 500.0),
        (5, "negative_quantity", "quantity_out_of_range", 1.0, 5.0),
    ] {
        match fields[column].parse::<f64>() {
            Err(_) => return Some("unparsable_number"),
            Ok(value) if value < 0.0 => return Some(negative),
            Ok(value) if !(low..=high).contains(&value) => return Some(far),
            Ok(_) => {}
        }
    }
    for (column, known, unknown) in [
        (8, PAYMENT_METHODS, "unknown_payment_method"),
        (9, STATUSES, "unknown_status"),
    ] {
        let value = &fields[column];
        if !known.contains(&value.as_str()) {
            let repaired = value.trim().to_lowercase();
            let is_known = known.iter().any(|known| known.to_lowercase() == repaired);
            return Some(if is_known { "damaged_enum" } else { unknown });
        }
    }
    if !is_timestamp(&fields[6]) {
        return Some("unparsable_timestamp");
    }
    if !["True", "False"].contains(&fields[13].as_str()) {
        return Some("unparsable_boolean");
    }
    if line.contains('"') {
        return Some("quoted_comma");
    }
    let ranges = [(1, 1e5), (2, 1e4), (11, 10.0), (12, 5.0), (15, 1e3)];
    for (column, high) in ranges {
        assert!(is_number_in(&fields[column], 1.0, high), "{line}");
    }
    assert!(is_number_in(&fields[10], 0.0, 50.0), "{line}");
    assert!(CATEGORIES.contains(&fields[3].as_str()), "{line}");
    assert!(
        ["USD", "EUR", "GBP", "INR"].contains(&fields[14].as_str()),
        "{line}"
    );
    let location = fields[7].strip_prefix("Location_").unwrap_or_default();
    assert!(is_number_in(location, 1.0, 50.0), "{line}");
    None
}

#[tokio::test]
async fn labels_are_exactly_the_faults_of_the_raw_orders() -> TestResult {
    let (store, _) = generated(options(0.15, &["orders_raw", "orders_labels"])).await?;
    let labels = table(&store, "orders_labels").await?;
    let (ids, faults) = (labels.text("order_id"), labels.text("fault"));
    let rows = labels.numbers("row_no")?;
    let labels: HashMap<usize, (String, String)> = rows
        .into_iter()
        .map(|row| row as usize)
        .zip(ids.into_iter().zip(faults))
        .collect();

    let parts = files(&store, "data/orders_raw").await?;
    assert_eq!(parts.len(), 2);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut clean: HashMap<String, String> = HashMap::new();
    let mut row = 0;
    for bytes in parts.into_values() {
        let text = String::from_utf8(bytes)?;
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(text.as_bytes());
        for (record, line) in reader.records().zip(text.lines().skip(1)) {
            let record = record?;
            let fields: Vec<String> = record.iter().map(str::to_owned).collect();
            let found = match clean.get(&fields[0]) {
                Some(original) if original == line => Some("duplicate_row"),
                Some(original) => {
                    let original: Vec<&str> = original.split(',').collect();
                    assert!(fields[6].as_str() > original[6] && fields[9] != original[9]);
                    Some("duplicate_key")
                }
                None => fault_in(line, &fields),
            };
            let label = labels
                .get(&row)
                .map(|(id, fault)| (id.as_str(), fault.as_str()));
            assert_eq!(found, label.map(|label| label.1), "row {row}: {line}");
            if let (Some((id, fault)), false) = (label, fields[0].is_empty()) {
                assert_eq!(id, fields[0], "row {row}");
                *counts.entry(fault.to_owned()).or_default() += 1;
            }
            if found.is_none() {
                assert_eq!(fields[0], format!("ORD{:08}", row + 1));
                clean.insert(fields[0].clone(), line.to_owned());
            }
            row += 1;
        }
    }
    assert_eq!(row, 1_500_000);
    check_share("faults", labels.len(), row, RAW_FAULTS);
    assert_eq!(counts.len(), 16, "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn a_tenth_of_the_shop_values_is_damaged() -> TestResult {
    let (store, _) = generated(options(
        0.1,
        &["shop_customers", "shop_products", "shop_orders"],
    ))
    .await?;
    let feeds = [
        (
            "shop_customers",
            7,
            vec![
                (1, ""),
                (2, "invalid_email"),
                (3, ""),
                (4, "-1"),
                (5, ""),
                (6, ""),
            ],
        ),
        ("shop_products", 5, vec![]),
        ("shop_orders", 7, vec![(3, "-1"), (4, "-1"), (6, "")]),
    ];
    for (name, width, dirt) in feeds {
        let bytes = files(&store, &format!("data/{name}")).await?;
        let text = &bytes[&format!("data/{name}/part-00000.csv")];
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(&text[..]);
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
        assert!(rows.iter().all(|row| row.len() == width));
        for (column, damaged) in dirt {
            let hits = rows.iter().filter(|row| &row[column] == damaged).count();
            check_share(&format!("{name} {column}"), hits, rows.len(), SHOP_DIRT);
        }
        assert!(
            rows.iter()
                .zip(1..)
                .all(|(row, id)| row[0] == format!("{id}"))
        );
    }
    Ok(())
}

#[tokio::test]
async fn events_make_sessions_and_funnels() -> TestResult {
    let (store, _) = generated(options(0.2, &["events"])).await?;
    let events = table(&store, "events").await?;
    assert_eq!(events.len(), 200_000);
    assert!(events.numbers("event_id")?.into_iter().eq(1..=200_000));
    assert!(events.nulls("brand") > 0 && events.nulls("category_code") > 0);
    let (times, types) = (events.numbers("event_time")?, events.text("event_type"));
    let (products, users) = (events.text("product_id"), events.text("user_id"));
    let sessions = events.text("user_session");
    let mut rows: Vec<usize> = (0..events.len()).collect();
    rows.sort_by_key(|row| (&users[*row], times[*row], *row));
    // Half an hour of pause and a new session are the same thing.
    for pair in rows.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        if users[before] == users[after] {
            let is_pause = times[after] - times[before] >= 1_800_000_000;
            assert_eq!(is_pause, sessions[before] != sessions[after]);
        }
    }
    // Within a session a product is viewed before it is in the cart before it is bought.
    let mut done: HashSet<(&str, &str, &str)> = HashSet::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        let (session, product) = (sessions[row].as_str(), products[row].as_str());
        let needed = match types[row].as_str() {
            "purchase" => Some("cart"),
            "cart" => Some("view"),
            _ => None,
        };
        assert!(needed.is_none_or(|needed| done.contains(&(session, product, needed))));
        done.insert((session, product, &types[row]));
        *counts.entry(&types[row]).or_default() += 1;
    }
    assert!(
        counts["view"] > 3 * counts["cart"] && counts["cart"] > counts["purchase"],
        "{counts:?}"
    );
    assert!(counts["purchase"] > 1_000, "{counts:?}");
    Ok(())
}
