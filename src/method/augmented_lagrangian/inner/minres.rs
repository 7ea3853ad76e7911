//! MINRES with a block-diagonal preconditioner.
//!
//! The residual follows the recurrence rₖ = sₖ²rₖ₋₁ − φ̄ₖcₖvₖ₊₁ in the given metric, so that the
//! test is made on ‖r‖ itself; where it holds, r is computed anew, and if rounding had hidden a
//! larger one the iteration starts again from z.
//!
//! Reference: C. C. Paige, M. A. Saunders, "Solution of sparse indefinite systems of linear
//! equations", SIAM J. Numer. Anal. 12 (1975).

use super::precondition::Preconditioner;
use super::{InnerSolver, Solution, System};
use crate::linear::{Inertia, axpy};
use crate::oracle::Counted;
use crate::parallel::{dot, norm};
use crate::status::Failed;
use crate::step::Fault;

/// Most iterations of one call: this many times n + m, and this many more.
const ROUNDS: usize = 20;
const LEAST: usize = 200;
/// Flops of an iteration for each entry of a vector besides the products.
const VECTORS: f64 = 20.0;
/// Starts of one call; one that leaves more than this part of the residual is the last.
const RESTARTS: usize = 8;
const FALL: f64 = 0.5;
/// A β below this part of the first one ends the Krylov space.
const EXHAUSTED: f64 = 1e-15;
/// A γ below this part of the largest is rounding.
const SINGULAR: f64 = 1e-12;

/// Preconditioned MINRES.
#[derive(Debug, Default)]
pub(in super::super) struct Minres {
    preconditioner: Preconditioner,
    lanczos: Option<Recurrence>,
    iterations: u64,
    /// The last two Lanczos vectors times β, and P⁻¹ of the last one.
    older: Vec<f64>,
    last: Vec<f64>,
    image: Vec<f64>,
    /// The normalized vector, and directions of z.
    v: Vec<f64>,
    w: [Vec<f64>; 3],
    before: Vec<f64>,
}

/// The scalars of the recurrences.
#[derive(Debug, Clone, Copy)]
struct Recurrence {
    first: f64,
    old_beta: f64,
    beta: f64,
    dbar: f64,
    epsilon: f64,
    phi_bar: f64,
    /// The largest γ so far, of the size of P^−½KP^−½.
    largest: f64,
    cs: f64,
    sn: f64,
    steps: u64,
}

impl Minres {
    /// Starts from the current residual.
    fn start(&mut self, solution: &Solution) -> Result<(), Fault> {
        let order = solution.z.len();
        for w in &mut self.w {
            w.clear();
            w.resize(order, 0.0);
        }
        self.older.clear();
        self.older.extend(solution.residual.iter().map(|r| -r));
        self.last.clone_from(&self.older);
        self.image.clone_from(&self.older);
        self.v.resize(order, 0.0);
        self.preconditioner.solve_in_place(&mut self.image)?;
        let beta = dot(&self.older, &self.image).sqrt();
        if !beta.is_finite() {
            return Err(Failed::SubproblemFailed.into());
        }
        self.lanczos = Some(Recurrence {
            first: beta,
            old_beta: 0.0,
            beta,
            dbar: 0.0,
            epsilon: 0.0,
            phi_bar: beta,
            largest: 0.0,
            cs: -1.0,
            sn: 0.0,
            steps: 0,
        });
        Ok(())
    }

    /// One iteration; false if the Krylov space is exhausted.
    fn iterate(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
        solution: &mut Solution,
        mut state: Recurrence,
    ) -> Result<bool, Fault> {
        let open = state.beta > EXHAUSTED * state.first;
        if !open {
            return Ok(false);
        }
        state.steps += 1;
        oracle.report.inner_iterations += 1;
        self.iterations += 1;
        for (v, y) in self.v.iter_mut().zip(&self.image) {
            *v = y / state.beta;
        }
        system.apply(oracle, &self.v, &mut self.image)?;
        if state.steps > 1 {
            axpy(-state.beta / state.old_beta, &self.older, &mut self.image);
        }
        let alpha = dot(&self.v, &self.image);
        axpy(-alpha / state.beta, &self.last, &mut self.image);
        std::mem::swap(&mut self.older, &mut self.last);
        self.last.clone_from(&self.image);
        self.preconditioner.solve_in_place(&mut self.image)?;
        state.old_beta = state.beta;
        state.beta = dot(&self.last, &self.image).max(0.0).sqrt();

        let old_epsilon = state.epsilon;
        let delta = state.cs * state.dbar + state.sn * alpha;
        let gbar = state.sn * state.dbar - state.cs * alpha;
        state.epsilon = state.sn * state.beta;
        state.dbar = -state.cs * state.beta;
        let gamma = gbar.hypot(state.beta);
        state.largest = state.largest.max(gamma);
        // K is singular here; a step would only cancel against others.
        if !(gamma > SINGULAR * state.largest && gamma.is_finite()) {
            return Ok(false);
        }
        (state.cs, state.sn) = (gbar / gamma, state.beta / gamma);
        let phi = state.cs * state.phi_bar;
        state.phi_bar *= state.sn;
        self.w.rotate_left(1);
        let [older, old, new] = &mut self.w;
        for (((w, v), a), b) in new.iter_mut().zip(&self.v).zip(&*older).zip(&*old) {
            *w = (v - old_epsilon * a - delta * b) / gamma;
        }
        axpy(phi, new, &mut solution.z);
        // r = −(b − Kz); the next Lanczos vector is `last` / β.
        let along = if state.beta > 0.0 {
            state.phi_bar * state.cs / state.beta
        } else {
            0.0
        };
        let kept = state.sn * state.sn;
        for (r, v) in solution.residual.iter_mut().zip(&self.last) {
            *r = kept * *r + along * v;
        }
        solution.size = norm(&solution.residual);
        self.lanczos = Some(state);
        Ok(solution.size.is_finite())
    }
}

impl Minres {
    /// Flops of taking the last matrix over and of one iteration, to leading order.
    pub(in super::super) fn work(&self, oracle: &Counted<'_>, system: System<'_>) -> [f64; 2] {
        let [factorization, preconditioner] = self.preconditioner.work(system);
        let vectors = VECTORS * system.order() as f64;
        let product = system.product_flops(oracle);
        [factorization, product + preconditioner + vectors]
    }

    /// Iterations since the matrix was taken over.
    pub(in super::super) fn iterations(&self) -> u64 {
        self.iterations
    }
}

impl InnerSolver for Minres {
    fn load(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
    ) -> Result<Option<Inertia>, Fault> {
        self.lanczos = None;
        self.iterations = 0;
        self.preconditioner.load(oracle, system)?;
        Ok(None)
    }

    fn improve(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
        solution: &mut Solution,
        target: f64,
    ) -> Result<bool, Fault> {
        let most = ROUNDS * system.order() + LEAST;
        let mut steps = 0;
        let mut before = solution.size;
        self.before.clone_from(&solution.z);
        for _ in 0..RESTARTS {
            let mut open = true;
            while open && solution.size > target && steps < most {
                let state = match self.lanczos {
                    Some(state) => state,
                    None => {
                        self.start(solution)?;
                        continue;
                    }
                };
                open = self.iterate(oracle, system, solution, state)?;
                steps += 1;
            }
            solution.refresh(oracle, system)?;
            if solution.size <= target {
                return Ok(true);
            }
            self.lanczos = None;
            let (fell, fast) = (solution.size < before, solution.size <= FALL * before);
            if !fell {
                solution.z.copy_from_slice(&self.before);
                solution.refresh(oracle, system)?;
            }
            if steps >= most || !fast {
                break;
            }
            before = solution.size;
            self.before.clone_from(&solution.z);
        }
        Ok(false)
    }

    fn tangent(&mut self, system: System<'_>, p: &mut [f64]) -> Result<(), Fault> {
        self.preconditioner.tangent(system, p)
    }
}
