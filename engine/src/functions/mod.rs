//! Emporia's SQL functions, the same in every process.

mod array_length;
mod assigned;
mod average;
mod calendar;
mod clv;
mod comparable;
mod contained;
mod extremes;
mod finite;
mod grouped;
mod hashing;
mod interval_length;
mod like_pattern;
mod logged_session;
mod median;
mod mode;
mod moving;
mod nearest;
mod opaque;
mod orders;
mod padded;
mod percentile;
mod quantified;
mod quotient;
mod ranged;
mod ranks;
mod regexp_replace;
mod repeated;
mod rounded;
mod row_count;
mod scaled_interval;
mod series;
mod single_row;
mod sum;
#[cfg(test)]
mod tests;
mod told_apart;
mod totals;
mod whole;
mod within_precision;
pub(crate) mod wrapped;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};

pub(crate) use assigned::{assign, assigned_expr, is_assignable, shown};
pub(crate) use average::checked_average;
pub(crate) use calendar::days_between;
pub(crate) use comparable::{COMPARABLE, comparable, has_floats};
use emporia_connectors::checked::named_functions;
pub use emporia_connectors::key_set::in_key_set;
pub(crate) use extremes::{ordered_max, ordered_min};
pub(crate) use finite::{
    CHECKED_FLOAT, FLOAT_OR_NULL, checked_float, float_or_null, may_be_infinite,
};
pub use hashing::key_hash_function;
pub(crate) use interval_length::interval_length;
pub(crate) use like_pattern::{like_pattern, with_backslashes};
pub(crate) use mode::MODE;
pub(crate) use moving::over_window;
pub(crate) use nearest::{as_nearest, nearest_double, nearest_float};
pub(crate) use opaque::{OPAQUE, opaque};
pub(crate) use quantified::{Quantifier, is_quantified, quantified_name};
pub(crate) use quotient::{QUOTIENT, quotient};
pub(crate) use ranged::{RANGED, ranged};
pub use ranks::row_number;
pub use repeated::repeated_hashes;
pub(crate) use row_count::row_count;
pub(crate) use scaled_interval::SCALED_INTERVAL;
pub(crate) use single_row::single_row;
pub(crate) use sum::checked_sum;
pub(crate) use told_apart::{TOLD_APART, told_apart, without_marks};
pub(crate) use within_precision::{WITHIN_PRECISION, within_precision};
pub(crate) use wrapped::{named_as_inner, typed_as_argument, typed_as_inner};

use crate::rules::ExactOperands;

/// Registers all functions.
///
/// # Errors
/// When a name is taken by a function of another kind.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    let mut functions = clv::clv_functions();
    functions.push(array_length::array_length());
    functions.push(assigned::assigned());
    functions.push(key_hash_function());
    functions.push(logged_session::logged_session());
    functions.extend(named_functions());
    functions.extend(quantified::quantified_functions());
    functions.extend(calendar::calendar_functions());
    for function in functions {
        state.register_udf(Arc::new(function))?;
    }
    let mut aggregates = moving::moving_functions();
    aggregates.extend([
        repeated_hashes(),
        checked_sum(),
        checked_average(),
        ordered_max(),
        ordered_min(),
        mode::mode(),
    ]);
    for function in aggregates {
        state.register_udaf(Arc::new(function))?;
    }
    state.register_udf(checked_float())?;
    state.register_udf(comparable())?;
    state.register_udf(days_between())?;
    state.register_udf(float_or_null())?;
    state.register_udf(interval_length())?;
    state.register_udf(like_pattern())?;
    state.register_udf(nearest_double())?;
    state.register_udf(nearest_float())?;
    state.register_udf(opaque())?;
    state.register_udf(ranged::function())?;
    state.register_udf(quotient())?;
    state.register_udf(row_count())?;
    state.register_udf(scaled_interval::scaled_interval())?;
    state.register_expr_planner(Arc::new(scaled_interval::TimesInterval))?;
    state.register_expr_planner(Arc::new(ExactOperands))?;
    state.register_udf(single_row())?;
    state.register_udf(told_apart())?;
    state.register_udf(within_precision())?;
    contained::register(state)?;
    orders::register(state)?;
    padded::register(state)?;
    ranks::register(state)?;
    regexp_replace::register(state)?;
    rounded::register(state)?;
    whole::register(state)?;
    series::register(state)
}
