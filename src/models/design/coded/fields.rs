//! Columns cut into fields, by a sample of the rows.

use super::{Csr, EXPANSION, MOST, PASSES};

/// A column of so many values in the sample is a field by itself.
const VALUES: usize = 64;
/// No part.
const NONE: u32 = u32::MAX;

/// A column and its values.
#[derive(Clone)]
pub(super) struct Column {
    /// The bits of the values seen, if they are few.
    pub(super) values: Option<Vec<u64>>,
    pub(super) field: u32,
    /// Place of the number of the value, from 1, in the key of a part, and its bits.
    pub(super) shift: u32,
    pub(super) width: u32,
}

impl Column {
    /// Bits for the numbers of the values seen, with room for as many new ones.
    pub(super) fn wanted(&self) -> u32 {
        match self.values.as_deref() {
            None | Some([] | [_]) => 1,
            Some(values) => (2 * values.len() as u32).ilog2() + 1,
        }
    }

    /// The number of a value; None if there is no room for it.
    pub(super) fn number(&mut self, bits: u64) -> Option<u64> {
        let Some(values) = &mut self.values else {
            return Some(1);
        };
        let found = values.iter().position(|v| *v == bits);
        let number = 1 + found.unwrap_or_else(|| {
            values.push(bits);
            values.len() - 1
        });
        (number < 1 << self.width).then_some(number as u64)
    }
}

/// Columns cut into fields.
pub(super) struct Cut {
    pub(super) columns: Vec<Column>,
    pub(super) fields: usize,
    /// Additions for each row and Hessian.
    pub(super) cost: f64,
}

/// Some rows by columns.
pub(super) struct Sample {
    rows: usize,
    start: Vec<usize>,
    /// Row and number of the value of each entry.
    entry: Vec<(u32, u32)>,
    pub(super) columns: Vec<Column>,
}

impl Sample {
    pub(super) fn new(
        features: usize,
        (start, col, value): Csr<'_>,
        rows: impl Iterator<Item = usize> + Clone,
    ) -> Self {
        let ranges = rows.map(|i| start[i]..start[i + 1]);
        let mut ends = vec![0usize; features + 1];
        for j in ranges.clone().flat_map(|range| &col[range]) {
            ends[*j as usize + 1] += 1;
        }
        for j in 0..features {
            ends[j + 1] += ends[j];
        }
        let mut next = ends.clone();
        let mut entry = vec![(0, 0); ends[features]];
        let empty = Column {
            values: Some(Vec::new()),
            field: 0,
            shift: 0,
            width: 0,
        };
        let mut columns = vec![empty; features];
        let mut rows = 0;
        for range in ranges {
            for (&j, &v) in col[range.clone()].iter().zip(&value[range]) {
                let column = &mut columns[j as usize];
                let number = match &mut column.values {
                    None => 0,
                    Some(values) => values
                        .iter()
                        .position(|w| *w == v.to_bits())
                        .unwrap_or_else(|| {
                            values.push(v.to_bits());
                            values.len() - 1
                        }),
                };
                column.values.take_if(|values| values.len() >= VALUES);
                let slot = &mut next[j as usize];
                entry[*slot] = (rows, number as u32);
                *slot += 1;
            }
            rows += 1;
        }
        Sample {
            rows: rows as usize,
            start: ends,
            entry,
            columns,
        }
    }

    /// Fields of at most `limit` values for n rows, if their tokens are not too many.
    pub(super) fn cut(&self, limit: usize, n: usize) -> Option<Cut> {
        let mut parts = Parts::new(self.rows);
        let mut lengths = vec![0u32; self.rows];
        let mut columns = self.columns.clone();
        let (mut field, mut shift, mut tokens) = (0, 0, 0.0);
        for (column, ends) in columns.iter_mut().zip(self.start.windows(2)) {
            let entries = &self.entry[ends[0]..ends[1]];
            column.values.take_if(|values| values.len() >= limit);
            let is_raw = column.values.is_none();
            column.width = column.wanted();
            let joins = !is_raw && shift + column.width <= 64 && parts.join(entries, limit);
            if shift > 0 && !joins {
                tokens += parts.close(&mut lengths, n);
                (field, shift) = (field + 1, 0);
            }
            (column.field, column.shift) = (field, shift);
            if is_raw {
                for (row, _) in entries {
                    lengths[*row as usize] += 1;
                }
                (field, tokens) = (field + 1, tokens + 1.0);
            } else {
                if !joins {
                    parts.join(entries, limit);
                }
                parts.settle(entries);
                shift += column.width;
            }
            if tokens > MOST as f64 {
                return None;
            }
        }
        tokens += parts.close(&mut lengths, n);
        let work = |l: &u32| f64::from(*l) * (f64::from(*l + 1) / 2.0 + PASSES);
        let rows = lengths.iter().map(work).sum::<f64>() / self.rows as f64;
        let cost = rows + EXPANSION * tokens * tokens / n as f64;
        let fields = field as usize + 1;
        (tokens <= MOST as f64).then_some(Cut {
            columns,
            fields,
            cost,
        })
    }
}

/// The parts of the sampled rows in the field that grows.
struct Parts {
    /// Which part each row has; 0 is the one without entries.
    part: Vec<u32>,
    /// Rows of each part.
    size: Vec<u32>,
    /// What the parts become with the next column: rows that keep them, and the first new part.
    kept: Vec<u32>,
    head: Vec<u32>,
    new: Vec<New>,
    /// The new part of each entry.
    of_entry: Vec<u32>,
}

/// A part with an entry in the next column, and the next one that comes from the same part.
struct New {
    value: u32,
    size: u32,
    next: u32,
}

impl Parts {
    fn new(rows: usize) -> Self {
        Parts {
            part: vec![0; rows],
            size: vec![rows as u32],
            kept: Vec::new(),
            head: Vec::new(),
            new: Vec::new(),
            of_entry: Vec::new(),
        }
    }

    /// Whether there are at most `limit` parts with another column.
    fn join(&mut self, entries: &[(u32, u32)], limit: usize) -> bool {
        self.kept.clone_from(&self.size);
        self.head.clear();
        self.head.resize(self.size.len(), NONE);
        self.new.clear();
        self.of_entry.clear();
        for &(row, value) in entries {
            let part = self.part[row as usize] as usize;
            self.kept[part] -= 1;
            let mut at = self.head[part];
            while at != NONE && self.new[at as usize].value != value {
                at = self.new[at as usize].next;
            }
            if at == NONE {
                at = self.new.len() as u32;
                if self.new.len() == limit {
                    return false;
                }
                let next = std::mem::replace(&mut self.head[part], at);
                let size = 0;
                self.new.push(New { value, size, next });
            }
            self.new[at as usize].size += 1;
            self.of_entry.push(at);
        }
        let kept = self.kept.iter().filter(|size| **size > 0).count();
        kept + self.new.len() <= limit
    }

    /// Takes the column that was joined last.
    fn settle(&mut self, entries: &[(u32, u32)]) {
        let old = self.size.len() as u32;
        for ((row, _), new) in entries.iter().zip(&self.of_entry) {
            self.part[*row as usize] = old + new;
        }
        std::mem::swap(&mut self.size, &mut self.kept);
        self.size.extend(self.new.iter().map(|new| new.size));
    }

    /// The number of tokens expected among n rows (Chao's estimate); counts those of each row and
    /// begins a new field.
    fn close(&mut self, lengths: &mut [u32], n: usize) -> f64 {
        for (length, part) in lengths.iter_mut().zip(&mut self.part) {
            *length += u32::from(*part != 0);
            *part = 0;
        }
        let of_size = |k: u32| self.size[1..].iter().filter(|s| **s == k).count() as f64;
        let seen = self.size[1..].iter().filter(|size| **size > 0).count() as f64;
        let (once, twice) = (of_size(1), of_size(2));
        let unseen = (once * (once - 1.0).max(0.0) / (2.0 * (twice + 1.0))).min(n as f64);
        self.size = vec![lengths.len() as u32];
        seen + unseen
    }
}
