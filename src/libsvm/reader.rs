//! Reading, one line at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::scan::{Scan, check_index};
use super::{Error, ErrorKind};
use crate::data::{Dataset, MAX_FEATURES};

/// The index of the first feature in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IndexBase {
    /// Indices count from 1, as LIBSVM writes them.
    #[default]
    One,
    /// Indices count from 0.
    Zero,
    /// From 0 if index 0 occurs, else from 1.
    ///
    /// A trap: a part of a zero-based file in which index 0 happens not to occur is taken
    /// for one-based, and all its columns move by one. Read files that belong together
    /// with [`Reader::read_all`], which decides on all of them together, or say
    /// [`Zero`](IndexBase::Zero).
    Auto,
}

/// How to read LIBSVM files. The rules are those of the [module](super).
///
/// ```
/// use raphson::libsvm::Reader;
///
/// let text = "+1 0:0.5 2:1\n-1 1:3\n";
/// let data = Reader::new().zero_based(true).n_features(4).parse(text.as_bytes(), "text")?;
/// assert_eq!((data.n_rows(), data.n_features()), (2, 4));
/// # Ok::<(), raphson::libsvm::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Reader {
    base: IndexBase,
    n_features: Option<usize>,
}

impl Reader {
    /// Indices from 1, as many features as the largest index says.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether indices count from 0. Default: false.
    pub fn zero_based(self, zero_based: bool) -> Self {
        self.index_base(if zero_based {
            IndexBase::Zero
        } else {
            IndexBase::One
        })
    }

    /// What indices count from. Default: [`IndexBase::One`].
    pub fn index_base(mut self, base: IndexBase) -> Self {
        self.base = base;
        self
    }

    /// The number of features; an index beyond it is an error.
    ///
    /// Default: as many as the largest index says, which is too few where the last
    /// columns are empty. Give training and test data the same number, or read them
    /// with [`read_all`](Self::read_all).
    pub fn n_features(mut self, n: usize) -> Self {
        self.n_features = Some(n);
        self
    }

    /// Reads one file.
    ///
    /// Cost: linear in the length of the file, plus a sort of each row out of order.
    ///
    /// # Errors
    /// The file cannot be read or is malformed; the [`Error`] names file and line.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Dataset, Error> {
        self.finish_one(self.scan_file(path.as_ref())?)
    }

    /// Reads files that belong together and gives them all the same width.
    ///
    /// The width is `n_features` if given, else that of the widest file.
    /// [`IndexBase::Auto`] is decided on all files together.
    ///
    /// # Errors
    /// As [`read`](Self::read), for the first file in trouble.
    pub fn read_all<P: AsRef<Path>>(&self, paths: &[P]) -> Result<Vec<Dataset>, Error> {
        let scans = paths
            .iter()
            .map(|path| self.scan_file(path.as_ref()))
            .collect::<Result<_, _>>()?;
        self.finish(scans)
    }

    /// Reads from memory, standard input or another stream, plain or gzip.
    ///
    /// `name` stands for the file name in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(&self, input: impl BufRead, name: &str) -> Result<Dataset, Error> {
        self.finish_one(self.scan(input, name)?)
    }

    fn scan_file(&self, path: &Path) -> Result<Scan, Error> {
        let name = path.display().to_string();
        let file = File::open(path)
            .map_err(|source| Error::io(&name, None, ErrorKind::Io(source.kind()), source))?;
        self.scan(BufReader::with_capacity(BUFFER, file), &name)
    }

    fn scan(&self, mut input: impl BufRead, name: &str) -> Result<Scan, Error> {
        if let Some(n_features) = self.n_features
            && n_features as u64 > MAX_FEATURES
        {
            let kind = ErrorKind::TooManyFeatures { n_features };
            return Err(Error::content(name, None, kind));
        }
        let mut head = Vec::new();
        input
            .by_ref()
            .take(GZIP_MAGIC.len() as u64)
            .read_to_end(&mut head)
            .map_err(|source| Error::io(name, None, ErrorKind::Io(source.kind()), source))?;
        let compressed = head == GZIP_MAGIC;
        let input = Cursor::new(head).chain(input);
        if compressed {
            let plain = BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input));
            self.scan_lines(plain, name, gzip_trouble)
        } else {
            self.scan_lines(input, name, ErrorKind::Io)
        }
    }

    fn scan_lines(
        &self,
        mut input: impl BufRead,
        name: &str,
        trouble: fn(io::ErrorKind) -> ErrorKind,
    ) -> Result<Scan, Error> {
        let mut scan = Scan::new(name, self.base, self.n_features);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let length = input
                .read_until(b'\n', &mut line)
                .map_err(|source| Error::io(name, Some(number), trouble(source.kind()), source))?;
            if length == 0 {
                break;
            }
            scan.line(&line, number)
                .map_err(|kind| Error::content(name, Some(number), kind))?;
        }
        if scan.labels.is_empty() {
            return Err(Error::content(name, None, ErrorKind::Empty));
        }
        Ok(scan)
    }

    fn finish_one(&self, scan: Scan) -> Result<Dataset, Error> {
        let (zero_based, width) = self.layout(std::slice::from_ref(&scan))?;
        Ok(scan.into_dataset(zero_based, width))
    }

    fn finish(&self, scans: Vec<Scan>) -> Result<Vec<Dataset>, Error> {
        let (zero_based, width) = self.layout(&scans)?;
        Ok(scans
            .into_iter()
            .map(|scan| scan.into_dataset(zero_based, width))
            .collect())
    }

    /// Decides on the index base and the width of all files together.
    fn layout(&self, scans: &[Scan]) -> Result<(bool, usize), Error> {
        let zero_based = match self.base {
            IndexBase::One => false,
            IndexBase::Zero => true,
            IndexBase::Auto => scans.iter().any(|scan| scan.has_zero),
        };
        let mut width = 0;
        for scan in scans {
            if let Some((index, line)) = scan.largest {
                // Under `Auto` the limit of a zero-based file is known only now.
                check_index(u64::from(index), zero_based, self.n_features, None)
                    .map_err(|kind| Error::content(&scan.name, Some(line), kind))?;
                width = width.max(index as usize + usize::from(zero_based));
            }
        }
        Ok((zero_based, self.n_features.unwrap_or(width)))
    }
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 1 << 16;

fn gzip_trouble(kind: io::ErrorKind) -> ErrorKind {
    match kind {
        io::ErrorKind::UnexpectedEof => ErrorKind::TruncatedGzip,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => ErrorKind::CorruptGzip,
        other => ErrorKind::Io(other),
    }
}
