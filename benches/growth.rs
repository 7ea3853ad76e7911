//! How the cost of logistic regression grows with the rows n and with the features d.
//!
//! A run begins at zero, ends at a gradient norm of 10⁻⁸, which is checked by evaluating the
//! gradient once more, and is timed in CPU seconds of one thread; all sizes take turns, and the
//! medians count. Three studies:
//!
//! 1. The set a9a, or a generated one of that kind, in 1, 2, 4 and 8 copies. Copies of equal rows
//!    are merged into weights when the model is built. With one value of each row changed by less
//!    than 10⁻⁶ of itself all rows are distinct. The penalty is that of one copy, so that all
//!    sizes have the same minimizer, but for that change.
//! 2. Generated dense rows, n = 10,000, d = 100 to 2,000.
//! 3. On the same rows the parts of one Newton iteration: gradient, Gram matrix, factorization.
//!
//! An exponent p is that of seconds ≈ c sizeᵖ, by least squares on the logarithms. Beside it stand
//! the exponent between the last two sizes, the law for large sizes, and the exponent that is
//! fitted to the floating-point operations that its evaluations should take,
//!
//! ```text
//! 4 nnz (gradients) + Σ(row length)² (Hessians) + d³/3 (factorizations)
//! ```
//!
//! where a Hessian of a part of the rows counts as this part. The iterations of a run change with
//! the data; the law is of one iteration, and the plot shows that.
//!
//! `cargo bench --all-features --bench growth -- [--plot growth.svg]`: tables in Markdown on the
//! standard output, and a log-log plot. a9a is read from the folder `libsvm` of `RAPHSON_DATA`.

use argmin::core::{Gradient, Hessian};
use cpu::cpu_seconds;
use figure::Scale;
use lines::{Line, plot, print};
use raphson::edge::{Stored, SymMat, SymView};
use raphson::linear::{DenseCholesky, Factor};
use raphson::models::LogisticRegression;
use raphson::{DampedNewton, Run, libsvm};
use sets::{Case, categories, copies, dense};
use std::error::Error;

#[path = "../examples/common/cpu.rs"]
mod cpu;
// The suite also draws shares, which no panel here has.
#[allow(dead_code)]
#[path = "../examples/suite/figure.rs"]
mod figure;
#[path = "growth/lines.rs"]
mod lines;
#[path = "growth/sets.rs"]
mod sets;

type Checked<T> = Result<T, Box<dyn Error>>;

const TOL: f64 = 1e-8;
const TURNS: usize = 9;
const COPIES: [usize; 4] = [1, 2, 4, 8];
const ROWS: usize = 10_000;
const FEATURES: [usize; 5] = [100, 200, 500, 1000, 2000];
/// A short part is repeated for so many seconds.
const SHORTEST: f64 = 0.02;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Solver {
    DampedNewton,
    Fit,
}

impl Solver {
    const ALL: [Solver; 2] = [Solver::DampedNewton, Solver::Fit];

    fn name(self) -> &'static str {
        match self {
            Solver::DampedNewton => "DampedNewton",
            Solver::Fit => "fit",
        }
    }

    fn run(self, model: &LogisticRegression) -> Checked<Run<Vec<f64>>> {
        Ok(match self {
            Solver::DampedNewton => newton().minimize(model, model.origin())?,
            Solver::Fit => model.fit_to(0.0, TOL)?,
        })
    }

    /// Hessians of a run, in Hessians of all rows.
    fn hessians(self, model: &LogisticRegression, run: &Run<Vec<f64>>) -> Checked<f64> {
        if self == Solver::DampedNewton {
            return Ok(run.report.hessians as f64);
        }
        // What `fit_to` does, on a sampled model that can be asked.
        let sampled = model.sampled();
        let solver = model.solver().gradient_tol(0.0).gradient_tol_abs(TOL);
        let again = solver.minimize(&sampled, sampled.start()?)?;
        if again.x != run.x {
            return Err("fit_to is not the run whose Hessians were counted".into());
        }
        Ok(sampled.hessian_cost())
    }
}

fn newton() -> DampedNewton {
    DampedNewton::new().gradient_tol(0.0).gradient_tol_abs(TOL)
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

/// Medians over the turns of what `measure` says of each case, the cases taking turns.
fn medians<const N: usize>(
    cases: &[Case],
    measure: impl Fn(&Case) -> Checked<[f64; N]>,
) -> Checked<[Vec<f64>; N]> {
    let mut seen = vec![[(); N].map(|()| Vec::new()); cases.len()];
    for _ in 0..TURNS {
        for (case, seen) in cases.iter().zip(&mut seen) {
            for (seen, seconds) in seen.iter_mut().zip(measure(case)?) {
                seen.push(seconds);
            }
        }
    }
    let of = |k: usize| seen.iter().map(|seen| median(seen[k].clone())).collect();
    Ok(std::array::from_fn(of))
}

/// Seconds of each solver, an iteration and a whole run, and of building the model.
fn solvers(cases: &[Case], kind: &str, laws: [Option<f64>; 3]) -> Checked<Vec<Line>> {
    let timed = |case: &Case| {
        let mut seconds = [0.0; 3];
        for (solver, seconds) in Solver::ALL.into_iter().zip(&mut seconds) {
            let model = case.model();
            let start = cpu_seconds();
            let run = solver.run(&model)?;
            *seconds = cpu_seconds() - start;
            case.verify(&run.x)?;
        }
        let start = cpu_seconds();
        std::hint::black_box(case.model());
        seconds[2] = cpu_seconds() - start;
        Ok(seconds)
    };
    let [newton, fit, build] = medians(cases, timed)?;
    let mut lines = Vec::new();
    for (k, (solver, seconds)) in Solver::ALL.into_iter().zip([newton, fit]).enumerate() {
        let (mut operations, mut iterations) = (Vec::new(), Vec::new());
        let mut texts = Vec::new();
        for case in cases {
            let model = case.model();
            let run = solver.run(&model)?;
            let (hessians, report) = (solver.hessians(&model, &run)?, &run.report);
            let counts = [
                report.gradients as f64,
                hessians,
                report.factorizations as f64,
            ];
            operations.push(case.work().iter().zip(counts).map(|(w, c)| w * c).sum());
            iterations.push(report.iterations as f64);
            texts.push(format!(
                "{}, {}, {hessians:.2}",
                report.iterations, report.gradients
            ));
        }
        let each = |run: &[f64]| run.iter().zip(&iterations).map(|(r, i)| r / i).collect();
        lines.push(Line {
            name: format!("{}{kind}", solver.name()),
            seconds: each(&seconds),
            law: laws[k],
            operations: each(&operations),
            counts: None,
        });
        lines.push(Line {
            name: format!("{}{kind}, whole run", solver.name()),
            seconds,
            law: None,
            operations,
            counts: Some(texts),
        });
    }
    lines.push(Line {
        name: format!("building the model{kind}"),
        seconds: build,
        law: laws[2],
        operations: cases.iter().map(|case| case.data.nnz() as f64).collect(),
        counts: None,
    });
    Ok(lines)
}

/// Mean seconds of one call.
fn per_call(mut call: impl FnMut() -> Checked<()>) -> Checked<f64> {
    let start = cpu_seconds();
    for calls in 1.. {
        call()?;
        let seconds = cpu_seconds() - start;
        if seconds >= SHORTEST {
            return Ok(seconds / f64::from(calls));
        }
    }
    unreachable!()
}

/// Seconds of gradient, Gram matrix and factorization.
fn parts(cases: &[Case]) -> Checked<Vec<Line>> {
    let timed = |case: &Case| {
        let model = case.model();
        let mut x = vec![0.01; model.dimension()];
        model.gradient(&x)?;
        // Each at a new point: margins are kept.
        let gradient = per_call(|| {
            x.iter_mut().for_each(|x| *x *= 1.01);
            model.gradient(&x)?;
            Ok(())
        })?;
        let hessian = Hessian::hessian(&model, &x)?;
        let SymView::Gram(view) = hessian.sym() else {
            return Err("not a Gram matrix".into());
        };
        let dense = view.to_dense();
        let mut factor = DenseCholesky::new();
        let mut factored = |view: SymView<'_>| Ok(factor.factor(view, 0.0)?);
        factored(SymView::Dense(dense.as_ref(), Stored::Lower))?;
        let both = per_call(|| factored(hessian.sym()))?;
        let alone = per_call(|| factored(SymView::Dense(dense.as_ref(), Stored::Lower)))?;
        Ok([gradient, both - alone, alone])
    };
    let names = ["gradient", "Gram matrix", "factorization"];
    let seconds = medians(cases, timed)?;
    let lines = names.into_iter().zip(seconds).enumerate();
    Ok(lines
        .map(|(k, (name, seconds))| Line {
            name: name.into(),
            seconds,
            law: Some([1.0, 2.0, 3.0][k]),
            operations: cases.iter().map(|case| case.work()[k]).collect(),
            counts: None,
        })
        .collect())
}

fn main() -> Checked<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global()?;
    let mut path = String::from("growth.svg");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Given by cargo.
            "--bench" => {}
            "--plot" => path = arguments.next().ok_or("--plot needs a path")?,
            other => return Err(format!("{other}: the only argument is --plot PATH").into()),
        }
    }
    let (name, data) = match std::env::var("RAPHSON_DATA") {
        Ok(folder) => ("a9a", libsvm::read(format!("{folder}/libsvm/a9a.gz"))?),
        Err(_) => {
            eprintln!("skipped: a9a, RAPHSON_DATA is not set; a generated set takes its place");
            ("generated categories", categories(30_000)?)
        }
    };
    let many = |distinct| -> Checked<Vec<Case>> {
        let cases = COPIES.iter().map(|&k| copies(&data, k, distinct));
        cases.collect()
    };
    let linear = [Some(1.0); 3];
    let mut rows = solvers(&many(true)?, ", distinct rows", linear)?;
    let merged = [Some(0.0), Some(0.0), Some(1.0)];
    let mut equal = solvers(&many(false)?, ", equal rows", merged)?;
    for line in &mut equal[..4] {
        // Of the merged rows, whose number does not grow.
        line.operations.iter_mut().for_each(|o| *o = 1.0);
    }
    rows.append(&mut equal);
    let sizes = COPIES.map(|k| k as f64).to_vec();
    let rows_label = format!("copies of {name}");
    print(&rows_label, &sizes, &rows);

    let case = |&d: &usize| {
        Ok(Case {
            data: dense(ROWS, d)?,
            penalty: 1.0 / ROWS as f64,
        })
    };
    let cases: Vec<Case> = FEATURES.iter().map(case).collect::<Checked<_>>()?;
    let features = FEATURES.map(|d| d as f64).to_vec();
    let wide = solvers(&cases, "", [Some(2.0), None, Some(1.0)])?;
    let columns_label = format!("d, dense, n = {ROWS}");
    print(&columns_label, &features, &wide);
    let parts = parts(&cases)?;
    let parts_label = "d, parts of one iteration";
    print(parts_label, &features, &parts);

    let drawn = plot(&[
        (&rows_label, Scale::Binary, sizes, &rows),
        (&columns_label, Scale::Decimal, features.clone(), &wide),
        (parts_label, Scale::Decimal, features, &parts),
    ])?;
    std::fs::write(&path, drawn).map_err(|error| format!("{path}: {error}"))?;
    Ok(())
}
