//! Calendar periods in UTC as numbers, so that the distance of two periods is a subtraction.
//!
//! The number of a day is its distance from 1970-01-01; of a week the number of its Monday's week
//! (ISO 8601, weeks begin on Monday); of a month `12 * year + month - 1`. Years are always part of
//! the number: a month alone would merge the Januaries of all years.

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Timelike, Utc};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::functions::datetime::expr_fn::date_part;
use datafusion::logical_expr::{Expr, cast, lit};

/// Weeks by which dates are moved before they are divided, so that no dividend is negative.
const WEEKS_SHIFT: i64 = 200_000;
/// Days from a Monday to 1970-01-01, which was a Thursday.
const EPOCH_WEEKDAY: i64 = 3;

/// The length of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    Day,
    Week,
    Month,
}

impl Period {
    /// The period of the name `day`, `week` or `month`.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        match name {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            _ => None,
        }
    }

    /// Days of the rolling form of the period: 1, 7 or 30.
    pub(crate) fn rolling_days(self) -> i64 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
        }
    }

    /// The number of the period that a time is in, as `Int64`.
    pub(crate) fn number(self, time: Expr) -> Expr {
        match self {
            Self::Day => day_number(time),
            Self::Week => {
                (day_number(time) + lit(EPOCH_WEEKDAY + 7 * WEEKS_SHIFT)) / lit(7_i64)
                    - lit(WEEKS_SHIFT)
            }
            Self::Month => {
                let time = in_utc(time);
                let part = |name: &str| cast(date_part(lit(name), time.clone()), DataType::Int64);
                lit(12_i64) * part("year") + part("month") - lit(1_i64)
            }
        }
    }

    /// The number of the period that a date is in.
    pub(crate) fn number_of(self, date: NaiveDate) -> i64 {
        let day = day_of(date);
        match self {
            Self::Day => day,
            Self::Week => (day + EPOCH_WEEKDAY).div_euclid(7),
            Self::Month => 12 * i64::from(date.year()) + i64::from(date.month0()),
        }
    }

    /// First day of the period with the number; `None` beyond the calendar.
    pub(crate) fn start(self, number: i64) -> Option<NaiveDate> {
        match self {
            Self::Day => date_of(number),
            Self::Week => date_of(number.checked_mul(7)? - EPOCH_WEEKDAY),
            Self::Month => {
                let year = i32::try_from(number.div_euclid(12)).ok()?;
                let month = u32::try_from(number.rem_euclid(12)).ok()? + 1;
                NaiveDate::from_ymd_opt(year, month, 1)
            }
        }
    }

    /// The number of the last period of which every instant up to this one was observed.
    pub(crate) fn last_complete(self, instant: DateTime<Utc>) -> i64 {
        // The period of the first instant that was not observed is not complete.
        self.number_of(next_instant(instant).date_naive()) - 1
    }
}

/// The instant after `instant`, in the resolution of time columns.
pub(crate) fn next_instant(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant
        .checked_add_signed(TimeDelta::microseconds(1))
        .unwrap_or(instant)
}

/// The hour from which on a last order speaks for its whole day.
const LAST_HOUR: u32 = 23;

/// The last instant that data covers whose last order is at `last`: the end of its day if the orders
/// have no time of day, or if it came in the last hour; else its own time. `sales_by_day` and
/// `sales_by_month` have the same rule.
pub(crate) fn covered_until(last: DateTime<Utc>, has_times: bool) -> DateTime<Utc> {
    if has_times && last.hour() < LAST_HOUR {
        return last;
    }
    last.date_naive()
        .and_hms_micro_opt(23, 59, 59, 999_999)
        .map_or(last, |end| end.and_utc())
}

/// Days from 1970-01-01 to the UTC day of a time, as `Int64`.
pub(crate) fn day_number(time: Expr) -> Expr {
    cast(
        cast(cast(in_utc(time), DataType::Date32), DataType::Int32),
        DataType::Int64,
    )
}

/// A time as an instant in UTC with microseconds; one without zone is taken to be in UTC.
pub(crate) fn in_utc(time: Expr) -> Expr {
    cast(
        time,
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    )
}

/// Microseconds since the epoch, as `Int64`.
pub(crate) fn micros(time: Expr) -> Expr {
    cast(in_utc(time), DataType::Int64)
}

/// Days from 1970-01-01.
pub(crate) fn day_of(date: NaiveDate) -> i64 {
    date.signed_duration_since(NaiveDate::default()).num_days()
}

/// The date with the number of days from 1970-01-01.
pub(crate) fn date_of(day: i64) -> Option<NaiveDate> {
    let days = Days::new(day.unsigned_abs());
    let epoch = NaiveDate::default();
    if day < 0 {
        epoch.checked_sub_days(days)
    } else {
        epoch.checked_add_days(days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    #[test]
    fn numbers_and_starts_are_inverse() {
        for day in [
            "1969-12-28",
            "1970-01-01",
            "2024-02-29",
            "2024-12-30",
            "2025-01-05",
        ] {
            for period in [Period::Day, Period::Week, Period::Month] {
                let number = period.number_of(date(day));
                let start = period.start(number).expect("a start");
                let next = period.start(number + 1).expect("a start");
                assert!(start <= date(day) && date(day) < next, "{day} {period:?}");
            }
        }
    }

    #[test]
    fn weeks_begin_on_monday_also_across_the_year() {
        let week = Period::Week;
        assert_eq!(
            week.start(week.number_of(date("2025-01-01"))),
            Some(date("2024-12-30"))
        );
    }

    #[test]
    fn a_period_is_complete_when_the_next_one_begins() {
        let month = Period::Month;
        let noon = "1998-06-30T12:00:00Z".parse().expect("a time");
        assert_eq!(
            month.start(month.last_complete(noon)),
            Some(date("1998-05-01"))
        );
        for last in ["1998-07-01T00:00:00Z", "1998-06-30T23:59:59.999999Z"] {
            assert_eq!(
                month.start(month.last_complete(last.parse().expect("a time"))),
                Some(date("1998-06-01"))
            );
        }
    }

    #[test]
    fn data_with_day_resolution_covers_its_last_day() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let end = time("1998-06-30T23:59:59.999999Z");
        assert_eq!(covered_until(time("1998-06-30T00:00:00Z"), false), end);
        assert_eq!(covered_until(time("1998-06-30T23:00:00Z"), true), end);
        for last in ["1998-06-30T00:00:00Z", "1998-06-30T22:59:59Z"] {
            assert_eq!(covered_until(time(last), true), time(last));
        }
    }
}
