//! Tokens of the binary protocol: every number in its full width, big-endian.

use super::input::{Input, Span, foreign};
use super::token::{Head, Kind, MessageKind};
use crate::fault::{Fault, Result};

pub(super) fn head(input: &mut Input) -> Result<Head> {
    let head: [u8; 4] = input.array()?;
    let kind = match head {
        [0x80, 0x01, _, 2] => MessageKind::Reply,
        [0x80, 0x01, _, 3] => MessageKind::Exception,
        _ => {
            return Err(foreign(
                head,
                "which is not a reply in the binary protocol".to_owned(),
            ));
        }
    };
    Ok(Head {
        kind,
        method: binary(input)?,
        sequence: i32(input)?,
    })
}

#[inline]
pub(super) fn field(input: &mut Input, id: &mut i16) -> Result<Kind> {
    let kind = kind(input.byte()?)?;
    if kind != Kind::Stop {
        *id = i16::from_be_bytes(input.array()?);
    }
    Ok(kind)
}

#[inline]
pub(super) fn list(input: &mut Input) -> Result<(Kind, usize)> {
    let element = kind(input.byte()?)?;
    let n_elements = length(input)?;
    has_bytes(element, n_elements)?;
    Ok((element, n_elements))
}

pub(super) fn map(input: &mut Input) -> Result<(Kind, Kind, usize)> {
    let key = kind(input.byte()?)?;
    let value = kind(input.byte()?)?;
    let n_entries = length(input)?;
    has_bytes(key, n_entries)?;
    has_bytes(value, n_entries)?;
    Ok((key, value, n_entries))
}

/// Refuses elements of the type that ends a struct: without bytes, any number of them would fit a reply.
#[inline]
fn has_bytes(element: Kind, n_elements: usize) -> Result<()> {
    match element == Kind::Stop && n_elements > 0 {
        true => Err(Fault::malformed("elements without a type")),
        false => Ok(()),
    }
}

#[inline]
pub(super) fn binary(input: &mut Input) -> Result<Span> {
    let length = length(input)?;
    input.span(length)
}

pub(super) fn i32(input: &mut Input) -> Result<i32> {
    Ok(i32::from_be_bytes(input.array()?))
}

#[inline]
pub(super) fn i64(input: &mut Input) -> Result<i64> {
    Ok(i64::from_be_bytes(input.array()?))
}

/// Number of bytes of a whole number.
pub(super) fn width(kind: Kind) -> usize {
    match kind {
        Kind::I16 => 2,
        Kind::I32 => 4,
        Kind::I64 => 8,
        _ => 1,
    }
}

#[inline]
fn length(input: &mut Input) -> Result<usize> {
    let length = i32::from_be_bytes(input.array()?);
    input.length(length.into())
}

#[inline]
fn kind(byte: u8) -> Result<Kind> {
    Ok(match byte {
        0 => Kind::Stop,
        2 => Kind::Bool,
        3 => Kind::I8,
        4 => Kind::Double,
        6 => Kind::I16,
        8 => Kind::I32,
        10 => Kind::I64,
        11 => Kind::Binary,
        12 => Kind::Struct,
        13 => Kind::Map,
        14 => Kind::Set,
        15 => Kind::List,
        _ => return Err(Fault::malformed(format!("a field of type {byte}"))),
    })
}
