//! Values of text as exact numbers and times.

use chrono::NaiveDate;

/// A decimal number as a whole number of units of `10^-scale`; `None` for what is no plain decimal
/// number or has more places than that.
pub(super) fn decimal(text: &str, scale: usize) -> Option<i64> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) || fraction.len() > scale {
        return None;
    }
    let units: i64 = format!("{whole}{fraction:0<scale$}").parse().ok()?;
    Some(if is_negative { -units } else { units })
}

/// Midnight of a day `19970101` or `1997-01-01` in seconds since 1970, UTC.
pub(super) fn day(text: &str) -> Option<i64> {
    let form = match text.len() {
        8 => "%Y%m%d",
        10 => "%Y-%m-%d",
        _ => return None,
    };
    let day = NaiveDate::parse_from_str(text, form).ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp())
}

/// A number that went through a float, `17850.0`, as the text of a whole number.
pub(super) fn integer_id(text: &str) -> Option<&str> {
    let digits = text.strip_suffix(".0").unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        for (text, expected) in [
            ("2.55", Some(2_550)),
            ("0.001", Some(1)),
            ("-11062.06", Some(-11_062_060)),
            ("7", Some(7_000)),
            ("7.5000", Some(7_500)),
            ("0.0001", None),
            ("1e3", None),
            (".5", None),
            ("", None),
            ("1.2.3", None),
        ] {
            assert_eq!(decimal(text, 3), expected, "{text}");
        }
    }

    #[test]
    fn days_and_keys_are_strict() {
        assert_eq!(day("19970101"), Some(852_076_800));
        assert_eq!(day("1997-01-01"), Some(852_076_800));
        assert_eq!(day("19970230"), None);
        assert_eq!(integer_id("17850.0"), Some("17850"));
        assert_eq!(integer_id("17850"), Some("17850"));
        assert_eq!(integer_id("17850.5"), None);
        assert_eq!(integer_id(".0"), None);
    }
}
