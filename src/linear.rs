//! Factorizations and products that the Newton-type solvers share.
//!
//! | need | type |
//! |---|---|
//! | H s = b, H positive definite | [`DenseCholesky`], [`SparseCholesky`]; Gram matrices: [`gram`] |
//! | H s = b, H indefinite, inertia | [`BunchKaufman`]; sparse and quasi-definite: [`SparseCholesky::ldlt`] |
//! | (H + λI) s = b for many λ | [`shifted`]; [`Tridiagonal`] at O(n) per λ |
//! | functions of H | [`SymmetricEigen`] |
//! | H known by products only | [`cg::TruncatedCg`], [`lanczos`] |
//!
//! Matrices come in as [`SymView`] and are copied (one triangle) into storage
//! that each object owns. The first call at one size, and for sparse matrices
//! at one pattern, allocates; later calls do not. Entries are checked for NaN
//! and infinity while they are copied, because the kernels below cannot tell
//! them from an indefinite matrix. A dense matrix stored in
//! [`Stored::Both`](crate::edge::Stored::Both) triangles is read in its lower
//! one; [`sym_check`] compares the two.

use crate::edge::SymView;
pub(crate) use crate::parallel::dot;
use dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::Par;
use std::fmt;

pub mod cg;
mod cholesky;
pub(crate) mod diagonal;
pub mod gram;
mod indefinite;
pub mod lanczos;
pub(crate) mod leftmost;
mod lu;
pub(crate) mod normal;
pub(crate) mod orthogonal;
mod pattern;
pub mod shifted;
mod sparse_cholesky;
mod spectral;
mod sym_tridiagonal;
mod tridiagonal;
mod view;

pub(crate) use cholesky::Cholesky;
pub use cholesky::DenseCholesky;
pub use gram::GramSolve;
pub use indefinite::BunchKaufman;
pub(crate) use lu::Lu;
pub use sparse_cholesky::SparseCholesky;
pub use spectral::SymmetricEigen;
pub use sym_tridiagonal::SymTridiagonal;
pub(crate) use sym_tridiagonal::normalize;
pub use tridiagonal::Tridiagonal;
pub use view::{DiagonalRange, diagonal_range, finite_check, sym_check, sym_mul};
pub(crate) use view::{copy_lower, for_each_lower};

/// Degree of parallelism given to every kernel but the dense Cholesky factorization.
///
/// A constant, never the number of threads: the eigensolver splits its work by
/// the degree, so its last bits depend on it, and results must not change with
/// the machine.
pub(crate) const PAR: Par = Par::Seq;

/// Why a factorization or a solve could not be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Breakdown {
    /// A pivot of a Cholesky factorization is not positive.
    #[error("the matrix is not positive definite (pivot {pivot}); add a larger shift")]
    NotPositiveDefinite {
        /// Row of the pivot in the given matrix.
        pivot: usize,
    },
    /// An entry is NaN or infinite, or became so by adding the shift.
    #[error("entry ({row}, {col}) of the matrix is not finite")]
    NonFinite {
        /// Its row.
        row: usize,
        /// Its column.
        col: usize,
    },
    /// A pivot is zero, or negligible next to the largest.
    #[error("the matrix is singular to working precision (pivot {pivot}); add a shift")]
    Singular {
        /// Row of the pivot in the given matrix.
        pivot: usize,
    },
    /// The eigenvalue iteration did not converge.
    #[error("the eigenvalue iteration did not converge")]
    NoConvergence,
    /// The matrix has no rows.
    #[error("the matrix is empty; give at least one row")]
    Empty,
    /// The matrix is not square.
    #[error("the matrix is {rows} x {cols}; give a square one")]
    Shape {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        cols: usize,
    },
    /// The rows of the matrix differ in length.
    #[error("the {rows} rows of the matrix differ in length; give {rows} entries in each")]
    Ragged {
        /// Number of rows.
        rows: usize,
    },
    /// A vector does not match the matrix.
    #[error("a vector of length {found} does not match a matrix of {expected} rows")]
    Length {
        /// Number of rows of the matrix.
        expected: usize,
        /// Length of the vector.
        found: usize,
    },
    /// The view is of a kind that the factorization does not take.
    #[error("the sparse factorization needs a sparse matrix; use the dense one")]
    NotSparse,
    /// The symbolic analysis of a sparse matrix exceeds memory or the index range.
    #[error("out of memory in the symbolic analysis of the sparse matrix")]
    OutOfMemory,
    /// There is no valid factor: none was computed, or the last attempt failed.
    #[error("no factor to solve with; factor a matrix first")]
    NotFactored,
}

/// Numbers of positive, negative and zero eigenvalues of a symmetric matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Inertia {
    /// Positive eigenvalues.
    pub positive: usize,
    /// Negative eigenvalues.
    pub negative: usize,
    /// Eigenvalues that are zero to working precision.
    pub zero: usize,
}

impl Inertia {
    pub(crate) fn count(&mut self, eigenvalue: f64, negligible: f64) {
        if eigenvalue.abs() <= negligible {
            self.zero += 1;
        } else if eigenvalue > 0.0 {
            self.positive += 1;
        } else {
            self.negative += 1;
        }
    }
}

/// A factorization of H + τI that solves with it.
pub trait Factor {
    /// Factors H + `shift`·I. On failure there is no factor until the next success.
    fn factor(&mut self, view: SymView<'_>, shift: f64) -> Result<(), Breakdown>;
    /// Overwrites `rhs` by (H + τI)⁻¹ `rhs`.
    fn solve_in_place(&mut self, rhs: &mut [f64]) -> Result<(), Breakdown>;
    /// vᵀ(H + τI)⁻¹v, the squared dual local norm of `v`.
    fn inverse_norm_squared(&mut self, v: &[f64]) -> Result<f64, Breakdown>;
}

/// What [`factor_with_shift`] needed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Shifted {
    /// The shift τ of the factor; zero if the matrix itself was positive definite.
    pub shift: f64,
    /// Factorizations tried, the successful one included.
    pub attempts: u64,
}

/// Attempts after which [`factor_with_shift`] gives up.
const MAX_ATTEMPTS: u64 = 60;

/// Factors H + τI with a small τ ≥ 0 that makes it positive definite.
///
/// With scale = max |H_ii| (if zero: `gradient_norm`, or the smallest normal
/// double) the first trial is τ = 0 if every diagonal entry is positive, else
/// τ = −min H_ii + 10⁻³ scale. A failure at τ = 0 leads to 10·n·ε·scale, a
/// failure below 10⁻³ scale to 100 τ but at most 10⁻³ scale, any other to 2 τ.
/// τ scales with H, so the rule does not depend on units.
///
/// # Errors
/// [`Breakdown::NotPositiveDefinite`] of the last attempt after 60; every other
/// [`Breakdown`] at once, since no shift would cure it.
pub fn factor_with_shift(
    factor: &mut impl Factor,
    view: SymView<'_>,
    gradient_norm: f64,
) -> Result<Shifted, Breakdown> {
    let n = view::dimension(&view)?;
    let diagonal = diagonal_range(view)?;
    with_shift(
        &mut |shift| factor.factor(view, shift),
        n,
        diagonal,
        gradient_norm,
        1,
    )
}

/// [`factor_with_shift`] where a first trial of τ = 0 costs less than to know the diagonal.
pub(crate) fn with_late_shift(
    attempt: &mut dyn FnMut(f64) -> Result<(), Breakdown>,
    n: usize,
    diagonal: impl FnOnce() -> Result<DiagonalRange, Breakdown>,
    gradient_norm: f64,
) -> Result<Shifted, Breakdown> {
    let (shift, attempts) = (0.0, 1);
    match attempt(shift) {
        Ok(()) => Ok(Shifted { shift, attempts }),
        Err(Breakdown::NotPositiveDefinite { .. }) => {
            with_shift(attempt, n, diagonal()?, gradient_norm, 2)
        }
        Err(other) => Err(other),
    }
}

/// [`factor_with_shift`] for any attempt, of which this is number `attempts`.
pub(crate) fn with_shift(
    attempt: &mut dyn FnMut(f64) -> Result<(), Breakdown>,
    n: usize,
    diagonal: DiagonalRange,
    gradient_norm: f64,
    mut attempts: u64,
) -> Result<Shifted, Breakdown> {
    let scale = if diagonal.max_abs > 0.0 {
        diagonal.max_abs
    } else {
        gradient_norm.max(f64::MIN_POSITIVE)
    };
    let large = 1e-3 * scale;
    let least = 10.0 * n as f64 * f64::EPSILON * scale;
    let mut shift = match diagonal.min > 0.0 {
        true if attempts > 1 => least,
        true => 0.0,
        false => large - diagonal.min,
    };
    loop {
        match attempt(shift) {
            Ok(()) => return Ok(Shifted { shift, attempts }),
            Err(Breakdown::NotPositiveDefinite { .. }) if attempts < MAX_ATTEMPTS => {}
            Err(other) => return Err(other),
        }
        attempts += 1;
        shift = if shift == 0.0 {
            least
        } else if shift < large {
            (100.0 * shift).min(large)
        } else {
            2.0 * shift
        };
    }
}

/// y ← y + c x.
pub(crate) fn axpy(c: f64, x: &[f64], y: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += c * x;
    }
}

fn check_length(expected: usize, found: usize) -> Result<(), Breakdown> {
    if expected == found {
        Ok(())
    } else {
        Err(Breakdown::Length { expected, found })
    }
}

/// Work memory of the kernels.
struct Scratch(MemBuffer);

impl Scratch {
    fn new(size: StackReq) -> Self {
        Self(MemBuffer::new(size))
    }

    fn stack(&mut self) -> &mut MemStack {
        MemStack::new(&mut self.0)
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new(StackReq::EMPTY)
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Scratch({} bytes)", self.0.len())
    }
}

/// A power of two 2ᵉ with `largest`·2⁻ᵉ in (1/2, 1] wherever the exponent range allows.
fn binary_exponent(largest: f64) -> i32 {
    if largest > 0.0 {
        largest.log2().ceil().clamp(-1000.0, 1000.0) as i32
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Stored;
    use faer::{Mat, mat};

    fn shifted(h: &Mat<f64>, gradient_norm: f64) -> Result<Shifted, Breakdown> {
        let view = SymView::Dense(h.as_ref(), Stored::Both);
        factor_with_shift(&mut DenseCholesky::new(), view, gradient_norm)
    }

    #[test]
    fn a_positive_definite_matrix_is_not_shifted() {
        let ok = shifted(&mat![[2.0, 1.0], [1.0, 2.0]], 1.0).unwrap();
        assert_eq!((ok.shift, ok.attempts), (0.0, 1));
    }

    #[test]
    fn shifts_follow_the_rule() {
        // Positive diagonal, eigenvalues 3 and -1: 0, 10·2·eps, then x100 up to 1e-3, then x2 to above 1.
        let h = mat![[1.0, 2.0], [2.0, 1.0]];
        let ok = shifted(&h, 1.0).unwrap();
        let mut tau = 20.0 * f64::EPSILON;
        let mut count = 2;
        while tau < 1e-3 {
            tau = (100.0 * tau).min(1e-3);
            count += 1;
        }
        while tau <= 1.0 {
            tau *= 2.0;
            count += 1;
        }
        assert_eq!((ok.shift, ok.attempts), (tau, count));
        // Nonpositive diagonal: the first shift already covers it.
        let ok = shifted(&mat![[-3.0, 0.0], [0.0, 1.0]], 1.0).unwrap();
        assert_eq!((ok.shift, ok.attempts), (3.0 + 3e-3, 1));
        // H = 0 takes its scale from the gradient.
        let ok = shifted(&Mat::zeros(2, 2), 5.0).unwrap();
        assert_eq!((ok.shift, ok.attempts), (5e-3, 1));
        let ok = shifted(&Mat::zeros(2, 2), 0.0).unwrap();
        assert_eq!(ok.shift, 1e-3 * f64::MIN_POSITIVE);
    }

    #[test]
    fn nearly_singular_hessians_get_a_tiny_shift() {
        for last in [1.0, 1.0 + 1e-15] {
            let h = mat![[1.0, 1.0], [1.0, last]];
            let ok = shifted(&h, 2.0).unwrap();
            assert!(ok.shift <= 20.0 * f64::EPSILON * last && ok.attempts <= 2);
        }
    }

    #[test]
    fn a_hopeless_matrix_ends_after_sixty_attempts() {
        struct Never(u64);
        impl Factor for Never {
            fn factor(&mut self, _: SymView<'_>, _: f64) -> Result<(), Breakdown> {
                self.0 += 1;
                Err(Breakdown::NotPositiveDefinite { pivot: 1 })
            }
            fn solve_in_place(&mut self, _: &mut [f64]) -> Result<(), Breakdown> {
                Err(Breakdown::NotFactored)
            }
            fn inverse_norm_squared(&mut self, _: &[f64]) -> Result<f64, Breakdown> {
                Err(Breakdown::NotFactored)
            }
        }
        let h = mat![[1.0]];
        let mut never = Never(0);
        let end = factor_with_shift(&mut never, SymView::Dense(h.as_ref(), Stored::Both), 1.0);
        assert_eq!(end, Err(Breakdown::NotPositiveDefinite { pivot: 1 }));
        assert_eq!(never.0, 60);
    }

    #[test]
    fn no_shift_is_tried_on_a_broken_matrix() {
        let h = mat![[1.0, 0.0], [f64::NAN, 1.0]];
        assert_eq!(
            shifted(&h, 1.0),
            Err(Breakdown::NonFinite { row: 1, col: 0 })
        );
        assert_eq!(shifted(&Mat::zeros(0, 0), 1.0), Err(Breakdown::Empty));
        assert_eq!(
            shifted(&Mat::zeros(2, 3), 1.0),
            Err(Breakdown::Shape { rows: 2, cols: 3 })
        );
    }

    #[test]
    fn binary_exponents_stay_representable() {
        for largest in [0.0, 5e-324, 1e-300, 0.75, 1.0, 3.0, f64::MAX] {
            let scaled = largest * 2f64.powi(-binary_exponent(largest));
            assert!(scaled.is_finite() && scaled <= 2f64.powi(24));
            assert!(largest < 1e-290 || scaled > 0.5);
        }
    }
}
