//! One reply: the result of a call, or why there is none.
//!
//! A result is a struct of which one field is set: 0 is the result itself, the others are the
//! exceptions that the call declares. What the call does not declare comes as a message of its own
//! kind, `TApplicationException`.

use super::input::Input;
use super::token::{Kind, MessageKind, expect};
use crate::fault::{Fault, FaultKind, Result};
use crate::java;

/// The field of `AlreadyExists` in the one call that declares it.
const ALREADY_EXISTS: i16 = 3;

/// Codes of `TApplicationException`.
const UNKNOWN_METHOD: i32 = 1;
const INTERNAL_ERROR: i32 = 6;

/// Reads the reply to the call `method` with the number `sequence`. The result, where the call has
/// one, is read by `success`, which gets its type.
pub(crate) fn read<T>(
    input: &mut Input,
    method: &str,
    sequence: i32,
    mut success: impl FnMut(&mut Input, Kind) -> Result<T>,
) -> Result<Option<T>> {
    let head = input.head()?;
    if head.sequence != sequence || input.slice(head.method) != method.as_bytes() {
        return Err(Fault::malformed(format!(
            "a reply to `{}` number {}, not to `{method}` number {sequence}",
            java::brief(&String::from_utf8_lossy(input.slice(head.method))),
            head.sequence
        )));
    }
    if head.kind == MessageKind::Exception {
        let fault = application_exception(input)?;
        input.end()?;
        return Err(fault);
    }
    let mut result = None;
    let mut exception = None;
    let mut id = 0;
    loop {
        match input.field(&mut id)? {
            Kind::Stop => break,
            kind if id == 0 => result = Some(success(input, kind)?),
            Kind::Struct => exception = Some(declared_exception(input, id)?),
            kind => input.skip(kind)?,
        }
    }
    input.end()?;
    match exception {
        Some(fault) => Err(fault),
        None => Ok(result),
    }
}

/// `IOError`, `IllegalArgument` or `AlreadyExists`: a message and perhaps a flag.
fn declared_exception(input: &mut Input, field: i16) -> Result<Fault> {
    let mut message = String::new();
    let mut can_retry = false;
    let mut id = 0;
    loop {
        match (input.field(&mut id)?, id) {
            (Kind::Stop, _) => break,
            (Kind::Binary, 1) => message = text(input)?,
            (kind @ (Kind::Flag(_) | Kind::Bool), 2) => can_retry = input.bool(kind)?,
            (kind, _) => input.skip(kind)?,
        }
    }
    Ok(match field {
        ALREADY_EXISTS => Fault::new(FaultKind::TableExists, java::first_line(&message)),
        _ => java::classify(&message, can_retry),
    })
}

fn application_exception(input: &mut Input) -> Result<Fault> {
    let mut message = String::new();
    let mut code = 0;
    let mut id = 0;
    loop {
        match (input.field(&mut id)?, id) {
            (Kind::Stop, _) => break,
            (Kind::Binary, 1) => message = text(input)?,
            (Kind::I32, 2) => code = input.i32()?,
            (kind, _) => input.skip(kind)?,
        }
    }
    let kind = match code {
        UNKNOWN_METHOD => FaultKind::UnknownMethod,
        INTERNAL_ERROR => FaultKind::Internal,
        _ => FaultKind::Malformed,
    };
    Ok(Fault::new(
        kind,
        format!("the gateway failed: {}", java::first_line(&message)),
    ))
}

/// A result that is a number.
pub(crate) fn i32(input: &mut Input, kind: Kind) -> Result<i32> {
    expect(Kind::I32, kind)?;
    input.i32()
}

/// A result that is a truth value.
pub(crate) fn bool(input: &mut Input, kind: Kind) -> Result<bool> {
    input.bool(kind)
}

/// A result that is a list of names.
pub(crate) fn texts(input: &mut Input, kind: Kind) -> Result<Vec<String>> {
    expect(Kind::List, kind)?;
    let (element, n_elements) = input.list()?;
    let mut texts = Vec::new();
    for _ in 0..n_elements {
        expect(Kind::Binary, element)?;
        texts.push(text(input)?);
    }
    Ok(texts)
}

/// A result that does not matter.
pub(crate) fn nothing(input: &mut Input, kind: Kind) -> Result<()> {
    input.skip(kind)
}

fn text(input: &mut Input) -> Result<String> {
    let span = input.binary()?;
    Ok(String::from_utf8_lossy(input.slice(span)).into_owned())
}
