//! The unconstrained problems of Moré, Garbow and Hillstrom.

use crate::autodiff::{self, Number, ScalarFunction, VectorFunction};
use crate::error::Error;
use crate::problem::HessianProduct;
use argmin::core::{CostFunction, Error as HostError, Gradient, Hessian, Jacobian, Operator};
use faer::Mat;

mod algebraic;
mod facts;
mod fitting;
mod optima;
mod variable;

use facts::{FACTS, Facts};
pub use optima::Optimum;

/// The 35 problems in the order of the paper; the number of a problem is its value as `usize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the names say all there is to say
pub enum MghProblem {
    Rosenbrock = 1,
    FreudensteinRoth,
    PowellBadlyScaled,
    BrownBadlyScaled,
    Beale,
    JennrichSampson,
    HelicalValley,
    Bard,
    Gaussian,
    Meyer,
    Gulf,
    BoxThreeDimensional,
    PowellSingular,
    Wood,
    KowalikOsborne,
    BrownDennis,
    Osborne1,
    BiggsExp6,
    Osborne2,
    Watson,
    ExtendedRosenbrock,
    ExtendedPowellSingular,
    Penalty1,
    Penalty2,
    VariablyDimensioned,
    Trigonometric,
    BrownAlmostLinear,
    DiscreteBoundaryValue,
    DiscreteIntegralEquation,
    BroydenTridiagonal,
    BroydenBanded,
    LinearFullRank,
    LinearRank1,
    LinearRank1WithZeros,
    Chebyquad,
}

impl MghProblem {
    /// The problem with this number in the paper.
    ///
    /// ```
    /// use raphson::problems::MghProblem;
    /// assert_eq!(MghProblem::from_number(14), Some(MghProblem::Wood));
    /// assert_eq!(MghProblem::from_number(36), None);
    /// ```
    pub fn from_number(number: usize) -> Option<Self> {
        let facts = FACTS.get(number.checked_sub(1)?)?;
        Some(facts.problem)
    }

    fn facts(self) -> &'static Facts {
        &FACTS[self as usize - 1]
    }
}

/// A problem of Moré, Garbow and Hillstrom: f(x) = Σ rᵢ(x)² with n variables and m residuals.
///
/// There is no factor ½. Derivatives are exact, by [`autodiff`](crate::autodiff): the
/// type implements argmin's `CostFunction`, `Gradient`, `Hessian` (dense) and our
/// [`HessianProduct`], and for the residuals `Operator` and `Jacobian`. A value that
/// overflows, or lies outside the domain of a residual, is infinite or NaN; no point
/// of the right length is an error.
///
/// At the kinks of two problems derivatives are not defined: Gulf where
/// x₂ = yᵢ = 25 + (−50 ln tᵢ)^⅔ for some i, and the helical valley on the axis x₁ = x₂ = 0;
/// on its half plane x₁ = 0, x₂ < 0 the helical valley jumps.
///
/// Source: J. J. Moré, B. S. Garbow and K. E. Hillstrom, *Testing unconstrained
/// optimization software*, ACM Transactions on Mathematical Software 7 (1981) 17–41,
/// section 3.
///
/// ```
/// use argmin::core::{CostFunction, Operator};
/// use raphson::DampedNewton;
/// use raphson::problems::{Mgh, MghProblem};
///
/// let wood = Mgh::new(MghProblem::Wood);
/// assert_eq!((wood.number(), wood.name()), (14, "Wood"));
/// assert!((wood.cost(&wood.start())? - 19192.0).abs() < 1e-9);
/// assert_eq!(wood.apply(&wood.start())?.len(), wood.residual_count());
/// let run = DampedNewton::new().minimize(&wood, wood.start())?;
/// assert!(run.converged() && run.f < 1e-12);
///
/// let broyden = Mgh::new(MghProblem::BroydenTridiagonal).with_dimension(50)?;
/// assert_eq!(broyden.start(), vec![-1.0; 50]);
/// # Ok::<(), argmin::core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mgh {
    problem: MghProblem,
    n: usize,
    m: usize,
}

impl Mgh {
    /// In the usual dimensions.
    pub fn new(problem: MghProblem) -> Self {
        let n = problem.facts().variables.usual;
        let m = problem.facts().residuals.usual(n);
        Mgh { problem, n, m }
    }

    /// All 35 in the usual dimensions.
    pub fn all() -> Vec<Mgh> {
        FACTS.iter().map(|facts| Mgh::new(facts.problem)).collect()
    }

    /// In `n` variables, with the usual number of residuals for them.
    ///
    /// # Errors
    /// A number that the problem is not defined for.
    ///
    /// ```
    /// use raphson::problems::{Mgh, MghProblem};
    /// assert!(Mgh::new(MghProblem::Watson).with_dimension(12).is_ok());
    /// assert!(Mgh::new(MghProblem::Watson).with_dimension(32).is_err());
    /// assert!(Mgh::new(MghProblem::Beale).with_dimension(3).is_err());
    /// ```
    pub fn with_dimension(self, n: usize) -> Result<Self, Error> {
        let facts = self.problem.facts();
        facts.variables.check(n)?;
        let m = facts.residuals.usual(n);
        Ok(Mgh { n, m, ..self })
    }

    /// With `m` residuals.
    ///
    /// # Errors
    /// A number that the problem is not defined for.
    ///
    /// ```
    /// use raphson::problems::{Mgh, MghProblem};
    /// let full = Mgh::new(MghProblem::LinearFullRank).with_residual_count(50)?;
    /// assert_eq!(full.minimum(), Some(45.0));
    /// assert!(Mgh::new(MghProblem::Bard).with_residual_count(16).is_err());
    /// # Ok::<(), raphson::Error>(())
    /// ```
    pub fn with_residual_count(self, m: usize) -> Result<Self, Error> {
        self.problem.facts().residuals.check(self.n, m)?;
        Ok(Mgh { m, ..self })
    }

    /// Which problem this is.
    pub fn problem(&self) -> MghProblem {
        self.problem
    }

    /// The name in the paper.
    pub fn name(&self) -> &'static str {
        self.problem.facts().name
    }

    /// The number in the paper, 1 to 35.
    pub fn number(&self) -> usize {
        self.problem as usize
    }

    /// The number n of variables.
    pub fn dimension(&self) -> usize {
        self.n
    }

    /// The number m of residuals.
    pub fn residual_count(&self) -> usize {
        self.m
    }

    /// The standard start x₀.
    pub fn start(&self) -> Vec<f64> {
        (self.problem.facts().start)(self.n)
    }

    /// `factor`·x₀, for 10 and 100 the far starts of the paper; where x₀ = 0 all
    /// entries are `factor`.
    pub fn scaled_start(&self, factor: f64) -> Vec<f64> {
        let mut x = self.start();
        if x.iter().all(|x| *x == 0.0) {
            x.fill(1.0);
        }
        x.iter_mut().for_each(|x| *x *= factor);
        x
    }

    /// The known optima in these dimensions, the lowest first; empty if none is known.
    ///
    /// Those of the paper, in full double precision, with further minimizers where
    /// they have a closed form. See [`Optimum`].
    pub fn optima(&self) -> Vec<Optimum> {
        (self.problem.facts().optima)(self.n, self.m)
    }

    /// The lowest known optimum.
    pub fn minimum(&self) -> Option<f64> {
        self.optima().first().map(|optimum| optimum.value)
    }

    /// The known points of [`optima`](Mgh::optima).
    pub fn minimizers(&self) -> Vec<Vec<f64>> {
        let optima = self.optima().into_iter();
        optima.filter_map(|optimum| optimum.minimizer).collect()
    }
}

impl VectorFunction for Mgh {
    fn dimension(&self) -> usize {
        self.n
    }
    fn output_count(&self) -> usize {
        self.m
    }
    fn values<T: Number>(&self, x: &[T], r: &mut [T]) {
        use MghProblem::*;
        match self.problem {
            Rosenbrock => algebraic::rosenbrock(x, r),
            FreudensteinRoth => algebraic::freudenstein_roth(x, r),
            PowellBadlyScaled => algebraic::powell_badly_scaled(x, r),
            BrownBadlyScaled => algebraic::brown_badly_scaled(x, r),
            Beale => algebraic::beale(x, r),
            JennrichSampson => fitting::jennrich_sampson(x, r),
            HelicalValley => algebraic::helical_valley(x, r),
            Bard => fitting::bard(x, r),
            Gaussian => fitting::gaussian(x, r),
            Meyer => fitting::meyer(x, r),
            Gulf => fitting::gulf(x, r),
            BoxThreeDimensional => fitting::box_three_dimensional(x, r),
            PowellSingular => algebraic::powell_singular(x, r),
            Wood => algebraic::wood(x, r),
            KowalikOsborne => fitting::kowalik_osborne(x, r),
            BrownDennis => fitting::brown_dennis(x, r),
            Osborne1 => fitting::osborne_1(x, r),
            BiggsExp6 => fitting::biggs(x, r),
            Osborne2 => fitting::osborne_2(x, r),
            Watson => variable::watson(x, r),
            ExtendedRosenbrock => variable::extended_rosenbrock(x, r),
            ExtendedPowellSingular => variable::extended_powell_singular(x, r),
            Penalty1 => variable::penalty_1(x, r),
            Penalty2 => variable::penalty_2(x, r),
            VariablyDimensioned => variable::variably_dimensioned(x, r),
            Trigonometric => variable::trigonometric(x, r),
            BrownAlmostLinear => variable::brown_almost_linear(x, r),
            DiscreteBoundaryValue => variable::discrete_boundary_value(x, r),
            DiscreteIntegralEquation => variable::discrete_integral_equation(x, r),
            BroydenTridiagonal => variable::broyden_tridiagonal(x, r),
            BroydenBanded => variable::broyden_banded(x, r),
            LinearFullRank => variable::linear_full_rank(x, r),
            LinearRank1 => variable::linear_rank_1(x, r),
            LinearRank1WithZeros => variable::linear_rank_1_with_zeros(x, r),
            Chebyquad => variable::chebyquad(x, r),
        }
    }
}

impl ScalarFunction for Mgh {
    fn dimension(&self) -> usize {
        self.n
    }
    fn value<T: Number>(&self, x: &[T]) -> T {
        let mut r = vec![T::zero(); self.m];
        self.values(x, &mut r);
        r.iter().map(|r| *r * *r).sum()
    }
}

impl CostFunction for Mgh {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, HostError> {
        Ok(autodiff::value(self, x)?)
    }
}

impl Gradient for Mgh {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(autodiff::gradient(self, x)?)
    }
}

impl Hessian for Mgh {
    type Param = Vec<f64>;
    type Hessian = Mat<f64>;
    fn hessian(&self, x: &Vec<f64>) -> Result<Mat<f64>, HostError> {
        Ok(autodiff::hessian(self, x)?)
    }
}

impl HessianProduct for Mgh {
    type Param = Vec<f64>;
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<(), HostError> {
        Ok(autodiff::hessian_product(self, x, v, out)?)
    }
}

impl Operator for Mgh {
    type Param = Vec<f64>;
    type Output = Vec<f64>;
    fn apply(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(autodiff::values(self, x)?)
    }
}

impl Jacobian for Mgh {
    type Param = Vec<f64>;
    type Jacobian = Mat<f64>;
    fn jacobian(&self, x: &Vec<f64>) -> Result<Mat<f64>, HostError> {
        Ok(autodiff::jacobian(self, x)?)
    }
}
