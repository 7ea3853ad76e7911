//! Models restricted to a batch of rows.
//!
//! A batch is evaluated by a model of its rows alone, made by the first evaluation on it and kept
//! for the next ones, so that value, gradient and Hessian of one batch share its rows and margins.
//! The full model's margins are never touched.

use crate::error::Error;
use crate::finite_sum::Batch;
use std::sync::{Arc, Mutex};

/// The batch evaluated last: its rows and their model.
#[derive(Debug)]
pub(crate) struct LastBatch<M>(Mutex<Option<(Vec<usize>, Arc<M>)>>);

impl<M> Default for LastBatch<M> {
    fn default() -> Self {
        LastBatch(Mutex::new(None))
    }
}

impl<M> LastBatch<M> {
    /// Forgets the last batch.
    #[cfg(feature = "mmap")]
    pub(crate) fn forget(&self) {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    /// The model of the rows `terms` of `n`, made by `make` unless it is the last one.
    ///
    /// # Errors
    /// [`Error::Data`] if the batch is empty or names a row out of range.
    pub(crate) fn get(
        &self,
        n: usize,
        terms: &[usize],
        make: impl FnOnce() -> M,
    ) -> Result<Arc<M>, Error> {
        if terms.is_empty() {
            return Err(Error::Data(
                "an empty batch has no mean: give at least one row".into(),
            ));
        }
        if let Some(row) = terms.iter().find(|row| **row >= n) {
            return Err(Error::Data(format!(
                "the batch names row {row}, but there are only {n} rows (0 to {})",
                n - 1
            )));
        }
        // A poisoned or busy lock costs one more restriction, nothing else.
        let Ok(mut last) = self.0.try_lock() else {
            return Ok(Arc::new(make()));
        };
        if let Some((rows, model)) = &*last
            && rows == terms
        {
            return Ok(Arc::clone(model));
        }
        let model = Arc::new(make());
        *last = Some((terms.to_vec(), Arc::clone(&model)));
        Ok(model)
    }
}

/// The error for a value that is NaN, naming the first of the batch's `rows` that `is_nan` points
/// at by its place in the data.
pub(crate) fn nan_row(batch: Batch<'_>, rows: usize, is_nan: impl Fn(usize) -> bool) -> Error {
    let place = match ((0..rows).find(|&k| is_nan(k)), batch) {
        (Some(k), Batch::Terms(terms)) => format!("row {}", terms[k]),
        (Some(k), Batch::All) => format!("row {k}"),
        (None, _) => "the penalty".into(),
    };
    Error::Data(format!("{place}: NaN at these coefficients"))
}

/// What is wrong with a penalty, if anything.
pub(crate) fn penalty(mu: f64) -> Option<String> {
    (!(mu >= 0.0 && mu.is_finite()))
        .then(|| Error::parameter("l2", mu, "nonnegative and finite").to_string())
}

/// Shares of sample weights in a mean over all rows, or what is wrong with them.
pub(crate) fn shares(n: usize, weights: &[f64]) -> Result<Vec<f64>, String> {
    let total: f64 = weights.iter().sum();
    let valid = weights.len() == n
        && weights.iter().all(|w| *w >= 0.0 && w.is_finite())
        && total > 0.0
        && total.is_finite();
    if valid {
        return Ok(weights.iter().map(|w| w / total).collect());
    }
    Err(format!(
        "sample weights: expected {n} nonnegative finite numbers with a positive sum, found {}",
        weights.len()
    ))
}

/// Shares of a batch of b rows: n cᵢ/b, so that the mean over uniform batches is the full mean.
pub(crate) fn batch_shares(share: &[f64], terms: &[usize]) -> Vec<f64> {
    let scale = share.len() as f64 / terms.len() as f64;
    terms.iter().map(|&i| share[i] * scale).collect()
}

/// An error unless the objective of a linear model is a mean of equal weights with a penalty on
/// all parameters, as an [`OutputModel`](crate::OutputModel) is.
pub(crate) fn plain(share: &[f64], l2: f64, intercept: bool) -> Result<(), Error> {
    let reason = if share.windows(2).any(|c| c[0] != c[1]) {
        "sample weights: outputs are offered for equal ones only; repeat rows instead"
    } else if intercept && l2 != 0.0 {
        "a penalty with a free intercept: outputs are offered with a penalty on all parameters \
         only; add a column of ones to the data instead"
    } else {
        return Ok(());
    };
    Err(Error::Data(reason.into()))
}
