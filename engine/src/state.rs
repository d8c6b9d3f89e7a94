//! Session configuration, runtime and state: what all processes must agree on.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use ballista_core::extension::{SessionConfigExt, SessionStateExt};
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{AnalyzerRule, OptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::PhysicalExtensionCodec;
use emporia_connectors::codec::{EmporiaLogicalCodec, EmporiaPhysicalCodec};
use emporia_connectors::folded::unfold;
use emporia_connectors::hdfs;
use emporia_connectors::local::LocalStore;
use emporia_connectors::stores::Stores;
use emporia_connectors::write::StagedWritePlanner;
use emporia_core::config::StoreSettings;
use tonic::transport::Endpoint;

use crate::failure::planning_error;
use crate::functions;
use crate::grouping::OneGroup;
use crate::options::EngineOptions;
use crate::ordered_text::OrderedText;
use crate::physical;
use crate::rules;
use crate::times;
use crate::true_functions::TrueFunctions;

/// The codec of logical plans.
pub fn logical_codec() -> Arc<dyn LogicalExtensionCodec> {
    let ballistas = Arc::new(BallistaLogicalExtensionCodec::default());
    Arc::new(EmporiaLogicalCodec::new(ballistas, functions_by_name))
}

/// The codec of physical plans.
pub fn physical_codec() -> Arc<dyn PhysicalExtensionCodec> {
    let ballistas = Arc::new(BallistaPhysicalExtensionCodec::default());
    Arc::new(EmporiaPhysicalCodec::new(ballistas, functions_by_name))
}

/// Where the codecs find functions: they are the same in every process.
fn functions_by_name() -> Result<Arc<TaskContext>> {
    static CONTEXT: OnceLock<Arc<TaskContext>> = OnceLock::new();
    if let Some(context) = CONTEXT.get() {
        return Ok(Arc::clone(context));
    }
    let context = any_state()?.task_ctx();
    Ok(Arc::clone(CONTEXT.get_or_init(|| context)))
}

/// A state of which only the functions matter.
fn any_state() -> Result<SessionState> {
    let stores = Stores::new(StoreSettings::default());
    let config = session_config(&EngineOptions::default(), &stores);
    planning_state(config, runtime(None, &stores)?)
}

/// How long an executor or scheduler may take to accept a connection.
const CONNECT_TIMEOUT_SECONDS: u64 = 5;

/// A connection in use is asked whether the other side is there after so long without a word, and has as
/// long for the answer.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Has connections between processes end when the other side is gone.
pub fn with_limits(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_SECONDS))
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
}

/// The configuration of a session in any process.
pub fn session_config(options: &EngineOptions, stores: &Arc<Stores>) -> SessionConfig {
    SessionConfig::new_with_ballista()
        .with_ballista_logical_extension_codec(logical_codec())
        .with_ballista_physical_extension_codec(physical_codec())
        // The scheduler takes it for a wish for its own planning again of stages. Ballista's hangs where a stage
        // has no rows, and doubles branches of unions.
        .with_ballista_adaptive_query_planner(options.adaptive)
        .with_ballista_grpc_client_max_message_size(options.grpc_max_message_bytes)
        .with_target_partitions(options.target_partitions)
        .with_batch_size(options.batch_size)
        .with_information_schema(true)
        .with_collect_statistics(true)
        .set_str("datafusion.execution.time_zone", times::UTC)
        // The job id comes with the answer to the submission, so that a query can be cancelled and
        // its progress shown from the start; pushed, it would come with the end.
        .set_bool("ballista.client.pull", true)
        // The host of a dead container answers nothing: each of four tries takes this long.
        .set_u64(
            "ballista.client.grpc_connect_timeout_seconds",
            CONNECT_TIMEOUT_SECONDS,
        )
        // Reads of other executors' output do not know that setting.
        .with_ballista_override_create_grpc_client_endpoint(Arc::new(|endpoint| {
            Ok(with_limits(endpoint))
        }))
        // Exchanged views carry the whole buffers that they point to.
        .set_bool(
            "datafusion.execution.parquet.schema_force_view_types",
            false,
        )
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
        // The check compares what the logical and the physical planner say about NULLs, and they differ where
        // an expression is computed once for two aggregates. Rows do not depend on it.
        .set_bool(
            "datafusion.execution.skip_physical_aggregate_schema_check",
            true,
        )
        // Its groups of the first rows ask for memory for all rows where a query has an offset and no limit.
        .set_bool("datafusion.optimizer.enable_topk_aggregation", false)
        // An aggregate whose rows turn out to be in order refuses to end early.
        .set_bool(
            "datafusion.optimizer.enable_distinct_aggregation_soft_limit",
            false,
        )
        .set_usize(
            "datafusion.sql_parser.recursion_limit",
            crate::dialect::MAX_NESTED_TEXT,
        )
        // `SELECT … FROM (SELECT … ORDER BY x) LIMIT 5` has the first five by x, as in Spark, PostgreSQL and DuckDB.
        .set_bool(
            "datafusion.sql_parser.enable_subquery_sort_elimination",
            false,
        )
        // Positions of names in SQL text, for error messages with line and column.
        .set_bool("datafusion.sql_parser.collect_spans", true)
        .set_u64(
            "datafusion.optimizer.hash_join_single_partition_threshold",
            options.broadcast_threshold_bytes,
        )
        .set_u64(
            "ballista.optimizer.broadcast_join_threshold_bytes",
            // Ballista's is the size from which on it exchanges a side. 0 would also refuse `NOT IN`.
            options.broadcast_threshold_bytes.saturating_add(1),
        )
        .with_extension(Arc::clone(stores))
}

/// A runtime with Emporia's object stores; operators spill below `spill_dir`.
///
/// # Errors
/// When the spill folder cannot be used.
pub fn runtime(spill_dir: Option<&Path>, stores: &Stores) -> Result<Arc<RuntimeEnv>> {
    let builder = match spill_dir {
        Some(folder) => RuntimeEnvBuilder::new().with_temp_file_path(folder.to_owned()),
        None => RuntimeEnvBuilder::new(),
    };
    let registry = Arc::new(hdfs::StoreRegistry::new(stores.settings().clone()));
    // A process would never see again what is in a folder, nor that a file became another one of the
    // same size and time. Footers are kept by version (connectors/src/files/footers.rs).
    let caches = CacheManagerConfig::default()
        .with_list_files_cache_limit(0)
        .with_file_statistics_cache_limit(0);
    let builder = builder.with_cache_manager(caches);
    let runtime = builder.with_object_store_registry(registry).build_arc()?;
    let local = LocalStore::new(stores.settings());
    let root = ObjectStoreUrl::local_filesystem();
    runtime.register_object_store(root.as_ref(), Arc::new(local));
    Ok(runtime)
}

/// The state that plans and runs queries in this process.
///
/// # Errors
/// When a function cannot be registered.
pub fn planning_state(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> Result<SessionState> {
    planning_with(config, runtime, rules::optimizer_rules())
}

/// The state of the scheduler, which plans what clients have optimised. What is common to expressions has a column
/// by then; DataFusion mixes columns up where it looks for more below `GROUPING SETS` that repeat a key.
///
/// # Errors
/// When a function cannot be registered.
pub fn scheduling_state(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> Result<SessionState> {
    planning_with(config, runtime, rules::rules_after_clients())
}

fn planning_with(
    config: SessionConfig,
    runtime: Arc<RuntimeEnv>,
    optimizer_rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
) -> Result<SessionState> {
    let builder = SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_analyzer_rules(rules::analyzer_rules())
        .with_optimizer_rules(optimizer_rules)
        .with_physical_optimizer_rules(physical::optimizer_rules())
        .with_query_planner(Arc::new(Planner));
    let mut state = builder.build();
    functions::register(&mut state)?;
    times::register(&mut state)?;
    add_rules(&mut state);
    Ok(state)
}

/// The state of a client: it plans logically and sends the plan to the scheduler at `url`.
///
/// # Errors
/// When a function cannot be registered.
pub fn client_state(
    config: SessionConfig,
    runtime: Arc<RuntimeEnv>,
    url: &str,
) -> Result<SessionState> {
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_analyzer_rules(rules::analyzer_rules())
        .with_optimizer_rules(rules::optimizer_rules())
        .build();
    let mut state = state.upgrade_for_ballista(url.to_owned())?;
    // The upgrade replaces all functions, so ours come after it.
    functions::register(&mut state)?;
    times::register(&mut state)?;
    add_rules(&mut state);
    Ok(state)
}

/// What is done to a plan once its types are known.
fn add_rules(state: &mut SessionState) {
    state.add_analyzer_rule(Arc::new(Unfold));
    state.add_analyzer_rule(Arc::new(OneGroup));
    state.add_analyzer_rule(Arc::new(OrderedText));
    state.add_analyzer_rule(Arc::new(TrueFunctions::default()));
}

/// The functions of an executor: those of the planning state, by name.
///
/// # Errors
/// When a function cannot be registered.
pub fn function_registry() -> Result<BallistaFunctionRegistry> {
    Ok(BallistaFunctionRegistry::from(&any_state()?))
}

/// Makes plans whole that were folded to be sent.
#[derive(Debug)]
struct Unfold;

impl AnalyzerRule for Unfold {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        unfold(plan)
    }

    fn name(&self) -> &'static str {
        "unfold"
    }
}

/// DataFusion's planner with Emporia's logical nodes.
#[derive(Debug)]
struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        state: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        physical_plan(plan, state).await.map_err(planning_error)
    }
}

async fn physical_plan(plan: &LogicalPlan, state: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
    let planner =
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(StagedWritePlanner)]);
    let plan = physical::with_whole_work_tables(plan.clone())?;
    let plan = rules::with_halves(rules::guarded(plan)?)?;
    physical::cuttable(planner.create_physical_plan(&plan, state).await?)
}
