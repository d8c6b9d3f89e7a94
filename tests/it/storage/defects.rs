//! Defects of published projects that loaded files into HBase (`docs/defects.md`).

use super::workplace::Workplace;

/// The order feed, its columns in another order than the table of HBase declares them.
const FEED: &str = "\
order_id,customer_id,product_id,status,user_rating,payment_method,is_prime,delivery_time
ORD1,7,31,Shipped,5,Credit Card,True,3
ORD2,8,32,Delivered,1,PayPal,False,9
";

const CATALOG: &str = r#"
[tables.feed]
connector = "csv"
location = "feed.csv"
columns = ["order_id string", "customer_id int64", "product_id int64", "payment_method string", "status string", "user_rating int32", "is_prime boolean", "delivery_time int32"]

[tables.orders]
connector = "hbase"
location = "hbase:defects_{id}"
columns = ["order_id string", "product_id int64", "payment_method string", "status string", "user_rating int32", "is_prime boolean", "delivery_time int32"]

[tables.orders.options]
key = "order_id"
family = "info"
presence = "info:_"
"column.product_id" = "product:id"
"#;

fn loaded() -> Option<Workplace> {
    let place = Workplace::open()?;
    place.write("feed.csv", FEED);
    place.catalog(CATALOG);
    place.writes(
        "INSERT INTO orders SELECT order_id, product_id, payment_method, status, user_rating, \
         is_prime, delivery_time FROM feed",
    );
    Some(place)
}

#[test]
fn d1_columns_of_a_feed_are_found_by_name() {
    let Some(place) = loaded() else { return };
    let rows = place.rows(
        "SELECT order_id, payment_method, status, user_rating, is_prime, delivery_time \
         FROM orders ORDER BY order_id",
    );
    let expected = [
        "ORD1,Credit Card,Shipped,5,true,3",
        "ORD2,PayPal,Delivered,1,false,9",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn d3_the_header_is_no_row_of_hbase() {
    let Some(place) = loaded() else { return };
    assert_eq!(place.value("SELECT count(*) FROM orders"), "2");
    let header = "SELECT count(*) FROM orders WHERE order_id = 'order_id'";
    assert_eq!(place.value(header), "0");
}

#[test]
fn d6_a_column_of_another_family_is_found_by_its_name() {
    let Some(place) = loaded() else { return };
    let rows = place.rows("SELECT product_id FROM orders ORDER BY order_id");
    assert_eq!(rows, ["31", "32"]);
}

#[test]
fn d7_a_column_that_the_mapping_lacks_is_an_error() {
    let Some(place) = loaded() else { return };
    let words = ["customer_id", "orders"];
    place.refuses("SELECT sum(customer_id) FROM orders", 3, &words);
}
