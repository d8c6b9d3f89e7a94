//! A scan that survives its gateway, its region server and its own expiry.
//!
//! The state of a scan is the key behind the last row that was handed out. Everything else, the
//! scanner on the server and the connection to its gateway, is made again from it: on any fault
//! the scan opens a new scanner there, on whichever gateway answers. Asking the old scanner once
//! more would skip the rows of the reply that was lost, since the server moves on before it sends.
//!
//! Rows go to the sink only after the whole reply was received and checked, so none is handed out
//! twice. A scanner number means something only to the gateway process that gave it, so it dies
//! with the connection.

use std::time::{Duration, Instant};

use hbase_thrift::hbase::TScan;

use crate::action::Action;
use crate::backoff::Backoff;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::fault::{self, Fault, FaultKind};
use crate::gateways::Lease;
use crate::page_size::PageSize;
use crate::range::KeyRange;
use crate::sink::RowSink;
use crate::wire::reply;
use crate::wire::rows::Rows;

/// How long closing a scanner may take; it expires on the server anyway.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A scanner that was left alone for longer is taken for lost: gateways and HBase drop both the
/// connection and the scanner after 60 s.
const MAX_IDLE: Duration = Duration::from_secs(45);

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRequest {
    /// The table.
    pub table: String,
    /// The keys.
    pub range: KeyRange,
    /// `family` or `family:qualifier` each; all columns if empty. A row that has none of them is
    /// not returned at all.
    pub columns: Vec<String>,
    /// A filter in HBase's filter language, see [`crate::filter`].
    pub filter: Option<Vec<u8>>,
    /// Only cells older than this timestamp.
    pub before: Option<i64>,
    /// Rows of a page; by default as many as make about 2 MiB.
    pub page_rows: Option<usize>,
    /// Most rows to return.
    pub limit: Option<usize>,
    /// Whether HBase keeps the blocks that are read in its cache.
    pub cache_blocks: bool,
    /// Host of the region server: a gateway on the same host is preferred.
    pub preferred: Option<String>,
}

impl ScanRequest {
    /// All columns of a range.
    pub fn new(table: impl Into<String>, range: KeyRange) -> Self {
        Self {
            table: table.into(),
            range,
            columns: Vec::new(),
            filter: None,
            before: None,
            page_rows: None,
            limit: None,
            cache_blocks: false,
            preferred: None,
        }
    }
}

/// A scan under way.
#[derive(Debug)]
pub struct Scanner {
    client: Client,
    request: ScanRequest,
    /// The first key that was not handed out yet.
    position: Vec<u8>,
    n_remaining: usize,
    is_finished: bool,
    open: Option<Open>,
    pages: PageSize,
    rows: Rows,
    backoff: Backoff,
    /// How long a page may take, and how often it took longer since the last page.
    timeout: Duration,
    n_timeouts: u32,
}

/// A scanner on a server.
#[derive(Debug)]
struct Open {
    lease: Lease,
    id: i32,
    used_at: Instant,
}

impl Client {
    /// A scan. Nothing is sent before its first page is asked for.
    #[must_use]
    pub fn scan(&self, request: ScanRequest) -> Scanner {
        Scanner {
            position: request.range.start.clone(),
            n_remaining: request.limit.unwrap_or(usize::MAX),
            is_finished: request.range.is_empty() || request.limit == Some(0),
            open: None,
            pages: PageSize::new(request.page_rows),
            rows: Rows::default(),
            backoff: self.backoff(),
            timeout: self.options().request_timeout,
            n_timeouts: 0,
            client: self.clone(),
            request,
        }
    }
}

impl Scanner {
    /// Hands the rows of the next page to the sink and returns their number; 0 at the end.
    ///
    /// A caller that does not come back within 20 s should [`Scanner::pause`].
    ///
    /// # Errors
    /// When a fault is permanent or does not pass within the patience of the client. The sink has
    /// got nothing of the page that failed; another call tries again.
    pub fn next_page(&mut self, sink: &mut dyn RowSink) -> Result<usize> {
        while !self.is_finished {
            match self.fetch() {
                Ok(()) => {
                    self.backoff.progress();
                    self.n_timeouts = 0;
                    return Ok(self.deliver(sink));
                }
                Err(error) => self.recover(error)?,
            }
        }
        Ok(0)
    }

    /// Closes the scanner on the server and keeps the position. The next page opens another one.
    pub fn pause(&mut self) {
        let Some(Open { mut lease, id, .. }) = self.open.take() else {
            return;
        };
        // With the connection, the number of the scanner lost its meaning.
        if lease.is_broken() {
            return;
        }
        let action = Action::on("close a scanner of", &self.request.table);
        let closed = lease.call(action, |connection| {
            connection.set_timeout(CLOSE_TIMEOUT)?;
            connection.order("scannerClose", |arguments| arguments.i32(1, id))
        });
        if let Err(error) = closed {
            tracing::debug!(table = self.request.table, %error, "scanner is left to expire");
        }
    }

    /// The key from which the scan would go on.
    #[must_use]
    pub fn position(&self) -> &[u8] {
        &self.position
    }

    /// Receives the next page.
    fn fetch(&mut self) -> Result<()> {
        let n_rows = self.pages.rows().min(self.n_remaining);
        if let Some(open) = &self.open
            && open.used_at.elapsed() > MAX_IDLE
        {
            self.open = None;
        }
        let action = Action::on("scan", &self.request.table);
        let open = match self.open.take() {
            Some(open) => open,
            None => open_scanner(
                &self.client,
                action,
                &self.request,
                &self.position,
                n_rows,
                self.timeout,
            )?,
        };
        let open = self.open.insert(open);
        open.lease.call(action, |connection| {
            connection
                .fetch(
                    "scannerGetList",
                    |arguments| {
                        arguments.i32(1, open.id)?;
                        arguments.i32(2, n_rows as i32)
                    },
                    &mut self.rows,
                )
                // A gateway that is shutting down fails so.
                .map_err(Fault::or_passing)?;
            let end = &self.request.range.end;
            check_order(&self.rows, connection.reply_bytes(), &self.position, end)
        })?;
        open.used_at = Instant::now();
        Ok(())
    }

    /// Hands out the page that was received.
    fn deliver(&mut self, sink: &mut dyn RowSink) -> usize {
        let n_rows = self.rows.len();
        if let Some(open) = &self.open {
            let bytes = open.lease.reply_bytes();
            self.rows.emit(bytes, sink);
            if let Some(last) = self.rows.keys(bytes).last() {
                self.position.clear();
                self.position.extend_from_slice(last);
                self.position.push(0);
            }
            self.pages.learn(n_rows, open.lease.reply_size());
        }
        self.n_remaining = self.n_remaining.saturating_sub(n_rows);
        if n_rows == 0 || self.n_remaining == 0 {
            self.is_finished = true;
            self.pause();
        }
        n_rows
    }

    /// Gets ready to go on from the position after a fault, if it can be borne.
    fn recover(&mut self, error: Error) -> Result<()> {
        match &error {
            Error::TooLarge { .. } => {
                self.open = None;
                return match self.pages.shrink() {
                    true => Ok(()),
                    false => Err(error),
                };
            }
            Error::Timeout { .. } => {
                // Once, the gateway may be stuck. Twice, HBase may need long to find the rows.
                self.n_timeouts += 1;
                self.pages.shrink();
                if self.n_timeouts > 1 {
                    self.timeout = self.timeout.saturating_mul(2);
                }
            }
            _ => {}
        }
        if let Error::ScannerGone { .. } = error {
            self.open = None;
        }
        // Where the connection broke, this only forgets the scanner.
        self.pause();
        let text = error.to_string();
        self.backoff.bear(error)?;
        tracing::warn!(
            table = self.request.table,
            error = text,
            "scan resumes behind the last row"
        );
        Ok(())
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        self.pause();
    }
}

fn open_scanner(
    client: &Client,
    action: Action<'_>,
    request: &ScanRequest,
    position: &[u8],
    n_rows: usize,
    timeout: Duration,
) -> Result<Open> {
    let optional = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.to_vec());
    // Every field is named: the default of this type asks for nothing at all.
    let scan = TScan {
        start_row: optional(position),
        stop_row: optional(&request.range.end),
        timestamp: request.before,
        columns: (!request.columns.is_empty()).then(|| {
            let columns = request.columns.iter();
            columns.map(|column| column.clone().into_bytes()).collect()
        }),
        caching: Some(n_rows as i32),
        filter_string: request.filter.as_deref().and_then(optional),
        // It would cut rows into pieces.
        batch_size: None,
        // The gateway sends a list, which it need not sort, instead of a map.
        sort_columns: Some(true),
        reversed: Some(false),
        cache_blocks: Some(request.cache_blocks),
    };
    let mut lease = client
        .gateways()
        .lend(action, request.preferred.as_deref())?;
    let id = lease.call(action, |connection| {
        connection.set_timeout(timeout)?;
        connection
            .ask(
                "scannerOpenWithScan",
                |arguments| {
                    arguments.bytes(1, request.table.as_bytes())?;
                    arguments.written(2, |out| scan.write_to_out_protocol(out))?;
                    arguments.no_attributes(3)
                },
                reply::i32,
            )
            .map_err(|fault| explain(fault, scan.filter_string.is_some()))
    })?;
    Ok(Open {
        lease,
        id,
        used_at: Instant::now(),
    })
}

/// The gateway gives no reason when it cannot parse a filter.
fn explain(fault: Fault, has_filter: bool) -> Fault {
    match fault.kind {
        FaultKind::Internal if has_filter => Fault::new(
            FaultKind::Invalid,
            format!("{}; is the filter well-formed?", fault.message),
        ),
        _ => fault.or_passing(),
    }
}

/// Makes sure that the rows are those of this scan: behind the position, before the end, in order.
fn check_order(rows: &Rows, bytes: &[u8], position: &[u8], end: &[u8]) -> fault::Result<()> {
    let mut last: Option<&[u8]> = None;
    for key in rows.keys(bytes) {
        let is_behind = last.map_or(position <= key, |last| last < key);
        if !is_behind {
            return Err(Fault::malformed("rows are not in the order of their keys"));
        }
        last = Some(key);
    }
    match last {
        Some(last) if !end.is_empty() && last >= end => {
            Err(Fault::malformed("a row is outside the range of the scan"))
        }
        _ => Ok(()),
    }
}
