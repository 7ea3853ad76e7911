//! Drawing of a [`Figure`] as SVG.
//!
//! The logarithmic axes are linear axes over log10 of the values, bounded and
//! ticked at whole powers of ten.

use super::{Figure, PlotAxis};
use crate::error::Error;
use crate::observe::Observed;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error as StdError;
use std::ops::Range;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn StdError>>;

/// Of the figure, the legend included.
const SIZE: (u32, u32) = (1290, 440);
/// Width of the column with the names.
const LEGEND: u32 = 230;
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(226, 226, 226);
/// Distinct for the color-blind too (Okabe and Ito).
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(148, 133, 10),
];
/// Most ticks of an axis.
const TICKS: usize = 8;
/// Up to this many points of a series are marked by dots.
const DOTTED: usize = 60;
/// Longest name in a legend, in characters.
const NAME: usize = 24;
/// Longest title, in characters.
const TITLE: usize = 100;

/// One panel: for each series its points (x, log10 y).
struct Panel {
    label: &'static str,
    lines: Vec<Vec<(f64, f64)>>,
}

/// The horizontal axis, shared by the panels.
struct Horizontal {
    label: &'static str,
    field: &'static str,
    /// Of the tick labels, per unit of the record.
    scale: f64,
    whole: bool,
}

/// A linear axis with ticks at given places.
struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        first + (part * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            Vec::new()
        } else {
            self.ticks.clone()
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// The figure as the text of an SVG file.
pub(super) fn svg(figure: &Figure) -> Result<String, Error> {
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    draw(figure, &root).map_err(|error| Error::Plot(error.to_string()))?;
    drop(root);
    Ok(text)
}

fn draw(figure: &Figure, root: &Area<'_>) -> Drawn {
    let horizontal = Horizontal::of(figure);
    let base = figure.optimum.or_else(|| least(figure));
    let gap = horizontal.panel(
        figure,
        if figure.optimum.is_some() {
            "f − optimum"
        } else {
            "f − best f"
        },
        |row| base.map(|base| row.record.f - base),
    );
    let gradient = horizontal.panel(figure, "gradient norm", |row| {
        row.knows("gradient_norm")
            .then_some(row.record.gradient_norm)
    });
    let end = [&gap, &gradient]
        .iter()
        .flat_map(|panel| panel.lines.iter().flatten())
        .fold(0.0, |end: f64, point| end.max(point.0));
    let end = if end > 0.0 { end } else { 1.0 };

    root.fill(&WHITE)?;
    let mut body = root.clone();
    if let Some(title) = &figure.title {
        let style = (FONT, 22).into_font().color(&INK);
        body = root
            .margin(10, 0, 0, 0)
            .titled(&printable(title, TITLE), style)?;
    }
    let (panels, legend) = body.split_horizontally(SIZE.0 - LEGEND);
    let (left, right) = panels.split_horizontally((SIZE.0 - LEGEND) / 2);
    horizontal.draw(&left, &gap, end)?;
    horizontal.draw(&right, &gradient, end)?;
    let names: Vec<&str> = figure.series.iter().map(|s| s.name.as_str()).collect();
    draw_legend(&legend, &names)?;
    root.present()?;
    Ok(())
}

/// The names below each other, closer if they are many.
fn draw_legend(area: &Area<'_>, names: &[&str]) -> Drawn {
    let room = area.dim_in_pixel().1 as usize - 40;
    let row = (room / names.len().max(1)).min(24);
    for (k, name) in names.iter().enumerate() {
        // At most the height of the area.
        let y = (26 + k * row) as i32;
        let color = color(k);
        area.draw(&PathElement::new([(0, y), (22, y)], color.stroke_width(2)))?;
        area.draw(&Circle::new((11, y), 3, color.filled()))?;
        let style = label().pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(printable(name, NAME), (30, y), style))?;
    }
    Ok(())
}

fn color(series: usize) -> RGBColor {
    COLORS[series % COLORS.len()]
}

fn label() -> TextStyle<'static> {
    (FONT, 15).into_font().color(&INK)
}

/// The least finite f of all series.
fn least(figure: &Figure) -> Option<f64> {
    let rows = figure.series.iter().flat_map(|series| &series.rows);
    rows.map(|row| row.record.f)
        .filter(|f| f.is_finite())
        .min_by(f64::total_cmp)
}

impl Horizontal {
    fn of(figure: &Figure) -> Self {
        match figure.axis {
            PlotAxis::Iterations => Self::counts("iterations", "iteration"),
            PlotAxis::Gradients => Self::counts("gradient evaluations", "gradients"),
            PlotAxis::Seconds => {
                let rows = figure.series.iter().flat_map(|series| &series.rows);
                let last = rows.map(|row| row.record.seconds).fold(0.0, f64::max);
                let (label, scale) = match last {
                    s if s >= 1.0 => ("time [s]", 1.0),
                    s if s >= 1e-3 => ("time [ms]", 1e3),
                    _ => ("time [µs]", 1e6),
                };
                Horizontal {
                    label,
                    field: "seconds",
                    scale,
                    whole: false,
                }
            }
        }
    }

    fn counts(label: &'static str, field: &'static str) -> Self {
        Horizontal {
            label,
            field,
            scale: 1.0,
            whole: true,
        }
    }

    /// The place of a row, in the unit of the tick labels.
    fn place(&self, row: &Observed) -> Option<f64> {
        if !row.knows(self.field) {
            return None;
        }
        let x = match self.field {
            "gradients" => row.record.gradients as f64,
            "seconds" => row.record.seconds * self.scale,
            _ => row.record.iteration as f64,
        };
        (x.is_finite() && x >= 0.0).then_some(x)
    }

    fn panel(
        &self,
        figure: &Figure,
        label: &'static str,
        value: impl Fn(&Observed) -> Option<f64>,
    ) -> Panel {
        let point = |row: &Observed| {
            let y = value(row)?.log10();
            y.is_finite().then_some((self.place(row)?, y))
        };
        let lines = figure.series.iter();
        Panel {
            label,
            lines: lines
                .map(|series| series.rows.iter().filter_map(point).collect())
                .collect(),
        }
    }

    /// Draws a panel over [0, `end`].
    fn draw(&self, area: &Area<'_>, panel: &Panel, end: f64) -> Drawn {
        let decades = decades(panel);
        let (low, high) = (f64::from(decades.start), f64::from(decades.end));
        let (step, decimals) = tick_step(end, self.whole);
        let count = (end / step * (1.0 + 1e-12)).floor() as usize;
        let ticks = (0..=count).map(|k| k as f64 * step).collect();
        let stride = decades.len().div_ceil(TICKS) as i32;
        let powers = (decades.start..=decades.end).filter(|k| k % stride == 0);

        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .margin_right(22)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(
                Axis {
                    range: 0.0..end,
                    ticks,
                },
                Axis {
                    range: low..high,
                    ticks: powers.map(f64::from).collect(),
                },
            )?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(label())
            .axis_desc_style((FONT, 17).into_font().color(&INK))
            .x_desc(self.label)
            .y_desc(panel.label)
            .x_label_formatter(&|x| format!("{x:.decimals$}"))
            .y_label_formatter(&|y| power_of_ten(y.round() as i64))
            .draw()?;

        for (k, line) in panel.lines.iter().enumerate() {
            let color = color(k);
            let mut line = line.clone();
            let dots = if line.len() <= DOTTED { 3 } else { 0 };
            // Points that share their pixel are drawn once.
            line.dedup_by_key(|(x, y)| {
                let (u, v) = (*x / end, (*y - low) / (high - low));
                ((u * 500.0).round() as i64, (v * 400.0).round() as i64)
            });
            let style = color.filled().stroke_width(2);
            chart.draw_series(LineSeries::new(line, style).point_size(dots))?;
        }
        if panel.lines.iter().all(Vec::is_empty) {
            let center = (0.35 * end, 0.5 * (low + high));
            chart.draw_series([Text::new("no positive values", center, label())])?;
        }
        Ok(())
    }
}

/// The whole powers of ten around the values, at least one decade.
fn decades(panel: &Panel) -> Range<i32> {
    let values = || panel.lines.iter().flatten().map(|point| point.1);
    let low = values().fold(f64::INFINITY, f64::min).floor();
    let high = values().fold(f64::NEG_INFINITY, f64::max).ceil();
    if low > high {
        return 0..1;
    }
    // log10 of a double lies in [-324, 309].
    let (low, high) = (low as i32, high as i32);
    if low == high {
        low - 1..high + 1
    } else {
        low..high
    }
}

/// A step of 1, 2 or 5 times a power of ten with at most [`TICKS`] steps up to
/// `end`, and the decimals that it needs.
fn tick_step(end: f64, whole: bool) -> (f64, usize) {
    let power = (end / TICKS as f64).log10().floor();
    let steps = [1.0, 2.0, 5.0, 10.0].map(|m| m * 10f64.powf(power));
    let step = steps.into_iter().find(|s| end / s <= TICKS as f64);
    let step = step.unwrap_or(end);
    if whole {
        return (step.max(1.0), 0);
    }
    (step, (-step.log10().floor()).clamp(0.0, 17.0) as usize)
}

/// 10 to the `k`, as in 10⁻³.
fn power_of_ten(k: i64) -> String {
    let raised = k
        .to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            // The superscripts of 0 and 4 to 9 follow each other.
            digit => char::from_u32(0x2070 + digit.to_digit(10).unwrap_or(0)).unwrap_or(digit),
        })
        .collect::<String>();
    format!("10{raised}")
}

/// At most `length` characters of a text, without those that XML forbids.
fn printable(text: &str, length: usize) -> String {
    let allowed = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let clean = |c| if allowed(c) { c } else { ' ' };
    let mut short: String = text.chars().take(length).map(clean).collect();
    if text.chars().nth(length).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_superscripts() {
        assert_eq!(power_of_ten(0), "10⁰");
        assert_eq!(power_of_ten(-14), "10⁻¹⁴");
        assert_eq!(power_of_ten(235), "10²³⁵");
        assert_eq!(power_of_ten(-6789), "10⁻⁶⁷⁸⁹");
    }

    #[test]
    fn ticks_are_few_and_round() {
        for (end, whole, step, decimals) in [
            (1.0, true, 1.0, 0),
            (8.0, true, 1.0, 0),
            (9.0, true, 2.0, 0),
            (37.0, true, 5.0, 0),
            (1e6, true, 2e5, 0),
            (0.9, false, 0.2, 1),
            (1.0, false, 0.2, 1),
            (3.2, false, 0.5, 1),
            (700.0, false, 100.0, 0),
        ] {
            let (found, places) = tick_step(end, whole);
            assert!((found / step - 1.0).abs() < 1e-12, "{end}: {found}");
            assert_eq!(places, decimals, "{end}");
        }
    }

    #[test]
    fn decades_cover_the_values() {
        let over = |values: &[f64]| {
            decades(&Panel {
                label: "",
                lines: vec![values.iter().map(|y: &f64| (0.0, y.log10())).collect()],
            })
        };
        assert_eq!(over(&[]), 0..1);
        assert_eq!(over(&[100.0]), 1..3);
        assert_eq!(over(&[2.0, 5.0]), 0..1);
        assert_eq!(over(&[5e-324, f64::MAX]), -324..309);
    }

    #[test]
    fn text_is_cut_and_cleaned() {
        assert_eq!(printable("a\u{0}b\nc", 9), "a b c");
        assert_eq!(printable("µs µs", 4), "µs µ…");
        assert_eq!(printable("µs µs", 5), "µs µs");
    }
}
