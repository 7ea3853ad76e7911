//! What goes wrong on one rank ends all of them, with the same error.

use crate::{data, rows};
use argmin::core::Error as HostError;
use raphson::distributed::{Communicator, Distributed, Error, Shard, ThreadRank, Threads};
use raphson::{Batch, DampedNewton, FiniteSum, LogisticRegression};
use std::cell::Cell;

/// ½(x − 1)² with a fault at the third evaluation.
struct Faulty {
    fault: Option<f64>,
    calls: Cell<u32>,
}

impl FiniteSum for Faulty {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    type Hessian = [[f64; 1]; 1];

    fn terms(&self) -> usize {
        2
    }
    fn value(&self, x: &Vec<f64>, batch: Batch<'_>) -> Result<f64, HostError> {
        Ok(self.value_gradient(x, batch)?.0)
    }
    fn value_gradient(&self, x: &Vec<f64>, _: Batch<'_>) -> Result<(f64, Vec<f64>), HostError> {
        self.calls.set(self.calls.get() + 1);
        let r = x[0] - 1.0;
        // A quartic, so that the run takes several steps.
        let (f, g) = (0.25 * r.powi(4), r.powi(3));
        match self.fault {
            Some(fault) if self.calls.get() >= 3 => {
                if fault.is_nan() {
                    Ok((f, vec![fault]))
                } else {
                    Err(HostError::msg("row 17 is missing"))
                }
            }
            _ => Ok((f, vec![g])),
        }
    }
    fn hessian(&self, x: &Vec<f64>, _: Batch<'_>) -> Result<[[f64; 1]; 1], HostError> {
        Ok([[3.0 * (x[0] - 1.0).powi(2)]])
    }
}

impl Shard for Faulty {
    fn dimension(&self) -> usize {
        1
    }
}

fn faulty(rank: &ThreadRank, fault: f64) -> Result<(), raphson::Error> {
    let shard = Faulty {
        fault: (rank.index() == 2).then_some(fault),
        calls: Cell::new(0),
    };
    let problem = Distributed::new(Some(shard), rank)?;
    DampedNewton::fused().minimize(&problem, vec![5.0])?;
    Ok(())
}

fn ours(error: raphson::Error) -> Error {
    match error {
        raphson::Error::Distributed(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn an_error_on_one_rank_is_that_of_all() {
    for error in Threads::run(4, |rank| ours(faulty(rank, 1.0).unwrap_err())) {
        let message = "row 17 is missing".to_string();
        assert_eq!(error, Error::Failed { rank: 2, message });
        assert_eq!(error.to_string(), "rank 2: row 17 is missing");
    }
}

#[test]
fn a_nan_on_one_rank_is_an_error_that_names_it() {
    for error in Threads::run(4, |rank| ours(faulty(rank, f64::NAN).unwrap_err())) {
        let text = error.to_string();
        assert!(text.starts_with("rank 2: NaN"), "{text}");
    }
}

#[test]
fn a_nan_in_a_row_names_rank_and_row() {
    let data = data(60, 3);
    // ∞ − ∞ in the rows that have both columns.
    let x = vec![f64::INFINITY, f64::NEG_INFINITY, 0.0];
    let texts = Threads::run(3, |rank| {
        let own = rows(60, rank.index(), 3);
        let part = data.subset(&own).unwrap();
        let shard = LogisticRegression::with_classes(&part, &[-1.0, 1.0]);
        let problem = Distributed::new(Some(shard), rank).unwrap();
        FiniteSum::value(&problem, &x, Batch::All)
            .unwrap_err()
            .to_string()
    });
    assert!(
        texts[0].starts_with("rank 0: row ") && texts[0].contains("NaN"),
        "{}",
        texts[0]
    );
    assert!(texts.iter().all(|text| *text == texts[0]));
}

#[test]
fn ranks_at_different_points_are_found() {
    let data = data(60, 3);
    let errors = Threads::run(3, |rank| {
        let own = rows(60, rank.index(), 3);
        let shard = LogisticRegression::new(&data.subset(&own).unwrap()).l2(1e-3);
        let problem = Distributed::new(Some(shard), rank).unwrap();
        let mut x: Vec<f64> = vec![0.5, 0.25, -1.0];
        for evaluation in 1.. {
            // The last bit of one entry on one rank, from the fourth evaluation on.
            if evaluation == 4 && rank.index() == 1 {
                x[2] = f64::from_bits(x[2].to_bits() + 1);
            }
            if let Err(error) = FiniteSum::value_gradient(&problem, &x, Batch::All) {
                return (evaluation, ours(error.downcast().unwrap()));
            }
        }
        unreachable!()
    });
    let expected = Error::PointsDiffer {
        rank: 1,
        evaluation: 10,
    };
    assert!(
        errors.iter().all(|e| *e == (10, expected.clone())),
        "{errors:?}"
    );
}

#[test]
fn a_rank_that_leaves_ends_the_others() {
    let data = data(60, 3);
    let results = Threads::run(3, |rank| {
        let own = rows(60, rank.index(), 3);
        let shard = LogisticRegression::new(&data.subset(&own).unwrap()).l2(1e-3);
        let problem = Distributed::new(Some(shard), rank).unwrap();
        if rank.index() == 1 {
            return None;
        }
        let run = DampedNewton::new().minimize(&problem, vec![0.0; 3]);
        Some(ours(run.unwrap_err()))
    });
    assert_eq!(
        results,
        [
            Some(Error::Left { rank: 1 }),
            None,
            Some(Error::Left { rank: 1 })
        ]
    );
}

#[test]
fn calls_out_of_step_are_found() {
    let results = Threads::run(2, |rank| {
        let own = vec![0.0; 1 + rank.index()];
        rank.all_gather(&own, &mut vec![0.0; 2 * own.len()])
    });
    let expected = Err(Error::OutOfStep {
        rank: 1,
        expected: 8,
        found: 16,
    });
    assert_eq!(results, [expected.clone(), expected]);
}

#[test]
fn shards_that_do_not_fit_are_refused() {
    let data = data(60, 3);
    let texts = Threads::run(3, |rank| {
        let own = rows(60, rank.index(), 3);
        let part = data.subset(&own).unwrap();
        let wide = part.clone().with_features(3 + rank.index()).unwrap();
        let shard = LogisticRegression::new(&wide);
        let wider = Distributed::new(Some(shard), rank).unwrap_err().to_string();
        let none = Distributed::new(None::<LogisticRegression>, rank)
            .unwrap_err()
            .to_string();
        let weight = if rank.index() == 0 { -1.0 } else { 2.0 };
        let shard = LogisticRegression::new(&part);
        let weight = Distributed::weighted(Some(shard), weight, rank)
            .unwrap_err()
            .to_string();
        [wider, none, weight]
    });
    for [wider, none, weight] in texts {
        assert!(
            wider.starts_with("rank 1: its shard has another number of variables"),
            "{wider}"
        );
        assert!(none.starts_with("no rank has any rows"), "{none}");
        assert!(weight.starts_with("weight = "), "{weight}");
    }
}

#[test]
fn ranks_agree_with_the_first() {
    let data = data(60, 3);
    Threads::run(3, |rank| {
        let own = rows(60, rank.index(), 3);
        let shard = LogisticRegression::new(&data.subset(&own).unwrap());
        let problem = Distributed::new(Some(shard), rank).unwrap();
        assert!(problem.agree(rank.index() == 0).unwrap());
        assert!(!problem.agree(rank.index() != 0).unwrap());
        assert_eq!(problem.is_first(), rank.index() == 0);
    });
}

#[test]
fn batches_are_checked_alike_on_all_ranks() {
    let data = data(60, 3);
    Threads::run(2, |rank| {
        let own = rows(60, rank.index(), 2);
        let shard = LogisticRegression::new(&data.subset(&own).unwrap());
        let problem = Distributed::new(Some(shard), rank).unwrap();
        let x = vec![0.0; 3];
        for (terms, text) in [(&[][..], "an empty batch"), (&[3, 60], "row 60")] {
            let error = FiniteSum::value(&problem, &x, Batch::Terms(terms)).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
        assert!(FiniteSum::value(&problem, &x, Batch::Terms(&[59])).is_ok());
    });
}
