//! The rule at stationary points: minimizers end a run, saddle points are left.
//!
//! Where a test of convergence holds, let λ₁ be the least eigenvalue of H and u its unit
//! eigenvector. With λ₁ ≥ −10⁻⁸‖H‖ the point passes. Else both x ± su are tried for
//! s = max(1, ‖x‖), ½ of it, ¼, … and the lower one is taken if
//!
//! f − f₊ ≥ ¼|λ₁|s²,                                          (test)
//!
//! which holds for the better sign and every s ≤ 3|λ₁|/(2L) if H has the Lipschitz constant L.
//!
//! Where λ₁ is zero to within 10⁻⁸‖H‖ second derivatives say nothing. Probes look there, if they
//! are on: at x ± rz for four random unit vectors z and the radii r of 10⁻² and 10⁻¹, times
//! max(1, ‖x‖). On the monkey saddle x³ − 3xy² one pair alone finds the descent with odds of 99 %.
//!
//! Products show λ₁ through Krylov spaces of random start vectors: that of the gradient never
//! contains what is orthogonal to the gradient.

use super::{Outcome, Probe};
use crate::linear::leftmost::Leftmost;
use crate::oracle::{Counted, Curvature, Oracle};
use crate::parallel::norm;
use crate::status::Failed;
use crate::step::{Fault, NONNEGATIVE, Proposal};
use crate::stochastic::{Purpose, Stream};

/// |λ₁|s² that an accepted step must gain.
const GAIN: f64 = 0.25;
/// Most lengths that are tried, with two points each.
const HALVINGS: u32 = 30;
/// Random directions of a probe,
const PAIRS: u32 = 4;
/// its radii,
const RADII: [f64; 2] = [1e-2, 1e-1];
/// and the decrease that counts, relative to 1 + |f|.
const DECREASE: f64 = 1e-12;

/// The sign of λ₁, to within 10⁻⁸‖H‖.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Least {
    Positive,
    Zero,
    /// λ₁.
    Negative(f64),
}

/// The rule of the module's documentation.
#[derive(Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Escape {
    pub(crate) probes: bool,
    pub(crate) seed: u64,
    stream: Stream,
    #[cfg_attr(feature = "serde", serde(skip))]
    finder: Leftmost,
    /// A random direction.
    #[cfg_attr(feature = "serde", serde(skip))]
    random: Vec<f64>,
}

impl Default for Escape {
    fn default() -> Self {
        Escape {
            probes: false,
            seed: 0,
            stream: Stream::new(0, Purpose::Escape),
            finder: Leftmost::new(),
            random: Vec::new(),
        }
    }
}

// A clone starts with an empty workspace.
impl Clone for Escape {
    fn clone(&self) -> Self {
        Escape {
            probes: self.probes,
            seed: self.seed,
            stream: self.stream.clone(),
            ..Escape::default()
        }
    }
}

impl Escape {
    /// Forgets earlier runs.
    pub(crate) fn reset(&mut self) {
        self.stream = Stream::new(self.seed, Purpose::Escape);
    }

    /// The sign of λ₁ of the n x n curvature that the oracle keeps; u is kept.
    pub(crate) fn examine(&mut self, oracle: &mut Counted<'_>, n: usize) -> Result<Least, Fault> {
        let ends = match oracle.inner.curvature() {
            Curvature::Matrix(view) => {
                oracle.report.factorizations += 1;
                self.finder.of_matrix(view)?
            }
            Curvature::Products => {
                let mut apply = |v: &[f64], out: &mut [f64]| oracle.product(v, out);
                let krylov = Leftmost::krylov(n);
                self.finder
                    .of_products(n, &mut apply, &mut self.stream, krylov)?
                    .ok_or(Failed::NonFinite)?
            }
        };
        let negligible = NONNEGATIVE * ends.scale;
        Ok(if ends.least < -negligible {
            Least::Negative(ends.least)
        } else if ends.least <= negligible {
            Least::Zero
        } else {
            Least::Positive
        })
    }

    /// Steps along u, where λ₁ is negative.
    pub(crate) fn leave(&mut self, probe: &mut Probe<'_>, least: f64) -> Result<Outcome, Fault> {
        let mut s = norm(&probe.at.x).max(1.0);
        for _ in 0..HALVINGS {
            let gain = GAIN * least.abs() * s * s;
            if gain <= probe.noise {
                break;
            }
            let proposal = Proposal {
                predicted: 2.0 * gain,
                length: s,
                multiplier: 0.0,
            };
            if pair(probe, self.finder.vector(), proposal)?
                && probe.at.f - probe.value()? >= gain
                && probe.is_finite()?
            {
                return Ok(Outcome::Accepted);
            }
            s *= 0.5;
        }
        Ok(Outcome::Failed(Failed::SearchFailed))
    }

    /// Looks for descent where λ₁ is zero; [`Outcome::Floor`] if there is none.
    pub(crate) fn probe(&mut self, probe: &mut Probe<'_>) -> Result<Outcome, Fault> {
        self.random.resize(probe.at.x.len(), 0.0);
        let size = norm(&probe.at.x).max(1.0);
        for radius in RADII {
            for _ in 0..PAIRS {
                for z in &mut self.random {
                    *z = self.stream.normal();
                }
                let length = norm(&self.random);
                for z in &mut self.random {
                    *z /= length;
                }
                let least = DECREASE * (1.0 + probe.at.f.abs());
                let proposal = Proposal {
                    predicted: least,
                    length: radius * size,
                    multiplier: 0.0,
                };
                if pair(probe, &self.random, proposal)?
                    && probe.at.f - probe.value()? > least
                    && probe.is_finite()?
                {
                    return Ok(Outcome::Accepted);
                }
            }
        }
        Ok(Outcome::Floor)
    }
}

/// Sets the trial to the lower of x ± su; false if f is finite at neither.
fn pair(probe: &mut Probe<'_>, u: &[f64], proposal: Proposal) -> Result<bool, Fault> {
    probe.walk(u, proposal.length, proposal);
    let plus = probe.value()?;
    probe.walk(u, -proposal.length, proposal);
    let minus = probe.value()?;
    // NaN is no lower value.
    if plus < minus || (plus.is_finite() && !minus.is_finite()) {
        probe.walk_back(u, proposal, plus);
    }
    Ok(plus.is_finite() || minus.is_finite())
}
