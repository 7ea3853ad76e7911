//! The same vectors and matrices through every supported type.

use faer::sparse::{
    SparseColMat, SparseRowMat, SymbolicSparseColMat, SymbolicSparseRowMat, Triplet,
};
use faer::{Col, Mat, MatRef};
use raphson::Error;
use raphson::edge::{Lower, RectMat, RectView, Stored, SymMat, SymView, Upper, VecLike};

/// Symmetric, with a zero in each triangle.
const S: [[f64; 3]; 3] = [[4.0, -1.0, 0.0], [-1.0, 5.0, 2.0], [0.0, 2.0, 6.0]];
/// Rectangular, no two entries equal, one of them zero.
const J: [[f64; 2]; 3] = [[1.0, 2.0], [0.0, -3.0], [4.0, 0.5]];

// ---- helpers -------------------------------------------------------------

fn stored(view: &SymView) -> Stored {
    match view {
        SymView::Dense(_, s) | SymView::Sparse(_, s) | SymView::Indexed(_, s) => *s,
        _ => unreachable!(),
    }
}

/// The entry as the storage has it, without regard to `Stored`.
fn raw(view: &SymView, i: usize, j: usize) -> f64 {
    match view {
        SymView::Dense(m, _) => m[(i, j)],
        SymView::Sparse(m, _) => m.get(i, j).copied().unwrap_or(0.0),
        SymView::Indexed(m, _) => m.entry(i, j),
        _ => unreachable!(),
    }
}

/// The symmetric matrix that the view means. A sparse one whose pattern lies in
/// one triangle is that triangle.
fn read_sym(view: &SymView, n: usize) -> Vec<Vec<f64>> {
    view.check_shape(n).unwrap();
    let mut triangle = stored(view);
    if let (SymView::Sparse(m, _), Stored::Both) = (view, triangle) {
        let holds = |keep: fn(usize, usize) -> bool| {
            (0..n).all(|j| m.row_idx_of_col(j).all(|i| keep(i, j)))
        };
        if holds(|i, j| i >= j) {
            triangle = Stored::Lower;
        } else if holds(|i, j| i <= j) {
            triangle = Stored::Upper;
        }
    }
    let entry = |i: usize, j: usize| match triangle {
        Stored::Both => raw(view, i, j),
        Stored::Lower => raw(view, i.max(j), i.min(j)),
        Stored::Upper => raw(view, i.min(j), i.max(j)),
    };
    let row = |i| (0..n).map(|j| entry(i, j)).collect();
    (0..n).map(row).collect()
}

fn check_sym(name: &str, m: &impl SymMat) {
    assert_eq!(read_sym(&m.sym(), 3), S, "{name}");
    assert_eq!(stored(&m.sym()), Stored::Both, "{name}");
    for wrong in [2, 4] {
        let error = m.sym().check_shape(wrong).unwrap_err();
        assert!(
            matches!(
                error,
                Error::WrongShape {
                    rows: 3,
                    cols: 3,
                    ..
                }
            ),
            "{name}"
        );
    }
}

fn check_rect(name: &str, m: &impl RectMat) {
    let view = m.rect();
    view.check_shape(3, 2).unwrap();
    assert_eq!((view.nrows(), view.ncols()), (3, 2), "{name}");
    let error = view.check_shape(2, 3).unwrap_err();
    assert!(
        matches!(
            error,
            Error::WrongShape {
                what: "Jacobian",
                expected_rows: 2,
                expected_cols: 3,
                rows: 3,
                cols: 2
            }
        ),
        "{name}: {error}"
    );
    for (i, row) in J.iter().enumerate() {
        for (j, value) in row.iter().enumerate() {
            assert_eq!(view.entry(i, j), *value, "{name} ({i}, {j})");
        }
    }
    // All numbers are multiples of 1/2, so every order of summation is exact.
    let mut out = [f64::NAN; 3];
    view.mul(&[2.0, -1.0], &mut out);
    assert_eq!(out, [0.0, 3.0, 7.5], "{name}: J v");
    let mut out = [f64::NAN; 2];
    view.mul_transpose(&[1.0, 2.0, -3.0], &mut out);
    assert_eq!(out, [-11.0, -5.5], "{name}: Jᵀ u");
}

fn check_vec<V: VecLike>(name: &str, v: &V, values: &[f64]) {
    let n = values.len();
    assert_eq!(v.dimension(), n, "{name}");
    let mut out = vec![f64::NAN; n];
    v.read(&mut out);
    assert_eq!(out, values, "{name}");
    let mut copy = v.clone();
    let new: Vec<f64> = (0..n).map(|i| 10.0 + i as f64).collect();
    copy.write(&new);
    copy.read(&mut out);
    assert_eq!(out, new, "{name}: written");
    v.read(&mut out);
    assert_eq!(out, values, "{name}: the original of a clone is untouched");
}

fn entries<const N: usize>(rows: &[[f64; N]]) -> Vec<Triplet<usize, usize, f64>> {
    let all = rows.iter().enumerate().flat_map(|(i, row)| {
        let entry = move |(j, v): (usize, &f64)| Triplet::new(i, j, *v);
        row.iter().enumerate().map(entry)
    });
    all.filter(|t| t.val != 0.0).collect()
}

fn rows<const N: usize>(rows: &[[f64; N]]) -> Vec<Vec<f64>> {
    rows.iter().map(|row| row.to_vec()).collect()
}

fn dense<'a>(view: &SymView<'a>) -> MatRef<'a, f64> {
    match view {
        SymView::Dense(m, _) => *m,
        _ => panic!("not dense"),
    }
}

// ---- standard library ----------------------------------------------------

#[test]
fn standard_vectors() {
    check_vec("Vec", &vec![1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]);
    check_vec("Vec, empty", &Vec::new(), &[]);
    check_vec("array", &[1.0, 2.0], &[1.0, 2.0]);
    check_vec("array, empty", &[0.0; 0], &[]);
    check_vec("f64", &7.0, &[7.0]);
}

#[test]
fn standard_matrices() {
    check_sym("rows", &rows(&S));
    check_rect("rows", &rows(&J));
    check_sym("arrays", &S);
    check_rect("arrays", &J);
}

#[test]
fn arrays_are_rows() {
    let m = [[1.0, 2.0], [3.0, 4.0]];
    assert_eq!(raw(&m.sym(), 0, 1), 2.0);
    assert_eq!(read_sym(&Lower(m).sym(), 2), [[1.0, 3.0], [3.0, 4.0]]);
    assert_eq!(read_sym(&Upper(m).sym(), 2), [[1.0, 2.0], [2.0, 4.0]]);
    assert_eq!(dense(&m.sym()).as_ptr(), m.as_flattened().as_ptr());
}

#[test]
fn one_by_one() {
    assert_eq!(read_sym(&2.5.sym(), 1), [[2.5]]);
    assert_eq!(read_sym(&[[2.5]].sym(), 1), [[2.5]]);
    assert_eq!(read_sym(&vec![vec![2.5]].sym(), 1), [[2.5]]);
    assert_eq!(read_sym(&Mat::full(1, 1, 2.5).sym(), 1), [[2.5]]);
    let triplets = [Triplet::new(0, 0, 2.5)];
    let m = SparseColMat::try_new_from_triplets(1, 1, &triplets).unwrap();
    assert_eq!(read_sym(&m.sym(), 1), [[2.5]]);
    let m = SparseRowMat::try_new_from_triplets(1, 1, &triplets).unwrap();
    assert_eq!(read_sym(&m.sym(), 1), [[2.5]]);
}

#[test]
fn ragged_rows_are_an_error() {
    for ragged in [
        vec![vec![1.0, 2.0], vec![3.0]],
        vec![vec![1.0], vec![2.0, 3.0]],
    ] {
        let error = ragged.sym().check_shape(2).unwrap_err();
        assert!(
            matches!(&error, Error::Data(text) if text.contains("Hessian")),
            "{error}"
        );
        let error = ragged.rect().check_shape(2, 2).unwrap_err();
        assert!(
            matches!(&error, Error::Data(text) if text.contains("Jacobian")),
            "{error}"
        );
        assert_eq!(ragged.rect().ncols(), 0);
    }
}

#[test]
fn lower_and_upper_name_the_triangle() {
    assert_eq!(stored(&Lower(S).sym()), Stored::Lower);
    assert_eq!(stored(&Upper(S).sym()), Stored::Upper);
    assert_eq!(stored(&Lower(rows(&S)).sym()), Stored::Lower);
    assert_eq!(stored(&Upper(rows(&S)).sym()), Stored::Upper);
    let sparse = SparseColMat::try_new_from_triplets(3, 3, &entries(&S)).unwrap();
    assert_eq!(stored(&Lower(sparse.clone()).sym()), Stored::Lower);
    assert_eq!(stored(&Upper(sparse).sym()), Stored::Upper);
}

// ---- products ------------------------------------------------------------

#[test]
fn empty_matrices() {
    assert_eq!(read_sym(&[[0.0; 0]; 0].sym(), 0), Vec::<Vec<f64>>::new());
    assert_eq!(
        read_sym(&Vec::<Vec<f64>>::new().sym(), 0),
        Vec::<Vec<f64>>::new()
    );
    let none: [Triplet<usize, usize, f64>; 0] = [];
    for (m, n) in [(0, 0), (0, 2), (3, 0)] {
        let dense = Mat::<f64>::zeros(m, n);
        let columns = SparseColMat::try_new_from_triplets(m, n, &none).unwrap();
        let by_rows = SparseRowMat::try_new_from_triplets(m, n, &none).unwrap();
        for view in [dense.rect(), columns.rect(), by_rows.rect()] {
            view.check_shape(m, n).unwrap();
            let mut out = vec![f64::NAN; m];
            view.mul(&vec![1.0; n], &mut out);
            assert_eq!(out, vec![0.0; m]);
            let mut out = vec![f64::NAN; n];
            view.mul_transpose(&vec![1.0; m], &mut out);
            assert_eq!(out, vec![0.0; n]);
        }
    }
    let by_entry = vec![vec![]; 3];
    let mut out = [f64::NAN; 3];
    by_entry.rect().mul(&[], &mut out);
    assert_eq!(out, [0.0; 3]);
}

#[test]
#[should_panic(expected = "lengths of (J v, v)")]
fn product_of_the_wrong_length() {
    J.rect().mul(&[1.0; 3], &mut [0.0; 3]);
}

#[test]
#[should_panic(expected = "lengths of (u, Jᵀ u)")]
fn transposed_product_of_the_wrong_length() {
    J.rect().mul_transpose(&[1.0; 3], &mut [0.0; 3]);
}

// ---- faer ----------------------------------------------------------------

#[test]
fn faer_vectors() {
    check_vec("Col", &Col::from_fn(3, |i| i as f64), &[0.0, 1.0, 2.0]);
    check_vec("Col, empty", &Col::<f64>::zeros(0), &[]);
}

#[test]
fn faer_matrices() {
    let m = Mat::from_fn(3, 3, |i, j| S[i][j]);
    check_sym("Mat", &m);
    assert_eq!(dense(&m.sym()).as_ptr(), m.as_ptr());
    let m = Mat::from_fn(3, 2, |i, j| J[i][j]);
    check_rect("Mat", &m);
    assert!(matches!(m.rect(), RectView::Dense(v) if v.as_ptr() == m.as_ptr()));
}

#[test]
fn faer_sparse_matrices() {
    let m = SparseColMat::try_new_from_triplets(3, 3, &entries(&S)).unwrap();
    check_sym("SparseColMat", &m);
    assert!(matches!(m.sym(), SymView::Sparse(v, _) if v.val().as_ptr() == m.val().as_ptr()));
    let m = SparseRowMat::try_new_from_triplets(3, 3, &entries(&S)).unwrap();
    check_sym("SparseRowMat", &m);
    assert!(matches!(m.sym(), SymView::Sparse(v, _) if v.val().as_ptr() == m.val().as_ptr()));

    let m = SparseColMat::try_new_from_triplets(3, 2, &entries(&J)).unwrap();
    check_rect("SparseColMat", &m);
    assert!(matches!(m.rect(), RectView::Columns(v) if v.val().as_ptr() == m.val().as_ptr()));
    let m = SparseRowMat::try_new_from_triplets(3, 2, &entries(&J)).unwrap();
    check_rect("SparseRowMat", &m);
    assert!(matches!(m.rect(), RectView::Rows(v) if v.val().as_ptr() == m.val().as_ptr()));
}

#[test]
fn faer_triangles() {
    let upper: Vec<_> = entries(&S).into_iter().filter(|t| t.row <= t.col).collect();
    let m = SparseColMat::try_new_from_triplets(3, 3, &upper).unwrap();
    assert_eq!(read_sym(&m.sym(), 3), S);
    assert_eq!(read_sym(&Upper(m).sym(), 3), S);
    let m = SparseRowMat::try_new_from_triplets(3, 3, &upper).unwrap();
    assert_eq!(read_sym(&m.sym(), 3), S);
    assert_eq!(read_sym(&Upper(m).sym(), 3), S);
}

/// faer admits unsorted and repeated indices; (1, 1) is stored as 3 + 2.
#[test]
fn faer_unsorted_matrices() {
    let (pointers, indices) = (vec![0, 2, 6, 8], vec![1, 0, 1, 2, 0, 1, 2, 1]);
    let values = vec![-1.0, 4.0, 3.0, 2.0, -1.0, 2.0, 6.0, 2.0];
    let pattern =
        SymbolicSparseColMat::new_unsorted_checked(3, 3, pointers.clone(), None, indices.clone());
    check_sym(
        "unsorted columns",
        &SparseColMat::new(pattern, values.clone()),
    );
    let pattern = SymbolicSparseRowMat::new_unsorted_checked(3, 3, pointers, None, indices);
    check_sym("unsorted rows", &SparseRowMat::new(pattern, values));

    let (pointers, indices) = (vec![0, 2, 6], vec![2, 0, 2, 1, 0, 2]);
    let values = vec![4.0, 1.0, 0.25, -3.0, 2.0, 0.25];
    let pattern = SymbolicSparseColMat::new_unsorted_checked(3, 2, pointers, None, indices);
    check_rect("unsorted columns", &SparseColMat::new(pattern, values));
    let (pointers, indices) = (vec![0, 2, 3, 5], vec![1, 0, 1, 1, 0]);
    let values = vec![2.0, 1.0, -3.0, 0.5, 4.0];
    let pattern = SymbolicSparseRowMat::new_unsorted_checked(3, 2, pointers, None, indices);
    check_rect("unsorted rows", &SparseRowMat::new(pattern, values));
}

/// Columns with spare room: the counts end them, not the next pointer.
#[test]
fn faer_uncompressed_matrices() {
    let (pointers, counts) = (vec![0, 3, 6], vec![2, 3]);
    let indices = vec![0, 2, 0, 0, 1, 2];
    let pattern = SymbolicSparseColMat::new_checked(3, 2, pointers, Some(counts), indices);
    let m = SparseColMat::new(pattern, vec![1.0, 4.0, f64::NAN, 2.0, -3.0, 0.5]);
    assert!(matches!(m.rect(), RectView::Columns(_)));
    check_rect("uncompressed", &m);
}

// ---- nalgebra ------------------------------------------------------------

#[cfg(feature = "nalgebra")]
mod nalgebra_types {
    use super::*;
    use nalgebra::{DMatrix, DVector, Matrix1, OVector, RowDVector, SMatrix, SVector, U3, Vector1};

    #[test]
    fn vectors() {
        let v = [1.0, 2.0, 3.0];
        check_vec("DVector", &DVector::from_row_slice(&v), &v);
        check_vec("DVector, empty", &DVector::zeros(0), &[]);
        check_vec("SVector", &SVector::<f64, 3>::from(v), &v);
        check_vec("OVector", &OVector::<f64, U3>::from(v), &v);
        check_vec("Vector1", &Vector1::new(7.0), &[7.0]);
        check_vec("RowDVector", &RowDVector::from_row_slice(&v), &v);
        let by_columns = DMatrix::from_row_slice(2, 2, &[1.0, 3.0, 2.0, 4.0]);
        check_vec("DMatrix", &by_columns, &[1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn matrices() {
        let m = DMatrix::from_fn(3, 3, |i, j| S[i][j]);
        check_sym("DMatrix", &m);
        assert_eq!(dense(&m.sym()).as_ptr(), m.as_ptr());
        let m = SMatrix::<f64, 3, 3>::from_fn(|i, j| S[i][j]);
        check_sym("SMatrix", &m);
        assert_eq!(dense(&m.sym()).as_ptr(), m.as_ptr());
        assert_eq!(read_sym(&Matrix1::new(2.5).sym(), 1), [[2.5]]);
        assert_eq!(stored(&Lower(m).sym()), Stored::Lower);

        let m = DMatrix::from_fn(3, 2, |i, j| J[i][j]);
        check_rect("DMatrix", &m);
        assert!(matches!(m.rect(), RectView::Dense(v) if v.as_ptr() == m.as_ptr()));
        let m = SMatrix::<f64, 3, 2>::from_fn(|i, j| J[i][j]);
        check_rect("SMatrix", &m);
        assert!(matches!(m.rect(), RectView::Dense(v) if v.as_ptr() == m.as_ptr()));
    }
}

// ---- sprs ----------------------------------------------------------------

#[cfg(feature = "sprs")]
mod sprs_types {
    use super::*;
    use sprs::{CsMat, TriMat};

    fn triplets<const N: usize>(rows: &[[f64; N]], keep: fn(usize, usize) -> bool) -> TriMat<f64> {
        let mut m = TriMat::new((rows.len(), N));
        for t in entries(rows).iter().filter(|t| keep(t.row, t.col)) {
            m.add_triplet(t.row, t.col, t.val);
        }
        m
    }

    fn both<const N: usize>(rows: &[[f64; N]], keep: fn(usize, usize) -> bool) -> [CsMat<f64>; 2] {
        let m = triplets(rows, keep);
        [m.to_csc(), m.to_csr()]
    }

    #[test]
    fn matrices() {
        for m in both(&S, |_, _| true) {
            check_sym("CsMat", &m);
            let data = m.data().as_ptr();
            assert!(matches!(m.sym(), SymView::Sparse(v, _) if v.val().as_ptr() == data));
        }
        let [csc, csr] = both(&J, |_, _| true);
        check_rect("CSC", &csc);
        check_rect("CSR", &csr);
        let (columns, by_rows) = (csc.data().as_ptr(), csr.data().as_ptr());
        assert!(matches!(csc.rect(), RectView::Columns(v) if v.val().as_ptr() == columns));
        assert!(matches!(csr.rect(), RectView::Rows(v) if v.val().as_ptr() == by_rows));
        assert_eq!(read_sym(&CsMat::eye(1).sym(), 1), [[1.0]]);
        assert_eq!(read_sym(&CsMat::eye_csc(1).sym(), 1), [[1.0]]);
        CsMat::<f64>::zero((0, 0)).sym().check_shape(0).unwrap();
    }

    #[test]
    fn triangles() {
        for keep in [|i: usize, j: usize| i >= j, |i: usize, j: usize| i <= j] {
            for m in both(&S, keep) {
                assert!(m.nnz() < 7);
                assert_eq!(read_sym(&m.sym(), 3), S);
                assert!(matches!(m.sym(), SymView::Sparse(..)));
            }
        }
        for lower in both(&S, |i, j| i >= j) {
            assert_eq!(read_sym(&Lower(lower).sym(), 3), S);
        }
        for upper in both(&S, |i, j| i <= j) {
            assert_eq!(read_sym(&Upper(upper).sym(), 3), S);
        }
    }

    /// What the other triangle holds does not matter, in either storage.
    #[test]
    fn wrapped_triangles() {
        for m in both(&[[1.0, 2.0], [3.0, 4.0]], |_, _| true) {
            let lower = Lower(m.clone());
            assert_eq!(read_sym(&lower.sym(), 2), [[1.0, 3.0], [3.0, 4.0]]);
            let upper = Upper(m);
            assert_eq!(read_sym(&upper.sym(), 2), [[1.0, 2.0], [2.0, 4.0]]);
        }
    }

    /// A copied slice keeps the pointers of the whole and cannot be viewed.
    #[test]
    fn copied_slices() {
        let mut padded = vec![[9.0, 9.0]];
        padded.extend(J);
        let whole = triplets(&padded, |_, _| true).to_csr::<usize>();
        let part = whole.view().slice_outer(1..4).to_owned();
        assert_ne!(part.proper_indptr()[..], *part.indptr().raw_storage());
        check_rect("copied slice", &part);
    }

    /// JᵀJ straight from a sparse product.
    #[test]
    fn products_are_sorted() {
        let [_, j] = both(&J, |_, _| true);
        let m = &j.transpose_view() * &j;
        assert!(matches!(m.sym(), SymView::Sparse(..)));
        assert_eq!(read_sym(&m.sym(), 2), [[17.0, 4.0], [4.0, 13.25]]);
    }
}

// ---- ndarray -------------------------------------------------------------

#[cfg(feature = "ndarray")]
mod ndarray_types {
    use super::*;
    use ndarray::{Array1, Array2, Axis, Slice, array, s};

    #[test]
    fn vectors() {
        check_vec("Array1", &array![1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]);
        check_vec("Array1, empty", &Array1::<f64>::zeros(0), &[]);
        let mut reversed = array![3.0, 2.0, 1.0];
        reversed.invert_axis(Axis(0));
        check_vec("Array1, reversed", &reversed, &[1.0, 2.0, 3.0]);
        let strided = array![1.0, 9.0, 2.0, 9.0, 3.0].slice_move(s![..;2]);
        assert_eq!(strided.strides(), [2]);
        check_vec("Array1, every other", &strided, &[1.0, 2.0, 3.0]);
    }

    #[test]
    fn matrices() {
        let by_rows = Array2::from_shape_fn((3, 3), |(i, j)| S[i][j]);
        check_sym("Array2", &by_rows);
        assert_eq!(dense(&by_rows.sym()).as_ptr(), by_rows.as_ptr());
        assert_eq!(read_sym(&array![[2.5]].sym(), 1), [[2.5]]);
        Array2::<f64>::zeros((0, 0)).sym().check_shape(0).unwrap();

        let by_rows = Array2::from_shape_fn((3, 2), |(i, j)| J[i][j]);
        check_rect("Array2", &by_rows);
        assert!(matches!(by_rows.rect(), RectView::Dense(v) if v.as_ptr() == by_rows.as_ptr()));
        let by_columns = Array2::from_shape_fn((2, 3), |(i, j)| J[j][i]).reversed_axes();
        check_rect("Array2, transposed", &by_columns);
        let data = by_columns.as_ptr();
        assert!(matches!(by_columns.rect(), RectView::Dense(v) if v.as_ptr() == data));
    }

    #[test]
    fn strided_matrices() {
        let mut reversed = Array2::from_shape_fn((3, 3), |(i, j)| S[2 - i][j]);
        reversed.invert_axis(Axis(0));
        assert!(matches!(reversed.sym(), SymView::Indexed(..)));
        check_sym("Array2, reversed", &reversed);

        let mut sliced = Array2::from_shape_fn((3, 5), |(i, j)| J[i][(j / 2).min(1)]);
        sliced.slice_axis_inplace(Axis(1), Slice::new(0, Some(4), 2));
        assert!(matches!(sliced.rect(), RectView::Indexed(_)));
        check_rect("Array2, every other column", &sliced);
    }

    #[test]
    fn triangles_of_either_layout() {
        let by_rows = array![[1.0, 2.0], [3.0, 4.0]];
        let by_columns = array![[1.0, 3.0], [2.0, 4.0]].reversed_axes();
        for m in [by_rows, by_columns] {
            assert_eq!(
                read_sym(&Lower(m.clone()).sym(), 2),
                [[1.0, 3.0], [3.0, 4.0]]
            );
            assert_eq!(read_sym(&Upper(m).sym(), 2), [[1.0, 2.0], [2.0, 4.0]]);
        }
    }
}
