//! Reading, some blocks of lines at a time.
//!
//! Blocks are cut at ends of lines and scanned by several threads, then put together in order: a
//! line means the same wherever the cuts are, and of several errors the first in the file is
//! reported, so neither rows nor errors depend on the cuts or the threads.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::mem;
use std::ops::Range;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::scan::{Scan, check_index};
use super::{Error, ErrorKind};
use crate::data::{Dataset, MAX_FEATURES};
use crate::parallel::chunks_mut;

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
        let (input, name) = open(path)?;
        self.scan(input, &name)
    }

    fn scan(&self, input: impl BufRead, name: &str) -> Result<Scan, Error> {
        let mut scan = self.blank(name);
        self.scan_into(&mut scan, input, name)?;
        if scan.labels.is_empty() {
            return Err(Error::content(name, None, ErrorKind::Empty));
        }
        Ok(scan)
    }

    /// Adds the rows of a stream, plain or gzip, to those of others; there may be none.
    pub(super) fn scan_into(
        &self,
        scan: &mut Scan,
        input: impl BufRead,
        name: &str,
    ) -> Result<(), Error> {
        self.scan_with(scan, input, name, &mut |_| Ok(()))
    }

    /// The same, and lets `take` have the rows now and then.
    pub(super) fn scan_with(
        &self,
        scan: &mut Scan,
        mut input: impl BufRead,
        name: &str,
        take: &mut TakeRows<'_>,
    ) -> Result<(), Error> {
        self.check_features(name)?;
        let mut head = Vec::new();
        input
            .by_ref()
            .take(GZIP_MAGIC.len() as u64)
            .read_to_end(&mut head)
            .map_err(|source| Error::io(name, None, ErrorKind::Io(source.kind()), source))?;
        let compressed = head == GZIP_MAGIC;
        let input = Cursor::new(head).chain(input);
        scan.name = name.into();
        if compressed {
            let plain = BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input));
            self.scan_blocks(scan, plain, gzip_trouble, [BLOCK, BLOCKS], take)
        } else {
            self.scan_blocks(scan, input, ErrorKind::Io, [BLOCK, BLOCKS], take)
        }
    }

    /// Whether as many features can be numbered.
    pub(super) fn check_features(&self, name: &str) -> Result<(), Error> {
        match self.n_features {
            Some(n_features) if n_features as u64 > MAX_FEATURES => {
                let kind = ErrorKind::TooManyFeatures { n_features };
                Err(Error::content(name, None, kind))
            }
            _ => Ok(()),
        }
    }

    /// No rows yet.
    pub(super) fn blank(&self, name: &str) -> Scan {
        Scan::new(name, self.base, self.n_features)
    }

    #[cfg(any(feature = "distributed", feature = "mmap"))]
    pub(super) fn base(&self) -> IndexBase {
        self.base
    }

    #[cfg(any(feature = "distributed", feature = "mmap"))]
    pub(super) fn features(&self) -> Option<usize> {
        self.n_features
    }

    /// `size` is that of a block but for its last line, `count` blocks are read at a time.
    fn scan_blocks(
        &self,
        scan: &mut Scan,
        mut input: impl Read,
        trouble: fn(io::ErrorKind) -> ErrorKind,
        [size, count]: [usize; 2],
        take: &mut TakeRows<'_>,
    ) -> Result<(), Error> {
        scan.lines = 0;
        let mut parts: Vec<Part> = Vec::new();
        // With room for the end of the last line.
        let mut buffer = vec![0; size * count + 1];
        let mut filled = 0;
        loop {
            let room = buffer.len() - 1;
            let end = fill(&mut input, &mut buffer[..room], &mut filled);
            if matches!(end, Ok(true)) && filled > 0 && buffer[filled - 1] != b'\n' {
                buffer[filled] = b'\n';
                filled += 1;
            }
            let last = buffer[..filled].iter().rposition(|&byte| byte == b'\n');
            let whole = last.map_or(0, |last| last + 1);
            let used = cut(&buffer[..whole], size, &mut parts);
            let text = &buffer;
            chunks_mut(&mut parts[..used], 1, WORK * whole, |_, part| {
                for Part { range, scan } in part {
                    let scan = scan.get_or_insert_with(|| self.blank(""));
                    scan.clear();
                    scan.block(&text[range.clone()]);
                }
            });
            for part in parts[..used]
                .iter_mut()
                .filter_map(|part| part.scan.as_mut())
            {
                scan.append(part);
                if let Some((line, kind)) = scan.error.take() {
                    return Err(Error::content(&scan.name, Some(line), kind));
                }
            }
            take(scan)?;
            match end {
                Err(source) => {
                    let line = Some(scan.lines + 1);
                    return Err(Error::io(&scan.name, line, trouble(source.kind()), source));
                }
                Ok(true) => break,
                Ok(false) => {}
            }
            buffer.copy_within(whole..filled, 0);
            filled -= whole;
            // A line longer than all blocks.
            if filled > room / 2 {
                buffer.resize(2 * buffer.len(), 0);
            }
        }
        Ok(())
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
        let width = self.width(scans, zero_based)?;
        Ok((zero_based, self.n_features.unwrap_or(width)))
    }

    /// The width that the largest index asks for.
    pub(super) fn width(&self, scans: &[Scan], zero_based: bool) -> Result<usize, Error> {
        let mut width = 0;
        for scan in scans {
            if let Some((index, line)) = scan.largest {
                // Under `Auto` the limit of a zero-based file is known only now.
                check_index(u64::from(index), zero_based, self.n_features, None)
                    .map_err(|kind| Error::content(&scan.name, Some(line), kind))?;
                width = width.max(index as usize + usize::from(zero_based));
            }
        }
        Ok(width)
    }
}

/// Is given the rows that were read and may take them.
pub(super) type TakeRows<'a> = dyn FnMut(&mut Scan) -> Result<(), Error> + 'a;

/// Opens a file and names it.
pub(super) fn open(path: &Path) -> Result<(BufReader<File>, String), Error> {
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok((BufReader::with_capacity(BUFFER, file), name)),
        Err(source) => Err(Error::io(&name, None, ErrorKind::Io(source.kind()), source)),
    }
}

pub(super) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 1 << 16;
/// Bytes of a block.
const BLOCK: usize = 1 << 16;
/// Blocks that are read at a time.
const BLOCKS: usize = 16;
/// Operations that a byte counts as, for the choice of threads.
const WORK: usize = 4;

/// A block and its lines, whose space is used again.
#[derive(Default)]
struct Part {
    range: Range<usize>,
    scan: Option<Scan>,
}

/// Cuts `text` after the first end of line in or after each block; returns the number of parts.
fn cut(text: &[u8], size: usize, parts: &mut Vec<Part>) -> usize {
    let mut used = 0;
    let mut start = 0;
    while start < text.len() {
        let least = text.len().min(start + size) - 1;
        let end = text[least..].iter().position(|&byte| byte == b'\n');
        let end = end.map_or(text.len(), |end| least + end + 1);
        if used == parts.len() {
            parts.push(Part::default());
        }
        parts[used].range = mem::replace(&mut start, end)..end;
        used += 1;
    }
    used
}

/// Reads until `buffer` is full or the input ends, which is true then.
fn fill(input: &mut impl Read, buffer: &mut [u8], filled: &mut usize) -> io::Result<bool> {
    while *filled < buffer.len() {
        match input.read(&mut buffer[*filled..]) {
            Ok(0) => return Ok(true),
            Ok(read) => *filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn gzip_trouble(kind: io::ErrorKind) -> ErrorKind {
    match kind {
        io::ErrorKind::UnexpectedEof => ErrorKind::TruncatedGzip,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => ErrorKind::CorruptGzip,
        other => ErrorKind::Io(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// What a reader that takes all bytes as one block says, and the reader with small blocks.
    fn agree(reader: &Reader, text: &[u8], size: usize, count: usize) {
        let whole = shown(reader, text, text.len() + 1, 1);
        assert_eq!(
            shown(reader, text, size, count),
            whole,
            "blocks of {size}, {count} at a time"
        );
    }

    fn scanned(reader: &Reader, input: impl Read, sizes: [usize; 2]) -> Result<Scan, Error> {
        let mut scan = reader.blank("t");
        reader.scan_blocks(&mut scan, input, ErrorKind::Io, sizes, &mut |_| Ok(()))?;
        match scan.labels.is_empty() {
            true => Err(Error::content("t", None, ErrorKind::Empty)),
            false => Ok(scan),
        }
    }

    fn shown(reader: &Reader, text: &[u8], size: usize, count: usize) -> String {
        let outcome = scanned(reader, text, [size, count]).and_then(|scan| reader.finish_one(scan));
        match outcome {
            Ok(data) => {
                let rows: Vec<_> = (0..data.n_rows()).map(|i| data.row(i)).collect();
                format!(
                    "{rows:?} {:?} {:?} {}",
                    data.labels(),
                    data.qids(),
                    data.n_features()
                )
            }
            Err(error) => error.to_string(),
        }
    }

    const TEXTS: [&str; 9] = [
        "+1 1:0.5 3:2\n-1 2:1e-3\n\n# all\n1 4:7 2:-1 # unsorted\n2",
        "+1 1:0.5\r\n\r\n-1 2:1\r\n+1 3:1",
        "1 qid:3 1:1\n2 qid:4 2:1\n3 qid:18446744073709551615 3:1\n",
        "1 qid:3 1:1\n2 qid:4 2:1\n3 2:1\n4 x\n",
        "1 1:1\n2 2:2\n3 3:3\n4 qid:x 4:4\n5 5:x\n",
        "1 1:1\n2 2:2\n3 3:3 3:4\n4 4\n",
        "1 1:1\n2 2:2\n3 0:1\n4 1,5:4\n",
        "\n\n# nothing\n",
        "1 1:1\n2 123456789012:2\n",
    ];

    #[test]
    fn rows_and_errors_are_the_same_for_cuts_at_every_byte() {
        for text in TEXTS {
            for size in 1..=text.len() {
                for count in [1, 2, 7] {
                    agree(&Reader::new(), text.as_bytes(), size, count);
                    let auto = Reader::new().index_base(IndexBase::Auto);
                    agree(&auto, text.as_bytes(), size, count);
                }
            }
        }
    }

    #[test]
    fn errors_in_later_blocks_name_their_line() {
        let mut text = "+1 1:0.5 2:-3\n".repeat(1000);
        text += "\n# a comment\n-1 1:1 2:x\n-1 nothing\n";
        for size in [64, 1000, 1 << 16] {
            let said = shown(&Reader::new(), text.as_bytes(), size, 3);
            assert!(said.starts_with("t:1003: value \"x\" of index 2"), "{said}");
        }
    }

    /// Text, then an error in place of the rest.
    struct Breaks<'a>(&'a [u8]);

    impl Read for Breaks<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match self.0.read(out)? {
                0 => Err(io::ErrorKind::ConnectionReset.into()),
                n => Ok(n),
            }
        }
    }

    #[test]
    fn a_stream_that_breaks_names_the_line_unless_an_earlier_one_is_wrong() {
        let said = |text: &str, size| {
            let input = Breaks(text.as_bytes());
            let scan = scanned(&Reader::new(), input, [size, 2]);
            scan.err().map(|error| (error.line, error.kind))
        };
        for size in 1..40 {
            let broken = ErrorKind::Io(io::ErrorKind::ConnectionReset);
            assert_eq!(
                said("1 1:1\n2 2:2\n3 3", size),
                Some((Some(3), broken.clone()))
            );
            assert_eq!(said("1 1:1\n2 2:2\n", size), Some((Some(3), broken)));
            let wrong = ErrorKind::MissingColon { text: "2".into() };
            assert_eq!(said("1 1:1\n2 2\n3 3", size), Some((Some(2), wrong)));
        }
    }

    fn fixed() -> ProptestConfig {
        ProptestConfig {
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        }
    }

    /// Lines near the grammar: most are rows, some are wrong in one way or another.
    fn lines() -> impl Strategy<Value = Vec<u8>> {
        let entry = prop_oneof![
            8 => "[0-9]{1,3}:-?[0-9]{1,3}(\\.[0-9]{1,20})?",
            1 => "[0-9]{0,12}:?[-+.e0-9]{0,5}",
        ];
        let line = (
            prop_oneof![20 => "[-+]?[0-9]", 1 => "[ #,a0-9]{0,3}"],
            prop_oneof![20 => Just(String::new()), 1 => Just(" qid:7".to_string())],
            prop::collection::vec(entry, 0..6),
            prop_oneof![6 => Just("\n"), 2 => Just("\r\n"), 1 => Just(" # c\n"), 1 => Just("\t \n")],
        );
        let line = line.prop_map(|(label, qid, entries, end)| {
            let entries: String = entries.iter().map(|entry| format!(" {entry}")).collect();
            format!("{label}{qid}{entries}{end}").into_bytes()
        });
        prop::collection::vec(line, 1..12).prop_map(|lines| lines.concat())
    }

    proptest! {
        #![proptest_config(fixed())]

        #[test]
        fn blocks_change_nothing(text in lines(), size in 1usize..80, count in 1usize..5, base in 0u8..3, width: bool) {
            let base = [IndexBase::One, IndexBase::Zero, IndexBase::Auto][usize::from(base)];
            let mut reader = Reader::new().index_base(base);
            if width {
                reader = reader.n_features(500);
            }
            agree(&reader, &text, size, count);
        }
    }
}
