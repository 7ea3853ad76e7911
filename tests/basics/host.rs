//! Runs under argmin's stock `Executor`: types, counts, order of calls, observers, limits.

#![cfg(all(feature = "nalgebra", feature = "sprs"))]

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{
    CostFunction, Error, Executor, Gradient, Hessian, IterState, KV, State, TerminationReason,
};
use faer::sparse::{SparseColMat, Triplet};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::{
    Converged, DampedNewton, Fused, HessianProduct, Outcome, Report, Status, Stopped, VecLike,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

fn entries<P: VecLike>(x: &P) -> Vec<f64> {
    let mut out = vec![0.0; x.dimension()];
    x.read(&mut out);
    out
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// f = Σ exp(xᵢ) − cᵢxᵢ + ½ Σ (xᵢ − xᵢ₊₁)², strictly convex with a tridiagonal Hessian.
fn cost(x: &[f64]) -> f64 {
    let own: f64 = (x.iter().enumerate())
        .map(|(i, x)| x.exp() - (i + 1) as f64 * x)
        .sum();
    own + 0.5 * x.windows(2).map(|w| (w[0] - w[1]).powi(2)).sum::<f64>()
}

fn gradient(x: &[f64]) -> Vec<f64> {
    let mut g: Vec<f64> = (x.iter().enumerate())
        .map(|(i, x)| x.exp() - (i + 1) as f64)
        .collect();
    for i in 1..x.len() {
        let d = x[i - 1] - x[i];
        g[i - 1] += d;
        g[i] -= d;
    }
    g
}

/// Diagonal; every entry beside it is −1.
fn diagonal(x: &[f64]) -> Vec<f64> {
    let n = x.len();
    (0..n)
        .map(|i| x[i].exp() + f64::from(u8::from(i > 0)) + f64::from(u8::from(i + 1 < n)))
        .collect()
}

fn rows(x: &[f64]) -> Vec<Vec<f64>> {
    let d = diagonal(x);
    (0..x.len())
        .map(|i| {
            (0..x.len())
                .map(|j| match i.abs_diff(j) {
                    0 => d[i],
                    1 => -1.0,
                    _ => 0.0,
                })
                .collect()
        })
        .collect()
}

fn entry(x: &[f64]) -> impl Fn(usize, usize) -> f64 + use<> {
    let rows = rows(x);
    move |i, j| rows[i][j]
}

fn triplets(x: &[f64]) -> Vec<(usize, usize, f64)> {
    let h = rows(x);
    let n = x.len();
    (0..n)
        .flat_map(|i| (i.saturating_sub(1)..n.min(i + 2)).map(move |j| (i, j)))
        .map(|(i, j)| (i, j, h[i][j]))
        .collect()
}

fn sprs(x: &[f64], keep: fn(usize, usize) -> bool) -> sprs::TriMat<f64> {
    let mut m = sprs::TriMat::new((x.len(), x.len()));
    for (i, j, v) in triplets(x).into_iter().filter(|t| keep(t.0, t.1)) {
        m.add_triplet(i, j, v);
    }
    m
}

fn faer_sparse(x: &[f64]) -> SparseColMat<usize, f64> {
    let all: Vec<_> = triplets(x)
        .into_iter()
        .map(|(i, j, v)| Triplet::new(i, j, v))
        .collect();
    SparseColMat::try_new_from_triplets(x.len(), x.len(), &all).unwrap()
}

/// The same function over any vector and matrix type, with a log of its calls.
struct Logged<P, H> {
    start: P,
    hessian: fn(&[f64]) -> H,
    log: Arc<Mutex<String>>,
}

impl<P: VecLike, H> Logged<P, H> {
    fn new(start: P, hessian: fn(&[f64]) -> H) -> Self {
        Logged {
            start,
            hessian,
            log: Arc::default(),
        }
    }
    fn note(&self, call: char) {
        self.log.lock().unwrap().push(call);
    }
}

impl<P: VecLike, H> CostFunction for Logged<P, H> {
    type Param = P;
    type Output = f64;
    fn cost(&self, x: &P) -> Result<f64, Error> {
        self.note('f');
        Ok(cost(&entries(x)))
    }
}

impl<P: VecLike, H> Gradient for Logged<P, H> {
    type Param = P;
    type Gradient = P;
    fn gradient(&self, x: &P) -> Result<P, Error> {
        self.note('g');
        let mut g = x.clone();
        g.write(&gradient(&entries(x)));
        Ok(g)
    }
}

impl<P: VecLike, H> Hessian for Logged<P, H> {
    type Param = P;
    type Hessian = H;
    fn hessian(&self, x: &P) -> Result<H, Error> {
        self.note('H');
        Ok((self.hessian)(&entries(x)))
    }
}

impl<P: VecLike, H> HessianProduct for Logged<P, H> {
    type Param = P;
    fn hessian_product(&self, x: &P, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        let h = rows(&entries(x));
        for (out, row) in out.iter_mut().zip(&h) {
            *out = row.iter().zip(v).map(|(h, v)| h * v).sum();
        }
        Ok(())
    }
}

impl<P: VecLike, H> Fused for Logged<P, H> {
    type Param = P;
    type Gradient = P;
    type Hessian = H;
    fn value(&self, x: &P) -> Result<f64, Error> {
        self.cost(x)
    }
    fn value_gradient(&self, x: &P) -> Result<(f64, P), Error> {
        self.note('b');
        let mut g = x.clone();
        g.write(&gradient(&entries(x)));
        Ok((cost(&entries(x)), g))
    }
    fn hessian(&self, x: &P) -> Result<H, Error> {
        Hessian::hessian(self, x)
    }
}

/// What must agree between two runs.
#[derive(Debug, PartialEq)]
struct End {
    x: Vec<u64>,
    f: u64,
    status: Status,
    report: Report,
    counts: HashMap<String, u64>,
    log: String,
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Runs `$solver` under the `Executor` and by `minimize`, asserts that nothing
/// differs, and returns the end. A macro, so that inference meets the concrete types.
macro_rules! run {
    ($start:expr, $hessian:expr, $solver:expr) => {{
        let problem = Logged::new($start, $hessian);
        let log = Arc::clone(&problem.log);
        let x0 = problem.start.clone();
        let result = Executor::new(problem, $solver)
            .configure(|state| state.param(x0).max_iters(100).counting(true))
            .run()
            .unwrap();
        let state = &result.state;
        let hosted = End {
            x: bits(&entries(state.get_best_param().unwrap())),
            f: state.get_best_cost().to_bits(),
            status: result.status(),
            report: result.solver.report().clone(),
            counts: state.get_func_counts().clone(),
            log: std::mem::take(&mut *log.lock().unwrap()),
        };
        let problem = Logged::new($start, $hessian);
        let x0 = problem.start.clone();
        let run = $solver.minimize(&problem, x0).unwrap();
        let plain = End {
            x: bits(&entries(&run.x)),
            f: run.f.to_bits(),
            status: run.status,
            report: run.report,
            counts: run
                .counts
                .into_iter()
                .map(|(k, n)| (k.to_string(), n))
                .collect(),
            log: problem.log.lock().unwrap().clone(),
        };
        assert_eq!(hosted, plain);
        assert!(hosted.status.is_converged());
        hosted
    }};
}

fn solution(end: &End) -> Vec<f64> {
    end.x.iter().map(|b| f64::from_bits(*b)).collect()
}

#[test]
fn every_dense_type_is_inferred_and_gives_the_same_bits() {
    const X0: [f64; 4] = [1.0, -1.0, 2.0, 0.0];
    fn array(x: &[f64]) -> [[f64; 4]; 4] {
        let h = entry(x);
        std::array::from_fn(|i| std::array::from_fn(|j| h(i, j)))
    }
    let first = run!(X0.to_vec(), rows, DampedNewton::new());
    let others = [
        run!(X0, array, DampedNewton::new()),
        run!(
            nalgebra::DVector::from_column_slice(&X0),
            |x| nalgebra::DMatrix::from_fn(4, 4, entry(x)),
            DampedNewton::new()
        ),
        run!(
            nalgebra::SVector::<f64, 4>::from(X0),
            |x| nalgebra::SMatrix::<f64, 4, 4>::from_fn(entry(x)),
            DampedNewton::new()
        ),
        run!(
            faer::Col::from_fn(4, |i| X0[i]),
            |x| faer::Mat::from_fn(4, 4, entry(x)),
            DampedNewton::new()
        ),
    ];
    for other in others {
        assert_eq!(first, other);
    }
    let x = solution(&first);
    assert!(norm(&gradient(&x)) <= 1e-8 * norm(&gradient(&X0)));
}

#[cfg(feature = "ndarray")]
#[test]
fn ndarray_is_inferred() {
    const X0: [f64; 4] = [1.0, -1.0, 2.0, 0.0];
    let end = run!(
        ndarray::Array1::from(X0.to_vec()),
        |x| {
            let h = entry(x);
            ndarray::Array2::from_shape_fn((4, 4), |(i, j)| h(i, j))
        },
        DampedNewton::new()
    );
    assert_eq!(end, run!(X0.to_vec(), rows, DampedNewton::new()));
}

#[test]
fn a_scalar_is_inferred() {
    // f = exp(x) − x has its minimum at 0.
    let end = run!(2.0, |x| x[0].exp(), DampedNewton::new().gradient_tol(1e-14));
    assert!(solution(&end)[0].abs() < 1e-13);
}

#[test]
fn every_sparse_type_is_inferred_and_analyzed_once() {
    let start: Vec<f64> = (0..30).map(|i| f64::from(i % 5) - 2.0).collect();
    let dense = run!(start.clone(), rows, DampedNewton::new());
    let first = run!(start.clone(), faer_sparse, DampedNewton::new());
    assert_eq!(first.report.analyses, 1);
    assert!(first.report.iterations >= 4);
    let others = [
        run!(
            start.clone(),
            |x| sprs(x, |_, _| true).to_csc::<usize>(),
            DampedNewton::new()
        ),
        run!(
            start.clone(),
            |x| sprs(x, |_, _| true).to_csr::<usize>(),
            DampedNewton::new()
        ),
        run!(
            start.clone(),
            |x| sprs(x, |i, j| i >= j).to_csc::<usize>(),
            DampedNewton::new()
        ),
        run!(
            start.clone(),
            |x| sprs(x, |i, j| i <= j).to_csr::<usize>(),
            DampedNewton::new()
        ),
    ];
    for other in others {
        assert_eq!(other, first);
    }
    assert_eq!(first.log, dense.log);
    for (a, b) in solution(&first).iter().zip(solution(&dense)) {
        assert!((a - b).abs() < 1e-7, "{a} {b}");
    }
}

#[test]
fn matrix_free_and_fused_are_inferred() {
    const X0: [f64; 4] = [1.0, -1.0, 2.0, 0.0];
    let explicit = run!(X0.to_vec(), rows, DampedNewton::new());
    let free = run!(X0.to_vec(), rows, DampedNewton::matrix_free());
    assert_eq!(free.report.factorizations, 0);
    assert_eq!(
        free.counts["hessian_product_count"],
        free.report.hessian_products
    );
    assert!(free.report.hessian_products >= free.report.iterations);
    assert!(!free.log.contains('H'));
    for (a, b) in solution(&free).iter().zip(solution(&explicit)) {
        assert!((a - b).abs() < 1e-6);
    }
    let fused = run!(X0.to_vec(), rows, DampedNewton::fused());
    assert_eq!(fused.x, explicit.x);
    // A rejected trial costs a value too, since it comes with the gradient.
    assert_eq!(fused.report.gradients, fused.report.values);
    assert_eq!(
        fused.report.values,
        explicit.report.values + explicit.report.rejected
    );
    const NEAR: [f64; 4] = [0.5, 1.0, 0.0, 1.0];
    let fused = run!(NEAR.to_vec(), rows, DampedNewton::fused());
    // Value and gradient of a trial come from one pass.
    let iterations = fused.report.iterations as usize;
    assert_eq!(fused.report.rejected, 0);
    assert_eq!(fused.log, format!("b{}", "Hb".repeat(iterations)));
}

fn assert_contract(end: &End) {
    let r = &end.report;
    let calls = |c| end.log.matches(c).count() as u64;
    assert_eq!((r.hessians, r.factorizations), (r.iterations, r.iterations));
    assert_eq!(r.gradients, 1 + r.trials);
    assert_eq!(r.trials, r.iterations + r.rejected);
    assert_eq!(
        (r.values, r.gradients, r.hessians),
        (calls('f'), calls('g'), calls('H'))
    );
    assert_eq!(end.counts["cost_count"], r.values);
    assert_eq!(end.counts["gradient_count"], r.gradients);
    assert_eq!(end.counts["hessian_count"], r.hessians);
    assert_eq!(end.counts.len(), 3);
}

/// At x0 f and g; then per iteration H, and g and f of each trial, f only where
/// the gradient passed its test.
#[test]
fn calls_come_in_order_without_rejections() {
    let end = run!(vec![0.5, 1.0, 0.0, 1.0], rows, DampedNewton::new());
    assert_eq!(end.report.rejected, 0);
    assert_contract(&end);
    assert_eq!(
        end.log,
        format!("fg{}", "Hgf".repeat(end.report.iterations as usize))
    );
    assert_eq!(end.report.values, 1 + end.report.iterations);
}

#[test]
fn calls_come_in_order_with_rejections() {
    let end = run!(vec![-6.0], |x| vec![vec![x[0].exp()]], DampedNewton::new());
    assert_contract(&end);
    // Six rejected trials cost a gradient each, and neither a value nor a Hessian.
    assert_eq!(
        end.log,
        format!("fgH{}gf{}", "g".repeat(6), "Hgf".repeat(5))
    );
    assert_eq!((end.report.iterations, end.report.trials), (6, 12));
    assert_eq!(end.report.values, 1 + end.report.iterations);
}

#[test]
fn schedules_without_the_dual_norm_test_look_at_the_value_first() {
    let end = run!(
        vec![-6.0],
        |x| vec![vec![x[0].exp()]],
        DampedNewton::new().schedule(raphson::Schedule::Armijo)
    );
    // One value a trial, one gradient an accepted point.
    assert_eq!(
        end.log,
        format!("fgH{}fg{}", "f".repeat(6), "Hfg".repeat(4))
    );
    assert_eq!(end.report.values, 1 + end.report.trials);
    assert_eq!(end.report.gradients, 1 + end.report.iterations);
}

/// What an observer saw.
#[derive(Default)]
struct Seen {
    inits: usize,
    costs: Vec<f64>,
    params: Vec<Vec<f64>>,
    gradients: Vec<Vec<f64>>,
    keys: Vec<Vec<String>>,
    finals: usize,
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Seen>>);

type Host = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

impl Observe<Host> for Recorder {
    fn observe_init(&mut self, name: &str, _: &Host, kv: &KV) -> Result<(), Error> {
        assert_eq!(name, "Damped Newton");
        let mut seen = self.0.lock().unwrap();
        seen.inits += 1;
        seen.keys.push(sorted(kv));
        Ok(())
    }
    fn observe_iter(&mut self, state: &Host, kv: &KV) -> Result<(), Error> {
        let mut seen = self.0.lock().unwrap();
        let x = state.get_param().unwrap();
        assert_eq!(cost(x), state.get_cost());
        assert_eq!(cost(state.get_prev_param().unwrap()), state.get_prev_cost());
        assert_eq!(&gradient(x), state.get_gradient().unwrap());
        assert_eq!(cost(state.get_best_param().unwrap()), state.get_best_cost());
        seen.costs.push(state.get_cost());
        seen.params.push(x.clone());
        seen.gradients.push(state.get_gradient().unwrap().clone());
        seen.keys.push(sorted(kv));
        Ok(())
    }
    fn observe_final(&mut self, _: &Host) -> Result<(), Error> {
        self.0.lock().unwrap().finals += 1;
        Ok(())
    }
}

fn sorted(kv: &KV) -> Vec<String> {
    let mut keys: Vec<String> = kv.kv.keys().map(|k| k.to_string()).collect();
    keys.sort();
    keys
}

const START: [f64; 3] = [-3.0, 2.0, -4.0];

fn logged() -> Logged<Vec<f64>, Vec<Vec<f64>>> {
    Logged::new(START.to_vec(), rows)
}

#[test]
fn observers_see_every_accepted_step_and_the_state_never_lies() {
    let recorder = Recorder::default();
    let result = Executor::new(logged(), DampedNewton::new())
        .configure(|state| state.param(START.to_vec()))
        .add_observer(recorder.clone(), ObserverMode::Always)
        .run()
        .unwrap();
    let seen = recorder.0.lock().unwrap();
    let iterations = result.solver.report().iterations as usize;
    assert!(iterations >= 4);
    assert_eq!(
        (seen.inits, seen.costs.len(), seen.finals),
        (1, iterations, 1)
    );
    assert_eq!(result.state.get_iter() as usize, iterations);
    let (state, last) = (&result.state, iterations - 1);
    assert_eq!(seen.costs[last], state.get_cost());
    assert_eq!(&seen.params[last], state.get_param().unwrap());
    assert_eq!(&seen.params[last], state.get_best_param().unwrap());
    assert_eq!(&seen.gradients[last], state.get_gradient().unwrap());
    // Without metrics nothing is published.
    assert!(seen.keys.iter().all(|keys| keys.is_empty()));
    assert_eq!(
        state.get_termination_reason(),
        Some(&TerminationReason::SolverConverged)
    );
}

#[test]
fn metrics_publish_exactly_their_keys() {
    let recorder = Recorder::default();
    Executor::new(logged(), DampedNewton::new().metrics(true))
        .configure(|state| state.param(START.to_vec()).max_iters(3))
        .timer(false)
        .add_observer(recorder.clone(), ObserverMode::Always)
        .run()
        .unwrap();
    let expected = [
        "control",
        "decrement",
        "factorizations",
        "gradient_norm",
        "gradients",
        "hessian_products",
        "hessians",
        "index",
        "shift",
        "step_length",
        "step_norm",
        "trials",
        "values",
    ];
    let seen = recorder.0.lock().unwrap();
    assert_eq!(seen.keys.len(), 4);
    for keys in &seen.keys {
        assert_eq!(keys, &expected);
    }
}

#[test]
fn the_target_cost_stops_the_run() {
    let whole = DampedNewton::new()
        .minimize(&logged(), START.to_vec())
        .unwrap();
    let target = whole.f + 0.5;
    let result = Executor::new(logged(), DampedNewton::new())
        .configure(|state| state.param(START.to_vec()).target_cost(target))
        .run()
        .unwrap();
    assert_eq!(result.status(), Status::Stopped(Stopped::Target));
    assert!(result.state.get_best_cost() <= target);
    assert!(result.solver.report().iterations < whole.report.iterations);
    assert_eq!(result.solver.status(), Status::Running);
}

#[test]
fn the_iteration_limit_stops_the_run() {
    for limit in [1, 3] {
        let result = Executor::new(logged(), DampedNewton::new())
            .configure(|state| state.param(START.to_vec()).max_iters(limit))
            .run()
            .unwrap();
        assert_eq!(result.status(), Status::Stopped(Stopped::MaxIterations));
        assert_eq!(result.solver.report().iterations, limit);
        assert_eq!(result.state.get_iter(), limit);
    }
}

#[test]
fn the_solvers_own_limit_is_the_same_as_the_hosts() {
    let result = Executor::new(logged(), DampedNewton::new().max_iters(3))
        .configure(|state| state.param(START.to_vec()))
        .run()
        .unwrap();
    assert_eq!(result.status(), Status::Stopped(Stopped::MaxIterations));
    assert_eq!(result.state.get_iter(), 3);
    let run = DampedNewton::new()
        .max_iters(3)
        .minimize(&logged(), START.to_vec())
        .unwrap();
    assert_eq!(run.status, Status::Stopped(Stopped::MaxIterations));
    assert_eq!(run.report, *result.solver.report());
    assert_eq!(&run.x, result.state.get_best_param().unwrap());
}

/// argmin overwrites the reason of a run that converged in the iteration in which the time ran out.
#[test]
fn a_run_that_converged_is_not_called_timed_out() {
    let quadratic = || Logged::new(vec![3.0, -4.0], |_| vec![vec![1.0, 0.0], vec![0.0, 1.0]]);
    // The Hessian is wrong for the function, so that one step does not converge.
    let run = |tol| {
        Executor::new(quadratic(), DampedNewton::new().gradient_tol(tol))
            .configure(|state| state.param(vec![3.0, -4.0]))
            .timeout(std::time::Duration::ZERO)
            .run()
            .unwrap()
    };
    let result = run(1e-8);
    assert_eq!(result.state.get_iter(), 1);
    assert_eq!(result.status(), Status::Stopped(Stopped::Time));
    let result = run(0.999);
    assert_eq!(result.state.get_iter(), 1);
    assert_eq!(
        result.state.get_termination_reason(),
        Some(&TerminationReason::Timeout)
    );
    assert_eq!(
        result.status(),
        Status::Converged(Converged::GradientTolerance)
    );
}

/// At the rounding floor the last call of `next_iter` finds no better point; argmin counts it all the same.
#[test]
fn an_end_without_a_step_leaves_the_point_alone() {
    let result = Executor::new(logged(), DampedNewton::new().gradient_tol(0.0))
        .configure(|state| state.param(START.to_vec()).max_iters(100))
        .run()
        .unwrap();
    let (state, report) = (&result.state, result.solver.report());
    assert_eq!(
        result.status(),
        Status::Converged(Converged::PrecisionFloor)
    );
    assert_eq!(state.get_iter(), report.iterations + 1);
    assert_eq!(report.hessians, report.iterations + 1);
    let x = state.get_param().unwrap();
    assert_eq!(state.get_prev_param(), Some(x));
    assert_eq!(state.get_best_param(), Some(x));
    assert_eq!(&gradient(x), state.get_gradient().unwrap());
    assert!(norm(&gradient(x)) < 1e-13 * norm(&gradient(&START)));
}

#[test]
fn a_converged_start_makes_no_iteration() {
    let optimum = DampedNewton::new()
        .minimize(&logged(), START.to_vec())
        .unwrap()
        .x;
    let recorder = Recorder::default();
    let result = Executor::new(logged(), DampedNewton::new().gradient_tol_abs(1e-4))
        .configure(|state| state.param(optimum.clone()))
        .add_observer(recorder.clone(), ObserverMode::Always)
        .run()
        .unwrap();
    assert_eq!(
        result.status(),
        Status::Converged(Converged::GradientTolerance)
    );
    assert_eq!(result.state.get_iter(), 0);
    assert_eq!(result.state.get_best_param(), Some(&optimum));
    assert_eq!(recorder.0.lock().unwrap().costs.len(), 0);
}

/// f = log(1 + eᵘ) + log(1 + e⁻ᵘ) + ½v² + 10⁻² (u² + v⁴) with (u, v) = (x + 2y, x − y): strictly convex, flat far out.
struct Convex;
/// Rosenbrock's valley, b = 10.
struct Valley;

impl CostFunction for Convex {
    type Param = [f64; 2];
    type Output = f64;
    fn cost(&self, p: &[f64; 2]) -> Result<f64, Error> {
        let (u, v) = (p[0] + 2.0 * p[1], p[0] - p[1]);
        Ok(u.abs() + 2.0 * (-u.abs()).exp().ln_1p() + 0.5 * v * v + 0.01 * (u * u + v.powi(4)))
    }
}
impl Gradient for Convex {
    type Param = [f64; 2];
    type Gradient = [f64; 2];
    fn gradient(&self, p: &[f64; 2]) -> Result<[f64; 2], Error> {
        let (u, v) = (p[0] + 2.0 * p[1], p[0] - p[1]);
        let (gu, gv) = ((0.5 * u).tanh() + 0.02 * u, v + 0.04 * v.powi(3));
        Ok([gu + gv, 2.0 * gu - gv])
    }
}
impl Hessian for Convex {
    type Param = [f64; 2];
    type Hessian = [[f64; 2]; 2];
    fn hessian(&self, p: &[f64; 2]) -> Result<[[f64; 2]; 2], Error> {
        let (u, v) = (p[0] + 2.0 * p[1], p[0] - p[1]);
        let t = (0.5 * u).tanh();
        let (hu, hv) = (0.5 * (1.0 - t * t) + 0.02, 1.0 + 0.12 * v * v);
        Ok([[hu + hv, 2.0 * hu - hv], [2.0 * hu - hv, 4.0 * hu + hv]])
    }
}
impl CostFunction for Valley {
    type Param = [f64; 2];
    type Output = f64;
    fn cost(&self, p: &[f64; 2]) -> Result<f64, Error> {
        Ok((1.0 - p[0]).powi(2) + 10.0 * (p[1] - p[0] * p[0]).powi(2))
    }
}
impl Gradient for Valley {
    type Param = [f64; 2];
    type Gradient = [f64; 2];
    fn gradient(&self, p: &[f64; 2]) -> Result<[f64; 2], Error> {
        let d = p[1] - p[0] * p[0];
        Ok([-2.0 * (1.0 - p[0]) - 40.0 * d * p[0], 20.0 * d])
    }
}
impl Hessian for Valley {
    type Param = [f64; 2];
    type Hessian = [[f64; 2]; 2];
    fn hessian(&self, p: &[f64; 2]) -> Result<[[f64; 2]; 2], Error> {
        let d = p[1] - p[0] * p[0];
        let off = -40.0 * p[0];
        Ok([[2.0 - 40.0 * d + 80.0 * p[0] * p[0], off], [off, 20.0]])
    }
}

/// argmin keeps the first of equal costs; the point it returns must be the converged one.
#[test]
fn the_best_point_meets_the_tolerance_from_a_thousand_starts() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    for k in 0..1000 {
        let x0 = [
            random.random_range(-8.0..8.0),
            random.random_range(-8.0..8.0),
        ];
        macro_rules! solve {
            ($problem:ident) => {{
                let result = Executor::new($problem, DampedNewton::new().gradient_tol(1e-12))
                    .configure(|state| state.param(x0).max_iters(500))
                    .ctrlc(false)
                    .run()
                    .unwrap();
                let best = result.state.get_best_param().unwrap();
                assert_eq!($problem.cost(best).unwrap(), result.state.get_best_cost());
                assert_eq!(
                    $problem.cost(result.state.get_param().unwrap()).unwrap(),
                    result.state.get_cost()
                );
                assert_eq!(
                    result.status(),
                    Status::Converged(Converged::GradientTolerance)
                );
                let slope = |x: &[f64; 2]| norm(&$problem.gradient(x).unwrap());
                assert!(slope(best) <= 1e-12 * slope(&x0), "{k} {x0:?} {best:?}");
            }};
        }
        if k % 2 == 0 {
            solve!(Convex);
        } else {
            solve!(Valley);
        }
    }
}

#[test]
fn solvers_are_send_and_sync() {
    fn assert<T: Send + Sync + Clone>(_: &T) {}
    assert(&DampedNewton::new());
    assert(&DampedNewton::matrix_free());
    assert(&DampedNewton::fused());
}

/// The user's own error comes back unchanged.
#[test]
fn errors_of_the_problem_keep_their_type() {
    #[derive(Debug, thiserror::Error)]
    #[error("the simulation crashed")]
    struct Crash;
    struct Crashing(Mutex<u32>);
    impl CostFunction for Crashing {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
            let mut left = self.0.lock().unwrap();
            if *left == 0 {
                return Err(Crash.into());
            }
            *left -= 1;
            Ok(cost(x))
        }
    }
    impl Gradient for Crashing {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
            Ok(gradient(x))
        }
    }
    impl Hessian for Crashing {
        type Param = Vec<f64>;
        type Hessian = Vec<Vec<f64>>;
        fn hessian(&self, x: &Vec<f64>) -> Result<Vec<Vec<f64>>, Error> {
            Ok(rows(x))
        }
    }
    for calls in [0, 2] {
        let error = Executor::new(Crashing(Mutex::new(calls)), DampedNewton::new())
            .configure(|state| state.param(START.to_vec()))
            .run()
            .err()
            .unwrap();
        assert!(error.downcast_ref::<Crash>().is_some());
        match DampedNewton::new().minimize(&Crashing(Mutex::new(calls)), START.to_vec()) {
            Err(raphson::Error::Problem(error)) => assert!(error.downcast_ref::<Crash>().is_some()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_missing_start_says_what_to_do() {
    let error = Executor::new(logged(), DampedNewton::new())
        .run()
        .err()
        .unwrap();
    assert!(error.to_string().contains("state.param(x0)"), "{error}");
}
