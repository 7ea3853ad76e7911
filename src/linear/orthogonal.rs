//! Singular values of a rectangular matrix, after one orthogonal reduction to its shorter side.
//!
//! With k = min(m, n): if m ≥ n, A = QR and R = UΣVᵀ, so the left vectors are QU and the right
//! ones V; if m < n, Aᵀ = QR and R = UΣVᵀ, so the left ones are V and the right ones QU. Q is
//! kept as Householder vectors in the storage of A; nothing larger than A is ever formed.
//!
//! Cost: 2mn·k − ⅔k³ flops for Q and about 20k³ for the values and vectors.

use super::{Breakdown, PAR, Scratch};
use dyn_stack::StackReq;
use faer::diag::DiagMut;
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch as apply_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj as apply,
    apply_block_householder_sequence_transpose_on_the_left_in_place_scratch as apply_transpose_scratch,
    apply_block_householder_sequence_transpose_on_the_left_in_place_with_conj as apply_transpose,
};
use faer::linalg::qr::no_pivoting::factor;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{ColMut, Conj, MatMut, MatRef};

/// A = (left) Σ (right)ᵀ, with Q implicit.
#[derive(Debug, Default)]
pub(crate) struct Orthogonal {
    rows: usize,
    cols: usize,
    /// A or Aᵀ, whichever is tall, column-major; R and Householder vectors once factored.
    tall: Vec<f64>,
    block: usize,
    coefficients: Vec<f64>,
    triangle: Vec<f64>,
    u: Vec<f64>,
    v: Vec<f64>,
    values: Vec<f64>,
    work: Vec<f64>,
    scratch: Scratch,
}

impl Orthogonal {
    /// Makes room for a matrix of `rows` x `cols`; allocates if the shape is new.
    pub(crate) fn resize(&mut self, rows: usize, cols: usize) {
        if (rows, cols) == (self.rows, self.cols) {
            return;
        }
        (self.rows, self.cols) = (rows, cols);
        let (long, k) = (self.long(), self.values_count());
        self.block = factor::recommended_block_size::<f64>(long, k).clamp(1, k.max(1));
        self.tall.resize(long * k, 0.0);
        self.coefficients.resize(self.block * k, 0.0);
        for square in [&mut self.triangle, &mut self.u, &mut self.v] {
            square.resize(k * k, 0.0);
        }
        self.values.resize(k, 0.0);
        self.work.resize(long, 0.0);
        let thin = ComputeSvdVectors::Thin;
        self.scratch = Scratch::new(StackReq::any_of(&[
            factor::qr_in_place_scratch::<f64>(long, k, self.block, PAR, Default::default()),
            svd_scratch::<f64>(k, k, thin, thin, PAR, Default::default()),
            apply_scratch::<f64>(long, self.block, 1),
            apply_transpose_scratch::<f64>(long, self.block, 1),
        ]));
    }

    /// Whether m < n.
    pub(crate) fn is_wide(&self) -> bool {
        self.rows < self.cols
    }

    /// A as an m x n matrix, to be filled before [`factor`](Self::factor).
    pub(crate) fn matrix(&mut self) -> MatMut<'_, f64> {
        let (long, k) = (self.long(), self.values_count());
        let wide = self.is_wide();
        let tall = MatMut::from_column_major_slice_mut(&mut self.tall, long, k);
        if wide { tall.transpose_mut() } else { tall }
    }

    /// A as it was filled in.
    pub(crate) fn filled(&self) -> MatRef<'_, f64> {
        let tall = self.tall();
        if self.is_wide() {
            tall.transpose()
        } else {
            tall
        }
    }

    /// Overwrites A, whose entries must be finite, by its factors.
    ///
    /// # Errors
    /// [`Breakdown::NoConvergence`].
    pub(crate) fn factor(&mut self) -> Result<(), Breakdown> {
        let (long, k) = (self.long(), self.values_count());
        let mut tall = MatMut::from_column_major_slice_mut(&mut self.tall, long, k);
        factor::qr_in_place(
            tall.as_mut(),
            MatMut::from_column_major_slice_mut(&mut self.coefficients, self.block, k),
            PAR,
            self.scratch.stack(),
            Default::default(),
        );
        for j in 0..k {
            for i in 0..k {
                self.triangle[i + j * k] = if i <= j { tall[(i, j)] } else { 0.0 };
            }
        }
        svd(
            MatRef::from_column_major_slice(&self.triangle, k, k),
            DiagMut::from_slice_mut(&mut self.values),
            Some(MatMut::from_column_major_slice_mut(&mut self.u, k, k)),
            Some(MatMut::from_column_major_slice_mut(&mut self.v, k, k)),
            PAR,
            self.scratch.stack(),
            Default::default(),
        )
        .map_err(|_| Breakdown::NoConvergence)?;
        if self.values.iter().all(|s| s.is_finite()) {
            Ok(())
        } else {
            Err(Breakdown::NoConvergence)
        }
    }

    /// The k singular values, from the largest.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    /// `out` = (left)ᵀ b, k entries from m.
    pub(crate) fn left_transposed(&mut self, b: &[f64], out: &mut [f64]) {
        let k = self.values_count();
        if self.is_wide() {
            multiply_transposed(&self.v, b, out);
            return;
        }
        self.work.copy_from_slice(b);
        self.reflect(true);
        multiply_transposed(&self.u, &self.work[..k], out);
    }

    /// `out` = QU c: max(m, n) entries from k. The left vectors of A if m ≥ n, else the right ones.
    pub(crate) fn long_vectors(&mut self, c: &[f64], out: &mut [f64]) {
        let k = self.values_count();
        multiply(&self.u, c, &mut self.work[..k]);
        self.work[k..].fill(0.0);
        self.reflect(false);
        out.copy_from_slice(&self.work);
    }

    /// `out` = (right) c, n entries from k.
    pub(crate) fn right(&mut self, c: &[f64], out: &mut [f64]) {
        if self.is_wide() {
            // Those of A are the left ones of its transpose.
            self.long_vectors(c, out);
        } else {
            multiply(&self.v, c, out);
        }
    }

    /// The right vectors of a matrix with m ≥ n, column-major n x n.
    pub(crate) fn right_vectors(&self) -> &[f64] {
        &self.v
    }

    /// Applies Q, or Qᵀ, to `work`.
    fn reflect(&mut self, transposed: bool) {
        let (long, k) = (self.long(), self.values_count());
        let basis = MatRef::from_column_major_slice(&self.tall, long, k);
        let coefficients = MatRef::from_column_major_slice(&self.coefficients, self.block, k);
        let work = ColMut::from_slice_mut(&mut self.work).as_mat_mut();
        let stack = self.scratch.stack();
        if transposed {
            apply_transpose(basis, coefficients, Conj::No, work, PAR, stack);
        } else {
            apply(basis, coefficients, Conj::No, work, PAR, stack);
        }
    }

    fn tall(&self) -> MatRef<'_, f64> {
        MatRef::from_column_major_slice(&self.tall, self.long(), self.values_count())
    }

    fn long(&self) -> usize {
        self.rows.max(self.cols)
    }

    fn values_count(&self) -> usize {
        self.rows.min(self.cols)
    }
}

/// `out` = M c for a square column-major M.
fn multiply(matrix: &[f64], c: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    for (column, c) in matrix.chunks_exact(out.len().max(1)).zip(c) {
        super::axpy(*c, column, out);
    }
}

/// `out` = Mᵀ b for a square column-major M.
fn multiply_transposed(matrix: &[f64], b: &[f64], out: &mut [f64]) {
    for (column, out) in matrix.chunks_exact(b.len().max(1)).zip(out) {
        *out = super::dot(column, b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::norm;

    fn entry(i: usize, j: usize) -> f64 {
        ((3 * i + 7 * j + i * j) as f64).sin()
    }

    #[test]
    fn both_sides_give_the_least_squares_solution_of_least_norm() {
        for (m, n) in [(1, 1), (9, 4), (4, 9), (6, 6), (300, 40), (40, 300)] {
            let mut factor = Orthogonal::default();
            factor.resize(m, n);
            let mut a = factor.matrix();
            for j in 0..n {
                for i in 0..m {
                    a[(i, j)] = entry(i, j) + f64::from(i == j);
                }
            }
            let a = factor.filled().to_owned();
            factor.factor().unwrap();
            let b: Vec<f64> = (0..m).map(|i| entry(i, 5)).collect();
            let k = m.min(n);
            let (mut c, mut x) = (vec![0.0; k], vec![0.0; n]);
            factor.left_transposed(&b, &mut c);
            for (c, s) in c.iter_mut().zip(factor.values()) {
                *c /= s;
            }
            factor.right(&c, &mut x);
            let residual: Vec<f64> = (0..m)
                .map(|i| (0..n).map(|j| a[(i, j)] * x[j]).sum::<f64>() - b[i])
                .collect();
            let normal: Vec<f64> = (0..n)
                .map(|j| (0..m).map(|i| a[(i, j)] * residual[i]).sum())
                .collect();
            let scale = norm(&b) * factor.values()[0];
            assert!(norm(&normal) <= 1e-13 * scale, "{m} x {n}: {normal:?}");
            if m < n {
                // In the row space: x = Aᵀu has the least norm. So a second pass changes nothing.
                let ax: Vec<f64> = (0..m)
                    .map(|i| (0..n).map(|j| a[(i, j)] * x[j]).sum())
                    .collect();
                let mut again = vec![0.0; n];
                factor.left_transposed(&ax, &mut c);
                for (c, s) in c.iter_mut().zip(factor.values()) {
                    *c /= s;
                }
                factor.right(&c, &mut again);
                let change: Vec<f64> = x.iter().zip(&again).map(|(a, b)| a - b).collect();
                assert!(norm(&change) <= 1e-12 * norm(&x), "{m} x {n}");
            }
        }
    }

    #[test]
    fn matrices_of_zeros_and_ones_have_their_rank() {
        for (m, n, value, rank) in [(5, 3, 0.0, 0), (5, 3, 1.0, 1), (3, 5, 1.0, 1)] {
            let mut factor = Orthogonal::default();
            factor.resize(m, n);
            factor.matrix().fill(value);
            factor.factor().unwrap();
            let large = factor.values().iter().filter(|s| **s > 1e-14).count();
            assert_eq!(large, rank);
        }
    }
}
