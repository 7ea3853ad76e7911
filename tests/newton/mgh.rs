//! Every solver on the problems of Moré, Garbow and Hillstrom.
#![cfg(feature = "problems")]

use argmin::core::{CostFunction, Gradient, Hessian};
use faer::Side;
use raphson::problems::{Mgh, MghProblem, MghProblem::*};
use raphson::{
    AcceleratedCubicNewton, Converged, CubicNewton, DampedNewton, GradientNormalizedNewton,
    GradientRegularizedNewton, LazyCubicNewton, LazyRegularizedNewton, Run, Status, Stopped,
    TrustRegionNewton,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Solver {
    TrustRegion,
    Cubic,
    LazyCubic,
    GradientNormalized,
    Damped,
    CubicProducts,
    TrustRegionProducts,
    LazyRegularized,
    GradientRegularized,
    Accelerated,
}
use Solver::*;

/// Those for any f.
const GENERAL: [Solver; 7] = [
    TrustRegion,
    Cubic,
    LazyCubic,
    GradientNormalized,
    Damped,
    CubicProducts,
    TrustRegionProducts,
];
/// Those for convex f.
const FOR_CONVEX: [Solver; 3] = [LazyRegularized, GradientRegularized, Accelerated];

fn solve(solver: Solver, problem: &Mgh, x0: Vec<f64>, tol: f64) -> Run<Vec<f64>> {
    macro_rules! run {
        ($solver:expr) => {
            $solver
                .gradient_tol(0.0)
                .gradient_tol_abs(tol)
                .max_iters(2000)
                .minimize(problem, x0)
                .unwrap()
                .with_source()
        };
    }
    match solver {
        TrustRegion => run!(TrustRegionNewton::new()),
        Cubic => run!(CubicNewton::new()),
        LazyCubic => run!(LazyCubicNewton::new()),
        GradientNormalized => run!(GradientNormalizedNewton::new()),
        Damped => run!(DampedNewton::new()),
        CubicProducts => run!(CubicNewton::matrix_free()),
        TrustRegionProducts => run!(TrustRegionNewton::matrix_free()),
        LazyRegularized => run!(LazyRegularizedNewton::new()),
        GradientRegularized => run!(GradientRegularizedNewton::new()),
        Accelerated => run!(AcceleratedCubicNewton::new()),
    }
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Whether f is a listed optimum: to 10⁻⁶ of it, or to 10⁻⁹ where it is zero.
fn is_optimal(problem: &Mgh, f: f64) -> bool {
    let allowed = |value: f64| if value == 0.0 { 1e-9 } else { 1e-6 * value };
    let known = problem.optima();
    known
        .iter()
        .any(|o| (f - o.value).abs() <= allowed(o.value))
}

/// What the Hessian at a point says.
struct Local {
    slope: f64,
    /// The least eigenvalue of the Hessian over the largest in absolute value.
    least: f64,
    /// ½gᵀ|H|⁻¹g, eigenvalues lost in rounding raised to it.
    decrease: f64,
    /// −|H|⁻¹g.
    step: Vec<f64>,
}

fn local(problem: &Mgh, x: &Vec<f64>) -> Local {
    let g = problem.gradient(x).unwrap();
    let eigen = problem
        .hessian(x)
        .unwrap()
        .self_adjoint_eigen(Side::Lower)
        .unwrap();
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    let n = g.len();
    let size = (0..n).map(|k| values[k].abs()).fold(0.0, f64::max);
    let floor = n as f64 * f64::EPSILON * size;
    let mut step = vec![0.0; n];
    let mut decrease = 0.0;
    for k in 0..n {
        let along: f64 = (0..n).map(|i| vectors[(i, k)] * g[i]).sum();
        let curvature = values[k].abs().max(floor);
        if along == 0.0 {
            continue;
        }
        decrease += 0.5 * along * along / curvature;
        for i in 0..n {
            step[i] -= along / curvature * vectors[(i, k)];
        }
    }
    Local {
        slope: norm(&g),
        least: (0..n).map(|k| values[k]).fold(f64::INFINITY, f64::min) / size,
        decrease,
        step,
    }
}

/// Why a claim of convergence is false, if it is.
fn refuted(solver: Solver, problem: &Mgh, run: &Run<Vec<f64>>, tol: f64) -> Option<String> {
    let Status::Converged(test) = run.status else {
        return None;
    };
    let f = problem.cost(&run.x).unwrap();
    let at = local(problem, &run.x);
    if f != run.f || (at.slope - run.gradient_norm).abs() > 1e-12 * at.slope {
        return Some(format!("f {f}, |g| {} are not those of the run", at.slope));
    }
    match test {
        Converged::GradientTolerance if at.slope <= tol => None,
        Converged::PrecisionFloor => {
            let noise = 1e3 * 16.0 * f64::EPSILON * f.abs();
            if at.decrease > noise || at.decrease.is_nan() {
                return Some(format!("decrease {:e} above {noise:e}", at.decrease));
            }
            let best = (0..10)
                .map(|k| {
                    let t = 0.5_f64.powi(k);
                    let x = run.x.iter().zip(&at.step).map(|(x, s)| x + t * s).collect();
                    problem.cost(&x).unwrap()
                })
                .fold(f64::INFINITY, f64::min);
            // Along an eigenvalue lost in rounding f falls by more than the model says.
            let is_known = WEAK.contains(&(problem.problem(), solver));
            (best < f - noise && !is_known).then(|| format!("a better f by {:e}", f - best))
        }
        _ => Some(format!("{test:?} at |g| {:e}", at.slope)),
    }
}

/// How a run that does not reach a listed optimum ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Miss {
    /// At another local minimum: the gradient is zero, the Hessian positive definite.
    OtherMinimum,
    /// Where f levels off towards infinity: not converged, or at a gradient within its
    /// tolerance, or a decrease below the noise, with a singular Hessian.
    Plateau,
    /// At the iteration limit.
    Slow,
}
use Miss::*;

/// Claims of `PrecisionFloor` that hold for the model, but at which f can be lowered by some
/// thousand times its noise along an eigenvector of an eigenvalue below rounding.
const WEAK: [(MghProblem, Solver); 1] = [(Osborne1, Cubic)];

/// The misses from x₀.
const NEAR_MISSES: &[(MghProblem, &[Solver], Miss)] = &[
    // The valley to the value 0.24268 at infinity.
    (BiggsExp6, &[Cubic, LazyCubic, CubicProducts], Plateau),
    // A shift ‖g‖/γ above the least eigenvalues, 10⁻¹² and 10⁻¹³ times the largest.
    (PowellBadlyScaled, &[GradientNormalized], Slow),
    (Meyer, &[GradientNormalized], Slow),
];

/// The misses from 10x₀.
const FAR_MISSES: &[(MghProblem, &[Solver], Miss)] = &[
    // f = 4.2e-9 where exp(−x₂) is flat: the gradient is within its tolerance.
    (
        PowellBadlyScaled,
        &[
            Cubic,
            LazyCubic,
            GradientNormalized,
            Damped,
            CubicProducts,
            TrustRegionProducts,
        ],
        Plateau,
    ),
    // The model of the data is zero or constant.
    (Meyer, &GENERAL, Plateau),
    (Osborne1, &GENERAL, Plateau),
    // The exponentials have underflowed: f = 1.78981.
    (Osborne2, &GENERAL, Plateau),
    // f = 0.0756, after long steps.
    (BoxThreeDimensional, &[Damped], Plateau),
    // f = 4.21863e-5.
    (Trigonometric, &GENERAL, OtherMinimum),
];

/// Convex everywhere; penalty I where ‖x‖² ≥ ¼, which holds along the way.
///
/// Sums of squares of linear functions (32 to 34), of these and fourth powers (13, 22, 25),
/// of squared convex functions that are nowhere negative (16).
const CONVEX: [MghProblem; 8] = [
    PowellSingular,
    BrownDennis,
    ExtendedPowellSingular,
    Penalty1,
    VariablyDimensioned,
    LinearFullRank,
    LinearRank1,
    LinearRank1WithZeros,
];

/// The misses among them.
const CONVEX_MISSES: &[(MghProblem, &[Solver], Miss)] = &[
    // The rate is a power of k where f never rises, so that nothing restarts.
    (PowellSingular, &[Accelerated], Slow),
    (ExtendedPowellSingular, &[Accelerated], Slow),
    (VariablyDimensioned, &[Accelerated], Slow),
    (Penalty1, &[Accelerated], Slow),
];

/// The row of a run, and whether it reached a listed optimum.
fn report(solver: Solver, problem: &Mgh, run: &Run<Vec<f64>>) -> bool {
    let hit = run.converged() && is_optimal(problem, run.f);
    let r = &run.report;
    println!(
        "{:2} {:26.26} {:3} {:19} {:17} {:5} {:5} {:5} {:5} {:5} {:5} {:14.7e} {:8.1e} {}",
        problem.number(),
        problem.name(),
        problem.dimension(),
        format!("{solver:?}"),
        run.status.name(),
        r.iterations,
        r.trials,
        r.values,
        r.gradients,
        r.hessians,
        r.hessian_products,
        run.f,
        run.gradient_norm,
        if hit { "reached" } else { "missed" }
    );
    hit
}

fn header() {
    println!(
        "{:2} {:26} {:>3} {:19} {:17} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>14} {:>8} optimum",
        "", "problem", "n", "solver", "status", "iter", "trial", "f", "g", "H", "Hv", "f", "|g|"
    );
}

/// Whether a miss ends as listed.
fn explained(
    solver: Solver,
    problem: &Mgh,
    run: &Run<Vec<f64>>,
    misses: &[(MghProblem, &[Solver], Miss)],
) -> bool {
    let listed =
        |m: &&(MghProblem, &[Solver], Miss)| m.0 == problem.problem() && m.1.contains(&solver);
    let Some((.., miss)) = misses.iter().find(listed) else {
        return false;
    };
    let least = local(problem, &run.x).least;
    match miss {
        OtherMinimum => run.converged() && least > 1e-3,
        Plateau => !run.converged() || least.abs() < 1e-12,
        Slow => run.status == Status::Stopped(Stopped::MaxIterations),
    }
}

/// The standard start, also where that is zero, or a multiple of it.
fn start(problem: &Mgh, factor: f64) -> Vec<f64> {
    if factor == 1.0 {
        problem.start()
    } else {
        problem.scaled_start(factor)
    }
}

/// Runs the solver on all problems; how many listed optima it reached.
fn hits(
    solver: Solver,
    problems: &[Mgh],
    factor: f64,
    misses: &[(MghProblem, &[Solver], Miss)],
) -> usize {
    let tol = if factor == 1.0 { 1e-9 } else { 1e-8 };
    let mut hits = 0;
    for problem in problems {
        let x0 = start(problem, factor);
        let f0 = problem.cost(&x0).unwrap();
        let run = solve(solver, problem, x0, tol);
        let hit = report(solver, problem, &run);
        hits += usize::from(hit);
        let at = format!("{solver:?} on {} from {factor} x0", problem.name());
        if let Some(why) = refuted(solver, problem, &run, tol) {
            panic!("{at}: {} is false: {why}", run.status);
        }
        assert!(run.f <= f0, "{at}: {} above {f0}", run.f);
        assert!(
            hit || explained(solver, problem, &run, misses),
            "{at}: {} at {}",
            run.status,
            run.f
        );
    }
    println!("{solver:?} from {factor} x0: {hits} of {}", problems.len());
    hits
}

#[test]
fn from_the_standard_starts() {
    header();
    let least = [35, 34, 34, 33, 35, 34, 35];
    for (solver, least) in GENERAL.into_iter().zip(least) {
        let hits = hits(solver, &Mgh::all(), 1.0, NEAR_MISSES);
        assert!(hits >= least, "{solver:?}: {hits}");
    }
}

#[test]
fn from_ten_times_the_standard_starts() {
    header();
    let mut problems = Mgh::all();
    problems.retain(|p| p.start().iter().any(|x| *x != 0.0));
    assert_eq!(problems.len(), 34);
    let least = [30, 29, 29, 29, 28, 29, 29];
    for (solver, least) in GENERAL.into_iter().zip(least) {
        let hits = hits(solver, &problems, 10.0, FAR_MISSES);
        assert!(hits >= least, "{solver:?}: {hits}");
    }
}

#[test]
fn solvers_for_convex_functions_solve_the_convex_ones() {
    header();
    let problems = CONVEX.map(Mgh::new);
    for factor in [1.0, 10.0] {
        for solver in FOR_CONVEX {
            let least = match solver {
                Accelerated if factor == 1.0 => 5,
                Accelerated => 7,
                _ => problems.len(),
            };
            let hits = hits(solver, &problems, factor, CONVEX_MISSES);
            assert!(hits >= least, "{solver:?}: {hits}");
        }
        for problem in &problems {
            let at = local(problem, &start(problem, factor));
            assert!(at.least > -1e-14, "{}: {}", problem.name(), at.least);
        }
    }
}

#[test]
fn in_a_hundred_variables() {
    header();
    for problem in [
        ExtendedRosenbrock,
        ExtendedPowellSingular,
        BroydenTridiagonal,
    ] {
        let problem = Mgh::new(problem).with_dimension(100).unwrap();
        for solver in [TrustRegion, Cubic] {
            assert_eq!(hits(solver, &[problem], 1.0, &[]), 1);
        }
    }
}
