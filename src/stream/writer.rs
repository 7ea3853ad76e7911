//! Writing a cache, row by row.

use super::format::{Entry, HEADER, Header, Kind, MOST_CLASSES, UNCOUNTED, bytes, checksum, io};
use crate::data::MAX_FEATURES;
use crate::error::Error;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Rows and bytes after which a block ends.
const ROWS: usize = 8192;
const BYTES: usize = 4 << 20;

/// Writes a cache for [`StreamedRows`](super::StreamedRows); see the [module](super).
///
/// Memory is that of a block. Until [`finish`](CacheWriter::finish) the file is no cache.
#[derive(Debug)]
pub struct CacheWriter {
    path: PathBuf,
    out: BufWriter<File>,
    at: u64,
    index: Vec<Entry>,
    /// The block that is being filled.
    labels: Vec<f64>,
    starts: Vec<u32>,
    columns: Vec<u32>,
    values: Vec<f64>,
    width: usize,
    buffer: Vec<u8>,
    /// Increasing; none if there are too many.
    classes: Option<Vec<f64>>,
    rows: u64,
    features: usize,
    stored: u64,
    nnz: u64,
}

impl CacheWriter {
    /// A file, created or emptied now.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_path_buf();
        let file = File::create(&path).map_err(|e| io(&path, e))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        // Zeros stand for a header until there is one.
        out.write_all(&[0; HEADER]).map_err(|e| io(&path, e))?;
        Ok(CacheWriter {
            path,
            out,
            at: HEADER as u64,
            index: Vec::new(),
            labels: Vec::new(),
            starts: vec![0],
            columns: Vec::new(),
            values: Vec::new(),
            width: 0,
            buffer: Vec::new(),
            classes: Some(Vec::new()),
            rows: 0,
            features: 0,
            stored: 0,
            nnz: 0,
        })
    }

    /// Adds a row by its columns, from 0 and increasing, and their values.
    ///
    /// # Errors
    /// [`Error::Data`] for columns that do not increase or exceed 2³² − 2, and values or labels that
    /// are not finite; [`Error::WrongLength`]; [`Error::Io`].
    pub fn push(&mut self, label: f64, columns: &[u32], values: &[f64]) -> Result<(), Error> {
        crate::error::length("values of a row", columns.len(), values.len())?;
        let refuse = |what: &str| {
            let row = self.rows;
            Err(Error::Data(format!("row {row} of the cache: {what}")))
        };
        if !label.is_finite() || values.iter().any(|v| !v.is_finite()) {
            return refuse("give finite numbers");
        }
        if !columns.is_sorted_by(|a, b| a < b) || columns.last().is_some_and(|c| *c == u32::MAX) {
            return refuse("columns must increase, and be at most 2^32 - 2");
        }
        self.labels.push(label);
        self.columns.extend_from_slice(columns);
        self.values.extend_from_slice(values);
        self.end_row(columns.last().map_or(0, |c| *c as usize + 1))
    }

    /// Adds a row of all features; zeros are not stored where that saves space.
    ///
    /// # Errors
    /// As [`push`](CacheWriter::push).
    pub fn push_dense(&mut self, label: f64, row: &[f64]) -> Result<(), Error> {
        if row.len() as u64 > MAX_FEATURES {
            return Err(Error::parameter("features", row.len(), "at most 2^32 - 1"));
        }
        if !label.is_finite() || row.iter().any(|v| !v.is_finite()) {
            let text = format!("row {} of the cache: give finite numbers", self.rows);
            return Err(Error::Data(text));
        }
        self.labels.push(label);
        for (column, value) in (0u32..).zip(row) {
            if *value != 0.0 {
                self.columns.push(column);
                self.values.push(*value);
            }
        }
        self.end_row(row.len())
    }

    /// At least as many features, the last ones empty.
    pub fn features(&mut self, features: usize) {
        self.features = self.features.max(features);
    }

    fn end_row(&mut self, width: usize) -> Result<(), Error> {
        let label = self.labels[self.labels.len() - 1];
        if let Some(classes) = &mut self.classes {
            let place = classes.partition_point(|y| *y < label);
            if classes.get(place) != Some(&label) {
                classes.insert(place, label);
            }
            if classes.len() > MOST_CLASSES {
                self.classes = None;
            }
        }
        self.width = self.width.max(width);
        self.rows += 1;
        // A block has at most 4 MiB and one row of at most 2³² entries, so this only cuts there.
        self.starts
            .push(self.columns.len().min(u32::MAX as usize) as u32);
        if self.labels.len() >= ROWS || 8 * self.values.len() >= BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), Error> {
        let (rows, entries) = (self.labels.len(), self.values.len());
        if rows == 0 {
            return Ok(());
        }
        let cells = rows as u64 * self.width as u64;
        let kind = if self.values.iter().all(|v| *v == 1.0) {
            Kind::Ones
        } else if 3 * entries as u64 > 2 * cells {
            Kind::Dense
        } else {
            Kind::Sparse
        };
        let buffer = &mut self.buffer;
        buffer.clear();
        let mut put = |word: f64| buffer.extend_from_slice(&word.to_le_bytes());
        self.labels.iter().for_each(|y| put(*y));
        if kind == Kind::Dense {
            for range in self.starts.windows(2) {
                let range = range[0] as usize..range[1] as usize;
                let mut next = 0;
                for (column, value) in self.columns[range.clone()].iter().zip(&self.values[range]) {
                    (next..*column as usize).for_each(|_| put(0.0));
                    put(*value);
                    next = *column as usize + 1;
                }
                (next..self.width).for_each(|_| put(0.0));
            }
        } else {
            if kind == Kind::Sparse {
                self.values.iter().for_each(|v| put(*v));
            }
            for half in self.starts.iter().chain(&self.columns) {
                buffer.extend_from_slice(&half.to_le_bytes());
            }
            buffer.resize(buffer.len().next_multiple_of(8), 0);
        }
        self.index.push(Entry {
            offset: self.at,
            rows,
            entries,
            kind,
            width: self.width,
            checksum: checksum(buffer),
        });
        self.out.write_all(buffer).map_err(|e| io(&self.path, e))?;
        self.at += buffer.len() as u64;
        self.features = self.features.max(self.width);
        self.stored += entries as u64;
        self.nnz += self.values.iter().filter(|v| **v != 0.0).count() as u64;
        self.labels.clear();
        self.columns.clear();
        self.values.clear();
        self.starts.truncate(1);
        self.width = 0;
        Ok(())
    }

    /// Writes what is missing; the file is then a cache.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Data`] without rows.
    pub fn finish(mut self) -> Result<(), Error> {
        self.end_block()?;
        if self.rows == 0 {
            return Err(Error::Data("a row cache needs at least one row".into()));
        }
        let mut index: Vec<u64> = self.index.iter().flat_map(Entry::words).collect();
        let classes = self.classes.as_deref().unwrap_or(&[]);
        index.extend(classes.iter().map(|y| y.to_bits()));
        index.push(checksum(&bytes(&index)));
        let header = Header {
            rows: self.rows,
            features: self.features as u64,
            stored: self.stored,
            nnz: self.nnz,
            blocks: self.index.len() as u64,
            index: self.at,
            classes: self.classes.as_ref().map_or(UNCOUNTED, |c| c.len() as u64),
        };
        let mut write = || {
            self.out.write_all(&bytes(&index))?;
            // The header comes last, after everything that it speaks of.
            self.out.flush()?;
            self.out.get_ref().sync_data()?;
            self.out.seek(SeekFrom::Start(0))?;
            self.out.write_all(&header.to_bytes())?;
            self.out.flush()
        };
        write().map_err(|e| io(&self.path, e))
    }
}
