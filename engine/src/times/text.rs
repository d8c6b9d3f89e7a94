//! Times that are written in a statement.

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::compute::kernels::cast_utils::string_to_datetime;
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::scalar::ScalarValue;

use super::UTC;

/// Where the seconds begin in `2024-02-29 00:00:00`.
const SECONDS: usize = 16;

/// The text of a time with seconds, where it ends with the minutes; `None` for any other text.
pub(crate) fn with_seconds(text: &str) -> Option<String> {
    let minutes = text.get(..SECONDS)?;
    let has_minutes = minutes.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => matches!(byte, b' ' | b'T' | b't'),
        13 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    let rest = text.get(SECONDS..)?;
    let ends = rest.is_empty() || rest.starts_with(['Z', 'z', '+', '-', ' ']);
    (has_minutes && ends).then(|| format!("{minutes}:00{rest}"))
}

/// A moment: seconds since 1970 in UTC, and nanoseconds of the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    seconds: i64,
    nanos: u32,
}

/// The moment that a text says; one without an offset is in UTC. `None` for a text that says none.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    let text = with_seconds(text).unwrap_or_else(|| text.to_owned());
    let zone: Tz = UTC.parse().ok()?;
    let time = string_to_datetime(&zone, &text).ok()?;
    Some(Moment {
        seconds: time.timestamp(),
        nanos: time.timestamp_subsec_nanos(),
    })
}

impl Moment {
    /// The moment that a constant of another type is.
    pub(crate) fn of(value: &ScalarValue) -> Option<Self> {
        let of = |value: i64, per_second: i64| Self {
            seconds: value.div_euclid(per_second),
            nanos: u32::try_from(value.rem_euclid(per_second) * (NANOS / per_second))
                .unwrap_or_default(),
        };
        match value {
            ScalarValue::Date32(Some(days)) => Some(of(i64::from(*days) * 86_400, 1)),
            ScalarValue::TimestampSecond(Some(v), _) => Some(of(*v, 1)),
            ScalarValue::TimestampMillisecond(Some(v), _) => Some(of(*v, 1_000)),
            ScalarValue::TimestampMicrosecond(Some(v), _) => Some(of(*v, 1_000_000)),
            ScalarValue::TimestampNanosecond(Some(v), _) => Some(of(*v, NANOS)),
            _ => None,
        }
    }

    /// The number of units since 1970; `None` where they do not hold the moment exactly.
    pub(crate) fn exactly_in(self, unit: TimeUnit) -> Option<i64> {
        let per_second = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => NANOS,
        };
        let nanos_per_unit = NANOS / per_second;
        let nanos = i64::from(self.nanos);
        if nanos % nanos_per_unit != 0 {
            return None;
        }
        let whole = i128::from(self.seconds) * i128::from(per_second);
        i64::try_from(whole + i128::from(nanos / nanos_per_unit)).ok()
    }

    /// Whether the moment lies before or after all that nanoseconds hold.
    pub(crate) fn is_beyond_nanos(self) -> bool {
        self.exactly_in(TimeUnit::Nanosecond).is_none()
    }
}

const NANOS: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_get_seconds() {
        for (text, expected) in [
            ("2024-02-29 00:00", Some("2024-02-29 00:00:00")),
            ("2024-02-29T13:45Z", Some("2024-02-29T13:45:00Z")),
            ("2024-02-29 13:45+02", Some("2024-02-29 13:45:00+02")),
            ("2024-02-29 00:00:01", None),
            ("2024-02-29", None),
            ("2024/02/29 00:00", None),
            ("about midnight, æ", None),
        ] {
            assert_eq!(with_seconds(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn moments_are_exact() {
        let far = moment("9999-12-31").unwrap();
        assert!(far.is_beyond_nanos());
        assert_eq!(far.exactly_in(TimeUnit::Second), Some(253_402_214_400));
        let early = moment("1969-12-31T23:59:59.5Z").unwrap();
        assert_eq!(early.exactly_in(TimeUnit::Millisecond), Some(-500));
        assert_eq!(early.exactly_in(TimeUnit::Second), None);
        let value = ScalarValue::TimestampMillisecond(Some(-500), None);
        assert_eq!(Moment::of(&value), Some(early));
        assert_eq!(moment("2024-07-01 02:00+02"), moment("2024-07-01"));
        assert_eq!(moment("soon"), None);
    }
}
