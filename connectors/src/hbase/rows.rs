//! From the cells of a page to Arrow columns.
//!
//! Cells of one row are gathered in one buffer that is used again for the next row; when the row is
//! complete, its values are decoded straight into the builders of the columns.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use emporia_core::error::{Error, ErrorKind};
use emporia_hbase::RowSink;

use super::escape::printable;
use super::mapping::{ColumnMapping, Empty, Malformed, Mapping, Place};
use super::snapshot::{MARKER_ROW, Snapshot};
use super::value::{ColumnBuilder, Scalar};

/// Bytes of cells after which a batch is complete, however few its rows are.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Most characters of a key or a value in an error.
const SHOWN: usize = 120;
/// Rows left out of which the log names the key.
const LOGGED_ROWS: u64 = 10;

/// Takes rows and makes record batches of them.
pub(super) struct RowAssembler {
    mapping: Arc<Mapping>,
    snapshot: Option<Snapshot>,
    schema: SchemaRef,
    outputs: Vec<Output>,
    slots: Vec<Slot>,
    /// Where the next cell is expected, because cells come in the same order in every row.
    next_slot: usize,
    row: Option<Row>,
    /// Used again by the next row.
    spare: Row,
    /// For each row of the batch, whether it stays in it.
    kept: Vec<bool>,
    n_skipped: u64,
    n_bytes: usize,
    fault: Option<Error>,
}

/// A column of the batches.
struct Output {
    /// Its index in the mapping.
    column: usize,
    source: Source,
    builder: ColumnBuilder,
}

#[derive(Clone, Copy)]
enum Source {
    Key,
    Slot(usize),
    Timestamp,
}

/// A cell that is of use.
struct Slot {
    /// `family:qualifier`
    name: Vec<u8>,
    is_presence: bool,
    /// Its value in the buffer of the row.
    value: Option<Range<usize>>,
}

/// A row whose cells are coming in.
#[derive(Default)]
struct Row {
    key: Vec<u8>,
    /// The values of its cells, one behind the other.
    values: Vec<u8>,
    /// Whether it has a cell that counts.
    exists: bool,
    has_presence: bool,
    /// The latest timestamp of its cells.
    latest: i64,
    /// The timestamp of its presence cell.
    presence_time: Option<i64>,
}

/// What is wrong with a row: the first of each sort.
#[derive(Default)]
struct Faults<'a> {
    missing: Option<Fault<'a>>,
    bad: Option<Fault<'a>>,
}

enum Fault<'a> {
    /// The key is not made as it should be.
    Key,
    /// The column has no value.
    Missing(&'a ColumnMapping),
    /// These bytes are no value of the column.
    Value(&'a ColumnMapping, &'a [u8]),
}

impl RowAssembler {
    /// An assembler of batches with the columns `projection` of the table; `schema` is their
    /// schema.
    pub(super) fn new(
        mapping: Arc<Mapping>,
        snapshot: Option<Snapshot>,
        projection: &[usize],
        schema: SchemaRef,
    ) -> Result<Self, Error> {
        let columns = || {
            projection
                .iter()
                .filter_map(|index| mapping.columns.get(*index))
        };
        let cells = columns().filter_map(|column| column.cell().map(|cell| cell.as_str()));
        // Sorted, because so they come.
        let names: BTreeSet<&str> = cells.chain(mapping.presence()).collect();
        let slots = names.iter().map(|name| Slot {
            name: name.as_bytes().to_vec(),
            is_presence: mapping.presence() == Some(name),
            value: None,
        });
        let slots: Vec<Slot> = slots.collect();
        let slot_of = |name: &str| slots.iter().position(|slot| slot.name == name.as_bytes());
        let mut outputs = Vec::with_capacity(projection.len());
        for index in projection {
            let no_column = || Error::internal(format!("an hbase scan has no column {index}"));
            let column = mapping.columns.get(*index).ok_or_else(no_column)?;
            let source = match &column.place {
                Place::Key => Source::Key,
                Place::Timestamp => Source::Timestamp,
                Place::Cell { cell, .. } => {
                    Source::Slot(slot_of(cell.as_str()).ok_or_else(no_column)?)
                }
            };
            let builder = ColumnBuilder::new(&column.data_type, column.encoding());
            outputs.push(Output {
                column: *index,
                source,
                builder: builder.ok_or_else(no_column)?,
            });
        }
        Ok(Self {
            mapping: Arc::clone(&mapping),
            snapshot,
            schema,
            outputs,
            slots,
            next_slot: 0,
            row: None,
            spare: Row::default(),
            kept: Vec::new(),
            n_skipped: 0,
            n_bytes: 0,
            fault: None,
        })
    }

    /// Completes the last row of a page.
    ///
    /// # Errors
    /// The first value that could not be decoded.
    pub(super) fn end_page(&mut self) -> Result<(), Error> {
        self.end_row();
        match self.fault.take() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// Number of rows of the batch under construction, with those that will be left out.
    pub(super) fn n_rows(&self) -> usize {
        self.kept.len()
    }

    /// Whether the batch under construction is large enough.
    pub(super) fn is_full(&self, batch_size: usize) -> bool {
        self.kept.len() >= batch_size || self.n_bytes >= MAX_BATCH_BYTES
    }

    /// Number of rows that were left out because a value of them was malformed.
    pub(super) fn n_skipped(&self) -> u64 {
        self.n_skipped
    }

    /// The rows so far; the assembler goes on with the next batch.
    ///
    /// # Errors
    /// Where a column grew too large.
    pub(super) fn take_batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns = self
            .outputs
            .iter_mut()
            .map(|output| output.builder.finish())
            .collect::<Result<Vec<_>, _>>()?;
        let kept = std::mem::take(&mut self.kept);
        self.n_bytes = 0;
        let options = RecordBatchOptions::new().with_row_count(Some(kept.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        if kept.iter().all(|kept| *kept) {
            return Ok(batch);
        }
        filter_record_batch(&batch, &BooleanArray::from(kept))
    }

    /// Decodes the row whose cells have come.
    fn end_row(&mut self) {
        let Some(row) = self.row.take() else {
            return;
        };
        let is_row = row.exists
            && row.key != MARKER_ROW
            && (row.has_presence || self.mapping.presence.is_none());
        if is_row && self.fault.is_none() {
            self.decode(&row);
        }
        self.spare = row;
    }

    fn decode(&mut self, row: &Row) {
        let mapping = &*self.mapping;
        let mut faults = Faults::default();
        let mut key_values = Vec::new();
        if self
            .outputs
            .iter()
            .any(|output| matches!(output.source, Source::Key))
            && !mapping.key.decode(&row.key, &mut key_values)
        {
            key_values.clear();
            faults.bad.get_or_insert(Fault::Key);
        }
        for output in &mut self.outputs {
            let column = &mapping.columns[output.column];
            let is_appended = match output.source {
                Source::Key => {
                    let mut values = key_values.iter();
                    let value = values.find(|(index, _)| *index == output.column);
                    value.is_some_and(|(_, value)| output.builder.append_scalar(*value))
                }
                Source::Timestamp => {
                    let millis = row.presence_time.unwrap_or(row.latest);
                    let micros = Scalar::Integer(i128::from(millis) * 1000);
                    output.builder.append_scalar(micros)
                }
                Source::Slot(slot) => {
                    let bytes = self.slots[slot]
                        .value
                        .clone()
                        .map(|range| &row.values[range]);
                    let bytes = bytes.filter(|b| !b.is_empty() || mapping.empty == Empty::Value);
                    let is_appended = bytes.is_some_and(|b| output.builder.append_cell(b));
                    match bytes {
                        Some(bytes) if !is_appended => {
                            faults.bad.get_or_insert(Fault::Value(column, bytes));
                        }
                        None if column.is_required => {
                            faults.missing.get_or_insert(Fault::Missing(column));
                        }
                        _ => {}
                    }
                    is_appended
                }
            };
            if !is_appended {
                output.builder.append_null();
            }
        }
        let Faults { missing, bad } = faults;
        let mut is_kept = true;
        match (missing, bad, mapping.malformed) {
            (Some(fault), _, _) | (None, Some(fault), Malformed::Error) => {
                self.fault = Some(fault.describe(mapping, &row.key));
            }
            (None, Some(fault), Malformed::Skip) => {
                is_kept = false;
                self.n_skipped += 1;
                if self.n_skipped <= LOGGED_ROWS {
                    let reason = fault.describe(mapping, &row.key);
                    let key = printable(&row.key, SHOWN);
                    let reason = reason.message();
                    tracing::warn!(table = mapping.table(), key, reason, "row left out");
                }
            }
            (None, Some(_), Malformed::Null) | (None, None, _) => {}
        }
        self.kept.push(is_kept);
    }
}

impl RowSink for RowAssembler {
    fn row(&mut self, key: &[u8]) {
        self.end_row();
        let mut row = std::mem::take(&mut self.spare);
        row.key.clear();
        row.key.extend_from_slice(key);
        row.values.clear();
        row.exists = false;
        row.has_presence = false;
        row.latest = i64::MIN;
        row.presence_time = None;
        self.row = Some(row);
        self.next_slot = 0;
        for slot in &mut self.slots {
            slot.value = None;
        }
        self.n_bytes += key.len();
    }

    fn cell(&mut self, column: &[u8], timestamp: i64, value: &[u8]) {
        let Some(row) = &mut self.row else {
            return;
        };
        let counts = |snapshot: &Snapshot| snapshot.includes(timestamp);
        if !self.snapshot.as_ref().is_none_or(counts) {
            return;
        }
        row.exists = true;
        row.latest = row.latest.max(timestamp);
        let n_slots = self.slots.len();
        let Some(index) = (0..n_slots)
            .map(|step| (self.next_slot + step) % n_slots)
            .find(|index| self.slots[*index].name == column)
        else {
            return;
        };
        self.next_slot = index + 1;
        let slot = &mut self.slots[index];
        if slot.is_presence {
            row.has_presence = true;
            row.presence_time = Some(timestamp);
        }
        let start = row.values.len();
        row.values.extend_from_slice(value);
        slot.value = Some(start..row.values.len());
        self.n_bytes += value.len();
    }
}

impl Fault<'_> {
    /// The error of a query that meets it in the row of this key.
    fn describe(&self, mapping: &Mapping, key: &[u8]) -> Error {
        let key = printable(key, SHOWN);
        let (what, hint) = match self {
            Self::Value(column, bytes) => (
                format!(
                    "column `{}` of the row `{key}` is not of the type {} in the encoding {}: \
                     `{}` is `{}`",
                    column.name,
                    column.data_type,
                    column.encoding(),
                    column.cell().map_or("", |cell| cell.as_str()),
                    printable(bytes, SHOWN)
                ),
                "correct the definition of the column, or set malformed = \"null\" or \"skip\"",
            ),
            Self::Missing(column) => (
                format!(
                    "the row `{key}` has no value of column `{}`, which is `{}`",
                    column.name,
                    column.cell().map_or("", |cell| cell.as_str())
                ),
                "set missing = \"null\" to read it as null",
            ),
            Self::Key => (
                format!("the key `{key}` is not made as the option `key` says"),
                "correct the option, or set malformed = \"null\" or \"skip\"",
            ),
        };
        let message = format!("cannot read table `hbase:{}`: {what}", mapping.table());
        Error::new(ErrorKind::Corrupt, message).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Schema;
    use arrow::util::pretty::pretty_format_batches;

    use super::super::definition::mapping_of;
    use super::*;

    const COLUMNS: [&str; 5] = [
        "id string",
        "n int32",
        "c string",
        "tags list(string)",
        "at timestamp",
    ];

    type Cell<'a> = (&'a str, i64, &'a str);

    struct Table {
        options: Vec<(&'static str, &'static str)>,
        snapshot: Option<Snapshot>,
        projection: Vec<usize>,
    }

    impl Table {
        fn new(options: &[(&'static str, &'static str)]) -> Self {
            let mut all = vec![
                ("row_key", "id"),
                ("family", "f"),
                ("timestamp_column", "at"),
            ];
            all.extend_from_slice(options);
            Self {
                options: all,
                snapshot: None,
                projection: (0..COLUMNS.len()).collect(),
            }
        }

        /// The rows that come of these cells, one line each, or the error.
        fn read(&self, rows: &[(&str, &[Cell<'_>])]) -> Vec<String> {
            let mapping = mapping_of(&COLUMNS, &self.options);
            let fields = self
                .projection
                .iter()
                .map(|i| mapping.schema().field(*i).clone());
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let snapshot = self.snapshot.clone();
            let mut assembler =
                RowAssembler::new(Arc::new(mapping), snapshot, &self.projection, schema).unwrap();
            for (key, cells) in rows {
                assembler.row(key.as_bytes());
                for (column, timestamp, value) in *cells {
                    assembler.cell(column.as_bytes(), *timestamp, value.as_bytes());
                }
            }
            if let Err(error) = assembler.end_page() {
                return vec![format!("{error}; {}", error.hint().unwrap_or("no hint"))];
            }
            let batch = assembler.take_batch().unwrap();
            assert_eq!(assembler.n_rows(), 0);
            if self.projection.is_empty() {
                return vec!["row".to_owned(); batch.num_rows()];
            }
            let text = pretty_format_batches(&[batch]).unwrap().to_string();
            let lines = text.lines().skip(3).filter(|line| line.starts_with('|'));
            lines
                .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().join("|"))
                .collect()
        }
    }

    #[test]
    fn cells_become_columns_in_any_order() {
        let table = Table::new(&[]);
        assert_eq!(
            table.read(&[
                (
                    "a",
                    &[
                        ("f:c", 2000, "x"),
                        ("f:n", 1000, "7"),
                        ("f:tags", 0, "[\"t\"]")
                    ]
                ),
                ("b", &[("f:other", 3000, "?")]),
                ("\0emporia", &[("_emporia:published", 1, "{}")]),
                ("c", &[("f:n", 1000, "-1"), ("f:c", 1000, "")]),
            ]),
            [
                "|a|7|x|[t]|1970-01-01T00:00:02Z|",
                "|b||||1970-01-01T00:00:03Z|",
                "|c|-1|||1970-01-01T00:00:01Z|",
            ]
        );
    }

    #[test]
    fn columns_that_are_not_asked_for_are_not_decoded() {
        let mut table = Table::new(&[]);
        table.projection = vec![2];
        assert_eq!(
            table.read(&[("\u{1}", &[("f:n", 0, "bad"), ("f:c", 0, "x")])]),
            ["|x|"]
        );
        table.projection = vec![];
        assert_eq!(
            table
                .read(&[("a", &[("f:n", 0, "")]), ("b", &[("f:n", 0, "")])])
                .len(),
            2
        );
    }

    #[test]
    fn a_row_without_its_presence_cell_is_none() {
        let table = Table::new(&[("presence", "f:p")]);
        assert_eq!(
            table.read(&[
                ("a", &[("f:n", 9000, "1")]),
                ("b", &[("f:n", 9000, "2"), ("f:p", 1000, "")]),
            ]),
            ["|b|2|||1970-01-01T00:00:01Z|"]
        );
    }

    #[test]
    fn cells_of_other_runs_do_not_count() {
        let mut table = Table::new(&[]);
        let mut snapshot = Snapshot {
            run: 2000,
            includes_older: false,
            owner: "t".to_owned(),
        };
        let rows: [(&str, &[Cell<'_>]); 2] = [
            ("a", &[("f:n", 1000, "1")]),
            ("b", &[("f:c", 1000, "old"), ("f:n", 2000, "2")]),
        ];
        table.snapshot = Some(snapshot.clone());
        assert_eq!(table.read(&rows), ["|b|2|||1970-01-01T00:00:02Z|"]);
        snapshot.includes_older = true;
        table.snapshot = Some(snapshot);
        assert_eq!(
            table.read(&rows),
            [
                "|a|1|||1970-01-01T00:00:01Z|",
                "|b|2|old||1970-01-01T00:00:02Z|"
            ]
        );
    }

    #[test]
    fn malformed_values_are_errors_nulls_or_skipped_rows() {
        let rows: [(&str, &[Cell<'_>]); 2] = [
            ("a#1", &[("f:n", 0, "seven"), ("f:c", 0, "x")]),
            ("b", &[("f:n", 0, "7"), ("f:tags", 0, "[1]")]),
        ];
        assert_eq!(
            Table::new(&[]).read(&rows),
            [
                "cannot read table `hbase:shop:t`: column `n` of the row `a#1` is not of the type \
              Int32 in the encoding text: `f:n` is `seven`; correct the definition of the column, \
              or set malformed = \"null\" or \"skip\""
            ]
        );
        let nulls = Table::new(&[("malformed", "null")]).read(&rows);
        assert_eq!(
            nulls,
            [
                "|a#1||x||1970-01-01T00:00:00Z|",
                "|b|7|||1970-01-01T00:00:00Z|"
            ]
        );
        let mut skipping = Table::new(&[("malformed", "skip")]);
        assert_eq!(skipping.read(&rows), Vec::<String>::new());
        skipping.projection = vec![1];
        assert_eq!(skipping.read(&rows), ["|7|"]);
    }

    #[test]
    fn missing_and_empty_cells_are_what_the_table_says() {
        let rows: [(&str, &[Cell<'_>]); 1] = [("a", &[("f:c", 0, ""), ("f:n", 0, "")])];
        let strict = Table::new(&[]).read(&rows);
        assert!(strict[0].contains("`f:n` is ``"), "{strict:?}");
        let null = Table::new(&[("empty", "null")]).read(&rows);
        assert_eq!(null, ["|a||||1970-01-01T00:00:00Z|"]);
        let mut required = Table::new(&[("missing", "error"), ("malformed", "skip")]);
        required.projection = vec![0, 2];
        assert_eq!(required.read(&rows), ["|a||"]);
        required.projection = vec![3];
        let missing = required.read(&rows);
        assert!(
            missing[0].contains("the row `a` has no value of column `tags`"),
            "{missing:?}"
        );
    }

    #[test]
    fn a_key_of_another_make_is_malformed() {
        let check = |malformed: &'static str, expected: &[&str]| {
            let mut table = Table::new(&[("key", "id '#' n"), ("malformed", malformed)]);
            table.options.remove(0);
            table.projection = vec![0, 1, 2];
            let rows = table.read(&[("a#1", &[("f:c", 0, "x")]), ("b#x", &[("f:c", 0, "y")])]);
            assert_eq!(rows.len(), expected.len());
            let good = rows
                .iter()
                .zip(expected)
                .all(|(row, expected)| row.contains(expected));
            assert!(good, "{rows:?}");
        };
        check(
            "error",
            &["the key `b#x` is not made as the option `key` says"],
        );
        check("null", &["|a|1|x|", "|||y|"]);
        check("skip", &["|a|1|x|"]);
    }
}
