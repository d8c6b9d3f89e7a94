//! Times in a coarser unit: the last one that is not later, also before 1970, where Arrow's casts yield the next one.

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::{Result, exec_err};

pub(super) const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// The nanoseconds of a unit.
pub(super) fn nanos_per(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => NANOS_PER_SECOND,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// Whether times of one type are cut where they get the other type.
pub(crate) fn is_coarser(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => {
            nanos_per(*to) > nanos_per(*from)
        }
        _ => false,
    }
}

/// The numbers of `unit` since 1970 that are not later than the timestamps.
pub(super) fn floored(times: &ArrayRef, unit: TimeUnit) -> Result<Int64Array> {
    let DataType::Timestamp(from, _) = times.data_type() else {
        return exec_err!("{} is not a time", times.data_type());
    };
    // A coarser unit has a whole number of the finer one.
    let Ok(factor) = i64::try_from(nanos_per(unit) / nanos_per(*from).max(1)) else {
        return exec_err!("{unit:?} is too coarse");
    };
    let numbers = cast(times, &DataType::Int64)?;
    Ok(numbers
        .as_primitive::<Int64Type>()
        .unary(|number| number.div_euclid(factor.max(1))))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{TimestampNanosecondArray, TimestampSecondArray};

    use super::*;

    /// Once this fails, the casts of Arrow will do.
    #[test]
    fn arrow_cuts_towards_1970() -> Result<()> {
        let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-500_000_000]));
        let seconds = cast(&times, &DataType::Timestamp(TimeUnit::Second, None))?;
        let expected: ArrayRef = Arc::new(TimestampSecondArray::from(vec![0]));
        assert_eq!(&seconds, &expected, "right is -1");
        Ok(())
    }

    #[test]
    fn times_before_1970_are_not_later() -> Result<()> {
        let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![
            Some(-500_000_000),
            Some(-1_000_000_000),
            Some(1_500_000_000),
            None,
        ]));
        let expected = Int64Array::from(vec![Some(-1), Some(-1), Some(1), None]);
        assert_eq!(floored(&times, TimeUnit::Second)?, expected);
        Ok(())
    }
}
