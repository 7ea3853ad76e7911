//! H + λI for one λ after another: what the subproblems see of a matrix.

use super::Breakdown;
use super::sym_tridiagonal::{normalize, unit_start};
use crate::parallel::{dot, norm};

mod dense;
mod sparse;

pub use dense::{ShiftedDense, Transform};
pub use sparse::ShiftedSparse;

/// H + λI, factored for one λ after another.
///
/// The matrix is kept, so no view of it has to live on.
/// [`SymTridiagonal`](super::SymTridiagonal) costs O(n) per λ,
/// [`ShiftedDense`] n³/3 multiplications, [`ShiftedSparse`] one numeric factorization.
pub trait Shifted {
    /// Number of rows.
    fn dimension(&self) -> usize;

    /// An interval that contains the spectrum of H, by Gershgorin's theorem.
    fn bounds(&self) -> (f64, f64);

    /// Factors H + `shift`·I; false if it is not positive definite.
    ///
    /// After false or an error there is no factor until the next success.
    ///
    /// # Errors
    /// [`Breakdown`] other than [`Breakdown::NotPositiveDefinite`].
    fn factor(&mut self, shift: f64) -> Result<bool, Breakdown>;

    /// Overwrites `v` by (H + λI)⁻¹v.
    ///
    /// # Errors
    /// [`Breakdown::NotFactored`], [`Breakdown::Length`].
    fn solve_in_place(&mut self, v: &mut [f64]) -> Result<(), Breakdown>;

    /// vᵀ(H + λI)⁻¹v.
    ///
    /// # Errors
    /// [`Breakdown::NotFactored`], [`Breakdown::Length`].
    fn inverse_norm_squared(&mut self, v: &[f64]) -> Result<f64, Breakdown>;

    /// `out` = Hv. Both have [`dimension`](Shifted::dimension) entries.
    fn mul(&self, v: &[f64], out: &mut [f64]);

    /// The least eigenvalue λ_1 of H, and a unit eigenvector in `vector`. May replace the factor.
    ///
    /// # Errors
    /// [`Breakdown`] for a matrix that is empty or not finite, and [`Breakdown::NoConvergence`].
    fn leftmost(&mut self, vector: &mut [f64]) -> Result<f64, Breakdown>;

    /// Factorizations so far of cost O(n³), or sparse numeric ones, failed ones included.
    fn factorizations(&self) -> u64;
}

/// Most factorizations that [`least_eigenpair`] spends.
const MOST_FACTORIZATIONS: usize = 120;
/// Solves with each factor.
const SOLVES: usize = 3;

/// The least eigenvalue of H and its eigenvector, by safeguarded inverse iteration.
///
/// λ_1 is kept in a bracket: above every s with H − sI = LLᵀ, below every s
/// without, and below the Rayleigh quotient θ = vᵀHv. It starts at Gershgorin's bound. Each round factors at
/// s = θ − ‖Hv − θv‖ (some eigenvalue is at least that large, and near the end
/// it is λ_1), farther away if that fails, or in the middle of the bracket, and
/// improves v by solves with H − sI. Ends when the bracket is closed to a few roundings of ‖H‖, or
/// the residual is that small and the bracket 10⁻¹³‖H‖ wide. `work` has the
/// length of `vector`.
///
/// Reference: B. N. Parlett, The Symmetric Eigenvalue Problem (1980), sections 4.6 and 11.5.
fn least_eigenpair(
    matrix: &mut dyn Shifted,
    vector: &mut [f64],
    work: &mut [f64],
) -> Result<f64, Breakdown> {
    let n = matrix.dimension();
    let (low, high) = matrix.bounds();
    let size = low.abs().max(high.abs());
    unit_start(vector);
    if n == 1 || size == 0.0 {
        vector.fill(0.0);
        vector[0] = 1.0;
        return Ok(low);
    }
    let rounding = 4.0 * (n as f64).sqrt() * f64::EPSILON * size;
    // Positive definite at `low`, with room for the rounding of a factorization.
    let mut low = low - 4.0 * rounding;
    let mut high = high;
    if !matrix.factor(-low)? {
        return Err(Breakdown::NoConvergence);
    }
    let (mut theta, mut residual) = improve(matrix, vector, work)?;
    high = high.min(theta);
    let mut halve = false;
    let mut offset = residual.max(rounding);
    for _ in 0..MOST_FACTORIZATIONS {
        if high - low <= 2.0 * rounding || (residual <= rounding && theta - low <= 1e-13 * size) {
            return Ok(theta);
        }
        let near = theta - offset;
        let shift = if halve || near <= low || near >= high {
            0.5 * low + 0.5 * high
        } else {
            near
        };
        if shift <= low || shift >= high {
            return Ok(theta);
        }
        let width = high - low;
        if matrix.factor(-shift)? {
            low = shift;
            (theta, residual) = improve(matrix, vector, work)?;
            high = high.min(theta.max(low));
            offset = residual.max(rounding);
        } else {
            high = shift;
            offset *= 8.0;
        }
        // Until v has converged, a round that does not halve the bracket is followed by one that does.
        halve = residual > rounding && high - low > 0.5 * width;
    }
    Err(Breakdown::NoConvergence)
}

/// Inverse iteration with the factor at hand; returns θ and ‖Hv − θv‖.
fn improve(
    matrix: &mut dyn Shifted,
    vector: &mut [f64],
    work: &mut [f64],
) -> Result<(f64, f64), Breakdown> {
    for _ in 0..SOLVES {
        work.copy_from_slice(vector);
        matrix.solve_in_place(work)?;
        if !normalize(work) {
            break;
        }
        vector.copy_from_slice(work);
    }
    Ok(rayleigh(matrix, vector, work))
}

/// θ = vᵀHv and ‖Hv − θv‖.
fn rayleigh(matrix: &dyn Shifted, v: &[f64], work: &mut [f64]) -> (f64, f64) {
    matrix.mul(v, work);
    let theta = dot(v, work);
    for (w, v) in work.iter_mut().zip(v) {
        *w -= theta * v;
    }
    (theta, norm(work))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::edge::{Stored, SymView};
    use crate::linear::gram::GramView;
    use crate::linear::{GramSolve, SymmetricEigen, Tridiagonal, sym_mul};
    use crate::models::design::Design;
    use faer::sparse::{SparseColMat, Triplet};
    use faer::{Mat, mat};

    fn both(m: &Mat<f64>) -> SymView<'_> {
        SymView::Dense(m.as_ref(), Stored::Both)
    }

    fn sparse(m: &Mat<f64>, stored: Stored) -> SparseColMat<usize, f64> {
        let mut triplets = Vec::new();
        for j in 0..m.ncols() {
            for i in 0..m.nrows() {
                let meant = match stored {
                    Stored::Lower => i >= j,
                    Stored::Upper => i <= j,
                    Stored::Both => true,
                };
                if m[(i, j)] != 0.0 && meant {
                    triplets.push(Triplet::new(i, j, m[(i, j)]));
                }
            }
        }
        SparseColMat::try_new_from_triplets(m.nrows(), m.ncols(), &triplets).unwrap()
    }

    fn matrices() -> Vec<Mat<f64>> {
        let mut all = vec![
            mat![[-7.0]],
            mat![[0.0]],
            Mat::zeros(5, 5),
            Mat::identity(6, 6),
            -Mat::<f64>::identity(6, 6),
            // Rank one; a permutation; a path with an absent diagonal.
            Mat::from_fn(9, 9, |_, _| 1.0),
            Mat::from_fn(8, 8, |i, j| f64::from(i + j == 7)),
            Mat::from_fn(30, 30, |i, j| f64::from(i.abs_diff(j) == 1)),
            // Two equal blocks, so that −1 is double.
            mat![
                [0.0, 1.0, 0.0, 0.0],
                [1.0, 0.0, 0.0, 0.0],
                [0.0, 0.0, 0.0, 1.0],
                [0.0, 0.0, 1.0, 0.0]
            ],
            // Nearly double.
            mat![[-1.0, 0.0, 0.0], [0.0, -1.0 + 1e-12, 0.0], [0.0, 0.0, 5.0]],
        ];
        for n in [3, 20, 90, 200] {
            all.push(Mat::from_fn(n, n, |i, j| {
                let (i, j) = (i.max(j) as f64, i.min(j) as f64);
                (1.0 + 3.0 * i * i - 7.0 * j + i * j).sin()
            }));
            // Positive definite, ill-conditioned.
            all.push(Mat::from_fn(n, n, |i, j| 1.0 / (1.0 + (i + j) as f64)));
        }
        for scale in [1e-200, 1e200] {
            all.push(mat![[0.0, 2.0 * scale], [2.0 * scale, 3.0 * scale]]);
        }
        all
    }

    fn check(matrix: &mut dyn Shifted, h: &Mat<f64>) {
        let n = h.nrows();
        let mut eigen = SymmetricEigen::new();
        eigen.factor(both(h)).unwrap();
        let (low, high) = matrix.bounds();
        let size = low.abs().max(high.abs());
        let slack = 1e-13 * size;
        assert!(low <= eigen.values()[0] + slack && high >= eigen.values()[n - 1] - slack);
        assert_eq!(matrix.dimension(), n);
        let v: Vec<f64> = (0..n).map(|i| (1.0 + i as f64).cos()).collect();
        let (mut out, mut exact) = (vec![0.0; n], vec![0.0; n]);
        let least = matrix.leftmost(&mut out).unwrap();
        assert!(
            (least - eigen.values()[0]).abs() <= 1e-12 * size,
            "{least:e} n = {n}"
        );
        assert!((norm(&out) - 1.0).abs() < 1e-13);
        let (theta, residual) = rayleigh(matrix, &out, &mut exact);
        assert!((theta - least).abs() <= 1e-12 * size && residual <= 1e-6 * size);
        let mark = matrix.factorizations();
        assert!(
            mark <= 25,
            "{mark} factorizations for the least eigenvalue, n = {n}"
        );
        // Products and factors, after all this.
        for shift in [size - least, 2.0 * size - least, 0.3 * size - least] {
            if size == 0.0 {
                continue;
            }
            matrix.mul(&v, &mut out);
            sym_mul(both(h), &v, &mut exact).unwrap();
            for (a, b) in out.iter().zip(&exact) {
                assert!((a - b).abs() <= 1e-13 * n as f64 * size);
            }
            assert!(matrix.factor(shift).unwrap());
            for (out, v) in out.iter_mut().zip(&v) {
                *out += shift * v;
            }
            let image = out.clone();
            matrix.solve_in_place(&mut out).unwrap();
            for (a, b) in out.iter().zip(&v) {
                assert!((a - b).abs() <= 1e-11, "{a} {b}");
            }
            let product = dot(&v, &image);
            let squared = matrix.inverse_norm_squared(&image).unwrap();
            assert!((squared - product).abs() <= 1e-12 * product);
            assert!(!matrix.factor(-least - 0.01 * size).unwrap());
            assert_eq!(matrix.solve_in_place(&mut out), Err(Breakdown::NotFactored));
        }
    }

    #[test]
    fn all_kinds_agree_with_eigenvalues() {
        let mut dense = ShiftedDense::new();
        let mut reduced = Tridiagonal::new();
        for h in matrices() {
            dense.set(both(&h)).unwrap();
            let mut fresh = ShiftedDense::new();
            fresh.set(both(&h)).unwrap();
            check(&mut fresh, &h);
            // After all these factorizations H is still there.
            fresh.reduce(&mut reduced).unwrap();
            let diagonal = reduced.diagonal().to_vec();
            dense.reduce(&mut reduced).unwrap();
            assert_eq!(diagonal, reduced.diagonal());
            reduced.factor(both(&h)).unwrap();
            assert_eq!(diagonal, reduced.diagonal());
            for stored in [Stored::Both, Stored::Lower, Stored::Upper] {
                let m = sparse(&h, stored);
                let mut matrix = ShiftedSparse::new();
                matrix.set(SymView::Sparse(m.as_ref(), stored)).unwrap();
                check(&mut matrix, &h);
                assert_eq!(matrix.analyses(), 1);
                let mut spread = ShiftedDense::new();
                spread.set(SymView::Sparse(m.as_ref(), stored)).unwrap();
                assert_eq!(spread.bounds(), dense.bounds());
            }
        }
    }

    #[test]
    fn gram_matrices_are_formed() {
        let rows: Vec<Vec<f64>> = (0..7)
            .map(|i| (0..4).map(|j| f64::from(3 * i + 5 * j).sin()).collect())
            .collect();
        let design = Design::new(&Dataset::from_rows(&rows, &[1.0; 7]).unwrap());
        let weight = [0.5, 1.0, 0.0, 2.0, 1.0, 3.0, 0.1];
        let view = GramView {
            design: &design,
            weight: &weight,
            ridge: 0.25,
            intercept: true,
            solve: GramSolve::Auto,
            part: 1.0,
        };
        let h = Mat::from_fn(5, 5, |i, j| {
            let at = |k: usize, i: usize| if i < 4 { rows[k][i] } else { 1.0 };
            let sum: f64 = (0..7).map(|k| weight[k] * at(k, i) * at(k, j)).sum();
            sum + if i == j && i < 4 { 0.25 } else { 0.0 }
        });
        let mut matrix = ShiftedDense::new();
        matrix.set(SymView::Gram(view)).unwrap();
        check(&mut matrix, &h);
        let (mut a, mut b) = (Tridiagonal::new(), Tridiagonal::new());
        matrix.reduce(&mut a).unwrap();
        b.factor(SymView::Gram(view)).unwrap();
        for (a, b) in a.diagonal().iter().zip(b.diagonal()) {
            assert!((a - b).abs() <= 1e-13);
        }
        let weight = [f64::NAN; 7];
        let bad = GramView {
            weight: &weight,
            ..view
        };
        assert!(matrix.set(SymView::Gram(bad)).is_err());
        assert_eq!(matrix.dimension(), 0);
    }

    #[test]
    fn without_a_matrix_there_is_none() {
        let mut v = [1.0; 2];
        let bad = mat![[1.0, 0.0], [f64::NAN, 1.0]];
        let fine = mat![[2.0, 0.0], [0.0, 1.0]];
        let at = Err(Breakdown::NonFinite { row: 1, col: 0 });
        let mut dense = ShiftedDense::new();
        let mut sparse_one = ShiftedSparse::new();
        assert_eq!(sparse_one.set(both(&fine)), Err(Breakdown::NotSparse));
        for matrix in [&mut dense as &mut dyn Shifted, &mut sparse_one] {
            assert_eq!(matrix.dimension(), 0);
            assert_eq!(matrix.factor(1.0), Err(Breakdown::Empty));
            assert_eq!(matrix.leftmost(&mut v), Err(Breakdown::Empty));
            assert!(matrix.solve_in_place(&mut v).is_err());
        }
        dense.set(both(&fine)).unwrap();
        assert!(dense.factor(0.0).unwrap());
        assert_eq!(dense.set(both(&bad)), at);
        assert_eq!(dense.factor(1.0), Err(Breakdown::Empty));
        assert_eq!(dense.reduce(&mut Tridiagonal::new()), Err(Breakdown::Empty));
        let m = sparse(&bad, Stored::Both);
        let view = SymView::Sparse(m.as_ref(), Stored::Lower);
        assert_eq!(sparse_one.set(view), at);
        assert_eq!(sparse_one.factor(1.0), Err(Breakdown::Empty));
        dense.set(both(&fine)).unwrap();
        assert_eq!(
            dense.factor(f64::NAN),
            Err(Breakdown::NonFinite { row: 0, col: 0 })
        );
        let wrong = Err(Breakdown::Length {
            expected: 2,
            found: 3,
        });
        assert_eq!(
            dense.leftmost(&mut [0.0; 3]),
            Err(Breakdown::Length {
                expected: 2,
                found: 3
            })
        );
        assert!(dense.factor(0.0).unwrap());
        assert_eq!(dense.solve_in_place(&mut [0.0; 3]), wrong);
    }
}
