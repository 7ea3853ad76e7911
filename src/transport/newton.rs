//! A Newton step on the semi-dual.
//!
//! ```text
//! θ = min(0.1, ‖∇F‖₁),  S = the large entries of P,  W = diag(h) − Sᵀ diag(1/(r (1 + λ_a))) S
//! q: (W + 10⁻³ ‖∇F‖₁ diag(c)) q = ∇F by conjugate gradients with Jacobi preconditioner, or by Cholesky
//! t = 1, ½, …: g + t ε q
//! ```
//!
//! W is positive semidefinite for every θ. Where S falls into components that are joined by next to
//! nothing it is nearly singular and the Newton step is far too long; the damping, which vanishes with the
//! error, and a bound on the first trial keep it in reach of the line search. Any iterate of conjugate
//! gradients from 0 is an ascent direction.

use super::bands::Bands;
use super::problem::Reduced;
use super::semidual::Point;
use crate::linear::cg::{CgEnd, CgOptions, TruncatedCg};
use crate::linear::{DenseCholesky, Factor};
use crate::parallel::dot;
use crate::record::Report;
use std::convert::Infallible;

/// θ at most; at the solution θ goes to zero with the error, so that the rate is superlinear.
const THETA: f64 = 0.1;
/// Relative residual of the linear solve at most, and at least.
const LOOSE: f64 = 1e-2;
const TIGHT: f64 = 1e-10;
/// Of the level's tolerance, the error that a linear solve may leave.
const AIM: f64 = 0.1;
/// Iterations after which the dense factorization takes over, up to the given order.
const BUDGET: usize = 300;
const DENSE_ORDER: usize = 2000;
/// First diagonal shift of the factorization relative to c, and its growth.
const SHIFT: f64 = 1e-15;
const GROWTH: f64 = 10.0;
/// Least diagonal of the preconditioner relative to c.
const FLOOR: f64 = 1e-12;
/// W gets the diagonal DAMPING·error·c in addition: parts of S that are joined by next to nothing would
/// otherwise be moved by very long steps.
const DAMPING: f64 = 1e-3;
/// The first trial changes no potential by more than this multiple of ε.
const LONGEST: f64 = 100.0;
/// Sufficient increase.
const ARMIJO: f64 = 1e-4;
/// Relative to the range of the costs, a change of F so small is compared by the error instead.
const NOISE: f64 = 1e-10;
const MAX_TRIALS: u64 = 40;
/// From trial to trial t shrinks by a factor between these.
const SHRINK: (f64, f64) = (0.1, 0.5);

/// Workspace of Newton steps.
#[derive(Debug, Default)]
pub(crate) struct Newton {
    cg: TruncatedCg,
    cholesky: DenseCholesky,
    limit: Vec<f64>,
    diagonal: Vec<f64>,
    /// c + λ_b b exp(−g/ρ_b).
    h: Vec<f64>,
    /// r (1 + λ_a).
    r: Vec<f64>,
    rhs: Vec<f64>,
    q: Vec<f64>,
    trial: Point,
}

/// What a step was like.
pub(crate) struct Stride {
    /// t; zero if no trial was accepted.
    pub(crate) length: f64,
    pub(crate) trials: u64,
    /// ‖t ε q‖₂ / ε.
    pub(crate) norm: f64,
    /// sqrt(qᵀ∇F): the Newton decrement of F/ε.
    pub(crate) decrement: f64,
}

impl Stride {
    /// Of an iteration without a Newton step.
    pub(crate) fn none() -> Self {
        Stride {
            length: 0.0,
            trials: 0,
            norm: 0.0,
            decrement: 0.0,
        }
    }
}

impl Newton {
    /// Moves `at` by a damped Newton step, or leaves it where no trial is better. `aim` is the error
    /// that the level is solved to.
    pub(crate) fn step(
        &mut self,
        at: &mut Point,
        problem: &Reduced,
        (eps, aim): (f64, f64),
        bands: &mut Bands,
        report: &mut Report,
    ) -> Stride {
        self.direction(at, problem, (eps, aim), bands, report);
        let slope = dot(&self.q, &self.rhs);
        let mut stride = Stride {
            decrement: slope.max(0.0).sqrt(),
            ..Stride::none()
        };
        if !(slope > 0.0 && slope.is_finite()) {
            return stride;
        }
        let noise = NOISE * (problem.range / eps).max(at.value.abs());
        self.trial.resize(problem);
        let longest = self.q.iter().fold(0.0_f64, |m, q| m.max(q.abs()));
        let mut t = (LONGEST / longest).min(1.0);
        // A point that is solved already is worth one trial.
        let most = if at.error <= aim { 1 } else { MAX_TRIALS };
        for _ in 0..most {
            for ((trial, u), q) in self.trial.u.iter_mut().zip(&at.u).zip(&self.q) {
                *trial = u + t * q;
            }
            self.trial.evaluate(problem, eps, bands);
            stride.trials += 1;
            report.trials += 1;
            report.passes += 1;
            let gain = self.trial.value - at.value;
            let rises = gain >= ARMIJO * t * slope;
            let closer = gain.abs() <= noise && self.trial.error <= (1.0 - ARMIJO * t) * at.error;
            if (rises || closer) && self.trial.error.is_finite() {
                std::mem::swap(at, &mut self.trial);
                stride.length = t;
                stride.norm = t * dot(&self.q, &self.q).sqrt();
                return stride;
            }
            report.rejected += 1;
            // The maximizer of the parabola through value and slope at 0 and this value.
            let parabola = 0.5 * slope * t * t / (slope * t - gain);
            t = parabola.clamp(SHRINK.0 * t, SHRINK.1 * t);
        }
        stride
    }

    /// q with W q = ∇F.
    fn direction(
        &mut self,
        at: &Point,
        problem: &Reduced,
        (eps, aim): (f64, f64),
        bands: &mut Bands,
        report: &mut Report,
    ) {
        let m = problem.m();
        let (la, lb) = problem.slack(eps);
        self.limit.resize(problem.stride(), 0.0);
        self.r.resize(problem.n(), 0.0);
        for v in [&mut self.diagonal, &mut self.h, &mut self.rhs, &mut self.q] {
            v.resize(m, 0.0);
        }
        let theta = at.error.min(THETA);
        for (out, r) in self.r.iter_mut().zip(&at.r) {
            *out = r * (1.0 + la);
        }
        let kept = bands.keep(problem, eps, at, (theta, &self.r), &mut self.limit);
        report.hessians += 1;
        let density = kept as f64 / (problem.n() as f64 * m as f64);
        report.density += (density - report.density) / report.hessians as f64;
        let shift = DAMPING * at.error;
        // Rounding leaves a part along the null vector, which no iteration removes.
        let excess: f64 = at.target.iter().zip(&at.c).map(|(t, c)| t - c).sum();
        let excess = if problem.is_balanced() { excess } else { 0.0 };
        for (j, (target, c)) in at.target.iter().zip(&at.c).enumerate() {
            self.rhs[j] = target - c - excess * target;
            self.h[j] = (1.0 + shift) * c + lb * target;
        }
        bands.mend(&mut self.h);
        bands.diagonal(&self.h, &self.r, FLOOR, &mut self.diagonal);
        let options = CgOptions {
            // Quadratic convergence, but no more accuracy than the level asks for.
            relative_tolerance: at.error.max(AIM * aim / at.error).clamp(TIGHT, LOOSE),
            step_tolerance: f64::INFINITY,
            max_iterations: BUDGET,
            radius: f64::INFINITY,
        };
        let (h, r) = (&self.h, &self.r);
        let mut apply = |v: &[f64], out: &mut [f64]| -> Result<(), Infallible> {
            bands.product(h, r, v, out);
            Ok(())
        };
        let Ok(end) = self
            .cg
            .solve(&self.rhs, Some(&self.diagonal), options, &mut apply);
        report.hessian_products += end.iterations as u64;
        report.solves += 1;
        self.q.copy_from_slice(self.cg.solution());
        if end.end == CgEnd::MaxIterations && m <= DENSE_ORDER {
            self.factor(bands, report);
        }
    }

    /// q by a dense Cholesky factorization; the iterate of conjugate gradients stays if it fails.
    fn factor(&mut self, bands: &Bands, report: &mut Report) {
        let m = self.h.len();
        let (h, r) = (&self.h, &self.r);
        let mut shift = SHIFT;
        while shift < 1.0 {
            report.factorizations += 1;
            let mut fill = |out: faer::MatMut<'_, f64>| bands.dense(h, r, shift, out);
            let factored = self.cholesky.factor_with(m, 0.0, &mut fill);
            if factored.is_ok() {
                self.limit[..m].copy_from_slice(&self.rhs);
                let solution = &mut self.limit[..m];
                let solved = self.cholesky.solve_in_place(solution);
                if solved.is_ok() && solution.iter().all(|q| q.is_finite()) {
                    self.q.copy_from_slice(solution);
                }
                return;
            }
            shift *= GROWTH;
        }
    }
}
