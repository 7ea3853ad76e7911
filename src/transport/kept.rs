//! The large entries of P, and the Newton matrix made of them.
//!
//! The negative Hessian of the semi-dual is W/ε, W = diag(h) − Pᵀ diag(1/(r (1 + λ_a))) P, with h = c in
//! the balanced case. Here P is replaced by S, its entries with
//!
//! ```text
//! P_ij > θ r_i/m   or   P_ij > θ c_j/n .
//! ```
//!
//! What is dropped of row i is at most θ r_i, of column j at most θ c_j. So by Schur's test with
//! weights sqrt(c), sqrt(r) the dropped part E has ‖diag(r)^-½ E diag(c)^-½‖₂ ≤ θ: the full
//! Hessian with S for P and exact diagonals stays positive semidefinite. The test needs no sort and looks
//! at exponents, so that exp is computed of the kept entries only.

use super::bands::{Band, Bands};
use super::problem::Reduced;
use super::semidual::Point;
use crate::simd::{Loop, exp_sum, exponents, mul_add, run};
use faer::MatMut;

/// The kept entries of a band, by rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    start: Vec<usize>,
    col: Vec<u32>,
    value: Vec<f32>,
    /// What the rows of the band add to `shortfall`.
    lost: Vec<f64>,
}

impl Kept {
    /// The entries (column, value) of row k of the band.
    pub(crate) fn row(&self, k: usize) -> (&[u32], &[f32]) {
        let range = self.start[k]..self.start[k + 1];
        (&self.col[range.clone()], &self.value[range])
    }

    fn clear(&mut self, rows: usize, stride: usize, capacity: usize) {
        self.start.clear();
        self.col.clear();
        self.value.clear();
        self.start.reserve(rows + 1);
        self.col.reserve(capacity);
        self.value.reserve(capacity);
        self.start.push(0);
        self.lost.clear();
        self.lost.resize(stride, 0.0);
    }

    /// Room for `more` entries; storage grows by an eighth, where a vector would double.
    fn reserve(&mut self, more: usize) {
        let len = self.col.len();
        if len + more > self.col.capacity().min(self.value.capacity()) {
            let extra = more.max(len / 8);
            self.col.reserve_exact(extra);
            self.value.reserve_exact(extra);
        }
    }
}

/// Entries up to which storage for all of P is reserved at once, so that later steps allocate nothing.
const RESERVE: usize = 1 << 22;

impl Bands {
    /// Keeps the large entries of P at a point; returns their number.
    ///
    /// `limit` is workspace of the padded length. `r` are the divisors r (1 + λ_a) of the rows.
    pub(crate) fn keep(
        &mut self,
        problem: &Reduced,
        eps: f64,
        at: &Point,
        (theta, r): (f64, &[f64]),
        limit: &mut [f64],
    ) -> usize {
        let (n, m) = (problem.n(), problem.m());
        let per = problem.per(eps);
        limit.fill(f64::INFINITY);
        for (limit, c) in limit.iter_mut().zip(&at.c[..m]) {
            *limit = (theta * c / n as f64).ln();
        }
        let limit = &*limit;
        let reserve = if n * m <= RESERVE { m } else { 0 };
        self.each(n * m * 4, |band| {
            let Band {
                first,
                row,
                cost,
                rows,
                kept,
                ..
            } = band;
            kept.clear(rows.len(), row.len(), reserve * rows.len());
            let own = *first..*first + rows.len();
            for (i, r) in own.clone().zip(&r[own]) {
                let cost = problem.cost.row(i, cost);
                exponents(row, &at.u, cost, problem.offset, per);
                let least = (theta * at.r[i] / m as f64).ln();
                kept.push(row, (at.f[i], least, *r), limit);
            }
        });
        self.bands.iter().map(|band| band.kept.col.len()).sum()
    }

    /// Adds to the diagonal `h` what the rounding of S takes from W1.
    pub(crate) fn mend(&self, h: &mut [f64]) {
        for band in &self.bands {
            for (h, lost) in h.iter_mut().zip(&band.kept.lost) {
                *h -= lost;
            }
        }
    }

    /// `out` = W v, where `h` is the diagonal and `r` the divisors r (1 + λ_a) of the rows.
    pub(crate) fn product(&mut self, h: &[f64], r: &[f64], v: &[f64], out: &mut [f64]) {
        let entries: usize = self.bands.iter().map(|band| band.kept.col.len()).sum();
        self.each(4 * entries, |band| {
            band.columns.fill(0.0);
            for k in 0..band.rows.len() {
                let (col, value) = band.kept.row(k);
                run(Row {
                    col,
                    value,
                    v,
                    r: r[band.first + k],
                    out: &mut band.columns,
                });
            }
        });
        for (j, out) in out.iter_mut().enumerate() {
            let taken: f64 = self.bands.iter().map(|band| band.columns[j]).sum();
            *out = h[j] * v[j] - taken;
        }
    }

    /// The diagonal of W, at least `floor`·h.
    pub(crate) fn diagonal(&self, h: &[f64], r: &[f64], floor: f64, out: &mut [f64]) {
        out.copy_from_slice(h);
        for band in &self.bands {
            for k in 0..band.rows.len() {
                let (col, value) = band.kept.row(k);
                let r = r[band.first + k];
                for (&j, s) in col.iter().zip(value) {
                    let s = f64::from(*s);
                    out[j as usize] -= s * s / r;
                }
            }
        }
        for (out, h) in out.iter_mut().zip(h) {
            *out = out.max(floor * h);
        }
    }

    /// The lower triangle of W with (1 + `shift`) h for h.
    pub(crate) fn dense(&self, h: &[f64], r: &[f64], shift: f64, mut out: MatMut<'_, f64>) {
        let m = h.len();
        for j in 0..m {
            for i in j..m {
                out[(i, j)] = 0.0;
            }
            out[(j, j)] = h[j] * (1.0 + shift);
        }
        for band in &self.bands {
            for k in 0..band.rows.len() {
                let (col, value) = band.kept.row(k);
                let r = r[band.first + k];
                for (p, (&j, s)) in col.iter().zip(value).enumerate() {
                    let factor = f64::from(*s) / r;
                    for (&i, t) in col[p..].iter().zip(&value[p..]) {
                        out[(i as usize, j as usize)] -= factor * f64::from(*t);
                    }
                }
            }
        }
    }
}

/// A row of Sᵀ diag(1/r) S v.
struct Row<'a> {
    col: &'a [u32],
    value: &'a [f32],
    v: &'a [f64],
    r: f64,
    out: &'a mut [f64],
}

impl Loop for Row<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut acc = [0.0; 4];
        let (cols, col) = self.col.as_chunks::<4>();
        let (values, value) = self.value.as_chunks::<4>();
        for (col, value) in cols.iter().zip(values) {
            for k in 0..4 {
                acc[k] = mul_add::<FMA>(f64::from(value[k]), self.v[col[k] as usize], acc[k]);
            }
        }
        for (&j, s) in col.iter().zip(value) {
            acc[0] = mul_add::<FMA>(f64::from(*s), self.v[j as usize], acc[0]);
        }
        let sum = ((acc[0] + acc[2]) + (acc[1] + acc[3])) / self.r;
        for (&j, s) in self.col.iter().zip(self.value) {
            let out = &mut self.out[j as usize];
            *out = mul_add::<FMA>(f64::from(*s), sum, *out);
        }
    }
}

impl Kept {
    /// Appends the entries of a row of exponents without f that pass one of the tests; the row's `f`, the
    /// limit of its `own` test and its divisor `r` are given.
    fn push(&mut self, row: &mut [f64], (f, own, r): (f64, f64, f64), limit: &[f64]) {
        let from = self.col.len();
        self.reserve(row.len());
        // The kept exponents move to the front of the row.
        let mut count = 0;
        for k in 0..row.len() / 8 {
            let mut t = [0.0; 8];
            t.copy_from_slice(&row[8 * k..8 * k + 8]);
            let limits = &limit[8 * k..8 * k + 8];
            let passes = |t: f64, limit: f64| t > own || t > limit;
            let pairs = || t.iter().map(|t| t + f).zip(limits);
            if !pairs().fold(false, |any, (t, limit)| any | passes(t, *limit)) {
                continue;
            }
            for (l, (t, limit)) in pairs().enumerate() {
                if passes(t, *limit) {
                    self.col.push((8 * k + l) as u32);
                    row[count] = t;
                    count += 1;
                }
            }
        }
        let exact = &mut row[..count];
        exp_sum(exact, 0.0);
        // What single precision cannot hold is left out like the rest, so that W1 has it.
        for s in exact
            .iter_mut()
            .filter(|s| **s < f64::from(f32::MIN_POSITIVE))
        {
            *s = 0.0;
        }
        let sum = exact.iter().sum::<f64>() / r;
        self.value.extend(exact.iter().map(|s| *s as f32));
        let rounded = self.value[from..]
            .iter()
            .map(|s| f64::from(*s))
            .sum::<f64>()
            / r;
        let entries = self.col[from..].iter().zip(&self.value[from..]).zip(exact);
        for ((&j, s), exact) in entries {
            self.lost[j as usize] += *exact * sum - f64::from(*s) * rounded;
        }
        self.start.push(self.col.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Transport;
    use faer::Mat;

    #[test]
    fn what_is_dropped_is_small_in_the_scaled_norm() {
        let (n, m) = (30, 25);
        let mut state = 7_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as f64 / (1_u64 << 31) as f64
        };
        let mut some = false;
        for k in 0..40 {
            let cost = Mat::from_fn(n, m, |_, _| 8.0 * random());
            let a: Vec<f64> = (0..n).map(|_| (6.0 * random()).exp()).collect();
            let total: f64 = a.iter().sum();
            let problem = Transport::new(cost, a, vec![total / m as f64; m]).unwrap();
            let problem = problem.reduced();
            let mut bands = Bands::default();
            bands.resize(problem);
            let mut at = Point::default();
            at.resize(problem);
            at.u[..m].iter_mut().for_each(|u| *u = 4.0 * random());
            at.evaluate(problem, 1.0, &mut bands);
            let theta = 10_f64.powi(-(k % 5) - 1);
            let mut limit = vec![0.0; problem.stride()];
            let r = at.r.clone();
            let count = bands.keep(problem, 1.0, &at, (theta, &r), &mut limit);
            // All of P: what is left once the kept entries are taken out.
            let mut buffer = vec![0.0; problem.stride()];
            let mut dropped = Mat::from_fn(n, m, |i, j| {
                let c = problem.cost.row(i, &mut buffer)[j] - problem.offset;
                (at.f[i] + at.u[j] - c).exp()
            });
            let mut found = 0;
            for band in &bands.bands {
                for k in 0..band.rows.len() {
                    let (col, value) = band.kept.row(k);
                    for (&j, s) in col.iter().zip(value) {
                        let p = &mut dropped[(band.first + k, j as usize)];
                        let s = f64::from(*s);
                        assert!((*p - s).abs() <= 6e-8 * s);
                        *p = 0.0;
                        found += 1;
                    }
                }
            }
            assert_eq!(found, count);
            some |= count < n * m;
            let scaled = Mat::from_fn(n, m, |i, j| dropped[(i, j)] / (at.r[i] * at.c[j]).sqrt());
            let norm = scaled.singular_values().unwrap()[0];
            assert!(norm <= theta, "{norm} {theta}");
        }
        assert!(some, "nothing was dropped");
    }
}
