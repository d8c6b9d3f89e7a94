//! The Emporia executor: Ballista's executor with Emporia's session, codecs and limits, and a
//! health port.

pub mod args;
mod config;
mod health;
mod serve;

pub use serve::{Executor, serve};
