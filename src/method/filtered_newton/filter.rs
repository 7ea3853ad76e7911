//! The recursion of the filter in information form.

use super::dynamics::{Dynamics, multiply};
use crate::edge::{Stored, SymView};
use crate::error::Error;
use crate::linear::{DenseCholesky, Factor, Lu, SymmetricEigen};
use crate::method::stochastic::hessian::{self, Damped, failed, symmetrize};
use crate::method::stochastic::rule::{Rule, Sample};
use crate::parallel::norm;
use crate::record::Report;
use crate::status::Failed;
use crate::stochastic::StepSchedule;
use faer::{Accum, MatRef};

/// Weight of the past in τ.
const TRACE_DECAY: f64 = 0.9;
/// β falls by at most this factor a step.
const BETA_FALL: f64 = 0.95;
/// Q⁻¹ − S⁻¹ must be this far from singular to be used.
const ROBUST: f64 = 1e-6;
/// Steps in a row with ‖M‖ > 1 after which the report warns.
const GROWING: u64 = 10;
/// Products with M that estimate its norm at most, and the change at which they end.
const POWERS: usize = 20;
const POWER_CHANGE: f64 = 1e-5;

/// Whether the stationary precision S⁻¹ is subtracted from that of the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum MarginalPrecision {
    /// Not: the marginal counts as flat, and Λ is positive definite always.
    #[default]
    Omit,
    /// As the author's program: subtracted, and where λ_min(Q⁻¹ − S⁻¹) ≤ 10⁻⁶, Q⁻¹ is first
    /// replaced by Q⁻¹ + S⁻¹, for f as well. The number has a unit; for reproduction only.
    Robust,
}

/// The rule of [`FilteredNewton`](super::FilteredNewton); its state is all that a resumed run
/// needs.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BayesianFilter {
    pub(super) alpha: f64,
    pub(super) beta_factor: f64,
    pub(super) beta_fixed: Option<f64>,
    pub(super) allow_no_decay: bool,
    pub(super) capped: bool,
    pub(super) marginal: MarginalPrecision,
    pub(super) normalize: Option<bool>,
    pub(super) general: Option<Dynamics>,
    /// Whether this run divides by W.
    pub(super) normalized: bool,
    pub(super) steps: u64,
    /// Λ = Σ⁻¹.
    pub(super) lambda: Vec<f64>,
    /// ν = Σ⁻¹μ.
    pub(super) nu: Vec<f64>,
    /// W; empty if not normalized.
    pub(super) weights: Vec<f64>,
    /// τ.
    pub(super) trace: f64,
    pub(super) beta: f64,
    pub(super) memory: f64,
    /// Where the next estimate of ‖M‖ starts.
    pub(super) probe: Vec<f64>,
    pub(super) growing: u64,
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(super) work: Work,
}

/// Made again at the next iteration.
#[derive(Debug, Default)]
pub(super) struct Work {
    q: Vec<f64>,
    damped: Damped,
    /// Q⁻¹.
    inverse: Vec<f64>,
    /// Factor of C or K.
    kernel: DenseCholesky,
    square: Vec<f64>,
    vector: Vec<f64>,
    eigen: SymmetricEigen,
    lu: Lu,
}

impl Clone for Work {
    fn clone(&self) -> Self {
        Work::default()
    }
}

impl Default for BayesianFilter {
    fn default() -> Self {
        BayesianFilter {
            alpha: 0.9,
            beta_factor: 0.2,
            beta_fixed: None,
            allow_no_decay: false,
            capped: true,
            marginal: MarginalPrecision::Omit,
            normalize: None,
            general: None,
            normalized: false,
            steps: 0,
            lambda: Vec::new(),
            nu: Vec::new(),
            weights: Vec::new(),
            trace: 0.0,
            beta: 0.0,
            memory: 0.0,
            probe: Vec::new(),
            growing: 0,
            work: Work::default(),
        }
    }
}

impl BayesianFilter {
    /// τ and β for this batch.
    fn rescale(&mut self, mean_diagonal: f64) {
        if let Some(beta) = self.beta_fixed {
            self.beta = beta;
            return;
        }
        if self.steps == 0 {
            self.trace = mean_diagonal;
            self.beta = self.beta_factor * self.trace;
        } else {
            self.trace = TRACE_DECAY * self.trace + (1.0 - TRACE_DECAY) * mean_diagonal;
            self.beta = (self.beta_factor * self.trace).max(BETA_FALL * self.beta);
        }
    }

    /// Adds c S⁻¹ to Λ.
    fn add_marginal(&mut self, n: usize, c: f64) {
        match &self.general {
            Some(dynamics) => {
                for (l, s) in self.lambda.iter_mut().zip(&dynamics.marginal) {
                    *l += c * s;
                }
            }
            None => {
                let s = self.marginal_precision();
                for l in self.lambda.iter_mut().step_by(n + 1) {
                    *l += c * s;
                }
            }
        }
    }

    /// S⁻¹ = (1 − α²)/β of isotropic dynamics; none where nothing fades.
    fn marginal_precision(&self) -> f64 {
        if self.beta > 0.0 {
            ((1.0 - self.alpha * self.alpha) / self.beta).max(0.0)
        } else {
            0.0
        }
    }

    /// Λ, ν and W of the next state before its batch is seen; needs a state.
    fn predict(&mut self, n: usize, report: &mut Report) -> Result<(), Failed> {
        let (alpha, beta) = (self.alpha, self.beta);
        let (lambda, general) = (&self.lambda, &self.general);
        report.factorizations += 1;
        report.solves += 1;
        self.work
            .kernel
            .factor_with(n, 0.0, &mut |mut out| {
                for j in 0..n {
                    for i in j..n {
                        let l = lambda[i + j * n];
                        out[(i, j)] = match general {
                            None => beta * l + if i == j { alpha * alpha } else { 0.0 },
                            Some(dynamics) => l + dynamics.pull[i + j * n],
                        };
                    }
                }
            })
            .map_err(failed)?;
        self.measure(n)?;
        self.remember_nu()?;
        if self.normalized {
            self.remember_weights(n)?;
        }
        let work = &mut self.work;
        match &self.general {
            // C and Λ commute, so C⁻¹Λ is symmetric up to rounding.
            None => work
                .kernel
                .solve_columns_in_place(&mut self.lambda)
                .map_err(failed)?,
            Some(dynamics) => {
                for j in 0..n {
                    for i in 0..n {
                        work.square[j + i * n] = dynamics.gain[i + j * n];
                    }
                }
                work.kernel
                    .solve_columns_in_place(&mut work.square)
                    .map_err(failed)?;
                self.lambda.copy_from_slice(&dynamics.precision);
                let (gain, square) = (&dynamics.gain, &work.square);
                multiply(&mut self.lambda, gain, square, n, false, -1.0, Accum::Add);
            }
        }
        symmetrize(&mut self.lambda, n);
        Ok(())
    }

    /// ν ← Mν.
    fn remember_nu(&mut self) -> Result<(), Failed> {
        let mut nu = std::mem::take(&mut self.nu);
        let done = self.apply(&mut nu);
        self.nu = nu;
        done
    }

    /// W ← I + MW.
    fn remember_weights(&mut self, n: usize) -> Result<(), Failed> {
        let mut weights = std::mem::take(&mut self.weights);
        let mut done = Ok(());
        if self.general.is_none() {
            let kernel = &mut self.work.kernel;
            done = kernel.solve_columns_in_place(&mut weights).map_err(failed);
            for w in &mut weights {
                *w *= self.alpha;
            }
        } else {
            for column in weights.chunks_exact_mut(n) {
                done = done.and(self.apply(column));
            }
        }
        for w in weights.iter_mut().step_by(n + 1) {
            *w += 1.0;
        }
        self.weights = weights;
        done
    }

    /// v ← Mv.
    fn apply(&mut self, v: &mut [f64]) -> Result<(), Failed> {
        let work = &mut self.work;
        work.kernel.solve_in_place(v).map_err(failed)?;
        match &self.general {
            None => {
                for v in v {
                    *v *= self.alpha;
                }
            }
            Some(dynamics) => {
                work.vector.copy_from_slice(v);
                let (gain, vector) = (&dynamics.gain, &work.vector);
                multiply(v, gain, vector, dynamics.n, false, 1.0, Accum::Replace);
            }
        }
        Ok(())
    }

    /// v ← Mᵀv.
    fn apply_transposed(&mut self, v: &mut [f64]) -> Result<(), Failed> {
        let work = &mut self.work;
        let Some(dynamics) = &self.general else {
            return self.apply(v);
        };
        work.vector.copy_from_slice(v);
        let (gain, vector) = (&dynamics.gain, &work.vector);
        multiply(v, gain, vector, dynamics.n, true, 1.0, Accum::Replace);
        work.kernel.solve_in_place(v).map_err(failed)
    }

    /// ‖M‖ by the power method on MᵀM, from the vector where the last estimate ended.
    fn measure(&mut self, n: usize) -> Result<(), Failed> {
        let mut v = std::mem::take(&mut self.probe);
        if v.len() != n {
            // No symmetry of a problem makes this start orthogonal to what it seeks.
            v.clear();
            v.extend((0..n).map(|i| 1.0 + ((i + 1) as f64).sqrt().fract()));
        }
        let (mut last, mut done) = (0.0, Ok(()));
        for _ in 0..POWERS {
            let length = norm(&v);
            if length == 0.0 || length.is_nan() {
                break;
            }
            for v in &mut v {
                *v /= length;
            }
            done = self.apply(&mut v);
            self.memory = norm(&v);
            if done.is_err() || (self.memory - last).abs() <= POWER_CHANGE * self.memory {
                break;
            }
            last = self.memory;
            done = self.apply_transposed(&mut v);
        }
        // α = 0 maps everything to zero; start afresh.
        if norm(&v) > 0.0 {
            self.probe = v;
        }
        done
    }

    /// Takes the batch into Λ and ν; `newton` holds Q⁻¹f.
    fn correct(&mut self, n: usize, g: &[f64], newton: &[f64]) -> Result<(), Failed> {
        self.work.damped.invert(n, &mut self.work.inverse)?;
        if self.steps == 0 {
            self.lambda.copy_from_slice(&self.work.inverse);
            self.nu.copy_from_slice(newton);
            if self.capped {
                self.add_marginal(n, 1.0);
            }
            return Ok(());
        }
        for (l, q) in self.lambda.iter_mut().zip(&self.work.inverse) {
            *l += q;
        }
        for (nu, step) in self.nu.iter_mut().zip(newton) {
            *nu += step;
        }
        if self.marginal == MarginalPrecision::Robust {
            if self.exceeds_marginal(n)? {
                self.add_marginal(n, -1.0);
            } else {
                self.add_marginal_step(n, g);
            }
        }
        Ok(())
    }

    /// Whether Q⁻¹ − S⁻¹ is safely positive definite.
    fn exceeds_marginal(&mut self, n: usize) -> Result<bool, Failed> {
        let work = &mut self.work;
        work.square.copy_from_slice(&work.inverse);
        let mut scalar = 0.0;
        match &self.general {
            Some(dynamics) => {
                for (a, s) in work.square.iter_mut().zip(&dynamics.marginal) {
                    *a -= s;
                }
            }
            None => scalar = (1.0 - self.alpha * self.alpha) / self.beta,
        }
        let view = MatRef::from_column_major_slice(&work.square, n, n);
        let view = SymView::Dense(view, Stored::Lower);
        work.eigen.factor(view).map_err(failed)?;
        let least = work.eigen.values().first().copied().unwrap_or(f64::NAN);
        Ok(least - scalar > ROBUST)
    }

    /// ν ← ν + S⁻¹f.
    fn add_marginal_step(&mut self, n: usize, g: &[f64]) {
        match &self.general {
            Some(dynamics) => multiply(
                &mut self.nu,
                &dynamics.marginal,
                g,
                n,
                false,
                1.0,
                Accum::Add,
            ),
            None => {
                let s = self.marginal_precision();
                for (nu, g) in self.nu.iter_mut().zip(g) {
                    *nu += s * g;
                }
            }
        }
    }

    fn resize(&mut self, n: usize) {
        let work = &mut self.work;
        if work.q.len() != n * n || work.vector.len() != n {
            for square in [&mut work.q, &mut work.inverse, &mut work.square] {
                square.clear();
                square.resize(n * n, 0.0);
            }
            work.vector.resize(n, 0.0);
        }
    }
}

impl Rule for BayesianFilter {
    const NAME: &'static str = "Filtered Newton";

    fn check(&self) -> Result<(), Error> {
        let decays = self.alpha < 1.0 || self.allow_no_decay;
        if !(self.alpha >= 0.0 && self.alpha.is_finite() && decays) {
            let requirement = "in [0, 1), or larger with allow_no_decay";
            return Err(Error::parameter("alpha", self.alpha, requirement));
        }
        let beta = self.beta_fixed.unwrap_or(self.beta_factor);
        let may_vanish = self.allow_no_decay && self.alpha > 0.0;
        if !(beta.is_finite() && (beta > 0.0 || may_vanish && beta == 0.0)) {
            let requirement = "positive and finite, or 0 with allow_no_decay";
            return Err(Error::parameter("beta", beta, requirement));
        }
        if self.marginal == MarginalPrecision::Robust && !(self.alpha < 1.0 && beta > 0.0) {
            let requirement = "in [0, 1) with a positive beta where the marginal is subtracted";
            return Err(Error::parameter("alpha", self.alpha, requirement));
        }
        Ok(())
    }

    fn start(&mut self, n: usize, schedule: StepSchedule) -> Result<(), Error> {
        if let Some(dynamics) = &mut self.general {
            crate::error::length("dynamics", n, dynamics.n)?;
            dynamics.prepare(self.capped || self.marginal == MarginalPrecision::Robust)?;
        }
        self.normalized = self.normalize.unwrap_or(!schedule.falls());
        self.steps = 0;
        self.growing = 0;
        self.memory = 0.0;
        self.probe.clear();
        self.lambda = vec![0.0; n * n];
        self.nu = vec![0.0; n];
        self.weights.clear();
        if self.normalized {
            self.weights.resize(n * n, 0.0);
            for w in self.weights.iter_mut().step_by(n + 1) {
                *w = 1.0;
            }
        }
        Ok(())
    }

    fn direction(
        &mut self,
        sample: &Sample<'_>,
        report: &mut Report,
        p: &mut [f64],
        newton: &mut [f64],
    ) -> Result<(), Failed> {
        let n = p.len();
        self.resize(n);
        let work = &mut self.work;
        hessian::read(sample.hessian, n, &mut work.q)?;
        work.damped.factor(&work.q, n, sample.damping, report)?;
        newton.copy_from_slice(sample.g);
        work.damped.solve(newton, report)?;
        let mean_diagonal = hessian::mean_diagonal(&work.q, n) + work.damped.shift;
        self.rescale(mean_diagonal);
        if self.steps > 0 {
            self.predict(n, report)?;
        }
        self.correct(n, sample.g, newton)?;
        self.steps += 1;
        self.growing = if self.memory > 1.0 {
            self.growing + 1
        } else {
            0
        };
        report.memory_grows |= self.growing >= GROWING;
        for v in newton.iter_mut() {
            *v = -*v;
        }
        for (p, nu) in p.iter_mut().zip(&self.nu) {
            *p = -nu;
        }
        if self.normalized {
            self.work.lu.solve(&self.weights, p).map_err(failed)?;
        }
        Ok(())
    }

    fn control(&self) -> f64 {
        self.beta
    }
    fn memory(&self) -> f64 {
        self.memory
    }
}
