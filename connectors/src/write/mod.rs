//! The distributed write: every task writes its own partition, to staging files or to a table of a
//! store, and reports what it wrote.
//!
//! DataFusion's sink wants a single partition, which would make one task write everything. Here the
//! logical node [`StagedWriteNode`] becomes [`StagedWriteExec`], which keeps the partitions of its
//! input and yields one report row per part. A row of the input goes to the branch that its route
//! column names, so that one pass makes several tables.

mod branch;
mod exec;
mod file;
mod node;

pub use exec::{StagedWriteExec, writes_to_store};
pub use node::{StagedWriteNode, StagedWritePlanner};

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Int32Array, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Result, exec_err};
use emporia_core::error::{Error, ErrorKind};
use parquet::arrow::ArrowSchemaConverter;
use serde::{Deserialize, Serialize};

use crate::codec::has_name;
use crate::hbase::HBaseSink;
use crate::mongodb::CollectionTarget;

/// File format of a written table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Apache Parquet, compressed with Zstandard level 1.
    Parquet,
    /// Delimited text with a header.
    Csv,
    /// One JSON object per line.
    Json,
}

impl FileFormat {
    /// The format of this name, as pointers have it.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Parquet, Self::Csv, Self::Json];
        all.into_iter().find(|format| format.as_str() == name)
    }

    /// The format of the tables of a connector; Parquet where it is none of files.
    pub fn of_connector(name: &str) -> Self {
        match name {
            "csv" => Self::Csv,
            "json" => Self::Json,
            _ => Self::Parquet,
        }
    }

    /// Name in catalogs and pointers, which is also the file extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// One table that a write makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct WriteBranch {
    /// Name of the output.
    pub output: String,
    /// Columns of the input that the table keeps, and their names in the table.
    pub columns: Vec<(String, String)>,
    /// Where its rows go.
    pub sink: SinkSpec,
}

/// Where the rows of a branch go. A recipe: no connection, no address, no secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub enum SinkSpec {
    /// To files of a result folder.
    Files(FileSink),
    /// To a table of HBase.
    HBase(HBaseSink),
    /// To a collection of MongoDB.
    Collection(CollectionTarget),
}

/// Files of a result folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct FileSink {
    /// Root of the store, e.g. `file:///`.
    pub store: String,
    /// Path of the result folder in the store.
    pub base: String,
    /// Format of the files.
    pub format: FileFormat,
}

impl fmt::Display for SinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(files) => write!(f, "{}{}", files.store, files.base),
            Self::HBase(table) => write!(f, "hbase:{}", table.table),
            Self::Collection(target) => {
                write!(f, "mongodb:{}.{}", target.database(), target.collection())
            }
        }
    }
}

/// The type in which values of `data_type` are written: views of text are an affair of plans.
pub fn written_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        other => other.clone(),
    }
}

/// Checks that a table can have columns of these names.
///
/// # Errors
/// `InvalidInput` where there are none, or two of one name.
pub fn check_names(schema: &Schema) -> emporia_core::error::Result<()> {
    if schema.fields().is_empty() {
        return Err(Error::invalid("a table has at least one column"));
    }
    let mut names = HashSet::new();
    match schema.fields().iter().find(|f| !names.insert(f.name())) {
        None => Ok(()),
        Some(field) => Err(
            Error::invalid(format!("two columns are named `{}`", field.name()))
                .with_hint("name each column with AS"),
        ),
    }
}

/// Whether the type is, or holds, one that the writer of Parquet refuses with the first row, or one
/// that no value has.
fn is_unstored(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null | DataType::Interval(_) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => is_unstored(item.data_type()),
        DataType::Struct(fields) => {
            fields.is_empty() || fields.iter().any(|f| is_unstored(f.data_type()))
        }
        DataType::Dictionary(_, values) => is_unstored(values),
        DataType::Union(..) | DataType::RunEndEncoded(..) => true,
        _ => false,
    }
}

/// Checks that files and pointers can hold columns of these types.
///
/// # Errors
/// As of [`check_names`]; `Unsupported` for a type that cannot be stored.
pub fn check_storable(schema: &Schema) -> emporia_core::error::Result<()> {
    check_names(schema)?;
    for field in schema.fields() {
        let alone = Schema::new(vec![field.as_ref().clone()]);
        let is_known = has_name(field.data_type()) && !is_unstored(field.data_type());
        if !is_known || ArrowSchemaConverter::new().convert(&alone).is_err() {
            let text = format!(
                "column `{}` has the type {}, which a table cannot hold",
                field.name(),
                field.data_type()
            );
            return Err(Error::new(ErrorKind::Unsupported, text)
                .with_hint("CAST converts it, for example to VARCHAR"));
        }
    }
    Ok(())
}

/// The recipe of a write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct StagedWrite {
    /// Identifies the run.
    pub run_id: String,
    /// Name of the `Int32` route column; without one every row goes to the first branch.
    pub route: Option<String>,
    /// Integer columns by whose values the rows are counted on the way.
    pub tally: Vec<String>,
    /// The tables.
    pub branches: Vec<WriteBranch>,
}

impl StagedWrite {
    /// One line for `EXPLAIN`.
    fn describe(&self) -> String {
        let outputs: Vec<_> = self
            .branches
            .iter()
            .map(|b| format!("{} to {}", b.output, b.sink))
            .collect();
        format!("outputs=[{}]", outputs.join(", "))
    }
}

/// One row of a write's report: what one task wrote of a branch, or a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPart {
    /// Index of the branch; `None` for a count.
    pub branch: Option<usize>,
    /// Of a file its path relative to the result folder, of a table nothing; of a count the values
    /// of the tally columns, separated by commas, or nothing for the rows that went to no branch.
    pub path: String,
    /// Rows of the part.
    pub rows: u64,
    /// Size of the file, or of the cells sent to a table.
    pub bytes: u64,
}

impl WrittenPart {
    /// Schema of the report.
    pub fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("branch", DataType::Int32, true),
            Field::new("path", DataType::Utf8, false),
            Field::new("rows", DataType::UInt64, false),
            Field::new("bytes", DataType::UInt64, false),
        ]))
    }

    fn to_batch(files: &[Self]) -> Result<RecordBatch> {
        let branches = files
            .iter()
            .map(|f| f.branch.and_then(|b| i32::try_from(b).ok()));
        Ok(RecordBatch::try_new(
            Self::schema(),
            vec![
                Arc::new(branches.collect::<Int32Array>()),
                Arc::new(StringArray::from_iter_values(files.iter().map(|f| &f.path))),
                Arc::new(files.iter().map(|f| Some(f.rows)).collect::<UInt64Array>()),
                Arc::new(files.iter().map(|f| Some(f.bytes)).collect::<UInt64Array>()),
            ],
        )?)
    }

    /// Reads the report rows of a batch.
    ///
    /// # Errors
    /// When the batch is not a report.
    pub fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>> {
        let column = |name: &str| batch.column_by_name(name).map(|c| c.as_any());
        let branch = column("branch").and_then(|c| c.downcast_ref::<Int32Array>());
        let path = column("path").and_then(|c| c.downcast_ref::<StringArray>());
        let rows = column("rows").and_then(|c| c.downcast_ref::<UInt64Array>());
        let bytes = column("bytes").and_then(|c| c.downcast_ref::<UInt64Array>());
        let (Some(branch), Some(path), Some(rows), Some(bytes)) = (branch, path, rows, bytes)
        else {
            return exec_err!("a write did not report its files");
        };
        let file = |i: usize| Self {
            branch: branch
                .iter()
                .nth(i)
                .flatten()
                .and_then(|b| usize::try_from(b).ok()),
            path: path.value(i).to_owned(),
            rows: rows.value(i),
            bytes: bytes.value(i),
        };
        Ok((0..batch.num_rows()).map(file).collect())
    }
}
