//! The values that the text of a field means; `None` where it means none of the type.

use std::borrow::Cow;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::compute::kernels::cast_utils::{Parser, parse_decimal, string_to_datetime};
use datafusion::arrow::datatypes::{
    Date32Type, Decimal256Type, Float32Type, Float64Type, Time64NanosecondType, TimeUnit, i256,
};

use crate::exact_numbers;
use crate::exact_times::{NANOS_DIGITS, has_lost_digits, has_odd_offset, is_leap_second};

const SECONDS_OF_DAY: i64 = 86_400;
/// 1970-01-01 in days of the common era.
const EPOCH_DAY: i32 = 719_163;

#[inline]
pub(super) fn integer(bytes: &[u8]) -> Option<i64> {
    // Up to 18 digits cannot overflow; that is every identifier and quantity in practice.
    if bytes.is_empty() || bytes.len() > 18 || !bytes[0].is_ascii_digit() {
        return text(bytes)?.parse().ok();
    }
    let mut value = 0_i64;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A whole number of any width.
pub(super) fn number<T: FromStr>(bytes: &[u8]) -> Option<T> {
    text(bytes)?.parse().ok()
}

/// The nearest double, as [`exact_numbers::float`] has it; infinite or no number only if the text says so in letters.
pub(super) fn float(bytes: &[u8]) -> Option<f64> {
    let text = text(bytes)?;
    match is_word(bytes) {
        true => Float64Type::parse(text),
        false => exact_numbers::float(text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A number of single precision, as [`float`].
pub(super) fn short_float(bytes: &[u8]) -> Option<f32> {
    let text = text(bytes)?;
    match is_word(bytes) {
        true => Float32Type::parse(text),
        false => exact_numbers::single(text.strip_prefix('+').unwrap_or(text)),
    }
}

fn is_word(bytes: &[u8]) -> bool {
    let is_of_word = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'+' | b'-');
    bytes.iter().all(is_of_word)
}

/// Days since the epoch. A time of the day other than midnight would be lost, so there may be none.
pub(super) fn date(bytes: &[u8]) -> Option<i32> {
    let has_time = bytes.len() > 10 && !matches!(bytes[0], b'+' | b'-');
    if !has_time {
        return Date32Type::parse(text(bytes)?);
    }
    let (seconds, nanos) = instant(bytes)?;
    let is_midnight = nanos == 0 && seconds % SECONDS_OF_DAY == 0;
    i32::try_from(seconds / SECONDS_OF_DAY)
        .ok()
        .filter(|_| is_midnight)
}

/// Nanoseconds since midnight.
pub(super) fn time(bytes: &[u8]) -> Option<i64> {
    let text = text(bytes)?;
    if is_leap_second(text) || has_lost_digits(text, NANOS_DIGITS) {
        return None;
    }
    Time64NanosecondType::parse(text)
}

/// Bytes in hexadecimal.
pub(super) fn binary(bytes: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (pairs, []) = bytes.as_chunks::<2>() else {
        return None;
    };
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(high)? * 16 + digit(low)?).ok();
    pairs.iter().map(byte).collect()
}

pub(super) fn boolean(bytes: &[u8]) -> Option<bool> {
    match bytes {
        b"True" | b"true" | b"TRUE" | b"1" => Some(true),
        b"False" | b"false" | b"FALSE" | b"0" => Some(false),
        _ => None,
    }
}

/// Microseconds since the epoch; a text without offset is UTC.
#[inline]
pub(super) fn timestamp(bytes: &[u8]) -> Option<i64> {
    if let Some(micros) = short_timestamp(bytes) {
        return Some(micros);
    }
    timestamp_in(bytes, TimeUnit::Microsecond)
}

/// Units since the epoch; digits that the unit has no place for must be zero.
pub(super) fn timestamp_in(bytes: &[u8], unit: TimeUnit) -> Option<i64> {
    let (seconds, nanos) = instant(bytes)?;
    let of_second: i64 = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let nanos_of_unit = 1_000_000_000 / of_second;
    // Instants far before the epoch fit as a whole, but not rounded down to seconds.
    let total = i128::from(seconds) * i128::from(of_second) + i128::from(nanos / nanos_of_unit);
    i64::try_from(total)
        .ok()
        .filter(|_| nanos % nanos_of_unit == 0)
}

/// Seconds since the epoch, and nanoseconds of the second. Digits beyond those, and a second 60, are refused: no time
/// of ours keeps them.
fn instant(bytes: &[u8]) -> Option<(i64, i64)> {
    let text = text(bytes)?;
    if has_lost_digits(text, NANOS_DIGITS) || has_odd_offset(text) {
        return None;
    }
    let (day, time) = match bytes.first()? {
        // Years beyond four digits have a sign, which only the parser of dates knows.
        b'+' | b'-' => {
            let (day, time) = text.split_once(['T', ' '])?;
            (
                Date32Type::parse(day)?,
                Cow::Owned(format!("1970-01-01T{time}")),
            )
        }
        _ => (0, Cow::Borrowed(text)),
    };
    let instant = string_to_datetime(&chrono::Utc, &time).ok()?;
    let nanos = i64::from(instant.timestamp_subsec_nanos());
    let seconds = i64::from(day) * SECONDS_OF_DAY + instant.timestamp();
    (nanos < 1_000_000_000).then_some((seconds, nanos))
}

/// Microseconds since the epoch of `YYYY-MM-DD hh:mm:ss[.ffffff]`, as nearly all times are written.
#[inline]
fn short_timestamp(text: &[u8]) -> Option<i64> {
    let (text, fraction) = text.split_first_chunk::<19>()?;
    let two = |at: usize| {
        let [tens, ones] = [text[at], text[at + 1]].map(|byte| u32::from(byte.wrapping_sub(b'0')));
        (tens <= 9 && ones <= 9).then_some(tens * 10 + ones)
    };
    let has_marks = [text[4], text[7], text[13], text[16]] == *b"--::";
    if !has_marks || !matches!(text[10], b' ' | b'T') {
        return None;
    }
    let year = i32::try_from(two(0)? * 100 + two(2)?).ok()?;
    let day = NaiveDate::from_ymd_opt(year, two(5)?, two(8)?)?;
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = i64::from(day.num_days_from_ce() - EPOCH_DAY);
    let seconds = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    Some(seconds * 1_000_000 + micros_of_fraction(fraction)?)
}

/// Microseconds of nothing, or of a point and up to six digits.
#[inline]
fn micros_of_fraction(text: &[u8]) -> Option<i64> {
    let Some((point, digits)) = text.split_first() else {
        return Some(0);
    };
    if *point != b'.' || digits.is_empty() || digits.len() > 6 {
        return None;
    }
    let mut micros = 0_i64;
    for at in 0..6 {
        let digit = digits.get(at).map_or(0, |byte| byte.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        micros = micros * 10 + i64::from(digit);
    }
    Some(micros)
}

/// A decimal as nearly all are written: few digits, no sign, all decimals there.
#[inline]
fn short_decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    // The digits of 17 bytes fit into 64 bits, and into the precision where it is that large.
    if text.len() > 17 || precision < 18 {
        return None;
    }
    let (whole, fraction) = text.split_at_checked(text.len().checked_sub(scale + 1)?)?;
    let (point, fraction) = fraction.split_first()?;
    if *point != b'.' || whole.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for byte in whole.iter().chain(fraction) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(i128::from(value))
}

/// A decimal, exactly: digits beyond `scale` must be zero. Arrow's own parser would round them, and
/// money that is silently rounded is wrong money.
#[inline]
pub(super) fn decimal(bytes: &[u8], precision: u8, scale: i8) -> Option<i128> {
    if let Some(value) = short_decimal(bytes, precision, scale) {
        return Some(value);
    }
    if scale < 0 {
        // Tens, hundreds and so on: whole numbers that end in zeros.
        let n_zeros = usize::from(scale.unsigned_abs());
        let (units, zeros) = bytes.split_at_checked(bytes.len().checked_sub(n_zeros)?)?;
        let is_whole = zeros.iter().all(|byte| *byte == b'0');
        return decimal(units, precision, 0).filter(|_| is_whole);
    }
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut value = 0_i128;
    let mut n_digits = 0_u32;
    let mut fraction: Option<i8> = None;
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                let digit = i128::from(byte - b'0');
                match &mut fraction {
                    Some(n) if *n == scale => {
                        if digit != 0 {
                            return None;
                        }
                        continue;
                    }
                    Some(n) => *n += 1,
                    None => {}
                }
                n_digits += 1;
                value = value.checked_mul(10)?.checked_add(digit)?;
            }
            b'.' if fraction.is_none() => fraction = Some(0),
            _ => return None,
        }
    }
    if n_digits == 0 {
        return None;
    }
    let missing = u32::try_from(scale - fraction.unwrap_or(0)).ok()?;
    let value = value.checked_mul(10_i128.checked_pow(missing)?)?;
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (value < limit).then_some(if negative { -value } else { value })
}

/// A decimal of up to 76 digits, exactly.
pub(super) fn long_decimal(bytes: &[u8], precision: u8, scale: i8) -> Option<i256> {
    let scale_digits = usize::try_from(scale).ok()?;
    let text = text(bytes)?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let has_digits = !(whole.is_empty() && fraction.is_empty());
    let extra = fraction.get(scale_digits..).unwrap_or("");
    // What the library would round is refused.
    let is_exact = extra.bytes().all(|byte| byte == b'0');
    if !(has_digits && is_exact && is_digits(whole) && is_digits(fraction)) {
        return None;
    }
    let kept = text.len() - extra.len();
    parse_decimal::<Decimal256Type>(&text[..kept], precision, scale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(decimal(b"12.34", 18, 2), Some(1234));
        assert_eq!(decimal(b"-0.5", 18, 2), Some(-50));
        assert_eq!(decimal(b"7", 18, 3), Some(7000));
        assert_eq!(decimal(b"1.230", 18, 2), Some(123));
        assert_eq!(decimal(b".5", 18, 1), Some(5));
        assert_eq!(decimal(b"12.5", 18, 2), Some(1250));
        assert_eq!(decimal(b"12.345678", 18, 2), None);
        assert_eq!(
            decimal(b"99999999999999.99", 18, 2),
            Some(9_999_999_999_999_999)
        );
        assert_eq!(
            decimal(b"1234567890123456.78", 18, 2),
            Some(123_456_789_012_345_678)
        );
        assert_eq!(decimal(b"12345678901234567.89", 18, 2), None);
        assert_eq!(decimal(b"1/.00", 18, 2), None);
        assert_eq!(decimal(b"1200", 5, -2), Some(12));
        assert_eq!(decimal(b"1250", 5, -2), None);
        assert_eq!(decimal(b"-99999.9", 6, 1), Some(-999_999));
        assert_eq!(long_decimal(b"-12.340", 40, 2), Some(i256::from(-1234)));
        assert_eq!(long_decimal(b"12.345", 40, 2), None);
        assert_eq!(long_decimal(b"1e3", 40, 2), None);
        for bad in ["1.234", "", ".", "-", "1e3", "1.2.3", "abc", "1 ", "12345"] {
            assert_eq!(decimal(bad.as_bytes(), 4, 2), None, "{bad}");
        }
    }

    #[test]
    fn integers_do_not_wrap() {
        assert_eq!(integer(b"0042"), Some(42));
        assert_eq!(integer(b"-7"), Some(-7));
        assert_eq!(integer(b"9223372036854775807"), Some(i64::MAX));
        for bad in ["", "9223372036854775808", "1.0", "4x", " 4"] {
            assert_eq!(integer(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_date_has_no_time_of_the_day() {
        assert_eq!(date(b"1969-12-31"), Some(-1));
        assert_eq!(date(b"2024-01-01 00:00:00"), Some(19_723));
        assert_eq!(date(b"2024-01-01 13:30:00"), None);
        assert_eq!(date(b"+12345-01-01"), Some(3_789_391));
    }

    #[test]
    fn numbers_are_infinite_only_in_letters() {
        assert!(float(b"NaN").is_some_and(f64::is_nan));
        assert_eq!(float(b"-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(float(b"1e999"), None);
        assert_eq!(float(b"1e-400"), None);
        assert_eq!(float(b"9007199254740993"), None);
        assert_eq!(float(b"+9007199254740992"), Some(9_007_199_254_740_992.0));
        assert_eq!(float(b".5"), Some(0.5));
        assert_eq!(short_float(b"1e99"), None);
        assert!(float(b"-0.0").is_some_and(|v| v == 0.0 && v.is_sign_negative()));
    }

    #[test]
    fn bytes_are_pairs_of_digits() {
        assert_eq!(binary(b"00fF"), Some(vec![0, 255]));
        assert_eq!(binary(b""), Some(vec![]));
        assert_eq!((binary(b"0"), binary(b"0g")), (None, None));
    }

    #[test]
    fn times_of_day_are_exact() {
        assert_eq!(time(b"00:00:01.5"), Some(1_500_000_000));
        assert_eq!(time(b"12:00:60"), None);
        assert_eq!(time(b"12:00:00.1234567891"), None);
    }

    #[test]
    fn timestamps_without_offset_are_utc() {
        assert_eq!(timestamp(b"1970-01-01 00:00:01.000002"), Some(1_000_002));
        assert_eq!(timestamp(b"1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(timestamp(b"not a time"), None);
        assert_eq!(timestamp(b"2024-01-01T00:00:00.000000001Z"), None);
        let nanos = timestamp_in(b"1969-12-31T23:59:59.999999999", TimeUnit::Nanosecond);
        assert_eq!(nanos, Some(-1));
        let late = timestamp_in(b"+12345-01-01T00:00:01Z", TimeUnit::Second);
        assert_eq!(late, Some(327_403_382_401));
        assert_eq!(
            timestamp(b"2024-02-29 23:59:58"),
            Some(1_709_251_198_000_000)
        );
        assert_eq!(timestamp(b"1969-12-31T23:59:59"), Some(-1_000_000));
        for bad in [
            "2023-02-29 00:00:00",
            "2024-01-01 24:00:00",
            "2024-01-01 00:00:6x",
            "2024-01-01 00:00:60",
            "2024-01-01T00:00:60Z",
            "2024-01-01 00:00:00.1234560009",
            "+2024-01-01T00:00:60Z",
        ] {
            assert_eq!(timestamp(bad.as_bytes()), None, "{bad}");
        }
    }
}
