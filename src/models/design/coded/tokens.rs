//! The rows as tokens, once the fields are known.

use super::super::merge::FACTOR;
use super::super::rows::SparseRows;
use super::fields::{Column, Cut};
use super::{Coded, Csr, MOST};
use std::sync::Arc;

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
pub(super) fn encode((start, col, value): Csr<'_>, cut: Cut) -> Option<(Coded, Vec<u64>)> {
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
