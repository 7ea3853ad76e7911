//! Observers: a trace file, a progress bar, a convergence plot.
//!
//! Solvers are silent. Each observer here works
//!
//! - under argmin: `Executor::add_observer(observer, ObserverMode::Always)`;
//! - without argmin: call its `record` with each [`IterationRecord`] and its
//!   `finish` with the [`Status`](crate::Status).
//!
//! No observer stops a run. What goes wrong while observing is kept for
//! `finish`, and under argmin printed as one line to stderr at the end.
//!
//! # What is known under argmin
//!
//! A solver of this crate built `.metrics(true)` publishes every field of
//! the record. Otherwise, and for the solvers of argmin itself, the fields come
//! from argmin's state:
//!
//! | field | source |
//! |---|---|
//! | `iteration` | 0 at the start, argmin's count plus one after a step |
//! | `f` | the cost |
//! | `gradient_norm` | the gradient, if the solver keeps one |
//! | `step_norm` | the parameter and the previous one, from iteration 1 on |
//! | `values`, `gradients`, `hessians`, `hessian_products` | the counts, with `.configure(|state| state.counting(true))`, from iteration 1 on |
//! | `seconds` | argmin's clock, from iteration 1 on, with `Executor::timer(true)` |
//!
//! What is not known is an empty cell in a [`Trace`] and left out of a plot; it
//! is never reported as zero.

mod trace;
pub use trace::{Trace, TraceFormat};

#[cfg(feature = "progress")]
mod progress;
#[cfg(feature = "progress")]
pub use progress::ProgressBar;

#[cfg(feature = "plot")]
mod plot;
#[cfg(feature = "plot")]
pub use plot::{ConvergencePlot, PlotAxis};

use crate::edge::VecLike;
use crate::record::IterationRecord;
use argmin::core::{IterState, KV, KvValue, State};

/// The argmin state that the observers accept.
pub(crate) type ObservedState<P, G> = IterState<P, G, (), (), (), f64>;

/// Number of fields of a record.
const FIELDS: usize = 15;

/// A record, and which of its fields are known; the others are zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed {
    pub(crate) record: IterationRecord,
    known: [bool; FIELDS],
}

/// A field of a record.
pub(crate) enum Field<'a> {
    Count(&'a mut u64),
    Real(&'a mut f64),
}

/// The fields of a record with their names, in the order of the struct.
fn fields(record: &mut IterationRecord) -> [(&'static str, Field<'_>); FIELDS] {
    use Field::{Count, Real};
    [
        ("iteration", Count(&mut record.iteration)),
        ("f", Real(&mut record.f)),
        ("gradient_norm", Real(&mut record.gradient_norm)),
        ("decrement", Real(&mut record.decrement)),
        ("step_norm", Real(&mut record.step_norm)),
        ("step_length", Real(&mut record.step_length)),
        ("control", Real(&mut record.control)),
        ("shift", Real(&mut record.shift)),
        ("trials", Count(&mut record.trials)),
        ("values", Count(&mut record.values)),
        ("gradients", Count(&mut record.gradients)),
        ("hessians", Count(&mut record.hessians)),
        ("hessian_products", Count(&mut record.hessian_products)),
        ("factorizations", Count(&mut record.factorizations)),
        ("seconds", Real(&mut record.seconds)),
    ]
}

impl From<&IterationRecord> for Observed {
    fn from(record: &IterationRecord) -> Self {
        Observed {
            record: *record,
            known: [true; FIELDS],
        }
    }
}

impl Observed {
    /// Calls `visit` with each name and with the value where it is known.
    pub(crate) fn for_each(mut self, mut visit: impl FnMut(&'static str, Option<Field<'_>>)) {
        for ((name, field), known) in fields(&mut self.record).into_iter().zip(self.known) {
            visit(name, known.then_some(field));
        }
    }

    /// True if the field of this name is known.
    #[cfg(any(feature = "progress", feature = "plot"))]
    pub(crate) fn knows(&self, field: &str) -> bool {
        let mut record = self.record;
        fields(&mut record)
            .iter()
            .zip(self.known)
            .any(|((name, _), known)| known && *name == field)
    }
}

/// What an observer can know of `state` after `iteration` accepted steps.
///
/// Published metrics win over what the state tells. Costs one pass over the
/// gradient and one over the parameters unless they are published.
pub(crate) fn from_state<P: VecLike, G: VecLike>(
    state: &ObservedState<P, G>,
    kv: &KV,
    iteration: u64,
) -> Observed {
    let mut record = IterationRecord::default();
    let mut known = [false; FIELDS];
    for ((name, field), known) in fields(&mut record).into_iter().zip(&mut known) {
        *known = match field {
            Field::Count(slot) => set(
                slot,
                published_count(kv, name).or_else(|| match name {
                    "iteration" => Some(iteration),
                    "values" => evaluations(state, "cost_count"),
                    "gradients" => evaluations(state, "gradient_count"),
                    "hessians" => evaluations(state, "hessian_count"),
                    "hessian_products" => evaluations(state, "hessian_product_count"),
                    _ => None,
                }),
            ),
            Field::Real(slot) => set(
                slot,
                published_real(kv, name).or_else(|| match name {
                    "f" => Some(state.get_cost()),
                    "gradient_norm" => state.get_gradient().map(|g| norm(&entries(g))),
                    "step_norm" if iteration > 0 => {
                        distance(state.get_param()?, state.get_prev_param()?)
                    }
                    "seconds" => elapsed(state, kv),
                    _ => None,
                }),
            ),
        };
    }
    Observed { record, known }
}

fn set<T>(slot: &mut T, value: Option<T>) -> bool {
    value.map(|value| *slot = value).is_some()
}

/// The metric of this name; iteration and f are the state's own.
fn published<'a>(kv: &'a KV, name: &str) -> Option<&'a KvValue> {
    if matches!(name, "iteration" | "f") {
        return None;
    }
    kv.get(name)
}

fn published_real(kv: &KV, name: &str) -> Option<f64> {
    published(kv, name)?.get_float()
}

fn published_count(kv: &KV, name: &str) -> Option<u64> {
    match published(kv, name)? {
        KvValue::Uint(n) => Some(*n),
        KvValue::Int(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

fn evaluations<P: VecLike, G>(state: &ObservedState<P, G>, count: &str) -> Option<u64> {
    state.get_func_counts().get(count).copied()
}

/// Seconds up to now: argmin's clock stands at the end of the previous
/// iteration, and its metric `time` is the length of this one.
fn elapsed<P: VecLike, G>(state: &ObservedState<P, G>, kv: &KV) -> Option<f64> {
    let this = kv.get("time")?.get_float()?;
    Some(state.get_time()?.as_secs_f64() + this)
}

fn entries(v: &impl VecLike) -> Vec<f64> {
    let mut out = vec![0.0; v.dimension()];
    v.read(&mut out);
    out
}

fn distance<P: VecLike>(to: &P, from: &P) -> Option<f64> {
    let (mut to, from) = (entries(to), entries(from));
    if to.len() != from.len() {
        return None;
    }
    for (t, f) in to.iter_mut().zip(&from) {
        *t -= f;
    }
    Some(norm(&to))
}

/// Euclidean norm, scaled by the largest entry where squares overflow or underflow.
fn norm(v: &[f64]) -> f64 {
    let squares: f64 = v.iter().map(|x| x * x).sum();
    // Squares that are lost to underflow do not matter beside such a sum.
    if (1e-280..f64::INFINITY).contains(&squares) {
        return squares.sqrt();
    }
    let largest = v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    if largest == 0.0 || largest.is_infinite() {
        // Zero, infinite or NaN, and so is the sum.
        return v.iter().map(|x| x.abs()).sum();
    }
    let squares: f64 = v.iter().map(|x| (x / largest).powi(2)).sum();
    largest * squares.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norm_neither_overflows_nor_underflows() {
        assert_eq!(norm(&[3.0, -4.0]), 5.0);
        assert_eq!(norm(&[3e300, 4e300]), 5e300);
        assert!((norm(&[3e-300, 4e-300]) / 5e-300 - 1.0).abs() < 1e-15);
        assert_eq!(norm(&[]), 0.0);
        assert_eq!(norm(&[0.0, -0.0]), 0.0);
        assert_eq!(norm(&[1.0, f64::NEG_INFINITY]), f64::INFINITY);
        assert!(norm(&[0.0, f64::NAN]).is_nan());
        assert!(norm(&[1.0, f64::NAN]).is_nan());
    }

    #[test]
    fn negative_and_textual_counts_are_unknown() {
        let mut kv = KV::new();
        kv.insert("trials", KvValue::Int(-1));
        kv.insert("hessians", KvValue::Str("two".into()));
        kv.insert("values", KvValue::Int(7));
        assert_eq!(published_count(&kv, "trials"), None);
        assert_eq!(published_count(&kv, "hessians"), None);
        assert_eq!(published_count(&kv, "values"), Some(7));
    }
}
