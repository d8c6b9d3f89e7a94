//! Whole scans of texts, against a reading of one line and one field at a time.

mod records;
mod types;

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int32Type, Int64Type, Schema};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::metrics::Count;
use datafusion::prelude::{SessionConfig, SessionContext};
use emporia_core::key_hash::{self, KeySet};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

use super::key_filter::KeyFilter;
use super::options::{DelimitedOptions, Empty, Records};
use super::reader::{DelimitedSource, Range};
use crate::files::TextFile;
use crate::files::partitions::FolderValues;
use crate::key_set::in_key_set;
use crate::split::SplitSource;

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;
/// The cells of rows as text.
type Rows = Vec<Vec<String>>;

/// Index of `_error` in the table.
const ERROR: usize = 6;

/// The table `name text, n int64, share decimal(18,2)`.
fn source(permissive: bool, projection: &[usize]) -> TestResult<DelimitedSource> {
    Ok(DelimitedSource {
        store: ObjectStoreUrl::parse("memory:///")?,
        options: DelimitedOptions {
            permissive,
            null: Some("-".to_owned()),
            records: Records::Lines,
            empty: Empty::Null,
            ..DelimitedOptions::default()
        },
        declared: Arc::new(Schema::new(vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
            Field::new("share", DataType::Decimal128(18, 2), true),
        ])),
        folders: Fields::empty(),
        projection: projection.to_vec(),
        estimated_rows: None,
        key_filter: None,
    })
}

/// The file as the store has it.
async fn listed(store: &Arc<dyn ObjectStore>, path: &str) -> TestResult<TextFile> {
    let meta = store.head(&Path::from(path)).await?;
    Ok(TextFile::new(&meta, FolderValues::default()))
}

/// The rows of the text, read in ranges that end at `cuts`.
async fn scan(
    source: &DelimitedSource,
    text: &[u8],
    cuts: &[u64],
    batch_size: usize,
) -> TestResult<RecordBatch> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    store
        .put(&Path::from("t.csv"), text.to_vec().into())
        .await?;
    let config = SessionConfig::new().with_batch_size(batch_size);
    let context = SessionContext::new_with_config(config);
    context.register_object_store(source.store.as_ref(), Arc::clone(&store));
    let file = listed(&store, "t.csv").await?;
    let size = file.size();
    let mut ends: Vec<u64> = cuts
        .iter()
        .map(|at| at % (size + 1))
        .chain([size])
        .collect();
    ends.sort_unstable();
    let mut batches = Vec::new();
    let mut start = 0;
    for end in ends {
        if start == end {
            continue;
        }
        let range = Range {
            file: file.clone(),
            start,
            end,
        };
        let range = serde_json::to_string(&range)?;
        let rows = source.open(&range, None, context.task_ctx(), &Count::new())?;
        batches.extend(rows.try_collect::<Vec<_>>().await?);
        start = end;
    }
    assert!(batches.iter().all(|b| b.num_rows() <= batch_size));
    Ok(concat_batches(&source.schema(), &batches)?)
}

fn shown(rows: &RecordBatch) -> TestResult<Rows> {
    let row = |row: usize| -> TestResult<Vec<String>> {
        let cells = rows.columns().iter().map(|column| {
            Ok(match column.is_null(row) {
                true => "null".to_owned(),
                false => array_value_to_string(column, row)?,
            })
        });
        cells.collect()
    };
    (0..rows.num_rows()).map(row).collect()
}

/// Name, number, share, text and fault of a line.
fn reference(line: &str) -> Vec<String> {
    let null = || "null".to_owned();
    let mut row = vec![null(), null(), null(), line.to_owned(), null()];
    let dialect = DelimitedOptions::default().dialect("t.csv");
    let fields = match super::fields::texts(line, &dialect) {
        None => {
            row[4] = "quote".to_owned();
            return row;
        }
        Some(fields) if fields.len() != 3 => {
            row[4] = "field_count".to_owned();
            return row;
        }
        Some(fields) => fields.into_iter().map(|(text, _)| text).collect::<Vec<_>>(),
    };
    let is_null = |text: &str| text.is_empty() || text == "-";
    if !is_null(&fields[0]) {
        row[0].clone_from(&fields[0]);
    }
    let number: Option<i64> = fields[1].parse().ok();
    let share = super::parse::decimal(fields[2].as_bytes(), 18, 2);
    match number {
        Some(number) => row[1] = number.to_string(),
        None if is_null(&fields[1]) => {}
        None => row[4] = "parse:n".to_owned(),
    }
    match share {
        Some(share) => row[2] = format!("{:.2}", share as f64 / 100.0),
        None if is_null(&fields[2]) || row[4] != "null" => {}
        None => row[4] = "parse:share".to_owned(),
    }
    row
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{0,20}",
        4 => "[0-9]{1,6}",
        3 => "[0-9]{1,4}\\.[0-9]{1,3}",
        1 => Just("-".to_owned()),
        1 => Just("naïve ✓".to_owned()),
        1 => "\"[a,\"]{0,4}\"",
        1 => "[\"x]{1,3}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::collection::vec(field(), 3),
        1 => prop::collection::vec(field(), 0..6),
    ]
    .prop_map(|fields| fields.join(","))
}

proptest! {
    #[test]
    fn scans_give_what_a_reading_line_by_line_gives(
        lines in prop::collection::vec((line(), prop::bool::ANY), 0..60),
        cuts in prop::collection::vec(any::<u64>(), 0..4),
        batch_size in 1_usize..20,
        is_closed in prop::bool::ANY,
    ) {
        let mut text = "name,n,share\n".to_owned();
        for (line, is_dos) in &lines {
            text.push_str(line);
            text.push_str(if *is_dos { "\r\n" } else { "\n" });
        }
        if !is_closed {
            text.pop();
        }
        let check = || -> TestResult<(Rows, Rows)> {
            let source = source(true, &[0, 1, 2, 3, ERROR])?;
            let runtime = tokio::runtime::Runtime::new()?;
            let rows = runtime.block_on(scan(&source, text.as_bytes(), &cuts, batch_size))?;
            let lines = text.lines().skip(1).map(|line| line.trim_end_matches('\r'));
            let lines = lines.filter(|line| !line.is_empty());
            Ok((shown(&rows)?, lines.map(reference).collect()))
        };
        let (found, expected) = check().map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_line_that_is_no_text_is_set_aside_alone() -> TestResult {
    let text = b"name,n,share\nab,1,1.00\n\xff,2,2.00\n\"c\"\"d\",3,3.00\n";
    let rows = scan(&source(true, &[0, 3, ERROR, 5])?, text, &[], 8).await?;
    let expected = [
        ["ab", "ab,1,1.00", "null", "13"],
        ["null", "\u{fffd},2,2.00", "encoding", "23"],
        ["c\"d", "\"c\"\"d\",3,3.00", "null", "32"],
    ];
    assert_eq!(shown(&rows)?, expected);
    Ok(())
}

#[tokio::test]
async fn the_first_bad_line_fails_a_strict_scan() -> TestResult {
    let text = b"name,n,share\na,1,1.00\nb,two,x\nc,3\n";
    let error = scan(&source(false, &[1, 2])?, text, &[], 8).await;
    let error = error.err().ok_or("it did not fail")?.to_string();
    assert!(
        error.contains("the record at line 3, byte 22 of `memory:///t.csv`"),
        "{error}"
    );
    assert!(
        error.contains("column `n` is not Int64: `b,two,x`"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn only_lines_with_a_key_of_the_set_are_read() -> TestResult {
    let mut source = source(true, &[1, ERROR])?;
    let hashes = ["a", "c", ""].map(key_hash::of_text);
    let hash = datafusion::logical_expr::ScalarUDF::from(KeyHashStub::new());
    let hash = hash.call(vec![datafusion::prelude::ident("name")]);
    let filter = in_key_set(KeySet::of(hashes.to_vec()))
        .call(vec![hash])
        .is_true();
    source.key_filter = KeyFilter::of(&filter, &source.declared);
    let decoded = DelimitedSource::decode(&source.encode()?)?;
    let text = b"name,n,share\na,1,1.00\nb,2,1.00\n\"c\",x,1.00\n,4,1.00\na,5\na,6,1.00\n";
    for batch_size in [1, 8] {
        let rows = scan(&decoded, text, &[30], batch_size).await?;
        let numbers: Vec<_> = rows.column(0).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(numbers, [Some(1), None, Some(6)]);
        assert_eq!(rows.column(1).as_string::<i32>().value(1), "parse:n");
    }
    Ok(())
}

#[tokio::test]
async fn smaller_integers_do_not_wrap() -> TestResult {
    let mut source = source(true, &[1])?;
    let fields = ["name", "n", "share"].map(|name| Field::new(name, DataType::Int32, true));
    source.declared = Arc::new(Schema::new(fields.to_vec()));
    let text = b"name,n,share\n1,2147483647,1\n1,2147483648,1\n1,-5,1\n";
    let rows = scan(&source, text, &[], 8).await?;
    let numbers: Vec<_> = rows.column(0).as_primitive::<Int32Type>().iter().collect();
    assert_eq!(numbers, [Some(i32::MAX), None, Some(-5)]);
    Ok(())
}

/// A function with the name of the engine's `key_hash`: the scan knows it by its name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct KeyHashStub(datafusion::logical_expr::Signature);

impl KeyHashStub {
    fn new() -> Self {
        use datafusion::logical_expr::{Signature, Volatility};
        Self(Signature::any(1, Volatility::Immutable))
    }
}

impl datafusion::logical_expr::ScalarUDFImpl for KeyHashStub {
    fn name(&self) -> &'static str {
        "key_hash"
    }

    fn signature(&self) -> &datafusion::logical_expr::Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> datafusion::common::Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(
        &self,
        _: datafusion::logical_expr::ScalarFunctionArgs,
    ) -> datafusion::common::Result<datafusion::logical_expr::ColumnarValue> {
        datafusion::common::not_impl_err!("only its name is looked at")
    }
}
