//! Compares a matrix of claimed derivatives with the numerical ones and names the fault.

use super::estimate::Estimate;
use super::matrix::Columns;
use super::report::{Check, Derivative, Entry, Finding, Triangle};

/// Everything that is known about one derivative.
pub(super) struct Evidence<'a> {
    pub derivative: Derivative,
    pub claimed: &'a Columns,
    /// By columns, like `claimed`.
    pub estimates: &'a [Estimate],
    /// Typical size of the variable of each column.
    pub scales: &'a [f64],
    /// Entry (i, j) of the true matrix is known to equal entry (j, i).
    pub symmetric: bool,
    pub tolerance: f64,
}

/// Rounding of the claimed derivative itself, relative to the largest entry of its row.
const DUST: f64 = 1e-12;

pub(super) fn judge(evidence: &Evidence<'_>) -> Check {
    let bench = Bench::new(evidence);
    let worst = bench.worst();
    let wrong = bench.count(|i, j| bench.is_wrong(i, j));
    Check {
        derivative: evidence.derivative,
        finding: bench.finding(worst, wrong),
        worst: bench.entry(worst.0, worst.1),
        tolerance: evidence.tolerance,
        entries: bench.m * bench.n,
        wrong,
        unresolved: bench.count(|i, j| bench.is_unresolved(i, j)),
    }
}

struct Bench<'a> {
    e: &'a Evidence<'a>,
    m: usize,
    n: usize,
    /// Largest numerical entry of each row, times the scale of its column.
    sizes: Vec<f64>,
}

impl<'a> Bench<'a> {
    fn new(e: &'a Evidence<'a>) -> Self {
        let (m, n) = (e.claimed.rows, e.claimed.cols);
        let mut sizes = vec![0.0; m];
        for (j, scale) in e.scales.iter().enumerate() {
            for (size, d) in sizes.iter_mut().zip(&e.estimates[j * m..]) {
                if d.is_finite() {
                    *size = f64::max(*size, d.value.abs() * scale);
                }
            }
        }
        Bench { e, m, n, sizes }
    }

    fn claimed(&self, i: usize, j: usize) -> f64 {
        self.e.claimed.get(i, j)
    }

    fn estimate(&self, i: usize, j: usize) -> &Estimate {
        &self.e.estimates[i + j * self.m]
    }

    /// Discrepancy of `value` as entry (i, j), in units of what is allowed. 0 where nothing is known.
    fn excess(&self, value: f64, i: usize, j: usize) -> f64 {
        let d = self.estimate(i, j);
        if !d.is_finite() {
            return 0.0;
        }
        let discrepancy = (value - d.value).abs();
        if discrepancy == 0.0 {
            return 0.0;
        }
        let dust = DUST * self.sizes[i] / self.e.scales[j];
        let ratio = discrepancy / (d.allowed(value, self.e.tolerance) + dust);
        if ratio.is_nan() { f64::INFINITY } else { ratio }
    }

    fn fits(&self, value: f64, i: usize, j: usize) -> bool {
        self.excess(value, i, j) <= 1.0
    }

    fn is_wrong(&self, i: usize, j: usize) -> bool {
        let claimed = self.claimed(i, j);
        !claimed.is_finite() || !self.fits(claimed, i, j)
    }

    /// Less than two digits, and not small against the rest of the row either.
    fn is_unresolved(&self, i: usize, j: usize) -> bool {
        let d = self.estimate(i, j);
        let entry = d.value.abs().max(self.claimed(i, j).abs());
        let row = self.sizes[i] / self.e.scales[j];
        !d.is_finite() || d.error > 0.01 * entry && d.error > self.e.tolerance * row
    }

    fn indices(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let m = self.m;
        (0..self.m * self.n).map(move |k| (k % m, k / m))
    }

    fn count(&self, test: impl Fn(usize, usize) -> bool) -> usize {
        self.indices().filter(|&(i, j)| test(i, j)).count()
    }

    fn all(&self, test: impl Fn(usize, usize) -> bool) -> bool {
        self.indices().all(|(i, j)| test(i, j))
    }

    fn entry(&self, row: usize, col: usize) -> Entry {
        let d = self.estimate(row, col);
        Entry {
            row,
            col,
            analytic: self.claimed(row, col),
            numerical: d.value,
            error_estimate: d.error,
        }
    }

    /// The first non-finite entry, or the one that exceeds what is allowed the most.
    fn worst(&self) -> (usize, usize) {
        let excess = |(i, j): (usize, usize)| {
            let claimed = self.claimed(i, j);
            if claimed.is_finite() {
                self.excess(claimed, i, j)
            } else {
                f64::INFINITY
            }
        };
        let mut worst = (0, 0);
        for candidate in self.indices() {
            if excess(candidate) > excess(worst) {
                worst = candidate;
            }
        }
        worst
    }

    fn finding(&self, worst: (usize, usize), wrong: usize) -> Finding {
        let square = self.m == self.n && self.n > 1;
        if !self.all(|i, j| self.claimed(i, j).is_finite()) {
            return Finding::NonFinite;
        }
        if wrong == 0 {
            return if self.all(|i, j| self.estimate(i, j).is_finite()) {
                Finding::Ok
            } else {
                Finding::Inconclusive
            };
        }
        if square && !self.e.symmetric && self.all(|i, j| self.fits(self.claimed(j, i), i, j)) {
            return Finding::Transposed;
        }
        if square && self.e.symmetric {
            for zero in [Triangle::Upper, Triangle::Lower] {
                if self.is_half_filled(zero) {
                    return Finding::HalfFilled { zero };
                }
            }
        }
        if let Some(factor) = self.common_factor() {
            return if factor == -1.0 {
                Finding::WrongSign
            } else {
                Finding::ScaledBy { factor }
            };
        }
        let (i, j) = worst;
        if square && self.e.symmetric && i != j && !self.is_wrong(j, i) {
            return Finding::Asymmetric {
                mirrored: self.claimed(j, i),
            };
        }
        Finding::WrongEntry
    }

    fn is_half_filled(&self, zero: Triangle) -> bool {
        self.all(|i, j| {
            let empty = match zero {
                Triangle::Upper => i < j,
                Triangle::Lower => i > j,
            };
            if empty {
                self.claimed(i, j) == 0.0
            } else {
                !self.is_wrong(i, j)
            }
        })
    }

    /// The c other than 1 with claimed = c * numerical everywhere.
    ///
    /// A single entry always has such a factor; there only a plausible one counts.
    fn common_factor(&self) -> Option<f64> {
        let resolved = |&(i, j): &(usize, usize)| self.estimate(i, j).is_resolved();
        let weight = |&(i, j): &(usize, usize)| {
            let d = self.estimate(i, j);
            d.error / d.value.abs()
        };
        let (i, j) = self
            .indices()
            .filter(resolved)
            .min_by(|a, b| weight(a).total_cmp(&weight(b)))?;
        let raw = self.claimed(i, j) / self.estimate(i, j).value;
        let near = |c: f64| (raw - c).abs() <= 1e-4 * c.abs() && c != 0.0 && c.is_finite();
        let whole = raw.round();
        let part = raw.recip().round();
        let factor = if whole.abs() <= 1e3 && near(whole) {
            whole
        } else if part.abs() <= 1e3 && near(part.recip()) {
            part.recip()
        } else if self.count(|i, j| resolved(&(i, j)) && self.estimate(i, j).value != 0.0) >= 2 {
            raw
        } else {
            return None;
        };
        let plausible = factor != 0.0 && factor != 1.0 && factor.is_finite();
        let common = self.all(|i, j| self.fits(self.claimed(i, j) / factor, i, j));
        (plausible && common).then_some(factor)
    }
}
