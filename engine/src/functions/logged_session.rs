//! `logged_session(line, place)`: a session as web servers log it, one JSON object in a line.
//!
//! ```text
//! {"session_id": "sess_1", "user_id": "user_1", "start_time": "2025-01-02T03:04:05",
//!  "end_time": "2025-01-02T03:24:05", "duration_seconds": 1200,
//!  "geo_data": {"city": "Oslo", "state": null, "country": "NO", "ip_address": "198.51.100.7"},
//!  "device_profile": {"type": "mobile", "os": "iOS", "browser": "Safari"},
//!  "viewed_products": ["prod_1"],
//!  "page_views": [{"timestamp": "2025-01-02T03:04:05", "page_type": "product_detail",
//!                  "product_id": "prod_1", "category_id": "cat_1", "view_duration": 30}],
//!  "cart_contents": {"prod_1": {"quantity": 2, "price": 12.5}},
//!  "conversion_status": "abandoned", "referrer": "direct"}
//! ```
//!
//! Times without a zone are UTC. Members that are not named here are passed over.

use std::fmt;
use std::sync::Arc;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::json::ReaderBuilder;
use datafusion::arrow::array::{ArrayRef, AsArray, StructArray, new_empty_array};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use emporia_core::contract;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Field of the result that says what is wrong with the line.
const FAULT: &str = "fault";

/// `logged_session(line, place)`: a struct of the columns of the contract's sessions, of
/// `page_views` and of `fault`. Where `place` is given, a line that is no session is an error that
/// names it; without, its `fault` says why, and all else is null. A null line is no session.
pub(super) fn logged_session() -> ScalarUDF {
    let arguments = vec![DataType::Utf8, DataType::Utf8];
    ScalarUDF::from(LoggedSession {
        signature: Signature::exact(arguments, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LoggedSession {
    signature: Signature,
}

impl ScalarUDFImpl for LoggedSession {
    fn name(&self) -> &'static str {
        "logged_session"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [lines, places] = &arrays[..] else {
            return exec_err!("logged_session takes two arguments");
        };
        let places = places.as_string::<i32>().iter();
        let rows = lines.as_string::<i32>().iter().zip(places);
        let rows = rows.map(|(line, place)| match (read(line), place) {
            (Ok(row), _) => Ok(row),
            (Err(fault), Some(place)) => exec_err!("{place} is not a session: {fault}"),
            (Err(fault), None) => Ok(Row {
                fault: Some(fault),
                ..Row::default()
            }),
        });
        let rows: Vec<Row> = rows.collect::<Result<_>>()?;
        let table = to_array(&rows)
            .map_err(|e| exec_datafusion_err!("sessions did not become columns: {e}"))?;
        Ok(ColumnarValue::Array(table))
    }
}

fn to_array(rows: &[Row]) -> arrow::error::Result<ArrayRef> {
    let fields = fields();
    let schema = Arc::new(Schema::new(fields.clone()));
    let mut decoder = ReaderBuilder::new(schema).build_decoder()?;
    decoder.serialize(rows)?;
    Ok(match decoder.flush()? {
        Some(batch) => Arc::new(StructArray::from(batch)),
        None => new_empty_array(&DataType::Struct(fields)),
    })
}

fn fields() -> Fields {
    let columns = |table: &str| contract::schema(table).into_iter();
    let columns =
        |table| columns(table).flat_map(|s| s.fields().iter().cloned().collect::<Vec<_>>());
    let view = columns("page_views").filter(|f| f.name() != "session_id");
    let view = DataType::Struct(view.collect());
    let views = DataType::List(Arc::new(Field::new("item", view, true)));
    columns("sessions")
        .map(|f| f.as_ref().clone().with_nullable(true))
        .chain([
            Field::new("page_views", views, true),
            Field::new(FAULT, DataType::Utf8, true),
        ])
        .collect()
}

/// What a line says.
#[derive(Deserialize)]
struct Line {
    session_id: String,
    user_id: String,
    start_time: String,
    end_time: String,
    duration_seconds: i32,
    #[serde(default)]
    geo_data: Option<Geo>,
    #[serde(default)]
    device_profile: Option<Device>,
    #[serde(default)]
    viewed_products: Option<Vec<Option<String>>>,
    #[serde(default)]
    page_views: Option<Vec<LoggedView>>,
    #[serde(default)]
    cart_contents: Option<Cart>,
    conversion_status: String,
    #[serde(default)]
    referrer: Option<String>,
}

#[derive(Default, Deserialize)]
struct Geo {
    city: Option<String>,
    state: Option<String>,
    country: Option<String>,
    ip_address: Option<String>,
}

#[derive(Default, Deserialize)]
struct Device {
    #[serde(rename = "type")]
    device_type: Option<String>,
    os: Option<String>,
    browser: Option<String>,
}

#[derive(Deserialize)]
struct LoggedView {
    timestamp: String,
    page_type: String,
    #[serde(default)]
    product_id: Option<String>,
    #[serde(default)]
    category_id: Option<String>,
    view_duration: i32,
}

#[derive(Deserialize)]
struct Item {
    quantity: i32,
    price: Value,
}

/// An object whose members keep their order; one that comes twice is kept twice.
struct Cart(Vec<(String, Item)>);

impl<'de> Deserialize<'de> for Cart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Cart;

            fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
                text.write_str("an object of products")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cart, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = map.next_entry()? {
                    items.push(item);
                }
                Ok(Cart(items))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A row of the result, by the names of its columns.
#[derive(Default, Serialize)]
struct Row {
    session_id: Option<String>,
    user_id: Option<String>,
    start_ts: Option<i64>,
    end_ts: Option<i64>,
    duration_seconds: Option<i32>,
    city: Option<String>,
    state: Option<String>,
    country: Option<String>,
    ip_address: Option<String>,
    device_type: Option<String>,
    os: Option<String>,
    browser: Option<String>,
    viewed_products: Option<Vec<Option<String>>>,
    cart: Option<Vec<CartRow>>,
    conversion_status: Option<String>,
    referrer: Option<String>,
    page_views: Option<Vec<ViewRow>>,
    fault: Option<String>,
}

#[derive(Serialize)]
struct CartRow {
    product_id: String,
    quantity: i32,
    price: String,
}

#[derive(Serialize)]
struct ViewRow {
    seq: i32,
    ts: i64,
    page_type: String,
    product_id: Option<String>,
    category_id: Option<String>,
    view_duration: i32,
}

fn read(line: Option<&str>) -> Result<Row, String> {
    let line = line.ok_or("it is not UTF-8 text")?;
    // A list of the members' values would do too.
    if !line.trim_start().starts_with('{') {
        return Err("it is not a JSON object".to_owned());
    }
    let line: Line = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let geo = line.geo_data.unwrap_or_default();
    let device = line.device_profile.unwrap_or_default();
    let cart = line.cart_contents.map(|Cart(items)| {
        let rows = items.into_iter().map(|(product_id, item)| {
            let price = amount(&item.price).ok_or_else(|| {
                format!("price `{}` of `{product_id}` is not an amount", item.price)
            })?;
            Ok(CartRow {
                product_id,
                quantity: item.quantity,
                price,
            })
        });
        rows.collect::<Result<_, String>>()
    });
    let views = line.page_views.map(|views| {
        let rows = views.into_iter().zip(1..).map(|(view, seq)| {
            Ok(ViewRow {
                seq,
                ts: instant("timestamp", &view.timestamp)?,
                page_type: view.page_type,
                product_id: view.product_id,
                category_id: view.category_id,
                view_duration: view.view_duration,
            })
        });
        rows.collect::<Result<_, String>>()
    });
    Ok(Row {
        session_id: Some(line.session_id),
        user_id: Some(line.user_id),
        start_ts: Some(instant("start_time", &line.start_time)?),
        end_ts: Some(instant("end_time", &line.end_time)?),
        duration_seconds: Some(line.duration_seconds),
        city: geo.city,
        state: geo.state,
        country: geo.country,
        ip_address: geo.ip_address,
        device_type: device.device_type,
        os: device.os,
        browser: device.browser,
        viewed_products: line.viewed_products,
        cart: cart.transpose()?,
        conversion_status: Some(line.conversion_status),
        referrer: line.referrer,
        page_views: views.transpose()?,
        fault: None,
    })
}

/// Microseconds since 1970.
fn instant(name: &str, text: &str) -> Result<i64, String> {
    let nanos =
        string_to_timestamp_nanos(text).map_err(|_| format!("{name} `{text}` is not a time"))?;
    match nanos % 1000 {
        0 => Ok(nanos / 1000),
        _ => Err(format!("{name} `{text}` is finer than a microsecond")),
    }
}

/// An amount of money, which has two decimals at most: a rounded price would be a wrong one.
fn amount(value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let (whole, cents) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    // As many as Decimal128(18, 2) has before the point.
    let fits = (1..=16).contains(&whole.len()) && cents.trim_end_matches('0').len() <= 2;
    (is_number(whole) && is_number(cents) && fits).then_some(text)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringArray;
    use datafusion::arrow::util::pretty::pretty_format_columns;
    use datafusion::common::ScalarValue;
    use datafusion::common::config::ConfigOptions;

    use super::*;

    const WHOLE: &str = r#"{"session_id": "s1", "user_id": "u1", "start_time": "2025-01-02T03:04:05.5",
        "end_time": "2025-01-02T04:04:05+01:00", "duration_seconds": 1200, "extra": [1],
        "geo_data": {"city": "Oslo", "state": null, "country": "NO", "ip_address": "198.51.100.7"},
        "device_profile": {"type": "mobile", "os": "iOS", "browser": "Safari"},
        "viewed_products": ["p1", "p2"],
        "page_views": [
            {"timestamp": "2025-01-02T03:04:05", "page_type": "home", "view_duration": 0},
            {"timestamp": "2025-01-02T03:04:05", "page_type": "product_detail", "product_id": "p1",
             "category_id": "c1", "view_duration": 30}],
        "cart_contents": {"p2": {"quantity": 2, "price": 12.5}, "p1": {"quantity": 1, "price": "0.10"}},
        "conversion_status": "abandoned", "referrer": "direct"}"#;
    const BARE: &str = r#"{"session_id": "s2", "user_id": "u1", "start_time": "2025-01-02 03:04:05Z",
        "end_time": "2025-01-02T03:04:05", "duration_seconds": 0, "conversion_status": "browsed",
        "cart_contents": {}, "page_views": []}"#;

    fn call(lines: &[Option<&str>], place: Option<&str>) -> Result<ArrayRef> {
        let function = logged_session();
        let return_type = function.return_type(&[])?;
        let lines: ArrayRef = Arc::new(StringArray::from(lines.to_vec()));
        let place = ScalarValue::Utf8(place.map(str::to_owned));
        let text = Arc::new(Field::new("text", DataType::Utf8, true));
        let result = function.invoke_with_args(ScalarFunctionArgs {
            number_rows: lines.len(),
            args: vec![ColumnarValue::Array(Arc::clone(&lines)), place.into()],
            arg_fields: vec![Arc::clone(&text), text],
            return_field: Arc::new(Field::new("session", return_type, true)),
            config_options: Arc::new(ConfigOptions::default()),
        })?;
        result.into_array(lines.len())
    }

    #[test]
    fn lines_become_columns() {
        let rows = call(&[Some(WHOLE), Some(BARE)], None).unwrap();
        let rows = rows.as_struct();
        let shown = rows
            .fields()
            .iter()
            .zip(rows.columns())
            .map(|(field, column)| {
                let shown = pretty_format_columns(field.name(), &[Arc::clone(column)]).unwrap();
                let shown = shown.to_string();
                let cells = shown.lines().skip(3).filter(|line| line.starts_with('|'));
                let cells: Vec<_> = cells
                    .map(|line| line.trim_matches(['|', ' ']).to_owned())
                    .collect();
                format!("{}: {}", field.name(), cells.join(" / "))
            });
        let shown: Vec<_> = shown.collect();
        assert_eq!(
            shown,
            [
                "session_id: s1 / s2",
                "user_id: u1 / u1",
                "start_ts: 2025-01-02T03:04:05.500Z / 2025-01-02T03:04:05Z",
                "end_ts: 2025-01-02T03:04:05Z / 2025-01-02T03:04:05Z",
                "duration_seconds: 1200 / 0",
                "city: Oslo / ",
                "state:  / ",
                "country: NO / ",
                "ip_address: 198.51.100.7 / ",
                "device_type: mobile / ",
                "os: iOS / ",
                "browser: Safari / ",
                "viewed_products: [p1, p2] / ",
                "cart: [{product_id: p2, quantity: 2, price: 12.50}, \
                 {product_id: p1, quantity: 1, price: 0.10}] / []",
                "conversion_status: abandoned / browsed",
                "referrer: direct / ",
                "page_views: [{seq: 1, ts: 2025-01-02T03:04:05Z, page_type: home, product_id: , \
                 category_id: , view_duration: 0}, {seq: 2, ts: 2025-01-02T03:04:05Z, \
                 page_type: product_detail, product_id: p1, category_id: c1, view_duration: 30}] / []",
                "fault:  / ",
            ]
        );
        assert_eq!(call(&[], None).unwrap().len(), 0);
    }

    #[test]
    fn what_is_no_session_says_why() {
        let check = |line: Option<&str>, fault: &str| {
            let rows = call(&[Some(BARE), line], None).unwrap();
            let faults = rows.as_struct().column_by_name(FAULT).unwrap();
            let text = faults.as_string::<i32>().value(1);
            assert!(text.contains(fault), "{text}");
            assert!(rows.as_struct().column(0).is_null(1));
            let error = call(&[line], Some("line 7")).unwrap_err().to_string();
            assert!(
                error.contains("line 7 is not a session") && error.contains(fault),
                "{error}"
            );
        };
        let with = |from: &str, to: &str| {
            assert!(WHOLE.contains(from));
            WHOLE.replace(from, to)
        };
        check(None, "not UTF-8 text");
        check(Some("[]"), "not a JSON object");
        check(Some(&WHOLE[..200]), "EOF");
        check(Some(&format!("{BARE} x")), "trailing characters");
        check(
            Some(&with("\"user_id\"", "\"user\"")),
            "missing field `user_id`",
        );
        check(Some(&with("1200", "1200.5")), "expected i32");
        check(
            Some(&with("T03:04:05.5", "T33:04:05")),
            "start_time `2025-01-02T33:04:05`",
        );
        check(
            Some(&with("05.5", "05.0000005")),
            "finer than a microsecond",
        );
        check(Some(&with("12.5", "12.505")), "price `12.505` of `p2`");
        check(Some(&with("12.5", "1e30")), "of `p2` is not an amount");
        check(Some(&with("12.5", "null")), "of `p2` is not an amount");
    }
}
