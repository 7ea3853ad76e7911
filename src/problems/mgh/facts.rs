//! Dimensions, starts and optima of the 35 problems, in the order of the paper.

use super::MghProblem::{self, *};
use super::optima::{self, Optimum, at, nowhere};
use crate::error::Error;

pub struct Facts {
    pub problem: MghProblem,
    pub name: &'static str,
    pub variables: Variables,
    pub residuals: Residuals,
    pub start: fn(usize) -> Vec<f64>,
    /// The known optima for n variables and m residuals, the lowest first.
    pub optima: fn(usize, usize) -> Vec<Optimum>,
}

/// The numbers n of variables that a problem is defined for.
pub struct Variables {
    pub usual: usize,
    least: usize,
    most: usize,
    multiple: usize,
}

impl Variables {
    const fn fixed(n: usize) -> Self {
        Variables::any(n, n, n, 1)
    }

    const fn any(usual: usize, least: usize, most: usize, multiple: usize) -> Self {
        Variables {
            usual,
            least,
            most,
            multiple,
        }
    }

    pub fn check(&self, n: usize) -> Result<(), Error> {
        if (self.least..=self.most).contains(&n) && n.is_multiple_of(self.multiple) {
            return Ok(());
        }
        Err(Error::parameter(
            "n",
            n,
            "a number of variables that the problem is defined for",
        ))
    }
}

/// The numbers m of residuals.
pub enum Residuals {
    /// Given by n.
    Of(fn(usize) -> usize),
    /// Anything from n on up to `most`.
    Free {
        usual: fn(usize) -> usize,
        most: usize,
    },
}

impl Residuals {
    pub fn usual(&self, n: usize) -> usize {
        match self {
            Residuals::Of(count) => count(n),
            Residuals::Free { usual, .. } => usual(n),
        }
    }

    pub fn check(&self, n: usize, m: usize) -> Result<(), Error> {
        let allowed = match self {
            Residuals::Of(count) => m == count(n),
            Residuals::Free { most, .. } => (n..=*most).contains(&m),
        };
        if allowed {
            return Ok(());
        }
        Err(Error::parameter(
            "m",
            m,
            "a number of residuals that the problem is defined for",
        ))
    }
}

const ANY: usize = usize::MAX;

pub static FACTS: [Facts; 35] = [
    Facts {
        problem: Rosenbrock,
        name: "Rosenbrock",
        variables: Variables::fixed(2),
        residuals: Residuals::Of(|_| 2),
        start: |_| vec![-1.2, 1.0],
        optima: |n, _| vec![at(0.0, vec![1.0; n])],
    },
    Facts {
        problem: FreudensteinRoth,
        name: "Freudenstein and Roth",
        variables: Variables::fixed(2),
        residuals: Residuals::Of(|_| 2),
        start: |_| vec![0.5, -2.0],
        optima: |_, _| optima::freudenstein_roth(),
    },
    Facts {
        problem: PowellBadlyScaled,
        name: "Powell badly scaled",
        variables: Variables::fixed(2),
        residuals: Residuals::Of(|_| 2),
        start: |_| vec![0.0, 1.0],
        optima: |_, _| vec![at(0.0, optima::POWELL_BADLY_SCALED.to_vec())],
    },
    Facts {
        problem: BrownBadlyScaled,
        name: "Brown badly scaled",
        variables: Variables::fixed(2),
        residuals: Residuals::Of(|_| 3),
        start: |_| vec![1.0, 1.0],
        optima: |_, _| vec![at(0.0, vec![1e6, 2e-6])],
    },
    Facts {
        problem: Beale,
        name: "Beale",
        variables: Variables::fixed(2),
        residuals: Residuals::Of(|_| 3),
        start: |_| vec![1.0, 1.0],
        optima: |_, _| vec![at(0.0, vec![3.0, 0.5])],
    },
    Facts {
        problem: JennrichSampson,
        name: "Jennrich and Sampson",
        variables: Variables::fixed(2),
        residuals: Residuals::Free {
            usual: |_| 10,
            most: ANY,
        },
        start: |_| vec![0.3, 0.4],
        optima: |_, m| optima::computed_for(m, &optima::JENNRICH_SAMPSON),
    },
    Facts {
        problem: HelicalValley,
        name: "helical valley",
        variables: Variables::fixed(3),
        residuals: Residuals::Of(|_| 3),
        start: |_| vec![-1.0, 0.0, 0.0],
        optima: |_, _| vec![at(0.0, vec![1.0, 0.0, 0.0])],
    },
    Facts {
        problem: Bard,
        name: "Bard",
        variables: Variables::fixed(3),
        residuals: Residuals::Of(|_| 15),
        start: |_| vec![1.0; 3],
        optima: |_, m| optima::with_infinite(m, &optima::BARD, optima::BARD_AT_INFINITY),
    },
    Facts {
        problem: Gaussian,
        name: "Gaussian",
        variables: Variables::fixed(3),
        residuals: Residuals::Of(|_| 15),
        start: |_| vec![0.4, 1.0, 0.0],
        optima: |_, m| optima::computed_for(m, &optima::GAUSSIAN),
    },
    Facts {
        problem: Meyer,
        name: "Meyer",
        variables: Variables::fixed(3),
        residuals: Residuals::Of(|_| 16),
        start: |_| vec![0.02, 4000.0, 250.0],
        optima: |_, m| optima::computed_for(m, &optima::MEYER),
    },
    Facts {
        problem: Gulf,
        name: "Gulf research and development",
        variables: Variables::fixed(3),
        residuals: Residuals::Free {
            usual: |_| 99,
            most: 100,
        },
        start: |_| vec![5.0, 2.5, 0.15],
        optima: |_, _| vec![at(0.0, vec![50.0, 25.0, 1.5])],
    },
    Facts {
        problem: BoxThreeDimensional,
        name: "Box three-dimensional",
        variables: Variables::fixed(3),
        residuals: Residuals::Free {
            usual: |_| 10,
            most: ANY,
        },
        start: |_| vec![0.0, 10.0, 20.0],
        // And all points with x₁ = x₂ and x₃ = 0, of which one is listed.
        optima: |_, _| {
            let points = [[1.0, 10.0, 1.0], [10.0, 1.0, -1.0], [1.0, 1.0, 0.0]];
            points.iter().map(|x| at(0.0, x.to_vec())).collect()
        },
    },
    Facts {
        problem: PowellSingular,
        name: "Powell singular",
        variables: Variables::fixed(4),
        residuals: Residuals::Of(|_| 4),
        start: |n| repeated(&[3.0, -1.0, 0.0, 1.0], n),
        optima: |n, _| vec![at(0.0, vec![0.0; n])],
    },
    Facts {
        problem: Wood,
        name: "Wood",
        variables: Variables::fixed(4),
        residuals: Residuals::Of(|_| 6),
        start: |_| vec![-3.0, -1.0, -3.0, -1.0],
        optima: |n, _| vec![at(0.0, vec![1.0; n])],
    },
    Facts {
        problem: KowalikOsborne,
        name: "Kowalik and Osborne",
        variables: Variables::fixed(4),
        residuals: Residuals::Of(|_| 11),
        start: |_| vec![0.25, 0.39, 0.415, 0.39],
        optima: |_, m| {
            optima::with_infinite(m, &optima::KOWALIK_OSBORNE, optima::KOWALIK_AT_INFINITY)
        },
    },
    Facts {
        problem: BrownDennis,
        name: "Brown and Dennis",
        variables: Variables::fixed(4),
        residuals: Residuals::Free {
            usual: |_| 20,
            most: ANY,
        },
        start: |_| vec![25.0, 5.0, -5.0, -1.0],
        optima: |_, m| optima::computed_for(m, &optima::BROWN_DENNIS),
    },
    Facts {
        problem: Osborne1,
        name: "Osborne 1",
        variables: Variables::fixed(5),
        residuals: Residuals::Of(|_| 33),
        start: |_| vec![0.5, 1.5, -1.0, 0.01, 0.02],
        optima: |_, m| optima::computed_for(m, &optima::OSBORNE_1),
    },
    Facts {
        problem: BiggsExp6,
        name: "Biggs EXP6",
        variables: Variables::fixed(6),
        residuals: Residuals::Free {
            usual: |_| 13,
            most: ANY,
        },
        start: |_| vec![1.0, 2.0, 1.0, 1.0, 1.0, 1.0],
        optima: |_, m| {
            let mut known = vec![at(0.0, vec![1.0, 10.0, 1.0, 5.0, 4.0, 3.0])];
            known.extend(optima::computed_for(m, &optima::BIGGS));
            known
        },
    },
    Facts {
        problem: Osborne2,
        name: "Osborne 2",
        variables: Variables::fixed(11),
        residuals: Residuals::Of(|_| 65),
        start: |_| vec![1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5],
        optima: |_, m| optima::computed_for(m, &optima::OSBORNE_2),
    },
    Facts {
        problem: Watson,
        name: "Watson",
        variables: Variables::any(6, 2, 31, 1),
        residuals: Residuals::Of(|_| 31),
        start: |n| vec![0.0; n],
        optima: |n, _| optima::computed_for(n, &optima::WATSON),
    },
    Facts {
        problem: ExtendedRosenbrock,
        name: "extended Rosenbrock",
        variables: Variables::any(10, 2, ANY, 2),
        residuals: Residuals::Of(|n| n),
        start: |n| repeated(&[-1.2, 1.0], n),
        optima: |n, _| vec![at(0.0, vec![1.0; n])],
    },
    Facts {
        problem: ExtendedPowellSingular,
        name: "extended Powell singular",
        variables: Variables::any(12, 4, ANY, 4),
        residuals: Residuals::Of(|n| n),
        start: |n| repeated(&[3.0, -1.0, 0.0, 1.0], n),
        optima: |n, _| vec![at(0.0, vec![0.0; n])],
    },
    Facts {
        problem: Penalty1,
        name: "penalty I",
        variables: Variables::any(4, 1, ANY, 1),
        residuals: Residuals::Of(|n| n + 1),
        start: |n| numbered(n, |j| j),
        optima: |n, _| vec![optima::penalty_1(n)],
    },
    Facts {
        problem: Penalty2,
        name: "penalty II",
        variables: Variables::any(4, 1, ANY, 1),
        residuals: Residuals::Of(|n| 2 * n),
        start: |n| vec![0.5; n],
        optima: |n, _| optima::computed_for(n, &optima::PENALTY_2),
    },
    Facts {
        problem: VariablyDimensioned,
        name: "variably dimensioned",
        variables: Variables::any(10, 1, ANY, 1),
        residuals: Residuals::Of(|n| n + 2),
        start: |n| numbered(n, |j| 1.0 - j / n as f64),
        optima: |n, _| vec![at(0.0, vec![1.0; n])],
    },
    Facts {
        problem: Trigonometric,
        name: "trigonometric",
        variables: Variables::any(10, 1, ANY, 1),
        residuals: Residuals::Of(|n| n),
        start: |n| vec![1.0 / n as f64; n],
        optima: |n, _| {
            let mut known = vec![at(0.0, vec![0.0; n])];
            known.extend(optima::computed_for(n, &optima::TRIGONOMETRIC));
            known
        },
    },
    Facts {
        problem: BrownAlmostLinear,
        name: "Brown almost-linear",
        variables: Variables::any(10, 1, ANY, 1),
        residuals: Residuals::Of(|n| n),
        start: |n| vec![0.5; n],
        optima: |n, _| optima::brown_almost_linear(n),
    },
    Facts {
        problem: DiscreteBoundaryValue,
        name: "discrete boundary value",
        variables: Variables::any(10, 1, ANY, 1),
        residuals: Residuals::Of(|n| n),
        start: parabola,
        optima: |_, _| vec![nowhere(0.0)],
    },
    Facts {
        problem: DiscreteIntegralEquation,
        name: "discrete integral equation",
        variables: Variables::any(10, 1, ANY, 1),
        residuals: Residuals::Of(|n| n),
        start: parabola,
        optima: |_, _| vec![nowhere(0.0)],
    },
    Facts {
        problem: BroydenTridiagonal,
        name: "Broyden tridiagonal",
        variables: Variables::any(10, 1, ANY, 1),
        residuals: Residuals::Of(|n| n),
        start: |n| vec![-1.0; n],
        optima: |_, _| vec![nowhere(0.0)],
    },
    Facts {
        problem: BroydenBanded,
        name: "Broyden banded",
        variables: Variables::any(10, 1, ANY, 1),
        residuals: Residuals::Of(|n| n),
        start: |n| vec![-1.0; n],
        optima: |_, _| vec![nowhere(0.0)],
    },
    Facts {
        problem: LinearFullRank,
        name: "linear, full rank",
        variables: Variables::any(5, 1, ANY, 1),
        residuals: Residuals::Free {
            usual: |n| 2 * n,
            most: ANY,
        },
        start: |n| vec![1.0; n],
        optima: |n, m| vec![at((m - n) as f64, vec![-1.0; n])],
    },
    Facts {
        problem: LinearRank1,
        name: "linear, rank 1",
        variables: Variables::any(5, 1, ANY, 1),
        residuals: Residuals::Free {
            usual: |n| 2 * n,
            most: ANY,
        },
        start: |n| vec![1.0; n],
        optima: |n, m| vec![optima::linear_rank_1(n, m)],
    },
    Facts {
        problem: LinearRank1WithZeros,
        name: "linear, rank 1 with zero columns and rows",
        variables: Variables::any(5, 3, ANY, 1),
        residuals: Residuals::Free {
            usual: |n| 2 * n,
            most: ANY,
        },
        start: |n| vec![1.0; n],
        optima: |n, m| vec![optima::linear_rank_1_with_zeros(n, m)],
    },
    Facts {
        problem: Chebyquad,
        name: "Chebyquad",
        variables: Variables::any(8, 1, ANY, 1),
        residuals: Residuals::Free {
            usual: |n| n,
            most: ANY,
        },
        start: |n| numbered(n, |j| j / (n + 1) as f64),
        optima: optima::chebyquad,
    },
];

/// The block again and again.
fn repeated(block: &[f64], n: usize) -> Vec<f64> {
    block.iter().copied().cycle().take(n).collect()
}

/// An entry for each of j = 1, …, n.
fn numbered(n: usize, entry: impl Fn(f64) -> f64) -> Vec<f64> {
    (1..=n).map(|j| entry(j as f64)).collect()
}

/// tⱼ(tⱼ − 1) with tⱼ = j/(n + 1).
fn parabola(n: usize) -> Vec<f64> {
    let h = 1.0 / (n + 1) as f64;
    numbered(n, |j| j * h * (j * h - 1.0))
}
