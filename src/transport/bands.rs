//! Passes over the exponents t_ij = f_i + u_j − (C_ij − c₀)/ε, by bands of rows.
//!
//! Potentials are in units of ε here: f for f/ε, u for g/ε. A band is a fixed set of rows that
//! depends on n alone; each has its own accumulators, which are added up in order.

use super::cost::padded;
use super::kept::Kept;
use super::problem::Reduced;
use crate::parallel::chunks_mut;
use crate::simd::{
    axpy, cost_sum, each_below, exp_sum, exponents, least_into, least_of, narrow, reduced_into,
};

/// Rows of a band, and how many bands there are at most.
const BAND_ROWS: usize = 64;
const MAX_BANDS: usize = 32;

/// Operations per entry of a pass: an exp and what is around it.
pub(crate) const EXP_WORK: usize = 20;

/// a exp(−λ f), which is a for λ = 0.
pub(crate) fn row_sum(a: f64, f: f64, slack: f64) -> f64 {
    if slack == 0.0 {
        a
    } else {
        a * (-slack * f).exp()
    }
}

/// Workspace of one band.
#[derive(Debug, Clone, Default)]
pub(crate) struct Band {
    pub(crate) first: usize,
    /// A row of exponents, then of P.
    pub(crate) row: Vec<f64>,
    /// A row of costs that are computed on the fly.
    pub(crate) cost: Vec<f64>,
    /// What the rows of the band add to each column.
    pub(crate) columns: Vec<f64>,
    /// One number for each row.
    pub(crate) rows: Vec<f64>,
    pub(crate) sum: f64,
    pub(crate) kept: Kept,
    /// The rows P_ij/r_i of the last pass that stored them, in single precision.
    pub(crate) kernel: Vec<f32>,
    /// `columns` in single precision.
    pub(crate) single: Vec<f32>,
    /// Pairs that a search found: row, column and reduced cost.
    pub(crate) found: Vec<(u32, u32, f64)>,
}

/// Workspace of all bands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bands {
    pub(crate) bands: Vec<Band>,
    shape: (usize, usize),
}

impl Bands {
    /// Makes room for a problem; nothing is done if it has the shape of the last one.
    pub(crate) fn resize(&mut self, problem: &Reduced) {
        let (n, m) = (problem.n(), problem.m());
        if self.shape == (n, m) {
            return;
        }
        self.shape = (n, m);
        let count = n.div_ceil(BAND_ROWS).clamp(1, MAX_BANDS);
        let size = n.div_ceil(count);
        let stride = padded(m);
        self.bands = (0..n.div_ceil(size))
            .map(|k| Band {
                first: k * size,
                row: vec![0.0; stride],
                cost: vec![0.0; stride],
                columns: vec![0.0; stride],
                rows: vec![0.0; size.min(n - k * size)],
                sum: 0.0,
                kept: Kept::default(),
                kernel: Vec::new(),
                single: Vec::new(),
                found: Vec::new(),
            })
            .collect();
    }

    /// Rows of every band but the last, which may have fewer.
    pub(crate) fn size(&self) -> usize {
        self.bands.first().map_or(1, |band| band.rows.len())
    }

    /// Calls `f` for every band.
    pub(crate) fn each(&mut self, work: usize, f: impl Fn(&mut Band) + Sync + Send) {
        chunks_mut(&mut self.bands, 1, work, |_, band| {
            band.iter_mut().for_each(&f);
        });
    }

    /// `out` = the sum over the bands of `columns`.
    pub(crate) fn columns(&self, out: &mut [f64]) {
        out.fill(0.0);
        for band in &self.bands {
            for (out, c) in out.iter_mut().zip(&band.columns) {
                *out += c;
            }
        }
    }

    /// `out` = the `rows` of all bands.
    pub(crate) fn rows(&self, out: &mut [f64]) {
        for band in &self.bands {
            out[band.first..band.first + band.rows.len()].copy_from_slice(&band.rows);
        }
    }

    pub(crate) fn sum(&self) -> f64 {
        self.bands.iter().map(|band| band.sum).sum()
    }

    /// f(u) closes every row, Σ_j P_ij = a_i; writes f and c_j = Σ_i P_ij. One exp per entry.
    ///
    /// `stores` the kernel too.
    pub(crate) fn close_rows(
        &mut self,
        problem: &Reduced,
        eps: f64,
        u: &[f64],
        (f, c): (&mut [f64], &mut [f64]),
        stores: bool,
    ) {
        let per = problem.per(eps);
        let (slack, _) = problem.slack(eps);
        let stride = problem.stride();
        self.each(problem.n() * problem.m() * EXP_WORK, |band| {
            band.columns.fill(0.0);
            if stores {
                band.kernel.resize(band.rows.len() * stride, 0.0);
            }
            for k in 0..band.rows.len() {
                let i = band.first + k;
                let cost = problem.cost.row(i, &mut band.cost);
                let largest = exponents(&mut band.row, u, cost, problem.offset, per);
                let sum = exp_sum(&mut band.row, largest);
                let f = (problem.log_a[i] - largest - sum.ln()) / (1.0 + slack);
                let r = row_sum(problem.a[i], f, slack);
                axpy(r / sum, &band.row, &mut band.columns);
                if stores {
                    let kernel = &mut band.kernel[k * stride..(k + 1) * stride];
                    narrow(&band.row, 1.0 / sum, kernel);
                }
                band.rows[k] = f;
            }
        });
        self.rows(f);
        self.columns(c);
    }

    /// Row sums r, column sums c and ⟨C − c₀, P⟩ of P at given potentials, each row times `left`
    /// and each column times `right` where they are given. One exp per entry.
    pub(crate) fn marginals(
        &mut self,
        problem: &Reduced,
        eps: f64,
        at: (&[f64], &[f64]),
        left: Option<&[f64]>,
        right: Option<&[f64]>,
        out: (&mut [f64], &mut [f64]),
    ) -> f64 {
        let per = problem.per(eps);
        let (f, u) = at;
        self.each(problem.n() * problem.m() * EXP_WORK, |band| {
            band.columns.fill(0.0);
            band.sum = 0.0;
            for k in 0..band.rows.len() {
                let i = band.first + k;
                let cost = problem.cost.row(i, &mut band.cost);
                exponents(&mut band.row, u, cost, problem.offset, per);
                let mut sum = exp_sum(&mut band.row, -f[i]);
                if let Some(right) = right {
                    for (p, v) in band.row.iter_mut().zip(right) {
                        *p *= v;
                    }
                    sum = band.row.iter().sum();
                }
                let left = left.map_or(1.0, |left| left[i]);
                axpy(left, &band.row, &mut band.columns);
                band.rows[k] = left * sum;
                band.sum += left * cost_sum(&band.row, cost, problem.offset);
            }
        });
        self.rows(out.0);
        self.columns(out.1);
        self.sum() * problem.cost.scale()
    }

    /// log Σ_i exp(f_i − (C_ij − c₀)/ε) of the columns with c_j < `light`, to be asked for by
    /// [`log_column`](Bands::log_column).
    ///
    /// For columns so light that their sum underflows; one thread, one exp per entry of these.
    pub(crate) fn log_columns(
        &mut self,
        problem: &Reduced,
        eps: f64,
        f: &[f64],
        c: &[f64],
        light: f64,
    ) {
        let per = problem.per(eps);
        let Some(band) = self.bands.first_mut() else {
            return;
        };
        // The largest exponent so far, and the sum relative to it.
        let (largest, sum) = (&mut band.columns, &mut band.row);
        largest.fill(f64::NEG_INFINITY);
        sum.fill(0.0);
        for (i, f) in f.iter().enumerate() {
            let cost = problem.cost.row(i, &mut band.cost);
            for j in (0..problem.m()).filter(|&j| c[j] < light) {
                let t = f + (problem.offset - cost[j]) * per;
                if t > largest[j] {
                    sum[j] = sum[j] * (largest[j] - t).exp() + 1.0;
                    largest[j] = t;
                } else if t > f64::NEG_INFINITY {
                    sum[j] += (t - largest[j]).exp();
                }
            }
        }
    }

    /// What [`log_columns`](Bands::log_columns) found for column j.
    pub(crate) fn log_column(&self, j: usize) -> f64 {
        match self.bands.first() {
            Some(band) => band.columns[j] + band.row[j].ln(),
            None => 0.0,
        }
    }
}

impl Bands {
    /// `out`ⱼ = min_i C_ij − c₀ − f_i, for f in the units of the costs.
    pub(crate) fn least_columns(&mut self, problem: &Reduced, f: &[f64], out: &mut [f64]) {
        let scale = problem.cost.scale();
        self.each(problem.n() * problem.m() * 3, |band| {
            band.columns.fill(f64::INFINITY);
            let rows = f.iter().enumerate().skip(band.first);
            for (i, f) in rows.take(band.rows.len()) {
                let cost = problem.cost.row(i, &mut band.cost);
                least_into(cost, problem.offset, scale, *f, &mut band.columns);
            }
        });
        out.fill(f64::INFINITY);
        for band in &self.bands {
            for (out, least) in out.iter_mut().zip(&band.columns) {
                *out = out.min(*least);
            }
        }
    }

    /// `out`ᵢ = min_j C_ij − c₀ − g_j, for g in the units of the costs.
    pub(crate) fn least_rows(&mut self, problem: &Reduced, g: &[f64], out: &mut [f64]) {
        let (m, scale) = (problem.m(), problem.cost.scale());
        self.each(problem.n() * m * 3, |band| {
            for k in 0..band.rows.len() {
                let cost = problem.cost.row(band.first + k, &mut band.cost);
                band.rows[k] = least_of(&cost[..m], problem.offset, scale, &g[..m]);
            }
        });
        self.rows(out);
    }

    /// `out`ᵢ = min_j C_ij − c₀ − g_j, and all pairs for which this is at most `limit`(i, `out`ᵢ), by rows.
    pub(crate) fn least_pairs(
        &mut self,
        problem: &Reduced,
        g: &[f64],
        limit: impl Fn(usize, f64) -> f64 + Sync + Send,
        most: usize,
        out: &mut [f64],
    ) -> Vec<(u32, u32, f64)> {
        let (m, scale) = (problem.m(), problem.cost.scale());
        self.each(problem.n() * m * 3, |band| {
            let Band {
                row,
                cost,
                found,
                rows,
                first,
                ..
            } = band;
            found.clear();
            for (k, own) in rows.iter_mut().enumerate() {
                let i = *first + k;
                let cost = problem.cost.row(i, cost);
                *own = reduced_into(cost, problem.offset, scale, g, row);
                let limit = limit(i, *own);
                if *own <= limit {
                    let start = found.len();
                    let pair = |j: usize, c: f64| found.push((i as u32, j as u32, c));
                    each_below(&row[..m], limit, pair);
                    if found.len() - start > most {
                        found[start..].select_nth_unstable_by(most, |x, y| {
                            x.2.total_cmp(&y.2).then(x.1.cmp(&y.1))
                        });
                        found.truncate(start + most);
                    }
                }
            }
        });
        self.rows(out);
        self.bands
            .iter()
            .flat_map(|band| &band.found)
            .copied()
            .collect()
    }

    /// Σ e_i (C_ij − c₀) d_j, where 0·∞ counts as 0.
    pub(crate) fn bilinear(&mut self, problem: &Reduced, e: &[f64], d: &[f64]) -> f64 {
        let mut right = vec![0.0; problem.stride()];
        for (right, d) in right.iter_mut().zip(d) {
            *right = *d;
        }
        self.each(problem.n() * problem.m() * 3, |band| {
            band.sum = 0.0;
            let rows = e.iter().enumerate().skip(band.first);
            for (i, e) in rows.take(band.rows.len()) {
                if *e > 0.0 {
                    let cost = problem.cost.row(i, &mut band.cost);
                    band.sum += e * cost_sum(&right, cost, problem.offset);
                }
            }
        });
        self.sum() * problem.cost.scale()
    }
}
