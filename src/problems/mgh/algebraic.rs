//! Residuals of the problems with two to four variables that fit no data.

use crate::autodiff::Number;
use std::f64::consts::PI;

/// 1: the valley x₂ = x₁².
pub fn rosenbrock<T: Number>(x: &[T], r: &mut [T]) {
    r[0] = (x[1] - x[0].powi(2)) * 10.0;
    r[1] = -x[0] + 1.0;
}

/// 2.
pub fn freudenstein_roth<T: Number>(x: &[T], r: &mut [T]) {
    r[0] = x[0] - 13.0 + ((-x[1] + 5.0) * x[1] - 2.0) * x[1];
    r[1] = x[0] - 29.0 + ((x[1] + 1.0) * x[1] - 14.0) * x[1];
}

/// 3.
pub fn powell_badly_scaled<T: Number>(x: &[T], r: &mut [T]) {
    r[0] = x[0] * x[1] * 1e4 - 1.0;
    r[1] = (-x[0]).exp() + (-x[1]).exp() - 1.0001;
}

/// 4.
pub fn brown_badly_scaled<T: Number>(x: &[T], r: &mut [T]) {
    r[0] = x[0] - 1e6;
    r[1] = x[1] - 2e-6;
    r[2] = x[0] * x[1] - 2.0;
}

/// 5: yᵢ − x₁(1 − x₂ⁱ).
pub fn beale<T: Number>(x: &[T], r: &mut [T]) {
    let mut power = T::from(1.0);
    for (r, y) in r.iter_mut().zip([1.5, 2.25, 2.625]) {
        power *= x[1];
        *r = x[0] * (power - 1.0) + y;
    }
}

/// 7: the valley is a helix; the angle jumps by a turn where x₁ = 0 and x₂ < 0.
pub fn helical_valley<T: Number>(x: &[T], r: &mut [T]) {
    r[0] = (x[2] - turn(x[0], x[1]) * 10.0) * 10.0;
    r[1] = ((x[0].powi(2) + x[1].powi(2)).sqrt() - 1.0) * 10.0;
    r[2] = x[2];
}

/// The angle of (a, b) in turns, in (−1/4, 3/4), from the quotient that is at most 1.
fn turn<T: Number>(a: T, b: T) -> T {
    if a.re().abs() >= b.re().abs() {
        let half = if a.re() < 0.0 { 0.5 } else { 0.0 };
        (b / a).atan() / (2.0 * PI) + half
    } else {
        // The quarter turn to the nearer half of the second axis.
        let quarter = match (b.re() > 0.0, a.re() < 0.0) {
            (true, _) => 0.25,
            (false, true) => 0.75,
            (false, false) => -0.25,
        };
        -(a / b).atan() / (2.0 * PI) + quarter
    }
}

/// 13.
pub fn powell_singular<T: Number>(x: &[T], r: &mut [T]) {
    r[0] = x[0] + x[1] * 10.0;
    r[1] = (x[2] - x[3]) * 5.0_f64.sqrt();
    r[2] = (x[1] - x[2] * 2.0).powi(2);
    r[3] = (x[0] - x[3]).powi(2) * 10.0_f64.sqrt();
}

/// 14.
pub fn wood<T: Number>(x: &[T], r: &mut [T]) {
    r[0] = (x[1] - x[0].powi(2)) * 10.0;
    r[1] = -x[0] + 1.0;
    r[2] = (x[3] - x[2].powi(2)) * 90.0_f64.sqrt();
    r[3] = -x[2] + 1.0;
    r[4] = (x[1] + x[3] - 2.0) * 10.0_f64.sqrt();
    r[5] = (x[1] - x[3]) / 10.0_f64.sqrt();
}
