//! Random numbers for named purposes.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// What a stream of random numbers is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// The order of the terms.
    Batches,
    /// Random vectors that probe a Hessian.
    Probes,
    /// Labels drawn from a model.
    Labels,
    /// Directions that leave a saddle point, and random starts.
    Escape,
    /// Sketches of linear systems.
    Sketch,
}

impl Purpose {
    /// Arbitrary odd words, far apart in their bits.
    fn word(self) -> u64 {
        match self {
            Purpose::Batches => 0x9e6c_63d0_876a_68e5,
            Purpose::Probes => 0x2545_f491_4f6c_dd1d,
            Purpose::Labels => 0xd1b5_4a32_d192_ed03,
            Purpose::Escape => 0x6a09_e667_f3bc_c909,
            Purpose::Sketch => 0xbb67_ae85_84ca_a73b,
        }
    }
}

/// A stream of random numbers: xoshiro256++, seeded by SplitMix64 of the seed xor the purpose.
///
/// Streams of one seed and different purposes are independent for all practical ends. The
/// numbers are the same on every machine, except for the last bits of
/// [`normal`](Stream::normal), which uses the system's logarithm and cosine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Stream(Xoshiro256PlusPlus);

impl Stream {
    /// The stream of `seed` for `purpose`.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Stream(Xoshiro256PlusPlus::seed_from_u64(seed ^ purpose.word()))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform on 0, …, `bound` − 1 without bias, by Lemire's multiplication and rejection;
    /// 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        let mut product = u128::from(self.bits()) * u128::from(bound);
        if (product as u64) < bound {
            let threshold = bound.wrapping_neg() % bound.max(1);
            while (product as u64) < threshold {
                product = u128::from(self.bits()) * u128::from(bound);
            }
        }
        (product >> 64) as usize
    }

    /// Uniform on \[0, 1), a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Standard normal, the cosine half of Box and Muller's pair.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Fills `out` with ±1, one bit each.
    pub fn rademacher(&mut self, out: &mut [f64]) {
        for chunk in out.chunks_mut(64) {
            let mut bits = self.bits();
            for v in chunk {
                *v = if bits & 1 == 0 { 1.0 } else { -1.0 };
                bits >>= 1;
            }
        }
    }

    /// Permutes `items` uniformly, by Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

impl Default for Stream {
    fn default() -> Self {
        Stream::new(0, Purpose::Batches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_and_seeds_give_different_streams() {
        let first = |seed, purpose| Stream::new(seed, purpose).bits();
        let mut seen = std::collections::HashSet::new();
        for seed in 0..100 {
            for purpose in [
                Purpose::Batches,
                Purpose::Probes,
                Purpose::Labels,
                Purpose::Escape,
                Purpose::Sketch,
            ] {
                assert_eq!(first(seed, purpose), first(seed, purpose));
                assert!(seen.insert(first(seed, purpose)));
            }
        }
    }

    #[test]
    fn bounded_integers_are_uniform() {
        let mut stream = Stream::new(3, Purpose::Probes);
        let mut counts = [0i64; 7];
        for _ in 0..70_000 {
            counts[stream.below(7)] += 1;
        }
        // χ² with 6 degrees of freedom exceeds 30 with probability 4e-5.
        let chi: f64 = counts.iter().map(|c| ((c - 10_000) as f64).powi(2)).sum();
        assert!(chi / 10_000.0 < 30.0, "{counts:?}");
        assert_eq!((stream.below(0), stream.below(1)), (0, 0));
        // A bound of 3·2⁶² would favour its lower third by modulo reduction.
        if usize::BITS == 64 {
            let bound = 3usize << 62;
            let low = (0..30_000)
                .filter(|_| stream.below(bound) < bound / 3)
                .count();
            assert!((9_500..10_500).contains(&low), "{low}");
        }
    }

    #[test]
    fn normals_and_signs_have_their_moments() {
        let mut stream = Stream::new(1, Purpose::Escape);
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let moment = |k| draws.iter().map(|z| z.powi(k)).sum::<f64>() / n as f64;
        assert!(moment(1).abs() < 0.015 && (moment(2) - 1.0).abs() < 0.02);
        assert!((moment(4) - 3.0).abs() < 0.15);
        let mut signs = vec![0.0; 10_001];
        stream.rademacher(&mut signs);
        assert!(signs.iter().all(|s| s.abs() == 1.0));
        assert!(signs.iter().sum::<f64>().abs() < 400.0);
    }

    #[test]
    fn every_permutation_is_equally_likely() {
        let mut stream = Stream::default();
        let mut counts = std::collections::HashMap::new();
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            stream.shuffle(&mut items);
            *counts.entry(items).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|c| (850..1150).contains(c)));
    }
}
