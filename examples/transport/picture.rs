//! The figure: the plan, the way to it, and what it does to an image.

use plotters::coord::Shift;
use plotters::prelude::*;
use raphson::transport::Plan;
use raphson::{Error, Sinkhorn, SinkhornNewton, Transport};
use std::path::Path;

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Width of the figure, heights of its rows.
const WIDTH: u32 = 1000;
const UPPER: u32 = 500;
const LOWER: u32 = 215;
/// The plan is summed over blocks if it has more rows or columns.
const CELLS: usize = 150;
/// Share of each row and column that the drawing may leave out.
const LEFT_OUT: f64 = 1e-3;
/// Sweeps of Sinkhorn's algorithm, for comparison.
const SWEEPS: u64 = 2000;
const TIMES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
const INK: RGBColor = RGBColor(0, 40, 90);
const COLORS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];

/// Writes the figure; `pixels` are rows and columns of the images, if there are any.
pub fn draw(
    path: &Path,
    problem: &Transport,
    plan: &Plan,
    tol: f64,
    pixels: Option<(usize, usize)>,
) -> Result<(), Error> {
    let entries: Vec<(usize, usize, f64)> = plan
        .to_sparse(LEFT_OUT)?
        .triplet_iter()
        .map(|entry| (entry.row, entry.col, *entry.val))
        .collect();
    let ways = ways(problem, plan.eps(), tol)?;
    figure(path, problem.shape(), &entries, &ways, pixels)
        .map_err(|error| Error::Data(format!("{}: {error}", path.display())))
}

fn figure(
    path: &Path,
    shape: (usize, usize),
    entries: &[(usize, usize, f64)],
    ways: &[Way; 2],
    pixels: Option<(usize, usize)>,
) -> Drawn {
    let height = if pixels.is_some() {
        UPPER + LOWER
    } else {
        UPPER
    };
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let (upper, lower) = root.split_vertically(UPPER);
    let (left, right) = upper.split_horizontally(WIDTH / 2);
    draw_plan(&left, shape, entries)?;
    draw_ways(&right, ways)?;
    if let Some(pixels) = pixels {
        let frames = lower.split_evenly((1, TIMES.len()));
        for (frame, t) in frames.iter().zip(TIMES) {
            draw_image(frame, pixels, t, &between(entries, pixels, t))?;
        }
    }
    root.present()?;
    Ok(())
}

/// Marginal errors of a run, over its sweeps plus Newton steps.
struct Way {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// The runs of both methods.
fn ways(problem: &Transport, eps: f64, tol: f64) -> Result<[Way; 2], Error> {
    let mut newton = Vec::new();
    let mut sinkhorn = Vec::new();
    let steps = |iteration: u64, sweeps: u64| (iteration + sweeps).max(1) as f64;
    SinkhornNewton::new(eps)
        .marginal_tol(tol)
        .on_iteration(|r| {
            newton.push((steps(r.hessians, r.sweeps), r.marginal_error));
            true
        })
        .solve(problem)?;
    Sinkhorn::new(eps)
        .marginal_tol(tol)
        .max_iters(SWEEPS)
        .on_iteration(|r| {
            sinkhorn.push((steps(0, r.sweeps), r.marginal_error));
            true
        })
        .solve(problem)?;
    Ok([("Sinkhorn-Newton", newton), ("Sinkhorn", sinkhorn)]
        .map(|(name, points)| Way { name, points }))
}

fn draw_plan(area: &Area<'_>, (n, m): (usize, usize), entries: &[(usize, usize, f64)]) -> Drawn {
    let (rows, columns) = (n.clamp(1, CELLS), m.clamp(1, CELLS));
    let mut cells = vec![0.0; rows * columns];
    for &(i, j, p) in entries {
        cells[i * rows / n.max(1) * columns + j * columns / m.max(1)] += p;
    }
    let mut chart = ChartBuilder::on(area)
        .caption(
            "the plan, each row relative to its largest part",
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..m as f64, n as f64..0.0)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc("place of the target")
        .y_desc("place of the source")
        .draw()?;
    let (high, wide) = (n as f64 / rows as f64, m as f64 / columns as f64);
    for (i, row) in cells.chunks(columns).enumerate() {
        let largest = row.iter().copied().fold(0.0, f64::max);
        let marked = row
            .iter()
            .enumerate()
            .filter(|(_, p)| **p > LEFT_OUT * largest);
        chart.draw_series(marked.map(|(j, p)| {
            let (x, y) = (j as f64 * wide, i as f64 * high);
            Rectangle::new(
                [(x, y), (x + wide, y + high)],
                INK.mix(p / largest).filled(),
            )
        }))?;
    }
    Ok(())
}

fn draw_ways(area: &Area<'_>, ways: &[Way; 2]) -> Drawn {
    let all = || {
        ways.iter()
            .flat_map(|way| &way.points)
            .filter(|p| p.1 > 0.0)
    };
    let last = all().map(|p| p.0).fold(2.0, f64::max);
    let low = all().map(|p| p.1).fold(1e-1, f64::min);
    let high = all().map(|p| p.1).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption("marginal error", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d((1.0..last).log_scale(), (0.5 * low..2.0 * high).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("sweeps and Newton steps")
        .y_label_formatter(&|v| format!("{v:.0e}"))
        .draw()?;
    for (way, color) in ways.iter().zip(COLORS) {
        let points = way.points.iter().copied().filter(|p| p.1 > 0.0);
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(way.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE)
        .draw()?;
    Ok(())
}

/// The image at time t: each P_ij has gone the share t of the way from pixel i to pixel j, and is divided among
/// the four pixels around it.
fn between(entries: &[(usize, usize, f64)], (rows, columns): (usize, usize), t: f64) -> Vec<f64> {
    let mut image = vec![0.0; rows * columns];
    for &(from, to, p) in entries {
        let at = |from: usize, to: usize| (1.0 - t) * from as f64 + t * to as f64;
        let y = at(from / columns, to / columns);
        let x = at(from % columns, to % columns);
        let (i, j) = (y.floor(), x.floor());
        for (i, v) in [(i, 1.0 - (y - i)), (i + 1.0, y - i)] {
            for (j, w) in [(j, 1.0 - (x - j)), (j + 1.0, x - j)] {
                let share = p * v * w;
                if share > 0.0 {
                    image[i as usize * columns + j as usize] += share;
                }
            }
        }
    }
    image
}

fn draw_image(area: &Area<'_>, (rows, columns): (usize, usize), t: f64, image: &[f64]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .caption(format!("t = {t}"), ("sans-serif", 16))
        .margin(6)
        .build_cartesian_2d(0.0..columns as f64, rows as f64..0.0)?;
    chart.configure_mesh().disable_mesh().draw()?;
    let largest = image.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let marked = image
        .iter()
        .enumerate()
        .filter(|(_, v)| **v > LEFT_OUT * largest);
    chart.draw_series(marked.map(|(k, v)| {
        let (x, y) = ((k % columns) as f64, (k / columns) as f64);
        Rectangle::new([(x, y), (x + 1.0, y + 1.0)], INK.mix(v / largest).filled())
    }))?;
    Ok(())
}
