//! Numbers in text as values of a type: exactly, or not at all.

use datafusion::arrow::datatypes::i256;

/// Digits that any float64 keeps, and those that tell any two of them apart.
const SAFE_DIGITS: usize = 15;
/// Powers of ten between which all floats have their full precision.
const SAFE_EXPONENT: i64 = 290;
/// Digits of the widest decimal.
const MAX_DIGITS: i64 = 76;

/// A number as digits, the first and last of which are not 0, times a power of ten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exact {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Exact {
    /// The value of a JSON number.
    pub(crate) fn of(text: &str) -> Self {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, clamped(exponent)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent = exponent.saturating_sub(fraction.len() as i64);
        let all = [whole, fraction].concat();
        let significant = all.trim_start_matches('0');
        let digits = significant.trim_end_matches('0');
        let exponent = exponent.saturating_add((significant.len() - digits.len()) as i64);
        Self {
            is_negative: is_negative && !digits.is_empty(),
            digits: digits.to_owned(),
            exponent: if digits.is_empty() { 0 } else { exponent },
        }
    }

    /// Digits before the point and behind it, without zeros at the ends.
    pub(crate) fn widths(&self) -> (i64, i64) {
        let n_digits = self.digits.len() as i64;
        let whole = n_digits.saturating_add(self.exponent).max(0);
        (whole, self.exponent.saturating_neg().max(0))
    }

    /// The number times 10 to the power of `scale` as text, if that is a whole number.
    fn scaled(&self, scale: i8) -> Option<String> {
        if self.digits.is_empty() {
            return Some("0".to_owned());
        }
        let zeros = self.exponent.checked_add(i64::from(scale))?;
        let n_digits = (self.digits.len() as i64).checked_add(zeros)?;
        if zeros < 0 || n_digits > MAX_DIGITS {
            return None;
        }
        let sign = if self.is_negative { "-" } else { "" };
        let zeros = "0".repeat(usize::try_from(zeros).ok()?);
        Some(format!("{sign}{}{zeros}", self.digits))
    }

    /// Whether the float that is nearest to the number is written as this number: in its shortest form, with
    /// 17 digits, or with all that it has before the point.
    fn is_kept(&self, float: f64) -> bool {
        let n_digits = self.digits.len();
        let top = self.exponent.saturating_add(n_digits as i64);
        if n_digits <= SAFE_DIGITS && top.abs() < SAFE_EXPONENT {
            return true;
        }
        let forms = [
            format!("{float:e}"),
            format!("{float:.16e}"),
            format!("{float:.0}"),
        ];
        float.is_finite() && forms.iter().any(|form| Self::of(form) == *self)
    }
}

fn clamped(exponent: &str) -> i64 {
    let (is_negative, digits) = match exponent.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, exponent.strip_prefix('+').unwrap_or(exponent)),
    };
    // Too many digits for 64 bits are as good as infinitely many.
    let size = digits
        .parse::<i64>()
        .unwrap_or(i64::MAX / 4)
        .min(i64::MAX / 4);
    if is_negative { -size } else { size }
}

/// Whether the number is written without a point and an exponent.
pub(crate) fn is_whole(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// Whether a float64 has the number with all its digits.
pub(crate) fn fits_float(text: &str) -> bool {
    text.parse::<f64>()
        .is_ok_and(|float| float.is_finite() && Exact::of(text).is_kept(float))
}

/// A number of few digits without an exponent: the digits, and how many of them are decimals.
#[inline]
fn short(text: &str) -> Option<(i64, u8)> {
    let (is_negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.len() > 18 {
        return None;
    }
    let (mut value, mut decimals, mut has_point) = (0_i64, 0_u8, false);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i64::from(byte - b'0');
                decimals += u8::from(has_point);
            }
            b'.' => has_point = true,
            _ => return None,
        }
    }
    Some((if is_negative { -value } else { value }, decimals))
}

/// The whole number; `1e3` and `10.0` are whole.
#[inline]
pub(crate) fn integer(text: &str) -> Option<i64> {
    match short(text) {
        Some((value, 0)) => Some(value),
        _ => Exact::of(text).scaled(0)?.parse().ok(),
    }
}

/// The whole number that is not negative.
pub(crate) fn unsigned(text: &str) -> Option<u64> {
    match short(text) {
        Some((value, 0)) => u64::try_from(value).ok(),
        _ => Exact::of(text).scaled(0)?.parse().ok(),
    }
}

/// The unscaled value of a decimal of up to 38 digits.
#[inline]
pub(crate) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    let value = match (short(text), u8::try_from(scale)) {
        (Some((value, decimals)), Ok(scale)) if decimals <= scale => {
            i128::from(value).checked_mul(10_i128.checked_pow(u32::from(scale - decimals))?)?
        }
        _ => Exact::of(text).scaled(scale)?.parse().ok()?,
    };
    (value.unsigned_abs() < limit.unsigned_abs()).then_some(value)
}

/// The unscaled value of a decimal of up to 76 digits.
pub(crate) fn wide_decimal(text: &str, precision: u8, scale: i8) -> Option<i256> {
    let digits = Exact::of(text).scaled(scale)?;
    let n_digits = digits.trim_start_matches('-').len();
    let value = i256::from_string(&digits)?;
    (n_digits <= usize::from(precision)).then_some(value)
}

/// The nearest float64. A whole number is kept with all its digits or refused; so is a number that
/// is too large, or too small to be told from 0.
#[inline]
pub(crate) fn float(text: &str) -> Option<f64> {
    let float: f64 = text.parse().ok()?;
    let is_safe = text.len() <= SAFE_DIGITS && is_whole(text);
    if is_safe {
        return Some(float);
    }
    if !float.is_finite() {
        return None;
    }
    let is_lost = match (is_whole(text), float == 0.0) {
        (true, _) => !Exact::of(text).is_kept(float),
        (false, true) => !Exact::of(text).digits.is_empty(),
        (false, false) => false,
    };
    (!is_lost).then_some(float)
}

/// The nearest float32, by the same rules.
pub(crate) fn single(text: &str) -> Option<f32> {
    let single: f32 = text.parse().ok()?;
    let is_shown = || {
        let forms = [format!("{single:e}"), format!("{single:.8e}")];
        let exact = Exact::of(text);
        forms.iter().any(|form| Exact::of(form) == exact)
    };
    let is_lost = match (is_whole(text), single == 0.0) {
        (true, _) => f64::from(single) != text.parse::<f64>().ok()? && !is_shown(),
        (false, true) => !Exact::of(text).digits.is_empty(),
        (false, false) => false,
    };
    (single.is_finite() && !is_lost).then_some(single)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_exact_by_value() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("12", Some(12)),
            ("10.0", Some(10)),
            ("1e3", Some(1000)),
            ("1.5E+1", Some(15)),
            ("1200e-2", Some(12)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775807.000", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("10.75", None),
            ("2.9", None),
            ("1e19", None),
            ("1e99999999999999999999", None),
            ("1e-99999999999999999999", None),
            ("0e99999999999999999999", Some(0)),
        ] {
            assert_eq!(integer(text), expected, "{text}");
        }
        assert_eq!(unsigned("18446744073709551615"), Some(u64::MAX));
        assert_eq!(unsigned("-1"), None);
        assert_eq!(unsigned("18446744073709551616"), None);
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        for (text, expected) in [
            ("12.5", Some(1250)),
            ("-0.05", Some(-5)),
            ("1e2", Some(10_000)),
            ("12.500", Some(1250)),
            ("0.005e1", Some(5)),
            ("12.345", None),
            ("9999.99", Some(999_999)),
            ("10000", None),
            ("-10000.00", None),
            ("1e400", None),
        ] {
            assert_eq!(decimal(text, 6, 2), expected, "{text}");
        }
        let nines = "9".repeat(38);
        assert_eq!(decimal(&nines, 38, 0), nines.parse().ok());
        assert_eq!(decimal(&format!("{nines}0"), 38, 0), None);
        assert_eq!(decimal("1200", 2, -2), Some(12));
        let wide = "9".repeat(76);
        assert_eq!(wide_decimal(&wide, 76, 0), i256::from_string(&wide));
        assert_eq!(wide_decimal(&wide, 75, 0), None);
    }

    #[test]
    fn floats_keep_whole_numbers_or_refuse_them() {
        for (text, expected) in [
            ("0.1", Some(0.1)),
            ("-0.0", Some(0.0)),
            ("9007199254740992", Some(9_007_199_254_740_992.0)),
            ("9007199254740993", None),
            ("100000000000000000000", Some(1e20)),
            ("18446744073709551616", Some(18_446_744_073_709_551_616.0)),
            ("18446744073709551617", None),
            ("0.1000000000000000055511151231257827", Some(0.1)),
            ("1e308", Some(1e308)),
            ("1e309", None),
            ("5e-324", Some(5e-324)),
            ("1e-400", None),
            ("0e-400", Some(0.0)),
        ] {
            assert_eq!(float(text), expected, "{text}");
        }
        assert_eq!(single("0.1"), Some(0.1));
        assert_eq!(single("16777216"), Some(16_777_216.0));
        assert_eq!(single("16777217"), None);
        assert_eq!(single("1e39"), None);
    }

    #[test]
    fn a_number_fits_a_float_that_is_written_like_it() {
        for text in [
            "0.1",
            "0.10000000000000001",
            "0.30000000000000004",
            "1e23",
            "2.50",
        ] {
            assert!(fits_float(text), "{text}");
        }
        for text in [
            "0.1000000000000000055",
            "9007199254740993",
            "1234567890123456.78",
            "1e400",
        ] {
            assert!(!fits_float(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn all_that_a_float_prints_fits(bits in any::<u64>()) {
            let float = f64::from_bits(bits);
            prop_assume!(float.is_finite());
            for text in [format!("{float:e}"), format!("{float:.16e}"), format!("{float:?}")] {
                prop_assert!(fits_float(&text), "{}", text);
                prop_assert_eq!(super::float(&text), Some(float), "{}", text);
            }
        }

        #[test]
        fn integers_come_back(value in any::<i64>(), zeros in 0_usize..4) {
            prop_assert_eq!(integer(&value.to_string()), Some(value));
            prop_assert_eq!(integer(&format!("{value}.{}", "0".repeat(zeros + 1))), Some(value));
            let scaled = decimal(&value.to_string(), 38, 3);
            prop_assert_eq!(scaled, Some(i128::from(value) * 1000));
        }
    }
}
