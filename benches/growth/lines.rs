//! Tables and plots of how a cost grows, with fitted exponents.

use super::figure::{Panel, Pen, Scale, legend, svg};

/// The cost at each of several sizes.
pub struct Line {
    pub name: String,
    pub seconds: Vec<f64>,
    /// The exponent for large sizes, where it is one number.
    pub law: Option<f64>,
    pub operations: Vec<f64>,
    /// Iterations, gradients and Hessians of a run, where the line is of one.
    pub counts: Option<Vec<String>>,
}

/// p of y ≈ c xᵖ, by least squares on the logarithms.
fn exponent(x: &[f64], y: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().map(|v| v.ln()).sum::<f64>() / v.len() as f64;
    let (across, up) = (mean(x), mean(y));
    let (mut product, mut square) = (0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let x = x.ln() - across;
        product += x * (y.ln() - up);
        square += x * x;
    }
    product / square
}

/// Milliseconds to three digits.
fn milliseconds(seconds: f64) -> String {
    let ms = 1e3 * seconds;
    let decimals = (2.0 - ms.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{ms:.decimals$}")
}

pub fn print(title: &str, sizes: &[f64], lines: &[Line]) {
    let join = |cells: Vec<String>| cells.join(" | ");
    let heads = join(sizes.iter().map(|size| size.to_string()).collect());
    println!("\n| {title} | {heads} | exponent | last two | law | operations |");
    println!("|---|{}", "--:|".repeat(sizes.len() + 4));
    for line in lines {
        let cells = join(line.seconds.iter().map(|&s| milliseconds(s)).collect());
        let last = sizes.len() - 2;
        println!(
            "| {}, ms | {cells} | {:.2} | {:.2} | {} | {:.2} |",
            line.name,
            exponent(sizes, &line.seconds),
            exponent(&sizes[last..], &line.seconds[last..]),
            line.law.map_or("-".into(), |law| law.to_string()),
            exponent(sizes, &line.operations),
        );
    }
    for line in lines {
        if let Some(counts) = &line.counts {
            let cells = join(counts.clone());
            println!("| {}: iterations, g, H | {cells} | | | | |", line.name);
        }
    }
}

pub type Study<'a> = (&'a str, Scale, Vec<f64>, &'a [Line]);

/// One panel a study: the seconds, and dashed the law from the first of them on.
pub fn plot(studies: &[Study<'_>]) -> Result<String, String> {
    let (width, height, names) = (480, 400, 150);
    let size = (width * studies.len() as u32, height + names + 34);
    let title =
        "CPU seconds of one thread and fitted exponents; dashed: the law from the smallest size on";
    svg(size, title, |area| {
        let columns = area.split_evenly((1, studies.len()));
        for (column, (label, scale, sizes, lines)) in columns.iter().zip(studies) {
            let (above, below) = column.split_vertically(height);
            let mut panel = Panel {
                x: (label, *scale),
                y: ("seconds", Scale::Decimal),
                lines: Vec::new(),
                level: None,
            };
            let mut names = Vec::new();
            let drawn = lines.iter().filter(|line| line.counts.is_none());
            for (place, line) in drawn.enumerate() {
                let power = exponent(sizes, &line.seconds);
                let law = line.law.map_or(String::new(), |law| format!(", law {law}"));
                let pen = |dashed| Pen {
                    name: format!("{}: {power:.2}{law}", line.name),
                    place,
                    dashed,
                };
                let points = sizes.iter().copied().zip(line.seconds.iter().copied());
                panel.lines.push((pen(false), points.collect()));
                names.push(pen(false));
                if let Some(law) = line.law {
                    let ends = [sizes[0], sizes[sizes.len() - 1]];
                    let along = ends.map(|x| (x, line.seconds[0] * (x / ends[0]).powf(law)));
                    panel.lines.push((pen(true), along.to_vec()));
                }
            }
            panel.draw(&above)?;
            legend(&below.margin(0, 0, 78, 0), &names)?;
        }
        Ok(())
    })
}
