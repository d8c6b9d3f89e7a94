//! Writing rows to a table of HBase.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::{Result, exec_err};
use datafusion::error::DataFusionError;
use emporia_hbase::{Client, RowMutation};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::encode::{EncodedRow, RowEncoder};
use super::error::transport_error;
use super::mapping::Mapping;
use super::result::with_text_key;
use crate::error::to_datafusion;

/// Requests that a task has under way at the same time. A request goes through the gateway, the
/// region server and its log on HDFS, which are idle in turn where there is only one.
const REQUESTS: usize = 2;
/// Batches that wait for the gateway while the next one is encoded.
const WAITING_BATCHES: usize = 2;

/// A table that a write goes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct HBaseSink {
    /// Name of the table, with its namespace where it has one.
    pub table: String,
    /// The [`Mapping`] as JSON.
    pub mapping: String,
    /// Timestamp of every cell, fixed when the write was planned: a repeated or doubled task writes
    /// the same cells again.
    pub timestamp: i64,
    /// Whether a null deletes the cell of an earlier run; else it leaves it as it is.
    pub deletes_nulls: bool,
    /// Columns whose text makes up the column that is the key; none where the rows have it.
    pub text_key: Vec<String>,
}

/// Writes the rows of one task. The gateway's calls block, so threads of their own make them.
pub struct HBaseWriter {
    encoder: RowEncoder,
    text_key: Vec<String>,
    deletes_nulls: bool,
    threads: Option<PutThreads>,
    bytes: u64,
}

struct PutThreads {
    batches: Sender<Vec<RowMutation>>,
    handles: Vec<JoinHandle<Result<(), emporia_hbase::Error>>>,
}

/// Where the threads take their batches from; whoever waits for the next one holds the lock.
type Batches = Arc<Mutex<Receiver<Vec<RowMutation>>>>;

impl HBaseWriter {
    /// A writer of rows with `schema`; connects with the first batch.
    ///
    /// # Errors
    /// When the recipe does not fit the schema or no thread can be started.
    pub fn open(client: &Client, sink: &HBaseSink, schema: &Schema) -> Result<Self> {
        let mapping: Mapping = serde_json::from_str(&sink.mapping)
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        let encoder = if sink.text_key.is_empty() {
            RowEncoder::try_new(&mapping, schema)
        } else {
            let keyed = with_text_key(
                &RecordBatch::new_empty(Arc::new(schema.clone())),
                &sink.text_key,
            )?;
            RowEncoder::try_new(&mapping, &keyed.schema())
        };
        let encoder = encoder.map_err(to_datafusion)?;
        let (sender, batches) = channel(WAITING_BATCHES);
        let batches = Arc::new(Mutex::new(batches));
        let handles = (0..REQUESTS)
            .map(|_| {
                let (client, batches) = (client.clone(), Arc::clone(&batches));
                let (table, timestamp) = (sink.table.clone(), sink.timestamp);
                std::thread::Builder::new()
                    .name("hbase-write".to_owned())
                    .spawn(move || put_all(&client, &table, timestamp, &batches))
            })
            .collect::<std::io::Result<_>>()?;
        let threads = PutThreads {
            batches: sender,
            handles,
        };
        Ok(Self {
            encoder,
            text_key: sink.text_key.clone(),
            deletes_nulls: sink.deletes_nulls,
            threads: Some(threads),
            bytes: 0,
        })
    }

    /// Sends the rows of `batch`, in the order of their keys.
    ///
    /// # Errors
    /// When a value cannot be encoded, two rows have one key, or the gateway failed.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut rows = if self.text_key.is_empty() {
            self.encoder.encode(batch)
        } else {
            self.encoder.encode(&with_text_key(batch, &self.text_key)?)
        }
        .map_err(to_datafusion)?;
        rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let twin = rows.windows(2).find(|pair| pair[0].key == pair[1].key);
        if let Some(twin) = twin {
            return exec_err!(
                "two rows have the key `{}`; one would replace the other",
                twin[0].key.escape_ascii()
            );
        }
        let rows: Vec<_> = rows.into_iter().map(|row| self.mutation(row)).collect();
        let is_taken = match &self.threads {
            Some(threads) => threads.batches.send(rows).await.is_ok(),
            None => false,
        };
        if is_taken { Ok(()) } else { self.end().await }
    }

    fn mutation(&mut self, row: EncodedRow) -> RowMutation {
        let cells = row
            .cells
            .into_iter()
            .filter(|(_, value)| self.deletes_nulls || value.is_some())
            .map(|(column, value)| (column.to_string(), value));
        let cells: Vec<_> = cells.collect();
        let values = cells
            .iter()
            .map(|(_, value)| value.as_ref().map_or(0, Vec::len));
        self.bytes += (row.key.len() + values.sum::<usize>()) as u64;
        RowMutation {
            key: row.key,
            cells,
        }
    }

    /// Waits until all rows are written; the bytes of their keys and values.
    ///
    /// # Errors
    /// When the gateway failed.
    pub async fn finish(mut self) -> Result<u64> {
        self.end().await?;
        Ok(self.bytes)
    }

    async fn end(&mut self) -> Result<()> {
        let ended = || DataFusionError::Internal("the HBase writer ended early".to_owned());
        let PutThreads { batches, handles } = self.threads.take().ok_or_else(ended)?;
        drop(batches);
        // All are waited for, also after a failure: nothing is written once the task has ended.
        let join = || {
            handles
                .into_iter()
                .map(JoinHandle::join)
                .collect::<Vec<_>>()
        };
        let results = tokio::task::spawn_blocking(join).await;
        for result in results.map_err(|_| ended())? {
            result.map_err(|_| ended())?.map_err(transport_error)?;
        }
        Ok(())
    }
}

fn put_all(
    client: &Client,
    table: &str,
    timestamp: i64,
    batches: &Batches,
) -> Result<(), emporia_hbase::Error> {
    let batches = || batches.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        // The lock goes with the statement, before the request begins.
        let next = batches().blocking_recv();
        let Some(rows) = next else { return Ok(()) };
        if let Err(error) = client.put(table, timestamp, &rows) {
            // No more batches are taken, by the other threads neither.
            batches().close();
            return Err(error);
        }
    }
}
