//! Every job must survive the way to the scheduler, which gets its logical plan as bytes.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result, TableReference};
use datafusion::datasource::MemTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use emporia_connectors::codec::EmporiaLogicalCodec;
use emporia_connectors::folded::{fold, unfold};
use emporia_core::contract;
use emporia_core::job::Params;
use emporia_sql::{builtin_jobs, plan};

use crate::data::TestResult;

/// Sends tables by name; the other side has them empty.
struct ByName;

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByName")
    }
}

impl LogicalExtensionCodec for ByName {
    fn try_decode(&self, _: &[u8], _: &[LogicalPlan], _: &TaskContext) -> Result<Extension> {
        Err(DataFusionError::NotImplemented(
            "extension nodes".to_owned(),
        ))
    }

    fn try_encode(&self, _: &Extension, _: &mut Vec<u8>) -> Result<()> {
        Err(DataFusionError::NotImplemented(
            "extension nodes".to_owned(),
        ))
    }

    fn try_decode_table_provider(
        &self,
        _: &[u8],
        _: &TableReference,
        schema: SchemaRef,
        _: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(EmptyTable::new(schema)))
    }

    fn try_encode_table_provider(
        &self,
        _: &TableReference,
        _: Arc<dyn TableProvider>,
        _: &mut Vec<u8>,
    ) -> Result<()> {
        Ok(())
    }
}

/// All tables of the contract, without rows.
fn empty_tables() -> TestResult<SessionContext> {
    let context = SessionContext::new();
    for table in contract::TABLES {
        let schema = contract::schema(table).ok_or("not a table of the contract")?;
        let name = if table == "orders_raw" {
            "orders"
        } else {
            table
        };
        context.register_table(name, Arc::new(MemTable::try_new(schema, vec![Vec::new()])?))?;
    }
    Ok(context)
}

/// A value other than the default for every parameter, so that none is simplified away.
fn given(name: &str, default: Option<&str>) -> Option<(String, String)> {
    let value = match name {
        "from" | "to" => "2024-01-01",
        "user_id" => "user_000042",
        _ => default?,
    };
    Some((name.to_owned(), value.to_owned()))
}

#[tokio::test]
async fn every_job_plans_over_the_contract_and_survives_the_wire() -> TestResult {
    let context = empty_tables()?;
    let task = context.task_ctx();
    for job in builtin_jobs()? {
        let name = &job.spec().name;
        let params = &job.spec().params;
        let all: Vec<_> = params
            .iter()
            .filter_map(|p| given(&p.name, p.default.as_deref()))
            .collect();
        for given in [Vec::new(), all] {
            let frame = plan(&context, &job, &Params::bind(job.spec(), &given)?).await?;
            let expected = frame.clone().into_optimized_plan()?;
            for sent in [frame.logical_plan(), &expected] {
                let codec = EmporiaLogicalCodec::new(Arc::new(ByName), || {
                    Ok(Arc::new(TaskContext::default()))
                });
                // The engine sends deep plans in parts, too.
                let folded = fold(sent.clone())?;
                let bytes = logical_plan_to_bytes_with_extension_codec(&folded, &codec)
                    .map_err(|e| format!("{name}: {e}"))?;
                let received = logical_plan_from_bytes_with_extension_codec(&bytes, &task, &codec)
                    .map_err(|e| format!("{name}: {e}"))?;
                let received = unfold(received)?;
                assert_eq!(received.schema(), sent.schema(), "{name}");
                let rows = context
                    .execute_logical_plan(received)
                    .await?
                    .collect()
                    .await
                    .map_err(|e| format!("{name}: {e}"))?;
                let n_rows: usize = rows.iter().map(|batch| batch.num_rows()).sum();
                // Over empty tables only funnels and the summary have rows.
                let is_fixed = name.contains("funnel") || name == "dataset_summary";
                assert_eq!(n_rows > 0, is_fixed, "{name}");
            }
        }
    }
    Ok(())
}
