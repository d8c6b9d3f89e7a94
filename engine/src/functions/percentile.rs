//! `percentile_cont` and `median` to the last digit: DataFusion cuts the weight between two values after six digits, halves of
//! the last digit of decimals, and makes an infinity of the middle of large numbers.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_empty_array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Schema};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, ColumnarValue, EmitTo, GroupsAccumulator};

use super::median::{self, MEDIAN};

/// The name of the function.
const PERCENTILE: &str = "percentile_cont";

/// DataFusion's accumulator of the function `name`. Of `percentile_cont` and `median`, its values are taken and its
/// result is not.
pub(super) fn accumulator(
    name: &str,
    inner: Box<dyn Accumulator>,
    args: &AccumulatorArgs,
) -> Result<Box<dyn Accumulator>> {
    Ok(match of(name, args)? {
        Some(middle) => Box::new(Exact { inner, middle }),
        None => inner,
    })
}

/// As [`accumulator`], for many groups.
pub(super) fn groups_accumulator(
    name: &str,
    inner: Box<dyn GroupsAccumulator>,
    args: &AccumulatorArgs,
) -> Result<Box<dyn GroupsAccumulator>> {
    Ok(match of(name, args)? {
        Some(middle) => Box::new(ExactOfGroups { inner, middle }),
        None => inner,
    })
}

/// What is asked of the values.
#[derive(Debug, Clone)]
struct Middle {
    /// From 0 to 1, in ascending order.
    share: f64,
    /// Of the result.
    data_type: DataType,
    is_distinct: bool,
}

/// `None` for other functions, and where there are no values.
fn of(name: &str, args: &AccumulatorArgs) -> Result<Option<Middle>> {
    let Some(field) = args.expr_fields.first() else {
        return Ok(None);
    };
    if field.data_type().is_null() {
        return Ok(None);
    }
    let share = match name {
        MEDIAN => 0.5,
        PERCENTILE => share(args)?,
        _ => return Ok(None),
    };
    Ok(Some(Middle {
        share,
        data_type: args.return_type().clone(),
        is_distinct: args.is_distinct,
    }))
}

/// The second argument of `percentile_cont`.
fn share(args: &AccumulatorArgs) -> Result<f64> {
    let [_, share, ..] = args.exprs else {
        return internal_err!("{PERCENTILE} takes two arguments");
    };
    let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
    let ColumnarValue::Scalar(share) = share.evaluate(&nothing)? else {
        return internal_err!("the share of {PERCENTILE} is no constant");
    };
    let ScalarValue::Float64(Some(share)) = share.cast_to(&DataType::Float64)? else {
        return internal_err!("the share of {PERCENTILE} is no number");
    };
    let is_descending = args
        .order_bys
        .first()
        .is_some_and(|key| key.options.descending);
    Ok(if is_descending { 1.0 - share } else { share })
}

impl Middle {
    /// Of the values of a list; NULL of none.
    fn of_list(&self, list: &ArrayRef) -> Result<ScalarValue> {
        if self.data_type.is_decimal() {
            return median::of_decimals(list, &self.data_type);
        }
        let values = cast(list, &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        let found = self.of_values(&mut values.iter().flatten().collect::<Vec<_>>());
        ScalarValue::Float64(found).cast_to(&self.data_type)
    }

    fn of_values(&self, values: &mut [f64]) -> Option<f64> {
        let place = self.share * (values.len().checked_sub(1)? as f64);
        let (below, weight) = (place.floor(), place.fract());
        let at = (below as usize).min(values.len() - 1);
        let (_, lower, above) = values.select_nth_unstable_by(at, f64::total_cmp);
        let lower = *lower;
        let upper = above.iter().copied().min_by(f64::total_cmp);
        match upper {
            Some(upper) if weight > 0.0 && lower != upper && lower.is_finite() => {
                let width = upper - lower;
                Some(match width.is_finite() || !upper.is_finite() {
                    true => lower + width * weight,
                    false => lower * (1.0 - weight) + upper * weight,
                })
            }
            _ => Some(lower),
        }
    }
}

#[derive(Debug)]
struct Exact {
    inner: Box<dyn Accumulator>,
    middle: Middle,
}

impl Accumulator for Exact {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.inner.state()?;
        let [ScalarValue::List(lists)] = state.as_slice() else {
            return internal_err!("a percentile keeps one list");
        };
        let found = match lists.is_empty() || lists.is_null(0) {
            true => ScalarValue::try_new_null(&self.middle.data_type)?,
            false => self.middle.of_list(&lists.value(0))?,
        };
        // The values are gone, and a frame that moves needs them again.
        if !self.middle.is_distinct {
            let lists: ArrayRef = Arc::clone(lists) as ArrayRef;
            self.inner.merge_batch(&[lists])?;
        }
        Ok(found)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

struct ExactOfGroups {
    inner: Box<dyn GroupsAccumulator>,
    middle: Middle,
}

impl GroupsAccumulator for ExactOfGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.inner.update_batch(values, groups, filter, n_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let state = self.inner.state(emit_to)?;
        let [lists] = state.as_slice() else {
            return internal_err!("a percentile keeps one list");
        };
        let lists = lists.as_list::<i32>();
        if lists.is_empty() {
            return Ok(new_empty_array(&self.middle.data_type));
        }
        let found = (0..lists.len()).map(|group| match lists.is_null(group) {
            true => ScalarValue::try_new_null(&self.middle.data_type),
            false => self.middle.of_list(&lists.value(group)),
        });
        ScalarValue::iter_to_array(found.collect::<Result<Vec<_>>>()?)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        groups: &[usize],
        n_groups: usize,
    ) -> Result<()> {
        self.inner.merge_batch(states, groups, n_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_weighed_to_the_last_digit() {
        for (share, values, expected) in [
            (0.9, vec![0.0, 1e10], Some(9e9)),
            (0.25, vec![4.0, 1.0, 3.0, 2.0], Some(1.75)),
            (0.5, vec![3.0], Some(3.0)),
            (1.0, vec![3.0, 1.0], Some(3.0)),
            (
                0.5,
                vec![f64::NEG_INFINITY, f64::NEG_INFINITY],
                Some(f64::NEG_INFINITY),
            ),
            (0.5, vec![], None),
            (0.5, vec![1e308, 1.2e308], Some(1.1e308)),
            (0.5, vec![-1.5e308, 1.5e308], Some(0.0)),
            (0.5, vec![-1.0, f64::INFINITY], Some(f64::INFINITY)),
        ] {
            let middle = Middle {
                share,
                data_type: DataType::Float64,
                is_distinct: false,
            };
            let mut own = values.clone();
            assert_eq!(middle.of_values(&mut own), expected, "{share} {values:?}");
        }
    }
}
