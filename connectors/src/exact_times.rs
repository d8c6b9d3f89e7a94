//! What parsers of times would change without a word.

/// Decimals of a second that any type of ours keeps.
pub(crate) const NANOS_DIGITS: usize = 9;

/// Whether a time has more decimals than these, which parsers cut.
pub(crate) fn has_lost_digits(text: &str, n_digits: usize) -> bool {
    let Some((_, fraction)) = text.split_once('.') else {
        return false;
    };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit);
    digits.skip(n_digits).any(|digit| digit != b'0')
}

/// Whether an offset has more than 59 minutes, as in `+14:60`, which parsers take for the next hour.
pub(crate) fn has_odd_offset(text: &str) -> bool {
    match text.as_bytes() {
        [.., b'+' | b'-', _, _, b':', tens, _] | [.., b'+' | b'-', _, _, tens, _] => {
            tens.is_ascii_digit() && *tens > b'5'
        }
        _ => false,
    }
}

/// Whether a time has a second 60, which parsers take for the next minute.
pub(crate) fn is_leap_second(text: &str) -> bool {
    let second = text.split(':').nth(2);
    second.is_some_and(|second| second.starts_with("60"))
}
