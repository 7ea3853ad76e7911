//! Panels of lines with markers on logarithmic axes, and their legend.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::ops::Range;

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub type Drawn = Result<(), Box<dyn Error>>;

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
/// Most markers on a line.
const MARKERS: usize = 10;

/// How a solver is drawn in all figures.
#[derive(Debug, Clone)]
pub struct Pen {
    pub name: String,
    /// Color and marker: all pairs of 8 and 4 differ.
    pub place: usize,
    pub dashed: bool,
}

impl Pen {
    fn color(&self) -> RGBColor {
        COLORS[self.place % COLORS.len()]
    }

    /// The line through `points`, given in pixels.
    fn line(&self, area: &Area<'_>, points: &[(i32, i32)]) -> Drawn {
        let style = self.color().stroke_width(if self.dashed { 1 } else { 2 });
        if self.dashed {
            return dashes(area, points, 10.0, 6.0, style);
        }
        area.draw(&PathElement::new(points.to_vec(), style))?;
        Ok(())
    }

    fn marker(&self, area: &Area<'_>, at: (i32, i32)) -> Drawn {
        let filled = self.color().filled();
        match self.place / COLORS.len() % 4 {
            0 => area.draw(&Circle::new(at, 3, filled))?,
            1 => area.draw(&TriangleMarker::new(at, 5, filled))?,
            2 => area.draw(&Cross::new(at, 4, self.color().stroke_width(2)))?,
            _ => area.draw(&Rectangle::new(
                [(at.0 - 3, at.1 - 3), (at.0 + 3, at.1 + 3)],
                filled,
            ))?,
        }
        Ok(())
    }
}

/// The path in strokes of length `on` with gaps of length `off`.
fn dashes(area: &Area<'_>, path: &[(i32, i32)], on: f64, off: f64, style: ShapeStyle) -> Drawn {
    // Length walked since the last stroke began.
    let mut walked = 0.0;
    let mut stroke: Vec<(i32, i32)> = path.first().copied().into_iter().collect();
    for ends in path.windows(2) {
        let (from, to) = (ends[0], ends[1]);
        let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let length = dx.hypot(dy);
        let mut done = 0.0;
        while done < length {
            let drawing = walked < on;
            let part = (if drawing { on } else { on + off } - walked).min(length - done);
            done += part;
            walked += part;
            let share = done / length;
            let at = (
                from.0 + (share * dx).round() as i32,
                from.1 + (share * dy).round() as i32,
            );
            if drawing {
                stroke.push(at);
            }
            if drawing && walked >= on {
                area.draw(&PathElement::new(std::mem::take(&mut stroke), style))?;
            } else if walked >= on + off {
                walked = 0.0;
                stroke.push(at);
            }
        }
    }
    if stroke.len() > 1 {
        area.draw(&PathElement::new(stroke, style))?;
    }
    Ok(())
}

/// The scale of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Ticks at powers of ten.
    Decimal,
    /// Ticks at powers of two.
    Binary,
    /// From 0 to 1.
    Share,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Scale::Decimal => value.log10(),
            Scale::Binary => value.log2(),
            Scale::Share => value,
        }
    }

    fn range(self, values: impl Iterator<Item = f64>) -> Range<f64> {
        if self == Scale::Share {
            return 0.0..1.04;
        }
        let places = values.map(|v| self.place(v));
        let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
        if !(low.is_finite() && high.is_finite()) {
            return 0.0..1.0;
        }
        let room = 0.03 * (high - low).max(0.5);
        low - room..high + room
    }

    /// Places and labels of the ticks, at most about eight.
    fn ticks(self, range: &Range<f64>) -> Vec<(f64, String)> {
        if self == Scale::Share {
            return (0..=5)
                .map(|k| (0.2 * f64::from(k), format!("{:.1}", 0.2 * f64::from(k))))
                .collect();
        }
        let (first, last) = (range.start.ceil() as i32, range.end.floor() as i32);
        let mut step = ((last - first) / 8 + 1).max(1);
        if step > 2 {
            step += (4 - step % 4) % 4;
        }
        let label = |k: i32| match self {
            Scale::Binary => format!("{}", 2f64.powi(k)),
            _ if (-2..=4).contains(&k) => format!("{}", 10f64.powi(k)),
            _ => format!("1e{k}"),
        };
        let whole = (first..=last).filter(|k| k.rem_euclid(step) == 0);
        let mut ticks: Vec<(f64, String)> = whole.map(|k| (f64::from(k), label(k))).collect();
        if ticks.len() < 2 && self == Scale::Decimal {
            // Less than a decade: ticks at 1, 2 and 5.
            ticks.clear();
            for k in first - 1..=last + 1 {
                for m in [1.0, 2.0, 5.0] {
                    let value = m * 10f64.powi(k);
                    if range.contains(&value.log10()) {
                        ticks.push((
                            value.log10(),
                            if k < -3 {
                                format!("{m}e{k}")
                            } else {
                                format!("{value}")
                            },
                        ));
                    }
                }
            }
        }
        ticks
    }
}

/// Lines over common axes.
pub struct Panel<'a> {
    pub x: (&'a str, Scale),
    pub y: (&'a str, Scale),
    pub lines: Vec<(Pen, Vec<(f64, f64)>)>,
    /// A horizontal line.
    pub level: Option<f64>,
}

/// Left, right, top and bottom room for labels in pixels.
const ROOM: [i32; 4] = [78, 14, 12, 46];

impl Panel<'_> {
    pub fn draw(&self, area: &Area<'_>) -> Drawn {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let horizontal = self.x.1.range(points().map(|p| p.0));
        let vertical = self.y.1.range(points().map(|p| p.1).chain(self.level));
        let (width, height) = area.dim_in_pixel();
        let [left, right, top, bottom] = ROOM;
        let (right, bottom) = (width as i32 - right, height as i32 - bottom);
        let part = |v: f64, range: &Range<f64>| (v - range.start) / (range.end - range.start);
        let across =
            |v: f64| left + (part(v, &horizontal) * f64::from(right - left)).round() as i32;
        let down = |v: f64| bottom - (part(v, &vertical) * f64::from(bottom - top)).round() as i32;

        for (place, label) in self.x.1.ticks(&horizontal) {
            let x = across(place);
            area.draw(&PathElement::new([(x, top), (x, bottom)], GRID))?;
            text(area, &label, (x, bottom + 6), HPos::Center, VPos::Top, 13)?;
        }
        for (place, label) in self.y.1.ticks(&vertical) {
            let y = down(place);
            area.draw(&PathElement::new([(left, y), (right, y)], GRID))?;
            text(area, &label, (left - 6, y), HPos::Right, VPos::Center, 13)?;
        }
        area.draw(&Rectangle::new(
            [(left, top), (right, bottom)],
            INK.stroke_width(1),
        ))?;
        text(
            area,
            self.x.0,
            ((left + right) / 2, bottom + 26),
            HPos::Center,
            VPos::Top,
            15,
        )?;
        let style = (FONT, 15)
            .into_font()
            .transform(FontTransform::Rotate270)
            .color(&INK);
        let style = style.pos(Pos::new(HPos::Center, VPos::Center));
        area.draw(&Text::new(
            self.y.0.to_string(),
            (14, (top + bottom) / 2),
            style,
        ))?;
        if let Some(level) = self.level {
            let y = down(self.y.1.place(level));
            dashes(
                area,
                &[(left, y), (right, y)],
                2.0,
                4.0,
                INK.stroke_width(1),
            )?;
        }
        for (pen, points) in &self.lines {
            let place = |p: &(f64, f64)| (across(self.x.1.place(p.0)), down(self.y.1.place(p.1)));
            let pixels: Vec<(i32, i32)> = points.iter().map(place).collect();
            let mut path = pixels.clone();
            path.dedup();
            pen.line(area, &path)?;
            // Spread over the length of the drawing, not over the points, and always the last.
            let step = ((right - left) / MARKERS as i32).max(1);
            let mut next = i32::MIN;
            for (k, &at) in pixels.iter().enumerate() {
                if at.0 >= next || k + 1 == pixels.len() {
                    pen.marker(area, at)?;
                    next = at.0 + step;
                }
            }
        }
        Ok(())
    }
}

/// The names below each other, in the order given.
pub fn legend(area: &Area<'_>, pens: &[Pen]) -> Drawn {
    let room = area.dim_in_pixel().1 as i32 - 24;
    let row = (room / pens.len().max(1) as i32).clamp(10, 22);
    for (k, pen) in pens.iter().enumerate() {
        let y = 20 + k as i32 * row;
        pen.line(area, &[(0, y), (30, y)])?;
        pen.marker(area, (15, y))?;
        text(area, &pen.name, (38, y), HPos::Left, VPos::Center, 14)?;
    }
    Ok(())
}

pub fn text(area: &Area<'_>, text: &str, at: (i32, i32), h: HPos, v: VPos, size: i32) -> Drawn {
    let style = (FONT, size).into_font().color(&INK).pos(Pos::new(h, v));
    area.draw(&Text::new(text.to_string(), at, style))?;
    Ok(())
}

/// A figure of this size as the text of an SVG file.
pub fn svg(
    size: (u32, u32),
    title: &str,
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, String> {
    let mut out = String::new();
    let drawn = || -> Drawn {
        let root = SVGBackend::with_string(&mut out, size).into_drawing_area();
        root.fill(&WHITE)?;
        let (head, body) = root.split_vertically(34);
        text(
            &head,
            title,
            (size.0 as i32 / 2, 12),
            HPos::Center,
            VPos::Top,
            20,
        )?;
        draw(&body)?;
        root.present()?;
        Ok(())
    };
    drawn().map_err(|error| format!("figure {title}: {error}"))?;
    Ok(out)
}
