//! A least-squares run that was cut off and resumed ends in the same bits as one that was not.
#![cfg(feature = "serde")]

use crate::checkpoint::compare;
use argmin::core::{Error, Jacobian, Operator};
use faer::sparse::{SparseColMat, Triplet};
use raphson::{GaussNewton, LevenbergMarquardt, RobustLoss};

/// A decay with an offset through scattered points, dense or sparse.
#[derive(Clone, Copy)]
struct Decay {
    is_far: bool,
}

const POINTS: [(f64, f64); 6] = [
    (0.0, 5.0),
    (1.0, 3.2),
    (2.0, 1.1),
    (3.0, 1.4),
    (4.0, 0.2),
    (5.0, 0.6),
];

impl Operator for Decay {
    type Param = Vec<f64>;
    type Output = Vec<f64>;
    fn apply(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let model = |t: f64| x[0] * (-x[1] * t).exp() + if self.is_far { x[2] } else { 0.0 };
        Ok(POINTS.iter().map(|(t, y)| model(*t) - y).collect())
    }
}

impl Jacobian for Decay {
    type Param = Vec<f64>;
    type Jacobian = SparseColMat<usize, f64>;
    fn jacobian(&self, x: &Vec<f64>) -> Result<SparseColMat<usize, f64>, Error> {
        let mut stored = Vec::new();
        for (i, (t, _)) in POINTS.iter().enumerate() {
            let e = (-x[1] * t).exp();
            stored.push(Triplet::new(i, 0, e));
            stored.push(Triplet::new(i, 1, -x[0] * t * e));
            if self.is_far {
                stored.push(Triplet::new(i, 2, 1.0));
            }
        }
        SparseColMat::try_new_from_triplets(POINTS.len(), x.len(), &stored)
            .map_err(|e| Error::msg(format!("{e:?}")))
    }
}

/// The same with a dense Jacobian.
struct Dense(Decay);

impl Operator for Dense {
    type Param = Vec<f64>;
    type Output = Vec<f64>;
    fn apply(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.0.apply(x)
    }
}

impl Jacobian for Dense {
    type Param = Vec<f64>;
    type Jacobian = faer::Mat<f64>;
    fn jacobian(&self, x: &Vec<f64>) -> Result<faer::Mat<f64>, Error> {
        Ok(self.0.jacobian(x)?.to_dense())
    }
}

#[test]
fn resumed_runs_are_the_same_to_the_bit() {
    let start = || vec![1.0, 2.0, -3.0];
    let far = Decay { is_far: true };
    compare!("least-squares-lm", Dense(far), LevenbergMarquardt::new(), start(), 2, rebuilt: 1);
    compare!("least-squares-gn", Dense(far), GaussNewton::new(), start(), 2, rebuilt: 1);
    let robust = || LevenbergMarquardt::new().loss(RobustLoss::Cauchy, 0.5);
    compare!("least-squares-robust", Dense(far), robust(), start(), 3, rebuilt: 1);
    compare!("least-squares-sparse", far, LevenbergMarquardt::new(), start(), 2, rebuilt: 1);
    compare!("least-squares-sparse-robust", far, robust(), start(), 3, rebuilt: 1);
    let near = Decay { is_far: false };
    compare!("least-squares-near", near, GaussNewton::new(), vec![4.0, 0.3], 2, rebuilt: 1);
}
