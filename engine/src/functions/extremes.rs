//! `min` and `max`, in the place of DataFusion's, which lose the values before a NaN where they work on many groups at
//! once, and know no number beyond the greatest finite one there: the maximum of minus infinity is another number.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray,
};
use datafusion::arrow::datatypes::{DataType, FieldRef, Float16Type, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator,
    ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs,
};

use super::grouped::{column, is_kept};
use super::totals::Native;

/// `min(value)`.
pub(crate) fn ordered_min() -> AggregateUDF {
    extreme(min_udaf(), End::Least)
}

/// `max(value)`.
pub(crate) fn ordered_max() -> AggregateUDF {
    extreme(max_udaf(), End::Greatest)
}

fn extreme(inner: Arc<AggregateUDF>, end: End) -> AggregateUDF {
    AggregateUDF::from(Extreme { inner, end })
}

/// Which value is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum End {
    Least,
    Greatest,
}

/// A function of DataFusion but for groups of floating numbers.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    inner: Arc<AggregateUDF>,
    end: End,
}

impl AggregateUDFImpl for Extreme {
    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let end = self.end;
        match args.return_type() {
            DataType::Float16 => Ok(Box::new(GroupedExtremes::<Float16Type>::new(end))),
            DataType::Float32 => Ok(Box::new(GroupedExtremes::<Float32Type>::new(end))),
            DataType::Float64 => Ok(Box::new(GroupedExtremes::<Float64Type>::new(end))),
            _ => self.inner.create_groups_accumulator(args),
        }
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        // Writers leave NaN out of the statistics of a file.
        match statistics.return_type.is_floating() {
            true => None,
            false => self.inner.value_from_stats(statistics),
        }
    }

    // The rest is DataFusion's.

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// The extremes of groups, by the order of all bits: `rules/floats.rs` makes one of the values that are equal.
#[derive(Debug)]
struct GroupedExtremes<T: ArrowPrimitiveType> {
    end: End,
    extremes: Vec<Native<T>>,
    /// Whether a group has a value.
    has_values: Vec<bool>,
}

impl<T: ArrowPrimitiveType> GroupedExtremes<T> {
    fn new(end: End) -> Self {
        Self {
            end,
            extremes: Vec::new(),
            has_values: Vec::new(),
        }
    }

    fn take(&mut self, groups: EmitTo) -> ArrayRef {
        let extremes = groups.take_needed(&mut self.extremes);
        let has_values = groups.take_needed(&mut self.has_values);
        column::<T>(extremes, has_values, &T::DATA_TYPE)
    }
}

/// The only column.
fn only<T: ArrowPrimitiveType>(columns: &[ArrayRef]) -> Result<&PrimitiveArray<T>> {
    match columns {
        [column] if column.data_type() == &T::DATA_TYPE => Ok(column.as_primitive::<T>()),
        _ => internal_err!("min and max take one column of {}", T::DATA_TYPE),
    }
}

impl<T: ArrowPrimitiveType> GroupsAccumulator for GroupedExtremes<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let values = only::<T>(values)?;
        let start = match self.end {
            End::Least => Native::<T>::MAX_TOTAL_ORDER,
            End::Greatest => Native::<T>::MIN_TOTAL_ORDER,
        };
        self.extremes.resize(total_num_groups, start);
        self.has_values.resize(total_num_groups, false);
        for (row, group) in group_indices.iter().enumerate() {
            if !values.is_valid(row) || !is_kept(opt_filter, row) {
                continue;
            }
            let (value, found) = (values.value(row), self.extremes[*group]);
            let is_nearer = match self.end {
                End::Least => value.is_lt(found),
                End::Greatest => value.is_gt(found),
            };
            if is_nearer {
                self.extremes[*group] = value;
            }
            self.has_values[*group] = true;
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.update_batch(values, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(self.take(emit_to))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.take(emit_to)])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let values = only::<T>(values)?;
        let rows = 0..values.len();
        let has_values = rows.map(|row| values.is_valid(row) && is_kept(opt_filter, row));
        let extremes = values.values().to_vec();
        let states = column::<T>(extremes, has_values.collect(), &T::DATA_TYPE);
        Ok(vec![states])
    }

    fn size(&self) -> usize {
        self.extremes.capacity() * size_of::<Native<T>>() + self.has_values.capacity()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Float64Array;

    use super::*;

    const NAN: Option<f64> = Some(f64::NAN);

    fn updated(end: End, values: &[Option<f64>], groups: &[usize]) -> GroupedExtremes<Float64Type> {
        let mut found = GroupedExtremes::new(end);
        let values: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        found.update_batch(&[values], groups, None, 3).unwrap();
        found
    }

    /// As texts, for NaN is not equal to itself.
    fn texts(column: &ArrayRef) -> Vec<String> {
        let values = column.as_primitive::<Float64Type>().iter();
        values
            .map(|value| value.map_or("NULL".to_owned(), |value| value.to_string()))
            .collect()
    }

    #[test]
    fn nan_is_the_greatest_in_any_order() {
        for values in [
            [Some(5.0), NAN, Some(7.0)],
            [NAN, Some(7.0), Some(5.0)],
            [Some(7.0), Some(5.0), NAN],
        ] {
            for (end, expected) in [(End::Least, "5"), (End::Greatest, "NaN")] {
                let mut found = updated(end, &values, &[1, 1, 1]);
                let all = found.evaluate(EmitTo::All).unwrap();
                assert_eq!(texts(&all), ["NULL", expected, "NULL"]);
            }
        }
    }

    #[test]
    fn infinities_and_only_nan_are_found() {
        let values = [Some(f64::NEG_INFINITY), Some(f64::INFINITY), NAN];
        for end in [End::Least, End::Greatest] {
            let mut found = updated(end, &values, &[0, 1, 2]);
            let all = found.evaluate(EmitTo::All).unwrap();
            assert_eq!(texts(&all), ["-inf", "inf", "NaN"]);
        }
    }

    #[test]
    fn states_are_merged_and_emitted_in_parts() {
        let mut one = updated(End::Greatest, &[NAN, Some(1.0), None], &[0, 1, 2]);
        let states = one.state(EmitTo::All).unwrap();
        let mut all = updated(End::Greatest, &[Some(3.0), Some(4.0), None], &[0, 1, 2]);
        all.merge_batch(&states, &[0, 1, 2], 3).unwrap();
        let first = all.evaluate(EmitTo::First(1)).unwrap();
        assert_eq!(texts(&first), ["NaN"]);
        let rest = all.evaluate(EmitTo::All).unwrap();
        assert_eq!(texts(&rest), ["4", "NULL"]);
        let values: ArrayRef = Arc::new(Float64Array::from(vec![NAN, Some(1.0), None]));
        let filter = BooleanArray::from(vec![true, false, true]);
        let states = all.convert_to_state(&[values], Some(&filter)).unwrap();
        assert_eq!(texts(&states[0]), ["NaN", "NULL", "NULL"]);
    }
}
