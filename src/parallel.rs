//! Loops over fixed chunks.
//!
//! What a chunk holds depends on the data alone, never on the number of
//! threads, and partial results are combined in order. So results are the same
//! bits on 1, 2 or 64 threads, and without the feature `rayon`. Only where a result is the same
//! whatever the chunks are, as in a search, their number depends on the threads.

#[cfg(feature = "rayon")]
use rayon::prelude::*;
use std::ops::Range;
#[cfg(feature = "rayon")]
use std::{
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// Below this many floating-point operations a loop stays on one thread
/// (a rayon task costs some microseconds).
#[cfg(feature = "rayon")]
const SERIAL_WORK: usize = 200_000;

/// Above this many multiplications faer's kernels get several threads: a
/// Cholesky factorization of n = 600 (n³ = 2.2e8) gains, one of n = 300 loses.
#[cfg(feature = "rayon")]
const PARALLEL_WORK: usize = 100_000_000;

/// How long a thread looks for work.
#[cfg(feature = "rayon")]
const PATIENCE: Duration = Duration::from_millis(10);

/// Most threads that are kept awake: loops over rows have 16 stripes.
#[cfg(feature = "rayon")]
const MOST_ATTENDANTS: usize = 15;

/// Whether a loop goes to the threads. To hand it to a pool of one would only cost two switches.
#[cfg(feature = "rayon")]
pub(crate) fn is_shared(work: usize) -> bool {
    work >= SERIAL_WORK && rayon::current_num_threads() > 1
}

/// Runs `f`, whose loops have `work` operations each, on a thread of the pool, if that is worth it.
///
/// There it hands out loops without being woken for each; and the threads that share them look for
/// the next one, for [`PATIENCE`] at most, and do not sleep: to wake one takes longer than half a small
/// loop. Nobody is attended like that while there is another caller, or from within the pool.
pub(crate) fn inside<T: Send>(work: usize, f: impl FnOnce() -> T + Send) -> T {
    #[cfg(feature = "rayon")]
    if is_shared(work) {
        let is_outside = rayon::current_thread_index().is_none();
        return rayon::scope(|scope| {
            let caller = is_outside.then(Caller::enter);
            if let Some(caller) = &caller {
                let host = rayon::current_thread_index();
                for _ in 1..rayon::current_num_threads().min(MOST_ATTENDANTS + 1) {
                    let left = Arc::clone(&caller.left);
                    scope.spawn(move |_| attend(host, &left));
                }
            }
            f()
        });
    }
    let _ = work;
    f()
}

/// Callers from outside the pool.
#[cfg(feature = "rayon")]
static CALLERS: AtomicUsize = AtomicUsize::new(0);

/// A caller from outside the pool, who tells when it has left.
#[cfg(feature = "rayon")]
struct Caller {
    left: Arc<AtomicBool>,
}

#[cfg(feature = "rayon")]
impl Caller {
    fn enter() -> Self {
        CALLERS.fetch_add(1, Ordering::Relaxed);
        let left = Arc::default();
        Caller { left }
    }
}

#[cfg(feature = "rayon")]
impl Drop for Caller {
    fn drop(&mut self) {
        self.left.store(true, Ordering::Relaxed);
        CALLERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does whatever work the pool has until the caller has `left`, another one came, or there was no work for
/// [`PATIENCE`].
#[cfg(feature = "rayon")]
fn attend(host: Option<usize>, left: &AtomicBool) {
    // The caller's own thread would wait here for its own work.
    if rayon::current_thread_index() == host {
        return;
    }
    let mut last = Instant::now();
    while !left.load(Ordering::Relaxed) && CALLERS.load(Ordering::Relaxed) == 1 {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            last = Instant::now();
        } else if last.elapsed() > PATIENCE {
            return;
        } else {
            std::thread::yield_now();
        }
    }
}

/// Calls `f(index of the chunk's first element, chunk)` for all chunks of `size` elements.
/// `work` is the total number of operations, by which to choose between one thread and many.
pub(crate) fn chunks_mut<T: Send>(
    out: &mut [T],
    size: usize,
    work: usize,
    f: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    #[cfg(feature = "rayon")]
    if is_shared(work) {
        out.par_chunks_mut(size)
            .enumerate()
            .for_each(|(k, chunk)| f(k * size, chunk));
        return;
    }
    let _ = work;
    for (k, chunk) in out.chunks_mut(size).enumerate() {
        f(k * size, chunk);
    }
}

/// `f` of each item, in their order. `work` is the total number of operations.
pub(crate) fn map<I: Send, T: Send>(
    items: Vec<I>,
    work: usize,
    f: impl Fn(I) -> T + Sync + Send,
) -> Vec<T> {
    #[cfg(feature = "rayon")]
    if is_shared(work) {
        return items.into_par_iter().map(f).collect();
    }
    let _ = work;
    items.into_iter().map(f).collect()
}

/// Ranges that make up `whole`: one if `work` operations are not worth more threads. For results that are the same
/// however the range is cut.
pub(crate) fn pieces(whole: Range<usize>, work: usize) -> Vec<Range<usize>> {
    #[cfg(feature = "rayon")]
    let count = if is_shared(work) { 8 } else { 1 };
    #[cfg(not(feature = "rayon"))]
    let count = 1;
    let _ = work;
    let size = whole.len().div_ceil(count).max(1);
    let end = whole.end;
    let piece = |first: usize| first..(first + size).min(end);
    whole.step_by(size).map(piece).collect()
}

/// Calls `f(rows, parts of the arrays, sums)` for stripes of `length` rows.
///
/// Each of the `arrays` has one element for each of `rows` rows; each stripe has `width` of the
/// `sums` to itself. `work` is the total number of operations, by which to choose between one
/// thread and many.
pub(crate) fn stripes<const K: usize>(
    rows: usize,
    arrays: [&mut [f64]; K],
    length: usize,
    sums: &mut [f64],
    width: usize,
    work: usize,
    f: &(impl Fn(Range<usize>, [&mut [f64]; K], &mut [f64]) + Sync),
) {
    #[cfg(feature = "rayon")]
    let many = is_shared(work);
    #[cfg(not(feature = "rayon"))]
    let many = false;
    let _ = work;
    halve(0..rows, arrays, (length, width), sums, many, f);
}

fn halve<const K: usize>(
    rows: Range<usize>,
    arrays: [&mut [f64]; K],
    (length, width): (usize, usize),
    sums: &mut [f64],
    many: bool,
    f: &(impl Fn(Range<usize>, [&mut [f64]; K], &mut [f64]) + Sync),
) {
    let count = rows.len().div_ceil(length);
    if count <= 1 {
        f(rows, arrays, sums);
        return;
    }
    let half = count / 2;
    let middle = rows.start + half * length;
    let mut left = [(); K].map(|()| <&mut [f64]>::default());
    let mut right = [(); K].map(|()| <&mut [f64]>::default());
    for ((array, left), right) in arrays.into_iter().zip(&mut left).zip(&mut right) {
        (*left, *right) = array.split_at_mut(half * length);
    }
    let (sums_left, sums_right) = sums.split_at_mut(half * width);
    let size = (length, width);
    let low = || halve(rows.start..middle, left, size, sums_left, many, f);
    let high = || halve(middle..rows.end, right, size, sums_right, many, f);
    #[cfg(feature = "rayon")]
    if many {
        rayon::join(low, high);
        return;
    }
    low();
    high();
}

/// The degree of parallelism handed to faer's products and Cholesky factorizations.
///
/// A constant above a measured size, never the number of threads: the bits of
/// these two do not depend on it (those of faer's eigensolver do, which is
/// always given `Par::Seq`).
pub(crate) fn degree(work: usize) -> faer::Par {
    #[cfg(feature = "rayon")]
    if work > PARALLEL_WORK {
        return faer::Par::rayon(8);
    }
    let _ = work;
    faer::Par::Seq
}

/// aᵀb in eight interleaved partial sums.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (x, y) in a8.iter().zip(b8) {
        for k in 0..8 {
            lanes[k] += x[k] * y[k];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6]))
        + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]))
        + rest
}

/// Euclidean norm without overflow or underflow in between.
pub(crate) fn norm(v: &[f64]) -> f64 {
    let plain = dot(v, v);
    if plain.is_normal() && plain < f64::MAX {
        return plain.sqrt();
    }
    // A NaN anywhere makes `plain` one, which `max` would forget.
    if plain.is_nan() && v.iter().any(|x| x.is_nan()) {
        return f64::NAN;
    }
    let largest = v.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let scaled: f64 = v.iter().map(|x| (x / largest) * (x / largest)).sum();
    largest * scaled.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norm_survives_extreme_scales() {
        for bad in [
            [f64::NAN, 0.0, 1.0],
            [0.0, f64::NAN, 1.0],
            [0.0, 1.0, f64::NAN],
        ] {
            assert!(norm(&bad).is_nan());
        }
        assert!((norm(&[3e200, 4e200]) / 5e200 - 1.0).abs() < 1e-15);
        assert!((norm(&[3e-200, 4e-200]) / 5e-200 - 1.0).abs() < 1e-15);
        assert_eq!(norm(&[]), 0.0);
        assert!(norm(&[1.0, f64::NAN]).is_nan());
        assert!(norm(&[f64::NAN, 1.0]).is_nan());
        assert_eq!(norm(&[1.0, f64::NEG_INFINITY]), f64::INFINITY);
    }

    #[test]
    fn dot_uses_every_entry() {
        for n in 0..40 {
            let a: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let expected = (0..n).map(|i| (i * i) as f64).sum::<f64>();
            assert_eq!(dot(&a, &a), expected);
        }
    }

    #[test]
    fn callers_get_their_results_and_their_panics() {
        let sum = || {
            inside(usize::MAX, || {
                let mut out = vec![0u64; 1000];
                chunks_mut(&mut out, 10, usize::MAX, |first, chunk| {
                    chunk.fill(first as u64);
                });
                // A caller within.
                inside(usize::MAX, || out.iter().sum::<u64>())
            })
        };
        let panics = || std::panic::catch_unwind(|| inside(usize::MAX, || panic!("as asked")));
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..4)
                .map(|k| {
                    scope.spawn(move || {
                        (0..20).all(|_| {
                            let as_asked = k != 2 || panics().is_err();
                            as_asked && sum() == 495_000
                        })
                    })
                })
                .collect();
            assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
        });
    }

    #[test]
    fn chunks_are_the_same_in_serial_and_parallel() {
        let fill = |work| {
            let mut out = vec![0usize; 1000];
            chunks_mut(&mut out, 64, work, |first, chunk| {
                for (k, v) in chunk.iter_mut().enumerate() {
                    *v = first + k;
                }
            });
            out
        };
        assert_eq!(fill(0), fill(usize::MAX));
        assert_eq!(fill(0), (0..1000).collect::<Vec<_>>());
    }
}
