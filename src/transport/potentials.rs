//! Potentials of the reduced problem, and as the user knows them.
//!
//! The user's f, g give the plan of the whole mass, P_ij = exp((f_i + g_j − C_ij)/ε); in the balanced
//! problem they obey aᵀf = bᵀg. Places without mass get the c-transform, f_i = min_j C_ij − g_j, at the end of a run.

use super::problem::Transport;
use super::semidual::phi;
use crate::error::{Error, finite, length};
use crate::parallel::dot;

/// Checks a start point.
pub(crate) fn check(x: &[f64], transport: &Transport) -> Result<(), Error> {
    let (n, m) = transport.shape();
    length("potentials", n + m, x.len())?;
    finite("potentials", x)
}

/// The potentials (f, g) of the reduced problem's rows and columns lie at these indices of x.
fn places(transport: &Transport) -> (usize, usize) {
    match transport.reduced().transposed {
        false => (0, transport.shape().0),
        true => (transport.shape().0, 0),
    }
}

/// u = g/ε of the reduced problem; f follows from it.
pub(crate) fn read(x: &[f64], transport: &Transport, eps: f64, u: &mut [f64]) {
    let (_, at) = places(transport);
    for (u, &j) in u.iter_mut().zip(&transport.reduced().cols) {
        *u = x[at + j] / eps;
    }
}

/// Writes x = (f, g), zero at places without mass.
pub(crate) fn write(transport: &Transport, eps: f64, f: &[f64], u: &[f64], x: &mut [f64]) {
    let problem = transport.reduced();
    let (rows, cols) = places(transport);
    let constant = problem.least() + eps * problem.mass.ln();
    let u = &u[..problem.m()];
    let excess = 0.5 * (constant + eps * (dot(&problem.a, f) - dot(&problem.b, u)));
    let balance = if problem.is_balanced() { excess } else { 0.0 };
    x.fill(0.0);
    for (f, &i) in f.iter().zip(&problem.rows) {
        x[rows + i] = eps * f + (constant - balance);
    }
    for (u, &j) in u.iter().zip(&problem.cols) {
        x[cols + j] = eps * u + balance;
    }
}

/// The dual at x, Σ a φ(f) + Σ b φ(g) − ε·`sum`, where `sum` is ΣP.
pub(crate) fn dual(transport: &Transport, eps: f64, x: &[f64], sum: f64) -> f64 {
    let (n, _) = transport.shape();
    let (rho_a, rho_b) = transport.rho();
    let side = |mass: &[f64], potential: &[f64], rho: f64| {
        let terms = mass.iter().zip(potential);
        terms
            .map(|(a, f)| a * eps * phi(f / eps, eps / rho))
            .sum::<f64>()
    };
    let (a, b) = (transport.source(), transport.target());
    side(a, &x[..n], rho_a) + side(b, &x[n..], rho_b) - eps * sum
}

/// The gradient of minus the dual: column sums minus masses, with rows closed.
pub(crate) fn gradient(transport: &Transport, c: &[f64], target: &[f64], out: &mut [f64]) {
    let problem = transport.reduced();
    let (_, at) = places(transport);
    out.fill(0.0);
    for ((c, b), &j) in c.iter().zip(target).zip(&problem.cols) {
        out[at + j] = problem.mass * (c - b);
    }
}

/// Gives places without mass their c-transform.
pub(crate) fn complete(transport: &Transport, x: &mut [f64]) {
    let (n, m) = transport.shape();
    let (a, b) = (transport.source(), transport.target());
    let is_whole = a.iter().chain(b).all(|v| *v > 0.0);
    if is_whole {
        return;
    }
    let scale = transport.cost().scale();
    let (f, g) = x.split_at_mut(n);
    let mut buffer = vec![0.0; super::cost::padded(m)];
    let mut column = vec![f64::INFINITY; m];
    for i in 0..n {
        let cost = &transport.cost().row(i, &mut buffer)[..m];
        if a[i] > 0.0 {
            for (column, c) in column.iter_mut().zip(cost) {
                *column = column.min(c * scale - f[i]);
            }
        } else {
            let least = (0..m)
                .filter(|&j| b[j] > 0.0)
                .map(|j| cost[j] * scale - g[j]);
            f[i] = least.fold(f64::INFINITY, f64::min);
        }
    }
    for j in (0..m).filter(|&j| b[j] == 0.0) {
        g[j] = column[j];
    }
    // A place that nothing may reach.
    for v in x.iter_mut().filter(|v| !v.is_finite()) {
        *v = 0.0;
    }
}

/// f/ε and the padded g/ε of the reduced problem.
pub(crate) fn scaled(transport: &Transport, eps: f64, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let problem = transport.reduced();
    let (rows, _) = places(transport);
    let constant = problem.least() + eps * problem.mass.ln();
    let f = problem.rows.iter().map(|&i| (x[rows + i] - constant) / eps);
    let mut u = vec![0.0; problem.stride()];
    read(x, transport, eps, &mut u);
    (f.collect(), u)
}
