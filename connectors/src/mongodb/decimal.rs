//! Exact decimal numbers between BSON, text and Arrow.
//!
//! Nothing here rounds: a number that does not fit what is wanted of it is refused.

use mongodb::bson::Decimal128;

/// Most digits that a BSON decimal holds.
const MAX_DIGITS: u128 = 9_999_999_999_999_999_999_999_999_999_999_999;
/// What a BSON decimal adds to its exponent.
const BIAS: i32 = 6176;

/// The number `digits × 10^exponent`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    negative: bool,
    digits: u128,
    exponent: i32,
}

impl Number {
    /// `None` for an infinite value and for what is no number.
    pub(super) fn of_decimal128(value: Decimal128) -> Option<Self> {
        let bits = u128::from_le_bytes(value.bytes());
        let negative = bits >> 127 == 1;
        if (bits >> 122) & 0b1_1110 == 0b1_1110 {
            return None;
        }
        let (exponent, digits) = if (bits >> 125) & 0b11 == 0b11 {
            // This form can only hold more digits than are allowed, which the standard reads as 0.
            ((bits >> 111) & 0x3fff, 0)
        } else {
            let digits = bits & ((1 << 113) - 1);
            (
                (bits >> 113) & 0x3fff,
                if digits > MAX_DIGITS { 0 } else { digits },
            )
        };
        Some(Self {
            negative,
            digits,
            exponent: i32::try_from(exponent).ok()? - BIAS,
        })
    }

    /// Never refused.
    pub(super) fn of_integer(value: i64) -> Self {
        Self {
            negative: value < 0,
            digits: u128::from(value.unsigned_abs()),
            exponent: 0,
        }
    }

    /// The number that a text writes, such as `-12.50` or `1e3`.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let mut digits = 0_u128;
        let mut n_digits = 0_u32;
        let mut n_fraction: Option<i32> = None;
        for byte in mantissa {
            match byte {
                b'0'..=b'9' => {
                    digits = digits
                        .checked_mul(10)?
                        .checked_add(u128::from(byte - b'0'))?;
                    n_digits += 1;
                    if let Some(n) = &mut n_fraction {
                        *n += 1;
                    }
                }
                b'.' if n_fraction.is_none() => n_fraction = Some(0),
                _ => return None,
            }
        }
        let exponent = exponent.checked_sub(n_fraction.unwrap_or(0))?;
        (n_digits > 0).then_some(Self {
            negative,
            digits,
            exponent,
        })
    }

    /// The number that the double prints as, which is the shortest one that is read back as the same
    /// double. A price that some program stored as the double 19.99 is so the price 19.99.
    pub(super) fn of_double(value: f64) -> Option<Self> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() <= EXACT {
            return Some(Self {
                negative: value < 0.0,
                digits: value.abs() as u128,
                exponent: 0,
            });
        }
        value
            .is_finite()
            .then(|| Self::of_text(&format!("{value:e}")))
            .flatten()
    }

    /// The unscaled value of a decimal of this precision and scale.
    pub(super) fn to_scaled(self, precision: u8, scale: i8) -> Option<i128> {
        if self.digits == 0 {
            return Some(0);
        }
        let shift = self.exponent.checked_add(i32::from(scale))?;
        let power = 10_u128.checked_pow(shift.unsigned_abs())?;
        let value = if shift >= 0 {
            self.digits.checked_mul(power)?
        } else if self.digits.is_multiple_of(power) {
            self.digits / power
        } else {
            return None;
        };
        if value >= 10_u128.checked_pow(u32::from(precision))? {
            return None;
        }
        let value = i128::try_from(value).ok()?;
        Some(if self.negative { -value } else { value })
    }

    /// The integer, where it is one.
    pub(super) fn to_integer(self) -> Option<i64> {
        i64::try_from(self.to_scaled(38, 0)?).ok()
    }

    /// The double that prints as this number.
    pub(super) fn to_double(self) -> Option<f64> {
        let sign = if self.negative { "-" } else { "" };
        let value: f64 = format!("{sign}{}e{}", self.digits, self.exponent)
            .parse()
            .ok()?;
        let printed = Self::of_double(value)?.without_zeros();
        let wanted = self.without_zeros();
        let is_same = printed.digits == wanted.digits
            && (wanted.digits == 0
                || (printed.exponent == wanted.exponent && printed.negative == wanted.negative));
        is_same.then_some(value)
    }

    /// Digits before and after the point that writing the number out takes.
    pub(super) fn width(self) -> (u32, u32) {
        let number = self.without_zeros();
        let n_digits = number.digits.checked_ilog10().map_or(0, |n| n + 1);
        let shift = number.exponent.unsigned_abs();
        if number.exponent >= 0 {
            (n_digits + shift, 0)
        } else {
            (n_digits.saturating_sub(shift), shift)
        }
    }

    fn without_zeros(mut self) -> Self {
        if self.digits == 0 {
            self.exponent = 0;
        }
        while self.digits != 0 && self.digits.is_multiple_of(10) {
            self.digits /= 10;
            self.exponent += 1;
        }
        self
    }
}

/// The BSON decimal with this unscaled value; `None` where it has more than 34 digits.
pub(super) fn to_decimal128(value: i128, scale: i8) -> Option<Decimal128> {
    let mut digits = value.unsigned_abs();
    let mut exponent = -i32::from(scale);
    while digits > MAX_DIGITS {
        if !digits.is_multiple_of(10) {
            return None;
        }
        digits /= 10;
        exponent += 1;
    }
    let exponent = u128::try_from(exponent + BIAS).ok()?;
    let sign = u128::from(value < 0);
    let bits = (sign << 127) | (exponent << 113) | digits;
    Some(Decimal128::from_bytes(bits.to_le_bytes()))
}

/// The text of an unscaled decimal, e.g. `-12.50`.
pub(super) fn to_text(value: i128, scale: i8) -> String {
    let digits = value.unsigned_abs().to_string();
    let sign = if value < 0 { "-" } else { "" };
    let Ok(scale) = usize::try_from(scale) else {
        let zeros = "0".repeat(usize::from(scale.unsigned_abs()));
        return format!("{sign}{digits}{zeros}");
    };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::prelude::*;

    use super::*;

    fn scaled(text: &str, precision: u8, scale: i8) -> Option<i128> {
        let by_bson = Decimal128::from_str(text)
            .ok()
            .and_then(Number::of_decimal128)
            .and_then(|n| n.to_scaled(precision, scale));
        let by_text = Number::of_text(text).and_then(|n| n.to_scaled(precision, scale));
        assert_eq!(by_bson, by_text, "{text}");
        by_bson
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(scaled("12.34", 18, 2), Some(1234));
        assert_eq!(scaled("-0.5", 18, 2), Some(-50));
        assert_eq!(scaled("1.230", 18, 2), Some(123));
        assert_eq!(scaled("1E+3", 18, 2), Some(100_000));
        assert_eq!(scaled("0E-6000", 5, 2), Some(0));
        assert_eq!(scaled("-0", 5, 2), Some(0));
        assert_eq!(scaled("999.99", 5, 2), Some(99_999));
        for (text, precision) in [("1.234", 18), ("1000", 5), ("1E-3", 18), ("1E+6000", 38)] {
            assert_eq!(scaled(text, precision, 2), None, "{text}");
        }
        for text in ["NaN", "Infinity", "-Infinity"] {
            let value = Decimal128::from_str(text).ok();
            assert!(
                value.is_some_and(|v| Number::of_decimal128(v).is_none()),
                "{text}"
            );
        }
        for text in ["", ".", "-", "1.2.3", "abc", "1 ", "1e", "0x1", "inf"] {
            assert!(Number::of_text(text).is_none(), "{text}");
        }
    }

    #[test]
    fn doubles_count_as_what_they_print() {
        let cents = |v: f64| Number::of_double(v).and_then(|n| n.to_scaled(18, 2));
        assert_eq!(cents(19.99), Some(1999));
        assert_eq!(cents(-5.0), Some(-500));
        assert_eq!(cents(1e15), Some(100_000_000_000_000_000));
        assert_eq!(cents(0.1 + 0.2), None);
        assert_eq!(cents(f64::NAN), None);
        assert_eq!(cents(f64::INFINITY), None);
        let double = |text: &str| Number::of_text(text).and_then(Number::to_double);
        assert_eq!(double("19.990"), Some(19.99));
        assert_eq!(double("0.1000000000000000055"), None);
        assert_eq!(double("9007199254740993"), None);
        assert_eq!(double("-0"), Some(-0.0));
    }

    #[test]
    fn width_counts_digits_on_both_sides() {
        let width = |text: &str| Number::of_text(text).map(Number::width);
        assert_eq!(width("12.340"), Some((2, 2)));
        assert_eq!(width("0.05"), Some((0, 2)));
        assert_eq!(width("1e5"), Some((6, 0)));
        assert_eq!(width("0"), Some((0, 0)));
    }

    #[test]
    fn long_decimals_are_refused() {
        assert!(to_decimal128(10_i128.pow(34), 0).is_some());
        assert!(to_decimal128(10_i128.pow(34) + 1, 0).is_none());
    }

    proptest! {
        #[test]
        fn decimals_survive_the_way_through_bson(value in -(10_i128.pow(34) - 1)..10_i128.pow(34), scale in 0_i8..=30) {
            let stored = to_decimal128(value, scale);
            let back = stored.and_then(Number::of_decimal128).and_then(|n| n.to_scaled(38, scale));
            prop_assert_eq!(back, Some(value));
            let text = to_text(value, scale);
            prop_assert_eq!(stored.map(|d| d.to_string().parse::<f64>().ok()), Some(text.parse::<f64>().ok()));
            prop_assert_eq!(Number::of_text(&text).and_then(|n| n.to_scaled(38, scale)), Some(value));
        }

        #[test]
        fn doubles_survive_as_numbers(value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            let back = Number::of_double(value).and_then(Number::to_double);
            // A number of more digits than 38 is refused, never changed.
            prop_assert!(back.is_none_or(|b| b == value));
        }
    }
}
