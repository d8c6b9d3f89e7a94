//! The client against real gateways.
//!
//! Where they are is read from the environment; see `tests/services` at the root of the project,
//! whose script starts servers and prints the variables. The tests of faults also need that script
//! and the variable `EMPORIA_SERVICES_DIR`: they kill servers, and start them again.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod real;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod tls;
#[cfg(test)]
#[path = "../tls/mod.rs"]
mod tls_endpoint;
