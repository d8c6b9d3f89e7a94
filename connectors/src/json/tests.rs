//! Whole tables: files in a store, read by queries, and rows that were written by Emporia itself.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    DurationMicrosecondArray, Float32Array, Float64Array, Int8Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, StructArray, Time64NanosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array, new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int32Type, IntervalUnit, Schema};
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::arrow::json::{ReaderBuilder, WriterBuilder};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::metrics::Count;
use datafusion::prelude::{SessionConfig, SessionContext};
use emporia_core::catalog::parse_type;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

use super::reader::Range;
use super::table::ranges;
use super::*;
use crate::files::ReadFault;
use crate::split::SplitSource;

type Rows = Vec<Vec<String>>;

/// A folder of files.
struct Shelf {
    store: Arc<dyn ObjectStore>,
    url: ObjectStoreUrl,
}

impl Shelf {
    async fn with(files: &[(&str, &[u8])]) -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for (name, bytes) in files {
            let path = Path::from(format!("t/{name}"));
            store.put(&path, bytes.to_vec().into()).await.unwrap();
        }
        let url = ObjectStoreUrl::parse("memory:///").unwrap();
        Self { store, url }
    }

    async fn open(
        &self,
        declared: Option<&Schema>,
        partitions: &[Field],
        is_permissive: bool,
    ) -> Result<JsonTable> {
        let base = Path::from("t");
        let mut files: Vec<_> = self.store.list(Some(&base)).try_collect().await.unwrap();
        files.sort_by(|a, b| a.location.cmp(&b.location));
        let definition = Definition {
            name: "t",
            url: &self.url,
            base: &base,
            declared,
            partitions,
            is_permissive,
        };
        open(definition, files, &self.store).await
    }

    /// The answer of a query over the table.
    async fn query(
        &self,
        table: JsonTable,
        sql: &str,
    ) -> datafusion::common::Result<Vec<RecordBatch>> {
        let table = JsonTable::decode(&table.encode()?)?;
        let context = SessionContext::new_with_config(SessionConfig::new().with_batch_size(3));
        context.register_object_store(self.url.as_ref(), Arc::clone(&self.store));
        context.register_table("t", Arc::new(table))?;
        context.sql(sql).await?.collect().await
    }
}

fn schema(columns: &[&str]) -> Schema {
    let columns = columns.iter().map(|column| {
        let (name, type_name) = column.split_once(' ').unwrap();
        Field::new(name, parse_type(type_name).unwrap(), true)
    });
    Schema::new(columns.collect::<Vec<_>>())
}

fn shown(batches: &[RecordBatch]) -> Rows {
    let row = |batch: &RecordBatch, row: usize| {
        let cells = batch.columns().iter().map(|column| {
            match column.logical_nulls().is_some_and(|n| n.is_null(row)) {
                true => "NULL".to_owned(),
                false => array_value_to_string(column, row).unwrap(),
            }
        });
        cells.collect::<Vec<_>>()
    };
    let rows = batches.iter();
    rows.flat_map(|batch| (0..batch.num_rows()).map(move |n| row(batch, n)))
        .collect()
}

fn lines(rows: &RecordBatch) -> Vec<u8> {
    let mut writer = writer_builder().build::<_, LineDelimited>(Vec::new());
    writer.write(rows).unwrap();
    writer.finish().unwrap();
    writer.into_inner()
}

#[tokio::test]
async fn a_key_and_a_wider_type_that_begin_late_are_found() {
    let mut text = "{\"id\": 1, \"amount\": 10}\n".repeat(1200);
    text.push_str(&"{\"id\": 2, \"amount\": 10.75, \"coupon\": \"X\"}\n".repeat(100));
    let shelf = Shelf::with(&[("1.json", text.as_bytes()), ("2.json", b"")]).await;
    let table = shelf.open(None, &[], false).await.unwrap();
    let sql = "SELECT count(*), count(coupon), sum(amount) FROM t";
    let rows = shown(&shelf.query(table, sql).await.unwrap());
    assert_eq!(rows, [["1300", "100", "13075.0"]]);
}

#[tokio::test]
async fn a_declared_type_is_checked_for_each_value() {
    let text = b"{\"id\": 1, \"n\": 2}\r\n\r\n{\"id\": 2, \"n\": 2.5}\n";
    let shelf = Shelf::with(&[("a.json", text)]).await;
    let declared = schema(&["id int64", "n int64"]);
    let table = shelf.open(Some(&declared), &[], false).await.unwrap();
    let error = shelf.query(table.clone(), "SELECT * FROM t").await;
    let error = error.unwrap_err().to_string();
    let expected = "line 3 (at byte 21) of `memory:///t/a.json`: column `n`: `2.5` is not int64";
    assert!(error.contains(expected), "{error}");
    // What a query does not read is not judged, as long as it is JSON.
    let rows = shelf.query(table, "SELECT id FROM t").await.unwrap();
    assert_eq!(shown(&rows), [["1"], ["2"]]);
}

#[tokio::test]
async fn permissive_reading_sets_bad_values_and_lines_aside() {
    let text = b"\xef\xbb\xbf{\"id\": 1, \"n\": {\"m\": [1]}}\n{\"id\": 2.5, \"n\": {\"m\": [1, 2]}}\n\
        {\"id\": 3, \"n\": {\"m\": [1, true]}}\n{\"id\": 4\n{\"id\": 5, \"id\": 5}\n[]\n{\"id\": 6, \"x\": \"\xff\"}\n{}\n";
    let shelf = Shelf::with(&[("a.json", text)]).await;
    let declared = schema(&["id int64", "n struct(m list(int64))"]);
    let table = shelf.open(Some(&declared), &[], true).await.unwrap();
    let sql = "SELECT id, n['m'] AS m, _position, _error FROM t";
    let rows = shown(&shelf.query(table.clone(), sql).await.unwrap());
    let expected = [
        ["1", "[1]", "0", "NULL"],
        ["NULL", "[1, 2]", "30", "parse:id"],
        ["3", "NULL", "62", "parse:n"],
        ["NULL", "NULL", "95", "json"],
        ["NULL", "NULL", "104", "parse:id"],
        ["NULL", "NULL", "123", "json"],
        ["NULL", "NULL", "126", "encoding"],
        ["NULL", "NULL", "146", "NULL"],
    ];
    assert_eq!(rows, expected);
    let sql = "SELECT _raw, _source FROM t WHERE _position = 0 OR _error = 'json' ORDER BY _position LIMIT 2";
    let rows = shown(&shelf.query(table.clone(), sql).await.unwrap());
    let source = "memory:///t/a.json";
    assert_eq!(rows[0], ["{\"id\": 1, \"n\": {\"m\": [1]}}", source]);
    assert_eq!(rows[1], ["{\"id\": 4", source]);
    let rows = shown(
        &shelf
            .query(table, "SELECT count(*), sum(id) FROM t")
            .await
            .unwrap(),
    );
    assert_eq!(rows, [["8", "4"]]);
    // The columns are those of the good lines.
    let inferred = shelf.open(None, &[], true).await.unwrap();
    let names = datafusion::catalog::TableProvider::schema(&inferred);
    let names: Vec<_> = names.fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names[..2], ["id", "n"]);
}

#[tokio::test]
async fn files_of_all_forms_are_one_table() {
    let files: [(&str, &[u8]); 5] = [
        ("1", b"{\"id\": 1}\n"),
        ("2.json", b"[{\"id\": 2},\n {\"id\": 3}]"),
        ("3.ndjson", b""),
        ("4.jsonl", b"\xef\xbb\xbf{\"id\": 4}\r\n\n{\"id\": 5}"),
        ("5.json", b" [ ]\n"),
    ];
    let shelf = Shelf::with(&files).await;
    let table = shelf.open(None, &[], false).await.unwrap();
    let rows = shelf.query(table, "SELECT id FROM t ORDER BY id").await;
    assert_eq!(shown(&rows.unwrap()), [["1"], ["2"], ["3"], ["4"], ["5"]]);
}

#[tokio::test]
async fn a_file_that_is_no_json_is_named_with_its_place() {
    for (bytes, expected) in [
        (
            &b"{\"a\": 1}\n{\"a\": 1\n"[..],
            "cannot read line 2 (at byte 9) of `memory:///t/f`: an object is not closed",
        ),
        (
            b"[{\"a\": 1}, 2]",
            "cannot read element 2 (at byte 10) of `memory:///t/f`: `2` is not a JSON object",
        ),
        (b"[{\"a\": 1}", "the file ends inside of the array"),
        (
            b"{\n  \"a\": 1\n}\n",
            "a file has one object per line, or is one array of objects",
        ),
        (b"a,b\n1,2\n", "no JSON value begins like this"),
    ] {
        let shelf = Shelf::with(&[("f", bytes)]).await;
        let error = shelf.open(None, &[], false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(expected), "{cause}");
        let declared = schema(&["a int64"]);
        let table = shelf.open(Some(&declared), &[], false).await.unwrap();
        let error = shelf.query(table, "SELECT count(*) FROM t").await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn empty_files_with_declared_columns_are_an_empty_table() {
    let shelf = Shelf::with(&[("1.json", b""), ("2.json", b"\n \n")]).await;
    let declared = schema(&["id int64"]);
    let table = shelf.open(Some(&declared), &[], false).await.unwrap();
    let rows = shelf.query(table, "SELECT count(*) FROM t").await.unwrap();
    assert_eq!(shown(&rows), [["0"]]);
    let error = shelf.open(None, &[], false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("has no columns"), "{error}");
}

#[tokio::test]
async fn folders_are_columns_and_others_are_not_read() {
    let files: [(&str, &[u8]); 3] = [
        ("country=NO/year=2024/a.json", b"{\"n\": 1}\n"),
        (
            "country=NO/year=__HIVE_DEFAULT_PARTITION__/a.json",
            b"{\"n\": 2}\n",
        ),
        ("country=S%C3%A3o/year=2025/a.json", b"{\"n\": broken"),
    ];
    let shelf = Shelf::with(&files).await;
    let partitions = [
        Field::new("country", DataType::Utf8, true),
        Field::new("year", DataType::Int32, true),
    ];
    let declared = schema(&["n int64"]);
    let table = shelf
        .open(Some(&declared), &partitions, false)
        .await
        .unwrap();
    let sql = "SELECT n, country, year FROM t WHERE country = 'NO' ORDER BY n";
    let rows = shelf.query(table.clone(), sql).await.unwrap();
    assert_eq!(shown(&rows), [["1", "NO", "2024"], ["2", "NO", "NULL"]]);
    let sql = "SELECT n FROM t WHERE year IS NULL OR year < 2025 AND n < 2 ORDER BY n";
    let error = shelf.query(table.clone(), sql).await;
    assert!(
        error.is_err(),
        "the filter needs rows, so all files are read"
    );
    let sql = "SELECT n FROM t WHERE year IS NULL OR year < 2025 ORDER BY n";
    let rows = shelf.query(table, sql).await.unwrap();
    assert_eq!(shown(&rows), [["1"], ["2"]]);
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_listed_is_an_error() {
    let shelf = Shelf::with(&[("a.json", b"{\"id\": 1}\n")]).await;
    let table = shelf.open(None, &[], false).await.unwrap();
    let path = Path::from("t/a.json");
    shelf
        .store
        .put(&path, "{\"id\": 2}\n".into())
        .await
        .unwrap();
    let error = shelf.query(table, "SELECT id FROM t").await.unwrap_err();
    let expected = ReadFault::Changed {
        path: "t/a.json".to_owned(),
    };
    assert_eq!(ReadFault::of(&error), Some(&expected));
}

#[test]
fn large_files_are_cut_unless_they_are_one_piece() {
    let meta = ObjectMeta {
        location: Path::from("t/a.json"),
        last_modified: Default::default(),
        size: 10 * table::MIN_SPLIT + 1,
        e_tag: None,
        version: None,
    };
    let file = |is_one_piece| JsonFile {
        file: TextFile::new(&meta, FolderValues::default()),
        is_one_piece,
    };
    let cut = ranges(&[file(false)], 2);
    assert!(cut.len() > 2);
    let ends: Vec<_> = cut.iter().map(|range| range.end).collect();
    let starts: Vec<_> = cut.iter().skip(1).map(|range| range.start).collect();
    assert_eq!(ends[..ends.len() - 1], starts);
    assert_eq!(ends.last(), Some(&(10 * table::MIN_SPLIT + 1)));
    assert_eq!(ranges(&[file(true)], 2).len(), 1);
}

/// The rows of a text that is read in ranges that end at `cuts`.
async fn scan(
    schema: &Schema,
    bytes: &[u8],
    cuts: &[u64],
    batch_size: usize,
) -> datafusion::common::Result<RecordBatch> {
    let shelf = Shelf::with(&[("f.json", bytes)]).await;
    let columns = Columns::try_new(schema.fields(), &[], false)?;
    let source = JsonSource {
        store: shelf.url.clone(),
        projection: (0..schema.fields().len()).collect(),
        columns,
        estimated_rows: None,
    };
    let source = JsonSource::decode(&source.encode()?)?;
    let config = SessionConfig::new().with_batch_size(batch_size);
    let context = SessionContext::new_with_config(config);
    context.register_object_store(shelf.url.as_ref(), Arc::clone(&shelf.store));
    let size = bytes.len() as u64;
    let mut ends: Vec<_> = cuts
        .iter()
        .map(|at| at % (size + 1))
        .chain([size])
        .collect();
    ends.sort_unstable();
    let (mut batches, mut start) = (Vec::new(), 0);
    for end in ends {
        if start == end {
            continue;
        }
        let meta = shelf.store.head(&Path::from("t/f.json")).await.unwrap();
        let file = JsonFile {
            file: TextFile::new(&meta, FolderValues::default()),
            is_one_piece: false,
        };
        let range = serde_json::to_string(&Range { file, start, end }).unwrap();
        let rows = source.open(&range, None, context.task_ctx(), &Count::new())?;
        batches.extend(rows.try_collect::<Vec<_>>().await?);
        start = end;
    }
    assert!(batches.iter().all(|b| b.num_rows() <= batch_size));
    Ok(concat_batches(&source.schema(), &batches)?)
}

/// A column of each kind, with hostile values; `None` is null.
fn column() -> impl Strategy<Value = (usize, Vec<Option<u64>>)> {
    let seed = prop_oneof![
        any::<u64>(),
        (0_u64..4),
        Just(u64::MAX),
        Just(i64::MAX as u64),
        Just(i64::MIN as u64),
        Just(f64::NAN.to_bits()),
        Just(f64::NEG_INFINITY.to_bits()),
        Just((-0.0_f64).to_bits()),
        Just(5e-324_f64.to_bits()),
    ];
    (
        0_usize..18,
        prop::collection::vec(prop::option::weighted(0.8, seed), 8),
    )
}

const TEXTS: [&str; 12] = [
    "",
    "null",
    "NULL",
    "NaN",
    "1e3",
    "true",
    "{\"a\": 1}",
    "a\nb\r\n\"c\\",
    "\u{0}\u{1f}\u{7f}\u{2028}",
    "\u{1f600} naïve",
    "[",
    " padded ",
];

fn text(seed: u64) -> &'static str {
    TEXTS[(seed % TEXTS.len() as u64) as usize]
}

fn array(kind: usize, seeds: &[Option<u64>]) -> ArrayRef {
    let ints = || seeds.iter().map(|s| s.map(u64::cast_signed));
    // Within the years that have a text.
    let days = || ints().map(|s| s.map(|s| (s % 90_000_000) as i32));
    let decimals = || ints().map(|s| s.map(|s| i128::from(s) * 9_000_000_000_000_000_000 + 7));
    match kind {
        0 => Arc::new(ints().collect::<Int64Array>()),
        1 => Arc::new(seeds.iter().copied().collect::<UInt64Array>()),
        2 => Arc::new(ints().map(|s| s.map(|s| s as i8)).collect::<Int8Array>()),
        // Arrow tells one NaN from another, JSON does not.
        3 => {
            let values = seeds.iter().map(|s| s.map(f64::from_bits));
            let values = values.map(|s| s.map(|s| if s.is_nan() { f64::NAN } else { s }));
            Arc::new(values.collect::<Float64Array>())
        }
        4 => {
            let values = seeds.iter().map(|s| s.map(|s| f32::from_bits(s as u32)));
            let values = values.map(|s| s.map(|s| if s.is_nan() { f32::NAN } else { s }));
            Arc::new(values.collect::<Float32Array>())
        }
        5 => Arc::new(
            ints()
                .map(|s| s.map(|s| s % 2 == 0))
                .collect::<BooleanArray>(),
        ),
        6 => Arc::new(seeds.iter().map(|s| s.map(text)).collect::<StringArray>()),
        7 => Arc::new(
            seeds
                .iter()
                .map(|s| s.map(u64::to_be_bytes))
                .collect::<BinaryArray>(),
        ),
        8 => Arc::new(days().collect::<Date32Array>()),
        9 => {
            let values = days().map(|s| s.map(|s| i64::from(s) * 86_400_000_000 + 123_456));
            Arc::new(
                values
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("Europe/Amsterdam"),
            )
        }
        10 => Arc::new(ints().collect::<TimestampNanosecondArray>()),
        11 => {
            let values = decimals().map(|s| s.map(|s| s % 10_i128.pow(37)));
            let values = values.collect::<Decimal128Array>();
            Arc::new(values.with_precision_and_scale(38, 10).unwrap())
        }
        12 => {
            let values = ints().map(|s| s.map(|s| s.rem_euclid(86_400_000_000_000)));
            Arc::new(values.collect::<Time64NanosecondArray>())
        }
        13 => {
            let values = ints().map(|s| s.map(|s| s % 1_000_000_000_000));
            Arc::new(values.collect::<DurationMicrosecondArray>())
        }
        14 => Arc::new(
            seeds
                .iter()
                .map(|s| s.map(text))
                .collect::<DictionaryArray<Int32Type>>(),
        ),
        15 => nested_list(seeds),
        16 => nested_struct(seeds),
        _ => new_null_array(&DataType::Null, seeds.len()),
    }
}

/// Lists of up to three texts, some of which are null.
fn nested_list(seeds: &[Option<u64>]) -> ArrayRef {
    let lengths = seeds.iter().map(|s| s.map_or(0, |s| (s % 4) as usize));
    let offsets = OffsetBuffer::from_lengths(lengths);
    let n = offsets.last().map_or(0, |end| *end as usize);
    let items: StringArray = (0..n)
        .map(|n| (n % 3 != 0).then(|| text(n as u64 * 7)))
        .collect();
    let nulls = NullBuffer::from_iter(seeds.iter().map(Option::is_some));
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    Arc::new(ListArray::new(item, offsets, Arc::new(items), Some(nulls)))
}

/// Structs with a hostile field name, some of which are null, and a list in each.
fn nested_struct(seeds: &[Option<u64>]) -> ArrayRef {
    let numbers: Int32Array = seeds
        .iter()
        .map(|s| s.filter(|s| s % 2 == 0).map(|s| s as i32))
        .collect();
    let lists = nested_list(seeds);
    let fields = Fields::from(vec![
        Field::new("n \"x\" \\", DataType::Int32, true),
        Field::new("l", lists.data_type().clone(), true),
    ]);
    let nulls = NullBuffer::from_iter(seeds.iter().map(|s| s.is_none_or(|s| s % 3 != 0)));
    Arc::new(StructArray::new(
        fields,
        vec![Arc::new(numbers), lists],
        Some(nulls),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read(
        columns in prop::collection::vec(column(), 1..6),
        cuts in prop::collection::vec(any::<u64>(), 0..4),
        batch_size in 1_usize..9,
    ) {
        let arrays: Vec<_> = columns.iter().map(|(kind, seeds)| array(*kind, seeds)).collect();
        let fields = arrays.iter().enumerate().map(|(n, array)| {
            Field::new(format!("c{n}"), array.data_type().clone(), true)
        });
        let schema = Schema::new(fields.collect::<Vec<_>>());
        check_writable(schema.fields()).unwrap();
        let rows = RecordBatch::try_new(Arc::new(schema.clone()), arrays).unwrap();
        let text = lines(&rows);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let read = runtime.block_on(scan(&schema, &text, &cuts, batch_size)).unwrap();
        prop_assert_eq!(&read, &rows, "{}", String::from_utf8_lossy(&text));
        prop_assert_eq!(shown(&[read]), shown(&[rows]));
    }

    #[test]
    fn an_array_and_lines_are_the_same_rows(
        seeds in prop::collection::vec(prop::option::of(any::<u64>()), 1..9),
        blank in "[ \n\r\t]{0,3}",
    ) {
        let rows = RecordBatch::try_from_iter([("c", nested_struct(&seeds))]).unwrap();
        let text = String::from_utf8(lines(&rows)).unwrap();
        let elements = text.trim_end().split('\n').collect::<Vec<_>>();
        let comma = format!("{blank},{blank}");
        let array = format!("{blank}[{blank}{}{blank}]{blank}", elements.join(&comma));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let schema = rows.schema();
        let read = |text: &str| runtime.block_on(scan(&schema, text.as_bytes(), &[], 3)).unwrap();
        prop_assert_eq!(read(&array), read(&text));
    }
}

#[test]
fn what_has_no_form_is_refused_and_not_written() {
    let write = |array: ArrayRef| {
        let rows = RecordBatch::try_from_iter([("c", array)]).unwrap();
        let mut writer = writer_builder().build::<_, LineDelimited>(Vec::new());
        writer
            .write(&rows)
            .map(|()| String::from_utf8(writer.into_inner()).unwrap())
    };
    assert!(write(Arc::new(Date32Array::from(vec![i32::MAX]))).is_err());
    let far = TimestampMicrosecondArray::from(vec![i64::MAX]);
    assert!(write(Arc::new(far)).is_err());
    let old = TimestampMicrosecondArray::from(vec![-2_000_000_000_000_000_000 / 1000]);
    let old = write(Arc::new(old.with_timezone("Europe/Amsterdam"))).unwrap();
    assert!(old.ends_with("Z\"}\n"), "{old}");
    let field = |data_type| Fields::from(vec![Field::new("c", data_type, true)]);
    let interval = DataType::Interval(IntervalUnit::DayTime);
    assert!(check_writable(&field(interval)).is_err());
    let text = || Field::new("c", DataType::Utf8, true);
    assert!(check_writable(&Fields::from(vec![text(), text()])).is_err());
}

/// Fails once Arrow refuses what does not fit; then see `docs/upstream.md`.
#[test]
fn arrow_cuts_numbers() {
    let schema = Arc::new(schema(&["n int64"]));
    let mut reader = ReaderBuilder::new(schema)
        .build(&b"{\"n\": 10.75}\n"[..])
        .unwrap();
    let rows = reader.next().unwrap().unwrap();
    assert_eq!(shown(&[rows]), [["10"]]);
}

/// Fails once Arrow writes floats that are not finite, or refuses them; then see `docs/upstream.md`.
#[test]
fn arrow_writes_null_for_nan() {
    let nan: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN]));
    let rows = RecordBatch::try_from_iter([("c", nan)]).unwrap();
    let builder = WriterBuilder::new().with_explicit_nulls(true);
    let mut writer = builder.build::<_, LineDelimited>(Vec::new());
    writer.write(&rows).unwrap();
    assert_eq!(writer.into_inner(), b"{\"c\":null}\n");
    assert_eq!(lines(&rows), b"{\"c\":\"NaN\"}\n");
}
