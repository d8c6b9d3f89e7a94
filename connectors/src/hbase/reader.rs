//! Reads one split on a thread of its own.
//!
//! The client's calls block, some of them for as long as HBase needs to find the next row, so they
//! are made by none of the runtime's threads. The thread is at most two batches ahead of the query:
//! while one batch is computed on, the next page is fetched and decoded.
//!
//! ```text
//!   thread: next_page ─▶ RowAssembler ─▶ channel of 2 batches ─▶ stream of the task
//! ```

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::Count;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use emporia_hbase::{Client, KeyRange, ScanRequest, Scanner};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::error::transport_error;
use super::rows::RowAssembler;
use super::source::HBaseSource;
use super::splits::Split;
use crate::error::to_datafusion;

/// Batches that wait for the query.
const WAITING_BATCHES: usize = 2;
/// How long a scanner is left open while the query does not take a batch. The server and the
/// gateway drop it after 60 s.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// Time between two looks whether the query takes the next batch.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// Keys of one request for single rows, so that a cancelled query does not ask for the rest.
const KEYS_PER_REQUEST: usize = 100;

/// A split and all that is needed to read it.
pub(super) struct ReadTask {
    pub(super) client: Client,
    pub(super) source: HBaseSource,
    /// The schema of the batches.
    pub(super) schema: SchemaRef,
    pub(super) split: Split,
    /// Rows after which the split is complete.
    pub(super) limit: usize,
    pub(super) batch_size: usize,
    /// Counts the rows that are left out because they are malformed.
    pub(super) n_skipped: Count,
}

/// Batches, and `None` after the last one: a thread that dies says no `None`.
type Message = Result<Option<RecordBatch>>;

/// The rows of a split. The thread starts when the first batch is asked for, and ends when the
/// stream is dropped.
pub(super) fn read(task: ReadTask) -> Result<SendableRecordBatchStream> {
    let schema = Arc::clone(&task.schema);
    let batches = futures::stream::try_unfold(State::Ready(Box::new(task)), |state| async move {
        let mut receiver = match state {
            State::Ready(task) => start(task)?,
            State::Running(receiver) => receiver,
        };
        match receiver.recv().await {
            Some(Ok(Some(batch))) => Ok(Some((batch, State::Running(receiver)))),
            Some(Ok(None)) => Ok(None),
            Some(Err(error)) => Err(error),
            None => Err(DataFusionError::Internal(
                "the thread that reads from hbase died".to_owned(),
            )),
        }
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
}

enum State {
    Ready(Box<ReadTask>),
    Running(Receiver<Message>),
}

fn start(task: Box<ReadTask>) -> Result<Receiver<Message>> {
    let (sender, receiver) = channel(WAITING_BATCHES);
    thread::Builder::new()
        .name("hbase-read".to_owned())
        .spawn(move || {
            let last = match task.run(&sender) {
                Ok(()) => Ok(None),
                Err(Stop::Cancelled) => return,
                Err(Stop::Failed(error)) => Err(error),
            };
            // Nobody is there to be told when the query was cancelled meanwhile.
            drop(sender.blocking_send(last));
        })?;
    Ok(receiver)
}

/// Why a split is not read to its end.
enum Stop {
    /// The query takes no more rows.
    Cancelled,
    Failed(DataFusionError),
}

impl From<DataFusionError> for Stop {
    fn from(error: DataFusionError) -> Self {
        Self::Failed(error)
    }
}

impl ReadTask {
    fn run(self, sender: &Sender<Message>) -> Result<(), Stop> {
        let source = &self.source;
        let rows = RowAssembler::new(
            Arc::clone(&source.mapping),
            source.snapshot.clone(),
            &source.projection,
            Arc::clone(&self.schema),
        );
        let mut progress = Progress {
            rows: rows.map_err(to_datafusion)?,
            n_left: self.limit,
            batch_size: self.batch_size,
            sender,
        };
        match &self.split {
            Split::Scan { start, end, server } => {
                let range = KeyRange::new(start.as_slice(), end.as_slice());
                self.scan(range, server.clone(), &mut progress)?;
            }
            Split::Get { keys } => self.get(keys, &mut progress)?,
        }
        let n_skipped = progress.rows.n_skipped();
        if n_skipped > 0 {
            self.n_skipped
                .add(usize::try_from(n_skipped).unwrap_or(usize::MAX));
            let table = source.mapping.table();
            tracing::warn!(table, n_skipped, "malformed rows left out of a split");
        }
        // Also where the limit was reached: the rows must be those of one run.
        if let Some(snapshot) = &source.snapshot {
            let checked = snapshot.check(&self.client, source.mapping.table());
            checked.map_err(to_datafusion)?;
        }
        Ok(())
    }

    fn scan(
        &self,
        range: KeyRange,
        server: Option<String>,
        progress: &mut Progress<'_>,
    ) -> Result<(), Stop> {
        let source = &self.source;
        let mut scanner = self.client.scan(ScanRequest {
            columns: source.columns.clone(),
            filter: (!source.filter.is_empty()).then(|| source.filter.clone()),
            before: source.snapshot.as_ref().map(|snapshot| snapshot.before()),
            page_rows: self.page_rows(),
            cache_blocks: source.scan.cache_blocks,
            preferred: server,
            ..ScanRequest::new(source.mapping.table(), range)
        });
        while progress.wants_more()? {
            let n_rows = scanner
                .next_page(&mut progress.rows)
                .map_err(transport_error)?;
            if n_rows == 0 {
                break;
            }
            progress.end_page(Some(&mut scanner))?;
        }
        progress.flush(None)
    }

    /// A few rows are asked for as such; most scans leave it to the client.
    fn page_rows(&self) -> Option<usize> {
        let configured = self.source.scan.page_rows;
        let few = self.limit < self.batch_size.min(1000);
        match few {
            true => Some(configured.unwrap_or(usize::MAX).min(self.limit.max(1))),
            false => configured,
        }
    }

    fn get(&self, keys: &[Vec<u8>], progress: &mut Progress<'_>) -> Result<(), Stop> {
        let source = &self.source;
        let before = source.snapshot.as_ref().map(|snapshot| snapshot.before());
        for keys in keys.chunks(KEYS_PER_REQUEST) {
            if !progress.wants_more()? {
                break;
            }
            let table = source.mapping.table();
            self.client
                .get(table, keys, &source.columns, before, &mut progress.rows)
                .map_err(transport_error)?;
            progress.end_page(None)?;
        }
        progress.flush(None)
    }
}

/// The rows of a split on their way to the query.
struct Progress<'a> {
    rows: RowAssembler,
    /// Rows until the limit.
    n_left: usize,
    batch_size: usize,
    sender: &'a Sender<Message>,
}

impl Progress<'_> {
    /// Whether another page is of use.
    fn wants_more(&self) -> Result<bool, Stop> {
        if self.sender.is_closed() {
            return Err(Stop::Cancelled);
        }
        Ok(self.n_left > 0)
    }

    /// Takes in the rows of a page, and hands out a batch where it is full.
    fn end_page(&mut self, scanner: Option<&mut Scanner>) -> Result<(), Stop> {
        self.rows.end_page().map_err(to_datafusion)?;
        if self.rows.is_full(self.batch_size) || self.rows.n_rows() >= self.n_left {
            self.flush(scanner)?;
        }
        Ok(())
    }

    /// Hands out the rows that have come, up to the limit.
    fn flush(&mut self, scanner: Option<&mut Scanner>) -> Result<(), Stop> {
        if self.rows.n_rows() == 0 {
            return Ok(());
        }
        let batch = self.rows.take_batch().map_err(DataFusionError::from)?;
        let mut offset = 0;
        let n_rows = batch.num_rows().min(self.n_left);
        let mut scanner = scanner;
        // Of small rows a page has more than a batch should have.
        while offset < n_rows {
            let length = self.batch_size.max(1).min(n_rows - offset);
            self.send(batch.slice(offset, length), scanner.as_deref_mut())?;
            offset += length;
        }
        self.n_left -= n_rows;
        Ok(())
    }

    fn send(&self, batch: RecordBatch, scanner: Option<&mut Scanner>) -> Result<(), Stop> {
        let since = Instant::now();
        let mut message = Ok(Some(batch));
        while since.elapsed() < MAX_WAIT {
            message = match self.sender.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed(_)) => return Err(Stop::Cancelled),
                Err(TrySendError::Full(message)) => message,
            };
            thread::sleep(LOOK_AGAIN);
        }
        if let Some(scanner) = scanner {
            scanner.pause();
        }
        self.sender
            .blocking_send(message)
            .map_err(|_| Stop::Cancelled)
    }
}
