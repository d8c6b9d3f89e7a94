//! How fast a table can be read: by a bare loop of Thrift calls, or by this crate's scanner.
//!
//! The bare loop is the peer of the comparison. It makes the calls with the generated client of
//! the `hbase-thrift` crate over large buffers, drops every page, and stops at the first fault.
//! Where the table is cut, each piece is read by a thread of its own.
//!
//! ```sh
//! cargo run --release -p emporia-hbase --example bare_scan -- \
//!     --gateway localhost:9090 --table sessions --columns s:id,s:start --mode bare
//! ```
//!
//! Options: `--mode bare|scanner` (scanner), `--gateway HOST:PORT,…` (localhost:9090), `--table NAME`,
//! `--columns A,B` (all), `--cuts KEY,…` (none), `--rows N` of a page (bare: 1000, scanner: by size),
//! `--repeat N` (3), `--protocol binary|compact`, `--transport buffered|framed`.

#![expect(clippy::print_stdout, reason = "the result of the measurement")]

use std::collections::BTreeMap;
use std::error::Error;
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use emporia_hbase::{Client, ClientOptions, KeyRange, Protocol, RowSink, ScanRequest, Transport};
use hbase_thrift::hbase::{HbaseSyncClient, THbaseSyncClient, TScan};
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TCompactInputProtocol, TCompactOutputProtocol,
    TInputProtocol, TOutputProtocol,
};
use thrift::transport::{
    TBufferedReadTransport, TBufferedWriteTransport, TFramedReadTransport, TFramedWriteTransport,
    TReadTransport, TWriteTransport,
};

const BUFFER: usize = 256 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    for _ in 0..options.repeat {
        let start = Instant::now();
        let counts = all_pieces(&options)?;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{}: {} rows, {} cells, {:.1} MB in {seconds:.3} s: {:.1} MB/s, {:.0} rows/s",
            if options.is_bare { "bare" } else { "scanner" },
            counts.n_rows,
            counts.n_cells,
            counts.n_bytes as f64 / 1e6,
            counts.n_bytes as f64 / 1e6 / seconds,
            counts.n_rows as f64 / seconds,
        );
    }
    Ok(())
}

/// Reads all pieces at the same time; their threads take turns with the gateways.
fn all_pieces(options: &Options) -> Result<Counts, Box<dyn Error>> {
    let starts = [String::new()].into_iter().chain(options.cuts.clone());
    let ends = options.cuts.iter().cloned().chain([String::new()]);
    let pieces: Vec<_> = starts.zip(ends).collect();
    thread::scope(|scope| {
        let threads: Vec<_> = pieces
            .iter()
            .zip(options.gateways.iter().cycle())
            .map(|((start, end), gateway)| {
                let piece = Piece {
                    gateway,
                    start: start.as_bytes(),
                    end: end.as_bytes(),
                };
                scope.spawn(move || {
                    let counts = match options.is_bare {
                        true => bare(options, piece),
                        false => scanner(options, piece),
                    };
                    counts.map_err(|error| error.to_string())
                })
            })
            .collect();
        let mut all = Counts::default();
        for thread in threads {
            let counts = thread.join().map_err(|_| "a thread died")??;
            all.n_rows += counts.n_rows;
            all.n_cells += counts.n_cells;
            all.n_bytes += counts.n_bytes;
        }
        Ok(all)
    })
}

/// What a thread reads, and where.
#[derive(Clone, Copy)]
struct Piece<'a> {
    gateway: &'a str,
    start: &'a [u8],
    end: &'a [u8],
}

/// What was read, so that nothing of it is optimised away.
#[derive(Default)]
struct Counts {
    n_rows: u64,
    n_cells: u64,
    n_bytes: u64,
}

impl RowSink for Counts {
    fn row(&mut self, key: &[u8]) {
        self.n_rows += 1;
        self.n_bytes += key.len() as u64;
    }

    fn cell(&mut self, column: &[u8], _: i64, value: &[u8]) {
        self.n_cells += 1;
        self.n_bytes += (column.len() + value.len()) as u64;
    }
}

fn scanner(options: &Options, piece: Piece<'_>) -> Result<Counts, Box<dyn Error>> {
    let client = Client::new(ClientOptions {
        protocol: options.protocol,
        transport: options.transport,
        ..ClientOptions::new([piece.gateway])
    })?;
    let mut counts = Counts::default();
    let range = KeyRange::new(piece.start, piece.end);
    let mut scanner = client.scan(ScanRequest {
        columns: options.columns.clone(),
        page_rows: options.page_rows,
        ..ScanRequest::new(options.table.clone(), range)
    });
    while scanner.next_page(&mut counts)? > 0 {}
    Ok(counts)
}

fn bare(options: &Options, piece: Piece<'_>) -> Result<Counts, Box<dyn Error>> {
    let socket = TcpStream::connect(piece.gateway)?;
    socket.set_nodelay(true)?;
    let (reader, writer) = (socket.try_clone()?, socket);
    let (reader, writer): (Box<dyn TReadTransport>, Box<dyn TWriteTransport>) =
        match options.transport {
            Transport::Buffered => (
                Box::new(TBufferedReadTransport::with_capacity(BUFFER, reader)),
                Box::new(TBufferedWriteTransport::with_capacity(BUFFER, writer)),
            ),
            Transport::Framed => (
                Box::new(TFramedReadTransport::with_capacity(BUFFER, reader)),
                Box::new(TFramedWriteTransport::with_capacity(BUFFER, writer)),
            ),
        };
    match options.protocol {
        Protocol::Binary => bare_loop(
            options,
            piece,
            TBinaryInputProtocol::new(reader, true),
            TBinaryOutputProtocol::new(writer, true),
        ),
        Protocol::Compact => bare_loop(
            options,
            piece,
            TCompactInputProtocol::new(reader),
            TCompactOutputProtocol::new(writer),
        ),
    }
}

fn bare_loop(
    options: &Options,
    piece: Piece<'_>,
    input: impl TInputProtocol,
    output: impl TOutputProtocol,
) -> Result<Counts, Box<dyn Error>> {
    let mut client = HbaseSyncClient::new(input, output);
    let page_rows = options.page_rows.unwrap_or(1000) as i32;
    let columns = options
        .columns
        .iter()
        .map(|column| column.clone().into_bytes());
    let scan = TScan {
        start_row: (!piece.start.is_empty()).then(|| piece.start.to_vec()),
        stop_row: (!piece.end.is_empty()).then(|| piece.end.to_vec()),
        timestamp: None,
        columns: (!options.columns.is_empty()).then(|| columns.collect()),
        caching: Some(page_rows),
        filter_string: None,
        batch_size: None,
        sort_columns: Some(true),
        reversed: None,
        cache_blocks: Some(false),
    };
    let id =
        client.scanner_open_with_scan(options.table.clone().into_bytes(), scan, BTreeMap::new())?;
    let mut counts = Counts::default();
    loop {
        let rows = client.scanner_get_list(id, page_rows)?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            counts.row(row.row.as_deref().unwrap_or_default());
            for column in row.sorted_columns.as_deref().unwrap_or_default() {
                let name = column.column_name.as_deref().unwrap_or_default();
                let value = column.cell.as_ref().and_then(|cell| cell.value.as_deref());
                counts.cell(name, 0, value.unwrap_or_default());
            }
        }
    }
    client.scanner_close(id)?;
    Ok(counts)
}

struct Options {
    is_bare: bool,
    gateways: Vec<String>,
    cuts: Vec<String>,
    table: String,
    columns: Vec<String>,
    page_rows: Option<usize>,
    repeat: usize,
    protocol: Protocol,
    transport: Transport,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            is_bare: false,
            gateways: vec!["localhost:9090".to_owned()],
            cuts: Vec::new(),
            table: String::new(),
            columns: Vec::new(),
            page_rows: None,
            repeat: 3,
            protocol: Protocol::Binary,
            transport: Transport::Buffered,
        };
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value"))?;
            match (name.as_str(), value.as_str()) {
                ("--mode", "bare") => options.is_bare = true,
                ("--mode", "scanner") => options.is_bare = false,
                ("--gateway", _) => options.gateways = list(&value),
                ("--cuts", _) => options.cuts = list(&value),
                ("--table", _) => options.table = value,
                ("--columns", _) => options.columns = list(&value),
                ("--rows", _) => options.page_rows = Some(value.parse()?),
                ("--repeat", _) => options.repeat = value.parse()?,
                ("--protocol", "binary") => options.protocol = Protocol::Binary,
                ("--protocol", "compact") => options.protocol = Protocol::Compact,
                ("--transport", "buffered") => options.transport = Transport::Buffered,
                ("--transport", "framed") => options.transport = Transport::Framed,
                _ => return Err(format!("unknown option {name} {value}").into()),
            }
        }
        match options.table.is_empty() {
            true => Err("--table is needed".into()),
            false => Ok(options),
        }
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::to_owned).collect()
}
