//! Places of `round` and `trunc` that are known while types are made.
//!
//! The type of a rounded decimal has as many digits as the text says, if it says so. DataFusion casts the number of digits to
//! another type first and computes the cast later, so that the type changes after conditions were planned for it, and some of
//! them fail: "invalid comparison operation".

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan, lit};
use datafusion::optimizer::AnalyzerRule;

use super::number::Number;
use super::walk;

/// Makes constants of such places. Comes before types are made the same.
#[derive(Debug)]
pub(super) struct KnownPlaces;

impl AnalyzerRule for KnownPlaces {
    fn name(&self) -> &'static str {
        "known_places"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(plan, |expr, _| Ok(known(expr)), walk::as_it_is)
    }
}

fn known(mut expr: Expr) -> Transformed<Expr> {
    let is_changed = match &mut expr {
        Expr::ScalarFunction(call) if ["round", "trunc"].contains(&call.name()) => {
            match &mut call.args[..] {
                [_, places] => match Number::of(places).and_then(|number| number.as_whole()) {
                    Some(known) => {
                        *places = lit(known);
                        true
                    }
                    None => false,
                },
                _ => false,
            }
        }
        _ => false,
    };
    Transformed::new_transformed(expr, is_changed)
}

#[cfg(test)]
mod tests {
    use datafusion::functions::math::expr_fn::round;
    use datafusion::logical_expr::col;

    use super::*;

    #[test]
    fn whole_places_are_32_bits() {
        let places = |places: Expr| known(round(vec![col("x"), places])).data;
        let expected = |places: i32| round(vec![col("x"), lit(places)]);
        assert_eq!(places(lit(2_i64)), expected(2));
        assert_eq!(places(Expr::Negative(Box::new(lit(2_i64)))), expected(-2));
        for other in [col("n"), lit(1.5), lit(i64::MAX)] {
            assert_eq!(places(other.clone()), round(vec![col("x"), other]));
        }
    }
}
