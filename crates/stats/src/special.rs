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

/// Purchases that one who is active now is expected to make before stopping: of a rate that is Gamma(r, 1), a probability p of
/// stopping after each that is Beta(a, b), and a horizon of `t`: the mean of (1 − (1 + pt)^−r) / p. NaN where r, a + b or t is
/// not finite.
///
/// With u = a − 1, c = b + u and z = t/(1+t) it is c/u · \[1 − (1−z)^u ₂F₁(c−r, u; c; z)\], after Euler's transformation. Where
/// that takes too many terms or loses digits, the mean is taken by quadrature.
pub fn purchases_while_active(r: f64, a: f64, b: f64, t: f64) -> f64 {
    if t == 0.0 {
        return 0.0;
    }
    if !(r + a + b + t).is_finite() {
        return f64::NAN;
    }
    stopping_seldom(r, a, b, t)
        .or_else(|| by_hypergeometric(r, a, b, t))
        .unwrap_or_else(|| by_quadrature(r, a, b, t))
}

/// Where hardly anybody stops within the horizon: rt · Σ (r+1)_n (a)_n / ((a+b)_n (n+1)!) (−t)^n, whose terms alternate around
/// the sum even where it only begins to converge.
fn stopping_seldom(r: f64, a: f64, b: f64, t: f64) -> Option<f64> {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 0..100 {
        let n = f64::from(n);
        let ratio = (r + 1.0 + n) / (n + 2.0) * (a + n) / (a + b + n) * t;
        if ratio.is_nan() || ratio > 0.5 {
            return None;
        }
        term *= -ratio;
        sum += term;
        if term.abs() <= 1e-17 * sum {
            return Some(r * t * sum);
        }
    }
    None
}

/// Terms of the series that may alternate in sign, each of which costs a binary digit or less.
const MOST_ALTERNATING: f64 = 4.0;
/// Of the logarithm of (1−z)^u: beyond, the series may overflow.
const MOST_FALL: f64 = 300.0;
/// Terms from where on the quadrature is the shorter way.
const MANY_TERMS: usize = 20_000;
/// Of what is subtracted: below, so many digits are lost that the quadrature is the better way.
const LOST: f64 = 1e-3;

fn by_hypergeometric(r: f64, a: f64, b: f64, t: f64) -> Option<f64> {
    let (u, z, log) = (a - 1.0, t / (1.0 + t), t.ln_1p());
    let c = b + u;
    // Where a and b are small, c + 1 has lost their digits.
    if a + b < 0.01 || 40.0 * t > MANY_TERMS as f64 {
        None
    } else if c - r < -MOST_ALTERNATING {
        by_number(r, b, u, z)
    } else if u * log > MOST_FALL {
        let left = ln_hyp2f1(r, b, c, z)? - r * log;
        let made = -left.exp_m1();
        (r * log < 1.0 / LOST && made > LOST).then_some(c / u * made)
    } else {
        by_series(c - r, u, c, z)
    }
}

/// ln ₂F₁(a, b; c; z) of a, b, c > 0, without overflow.
fn ln_hyp2f1(a: f64, b: f64, c: f64, z: f64) -> Option<f64> {
    let (mut sum, mut term, mut log) = (1.0, 1.0, 0.0);
    for n in 0..MANY_TERMS {
        let n = n as f64;
        let ratio = z * (a + n) * (b + n) / ((c + n) * (n + 1.0));
        term *= ratio;
        sum += term;
        if sum > LARGE {
            (sum, term, log) = (sum / LARGE, term / LARGE, log + LARGE.ln());
        }
        let falls = ratio.max(z);
        if ratio < 1.0 && term * falls / (1.0 - falls) <= 1e-17 * sum {
            return Some(log + sum.ln());
        }
    }
    None
}

/// Sums are brought down before they overflow.
const LARGE: f64 = 1e250;

/// There is no pole at u = 0: the two parts that vanish there are divided by u before they are subtracted.
fn by_series(c1: f64, u: f64, c: f64, z: f64) -> Option<f64> {
    let log = (-z).ln_1p();
    let power = if (u * log).abs() < 1e-300 {
        -log
    } else {
        -(u * log).exp_m1() / u
    };
    // c·(₂F₁(c1, u; c; z) − 1) / u = c1·z·₃F₂(c1+1, u+1, 1; c+1, 2; z)
    let (whole, lost) = (c * power, (u * log).exp() * shifted_series(c1, u, c, z)?);
    let made = whole - lost;
    (made > LOST * whole.abs().max(lost.abs())).then_some(made)
}

/// c·Σ (c1)_n (u+1)_(n−1) / ((c)_n n!) zⁿ over n ≥ 1.
fn shifted_series(c1: f64, u: f64, c: f64, z: f64) -> Option<f64> {
    let mut term = c1 * z;
    let mut sum = term;
    for n in 1..MANY_TERMS {
        let n = n as f64;
        let ratio = z * (c1 + n) * (u + n) / ((c + n) * (n + 1.0));
        term *= ratio;
        sum += term;
        let falls = ratio.abs().max(z);
        let is_small = ratio.abs() < 1.0 && term.abs() * falls / (1.0 - falls) <= 1e-17 * sum.abs();
        if is_small || term == 0.0 {
            return Some(sum);
        }
    }
    None
}

/// By how many purchases would be made without ever stopping, which is negative binomial.
fn by_number(r: f64, b: f64, u: f64, z: f64) -> Option<f64> {
    let c = b + u;
    // Of n purchases that would be made, how many are; and how probable n is, beside the others.
    let (mut made, mut weight) = (0.0, 1.0);
    let (mut sum, mut total) = (0.0, 1.0);
    for n in 0..MANY_TERMS {
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
            return Some(sum / total);
        }
    }
    None
}

/// With p = 1/(1 + e^−y): rt times the mean of L(pt)·S(r·ln(1+pt)), where L(q) = ln(1+q)/q and S(m) = (1 − e^−m)/m. All is
/// positive, and its logarithm concave in y.
fn by_quadrature(r: f64, a: f64, b: f64, t: f64) -> f64 {
    let weight = |y: f64| -a * softplus(-y) - b * softplus(y);
    let made = |y: f64| {
        let q = t * (-softplus(-y)).exp();
        let of_one = if q < 1e-300 { 1.0 } else { q.ln_1p() / q };
        let m = r * q.ln_1p();
        let of_all = if m < 1e-300 { 1.0 } else { -(-m).exp_m1() / m };
        weight(y) + of_one.ln() + of_all.ln()
    };
    // Beyond, p and 1 − p are nothing beside all else.
    let (of_r, of_ab) = ((1.0 + r).ln(), (1.0 + a + b).ln());
    let least = -(of_ab.max(t.ln() + of_r) + NOTHING);
    let most = of_ab.max(of_r) + NOTHING;
    let ln_mean =
        ln_integral(made, [least, most], [a, b]) - ln_integral(weight, [least, most], [a, b]);
    (r.ln() + t.ln() + ln_mean).exp()
}

/// What lies e^−this below is nothing.
const NOTHING: f64 = 45.0;

/// ln(1 + e^y).
fn softplus(y: f64) -> f64 {
    y.max(0.0) + (-y.abs()).exp().ln_1p()
}

/// ln ∫ e^f over all numbers, of a concave f that falls by `slopes` a unit left and right of `ends`.
fn ln_integral(f: impl Fn(f64) -> f64, [least, most]: [f64; 2], slopes: [f64; 2]) -> f64 {
    let peak = bisect(least, most, |y| f(y + 1e-3) > f(y - 1e-3));
    let top = f(peak);
    let falls = |end: f64| {
        if f(end) > top - NOTHING {
            return end;
        }
        let (mut inside, mut outside) = (peak, end);
        for _ in 0..40 {
            let middle = 0.5 * (inside + outside);
            match f(middle) > top - NOTHING {
                true => inside = middle,
                false => outside = middle,
            }
        }
        outside
    };
    let (left, right) = (falls(least), falls(most));
    let n_panels = ((right - left) / 1.5).ceil().max(32.0);
    let half = 0.5 * (right - left) / n_panels;
    let mut sum = 0.0;
    for panel in 0..n_panels as u32 {
        let middle = left + half * f64::from(2 * panel + 1);
        for (node, weight) in GAUSS {
            let [low, high] = [-node, node].map(|node| (f(middle + half * node) - top).exp());
            sum += weight * half * (low + high);
        }
    }
    for (end, slope) in [left, right].into_iter().zip(slopes) {
        if end == least || end == most {
            sum += (f(end) - top).exp() / slope;
        }
    }
    top + sum.ln()
}

/// The end of what holds, which begins at `low` and ends once before `high`.
fn bisect(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        match holds(middle) {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

/// Nodes and weights of the rule of Gauss and Legendre with 16 points; those of the other half are their mirror.
pub(crate) const GAUSS: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_64),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_64),
    (0.458_016_777_657_227_37, 0.169_156_519_395_002_65),
    (0.617_876_244_402_643_8, 0.149_595_988_816_576_7),
    (0.755_404_408_355_003, 0.124_628_971_255_534_07),
    (0.865_631_202_387_831_8, 0.095_158_511_682_492_6),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_456),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_176),
];

/// e^z E_s(z), E_s being the generalised exponential integral: ∫₀^∞ e^(−zu) (1+u)^−s du for s, z > 0, which is z^(s−1) U(s, s, z)
/// of Tricomi's function.
///
/// With u = e^y the integrand is smooth and falls at least exponentially on both sides, where the trapezoidal rule converges
/// faster than any power of the step. Never more than some thousand steps.
pub fn scaled_exponential_integral(s: f64, z: f64) -> f64 {
    const STEP: f64 = 0.2;
    let (ln_z, scale) = (z.ln(), (1.0 + s + z).ln());
    let log = |y: f64| scale + y - (y + ln_z).exp() - s * softplus(y);
    let left = -scale - NOTHING;
    // Right of it one factor or the other has vanished.
    let of_s = match s > 1.5 {
        true => (NOTHING / (s - 1.0)).exp_m1().ln() + 1.0,
        false => f64::INFINITY,
    };
    let right = (750_f64.ln() - ln_z).min(of_s);
    let steps = ((right - left) / STEP).ceil() as usize;
    let sum: f64 = (0..=steps)
        .map(|n| log(right - n as f64 * STEP).exp())
        .sum();
    sum * STEP * (-scale).exp()
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

    fn of_integral(s: f64, z: f64, expected: f64) {
        let got = scaled_exponential_integral(s, z);
        assert!(
            (got / expected - 1.0).abs() < 1e-12,
            "{s} {z}: {got}, not {expected}"
        );
    }

    /// To 40 digits with mpmath.
    #[test]
    fn exponential_integrals() {
        of_integral(0.4081095, 0.24, 2.4922999245444113);
        of_integral(0.606, 1e-3, 31.7494240128141);
        of_integral(1.0, 1.0, 0.5963473623231941);
        of_integral(1.0, 1e-12, 27.05380545105507);
        of_integral(0.999999, 1e-7, 15.541003222737286);
        of_integral(2.5, 0.01, 0.6554519048350899);
        of_integral(1e-3, 0.24, 4.1609710177673795);
        of_integral(1e-5, 0.24, 4.166609660363647);
        of_integral(1e-7, 5.4e3, 0.00018518518518175647);
        of_integral(30.0, 1e-4, 0.03448263546843641);
        of_integral(200.0, 35.0, 0.0042707662250241005);
        of_integral(1e4, 2.5, 9.998499975053752e-05);
        of_integral(0.4, 1e7, 9.999999600000056e-08);
    }

    #[test]
    fn exponential_integrals_at_the_ends() {
        // (1+u)^−s is 1, or e^(−su).
        of_integral(1e-300, 0.24, 1.0 / 0.24);
        of_integral(1e13, 2.7e11, 1.0 / 1.027e13);
        of_integral(1e300, 1.0, 1e-300);
        of_integral(0.5, 1e300, 1e-300);
        // z^(s−1) Γ(1−s), or 1/(s−1).
        of_integral(0.5, 1e-300, 1e150 * std::f64::consts::PI.sqrt());
        of_integral(200.0, 1e-300, 1.0 / 199.0);
    }

    fn of_active(r: f64, a: f64, b: f64, t: f64, expected: f64) {
        let got = purchases_while_active(r, a, b, t);
        assert!(
            (got / expected - 1.0).abs() < 1e-11,
            "{r} {a} {b} {t}: {got}, not {expected}"
        );
    }

    /// To 40 digits with mpmath.
    #[test]
    fn purchases_while_active_of_all_sizes() {
        of_active(2.243, 0.793, 4.426, 0.901109057301294, 1.687200454002228);
        of_active(2.243, 0.793, 1e6, 0.9, 2.018697663837237);
        of_active(2.243, 0.793, 1e11, 0.9, 2.018699999976638);
        of_active(0.243, 0.793, 2.426, 1e6, 76.40938282153571);
        of_active(0.243, 0.793, 2.426, 1e100, 2.493644007454654e+21);
        of_active(1e-12, 0.793, 2.426, 9.0, 5.4741407202822965e-12);
        of_active(0.243, 1e-3, 1e-3, 9.0, 1.3061249460360325);
        of_active(0.243, 50.0, 1e4, 5e3, 111.35424216686782);
        of_active(300.0, 0.8, 2.4, 0.5, 15.621299254654264);
        of_active(5e4, 0.8, 2.4, 300.0, 254.78666816201925);
        of_active(2.243, 1e5, 1e5, 0.9, 1.1308774594444313);
        of_active(2.243, 900.0, 4.4, 0.9, 0.7654922315106315);
    }

    #[test]
    fn what_is_not_finite_is_no_number() {
        for [r, a, b, t] in [
            [f64::INFINITY, 0.8, 2.4, 1.0],
            [0.2, 1e308, 1e308, 1.0],
            [0.2, 0.8, 2.4, f64::INFINITY],
        ] {
            assert!(purchases_while_active(r, a, b, t).is_nan());
        }
    }

    #[test]
    fn who_hardly_ever_stops_buys_at_their_rate() {
        for b in [1e18, 1e50, 1e300] {
            of_active(2.243, 0.793, b, 0.9, 2.243 * 0.9);
        }
        of_active(2.243, 1e-300, 2.0, 0.9, 2.243 * 0.9);
        of_active(2.243, 1e-300, 2.0, 1e6, 2.243e6);
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
            let numbers = by_number(r, b, u, z).expect("few terms");
            let close =
                |got: f64| assert!((got - numbers).abs() < 1e-10 * numbers, "{got} {numbers}");
            close(by_series(b + u - r, u, b + u, z).expect("few terms"));
            close(by_quadrature(r, u + 1.0, b, z / (1.0 - z)));
            if u > 0.1 {
                let c = b + u;
                let ln = ln_hyp2f1(r, b, c, z).expect("few terms");
                close(c / u * -(r * (-z).ln_1p() + ln).exp_m1());
            }
        }
    }
}
