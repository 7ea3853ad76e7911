//! The least eigenvalue λ₁ of H with a unit eigenvector: the curvature that decides about a point.

use super::cg::Operator;
use super::lanczos::{Lanczos, LanczosEnd};
use super::shifted::{Shifted, ShiftedSparse};
use super::{Breakdown, Tridiagonal};
use crate::edge::SymView;
use crate::stochastic::Stream;

/// Independent starts of [`Leftmost::of_products`].
const STARTS: usize = 2;

/// Both ends of the spectrum of H.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ends {
    /// λ₁, or an upper bound of it where H is known by products.
    pub least: f64,
    /// The largest magnitude of an eigenvalue: exact to rounding for a dense matrix, Gershgorin's
    /// upper bound for a sparse one, a lower bound where H is known by products.
    pub scale: f64,
}

/// Finds λ₁ and a unit vector u with uᵀHu = λ₁. Workspace is allocated by the first matrix of a size.
///
/// * Dense, and every view that is not sparse: one tridiagonal reduction of 4/3 n³
///   multiplications, bisection and inverse iteration in O(n), 2n² to come back. Deterministic.
/// * Sparse: inverse iteration safeguarded by sparse Cholesky factorizations, 8 to 16 of them.
///   Deterministic.
/// * Products: two Lanczos runs from independent Gaussian vectors with full orthogonalization;
///   u is the Ritz vector of the smaller Ritz value, which is at least λ₁.
#[derive(Debug, Default)]
pub struct Leftmost {
    dense: Tridiagonal,
    sparse: ShiftedSparse,
    lanczos: Lanczos,
    vector: Vec<f64>,
    /// The start, and the Ritz vector of a later run.
    other: Vec<f64>,
    /// An eigenvector of T.
    inner: Vec<f64>,
}

impl Leftmost {
    /// Without storage.
    pub fn new() -> Self {
        Self::default()
    }

    /// u, of the last success.
    pub fn vector(&self) -> &[f64] {
        &self.vector
    }

    /// Dimension of the Krylov space that finds a clearly negative eigenvalue with good odds:
    /// the least of n and 20 + 2 ln n.
    pub fn krylov(n: usize) -> usize {
        n.min((20.0 + 2.0 * (n.max(1) as f64).ln()).ceil() as usize)
    }

    /// λ₁ and u of a matrix.
    ///
    /// # Errors
    /// [`Breakdown`] for a matrix that is empty, not square or not finite, or whose
    /// eigenvector iteration failed.
    pub fn of_matrix(&mut self, view: SymView<'_>) -> Result<Ends, Breakdown> {
        if let SymView::Sparse(..) = view {
            self.sparse.set(view)?;
            self.vector.resize(self.sparse.dimension(), 0.0);
            let (low, high) = self.sparse.bounds();
            return Ok(Ends {
                least: self.sparse.leftmost(&mut self.vector)?,
                scale: low.abs().max(high.abs()),
            });
        }
        self.dense.factor(view)?;
        let n = self.dense.diagonal().len();
        self.vector.resize(n, 0.0);
        self.inner.resize(n, 0.0);
        let greatest = self.dense.matrix().greatest_eigenvalue()?;
        let least = self.dense.matrix_mut().leftmost(&mut self.inner)?;
        self.dense.from_basis(&self.inner, &mut self.vector)?;
        Ok(Ends {
            least,
            scale: least.abs().max(greatest.abs()),
        })
    }

    /// The least Ritz value of n x n H in Krylov spaces of `krylov` dimensions, and its vector.
    ///
    /// [`None`] if n is zero or a product is not finite. Costs at most 2 `krylov` products.
    ///
    /// # Errors
    /// That of `apply`, unchanged.
    pub fn of_products<E>(
        &mut self,
        n: usize,
        apply: &mut Operator<'_, E>,
        stream: &mut Stream,
        krylov: usize,
    ) -> Result<Option<Ends>, E> {
        let mut ends: Option<Ends> = None;
        self.vector.resize(n, 0.0);
        self.other.resize(n, 0.0);
        self.lanczos.set_limit(krylov);
        for _ in 0..STARTS {
            for z in &mut self.other {
                *z = stream.normal();
            }
            self.lanczos.start(&self.other);
            let end = self.lanczos.extend(krylov, apply, &mut |_, _| false)?;
            let k = self.lanczos.dimension();
            self.inner.resize(k, 0.0);
            let t = self.lanczos.matrix_mut();
            let (Ok(greatest), Ok(least)) = (t.greatest_eigenvalue(), t.leftmost(&mut self.inner))
            else {
                return Ok(None);
            };
            if end == LanczosEnd::NonFinite {
                return Ok(None);
            }
            let scale = least.abs().max(greatest.abs());
            if ends.is_none_or(|ends| least < ends.least) {
                self.lanczos.expand(&self.inner, &mut self.vector);
            }
            ends = Some(ends.map_or(Ends { least, scale }, |ends| Ends {
                least: ends.least.min(least),
                scale: ends.scale.max(scale),
            }));
            if k == n {
                break;
            }
        }
        Ok(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Stored;
    use crate::linear::{SymmetricEigen, sym_mul};
    use crate::parallel::{dot, norm};
    use crate::stochastic::Purpose;
    use faer::sparse::{SparseColMat, Triplet};
    use faer::{Mat, mat};
    use std::convert::Infallible;

    fn matrices() -> Vec<Mat<f64>> {
        let mut all = vec![
            mat![[-7.0]],
            mat![[0.0]],
            Mat::zeros(4, 4),
            Mat::identity(5, 5),
            Mat::from_fn(9, 9, |_, _| 1.0),
            mat![[1.0, 0.0], [0.0, -1e-9]],
        ];
        for n in [3, 20, 90] {
            all.push(Mat::from_fn(n, n, |i, j| {
                let (i, j) = (i.max(j) as f64, i.min(j) as f64);
                (1.0 + 3.0 * i * i - 7.0 * j + i * j).sin()
            }));
        }
        for scale in [1e-200, 1e200] {
            all.push(mat![[0.0, 2.0 * scale], [2.0 * scale, 3.0 * scale]]);
        }
        all
    }

    fn check(h: &Mat<f64>, ends: Ends, u: &[f64], tolerance: f64) {
        let n = h.nrows();
        let view = SymView::Dense(h.as_ref(), Stored::Both);
        let mut eigen = SymmetricEigen::new();
        eigen.factor(view).unwrap();
        let size = eigen.values()[0].abs().max(eigen.values()[n - 1].abs());
        assert!((ends.least - eigen.values()[0]).abs() <= tolerance * size);
        assert!(ends.scale >= (1.0 - tolerance) * size);
        assert!((norm(u) - 1.0).abs() < 1e-13);
        let mut image = vec![0.0; n];
        sym_mul(view, u, &mut image).unwrap();
        assert!((dot(u, &image) - ends.least).abs() <= tolerance * size);
    }

    #[test]
    fn storages_and_products_agree() {
        let mut leftmost = Leftmost::new();
        for h in matrices() {
            let n = h.nrows();
            let view = SymView::Dense(h.as_ref(), Stored::Both);
            let ends = leftmost.of_matrix(view).unwrap();
            check(&h, ends, leftmost.vector(), 1e-12);
            let triplets: Vec<_> = (0..n * n)
                .map(|k| Triplet::new(k / n, k % n, h[(k / n, k % n)]))
                .collect();
            let m = SparseColMat::try_new_from_triplets(n, n, &triplets).unwrap();
            let ends = leftmost
                .of_matrix(SymView::Sparse(m.as_ref(), Stored::Both))
                .unwrap();
            check(&h, ends, leftmost.vector(), 1e-12);
            let mut apply = |v: &[f64], out: &mut [f64]| {
                sym_mul(view, v, out).unwrap();
                Ok::<(), Infallible>(())
            };
            let mut stream = Stream::new(5, Purpose::Probes);
            let Ok(ends) = leftmost.of_products(n, &mut apply, &mut stream, n);
            check(&h, ends.unwrap(), leftmost.vector(), 1e-12);
            let Ok(ends) = leftmost.of_products(n, &mut apply, &mut stream, Leftmost::krylov(n));
            check(&h, ends.unwrap(), leftmost.vector(), 1e-2);
        }
    }

    #[test]
    fn broken_input_is_told() {
        let mut leftmost = Leftmost::new();
        let h = mat![[1.0, 0.0], [f64::NAN, 1.0]];
        let end = leftmost.of_matrix(SymView::Dense(h.as_ref(), Stored::Both));
        assert_eq!(end, Err(Breakdown::NonFinite { row: 1, col: 0 }));
        let mut stream = Stream::new(5, Purpose::Probes);
        let mut nan = |_: &[f64], out: &mut [f64]| {
            out.fill(f64::NAN);
            Ok(())
        };
        let end: Result<_, Infallible> = leftmost.of_products(2, &mut nan, &mut stream, 2);
        assert_eq!(end, Ok(None));
        let end: Result<_, Infallible> = leftmost.of_products(0, &mut nan, &mut stream, 2);
        assert_eq!(end, Ok(None));
        let end = leftmost.of_products(2, &mut |_, _| Err("user"), &mut stream, 2);
        assert_eq!(end, Err("user"));
    }
}
