//! Money as whole units of the smallest denomination: the unscaled value of a decimal column.
//!
//! The scale comes from the column, because imports differ: cents in generated data, tenths of a
//! cent in Online Retail.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::prelude::DataFrame;
use emporia_core::error::{Error, Result};

/// Precision of money in outputs.
pub(crate) const PRECISION: u8 = 18;
/// Precision of sums of money in plans.
const SUM_PRECISION: u8 = 38;

/// The scale of a money column.
///
/// # Errors
/// `InvalidInput` where the column is not a decimal: a sum of floating point money depends on the
/// order of its rows.
pub(crate) fn scale_of(frame: &DataFrame, table: &str, column: &str) -> Result<i8> {
    let field = frame.schema().fields().iter().find(|f| f.name() == column);
    match field.map(|f| f.data_type()) {
        Some(DataType::Decimal128(_, scale)) if (0..=9).contains(scale) => Ok(*scale),
        Some(DataType::Decimal128(_, scale)) => Err(Error::invalid(format!(
            "column `{column}` of table `{table}` has the scale {scale}; money has 0 to 9 decimals"
        ))),
        Some(other) => Err(Error::invalid(format!(
            "column `{column}` of table `{table}` is {other}, but money must be a decimal"
        ))
        .with_hint("declare it as decimal(18,2) in the catalog")),
        None => Err(Error::invalid(format!(
            "table `{table}` has no column `{column}`"
        ))),
    }
}

/// A money column in whole units of its scale, as `Int64`.
pub(crate) fn units(column: Expr, scale: i8) -> Expr {
    let factor = ScalarValue::Decimal128(Some(10_i128.pow(scale.unsigned_abs().into())), 10, 0);
    cast(column * lit(factor), DataType::Int64)
}

/// Whole units as an exact decimal that cannot overflow when it is summed up.
pub(crate) fn wide_units(units: Expr) -> Expr {
    cast(units, DataType::Decimal128(SUM_PRECISION, 0))
}

/// Whole units (of any exact type) as money of the scale.
pub(crate) fn from_units(units: Expr, scale: i8) -> Expr {
    // The precision of a type is at least its scale.
    let precision = scale.unsigned_abs().max(1);
    let unit = ScalarValue::Decimal128(Some(1), precision, scale);
    let exact = cast(units, DataType::Decimal128(PRECISION, 0));
    cast(exact * lit(unit), money_type(scale))
}

/// The type of money in outputs.
pub(crate) fn money_type(scale: i8) -> DataType {
    DataType::Decimal128(PRECISION, scale)
}

/// A number of money from a double, rounded to the scale; null where it does not fit.
pub(crate) fn from_double(value: Expr, scale: i8) -> Expr {
    let limit = 10_f64.powi(i32::from(PRECISION) - i32::from(scale) - 1);
    let fits = value
        .clone()
        .gt(lit(-limit))
        .and(value.clone().lt(lit(limit)));
    let rounded = datafusion::functions::math::expr_fn::round(vec![value, lit(i64::from(scale))]);
    let checked =
        datafusion::logical_expr::when(fits, rounded).otherwise(lit(ScalarValue::Float64(None)));
    // `when` with one branch cannot fail; the expression itself is the fallback.
    cast(
        checked.unwrap_or_else(|_| lit(ScalarValue::Float64(None))),
        money_type(scale),
    )
}

/// Units of `scale` as text, for messages: `123.45`.
pub(crate) fn text(units: i128, scale: i8) -> String {
    let factor = 10_u128.pow(scale.unsigned_abs().into());
    let (sign, value) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
    if scale == 0 {
        return format!("{sign}{value}");
    }
    let width = usize::from(scale.unsigned_abs());
    format!("{sign}{}.{:0width$}", value / factor, value % factor)
}

/// `numerator / denominator`, rounded to the nearest, halves away from zero.
pub(crate) fn divide(numerator: i128, denominator: i128) -> Option<i128> {
    if denominator == 0 {
        return None;
    }
    let quotient = numerator / denominator;
    let is_half = 2 * (numerator % denominator).abs() >= denominator.abs();
    let away = if (numerator < 0) == (denominator < 0) {
        1
    } else {
        -1
    };
    Some(if is_half { quotient + away } else { quotient })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_sign_and_leading_zeros() {
        assert_eq!(text(-5, 2), "-0.05");
        assert_eq!(text(8_911_407_904, 3), "8911407.904");
        assert_eq!(text(7, 0), "7");
    }

    #[test]
    fn division_rounds_halves_away_from_zero() {
        assert_eq!(divide(5, 2), Some(3));
        assert_eq!(divide(-5, 2), Some(-3));
        assert_eq!(divide(4, 3), Some(1));
        assert_eq!(divide(1, 0), None);
    }
}
