//! Emporia's SQL functions, the same in every process.

mod array_length;
mod clv;
mod hashing;
mod logged_session;
mod repeated;
mod series;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};

pub use emporia_connectors::key_set::in_key_set;
pub use hashing::key_hash_function;
pub use repeated::repeated_hashes;

/// Registers all functions.
///
/// # Errors
/// When a name is taken by a function of another kind.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    let mut functions = clv::clv_functions();
    functions.push(array_length::array_length());
    functions.push(key_hash_function());
    functions.push(logged_session::logged_session());
    for function in functions {
        state.register_udf(Arc::new(function))?;
    }
    state.register_udaf(Arc::new(repeated_hashes()))?;
    series::register(state)
}
