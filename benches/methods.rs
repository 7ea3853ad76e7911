//! Logistic regression: seconds of raphson's solvers beside those of argmin and basin.
//!
//! All sides evaluate the same model, whose construction counts, and start at zero. A run counts
//! if the gradient norm at its point, evaluated once more, is at most 10⁻⁸. The sides take turns;
//! the table gives the median CPU seconds of the turns, and the median over the turns of their
//! ratio to `fit`. Runs on one thread unless `RAYON_NUM_THREADS` says otherwise; then the seconds
//! are those of the wall.
//!
//! `cargo bench --bench methods -- [SET...]`: sets of the folder `libsvm` of `RAPHSON_DATA`, or
//! `dense` and `sparse`, which are generated.

use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, IterState, Solver};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::newton::Newton;
use argmin::solver::quasinewton::LBFGS;
use argmin::solver::trustregion::{Steihaug, TrustRegion};
use argmin_math::{ArgminDot, ArgminInv};
use cpu::cpu_seconds;
use faer::linalg::solvers::DenseSolveCore;
use faer::{Col, Mat, Side};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::edge::{SymMat, SymView};
use raphson::models::LogisticRegression;
use raphson::{DampedNewton, Dataset, LazyCubicNewton, libsvm};
use std::cell::RefCell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

#[path = "../examples/common/cpu.rs"]
mod cpu;

const TOL: f64 = 1e-8;
const TURNS: usize = 7;
/// Order of the largest Hessian that a peer is asked to form.
const FORMED: usize = 2000;

/// The model for a peer, which is stopped, by an error, at the first point that meets the
/// tolerance.
#[derive(Clone)]
struct Peer {
    model: Rc<LogisticRegression>,
    best: Rc<RefCell<Vec<f64>>>,
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

impl CostFunction for Peer {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        self.model.cost(x)
    }
}

impl Gradient for Peer {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let g = self.model.gradient(x)?;
        if norm(&g) <= TOL {
            self.best.borrow_mut().clone_from(x);
            return Err(Error::msg("solved"));
        }
        Ok(g)
    }
}

/// A Hessian for argmin's solvers.
#[derive(Clone)]
struct Matrix(Mat<f64>);

impl Peer {
    fn form(&self, x: &Vec<f64>) -> Result<Mat<f64>, Error> {
        let hessian = Hessian::hessian(&*self.model, x)?;
        let SymView::Gram(view) = hessian.sym() else {
            return Err(Error::msg("not a Gram matrix"));
        };
        Ok(view.to_dense())
    }
}

impl Hessian for Peer {
    type Param = Vec<f64>;
    type Hessian = Matrix;
    fn hessian(&self, x: &Vec<f64>) -> Result<Matrix, Error> {
        self.form(x).map(Matrix)
    }
}

impl ArgminDot<Vec<f64>, Vec<f64>> for Matrix {
    fn dot(&self, v: &Vec<f64>) -> Vec<f64> {
        let v = Col::from_fn(v.len(), |i| v[i]);
        (&self.0 * v).iter().copied().collect()
    }
}

impl ArgminInv<Matrix> for Matrix {
    fn inv(&self) -> Result<Matrix, Error> {
        let factor = self
            .0
            .llt(Side::Lower)
            .map_err(|_| Error::msg("not positive definite"))?;
        Ok(Matrix(factor.inverse()))
    }
}

impl basin::Constraints for Peer {
    type Set = basin::NoConstraints;
    fn constraints(&self) -> <Self::Set as basin::ConstraintDescription>::Borrowed<'_> {
        basin::ConstraintSet::new()
    }
}

impl basin::CostFunction for Peer {
    type Param = Col<f64>;
    type Output = f64;
    type Error = Infallible;
    fn cost(&self, x: &Col<f64>) -> Result<f64, Infallible> {
        let x = x.iter().copied().collect();
        Ok(CostFunction::cost(&*self.model, &x).unwrap_or(f64::NAN))
    }
}

impl basin::Gradient for Peer {
    type Gradient = Col<f64>;
    fn gradient(&self, x: &Col<f64>) -> Result<Col<f64>, Infallible> {
        let x: Vec<f64> = x.iter().copied().collect();
        let g = Gradient::gradient(&*self.model, &x).unwrap();
        if norm(&g) <= TOL {
            *self.best.borrow_mut() = x;
        }
        Ok(Col::from_fn(g.len(), |i| g[i]))
    }
}

impl basin::Hessian for Peer {
    type Hessian = Mat<f64>;
    fn hessian(&self, x: &Col<f64>) -> Result<Mat<f64>, Infallible> {
        let x = x.iter().copied().collect();
        Ok(self.form(&x).unwrap())
    }
}

fn argmin<S>(peer: &Peer, solver: S)
where
    S: Solver<Peer, IterState<Vec<f64>, Vec<f64>, (), Matrix, (), f64>>,
{
    let run = Executor::new(peer.clone(), solver)
        .configure(|state| state.param(peer.model.origin()).max_iters(2000))
        .ctrlc(false);
    // It ends by the error "solved", or does not count.
    let _ = run.run();
}

fn quasi_newton(peer: &Peer) {
    let solver: LBFGS<_, Vec<f64>, Vec<f64>, f64> = LBFGS::new(MoreThuenteLineSearch::new(), 10);
    let run = Executor::new(peer.clone(), solver)
        .configure(|state| state.param(peer.model.origin()).max_iters(5000))
        .ctrlc(false);
    let _ = run.run();
}

fn basin<S>(peer: &Peer, solver: S)
where
    S: basin::Solver<Peer, basin::FirstOrderState<Col<f64>, f64>, Error = Infallible>,
{
    let start = basin::FirstOrderState::new(Col::zeros(peer.model.dimension()));
    let _ = basin::Executor::new(peer.clone(), solver, start)
        .max_iter(5000)
        .run();
}

type Contestant = (&'static str, fn(Rc<LogisticRegression>) -> Vec<f64>);

fn peer(model: Rc<LogisticRegression>, run: impl FnOnce(&Peer)) -> Vec<f64> {
    let best = Rc::default();
    let peer = Peer { model, best };
    let _ = catch_unwind(AssertUnwindSafe(|| run(&peer)));
    peer.best.take()
}

/// Those that need no matrix come last.
const SIDES: [Contestant; 8] = [
    ("argmin Newton", |m| peer(m, |p| argmin(p, Newton::new()))),
    ("argmin Steihaug", |m| {
        peer(m, |p| argmin(p, TrustRegion::new(Steihaug::new())))
    }),
    ("basin Steihaug", |m| {
        peer(m, |p| {
            let solver = basin::TrustRegion::with_subproblem(basin::Steihaug::new());
            basin(p, solver.with_absolute_gradient_tolerance(TOL));
        })
    }),
    ("basin Moré", |m| {
        peer(m, |p| {
            let solver = basin::TrustRegion::with_subproblem(basin::MoreSorensen::new());
            basin(p, solver.with_absolute_gradient_tolerance(TOL));
        })
    }),
    ("argmin L-BFGS", |m| peer(m, quasi_newton)),
    ("DampedNewton", |m| {
        let solver = DampedNewton::new().gradient_tol(0.0).gradient_tol_abs(TOL);
        solver.minimize(&*m, m.origin()).unwrap().x
    }),
    ("LazyCubicNewton", |m| {
        let solver = LazyCubicNewton::new()
            .gradient_tol(0.0)
            .gradient_tol_abs(TOL);
        solver.minimize(&*m, m.origin()).unwrap().x
    }),
    ("fit", |m| m.fit_to(0.0, TOL).unwrap().x),
];

fn generated(rows: usize, features: usize, density: f64) -> Dataset {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let w: Vec<f64> = (0..features).map(|_| rng.random::<f64>() - 0.5).collect();
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let row: Vec<f64> = (0..features)
            .map(|_| match rng.random::<f64>() < density {
                true => 2.0 * rng.random::<f64>() - 1.0,
                false => 0.0,
            })
            .collect();
        let margin: f64 = row.iter().zip(&w).map(|(a, b)| a * b).sum();
        y.push(f64::from(
            rng.random::<f64>() < 1.0 / (1.0 + (-margin).exp()),
        ));
        x.push(row);
    }
    Dataset::from_rows(&x, &y).unwrap()
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

fn compare(set: &str, data: &Dataset, threads: usize) {
    let mu = 1.0 / data.n_rows() as f64;
    let make = || Rc::new(LogisticRegression::new(data).l2(mu));
    let judge = make();
    let formed = judge.dimension() <= FORMED;
    let sides: Vec<Contestant> = SIDES.into_iter().skip(if formed { 0 } else { 4 }).collect();
    let mut seconds = vec![Vec::new(); sides.len()];
    for _ in 0..TURNS {
        for ((_, run), seconds) in sides.iter().zip(&mut seconds) {
            let (cpu, wall) = (cpu_seconds(), Instant::now());
            let x = run(make());
            let elapsed = match threads {
                1 => cpu_seconds() - cpu,
                _ => wall.elapsed().as_secs_f64(),
            };
            let solved = x.len() == judge.dimension()
                && norm(&judge.gradient(&x).unwrap()) <= TOL * (1.0 + 1e-6);
            seconds.push(if solved { elapsed } else { f64::NAN });
        }
    }
    let ours = seconds[sides.len() - 1].clone();
    println!("\n| {set} | seconds | ratio to fit |\n|---|---|---|");
    for ((name, _), seconds) in sides.iter().zip(seconds) {
        if seconds.iter().any(|s| s.is_nan()) {
            println!("| {name} | - | not solved |");
            continue;
        }
        let ratios = seconds.iter().zip(&ours).map(|(a, b)| a / b).collect();
        println!(
            "| {name} | {:.5} | {:.2} |",
            median(seconds),
            median(ratios)
        );
    }
}

fn main() {
    let threads = std::env::var("RAYON_NUM_THREADS").map_or(1, |n| n.parse().unwrap_or(1));
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    let folder = std::env::var("RAPHSON_DATA").ok();
    let mut sets: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    if sets.is_empty() {
        sets = vec!["dense".into(), "sparse".into()];
        if folder.is_some() {
            let real = [
                "a9a",
                "w8a",
                "mushrooms",
                "ijcnn1",
                "phishing",
                "reuters",
                "news20.split10",
            ];
            sets.extend(real.map(String::from));
        }
    }
    for set in sets {
        let data = match (set.as_str(), &folder) {
            ("dense", _) => generated(20_000, 500, 1.0),
            ("sparse", _) => generated(20_000, 200, 0.05),
            (set, Some(folder)) => libsvm::read(format!("{folder}/libsvm/{set}.gz")).unwrap(),
            _ => panic!("{set}: RAPHSON_DATA is not set"),
        };
        compare(&set, &data, threads);
    }
}
