//! A socket with timeouts, plain or encrypted.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use socket2::{SockRef, TcpKeepalive};

use super::tls::{self, TlsConfig};
use crate::fault::{Fault, FaultKind, Result};
use crate::options::Address;

/// Idle time after which the system asks whether the other side still lives.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// What a gateway would have sent.
    #[cfg(any(test, fuzzing))]
    Pieces(super::fuzz::Pieces),
}

impl Stream {
    /// Connects to the first address of the host that answers.
    pub(crate) fn connect(
        address: &Address,
        tls: Option<&TlsConfig>,
        timeout: Duration,
    ) -> Result<Self> {
        let failed = |error: io::Error| Fault::of_io(&error, timeout);
        let socket = connect(address, timeout)?;
        socket.set_nodelay(true).map_err(failed)?;
        socket.set_read_timeout(Some(timeout)).map_err(failed)?;
        socket.set_write_timeout(Some(timeout)).map_err(failed)?;
        SockRef::from(&socket)
            .set_tcp_keepalive(
                &TcpKeepalive::new()
                    .with_time(KEEPALIVE)
                    .with_interval(KEEPALIVE),
            )
            .map_err(failed)?;
        match tls {
            None => Ok(Self::Plain(socket)),
            Some(tls) => Ok(Self::Tls(Box::new(tls::handshake(
                tls, address, socket, timeout,
            )?))),
        }
    }

    /// Sets how long one read or write may take.
    pub(crate) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        let socket = self.socket();
        socket.set_read_timeout(Some(timeout))?;
        socket.set_write_timeout(Some(timeout))
    }

    /// Whether the other side has neither closed an idle connection nor sent anything on it.
    pub(crate) fn is_quiet(&self) -> bool {
        let socket = self.socket();
        if socket.set_nonblocking(true).is_err() {
            return false;
        }
        let peeked = socket.peek(&mut [0]);
        let is_blocking = socket.set_nonblocking(false).is_ok();
        is_blocking && matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.sock,
            #[cfg(any(test, fuzzing))]
            Self::Pieces(_) => unreachable!("it has no socket"),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
            #[cfg(any(test, fuzzing))]
            Self::Pieces(pieces) => pieces.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
            #[cfg(any(test, fuzzing))]
            Self::Pieces(_) => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
            #[cfg(any(test, fuzzing))]
            Self::Pieces(_) => Ok(()),
        }
    }
}

fn connect(address: &Address, timeout: Duration) -> Result<TcpStream> {
    let resolved = (address.host.as_str(), address.port)
        .to_socket_addrs()
        .map_err(|error| {
            Fault::new(
                FaultKind::Connection,
                format!("cannot resolve the host: {error}"),
            )
        })?;
    let mut last = Fault::new(FaultKind::Connection, "the host has no address");
    for socket_address in resolved {
        match TcpStream::connect_timeout(&socket_address, timeout) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Fault::of_io(&error, timeout),
        }
    }
    Err(last)
}
