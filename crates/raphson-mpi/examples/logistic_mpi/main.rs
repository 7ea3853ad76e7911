//! Logistic regression on data spread over MPI ranks.
//!
//! ```text
//! mpirun -n 4 target/release/examples/logistic_mpi a9a --mu 1e-4 --json -
//! ```
//!
//! The file is LIBSVM text, of which every rank reads a part, or a row cache, which every rank
//! streams its blocks of. Rank 0 alone prints and writes. Exit status, of all ranks: 0 converged, 2
//! bad input, 3 stopped without converging.

#[path = "../../../../examples/common/arguments.rs"]
mod arguments;
#[path = "../../../../examples/common/report.rs"]
mod report;
mod run;
mod timed;

use arguments::Arguments;
use clap::Parser;
use raphson::distributed::{Communicator, Distributed, Shard};
use raphson::libsvm::Reader;
use raphson::stream::{StreamedModel, StreamedRows};
use raphson::{Error, LogisticRegression};
use raphson_mpi::World;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use timed::Timed;

/// Fits a binary logistic regression over MPI ranks: mean loss plus mu/2 |w|^2.
///
/// The larger label is the positive class. Ranks use one thread each unless --threads says more.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Command {
    #[command(flatten)]
    arguments: Arguments,
    /// Part files instead of one file, dealt out to the ranks in their order
    #[arg(long, num_args = 1..)]
    parts: Vec<PathBuf>,
    /// Use products with the Hessian instead of the matrix
    #[arg(long)]
    matrix_free: bool,
    /// Save the run to this file, and resume from it if it exists
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Iterations between two checkpoints
    #[arg(long, default_value_t = 1)]
    checkpoint_every: u64,
    /// Wait so many milliseconds after each iteration, to watch a run
    #[arg(long, default_value_t = 0)]
    pause: u64,
}

fn main() -> ExitCode {
    let mut command = Command::parse();
    command.arguments.title = "Logistic regression on ranks";
    let world = match World::initialize() {
        Ok(world) => world,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    match example(&mut command, &world) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            // Every rank has this error, of whichever rank it is.
            if world.rank() == 0 {
                eprintln!("error: {error}");
            }
            ExitCode::from(2)
        }
    }
}

fn example(command: &mut Command, world: &World) -> Result<bool, Error> {
    let arguments = &mut command.arguments;
    arguments.threads.get_or_insert(1);
    arguments.start_threads()?;
    if arguments.standardize {
        return Err(Error::InvalidParameter {
            name: "--standardize",
            value: "given".into(),
            requirement: "done before the data is spread over ranks",
        });
    }
    if arguments.repeat != 1 {
        return Err(Error::InvalidParameter {
            name: "--repeat",
            value: arguments.repeat.to_string(),
            requirement: "1: the ranks solve once",
        });
    }
    let carried = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data");
    let paths = match &arguments.file {
        _ if !command.parts.is_empty() => command.parts.clone(),
        Some(file) => vec![file.clone()],
        None => vec![carried.join("breast-cancer.libsvm")],
    };
    let name = match &paths[..] {
        [one] => one.display().to_string(),
        [first, ..] => format!("{} and {} more", first.display(), paths.len() - 1),
        [] => String::new(),
    };
    let clock = Instant::now();
    if let [one] = &paths[..]
        && StreamedRows::is_cache(one)
    {
        let rows = StreamedRows::open(one)?;
        let size = report::Size {
            n: rows.n_rows(),
            d: rows.n_features(),
            nnz: rows.nnz(),
        };
        let mu = command.arguments.penalty(size.n)?;
        let shard = rows.part(world.rank(), world.size()).map(|rows| {
            let model = StreamedModel::logistic(rows).l2(mu);
            Timed::new(model.intercept(command.arguments.intercept))
        });
        return finish(
            command,
            Distributed::new(shard, world.clone())?,
            &name,
            size,
            mu,
            clock,
        );
    }
    let part = Reader::new().read_shard(&paths, world)?;
    let size = report::Size {
        n: part.rows,
        d: part.features,
        nnz: part.nnz,
    };
    let mu = command.arguments.penalty(size.n)?;
    let classes = part.classes.unwrap_or_default();
    let shard = part.data.map(|data| {
        let model = LogisticRegression::with_classes(&data, &classes).l2(mu);
        Timed::new(model.intercept(command.arguments.intercept))
    });
    finish(
        command,
        Distributed::new(shard, world.clone())?,
        &name,
        size,
        mu,
        clock,
    )
}

/// Runs the solver, and reports from rank 0.
fn finish<O: Shard + 'static>(
    command: &Command,
    problem: Distributed<Timed<O>, World>,
    name: &str,
    size: report::Size,
    mu: f64,
    clock: Instant,
) -> Result<bool, Error> {
    let arguments = &command.arguments;
    let load_seconds = clock.elapsed().as_secs_f64();
    let before = problem.traffic();
    let evaluated = || problem.shard().map_or(0.0, Timed::seconds);
    let evaluated_before = evaluated();
    let clock = Instant::now();
    let run = run::solve(command, &problem, mu)?;
    let seconds = [load_seconds, clock.elapsed().as_secs_f64()];
    let traffic = problem.traffic();
    let world = problem.communicator();
    let mut evaluation = vec![0.0; world.size()];
    world.all_gather(&[evaluated() - evaluated_before], &mut evaluation)?;
    let end = report::End {
        status: run.status,
        f: run.f,
        gradient_norm: run.gradient_norm,
        report: &run.report,
    };
    let converged = run.status.is_converged();
    if !problem.is_first() {
        return Ok(converged);
    }
    let threads = arguments.threads.unwrap_or(1);
    let mut result = report::json(
        arguments,
        name,
        size,
        mu,
        &end,
        seconds.map(|s| [s, f64::NAN]),
        threads,
    );
    result["ranks"] = problem.communicator().size().into();
    result["exchanges"] = (traffic.exchanges - before.exchanges).into();
    result["bytes_communicated"] = (traffic.bytes - before.bytes).into();
    // Processor time, which other programs do not change, of the rank with the most.
    result["evaluation_seconds"] = evaluation.into_iter().fold(0.0, f64::max).into();
    result["communication_seconds"] = (traffic.seconds - before.seconds).into();
    if arguments.json.as_deref() != Some(Path::new("-")) {
        report::table(&result, run.status);
        for key in [
            "ranks",
            "exchanges",
            "bytes_communicated",
            "communication_seconds",
            "evaluation_seconds",
        ] {
            println!("{key:>21}  {}", result[key]);
        }
    }
    if let Some(path) = &arguments.solution {
        let lines: String = run.x.iter().map(|w| format!("{w:?}\n")).collect();
        report::write(path, &lines)?;
    }
    if let Some(path) = &arguments.json {
        report::write(path, &format!("{result}\n"))?;
    }
    Ok(converged)
}
