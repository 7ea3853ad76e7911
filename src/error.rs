//! What can go wrong before or outside the numerics.
//!
//! A numerical failure of a run is never an [`Error`]: the run ends with a
//! [`Status`] and keeps its best point. An [`Error`] means that the
//! call itself was wrong (a start point of the wrong length, a parameter out
//! of range, a malformed file) or that the user's own function returned one.

use crate::status::Status;

/// Misuse of the library, or an error that the user's own function returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two lengths that must agree do not.
    #[error("{what}: expected length {expected}, found {found}")]
    WrongLength {
        /// What was measured.
        what: &'static str,
        /// The length it should have.
        expected: usize,
        /// The length it has.
        found: usize,
    },
    /// A matrix of the wrong shape.
    #[error("{what}: expected {expected_rows} x {expected_cols}, found {rows} x {cols}")]
    WrongShape {
        /// What was measured.
        what: &'static str,
        /// Rows it should have.
        expected_rows: usize,
        /// Columns it should have.
        expected_cols: usize,
        /// Rows it has.
        rows: usize,
        /// Columns it has.
        cols: usize,
    },
    /// An input that must be finite is not.
    #[error("{what} is {value} at index {index}; give finite numbers")]
    NonFinite {
        /// Which input.
        what: &'static str,
        /// Index of the first offending entry.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// A Hessian whose two triangles disagree.
    #[error(
        "the Hessian is not symmetric: entry ({row}, {col}) is {lower}, entry ({col}, {row}) is {upper}; \
         if only one triangle is stored, wrap it in `edge::Lower` or `edge::Upper`"
    )]
    Asymmetric {
        /// Row of the worst entry, in the lower triangle.
        row: usize,
        /// Column of the worst entry.
        col: usize,
        /// Value below the diagonal.
        lower: f64,
        /// Value above the diagonal.
        upper: f64,
    },
    /// A Hessian with entries outside the structure that was named for it.
    #[error(
        "the Hessian has entries outside the named structure: its product with a test \
         vector is {exact} in row {row}, the structure gives {structured}"
    )]
    OutsideStructure {
        /// The row that differs most; the missing entries may lie in another one.
        row: usize,
        /// The exact product with the test vector there.
        exact: f64,
        /// What the structured matrix gives.
        structured: f64,
    },
    /// A mass of a transport problem that is negative, NaN or infinite.
    #[error("mass {index} of the {side} is {value}; masses must be nonnegative and finite")]
    Mass {
        /// Source or target.
        side: &'static str,
        /// Index of the first offending mass.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// A cost of a transport problem that is NaN or −∞.
    #[error("the cost ({row}, {col}) is {value}; give finite costs, or +inf for a forbidden pair")]
    Cost {
        /// Row of the first offending entry.
        row: usize,
        /// Its column.
        col: usize,
        /// Its value.
        value: f64,
    },
    /// The two sides of a balanced transport problem have different masses.
    #[error(
        "the source has mass {sum_a}, the target {sum_b}; scale one of them, or solve the \
         unbalanced or the partial problem"
    )]
    MassMismatch {
        /// Mass of the source.
        sum_a: f64,
        /// Mass of the target.
        sum_b: f64,
    },
    /// A parameter outside its range.
    #[error("{name} = {value}: must be {requirement}")]
    InvalidParameter {
        /// Name of the parameter.
        name: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        requirement: &'static str,
    },
    /// A batch size of 0, or more than the finite sum has terms.
    #[error(
        "a batch of {size} terms from a sum of {terms}: the size must be at least 1 and at most the number of terms"
    )]
    InvalidBatchSize {
        /// The batch size.
        size: usize,
        /// n, the number of terms.
        terms: usize,
    },
    /// More equality constraints than variables.
    #[error(
        "{constraints} equality constraints, {variables} variables: \
         give at most as many constraints as variables, without those that follow from others"
    )]
    Overdetermined {
        /// m, the number of constraints.
        constraints: usize,
        /// n, the number of variables.
        variables: usize,
    },
    /// A method asked for something that the problem's traits do not offer.
    #[error("the problem does not offer {what}")]
    NotOffered {
        /// What was asked for.
        what: &'static str,
    },
    /// A matrix that would take more than 2 GiB.
    #[error(
        "{what} of {rows} x {columns} doubles takes more than 2 GiB; \
         take smaller batches, or solve by conjugate gradients with `GramSolve::Cg`"
    )]
    TooLarge {
        /// Which matrix.
        what: &'static str,
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
    },
    /// No start point was given to argmin's `Executor`.
    #[error("no start point: call `.configure(|state| state.param(x0))`")]
    MissingStart,
    /// A data set that the model cannot be fitted to.
    #[error("{0}")]
    Data(String),
    /// A malformed or unreadable file.
    #[cfg(feature = "libsvm")]
    #[error(transparent)]
    Libsvm(#[from] crate::libsvm::Error),
    /// A run on several ranks broke off, on all of them.
    #[cfg(feature = "distributed")]
    #[error(transparent)]
    Distributed(#[from] crate::distributed::Error),
    /// A row cache that cannot be used.
    #[cfg(feature = "mmap")]
    #[error(transparent)]
    Cache(#[from] crate::stream::Error),
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A plot could not be drawn.
    #[error("plot: {0}")]
    Plot(String),
    /// The user's own function returned an error; it is kept unchanged.
    #[error("the problem's own function failed: {0}")]
    Problem(#[source] argmin::core::Error),
    /// [`Run::must_converge`](crate::Run::must_converge) was called on a run that did not.
    #[error("not converged: {status}")]
    NotConverged {
        /// How the run ended.
        status: Status,
    },
}

impl Error {
    pub(crate) fn parameter(
        name: &'static str,
        value: impl ToString,
        requirement: &'static str,
    ) -> Self {
        Error::InvalidParameter {
            name,
            value: value.to_string(),
            requirement,
        }
    }
}

/// Checks that every entry is finite and names the first that is not.
pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<(), Error> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::NonFinite {
            what,
            index,
            value: values[index],
        }),
    }
}

/// Checks a length and names both.
pub(crate) fn length(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found {
        Ok(())
    } else {
        Err(Error::WrongLength {
            what,
            expected,
            found,
        })
    }
}

/// Checks a shape and names both.
pub(crate) fn shape(
    what: &'static str,
    (expected_rows, expected_cols): (usize, usize),
    (rows, cols): (usize, usize),
) -> Result<(), Error> {
    if (rows, cols) == (expected_rows, expected_cols) {
        return Ok(());
    }
    Err(Error::WrongShape {
        what,
        expected_rows,
        expected_cols,
        rows,
        cols,
    })
}
