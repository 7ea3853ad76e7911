//! One run in a process of its own.
//!
//! The child prints one JSON object, the [`Flat`] row, and writes the trace. A solver that hangs
//! in a step of its own is ended from a second thread, once its CPU time is half more than the
//! limit, or ten times the limit has passed on the wall clock.

use crate::arguments::read;
use crate::cpu::cpu_seconds;
use crate::results::{Flat, Row, Spec, replace, trace_name};
use crate::solvers::Solver;
use crate::watch::Watch;
use crate::{ours, peers, verify};
use raphson::Dataset;
use raphson::models::LogisticRegression;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What the parent tells the child.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    spec: Spec,
    traces: PathBuf,
}

/// How a solver ended.
pub struct End {
    pub x: Option<Vec<f64>>,
    pub status: String,
}

/// Makes the run in a child; a child that dies makes a row too.
pub fn run(spec: Spec, traces: &Path) -> Row {
    let job = Job {
        spec: spec.clone(),
        traces: traces.to_path_buf(),
    };
    match child(&job) {
        Ok(row) => row,
        Err(reason) => Row::of(spec, reason),
    }
}

fn child(job: &Job) -> Result<Row, String> {
    let exe = std::env::current_exe().map_err(|e| format!("failed: {e}"))?;
    let text = serde_json::to_string(job).map_err(|e| format!("failed: {e}"))?;
    let output = Command::new(exe)
        .arg("--worker")
        .arg(text)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("failed: {e}"))?;
    let flat: Option<Flat> = serde_json::from_slice(&output.stdout).ok();
    flat.map(Row::from).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("");
        let said: String = said.chars().take(80).collect();
        format!("crashed: {} {said}", output.status).trim().into()
    })
}

/// The child.
pub fn main(text: &str) -> ExitCode {
    let outcome = serde_json::from_str::<Job>(text).map_err(|e| format!("--worker: {e}"));
    match outcome.and_then(|job| work(&job)) {
        Ok(row) => {
            print(&row);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn print(row: &Row) {
    match serde_json::to_string(&row.flat()) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("{error}"),
    }
}

/// When the run under way began, and the CPU seconds then.
static BEGAN: Mutex<Option<(Instant, f64)>> = Mutex::new(None);

fn begin(at: Option<(Instant, f64)>) {
    if let Ok(mut began) = BEGAN.lock() {
        *began = at;
    }
}

fn guard(spec: Spec) {
    let limit = spec.time_limit;
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let began = BEGAN.lock().map_or(None, |began| *began);
            let is_late = |(wall, cpu): (Instant, f64)| {
                cpu_seconds() - cpu > 1.5 * limit || wall.elapsed().as_secs_f64() > 10.0 * limit
            };
            if began.is_some_and(is_late) {
                print(&Row::of(spec, "time limit, inside a step".into()));
                std::process::exit(0);
            }
        }
    });
}

fn work(job: &Job) -> Result<Row, String> {
    let spec = &job.spec;
    #[cfg(feature = "rayon")]
    rayon::ThreadPoolBuilder::new()
        .num_threads(spec.threads)
        .build_global()
        .map_err(|e| e.to_string())?;
    let data = read(Path::new(&spec.path), spec.standardize)?;
    let origin = vec![0.0; data.n_features()];
    let scale = verify::evaluate(&data, spec.mu, &origin).1.max(1.0);
    guard(spec.clone());
    let mut runs = Vec::new();
    for _ in 0..spec.repeat {
        let run = placed(spec, || once(spec, &data, spec.tol * scale));
        let again = run.row.reached;
        runs.push(run);
        if !again {
            break;
        }
    }
    // All have the same bits, but not the same time.
    runs.sort_by(|a, b| a.seconds().total_cmp(&b.seconds()));
    let (least, most) = (runs[0].row.seconds, runs[runs.len() - 1].row.seconds);
    let Once { mut row, trace } = runs.swap_remove(runs.len() / 2);
    (row.least_seconds, row.most_seconds) = (least, most);
    row.trace = trace_name(spec);
    replace(&job.traces.join(&row.trace), trace.as_bytes())?;
    Ok(row)
}

/// `fit` runs on a thread of the pool, if that has several.
fn placed<T: Send>(spec: &Spec, run: impl FnOnce() -> T + Send) -> T {
    if spec.solver == Solver::Fit && spec.threads > 1 {
        return rayon::scope(|_| run());
    }
    run()
}

struct Once {
    row: Row,
    trace: String,
}

impl Once {
    fn seconds(&self) -> f64 {
        self.row.seconds.unwrap_or(f64::INFINITY)
    }
}

fn once(spec: &Spec, data: &Dataset, target: f64) -> Once {
    begin(Some((Instant::now(), cpu_seconds())));
    let watch = std::rc::Rc::new(Watch::start(spec.time_limit, target));
    let model = LogisticRegression::new(data).l2(spec.mu);
    let end = if spec.solver.is_ours() {
        ours::solve(spec, &model, &watch)
    } else {
        peers::solve(spec, &model, &watch)
    };
    let (seconds, wall) = (watch.seconds(), watch.wall_seconds());
    begin(None);
    let mut row = Row::of(spec.clone(), end.status);
    row.target = Some(target);
    row.seconds = Some(seconds);
    row.wall_seconds = Some(wall);
    row.iterations = watch.iteration.get();
    row.counts = watch.counts.get();
    if let Some(x) = end.x {
        let (f, slope) = verify::evaluate(data, spec.mu, &x);
        // Two summations of g differ by rounding, some units in the last place of its terms.
        let rounding = 64.0 * f64::EPSILON * target / spec.tol;
        row.reached = slope <= target + rounding;
        row.f = f.is_finite().then_some(f);
        row.grad_norm = slope.is_finite().then_some(slope);
    }
    if !row.reached && row.status == "converged" {
        row.status = "claimed convergence, not verified".into();
    }
    let mut lines = String::from("iteration,calls,seconds,f,grad_norm\n");
    for p in watch.trace.borrow().iter() {
        lines += &format!(
            "{},{},{:?},{:?},{:?}\n",
            p.iteration, p.calls, p.seconds, p.f, p.grad_norm
        );
    }
    Once { row, trace: lines }
}
