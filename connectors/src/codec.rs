//! How Emporia's tables, logical nodes and plan nodes cross the wire.
//!
//! Both codecs wrap an inner one (Ballista's): a message that starts with `MAGIC` is ours, any
//! other is passed on. A message holds a recipe only, never a connection or a secret.

#[cfg(any(test, fuzzing))]
mod fuzz;

#[cfg(any(test, fuzzing))]
pub use fuzz::fuzz;

#[cfg(test)]
mod golden;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{Result, TableReference, internal_err, plan_err};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{
    AggregateUDF, Extension, HigherOrderUDF, LogicalPlan, ScalarUDF, WindowUDF,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::proto_decode::PhysicalExprDecodeCtx;
use datafusion::physical_expr_common::physical_expr::proto_encode::PhysicalExprEncodeCtx;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::work_table::WorkTableExec;
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::logical_plan::{DefaultLogicalExtensionCodec, LogicalExtensionCodec};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use emporia_core::key_hash::KeySet;
use serde::{Deserialize, Serialize};

use crate::base64_text;
use crate::checked::{Checked, MAX_NAMED, Operation};
use crate::composed::{self, Composed, Functions};
use crate::delimited::{self, DelimitedSource, DelimitedTable};
use crate::estimated::{Estimate, EstimatedExec};
use crate::files::{self, FilesTable, Tags};
use crate::folded::{self, FoldedPlan};
use crate::format::body;
use crate::hbase::{self, HBaseSource, HBaseTable};
use crate::json::{self, JsonSource, JsonTable};
use crate::key_set::{InKeySet, in_key_set};
use crate::marked::{Mark, MarkedExec};
use crate::mongodb::{self, CollectionSource, CollectionTable};
use crate::offset::OffsetExec;
use crate::sealed::{RoundsExec, SealedExec};
use crate::series::{self, SeriesSource, SeriesTable};
use crate::split::{SplitScanExec, SplitSource};
use crate::type_text;
use crate::windows::{Nulls, WireWindow};
use crate::write::{StagedWrite, StagedWriteExec, StagedWriteNode};

/// First bytes of our messages; the last one is the version of the format.
const MAGIC: &[u8; 5] = b"EMPO\x02";

#[derive(Debug, Serialize, Deserialize)]
enum Message {
    Table {
        kind: String,
        #[serde(with = "base64_text")]
        recipe: Vec<u8>,
    },
    StagedWrite(StagedWrite),
    SplitScan {
        kind: String,
        #[serde(with = "base64_text")]
        recipe: Vec<u8>,
        limit: Option<usize>,
    },
    Estimated(Estimate),
    Marked(Mark),
    Offset {
        skip: usize,
    },
    Sealed {
        #[serde(with = "base64_text")]
        plan: Vec<u8>,
    },
    Recursive {
        name: String,
        is_distinct: bool,
        /// An empty relation of the columns.
        #[serde(with = "base64_text")]
        columns: Vec<u8>,
    },
    Rounds,
    Window {
        nulls: Nulls,
    },
    WorkTable {
        name: String,
        /// An empty relation of the columns.
        #[serde(with = "base64_text")]
        columns: Vec<u8>,
    },
    /// Around DataFusion's scan of Parquet files.
    PinnedScan {
        tags: Tags,
    },
    InKeySet {
        #[serde(with = "base64_text")]
        set: Vec<u8>,
    },
    Checked {
        operations: Vec<Operation>,
    },
}

impl Message {
    fn write(&self, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.extend_from_slice(MAGIC);
        serde_json::to_writer(buffer, self).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(body) = body(bytes, MAGIC)? else {
            return Ok(None);
        };
        serde_json::from_slice(body)
            .map(Some)
            .map_err(|e| DataFusionError::External(Box::new(e)))
    }
}

/// The message around a scan of files as they were listed.
pub(crate) fn pinned_scan(tags: Tags) -> Result<Vec<u8>> {
    let mut buffer = Vec::new();
    Message::PinnedScan { tags }.write(&mut buffer)?;
    Ok(buffer)
}

/// Name and type of each column, for recipes.
pub fn schema_to_names(schema: &Schema) -> Vec<(String, String)> {
    schema
        .fields()
        .iter()
        .map(|f| (f.name().clone(), type_text::write(f.data_type())))
        .collect()
}

/// Whether [`schema_from_names`] gives the type back that [`schema_to_names`] described.
pub fn has_name(data_type: &DataType) -> bool {
    type_text::read(&type_text::write(data_type)).is_ok_and(|read| read == *data_type)
}

/// Kind of a table without rows in a message.
const EMPTY_KIND: &str = "empty";

/// The columns of a table without rows.
#[derive(Serialize, Deserialize)]
struct EmptyRecipe {
    columns: Vec<(String, String)>,
    required: Vec<String>,
}

fn encode_empty(schema: &Schema) -> Result<Vec<u8>> {
    let required = schema.fields().iter().filter(|f| !f.is_nullable());
    let recipe = EmptyRecipe {
        columns: schema_to_names(schema),
        required: required.map(|f| f.name().clone()).collect(),
    };
    serde_json::to_vec(&recipe).map_err(|e| DataFusionError::External(Box::new(e)))
}

fn decode_empty(recipe: &[u8]) -> Result<EmptyTable> {
    let recipe: EmptyRecipe =
        serde_json::from_slice(recipe).map_err(|e| DataFusionError::External(Box::new(e)))?;
    let schema = schema_from_names(&recipe.columns)?;
    let fields = schema.fields().iter().map(|field| {
        let is_required = recipe.required.contains(field.name());
        field.as_ref().clone().with_nullable(!is_required)
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    Ok(EmptyTable::new(Arc::new(schema)))
}

/// The nullable schema that [`schema_to_names`] describes.
///
/// # Errors
/// When a type is not one that [`schema_to_names`] writes.
pub fn schema_from_names(columns: &[(String, String)]) -> Result<SchemaRef> {
    let fields = columns
        .iter()
        .map(|(name, data_type)| Ok(Field::new(name, type_text::read(data_type)?, true)))
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// Logical plans: tables and nodes.
#[derive(Debug)]
pub struct EmporiaLogicalCodec {
    inner: Arc<dyn LogicalExtensionCodec>,
    functions: Functions,
}

impl EmporiaLogicalCodec {
    /// Wraps `inner`; `functions` are those that deep expressions use.
    pub fn new(inner: Arc<dyn LogicalExtensionCodec>, functions: Functions) -> Self {
        Self { inner, functions }
    }
}

impl LogicalExtensionCodec for EmporiaLogicalCodec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[LogicalPlan],
        context: &TaskContext,
    ) -> Result<Extension> {
        if let Some(plan) = body(bytes, folded::MAGIC)? {
            let plan = logical_plan_from_bytes_with_extension_codec(plan, context, self)?;
            return Ok(Extension {
                node: Arc::new(FoldedPlan::new(plan)),
            });
        }
        match (Message::read(bytes)?, inputs) {
            (Some(Message::StagedWrite(write)), [input]) => Ok(Extension {
                node: Arc::new(StagedWriteNode::try_new(write, input.clone())?),
            }),
            (Some(other), _) => internal_err!("unexpected logical message {other:?}"),
            (None, _) => self.inner.try_decode(bytes, inputs, context),
        }
    }

    fn try_encode(&self, node: &Extension, buffer: &mut Vec<u8>) -> Result<()> {
        if let Some(folded) = node.node.as_any().downcast_ref::<FoldedPlan>() {
            let plan = logical_plan_to_bytes_with_extension_codec(folded.plan(), self)?;
            buffer.extend_from_slice(folded::MAGIC);
            buffer.extend_from_slice(&plan);
            return Ok(());
        }
        match node.node.as_any().downcast_ref::<StagedWriteNode>() {
            Some(node) => Message::StagedWrite(node.write().clone()).write(buffer),
            None => self.inner.try_encode(node, buffer),
        }
    }

    fn try_decode_table_provider(
        &self,
        bytes: &[u8],
        table: &TableReference,
        schema: SchemaRef,
        context: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        match Message::read(bytes)? {
            Some(Message::Table { kind, recipe }) => decode_table(&kind, &recipe),
            Some(other) => internal_err!("unexpected table message {other:?}"),
            None => self
                .inner
                .try_decode_table_provider(bytes, table, schema, context),
        }
    }

    fn try_encode_table_provider(
        &self,
        table: &TableReference,
        provider: Arc<dyn TableProvider>,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        let (kind, recipe) = if let Some(table) = provider.downcast_ref::<DelimitedTable>() {
            (delimited::SOURCE_KIND, table.encode()?)
        } else if let Some(table) = provider.downcast_ref::<FilesTable>() {
            (files::SOURCE_KIND, table.encode()?)
        } else if let Some(table) = provider.downcast_ref::<HBaseTable>() {
            (hbase::SOURCE_KIND, table.encode()?)
        } else if let Some(table) = provider.downcast_ref::<JsonTable>() {
            (json::SOURCE_KIND, table.encode()?)
        } else if let Some(table) = provider.downcast_ref::<CollectionTable>() {
            (mongodb::SOURCE_KIND, table.encode()?)
        } else if provider.downcast_ref::<EmptyTable>().is_some() {
            (EMPTY_KIND, encode_empty(&provider.schema())?)
        } else if let Some(table) = provider.downcast_ref::<SeriesTable>() {
            (series::SOURCE_KIND, table.encode()?)
        } else {
            return self
                .inner
                .try_encode_table_provider(table, provider, buffer);
        };
        let kind = kind.to_owned();
        Message::Table { kind, recipe }.write(buffer)
    }

    fn try_decode_file_format(
        &self,
        bytes: &[u8],
        context: &TaskContext,
    ) -> Result<Arc<dyn FileFormatFactory>> {
        self.inner.try_decode_file_format(bytes, context)
    }

    fn try_encode_file_format(
        &self,
        buffer: &mut Vec<u8>,
        node: Arc<dyn FileFormatFactory>,
    ) -> Result<()> {
        self.inner.try_encode_file_format(buffer, node)
    }

    fn try_decode_udf(&self, name: &str, bytes: &[u8]) -> Result<Arc<ScalarUDF>> {
        if let Some(definition) = body(bytes, composed::MAGIC)? {
            return Composed::decode(definition, self.functions, self).map(Arc::new);
        }
        match decode_function(bytes)? {
            Some(function) => Ok(function),
            None => self.inner.try_decode_udf(name, bytes),
        }
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buffer: &mut Vec<u8>) -> Result<()> {
        if let Some(composed) = Composed::of(node) {
            return composed.encode(buffer, self);
        }
        match message_of(node) {
            Some(message) => message.write(buffer),
            None => self.inner.try_encode_udf(node, buffer),
        }
    }

    fn try_decode_higher_order_function(
        &self,
        name: &str,
        bytes: &[u8],
    ) -> Result<Arc<HigherOrderUDF>> {
        self.inner.try_decode_higher_order_function(name, bytes)
    }

    fn try_encode_higher_order_function(
        &self,
        node: &HigherOrderUDF,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        self.inner.try_encode_higher_order_function(node, buffer)
    }

    fn try_decode_udaf(&self, name: &str, bytes: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.inner.try_decode_udaf(name, bytes)
    }

    fn try_encode_udaf(&self, node: &AggregateUDF, buffer: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_udaf(node, buffer)
    }

    fn try_decode_udwf(&self, name: &str, bytes: &[u8]) -> Result<Arc<WindowUDF>> {
        match decode_window(name, bytes)? {
            Some(function) => Ok(function),
            None => self.inner.try_decode_udwf(name, bytes),
        }
    }

    fn try_encode_udwf(&self, node: &WindowUDF, buffer: &mut Vec<u8>) -> Result<()> {
        match WireWindow::option_of(node) {
            Some(nulls) => Message::Window { nulls }.write(buffer),
            None => self.inner.try_encode_udwf(node, buffer),
        }
    }
}

/// Physical plans.
#[derive(Debug)]
pub struct EmporiaPhysicalCodec {
    inner: Arc<dyn PhysicalExtensionCodec>,
    /// For the definitions of deep expressions, which are logical.
    logical: EmporiaLogicalCodec,
}

impl EmporiaPhysicalCodec {
    /// Wraps `inner`; `functions` are those that deep expressions use.
    pub fn new(inner: Arc<dyn PhysicalExtensionCodec>, functions: Functions) -> Self {
        let named = Arc::new(DefaultLogicalExtensionCodec {});
        Self {
            inner,
            logical: EmporiaLogicalCodec::new(named, functions),
        }
    }

    /// A schema on the wire is an empty relation, which keeps all that a schema has.
    fn encode_columns(&self, schema: SchemaRef) -> Result<Vec<u8>> {
        let empty = Arc::new(EmptyExec::new(schema));
        let bytes = physical_plan_to_bytes_with_extension_codec(empty, self)?;
        Ok(bytes.to_vec())
    }

    fn decode_columns(&self, bytes: &[u8], context: &TaskContext) -> Result<SchemaRef> {
        let empty = physical_plan_from_bytes_with_extension_codec(bytes, context, self)?;
        Ok(empty.schema())
    }
}

fn decode_table(kind: &str, recipe: &[u8]) -> Result<Arc<dyn TableProvider>> {
    match kind {
        delimited::SOURCE_KIND => Ok(Arc::new(DelimitedTable::decode(recipe)?)),
        files::SOURCE_KIND => Ok(Arc::new(FilesTable::decode(recipe)?)),
        hbase::SOURCE_KIND => Ok(Arc::new(HBaseTable::decode(recipe)?)),
        json::SOURCE_KIND => Ok(Arc::new(JsonTable::decode(recipe)?)),
        mongodb::SOURCE_KIND => Ok(Arc::new(CollectionTable::decode(recipe)?)),
        EMPTY_KIND => Ok(Arc::new(decode_empty(recipe)?)),
        series::SOURCE_KIND => Ok(Arc::new(SeriesTable::decode(recipe)?)),
        _ => plan_err!("no connector has tables of the kind `{kind}`"),
    }
}

fn decode_source(kind: &str, recipe: &[u8]) -> Result<Arc<dyn SplitSource>> {
    match kind {
        delimited::SOURCE_KIND => Ok(Arc::new(DelimitedSource::decode(recipe)?)),
        hbase::SOURCE_KIND => Ok(Arc::new(HBaseSource::decode(recipe)?)),
        json::SOURCE_KIND => Ok(Arc::new(JsonSource::decode(recipe)?)),
        mongodb::SOURCE_KIND => Ok(Arc::new(CollectionSource::decode(recipe)?)),
        series::SOURCE_KIND => Ok(Arc::new(SeriesSource::decode(recipe)?)),
        _ => plan_err!("no connector reads splits of the kind `{kind}`"),
    }
}

/// The function of ours in the message, if it is one.
fn decode_function(bytes: &[u8]) -> Result<Option<Arc<ScalarUDF>>> {
    match Message::read(bytes)? {
        Some(Message::InKeySet { set }) => Ok(Some(Arc::new(in_key_set(KeySet::from_bytes(&set))))),
        Some(Message::Checked { operations }) => Ok(Some(Arc::new(Checked::function(operations)))),
        Some(other) => internal_err!("unexpected function message {other:?}"),
        None => Ok(None),
    }
}

fn decode_window(name: &str, bytes: &[u8]) -> Result<Option<Arc<WindowUDF>>> {
    match Message::read(bytes)? {
        Some(Message::Window { nulls }) => Ok(Some(Arc::new(WireWindow::decode(name, nulls)?))),
        Some(other) => internal_err!("unexpected window message {other:?}"),
        None => Ok(None),
    }
}

/// The message of a function that carries something.
fn message_of(function: &ScalarUDF) -> Option<Message> {
    if let Some(function) = InKeySet::of(function) {
        let set = function.set().as_bytes().to_vec();
        return Some(Message::InKeySet { set });
    }
    // A short chain is known by its name, also where no codec of ours reads it.
    let operations = Checked::operations_of(function)?;
    (operations.len() > MAX_NAMED).then(|| Message::Checked {
        operations: operations.to_vec(),
    })
}

impl PhysicalExtensionCodec for EmporiaPhysicalCodec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(plan) = body(bytes, folded::MAGIC)? {
            let plan = physical_plan_from_bytes_with_extension_codec(plan, context, self)?;
            return Ok(Arc::new(MarkedExec::new(plan, Mark::Folded)));
        }
        match (Message::read(bytes)?, inputs) {
            (
                Some(Message::SplitScan {
                    kind,
                    recipe,
                    limit,
                }),
                [splits],
            ) => {
                let source = decode_source(&kind, &recipe)?;
                Ok(Arc::new(SplitScanExec::over(
                    source,
                    Arc::clone(splits),
                    limit,
                )))
            }
            (Some(Message::StagedWrite(write)), [input]) => {
                Ok(Arc::new(StagedWriteExec::new(write, Arc::clone(input))))
            }
            (Some(Message::PinnedScan { tags }), [scan]) => {
                files::pinned_scan(scan, tags, &context.runtime_env())
            }
            (Some(Message::Estimated(estimate)), [input]) => {
                Ok(Arc::new(EstimatedExec::new(Arc::clone(input), estimate)))
            }
            (Some(Message::Marked(mark)), [input]) => {
                Ok(Arc::new(MarkedExec::new(Arc::clone(input), mark)))
            }
            (Some(Message::Offset { skip }), [input]) => {
                Ok(Arc::new(OffsetExec::new(Arc::clone(input), skip)))
            }
            (Some(Message::Sealed { plan }), []) => {
                Ok(Arc::new(SealedExec::decode(&plan, context, self)?))
            }
            (Some(Message::Rounds), [term]) => Ok(Arc::new(RoundsExec::new(Arc::clone(term)))),
            (
                Some(Message::Recursive {
                    name,
                    is_distinct,
                    columns,
                }),
                [first, next],
            ) => Ok(Arc::new(RecursiveQueryExec::try_new(
                name,
                self.decode_columns(&columns, context)?,
                Arc::clone(first),
                Arc::clone(next),
                is_distinct,
            )?)),
            (Some(Message::WorkTable { name, columns }), []) => {
                let columns = self.decode_columns(&columns, context)?;
                Ok(Arc::new(WorkTableExec::new(name, columns, None)?))
            }
            (Some(other), _) => internal_err!("unexpected physical message {other:?}"),
            (None, _) => self.inner.try_decode(bytes, inputs, context, converter),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buffer: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        if let Some(scan) = node.downcast_ref::<SplitScanExec>() {
            let source = scan.source();
            let message = Message::SplitScan {
                kind: source.kind().to_owned(),
                recipe: source.encode()?,
                limit: scan.limit(),
            };
            return message.write(buffer);
        }
        if let Some(write) = node.downcast_ref::<StagedWriteExec>() {
            return Message::StagedWrite(write.write().clone()).write(buffer);
        }
        if let Some(estimated) = node.downcast_ref::<EstimatedExec>() {
            return Message::Estimated(estimated.estimate()).write(buffer);
        }
        if let Some(marked) = node.downcast_ref::<MarkedExec>() {
            return Message::Marked(marked.mark()).write(buffer);
        }
        if let Some(offset) = node.downcast_ref::<OffsetExec>() {
            let skip = offset.skip();
            return Message::Offset { skip }.write(buffer);
        }
        if let Some(sealed) = node.downcast_ref::<SealedExec>() {
            let plan = sealed.encode(self)?;
            return Message::Sealed { plan }.write(buffer);
        }
        if node.is::<RoundsExec>() {
            return Message::Rounds.write(buffer);
        }
        if let Some(query) = node.downcast_ref::<RecursiveQueryExec>() {
            let message = Message::Recursive {
                name: query.name().to_owned(),
                is_distinct: query.is_distinct(),
                columns: self.encode_columns(ExecutionPlan::schema(query))?,
            };
            return message.write(buffer);
        }
        if let Some(table) = node.downcast_ref::<WorkTableExec>() {
            let message = Message::WorkTable {
                name: table.name().to_owned(),
                columns: self.encode_columns(ExecutionPlan::schema(table))?,
            };
            return message.write(buffer);
        }
        self.inner.try_encode(node, buffer, converter)
    }

    fn try_decode_udf(&self, name: &str, bytes: &[u8]) -> Result<Arc<ScalarUDF>> {
        if body(bytes, composed::MAGIC)?.is_some() {
            return self.logical.try_decode_udf(name, bytes);
        }
        match decode_function(bytes)? {
            Some(function) => Ok(function),
            None => self.inner.try_decode_udf(name, bytes),
        }
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buffer: &mut Vec<u8>) -> Result<()> {
        if Composed::of(node).is_some() {
            return self.logical.try_encode_udf(node, buffer);
        }
        match message_of(node) {
            Some(message) => message.write(buffer),
            None => self.inner.try_encode_udf(node, buffer),
        }
    }

    fn try_decode_higher_order_function(
        &self,
        name: &str,
        bytes: &[u8],
    ) -> Result<Arc<HigherOrderUDF>> {
        self.inner.try_decode_higher_order_function(name, bytes)
    }

    fn try_encode_higher_order_function(
        &self,
        node: &HigherOrderUDF,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        self.inner.try_encode_higher_order_function(node, buffer)
    }

    fn try_decode_expr(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn PhysicalExpr>],
        context: &PhysicalExprDecodeCtx<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        self.inner.try_decode_expr(bytes, inputs, context)
    }

    fn try_encode_expr(
        &self,
        node: &Arc<dyn PhysicalExpr>,
        buffer: &mut Vec<u8>,
        context: &PhysicalExprEncodeCtx<'_>,
    ) -> Result<()> {
        self.inner.try_encode_expr(node, buffer, context)
    }

    fn try_decode_udaf(&self, name: &str, bytes: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.inner.try_decode_udaf(name, bytes)
    }

    fn try_encode_udaf(&self, node: &AggregateUDF, buffer: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_udaf(node, buffer)
    }

    fn try_decode_udwf(&self, name: &str, bytes: &[u8]) -> Result<Arc<WindowUDF>> {
        match decode_window(name, bytes)? {
            Some(function) => Ok(function),
            None => self.inner.try_decode_udwf(name, bytes),
        }
    }

    fn try_encode_udwf(&self, node: &WindowUDF, buffer: &mut Vec<u8>) -> Result<()> {
        match WireWindow::option_of(node) {
            Some(nulls) => Message::Window { nulls }.write(buffer),
            None => self.inner.try_encode_udwf(node, buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[test]
    fn a_schema_comes_back_from_names_and_types() {
        let inner = |name: &str| {
            let field = Field::new(name, DataType::Int64, true);
            DataType::Struct(vec![field].into())
        };
        let item = Field::new("it's", inner("a \"b\" \\"), true);
        let types = [
            DataType::Int64,
            inner("plain"),
            inner("\"quoted\""),
            inner("back\\slash"),
            inner("line\nbreak"),
            inner(""),
            DataType::List(Arc::new(item)),
        ];
        let fields = types.iter().enumerate();
        let fields = fields.map(|(n, t)| Field::new(format!("c {n} \""), t.clone(), true));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let names = schema_to_names(&schema);
        assert_eq!(names[1].1, "Struct(\"plain\": Int64)");
        assert_eq!(*schema_from_names(&names).unwrap(), schema);
    }

    /// Fails once Arrow reads its own text of every type; then see `docs/upstream.md`.
    #[test]
    fn arrow_does_not_read_quotes_in_types() {
        let field = Field::new("\"quoted\"", DataType::Int64, true);
        let quoted = DataType::Struct(vec![field].into());
        let read = DataType::from_str(&quoted.to_string());
        assert_ne!(read.ok(), Some(quoted));
    }
}
