//! One connection to one gateway.
//!
//! A connection carries one call at a time. After a fault of the connection itself it is of no use
//! any more: the rest of an old reply could be taken for that of the next call.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::fault::{Fault, FaultKind, Result};
use crate::options::{Address, Protocol, Transport};
use crate::wire::TlsConfig;
use crate::wire::input::Input;
use crate::wire::request::{self, Arguments};
use crate::wire::stream::Stream;
use crate::wire::token::Kind;
use crate::wire::{reply, rows::Rows};

/// How to speak on a connection.
#[derive(Debug, Clone)]
pub(crate) struct Dialect {
    pub(crate) protocol: Protocol,
    pub(crate) transport: Transport,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) max_message_bytes: usize,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    input: Input,
    request: Vec<u8>,
    sequence: i32,
    is_broken: bool,
    used_at: Instant,
}

impl Connection {
    /// Connects; `timeout` also bounds the calls until [`Connection::set_timeout`].
    pub(crate) fn open(address: &Address, dialect: &Dialect, timeout: Duration) -> Result<Self> {
        let stream = Stream::connect(address, dialect.tls.as_ref(), timeout)?;
        Ok(Self {
            transport: dialect.transport,
            input: Input::new(stream, dialect.protocol, dialect.max_message_bytes, timeout),
            request: Vec::new(),
            sequence: 0,
            is_broken: false,
            used_at: Instant::now(),
        })
    }

    /// Sets how long the gateway may be silent.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.input.set_timeout(timeout).map_err(|error| {
            self.is_broken = true;
            Fault::of_io(&error, timeout)
        })
    }

    /// Whether a fault made the connection useless.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether the connection can be used again after it was idle.
    pub(crate) fn is_fresh(&mut self, max_idle: Duration) -> bool {
        !self.is_broken && self.used_at.elapsed() < max_idle && self.input.stream().is_quiet()
    }

    /// Makes a call without result.
    pub(crate) fn order(
        &mut self,
        method: &str,
        arguments: impl FnOnce(&mut Arguments<'_>) -> thrift::Result<()>,
    ) -> Result<()> {
        self.exchange(method, arguments, reply::nothing).map(drop)
    }

    /// Makes a call; its result is read by `success`.
    pub(crate) fn ask<T>(
        &mut self,
        method: &str,
        arguments: impl FnOnce(&mut Arguments<'_>) -> thrift::Result<()>,
        success: impl FnMut(&mut Input, Kind) -> Result<T>,
    ) -> Result<T> {
        let result = self.exchange(method, arguments, success)?;
        result.ok_or_else(|| {
            self.is_broken = true;
            Fault::malformed(format!("the reply to `{method}` holds no result"))
        })
    }

    /// Makes a call that returns rows, and leaves them in the buffer of the connection.
    pub(crate) fn fetch(
        &mut self,
        method: &str,
        arguments: impl FnOnce(&mut Arguments<'_>) -> thrift::Result<()>,
        rows: &mut Rows,
    ) -> Result<()> {
        self.ask(method, arguments, |input, kind| rows.read(input, kind))
    }

    /// The bytes of the last reply, of which the positions in [`Rows`] speak.
    pub(crate) fn reply_bytes(&self) -> &[u8] {
        self.input.bytes()
    }

    /// Size of the last reply.
    pub(crate) fn reply_size(&self) -> usize {
        self.input.consumed()
    }

    fn exchange<T>(
        &mut self,
        method: &str,
        arguments: impl FnOnce(&mut Arguments<'_>) -> thrift::Result<()>,
        success: impl FnMut(&mut Input, Kind) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.is_broken {
            return Err(Fault::new(FaultKind::Connection, "used after a fault"));
        }
        self.sequence = self.sequence.wrapping_add(1);
        request::encode(
            &mut self.request,
            self.input.protocol(),
            self.transport,
            method,
            self.sequence,
            arguments,
        )?;
        let result = self
            .send()
            .and_then(|()| self.input.begin(self.transport))
            .and_then(|()| reply::read(&mut self.input, method, self.sequence, success));
        self.used_at = Instant::now();
        if let Err(fault) = &result {
            self.is_broken = fault.breaks_connection();
        }
        result
    }

    fn send(&mut self) -> Result<()> {
        let timeout = self.input.timeout();
        let stream = self.input.stream();
        stream
            .write_all(&self.request)
            .and_then(|()| stream.flush())
            .map_err(|error| Fault::of_io(&error, timeout))
    }
}
