//! Aligned columns for reading.
//!
//! Numbers end in the same column, floats are rounded to six digits, wide texts are cut. A query
//! plan is shown as it is, because its line breaks are its meaning.

use std::io::Write;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use emporia_core::error::Result;

use super::columns::{Prepared, is_number};
use super::{Display, RowWriter, Written, write_failed};

const CUT: char = '…';
/// Digits of a float.
const FLOAT_DIGITS: i32 = 6;

/// Collects rows and prints them at the end, when the widths are known.
pub(super) struct TableWriter<'a> {
    heads: Vec<Head>,
    rows: Vec<Vec<String>>,
    max_rows: Option<usize>,
    max_width: usize,
    null: String,
    is_plan: bool,
    is_cut: bool,
    sink: Box<dyn Write + Send + 'a>,
}

struct Head {
    name: String,
    is_number: bool,
    is_float: bool,
}

impl<'a> TableWriter<'a> {
    pub(super) fn new(
        schema: &SchemaRef,
        display: &Display,
        sink: Box<dyn Write + Send + 'a>,
    ) -> Self {
        let is_plan = is_plan(schema);
        let heads = schema.fields().iter().map(|field| Head {
            name: field.name().clone(),
            is_number: is_number(field),
            is_float: field.data_type().is_floating(),
        });
        Self {
            heads: heads.collect(),
            rows: Vec::new(),
            max_rows: display.max_rows.filter(|_| !is_plan),
            max_width: display.max_width.unwrap_or(usize::MAX),
            null: display.null.clone(),
            is_plan,
            is_cut: false,
            sink,
        }
    }

    fn table(&self) -> String {
        let cells = |index: usize| self.rows.iter().filter_map(move |row| row.get(index));
        let widths: Vec<usize> = self
            .heads
            .iter()
            .enumerate()
            .map(|(index, head)| {
                cells(index)
                    .map(|c| width(c))
                    .fold(width(&head.name), usize::max)
            })
            .collect();
        let mut text = String::new();
        let names: Vec<_> = self.heads.iter().map(|head| head.name.clone()).collect();
        self.line(&names, &widths, &mut text);
        let dashes: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
        text.push_str(&dashes.join("-+-"));
        text.push('\n');
        for row in &self.rows {
            self.line(row, &widths, &mut text);
        }
        text
    }

    fn line(&self, cells: &[String], widths: &[usize], text: &mut String) {
        let mut line = String::new();
        for (index, ((cell, width_of_column), head)) in
            cells.iter().zip(widths).zip(&self.heads).enumerate()
        {
            if index > 0 {
                line.push_str(" | ");
            }
            let blanks = " ".repeat(width_of_column.saturating_sub(width(cell)));
            if head.is_number {
                line.push_str(&blanks);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&blanks);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }

    fn plan(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            for (index, cell) in row.iter().enumerate() {
                let prefix = if index == 0 { "-- " } else { "" };
                text.push_str(&format!("{prefix}{}\n", cell.trim_end()));
            }
        }
        text
    }
}

impl RowWriter for TableWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let left = self
            .max_rows
            .map_or(usize::MAX, |max| max - self.rows.len());
        self.is_cut |= batch.num_rows() > left;
        let prepared = Prepared::new(batch);
        let mut columns = prepared.columns(batch)?;
        for row in 0..batch.num_rows().min(left) {
            let mut cells = Vec::with_capacity(columns.len());
            for (column, head) in columns.iter_mut().zip(&self.heads) {
                let value = column.value(row)?;
                cells.push(match value {
                    None => self.null.clone(),
                    Some(value) if self.is_plan => value,
                    Some(value) if head.is_float => rounded(value),
                    Some(value) => cut(&value, self.max_width),
                });
            }
            self.rows.push(cells);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Written> {
        let text = if self.is_plan {
            self.plan()
        } else {
            self.table()
        };
        self.sink.write_all(text.as_bytes()).map_err(write_failed)?;
        self.sink.flush().map_err(write_failed)?;
        Ok(Written {
            rows: self.rows.len() as u64,
            is_cut: self.is_cut,
        })
    }

    fn is_full(&self) -> bool {
        self.is_cut
    }
}

/// Whether the rows are the answer to EXPLAIN.
fn is_plan(schema: &Schema) -> bool {
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    names == ["plan_type", "plan"]
}

/// A float with six digits, or as it is where that would hide its size.
fn rounded(exact: String) -> String {
    let Ok(value) = exact.parse::<f64>() else {
        return exact;
    };
    if value == 0.0 || !value.is_finite() || !(1e-4..1e15).contains(&value.abs()) {
        return exact;
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = (FLOAT_DIGITS - 1 - magnitude).clamp(0, 9) as usize;
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One line of at most `max_width` columns.
fn cut(value: &str, max_width: usize) -> String {
    let line = value
        .replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\t', "\\t");
    let line = if value.contains(['\n', '\r', '\t']) {
        line
    } else {
        value.to_owned()
    };
    if width(&line) <= max_width {
        return line;
    }
    let mut kept = String::new();
    for c in line.chars() {
        if width(&kept) + char_width(c) > max_width - 1 {
            break;
        }
        kept.push(c);
    }
    kept.push(CUT);
    kept
}

/// Columns that a text takes on a terminal.
fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Two for the wide scripts of East Asia and for pictures, none for marks on other letters.
fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036F | 0x200B..=0x200D | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1F64F
        | 0x1F900..=0x1F9FF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_six_digits() {
        let check = |exact: &str, expected: &str| assert_eq!(rounded(exact.to_owned()), expected);
        check("0.4123456789", "0.412346");
        check("12.5", "12.5");
        check("100.0", "100");
        check("1234567.891", "1234568");
        check("0.0", "0.0");
        check("1e-9", "1e-9");
        check("NaN", "NaN");
        check("-0.05", "-0.05");
    }

    #[test]
    fn wide_texts_are_cut_to_one_line() {
        assert_eq!(cut("a\nb", 20), "a\\nb");
        assert_eq!(cut("a\\b", 20), "a\\b");
        let long = cut(&"x".repeat(60), 20);
        assert_eq!((width(&long), long.ends_with(CUT)), (20, true));
        let wide = cut(&"東".repeat(60), 20);
        assert!(width(&wide) <= 20, "{wide}");
    }
}
