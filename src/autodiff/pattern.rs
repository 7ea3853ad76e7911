//! The structure of a symmetric matrix, and which of its columns one product can show.

use crate::error::Error;

/// Columns that share no row, and the entries on and below the diagonal in them.
#[derive(Debug, Clone)]
pub struct Color {
    /// The columns; the product with the sum of their unit vectors shows them all.
    pub columns: Vec<usize>,
    /// The rows of the entries, each once.
    pub rows: Vec<usize>,
    /// Where the entry of that row, and its mirror image, are stored.
    pub places: Vec<(usize, usize)>,
}

/// Compressed columns of a symmetric pattern with a full diagonal, and a coloring.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub col_ptr: Vec<usize>,
    pub row_idx: Vec<usize>,
    pub colors: Vec<Color>,
}

impl Pattern {
    /// Of n columns, from entries of either triangle.
    pub fn new(n: usize, structure: &[(usize, usize)]) -> Result<Self, Error> {
        let mut columns: Vec<Vec<usize>> = (0..n).map(|j| vec![j]).collect();
        for &(i, j) in structure {
            if i.max(j) >= n {
                return Err(Error::parameter(
                    "structure",
                    format!("({i}, {j})"),
                    "made of indices below the number of variables",
                ));
            }
            columns[i].push(j);
            columns[j].push(i);
        }
        let mut col_ptr = vec![0];
        for rows in &mut columns {
            rows.sort_unstable();
            rows.dedup();
            col_ptr.push(col_ptr[col_ptr.len() - 1] + rows.len());
        }
        let colors = gather(&columns, &col_ptr, &color(&columns));
        Ok(Pattern {
            row_idx: columns.concat(),
            col_ptr,
            colors,
        })
    }
}

/// Greedy coloring at distance 2: the smallest color that no column sharing a row has.
///
/// In the order of the columns, which takes 2b + 1 colors for bandwidth b: no
/// direct method that ignores symmetry takes fewer.
fn color(columns: &[Vec<usize>]) -> Vec<usize> {
    let mut colors = vec![usize::MAX; columns.len()];
    // taken[c] = j: some column that shares a row with column j has color c.
    let mut taken: Vec<usize> = Vec::new();
    for (j, rows) in columns.iter().enumerate() {
        for k in rows.iter().flat_map(|i| &columns[*i]) {
            if let Some(mark) = taken.get_mut(colors[*k]) {
                *mark = j;
            }
        }
        let free = taken.iter().position(|mark| *mark != j);
        colors[j] = free.unwrap_or_else(|| {
            taken.push(usize::MAX);
            taken.len() - 1
        });
    }
    colors
}

/// The columns and entries of every color.
fn gather(columns: &[Vec<usize>], col_ptr: &[usize], colors: &[usize]) -> Vec<Color> {
    let count = colors.iter().max().map_or(0, |c| c + 1);
    let none = Color {
        columns: Vec::new(),
        rows: Vec::new(),
        places: Vec::new(),
    };
    let mut gathered = vec![none; count];
    // The entries below the diagonal come in order of columns, so their images
    // fill the start of each column from the top.
    let mut above = col_ptr.to_vec();
    for (j, rows) in columns.iter().enumerate() {
        let color = &mut gathered[colors[j]];
        color.columns.push(j);
        for (k, i) in rows.iter().enumerate().filter(|(_, i)| **i >= j) {
            color.rows.push(*i);
            color.places.push((col_ptr[j] + k, above[*i]));
            above[*i] += 1;
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_a_color_share_no_row() {
        let n = 40;
        let structure: Vec<_> = (0..3 * n)
            .map(|k| ((7 * k * k + 3) % n, (11 * k) % n))
            .collect();
        let pattern = Pattern::new(n, &structure).unwrap();
        let mut entries = 0;
        for color in &pattern.colors {
            let mut rows: Vec<usize> = color
                .columns
                .iter()
                .flat_map(|j| &pattern.row_idx[pattern.col_ptr[*j]..pattern.col_ptr[j + 1]])
                .copied()
                .collect();
            rows.sort_unstable();
            assert!(rows.windows(2).all(|w| w[0] < w[1]));
            for (i, (at, image)) in color.rows.iter().zip(&color.places) {
                let column = |at| pattern.col_ptr.partition_point(|p| *p <= at) - 1;
                let (j, mirrored) = (column(*at), column(*image));
                assert_eq!((pattern.row_idx[*at], pattern.row_idx[*image]), (*i, j));
                assert_eq!(mirrored, *i);
                entries += if *i == j { 1 } else { 2 };
            }
        }
        assert_eq!(entries, pattern.row_idx.len());
    }

    #[test]
    fn bands_and_arrows_have_their_number_of_colors() {
        for (bandwidth, n) in [(0, 9), (1, 9), (1, 500), (2, 50), (5, 60)] {
            let band: Vec<_> = (0..n)
                .flat_map(|i| (i..n.min(i + bandwidth + 1)).map(move |j| (i, j)))
                .collect();
            let pattern = Pattern::new(n, &band).unwrap();
            assert_eq!(pattern.colors.len(), 2 * bandwidth + 1);
        }
        let arrow: Vec<_> = (1..9).map(|i| (i, 0)).collect();
        assert_eq!(Pattern::new(9, &arrow).unwrap().colors.len(), 9);
        assert_eq!(Pattern::new(0, &[]).unwrap().colors.len(), 0);
        assert!(Pattern::new(9, &[(0, 9)]).is_err());
    }
}
