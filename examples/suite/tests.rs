//! What tables and resumed suites rest on.

use crate::arguments::Problem;
use crate::results::{Results, Row, SKIPPED, Spec};
use crate::solvers::Solver;
use crate::watch::{Counts, Stop, Watch};
use crate::{ours, pictures, tables, verify};
use argmin::core::{CostFunction, Gradient, Hessian};
use clap::ValueEnum;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::edge::SymView;
use raphson::models::LogisticRegression;
use raphson::{Dataset, GramSolve, SymMat};
use std::path::PathBuf;

fn spec(solver: Solver) -> Spec {
    Spec {
        set: "a, \"b\"".into(),
        penalty: "1/n".into(),
        solver,
        path: "folder, one/a.gz".into(),
        crc32: 0xdead_beef,
        n: 3,
        d: 2,
        nnz: 5,
        mu: 1.0 / 3.0,
        standardize: false,
        tol: 1e-8,
        time_limit: 0.1 + 0.2,
        max_iter: u64::MAX,
        repeat: 3,
        threads: 1,
        memory: 0.5,
        build: 7,
    }
}

fn row(solver: Solver, seconds: f64, reached: bool) -> Row {
    let mut row = Row::of(spec(solver), "converged, \"so\"".into());
    row.reached = reached;
    row.seconds = Some(seconds);
    row.f = Some(0.1 + 0.7);
    row.target = Some(1e-8);
    row.counts = Counts {
        values: 1.0 + 2.0 / 7.0,
        gradients: 2.0,
        hessians: 2.0 + 1.0 / 3.0,
        products: 1 << 60,
    };
    row
}

/// A folder for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("raphson-suite-{name}-{}", std::process::id()));
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Margins of both signs and an empty row.
fn data() -> Dataset {
    let rows = [
        vec![1.5, -2.0, 0.0],
        vec![0.0; 3],
        vec![-40.0, 3.0, 1.0],
        vec![0.0, 0.25, 700.0],
    ];
    Dataset::from_rows(&rows, &[3.0, -1.0, 3.0, -1.0]).unwrap()
}

#[test]
fn the_second_evaluation_is_that_of_the_model() {
    let data = data();
    let model = LogisticRegression::new(&data).l2(0.3);
    for w in [vec![0.0; 3], vec![0.2, -1.0, 0.01], vec![-3.0, 2.0, 5.0]] {
        let (f, slope) = verify::evaluate(&data, 0.3, &w);
        let g = model.gradient(&w).unwrap();
        let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(
            (slope - norm).abs() <= 1e-14 * (1.0 + norm),
            "{slope} {norm}"
        );
        let value = model.cost(&w).unwrap();
        assert!((f - value).abs() <= 1e-14 * value, "{f} {value}");
    }
}

#[test]
fn rows_are_found_again_after_reading_the_file() {
    let folder = Folder::new("rows");
    let mut results = Results::open(&folder.0).unwrap();
    let rows = [
        row(Solver::DampedNewton, 1.0 / 3.0, true),
        row(Solver::ArgminLbfgs, 2e-7, false),
    ];
    for row in &rows {
        results.add(row.clone()).unwrap();
    }
    let again = Results::open(&folder.0).unwrap();
    for row in &rows {
        assert_eq!(again.find(&row.spec), Some(row));
        let elsewhere = Spec {
            path: "b".into(),
            ..row.spec.clone()
        };
        assert_eq!(again.find(&elsewhere), Some(row));
    }
    let others = [
        Spec {
            build: 8,
            ..spec(Solver::DampedNewton)
        },
        Spec {
            tol: 1e-9,
            ..spec(Solver::DampedNewton)
        },
        Spec {
            crc32: 0,
            ..spec(Solver::DampedNewton)
        },
        spec(Solver::Cubic),
    ];
    assert!(others.iter().all(|spec| again.find(spec).is_none()));
}

#[test]
fn a_damaged_file_of_results_is_an_error_that_names_it() {
    let folder = Folder::new("damaged");
    drop(Results::open(&folder.0).unwrap());
    std::fs::write(folder.0.join("results.csv"), "set,penalty\na\n").unwrap();
    let error = Results::open(&folder.0).err().unwrap();
    assert!(error.contains("results.csv"), "{error}");
}

#[test]
fn only_runs_that_reached_the_accuracy_are_ranked() {
    let rows = [
        row(Solver::Cubic, 0.2, true),
        row(Solver::BasinLbfgs, 0.001, false),
        row(Solver::DampedNewton, 0.1, true),
        Row::of(spec(Solver::SaddleFree), format!("{SKIPPED}too large")),
    ];
    let names: Vec<Solver> = tables::ranked(&rows)
        .iter()
        .map(|row| row.spec.solver)
        .collect();
    assert_eq!(names, [Solver::DampedNewton, Solver::Cubic]);
    assert!(rows[3].was_skipped() && !rows[1].was_skipped());
}

#[test]
fn figures_are_drawn_with_runs_that_left_no_trace() {
    let folder = Folder::new("figures");
    drop(Results::open(&folder.0).unwrap());
    let problem = Problem {
        path: "a".into(),
        set: "a".into(),
        crc32: 0,
        n: 3,
        d: 2,
        nnz: 5,
        mu: 1.0,
        penalty: "1/n".into(),
        standardize: false,
    };
    let mut first = row(Solver::DampedNewton, 0.1, true);
    first.trace = "first.csv".into();
    let text = "iteration,calls,seconds,f,grad_norm\n0,2,0.01,1.0,1.0\n1,4,0.1,0.8,1e-9\n";
    std::fs::write(folder.0.join("traces/first.csv"), text).unwrap();
    let rows = [vec![first, row(Solver::BasinLbfgs, 0.3, true)]];
    pictures::draw(&folder.0, std::slice::from_ref(&problem), &rows).unwrap();
    for name in [
        "convergence-a-mu-1_n.svg",
        "profile-seconds.svg",
        "profile-calls.svg",
    ] {
        let svg = std::fs::read_to_string(folder.0.join(name)).unwrap();
        assert!(
            svg.contains("damped-newton") && svg.ends_with("</svg>\n"),
            "{name}"
        );
    }
}

#[test]
fn lists_of_solvers_are_names_and_groups() {
    let own = Solver::list("deterministic").unwrap();
    assert!(own.iter().all(|solver| solver.is_ours()) && own.len() == 13);
    assert_eq!(own[0], Solver::Fit);
    assert_eq!(Solver::list("cubic,argmin,cubic").unwrap().len(), 5);
    assert_eq!(Solver::list("stochastic").unwrap().len(), 3);
    assert_eq!(
        Solver::list("default").unwrap().len(),
        Solver::value_variants().len() - 3
    );
    assert!(Solver::list("newtonn").unwrap_err().contains("newtonn"));
}

#[test]
fn places_differ_and_have_a_color_and_a_marker_each() {
    let all = Solver::value_variants();
    let mut places: Vec<usize> = all.iter().map(|solver| solver.place()).collect();
    places.sort_unstable();
    assert!(places.iter().copied().eq(0..all.len()) && all.len() <= 32);
}

/// Rows of `length` entries in `d` columns, with labels that the rows do not decide.
fn drawn(n: usize, d: usize, length: usize) -> Dataset {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    let row = |rng: &mut Xoshiro256PlusPlus| {
        let mut row = vec![0.0; d];
        for _ in 0..length {
            row[rng.random_range(0..d)] = rng.random::<f64>() - 0.3;
        }
        row
    };
    let rows: Vec<Vec<f64>> = (0..n).map(|_| row(&mut rng)).collect();
    let label = |row: &Vec<f64>, u: f64| {
        let margin = 3.0 * row.iter().sum::<f64>();
        f64::from(u < 1.0 / (1.0 + (-margin).exp()))
    };
    let labels: Vec<f64> = rows.iter().map(|row| label(row, rng.random())).collect();
    Dataset::from_rows(&rows, &labels).unwrap()
}

#[test]
fn fit_is_what_the_model_does() {
    let tol = 1e-9;
    // Samples; the dual; conjugate gradients.
    for (size, way) in [
        ((20_000, 6, 6), GramSolve::Primal),
        ((30, 60, 10), GramSolve::Dual),
        ((1500, 1000, 2), GramSolve::Cg),
    ] {
        let (n, d, length) = size;
        let data = drawn(n, d, length);
        let model = LogisticRegression::new(&data).l2(1.0 / n as f64);
        let hessian = model.hessian(&model.origin()).unwrap();
        let taken = match hessian.sym() {
            SymView::Gram(gram) => gram.way(),
            _ => panic!("no Gram matrix"),
        };
        assert_eq!(taken, way);
        assert_eq!(model.is_formed(), way == GramSolve::Primal);

        let fit = model.fit_to(tol, tol).unwrap();
        assert!(fit.converged(), "{way:?}: {}", fit.status);
        let watch = Watch::start(1e9, tol);
        let spec = Spec {
            tol,
            ..spec(Solver::Fit)
        };
        let model = LogisticRegression::new(&data).l2(1.0 / n as f64);
        let end = ours::solve(&spec, &model, &watch);
        assert_eq!(end.status, "converged");
        assert_eq!(end.x, Some(fit.x), "{way:?}");
        assert_eq!(watch.iteration.get(), fit.report.iterations);
        let counts = watch.counts.get();
        let report = &fit.report;
        assert_eq!(
            (
                counts.values - report.values as f64,
                counts.products - report.hessian_products
            ),
            (counts.gradients - report.gradients as f64, 0)
        );
        let (start, evaluated) = (counts.values - report.values as f64, report.hessians as f64);
        if way == GramSolve::Primal {
            // The origin, and a start from samples.
            assert!(1.0 < start && start < 2.5, "{start}");
            assert!(0.0 < counts.hessians && counts.hessians < 0.5 * evaluated);
        } else {
            assert_eq!((start, counts.hessians), (0.0, evaluated));
        }
        let trace = watch.trace.borrow();
        assert_eq!(trace.len() as u64, report.iterations + 1);
        assert_eq!(trace.last().unwrap().grad_norm, fit.gradient_norm);
    }
}

#[test]
fn fit_ends_at_the_time_limit() {
    let data = drawn(500, 5, 5);
    let model = LogisticRegression::new(&data).l2(1e-3);
    let watch = Watch::start(0.0, 1e-8);
    let end = ours::solve(&spec(Solver::Fit), &model, &watch);
    assert_eq!(end.status, "time limit");
    assert_eq!(watch.trace.borrow().len(), 1);
}

#[test]
fn a_watched_run_ends_at_the_first_small_gradient() {
    let watch = Watch::start(1e9, 1e-3);
    assert_eq!(watch.gradient(&[1.0], &[0.5], || 2.0), Ok(()));
    assert_eq!(watch.gradient(&[2.0], &[1.0], || 3.0), Ok(()));
    assert_eq!(watch.best(), Some(vec![1.0]));
    assert_eq!(watch.gradient(&[3.0], &[1e-3], || 1.0), Err(Stop::Reached));
    assert_eq!(watch.gradient(&[4.0], &[1e-9], || 1.0), Err(Stop::Reached));
    assert_eq!(watch.trace.borrow().len(), 4);
    let late = Watch::start(0.0, 1e-3);
    assert_eq!(
        late.gradient(&[1.0], &[f64::NAN], || 2.0),
        Err(Stop::TimeLimit)
    );
    assert_eq!(late.best(), None);
    assert_eq!(late.check_time(), Err(Stop::TimeLimit));
}
