//! The theorem of Newton and Kantorovich, in numbers.

use super::Doubt;

/// Where the exact stationary point lies; see the [module](super) for the theorem.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Ball {
    /// r: a stationary point x* has ‖x − x*‖ ≤ r. L must hold on this ball.
    pub radius: f64,
    /// There is no second one nearer than this, where L holds so far; infinite if L = 0.
    pub uniqueness: f64,
    /// Lower bound μ − L r > 0 of |λ| over all eigenvalues of ∇²f(x*).
    pub curvature: f64,
    /// Upper bound of f(x) − f(x*), at a minimum.
    pub gap: Option<f64>,
}

/// Room for the few roundings of each formula here.
const ROOM: f64 = 16.0 * f64::EPSILON;

/// The ball for |λ(∇²f(x))| ≥ `mu` > 0, ‖∇²f(x)⁻¹∇f(x)‖ ≤ `eta` and a Lipschitz constant `l` that
/// holds up to `reach` from x, or why there is none; with h.
pub(super) fn kantorovich(
    mu: f64,
    eta: f64,
    l: f64,
    reach: f64,
) -> Result<(Ball, f64), (Doubt, f64)> {
    // L η first: both may be tiny.
    let h = if l == 0.0 {
        0.0
    } else {
        l * eta / mu * (1.0 + ROOM)
    };
    // NaN is no proof either.
    if !(h < 0.5 && eta.is_finite()) {
        return Err((Doubt::Gradient, h));
    }
    let root = (1.0 - 2.0 * h).sqrt() * (1.0 - ROOM);
    let radius = 2.0 * eta / (1.0 + root) * (1.0 + ROOM);
    let curvature = (mu - l * radius * (1.0 + ROOM)) * (1.0 - ROOM);
    if curvature <= 0.0 {
        return Err((Doubt::Gradient, h));
    }
    if radius > reach {
        return Err((Doubt::Reach, h));
    }
    let ball = Ball {
        radius,
        uniqueness: ((1.0 + root) * mu / l * (1.0 - ROOM)).min(reach),
        curvature,
        gap: None,
    };
    Ok((ball, h))
}

/// max over 0 ≤ t ≤ r of s t − m t²/2, which bounds f(x) − f(x*) for an f that is m-strongly convex
/// on the ball and has a gradient of norm at most s at x.
pub(super) fn gap(slope: f64, ball: &Ball) -> f64 {
    let (m, r) = (ball.curvature, ball.radius);
    let bound = if slope <= m * r {
        0.5 * slope * (slope / m)
    } else {
        r * (slope - 0.5 * m * r)
    };
    bound * (1.0 + ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cubic_attains_the_theorem() {
        // ½ L t² − μ t + μ η, the slope along one axis, has its roots at r and the limit of uniqueness.
        for (mu, eta, l) in [(1.0, 0.3, 1.5), (2.0, 1e-9, 10.0), (1e-3, 0.1, 4e-3)] {
            let (ball, _) = kantorovich(mu, eta, l, f64::INFINITY).unwrap();
            let slope = |t: f64| 0.5 * l * t * t - mu * t + mu * eta;
            assert!(slope(ball.radius).abs() <= 1e-14 * mu * eta);
            assert!(slope(ball.uniqueness).abs() <= 1e-13 * mu * ball.uniqueness);
            assert!((mu - l * ball.radius - ball.curvature).abs() <= 1e-14 * mu);
            // f falls by exactly ∫ slope from 0 to r, less than the bound.
            let r = ball.radius;
            let fall = l * r.powi(3) / 6.0 - 0.5 * mu * r * r + mu * eta * r;
            assert!(fall <= gap(mu * eta, &ball) && gap(mu * eta, &ball) <= 2.1 * fall);
        }
    }

    #[test]
    fn limits_of_the_theorem() {
        let infinite = f64::INFINITY;
        let doubt =
            |mu, eta, l, reach| kantorovich(mu, eta, l, reach).err().map(|(doubt, _)| doubt);
        assert_eq!(doubt(1.0, 0.5, 1.0, infinite), Some(Doubt::Gradient));
        assert_eq!(doubt(1.0, 0.49, 1.0, infinite), None);
        assert_eq!(doubt(1.0, 0.49, 1.0, 0.5), Some(Doubt::Reach));
        assert_eq!(doubt(1.0, f64::NAN, 1.0, infinite), Some(Doubt::Gradient));
        assert_eq!(doubt(1.0, infinite, 0.0, infinite), Some(Doubt::Gradient));
        // A quadratic: the Newton step ends at the point, alone in the space.
        let (ball, h) = kantorovich(2.0, 0.5, 0.0, infinite).unwrap();
        assert!((ball.radius - 0.5).abs() <= 1e-14);
        assert_eq!((ball.uniqueness, h), (infinite, 0.0));
        let (ball, _) = kantorovich(2.0, 0.0, 5.0, infinite).unwrap();
        assert_eq!(ball.radius, 0.0);
        assert!(ball.uniqueness <= 0.8 && ball.uniqueness >= 0.8 - 1e-13);
    }
}
