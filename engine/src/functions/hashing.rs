//! `key_hash(key)`: with `in_key_set`, finds a few keys among many rows without a shuffle of the rows.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use emporia_core::key_hash;

/// `key_hash(key)`: a 64-bit hash of a text or integer key, the same in every process and version;
/// null for null.
pub fn key_hash_function() -> ScalarUDF {
    ScalarUDF::from(KeyHash {
        signature: Signature::any(1, Volatility::Immutable),
    })
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
        let Some(keys) = arrays.first() else {
            return exec_err!("key_hash takes one argument");
        };
        let text = key_hash::of_text;
        let number = key_hash::of_integer;
        let hashes: UInt64Array = match keys.data_type() {
            DataType::Utf8 => keys
                .as_string::<i32>()
                .iter()
                .map(|k| k.map(text))
                .collect(),
            DataType::LargeUtf8 => keys
                .as_string::<i64>()
                .iter()
                .map(|k| k.map(text))
                .collect(),
            DataType::Utf8View => keys.as_string_view().iter().map(|k| k.map(text)).collect(),
            DataType::Int64 => keys
                .as_primitive::<Int64Type>()
                .iter()
                .map(|k| k.map(number))
                .collect(),
            DataType::Int32 => {
                let keys = keys.as_primitive::<Int32Type>().iter();
                keys.map(|k| k.map(|k| number(i64::from(k)))).collect()
            }
            other => return exec_err!("key_hash takes a text or an integer, not {other}"),
        };
        Ok(ColumnarValue::Array(Arc::new(hashes)))
    }
}
