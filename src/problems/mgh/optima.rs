//! Known optima: in closed form, or computed to the last digits.

use super::variable::PENALTY;

/// A known optimum of a problem.
///
/// All are local minima, with two exceptions that the paper lists too: infima that are
/// approached only at infinity (Bard, Kowalik and Osborne), and the point
/// (0, …, 0, n + 1) of the Brown almost-linear function, which is stationary.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimum {
    /// f there.
    pub value: f64,
    /// The point; [`None`] if it lies at infinity, or has no closed form where f = 0.
    pub minimizer: Option<Vec<f64>>,
}

pub fn at(value: f64, minimizer: Vec<f64>) -> Optimum {
    Optimum {
        value,
        minimizer: Some(minimizer),
    }
}

pub fn nowhere(value: f64) -> Optimum {
    Optimum {
        value,
        minimizer: None,
    }
}

/// Optima computed for certain sizes: the size, f, the point.
type Computed = [(usize, f64, &'static [f64])];

/// Those for this size.
pub fn computed_for(size: usize, computed: &Computed) -> Vec<Optimum> {
    let fitting = computed.iter().filter(|(for_size, ..)| *for_size == size);
    fitting
        .map(|(_, value, x)| at(*value, x.to_vec()))
        .collect()
}

/// Those for this size, and one at infinity.
pub fn with_infinite(size: usize, computed: &Computed, value: f64) -> Vec<Optimum> {
    let mut known = computed_for(size, computed);
    known.push(nowhere(value));
    known
}

/// (5, 4), and the other root of the derivative along the valley.
pub fn freudenstein_roth() -> Vec<Optimum> {
    let root = 22.0_f64.sqrt();
    let (a, b) = ((53.0 - 4.0 * root) / 3.0, (2.0 - root) / 3.0);
    // Both residuals have the same size there.
    let residual = 8.0 + b * (6.0 + b * (2.0 - b));
    vec![
        at(0.0, vec![5.0, 4.0]),
        at(2.0 * residual * residual, vec![a, b]),
    ]
}

/// All entries are the root x of a(x − 1) + 2x(n x² − ¼) = 0.
pub fn penalty_1(n: usize) -> Optimum {
    let n_vars = n as f64;
    let mut x = 0.5 / n_vars.sqrt() + PENALTY;
    for _ in 0..50 {
        let residual = PENALTY * (x - 1.0) + 2.0 * x * (n_vars * x * x - 0.25);
        x -= residual / (PENALTY + 6.0 * n_vars * x * x - 0.5);
    }
    let excess = n_vars * x * x - 0.25;
    let value = PENALTY * n_vars * (x - 1.0).powi(2) + excess * excess;
    at(value, vec![x; n])
}

/// (α, …, α, α¹⁻ⁿ) with nαⁿ − (n + 1)αⁿ⁻¹ + 1 = 0, of which α = 1 is one root and
/// another lies below 1 − 1/n²; and the stationary point.
pub fn brown_almost_linear(n: usize) -> Vec<Optimum> {
    let mut known = vec![at(0.0, vec![1.0; n])];
    let size = n as f64;
    let degree = n as i32 - 1;
    if n >= 2 {
        let (mut low, mut high) = (0.0, 1.0 - 1.0 / (size * size));
        for _ in 0..100 {
            let alpha = 0.5 * (low + high);
            let positive = alpha.powi(degree) * (size * alpha - (size + 1.0)) + 1.0 > 0.0;
            *(if positive { &mut low } else { &mut high }) = alpha;
        }
        let mut x = vec![low; n];
        x[n - 1] = low.powi(-degree);
        known.push(at(0.0, x));
    }
    if n >= 3 {
        let mut x = vec![0.0; n];
        x[n - 1] = size + 1.0;
        known.push(at(1.0, x));
    }
    known
}

/// Where Σ j xⱼ = 3/(2m + 1).
pub fn linear_rank_1(n: usize, m: usize) -> Optimum {
    let m = m as f64;
    let mut x = vec![0.0; n];
    x[0] = 3.0 / (2.0 * m + 1.0);
    at(m * (m - 1.0) / (2.0 * (2.0 * m + 1.0)), x)
}

/// Where Σ_{1<j<n} j xⱼ = 3/(2m − 3).
pub fn linear_rank_1_with_zeros(n: usize, m: usize) -> Optimum {
    let m = m as f64;
    let mut x = vec![0.0; n];
    x[1] = 1.5 / (2.0 * m - 3.0);
    at((m * m + 3.0 * m - 6.0) / (2.0 * (2.0 * m - 3.0)), x)
}

/// 0 for as many residuals as variables, up to 7 and at 9; else computed.
pub fn chebyquad(n: usize, m: usize) -> Vec<Optimum> {
    match (n, m) {
        (1..=7 | 9, _) if m == n => vec![nowhere(0.0)],
        _ if m == n => computed_for(n, &CHEBYQUAD),
        _ => Vec::new(),
    }
}

/// Where 10⁴x₁x₂ = 1 and exp(−x₁) + exp(−x₂) = 1.0001.
pub const POWELL_BADLY_SCALED: [f64; 2] = [1.0981593296996906e-5, 9.106146739867576];

pub const JENNRICH_SAMPSON: [(usize, f64, &[f64]); 1] = [(
    10,
    124.36218235561483,
    &[0.2578252136703641, 0.2578252136703641],
)];

pub const BARD: [(usize, f64, &[f64]); 1] = [(
    15,
    0.008214877306578982,
    &[0.08241055974978899, 1.1330360920297224, 2.3436951786425366],
)];

/// Σ(yᵢ − ȳ)²: x₁ = ȳ and x₂, x₃ → −∞.
pub const BARD_AT_INFINITY: f64 = 17.42869333333333;

pub const GAUSSIAN: [(usize, f64, &[f64]); 1] = [(
    15,
    1.127932769619216e-8,
    &[0.39895613783875666, 1.0000190844878056, 0.0],
)];

pub const MEYER: [(usize, f64, &[f64]); 1] = [(
    16,
    87.94585517079423,
    &[0.0056096364710288135, 6181.346346286255, 345.2236346241324],
)];

pub const KOWALIK_OSBORNE: [(usize, f64, &[f64]); 1] = [(
    11,
    0.00030750560384923794,
    &[
        0.19280693457903791,
        0.19128232873436676,
        0.12305650692632095,
        0.13606233068379475,
    ],
)];

/// x₂ = −14.075883400603309, x₁ → ∞ and x₃, x₄ → −∞ with x₄/x₃ = 0.6238013410486994.
pub const KOWALIK_AT_INFINITY: f64 = 0.0010273430486954578;

pub const BROWN_DENNIS: [(usize, f64, &[f64]); 1] = [(
    20,
    85822.20162635634,
    &[
        -11.594439904762163,
        13.203630051207202,
        -0.4034394881768596,
        0.23677877445573633,
    ],
)];

pub const OSBORNE_1: [(usize, f64, &[f64]); 1] = [(
    33,
    5.46489469748276e-5,
    &[
        0.3754100521069519,
        1.935846912712344,
        -1.4646871366133998,
        0.012867534640057245,
        0.022122699661672716,
    ],
)];

/// Two exponentials are one there: only x₃ + x₆ is determined.
pub const BIGGS: [(usize, f64, &[f64]); 1] = [(
    13,
    0.005655649925499957,
    &[
        1.7114159947195877,
        17.68319818094906,
        0.7255484876912893,
        5.18656155199345,
        1.7114159947195877,
        1.6007388341464959,
    ],
)];

pub const OSBORNE_2: [(usize, f64, &[f64]); 1] = [(
    65,
    0.040137736293547804,
    &[
        1.3099771546273007,
        0.431553794602989,
        0.6336616989607241,
        0.5994305347859162,
        0.7541832263280115,
        0.9042885798596334,
        1.365811835237028,
        4.823698817227156,
        2.3986848661317546,
        4.568874597667672,
        5.6753414705806415,
    ],
)];

/// By the number of variables, as all below.
pub const WATSON: [(usize, f64, &[f64]); 3] = [
    (
        6,
        0.0022876700535524866,
        &[
            -0.015725086401458574,
            1.0124348693691099,
            -0.23299162595673698,
            1.260430087799606,
            -1.513728922722277,
            0.9929964324311333,
        ],
    ),
    (
        9,
        1.399760138099882e-6,
        &[
            -1.530703652140272e-5,
            0.9997897039319483,
            0.014763963693560157,
            0.14634232829933155,
            1.0008211030048426,
            -2.6177311405193255,
            4.104403164479255,
            -3.143612278556706,
            1.0526264080102372,
        ],
    ),
    (
        12,
        4.722381105653008e-10,
        &[
            -6.638060465587364e-9,
            1.000001644117862,
            -0.0005639322103807347,
            0.3478205405049911,
            -0.1567315041058707,
            1.0528151772605454,
            -3.247271153634829,
            7.288434898297404,
            -10.271848241786579,
            9.074113647443694,
            -4.5413754668557855,
            1.0120118885838056,
        ],
    ),
];

pub const PENALTY_2: [(usize, f64, &[f64]); 2] = [
    (
        4,
        9.376293007355446e-6,
        &[
            0.1999993333503804,
            0.19131670099277223,
            0.480101485332623,
            0.5188454043902012,
        ],
    ),
    (
        10,
        0.000293660537456746,
        &[
            0.19998360519782363,
            0.010350648471292303,
            0.01960493448043841,
            0.03208906722068565,
            0.0499326773996413,
            0.0765139951539936,
            0.11862407286950412,
            0.19214487233557667,
            0.34732058694184365,
            0.3691643741593507,
        ],
    ),
];

pub const TRIGONOMETRIC: [(usize, f64, &[f64]); 1] = [(
    10,
    2.795056121879364e-5,
    &[
        0.05515090398069166,
        0.056840616794740825,
        0.05876400176269509,
        0.06099060865676135,
        0.06362621369585598,
        0.06684317945276062,
        0.2081615185698739,
        0.16436309588564885,
        0.08500689568851624,
        0.09143145071470689,
    ],
)];

pub const CHEBYQUAD: [(usize, f64, &[f64]); 2] = [
    (
        8,
        0.0035168737256779346,
        &[
            0.04315276015101662,
            0.1930908403841861,
            0.26632870689027294,
            0.5,
            0.5,
            0.7336712931097271,
            0.8069091596158139,
            0.9568472398489833,
        ],
    ),
    (
        10,
        0.006503954800882299,
        &[
            0.05961990053581273,
            0.16670828183586145,
            0.23917065894260842,
            0.3988842923060445,
            0.3988842923060445,
            0.6011157076939555,
            0.6011157076939555,
            0.7608293410573915,
            0.8332917181641385,
            0.9403800994641872,
        ],
    ),
];
