//! Sinkhorn sweeps by products with a stored kernel.
//!
//! K_ij = exp((f_i + g_j − C_ij)/ε) at potentials f, g that close the rows; scalings w, v near 1:
//!
//! ```text
//! w_i = a_i/(K v)_i,   c_j = v_j (Kᵀ w)_j,   v_j ← v_j b_j/c_j .
//! ```
//!
//! Both products are made in one pass over K. Once log v leaves ±log 10³ it is absorbed into g,
//! and K is computed anew. Balanced problems only. Memory: n m doubles.

use super::bands::{Bands, EXP_WORK};
use super::problem::Reduced;
use super::semidual::Point;
use crate::parallel::chunks_mut;
use crate::simd::{axpy, dot, exp_sum, exponents};

/// v and 1/v at most before they are absorbed.
const ABSORB: f64 = 1e3;

/// The kernel and the scalings.
#[derive(Debug, Default)]
pub(crate) struct Stabilized {
    /// By rows, of the padded length.
    k: Vec<f64>,
    v: Vec<f64>,
}

impl Stabilized {
    /// Whether the kernel is there; after a resumption it is not.
    pub(crate) fn is_ready(&self) -> bool {
        !self.k.is_empty()
    }

    /// Computes K at f/ε, g/ε.
    pub(crate) fn build(
        &mut self,
        f: &[f64],
        u: &[f64],
        problem: &Reduced,
        eps: f64,
        bands: &Bands,
    ) {
        let (n, stride) = (problem.n(), problem.stride());
        self.k.resize(n * stride, 0.0);
        self.v.clear();
        self.v.resize(stride, 1.0);
        let per = problem.per(eps);
        let size = bands.size() * stride;
        chunks_mut(&mut self.k, size, n * stride * EXP_WORK, |first, rows| {
            let mut cost = vec![0.0; stride];
            for (i, row) in (first / stride..).zip(rows.chunks_exact_mut(stride)) {
                let cost = problem.cost.row(i, &mut cost);
                exponents(row, u, cost, problem.offset, per);
                exp_sum(row, -f[i]);
            }
        });
    }

    /// One sweep: closes the columns, then the rows. `base` are the f/ε and g/ε of K.
    ///
    /// Returns whether the kernel must be built anew before the next sweep.
    pub(crate) fn sweep(
        &mut self,
        at: &mut Point,
        base: (&[f64], &[f64]),
        problem: &Reduced,
        eps: f64,
        bands: &mut Bands,
    ) -> bool {
        let m = problem.m();
        for j in 0..m {
            at.u[j] += problem.log_b[j] - at.c[j].ln();
            self.v[j] = (at.u[j] - base.1[j]).exp();
        }
        let (k, v, stride) = (&self.k, &self.v, problem.stride());
        bands.each(4 * problem.n() * stride, |band| {
            band.columns.fill(0.0);
            for l in 0..band.rows.len() {
                let i = band.first + l;
                let row = &k[i * stride..(i + 1) * stride];
                let sum = dot(row, v);
                axpy(problem.a[i] / sum, row, &mut band.columns);
                band.rows[l] = problem.a[i] / sum;
            }
        });
        bands.rows(&mut at.r);
        bands.columns(&mut at.c);
        for (c, v) in at.c.iter_mut().zip(v) {
            *c *= v;
        }
        let out = |v: f64| !(v < ABSORB && v > 1.0 / ABSORB);
        let absorb = v[..m].iter().any(|v| out(*v)) || at.r.iter().any(|w| out(*w));
        for ((f, base), w) in at.f.iter_mut().zip(base.0).zip(&at.r) {
            *f = base + w.ln();
        }
        at.judge(problem, eps);
        absorb
    }
}
