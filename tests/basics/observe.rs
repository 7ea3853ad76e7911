//! The observers, with states and records made by hand and under argmin's executor.

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{
    CostFunction, Executor, Gradient, IterState, KV, KvValue, Problem, Solver, State,
    TerminationReason,
};
use raphson::observe::{Trace, TraceFormat};
use raphson::{Converged, Error, IterationRecord, Status};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type TestState = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

const HEADER: &str = "iteration,f,gradient_norm,decrement,step_norm,step_length,control,shift,\
                      trials,values,gradients,hessians,hessian_products,factorizations,seconds";

/// A writer whose text can be read while an observer owns a clone.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that takes some bytes and then fails; counts its calls.
struct Full {
    room: usize,
    calls: Arc<Mutex<usize>>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        *self.calls.lock().unwrap() += 1;
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        match taken {
            0 => Err(io::Error::new(io::ErrorKind::StorageFull, "no room")),
            _ => Ok(taken),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Newton's method on x²/2 with steps of one half, as a solver without metrics.
struct Halve;

struct Bowl;

impl CostFunction for Bowl {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        Ok(0.5 * x.iter().map(|x| x * x).sum::<f64>())
    }
}

impl Gradient for Bowl {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        Ok(x.clone())
    }
}

impl Solver<Bowl, TestState> for Halve {
    fn name(&self) -> &str {
        "halving"
    }
    fn init(
        &mut self,
        problem: &mut Problem<Bowl>,
        mut state: TestState,
    ) -> Result<(TestState, Option<KV>), argmin::core::Error> {
        let x = state.take_param().unwrap();
        let (f, g) = (problem.cost(&x)?, problem.gradient(&x)?);
        Ok((state.param(x).cost(f).gradient(g), None))
    }
    fn next_iter(
        &mut self,
        problem: &mut Problem<Bowl>,
        state: TestState,
    ) -> Result<(TestState, Option<KV>), argmin::core::Error> {
        let x: Vec<f64> = state.get_param().unwrap().iter().map(|x| x / 2.0).collect();
        let (f, g) = (problem.cost(&x)?, problem.gradient(&x)?);
        Ok((state.param(x).cost(f).gradient(g), None))
    }
}

fn bowl(iterations: u64) -> Executor<Bowl, Halve, TestState> {
    Executor::new(Bowl, Halve)
        .configure(|state| state.param(vec![6.0, 8.0]).max_iters(iterations))
        .timer(false)
}

fn full_record() -> IterationRecord {
    let mut record = IterationRecord::default();
    record.iteration = 3;
    record.f = 0.1;
    record.gradient_norm = 1e-7;
    record.decrement = 2.0;
    record.step_norm = 1e300;
    record.step_length = 0.5;
    record.control = f64::NAN;
    record.shift = f64::INFINITY;
    record.trials = 1;
    record.values = 4;
    record.gradients = 5;
    record.hessians = 6;
    record.hessian_products = 7;
    record.factorizations = u64::MAX;
    record.seconds = 1.0 / 3.0;
    record
}

/// The path of a file of this name in a folder of this test.
fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("observe");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn csv_is_exact() {
    let path = scratch("exact.csv");
    let mut trace = Trace::csv(&path).unwrap();
    trace.record(&IterationRecord::default());
    trace.record(&full_record());
    trace.finish(Status::Running).unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        format!(
            "{HEADER}\n0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0,0,0,0,0,0,0.0\n\
             3,0.1,1e-7,2.0,1e300,0.5,,,1,4,5,6,7,18446744073709551615,0.3333333333333333\n"
        )
    );
}

#[test]
fn json_lines_parse_and_round_trip() {
    let out = Shared::default();
    let mut trace = Trace::to_writer(TraceFormat::JsonLines, out.clone());
    trace.record(&IterationRecord::default());
    trace.record(&full_record());
    trace.finish(Status::Running).unwrap();
    let text = out.text();
    let rows: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    for name in HEADER.split(',') {
        assert!(rows[0].get(name).is_some(), "{name}");
    }
    assert_eq!(rows[1].as_object().unwrap().len(), 15);
    assert_eq!(rows[1]["seconds"].as_f64(), Some(1.0 / 3.0));
    assert_eq!(rows[1]["factorizations"].as_u64(), Some(u64::MAX));
    assert!(rows[1]["control"].is_null() && rows[1]["shift"].is_null());
}

#[test]
fn a_bare_state_leaves_cells_empty() {
    let out = Shared::default();
    let mut trace = Trace::to_writer(TraceFormat::Csv, out.clone());
    let state = TestState::new().param(vec![1.0]).cost(2.5);
    trace.observe_init("any", &state, &KV::new()).unwrap();
    trace.observe_iter(&state, &KV::new()).unwrap();
    let infinite = TestState::new();
    trace.observe_iter(&infinite, &KV::new()).unwrap();
    trace.observe_final(&state).unwrap();
    assert_eq!(
        out.text(),
        format!("{HEADER}\n0,2.5,,,,,,,,,,,,,\n1,2.5,,,,,,,,,,,,,\n1,,,,,,,,,,,,,,\n")
    );
}

#[test]
fn a_full_state_fills_what_it_can() {
    let out = Shared::default();
    let mut trace = Trace::to_writer(TraceFormat::Csv, out.clone());
    let mut state = TestState::new()
        .param(vec![0.0, 0.0])
        .param(vec![0.0, -3e200])
        .gradient(vec![4e200, 0.0])
        .cost(-1.0);
    state.iter = 6;
    for (k, name) in ["cost", "gradient", "hessian", "hessian_product", "jacobian"]
        .iter()
        .enumerate()
    {
        state.counts.insert(format!("{name}_count"), k as u64 + 11);
    }
    state.time(Some(Duration::from_millis(1500)));
    let mut kv = KV::new();
    kv.insert("time", KvValue::Float(0.25));
    trace.observe_iter(&state, &kv).unwrap();
    trace.observe_final(&state).unwrap();
    assert_eq!(
        out.text(),
        format!("{HEADER}\n7,-1.0,4e200,,3e200,,,,,11,12,13,14,,1.75\n")
    );
}

#[test]
fn published_metrics_win() {
    let out = Shared::default();
    let mut trace = Trace::to_writer(TraceFormat::Csv, out.clone());
    let mut state = TestState::new()
        .param(vec![0.0])
        .param(vec![1.0])
        .gradient(vec![1.0])
        .cost(8.0);
    state.counts.insert("cost_count".into(), 1);
    let mut kv = KV::new();
    for (k, name) in HEADER.split(',').enumerate() {
        // Those of iteration and f must not be taken.
        let value = match name {
            "trials" | "values" | "gradients" | "hessians" | "hessian_products"
            | "factorizations" => KvValue::Uint(k as u64),
            _ => KvValue::Float(k as f64 + 0.5),
        };
        kv.insert(name, value);
    }
    trace.observe_init("any", &state, &kv).unwrap();
    trace.observe_final(&state).unwrap();
    assert_eq!(
        out.text(),
        format!("{HEADER}\n0,8.0,2.5,3.5,4.5,5.5,6.5,7.5,8,9,10,11,12,13,14.5\n")
    );
}

#[test]
fn under_the_executor_the_file_is_complete_after_the_run() {
    let path = scratch("executor.csv");
    let trace = Trace::csv(&path).unwrap();
    bowl(2)
        .configure(|state| state.counting(true))
        .add_observer(trace.clone(), ObserverMode::Always)
        .run()
        .unwrap();
    assert!(trace.error().is_none());
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        format!(
            "{HEADER}\n0,50.0,10.0,,,,,,,,,,,,\n1,12.5,5.0,,5.0,,,,,2,2,,,,\n\
             2,3.125,2.5,,2.5,,,,,3,3,,,,\n"
        )
    );
}

#[test]
fn argmins_clock_is_used_if_it_runs() {
    let out = Shared::default();
    let trace = Trace::to_writer(TraceFormat::JsonLines, out.clone());
    bowl(3)
        .timer(true)
        .add_observer(trace, ObserverMode::Always)
        .run()
        .unwrap();
    let seconds: Vec<Option<f64>> = out
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seconds"].as_f64())
        .collect();
    assert_eq!(seconds.len(), 4);
    assert_eq!(seconds[0], None);
    assert!(seconds[1].unwrap() >= 0.0 && seconds[3].unwrap() >= seconds[1].unwrap());
}

#[test]
fn the_first_write_error_is_kept_and_nothing_is_written_after_it() {
    let calls = Arc::new(Mutex::new(0));
    let full = Full {
        room: 10_000,
        calls: Arc::clone(&calls),
    };
    let mut trace = Trace::to_writer(TraceFormat::Csv, full);
    let mut written = 0;
    while trace.error().is_none() {
        trace.record(&full_record());
        written += 1;
        assert!(written < 10_000);
    }
    let before = *calls.lock().unwrap();
    for _ in 0..1000 {
        trace.record(&full_record());
    }
    let finished = trace.finish(Status::Running);
    let Err(Error::Io { path, source }) = finished else {
        panic!("{finished:?}");
    };
    assert_eq!(path, "trace");
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(source.to_string(), "no room");
    drop(trace);
    assert_eq!(*calls.lock().unwrap(), before);
}

#[test]
fn a_failing_trace_does_not_stop_the_run() {
    let trace = Trace::to_writer(
        TraceFormat::Csv,
        Full {
            room: 0,
            calls: Arc::default(),
        },
    );
    let result = bowl(4)
        .add_observer(trace.clone(), ObserverMode::Always)
        .run()
        .unwrap();
    assert_eq!(result.state().get_iter(), 4);
    assert!(matches!(trace.error(), Some(Error::Io { .. })));
}

#[test]
fn a_file_that_cannot_be_created_is_an_error_now() {
    let path = scratch("missing").join("folder").join("x.csv");
    for made in [Trace::csv(&path), Trace::json(&path)] {
        match made.map(drop) {
            Err(Error::Io { path, .. }) => assert!(path.ends_with("x.csv")),
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(feature = "progress")]
mod progress {
    use super::*;
    use raphson::observe::ProgressBar;

    #[test]
    fn lines_name_the_start_and_the_end() {
        let out = Shared::default();
        let mut progress = ProgressBar::to_writer(out.clone()).max_iterations(5);
        let mut record = IterationRecord::default();
        record.f = 12345.678;
        record.gradient_norm = 0.125;
        progress.record(&record);
        record.iteration = 1;
        record.f = -1e-9;
        progress.record(&record);
        progress.finish(Status::Converged(Converged::GradientTolerance));
        let text = out.text();
        assert_eq!(
            text.lines().next(),
            Some("iteration 0  f = 1.234568e4  |g| = 1.25e-1")
        );
        assert_eq!(
            text.lines().last(),
            Some(
                "iteration 1  f = -1.000000e-9  |g| = 1.25e-1: Converged(GradientTolerance): \
                 the gradient norm is below its tolerance"
            )
        );
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    }

    #[test]
    fn lines_are_few() {
        let out = Shared::default();
        let mut progress = ProgressBar::to_writer(out.clone());
        let mut record = IterationRecord::default();
        for iteration in 0..10_000 {
            record.iteration = iteration;
            progress.record(&record);
        }
        progress.finish(Status::Running);
        let lines = out.text().lines().count();
        assert!((2..1000).contains(&lines), "{lines} lines");
    }

    #[test]
    fn an_unknown_gradient_is_not_shown() {
        let out = Shared::default();
        let mut progress = ProgressBar::to_writer(out.clone());
        let state = TestState::new().cost(f64::NAN);
        progress.observe_init("any", &state, &KV::new()).unwrap();
        let state = state.terminate_with(TerminationReason::SolverExit("it broke".into()));
        progress.observe_final(&state).unwrap();
        assert_eq!(
            out.text(),
            "iteration 0  f = NaN\niteration 0  f = NaN: it broke\n"
        );
    }

    #[test]
    fn a_run_without_records_still_tells_its_end() {
        let out = Shared::default();
        ProgressBar::to_writer(out.clone()).finish(Status::Running);
        assert_eq!(out.text(), "Running\n");
    }
}

#[cfg(feature = "plot")]
mod plot {
    use super::*;
    use raphson::observe::{ConvergencePlot, PlotAxis};

    fn decay(rate: f64, steps: u64) -> Vec<IterationRecord> {
        (0..=steps)
            .map(|k| {
                let mut record = IterationRecord::default();
                record.iteration = k;
                record.f = 3.0 + rate.powi(2 * k as i32);
                record.gradient_norm = rate.powi(k as i32);
                record.gradients = 2 * k + 1;
                record.seconds = 2e-4 * k as f64;
                record
            })
            .collect()
    }

    /// The text elements of an SVG whose tags balance.
    fn texts(svg: &str) -> Vec<String> {
        let (mut open, mut found) = (Vec::new(), Vec::new());
        let mut rest = svg;
        while let Some(start) = rest.find('<') {
            let content = rest[..start].trim();
            assert!(!content.contains('>'), "{content}");
            if open.last() == Some(&"text") && !content.is_empty() {
                found.push(content.to_string());
            }
            let end = start + rest[start..].find('>').expect("a tag ends");
            let tag = &rest[start + 1..end];
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(tag.split_whitespace().next().unwrap());
            }
            rest = &rest[end + 1..];
        }
        assert!(open.is_empty(), "{open:?}");
        found
    }

    fn draw(name: &str, plot: impl FnOnce(ConvergencePlot) -> ConvergencePlot) -> Vec<String> {
        let path = scratch(name);
        plot(ConvergencePlot::new(&path))
            .finish(Status::Running)
            .unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(svg.starts_with("<svg "));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        texts(&svg)
    }

    fn has(texts: &[String], text: &str) -> bool {
        texts.iter().any(|t| t == text)
    }

    #[test]
    fn shows_names_labels_and_powers_of_ten() {
        let texts = draw("names.svg", |mut plot| {
            plot.add_series("Newton & <co>", &decay(0.01, 4));
            plot.add_series("gradient descent", &decay(0.7, 20));
            plot.title("A \"title\"")
        });
        for text in [
            "Newton &amp; &lt;co&gt;",
            "gradient descent",
            "A &quot;title&quot;",
            "iterations",
            "gradient norm",
            "f − best f",
            "10⁻⁴",
            "20",
        ] {
            assert!(has(&texts, text), "{text}: {texts:?}");
        }
    }

    #[test]
    fn axis_and_optimum_change_the_labels() {
        let with = |axis| {
            draw("axis.svg", |mut plot| {
                plot.add_series("a", &decay(0.1, 5));
                plot.axis(axis).optimum(3.0)
            })
        };
        let texts = with(PlotAxis::Gradients);
        assert!(has(&texts, "gradient evaluations") && has(&texts, "f − optimum"));
        assert!(has(&texts, "10"), "{texts:?}");
        let texts = with(PlotAxis::Seconds);
        assert!(has(&texts, "time [ms]") && has(&texts, "0.8"), "{texts:?}");
    }

    #[test]
    fn odd_inputs_give_valid_files() {
        let single = decay(0.1, 0);
        let mut broken = decay(0.1, 3);
        broken[1].f = f64::NAN;
        broken[1].gradient_norm = f64::NEG_INFINITY;
        broken[2].seconds = f64::NAN;
        broken[3].f = f64::NEG_INFINITY;
        let mut nothing = decay(0.1, 3);
        for record in &mut nothing {
            record.f = f64::NAN;
            record.gradient_norm = 0.0;
        }
        let mut extreme = decay(0.1, 3);
        extreme[0].f = f64::MAX;
        extreme[1].f = -f64::MAX;
        extreme[1].gradient_norm = f64::MAX;
        extreme[2].gradient_norm = f64::from_bits(1);
        extreme[2].gradients = u64::MAX;
        extreme[3].iteration = u64::MAX;
        extreme[3].seconds = f64::from_bits(1);
        let equal = vec![single[0]; 4];
        let long = decay(0.999, 5000);
        for axis in [PlotAxis::Iterations, PlotAxis::Gradients, PlotAxis::Seconds] {
            for records in [&single, &broken, &nothing, &extreme, &equal, &long, &vec![]] {
                draw("odd.svg", |mut plot| {
                    plot.add_series("odd", records);
                    plot.add_series("one", &single);
                    plot.axis(axis)
                });
            }
        }
        let texts = draw("nothing.svg", |mut plot| {
            plot.add_series("nothing", &nothing);
            plot
        });
        assert_eq!(
            texts.iter().filter(|t| *t == "no positive values").count(),
            2
        );
        draw("long-title.svg", |mut plot| {
            plot.add_series("\u{0}µ".repeat(300), &single);
            plot.title("\n\u{1b}".repeat(300))
        });
    }

    #[test]
    fn what_cannot_be_drawn_or_written_is_a_typed_error() {
        let path = scratch("empty.svg");
        let mut plot = ConvergencePlot::new(&path);
        assert!(matches!(plot.finish(Status::Running), Err(Error::Plot(_))));
        plot.add_series("empty", &[]);
        assert!(matches!(plot.finish(Status::Running), Err(Error::Plot(_))));
        assert!(!path.exists());

        let mut plot = ConvergencePlot::new(&path).optimum(f64::NAN);
        plot.add_series("a", &decay(0.1, 2));
        assert!(matches!(
            plot.finish(Status::Running),
            Err(Error::InvalidParameter {
                name: "optimum",
                ..
            })
        ));

        let mut plot = ConvergencePlot::new("/");
        plot.add_series("a", &decay(0.1, 2));
        assert!(matches!(plot.finish(Status::Running), Err(Error::Plot(_))));

        let mut plot = ConvergencePlot::new(path.join("no").join("such.svg"));
        plot.add_series("a", &decay(0.1, 2));
        assert!(matches!(
            plot.finish(Status::Running),
            Err(Error::Io { .. })
        ));
    }

    #[test]
    fn observers_of_one_figure_compare_runs() {
        let path = scratch("compare.svg");
        let plot = ConvergencePlot::new(&path);
        for (name, steps) in [("short", 3), ("long", 12)] {
            bowl(steps)
                .add_observer(plot.series(name), ObserverMode::Always)
                .run()
                .unwrap();
        }
        bowl(5)
            .add_observer(plot, ObserverMode::Always)
            .run()
            .unwrap();
        let texts = texts(&std::fs::read_to_string(&path).unwrap());
        for name in ["short", "long", "halving"] {
            assert!(has(&texts, name), "{name}: {texts:?}");
        }
        // Nothing but the figure is left in its folder.
        let folder = std::fs::read_dir(path.parent().unwrap()).unwrap();
        let left: Vec<_> = folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("compare.svg"))
            .collect();
        assert_eq!(left, ["compare.svg"]);
    }

    #[test]
    fn unknown_places_are_left_out() {
        let path = scratch("unknown.svg");
        // Without counting, no point has a known number of gradients.
        bowl(5)
            .add_observer(
                ConvergencePlot::new(&path).axis(PlotAxis::Gradients),
                ObserverMode::Always,
            )
            .run()
            .unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(has(&texts(&svg), "no positive values"));
        assert_eq!(svg.matches("<circle").count(), 1, "only the legend's");
    }

    #[test]
    fn zero_is_left_out_of_the_line() {
        let path = scratch("zero.svg");
        let mut plot = ConvergencePlot::new(&path);
        plot.add_series("a", &decay(0.1, 5));
        plot.finish(Status::Running).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        // Six gradient norms, five values above the least, and one in the legend.
        assert_eq!(svg.matches("<circle").count(), 12);
    }
}
