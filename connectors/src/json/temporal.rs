//! Dates and times of JSON, which are texts: exactly, or not at all.

use chrono::{NaiveDateTime, NaiveTime, Timelike, Utc};
use datafusion::arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use datafusion::arrow::datatypes::{Date32Type, TimeUnit};

use crate::exact_times::{NANOS_DIGITS, has_lost_digits, has_odd_offset};

const NANOS: i128 = 1_000_000_000;
const SECONDS_OF_DAY: i128 = 86_400;

/// Days since the epoch of `YYYY-MM-DD`. A date with a time is refused: the time would be lost.
pub(super) fn date(text: &str) -> Option<i32> {
    let is_signed = text.starts_with(['+', '-']);
    if text.len() > 10 && !is_signed {
        return None;
    }
    Date32Type::parse(text)
}

/// Nanoseconds since the epoch; a text without an offset is UTC.
fn instant(text: &str) -> Option<i128> {
    if has_lost_digits(text, NANOS_DIGITS) || has_odd_offset(text) {
        return None;
    }
    let time = match string_to_datetime(&Utc, text) {
        Ok(time) => time.naive_utc(),
        // Years of more than four digits have a sign, and other parsers do not know them.
        Err(_) => {
            let text = text.strip_suffix('Z').unwrap_or(text);
            let is_far = text.starts_with(['+', '-']);
            text.parse::<NaiveDateTime>().ok().filter(|_| is_far)?
        }
    };
    let is_leap_second = time.nanosecond() >= 1_000_000_000;
    let time = time.and_utc();
    let nanos = i128::from(time.timestamp()) * NANOS + i128::from(time.timestamp_subsec_nanos());
    (!is_leap_second).then_some(nanos)
}

/// Nanoseconds in a unit, where that keeps them all.
fn in_unit(nanos: i128, unit: TimeUnit) -> Option<i64> {
    let size = match unit {
        TimeUnit::Second => NANOS,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    (nanos % size == 0)
        .then(|| i64::try_from(nanos / size).ok())
        .flatten()
}

/// Units since the epoch.
pub(super) fn timestamp(text: &str, unit: TimeUnit) -> Option<i64> {
    in_unit(instant(text)?, unit)
}

/// Milliseconds since the epoch of a midnight or any other time.
pub(super) fn date_millis(text: &str) -> Option<i64> {
    match date(text) {
        Some(days) => i64::from(days).checked_mul(86_400_000),
        None => timestamp(text, TimeUnit::Millisecond),
    }
}

/// Units since midnight of `hh:mm:ss[.fraction]`.
pub(super) fn time_of_day(text: &str, unit: TimeUnit) -> Option<i64> {
    if has_lost_digits(text, NANOS_DIGITS) || has_odd_offset(text) {
        return None;
    }
    let time: NaiveTime = text.parse().ok()?;
    if time.nanosecond() >= 1_000_000_000 {
        return None;
    }
    let nanos = i128::from(time.num_seconds_from_midnight()) * NANOS;
    in_unit(nanos + i128::from(time.nanosecond()), unit)
}

/// Units of a length of time as it is written: `PT90.5S`, `-PT1S`, `P2DT3S`, `P0D`.
pub(super) fn duration(text: &str, unit: TimeUnit) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, clock) = match rest.split_once('T') {
        Some((days, clock)) => (days, Some(clock)),
        None => (rest, None),
    };
    if days.is_empty() && clock.is_none() {
        return None;
    }
    let mut nanos = 0_i128;
    if !days.is_empty() {
        let days: i128 = digits(days.strip_suffix('D')?)?;
        nanos = days.checked_mul(SECONDS_OF_DAY)?.checked_mul(NANOS)?;
    }
    if let Some(clock) = clock {
        let seconds = clock.strip_suffix('S')?;
        let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
        if fraction.len() > 9 {
            return None;
        }
        let fraction = format!("{fraction:0<9}");
        nanos = digits(whole)?
            .checked_mul(NANOS)?
            .checked_add(digits(&fraction)?)?
            .checked_add(nanos)?;
    }
    in_unit(sign * nanos, unit)
}

fn digits(text: &str) -> Option<i128> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_nothing_but_a_date() {
        assert_eq!(date("1970-01-02"), Some(1));
        assert_eq!(date("-0001-01-01"), Some(-719_893));
        assert_eq!(date("+12345-01-01"), Some(3_789_391));
        for bad in [
            "2024-02-30",
            "2024-01-01T00:00:00",
            "2024-01-01 10:00:00",
            "1.2.2024",
            "",
        ] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_keep_all_their_digits_or_are_refused() {
        let micros = |text| timestamp(text, TimeUnit::Microsecond);
        assert_eq!(micros("1970-01-01T00:00:01.000002Z"), Some(1_000_002));
        assert_eq!(micros("1970-01-01 00:00:01.0000020"), Some(1_000_002));
        assert_eq!(micros("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(micros("1970-01-02"), Some(86_400_000_000));
        assert_eq!(micros("1969-12-31T23:59:59.5Z"), Some(-500_000));
        assert_eq!(
            micros("+12345-01-01T00:00:00Z"),
            Some(3_789_391 * 86_400_000_000)
        );
        assert_eq!(micros("1970-01-01T00:00:01.0000020000Z"), Some(1_000_002));
        for bad in [
            "1970-01-01T00:00:01.0000021",
            "1970-01-01T00:00:01.0000020001",
            "2016-12-31T23:59:60Z",
            "2024-13-01T00:00:00",
            "now",
        ] {
            assert_eq!(micros(bad), None, "{bad}");
        }
        let nanos = |text| timestamp(text, TimeUnit::Nanosecond);
        assert_eq!(nanos("1677-09-21T00:12:43.145224192"), Some(i64::MIN));
        assert_eq!(nanos("1600-01-01T00:00:00"), None);
    }

    #[test]
    fn times_of_day_and_lengths_are_read() {
        assert_eq!(
            time_of_day("01:02:03.004", TimeUnit::Millisecond),
            Some(3_723_004)
        );
        assert_eq!(time_of_day("01:02:03.0045", TimeUnit::Millisecond), None);
        assert_eq!(time_of_day("25:00:00", TimeUnit::Second), None);
        let millis = |text| duration(text, TimeUnit::Millisecond);
        assert_eq!(millis("PT90.5S"), Some(90_500));
        assert_eq!(millis("-PT1S"), Some(-1000));
        assert_eq!(millis("P2DT3S"), Some(172_803_000));
        assert_eq!(millis("P0D"), Some(0));
        for bad in ["P", "PT", "90", "PT0.0005S", "PT-1S", "P1M"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
