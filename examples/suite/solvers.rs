//! The solvers by name.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub enum Solver {
    /// `LinearModel::fit`. Its number is the last, so that the others keep color and marker.
    Fit = 24,
    DampedNewton = 0,
    LazyCubic,
    LazyRegularized,
    Cubic,
    GradientRegularized,
    GradientNormalized,
    AcceleratedCubic,
    TrustRegion,
    SaddleFree,
    MatrixFreeDampedNewton,
    MatrixFreeCubic,
    MatrixFreeTrustRegion,
    FilteredNewton,
    AveragedNewton,
    StochasticNewton,
    ArgminNewton,
    ArgminNewtonCg,
    ArgminTrustRegion,
    ArgminLbfgs,
    BasinSteihaug,
    BasinSteihaugProducts,
    BasinDogleg,
    BasinMoreSorensen,
    BasinLbfgs,
}

/// Names that stand for several solvers.
pub const GROUPS: [&str; 5] = ["default", "deterministic", "stochastic", "argmin", "basin"];

impl Solver {
    /// As on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |v| v.get_name().to_string())
    }

    /// Number of the solver, which fixes color and marker in all figures.
    pub fn place(self) -> usize {
        self as usize
    }

    pub fn is_ours(self) -> bool {
        self == Solver::Fit || self.place() < Solver::ArgminNewton.place()
    }

    fn is_stochastic(self) -> bool {
        (Solver::FilteredNewton.place()..Solver::ArgminNewton.place()).contains(&self.place())
    }

    /// Whether it cannot do without a d x d matrix.
    pub fn needs_matrix(self) -> bool {
        matches!(
            self,
            Solver::SaddleFree
                | Solver::ArgminNewton
                | Solver::BasinSteihaug
                | Solver::BasinDogleg
                | Solver::BasinMoreSorensen
        )
    }

    fn belongs_to(self, group: &str) -> bool {
        match group {
            "default" => !self.is_stochastic(),
            "deterministic" => self.is_ours() && !self.is_stochastic(),
            "stochastic" => self.is_stochastic(),
            other => self.name().split('-').next() == Some(other),
        }
    }

    /// The solvers of a comma-separated list of names and groups, each once.
    pub fn list(text: &str) -> Result<Vec<Solver>, String> {
        let mut chosen: Vec<Solver> = Vec::new();
        for name in text.split(',').map(str::trim) {
            let all = Solver::value_variants().iter().copied();
            let found: Vec<Solver> = if GROUPS.contains(&name) {
                all.filter(|solver| solver.belongs_to(name)).collect()
            } else {
                all.filter(|solver| solver.name() == name).collect()
            };
            if found.is_empty() {
                let names: Vec<String> =
                    Solver::value_variants().iter().map(|s| s.name()).collect();
                return Err(format!(
                    "--solvers: {name:?} is none of {}, {}",
                    GROUPS.join(", "),
                    names.join(", ")
                ));
            }
            for solver in found {
                if !chosen.contains(&solver) {
                    chosen.push(solver);
                }
            }
        }
        Ok(chosen)
    }
}
