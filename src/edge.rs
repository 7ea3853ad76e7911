//! The edge between the user's types and the numerics.
//!
//! Parameters and gradients are [`VecLike`], Hessians are [`SymMat`], Jacobians
//! are [`RectMat`]. Matrices are viewed where their storage allows it and read
//! entry by entry where it does not; nothing is converted. All numerics run on
//! slices and faer views behind this edge, so a type costs its few lines here
//! and nothing elsewhere.
//!
//! | type | vector | Hessian | Jacobian | feature |
//! |---|---|---|---|---|
//! | `Vec<f64>`, `[f64; N]` | yes | | | |
//! | `Vec<Vec<f64>>`, `[[f64; N]; N]` (rows) | | yes | yes | |
//! | faer `Col`, `Mat`, `SparseColMat`, `SparseRowMat` | yes | yes | yes | |
//! | nalgebra `OVector`, `OMatrix`, dynamic and fixed | yes | yes | yes | `nalgebra` |
//! | sprs `CsMat`, CSC and CSR | | yes | yes | `sprs` |
//! | ndarray `Array1`, `Array2`, any layout | yes | yes | yes | `ndarray` |
//! | [`RankOne`] | | yes | | |

use crate::error::Error;
use crate::linear::gram::GramView;
use crate::status::Failed;
use faer::MatRef;
use faer::sparse::{SparseColMatRef, SparseRowMatRef};

mod faer_types;
#[cfg(feature = "nalgebra")]
mod nalgebra_types;
#[cfg(feature = "ndarray")]
mod ndarray_types;
mod rect;
#[cfg(feature = "sprs")]
mod sprs_types;
mod std_types;

/// A vector of doubles: a parameter or a gradient.
///
/// Entries are copied across the edge, which costs n moves per evaluation and
/// allows any layout. New points are made by `clone` and [`write`](VecLike::write),
/// so a type needs no constructor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as a parameter or gradient vector",
    note = "supported: Vec<f64>, [f64; N], faer::Col<f64>, nalgebra vectors (feature `nalgebra`), ndarray::Array1<f64> (feature `ndarray`); raphson computes in f64"
)]
pub trait VecLike: Clone {
    /// Number of entries.
    fn dimension(&self) -> usize;
    /// Copies the entries to `out`, whose length is [`dimension`](VecLike::dimension).
    fn read(&self, out: &mut [f64]);
    /// Overwrites the entries by `values`, whose length is [`dimension`](VecLike::dimension).
    fn write(&mut self, values: &[f64]);
}

/// Which entries of a symmetric matrix are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// All of them. A sparse matrix whose pattern is triangular is taken as that triangle.
    Both,
    /// Those on and below the diagonal; what lies above is not looked at.
    Lower,
    /// Those on and above the diagonal; what lies below is not looked at.
    Upper,
}

impl Stored {
    /// What is stored of the transpose.
    pub fn transposed(self) -> Self {
        match self {
            Stored::Both => Stored::Both,
            Stored::Lower => Stored::Upper,
            Stored::Upper => Stored::Lower,
        }
    }
}

/// A matrix that can only be read entry by entry.
pub trait Entries {
    /// Number of rows.
    fn nrows(&self) -> usize;
    /// Number of columns; [`None`] if the rows differ in length.
    fn ncols(&self) -> Option<usize>;
    /// The entry in row `i` and column `j`.
    fn entry(&self, i: usize, j: usize) -> f64;
}

/// A view of a symmetric matrix.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum SymView<'a> {
    /// Dense storage.
    Dense(MatRef<'a, f64>, Stored),
    /// Compressed sparse columns, row indices sorted within each column.
    Sparse(SparseColMatRef<'a, usize, f64>, Stored),
    /// Read entry by entry.
    Indexed(&'a dyn Entries, Stored),
    /// Aᵀ diag(w) A plus a ridge, as the Hessian of a generalized linear model.
    Gram(GramView<'a>),
    /// `weight` v vᵀ.
    RankOne {
        /// a in a v vᵀ.
        weight: f64,
        /// v.
        vector: &'a [f64],
    },
}

/// The matrix `weight` v vᵀ, for approximations of rank one such as a Fisher term.
///
/// Methods that add a multiple of the identity or of a metric solve with it by the formula of
/// Sherman and Morrison, in O(d).
#[derive(Debug, Clone, PartialEq)]
pub struct RankOne {
    /// a in a v vᵀ.
    pub weight: f64,
    /// v.
    pub vector: Vec<f64>,
}

impl SymMat for RankOne {
    fn sym(&self) -> SymView<'_> {
        SymView::RankOne {
            weight: self.weight,
            vector: &self.vector,
        }
    }
    fn may_object(&self) -> bool {
        false
    }
}

/// A symmetric matrix: a Hessian.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as a Hessian",
    note = "supported: faer Mat and SparseColMat, nalgebra matrices, sprs CsMat, Vec<Vec<f64>>, [[f64; N]; N], ndarray Array2, and edge::Lower or edge::Upper around them; for Hessian-vector products alone implement `HessianProduct` and use `matrix_free()`"
)]
pub trait SymMat {
    /// The view that the solvers read.
    fn sym(&self) -> SymView<'_>;

    /// The view of which only one triangle of this matrix is meant.
    ///
    /// A type whose [`sym`](SymMat::sym) shows the transpose names the other
    /// triangle here. Default: `sym`, marked with `stored`.
    fn triangle(&self, stored: Stored) -> SymView<'_> {
        self.sym().stored(stored)
    }

    /// The scale of the gradient for relative tests, if the problem has a natural one.
    ///
    /// Models return the gradient norm at the origin, so that a warm start is
    /// judged as a cold one. Default: none; the solver takes the norm at its start.
    fn gradient_scale(&self) -> Option<f64> {
        None
    }

    /// Called when a test of convergence holds at `x`, which the last accepted `step` led to
    /// (zeros if none).
    ///
    /// A model that can tell that no minimizer exists says so, and the run ends
    /// as failed. Default: no objection.
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        let _ = (x, step);
        Ok(())
    }

    /// Whether [`verify`](SymMat::verify) may ever object; if not, a method that reuses
    /// Hessians need not evaluate one more at its end. Default: true.
    fn may_object(&self) -> bool {
        true
    }
}

/// A matrix of which only the lower triangle is meant.
#[derive(Debug, Clone)]
pub struct Lower<M>(pub M);

/// A matrix of which only the upper triangle is meant.
#[derive(Debug, Clone)]
pub struct Upper<M>(pub M);

impl<'a> SymView<'a> {
    fn stored(self, stored: Stored) -> Self {
        match self {
            SymView::Dense(m, _) => SymView::Dense(m, stored),
            SymView::Sparse(m, _) => SymView::Sparse(m, stored),
            SymView::Indexed(m, _) => SymView::Indexed(m, stored),
            whole @ (SymView::Gram(_) | SymView::RankOne { .. }) => whole,
        }
    }

    /// Checks that the matrix is `n` x `n`.
    pub fn check_shape(&self, n: usize) -> Result<(), Error> {
        let (rows, cols) = match self {
            SymView::Dense(m, _) => (m.nrows(), m.ncols()),
            SymView::Sparse(m, _) => (m.nrows(), m.ncols()),
            SymView::Gram(m) => (m.dimension(), m.dimension()),
            SymView::RankOne { vector, .. } => (vector.len(), vector.len()),
            SymView::Indexed(m, _) => {
                let rows = m.nrows();
                let Some(cols) = m.ncols() else {
                    return Err(Error::Data(format!(
                        "the Hessian's rows differ in length; expected {n} entries in each"
                    )));
                };
                (rows, cols)
            }
        };
        if (rows, cols) == (n, n) {
            Ok(())
        } else {
            Err(Error::WrongShape {
                what: "Hessian",
                expected_rows: n,
                expected_cols: n,
                rows,
                cols,
            })
        }
    }
}

impl<M: SymMat> SymMat for Lower<M> {
    fn sym(&self) -> SymView<'_> {
        self.0.triangle(Stored::Lower)
    }
    fn triangle(&self, stored: Stored) -> SymView<'_> {
        self.0.triangle(stored)
    }
    fn gradient_scale(&self) -> Option<f64> {
        self.0.gradient_scale()
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.0.verify(x, step)
    }
    fn may_object(&self) -> bool {
        self.0.may_object()
    }
}

impl<M: SymMat> SymMat for Upper<M> {
    fn sym(&self) -> SymView<'_> {
        self.0.triangle(Stored::Upper)
    }
    fn triangle(&self, stored: Stored) -> SymView<'_> {
        self.0.triangle(stored)
    }
    fn gradient_scale(&self) -> Option<f64> {
        self.0.gradient_scale()
    }
    fn verify(&self, x: &[f64], step: &[f64]) -> Result<(), Failed> {
        self.0.verify(x, step)
    }
    fn may_object(&self) -> bool {
        self.0.may_object()
    }
}

/// A view of a rectangular matrix.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum RectView<'a> {
    /// Dense storage.
    Dense(MatRef<'a, f64>),
    /// Compressed sparse columns.
    Columns(SparseColMatRef<'a, usize, f64>),
    /// Compressed sparse rows.
    Rows(SparseRowMatRef<'a, usize, f64>),
    /// Read entry by entry.
    Indexed(&'a dyn Entries),
}

/// A rectangular matrix: a Jacobian.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as a Jacobian",
    note = "supported: faer Mat, SparseColMat and SparseRowMat, nalgebra matrices, sprs CsMat, Vec<Vec<f64>>, [[f64; N]; M], ndarray Array2"
)]
pub trait RectMat {
    /// The view that the solvers read.
    fn rect(&self) -> RectView<'_>;
}
