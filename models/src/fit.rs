//! What an estimate looks like, whichever model it is for, and when not to trust it.

use std::error::Error;

use crate::optimise::EXTREME_RADIUS;

/// Customers below which an estimate is called weak.
const FEW_CUSTOMERS: u64 = 100;
/// Customers with a repeat purchase below which an estimate is called weak.
const FEW_REPEATERS: u64 = 30;

/// Maximum likelihood estimate of the model `P`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit<P> {
    /// The estimate, in the units of the observations.
    pub parameters: P,
    /// The standard error of each parameter under its name; `None` where the likelihood has no
    /// proper maximum at the estimate, which [`Fit::weak`] then says too.
    pub standard_errors: Option<P>,
    /// Natural logarithm of the likelihood at the estimate.
    pub log_likelihood: f64,
    /// Customers behind the estimate: the sum of the weights of the observations.
    pub n_customers: u64,
    /// Iterations of the optimiser over all its starts.
    pub iterations: u64,
    /// The optimiser settled; otherwise it ran out of iterations.
    pub converged: bool,
    /// Why the estimate should be taken with care, one sentence each; empty for a sound estimate.
    pub weak: Vec<String>,
}

/// A set of parameters that no model can have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("parameter {name} must be positive and finite, but is {value}")]
pub struct ParameterError {
    /// Name of the parameter.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
}

/// Why there is no estimate at all.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// There is nothing to fit.
    #[error("cannot fit without observations")]
    NoObservations,
    /// Nobody has bought twice, so that neither rate nor dropout can be told.
    #[error("cannot fit without a customer who bought more than once")]
    NoRepeaters,
    /// An observation contradicts what it stands for.
    #[error("observation {index} is invalid: {reason}")]
    InvalidObservation {
        /// Position of the observation in the input, from zero.
        index: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The optimiser gave up.
    #[error("cannot maximise the likelihood")]
    Optimiser(#[source] Box<dyn Error + Send + Sync>),
}

/// Refuses parameters that are not positive and finite.
pub(crate) fn check_positive<const N: usize>(
    names: [&'static str; N],
    values: [f64; N],
) -> Result<(), ParameterError> {
    for (name, value) in names.into_iter().zip(values) {
        if !(value > 0.0 && value.is_finite()) {
            return Err(ParameterError { name, value });
        }
    }
    Ok(())
}

/// What the reasons for distrust that all models share are judged by.
pub(crate) struct Evidence<const N: usize> {
    pub(crate) names: [&'static str; N],
    /// The estimate.
    pub(crate) values: [f64; N],
    /// The usual size of each parameter for such data.
    pub(crate) typical: [f64; N],
    pub(crate) standard_errors: Option<[f64; N]>,
    pub(crate) is_converged: bool,
    pub(crate) n_customers: u64,
    pub(crate) n_repeaters: u64,
}

impl<const N: usize> Evidence<N> {
    /// The reasons to take the estimate with care.
    pub(crate) fn weaknesses(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.is_converged {
            reasons.push("the optimiser did not converge".to_owned());
        }
        if self.n_customers < FEW_CUSTOMERS {
            let n = self.n_customers;
            reasons.push(format!("only {n} customers, fewer than {FEW_CUSTOMERS}"));
        }
        if self.n_repeaters < FEW_REPEATERS {
            let n = self.n_repeaters;
            reasons.push(format!(
                "only {n} repeat customers, fewer than {FEW_REPEATERS}"
            ));
        }
        for ((name, value), typical) in self.names.iter().zip(self.values).zip(self.typical) {
            if (value / typical).ln().abs() > EXTREME_RADIUS {
                reasons.push(format!(
                    "parameter {name} = {value:.3e} is at the edge of the search"
                ));
            }
        }
        match self.standard_errors {
            None => reasons.push("the hessian is not positive definite".to_owned()),
            Some(errors) => {
                for ((name, value), error) in self.names.iter().zip(self.values).zip(errors) {
                    if error > value {
                        reasons.push(format!(
                            "the standard error of {name}, {error:.3e}, exceeds its value {value:.3e}"
                        ));
                    }
                }
            }
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Evidence<2> = Evidence {
        names: ["p", "q"],
        values: [2.0, 3.0],
        typical: [1.0, 1.0],
        standard_errors: Some([0.1, 0.2]),
        is_converged: true,
        n_customers: 100,
        n_repeaters: 30,
    };

    #[test]
    fn sound_evidence_has_no_weakness() {
        assert!(SOUND.weaknesses().is_empty());
    }

    #[test]
    fn every_weakness_is_named() {
        let check = |evidence: Evidence<2>, expected: &str| {
            let reasons = evidence.weaknesses();
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            assert!(reasons[0].contains(expected), "{reasons:?}");
        };
        check(
            Evidence {
                is_converged: false,
                ..SOUND
            },
            "did not converge",
        );
        check(
            Evidence {
                n_customers: 99,
                ..SOUND
            },
            "99 customers",
        );
        check(
            Evidence {
                n_repeaters: 29,
                ..SOUND
            },
            "29 repeat",
        );
        check(
            Evidence {
                standard_errors: None,
                ..SOUND
            },
            "positive definite",
        );
        check(
            Evidence {
                standard_errors: Some([0.1, 3.1]),
                ..SOUND
            },
            "error of q",
        );
        check(
            Evidence {
                values: [1e5, 3.0],
                ..SOUND
            },
            "parameter p",
        );
    }

    #[test]
    fn parameters_must_be_positive_and_finite() {
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = check_positive(["r"], [value]).err().map(|error| error.name);
            assert_eq!(error, Some("r"));
        }
    }
}
