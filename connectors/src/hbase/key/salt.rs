//! Salts: the first bytes of keys that spread neighbours over the table.

use emporia_core::key_hash;
use serde::{Deserialize, Serialize};

use super::super::value::{Kind, Scalar};

/// A hash of columns of the key, modulo a number of buckets.
///
/// It is a function of the key's own columns, so that a predicate that fixes them fixes it too. A
/// row whose salt is another than that of its columns is malformed: a point read would not find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Salt {
    /// The hashed columns.
    pub(super) columns: Vec<(usize, Kind)>,
    /// Number of different salts, 1 to 256.
    pub(super) buckets: u16,
    /// Whether it is written as two hexadecimal digits instead of one byte.
    pub(super) is_hex: bool,
}

impl Salt {
    /// Number of bytes.
    pub(super) fn width(&self) -> usize {
        1 + usize::from(self.is_hex)
    }

    /// Number of different salts.
    pub(in super::super) fn buckets(&self) -> usize {
        self.buckets.into()
    }

    /// Appends the salt of the values, which are those of [`Salt::columns`].
    pub(in super::super) fn write<'v>(
        &self,
        values: impl Iterator<Item = Scalar<'v>>,
        out: &mut Vec<u8>,
    ) {
        let mut hash = 0_u64;
        for value in values {
            let next = match value {
                Scalar::Bytes(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => key_hash::of_text(text),
                    // Salted columns are text or integers.
                    Err(_) => 0,
                },
                Scalar::Integer(value) => key_hash::of_integer(value as i64),
                Scalar::Float(_) => 0,
            };
            hash = hash.wrapping_mul(31).wrapping_add(next);
        }
        self.write_bucket((hash % u64::from(self.buckets)) as u16, out);
    }

    /// Appends every salt there is to `prefix`, in order.
    pub(in super::super) fn all(&self, prefix: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
        let prefix = prefix.to_vec();
        (0..self.buckets).map(move |bucket| {
            let mut key = prefix.clone();
            self.write_bucket(bucket, &mut key);
            key
        })
    }

    /// The hashed columns.
    pub(in super::super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.columns.iter().map(|(column, _)| *column)
    }

    fn write_bucket(&self, bucket: u16, out: &mut Vec<u8>) {
        if self.is_hex {
            out.extend_from_slice(format!("{bucket:02x}").as_bytes());
        } else {
            // There are at most 256 buckets.
            out.push(bucket as u8);
        }
    }
}
