//! Errors of damaged pages name their file. Arrow's reader says what is wrong, but not where.

use std::error::Error as StdError;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::error::DataFusionError;
use datafusion_datasource::morsel::{Morsel, MorselPlan, MorselPlanner, Morselizer};
use emporia_core::error::{Error, ErrorKind};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use crate::error::{DAMAGED_FILES, causes, known, parquet_text, to_datafusion};

/// Reads files as the one within does.
#[derive(Debug)]
pub(super) struct NamedFiles(pub(super) Box<dyn Morselizer>);

impl Morselizer for NamedFiles {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        let path: Arc<str> = file.object_meta.location.as_ref().into();
        let planner = self.0.plan_file(file);
        let inner = planner.map_err(|e| in_file(&path, e))?;
        Ok(Box::new(Named { inner, path }))
    }
}

/// What reads a part of the file at a path of its store.
#[derive(Debug)]
struct Named<T: ?Sized> {
    path: Arc<str>,
    inner: Box<T>,
}

impl<T: ?Sized> Named<T> {
    fn of(path: &Arc<str>, inner: Box<T>) -> Box<Self> {
        let path = Arc::clone(path);
        Box::new(Self { path, inner })
    }
}

impl MorselPlanner for Named<dyn MorselPlanner> {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let Self { path, inner } = *self;
        let Some(mut plan) = inner.plan().map_err(|e| in_file(&path, e))? else {
            return Ok(None);
        };
        let morsels = plan.take_morsels().into_iter();
        let planners = plan.take_ready_planners().into_iter();
        let mut named = MorselPlan::new()
            .with_morsels(morsels.map(|m| Named::of(&path, m) as _).collect())
            .with_planners(planners.map(|p| Named::of(&path, p) as _).collect());
        if let Some(pending) = plan.take_pending_planner() {
            named.set_pending_planner(async move {
                let inner = pending.await.map_err(|e| in_file(&path, e))?;
                Ok(Named::of(&path, inner) as _)
            });
        }
        Ok(Some(named))
    }
}

impl Morsel for Named<dyn Morsel> {
    fn into_stream(self: Box<Self>) -> BoxStream<'static, Result<RecordBatch>> {
        let Self { path, inner } = *self;
        let rows = inner.into_stream();
        rows.map_err(move |e| in_file(&path, e)).boxed()
    }
}

/// The error with the name of the file, if it is one of what the file holds.
fn in_file(path: &str, error: DataFusionError) -> DataFusionError {
    if known(&error).is_some() {
        return error;
    }
    let Some(reason) = causes(&error).filter_map(reason).last() else {
        return error;
    };
    let text = format!("cannot read the file `/{path}`: {reason}");
    to_datafusion(Error::new(ErrorKind::Corrupt, text).with_hint(DAMAGED_FILES))
}

/// What a reader of Parquet says.
fn reason(cause: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(ArrowError::ParquetError(text)) = cause.downcast_ref() {
        return Some(without_class(text).to_owned());
    }
    let text = parquet_text(cause.downcast_ref()?);
    Some(without_class(&text).to_owned())
}

fn without_class(text: &str) -> &str {
    let text = text.strip_prefix("Parquet error: ").unwrap_or(text);
    text.strip_prefix("External: ").unwrap_or(text)
}
