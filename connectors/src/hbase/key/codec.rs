//! From values to a key and back.

use super::super::value::{Encoding, Kind, Scalar};
use super::{Form, KeySpec, Part};

/// Why a key could not be made.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct KeyFault {
    /// Index of the column whose value is to blame, `None` for the key as a whole.
    pub(in super::super) column: Option<usize>,
    /// What is wrong with it.
    pub(in super::super) fault: String,
}

impl KeySpec {
    /// Appends the key of a row to `out`; `value` gives the values of its columns by index, `None`
    /// for null.
    ///
    /// # Errors
    /// Which column cannot be in a key, and why.
    pub(in super::super) fn encode<'v>(
        &self,
        value: impl Fn(usize) -> Option<Scalar<'v>>,
        out: &mut Vec<u8>,
    ) -> Result<(), KeyFault> {
        let start = out.len();
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Salt(salt) => salt.write(salt.columns().filter_map(&value), out),
                Part::Any(_) => {
                    return Err(KeyFault {
                        column: None,
                        fault: "its part any(…) cannot be made".to_owned(),
                    });
                }
                Part::Column { column, kind, form } => {
                    let blame = |fault: String| KeyFault {
                        column: Some(*column),
                        fault,
                    };
                    let value = value(*column).ok_or_else(|| blame("it is null".to_owned()))?;
                    let terminator = self.terminator(index);
                    form.encode(*kind, value, terminator, out).map_err(blame)?;
                }
            }
        }
        match out.len() - start {
            0 => Err(KeyFault {
                column: None,
                fault: "it is empty".to_owned(),
            }),
            n if n > MAX_KEY => Err(KeyFault {
                column: None,
                fault: format!("it has {n} bytes, and HBase takes {MAX_KEY}"),
            }),
            _ => Ok(()),
        }
    }

    /// Appends the values of the key's columns to `values`, with their indices; `false` where the
    /// bytes are no key of this table.
    #[must_use]
    pub(in super::super) fn decode<'k>(
        &self,
        key: &'k [u8],
        values: &mut Vec<(usize, Scalar<'k>)>,
    ) -> bool {
        let mut rest = key;
        let mut salts = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            let length = match part {
                Part::Literal(bytes) if !rest.starts_with(bytes) => return false,
                Part::Literal(bytes) => bytes.len(),
                Part::Salt(salt) => salt.width(),
                Part::Any(width) => *width,
                Part::Column { form, .. } => match form {
                    Form::Variable => match self.terminator(index) {
                        Some(terminator) => match find(rest, terminator) {
                            Some(at) => at,
                            None => return false,
                        },
                        None => rest.len(),
                    },
                    Form::Fixed(width) => *width,
                    Form::Number(number) => number.digits.width(),
                    Form::Time(pattern) => pattern.width(),
                },
            };
            let Some((bytes, behind)) = rest.split_at_checked(length) else {
                return false;
            };
            rest = behind;
            match part {
                Part::Literal(_) | Part::Any(_) => {}
                Part::Salt(salt) => salts.push((salt, bytes)),
                Part::Column { column, kind, form } => match form.decode(*kind, bytes) {
                    Some(value) => values.push((*column, value)),
                    None => return false,
                },
            }
        }
        let value_of = |column: usize| {
            let found = values.iter().find(|(index, _)| *index == column);
            found.map(|(_, value)| *value)
        };
        rest.is_empty()
            && salts.into_iter().all(|(salt, found)| {
                let mut expected = Vec::with_capacity(2);
                salt.write(salt.columns().filter_map(value_of), &mut expected);
                expected == found
            })
    }
}

/// Length of the longest key that HBase takes.
const MAX_KEY: usize = i16::MAX as usize;

impl Form {
    fn encode(
        &self,
        kind: Kind,
        value: Scalar<'_>,
        terminator: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        match (self, value) {
            (Self::Variable, value) => {
                let start = out.len();
                Encoding::Text.encode(kind, value, out)?;
                let Some(terminator) = terminator else {
                    return Ok(());
                };
                // Searched in the value with the literal behind it, because a part of the literal
                // at the end of the value would also be taken for its start.
                let end = out.len();
                out.extend_from_slice(terminator);
                let at = find(&out[start..], terminator);
                out.truncate(end);
                match at {
                    Some(at) if at == end - start => Ok(()),
                    _ => Err(format!(
                        "it contains the separator `{}`",
                        super::super::escape::printable(terminator, 20)
                    )),
                }
            }
            (Self::Fixed(width), Scalar::Bytes(bytes)) => {
                if bytes.len() != *width {
                    return Err(format!("it has {} bytes instead of {width}", bytes.len()));
                }
                out.extend_from_slice(bytes);
                Ok(())
            }
            (Self::Number(number), Scalar::Integer(value)) => number.encode(kind, value, out),
            (Self::Time(pattern), Scalar::Integer(value)) => pattern.encode(kind, value, out),
            _ => Err("its column has another type".to_owned()),
        }
    }

    fn decode<'k>(&self, kind: Kind, bytes: &'k [u8]) -> Option<Scalar<'k>> {
        match self {
            Self::Variable | Self::Fixed(_) => Encoding::Text.decode(kind, bytes),
            Self::Number(number) => number.decode(kind, bytes).map(Scalar::Integer),
            Self::Time(pattern) => pattern.decode(kind, bytes).map(Scalar::Integer),
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}
