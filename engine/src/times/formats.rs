//! Formats of times of day without minutes.
//!
//! DataFusion reads `2024-02-03 10` by `%Y-%m-%d %H` as midnight, because a time of day that is not whole is left out.

use std::sync::Arc;

use chrono::format::{Fixed, Item, Numeric, StrftimeItems};
use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::ColumnarValue;

/// Stands in front of a text; a format has the minutes there or the same characters.
const MINUTES: &str = "00|";

/// What a format says of the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    /// Nothing, or all that is needed.
    Whole,
    /// The hour alone.
    Hour,
    /// Something else, from which no time follows.
    Part,
}

/// The arguments of a function that takes a text and formats: where a format has the hour alone, its minutes are 0.
///
/// # Errors
/// When a format has another part of a time of day than one that begins with the hour.
pub(super) fn with_minutes(mut args: Vec<ColumnarValue>) -> Result<Vec<ColumnarValue>> {
    let mut is_hour = false;
    for format in args.iter().skip(1) {
        is_hour |= has_hours(format)?;
    }
    if !is_hour
        || !args
            .first()
            .is_some_and(|text| text.data_type().is_string())
    {
        return Ok(args);
    }
    for (at, argument) in args.iter_mut().enumerate() {
        *argument = changed(argument, |text| match at {
            0 => format!("{MINUTES}{text}"),
            _ if day_of(text) == Day::Hour => format!("%M|{text}"),
            _ => format!("{MINUTES}{text}"),
        })?;
    }
    Ok(args)
}

/// The error with texts and formats as they were given.
pub(super) fn without_minutes(error: DataFusionError) -> DataFusionError {
    match error {
        DataFusionError::Execution(text) => {
            let text = text.replace(&format!("'{MINUTES}"), "'");
            DataFusionError::Execution(text.replace("'%M|", "'"))
        }
        other => other,
    }
}

fn has_hours(format: &ColumnarValue) -> Result<bool> {
    if !format.data_type().is_string() {
        return Ok(false);
    }
    let formats = match format {
        ColumnarValue::Scalar(format) => format.to_array()?,
        ColumnarValue::Array(formats) => Arc::clone(formats),
    };
    let mut has_hours = false;
    for format in texts(&formats)?.iter().flatten() {
        match day_of(format) {
            Day::Whole => {}
            Day::Hour => has_hours = true,
            Day::Part => {
                return exec_err!(
                    "the format '{format}' has a part of a time of day from which no time follows; it needs the hour \
                     (%H, or %I and %p), and minutes (%M) beside seconds"
                );
            }
        }
    }
    Ok(has_hours)
}

fn day_of(format: &str) -> Day {
    let (mut hour, mut half, mut morning, mut minute, mut finer) =
        (false, false, false, false, false);
    for item in StrftimeItems::new(format) {
        match item {
            Item::Numeric(Numeric::Timestamp, _) | Item::Fixed(Fixed::RFC2822 | Fixed::RFC3339) => {
                return Day::Whole;
            }
            Item::Numeric(Numeric::Hour, _) => hour = true,
            Item::Numeric(Numeric::Hour12, _) => half = true,
            Item::Fixed(Fixed::LowerAmPm | Fixed::UpperAmPm) => morning = true,
            Item::Numeric(Numeric::Minute, _) => minute = true,
            Item::Numeric(Numeric::Second | Numeric::Nanosecond, _)
            | Item::Fixed(
                Fixed::Nanosecond | Fixed::Nanosecond3 | Fixed::Nanosecond6 | Fixed::Nanosecond9,
            ) => finer = true,
            _ => {}
        }
    }
    match (hour || half && morning, minute) {
        (true, true) => Day::Whole,
        (true, false) if !finer => Day::Hour,
        (false, false) if !(half || morning || finer) => Day::Whole,
        _ => Day::Part,
    }
}

fn changed(argument: &ColumnarValue, change: impl Fn(&str) -> String) -> Result<ColumnarValue> {
    let change = |values: &ArrayRef| -> Result<ArrayRef> {
        let texts = texts(values)?;
        let texts: StringArray = texts.iter().map(|text| text.map(&change)).collect();
        Ok(Arc::new(texts))
    };
    Ok(match argument {
        ColumnarValue::Scalar(value) => {
            let changed = change(&value.to_array()?)?;
            ColumnarValue::Scalar(ScalarValue::try_from_array(&changed, 0)?)
        }
        ColumnarValue::Array(values) => ColumnarValue::Array(change(values)?),
    })
}

fn texts(values: &ArrayRef) -> Result<StringArray> {
    let texts = cast(values, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().clone())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimestampNanosecondType;
    use datafusion::prelude::SessionContext;

    use super::*;

    /// Once this fails, these formats may be left to DataFusion.
    #[tokio::test]
    async fn datafusion_leaves_out_the_hour() {
        let query = "SELECT to_timestamp('1970-01-01 10', '%Y-%m-%d %H')";
        let rows = SessionContext::new().sql(query).await.unwrap();
        let rows = rows.collect().await.unwrap();
        let time = rows[0].column(0).as_primitive::<TimestampNanosecondType>();
        assert_eq!(time.value(0), 0, "right is ten hours later");
    }

    #[test]
    fn parts_of_times_are_told_apart() {
        for (format, expected) in [
            ("%Y-%m-%d", Day::Whole),
            ("%Y-%m-%d %H:%M", Day::Whole),
            ("%d.%m.%y %T", Day::Whole),
            ("%D %r", Day::Whole),
            ("%F %I:%M %p", Day::Whole),
            ("%s", Day::Whole),
            ("%+", Day::Whole),
            ("%c", Day::Whole),
            ("%F %H", Day::Hour),
            ("%F %I %P", Day::Hour),
            ("%F %I:%M", Day::Part),
            ("%F %M", Day::Part),
            ("%F %H %S", Day::Part),
            ("%F %p", Day::Part),
        ] {
            assert_eq!(day_of(format), expected, "{format}");
        }
    }
}
