//! The rows of one branch of one task, on their way to wherever the branch goes.

use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::execution::TaskContext;

use super::file::FileWriter;
use super::{SinkSpec, WriteBranch, WrittenPart, written_type};
use crate::error::to_datafusion;
use crate::hbase::HBaseWriter;
use crate::location::store_of;
use crate::mongodb::CollectionWriter;
use crate::published::output_folder;
use crate::stores::Stores;

/// Writes the columns of one branch.
pub(super) struct BranchWriter {
    columns: Vec<usize>,
    schema: SchemaRef,
    sink: Sink,
    rows: u64,
}

enum Sink {
    File(Box<FileWriter>),
    HBase(Box<HBaseWriter>),
    Collection(Box<CollectionWriter>),
}

impl BranchWriter {
    pub(super) async fn open(
        run_id: &str,
        branch: &WriteBranch,
        input: &Schema,
        context: &TaskContext,
    ) -> Result<Self> {
        let mut columns = Vec::with_capacity(branch.columns.len());
        let mut fields = Vec::with_capacity(branch.columns.len());
        for (column, name) in &branch.columns {
            let index = input.index_of(column)?;
            columns.push(index);
            let field = input.field(index).clone().with_name(name.as_str());
            fields.push(field.with_data_type(written_type(input.field(index).data_type())));
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let sink = match &branch.sink {
            SinkSpec::Files(spec) => {
                let store = store_of(&spec.store)?;
                let store = context.runtime_env().object_store(store)?;
                let folder = output_folder(run_id, &branch.output);
                Sink::File(Box::new(FileWriter::new(spec, &folder, store)?))
            }
            SinkSpec::HBase(spec) => {
                let client = Stores::of_task(context)
                    .and_then(|stores| stores.hbase())
                    .map_err(to_datafusion)?;
                Sink::HBase(Box::new(HBaseWriter::open(&client, spec, &schema)?))
            }
            SinkSpec::Collection(target) => {
                let stores = Stores::of_task(context).map_err(to_datafusion)?;
                let writer = CollectionWriter::open(&stores, target, &schema);
                Sink::Collection(Box::new(writer.await?))
            }
        };
        Ok(Self {
            columns,
            schema,
            sink,
            rows: 0,
        })
    }

    /// Appends the rows of `batch`, or those of them that `mask` takes.
    pub(super) async fn write(
        &mut self,
        batch: &RecordBatch,
        mask: Option<&BooleanArray>,
    ) -> Result<()> {
        // Columns of other branches can be wide; they are not copied by the filter.
        let mut rows = batch.project(&self.columns)?;
        if let Some(mask) = mask {
            rows = filter_record_batch(&rows, mask)?;
        }
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let columns = rows.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.rows += rows.num_rows() as u64;
        match &mut self.sink {
            Sink::File(writer) => writer.write(&rows).await,
            Sink::HBase(writer) => writer.write(&rows).await,
            Sink::Collection(writer) => writer.write(&rows).await.map(|_| ()),
        }
    }

    /// Makes the rows durable and reports them; `None` where there were none.
    pub(super) async fn finish(self, branch: usize) -> Result<Option<WrittenPart>> {
        let (path, bytes) = match self.sink {
            Sink::File(writer) => writer.finish().await?,
            Sink::HBase(writer) => (String::new(), writer.finish().await?),
            Sink::Collection(writer) => (String::new(), writer.finish().await?.bytes),
        };
        Ok((self.rows > 0).then_some(WrittenPart {
            branch: Some(branch),
            path,
            rows: self.rows,
            bytes,
        }))
    }
}
