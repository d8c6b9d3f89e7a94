//! Unit tests of `cleaning`.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use emporia_core::contract;

use super::*;
use crate::testing::{frame, lines, parse, register, session};

/// A table as permissive reading makes it: the contract's columns and the four added ones. Each line
/// ends with `raw,source,position,error`.
fn raw_table(session: &Session, name: &str, rows: &str) {
    let contract = contract::schema(name).expect("a table of the contract");
    let mut fields: Vec<Arc<Field>> = contract.fields().iter().map(Arc::clone).collect();
    for (name, data_type) in [
        ("_raw", DataType::Utf8),
        ("_source", DataType::Utf8),
        ("_position", DataType::Int64),
        ("_error", DataType::Utf8),
    ] {
        fields.push(Arc::new(Field::new(name, data_type, true)));
    }
    register(session, name, parse(Arc::new(Schema::new(fields)), rows));
}

async fn clean(session: &Session, set: &str, table: &str, skip: &[&str]) -> JobRun {
    let set = sets::find(set).expect("a rule set");
    let skip: Vec<String> = skip.iter().map(|s| (*s).to_owned()).collect();
    let mut run = run(session, set, table, &skip).await.expect("a run");
    run.settle(session).await.expect("the counters");
    run
}

/// Rows of the rules that any row breaks, and the totals.
async fn counters(run: &JobRun) -> Vec<String> {
    let rows = lines(frame(run, "cleaning_counters"), &["rule_id", "rows"]).await;
    rows.into_iter()
        .filter(|row| !row.ends_with(" 0"))
        .collect()
}

// One fault per order, by its number; the prefix of each line is the order, its end the place.
const ORDERS: &str = "
    ORD1,1,1,Books,10.00,1,2024-05-01T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1,l1,f,0,
    ORD2,1,1,Books,-1.00,1,2024-05-01T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1,l2,f,10,
    ORD3,1,1,Books,,1,2024-05-01T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1,l3,f,20,parse:price
    ORD4,1,1,Food,10.00,1,2024-05-01T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1,l4,f,30,
    ORD5,1,1,Books,10.00,1,2024-05-01T00:00:00Z,L,PayPal,Shipped,0.00,3,9,true,USD,1,l5,f,40,
    ,1,1,Books,10.00,1,2024-05-01T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1,l6,f,50,
    ,,,,,,,,,,,,,,,,l7,f,60,field_count
    ORD8,1,1,Books,10.00,1,2024-05-01T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1,old8,f,70,
    ORD8,1,1,Books,11.00,1,2024-05-02T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1,new8,f,80,
    ORD8,1,1,Books,-3.00,1,2024-05-03T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1,bad8,f,90,
    ORD1,1,1,Books,10.00,1,2024-05-01T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1,l1,f,100,
    ORD9,1,1,Books,1.00,1,2024-05-01T00:00:00Z,L,PayPal,Shipped,0.00,3,,true,USD,1,a9,g,0,parse:user_rating
    ORD9,1,1,Books,2.00,1,2024-05-01T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1,b9,g,10,";

#[tokio::test]
async fn every_row_is_trusted_rejected_or_dropped() {
    let session = session();
    raw_table(&session, "orders_raw", ORDERS);
    let run = clean(&session, "flat_orders", "orders_raw", &[]).await;
    let orders = lines(
        frame(&run, "orders"),
        &["order_id", "price", "user_rating", "flags"],
    )
    .await;
    let expected = [
        "ORD1 10.00 5 -",
        "ORD5 10.00 - rating_out_of_range",
        // The latest valid row, not the latest row.
        "ORD8 11.00 5 -",
        // A tie: the first one in the source.
        "ORD9 1.00 - parse:user_rating",
    ];
    assert_eq!(orders, expected);
    let rejects = lines(
        frame(&run, "rejects"),
        &["rule_id", "raw", "source", "position"],
    )
    .await;
    let expected = [
        "category_unknown l4 f 30",
        "duplicate_key b9 g 10",
        "duplicate_key old8 f 70",
        "field_count l7 f 60",
        "order_id_missing l6 f 50",
        "parse:price l3 f 20",
        "price_not_positive bad8 f 90",
        "price_not_positive l2 f 10",
    ];
    assert_eq!(rejects, expected);
    let expected = [
        "category_unknown 1",
        "dropped 1",
        "duplicate_key 2",
        "exact_duplicate 1",
        "field_count 1",
        "order_id_missing 1",
        "parse:price 1",
        "parse:user_rating 1",
        "price_not_positive 2",
        "quarantined 8",
        "rating_out_of_range 1",
        "rows_in 13",
        "rows_out 4",
    ];
    assert_eq!(counters(&run).await, expected);
    assert!(matches!(
        run.checks[..],
        [Check::SplitBalances { rows_in: 13 }]
    ));
}

#[tokio::test]
async fn rules_can_be_skipped_by_name_only() {
    let session = session();
    raw_table(&session, "orders_raw", ORDERS);
    let skip = ["category_unknown", "duplicate_key", "exact_duplicate"];
    let run = clean(&session, "flat_orders", "orders_raw", &skip).await;
    let orders = lines(frame(&run, "orders"), &["order_id"]).await;
    assert_eq!(
        orders,
        [
            "ORD1", "ORD1", "ORD4", "ORD5", "ORD8", "ORD8", "ORD9", "ORD9"
        ]
    );
    let set = sets::find("flat_orders").expect("a set");
    let skip = ["categry_unknown".to_owned()];
    let error = super::run(&session, set, "orders_raw", &skip)
        .await
        .err()
        .expect("an error");
    assert_eq!(error.hint(), Some("did you mean `category_unknown`?"));
}

/// The trusted rows of a run as a table without places, as it would be read from Parquet.
async fn trusted(run: &JobRun, name: &str) -> RecordBatch {
    let frame = frame(run, name);
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await.expect("rows");
    concat_batches(&schema, &batches).expect("a batch")
}

#[tokio::test]
async fn d11_cleaning_twice_changes_and_doubles_nothing() {
    let session = session();
    raw_table(&session, "orders_raw", ORDERS);
    let columns = ["order_id", "price", "user_rating", "flags"];
    let first = clean(&session, "flat_orders", "orders_raw", &[]).await;
    register(&session, "orders", trusted(&first, "orders").await);
    let second = clean(&session, "flat_orders", "orders", &[]).await;
    let (once, twice) = (frame(&first, "orders"), frame(&second, "orders"));
    assert_eq!(lines(once, &columns).await, lines(twice, &columns).await);
    assert!(
        lines(frame(&second, "rejects"), &["rule_id"])
            .await
            .is_empty()
    );
    // Reading the same rows from two runs together leaves each of them once.
    let rows = trusted(&first, "orders").await;
    let both = concat_batches(&rows.schema(), [&rows, &rows]);
    register(&session, "appended", both.expect("a batch"));
    let third = clean(&session, "flat_orders", "appended", &[]).await;
    assert_eq!(
        lines(frame(&third, "orders"), &columns).await,
        lines(frame(&first, "orders"), &columns).await
    );
    let expected = ["dropped 4", "exact_duplicate 4", "rows_in 8", "rows_out 4"];
    assert_eq!(counters(&third).await, expected);
}

#[tokio::test]
async fn a_table_without_places_keeps_the_latest_row_of_a_key() {
    let session = session();
    let schema = contract::schema("orders_raw").expect("a table");
    let rows = "
        ORD1,1,1,Books,10.00,1,2024-05-01T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1
        ORD1,1,1,Books,11.00,1,2024-05-02T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1
        ORD1,1,1,Books,12.00,0,2024-05-03T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1
        ORD2,1,1,Books,13.00,1,2024-05-03T00:00:00Z,L,PayPal,Shipped,0.00,3,5,true,USD,1";
    register(&session, "orders_raw", parse(schema, rows));
    let run = clean(&session, "flat_orders", "orders_raw", &[]).await;
    assert_eq!(
        lines(frame(&run, "orders"), &["order_id", "price"]).await,
        ["ORD1 11.00", "ORD2 13.00"]
    );
    let rejects = lines(frame(&run, "rejects"), &["rule_id", "position", "raw"]).await;
    assert_eq!(rejects.len(), 2);
    assert!(
        rejects[0].starts_with("duplicate_key - order_id=ORD1,customer_id=1,"),
        "{rejects:?}"
    );
    assert!(
        rejects[1].starts_with("quantity_not_positive - "),
        "{rejects:?}"
    );
}

#[tokio::test]
async fn d8_an_unknown_age_is_null_and_not_zero() {
    let session = session();
    raw_table(
        &session,
        "shop_customers",
        "
        1,Ann,a@b.c,5551234567,-1,F,Boston,r1,f,0,
        2,None,invalid_email,,30,,,r2,f,10,
        3,Bob,b@b.c,5551234567,,M,Boston,r3,f,20,parse:age
        ,Cid,c@b.c,5551234567,40,M,Boston,r4,f,30,parse:customer_id",
    );
    let run = clean(&session, "shop_customers", "shop_customers", &[]).await;
    let columns = [
        "customer_id",
        "name",
        "email",
        "age",
        "gender",
        "location",
        "flags",
    ];
    let rows = lines(frame(&run, "shop_customers_clean"), &columns).await;
    let expected = [
        "1 Ann a@b.c - F Boston age_out_of_range",
        "2 Unnamed Unknown 30 O Unknown name_missing,email_invalid,gender_unknown,location_missing",
        "3 Bob b@b.c - M Boston parse:age",
    ];
    assert_eq!(rows, expected);
    assert_eq!(
        lines(frame(&run, "rejects"), &["rule_id"]).await,
        ["parse:customer_id"]
    );
    register(
        &session,
        "again",
        trusted(&run, "shop_customers_clean").await,
    );
    let twice = clean(&session, "shop_customers", "again", &[]).await;
    assert_eq!(
        lines(frame(&twice, "shop_customers_clean"), &columns).await,
        expected
    );
}

#[tokio::test]
async fn d11_a_missing_amount_is_not_its_absolute_value() {
    let session = session();
    raw_table(
        &session,
        "shop_products",
        "
        1,Shoe,Shoes,50.00,3,r1,f,0,
        2,Hat,Clothing,-1.00,3,r2,f,10,",
    );
    let products = clean(&session, "shop_products", "shop_products", &[]).await;
    let rows = lines(
        frame(&products, "shop_products_clean"),
        &["product_id", "price", "flags"],
    )
    .await;
    assert_eq!(rows, ["1 50.00 -", "2 - price_invalid"]);
    raw_table(
        &session,
        "shop_customers",
        "7,Ann,a@b.c,5551234567,30,F,Boston,r1,f,0,",
    );
    raw_table(
        &session,
        "shop_orders",
        "
        1,7,1,2,-1.00,2020-01-01,Cash,o1,f,0,
        2,7,1,-1,120.00,2020-01-01,,o2,f,10,
        3,7,2,2,-1.00,2020-01-01,Cash,o3,f,20,
        4,8,1,2,10.00,2020-01-01,Cash,o4,f,30,
        5,7,3,2,10.00,2020-01-01,Cash,o5,f,40,
        1,7,1,3,90.00,2020-01-01,Cash,o6,f,50,",
    );
    let run = clean(&session, "shop_orders", "shop_orders", &[]).await;
    let columns = [
        "order_id",
        "quantity",
        "total_amount",
        "payment_method",
        "flags",
    ];
    let rows = lines(frame(&run, "shop_orders_clean"), &columns).await;
    // Without a time the row that comes last is the latest.
    let expected = [
        "1 3 90.00 Cash -",
        "2 3 120.00 Cash quantity_from_amount,payment_defaulted",
    ];
    assert_eq!(rows, expected);
    let rejects = lines(frame(&run, "rejects"), &["rule_id", "raw"]).await;
    let expected = [
        "amount_missing o3",
        "customer_unknown o4",
        "duplicate_key o1",
        "product_unknown o5",
    ];
    assert_eq!(rejects, expected);
}

#[tokio::test]
async fn online_retail_keeps_sales_of_known_customers_once() {
    let session = session();
    let fields = [
        ("InvoiceNo", DataType::Utf8),
        ("StockCode", DataType::Utf8),
        ("Description", DataType::Utf8),
        ("Quantity", DataType::Int32),
        ("InvoiceDate", contract::timestamp()),
        ("UnitPrice", DataType::Decimal128(18, 3)),
        ("CustomerID", DataType::Utf8),
        ("Country", DataType::Utf8),
        ("_raw", DataType::Utf8),
        ("_source", DataType::Utf8),
        ("_position", DataType::Int64),
        ("_error", DataType::Utf8),
    ];
    let fields: Vec<Field> = fields
        .into_iter()
        .map(|(n, t)| Field::new(n, t, true))
        .collect();
    let rows = "
        1,A,LAMP,6,2010-12-01T08:26:00Z,2.550,17850.0,UK,x,f,0,
        1,A,LAMP,6,2010-12-01T08:26:00Z,2.550,17850.0,UK,x,f,10,
        1,A,LAMP,6,2010-12-01T08:26:00Z,2.550,17850.0,UK,x,f,20,
        C2,A,LAMP,-6,2010-12-01T08:26:00Z,2.550,17850.0,UK,y,f,30,
        3,A,LAMP,6,2010-12-01T08:26:00Z,0.000,17850.0,UK,z,f,40,
        4,A,LAMP,6,2010-12-01T08:26:00Z,2.550,,UK,w,f,50,";
    register(
        &session,
        "online_retail",
        parse(Arc::new(Schema::new(fields)), rows),
    );
    let run = clean(&session, "online_retail", "online_retail", &[]).await;
    let rows = lines(
        frame(&run, "online_retail_clean"),
        &["invoice_no", "unit_price"],
    )
    .await;
    assert_eq!(rows, ["1 2.550"]);
    let run = clean(
        &session,
        "online_retail",
        "online_retail",
        &["exact_duplicate"],
    )
    .await;
    assert_eq!(
        lines(frame(&run, "online_retail_clean"), &["invoice_no"]).await,
        ["1", "1", "1"]
    );
}

#[test]
fn every_rule_is_documented() {
    let job = Cleaning::new();
    for set in sets::ALL {
        for rule in set.rules {
            assert!(
                job.spec().docs.contains(&format!("`{}`", rule.id)),
                "{}",
                rule.id
            );
        }
    }
}
