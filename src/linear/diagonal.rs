//! A power of the diagonal as preconditioner.
//!
//! # Update
//! M = diag(H)^q with q = ½ or q = 1 (Jacobi).
//!
//! # Why two
//! Jacobi's M undoes a scaling of the variables, and is within a factor d of the best diagonal M
//! (van der Sluis 1969). Where the variables have one unit, as the words of a text, it may be worse
//! than none: the ridge, which bounds the eigenvalues of H from below, is divided by the diagonal of
//! the frequent ones. The square root is the safe choice between the two: of aI ≤ H ≤ bI and
//! c diag(H) ≤ H ≤ e diag(H) the geometric means, monotone in both arguments, give
//! √(ac) diag(H)^½ ≤ H ≤ √(be) diag(H)^½, so that
//!
//! cond(diag(H)^-½ H) ≤ sqrt(cond(H) cond(diag(H)⁻¹H)),
//!
//! and it may be better than both: fits of the texts of news20 take 25 products with it and 31
//! with q = 1. Solves start with q = ½. One of eight iterations or more shows a rate, −log of what it
//! leaves of the residual over its iterations; then the other q has a turn, and from there on the
//! one whose last rate was better.
//!
//! # Cost
//! d roots a system.
//!
//! # References
//! A. van der Sluis, "Condition numbers and equilibration of matrices" (1969), Theorem 4.1;
//! F. Kubo, T. Ando, "Means of positive linear operators" (1980), for the monotony of the mean.

/// A solve of fewer iterations tells nothing about the rate of many.
const TELLING: usize = 8;

/// The power q and what is known about both.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct DiagonalPower {
    /// Whether q = 1.
    whole: bool,
    /// The last rate of q = ½ and of q = 1.
    rates: [Option<f64>; 2],
}

impl DiagonalPower {
    /// Overwrites diag(H) by M. Entries that are not positive are left as they are.
    pub(crate) fn raise(&self, diagonal: &mut [f64]) {
        if !self.whole {
            for m in diagonal {
                *m = if *m > 0.0 { m.sqrt() } else { *m };
            }
        }
    }

    /// Learns from a solve that left so much of the residual, and chooses q for the next.
    pub(crate) fn learn(&mut self, iterations: usize, left: f64) {
        if iterations < TELLING || left.is_nan() || left <= 0.0 {
            return;
        }
        self.rates[usize::from(self.whole)] = Some(-left.ln() / iterations as f64);
        self.whole = match self.rates {
            [Some(half), Some(whole)] => whole > half,
            [half, _] => half.is_some(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::{Mat, Side};

    /// cond(diag(H)^-q H) by the eigenvalues of the symmetric form.
    fn condition(h: &Mat<f64>, q: f64) -> f64 {
        let n = h.nrows();
        let scale: Vec<f64> = (0..n).map(|i| h[(i, i)].powf(-0.5 * q)).collect();
        let scaled = Mat::from_fn(n, n, |i, j| scale[i] * h[(i, j)] * scale[j]);
        let eigenvalues = scaled.self_adjoint_eigenvalues(Side::Lower).unwrap();
        assert!(eigenvalues[0] > 0.0);
        eigenvalues[n - 1] / eigenvalues[0]
    }

    #[test]
    fn the_root_is_never_worse_than_the_geometric_mean_of_both() {
        // Columns of sizes from 10^-spread to 10^spread, and a ridge.
        let n = 8;
        for (case, spread) in [(1, 0.0), (2, 0.5), (3, 1.0), (4, 2.0), (5, 3.0)] {
            let a = Mat::from_fn(3 * n, n, |i, j| {
                let wave = ((7 * i + 13 * j * case + i * j) as f64 * 0.37).sin();
                (1.0 + wave) * 10f64.powf(spread * ((5 * j % n) as f64 / 3.5 - 1.0))
            });
            let mut h = a.transpose() * &a;
            for j in 0..n {
                h[(j, j)] += 1e-2;
            }
            let [none, half, whole] = [0.0, 0.5, 1.0].map(|q| condition(&h, q));
            let bound = (none * whole).sqrt();
            assert!(half <= bound * (1.0 + 1e-6), "{none} {half} {whole}");
        }
    }

    #[test]
    fn the_better_power_is_kept_after_one_turn_of_each() {
        let mut power = DiagonalPower::default();
        let raised = |power: DiagonalPower| {
            let mut m = [4.0, 0.0, -9.0, 0.25];
            power.raise(&mut m);
            m
        };
        let (half, whole) = ([2.0, 0.0, -9.0, 0.5], [4.0, 0.0, -9.0, 0.25]);
        assert_eq!(raised(power), half);
        // Short solves and exact ones tell nothing.
        power.learn(7, 1e-9);
        power.learn(20, 0.0);
        power.learn(20, f64::NAN);
        assert_eq!(power, DiagonalPower::default());
        power.learn(10, 1e-2);
        assert_eq!(raised(power), whole);
        power.learn(10, 1e-1);
        assert_eq!(raised(power), half);
        // A later look at one of them counts in place of the earlier.
        power.learn(40, 1e-2);
        assert_eq!(raised(power), whole);
    }
}
