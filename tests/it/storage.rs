//! The stores, against real servers.

mod backend;
mod contract;
mod faults;
mod jobs;
mod predicates;

use tokio::sync::RwLock;

/// Tests that break the servers take it alone, all others together.
static SERVERS: RwLock<()> = RwLock::const_new(());
