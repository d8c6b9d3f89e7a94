//! Text rows by hand: the raw feeds are large, and formatting machinery would be most of the work.

/// Appends a whole number.
pub(crate) fn push_int(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a whole number that is not negative, with leading zeros up to `width` digits.
pub(crate) fn push_padded(out: &mut Vec<u8>, value: u64, width: u32) {
    let mut unit = 10_u64.pow(width - 1);
    if value >= unit * 10 {
        push_int(out, value as i64);
        return;
    }
    while unit > 0 {
        out.push(b'0' + (value / unit % 10) as u8);
        unit /= 10;
    }
}

/// Appends cents as a decimal number with two places.
pub(crate) fn push_cents(out: &mut Vec<u8>, cents: i64) {
    if cents < 0 {
        out.push(b'-');
    }
    let cents = cents.unsigned_abs();
    push_int(out, (cents / 100) as i64);
    out.push(b'.');
    push_padded(out, cents % 100, 2);
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`).
fn civil(day: i64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year as u64, month as u64, day as u64)
}

/// Appends a day since 1970 as `2025-12-31`.
pub(crate) fn push_date(out: &mut Vec<u8>, day: i64) {
    let (year, month, day) = civil(day);
    push_padded(out, year, 4);
    out.push(b'-');
    push_padded(out, month, 2);
    out.push(b'-');
    push_padded(out, day, 2);
}

/// Appends microseconds since 1970 as `2025-12-31 23:59:59.000000`.
pub(crate) fn push_timestamp(out: &mut Vec<u8>, micros: i64) {
    let second = micros.div_euclid(1_000_000);
    push_date(out, second.div_euclid(86_400));
    let of_day = second.rem_euclid(86_400) as u64;
    out.push(b' ');
    push_padded(out, of_day / 3_600, 2);
    out.push(b':');
    push_padded(out, of_day / 60 % 60, 2);
    out.push(b':');
    push_padded(out, of_day % 60, 2);
    out.push(b'.');
    push_padded(out, micros.rem_euclid(1_000_000) as u64, 6);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(push: impl Fn(&mut Vec<u8>), expected: &str) {
        let mut out = Vec::new();
        push(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn numbers_and_times_are_written_as_usual() {
        check(|out| push_int(out, 0), "0");
        check(|out| push_int(out, -120), "-120");
        check(|out| push_padded(out, 42, 8), "00000042");
        check(|out| push_padded(out, 123_456_789, 8), "123456789");
        check(|out| push_cents(out, -1_205), "-12.05");
        check(|out| push_date(out, 0), "1970-01-01");
        check(|out| push_date(out, 19_782), "2024-02-29");
        check(
            |out| push_timestamp(out, 1_767_139_199_000_007),
            "2025-12-30 23:59:59.000007",
        );
    }
}
