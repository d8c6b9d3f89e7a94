//! The Emporia scheduler: Ballista's scheduler with Emporia's session, codecs and limits, served
//! with health probes and a drain.
//!
//! One port serves the scheduler's gRPC, the REST API and the probes.

pub mod args;
mod config;
mod serve;

pub use serve::serve;
