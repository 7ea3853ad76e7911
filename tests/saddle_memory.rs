//! Ten thousand variables by Krylov spaces: no matrix of that order is ever stored.

use argmin::core::{CostFunction, Error, Gradient};
use raphson::{Converged, HessianProduct, SaddleFreeNewton, Status};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Keeps the most bytes that were allocated at once.
struct Peak;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    MOST.fetch_max(now, Relaxed);
}

// SAFETY: every call is passed on to the system allocator unchanged.
unsafe impl GlobalAlloc for Peak {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Peak = Peak;

const N: usize = 10_000;
/// Stiffness between neighbours.
const C: f64 = 2.0;

/// Σ ¼(xᵢ² − 1)² + (C/2) Σ (xᵢ₊₁ − xᵢ)²: a chain of double wells. Saddle points abound, the minimum
/// is zero at ±(1, …, 1).
struct Wells;

impl CostFunction for Wells {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        let wells: f64 = x.iter().map(|x| 0.25 * (x * x - 1.0).powi(2)).sum();
        let springs: f64 = x.windows(2).map(|w| 0.5 * C * (w[1] - w[0]).powi(2)).sum();
        Ok(wells + springs)
    }
}

impl Gradient for Wells {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let mut g: Vec<f64> = x.iter().map(|x| x * (x * x - 1.0)).collect();
        for i in 1..x.len() {
            let pull = C * (x[i] - x[i - 1]);
            g[i] += pull;
            g[i - 1] -= pull;
        }
        Ok(g)
    }
}

impl HessianProduct for Wells {
    type Param = Vec<f64>;
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
        for ((out, x), v) in out.iter_mut().zip(x).zip(v) {
            *out = (3.0 * x * x - 1.0) * v;
        }
        for i in 1..x.len() {
            let pull = C * (v[i] - v[i - 1]);
            out[i] += pull;
            out[i - 1] -= pull;
        }
        Ok(())
    }
}

#[test]
fn a_saddle_in_ten_thousand_variables_is_left_without_a_matrix() {
    let k = 30;
    // The dense kernels reserve their packing buffers once, whatever the size of a matrix.
    let small = SaddleFreeNewton::matrix_free().minimize(&Wells, vec![0.0; 50]);
    assert!(small.unwrap().converged());
    // At the saddle itself, and next to it.
    let near: Vec<f64> = (0..N).map(|i| (i as f64 / 300.0).sin() * 1e-3).collect();
    for start in [vec![0.0; N], near] {
        let before = NOW.load(Relaxed);
        MOST.store(before, Relaxed);
        let clock = std::time::Instant::now();
        let run = SaddleFreeNewton::matrix_free()
            .krylov(k)
            .minimize(&Wells, start)
            .unwrap();
        let peak = MOST.load(Relaxed) - before;
        println!(
            "{}: f = {:e}, {} iterations, {} products, {:.2} s, {:.1} MB",
            run.status,
            run.f,
            run.report.iterations,
            run.report.hessian_products,
            clock.elapsed().as_secs_f64(),
            peak as f64 / 1e6
        );
        assert_eq!(run.status, Status::Converged(Converged::SecondOrder));
        let g = Wells.gradient(&run.x).unwrap();
        let slope = g.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(slope <= 1e-3, "{slope}");
        // Two bases, that of the step and that of the test of curvature, and some vectors.
        let vectors = peak / (8 * N);
        assert!(vectors < 2 * k + 60, "{vectors} vectors");
        assert_eq!(run.report.hessians, 0);
    }
}
