//! Models as finite sums: batches of every kind, and least squares and Poisson regression.

use argmin::core::{CostFunction, Gradient, Hessian};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::check::{self, Checker};
use raphson::models::{LeastSquares, LogisticRegression, PoissonRegression, Softmax};
use raphson::{
    Batch, DampedNewton, Dataset, Error, Failed, FiniteSum, GramSolve, HessianProduct, Run, Status,
    SymMat, edge::SymView,
};

/// Rows with a share `density` of entries and labels 0 to `labels` - 1.
fn generate(n: usize, d: usize, density: f64, labels: u32, seed: u64) -> Dataset {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut start, mut col, mut value, mut label) = (vec![0], vec![], vec![], vec![]);
    for _ in 0..n {
        for j in 0..d {
            if random.random_bool(density) {
                col.push(j as u32);
                value.push(random.random_range(-1.0..1.0));
            }
        }
        start.push(col.len());
        label.push(f64::from(random.random_range(0..labels)));
    }
    Dataset::from_csr(start, col, value, d, label).unwrap()
}

fn point(d: usize, scale: f64, seed: u64) -> Vec<f64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..d).map(|_| random.random_range(-scale..scale)).collect()
}

/// The Hessian as a whole matrix.
fn whole(hessian: &impl SymMat, d: usize) -> Vec<f64> {
    let mut out = vec![0.0; d * d];
    match hessian.sym() {
        SymView::Dense(m, _) => {
            for j in 0..d {
                for i in 0..d {
                    out[j * d + i] = m[(i.max(j), i.min(j))];
                }
            }
        }
        _ => panic!("not dense"),
    }
    out
}

/// The model of the tests' finite sums and how its Hessian is read.
trait Model:
    FiniteSum<Param = Vec<f64>, Gradient = Vec<f64>> + HessianProduct<Param = Vec<f64>>
{
    fn start(&self) -> Vec<f64>;
}
impl<L: raphson::models::Loss> Model for raphson::models::LinearModel<L> {
    fn start(&self) -> Vec<f64> {
        self.origin()
    }
}
impl Model for Softmax {
    fn start(&self) -> Vec<f64> {
        self.origin()
    }
}

/// The Hessian of a batch by products with unit vectors.
fn products(model: &impl Model, x: &Vec<f64>, batch: Batch<'_>) -> Vec<f64> {
    let d = x.len();
    let mut out = vec![0.0; d * d];
    for (j, column) in out.chunks_mut(d).enumerate() {
        let mut unit = vec![0.0; d];
        unit[j] = 1.0;
        FiniteSum::hessian_product(model, x, batch, &unit, column).unwrap();
    }
    out
}

fn near(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1.0_f64, |m, b| m.max(b.abs()));
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= tolerance * scale, "{a} {b}");
    }
}

fn batches(model: &impl Model) {
    let n = model.terms();
    let x = point(model.start().len(), 1.0, 7);
    let (f, g) = model.value_gradient(&x, Batch::All).unwrap();
    let h = products(model, &x, Batch::All);

    // Batches of unequal size, weighted by their size, make the whole; so do permuted rows.
    let order: Vec<usize> = (0..n).map(|i| (i * 7 + 3) % n).collect();
    let (mut f_sum, mut g_sum, mut h_sum) = (0.0, vec![0.0; g.len()], vec![0.0; h.len()]);
    let mut unweighted = 0.0;
    let parts: Vec<&[usize]> = order.chunks(n / 3).collect();
    for part in &parts {
        let share = part.len() as f64 / n as f64;
        let batch = Batch::Terms(part);
        let (value, gradient) = model.value_gradient(&x, batch).unwrap();
        assert_eq!(value, model.value(&x, batch).unwrap());
        f_sum += share * value;
        unweighted += value / parts.len() as f64;
        for (sum, g) in g_sum.iter_mut().zip(gradient) {
            *sum += share * g;
        }
        for (sum, h) in h_sum.iter_mut().zip(products(model, &x, batch)) {
            *sum += share * h;
        }
    }
    assert_eq!(parts.last().unwrap().len(), n % (n / 3));
    near(&[f_sum], &[f], 1e-14);
    near(&g_sum, &g, 1e-14);
    near(&h_sum, &h, 1e-14);
    assert!((unweighted - f).abs() > 1e-6);

    // All rows by name.
    let all = Batch::Terms(&order);
    let (value, gradient) = model.value_gradient(&x, all).unwrap();
    near(&[value], &[f], 1e-14);
    near(&gradient, &g, 1e-14);

    // Repeats count as often as they occur.
    let single = |i: usize| model.value_gradient(&x, Batch::Terms(&[i])).unwrap();
    let (a, b) = (single(3), single(5));
    let (value, gradient) = model.value_gradient(&x, Batch::Terms(&[3, 5, 3])).unwrap();
    near(&[value], &[(2.0 * a.0 + b.0) / 3.0], 1e-14);
    let mean: Vec<f64> =
        a.1.iter()
            .zip(&b.1)
            .map(|(a, b)| (2.0 * a + b) / 3.0)
            .collect();
    near(&gradient, &mean, 1e-14);

    // Derivatives of a batch are those of its value.
    let batch = Batch::Terms(&[3, 5, 3, 0]);
    let gradient = model.value_gradient(&x, batch).unwrap().1;
    let hessian = products(model, &x, batch);
    for j in 0..x.len() {
        let at = |t: f64| {
            let mut y = x.clone();
            y[j] += t;
            model.value_gradient(&y, batch).unwrap()
        };
        let (up, down) = (at(1e-5), at(-1e-5));
        assert!(((up.0 - down.0) / 2e-5 - gradient[j]).abs() < 1e-8);
        for (i, (u, l)) in up.1.iter().zip(&down.1).enumerate() {
            assert!(((u - l) / 2e-5 - hessian[j * x.len() + i]).abs() < 1e-8);
        }
    }

    // The whole is not disturbed by batches before it, nor a batch by others or other points.
    let first = model.value(&x, batch).unwrap();
    let y = point(x.len(), 1.0, 8);
    model.hessian(&x, batch).unwrap();
    model.hessian(&y, Batch::All).unwrap();
    model.value(&y, batch).unwrap();
    let between: Vec<f64> = x.iter().zip(&y).map(|(x, y)| 0.5 * (x + y)).collect();
    model.value(&between, batch).unwrap();
    model.value(&x, Batch::Terms(&[1, 2])).unwrap();
    assert_eq!(first.to_bits(), model.value(&x, batch).unwrap().to_bits());
    near(&[model.value(&x, Batch::All).unwrap()], &[f], 1e-15);

    // What is wrong is said.
    let text = |error: argmin::core::Error| {
        assert!(
            matches!(error.downcast_ref(), Some(Error::Data(_))),
            "{error}"
        );
        error.to_string()
    };
    assert!(text(model.value(&x, Batch::Terms(&[])).unwrap_err()).contains("empty batch"));
    let error = model.value_gradient(&x, Batch::Terms(&[0, n])).unwrap_err();
    assert!(text(error).contains(&format!("names row {n}, but there are only {n} rows")));
    assert!(model.hessian(&x, Batch::Terms(&[usize::MAX])).is_err());
    assert!(model.value(&vec![0.0], Batch::Terms(&[0])).is_err());
}

fn every_option(check: impl Fn(&Dataset, bool, Option<&[f64]>)) {
    for density in [0.25, 0.9] {
        let data = generate(31, 5, density, 2, 1);
        let weights: Vec<f64> = (0..31).map(|i| f64::from(i % 4)).collect();
        for intercept in [false, true] {
            check(&data, intercept, None);
            check(&data, intercept, Some(&weights));
        }
    }
}

macro_rules! model {
    ($name:ident, $data:expr, $intercept:expr, $weights:expr) => {{
        let model = $name::new($data).l2(0.1).intercept($intercept);
        match $weights {
            Some(weights) => model.sample_weights(weights),
            None => model,
        }
    }};
}

#[test]
fn batches_of_logistic_regression() {
    every_option(|data, free, weights| batches(&model!(LogisticRegression, data, free, weights)));
}

#[test]
fn batches_of_least_squares() {
    every_option(|data, free, weights| batches(&model!(LeastSquares, data, free, weights)));
}

#[test]
fn batches_of_poisson_regression() {
    every_option(|data, free, weights| batches(&model!(PoissonRegression, data, free, weights)));
}

#[test]
fn batches_of_softmax() {
    every_option(|data, free, weights| {
        let data = Dataset::from_csr(
            (0..=31)
                .scan(0, |end, i| {
                    let at = *end;
                    *end += if i < 31 { data.row(i).0.len() } else { 0 };
                    Some(at)
                })
                .collect(),
            (0..31).flat_map(|i| data.row(i).0.to_vec()).collect(),
            (0..31).flat_map(|i| data.row(i).1.to_vec()).collect(),
            5,
            (0..31).map(|i| f64::from(i % 3)).collect(),
        )
        .unwrap();
        let model = model!(Softmax, &data, free, weights);
        batches(&model);
        let x = point(model.dimension(), 1.0, 9);
        for batch in [Batch::All, Batch::Terms(&[4, 4, 9, 30])] {
            let h = FiniteSum::hessian(&model, &x, batch).unwrap();
            near(&whole(&h, x.len()), &products(&model, &x, batch), 1e-15);
            assert!(!h.may_object());
            assert_eq!(h.gradient_scale().is_some(), batch == Batch::All);
        }
    });
}

/// Newton on a batch alone ends where the batch's gradient vanishes, and Gram Hessians of few rows
/// are solved by the dual.
#[test]
fn a_batch_is_a_problem_by_itself() {
    struct Part<'a, M>(&'a M, &'a [usize]);
    impl<M: Model> CostFunction for Part<'_, M> {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, argmin::core::Error> {
            self.0.value(x, Batch::Terms(self.1))
        }
    }
    impl<M: Model> Gradient for Part<'_, M> {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
            Ok(self.0.value_gradient(x, Batch::Terms(self.1))?.1)
        }
    }
    impl<M: Model> Hessian for Part<'_, M> {
        type Param = Vec<f64>;
        type Hessian = M::Hessian;
        fn hessian(&self, x: &Vec<f64>) -> Result<M::Hessian, argmin::core::Error> {
            FiniteSum::hessian(self.0, x, Batch::Terms(self.1))
        }
    }
    for density in [0.2, 0.9] {
        let data = generate(60, 30, density, 2, 5);
        let rows: Vec<usize> = (0..12).map(|i| 5 * i).collect();
        let model = LogisticRegression::new(&data).l2(0.01).intercept(true);
        let part = Part(&model, &rows);
        let run = DampedNewton::new().gradient_tol(1e-10);
        let run = run.minimize(&part, model.origin()).unwrap();
        assert!(run.converged(), "{}", run.status);
        let alone = LogisticRegression::new(&data.subset(&rows).unwrap());
        let alone = alone.l2(0.01).intercept(true);
        let exact = DampedNewton::new().gradient_tol(1e-10);
        let exact = exact.minimize(&alone, alone.origin()).unwrap();
        near(&run.x, &exact.x, 1e-9);
        let h = FiniteSum::hessian(&model, &model.origin(), Batch::Terms(&rows)).unwrap();
        match h.sym() {
            SymView::Gram(gram) => assert_eq!(gram.way(), GramSolve::Dual),
            _ => panic!("not a Gram matrix"),
        }
    }
}

#[test]
fn nan_is_named_by_its_row() {
    let rows = vec![
        vec![1.0, 0.0],
        vec![0.0, 1.0],
        vec![1.0, 1.0],
        vec![-1.0, 0.5],
    ];
    let data = Dataset::from_rows(&rows, &[0.0, 1.0, 0.0, 1.0]).unwrap();
    let sparse = Dataset::from_csr(
        vec![0, 1, 2, 3, 4],
        vec![0, 1, 2, 0],
        vec![1.0, 1.0, 1.0, -1.0],
        5,
        vec![0.0, 1.0, 0.0, 1.0],
    )
    .unwrap();
    let named = |result: Result<f64, argmin::core::Error>, row: usize| {
        let text = result.unwrap_err().to_string();
        assert_eq!(text, format!("row {row}: NaN at these coefficients"));
    };
    // Sparse rows that do not have the NaN are not touched by it.
    let x = vec![0.0, 0.0, f64::NAN, 0.0, 0.0];
    let model = LogisticRegression::new(&sparse);
    named(model.value(&x, Batch::All), 2);
    named(model.value(&x, Batch::Terms(&[1, 3, 2])), 2);
    assert!(model.value(&x, Batch::Terms(&[1, 3])).is_ok());
    assert!(model.value_gradient(&x, Batch::Terms(&[2])).is_err());
    assert!(FiniteSum::hessian(&model, &x, Batch::Terms(&[0, 2])).is_err());
    let model = Softmax::new(&sparse);
    let mut x = model.origin();
    x[2] = f64::NAN;
    named(model.value(&x, Batch::All), 2);
    named(model.value(&x, Batch::Terms(&[1, 3, 2])), 2);
    named(
        FiniteSum::hessian(&model, &x, Batch::Terms(&[2])).map(|_| 0.0),
        2,
    );
    assert!(model.value(&x, Batch::Terms(&[1, 3])).is_ok());
    // Opposite infinities in dense data; infinity alone is a value.
    let model = PoissonRegression::new(&data);
    let x = vec![f64::MAX, f64::MAX];
    assert_eq!(model.value(&x, Batch::Terms(&[2])).unwrap(), f64::INFINITY);
    named(
        LeastSquares::new(&data).value(&vec![f64::NAN, 0.0], Batch::Terms(&[3])),
        3,
    );
}

#[test]
fn derivatives_agree_with_differences() {
    for (seed, density) in [(1, 0.2), (2, 0.9)] {
        let data = generate(50, 6, density, 5, seed);
        let weights: Vec<f64> = (0..50).map(|i| f64::from(i % 4)).collect();
        for free in [false, true] {
            for weights in [None, Some(&weights)] {
                let squares = model!(LeastSquares, &data, free, weights);
                let poisson = model!(PoissonRegression, &data, free, weights);
                for scale in [1.0, 3.0] {
                    let x = point(squares.dimension(), scale, seed);
                    for report in [
                        check::derivatives(&squares, &x).unwrap(),
                        check::derivatives(&poisson, &x).unwrap(),
                    ] {
                        assert!(report.is_ok(), "{report}");
                    }
                    for report in [
                        Checker::new().hessian_product(&squares, &x).unwrap(),
                        Checker::new().hessian_product(&poisson, &x).unwrap(),
                    ] {
                        assert!(report.is_ok(), "{report}");
                    }
                }
            }
        }
    }
    // Margins of ±1e3.
    let rows = vec![vec![1.0], vec![-1.0]];
    let data = Dataset::from_rows(&rows, &[3.0, 2.0]).unwrap();
    let model = PoissonRegression::new(&data);
    assert_eq!(model.cost(&vec![1e3]).unwrap(), f64::INFINITY);
    let squares = LeastSquares::new(&data);
    assert_eq!(
        squares.cost(&vec![1e3]).unwrap(),
        0.25 * (997.0f64.powi(2) + 1002.0f64.powi(2))
    );
    let report = check::derivatives(&squares, &vec![1e3]).unwrap();
    assert!(report.is_ok(), "{report}");
}

fn solved(run: Result<Run<Vec<f64>>, Error>) -> Run<Vec<f64>> {
    let run = run.unwrap();
    assert!(run.converged(), "{}", run.status);
    run
}

#[test]
fn least_squares_needs_one_step_in_every_way() {
    // y = 3 + 2 a with residuals orthogonal to both columns.
    let rows: Vec<Vec<f64>> = (0..4).map(|i| vec![f64::from(i)]).collect();
    let data = Dataset::from_rows(&rows, &[4.0, 4.0, 6.0, 10.0]).unwrap();
    let model = LeastSquares::new(&data).intercept(true);
    let run = solved(DampedNewton::new().minimize(&model, model.origin()));
    near(&run.x, &[2.0, 3.0], 1e-13);
    assert!((run.f - 0.5).abs() < 1e-14); // residuals 1, -1, -1, 1
    assert_eq!(run.report.iterations, 1);
    let wide = generate(20, 60, 0.9, 100, 3);
    let mut ends = Vec::new();
    for way in [GramSolve::Primal, GramSolve::Dual, GramSolve::Cg] {
        let model = LeastSquares::new(&wide).l2(0.1).solve_by(way);
        let run = DampedNewton::new().gradient_tol(1e-10);
        ends.push(solved(run.minimize(&model, model.origin())).x);
    }
    near(&ends[1], &ends[0], 1e-8);
    near(&ends[2], &ends[0], 1e-8);
}

#[test]
fn poisson_regression_finds_known_means_and_tells_recession() {
    let rows = [[0.0], [0.0], [1.0], [1.0]].map(|r| r.to_vec());
    let data = Dataset::from_rows(&rows, &[1.0, 2.0, 7.0, 12.0]).unwrap();
    let model = PoissonRegression::new(&data).intercept(true);
    let solver = || DampedNewton::new().gradient_tol(1e-12);
    let run = solved(solver().minimize(&model, model.origin()));
    near(&run.x, &[(9.5f64 / 1.5).ln(), 1.5f64.ln()], 1e-9);
    // From far away too.
    let run = solved(solver().max_iters(500).minimize(&model, vec![-20.0, 20.0]));
    near(&run.x, &[(9.5f64 / 1.5).ln(), 1.5f64.ln()], 1e-9);
    // The second group has no counts: its coefficient runs to -infinity.
    let data = Dataset::from_rows(&rows, &[1.0, 2.0, 0.0, 0.0]).unwrap();
    let model = PoissonRegression::new(&data).intercept(true);
    let run = DampedNewton::new()
        .minimize(&model, model.origin())
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::Separable));
    let model = PoissonRegression::new(&data).intercept(true).l2(0.1);
    solved(DampedNewton::new().minimize(&model, model.origin()));
    // What cannot be fitted is refused.
    let data = Dataset::from_rows(&rows, &[1.0, 2.0, -3.0, 0.0]).unwrap();
    let text = PoissonRegression::new(&data)
        .check()
        .unwrap_err()
        .to_string();
    assert!(text.contains("row 2: the label is -3"), "{text}");
    let data = Dataset::from_rows(&rows, &[0.0; 4]).unwrap();
    assert!(PoissonRegression::new(&data).check().is_err());
    assert!(PoissonRegression::new(&data).l2(1.0).check().is_ok());
}

#[test]
#[cfg(feature = "rayon")]
fn results_do_not_depend_on_the_number_of_threads() {
    for density in [0.05, 0.9] {
        let data = generate(6000, 40, density, 3, 11);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let terms: Vec<usize> = (0..5000).map(|i| (i * 31) % 6000).collect();
                let mut out = Vec::new();
                macro_rules! all {
                    ($model:expr) => {{
                        let model = $model.l2(1e-3).intercept(true);
                        let x = point(model.dimension(), 0.3, 12);
                        let run = DampedNewton::new()
                            .minimize(&model, model.origin())
                            .unwrap();
                        out.push(run.x);
                        for batch in [Batch::All, Batch::Terms(&terms)] {
                            let (f, g) = model.value_gradient(&x, batch).unwrap();
                            out.push(vec![f]);
                            out.push(g);
                            let mut product = model.origin();
                            FiniteSum::hessian_product(&model, &x, batch, &x, &mut product)
                                .unwrap();
                            out.push(product);
                        }
                    }};
                }
                all!(LeastSquares::new(&data));
                all!(PoissonRegression::new(&data));
                all!(Softmax::new(&data));
                out.concat().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(8));
    }
}
