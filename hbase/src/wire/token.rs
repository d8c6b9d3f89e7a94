//! What both protocols have in common: fields, lists, maps, strings and numbers.

use super::input::{Input, Span};
use super::{binary, compact};
use crate::fault::{Fault, Result};
use crate::options::Protocol;

/// Deepest nesting that is followed; replies of HBase have 5.
const MAX_DEPTH: usize = 32;

/// The type of a field or element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// End of a struct.
    Stop,
    /// A boolean with the value in the header of its field.
    Flag(bool),
    /// A boolean in a byte of its own.
    Bool,
    I8,
    I16,
    I32,
    I64,
    Double,
    /// Bytes or text.
    Binary,
    Struct,
    Map,
    Set,
    List,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    Reply,
    Exception,
}

/// The head of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) kind: MessageKind,
    pub(crate) method: Span,
    pub(crate) sequence: i32,
}

impl Input {
    /// The head of a message.
    pub(crate) fn head(&mut self) -> Result<Head> {
        match self.protocol {
            Protocol::Binary => binary::head(self),
            Protocol::Compact => compact::head(self),
        }
    }

    /// The head of the next field of a struct; its number is left in `id`, which holds that of the
    /// field before, 0 at first.
    #[inline]
    pub(crate) fn field(&mut self, id: &mut i16) -> Result<Kind> {
        match self.protocol {
            Protocol::Binary => binary::field(self, id),
            Protocol::Compact => compact::field(self, id),
        }
    }

    /// The head of a list or set: type and number of the elements.
    #[inline]
    pub(crate) fn list(&mut self) -> Result<(Kind, usize)> {
        match self.protocol {
            Protocol::Binary => binary::list(self),
            Protocol::Compact => compact::list(self),
        }
    }

    /// The head of a map: types of keys and values, number of the entries.
    pub(crate) fn map(&mut self) -> Result<(Kind, Kind, usize)> {
        match self.protocol {
            Protocol::Binary => binary::map(self),
            Protocol::Compact => compact::map(self),
        }
    }

    /// Bytes or text.
    #[inline]
    pub(crate) fn binary(&mut self) -> Result<Span> {
        match self.protocol {
            Protocol::Binary => binary::binary(self),
            Protocol::Compact => compact::binary(self),
        }
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        match self.protocol {
            Protocol::Binary => binary::i32(self),
            Protocol::Compact => compact::i32(self),
        }
    }

    #[inline]
    pub(crate) fn i64(&mut self) -> Result<i64> {
        match self.protocol {
            Protocol::Binary => binary::i64(self),
            Protocol::Compact => compact::i64(self),
        }
    }

    /// A boolean, whose type is [`Kind::Flag`] or [`Kind::Bool`].
    pub(crate) fn bool(&mut self, kind: Kind) -> Result<bool> {
        match kind {
            Kind::Flag(value) => Ok(value),
            Kind::Bool => Ok(self.byte()? == 1),
            other => Err(unexpected(Kind::Bool, other)),
        }
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self, kind: Kind) -> Result<()> {
        self.skip_at(kind, 0)
    }

    fn skip_at(&mut self, kind: Kind, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Fault::malformed("nested too deeply"));
        }
        match kind {
            Kind::Stop | Kind::Flag(_) => {}
            Kind::Bool | Kind::I8 => {
                self.byte()?;
            }
            Kind::I16 | Kind::I32 | Kind::I64 => match self.protocol {
                Protocol::Binary => {
                    self.span(binary::width(kind))?;
                }
                Protocol::Compact => {
                    compact::i64(self)?;
                }
            },
            Kind::Double => {
                self.span(8)?;
            }
            Kind::Binary => {
                self.binary()?;
            }
            Kind::Struct => {
                let mut id = 0;
                loop {
                    match self.field(&mut id)? {
                        Kind::Stop => break,
                        kind => self.skip_at(kind, depth + 1)?,
                    }
                }
            }
            Kind::List | Kind::Set => {
                let (element, n_elements) = self.list()?;
                for _ in 0..n_elements {
                    self.skip_at(element, depth + 1)?;
                }
            }
            Kind::Map => {
                let (key, value, n_entries) = self.map()?;
                for _ in 0..n_entries {
                    self.skip_at(key, depth + 1)?;
                    self.skip_at(value, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

/// Checks the type of a value that is about to be read.
#[inline]
pub(crate) fn expect(wanted: Kind, found: Kind) -> Result<()> {
    match wanted == found {
        true => Ok(()),
        false => Err(unexpected(wanted, found)),
    }
}

#[cold]
fn unexpected(wanted: Kind, found: Kind) -> Fault {
    Fault::malformed(format!("{found:?} where {wanted:?} should be"))
}
