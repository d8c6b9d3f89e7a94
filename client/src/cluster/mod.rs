//! A cluster of processes on this machine: starting, finding and ending them.

pub(crate) mod process;
pub(crate) mod start;
pub(crate) mod state;
