//! A leaf as one would write it first, and a plain Ballista cluster that can carry it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, TableReference};
use datafusion::datasource::TableType;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use emporia_client::port::free_ports;
use emporia_engine::EngineOptions;
use emporia_engine::Stores;
use emporia_engine::state::{client_state, planning_state, runtime, session_config};
use tokio::net::TcpListener;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(
        "value",
        DataType::Int64,
        false,
    )]))
}

/// A leaf with several partitions.
#[derive(Debug)]
struct RawLeaf {
    n_partitions: usize,
    n_rows: usize,
    properties: Arc<PlanProperties>,
}

impl RawLeaf {
    fn new(n_partitions: usize, n_rows: usize) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema()),
            Partitioning::UnknownPartitioning(n_partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self {
            n_partitions,
            n_rows,
            properties,
        }
    }
}

impl DisplayAs for RawLeaf {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawLeaf")
    }
}

impl ExecutionPlan for RawLeaf {
    fn name(&self) -> &'static str {
        "RawLeaf"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let start = (partition * self.n_rows) as i64;
        let values = Int64Array::from_iter_values(start..start + self.n_rows as i64);
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(values)])?;
        let rows = futures::stream::iter([Ok(batch)]);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema(), rows)))
    }
}

#[derive(Debug)]
struct RawTable {
    n_partitions: usize,
    n_rows: usize,
}

#[async_trait]
impl TableProvider for RawTable {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(RawLeaf::new(self.n_partitions, self.n_rows)))
    }
}

/// Carries the table and the leaf as two bytes; the rest is Ballista's.
#[derive(Debug, Default)]
struct LogicalCodec(BallistaLogicalExtensionCodec);

impl LogicalExtensionCodec for LogicalCodec {
    fn try_decode(&self, b: &[u8], i: &[LogicalPlan], c: &TaskContext) -> Result<Extension> {
        self.0.try_decode(b, i, c)
    }

    fn try_encode(&self, node: &Extension, buffer: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode(node, buffer)
    }

    fn try_decode_table_provider(
        &self,
        bytes: &[u8],
        _: &TableReference,
        _: SchemaRef,
        _: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(RawTable {
            n_partitions: bytes[0].into(),
            n_rows: bytes[1].into(),
        }))
    }

    fn try_encode_table_provider(
        &self,
        _: &TableReference,
        provider: Arc<dyn TableProvider>,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        let table = provider.downcast_ref::<RawTable>().unwrap();
        buffer.extend([table.n_partitions as u8, table.n_rows as u8]);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct PhysicalCodec(BallistaPhysicalExtensionCodec);

impl PhysicalExtensionCodec for PhysicalCodec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match bytes {
            [b'R', n_partitions, n_rows] => Ok(Arc::new(RawLeaf::new(
                (*n_partitions).into(),
                (*n_rows).into(),
            ))),
            _ => self.0.try_decode(bytes, inputs, context, converter),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buffer: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        match node.downcast_ref::<RawLeaf>() {
            Some(leaf) => {
                buffer.extend([b'R', leaf.n_partitions as u8, leaf.n_rows as u8]);
                Ok(())
            }
            None => self.0.try_encode(node, buffer, converter),
        }
    }
}

/// Ballista with the codecs above: a scheduler and two executors with one slot.
pub(super) struct Cluster {
    url: String,
    config: SessionConfig,
    _work_dirs: Vec<tempfile::TempDir>,
}

impl Cluster {
    pub(super) async fn start(options: &EngineOptions) -> Self {
        let config = session_config(options, &Arc::default())
            .with_ballista_logical_extension_codec(Arc::new(LogicalCodec::default()))
            .with_ballista_physical_extension_codec(Arc::new(PhysicalCodec::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let producer = config.clone();
        let scheduler = SchedulerConfig {
            bind_port: port,
            min_ready_executors: 2,
            override_logical_codec: Some(Arc::new(LogicalCodec::default())),
            override_physical_codec: Some(Arc::new(PhysicalCodec::default())),
            override_config_producer: Some(Arc::new(move || producer.clone())),
            override_session_builder: Some(Arc::new(|c| {
                planning_state(c, runtime(None, &Stores::default())?)
            })),
            ..SchedulerConfig::default()
        };
        let cluster = BallistaCluster::new_from_config(&scheduler).await.unwrap();
        let server =
            create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(scheduler));
        let server = server.await.unwrap();
        let watched = server.clone();
        tokio::spawn(start_grpc_service_with_listener(listener, server));
        let mut work_dirs = Vec::new();
        for _ in 0..2 {
            let work_dir = tempfile::tempdir().unwrap();
            let producer = config.clone();
            let [port_of_data, grpc_port] = free_ports().unwrap();
            let executor = ExecutorProcessConfig {
                port: port_of_data,
                grpc_port,
                external_host: Some("127.0.0.1".to_owned()),
                scheduler_host: "127.0.0.1".to_owned(),
                scheduler_port: port,
                vcores: 1,
                work_dir: Some(work_dir.path().display().to_string()),
                override_config_producer: Some(Arc::new(move || producer.clone())),
                override_logical_codec: Some(Arc::new(LogicalCodec::default())),
                override_physical_codec: Some(Arc::new(PhysicalCodec::default())),
                ..ExecutorProcessConfig::default()
            };
            tokio::spawn(start_executor_process(Arc::new(executor)));
            work_dirs.push(work_dir);
        }
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !watched.is_ready() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "the executors did not register"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self {
            url: format!("http://127.0.0.1:{port}"),
            config,
            _work_dirs: work_dirs,
        }
    }

    pub(super) async fn count(&self, n_partitions: usize, n_rows: usize) -> usize {
        let state = client_state(
            self.config.clone(),
            runtime(None, &Stores::default()).unwrap(),
            &self.url,
        )
        .unwrap();
        let context = SessionContext::new_with_state(state);
        context
            .register_table(
                "t",
                Arc::new(RawTable {
                    n_partitions,
                    n_rows,
                }),
            )
            .unwrap();
        let frame = context.sql("SELECT value FROM t").await.unwrap();
        frame
            .collect()
            .await
            .unwrap()
            .iter()
            .map(RecordBatch::num_rows)
            .sum()
    }
}
