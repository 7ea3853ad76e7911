//! The formulas, as NIST states them.

use crate::autodiff::Number;
use std::f64::consts::PI;

/// What is known of a set before its file is read.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) name: &'static str,
    pub(super) formula: Formula,
    pub(super) parameters: usize,
    pub(super) predictors: usize,
    /// The response is log y.
    pub(super) is_log: bool,
    /// Parameters with more digits than the certified ones, where those do not suffice.
    pub(super) refined: &'static [f64],
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Formula {
    Misra1a,
    Misra1b,
    Misra1c,
    Misra1d,
    Chwirut,
    Lanczos,
    Gauss,
    DanWood,
    Kirby,
    /// Hahn1 and Thurber.
    CubicRatio,
    Nelson,
    Mgh17,
    Roszman,
    Enso,
    Mgh09,
    Rat42,
    Rat43,
    Mgh10,
    Eckerle,
    Bennett,
}

const fn model(name: &'static str, formula: Formula, parameters: usize) -> Model {
    Model {
        name,
        formula,
        parameters,
        predictors: 1,
        is_log: false,
        refined: &[],
    }
}

pub(super) const MODELS: [Model; 27] = [
    model("Misra1a", Formula::Misra1a, 2),
    model("Chwirut2", Formula::Chwirut, 3),
    model("Chwirut1", Formula::Chwirut, 3),
    model("Lanczos3", Formula::Lanczos, 6),
    model("Gauss1", Formula::Gauss, 8),
    model("Gauss2", Formula::Gauss, 8),
    model("DanWood", Formula::DanWood, 2),
    model("Misra1b", Formula::Misra1b, 2),
    model("Kirby2", Formula::Kirby, 5),
    model("Hahn1", Formula::CubicRatio, 7),
    Model {
        predictors: 2,
        is_log: true,
        ..model("Nelson", Formula::Nelson, 3)
    },
    model("MGH17", Formula::Mgh17, 5),
    Model {
        refined: &REFINED,
        ..model("Lanczos1", Formula::Lanczos, 6)
    },
    model("Lanczos2", Formula::Lanczos, 6),
    model("Gauss3", Formula::Gauss, 8),
    model("Misra1c", Formula::Misra1c, 2),
    model("Misra1d", Formula::Misra1d, 2),
    model("Roszman1", Formula::Roszman, 4),
    model("ENSO", Formula::Enso, 9),
    model("MGH09", Formula::Mgh09, 4),
    model("Thurber", Formula::CubicRatio, 7),
    model("BoxBOD", Formula::Misra1a, 2),
    model("Rat42", Formula::Rat42, 3),
    model("MGH10", Formula::Mgh10, 3),
    model("Eckerle4", Formula::Eckerle, 3),
    model("Rat43", Formula::Rat43, 4),
    model("Bennett5", Formula::Bennett, 3),
];

const REFINED: [f64; 6] = [
    0.09510000002743146,
    1.000000000127719,
    0.8607000001344579,
    3.0000000002346243,
    1.5575999998381713,
    5.000000000111549,
];

impl Formula {
    /// The model at the parameters `b` and one observation's predictors `t`.
    pub(super) fn value<T: Number>(self, b: &[T], t: &[f64]) -> T {
        let x = t[0];
        let one = T::one();
        match self {
            Formula::Misra1a => b[0] * (one - (-b[1] * x).exp()),
            Formula::Misra1b => b[0] * (one - (one + b[1] * (x / 2.0)).powi(-2)),
            Formula::Misra1c => b[0] * (one - (one + b[1] * (2.0 * x)).powf(-0.5)),
            Formula::Misra1d => b[0] * b[1] * x / (one + b[1] * x),
            Formula::Chwirut => (-b[0] * x).exp() / (b[1] + b[2] * x),
            Formula::Lanczos => {
                let term = |k: usize| b[k] * (-b[k + 1] * x).exp();
                term(0) + term(2) + term(4)
            }
            Formula::Gauss => {
                let peak = |k: usize| b[k] * (-((b[k + 1] - x) / b[k + 2]).powi(2)).exp();
                b[0] * (-b[1] * x).exp() + peak(2) + peak(5)
            }
            Formula::DanWood => b[0] * (b[1] * x.ln()).exp(),
            Formula::Kirby => {
                (b[0] + b[1] * x + b[2] * (x * x)) / (one + b[3] * x + b[4] * (x * x))
            }
            Formula::CubicRatio => {
                let (square, cube) = (x * x, x * x * x);
                (b[0] + b[1] * x + b[2] * square + b[3] * cube)
                    / (one + b[4] * x + b[5] * square + b[6] * cube)
            }
            Formula::Nelson => b[0] - b[1] * x * (-b[2] * t[1]).exp(),
            Formula::Mgh17 => b[0] + b[1] * (-b[3] * x).exp() + b[2] * (-b[4] * x).exp(),
            Formula::Roszman => b[0] - b[1] * x - (b[2] / (-b[3] + x)).atan() / PI,
            Formula::Enso => {
                let wave = |k: usize, angle: T| b[k] * angle.cos() + b[k + 1] * angle.sin();
                let turns = |period: T| T::from(2.0 * PI * x) / period;
                b[0] + wave(1, turns(T::from(12.0))) + wave(4, turns(b[3])) + wave(7, turns(b[6]))
            }
            Formula::Mgh09 => b[0] * (b[1] * x + x * x) / (b[2] * x + b[3] + x * x),
            Formula::Rat42 => b[0] / (one + (b[1] - b[2] * x).exp()),
            Formula::Rat43 => b[0] / (one + (b[1] - b[2] * x).exp()).powd(one / b[3]),
            Formula::Mgh10 => b[0] * (b[1] / (b[2] + x)).exp(),
            Formula::Eckerle => b[0] / b[1] * (-((-b[2] + x) / b[1]).powi(2) / 2.0).exp(),
            Formula::Bennett => b[0] * (b[1] + x).powd(-one / b[2]),
        }
    }
}
