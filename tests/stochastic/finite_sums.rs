//! What the stochastic methods share: batches, streams, evaluation points, budgets, averages,
//! argmin, checkpoints.

use crate::sums::{self, Linear, Scalars, distance};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Executor, IterState, KV, State};
use raphson::{
    AveragedHessianNewton, Averaging, Batch, Converged, DampedNewton, Error, Failed,
    FilteredNewton, FiniteSum, Outcome, Sampler, Status, StepSchedule, StochasticNewton, Stopped,
    problem,
};
use std::time::Duration;

type Host = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

fn shuffled(b: usize) -> Sampler {
    Sampler::EpochShuffle {
        b,
        drop_last: false,
    }
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn every_term_comes_once_per_epoch_and_short_batches_weigh_by_their_size() {
    // f_i = (x − i)²/4, i = 1, …, 10 (UC-025).
    let terms: Vec<(f64, f64)> = (1..=10).map(|i| (1.0, f64::from(i))).collect();
    let problem = Scalars(terms);
    let mut draws = raphson::stochastic::Draws::new(Sampler::Sequential { b: 3 }, 0, 10).unwrap();
    let (mut weighted, mut plain) = (0.0, 0.0);
    for _ in 0..4 {
        draws.advance();
        let g = problem.value_gradient(&0.0, draws.batch()).unwrap().1;
        weighted += g * draws.len() as f64 / 10.0;
        plain += g / 4.0;
    }
    assert!(draws.epoch_ends());
    assert!((weighted + 5.5).abs() < 1e-14 && (plain + 6.25).abs() < 1e-14);
    assert_eq!(problem.value_gradient(&0.0, Batch::All).unwrap().1, -5.5);

    let problem = Linear::classes(1, 103, 3);
    let run = AveragedHessianNewton::new()
        .sampler(shuffled(20))
        .max_epochs(4)
        .gradient_tol(0.0)
        .minimize(&problem, vec![0.0; 3])
        .unwrap();
    assert_eq!(run.status, Status::Stopped(Stopped::MaxEpochs));
    let batches = problem.batches();
    assert_eq!(batches.len(), 24);
    for epoch in batches.chunks(6) {
        let mut terms = epoch.concat();
        terms.sort_unstable();
        assert_eq!(terms, (0..103).collect::<Vec<_>>());
        assert_eq!(epoch[5].len(), 3);
    }
    assert_eq!((run.report.epochs, run.report.iterations), (4.0, 24));
    assert_eq!(run.report.sample_gradients, 4 * 103);
    // The start and the end of each epoch.
    assert_eq!((run.report.gradients, run.report.values), (5, 5));
}

#[test]
fn seeds_decide_and_other_streams_do_not_interfere() {
    let problem = Linear::classes(7, 1000, 20);
    let run = |seed, noise| {
        problem.log.borrow_mut().clear();
        let run = FilteredNewton::new()
            .seed(seed)
            .sampler(shuffled(100))
            .noise_report(noise)
            .max_epochs(3)
            .minimize(&problem, vec![0.0; 20])
            .unwrap();
        let batches: Vec<_> = problem.batches();
        let batches: Vec<_> = batches.into_iter().filter(|b| b.len() > 1).collect();
        (bits(&run.last.x), batches, run.report)
    };
    let (a, b, other, measured) = (run(7, false), run(7, false), run(8, false), run(7, true));
    assert_eq!((&a.0, &a.1, &a.2), (&b.0, &b.1, &b.2));
    assert!(a.0 != other.0 && a.1 != other.1);
    assert_eq!((&a.0, &a.1), (&measured.0, &measured.1));
    assert_eq!(measured.2.sample_gradients, 2 * a.2.sample_gradients);
    assert!(a.2.signal_to_noise.is_none() && measured.2.signal_to_noise.unwrap() > 0.0);
}

/// UC-026.
#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let problem = Linear::classes(7, 1000, 20);
            let solver = FilteredNewton::new().seed(7).max_epochs(3);
            bits(&solver.minimize(&problem, vec![0.0; 20]).unwrap().last.x)
        })
    };
    assert_eq!([run(1), run(2), run(8)], [run(1), run(1), run(1)]);
}

#[test]
fn the_noise_report_has_its_expectation() {
    // g_i = x − c_i with c of variance 1: b‖g‖²/tr Cov is about 1 + b x² at x far off.
    let terms: Vec<(f64, f64)> = (0..400)
        .map(|i| (1.0, if i % 2 == 0 { 1.0 } else { -1.0 }))
        .collect();
    let run = StochasticNewton::new()
        .sampler(Sampler::WithReplacement { b: 20 })
        .schedule(StepSchedule::Constant(1e-9))
        .noise_report(true)
        .max_epochs(10)
        .gradient_tol(0.0)
        .minimize(&Scalars(terms), 2.0)
        .unwrap();
    let ratio = run.report.signal_to_noise.unwrap();
    assert!((60.0..120.0).contains(&ratio), "{ratio}");
}

#[test]
fn the_best_point_is_judged_at_evaluation_points_only() {
    let problem = Linear::classes(2, 200, 4);
    let mut records = Vec::new();
    let run = StochasticNewton::new()
        .sampler(shuffled(20))
        .schedule(StepSchedule::Constant(1.0))
        .max_epochs(4)
        .on_iteration(|record| {
            records.push(*record);
            true
        })
        .minimize(&problem, vec![0.0; 4])
        .unwrap();
    let full = |x: &Vec<f64>| problem.value(x, Batch::All).unwrap();
    let evaluated: Vec<f64> = (0..=4).map(|k| records[10 * k].f).collect();
    for (k, record) in records.iter().enumerate() {
        assert_eq!(record.f, evaluated[k / 10], "{k}");
        assert_eq!(record.epochs, k as f64 / 10.0);
    }
    let least = evaluated.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(run.f, least);
    assert_eq!((full(&run.x), full(&run.last.x)), (run.f, run.last.f));
    assert!(
        run.last.f > run.f,
        "the last point of a cloud is rarely its best"
    );
}

#[test]
fn budgets_end_the_run_by_their_names() {
    let problem = Linear::classes(2, 200, 4);
    let solver = || {
        StochasticNewton::new()
            .sampler(shuffled(20))
            .gradient_tol(0.0)
    };
    let run = |solver: StochasticNewton| solver.minimize(&problem, vec![0.0; 4]).unwrap();
    let by = |solver, reason| {
        let end = run(solver);
        assert_eq!(end.status, Status::Stopped(reason));
        assert_eq!(end.last.f, problem.value(&end.last.x, Batch::All).unwrap());
        end
    };
    let end = by(solver().max_iters(7), Stopped::MaxIterations);
    assert_eq!((end.report.iterations, end.report.gradients), (7, 2));
    let end = by(solver().max_epochs(2), Stopped::MaxEpochs);
    assert_eq!(end.report.iterations, 20);
    // 200 for the start, 20 a step, 200 at the end.
    let end = by(solver().max_evaluations(300), Stopped::MaxEvaluations);
    assert_eq!(end.report.iterations, 5);
    let start = problem.value(&vec![0.0; 4], Batch::All).unwrap();
    let end = by(solver().target(0.99 * start), Stopped::Target);
    assert_eq!(end.report.iterations % 10, 0);
    let end = by(solver(), Stopped::Plateau);
    assert!(end.report.epochs < 100.0);
    let end = solver()
        .time_limit(Duration::ZERO)
        .minimize(&problem, vec![0.0; 4])
        .unwrap();
    assert_eq!(end.status, Status::Stopped(Stopped::Time));
    let end = solver()
        .on_iteration(|r| r.iteration < 3)
        .minimize(&problem, vec![0.0; 4])
        .unwrap();
    assert_eq!(end.status, Status::Stopped(Stopped::Interrupted));
    assert_eq!(end.last.f, problem.value(&end.last.x, Batch::All).unwrap());
    let full = StochasticNewton::new()
        .sampler(Sampler::FullBatch)
        .schedule(StepSchedule::Constant(1.0));
    let end = run(full);
    assert_eq!(end.status, Status::Converged(Converged::GradientTolerance));
    assert!(end.report.iterations < 10 && end.gradient_norm < 1e-8);
}

#[test]
fn averages_reach_the_variance_of_theory() {
    // x ← x − ½(x + ξ), ξ ~ N(0, 1) from a large sample.
    let mut stream = raphson::stochastic::Stream::new(5, raphson::stochastic::Purpose::Escape);
    let noise: Vec<(f64, f64)> = (0..5_000).map(|_| (1.0, stream.normal())).collect();
    let center = noise.iter().map(|t| t.1).sum::<f64>() / noise.len() as f64;
    let spread = noise.iter().map(|t| (t.1 - center).powi(2)).sum::<f64>() / noise.len() as f64;
    let problem = Scalars(noise);
    let (mut last, mut tail) = (0.0, 0.0);
    let repeats = 2_000;
    for seed in 0..repeats {
        let run = StochasticNewton::new()
            .seed(seed)
            .sampler(Sampler::WithReplacement { b: 1 })
            .schedule(StepSchedule::Constant(0.5))
            .damping(0.0, 0.0)
            .averaging(Averaging::Tail { from: None })
            .max_iters(200)
            .evaluate_every(0)
            .minimize(&problem, 0.0)
            .unwrap();
        let average = run.average.unwrap();
        last += (run.last.x - center).powi(2) / repeats as f64 / spread;
        tail += (average.x - center).powi(2) / repeats as f64 / spread;
        assert_eq!(average.f, problem.value(&average.x, Batch::All).unwrap());
        assert_eq!(
            run.f,
            average
                .f
                .min(run.last.f)
                .min(problem.value(&0.0, Batch::All).unwrap())
        );
    }
    println!("variance of the last point {last:.4}, of the tail average {tail:.5}");
    assert!((0.28..0.39).contains(&last) && (0.008..0.013).contains(&tail));
}

#[test]
fn an_exponential_average_is_offered_too() {
    let problem = Linear::classes(2, 200, 4);
    let solver = StochasticNewton::new().schedule(StepSchedule::Constant(0.5));
    let run = solver
        .averaging(Averaging::Exponential { decay: 0.95 })
        .max_epochs(20)
        .minimize(&problem, vec![0.0; 4])
        .unwrap();
    assert!(run.average.unwrap().f < run.last.f);
}

#[test]
fn a_batch_of_one_row_moves_along_it() {
    // UC-028: H = ¼xxᵀ, g = −½x; the minimum-norm step is (2/14) x.
    let problem = Linear::new(vec![vec![1.0, 2.0, 3.0]], vec![1.0], sums::logistic, 0.0);
    let solver = StochasticNewton::new()
        .sampler(Sampler::Sequential { b: 1 })
        .max_iters(1)
        .gradient_tol(0.0);
    let run = solver.minimize(&problem, vec![0.0; 3]).unwrap();
    let exact = [2.0 / 14.0, 4.0 / 14.0, 6.0 / 14.0];
    assert!(distance(&run.last.x, &exact) < 1e-7, "{:?}", run.last.x);
    let damped = StochasticNewton::new().damping(0.0, 0.125).max_iters(1);
    let run = damped.minimize(&problem, vec![0.0; 3]).unwrap();
    let exact = [1.0, 2.0, 3.0].map(|x| 0.5 * x / (3.5 + 0.125));
    assert!(distance(&run.last.x, &exact) < 1e-14);
}

#[test]
fn a_term_that_is_not_finite_is_named() {
    // UC-029: one of 101 rows has a NaN feature.
    let mut problem = Linear::classes(4, 101, 3);
    problem.rows[37][1] = f64::NAN;
    let run = FilteredNewton::new()
        .minimize(&problem, vec![0.0; 3])
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::NonFinite));
    assert_eq!((run.report.offender, run.x), (Some(37), vec![0.0; 3]));

    // A term that is finite at the start only.
    fn wall(z: f64, y: f64) -> [f64; 3] {
        let f = if y == 9.0 && z != 0.0 {
            f64::INFINITY
        } else {
            0.5 * (z - 1.0).powi(2)
        };
        [f, z - 1.0, 1.0]
    }
    let rows: Vec<Vec<f64>> = (0..10).map(|i| vec![1.0 + f64::from(i)]).collect();
    let y = (0..10).map(|i| if i == 8 { 9.0 } else { 0.0 }).collect();
    let problem = Linear::new(rows, y, wall, 0.0);
    let run = StochasticNewton::new()
        .sampler(Sampler::Sequential { b: 2 })
        .minimize(&problem, vec![0.0])
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::NonFinite));
    assert_eq!((run.report.offender, run.report.iterations), (Some(8), 4));
    assert!(run.x == vec![0.0] && run.f.is_finite() && run.last.x[0].is_finite());
}

#[test]
fn curvature_of_the_wrong_sign_is_averaged_or_refused() {
    // UC-031: curvatures +2 and −1, gradients 1 at x = 0.
    let problem = Scalars(vec![(2.0, -0.5), (-1.0, 1.0)]);
    let sampler = Sampler::Sequential { b: 1 };
    let one = StepSchedule::Constant(1e-6);
    let averaged = AveragedHessianNewton::new().sampler(sampler).schedule(one);
    let run = averaged.max_iters(2).minimize(&problem, 0.0).unwrap();
    assert_eq!(run.report.iterations, 2);
    // −1/2, then −1/(0.9·2 − 0.1).
    assert!((run.last.x / 1e-6 + 0.5 + 1.0 / 1.7).abs() < 1e-5);
    let plain = StochasticNewton::new().sampler(sampler).schedule(one);
    let run = plain.minimize(&problem, 0.0).unwrap();
    assert_eq!(run.status, Status::Failed(Failed::NotPositiveDefinite));
    assert_eq!(run.report.iterations, 1);
}

#[test]
fn a_line_search_refuses_steps_that_its_batch_does_not_like() {
    let problem = Linear::classes(2, 200, 4);
    let solver = FilteredNewton::new()
        .sampler(shuffled(10))
        .normalize(false)
        .schedule(StepSchedule::armijo())
        .max_epochs(5);
    let run = solver.minimize(&problem, vec![0.0; 4]).unwrap();
    let report = &run.report;
    assert!(report.rejected > 0 && report.trials == report.iterations + report.rejected);
    assert_eq!(report.batch_values, report.batch_gradients + report.trials);
}

#[test]
fn misuse_is_an_error() {
    let problem = Linear::classes(2, 20, 4);
    let wrong = |solver: StochasticNewton| solver.minimize(&problem, vec![0.0; 4]).unwrap_err();
    for sampler in [
        shuffled(0),
        shuffled(21),
        Sampler::WithReplacement { b: 21 },
    ] {
        let error = wrong(StochasticNewton::new().sampler(sampler));
        assert!(
            matches!(error, Error::InvalidBatchSize { terms: 20, .. }),
            "{error}"
        );
    }
    for solver in [
        StochasticNewton::new().schedule(StepSchedule::Constant(-1.0)),
        StochasticNewton::new().step_tol(1e-3),
        StochasticNewton::new().cost_tol(1e-3),
        StochasticNewton::new().decrement_tol(1e-3),
        StochasticNewton::new().damping(-1.0, 0.0),
        StochasticNewton::new().plateau(3, f64::NAN),
        StochasticNewton::new().averaging(Averaging::Exponential { decay: 1.0 }),
        StochasticNewton::new()
            .max_epochs(None)
            .averaging(Averaging::Tail { from: None }),
    ] {
        let error = wrong(solver);
        assert!(matches!(error, Error::InvalidParameter { .. }), "{error}");
    }
    let empty = Linear::new(vec![], vec![], sums::squared, 0.0);
    let error = StochasticNewton::new()
        .minimize(&empty, vec![0.0])
        .unwrap_err();
    assert!(matches!(error, Error::InvalidBatchSize { terms: 0, .. }));
    let error = StochasticNewton::new()
        .minimize(&problem, vec![f64::NAN; 4])
        .unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }));
}

struct Seen(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl Observe<Host> for Seen {
    fn observe_iter(&mut self, state: &Host, kv: &KV) -> Result<(), argmin::core::Error> {
        assert!(state.get_best_cost() <= state.get_cost());
        let mut keys: Vec<String> = kv.kv.keys().cloned().collect();
        keys.sort();
        *self.0.lock().unwrap() = keys;
        Ok(())
    }
}

macro_rules! assert_parity {
    ($solver:expr) => {{
        let problem = || Linear::classes(2, 200, 4);
        let run = $solver
            .max_iters(35)
            .minimize(&problem(), vec![0.0; 4])
            .unwrap();
        let host = Executor::new(problem(), $solver.metrics(true))
            .configure(|state| state.param(vec![0.0; 4]).max_iters(35))
            .ctrlc(false)
            .add_observer(Seen(Default::default()), ObserverMode::Always)
            .run()
            .unwrap();
        assert_eq!(host.status(), run.status);
        assert_eq!(host.solver.report(), &run.report);
        assert_eq!(host.problem.counts, run.counts);
        let state = &host.state;
        assert_eq!((state.get_iter(), state.get_cost()), (35, run.last.f));
        assert_eq!(bits(state.get_param().unwrap()), bits(&run.last.x));
        assert_eq!(bits(state.get_best_param().unwrap()), bits(&run.x));
        assert_eq!(state.get_best_cost(), run.f);
        let report = &run.report;
        let count = |name| run.counts.get(name).copied().unwrap_or(0);
        assert_eq!(count("cost_count"), report.values);
        assert_eq!(count("gradient_count"), report.gradients);
        assert_eq!(count("batch_cost_count"), report.batch_values);
        assert_eq!(count("batch_gradient_count"), report.batch_gradients);
        assert_eq!(count("batch_hessian_count"), report.batch_hessians);
        assert_eq!(count("sample_gradient_count"), report.sample_gradients);
    }};
}

#[test]
fn argmin_sees_what_minimize_sees() {
    let sampler = shuffled(20);
    let step = StepSchedule::Constant(0.7);
    assert_parity!(StochasticNewton::new().sampler(sampler).schedule(step));
    assert_parity!(
        StochasticNewton::new()
            .sampler(sampler)
            .schedule(step)
            .evaluate_every(4)
    );
    assert_parity!(AveragedHessianNewton::new().sampler(sampler));
    assert_parity!(
        FilteredNewton::new()
            .sampler(sampler)
            .schedule(StepSchedule::armijo())
            .averaging(Averaging::Exponential { decay: 0.9 })
    );
    let seen = std::sync::Arc::default();
    Executor::new(
        Linear::classes(2, 200, 4),
        FilteredNewton::new().metrics(true),
    )
    .configure(|state| state.param(vec![0.0; 4]).max_iters(5))
    .ctrlc(false)
    .add_observer(Seen(std::sync::Arc::clone(&seen)), ObserverMode::Always)
    .run()
    .unwrap();
    let keys = seen.lock().unwrap().clone();
    for key in ["epochs", "loss", "memory", "sample_gradients", "control"] {
        assert!(keys.iter().any(|k| k == key), "{keys:?}");
    }
}

#[test]
fn a_problem_that_is_no_sum_has_no_batches() {
    use raphson::oracle::Explicit;
    let square = problem::from_fn(
        |x: &[f64]| x[0] * x[0],
        |x: &[f64]| vec![2.0 * x[0]],
        |_: &[f64]| [[2.0]],
    );
    // The deterministic solvers still take it, and see no terms.
    assert!(
        DampedNewton::new()
            .minimize(&square, vec![1.0])
            .unwrap()
            .converged()
    );
    assert_eq!(raphson::oracle::Smooth::<Explicit>::terms(&square), None);
    let error = raphson::oracle::Smooth::<Explicit>::batch_value(&square, &vec![1.0], Batch::All);
    let error = error.unwrap_err().downcast::<Error>().unwrap();
    assert!(matches!(error, Error::NotOffered { .. }), "{error}");
}

#[cfg(feature = "serde")]
mod resume {
    use super::*;
    use argmin::core::checkpointing::CheckpointingFrequency;
    use argmin_checkpointing_file::FileCheckpoint;
    use std::path::Path;

    struct Crash(u64);

    impl Observe<Host> for Crash {
        fn observe_iter(&mut self, state: &Host, _: &KV) -> Result<(), argmin::core::Error> {
            if state.get_iter() == self.0 {
                return Err(argmin::core::Error::msg("crash"));
            }
            Ok(())
        }
    }

    macro_rules! compare {
        ($name:expr, $solver:expr, $at:expr) => {{
            let problem = || Linear::classes(2, 203, 4);
            let configure = |state: Host| state.param(vec![0.0; 4]).max_iters(47);
            let whole = Executor::new(problem(), $solver)
                .configure(configure)
                .ctrlc(false)
                .run()
                .unwrap();
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("stochastic-{}-{}", $name, $at));
            let _ = std::fs::remove_dir_all(&folder);
            let every = CheckpointingFrequency::Always;
            let checkpoint = || FileCheckpoint::new(folder.to_str().unwrap(), "run", every);
            let error = Executor::new(problem(), $solver)
                .configure(configure)
                .ctrlc(false)
                .checkpointing(checkpoint())
                .add_observer(Crash($at), ObserverMode::Always)
                .run()
                .err();
            assert_eq!(error.unwrap().to_string(), "crash");
            let resumed = Executor::new(problem(), $solver)
                .ctrlc(false)
                .checkpointing(checkpoint())
                .run()
                .unwrap();
            let _ = std::fs::remove_dir_all(&folder);
            assert_eq!(whole.status(), resumed.status());
            assert_eq!(whole.solver.report(), resumed.solver.report());
            let (a, b) = (&whole.state, &resumed.state);
            assert_eq!(a.get_iter(), b.get_iter());
            assert_eq!(a.get_cost().to_bits(), b.get_cost().to_bits());
            assert_eq!(bits(a.get_param().unwrap()), bits(b.get_param().unwrap()));
            assert_eq!(
                bits(a.get_best_param().unwrap()),
                bits(b.get_best_param().unwrap())
            );
            let text = |result| serde_json::to_string(result).unwrap();
            assert_eq!(text(&whole.solver), text(&resumed.solver));
        }};
    }

    /// Twenty batches of 10 and one of 3 an epoch: steps 7 and 30 are in the middle of one.
    #[test]
    fn interrupted_in_the_middle_of_an_epoch() {
        for at in [1, 7, 21, 30] {
            let sampler = shuffled(10);
            let step = StepSchedule::Constant(0.3);
            compare!("newton", StochasticNewton::new().sampler(sampler), at);
            let averaged = || {
                AveragedHessianNewton::new()
                    .sampler(sampler)
                    .noise_report(true)
            };
            compare!(
                "averaged",
                averaged().averaging(Averaging::Tail { from: Some(5) }),
                at
            );
            compare!("filter", FilteredNewton::new().sampler(sampler), at);
            compare!(
                "normalized",
                FilteredNewton::new().sampler(sampler).schedule(step),
                at
            );
            compare!(
                "searched",
                FilteredNewton::new()
                    .sampler(Sampler::WithReplacement { b: 10 })
                    .schedule(StepSchedule::armijo()),
                at
            );
            let a = faer::Mat::from_fn(4, 4, |i, j| if i == j { 0.8 } else { 0.05 });
            let gamma = faer::Mat::from_fn(4, 4, |i, j| if i == j { 0.1 } else { 0.01 });
            let general = || {
                let solver = FilteredNewton::new().sampler(sampler);
                solver.dynamics(a.as_ref(), gamma.as_ref()).unwrap()
            };
            compare!("general", general(), at);
        }
    }

    #[test]
    fn fresh_solvers_survive_json() {
        let fresh = FilteredNewton::new().seed(u64::MAX).paper_mode();
        let text = serde_json::to_string(&fresh).unwrap();
        let back: FilteredNewton = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
        let problem = Linear::classes(2, 203, 4);
        let run = |solver: FilteredNewton| solver.max_epochs(3).minimize(&problem, vec![0.0; 4]);
        assert_eq!(bits(&run(fresh).unwrap().x), bits(&run(back).unwrap().x));
    }
}
