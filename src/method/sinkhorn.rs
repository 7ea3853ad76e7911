//! Sinkhorn's algorithm for entropic optimal transport.
//!
//! # Problem
//! As [`SinkhornNewton`](crate::SinkhornNewton).
//!
//! # Update
//! One sweep closes the columns, then the rows:
//!
//! ```text
//! g_j ← ε log b_j − ε log Σ_i exp((f_i − C_ij)/ε),   f_i ← ε log a_i − ε log Σ_j exp((g_j − C_ij)/ε)
//! ```
//!
//! in one pass: with rows closed the column sums c of P are known, and g_j + ε log(b_j/c_j) is the new g_j.
//! [`SinkhornKernel`] says whether the pass computes exponentials or multiplies with a stored kernel.
//!
//! # Stopping
//! ‖P1 − a‖₁ + ‖Pᵀ1 − b‖₁ ≤ 10⁻⁹ times the mass, or 10⁵ sweeps.
//!
//! # Cost
//! Per sweep and iteration one pass over the costs with an exp for each entry, or one pass over the kernel
//! with two multiplications for each entry and n + m logarithms. Memory: n·m doubles for the kernel, without it
//! O(n + m); [`Report`](crate::Report) counts `sweeps`, and as `passes` those with exp.
//!
//! # Convergence
//! Linear, at a rate that tends to 1 as ε → 0. For ε below a twentieth of the range of the costs take
//! [`SinkhornNewton`](crate::SinkhornNewton).
//!
//! # References
//! M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport" (2013);
//! B. Schmitzer, "Stabilized sparse scaling algorithms for entropy regularized transport problems" (2019), for the
//! absorption of scalings.
//!
//! # Example
//! ```
//! use raphson::{Sinkhorn, Transport};
//!
//! let half = [0.5, 0.5];
//! let problem = Transport::new([[0.0, 1.0], [1.0, 0.0]], half, half)?;
//! let plan = Sinkhorn::new(0.5).solve(&problem)?.must_converge()?;
//! // What stays relates to what moves as exp(1/ε) to 1.
//! let stays = 1.0 / (1.0 + (-1.0_f64 / 0.5).exp());
//! assert!((plan.to_dense()[(0, 0)] - 0.5 * stays).abs() < 1e-9);
//! # Ok::<(), raphson::Error>(())
//! ```

use super::sinkhorn_newton::core::{Options, publish};
use crate::error::Error;
use crate::method::{Course, Method};
use crate::oracle::{Abort, Coupling, Oracle};
use crate::record::IterationRecord;
use crate::solver::{Raphson, WithCallback};
use crate::status::{Failed, Status};
use crate::transport::bands::Bands;
use crate::transport::newton::Stride;
use crate::transport::problem::Reduced;
use crate::transport::semidual::Point;
use crate::transport::stabilized::Stabilized;
use crate::transport::{Plan, Transport, potentials};

/// Sweeps at most, unless the user says otherwise.
const SWEEPS: u64 = 100_000;
/// Entries of the largest kernel that is stored, half a gigabyte.
const KERNEL: usize = 1 << 26;

/// How a sweep is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SinkhornKernel {
    /// In logarithms, with an exp for each entry: for any size, cost and ε.
    LogDomain,
    /// With a stored kernel of n·m doubles that is computed anew once scalings leave
    /// \[10⁻³, 10³\]: a sweep is some times cheaper. The default. Above 2²⁶ entries, for relaxed marginals, or
    /// where a column sum underflows, the sweep is made in logarithms.
    #[default]
    Stabilized,
}

/// The core of Sinkhorn's algorithm; its state is all that a resumed run needs.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SinkhornCore {
    options: Options,
    kernel: SinkhornKernel,
    course: Course,
    at: Point,
    /// f/ε and g/ε of the stored kernel; empty if there is none.
    base: (Vec<f64>, Vec<f64>),
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Work,
}

/// Made again at the next iteration.
#[derive(Debug, Default)]
struct Work {
    bands: Bands,
    kernel: Stabilized,
}

impl Clone for Work {
    fn clone(&self) -> Self {
        Work::default()
    }
}

/// Sinkhorn's algorithm; see the [module](self).
pub type Sinkhorn = Raphson<SinkhornCore, Coupling>;

impl Sinkhorn {
    /// For a [`Transport`] problem, with the weight `eps` of the entropy in the units of the costs.
    pub fn new(eps: f64) -> Self {
        let course = Course {
            max_iters: SWEEPS,
            ..Course::default()
        };
        Raphson::from_method(SinkhornCore {
            options: Options { eps, tol: 1e-9 },
            kernel: SinkhornKernel::default(),
            course,
            at: Point::default(),
            base: Default::default(),
            work: Work::default(),
        })
    }

    /// How a sweep is computed. Default: with a stored kernel.
    pub fn kernel(mut self, kernel: SinkhornKernel) -> Self {
        self.method.kernel = kernel;
        self
    }

    /// Converged if ‖P1 − a‖₁ + ‖Pᵀ1 − b‖₁ ≤ `tol` times the mass. Default 10⁻⁹.
    pub fn marginal_tol(mut self, tol: f64) -> Self {
        self.method.options.tol = tol;
        self
    }

    /// The plan, from a cold start.
    ///
    /// # Errors
    /// Only misuse; [`Plan::status`] says whether it converged.
    pub fn solve(self, problem: &Transport) -> Result<Plan, Error> {
        let start = problem.origin();
        self.solve_from(problem, start)
    }

    /// The plan, from potentials (f, g) that are nearly right.
    ///
    /// # Errors
    /// As [`solve`](Raphson::solve).
    pub fn solve_from(self, problem: &Transport, potentials: Vec<f64>) -> Result<Plan, Error> {
        let options = self.method.options;
        let run = self.minimize(problem, potentials)?;
        Ok(Plan::new(problem, run, options))
    }
}

impl<F: FnMut(&IterationRecord) -> bool> WithCallback<SinkhornCore, Coupling, F> {
    /// As [`Sinkhorn::solve`](Raphson::solve).
    ///
    /// # Errors
    /// Only misuse.
    pub fn solve(self, problem: &Transport) -> Result<Plan, Error> {
        let options = self.solver.method.options;
        let run = self.minimize(problem, problem.origin())?;
        Ok(Plan::new(problem, run, options))
    }
}

impl SinkhornCore {
    fn begin(&mut self, x0: &[f64], transport: &Transport) {
        let problem = transport.reduced();
        self.course = self.course.renewed(x0.len());
        self.at = Point::default();
        self.base = Default::default();
        self.work = Work::default();
        self.work.bands.resize(problem);
        self.at.resize(problem);
        potentials::read(x0, transport, self.options.eps, &mut self.at.u);
        self.at
            .evaluate(problem, self.options.eps, &mut self.work.bands);
        self.course.report.passes += 1;
    }

    fn sweep(&mut self, problem: &Reduced) {
        let (eps, Work { bands, kernel }) = (self.options.eps, &mut self.work);
        bands.resize(problem);
        let stores = self.kernel == SinkhornKernel::Stabilized
            && problem.is_balanced()
            && problem.n() * problem.m() <= KERNEL
            && self.at.c[..problem.m()]
                .iter()
                .all(|c| *c > f64::MIN_POSITIVE);
        if !stores {
            self.base.0.clear();
            self.at.sweep(problem, eps, bands);
            self.course.report.passes += 1;
        } else {
            if self.base.0.is_empty() {
                self.base.0.clone_from(&self.at.f);
                self.base.1.clone_from(&self.at.u);
                kernel.build(&self.base.0, &self.base.1, problem, eps, bands);
                self.course.report.passes += 1;
            } else if !kernel.is_ready() {
                kernel.build(&self.base.0, &self.base.1, problem, eps, bands);
                self.course.report.rebuilt += 1;
            }
            let base = (&self.base.0[..], &self.base.1[..]);
            if kernel.sweep(&mut self.at, base, problem, eps, bands) {
                self.base.0.clear();
            }
        }
        self.course.report.sweeps += 1;
    }

    fn conclude(&mut self, transport: &Transport) {
        let problem = transport.reduced();
        let tol = self.options.tol.max(self.options.attainable(problem));
        self.course.status = if !self.at.error.is_finite() {
            Status::Failed(Failed::NonFinite)
        } else if self.at.error <= tol {
            self.options.converged(self.at.error)
        } else {
            Status::Running
        };
        self.course.limit();
        let eps = self.options.eps;
        publish(&mut self.course, transport, eps, &self.at, &Stride::none());
    }
}

impl Method for SinkhornCore {
    fn name(&self) -> &'static str {
        "Sinkhorn"
    }

    fn check(&self) -> Result<(), Error> {
        self.course.tolerances.only_marginals()?;
        self.options.check()
    }

    fn start(&mut self, x0: &[f64], oracle: &mut dyn Oracle) -> Result<(), Abort> {
        let transport = oracle.transport()?.clone();
        let checked = self
            .check()
            .and_then(|()| self.options.fits(transport.reduced()))
            .and_then(|()| potentials::check(x0, &transport));
        if let Err(error) = checked {
            return Err(oracle.fail(error));
        }
        self.begin(x0, &transport);
        self.conclude(&transport);
        Ok(())
    }

    fn step(&mut self, oracle: &mut dyn Oracle) -> Result<(), Abort> {
        if self.course.status.is_final() {
            return Ok(());
        }
        let transport = oracle.transport()?.clone();
        self.sweep(transport.reduced());
        self.course.report.iterations += 1;
        self.conclude(&transport);
        Ok(())
    }

    fn course(&self) -> &Course {
        &self.course
    }
    fn course_mut(&mut self) -> &mut Course {
        &mut self.course
    }
    fn best(&self) -> (&[f64], f64) {
        (&self.course.at.x, self.course.at.f)
    }
    fn keeps_best(&self) -> bool {
        true
    }
}
