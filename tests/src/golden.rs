//! Runs jobs over imported data, on one process, in process clusters and on separate processes.

use std::path::Path;

use arrow::array::RecordBatch;
use emporia_connectors::write::FileFormat;
use emporia_core::catalog::Catalog;
use emporia_core::error::{Error, Result};
use emporia_core::job::Params;
use emporia_engine::Session;
use emporia_engine::job::{Job, Output};
use emporia_engine::publish::{Destination, Report, publish};
use std::sync::Arc;

use crate::programs::emporia;
use crate::sandbox::cells;

/// The job of the name.
///
/// # Errors
/// Where there is none.
pub fn job(name: &str) -> Result<Arc<dyn Job>> {
    let sql = emporia_sql::builtin_jobs()?
        .into_iter()
        .map(|j| Arc::new(j) as Arc<dyn Job>);
    let mut all = emporia_jobs::all().into_iter().chain(sql);
    all.find(|j| j.spec().name == name)
        .ok_or_else(|| Error::not_found(format!("no job `{name}`")))
}

/// Plans a job with parameters in text form.
///
/// # Errors
/// Of binding and planning.
pub async fn run(
    session: &Session,
    name: &str,
    params: &[(&str, &str)],
) -> Result<Vec<RecordBatch>> {
    let job = job(name)?;
    let given: Vec<_> = params
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let params = Params::bind(job.spec(), &given)?;
    session
        .prepare(job.spec().inputs.iter().map(String::as_str))
        .await?;
    let run = job.run(session, &params).await?;
    match run.outputs.into_iter().next() {
        Some(Output::Table { frame, .. }) => session.collect(frame).await,
        _ => Err(Error::internal(format!(
            "the main output of `{name}` is not one table"
        ))),
    }
}

/// Runs a job and returns the rows of its main output as text.
///
/// # Errors
/// Of the job.
pub async fn rows(
    session: &Session,
    name: &str,
    params: &[(&str, &str)],
) -> Result<Vec<Vec<String>>> {
    let batches = run(session, name, params).await?;
    cells(&batches).map_err(|e| Error::internal(e.to_string()))
}

/// Runs a job and publishes all its outputs below `location`.
///
/// # Errors
/// Of the job and of publishing.
pub async fn submit(
    session: &Session,
    name: &str,
    params: &[(&str, &str)],
    location: &Path,
) -> Result<Report> {
    let job = job(name)?;
    let given: Vec<_> = params
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let params = Params::bind(job.spec(), &given)?;
    session
        .prepare(job.spec().inputs.iter().map(String::as_str))
        .await?;
    let run = job.run(session, &params).await?;
    let destination = Destination::Folder {
        location: format!("file://{}", location.display()),
        format: FileFormat::Parquet,
    };
    publish(session, run, &job.spec().outputs, &destination).await
}

/// Imports a data set with the built program and returns its catalog.
///
/// # Errors
/// With what the program said.
pub fn import(kind: &str, source: &Path, out: &Path) -> Result<Catalog, String> {
    let source = source.display().to_string();
    let target = out.display().to_string();
    let args = ["import", kind, &source, "--out", &target, "--quiet"];
    let output = emporia(out, &args)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Catalog::load(&out.join("emporia.toml")).map_err(|e| e.to_string())
}
