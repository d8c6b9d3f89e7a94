//! Values as UTF-8 text.
//!
//! What is written is canonical: one text for each value. Integers and dates are also read only in
//! that form, so that a comparison of texts is a comparison of values and can be left to HBase.
//! Decimals, floats, times and truth values are read in any usual form.

use arrow::compute::kernels::cast_utils::string_to_datetime;
use chrono::{DateTime, Datelike, NaiveDate, Utc};

/// Appends `value` in decimal.
pub(super) fn write_integer(value: i128, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}

/// The integer that the text says in its canonical form: no plus sign, no leading zeros.
pub(in super::super) fn parse_integer(text: &[u8]) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let canonical = match digits {
        [] => false,
        [b'0'] => !negative,
        [first, ..] => *first != b'0',
    };
    if !canonical || digits.len() > 38 {
        return None;
    }
    let mut value = 0_i128;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i128::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// Appends a decimal with all digits of its scale.
pub(super) fn write_decimal(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if unscaled < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
}

/// The unscaled value of a decimal text; digits beyond `scale` must be zero, because money that is
/// silently rounded is wrong money.
pub(super) fn parse_decimal(text: &[u8], scale: i8) -> Option<i128> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &[][..]),
    };
    let scale = usize::try_from(scale).ok()?;
    let (kept, dropped) = fraction.split_at(fraction.len().min(scale));
    if whole.is_empty() && fraction.is_empty() || dropped.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let missing = std::iter::repeat_n(&b'0', scale - kept.len());
    let mut value = 0_i128;
    for digit in whole.iter().chain(kept).chain(missing) {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    Some(if negative { -value } else { value })
}

/// The truth value, in the forms of SQL, Java and Python.
pub(super) fn parse_boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" | b"True" | b"TRUE" | b"1" => Some(true),
        b"false" | b"False" | b"FALSE" | b"0" => Some(false),
        _ => None,
    }
}

/// Appends a day as `YYYY-MM-DD`; `false` where the year does not have four digits.
#[must_use]
pub(in super::super) fn write_date(days: i128, out: &mut Vec<u8>) -> bool {
    let Some(date) = i32::try_from(days).ok().and_then(date_of_days) else {
        return false;
    };
    if !(0..=9999).contains(&date.year()) {
        return false;
    }
    out.extend_from_slice(date.format("%Y-%m-%d").to_string().as_bytes());
    true
}

/// Days since 1970 of a text `YYYY-MM-DD`, and of no other form.
pub(super) fn parse_date(text: &[u8]) -> Option<i128> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0_u32, |value, digit| {
            digit
                .is_ascii_digit()
                .then(|| value * 10 + u32::from(**digit - b'0'))
        })
    };
    let year = i32::try_from(number(&[y1, y2, y3, y4])?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(&[m1, m2])?, number(&[d1, d2])?)?;
    Some(i128::from(date.num_days_from_ce()) - DAYS_BEFORE_1970)
}

/// Days from the start of the common era to 1970.
const DAYS_BEFORE_1970: i128 = 719_163;

fn date_of_days(days: i32) -> Option<NaiveDate> {
    let days = i128::from(days) + DAYS_BEFORE_1970;
    NaiveDate::from_num_days_from_ce_opt(i32::try_from(days).ok()?)
}

/// Appends a time in ISO 8601 with as many digits of its fraction as it has; `false` where the year
/// does not have four digits.
#[must_use]
pub(super) fn write_timestamp(micros: i128, out: &mut Vec<u8>) -> bool {
    let time = i64::try_from(micros)
        .ok()
        .and_then(DateTime::<Utc>::from_timestamp_micros)
        .filter(|time| (0..=9999).contains(&time.year()));
    let Some(time) = time else {
        return false;
    };
    out.extend_from_slice(time.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string().as_bytes());
    true
}

/// Microseconds since 1970 of a time in ISO 8601; without an offset it is UTC, and what is finer
/// than a microsecond is cut off.
pub(super) fn parse_timestamp(text: &str) -> Option<i128> {
    string_to_datetime(&Utc, text)
        .ok()
        .map(|time| i128::from(time.timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_their_canonical_form_only() {
        assert_eq!(parse_integer(b"0"), Some(0));
        assert_eq!(parse_integer(b"-42"), Some(-42));
        assert_eq!(parse_integer(b"9223372036854775807"), Some(i64::MAX.into()));
        for text in ["", "-", "-0", "007", "+7", " 7", "7 ", "1e3", "1.0", "4x"] {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_integer(&[b'9'; 39]), None);
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let parse = |text: &str, scale| parse_decimal(text.as_bytes(), scale);
        assert_eq!(parse("12.34", 2), Some(1234));
        assert_eq!(parse("-.5", 2), Some(-50));
        assert_eq!(parse("7", 3), Some(7000));
        assert_eq!(parse("+1.2300", 2), Some(123));
        for text in ["", ".", "-", "1.234", "1e3", "1.2.3", "abc", "1 ", "--1"] {
            assert_eq!(parse(text, 2), None, "{text}");
        }
        let write = |unscaled, scale| {
            let mut out = Vec::new();
            write_decimal(unscaled, scale, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(write(1234, 2), "12.34");
        assert_eq!(write(-5, 2), "-0.05");
        assert_eq!(write(0, 2), "0.00");
        assert_eq!(write(7, 0), "7");
    }

    #[test]
    fn dates_are_days_since_1970() {
        let write = |days| {
            let mut out = Vec::new();
            write_date(days, &mut out).then(|| String::from_utf8(out).unwrap())
        };
        assert_eq!(write(0).as_deref(), Some("1970-01-01"));
        assert_eq!(write(-719_528).as_deref(), Some("0000-01-01"));
        assert_eq!(write(-719_529), None);
        assert_eq!(write(i128::MAX), None);
        assert_eq!(parse_date(b"2000-03-01"), Some(11_017));
        assert_eq!(parse_date(b"9999-12-31"), Some(2_932_896));
        for text in [
            "2000-3-1",
            "2001-02-29",
            "2000-03-01 ",
            "20000301",
            "2000-0x-01",
        ] {
            assert_eq!(parse_date(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_have_the_digits_that_they_need() {
        let write = |micros| {
            let mut out = Vec::new();
            write_timestamp(micros, &mut out).then(|| String::from_utf8(out).unwrap())
        };
        assert_eq!(write(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(
            write(1_500_000).as_deref(),
            Some("1970-01-01T00:00:01.500Z")
        );
        assert_eq!(write(-1).as_deref(), Some("1969-12-31T23:59:59.999999Z"));
        assert_eq!(write(i64::MAX.into()), None);
        assert_eq!(
            parse_timestamp("2025-03-12T14:37:58"),
            Some(1_741_790_278_000_000)
        );
        assert_eq!(parse_timestamp("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse_timestamp("not a time"), None);
    }
}
