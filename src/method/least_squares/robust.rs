//! Robust losses: what a large residual may cost.

use crate::error::Error;

/// A loss that grows more slowly than the square, so that outliers weigh less.
///
/// With a scale s > 0 in the units of r, f = ½ s² Σ ρ(zᵢ), zᵢ = (rᵢ/s)². Every ρ has ρ(z) ≈ z
/// for small z, so that a large scale gives plain least squares.
///
/// The first two are convex in r; the others fall back to outliers of ever less (or no)
/// influence, have local minima and want a good start, such as the fit by Huber's. Where every
/// residual is beyond the scale of Tukey's loss f is flat: `Failed(RankDeficient)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum RobustLoss {
    /// ρ = z for z ≤ 1, else 2√z − 1. 95 % efficient for normal errors at s = 1.345 σ.
    Huber,
    /// ρ = 2(√(1 + z) − 1), a smooth Huber.
    SoftL1,
    /// ρ = ln(1 + z). 95 % efficient at s = 2.385 σ.
    Cauchy,
    /// ρ = (1 − (1 − z)³)/3 for z ≤ 1, else ⅓: no influence at all beyond s. 95 % efficient at
    /// s = 4.685 σ.
    Tukey,
}

/// Least share of the weight ρ' that the curvature of one residual may have.
const FLOOR: f64 = 0.1;

impl RobustLoss {
    /// ρ(z) and ρ'(z), and ρ' + 2zρ'', the second derivative with respect to r.
    fn terms(self, z: f64) -> (f64, f64, f64) {
        match self {
            RobustLoss::Huber if z <= 1.0 => (z, 1.0, 1.0),
            RobustLoss::Huber => {
                let root = z.sqrt();
                (2.0 * root - 1.0, 1.0 / root, 0.0)
            }
            RobustLoss::SoftL1 => {
                let root = (1.0 + z).sqrt();
                // 2(root − 1) without cancellation, and 1/root³.
                (2.0 * z / (root + 1.0), 1.0 / root, 1.0 / root / (1.0 + z))
            }
            RobustLoss::Cauchy => {
                let slope = 1.0 / (1.0 + z);
                (z.ln_1p(), slope, (1.0 - z) * slope * slope)
            }
            RobustLoss::Tukey if z <= 1.0 => {
                let rest = 1.0 - z;
                let value = z * (1.0 - z + z * z / 3.0);
                (value, rest * rest, rest * (1.0 - 5.0 * z))
            }
            RobustLoss::Tukey => (1.0 / 3.0, 0.0, 0.0),
        }
    }
}

/// Plain least squares, or a robust loss with its scale.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Loss {
    pub(super) robust: Option<(RobustLoss, f64)>,
}

impl Loss {
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.robust {
            Some((_, scale)) if !(scale > 0.0 && scale.is_finite()) => Err(Error::parameter(
                "scale of the loss",
                scale,
                "positive and finite",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.robust.is_none()
    }

    /// f of the residuals.
    pub(super) fn value(&self, r: &[f64]) -> f64 {
        let Some((loss, scale)) = self.robust else {
            let size = crate::parallel::norm(r);
            return 0.5 * size * size;
        };
        let terms = r.iter().map(|r| loss.terms((r / scale) * (r / scale)).0);
        0.5 * scale * scale * terms.sum::<f64>()
    }

    /// Writes w and t with JᵀQJ = (WJ)ᵀ(WJ) and the gradient (WJ)ᵀt, where W = diag(w).
    ///
    /// Qᵢ = max(ρ' + 2zρ'', ρ'/10): the curvature of f where that is safely positive, so that
    /// Newton's rate is kept, and never less than a tenth of the weight ρ' of iteratively
    /// reweighted least squares, so that t = ρ'r/√Q stays bounded where the curvature vanishes.
    pub(super) fn weigh(&self, r: &[f64], w: &mut [f64], t: &mut [f64]) {
        let Some((loss, scale)) = self.robust else {
            w.fill(1.0);
            t.copy_from_slice(r);
            return;
        };
        for ((r, w), t) in r.iter().zip(w).zip(t) {
            let (_, slope, curvature) = loss.terms((r / scale) * (r / scale));
            let root = curvature.max(FLOOR * slope).sqrt();
            *w = root;
            *t = if root > 0.0 { slope * r / root } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [RobustLoss; 4] = [
        RobustLoss::Huber,
        RobustLoss::SoftL1,
        RobustLoss::Cauchy,
        RobustLoss::Tukey,
    ];

    #[test]
    fn derivatives_agree_with_differences() {
        for loss in ALL {
            // φ(r) = ½ρ(r²): φ' = ρ'r, φ'' = ρ' + 2zρ''.
            let phi = |r: f64| 0.5 * loss.terms(r * r).0;
            let slope = |r: f64| loss.terms(r * r).1 * r;
            for r in [-3.0, -1.2, -0.7, -0.3, 0.0, 0.1, 0.4, 0.9, 1.5, 20.0] {
                let h = 1e-5;
                let first = (phi(r + h) - phi(r - h)) / (2.0 * h);
                let second = (slope(r + h) - slope(r - h)) / (2.0 * h);
                assert!((first - slope(r)).abs() < 1e-9, "{loss:?} {r}");
                assert!((second - loss.terms(r * r).2).abs() < 1e-8, "{loss:?} {r}");
            }
        }
    }

    #[test]
    fn small_residuals_count_as_squares() {
        for loss in ALL {
            let (value, slope, curvature) = loss.terms(1e-12);
            assert!((value / 1e-12 - 1.0).abs() < 2e-12, "{loss:?}");
            assert!((slope - 1.0).abs() < 3e-12 && (curvature - 1.0).abs() < 1e-11);
        }
    }

    #[test]
    fn the_weights_give_the_gradient_and_a_semidefinite_curvature() {
        let r = [-7.0, -1.0, -0.5, 0.0, 0.2, 1.0, 1.7, 30.0, 1e200];
        for loss in ALL {
            let robust = Some((loss, 1.3));
            let (mut w, mut t) = ([0.0; 9], [0.0; 9]);
            Loss { robust }.weigh(&r, &mut w, &mut t);
            for i in 0..r.len() {
                let exact = loss.terms((r[i] / 1.3) * (r[i] / 1.3)).1 * r[i];
                assert!(
                    (w[i] * t[i] - exact).abs() <= 1e-14 * exact.abs(),
                    "{loss:?}"
                );
                assert!(w[i] >= 0.0 && w[i] <= 1.0 && t[i].is_finite());
            }
        }
    }
}
