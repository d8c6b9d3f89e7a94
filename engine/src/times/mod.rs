//! Times: the zones that they are in, and how texts say them.
//!
//! The zone of every session is UTC, as in PostgreSQL with `TimeZone = 'UTC'`: a time with a zone is an
//! instant and shown in UTC, and only `AT TIME ZONE` leads to another zone and back.

mod binned;
mod coarser;
mod formats;
mod instants;
mod minutes;
mod parts;
mod text;
mod truncated;
mod units;
mod zone;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::functions::datetime;
use datafusion::logical_expr::ScalarUDF;

use crate::functions::wrapped;

pub(crate) use coarser::coarser;
pub(crate) use minutes::{WITH_SECONDS, text_with_seconds};
pub(crate) use text::{Moment, moment, with_seconds};
pub(crate) use units::is_coarser;
pub(crate) use zone::TIMEZONE;

/// The zone of every session.
pub(crate) const UTC: &str = "UTC";

/// Registers `timezone`, gives the zone of the session to the functions that yield instants, such as `now`, and puts ours
/// in the place of DataFusion's that are wrong for some times.
///
/// # Errors
/// When a name is taken by a function of another kind.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    state.register_udf(Arc::new(zone::timezone()))?;
    for function in coarser::all() {
        state.register_udf(function)?;
    }
    state.register_udf(text_with_seconds())?;
    let options = Arc::clone(state.config_options());
    let functions = state.scalar_functions().values();
    let zoned: Vec<_> = functions
        .filter_map(|function| function.inner().with_updated_config(&options))
        .collect();
    for function in zoned {
        state.register_udf(Arc::new(instants::of_announced_type(function)))?;
    }
    let unix_time = state.udf(instants::UNIX_TIME)?.as_ref().clone();
    state.register_udf(Arc::new(instants::of_announced_type(unix_time)))?;
    wrapped::register(state, &["date_bin"], |inner| binned::Binned { inner })?;
    wrapped::register(state, &["date_part"], |inner| parts::Parts { inner })?;
    wrapped::register(state, &["date_trunc"], |inner| truncated::Truncated {
        inner,
    })
}

/// `to_timestamp` of ours.
pub(crate) fn to_timestamp(config: &ConfigOptions) -> ScalarUDF {
    instants::of_announced_type(datetime::to_timestamp(config).as_ref().clone())
}
