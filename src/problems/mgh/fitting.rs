//! Residuals of the fits of exponentials and rational functions, with their data.

use crate::autodiff::Number;

/// 6: 2 + 2i − (exp(i x₁) + exp(i x₂)).
pub fn jennrich_sampson<T: Number>(x: &[T], r: &mut [T]) {
    for (i, r) in counted(r) {
        *r = -((x[0] * i).exp() + (x[1] * i).exp()) + (2.0 + 2.0 * i);
    }
}

/// 8: yᵢ − (x₁ + uᵢ/(vᵢx₂ + wᵢx₃)).
pub fn bard<T: Number>(x: &[T], r: &mut [T]) {
    for ((u, r), y) in counted(r).zip(BARD) {
        let v = 16.0 - u;
        *r = -(x[0] + T::from(u) / (x[1] * v + x[2] * u.min(v))) + y;
    }
}

const BARD: [f64; 15] = [
    0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39,
];

/// 9: x₁ exp(−x₂(tᵢ − x₃)²/2) − yᵢ with tᵢ = (8 − i)/2.
pub fn gaussian<T: Number>(x: &[T], r: &mut [T]) {
    for ((i, r), y) in counted(r).zip(GAUSSIAN) {
        let t = (8.0 - i) / 2.0;
        *r = x[0] * (-x[1] * (-x[2] + t).powi(2) / 2.0).exp() - y;
    }
}

const GAUSSIAN: [f64; 15] = [
    0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989, 0.3521, 0.2420, 0.1295, 0.0540,
    0.0175, 0.0044, 0.0009,
];

/// 10: x₁ exp(x₂/(tᵢ + x₃)) − yᵢ with tᵢ = 45 + 5i.
pub fn meyer<T: Number>(x: &[T], r: &mut [T]) {
    for ((i, r), y) in counted(r).zip(MEYER) {
        *r = x[0] * (x[1] / (x[2] + (45.0 + 5.0 * i))).exp() - y;
    }
}

const MEYER: [f64; 16] = [
    34780.0, 28610.0, 23650.0, 19630.0, 16370.0, 13720.0, 11540.0, 9744.0, 8261.0, 7030.0, 6005.0,
    5147.0, 4427.0, 3820.0, 3307.0, 2872.0,
];

/// 11: exp(−|yᵢ − x₂|^x₃/x₁) − tᵢ with tᵢ = i/100, yᵢ = 25 + (−50 ln tᵢ)^⅔; a kink where x₂ = yᵢ.
pub fn gulf<T: Number>(x: &[T], r: &mut [T]) {
    for (i, r) in counted(r) {
        let t = i / 100.0;
        let y = 25.0 + (-50.0 * t.ln()).powf(2.0 / 3.0);
        let distance = (-x[1] + y).abs();
        *r = (-distance.powd(x[2]) / x[0]).exp() - t;
    }
}

/// 12: exp(−t x₁) − exp(−t x₂) − x₃(exp(−t) − exp(−10t)) with t = i/10.
pub fn box_three_dimensional<T: Number>(x: &[T], r: &mut [T]) {
    for (i, r) in counted(r) {
        let t = 0.1 * i;
        *r = decay(x[0], t) - decay(x[1], t) - x[2] * ((-t).exp() - (-10.0 * t).exp());
    }
}

/// 15: yᵢ − x₁(uᵢ² + uᵢx₂)/(uᵢ² + uᵢx₃ + x₄).
pub fn kowalik_osborne<T: Number>(x: &[T], r: &mut [T]) {
    for (r, (y, u)) in r.iter_mut().zip(KOWALIK_OSBORNE) {
        let (above, below) = (x[1] * u + u * u, x[2] * u + x[3] + u * u);
        *r = -x[0] * above / below + y;
    }
}

/// Pairs (yᵢ, uᵢ).
const KOWALIK_OSBORNE: [(f64, f64); 11] = [
    (0.1957, 4.0),
    (0.1947, 2.0),
    (0.1735, 1.0),
    (0.1600, 0.5),
    (0.0844, 0.25),
    (0.0627, 0.167),
    (0.0456, 0.125),
    (0.0342, 0.1),
    (0.0323, 0.0833),
    (0.0235, 0.0714),
    (0.0246, 0.0625),
];

/// 16: (x₁ + t x₂ − eᵗ)² + (x₃ + x₄ sin t − cos t)² with t = i/5.
pub fn brown_dennis<T: Number>(x: &[T], r: &mut [T]) {
    for (i, r) in counted(r) {
        let t = i / 5.0;
        let line = x[0] + x[1] * t - t.exp();
        let wave = x[2] + x[3] * t.sin() - t.cos();
        *r = line.powi(2) + wave.powi(2);
    }
}

/// 17: yᵢ − (x₁ + x₂ exp(−t x₄) + x₃ exp(−t x₅)) with t = 10(i − 1).
pub fn osborne_1<T: Number>(x: &[T], r: &mut [T]) {
    for ((i, r), y) in counted(r).zip(OSBORNE_1) {
        let t = 10.0 * (i - 1.0);
        *r = -(x[0] + x[1] * decay(x[3], t) + x[2] * decay(x[4], t)) + y;
    }
}

const OSBORNE_1: [f64; 33] = [
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685,
    0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448,
    0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406,
];

/// 18: x₃ exp(−t x₁) − x₄ exp(−t x₂) + x₆ exp(−t x₅) − y with t = i/10 and
/// y = exp(−t) − 5 exp(−10t) + 3 exp(−4t).
pub fn biggs<T: Number>(x: &[T], r: &mut [T]) {
    for (i, r) in counted(r) {
        let t = 0.1 * i;
        let y = (-t).exp() - 5.0 * (-10.0 * t).exp() + 3.0 * (-4.0 * t).exp();
        *r = x[2] * decay(x[0], t) - x[3] * decay(x[1], t) + x[5] * decay(x[4], t) - y;
    }
}

/// 19: yᵢ − (x₁ exp(−t x₅) + Σ_{k=2}^{4} x_k exp(−(t − x_{k+7})² x_{k+4})) with t = (i − 1)/10.
pub fn osborne_2<T: Number>(x: &[T], r: &mut [T]) {
    for ((i, r), y) in counted(r).zip(OSBORNE_2) {
        let t = (i - 1.0) / 10.0;
        let bell = |height: T, width: T, center: T| height * (-(-center + t).powi(2) * width).exp();
        let bells = bell(x[1], x[5], x[8]) + bell(x[2], x[6], x[9]) + bell(x[3], x[7], x[10]);
        *r = -(x[0] * decay(x[4], t) + bells) + y;
    }
}

const OSBORNE_2: [f64; 65] = [
    1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608,
    0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661,
    0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428,
    0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559,
    0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054,
];

/// exp(−t x).
fn decay<T: Number>(x: T, t: f64) -> T {
    (x * -t).exp()
}

/// The residuals with their numbers 1, 2, … as doubles.
fn counted<T>(r: &mut [T]) -> impl Iterator<Item = (f64, &mut T)> {
    (1..).map(f64::from).zip(r)
}
