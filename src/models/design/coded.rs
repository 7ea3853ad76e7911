//! Rows of few distinct parts: codes and a dictionary.
//!
//! One-hot and other categorical data repeats itself: cut the columns into **fields** of neighbours,
//! and the part of a row in a field takes few values. Each value that is not zero is a **token**; a
//! row is a list of at most one token a field, so that
//!
//! A = Z D,  Z n x T with entries 0 and 1,  D T x d, the dictionary.
//!
//! A column of many values is a field by itself whose one token is 1 in D and takes the value in Z.
//! Products run over the tokens, two to four times fewer than the entries: Aw = Z(Dw), Aᵀr = Dᵀ(Zᵀr),
//! and AᵀRA = Dᵀ(ZᵀRZ)D with their square. The fields are disjoint, so A∘A = Z(D∘D).
//!
//! Fields are found on a sample of the rows: columns join the field at their left while it has
//! at most so many values; of a few such limits the cheapest by counted additions wins, if it
//! wins clearly.
//!
//! Source: A. Elgohary, M. Boehm, P. Haas, F. Reiss, B. Reinwald, "Compressed linear algebra for
//! large-scale machine learning" (2016), dense dictionary coding of column groups; fields of
//! neighbours and the count of additions are ours.

use super::merge::FACTOR;
use super::rows::SparseRows;
use std::sync::Arc;

/// Fewer rows are not searched.
const FEWEST: usize = 2048;
/// Most rows in the sample, and most entries.
const SAMPLE: usize = 1024;
const SAMPLED: usize = 1 << 14;
/// Most values of a field in the sample.
const LIMITS: [usize; 3] = [16, 32, 64];
/// A column of so many values in the sample is a field by itself.
const VALUES: usize = 64;
/// Most tokens: 2 MiB for their products, half of which are used.
const MOST: usize = 512;
/// Passes over the rows by which a Hessian is accompanied, about.
const PASSES: f64 = 8.0;
/// Additions for each entry of ZᵀRZ beyond those of the rows.
const EXPANSION: f64 = 6.0;
/// Part of the additions that must remain at most.
const CLEARLY: f64 = 0.6;
/// No token.
const NONE: u32 = u32::MAX;

/// Compressed sparse rows: starts, columns and values.
type Csr<'a> = (&'a [usize], &'a [u32], &'a [f64]);

/// The factors of A.
#[derive(Debug)]
pub(super) struct Coded {
    /// Z.
    pub(super) codes: SparseRows,
    /// D, by tokens.
    pub(super) dictionary: Arc<SparseRows>,
}

impl Coded {
    /// Factors A if that saves work, with a hash of each row. `plain` are the additions for each row and
    /// Hessian without, by the number of passes.
    ///
    /// Cost: five passes over a sample of 1024 rows; if it succeeds, one over the entries.
    pub(super) fn find(
        features: usize,
        csr: Csr<'_>,
        plain: impl Fn(f64) -> f64,
    ) -> Option<(Self, Vec<u64>)> {
        let n = csr.0.len() - 1;
        if n < FEWEST {
            return None;
        }
        let length = csr.2.len() / n;
        let size = (SAMPLED / length.max(1)).clamp(1, SAMPLE);
        let sample = Sample::new(features, csr, (0..size).map(|k| k * n / size));
        let best = LIMITS
            .iter()
            .filter_map(|&limit| sample.cut(limit, n))
            .min_by(|a, b| a.cost.total_cmp(&b.cost))?;
        if best.cost > CLEARLY * plain(PASSES) {
            return None;
        }
        encode(csr, best)
    }

    /// Some rows, with the same dictionary; of fewer rows than tokens the entries.
    pub(super) fn select(&self, rows: &[usize]) -> Result<Self, SparseRows> {
        let codes = self.codes.select(rows);
        if rows.len() < self.tokens() {
            return Err(codes.times(&self.dictionary));
        }
        let dictionary = Arc::clone(&self.dictionary);
        Ok(Coded { codes, dictionary })
    }

    /// Only the given rows.
    pub(super) fn take(mut self, rows: &[u32]) -> Self {
        let rows: Vec<usize> = rows.iter().map(|&i| i as usize).collect();
        self.codes = self.codes.select(&rows);
        self
    }

    /// T.
    pub(super) fn tokens(&self) -> usize {
        self.dictionary.nrows()
    }

    /// Additions beyond those of the rows in forming AᵀRA.
    pub(super) fn expansion(&self) -> f64 {
        EXPANSION * (self.tokens() as f64).powi(2)
    }

    /// Calls `visit(column, value)` for the entries of row i.
    pub(super) fn each(&self, i: usize, mut visit: impl FnMut(usize, f64)) {
        self.codes.each(i, |token, z| {
            self.dictionary.each(token, |j, v| visit(j, z * v));
        });
    }

    /// The lower triangle of DᵀCD for that of C, of order T, by columns; a row and a column of
    /// ones may follow in both. C has no products of different tokens of one field.
    ///
    /// Cost: about T² additions for each entry of a token.
    pub(super) fn expand(&self, c: &[f64], order: usize, room: &mut Vec<f64>, size: usize) {
        let tokens = self.tokens();
        room.clear();
        room.resize(size * (size + 1), 0.0);
        let (out, column) = room.split_at_mut(size * size);
        for s in 0..tokens {
            let of_s = &c[s * order..][..order];
            if of_s[s..].iter().all(|c| *c == 0.0) {
                continue; // no row has this token
            }
            column.fill(0.0);
            let features = &mut column[..size - (order - tokens)];
            self.dictionary
                .add_transpose(s..tokens, &of_s[s..tokens], features);
            if order > tokens {
                column[size - 1] = of_s[tokens];
            }
            self.dictionary.each(s, |j, v| {
                let out = &mut out[j * size..][..size];
                for (out, c) in out[j..].iter_mut().zip(&column[j..]) {
                    *out += v * c;
                }
            });
        }
        if order > tokens {
            out[size * size - 1] = c[order * order - 1];
        }
    }
}

/// A column and its values.
#[derive(Clone)]
struct Column {
    /// The bits of the values seen, if they are few.
    values: Option<Vec<u64>>,
    field: u32,
    /// Place of the number of the value, from 1, in the key of a part, and its bits.
    shift: u32,
    width: u32,
}

impl Column {
    /// Bits for the numbers of the values seen, with room for as many new ones.
    fn wanted(&self) -> u32 {
        match self.values.as_deref() {
            None | Some([] | [_]) => 1,
            Some(values) => (2 * values.len() as u32).ilog2() + 1,
        }
    }

    /// The number of a value; None if there is no room for it.
    fn number(&mut self, bits: u64) -> Option<u64> {
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
struct Cut {
    columns: Vec<Column>,
    fields: usize,
    /// Additions for each row and Hessian.
    cost: f64,
}

/// Some rows by columns.
struct Sample {
    rows: usize,
    start: Vec<usize>,
    /// Row and number of the value of each entry.
    entry: Vec<(u32, u32)>,
    columns: Vec<Column>,
}

impl Sample {
    fn new(
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
    fn cut(&self, limit: usize, n: usize) -> Option<Cut> {
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

/// The tokens found so far: a field and the key of a part.
#[derive(Default)]
struct Tokens {
    /// Token + 1 by hash, 0 where there is none.
    table: Vec<u32>,
    part: Vec<(u32, u64)>,
}

impl Tokens {
    fn number(&mut self, field: u32, key: u64) -> usize {
        let mask = self.table.len() - 1;
        let hash = (key ^ (u64::from(field) << 32)).wrapping_mul(FACTOR);
        let mut slot = (hash >> 40) as usize & mask;
        while self.table[slot] != 0 {
            let token = self.table[slot] as usize - 1;
            if self.part[token] == (field, key) {
                return token;
            }
            slot = (slot + 1) & mask;
        }
        self.part.push((field, key));
        self.table[slot] = self.part.len() as u32;
        self.part.len() - 1
    }

    /// D, with the tokens in the order of their fields, and their places in it.
    fn dictionary(&self, columns: &[Column]) -> (SparseRows, Vec<u16>) {
        let mut order: Vec<usize> = (0..self.part.len()).collect();
        order.sort_by_key(|&token| (self.part[token].0, token));
        let mut place = vec![0; order.len()];
        let (mut start, mut col, mut value) = (vec![0], Vec::new(), Vec::new());
        let mut first = 0;
        for (k, &token) in order.iter().enumerate() {
            place[token] = k as u16;
            let (field, key) = self.part[token];
            while columns[first].field < field {
                first += 1;
            }
            let of_field = columns[first..].iter().take_while(|c| c.field == field);
            for (j, column) in of_field.enumerate() {
                let number = (key >> column.shift) as usize & ((1 << column.width) - 1);
                if number > 0 {
                    let known = column.values.as_ref().map(|values| values[number - 1]);
                    value.push(known.map_or(1.0, f64::from_bits));
                    col.push((first + j) as u32);
                }
            }
            start.push(col.len());
        }
        (
            SparseRows::new(columns.len(), (&start, &col, &value), None),
            place,
        )
    }
}

/// The first value of a column, and where its number goes.
#[derive(Clone, Copy)]
struct First {
    bits: u64,
    one: u64,
    field: u32,
}

/// Z and D for these fields with hashes of the rows, unless there are more than twice [`MOST`]
/// tokens or a column has many values that the sample had not.
fn encode((start, col, value): Csr<'_>, cut: Cut) -> Option<(Coded, Vec<u64>)> {
    let mut columns = cut.columns;
    let first = |column: &Column| First {
        // A raw column has no first value: these bits are those of its default below.
        bits: column
            .values
            .as_ref()
            .map_or(u64::MAX, |values| values.first().map_or(0, |v| *v)),
        one: 1 << column.shift,
        field: column.field,
    };
    let firsts: Vec<First> = columns.iter().map(first).collect();
    let has_raw = columns.iter().any(|column| column.values.is_none());
    let mut tokens = Tokens {
        table: vec![0; 8 * MOST],
        part: Vec::new(),
    };
    let n = start.len() - 1;
    let (mut ends, mut hashes) = (Vec::with_capacity(n + 1), Vec::with_capacity(n));
    ends.push(0);
    let (mut codes, mut values) = (Vec::<u16>::with_capacity(col.len() / 2), Vec::new());
    let mut default = vec![1.0; cut.fields];
    for column in columns.iter().filter(|column| column.values.is_none()) {
        default[column.field as usize] = f64::from_bits(u64::MAX);
    }
    let (mut key, mut raw) = (vec![0u64; cut.fields], default.clone());
    for row in start.windows(2) {
        for (&j, &v) in col[row[0]..row[1]].iter().zip(&value[row[0]..row[1]]) {
            let First { bits, one, field } = firsts[j as usize];
            let field = field as usize;
            if v.to_bits() == bits {
                key[field] += one;
            } else {
                let column = &mut columns[j as usize];
                key[field] += one * column.number(v.to_bits())?;
                if column.values.is_none() {
                    raw[field] = v;
                }
            }
        }
        let mut hash = 0u64;
        for (field, key) in key.iter_mut().enumerate() {
            if *key == 0 {
                continue;
            }
            let token = tokens.number(field as u32, *key);
            *key = 0;
            codes.push(token as u16);
            hash = (hash.rotate_left(5) ^ token as u64).wrapping_mul(FACTOR);
            if has_raw {
                let value = std::mem::replace(&mut raw[field], default[field]);
                values.push(value);
                hash ^= value.to_bits();
            }
        }
        if tokens.part.len() > 2 * MOST {
            return None;
        }
        ends.push(codes.len());
        hashes.push(hash ^ (hash >> 32));
    }
    let (dictionary, place) = tokens.dictionary(&columns);
    for code in &mut codes {
        *code = place[usize::from(*code)];
    }
    let coded = Coded {
        codes: SparseRows::of_codes(ends, codes, has_raw.then_some(values)),
        dictionary: Arc::new(dictionary),
    };
    Some((coded, hashes))
}

#[cfg(test)]
mod tests {
    use super::super::{Design, GramScratch, Merged};
    use super::*;
    use crate::data::Dataset;
    use faer::Mat;

    fn random(state: &mut u64) -> u64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *state >> 33
    }

    /// Three one-hot groups that depend on each other, a count, a column of many values with
    /// stored zeros, and some empty rows.
    fn mixed(n: usize) -> Dataset {
        let mut state = 7;
        let (mut start, mut col, mut value) = (vec![0], Vec::new(), Vec::new());
        for i in 0..n {
            let kind = random(&mut state) % 5;
            if i % 97 != 0 {
                let count = random(&mut state) % 4;
                let raw = if i % 31 == 0 {
                    0.0
                } else {
                    random(&mut state) as f64 * 1e-9
                };
                let entries = [
                    (kind, 1.0),
                    (5 + (kind + random(&mut state) % 2) % 4, 1.0),
                    (9 + random(&mut state) % 3, -0.5),
                    (12, count as f64),
                    (13, raw),
                ];
                for (j, v) in entries {
                    if j != 12 || v != 0.0 {
                        col.push(j as u32);
                        value.push(v);
                    }
                }
            }
            start.push(col.len());
        }
        let labels = (0..n).map(|i| (i % 2) as f64).collect();
        Dataset::from_parts(start, col, value, 14, labels, None)
    }

    fn forced(data: &Dataset) -> (Coded, Vec<u64>) {
        Coded::find(data.n_features(), data.csr(), |_| f64::INFINITY).unwrap()
    }

    fn close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 1e-12 * (1.0 + a.abs()), "{a} {b}");
        }
    }

    #[test]
    fn the_factors_give_the_rows_back() {
        let data = mixed(3000);
        let (coded, _) = forced(&data);
        assert!(coded.codes.stored() < data.csr().2.len());
        for i in 0..3000 {
            let mut row = (Vec::new(), Vec::new());
            coded.each(i, |j, v| {
                row.0.push(j as u32);
                row.1.push(v);
            });
            assert_eq!((&row.0[..], &row.1[..]), data.row(i), "row {i}");
        }
        // A few rows come back as entries.
        let plain = coded.select(&[2999, 5, 5]).unwrap_err();
        let mut row = Vec::new();
        plain.each(0, |_, v| row.push(v));
        assert_eq!(row, data.row(2999).1);
        assert!(plain.equal(1, 2) && !plain.equal(0, 1));
    }

    #[test]
    fn values_that_the_sample_lacks_have_room_of_their_own() {
        // Every other row is sampled.
        let rows: Vec<Vec<f64>> = (0..3000)
            .map(|i| {
                let count = if i % 2 == 0 { i / 2 % 2 } else { i / 2 % 7 };
                vec![1.0 + count as f64, f64::from(i % 3 == 0), 2.0]
            })
            .collect();
        let data = Dataset::from_rows(&rows, &vec![1.0; 3000]).unwrap();
        let sample = |step| Sample::new(3, data.csr(), (0..3000).step_by(step));
        let (coded, _) = encode(data.csr(), sample(2).cut(16, 3000).unwrap()).unwrap();
        for (i, row) in rows.iter().enumerate() {
            let mut found = vec![0.0; 3];
            coded.each(i, |j, v| found[j] = v);
            assert_eq!(found, *row, "row {i}");
        }
        // Two values have room for five more, not for six.
        let mut column = sample(2).columns[0].clone();
        column.width = column.wanted();
        assert_eq!(
            (column.width, column.values.as_ref().map(Vec::len)),
            (3, Some(2))
        );
        let numbers: Vec<Option<u64>> = (1..=8)
            .map(|v| column.number(f64::from(v).to_bits()))
            .collect();
        assert_eq!(
            numbers[2..],
            [Some(3), Some(4), Some(5), Some(6), Some(7), None]
        );
    }

    #[test]
    fn every_product_is_that_of_the_entries() {
        let data = mixed(2500);
        let n = data.n_rows();
        let coded = Design::coded(14, forced(&data).0);
        let plain = Design::sparse(n, 14, SparseRows::new(14, data.csr(), None));
        let mut state = 3;
        let mut vector = |len: usize| -> Vec<f64> {
            (0..len).map(|_| random(&mut state) as f64 * 1e-9).collect()
        };
        let weight = vector(n);
        for d in [14, 15] {
            let (w, r) = (vector(d), vector(n));
            let both = |f: &dyn Fn(&Design, &mut [f64]), len: usize| {
                let (mut a, mut b) = (vec![0.0; len], vec![0.0; len]);
                // Twice: the second time with a used workspace.
                f(&coded, &mut a);
                f(&coded, &mut a);
                f(&plain, &mut b);
                close(&a, &b);
            };
            both(&|design, out| design.mul(&w, out), n);
            both(&|design, out| design.mul_transpose(&r, out), d);
            both(&|design, out| design.product(&weight, &w, out), d);
            both(&|design, out| design.weighted_squares(&weight, out), d);
            let mut scratch = GramScratch::default();
            for part in [1.0, 0.0] {
                // With many rows left out, whole tokens are.
                let weight: Vec<f64> = (0..n)
                    .map(|i| if i < 40 { weight[i] } else { part * weight[i] })
                    .collect();
                let (mut a, mut b) = (Mat::zeros(d, d), Mat::zeros(d, d));
                coded.gram(&weight, a.as_mut(), &mut scratch);
                plain.gram(&weight, b.as_mut(), &mut GramScratch::default());
                for j in 0..d {
                    close(a.col_as_slice(j), b.col_as_slice(j));
                }
            }
            let (mut a, mut b) = (Mat::zeros(n, d), Mat::zeros(n, d));
            coded.write(a.as_mut());
            plain.write(b.as_mut());
            assert_eq!(a, b);
        }
        let (a, b) = (coded.row_gram(), plain.row_gram());
        for j in (0..n).step_by(83) {
            let column = |m: faer::MatRef<'_, f64>| m.col(j).iter().copied().collect::<Vec<f64>>();
            close(&column(a), &column(b));
        }
    }

    #[test]
    fn equal_rows_are_those_of_the_entries() {
        let rows: Vec<Vec<f64>> = (0..4000_u64)
            .map(|i| {
                let i = i * i;
                vec![(i % 3) as f64, (i % 5) as f64, 0.0, f64::from(i % 7 == 1)]
            })
            .collect();
        let labels: Vec<f64> = (0..4000).map(|i| f64::from(i % 2 == 0)).collect();
        let data = Dataset::from_rows(&rows, &labels).unwrap();
        let (coded, hashes) = forced(&data);
        let by_codes = Merged::find_coded(&coded.codes, &hashes, &labels).unwrap();
        let by_entries = Merged::find(&data).unwrap();
        assert_eq!(by_codes.first, by_entries.first);
        assert_eq!(by_codes.class, by_entries.class);
    }

    #[test]
    fn data_without_repetition_is_left_alone() {
        let mut state = 1;
        let rows: Vec<Vec<f64>> = (0..2500)
            .map(|_| (0..6).map(|_| random(&mut state) as f64).collect())
            .collect();
        let data = Dataset::from_rows(&rows, &vec![1.0; 2500]).unwrap();
        assert!(Design::new(&data).columns().is_some());
        // A value that the sample does not have, many times over.
        let rows: Vec<Vec<f64>> = (0..2500)
            .map(|i| vec![1.0, if i % 2 == 0 { 1.0 } else { i as f64 }])
            .collect();
        let data = Dataset::from_rows(&rows, &vec![1.0; 2500]).unwrap();
        let sample = Sample::new(2, data.csr(), (0..2500).step_by(2));
        assert!(encode(data.csr(), sample.cut(16, 2500).unwrap()).is_none());
        // Too few rows.
        assert!(Coded::find(14, mixed(2047).csr(), |_| f64::INFINITY).is_none());
    }
}
