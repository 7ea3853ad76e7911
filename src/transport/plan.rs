//! A transport plan, held as its potentials.

use super::bands::Bands;
use super::bands::row_sum;
use super::cost::padded;
use super::potentials::{self, scaled};
use super::problem::Transport;
use crate::error::Error;
use crate::method::sinkhorn_newton::core::Options;
use crate::oracle::Coupling;
use crate::parallel::dot;
use crate::record::Report;
use crate::simd::{exp_sum, exponents};
use crate::solver::Run;
use crate::status::{Converged, Failed, Status};
use faer::Mat;
use faer::sparse::{SparseRowMat, Triplet};

/// The plan P_ij = exp((f_i + g_j − C_ij)/ε) of a solved [`Transport`] problem.
///
/// It keeps n + m potentials and computes rows of P when they are asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) transport: Transport,
    pub(super) eps: f64,
    x: Vec<f64>,
    status: Status,
    report: Report,
    seconds: f64,
    pub(super) measured: Measured,
}

/// What one pass over P gives, in the units of the user.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// Row sums of the reduced problem.
    pub(super) r: Vec<f64>,
    marginal_error: f64,
    transport_cost: f64,
    /// Σ P log P of the plan of mass 1.
    negentropy: f64,
}

impl Plan {
    /// From a finished run; measures the plan at the returned potentials and has the last word
    /// on convergence.
    pub(crate) fn new(
        transport: &Transport,
        run: Run<Vec<f64>, Coupling>,
        options: Options,
    ) -> Self {
        let Options { eps, tol } = options;
        let attainable = options.attainable(transport.reduced());
        let measured = measure(transport, eps, &run.x);
        let error = measured.marginal_error / (transport.reduced().mass * transport.reduced().unit);
        let status = match run.status {
            Status::Converged(_) if error <= tol => Status::Converged(Converged::Marginal),
            Status::Converged(_) if error <= tol + attainable => {
                Status::Converged(Converged::PrecisionFloor)
            }
            Status::Converged(_) => Status::Failed(Failed::Stalled),
            other => other,
        };
        Plan {
            transport: transport.clone(),
            eps,
            x: run.x,
            status,
            report: run.report,
            seconds: run.seconds,
            measured,
        }
    }

    /// How the run ended.
    pub fn status(&self) -> Status {
        self.status
    }
    /// Whether both marginals were met.
    pub fn converged(&self) -> bool {
        self.status.is_converged()
    }
    /// Turns everything but convergence into [`Error::NotConverged`].
    pub fn must_converge(self) -> Result<Self, Error> {
        if self.converged() {
            return Ok(self);
        }
        Err(Error::NotConverged {
            status: self.status,
        })
    }
    /// What the run cost.
    pub fn report(&self) -> &Report {
        &self.report
    }
    /// Seconds of the run, without the pass that measured the plan.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }
    /// ε.
    pub fn eps(&self) -> f64 {
        self.eps
    }
    /// f and g in one vector, to start another run from.
    pub fn potentials(&self) -> &[f64] {
        &self.x
    }
    /// f, which is the derivative of [`value`](Plan::value) with respect to a, up to a constant.
    pub fn f(&self) -> &[f64] {
        &self.x[..self.transport.shape().0]
    }
    /// g, which is the derivative of [`value`](Plan::value) with respect to b, up to a constant.
    ///
    /// The constants of f and g are free, so these are derivatives along changes of a and b that
    /// keep the masses equal. The derivative with respect to C is P itself.
    pub fn g(&self) -> &[f64] {
        &self.x[self.transport.shape().0..]
    }
    /// ‖P1 − a‖₁ + ‖Pᵀ1 − b‖₁, measured at the returned potentials.
    pub fn marginal_error(&self) -> f64 {
        self.measured.marginal_error
    }
    /// ⟨C, P⟩.
    pub fn transport_cost(&self) -> f64 {
        self.measured.transport_cost
    }
    /// −Σ P log P.
    pub fn entropy(&self) -> f64 {
        let mass = self.transport.reduced().mass;
        mass * (-self.measured.negentropy - mass.ln())
    }
    /// The value of the dual: at the optimum that of the problem, for balanced masses
    /// ⟨C, P⟩ + ε Σ P (log P − 1).
    pub fn value(&self) -> f64 {
        let sum: f64 = self.measured.r.iter().sum();
        let sum = sum * self.transport.reduced().mass;
        potentials::dual(&self.transport, self.eps, &self.x, sum)
    }
    /// The value of the dual where the entropy is relative to the independent plan abᵀ/s:
    /// at the optimum that of ⟨C, P⟩ + ε Σ P log(s P_ij/(a_i b_j)). Balanced problems only.
    pub fn value_relative(&self) -> f64 {
        let problem = self.transport.reduced();
        let sum: f64 = self.measured.r.iter().sum();
        let mass = problem.mass;
        self.linear() + self.eps * mass * (mass.ln() - sum + 1.0)
    }

    /// aᵀ(f − ε log a) + bᵀ(g − ε log b).
    fn linear(&self) -> f64 {
        let side = |mass: &[f64], potential: &[f64]| {
            let terms = mass.iter().zip(potential).filter(|(a, _)| **a > 0.0);
            terms.map(|(a, f)| a * (f - self.eps * a.ln())).sum::<f64>()
        };
        side(self.transport.source(), self.f()) + side(self.transport.target(), self.g())
    }

    /// Writes row i of P to `out`, which has m entries. O(m).
    ///
    /// # Errors
    /// [`Error::WrongLength`]; [`Error::InvalidParameter`] for i ≥ n.
    pub fn row(&self, i: usize, out: &mut [f64]) -> Result<(), Error> {
        let (n, m) = self.transport.shape();
        crate::error::length("row of the plan", m, out.len())?;
        if i >= n {
            return Err(Error::parameter("row", i, "below the number of rows"));
        }
        let mut buffer = vec![0.0; 3 * padded(m)];
        let (u, rest) = buffer.split_at_mut(padded(m));
        let (cost, row) = rest.split_at_mut(padded(m));
        self.columns(u);
        self.fill(i, u, cost, row);
        out.copy_from_slice(&row[..m]);
        Ok(())
    }

    /// P in full, n x m.
    pub fn to_dense(&self) -> Mat<f64> {
        let (n, m) = self.transport.shape();
        let mut dense = Mat::zeros(n, m);
        self.each_row(|i, row| {
            for (j, p) in row.iter().enumerate() {
                dense[(i, j)] = *p;
            }
        });
        dense
    }

    /// The entries of P without those that are at most θ a_i/m and at most θ b_j/n: of each row
    /// and each column at most the share θ is left out.
    ///
    /// # Errors
    /// [`Error::Data`] if the matrix cannot be built.
    pub fn to_sparse(&self, theta: f64) -> Result<SparseRowMat<usize, f64>, Error> {
        let (n, m) = self.transport.shape();
        let (a, b) = (self.transport.source(), self.transport.target());
        let mut entries = Vec::new();
        self.each_row(|i, row| {
            for (j, &p) in row.iter().enumerate() {
                let limit = theta * (a[i] / m as f64).min(b[j] / n as f64);
                if p > limit {
                    entries.push(Triplet::new(i, j, p));
                }
            }
        });
        SparseRowMat::try_new_from_triplets(n, m, &entries)
            .map_err(|e| Error::Data(format!("the sparse plan cannot be built: {e:?}")))
    }

    /// g/ε, −∞ where there is no mass.
    fn columns(&self, u: &mut [f64]) {
        u.fill(f64::NEG_INFINITY);
        for ((u, g), b) in u.iter_mut().zip(self.g()).zip(self.transport.target()) {
            if *b > 0.0 {
                *u = g / self.eps;
            }
        }
    }

    fn fill(&self, i: usize, u: &[f64], cost: &mut [f64], row: &mut [f64]) {
        if self.transport.source()[i] == 0.0 {
            row.fill(0.0);
            return;
        }
        let per = self.transport.cost().scale() / self.eps;
        exponents(row, u, self.transport.cost().row(i, cost), 0.0, per);
        exp_sum(row, -self.f()[i] / self.eps);
    }

    /// Calls `f` with every row of P.
    pub(super) fn each_row(&self, mut f: impl FnMut(usize, &[f64])) {
        let (n, m) = self.transport.shape();
        let mut buffer = vec![0.0; 3 * padded(m)];
        let (u, rest) = buffer.split_at_mut(padded(m));
        let (cost, row) = rest.split_at_mut(padded(m));
        self.columns(u);
        for i in 0..n {
            self.fill(i, u, cost, row);
            f(i, &row[..m]);
        }
    }
}

fn measure(transport: &Transport, eps: f64, x: &[f64]) -> Measured {
    let problem = transport.reduced();
    let (f, u) = scaled(transport, eps, x);
    let mut bands = Bands::default();
    bands.resize(problem);
    let (mut r, mut c) = (vec![0.0; problem.n()], vec![0.0; problem.stride()]);
    let inner = bands.marginals(problem, eps, (&f, &u), None, None, (&mut r, &mut c));
    c.truncate(problem.m());
    let (la, lb) = problem.slack(eps);
    let distance = |sums: &[f64], mass: &[f64], potential: &[f64], slack| {
        let both = sums.iter().zip(mass.iter().zip(potential));
        both.map(|(r, (a, f))| (r - row_sum(*a, *f, slack)).abs())
            .sum::<f64>()
    };
    let error = distance(&r, &problem.a, &f, la) + distance(&c, &problem.b, &u, lb);
    let mass: f64 = r.iter().sum();
    Measured {
        marginal_error: problem.mass * error,
        transport_cost: problem.mass * (inner + mass * problem.least()),
        negentropy: dot(&r, &f) + dot(&c, &u[..problem.m()]) - inner / eps,
        r,
    }
}
