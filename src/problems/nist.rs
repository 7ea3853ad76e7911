//! The nonlinear regressions of the NIST Statistical Reference Datasets.

use crate::autodiff::{self, Number, VectorFunction};
use crate::error::Error;
use argmin::core::{Error as HostError, Jacobian, Operator};
use faer::Mat;
use std::path::Path;

mod models;

use models::{MODELS, Model};

/// One of the 27 nonlinear regressions of NIST StRD, read from its file: rᵢ = model(x, tᵢ) − yᵢ.
///
/// The models are built in, the data come from NIST's `.dat` files with two starts, certified
/// parameters, standard deviations and residual sum of squares. Derivatives are exact, by
/// [`autodiff`](crate::autodiff). Nelson's response is log y, as certified. For Lanczos1, whose
/// certified residual sum of 10⁻²⁵ its eleven certified digits do not reproduce, the parameters are
/// those refined in 50-digit arithmetic.
///
/// Source: National Institute of Standards and Technology, *Statistical Reference Datasets:
/// Nonlinear Regression*, <https://www.itl.nist.gov/div898/strd/>, in the public domain.
///
/// ```
/// use raphson::LevenbergMarquardt;
/// use raphson::problems::Nist;
/// let set = Nist::read("examples/data/nist/MGH10.dat")?;
/// let run = LevenbergMarquardt::new().minimize(&set, set.start(1))?;
/// assert!(run.converged() && set.accuracy(&run.x) >= 6.0);
/// assert!((2.0 * run.f / set.certified_sum() - 1.0).abs() < 1e-9);
/// # Ok::<(), raphson::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Nist {
    model: &'static Model,
    /// Predictors of an observation, one after the other.
    predictors: Vec<f64>,
    response: Vec<f64>,
    starts: [Vec<f64>; 2],
    certified: Vec<f64>,
    deviations: Vec<f64>,
    sum: f64,
}

/// Most digits that a comparison with eleven certified ones can show.
const DIGITS: f64 = 11.0;

impl Nist {
    /// Names of the 27 sets.
    pub fn names() -> impl Iterator<Item = &'static str> {
        MODELS.iter().map(|model| model.name)
    }

    /// Reads a `.dat` file.
    ///
    /// # Errors
    /// A file that cannot be read, or is not one of the 27 sets: [`Error::Io`], [`Error::Data`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::Io {
            path: path.display().to_string(),
            source,
        })?;
        Self::parse(&String::from_utf8_lossy(&bytes))
            .map_err(|error| Error::Data(format!("{}: {error}", path.display())))
    }

    /// Reads the text of a `.dat` file.
    ///
    /// # Errors
    /// As [`read`](Nist::read).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |what: &str| Error::Data(format!("not a NIST regression: {what}"));
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("Dataset Name:"));
        let name = name.and_then(|rest| rest.split_whitespace().next());
        let name = name.ok_or_else(|| bad("no line `Dataset Name:`"))?;
        let model = MODELS.iter().find(|model| model.name == name);
        let model = model.ok_or_else(|| bad(&format!("no model is known for `{name}`")))?;
        let mut set = Nist {
            model,
            predictors: Vec::new(),
            response: Vec::new(),
            starts: [Vec::new(), Vec::new()],
            certified: Vec::new(),
            deviations: Vec::new(),
            sum: f64::NAN,
        };
        // "Data:" occurs twice: the description first, the columns last.
        let data = text.rfind("Data:").ok_or_else(|| bad("no `Data:`"))?;
        for line in text[..data].lines() {
            if let Some(rest) = line.strip_prefix("Residual Sum of Squares:") {
                set.sum = rest.trim().parse().map_err(|_| bad(line))?;
            }
            let Some((left, right)) = line.split_once('=') else {
                continue;
            };
            let numbered = left.trim().strip_prefix('b').map(str::parse::<usize>);
            if let (Some(Ok(_)), Some(values)) = (numbered, numbers(right))
                && let [first, second, certified, deviation] = values[..]
            {
                set.starts[0].push(first);
                set.starts[1].push(second);
                set.certified.push(certified);
                set.deviations.push(deviation);
            }
        }
        for line in text[data..]
            .lines()
            .skip(1)
            .filter(|l| !l.trim().is_empty())
        {
            let values = numbers(line).ok_or_else(|| bad(line))?;
            let Some((y, predictors)) = values.split_first() else {
                continue;
            };
            if predictors.len() != model.predictors {
                return Err(bad(line));
            }
            set.response.push(if model.is_log { y.ln() } else { *y });
            set.predictors.extend_from_slice(predictors);
        }
        if set.certified.len() != model.parameters {
            return Err(bad("the lines of the parameters"));
        }
        if set.response.is_empty() || !set.sum.is_finite() {
            return Err(bad("no observations or no residual sum of squares"));
        }
        if !model.refined.is_empty() {
            set.certified = model.refined.to_vec();
        }
        Ok(set)
    }

    /// Name of the set, as `MGH10`.
    pub fn name(&self) -> &'static str {
        self.model.name
    }

    /// The first (far) or second (near) published start; any number but 2 means the first.
    pub fn start(&self, number: usize) -> Vec<f64> {
        self.starts[usize::from(number == 2)].clone()
    }

    /// The certified parameters.
    pub fn certified(&self) -> &[f64] {
        &self.certified
    }

    /// Their certified standard deviations.
    pub fn certified_deviations(&self) -> &[f64] {
        &self.deviations
    }

    /// The certified residual sum of squares, which is 2f.
    pub fn certified_sum(&self) -> f64 {
        self.sum
    }

    /// The least log relative error −log₁₀(|xⱼ − cⱼ|/|cⱼ|) over the certified parameters c, from 0
    /// to 11; NaN if a parameter is.
    pub fn accuracy(&self, x: &[f64]) -> f64 {
        let pairs = x.iter().zip(&self.certified);
        let errors = pairs.map(|(x, c)| log_relative_error(*x, *c));
        errors.fold(
            DIGITS,
            |least, e| if e.is_nan() || e < least { e } else { least },
        )
    }

    /// The log relative error of a residual sum of squares, from 0 to 11.
    pub fn accuracy_of_sum(&self, sum: f64) -> f64 {
        log_relative_error(sum, self.sum)
    }
}

/// −log₁₀(|found − certified|/|certified|), from 0 to 11.
fn log_relative_error(found: f64, certified: f64) -> f64 {
    let error = (found - certified).abs() / certified.abs();
    if error.is_nan() {
        return f64::NAN;
    }
    (-error.log10()).clamp(0.0, DIGITS)
}

/// All numbers of a line; [`None`] if a word is none.
fn numbers(line: &str) -> Option<Vec<f64>> {
    line.split_whitespace()
        .map(|word| word.parse().ok())
        .collect()
}

impl VectorFunction for Nist {
    fn dimension(&self) -> usize {
        self.model.parameters
    }
    fn output_count(&self) -> usize {
        self.response.len()
    }
    fn values<T: Number>(&self, x: &[T], out: &mut [T]) {
        let rows = self.predictors.chunks_exact(self.model.predictors);
        for ((out, t), y) in out.iter_mut().zip(rows).zip(&self.response) {
            *out = self.model.formula.value(x, t) - *y;
        }
    }
}

impl Operator for Nist {
    type Param = Vec<f64>;
    type Output = Vec<f64>;
    fn apply(&self, x: &Vec<f64>) -> Result<Vec<f64>, HostError> {
        Ok(autodiff::values(self, x)?)
    }
}

impl Jacobian for Nist {
    type Param = Vec<f64>;
    type Jacobian = Mat<f64>;
    fn jacobian(&self, x: &Vec<f64>) -> Result<Mat<f64>, HostError> {
        Ok(autodiff::jacobian(self, x)?)
    }
}
