//! After the first call at one size and pattern, the linear layer allocates nothing.
#![allow(unsafe_code)]

#[path = "common/counting.rs"]
mod counting;

use counting::allocations;
use faer::Mat;
use faer::sparse::{SparseColMat, Triplet};
use raphson::edge::{Stored, SymView};
use raphson::linear::cg::{CgOptions, TruncatedCg};
use raphson::linear::*;
use std::convert::Infallible;

/// Runs once to warm up and once counted.
fn assert_free(what: &str, n: usize, mut run: impl FnMut()) {
    assert!(
        allocations(&mut run).0 > 0,
        "{what}, n = {n}: the first call must be the allocating one"
    );
    assert_eq!(allocations(&mut run).0, 0, "{what}, n = {n}");
    assert_eq!(allocations(&mut run).0, 0, "{what}, n = {n}, again");
}

const SIZES: [usize; 4] = [1, 10, 70, 300];

fn dense(n: usize) -> Mat<f64> {
    Mat::from_fn(n, n, |i, j| {
        1.0 / (1.0 + i.abs_diff(j) as f64) + if i == j { n as f64 } else { 0.0 }
    })
}

/// A band with a few long rows; many entries if `width` is large, which is factored in blocks.
fn banded(n: usize, width: usize) -> SparseColMat<usize, f64> {
    let mut triplets = Vec::new();
    for j in 0..n {
        triplets.push(Triplet::new(j, j, 2.0 * n as f64));
        for i in j + 1..n.min(j + 1 + width) {
            triplets.push(Triplet::new(i, j, 1.0));
        }
    }
    SparseColMat::try_new_from_triplets(n, n, &triplets).unwrap()
}

#[test]
fn dense_factorizations_do_not_allocate() {
    for n in SIZES {
        let h = dense(n);
        let view = SymView::Dense(h.as_ref(), Stored::Both);
        let v = vec![1.0; n];
        let (mut x, mut out) = (vec![0.0; n], vec![0.0; n]);
        let mut f = DenseCholesky::new();
        assert_free("DenseCholesky", n, || {
            factor_with_shift(&mut f, view, 1.0).unwrap();
            f.factor(view, 1.0).unwrap();
            x.copy_from_slice(&v);
            f.solve_in_place(&mut x).unwrap();
            f.half_solve(&v, &mut out).unwrap();
            f.inverse_norm_squared(&v).unwrap();
            f.factor(view, -3.0 * n as f64).unwrap_err();
            f.factor_with(n, 0.0, &mut |mut m| m.copy_from(&h)).unwrap();
            sym_mul(view, &v, &mut out).unwrap();
            sym_check(view).unwrap();
        });
        let mut f = BunchKaufman::new();
        assert_free("BunchKaufman", n, || {
            f.factor(view, -1.5 * n as f64).unwrap();
            x.copy_from_slice(&v);
            f.solve_in_place(&mut x).unwrap();
        });
        let mut f = SymmetricEigen::new();
        assert_free("SymmetricEigen", n, || {
            f.factor(view).unwrap();
            f.apply(f64::abs, &v, &mut out).unwrap();
        });
    }
}

#[test]
fn sparse_factorizations_do_not_allocate() {
    for (n, width) in [(1, 0), (10, 2), (70, 3), (300, 2), (300, 150)] {
        let h = banded(n, width);
        let view = SymView::Sparse(h.as_ref(), Stored::Both);
        let v = vec![1.0; n];
        let (mut x, mut out) = (vec![0.0; n], vec![0.0; n]);
        for mut f in [SparseCholesky::new(), SparseCholesky::ldlt()] {
            assert_free("SparseCholesky", n, || {
                factor_with_shift(&mut f, view, 1.0).unwrap();
                f.factor(view, 1.0).unwrap();
                x.copy_from_slice(&v);
                f.solve_in_place(&mut x).unwrap();
                f.inverse_norm_squared(&v).unwrap();
                f.factor_with_diagonal(view, &v).unwrap();
                sym_mul(view, &v, &mut out).unwrap();
                sym_check(view).unwrap();
            });
            assert_eq!(f.analyses(), 1);
        }
    }
}

#[test]
fn conjugate_gradients_do_not_allocate() {
    for n in SIZES {
        let h = dense(n);
        let view = SymView::Dense(h.as_ref(), Stored::Both);
        let (b, d) = (vec![1.0; n], vec![n as f64; n]);
        let mut cg = TruncatedCg::new();
        let options = CgOptions {
            relative_tolerance: 1e-8,
            max_iterations: 50,
        };
        assert_free("TruncatedCg", n, || {
            let Ok(_) = cg.solve::<Infallible>(&b, Some(&d), options, &mut |v, out| {
                sym_mul(view, v, out).unwrap();
                Ok(())
            });
        });
    }
}
