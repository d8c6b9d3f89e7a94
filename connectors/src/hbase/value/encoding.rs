//! The encoding of a column: its name in options, and what it does to a value.

use std::fmt;

use emporia_core::error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::native::{self, Native, Unit};
use super::{Kind, Scalar, text};

/// How the values of a column stand in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) enum Encoding {
    /// UTF-8 text; binary as it is.
    Text,
    /// A time as decimal number.
    EpochText(Unit),
    /// As `Bytes.toBytes`.
    Bytes(Native),
    /// With bytes in the order of the values.
    Ordered(Native),
    /// A decimal as `Bytes.toBytes`.
    BigDecimal,
    /// JSON text.
    Json,
}

/// The encoding of a table's columns that name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) enum Style {
    /// `text`
    #[default]
    Text,
    /// `bytes`
    Bytes,
    /// `ordered`
    Ordered,
}

/// The forms that an option takes, for hints.
const FORMS: &str = "encodings are text, text(seconds|millis|micros), bytes, bytes(byte|short|int|long|float|\
     double|seconds|millis|micros), ordered, ordered(…) as for bytes, and json";

impl Style {
    /// The style of this name.
    ///
    /// # Errors
    /// `InvalidInput` that lists the names.
    pub(in super::super) fn parse(name: &str) -> Result<Self> {
        match name {
            "text" => Ok(Self::Text),
            "bytes" => Ok(Self::Bytes),
            "ordered" => Ok(Self::Ordered),
            _ => Err(
                Error::invalid(format!("`{name}` is not an encoding of all columns"))
                    .with_hint("the option encoding takes text, bytes or ordered"),
            ),
        }
    }

    /// The encoding of columns of `kind`.
    pub(in super::super) fn encoding(self, kind: Kind) -> Encoding {
        let number = |style: fn(Native) -> Encoding, time: Unit, date: Native| match kind {
            Kind::Text | Kind::Binary => Encoding::Text,
            Kind::Boolean => style(Native::Boolean),
            Kind::Integer(width) => style(Native::Integer(width)),
            Kind::Float32 => style(Native::Float),
            Kind::Float64 => style(Native::Double),
            Kind::Date => style(date),
            Kind::Timestamp => style(Native::Epoch(time)),
            Kind::Decimal { .. } => style(Native::Integer(16)),
            Kind::Nested => Encoding::Json,
        };
        match self {
            _ if kind == Kind::Nested => Encoding::Json,
            Self::Text => Encoding::Text,
            Self::Bytes if matches!(kind, Kind::Decimal { .. }) => Encoding::BigDecimal,
            Self::Bytes => number(Encoding::Bytes, Unit::Millis, Native::Epoch(Unit::Millis)),
            Self::Ordered => number(Encoding::Ordered, Unit::Micros, Native::Integer(4)),
        }
    }
}

impl Encoding {
    /// The encoding that the option text names for a column of `kind`.
    ///
    /// # Errors
    /// `InvalidInput` where there is none of that name, or none for that kind.
    pub(in super::super) fn parse(name: &str, kind: Kind) -> Result<Self> {
        let unknown = || Error::invalid(format!("`{name}` is not an encoding")).with_hint(FORMS);
        let (style, argument) = match name.split_once('(') {
            Some((style, rest)) => (
                style.trim(),
                Some(rest.strip_suffix(')').ok_or_else(unknown)?.trim()),
            ),
            None => (name, None),
        };
        let encoding = match (style, argument) {
            ("json", None) if kind == Kind::Nested => Self::Json,
            ("text", None) if kind != Kind::Nested => Self::Text,
            ("text", Some(unit)) if kind == Kind::Timestamp => {
                Self::EpochText(Unit::parse(unit).ok_or_else(unknown)?)
            }
            ("bytes", None) if kind != Kind::Nested => Style::Bytes.encoding(kind),
            ("ordered", None) if kind != Kind::Nested => Style::Ordered.encoding(kind),
            ("bytes" | "ordered", Some(argument)) => {
                let native = Native::parse(argument).ok_or_else(unknown)?;
                if !native.fits(kind) {
                    return Err(unfit(name, kind));
                }
                match style {
                    "bytes" => Self::Bytes(native),
                    _ => Self::Ordered(native),
                }
            }
            ("json" | "text" | "bytes" | "ordered", _) => return Err(unfit(name, kind)),
            _ => return Err(unknown()),
        };
        Ok(encoding)
    }

    /// The value that the bytes are, `None` where they are none of the column.
    ///
    /// Nested values have no scalar and are read by [`super::ColumnBuilder`].
    #[inline]
    pub(in super::super) fn decode(self, kind: Kind, bytes: &[u8]) -> Option<Scalar<'_>> {
        match self {
            Self::Text => decode_text(kind, bytes),
            Self::EpochText(unit) => Native::Epoch(unit)
                .load(kind, text::parse_integer(bytes)?)
                .map(Scalar::Integer),
            Self::Bytes(native) => decode_native(native, kind, bytes, false),
            Self::Ordered(native) => decode_native(native, kind, bytes, true),
            Self::BigDecimal => {
                let Kind::Decimal { scale, .. } = kind else {
                    return None;
                };
                native::read_big_decimal(bytes, scale)
                    .filter(|value| kind.holds(*value))
                    .map(Scalar::Integer)
            }
            Self::Json => None,
        }
    }

    /// Appends the bytes of the value.
    ///
    /// # Errors
    /// What is wrong with the value, where no bytes say it without loss.
    pub(in super::super) fn encode(
        self,
        kind: Kind,
        value: Scalar<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        match (self, value) {
            (_, Scalar::Bytes(bytes)) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            (Self::Text, Scalar::Integer(value)) => encode_text(kind, value, out),
            (Self::Text, Scalar::Float(value)) => {
                let text = match kind {
                    Kind::Float32 => format!("{:?}", value as f32),
                    _ => format!("{value:?}"),
                };
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            (Self::EpochText(unit), Scalar::Integer(value)) => {
                let stored = Native::Epoch(unit).store(kind, value);
                text::write_integer(stored.ok_or(TOO_FINE)?, out);
                Ok(())
            }
            (Self::Bytes(native) | Self::Ordered(native), Scalar::Integer(value)) => {
                let lost = match native {
                    Native::Epoch(_) => TOO_FINE,
                    _ => "it does not fit into the width of its cells",
                };
                let stored = native.store(kind, value).ok_or(lost)?;
                let ordered = matches!(self, Self::Ordered(_));
                if native == Native::Boolean {
                    let truth = if ordered { 1 } else { u8::MAX };
                    out.push(if stored == 0 { 0 } else { truth });
                } else {
                    native::write_integer(stored, native.width(), ordered, out);
                }
                Ok(())
            }
            (Self::Bytes(native) | Self::Ordered(native), Scalar::Float(value)) => {
                if native == Native::Float
                    && f64::from(value as f32).to_bits() != value.to_bits()
                    && !value.is_nan()
                {
                    return Err("a float of 4 bytes cannot hold it");
                }
                native::write_float(value, native, matches!(self, Self::Ordered(_)), out);
                Ok(())
            }
            (Self::BigDecimal, Scalar::Integer(value)) => {
                let scale = match kind {
                    Kind::Decimal { scale, .. } => scale,
                    _ => 0,
                };
                native::write_big_decimal(value, scale, out);
                Ok(())
            }
            (Self::EpochText(_) | Self::BigDecimal, Scalar::Float(_)) | (Self::Json, _) => {
                Err("its column has another kind of values")
            }
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::EpochText(unit) => write!(f, "text({})", unit.as_str()),
            Self::Bytes(native) => write!(f, "bytes({})", native.as_str()),
            Self::Ordered(native) => write!(f, "ordered({})", native.as_str()),
            Self::BigDecimal => f.write_str("bytes"),
            Self::Json => f.write_str("json"),
        }
    }
}

const TOO_FINE: &str = "it is finer than the unit of its cells";

fn decode_text(kind: Kind, bytes: &[u8]) -> Option<Scalar<'_>> {
    let utf8 = || std::str::from_utf8(bytes).ok();
    match kind {
        Kind::Text => utf8().map(|text| Scalar::Bytes(text.as_bytes())),
        Kind::Binary => Some(Scalar::Bytes(bytes)),
        Kind::Boolean => text::parse_boolean(bytes).map(|truth| Scalar::Integer(truth.into())),
        Kind::Integer(_) => text::parse_integer(bytes)
            .filter(|value| kind.holds(*value))
            .map(Scalar::Integer),
        Kind::Decimal { scale, .. } => text::parse_decimal(bytes, scale)
            .filter(|value| kind.holds(*value))
            .map(Scalar::Integer),
        Kind::Date => text::parse_date(bytes).map(Scalar::Integer),
        Kind::Timestamp => text::parse_timestamp(utf8()?).map(Scalar::Integer),
        Kind::Float32 => utf8()?.parse::<f32>().ok().map(|v| Scalar::Float(v.into())),
        Kind::Float64 => utf8()?.parse().ok().map(Scalar::Float),
        Kind::Nested => None,
    }
}

fn encode_text(kind: Kind, value: i128, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let written = match kind {
        Kind::Boolean => {
            let truth: &[u8] = if value == 0 { b"false" } else { b"true" };
            out.extend_from_slice(truth);
            true
        }
        Kind::Decimal { scale, .. } => {
            text::write_decimal(value, scale, out);
            true
        }
        Kind::Date => text::write_date(value, out),
        Kind::Timestamp => text::write_timestamp(value, out),
        _ => {
            text::write_integer(value, out);
            true
        }
    };
    written
        .then_some(())
        .ok_or("its year does not have four digits")
}

fn decode_native(native: Native, kind: Kind, bytes: &[u8], ordered: bool) -> Option<Scalar<'_>> {
    if bytes.len() != usize::from(native.width()) {
        return None;
    }
    match native {
        Native::Float | Native::Double => {
            let value = native::read_float(bytes, native, ordered)?;
            let exact = kind != Kind::Float32
                || value.is_nan()
                || f64::from(value as f32).to_bits() == value.to_bits();
            exact.then_some(Scalar::Float(value))
        }
        // Any byte but zero is true in Hadoop.
        Native::Boolean => Some(Scalar::Integer(i128::from(bytes != [0]))),
        _ => native
            .load(kind, native::read_integer(bytes, ordered)?)
            .map(Scalar::Integer),
    }
}

fn unfit(name: &str, kind: Kind) -> Error {
    let kind = match kind {
        Kind::Text => "a string",
        Kind::Binary => "a binary",
        Kind::Boolean => "a bool",
        Kind::Integer(_) => "an integer",
        Kind::Float32 | Kind::Float64 => "a float",
        Kind::Decimal { .. } => "a decimal",
        Kind::Date => "a date",
        Kind::Timestamp => "a timestamp",
        Kind::Nested => "a list or struct",
    };
    Error::invalid(format!("{kind} column cannot have the encoding `{name}`")).with_hint(FORMS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTEGER_KINDS: [Kind; 8] = [
        Kind::Boolean,
        Kind::Integer(1),
        Kind::Integer(2),
        Kind::Integer(4),
        Kind::Integer(8),
        Kind::Decimal {
            precision: 18,
            scale: 2,
        },
        Kind::Date,
        Kind::Timestamp,
    ];
    const NAMES: [&str; 16] = [
        "text",
        "text(seconds)",
        "text(millis)",
        "text(micros)",
        "bytes",
        "bytes(byte)",
        "bytes(short)",
        "bytes(int)",
        "bytes(long)",
        "bytes(millis)",
        "bytes(seconds)",
        "ordered",
        "ordered(short)",
        "ordered(long)",
        "ordered(millis)",
        "ordered(micros)",
    ];

    /// A value of the kind, often near its bounds or zero.
    fn value_of(kind: Kind) -> impl Strategy<Value = i128> {
        let (low, high) = kind.bounds().unwrap();
        prop_oneof![
            low..=high,
            Just(low),
            Just(high),
            (-2000..2000_i128).prop_map(move |v| v.clamp(low, high)),
            (-2000..2000_i128).prop_map(move |v| (v * 1_000_000).clamp(low, high)),
        ]
    }

    fn cases() -> impl Strategy<Value = (Kind, &'static str, i128, i128)> {
        (0..INTEGER_KINDS.len(), 0..NAMES.len()).prop_flat_map(|(kind, name)| {
            let kind = INTEGER_KINDS[kind];
            (
                Just(kind),
                Just(NAMES[name]),
                value_of(kind),
                value_of(kind),
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn integer_values_come_back_or_are_refused((kind, name, a, b) in cases()) {
            let Ok(encoding) = Encoding::parse(name, kind) else {
                return Ok(());
            };
            let encode = |value| {
                let mut out = Vec::new();
                encoding.encode(kind, Scalar::Integer(value), &mut out).ok().map(|()| out)
            };
            let (bytes_a, bytes_b) = (encode(a), encode(b));
            for (value, bytes) in [(a, &bytes_a), (b, &bytes_b)] {
                if let Some(bytes) = bytes {
                    prop_assert_eq!(
                        encoding.decode(kind, bytes),
                        Some(Scalar::Integer(value)),
                        "{} {:?} {:?}", name, kind, bytes
                    );
                }
            }
            if let (Some(bytes_a), Some(bytes_b)) = (bytes_a, bytes_b) {
                prop_assert_eq!(bytes_a == bytes_b, a == b);
                let keeps_order = matches!(encoding, Encoding::Ordered(_))
                    || kind == Kind::Date && encoding == Encoding::Text;
                if keeps_order {
                    prop_assert_eq!(bytes_a.cmp(&bytes_b), a.cmp(&b));
                }
            }
        }

        #[test]
        fn floats_come_back(bits: u64, short: f32) {
            for (kind, value) in [
                (Kind::Float64, f64::from_bits(bits)),
                (Kind::Float32, f64::from(short)),
                (Kind::Float64, f64::from(short)),
            ] {
                for name in ["text", "bytes", "ordered", "bytes(float)", "ordered(double)"] {
                    let encoding = Encoding::parse(name, kind).unwrap();
                    let mut bytes = Vec::new();
                    if encoding.encode(kind, Scalar::Float(value), &mut bytes).is_err() {
                        continue;
                    }
                    let Some(Scalar::Float(back)) = encoding.decode(kind, &bytes) else {
                        return Err(TestCaseError::fail(format!("{name} {value} {bytes:?}")));
                    };
                    let same = back.to_bits() == value.to_bits() || back.is_nan() && value.is_nan();
                    prop_assert!(same, "{} {} {}", name, value, back);
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            for kind in INTEGER_KINDS.into_iter().chain([Kind::Float32, Kind::Float64, Kind::Text]) {
                for name in NAMES {
                    if let Ok(encoding) = Encoding::parse(name, kind) {
                        encoding.decode(kind, &bytes);
                    }
                }
            }
        }
    }

    #[test]
    fn encodings_are_named_and_checked_against_the_column() {
        let complaint = |name, kind| Encoding::parse(name, kind).unwrap_err().to_string();
        let int = Kind::Integer(4);
        assert_eq!(
            Encoding::parse("bytes( long )", int).unwrap(),
            Encoding::Bytes(Native::Integer(8))
        );
        assert_eq!(
            Encoding::parse("bytes", Kind::Text).unwrap(),
            Encoding::Text
        );
        assert_eq!(complaint("utf8", int), "`utf8` is not an encoding");
        assert_eq!(
            complaint("bytes(tall)", int),
            "`bytes(tall)` is not an encoding"
        );
        assert_eq!(complaint("bytes(", int), "`bytes(` is not an encoding");
        assert_eq!(
            complaint("bytes(double)", int),
            "an integer column cannot have the encoding `bytes(double)`"
        );
        assert_eq!(
            complaint("text", Kind::Nested),
            "a list or struct column cannot have the encoding `text`"
        );
        assert!(Style::parse("json").is_err());
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let refuse = |name, kind, value| {
            let encoding = Encoding::parse(name, kind).unwrap();
            encoding.encode(kind, value, &mut Vec::new()).unwrap_err()
        };
        let long = Kind::Integer(8);
        assert!(refuse("bytes(int)", long, Scalar::Integer(1 << 40)).contains("width"));
        assert!(refuse("bytes", Kind::Timestamp, Scalar::Integer(1)).contains("finer"));
        assert!(refuse("text(seconds)", Kind::Timestamp, Scalar::Integer(1)).contains("finer"));
        assert!(refuse("bytes(float)", Kind::Float64, Scalar::Float(0.1)).contains("4 bytes"));
        assert!(refuse("text", Kind::Date, Scalar::Integer(1 << 30)).contains("four digits"));
    }

    #[test]
    fn truth_is_any_byte_but_zero() {
        let encoding = Encoding::parse("bytes", Kind::Boolean).unwrap();
        let decode = |bytes: &[u8]| match encoding.decode(Kind::Boolean, bytes) {
            Some(Scalar::Integer(value)) => Some(value),
            _ => None,
        };
        assert_eq!(decode(&[0xff]), Some(1));
        assert_eq!(decode(&[1]), Some(1));
        assert_eq!(decode(&[0]), Some(0));
        assert_eq!(decode(&[]), None);
    }
}
