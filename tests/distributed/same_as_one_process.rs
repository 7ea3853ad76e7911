//! Every solver that works on a sum of terms gives on ranks what it gives in one process.

use crate::{data, rows, sums};
use argmin::core::{CostFunction, Gradient, Hessian};
use raphson::distributed::{Distributed, Shard, ThreadRank, Threads};
use raphson::models::LinearModel;
use raphson::stochastic::Sampler;
use raphson::{
    AveragedHessianNewton, Batch, CubicNewton, DampedNewton, Dataset, ExactGaussNewton,
    FilteredNewton, FiniteSum, GradientNormalizedNewton, GradientRegularizedNewton, GramSolve,
    HessianProduct, LazyCubicNewton, LazyRegularizedNewton, LeastSquares, LogisticRegression, Mlp,
    OutputModel, Run, SaddleFreeNewton, Softmax, StochasticNewton, SymMat, TrustRegionNewton,
};

const CLASSES: [f64; 2] = [-1.0, 1.0];

fn model(data: &Dataset) -> LogisticRegression {
    LogisticRegression::with_classes(data, &CLASSES)
        .l2(1e-3)
        .intercept(true)
}

/// This rank's part of the data as a logistic model, or none.
fn shard(data: &Dataset, rank: &ThreadRank, p: usize) -> Option<LogisticRegression> {
    let own = rows(data.n_rows(), rank.index(), p);
    (!own.is_empty()).then(|| model(&data.subset(&own).unwrap()))
}

fn close(what: &str, a: &[f64], b: &[f64], tol: f64) {
    let scale = b.iter().fold(f64::MIN_POSITIVE, |m, b| m.max(b.abs()));
    for (k, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(
            (a - b).abs() <= tol * scale,
            "{what}, entry {k}: {a} and {b}"
        );
    }
    assert_eq!(a.len(), b.len(), "{what}");
}

fn same<C>(what: &str, run: &Run<Vec<f64>, C>, whole: &Run<Vec<f64>, C>) {
    assert_eq!(run.status, whole.status, "{what}");
    assert_eq!(run.report.iterations, whole.report.iterations, "{what}");
    close(what, &[run.f], &[whole.f], 1e-13);
    close(what, &run.x, &whole.x, 1e-10);
}

#[test]
fn deterministic_solvers() {
    let data = data(301, 8);
    let whole = model(&data);
    macro_rules! solver {
        ($solver:expr) => {{
            let name = stringify!($solver);
            let expected = $solver
                .gradient_tol(1e-10)
                .minimize(&whole, whole.origin())
                .unwrap();
            assert!(expected.converged(), "{name}: {}", expected.status);
            for p in [1, 2, 3, 4, 5] {
                let runs = Threads::run(p, |rank| {
                    let problem = Distributed::new(shard(&data, rank, p), rank).unwrap();
                    let solver = $solver.gradient_tol(1e-10);
                    let run = solver.minimize(&problem, vec![0.0; 9]).unwrap();
                    (run.status, run.report.iterations, run.f, run.x)
                });
                for run in &runs {
                    assert_eq!(
                        (run.0, run.1),
                        (expected.status, expected.report.iterations),
                        "{name}"
                    );
                    close(name, &[run.2], &[expected.f], 1e-13);
                    close(name, &run.3, &expected.x, 1e-10);
                    assert_eq!(run.3, runs[0].3, "{name}: ranks differ");
                }
            }
        }};
    }
    solver!(DampedNewton::new());
    solver!(DampedNewton::matrix_free());
    solver!(LazyCubicNewton::new());
    solver!(LazyRegularizedNewton::new());
    solver!(CubicNewton::new());
    solver!(CubicNewton::matrix_free());
    solver!(TrustRegionNewton::new());
    solver!(TrustRegionNewton::matrix_free());
    solver!(GradientRegularizedNewton::new());
    solver!(GradientNormalizedNewton::new());
    solver!(SaddleFreeNewton::new());
}

#[test]
fn fused_runs_take_one_exchange_a_point() {
    let data = data(301, 8);
    let runs = Threads::run(3, |rank| {
        let problem = Distributed::new(shard(&data, rank, 3), rank).unwrap();
        let before = problem.traffic();
        let run = DampedNewton::fused()
            .minimize(&problem, vec![0.0; 9])
            .unwrap();
        let after = problem.traffic();
        (
            run.report,
            after.exchanges - before.exchanges,
            after.bytes - before.bytes,
        )
    });
    for (report, exchanges, bytes) in runs {
        // Two ranks send to each: (d + 2) doubles a gradient, d(d + 1)/2 + 1 a Hessian. Ten gradients
        // and more would bring a checksum of two.
        assert!(report.gradients < 10 && report.values == report.gradients);
        assert_eq!(exchanges, report.gradients + report.hessians);
        assert_eq!(
            bytes,
            2 * 8 * (11 * report.gradients + 46 * report.hessians)
        );
    }
}

#[test]
fn stochastic_solvers_see_the_same_batches() {
    let data = data(301, 8);
    let whole = model(&data);
    macro_rules! solver {
        ($solver:expr) => {{
            let name = stringify!($solver);
            let sampler = Sampler::EpochShuffle {
                b: 40,
                drop_last: false,
            };
            let solver = || {
                $solver
                    .seed(5)
                    .sampler(sampler)
                    .max_epochs(3)
                    .gradient_tol(1e-12)
            };
            let expected = solver().minimize(&whole, whole.origin()).unwrap();
            assert_eq!(expected.report.iterations, 24, "{name}");
            for p in [1, 3, 4] {
                let runs = Threads::run(p, |rank| {
                    let problem = Distributed::new(shard(&data, rank, p), rank).unwrap();
                    let run = solver().minimize(&problem, vec![0.0; 9]).unwrap();
                    same(name, &run, &expected);
                    run.x
                });
                assert!(runs.iter().all(|x| *x == runs[0]), "{name}");
            }
        }};
    }
    solver!(StochasticNewton::new());
    solver!(AveragedHessianNewton::new());
    solver!(FilteredNewton::new());
}

#[test]
fn quantities_of_batches_agree() {
    let data = data(60, 5);
    let whole = model(&data);
    let x = vec![0.3, -0.2, 0.1, 0.5, -0.4, 0.2];
    let v = vec![1.0, -2.0, 0.5, 0.25, 3.0, -1.0];
    // Terms of every rank, one of them twice, in no order; and one of a single rank.
    for terms in [&[59, 3, 20, 3, 41, 40, 0, 25][..], &[1], &[40, 41, 42]] {
        let batch = Batch::Terms(terms);
        let (f, g) = FiniteSum::value_gradient(&whole, &x, batch).unwrap();
        let mut product = vec![0.0; 6];
        FiniteSum::hessian_product(&whole, &x, batch, &v, &mut product).unwrap();
        for p in [1, 2, 3, 4] {
            Threads::run(p, |rank| {
                let sum = Distributed::new(shard(&data, rank, p), rank).unwrap();
                assert_eq!(FiniteSum::terms(&sum), 60);
                let value = FiniteSum::value(&sum, &x, batch).unwrap();
                close("value", &[value], &[f], 1e-14);
                let (value, slope) = FiniteSum::value_gradient(&sum, &x, batch).unwrap();
                close("value", &[value], &[f], 1e-14);
                close("gradient", &slope, &g, 1e-14);
                let mut out = vec![0.0; 6];
                FiniteSum::hessian_product(&sum, &x, batch, &v, &mut out).unwrap();
                close("product", &out, &product, 1e-13);
                let hessian = FiniteSum::hessian(&sum, &x, batch).unwrap();
                raphson::linear::sym_mul(hessian.sym(), &v, &mut out).unwrap();
                close("Hessian", &out, &product, 1e-13);
                // A solver scales by the whole sum only.
                assert_eq!(hessian.gradient_scale(), None);
            });
        }
    }
}

#[test]
fn one_rank_gives_the_bits_of_the_model() {
    let data = data(301, 8);
    let whole = model(&data);
    let x: Vec<f64> = (0..9).map(|j| 0.1 * f64::from(j) - 0.3).collect();
    Threads::run(1, |rank| {
        let sum = Distributed::new(Some(model(&data)), rank).unwrap();
        assert_eq!(sum.cost(&x).unwrap(), whole.cost(&x).unwrap());
        assert_eq!(sum.gradient(&x).unwrap(), whole.gradient(&x).unwrap());
        let mut diagonals = [vec![0.0; 9], vec![0.0; 9]];
        assert!(HessianProduct::hessian_diagonal(&sum, &x, &mut diagonals[0]).unwrap());
        assert!(HessianProduct::hessian_diagonal(&whole, &x, &mut diagonals[1]).unwrap());
        assert_eq!(diagonals[0], diagonals[1]);
        assert_eq!(
            Hessian::hessian(&sum, &x).unwrap().gradient_scale(),
            Some(whole.gradient_scale())
        );
        assert_eq!(sum.traffic(), Default::default());
    });
}

#[test]
fn long_and_short_sums_have_the_same_bits() {
    // d = 140: the triangle goes by pieces, the products, which are gathered, must agree with it.
    let data = data(200, 139);
    let x: Vec<f64> = (0..140).map(|j| (f64::from(j)).sin()).collect();
    let sums = Threads::run(4, |rank| {
        let sum = Distributed::new(shard(&data, rank, 4), rank).unwrap();
        let before = sum.traffic();
        let hessian = Hessian::hessian(&sum, &x).unwrap();
        let after = sum.traffic();
        let words = 140 * 141 / 2 + 1usize;
        assert_eq!(after.exchanges - before.exchanges, 2);
        assert_eq!(
            after.bytes - before.bytes,
            16 * 3 * words.div_ceil(4) as u64
        );
        let raphson::edge::SymView::Dense(matrix, _) = hessian.sym() else {
            panic!("not dense");
        };
        let lower: Vec<u64> = (0..140)
            .flat_map(|j| (j..140).map(move |i| (i, j)))
            .map(|(i, j)| matrix[(i, j)].to_bits())
            .collect();
        let mut product = vec![0.0; 140];
        HessianProduct::hessian_product(&sum, &x, &x, &mut product).unwrap();
        let mut direct = vec![0.0; 140];
        raphson::linear::sym_mul(hessian.sym(), &x, &mut direct).unwrap();
        close("product", &product, &direct, 1e-12);
        // In the order of the ranks, by hand.
        let parts: Vec<f64> = (0..4)
            .filter_map(|r| {
                let own = rows(200, r, 4);
                let part = model(&data.subset(&own).ok()?);
                Some(own.len() as f64 / 200.0 * part.cost(&x).unwrap())
            })
            .collect();
        let by_hand = parts.iter().skip(1).fold(parts[0], |sum, part| sum + part);
        assert_eq!(sum.cost(&x).unwrap().to_bits(), by_hand.to_bits());
        lower
    });
    assert!(sums.iter().all(|lower| *lower == sums[0]));
}

#[test]
fn exact_gauss_newton() {
    let data = data(200, 6);
    let classes = data.classes();
    macro_rules! outputs {
        ($name:expr, $make:expr, $x0:expr, $way:expr) => {{
            let solver = || ExactGaussNewton::new().seed(2).solve_by($way).max_epochs(2);
            let whole = $make(&data);
            let expected = solver().minimize(&whole, $x0).unwrap();
            for p in [1, 3, 4] {
                let runs = Threads::run(p, |rank| {
                    let own = rows(200, rank.index(), p);
                    let part = (!own.is_empty()).then(|| $make(&data.subset(&own).unwrap()));
                    let problem = Distributed::new(part, rank)
                        .unwrap()
                        .with_outputs()
                        .unwrap();
                    let run = solver().minimize(&problem, $x0).unwrap();
                    same($name, &run, &expected);
                    run.x
                });
                assert!(runs.iter().all(|x| *x == runs[0]), "{}", $name);
            }
        }};
    }
    for way in [GramSolve::Primal, GramSolve::Dual] {
        let logistic = |data: &Dataset| LogisticRegression::with_classes(data, &CLASSES).l2(0.01);
        outputs!("logistic", logistic, vec![0.0; 6], way);
        let squares = |data: &Dataset| LeastSquares::new(data).l2(0.01);
        outputs!("squares", squares, vec![0.0; 6], way);
        let softmax = |data: &Dataset| Softmax::with_classes(data, &classes).l2(0.01);
        outputs!("softmax", softmax, vec![0.0; 12], way);
    }
    let network = |data: &Dataset| Mlp::regressor(data, &[3]).l2(0.01);
    let start = network(&data).fan_in(4);
    outputs!("network", network, start.clone(), GramSolve::Dual);
}

#[test]
fn outputs_of_batches_agree() {
    let data = data(60, 5);
    let whole = LeastSquares::new(&data);
    let x = vec![0.3, -0.2, 0.1, 0.5, -0.4];
    let terms = [59, 3, 20, 3, 41];
    for batch in [Batch::Terms(&terms), Batch::All] {
        let b = if batch == Batch::All { 60 } else { 5 };
        let u: Vec<f64> = (0..b).map(|k| f64::from(k as u32) - 2.5).collect();
        Threads::run(4, |rank| {
            let own = rows(60, rank.index(), 4);
            let part = (!own.is_empty()).then(|| LeastSquares::new(&data.subset(&own).unwrap()));
            let sum = Distributed::new(part, rank)
                .unwrap()
                .with_outputs()
                .unwrap();
            let mut vectors = [vec![0.0; b], vec![0.0; b]];
            whole.outputs(&x, batch, &mut vectors[0]).unwrap();
            sum.outputs(&x, batch, &mut vectors[1]).unwrap();
            assert_eq!(vectors[0], vectors[1]);
            whole.jvp(&x, batch, &x, &mut vectors[0]).unwrap();
            sum.jvp(&x, batch, &x, &mut vectors[1]).unwrap();
            assert_eq!(vectors[0], vectors[1]);
            let mut products = [vec![0.0; 5], vec![0.0; 5]];
            whole.vjp(&x, batch, &u, &mut products[0]).unwrap();
            sum.vjp(&x, batch, &u, &mut products[1]).unwrap();
            close("vjp", &products[0], &products[1], 1e-14);
            let mut matrices = [faer::Mat::zeros(b, 5), faer::Mat::zeros(b, 5)];
            whole.jacobian(&x, batch, matrices[0].as_mut()).unwrap();
            sum.jacobian(&x, batch, matrices[1].as_mut()).unwrap();
            assert_eq!(matrices[0], matrices[1]);
        });
    }
}

/// A user's own sum of terms, without origin, diagonal and products.
impl Shard for sums::Linear {
    fn dimension(&self) -> usize {
        self.rows[0].len()
    }
}

#[test]
fn a_users_own_sum() {
    let part = |range: std::ops::Range<usize>| {
        let all = sums::Linear::paper(7, 90, 4);
        let (rows, y) = (all.rows[range.clone()].to_vec(), all.y[range].to_vec());
        sums::Linear::new(rows, y, sums::squared, 0.1)
    };
    let whole = Threads::run(1, |rank| {
        let problem = Distributed::new(Some(part(0..90)), rank).unwrap();
        DampedNewton::new()
            .minimize(&problem, vec![0.0; 4])
            .unwrap()
            .x
    });
    let runs = Threads::run(3, |rank| {
        let own = [0..10, 10..80, 80..90][rank.index()].clone();
        let problem = Distributed::new(Some(part(own)), rank).unwrap();
        let run = DampedNewton::new()
            .minimize(&problem, vec![0.0; 4])
            .unwrap();
        assert!(run.converged());
        run.x
    });
    for x in &runs {
        close("solution", x, &whole[0], 1e-12);
    }
}

#[test]
fn sample_weights_weigh_ranks() {
    let data = data(90, 4);
    let weights: Vec<f64> = (0..90).map(|i| f64::from(i % 7)).collect();
    let whole = model(&data).sample_weights(&weights);
    let expected = DampedNewton::new()
        .minimize(&whole, whole.origin())
        .unwrap();
    Threads::run(3, |rank| {
        let own = rows(90, rank.index(), 3);
        let mine: Vec<f64> = own.iter().map(|&i| weights[i]).collect();
        let part = model(&data.subset(&own).unwrap()).sample_weights(&mine);
        let problem = Distributed::weighted(Some(part), mine.iter().sum(), rank).unwrap();
        let run = DampedNewton::new()
            .minimize(&problem, vec![0.0; 5])
            .unwrap();
        same("weights", &run, &expected);
        let refused = FiniteSum::value(&problem, &run.x, Batch::Terms(&[0])).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("batches of ranks with weights"),
            "{refused}"
        );
    });
}

#[test]
fn separable_classes_are_found_across_ranks() {
    // Separable on all rows. On rank 1 no row moves along the step, so that its part alone would not object.
    let rows = [[1.0, 1.0], [2.0, 1.5], [-1.0, -1.0], [-1.5, -2.0]].map(|r| r.to_vec());
    let data = Dataset::from_rows(&rows, &[1.0, 1.0, -1.0, -1.0]).unwrap();
    let still = Dataset::from_rows(&[vec![0.0, 0.0]], &[1.0]).unwrap();
    let both = |rank: usize| if rank == 0 { &data } else { &still };
    let runs = Threads::run(2, |rank| {
        let part = LogisticRegression::with_classes(both(rank.index()), &CLASSES);
        let problem = Distributed::new(Some(part), rank).unwrap();
        DampedNewton::new()
            .max_iters(200)
            .minimize(&problem, vec![0.0; 2])
            .unwrap()
            .status
    });
    let mut all = rows.to_vec();
    all.push(vec![0.0, 0.0]);
    let joined = Dataset::from_rows(&all, &[1.0, 1.0, -1.0, -1.0, 1.0]).unwrap();
    let whole = LogisticRegression::new(&joined);
    let expected = DampedNewton::new()
        .max_iters(200)
        .minimize(&whole, vec![0.0; 2])
        .unwrap()
        .status;
    assert_eq!(runs, [expected; 2]);
    assert_eq!(
        expected,
        raphson::Status::Failed(raphson::Failed::Separable)
    );
}

#[test]
fn losses_of_ones_own() {
    // Any loss of a margin is a shard.
    let data = data(90, 4);
    let whole = LinearModel::with_loss(&data, Huber);
    let expected = DampedNewton::new()
        .minimize(&whole, whole.origin())
        .unwrap();
    Threads::run(3, |rank| {
        let own = rows(90, rank.index(), 3);
        let part = LinearModel::with_loss(&data.subset(&own).unwrap(), Huber);
        let problem = Distributed::new(Some(part), rank).unwrap();
        let run = DampedNewton::new()
            .minimize(&problem, vec![0.0; 4])
            .unwrap();
        same("Huber", &run, &expected);
    });
}

/// √(1 + r²) − 1.
#[derive(Debug, Clone)]
struct Huber;

impl raphson::models::Loss for Huber {
    fn value(&self, m: f64, y: f64, c: f64) -> f64 {
        c * ((m - y).hypot(1.0) - 1.0)
    }
    fn slope(&self, m: f64, y: f64, c: f64) -> f64 {
        c * (m - y) / (m - y).hypot(1.0)
    }
    fn curvature(&self, m: f64, y: f64, c: f64) -> f64 {
        c / (m - y).hypot(1.0).powi(3)
    }
}
