//! The direction z: its shift t, its accuracy, and penalties for which M falls along it.

use super::core::Options;
use super::inner::direct::Direct;
use super::inner::minres::Minres;
use super::inner::sketch::{Projection, Sketcher, stream};
use super::inner::{Inner, InnerSolver, Solution, System, hessian_times};
use super::merit::{MeritGradient, Penalties};
use super::point::Point;
use crate::edge::SymView;
use crate::error::Error;
use crate::linear::{Inertia, diagonal_range, for_each_lower};
use crate::oracle::{Counted, Curvature, Oracle};
use crate::parallel::{dot, norm};
use crate::step::Fault;
use crate::stochastic::Stream;

/// The first shift is this part of max |H|, each further one this many times the last.
const FIRST_SHIFT: f64 = 1e-2;
const SHIFT_FACTOR: f64 = 4.0;
/// After a step with a shift the first one is this part of it.
const SHIFT_DECAY: f64 = 1.0 / 3.0;
/// Shifts tried at one point, and those after which a system is taken to have no solution.
const SHIFTS: u32 = 30;
const ACCURATE_SHIFTS: u32 = 3;
/// Rounds of penalties tried with one shift.
const ROUNDS: u32 = 60;
/// Largest n + m for which [`Inner::Auto`] factors at once: for less than a millisecond the inertia is known.
const SMALL: usize = 200;
/// Direct solves by which MINRES may fall behind.
const PATIENCE: f64 = 10.0;
/// uᵀBu must be at least this part of max |H| ‖u‖²; the test is moot if ‖u‖² is below the second
/// part of ‖p‖².
const CURVATURE: f64 = 1e-8;
const NORMAL: f64 = 1e-12;

/// The solver of the linear systems, with what it must remember.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Newton {
    random: Stream,
    /// What [`Inner::Auto`] stands for.
    auto: Inner,
    /// By how many direct solves MINRES is behind since it was ahead last.
    behind: f64,
    /// The t to start with.
    floor: f64,
    /// t of the last step.
    shift: f64,
    /// t of the last step that had one.
    last_shift: f64,
    /// The t to start with where curvature was lacking at the last point too.
    kept: f64,
    /// Whether the last system had no solution: dependent constraints that contradict each other.
    deficient: bool,
    #[cfg_attr(feature = "serde", serde(skip))]
    solvers: Solvers,
}

/// Made again at the next step.
#[derive(Debug, Default)]
struct Solvers {
    chosen: Inner,
    direct: Direct,
    minres: Minres,
    projection: Option<Projection>,
    solution: Solution,
    /// max |H| at the last point.
    scale: f64,
    tangent: Vec<f64>,
    product: Vec<f64>,
}

impl Solvers {
    /// What the last system cost MINRES, in direct solves of it.
    fn price(&mut self, oracle: &mut Counted<'_>, system: System<'_>) -> Result<f64, Fault> {
        let [load, iteration] = self.minres.work(oracle, system);
        let spent = load + iteration * self.minres.iterations() as f64;
        let price = spent / self.direct.least_work(oracle, system)?;
        if price <= 1.0 {
            return Ok(price);
        }
        // The exact count takes an analysis of K, which may never be needed.
        Ok(spent / self.direct.work(oracle, system)?)
    }
}

/// Factors are not copied: a clone makes its own.
impl Clone for Solvers {
    fn clone(&self) -> Self {
        Solvers::default()
    }
}

impl Default for Newton {
    fn default() -> Self {
        Newton {
            random: stream(0),
            auto: Inner::Auto,
            behind: 0.0,
            floor: 0.0,
            shift: 0.0,
            last_shift: 0.0,
            kept: 0.0,
            deficient: false,
            solvers: Solvers::default(),
        }
    }
}

/// What a direction is sought for.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) at: &'a Point,
    pub(super) options: &'a Options,
    /// θ in ‖Kz + N‖ ≤ θδ‖N‖.
    pub(super) forcing: f64,
    /// A length in the units of x.
    pub(super) reach: f64,
}

/// What one shift gave.
enum Attempt {
    /// The derivative of M along z.
    Descent(f64),
    /// B may be indefinite on the kernel of G.
    Indefinite,
    /// The system was not solved; z is what there is.
    Unsolved,
}

impl Newton {
    pub(super) fn reset(&mut self, seed: u64) {
        self.random = stream(seed);
        self.auto = Inner::Auto;
        self.behind = 0.0;
        (self.floor, self.shift, self.last_shift, self.kept) = (0.0, 0.0, 0.0, 0.0);
        self.deficient = false;
    }

    pub(super) fn shift(&self) -> f64 {
        self.shift
    }

    /// After a step much shorter than z: the next z is sought with a larger t.
    pub(super) fn was_too_long(&mut self) {
        self.floor = SHIFT_FACTOR * self.shift.max(FIRST_SHIFT * self.solvers.scale);
    }

    /// After a full step.
    pub(super) fn was_right(&mut self) {
        self.floor = 0.0;
    }

    pub(super) fn is_deficient(&self) -> bool {
        self.deficient
    }

    /// Settles which solver serves for the curvature that the oracle keeps.
    pub(super) fn choose(
        &mut self,
        oracle: &mut Counted<'_>,
        at: &Point,
        options: &Options,
    ) -> Result<(), Fault> {
        let products = matches!(oracle.curvature(), Curvature::Products);
        self.solvers.chosen = match options.inner {
            Inner::Auto if products => Inner::Minres,
            Inner::Auto => {
                if self.auto == Inner::Auto {
                    let small = at.residual.len() <= SMALL;
                    self.auto = if small { Inner::Direct } else { Inner::Minres };
                }
                self.auto
            }
            other => other,
        };
        if products && self.solvers.chosen != Inner::Minres {
            let requirement = "Auto or Minres where the Hessian is known by its products";
            let error = Error::parameter("inner", format!("{:?}", options.inner), requirement);
            oracle.fail(error);
            return Err(Fault::Abort);
        }
        if let Inner::Sketch(sketch) = self.solvers.chosen
            && self.solvers.projection.is_none()
        {
            self.solvers.projection = Some(Projection::new(sketch));
        }
        Ok(())
    }

    /// Writes z; the derivative of M along it, or none if there is no descent.
    ///
    /// Solves with t = 0, the floor or the t that is kept first, and with larger t while the inertia of K is wrong, or, where it is not
    /// known, while the curvature along the tangential part of p is not positive or no penalties
    /// make z a descent.
    pub(super) fn find(
        &mut self,
        oracle: &mut Counted<'_>,
        found: Found<'_>,
        penalties: &mut Penalties,
        merit: &mut MeritGradient,
        z: &mut Vec<f64>,
    ) -> Result<Option<f64>, Fault> {
        let at = found.at;
        let n = at.x.len();
        hessian_times(oracle, &at.residual[..n], &mut merit.gradient[..n])?;
        let scale = self.scale(oracle, found, &merit.gradient[..n]);
        let before = *penalties;
        self.solvers.scale = scale;
        let kept = std::mem::take(&mut self.kept);
        let mut starts_kept = kept > FIRST_SHIFT * scale && kept > self.floor;
        let mut shift = if starts_kept { kept } else { self.floor };
        let mut unsolved = 0;
        self.deficient = false;
        for _ in 0..SHIFTS {
            *penalties = before;
            self.shift = shift;
            let system = System { at, shift };
            let attempt = self.attempt(oracle, system, found, penalties, merit, scale)?;
            if self.gives_way(oracle, system, found.options, &attempt)? {
                continue;
            }
            match attempt {
                Attempt::Descent(slope) => {
                    if shift > 0.0 {
                        self.last_shift = shift;
                    }
                    if unsolved == 0 {
                        self.kept = SHIFT_DECAY * shift;
                    }
                    z.clone_from(&self.solvers.solution.z);
                    return Ok(Some(slope));
                }
                Attempt::Indefinite => {}
                // Not for lack of curvature: from the beginning.
                Attempt::Unsolved if starts_kept => {
                    starts_kept = false;
                    shift = self.floor;
                    continue;
                }
                Attempt::Unsolved => {
                    unsolved += 1;
                    if unsolved == ACCURATE_SHIFTS {
                        *penalties = before;
                        let slope = self.towards_feasibility(found, penalties, merit, z);
                        if slope.is_none() {
                            *penalties = before;
                        }
                        return Ok(slope);
                    }
                }
            }
            shift = self.next_shift(shift, scale, found);
        }
        *penalties = before;
        Ok(None)
    }

    /// Whether [`Inner::Auto`] leaves MINRES for good, and this shift has to be tried again.
    ///
    /// It does where a system was not solved, or where MINRES has fallen behind by more than
    /// [`PATIENCE`].
    fn gives_way(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
        options: &Options,
        attempt: &Attempt,
    ) -> Result<bool, Fault> {
        let products = matches!(oracle.curvature(), Curvature::Products);
        if options.inner != Inner::Auto || self.solvers.chosen != Inner::Minres || products {
            return Ok(false);
        }
        let unsolved = matches!(attempt, Attempt::Unsolved);
        self.behind = (self.behind + self.solvers.price(oracle, system)? - 1.0).max(0.0);
        if unsolved || self.behind > PATIENCE {
            self.auto = Inner::Direct;
        }
        if unsolved {
            self.solvers.chosen = Inner::Direct;
        }
        Ok(unsolved)
    }

    /// Solves with one shift, and raises the penalties until M falls along the solution.
    fn attempt(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
        found: Found<'_>,
        penalties: &mut Penalties,
        merit: &MeritGradient,
        scale: f64,
    ) -> Result<Attempt, Fault> {
        let at = found.at;
        let (n, m, size) = (at.x.len(), at.c.len(), at.size());
        let mut solution = std::mem::take(&mut self.solvers.solution);
        let mut tried = || -> Result<Attempt, Fault> {
            let inertia = self.with_solver(|solver| solver.load(oracle, system))?;
            if inertia.is_some_and(|i| (i.positive, i.negative) != (n, m)) {
                return Ok(Attempt::Indefinite);
            }
            solution.reset(at);
            for _ in 0..ROUNDS {
                let target = found.forcing * penalties.accuracy * size;
                if solution.size > target
                    && !self.with_solver(|s| s.improve(oracle, system, &mut solution, target))?
                {
                    return Ok(Attempt::Unsolved);
                }
                if inertia.is_none() && !self.is_curved(oracle, system, &solution, scale)? {
                    return Ok(Attempt::Indefinite);
                }
                let slope = merit.along(at, &solution.z).at(penalties);
                if slope <= -0.5 * penalties.gradient * size * size {
                    return Ok(Attempt::Descent(slope));
                }
                penalties.raise(found.options.factor, found.options.least_accuracy);
                if penalties.are_exhausted(&found.options.penalties) {
                    break;
                }
            }
            Ok(Attempt::Indefinite)
        };
        let tried = tried();
        self.solvers.solution = solution;
        tried
    }

    fn with_solver<T>(&mut self, run: impl FnOnce(&mut dyn InnerSolver) -> T) -> T {
        let solvers = &mut self.solvers;
        match solvers.chosen {
            Inner::Minres => run(&mut solvers.minres),
            Inner::Sketch(sketch) => run(&mut Sketcher {
                projection: solvers
                    .projection
                    .get_or_insert_with(|| Projection::new(sketch)),
                random: &mut self.random,
            }),
            Inner::Direct | Inner::Auto => run(&mut solvers.direct),
        }
    }

    /// Whether uᵀBu is positive for the part u of p in the kernel of G, as far as it matters.
    fn is_curved(
        &mut self,
        oracle: &mut Counted<'_>,
        system: System<'_>,
        solution: &Solution,
        scale: f64,
    ) -> Result<bool, Fault> {
        let p = &solution.z[..system.n()];
        let mut tangent = std::mem::take(&mut self.solvers.tangent);
        tangent.clear();
        tangent.extend_from_slice(p);
        let projected = self.with_solver(|solver| solver.tangent(system, &mut tangent));
        let Solvers { product, .. } = &mut self.solvers;
        product.resize(p.len(), 0.0);
        let multiplied = hessian_times(oracle, &tangent, product);
        let length = dot(&tangent, &tangent);
        let curvature = dot(&tangent, product) + system.shift * length;
        self.solvers.tangent = tangent;
        projected.and(multiplied)?;
        let matters = length > NORMAL * dot(p, p);
        Ok(!matters || curvature >= CURVATURE * scale * length)
    }

    /// Where the system has no solution: p brings c towards its least norm, λ stays.
    fn towards_feasibility(
        &mut self,
        found: Found<'_>,
        penalties: &mut Penalties,
        merit: &MeritGradient,
        z: &mut Vec<f64>,
    ) -> Option<f64> {
        self.deficient = true;
        z.clone_from(&self.solvers.solution.z);
        z[found.at.x.len()..].fill(0.0);
        let (derivative, size) = (merit.along(found.at, z), found.at.size());
        for _ in 0..ROUNDS {
            let slope = derivative.at(penalties);
            if slope <= -0.5 * penalties.gradient * size * size {
                return Some(slope);
            }
            penalties.raise(found.options.factor, found.options.least_accuracy);
            if penalties.are_exhausted(&found.options.penalties) {
                break;
            }
        }
        None
    }

    /// max |H|, or where that is unknown ‖H∇L‖/‖∇L‖.
    fn scale(&mut self, oracle: &mut Counted<'_>, found: Found<'_>, product: &[f64]) -> f64 {
        let mut largest = 0.0f64;
        match oracle.curvature() {
            Curvature::Matrix(view @ SymView::Gram(_)) => {
                largest = diagonal_range(view).map_or(0.0, |range| range.max_abs);
            }
            Curvature::Matrix(view) => {
                for_each_lower(view, &mut |_, _, a| largest = largest.max(a.abs()));
            }
            Curvature::Products if found.at.slope > 0.0 => {
                largest = norm(product) / found.at.slope;
            }
            Curvature::Products => {}
        }
        if largest.is_finite() { largest } else { 0.0 }
    }

    /// The shift to try after this one.
    ///
    /// Where H is zero, the first is a gradient over a length, and later ones fall without bound.
    fn next_shift(&self, shift: f64, scale: f64, found: Found<'_>) -> f64 {
        if shift > 0.0 {
            return SHIFT_FACTOR * shift;
        }
        let least = if scale > 0.0 {
            scale
        } else if self.last_shift > 0.0 {
            0.0
        } else {
            let by_length = norm(&found.at.gradient).max(found.at.pull) / found.reach;
            if by_length > 0.0 && by_length.is_finite() {
                by_length
            } else {
                1.0
            }
        };
        (FIRST_SHIFT * least).max(SHIFT_DECAY * self.last_shift)
    }

    /// The inertia of K at a point without a shift, if the solver factors; costs a Hessian.
    pub(super) fn inertia(
        &mut self,
        oracle: &mut Counted<'_>,
        at: &Point,
        options: &Options,
    ) -> Result<Option<Inertia>, Fault> {
        if matches!(options.inner, Inner::Minres | Inner::Sketch(_)) {
            return Ok(None);
        }
        oracle.refresh_lagrangian(&at.x, &at.multipliers)?;
        self.choose(oracle, at, options)?;
        if self.solvers.chosen != Inner::Direct {
            return Ok(None);
        }
        let system = System { at, shift: 0.0 };
        self.with_solver(|solver| solver.load(oracle, system))
    }
}
