//! The command line, and the problems it names.

use crate::results::Spec;
use crate::solvers::Solver;
use clap::Parser;
use raphson::models::LogisticRegression;
use raphson::{Dataset, libsvm};
use std::path::{Path, PathBuf};

/// Runs solvers side by side on logistic regressions: mean loss plus mu/2 |w|^2.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Arguments {
    /// LIBSVM files, plain or gzip, or folders of them
    /// [default: data of the project, with --standardize]
    pub paths: Vec<PathBuf>,
    /// Names and groups (default, deterministic, stochastic, argmin, basin), separated by commas
    #[arg(long, default_value = "default")]
    pub solvers: String,
    /// Penalties, separated by commas: positive numbers, or 1/n
    #[arg(long, default_value = "1/n")]
    pub mu: String,
    /// Reached when |g| <= TOL max(1, |g(0)|)
    #[arg(long, default_value_t = 1e-8)]
    pub tol: f64,
    /// Folder of the results
    #[arg(long, default_value = "suite")]
    pub out: PathBuf,
    /// CPU seconds a run may take
    #[arg(long, default_value_t = 60.0)]
    pub time_limit: f64,
    /// Iterations a run may take
    #[arg(long, default_value_t = 10_000)]
    pub max_iter: u64,
    /// Times that each run is made; the one of median CPU time is reported
    #[arg(long, default_value_t = 3)]
    pub repeat: usize,
    /// Threads of the solvers of raphson and of the model
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Largest dense Hessian in GiB; solvers that need a larger one are not run
    #[arg(long, default_value_t = 0.5)]
    pub memory: f64,
    /// Bring columns to mean 0 and deviation 1 (sparse data: deviation only)
    #[arg(long)]
    pub standardize: bool,
    /// Makes the one run that this JSON object describes.
    #[arg(long, hide = true)]
    pub worker: Option<String>,
}

/// A file with a penalty.
#[derive(Debug, Clone)]
pub struct Problem {
    pub path: PathBuf,
    pub set: String,
    /// Of the bytes of the file.
    pub crc32: u32,
    pub n: usize,
    pub d: usize,
    pub nnz: usize,
    pub mu: f64,
    /// The penalty as on the command line.
    pub penalty: String,
    pub standardize: bool,
}

impl Arguments {
    pub fn solvers(&self) -> Result<Vec<Solver>, String> {
        Solver::list(&self.solvers)
    }

    /// All files with all penalties, each file read once to know its size.
    pub fn problems(&self) -> Result<Vec<Problem>, String> {
        self.check()?;
        let carried =
            [Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/breast-cancer.libsvm")];
        let given = if self.paths.is_empty() {
            &carried[..]
        } else {
            &self.paths
        };
        let mut problems: Vec<Problem> = Vec::new();
        for path in given {
            let folder = path.is_dir();
            for file in files(path)? {
                match read(&file, false) {
                    Ok(data) => self.add(&mut problems, file, &data)?,
                    Err(error) if folder => eprintln!("left out: {error}"),
                    Err(error) => return Err(error),
                }
            }
        }
        if problems.is_empty() {
            return Err("no binary LIBSVM file found; name one or a folder of them".into());
        }
        Ok(problems)
    }

    fn add(
        &self,
        problems: &mut Vec<Problem>,
        path: PathBuf,
        data: &Dataset,
    ) -> Result<(), String> {
        let set = set_name(&path);
        if problems.iter().any(|p| p.set == set && p.path != path) {
            return Err(format!(
                "{}: two files of the name {set}; rename one",
                path.display()
            ));
        }
        for penalty in self.mu.split(',').map(str::trim) {
            let mu = match penalty {
                "1/n" => 1.0 / data.n_rows() as f64,
                text => match text.parse::<f64>() {
                    Ok(mu) if mu > 0.0 && mu.is_finite() => mu,
                    _ => {
                        return Err(format!(
                            "--mu: {text:?} is neither 1/n nor a positive number"
                        ));
                    }
                },
            };
            problems.push(Problem {
                crc32: crc32(&path)?,
                path: path.clone(),
                set: set.clone(),
                n: data.n_rows(),
                d: data.n_features(),
                nnz: data.nnz(),
                mu,
                penalty: penalty.into(),
                standardize: self.standardize || self.paths.is_empty(),
            });
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        if !positive(self.tol) || !positive(self.time_limit) || !positive(self.memory) {
            return Err("--tol, --time-limit and --memory take positive numbers".into());
        }
        if self.repeat == 0 || self.threads == 0 {
            return Err("--repeat and --threads take numbers of at least 1".into());
        }
        Ok(())
    }
}

impl Problem {
    pub fn spec(&self, arguments: &Arguments, solver: Solver) -> Spec {
        Spec {
            set: self.set.clone(),
            penalty: self.penalty.clone(),
            solver,
            path: self.path.display().to_string(),
            crc32: self.crc32,
            n: self.n,
            d: self.d,
            nnz: self.nnz,
            mu: self.mu,
            standardize: self.standardize,
            tol: arguments.tol,
            time_limit: arguments.time_limit,
            max_iter: arguments.max_iter,
            repeat: arguments.repeat,
            threads: arguments.threads,
            memory: arguments.memory,
            build: build(),
        }
    }

    pub fn title(&self) -> String {
        format!("{}, mu = {}", self.set, self.penalty)
    }

    /// For file names.
    pub fn slug(&self) -> String {
        slug(&format!("{}-mu-{}", self.set, self.penalty))
    }
}

/// Characters that are safe in the name of a file.
pub fn slug(text: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "-._".contains(c) {
            c
        } else {
            '_'
        }
    };
    text.chars().map(safe).collect()
}

/// The data of a binary logistic regression.
pub fn read(path: &Path, standardize: bool) -> Result<Dataset, String> {
    let data = libsvm::read(path).map_err(|error| error.to_string())?;
    let data = if standardize {
        data.standardized().0
    } else {
        data
    };
    let model = LogisticRegression::new(&data).l2(1.0);
    model
        .check()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(data)
}

/// The file itself, or those in the folder but for hidden ones, by name.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let trouble = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut found = Vec::new();
    for entry in path.read_dir().map_err(trouble)? {
        let entry = entry.map_err(trouble)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The name of the file without what says how it is written.
fn set_name(path: &Path) -> String {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let name = [".libsvm", ".svm", ".txt"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    name.into()
}

fn crc32(path: &Path) -> Result<u32, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut crc = flate2::Crc::new();
    crc.update(&bytes);
    Ok(crc.sum())
}

/// Tells executables apart, so that no table mixes the times of two.
fn build() -> u32 {
    static BUILD: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *BUILD.get_or_init(|| {
        std::env::current_exe()
            .ok()
            .and_then(|exe| crc32(&exe).ok())
            .unwrap_or(0)
    })
}
