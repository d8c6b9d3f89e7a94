//! The bytes of one reply, as they come in.
//!
//! A reply is kept whole in one buffer, which is used again for the next reply, so that rows can
//! be handed out as slices of it. Memory grows with the bytes that have come, never with a length
//! that the other side claims.

use std::io::{self, Read};
use std::time::Duration;

use super::stream::Stream;
use crate::fault::{Fault, FaultKind, Result};
use crate::options::{Protocol, Transport};

/// First size of the buffer, and the least room for one read.
const STEP: usize = 256 * 1024;

/// A buffer above this size is given back after its reply.
const KEEP: usize = 8 * 1024 * 1024;

/// Where some bytes stand in a reply. A reply has less than 2 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

/// Reads one reply after the other from a stream.
#[derive(Debug)]
pub(crate) struct Input {
    pub(super) protocol: Protocol,
    stream: Stream,
    /// How long the stream waits.
    timeout: Duration,
    /// Largest reply.
    limit: usize,
    bytes: Vec<u8>,
    position: usize,
    filled: usize,
    /// End of the frame, of framed replies.
    frame_end: Option<usize>,
}

impl Input {
    pub(crate) fn new(stream: Stream, protocol: Protocol, limit: usize, timeout: Duration) -> Self {
        Self {
            protocol,
            stream,
            timeout,
            limit,
            bytes: Vec::new(),
            position: 0,
            filled: 0,
            frame_end: None,
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// How long the stream waits.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sets how long the stream waits.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        if timeout != self.timeout {
            self.stream.set_timeout(timeout)?;
            self.timeout = timeout;
        }
        Ok(())
    }

    /// Forgets the last reply and begins the next; of a framed one all bytes are read.
    pub(crate) fn begin(&mut self, transport: Transport) -> Result<()> {
        self.position = 0;
        self.filled = 0;
        self.frame_end = None;
        if self.bytes.len() > KEEP {
            self.bytes = Vec::new();
        }
        if transport == Transport::Framed {
            self.need(4)?;
            let head = self.peek4();
            let length = i32::from_be_bytes(head);
            let length = usize::try_from(length)
                .map_err(|_| foreign(head, format!("a frame of {length} bytes")))?;
            if length > self.limit {
                return Err(match sniff(head) {
                    Some(_) => foreign(head, String::new()),
                    None => self.too_large(length),
                });
            }
            self.position = 4;
            self.need(length)?;
            let end = 4 + length;
            self.frame_end = Some(end);
            // Else a reply that is longer than its frame would be read on into them.
            match self.filled.saturating_sub(end) {
                0 => {}
                n_bytes => return Err(Fault::malformed(format!("{n_bytes} bytes too many"))),
            }
        }
        Ok(())
    }

    /// Checks that nothing follows the reply, which would be taken for the next one.
    pub(crate) fn end(&self) -> Result<()> {
        match self.filled.max(self.frame_end.unwrap_or_default()) - self.position {
            0 => Ok(()),
            n_bytes => Err(Fault::malformed(format!("{n_bytes} bytes too many"))),
        }
    }

    /// The bytes of the reply that have come.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// The bytes of a span.
    pub(crate) fn slice(&self, span: Span) -> &[u8] {
        span.of(&self.bytes)
    }

    /// Number of bytes of the reply that were read.
    pub(crate) fn consumed(&self) -> usize {
        self.position
    }

    /// The first four bytes of the reply; zeros for those that have not come.
    pub(super) fn peek4(&self) -> [u8; 4] {
        let mut head = [0; 4];
        for (to, from) in head.iter_mut().zip(self.bytes()) {
            *to = *from;
        }
        head
    }

    /// Takes `length` bytes.
    #[inline]
    pub(super) fn span(&mut self, length: usize) -> Result<Span> {
        self.need(length)?;
        let start = self.position as u32;
        self.position += length;
        Ok(Span {
            start,
            end: self.position as u32,
        })
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.need(N)?;
        let array = self.bytes[self.position..]
            .first_chunk::<N>()
            .copied()
            .ok_or_else(|| Fault::malformed("cut"))?;
        self.position += N;
        Ok(array)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A length or count from the wire, which no honest reply exceeds: every element takes a byte.
    #[inline]
    pub(super) fn length(&self, length: i64) -> Result<usize> {
        match usize::try_from(length) {
            Ok(length) if length <= self.limit => Ok(length),
            Ok(length) => Err(self.too_large(length)),
            Err(_) => Err(Fault::malformed(format!("a length of {length}"))),
        }
    }

    /// Waits until the next `n_bytes` have come.
    #[inline]
    fn need(&mut self, n_bytes: usize) -> Result<()> {
        if self.filled - self.position >= n_bytes {
            return Ok(());
        }
        self.fill(n_bytes)
    }

    #[cold]
    fn fill(&mut self, n_bytes: usize) -> Result<()> {
        if self.frame_end.is_some() {
            return Err(Fault::malformed("the frame ends before the reply"));
        }
        let end = self.position.saturating_add(n_bytes);
        if end > self.limit.saturating_add(4) {
            return Err(self.too_large(end));
        }
        while self.filled < end {
            if self.bytes.len() - self.filled < STEP / 4 {
                let grown = (self.bytes.len() * 2).max(STEP);
                self.bytes.resize(grown, 0);
            }
            match self.stream.read(&mut self.bytes[self.filled..]) {
                Ok(0) => {
                    return Err(Fault::new(FaultKind::Connection, "closed by the gateway"));
                }
                Ok(n_read) => self.filled += n_read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::of_io(&error, self.timeout)),
            }
        }
        Ok(())
    }

    #[cold]
    fn too_large(&self, length: usize) -> Fault {
        Fault::new(
            FaultKind::TooLarge,
            format!(
                "a reply of at least {length} bytes exceeds max_message_bytes, {}",
                self.limit
            ),
        )
    }
}

impl Span {
    /// The bytes in the buffer of their reply.
    #[inline]
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

/// The fault of a reply that begins with these bytes, which are not those of a reply.
#[cold]
pub(super) fn foreign(head: [u8; 4], otherwise: String) -> Fault {
    match sniff(head) {
        Some(what) => Fault::malformed(what),
        None => Fault::malformed(format!("it begins with {head:02x?}, {otherwise}")),
    }
}

/// What the sender of these bytes seems to speak, where it is not what is expected.
fn sniff(head: [u8; 4]) -> Option<&'static str> {
    match head {
        [b'H', b'T', b'T', b'P'] => Some("it is an HTTP server"),
        [0x15, 0x03, ..] => Some("it speaks TLS; set the tls options"),
        [0x80, 0x01, 0x00, ..] => Some("it is unframed; set transport to buffered"),
        [0x82, 0x21 | 0x41 | 0x61, ..] => Some("it speaks the compact protocol"),
        [0x03..=0x05, 0x00, 0x00, ..] => {
            Some("it demands SASL authentication, which is not supported")
        }
        [0x00, ..] => Some("it seems to be framed; set transport to framed"),
        _ => None,
    }
}
