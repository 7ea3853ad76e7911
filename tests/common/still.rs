//! Problems that allocate nothing, and runs whose allocations are counted.

use crate::counting::allocations;
use argmin::core::{CostFunction, Error, Gradient, Hessian};
use faer::sparse::{SparseColMat, Triplet};
use raphson::edge::SymView;
use raphson::{Fused, HessianProduct, SymMat};
use std::sync::Arc;

pub const N: usize = 4;
pub const START: [f64; N] = [-5.0, 3.0, -7.0, 2.0];
pub const LENGTHS: [u64; 4] = [1, 2, 5, 8];

/// f = Σ exp(xᵢ) − ½xᵢ + ½(Σ xᵢ)²: needs more than eight iterations from `START` to 10⁻¹³.
pub struct Small;

fn cost(x: &[f64; N]) -> f64 {
    let sum: f64 = x.iter().sum();
    x.iter().map(|x| x.exp() - 0.5 * x).sum::<f64>() + 0.5 * sum * sum
}

fn gradient(x: &[f64; N]) -> [f64; N] {
    let sum: f64 = x.iter().sum();
    x.map(|x| x.exp() - 0.5 + sum)
}

fn hessian(x: &[f64; N]) -> [[f64; N]; N] {
    let mut h = [[1.0; N]; N];
    for i in 0..N {
        h[i][i] += x[i].exp();
    }
    h
}

impl CostFunction for Small {
    type Param = [f64; N];
    type Output = f64;
    fn cost(&self, x: &[f64; N]) -> Result<f64, Error> {
        Ok(cost(x))
    }
}
impl Gradient for Small {
    type Param = [f64; N];
    type Gradient = [f64; N];
    fn gradient(&self, x: &[f64; N]) -> Result<[f64; N], Error> {
        Ok(gradient(x))
    }
}
impl Hessian for Small {
    type Param = [f64; N];
    type Hessian = [[f64; N]; N];
    fn hessian(&self, x: &[f64; N]) -> Result<[[f64; N]; N], Error> {
        Ok(hessian(x))
    }
}
impl HessianProduct for Small {
    type Param = [f64; N];
    fn hessian_product(&self, x: &[f64; N], v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        let sum: f64 = v.iter().sum();
        for (out, (x, v)) in out.iter_mut().zip(x.iter().zip(v)) {
            *out = x.exp() * v + sum;
        }
        Ok(())
    }
}
impl Fused for Small {
    type Param = [f64; N];
    type Gradient = [f64; N];
    type Hessian = [[f64; N]; N];
    fn value(&self, x: &[f64; N]) -> Result<f64, Error> {
        Ok(cost(x))
    }
    fn value_gradient(&self, x: &[f64; N]) -> Result<(f64, [f64; N]), Error> {
        Ok((cost(x), gradient(x)))
    }
    fn hessian(&self, x: &[f64; N]) -> Result<[[f64; N]; N], Error> {
        Ok(hessian(x))
    }
}

/// Allocations of runs of `LENGTHS` iterations are all the same number.
pub fn assert_flat(what: &str, mut run: impl FnMut(u64) -> u64) {
    run(1);
    let counts = LENGTHS.map(|length| {
        let (count, iterations) = allocations(|| run(length));
        assert_eq!(
            iterations, length,
            "{what}: the problem must need more iterations"
        );
        count
    });
    assert!(counts[0] > 0, "{what}: the allocator does not count");
    assert_eq!(counts, [counts[0]; 4], "{what}");
}

/// A sparse matrix that is handed out without a copy.
#[derive(Clone)]
pub struct Loan(Arc<SparseColMat<usize, f64>>);

impl SymMat for Loan {
    fn sym(&self) -> SymView<'_> {
        self.0.sym()
    }
}

pub const WIDE: usize = 40;

/// f = Σ log cosh(xᵢ − 1) + ½ Σ (xᵢ − xᵢ₊₁)² with four times a bound of its
/// Hessian as a fixed matrix: the user's side allocates nothing and the run is long.
pub struct Banded(pub Loan);

impl Banded {
    pub fn new() -> Self {
        let mut stored = Vec::new();
        for i in 0..WIDE {
            let neighbors = if i == 0 || i + 1 == WIDE { 1.0 } else { 2.0 };
            stored.push(Triplet::new(i, i, 4.0 + 4.0 * neighbors));
            if i + 1 < WIDE {
                stored.push(Triplet::new(i, i + 1, -4.0));
                stored.push(Triplet::new(i + 1, i, -4.0));
            }
        }
        let matrix = SparseColMat::try_new_from_triplets(WIDE, WIDE, &stored).unwrap();
        Banded(Loan(Arc::new(matrix)))
    }
}

impl CostFunction for Banded {
    type Param = [f64; WIDE];
    type Output = f64;
    fn cost(&self, x: &[f64; WIDE]) -> Result<f64, Error> {
        let own = x
            .iter()
            .map(|x| (x - 1.0).abs() + (-2.0 * (x - 1.0).abs()).exp().ln_1p());
        Ok(own.sum::<f64>() + 0.5 * x.windows(2).map(|w| (w[0] - w[1]).powi(2)).sum::<f64>())
    }
}
impl Gradient for Banded {
    type Param = [f64; WIDE];
    type Gradient = [f64; WIDE];
    fn gradient(&self, x: &[f64; WIDE]) -> Result<[f64; WIDE], Error> {
        let mut g = x.map(|x| (x - 1.0).tanh());
        for i in 1..WIDE {
            let d = x[i] - x[i - 1];
            g[i] += d;
            g[i - 1] -= d;
        }
        Ok(g)
    }
}
impl Hessian for Banded {
    type Param = [f64; WIDE];
    type Hessian = Loan;
    fn hessian(&self, _: &[f64; WIDE]) -> Result<Loan, Error> {
        Ok(self.0.clone())
    }
}

macro_rules! executor {
    ($what:expr, $problem:expr, $solver:expr, $start:expr) => {
        $crate::still::assert_flat($what, |length| {
            argmin::core::Executor::new($problem, $solver)
                .configure(|state| state.param($start).max_iters(length))
                .ctrlc(false)
                .run()
                .unwrap()
                .state
                .iter
        })
    };
}

macro_rules! plain {
    ($what:expr, $problem:expr, $solver:expr, $start:expr) => {
        $crate::still::assert_flat($what, |length| {
            let run = $solver
                .max_iters(length)
                .minimize(&$problem, $start)
                .unwrap();
            run.report.iterations
        })
    };
}
pub(crate) use {executor, plain};
