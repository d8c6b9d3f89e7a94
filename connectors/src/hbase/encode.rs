//! From rows to keys and cells: the inverse of reading.
//!
//! What is written reads back as the same row. A value that the mapping cannot say is refused with
//! the row that has it, never changed.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, TimestampNanosecondType};
use emporia_core::error::{Error, ErrorKind, Result};

use super::escape::printable;
use super::key::KeyFault;
use super::mapping::{ColumnMapping, Empty, Mapping, Place};
use super::value::{Encoding, Kind, Scalar, ValueArray, row_to_json};

/// A row as HBase stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRow {
    /// The key.
    pub key: Vec<u8>,
    /// The cells by `family:qualifier`; `None` for null, which is no cell.
    pub cells: Vec<(Arc<str>, Option<Vec<u8>>)>,
}

/// Turns rows of one schema into keys and cells.
#[derive(Debug)]
pub struct RowEncoder {
    mapping: Mapping,
    /// For each column of the mapping, its index in the rows and whether its type has to be
    /// changed on the way.
    sources: Vec<Option<Source>>,
    /// The cells of a row, in their order.
    cells: Vec<CellTarget>,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    index: usize,
    is_cast: bool,
}

#[derive(Debug)]
struct CellTarget {
    name: Arc<str>,
    /// The column that it holds; `None` for the presence cell that is none.
    column: Option<(usize, Encoding)>,
    /// Whether it may not be null, because it says that the row exists.
    is_presence: bool,
}

/// The content of the presence cell where it is no column.
const PRESENT: &[u8] = b"1";

/// Longest key or value that an error shows.
const SHOWN: usize = 80;

impl RowEncoder {
    /// An encoder for rows of `schema`. Columns of the table that the rows lack get no cells.
    ///
    /// # Errors
    /// `InvalidInput` where the rows have a column that the table lacks, lack one of the key, or
    /// have another type; `Unsupported` where the table's keys cannot be made.
    pub fn try_new(mapping: &Mapping, schema: &Schema) -> Result<Self> {
        if !mapping.key.is_writable() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "cannot write to the hbase table `{}`: its key has a part any(…)",
                    mapping.table
                ),
            )
            .with_hint("such a table can only be read"));
        }
        let complain = |what: String| {
            Error::invalid(format!(
                "cannot write to the hbase table `{}`: {what}",
                mapping.table
            ))
        };
        for field in schema.fields() {
            match mapping
                .columns
                .iter()
                .find(|column| column.name == *field.name())
            {
                None => return Err(complain(format!("it has no column `{}`", field.name()))),
                Some(column) if column.place == Place::Timestamp => {
                    return Err(complain(format!(
                        "column `{}` is the timestamp of the cells, which the write sets",
                        field.name()
                    )));
                }
                Some(_) => {}
            }
        }
        let sources = mapping
            .columns
            .iter()
            .map(|column| {
                let Ok(index) = schema.index_of(&column.name) else {
                    return match column.place {
                        Place::Key => Err(complain(format!(
                            "the rows lack the column `{}`, which is in the key",
                            column.name
                        ))),
                        _ => Ok(None),
                    };
                };
                let found = schema.field(index).data_type();
                let is_cast = is_converted(&column.data_type, found);
                if !is_cast && !holds(&column.data_type, found) {
                    return Err(complain(format!(
                        "column `{}` is {found} in the rows and {} in the table",
                        column.name, column.data_type
                    )));
                }
                Ok(Some(Source { index, is_cast }))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut cells = Vec::new();
        for (index, column) in mapping.columns.iter().enumerate() {
            let (Place::Cell { cell, encoding }, Some(_)) = (&column.place, sources[index]) else {
                continue;
            };
            if cells
                .iter()
                .any(|other: &CellTarget| *other.name == *cell.as_str())
            {
                return Err(complain(format!("two columns are the cell `{cell}`")));
            }
            cells.push(CellTarget {
                name: Arc::from(cell.as_str()),
                column: Some((index, *encoding)),
                is_presence: mapping.presence.as_ref() == Some(cell),
            });
        }
        if let Some(presence) = &mapping.presence
            && !cells.iter().any(|cell| cell.is_presence)
        {
            if let Some(column) = mapping.columns.iter().find(|c| c.cell() == Some(presence)) {
                return Err(complain(format!(
                    "the rows lack the column `{}`, whose cell says that a row exists",
                    column.name
                )));
            }
            cells.push(CellTarget {
                name: Arc::from(presence.as_str()),
                column: None,
                is_presence: true,
            });
        }
        Ok(Self {
            mapping: mapping.clone(),
            sources,
            cells,
        })
    }

    /// The rows of the batch, in their order.
    ///
    /// # Errors
    /// `InvalidInput` for a row that the table cannot hold as it is: a null in the key, a value
    /// that its encoding cannot say without loss.
    pub fn encode(&self, batch: &RecordBatch) -> Result<Vec<EncodedRow>> {
        let arrays = self
            .sources
            .iter()
            .zip(&self.mapping.columns)
            .map(|(source, column)| {
                source
                    .map(|source| self.array(batch, source, column))
                    .transpose()
            })
            .collect::<Result<Vec<_>>>()?;
        let values: Vec<_> = arrays
            .iter()
            .map(|array| array.as_ref().and_then(ValueArray::of))
            .collect();
        (0..batch.num_rows())
            .map(|row| {
                let mut key = Vec::new();
                self.mapping
                    .key
                    .encode(|column| values[column].as_ref()?.value(row), &mut key)
                    .map_err(|fault| self.bad_key(&fault, &values, row))?;
                let cells = self
                    .cells
                    .iter()
                    .map(|cell| {
                        let bytes = self
                            .cell(cell, &arrays, &values, row)
                            .map_err(|(column, what)| self.bad_value(column, what, &key))?;
                        Ok((Arc::clone(&cell.name), bytes))
                    })
                    .collect::<Result<Vec<_>>>()?;
                Ok(EncodedRow { key, cells })
            })
            .collect()
    }

    fn array(
        &self,
        batch: &RecordBatch,
        source: Source,
        column: &ColumnMapping,
    ) -> Result<ArrayRef> {
        let array = batch.columns().get(source.index).ok_or_else(|| {
            Error::internal(format!(
                "a batch lacks the column `{}` of its schema",
                column.name
            ))
        })?;
        if !source.is_cast {
            return Ok(Arc::clone(array));
        }
        if is_finer_than_micros(array) {
            return Err(Error::invalid(format!(
                "cannot write to the hbase table `{}`: a time of column `{}` is finer than a \
                 microsecond",
                self.mapping.table, column.name
            ))
            .with_hint("cut it off with date_trunc('microsecond', …)"));
        }
        cast(array, &column.data_type).map_err(|e| {
            Error::internal(format!("cannot read column `{}`", column.name)).with_source(e)
        })
    }

    /// The bytes of a cell; in case of a fault, the column and what is wrong with its value.
    fn cell(
        &self,
        cell: &CellTarget,
        arrays: &[Option<ArrayRef>],
        values: &[Option<ValueArray<'_>>],
        row: usize,
    ) -> Result<Option<Vec<u8>>, (usize, &'static str)> {
        let Some((index, encoding)) = cell.column else {
            return Ok(Some(PRESENT.to_vec()));
        };
        let column = &self.mapping.columns[index];
        let blame = |what| (index, what);
        let bytes = match (encoding, &arrays[index], &values[index]) {
            (Encoding::Json, Some(array), _) => {
                let json = row_to_json(array, row, &column.data_type).map_err(blame)?;
                json.map(String::into_bytes)
            }
            (_, _, Some(values)) => match values.value(row) {
                Some(value) => {
                    let mut bytes = Vec::new();
                    encoding
                        .encode(column.kind, value, &mut bytes)
                        .map_err(blame)?;
                    Some(bytes)
                }
                None => None,
            },
            _ => None,
        };
        match &bytes {
            None if cell.is_presence => {
                Err(blame("it is null, and its cell says that the row exists"))
            }
            None if column.is_required => {
                Err(blame("it is null, and the table has missing = \"error\""))
            }
            Some(bytes) if bytes.is_empty() && self.mapping.empty == Empty::Null => {
                Err(blame("it is empty, and the table has empty = \"null\""))
            }
            _ => Ok(bytes),
        }
    }

    fn bad_key(&self, fault: &KeyFault, values: &[Option<ValueArray<'_>>], row: usize) -> Error {
        let table = &self.mapping.table;
        let Some(column) = fault.column else {
            return Error::invalid(format!(
                "cannot write row {row} to the hbase table `{table}`: its key cannot be made: {}",
                fault.fault
            ));
        };
        let value = values[column].as_ref().and_then(|values| values.value(row));
        let value = match value {
            Some(Scalar::Bytes(bytes)) => format!(" `{}`", printable(bytes, SHOWN)),
            Some(Scalar::Integer(value)) => match self.mapping.columns[column].kind {
                Kind::Integer(_) => format!(" {value}"),
                _ => String::new(),
            },
            Some(Scalar::Float(value)) => format!(" {value}"),
            None => String::new(),
        };
        Error::invalid(format!(
            "cannot write row {row} to the hbase table `{table}`: the value{value} of column `{}` \
             cannot be in its key: {}",
            self.mapping.columns[column].name, fault.fault
        ))
    }

    fn bad_value(&self, column: usize, what: &str, key: &[u8]) -> Error {
        Error::invalid(format!(
            "cannot write the row `{}` to the hbase table `{}`: column `{}`: {what}",
            printable(key, SHOWN),
            self.mapping.table,
            self.mapping.columns[column].name,
        ))
    }
}

/// Whether every value of `found` is one of `wanted`, apart from nulls.
fn holds(wanted: &DataType, found: &DataType) -> bool {
    match (wanted, found) {
        (DataType::List(wanted), DataType::List(found)) => {
            holds(wanted.data_type(), found.data_type())
        }
        (DataType::Struct(wanted), DataType::Struct(found)) => {
            wanted.len() == found.len()
                && wanted.iter().zip(found).all(|(wanted, found)| {
                    wanted.name() == found.name() && holds(wanted.data_type(), found.data_type())
                })
        }
        _ => match (Kind::of(wanted), Kind::of(found)) {
            (
                Some(Kind::Decimal { precision, scale }),
                Some(Kind::Decimal {
                    precision: narrower,
                    scale: same,
                }),
            ) => narrower <= precision && scale == same,
            (Some(Kind::Integer(width)), Some(Kind::Integer(narrower))) => narrower <= width,
            (Some(Kind::Float64), Some(Kind::Float32)) => true,
            (Some(Kind::Nested), _) => false,
            (Some(wanted), Some(found)) => wanted == found,
            (_, None) => is_text_like(wanted, found),
            (None, _) => false,
        },
    }
}

/// Whether values of `found` are those of `wanted`, laid out in memory in another way.
fn is_text_like(wanted: &DataType, found: &DataType) -> bool {
    match wanted {
        DataType::Utf8 => matches!(found, DataType::Utf8View | DataType::LargeUtf8),
        DataType::Binary => matches!(found, DataType::BinaryView | DataType::LargeBinary),
        _ => false,
    }
}

/// Whether a column of `found` is converted before its values are read: other layouts of text, and
/// times in other units.
fn is_converted(wanted: &DataType, found: &DataType) -> bool {
    let is_time = |data_type: &DataType| matches!(data_type, DataType::Timestamp(..));
    is_text_like(wanted, found) || is_time(wanted) && is_time(found) && Kind::of(found).is_none()
}

/// Whether a conversion to microseconds would lose something.
fn is_finer_than_micros(array: &ArrayRef) -> bool {
    array
        .as_primitive_opt::<TimestampNanosecondType>()
        .is_some_and(|times| times.iter().flatten().any(|time| time % 1000 != 0))
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Int16Array, Int64Array, StringArray, StringViewArray, TimestampMicrosecondArray,
        TimestampNanosecondArray,
    };
    use emporia_core::contract;

    use super::super::definition::mapping_of;
    use super::super::rows::RowAssembler;
    use super::*;
    use emporia_hbase::RowSink;

    const COLUMNS: [&str; 4] = ["u string", "n int64", "c string", "t timestamp"];

    fn mapping(options: &[(&str, &str)]) -> Mapping {
        let mut all = vec![("key", "u '#' n"), ("family", "f")];
        all.extend_from_slice(options);
        mapping_of(&COLUMNS, &all)
    }

    fn rows() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
            ("c", Arc::new(StringArray::from(vec![Some("x"), None]))),
            ("u", Arc::new(StringViewArray::from(vec!["a", "b"]))),
        ])
        .unwrap()
    }

    fn encode(mapping: &Mapping, rows: &RecordBatch) -> Result<Vec<EncodedRow>> {
        RowEncoder::try_new(mapping, &rows.schema())?.encode(rows)
    }

    fn row(key: &str, cells: &[(&str, Option<&str>)]) -> EncodedRow {
        let cells = cells
            .iter()
            .map(|(name, value)| (Arc::from(*name), value.map(|v| v.as_bytes().to_vec())));
        EncodedRow {
            key: key.into(),
            cells: cells.collect(),
        }
    }

    #[test]
    fn rows_become_keys_and_cells() {
        assert_eq!(
            encode(&mapping(&[]), &rows()).unwrap(),
            [
                row("a#1", &[("f:c", Some("x"))]),
                row("b#2", &[("f:c", None)])
            ]
        );
        assert_eq!(
            encode(&mapping(&[("presence", "f:p")]), &rows()).unwrap(),
            [
                row("a#1", &[("f:c", Some("x")), ("f:p", Some("1"))]),
                row("b#2", &[("f:c", None), ("f:p", Some("1"))]),
            ]
        );
    }

    #[test]
    fn rows_that_the_table_cannot_hold_are_refused() {
        let check = |options: &[(&str, &str)], columns: Vec<(&str, ArrayRef)>, expected: &str| {
            let rows = RecordBatch::try_from_iter(columns).unwrap();
            let error = encode(&mapping(options), &rows).unwrap_err();
            let complaint = format!("{error}; {}", error.hint().unwrap_or_default());
            assert!(complaint.contains(expected), "{complaint}");
        };
        let n = || -> ArrayRef { Arc::new(Int64Array::from(vec![1])) };
        let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
        let null = || -> ArrayRef { Arc::new(StringArray::from(vec![None::<&str>])) };
        check(
            &[],
            vec![("u", text("a"))],
            "lack the column `n`, which is in the key",
        );
        check(
            &[],
            vec![("u", text("a")), ("n", n()), ("x", n())],
            "has no column `x`",
        );
        check(
            &[],
            vec![("u", text("a")), ("n", text("1"))],
            "`n` is Utf8 in the rows and Int64",
        );
        check(
            &[],
            vec![("u", null()), ("n", n())],
            "column `u` cannot be in its key: it is null",
        );
        check(
            &[],
            vec![("u", text("a#")), ("n", n())],
            "value `a#` of column `u`",
        );
        let all = |c: ArrayRef| vec![("u", text("a")), ("n", n()), ("c", c)];
        check(
            &[("empty", "null")],
            all(text("")),
            "column `c`: it is empty",
        );
        check(
            &[("missing", "error")],
            all(null()),
            "column `c`: it is null",
        );
        check(
            &[("presence", "f:c")],
            all(null()),
            "says that the row exists",
        );
        check(
            &[("presence", "f:c")],
            vec![("u", text("a")), ("n", n())],
            "lack the column `c`, whose cell",
        );
        let time: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("UTC"));
        check(
            &[("timestamp_column", "t")],
            vec![("u", text("a")), ("n", n()), ("t", time)],
            "is the timestamp of the cells",
        );
        let fine: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1]));
        check(
            &[],
            vec![("u", text("a")), ("n", n()), ("t", fine)],
            "finer than a microsecond",
        );
        check(
            &[("column.t", "f:c")],
            vec![
                ("u", text("a")),
                ("n", n()),
                ("c", text("x")),
                ("t", Arc::new(TimestampNanosecondArray::from(vec![1000]))),
            ],
            "two columns are the cell `f:c`",
        );
    }

    #[test]
    fn narrower_types_are_taken() {
        let rows = RecordBatch::try_from_iter([
            ("u", Arc::new(StringArray::from(vec!["a"])) as ArrayRef),
            ("n", Arc::new(Int16Array::from(vec![7]))),
            (
                "t",
                Arc::new(TimestampNanosecondArray::from(vec![1_500_000])),
            ),
        ])
        .unwrap();
        assert_eq!(
            encode(&mapping(&[]), &rows).unwrap(),
            [row("a#7", &[("f:t", Some("1970-01-01T00:00:00.001500Z"))])]
        );
    }

    /// What was written reads back, for all types of a table of the contract and all encodings.
    #[test]
    fn written_rows_read_back() {
        let schema = contract::schema("sessions").unwrap();
        let json = br#"
            {"session_id":"s1","user_id":"u1","start_ts":"2025-01-02T03:04:05Z","end_ts":"2025-01-02T04:00:00.250Z","duration_seconds":3355,"city":"Zo\u00eb","viewed_products":["p1",null],"cart":[{"product_id":"p1","quantity":2,"price":"12.50"}],"conversion_status":"converted"}
            {"session_id":"s2","user_id":"u1","start_ts":"1969-12-31T23:59:59Z","end_ts":"1970-01-01T00:00:00Z","duration_seconds":-1,"cart":[],"conversion_status":"","referrer":"'\"\\"}
        "#;
        let mut reader = arrow::json::ReaderBuilder::new(Arc::clone(&schema))
            .build(&json[..])
            .unwrap();
        let rows = reader.next().unwrap().unwrap();
        for style in ["text", "bytes", "ordered"] {
            let mut table = emporia_core::catalog::TableDef::new("hbase", "hbase:t");
            table.contract = Some("sessions".to_owned());
            let key = "hexsalt(user_id, 16) user_id '#' padded(start_ts, 13) '#' session_id";
            let options = [
                ("key", key),
                ("family", "f"),
                ("encoding", style),
                ("presence", "f:p"),
            ];
            table.options = options.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
            let mapping = super::super::definition::Definition::parse("t", &table)
                .unwrap()
                .mapping;
            let late = rows.slice(0, 1);
            let encoded = encode(&mapping, &late).unwrap();
            // The time before 1970 is none of the key's.
            assert!(encode(&mapping, &rows).is_err());

            let projection: Vec<_> = (0..schema.fields().len()).collect();
            let nullable = mapping.schema();
            let mut assembler =
                RowAssembler::new(Arc::new(mapping), None, &projection, Arc::clone(&nullable))
                    .unwrap();
            for row in &encoded {
                assembler.row(&row.key);
                for (name, value) in &row.cells {
                    if let Some(value) = value {
                        assembler.cell(name.as_bytes(), 1, value);
                    }
                }
            }
            assembler.end_page().unwrap();
            let back = assembler.take_batch().unwrap();
            let expected = RecordBatch::try_new(nullable, late.columns().to_vec()).unwrap();
            assert_eq!(back, expected, "{style}");
        }
    }
}
