//! Rows on disk: the results of the model in memory, and damage that is found.

use crate::data;
use crate::reading::Folder;
use argmin::core::{CostFunction, Gradient, Hessian};
use raphson::distributed::{Distributed, Threads};
use raphson::libsvm::{self, IndexBase, Reader};
use raphson::models::LinearModel;
use raphson::stochastic::Sampler;
use raphson::stream::{CacheWriter, Error, ErrorKind, StreamedModel, StreamedRows};
use raphson::{
    Batch, DampedNewton, Dataset, Failed, FiniteSum, HessianProduct, LogisticRegression, Status,
    StochasticNewton, SymMat,
};
use std::path::{Path, PathBuf};

fn write(path: &Path, data: &Dataset) {
    let mut cache = CacheWriter::create(path).unwrap();
    for i in 0..data.n_rows() {
        let (columns, values) = data.row(i);
        cache.push(data.labels()[i], columns, values).unwrap();
    }
    cache.features(data.n_features());
    cache.finish().unwrap();
}

/// As rows that are all dense, sparse, or ones; 20 000 rows are three blocks and more.
fn kinds() -> Vec<(&'static str, Dataset)> {
    let sparse = data(20_000, 6);
    let change = |f: &dyn Fn(usize, u32, f64) -> Option<f64>| {
        let (mut starts, mut columns, mut values) = (vec![0], vec![], vec![]);
        for i in 0..sparse.n_rows() {
            let row = sparse.row(i);
            for (c, v) in row.0.iter().zip(row.1) {
                if let Some(v) = f(i, *c, *v) {
                    columns.push(*c);
                    values.push(v);
                }
            }
            starts.push(columns.len());
        }
        Dataset::from_csr(starts, columns, values, 6, sparse.labels().to_vec()).unwrap()
    };
    let dense: Vec<Vec<f64>> = (0..20_000)
        .map(|i| {
            (0..6)
                .map(|j| f64::from((i * (j + 3) % 17) as u32) - 8.0)
                .collect()
        })
        .collect();
    vec![
        (
            "sparse",
            change(&|i, c, v| (i + c as usize).is_multiple_of(2).then_some(v)),
        ),
        ("ones", change(&|_, _, v| (v > 0.0).then_some(1.0))),
        (
            "dense",
            Dataset::from_rows(&dense, sparse.labels()).unwrap(),
        ),
        // A block without an entry, and rows without one.
        (
            "mixed",
            change(&|i, _, v| (!(8000..17_000).contains(&i)).then_some(v)),
        ),
    ]
}

fn close(what: &str, a: &[f64], b: &[f64]) {
    let scale = b.iter().fold(f64::MIN_POSITIVE, |m, b| m.max(b.abs()));
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-12 * scale, "{what}: {a} and {b}");
    }
}

#[test]
fn evaluations_are_those_of_the_model_in_memory() {
    let folder = Folder::new("evaluations");
    for (name, data) in kinds() {
        let path = folder.0.join(name);
        write(&path, &data);
        for intercept in [false, true] {
            let whole = LogisticRegression::new(&data).l2(0.01).intercept(intercept);
            let rows = StreamedRows::open(&path).unwrap();
            assert_eq!(
                (rows.n_rows(), rows.n_features(), rows.nnz()),
                (20_000, 6, data.nnz())
            );
            assert_eq!(rows.classes(), Some(&[-1.0, 1.0][..]));
            let model = StreamedModel::logistic(rows).l2(0.01).intercept(intercept);
            let d = 6 + usize::from(intercept);
            assert_eq!(model.dimension(), d);
            let x: Vec<f64> = (0..d).map(|j| 0.1 * j as f64 - 0.2).collect();
            let v: Vec<f64> = (0..d).map(|j| 1.0 - 0.3 * j as f64).collect();
            close(name, &[model.cost(&x).unwrap()], &[whole.cost(&x).unwrap()]);
            close(
                name,
                &model.gradient(&x).unwrap(),
                &whole.gradient(&x).unwrap(),
            );
            assert_eq!(model.passes(), 1, "value and gradient share a pass");
            let mut products = [vec![0.0; d], vec![0.0; d]];
            HessianProduct::hessian_product(&model, &x, &v, &mut products[0]).unwrap();
            HessianProduct::hessian_product(&whole, &x, &v, &mut products[1]).unwrap();
            close(name, &products[0], &products[1]);
            let hessian = Hessian::hessian(&model, &x).unwrap();
            raphson::linear::sym_mul(hessian.sym(), &v, &mut products[0]).unwrap();
            close(name, &products[0], &products[1]);
            close(
                name,
                &[hessian.gradient_scale().unwrap()],
                &[whole.gradient_scale()],
            );
            assert!(HessianProduct::hessian_diagonal(&model, &x, &mut products[0]).unwrap());
            assert!(HessianProduct::hessian_diagonal(&whole, &x, &mut products[1]).unwrap());
            close(name, &products[0], &products[1]);
            // A batch, with a row twice, over all blocks.
            let batch = Batch::Terms(&[19_999, 3, 8100, 3, 17_500, 0]);
            let (f, g) = FiniteSum::value_gradient(&model, &x, batch).unwrap();
            let (f0, g0) = FiniteSum::value_gradient(&whole, &x, batch).unwrap();
            close(name, &[f], &[f0]);
            close(name, &g, &g0);
        }
    }
}

#[test]
fn solvers_end_where_they_end_in_memory() {
    let folder = Folder::new("solvers");
    for (name, data) in kinds() {
        let path = folder.0.join(name);
        write(&path, &data);
        let whole = LogisticRegression::new(&data).l2(1e-3).intercept(true);
        let model = || {
            let rows = StreamedRows::open(&path).unwrap();
            StreamedModel::logistic(rows).l2(1e-3).intercept(true)
        };
        macro_rules! same {
            ($solver:expr) => {
                same!($solver, $solver)
            };
            ($solver:expr, $in_memory:expr) => {{
                let expected = $in_memory.minimize(&whole, whole.origin()).unwrap();
                let run = $solver.minimize(&model(), vec![0.0; 7]).unwrap();
                assert_eq!(run.status, expected.status, "{name}");
                assert_eq!(run.report.iterations, expected.report.iterations, "{name}");
                close(name, &[run.f], &[expected.f]);
                close(name, &run.x, &expected.x);
                // Blocks by rank, in the order of the ranks.
                let runs = Threads::run(3, |rank| {
                    let rows = StreamedRows::open(&path).unwrap().part(rank.index(), 3);
                    let shard =
                        rows.map(|rows| StreamedModel::logistic(rows).l2(1e-3).intercept(true));
                    let problem = Distributed::new(shard, rank).unwrap();
                    let run = $solver.minimize(&problem, vec![0.0; 7]).unwrap();
                    assert_eq!(run.report.iterations, expected.report.iterations, "{name}");
                    close(name, &run.x, &expected.x);
                    run.x
                });
                assert!(runs.iter().all(|x| *x == runs[0]), "{name}");
            }};
        }
        same!(DampedNewton::new().gradient_tol(1e-10));
        same!(
            DampedNewton::fused().gradient_tol(1e-10),
            DampedNewton::new().gradient_tol(1e-10)
        );
        same!(DampedNewton::matrix_free().gradient_tol(1e-10));
        let sampler = Sampler::WithReplacement { b: 200 };
        same!(
            StochasticNewton::new()
                .sampler(sampler)
                .max_epochs(1)
                .seed(3)
        );
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    let folder = Folder::new("threads");
    let (_, data) = kinds().swap_remove(0);
    let path = folder.0.join("rows");
    write(&path, &data);
    let x: Vec<f64> = (0..6).map(|j| 0.1 * f64::from(j)).collect();
    let results: Vec<_> = [1, 2, 5]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let model = StreamedModel::logistic(StreamedRows::open(&path).unwrap()).l2(0.1);
                let g = model.gradient(&x).unwrap();
                let mut hv = vec![0.0; 6];
                let hessian = Hessian::hessian(&model, &x).unwrap();
                raphson::linear::sym_mul(hessian.sym(), &x, &mut hv).unwrap();
                (g, hv)
            })
        })
        .collect();
    assert!(results.iter().all(|r| *r == results[0]));
}

#[test]
fn parts_are_consecutive_and_cover_the_rows() {
    let folder = Folder::new("cover");
    let (_, data) = kinds().swap_remove(1);
    let path = folder.0.join("rows");
    write(&path, &data);
    let all = StreamedRows::open(&path).unwrap();
    for p in 1..=9 {
        let mut next = 0;
        for r in 0..p {
            if let Some(part) = all.part(r, p) {
                assert_eq!(part.offset(), next);
                next += part.n_rows();
            }
        }
        assert_eq!(next, 20_000, "{p} parts");
    }
    let bytes: u64 = (0..3)
        .filter_map(|r| all.part(r, 3))
        .map(|part| part.bytes())
        .sum();
    assert_eq!(bytes, all.bytes());
}

#[test]
fn text_becomes_a_cache() {
    let folder = Folder::new("text");
    let data = data(500, 9);
    for name in ["rows.txt", "rows.gz"] {
        let (text, cache) = (folder.0.join(name), folder.0.join("cache"));
        libsvm::write(&text, &data).unwrap();
        libsvm::to_cache(&text, &cache).unwrap();
        let whole = LogisticRegression::new(&data).l2(0.1);
        let model = StreamedModel::logistic(StreamedRows::open(&cache).unwrap()).l2(0.1);
        let x = vec![0.25; 9];
        close(
            name,
            &model.gradient(&x).unwrap(),
            &whole.gradient(&x).unwrap(),
        );
    }
    // The index base, given or found.
    let zero = folder.write("zero", "2 1:1 3:2\n5 0:1\n");
    for base in [IndexBase::Zero, IndexBase::Auto] {
        let cache = folder.0.join("zero.rows");
        Reader::new()
            .index_base(base)
            .n_features(7)
            .to_cache(&zero, &cache)
            .unwrap();
        let rows = StreamedRows::open(&cache).unwrap();
        assert_eq!(
            (rows.n_features(), rows.classes()),
            (7, Some(&[2.0, 5.0][..]))
        );
        let model = StreamedModel::with_loss(rows, Square);
        let g = model.gradient(&vec![0.0; 7]).unwrap();
        assert_eq!(g, [-2.5, -1.0, 0.0, -2.0, 0.0, 0.0, 0.0]);
    }
    let bad = folder.write("bad", "1 1:1\n\n1 2:x\n");
    let error = libsvm::to_cache(&bad, folder.0.join("bad.rows"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("bad:3: value \"x\""), "{error}");
    assert!(matches!(
        StreamedRows::open(folder.0.join("bad.rows")),
        Err(raphson::Error::Cache(_))
    ));
    let empty = folder.write("none", "# nothing\n");
    let error = libsvm::to_cache(&empty, folder.0.join("none.rows"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no rows"), "{error}");
}

/// ½(m − y)².
#[derive(Debug, Clone)]
struct Square;

impl raphson::models::Loss for Square {
    fn value(&self, m: f64, y: f64, c: f64) -> f64 {
        0.5 * c * (m - y) * (m - y)
    }
    fn slope(&self, m: f64, y: f64, c: f64) -> f64 {
        c * (m - y)
    }
    fn curvature(&self, _: f64, _: f64, c: f64) -> f64 {
        c
    }
}

#[test]
fn any_loss_streams() {
    let folder = Folder::new("loss");
    let data = data(300, 5);
    let path = folder.0.join("rows");
    write(&path, &data);
    let whole = LinearModel::with_loss(&data, Square).l2(0.1);
    let expected = DampedNewton::new().minimize(&whole, vec![0.0; 5]).unwrap();
    let model = StreamedModel::with_loss(StreamedRows::open(&path).unwrap(), Square).l2(0.1);
    let run = DampedNewton::new().minimize(&model, vec![0.0; 5]).unwrap();
    close("square", &run.x, &expected.x);
}

#[test]
fn a_nan_names_the_row_of_the_file() {
    let folder = Folder::new("nan");
    let (_, data) = kinds().swap_remove(3);
    let path = folder.0.join("rows");
    write(&path, &data);
    let x = vec![f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.0, 0.0, 0.0];
    let both = |i: usize| {
        data.row(i).0.starts_with(&[0, 1]) && (data.row(i).1[0] > 0.0) == (data.row(i).1[1] > 0.0)
    };
    for (part, first) in [(0, 0), (1, 8192)] {
        let rows = StreamedRows::open(&path).unwrap().part(part, 2).unwrap();
        let model = StreamedModel::logistic(rows);
        let error = FiniteSum::value(&model, &x, Batch::All)
            .unwrap_err()
            .to_string();
        let offset = if part == 0 { 0 } else { model.rows().offset() };
        assert!(offset >= first);
        // 0 · ∞ is NaN too, in the rows of a dense block.
        let row: usize = error.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(row >= offset && (offset..row).all(|i| !both(i)), "{error}");
        assert!(error.contains("of the file: NaN"), "{error}");
    }
}

#[test]
fn separable_rows_are_no_convergence() {
    let folder = Folder::new("separable");
    let path = folder.0.join("rows");
    let rows = [[1.0, 1.0], [2.0, 1.5], [-1.0, -1.0], [-1.5, -2.0]].map(|r| r.to_vec());
    write(
        &path,
        &Dataset::from_rows(&rows, &[1.0, 1.0, -1.0, -1.0]).unwrap(),
    );
    let model = StreamedModel::logistic(StreamedRows::open(&path).unwrap());
    let run = DampedNewton::new()
        .max_iters(200)
        .minimize(&model, vec![0.0; 2])
        .unwrap();
    assert_eq!(run.status, Status::Failed(Failed::Separable));
}

fn cache_error(result: Result<(), raphson::Error>) -> Option<Error> {
    match result {
        Ok(()) => None,
        Err(raphson::Error::Cache(error)) => Some(error),
        Err(other) => panic!("{other}"),
    }
}

/// Opens and reads a cache of the given bytes.
fn attempt(path: &PathBuf, bytes: &[u8]) -> Option<Error> {
    std::fs::write(path, bytes).unwrap();
    cache_error(StreamedRows::open(path).and_then(|rows| {
        let model = StreamedModel::with_loss(rows, Square);
        let gradient = model.gradient(&model.origin());
        gradient
            .map(|_| ())
            .map_err(|error| match error.downcast() {
                Ok(ours) => ours,
                Err(other) => panic!("{other}"),
            })
    }))
}

#[test]
fn every_truncation_and_every_flipped_bit_is_found() {
    let folder = Folder::new("damage");
    let path = folder.0.join("rows");
    for text in [
        "1 1:2 3:1.5\n-1 2:1\n1 4:0.5\n",
        "1 1:1\n2 2:1\n",
        "1 1:2 2:3\n0 1:4 2:5\n",
    ] {
        let source = folder.write("text", text);
        libsvm::to_cache(&source, &path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(attempt(&path, &whole), None);
        for length in 0..whole.len() {
            let error = attempt(&path, &whole[..length]).unwrap();
            let expected = if length < 80 {
                ErrorKind::NotACache
            } else {
                ErrorKind::Truncated {
                    expected: whole.len() as u64,
                    found: length as u64,
                }
            };
            assert_eq!(error.kind, expected, "{length} bytes");
        }
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(attempt(&path, &bytes).is_some(), "bit {bit}");
        }
        let mut version = whole.clone();
        version[8] = 9;
        assert_eq!(
            attempt(&path, &version).unwrap().kind,
            ErrorKind::Version { found: 9 }
        );
    }
}

#[test]
fn an_unfinished_cache_is_none_and_rows_are_checked() {
    let folder = Folder::new("unfinished");
    let path = folder.0.join("rows");
    let mut cache = CacheWriter::create(&path).unwrap();
    cache.push(1.0, &[0, 4], &[1.0, 2.0]).unwrap();
    for (label, columns, values) in [
        (f64::NAN, &[0u32][..], &[1.0][..]),
        (1.0, &[0], &[f64::INFINITY]),
        (1.0, &[1, 1], &[1.0, 1.0]),
        (1.0, &[2, 1], &[1.0, 1.0]),
        (1.0, &[u32::MAX], &[1.0]),
        (1.0, &[1], &[1.0, 2.0]),
    ] {
        assert!(cache.push(label, columns, values).is_err());
    }
    assert!(cache.push_dense(1.0, &[f64::NAN]).is_err());
    drop(cache);
    let error = cache_error(StreamedRows::open(&path).map(|_| ())).unwrap();
    assert_eq!(error.kind, ErrorKind::NotACache);
    assert!(matches!(
        CacheWriter::create(&path).unwrap().finish(),
        Err(raphson::Error::Data(_))
    ));
    let missing = StreamedRows::open(folder.0.join("absent"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("absent"), "{missing}");
}
