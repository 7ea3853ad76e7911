//! The grammar: from the bytes of a line to a row.
//!
//! Almost every line of almost every file is `label index:value ...` with increasing indices and
//! short decimals. [`Scan::plain`] takes in such a line in one pass; at anything else it gives up
//! and leaves the line to [`Scan::line`], which knows the whole grammar and all errors.

use super::{ErrorKind, IndexBase};
use crate::data::{Dataset, MAX_FEATURES};

/// Consecutive lines of one file, with indices as written and line numbers from 1.
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
    /// Lines so far.
    pub(super) lines: usize,
    /// The line of the first row, and whether that row has a query id.
    first: Option<(usize, bool)>,
    /// The first error and its line; nothing is read after it.
    pub(super) error: Option<(usize, ErrorKind)>,
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
            lines: 0,
            first: None,
            error: None,
            unsorted: Vec::new(),
        }
    }

    /// Forgets all lines, but keeps the space.
    pub(super) fn clear(&mut self) {
        self.indptr.truncate(1);
        self.indices.clear();
        self.values.clear();
        self.labels.clear();
        self.qids.clear();
        self.has_zero = false;
        self.largest = None;
        self.lines = 0;
        self.first = None;
        self.error = None;
    }

    /// Hands over the rows since the last call, with columns from 0, and forgets them.
    #[cfg(feature = "mmap")]
    pub(super) fn drain(
        &mut self,
        zero_based: bool,
        mut take: impl FnMut(f64, &[u32], &[f64]) -> Result<(), crate::Error>,
    ) -> Result<(), crate::Error> {
        if !zero_based {
            self.indices.iter_mut().for_each(|index| *index -= 1);
        }
        for (range, label) in self.indptr.windows(2).zip(&self.labels) {
            let range = range[0]..range[1];
            take(*label, &self.indices[range.clone()], &self.values[range])?;
        }
        self.indptr.truncate(1);
        self.indices.clear();
        self.values.clear();
        self.labels.clear();
        self.qids.clear();
        Ok(())
    }

    /// Whether the rows have query ids.
    #[cfg(feature = "distributed")]
    pub(super) fn has_qids(&self) -> bool {
        !self.qids.is_empty()
    }

    /// Entries that are not zero.
    #[cfg(feature = "distributed")]
    pub(super) fn nnz(&self) -> usize {
        self.values.iter().filter(|v| **v != 0.0).count()
    }

    /// Adds the lines that follow.
    ///
    /// A row with a query id among rows without, or the other way round, may show only here.
    pub(super) fn append(&mut self, next: &mut Scan) {
        let before = self.lines;
        self.lines += next.lines;
        if let (Some((_, known)), Some((line, present))) = (self.first, next.first)
            && known != present
        {
            // Of its own errors none is in a line before its first row.
            self.error = Some((before + line, ErrorKind::MixedQid { present }));
            return;
        }
        self.error = next.error.take().map(|(line, kind)| (before + line, kind));
        if self.error.is_some() {
            return;
        }
        let start = self.indices.len();
        let ends = next.indptr[1..].iter().map(|end| start + end);
        self.indptr.extend(ends);
        self.indices.extend_from_slice(&next.indices);
        self.values.extend_from_slice(&next.values);
        self.labels.extend_from_slice(&next.labels);
        self.qids.extend_from_slice(&next.qids);
        self.has_zero |= next.has_zero;
        self.first = self
            .first
            .or(next.first.map(|(line, has)| (before + line, has)));
        if let Some((index, line)) = next.largest {
            self.note_largest(index, before + line);
        }
    }

    fn note_largest(&mut self, index: u32, line: usize) {
        if self.largest.is_none_or(|(largest, _)| index > largest) {
            self.largest = Some((index, line));
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

    /// Takes in whole lines, each with its end, up to the first error.
    pub(super) fn block(&mut self, mut text: &[u8]) {
        while !text.is_empty() && self.error.is_none() {
            self.lines += 1;
            text = match self.plain(text) {
                Some(rest) => rest,
                None => {
                    let end = text.iter().position(|&byte| byte == b'\n');
                    let (line, rest) = text.split_at(end.map_or(text.len(), |end| end + 1));
                    if let Err(kind) = self.line(line) {
                        self.error = Some((self.lines, kind));
                    }
                    rest
                }
            };
        }
    }

    /// Takes in the first line of `text` and returns what follows, if the line is a plain one.
    /// If not, nothing has changed.
    fn plain<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        if self.first.is_some_and(|(_, has_qid)| has_qid) {
            return None;
        }
        let row = self.indices.len();
        let rest = self.plain_row(text);
        if rest.is_none() {
            self.indices.truncate(row);
            self.values.truncate(row);
        }
        rest
    }

    fn plain_row<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        let (label, mut rest) = plain_number(text)?;
        let least = u32::from(self.base == IndexBase::One);
        let width = self.n_features.map_or(MAX_FEATURES, |n| n as u64);
        let zero = u64::from(self.base == IndexBase::Zero);
        let row = self.indices.len();
        // The least index that may come next.
        let mut next = least;
        loop {
            match rest {
                [b' ' | b'\t', after @ ..] => rest = after,
                [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] => {
                    rest = after;
                    break;
                }
                // After the label or a value, and so not between digits.
                [b'0'..=b'9', ..] => {
                    let (index, after) = plain_index(rest)?;
                    if index < next || u64::from(index) + zero > width {
                        return None;
                    }
                    next = index + 1;
                    let (value, after) = plain_number(after)?;
                    self.indices.push(index);
                    self.values.push(value);
                    rest = after;
                }
                _ => return None,
            }
        }
        self.labels.push(label);
        self.first.get_or_insert((self.lines, false));
        if let Some(&last) = self.indices[row..].last() {
            self.has_zero |= self.indices[row] == 0;
            self.note_largest(last, self.lines);
        }
        self.indptr.push(self.indices.len());
        Some(rest)
    }

    /// Takes in one line, with or without its end.
    fn line(&mut self, line: &[u8]) -> Result<(), ErrorKind> {
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
        self.end_row()
    }

    fn qid(&mut self, text: Option<&[u8]>) -> Result<(), ErrorKind> {
        let present = text.is_some();
        let (_, expected) = *self.first.get_or_insert((self.lines, present));
        if present != expected {
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
    fn end_row(&mut self) -> Result<(), ErrorKind> {
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
        if let Some(&last) = indices.last() {
            self.note_largest(last, self.lines);
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

/// The index before a colon and what follows the colon, if there are at most nine digits.
fn plain_index(text: &[u8]) -> Option<(u32, &[u8])> {
    let mut index = 0;
    for (k, &byte) in text.iter().enumerate().take(10) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (byte == b':' && k > 0).then(|| (index, &text[k + 1..]));
        }
        if k < 9 {
            index = 10 * index + u32::from(digit);
        }
    }
    None
}

/// 10^k for the k for which it is a double.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The number at the start of `text` up to a blank or the end of the line, and what follows it.
///
/// Up to 19 digits are gathered in an integer m, and a number m / 10^k with m < 2^53 and k <= 22
/// is the quotient of two doubles, which division rounds to nearest (W. D. Clinger, "How to read
/// floating point numbers accurately", 1990). All others are left to the parser of `core`.
fn plain_number(text: &[u8]) -> Option<(f64, &[u8])> {
    let (negative, start) = match text {
        [b'-', ..] => (true, 1),
        [b'+', ..] => (false, 1),
        _ => (false, 0),
    };
    let mut mantissa = 0u64;
    let mut at = start;
    let mut point = None;
    let end = loop {
        // Every line has its end, so there is a byte.
        let byte = *text.get(at)?;
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(digit.into());
        } else if byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            break at;
        }
        at += 1;
    };
    let (digits, places) = match point {
        None => (end - start, 0),
        Some(point) => (end - start - 1, end - point - 1),
    };
    let simple = matches!(text[end], b' ' | b'\t' | b'\r' | b'\n');
    if simple && (1..=19).contains(&digits) && mantissa < 1 << 53 && places < POWERS.len() {
        let value = mantissa as f64 / POWERS[places];
        return Some((if negative { -value } else { value }, &text[end..]));
    }
    let end = text
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))?;
    let (token, rest) = text.split_at(end);
    Some((parse_number(token)?, rest))
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

    /// What the whole grammar says of a line, and what the short way says.
    fn both(line: &str, base: IndexBase, n_features: Option<usize>) -> (Scan, Option<Scan>) {
        let mut whole = Scan::new("", base, n_features);
        whole.lines = 1;
        whole.error = whole.line(line.as_bytes()).err().map(|kind| (1, kind));
        let mut plain = Scan::new("", base, n_features);
        plain.lines = 1;
        let rest = plain.plain(line.as_bytes()).map(<[u8]>::len);
        if rest.is_none() {
            assert!(plain.indices.is_empty() && plain.values.is_empty());
        }
        assert!(
            rest.is_none_or(|rest| rest == 0),
            "{line:?} leaves {rest:?} bytes"
        );
        (whole, rest.map(|_| plain))
    }

    fn assert_same(line: &str, base: IndexBase, n_features: Option<usize>) -> bool {
        let (whole, plain) = both(line, base, n_features);
        let Some(plain) = plain else { return false };
        assert_eq!(whole.error, None, "{line:?}");
        assert_eq!(plain.labels, whole.labels, "{line:?}");
        assert_eq!(
            (&plain.indices, &plain.indptr),
            (&whole.indices, &whole.indptr),
            "{line:?}"
        );
        let bits = |scan: &Scan| scan.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&plain), bits(&whole), "{line:?}");
        let rest = |scan: &Scan| (scan.has_zero, scan.largest, scan.first);
        assert_eq!(rest(&plain), rest(&whole), "{line:?}");
        true
    }

    #[test]
    fn common_lines_go_the_short_way() {
        for line in [
            "+1 3:1 11:1 14:1\n",
            "-1 1:0.25\t2:-1e-3 \r\n",
            "1.5\n",
            "2 1:0.071247049987909612345 7:-.5\n",
        ] {
            assert!(assert_same(line, IndexBase::One, None), "{line:?}");
        }
        assert!(!assert_same("1 0:1\n", IndexBase::One, None));
        assert!(assert_same("1 0:1\n", IndexBase::Zero, Some(1)));
        assert!(!assert_same("1 0:1\n", IndexBase::Zero, Some(0)));
        assert!(!assert_same("1 2:1\n", IndexBase::One, Some(1)));
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
        fn the_short_way_agrees_with_the_whole_grammar(
            line in "([-+]?[0-9]{1,2}|[ 0-9#:a]{0,3})( [0-9]{1,2}:[-+]?[0-9]{0,3}(\\.[0-9]{0,3})?(e[0-9])?){0,3}([ \t#:\rq]{0,2}[0-9:]{0,4}){0,2}\r?\n",
            base in 0u8..3, width in prop::option::of(0usize..60),
        ) {
            let base = [IndexBase::One, IndexBase::Zero, IndexBase::Auto][usize::from(base)];
            assert_same(&line, base, width);
        }

        #[test]
        fn plain_numbers_agree_with_the_standard_parser(
            text in "[+-]?[0-9]{0,21}(\\.[0-9]{0,24})?(e-?[0-9]{1,2})?", end in "[ \t\r\n]",
        ) {
            let expected = text.parse::<f64>().ok();
            let line = format!("{text}{end}rest");
            let found = plain_number(line.as_bytes());
            prop_assert_eq!(found.map(|(v, _)| v.to_bits()), expected.map(f64::to_bits));
            if let Some((_, rest)) = found {
                prop_assert_eq!(rest, &line.as_bytes()[text.len()..]);
            }
        }

        #[test]
        fn numbers_agree_with_the_standard_parser(text in "[+-]?[0-9]{1,18}(\\.[0-9]{0,18})?(e-?[0-9]{1,2})?") {
            let expected: f64 = text.parse().unwrap();
            prop_assert_eq!(parse_number(text.as_bytes()).map(f64::to_bits), Some(expected.to_bits()));
        }
    }
}
