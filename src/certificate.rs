//! Second-order certificates: what kind of point a run ended at, and how near the exact one lies.
//!
//! [`Run::certify`](crate::Run::certify) evaluates the gradient g and the Hessian H afresh at the
//! returned point x and states what follows from them.
//!
//! **Theorem** (Newton, Kantorovich). Let μ > 0 be a lower bound of |λ| over the eigenvalues of
//! ∇²f(x), η an upper bound of ‖∇²f(x)⁻¹∇f(x)‖, and ‖∇²f(y) − ∇²f(z)‖ ≤ L‖y − z‖ on the ball of
//! radius r around x (spectral norm, Euclidean lengths). If h = Lη/μ < 1/2 and
//! r = 2η/(1 + sqrt(1 − 2h)), then the ball contains a stationary point x*, the only one nearer
//! than (1 + sqrt(1 − 2h)) μ/L as far as L holds. Since L r < μ no eigenvalue changes its sign on
//! the way, so x* is nondegenerate and has the index of ∇²f(x): 0 makes it a strict local
//! minimizer, n a maximizer, any other a saddle. |λ| ≥ μ − L r at x*.
//!
//! **Negative curvature.** If ∇²f(x) has an eigenvalue of at most −ν, no minimizer lies nearer
//! than ν/L, ball or not.
//!
//! # What is proven
//!
//! [`Certificate::proven`] is true only if the ball follows from a constant L that the caller
//! gave, from bounds of eigenvalues that hold always, and from the bounds of the errors of g
//! and H. An estimated L, and bounds of probability, never make a proof; the certificate then has
//! the same numbers and says on what they rest.
//!
//! * **Eigenvalues.** A lower bound of λ_1 of a matrix is proven by a floating-point Cholesky
//!   factorization of H − sI that runs to its end, less Rump's bound of its error; an upper bound
//!   is a Rayleigh quotient with its roundings. Where a dense matrix is not definite, all
//!   eigenvalues are enclosed by the residuals of computed eigenvectors. A sparse matrix of more
//!   than 1000 rows gets its index only if it is definite. By products, a Krylov space of less
//!   than n dimensions bounds λ_1 with a probability, [`Certifier::confidence`]; one of n dimensions
//!   has the bounds of a matrix, but for its rounding, which is a model.
//! * **Rounding of g and H.** Bounds may be given. Else they are *models*: 4ε‖H‖ (Frobenius norm)
//!   for H, and for g four times the larger of ε(‖H‖‖x‖ + ‖g‖) and of the defects
//!   ‖g(y) − g(x) − H(y − x)‖ at two neighbours y so near that only rounding shows.
//! * **L.** Without one, the largest ‖H(y) − H(x)‖/‖y − x‖ over some neighbours y at half to
//!   twice Newton's step, doubled; an *estimate*.
//!
//! # Cost
//!
//! One Hessian and three gradients; with an estimated L one Hessian more a sample (8). n x n
//! dense: 4/3 n³ + 1/3 n³ a factorization (3 or 4) multiplications, about 12 n³ if it is
//! not definite. Sparse: 10 to 20 numeric factorizations, no dense matrix. Products: at most
//! [`Certifier::krylov`] for the bound, as many for Newton's step, 32 a sample.
//!
//! Reference: L. V. Kantorovich, G. P. Akilov, Functional Analysis (1982), chapter XVIII;
//! J. M. Ortega, W. C. Rheinboldt, Iterative Solution of Nonlinear Equations in Several Variables
//! (1970), 12.6.2.

use crate::edge::{SymView, VecLike};
use crate::error::{Error, finite};
use crate::linear::{Breakdown, finite_check, sym_mul};
use crate::method::Method;
use crate::oracle::{Abort, Counted, Curvature, HostOracle, Oracle, Smooth};
use crate::parallel::norm;
use crate::record::Report;
use crate::solver::{Raphson, Run};
use crate::stochastic::{Purpose, Stream};
use std::collections::HashMap;

mod ball;
mod estimate;
mod report;
mod spectrum;

pub use ball::Ball;
use spectrum::Spectrum;

/// An eigenvalue within this times ‖H‖ of zero makes a point degenerate that has no ball.
const DEGENERATE: f64 = 1e-8;
/// Rows beyond which a Gram or rank-one Hessian is used by its products.
const LARGEST_SPREAD: usize = 2000;
/// Doubles that the default of [`Certifier::krylov`] spends on a Krylov basis (512 MiB).
const MEMORY: usize = 1 << 26;

/// What the exact stationary point is, or why that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum PointKind {
    /// A strict local minimizer lies in the ball.
    Minimum,
    /// A strict local maximizer lies in the ball.
    Maximum,
    /// A nondegenerate saddle point lies in the ball; or, without a ball, H(x) has eigenvalues of
    /// both signs and ‖g‖ ≤ λ_1²/(2L), so that negative curvature outweighs the slope.
    Saddle,
    /// H(x) has no clearly negative eigenvalue (or no clearly positive one) and one within
    /// 10⁻⁸‖H‖ of zero: second derivatives do not decide.
    Degenerate,
    /// None of these was shown.
    Undecided(Doubt),
}

/// Why a point is undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Doubt {
    /// The gradient or the Hessian is NaN or infinite.
    NonFinite,
    /// The bounds of the eigenvalues do not exclude zero.
    Curvature,
    /// The gradient is too large: h is not below 1/2.
    Gradient,
    /// L is not known: no estimate was wanted, or H is not finite at any neighbour.
    Constant,
    /// The ball is larger than the one on which the given L holds.
    Reach,
}

/// Bounds of one eigenvalue of ∇²f(x).
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct EigenvalueBound {
    /// It is at least this, with probability `confidence`.
    pub lower: f64,
    /// It is at most this.
    pub upper: f64,
    /// 1 if the lower bound holds always.
    pub confidence: f64,
}

/// A Lipschitz constant of the Hessian.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Lipschitz {
    /// L.
    pub value: f64,
    /// Neighbours from which it was estimated; none if it was given.
    pub samples: Option<usize>,
}

/// A bound of the error of a computed derivative.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ErrorBound {
    /// Euclidean for the gradient, spectral for the Hessian.
    pub value: f64,
    /// Whether the caller gave it; else it is a model of rounding.
    pub given: bool,
}

/// What is known about a point; see the [module](self) for the theorem and its assumptions.
///
/// Its text ([`Display`](std::fmt::Display)) says all of it in a paragraph.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Certificate {
    /// The kind of the stationary point.
    pub kind: PointKind,
    /// Whether the kind and the ball are proven, given L and the error bounds.
    pub proven: bool,
    /// ‖g‖ as computed.
    pub gradient_norm: f64,
    /// The least eigenvalue λ_1 of ∇²f(x).
    pub least: EigenvalueBound,
    /// Number of negative eigenvalues of ∇²f(x), where it is known and none may be zero.
    pub index: Option<usize>,
    /// L, where it was needed.
    pub lipschitz: Option<Lipschitz>,
    /// Error of g.
    pub gradient_error: ErrorBound,
    /// Error of H.
    pub hessian_error: ErrorBound,
    /// h = Lη/μ, where all three are known.
    pub h: Option<f64>,
    /// Where the exact stationary point is.
    pub ball: Option<Ball>,
    /// No minimizer lies nearer than this, if λ_1 is negative and L known.
    pub no_minimizer_within: Option<f64>,
    /// What the certificate cost: gradients, Hessians, products, factorizations.
    pub cost: Report,
}

/// How a point is certified. All defaults are free of units.
#[derive(Debug, Clone, PartialEq)]
pub struct Certifier {
    lipschitz: Option<(f64, f64)>,
    gradient_error: Option<f64>,
    hessian_error: Option<f64>,
    samples: usize,
    seed: u64,
    krylov: Option<usize>,
    confidence: f64,
}

impl Default for Certifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Certifier {
    /// L estimated from 8 neighbours, errors by models, confidence 1 − 10⁻⁶, seed 0.
    pub fn new() -> Self {
        Certifier {
            lipschitz: None,
            gradient_error: None,
            hessian_error: None,
            samples: 8,
            seed: 0,
            krylov: None,
            confidence: 1.0 - 1e-6,
        }
    }

    /// A constant L with ‖∇²f(y) − ∇²f(z)‖ ≤ L‖y − z‖ for all y and z; 0 for a quadratic.
    pub fn lipschitz(self, l: f64) -> Self {
        self.lipschitz_within(l, f64::INFINITY)
    }

    /// An L that holds for y and z nearer than `reach` to the point. Larger balls are not claimed.
    pub fn lipschitz_within(mut self, l: f64, reach: f64) -> Self {
        self.lipschitz = Some((l, reach));
        self
    }

    /// Bound of the Euclidean norm of g − ∇f(x). Default: a model of rounding.
    pub fn gradient_error(mut self, bound: f64) -> Self {
        self.gradient_error = Some(bound);
        self
    }

    /// Bound of the spectral norm of H − ∇²f(x). Default: a model of rounding.
    pub fn hessian_error(mut self, bound: f64) -> Self {
        self.hessian_error = Some(bound);
        self
    }

    /// Neighbours from which L is estimated if none is given. Default 8; 0 for no estimate.
    pub fn samples(mut self, samples: usize) -> Self {
        self.samples = samples;
        self
    }

    /// Seed of the random directions and Krylov starts. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Most dimensions of a Krylov space, for Hessians known by products. It stores so many
    /// vectors. Default: 300, but at most n and 512 MiB. With n the bounds are those of a matrix.
    pub fn krylov(mut self, dimension: usize) -> Self {
        self.krylov = Some(dimension);
        self
    }

    /// Probability of the Krylov bounds, in (0, 1). Default 1 − 10⁻⁶; more costs few products,
    /// as they depend on the logarithm of what is left.
    pub fn confidence(mut self, probability: f64) -> Self {
        self.confidence = probability;
        self
    }

    /// Certifies `x` with the derivatives of `problem` from the source `C`, as in
    /// `at::<Explicit, _>(&problem, &x)`.
    ///
    /// # Errors
    /// A point that is empty or not finite, an option out of range, derivatives of the wrong
    /// length or shape, and errors that the problem's own functions return. Derivatives that are
    /// not finite are no error: the kind is undecided then.
    pub fn at<C, O: Smooth<C>>(&self, problem: &O, x: &O::Point) -> Result<Certificate, Error> {
        self.check()?;
        let mut point = vec![0.0; x.dimension()];
        x.read(&mut point);
        if point.is_empty() {
            return Err(Error::WrongLength {
                what: "point",
                expected: 1,
                found: 0,
            });
        }
        finite("point", &point)?;
        let (mut counts, mut others) = (HashMap::new(), HashMap::new());
        let mut here = HostOracle::<O, C>::new(problem, &mut counts, x.clone());
        let mut there = HostOracle::<O, C>::new(problem, &mut others, x.clone());
        match self.judge(&point, &mut here, &mut there) {
            Ok(certificate) => Ok(certificate),
            Err(Abort) if there.has_failed() => Err(there.into_error()),
            Err(Abort) => Err(here.into_error()),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let (l, reach) = self.lipschitz.unwrap_or((0.0, 1.0));
        for (name, value) in [
            ("lipschitz", l),
            ("gradient_error", self.gradient_error.unwrap_or(0.0)),
            ("hessian_error", self.hessian_error.unwrap_or(0.0)),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::parameter(name, value, "finite and at least 0"));
            }
        }
        if reach.is_nan() || reach <= 0.0 {
            return Err(Error::parameter("reach", reach, "positive"));
        }
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return Err(Error::parameter("confidence", self.confidence, "in (0, 1)"));
        }
        if self.krylov == Some(0) {
            return Err(Error::parameter("krylov", 0, "at least 1"));
        }
        Ok(())
    }

    /// The certificate of x from two oracles, of which `there` serves the neighbours.
    fn judge(
        &self,
        x: &[f64],
        here: &mut dyn Oracle,
        there: &mut dyn Oracle,
    ) -> Result<Certificate, Abort> {
        let (mut cost, mut other) = (Report::default(), Report::default());
        let mut here = Counted {
            inner: here,
            report: &mut cost,
        };
        let mut there = Counted {
            inner: there,
            report: &mut other,
        };
        let mut facts = Evidence::gather(self, x, &mut here)?;
        facts.find_constant(self, x, &mut here, &mut there)?;
        cost.factorizations += facts.spectrum.factorizations;
        cost.hessians += other.hessians;
        cost.hessian_products += other.hessian_products;
        Ok(facts.conclude(cost))
    }
}

/// What was found out about x.
struct Evidence {
    n: usize,
    is_finite: bool,
    slope: f64,
    spectrum: Spectrum,
    gradient_error: ErrorBound,
    hessian_error: ErrorBound,
    /// Approximates H⁻¹g; zero where no factor serves.
    newton: Vec<f64>,
    /// Upper bound of ‖∇²f(x)⁻¹∇f(x)‖.
    eta: f64,
    lipschitz: Option<(Lipschitz, f64)>,
    stream: Stream,
}

impl Evidence {
    /// Derivatives at x, eigenvalues, the error bounds and η.
    fn gather(options: &Certifier, x: &[f64], here: &mut dyn Oracle) -> Result<Self, Abort> {
        let n = x.len();
        let mut g = vec![0.0; n];
        here.gradient(x, &mut g)?;
        here.refresh(x)?;
        let mut stream = Stream::new(options.seed, Purpose::Probes);
        let mut newton = vec![0.0; n];
        let slope = norm(&g);
        let found = if g.iter().all(|g| g.is_finite()) && slope.is_finite() {
            options.spectrum(&g, here, &mut stream, &mut newton)?
        } else {
            None
        };
        let is_finite = found.is_some();
        let mut spectrum = found.unwrap_or_else(Spectrum::unknown);
        let hessian_error = ErrorBound {
            value: options
                .hessian_error
                .unwrap_or(4.0 * f64::EPSILON * spectrum.scale),
            given: options.hessian_error.is_some(),
        };
        spectrum.widen(hessian_error.value);
        let mut evidence = Evidence {
            n,
            is_finite,
            slope,
            spectrum,
            gradient_error: ErrorBound {
                value: options.gradient_error.unwrap_or(f64::INFINITY),
                given: options.gradient_error.is_some(),
            },
            hessian_error,
            newton,
            eta: f64::INFINITY,
            lipschitz: None,
            stream,
        };
        if is_finite {
            evidence.measure(x, &g, here)?;
        }
        Ok(evidence)
    }

    /// The error of g, and η ≤ ‖ñ‖ + (‖g − Hñ‖ + errors)/μ, which holds for every ñ.
    fn measure(&mut self, x: &[f64], g: &[f64], here: &mut dyn Oracle) -> Result<(), Abort> {
        let length = norm(&self.newton);
        if !self.gradient_error.given {
            let noise = estimate::gradient_noise(x, g, length, here, &mut self.stream)?;
            let rounding = f64::EPSILON * (self.spectrum.scale * norm(x) + self.slope);
            self.gradient_error.value = 4.0 * rounding.max(noise);
        }
        let Some((mu, _)) = self.spectrum.gap else {
            return Ok(());
        };
        let mut residual = vec![0.0; g.len()];
        multiply(here, &self.newton, &mut residual)?;
        for (r, g) in residual.iter_mut().zip(g) {
            *r = g - *r;
        }
        let rounding = spectrum::residual_rounding(self.n, self.slope, self.spectrum.scale, length);
        let errors = self.gradient_error.value + self.hessian_error.value * length;
        let solved = length + (norm(&residual) + rounding + errors) / mu;
        let plain = (self.slope + self.gradient_error.value) / mu;
        self.eta = (1.0 + 16.0 * f64::EPSILON) * solved.min(plain);
        Ok(())
    }

    /// L, as given or estimated; none where it would decide nothing.
    fn find_constant(
        &mut self,
        options: &Certifier,
        x: &[f64],
        here: &mut dyn Oracle,
        there: &mut dyn Oracle,
    ) -> Result<(), Abort> {
        if let Some((value, reach)) = options.lipschitz {
            let given = Lipschitz {
                value,
                samples: None,
            };
            self.lipschitz = Some((given, reach));
            return Ok(());
        }
        let step = match self.spectrum.gap {
            Some(_) => self.eta,
            None if self.is_negative() => self.slope / -self.spectrum.least.1,
            None => return Ok(()),
        };
        let size = norm(x);
        let floor = 1e-6 * if size > 0.0 { size } else { 1.0 };
        let found = estimate::lipschitz(
            x,
            &self.newton,
            step.max(floor),
            options.samples,
            here,
            there,
            &mut self.stream,
        )?;
        self.lipschitz = found.map(|(value, samples)| {
            let estimated = Lipschitz {
                value,
                samples: Some(samples),
            };
            (estimated, f64::INFINITY)
        });
        Ok(())
    }

    /// Whether λ_1 is clearly negative.
    fn is_negative(&self) -> bool {
        self.spectrum.least.1 < -DEGENERATE * self.spectrum.scale
    }

    fn conclude(self, cost: Report) -> Certificate {
        let constant = self.lipschitz;
        let confidence = self.spectrum.confidence;
        let tried = match (self.spectrum.gap, constant) {
            (Some((mu, _)), Some((l, reach))) => {
                Some(ball::kantorovich(mu, self.eta, l.value, reach))
            }
            _ => None,
        };
        let ball = tried.and_then(Result::ok).map(|(ball, _)| ball);
        let h = tried.map(|tried| match tried {
            Ok((_, h)) => h,
            Err((_, h)) => h,
        });
        let index = self.spectrum.gap.map(|(_, index)| index);
        let kind = match (ball, index) {
            (Some(_), Some(0)) => PointKind::Minimum,
            (Some(_), Some(index)) if index == self.n => PointKind::Maximum,
            (Some(_), Some(_)) => PointKind::Saddle,
            _ => self.without_ball(tried.and_then(Result::err).map(|(doubt, _)| doubt)),
        };
        let ball = ball.map(|ball| Ball {
            gap: (index == Some(0))
                .then(|| ball::gap(self.slope + self.gradient_error.value, &ball)),
            ..ball
        });
        let (lower, upper) = self.spectrum.least;
        Certificate {
            kind,
            proven: ball.is_some()
                && confidence == 1.0
                && constant.is_some_and(|(l, _)| l.samples.is_none()),
            gradient_norm: self.slope,
            least: EigenvalueBound {
                lower,
                upper,
                confidence,
            },
            index,
            lipschitz: constant.map(|(l, _)| l),
            gradient_error: self.gradient_error,
            hessian_error: self.hessian_error,
            h,
            ball,
            no_minimizer_within: constant
                .filter(|_| upper < 0.0)
                .map(|(l, reach)| (-upper / l.value * (1.0 - 4.0 * f64::EPSILON)).min(reach)),
            cost,
        }
    }

    fn without_ball(&self, doubt: Option<Doubt>) -> PointKind {
        if !self.is_finite {
            return PointKind::Undecided(Doubt::NonFinite);
        }
        let small = DEGENERATE * self.spectrum.scale;
        let ((lower, upper), (_, most)) = (self.spectrum.least, self.spectrum.greatest);
        let slope = self.slope + self.gradient_error.value;
        if !self.is_negative() {
            return match doubt {
                _ if small.is_finite() && upper <= small => PointKind::Degenerate,
                Some(doubt) => PointKind::Undecided(doubt),
                None if lower > 0.0 => PointKind::Undecided(Doubt::Constant),
                None => PointKind::Undecided(Doubt::Curvature),
            };
        }
        match self.lipschitz {
            None => PointKind::Undecided(Doubt::Constant),
            // Without a division, so that zeros are no matter.
            Some((l, _)) if 2.0 * l.value * slope > upper * upper => {
                PointKind::Undecided(Doubt::Gradient)
            }
            _ if self.spectrum.greatest.0 > small => PointKind::Saddle,
            _ if most.abs() <= small => PointKind::Degenerate,
            _ => PointKind::Undecided(doubt.unwrap_or(Doubt::Curvature)),
        }
    }
}

impl Certifier {
    /// The eigenvalues of the curvature at hand; none if it is not finite.
    fn spectrum(
        &self,
        g: &[f64],
        here: &mut dyn Oracle,
        stream: &mut Stream,
        newton: &mut Vec<f64>,
    ) -> Result<Option<Spectrum>, Abort> {
        let n = g.len();
        if let Curvature::Matrix(view) = here.curvature() {
            let implicit = matches!(view, SymView::Gram(_) | SymView::RankOne { .. });
            if !implicit || n <= LARGEST_SPREAD {
                return Ok(match spectrum::of_matrix(view, g, newton) {
                    Ok(spectrum) => Some(spectrum),
                    Err(Breakdown::NonFinite { .. }) => None,
                    Err(_) if finite_check(view).is_err() => None,
                    Err(_) => Some(Spectrum::unknown()),
                });
            }
        }
        let limit = self
            .krylov
            .unwrap_or_else(|| 300.min((MEMORY / n).max(20)))
            .min(n);
        spectrum::of_products(here, g, limit, self.confidence, DEGENERATE, stream, newton)
    }
}

/// `out` = Hv of the curvature that the oracle keeps.
fn multiply(oracle: &mut dyn Oracle, v: &[f64], out: &mut [f64]) -> Result<(), Abort> {
    let Curvature::Matrix(view) = oracle.curvature() else {
        return oracle.product(v, out);
    };
    match view {
        SymView::Gram(gram) => gram.mul(0.0, v, out),
        SymView::RankOne { weight, vector } => {
            let c = weight * crate::parallel::dot(vector, v);
            for (out, w) in out.iter_mut().zip(vector) {
                *out = c * w;
            }
        }
        // The oracle has checked the shape.
        _ => {
            let _ = sym_mul(view, v, out);
        }
    }
    Ok(())
}

impl<P: VecLike, C> Run<P, C> {
    /// Certifies [`x`](Run::x), however the run ended, with the default [`Certifier`].
    ///
    /// # Errors
    /// As [`Certifier::at`].
    pub fn certify<O: Smooth<C, Point = P>>(&self, problem: &O) -> Result<Certificate, Error> {
        self.certify_with(&Certifier::new(), problem)
    }

    /// [`certify`](Run::certify) with options.
    ///
    /// # Errors
    /// As [`Certifier::at`].
    pub fn certify_with<O: Smooth<C, Point = P>>(
        &self,
        options: &Certifier,
        problem: &O,
    ) -> Result<Certificate, Error> {
        options.at::<C, O>(problem, &self.x)
    }
}

impl<M: Method, C> Raphson<M, C> {
    /// Certifies a point with derivatives from the solver's own source; under argmin
    /// `result.solver.certify(&problem, &best_param)`.
    ///
    /// # Errors
    /// As [`Certifier::at`].
    pub fn certify<O: Smooth<C>>(&self, problem: &O, x: &O::Point) -> Result<Certificate, Error> {
        Certifier::new().at::<C, O>(problem, x)
    }
}
