//! When a Hessian is evaluated again.
//!
//! A lazy method evaluates the Hessian at an anchor z and takes several steps
//! with it; gradients are always fresh. With m steps per Hessian the error
//! H(z) − H(x) grows with ‖x − z‖, so more steps are needed, but each costs a
//! gradient and O(d²) instead of a Hessian and a factorization.
//!
//! Reference: N. Doikov, E. M. Chayti, M. Jaggi, "Second-order optimization with
//! lazy Hessians" (2023).

use crate::edge::SymView;
use crate::error::Error;
use crate::oracle::{Curvature, Oracle};

/// When the Hessian is evaluated again.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Refresh {
    /// After so many accepted steps. With a Hessian that costs d gradients, m = d
    /// minimizes the bound on the total work; with a cheap one, m of 10 or √d is better.
    Every(u64),
    /// As soon as the steps reduce the gradient more slowly than the phase did on average,
    /// its Hessian included (marginal value).
    ///
    /// With cₕ the cost of a Hessian in gradients: refresh when the mean of the last three
    /// log(‖gᵢ‖/‖gᵢ₊₁‖) falls below Σ log(‖gᵢ‖/‖gᵢ₊₁‖) / (cₕ + gradients), both over the
    /// steps since the Hessian. cₕ is counted from the Hessian's structure, never timed, so
    /// that runs repeat bit for bit: for a linear model by flops, else d for a dense and the
    /// mean length of a column for a sparse matrix.
    Auto,
    /// As soon as an accepted step leaves more than this part of the gradient:
    /// ‖g₊‖ > ρ‖g‖, ρ in (0, 1).
    Contraction(f64),
    /// Where it pays, if a Hessian costs so many gradients, c.
    ///
    /// That is where an accepted step leaves more than min(exp(−4.5/(1 + c)), 0.4) of the gradient, so
    /// that one by a new Hessian, which leaves about exp(−4.5), would do more for its price; unless the goal is
    /// near. With r the part that the step left, ln(‖g₊‖/goal)/ln(1/r) steps more lead to the gradient norm that
    /// ends the run. The Hessian is kept if they are no more than 4c + ln(‖g₊‖/goal)/3: the next one is
    /// seldom the last, and its steps leave more at the end of a run. Where the Hessian is that of a
    /// [sample](crate::models::Sampled), c counts for its part of the data.
    Payoff(f64),
}

impl Refresh {
    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Refresh::Every(0) => Err(Error::parameter("refresh", 0.0, "at least 1 step")),
            Refresh::Contraction(rho) if !(rho > 0.0 && rho < 1.0) => {
                Err(Error::parameter("refresh", rho, "in (0, 1)"))
            }
            Refresh::Payoff(price) if !(price >= 0.0 && price.is_finite()) => Err(
                Error::parameter("refresh", price, "not negative and finite"),
            ),
            _ => Ok(()),
        }
    }

    /// Whether a reduction to tridiagonal form, at the price of about ten Cholesky
    /// factorizations, is expected to pay off.
    pub(crate) fn is_long(self) -> bool {
        matches!(self, Refresh::Every(m) if m >= 10)
    }
}

/// −ln of what a step with a new Hessian leaves of the gradient, about.
const FRESH: f64 = 4.5;
/// A step that leaves more of the gradient always ends the service of a factor far from the goal.
const SLOWEST: f64 = 0.4;
/// −ln of what each of several steps with a new Hessian leaves, about.
const STEADY: f64 = 3.0;
/// Hessians like the last that lead to the goal, at most.
const NEEDED: f64 = 4.0;

/// Reductions that [`Refresh::Auto`] looks back on.
const RECENT: usize = 3;

/// The steps taken with one Hessian.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Phase {
    pub(crate) refresh: Refresh,
    /// Where the Hessian was evaluated.
    anchor: Vec<f64>,
    /// Accepted steps since.
    age: u64,
    due: bool,
    /// Whether the Hessian was evaluated in the present iteration, so that the oracle still has it.
    held: bool,
    /// Part of the data that the Hessian is made of; that of a sample grows if it is asked for again.
    part: f64,
    /// Whether the problem may object to convergence, for which it needs a Hessian.
    objects: bool,
    /// Cost of a Hessian in gradients.
    cost: f64,
    gradients: u64,
    /// Σ log(‖gᵢ‖/‖gᵢ₊₁‖), and the last of them.
    reduction: f64,
    recent: [f64; RECENT],
    /// Whether the direction holds the Hessian; not after a resumption.
    #[cfg_attr(feature = "serde", serde(skip))]
    loaded: Loaded,
}

/// False in clones and after deserialization, where workspaces are empty.
#[derive(Debug, Default)]
struct Loaded(bool);

impl Clone for Loaded {
    fn clone(&self) -> Self {
        Loaded(false)
    }
}

impl Phase {
    pub(crate) fn new(refresh: Refresh) -> Self {
        Phase {
            refresh,
            anchor: Vec::new(),
            age: 0,
            due: true,
            held: false,
            part: 1.0,
            objects: false,
            cost: 0.0,
            gradients: 0,
            reduction: 0.0,
            recent: [0.0; RECENT],
            loaded: Loaded(false),
        }
    }

    /// Forgets earlier runs.
    pub(crate) fn reset(&mut self) {
        *self = Phase::new(self.refresh);
    }

    /// Whether the next step needs a new Hessian.
    pub(crate) fn is_due(&self) -> bool {
        self.due
    }

    /// Whether the Hessian is that of the current point.
    pub(crate) fn is_fresh(&self) -> bool {
        self.age == 0
    }

    /// Whether a step that fails does so by the Hessian of this very point, and no other is to be had.
    pub(crate) fn is_final(&self) -> bool {
        self.is_fresh() && self.part >= 1.0
    }

    /// Whether the Hessian is that of the current point for a sample of the data.
    pub(crate) fn is_sample(&self) -> bool {
        self.is_fresh() && self.part < 1.0
    }

    /// Whether the Hessian that a resumed run goes on with must be evaluated again.
    pub(crate) fn is_lost(&self) -> bool {
        !self.loaded.0
    }

    pub(crate) fn anchor(&self) -> &[f64] {
        &self.anchor
    }

    pub(crate) fn loaded(&mut self) {
        self.loaded = Loaded(true);
    }

    /// A new iteration begins.
    pub(crate) fn enter(&mut self) {
        self.held = false;
    }

    /// Whether the problem may object to convergence, as far as its last curvature says.
    pub(crate) fn may_object(&self) -> bool {
        self.objects
    }

    /// Whether the problem wants a Hessian before it can agree to convergence.
    pub(crate) fn wants_hessian(&self) -> bool {
        self.objects && !self.held
    }

    /// The oracle has just evaluated its curvature at `x`.
    pub(crate) fn begin(&mut self, x: &[f64], oracle: &dyn Oracle) {
        let cost = match oracle.curvature() {
            Curvature::Matrix(view) => relative_cost(view),
            Curvature::Products => 1.0,
        };
        self.part = match oracle.curvature() {
            Curvature::Matrix(SymView::Gram(gram)) => gram.part,
            _ => 1.0,
        };
        self.objects = oracle.may_object();
        self.held = true;
        self.set(x, cost);
    }

    fn set(&mut self, x: &[f64], cost: f64) {
        self.anchor.clear();
        self.anchor.extend_from_slice(x);
        self.age = 0;
        self.due = false;
        self.cost = cost;
        self.gradients = 0;
        self.reduction = 0.0;
        self.recent = [0.0; RECENT];
        self.loaded();
    }

    /// A step from a gradient of norm `before` to one of norm `after` was accepted at the
    /// price of so many gradients; one of norm `goal` ends the run.
    pub(crate) fn accept(
        &mut self,
        (before, after, goal): (f64, f64, f64),
        gradients: u64,
        reusable: bool,
    ) {
        let reduction = (before / after).ln();
        self.age += 1;
        self.gradients += gradients;
        self.reduction += reduction;
        self.recent.rotate_left(1);
        self.recent[RECENT - 1] = reduction;
        let keeps = match self.refresh {
            Refresh::Every(m) => self.age < m,
            // NaN and 0/0 refresh.
            Refresh::Contraction(rho) => after <= rho * before,
            Refresh::Payoff(price) => {
                let rho = (-FRESH / (1.0 + price)).exp().min(SLOWEST);
                let far = (after / goal).ln();
                let steps = far / reduction;
                let near = reduction > 0.0
                    && far.is_finite()
                    && steps <= NEEDED * self.part * price + far / STEADY;
                after <= rho * before || near
            }
            Refresh::Auto => {
                let steps = self.age.min(RECENT as u64) as f64;
                let marginal = self.recent.iter().sum::<f64>() / steps;
                let average = self.reduction / (self.cost + self.gradients as f64);
                self.age < 2 || marginal >= average
            }
        };
        self.due = !(keeps && reusable);
    }
}

/// Cost of a Hessian in gradients, counted from its structure.
pub(crate) fn relative_cost(view: SymView<'_>) -> f64 {
    match view {
        SymView::Dense(m, _) => m.nrows() as f64,
        SymView::Indexed(m, _) => m.nrows() as f64,
        SymView::Sparse(m, _) => m.compute_nnz() as f64 / m.nrows().max(1) as f64,
        SymView::Gram(gram) => gram.relative_cost(),
        SymView::RankOne { .. } => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_lasts_as_long_as_its_rule_says() {
        let ages = |refresh, reductions: &[f64]| {
            let mut phase = Phase::new(refresh);
            assert!(phase.is_due());
            phase.set(&[0.0], 4.0);
            let mut g = 1.0;
            for (k, reduction) in reductions.iter().enumerate() {
                assert_eq!(phase.is_fresh(), k == 0);
                let next = g * reduction;
                phase.accept((g, next, 0.0), 1, true);
                g = next;
                if phase.is_due() {
                    return k + 1;
                }
            }
            0
        };
        assert_eq!(ages(Refresh::Every(1), &[0.1]), 1);
        assert_eq!(ages(Refresh::Every(3), &[0.9; 5]), 3);
        assert_eq!(ages(Refresh::Contraction(0.5), &[0.5, 0.1, 0.51, 0.1]), 3);
        assert_eq!(ages(Refresh::Contraction(0.5), &[f64::NAN]), 1);
        assert_eq!(ages(Refresh::Payoff(10.0), &[0.4, 0.1, 0.41]), 3);
        // exp(−4.5/4).
        assert_eq!(ages(Refresh::Payoff(3.0), &[0.32, 0.33]), 2);
        assert_eq!(ages(Refresh::Payoff(3.0), &[f64::NAN]), 1);
        // Equal reductions: the marginal one exceeds the average, which also pays for the Hessian.
        assert_eq!(ages(Refresh::Auto, &[0.5; 100]), 0);
        // 1 log 10 now, then log 1/0.9: 0.105 < (2.3 + 0.105 k)/(4 + k) throughout from step 4 on.
        let mut slow = vec![0.9; 20];
        slow[0] = 0.1;
        assert_eq!(ages(Refresh::Auto, &slow), 4);
    }

    #[test]
    fn near_the_goal_a_hessian_is_kept() {
        // From 1e-6 on ln(1000)/3 = 2.3 gradients and the price of four Hessians lead to the goal.
        let kept = |price: f64, part: f64, rate: f64| {
            let mut phase = Phase::new(Refresh::Payoff(price));
            phase.set(&[0.0], 4.0);
            phase.part = part;
            phase.accept((1e-6 / rate, 1e-6, 1e-9), 1, true);
            !phase.is_due()
        };
        // At 0.6 another 13.5 steps do.
        assert!(!kept(2.7, 1.0, 0.6) && kept(2.9, 1.0, 0.6));
        assert!(!kept(27.0, 0.1, 0.6) && kept(29.0, 0.1, 0.6));
        assert!(!kept(1e9, 1.0, 1.0) && !kept(1e9, 1.0, 1.5));
        // Without a goal for the gradient none is near.
        let mut phase = Phase::new(Refresh::Payoff(1e9));
        phase.set(&[0.0], 4.0);
        phase.accept((1.0, 0.6, 0.0), 1, true);
        assert!(phase.is_due());
    }

    #[test]
    fn a_hessian_that_cannot_be_reused_is_due_at_once() {
        let mut phase = Phase::new(Refresh::Every(10));
        phase.set(&[0.0], 1.0);
        phase.accept((1.0, 0.5, 0.0), 1, false);
        assert!(phase.is_due());
    }

    #[test]
    fn clones_know_that_they_hold_no_hessian() {
        let mut phase = Phase::new(Refresh::Every(2));
        phase.set(&[1.0, 2.0], 1.0);
        assert!(!phase.is_lost());
        let clone = phase.clone();
        assert!(clone.is_lost() && clone.anchor() == [1.0, 2.0]);
    }

    #[test]
    fn rules_out_of_range_are_refused() {
        for refresh in [
            Refresh::Every(0),
            Refresh::Contraction(0.0),
            Refresh::Contraction(1.0),
            Refresh::Contraction(f64::NAN),
            Refresh::Payoff(-0.5),
            Refresh::Payoff(f64::NAN),
        ] {
            assert!(refresh.check().is_err(), "{refresh:?}");
        }
        assert!(Refresh::Auto.check().is_ok());
    }
}
