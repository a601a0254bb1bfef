//! Special functions: those that statrs has, and the two that it lacks.

use crate::dual::Real;

pub fn ln_gamma(x: f64) -> f64 {
    statrs::function::gamma::ln_gamma(x)
}

pub fn digamma(x: f64) -> f64 {
    statrs::function::gamma::digamma(x)
}

/// Where a series that does not converge is given up. The worst of the models' own needs 11,000 terms.
const MOST_TERMS: usize = 1_000_000;

/// Gauss' hypergeometric function ₂F₁(a, b; c; z) for 0 ≤ z < 1, as its series.
///
/// The models call it in forms (by Euler's transformation) in which the terms are positive or fall quickly, so that nothing
/// cancels. NaN outside of the range.
pub fn hyp2f1<R: Real>(a: R, b: R, c: R, z: R) -> R {
    let x = z.value();
    if !(0.0..1.0).contains(&x) {
        return R::constant(f64::NAN);
    }
    let (mut sum, mut term) = (R::constant(1.0), R::constant(1.0));
    for n in 0..MOST_TERMS {
        let n = n as f64;
        term = term * (a + n) * (b + n) * z / ((c + n) * (n + 1.0));
        sum = sum + term;
        // Later terms shrink by the ratio, which tends to z from above or below.
        let ratio = (x * (a.value() + n) * (b.value() + n) / ((c.value() + n) * (n + 1.0))).abs();
        let rest = term.value().abs() * ratio.max(x) / (1.0 - ratio.max(x));
        if ratio < 1.0 && rest.abs() <= 1e-16 * sum.value().abs() {
            return sum;
        }
    }
    sum
}

/// Purchases that one who is active now is expected to make before stopping: of a rate that is Gamma(r, 1), a probability of
/// stopping after each that is Beta(u+1, b), and a horizon of z/(1−z).
///
/// With c = b + u it is c/u · \[1 − (1−z)^u ₂F₁(c−r, u; c; z)\], after Euler's transformation, which loses digits where r is
/// large beside c.
pub fn purchases_while_active(r: f64, b: f64, u: f64, z: f64) -> f64 {
    let (c, log) = (b + u, (-z).ln_1p());
    if c - r < -MOST_ALTERNATING {
        by_number(r, b, u, z)
    } else if -u * log > MOST_FALL {
        c / u * -(r * log + ln_hyp2f1(r, b, c, z)).exp_m1()
    } else {
        by_series(c - r, u, c, z)
    }
}

/// Terms of the series that may alternate in sign, each of which costs a binary digit or less.
const MOST_ALTERNATING: f64 = 4.0;
/// Of the logarithm of (1−z)^u: beyond, the series may overflow.
const MOST_FALL: f64 = 300.0;

/// ln ₂F₁(a, b; c; z) of a, b, c > 0, without overflow.
fn ln_hyp2f1(a: f64, b: f64, c: f64, z: f64) -> f64 {
    let (mut sum, mut term, mut log) = (1.0, 1.0, 0.0);
    for n in 0..MOST_TERMS {
        let n = n as f64;
        let ratio = z * (a + n) * (b + n) / ((c + n) * (n + 1.0));
        term *= ratio;
        sum += term;
        if sum > LARGE {
            (sum, term, log) = (sum / LARGE, term / LARGE, log + LARGE.ln());
        }
        let falls = ratio.max(z);
        if ratio < 1.0 && term * falls / (1.0 - falls) <= 1e-17 * sum {
            break;
        }
    }
    log + sum.ln()
}

/// Sums are brought down before they overflow.
const LARGE: f64 = 1e250;

/// There is no pole at u = 0: the two parts that vanish there are divided by u before they are subtracted.
fn by_series(c1: f64, u: f64, c: f64, z: f64) -> f64 {
    let log = (-z).ln_1p();
    let power = if (u * log).abs() < 1e-300 {
        -log
    } else {
        -(u * log).exp_m1() / u
    };
    // c·(₂F₁(c1, u; c; z) − 1) / u = c1·z·₃F₂(c1+1, u+1, 1; c+1, 2; z)
    c * power - (u * log).exp() * shifted_series(c1, u, c, z)
}

/// c·Σ (c1)_n (u+1)_(n−1) / ((c)_n n!) zⁿ over n ≥ 1.
fn shifted_series(c1: f64, u: f64, c: f64, z: f64) -> f64 {
    let mut term = c1 * z;
    let mut sum = term;
    for n in 1..MOST_TERMS {
        let n = n as f64;
        let ratio = z * (c1 + n) * (u + n) / ((c + n) * (n + 1.0));
        term *= ratio;
        sum += term;
        let falls = ratio.abs().max(z);
        if ratio.abs() < 1.0 && term.abs() * falls / (1.0 - falls) <= 1e-17 * sum.abs() {
            break;
        }
        if term == 0.0 {
            break;
        }
    }
    sum
}

/// By how many purchases would be made without ever stopping, which is negative binomial.
fn by_number(r: f64, b: f64, u: f64, z: f64) -> f64 {
    let c = b + u;
    // Of n purchases that would be made, how many are; and how probable n is, beside the others.
    let (mut made, mut weight) = (0.0, 1.0);
    let (mut sum, mut total) = (0.0, 1.0);
    for n in 0..MOST_TERMS {
        let n = n as f64;
        made = if n == 0.0 {
            1.0
        } else {
            made * (b + n) / (c + n) + c / (c + n)
        };
        let ratio = z * (r + n) / (n + 1.0);
        weight *= ratio;
        sum += weight * made;
        total += weight;
        if total > LARGE {
            [weight, sum, total] = [weight, sum, total].map(|value| value / LARGE);
        }
        let rest = weight * (made + 1.0 / (1.0 - ratio)) / (1.0 - ratio);
        if ratio < 1.0 && rest <= 1e-16 * sum {
            break;
        }
    }
    sum / total
}

/// The logarithm of Tricomi's function U(s, s, z) = e^z Γ(1 − s, z) for s, z > 0: ∫₀^∞ e^(−zt) t^(s−1) / (1 + t) dt / Γ(s).
///
/// With t = e^y the integrand is smooth and falls exponentially to the left and doubly exponentially to the right, where
/// the trapezoidal rule converges faster than any power of the step.
pub fn ln_tricomi_u(s: f64, z: f64) -> f64 {
    // The peak is as narrow as 1/√s.
    let step = (0.7 / s.sqrt()).min(0.125);
    let log = |y: f64| s * y - z * y.exp() - y.exp().ln_1p();
    // Right of it the exponential is below 1e-300.
    let right = ((700.0 + 10.0 * s) / z).ln().max(1.0);
    // Left of it what is missing is below 1e-18 of the whole.
    let left = -(42.0 / s).max(1.0) + (1.0 / z).ln().min(0.0);
    let steps = ((right - left) / step).ceil() as usize;
    let logs = || (0..=steps).map(|n| log(right - n as f64 * step));
    let peak = logs().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs().map(|log| (log - peak).exp()).sum();
    peak + (sum * step).ln() - ln_gamma(s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: f64, b: f64, c: f64, z: f64, expected: f64) {
        let got: f64 = hyp2f1(a, b, c, z);
        assert!(
            ((got - expected) / expected).abs() < 1e-12,
            "2F1({a}, {b}; {c}; {z}) = {got}, not {expected}"
        );
    }

    /// To 40 digits with mpmath.
    #[test]
    fn hypergeometric_values() {
        check(
            0.243,
            2.426,
            2.219,
            0.898_327_728_382_549_4,
            1.937_370_302_592_653_6,
        );
        check(
            2.243,
            4.426,
            4.219,
            0.474_025_816_175_219_04,
            4.575_315_897_643_689,
        );
        check(
            26.243,
            28.426,
            28.219,
            0.594_870_386_894_547_7,
            23_729_177_986.172_024,
        );
        check(1.159, 1.606, 2.159, 0.0935, 1.087_949_223_552_975_7);
        check(201.159, 1.606, 202.159, 0.2, 1.428_159_941_826_848_5);
        check(5.5, 1.6, 6.5, 0.9999, 2_253.859_828_270_181_4);
    }

    #[test]
    fn tricomi_of_one_is_an_exponential_integral() {
        // U(1, 1, z) = e^z E1(z); E1(1) = 0.219383934395520273677…
        let expected = 1.0_f64.exp() * 0.219_383_934_395_520_28;
        assert!((ln_tricomi_u(1.0, 1.0) - expected.ln()).abs() < 1e-13);
        // For large z, z^(-s).
        assert!((ln_tricomi_u(0.4, 1e7) + 0.4 * 1e7_f64.ln()).abs() < 1e-6);
        // For small z and s above 1, z^(1−s)/(s−1).
        let expected = 199.0 * 1e8_f64.ln() - 199.0_f64.ln();
        assert!((ln_tricomi_u(200.0, 1e-8) - expected).abs() < 1e-6);
    }

    #[test]
    fn all_ways_to_the_purchases_while_active_agree() {
        for (r, b, u, z) in [
            (0.243, 2.426, -0.207, 0.9),
            (6.0, 2.0, 0.5, 0.3),
            (30.0, 27.0, 2.0, 0.6),
            (3.0, 0.2, -0.2, 0.5),
            (5.0, 4.0, 1e-12, 0.99),
            (3.0, 4.0, 7.0, 0.9),
        ] {
            let series = by_series(b + u - r, u, b + u, z);
            let numbers = by_number(r, b, u, z);
            let close =
                |got: f64| assert!((got - numbers).abs() < 1e-10 * numbers, "{got} {numbers}");
            close(series);
            if u > 0.1 {
                let c = b + u;
                close(c / u * -(r * (-z).ln_1p() + ln_hyp2f1(r, b, c, z)).exp_m1());
            }
        }
    }
}
