//! Reading on several ranks, each its own part.

use super::reader::{GZIP_MAGIC, open};
use super::scan::Scan;
use super::{Error, ErrorKind, IndexBase, Reader};
use crate::data::Dataset;
use crate::distributed::{Communicator, Exchange};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Distinct labels above which they are not taken for classes.
const MOST_CLASSES: usize = 4096;

/// One rank's part of rows in files, with what all ranks agreed on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FileShard {
    /// The rows of this rank, as wide as those of all; none if there are fewer parts than ranks.
    pub data: Option<Dataset>,
    /// Rows on the ranks before this one.
    pub offset: usize,
    /// Rows on all ranks.
    pub rows: usize,
    /// Features, the same on all ranks.
    pub features: usize,
    /// Entries that are not zero, on all ranks.
    pub nnz: usize,
    /// The distinct labels of all ranks in increasing order, unless there are more than 4096.
    pub classes: Option<Vec<f64>>,
}

impl Reader {
    /// Reads this rank's part of the rows. Collective: all ranks give the same `paths`.
    ///
    /// One plain file is cut into as many byte ranges of equal length as there are ranks, each moved to the
    /// next start of a line. Several files, plain or gzip, are dealt out whole, consecutive
    /// ones to one rank. Either way the rows of the ranks, one after the other, are those of the
    /// files in their order. A rank may be left without rows.
    ///
    /// The number of features is `n_features` if given, else what the largest index on any rank
    /// says; [`IndexBase::Auto`] is decided on all ranks together.
    ///
    /// Cost: each byte of a file is read by one rank (a line that crosses a cut by two), and two
    /// short exchanges.
    ///
    /// # Errors
    /// If a part cannot be read or is malformed, all ranks get the same
    /// [`Failed`](crate::distributed::Error::Failed), which names rank, file and line; likewise if
    /// there are no rows at all, or one gzip file for several ranks.
    ///
    /// ```no_run
    /// # fn on_each(rank: &raphson::distributed::ThreadRank) -> Result<(), raphson::Error> {
    /// use raphson::{LogisticRegression, distributed::Distributed, libsvm::Reader};
    /// let part = Reader::new().read_shard(&["a9a"], rank)?;
    /// let classes = part.classes.unwrap_or_default();
    /// let shard = part.data.map(|rows| LogisticRegression::with_classes(&rows, &classes).l2(1e-4));
    /// let problem = Distributed::new(shard, rank)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_shard<P: AsRef<Path>, C: Communicator>(
        &self,
        paths: &[P],
        communicator: &C,
    ) -> Result<FileShard, crate::Error> {
        let exchange = Exchange::new(communicator);
        let (rank, ranks) = (communicator.rank(), communicator.size());
        let scan = match paths {
            [one] => self.scan_range(one.as_ref(), rank, ranks),
            _ => self.scan_parts(paths, rank, ranks),
        };
        exchange.agree(&scan)?;
        let scan = scan?;

        let fact = |yes: bool| f64::from(u8::from(yes));
        let rows = scan.labels.len();
        let has_qids = if rows == 0 {
            -1.0
        } else {
            fact(scan.has_qids())
        };
        let mine = [
            rows as f64,
            fact(scan.has_zero),
            has_qids,
            scan.nnz() as f64,
        ];
        let all = exchange.gather(&mine)?;
        let column = |k: usize| all.chunks_exact(mine.len()).map(move |of| of[k]);
        let zero_based = match self.base() {
            IndexBase::One => false,
            IndexBase::Zero => true,
            IndexBase::Auto => column(1).any(|zero| zero == 1.0),
        };
        let width = self.checked(scan, zero_based, paths, column(2));
        exchange.agree(&width)?;
        let (scan, width) = width?;
        let widths = exchange.gather(&[width as f64])?;
        let widest = widths.iter().fold(0.0, |m: f64, w| m.max(*w)) as usize;
        let features = self.features().unwrap_or(widest);
        let data = (rows > 0).then(|| scan.into_dataset(zero_based, features));
        Ok(FileShard {
            classes: classes(&exchange, data.as_ref())?,
            data,
            offset: column(0).take(rank).sum::<f64>() as usize,
            rows: column(0).sum::<f64>() as usize,
            nnz: column(3).sum::<f64>() as usize,
            features,
        })
    }

    /// The width of this part, after what the parts must have in common.
    fn checked<P: AsRef<Path>>(
        &self,
        scan: Scan,
        zero_based: bool,
        paths: &[P],
        qids: impl Iterator<Item = f64> + Clone,
    ) -> Result<(Scan, usize), Error> {
        let name = || match paths {
            [] => "no files".to_string(),
            [first, ..] => first.as_ref().display().to_string(),
        };
        let mut known = qids.filter(|has| *has >= 0.0);
        let Some(first) = known.next() else {
            return Err(Error::content(&name(), None, ErrorKind::Empty));
        };
        if known.any(|has| has != first) && scan.has_qids() {
            let kind = ErrorKind::MixedQid { present: true };
            return Err(Error::content(&scan.name, None, kind));
        }
        let width = self.width(std::slice::from_ref(&scan), zero_based)?;
        Ok((scan, width))
    }

    /// The lines that begin in the r-th of `ranks` equal byte ranges of a file.
    fn scan_range(&self, path: &Path, rank: usize, ranks: usize) -> Result<Scan, Error> {
        let (mut input, name) = open(path)?;
        self.check_features(&name)?;
        let mut scan = self.blank(&name);
        if ranks == 1 {
            self.scan_into(&mut scan, input, &name)?;
            return Ok(scan);
        }
        let io =
            |source: std::io::Error| Error::io(&name, None, ErrorKind::Io(source.kind()), source);
        let mut head = Vec::new();
        let limit = GZIP_MAGIC.len() as u64;
        input
            .by_ref()
            .take(limit)
            .read_to_end(&mut head)
            .map_err(io)?;
        if head == GZIP_MAGIC {
            return Err(Error::content(&name, None, ErrorKind::GzipInParts));
        }
        let size = input.get_ref().metadata().map_err(io)?.len();
        let cut = |r: usize| (u128::from(size) * r as u128 / ranks as u128) as u64;
        let (first, end) = (cut(rank), cut(rank + 1));
        let mut line = Vec::new();
        let mut at = first.saturating_sub(1);
        input.seek(SeekFrom::Start(at)).map_err(io)?;
        if first > 0 {
            // Up to the end of the line that the byte before the cut is in.
            at += input.read_until(b'\n', &mut line).map_err(io)? as u64;
        }
        let start = at;
        let mut stop = end;
        if rank + 1 < ranks && end > start {
            // The line that the last byte before the cut is in belongs to this part.
            input.seek(SeekFrom::Start(end - 1)).map_err(io)?;
            stop = end - 1 + input.read_until(b'\n', &mut line).map_err(io)? as u64;
        }
        input.seek(SeekFrom::Start(start)).map_err(io)?;
        let own = input.take(stop.saturating_sub(start));
        self.scan_into(&mut scan, own, &name)
            .map_err(|mut error| match error.line {
                None => error,
                // Only now the lines before this part are counted.
                Some(line) => match lines_before(path, start) {
                    Ok(before) => {
                        error.line = Some(before + line);
                        error
                    }
                    Err(source) => io(source),
                },
            })?;
        Ok(scan)
    }

    /// The files k with ⌊k p/K⌋ = r, of K.
    fn scan_parts<P: AsRef<Path>>(
        &self,
        paths: &[P],
        rank: usize,
        ranks: usize,
    ) -> Result<Scan, Error> {
        let own = |k: usize| k * ranks / paths.len() == rank;
        let own = paths.iter().enumerate().filter(|(k, _)| own(*k));
        let mut scan = self.blank("part files");
        for (_, path) in own {
            let (input, name) = open(path.as_ref())?;
            self.scan_into(&mut scan, input, &name)?;
        }
        Ok(scan)
    }
}

/// The number of line ends in the first `length` bytes of a file.
fn lines_before(path: &Path, length: u64) -> Result<usize, std::io::Error> {
    let mut input = BufReader::new(std::fs::File::open(path)?).take(length);
    let mut lines = 0;
    loop {
        let block = input.fill_buf()?;
        if block.is_empty() {
            return Ok(lines);
        }
        lines += block.iter().filter(|byte| **byte == b'\n').count();
        let used = block.len();
        input.consume(used);
    }
}

/// The distinct labels of all ranks.
fn classes<C: Communicator>(
    exchange: &Exchange<C>,
    data: Option<&Dataset>,
) -> Result<Option<Vec<f64>>, crate::Error> {
    let own = data.map_or(Vec::new(), Dataset::classes);
    let many = own.len() > MOST_CLASSES;
    let told = if many { &[f64::NAN][..] } else { &own };
    let bytes: Vec<u8> = told.iter().flat_map(|y| y.to_le_bytes()).collect();
    let mut all: Vec<f64> = Vec::new();
    for bytes in exchange.gather_bytes(&bytes)? {
        let words = bytes.as_chunks::<8>().0.iter();
        all.extend(words.map(|word| f64::from_le_bytes(*word)));
    }
    if all.iter().any(|y| y.is_nan()) {
        return Ok(None);
    }
    all.sort_unstable_by(f64::total_cmp);
    all.dedup();
    Ok((all.len() <= MOST_CLASSES).then_some(all))
}
