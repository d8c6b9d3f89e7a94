//! Sums of many groups at once.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, BooleanArray, PrimitiveArray,
};
use datafusion::arrow::buffer::{NullBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::sum::first;
use super::totals::{Native, Summed, overflow, value_of, zero};

/// The totals of groups.
#[derive(Debug)]
pub(super) struct GroupedTotals<S: Summed> {
    totals: Vec<Native<S::Total>>,
    /// Whether a group has a value.
    has_values: Vec<bool>,
    result: DataType,
}

impl<S: Summed> GroupedTotals<S> {
    pub(super) fn new(result: DataType) -> Self {
        Self {
            totals: Vec::new(),
            has_values: Vec::new(),
            result,
        }
    }

    /// The totals of the first groups, and which of them have values; they are given away.
    pub(super) fn take(&mut self, groups: EmitTo) -> (Vec<Native<S::Total>>, Vec<bool>) {
        let totals = groups.take_needed(&mut self.totals);
        (totals, groups.take_needed(&mut self.has_values))
    }

    fn add<T: ArrowPrimitiveType>(
        &mut self,
        values: &PrimitiveArray<T>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
        total_of: impl Fn(T::Native) -> Native<S::Total>,
    ) -> Result<()> {
        self.totals.resize(n_groups, zero::<S>());
        self.has_values.resize(n_groups, false);
        let mut fits = true;
        let mut add = |group: usize, value: T::Native| {
            match self.totals[group].add_checked(total_of(value)) {
                Ok(total) => self.totals[group] = total,
                Err(_) => fits = false,
            }
            self.has_values[group] = true;
        };
        if values.null_count() == 0 && filter.is_none() {
            for (group, value) in groups.iter().zip(values.values()) {
                add(*group, *value);
            }
        } else {
            for (row, group) in groups.iter().enumerate() {
                if values.is_valid(row) && is_kept(filter, row) {
                    add(*group, values.value(row));
                }
            }
        }
        match fits {
            true => Ok(()),
            false => Err(overflow(&self.result)),
        }
    }
}

pub(super) fn is_kept(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

/// A column, with NULL where there is no value.
pub(super) fn column<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    has_values: Vec<bool>,
    data_type: &DataType,
) -> ArrayRef {
    let nulls = NullBuffer::from(has_values);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    let values = PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls);
    Arc::new(values.with_data_type(data_type.clone()))
}

impl<S: Summed> GroupsAccumulator for GroupedTotals<S> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let values = first::<S::Value>(values)?;
        self.add(
            values,
            group_indices,
            opt_filter,
            total_num_groups,
            S::total_of,
        )
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        let totals = first::<S::Total>(values)?;
        self.add(totals, group_indices, None, total_num_groups, |total| total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (totals, has_values) = self.take(emit_to);
        let values = totals.into_iter();
        let values = values.map(|total| value_of::<S>(total, &self.result));
        let values = values.collect::<Result<Vec<_>>>()?;
        Ok(column::<S::Value>(values, has_values, &self.result))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (totals, has_values) = self.take(emit_to);
        let total_type = S::total_type(&self.result);
        Ok(vec![column::<S::Total>(totals, has_values, &total_type)])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let values = first::<S::Value>(values)?;
        let rows = 0..values.len();
        let has_values = rows.map(|row| values.is_valid(row) && is_kept(opt_filter, row));
        let totals = values.values().iter().map(|value| S::total_of(*value));
        Ok(vec![column::<S::Total>(
            totals.collect(),
            has_values.collect(),
            &S::total_type(&self.result),
        )])
    }

    fn size(&self) -> usize {
        self.totals.capacity() * size_of::<Native<S::Total>>() + self.has_values.capacity()
    }
}
