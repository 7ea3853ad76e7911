//! BFGS updates of a factor that serves at more than one point.
//!
//! The Hessian H̃ of an earlier point or of a sample of the data is brought up to date by the gradients that come in
//! anyway: for s = x₊ − x and y = g₊ − g,
//!
//! H̃₊ = H̃ − H̃ssᵀH̃/(sᵀH̃s) + yyᵀ/(sᵀy)
//!
//! has H̃₊s = y and is positive definite if H̃ is and sᵀy > 0; pairs that lack that are left out. H̃₊⁻¹ is
//! applied by the two-loop recursion around a solve with the factor: 8 flops for each entry of the pairs beside
//! the 2d² of the solve. The steps are those of limited-memory BFGS that starts from H̃, not from a
//! multiple of the identity: where full steps by H̃ alone leave a part ρ of the gradient, the
//! eigenvalues of H̃⁻¹H lie within ρ of 1, and the updates make the rate better than linear.
//!
//! Reference: J. Nocedal, "Updating quasi-Newton matrices with limited storage", Math. Comp. 35
//! (1980), the recursion of section 2.

use super::Iterate;
use crate::linear::axpy;
use crate::parallel::{dot, norm};

/// Most pairs; the oldest go.
const PAIRS: usize = 16;
/// Least cosine between s and y; less is rounding.
const CURVED: f64 = 1e-10;

/// The pairs since the factor was made, in the order of their age.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Secant {
    pairs: Vec<Pair>,
    /// x and g of the last iterate.
    x: Vec<f64>,
    g: Vec<f64>,
}

#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Pair {
    s: Vec<f64>,
    y: Vec<f64>,
    /// sᵀy.
    product: f64,
}

impl Secant {
    /// A new factor is made at `at`.
    pub(crate) fn restart(&mut self, at: &Iterate) {
        self.pairs.clear();
        self.leave(at);
    }

    /// The factor is to serve at `at` too.
    pub(crate) fn update(&mut self, at: &Iterate) {
        if self.x.len() != at.x.len() {
            return self.restart(at);
        }
        let mut pair = match self.pairs.len() < PAIRS {
            true => Pair::default(),
            false => self.pairs.remove(0),
        };
        let differences = |out: &mut Vec<f64>, to: &[f64], from: &[f64]| {
            out.clear();
            out.extend(to.iter().zip(from).map(|(to, from)| to - from));
        };
        differences(&mut pair.s, &at.x, &self.x);
        differences(&mut pair.y, &at.g, &self.g);
        pair.product = dot(&pair.s, &pair.y);
        // NaN compares false.
        if pair.product > CURVED * norm(&pair.s) * norm(&pair.y) {
            self.pairs.push(pair);
        }
        self.leave(at);
    }

    fn leave(&mut self, at: &Iterate) {
        self.x.clone_from(&at.x);
        self.g.clone_from(&at.g);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Overwrites `v` by H̃₊⁻¹v; `solve` overwrites a vector by H̃⁻¹ times it.
    pub(crate) fn solve<E>(
        &self,
        v: &mut [f64],
        solve: impl FnOnce(&mut [f64]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut parts = [0.0; PAIRS];
        for (pair, part) in self.pairs.iter().zip(&mut parts).rev() {
            *part = dot(&pair.s, v) / pair.product;
            axpy(-*part, &pair.y, v);
        }
        solve(v)?;
        for (pair, part) in self.pairs.iter().zip(parts) {
            axpy(part - dot(&pair.y, v) / pair.product, &pair.s, v);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: &[f64], g: &[f64]) -> Iterate {
        Iterate {
            x: x.to_vec(),
            g: g.to_vec(),
            ..Iterate::default()
        }
    }

    /// The recursion in terms of the matrix of the module's documentation.
    fn updated(h: [[f64; 2]; 2], s: [f64; 2], y: [f64; 2]) -> [[f64; 2]; 2] {
        let hs = [0, 1].map(|i| h[i][0] * s[0] + h[i][1] * s[1]);
        let shs = s[0] * hs[0] + s[1] * hs[1];
        let sy = s[0] * y[0] + s[1] * y[1];
        [0, 1].map(|i| [0, 1].map(|j| h[i][j] - hs[i] * hs[j] / shs + y[i] * y[j] / sy))
    }

    #[test]
    fn the_recursion_inverts_the_updated_matrix() {
        let points = [
            at(&[0.0, 0.0], &[1.0, -2.0]),
            at(&[1.0, 0.5], &[4.0, -1.0]),
            at(&[0.5, -1.0], &[3.0, -6.0]),
        ];
        let mut secant = Secant::default();
        secant.restart(&points[0]);
        let mut h = [[2.0, 0.0], [0.0, 5.0]];
        for pair in points.windows(2) {
            secant.update(&pair[1]);
            let [s, y] = [
                [pair[1].x[0] - pair[0].x[0], pair[1].x[1] - pair[0].x[1]],
                [pair[1].g[0] - pair[0].g[0], pair[1].g[1] - pair[0].g[1]],
            ];
            h = updated(h, s, y);
            for v in [[1.0, 0.0], [0.3, -0.7], s] {
                let mut hv = [0, 1].map(|i| h[i][0] * v[0] + h[i][1] * v[1]);
                let divide = |v: &mut [f64]| {
                    (v[0], v[1]) = (v[0] / 2.0, v[1] / 5.0);
                    Ok::<(), ()>(())
                };
                secant.solve(&mut hv, divide).unwrap();
                assert!(hv.iter().zip(v).all(|(a, b)| (a - b).abs() < 1e-14));
            }
        }
    }

    #[test]
    fn pairs_without_curvature_are_left_out_and_old_ones_go() {
        let mut secant = Secant::default();
        secant.restart(&at(&[0.0], &[1.0]));
        for (x, g) in [
            (1.0, 1.0),
            (2.0, 0.5),
            (2.0, 0.7),
            (3.0, f64::NAN),
            (4.0, 1.0),
        ] {
            secant.update(&at(&[x], &[g]));
            assert!(secant.is_empty(), "{x}");
        }
        for k in 0..40 {
            secant.update(&at(&[5.0 + f64::from(k)], &[2.0 + f64::from(k)]));
        }
        assert_eq!(secant.pairs.len(), PAIRS);
        let oldest = &secant.pairs[0];
        assert_eq!((oldest.s[0], oldest.y[0]), (1.0, 1.0));
        secant.restart(&at(&[0.0], &[1.0]));
        assert!(secant.is_empty());
        // Of another length: nothing is compared.
        secant.update(&at(&[0.0, 1.0], &[1.0, 1.0]));
        assert!(secant.is_empty());
    }
}
