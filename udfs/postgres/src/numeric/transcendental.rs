//! Roots, powers, exponentials and logarithms of `numeric`, with the digits that PostgreSQL gives them.
//!
//! Computed with 72 digits after the point, of which at most 38 are kept. Tens of microseconds a value: whoever wants
//! speed takes `double precision`.

use std::{cmp::Ordering, sync::LazyLock};

use arrow::datatypes::i256;
use datafusion_common::Result;

use super::decimal::{Decimal, MOST_SCALE, overflow, parse, power_of_ten};
use crate::refusal::refuse;

/// Digits that a result has at least; PostgreSQL's NUMERIC_MIN_SIG_DIGITS.
const SIGNIFICANT: i32 = 16;
const LOG10_OF_E: f64 = std::f64::consts::LOG10_E;

/// A number with the digits after the point that PostgreSQL shows of it.
pub(crate) type Shown = (Decimal, i32);

fn scale_of(wanted: i32, shown: &[i32]) -> i32 {
    let least = shown.iter().copied().max().unwrap_or(0).max(0);
    wanted.max(least).min(MOST_SCALE)
}

/// `sqrt` of a number that shows so many digits.
pub(crate) fn sqrt((number, shown): Shown) -> Result<Decimal> {
    if number.is_negative() {
        return Err(refuse(
            "2201F",
            "cannot take square root of a negative number",
        ));
    }
    square_root(number, sqrt_scale((number, shown)))
}

pub(crate) fn sqrt_scale((number, shown): Shown) -> i32 {
    let weight = number.magnitude().div_euclid(4);
    scale_of(SIGNIFICANT - (weight * 2 + 1), &[shown])
}

/// Rounded to so many digits; the number is not negative.
pub(crate) fn square_root(number: Decimal, scale: i32) -> Result<Decimal> {
    let number = number.trimmed();
    let shift = 2 * scale - number.scale;
    let shifted = power_of_ten(shift).and_then(|power| number.digits.checked_mul(power));
    let Some(square) = shifted else {
        // With fewer digits, then: the number is so large that they are before the point.
        return match scale {
            0 => Err(overflow()),
            _ => square_root(number, scale - 1)?.rounded(scale),
        };
    };
    let mut root = whole_root(square);
    let rest = square.wrapping_sub(root.wrapping_mul(root));
    if rest > root {
        root = root.wrapping_add(i256::ONE);
    }
    Ok(Decimal::new(root, scale))
}

/// By Newton's method, from above.
fn whole_root(square: i256) -> i256 {
    if square == i256::ZERO {
        return i256::ZERO;
    }
    let bits = 256 - square.leading_zeros();
    let one = i256::ONE;
    let mut root = i256::from_i128(1);
    for _ in 0..bits.div_ceil(2) {
        root = root.wrapping_add(root);
    }
    loop {
        let next = root.wrapping_add(square.wrapping_div(root));
        let next = next.wrapping_div(one.wrapping_add(one));
        if next >= root {
            return root;
        }
        root = next;
    }
}

/// `exp` of a number that shows so many digits.
pub(crate) fn exp((number, shown): Shown) -> Result<Decimal> {
    let weight = number.to_f64() * LOG10_OF_E;
    if weight > 38.0 {
        return Err(overflow());
    }
    let scale = exp_scale((number, shown));
    exponential(&Fixed::from(number.absolute()), number.is_negative(), scale)
}

pub(crate) fn exp_scale((number, shown): Shown) -> i32 {
    of_weight(number.to_f64() * LOG10_OF_E, &[shown])
}

/// For a result of about 10^weight.
fn of_weight(weight: f64, shown: &[i32]) -> i32 {
    scale_of(SIGNIFICANT - weight.clamp(-1000.0, 1000.0) as i32, shown)
}

fn exponential(power: &Fixed, is_negative: bool, scale: i32) -> Result<Decimal> {
    if is_negative && power.to_f64() * LOG10_OF_E > f64::from(scale) + 1.0 {
        return Decimal::ZERO.rounded(scale);
    }
    power.exp(is_negative).to_decimal(false, scale)
}

/// `ln` of a number that shows so many digits.
pub(crate) fn ln((number, shown): Shown) -> Result<Decimal> {
    positive(number)?;
    let (logarithm, is_negative) = natural(number);
    logarithm.to_decimal(is_negative, ln_scale((number, shown)))
}

pub(crate) fn ln_scale((number, shown): Shown) -> i32 {
    scale_of(SIGNIFICANT - logarithm_weight(number), &[shown])
}

/// `log(base, number)`.
pub(crate) fn log(base: Shown, number: Shown) -> Result<Decimal> {
    positive(base.0)?;
    positive(number.0)?;
    let scale = log_scale(base, number);
    let (divisor, divisor_negative) = natural(base.0);
    let (dividend, negative) = natural(number.0);
    if divisor.is_zero() {
        return Err(refuse("22012", "division by zero"));
    }
    let digits = MOST_SCALE.min(36);
    let dividend = dividend.to_decimal(negative, digits)?;
    let divisor = divisor.to_decimal(divisor_negative, digits)?;
    dividend.divide(divisor, scale)
}

pub(crate) fn log_scale(base: Shown, number: Shown) -> i32 {
    let weight = logarithm_weight(number.0) - logarithm_weight(base.0);
    scale_of(SIGNIFICANT - weight, &[base.1, number.1])
}

fn positive(number: Decimal) -> Result<()> {
    if number.is_zero() {
        Err(refuse("2201E", "cannot take logarithm of zero"))
    } else if number.is_negative() {
        Err(refuse(
            "2201E",
            "cannot take logarithm of a negative number",
        ))
    } else {
        Ok(())
    }
}

/// `power(base, exponent)`.
pub(crate) fn power((base, base_shown): Shown, (exponent, shown): Shown) -> Result<Decimal> {
    let whole = exponent.trimmed();
    if base.is_zero() && exponent.is_negative() {
        return Err(refuse(
            "2201F",
            "zero raised to a negative power is undefined",
        ));
    }
    if whole.scale <= 0
        && let Some(exponent) = whole.digits.to_i128().and_then(|n| i32::try_from(n).ok())
    {
        return whole_power(base, exponent, scale_of(SIGNIFICANT, &[base_shown]));
    }
    if base.is_zero() {
        return Ok(Decimal::ZERO);
    }
    if base.is_negative() {
        return Err(refuse(
            "2201F",
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    let (logarithm, is_negative) = natural(base);
    let product = logarithm.times(&Fixed::from(exponent.absolute()));
    let is_negative = is_negative != exponent.is_negative();
    let weight = product.to_f64() * LOG10_OF_E;
    let weight = if is_negative { -weight } else { weight };
    if weight > 38.0 {
        return Err(overflow());
    }
    let scale = of_weight(weight, &[base_shown, shown]);
    exponential(&product, is_negative, scale)
}

pub(crate) fn power_scale((base, base_shown): Shown, (exponent, shown): Shown) -> i32 {
    if exponent.trimmed().scale <= 0 || base.is_zero() {
        return scale_of(SIGNIFICANT, &[base_shown]);
    }
    let weight = exponent.to_f64() * base.to_f64().abs().ln() * LOG10_OF_E;
    of_weight(weight, &[base_shown, shown])
}

fn whole_power(base: Decimal, exponent: i32, scale: i32) -> Result<Decimal> {
    let weight = f64::from(exponent) * base.to_f64().abs().log10();
    if weight > 38.0 {
        return Err(overflow());
    }
    if weight + 1.0 < -f64::from(scale) {
        return Decimal::ZERO.rounded(scale);
    }
    let is_negative = base.is_negative() && exponent % 2 != 0;
    let mut factor = Fixed::from(base.absolute());
    if exponent < 0 {
        factor = factor.reciprocal();
    }
    let mut result = Fixed::one();
    let mut left = exponent.unsigned_abs();
    while left > 0 {
        if left % 2 == 1 {
            result = result.times(&factor);
        }
        left /= 2;
        if left > 0 {
            factor = factor.times(&factor);
        }
    }
    result.to_decimal(is_negative, scale)
}

/// PostgreSQL's estimate of the decimal weight of a logarithm.
fn logarithm_weight(number: Decimal) -> i32 {
    if number.is_zero() || number.is_negative() {
        return 0;
    }
    let one = Decimal::whole(1);
    let tenth = Decimal::new(i256::ONE, 1);
    let (Ok(low), Ok(high)) = (one.subtract(tenth), one.add(tenth)) else {
        return 0;
    };
    let is_near_one =
        number.compare(low) != Ordering::Less && number.compare(high) != Ordering::Greater;
    if is_near_one {
        return number.subtract(one).map_or(0, Decimal::magnitude);
    }
    let logarithm = number.to_f64().ln().abs();
    logarithm.log10() as i32
}

/// The natural logarithm of a positive number, and whether it is negative.
fn natural(number: Decimal) -> (Fixed, bool) {
    let exponent = number.magnitude();
    let mantissa = Decimal::new(number.digits, number.scale + exponent);
    let logarithm = Fixed::from(mantissa).ln_of_mantissa();
    let tens = LN_10.times_small(exponent.unsigned_abs());
    if exponent >= 0 {
        (logarithm.plus(&tens), false)
    } else if tens.compare(&logarithm) == Ordering::Less {
        (logarithm.minus(&tens), false)
    } else {
        (tens.minus(&logarithm), true)
    }
}

static LN_10: LazyLock<Fixed> =
    LazyLock::new(|| Fixed::from(Decimal::whole(10)).ln_from(std::f64::consts::LN_10));

const LIMB: u64 = 1_000_000_000;
const LIMB_DIGITS: usize = 9;
/// Limbs after the point.
const FRACTION: usize = 8;

/// A number that is not negative, with 72 digits after the point; the lowest limb first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fixed(Vec<u32>);

impl From<Decimal> for Fixed {
    fn from(number: Decimal) -> Self {
        let mut text = String::new();
        let scale = number.scale.clamp(0, (FRACTION * LIMB_DIGITS) as i32);
        // Digits beyond those that fit are far beyond what a result has.
        let number = number.truncated(scale).unwrap_or(Decimal::ZERO);
        number.absolute().write(scale, &mut text);
        Self::read(&text)
    }
}

impl Fixed {
    fn one() -> Self {
        Self::read("1")
    }

    /// Plain digits with a point, or without.
    fn read(text: &str) -> Self {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{fraction:0<width$}", width = FRACTION * LIMB_DIGITS);
        let limbs = digits.as_bytes().rchunks(LIMB_DIGITS).map(|chunk| {
            chunk
                .iter()
                .fold(0, |limb, digit| limb * 10 + u32::from(digit - b'0'))
        });
        Self(limbs.collect()).normal()
    }

    fn normal(mut self) -> Self {
        while self.0.len() > FRACTION + 1 && self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    fn is_zero(&self) -> bool {
        self.0.iter().all(|limb| *limb == 0)
    }

    fn digits(&self) -> (String, String) {
        let text = |limbs: &[u32]| {
            limbs.iter().rev().fold(String::new(), |mut text, limb| {
                text.push_str(&format!("{limb:09}"));
                text
            })
        };
        let fraction = FRACTION.min(self.0.len());
        (text(&self.0[fraction..]), text(&self.0[..fraction]))
    }

    fn to_decimal(&self, is_negative: bool, scale: i32) -> Result<Decimal> {
        let (whole, fraction) = self.digits();
        let kept = usize::try_from(scale).unwrap_or(0) + 2;
        let kept = kept.min(fraction.len());
        let number = parse(&format!("{whole}.{}", &fraction[..kept])).ok_or_else(overflow)?;
        let number = number.rounded(scale)?;
        Ok(if is_negative {
            number.negated()
        } else {
            number
        })
    }

    fn to_f64(&self) -> f64 {
        let (whole, fraction) = self.digits();
        format!("{whole}.{fraction}")
            .parse()
            .expect("digits and a point")
    }

    fn compare(&self, other: &Self) -> Ordering {
        let length = self.0.len().max(other.0.len());
        let limb = |number: &Self, at: usize| number.0.get(at).copied().unwrap_or(0);
        (0..length)
            .rev()
            .map(|at| limb(self, at).cmp(&limb(other, at)))
            .find(|order| *order != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    }

    fn plus(&self, other: &Self) -> Self {
        let length = self.0.len().max(other.0.len());
        let mut carry = 0;
        let mut limbs = Vec::with_capacity(length + 1);
        for at in 0..=length {
            let limb = |number: &Self| u64::from(number.0.get(at).copied().unwrap_or(0));
            let sum = limb(self) + limb(other) + carry;
            limbs.push((sum % LIMB) as u32);
            carry = sum / LIMB;
        }
        Self(limbs).normal()
    }

    /// The other is not greater.
    fn minus(&self, other: &Self) -> Self {
        let mut borrow = 0;
        let limbs = self.0.iter().enumerate().map(|(at, limb)| {
            let taken = u64::from(other.0.get(at).copied().unwrap_or(0)) + borrow;
            let have = u64::from(*limb);
            borrow = u64::from(have < taken);
            (have + borrow * LIMB - taken) as u32
        });
        Self(limbs.collect()).normal()
    }

    fn times(&self, other: &Self) -> Self {
        let mut limbs = vec![0u64; self.0.len() + other.0.len() + 1];
        for (at, left) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (by, right) in other.0.iter().enumerate() {
                let sum = limbs[at + by] + u64::from(*left) * u64::from(*right) + carry;
                limbs[at + by] = sum % LIMB;
                carry = sum / LIMB;
            }
            limbs[at + other.0.len()] += carry;
        }
        let limbs = limbs.into_iter().skip(FRACTION).map(|limb| limb as u32);
        Self(limbs.collect()).normal()
    }

    fn times_small(&self, factor: u32) -> Self {
        let mut carry = 0;
        let mut limbs = Vec::with_capacity(self.0.len() + 1);
        for limb in self.0.iter().chain(&[0]) {
            let product = u64::from(*limb) * u64::from(factor) + carry;
            limbs.push((product % LIMB) as u32);
            carry = product / LIMB;
        }
        Self(limbs).normal()
    }

    fn over_small(&self, divisor: u32) -> Self {
        let mut rest = 0;
        let mut limbs = self.0.clone();
        for limb in limbs.iter_mut().rev() {
            let number = rest * LIMB + u64::from(*limb);
            *limb = (number / u64::from(divisor)) as u32;
            rest = number % u64::from(divisor);
        }
        Self(limbs).normal()
    }

    /// 1 / x by Newton's method: each round doubles the digits.
    fn reciprocal(&self) -> Self {
        let start = 1.0 / self.to_f64();
        let two = Self::one().plus(&Self::one());
        let mut result = Self::read(&format!("{start:.72}"));
        for _ in 0..4 {
            let product = self.times(&result);
            result = match two.compare(&product) {
                Ordering::Less => return result,
                _ => result.times(&two.minus(&product)),
            };
        }
        result
    }

    /// e to this power, or to minus this power: the series of a small part of it, squared again and again.
    fn exp(&self, is_negative: bool) -> Self {
        const HALVINGS: u32 = 12;
        let one = Self::one();
        // A whole part of 38·ln 10 at most: 2^12 parts of it are below 1/40.
        let part = self.over_small(1 << HALVINGS);
        let mut sum = one.clone();
        let mut less = Self::read("0");
        let mut term = one;
        for n in 1..60 {
            term = term.times(&part).over_small(n);
            if term.is_zero() {
                break;
            }
            if is_negative && n % 2 == 1 {
                less = less.plus(&term);
            } else {
                sum = sum.plus(&term);
            }
        }
        let mut result = sum.minus(&less);
        for _ in 0..HALVINGS {
            result = result.times(&result);
        }
        result
    }

    /// Of a number from 1 to 10.
    fn ln_of_mantissa(&self) -> Self {
        self.ln_from(self.to_f64().ln())
    }

    /// By Newton's method on exp, from what a float says.
    fn ln_from(&self, start: f64) -> Self {
        let one = Self::one();
        let mut result = Self::read(&format!("{:.72}", start.max(0.0)));
        for _ in 0..3 {
            let ratio = self.times(&result.exp(true));
            result = match ratio.compare(&one) {
                Ordering::Less => {
                    let less = one.minus(&ratio);
                    match result.compare(&less) {
                        Ordering::Less => Self::read("0"),
                        _ => result.minus(&less),
                    }
                }
                _ => result.plus(&ratio.minus(&one)),
            };
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Shown {
        let number = parse(text).expect("a number");
        (number, number.scale)
    }

    fn check(found: Result<Decimal>, expected: &str) {
        let found = found.expect("it can be computed");
        let mut text = String::new();
        found.write(found.scale, &mut text);
        assert_eq!(text, expected);
    }

    /// As PostgreSQL 15 answers them.
    #[test]
    fn results_have_the_digits_that_postgres_gives_them() {
        check(sqrt(number("2")), "1.414213562373095");
        check(sqrt(number("10000.0")), "100.0000000000000");
        check(exp(number("1.0")), "2.7182818284590452");
        check(
            exp(number("-50.5")),
            "0.0000000000000000000001169845917706196",
        );
        check(ln(number("2.0")), "0.6931471805599453");
        check(ln(number("123456.789")), "11.723646487185881");
        check(log(number("2.0"), number("64.0")), "6.0000000000000000");
        check(power(number("2.0"), number("10")), "1024.0000000000000000");
        check(power(number("2.0"), number("0.5")), "1.4142135623730950");
        check(power(number("2.5"), number("-3")), "0.0640000000000000");
        check(sqrt(number("0.00002")), "0.0044721359549995794");
        check(ln(number("1.05")), "0.048790164169432003");
        check(
            power(number("0.001"), number("99999999999999999999")),
            &format!("0.{}", "0".repeat(38)),
        );
        check(
            exp(number("-99999999999999999999")),
            &format!("0.{}", "0".repeat(38)),
        );
    }
}
