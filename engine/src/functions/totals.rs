//! How numbers are added up: in a type that holds more than theirs, or checked at each step, so that a total
//! that does not fit its type is an error and never another number.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

use datafusion::arrow::array::{ArrowNativeTypeOp, ArrowPrimitiveType};
use datafusion::arrow::compute::kernels::cast::DecimalCast;
use datafusion::arrow::datatypes::{
    ArrowNativeType, DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::Result;

/// Values of a type and their totals.
pub(super) trait Summed: Debug + Send + Sync + 'static {
    /// The type of the values, and of the result.
    type Value: ArrowPrimitiveType<Native: Hash + Eq> + Debug;
    /// The type of a total before the last value is known; it crosses the wire.
    type Total: ArrowPrimitiveType + Debug;

    /// The type of totals of which the result is a `result`.
    fn total_type(result: &DataType) -> DataType;

    /// A value as a total.
    fn total_of(value: Native<Self::Value>) -> Native<Self::Total>;

    /// A total as a value, where it fits into a `result`.
    fn value_of(total: Native<Self::Total>, result: &DataType) -> Option<Native<Self::Value>>;
}

pub(super) type Native<T> = <T as ArrowPrimitiveType>::Native;

/// The value of a total.
///
/// # Errors
/// Where it does not fit into a `result`.
pub(super) fn value_of<S: Summed>(
    total: Native<S::Total>,
    result: &DataType,
) -> Result<Native<S::Value>> {
    S::value_of(total, result).ok_or_else(|| overflow(result))
}

/// Two totals as one.
///
/// # Errors
/// Where they do not fit into their type.
pub(super) fn plus<S: Summed>(
    total: Native<S::Total>,
    other: Native<S::Total>,
    result: &DataType,
) -> Result<Native<S::Total>> {
    total.add_checked(other).map_err(|_| overflow(result))
}

/// That a total does not fit into a `result`.
pub(super) fn overflow(result: &DataType) -> datafusion::error::DataFusionError {
    let cure = match result {
        DataType::Int64 | DataType::UInt64 => "; sum CAST(x AS DECIMAL(38, 0)) instead",
        DataType::Decimal128(..) => "; sum DOUBLE or values of a smaller scale instead",
        _ => "",
    };
    ArrowError::ArithmeticOverflow(format!("the sum does not fit into {result}{cure}")).into()
}

/// 64-bit values: no number of them is too many for 128 bits.
#[derive(Debug)]
pub(super) struct Wide<T>(PhantomData<T>);

impl<T> Summed for Wide<T>
where
    T: ArrowPrimitiveType<Native: Into<i128> + TryFrom<i128> + Hash + Eq> + Debug + Send + Sync,
{
    type Value = T;
    type Total = Decimal128Type;

    fn total_type(_: &DataType) -> DataType {
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)
    }

    fn total_of(value: Native<T>) -> i128 {
        value.into()
    }

    fn value_of(total: i128, _: &DataType) -> Option<Native<T>> {
        total.try_into().ok()
    }
}

/// Decimals `T` with totals `W`, which hold ten digits more: those of averages.
#[derive(Debug)]
pub(super) struct Roomy<T, W>(PhantomData<(T, W)>);

impl<T, W> Summed for Roomy<T, W>
where
    T: DecimalType + ArrowPrimitiveType<Native: Hash + Eq + DecimalCast> + Debug,
    W: DecimalType + ArrowPrimitiveType<Native: From<Native<T>> + DecimalCast> + Debug,
{
    type Value = T;
    type Total = W;

    fn total_type(_: &DataType) -> DataType {
        W::TYPE_CONSTRUCTOR(W::MAX_PRECISION, 0)
    }

    fn total_of(value: Native<T>) -> Native<W> {
        value.into()
    }

    fn value_of(total: Native<W>, result: &DataType) -> Option<Native<T>> {
        let value = DecimalCast::from_decimal(total)?;
        Exact::<T>::value_of(value, result)
    }
}

/// Decimals; the precision of the result is wider than that of the values, up to 38 digits.
#[derive(Debug)]
pub(super) struct Exact<T>(PhantomData<T>);

impl<T> Summed for Exact<T>
where
    T: DecimalType + ArrowPrimitiveType<Native: Hash + Eq> + Debug,
{
    type Value = T;
    type Total = T;

    fn total_type(result: &DataType) -> DataType {
        result.clone()
    }

    fn total_of(value: Native<T>) -> Native<T> {
        value
    }

    fn value_of(total: Native<T>, result: &DataType) -> Option<Native<T>> {
        let precision = match result {
            DataType::Decimal32(precision, _)
            | DataType::Decimal64(precision, _)
            | DataType::Decimal128(precision, _)
            | DataType::Decimal256(precision, _) => *precision,
            _ => return None,
        };
        T::is_valid_decimal_precision(total, precision).then_some(total)
    }
}

/// Intervals, part by part.
#[derive(Debug)]
pub(super) struct Plain<T>(PhantomData<T>);

impl<T> Summed for Plain<T>
where
    T: ArrowPrimitiveType<Native: Hash + Eq> + Debug + Send + Sync,
{
    type Value = T;
    type Total = T;

    fn total_type(result: &DataType) -> DataType {
        result.clone()
    }

    fn total_of(value: Native<T>) -> Native<T> {
        value
    }

    fn value_of(total: Native<T>, _: &DataType) -> Option<Native<T>> {
        Some(total)
    }
}

/// The total of nothing.
pub(super) fn zero<S: Summed>() -> Native<S::Total> {
    Native::<S::Total>::usize_as(0)
}

/// The quotient, rounded to the nearest whole number, halves away from zero; `None` where it leaves its type or the
/// divisor is zero.
pub(super) fn rounded<N: ArrowNativeTypeOp>(dividend: N, divisor: N) -> Option<N> {
    let quotient = dividend.div_checked(divisor).ok()?;
    // A second division takes longer.
    let rest = dividend.sub_wrapping(quotient.mul_wrapping(divisor));
    let is_positive = |n: N| n.is_ge(N::ZERO);
    let size = |n: N| match is_positive(n) {
        true => Some(n),
        false => n.neg_checked().ok(),
    };
    let (rest_size, divisor_size) = (size(rest)?, size(divisor)?);
    // The rest and what it lacks to the divisor.
    if rest_size.is_lt(divisor_size.sub_checked(rest_size).ok()?) {
        return Some(quotient);
    }
    match is_positive(dividend) == is_positive(divisor) {
        true => quotient.add_checked(N::ONE).ok(),
        false => quotient.sub_checked(N::ONE).ok(),
    }
}
