//! From Emporia's settings to Ballista's executor configuration.

use std::net::IpAddr;
use std::sync::Arc;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_executor::executor_process::ExecutorProcessConfig;
use ballista_executor::health::ExecutorHealth;
use emporia_core::config::ExecutorSettings;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_engine::Stores;
use emporia_engine::options::EngineOptions;
use emporia_engine::state;
use url::Url;

use crate::engine::CountingEngine;
use crate::metrics::TaskMetrics;
use crate::running::Tasks;
use crate::{flight, memory};

/// Port of a scheduler URL without one.
const DEFAULT_SCHEDULER_PORT: u16 = 50050;

/// Builds the configuration of an executor that counts its tasks into `metrics`; creates the work
/// folder.
pub(crate) fn build(
    settings: &ExecutorSettings,
    stores: &Arc<Stores>,
    health: ExecutorHealth,
    metrics: TaskMetrics,
) -> Result<ExecutorProcessConfig> {
    let stores = Arc::clone(stores);
    let options = EngineOptions {
        grpc_max_message_bytes: settings.grpc_max_message.as_usize(),
        ..EngineOptions::default()
    };
    let max_message = u32::try_from(settings.grpc_max_message.0)
        .map_err(|_| Error::invalid("`executor.grpc_max_message` must be below 4 GiB"))?;
    let url = Url::parse(&settings.scheduler_url).map_err(|e| {
        let text = format!(
            "`executor.scheduler_url` = `{}` is not a URL",
            settings.scheduler_url
        );
        Error::invalid(text).with_source(e)
    })?;
    let work_dir = settings.work_dir.clone();
    std::fs::create_dir_all(&work_dir).map_err(|e| {
        let text = format!("cannot create the work folder `{}`", work_dir.display());
        Error::new(ErrorKind::PermissionDenied, text)
            .with_hint("choose another with --work-dir")
            .with_source(e)
    })?;
    let internal = |e| Error::internal("cannot build the executor's session").with_source(e);
    // One runtime for all tasks: object store clients and Parquet footers are shared.
    let runtime = state::runtime(Some(&work_dir), &stores).map_err(internal)?;
    let functions = state::function_registry().map_err(internal)?;
    let tasks = Tasks::new();
    let flight = flight::provider(tasks.clone(), settings.grpc_max_message.as_usize());
    let mut config = ExecutorProcessConfig {
        bind_host: settings.bind_host.clone(),
        external_host: settings
            .external_host
            .clone()
            .or_else(|| own_address(&settings.bind_host)),
        port: settings.flight_port,
        grpc_port: settings.grpc_port,
        scheduler_host: url.host_str().unwrap_or("127.0.0.1").to_owned(),
        scheduler_port: url.port().unwrap_or(DEFAULT_SCHEDULER_PORT),
        vcores: settings.task_slots,
        task_scheduling_policy: TaskSchedulingPolicy::PushStaged,
        work_dir: Some(work_dir.display().to_string()),
        job_data_ttl_seconds: settings.job_data_ttl.as_secs(),
        job_data_clean_up_interval_seconds: settings.job_data_clean_up_interval.as_secs(),
        grpc_max_decoding_message_size: max_message,
        grpc_max_encoding_message_size: max_message,
        executor_heartbeat_interval_seconds: settings.heartbeat_interval.as_secs(),
        memory_pool_size: settings
            .memory_limit
            .map(|limit| limit.0)
            .or_else(|| memory::share(settings.memory_fraction)),
        memory_pool_fraction: settings.memory_fraction,
        override_execution_engine: Some(Arc::new(CountingEngine::new(metrics, tasks))),
        override_arrow_flight_service: Some(flight),
        override_function_registry: Some(Arc::new(functions)),
        override_runtime_producer: Some(Arc::new(move |_| Ok(Arc::clone(&runtime)))),
        override_config_producer: Some(Arc::new(move || state::session_config(&options, &stores))),
        override_logical_codec: Some(state::logical_codec()),
        override_physical_codec: Some(state::physical_codec()),
        // Reports of tasks go out on a connection that Ballista makes without any limit.
        override_create_grpc_client_endpoint: Some(Arc::new(|e| Ok(state::with_limits(e)))),
        health,
        ..ExecutorProcessConfig::default()
    };
    if let Some(id) = &settings.id {
        config.executor_id.clone_from(id);
    }
    Ok(config)
}

/// The address that the executor listens on; none for all interfaces, where the scheduler takes the
/// one that it sees.
fn own_address(bind_host: &str) -> Option<String> {
    let is_any = bind_host
        .parse()
        .is_ok_and(|ip: IpAddr| ip.is_unspecified());
    (!is_any).then(|| bind_host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_interfaces_are_no_address() {
        assert_eq!(own_address("0.0.0.0"), None);
        assert_eq!(own_address("::"), None);
        assert_eq!(own_address("10.0.0.7"), Some("10.0.0.7".to_owned()));
        assert_eq!(own_address("worker-7"), Some("worker-7".to_owned()));
    }
}
