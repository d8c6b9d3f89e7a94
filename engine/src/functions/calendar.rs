//! What lies between two times, by the calendar.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, IntervalMonthDayNanoArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNano, IntervalUnit, TimeUnit,
};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SECOND;
/// Days from the first day of the common era to 1970.
const EPOCH: i64 = 719_163;

/// `days_between(a, b)`: the days from date `b` to date `a`, which DataFusion takes for a difference of two times in
/// some places.
pub(crate) fn days_between() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Between::of(Measure::Days)))
}

/// * `date_diff(unit, start, end)`: the borders of the unit that are crossed, such as the first days of months. Weeks
///   begin on Monday.
/// * `timestampdiff(unit, start, end)`: the whole units that have passed.
/// * `months_between(end, start)`: months with a fraction of 31 days, rounded to 8 digits; whole ones from a day of a
///   month to the same day or from the last day to the last one.
/// * `age(end, start)`: the interval in months, days and time.
pub(super) fn calendar_functions() -> Vec<ScalarUDF> {
    let measures = [
        Measure::Borders,
        Measure::Units,
        Measure::Months,
        Measure::Age,
    ];
    measures
        .map(|measure| ScalarUDF::from(Between::of(measure)))
        .into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Measure {
    Days,
    Borders,
    Units,
    Months,
    Age,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Between {
    measure: Measure,
    signature: Signature,
}

impl Between {
    fn of(measure: Measure) -> Self {
        Self {
            measure,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Between {
    fn name(&self) -> &'static str {
        match self.measure {
            Measure::Days => "days_between",
            Measure::Borders => "date_diff",
            Measure::Units => "timestampdiff",
            Measure::Months => "months_between",
            Measure::Age => "age",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let time = |data_type: &DataType| match data_type {
            DataType::Date32 | DataType::Date64 if self.measure == Measure::Days => {
                Ok(DataType::Date32)
            }
            DataType::Timestamp(..) if self.measure != Measure::Days => Ok(data_type.clone()),
            DataType::Date32
            | DataType::Date64
            | DataType::Null
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View => Ok(DataType::Timestamp(TimeUnit::Microsecond, None)),
            other => plan_err!("{} takes times, not {other}", self.name()),
        };
        match (self.measure, types) {
            (Measure::Borders | Measure::Units, [unit, start, end])
                if unit.is_string() || unit.is_null() =>
            {
                Ok(vec![DataType::Utf8, time(start)?, time(end)?])
            }
            (Measure::Borders | Measure::Units, _) => {
                plan_err!(
                    "{} takes a unit such as 'month', a start and an end",
                    self.name()
                )
            }
            (_, [end, start]) => Ok(vec![time(end)?, time(start)?]),
            _ => plan_err!("{} takes two times", self.name()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.measure {
            Measure::Days | Measure::Borders | Measure::Units => DataType::Int64,
            Measure::Months => DataType::Float64,
            Measure::Age => DataType::Interval(IntervalUnit::MonthDayNano),
        })
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_one = args
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let n_rows = if is_one { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|value| value.to_array(n_rows));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let values: ArrayRef = match (self.measure, arrays.as_slice()) {
            (Measure::Days, [end, start]) => {
                let values = of_pairs(start, end, |start, end| Ok(end.day - start.day))?;
                Arc::new(values.into_iter().collect::<Int64Array>())
            }
            (Measure::Months, [end, start]) => {
                let values = of_pairs(start, end, months_between)?;
                Arc::new(values.into_iter().collect::<Float64Array>())
            }
            (Measure::Age, [end, start]) => {
                let values = of_pairs(start, end, age)?;
                Arc::new(values.into_iter().collect::<IntervalMonthDayNanoArray>())
            }
            (measure, [units, start, end]) => {
                let units = units.as_string::<i32>();
                let mut units = units.iter();
                let mut of_unit = |start: Moment, end: Moment| {
                    let unit = Unit::named(units.next().flatten(), self.name())?;
                    match (measure, unit) {
                        (_, None) => Ok(None),
                        (Measure::Borders, Some(unit)) => {
                            Ok(Some(unit.number(end)? - unit.number(start)?))
                        }
                        (_, Some(unit)) => unit.whole(start, end).map(Some),
                    }
                };
                let pairs = moments(start)?.into_iter().zip(moments(end)?);
                let values = pairs.map(|(start, end)| match (start, end) {
                    (Some(start), Some(end)) => of_unit(start, end),
                    _ => {
                        of_unit(Moment::ZERO, Moment::ZERO)?;
                        Ok(None)
                    }
                });
                Arc::new(values.collect::<Result<Int64Array>>()?)
            }
            _ => return exec_err!("{} takes two times", self.name()),
        };
        Ok(match is_one {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?),
            false => ColumnarValue::Array(values),
        })
    }
}

/// A time: the day since 1970 and the nanoseconds of that day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    day: i64,
    nanos: i64,
}

impl Moment {
    const ZERO: Self = Self { day: 0, nanos: 0 };

    fn date(self) -> Result<NaiveDate> {
        let day = i32::try_from(self.day + EPOCH).ok();
        day.and_then(NaiveDate::from_num_days_from_ce_opt)
            .ok_or_else(|| exec_datafusion_err!("day {} since 1970 is in no year", self.day))
    }
}

fn moments(times: &ArrayRef) -> Result<Vec<Option<Moment>>> {
    let (per_day, nanos) = match times.data_type() {
        DataType::Date32 => (1, 0),
        DataType::Date64 => (86_400_000, 1_000_000),
        DataType::Timestamp(TimeUnit::Second, _) => (86_400, NANOS_PER_SECOND),
        DataType::Timestamp(TimeUnit::Millisecond, _) => (86_400_000, 1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => (86_400_000_000, 1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => (NANOS_PER_DAY, 1),
        other => return exec_err!("{other} is not a time"),
    };
    let numbers = cast(times, &DataType::Int64)?;
    let moments = numbers.as_primitive::<Int64Type>().iter().map(|number| {
        number.map(|number| Moment {
            day: number.div_euclid(per_day),
            nanos: number.rem_euclid(per_day) * nanos,
        })
    });
    Ok(moments.collect())
}

fn of_pairs<T>(
    start: &ArrayRef,
    end: &ArrayRef,
    measure: impl Fn(Moment, Moment) -> Result<T>,
) -> Result<Vec<Option<T>>> {
    let pairs = moments(start)?.into_iter().zip(moments(end)?);
    pairs
        .map(|(start, end)| start.zip(end).map(|(s, e)| measure(s, e)).transpose())
        .collect()
}

/// A unit of the calendar, as so many of a smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Months(i64),
    Days(i64),
    /// Of a day.
    Nanos(i64),
}

impl Unit {
    fn named(name: Option<&str>, function: &str) -> Result<Option<Self>> {
        let Some(name) = name else {
            return Ok(None);
        };
        let unit = name.to_lowercase();
        Ok(Some(match unit.strip_suffix('s').unwrap_or(&unit) {
            "year" => Self::Months(12),
            "quarter" => Self::Months(3),
            "month" => Self::Months(1),
            "week" => Self::Days(7),
            "day" => Self::Days(1),
            "hour" => Self::Nanos(3_600 * NANOS_PER_SECOND),
            "minute" => Self::Nanos(60 * NANOS_PER_SECOND),
            "second" => Self::Nanos(NANOS_PER_SECOND),
            "millisecond" => Self::Nanos(1_000_000),
            "microsecond" => Self::Nanos(1_000),
            _ => {
                return exec_err!(
                    "{function} knows no unit '{name}'; it is year, quarter, month, week, day, hour, minute, second, \
                     millisecond or microsecond"
                );
            }
        }))
    }

    /// The number of the unit that the time is in.
    fn number(self, time: Moment) -> Result<i64> {
        Ok(match self {
            Self::Months(n) => month(time)?.div_euclid(n),
            // 1970 began on a Thursday.
            Self::Days(7) => (time.day + 3).div_euclid(7),
            Self::Days(n) => time.day.div_euclid(n),
            Self::Nanos(n) => number_of_nanos(time.day, time.nanos, n)?,
        })
    }

    /// The whole units from one time to the other, cut towards zero.
    fn whole(self, start: Moment, end: Moment) -> Result<i64> {
        Ok(match self {
            Self::Months(n) => {
                let within = |time: Moment| -> Result<_> { Ok((time.date()?.day(), time.nanos)) };
                let (of_start, of_end) = (within(start)?, within(end)?);
                let months = month(end)? - month(start)?;
                let months = match months {
                    1.. if of_end < of_start => months - 1,
                    ..=-1 if of_end > of_start => months + 1,
                    other => other,
                };
                months / n
            }
            Self::Days(n) => {
                let days = end.day - start.day;
                let days = match days {
                    1.. if end.nanos < start.nanos => days - 1,
                    ..=-1 if end.nanos > start.nanos => days + 1,
                    other => other,
                };
                days / n
            }
            Self::Nanos(n) => {
                let days = i128::from(end.day - start.day) * i128::from(NANOS_PER_DAY);
                let nanos = days + i128::from(end.nanos - start.nanos);
                fitting(nanos / i128::from(n))?
            }
        })
    }
}

fn number_of_nanos(day: i64, nanos: i64, unit: i64) -> Result<i64> {
    let all = i128::from(day) * i128::from(NANOS_PER_DAY) + i128::from(nanos);
    fitting(all.div_euclid(i128::from(unit)))
}

fn fitting(number: i128) -> Result<i64> {
    i64::try_from(number)
        .map_err(|_| exec_datafusion_err!("the number of units between the times is too large"))
}

/// Months since the year 0.
fn month(time: Moment) -> Result<i64> {
    let date = time.date()?;
    Ok(i64::from(date.year()) * 12 + i64::from(date.month0()))
}

fn days_of_month(date: NaiveDate) -> i64 {
    i64::from(date.num_days_in_month())
}

fn months_between(start: Moment, end: Moment) -> Result<f64> {
    let months = month(end)? - month(start)?;
    let (first, last) = (start.date()?, end.date()?);
    let is_last = |date: NaiveDate| i64::from(date.day()) == days_of_month(date);
    if first.day() == last.day() || is_last(first) && is_last(last) {
        return Ok(months as f64);
    }
    let days = i64::from(last.day()) - i64::from(first.day());
    let seconds = end.nanos / NANOS_PER_SECOND - start.nanos / NANOS_PER_SECOND;
    let rest = (days * 86_400 + seconds) as f64 / (31.0 * 86_400.0);
    Ok(((months as f64 + rest) * 1e8).round() / 1e8)
}

/// The fields of the later time less those of the earlier one, with the days of its month for a month.
fn age(start: Moment, end: Moment) -> Result<IntervalMonthDayNano> {
    let (earlier, later, sign) = match start <= end {
        true => (start, end, 1),
        false => (end, start, -1),
    };
    let (first, last) = (earlier.date()?, later.date()?);
    let mut months = month(later)? - month(earlier)?;
    let mut days = i64::from(last.day()) - i64::from(first.day());
    let mut nanos = later.nanos - earlier.nanos;
    if nanos < 0 {
        nanos += NANOS_PER_DAY;
        days -= 1;
    }
    if days < 0 {
        days += days_of_month(first);
        months -= 1;
    }
    let short = |part: i64| {
        i32::try_from(part * i64::from(sign))
            .map_err(|_| exec_datafusion_err!("the age does not fit into an interval"))
    };
    Ok(IntervalMonthDayNano::new(
        short(months)?,
        short(days)?,
        nanos * i64::from(sign),
    ))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Date32Array, TimestampMicrosecondArray};

    use super::*;

    fn at(text: &str) -> Moment {
        let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap();
        let seconds = time.and_utc().timestamp();
        Moment {
            day: seconds.div_euclid(86_400),
            nanos: seconds.rem_euclid(86_400) * NANOS_PER_SECOND,
        }
    }

    #[test]
    fn borders_and_whole_units_differ() {
        for (unit, start, end, borders, whole) in [
            ("month", "2024-01-31 10:00:00", "2024-02-01 00:00:00", 1, 0),
            ("month", "2024-01-31 00:00:00", "2024-02-29 00:00:00", 1, 0),
            (
                "month",
                "2024-01-15 10:00:00",
                "2025-03-15 10:00:00",
                14,
                14,
            ),
            (
                "month",
                "2024-03-15 10:00:00",
                "2024-01-16 00:00:00",
                -2,
                -1,
            ),
            (
                "quarter",
                "2024-03-31 00:00:00",
                "2024-04-01 00:00:00",
                1,
                0,
            ),
            ("years", "2023-12-31 00:00:00", "2024-01-01 00:00:00", 1, 0),
            ("year", "1969-06-01 00:00:00", "1971-06-01 00:00:00", 2, 2),
            // A Sunday and a Monday.
            ("week", "2024-06-09 00:00:00", "2024-06-10 00:00:00", 1, 0),
            ("week", "2024-06-10 00:00:00", "2024-06-16 00:00:00", 0, 0),
            ("week", "1969-12-28 00:00:00", "1969-12-29 00:00:00", 1, 0),
            ("day", "2024-06-09 23:00:00", "2024-06-10 01:00:00", 1, 0),
            ("day", "2024-06-10 01:00:00", "2024-06-08 23:00:00", -2, -1),
            ("HOUR", "2024-06-09 23:59:00", "2024-06-10 00:01:00", 1, 0),
            ("hour", "1969-12-31 23:59:00", "1970-01-01 00:01:00", 1, 0),
            (
                "minute",
                "2024-06-09 00:00:59",
                "2024-06-09 02:00:00",
                120,
                119,
            ),
        ] {
            let (start, end) = (at(start), at(end));
            let unit = Unit::named(Some(unit), "f").unwrap().unwrap();
            assert_eq!(
                unit.number(end).unwrap() - unit.number(start).unwrap(),
                borders,
                "{unit:?} {start:?}"
            );
            assert_eq!(unit.whole(start, end).unwrap(), whole, "{unit:?} {start:?}");
        }
        assert!(Unit::named(Some("fortnight"), "f").is_err());
    }

    #[test]
    fn months_have_a_fraction_of_31_days() {
        for (end, start, expected) in [
            ("1997-02-28 10:30:00", "1996-10-30 00:00:00", 3.949_596_77),
            ("2024-02-29 00:00:00", "2024-01-31 12:00:00", 1.0),
            ("2024-03-15 00:00:00", "2024-01-15 23:00:00", 2.0),
            ("2024-01-01 00:00:00", "2024-02-01 00:00:00", -1.0),
        ] {
            let found = months_between(at(start), at(end)).unwrap();
            assert!((found - expected).abs() < 1e-12, "{start}: {found}");
        }
    }

    #[test]
    fn an_age_has_months_days_and_time() {
        let hour = 3_600 * NANOS_PER_SECOND;
        for (end, start, months, days, nanos) in [
            (
                "2001-04-10 00:00:00",
                "1957-06-13 00:00:00",
                43 * 12 + 9,
                27,
                0,
            ),
            ("2024-03-01 00:00:00", "2024-01-31 00:00:00", 1, 1, 0),
            (
                "2024-03-01 01:00:00",
                "2024-02-29 02:00:00",
                0,
                0,
                23 * hour,
            ),
            ("2024-01-31 00:00:00", "2024-03-01 00:00:00", -1, -1, 0),
        ] {
            let expected = IntervalMonthDayNano::new(months, days, nanos);
            assert_eq!(age(at(start), at(end)).unwrap(), expected, "{start}");
        }
    }

    #[test]
    fn times_are_read_in_their_units() {
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![Some(-1), None]));
        let day = |day, nanos| Some(Moment { day, nanos });
        assert_eq!(moments(&dates).unwrap(), [day(-1, 0), None]);
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![-1, 86_400_000_001]));
        let expected = [day(-1, NANOS_PER_DAY - 1_000), day(1, 1_000)];
        assert_eq!(moments(&times).unwrap(), expected);
    }
}
