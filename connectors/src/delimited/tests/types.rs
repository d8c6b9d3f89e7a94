//! What is written reads back as the same rows, whatever the types and texts are.

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    Decimal256Array, DictionaryArray, Float32Array, Float64Array, Int8Array, Int64Array,
    LargeStringArray, StringArray, Time64NanosecondArray, TimestampMicrosecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array, new_null_array,
};
use datafusion::arrow::datatypes::{Int32Type, Schema, TimeUnit, i256};

use super::*;
use crate::delimited::{Empty, Style, check_columns, encode, header};

/// Reads what was written, cut in the middle.
async fn read_back(rows: &RecordBatch, style: &Style, name: &str) -> TestResult<RecordBatch> {
    let mut text = header(&rows.schema(), style);
    encode(rows, style, &mut text)?;
    let options = DelimitedOptions {
        empty: Empty::Text,
        null: Some(style.null.clone()).filter(|null| !null.is_empty()),
        ..DelimitedOptions::default()
    };
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    store
        .put(&Path::from(name), text.into_bytes().into())
        .await?;
    let root = ObjectStoreUrl::parse("memory:///")?;
    let context = SessionContext::new();
    context.register_object_store(root.as_ref(), Arc::clone(&store));
    let file = listed(&store, name).await?;
    let size = file.size();
    let schema = rows.schema();
    let source = DelimitedSource {
        store: root.clone(),
        options: options.clone(),
        declared: Arc::clone(&schema),
        folders: Fields::empty(),
        projection: (0..schema.fields().len()).collect(),
        estimated_rows: None,
        key_filter: None,
    };
    let table = crate::delimited::DelimitedTable::new(
        root,
        vec![file.clone()],
        options,
        schema,
        Fields::empty(),
    );
    let mut batches = Vec::new();
    for range in table
        .ranges(&store, &file, vec![size / 3, size / 2])
        .await?
    {
        let range = serde_json::to_string(&range)?;
        let found = source.open(&range, None, context.task_ctx(), &Count::new())?;
        batches.extend(found.try_collect::<Vec<_>>().await?);
    }
    Ok(concat_batches(&source.schema(), &batches)?)
}

fn batch(columns: Vec<ArrayRef>) -> TestResult<RecordBatch> {
    let fields: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(n, column)| Field::new(format!("c {n}"), column.data_type().clone(), true))
        .collect();
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

const LONG: i64 = 253_402_300_800;

fn every_type() -> TestResult<RecordBatch> {
    let texts = [
        "",
        "a",
        " b\t",
        "\"",
        "\r",
        "x\ny",
        "#",
        "NULL",
        "\u{feff}z",
        "é,ü",
        "\\",
        "'",
    ];
    let n = texts.len() + 1;
    let spread = |values: &[i64]| -> Vec<Option<i64>> {
        let values = values.iter().copied().map(Some).chain([None]).cycle();
        values.take(n).collect()
    };
    let times = [0, -1, 1, 1_700_000_000_123_456, -62_135_596_800_000_001];
    let decimals = [
        0_i128,
        -1,
        12_345,
        -99_999_999_999_999_999_999,
        10_i128.pow(37),
    ];
    let decimals = decimals
        .iter()
        .copied()
        .map(Some)
        .chain([None])
        .cycle()
        .take(n);
    let decimals: Vec<Option<i128>> = decimals.collect();
    let floats = [
        0.1,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        5e-324,
        f64::MAX,
        1e16,
    ];
    let floats = floats
        .iter()
        .copied()
        .map(Some)
        .chain([None])
        .cycle()
        .take(n);
    let floats: Vec<Option<f64>> = floats.collect();
    let texts: Vec<Option<&str>> = texts.iter().copied().map(Some).chain([None]).collect();
    let as_i32 = |v: Option<i64>| v.and_then(|v| i32::try_from(v).ok());
    let dictionary: DictionaryArray<Int32Type> = texts.iter().copied().collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(texts.clone())),
        Arc::new(LargeStringArray::from(texts.clone())),
        Arc::new(dictionary),
        Arc::new(BinaryArray::from(
            texts
                .iter()
                .map(|t| t.map(str::as_bytes))
                .collect::<Vec<_>>(),
        )),
        Arc::new(Int8Array::from_iter(
            spread(&[-128, 127, 0])
                .into_iter()
                .map(|v| v.and_then(|v| i8::try_from(v).ok())),
        )),
        Arc::new(Int64Array::from(spread(&[i64::MIN, i64::MAX, 0]))),
        Arc::new(UInt64Array::from_iter(
            spread(&[0, -1])
                .into_iter()
                .map(|v| v.map(i64::cast_unsigned)),
        )),
        Arc::new(Float64Array::from(floats.clone())),
        Arc::new(Float32Array::from_iter(
            floats.iter().map(|v| v.map(|v| v as f32)),
        )),
        Arc::new(BooleanArray::from_iter(
            spread(&[0, 1]).into_iter().map(|v| v.map(|v| v == 1)),
        )),
        Arc::new(Date32Array::from_iter(
            spread(&[0, -1, -800_000, 4_000_000, 19_000])
                .into_iter()
                .map(as_i32),
        )),
        Arc::new(Date64Array::from(spread(&[
            0,
            -1,
            86_400_000,
            LONG * 1_000,
        ]))),
        Arc::new(TimestampMicrosecondArray::from(spread(&times)).with_timezone("UTC")),
        Arc::new(TimestampMicrosecondArray::from(spread(&times)).with_timezone("+02:00")),
        Arc::new(TimestampNanosecondArray::from(spread(&[
            i64::MIN,
            i64::MAX,
            -1,
            1,
        ]))),
        Arc::new(TimestampSecondArray::from(spread(&[0, -1, LONG, -LONG]))),
        Arc::new(Time64NanosecondArray::from(spread(&[
            0,
            1,
            86_399_999_999_999,
        ]))),
        Arc::new(Decimal128Array::from(decimals.clone()).with_precision_and_scale(38, 10)?),
        Arc::new(Decimal128Array::from(decimals.clone()).with_precision_and_scale(38, 0)?),
        Arc::new(Decimal128Array::from(decimals.clone()).with_precision_and_scale(38, -3)?),
        Arc::new(
            Decimal256Array::from_iter(decimals.iter().map(|v| v.map(i256::from_i128)))
                .with_precision_and_scale(76, 20)?,
        ),
        new_null_array(&DataType::Null, n),
    ];
    batch(columns)
}

#[tokio::test]
async fn every_type_reads_back_as_it_was_written() -> TestResult {
    let rows = every_type()?;
    check_columns(&rows.schema())?;
    for (delimiter, name) in [(',', "t.csv"), ('\t', "t.tsv")] {
        for null in ["", "NULL"] {
            let style = Style {
                delimiter,
                null: null.to_owned(),
            };
            let found = read_back(&rows, &style, name).await?;
            for (n, (column, expected)) in found.columns().iter().zip(rows.columns()).enumerate() {
                assert_eq!(
                    column.to_data(),
                    expected.to_data(),
                    "{} {null}",
                    rows.schema().field(n)
                );
            }
            // Each alone as well: a null is then an empty line.
            for n in 0..rows.num_columns() {
                let single = rows.project(&[n])?;
                let found = read_back(&single, &style, name).await?;
                assert_eq!(found.column(0).to_data(), single.column(0).to_data());
            }
        }
    }
    Ok(())
}

#[test]
fn types_that_text_cannot_hold_are_refused_by_name() -> TestResult {
    let list = DataType::new_list(DataType::Int32, true);
    for refused in [list, DataType::Duration(TimeUnit::Second)] {
        let schema = Schema::new(vec![Field::new("tags", refused, true)]);
        let error = check_columns(&schema).err().ok_or("it was not refused")?;
        assert!(error.to_string().contains("column `tags`"), "{error}");
    }
    Ok(())
}

fn hostile() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        1 => Just(None),
        1 => Just(Some("NA".to_owned())),
        6 => "[ab ,;\"\\\\\r\n\t#é-]{0,6}".prop_map(Some),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn hostile_texts_read_back_as_they_were_written(
        rows in prop::collection::vec((hostile(), hostile()), 1..30),
        is_tsv in prop::bool::ANY,
        null in prop_oneof![Just(""), Just("NA")],
        is_single in prop::bool::ANY,
    ) {
        let check = || -> TestResult<(RecordBatch, RecordBatch)> {
            let (first, second): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let first: ArrayRef = Arc::new(StringArray::from(first));
            let second: ArrayRef = Arc::new(StringArray::from(second));
            let columns = if is_single { vec![first] } else { vec![first, second] };
            let rows = batch(columns)?;
            let style = Style {
                delimiter: if is_tsv { '\t' } else { ',' },
                null: null.to_owned(),
            };
            let name = if is_tsv { "t.tsv" } else { "t.csv" };
            let runtime = tokio::runtime::Runtime::new()?;
            let found = runtime.block_on(read_back(&rows, &style, name))?;
            Ok((found, rows))
        };
        let (found, expected) = check().map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(found, expected);
    }
}
