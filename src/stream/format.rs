//! Header, index and checksums of a cache.

use super::{Error, ErrorKind};
use std::path::Path;

/// Bytes of the header.
pub(super) const HEADER: usize = 80;
/// Words of an entry of the index.
pub(super) const ENTRY: usize = 6;
const MAGIC: u64 = u64::from_le_bytes(*b"RAPHROWS");
const VERSION: u64 = 1;
/// Stands for a number of classes that was not counted.
pub(super) const UNCOUNTED: u64 = u64::MAX;
/// Distinct labels above which they are not taken for classes.
pub(super) const MOST_CLASSES: usize = 4096;

/// How the rows of a block are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dense,
    Sparse,
    /// Sparse, and every value is 1.
    Ones,
}

/// A block in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) rows: usize,
    pub(super) entries: usize,
    pub(super) kind: Kind,
    pub(super) width: usize,
    pub(super) checksum: u64,
}

impl Entry {
    /// Bytes of the block; none if they are more than any file has.
    pub(super) fn bytes(&self) -> Option<u64> {
        let (rows, entries) = (self.rows as u64, self.entries as u64);
        let labels = rows.checked_mul(8)?;
        let sparse = |value: u64| {
            let entries = entries.checked_mul(4 + value)?;
            let starts = rows.checked_add(1)?.checked_mul(4)?;
            entries.checked_add(starts)?.checked_next_multiple_of(8)
        };
        let body = match self.kind {
            Kind::Dense => rows.checked_mul(self.width as u64)?.checked_mul(8)?,
            Kind::Sparse => sparse(8)?,
            Kind::Ones => sparse(0)?,
        };
        labels.checked_add(body)
    }

    pub(super) fn words(&self) -> [u64; ENTRY] {
        let kind = match self.kind {
            Kind::Dense => 0,
            Kind::Sparse => 1,
            Kind::Ones => 2,
        };
        let [rows, entries, width] = [self.rows, self.entries, self.width].map(|n| n as u64);
        [self.offset, rows, entries, kind, width, self.checksum]
    }

    pub(super) fn from_words(words: &[u64; ENTRY]) -> Option<Self> {
        let &[offset, rows, entries, kind, width, checksum] = words;
        Some(Entry {
            offset,
            rows: usize::try_from(rows).ok()?,
            entries: usize::try_from(entries).ok()?,
            kind: match kind {
                0 => Kind::Dense,
                1 => Kind::Sparse,
                2 => Kind::Ones,
                _ => return None,
            },
            width: usize::try_from(width).ok()?,
            checksum,
        })
    }
}

/// The header without magic, version and checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) rows: u64,
    pub(super) features: u64,
    pub(super) stored: u64,
    pub(super) nnz: u64,
    pub(super) blocks: u64,
    pub(super) index: u64,
    pub(super) classes: u64,
}

impl Header {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut words = vec![MAGIC, VERSION, self.rows, self.features, self.stored];
        words.extend([self.nnz, self.blocks, self.index, self.classes]);
        words.push(checksum(&bytes(&words)));
        bytes(&words)
    }

    pub(super) fn read(path: &Path, head: &[u8]) -> Result<Self, Error> {
        let words = words(head);
        let &[
            magic,
            version,
            rows,
            features,
            stored,
            nnz,
            blocks,
            index,
            classes,
            sum,
        ] = &words[..]
        else {
            return Err(error(path, ErrorKind::NotACache));
        };
        if magic != MAGIC {
            return Err(error(path, ErrorKind::NotACache));
        }
        if version != VERSION {
            return Err(error(path, ErrorKind::Version { found: version }));
        }
        if sum != checksum(&head[..HEADER - 8]) {
            return Err(corrupt(path, "header"));
        }
        Ok(Header {
            rows,
            features,
            stored,
            nnz,
            blocks,
            index,
            classes,
        })
    }

    /// Bytes of the index.
    pub(super) fn index_bytes(&self) -> Option<u64> {
        let classes = if self.classes == UNCOUNTED {
            0
        } else {
            self.classes
        };
        let words = self
            .blocks
            .checked_mul(ENTRY as u64)?
            .checked_add(classes)?;
        words.checked_add(1)?.checked_mul(8)
    }
}

pub(super) fn error(path: &Path, kind: ErrorKind) -> Error {
    Error {
        path: path.display().to_string(),
        kind,
    }
}

pub(super) fn corrupt(path: &Path, part: impl Into<String>) -> Error {
    error(path, ErrorKind::Corrupt { part: part.into() })
}

pub(super) fn io(path: &Path, source: std::io::Error) -> crate::Error {
    crate::Error::Io {
        path: path.display().to_string(),
        source,
    }
}

pub(super) fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(super) fn words(bytes: &[u8]) -> Vec<u64> {
    let words = bytes.as_chunks::<8>().0.iter();
    words.map(|word| u64::from_le_bytes(*word)).collect()
}

/// A checksum of whole words in four interleaved chains, each an FNV step and a rotation, so that
/// it runs at the speed of memory.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut chains = [1u64, 2, 3, 4].map(|k| k.wrapping_mul(0xcbf2_9ce4_8422_2325));
    let step = |chain: &mut u64, word: &[u8; 8]| {
        let mixed = (*chain ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME);
        *chain = mixed.rotate_left(29);
    };
    let (groups, rest) = bytes.as_chunks::<32>();
    for group in groups {
        for (chain, word) in chains.iter_mut().zip(group.as_chunks::<8>().0) {
            step(chain, word);
        }
    }
    for (chain, word) in chains.iter_mut().zip(rest.as_chunks::<8>().0) {
        step(chain, word);
    }
    let mut sum = bytes.len() as u64;
    for chain in chains {
        step(&mut sum, &chain.to_le_bytes());
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_moves_the_checksum() {
        let data: Vec<u8> = (0..72u8).map(|k| k.wrapping_mul(37)).collect();
        let whole = checksum(&data);
        for bit in 0..8 * data.len() {
            let mut changed = data.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(&changed), whole, "bit {bit}");
        }
        assert_ne!(checksum(&data[..64]), whole);
        // Words in another order.
        let mut swapped = data.clone();
        swapped.rotate_left(8);
        assert_ne!(checksum(&swapped), whole);
    }
}
