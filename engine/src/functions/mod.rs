//! Emporia's SQL functions, the same in every process.

mod clv;
mod hashing;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};

pub use hashing::{hash_in_set, hash_set, key_hash};

/// Registers all functions.
///
/// # Errors
/// When a name is taken by a function of another kind.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    let mut functions = clv::clv_functions();
    functions.push(key_hash());
    functions.push(hash_in_set());
    for function in functions {
        state.register_udf(Arc::new(function))?;
    }
    Ok(())
}
