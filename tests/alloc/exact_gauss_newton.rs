//! Exact Gauss-Newton allocates nothing per step when the user's model allocates nothing.

mod gauss_newton {
    use crate::counting::allocations;
    use argmin::core::Error;
    use faer::MatMut;
    use raphson::{
        Batch, ConvexLoss, ExactGaussNewton, GramSolve, OutputLoss, OutputModel, Sampler,
    };

    const N: usize = 9;
    const C: usize = 3;
    const TERMS: usize = 40;

    /// Outputs linear in the parameters, by formula.
    struct Model {
        classes: Vec<u32>,
        general: bool,
        l2: f64,
    }

    fn entry(i: usize, k: usize, j: usize) -> f64 {
        ((i * (2 * j + 3) + 7 * j + 5 * k) as f64).sin()
    }

    fn rows(batch: Batch<'_>) -> impl Iterator<Item = (usize, usize)> + '_ {
        let count = match batch {
            Batch::All => TERMS,
            Batch::Terms(terms) => terms.len(),
        };
        (0..count * C).map(move |at| match batch {
            Batch::All => (at / C, at % C),
            Batch::Terms(terms) => (terms[at / C], at % C),
        })
    }

    /// ½‖z‖² + z₀.
    #[derive(Debug)]
    struct Shifted;
    impl ConvexLoss for Shifted {
        fn value(&self, _: usize, z: &[f64]) -> f64 {
            0.5 * z.iter().map(|z| z * z).sum::<f64>() + z[0]
        }
        fn slope(&self, _: usize, z: &[f64], r: &mut [f64]) {
            r.copy_from_slice(z);
            r[0] += 1.0;
        }
        fn curvature(&self, _: usize, _: &[f64], q: &mut [f64]) {
            q.fill(0.0);
            q.iter_mut().step_by(C + 1).for_each(|q| *q = 1.0);
        }
    }

    impl OutputModel for Model {
        type Param = [f64; N];
        fn terms(&self) -> usize {
            TERMS
        }
        fn outputs_len(&self) -> usize {
            C
        }
        fn loss(&self) -> OutputLoss<'_> {
            match self.general {
                true => OutputLoss::General(&Shifted),
                false => OutputLoss::Softmax {
                    classes: &self.classes,
                },
            }
        }
        fn l2(&self) -> f64 {
            self.l2
        }
        fn outputs(&self, x: &[f64; N], b: Batch<'_>, out: &mut [f64]) -> Result<(), Error> {
            self.jvp(x, b, x, out)
        }
        fn jacobian(
            &self,
            _: &[f64; N],
            b: Batch<'_>,
            mut out: MatMut<'_, f64>,
        ) -> Result<(), Error> {
            for (at, (i, k)) in rows(b).enumerate() {
                for j in 0..N {
                    out[(at, j)] = entry(i, k, j);
                }
            }
            Ok(())
        }
        fn jvp(&self, _: &[f64; N], b: Batch<'_>, v: &[f64], out: &mut [f64]) -> Result<(), Error> {
            for (out, (i, k)) in out.iter_mut().zip(rows(b)) {
                *out = (0..N).map(|j| entry(i, k, j) * v[j]).sum();
            }
            Ok(())
        }
        fn vjp(&self, _: &[f64; N], b: Batch<'_>, u: &[f64], out: &mut [f64]) -> Result<(), Error> {
            for (j, out) in out.iter_mut().enumerate() {
                *out = rows(b).zip(u).map(|((i, k), u)| entry(i, k, j) * u).sum();
            }
            Ok(())
        }
    }

    /// Allocations of runs of 2, 3, 20 and 90 steps are all the same number.
    #[test]
    fn nothing_is_allocated_per_step() {
        for general in [false, true] {
            for way in [GramSolve::Dual, GramSolve::Primal, GramSolve::Cg] {
                for (l2, momentum, searched) in [(0.0, 0.0, false), (0.1, 0.9, true)] {
                    let model = Model {
                        classes: (0..TERMS as u32).map(|i| i % C as u32).collect(),
                        general,
                        l2,
                    };
                    let run = |length: u64| {
                        let mut solver = ExactGaussNewton::new()
                            .solve_by(way)
                            .momentum(momentum)
                            .adaptive_lambda(searched)
                            .sampler(Sampler::EpochShuffle {
                                b: 8,
                                drop_last: false,
                            })
                            .gradient_tol(0.0)
                            .plateau(0, 0.0)
                            .evaluate_every(0)
                            .max_iters(length);
                        if searched {
                            solver = solver.line_search();
                        }
                        let run = solver.minimize(&model, [0.0; N]).unwrap();
                        assert_eq!(run.report.iterations, length);
                    };
                    run(2);
                    let counts = [2, 3, 20, 90].map(|length| allocations(|| run(length)).0);
                    assert!(counts[0] > 0, "the allocator does not count");
                    assert_eq!(counts, [counts[0]; 4], "{general} {way:?} {searched}");
                }
            }
        }
    }
}
