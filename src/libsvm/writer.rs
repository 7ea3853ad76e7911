//! Writing.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Error, ErrorKind};
use crate::data::Dataset;

/// How to write LIBSVM files.
///
/// Every number is written with the fewest digits that read back to the same double,
/// explicit zeros and query ids are written too, so reading the file gives the same
/// data to the bit. One thing is not in the format: if the last columns are empty, the
/// number of features comes back too small; [`Reader::n_features`](super::Reader::n_features)
/// restores it.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    zero_based: bool,
}

impl Writer {
    /// Indices from 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether indices count from 0. Default: false.
    pub fn zero_based(mut self, zero_based: bool) -> Self {
        self.zero_based = zero_based;
        self
    }

    /// Writes a file, replacing one of the same name; as gzip if the name ends in `.gz`.
    ///
    /// # Errors
    /// The file cannot be written; it may be left incomplete.
    pub fn write(&self, path: impl AsRef<Path>, data: &Dataset) -> Result<(), Error> {
        let path = path.as_ref();
        let gzip = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        self.write_file(path, gzip, data).map_err(|source| {
            let kind = ErrorKind::Io(source.kind());
            Error::io(&path.display().to_string(), None, kind, source)
        })
    }

    /// Writes plain text to a stream, one `write_all` per row.
    ///
    /// # Errors
    /// Whatever the stream reports.
    pub fn write_to(&self, mut out: impl Write, data: &Dataset) -> io::Result<()> {
        let first = u64::from(!self.zero_based);
        let mut line = Vec::new();
        for (row, &label) in data.labels().iter().enumerate() {
            line.clear();
            number(&mut line, label)?;
            if let Some(qids) = data.qids() {
                write!(line, " qid:{}", qids[row])?;
            }
            let (columns, values) = data.row(row);
            for (&column, &value) in columns.iter().zip(values) {
                write!(line, " {}:", u64::from(column) + first)?;
                number(&mut line, value)?;
            }
            line.push(b'\n');
            out.write_all(&line)?;
        }
        out.flush()
    }

    fn write_file(&self, path: &Path, gzip: bool, data: &Dataset) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        if gzip {
            let mut encoder = GzEncoder::new(&mut file, Compression::default());
            self.write_to(&mut encoder, data)?;
            encoder.finish()?;
            file.flush()
        } else {
            self.write_to(file, data)
        }
    }
}

/// The shortest text that reads back to the same double, whole numbers without a point.
fn number(line: &mut Vec<u8>, value: f64) -> io::Result<()> {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        write!(line, "{value}")
    } else {
        write!(line, "{value:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (1.0, "1"),
            (-1.0, "-1"),
            (-0.0, "-0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e-310, "1e-310"),
            (1e22, "1e22"),
            (999_999_999_999_999.0, "999999999999999"),
        ] {
            let mut line = Vec::new();
            number(&mut line, value).unwrap();
            assert_eq!(line, text.as_bytes());
        }
    }
}
