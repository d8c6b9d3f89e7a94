//! Times as spreadsheets keep them: days since an epoch, with the time of day as a fraction.
//!
//! A double has no place for most seconds of a day, so a serial is the second that it is next to, as
//! long as no fraction of a second can be meant.

use chrono::NaiveDate;

const SECONDS_PER_DAY: f64 = 86_400.0;
/// Days behind the last one that spreadsheets know, the end of the year 9999.
const END_1900: f64 = 2_958_466.0;
/// Days between the epochs of the two date systems.
const DAYS_TO_1904: f64 = 1_462.0;
/// How far a serial may be from its second. Programs that write 15 digits are less than a hundredth of
/// this off, and a thousandth of a second is more.
const MOST_SECONDS_OFF: f64 = 0.000_5;

/// From which day a workbook counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Epoch {
    /// 1 is the first of January 1900, and 60 a 29th of February that the year did not have.
    Of1900,
    /// 0 is the first of January 1904.
    Of1904,
}

/// The time of a serial in seconds since 1970, UTC; `None` for what is no time of a day, for a day that
/// did not exist, and for fractions of seconds.
pub(super) fn timestamp(serial: f64, epoch: Epoch) -> Option<i64> {
    let days = match epoch {
        Epoch::Of1900 => serial,
        Epoch::Of1904 => serial + DAYS_TO_1904,
    };
    let is_known = serial >= 0.0 && (1.0..END_1900).contains(&days);
    if !is_known {
        return None;
    }
    // The fraction first: in it, a second has more digits.
    let seconds = days.fract() * SECONDS_PER_DAY;
    let second = seconds.round();
    if (seconds - second).abs() > MOST_SECONDS_OFF {
        return None;
    }
    let day = days.trunc() as i64 + i64::from(second == SECONDS_PER_DAY);
    let second = if second == SECONDS_PER_DAY {
        0.0
    } else {
        second
    };
    // Before the day that did not exist, the count is one less.
    let day = match day {
        60 => return None,
        day if day < 60 => day + 1,
        day => day,
    };
    let zero = NaiveDate::from_ymd_opt(1899, 12, 30)?.and_hms_opt(0, 0, 0)?;
    Some(zero.and_utc().timestamp() + day * 86_400 + second as i64)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn utc(text: &str) -> Option<i64> {
        let time: DateTime<Utc> = text.parse().expect("a time");
        Some(time.timestamp())
    }

    #[test]
    fn serials_are_whole_seconds() {
        for (serial, expected) in [
            (1.0, "1900-01-01T00:00:00Z"),
            (59.0, "1900-02-28T00:00:00Z"),
            (61.0, "1900-03-01T00:00:00Z"),
            (40_148.322_916_666_664, "2009-12-01T07:45:00Z"),
            (40_513.351_388_888_89, "2010-12-01T08:26:00Z"),
            // As programs write that keep 15 digits.
            (40_513.351_388_888_9, "2010-12-01T08:26:00Z"),
            (40_513.999_988_425_9, "2010-12-01T23:59:59Z"),
            (40_513.999_999_999_99, "2010-12-02T00:00:00Z"),
            (2_958_465.999_988_426, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(timestamp(serial, Epoch::Of1900), utc(expected), "{serial}");
        }
        assert_eq!(timestamp(0.0, Epoch::Of1904), utc("1904-01-01T00:00:00Z"));
        let in_1904 = 40_513.351_388_888_89 - 1_462.0;
        let expected = utc("2010-12-01T08:26:00Z");
        assert_eq!(timestamp(in_1904, Epoch::Of1904), expected);
    }

    #[test]
    fn every_second_of_a_day_comes_back() {
        for epoch_day in [40_148_i64, 40_882] {
            let start = timestamp(epoch_day as f64, Epoch::Of1900).expect("a day");
            for second in 0..86_400_i64 {
                let serial = epoch_day as f64 + second as f64 / SECONDS_PER_DAY;
                assert_eq!(timestamp(serial, Epoch::Of1900), Some(start + second));
            }
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for serial in [
            0.35,
            -1.0,
            60.0,
            60.5,
            2_958_466.0,
            1_291_191_960.0,
            40_513.351_394,
            f64::NAN,
            f64::INFINITY,
        ] {
            assert_eq!(timestamp(serial, Epoch::Of1900), None, "{serial}");
        }
        assert_eq!(timestamp(-0.5, Epoch::Of1904), None);
    }
}
