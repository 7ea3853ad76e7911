//! The cost model of "Beyond one machine": seconds per iteration by rows, columns and ranks.
//!
//! ```text
//! cargo run --release -p raphson-mpi --example cost_model -- --plot model.svg
//! ```
//!
//! The defaults are the constants that the page gives; put in those of another machine. It needs no
//! MPI to run.

use clap::Parser;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Predicts seconds per iteration of dense logistic regression over MPI ranks.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Command {
    /// Seconds of processor time for the loss of a row
    #[arg(long, default_value_t = 6.3e-8)]
    row: f64,
    /// Seconds for an entry in value and gradient
    #[arg(long, default_value_t = 2.56e-9)]
    entry: f64,
    /// Seconds for an entry of the triangle d(d + 1)/2 of a row in the Hessian
    #[arg(long, default_value_t = 5.0e-11)]
    triangle: f64,
    /// Seconds for a multiplication in the Cholesky factorization, d^3/3 of them
    #[arg(long, default_value_t = 5.0e-11)]
    factor: f64,
    /// Seconds for a message
    #[arg(long, default_value_t = 2.5e-6)]
    latency: f64,
    /// Bytes per second that a rank receives
    #[arg(long, default_value_t = 1.7e9)]
    bandwidth: f64,
    /// Rows of the drawing
    #[arg(long, default_value_t = 1e10)]
    rows: f64,
    /// Draw to this SVG file
    #[arg(long)]
    plot: Option<PathBuf>,
}

/// Doubles up to which a sum is gathered whole, those of all ranks counted.
const GATHER: f64 = 32768.0;
/// Products with the Hessian in a matrix-free iteration, as drawn.
const PRODUCTS: f64 = 20.0;
/// Steps that share a Hessian in the lazy method, as drawn.
const LAZY: f64 = 10.0;

impl Command {
    /// A sum of m doubles over p ranks: log₂ p messages a gather, p − 1 an exchange of pieces.
    fn sum(&self, m: f64, p: f64) -> f64 {
        if p <= 1.0 {
            return 0.0;
        }
        let words = m + 1.0;
        if words * p <= GATHER {
            let bytes = 8.0 * (p - 1.0) * words;
            return self.latency * p.log2() + bytes / self.bandwidth;
        }
        let bytes = 16.0 * (p - 1.0) * (words / p).ceil();
        self.latency * (p - 1.0 + p.log2()) + bytes / self.bandwidth
    }

    fn gradient(&self, n: f64, d: f64, p: f64) -> [f64; 2] {
        [n / p * (self.row + self.entry * d), self.sum(d + 1.0, p)]
    }

    fn hessian(&self, n: f64, d: f64, p: f64) -> [f64; 2] {
        let triangle = d * (d + 1.0) / 2.0;
        [
            n / p * (self.row + self.entry * d + self.triangle * triangle)
                + self.factor * d.powi(3) / 3.0,
            self.sum(triangle, p),
        ]
    }

    fn product(&self, n: f64, d: f64, p: f64) -> [f64; 2] {
        // Two products with a row more than the margin, as the gradient has one.
        [n / p * (self.row + 1.5 * self.entry * d), self.sum(d, p)]
    }

    /// Computation and communication of an iteration.
    fn iteration(&self, method: &str, n: f64, d: f64, p: f64) -> [f64; 2] {
        let (g, h) = (self.gradient(n, d, p), self.hessian(n, d, p));
        let v = self.product(n, d, p);
        let add = |weight: f64, of: [f64; 2]| [g[0] + weight * of[0], g[1] + weight * of[1]];
        match method {
            "damped Newton" => add(1.0, h),
            "lazy, 10 steps" => add(1.0 / LAZY, h),
            _ => add(PRODUCTS, v),
        }
    }
}

const METHODS: [&str; 3] = ["damped Newton", "lazy, 10 steps", "20 products"];

fn main() -> std::io::Result<()> {
    let command = Command::parse();
    println!("rows      columns  ranks  method          computes_s  exchanges_s");
    for (n, d) in [
        (4e6, 100.0),
        (1e9, 100.0),
        (1e10, 100.0),
        (1e10, 1000.0),
        (1e10, 10_000.0),
    ] {
        for p in [1.0, 4.0, 100.0, 1000.0] {
            for method in METHODS {
                let [computes, exchanges] = command.iteration(method, n, d, p);
                println!(
                    "{n:<8.0e}  {d:>7}  {p:>5}  {method:<14}  {computes:>10.2e}  {exchanges:>11.2e}"
                );
            }
        }
    }
    if let Some(path) = &command.plot {
        std::fs::write(path, command.draw())?;
    }
    Ok(())
}

/// Width, height and margin of a panel.
const SIZE: (f64, f64, f64) = (330.0, 300.0, 55.0);
const COLORS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];

impl Command {
    /// Seconds per iteration against ranks, one panel for each number of columns.
    fn draw(&self) -> String {
        let (width, height, margin) = SIZE;
        let columns = [100.0, 1000.0, 10_000.0];
        let total = width * columns.len() as f64;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {total} {height}\" \
             font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"{total}\" height=\"{height}\" fill=\"white\"/>\n"
        );
        for (panel, d) in columns.into_iter().enumerate() {
            let left = panel as f64 * width + margin;
            let x = |p: f64| left + (width - margin - 25.0) * p.log10() / 3.0;
            // 10^-4 to 10^8 seconds.
            let y = |s: f64| 30.0 + (height - 75.0) * (8.0 - s.max(1e-4).log10()) / 12.0;
            let mut line = |text: std::fmt::Arguments<'_>| {
                // Writing to a string does not fail.
                let _ = writeln!(svg, "{text}");
            };
            line(format_args!(
                "<text x=\"{left}\" y=\"18\">{:.0e} rows, {d} columns</text>",
                self.rows
            ));
            for k in (-4..=8).step_by(2) {
                let at = y(10f64.powi(k));
                line(format_args!(
                    "<line x1=\"{left}\" x2=\"{}\" y1=\"{at}\" y2=\"{at}\" stroke=\"#ddd\"/>\
                     <text x=\"{}\" y=\"{}\" text-anchor=\"end\">1e{k}</text>",
                    x(1000.0),
                    left - 4.0,
                    at + 4.0
                ));
            }
            for k in 0..=3 {
                let at = x(10f64.powi(k));
                line(format_args!(
                    "<text x=\"{at}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                    height - 28.0,
                    10u32.pow(k as u32)
                ));
            }
            line(format_args!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">ranks</text>",
                x(31.6),
                height - 12.0
            ));
            for (method, color) in METHODS.into_iter().zip(COLORS) {
                for (part, dash) in [(0, ""), (1, " stroke-dasharray=\"4 3\"")] {
                    let points: String = (0..=60)
                        .map(|k| 10f64.powf(f64::from(k) / 20.0))
                        .map(|p| {
                            let seconds = self.iteration(method, self.rows, d, p)[part];
                            format!("{:.1},{:.1} ", x(p), y(seconds))
                        })
                        .collect();
                    line(format_args!(
                        "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"1.6\"{dash} points=\"{points}\"/>"
                    ));
                }
            }
            if panel == 0 {
                for (k, (method, color)) in METHODS.into_iter().zip(COLORS).enumerate() {
                    line(format_args!(
                        "<text x=\"{}\" y=\"{}\" fill=\"{color}\">{method}</text>",
                        left + 90.0,
                        45.0 + 14.0 * k as f64
                    ));
                }
                line(format_args!(
                    "<text x=\"{}\" y=\"87\">computes; dashed: exchanges</text>",
                    left + 90.0
                ));
                line(format_args!(
                    "<text x=\"12\" y=\"{}\" transform=\"rotate(-90 12 {0})\" text-anchor=\"middle\">seconds per iteration</text>",
                    height / 2.0
                ));
            }
        }
        svg += "</svg>\n";
        svg
    }
}
