//! One file by byte ranges, or part files: the rows of the ranks are those of the file.

use raphson::Dataset;
use raphson::distributed::{Error, ThreadRank, Threads};
use raphson::libsvm::{self, FileShard, IndexBase, Reader};
use std::path::{Path, PathBuf};

pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shards-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Lines of very different lengths; the largest index is in one of them only.
fn text(lines: usize, end: &str) -> String {
    let mut text = String::new();
    for i in 0..lines {
        text += if i.is_multiple_of(3) { "+1" } else { "-1" };
        for j in (1..=(i * i) % 40).step_by(1 + i % 4) {
            text += &format!(" {j}:{}", 0.5 + i as f64);
        }
        if i == lines / 2 {
            text += " 77:1";
        }
        text += end;
    }
    text
}

fn joined(parts: &[FileShard]) -> Vec<(f64, Vec<u32>, Vec<f64>)> {
    let rows = |data: &Dataset| {
        (0..data.n_rows())
            .map(|i| {
                (
                    data.labels()[i],
                    data.row(i).0.to_vec(),
                    data.row(i).1.to_vec(),
                )
            })
            .collect::<Vec<_>>()
    };
    let mut offset = 0;
    let mut all = Vec::new();
    for part in parts {
        assert_eq!(part.offset, offset);
        if let Some(data) = &part.data {
            assert_eq!(data.n_features(), part.features);
            all.extend(rows(data));
            offset += data.n_rows();
        }
        assert_eq!(part.rows, parts[0].rows);
        assert_eq!(part.classes, parts[0].classes);
    }
    assert_eq!(offset, parts[0].rows);
    all
}

fn read<P: AsRef<Path> + Sync>(paths: &[P], ranks: usize) -> Vec<FileShard> {
    Threads::run(ranks, |rank| Reader::new().read_shard(paths, rank).unwrap())
}

#[test]
fn byte_ranges_are_cut_at_line_ends() {
    let folder = Folder::new("ranges");
    for (name, end) in [
        ("unix", "\n"),
        ("dos", "\r\n"),
        ("blank", "\n\n# a comment\n"),
    ] {
        for trimmed in [false, true] {
            let mut text = text(23, end);
            if trimmed {
                text.truncate(text.trim_end().len());
            }
            let path = folder.write(name, &text);
            let whole = joined(&read(&[&path], 1));
            assert_eq!(whole.len(), 23);
            for ranks in 2..=40 {
                let parts = read(&[&path], ranks);
                assert_eq!(joined(&parts), whole, "{name}, {ranks} ranks");
                assert_eq!((parts[0].rows, parts[0].features), (23, 77));
                assert_eq!(parts[0].classes.as_deref(), Some(&[-1.0, 1.0][..]));
                let entries: usize = whole.iter().map(|row| row.1.len()).sum();
                assert_eq!(parts[0].nnz, entries);
            }
        }
    }
}

#[test]
fn a_cut_on_a_line_end_loses_and_doubles_nothing() {
    let folder = Folder::new("cut");
    // Lines of equal length: cuts fall on their ends exactly.
    let path = folder.write("even", &"1 1:2\n".repeat(12));
    for ranks in [2, 3, 4, 6, 12, 24, 36, 72] {
        assert_eq!(joined(&read(&[&path], ranks)).len(), 12, "{ranks}");
    }
    // One line over all cuts.
    let long: String = (1..2000).map(|j| format!(" {j}:1")).collect();
    let path = folder.write("long", &format!("1{long}\n-1 1:1\n"));
    let parts = read(&[&path], 5);
    let rows: Vec<usize> = parts
        .iter()
        .map(|p| p.data.as_ref().map_or(0, Dataset::n_rows))
        .collect();
    assert_eq!(rows, [1, 0, 0, 0, 1]);
}

#[test]
fn part_files_are_dealt_out_in_order() {
    let folder = Folder::new("parts");
    let whole = text(30, "\n");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let paths: Vec<PathBuf> = (0..5)
        .map(|k| folder.write(&format!("part{k}"), &lines[6 * k..6 * k + 6].concat()))
        .collect();
    let one = folder.write("whole", &whole);
    let expected = joined(&read(&[&one], 1));
    for ranks in 1..=8 {
        assert_eq!(joined(&read(&paths, ranks)), expected, "{ranks} ranks");
    }
    // Gzip parts too.
    let data = libsvm::read(&one).unwrap();
    let first: Vec<usize> = (0..11).collect();
    let rest: Vec<usize> = (11..30).collect();
    let packed = [folder.0.join("a.gz"), folder.0.join("b.gz")];
    libsvm::write(&packed[0], &data.subset(&first).unwrap()).unwrap();
    libsvm::write(&packed[1], &data.subset(&rest).unwrap()).unwrap();
    assert_eq!(joined(&read(&packed, 2)), expected);
}

fn failure(path: &Path, ranks: usize, reader: &Reader) -> Error {
    let paths = [path];
    let read = |rank: &ThreadRank| reader.read_shard(&paths, rank).unwrap_err();
    let mut errors = Threads::run(ranks, read)
        .into_iter()
        .map(|error| match error {
            raphson::Error::Distributed(error) => error,
            other => panic!("{other}"),
        });
    let first = errors.next().unwrap();
    assert!(errors.all(|error| error == first));
    first
}

#[test]
fn errors_name_rank_file_and_line_on_all_ranks() {
    let folder = Folder::new("errors");
    let mut lines: Vec<String> = (0..40).map(|i| format!("1 {}:1\n", 1 + i % 7)).collect();
    lines[9] = "\n".into();
    lines[27] = "1 3:x\n".into();
    let path = folder.write("bad", &lines.concat());
    for ranks in 1..=9 {
        let text = failure(&path, ranks, &Reader::new()).to_string();
        let place = format!("{}:28: value \"x\" of index 3", path.display());
        assert!(text.contains(&place), "{ranks} ranks: {text}");
        // Byte 159 or so of 235.
        let expected = format!("rank {}: ", 159 * ranks / 235);
        assert!(text.starts_with(&expected), "{ranks} ranks: {text}");
    }
    let missing = failure(&folder.0.join("absent"), 3, &Reader::new()).to_string();
    assert!(
        missing.starts_with("rank 0: ") && missing.contains("absent"),
        "{missing}"
    );
    let empty = folder.write("empty", "\n# nothing\n");
    let text = failure(&empty, 2, &Reader::new()).to_string();
    assert!(text.contains("no rows"), "{text}");
    let packed = folder.0.join("packed.gz");
    libsvm::write(&packed, &Dataset::from_rows(&[vec![1.0]], &[1.0]).unwrap()).unwrap();
    let text = failure(&packed, 2, &Reader::new()).to_string();
    assert!(text.contains("cannot be cut"), "{text}");
    // A width that only the index base of another rank makes too small.
    let path = folder.write("base", "1 0:1\n1 1:1\n1 3:1\n1 3:1\n");
    let text = failure(
        &path,
        2,
        &Reader::new().index_base(IndexBase::Auto).n_features(3),
    )
    .to_string();
    assert!(
        text.starts_with("rank 1: ") && text.contains("index 3"),
        "{text}"
    );
    let text = failure(
        &folder.write("qids", "1 qid:1 1:1\n1 qid:2 1:1\n1 1:1\n1 1:12345\n"),
        2,
        &Reader::new(),
    );
    assert!(text.to_string().contains("query id"), "{text}");
}

#[test]
fn the_index_base_is_that_of_all_ranks() {
    let folder = Folder::new("base");
    let path = folder.write("zero", "1 0:1\n1 1:1\n1 1:1\n1 2:1\n");
    let reader = Reader::new().index_base(IndexBase::Auto);
    let parts = Threads::run(4, |rank| reader.read_shard(&[&path], rank).unwrap());
    let columns: Vec<u32> = joined(&parts).iter().map(|row| row.1[0]).collect();
    assert_eq!((columns, parts[0].features), (vec![0, 1, 1, 2], 3));
}

#[test]
fn many_labels_are_no_classes() {
    let folder = Folder::new("labels");
    let text: String = (0..9000).map(|i| format!("{i}.5 1:1\n")).collect();
    let path = folder.write("numbers", &text);
    assert!(read(&[&path], 2).iter().all(|part| part.classes.is_none()));
    assert!(read(&[&path], 3)[0].classes.is_none());
}
