//! `in_key_set(hash)`: whether the hash of a key is in a set that the function carries.
//!
//! The set is a part of the function and no argument: a literal of a million bytes is printed each time
//! that the planner names an expression.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::datatypes::{DataType, UInt64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use emporia_core::key_hash::KeySet;

/// The function that asks whether a hash is in the set; null for null.
pub fn in_key_set(set: KeySet) -> ScalarUDF {
    ScalarUDF::from(InKeySet {
        name: format!("in_key_set_{:016x}", set.digest()),
        signature: Signature::exact(vec![DataType::UInt64], Volatility::Immutable),
        set,
    })
}

/// Membership in a set of key hashes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct InKeySet {
    name: String,
    signature: Signature,
    set: KeySet,
}

impl InKeySet {
    /// The function behind `function`, if it is one of these.
    pub(crate) fn of(function: &ScalarUDF) -> Option<&Self> {
        function.inner().downcast_ref()
    }

    pub(crate) fn set(&self) -> &KeySet {
        &self.set
    }
}

impl ScalarUDFImpl for InKeySet {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [hashes] = &args.args[..] else {
            return exec_err!("in_key_set takes one argument");
        };
        let hashes: ArrayRef = hashes.to_array(args.number_rows)?;
        let Some(hashes) = hashes.as_primitive_opt::<UInt64Type>() else {
            return exec_err!(
                "in_key_set takes a uint64 column, not {}",
                hashes.data_type()
            );
        };
        let found = hashes.values().iter().map(|h| self.set.contains(*h));
        let found = BooleanArray::new(found.collect(), hashes.nulls().cloned());
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}
