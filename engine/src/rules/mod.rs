//! Rules of ours in DataFusion's planner: what it would plan into wrong rows, or not at all.
//!
//! docs/upstream.md says which fault of which project each one answers.

mod bounds;
mod constant_keys;
mod equal_nulls;
mod exact_numbers;
mod exact_operands;
mod fallible;
mod finite_floats;
mod floats;
mod frames;
mod guards;
mod halves;
mod in_lists;
mod interval_keys;
mod kept_unknown;
mod key_ranges;
mod keys;
mod like_escapes;
mod limits;
mod lossy_casts;
mod misread;
mod nearest_floats;
mod number;
mod places;
mod repeated_keys;
mod risky_filters;
mod row_values;
mod set_operations;
mod subqueries;
mod time_casts;
mod times;
#[cfg(test)]
mod upstream;
mod volatile;
mod walk;

use std::sync::Arc;

use datafusion::optimizer::Optimizer;
use datafusion::optimizer::analyzer::{Analyzer, AnalyzerRule};

pub(crate) use exact_operands::ExactOperands;
pub(crate) use fallible::{Risk, of_cast, of_function, risk};
pub(crate) use guards::guarded;
pub(crate) use halves::with_halves;
pub(crate) use row_values::ROWS;
pub(crate) use subqueries::fresh;
pub(crate) use walk::with_outputs;

/// DataFusion's analyzer rules with ours before and behind them.
pub(crate) fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![
        Arc::new(row_values::RowsAsExists),
        Arc::new(places::KnownPlaces),
        Arc::new(exact_numbers::ExactNumbers),
        Arc::new(times::CompareTimes),
        Arc::new(frames::PlainFrames),
    ];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(times::CastByInstant));
    rules.push(Arc::new(volatile::ComputeOnce));
    rules.push(Arc::new(misread::SaysWhatItMeans));
    rules.push(Arc::new(repeated_keys::KeysOnce));
    rules.push(Arc::new(interval_keys::OneLength));
    rules.push(Arc::new(like_escapes::EscapeByBackslash));
    rules.push(Arc::new(constant_keys::DropConstantKeys));
    rules.push(Arc::new(limits::LimitByNumber));
    rules.push(Arc::new(set_operations::KeepMultiplicity));
    rules.push(Arc::new(subqueries::Unnest));
    rules.push(Arc::new(floats::OneForm));
    rules.push(Arc::new(keys::HideKeys));
    rules.push(Arc::new(in_lists::PlainLists));
    rules.push(Arc::new(time_casts::CastToTimes));
    rules.push(Arc::new(lossy_casts::KeepCasts));
    rules.push(Arc::new(finite_floats::FiniteFloats));
    rules.push(Arc::new(nearest_floats::NearestFloats));
    rules.push(Arc::new(key_ranges::KeyRanges));
    rules
}

/// DataFusion's rule that computes common expressions once.
const COMMON: &str = "common_sub_expression_eliminate";
/// DataFusion's rules that compute fields of structs below the steps that use them.
const FIELDS: [&str; 2] = ["extract_leaf_expressions", "push_down_leaf_projections"];

/// DataFusion's optimizer rules, some of them within bounds of ours. Those that move fields of structs name a column
/// without its table, so that a join fails, and so does an aggregate once it was sent.
pub(crate) fn optimizer_rules() -> Vec<bounds::Rule> {
    let rules = Optimizer::new().rules.into_iter();
    rules
        .filter(|rule| !FIELDS.contains(&rule.name()))
        .map(equal_nulls::bounded)
        .map(kept_unknown::bounded)
        .map(risky_filters::bounded)
        .collect()
}

/// The rules for plans that clients have optimised: all but the one that looks for common expressions.
pub(crate) fn rules_after_clients() -> Vec<bounds::Rule> {
    let mut rules = optimizer_rules();
    rules.retain(|rule| rule.name() != COMMON);
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_are_left_out_exist() {
        let all = Optimizer::new().rules.len();
        assert_eq!(optimizer_rules().len(), all - FIELDS.len());
        assert_eq!(rules_after_clients().len(), all - FIELDS.len() - 1);
    }
}
