//! Sweeps that open a level, by products with a kernel in single precision.
//!
//! K_ij = P_ij/r_i at the point where the level begins; scalings v of its columns start at 1:
//!
//! ```text
//! s_i = Σ_j K_ij v_j,   c_j = v_j Σ_i (a_i/s_i) K_ij,   v_j ← v_j b_j/c_j .
//! ```
//!
//! A sweep reads 4 bytes per entry once and has no exp. What single precision does to c, 10⁻⁶ relative, is far below
//! the error at which the level goes on. A point that Newton's method or a tolerance below 10⁻³ starts from is
//! measured again in double precision.
//! Balanced problems only. Memory: 4 n m bytes, up to 2²⁴ entries.

use super::bands::Bands;
use super::problem::Reduced;
use super::semidual::Point;
use crate::simd::close;

/// Entries of the largest kernel, 64 megabytes.
const STORED: usize = 1 << 24;
/// A column sum relative to its target, and a scaling, outside of 1/LIMIT to LIMIT end the sweeps.
const LIMIT: f64 = 1e6;
/// Sweeps at most.
pub(crate) const MOST: u64 = 40;
/// If the error at the rate of the last sweep takes more sweeps than this, a Newton step is cheaper: at ε of at least a
/// 200th of the range of the costs, where it has many entries, and below.
const WORTH: (f64, f64) = (20.0, 6.0);
/// The same for sweeps with exp.
const WORTH_EXP: (f64, f64) = (6.0, 2.0);
const LARGE: f64 = 0.005;
/// Sweeps before the rate is looked at.
pub(crate) const FIRST: u64 = 3;

/// Workspace of the sweeps.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    v: Vec<f64>,
    single: Vec<f32>,
    /// s of the last sweep.
    scale: Vec<f64>,
}

/// Whether further sweeps are cheaper than a Newton step, by the errors before and after the last one.
pub(crate) fn is_worth(
    problem: &Reduced,
    (eps, tol): (f64, f64),
    (before, error): (f64, f64),
    stored: bool,
) -> bool {
    let (large, small) = if stored { WORTH } else { WORTH_EXP };
    let most = if eps >= LARGE * problem.range {
        large
    } else {
        small
    };
    let needed = (tol / error).ln() / (error / before).ln();
    error < before && needed <= most
}

impl Opening {
    /// Whether a kernel of the problem is stored.
    pub(crate) fn fits(problem: &Reduced) -> bool {
        problem.is_balanced() && problem.n() * problem.m() <= STORED
    }

    /// Sweeps from the point at which `bands` has the kernel, until the error is at most `tol` or sweeps
    /// become too slow; returns their number.
    ///
    /// All of the point is brought up to date, to single precision.
    pub(crate) fn sweep(
        &mut self,
        at: &mut Point,
        problem: &Reduced,
        (eps, tol): (f64, f64),
        bands: &mut Bands,
    ) -> u64 {
        let m = problem.m();
        self.v.clear();
        self.v.resize(m, 1.0);
        self.single.clear();
        self.single.resize(problem.stride(), 0.0);
        self.scale.resize(problem.n(), 0.0);
        let mut count = 0;
        while at.error > tol && count < MOST && self.close_columns(at, problem) {
            self.product(problem, bands);
            bands.columns(&mut at.c);
            let mut error = 0.0;
            for ((c, v), b) in at.c.iter_mut().zip(&self.v).zip(&problem.b) {
                *c *= v;
                error += (b - *c).abs();
            }
            let before = std::mem::replace(&mut at.error, error);
            count += 1;
            if count >= FIRST && !is_worth(problem, (eps, tol), (before, error), true) {
                break;
            }
        }
        if count > 0 {
            for (f, s) in at.f.iter_mut().zip(&self.scale) {
                *f -= s.ln();
            }
            at.judge(problem, eps);
        }
        count
    }

    /// v_j ← v_j b_j/c_j and u with it; nothing if one of them is out of reach of single precision.
    fn close_columns(&mut self, at: &mut Point, problem: &Reduced) -> bool {
        let within = |v: f64| v < LIMIT && v > 1.0 / LIMIT;
        let pairs = problem.b.iter().zip(&at.c).zip(&self.v);
        if !pairs
            .map(|((b, c), v)| (b / c, v))
            .all(|(ratio, v)| within(ratio) && within(v * ratio))
        {
            return false;
        }
        let columns = problem.b.iter().zip(&at.c).zip(&mut self.v);
        for ((((b, c), v), u), single) in columns.zip(&mut at.u).zip(&mut self.single) {
            let ratio = b / c;
            *v *= ratio;
            *u += ratio.ln();
            *single = *v as f32;
        }
        true
    }

    /// s, and Σ_i (a_i/s_i) K_ij in the bands.
    fn product(&mut self, problem: &Reduced, bands: &mut Bands) {
        let (single, stride) = (&self.single, problem.stride());
        bands.each(4 * problem.n() * stride, |band| {
            band.single.clear();
            band.single.resize(stride, 0.0);
            for (k, row) in band.kernel.chunks_exact(stride).enumerate() {
                let mass = problem.a[band.first + k] * UNIT;
                band.rows[k] = close(row, single, mass, &mut band.single);
            }
            for (column, single) in band.columns.iter_mut().zip(&band.single) {
                *column = f64::from(*single) / UNIT;
            }
        });
        bands.rows(&mut self.scale);
    }
}

/// Masses are multiplied by this, a power of two, to keep small ones in the range of single precision.
const UNIT: f64 = (1_u64 << 40) as f64;
