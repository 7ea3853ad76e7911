//! What a run allocates after its first iteration: nothing of ours.
#![allow(unsafe_code)]

use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian};
use faer::sparse::{SparseColMat, Triplet};
use raphson::edge::{Stored, SymView};
use raphson::{DampedNewton, Outcome, SymMat};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(f: impl FnOnce() -> T) -> (u64, T) {
    let before = COUNT.with(Cell::get);
    let value = f();
    (COUNT.with(Cell::get) - before, value)
}

/// Σ x⁴ + x²/2 + coupling: needs many iterations at a tight tolerance, allocates nothing.
struct Quartic;

impl CostFunction for Quartic {
    type Param = [f64; 4];
    type Output = f64;
    fn cost(&self, x: &[f64; 4]) -> Result<f64, Error> {
        Ok(x.iter().map(|x| x.powi(6) + 1e-3 * x * x).sum::<f64>() + 0.1 * (x[0] + x[3]).powi(2))
    }
}
impl Gradient for Quartic {
    type Param = [f64; 4];
    type Gradient = [f64; 4];
    fn gradient(&self, x: &[f64; 4]) -> Result<[f64; 4], Error> {
        let mut g = x.map(|x| 6.0 * x.powi(5) + 2e-3 * x);
        g[0] += 0.2 * (x[0] + x[3]);
        g[3] += 0.2 * (x[0] + x[3]);
        Ok(g)
    }
}
impl Hessian for Quartic {
    type Param = [f64; 4];
    type Hessian = [[f64; 4]; 4];
    fn hessian(&self, x: &[f64; 4]) -> Result<[[f64; 4]; 4], Error> {
        let mut h = [[0.0; 4]; 4];
        for (i, x) in x.iter().enumerate() {
            h[i][i] = 30.0 * x.powi(4) + 2e-3;
        }
        for (i, j) in [(0, 0), (0, 3), (3, 0), (3, 3)] {
            h[i][j] += 0.2;
        }
        Ok(h)
    }
}

#[test]
fn the_stock_executor_allocates_nothing_per_iteration() {
    let counts: Vec<u64> = [2, 3, 5, 8]
        .into_iter()
        .map(|limit| {
            let (count, result) = allocations(|| {
                Executor::new(Quartic, DampedNewton::new())
                    .configure(|state| state.param([3.0, -2.0, 1.0, 5.0]).max_iters(limit))
                    .run()
                    .unwrap()
            });
            assert_eq!(result.state.iter, limit, "{}", result.status());
            count
        })
        .collect();
    assert!(counts.iter().all(|c| *c == counts[0]), "{counts:?}");
}

#[test]
fn a_plain_run_allocates_nothing_per_iteration() {
    let counts: Vec<u64> = [2, 3, 5, 8]
        .into_iter()
        .map(|limit| {
            let solver = DampedNewton::new().max_iters(limit);
            let start = [3.0, -2.0, 1.0, 5.0];
            let (count, run) = allocations(|| solver.minimize(&Quartic, start).unwrap());
            assert_eq!(run.report.iterations, limit);
            count
        })
        .collect();
    assert!(counts.iter().all(|c| *c == counts[0]), "{counts:?}");
}

/// A tridiagonal quadratic under a wall, with a Hessian majorized by one stored matrix.
struct Banded {
    hessian: Shared,
}

#[derive(Clone)]
struct Shared(Arc<SparseColMat<usize, f64>>);

impl SymMat for Shared {
    fn sym(&self) -> SymView<'_> {
        SymView::Sparse(self.0.as_ref().as_ref(), Stored::Both)
    }
}

const N: usize = 64;

impl Banded {
    fn new() -> Self {
        let mut entries = Vec::new();
        for i in 0..N {
            entries.push(Triplet::new(i, i, 4.0));
            if i > 0 {
                entries.push(Triplet::new(i, i - 1, -1.0));
                entries.push(Triplet::new(i - 1, i, -1.0));
            }
        }
        let matrix = SparseColMat::try_new_from_triplets(N, N, &entries).unwrap();
        Banded {
            hessian: Shared(Arc::new(matrix)),
        }
    }
}

impl CostFunction for Banded {
    type Param = [f64; N];
    type Output = f64;
    fn cost(&self, x: &[f64; N]) -> Result<f64, Error> {
        let pairs: f64 = x.windows(2).map(|w| 0.5 * (w[0] - w[1]).powi(2)).sum();
        Ok(pairs + x.iter().map(|x| x.cosh().ln() + 0.05 * x * x).sum::<f64>())
    }
}
impl Gradient for Banded {
    type Param = [f64; N];
    type Gradient = [f64; N];
    fn gradient(&self, x: &[f64; N]) -> Result<[f64; N], Error> {
        let mut g = x.map(|x| x.tanh() + 0.1 * x);
        for i in 0..N - 1 {
            g[i] += x[i] - x[i + 1];
            g[i + 1] += x[i + 1] - x[i];
        }
        Ok(g)
    }
}
impl Hessian for Banded {
    type Param = [f64; N];
    type Hessian = Shared;
    fn hessian(&self, _: &[f64; N]) -> Result<Shared, Error> {
        Ok(self.hessian.clone())
    }
}

#[test]
fn a_sparse_hessian_allocates_nothing_per_iteration() {
    // The first run of a process sets faer up; it is not counted.
    let counts: Vec<u64> = [2, 2, 3, 5, 8]
        .into_iter()
        .map(|limit| {
            let problem = Banded::new();
            let (count, result) = allocations(|| {
                Executor::new(problem, DampedNewton::new())
                    .configure(|state| state.param([2.0; N]).max_iters(limit))
                    .run()
                    .unwrap()
            });
            assert_eq!(result.state.iter, limit, "{}", result.status());
            assert_eq!(result.solver.report().analyses, 1);
            count
        })
        .skip(1)
        .collect();
    assert!(counts.iter().all(|c| *c == counts[0]), "{counts:?}");
}
