//! Results in files: a folder with a manifest of the current run.

use std::collections::{BTreeMap, HashMap};
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use emporia_connectors::files::{Location, result_schema};
use emporia_connectors::location::within;
use emporia_connectors::published::{
    DataFile, Head, PublishedOutput, ResultSet, discard_run, storage_error,
};
use emporia_connectors::write::{
    FileFormat, FileSink, SinkSpec, check_names, check_storable, written_type,
};
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::location as text;
use futures::TryStreamExt;
use object_store::ObjectStore;

use super::{Change, Existing, Written, WrittenTable};
use crate::session::Session;

/// Pauses before the files of a failed run are removed, again and again: a task that was told to stop
/// may just have been closing its file.
const PAUSES: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(700),
];

/// A run in a result folder.
pub(super) struct Files {
    place: Location,
    /// What a user calls the folder.
    shown: String,
    store: Arc<dyn ObjectStore>,
    format: FileFormat,
    run_id: String,
    /// What the run does to the main table; without it, the run replaces the whole result.
    change: Option<Change>,
    before: Head,
}

impl Files {
    /// Looks at what is there; `format` is that of new tables.
    pub(super) async fn begin(
        session: &Session,
        location: &str,
        change: Option<Change>,
        format: FileFormat,
    ) -> Result<Self> {
        let location = text::Location::parse(location, None)?;
        let place = Location::of(&location)?;
        let store = place.open(&session.context().state())?;
        let before = Head::load(store.as_ref(), &place.path).await?;
        let mut files = Self {
            place,
            shown: location.shown().trim_end_matches('/').to_owned(),
            store,
            format,
            run_id: before.new_run_id(),
            change,
            before,
        };
        files.check_change()?;
        Ok(files)
    }

    fn check_change(&mut self) -> Result<()> {
        let location = &self.shown;
        match (&self.change, self.before.result()) {
            (Some(Change::Create { existing, .. }), Some(_)) if *existing == Existing::Keep => {
                let text = format!("there is a table at `{location}` already");
                Err(Error::new(ErrorKind::AlreadyExists, text))
            }
            (Some(Change::Rewrite { of }), Some(before)) if *of != before.run_id => {
                let text =
                    format!("cannot change `{location}`: another job did while this one ran");
                Err(Error::new(ErrorKind::Failed, text)
                    .with_hint("the rows of the other job are there; run the statement again"))
            }
            (Some(Change::Overwrite | Change::Rewrite { .. } | Change::Append), None) => Err(
                Error::not_found(format!("there is no table at `{location}`"))
                    .with_hint("it was dropped while the statement ran"),
            ),
            (Some(Change::Overwrite | Change::Rewrite { .. } | Change::Append), Some(before)) => {
                let main = before.outputs.get(&before.main);
                let format = main.and_then(|main| FileFormat::parse(&main.format));
                self.format = format.ok_or_else(|| {
                    let text = format!("the result at `{location}` has no main table");
                    Error::new(ErrorKind::Corrupt, text)
                })?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks that the result can hold rows of this schema.
    pub(super) fn check(&self, schema: &Schema) -> Result<()> {
        match self.change {
            Some(_) => check_storable(schema)?,
            None => check_names(schema)?,
        }
        match (&self.change, self.before.result()) {
            (Some(Change::Overwrite | Change::Rewrite { .. } | Change::Append), Some(before)) => {
                self.check_columns(before, schema)
            }
            _ => Ok(()),
        }
    }

    /// Checks that rows of this schema have the columns of the main table, which stay what they are.
    fn check_columns(&self, before: &ResultSet, schema: &Schema) -> Result<()> {
        let Some(main) = before.outputs.get(&before.main) else {
            return Ok(());
        };
        let table = result_schema(&self.place.path, main)?;
        let is_same = |column: &Field| {
            let found = schema.field_with_name(column.name());
            found.is_ok_and(|found| is_same_type(found.data_type(), column.data_type()))
        };
        let other = table.fields().iter().find(|column| !is_same(column));
        let more = schema.fields().iter();
        let mut more = more.filter(|f| table.field_with_name(f.name()).is_err());
        let Some(column) = other.or_else(|| more.next()) else {
            return Ok(());
        };
        Err(Error::invalid(format!(
            "rows cannot be added to `{}`: its column `{}` is another one in the table, or is not there",
            self.shown,
            column.name()
        ))
        .with_hint("leave out `columns` in the catalog, so that the table has the columns of its result"))
    }

    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    pub(super) fn sink(&self) -> SinkSpec {
        SinkSpec::Files(FileSink {
            store: self.place.store.as_str().to_owned(),
            base: self.place.path.to_string(),
            format: self.format,
        })
    }

    pub(super) fn name_of(&self, output: &str) -> String {
        match self.change {
            Some(_) => self.shown.clone(),
            None => format!("{}/{output}", self.shown),
        }
    }

    pub(super) async fn publish(self, written: &Written) -> Result<()> {
        if let Err(error) = self.check_files(written).await {
            if let Err(left) = self.discard().await {
                tracing::warn!(error = %left, "the failed run could not be removed");
            }
            return Err(error);
        }
        let (main, outputs) = self.outputs(written)?;
        let result = ResultSet {
            run_id: self.run_id,
            previous: None,
            main,
            outputs,
        };
        let (store, base) = (self.store.as_ref(), &self.place.path);
        self.before.publish(store, base, result).await
    }

    /// The outputs of the result with the run, and the name of the main one.
    fn outputs(&self, written: &Written) -> Result<(String, BTreeMap<String, PublishedOutput>)> {
        let output = |table: &WrittenTable| PublishedOutput {
            format: self.format.as_str().to_owned(),
            columns: table.columns.clone(),
            required: Vec::new(),
            files: table.parts.clone(),
        };
        let tables = written.tables.iter();
        let mut outputs: BTreeMap<_, _> = tables.map(|(n, t)| (n.clone(), output(t))).collect();
        let main = written.order.first().cloned().unwrap_or_default();
        match &self.change {
            None => Ok((main, outputs)),
            Some(Change::Create { required, .. }) => {
                if let Some(table) = outputs.get_mut(&main) {
                    table.required.clone_from(required);
                }
                Ok((main, outputs))
            }
            Some(change) => {
                let files = outputs.remove(&main).map(|table| table.files);
                self.changed(change, files.unwrap_or_default())
            }
        }
    }

    /// The outputs that were there with `files` in the main one.
    fn changed(
        &self,
        change: &Change,
        files: Vec<DataFile>,
    ) -> Result<(String, BTreeMap<String, PublishedOutput>)> {
        let before = self.before.result().cloned().unwrap_or_default();
        let mut outputs = before.outputs;
        let Some(table) = outputs.get_mut(&before.main) else {
            return Err(Error::internal("a table without columns was changed"));
        };
        if *change != Change::Append {
            table.files.clear();
        }
        table.files.extend(files);
        Ok((before.main, outputs))
    }

    /// Checks that this process sees what the tasks wrote: else readers would miss it.
    async fn check_files(&self, written: &Written) -> Result<()> {
        let files: Vec<_> = written.tables.values().flat_map(|t| &t.parts).collect();
        if files.is_empty() {
            return Ok(());
        }
        let base = &self.place.path;
        let run = base.clone().join(format!("run-{}", self.run_id));
        let found: Vec<_> = self
            .store
            .list(Some(&run))
            .try_collect()
            .await
            .map_err(|e| storage_error("list", &run, e))?;
        let sizes: HashMap<_, _> = found.into_iter().map(|o| (o.location, o.size)).collect();
        let size = |file: &DataFile| sizes.get(&within(base, &file.path).ok()?);
        let is_seen = |file: &&&DataFile| size(file) == Some(&file.bytes);
        let n_seen = files.iter().filter(is_seen).count();
        if n_seen == files.len() {
            return Ok(());
        }
        // The job that won removes what is older than its own run.
        self.before.check(self.store.as_ref(), base).await?;
        let text = format!(
            "of {} files that the executors wrote to `{}` this process sees {n_seen}",
            files.len(),
            self.shown
        );
        Err(Error::new(ErrorKind::Failed, text).with_hint(
            "all processes must see one folder under this name; for the tables of CREATE TABLE set \
             `warehouse` in the catalog file, for example to a folder on HDFS",
        ))
    }

    /// Why the run failed: where another job won, it removed the files that this one was writing.
    pub(super) async fn reason(&self, error: Error) -> Error {
        let may_follow = matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::Unavailable | ErrorKind::Failed
        );
        if !may_follow {
            return error;
        }
        match self
            .before
            .check(self.store.as_ref(), &self.place.path)
            .await
        {
            Err(superseded) if superseded.kind() == ErrorKind::Failed => {
                superseded.with_source(error)
            }
            _ => error,
        }
    }

    pub(super) async fn discard(&self) -> Result<()> {
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            discard_run(self.store.as_ref(), &self.place.path, &self.run_id).await?;
        }
        Ok(())
    }
}

/// Whether rows of type `written` are of type `recorded`. What is inside of lists and structs was cast to
/// the type of the table, but for its nulls.
fn is_same_type(written: &DataType, recorded: &DataType) -> bool {
    let recorded = written_type(recorded);
    let is_same_kind = discriminant(written) == discriminant(&recorded);
    *written == recorded || (recorded.is_nested() && is_same_kind)
}

#[cfg(test)]
mod tests {
    use emporia_core::catalog::Catalog;

    use super::*;
    use crate::publish::{RESULT_OUTPUT, publish_no_rows};
    use crate::{EngineOptions, Target};

    fn session() -> Result<Session> {
        let options = EngineOptions::default();
        let stores = Arc::default();
        Session::open(Catalog::default(), Target::SingleProcess, &options, &stores)
    }

    /// One output of these files.
    fn written(parts: Vec<DataFile>) -> Written {
        let table = WrittenTable {
            columns: vec![("a".to_owned(), "Int32".to_owned())],
            parts,
        };
        let output = RESULT_OUTPUT.to_owned();
        Written {
            order: vec![output.clone()],
            tables: [(output, table)].into(),
            ..Written::default()
        }
    }

    async fn begin(location: &str, change: Option<Change>) -> Result<Files> {
        Files::begin(&session()?, location, change, FileFormat::Parquet).await
    }

    #[tokio::test]
    async fn files_that_only_executors_see_are_no_result() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}", folder.path().display());
        let files = begin(&location, None).await?;
        let part = DataFile {
            path: "run-1/rows/part-0.parquet".to_owned(),
            rows: 1,
            bytes: 4,
        };
        let error = files.publish(&written(vec![part])).await.unwrap_err();
        assert!(
            error
                .message()
                .starts_with("of 1 files that the executors wrote")
        );
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("`warehouse`"))
        );
        assert!(!folder.path().join("_current").exists());
        assert!(!folder.path().join("_commits").exists());
        Ok(())
    }

    #[tokio::test]
    async fn of_two_runs_that_add_rows_at_once_one_fails() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}/t", folder.path().display());
        assert!(begin(&location, Some(Change::Append)).await.is_err());
        let schema = Schema::new(vec![Field::new("a", DataType::Int32, true)]);
        let create = |existing| Change::Create {
            required: Vec::new(),
            existing,
        };
        let session = session()?;
        publish_no_rows(&session, &location, create(Existing::Keep), &schema).await?;
        let again = publish_no_rows(&session, &location, create(Existing::Keep), &schema).await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
        publish_no_rows(&session, &location, create(Existing::Replace), &schema).await?;

        let of = |run: &str| Some(Change::Rewrite { of: run.to_owned() });
        let error = begin(&location, of("1")).await.err().unwrap();
        assert!(error.message().contains("another job did"), "{error}");
        let run = begin(&location, Some(Change::Append)).await?;
        let run = run.before.result().map(|result| result.run_id.clone());
        begin(&location, of(&run.unwrap_or_default())).await?;

        let first = begin(&location, Some(Change::Append)).await?;
        first.check(&schema)?;
        for columns in [
            vec![Field::new("a", DataType::Int64, true)],
            vec![Field::new("b", DataType::Int32, true)],
            vec![
                schema.field(0).clone(),
                Field::new("b", DataType::Int32, true),
            ],
        ] {
            let error = first.check(&Schema::new(columns)).unwrap_err();
            assert!(error.message().contains("rows cannot be added"), "{error}");
        }
        let second = begin(&location, Some(Change::Append)).await?;
        second.publish(&written(Vec::new())).await?;
        // The files of the first are gone then, so that its tasks may fail as well.
        let gone = || Error::not_found("no such file");
        let error = first.reason(gone()).await;
        assert!(error.message().contains("another job did"), "{error}");
        let error = first.reason(Error::invalid("division by zero")).await;
        assert_eq!(error.message(), "division by zero");
        let last = begin(&location, Some(Change::Append)).await?;
        assert_eq!(last.reason(gone()).await.message(), "no such file");
        let error = first.publish(&written(Vec::new())).await.unwrap_err();
        assert!(error.message().contains("another job did"), "{error}");
        Ok(())
    }
}
