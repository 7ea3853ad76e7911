//! Networks: derivatives against the definition, batches, outputs and their Jacobian, threads,
//! and what is refused.

use argmin::core::{CostFunction, Gradient, Hessian};
use faer::Mat;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use raphson::check::{self, Checker};
use raphson::models::{Activation, LeastSquares, LogisticRegression, Mlp, Softmax};
use raphson::{
    Batch, ConvexLoss, DampedNewton, Dataset, Error, FiniteSum, HessianProduct, OutputLoss,
    OutputModel, Run, SymMat, TrustRegionNewton,
};

/// Random rows with labels 1, 3, 5, …, every class among them.
fn generate(n: usize, d: usize, classes: usize, seed: u64) -> Dataset {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let rows: Vec<Vec<f64>> = (0..n)
        .map(|_| (0..d).map(|_| random.random_range(-1.5..1.5)).collect())
        .collect();
    let label = |i: usize| {
        let class = if i < classes {
            i
        } else {
            (i * i + i / 3) % classes
        };
        (1 + 2 * class) as f64
    };
    let labels: Vec<f64> = (0..n).map(label).collect();
    Dataset::from_rows(&rows, &labels).unwrap()
}

/// One vector of targets a row.
fn targets(n: usize, c: usize, seed: u64) -> Vec<Vec<f64>> {
    (0..n).map(|i| point(c, 2.0, seed + i as u64)).collect()
}

fn point(d: usize, scale: f64, seed: u64) -> Vec<f64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..d).map(|_| random.random_range(-scale..scale)).collect()
}

fn rows(data: &Dataset) -> Vec<Vec<f64>> {
    (0..data.n_rows())
        .map(|i| {
            let mut row = vec![0.0; data.n_features()];
            let (columns, values) = data.row(i);
            for (&j, v) in columns.iter().zip(values) {
                row[j as usize] = *v;
            }
            row
        })
        .collect()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// ‖a − b‖ ≤ tol ‖b‖.
fn assert_near(a: &[f64], b: &[f64], tol: f64) {
    assert_eq!(a.len(), b.len());
    let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let error = norm(&difference) / norm(b).max(f64::MIN_POSITIVE);
    assert!(error <= tol, "relative error {error:e}");
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The lower triangle of a Hessian, made whole.
fn whole(h: &raphson::models::mlp::MlpHessian) -> Vec<Vec<f64>> {
    let lower = h.lower();
    let d = lower.nrows();
    (0..d)
        .map(|i| (0..d).map(|j| lower[(i.max(j), i.min(j))]).collect())
        .collect()
}

/// All kinds of models, on data of more than one chunk of rows where `n` is above 128.
fn models(n: usize) -> Vec<Mlp> {
    let data = generate(n, 4, 3, 1);
    let y = targets(n, 2, 50);
    let mut all = Vec::new();
    for activation in [Activation::Tanh, Activation::Relu] {
        for biases in [true, false] {
            for hidden in [&[][..], &[5], &[4, 3], &[3, 5, 2]] {
                for model in [
                    Mlp::classifier(&data, hidden),
                    Mlp::regressor(&data, hidden),
                    Mlp::regressor_onto(&data, &y, hidden),
                    Mlp::autoencoder(&data, hidden),
                ] {
                    all.push(model.activation(activation).biases(biases).l2(0.03));
                }
            }
        }
    }
    all
}

fn product(model: &Mlp, w: &Vec<f64>, v: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; w.len()];
    HessianProduct::hessian_product(model, w, v, &mut out).unwrap();
    out
}

#[test]
fn derivatives_agree_with_the_checker() {
    for (k, model) in models(40).iter().enumerate() {
        let w = point(model.dimension(), 1.0, 300 + k as u64);
        let all = check::derivatives(model, &w).unwrap();
        assert!(all.is_ok(), "model {k}: {all}");
        let products = Checker::new().hessian_product(model, &w).unwrap();
        assert!(products.is_ok(), "model {k}: {products}");
    }
}

/// Value, gradient and Hessian of the definition, written once and differentiated by dual numbers.
#[cfg(feature = "num-dual")]
#[test]
fn all_derivatives_are_those_of_the_definition() {
    use raphson::autodiff::{AutoDiff, Number, ScalarFunction};

    struct Network {
        rows: Vec<Vec<f64>>,
        widths: Vec<usize>,
        relu: bool,
        /// The class of a row, or its targets.
        classes: Option<Vec<usize>>,
        targets: Vec<Vec<f64>>,
        l2: f64,
    }
    impl ScalarFunction for Network {
        fn dimension(&self) -> usize {
            self.widths.windows(2).map(|w| (w[0] + 1) * w[1]).sum()
        }
        fn value<T: Number>(&self, w: &[T]) -> T {
            let mut sum = T::from(0.0);
            for (i, row) in self.rows.iter().enumerate() {
                let mut a: Vec<T> = row.iter().map(|v| T::from(*v)).collect();
                let mut first = 0;
                for (l, ends) in self.widths.windows(2).enumerate() {
                    let (inputs, outputs) = (ends[0], ends[1]);
                    let next = |p: usize| {
                        let mut s = w[first + inputs * outputs + p];
                        for q in 0..inputs {
                            s += w[first + p * inputs + q] * a[q];
                        }
                        match (l + 2 == self.widths.len(), self.relu) {
                            (true, _) => s,
                            (false, false) => s.tanh(),
                            (false, true) if s.re() > 0.0 => s,
                            (false, true) => T::from(0.0),
                        }
                    };
                    a = (0..outputs).map(next).collect();
                    first += (inputs + 1) * outputs;
                }
                match &self.classes {
                    Some(y) => {
                        let mut all = T::from(0.0);
                        for z in &a {
                            all += z.exp();
                        }
                        sum += all.ln() - a[y[i]];
                    }
                    None => {
                        for (z, y) in a.iter().zip(&self.targets[i]) {
                            sum += (*z - *y).powi(2) * 0.5;
                        }
                    }
                }
            }
            let mut squares = T::from(0.0);
            for w in w {
                squares += *w * *w;
            }
            sum * (1.0 / self.rows.len() as f64) + squares * (0.5 * self.l2)
        }
    }

    let n = 150;
    let data = generate(n, 4, 3, 5);
    let y = targets(n, 2, 70);
    for relu in [false, true] {
        for classes in [true, false] {
            for hidden in [&[][..], &[5], &[4, 3]] {
                let c = if classes { 3 } else { 2 };
                let mut widths = vec![4];
                widths.extend_from_slice(hidden);
                widths.push(c);
                let class = |y: &f64| (*y as usize - 1) / 2;
                let exact = AutoDiff::new(Network {
                    rows: rows(&data),
                    widths,
                    relu,
                    classes: classes.then(|| data.labels().iter().map(class).collect()),
                    targets: y.clone(),
                    l2: 0.02,
                });
                let model = if classes {
                    Mlp::classifier(&data, hidden)
                } else {
                    Mlp::regressor_onto(&data, &y, hidden)
                };
                let model = model.l2(0.02).activation(if relu {
                    Activation::Relu
                } else {
                    Activation::Tanh
                });
                let w = point(model.dimension(), 1.0, 80);
                let (f, g) = (model.cost(&w).unwrap(), model.gradient(&w).unwrap());
                assert!((f / exact.cost(&w).unwrap() - 1.0).abs() < 1e-13);
                assert_near(&g, &exact.gradient(&w).unwrap(), 1e-13);
                let h = whole(&Hessian::hessian(&model, &w).unwrap());
                let exact: Mat<f64> = Hessian::hessian(&exact, &w).unwrap();
                let columns: Vec<f64> = (0..w.len())
                    .flat_map(|j| exact.col_as_slice(j).to_vec())
                    .collect();
                assert_near(&h.concat(), &columns, 1e-13);
            }
        }
    }
}

#[test]
fn products_agree_with_differences_of_gradients() {
    for (k, model) in models(200).iter().enumerate() {
        let w = model.initial(k as u64, 0.5);
        let v = point(w.len(), 1.0, 400 + k as u64);
        // Fourth order: errors of 1e-16/h and h⁴. Kinks must stay out of reach.
        let smooth = k < 32;
        let (h, tol) = if smooth { (5e-4, 1e-9) } else { (1e-7, 1e-7) };
        let gradient = |t: f64| {
            let at = w.iter().zip(&v).map(|(w, v)| w + t * v).collect();
            model.gradient(&at).unwrap()
        };
        let (a, b, c, d) = (
            gradient(h),
            gradient(-h),
            gradient(2.0 * h),
            gradient(-2.0 * h),
        );
        let slope = |i: usize| (8.0 * (a[i] - b[i]) - (c[i] - d[i])) / (12.0 * h);
        let expected: Vec<f64> = (0..w.len()).map(slope).collect();
        assert_near(&product(model, &w, &v), &expected, tol);
    }
}

#[test]
fn columns_of_the_hessian_are_products() {
    for (k, model) in models(300).iter().enumerate() {
        let w = model.initial(k as u64, 0.7);
        let h = Hessian::hessian(model, &w).unwrap();
        assert!(!h.may_object());
        let d = w.len();
        let h = whole(&h);
        let mut unit = vec![0.0; d];
        let mut columns = Vec::new();
        for j in 0..d {
            unit[j] = 1.0;
            columns.push(product(model, &w, &unit));
            unit[j] = 0.0;
        }
        assert_near(&h.concat(), &columns.concat(), 1e-13);
        // The products know nothing of a triangle.
        let transposed: Vec<f64> = (0..d * d).map(|at| columns[at % d][at / d]).collect();
        assert_near(&transposed, &columns.concat(), 1e-13);
    }
}

#[test]
fn batches_are_means_over_their_rows() {
    let n = 150;
    for (k, model) in models(n).iter().enumerate().step_by(5) {
        let w = model.initial(k as u64, 0.8);
        let v = point(w.len(), 1.0, 500);
        let (f, g) = FiniteSum::value_gradient(model, &w, Batch::All).unwrap();
        assert_eq!(f.to_bits(), model.cost(&w).unwrap().to_bits());
        let quantities = |batch: Batch<'_>| {
            let (f, g) = FiniteSum::value_gradient(model, &w, batch).unwrap();
            assert_eq!(f, FiniteSum::value(model, &w, batch).unwrap());
            let mut p = vec![0.0; w.len()];
            FiniteSum::hessian_product(model, &w, batch, &v, &mut p).unwrap();
            let h = whole(&FiniteSum::hessian(model, &w, batch).unwrap()).concat();
            [vec![f], g, p, h].concat()
        };
        let mut mean = vec![0.0; 1 + 2 * w.len() + w.len() * w.len()];
        for i in 0..n {
            for (mean, one) in mean.iter_mut().zip(quantities(Batch::Terms(&[i]))) {
                *mean += one / n as f64;
            }
        }
        let all = quantities(Batch::All);
        assert_near(&mean, &all, 1e-13);
        assert_eq!(all[1..=g.len()], g);
        // A row given twice counts twice.
        let (one, two) = (
            quantities(Batch::Terms(&[3])),
            quantities(Batch::Terms(&[8])),
        );
        let weighted: Vec<f64> = one
            .iter()
            .zip(&two)
            .map(|(a, b)| (2.0 * a + b) / 3.0)
            .collect();
        assert_near(&quantities(Batch::Terms(&[3, 8, 3])), &weighted, 1e-13);
        // The penalty is that of all parameters.
        let free =
            FiniteSum::value(model, &w, Batch::Terms(&[3])).unwrap() - 0.015 * norm(&w).powi(2);
        let mut z = vec![0.0; model.outputs_len()];
        OutputModel::outputs(model, &w, Batch::Terms(&[3]), &mut z).unwrap();
        assert!((model.loss().value(3, &z) - free).abs() < 1e-13);
    }
}

/// J of the batch, in rows.
fn jacobian<M: OutputModel<Param = Vec<f64>>>(
    model: &M,
    w: &Vec<f64>,
    batch: Batch<'_>,
) -> Mat<f64> {
    let b = match batch {
        Batch::All => model.terms(),
        Batch::Terms(terms) => terms.len(),
    };
    let mut j = Mat::zeros(b * model.outputs_len(), w.len());
    model.jacobian(w, batch, j.as_mut()).unwrap();
    j
}

/// J, its products and JJᵀ agree with each other and with differences of the outputs; the gradient
/// and the products of a linear model are those of the loss.
fn assert_outputs<M>(model: &M, w: &Vec<f64>, batch: Batch<'_>, h: f64, tol: f64)
where
    M: OutputModel<Param = Vec<f64>> + FiniteSum<Param = Vec<f64>, Gradient = Vec<f64>>,
{
    let j = jacobian(model, w, batch);
    let (rows, d) = (j.nrows(), j.ncols());
    let outputs = |w: &Vec<f64>| {
        let mut z = vec![0.0; rows];
        model.outputs(w, batch, &mut z).unwrap();
        z
    };
    let mut moved = w.clone();
    for k in 0..d {
        moved[k] = w[k] + h;
        let up = outputs(&moved);
        moved[k] = w[k] - h;
        let down = outputs(&moved);
        moved[k] = w[k];
        for i in 0..rows {
            let slope = (up[i] - down[i]) / (2.0 * h);
            assert!(
                (slope - j[(i, k)]).abs() <= tol,
                "{i} {k}: {slope} {}",
                j[(i, k)]
            );
        }
    }
    let (v, u) = (point(d, 1.0, 600), point(rows, 1.0, 601));
    let (mut jv, mut jtu) = (vec![0.0; rows], vec![0.0; d]);
    model.jvp(w, batch, &v, &mut jv).unwrap();
    model.vjp(w, batch, &u, &mut jtu).unwrap();
    let product = |a: &Mat<f64>, v: &[f64]| -> Vec<f64> {
        (0..a.nrows())
            .map(|i| (0..a.ncols()).map(|k| a[(i, k)] * v[k]).sum())
            .collect()
    };
    assert_near(&jv, &product(&j, &v), 1e-13);
    assert_near(&jtu, &product(&j.transpose().to_owned(), &u), 1e-13);
    // What was in `out` before does not matter.
    let mut gram = Mat::from_fn(rows, rows, |_, _| f64::NAN);
    assert!(model.gram(w, batch, gram.as_mut()).unwrap());
    let difference = &gram - &j * j.transpose();
    assert!(difference.norm_max() <= 1e-12 * gram.norm_max());
    assert_eq!((&gram - gram.transpose()).norm_max(), 0.0);

    // f and g by the loss.
    let c = model.outputs_len();
    let terms: Vec<usize> = match batch {
        Batch::All => (0..OutputModel::terms(model)).collect(),
        Batch::Terms(terms) => terms.to_vec(),
    };
    let z = outputs(w);
    let (mut f, mut r) = (0.0, vec![0.0; rows]);
    for (i, &term) in terms.iter().enumerate() {
        let z = &z[i * c..(i + 1) * c];
        f += model.loss().value(term, z) / terms.len() as f64;
        model.loss().slope(term, z, &mut r[i * c..(i + 1) * c]);
    }
    r.iter_mut().for_each(|r| *r /= terms.len() as f64);
    let mut g = vec![0.0; d];
    model.vjp(w, batch, &r, &mut g).unwrap();
    for (g, w) in g.iter_mut().zip(w) {
        *g += model.l2() * w;
    }
    f += 0.5 * model.l2() * norm(w).powi(2);
    let (value, gradient) = FiniteSum::value_gradient(model, w, batch).unwrap();
    assert!((f / value - 1.0).abs() < 1e-13);
    assert_near(&g, &gradient, 1e-12);
}

#[test]
fn outputs_jacobian_and_gram_agree() {
    let some = [5, 0, 17, 5];
    for (k, model) in models(150).iter().enumerate().step_by(3) {
        let w = model.initial(k as u64, 0.5);
        for batch in [Batch::All, Batch::Terms(&some)] {
            assert_outputs(model, &w, batch, 1e-5, 1e-8);
        }
    }
}

#[test]
fn linear_models_are_outputs_too() {
    let n = 40;
    let data = generate(n, 5, 3, 7);
    let two = generate(n, 5, 2, 8);
    let some = [5, 0, 17, 5];
    for batch in [Batch::All, Batch::Terms(&some)] {
        for (l2, intercept) in [(0.0, true), (0.1, false)] {
            let model = LeastSquares::new(&data).l2(l2).intercept(intercept);
            assert_outputs(&model, &point(model.dimension(), 1.0, 9), batch, 0.5, 1e-13);
            let model = LogisticRegression::new(&two).l2(l2).intercept(intercept);
            assert_outputs(&model, &point(model.dimension(), 1.0, 9), batch, 0.5, 1e-13);
            let model = Softmax::new(&data).l2(l2).intercept(intercept);
            assert_outputs(&model, &point(model.dimension(), 1.0, 9), batch, 0.5, 1e-13);
        }
    }
    // Sparse data, and what is not a mean with a penalty on everything.
    let sparse = Dataset::from_csr(
        vec![0, 1, 2, 4],
        vec![3, 0, 1, 7],
        vec![1.0, 2.0, -1.0, 0.5],
        9,
        vec![0.0, 1.0, 0.0],
    )
    .unwrap();
    let model = Softmax::new(&sparse).intercept(true);
    assert_outputs(&model, &point(20, 1.0, 9), Batch::All, 0.5, 1e-13);
    let mut z = vec![0.0; 3];
    let model = LeastSquares::new(&sparse).sample_weights(&[1.0, 2.0, 1.0]);
    let error = model
        .outputs(&model.origin(), Batch::All, &mut z)
        .unwrap_err();
    assert!(error.to_string().contains("sample weights"), "{error}");
    let model = LeastSquares::new(&sparse).l2(0.1).intercept(true);
    let error = model
        .vjp(&model.origin(), Batch::All, &z, &mut [0.0; 10])
        .unwrap_err();
    assert!(error.to_string().contains("free intercept"), "{error}");
}

/// Without hidden layers a network is a linear model.
#[test]
fn no_hidden_layer_is_a_linear_model() {
    let data = generate(60, 4, 3, 11);
    let linear = LeastSquares::new(&data).intercept(true);
    let exact = DampedNewton::new()
        .minimize(&linear, linear.origin())
        .unwrap();
    let network = Mlp::regressor(&data, &[]);
    let run = DampedNewton::new()
        .minimize(&network, network.origin())
        .unwrap();
    assert!(run.converged(), "{}", run.status);
    assert!((run.f / exact.f - 1.0).abs() < 1e-13);
    assert_near(&run.x, &exact.x, 1e-10);
    assert_near(
        &network.predict(&run.x, &data).unwrap(),
        &linear.predict(&exact.x, &data).unwrap(),
        1e-10,
    );

    // Softmax has w₁, b₁, w₂, b₂, …; the network all weights, then all biases.
    let softmax = Softmax::new(&data).intercept(true);
    let network = Mlp::classifier(&data, &[]);
    let w = point(15, 2.0, 12);
    let mut other = vec![0.0; 15];
    for k in 0..3 {
        other[4 * k..4 * k + 4].copy_from_slice(&w[5 * k..5 * k + 4]);
        other[12 + k] = w[5 * k + 4];
    }
    assert!((network.cost(&other).unwrap() / softmax.cost(&w).unwrap() - 1.0).abs() < 1e-14);
    assert_eq!(
        network.predict(&other, &data).unwrap(),
        softmax.predict(&w, &data).unwrap()
    );
    assert_eq!(network.classes(), [1.0, 3.0, 5.0]);
    let (a, b) = (
        whole(&Hessian::hessian(&network, &other).unwrap()),
        Hessian::hessian(&softmax, &w).unwrap(),
    );
    let place = |j: usize| {
        if j < 12 {
            j / 4 * 5 + j % 4
        } else {
            (j - 12) * 5 + 4
        }
    };
    assert_eq!(a.len(), 15);
    for (i, row) in a.iter().enumerate() {
        for (j, a) in row.iter().enumerate() {
            let (r, c) = (place(i).max(place(j)), place(i).min(place(j)));
            assert!((a - b.lower()[(r, c)]).abs() < 1e-14);
        }
    }
}

/// One input, one unit a layer, no biases: z = w₂ tanh(w₁x), with its derivatives by hand.
#[test]
fn one_unit_by_hand() {
    let data = Dataset::from_rows(&[vec![0.7]], &[0.4]).unwrap();
    let model = Mlp::regressor(&data, &[1]).biases(false);
    let (u, v) = (0.9f64, -1.3f64);
    let w = vec![u, v];
    let t = (u * 0.7).tanh();
    let s = 1.0 - t * t;
    let r = v * t - 0.4;
    let (zu, zv) = (v * s * 0.7, t);
    assert!((model.cost(&w).unwrap() - 0.5 * r * r).abs() < 1e-16);
    assert_near(&model.gradient(&w).unwrap(), &[r * zu, r * zv], 1e-15);
    let (zuu, zuv) = (-2.0 * v * t * s * 0.49, s * 0.7);
    let h = [
        zu * zu + r * zuu,
        zu * zv + r * zuv,
        zu * zv + r * zuv,
        zv * zv,
    ];
    assert_near(
        &whole(&Hessian::hessian(&model, &w).unwrap()).concat(),
        &h,
        1e-15,
    );
    // ReLU at its kink: derivative 0.
    let model = Mlp::regressor(&data, &[1])
        .biases(false)
        .activation(Activation::Relu);
    assert_eq!(model.gradient(&vec![0.0, v]).unwrap(), [0.0, 0.0]);
    assert_eq!(
        model.outputs(&[2.0, 3.0], &data).unwrap()[0][0],
        3.0 * (2.0 * 0.7)
    );
    assert_eq!(model.outputs(&[-2.0, 3.0], &data).unwrap(), [[0.0]]);
}

#[test]
fn saturated_outputs_stay_finite_and_keep_their_digits() {
    let data = Dataset::from_rows(&[vec![1.0], vec![1.0], vec![1.0]], &[0.0, 1.0, 2.0]).unwrap();
    let model = Mlp::classifier(&data, &[]).biases(false);
    let value = |x: [f64; 3]| model.cost(&x.to_vec()).unwrap();
    assert!((value([1e3, 0.0, -1e3]) / 1e3 - 1.0).abs() < 1e-15);
    assert!((value([1e15, 0.0, -1e15]) / 1e15 - 1.0).abs() < 1e-15);
    let first = Batch::Terms(&[0]);
    for lead in [40.0f64, 300.0, 700.0] {
        // The first row is right: 1 − p is 2 e^-lead and not rounded away.
        let (w, e) = (vec![lead, 0.0, 0.0], (-lead).exp());
        let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-13 * b.abs(), "{a} {b}");
        let (f, g) = FiniteSum::value_gradient(&model, &w, first).unwrap();
        near(f, 2.0 * e);
        near(g[0], -2.0 * e);
        near(g[1], e);
        let h = whole(&FiniteSum::hessian(&model, &w, first).unwrap());
        near(h[0][0], 2.0 * e);
        near(h[0][1], -e);
        near(h[1][1], e);
        let mut q = [0.0; 9];
        model.loss().curvature(0, &w, &mut q);
        near(q[0], 2.0 * e);
        near(q[1], -e);
        near(q[4], e);
        near(q[5], -e * e);
    }
    let deep = Mlp::classifier(&data, &[3, 2]);
    let w = deep.initial(1, 1e4);
    assert!(deep.cost(&w).unwrap().is_finite());
    assert!(deep.gradient(&w).unwrap().iter().all(|g| g.is_finite()));
    assert!(
        whole(&Hessian::hessian(&deep, &w).unwrap())
            .concat()
            .iter()
            .all(|h| h.is_finite())
    );
}

#[test]
fn losses_have_the_slopes_and_curvatures_of_their_values() {
    #[derive(Debug)]
    struct Huber;
    impl ConvexLoss for Huber {
        fn value(&self, term: usize, z: &[f64]) -> f64 {
            z.iter()
                .map(|z| (1.0 + (z - term as f64).powi(2)).sqrt())
                .sum()
        }
        fn slope(&self, term: usize, z: &[f64], r: &mut [f64]) {
            for (r, z) in r.iter_mut().zip(z) {
                let e = z - term as f64;
                *r = e / (1.0 + e * e).sqrt();
            }
        }
        fn curvature(&self, term: usize, z: &[f64], q: &mut [f64]) {
            q.fill(0.0);
            for (k, z) in z.iter().enumerate() {
                q[k * z_len(q.len()) + k] = (1.0 + (z - term as f64).powi(2)).powf(-1.5);
            }
        }
    }
    fn z_len(squared: usize) -> usize {
        (1..).find(|c| c * c == squared).unwrap()
    }

    let targets = [0.5, -1.0, 2.0, 1.0, 0.0, -0.5];
    let losses = [
        (
            3,
            OutputLoss::Squared {
                targets: &targets,
                weights: None,
            },
        ),
        (
            3,
            OutputLoss::Squared {
                targets: &targets,
                weights: Some(&[0.5, 2.0, 0.0]),
            },
        ),
        (3, OutputLoss::Softmax { classes: &[2, 1] }),
        (
            1,
            OutputLoss::Logistic {
                signs: &[1.0, -1.0],
            },
        ),
        (2, OutputLoss::General(&Huber)),
    ];
    for (c, loss) in losses {
        for term in [0, 1] {
            let z = point(c, 2.0, 700 + term as u64);
            let (mut r, mut q) = (vec![0.0; c], vec![f64::NAN; c * c]);
            loss.slope(term, &z, &mut r);
            loss.curvature(term, &z, &mut q);
            let h = 1e-5;
            for k in 0..c {
                let (mut up, mut down) = (z.clone(), z.clone());
                up[k] += h;
                down[k] -= h;
                let slope = (loss.value(term, &up) - loss.value(term, &down)) / (2.0 * h);
                assert!((slope - r[k]).abs() < 1e-9);
                let (mut above, mut below) = (vec![0.0; c], vec![0.0; c]);
                loss.slope(term, &up, &mut above);
                loss.slope(term, &down, &mut below);
                for l in 0..c {
                    let curvature = (above[l] - below[l]) / (2.0 * h);
                    assert!((curvature - q[k * c + l]).abs() < 1e-9, "{loss:?}");
                    assert_eq!(q[k * c + l], q[l * c + k]);
                }
            }
        }
    }
}

#[test]
fn one_point_costs_one_forward_pass() {
    let model = Mlp::classifier(&generate(300, 4, 3, 21), &[5]).l2(0.1);
    let w = model.fan_in(1);
    let some: Vec<usize> = (0..40).collect();
    for (k, batch) in [Batch::All, Batch::Terms(&some)].into_iter().enumerate() {
        let rows = if k == 0 { 300 } else { 40 };
        let mut out = model.origin();
        FiniteSum::value(&model, &w, batch).unwrap();
        FiniteSum::value_gradient(&model, &w, batch).unwrap();
        FiniteSum::hessian(&model, &w, batch).unwrap();
        FiniteSum::hessian_product(&model, &w, batch, &w, &mut out).unwrap();
        let mut z = vec![0.0; 3 * rows];
        OutputModel::outputs(&model, &w, batch, &mut z).unwrap();
        model.jvp(&w, batch, &w, &mut z).unwrap();
        model.vjp(&w, batch, &z, &mut out).unwrap();
        let mut gram = Mat::zeros(3 * rows, 3 * rows);
        model.gram(&w, batch, gram.as_mut()).unwrap();
        assert_eq!(model.forward_passes(), 1 + k as u64);
    }
    // And what else was evaluated in between does not change a bit of it.
    let fresh = Mlp::classifier(&generate(300, 4, 3, 21), &[5]).l2(0.1);
    let v = point(w.len(), 1.0, 22);
    assert_eq!(
        bits(&product(&fresh, &w, &v)),
        bits(&product(&model, &w, &v))
    );
    assert_eq!(
        bits(&fresh.gradient(&w).unwrap()),
        bits(&model.gradient(&w).unwrap())
    );
}

#[test]
fn starts_are_as_described() {
    let data = generate(20, 50, 2, 31);
    let model = Mlp::classifier(&data, &[40, 30]);
    let d = model.dimension();
    assert_eq!(d, 40 * 51 + 30 * 41 + 2 * 31);
    assert_eq!(model.origin(), vec![0.0; d]);
    let w = model.initial(3, 0.02);
    assert_eq!(bits(&w), bits(&model.initial(3, 0.02)));
    assert_ne!(bits(&w), bits(&model.initial(4, 0.02)));
    assert!((norm(&w) / (0.02 * (d as f64).sqrt()) - 1.0).abs() < 0.05);
    // Variance 1/m, or 2/m before a ReLU, and no biases.
    let first = |w: &[f64]| norm(&w[..2000]).powi(2) / 2000.0 * 50.0;
    let w = model.fan_in(5);
    assert!((first(&w) - 1.0).abs() < 0.15, "{}", first(&w));
    assert!(w[2000..2040].iter().all(|b| *b == 0.0));
    let relu = model.activation(Activation::Relu).fan_in(5);
    assert!((first(&relu) / first(&w) - 2.0).abs() < 1e-12);
    assert!((norm(&relu[d - 62..d - 2]) / norm(&w[d - 62..d - 2]) - 1.0).abs() < 1e-12);
}

#[test]
fn networks_learn_what_linear_models_cannot() {
    // Two rings.
    let angle = |i: usize| i as f64 * 0.7;
    let row = |i: usize| {
        let radius = if i.is_multiple_of(2) { 1.0 } else { 2.0 };
        vec![radius * angle(i).cos(), radius * angle(i).sin()]
    };
    let rows: Vec<Vec<f64>> = (0..60).map(row).collect();
    let labels: Vec<f64> = (0..60).map(|i| f64::from(i % 2)).collect();
    let data = Dataset::from_rows(&rows, &labels).unwrap();
    let linear = Mlp::classifier(&data, &[]).l2(1e-3);
    let run = DampedNewton::new()
        .minimize(&linear, linear.origin())
        .unwrap();
    assert!(linear.error_rate(&run.x, &data).unwrap() > 0.3);
    let model = Mlp::classifier(&data, &[8]).l2(1e-3);
    for solver in [
        TrustRegionNewton::new().minimize(&model, model.fan_in(1)),
        TrustRegionNewton::matrix_free()
            .minimize(&model, model.fan_in(1))
            .map(Run::with_source),
        TrustRegionNewton::fused()
            .minimize(&model, model.fan_in(1))
            .map(Run::with_source),
    ] {
        let run = solver.unwrap();
        assert!(run.converged(), "{}", run.status);
        assert_eq!(model.error_rate(&run.x, &data).unwrap(), 0.0);
    }
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let data = generate(6, 2, 2, 41);
    let refused = |model: Mlp, part: &str| {
        let error = model.check().unwrap_err();
        assert!(matches!(error, Error::Data(_)));
        assert!(error.to_string().contains(part), "{error}");
        let w = vec![0.0; model.dimension().min(1000)];
        assert!(model.cost(&w).is_err());
        assert!(FiniteSum::value(&model, &w, Batch::Terms(&[0])).is_err());
        assert!(model.outputs(&w, &data).is_err());
    };
    refused(
        Mlp::classifier(&data, &[3, 0]),
        "hidden layer 1 has width 0",
    );
    refused(Mlp::classifier(&data, &[usize::MAX]), "too many parameters");
    refused(
        Mlp::regressor(&data, &[1 << 20, 1 << 20]),
        "too many parameters",
    );
    let one = Dataset::from_rows(&[vec![1.0], vec![2.0]], &[3.0, 3.0]).unwrap();
    refused(Mlp::classifier(&one, &[2]), "one class only (label 3)");
    let none = Dataset::from_rows(&[vec![], vec![]], &[3.0, 4.0]).unwrap();
    refused(Mlp::classifier(&none, &[2]), "no features");
    refused(Mlp::autoencoder(&none, &[2]), "no features");
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        refused(Mlp::classifier(&data, &[2]).l2(bad), "l2");
    }
    let onto = |targets: &[Vec<f64>]| Mlp::regressor_onto(&data, targets, &[2]);
    refused(onto(&[]), "0 rows of targets for 6 rows");
    refused(onto(&vec![vec![1.0]; 5]), "5 rows of targets for 6 rows");
    refused(onto(&vec![vec![]; 6]), "length 0");
    let mut ragged = vec![vec![1.0]; 6];
    ragged[4].push(2.0);
    refused(onto(&ragged), "row 4 has 2 targets");
    ragged[4] = vec![f64::NAN];
    refused(onto(&ragged), "row 4 of the targets");
    let wide = Dataset::from_csr(
        vec![0, 1, 1],
        vec![7],
        vec![1.0],
        u32::MAX as usize,
        vec![0.0, 1.0],
    );
    refused(Mlp::autoencoder(&wide.unwrap(), &[1]), "too many");
}

#[test]
fn wrong_calls_are_typed_errors() {
    let data = generate(6, 2, 2, 42);
    let model = Mlp::classifier(&data, &[3]);
    let w = model.fan_in(1);
    let ours = |error: argmin::core::Error| error.downcast::<Error>().unwrap();
    let wrong = |error: Error, what: &str, expected: usize, found: usize| match error {
        Error::WrongLength {
            what: w,
            expected: e,
            found: f,
        } => {
            assert_eq!((w, e, f), (what, expected, found));
        }
        other => panic!("{other}"),
    };
    wrong(
        ours(model.cost(&vec![0.0; 3]).unwrap_err()),
        "parameters",
        17,
        3,
    );
    wrong(
        ours(model.gradient(&vec![]).unwrap_err()),
        "parameters",
        17,
        0,
    );
    wrong(
        model.predict(&[1.0], &data).unwrap_err(),
        "parameters",
        17,
        1,
    );
    let wide = generate(6, 5, 2, 43);
    wrong(
        model.predict(&w, &wide).unwrap_err(),
        "features of the data",
        2,
        5,
    );
    let mut out = [0.0; 4];
    let product = HessianProduct::hessian_product(&model, &w, &w, &mut out);
    wrong(ours(product.unwrap_err()), "product", 17, 4);
    let product = HessianProduct::hessian_product(&model, &w, &out, &mut [0.0; 17]);
    wrong(ours(product.unwrap_err()), "vector", 17, 4);
    let all = Batch::All;
    let error = OutputModel::outputs(&model, &w, all, &mut out).unwrap_err();
    wrong(ours(error), "outputs", 12, 4);
    wrong(
        ours(model.jvp(&w, all, &out, &mut [0.0; 12]).unwrap_err()),
        "vector",
        17,
        4,
    );
    wrong(
        ours(model.vjp(&w, all, &out, &mut [0.0; 17]).unwrap_err()),
        "vector",
        12,
        4,
    );
    let mut small = Mat::zeros(3, 4);
    for error in [
        model.jacobian(&w, all, small.as_mut()).unwrap_err(),
        model.gram(&w, all, small.as_mut()).unwrap_err(),
    ] {
        assert!(matches!(
            ours(error),
            Error::WrongShape {
                rows: 3,
                cols: 4,
                ..
            }
        ));
    }
    // Batches.
    let value = |w: &Vec<f64>, terms: &[usize]| {
        ours(FiniteSum::value(&model, w, Batch::Terms(terms)).unwrap_err()).to_string()
    };
    assert!(value(&w, &[]).contains("empty batch"));
    assert!(value(&w, &[1, 6]).contains("row 6"));
    let mut infinite = w.clone();
    infinite[0] = f64::NAN;
    assert!(value(&infinite, &[4, 1]).contains("row 4: NaN"));
    assert!(model.cost(&infinite).unwrap().is_nan());
    // What a model of this kind does not have.
    let regressor = Mlp::autoencoder(&data, &[3]);
    let w = regressor.fan_in(1);
    assert!(matches!(
        regressor.predict(&w, &data),
        Err(Error::NotOffered { .. })
    ));
    assert!(matches!(
        regressor.error_rate(&w, &data),
        Err(Error::NotOffered { .. })
    ));
    assert_eq!(regressor.classes(), [0.0; 0]);
    // A Hessian that would not fit anywhere.
    let large = Mlp::regressor(&data, &[10_000]);
    let error = Hessian::hessian(&large, &large.origin()).unwrap_err();
    assert!(error.to_string().contains("matrix_free"), "{error}");
}

#[test]
#[cfg(feature = "rayon")]
fn results_do_not_depend_on_the_number_of_threads() {
    let data = generate(1500, 12, 4, 51);
    let some: Vec<usize> = (0..160).map(|i| i * 70 % 1500).collect();
    for model in [
        Mlp::classifier(&data, &[9, 7]).l2(1e-3),
        Mlp::autoencoder(&data, &[16, 4, 16]).activation(Activation::Relu),
    ] {
        let w = model.fan_in(2);
        let v = point(w.len(), 1.0, 52);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new();
            let pool = pool.num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut all = Vec::new();
                for batch in [Batch::All, Batch::Terms(&some)] {
                    // Another point in between, so that nothing is left of other runs.
                    FiniteSum::value(&model, &v, batch).unwrap();
                    let (f, g) = FiniteSum::value_gradient(&model, &w, batch).unwrap();
                    let h = whole(&FiniteSum::hessian(&model, &w, batch).unwrap()).concat();
                    let mut p = vec![0.0; w.len()];
                    FiniteSum::hessian_product(&model, &w, batch, &v, &mut p).unwrap();
                    all.extend([vec![f], g, h, p]);
                }
                let rows = some.len() * model.outputs_len();
                let mut k = Mat::zeros(rows, rows);
                model.gram(&w, Batch::Terms(&some), k.as_mut()).unwrap();
                let mut u = vec![0.0; rows];
                model.jvp(&w, Batch::Terms(&some), &v, &mut u).unwrap();
                let mut jtu = vec![0.0; w.len()];
                model.vjp(&w, Batch::Terms(&some), &u, &mut jtu).unwrap();
                let j = jacobian(&model, &w, Batch::Terms(&some));
                let column = |m: &Mat<f64>, k: usize| m.col_as_slice(k).to_vec();
                all.extend((0..rows).map(|i| column(&k, i)));
                all.extend((0..w.len()).map(|i| column(&j, i)));
                all.extend([u, jtu]);
                all.iter().map(|v| bits(v)).collect::<Vec<_>>()
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(5));
    }
}

#[test]
#[cfg(feature = "libsvm")]
fn digits_are_read() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/data/digits.libsvm.gz"
    );
    let data = raphson::libsvm::read(path).unwrap();
    // Pixels from 0 to 16.
    let scaled: Vec<Vec<f64>> = rows(&data)
        .iter()
        .map(|row| row.iter().map(|v| v / 16.0).collect())
        .collect();
    let train = Dataset::from_rows(&scaled[..1000], &data.labels()[..1000]).unwrap();
    let test = Dataset::from_rows(&scaled[1000..], &data.labels()[1000..]).unwrap();
    let model = Mlp::classifier(&train, &[5]).l2(1e-3);
    assert_eq!(model.dimension(), 385);
    let run = TrustRegionNewton::new()
        .max_iters(60)
        .minimize(&model, model.fan_in(1))
        .unwrap();
    assert!(model.error_rate(&run.x, &train).unwrap() < 0.02);
    assert!(model.error_rate(&run.x, &test).unwrap() < 0.15);
}
