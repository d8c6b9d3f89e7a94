//! Replies of any bytes: they are read or refused, in whatever pieces they come.

use std::io::{self, Read};
use std::time::Duration;

use thrift::protocol::{
    TBinaryOutputProtocol, TCompactOutputProtocol, TFieldIdentifier, TListIdentifier,
    TMapIdentifier, TMessageIdentifier, TMessageType, TOutputProtocol, TStructIdentifier, TType,
};

use super::input::Input;
use super::reply;
use super::rows::Rows;
use super::stream::Stream;
use crate::fault::{Fault, Result};
use crate::options::{Protocol, Transport};
use crate::sink::RowSink;

const METHOD: &str = "get";
const SEQUENCE: i32 = 1;
/// Largest reply.
const LIMIT: usize = 1024 * 1024;
/// Characters of the longest text of an error.
const MAX_ERROR: usize = 600;

/// Bytes of a reply, so many at a time.
#[derive(Debug)]
pub(crate) struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    size: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let piece = rest.get(..self.size.min(rest.len())).unwrap_or_default();
        let n_read = (&mut &*piece).read(buffer)?;
        self.at += n_read;
        Ok(n_read)
    }
}

/// A column, a timestamp and a value.
type Cell = (Vec<u8>, i64, Vec<u8>);

/// What a reply holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Rows(Vec<(Vec<u8>, Vec<Cell>)>),
    Number(i32),
    Truth(bool),
    Texts(Vec<String>),
    Nothing,
}

impl RowSink for Vec<(Vec<u8>, Vec<Cell>)> {
    fn row(&mut self, key: &[u8]) {
        self.push((key.to_vec(), Vec::new()));
    }

    fn cell(&mut self, column: &[u8], timestamp: i64, value: &[u8]) {
        if let Some((_, cells)) = self.last_mut() {
            cells.push((column.to_vec(), timestamp, value.to_vec()));
        }
    }
}

/// How a reply is read.
#[derive(Debug, Clone, Copy)]
struct Way {
    protocol: Protocol,
    transport: Transport,
    result: u8,
}

/// Reads a reply. The first byte says how, the second one in pieces of how many bytes; the rest is the
/// reply. Tells whether it was read.
pub fn fuzz(data: &[u8]) -> bool {
    let Some(([flags, size], bytes)) = data.split_first_chunk() else {
        return false;
    };
    let way = Way {
        protocol: match flags & 1 {
            0 => Protocol::Binary,
            _ => Protocol::Compact,
        },
        transport: match flags & 2 {
            0 => Transport::Buffered,
            _ => Transport::Framed,
        },
        result: flags >> 2,
    };
    let whole = way.read(bytes, usize::MAX);
    let pieces = way.read(bytes, usize::from(*size).max(1));
    match &whole {
        // In pieces, what follows the reply may not have come.
        Err(fault) if fault.to_string().ends_with("bytes too many") => {}
        _ => assert_eq!(
            pieces.map_err(|f| f.kind),
            whole.clone().map_err(|f| f.kind)
        ),
    }
    match &whole {
        Ok(found) => {
            let cut = bytes.len() - 1 - usize::from(*size) % bytes.len();
            let cut = way.read(bytes.get(..cut).unwrap_or_default(), usize::MAX);
            assert!(cut.is_err(), "of a part {cut:?}, of all {found:?}");
            if let Some(Found::Rows(rows)) = found {
                assert!(rows.len() <= bytes.len());
                check_written(rows);
            }
        }
        Err(fault) => {
            let text = fault.to_string();
            assert!(text.chars().count() <= MAX_ERROR, "{text}");
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
    whole.is_ok()
}

/// The rows as another library writes them are read as what they are.
fn check_written(rows: &[(Vec<u8>, Vec<Cell>)]) {
    for protocol in [Protocol::Binary, Protocol::Compact] {
        for has_maps in [true, false] {
            let mut bytes = Vec::new();
            let written = match protocol {
                Protocol::Binary => {
                    let mut out = TBinaryOutputProtocol::new(&mut bytes, true);
                    write(&mut out, rows, has_maps)
                }
                Protocol::Compact => {
                    let mut out = TCompactOutputProtocol::new(&mut bytes);
                    write(&mut out, rows, has_maps)
                }
            };
            assert!(written.is_ok(), "{written:?}");
            let way = Way {
                protocol,
                transport: Transport::Buffered,
                result: 0,
            };
            let expected = Ok(Some(Found::Rows(rows.to_vec())));
            assert_eq!(way.read(&bytes, usize::MAX), expected);
        }
    }
}

fn write(
    out: &mut dyn TOutputProtocol,
    rows: &[(Vec<u8>, Vec<Cell>)],
    has_maps: bool,
) -> thrift::Result<()> {
    let field = |out: &mut dyn TOutputProtocol, kind, id| {
        out.write_field_begin(&TFieldIdentifier::new("", kind, id))
    };
    let begin = |out: &mut dyn TOutputProtocol| out.write_struct_begin(&TStructIdentifier::new(""));
    let end = |out: &mut dyn TOutputProtocol| {
        out.write_field_stop()?;
        out.write_struct_end()
    };
    let length = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let value = |out: &mut dyn TOutputProtocol, cell: &Cell| {
        begin(out)?;
        field(out, TType::String, 1)?;
        out.write_bytes(&cell.2)?;
        field(out, TType::I64, 2)?;
        out.write_i64(cell.1)?;
        end(out)
    };
    let message = TMessageIdentifier::new(METHOD, TMessageType::Reply, SEQUENCE);
    out.write_message_begin(&message)?;
    begin(out)?;
    field(out, TType::List, 0)?;
    out.write_list_begin(&TListIdentifier::new(TType::Struct, length(rows.len())))?;
    for (key, cells) in rows {
        begin(out)?;
        field(out, TType::String, 1)?;
        out.write_bytes(key)?;
        match has_maps {
            true => {
                field(out, TType::Map, 2)?;
                let n = length(cells.len());
                out.write_map_begin(&TMapIdentifier::new(TType::String, TType::Struct, n))?;
                for cell in cells {
                    out.write_bytes(&cell.0)?;
                    value(out, cell)?;
                }
            }
            false => {
                field(out, TType::List, 3)?;
                let n = length(cells.len());
                out.write_list_begin(&TListIdentifier::new(TType::Struct, n))?;
                for cell in cells {
                    begin(out)?;
                    field(out, TType::String, 1)?;
                    out.write_bytes(&cell.0)?;
                    field(out, TType::Struct, 2)?;
                    value(out, cell)?;
                    end(out)?;
                }
            }
        }
        end(out)?;
    }
    end(out)?;
    out.write_message_end()
}

impl Way {
    /// Reads the reply twice, the second time into the buffer of the first one.
    fn read(self, bytes: &[u8], size: usize) -> Result<Option<Found>> {
        let stream = || {
            Stream::Pieces(Pieces {
                bytes: bytes.to_vec(),
                at: 0,
                size,
            })
        };
        let mut input = Input::new(stream(), self.protocol, LIMIT, Duration::ZERO);
        let first = self.read_one(&mut input);
        *input.stream() = stream();
        assert_eq!(self.read_one(&mut input), first, "read again");
        first
    }

    fn read_one(self, input: &mut Input) -> Result<Option<Found>, Fault> {
        input.begin(self.transport)?;
        let mut rows = Rows::default();
        let result = reply::read(input, METHOD, SEQUENCE, |input, kind| {
            Ok(match self.result % 8 {
                0..4 => {
                    rows.read(input, kind)?;
                    Found::Rows(Vec::new())
                }
                4 => Found::Number(reply::i32(input, kind)?),
                5 => Found::Truth(reply::bool(input, kind)?),
                6 => Found::Texts(reply::texts(input, kind)?),
                _ => {
                    reply::nothing(input, kind)?;
                    Found::Nothing
                }
            })
        })?;
        Ok(result.map(|found| match found {
            Found::Rows(mut found) => {
                rows.emit(input.bytes(), &mut found);
                Found::Rows(found)
            }
            other => other,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the error of a reply in the binary protocol.
    fn refused(bytes: &[u8], size: usize) -> String {
        let way = Way {
            protocol: Protocol::Binary,
            transport: Transport::Buffered,
            result: 7,
        };
        way.read(bytes, size).unwrap_err().to_string()
    }

    /// Such a list has no bytes: with other lists around it, a small reply would take hours.
    #[test]
    fn elements_without_a_type_are_refused() {
        let begin = &b"\x80\x01\0\x02\0\0\0\x03get\0\0\0\x01"[..];
        for elements in [
            &b"\x0f\0\0\0\0\x0f\xff\xff"[..],
            b"\x0d\0\0\0\x0b\0\x0f\xff\xff",
            b"\x0d\0\0\x0b\0\0\x0f\xff\xff",
        ] {
            let error = refused(&[begin, elements].concat(), usize::MAX);
            assert!(error.contains("elements without a type"), "{error}");
        }
    }

    /// It was read where all of it came at once.
    #[test]
    fn a_reply_that_is_longer_than_its_frame_is_refused() {
        let way = Way {
            protocol: Protocol::Binary,
            transport: Transport::Framed,
            result: 0,
        };
        let framed = |length: u8| {
            let reply = b"\x80\x01\0\x02\0\0\0\x03get\0\0\0\x01\0";
            [&[0, 0, 0, length][..], reply].concat()
        };
        assert_eq!(way.read(&framed(16), usize::MAX), Ok(None));
        for size in [1, usize::MAX] {
            assert!(way.read(&framed(15), size).is_err(), "in pieces of {size}");
        }
    }

    #[test]
    fn an_error_is_short_and_on_one_line() {
        let name = [b'\n'; 5000];
        let reply = [&b"\x80\x01\0\x02\0\0\x13\x88"[..], &name, b"\0\0\0\x01\0"].concat();
        let error = refused(&reply, usize::MAX);
        assert!(error.starts_with("a reply to ` "), "{error}");
        assert!(error.len() < 1000 && !error.contains('\n'), "{error}");
    }

    /// The first bytes of a stranger were taken for zeros where they came one by one.
    #[test]
    fn a_stranger_is_named_in_whatever_pieces_it_answers() {
        let way = Way {
            protocol: Protocol::Compact,
            transport: Transport::Buffered,
            result: 0,
        };
        let error = |size| way.read(b"HTTP/1.1", size).unwrap_err().to_string();
        assert_eq!(error(usize::MAX), "it is an HTTP server");
        assert!(
            error(1).starts_with("it begins with [48, 54, 00, 00]"),
            "{}",
            error(1)
        );
    }

    #[test]
    fn changed_replies_are_read_or_refused() {
        let outcome = emporia_fuzz::run("replies", 10_000, fuzz);
        assert!(
            outcome.n_read > 100 && outcome.n_refused > 100,
            "{outcome:?}"
        );
    }
}
