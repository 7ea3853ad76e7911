//! Newton's method on a growing sample of the rows.
//!
//! # Hessians
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
//!   what limits the steps: the next Hessian is that of four times as many rows, or of twice as many where
//!   four times would cost more than three gradients;
//! * where it cut less, the function curves: the next Hessian is as large as this one, at the
//!   new point; but after four of one size, whose error may be larger than expected, the sample
//!   grows all the same;
//! * where a Hessian is asked for again at the same point, the last one did not serve: the sample
//!   grows. [`DampedNewton`] asks where a full step gains less than 0.7 of what the sample promised.
//!
//! From half the rows on the Hessian is exact. Values and gradients always are, and so is what
//! a run converges to; a method that accepts any Hessian approximation, and keeps one as long as
//! it serves, turns the savings into time. Which rows belong to a sample depends on their
//! numbers, entries and weights alone, so that runs repeat, and smaller samples are parts of larger ones.
//! The size of the sample is the object's: make one for each run. A run that is resumed from a
//! checkpoint on a new one begins with a small sample again; it converges as well, by other steps.
//!
//! # Start
//! Where there are many more rows than coefficients, the minimizer of the loss on a sample is close to
//! that on all rows: its gradient there is smaller than at the origin by about √(d/t), and the steps that lead there,
//! through most of what is not quadratic, cost t/n of what they cost on all rows. [`Sampled::start`] goes this way with t = 20d, and again
//! from there with four times as many rows as long as they are at most 0.35 of all. Each time it ends
//! where the gradient on the sample is 0.3√(d/t) of that at the origin: what a closer minimizer would gain
//! the rows outside the sample do not know of. Smaller samples are fitted too well, and lead away: on w8a fits of t = 6d
//! made a run a fifth more work, of t = 3d a half. Hessians are of other rows, for those of the fit lack curvature just where it
//! went too far; from 100 rows for each coefficient on nothing was gained by others, and they serve both.
//!
//! Source: R. H. Byrd, G. M. Chin, W. Neveitt, J. Nocedal, "On the use of stochastic Hessian
//! information in optimization methods for machine learning" (2011), for subsampled Hessians;
//! P. Xu, J. Yang, F. Roosta-Khorasani, C. Ré, M. W. Mahoney, "Sub-sampled Newton methods with
//! non-uniform sampling" (2016), for drawing by leverage; A. Mokhtari, H. Daneshmand, A. Lucchi, T. Hofmann, A. Ribeiro,
//! "Adaptive Newton method for empirical risk minimization to statistical accuracy" (2016), for starts from
//! samples; A. Semenov, M. Jaggi, N. Doikov, "Gradient-normalized smoothness for optimization with
//! approximate Hessians" (2025), for methods that accept them. The rules of growth are ours.

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
/// Growth of the sample, and where that costs more than so many gradients.
const GROWTH: f64 = 4.0;
const DEAR: f64 = 3.0;
const LITTLE: f64 = 2.0;
/// The sample may be what limits a step that leaves less than so many times √(d/t).
const LIMIT: f64 = 1.5;
/// Most Hessians of one size.
const MOST: u32 = 4;
/// A larger part of the rows is not worth being selected.
const WHOLE: f64 = 0.5;
/// Rows of the first sample that a start is fitted to, for each coefficient.
const FITTED: f64 = 20.0;
/// Largest part of the rows that a start is fitted to.
const PART: f64 = 0.35;
/// The gradient of such a fit is less than so many times √(d/t) of that at the origin.
const CLOSE: f64 = 0.3;
/// Most steps of such a fit.
const STEPS: u64 = 30;
/// From so many rows for each coefficient on the sample that the start is fitted to serves Hessians too.
const FREE: f64 = 100.0;

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
    /// 1/qᵢ, and uᵢ/qᵢ for a random number uᵢ in \[0, 1): a row belongs to samples of more draws than that.
    rarity: Vec<f64>,
    key: Vec<f64>,
    /// Number of rows that have a weight.
    weighted: f64,
    state: Mutex<State<L>>,
}

/// Which of the random numbers make a sample: the least or the largest.
#[derive(Debug, Clone, Copy)]
enum End {
    Low,
    High,
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
    /// Evaluations so far of Hessians, and of values and gradients for the start, in those of the whole.
    cost: f64,
    passes: f64,
}

impl<L: Loss> LinearModel<L> {
    /// This function with Hessians of a growing sample of the rows.
    pub fn sampled(&self) -> Sampled<'_, L> {
        let s = &self.shared;
        let rows = s.share.len() as f64;
        let cheap = CHEAP * rows / s.design.hessian_cost();
        let draws = (FIRST * self.dimension() as f64).max(cheap);
        // Samples of that size may never be drawn.
        let least = draws.min(FITTED * self.dimension() as f64);
        let leverage = match least < WHOLE * rows {
            true => s.design.leverage(&s.share),
            false => None,
        };
        let rarity: Vec<f64> = match leverage {
            Some((leverage, d)) => {
                let mean = |(s, c): (&f64, &f64)| 2.0 * d / (c * (d + s));
                leverage.iter().zip(&s.share).map(mean).collect()
            }
            None => s.share.iter().map(|c| 1.0 / c).collect(),
        };
        let state = State {
            draws,
            sample: None,
            at: Vec::new(),
            slopes: [f64::INFINITY; 2],
            from: Vec::new(),
            used: 0,
            cost: 0.0,
            passes: 0.0,
        };
        Sampled {
            model: self,
            key: rarity
                .iter()
                .enumerate()
                .map(|(i, r)| hash(i) * r)
                .collect(),
            weighted: rarity.iter().filter(|r| r.is_finite()).count() as f64,
            rarity,
            state: Mutex::new(state),
        }
    }

    /// Fits the model, the fastest of our ways on the sets we tried.
    ///
    /// Well-conditioned dense data of many columns is faster fitted by a quasi-Newton method, which
    /// forms no matrix.
    ///
    /// Where forming AᵀDA is the cheapest way to solve a Newton system this is
    /// [`DampedNewton`] on the [`sampled`](Self::sampled) model from its [`start`](Sampled::start), with
    /// [`Schedule::Armijo`] and [`Refresh::Payoff`]: a factor is kept while a step with it cuts
    /// the gradient more for its price than one with a new Hessian would; otherwise, for many more
    /// coefficients, it is [`DampedNewton`] from the origin by the dual or by conjugate gradients, preconditioned by
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
    /// let sampled = model.sampled();
    /// let tight = model
    ///     .solver()
    ///     .gradient_tol(1e-12)
    ///     .minimize(&sampled, sampled.start()?)?
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
            true => {
                let sampled = self.sampled();
                solver.minimize(&sampled, sampled.start()?)
            }
            false => solver.minimize(self, self.origin()),
        })
    }

    /// The solver that [`fit`](Self::fit) runs.
    pub fn solver(&self) -> DampedNewton {
        if !self.is_formed() {
            return DampedNewton::new();
        }
        DampedNewton::new()
            .refresh(Refresh::Payoff(self.shared.design.hessian_cost()))
            .schedule(Schedule::Armijo)
    }

    /// Whether Newton systems are solved by forming AᵀDA, so that [`fit`](Self::fit) samples rows.
    pub fn is_formed(&self) -> bool {
        self.shared.gram(&[]).way() == GramSolve::Primal
    }
}

impl<L: Loss> Sampled<'_, L> {
    /// Hessians evaluated so far, those for the start included, in evaluations of the Hessian of all rows.
    pub fn hessian_cost(&self) -> f64 {
        self.lock().cost
    }

    /// Values with gradients evaluated for the start so far, in evaluations on all rows. A run from there
    /// counts its own.
    pub fn start_cost(&self) -> f64 {
        self.lock().passes
    }

    /// Where to start: the minimizer on a sample, about, if there are many more rows than coefficients, else
    /// the origin; see the [module](self#start).
    ///
    /// f is less there than at the origin. Hessians are of no fewer rows from now on. One evaluation is that at the origin, the
    /// others are of samples.
    ///
    /// # Errors
    /// What [`check`](LinearModel::check) says.
    pub fn start(&self) -> Result<Vec<f64>, Error> {
        let model = self.model;
        model.check()?;
        let (mut w, rows) = (model.origin(), self.key.len() as f64);
        let d = w.len() as f64;
        let mut draws = FITTED * d;
        let mut state = self.lock();
        let mut last = None;
        // Where few rows have most of the weight a sample of more draws is the same.
        while draws < self.weighted
            && let Some(sample) = self.draw(draws, PART, End::Low).map(Arc::new)
        {
            let fitted = LinearModel::of(Arc::clone(&sample));
            let goal = CLOSE * (d / draws).sqrt() * fitted.gradient_scale();
            let solver = fitted.solver().gradient_tol(0.0).gradient_tol_abs(goal);
            let run = solver.max_iters(STEPS).minimize(&fitted, w.clone());
            // What is wrong the run on all rows tells better.
            let Ok(run) = run else { break };
            let part = sample.label.len() as f64 / rows;
            state.cost += part * run.report.hessians as f64;
            state.passes += part * run.report.gradients as f64;
            w = run.x;
            last = Some((draws, sample));
            draws *= GROWTH;
        }
        let Some((draws, sample)) = last else {
            return Ok(w);
        };
        state.passes += 1.0;
        // In the arrays that the next evaluation uses too.
        model.slope(&model.origin());
        // NaN compares false.
        let falls = model.value(&w) < model.at_origin().0;
        if !falls {
            return Ok(model.origin());
        }
        if draws > state.draws {
            state.draws = draws;
            state.sample = (draws >= FREE * d).then_some(sample);
        }
        Ok(w)
    }

    fn lock(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows for the next Hessian, at w; none if it is that of all.
    fn next(&self, w: &[f64]) -> Option<Arc<Shared<L>>> {
        let mut state = self.lock();
        let all = self.key.len() as f64;
        let [before, after] = state.slopes;
        let error = (self.model.dimension() as f64 / state.draws).sqrt();
        // NaN compares false: nothing was learnt, as where the last gradient is a rejected trial's.
        let known = state.at == w && before.is_finite();
        let limits = known && after < LIMIT * error * before;
        let again = state.from == w;
        if state.used >= MOST || (state.used > 0 && (limits || again)) {
            let affordable = DEAR * all / self.model.shared.design.hessian_cost();
            let little = LITTLE * state.draws;
            state.draws = (GROWTH * state.draws).min(affordable.max(little));
            state.sample = None;
            state.used = 0;
        }
        if state.draws.is_finite() && state.sample.is_none() {
            match self.draw(state.draws, WHOLE, End::High) {
                Some(sample) => state.sample = Some(Arc::new(sample)),
                None => state.draws = f64::INFINITY,
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

    /// The rows of a sample and their weights in it; none if it is empty or more than this part of the rows
    /// that have a weight.
    fn draw(&self, draws: f64, most: f64, end: End) -> Option<Shared<L>> {
        let s = &self.model.shared;
        let rows = self.key.iter().zip(&self.rarity).enumerate();
        let chosen: Vec<usize> = rows
            .filter(|(_, (key, rarity))| match end {
                End::Low => **key < draws,
                End::High => **rarity - **key < draws,
            })
            .map(|(i, _)| i)
            .collect();
        if chosen.is_empty() || chosen.len() as f64 > most * self.weighted {
            return None;
        }
        let weights = chosen
            .iter()
            .map(|&i| s.share[i] * (self.rarity[i] / draws).max(1.0));
        let total: f64 = weights.clone().sum();
        Some(Shared {
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

/// A fixed hash of i, uniform in \[0, 1).
fn hash(i: usize) -> f64 {
    let mut z = (i as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 * (0.5 / (1u64 << 52) as f64)
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
