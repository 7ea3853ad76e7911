//! Peers on the problems of Moré, Garbow and Hillstrom, with evaluations counted alike.
#![cfg(feature = "problems")]

use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, IterState, Solver};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::newton::NewtonCG;
use argmin::solver::trustregion::{CauchyPoint, Dogleg, Steihaug, TrustRegion};
use argmin_math::{ArgminDot, ArgminInv};
use faer::linalg::solvers::DenseSolveCore;
use faer::{Col, Mat, Side};
use raphson::edge::{SymMat, SymView};
use raphson::problems::{Mgh, MghProblem};
use raphson::{Status, TrustRegionNewton};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// ‖g‖ of a solved problem.
const TOL: f64 = 1e-8;
/// Most iterations of a run.
const ITERATIONS: u64 = 2000;
/// Most evaluations of one kind, and products with one Hessian, of a peer's run.
const LIMIT: u64 = 50_000;

/// Evaluations of the Hessian, the gradient and f.
type Counts = [u64; 3];

/// Counts the calls, and keeps the first point whose gradient meets the tolerance.
#[derive(Default)]
struct Tally {
    counts: Cell<Counts>,
    solved: RefCell<Option<(Vec<f64>, Counts)>>,
    /// ‖g‖ of the last gradient, and where.
    slope: Cell<f64>,
    point: RefCell<Vec<f64>>,
}

/// A problem that counts.
#[derive(Clone)]
struct Counted {
    problem: Mgh,
    tally: Rc<Tally>,
    /// A peer is stopped, by an error, at the first point that meets the tolerance.
    stops: bool,
}

impl Counted {
    fn new(problem: Mgh, stops: bool) -> Self {
        let tally = Rc::default();
        Counted {
            problem,
            tally,
            stops,
        }
    }

    fn count(&self, kind: usize) -> Result<(), Error> {
        let mut counts = self.tally.counts.get();
        counts[kind] += 1;
        self.tally.counts.set(counts);
        if self.stops && counts[kind] > LIMIT {
            return Err(Error::msg("too many evaluations"));
        }
        Ok(())
    }
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

impl CostFunction for Counted {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        self.count(2)?;
        self.problem.cost(x)
    }
}

impl Gradient for Counted {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.count(1)?;
        let g = self.problem.gradient(x)?;
        self.tally.slope.set(norm(&g));
        self.tally.point.borrow_mut().clone_from(x);
        let mut solved = self.tally.solved.borrow_mut();
        if norm(&g) <= TOL && solved.is_none() {
            *solved = Some((x.clone(), self.tally.counts.get()));
            if self.stops {
                return Err(Error::msg("solved"));
            }
        }
        Ok(g)
    }
}

impl Hessian for Counted {
    type Param = Vec<f64>;
    type Hessian = Matrix;
    fn hessian(&self, x: &Vec<f64>) -> Result<Matrix, Error> {
        self.count(0)?;
        Ok(Matrix::new(self.problem.hessian(x)?))
    }
}

/// A Hessian for argmin's solvers and for ours.
#[derive(Clone)]
struct Matrix {
    entries: Mat<f64>,
    products: Rc<Cell<u64>>,
}

impl Matrix {
    fn new(entries: Mat<f64>) -> Self {
        let products = Rc::default();
        Matrix { entries, products }
    }
}

impl SymMat for Matrix {
    fn sym(&self) -> SymView<'_> {
        self.entries.sym()
    }
}

impl ArgminDot<Vec<f64>, Vec<f64>> for Matrix {
    /// Panics in a loop of conjugate gradients that does not end.
    fn dot(&self, v: &Vec<f64>) -> Vec<f64> {
        self.products.set(self.products.get() + 1);
        assert!(self.products.get() <= LIMIT, "too many products");
        let n = v.len();
        let row = |i| (0..n).map(|j| self.entries[(i, j)] * v[j]).sum();
        (0..n).map(row).collect()
    }
}

impl ArgminInv<Matrix> for Matrix {
    fn inv(&self) -> Result<Matrix, Error> {
        let inverse = self.entries.partial_piv_lu().inverse();
        if !inverse.norm_l2().is_finite() {
            return Err(Error::msg("the matrix has no inverse"));
        }
        Ok(Matrix::new(inverse))
    }
}

// The same problem for basin's solvers.
impl basin::Constraints for Counted {
    type Set = basin::NoConstraints;
    fn constraints(&self) -> <Self::Set as basin::ConstraintDescription>::Borrowed<'_> {
        basin::ConstraintSet::new()
    }
}

impl basin::CostFunction for Counted {
    type Param = Col<f64>;
    type Output = f64;
    type Error = Infallible;
    fn cost(&self, x: &Col<f64>) -> Result<f64, Infallible> {
        Ok(CostFunction::cost(self, &entries(x)).unwrap_or(f64::NAN))
    }
}

impl basin::Gradient for Counted {
    type Gradient = Col<f64>;
    fn gradient(&self, x: &Col<f64>) -> Result<Col<f64>, Infallible> {
        let g = Gradient::gradient(self, &entries(x)).unwrap();
        Ok(Col::from_fn(g.len(), |i| g[i]))
    }
}

impl basin::Hessian for Counted {
    type Hessian = Mat<f64>;
    fn hessian(&self, x: &Col<f64>) -> Result<Mat<f64>, Infallible> {
        Ok(Hessian::hessian(self, &entries(x)).unwrap().entries)
    }
}

fn entries(x: &Col<f64>) -> Vec<f64> {
    x.iter().copied().collect()
}

/// The counts up to the first point that meets the tolerance at a listed optimum, or how else
/// the run ended.
type End = Result<Counts, String>;

fn end(counted: &Counted, why: &str) -> End {
    let tally = &counted.tally;
    let solved = tally.solved.borrow();
    let problem = &counted.problem;
    let (x, counts) = match &*solved {
        Some((x, counts)) => (x.clone(), Some(*counts)),
        None => (tally.point.borrow().clone(), None),
    };
    // As computed here.
    let f = problem.cost(&x).unwrap();
    let slope = norm(&problem.gradient(&x).unwrap());
    let allowed = |value: f64| if value == 0.0 { 1e-9 } else { 1e-6 * value };
    let known = problem.optima();
    let is_optimal = known
        .iter()
        .any(|o| (f - o.value).abs() <= allowed(o.value));
    match counts {
        Some(counts) if slope <= TOL && is_optimal => Ok(counts),
        Some(_) => Err(format!("other point: f {f:.3e}, g {slope:.1e}")),
        None => Err(format!("{why}: f {f:.3e}, g {slope:.1e}")),
    }
}

/// The run of one of argmin's solvers.
fn argmin<S>(problem: Mgh, x0: &[f64], solver: S) -> End
where
    S: Solver<Counted, IterState<Vec<f64>, Vec<f64>, (), Matrix, (), f64>>,
{
    let counted = Counted::new(problem, true);
    let run = AssertUnwindSafe(|| {
        let result = Executor::new(counted.clone(), solver)
            .configure(|state| state.param(x0.to_vec()).max_iters(ITERATIONS))
            .ctrlc(false)
            .run();
        match result {
            Ok(result) => result.state.termination_status.to_string(),
            Err(error) => error.to_string(),
        }
    });
    let why = catch_unwind(run).unwrap_or_else(|_| "panic".into());
    end(&counted, &why)
}

const ARGMIN_NAMES: [&str; 4] = [
    "argmin NewtonCG",
    "argmin Steihaug",
    "argmin Dogleg",
    "argmin Cauchy",
];

fn argmins(problem: Mgh, x0: &[f64]) -> [End; 4] {
    // As long as f falls: the default is to stop at a change of 10⁻¹⁶.
    let newton = NewtonCG::new(MoreThuenteLineSearch::new())
        .with_tolerance(f64::MIN_POSITIVE)
        .unwrap();
    [
        argmin(problem, x0, newton),
        argmin(problem, x0, TrustRegion::new(Steihaug::new())),
        argmin(problem, x0, TrustRegion::new(Dogleg::new())),
        argmin(problem, x0, TrustRegion::new(CauchyPoint::new())),
    ]
}

/// The run of one of basin's trust regions.
fn basin<P>(problem: Mgh, x0: &[f64], subproblem: P) -> End
where
    basin::TrustRegion<P>:
        basin::Solver<Counted, basin::FirstOrderState<Col<f64>, f64>, Error = Infallible>,
{
    let counted = Counted::new(problem, false);
    let start = basin::FirstOrderState::new(Col::from_fn(x0.len(), |i| x0[i]));
    let solver =
        basin::TrustRegion::with_subproblem(subproblem).with_absolute_gradient_tolerance(TOL);
    let run = AssertUnwindSafe(|| {
        let executor = basin::Executor::new(counted.clone(), solver, start);
        executor.max_iter(ITERATIONS).run().map(|_| ()).is_ok()
    });
    let why = match catch_unwind(run) {
        Ok(true) => "ended",
        Ok(false) => "error",
        Err(_) => "panic",
    };
    end(&counted, why)
}

const BASIN_NAMES: [&str; 3] = ["basin Steihaug", "basin Dogleg", "basin Moré"];

fn basins(problem: Mgh, x0: &[f64]) -> [End; 3] {
    [
        basin(problem, x0, basin::Steihaug::new()),
        basin(problem, x0, basin::Dogleg),
        basin(problem, x0, basin::MoreSorensen::new()),
    ]
}

/// Our run: counts, trials and status.
fn ours(problem: Mgh, x0: &[f64]) -> (End, u64, Status) {
    let counted = Counted::new(problem, false);
    let run = TrustRegionNewton::new()
        .gradient_tol(0.0)
        .gradient_tol_abs(TOL)
        .max_iters(ITERATIONS)
        .minimize(&counted, x0.to_vec())
        .unwrap();
    // All that the run cost, not only up to the first such point.
    let end = end(&counted, run.status.name()).map(|_| counted.tally.counts.get());
    (end, run.report.trials, run.status)
}

fn show(end: &End) -> String {
    match end {
        Ok([h, g, f]) => format!("{h}/{g}/{f}"),
        Err(why) => why.clone(),
    }
}

/// Of the problems that someone solves, ours needs no more Hessians than the best of the peers.
#[test]
fn hessians_of_ours_and_of_the_best_peer() {
    let mut won = 0;
    let mut lost = Vec::new();
    println!("evaluations of H/g/f up to |g| <= {TOL:e} at a listed optimum, from x0");
    for problem in Mgh::all() {
        let x0 = problem.start();
        let (own, ..) = ours(problem, &x0);
        println!(
            "{:2} {:32} {}",
            problem.number(),
            problem.name(),
            show(&own)
        );
        let argmins = argmins(problem, &x0);
        for (name, end) in ARGMIN_NAMES.iter().zip(&argmins) {
            println!("      {name:18} {}", show(end));
        }
        let basins = basins(problem, &x0);
        for (name, end) in BASIN_NAMES.iter().zip(&basins) {
            println!("      {name:18} {}", show(end));
        }
        let peers = argmins.into_iter().chain(basins);
        let best = peers.filter_map(Result::ok).min();
        let hessians = own.as_ref().map_or(u64::MAX, |counts| counts[0]);
        match best {
            None if own.is_err() => {}
            Some(best) if hessians > best[0] => {
                lost.push(format!("{} ({hessians} to {})", problem.name(), best[0]));
            }
            _ => won += 1,
        }
    }
    println!("won {won}, lost {}: {}", lost.len(), lost.join(", "));
    assert!(won + lost.len() >= 34);
    assert!(10 * won >= 7 * (won + lost.len()), "lost: {lost:?}");
}

/// Where rounding hides the decrease of f, a ratio of decreases rejects every step.
#[test]
fn ends_where_the_ratio_of_decreases_is_lost_in_rounding() {
    let problem = Mgh::new(MghProblem::JennrichSampson);
    let (own, trials, status) = ours(problem, &problem.start());
    println!("ours {} in {trials} trials", show(&own));
    for (name, end) in ARGMIN_NAMES.iter().zip(argmins(problem, &problem.start())) {
        println!("{name} {}", show(&end));
    }
    assert!(status.is_converged(), "{status}");
    assert!(own.is_ok() && trials <= 30, "{own:?} {trials}");
}

/// A Newton step that ascends is no step of a dogleg.
#[test]
fn moves_from_an_indefinite_hessian() {
    for problem in [
        MghProblem::Beale,
        MghProblem::BoxThreeDimensional,
        MghProblem::Trigonometric,
    ] {
        let problem = Mgh::new(problem);
        let x0 = problem.start();
        let h = problem.hessian(&x0).unwrap();
        let values = h.self_adjoint_eigenvalues(Side::Lower).unwrap();
        let (own, trials, status) = ours(problem, &x0);
        println!("{}: eigenvalues at x0 {values:?}", problem.name());
        println!("ours {} in {trials} trials", show(&own));
        println!("f(x0) {:e}", problem.cost(&x0).unwrap());
        for (name, end) in ARGMIN_NAMES.iter().zip(argmins(problem, &x0)) {
            println!("{name} {}", show(&end));
        }
        assert!(values[0] < 0.0);
        assert!(status.is_converged() && own.is_ok(), "{own:?} {status}");
    }
}
