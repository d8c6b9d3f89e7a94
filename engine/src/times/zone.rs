//! `timezone(zone, time)`, which is `time AT TIME ZONE zone`, as in PostgreSQL.
//!
//! DataFusion takes `AT TIME ZONE` for a cast to a type with that zone: an instant stays the instant that
//! it is, and so has no local time; and a local time that a zone skips or has twice is refused.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::UTC;

/// The name of the function.
pub(crate) const TIMEZONE: &str = "timezone";

/// Hours before a local time that a zone skips, among which is one that it has. Samoa skipped a day.
const LONGEST_GAP: i64 = 48;

/// `timezone(zone, time)`: of an instant (a timestamp with a zone) the local time, without a zone; of a
/// local time (a timestamp without a zone) the instant, in UTC. A local time that the zone skips is read
/// with the offset before the gap, one that it has twice with the offset after the change.
pub(super) fn timezone() -> ScalarUDF {
    ScalarUDF::from(Timezone {
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Timezone {
    signature: Signature,
}

impl ScalarUDFImpl for Timezone {
    fn name(&self) -> &'static str {
        TIMEZONE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [zone, time] = types else {
            return plan_err!("timezone takes a zone and a time");
        };
        if !zone.is_string() && !zone.is_null() {
            return plan_err!("AT TIME ZONE takes the name of a zone such as 'Europe/Oslo'");
        }
        let time = match time {
            DataType::Timestamp(..) => time.clone(),
            DataType::Null => DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())),
            other => {
                return plan_err!(
                    "AT TIME ZONE takes a timestamp, not {other}; CAST(… AS timestamp) is a local time in the \
                     zone, CAST(… AS timestamptz) a time in UTC"
                );
            }
        };
        Ok(vec![DataType::Utf8, time])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, DataType::Timestamp(unit, Some(_))] => Ok(DataType::Timestamp(*unit, None)),
            [_, DataType::Timestamp(unit, None)] => {
                Ok(DataType::Timestamp(*unit, Some(UTC.into())))
            }
            // The types are coerced before the plan runs.
            _ => Ok(DataType::Timestamp(TimeUnit::Nanosecond, None)),
        }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [zone, time] = args else {
            return plan_err!("timezone takes a zone and a time");
        };
        let zone = match zone {
            Expr::Literal(ScalarValue::Utf8(Some(zone)), _) => format!("'{zone}'"),
            other => other.schema_name().to_string(),
        };
        Ok(format!("{} AT TIME ZONE {zone}", time.schema_name()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [zones, times] = args.args.as_slice() else {
            return exec_err!("timezone takes a zone and a time");
        };
        let zones = cast(&zones.to_array(args.number_rows)?, &DataType::Utf8)?;
        let times = times.to_array(args.number_rows)?;
        moved(&zones, &times).map(ColumnarValue::Array)
    }
}

fn moved(zones: &ArrayRef, times: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, own_zone) = times.data_type() else {
        return exec_err!("AT TIME ZONE takes a timestamp, not {}", times.data_type());
    };
    let is_instant = own_zone.is_some();
    let per_second: i64 = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let mut known: Option<(&str, Tz)> = None;
    let values = cast(times, &DataType::Int64)?;
    let rows = values
        .as_primitive::<Int64Type>()
        .iter()
        .zip(zones.as_string::<i32>());
    let moved = rows.map(|row| {
        let (Some(value), Some(name)) = row else {
            return Ok(None);
        };
        let zone = match known {
            Some((same, zone)) if same == name => zone,
            _ => zone_of(name)?,
        };
        known = Some((name, zone));
        let shown = || DateTime::from_timestamp(value.div_euclid(per_second), 0);
        let time = shown().map(|time| time.naive_utc());
        let offset = time.and_then(|time| offset(&zone, time, is_instant));
        let offset = offset.and_then(|seconds| seconds.checked_mul(per_second));
        let moved = offset.and_then(|offset| match is_instant {
            true => value.checked_add(offset),
            false => value.checked_sub(offset),
        });
        moved
            .map(Some)
            .ok_or_else(|| exec_datafusion_err!("a time is too far from today for zone `{name}`"))
    });
    let moved: Int64Array = moved.collect::<Result<_>>()?;
    let zone = (!is_instant).then(|| UTC.into());
    Ok(cast(&moved, &DataType::Timestamp(*unit, zone))?)
}

fn zone_of(name: &str) -> Result<Tz> {
    name.parse().map_err(|_| {
        exec_datafusion_err!(
            "there is no time zone `{name}`; zones are such as 'Europe/Oslo', 'UTC' and '+02:00' (east of UTC)"
        )
    })
}

/// The seconds that the zone is ahead of UTC at a time, which is an instant or local; `None` where the
/// calendar ends.
fn offset(zone: &Tz, time: NaiveDateTime, is_instant: bool) -> Option<i64> {
    let offset = match is_instant {
        true => zone.offset_from_utc_datetime(&time),
        false => match zone.offset_from_local_datetime(&time) {
            MappedLocalTime::Single(offset) => offset,
            MappedLocalTime::Ambiguous(_, after) => after,
            MappedLocalTime::None => (1..=LONGEST_GAP).find_map(|hours| {
                let before = time.checked_sub_signed(TimeDelta::hours(hours))?;
                zone.offset_from_local_datetime(&before).latest()
            })?,
        },
    };
    Some(i64::from(offset.fix().local_minus_utc()))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

    use super::*;

    fn at(time: &str, data_type: &DataType, zone: &str) -> Result<String> {
        let text = ScalarValue::from(time).to_array()?;
        let times = cast(&text, data_type)?;
        let zones = ScalarValue::from(zone).to_array()?;
        let moved = moved(&zones, &times)?;
        let formatter = ArrayFormatter::try_new(&moved, &FormatOptions::default())?;
        Ok(formatter.value(0).to_string())
    }

    #[test]
    fn instants_and_local_times_lead_to_each_other() -> Result<()> {
        let local = DataType::Timestamp(TimeUnit::Microsecond, None);
        let instant = DataType::Timestamp(TimeUnit::Second, Some(UTC.into()));
        for (time, zone, expected) in [
            ("2024-07-01T23:30:00Z", "Europe/Oslo", "2024-07-02T01:30:00"),
            (
                "1969-01-01T00:00:00Z",
                "America/New_York",
                "1968-12-31T19:00:00",
            ),
            ("2024-07-01T23:30:00Z", "+02:00", "2024-07-02T01:30:00"),
        ] {
            assert_eq!(at(time, &instant, zone)?, expected, "{time} {zone}");
        }
        for (time, zone, expected) in [
            (
                "2024-07-02T01:30:00.5",
                "Europe/Oslo",
                "2024-07-01T23:30:00.500Z",
            ),
            // Skipped, and there twice.
            ("2024-03-31T02:30:00", "Europe/Oslo", "2024-03-31T01:30:00Z"),
            ("2024-10-27T02:30:00", "Europe/Oslo", "2024-10-27T01:30:00Z"),
            (
                "2024-03-10T02:30:00",
                "America/New_York",
                "2024-03-10T07:30:00Z",
            ),
            (
                "2024-11-03T01:30:00",
                "America/New_York",
                "2024-11-03T06:30:00Z",
            ),
            (
                "2011-12-30T12:00:00",
                "Pacific/Apia",
                "2011-12-30T22:00:00Z",
            ),
        ] {
            assert_eq!(at(time, &local, zone)?, expected, "{time} {zone}");
        }
        let unknown = at("2024-07-01T00:00:00", &local, "Europe/Bergen");
        assert!(unknown.is_err_and(|e| e.to_string().contains("no time zone `Europe/Bergen`")));
        Ok(())
    }
}
