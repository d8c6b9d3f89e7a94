//! One call with its arguments.
//!
//! The call is written into a buffer and sent in one piece. Fields are numbered as in HBase's
//! interface definition; their names do not travel.

use thrift::protocol::{
    TBinaryOutputProtocol, TCompactOutputProtocol, TFieldIdentifier, TListIdentifier,
    TMapIdentifier, TMessageIdentifier, TMessageType, TOutputProtocol, TStructIdentifier, TType,
};

use crate::fault::{Fault, FaultKind, Result};
use crate::options::{Protocol, Transport};

/// Writes the arguments of a call.
pub(crate) struct Arguments<'a> {
    out: &'a mut dyn TOutputProtocol,
}

/// Encodes a call into `buffer`, ready to be sent.
pub(crate) fn encode(
    buffer: &mut Vec<u8>,
    protocol: Protocol,
    transport: Transport,
    method: &str,
    sequence: i32,
    arguments: impl FnOnce(&mut Arguments<'_>) -> thrift::Result<()>,
) -> Result<()> {
    buffer.clear();
    if transport == Transport::Framed {
        buffer.extend_from_slice(&[0; 4]);
    }
    let written = match protocol {
        Protocol::Binary => {
            let mut out = TBinaryOutputProtocol::new(&mut *buffer, true);
            write(&mut out, method, sequence, arguments)
        }
        Protocol::Compact => {
            let mut out = TCompactOutputProtocol::new(&mut *buffer);
            write(&mut out, method, sequence, arguments)
        }
    };
    written.map_err(|error| {
        Fault::new(
            FaultKind::Invalid,
            format!("the request cannot be encoded: {error}"),
        )
    })?;
    let length = i32::try_from(buffer.len()).map_err(|_| {
        Fault::new(
            FaultKind::Invalid,
            format!("a request of {} bytes is too large", buffer.len()),
        )
    })?;
    if transport == Transport::Framed
        && let Some(head) = buffer.first_chunk_mut::<4>()
    {
        *head = (length - 4).to_be_bytes();
    }
    Ok(())
}

fn write(
    out: &mut dyn TOutputProtocol,
    method: &str,
    sequence: i32,
    arguments: impl FnOnce(&mut Arguments<'_>) -> thrift::Result<()>,
) -> thrift::Result<()> {
    out.write_message_begin(&TMessageIdentifier::new(
        method,
        TMessageType::Call,
        sequence,
    ))?;
    Arguments { out }.structure(arguments)?;
    out.write_message_end()
}

impl Arguments<'_> {
    /// A field of bytes or text.
    pub(crate) fn bytes(&mut self, id: i16, bytes: &[u8]) -> thrift::Result<()> {
        self.field(id, TType::String, |out| out.write_bytes(bytes))
    }

    /// A field with a number of 16 bits or fewer.
    pub(crate) fn i32(&mut self, id: i16, value: i32) -> thrift::Result<()> {
        self.field(id, TType::I32, |out| out.write_i32(value))
    }

    /// A field with a number of 64 bits.
    pub(crate) fn i64(&mut self, id: i16, value: i64) -> thrift::Result<()> {
        self.field(id, TType::I64, |out| out.write_i64(value))
    }

    /// A field with a truth value.
    pub(crate) fn bool(&mut self, id: i16, value: bool) -> thrift::Result<()> {
        self.field(id, TType::Bool, |out| out.write_bool(value))
    }

    /// A field with a list of bytes or texts.
    pub(crate) fn list<T: AsRef<[u8]>>(&mut self, id: i16, items: &[T]) -> thrift::Result<()> {
        let size = size_of(items.len())?;
        self.field(id, TType::List, |out| {
            out.write_list_begin(&TListIdentifier::new(TType::String, size))?;
            for item in items {
                out.write_bytes(item.as_ref())?;
            }
            out.write_list_end()
        })
    }

    /// A field with a list of structs; `fields` writes those of one item.
    pub(crate) fn structs<T>(
        &mut self,
        id: i16,
        items: &[T],
        fields: impl Fn(&mut Arguments<'_>, &T) -> thrift::Result<()>,
    ) -> thrift::Result<()> {
        let size = size_of(items.len())?;
        self.field(id, TType::List, |out| {
            out.write_list_begin(&TListIdentifier::new(TType::Struct, size))?;
            for item in items {
                Arguments { out: &mut *out }.structure(|item_fields| fields(item_fields, item))?;
            }
            out.write_list_end()
        })
    }

    /// A field with a struct whose fields are written by `fields`.
    pub(crate) fn nested(
        &mut self,
        id: i16,
        fields: impl FnOnce(&mut Arguments<'_>) -> thrift::Result<()>,
    ) -> thrift::Result<()> {
        self.field(id, TType::Struct, |out| Arguments { out }.structure(fields))
    }

    /// A field with a list of structs that write themselves.
    pub(crate) fn self_written<T>(
        &mut self,
        id: i16,
        items: &[T],
        write: impl Fn(&T, &mut dyn TOutputProtocol) -> thrift::Result<()>,
    ) -> thrift::Result<()> {
        let size = size_of(items.len())?;
        self.field(id, TType::List, |out| {
            out.write_list_begin(&TListIdentifier::new(TType::Struct, size))?;
            for item in items {
                write(item, &mut *out)?;
            }
            out.write_list_end()
        })
    }

    /// A field with a struct that writes itself.
    pub(crate) fn written(
        &mut self,
        id: i16,
        write: impl FnOnce(&mut dyn TOutputProtocol) -> thrift::Result<()>,
    ) -> thrift::Result<()> {
        self.field(id, TType::Struct, write)
    }

    /// The field for attributes of the call, of which there are none.
    pub(crate) fn no_attributes(&mut self, id: i16) -> thrift::Result<()> {
        self.field(id, TType::Map, |out| {
            out.write_map_begin(&TMapIdentifier::new(TType::String, TType::String, 0))?;
            out.write_map_end()
        })
    }

    fn structure(
        &mut self,
        fields: impl FnOnce(&mut Arguments<'_>) -> thrift::Result<()>,
    ) -> thrift::Result<()> {
        self.out.write_struct_begin(&TStructIdentifier::new(""))?;
        fields(&mut Arguments {
            out: &mut *self.out,
        })?;
        self.out.write_field_stop()?;
        self.out.write_struct_end()
    }

    fn field(
        &mut self,
        id: i16,
        field_type: TType,
        value: impl FnOnce(&mut dyn TOutputProtocol) -> thrift::Result<()>,
    ) -> thrift::Result<()> {
        let identifier = TFieldIdentifier::new::<Option<String>, String, i16>(None, field_type, id);
        self.out.write_field_begin(&identifier)?;
        value(self.out)?;
        self.out.write_field_end()
    }
}

fn size_of(n_items: usize) -> thrift::Result<i32> {
    i32::try_from(n_items).map_err(|_| thrift::Error::from("a list has too many items"))
}
