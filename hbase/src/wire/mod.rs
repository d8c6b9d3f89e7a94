//! Thrift on a socket.
//!
//! The requests are written with the protocols of the `thrift` crate into a buffer and sent in one
//! piece. The replies are read by this crate: that of a scan is where the time goes, and the
//! `thrift` crate trusts every length that it is sent.
//!
//! ```text
//!   stream   TCP or TLS, with timeouts
//!   input    the bytes of one reply, as they come in
//!   token    fields, lists, numbers: what both protocols have in common
//!   binary, compact      how each protocol writes a token
//!   request  one call with its arguments
//!   reply    one reply: its result, or an exception
//!   rows     the rows of a reply
//! ```

mod binary;
mod compact;
#[cfg(any(test, fuzzing))]
mod fuzz;
pub(crate) mod input;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod rows;
pub(crate) mod stream;
mod tls;
pub(crate) mod token;

#[cfg(any(test, fuzzing))]
pub use fuzz::fuzz;
pub(crate) use tls::TlsConfig;
