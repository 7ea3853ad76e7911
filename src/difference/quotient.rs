//! Difference quotients of functions on slices.

use crate::error::{Error as Misuse, finite, length};
use argmin::core::Error;

/// eps^(1/3): balances truncation h^2 against rounding eps/h.
pub(super) const FIRST: f64 = 6.055454452393343e-6;
/// eps^(1/4): balances truncation h^2 against rounding eps/h^2.
const SECOND: f64 = 1.220703125e-4;
const HALVINGS: usize = 10;

/// Writes the gradient of `f` at `x` to `out`, by central differences with 2n evaluations.
///
/// ```
/// use raphson::difference::gradient;
/// let mut g = [0.0; 2];
/// gradient(|x| Ok(x[0] * x[1]), &[3.0, 4.0], &mut g)?;
/// assert!((g[0] - 4.0).abs() < 1e-8 && (g[1] - 3.0).abs() < 1e-8);
/// # Ok::<(), argmin::core::Error>(())
/// ```
pub fn gradient(
    mut f: impl FnMut(&[f64]) -> Result<f64, Error>,
    x: &[f64],
    out: &mut [f64],
) -> Result<(), Error> {
    length("gradient", x.len(), out.len())?;
    finite("x", x)?;
    let mut trial = x.to_vec();
    for (j, derivative) in out.iter_mut().enumerate() {
        halving(
            "central difference of the cost (step halved 10 times)",
            FIRST * size(x[j]),
            |h| {
                trial[j] = x[j] + h;
                let (right, above) = (trial[j], f(&trial)?);
                trial[j] = x[j] - h;
                let (left, below) = (trial[j], f(&trial)?);
                trial[j] = x[j];
                *derivative = (above - below) / (right - left);
                Ok((!derivative.is_finite()).then_some((j, *derivative)))
            },
        )?;
    }
    Ok(())
}

/// The Hessian of `f` at `x` as rows, symmetric, by second differences with 2n^2 + 1 evaluations.
///
/// ```text
/// H_ii = (f(x + h_i) - 2 f(x) + f(x - h_i)) / h_i^2
/// H_ij = (f(x + h_i + h_j) - f(x + h_i - h_j) - f(x - h_i + h_j) + f(x - h_i - h_j)) / 4 h_i h_j
/// ```
pub fn hessian(
    mut f: impl FnMut(&[f64]) -> Result<f64, Error>,
    x: &[f64],
) -> Result<Vec<Vec<f64>>, Error> {
    finite("x", x)?;
    let n = x.len();
    let mut trial = x.to_vec();
    let mut rows = vec![vec![0.0; n]; n];
    if n == 0 {
        return Ok(rows);
    }
    let center = f(x)?;
    const WHAT: &str = "second difference of the cost (step halved 10 times)";
    for i in 0..n {
        halving(WHAT, SECOND, |step| {
            let h = exact_step(x[i], step);
            let mut value = |t: f64| {
                trial[i] = x[i] + t;
                f(&trial)
            };
            let (above, below) = (value(h)?, value(-h)?);
            trial[i] = x[i];
            rows[i][i] = ((above - center) - (center - below)) / (h * h);
            Ok((!rows[i][i].is_finite()).then_some((i, rows[i][i])))
        })?;
        for j in 0..i {
            halving(WHAT, SECOND, |step| {
                let (a, b) = (exact_step(x[i], step), exact_step(x[j], step));
                let mut value = |s: f64, t: f64| {
                    trial[i] = x[i] + s;
                    trial[j] = x[j] + t;
                    f(&trial)
                };
                let same = (value(a, b)?, value(-a, -b)?);
                let opposite = (value(a, -b)?, value(-a, b)?);
                (trial[i], trial[j]) = (x[i], x[j]);
                let mixed = ((same.0 - opposite.0) + (same.1 - opposite.1)) / (4.0 * a * b);
                rows[i][j] = mixed;
                rows[j][i] = mixed;
                Ok((!mixed.is_finite()).then_some((i, mixed)))
            })?;
        }
    }
    Ok(rows)
}

/// The Jacobian of `f`, which writes m values, as m rows, by central differences with 2n evaluations.
pub fn jacobian(
    mut f: impl FnMut(&[f64], &mut [f64]) -> Result<(), Error>,
    x: &[f64],
    m: usize,
) -> Result<Vec<Vec<f64>>, Error> {
    finite("x", x)?;
    let mut trial = x.to_vec();
    let mut rows = vec![vec![0.0; x.len()]; m];
    let (mut above, mut below) = (vec![0.0; m], vec![0.0; m]);
    for j in 0..x.len() {
        halving(
            "central difference of a vector function (step halved 10 times)",
            FIRST * size(x[j]),
            |h| {
                trial[j] = x[j] + h;
                let right = trial[j];
                f(&trial, &mut above)?;
                trial[j] = x[j] - h;
                let left = trial[j];
                f(&trial, &mut below)?;
                trial[j] = x[j];
                for ((a, b), row) in above.iter_mut().zip(&below).zip(&mut rows) {
                    *a = (*a - b) / (right - left);
                    row[j] = *a;
                }
                Ok(first_non_finite(&above))
            },
        )?;
    }
    Ok(rows)
}

/// Calls `quotient` with the step, halved as long as it reports a non-finite entry and its index.
pub(super) fn halving(
    what: &'static str,
    mut step: f64,
    mut quotient: impl FnMut(f64) -> Result<Option<(usize, f64)>, Error>,
) -> Result<(), Error> {
    for _ in 0..HALVINGS {
        if quotient(step)?.is_none() {
            return Ok(());
        }
        step *= 0.5;
    }
    match quotient(step)? {
        None => Ok(()),
        Some((index, value)) => Err(Misuse::NonFinite { what, index, value }.into()),
    }
}

pub(super) fn first_non_finite(values: &[f64]) -> Option<(usize, f64)> {
    values
        .iter()
        .position(|v| !v.is_finite())
        .map(|i| (i, values[i]))
}

fn size(x: f64) -> f64 {
    x.abs().max(1.0)
}

/// `relative` times the size of `x`, rounded such that x + h is exact to the last digit of x.
fn exact_step(x: f64, relative: f64) -> f64 {
    (x + relative * size(x)) - x
}

pub(super) fn norm(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |sum: f64, v| sum.hypot(*v))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_near(found: &[f64], exact: &[f64], relative: f64) {
        assert_eq!(found.len(), exact.len());
        for (f, e) in found.iter().zip(exact) {
            assert!((f - e).abs() <= relative * e.abs().max(1.0), "{f} for {e}");
        }
    }

    #[test]
    fn gradient_of_the_square_at_every_scale() {
        for x in [0.0, 1e-12, 100.0, 1e12] {
            let mut g = [f64::NAN];
            gradient(|x| Ok(x[0] * x[0]), &[x], &mut g).unwrap();
            assert_near(&g, &[2.0 * x], 1e-9);
        }
    }

    #[test]
    fn jacobian_has_a_row_for_each_value() {
        let f = |x: &[f64], out: &mut [f64]| {
            out.copy_from_slice(&[x[0] * x[1], x[1].exp(), 3.0 * x[0]]);
            Ok(())
        };
        let j = jacobian(f, &[2.0, 0.5], 3).unwrap();
        assert_eq!(j.len(), 3);
        assert_near(&j[0], &[0.5, 2.0], 1e-9);
        assert_near(&j[1], &[0.0, 0.5f64.exp()], 1e-9);
        assert_near(&j[2], &[3.0, 0.0], 1e-9);
    }

    #[test]
    fn step_is_halved_at_the_edge_of_the_domain() {
        let x = 1e-6;
        let mut g = [f64::NAN];
        let mut calls = 0;
        let log = |v: &[f64]| {
            calls += 1;
            Ok(v[0].ln())
        };
        gradient(log, &[x], &mut g).unwrap();
        // 6.06e-6 / 2^3 < 1e-6: the fourth step is the first inside the domain.
        assert_eq!(calls, 8);
        assert!(g[0] > 1e6 && g[0] < 1.5e6, "{}", g[0]);
    }

    #[test]
    fn outside_the_domain_names_the_variable() {
        let mut g = [0.0; 2];
        let error = gradient(|x| Ok(x[0] + x[1].sqrt()), &[1.0, 0.0], &mut g).unwrap_err();
        let Some(Misuse::NonFinite { index, value, .. }) = error.downcast_ref() else {
            panic!("{error}");
        };
        assert_eq!(*index, 1);
        assert!(value.is_nan());
        assert!(error.to_string().contains("step halved 10 times"));
    }

    #[test]
    fn errors_of_the_function_pass_through() {
        let fail = |_: &[f64]| -> Result<f64, Error> { Err(std::fmt::Error.into()) };
        let error = gradient(fail, &[1.0], &mut [0.0]).unwrap_err();
        assert!(error.is::<std::fmt::Error>());
        assert!(hessian(fail, &[1.0]).unwrap_err().is::<std::fmt::Error>());
        let error = gradient(|_| Ok(0.0), &[1.0], &mut [0.0; 2]).unwrap_err();
        assert!(matches!(
            error.downcast_ref(),
            Some(Misuse::WrongLength { .. })
        ));
    }
}
