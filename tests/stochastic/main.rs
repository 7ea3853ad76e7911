//! The solvers that see a batch at a time.

#[cfg(feature = "libsvm")]
#[path = "../../examples/train/data.rs"]
mod data;
#[cfg(feature = "libsvm")]
#[path = "../../examples/train/first_order.rs"]
#[allow(dead_code)] // The example uses all of it.
mod first_order;
#[path = "../common/sums.rs"]
mod sums;

mod exact_gauss_newton;
mod filtered_newton;
mod finite_sums;
