//! A number with its derivatives along four directions.

use num_dual::{
    DualNum, DualNumFloat, DualStruct, chain_rule, first, forward_binop, impl_add_sub_rem,
    impl_assign_ops, impl_comparisons, impl_derivatives, impl_dual, impl_dual_struct,
    impl_first_derivatives, impl_float_const, impl_from_f, impl_from_primitive, impl_inv,
    impl_iterator, impl_neg, impl_num, impl_scalar_op, impl_signed, impl_zero_one, second, third,
    zeroth,
};
use num_traits::{FloatConst, FromPrimitive, Inv, Num, One, Signed, Zero};
use std::fmt;
use std::iter::{Product, Sum};
use std::ops::{
    Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign,
};

/// Directions that one evaluation of a function carries along.
pub const LANES: usize = 4;

/// re + d₀ε₀ + d₁ε₁ + d₂ε₂ + d₃ε₃ with εᵢεⱼ = 0: four of num-dual's `Dual` that share
/// one real part.
#[derive(Debug, Clone, Copy)]
pub struct Dual4<T> {
    pub re: T,
    pub d0: T,
    pub d1: T,
    pub d2: T,
    pub d3: T,
}

impl<T> Dual4<T> {
    fn new(re: T, d0: T, d1: T, d2: T, d3: T) -> Self {
        Dual4 { re, d0, d1, d2, d3 }
    }

    /// The derivatives along the four directions.
    pub fn derivatives(self) -> [T; LANES] {
        [self.d0, self.d1, self.d2, self.d3]
    }
}

impl<T: Zero> Dual4<T> {
    /// A constant.
    pub fn from_re(re: T) -> Self {
        Dual4::new(re, T::zero(), T::zero(), T::zero(), T::zero())
    }
}

impl<T: Zero + One> Dual4<T> {
    /// A variable that moves along direction `lane` with speed 1.
    pub fn variable(re: T, lane: usize) -> Self {
        let speed = |direction| {
            if direction == lane {
                T::one()
            } else {
                T::zero()
            }
        };
        Dual4::new(re, speed(0), speed(1), speed(2), speed(3))
    }
}

impl<T: DualNum> Dual4<T> {
    /// f(self) from f and f′ at the real part.
    #[inline]
    fn chain_rule(&self, f0: T, f1: T) -> Self {
        Dual4::new(
            f0,
            self.d0.clone() * &f1,
            self.d1.clone() * &f1,
            self.d2.clone() * &f1,
            self.d3.clone() * &f1,
        )
    }

    /// The product rule, (ab)′ = a′b + b′a.
    #[inline]
    fn times(&self, other: &Self) -> Self {
        let rule = |a: &T, b: &T| a.clone() * &other.re + b.clone() * &self.re;
        Dual4::new(
            self.re.clone() * &other.re,
            rule(&self.d0, &other.d0),
            rule(&self.d1, &other.d1),
            rule(&self.d2, &other.d2),
            rule(&self.d3, &other.d3),
        )
    }

    /// The quotient rule, (a/b)′ = (a′ − b′(a/b))/b.
    #[inline]
    fn over(&self, other: &Self) -> Self {
        let inverse = other.re.recip();
        let quotient = self.re.clone() * &inverse;
        let rule = |a: &T, b: &T| (a.clone() - b.clone() * &quotient) * &inverse;
        let (d0, d1) = (rule(&self.d0, &other.d0), rule(&self.d1, &other.d1));
        let (d2, d3) = (rule(&self.d2, &other.d2), rule(&self.d3, &other.d3));
        Dual4::new(quotient, d0, d1, d2, d3)
    }
}

impl<T: DualNum> Mul<&Dual4<T>> for &Dual4<T> {
    type Output = Dual4<T>;
    #[inline]
    fn mul(self, other: &Dual4<T>) -> Dual4<T> {
        self.times(other)
    }
}

impl<T: DualNum> Div<&Dual4<T>> for &Dual4<T> {
    type Output = Dual4<T>;
    #[inline]
    fn div(self, other: &Dual4<T>) -> Dual4<T> {
        self.over(other)
    }
}

impl<T: DualNum> fmt::Display for Dual4<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Dual4 { re, d0, d1, d2, d3 } = self;
        write!(f, "{re} + [{d0}, {d1}, {d2}, {d3}]ε")
    }
}

impl_first_derivatives!(Dual4, [d0, d1, d2, d3]);
impl_dual!(Dual4, [d0, d1, d2, d3]);
