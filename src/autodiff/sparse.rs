//! Sparse Hessians by compressed columns.

use super::pattern::Pattern;
use super::{AutoDiff, ScalarFunction, along, gradient, hessian_product, partials};
use crate::error::{Error, finite, length};
use crate::problem::HessianProduct;
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian};
use faer::sparse::{SparseColMat, SymbolicSparseColMat};

/// A problem whose Hessian has a known sparse structure; see
/// [`AutoDiff::sparsity`].
///
/// The columns are colored such that those of one color share no row (greedily, at
/// distance 2 in the graph of the matrix, Curtis, Powell and Reid 1974). The product
/// with the sum of the unit vectors of one color then shows all entries of its
/// columns. So the Hessian takes as many products as there are colors, 3 if it is
/// tridiagonal whatever n; of each only the rows on and below the diagonal are
/// computed, four per evaluation of the function.
///
/// The Hessian is a faer `SparseColMat` with both triangles, equal to the last bit.
#[derive(Debug, Clone)]
pub struct SparseAutoDiff<F> {
    problem: AutoDiff<F>,
    pattern: Pattern,
}

/// Relative difference of two products above which an entry is missing.
const MISSING: f64 = 1e-10;

impl<F: ScalarFunction> SparseAutoDiff<F> {
    pub(super) fn new(function: F, structure: &[(usize, usize)]) -> Result<Self, Error> {
        let pattern = Pattern::new(function.dimension(), structure)?;
        Ok(SparseAutoDiff {
            problem: AutoDiff::new(function),
            pattern,
        })
    }

    /// The function itself.
    pub fn function(&self) -> &F {
        self.problem.function()
    }

    /// The number of colors, which is that of the products per Hessian.
    pub fn color_count(&self) -> usize {
        self.pattern.colors.len()
    }

    /// The number of stored entries, in both triangles.
    pub fn entry_count(&self) -> usize {
        self.pattern.row_idx.len()
    }

    /// Compares the sparse Hessian at x with the exact one, in the product with one
    /// fixed vector without pattern.
    ///
    /// Use a generic x: an entry that vanishes there is not missed. An entry of less
    /// than 1e-10 of the largest in its row may pass.
    ///
    /// # Errors
    /// [`OutsideStructure`](Error::OutsideStructure) if an entry is missing from the
    /// structure, a point of the wrong length, a product that is not finite.
    pub fn check_structure(&self, x: &[f64]) -> Result<(), Error> {
        let n = x.len();
        let h = self.sparse_hessian(x)?;
        let v: Vec<f64> = (0..n).map(|j| 1.5 + (1.0 + j as f64).sin()).collect();
        let mut exact = vec![0.0; n];
        hessian_product(self.function(), x, &v, &mut exact)?;
        let (mut structured, mut size) = (vec![0.0; n], vec![0.0_f64; n]);
        for (j, v) in v.iter().enumerate() {
            for (i, h) in h.row_idx_of_col_raw(j).iter().zip(h.val_of_col(j)) {
                structured[*i] += h * v;
                size[*i] += (h * v).abs();
            }
        }
        finite("product with the exact Hessian", &exact)?;
        finite("product with the sparse Hessian", &structured)?;
        let excess =
            |i: usize| (exact[i] - structured[i]).abs() - MISSING * size[i].max(exact[i].abs());
        match (0..n).max_by(|i, j| excess(*i).total_cmp(&excess(*j))) {
            Some(row) if excess(row) > 0.0 => Err(Error::OutsideStructure {
                row,
                exact: exact[row],
                structured: structured[row],
            }),
            _ => Ok(()),
        }
    }

    fn sparse_hessian(&self, x: &[f64]) -> Result<SparseColMat<usize, f64>, Error> {
        length("point", self.function().dimension(), x.len())?;
        let n = x.len();
        let mut point = along(x, &vec![0.0; n]);
        let mut values = vec![0.0; self.entry_count()];
        for color in &self.pattern.colors {
            color.columns.iter().for_each(|j| point[*j].re.eps = 1.0);
            let mut places = color.places.iter();
            partials(self.function(), &mut point, &color.rows, |_, d| {
                if let Some((at, image)) = places.next() {
                    values[*at] = d.eps;
                    values[*image] = d.eps;
                }
            });
            color.columns.iter().for_each(|j| point[*j].re.eps = 0.0);
        }
        let (col_ptr, row_idx) = (self.pattern.col_ptr.clone(), self.pattern.row_idx.clone());
        let symbolic = SymbolicSparseColMat::new_checked(n, n, col_ptr, None, row_idx);
        Ok(SparseColMat::new(symbolic, values))
    }
}

impl<F: ScalarFunction> CostFunction for SparseAutoDiff<F> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        self.problem.cost(x)
    }
}

impl<F: ScalarFunction> Gradient for SparseAutoDiff<F> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(gradient(self.function(), x)?)
    }
}

impl<F: ScalarFunction> Hessian for SparseAutoDiff<F> {
    type Param = Vec<f64>;
    type Hessian = SparseColMat<usize, f64>;
    fn hessian(&self, x: &Vec<f64>) -> Result<SparseColMat<usize, f64>, HostError> {
        Ok(self.sparse_hessian(x)?)
    }
}

impl<F: ScalarFunction> HessianProduct for SparseAutoDiff<F> {
    type Param = Vec<f64>;
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        self.problem.hessian_product(x, v, out)
    }
}
