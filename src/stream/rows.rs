//! An open cache, and its blocks as views of mapped memory.

use super::format::{
    ENTRY, Entry, HEADER, Header, Kind, MOST_CLASSES, UNCOUNTED, checksum, corrupt, error, io,
    words,
};
use super::map::{map, will_need};
use super::{Error, ErrorKind};
use crate::data::Dataset;
use memmap2::Mmap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The rows of a cache, or of some of its blocks.
///
/// Holds the index, about 60 bytes for some thousand rows; rows are mapped when they are read.
/// Cloning is cheap. The file must not be changed or shortened while it is open: a changed one
/// gives other results, a shortened one ends the process, as memory maps do.
#[derive(Debug, Clone)]
pub struct StreamedRows {
    file: Arc<Cache>,
    blocks: Range<usize>,
}

#[derive(Debug)]
struct Cache {
    path: PathBuf,
    file: File,
    header: Header,
    index: Vec<Entry>,
    /// Whether a block was found to be as it was written.
    checked: Vec<AtomicBool>,
    /// Rows before each block, and in all.
    before: Vec<usize>,
    classes: Option<Vec<f64>>,
}

/// The columns of a row and its values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row<'a> {
    /// Of the first columns, as many as there are.
    Dense(&'a [f64]),
    Sparse(&'a [u32], &'a [f64]),
    Ones(&'a [u32]),
}

impl StreamedRows {
    /// Opens a cache and reads its index.
    ///
    /// # Errors
    /// [`Error::Cache`](crate::Error::Cache) if it is no cache, of another version, truncated or
    /// damaged; [`Error::Io`](crate::Error::Io).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, crate::Error> {
        let path = path.as_ref();
        if cfg!(target_endian = "big") {
            return Err(error(path, ErrorKind::ByteOrder).into());
        }
        let mut file = File::open(path).map_err(|e| io(path, e))?;
        let length = file.metadata().map_err(|e| io(path, e))?.len();
        let mut head = Vec::new();
        let limit = HEADER as u64;
        let read = (&mut file).take(limit).read_to_end(&mut head);
        read.map_err(|e| io(path, e))?;
        let header = Header::read(path, &head)?;
        let index = header
            .index_bytes()
            .ok_or_else(|| corrupt(path, "header"))?;
        let expected = header.index.checked_add(index);
        if expected != Some(length) {
            let kind = ErrorKind::Truncated {
                expected: expected.unwrap_or(u64::MAX),
                found: length,
            };
            return Err(error(path, kind).into());
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(header.index))
            .map_err(|e| io(path, e))?;
        file.read_to_end(&mut bytes).map_err(|e| io(path, e))?;
        let cache = Cache::new(path, file, header, &bytes)?;
        let blocks = 0..cache.index.len();
        Ok(StreamedRows {
            file: Arc::new(cache),
            blocks,
        })
    }

    /// Whether a file begins like a cache.
    pub fn is_cache(path: impl AsRef<Path>) -> bool {
        let mut magic = [0; 8];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
        read.is_ok() && magic == *b"RAPHROWS"
    }

    /// The r-th of `parts` consecutive runs of blocks, with rows as equal in number as blocks allow;
    /// none if it has no rows.
    pub fn part(&self, r: usize, parts: usize) -> Option<Self> {
        let rows = self.n_rows() as u128;
        let first = self.file.before[self.blocks.start];
        let cut = |r: usize| {
            let row = first + (rows * r as u128 / parts as u128) as usize;
            let block = self.file.before.partition_point(|before| *before < row);
            block.clamp(self.blocks.start, self.blocks.end)
        };
        let blocks = cut(r)..if r + 1 == parts {
            self.blocks.end
        } else {
            cut(r + 1)
        };
        (!blocks.is_empty()).then(|| StreamedRows {
            file: Arc::clone(&self.file),
            blocks,
        })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.file.before[self.blocks.end] - self.file.before[self.blocks.start]
    }

    /// Rows of the file before these.
    pub fn offset(&self) -> usize {
        self.file.before[self.blocks.start]
    }

    /// Number of features, those of the whole file.
    pub fn n_features(&self) -> usize {
        self.file.header.features as usize
    }

    /// Entries that are not zero, in the whole file.
    pub fn nnz(&self) -> usize {
        self.file.header.nnz as usize
    }

    /// Bytes of these rows in the file: what a pass reads.
    pub fn bytes(&self) -> u64 {
        let blocks = self.file.index[self.blocks.clone()].iter();
        blocks.filter_map(Entry::bytes).sum()
    }

    /// The distinct labels of the whole file in increasing order, unless there are more than 4096.
    pub fn classes(&self) -> Option<&[f64]> {
        self.file.classes.as_deref()
    }

    /// Number of blocks.
    pub(super) fn n_blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Asks the system to read a block ahead.
    pub(super) fn prefetch(&self, block: usize) {
        if let Some(entry) = self.file.index.get(self.blocks.start + block)
            && let Some(Ok(length)) = entry.bytes().map(usize::try_from)
        {
            will_need(&self.file.file, entry.offset, length);
        }
    }

    /// Maps a block, and checks it the first time.
    pub(super) fn block(&self, block: usize) -> Result<Block, crate::Error> {
        let number = self.blocks.start + block;
        let cache = &*self.file;
        let damaged = || corrupt(&cache.path, format!("block {number}"));
        let entry = cache.index[number];
        let length = entry.bytes().and_then(|n| usize::try_from(n).ok());
        let length = length.ok_or_else(damaged)?;
        let map = map(&cache.file, entry.offset, length).map_err(|e| io(&cache.path, e))?;
        let block = Block { entry, map };
        if !cache.checked[number].load(Ordering::Relaxed) {
            let valid = checksum(&block.map) == entry.checksum && block.fits(self.n_features());
            if !valid {
                return Err(damaged().into());
            }
            cache.checked[number].store(true, Ordering::Relaxed);
        }
        Ok(block)
    }

    /// Rows as a data set, in the given order.
    pub(super) fn gather(&self, rows: &[usize]) -> Result<Dataset, crate::Error> {
        let mut order: Vec<(usize, usize)> = rows.iter().copied().zip(0..).collect();
        // By place in the file, so that each block is mapped once.
        order.sort_unstable();
        let mut found: Vec<(Vec<u32>, Vec<f64>, f64)> = vec![Default::default(); rows.len()];
        let mut open: Option<(usize, Block)> = None;
        for (row, place) in order {
            let (number, at) = self.find(row);
            let block = match open.take() {
                Some((last, block)) if last == number => block,
                _ => self.block(number)?,
            };
            let (row, label) = block.row(at);
            let (columns, values, y) = &mut found[place];
            row.each(|j, v| {
                columns.push(j as u32);
                values.push(v);
            });
            *y = label;
            open = Some((number, block));
        }
        let mut starts = vec![0];
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for (c, v, _) in &found {
            columns.extend_from_slice(c);
            values.extend_from_slice(v);
            starts.push(columns.len());
        }
        let labels = found.iter().map(|row| row.2).collect();
        Dataset::from_csr(starts, columns, values, self.n_features(), labels)
    }

    /// The block that holds a row, and the row's place in it.
    pub(super) fn find(&self, row: usize) -> (usize, usize) {
        let row = self.offset() + row;
        let block = self.file.before.partition_point(|before| *before <= row) - 1;
        (block - self.blocks.start, row - self.file.before[block])
    }
}

impl Cache {
    fn new(path: &Path, file: File, header: Header, index: &[u8]) -> Result<Self, Error> {
        let damaged = || corrupt(path, "index");
        let words = words(index);
        let (sum, rest) = words.split_last().ok_or_else(damaged)?;
        if *sum != checksum(&index[..index.len() - 8]) {
            return Err(damaged());
        }
        let (entries, classes) = rest.split_at(header.blocks as usize * ENTRY);
        let index: Option<Vec<Entry>> = entries
            .as_chunks()
            .0
            .iter()
            .map(Entry::from_words)
            .collect();
        let index = index.ok_or_else(damaged)?;
        // Blocks follow each other from the header to the index.
        let mut at = HEADER as u64;
        let mut before = vec![0];
        for entry in &index {
            let end = entry.bytes().and_then(|bytes| at.checked_add(bytes));
            let rows = before[before.len() - 1] + entry.rows;
            if entry.offset != at || entry.rows == 0 || entry.width as u64 > header.features {
                return Err(damaged());
            }
            at = end.ok_or_else(damaged)?;
            before.push(rows);
        }
        let rows = before[before.len() - 1] as u64;
        if at != header.index || rows != header.rows || rows == 0 || classes.len() > MOST_CLASSES {
            return Err(damaged());
        }
        let classes = (header.classes != UNCOUNTED)
            .then(|| classes.iter().map(|y| f64::from_bits(*y)).collect());
        Ok(Cache {
            path: path.to_path_buf(),
            file,
            header,
            checked: index.iter().map(|_| AtomicBool::new(false)).collect(),
            index,
            before,
            classes,
        })
    }
}

/// A mapped block.
#[derive(Debug)]
pub(super) struct Block {
    entry: Entry,
    map: Mmap,
}

impl Block {
    /// Numbers at a place in the block; none at all if they do not fit, which was checked.
    fn view<T: bytemuck::AnyBitPattern>(&self, at: usize, count: usize) -> &[T] {
        let bytes = self.map.get(at..at + count * size_of::<T>());
        bytemuck::try_cast_slice(bytes.unwrap_or(&[])).unwrap_or(&[])
    }

    pub(super) fn labels(&self) -> &[f64] {
        self.view(0, self.entry.rows)
    }

    /// All rows, each as many values as it returns beside them, if they are stored so.
    pub(super) fn dense(&self) -> Option<(&[f64], usize)> {
        let Entry { rows, width, .. } = self.entry;
        (self.entry.kind == Kind::Dense).then(|| (self.view(8 * rows, rows * width), width))
    }

    /// Row starts, columns and values, the last empty if all are 1.
    fn sparse(&self) -> (&[u32], &[u32], &[f64]) {
        let Entry { rows, entries, .. } = self.entry;
        let stored = if self.entry.kind == Kind::Ones {
            0
        } else {
            entries
        };
        let at = 8 * (rows + stored);
        let starts = self.view(at, rows + 1);
        let columns = self.view(at + 4 * (rows + 1), entries);
        (starts, columns, self.view(8 * rows, stored))
    }

    /// Whether every index in it is in range.
    fn fits(&self, features: usize) -> bool {
        let Entry { rows, entries, .. } = self.entry;
        let finite = |values: &[f64]| values.iter().all(|v| v.is_finite());
        if !finite(self.labels()) || self.labels().len() != rows {
            return false;
        }
        if let Some((values, width)) = self.dense() {
            return finite(values) && width <= features && values.len() == rows * width;
        }
        let (starts, columns, values) = self.sparse();
        starts.first() == Some(&0)
            && starts.last().is_some_and(|end| *end as usize == entries)
            && starts.is_sorted()
            && columns.len() == entries
            && columns.iter().all(|c| (*c as usize) < features)
            && starts
                .windows(2)
                .all(|ends| columns[ends[0] as usize..ends[1] as usize].is_sorted_by(|a, b| a < b))
            && finite(values)
    }

    /// A row and its label.
    fn row(&self, k: usize) -> (Row<'_>, f64) {
        let y = self.labels()[k];
        if let Some((values, width)) = self.dense() {
            return (Row::Dense(&values[k * width..(k + 1) * width]), y);
        }
        let (starts, columns, values) = self.sparse();
        let range = starts[k] as usize..starts[k + 1] as usize;
        let row = match self.entry.kind {
            Kind::Ones => Row::Ones(&columns[range]),
            _ => Row::Sparse(&columns[range.clone()], &values[range]),
        };
        (row, y)
    }

    /// Calls `visit` with every row and its label.
    pub(super) fn each_row(&self, mut visit: impl FnMut(Row<'_>, f64)) {
        if let Some((values, width)) = self.dense() {
            for (k, y) in self.labels().iter().enumerate() {
                visit(Row::Dense(&values[k * width..(k + 1) * width]), *y);
            }
            return;
        }
        let (starts, columns, values) = self.sparse();
        for (ends, y) in starts.windows(2).zip(self.labels()) {
            let range = ends[0] as usize..ends[1] as usize;
            let row = match self.entry.kind {
                Kind::Ones => Row::Ones(&columns[range]),
                _ => Row::Sparse(&columns[range.clone()], &values[range]),
            };
            visit(row, *y);
        }
    }
}

impl Row<'_> {
    /// aᵀw.
    pub(super) fn dot(self, w: &[f64]) -> f64 {
        match self {
            Row::Dense(values) => crate::parallel::dot(values, &w[..values.len()]),
            Row::Sparse(columns, values) => {
                let terms = columns.iter().zip(values);
                terms.map(|(j, v)| v * w[*j as usize]).sum()
            }
            Row::Ones(columns) => columns.iter().map(|j| w[*j as usize]).sum(),
        }
    }

    /// Calls `visit` with every column and its value.
    pub(super) fn each(self, mut visit: impl FnMut(usize, f64)) {
        match self {
            Row::Dense(values) => values.iter().enumerate().for_each(|(j, v)| visit(j, *v)),
            Row::Sparse(columns, values) => {
                let entries = columns.iter().zip(values);
                entries.for_each(|(j, v)| visit(*j as usize, *v));
            }
            Row::Ones(columns) => columns.iter().for_each(|j| visit(*j as usize, 1.0)),
        }
    }

    /// g += c a.
    pub(super) fn add_to(self, c: f64, g: &mut [f64]) {
        if let Row::Dense(values) = self {
            for (g, v) in g.iter_mut().zip(values) {
                *g += c * v;
            }
            return;
        }
        self.each(|j, v| g[j] += c * v);
    }
}
