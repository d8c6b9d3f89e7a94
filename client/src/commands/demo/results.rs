//! The folder of the demonstration: result sets, their CSV copies and a catalog of everything.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::prelude::DataFrame;
use emporia_core::catalog::{Catalog, TableDef};
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::location::Location;
use emporia_engine::{EngineOptions, Session, Target};

use super::super::rows::write_file;
use crate::args::Format;
use crate::output::{Display, FileTarget};

/// Larger tables get no CSV copy.
const MAX_CSV_ROWS: u64 = 100_000;

/// What one job made.
pub(super) struct JobResult {
    pub(super) job: String,
    /// Tables with their numbers of rows, the main one first.
    pub(super) tables: Vec<(String, u64)>,
}

/// All results so far.
pub(super) struct Results {
    folder: PathBuf,
    /// The data and the results.
    catalog: Catalog,
}

impl Results {
    /// No results yet; `catalog` has the data.
    pub(super) fn new(folder: PathBuf, catalog: Catalog) -> Self {
        Self { folder, catalog }
    }

    /// The data and the results so far.
    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Folder of the result set of a job.
    pub(super) fn job_folder(&self, job: &str) -> PathBuf {
        self.folder.join("results").join(job)
    }

    /// Makes the tables of a job known under their own names.
    ///
    /// # Errors
    /// `AlreadyExists` where two jobs make tables of one name.
    pub(super) fn add(&mut self, result: &JobResult) -> Result<()> {
        for (table, _) in &result.tables {
            let path = self.job_folder(&result.job).join(table);
            let definition = TableDef::new("parquet", Location::local(&path)?.to_string());
            if self
                .catalog
                .tables
                .insert(table.clone(), definition)
                .is_some()
            {
                let message = format!("there are two tables `{table}`");
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
        }
        Ok(())
    }

    /// The rows of a table, read in this process and in the order in which they were written.
    pub(super) async fn frame(&self, table: &str) -> Result<(Session, DataFrame)> {
        let options = EngineOptions {
            target_partitions: 1,
            ..EngineOptions::default()
        };
        let session = Session::open(
            self.catalog.clone(),
            Target::SingleProcess,
            &options,
            &Arc::default(),
        )?;
        let frame = session.table(table).await?;
        Ok((session, frame))
    }

    /// All rows of a table.
    pub(super) async fn rows(&self, table: &str) -> Result<Vec<RecordBatch>> {
        let (session, frame) = self.frame(table).await?;
        session.collect(frame).await
    }

    /// Writes each table of a job as `csv/<job>.<table>.csv`; returns those that are too large.
    pub(super) async fn write_csv(&self, result: &JobResult) -> Result<Vec<String>> {
        let mut too_large = Vec::new();
        for (table, rows) in &result.tables {
            let name = format!("{}.{table}", result.job);
            if *rows > MAX_CSV_ROWS {
                too_large.push(name);
                continue;
            }
            let path = self.folder.join("csv").join(format!("{name}.csv"));
            let (session, frame) = self.frame(table).await?;
            let target = FileTarget {
                path,
                format: Format::Csv,
            };
            write_file(&session, frame, &target, &Display::default()).await?;
        }
        Ok(too_large)
    }

    /// Writes `emporia.toml` with the data and the results, relative to the folder.
    pub(super) fn write_catalog(&self) -> Result<()> {
        let mut catalog = self.catalog.clone();
        for table in catalog.tables.values_mut() {
            if let Some(relative) = relative(&table.location, &self.folder) {
                table.location = relative;
            }
        }
        let path = self.folder.join("emporia.toml");
        std::fs::write(&path, catalog.to_toml()?).map_err(|e| {
            Error::new(
                ErrorKind::Failed,
                format!("cannot write `{}`", path.display()),
            )
            .with_source(e)
        })
    }
}

fn relative(location: &str, folder: &Path) -> Option<String> {
    let location = Location::parse(location, None).ok()?;
    let path = location.local_path()?;
    let relative = path.strip_prefix(folder).ok()?.to_str()?.to_owned();
    // A path forgets the slash that marks a folder.
    Some(if location.is_folder() {
        format!("{relative}/")
    } else {
        relative
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_can_be_moved_with_its_folder() {
        let check = |location: &str| relative(location, Path::new("/x/demo"));
        assert_eq!(
            check("file:///x/demo/data/users/").as_deref(),
            Some("data/users/")
        );
        assert_eq!(
            check("file:///x/demo/results/clv").as_deref(),
            Some("results/clv")
        );
        assert_eq!(
            relative(
                "file:///10%25 off #1/demo/a%25b",
                Path::new("/10% off #1/demo")
            )
            .as_deref(),
            Some("a%b")
        );
        assert_eq!(check("file:///y/users/"), None);
        assert_eq!(check("hdfs://n:1/x/demo/users"), None);
    }
}
