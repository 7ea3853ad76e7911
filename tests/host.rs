//! The solvers under argmin's stock `Executor`: types, counts, order of calls, best point.
#![cfg(all(feature = "nalgebra", feature = "sprs", feature = "ndarray"))]

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, IterState, KV, State};
use rand::{Rng, SeedableRng};
use raphson::{DampedNewton, Fused, HessianProduct, Outcome, Status, Stopped, SymMat, VecLike};
use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// f = cosh(x) + (y − x)²/2 + y⁴/4 in any types.
struct Any<P, H> {
    matrix: fn([[f64; 2]; 2]) -> H,
    point: PhantomData<P>,
}

fn any<P, H>(matrix: fn([[f64; 2]; 2]) -> H) -> Any<P, H> {
    Any {
        matrix,
        point: PhantomData,
    }
}

fn read<P: VecLike>(p: &P) -> [f64; 2] {
    let mut x = [0.0; 2];
    p.read(&mut x);
    x
}
fn value([x, y]: [f64; 2]) -> f64 {
    x.cosh() + 0.5 * (y - x).powi(2) + 0.25 * y.powi(4)
}
fn slope([x, y]: [f64; 2]) -> [f64; 2] {
    [x.sinh() - (y - x), y - x + y.powi(3)]
}
fn curvature([x, y]: [f64; 2]) -> [[f64; 2]; 2] {
    [[x.cosh() + 1.0, -1.0], [-1.0, 1.0 + 3.0 * y * y]]
}

impl<P: VecLike, H> CostFunction for Any<P, H> {
    type Param = P;
    type Output = f64;
    fn cost(&self, p: &P) -> Result<f64, Error> {
        Ok(value(read(p)))
    }
}
impl<P: VecLike, H> Gradient for Any<P, H> {
    type Param = P;
    type Gradient = P;
    fn gradient(&self, p: &P) -> Result<P, Error> {
        let mut g = p.clone();
        g.write(&slope(read(p)));
        Ok(g)
    }
}
impl<P: VecLike, H> Hessian for Any<P, H> {
    type Param = P;
    type Hessian = H;
    fn hessian(&self, p: &P) -> Result<H, Error> {
        Ok((self.matrix)(curvature(read(p))))
    }
}
impl<P: VecLike, H> HessianProduct for Any<P, H> {
    type Param = P;
    fn hessian_product(&self, p: &P, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        for (out, row) in out.iter_mut().zip(curvature(read(p))) {
            *out = row[0] * v[0] + row[1] * v[1];
        }
        Ok(())
    }
}
impl<P: VecLike, H> Fused for Any<P, H> {
    type Param = P;
    type Gradient = P;
    type Hessian = H;
    fn value(&self, p: &P) -> Result<f64, Error> {
        self.cost(p)
    }
    fn value_gradient(&self, p: &P) -> Result<(f64, P), Error> {
        Ok((self.cost(p)?, Gradient::gradient(self, p)?))
    }
    fn hessian(&self, p: &P) -> Result<H, Error> {
        Hessian::hessian(self, p)
    }
}

/// Same iterations, same minimum, same counts plain and hosted, whatever the types.
fn solves<P: VecLike + 'static, H: SymMat + 'static>(
    name: &str,
    matrix: fn([[f64; 2]; 2]) -> H,
    start: P,
) {
    let result = Executor::new(any::<P, H>(matrix), DampedNewton::new().gradient_tol(1e-12))
        .configure(|state| state.param(start.clone()))
        .run()
        .unwrap();
    assert!(
        result.status().is_converged(),
        "{name}: {}",
        result.status()
    );
    let [x, y] = read(result.state.get_best_param().unwrap());
    assert!(x.abs() < 1e-7 && y.abs() < 1e-7, "{name}: {x} {y}");
    let run = DampedNewton::new()
        .gradient_tol(1e-12)
        .minimize(&any::<P, H>(matrix), start)
        .unwrap();
    assert_eq!(run.counts, result.problem.counts, "{name}");
    assert_eq!(&run.report, result.solver.report(), "{name}");
    assert_eq!(run.report.hessians, run.report.iterations, "{name}");
    assert_eq!(run.report.factorizations, run.report.iterations, "{name}");
}

#[test]
fn every_type_is_inferred() {
    use faer::sparse::{SparseColMat, SparseRowMat, Triplet};
    let rows = |h: [[f64; 2]; 2]| h.map(|r| r.to_vec()).to_vec();
    solves("Vec", rows, vec![2.0, -3.0]);
    solves("array", |h| h, [2.0, -3.0]);
    solves(
        "nalgebra dynamic",
        |h| nalgebra::DMatrix::from_fn(2, 2, |i, j| h[i][j]),
        nalgebra::DVector::from_vec(vec![2.0, -3.0]),
    );
    solves(
        "nalgebra fixed",
        |h| nalgebra::Matrix2::from_fn(|i, j| h[i][j]),
        nalgebra::Vector2::new(2.0, -3.0),
    );
    solves(
        "faer",
        |h| faer::Mat::from_fn(2, 2, |i, j| h[i][j]),
        faer::Col::from_fn(2, |i| [2.0, -3.0][i]),
    );
    solves(
        "ndarray",
        |h| ndarray::arr2(&h).reversed_axes(),
        ndarray::arr1(&[2.0, -3.0]),
    );
    solves(
        "sprs csc",
        |h| {
            let values = vec![h[0][0], h[1][0], h[0][1], h[1][1]];
            sprs::CsMat::new_csc((2, 2), vec![0, 2, 4], vec![0, 1, 0, 1], values)
        },
        vec![2.0, -3.0],
    );
    solves(
        "sprs csr, one triangle",
        |h| {
            let values = vec![h[0][0], h[1][0], h[1][1]];
            sprs::CsMat::new((2, 2), vec![0, 1, 3], vec![0, 0, 1], values)
        },
        vec![2.0, -3.0],
    );
    fn triplets(h: [[f64; 2]; 2]) -> [Triplet<usize, usize, f64>; 4] {
        [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| Triplet::new(i, j, h[i][j]))
    }
    solves(
        "faer csc",
        |h| SparseColMat::<usize, f64>::try_new_from_triplets(2, 2, &triplets(h)).unwrap(),
        vec![2.0, -3.0],
    );
    solves(
        "faer csr",
        |h| SparseRowMat::<usize, f64>::try_new_from_triplets(2, 2, &triplets(h)).unwrap(),
        vec![2.0, -3.0],
    );
}

#[test]
fn one_variable_is_a_plain_number() {
    struct Parabola;
    impl CostFunction for Parabola {
        type Param = f64;
        type Output = f64;
        fn cost(&self, x: &f64) -> Result<f64, Error> {
            Ok((x - 2.0).powi(2) + 1.0)
        }
    }
    impl Gradient for Parabola {
        type Param = f64;
        type Gradient = f64;
        fn gradient(&self, x: &f64) -> Result<f64, Error> {
            Ok(2.0 * (x - 2.0))
        }
    }
    impl Hessian for Parabola {
        type Param = f64;
        type Hessian = f64;
        fn hessian(&self, _: &f64) -> Result<f64, Error> {
            Ok(2.0)
        }
    }
    let result = Executor::new(Parabola, DampedNewton::new())
        .configure(|state| state.param(10.0))
        .run()
        .unwrap();
    assert!((result.state.param.unwrap() - 2.0).abs() < 1e-14);
    assert_eq!(result.state.iter, 1);
}

#[test]
fn sources_agree_and_are_counted_under_argmins_names() {
    let start = vec![2.0, -3.0];
    let problem = || any::<Vec<f64>, [[f64; 2]; 2]>(|h| h);
    let explicit = DampedNewton::new()
        .minimize(&problem(), start.clone())
        .unwrap();
    let fused = DampedNewton::fused()
        .minimize(&problem(), start.clone())
        .unwrap();
    assert_eq!(explicit.x, fused.x);
    assert_eq!(fused.counts["cost_count"], fused.counts["gradient_count"]);
    assert_eq!(fused.counts["hessian_count"], fused.report.iterations);
    let free = DampedNewton::matrix_free()
        .gradient_tol(1e-12)
        .minimize(&problem(), start)
        .unwrap();
    assert!(free.converged() && free.x.iter().all(|x| x.abs() < 1e-7));
    assert_eq!(free.counts.get("hessian_count"), None);
    assert_eq!(
        free.counts["hessian_product_count"],
        free.report.hessian_products
    );
    assert!(free.report.hessian_products >= free.report.iterations);
    assert_eq!(free.report.factorizations, 0);
}

/// Writes down what is evaluated.
struct Logged {
    log: Rc<RefCell<String>>,
    inner: Any<Vec<f64>, [[f64; 2]; 2]>,
}
impl CostFunction for Logged {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        self.log.borrow_mut().push('f');
        self.inner.cost(x)
    }
}
impl Gradient for Logged {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.log.borrow_mut().push('g');
        Gradient::gradient(&self.inner, x)
    }
}
impl Hessian for Logged {
    type Param = Vec<f64>;
    type Hessian = [[f64; 2]; 2];
    fn hessian(&self, x: &Vec<f64>) -> Result<[[f64; 2]; 2], Error> {
        self.log.borrow_mut().push('H');
        Hessian::hessian(&self.inner, x)
    }
}

fn log_of(start: [f64; 2]) -> (String, raphson::Run<Vec<f64>>) {
    let log = Rc::new(RefCell::new(String::new()));
    let problem = Logged {
        log: Rc::clone(&log),
        inner: any(|h| h),
    };
    let run = DampedNewton::new()
        .minimize(&problem, start.to_vec())
        .unwrap();
    (log.take(), run)
}

#[test]
fn calls_come_in_order_and_none_is_wasted() {
    // Accepted at once: the start, then H, trial gradient, value for each iteration.
    let (log, run) = log_of([0.1, 0.1]);
    assert!(run.converged());
    assert_eq!(run.report.rejected, 0);
    assert_eq!(
        log,
        format!("fg{}", "Hgf".repeat(run.report.iterations as usize))
    );
    // With rejections: one more gradient each, and never another Hessian or value.
    let (log, run) = log_of([12.0, -30.0]);
    assert!(run.converged() && run.report.rejected > 0);
    let count = |c| log.chars().filter(|l| *l == c).count() as u64;
    assert_eq!(count('H'), run.report.iterations);
    assert_eq!(count('g'), 1 + run.report.trials);
    assert_eq!(count('g'), run.report.gradients);
    assert_eq!(count('f'), run.report.values);
    assert!(count('f') <= 1 + run.report.trials);
    assert_eq!(run.report.factorizations, run.report.iterations);
    assert!(!log.contains("HH") && log.starts_with("fgHg"));
}

/// Σ log cosh(x − c) + ridge: convex, with a last step that often changes f by nothing.
#[derive(Clone)]
struct Bowl {
    center: [f64; 3],
}
impl CostFunction for Bowl {
    type Param = [f64; 3];
    type Output = f64;
    fn cost(&self, x: &[f64; 3]) -> Result<f64, Error> {
        let terms = x.iter().zip(self.center);
        Ok(1.0
            + terms
                .map(|(x, c)| (x - c).cosh().ln() + 0.01 * x * x)
                .sum::<f64>())
    }
}
impl Gradient for Bowl {
    type Param = [f64; 3];
    type Gradient = [f64; 3];
    fn gradient(&self, x: &[f64; 3]) -> Result<[f64; 3], Error> {
        Ok(std::array::from_fn(|i| {
            (x[i] - self.center[i]).tanh() + 0.02 * x[i]
        }))
    }
}
impl Hessian for Bowl {
    type Param = [f64; 3];
    type Hessian = [[f64; 3]; 3];
    fn hessian(&self, x: &[f64; 3]) -> Result<[[f64; 3]; 3], Error> {
        let mut h = [[0.0; 3]; 3];
        for i in 0..3 {
            h[i][i] = (x[i] - self.center[i]).cosh().powi(-2) + 0.02;
        }
        Ok(h)
    }
}

#[test]
fn the_best_point_meets_the_tolerance_in_a_thousand_starts() {
    let mut random = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
    let norm = |g: [f64; 3]| g.iter().map(|g| g * g).sum::<f64>().sqrt();
    for k in 0..1000 {
        let problem = Bowl {
            center: std::array::from_fn(|_| random.random_range(-2.0..2.0)),
        };
        let start: [f64; 3] = std::array::from_fn(|_| random.random_range(-6.0..6.0));
        let result = Executor::new(problem.clone(), DampedNewton::new().gradient_tol(1e-12))
            .configure(|state| state.param(start))
            .run()
            .unwrap();
        assert!(result.status().is_converged(), "{k}: {}", result.status());
        let best = result.state.get_best_param().unwrap();
        let slope = norm(problem.gradient(best).unwrap());
        let first = norm(problem.gradient(&start).unwrap());
        let floor = result.status() == Status::Converged(raphson::Converged::PrecisionFloor);
        assert!(
            slope <= 1e-12 * first || floor && slope < 1e-14,
            "{k}: {slope:e}"
        );
        assert_eq!(problem.cost(best).unwrap(), result.state.best_cost);
        assert_eq!(Some(best), result.state.param.as_ref());
    }
}

type Seen = Arc<Mutex<Vec<(u64, f64, [f64; 3])>>>;
struct Watch(Seen, Arc<Mutex<HashMap<String, usize>>>);
impl Observe<IterState<[f64; 3], [f64; 3], (), (), (), f64>> for Watch {
    fn observe_iter(
        &mut self,
        state: &IterState<[f64; 3], [f64; 3], (), (), (), f64>,
        kv: &KV,
    ) -> Result<(), Error> {
        let mut seen = self.0.lock().unwrap();
        seen.push((
            state.get_iter(),
            state.get_cost(),
            *state.get_param().unwrap(),
        ));
        for key in kv.kv.keys() {
            *self.1.lock().unwrap().entry(key.clone()).or_default() += 1;
        }
        Ok(())
    }
}

#[test]
fn observers_limits_and_target() {
    let bowl = || Bowl {
        center: [1.0, -1.0, 0.5],
    };
    let (seen, keys) = (Seen::default(), Arc::default());
    let result = Executor::new(bowl(), DampedNewton::new().metrics(true))
        .configure(|state| state.param([5.0, 5.0, 5.0]).max_iters(3).counting(true))
        .add_observer(
            Watch(Arc::clone(&seen), Arc::clone(&keys)),
            ObserverMode::Always,
        )
        .run()
        .unwrap();
    assert_eq!(result.status(), Status::Stopped(Stopped::MaxIterations));
    assert!(!result.status().is_converged());
    let seen = seen.lock().unwrap();
    assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), [0, 1, 2]);
    let last = seen.last().unwrap();
    assert_eq!(
        (last.1, Some(last.2)),
        (result.state.cost, result.state.param)
    );
    assert_eq!(
        result.state.cost,
        bowl().cost(&result.state.param.unwrap()).unwrap()
    );
    assert_eq!(result.state.get_func_counts()["hessian_count"], 3);
    let mut keys: Vec<String> = keys.lock().unwrap().keys().cloned().collect();
    keys.sort();
    let expected = [
        "control",
        "decrement",
        "factorizations",
        "gradient_norm",
        "gradients",
        "hessian_products",
        "hessians",
        "shift",
        "step_length",
        "step_norm",
        "trials",
        "values",
    ];
    assert_eq!(keys, expected);
    let target = Executor::new(bowl(), DampedNewton::new())
        .configure(|state| state.param([5.0, 5.0, 5.0]).target_cost(5.0))
        .run()
        .unwrap();
    assert_eq!(target.status(), Status::Stopped(Stopped::Target));
    let none = Executor::new(bowl(), DampedNewton::new())
        .configure(|state| state.param([5.0, 5.0, 5.0]).max_iters(0))
        .run()
        .unwrap();
    assert_eq!(none.status(), Status::Stopped(Stopped::MaxIterations));
    assert_eq!(none.state.best_param, Some([5.0; 3]));
}

#[test]
fn solvers_are_send_and_sync() {
    fn both<T: Send + Sync>() {}
    both::<DampedNewton>();
    both::<raphson::LogisticRegression>();
    both::<raphson::Error>();
}
