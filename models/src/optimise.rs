//! Derivative-free minimisation in a box around a centre, for the logarithms of parameters.
//!
//! A thin layer over the Nelder-Mead solver of `argmin`: several starts with a loose tolerance,
//! then restarts with a fresh simplex from the best of them until nothing improves. A single run is
//! known to stall on a collapsed simplex; a restart costs little and finds that out.

use argmin::core::{CostFunction, Error, Executor, State, TerminationReason, TerminationStatus};
use argmin::solver::neldermead::NelderMead;
use argmin_math::{ArgminAdd, ArgminMul, ArgminSub};

use crate::fit::FitError;

/// Distance from the centre, in logarithms, at which the search ends: a factor of a million.
const SEARCH_RADIUS: f64 = 13.8;
/// Distance from the centre from which a parameter counts as extreme: a factor of ten thousand.
pub(crate) const EXTREME_RADIUS: f64 = 9.2;

const MAX_ITERATIONS_PER_RUN: u64 = 1_000;
const MAX_RESTARTS: u32 = 6;
/// Spread of the cost over the simplex at which a first run ends.
const LOOSE_TOLERANCE: f64 = 1e-7;
/// Spread of the cost over the simplex at which a restart ends.
const TIGHT_TOLERANCE: f64 = 1e-12;
/// Improvement of the cost by a restart below which the search ends.
const SETTLED: f64 = 1e-10;
const FIRST_STEP: f64 = 0.5;
const RESTART_STEP: f64 = 0.1;

/// Where the search ended.
pub(crate) struct Minimum<const N: usize> {
    pub(crate) point: [f64; N],
    /// Iterations of all runs together.
    pub(crate) iterations: u64,
    /// The last run met its tolerance and did not improve on the run before it.
    pub(crate) is_converged: bool,
}

/// Minimises `cost`, of the order of one, over the box around `centre`.
///
/// `starts` are offsets from the centre. A cost that is not a number counts as infinitely bad.
pub(crate) fn minimise<const N: usize>(
    cost: impl Fn(&[f64; N]) -> f64,
    centre: [f64; N],
    starts: &[[f64; N]],
) -> Result<Minimum<N>, FitError> {
    let boxed = |offset: &[f64; N]| {
        if offset.iter().any(|value| value.abs() > SEARCH_RADIUS) {
            return f64::INFINITY;
        }
        let value = cost(&add(&centre, offset));
        if value.is_nan() { f64::INFINITY } else { value }
    };

    let mut best = Run {
        point: [0.0; N],
        cost: f64::INFINITY,
        iterations: 0,
        is_settled: false,
    };
    let mut iterations = 0;
    for start in starts {
        let run = run(&boxed, *start, FIRST_STEP, LOOSE_TOLERANCE)?;
        iterations += run.iterations;
        if run.cost < best.cost {
            best = run;
        }
    }

    let mut is_converged = false;
    for _ in 0..MAX_RESTARTS {
        let next = run(&boxed, best.point, RESTART_STEP, TIGHT_TOLERANCE)?;
        iterations += next.iterations;
        is_converged = next.is_settled && best.cost - next.cost < SETTLED;
        if next.cost <= best.cost {
            best = next;
        }
        if is_converged {
            break;
        }
    }
    Ok(Minimum {
        point: add(&centre, &best.point),
        iterations,
        is_converged,
    })
}

struct Run<const N: usize> {
    point: [f64; N],
    cost: f64,
    iterations: u64,
    is_settled: bool,
}

fn run<const N: usize>(
    cost: &impl Fn(&[f64; N]) -> f64,
    start: [f64; N],
    step: f64,
    tolerance: f64,
) -> Result<Run<N>, FitError> {
    let mut simplex = vec![Point(start)];
    simplex.extend((0..N).map(|axis| {
        let mut corner = start;
        // Step towards the centre, so that a start at the edge of the box has a way back.
        corner[axis] += if start[axis] > 0.0 { -step } else { step };
        Point(corner)
    }));
    let solver = NelderMead::new(simplex)
        .with_sd_tolerance(tolerance)
        .map_err(|source| FitError::Optimiser(source.into()))?;
    let result = Executor::new(Objective(cost), solver)
        .configure(|state| state.max_iters(MAX_ITERATIONS_PER_RUN))
        .timer(false)
        .run()
        .map_err(|source| FitError::Optimiser(source.into()))?;
    let state = result.state;
    Ok(Run {
        point: state.get_best_param().map_or(start, |point| point.0),
        cost: state.get_best_cost(),
        iterations: state.get_iter(),
        is_settled: matches!(
            state.get_termination_status(),
            TerminationStatus::Terminated(TerminationReason::SolverConverged)
        ),
    })
}

/// Adapts a closure to the solver.
struct Objective<'a, const N: usize>(&'a dyn Fn(&[f64; N]) -> f64);

impl<const N: usize> CostFunction for Objective<'_, N> {
    type Param = Point<N>;
    type Output = f64;

    fn cost(&self, point: &Point<N>) -> Result<f64, Error> {
        Ok((self.0)(&point.0))
    }
}

/// A vector on the stack with the three operations that the solver needs.
#[derive(Clone, Copy)]
struct Point<const N: usize>([f64; N]);

fn add<const N: usize>(a: &[f64; N], b: &[f64; N]) -> [f64; N] {
    std::array::from_fn(|i| a[i] + b[i])
}

impl<const N: usize> ArgminAdd<Self, Self> for Point<N> {
    fn add(&self, other: &Self) -> Self {
        Self(add(&self.0, &other.0))
    }
}

impl<const N: usize> ArgminSub<Self, Self> for Point<N> {
    fn sub(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
}

impl<const N: usize> ArgminMul<f64, Self> for Point<N> {
    fn mul(&self, factor: &f64) -> Self {
        Self(self.0.map(|value| value * factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_minimum_of_the_rosenbrock_function() -> Result<(), FitError> {
        let cost = |p: &[f64; 2]| (1.0 - p[0]).powi(2) + 100.0 * (p[1] - p[0] * p[0]).powi(2);
        let minimum = minimise(cost, [0.0; 2], &[[-1.2, 1.0], [3.0, 3.0]])?;
        assert!(minimum.is_converged);
        assert!(minimum.point.iter().all(|value| (value - 1.0).abs() < 1e-5));
        Ok(())
    }

    #[test]
    fn stays_inside_the_box_when_there_is_no_minimum() -> Result<(), FitError> {
        let minimum = minimise(|p: &[f64; 1]| -p[0], [2.0], &[[0.0]])?;
        assert!(minimum.point[0] - 2.0 <= SEARCH_RADIUS);
        assert!(minimum.point[0] - 2.0 > EXTREME_RADIUS);
        Ok(())
    }
}
