//! The grammar: from the bytes of a line to a row.

use super::{ErrorKind, IndexBase};
use crate::data::{Dataset, MAX_FEATURES};

/// The rows of one file, with indices as written.
pub(super) struct Scan {
    pub(super) name: String,
    base: IndexBase,
    n_features: Option<usize>,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f64>,
    pub(super) labels: Vec<f64>,
    qids: Vec<u64>,
    pub(super) has_zero: bool,
    /// The largest index, and the first line that has it.
    pub(super) largest: Option<(u32, usize)>,
    /// Space to sort a row in.
    unsorted: Vec<(u32, f64)>,
}

impl Scan {
    pub(super) fn new(name: &str, base: IndexBase, n_features: Option<usize>) -> Self {
        Self {
            name: name.into(),
            base,
            n_features,
            indptr: vec![0],
            indices: Vec::new(),
            values: Vec::new(),
            labels: Vec::new(),
            qids: Vec::new(),
            has_zero: false,
            largest: None,
            unsorted: Vec::new(),
        }
    }

    /// The rows with columns from 0. `zero_based` must be true if index 0 occurs.
    pub(super) fn into_dataset(mut self, zero_based: bool, width: usize) -> Dataset {
        if !zero_based {
            // No index is 0 here: `One` refuses it and `Auto` would be zero-based.
            self.indices.iter_mut().for_each(|index| *index -= 1);
        }
        let qids = (!self.qids.is_empty()).then_some(self.qids);
        Dataset::from_parts(
            self.indptr,
            self.indices,
            self.values,
            width,
            self.labels,
            qids,
        )
    }

    /// Takes in one line, with or without its end.
    pub(super) fn line(&mut self, line: &[u8], number: usize) -> Result<(), ErrorKind> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let end = line.iter().position(|&byte| byte == b'#');
        let line = &line[..end.unwrap_or(line.len())];
        let mut tokens = line
            .split(|&byte| is_blank(byte))
            .filter(|token| !token.is_empty())
            .peekable();
        let Some(label) = tokens.next() else {
            return Ok(());
        };
        if is_blank(line[0]) || label.contains(&b':') {
            return Err(ErrorKind::MissingLabel);
        }
        self.labels.push(parse_label(label)?);
        let qid = tokens.next_if(|token| token.starts_with(QID));
        self.qid(qid.map(|token| &token[QID.len()..]))?;
        for token in tokens {
            self.entry(token)?;
        }
        self.end_row(number)
    }

    fn qid(&mut self, text: Option<&[u8]>) -> Result<(), ErrorKind> {
        let first = self.labels.len() == 1;
        let present = text.is_some();
        if !first && present == self.qids.is_empty() {
            return Err(ErrorKind::MixedQid { present });
        }
        if let Some(text) = text {
            let qid = parse_integer(text).ok_or_else(|| ErrorKind::BadQid { text: shown(text) })?;
            self.qids.push(qid);
        }
        Ok(())
    }

    fn entry(&mut self, token: &[u8]) -> Result<(), ErrorKind> {
        let Some(colon) = token.iter().position(|&byte| byte == b':') else {
            return Err(ErrorKind::MissingColon { text: shown(token) });
        };
        let (text, value) = (&token[..colon], &token[colon + 1..]);
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return Err(if text == b"qid" {
                ErrorKind::MisplacedQid
            } else {
                ErrorKind::BadIndex { text: shown(text) }
            });
        }
        let index = parse_integer(text).unwrap_or(u64::MAX);
        if index == 0 && self.base == IndexBase::One {
            return Err(ErrorKind::ZeroIndex);
        }
        let zero_based = self.base == IndexBase::Zero;
        check_index(index, zero_based, self.n_features, Some(text))?;
        let value = parse_number(value).ok_or_else(|| ErrorKind::BadValue {
            index,
            text: shown(value),
        })?;
        self.indices.push(index as u32); // checked: at most 2^32 - 1
        self.values.push(value);
        Ok(())
    }

    /// Sorts the row if it must be, refuses duplicates and notes the extreme indices.
    fn end_row(&mut self, number: usize) -> Result<(), ErrorKind> {
        let start = self.indptr[self.indptr.len() - 1];
        let (indices, values) = (&mut self.indices[start..], &mut self.values[start..]);
        if !indices.is_sorted_by(|a, b| a < b) {
            self.unsorted.clear();
            let entries = indices.iter().copied().zip(values.iter().copied());
            self.unsorted.extend(entries);
            self.unsorted.sort_unstable_by_key(|entry| entry.0);
            for (position, &(index, value)) in self.unsorted.iter().enumerate() {
                if position > 0 && index == indices[position - 1] {
                    return Err(ErrorKind::DuplicateIndex {
                        index: index.into(),
                    });
                }
                indices[position] = index;
                values[position] = value;
            }
        }
        self.has_zero |= indices.first() == Some(&0);
        if let Some(&last) = indices.last()
            && self.largest.is_none_or(|(index, _)| last > index)
        {
            self.largest = Some((last, number));
        }
        self.indptr.push(self.indices.len());
        Ok(())
    }
}

const QID: &[u8] = b"qid:";

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Refuses an index beyond the number of features given, or else beyond what can be stored.
pub(super) fn check_index(
    index: u64,
    zero_based: bool,
    n_features: Option<usize>,
    text: Option<&[u8]>,
) -> Result<(), ErrorKind> {
    let width = n_features.map_or(MAX_FEATURES, |n| n as u64);
    if index.saturating_add(zero_based.into()) <= width {
        return Ok(());
    }
    Err(match n_features {
        Some(n_features) if index <= MAX_FEATURES => ErrorKind::IndexAboveFeatures {
            index,
            n_features,
            zero_based,
        },
        _ => ErrorKind::IndexTooLarge {
            text: text.map_or_else(|| index.to_string(), shown),
            limit: MAX_FEATURES - u64::from(zero_based),
        },
    })
}

fn parse_label(text: &[u8]) -> Result<f64, ErrorKind> {
    parse_number(text).ok_or_else(|| {
        let shown = shown(text);
        if text.contains(&b',') {
            ErrorKind::MultiLabel { text: shown }
        } else {
            ErrorKind::BadLabel { text: shown }
        }
    })
}

/// Decimal digits only; none if there are none or the integer exceeds 2^64 - 1.
fn parse_integer(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

/// The double nearest to a decimal number; none if it is malformed or overflows.
fn parse_number(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    // Up to 15 digits are below 2^53, so the conversion is exact.
    if digits.len() <= 15
        && let Some(integer) = parse_integer(digits)
    {
        let value = integer as f64;
        return Some(if negative { -value } else { value });
    }
    // The standard parser would also take "inf", "infinity" and "nan".
    let decimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E');
    if !text.iter().all(decimal) {
        return None;
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// A text for an error, cut to 40 characters.
fn shown(text: &[u8]) -> String {
    const MOST: usize = 40;
    // A character takes at most four bytes.
    let head = String::from_utf8_lossy(&text[..text.len().min(4 * MOST)]);
    head.chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    #[test]
    fn numbers_follow_the_grammar() {
        for (text, value) in [
            ("1", 1.0),
            ("+1", 1.0),
            ("-1", -1.0),
            ("1.0", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("007", 7.0),
            ("1e3", 1000.0),
            ("-1E-3", -0.001),
            ("999999999999999", 999999999999999.0),
            ("9007199254740993", 9007199254740992.0),
            ("4.9e-324", 5e-324),
            ("1e-400", 0.0),
            ("1.7976931348623157e308", f64::MAX),
        ] {
            assert_eq!(parse_number(text.as_bytes()), Some(value), "{text}");
        }
        let zero = parse_number(b"-0").unwrap();
        assert!(zero == 0.0 && zero.is_sign_negative());
        for text in [
            "", "+", "-", ".", "e5", "1e", "--1", "+-1", "1e400", "-1e400", "inf", "+inf", "nan",
            "NaN", "Infinity", "1_0", "0,5", "0x10", "1 ", "1.0.0", "\u{0661}",
        ] {
            assert_eq!(parse_number(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn integers_are_exact_up_to_the_last_u64() {
        assert_eq!(parse_integer(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_integer(b"18446744073709551616"), None);
        assert_eq!(parse_integer(b"00"), Some(0));
        for text in [&b""[..], b"+1", b"-1", b"1.0", b"1a"] {
            assert_eq!(parse_integer(text), None);
        }
    }

    #[test]
    fn shown_texts_are_short_and_valid() {
        assert_eq!(shown(b"abc"), "abc");
        assert_eq!(shown(&[b'9'; 1000]).len(), 40);
        assert_eq!(shown(&[0xff; 1000]).chars().count(), 40);
    }

    fn fixed() -> ProptestConfig {
        ProptestConfig {
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        }
    }

    proptest! {
        #![proptest_config(fixed())]

        // The fast path for short integers must agree with the standard parser to the bit.
        #[test]
        fn numbers_agree_with_the_standard_parser(text in "[+-]?[0-9]{1,18}(\\.[0-9]{0,18})?(e-?[0-9]{1,2})?") {
            let expected: f64 = text.parse().unwrap();
            prop_assert_eq!(parse_number(text.as_bytes()).map(f64::to_bits), Some(expected.to_bits()));
        }
    }
}
