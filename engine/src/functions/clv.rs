//! Scalar functions that score customers with the models of `emporia-models`: all arguments and
//! results are doubles, and the parameters of a model are constants of the query.
//!
//! | function | arguments | result |
//! |---|---|---|
//! | `bgnbd_p_alive` | `r, alpha, a, b, x, t_x, age` | probability that the customer has not left |
//! | `bgnbd_expected_purchases` | `r, alpha, a, b, t, x, t_x, age` | expected purchases in the next `t` units of time |
//! | `gg_expected_value` | `p, q, v, x, m` | expected value of a purchase |
//! | `clv_discounted` | `r, alpha, a, b, steps, step_length, discount_rate, value, x, t_x, age` | discounted value of the purchases of `steps` steps |
//!
//! A null argument gives null, and so does a result that is not finite, for example the value of a
//! purchase where the distribution has no mean.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use datafusion::common::cast::as_float64_array;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use emporia_models::bg_nbd::BgNbd;
use emporia_models::clv::{Horizon, discounted_clv};
use emporia_models::gamma_gamma::GammaGamma;

/// Most steps of a horizon: a hundred years of months.
const MAX_STEPS: f64 = 1200.0;

/// The functions of this module, to be registered in every session.
pub(super) fn clv_functions() -> Vec<ScalarUDF> {
    [
        Score::ProbabilityAlive,
        Score::ExpectedPurchases,
        Score::ExpectedValue,
        Score::DiscountedValue,
    ]
    .into_iter()
    .map(|score| ScalarUDF::new_from_impl(ScoreFunction::new(score)))
    .collect()
}

/// What a function computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Score {
    ProbabilityAlive,
    ExpectedPurchases,
    ExpectedValue,
    DiscountedValue,
}

impl Score {
    fn name(self) -> &'static str {
        match self {
            Self::ProbabilityAlive => "bgnbd_p_alive",
            Self::ExpectedPurchases => "bgnbd_expected_purchases",
            Self::ExpectedValue => "gg_expected_value",
            Self::DiscountedValue => "clv_discounted",
        }
    }

    /// Number of leading arguments that must be constants.
    fn constants(self) -> usize {
        match self {
            Self::ProbabilityAlive => 4,
            Self::ExpectedPurchases => 5,
            Self::ExpectedValue => 3,
            Self::DiscountedValue => 7,
        }
    }

    /// Number of arguments that may be columns.
    fn columns(self) -> usize {
        match self {
            Self::ProbabilityAlive | Self::ExpectedPurchases => 3,
            Self::ExpectedValue => 2,
            Self::DiscountedValue => 4,
        }
    }

    /// The function of the columns that the constants make.
    fn scorer(self, constants: &[f64]) -> Result<Scorer> {
        Ok(match (self, constants) {
            (Self::ProbabilityAlive, [r, alpha, a, b]) => {
                Scorer::ProbabilityAlive(purchase_model(*r, *alpha, *a, *b)?)
            }
            (Self::ExpectedPurchases, [r, alpha, a, b, t]) => {
                if !(t.is_finite() && *t >= 0.0) {
                    return exec_err!("time t must be finite and not negative, but is {t}");
                }
                Scorer::ExpectedPurchases(purchase_model(*r, *alpha, *a, *b)?, *t)
            }
            (Self::ExpectedValue, [p, q, v]) => Scorer::ExpectedValue(
                GammaGamma::new(*p, *q, *v)
                    .map_err(|e| datafusion::error::DataFusionError::External(Box::new(e)))?,
            ),
            (Self::DiscountedValue, [r, alpha, a, b, steps, step_length, discount_rate]) => {
                if !(*steps >= 0.0 && *steps <= MAX_STEPS && steps.fract() == 0.0) {
                    return exec_err!(
                        "steps must be a whole number up to {MAX_STEPS}, but is {steps}"
                    );
                }
                if !(*step_length > 0.0 && step_length.is_finite()) {
                    return exec_err!("step_length must be positive, but is {step_length}");
                }
                if !(*discount_rate > -1.0 && discount_rate.is_finite()) {
                    return exec_err!("discount_rate must be above -1, but is {discount_rate}");
                }
                Scorer::DiscountedValue(
                    purchase_model(*r, *alpha, *a, *b)?,
                    Horizon {
                        steps: *steps as u32,
                        step_length: *step_length,
                        discount_rate: *discount_rate,
                    },
                )
            }
            _ => return internal_err!("{} got the wrong number of constants", self.name()),
        })
    }
}

fn purchase_model(r: f64, alpha: f64, a: f64, b: f64) -> Result<BgNbd> {
    BgNbd::new(r, alpha, a, b)
        .map_err(|e| datafusion::error::DataFusionError::External(Box::new(e)))
}

/// A function whose model is known.
enum Scorer {
    ProbabilityAlive(BgNbd),
    ExpectedPurchases(BgNbd, f64),
    ExpectedValue(GammaGamma),
    DiscountedValue(BgNbd, Horizon),
}

impl Scorer {
    /// Scores one customer; `columns` are finite.
    fn score(&self, columns: &[f64], memory: &mut Memory) -> f64 {
        match (self, columns) {
            (Self::ProbabilityAlive(model), [x, t_x, age]) => {
                model.probability_alive(*x, *t_x, *age)
            }
            (Self::ExpectedPurchases(model, t), [x, t_x, age]) => memory
                .get([*x, *t_x, *age], || {
                    model.conditional_expected_purchases(*t, *x, *t_x, *age)
                }),
            (Self::ExpectedValue(model), [x, mean]) => model.expected_average_value(*x, *mean),
            (Self::DiscountedValue(model, horizon), [value, x, t_x, age]) => {
                let purchases = memory.get([*x, *t_x, *age], || {
                    discounted_clv(model, 1.0, *x, *t_x, *age, horizon)
                });
                value * purchases
            }
            _ => f64::NAN,
        }
    }
}

/// Scores of the histories that a batch has had already. The series behind an expectation are long,
/// and many customers have the same history, above all those with a single purchase.
#[derive(Default)]
struct Memory(HashMap<[u64; 3], f64>);

impl Memory {
    fn get(&mut self, history: [f64; 3], compute: impl FnOnce() -> f64) -> f64 {
        *self
            .0
            .entry(history.map(f64::to_bits))
            .or_insert_with(compute)
    }
}

/// The [`ScalarUDFImpl`] of a score.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ScoreFunction {
    score: Score,
    signature: Signature,
}

impl ScoreFunction {
    fn new(score: Score) -> Self {
        let arguments = vec![DataType::Float64; score.constants() + score.columns()];
        Self {
            score,
            signature: Signature::exact(arguments, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for ScoreFunction {
    fn name(&self) -> &str {
        self.score.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (constants, columns) = args
            .args
            .split_at(self.score.constants().min(args.args.len()));
        let Some(constants) = self.constant_values(constants)? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Float64(None)));
        };
        let scorer = self.score.scorer(&constants)?;
        let is_scalar = columns
            .iter()
            .all(|c| matches!(c, ColumnarValue::Scalar(_)));
        let n_rows = if is_scalar { 1 } else { args.number_rows };
        let arrays = columns
            .iter()
            .map(|c| c.to_array(n_rows))
            .collect::<Result<Vec<_>>>()?;
        let arrays = arrays
            .iter()
            .map(|a| as_float64_array(a))
            .collect::<Result<Vec<_>>>()?;
        let scores = score_rows(&scorer, &arrays, n_rows);
        if is_scalar {
            let value = scores.iter().next().flatten();
            return Ok(ColumnarValue::Scalar(ScalarValue::Float64(value)));
        }
        Ok(ColumnarValue::Array(Arc::new(scores) as ArrayRef))
    }
}

impl ScoreFunction {
    /// The values of the constant arguments, `None` where one is null.
    fn constant_values(&self, arguments: &[ColumnarValue]) -> Result<Option<Vec<f64>>> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match argument {
                ColumnarValue::Scalar(ScalarValue::Float64(Some(value))) => values.push(*value),
                ColumnarValue::Scalar(ScalarValue::Float64(None)) => return Ok(None),
                _ => {
                    return exec_err!(
                        "the first {} arguments of {} must be constants",
                        self.score.constants(),
                        self.score.name()
                    );
                }
            }
        }
        Ok(Some(values))
    }
}

fn score_rows(scorer: &Scorer, arrays: &[&Float64Array], n_rows: usize) -> Float64Array {
    let mut memory = Memory::default();
    let mut row_values = vec![0.0; arrays.len()];
    (0..n_rows)
        .map(|row| {
            for (value, array) in row_values.iter_mut().zip(arrays) {
                if array.is_null(row) || !array.value(row).is_finite() {
                    return None;
                }
                *value = array.value(row);
            }
            Some(scorer.score(&row_values, &mut memory)).filter(|score| score.is_finite())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::config::ConfigOptions;

    use super::*;

    /// Parameters of the CDNOW customers in weeks (Fader, Hardie and Lee 2005).
    const CDNOW: [f64; 4] = [0.243, 4.414, 0.793, 2.426];

    fn call(name: &str, constants: &[f64], columns: &[Vec<Option<f64>>]) -> Vec<Option<f64>> {
        let functions = clv_functions();
        let function = functions
            .iter()
            .find(|f| f.name() == name)
            .expect("a function");
        let number_rows = columns.first().map_or(0, Vec::len);
        let args: Vec<ColumnarValue> = constants
            .iter()
            .map(|c| ColumnarValue::Scalar(ScalarValue::Float64(Some(*c))))
            .chain(columns.iter().map(|c| {
                ColumnarValue::Array(
                    Arc::new(c.iter().copied().collect::<Float64Array>()) as ArrayRef
                )
            }))
            .collect();
        let field = Arc::new(Field::new("x", DataType::Float64, true));
        let result = function
            .invoke_with_args(ScalarFunctionArgs {
                arg_fields: vec![Arc::clone(&field); args.len()],
                args,
                number_rows,
                return_field: field,
                config_options: Arc::new(ConfigOptions::default()),
            })
            .expect("a result");
        let array = result.to_array(number_rows).expect("an array");
        as_float64_array(&array).expect("doubles").iter().collect()
    }

    #[test]
    fn scores_of_the_published_customer() {
        let history = [vec![Some(2.0)], vec![Some(30.43)], vec![Some(38.86)]];
        let alive = call("bgnbd_p_alive", &CDNOW, &history)[0].expect("a value");
        assert!((alive - 0.7266).abs() < 1e-3, "{alive}");
        let constants = [&CDNOW[..], &[39.0]].concat();
        let purchases = call("bgnbd_expected_purchases", &constants, &history)[0].expect("a value");
        assert!((purchases - 1.226).abs() < 1e-3, "{purchases}");
    }

    #[test]
    fn null_or_infinite_arguments_give_null() {
        let history = [
            vec![Some(2.0), None, Some(0.0)],
            vec![Some(30.0), Some(1.0), Some(f64::INFINITY)],
            vec![None, Some(2.0), Some(3.0)],
        ];
        assert_eq!(call("bgnbd_p_alive", &CDNOW, &history), [None, None, None]);
    }

    #[test]
    fn a_value_without_a_mean_is_null() {
        let columns = [vec![Some(0.0), Some(2.0)], vec![Some(0.0), Some(10.0)]];
        let values = call("gg_expected_value", &[6.0, 0.5, 15.0], &columns);
        assert_eq!(values[0], None);
        assert!(values[1].is_some());
    }

    #[test]
    fn discounted_value_is_linear_in_the_value_of_a_purchase() {
        let constants = [&CDNOW[..], &[12.0, 4.345, 0.01]].concat();
        let columns = [
            vec![Some(10.0), Some(20.0)],
            vec![Some(2.0), Some(2.0)],
            vec![Some(30.43), Some(30.43)],
            vec![Some(38.86), Some(38.86)],
        ];
        let values = call("clv_discounted", &constants, &columns);
        let (one, two) = (values[0].expect("a value"), values[1].expect("a value"));
        assert!(one > 0.0 && (two - 2.0 * one).abs() < 1e-9);
    }
}
