//! Tests over more than one crate.

mod bad_input;
mod faults;
mod golden_cdnow;
mod golden_online_retail;
mod partition_restriction;
mod publishing;
mod slt;
mod tidy;
