//! `repeated_hashes(hash)`: which hashes occur more than once.
//!
//! Grouping ten million keys costs a hash table of as many groups. Here a task keeps eight bytes a
//! row, sorts them, and the last step merges sorted runs.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, LargeBinaryArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use emporia_core::key_hash::KeySet;

/// Most hashes that may be repeated.
const MAX_REPEATED: usize = 5_000_000;
/// Most rows; eight bytes each have to fit the memory of one task.
const MAX_ROWS: usize = 500_000_000;

/// `repeated_hashes(hash)`: the set of the hashes that occur more than once, as `in_key_set`
/// takes it; nulls do not count.
pub fn repeated_hashes() -> AggregateUDF {
    AggregateUDF::from(RepeatedHashes {
        signature: Signature::exact(vec![DataType::UInt64], Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RepeatedHashes {
    signature: Signature,
}

impl AggregateUDFImpl for RepeatedHashes {
    fn name(&self) -> &'static str {
        "repeated_hashes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::<Hashes>::default())
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format!("{}[sorted]", args.name);
        Ok(vec![Arc::new(Field::new(
            name,
            DataType::LargeBinary,
            true,
        ))])
    }
}

#[derive(Debug, Default)]
struct Hashes(Vec<u64>);

impl Hashes {
    fn check_size(&self) -> Result<()> {
        if self.0.len() <= MAX_ROWS {
            return Ok(());
        }
        Err(DataFusionError::ResourcesExhausted(format!(
            "repeated_hashes takes at most {MAX_ROWS} rows"
        )))
    }
}

impl Accumulator for Hashes {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(hashes) = values
            .first()
            .and_then(|v| v.as_primitive_opt::<UInt64Type>())
        else {
            return exec_err!("repeated_hashes takes a uint64 column");
        };
        if hashes.null_count() == 0 {
            self.0.extend_from_slice(hashes.values());
        } else {
            self.0.extend(hashes.iter().flatten());
        }
        self.check_size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.sort_unstable();
        let bytes = std::mem::take(&mut self.0)
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect();
        Ok(vec![ScalarValue::LargeBinary(Some(bytes))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(runs) = states
            .first()
            .and_then(|s| s.as_any().downcast_ref::<LargeBinaryArray>())
        else {
            return exec_err!("the state of repeated_hashes is damaged");
        };
        for run in runs.iter().flatten() {
            let (hashes, _) = run.as_chunks::<8>();
            self.0
                .extend(hashes.iter().map(|bytes| u64::from_le_bytes(*bytes)));
        }
        self.check_size()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // The stable sort finds the sorted runs and merges them.
        self.0.sort();
        let mut repeated: Vec<u64> = self
            .0
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
            .collect();
        repeated.dedup();
        if repeated.len() > MAX_REPEATED {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "more than {MAX_REPEATED} keys occur more than once"
            )));
        }
        Ok(ScalarValue::Binary(Some(
            KeySet::of(repeated).as_bytes().to_vec(),
        )))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::UInt64Array;

    use super::*;

    #[test]
    fn finds_repeats_within_and_between_tasks() -> Result<()> {
        let mut last = Hashes::default();
        for task in [
            vec![Some(5), Some(1), Some(5), None],
            vec![Some(1), Some(2), None],
        ] {
            let mut partial = Hashes::default();
            partial.update_batch(&[Arc::new(UInt64Array::from(task))])?;
            for state in partial.state()? {
                last.merge_batch(&[state.to_array()?])?;
            }
        }
        assert_eq!(
            last.evaluate()?,
            ScalarValue::Binary(Some(KeySet::of(vec![1, 5]).as_bytes().to_vec()))
        );
        Ok(())
    }
}
