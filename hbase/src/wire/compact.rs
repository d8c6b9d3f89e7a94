//! Tokens of the compact protocol: numbers in as few bytes as they need.

use super::input::{Input, Span, foreign};
use super::token::{Head, Kind, MessageKind};
use crate::fault::{Fault, Result};

/// First byte of every message.
const PROTOCOL: u8 = 0x82;

pub(super) fn head(input: &mut Input) -> Result<Head> {
    let [protocol, version] = input.array()?;
    let kind = match (protocol, version) {
        (PROTOCOL, 0x41) => MessageKind::Reply,
        (PROTOCOL, 0x61) => MessageKind::Exception,
        _ => {
            return Err(foreign(
                input.peek4(),
                "which is not a reply in the compact protocol".to_owned(),
            ));
        }
    };
    // The sequence number is a plain variable-length number, not zigzag.
    let sequence = varint(input)? as u32 as i32;
    Ok(Head {
        kind,
        method: binary(input)?,
        sequence,
    })
}

#[inline]
pub(super) fn field(input: &mut Input, id: &mut i16) -> Result<Kind> {
    let head = input.byte()?;
    let kind = match head & 0x0f {
        0 => return Ok(Kind::Stop),
        1 => Kind::Flag(true),
        2 => Kind::Flag(false),
        other => kind(other)?,
    };
    *id = match i16::from(head >> 4) {
        0 => i64(input)? as i16,
        delta => id.wrapping_add(delta),
    };
    Ok(kind)
}

#[inline]
pub(super) fn list(input: &mut Input) -> Result<(Kind, usize)> {
    let head = input.byte()?;
    let element = kind(head & 0x0f)?;
    let n_elements = match head >> 4 {
        15 => length(input)?,
        few => usize::from(few),
    };
    Ok((element, n_elements))
}

pub(super) fn map(input: &mut Input) -> Result<(Kind, Kind, usize)> {
    let n_entries = length(input)?;
    if n_entries == 0 {
        return Ok((Kind::Stop, Kind::Stop, 0));
    }
    let kinds = input.byte()?;
    Ok((kind(kinds >> 4)?, kind(kinds & 0x0f)?, n_entries))
}

#[inline]
pub(super) fn binary(input: &mut Input) -> Result<Span> {
    let length = length(input)?;
    input.span(length)
}

pub(super) fn i32(input: &mut Input) -> Result<i32> {
    Ok(i64(input)? as i32)
}

#[inline]
pub(super) fn i64(input: &mut Input) -> Result<i64> {
    let zigzag = varint(input)?;
    Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
}

#[inline]
fn length(input: &mut Input) -> Result<usize> {
    let length = varint(input)?;
    input.length(i64::try_from(length).unwrap_or(i64::MAX))
}

/// A number in groups of seven bits, the lowest first.
#[inline]
fn varint(input: &mut Input) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = input.byte()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Fault::malformed("a number of more than 64 bits"))
}

/// The type of an element; as such, a boolean has a byte of its own.
#[inline]
fn kind(nibble: u8) -> Result<Kind> {
    Ok(match nibble {
        1 | 2 => Kind::Bool,
        3 => Kind::I8,
        4 => Kind::I16,
        5 => Kind::I32,
        6 => Kind::I64,
        7 => Kind::Double,
        8 => Kind::Binary,
        9 => Kind::List,
        10 => Kind::Set,
        11 => Kind::Map,
        12 => Kind::Struct,
        _ => return Err(Fault::malformed(format!("a field of type {nibble}"))),
    })
}
