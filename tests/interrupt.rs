//! Ctrl-C during a run under argmin ends it cleanly (UC-123). A test program of
//! its own, because argmin's signal handler is one for the whole process.
#![cfg(unix)]

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Error, Executor, IterState, State};
use raphson::problem::from_fn;
use raphson::{DampedNewton, Outcome, Status, Stopped};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// The clean-up hook.
struct CleanUp(Arc<AtomicBool>);

impl<I: State> Observe<I> for CleanUp {
    fn observe_final(&mut self, _: &I) -> Result<(), Error> {
        self.0.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn ctrl_c_ends_the_run_after_the_iteration_under_way() {
    let iteration = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&iteration);
    let hook = Arc::new(AtomicBool::new(false));
    // x⁴ never meets a tolerance of zero before iteration 3; there the signal comes.
    let problem = from_fn(
        |x: &[f64]| x[0].powi(4),
        |x: &[f64]| vec![4.0 * x[0].powi(3)],
        move |x: &[f64]| {
            if count.fetch_add(1, Ordering::SeqCst) + 1 == 3 {
                let pid = std::process::id().to_string();
                let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
                assert!(sent.success());
                // The handler runs in a thread of its own.
                sleep(Duration::from_millis(500));
            }
            [[12.0 * x[0] * x[0]]]
        },
    );
    let result = Executor::new(problem, DampedNewton::new().gradient_tol(0.0))
        .configure(|state: IterState<Vec<f64>, Vec<f64>, (), (), (), f64>| state.param(vec![1.0]))
        .add_observer(CleanUp(Arc::clone(&hook)), ObserverMode::Always)
        .ctrlc(true)
        .run()
        .unwrap();
    assert_eq!(result.status(), Status::Stopped(Stopped::Interrupted));
    assert_eq!(
        (result.state.iter, iteration.load(Ordering::SeqCst)),
        (3, 3)
    );
    let x = result.state.best_param.unwrap()[0];
    assert!(x < 1.0 && result.state.best_cost == x.powi(4));
    assert!(hook.load(Ordering::SeqCst));
}
