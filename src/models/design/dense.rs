//! Blocks of rows of a dense matrix that is stored by columns.

use super::Rows;
use crate::simd::{Loop, lanes_of_products, mul_add, run};

struct Mul<'a> {
    columns: &'a [f64],
    stride: usize,
    rows: Rows,
    w: &'a [f64],
    out: &'a mut [f64],
}

impl Loop for Mul<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let column = |j: usize| &self.columns[j * self.stride..][self.rows.clone()];
        let (fours, rest) = self.w.as_chunks::<4>();
        for (k, w) in fours.iter().enumerate() {
            let j = 4 * k;
            let (a, b, c, d) = (column(j), column(j + 1), column(j + 2), column(j + 3));
            for ((((out, a), b), c), d) in self.out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                let sum = mul_add::<FMA>(w[0], *a, *out);
                let sum = mul_add::<FMA>(w[1], *b, sum);
                let sum = mul_add::<FMA>(w[2], *c, sum);
                *out = mul_add::<FMA>(w[3], *d, sum);
            }
        }
        for (k, w) in rest.iter().enumerate() {
            let column = column(4 * fours.len() + k);
            for (out, v) in self.out.iter_mut().zip(column) {
                *out = mul_add::<FMA>(*w, *v, *out);
            }
        }
    }
}

/// `out` += A w for a range of rows; columns are `stride` apart.
pub(super) fn mul(columns: &[f64], stride: usize, rows: Rows, w: &[f64], out: &mut [f64]) {
    run(Mul {
        columns,
        stride,
        rows,
        w,
        out,
    });
}

struct AddTranspose<'a> {
    columns: &'a [f64],
    stride: usize,
    rows: Rows,
    r: &'a [f64],
    out: &'a mut [f64],
}

impl Loop for AddTranspose<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (j, out) in self.out.iter_mut().enumerate() {
            let column = &self.columns[j * self.stride..][self.rows.clone()];
            *out += lanes_of_products::<FMA>(column, self.r);
        }
    }
}

/// `out` += Aᵀ r for a range of rows, to whose first row r₀ belongs.
pub(super) fn add_transpose(
    columns: &[f64],
    stride: usize,
    rows: Rows,
    r: &[f64],
    out: &mut [f64],
) {
    run(AddTranspose {
        columns,
        stride,
        rows,
        r,
        out,
    });
}
