//! What stochastic methods share: batches, random streams, step schedules, averages, stopping.
//!
//! A problem is a [`FiniteSum`](crate::FiniteSum); the solver draws batches of its terms by a
//! [`Sampler`] and evaluates on them. All randomness of a run comes from one seed through
//! separate named [`Stream`]s, so that a feature that needs random numbers does not move the
//! batches. Everything here is state of the solver and saved with it: a run resumed in the
//! middle of an epoch has the bits of one that was not interrupted.
//!
//! Progress is judged only where the whole sum is evaluated, by default once per epoch.

mod average;
mod sampler;
mod schedule;
mod stopping;
mod streams;

pub(crate) use average::Average;
pub use average::Averaging;
pub use sampler::{Draws, Sampler};
pub use schedule::StepSchedule;
pub(crate) use stopping::{Budget, Levelling, Noise, Smoothed};
pub use streams::{Purpose, Stream};
