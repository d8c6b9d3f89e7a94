//! Standard output: the only place that writes there.

use std::io::{self, BufWriter, IsTerminal, Write};

use emporia_core::error::{Error, Result};

use crate::args::Format;
use crate::exit::StdoutClosed;

/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 64 * 1024;
/// Characters of a line where there is no terminal to ask.
const DEFAULT_LINE_WIDTH: usize = 100;

/// Buffered standard output; flushed by its user, so that an error is seen.
pub(crate) struct Stdout(BufWriter<io::Stdout>);

impl Stdout {
    pub(crate) fn new() -> Self {
        Self(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()))
    }

    /// Standard output for rows of a form.
    ///
    /// # Errors
    /// `InvalidInput` for bytes that would only disturb a terminal.
    pub(crate) fn for_format(format: Format) -> Result<Self> {
        if format == Format::Parquet && is_terminal() {
            return Err(Error::invalid("Parquet is not for a terminal")
                .with_hint("write it with --output FILE.parquet, or redirect the output"));
        }
        Ok(Self::new())
    }
}

/// Characters of a line of standard output.
pub(crate) fn line_width() -> usize {
    match terminal_size::terminal_size_of(io::stdout()) {
        Some((width, _)) => width.0.into(),
        None => DEFAULT_LINE_WIDTH,
    }
}

/// Whether a person looks at standard output.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(mark_closed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(mark_closed)
    }
}

/// Marks the one I/O error that is not a failure of the program.
fn mark_closed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::BrokenPipe, StdoutClosed),
        _ => error,
    }
}

/// Prints one line to standard output.
pub(crate) fn print_line(line: &str) -> Result<()> {
    let mut stdout = Stdout::new();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(super::write_failed)
}
