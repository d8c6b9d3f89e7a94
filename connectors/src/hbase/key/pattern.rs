//! Dates and times as digits in keys.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike, Utc};
use emporia_core::error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::super::value::Kind;

const MICROS_PER_DAY: i128 = 86_400_000_000;

/// A pattern of fields of fixed width, from the year downwards, so that the order of the texts is
/// that of the times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct TimePattern {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Piece {
    /// A field: 0 is the year, 5 the second.
    Field(u8),
    Byte(u8),
}

const FIELDS: &[u8; 6] = b"YmdHMS";

impl TimePattern {
    /// Parses a pattern such as `%Y%m%d_%H%M%S`.
    ///
    /// # Errors
    /// `InvalidInput` where fields are missing, unknown or in another order.
    pub(super) fn parse(text: &[u8], kind: Kind) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "`{}` is not a time pattern of keys",
                String::from_utf8_lossy(text)
            ))
            .with_hint("it takes %Y %m %d, then possibly %H, %M and %S, in this order, and text between them")
        };
        let mut pieces = Vec::new();
        let mut n_fields = 0_u8;
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            if *byte != b'%' {
                pieces.push(Piece::Byte(*byte));
                continue;
            }
            let field = bytes.next();
            if field.is_none() || field != FIELDS.get(usize::from(n_fields)) {
                return Err(wrong());
            }
            pieces.push(Piece::Field(n_fields));
            n_fields += 1;
        }
        match (kind, n_fields) {
            (Kind::Timestamp, 3..) | (Kind::Date, 3) => Ok(Self { pieces }),
            _ => Err(wrong()),
        }
    }

    /// Number of bytes.
    pub(super) fn width(&self) -> usize {
        let widths = self.pieces.iter().map(|piece| match piece {
            Piece::Field(0) => 4,
            Piece::Field(_) => 2,
            Piece::Byte(_) => 1,
        });
        widths.sum()
    }

    /// Appends the time.
    ///
    /// # Errors
    /// What is wrong with it, where the pattern cannot say it.
    pub(super) fn encode(&self, kind: Kind, value: i128, out: &mut Vec<u8>) -> Result<(), String> {
        let text = self.write(kind, value);
        let text = text.ok_or("its year does not have four digits")?;
        if self.decode(kind, &text) != Some(value) {
            return Err("it is finer than the pattern in the key".to_owned());
        }
        out.extend_from_slice(&text);
        Ok(())
    }

    /// The text of the time, cut to the fields of the pattern.
    fn write(&self, kind: Kind, value: i128) -> Option<Vec<u8>> {
        let micros = match kind {
            Kind::Date => value.checked_mul(MICROS_PER_DAY)?,
            _ => value,
        };
        let time = DateTime::<Utc>::from_timestamp_micros(i64::try_from(micros).ok()?)?;
        let year = u32::try_from(time.year()).ok().filter(|y| *y <= 9999)?;
        let mut text = Vec::with_capacity(self.width());
        for piece in &self.pieces {
            let (field, width) = match piece {
                Piece::Byte(byte) => {
                    text.push(*byte);
                    continue;
                }
                Piece::Field(0) => (year, 4),
                Piece::Field(1) => (time.month(), 2),
                Piece::Field(2) => (time.day(), 2),
                Piece::Field(3) => (time.hour(), 2),
                Piece::Field(4) => (time.minute(), 2),
                Piece::Field(_) => (time.second(), 2),
            };
            text.extend_from_slice(format!("{field:0width$}").as_bytes());
        }
        Some(text)
    }

    /// The time that the text says; fields that the pattern lacks are zero.
    pub(super) fn decode(&self, kind: Kind, text: &[u8]) -> Option<i128> {
        let mut fields = [0_u32; 6];
        let mut rest = text;
        for piece in &self.pieces {
            let width = match piece {
                Piece::Byte(byte) => {
                    let (first, behind) = rest.split_first()?;
                    if first != byte {
                        return None;
                    }
                    rest = behind;
                    continue;
                }
                Piece::Field(0) => 4,
                Piece::Field(_) => 2,
            };
            let (digits, behind) = rest.split_at_checked(width)?;
            rest = behind;
            let number = digits.iter().try_fold(0_u32, |number, digit| {
                digit
                    .is_ascii_digit()
                    .then(|| number * 10 + u32::from(digit - b'0'))
            })?;
            if let Piece::Field(index) = piece {
                *fields.get_mut(usize::from(*index))? = number;
            }
        }
        let [year, month, day, hour, minute, second] = fields;
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        let time = NaiveTime::from_hms_opt(hour, minute, second)?;
        let micros = i128::from(date.and_time(time).and_utc().timestamp_micros());
        let value = match kind {
            Kind::Date => micros / MICROS_PER_DAY,
            _ => micros,
        };
        rest.is_empty().then_some(value)
    }

    /// The texts of the first and the last of the times from `low` to `high`; `None` where the
    /// pattern can say none of them.
    pub(super) fn interval(&self, kind: Kind, low: i128, high: i128) -> Option<(Vec<u8>, Vec<u8>)> {
        let steps = match kind {
            Kind::Date => MICROS_PER_DAY,
            _ => 1,
        };
        let (low, high) = (low.max(FIRST / steps), high.min(LAST.div_euclid(steps)));
        if low > high {
            return None;
        }
        Some((self.write(kind, low)?, self.write(kind, high)?))
    }
}

/// The first and the last microsecond of the years with four digits.
const FIRST: i128 = -719_528 * MICROS_PER_DAY;
const LAST: i128 = 2_932_897 * MICROS_PER_DAY - 1;
