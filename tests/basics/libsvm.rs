//! LIBSVM files: user cases, round trips and, if `RAPHSON_DATA` names a folder with
//! `libsvm/*.gz`, the real data sets.
#![cfg(feature = "libsvm")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use raphson::Dataset;
use raphson::libsvm::{self, Error, ErrorKind, IndexBase, Reader, Writer};

fn parse(text: &str) -> Result<Dataset, Error> {
    Reader::new().parse(text.as_bytes(), "text")
}

fn trouble(text: &str) -> (Option<usize>, ErrorKind) {
    let error = parse(text).unwrap_err();
    (error.line, error.kind)
}

/// Rows as (one-based index, value) pairs.
fn rows(data: &Dataset) -> Vec<Vec<(u64, f64)>> {
    (0..data.n_rows())
        .map(|i| {
            let (columns, values) = data.row(i);
            columns
                .iter()
                .map(|&c| u64::from(c) + 1)
                .zip(values.iter().copied())
                .collect()
        })
        .collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A folder for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("raphson-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// UC-084
#[test]
fn query_ids_keep_every_digit_and_are_no_feature() {
    let data = parse("0 qid:9007199254740993 1:9007199254740993 2:3\n").unwrap();
    assert_eq!(data.qids(), Some(&[9007199254740993][..]));
    assert_eq!(rows(&data), [[(1, 9007199254740992.0), (2, 3.0)]]);
    assert_eq!(data.n_features(), 2);
}

#[test]
fn query_ids_stand_after_the_label_in_all_rows_or_none() {
    assert_eq!(parse("1 1:2\n").unwrap().qids(), None);
    let data = parse("1 qid:1 1:2\n0\tqid:18446744073709551615\n").unwrap();
    assert_eq!(data.qids(), Some(&[1, u64::MAX][..]));
    let mixed = |present| ErrorKind::MixedQid { present };
    assert_eq!(trouble("1 qid:1 1:2\n\n0 1:2\n"), (Some(3), mixed(false)));
    assert_eq!(trouble("1 1:2\n0 qid:1 1:2\n"), (Some(2), mixed(true)));
    assert_eq!(trouble("1 1:2 qid:1\n"), (Some(1), ErrorKind::MisplacedQid));
    assert_eq!(
        trouble("1 qid:1 qid:2\n"),
        (Some(1), ErrorKind::MisplacedQid)
    );
    assert_eq!(trouble("qid:1 1:2\n"), (Some(1), ErrorKind::MissingLabel));
    for text in ["18446744073709551616", "-1", "1.5", "", "a"] {
        let kind = ErrorKind::BadQid { text: text.into() };
        assert_eq!(trouble(&format!("1 qid:{text} 1:2\n")), (Some(1), kind));
    }
}

// UC-085 (a)
#[test]
fn index_zero_in_a_one_based_file_suggests_zero_based() {
    let text = "1 0:5 1:2\n0 2:1\n";
    let error = parse(text).unwrap_err();
    assert_eq!((error.line, error.index()), (Some(1), Some(0)));
    let message = error.to_string();
    assert!(message.starts_with("text:1: index 0"), "{message}");
    assert!(message.contains("zero_based(true)"), "{message}");
    for reader in [
        Reader::new().zero_based(true),
        Reader::new().index_base(IndexBase::Auto),
    ] {
        let data = reader.parse(text.as_bytes(), "text").unwrap();
        assert_eq!(data.n_features(), 3);
        assert_eq!(data.row(0), (&[0, 1][..], &[5.0, 2.0][..]));
        assert_eq!(data.row(1), (&[2][..], &[1.0][..]));
    }
}

// UC-085 (b)
#[test]
fn a_one_based_file_gains_no_column_zero() {
    let text = "1 1:7 2:3.2 3:4.7 4:1.4\n";
    for base in [IndexBase::One, IndexBase::Auto] {
        let data = Reader::new()
            .index_base(base)
            .parse(text.as_bytes(), "text")
            .unwrap();
        assert_eq!(data.n_features(), 4);
        assert_eq!(data.row(0), (&[0, 1, 2, 3][..], &[7.0, 3.2, 4.7, 1.4][..]));
    }
}

// UC-086
#[test]
fn the_index_base_of_files_that_belong_together_agrees() {
    let folder = Folder::new("base");
    let paths = [
        folder.file("train", "1 0:1 1:1\n"),
        folder.file("test", "0 1:1\n"),
    ];
    let zero = Reader::new().zero_based(true);
    let auto = Reader::new().index_base(IndexBase::Auto);
    for data in [
        vec![zero.read(&paths[0]).unwrap(), zero.read(&paths[1]).unwrap()],
        auto.read_all(&paths).unwrap(),
        zero.read_all(&paths).unwrap(),
    ] {
        assert_eq!(data[0].row(0).0, [0, 1]);
        assert_eq!(data[1].row(0).0, [1]);
        assert_eq!((data[0].n_features(), data[1].n_features()), (2, 2));
    }
    // The documented trap: alone, the test file looks one-based.
    assert_eq!(auto.read(&paths[1]).unwrap().row(0).0, [0]);
}

// UC-087
#[test]
fn rows_out_of_order_are_sorted() {
    let data = parse("7 4:1 2:1.5 #7\n1 2:1 1:3\n").unwrap();
    assert_eq!(rows(&data), [[(2, 1.5), (4, 1.0)], [(1, 3.0), (2, 1.0)]]);
    assert_eq!(data.labels(), [7.0, 1.0]);
}

// UC-088
#[test]
fn a_duplicate_index_is_an_error() {
    let duplicate = |index| ErrorKind::DuplicateIndex { index };
    assert_eq!(trouble("1 3:1 3:2\n"), (Some(1), duplicate(3)));
    assert_eq!(trouble("1 1:1\n1 5:1 2:1 5:1\n"), (Some(2), duplicate(5)));
    assert_eq!(parse("1 3:1 3:2\n").unwrap_err().index(), Some(3));
}

// UC-090
#[test]
fn blank_lines_are_skipped_but_counted() {
    let text = "\n1 1:2\n\n\n0 2:1";
    let data = parse(text).unwrap();
    assert_eq!(rows(&data), [[(1, 2.0)], [(2, 1.0)]]);
    assert_eq!(trouble("\n1 1:2\n \t\n\n0 2:x").0, Some(5));
}

// UC-091
#[test]
fn blanks_tabs_and_carriage_returns_separate() {
    let data = parse("1\t1:2  3:4  \r\n0 2:1\r\n").unwrap();
    assert_eq!(rows(&data), [vec![(1, 2.0), (3, 4.0)], vec![(2, 1.0)]]);
    assert_eq!(data.labels(), [1.0, 0.0]);
    assert_eq!(rows(&parse("1 1:2\r").unwrap()), [[(1, 2.0)]]);
    assert_eq!(rows(&parse("\r\n1 1:2 \t\r\n").unwrap()), [[(1, 2.0)]]);
}

// UC-095
#[test]
#[cfg(target_pointer_width = "64")]
fn huge_indices_are_kept_sparse_or_refused_but_never_wrap() {
    let data = parse("1 2147483648:1\n").unwrap();
    assert_eq!(
        (data.n_features(), data.row(0).0),
        (1 << 31, &[(1 << 31) - 1][..])
    );
    assert_eq!(parse("1 4294967295:1\n").unwrap().n_features(), 4294967295);
    for text in ["4294967296", "4294967297", "18446744073709551617"] {
        let kind = ErrorKind::IndexTooLarge {
            text: text.into(),
            limit: 4294967295,
        };
        assert_eq!(trouble(&format!("0 1:1\n1 {text}:1\n")), (Some(2), kind));
    }
    let message = parse("1 4294967297:1\n").unwrap_err().to_string();
    assert!(
        message.contains("4294967297 exceeds the limit 4294967295"),
        "{message}"
    );
    // Counted from 0 the last column is one earlier; `Auto` knows that only at the end.
    let text = "1 4294967294:1\n2 4294967295:1\n0 0:1\n";
    let kind = ErrorKind::IndexTooLarge {
        text: "4294967295".into(),
        limit: 4294967294,
    };
    for base in [IndexBase::Zero, IndexBase::Auto] {
        let error = Reader::new()
            .index_base(base)
            .parse(text.as_bytes(), "text")
            .unwrap_err();
        assert_eq!((error.line, &error.kind), (Some(2), &kind), "{base:?}");
    }
}

// UC-096
#[test]
fn the_number_of_features_can_be_given() {
    let train = "1 123:1\n";
    let test = "0 122:1\n\n1 1:1\n";
    assert_eq!(parse(test).unwrap().n_features(), 122);
    let reader = Reader::new().n_features(123);
    for text in [train, test] {
        assert_eq!(
            reader.parse(text.as_bytes(), "text").unwrap().n_features(),
            123
        );
    }
    let above = |index, n_features, zero_based| ErrorKind::IndexAboveFeatures {
        index,
        n_features,
        zero_based,
    };
    let narrow = |base| {
        let text = "0 1:1\n1 122:1\n1 0:1\n1 122:1\n";
        let reader = Reader::new().n_features(122).index_base(base);
        let error = reader.parse(text.as_bytes(), "text").unwrap_err();
        (error.line, error.kind)
    };
    let error = Reader::new()
        .n_features(121)
        .parse(test.as_bytes(), "text")
        .unwrap_err();
    assert_eq!((error.line, error.kind), (Some(1), above(122, 121, false)));
    assert_eq!(narrow(IndexBase::Zero), (Some(2), above(122, 122, true)));
    assert_eq!(narrow(IndexBase::Auto), (Some(2), above(122, 122, true)));

    let folder = Folder::new("width");
    let paths = [folder.file("train", train), folder.file("test", test)];
    let both = Reader::new().read_all(&paths).unwrap();
    assert_eq!((both[0].n_features(), both[1].n_features()), (123, 123));
    assert_eq!(
        reader.n_features(200).read_all(&paths).unwrap()[1].n_features(),
        200
    );
}

// UC-097
#[test]
fn several_labels_or_none_are_errors() {
    let error = parse("1,2 3:1\n").unwrap_err();
    assert_eq!(error.kind, ErrorKind::MultiLabel { text: "1,2".into() });
    assert!(error.to_string().starts_with("text:1: ") && error.to_string().contains("multi-label"));
    for text in [" 3:1\n", "3:1 4:1\n", "\t1 3:1\n"] {
        assert_eq!(
            trouble(&format!("1 1:1\n{text}")),
            (Some(2), ErrorKind::MissingLabel)
        );
    }
    assert!(
        parse(" 3:1\n")
            .unwrap_err()
            .to_string()
            .contains("missing label")
    );
}

#[test]
fn labels_are_finite_numbers_and_rows_may_be_empty() {
    let data = parse("+1\n-1\n1.0 1:1\n2.5e-3\n").unwrap();
    assert_eq!(data.labels(), [1.0, -1.0, 1.0, 0.0025]);
    assert_eq!((data.n_features(), data.stored()), (1, 1));
    for text in ["nan", "-inf", "1e400", "yes", "1_0", "0x1", "\u{feff}1"] {
        let kind = ErrorKind::BadLabel { text: text.into() };
        assert_eq!(trouble(&format!("{text} 1:1\n")), (Some(1), kind));
    }
}

// UC-098. Nothing here asks for the locale: numbers are parsed and printed by `core`.
#[test]
fn decimal_commas_are_errors() {
    let error = parse("1 1:0,5\n").unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::BadValue {
            index: 1,
            text: "0,5".into()
        }
    );
    assert!(error.to_string().contains("not a comma"));
}

#[test]
fn values_that_are_not_finite_decimals_are_errors() {
    for (text, advice) in [
        ("nan", "replace the value"),
        ("-Infinity", "replace the value"),
        ("1e400", "overflows"),
        ("-1e400", "overflows"),
        ("1_0", "underscores"),
        ("0x1p3", "hexadecimal"),
        ("", "without blanks"),
        ("2:3", "such as"),
        ("1e", "such as"),
    ] {
        let error = parse(&format!("0 1:1\n\n1 2:1 7:{text}\n")).unwrap_err();
        assert_eq!((error.line, error.index()), (Some(3), Some(7)));
        assert_eq!(
            error.kind,
            ErrorKind::BadValue {
                index: 7,
                text: text.into()
            }
        );
        assert!(error.to_string().contains(advice), "{error}");
    }
    let data = parse("1 1:1e-400 2:1e-310 3:-0.0\n").unwrap();
    let bits: Vec<_> = data.row(0).1.iter().map(|v| v.to_bits()).collect();
    assert_eq!(bits, [0.0f64, 1e-310, -0.0].map(f64::to_bits));
}

#[test]
fn malformed_entries_are_errors() {
    let colon = ErrorKind::MissingColon { text: "12".into() };
    assert_eq!(trouble("1 1:1 12\n"), (Some(1), colon));
    for text in ["", "-1", "+1", "1.0", "a", "0x1"] {
        let kind = ErrorKind::BadIndex { text: text.into() };
        assert_eq!(trouble(&format!("1 {text}:1\n")), (Some(1), kind));
    }
    // A form feed or a carriage return inside a line separates nothing.
    assert!(parse("1 1:1\x0c2:1\n").is_err());
    assert!(parse("1 1:1\r2:1\n").is_err());
}

#[test]
fn comments_run_to_the_end_of_the_line() {
    let data = parse("# a header 1:x\n1 1:2#3:4\n  # indented\n0 2:1 # docid = 7\n").unwrap();
    assert_eq!(rows(&data), [[(1, 2.0)], [(2, 1.0)]]);
}

#[test]
fn files_without_rows_are_errors() {
    for text in ["", "\n\n", "# only a comment\n", " \t\r\n"] {
        assert_eq!(trouble(text), (None, ErrorKind::Empty));
    }
}

// UC-101
#[test]
fn explicit_zeros_count_towards_the_width() {
    let data = parse("1 1:2 5:0\n").unwrap();
    assert_eq!((data.n_features(), data.stored(), data.nnz()), (5, 2, 1));
}

// UC-101
#[test]
fn hard_numbers_and_explicit_zeros_survive_the_round_trip() {
    let values = vec![
        0.1 + 0.2,
        1.0 / 3.0,
        1e-310,
        -0.0,
        0.0,
        f64::MAX,
        5e-324,
        9007199254740992.0,
    ];
    let columns = vec![0, 1, 2, 3, 5, 6, 7, 9];
    let data = Dataset::from_csr(vec![0, 0, 8], columns, values, 10, vec![-1.0, 1.0 / 3.0])
        .unwrap()
        .with_qids(vec![3, u64::MAX])
        .unwrap();
    let folder = Folder::new("round-trip");
    for name in ["plain", "packed.gz", "PACKED.GZ"] {
        let path = folder.0.join(name);
        libsvm::write(&path, &data).unwrap();
        let packed = fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]);
        assert_eq!(packed, name != "plain");
        assert_same_bits(&libsvm::read(&path).unwrap(), &data);
    }
    assert_eq!(
        fs::read_to_string(folder.0.join("plain"))
            .unwrap()
            .lines()
            .next(),
        Some("-1 qid:3")
    );
}

#[test]
fn only_the_width_of_empty_last_columns_is_lost() {
    let data = Dataset::from_rows(&[vec![1.0, 0.0, 0.0]], &[1.0]).unwrap();
    let mut text = Vec::new();
    Writer::new().write_to(&mut text, &data).unwrap();
    assert_eq!(text, b"1 1:1\n");
    assert_eq!(
        Reader::new().parse(&text[..], "text").unwrap().n_features(),
        1
    );
    let restored = Reader::new()
        .n_features(3)
        .parse(&text[..], "text")
        .unwrap();
    assert_eq!(restored, data);
}

#[test]
fn gzip_is_recognized_by_content_not_by_name() {
    let folder = Folder::new("gzip");
    let text = "1 1:2\n0 2:1\n";
    let expected = parse(text).unwrap();
    let cases = [
        folder.file("packed.txt", gzip(text.as_bytes())),
        folder.file("plain.gz", text),
        folder.file("members.gz", [gzip(b"1 1:"), gzip(b"2\n0 2:1\n")].concat()),
    ];
    for path in cases {
        assert_eq!(libsvm::read(&path).unwrap(), expected, "{}", path.display());
    }
}

#[test]
fn damaged_gzip_files_are_errors_and_name_the_line_reached() {
    let text: String = (0..20000u64)
        .map(|i| format!("1 {}:{}\n", i + 1, i.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    let packed = gzip(text.as_bytes());
    let damage = |bytes: &[u8]| Reader::new().parse(bytes, "packed").unwrap_err();

    let error = damage(&packed[..packed.len() / 2]);
    assert_eq!(error.kind, ErrorKind::TruncatedGzip);
    assert!(
        (5000..15000).contains(&error.line.unwrap()),
        "{:?}",
        error.line
    );
    assert!(error.to_string().contains("breaks off"));
    assert!(std::error::Error::source(&error).is_some());

    // All rows are there, but the checksum is not.
    let error = damage(&packed[..packed.len() - 3]);
    assert_eq!(
        (error.line, error.kind),
        (Some(20001), ErrorKind::TruncatedGzip)
    );
    assert_eq!(damage(&packed[..2]).kind, ErrorKind::TruncatedGzip);

    let mut wrong = packed.clone();
    let checksum = wrong.len() - 8;
    wrong[checksum] ^= 1;
    assert_eq!(damage(&wrong).kind, ErrorKind::CorruptGzip);
    let trailing = [packed, b"1 1:1\n".repeat(2)].concat();
    assert_eq!(damage(&trailing).kind, ErrorKind::CorruptGzip);
}

#[test]
fn files_that_cannot_be_opened_are_named() {
    let folder = Folder::new("missing");
    let path = folder.0.join("absent");
    let error = libsvm::read(&path).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io(std::io::ErrorKind::NotFound));
    assert!(error.to_string().starts_with(&path.display().to_string()));
    let data = parse("1 1:1\n").unwrap();
    let error = libsvm::write(folder.0.join("absent/file"), &data).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io(std::io::ErrorKind::NotFound));
    assert!(matches!(
        libsvm::read(&folder.0).unwrap_err().kind,
        ErrorKind::Io(_)
    ));
}

#[test]
#[cfg(target_pointer_width = "64")]
fn more_features_than_columns_can_be_numbered_are_refused() {
    let error = Reader::new()
        .n_features(1 << 32)
        .parse(&b"1 1:1\n"[..], "text")
        .unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::TooManyFeatures {
            n_features: 1 << 32
        }
    );
    let data = Reader::new()
        .n_features(u32::MAX as usize)
        .parse(&b"1 1:1\n"[..], "text");
    assert_eq!(data.unwrap().n_features(), u32::MAX as usize);
}

fn assert_same_bits(a: &Dataset, b: &Dataset) {
    assert_eq!(a, b);
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(a.labels()), bits(b.labels()));
    for i in 0..a.n_rows() {
        assert_eq!(bits(a.row(i).1), bits(b.row(i).1));
    }
}

/// Any finite double, by its bits.
fn any_double() -> impl Strategy<Value = f64> {
    any::<u64>()
        .prop_map(f64::from_bits)
        .prop_filter("finite", |v| v.is_finite())
}

prop_compose! {
    fn any_dataset()(
        rows in prop::collection::vec(
            (
                any_double(),
                any::<u64>(),
                prop::collection::btree_map(0u32..50, any_double(), 0..6),
            ),
            1..8,
        ),
        with_qids: bool,
    ) -> Dataset {
        let mut indptr = vec![0];
        let (mut indices, mut values) = (vec![], vec![]);
        for (_, _, entries) in &rows {
            indices.extend(entries.keys());
            values.extend(entries.values());
            indptr.push(indices.len());
        }
        let labels = rows.iter().map(|row| row.0).collect();
        let data = Dataset::from_csr(indptr, indices, values, 50, labels).unwrap();
        if with_qids {
            data.with_qids(rows.iter().map(|row| row.1).collect()).unwrap()
        } else {
            data
        }
    }
}

/// The same cases in every run.
fn fixed() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    fn written_data_reads_back_to_the_bit(data in any_dataset(), zero_based: bool) {
        let mut text = Vec::new();
        Writer::new().zero_based(zero_based).write_to(&mut text, &data).unwrap();
        let reader = Reader::new().zero_based(zero_based).n_features(50);
        assert_same_bits(&reader.parse(&text[..], "text").unwrap(), &data);
        assert_same_bits(&reader.parse(&gzip(&text)[..], "text").unwrap(), &data);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(prop::sample::select(&b"0123459 \t\r\n:#+-.,eqid"[..]), 0..60),
            prop::collection::vec(any::<u8>(), 0..60).prop_map(|tail| [&[0x1f, 0x8b, 8][..], &tail].concat()),
        ],
        base in prop::sample::select(&[IndexBase::One, IndexBase::Zero, IndexBase::Auto][..]),
        n_features in prop::option::of(0usize..20),
    ) {
        let mut reader = Reader::new().index_base(base);
        if let Some(n) = n_features {
            reader = reader.n_features(n);
        }
        match reader.parse(&bytes[..], "bytes") {
            Err(error) => prop_assert!(error.to_string().starts_with("bytes")),
            Ok(data) => {
                // Whatever was accepted is valid: it passes the checks of `from_csr`.
                let parts: Vec<_> = (0..data.n_rows()).map(|i| data.row(i)).collect();
                let mut indptr = vec![0];
                indptr.extend(parts.iter().scan(0, |sum, row| {
                    *sum += row.0.len();
                    Some(*sum)
                }));
                let indices = parts.iter().flat_map(|row| row.0).copied().collect();
                let values = parts.iter().flat_map(|row| row.1).copied().collect();
                let labels = data.labels().to_vec();
                let checked = Dataset::from_csr(indptr, indices, values, data.n_features(), labels);
                prop_assert!(checked.is_ok());
            }
        }
    }

    // Most random lines fail early; these are valid but for their order.
    #[test]
    fn shuffled_rows_read_as_sorted_rows(
        entries in prop::collection::btree_map(1u32..1000, any_double(), 1..20)
            .prop_map(|map| map.into_iter().collect::<Vec<_>>())
            .prop_shuffle(),
    ) {
        let line = |entries: &[(u32, f64)]| {
            let entries: String = entries.iter().map(|(i, v)| format!(" {i}:{v:?}")).collect();
            format!("1{entries}\n")
        };
        let mut sorted = entries.clone();
        sorted.sort_by_key(|entry| entry.0);
        assert_same_bits(&parse(&line(&entries)).unwrap(), &parse(&line(&sorted)).unwrap());
    }
}

/// name, rows, largest index, nonzeros, stored zeros, smaller label and its rows, larger label
type Expected = (&'static str, usize, usize, usize, usize, f64, usize, f64);

const REAL: [Expected; 18] = [
    ("a1a", 1605, 119, 22249, 0, -1.0, 1210, 1.0),
    ("a9a", 32561, 123, 451592, 0, -1.0, 24720, 1.0),
    ("w8a", 49749, 300, 579586, 0, -1.0, 48270, 1.0),
    ("mushrooms", 8124, 112, 170604, 0, 1.0, 3916, 2.0),
    ("phishing", 11055, 68, 331650, 0, 0.0, 4898, 1.0),
    ("ijcnn1", 49990, 22, 649869, 1, -1.0, 45137, 1.0),
    ("german.numer", 1000, 24, 17989, 6011, -1.0, 700, 1.0),
    ("german.numer_scale", 1000, 24, 23001, 0, -1.0, 700, 1.0),
    ("heart_scale", 270, 13, 3378, 0, -1.0, 150, 1.0),
    ("breast-cancer_scale", 683, 10, 6830, 0, -1.0, 239, 1.0),
    ("splice", 1000, 60, 60000, 0, -1.0, 483, 1.0),
    ("svmguide1", 3089, 4, 12319, 37, 0.0, 1089, 1.0),
    ("reuters", 7770, 8315, 339837, 0, -1.0, 7232, 1.0),
    ("news20.split10", 15935, 62061, 1272569, 0, -1.0, 7984, 1.0),
    ("leukemia38", 38, 7129, 270902, 0, -1.0, 27, 1.0),
    ("sonar", 208, 60, 12471, 0, -1.0, 97, 1.0),
    ("ionosphere", 351, 34, 10513, 0, -1.0, 126, 1.0),
    ("diabetes", 768, 8, 5381, 0, -1.0, 500, 1.0),
];

#[test]
fn real_data_sets_have_the_published_counts() {
    let Some(folder) = std::env::var_os("RAPHSON_DATA") else {
        // Past the capture of the test harness, so that it is seen.
        let _ = writeln!(std::io::stderr(), "skipped: RAPHSON_DATA is not set");
        return;
    };
    for (name, n_rows, n_features, nnz, zeros, smaller, count, larger) in REAL {
        let path = Path::new(&folder).join(format!("libsvm/{name}.gz"));
        let data = libsvm::read(&path).unwrap();
        assert_eq!(
            (data.n_rows(), data.n_features()),
            (n_rows, n_features),
            "{name}"
        );
        assert_eq!((data.nnz(), data.stored()), (nnz, nnz + zeros), "{name}");
        assert_eq!(data.classes(), [smaller, larger], "{name}");
        let found = data
            .labels()
            .iter()
            .filter(|&&label| label == smaller)
            .count();
        assert_eq!(found, count, "{name}");
        let mut text = Vec::new();
        Writer::new().write_to(&mut text, &data).unwrap();
        assert_same_bits(&Reader::new().parse(&text[..], name).unwrap(), &data);
    }
}
