//! Sums, deviations and regressions of floating numbers over frames that move.

use std::fmt::Debug;

use datafusion::arrow::array::{Array, ArrayRef, Float64Array};
use datafusion::common::cast::as_float64_array;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::Accumulator;

use super::stacks::{Frame, Part};

/// `sum` of floating numbers.
pub(crate) fn total() -> Box<dyn Accumulator> {
    made::<Sum>(|sum| known(sum.n > 0, sum.total))
}

/// `avg` of floating numbers.
pub(crate) fn average() -> Box<dyn Accumulator> {
    made::<Sum>(|sum| known(sum.n > 0, sum.total / sum.n as f64))
}

/// The accumulator of DataFusion's function `name`; `None` where it is not one of floating numbers.
pub(super) fn accumulator(name: &str) -> Option<Box<dyn Accumulator>> {
    Some(match name {
        "var" => made::<Spread>(|s| known(s.n > 1, s.squares / (s.n as f64 - 1.0))),
        "var_pop" => made::<Spread>(|s| known(s.n > 0, s.variance())),
        "stddev" => made::<Spread>(|s| known(s.n > 1, (s.squares / (s.n as f64 - 1.0)).sqrt())),
        "stddev_pop" => made::<Spread>(|s| known(s.n > 0, s.variance().sqrt())),
        "covar_samp" => made::<Pairs>(|p| known(p.n > 1, p.products / (p.n as f64 - 1.0))),
        "covar_pop" => made::<Pairs>(|p| known(p.n > 0, p.products / p.n as f64)),
        "corr" => made::<Pairs>(Pairs::correlation),
        "regr_count" => made::<Pairs>(|p| ScalarValue::UInt64(Some(p.n))),
        "regr_avgy" => made::<Pairs>(|p| known(p.n > 0, p.mean_y)),
        "regr_avgx" => made::<Pairs>(|p| known(p.n > 0, p.mean_x)),
        "regr_syy" => made::<Pairs>(|p| known(p.n > 0, p.squares_y)),
        "regr_sxx" => made::<Pairs>(|p| known(p.n > 0, p.squares_x)),
        "regr_sxy" => made::<Pairs>(|p| known(p.n > 0, p.products)),
        "regr_slope" => made::<Pairs>(|p| known(p.has_line(), p.slope())),
        "regr_intercept" => made::<Pairs>(|p| known(p.has_line(), p.mean_y - p.slope() * p.mean_x)),
        "regr_r2" => made::<Pairs>(|p| {
            let share = (p.products / p.squares_x) * (p.products / p.squares_y);
            known(p.has_line() && p.squares_y != 0.0, share)
        }),
        _ => return None,
    })
}

fn known(is_known: bool, value: f64) -> ScalarValue {
    ScalarValue::Float64(is_known.then_some(value))
}

fn made<P: Numbers>(finish: fn(P) -> ScalarValue) -> Box<dyn Accumulator> {
    Box::new(MovingNumbers {
        frame: Frame::<P>::default(),
        finish,
    })
}

/// A part of a frame of rows of floating numbers.
trait Numbers: Part {
    /// The parts of single rows; that of no rows for a row with NULL.
    fn of_rows(columns: &[ArrayRef], take: impl FnMut(Self)) -> Result<()>;
}

#[derive(Debug)]
struct MovingNumbers<P> {
    frame: Frame<P>,
    finish: fn(P) -> ScalarValue,
}

impl<P: Numbers> Accumulator for MovingNumbers<P> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        P::of_rows(values, |part| self.frame.push(part))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let n_rows = values.first().map_or(0, |column| column.len());
        (0..n_rows).for_each(|_| self.frame.pop());
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok((self.finish)(self.frame.total()))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("frames are not merged")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("frames are not merged")
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.frame.heap_size()
    }
}

fn one_column(columns: &[ArrayRef]) -> Result<&Float64Array> {
    match columns {
        [column] => as_float64_array(column),
        _ => exec_err!("one column of floating numbers is needed"),
    }
}

/// How many, and their sum.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    n: u64,
    total: f64,
}

impl Part for Sum {
    fn and(self, later: Self) -> Self {
        Self {
            n: self.n + later.n,
            total: self.total + later.total,
        }
    }
}

impl Numbers for Sum {
    fn of_rows(columns: &[ArrayRef], mut take: impl FnMut(Self)) -> Result<()> {
        for value in one_column(columns)? {
            take(value.map_or_else(Self::default, |total| Self { n: 1, total }));
        }
        Ok(())
    }
}

/// How many, their mean, and the sum of the squares of their distances from it.
#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    n: u64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn variance(self) -> f64 {
        match self.n {
            1 => 0.0,
            n => self.squares / n as f64,
        }
    }
}

/// How far a number is from itself: not at all, unless it is none that can be subtracted.
fn own_distance(value: f64) -> f64 {
    match value.is_finite() {
        true => 0.0,
        false => f64::NAN,
    }
}

impl Part for Spread {
    fn and(self, later: Self) -> Self {
        if self.n == 0 || later.n == 0 {
            return if self.n == 0 { later } else { self };
        }
        let n = self.n + later.n;
        let distance = later.mean - self.mean;
        let share = later.n as f64 / n as f64;
        Self {
            n,
            mean: self.mean + distance * share,
            squares: self.squares + later.squares + distance * distance * self.n as f64 * share,
        }
    }
}

impl Numbers for Spread {
    fn of_rows(columns: &[ArrayRef], mut take: impl FnMut(Self)) -> Result<()> {
        for value in one_column(columns)? {
            take(value.map_or_else(Self::default, |mean| Self {
                n: 1,
                mean,
                squares: own_distance(mean),
            }));
        }
        Ok(())
    }
}

/// As [`Spread`] for pairs of numbers, with the sum of the products of their distances. The first number of a pair
/// is y.
#[derive(Debug, Clone, Copy, Default)]
struct Pairs {
    n: u64,
    mean_x: f64,
    mean_y: f64,
    squares_x: f64,
    squares_y: f64,
    products: f64,
}

impl Pairs {
    fn has_line(self) -> bool {
        self.n > 1 && self.squares_x != 0.0
    }

    fn slope(self) -> f64 {
        self.products / self.squares_x
    }

    fn correlation(self) -> ScalarValue {
        if self.mean_x.is_nan() && self.mean_y.is_nan() {
            return known(true, f64::NAN);
        }
        let has_nan = self.mean_x.is_nan() || self.mean_y.is_nan();
        let is_flat = self.squares_x == 0.0 || self.squares_y == 0.0;
        let n = self.n as f64;
        let deviations = ((self.squares_x / n).sqrt(), (self.squares_y / n).sqrt());
        let correlation = self.products / n / deviations.0 / deviations.1;
        known(self.n > 1 && !has_nan && !is_flat, correlation)
    }
}

impl Part for Pairs {
    fn and(self, later: Self) -> Self {
        if self.n == 0 || later.n == 0 {
            return if self.n == 0 { later } else { self };
        }
        let n = self.n + later.n;
        let (x, y) = (later.mean_x - self.mean_x, later.mean_y - self.mean_y);
        let share = later.n as f64 / n as f64;
        let weight = self.n as f64 * share;
        Self {
            n,
            mean_x: self.mean_x + x * share,
            mean_y: self.mean_y + y * share,
            squares_x: self.squares_x + later.squares_x + x * x * weight,
            squares_y: self.squares_y + later.squares_y + y * y * weight,
            products: self.products + later.products + x * y * weight,
        }
    }
}

impl Numbers for Pairs {
    fn of_rows(columns: &[ArrayRef], mut take: impl FnMut(Self)) -> Result<()> {
        let [ys, xs] = columns else {
            return exec_err!("two columns of floating numbers are needed");
        };
        for pair in as_float64_array(ys)?.iter().zip(as_float64_array(xs)?) {
            take(match pair {
                (Some(mean_y), Some(mean_x)) => Self {
                    n: 1,
                    mean_x,
                    mean_y,
                    squares_x: own_distance(mean_x),
                    squares_y: own_distance(mean_y),
                    products: own_distance(mean_x) + own_distance(mean_y),
                },
                _ => Self::default(),
            });
        }
        Ok(())
    }
}
