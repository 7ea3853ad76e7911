//! After the first call at one size and pattern, the linear layer allocates nothing.

use crate::counting::allocations;
use faer::Mat;
use faer::sparse::{SparseColMat, Triplet};
use raphson::edge::{Stored, SymView};
use raphson::linear::cg::{CgOptions, TruncatedCg};
use raphson::linear::lanczos::Lanczos;
use raphson::linear::shifted::{Shifted as _, ShiftedDense, ShiftedSparse};
use raphson::linear::*;
use raphson::subproblem::{Work, ball, cubic};
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
            step_tolerance: f64::INFINITY,
            radius: f64::INFINITY,
        };
        assert_free("TruncatedCg", n, || {
            let Ok(_) = cg.solve::<Infallible>(&b, Some(&d), options, &mut |v, out| {
                sym_mul(view, v, out).unwrap();
                Ok(())
            });
        });
    }
}

#[test]
fn tridiagonal_forms_do_not_allocate() {
    for n in SIZES {
        let h = dense(n);
        let view = SymView::Dense(h.as_ref(), Stored::Both);
        let v: Vec<f64> = (0..n).map(|i| (1.0 + i as f64).sin()).collect();
        let (mut x, mut out) = (vec![0.0; n], vec![0.0; n]);
        let mut t = Tridiagonal::new();
        assert_free("Tridiagonal", n, || {
            t.factor(view).unwrap();
            t.to_basis(&v, &mut out).unwrap();
            t.matrix_mut().factor(1.0).unwrap();
            t.matrix_mut().solve_in_place(&mut out).unwrap();
            t.matrix_mut().inverse_norm_squared(&v).unwrap();
            t.from_basis(&out, &mut x).unwrap();
            t.matrix_mut().leftmost(&mut out).unwrap();
            t.factor_with(n, &mut |mut m| m.copy_from(&h)).unwrap();
        });
        let mut lanczos = Lanczos::new(20);
        assert_free("Lanczos", n, || {
            lanczos.start(&v);
            for dimension in [5, 20] {
                let Ok(_) = lanczos.extend::<Infallible>(
                    dimension,
                    &mut |v, out| {
                        sym_mul(view, v, out).unwrap();
                        Ok(())
                    },
                    &mut |t, _| t.factor(1.0) == Err(Breakdown::Empty),
                );
            }
            lanczos.expand(&v, &mut out);
        });
    }
}

#[test]
fn subproblems_do_not_allocate() {
    for n in SIZES {
        let h = dense(n);
        let view = SymView::Dense(h.as_ref(), Stored::Both);
        let sparse = banded(n, 3);
        let indefinite = Mat::from_fn(n, n, |i, j| {
            h[(i, j)] - if i == j { 1.001 * n as f64 } else { 0.0 }
        });
        let g: Vec<f64> = (0..n).map(|i| (1.0 + i as f64).sin()).collect();
        let mut s = vec![0.0; n];
        let mut work = Work::new();
        let mut matrix = ShiftedDense::new();
        let mut other = ShiftedSparse::new();
        let mut reduced = Tridiagonal::new();
        assert_free("subproblems", n, || {
            for view in [view, SymView::Dense(indefinite.as_ref(), Stored::Lower)] {
                matrix.set(view).unwrap();
                cubic(&mut matrix, &g, 0.0, 1.0, &mut s, &mut work).unwrap();
                ball(&mut matrix, &g, 1.0, &mut s, &mut work).unwrap();
                matrix.leftmost(&mut s).unwrap();
                matrix.reduce(&mut reduced).unwrap();
                let t = reduced.matrix_mut();
                cubic(t, &g, 0.0, 1.0, &mut s, &mut work).unwrap();
                ball(t, &g, 1.0, &mut s, &mut work).unwrap();
            }
            other
                .set(SymView::Sparse(sparse.as_ref(), Stored::Both))
                .unwrap();
            cubic(&mut other, &g, 0.0, 1.0, &mut s, &mut work).unwrap();
            ball(&mut other, &g, 1.0, &mut s, &mut work).unwrap();
            other.leftmost(&mut s).unwrap();
        });
    }
}
