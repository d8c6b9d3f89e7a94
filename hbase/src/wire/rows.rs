//! The rows of a reply.
//!
//! Reading a reply and handing it out are two steps, so that a sink never sees a row of a reply
//! that turns out to be cut or malformed. Between them stand only positions: no bytes are copied
//! and, but for growth, nothing is allocated.

use super::input::{Input, Span};
use super::token::{Kind, expect};
use crate::fault::{Fault, Result};
use crate::sink::RowSink;

/// The rows of one reply, as positions in it.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: Vec<Row>,
    cells: Vec<Cell>,
}

#[derive(Debug)]
struct Row {
    key: Span,
    /// Number of the cells of this row and of all rows before it.
    cells_end: usize,
}

#[derive(Debug, Default)]
struct Cell {
    column: Span,
    timestamp: i64,
    value: Span,
}

impl Rows {
    /// Reads a `list<TRowResult>`.
    pub(crate) fn read(&mut self, input: &mut Input, kind: Kind) -> Result<()> {
        self.rows.clear();
        self.cells.clear();
        expect(Kind::List, kind)?;
        let (element, n_rows) = input.list()?;
        for _ in 0..n_rows {
            expect(Kind::Struct, element)?;
            self.row(input)?;
        }
        Ok(())
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Keys of the rows, in the order of the reply.
    pub(crate) fn keys<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.rows.iter().map(|row| row.key.of(bytes))
    }

    /// Hands the rows out; `bytes` are those of the reply.
    pub(crate) fn emit(&self, bytes: &[u8], sink: &mut dyn RowSink) {
        let mut start = 0;
        for row in &self.rows {
            sink.row(row.key.of(bytes));
            for cell in &self.cells[start..row.cells_end] {
                sink.cell(cell.column.of(bytes), cell.timestamp, cell.value.of(bytes));
            }
            start = row.cells_end;
        }
    }

    /// A `TRowResult`: the key, and the cells as a list or as a map.
    fn row(&mut self, input: &mut Input) -> Result<()> {
        let mut key = None;
        let mut id = 0;
        loop {
            match (input.field(&mut id)?, id) {
                (Kind::Stop, _) => break,
                (Kind::Binary, 1) => key = Some(input.binary()?),
                (Kind::Map, 2) => {
                    let (column, cell, n_cells) = input.map()?;
                    for _ in 0..n_cells {
                        expect(Kind::Binary, column)?;
                        expect(Kind::Struct, cell)?;
                        let column = input.binary()?;
                        self.cells.push(value(input, column)?);
                    }
                }
                (Kind::List, 3) => {
                    let (element, n_cells) = input.list()?;
                    for _ in 0..n_cells {
                        expect(Kind::Struct, element)?;
                        self.cells.push(column(input)?);
                    }
                }
                (kind, _) => input.skip(kind)?,
            }
        }
        let key = key.ok_or_else(|| Fault::malformed("a row without key"))?;
        self.rows.push(Row {
            key,
            cells_end: self.cells.len(),
        });
        Ok(())
    }
}

/// A `TColumn`: the name and the cell.
#[inline]
fn column(input: &mut Input) -> Result<Cell> {
    let mut name = None;
    let mut cell = None;
    let mut id = 0;
    loop {
        match (input.field(&mut id)?, id) {
            (Kind::Stop, _) => break,
            (Kind::Binary, 1) => name = Some(input.binary()?),
            (Kind::Struct, 2) => cell = Some(value(input, Span::default())?),
            (kind, _) => input.skip(kind)?,
        }
    }
    match (name, cell) {
        (Some(column), Some(cell)) => Ok(Cell { column, ..cell }),
        _ => Err(Fault::malformed("a column without name or cell")),
    }
}

/// A `TCell`: value and timestamp.
#[inline]
fn value(input: &mut Input, column: Span) -> Result<Cell> {
    let mut cell = Cell {
        column,
        ..Cell::default()
    };
    let mut id = 0;
    loop {
        match (input.field(&mut id)?, id) {
            (Kind::Stop, _) => return Ok(cell),
            (Kind::Binary, 1) => cell.value = input.binary()?,
            (Kind::I64, 2) => cell.timestamp = input.i64()?,
            (kind, _) => input.skip(kind)?,
        }
    }
}
