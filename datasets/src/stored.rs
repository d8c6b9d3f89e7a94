//! What tests read back from a store.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::generate::{GenerateOptions, generate};
use crate::progress::{NoProgress, Summary};

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// Generates into memory.
pub(crate) async fn generated(options: GenerateOptions) -> TestResult<(Arc<InMemory>, Summary)> {
    let store = Arc::new(InMemory::new());
    let base = Path::from("data");
    let summary = generate(options, Arc::clone(&store) as _, base, &NoProgress).await?;
    Ok((store, summary))
}

/// All files below a folder by their names.
pub(crate) async fn files(store: &InMemory, folder: &str) -> TestResult<BTreeMap<String, Vec<u8>>> {
    let prefix = Path::from(folder);
    let objects: Vec<_> = store.list(Some(&prefix)).try_collect().await?;
    let mut files = BTreeMap::new();
    for object in objects {
        let bytes = store.get(&object.location).await?.bytes().await?;
        files.insert(object.location.to_string(), bytes.to_vec());
    }
    Ok(files)
}

/// A Parquet table of the folder `data`, all its files after each other.
pub(crate) async fn table(store: &InMemory, name: &str) -> TestResult<Rows> {
    let mut batches = Vec::new();
    let mut schema = None;
    for (_, bytes) in files(store, &format!("data/{name}")).await? {
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes))?;
        schema = Some(Arc::clone(builder.schema()));
        batches.extend(builder.build()?.collect::<Result<Vec<_>, _>>()?);
    }
    let schema = schema.ok_or_else(|| format!("table {name} has no files"))?;
    Ok(Rows(concat_batches(&schema, &batches)?))
}

/// The rows of a table.
pub(crate) struct Rows(pub(crate) RecordBatch);

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.0.num_rows()
    }

    /// A column of text; null is empty.
    pub(crate) fn text(&self, name: &str) -> Vec<String> {
        let column = self.0[name].as_string::<i32>();
        column
            .iter()
            .map(|value| value.unwrap_or_default().to_owned())
            .collect()
    }

    /// A column of numbers: whole ones, microseconds, or the digits of decimals.
    pub(crate) fn numbers(&self, name: &str) -> TestResult<Vec<i64>> {
        let column = &self.0[name];
        Ok(match column.data_type() {
            DataType::Decimal128(..) => {
                let digits = column.as_primitive::<Decimal128Type>().values();
                digits.iter().map(|digits| *digits as i64).collect()
            }
            DataType::Timestamp(..) => column
                .as_primitive::<TimestampMicrosecondType>()
                .values()
                .to_vec(),
            _ => cast(column, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .values()
                .to_vec(),
        })
    }

    /// How many values are null.
    pub(crate) fn nulls(&self, name: &str) -> usize {
        self.0[name].null_count()
    }

    /// A list of text per row.
    pub(crate) fn text_lists(&self, name: &str) -> Vec<Vec<String>> {
        let lists = self.0[name].as_list::<i32>().iter();
        lists
            .map(|list| match list {
                Some(list) => list
                    .as_string::<i32>()
                    .iter()
                    .flatten()
                    .map(str::to_owned)
                    .collect(),
                None => Vec::new(),
            })
            .collect()
    }

    /// Product, quantity and price in cents of each entry of each cart.
    pub(crate) fn carts(&self) -> Vec<Vec<(String, i64, i64)>> {
        let carts = self.0["cart"].as_list::<i32>().iter();
        carts
            .map(|cart| {
                let cart =
                    cart.unwrap_or_else(|| self.0["cart"].as_list::<i32>().values().slice(0, 0));
                let entries = cart.as_struct();
                let products = entries.column(0).as_string::<i32>();
                let quantities = entries
                    .column(1)
                    .as_primitive::<arrow::datatypes::Int32Type>();
                let prices = entries.column(2).as_primitive::<Decimal128Type>();
                (0..entries.len())
                    .map(|i| {
                        let product = products.value(i).to_owned();
                        (product, quantities.value(i).into(), prices.value(i) as i64)
                    })
                    .collect()
            })
            .collect()
    }
}

/// Checks that a share of `n` independent draws is within three standard deviations.
pub(crate) fn check_share(what: &str, hits: usize, n: usize, expected: f64) {
    let found = hits as f64 / n as f64;
    let sigma = (expected * (1.0 - expected) / n as f64).sqrt();
    assert!(
        (found - expected).abs() < 3.0 * sigma,
        "{what}: {found} for {expected} ± {sigma}"
    );
}
