//! From text to a row cache.

use super::reader::open;
use super::{Error, IndexBase, Reader};
use crate::stream::CacheWriter;
use std::path::Path;

/// Writes the rows of a file, plain or gzip, with indices from 1, to a row cache.
///
/// Same as `Reader::new().to_cache(input, output)`, which see.
///
/// # Errors
/// As [`Reader::to_cache`].
///
/// ```no_run
/// use raphson::{DampedNewton, libsvm, stream::{StreamedModel, StreamedRows}};
/// libsvm::to_cache("criteo.gz", "criteo.rows")?;
/// let model = StreamedModel::logistic(StreamedRows::open("criteo.rows")?).l2(1e-6);
/// let run = DampedNewton::matrix_free().minimize(&model, model.origin())?;
/// # Ok::<(), raphson::Error>(())
/// ```
pub fn to_cache(input: impl AsRef<Path>, output: impl AsRef<Path>) -> Result<(), crate::Error> {
    Reader::new().to_cache(input, output)
}

/// Is given whether an index is 0, the label, columns and values of a row.
type TakeRow<'a> = dyn FnMut(bool, f64, &[u32], &[f64]) -> Result<(), crate::Error> + 'a;

impl Reader {
    /// Writes the rows of a file, plain or gzip, to a row cache for
    /// [`StreamedRows`](crate::stream::StreamedRows).
    ///
    /// One pass, with a row in memory and a block of the cache; two with [`IndexBase::Auto`], which
    /// must know all indices first. Query ids are left out.
    ///
    /// # Errors
    /// The file cannot be read or is malformed, naming file and line; the cache cannot be written.
    pub fn to_cache(
        &self,
        input: impl AsRef<Path>,
        output: impl AsRef<Path>,
    ) -> Result<(), crate::Error> {
        let path = input.as_ref();
        let zero_based = match self.base() {
            IndexBase::One => false,
            IndexBase::Zero => true,
            IndexBase::Auto => {
                let mut zero = false;
                self.each_row(path, false, &mut |scan_has_zero, _, _, _| {
                    zero |= scan_has_zero;
                    Ok(())
                })?;
                zero
            }
        };
        let mut cache = CacheWriter::create(output)?;
        self.each_row(path, zero_based, &mut |_, label, columns, values| {
            cache.push(label, columns, values)
        })?;
        if let Some(features) = self.features() {
            cache.features(features);
        }
        cache.finish()
    }

    /// Hands every row of a file to `take`.
    fn each_row(
        &self,
        path: &Path,
        zero_based: bool,
        take: &mut TakeRow<'_>,
    ) -> Result<(), crate::Error> {
        let (input, name) = open(path)?;
        let mut scan = self.blank(&name);
        let mut failure = None;
        let stop = |error, failure: &mut Option<crate::Error>| {
            *failure = Some(error);
            // Ends the reading; what counts is the failure.
            Error::content(&name, None, super::ErrorKind::Empty)
        };
        let mut rows = 0u64;
        let read = self.scan_with(&mut scan, input, &name, &mut |scan| {
            let has_zero = scan.has_zero;
            let handed = scan.drain(zero_based || has_zero, |label, columns, values| {
                rows += 1;
                take(has_zero, label, columns, values)
            });
            handed.map_err(|error| stop(error, &mut failure))
        });
        if let Some(error) = failure {
            return Err(error);
        }
        read?;
        if rows == 0 {
            return Err(Error::content(&name, None, super::ErrorKind::Empty).into());
        }
        // Under `Auto` the limit of a zero-based file is known only now.
        self.width(std::slice::from_ref(&scan), zero_based)?;
        Ok(())
    }
}
