//! `avg`, in the place of DataFusion's: the average of times. DataFusion adds nanoseconds up in 64 bits, which
//! is full after 292 years: the average of 40,000 deliveries of three days each is another time.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Field, FieldRef, TimeUnit, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::functions_aggregate::average::Avg;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF,
    Signature,
};

use super::sum::Total;
use super::totals::{Native, Summed, Wide, value_of};

/// `avg(value)`.
pub(crate) fn checked_average() -> AggregateUDF {
    AggregateUDF::from(CheckedAverage::default())
}

#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct CheckedAverage {
    inner: Avg,
}

impl AggregateUDFImpl for CheckedAverage {
    fn name(&self) -> &str {
        "avg"
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

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return self.inner.accumulator(args);
        }
        let result = args.return_field.data_type().clone();
        Ok(match &result {
            DataType::Duration(TimeUnit::Second) => {
                Box::new(Average::<Wide<DurationSecondType>>::new(result))
            }
            DataType::Duration(TimeUnit::Millisecond) => {
                Box::new(Average::<Wide<DurationMillisecondType>>::new(result))
            }
            DataType::Duration(TimeUnit::Microsecond) => {
                Box::new(Average::<Wide<DurationMicrosecondType>>::new(result))
            }
            DataType::Duration(TimeUnit::Nanosecond) => {
                Box::new(Average::<Wide<DurationNanosecondType>>::new(result))
            }
            _ => return self.inner.accumulator(args),
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let result = args.return_type();
        if args.is_distinct || !matches!(result, DataType::Duration(_)) {
            return self.inner.state_fields(args);
        }
        let total = Wide::<DurationNanosecondType>::total_type(result);
        let field = |name, data_type| {
            let name = format_state_name(args.name, name);
            Arc::new(Field::new(name, data_type, true))
        };
        Ok(vec![field("count", DataType::UInt64), field("sum", total)])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !matches!(args.return_field.data_type(), DataType::Duration(_))
            && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match args.return_field.data_type() {
            DataType::Duration(_) => self.accumulator(args),
            _ => self.inner.create_sliding_accumulator(args),
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

#[derive(Debug)]
struct Average<S: Summed> {
    total: Total<S>,
    /// Values in totals that came from elsewhere, beyond the one that each of them counts as.
    n_more: u64,
    result: DataType,
}

impl<S: Summed> Average<S> {
    fn new(result: DataType) -> Self {
        Self {
            total: Total::new(result.clone()),
            n_more: 0,
            result,
        }
    }

    fn count(&self) -> u64 {
        self.total.parts().1 as u64 + self.n_more
    }
}

impl<S> Accumulator for Average<S>
where
    S: Summed,
    Native<S::Total>: Into<i128> + TryFrom<i128>,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.total.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.total.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let total: i128 = self.total.parts().0.into();
        let average = match total.checked_div(i128::from(self.count())) {
            None => None,
            Some(average) => match average.try_into() {
                Ok(average) => Some(value_of::<S>(average, &self.result)?),
                Err(_) => return Err(super::totals::overflow(&self.result)),
            },
        };
        ScalarValue::new_primitive::<S::Value>(average, &self.result)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut state = vec![ScalarValue::from(self.count())];
        state.extend(self.total.state()?);
        Ok(state)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [counts, totals] = states else {
            return exec_err!("an average is a count and a total");
        };
        let counts = counts.as_primitive::<UInt64Type>();
        let n_totals = totals.len() - totals.null_count();
        let n_values: u64 = counts.iter().flatten().sum();
        self.n_more += n_values - n_totals as u64;
        self.total.merge_batch(&states[1..])
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
