//! Every method as an argmin solver; the only place that implements argmin's `Solver`.
//!
//! `Executor::new(problem, DampedNewton::new())` runs with argmin's observers,
//! checkpoints, time limits, target cost and Ctrl-C.
//!
//! * One `next_iter` is one accepted step, or the end of the run.
//! * A numerical failure is not an `Err`, which would lose the state: the run
//!   ends with `SolverExit` and the text of its [`Status`].
//! * argmin keeps the first of equal costs as its best point; here it is the last
//!   one, and at the end of a converged run the converged point.
//! * Where f does not rank points, as off the constraints of a problem, the method ranks them, and
//!   `cost` is never below f at the best one, which argmin would take for a better point.
//! * Where only some points are evaluated, as in stochastic methods, `cost` is f at the last
//!   evaluated point and `best_param` the best of the evaluated ones.
//! * On resume argmin restores solver and state from the file, `max_iters`
//!   included. To go on after the iteration limit, load, raise and save it:
//!   `let (solver, state) = checkpoint.load()?…; checkpoint.save(&solver, &state.max_iters(100))?;`

use crate::edge::VecLike;
use crate::error::Error;
use crate::method::Method;
use crate::oracle::{HostOracle, Smooth};
use crate::solver::Raphson;
use crate::status::{Status, Stopped};
use argmin::core::{
    Error as HostError, IterState, KV, KvValue, OptimizationResult, Problem, Solver, State,
    TerminationReason,
};

type Host<P, G> = IterState<P, G, (), (), (), f64>;

impl<O, M, C> Solver<O, Host<O::Point, O::Slope>> for Raphson<M, C>
where
    O: Smooth<C>,
    M: Method,
{
    fn name(&self) -> &str {
        self.method.name()
    }

    fn init(
        &mut self,
        problem: &mut Problem<O>,
        mut state: Host<O::Point, O::Slope>,
    ) -> Result<(Host<O::Point, O::Slope>, Option<KV>), HostError> {
        let x0 = state.take_param().ok_or(Error::MissingStart)?;
        let mut start = vec![0.0; x0.dimension()];
        x0.read(&mut start);
        let (user, counts) = parts(problem)?;
        let mut oracle = HostOracle::<O, C>::new(user, counts, x0.clone());
        if self.method.start(&start, &mut oracle).is_err() {
            return Err(oracle.into_host_error());
        }
        state.param = Some(x0);
        state.prev_param = None;
        state.grad = oracle.into_slope();
        if let Some(slope) = &mut state.grad {
            slope.write(self.method.g());
        }
        state.cost = self.cost();
        self.settle(&mut state);
        Ok((self.conclude(state), self.publish()))
    }

    fn next_iter(
        &mut self,
        problem: &mut Problem<O>,
        mut state: Host<O::Point, O::Slope>,
    ) -> Result<(Host<O::Point, O::Slope>, Option<KV>), HostError> {
        let now = state.take_param().ok_or(Error::MissingStart)?;
        // The point before last becomes the buffer of the trials.
        let buffer = state.take_prev_param().unwrap_or_else(|| now.clone());
        let (user, counts) = parts(problem)?;
        let mut oracle = HostOracle::<O, C>::new(user, counts, buffer);
        let mut result = self.method.step(&mut oracle);
        let last = state.iter.saturating_add(1) >= state.max_iters;
        if result.is_ok() && last && !self.method.status().is_final() {
            result = self.method.finish(&mut oracle);
        }
        if result.is_err() {
            return Err(oracle.into_host_error());
        }
        let (mut point, slope) = oracle.into_parts();
        point.write(self.method.x());
        if let Some(mut slope) = slope {
            slope.write(self.method.g());
            state.prev_grad = state.grad.replace(slope);
        }
        state.prev_param = Some(now);
        state.param = Some(point);
        state.prev_cost = state.cost;
        state.cost = self.cost();
        self.settle(&mut state);
        Ok((self.conclude(state), self.publish()))
    }
}

fn parts<O>(
    problem: &mut Problem<O>,
) -> Result<(&O, &mut std::collections::HashMap<&'static str, u64>), HostError> {
    match problem {
        Problem {
            problem: Some(user),
            counts,
        } => Ok((user, counts)),
        _ => Err(HostError::msg("the problem was taken out of the executor")),
    }
}

impl<M: Method, C> Raphson<M, C> {
    /// f, but not below that of a best point which the method chooses.
    fn cost(&self) -> f64 {
        let (f, best) = (self.method.f(), self.method.best().1);
        if self.method.keeps_best() && f < best {
            best
        } else {
            f
        }
    }

    /// Makes the point that the method stands for argmin's best one.
    fn settle<P: VecLike, G>(&self, state: &mut Host<P, G>) {
        if self.method.keeps_best() {
            let (x, f) = self.method.best();
            let known = state.best_param.is_some() && state.best_cost.to_bits() == f.to_bits();
            if !known {
                state.best_cost = f;
                state.last_best_iter = state.iter;
            }
            // Another point may have the same f.
            if let Some(mut best) = state.best_param.take().or_else(|| state.param.clone()) {
                best.write(x);
                state.best_param = Some(best);
            }
            return;
        }
        let f = self.method.f();
        let noise = 16.0 * f64::EPSILON * f.abs();
        let converged = self.method.status().is_converged() && f <= state.best_cost + noise;
        // argmin would keep the first of equal costs, and after a first cost of NaN none at all.
        let none = state.best_param.is_none() && !f.is_finite();
        if (converged || none || f == state.best_cost)
            && let Some(point) = &state.param
        {
            state.best_param = Some(point.clone());
            state.best_cost = f;
        }
    }

    fn conclude<P: Clone, G>(&self, state: Host<P, G>) -> Host<P, G> {
        let status = self.method.status();
        let reason = match status {
            Status::Running => return state,
            Status::Converged(_) => TerminationReason::SolverConverged,
            Status::Stopped(Stopped::MaxIterations) => TerminationReason::MaxItersReached,
            _ => TerminationReason::SolverExit(status.to_string()),
        };
        state.terminate_with(reason)
    }

    fn publish(&self) -> Option<KV> {
        if !self.metrics {
            return None;
        }
        let record = self.method.record();
        let mut kv = KV::new();
        for (key, value) in [
            ("gradient_norm", KvValue::Float(record.gradient_norm)),
            ("decrement", KvValue::Float(record.decrement)),
            ("step_norm", KvValue::Float(record.step_norm)),
            ("step_length", KvValue::Float(record.step_length)),
            ("control", KvValue::Float(record.control)),
            ("shift", KvValue::Float(record.shift)),
            ("trials", KvValue::Uint(record.trials)),
            ("index", KvValue::Uint(record.index)),
            ("values", KvValue::Uint(record.values)),
            ("gradients", KvValue::Uint(record.gradients)),
            ("hessians", KvValue::Uint(record.hessians)),
            ("hessian_products", KvValue::Uint(record.hessian_products)),
            ("factorizations", KvValue::Uint(record.factorizations)),
        ] {
            kv.kv.insert(key.to_string(), value);
        }
        if record.residuals > 0 {
            for (key, value) in [
                ("residuals", KvValue::Uint(record.residuals)),
                ("jacobians", KvValue::Uint(record.jacobians)),
            ] {
                kv.kv.insert(key.to_string(), value);
            }
        }
        if record.passes > 0 {
            for (key, value) in [
                ("marginal_error", KvValue::Float(record.marginal_error)),
                ("sweeps", KvValue::Uint(record.sweeps)),
                ("passes", KvValue::Uint(record.passes)),
            ] {
                kv.kv.insert(key.to_string(), value);
            }
        }
        if record.sample_gradients > 0 {
            for (key, value) in [
                ("loss", KvValue::Float(record.loss)),
                ("epochs", KvValue::Float(record.epochs)),
                ("sample_gradients", KvValue::Uint(record.sample_gradients)),
                ("memory", KvValue::Float(record.memory)),
            ] {
                kv.kv.insert(key.to_string(), value);
            }
        }
        Some(kv)
    }
}

/// The truth about a finished argmin run in one call.
pub trait Outcome {
    /// Merges the host's reason (limits, target, time, Ctrl-C) with the solver's status.
    fn status(&self) -> Status;
}

impl<O, M: Method, C, P: Clone, G> Outcome for OptimizationResult<O, Raphson<M, C>, Host<P, G>> {
    fn status(&self) -> Status {
        match self.state.get_termination_reason() {
            Some(TerminationReason::MaxItersReached) => Status::Stopped(Stopped::MaxIterations),
            Some(TerminationReason::TargetCostReached) => Status::Stopped(Stopped::Target),
            // The host overwrites the reason of a run that ended in its last iteration in time.
            Some(TerminationReason::Timeout | TerminationReason::Interrupt)
                if self.solver.status().is_final() =>
            {
                self.solver.status()
            }
            Some(TerminationReason::Timeout) => Status::Stopped(Stopped::Time),
            Some(TerminationReason::Interrupt) => Status::Stopped(Stopped::Interrupted),
            Some(TerminationReason::SolverConverged | TerminationReason::SolverExit(_)) => {
                self.solver.status()
            }
            None => Status::Running,
        }
    }
}
