//! Unit tests of `output`.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListArray, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema};

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn batch() -> RecordBatch {
    let numbers = vec![Some(vec![Some(1), None]), None, Some(vec![])];
    let money = Decimal128Array::from(vec![Some(1_250), Some(-5), None]);
    let money = money.with_precision_and_scale(18, 2).unwrap();
    let times = vec![Some(1_700_000_000_000_000), Some(1_500_000), None];
    let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let inner = Field::new("x", DataType::Boolean, true);
    let flags = BooleanArray::from(vec![Some(true), None, Some(false)]);
    let nested = StructArray::from(vec![(Arc::new(inner), Arc::new(flags) as ArrayRef)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "name",
            Arc::new(StringArray::from(vec![Some("a, \"b\""), Some(""), None])),
        ),
        (
            "big",
            Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(0), None])),
        ),
        ("money", Arc::new(money)),
        (
            "rate",
            Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NAN), None])),
        ),
        ("ts", Arc::new(times)),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(numbers)),
        ),
        ("part", Arc::new(nested)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

fn text(format: Format, display: &Display, batch: &RecordBatch) -> (String, Written) {
    let buffer = Buffer::default();
    let mut writer = writer(format, &batch.schema(), display, Box::new(buffer.clone())).unwrap();
    writer.write(batch).unwrap();
    let written = writer.finish().unwrap();
    let bytes = buffer
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    (String::from_utf8(bytes).unwrap(), written)
}

#[test]
fn csv_is_exact_and_tells_null_from_empty() {
    let (csv, written) = text(Format::Csv, &Display::default(), &batch());
    assert_eq!(
        csv,
        "name,big,money,rate,ts,list,part\n\
         \"a, \"\"b\"\"\",9223372036854775807,12.50,0.1,2023-11-14T22:13:20Z,\"[1,null]\",\"{\"\"x\"\":true}\"\n\
         \"\",0,-0.05,NaN,1970-01-01T00:00:01.500Z,,\"{\"\"x\"\":null}\"\n\
         ,,,,,[],\"{\"\"x\"\":false}\"\n"
    );
    assert_eq!(
        written,
        Written {
            rows: 3,
            is_cut: false
        }
    );
}

#[test]
fn nested_numbers_that_are_not_finite_are_shown() {
    let numbers = vec![Some(vec![Some(f64::NAN), Some(f64::NEG_INFINITY), None])];
    let list = ListArray::from_iter_primitive::<Float64Type, _, _>(numbers);
    let batch = RecordBatch::try_from_iter([("list", Arc::new(list) as ArrayRef)]).unwrap();
    let (csv, _) = text(Format::Csv, &Display::default(), &batch);
    assert_eq!(csv, "list\n\"[\"\"NaN\"\",\"\"-Infinity\"\",null]\"\n");
}

#[test]
fn tsv_quotes_what_would_break_a_line() {
    let name: ArrayRef = Arc::new(StringArray::from(vec![
        Some("a\tb\nc\\"),
        Some("NULL"),
        Some("a,b"),
        Some(""),
        None,
    ]));
    let batch = RecordBatch::try_from_iter([("name", name)]).unwrap();
    let display = Display {
        null: "NULL".into(),
        has_header: false,
        ..Display::default()
    };
    assert_eq!(
        text(Format::Tsv, &display, &batch).0,
        "\"a\tb\nc\\\"\n\"NULL\"\na,b\n\"\"\nNULL\n"
    );
}

#[test]
fn json_keeps_types_and_digits() {
    let first = "{\"name\":\"a, \\\"b\\\"\",\"big\":9223372036854775807,\"money\":12.50,\
                 \"rate\":0.1,\"ts\":\"2023-11-14T22:13:20Z\",\"list\":[1,null],\
                 \"part\":{\"x\":true}}";
    let second = "{\"name\":\"\",\"big\":0,\"money\":-0.05,\"rate\":\"NaN\",\
                  \"ts\":\"1970-01-01T00:00:01.500Z\",\"list\":null,\"part\":{\"x\":null}}";
    let third = "{\"name\":null,\"big\":null,\"money\":null,\"rate\":null,\"ts\":null,\
                 \"list\":[],\"part\":{\"x\":false}}";
    let display = Display::default();
    let (lines, _) = text(Format::Ndjson, &display, &batch());
    assert_eq!(lines, format!("{first}\n{second}\n{third}\n"));
    let (array, _) = text(Format::Json, &display, &batch());
    assert_eq!(array, format!("[{first},{second},{third}]\n"));
}

#[test]
fn a_name_is_once_in_an_object() {
    let batch = batch();
    let twice = batch.project(&[1, 0, 1]).unwrap();
    let write = |format| {
        writer(
            format,
            &twice.schema(),
            &Display::default(),
            Box::new(io::sink()),
        )
    };
    for format in [Format::Json, Format::Ndjson, Format::Parquet] {
        let refused = write(format).err().map(|e| e.message().to_owned());
        assert_eq!(refused.as_deref(), Some("two columns are named `big`"));
    }
    assert!(write(Format::Csv).is_ok());
}

#[test]
fn an_empty_result_is_still_a_result() {
    let empty = batch().slice(0, 0);
    let display = Display::default();
    assert_eq!(text(Format::Json, &display, &empty).0, "[]\n");
    assert_eq!(text(Format::Ndjson, &display, &empty).0, "");
    assert_eq!(
        text(Format::Csv, &display, &empty).0,
        "name,big,money,rate,ts,list,part\n"
    );
}

#[test]
fn tables_align_numbers_right_and_say_when_they_are_cut() {
    let money = Decimal128Array::from(vec![Some(1_250), None, Some(100_000)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "month",
            Arc::new(StringArray::from(vec!["2024-01", "2024-02", "2024-03"])),
        ),
        (
            "revenue",
            Arc::new(money.with_precision_and_scale(18, 2).unwrap()),
        ),
        (
            "note",
            Arc::new(StringArray::from(vec![Some("first"), None, None])),
        ),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
            .unwrap();
    let expected = "month   | revenue | note\n\
                    --------+---------+------\n\
                    2024-01 |   12.50 | first\n\
                    2024-02 |         |\n\
                    2024-03 | 1000.00 |\n";
    assert_eq!(text(Format::Table, &Display::default(), &batch).0, expected);
    let display = Display {
        max_rows: Some(1),
        null: "-".into(),
        ..Display::default()
    };
    let (short, written) = text(Format::Table, &display, &batch);
    assert_eq!(short.lines().count(), 3);
    assert_eq!(
        written,
        Written {
            rows: 1,
            is_cut: true
        }
    );
}

#[test]
fn plans_keep_their_lines() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "plan_type",
            Arc::new(StringArray::from(vec!["logical_plan"])),
        ),
        ("plan", Arc::new(StringArray::from(vec!["Sort\n  Scan\n"]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let (plan, _) = text(Format::Table, &Display::default(), &batch);
    assert_eq!(plan, "-- logical_plan\nSort\n  Scan\n");
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/result.csv");
    let target = FileTarget::parse(path.to_str().unwrap(), None)
        .unwrap()
        .unwrap();
    let batch = batch();
    let schema = batch.schema();
    let mut file = SingleFile::create(&target, &schema, &Display::default()).unwrap();
    file.write(&batch).unwrap();
    drop(file);
    assert_eq!(
        std::fs::read_dir(folder.path().join("new"))
            .unwrap()
            .count(),
        0
    );
    let mut file = SingleFile::create(&target, &schema, &Display::default()).unwrap();
    file.write(&batch).unwrap();
    let (rows, bytes) = file.finish().unwrap();
    assert_eq!((rows, bytes), (3, std::fs::metadata(&path).unwrap().len()));
}

#[test]
fn parquet_keeps_every_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.parquet");
    let target = FileTarget::parse(path.to_str().unwrap(), None)
        .unwrap()
        .unwrap();
    let batch = batch();
    let mut file = SingleFile::create(&target, &batch.schema(), &Display::default()).unwrap();
    file.write(&batch).unwrap();
    file.finish().unwrap();
    let bytes = std::fs::File::open(&path).unwrap();
    let reader = ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes);
    let schema = Arc::clone(reader.unwrap().schema());
    let types = |schema: &Schema| {
        schema
            .fields()
            .iter()
            .map(|f| f.data_type().clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(types(&schema), types(&batch.schema()));
}

#[test]
fn the_ending_of_a_file_is_its_form() {
    let format = |location: &str, chosen| {
        FileTarget::parse(location, chosen)
            .map(|t| t.map(|t| t.format))
            .map_err(|e| e.kind())
    };
    assert_eq!(format("a/b.csv", None), Ok(Some(Format::Csv)));
    assert_eq!(format("b.JSONL", None), Ok(Some(Format::Ndjson)));
    assert_eq!(
        format("file:///b.parquet", Some(Format::Parquet)),
        Ok(Some(Format::Parquet))
    );
    for folder in [
        "folder.csv/",
        "results",
        ".",
        "..",
        "../..",
        "out.d/results",
        "./.hidden",
        "a/ends-with-dot.",
        "hdfs://nn.example.com:9000",
        "hdfs://nn.example.com:9000/out",
        "mongodb:shop.orders",
    ] {
        assert_eq!(format(folder, None), Ok(None), "{folder}");
    }
    for unknown in ["x.xlsx", "file:///out/a.csv.gz", "results.2024"] {
        assert_eq!(
            format(unknown, None),
            Err(ErrorKind::InvalidInput),
            "{unknown}"
        );
    }
    assert_eq!(
        format("b.csv", Some(Format::Json)),
        Err(ErrorKind::InvalidInput)
    );
    assert_eq!(
        format("hdfs://host:1/b.csv", None),
        Err(ErrorKind::Unsupported)
    );
}
