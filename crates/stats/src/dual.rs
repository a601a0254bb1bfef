//! Numbers that carry their derivatives, so that a likelihood is written once and its gradient is exact.
//!
//! Forward differentiation: a [`Dual`] is a value with its partial derivatives by `N` parameters. A model writes its
//! log-likelihood over any [`Real`]; with `f64` it is the likelihood, with `Dual` also the gradient.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::special;

pub trait Real:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
{
    fn constant(value: f64) -> Self;
    fn value(self) -> f64;
    /// `f(self)`, given `f` and its derivative at the value.
    fn chain(self, f: f64, derivative: f64) -> Self;

    fn exp(self) -> Self {
        let f = self.value().exp();
        self.chain(f, f)
    }

    fn ln(self) -> Self {
        self.chain(self.value().ln(), 1.0 / self.value())
    }

    fn ln_1p(self) -> Self {
        self.chain(self.value().ln_1p(), 1.0 / (1.0 + self.value()))
    }

    fn exp_m1(self) -> Self {
        self.chain(self.value().exp_m1(), self.value().exp())
    }

    fn ln_gamma(self) -> Self {
        let x = self.value();
        self.chain(special::ln_gamma(x), special::digamma(x))
    }
}

impl Real for f64 {
    fn constant(value: f64) -> Self {
        value
    }

    fn value(self) -> f64 {
        self
    }

    fn chain(self, f: f64, _derivative: f64) -> Self {
        f
    }

    fn exp(self) -> Self {
        f64::exp(self)
    }

    // Without the digamma that nobody asked for.
    fn ln_gamma(self) -> Self {
        special::ln_gamma(self)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual<const N: usize> {
    pub value: f64,
    pub by: [f64; N],
}

impl<const N: usize> Dual<N> {
    /// The `n`-th of the parameters.
    pub fn variable(value: f64, n: usize) -> Self {
        let mut by = [0.0; N];
        by[n] = 1.0;
        Self { value, by }
    }

    fn combine(self, other: Self, value: f64, of_self: f64, of_other: f64) -> Self {
        Self {
            value,
            by: std::array::from_fn(|n| of_self * self.by[n] + of_other * other.by[n]),
        }
    }
}

impl<const N: usize> Real for Dual<N> {
    fn constant(value: f64) -> Self {
        Self {
            value,
            by: [0.0; N],
        }
    }

    fn value(self) -> f64 {
        self.value
    }

    fn chain(self, f: f64, derivative: f64) -> Self {
        Self {
            value: f,
            by: self.by.map(|by| derivative * by),
        }
    }
}

impl<const N: usize> Add for Dual<N> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.combine(other, self.value + other.value, 1.0, 1.0)
    }
}

impl<const N: usize> Sub for Dual<N> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.combine(other, self.value - other.value, 1.0, -1.0)
    }
}

impl<const N: usize> Mul for Dual<N> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.combine(other, self.value * other.value, other.value, self.value)
    }
}

impl<const N: usize> Div for Dual<N> {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let quotient = self.value / other.value;
        self.combine(other, quotient, 1.0 / other.value, -quotient / other.value)
    }
}

impl<const N: usize> Neg for Dual<N> {
    type Output = Self;

    fn neg(self) -> Self {
        self.chain(-self.value, -1.0)
    }
}

impl<const N: usize> Add<f64> for Dual<N> {
    type Output = Self;

    fn add(self, other: f64) -> Self {
        self.chain(self.value + other, 1.0)
    }
}

impl<const N: usize> Sub<f64> for Dual<N> {
    type Output = Self;

    fn sub(self, other: f64) -> Self {
        self.chain(self.value - other, 1.0)
    }
}

impl<const N: usize> Mul<f64> for Dual<N> {
    type Output = Self;

    fn mul(self, other: f64) -> Self {
        self.chain(self.value * other, other)
    }
}

impl<const N: usize> Div<f64> for Dual<N> {
    type Output = Self;

    fn div(self, other: f64) -> Self {
        self.chain(self.value / other, 1.0 / other)
    }
}

/// ln(e^a + e^b) without overflow.
pub fn ln_sum_exp<R: Real>(a: R, b: R) -> R {
    let (high, low) = if a.value() >= b.value() {
        (a, b)
    } else {
        (b, a)
    };
    if low.value() == f64::NEG_INFINITY {
        return high;
    }
    high + (low - high).exp().ln_1p()
}

/// ln(e^a − e^b) for a > b, without overflow.
pub fn ln_diff_exp<R: Real>(a: R, b: R) -> R {
    if b.value() == f64::NEG_INFINITY {
        return a;
    }
    a + (-(b - a).exp_m1()).ln()
}

/// From here on the terms of Stirling's series below are exact to the last digit.
const LARGE: f64 = 16.0;

/// ln(Γ(r+x)/Γ(r)) for x ≥ 0: where r is large, without the difference of two large numbers.
pub fn ln_rising<R: Real>(r: R, x: R) -> R {
    let top = r + x;
    if r.value() < LARGE {
        return top.ln_gamma() - r.ln_gamma();
    }
    (r - 0.5) * (x / r).ln_1p() + x * top.ln() - x + stirling(top) - stirling(r)
}

/// lnΓ(z) − (z−½)·ln z + z − ½·ln 2π.
fn stirling<R: Real>(z: R) -> R {
    let inverse = R::constant(1.0) / z;
    let square = inverse * inverse;
    [
        1.0 / 1188.0,
        -1.0 / 1680.0,
        1.0 / 1260.0,
        -1.0 / 360.0,
        1.0 / 12.0,
    ]
    .into_iter()
    .fold(R::constant(0.0), |sum, term| sum * square + term)
        * inverse
}

/// ln B(a, b).
pub fn ln_beta<R: Real>(a: R, b: R) -> R {
    let (less, more) = match a.value() < b.value() {
        true => (a, b),
        false => (b, a),
    };
    less.ln_gamma() - ln_rising(more, less)
}

/// ln(B(a+x, b+y)/B(a, b)).
pub fn ln_beta_ratio<R: Real>(a: R, b: R, x: f64, y: f64) -> R {
    let [x, y] = [x, y].map(R::constant);
    ln_rising(a, x) + ln_rising(b, y) - ln_rising(a + b, x + y)
}

/// ln(B(a, b+y)/B(a, b)), also for a large y.
pub fn ln_beta_fall<R: Real>(a: R, b: R, y: R) -> R {
    match y.value() < a.value() {
        true => ln_rising(b, y) - ln_rising(a + b, y),
        false => ln_rising(b, a) - ln_rising(b + y, a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The derivative of `f` at `x` is that of a difference quotient.
    fn check(f: impl Fn(Dual<1>) -> Dual<1>, x: f64) {
        let exact = f(Dual::variable(x, 0)).by[0];
        let h = 1e-6 * x.abs().max(1.0);
        let at = |x: f64| f(Dual::constant(x)).value;
        let quotient = (at(x + h) - at(x - h)) / (2.0 * h);
        assert!(
            (exact - quotient).abs() <= 1e-6 * exact.abs().max(1.0),
            "{exact} {quotient}"
        );
    }

    #[test]
    fn derivatives_are_those_of_difference_quotients() {
        check(|x| x * x * 3.0 - x / 2.0 + 1.0, 1.7);
        check(|x| (x + 2.0) / (x * x), 0.8);
        check(|x| x.exp() * x.ln(), 1.3);
        check(|x| x.ln_gamma(), 0.24);
        check(|x| x.ln_gamma(), 40.5);
        check(|x| ln_rising(x, x + 1.5), 2.2);
        check(|x| ln_rising(x, x * x), 40.0);
        check(|x| ln_beta(x, x + 1.5), 2.2);
        check(|x| ln_beta_ratio(x, x + 1.5, 2.0, 3.0), 2.2);
        check(|x| ln_beta_fall(x, x + 1.5, x * 0.5), 2.2);
        check(|x| ln_beta_fall(x, x + 1.5, x * 2.5), 2.2);
        check(|x| ln_sum_exp(x, x * 2.0), 0.4);
        check(|x| ln_diff_exp(x * 2.0, x), 0.4);
    }

    #[test]
    fn rising_factorials_are_products() {
        let product = |r: f64, x: u32| (0..x).map(|n| (r + f64::from(n)).ln()).sum::<f64>();
        for r in [1e-9, 0.24, 5.0, 15.9, 16.1, 1e3, 1e9, 1e15] {
            for x in [0, 1, 2, 7, 500] {
                let (got, expected) = (ln_rising(r, f64::from(x)), product(r, x));
                let most = 1e-12 + 1e-14 * expected.abs();
                assert!((got - expected).abs() < most, "{r} {x}: {got} {expected}");
            }
        }
    }

    #[test]
    fn both_ways_to_the_ratio_of_betas_agree() {
        for (a, b, y) in [(0.7, 1.2, 3.0), (3.0, 0.1, 1.0), (1e3, 40.0, 7.0)] {
            let (got, expected) = (ln_beta_fall(a, b, y), ln_beta_ratio(a, b, 0.0, y));
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
        let got: f64 = ln_beta_fall(1.0, 1.0, 1e12);
        assert!((got + 1e12_f64.ln()).abs() < 1e-11, "{got}");
    }

    #[test]
    fn sums_of_exponentials_do_not_overflow() {
        assert_eq!(ln_sum_exp(1_000.0, 0.0), 1_000.0);
        assert_eq!(ln_sum_exp(-5.0, f64::NEG_INFINITY), -5.0);
        assert!((ln_sum_exp(900.0, 900.0) - 900.0 - 2.0_f64.ln()).abs() < 1e-12);
        assert!((ln_diff_exp(900.0, 899.0) - (900.0 + (-(-1.0_f64).exp()).ln_1p())).abs() < 1e-12);
    }
}
