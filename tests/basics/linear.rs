//! Properties of the linear layer on random matrices of known construction.

use argmin::core::Hessian;
use faer::sparse::{SparseColMat, Triplet};
use faer::{Mat, MatRef, mat};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::edge::{Stored, SymMat, SymView};
use raphson::linear::cg::{CgEnd, CgOptions, TruncatedCg};
use raphson::linear::*;
use raphson::{Dataset, LogisticRegression};
use std::convert::Infallible;

type Rng64 = Xoshiro256PlusPlus;

fn random_vector(n: usize, rng: &mut Rng64) -> Vec<f64> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Q diag(values) Qᵀ with Q a product of random reflections.
fn with_spectrum(values: &[f64], rng: &mut Rng64) -> Mat<f64> {
    let n = values.len();
    let mut m = Mat::from_fn(n, n, |i, j| if i == j { values[i] } else { 0.0 });
    for _ in 0..3 {
        let mut v = random_vector(n, rng);
        let length = norm(&v);
        v.iter_mut().for_each(|x| *x /= length);
        let q = Mat::from_fn(n, n, |i, j| f64::from(i == j) - 2.0 * v[i] * v[j]);
        m = &q * &m * &q;
    }
    Mat::from_fn(n, n, |i, j| 0.5 * (m[(i, j)] + m[(j, i)]))
}

fn both(m: &Mat<f64>) -> SymView<'_> {
    SymView::Dense(m.as_ref(), Stored::Both)
}

/// ‖b − (H + shift) x‖ / ((max |λ|)·‖x‖ + ‖b‖)
fn backward_error(view: SymView<'_>, shift: f64, x: &[f64], b: &[f64], size: f64) -> f64 {
    let mut r = vec![0.0; b.len()];
    sym_mul(view, x, &mut r).unwrap();
    for ((r, x), b) in r.iter_mut().zip(x).zip(b) {
        *r = b - *r - shift * x;
    }
    norm(&r) / (size * norm(x) + norm(b))
}

const SIZES: [usize; 9] = [1, 2, 3, 7, 16, 33, 65, 130, 200];

#[test]
fn dense_cholesky_is_backward_stable() {
    let rng = &mut Rng64::seed_from_u64(1);
    for n in SIZES {
        // Condition number 1e10.
        let values: Vec<f64> = (0..n)
            .map(|i| 10f64.powf(-10.0 * i as f64 / n as f64))
            .collect();
        let h = with_spectrum(&values, rng);
        let b = random_vector(n, rng);
        for shift in [0.0, 0.5] {
            let mut f = DenseCholesky::new();
            f.factor(both(&h), shift).unwrap();
            let mut x = b.clone();
            f.solve_in_place(&mut x).unwrap();
            let error = backward_error(both(&h), shift, &x, &b, 1.0 + shift);
            assert!(error <= 1e-15 * (4.0 + n as f64), "n = {n}: {error}");
            let direct: f64 = x.iter().zip(&b).map(|(x, b)| x * b).sum();
            let by_norm = f.inverse_norm_squared(&b).unwrap();
            assert!((direct - by_norm).abs() <= 1e-5 * direct, "n = {n}");
            let mut half = vec![0.0; n];
            f.half_solve(&b, &mut half).unwrap();
            assert!((norm(&half).powi(2) - by_norm).abs() <= 1e-13 * by_norm);
        }
    }
}

#[test]
fn indefinite_matrices_are_solved_and_their_inertia_counted() {
    let rng = &mut Rng64::seed_from_u64(2);
    let mut f = BunchKaufman::new();
    for n in SIZES {
        for negative in [0, n / 3, n] {
            let values: Vec<f64> = (0..n)
                .map(|i| {
                    let size = 0.1 + 0.9 * i as f64 / n as f64;
                    if i < negative { -size } else { size }
                })
                .collect();
            let h = with_spectrum(&values, rng);
            f.factor(both(&h), 0.0).unwrap();
            let found = f.inertia();
            assert_eq!(
                (found.positive, found.negative, found.zero),
                (n - negative, negative, 0)
            );
            let b = random_vector(n, rng);
            let mut x = b.clone();
            f.solve_in_place(&mut x).unwrap();
            let error = backward_error(both(&h), 0.0, &x, &b, 1.0);
            assert!(error <= 1e-14 * (4.0 + n as f64), "n = {n}: {error}");
        }
    }
}

#[test]
fn rank_deficiency_is_counted() {
    let rng = &mut Rng64::seed_from_u64(3);
    let mut f = BunchKaufman::new();
    for n in [8, 40, 100] {
        let values: Vec<f64> = (0..n)
            .map(|i| f64::from(i % 4 != 0) - 0.5 * f64::from(i % 4 == 1))
            .collect();
        let h = with_spectrum(&values, rng);
        f.factor(both(&h), 0.0).unwrap();
        assert_eq!(f.inertia().zero, n / 4, "n = {n}");
        assert_eq!(f.inertia().positive, n - n / 4, "n = {n}");
        let end = f.solve_in_place(&mut vec![1.0; n]);
        assert!(matches!(end, Err(Breakdown::Singular { .. })), "{end:?}");
    }
}

#[test]
fn eigenvalues_are_those_of_the_construction() {
    let rng = &mut Rng64::seed_from_u64(4);
    let mut e = SymmetricEigen::new();
    for n in SIZES {
        let values: Vec<f64> = (0..n).map(|i| i as f64 - 0.4 * n as f64).collect();
        let h = with_spectrum(&values, rng);
        e.factor(both(&h)).unwrap();
        let tolerance = 1e-15 * (4.0 + n as f64) * (1.0 + n as f64);
        for (found, exact) in e.values().iter().zip(&values) {
            assert!((found - exact).abs() <= tolerance, "n = {n}");
        }
        let q = e.vectors();
        let gram = q.transpose() * q;
        for j in 0..n {
            for i in 0..n {
                let defect = gram[(i, j)] - f64::from(i == j);
                assert!(defect.abs() <= 1e-15 * (10.0 + n as f64));
            }
        }
        let v = random_vector(n, rng);
        let (mut out, mut product) = (vec![0.0; n], vec![0.0; n]);
        e.apply(|x| x, &v, &mut out).unwrap();
        sym_mul(both(&h), &v, &mut product).unwrap();
        for (a, b) in out.iter().zip(&product) {
            assert!((a - b).abs() <= 4.0 * tolerance, "n = {n}: {a} {b}");
        }
    }
}

/// A random sparse positive definite matrix (diagonally dominant), in full.
fn sparse_spd(n: usize, per_row: usize, rng: &mut Rng64) -> Mat<f64> {
    let mut m = Mat::zeros(n, n);
    for i in 0..n {
        m[(i, i)] += 1e-3;
        for _ in 0..per_row {
            let j = rng.random_range(0..n);
            let a: f64 = rng.random_range(-1.0..1.0);
            if i != j {
                m[(i, j)] += a;
                m[(j, i)] += a;
                m[(i, i)] += a.abs();
                m[(j, j)] += a.abs();
            }
        }
    }
    m
}

fn to_sparse(m: MatRef<'_, f64>, keep: fn(usize, usize) -> bool) -> SparseColMat<usize, f64> {
    let n = m.nrows();
    let mut triplets = Vec::new();
    for j in 0..n {
        for i in (0..n).filter(|&i| keep(i, j) && m[(i, j)] != 0.0) {
            triplets.push(Triplet::new(i, j, m[(i, j)]));
        }
    }
    SparseColMat::try_new_from_triplets(n, n, &triplets).unwrap()
}

#[test]
fn sparse_and_dense_cholesky_agree_in_every_storage() {
    let rng = &mut Rng64::seed_from_u64(5);
    for (n, per_row) in [(1, 0), (5, 1), (50, 1), (120, 8), (150, 60)] {
        let h = sparse_spd(n, per_row, rng);
        let b = random_vector(n, rng);
        let shift = 0.25;
        let mut dense = DenseCholesky::new();
        dense.factor(both(&h), shift).unwrap();
        let mut exact = b.clone();
        dense.solve_in_place(&mut exact).unwrap();
        let exact_norm = dense.inverse_norm_squared(&b).unwrap();
        let full = to_sparse(h.as_ref(), |_, _| true);
        let lower = to_sparse(h.as_ref(), |i, j| i >= j);
        let upper = to_sparse(h.as_ref(), |i, j| i <= j);
        let views = [
            SymView::Sparse(full.as_ref(), Stored::Both),
            SymView::Sparse(full.as_ref(), Stored::Lower),
            SymView::Sparse(full.as_ref(), Stored::Upper),
            SymView::Sparse(lower.as_ref(), Stored::Both),
            SymView::Sparse(lower.as_ref(), Stored::Lower),
            SymView::Sparse(upper.as_ref(), Stored::Both),
            SymView::Sparse(upper.as_ref(), Stored::Upper),
        ];
        for (k, view) in views.into_iter().enumerate() {
            for mut f in [SparseCholesky::new(), SparseCholesky::ldlt()] {
                f.factor(view, shift).unwrap();
                let mut x = b.clone();
                f.solve_in_place(&mut x).unwrap();
                for (x, e) in x.iter().zip(&exact) {
                    assert!((x - e).abs() <= 1e-12 * norm(&exact), "n = {n}, view {k}");
                }
                let found = f.inverse_norm_squared(&b).unwrap();
                assert!((found - exact_norm).abs() <= 1e-12 * exact_norm);
                assert_eq!(f.inertia().positive, n);
            }
            let mut chosen = SparseCholesky::new();
            chosen.factor(view, shift).unwrap();
            assert_eq!(chosen.analyses(), 1);
        }
    }
}

#[test]
fn sparse_quasi_definite_inertia_matches_the_dense_one() {
    // [[P, Bᵀ], [B, -Q]]: few entries are factored entry by entry, many in blocks.
    let rng = &mut Rng64::seed_from_u64(6);
    for (n, per_row) in [(30, 1), (160, 60)] {
        let mut h = sparse_spd(n, per_row, rng);
        let cut = 2 * n / 3;
        for j in cut..n {
            for i in cut..n {
                h[(i, j)] = -h[(i, j)];
            }
        }
        let m = to_sparse(h.as_ref(), |_, _| true);
        let view = SymView::Sparse(m.as_ref(), Stored::Both);
        let mut sparse = SparseCholesky::ldlt();
        sparse.factor(view, 0.0).unwrap();
        let mut dense = BunchKaufman::new();
        dense.factor(view, 0.0).unwrap();
        assert_eq!(sparse.inertia(), dense.inertia());
        assert_eq!(sparse.inertia().negative, n - cut);
        let b = random_vector(n, rng);
        let mut x = b.clone();
        sparse.solve_in_place(&mut x).unwrap();
        let size = h.norm_l2();
        assert!(backward_error(view, 0.0, &x, &b, size) <= 1e-13);
    }
}

#[test]
fn sparse_failures_name_the_indefinite_row_in_blocks_too() {
    // A dense arrow whose tail is factored in blocks; row 70 alone is negative and decoupled.
    let n = 160;
    let h = Mat::from_fn(n, n, |i, j| match (i == j, i == 70 || j == 70) {
        (true, true) => -1.0,
        (true, false) => n as f64,
        (false, true) => 0.0,
        (false, false) => 0.5,
    });
    let m = to_sparse(h.as_ref(), |i, j| i >= j);
    let view = SymView::Sparse(m.as_ref(), Stored::Both);
    let expected = Err(Breakdown::NotPositiveDefinite { pivot: 70 });
    assert_eq!(SparseCholesky::new().factor(view, 0.0), expected);
    assert_eq!(DenseCholesky::new().factor(view, 0.0), expected);
    let mut ldlt = SparseCholesky::ldlt();
    let singular = Err(Breakdown::Singular { pivot: 70 });
    assert_eq!(ldlt.factor(view, 1.0), singular);
}

#[test]
fn shifted_factors_are_those_of_the_shifted_matrix() {
    let rng = &mut Rng64::seed_from_u64(7);
    for n in [2, 10, 40] {
        let values: Vec<f64> = (0..n).map(|i| i as f64 / n as f64 - 0.3).collect();
        let h = with_spectrum(&values, rng);
        let mut f = DenseCholesky::new();
        let done = factor_with_shift(&mut f, both(&h), 1.0).unwrap();
        assert!(done.shift > 0.3 - 1e-12 && done.shift < 3.0, "{done:?}");
        let b = random_vector(n, rng);
        let mut x = b.clone();
        f.solve_in_place(&mut x).unwrap();
        assert!(backward_error(both(&h), done.shift, &x, &b, 4.0) <= 1e-14);
        // A factor a·H is shifted by a·τ, for a power of two exactly.
        let scaled = Mat::from_fn(n, n, |i, j| 1024.0 * h[(i, j)]);
        let again = factor_with_shift(&mut f, both(&scaled), 1024.0).unwrap();
        assert_eq!(
            (again.shift, again.attempts),
            (1024.0 * done.shift, done.attempts)
        );
    }
}

#[test]
fn cg_predicts_the_decrease_of_its_model() {
    let rng = &mut Rng64::seed_from_u64(8);
    let mut cg = TruncatedCg::new();
    for lowest in [0.05, -0.5] {
        for max_iterations in [1, 3, 10, 200] {
            let n = 40;
            let values: Vec<f64> = (0..n).map(|i| lowest + i as f64 / n as f64).collect();
            let h = with_spectrum(&values, rng);
            let b = random_vector(n, rng);
            let jacobi: Vec<f64> = (0..n).map(|i| h[(i, i)]).collect();
            for preconditioner in [None, Some(&jacobi[..])] {
                let options = CgOptions {
                    relative_tolerance: 1e-10,
                    max_iterations,
                    step_tolerance: f64::INFINITY,
                    radius: f64::INFINITY,
                };
                let mut products = 0;
                let Ok(end) = cg.solve::<Infallible>(&b, preconditioner, options, &mut |v, out| {
                    products += 1;
                    sym_mul(both(&h), v, out).unwrap();
                    Ok(())
                });
                assert_eq!(products, end.iterations);
                let s = cg.solution();
                let mut hs = vec![0.0; n];
                sym_mul(both(&h), s, &mut hs).unwrap();
                let model: f64 = (0..n).map(|i| b[i] * s[i] - 0.5 * s[i] * hs[i]).sum();
                assert!(
                    (end.predicted_decrease - model).abs() <= 1e-12 * model.abs(),
                    "{end:?} {model}"
                );
                let by_hand = norm(cg.residual());
                assert!((by_hand - end.residual_norm).abs() <= 1e-14 * by_hand);
                match end.end {
                    CgEnd::Converged => assert!(end.residual_norm <= 1e-10 * norm(&b)),
                    CgEnd::MaxIterations => assert_eq!(end.iterations, max_iterations),
                    _ => {
                        let p = cg.direction();
                        sym_mul(both(&h), p, &mut hs).unwrap();
                        let curvature: f64 = p.iter().zip(&hs).map(|(p, hp)| p * hp).sum();
                        assert!(lowest < 0.0 && curvature <= 1e-15 * norm(p) * norm(&hs));
                    }
                }
                if max_iterations == 200 {
                    let wanted = if lowest > 0.0 {
                        CgEnd::Converged
                    } else {
                        CgEnd::NegativeCurvature
                    };
                    assert_eq!(end.end, wanted);
                }
            }
        }
    }
}

#[test]
fn nearly_singular_newton_steps_are_finite() {
    // f = ½ xᵀHx − bᵀx with b = H(1, 1) has the minimum −2.
    for last in [1.0, 1.0 + 1e-15] {
        let h = mat![[1.0, 1.0], [1.0, last]];
        let b = [2.0, 1.0 + last];
        let mut f = DenseCholesky::new();
        factor_with_shift(&mut f, both(&h), norm(&b)).unwrap();
        let mut x = b;
        f.solve_in_place(&mut x).unwrap();
        let mut hx = [0.0; 2];
        sym_mul(both(&h), &x, &mut hx).unwrap();
        let value: f64 = (0..2).map(|i| 0.5 * x[i] * hx[i] - b[i] * x[i]).sum();
        assert!((value + 2.0).abs() <= 1e-10, "{x:?} {value}");
    }
}

#[test]
fn the_product_of_a_gram_matrix_is_that_of_its_entries() {
    let mut rng = Rng64::seed_from_u64(8);
    let rows: Vec<Vec<f64>> = (0..9).map(|_| random_vector(4, &mut rng)).collect();
    let labels: Vec<f64> = (0..9).map(|i| f64::from(i % 2)).collect();
    let data = Dataset::from_rows(&rows, &labels).unwrap();
    let model = LogisticRegression::new(&data).l2(0.1).intercept(true);
    let h = model.hessian(&random_vector(5, &mut rng)).unwrap();
    let SymView::Gram(gram) = h.sym() else {
        panic!("no Gram matrix");
    };
    let full = gram.to_dense();
    let v = random_vector(5, &mut rng);
    let mut product = [0.0; 5];
    sym_mul(h.sym(), &v, &mut product).unwrap();
    for (i, p) in product.iter().enumerate() {
        let exact: f64 = (0..5).map(|j| full[(i, j)] * v[j]).sum();
        assert!((p - exact).abs() <= 1e-15, "{p} {exact}");
    }
    assert!(sym_mul(h.sym(), &v[1..], &mut product).is_err());
}
