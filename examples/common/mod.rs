//! What the examples on LIBSVM files share: arguments, the run of a solver, and its report.
//!
//! Exit status: 0 converged, 2 bad input, 3 stopped without converging.

mod arguments;
mod cpu;
mod report;
mod run;

pub use arguments::{Arguments, System};
pub use run::solve;

use cpu::cpu_seconds;
use raphson::{Dataset, Error, Run, libsvm};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// How a fit ended.
pub type Fit = Result<Fitted, Error>;

pub struct Fitted {
    pub run: Run<Vec<f64>>,
    /// Of samples: gradients for the start, and Hessians, in evaluations on all rows.
    pub costs: Option<[f64; 2]>,
}

impl From<Run<Vec<f64>>> for Fitted {
    fn from(run: Run<Vec<f64>>) -> Self {
        let costs = None;
        Fitted { run, costs }
    }
}

/// What distinguishes one example from another.
pub struct Task {
    /// The data of the project for a run without arguments: file name and name to report.
    pub carried: (&'static str, &'static str),
    /// Title of plots.
    pub title: &'static str,
    /// Fits the model with the given penalty.
    pub fit: fn(&Arguments, &Dataset, f64) -> Fit,
}

/// Runs the example.
pub fn main(task: &Task, mut arguments: Arguments) -> ExitCode {
    arguments.title = task.title;
    if arguments.file.is_none() {
        arguments.standardize = true;
        arguments.intercept |= arguments.gap.is_none();
        arguments.plot.get_or_insert("convergence.svg".into());
    }
    match example(task, &arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn example(task: &Task, arguments: &Arguments) -> Result<bool, Error> {
    let threads = arguments.start_threads()?;
    let (clock, cpu) = (Instant::now(), cpu_seconds());
    let (file, name) = task.carried;
    let carried = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/data")
        .join(file);
    let path = arguments.file.as_deref().unwrap_or(&carried);
    let data = libsvm::read(path)?;
    let data = if arguments.standardize {
        data.standardized().0
    } else {
        data
    };
    let load_seconds = [clock.elapsed().as_secs_f64(), cpu_seconds() - cpu];

    let mu = arguments.penalty(data.n_rows())?;
    let mut solve_seconds = [Vec::new(), Vec::new()];
    let mut last = None;
    for _ in 0..arguments.repeat {
        let (clock, cpu) = (Instant::now(), cpu_seconds());
        last = Some((task.fit)(arguments, &data, mu)?);
        solve_seconds[0].push(clock.elapsed().as_secs_f64());
        solve_seconds[1].push(cpu_seconds() - cpu);
    }
    let solve_seconds = solve_seconds.map(median);
    let Some(Fitted { run, costs }) = last else {
        return Err(arguments::refused("--repeat", "0", "at least 1"));
    };

    let name = match &arguments.file {
        Some(path) => path.display().to_string(),
        None => format!("{name} (carried)"),
    };
    let seconds = [load_seconds, solve_seconds];
    let size = report::Size {
        n: data.n_rows(),
        d: data.n_features(),
        nnz: data.nnz(),
    };
    let end = report::End {
        status: run.status,
        f: run.f,
        gradient_norm: run.gradient_norm,
        report: &run.report,
    };
    let mut result = report::json(arguments, &name, size, mu, &end, seconds, threads);
    if let Some([start, hessians]) = costs {
        result["start_cost"] = start.into();
        result["hessian_cost"] = hessians.into();
    }
    if arguments.json.as_deref() != Some(Path::new("-")) {
        report::table(&result, run.status);
    }
    if let Some(path) = &arguments.solution {
        let lines: String = run.x.iter().map(|w| format!("{w:?}\n")).collect();
        report::write(path, &lines)?;
    }
    if let Some(path) = &arguments.json {
        report::write(path, &format!("{result}\n"))?;
    }
    Ok(run.converged())
}
