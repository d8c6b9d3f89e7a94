//! From a frame to printed rows or to one file.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, col, ident, lit};
use emporia_core::error::{Error, Result};
use emporia_engine::job::{JobRun, Output};
use emporia_engine::statement::is_query;
use emporia_engine::{Session, query_error};

use crate::args::Format;
use crate::console::{Console, count};
use crate::output::{self, Display, FileTarget, SingleFile, Stdout, Written};
use crate::progress::Progress;

/// Prints the rows of frames to standard output.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    pub(crate) format: Format,
    pub(crate) display: Display,
    pub(crate) console: Console,
    /// Whether the remark on the number of rows says how long it took.
    pub(crate) has_time: bool,
}

impl Printer {
    /// Runs the frame and prints its rows as they come.
    ///
    /// The progress is dropped before the first row, so that the two do not mix on a terminal.
    pub(crate) async fn print(
        &self,
        session: &Session,
        frame: DataFrame,
        mut progress: Option<Progress>,
    ) -> Result<()> {
        let start = Instant::now();
        let stdout = Stdout::for_format(self.format)?;
        let schema = Arc::clone(frame.schema().inner());
        let frame = self.limited(frame)?;
        let mut query = session.start(frame).await?;
        // A query that fails before its first row prints nothing, not even the header.
        let mut next = query.next().await?;
        if output::is_terminal() {
            progress = None;
        }
        let mut writer = output::writer(self.format, &schema, &self.display, Box::new(stdout))?;
        while let Some(batch) = next {
            writer.write(&batch)?;
            next = if writer.is_full() {
                None
            } else {
                query.next().await?
            };
        }
        drop(progress);
        let written = writer.finish()?;
        self.remark(written, start);
        Ok(())
    }

    /// Prints rows that are in memory.
    pub(crate) fn print_batch(&self, batch: &RecordBatch) -> Result<()> {
        let start = Instant::now();
        let written = output::print(self.format, &self.display, batch)?;
        self.remark(written, start);
        Ok(())
    }

    /// A table shows few rows, so the cluster need not make more.
    fn limited(&self, frame: DataFrame) -> Result<DataFrame> {
        match self.display.max_rows {
            Some(max) if self.format == Format::Table && is_query(frame.logical_plan()) => {
                frame.limit(0, Some(max + 1)).map_err(query_error)
            }
            _ => Ok(frame),
        }
    }

    fn remark(&self, written: Written, start: Instant) {
        if self.format != Format::Table {
            return;
        }
        let rows = count(written.rows, "row");
        let time = if self.has_time {
            format!(", {:.2} s", start.elapsed().as_secs_f64())
        } else {
            String::new()
        };
        if written.is_cut {
            let remark = "there are more: --max-rows 0 shows all, --format csv writes all";
            self.console
                .say(format!("(the first {rows}{time}; {remark})"));
        } else {
            self.console.say(format!("({rows}{time})"));
        }
    }
}

/// Runs the frame and writes its rows into one file; returns rows and bytes.
pub(crate) async fn write_file(
    session: &Session,
    frame: DataFrame,
    target: &FileTarget,
    display: &Display,
) -> Result<(u64, u64)> {
    let schema = Arc::clone(frame.schema().inner());
    let mut query = session.start(frame).await?;
    let mut file = SingleFile::create(target, &schema, display)?;
    while let Some(batch) = query.next().await? {
        file.write(&batch)?;
    }
    file.finish()
}

/// The tables of a run by name, each as a frame of its own.
pub(crate) fn tables(run: JobRun) -> Result<Vec<(String, DataFrame)>> {
    let mut tables = Vec::new();
    for output in run.outputs {
        match output {
            Output::Table { name, frame } => tables.push((name, frame)),
            Output::Split {
                frame,
                route,
                branches,
            } => {
                for (index, branch) in branches.into_iter().enumerate() {
                    let index = i32::try_from(index)
                        .map_err(|e| Error::internal("too many tables").with_source(e))?;
                    let columns = branch
                        .columns
                        .iter()
                        .map(|(from, to)| ident(from).alias(to));
                    let table = frame
                        .clone()
                        .filter(col(quoted(&route)).eq(lit(index)))
                        .and_then(|rows| rows.select(columns.collect::<Vec<_>>()))
                        .map_err(query_error)?;
                    tables.push((branch.name, table));
                }
            }
        }
    }
    Ok(tables)
}

/// The rows of a job's output in one order: the job's own, or that of the key. The rows of a plan
/// without tables come from the job itself, which assembled them in order.
pub(super) fn in_order(frame: DataFrame, key: &[String]) -> Result<DataFrame> {
    let plan = frame.logical_plan();
    let has_order = matches!(plan, LogicalPlan::Sort(_) | LogicalPlan::Limit(_));
    let reads_tables = plan
        .exists(|node| Ok(matches!(node, LogicalPlan::TableScan(_))))
        .map_err(query_error)?;
    let has_key = key
        .iter()
        .all(|name| plan.schema().field_with_unqualified_name(name).is_ok());
    if has_order || !reads_tables || key.is_empty() || !has_key {
        return Ok(frame);
    }
    let by_key = key.iter().map(|name| ident(name).sort(true, false));
    frame.sort(by_key.collect()).map_err(query_error)
}

/// A column name that keeps its case.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int32Array, StringArray};
    use datafusion::prelude::SessionContext;
    use emporia_engine::job::Branch;

    use super::*;

    #[tokio::test]
    async fn a_split_is_printed_as_its_tables() -> Result<()> {
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "Route",
                Arc::new(Int32Array::from(vec![Some(0), Some(1), None, Some(0)])),
            ),
            ("a", Arc::new(StringArray::from(vec!["x", "y", "z", "w"]))),
            ("b", Arc::new(Int32Array::from(vec![1, 2, 3, 4]))),
        ];
        let batch = RecordBatch::try_from_iter(columns)
            .map_err(|e| Error::internal("bad batch").with_source(e))?;
        let frame = SessionContext::new()
            .read_batch(batch)
            .map_err(query_error)?;
        let branch = |name: &str, from: &str, to: &str| Branch {
            name: name.to_owned(),
            columns: vec![(from.to_owned(), to.to_owned())],
        };
        let branches = vec![branch("good", "a", "name"), branch("bad", "b", "number")];
        let output = Output::Split {
            frame,
            route: "Route".to_owned(),
            branches,
        };
        let run = JobRun {
            outputs: vec![output],
            notes: Vec::new(),
            checks: Vec::new(),
            tally: None,
        };
        let mut found = Vec::new();
        for (name, frame) in tables(run)? {
            let columns: Vec<_> = frame
                .schema()
                .fields()
                .iter()
                .map(|f| f.name().clone())
                .collect();
            found.push((name, columns, frame.count().await.map_err(query_error)?));
        }
        let expected = [
            ("good".to_owned(), vec!["name".to_owned()], 2),
            ("bad".to_owned(), vec!["number".to_owned()], 1),
        ];
        assert_eq!(found, expected);
        Ok(())
    }
}
