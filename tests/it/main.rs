//! Tests over more than one crate.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod client;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod deep;
#[cfg(test)]
mod delimited;
#[cfg(test)]
mod deployment;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod files;
#[cfg(test)]
mod golden_cdnow;
#[cfg(test)]
mod golden_online_retail;
#[cfg(test)]
#[cfg(test)]
mod job_order;
#[cfg(test)]
mod json;
#[cfg(test)]
mod managed;
#[cfg(test)]
mod partition_restriction;
#[cfg(test)]
mod places;
#[cfg(test)]
mod publishing;
#[cfg(test)]
mod slt;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod upstream;
