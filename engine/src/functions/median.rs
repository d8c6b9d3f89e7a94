//! The median of decimals, with the half of a digit that lies between two values: that of 1.50 and 26.75 is 14.125.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowNativeType, DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type,
    Decimal256Type, DecimalType, FieldRef,
};
use datafusion::common::{Result, ScalarValue, exec_err};

/// The name of the function.
pub(super) const MEDIAN: &str = "median";

/// The type of medians of a type: decimals have one digit more behind the point, up to 38 (or 76) in all.
pub(super) fn type_of(values: &DataType) -> DataType {
    match values {
        DataType::Decimal32(digits, scale) | DataType::Decimal64(digits, scale) => {
            DataType::Decimal128(digits + 1, scale + 1)
        }
        DataType::Decimal128(digits, scale) => {
            let (digits, scale) = finer(*digits, *scale, DECIMAL128_MAX_PRECISION);
            DataType::Decimal128(digits, scale)
        }
        DataType::Decimal256(digits, scale) => {
            let (digits, scale) = finer(*digits, *scale, DECIMAL256_MAX_PRECISION);
            DataType::Decimal256(digits, scale)
        }
        other => other.clone(),
    }
}

fn finer(digits: u8, scale: i8, most: u8) -> (u8, i8) {
    let is_full = u8::try_from(scale).is_ok_and(|scale| scale >= most);
    (
        most.min(digits + 1),
        if is_full { scale } else { scale + 1 },
    )
}

/// `field` with the type of medians of its type.
pub(super) fn field_of(field: &FieldRef) -> FieldRef {
    let data_type = type_of(field.data_type());
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// The median of decimals as a `to`; NULL of none.
///
/// # Errors
/// Where it does not fit.
pub(super) fn of_decimals(decimals: &ArrayRef, to: &DataType) -> Result<ScalarValue> {
    match (decimals.data_type(), to) {
        (DataType::Decimal128(_, scale), DataType::Decimal128(_, finer)) => {
            middle::<Decimal128Type>(decimals.as_primitive(), scale < finer, to)
        }
        (DataType::Decimal256(_, scale), DataType::Decimal256(_, finer)) => {
            middle::<Decimal256Type>(decimals.as_primitive(), scale < finer, to)
        }
        (
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale),
            DataType::Decimal128(..),
        ) => {
            let wide = DataType::Decimal128(DECIMAL128_MAX_PRECISION, *scale);
            of_decimals(&cast(decimals, &wide)?, to)
        }
        (other, _) => exec_err!("a median of {other} is no {to}"),
    }
}

/// `is_finer` where the result has a digit more behind the point; else a half is rounded away from zero.
fn middle<T: DecimalType>(
    decimals: &PrimitiveArray<T>,
    is_finer: bool,
    to: &DataType,
) -> Result<ScalarValue> {
    let mut values: Vec<T::Native> = decimals.iter().flatten().collect();
    let n_values = values.len();
    if n_values == 0 {
        return ScalarValue::try_new_null(to);
    }
    let order = |a: &T::Native, b: &T::Native| -> Ordering { a.compare(*b) };
    let (below, upper, _) = values.select_nth_unstable_by(n_values / 2, order);
    let upper = *upper;
    let lower = match n_values % 2 {
        0 => below.iter().copied().max_by(order).unwrap_or(upper),
        _ => upper,
    };
    match between::<T>(lower, upper, is_finer) {
        Some(middle) if fits::<T>(middle, to) => ScalarValue::new_primitive::<T>(Some(middle), to),
        _ => exec_err!(
            "the median does not fit into {to}; take that of DOUBLE or of values of fewer digits instead"
        ),
    }
}

fn between<T: ArrowPrimitiveType<Native: ArrowNativeTypeOp>>(
    lower: T::Native,
    upper: T::Native,
    is_finer: bool,
) -> Option<T::Native> {
    let sum = lower.add_checked(upper).ok()?;
    if is_finer {
        return sum.mul_checked(T::Native::usize_as(5)).ok();
    }
    let two = T::Native::usize_as(2);
    let odd = sum.mod_checked(two).ok()?;
    sum.add_checked(odd).ok()?.div_checked(two).ok()
}

fn fits<T: DecimalType>(value: T::Native, to: &DataType) -> bool {
    match to {
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => {
            T::validate_decimal_precision(value, *digits, *scale).is_ok()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Decimal128Array;

    use super::*;
    use crate::plain::shown;

    fn median(values: &[i128], digits: u8, scale: i8) -> Result<String> {
        let decimals = Decimal128Array::from(values.to_vec());
        let decimals = decimals.with_precision_and_scale(digits, scale)?;
        let to = type_of(decimals.data_type());
        let decimals: ArrayRef = Arc::new(decimals);
        Ok(of_decimals(&decimals, &to)?.to_string())
    }

    #[test]
    fn the_half_of_a_digit_is_kept() -> Result<()> {
        for (values, digits, scale, expected) in [
            (vec![150, 2675], 12, 2, "14.125"),
            (vec![-1, -2], 12, 2, "-0.015"),
            (vec![3, 1, 2], 12, 2, "0.020"),
            (vec![], 12, 2, "NULL"),
            (
                vec![1, 2],
                38,
                38,
                "0.00000000000000000000000000000000000002",
            ),
            (
                vec![-1, -2],
                38,
                38,
                "-0.00000000000000000000000000000000000002",
            ),
        ] {
            assert_eq!(median(&values, digits, scale)?, expected, "{values:?}");
        }
        let nines = 10_i128.pow(38) - 1;
        let error = median(&[nines, nines], 38, 2).unwrap_err().to_string();
        assert!(error.contains("the median does not fit into"), "{error}");
        Ok(())
    }

    /// Once this fails, the type may be DataFusion's.
    #[tokio::test]
    async fn datafusion_cuts_the_half_of_a_digit() {
        let query = "SELECT median(x) FROM (SELECT CAST(x AS DECIMAL(12, 2)) AS x FROM (VALUES (1.50), (26.75)) AS v(x))";
        assert_eq!(shown(query).await.unwrap(), "14.12", "right is 14.125");
    }
}
