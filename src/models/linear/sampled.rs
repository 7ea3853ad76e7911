//! Hessians from a growing sample of the rows.
//!
//! A step that cuts the gradient to a tenth does not need a Hessian that is right to eight digits.
//! The Hessian of t rows, drawn at random, has a relative error of about √(d/t), so that Newton's
//! method with it cuts the gradient to about this part, for t/n of the price. The sample
//! therefore begins with t = 8d, or what costs a quarter of a gradient if that is more, and grows
//! as the steps ask for it. Row i is drawn with probability t qᵢ, at most 1, where
//!
//! qᵢ = cᵢ(1 + sᵢ/d)/2, sᵢ = Σⱼ aᵢⱼ² / Σₖ cₖaₖⱼ²,
//!
//! and counts 1/(t qᵢ) times then. sᵢ is the leverage of the row but for correlations of the columns: the rows of
//! a rare feature, without which the sample would be singular, are in every sample. For data stored densely,
//! where no feature is rare, qᵢ = cᵢ. The Hessian grows by this rule:
//!
//! * where the last step cut the gradient to less than 1.5√(d/t), the error of the sample may be
//!   what limits the steps: the next Hessian is that of four times as many rows;
//! * where it cut less, the function curves: the next Hessian is as large as this one, at the
//!   new point; but after four of one size, whose error may be larger than expected, the sample
//!   grows all the same;
//! * where a Hessian is asked for again at the same point, the last one did not serve: the sample
//!   grows. [`DampedNewton`] asks where a full step gains less than 0.7 of what the sample promised.
//!
//! From half the rows on the Hessian is exact. Values and gradients always are, and so is what
//! the run converges to; a method that accepts any Hessian approximation, and keeps one as long as
//! it serves, turns the savings into time. Which rows belong to a sample depends on their
//! numbers, entries and weights alone, so that runs repeat, and smaller samples are parts of larger ones.
//! The size of the sample is the object's: make one for each run. A run that is resumed from a
//! checkpoint on a new one begins with a small sample again; it converges as well, by other steps.
//!
//! Source: R. H. Byrd, G. M. Chin, W. Neveitt, J. Nocedal, "On the use of stochastic Hessian
//! information in optimization methods for machine learning" (2011), for subsampled Hessians;
//! P. Xu, J. Yang, F. Roosta-Khorasani, C. Ré, M. W. Mahoney, "Sub-sampled Newton methods with
//! non-uniform sampling" (2016), for drawing by leverage; A. Semenov, M. Jaggi, N. Doikov, "Gradient-normalized smoothness for optimization with
//! approximate Hessians" (2025), for methods that accept them. The rule of growth is ours.

use super::{LinearModel, Loss, Shared, WeightedGram};
use crate::error::Error;
use crate::globalization::damping::Schedule;
use crate::lazy::Refresh;
use crate::linear::gram::GramSolve;
use crate::method::damped_newton::DampedNewton;
use crate::parallel::{inside, norm};
use crate::solver::Run;
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows of the first sample for each coefficient.
const FIRST: f64 = 8.0;
/// Price of a sample's Hessian, in gradients, that need not be made less.
const CHEAP: f64 = 0.25;
/// −log of what a step with a new Hessian leaves of the gradient, about.
const FRESH: f64 = 4.5;
/// A step that leaves more of the gradient always ends the service of a factor.
const SLOWEST: f64 = 0.4;
/// Growth of the sample.
const GROWTH: f64 = 4.0;
/// The sample may be what limits a step that leaves less than so many times √(d/t).
const LIMIT: f64 = 1.5;
/// Most Hessians of one size.
const MOST: u32 = 4;
/// A larger part of the rows is not worth being selected.
const WHOLE: f64 = 0.5;

/// A linear model whose Hessians are those of a growing sample of its rows; see the
/// [module](self).
///
/// Without a penalty a small sample may be singular where the Hessian of all rows is not; the
/// default [`Indefinite::Shift`](crate::Indefinite) copes with that.
///
/// Made by [`LinearModel::sampled`]. Any method that takes argmin's three traits runs on it; one
/// that expects exact Hessians may take more steps.
#[derive(Debug)]
pub struct Sampled<'a, L> {
    model: &'a LinearModel<L>,
    /// qᵢ.
    chance: Vec<f64>,
    state: Mutex<State<L>>,
}

#[derive(Debug)]
struct State<L> {
    /// t; infinite if the Hessian is exact.
    draws: f64,
    /// The rows of this size.
    sample: Option<Arc<Shared<L>>>,
    /// The last point whose gradient was evaluated, ‖g‖ at the one before and there.
    at: Vec<f64>,
    slopes: [f64; 2],
    /// Where the last Hessian was evaluated, and how many of this size were.
    from: Vec<f64>,
    used: u32,
    /// Hessians so far, in evaluations of the whole.
    cost: f64,
}

impl<L: Loss> LinearModel<L> {
    /// This function with Hessians of a growing sample of the rows.
    pub fn sampled(&self) -> Sampled<'_, L> {
        let s = &self.shared;
        let rows = s.share.len() as f64;
        let cheap = CHEAP * rows / s.design.hessian_cost();
        let draws = (FIRST * self.dimension() as f64).max(cheap);
        // Samples of that size may never be drawn.
        let leverage = match draws < WHOLE * rows {
            true => s.design.leverage(&s.share),
            false => None,
        };
        let chance = match leverage {
            Some((leverage, d)) => {
                let mean = |(s, c): (&f64, &f64)| 0.5 * c * (1.0 + s / d);
                leverage.iter().zip(&s.share).map(mean).collect()
            }
            None => s.share.clone(),
        };
        let state = State {
            draws,
            sample: None,
            at: Vec::new(),
            slopes: [f64::INFINITY; 2],
            from: Vec::new(),
            used: 0,
            cost: 0.0,
        };
        Sampled {
            model: self,
            chance,
            state: Mutex::new(state),
        }
    }

    /// Fits the model from the origin, the fastest of our ways on the sets we tried.
    ///
    /// Well-conditioned dense data of many columns is faster fitted by a quasi-Newton method, which
    /// forms no matrix.
    ///
    /// Where forming AᵀDA is the cheapest way to solve a Newton system this is
    /// [`DampedNewton`] on the [`sampled`](Self::sampled) model, with
    /// [`Schedule::Armijo`] and [`Refresh::Contraction`] of exp(−4.5/(1 + c)) or 0.4 if that is less,
    /// where a Hessian costs as much as c gradients: a factor is kept while a step with it cuts
    /// the gradient more for its price than one with a new Hessian would; otherwise, for many more
    /// coefficients, it is [`DampedNewton`] by the dual or by conjugate gradients, preconditioned by
    /// a power of the diagonal. It ends where ‖g‖ ≤ 10⁻⁸ ‖g(0)‖; for
    /// other tolerances, limits or a callback run its [`solver`](Self::solver) yourself, on the model
    /// itself unless [`is_formed`](Self::is_formed):
    ///
    /// ```
    /// use raphson::{Dataset, models::LogisticRegression};
    /// let rows: Vec<Vec<f64>> = (0..40).map(|i| vec![1.0, (i as f64 * 0.7).sin()]).collect();
    /// let labels: Vec<f64> = (0..40).map(|i| f64::from(i * i % 7 < 3)).collect();
    /// let model = LogisticRegression::new(&Dataset::from_rows(&rows, &labels)?).l2(0.1);
    /// let fit = model.fit()?.must_converge()?;
    /// assert!(model.is_formed());
    /// let tight = model
    ///     .solver()
    ///     .gradient_tol(1e-12)
    ///     .minimize(&model.sampled(), model.origin())?
    ///     .must_converge()?;
    /// assert!((fit.x[1] - tight.x[1]).abs() < 1e-7);
    /// # Ok::<(), raphson::Error>(())
    /// ```
    ///
    /// # Threads
    /// Loops over the rows are shared with rayon's pool, whose threads, up to 15, stay awake until the fit
    /// ends or leaves them without work for 10 ms: to wake one takes as long as a small loop. That is so for one
    /// caller from outside the pool at a time. To run many fits beside each other set
    /// `RAYON_NUM_THREADS=1`, or call from within the pool. Results do not depend on it.
    ///
    /// # Errors
    /// What [`check`](Self::check) says. Whether the run converged is in its status.
    pub fn fit(&self) -> Result<Run<Vec<f64>>, Error> {
        self.fit_to(1e-8, 0.0)
    }

    /// As [`fit`](Self::fit), to where ‖g‖ ≤ `relative` ‖g(0)‖ or ‖g‖ ≤ `absolute`.
    pub fn fit_to(&self, relative: f64, absolute: f64) -> Result<Run<Vec<f64>>, Error> {
        let solver = self
            .solver()
            .gradient_tol(relative)
            .gradient_tol_abs(absolute);
        let work = 4 * self.shared.design.entries();
        inside(work, || match self.is_formed() {
            true => solver.minimize(&self.sampled(), self.origin()),
            false => solver.minimize(self, self.origin()),
        })
    }

    /// The solver that [`fit`](Self::fit) runs.
    pub fn solver(&self) -> DampedNewton {
        if !self.is_formed() {
            return DampedNewton::new();
        }
        let price = 1.0 + self.shared.design.hessian_cost();
        let rate = (-FRESH / price).exp().min(SLOWEST);
        DampedNewton::new()
            .refresh(Refresh::Contraction(rate))
            .schedule(Schedule::Armijo)
    }

    /// Whether Newton systems are solved by forming AᵀDA, so that [`fit`](Self::fit) samples rows.
    pub fn is_formed(&self) -> bool {
        self.shared.gram(&[]).way() == GramSolve::Primal
    }
}

impl<L: Loss> Sampled<'_, L> {
    /// Hessians evaluated so far, in evaluations of the Hessian of all rows.
    pub fn hessian_cost(&self) -> f64 {
        self.lock().cost
    }

    fn lock(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows for the next Hessian, at w; none if it is that of all.
    fn next(&self, w: &[f64]) -> Option<Arc<Shared<L>>> {
        let mut state = self.lock();
        let all = self.chance.len() as f64;
        let [before, after] = state.slopes;
        let error = (self.model.dimension() as f64 / state.draws).sqrt();
        // NaN compares false: nothing was learnt, as where the last gradient is a rejected trial's.
        let known = state.at == w && before.is_finite();
        let limits = known && after < LIMIT * error * before;
        let again = state.from == w;
        if state.used >= MOST || (state.used > 0 && (limits || again)) {
            state.draws *= GROWTH;
            state.sample = None;
            state.used = 0;
        }
        if state.draws.is_finite() && state.sample.is_none() {
            let expected: f64 = self.chance.iter().map(|q| (state.draws * q).min(1.0)).sum();
            if expected > WHOLE * all {
                state.draws = f64::INFINITY;
            } else {
                state.sample = self.draw(state.draws).map(Arc::new);
            }
        }
        state.from.clear();
        state.from.extend_from_slice(w);
        state.used += 1;
        state.cost += match &state.sample {
            Some(sample) => sample.label.len() as f64 / all,
            None => 1.0,
        };
        state.sample.clone()
    }

    /// The rows of a sample and their weights in it; none if it is empty.
    fn draw(&self, draws: f64) -> Option<Shared<L>> {
        let s = &self.model.shared;
        let chance = |i: usize| (draws * self.chance[i]).min(1.0);
        let chosen: Vec<usize> = (0..self.chance.len())
            .filter(|&i| belongs(i, chance(i)))
            .collect();
        let weights = chosen.iter().map(|&i| s.share[i] / chance(i));
        let total: f64 = weights.clone().sum();
        (!chosen.is_empty()).then(|| Shared {
            design: Arc::new(s.design.select(&chosen)),
            label: chosen.iter().map(|&i| s.label[i]).collect(),
            share: weights.map(|weight| weight / total).collect(),
            merged: None,
            loss: s.loss.clone(),
            defect: None,
            partial: true,
            // As the whole, or a factor could not be kept.
            solve: match s.gram(&[]).way() {
                GramSolve::Dual => GramSolve::Auto,
                way => way,
            },
            ..**s
        })
    }
}

/// Whether row i belongs to the sample: a fixed hash of i, uniform in \[0, 1).
fn belongs(i: usize, part: f64) -> bool {
    let mut z = (i as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 * (0.5 / (1u64 << 52) as f64) < part
}

impl<L: Loss> CostFunction for Sampled<'_, L> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, w: &Vec<f64>) -> Result<f64, HostError> {
        self.model.cost(w)
    }
}

impl<L: Loss> Gradient for Sampled<'_, L> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, w: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        let g = self.model.gradient(w)?;
        let mut state = self.lock();
        if state.at != *w {
            state.at.clone_from(w);
            state.slopes = [state.slopes[1], norm(&g)];
        }
        Ok(g)
    }
}

impl<L: Loss> Hessian for Sampled<'_, L> {
    type Param = Vec<f64>;
    type Hessian = WeightedGram<L>;

    fn hessian(&self, w: &Vec<f64>) -> Result<WeightedGram<L>, HostError> {
        let model = self.model;
        model.ready(w)?;
        let Some(sample) = self.next(w) else {
            return Hessian::hessian(model, w);
        };
        // Backtracks from here need no pass.
        model.margins.with(|margins| margins.leave_from(w));
        Ok(WeightedGram {
            weight: sample.curvatures(w),
            shared: sample,
            whole: Arc::clone(&model.shared),
            scale: Some(model.gradient_scale()),
        })
    }
}
