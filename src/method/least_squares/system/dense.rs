//! Dense Jacobians: singular values of the shorter side, and any damping at O(min(m, n)).

use super::super::secular::{self, Length};
use super::Solution;
use crate::edge::RectView;
use crate::linear::Breakdown;
use crate::linear::orthogonal::Orthogonal;
use crate::parallel::{dot, norm};
use faer::MatMut;

/// A dense A = WJD⁻¹, its factors, and the undamped step.
#[derive(Debug, Default)]
pub(super) struct Dense {
    pub(super) factor: Orthogonal,
    pub(super) rank: usize,
    /// (left)ᵀt.
    target: Vec<f64>,
    coefficients: Vec<f64>,
    pub(super) newton: Vec<f64>,
    /// Basis of the null space in the units of x, to find the step of least norm.
    null: Orthogonal,
    tangent: Vec<f64>,
}

impl Dense {
    pub(super) fn load(
        &mut self,
        view: RectView<'_>,
        weights: Option<&[f64]>,
    ) -> Result<(), Breakdown> {
        let (m, n) = (view.nrows(), view.ncols());
        self.factor.resize(m, n);
        self.target.resize(m.min(n), 0.0);
        self.coefficients.resize(m.min(n), 0.0);
        self.newton.resize(n, 0.0);
        self.tangent.resize(n, 0.0);
        let mut out = self.factor.matrix();
        match view {
            RectView::Dense(a) => fill(&mut out, weights, |i, j| a[(i, j)]),
            other => fill(&mut out, weights, |i, j| other.entry(i, j)),
        }
    }

    pub(super) fn measure(&mut self, t: &[f64], norms: &mut [f64], gradient: &mut [f64]) {
        let a = self.factor.filled();
        if a.row_stride() == 1 {
            for j in 0..a.ncols() {
                let Some(column) = a.col(j).try_as_col_major() else {
                    continue;
                };
                norms[j] = norm(column.as_slice());
                gradient[j] = dot(column.as_slice(), t);
            }
            return;
        }
        // Rows are contiguous: scaled by the largest entry, so that no square overflows.
        let mut largest = 0.0_f64;
        for j in 0..a.ncols() {
            for i in 0..a.nrows() {
                largest = largest.max(a[(i, j)].abs());
            }
        }
        norms.fill(0.0);
        gradient.fill(0.0);
        if largest == 0.0 {
            return;
        }
        for i in 0..a.nrows() {
            for j in 0..a.ncols() {
                let ratio = a[(i, j)] / largest;
                norms[j] += ratio * ratio;
                gradient[j] += a[(i, j)] * t[i];
            }
        }
        norms.iter_mut().for_each(|s| *s = largest * s.sqrt());
    }

    pub(super) fn factor(
        &mut self,
        t: &[f64],
        scale: &[f64],
        plain_norm: bool,
    ) -> Result<Solution, Breakdown> {
        let mut a = self.factor.matrix();
        let (m, n) = (a.nrows(), a.ncols());
        for (j, scale) in scale.iter().enumerate() {
            let divisor = if *scale > 0.0 { *scale } else { 1.0 };
            for i in 0..m {
                a[(i, j)] /= divisor;
            }
        }
        self.factor.factor()?;
        self.factor.left_transposed(t, &mut self.target);
        let values = self.factor.values();
        let largest = values.first().copied().unwrap_or(0.0);
        let negligible = f64::EPSILON * m.max(n) as f64 * largest;
        self.rank = values.iter().take_while(|s| **s > negligible).count();
        let mut predicted = 0.0;
        for (k, p) in self.coefficients.iter_mut().enumerate() {
            *p = if k < self.rank {
                predicted += 0.5 * self.target[k] * self.target[k];
                -self.target[k] / values[k]
            } else {
                0.0
            };
        }
        self.factor.right(&self.coefficients, &mut self.newton);
        if plain_norm && self.rank < n && m >= n {
            self.shorten(scale)?;
        }
        Ok(Solution {
            alpha: 0.0,
            length: norm(&self.newton),
            predicted,
        })
    }

    /// Takes the component along the null space of WJ off the undamped step.
    fn shorten(&mut self, scale: &[f64]) -> Result<(), Breakdown> {
        let n = scale.len();
        self.null.resize(n, n - self.rank);
        let vectors = &self.factor.right_vectors()[self.rank * n..];
        let mut basis = self.null.matrix();
        for (c, vector) in vectors.chunks_exact(n).enumerate() {
            for (j, v) in vector.iter().enumerate() {
                basis[(j, c)] = if scale[j] > 0.0 { v / scale[j] } else { *v };
            }
        }
        self.null.factor()?;
        for ((p, q), d) in self.tangent.iter_mut().zip(&self.newton).zip(scale) {
            *p = if *d > 0.0 { q / d } else { *q };
        }
        // p ← p − LLᵀp with the orthonormal left vectors L of the basis.
        let along = &mut self.coefficients[..n - self.rank];
        self.null.left_transposed(&self.tangent, along);
        self.null.long_vectors(along, &mut self.newton);
        for ((p, q), d) in self.newton.iter_mut().zip(&self.tangent).zip(scale) {
            *p = (q - *p) * if *d > 0.0 { *d } else { 1.0 };
        }
        Ok(())
    }

    pub(super) fn restricted(&mut self, radius: f64, out: &mut [f64]) -> Solution {
        let (values, target) = (&self.factor.values()[..self.rank], &self.target);
        let pairs = || values.iter().zip(target);
        let slope: f64 = pairs().map(|(s, c)| (s * c) * (s * c)).sum::<f64>().sqrt();
        let length = |alpha: f64| {
            let (mut square, mut slope) = (0.0, 0.0);
            for (s, c) in pairs() {
                let damped = s * s + alpha;
                let p = s * c / damped;
                square += p * p;
                slope -= p * p / damped;
            }
            let value = f64::sqrt(square);
            Ok::<_, std::convert::Infallible>(Some(Length {
                value,
                slope: slope / value,
            }))
        };
        let Ok(alpha) = secular::multiplier(radius, slope / radius, 0.0, 1e-2, length);
        let mut predicted = 0.0;
        for (k, p) in self.coefficients.iter_mut().enumerate() {
            *p = 0.0;
            if k < self.rank {
                let (s, c) = (values[k], target[k]);
                let damped = s * s + alpha;
                *p = -s * c / damped;
                predicted += 0.5 * c * c * (s * s / damped) * ((s * s + 2.0 * alpha) / damped);
            }
        }
        let length = norm(&self.coefficients);
        self.factor.right(&self.coefficients, out);
        Solution {
            alpha,
            length,
            predicted,
        }
    }
}

fn fill(
    out: &mut MatMut<'_, f64>,
    weights: Option<&[f64]>,
    entry: impl Fn(usize, usize) -> f64,
) -> Result<(), Breakdown> {
    for j in 0..out.ncols() {
        for i in 0..out.nrows() {
            let a = entry(i, j);
            if !a.is_finite() {
                return Err(Breakdown::NonFinite { row: i, col: j });
            }
            out[(i, j)] = weights.map_or(a, |w| w[i] * a);
        }
    }
    Ok(())
}
