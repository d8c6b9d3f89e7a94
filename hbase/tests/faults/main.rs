//! The client against a gateway that misbehaves on demand.
//!
//! A real gateway fails when it likes; this one fails at the byte that a test names.

#[cfg(test)]
mod fake;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tls;
#[cfg(test)]
#[path = "../tls/mod.rs"]
mod tls_endpoint;
#[cfg(test)]
mod writes;
