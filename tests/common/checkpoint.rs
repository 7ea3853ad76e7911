//! Runs that are cut off and resumed from their checkpoint.

use argmin::core::checkpointing::CheckpointingFrequency;
use argmin::core::observers::Observe;
use argmin::core::{Error, IterState, KV, State};
use argmin_checkpointing_file::FileCheckpoint;
use std::path::{Path, PathBuf};

pub type Host = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// Returns an error after this many accepted steps: a crash.
pub struct Crash(pub u64);

impl Observe<Host> for Crash {
    fn observe_iter(&mut self, state: &Host, _: &KV) -> Result<(), Error> {
        // The step is observed before it is counted and saved.
        if state.get_iter() == self.0 {
            return Err(Error::msg("crash"));
        }
        Ok(())
    }
}

pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("resume-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }
    pub fn checkpoint(&self) -> FileCheckpoint {
        FileCheckpoint::new(
            self.0.to_str().unwrap(),
            "run",
            CheckpointingFrequency::Always,
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Runs whole, and cut off after `$steps` steps and resumed with a new problem
/// object; asserts equal ends. Returns the report.
macro_rules! compare {
    ($name:expr, $problem:expr, $solver:expr, $x0:expr, $steps:expr) => {
        compare!($name, $problem, $solver, $x0, $steps, rebuilt: 0)
    };
    // As many Hessians are evaluated again, at the anchor of a lazy method.
    ($name:expr, $problem:expr, $solver:expr, $x0:expr, $steps:expr, rebuilt: $rebuilt:expr) => {{
        use argmin::core::observers::ObserverMode;
        use argmin::core::{Executor, State};
        use raphson::Outcome;
        let whole = Executor::new($problem, $solver)
            .configure(|state| state.param($x0).max_iters(200))
            .ctrlc(false)
            .run()
            .unwrap();
        assert!(
            whole.status().is_converged(),
            "{}: {}",
            $name,
            whole.status()
        );
        assert!(whole.solver.report().iterations > $steps + 1);

        let folder = $crate::checkpoint::Folder::new($name);
        let error = Executor::new($problem, $solver)
            .configure(|state| state.param($x0).max_iters(200))
            .ctrlc(false)
            .checkpointing(folder.checkpoint())
            .add_observer($crate::checkpoint::Crash($steps), ObserverMode::Always)
            .run()
            .err();
        assert_eq!(error.unwrap().to_string(), "crash");
        // Neither start point nor options are needed: both are in the file.
        let resumed = Executor::new($problem, $solver)
            .ctrlc(false)
            .checkpointing(folder.checkpoint())
            .run()
            .unwrap();

        assert_eq!(whole.status(), resumed.status());
        let report = whole.solver.report().clone();
        let mut expected = report.clone();
        expected.rebuilt += $rebuilt;
        assert_eq!(&expected, resumed.solver.report(), "{}", $name);
        let (a, b) = (&whole.state, &resumed.state);
        assert_eq!(a.get_iter(), b.get_iter());
        assert_eq!(a.get_cost().to_bits(), b.get_cost().to_bits());
        assert_eq!(a.get_best_cost().to_bits(), b.get_best_cost().to_bits());
        assert_eq!($crate::checkpoint::bits(a.get_param().unwrap()), $crate::checkpoint::bits(b.get_param().unwrap()));
        assert_eq!(
            $crate::checkpoint::bits(a.get_best_param().unwrap()),
            $crate::checkpoint::bits(b.get_best_param().unwrap())
        );
        assert_eq!(
            $crate::checkpoint::bits(a.get_gradient().unwrap()),
            $crate::checkpoint::bits(b.get_gradient().unwrap())
        );
        assert_eq!(
            $crate::checkpoint::bits(a.get_prev_param().unwrap()),
            $crate::checkpoint::bits(b.get_prev_param().unwrap())
        );
        report
    }};
}
pub(crate) use compare;
