//! The rows as tokens, once the fields are known.

use super::super::Rows;
use super::super::merge::FACTOR;
use super::super::rows::SparseRows;
use super::fields::{Column, Cut};
use super::{Coded, Csr, MOST};
use crate::parallel::{map, pieces};
use std::sync::Arc;

/// Operations for an entry, about.
const ENCODING: usize = 8;

/// The tokens found so far: a field and the key of a part.
struct Tokens {
    /// Token + 1 by hash, 0 where there is none.
    table: Vec<u32>,
    part: Vec<(u32, u64)>,
}

impl Tokens {
    fn new() -> Self {
        Tokens {
            table: vec![0; 8 * MOST],
            part: Vec::new(),
        }
    }

    #[inline(always)]
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

/// A range of rows as tokens of their own.
struct Piece {
    columns: Vec<Column>,
    tokens: Tokens,
    /// Ends of the rows among the codes, after the 0 that they begin with.
    ends: Vec<usize>,
    codes: Vec<u16>,
    /// The values of raw columns and 1, if there are raw columns.
    values: Vec<f64>,
}

/// A range of rows, unless there are more than twice [`MOST`] tokens or a column has many values
/// that the sample had not.
fn encode_rows((start, col, value): Csr<'_>, rows: Rows, cut: &Cut) -> Option<Piece> {
    let mut columns = cut.columns.clone();
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
    let mut tokens = Tokens::new();
    let start = &start[rows.start..=rows.end];
    let mut ends = Vec::with_capacity(rows.len() + 1);
    ends.push(0);
    let entries = start[rows.len()] - start[0];
    let (mut codes, mut values) = (Vec::<u16>::with_capacity(entries / 2), Vec::new());
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
        for (field, key) in key.iter_mut().enumerate() {
            if *key == 0 {
                continue;
            }
            codes.push(tokens.number(field as u32, *key) as u16);
            *key = 0;
            if has_raw {
                values.push(std::mem::replace(&mut raw[field], default[field]));
            }
        }
        if tokens.part.len() > 2 * MOST {
            return None;
        }
        ends.push(codes.len());
    }
    Some(Piece {
        columns,
        tokens,
        ends,
        codes,
        values,
    })
}

/// Z and D for these fields with hashes of the rows, unless there are more than twice [`MOST`]
/// tokens or a column has many values that the sample had not.
///
/// Pieces of the rows are encoded by themselves; their tokens get their numbers in the order of
/// the pieces, which are those of one piece of all rows.
pub(super) fn encode(csr: Csr<'_>, mut cut: Cut) -> Option<(Coded, Vec<u64>)> {
    let (n, work) = (csr.0.len() - 1, ENCODING * csr.1.len());
    let found = map(pieces(0..n, work), work, |rows| {
        encode_rows(csr, rows, &cut)
    });
    let found: Vec<Piece> = found.into_iter().collect::<Option<_>>()?;
    let mut tokens = Tokens::new();
    let mut numbers = Vec::new();
    for piece in &found {
        let of_piece = piece.tokens.part.iter().map(|&(field, key)| {
            let key = translate(&piece.columns, &mut cut.columns, field, key)?;
            Some(tokens.number(field, key))
        });
        numbers.push(of_piece.collect::<Option<Vec<usize>>>()?);
        if tokens.part.len() > 2 * MOST {
            return None;
        }
    }
    let (dictionary, place) = tokens.dictionary(&cut.columns);
    let numbered = found.into_iter().zip(numbers).collect();
    let write = |(mut piece, numbers): (Piece, Vec<usize>)| {
        let hashes = piece.write(|token| place[numbers[token]]);
        (piece, hashes)
    };
    let mut written = map(numbered, work, write).into_iter();
    let (mut all, mut hashes) = written.next()?;
    for (piece, of_piece) in written {
        all.append(piece);
        hashes.extend(of_piece);
    }
    let has_raw = cut.columns.iter().any(|column| column.values.is_none());
    let coded = Coded {
        codes: SparseRows::of_codes(all.ends, all.codes, has_raw.then_some(all.values)),
        dictionary: Arc::new(dictionary),
    };
    Some((coded, hashes))
}

impl Piece {
    /// Writes `code` of each token; returns the hashes of the rows.
    fn write(&mut self, code: impl Fn(usize) -> u16) -> Vec<u64> {
        let rows = self.ends.windows(2).map(|ends| {
            let mut hash = 0u64;
            for k in ends[0]..ends[1] {
                let code = code(usize::from(self.codes[k]));
                self.codes[k] = code;
                hash = (hash.rotate_left(5) ^ u64::from(code)).wrapping_mul(FACTOR);
                hash ^= self.values.get(k).map_or(0, |value| value.to_bits());
            }
            hash ^ (hash >> 32)
        });
        rows.collect()
    }

    /// Adds the rows of `other`.
    fn append(&mut self, other: Piece) {
        let before = self.codes.len();
        self.ends
            .extend(other.ends[1..].iter().map(|end| before + end));
        self.codes.extend(other.codes);
        self.values.extend(other.values);
    }
}

/// The key of a part of the columns `from` for the columns `to`, whose values have other numbers.
fn translate(from: &[Column], to: &mut [Column], field: u32, key: u64) -> Option<u64> {
    let first = to.partition_point(|column| column.field < field);
    let mut translated = 0;
    for (from, to) in from[first..].iter().zip(&mut to[first..]) {
        if from.field != field {
            break;
        }
        let number = (key >> from.shift) & ((1 << from.width) - 1);
        if number > 0 {
            let bits = from
                .values
                .as_ref()
                .map_or(0, |values| values[number as usize - 1]);
            translated |= to.number(bits)? << to.shift;
        }
    }
    Some(translated)
}
