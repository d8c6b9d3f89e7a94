//! Fixed-width numbers as bytes: Hadoop's and those whose bytes keep the order.

use serde::{Deserialize, Serialize};

use super::Kind;

/// What a time is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) enum Unit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
}

impl Unit {
    /// The unit of this name.
    pub(in super::super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "seconds" => Self::Seconds,
            "millis" => Self::Millis,
            "micros" => Self::Micros,
            _ => return None,
        })
    }

    /// Its name.
    pub(in super::super) fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Millis => "millis",
            Self::Micros => "micros",
        }
    }

    /// Its length in microseconds.
    pub(in super::super) fn micros(self) -> i128 {
        match self {
            Self::Seconds => 1_000_000,
            Self::Millis => 1_000,
            Self::Micros => 1,
        }
    }
}

/// The number that stands in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) enum Native {
    /// A truth value in one byte.
    Boolean,
    /// A signed integer of so many bytes.
    Integer(u8),
    /// A float of 4 bytes.
    Float,
    /// A float of 8 bytes.
    Double,
    /// A time in 8 bytes.
    Epoch(Unit),
}

impl Native {
    /// The number of this name.
    pub(in super::super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "byte" => Self::Integer(1),
            "short" => Self::Integer(2),
            "int" => Self::Integer(4),
            "long" => Self::Integer(8),
            "float" => Self::Float,
            "double" => Self::Double,
            unit => Self::Epoch(Unit::parse(unit)?),
        })
    }

    /// Its name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer(1) => "byte",
            Self::Integer(2) => "short",
            Self::Integer(4) => "int",
            Self::Integer(8) => "long",
            Self::Integer(_) => "wide",
            Self::Float => "float",
            Self::Double => "double",
            Self::Epoch(unit) => unit.as_str(),
        }
    }

    /// Whether values of `kind` can stand in cells as this number.
    pub(super) fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Boolean => kind == Kind::Boolean,
            Self::Integer(16) => matches!(kind, Kind::Decimal { .. }),
            Self::Integer(width) => {
                matches!(kind, Kind::Integer(_)) || (kind == Kind::Date && width == 4)
            }
            Self::Float | Self::Double => matches!(kind, Kind::Float32 | Kind::Float64),
            Self::Epoch(Unit::Millis) => matches!(kind, Kind::Date | Kind::Timestamp),
            Self::Epoch(_) => kind == Kind::Timestamp,
        }
    }

    /// Bytes of the number.
    pub(in super::super) fn width(self) -> u8 {
        match self {
            Self::Boolean => 1,
            Self::Integer(width) => width,
            Self::Float => 4,
            Self::Double | Self::Epoch(_) => 8,
        }
    }

    /// What a value of `kind` is multiplied with, and divided by, to be the stored number.
    pub(in super::super) fn scale(self, kind: Kind) -> (i128, i128) {
        const MILLIS_PER_DAY: i128 = 86_400_000;
        match (self, kind) {
            (Self::Epoch(_), Kind::Date) => (MILLIS_PER_DAY, 1),
            (Self::Epoch(unit), _) => (1, unit.micros()),
            _ => (1, 1),
        }
    }

    /// The stored number of an integer value, `None` where there is none without loss.
    pub(super) fn store(self, kind: Kind, value: i128) -> Option<i128> {
        let (times, by) = self.scale(kind);
        let scaled = value.checked_mul(times)?;
        (scaled % by == 0 && fits_width(scaled / by, self.width())).then_some(scaled / by)
    }

    /// The value of a stored number, `None` where it is none of the kind.
    pub(super) fn load(self, kind: Kind, stored: i128) -> Option<i128> {
        let (times, by) = self.scale(kind);
        let scaled = stored.checked_mul(by)?;
        (scaled % times == 0 && kind.holds(scaled / times)).then_some(scaled / times)
    }
}

fn fits_width(value: i128, width: u8) -> bool {
    width >= 16 || {
        let half = 1_i128 << (u32::from(width) * 8 - 1);
        (-half..half).contains(&value)
    }
}

/// Appends the `width` low bytes of `value`, big-endian; with `ordered` the sign bit is turned, so
/// that negative numbers come first.
pub(in super::super) fn write_integer(value: i128, width: u8, ordered: bool, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    let first = out.len();
    out.extend_from_slice(&bytes[bytes.len() - usize::from(width)..]);
    if ordered && let Some(byte) = out.get_mut(first) {
        *byte ^= 0x80;
    }
}

/// The number that [`write_integer`] wrote.
pub(in super::super) fn read_integer(bytes: &[u8], ordered: bool) -> Option<i128> {
    let first = *bytes.first()? ^ if ordered { 0x80 } else { 0 };
    let sign: i128 = if first & 0x80 == 0 { 0 } else { -1 };
    let value = (sign << 8) | i128::from(first);
    (bytes.len() <= 16).then(|| {
        bytes[1..]
            .iter()
            .fold(value, |value, byte| (value << 8) | i128::from(*byte))
    })
}

/// The place of a float in the total order of floats, which is also the order of arrow's
/// comparisons.
pub(in super::super) fn float_to_order(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ ((((bits >> 63) as u64) >> 1) as i64)
}

/// The float at a place of the total order.
pub(in super::super) fn float_of_order(order: i64) -> f64 {
    f64::from_bits((order ^ ((((order >> 63) as u64) >> 1) as i64)) as u64)
}

/// Like [`float_to_order`], for 4 bytes.
pub(in super::super) fn float32_to_order(value: f32) -> i32 {
    let bits = value.to_bits() as i32;
    bits ^ ((((bits >> 31) as u32) >> 1) as i32)
}

/// Appends a float of the width of `native`.
pub(in super::super) fn write_float(value: f64, native: Native, ordered: bool, out: &mut Vec<u8>) {
    match (native, ordered) {
        (Native::Float, true) => {
            write_integer(i128::from(float32_to_order(value as f32)), 4, true, out);
        }
        (Native::Float, false) => out.extend_from_slice(&(value as f32).to_be_bytes()),
        (_, true) => write_integer(i128::from(float_to_order(value)), 8, true, out),
        (_, false) => out.extend_from_slice(&value.to_be_bytes()),
    }
}

/// The float that [`write_float`] wrote.
pub(super) fn read_float(bytes: &[u8], native: Native, ordered: bool) -> Option<f64> {
    if bytes.len() != usize::from(native.width()) {
        return None;
    }
    let number = read_integer(bytes, ordered)? as i64;
    Some(match (native, ordered) {
        (Native::Float, true) => {
            let order = number as i32;
            f64::from(f32::from_bits(
                (order ^ ((((order >> 31) as u32) >> 1) as i32)) as u32,
            ))
        }
        (Native::Float, false) => f64::from(f32::from_bits(number as u32)),
        (_, true) => float_of_order(number),
        (_, false) => f64::from_bits(number as u64),
    })
}

/// Appends a decimal as Hadoop does: 4 bytes of scale and the unscaled value in as few bytes as
/// hold it.
pub(super) fn write_big_decimal(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    out.extend_from_slice(&i32::from(scale).to_be_bytes());
    let bytes = unscaled.to_be_bytes();
    let n_redundant = bytes
        .windows(2)
        .take_while(|pair| {
            let sign = if pair[1] & 0x80 == 0 { 0 } else { 0xff };
            pair[0] == sign
        })
        .count();
    out.extend_from_slice(&bytes[n_redundant..]);
}

/// The unscaled value, at `scale`, of what [`write_big_decimal`] wrote with any scale; `None` where
/// digits would be lost.
pub(super) fn read_big_decimal(bytes: &[u8], scale: i8) -> Option<i128> {
    let (stored_scale, unscaled) = bytes.split_first_chunk::<4>()?;
    let unscaled = read_integer(unscaled, false)?;
    let shift = i32::from(scale).checked_sub(i32::from_be_bytes(*stored_scale))?;
    let factor = 10_i128.checked_pow(shift.unsigned_abs());
    match (shift >= 0, factor) {
        _ if unscaled == 0 => Some(0),
        (true, factor) => unscaled.checked_mul(factor?),
        (false, factor) => {
            let factor = factor?;
            (unscaled % factor == 0).then_some(unscaled / factor)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_come_back_and_ordered_bytes_keep_their_order(a: i64, b: i64) {
            let write = |value: i64, ordered| {
                let mut out = Vec::new();
                write_integer(value.into(), 8, ordered, &mut out);
                out
            };
            for ordered in [false, true] {
                prop_assert_eq!(read_integer(&write(a, ordered), ordered), Some(a.into()));
            }
            prop_assert_eq!(write(a, true).cmp(&write(b, true)), a.cmp(&b));
            prop_assert_eq!(write(a, false), a.to_be_bytes().to_vec());
        }

        #[test]
        fn floats_come_back_and_ordered_bytes_keep_the_total_order(a: u64, b: u64) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            let write = |value: f64, native, ordered| {
                let mut out = Vec::new();
                write_float(value, native, ordered, &mut out);
                out
            };
            for ordered in [false, true] {
                let back = read_float(&write(a, Native::Double, ordered), Native::Double, ordered);
                prop_assert_eq!(back.map(f64::to_bits), Some(a.to_bits()));
            }
            prop_assert_eq!(
                write(a, Native::Double, true).cmp(&write(b, Native::Double, true)),
                a.total_cmp(&b)
            );
            prop_assert_eq!(float_to_order(a).cmp(&float_to_order(b)), a.total_cmp(&b));
            prop_assert_eq!(float_of_order(float_to_order(a)).to_bits(), a.to_bits());
        }

        #[test]
        fn short_floats_come_back_and_keep_their_order(a: f32, b: f32) {
            let write = |value: f32, ordered| {
                let mut out = Vec::new();
                write_float(value.into(), Native::Float, ordered, &mut out);
                out
            };
            for ordered in [false, true] {
                let back = read_float(&write(a, ordered), Native::Float, ordered);
                prop_assert_eq!(back, Some(f64::from(a)));
            }
            prop_assert_eq!(write(a, true).cmp(&write(b, true)), a.total_cmp(&b));
        }

        #[test]
        fn big_decimals_come_back(unscaled in -10_i128.pow(30)..10_i128.pow(30), scale in 0..9_i8) {
            let mut out = Vec::new();
            write_big_decimal(unscaled, scale, &mut out);
            prop_assert_eq!(read_big_decimal(&out, scale), Some(unscaled));
            prop_assert_eq!(read_big_decimal(&out, scale + 2), Some(unscaled * 100));
            prop_assert!(out.len() <= 4 + 16);
        }
    }

    #[test]
    fn numbers_are_those_of_hadoop() {
        let bytes = |value: i128, width| {
            let mut out = Vec::new();
            write_integer(value, width, false, &mut out);
            out
        };
        assert_eq!(bytes(-2, 4), [0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(bytes(300, 2), [1, 44]);
        let mut decimal = Vec::new();
        write_big_decimal(128, 2, &mut decimal);
        assert_eq!(decimal, [0, 0, 0, 2, 0, 128]);
        decimal.clear();
        write_big_decimal(-1, 0, &mut decimal);
        assert_eq!(decimal, [0, 0, 0, 0, 0xff]);
        assert_eq!(read_big_decimal(&[0, 0, 0, 1, 15], 0), None);
        assert_eq!(read_big_decimal(&[0, 0, 0, 1, 20], 0), Some(2));
        assert_eq!(read_big_decimal(&[0, 0, 0, 1], 0), None);
    }
}
