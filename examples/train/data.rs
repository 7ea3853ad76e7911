//! The two tasks: digits to classify and prices of diamonds to fit.

use flate2::read::GzDecoder;
use raphson::models::Mlp;
use raphson::models::mlp::Activation;
use raphson::stochastic::{Purpose, Stream};
use raphson::{Dataset, Error, libsvm};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;

/// The digits that the project carries.
pub const DIGITS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/digits.libsvm.gz"
);
/// Rows of digits to train on; the others are for the test.
const TRAINED: usize = 1437;
const NUMBERS: [&str; 6] = ["carat", "depth", "table", "x", "y", "z"];
const KINDS: [&str; 3] = ["cut", "color", "clarity"];

/// Data to train a network on, and data to test it on.
pub struct Task {
    train: Dataset,
    test: Dataset,
    hidden: &'static [usize],
    /// Deviation of the target in its unit; none for classes.
    pub unit: Option<f64>,
}

impl Task {
    /// The network.
    pub fn model(&self) -> Mlp {
        let model = match self.unit {
            None => Mlp::classifier(&self.train, self.hidden),
            Some(_) => Mlp::regressor(&self.train, self.hidden),
        };
        model.activation(Activation::Relu)
    }

    /// Root mean squared error in the unit of the target, or share of wrong classes, on the test
    /// data.
    pub fn test_error(&self, model: &Mlp, w: &[f64]) -> Result<f64, Error> {
        let Some(unit) = self.unit else {
            return model.error_rate(w, &self.test);
        };
        let predicted = model.predict(w, &self.test)?;
        let pairs = predicted.iter().zip(self.test.labels());
        let squares: f64 = pairs.map(|(p, y)| (p - y) * (p - y)).sum();
        Ok(unit * (squares / self.test.n_rows() as f64).sqrt())
    }
}

/// Rows and labels in random order, the first `count` and the rest.
fn split(
    rows: &[Vec<f64>],
    labels: &[f64],
    count: usize,
    seed: u64,
) -> Result<[Dataset; 2], Error> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    Stream::new(seed, Purpose::Batches).shuffle(&mut order);
    let part = |order: &[usize]| {
        let rows: Vec<Vec<f64>> = order.iter().map(|&i| rows[i].clone()).collect();
        let labels: Vec<f64> = order.iter().map(|&i| labels[i]).collect();
        Dataset::from_rows(&rows, &labels)
    };
    let (first, rest) = order.split_at(count.min(order.len()));
    Ok([part(first)?, part(rest)?])
}

/// 8 x 8 digits, pixels from −½ to ½, 64-32-10 with rectifiers and softmax.
pub fn digits(file: &Path, seed: u64) -> Result<Task, Error> {
    let data = libsvm::read(file)?;
    let rows: Vec<Vec<f64>> = (0..data.n_rows())
        .map(|i| {
            let mut row = vec![-0.5; data.n_features()];
            let (columns, values) = data.row(i);
            for (j, v) in columns.iter().zip(values) {
                row[*j as usize] = v / 16.0 - 0.5;
            }
            row
        })
        .collect();
    let [train, test] = split(&rows, data.labels(), TRAINED, seed)?;
    Ok(Task {
        train,
        test,
        hidden: &[32],
        unit: None,
    })
}

/// Prices of diamonds from a CSV file, plain or gzip: numbers standardized, kinds one column a
/// level, 26-32-64-32-1 with rectifiers; a tenth of the rows is for the test.
pub fn diamonds(file: &Path, seed: u64) -> Result<Task, Error> {
    let text = read(file).map_err(|source| Error::Io {
        path: file.display().to_string(),
        source,
    })?;
    let bad = |what: String| Error::Data(format!("{}: {what}", file.display()));
    let mut lines = text.lines().map(|line| {
        let cells = line.split(',').map(|cell| cell.trim().trim_matches('"'));
        cells.collect::<Vec<_>>()
    });
    let header = lines.next().unwrap_or_default();
    let lines: Vec<Vec<&str>> = lines.collect();
    let column = |name: &str| {
        let found = header.iter().position(|h| *h == name);
        found.ok_or_else(|| bad(format!("no column {name}")))
    };
    let texts = |name: &str| {
        let j = column(name)?;
        let cell = |(i, cells): (usize, &Vec<&str>)| match cells.get(j) {
            Some(cell) => Ok(cell.to_string()),
            None => Err(bad(format!("line {}: no {name}", i + 2))),
        };
        let all = lines.iter().enumerate().map(cell);
        all.collect::<Result<Vec<String>, Error>>()
    };
    let numbers = |name: &str| {
        let parse = |(i, cell): (usize, &String)| {
            let number = cell.parse::<f64>();
            number.map_err(|_| bad(format!("line {}: {name} = {cell}", i + 2)))
        };
        let all = texts(name)?;
        all.iter()
            .enumerate()
            .map(parse)
            .collect::<Result<Vec<f64>, Error>>()
    };
    let mut columns = Vec::new();
    for name in NUMBERS {
        let mut values = numbers(name)?;
        let (mean, deviation) = moments(&values);
        values
            .iter_mut()
            .for_each(|v| *v = (*v - mean) / deviation.max(f64::MIN_POSITIVE));
        columns.push(values);
    }
    for name in KINDS {
        let cells = texts(name)?;
        let levels: BTreeSet<&String> = cells.iter().collect();
        for level in levels {
            let is = |cell: &String| f64::from(u8::from(cell == level));
            columns.push(cells.iter().map(is).collect());
        }
    }
    let rows: Vec<Vec<f64>> = (0..lines.len())
        .map(|i| columns.iter().map(|column| column[i]).collect())
        .collect();
    let prices = numbers("price")?;
    let count = rows.len() - rows.len() / 10;
    let [train, test] = split(&rows, &prices, count, seed)?;
    // The target is standardized on the rows that are trained on.
    let (mean, deviation) = moments(train.labels());
    let scaled = |data: &Dataset| {
        let rows: Vec<Vec<f64>> = (0..data.n_rows())
            .map(|i| {
                let mut row = vec![0.0; columns.len()];
                let (at, values) = data.row(i);
                for (j, v) in at.iter().zip(values) {
                    row[*j as usize] = *v;
                }
                row
            })
            .collect();
        let scale = |y: &f64| (y - mean) / deviation;
        let labels: Vec<f64> = data.labels().iter().map(scale).collect();
        Dataset::from_rows(&rows, &labels)
    };
    Ok(Task {
        train: scaled(&train)?,
        test: scaled(&test)?,
        hidden: &[32, 64, 32],
        unit: Some(deviation),
    })
}

/// Mean and population deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, (squares / n).sqrt())
}

fn read(file: &Path) -> std::io::Result<String> {
    let bytes = std::fs::read(file)?;
    let mut text = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        GzDecoder::new(&bytes[..]).read_to_end(&mut text)?;
    } else {
        text.write_all(&bytes)?;
    }
    String::from_utf8(text).map_err(std::io::Error::other)
}
