//! Times: the zones that they are in, and how texts say them.
//!
//! The zone of every session is UTC, as in PostgreSQL with `TimeZone = 'UTC'`: a time with a zone is an
//! instant and shown in UTC, and only `AT TIME ZONE` leads to another zone and back.

mod instants;
mod text;
mod zone;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};

pub(crate) use text::{Moment, moment, with_seconds};
pub(crate) use zone::TIMEZONE;

/// The zone of every session.
pub(crate) const UTC: &str = "UTC";

/// Registers `timezone`, and gives the zone of the session to the functions that yield instants, such as
/// `now`.
///
/// # Errors
/// When a name is taken by a function of another kind.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    state.register_udf(Arc::new(zone::timezone()))?;
    let options = Arc::clone(state.config_options());
    let functions = state.scalar_functions().values();
    let zoned: Vec<_> = functions
        .filter_map(|function| function.inner().with_updated_config(&options))
        .collect();
    for function in zoned {
        state.register_udf(Arc::new(instants::of_announced_type(function)))?;
    }
    Ok(())
}
