//! The Emporia scheduler: Ballista's scheduler with Emporia's session, codecs and limits, served
//! with health probes and a drain.
//!
//! One port serves the scheduler's gRPC, the REST API, the metrics and the probes.

pub mod args;
mod config;
mod drain;
#[path = "../../executor/src/healthcheck.rs"]
mod healthcheck;
mod job_ids;
mod lease;
mod metrics;
mod planned_again;
mod recovery;
mod serve;
mod set_aside;

pub use healthcheck::healthcheck;
pub use serve::serve;
