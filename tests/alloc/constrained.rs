//! The augmented Lagrangian method allocates nothing per iteration when the user's types allocate
//! nothing.

use crate::counting::allocations;
use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use raphson::constraints::{Inner, Sketch};
use raphson::{
    AugmentedLagrangianNewton, EqualityConstraints, LagrangianHessian, LagrangianProduct,
};

const N: usize = 5;
const START: [f64; N] = [2.0; N];

/// (x₁ − 1)² + Σ (xᵢ − xᵢ₊₁)⁴ on a sphere and a hyperbola.
struct Quartic;

impl CostFunction for Quartic {
    type Param = [f64; N];
    type Output = f64;
    fn cost(&self, x: &[f64; N]) -> Result<f64, Error> {
        let sum: f64 = x.windows(2).map(|w| (w[0] - w[1]).powi(4)).sum();
        Ok(sum + (x[0] - 1.0).powi(2))
    }
}

impl Gradient for Quartic {
    type Param = [f64; N];
    type Gradient = [f64; N];
    fn gradient(&self, x: &[f64; N]) -> Result<[f64; N], Error> {
        let mut g = [0.0; N];
        for i in 1..N {
            let d = 4.0 * (x[i - 1] - x[i]).powi(3);
            g[i - 1] += d;
            g[i] -= d;
        }
        g[0] += 2.0 * (x[0] - 1.0);
        Ok(g)
    }
}

impl EqualityConstraints for Quartic {
    type Param = [f64; N];
    type Values = [f64; 2];
    type Jacobian = [[f64; N]; 2];
    fn n_constraints(&self) -> usize {
        2
    }
    fn constraints(&self, x: &[f64; N]) -> Result<[f64; 2], Error> {
        Ok([
            x.iter().map(|x| x * x).sum::<f64>() - 9.0,
            x[0] * x[4] - 2.0,
        ])
    }
    fn constraint_jacobian(&self, x: &[f64; N]) -> Result<[[f64; N]; 2], Error> {
        Ok([x.map(|x| 2.0 * x), [x[4], 0.0, 0.0, 0.0, x[0]]])
    }
}

impl LagrangianHessian for Quartic {
    type Hessian = [[f64; N]; N];
    fn lagrangian_hessian(&self, x: &[f64; N], l: &[f64]) -> Result<[[f64; N]; N], Error> {
        let mut h = [[0.0; N]; N];
        for i in 1..N {
            let d = 12.0 * (x[i - 1] - x[i]).powi(2);
            h[i - 1][i - 1] += d;
            h[i][i] += d;
            h[i - 1][i] -= d;
            h[i][i - 1] -= d;
        }
        h[0][0] += 2.0;
        for (i, row) in h.iter_mut().enumerate() {
            row[i] += 2.0 * l[0];
        }
        h[0][4] += l[1];
        h[4][0] += l[1];
        Ok(h)
    }
}

impl LagrangianProduct for Quartic {
    fn lagrangian_product(
        &self,
        x: &[f64; N],
        l: &[f64],
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), Error> {
        let h = self.lagrangian_hessian(x, l)?;
        for (out, row) in out.iter_mut().zip(h) {
            *out = row.iter().zip(v).map(|(h, v)| h * v).sum();
        }
        Ok(())
    }
}

/// Allocations of runs of several lengths are all the same number.
fn assert_flat(what: &str, mut run: impl FnMut(u64) -> u64) {
    run(1);
    let counts = [1, 2, 5, 8].map(|length| {
        let (count, iterations) = allocations(|| run(length));
        assert_eq!(iterations, length, "{what}");
        count
    });
    assert!(counts[0] > 0, "{what}: the allocator does not count");
    assert_eq!(counts, [counts[0]; 4], "{what}");
}

#[test]
fn nothing_is_allocated_per_iteration() {
    for (what, inner) in [
        ("direct", Inner::Direct),
        ("minres", Inner::Minres),
        ("rows", Inner::Sketch(Sketch::Rows(3))),
        ("gaussian", Inner::Sketch(Sketch::Gaussian(2))),
    ] {
        assert_flat(what, |length| {
            let solver = AugmentedLagrangianNewton::new().inner(inner);
            let solver = solver.gradient_tol(0.0).max_iters(length);
            solver.minimize(&Quartic, START).unwrap().report.iterations
        });
    }
    assert_flat("products", |length| {
        let solver = AugmentedLagrangianNewton::matrix_free().gradient_tol(0.0);
        let run = solver.max_iters(length).minimize(&Quartic, START).unwrap();
        run.report.iterations
    });
    assert_flat("executor", |length| {
        Executor::new(Quartic, AugmentedLagrangianNewton::new().gradient_tol(0.0))
            .configure(|state| state.param(START).max_iters(length))
            .ctrlc(false)
            .run()
            .unwrap()
            .state
            .get_iter()
    });
}
