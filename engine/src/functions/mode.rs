//! `mode(x)`: the value that is there most often.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, new_empty_array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility,
};

/// The name of the function.
pub(crate) const MODE: &str = "mode";

/// `mode(x)`: the value that most rows have, the least one of several; NULL counts for nothing.
pub(crate) fn mode() -> AggregateUDF {
    AggregateUDF::from(Mode {
        signature: Signature::any(1, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mode {
    signature: Signature,
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &'static str {
        MODE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value] => Ok(value.clone()),
            _ => exec_err!("{MODE} takes one value"),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Counts {
            counts: HashMap::new(),
            data_type: args.return_type().clone(),
            n_bytes: 0,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |name, item| {
            let item = Arc::new(Field::new_list_field(item, true));
            let name = format_state_name(args.name, name);
            Arc::new(Field::new(name, DataType::List(item), true))
        };
        Ok(vec![
            list("values", args.return_type().clone()),
            list("counts", DataType::Int64),
        ])
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// How many rows have each value.
#[derive(Debug)]
struct Counts {
    counts: HashMap<ScalarValue, i64>,
    data_type: DataType,
    /// Of the values, beside the map.
    n_bytes: usize,
}

impl Counts {
    fn add(&mut self, values: &ArrayRef, mut count_of: impl FnMut(usize) -> i64) -> Result<()> {
        let nulls = values.logical_nulls();
        for row in 0..values.len() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            match self.counts.entry(ScalarValue::try_from_array(values, row)?) {
                Entry::Occupied(mut seen) => {
                    *seen.get_mut() += count_of(row);
                    if *seen.get() == 0 {
                        seen.remove();
                    }
                }
                Entry::Vacant(new) => {
                    self.n_bytes += new.key().size();
                    new.insert(count_of(row));
                }
            }
        }
        Ok(())
    }
}

fn column(columns: &[ArrayRef]) -> Result<&ArrayRef> {
    match columns {
        [column] => Ok(column),
        _ => internal_err!("{MODE} takes one column"),
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(column(values)?, |_| 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(column(values)?, |_| -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let most = self.counts.iter().max_by(|(value, n), (other, m)| {
            let by_value = Reverse(value).partial_cmp(&Reverse(other));
            n.cmp(m).then(by_value.unwrap_or(Ordering::Equal))
        });
        match most {
            Some((value, _)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.data_type),
        }
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: ArrayRef = match self.counts.is_empty() {
            true => new_empty_array(&self.data_type),
            false => ScalarValue::iter_to_array(self.counts.keys().cloned())?,
        };
        let counts: ArrayRef = Arc::new(self.counts.values().copied().collect::<Int64Array>());
        let list = |column| SingleRowListArrayBuilder::new(column).build_list_scalar();
        Ok(vec![list(values), list(counts)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, counts] = states else {
            return internal_err!("the state of {MODE} is values and counts");
        };
        let lists = values.as_list::<i32>().iter();
        for (values, counts) in lists.zip(counts.as_list::<i32>().iter()) {
            if let (Some(values), Some(counts)) = (values, counts) {
                let counts = counts.as_primitive::<Int64Type>();
                self.add(&values, |row| counts.value(row))?;
            }
        }
        Ok(())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.n_bytes + self.counts.capacity() * size_of::<(ScalarValue, i64)>()
    }
}
