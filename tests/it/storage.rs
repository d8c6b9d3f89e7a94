//! The stores, against real servers.

mod backend;
mod contract;
mod faults;
mod jobs;
mod predicates;
