//! The stores, against real servers.

mod backend;
mod bad_input;
mod cancel;
mod contract;
mod decimals;
mod defects;
mod faults;
mod hdfs_faults;
mod inserts;
mod jobs;
mod kerberos;
mod load;
mod mongodb_faults;
mod partitions;
mod places;
mod predicates;
mod secrets;
mod workplace;
mod writers;

use tokio::sync::RwLock;

/// Tests that break the servers take it alone, all others together.
static SERVERS: RwLock<()> = RwLock::const_new(());
