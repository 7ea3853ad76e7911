//! The Newton direction n = (H + τI)⁻¹ g.
//!
//! Dense, sparse and Gram matrices are factored by Cholesky; products, and Gram
//! matrices too large for that, go to preconditioned conjugate gradients. If H
//! is not positive definite, τ > 0 is added by the rule of
//! [`factor_with_shift`](crate::linear::factor_with_shift), or the run fails, by option. A factor
//! that is kept for later points is [updated](super::secant).

use super::secant::Secant;
use super::{Direction, Fault, Iterate, Proposal};
use crate::edge::SymView;
use crate::linear::cg::{CgEnd, CgOptions, TruncatedCg};
use crate::linear::diagonal::DiagonalPower;
use crate::linear::gram::GramSolve;
use crate::linear::{Breakdown, Cholesky, diagonal_range, with_late_shift, with_shift};
use crate::oracle::{Abort, Counted, Curvature, Oracle};
use crate::parallel::{dot, norm};
use crate::status::Failed;

/// What to do where the Hessian is not positive definite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Indefinite {
    /// Add the smallest tried multiple of the identity that makes it so. The
    /// report counts these iterations; affine invariance is lost in them.
    #[default]
    Shift,
    /// End the run as `Failed(NotPositiveDefinite)`.
    Fail,
}

/// The Newton direction of [`DampedNewton`](crate::DampedNewton) and its workspace.
#[derive(Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NewtonDirection {
    pub(crate) indefinite: Indefinite,
    /// τ of the factor.
    shift: f64,
    power: DiagonalPower,
    secant: Secant,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

// A clone starts with an empty workspace, which is made again at the next iteration.
impl Clone for NewtonDirection {
    fn clone(&self) -> Self {
        NewtonDirection {
            indefinite: self.indefinite,
            shift: self.shift,
            power: self.power,
            secant: self.secant.clone(),
            work: Work::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Work {
    factor: Cholesky,
    cg: TruncatedCg,
    has_factor: bool,
    /// The curvature that is to be factored: a new one, or that of a resumed run.
    loaded: Option<Loaded>,
    shift: f64,
    /// n.
    direction: Vec<f64>,
    decrement: f64,
    diagonal: Vec<f64>,
    scratch: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Loaded {
    New,
    Again,
}

/// Most conjugate-gradient iterations per Newton iteration, as a multiple of d;
/// in exact arithmetic d suffice.
const CG_LIMIT: usize = 10;
/// Attempts with growing shifts after conjugate gradients met negative curvature.
const CG_SHIFTS: usize = 60;

impl From<Breakdown> for Fault {
    fn from(breakdown: Breakdown) -> Self {
        Fault::Fail(match breakdown {
            Breakdown::NonFinite { .. } => Failed::NonFinite,
            Breakdown::NotPositiveDefinite { .. } | Breakdown::Singular { .. } => {
                Failed::NotPositiveDefinite
            }
            _ => Failed::Breakdown,
        })
    }
}

/// Writes (H + shift I) v.
type Apply<'a> = dyn FnMut(f64, &[f64], &mut [f64]) -> Result<(), Abort> + 'a;

impl Work {
    fn factor(
        &mut self,
        view: SymView<'_>,
        at: &Iterate,
        indefinite: Indefinite,
        kept: f64,
        attempts: &mut u64,
    ) -> Result<(), Breakdown> {
        self.has_factor = true;
        let again = self.loaded == Some(Loaded::Again);
        self.shift = kept;
        match indefinite {
            // A matrix that is not quite the old one may want another shift.
            _ if again && self.factor.factor(view, kept).is_ok() => {}
            Indefinite::Shift => {
                let factor = &mut self.factor;
                let mut attempt = |shift| {
                    *attempts += 1;
                    factor.factor(view, shift)
                };
                let n = self.direction.len();
                let shifted = match view {
                    SymView::Gram(gram) => {
                        let diagonal = || gram.diagonal_range(&mut self.diagonal);
                        with_late_shift(&mut attempt, n, diagonal, at.slope)?
                    }
                    _ => with_shift(&mut attempt, n, diagonal_range(view)?, at.slope, 1)?,
                };
                self.shift = shifted.shift;
            }
            Indefinite::Fail => {
                *attempts += 1;
                self.shift = 0.0;
                self.factor.factor(view, 0.0)?;
            }
        }
        Ok(())
    }

    /// Solves by conjugate gradients; `apply(shift, v, out)` writes (H + shift I) v.
    fn iterate(
        &mut self,
        at: &Iterate,
        forcing: f64,
        mut power: Option<&mut DiagonalPower>,
        indefinite: Indefinite,
        apply: &mut Apply<'_>,
    ) -> Result<(), Fault> {
        self.has_factor = false;
        self.shift = 0.0;
        let options = CgOptions {
            relative_tolerance: forcing,
            max_iterations: CG_LIMIT * at.x.len().max(10),
            step_tolerance: f64::INFINITY,
            radius: f64::INFINITY,
        };
        if let Some(power) = &power {
            power.raise(&mut self.diagonal);
        }
        let mut shift = 0.0;
        for _ in 0..=CG_SHIFTS {
            let jacobi = power.is_some().then_some(self.diagonal.as_slice());
            let mut shifted = |v: &[f64], out: &mut [f64]| apply(shift, v, out);
            let outcome = self.cg.solve(&at.g, jacobi, options, &mut shifted)?;
            match outcome.end {
                CgEnd::Converged | CgEnd::MaxIterations => {
                    if let Some(power) = &mut power {
                        power.learn(outcome.iterations, outcome.residual_norm / at.slope);
                    }
                    self.direction.copy_from_slice(self.cg.solution());
                    self.shift = shift;
                    return Ok(());
                }
                CgEnd::NonFinite => return Err(Failed::NonFinite.into()),
                // Without a radius there is no boundary.
                CgEnd::NegativeCurvature | CgEnd::Boundary => {}
            }
            if indefinite == Indefinite::Fail {
                return Err(Failed::NotPositiveDefinite.into());
            }
            let p = self.cg.direction();
            apply(0.0, p, &mut self.scratch)?;
            let curvature = dot(p, &self.scratch) / dot(p, p);
            let scale = norm(&self.scratch) / norm(p);
            let least = if scale > 0.0 { 1e-3 * scale } else { at.slope };
            shift = (2.0 * shift).max(least - curvature);
            if !shift.is_finite() {
                return Err(Failed::NonFinite.into());
            }
        }
        Err(Failed::NotPositiveDefinite.into())
    }
}

impl Direction for NewtonDirection {
    fn load(&mut self, _: &mut Counted<'_>, _: usize, again: bool) -> Result<(), Fault> {
        self.work.loaded = Some(if again { Loaded::Again } else { Loaded::New });
        Ok(())
    }

    fn prepare(
        &mut self,
        oracle: &mut Counted<'_>,
        at: &Iterate,
        forcing: f64,
    ) -> Result<(), Fault> {
        let d = at.x.len();
        let (work, indefinite, kept) = (&mut self.work, self.indefinite, self.shift);
        for v in [&mut work.direction, &mut work.scratch, &mut work.diagonal] {
            v.resize(d, 0.0);
        }
        if oracle.report.iterations == 0 {
            self.power = DiagonalPower::default();
        }
        let mut attempts = 0;
        let keeps = work.loaded.is_none() && work.has_factor && work.factor.is_whole();
        let result = match oracle.inner.curvature() {
            // The host may not have the matrix any more.
            _ if keeps => {
                self.secant.update(at);
                work.direction.copy_from_slice(&at.g);
                let factor = &mut work.factor;
                let solved = self
                    .secant
                    .solve(&mut work.direction, |v| factor.solve_whole(v));
                solved.map_err(Fault::from)
            }
            Curvature::Matrix(SymView::Gram(gram)) if gram.way() == GramSolve::Cg => {
                gram.diagonal(&mut work.diagonal);
                let products = &mut oracle.report.hessian_products;
                let power = Some(&mut self.power);
                work.iterate(at, forcing, power, indefinite, &mut |shift, v, out| {
                    *products += 1;
                    gram.mul(shift, v, out);
                    Ok(())
                })
            }
            Curvature::Matrix(view) => {
                match work.loaded {
                    // The last iterate of the run that is resumed.
                    Some(Loaded::Again) => self.secant.update(at),
                    _ => self.secant.restart(at),
                }
                let factored = work.factor(view, at, indefinite, kept, &mut attempts);
                work.loaded = work.loaded.filter(|_| factored.is_err());
                work.direction.copy_from_slice(&at.g);
                let factor = &mut work.factor;
                let solved = factored.and_then(|()| {
                    self.secant
                        .solve(&mut work.direction, |v| factor.solve_in_place(view, v))
                });
                solved.map_err(Fault::from)
            }
            Curvature::Products => {
                let power = oracle.diagonal(&mut work.diagonal)?;
                let power = power.then_some(&mut self.power);
                work.iterate(at, forcing, power, indefinite, &mut |shift, v, out| {
                    oracle.product(v, out)?;
                    for (out, v) in out.iter_mut().zip(v) {
                        *out += shift * v;
                    }
                    Ok(())
                })
            }
        };
        self.shift = work.shift;
        let report = &mut *oracle.report;
        report.factorizations += attempts;
        report.analyses = work.factor.analyses();
        report.solves += 1;
        report.shift = work.shift;
        report.shifted += u64::from(work.shift > 0.0);
        result?;
        let squared = dot(&at.g, &work.direction);
        if !squared.is_finite() {
            return Err(Failed::NonFinite.into());
        }
        // Positive in exact arithmetic: the solve has lost all digits, which is no convergence.
        if squared < 0.0 {
            return Err(Failed::SubproblemFailed.into());
        }
        work.decrement = squared.sqrt();
        report.decrement = work.decrement;
        Ok(())
    }

    fn step(
        &mut self,
        _: &mut Counted<'_>,
        _: &Iterate,
        control: f64,
        out: &mut [f64],
    ) -> Result<Option<Proposal>, Fault> {
        for (out, n) in out.iter_mut().zip(&self.work.direction) {
            *out = -control * n;
        }
        Ok(Some(Proposal {
            predicted: 0.5 * self.work.decrement * self.work.decrement,
            length: f64::NAN,
            multiplier: 0.0,
        }))
    }

    fn unrestricted(&mut self, _: &mut Counted<'_>, _: &Iterate, _: f64) -> Result<f64, Fault> {
        Ok(0.5 * self.work.decrement * self.work.decrement)
    }

    fn decrement(&self) -> Option<f64> {
        Some(self.work.decrement)
    }

    fn has_decrement(&self) -> bool {
        true
    }

    fn along(&self, gradient: &[f64]) -> f64 {
        dot(gradient, &self.work.direction)
    }

    fn inverse_norm_squared(&mut self, oracle: &mut Counted<'_>, v: &[f64]) -> Option<f64> {
        if !self.work.has_factor {
            return None;
        }
        oracle.report.solves += 1;
        if !self.secant.is_empty() {
            let (factor, scratch) = (&mut self.work.factor, &mut self.work.scratch);
            scratch.copy_from_slice(v);
            let solved = self.secant.solve(scratch, |v| factor.solve_whole(v));
            return solved.is_ok().then(|| dot(v, scratch));
        }
        if self.work.factor.is_whole() {
            return self.work.factor.norm_squared_whole(v).ok();
        }
        match oracle.curvature() {
            Curvature::Matrix(view) => self.work.factor.inverse_norm_squared(view, v).ok(),
            Curvature::Products => None,
        }
    }

    fn has_factor(&self) -> bool {
        self.work.has_factor
    }

    fn is_reusable(&self) -> bool {
        self.work.has_factor && self.work.factor.is_whole()
    }

    fn full_step(&self, out: &mut [f64]) -> bool {
        for (out, n) in out.iter_mut().zip(&self.work.direction) {
            *out = -n;
        }
        true
    }
}
