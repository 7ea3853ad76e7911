//! Solvers of the global Newton family resume bit for bit, in the middle of a phase too.
#![cfg(all(feature = "serde", feature = "problems"))]

use crate::checkpoint::{bits, compare};
use crate::family::{FAMILY, Member, with_member};
use crate::problem::{Problem, saddle};
#[cfg(feature = "libsvm")]
use argmin::core::Executor;
use faer::Mat;
use raphson::problems::{Chain, Rosenbrock};
use raphson::{
    CubicNewton, Damping, GradientNormalizedNewton, GradientRegularizedNewton, LazyCubicNewton,
    LazyRegularizedNewton, Refresh, Report, SaddleFreeNewton, TrustRegionNewton,
};

const N: usize = 12;

/// Not convex.
fn valley() -> Problem {
    Problem::of(Rosenbrock::new(N).unwrap())
}

fn start() -> Vec<f64> {
    Rosenbrock::new(N).unwrap().start()
}

/// Convex.
fn chain() -> Problem {
    Problem::of(Chain::new(N, 3.0, 0.0).unwrap())
}

fn assert_searched(report: &Report) {
    assert!(report.rejected > 0, "the constant must matter");
}

/// Whether the step after so many uses the Hessian of an earlier point, by the default rule.
fn is_kept(member: Member, steps: u64) -> bool {
    let mut hessians = Vec::new();
    let mut slopes = Vec::new();
    with_member!(member, new, solver => {
        let logged = solver.max_iters(steps + 1).on_iteration(|r| {
            hessians.push(r.hessians);
            slopes.push(r.gradient_norm);
            true
        });
        logged.minimize(&chain(), vec![1.0; N]).unwrap();
    });
    let k = steps as usize;
    match member {
        Member::LazyCubic => slopes[k] <= 0.3 * slopes[k - 1],
        // The first phase is at least so long; rejections may still end it within the next step.
        Member::LazyRegularized if k < 3 => true,
        _ => hessians[k + 1] == hessians[k],
    }
}

#[test]
fn dense_and_sparse_hessians() {
    let mut kept = 0;
    for member in FAMILY {
        for steps in [1, 4, 9, 14] {
            let rebuilt = u64::from(is_kept(member, steps));
            kept += rebuilt;
            for width in [None, Some(1)] {
                let name = format!("{member:?}-{steps}-{width:?}");
                let problem = || width.map_or(chain(), |w| chain().banded(w));
                let report = with_member!(member, new, solver => {
                    compare!(&name, problem(), solver.clone(), vec![1.0; N], steps, rebuilt: rebuilt)
                });
                assert_eq!(report.analyses, u64::from(width.is_some()));
            }
        }
    }
    assert!(kept > 0, "no phase was interrupted");
}

#[test]
fn a_phase_goes_on_with_the_hessian_at_its_anchor() {
    for (k, width) in [None, Some(1)].into_iter().enumerate() {
        let problem = || width.map_or(valley(), |w| valley().banded(w));
        // The fourth step of a phase, and the first of the next.
        for (m, steps, rebuilt) in [(5, 4, 1), (5, 7, 1), (12, 3, 1), (12, 11, 1)] {
            let solver = || LazyCubicNewton::new().refresh(Refresh::Every(m));
            let name = format!("cubic-{k}-{m}-{steps}");
            let report = compare!(&name, problem(), solver(), start(), steps, rebuilt: rebuilt);
            assert!(report.hessians < report.iterations);
            assert_searched(&report);
        }
        let problem = || width.map_or(chain(), |w| chain().banded(w));
        for (m, steps, rebuilt) in [(5, 4, 1), (5, 7, 1), (12, 3, 1), (12, 11, 1)] {
            let solver = || LazyRegularizedNewton::new().refresh(Refresh::Every(m));
            let name = format!("regularized-{k}-{m}-{steps}");
            let report =
                compare!(&name, problem(), solver(), vec![1.0; N], steps, rebuilt: rebuilt);
            assert!(report.hessians < report.iterations);
            assert_searched(&report);
        }
    }
}

#[test]
fn what_auto_looks_back_on_is_kept() {
    for steps in [2, 3, 5] {
        let solver = || LazyCubicNewton::new().refresh(Refresh::Auto);
        let name = format!("auto-{steps}");
        let report = compare!(&name, chain(), solver(), vec![1.0; N], steps, rebuilt: 1);
        assert!(report.hessians < report.iterations);
    }
}

#[test]
fn an_indefinite_hessian_is_reduced_again() {
    // On the stable manifold of a saddle: the step follows an eigenvector.
    let start = || vec![0.0, 1.0, -1.0];
    let solver = || LazyCubicNewton::new().refresh(Refresh::Every(5));
    // Reduced at the first trial: later steps of the phase factor nothing.
    let mut factorizations = Vec::new();
    let first = solver().max_iters(5).on_iteration(|r| {
        factorizations.push(r.factorizations);
        true
    });
    let run = first.minimize(&saddle(), start()).unwrap();
    assert_eq!(run.report.hessians, 1);
    assert!(factorizations[1] > 0);
    assert_eq!(factorizations[1..], [factorizations[1]; 5]);
    for steps in [1, 3] {
        let name = format!("indefinite-{steps}");
        let report = compare!(&name, saddle(), solver(), start(), steps, rebuilt: 1);
        assert_searched(&report);
    }
    compare!("indefinite-cubic", saddle(), CubicNewton::new(), start(), 1);
    compare!(
        "indefinite-radius",
        saddle(),
        TrustRegionNewton::new(),
        start(),
        1
    );
}

#[test]
fn products() {
    let sparse = || valley().banded(1);
    let report = compare!(
        "free-cubic",
        sparse(),
        CubicNewton::matrix_free(),
        start(),
        6
    );
    assert_searched(&report);
    let report = compare!(
        "free-radius",
        sparse(),
        TrustRegionNewton::matrix_free(),
        start(),
        6
    );
    assert_searched(&report);
    let sparse = || chain().banded(1);
    let solver = GradientNormalizedNewton::matrix_free;
    let report = compare!("free-normalized", sparse(), solver(), vec![1.0; N], 6);
    assert!(report.hessian_products > 0);
    let solver = GradientRegularizedNewton::matrix_free;
    compare!("free-power", sparse(), solver(), vec![1.0; N], 6);
    let solver = LazyRegularizedNewton::matrix_free;
    compare!("free-lazy", sparse(), solver(), vec![1.0; N], 6);
}

#[test]
fn options_are_in_the_file() {
    let full = Mat::from_fn(N, N, |i, j| match i.abs_diff(j) {
        0 => 3.0 + i as f64,
        1 => -1.0,
        _ => 0.0,
    });
    let diagonal = Mat::from_fn(N, N, |i, j| if i == j { 1.0 + i as f64 } else { 0.0 });
    for (k, b) in [full, diagonal].into_iter().enumerate() {
        let solver = || GradientNormalizedNewton::new().metric(&b).unwrap();
        compare!(&format!("metric-{k}"), chain(), solver(), vec![1.0; N], 5);
        let solver = || {
            let lazy = LazyRegularizedNewton::new().refresh(Refresh::Every(4));
            lazy.metric(&b).unwrap().gradient_tol(1e-6)
        };
        compare!(&format!("metric-lazy-{k}"), chain(), solver(), vec![1.0; N], 6, rebuilt: 1);
    }
    let solver = || {
        GradientRegularizedNewton::new()
            .exponent(0.5)
            .gradient_tol(1e-5)
    };
    compare!("exponent", chain(), solver(), vec![1.0; N], 5);
    let solver = || TrustRegionNewton::new().radius(0.1).second_order(true);
    compare!("radius", valley(), solver(), start(), 5);
    let solver = || {
        LazyCubicNewton::new()
            .refresh(Refresh::Every(6))
            .second_order(true)
    };
    compare!("second-order", valley(), solver(), start(), 8, rebuilt: 1);
}

/// Past a saddle by an escape whose random numbers are state, and in the middle of a basis.
#[test]
fn saddle_free_runs() {
    let start = || vec![0.0, 1.0, -1.0];
    for steps in [1, 2, 4] {
        let name = format!("saddle-free-{steps}");
        let near = || vec![1e-5, 1.0, -1.0];
        compare!(&name, saddle(), SaddleFreeNewton::new(), near(), steps);
        let solver = || SaddleFreeNewton::new().damping(Damping::Marquardt);
        let name = format!("saddle-marquardt-{steps}");
        compare!(&name, saddle(), solver(), start(), steps);
    }
    let solver = || {
        SaddleFreeNewton::matrix_free()
            .krylov(10)
            .escape_seed(5)
            .probes(true)
    };
    let name = "saddle-krylov";
    let report = compare!(name, valley().banded(1), solver(), self::start(), 9);
    assert!(report.hessians == 0 && report.hessian_products > 0);
    for (steps, rebuilt) in [(3, 0), (4, 1), (5, 1)] {
        let name = format!("saddle-inner-{steps}");
        let dense = || SaddleFreeNewton::new().inner(3);
        compare!(&name, valley(), dense(), self::start(), steps, rebuilt: rebuilt);
        let free = || SaddleFreeNewton::matrix_free().inner(3).krylov(N);
        let name = format!("saddle-inner-free-{steps}");
        compare!(&name, valley(), free(), self::start(), steps, rebuilt: rebuilt);
    }
}

/// The anchor of a phase is not the point whose margins the model has at hand.
#[cfg(feature = "libsvm")]
#[test]
fn models_go_on_in_a_phase() {
    use crate::data::{FEATURES, breast_cancer};
    let far = || vec![3.0; FEATURES];
    for steps in [2, 5, 8] {
        let solver = || LazyCubicNewton::new().refresh(Refresh::Every(4));
        let name = format!("model-cubic-{steps}");
        compare!(&name, breast_cancer(1e-3), solver(), far(), steps, rebuilt: u64::from(steps % 4 != 0));
        let solver = || LazyRegularizedNewton::new().refresh(Refresh::Every(12));
        let name = format!("model-regularized-{steps}");
        compare!(&name, breast_cancer(1e-3), solver(), far(), steps, rebuilt: 1);
    }
}

/// JSON has no infinity, so a solver must hold none.
#[test]
fn solvers_survive_json() {
    fn twin<S: serde::Serialize + serde::de::DeserializeOwned>(solver: &S) -> S {
        let text = serde_json::to_string(solver).unwrap();
        let back: S = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
        back
    }
    for member in FAMILY {
        with_member!(member, new, solver => {
            let solver = solver.gradient_tol(1e-9);
            let (a, b) = (twin(&solver), solver.clone());
            let a = a.minimize(&chain(), vec![1.0; N]).unwrap();
            let b = b.minimize(&chain(), vec![1.0; N]).unwrap();
            assert_eq!((bits(&a.x), a.report), (bits(&b.x), b.report), "{member:?}");
            let used = Executor::new(chain(), solver)
                .configure(|state| state.param(vec![1.0; N]).max_iters(3))
                .ctrlc(false)
                .run()
                .unwrap()
                .solver;
            assert_eq!(twin(&used).report(), used.report());
        });
    }
}
