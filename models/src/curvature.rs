//! Standard errors from the curvature of a log-likelihood at its maximum.
//!
//! The inverse of the negative Hessian is the asymptotic covariance of the estimate. It is taken
//! by central differences in the logarithms of the parameters, where one step suits them all.

/// Step in the logarithm of a parameter: truncation and rounding are both near 1e-6 with it.
const STEP: f64 = 1e-3;
/// Pivot, relative to its diagonal element, below which a matrix counts as singular.
const SINGULAR: f64 = 1e-9;

/// Standard errors of `point` as the maximum of `ln_likelihood`, in the scale of `point`.
///
/// `None` where the negative Hessian is not positive definite, so that there is no maximum or a
/// ridge through it.
pub(crate) fn standard_errors<const N: usize>(
    ln_likelihood: impl Fn(&[f64; N]) -> f64,
    point: &[f64; N],
) -> Option<[f64; N]> {
    let factor = cholesky(&information(ln_likelihood, point))?;
    Some(inverse_diagonal(&factor).map(f64::sqrt))
}

/// Lower triangle of the negative Hessian.
fn information<const N: usize>(
    ln_likelihood: impl Fn(&[f64; N]) -> f64,
    point: &[f64; N],
) -> [[f64; N]; N] {
    let at = |moves: &[(usize, f64)]| {
        let mut moved = *point;
        for (axis, step) in moves {
            moved[*axis] += step;
        }
        ln_likelihood(&moved)
    };
    let here = at(&[]);
    let second_difference = |i: usize, j: usize| {
        if i == j {
            return at(&[(i, STEP)]) - 2.0 * here + at(&[(i, -STEP)]);
        }
        let equal = at(&[(i, STEP), (j, STEP)]) + at(&[(i, -STEP), (j, -STEP)]);
        let opposite = at(&[(i, STEP), (j, -STEP)]) + at(&[(i, -STEP), (j, STEP)]);
        0.25 * (equal - opposite)
    };
    // The factorisation reads the lower triangle only.
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            if j > i {
                0.0
            } else {
                -second_difference(i, j) / (STEP * STEP)
            }
        })
    })
}

/// Lower triangular factor of a positive definite matrix, else `None`.
fn cholesky<const N: usize>(matrix: &[[f64; N]; N]) -> Option<[[f64; N]; N]> {
    let mut factor = [[0.0_f64; N]; N];
    for i in 0..N {
        for j in 0..=i {
            let inner: f64 = (0..j).map(|k| factor[i][k] * factor[j][k]).sum();
            let rest = matrix[i][j] - inner;
            factor[i][j] = if i == j {
                // Written so that a NaN is refused too.
                let is_positive = rest > SINGULAR * matrix[i][i].abs();
                is_positive.then(|| rest.sqrt())?
            } else {
                rest / factor[j][j]
            };
        }
    }
    Some(factor)
}

/// Diagonal of the inverse of the matrix with this Cholesky factor.
fn inverse_diagonal<const N: usize>(factor: &[[f64; N]; N]) -> [f64; N] {
    std::array::from_fn(|column| {
        // Solve L y = e_column; the squared length of y is the diagonal element.
        let mut solution = [0.0_f64; N];
        for i in column..N {
            let inner: f64 = (column..i).map(|k| factor[i][k] * solution[k]).sum();
            let unit = if i == column { 1.0 } else { 0.0 };
            solution[i] = (unit - inner) / factor[i][i];
        }
        solution.iter().map(|value| value * value).sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadratic_form_gives_its_inverse() {
        // Information [[4, 1], [1, 3]], whose inverse has the diagonal 3/11 and 4/11.
        let ln_likelihood = |p: &[f64; 2]| -(2.0 * p[0] * p[0] + p[0] * p[1] + 1.5 * p[1] * p[1]);
        let errors = standard_errors(ln_likelihood, &[0.0, 0.0]).unwrap_or([f64::NAN; 2]);
        assert!((errors[0] - (3.0_f64 / 11.0).sqrt()).abs() < 1e-8);
        assert!((errors[1] - (4.0_f64 / 11.0).sqrt()).abs() < 1e-8);
    }

    #[test]
    fn a_saddle_and_a_ridge_have_no_standard_errors() {
        assert!(standard_errors(|p: &[f64; 2]| p[0] * p[0] - p[1] * p[1], &[0.0; 2]).is_none());
        assert!(standard_errors(|p: &[f64; 2]| -(p[0] + p[1]).powi(2), &[0.0; 2]).is_none());
        assert!(standard_errors(|_: &[f64; 1]| f64::NAN, &[0.0]).is_none());
    }
}
