//! Files that say little, or nothing reliable, of their values.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, StringArray, UInt32Array};
use arrow::util::display::array_value_to_string;
use datafusion::parquet::basic::ColumnOrder;
use datafusion::parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataBuilder,
    ParquetMetaDataReader, ParquetMetaDataWriter,
};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::file::statistics::Statistics;

use datafusion::prelude::{ParquetReadOptions, SessionContext};

use super::shelf::{Shelf, ints, parquet_of};

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Statistics of row groups only, so that the footer is all that says something.
fn plain() -> WriterProperties {
    WriterProperties::builder()
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .build()
}

/// The file with the statistics of a column chunk replaced by what `change` makes of them; it gets
/// the numbers of the row group and of the column.
fn rewritten(
    bytes: &[u8],
    change: impl Fn(usize, usize, ColumnChunkMetaData) -> ColumnChunkMetaData,
) -> Vec<u8> {
    let footer = footer(bytes);
    let file = footer.file_metadata().clone();
    let mut builder = footer.into_builder();
    let groups = builder.take_row_groups();
    let groups = groups.into_iter().enumerate().map(|(group, metadata)| {
        let mut metadata = metadata.into_builder();
        let columns = metadata.take_columns();
        let columns = columns.into_iter().enumerate();
        let columns = columns.map(|(column, chunk)| change(group, column, chunk));
        metadata
            .set_column_metadata(columns.collect())
            .build()
            .unwrap()
    });
    with_footer(
        bytes,
        ParquetMetaDataBuilder::new(file)
            .set_row_groups(groups.collect())
            .build(),
    )
}

fn footer(bytes: &[u8]) -> ParquetMetaData {
    ParquetMetaDataReader::new()
        .parse_and_finish(&bytes::Bytes::copy_from_slice(bytes))
        .unwrap()
}

/// The pages of the file with another footer.
fn with_footer(bytes: &[u8], footer: ParquetMetaData) -> Vec<u8> {
    let length = bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap();
    let pages = bytes.len() - 8 - u32::from_le_bytes(length) as usize;
    let mut written = bytes[..pages].to_vec();
    ParquetMetaDataWriter::new(&mut written, &footer)
        .finish()
        .unwrap();
    written
}

fn without(chunk: ColumnChunkMetaData) -> ColumnChunkMetaData {
    chunk.into_builder().clear_statistics().build().unwrap()
}

fn with(chunk: ColumnChunkMetaData, statistics: Statistics) -> ColumnChunkMetaData {
    chunk
        .into_builder()
        .set_statistics(statistics)
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_group_without_statistics_is_read() {
    let shelf = Shelf::new().await;
    let groups = [
        vec![("note", texts(&["cherry", "date"])), ("n", ints([5, 6]))],
        vec![("note", texts(&["apple", "zucchini"])), ("n", ints([1, 9]))],
    ];
    let file = parquet_of(&groups, plain());
    let silent = |group, _, chunk| if group == 1 { without(chunk) } else { chunk };
    shelf.put("a.parquet", &rewritten(&file, silent));
    for (sql, expected) in [
        (
            "SELECT min(note), max(note), min(n), max(n) FROM t",
            "apple,zucchini,1,9",
        ),
        ("SELECT count(*), count(note), count(n) FROM t", "4,4,4"),
        ("SELECT count(*) FROM t WHERE note > 'm'", "1"),
        ("SELECT count(*) FROM t WHERE note = 'apple'", "1"),
        ("SELECT count(*) FROM t WHERE n > 8", "1"),
        ("SELECT count(*) FROM t WHERE n < 5", "1"),
        ("SELECT count(*) FROM t WHERE n IS NULL", "0"),
        ("SELECT note FROM t ORDER BY note DESC LIMIT 1", "zucchini"),
        ("SELECT n FROM t ORDER BY n LIMIT 1", "1"),
    ] {
        assert_eq!(shelf.rows(sql).await, [expected], "{sql}");
    }
    // A minimum alone, and a count of nulls alone.
    let partial = |group, column, chunk| match (group, column) {
        (1, 0) => with(
            chunk,
            Statistics::byte_array(Some("apple".into()), None, None, None, false),
        ),
        (1, _) => with(chunk, Statistics::int64(None, None, None, Some(0), false)),
        _ => chunk,
    };
    shelf.put("a.parquet", &rewritten(&file, partial));
    for (sql, expected) in [
        (
            "SELECT min(note), max(note), min(n), max(n) FROM t",
            "apple,zucchini,1,9",
        ),
        ("SELECT count(*) FROM t WHERE note > 'm'", "1"),
        ("SELECT count(*) FROM t WHERE n > 8", "1"),
    ] {
        assert_eq!(shelf.rows(sql).await, [expected], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nulls_that_were_not_counted_are_found() {
    let shelf = Shelf::new().await;
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let file = parquet_of(&[vec![("n", numbers)]], plain());
    let uncounted = |_, _, chunk| {
        with(
            chunk,
            Statistics::int32(Some(1), Some(3), None, None, false),
        )
    };
    shelf.put("a.parquet", &rewritten(&file, uncounted));
    assert_eq!(
        shelf.rows("SELECT count(*) FROM t WHERE n IS NULL").await,
        ["1"]
    );
    assert_eq!(
        shelf.rows("SELECT count(*), count(n) FROM t").await,
        ["3,2"]
    );
    assert_eq!(
        shelf
            .rows("SELECT count(*) FROM (SELECT n FROM t WHERE n > 0 LIMIT 3)")
            .await,
        ["2"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn special_floating_values_are_found() {
    let shelf = Shelf::new().await;
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, -0.0]));
    let others: ArrayRef = Arc::new(Float64Array::from(vec![2.0, 3.0]));
    let file = parquet_of(
        &[vec![("x", floats)], vec![("x", others)]],
        WriterProperties::new(),
    );
    shelf.put("a.parquet", &file);
    // NaN is the greatest value, here as in a table that was not read from Parquet.
    for (filter, n) in [
        ("x > 5", "1"),
        ("x >= 3", "2"),
        ("isnan(x)", "1"),
        ("x < 1", "1"),
    ] {
        let sql = format!("SELECT count(*) FROM t WHERE {filter}");
        assert_eq!(shelf.rows(&sql).await, [n], "{filter}");
    }
    assert_eq!(
        shelf.rows("SELECT max(x) FROM t WHERE NOT isnan(x)").await,
        ["3.0"]
    );
}

/// A file by a writer that compared everything as signed and does not say so.
fn in_the_order_of_signs() -> Vec<u8> {
    let unsigned: ArrayRef = Arc::new(UInt32Array::from(vec![1, 3_000_000_000]));
    let file = parquet_of(&[vec![("u", unsigned), ("s", texts(&["a", "é"]))]], plain());
    // As writers did that compared everything as signed: é begins with a byte below zero then.
    let signed = |_, column, chunk| match column {
        0 => with(
            chunk,
            Statistics::int32(Some(-1_294_967_296), Some(1), None, Some(0), true),
        ),
        _ => {
            let (least, greatest) = (Some("é".into()), Some("a".into()));
            with(
                chunk,
                Statistics::byte_array(least, greatest, None, Some(0), true),
            )
        }
    };
    let file = rewritten(&file, signed);
    let footer = footer(&file);
    let old = footer.file_metadata();
    let silent = FileMetaData::new(
        old.version(),
        old.num_rows(),
        None,
        old.key_value_metadata().cloned(),
        old.schema_descr_ptr(),
        None::<Vec<ColumnOrder>>,
    );
    let groups = footer.row_groups().to_vec();
    let footer = ParquetMetaDataBuilder::new(silent)
        .set_row_groups(groups)
        .build();
    with_footer(&file, footer)
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_in_another_order_are_not_used() {
    let shelf = Shelf::new().await;
    shelf.put("a.parquet", &in_the_order_of_signs());
    for (filter, n) in [
        ("u > 2000000000", "1"),
        ("u = 3000000000", "1"),
        ("s = 'é'", "1"),
        ("s < 'b'", "1"),
    ] {
        let sql = format!("SELECT count(*) FROM t WHERE {filter}");
        assert_eq!(shelf.rows(&sql).await, [n], "{filter}");
    }
    assert_eq!(
        shelf
            .rows("SELECT min(u), max(u), min(s), max(s) FROM t")
            .await,
        ["1,3000000000,a,é"]
    );
}

/// What DataFusion as it is answers, or says, about the Parquet file `t`.
async fn by_datafusion(file: &[u8], sql: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    std::fs::write(&path, file).unwrap();
    let context = SessionContext::new();
    let path = path.to_string_lossy();
    let options = ParquetReadOptions::default();
    context.register_parquet("t", path, options).await.unwrap();
    let rows = context.sql(sql).await.unwrap().collect().await;
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => return error.to_string(),
    };
    let row = rows.iter().find(|batch| batch.num_rows() > 0).unwrap();
    array_value_to_string(row.column(0), 0).unwrap()
}

/// Once one of these fails, what we take out of footers for it may stay in them; see `docs/upstream.md`.
#[tokio::test]
async fn datafusion_relies_on_statistics() {
    let groups = [
        vec![("note", texts(&["cherry", "date"]))],
        vec![("note", texts(&["apple", "zucchini"]))],
    ];
    let file = parquet_of(&groups, plain());
    let silent = |group, _, chunk| if group == 1 { without(chunk) } else { chunk };
    let file = rewritten(&file, silent);
    let least = by_datafusion(&file, "SELECT min(note) FROM t").await;
    assert_eq!(least, "cherry", "right is apple");

    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let file = parquet_of(&[vec![("n", numbers)]], plain());
    let uncounted = |_, _, chunk| {
        with(
            chunk,
            Statistics::int32(Some(1), Some(3), None, None, false),
        )
    };
    let file = rewritten(&file, uncounted);
    let nulls = by_datafusion(&file, "SELECT count(*) FROM t WHERE n IS NULL").await;
    assert_eq!(nulls, "0", "right is 1");

    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, -0.0]));
    let file = parquet_of(&[vec![("x", floats)]], WriterProperties::new());
    let nans = by_datafusion(&file, "SELECT count(*) FROM t WHERE x > 5").await;
    assert_eq!(nans, "0", "right is 1");

    let file = in_the_order_of_signs();
    let large = by_datafusion(&file, "SELECT count(*) FROM t WHERE u > 2000000000").await;
    assert_ne!(large, "1");
}
