//! The accelerated method allocates nothing per iteration when the user's types allocate nothing.

use crate::still::{Banded, START, Small, WIDE, executor, plain};
use raphson::AcceleratedCubicNewton;

#[test]
fn nothing_is_allocated_per_iteration() {
    let new = || AcceleratedCubicNewton::new().gradient_tol(0.0);
    for (what, solver) in [
        ("default", new()),
        ("without restarts", new().restart(false)),
        ("inexact", new().hessian_error(1.0).certified(false)),
        ("noisy", new().gradient_noise(1e-6)),
    ] {
        plain!(what, Small, solver.clone(), START);
    }
    let fused = || AcceleratedCubicNewton::fused().gradient_tol(0.0);
    plain!("fused", Small, fused(), START);
    executor!("executor", Small, new(), START);
    let inexact = || new().hessian_error(10.0);
    plain!("sparse", Banded::new(), inexact(), [3.0; WIDE]);
}
