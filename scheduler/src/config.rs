//! From Emporia's settings to Ballista's scheduler configuration.

use std::sync::Arc;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::extension::SessionConfigExt;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use emporia_core::config::{SchedulerSettings, StoreSettings, TaskDistribution};
use emporia_core::error::{Error, Result};
use emporia_engine::Stores;
use emporia_engine::options::EngineOptions;
use emporia_engine::state;

use crate::job_ids::JobIds;
use crate::recovery::Replanning;

/// Where Ballista would redirect browsers to a page on the public internet; moved out of the way.
const EXTERNAL_UI_ROUTE: &str = "/api/external-ui";

/// Builds the configuration of a scheduler that listens on `port`.
pub(crate) fn build(
    settings: &SchedulerSettings,
    stores: StoreSettings,
    port: u16,
) -> Result<SchedulerConfig> {
    let stores = Stores::new(stores);
    let options = EngineOptions {
        grpc_max_message_bytes: settings.grpc_max_message.as_usize(),
        ..EngineOptions::default()
    };
    let max_message = u32::try_from(settings.grpc_max_message.0)
        .map_err(|_| Error::invalid("`scheduler.grpc_max_message` must be below 4 GiB"))?;
    // One runtime for all sessions: object store clients and file statistics are shared.
    let runtime = state::runtime(None, &stores)
        .map_err(|e| Error::internal("cannot build the runtime").with_source(e))?;
    let host = settings
        .external_host
        .clone()
        .unwrap_or_else(|| settings.bind_host.clone());
    Ok(SchedulerConfig {
        external_host: host.clone(),
        bind_host: settings.bind_host.clone(),
        bind_port: port,
        scheduling_policy: TaskSchedulingPolicy::PushStaged,
        task_distribution: match settings.task_distribution {
            TaskDistribution::Bias => TaskDistributionPolicy::Bias,
            TaskDistribution::RoundRobin => TaskDistributionPolicy::RoundRobin,
        },
        // No timers, which hold several KiB for each job: `recovery/finished.rs` keeps these times.
        finished_job_data_clean_up_interval_seconds: 0,
        finished_job_state_clean_up_interval_seconds: 0,
        executor_termination_grace_period: settings.executor_termination_grace_period.as_secs(),
        executor_timeout_seconds: settings.executor_timeout.as_secs(),
        expire_dead_executor_interval_seconds: settings.expire_dead_executor_interval.as_secs(),
        no_executors_grace_period_seconds: settings.no_executors_grace_period.as_secs(),
        task_max_failures: settings.task_max_failures,
        stage_max_failures: settings.stage_max_failures,
        grpc_server_max_decoding_message_size: max_message,
        grpc_server_max_encoding_message_size: max_message,
        grpc_client_max_message_size: max_message,
        event_log_dir: settings
            .event_log_dir
            .as_ref()
            .map(|d| d.display().to_string()),
        override_logical_codec: Some(state::logical_codec()),
        override_physical_codec: Some(state::physical_codec()),
        override_config_producer: Some(Arc::new(move || state::session_config(&options, &stores))),
        override_session_builder: Some(Arc::new(move |config| {
            // Who asks Ballista for adaptive planning gets ours: recovery knows no other.
            let wish = match config.ballista_adaptive_query_planner_enabled() {
                true => Replanning::On,
                false => Replanning::Off,
            };
            let config = config
                .with_ballista_adaptive_query_planner(false)
                .with_extension(Arc::new(wish));
            state::scheduling_state(config, Arc::clone(&runtime))
        })),
        job_id_generator: Some(Arc::new(JobIds::default())),
        web_tui_route: EXTERNAL_UI_ROUTE.to_owned(),
        cors_allowed_origins: format!("http://{host}:{port}"),
        ..SchedulerConfig::default()
    })
}
