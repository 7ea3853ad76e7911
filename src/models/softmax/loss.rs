//! Cross-entropy of rows, its derivatives, and what the products with the Hessian need of a row.
//!
//! Arrays of n x K numbers hold one class after the other. Rows are worked on in fixed chunks of
//! all classes, so that no result depends on the number of threads.

use super::Shared;
use crate::models::margins::Slot;
use crate::parallel::chunks_mut;

/// Rows per chunk.
const CHUNK: usize = 1024;
/// Operations a margin counts as, for the choice of threads.
const MARGIN_WORK: usize = 40;

/// Some consecutive rows of n x K arrays.
struct Rows<'a> {
    first: usize,
    a: Vec<&'a mut [f64]>,
    b: Vec<&'a mut [f64]>,
    sum: f64,
}

/// Calls `f` for chunks of the rows of `a` and, unless it is empty, `b`; returns the sum of what it returns, in
/// order.
fn by_rows(
    n: usize,
    a: &mut [f64],
    b: &mut [f64],
    f: impl Fn(usize, &mut [&mut [f64]], &mut [&mut [f64]]) -> f64 + Sync + Send,
) -> f64 {
    let work = MARGIN_WORK * a.len();
    let mut tasks: Vec<Rows<'_>> = (0..n)
        .step_by(CHUNK)
        .map(|first| Rows {
            first,
            a: Vec::new(),
            b: Vec::new(),
            sum: 0.0,
        })
        .collect();
    for a in a.chunks_mut(n) {
        for (task, a) in tasks.iter_mut().zip(a.chunks_mut(CHUNK)) {
            task.a.push(a);
        }
    }
    for b in b.chunks_mut(n) {
        for (task, b) in tasks.iter_mut().zip(b.chunks_mut(CHUNK)) {
            task.b.push(b);
        }
    }
    chunks_mut(&mut tasks, 1, work, |_, tasks| {
        for task in tasks {
            task.sum = f(task.first, &mut task.a, &mut task.b);
        }
    });
    tasks.iter().map(|task| task.sum).sum()
}

/// Index of the largest number, the first of several; a NaN is never chosen unless it is the first.
pub(crate) fn largest(row: &[f64]) -> usize {
    let mut best = 0;
    for (k, m) in row.iter().enumerate() {
        if *m > row[best] {
            best = k;
        }
    }
    best
}

/// Overwrites margins by exp(mₖ − max) and returns the index of the largest and the sum of all
/// others.
pub(crate) fn exponentials(row: &mut [f64]) -> (usize, f64) {
    let top = largest(row);
    let most = row[top];
    let mut rest = 0.0;
    for (k, m) in row.iter_mut().enumerate() {
        *m = (*m - most).exp();
        if k != top {
            rest += *m;
        }
    }
    (top, rest)
}

/// Overwrites margins by probabilities.
pub(crate) fn softmax(row: &mut [f64]) {
    let (_, rest) = exponentials(row);
    for p in row {
        *p /= 1.0 + rest;
    }
}

impl Shared {
    /// The loss, its derivatives by the margins in `rows` and the probabilities in `weight`.
    pub(super) fn evaluate(&self, slot: &mut Slot) {
        if slot.evaluated {
            return;
        }
        let n = self.class.len();
        slot.weight.resize(slot.margin.len(), 0.0);
        let margin = &slot.margin;
        slot.value = by_rows(
            n,
            &mut slot.rows,
            &mut slot.weight,
            |first, slopes, probabilities| {
                let classes = slopes.len();
                let mut row = vec![0.0; classes];
                let mut sum = 0.0;
                for i in 0..slopes[0].len() {
                    for (k, e) in row.iter_mut().enumerate() {
                        *e = margin[k * n + first + i];
                    }
                    let (y, c) = (self.class[first + i] as usize, self.share[first + i]);
                    let own = row[y];
                    let most = row[largest(&row)];
                    let (top, rest) = exponentials(&mut row);
                    let total = 1.0 + rest;
                    // log Σ exp(m) − m_y and 1 − p_y, without cancellation.
                    let loss = rest.ln_1p() + (most - own);
                    let missing = if y == top { rest } else { total - row[y] } / total;
                    sum += if c == 0.0 { 0.0 } else { c * loss };
                    for (k, e) in row.iter().enumerate() {
                        let p = e / total;
                        probabilities[k][i] = p;
                        slopes[k][i] = if k == y { -c * missing } else { c * p };
                    }
                }
                sum
            },
        );
        slot.evaluated = true;
    }

    /// c (1/K − [y = k]).
    pub(super) fn slopes_at_origin(&self) -> Vec<f64> {
        let (n, classes) = (self.class.len(), self.classes());
        let p = 1.0 / classes as f64;
        let mut slopes = vec![0.0; n * classes];
        for (k, slopes) in slopes.chunks_mut(n).enumerate() {
            for ((slope, y), c) in slopes.iter_mut().zip(&self.class).zip(&self.share) {
                *slope = c * if *y as usize == k { p - 1.0 } else { p };
            }
        }
        slopes
    }

    /// out = (H − μI) v at an evaluated slot.
    pub(super) fn multiply(&self, slot: &mut Slot, v: &[f64], out: &mut [f64]) {
        let n = self.class.len();
        let Slot {
            weight, scratch, ..
        } = slot;
        scratch.resize(weight.len(), 0.0);
        self.design.mul_each(v, scratch);
        let p = &*weight;
        by_rows(n, scratch, &mut [], |first, m, _| {
            for i in 0..m[0].len() {
                let p = |k: usize| p[k * n + first + i];
                // Relative to the likeliest class, so that p close to one loses no digits.
                let mut top = 0;
                for k in 1..m.len() {
                    if p(k) > p(top) {
                        top = k;
                    }
                }
                let reference = m[top][i];
                let mut mean = 0.0;
                for (k, m) in m.iter_mut().enumerate() {
                    m[i] -= reference;
                    mean += p(k) * m[i];
                }
                let c = self.share[first + i];
                for (k, m) in m.iter_mut().enumerate() {
                    m[i] = c * p(k) * (m[i] - mean);
                }
            }
            0.0
        });
        self.design.mul_transpose_each(scratch, out);
    }

    /// The diagonal of H at an evaluated slot.
    pub(super) fn diagonal(&self, slot: &mut Slot, out: &mut [f64]) {
        let n = self.class.len();
        let Slot {
            weight, scratch, ..
        } = slot;
        scratch.resize(weight.len(), 0.0);
        let p = &*weight;
        by_rows(n, scratch, &mut [], |first, weights, _| {
            for i in 0..weights[0].len() {
                let p = |k: usize| p[k * n + first + i];
                for k in 0..weights.len() {
                    let missing = if p(k) < 0.5 {
                        1.0 - p(k)
                    } else {
                        (0..weights.len()).filter(|&l| l != k).map(p).sum()
                    };
                    weights[k][i] = self.share[first + i] * p(k) * missing;
                }
            }
            0.0
        });
        let block = self.block().max(1);
        for (out, weights) in out.chunks_mut(block).zip(scratch.chunks(n)) {
            self.design.weighted_squares(weights, out);
            for out in &mut out[..self.design.features()] {
                *out += self.l2;
            }
        }
    }

    /// Least and greatest lead of a row's class over another one, at the parameters w.
    pub(super) fn leads(&self, w: &[f64]) -> (f64, f64) {
        let n = self.class.len();
        let mut margin = vec![0.0; n * self.classes()];
        self.design.mul_each(w, &mut margin);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for i in (0..n).filter(|&i| self.share[i] > 0.0) {
            let y = self.class[i] as usize;
            for k in (0..self.classes()).filter(|&k| k != y) {
                let lead = margin[y * n + i] - margin[k * n + i];
                low = low.min(lead);
                high = high.max(lead);
            }
        }
        (low, high)
    }
}
