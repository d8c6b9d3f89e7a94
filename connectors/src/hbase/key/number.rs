//! Numbers of fixed width in keys.

use serde::{Deserialize, Serialize};

use super::super::value::{Kind, Native, Unit, read_integer, write_integer};

/// How a number stands in the key: what is written is the number in its unit, or `base` minus it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct NumberForm {
    /// What a timestamp is counted in.
    pub(super) unit: Unit,
    /// Of a reversed number, what it is subtracted from.
    pub(super) base: Option<i128>,
    /// How the difference is written.
    pub(super) digits: Digits,
}

/// How an integer is bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) enum Digits {
    /// So many decimal digits; not negative.
    Decimal(u8),
    /// So many bytes, as `Bytes.toBytes`; of a reversed number not negative.
    Native(u8),
    /// So many bytes with the sign bit turned.
    Ordered(u8),
}

impl Digits {
    /// Number of bytes.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Decimal(width) | Self::Native(width) | Self::Ordered(width) => width.into(),
        }
    }

    /// Smallest and largest integer that can be written.
    fn bounds(self) -> (i128, i128) {
        match self {
            Self::Decimal(width) => (0, 10_i128.pow(width.into()) - 1),
            Self::Native(width) | Self::Ordered(width) => {
                let half = 1_i128 << (u32::from(width) * 8 - 1);
                (-half, half - 1)
            }
        }
    }
}

impl NumberForm {
    /// As `Bytes.toBytes` writes it; a timestamp in milliseconds.
    pub(super) fn native(width: u8) -> Self {
        Self {
            unit: Unit::Millis,
            base: None,
            digits: Digits::Native(width),
        }
    }

    /// Smallest and largest integer that can be written.
    fn bounds(&self) -> (i128, i128) {
        match (self.digits.bounds(), self.base, self.digits) {
            ((_, high), Some(_), Digits::Native(_)) => (0, high),
            (bounds, _, _) => bounds,
        }
    }

    /// The microseconds of one step, 1 for what is no timestamp.
    fn step(&self, kind: Kind) -> i128 {
        match kind {
            Kind::Timestamp => Native::Epoch(self.unit).scale(kind).1,
            _ => 1,
        }
    }

    /// Appends the value of a column.
    ///
    /// # Errors
    /// What is wrong with the value, where it cannot be written.
    pub(super) fn encode(&self, kind: Kind, value: i128, out: &mut Vec<u8>) -> Result<(), String> {
        let step = self.step(kind);
        if value % step != 0 {
            return Err(format!(
                "it is not a whole number of {}",
                self.unit.as_str()
            ));
        }
        let number = match self.base {
            Some(base) => base - value / step,
            None => value / step,
        };
        let (low, high) = self.bounds();
        if !(low..=high).contains(&number) {
            return Err(format!(
                "it does not fit into {} digits or bytes",
                self.digits.width()
            ));
        }
        self.write(number, out);
        Ok(())
    }

    fn write(&self, number: i128, out: &mut Vec<u8>) {
        match self.digits {
            Digits::Decimal(width) => {
                let text = format!("{number:0width$}", width = usize::from(width));
                out.extend_from_slice(text.as_bytes());
            }
            Digits::Native(width) => write_integer(number, width, false, out),
            Digits::Ordered(width) => write_integer(number, width, true, out),
        }
    }

    /// The value of the column whose bytes these are.
    pub(super) fn decode(&self, kind: Kind, bytes: &[u8]) -> Option<i128> {
        let number = match self.digits {
            Digits::Decimal(_) => bytes.iter().try_fold(0_i128, |number, digit| {
                digit
                    .is_ascii_digit()
                    .then(|| number * 10 + i128::from(digit - b'0'))
            })?,
            Digits::Native(_) => read_integer(bytes, false)?,
            Digits::Ordered(_) => read_integer(bytes, true)?,
        };
        let (low, high) = self.bounds();
        let number = (low..=high).contains(&number).then_some(number)?;
        let number = match self.base {
            Some(base) => base - number,
            None => number,
        };
        let value = number.checked_mul(self.step(kind))?;
        kind.holds(value).then_some(value)
    }

    /// The bytes of all values from `low` to `high`, both included: intervals of bytes, both ends
    /// included, in no order. Values that cannot be written are in none.
    pub(super) fn intervals(&self, kind: Kind, low: i128, high: i128) -> Vec<(Vec<u8>, Vec<u8>)> {
        let step = self.step(kind);
        // Rounded inwards: between two whole numbers there are no rows.
        let (low, high) = (ceil_div(low, step), high.div_euclid(step));
        let (low, high) = match self.base {
            Some(base) => (base.saturating_sub(high), base.saturating_sub(low)),
            None => (low, high),
        };
        let bounds = self.bounds();
        let (low, high) = (low.max(bounds.0), high.min(bounds.1));
        let pieces = match self.digits {
            // Negative numbers come behind the others.
            Digits::Native(_) if low < 0 && high >= 0 => vec![(low, -1), (0, high)],
            _ => vec![(low, high)],
        };
        let bytes = |number| {
            let mut out = Vec::new();
            self.write(number, &mut out);
            out
        };
        pieces
            .into_iter()
            .filter(|(low, high)| low <= high)
            .map(|(low, high)| (bytes(low), bytes(high)))
            .collect()
    }
}

fn ceil_div(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}
