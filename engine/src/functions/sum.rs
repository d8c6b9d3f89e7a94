//! `sum`, in the place of DataFusion's: a sum that leaves its type is an error. DataFusion's wraps around, so
//! that a large revenue becomes another number, and a sum of times becomes one after 292 years.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, UInt64Array};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Field, FieldRef, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit,
    IntervalYearMonthType, TimeUnit, UInt64Type,
};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF,
    Signature,
};

use super::grouped::GroupedTotals;
use super::moving::{self, moving_accumulator};
use super::totals::{Exact, Native, Plain, Summed, Wide, plus, value_of, zero};

/// `sum(value)`.
pub(crate) fn checked_sum() -> AggregateUDF {
    AggregateUDF::from(CheckedSum::default())
}

#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct CheckedSum {
    inner: Sum,
}

/// Calls `$make::<S>` with the way to sum values of the type `$result`, `$other` for the types that DataFusion
/// sums without a fault.
macro_rules! by_type {
    ($result:expr, $make:ident, $other:expr) => {
        match $result {
            DataType::Int64 => $make!(Wide<Int64Type>),
            DataType::UInt64 => $make!(Wide<UInt64Type>),
            DataType::Decimal32(..) => $make!(Exact<Decimal32Type>),
            DataType::Decimal64(..) => $make!(Exact<Decimal64Type>),
            DataType::Decimal128(..) => $make!(Exact<Decimal128Type>),
            DataType::Decimal256(..) => $make!(Exact<Decimal256Type>),
            DataType::Duration(TimeUnit::Second) => $make!(Wide<DurationSecondType>),
            DataType::Duration(TimeUnit::Millisecond) => $make!(Wide<DurationMillisecondType>),
            DataType::Duration(TimeUnit::Microsecond) => $make!(Wide<DurationMicrosecondType>),
            DataType::Duration(TimeUnit::Nanosecond) => $make!(Wide<DurationNanosecondType>),
            DataType::Interval(IntervalUnit::YearMonth) => $make!(Plain<IntervalYearMonthType>),
            DataType::Interval(IntervalUnit::DayTime) => $make!(Plain<IntervalDayTimeType>),
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                $make!(Plain<IntervalMonthDayNanoType>)
            }
            _ => $other,
        }
    };
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let result = args.return_field.data_type().clone();
        macro_rules! made {
            ($summed:ty) => {
                match args.is_distinct {
                    true => Ok(Box::new(DistinctTotal::<$summed>::new(result))),
                    false => Ok(Box::new(Total::<$summed>::new(result, State::Total))),
                }
            };
        }
        by_type!(&result, made, self.inner.accumulator(args))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if args.is_distinct {
            return self.inner.state_fields(args);
        }
        let result = args.return_type();
        macro_rules! total_type {
            ($summed:ty) => {
                <$summed>::total_type(result)
            };
        }
        let total = by_type!(result, total_type, result.clone());
        let name = format_state_name(args.name, "sum");
        Ok(vec![Arc::new(Field::new(name, total, true))])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let result = args.return_field.data_type().clone();
        macro_rules! made {
            ($summed:ty) => {
                Ok(Box::new(GroupedTotals::<$summed>::new(result)))
            };
        }
        by_type!(&result, made, self.inner.create_groups_accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match args.return_field.data_type() {
            DataType::Float64 if !args.is_distinct => Ok(moving::total()),
            _ => moving_accumulator(self.accumulator(args.clone()), checked_sum, &args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// A sum that knows how many values are in it.
pub(super) trait Counted: Accumulator {
    type Values: Summed;

    /// The total and the number of values in it.
    fn parts(&self) -> Result<(Native<<Self::Values as Summed>::Total>, usize)>;
}

/// What a sum hands on to the task that puts the parts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The total, of which it then only matters whether there is one.
    Total,
    /// The number of values and the total.
    CountAndTotal,
}

/// The sum of all values, or of those in a window.
#[derive(Debug)]
pub(super) struct Total<S: Summed> {
    total: Native<S::Total>,
    n_values: usize,
    result: DataType,
    state: State,
}

impl<S: Summed> Total<S> {
    pub(super) fn new(result: DataType, state: State) -> Self {
        Self {
            total: zero::<S>(),
            n_values: 0,
            result,
            state,
        }
    }

    fn add(&mut self, total: Native<S::Total>) -> Result<()> {
        self.total = plus::<S>(self.total, total, &self.result)?;
        Ok(())
    }
}

impl<S: Summed> Counted for Total<S> {
    type Values = S;

    fn parts(&self) -> Result<(Native<S::Total>, usize)> {
        Ok((self.total, self.n_values))
    }
}

impl<S: Summed> Accumulator for Total<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = first::<S::Value>(values)?;
        self.n_values += values.len() - values.null_count();
        for value in values.iter().flatten() {
            self.add(S::total_of(value))?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        use datafusion::arrow::array::ArrowNativeTypeOp;
        let values = first::<S::Value>(values)?;
        self.n_values -= values.len() - values.null_count();
        for value in values.iter().flatten() {
            let rest = self.total.sub_checked(S::total_of(value));
            self.total = rest.map_err(|_| super::totals::overflow(&self.result))?;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = match self.n_values {
            0 => None,
            _ => Some(value_of::<S>(self.total, &self.result)?),
        };
        ScalarValue::new_primitive::<S::Value>(value, &self.result)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let total = (self.n_values > 0).then_some(self.total);
        let total = ScalarValue::new_primitive::<S::Total>(total, &S::total_type(&self.result))?;
        Ok(match self.state {
            State::Total => vec![total],
            State::CountAndTotal => vec![ScalarValue::from(self.n_values as u64), total],
        })
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let totals = match self.state {
            State::Total => {
                let totals = first::<S::Total>(states)?;
                self.n_values += totals.len() - totals.null_count();
                totals
            }
            State::CountAndTotal => {
                let (counts, totals) = counts_and_totals(states)?;
                self.n_values += counts.iter().flatten().sum::<u64>() as usize;
                first::<S::Total>(std::slice::from_ref(totals))?
            }
        };
        totals
            .iter()
            .flatten()
            .try_for_each(|total| self.add(total))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sum of the values that differ.
#[derive(Debug)]
pub(super) struct DistinctTotal<S: Summed> {
    /// How often each value is there, for windows that it leaves.
    values: HashMap<Native<S::Value>, usize>,
    result: DataType,
}

impl<S: Summed> DistinctTotal<S> {
    /// Of values of a type that is written like `result`.
    pub(super) fn new(result: DataType) -> Self {
        Self {
            values: HashMap::new(),
            result,
        }
    }
}

impl<S: Summed> Counted for DistinctTotal<S> {
    type Values = S;

    fn parts(&self) -> Result<(Native<S::Total>, usize)> {
        let mut total = zero::<S>();
        for value in self.values.keys() {
            total = plus::<S>(total, S::total_of(*value), &self.result)?;
        }
        Ok((total, self.values.len()))
    }
}

impl<S: Summed> Accumulator for DistinctTotal<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in first::<S::Value>(values)?.iter().flatten() {
            *self.values.entry(value).or_default() += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in first::<S::Value>(values)?.iter().flatten() {
            if let Entry::Occupied(mut seen) = self.values.entry(value) {
                *seen.get_mut() -= 1;
                if *seen.get() == 0 {
                    seen.remove();
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = match self.parts()? {
            (_, 0) => None,
            (total, _) => Some(value_of::<S>(total, &self.result)?),
        };
        ScalarValue::new_primitive::<S::Value>(value, &self.result)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = PrimitiveArray::<S::Value>::from_iter_values(self.values.keys().copied());
        let values = values.with_data_type(self.result.clone());
        let list = SingleRowListArrayBuilder::new(Arc::new(values));
        Ok(vec![list.build_list_scalar()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first().and_then(|lists| lists.as_list_opt::<i32>()) else {
            return exec_err!("the values of a sum are a list");
        };
        for values in lists.iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<(Native<S::Value>, usize)>()
    }
}

/// The columns of [`State::CountAndTotal`].
pub(super) fn counts_and_totals(states: &[ArrayRef]) -> Result<(&UInt64Array, &ArrayRef)> {
    match states {
        [counts, totals] => Ok((counts.as_primitive::<UInt64Type>(), totals)),
        _ => internal_err!("an average is a count and a total"),
    }
}

/// The only column.
pub(super) fn first<T: ArrowPrimitiveType>(columns: &[ArrayRef]) -> Result<&PrimitiveArray<T>> {
    match columns
        .first()
        .and_then(|column| column.as_primitive_opt::<T>())
    {
        Some(column) => Ok(column),
        None => exec_err!("sum takes one column of {}", T::DATA_TYPE),
    }
}
