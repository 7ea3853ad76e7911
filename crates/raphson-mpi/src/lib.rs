//! [raphson](https://docs.rs/raphson) on MPI.
//!
//! [`World`] lets a [`Distributed`](raphson::distributed::Distributed) problem run on the ranks of
//! an MPI program, and [`Checkpoint`] saves its runs, from rank 0. Everything else is in
//! `raphson::distributed`.
//!
//! ```no_run
//! use raphson::{DampedNewton, LogisticRegression, distributed::Distributed, libsvm::Reader};
//! use raphson_mpi::World;
//!
//! fn main() -> Result<(), raphson::Error> {
//!     let world = World::initialize()?;
//!     let part = Reader::new().read_shard(&["a9a"], &world)?;
//!     let classes = part.classes.unwrap_or_default();
//!     let shard = part.data.map(|rows| LogisticRegression::with_classes(&rows, &classes).l2(1e-4));
//!     let problem = Distributed::new(shard, &world)?;
//!     let run = DampedNewton::fused().minimize(&problem, vec![0.0; part.features])?;
//!     if problem.is_first() {
//!         println!("{}: f = {}", run.status, run.f);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! `mpirun -n 4 program` starts it. To build, an MPI library with its compiler wrapper and libclang
//! must be installed, on Debian `libopenmpi-dev openmpi-bin libclang-dev`.

#![deny(unsafe_code, missing_docs, rustdoc::broken_intra_doc_links)]

mod checkpoint;
mod world;

pub use checkpoint::Checkpoint;
pub use world::World;
