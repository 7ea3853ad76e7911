//! Rows of results and the file that keeps them.

use crate::arguments::{Arguments, Problem, slug};
use crate::solvers::Solver;
use crate::watch::Counts;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// How the status of a run that was not made begins.
pub const SKIPPED: &str = "not run: ";

/// What determines a run, and the size of its problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub set: String,
    pub penalty: String,
    pub solver: Solver,
    pub path: String,
    pub crc32: u32,
    pub n: usize,
    pub d: usize,
    pub nnz: usize,
    pub mu: f64,
    pub standardize: bool,
    pub tol: f64,
    pub time_limit: f64,
    pub max_iter: u64,
    pub repeat: usize,
    pub threads: usize,
    pub memory: f64,
    pub build: u32,
}

impl Spec {
    /// Equality but for the path, since the file is known by its bytes.
    fn same(&self, other: &Spec) -> bool {
        let path = other.path.clone();
        Spec {
            path,
            ..self.clone()
        } == *other
    }
}

/// A run as it ended. Reals that are not known or not finite are absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub spec: Spec,
    pub status: String,
    /// Whether the gradient at the returned point, evaluated again, meets the tolerance.
    pub reached: bool,
    pub f: Option<f64>,
    pub grad_norm: Option<f64>,
    /// TOL max(1, ‖g(0)‖).
    pub target: Option<f64>,
    pub iterations: u64,
    pub counts: Counts,
    /// CPU time from the data to the solution.
    pub seconds: Option<f64>,
    pub wall_seconds: Option<f64>,
    /// Least and largest CPU time of the repetitions.
    pub least_seconds: Option<f64>,
    pub most_seconds: Option<f64>,
    pub trace: String,
}

/// A [`Row`] with one level only, as CSV has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Flat {
    set: String,
    penalty: String,
    solver: Solver,
    status: String,
    reached: bool,
    seconds: Option<f64>,
    wall_seconds: Option<f64>,
    least_seconds: Option<f64>,
    most_seconds: Option<f64>,
    f: Option<f64>,
    grad_norm: Option<f64>,
    target: Option<f64>,
    iterations: u64,
    values: f64,
    gradients: f64,
    hessians: f64,
    products: u64,
    n: usize,
    d: usize,
    nnz: usize,
    mu: f64,
    standardize: bool,
    tol: f64,
    time_limit: f64,
    max_iter: u64,
    repeat: usize,
    threads: usize,
    memory: f64,
    crc32: u32,
    build: u32,
    path: String,
    trace: String,
}

impl Row {
    /// A run of which nothing is known but how it ended.
    pub fn of(spec: Spec, status: String) -> Self {
        Row {
            spec,
            status,
            reached: false,
            f: None,
            grad_norm: None,
            target: None,
            iterations: 0,
            counts: Counts::default(),
            seconds: None,
            wall_seconds: None,
            least_seconds: None,
            most_seconds: None,
            trace: String::new(),
        }
    }

    pub fn was_skipped(&self) -> bool {
        self.status.starts_with(SKIPPED)
    }

    /// Evaluations of all kinds and products.
    pub fn calls(&self) -> f64 {
        self.counts.calls()
    }

    pub fn flat(&self) -> Flat {
        let Spec {
            set,
            penalty,
            solver,
            path,
            crc32,
            n,
            d,
            nnz,
            mu,
            standardize,
            tol,
            time_limit,
            max_iter,
            repeat,
            threads,
            memory,
            build,
        } = self.spec.clone();
        let Counts {
            values,
            gradients,
            hessians,
            products,
        } = self.counts;
        Flat {
            set,
            penalty,
            solver,
            path,
            crc32,
            n,
            d,
            nnz,
            mu,
            standardize,
            tol,
            time_limit,
            max_iter,
            repeat,
            threads,
            memory,
            build,
            values,
            gradients,
            hessians,
            products,
            status: self.status.clone(),
            reached: self.reached,
            seconds: self.seconds,
            wall_seconds: self.wall_seconds,
            least_seconds: self.least_seconds,
            most_seconds: self.most_seconds,
            f: self.f,
            grad_norm: self.grad_norm,
            target: self.target,
            iterations: self.iterations,
            trace: self.trace.clone(),
        }
    }
}

impl From<Flat> for Row {
    fn from(flat: Flat) -> Self {
        let Flat {
            set,
            penalty,
            solver,
            path,
            crc32,
            n,
            d,
            nnz,
            mu,
            standardize,
            tol,
            time_limit,
            max_iter,
            repeat,
            threads,
            memory,
            build,
            ..
        } = flat;
        Row {
            spec: Spec {
                set,
                penalty,
                solver,
                path,
                crc32,
                n,
                d,
                nnz,
                mu,
                standardize,
                tol,
                time_limit,
                max_iter,
                repeat,
                threads,
                memory,
                build,
            },
            status: flat.status,
            reached: flat.reached,
            f: flat.f,
            grad_norm: flat.grad_norm,
            target: flat.target,
            iterations: flat.iterations,
            counts: Counts {
                values: flat.values,
                gradients: flat.gradients,
                hessians: flat.hessians,
                products: flat.products,
            },
            seconds: flat.seconds,
            wall_seconds: flat.wall_seconds,
            least_seconds: flat.least_seconds,
            most_seconds: flat.most_seconds,
            trace: flat.trace,
        }
    }
}

/// All rows of `results.csv`, those of other options and executables too.
pub struct Results {
    folder: PathBuf,
    rows: Vec<Row>,
}

impl Results {
    pub fn open(folder: &Path) -> Result<Self, String> {
        let traces = folder.join("traces");
        std::fs::create_dir_all(&traces).map_err(|e| format!("{}: {e}", traces.display()))?;
        let file = folder.join("results.csv");
        let mut rows = Vec::new();
        if file.exists() {
            let trouble = |e: csv::Error| {
                format!(
                    "{}: {e}; mend it, or move it away to begin anew",
                    file.display()
                )
            };
            for flat in csv::Reader::from_path(&file)
                .map_err(trouble)?
                .deserialize()
            {
                let flat: Flat = flat.map_err(trouble)?;
                rows.push(flat.into());
            }
        }
        Ok(Results {
            folder: folder.to_path_buf(),
            rows,
        })
    }

    pub fn traces(&self) -> PathBuf {
        self.folder.join("traces")
    }

    pub fn find(&self, spec: &Spec) -> Option<&Row> {
        self.rows.iter().rev().find(|row| row.spec.same(spec))
    }

    /// Adds a row and writes the file as a whole, so that it is never half a file.
    pub fn add(&mut self, row: Row) -> Result<(), String> {
        self.rows.push(row);
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &self.rows {
            writer.serialize(row.flat()).map_err(|e| e.to_string())?;
        }
        let text = writer.into_inner().map_err(|e| e.to_string())?;
        replace(&self.folder.join("results.csv"), &text)
    }

    /// For each problem the rows of the solvers, as far as they are there.
    pub fn of(
        &self,
        problems: &[Problem],
        solvers: &[Solver],
        arguments: &Arguments,
    ) -> Vec<Vec<Row>> {
        let row = |p: &Problem, s: &Solver| self.find(&p.spec(arguments, *s)).cloned();
        let of = |p| solvers.iter().filter_map(|s| row(p, s)).collect();
        problems.iter().map(of).collect()
    }
}

/// The file of the trace of a run, unlike that of any run with other options.
pub fn trace_name(spec: &Spec) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(format!("{spec:?}").as_bytes());
    let name = format!("{}-mu-{}-{}", spec.set, spec.penalty, spec.solver.name());
    format!("{}-{:08x}.csv", slug(&name), crc.sum())
}

/// Writes a file as a whole.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&temporary, bytes)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|error| {
            // It may not exist; the first error is the one to report.
            let _ = std::fs::remove_file(&temporary);
            format!("{}: {error}", path.display())
        })
}
