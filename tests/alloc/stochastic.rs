//! The stochastic methods allocate nothing per iteration when the user's types allocate nothing.

use crate::counting::allocations;
use argmin::core::{Error, Executor, State};
use raphson::{
    AveragedHessianNewton, Averaging, Batch, FilteredNewton, FiniteSum, MarginalPrecision, Sampler,
    StepSchedule, StochasticNewton,
};

const N: usize = 5;
const TERMS: usize = 40;
const LENGTHS: [u64; 4] = [2, 3, 20, 90];

/// Rows and responses by formula.
struct Fit;

fn row(i: usize) -> ([f64; N], f64) {
    let x = std::array::from_fn(|j| ((i * (2 * j + 3) + 7 * j) as f64).sin());
    (x, (i as f64 * 0.37).cos())
}

fn mean<T>(batch: Batch<'_>, mut start: T, mut add: impl FnMut(&mut T, usize, f64)) -> T {
    match batch {
        Batch::All => (0..TERMS).for_each(|i| add(&mut start, i, 1.0 / TERMS as f64)),
        Batch::Terms(s) => (s.iter()).for_each(|&i| add(&mut start, i, 1.0 / s.len() as f64)),
    }
    start
}

impl FiniteSum for Fit {
    type Param = [f64; N];
    type Gradient = [f64; N];
    type Hessian = [[f64; N]; N];
    fn terms(&self) -> usize {
        TERMS
    }
    fn value(&self, w: &[f64; N], batch: Batch<'_>) -> Result<f64, Error> {
        Ok(self.value_gradient(w, batch)?.0)
    }
    fn value_gradient(&self, w: &[f64; N], batch: Batch<'_>) -> Result<(f64, [f64; N]), Error> {
        Ok(mean(batch, (0.0, [0.0; N]), |(f, g), i, c| {
            let (x, y) = row(i);
            let r = x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() - y;
            *f += 0.5 * c * r * r;
            for (g, x) in g.iter_mut().zip(x) {
                *g += c * r * x;
            }
        }))
    }
    fn hessian(&self, _: &[f64; N], batch: Batch<'_>) -> Result<[[f64; N]; N], Error> {
        Ok(mean(batch, [[0.0; N]; N], |h, i, c| {
            let (x, _) = row(i);
            for j in 0..N {
                for k in 0..N {
                    h[j][k] += c * x[j] * x[k];
                }
            }
        }))
    }
}

/// Allocations of runs of `LENGTHS` iterations are all the same number.
fn assert_flat(what: &str, mut run: impl FnMut(u64) -> u64) {
    run(2);
    let counts = LENGTHS.map(|length| {
        let (count, iterations) = allocations(|| run(length));
        assert_eq!(iterations, length, "{what}");
        count
    });
    assert!(counts[0] > 0, "{what}: the allocator does not count");
    assert_eq!(counts, [counts[0]; 4], "{what}");
}

#[test]
fn nothing_is_allocated_per_iteration() {
    let shuffled = Sampler::EpochShuffle {
        b: 8,
        drop_last: false,
    };
    macro_rules! flat {
        ($what:expr, $solver:expr) => {
            assert_flat($what, |length| {
                let solver = $solver.gradient_tol(0.0).plateau(0, 0.0).max_iters(length);
                solver.minimize(&Fit, [0.0; N]).unwrap().report.iterations
            })
        };
    }
    flat!("newton", StochasticNewton::new().sampler(shuffled));
    flat!("with replacement", {
        let solver = StochasticNewton::new().sampler(Sampler::WithReplacement { b: 8 });
        solver.noise_report(true)
    });
    flat!("averaged", {
        let solver = AveragedHessianNewton::new().sampler(shuffled);
        solver.averaging(Averaging::Exponential { decay: 0.9 })
    });
    let filter = || FilteredNewton::new().sampler(shuffled);
    flat!("filter", filter());
    flat!("normalized", filter().schedule(StepSchedule::Constant(0.2)));
    flat!("searched", filter().schedule(StepSchedule::armijo()));
    flat!("robust", filter().marginal(MarginalPrecision::Robust));
    let eye = faer::Mat::<f64>::identity(N, N);
    flat!("general", {
        let a = 0.8 * &eye;
        filter().dynamics(a.as_ref(), eye.as_ref()).unwrap()
    });
    assert_flat("executor", |length| {
        Executor::new(Fit, filter().gradient_tol(0.0).plateau(0, 0.0))
            .configure(|state| state.param([0.0; N]).max_iters(length))
            .ctrlc(false)
            .run()
            .unwrap()
            .state
            .get_iter()
    });
}
