//! Solvers of the global Newton family allocate nothing per iteration.
#![cfg(feature = "problems")]

use crate::family::{FAMILY, Member, with_member};
use crate::still::{Banded, START, Small, WIDE, executor, plain};
use raphson::{
    CubicNewton, Damping, GradientNormalizedNewton, GradientRegularizedNewton, LazyCubicNewton,
    LazyRegularizedNewton, Refresh, SaddleFreeNewton, TrustRegionNewton,
};

#[test]
fn dense_hessians() {
    for member in FAMILY {
        let name = format!("{member:?}");
        with_member!(member, new, solver => {
            plain!(&name, Small, solver.clone().gradient_tol(0.0), START);
            executor!(&name, Small, solver.clone().gradient_tol(0.0), START);
        });
        with_member!(member, fused, solver =>
            plain!(&name, Small, solver.clone().gradient_tol(0.0), START));
    }
}

#[test]
fn phases() {
    for refresh in [Refresh::Every(4), Refresh::Every(10), Refresh::Auto] {
        let name = format!("{refresh:?}");
        let solver = || LazyCubicNewton::new().refresh(refresh).gradient_tol(0.0);
        plain!(&name, Small, solver(), START);
        let solver = || {
            LazyRegularizedNewton::new()
                .refresh(refresh)
                .gradient_tol(0.0)
        };
        plain!(&name, Small, solver(), START);
    }
}

#[test]
fn sparse_hessians() {
    let start: [f64; WIDE] = std::array::from_fn(|i| (i % 7) as f64 - 3.0);
    let problem = Banded::new();
    for member in FAMILY {
        let name = format!("sparse {member:?}");
        with_member!(member, new, solver =>
            plain!(&name, problem, solver.clone().gradient_tol(0.0), start));
    }
}

#[test]
fn saddle_free_steps() {
    for damping in [Damping::Grid, Damping::Marquardt] {
        let name = format!("saddle-free {damping:?}");
        let solver = || SaddleFreeNewton::new().damping(damping).gradient_tol(0.0);
        plain!(&name, Small, solver(), START);
        executor!(&name, Small, solver(), START);
    }
    let solver = || SaddleFreeNewton::matrix_free().gradient_tol(0.0);
    plain!("saddle-free products", Small, solver(), START);
    plain!("saddle-free inner", Small, solver().inner(3), START);
}

#[test]
fn products() {
    plain!(
        "cubic",
        Small,
        CubicNewton::matrix_free().gradient_tol(0.0),
        START
    );
    plain!(
        "radius",
        Small,
        TrustRegionNewton::matrix_free().gradient_tol(0.0),
        START
    );
    plain!(
        "lazy",
        Small,
        LazyRegularizedNewton::matrix_free().gradient_tol(0.0),
        START
    );
    plain!(
        "power",
        Small,
        GradientRegularizedNewton::matrix_free().gradient_tol(0.0),
        START
    );
    plain!(
        "normalized",
        Small,
        GradientNormalizedNewton::matrix_free().gradient_tol(0.0),
        START
    );
}
