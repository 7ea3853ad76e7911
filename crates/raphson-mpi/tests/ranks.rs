//! The example `logistic_mpi` under Open MPI's `mpirun`, against one process.

use raphson::stochastic::{Purpose, Stream};
use raphson::{DampedNewton, Dataset, LogisticRegression, libsvm};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ranks-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `mpirun` of the example on so many ranks.
fn mpirun(ranks: usize, arguments: &[&str]) -> Command {
    // target/<profile>/deps/ranks-<hash>
    let mut example = std::env::current_exe().unwrap();
    example.pop();
    example.pop();
    example.push("examples/logistic_mpi");
    assert!(
        example.exists(),
        "build it first: cargo build -p raphson-mpi --examples"
    );
    let mut command = Command::new("mpirun");
    command
        .args([
            "--allow-run-as-root",
            "--oversubscribe",
            "-n",
            &ranks.to_string(),
        ])
        .arg(example)
        .args(arguments)
        // Containers often forbid that one process reads another one's memory.
        .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(ranks: usize, arguments: &[&str]) -> Output {
    mpirun(ranks, arguments)
        .output()
        .expect("mpirun of Open MPI")
}

/// The JSON object of a run that must converge, and its solution.
fn solve(folder: &Folder, ranks: usize, arguments: &[&str]) -> (Value, Vec<f64>) {
    let solution = folder.path("solution");
    let rest = ["--json", "-", "--solution", &solution];
    let output = run(ranks, &[arguments, &rest].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{ranks} ranks: {text}");
    let result = serde_json::from_slice(&output.stdout).unwrap();
    let lines = std::fs::read_to_string(solution).unwrap();
    (
        result,
        lines.lines().map(|line| line.parse().unwrap()).collect(),
    )
}

/// 3000 rows of 30 columns, half of them empty, and noisy labels.
fn generated() -> Dataset {
    let mut stream = Stream::new(8, Purpose::Escape);
    let truth: Vec<f64> = (0..30).map(|_| stream.normal()).collect();
    let mut labels = Vec::new();
    let rows: Vec<Vec<f64>> = (0..3000)
        .map(|_| {
            let row: Vec<f64> = (0..30)
                .map(|_| {
                    if stream.uniform() < 0.5 {
                        0.0
                    } else {
                        stream.normal()
                    }
                })
                .collect();
            let margin: f64 = row.iter().zip(&truth).map(|(a, w)| a * w).sum();
            labels.push(if margin + 2.0 * stream.normal() > 0.0 {
                1.0
            } else {
                -1.0
            });
            row
        })
        .collect();
    Dataset::from_rows(&rows, &labels).unwrap()
}

fn close(what: &str, a: &[f64], b: &[f64]) {
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let relative = norm(&difference) / norm(b);
    eprintln!("{what}: relative difference {relative:.1e}");
    assert_eq!(a.len(), b.len(), "{what}");
    assert!(
        relative <= 1e-12,
        "{what}: relative difference {relative:e}"
    );
}

/// Runs on 1 to 4 ranks end where one process ends, after as many iterations.
fn compare(name: &str, data: &Dataset, matrix_free: bool) {
    let folder = Folder::new(name);
    let text = folder.path("rows");
    libsvm::write(&text, data).unwrap();
    let model = LogisticRegression::new(data).l2(1.0 / data.n_rows() as f64);
    macro_rules! whole {
        ($solver:expr) => {{
            let solver = $solver.gradient_tol(1e-10).gradient_tol_abs(1e-10);
            let run = solver.minimize(&model, model.origin()).unwrap();
            assert!(run.converged(), "{name}: {}", run.status);
            (run.f, run.x, run.report.iterations)
        }};
    }
    let (f, x, iterations) = if matrix_free {
        whole!(DampedNewton::matrix_free())
    } else {
        whole!(DampedNewton::new())
    };
    let mut arguments = vec![&text[..], "--tol", "1e-10"];
    if matrix_free {
        arguments.push("--matrix-free");
    }
    let mut three = None;
    for ranks in [1, 2, 3, 4] {
        let (result, solution) = solve(&folder, ranks, &arguments);
        let what = format!("{name}, {ranks} ranks");
        assert_eq!(result["ranks"], ranks);
        assert_eq!(result["n"], data.n_rows());
        assert_eq!(result["nnz"], data.nnz());
        assert_eq!(result["iterations"], iterations, "{what}");
        close(&what, &[result["f"].as_f64().unwrap()], &[f]);
        close(&what, &solution, &x);
        if ranks == 3 {
            three = Some(solution);
        }
    }
    let again = solve(&folder, 3, &arguments).1;
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(
        three.map(|x| bits(&x)),
        Some(bits(&again)),
        "{name}: two runs on 3 ranks"
    );
}

#[test]
fn generated_rows_as_in_one_process() {
    compare("generated", &generated(), false);
    compare("generated-products", &generated(), true);
}

fn real(name: &str, matrix_free: bool) {
    match std::env::var_os("RAPHSON_DATA") {
        None => eprintln!("skipped: RAPHSON_DATA is not set"),
        Some(folder) => {
            let path = Path::new(&folder).join("libsvm").join(format!("{name}.gz"));
            compare(name, &libsvm::read(path).unwrap(), matrix_free);
        }
    }
}

#[test]
fn a9a_as_in_one_process() {
    real("a9a", false);
}

#[test]
fn w8a_as_in_one_process() {
    real("w8a", false);
}

#[test]
fn news20_as_in_one_process() {
    real("news20.split10", true);
}

#[test]
fn bytes_are_those_of_the_formula() {
    let folder = Folder::new("bytes");
    let text = folder.path("rows");
    libsvm::write(&text, &generated()).unwrap();
    let d = 30;
    for ranks in [1, 2, 4] {
        let result = solve(&folder, ranks, &[&text, "--tol", "1e-10"]).0;
        let count = |key: &str| result[key].as_u64().unwrap();
        let (gradients, hessians) = (count("gradients"), count("hessians"));
        assert_eq!(count("values"), gradients);
        // A gradient with its value, a triangle, each with the number of failures; a checksum of
        // two words at every tenth gradient.
        let words = (d + 2) * gradients + (d * (d + 1) / 2 + 1) * hessians + 2 * (gradients / 10);
        assert_eq!(count("bytes_communicated"), 8 * (ranks as u64 - 1) * words);
        let exchanges = gradients + hessians + gradients / 10;
        assert_eq!(count("exchanges"), if ranks == 1 { 0 } else { exchanges });
    }
}

#[test]
fn a_bad_line_ends_all_ranks() {
    let folder = Folder::new("bad");
    let text = folder.path("rows");
    let mut lines: Vec<String> = (0..200)
        .map(|i| format!("{} {}:1\n", i % 2, 1 + i % 9))
        .collect();
    lines[149] = "1 3:x\n".into();
    std::fs::write(&text, lines.concat()).unwrap();
    let output = run(4, &[&text]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = format!("error: rank 2: {text}:150: value \"x\" of index 3");
    assert!(message.contains(&expected), "{message}");
}

/// The process of a rank among those that carry the mark in their environment.
fn process(mark: &str, rank: usize) -> Option<u32> {
    let rank = format!("OMPI_COMM_WORLD_RANK={rank}");
    std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .find_map(|entry| {
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            let mut variables = environment.split(|byte| *byte == 0);
            let has = |text: &str| variables.clone().any(|v| v == text.as_bytes());
            let ours = has(&rank) && has(&format!("RAPHSON_MARK={mark}"));
            variables.next()?;
            ours.then(|| entry.file_name().to_str()?.parse().ok())?
        })
}

/// Waits for the end of a process, at most so long.
fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let clock = Instant::now();
    while clock.elapsed() < limit {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

#[test]
fn a_killed_rank_ends_the_job_and_the_run_resumes_on_two() {
    let folder = Folder::new("killed");
    let (text, checkpoint) = (folder.path("rows"), folder.path("checkpoint"));
    libsvm::write(&text, &generated()).unwrap();
    // Short steps, so that there is a middle.
    let arguments = [
        &text[..],
        "--tol",
        "1e-10",
        "--solver",
        "lazy-regularized",
        "--refresh",
        "3",
    ];
    let (whole, _) = solve(&folder, 4, &arguments);
    let iterations = whole["iterations"].as_u64().unwrap();
    assert!(iterations >= 6, "{iterations} iterations");

    let saving = ["--checkpoint", &checkpoint, "--pause", "300"];
    let mark = format!("killed-{}", std::process::id());
    let mut job = mpirun(4, &[&arguments[..], &saving].concat())
        .env("RAPHSON_MARK", &mark)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Three checkpoints, each at its own time.
    let mut times = Vec::new();
    let clock = Instant::now();
    while times.len() < 3 {
        assert!(clock.elapsed() < Duration::from_secs(120), "no checkpoints");
        assert!(job.try_wait().unwrap().is_none(), "the run ended too early");
        if let Ok(time) = std::fs::metadata(&checkpoint).and_then(|m| m.modified())
            && times.last() != Some(&time)
        {
            times.push(time);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let victim = process(&mark, 2).expect("the process of rank 2");
    let clock = Instant::now();
    let killed = Command::new("kill")
        .args(["-9", &victim.to_string()])
        .status();
    assert!(killed.unwrap().success());
    let status = wait(&mut job, Duration::from_secs(30)).expect("the job still runs");
    eprintln!(
        "the job ended {:.2} s after the kill: {status}",
        clock.elapsed().as_secs_f64()
    );
    assert!(!status.success());

    let resuming = ["--checkpoint", &checkpoint];
    let (resumed, _) = solve(&folder, 2, &[&arguments[..], &resuming].concat());
    close(
        "f after resuming",
        &[resumed["f"].as_f64().unwrap()],
        &[whole["f"].as_f64().unwrap()],
    );
    // Iterations are those of the whole run; the second part made only what was missing.
    assert_eq!(resumed["iterations"], iterations);
    assert_eq!(resumed["ranks"], 2);
}

#[test]
fn a_damaged_checkpoint_is_refused_by_all_ranks() {
    let folder = Folder::new("damaged");
    let (text, checkpoint) = (folder.path("rows"), folder.path("checkpoint"));
    libsvm::write(&text, &generated()).unwrap();
    std::fs::write(&checkpoint, b"RAPHCKP1 but nothing else that fits").unwrap();
    let output = run(3, &[&text, "--checkpoint", &checkpoint]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains("rank 0: ") && message.contains("not a whole checkpoint"),
        "{message}"
    );
}

#[test]
fn part_files_and_caches_give_the_same() {
    let folder = Folder::new("forms");
    let data = generated();
    let text = folder.path("rows");
    libsvm::write(&text, &data).unwrap();
    let (expected, x) = solve(&folder, 1, &[&text, "--tol", "1e-10"]);
    let cuts = [0..700, 700..1500, 1500..3000];
    let parts: Vec<String> = (0..3)
        .map(|k| folder.path(&format!("part{k}.gz")))
        .collect();
    for (range, part) in cuts.into_iter().zip(&parts) {
        libsvm::write(part, &data.subset(&range.collect::<Vec<_>>()).unwrap()).unwrap();
    }
    let cache = folder.path("cache");
    libsvm::to_cache(&text, &cache).unwrap();
    let listed: Vec<&str> = std::iter::once("--parts")
        .chain(parts.iter().map(|p| &p[..]))
        .collect();
    for (name, source) in [("parts", listed), ("cache", vec![&cache[..]])] {
        for ranks in [2, 4] {
            let arguments = [&source[..], &["--tol", "1e-10"]].concat();
            let (result, solution) = solve(&folder, ranks, &arguments);
            close(
                name,
                &[result["f"].as_f64().unwrap()],
                &[expected["f"].as_f64().unwrap()],
            );
            close(name, &solution, &x);
            assert_eq!(result["iterations"], expected["iterations"], "{name}");
        }
    }
}

#[test]
fn stochastic_runs_draw_the_same_batches() {
    let folder = Folder::new("batches");
    let text = folder.path("rows");
    libsvm::write(&text, &generated()).unwrap();
    let arguments = [
        "--solver",
        "averaged-newton",
        "--batch",
        "100",
        "--epochs",
        "3",
        "--seed",
        "4",
    ];
    let result = |ranks| {
        let output = run(
            ranks,
            &[&[&text[..]], &arguments[..], &["--json", "-"]].concat(),
        );
        // Epochs spent are no convergence.
        assert_eq!(output.status.code(), Some(3));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let one = result(1);
    for ranks in [2, 3] {
        let several = result(ranks);
        assert_eq!(several["iterations"], one["iterations"]);
        close(
            "averaged",
            &[several["f"].as_f64().unwrap()],
            &[one["f"].as_f64().unwrap()],
        );
    }
}
