//! The Emporia executor: Ballista's executor with Emporia's session, codecs and limits, and a
//! port with probes and metrics.

pub mod args;
mod checked_read;
mod clients;
mod config;
mod engine;
mod flight;
mod health;
mod healthcheck;
mod memory;
mod metrics;
mod running;
mod serve;
mod wait;

pub use engine::task_engine;
pub use healthcheck::healthcheck;
pub use serve::{Executor, serve};
