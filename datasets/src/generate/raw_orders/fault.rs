//! What is wrong with a row of the raw order feed.

use super::row::{Row, STATUSES};
use crate::process::RAW_FAULTS;
use crate::rng::{Rng, Stream};

const MICROS_PER_MINUTE: u64 = 60_000_000;
/// A repeated row is at most so many rows after its original.
const REPEAT_DISTANCE: u64 = 1_000;
/// Positions of columns in the file.
const ORDER_ID: usize = 0;
const CUSTOMER: usize = 1;
const PRICE: usize = 4;
const QUANTITY: usize = 5;
const TIMESTAMP: usize = 6;
const LOCATION: usize = 7;
const PAYMENT: usize = 8;
const STATUS: usize = 9;
const PRIME: usize = 13;

/// A fault; the label is in [`Fault::as_str`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// A row before it again, later and with another status: the newer version of the order.
    DuplicateKey,
    /// A row before it again, byte by byte.
    DuplicateRow,
    UnparsableNumber,
    NegativePrice,
    NegativeQuantity,
    PriceOutOfRange,
    QuantityOutOfRange,
    UnknownStatus,
    UnknownPaymentMethod,
    MissingRequired,
    FieldMissing,
    FieldExtra,
    UnparsableTimestamp,
    UnparsableBoolean,
    /// A known value in other case or with blanks around it; it can be repaired.
    DamagedEnum,
    /// A location with a comma, in quotes.
    QuotedComma,
}

/// All faults; equally frequent.
pub(super) const FAULTS: [Fault; 16] = [
    Fault::DuplicateKey,
    Fault::DuplicateRow,
    Fault::UnparsableNumber,
    Fault::NegativePrice,
    Fault::NegativeQuantity,
    Fault::PriceOutOfRange,
    Fault::QuantityOutOfRange,
    Fault::UnknownStatus,
    Fault::UnknownPaymentMethod,
    Fault::MissingRequired,
    Fault::FieldMissing,
    Fault::FieldExtra,
    Fault::UnparsableTimestamp,
    Fault::UnparsableBoolean,
    Fault::DamagedEnum,
    Fault::QuotedComma,
];

/// The fault of a row, `None` for a clean one.
pub(super) fn fault_of(seed: u64, row: u64) -> Option<Fault> {
    let mut rng = Rng::at(seed, Stream::RawFault, row);
    if !rng.chance(RAW_FAULTS) {
        return None;
    }
    match rng.pick(&FAULTS) {
        // There is nothing to repeat yet.
        Fault::DuplicateKey | Fault::DuplicateRow if row < REPEAT_DISTANCE => {
            Some(Fault::NegativePrice)
        }
        fault => Some(fault),
    }
}

impl Fault {
    /// The label of the fault.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::DuplicateKey => "duplicate_key",
            Self::DuplicateRow => "duplicate_row",
            Self::UnparsableNumber => "unparsable_number",
            Self::NegativePrice => "negative_price",
            Self::NegativeQuantity => "negative_quantity",
            Self::PriceOutOfRange => "price_out_of_range",
            Self::QuantityOutOfRange => "quantity_out_of_range",
            Self::UnknownStatus => "unknown_status",
            Self::UnknownPaymentMethod => "unknown_payment_method",
            Self::MissingRequired => "missing_required",
            Self::FieldMissing => "field_missing",
            Self::FieldExtra => "field_extra",
            Self::UnparsableTimestamp => "unparsable_timestamp",
            Self::UnparsableBoolean => "unparsable_boolean",
            Self::DamagedEnum => "damaged_enum",
            Self::QuotedComma => "quoted_comma",
        }
    }

    /// The row whose order this is: the row itself, or the clean row before it that it repeats.
    pub(super) fn original_row(self, seed: u64, row: u64) -> u64 {
        if !matches!(self, Self::DuplicateKey | Self::DuplicateRow) {
            return row;
        }
        let mut rng = Rng::at(seed, Stream::RawDamage, row);
        let mut original = row.saturating_sub(1 + rng.below(REPEAT_DISTANCE / 2));
        while original > 0 && fault_of(seed, original).is_some() {
            original -= 1;
        }
        original
    }

    /// Appends row `row` with this fault.
    pub(super) fn push(self, out: &mut Vec<u8>, seed: u64, row: u64) {
        let mut values = Row::clean(seed, self.original_row(seed, row));
        let mut rng = Rng::at(seed, Stream::RawDamage, row);
        // The first number says which row is repeated.
        let _distance = rng.bits();
        match self {
            Self::DuplicateRow => {}
            Self::DuplicateKey => {
                let minutes = rng.between(1, 23 * 60) as u64;
                values.micros += (minutes * MICROS_PER_MINUTE) as i64;
                let others: Vec<&str> = STATUSES
                    .into_iter()
                    .filter(|s| *s != values.status)
                    .collect();
                values.status = rng.pick(&others);
            }
            Self::NegativePrice => values.price = -values.price,
            Self::NegativeQuantity => values.quantity = -values.quantity,
            Self::PriceOutOfRange => values.price = rng.between(1_000_000, 99_999_999),
            Self::QuantityOutOfRange => values.quantity = rng.between(100, 9_999),
            Self::UnknownStatus => values.status = rng.pick(&["Teleported", "Unknown", "42"]),
            Self::UnknownPaymentMethod => {
                values.payment_method = rng.pick(&["Barter", "Cheque", "-"]);
            }
            _ => return self.push_damaged(out, &values, &mut rng),
        }
        values.push(out);
    }

    /// The faults that a row of values cannot have.
    fn push_damaged(self, out: &mut Vec<u8>, values: &Row, rng: &mut Rng) {
        let mut line = Vec::new();
        values.push(&mut line);
        let line = String::from_utf8_lossy(&line);
        let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        match self {
            Self::UnparsableNumber => {
                let column = rng.pick(&[PRICE, QUANTITY]);
                fields[column] = rng.pick(&["abc", "12..5", "N/A", "1e", "ten"]).into();
            }
            Self::MissingRequired => {
                let column = rng.pick(&[ORDER_ID, CUSTOMER, PRICE, QUANTITY, TIMESTAMP]);
                fields[column].clear();
            }
            Self::FieldMissing => drop(fields.pop()),
            Self::FieldExtra => fields.push(rng.pick(&["", "extra", "0"]).into()),
            Self::UnparsableTimestamp => {
                let wrong = [
                    "2025-13-45 99:00:00",
                    "yesterday",
                    "31/12/2025",
                    "2025-02-30 12:00:00",
                ];
                fields[TIMESTAMP] = rng.pick(&wrong).into();
            }
            Self::UnparsableBoolean => {
                fields[PRIME] = rng.pick(&["maybe", "2", "yep", "??"]).into();
            }
            Self::DamagedEnum => {
                let column = rng.pick(&[PAYMENT, STATUS]);
                let value = &fields[column];
                fields[column] = match rng.below(3) {
                    0 => format!(" {value} "),
                    1 => value.to_uppercase(),
                    _ => format!(" {} ", value.to_lowercase()),
                };
            }
            _ => fields[LOCATION] = format!("\"Location_{}, North\"", values.location),
        }
        out.extend_from_slice(fields.join(",").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_row_has_a_clean_original_shortly_before_it() {
        let repeats = (0..200_000).filter_map(|row| match fault_of(3, row)? {
            fault @ (Fault::DuplicateKey | Fault::DuplicateRow) => Some((row, fault)),
            _ => None,
        });
        for (row, fault) in repeats {
            let original = fault.original_row(3, row);
            assert!(original < row && row - original < REPEAT_DISTANCE);
            assert_eq!(fault_of(3, original), None);
        }
    }
}
