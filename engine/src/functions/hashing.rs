//! `key_hash(key)` and `hash_in_set(hash, set)`: finding a few keys among many rows without a
//! shuffle of the rows.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use twox_hash::XxHash64;

/// Seed of all key hashes.
const SEED: u64 = 0;

/// `key_hash(key)`: a 64-bit hash of a text or integer key, the same in every process and version;
/// null for null.
pub fn key_hash() -> ScalarUDF {
    ScalarUDF::from(KeyHash { signature: Signature::any(1, Volatility::Immutable) })
}

/// `hash_in_set(hash, set)`: whether a hash is in a set made by [`hash_set`]; null for null.
pub fn hash_in_set() -> ScalarUDF {
    ScalarUDF::from(HashInSet { signature: Signature::any(2, Volatility::Immutable) })
}

/// A set of hashes as the literal that [`hash_in_set`] takes: sorted, 8 bytes each.
pub fn hash_set(mut hashes: Vec<u64>) -> ScalarValue {
    hashes.sort_unstable();
    hashes.dedup();
    ScalarValue::Binary(Some(hashes.into_iter().flat_map(u64::to_be_bytes).collect()))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct KeyHash {
    signature: Signature,
}

impl ScalarUDFImpl for KeyHash {
    fn name(&self) -> &'static str {
        "key_hash"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(keys) = arrays.first() else { return exec_err!("key_hash takes one argument") };
        let text = |key: &str| XxHash64::oneshot(SEED, key.as_bytes());
        let number = |key: i64| XxHash64::oneshot(SEED, &key.to_le_bytes());
        let hashes: UInt64Array = match keys.data_type() {
            DataType::Utf8 => keys.as_string::<i32>().iter().map(|k| k.map(text)).collect(),
            DataType::LargeUtf8 => keys.as_string::<i64>().iter().map(|k| k.map(text)).collect(),
            DataType::Utf8View => keys.as_string_view().iter().map(|k| k.map(text)).collect(),
            DataType::Int64 => {
                keys.as_primitive::<Int64Type>().iter().map(|k| k.map(number)).collect()
            }
            DataType::Int32 => {
                let keys = keys.as_primitive::<Int32Type>().iter();
                keys.map(|k| k.map(|k| number(i64::from(k)))).collect()
            }
            other => return exec_err!("key_hash takes a text or an integer, not {other}"),
        };
        Ok(ColumnarValue::Array(Arc::new(hashes)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HashInSet {
    signature: Signature,
}

impl ScalarUDFImpl for HashInSet {
    fn name(&self) -> &'static str {
        "hash_in_set"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [hashes, ColumnarValue::Scalar(ScalarValue::Binary(Some(set)))] = &args.args[..] else {
            return exec_err!("hash_in_set takes a hash column and a literal set");
        };
        let (set, rest) = set.as_chunks::<8>();
        if !rest.is_empty() {
            return exec_err!("the set of hash_in_set is damaged");
        }
        let hashes: ArrayRef = hashes.to_array(args.number_rows)?;
        let Some(hashes) = hashes.as_primitive_opt::<UInt64Type>() else {
            return exec_err!("hash_in_set takes a uint64 column, not {}", hashes.data_type());
        };
        let found: BooleanArray = hashes.iter().map(|h| h.map(|h| contains(set, h))).collect();
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

/// Interpolation search: hashes are spread evenly, so that the first guess is nearly right.
fn contains(set: &[[u8; 8]], wanted: u64) -> bool {
    let (mut low, mut high) = (0_usize, set.len());
    let (mut below, mut above) = (0_u64, u64::MAX);
    while low < high {
        let span = u128::from(above - below) + 1;
        let guess = u128::from(wanted - below) * (high - low) as u128 / span;
        let at = low + (guess as usize).min(high - low - 1);
        let value = u64::from_be_bytes(set[at]);
        match value.cmp(&wanted) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => {
                low = at + 1;
                below = value;
            }
            std::cmp::Ordering::Greater => {
                high = at;
                above = value;
            }
        }
        if below > wanted || above < wanted {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_contains_what_was_put_in() {
        let hashes: Vec<u64> = (0..10_000_u64).map(|i| XxHash64::oneshot(SEED, &i.to_le_bytes())).collect();
        let ScalarValue::Binary(Some(bytes)) = hash_set(hashes.clone()) else { unreachable!() };
        let (set, _) = bytes.as_chunks::<8>();
        assert!(hashes.iter().all(|h| contains(set, *h)));
        let absent = (10_000..20_000_u64).map(|i| XxHash64::oneshot(SEED, &i.to_le_bytes()));
        assert_eq!(absent.filter(|h| contains(set, *h)).count(), 0);
        for (edge, expected) in [(0, false), (u64::MAX, false)] {
            assert_eq!(contains(set, edge), expected);
        }
        assert!(!contains(&[], 7));
        assert!(contains(&[0_u64.to_be_bytes(), u64::MAX.to_be_bytes()], u64::MAX));
    }

    #[test]
    fn key_hash_never_changes() {
        // Processes of different age compare hashes: the value for a known key is fixed.
        assert_eq!(XxHash64::oneshot(SEED, b"ORD00000001"), 0);
    }
}
