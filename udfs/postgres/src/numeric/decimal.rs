//! One decimal number, exact, and the rules by which PostgreSQL chooses how many digits a result has.

use std::{cmp::Ordering, sync::LazyLock};

use arrow::datatypes::i256;
use datafusion_common::Result;

use super::Shown;
use crate::refusal::{Refusal, refuse};

/// `digits` × 10^-`scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub digits: i256,
    pub scale: i32,
}

/// Of a quotient at least; PostgreSQL's NUMERIC_MIN_SIG_DIGITS.
const SIGNIFICANT: i32 = 16;
/// PostgreSQL computes with groups of so many digits.
const GROUP: i32 = 4;
/// After the point, in the type of a quotient.
pub(crate) const MOST_SCALE: i32 = 38;

static POWERS: LazyLock<[i256; 77]> = LazyLock::new(|| {
    let mut powers = [i256::ONE; 77];
    for n in 1..77 {
        powers[n] = powers[n - 1].wrapping_mul(i256::from_i128(10));
    }
    powers
});

/// 10^n, if that has at most 76 zeros.
pub(crate) fn power_of_ten(n: i32) -> Option<i256> {
    POWERS.get(usize::try_from(n).ok()?).copied()
}

pub(crate) fn overflow() -> datafusion_common::DataFusionError {
    let message = "a numeric of so many digits is not supported";
    Refusal::not_supported(message, "Cast to double precision.").into()
}

impl Decimal {
    pub(crate) const ZERO: Self = Self {
        digits: i256::ZERO,
        scale: 0,
    };

    pub(crate) fn new(digits: i256, scale: i32) -> Self {
        Self { digits, scale }
    }

    pub(crate) fn whole(number: i128) -> Self {
        Self::new(i256::from_i128(number), 0)
    }

    pub(crate) fn is_zero(self) -> bool {
        self.digits == i256::ZERO
    }

    pub(crate) fn is_negative(self) -> bool {
        self.digits.is_negative()
    }

    /// Decimal digits, without leading zeros.
    fn length(self) -> i32 {
        let magnitude = self.digits.wrapping_abs();
        match magnitude.to_i128() {
            Some(0) => 0,
            Some(small) => small.ilog10() as i32 + 1,
            None => POWERS.partition_point(|power| *power <= magnitude) as i32,
        }
    }

    /// The power of ten of the first digit that is not zero; 0 for zero.
    pub(crate) fn magnitude(self) -> i32 {
        if self.is_zero() {
            0
        } else {
            self.length() - 1 - self.scale
        }
    }

    /// Position and value of the first group of four digits that is not zero.
    fn first_group(self) -> (i32, i128) {
        if self.is_zero() {
            return (0, 0);
        }
        let weight = self.magnitude().div_euclid(GROUP);
        let shift = self.scale + weight * GROUP;
        let magnitude = self.digits.wrapping_abs();
        let group = match power_of_ten(shift) {
            Some(divisor) => magnitude.wrapping_div(divisor),
            None => magnitude.wrapping_mul(power_of_ten(-shift).unwrap_or(i256::ONE)),
        };
        (weight, group.as_i128())
    }

    /// Without zeros at the end of the digits after the point.
    pub(crate) fn trimmed(self) -> Self {
        if self.is_zero() {
            return Self::ZERO;
        }
        let (mut digits, mut scale) = (self.digits, self.scale);
        for step in [16, 4, 1] {
            let divisor = POWERS[step as usize];
            while scale >= step {
                let rest = digits.wrapping_rem(divisor);
                if rest != i256::ZERO {
                    break;
                }
                digits = digits.wrapping_div(divisor);
                scale -= step;
            }
        }
        Self::new(digits, scale)
    }

    /// How many digits after the point PostgreSQL would show of this value.
    pub(crate) fn shown_scale(self, shown: Shown) -> i32 {
        match shown {
            Shown::Scale => self.scale.max(0),
            Shown::Telling => self.trimmed().scale.max(0),
            Shown::Quotient => {
                let weight = self.magnitude().div_euclid(GROUP);
                let least = if self.is_zero() {
                    SIGNIFICANT
                } else {
                    SIGNIFICANT - weight * GROUP
                };
                self.trimmed().scale.max(least).clamp(0, MOST_SCALE)
            }
        }
    }

    /// Rounded to so many digits after the point, halves away from zero; a negative scale rounds before the point.
    pub(crate) fn rounded(self, scale: i32) -> Result<Self> {
        let cut = self.scale - scale;
        if cut <= 0 {
            return self.extended(scale);
        }
        let Some(divisor) = power_of_ten(cut) else {
            return Ok(Self::new(i256::ZERO, scale));
        };
        Ok(Self::new(divided(self.digits, divisor), scale))
    }

    /// As [`Self::rounded`], towards zero.
    pub(crate) fn truncated(self, scale: i32) -> Result<Self> {
        let cut = self.scale - scale;
        if cut <= 0 {
            return self.extended(scale);
        }
        let digits = power_of_ten(cut).map(|divisor| self.digits.wrapping_div(divisor));
        Ok(Self::new(digits.unwrap_or(i256::ZERO), scale))
    }

    /// The same number with more digits after the point.
    fn extended(self, scale: i32) -> Result<Self> {
        if self.is_zero() {
            return Ok(Self::new(i256::ZERO, scale));
        }
        let digits =
            power_of_ten(scale - self.scale).and_then(|power| self.digits.checked_mul(power));
        Ok(Self::new(digits.ok_or_else(overflow)?, scale))
    }

    /// Both with the greater of the two scales.
    fn aligned(self, other: Self) -> Result<(Self, Self)> {
        let scale = self.scale.max(other.scale);
        match (self.extended(scale), other.extended(scale)) {
            (Ok(left), Ok(right)) => Ok((left, right)),
            // There may be room without the zeros.
            _ => {
                let (left, right) = (self.trimmed(), other.trimmed());
                let scale = left.scale.max(right.scale);
                Ok((left.extended(scale)?, right.extended(scale)?))
            }
        }
    }

    pub(crate) fn add(self, other: Self) -> Result<Self> {
        let (left, right) = self.aligned(other)?;
        let digits = left.digits.checked_add(right.digits);
        Ok(Self::new(digits.ok_or_else(overflow)?, left.scale))
    }

    pub(crate) fn negated(self) -> Self {
        Self::new(self.digits.wrapping_neg(), self.scale)
    }

    pub(crate) fn subtract(self, other: Self) -> Result<Self> {
        self.add(other.negated())
    }

    pub(crate) fn absolute(self) -> Self {
        Self::new(self.digits.wrapping_abs(), self.scale)
    }

    pub(crate) fn multiply(self, other: Self) -> Result<Self> {
        if let Some(digits) = self.digits.checked_mul(other.digits) {
            return Ok(Self::new(digits, self.scale + other.scale));
        }
        let (left, right) = (self.trimmed(), other.trimmed());
        let digits = left.digits.checked_mul(right.digits);
        Ok(Self::new(
            digits.ok_or_else(overflow)?,
            left.scale + right.scale,
        ))
    }

    /// What is left of a division to a whole quotient; it has this number's sign.
    pub(crate) fn remainder(self, other: Self) -> Result<Self> {
        let (left, right) = self.aligned(other)?;
        let rest = left.digits.checked_rem(right.digits);
        Ok(Self::new(rest.ok_or_else(division_by_zero)?, left.scale))
    }

    /// The quotient, cut to whole numbers.
    pub(crate) fn whole_quotient(self, other: Self) -> Result<Self> {
        let (left, right) = self.aligned(other)?;
        let quotient = left.digits.checked_div(right.digits);
        Ok(Self::new(quotient.ok_or_else(division_by_zero)?, 0))
    }

    /// The quotient, rounded to so many digits after the point.
    pub(crate) fn divide(self, other: Self, scale: i32) -> Result<Self> {
        if other.is_zero() {
            return Err(division_by_zero());
        }
        let shift = scale + other.scale - self.scale;
        let direct = power_of_ten(shift).and_then(|power| self.digits.checked_mul(power));
        if let Some(digits) = direct {
            return Ok(Self::new(divided(digits, other.digits), scale));
        }
        let (left, right) = (self.trimmed(), other.trimmed());
        let shift = scale + right.scale - left.scale;
        if shift < 0 {
            let divisor = power_of_ten(-shift).and_then(|power| right.digits.checked_mul(power));
            let digits = divisor.map_or(i256::ZERO, |divisor| divided(left.digits, divisor));
            return Ok(Self::new(digits, scale));
        }
        // Digit by digit, as on paper.
        let ten = i256::from_i128(10);
        let divisor = right.digits.wrapping_abs();
        let number = left.digits.wrapping_abs();
        let mut quotient = number.wrapping_div(divisor);
        let mut rest = number.wrapping_rem(divisor);
        for _ in 0..shift {
            let next = rest.checked_mul(ten).ok_or_else(overflow)?;
            let digit = next.wrapping_div(divisor);
            rest = next.wrapping_rem(divisor);
            let longer = quotient.checked_mul(ten).ok_or_else(overflow)?;
            quotient = longer.wrapping_add(digit);
        }
        if rest.wrapping_add(rest) >= divisor {
            quotient = quotient.wrapping_add(i256::ONE);
        }
        if left.is_negative() != right.is_negative() {
            quotient = quotient.wrapping_neg();
        }
        Ok(Self::new(quotient, scale))
    }

    /// How many digits after the point PostgreSQL gives the quotient of two numbers that show so many.
    pub(crate) fn quotient_scale(self, shown: i32, divisor: Self, divisor_shown: i32) -> i32 {
        let (weight, first) = self.first_group();
        let (divisor_weight, divisor_first) = divisor.first_group();
        let mut quotient_weight = weight - divisor_weight;
        if first <= divisor_first {
            quotient_weight -= 1;
        }
        (SIGNIFICANT - quotient_weight * GROUP)
            .max(shown)
            .max(divisor_shown)
            .max(0)
    }

    pub(crate) fn compare(self, other: Self) -> Ordering {
        match self.aligned(other) {
            Ok((left, right)) => left.digits.cmp(&right.digits),
            // So far apart that the signs and the sizes tell.
            Err(_) => match (self.is_negative(), other.is_negative()) {
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => self.magnitude().cmp(&other.magnitude()),
                (true, true) => other.magnitude().cmp(&self.magnitude()),
            },
        }
    }

    /// The nearest float.
    pub(crate) fn to_f64(self) -> f64 {
        const EXACT: i128 = 1 << 53;
        if let (Some(digits), 0..=22) = (self.digits.to_i128(), self.scale)
            && (-EXACT..=EXACT).contains(&digits)
        {
            return digits as f64 / 10f64.powi(self.scale);
        }
        let text = format!("{}e{}", self.digits, -self.scale);
        text.parse().expect("digits and an exponent")
    }

    /// The number that a float shows with so many significant digits; none if it is not finite.
    pub(crate) fn from_f64(value: f64, significant: usize) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        parse(&format!("{value:.*e}", significant - 1)).map(Self::trimmed)
    }

    /// Appends the number with so many digits after the point, none of which may be lost.
    pub(crate) fn write(self, scale: i32, out: &mut String) {
        let Ok(number) = self.rounded(scale.max(0)) else {
            // There is no room for the zeros: they are written behind the number.
            let trimmed = self.trimmed();
            trimmed.write(trimmed.scale.max(0), out);
            let missing = scale - trimmed.scale.max(0);
            if trimmed.scale <= 0 && missing > 0 {
                out.push('.');
            }
            out.extend(std::iter::repeat_n(
                '0',
                usize::try_from(missing).unwrap_or(0),
            ));
            return;
        };
        if number.is_negative() {
            out.push('-');
        }
        let digits = number.digits.wrapping_abs().to_string();
        let scale = usize::try_from(number.scale).unwrap_or(0);
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.push_str(whole);
        if !fraction.is_empty() {
            out.push('.');
            out.push_str(fraction);
        }
    }
}

fn division_by_zero() -> datafusion_common::DataFusionError {
    refuse("22012", "division by zero")
}

/// Rounded to whole numbers, halves away from zero.
fn divided(number: i256, divisor: i256) -> i256 {
    if let (Some(number), Some(divisor)) = (number.to_i128(), divisor.to_i128())
        && let Some(twice) = divisor.unsigned_abs().checked_mul(2)
        && let (Ok(_), Some(quotient)) = (i128::try_from(twice), number.checked_div(divisor))
    {
        let rest = (number % divisor).unsigned_abs();
        let up = rest * 2 >= divisor.unsigned_abs();
        let sign = if (number < 0) == (divisor < 0) { 1 } else { -1 };
        return i256::from_i128(quotient + i128::from(up) * sign);
    }
    let quotient = number.wrapping_div(divisor);
    let rest = number.wrapping_rem(divisor).wrapping_abs();
    let missing = divisor.wrapping_abs().wrapping_sub(rest);
    if rest < missing {
        quotient
    } else if number.is_negative() == divisor.is_negative() {
        quotient.wrapping_add(i256::ONE)
    } else {
        quotient.wrapping_sub(i256::ONE)
    }
}

/// What PostgreSQL reads as a number: sign, digits, point, exponent, spaces around. `None` also for NaN and infinity, and
/// for what has too many digits.
pub(crate) fn parse(text: &str) -> Option<Decimal> {
    let text = text.trim_ascii();
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (number, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut digits = i256::ZERO;
    let ten = i256::from_i128(10);
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        let digit = i256::from_i128(i128::from(digit - b'0'));
        digits = digits.checked_mul(ten)?.checked_add(digit)?;
    }
    if negative {
        digits = digits.wrapping_neg();
    }
    let scale = i32::try_from(fraction.len()).ok()? - exponent.clamp(-10_000, 10_000);
    let number = Decimal::new(digits, scale);
    if scale < 0 {
        return number.extended(0).ok();
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        parse(text).expect("a number")
    }

    fn check_quotient(left: &str, right: &str, expected: &str) {
        let (left, right) = (number(left), number(right));
        let scale = left.quotient_scale(left.scale, right, right.scale);
        let mut text = String::new();
        let quotient = left.divide(right, scale).expect("a quotient");
        quotient.write(scale, &mut text);
        assert_eq!(text, expected);
    }

    #[test]
    fn quotients_have_the_digits_that_postgres_gives_them() {
        check_quotient("10", "3", "3.3333333333333333");
        check_quotient("1", "1.0", "1.00000000000000000000");
        check_quotient("2", "1", "2.0000000000000000");
        check_quotient("-1", "3", "-0.33333333333333333333");
        check_quotient("0", "5", "0.00000000000000000000");
        check_quotient("123456789012345678.5", "2", "61728394506172839.3");
        check_quotient("0.00001", "3", "0.000003333333333333333333");
        check_quotient("2", "3.00", "0.66666666666666666667");
        check_quotient("100000.0000000000000000", "3", "33333.3333333333333333");
    }

    #[test]
    fn rounding_is_away_from_zero() {
        for (text, scale, expected) in [
            ("2.5", 0, "3"),
            ("-2.5", 0, "-3"),
            ("1.005", 2, "1.01"),
            ("1249", -2, "1200"),
            ("1250", -2, "1300"),
            ("7", 2, "7.00"),
        ] {
            let mut written = String::new();
            let rounded = number(text).rounded(scale).expect("it fits");
            rounded.write(scale, &mut written);
            assert_eq!(written, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_read() {
        for text in ["", ".", "-", "1e", "1x", "NaN", "1 2", "--1", "0x10"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(number(" -1.50e2 "), Decimal::whole(-150));
        assert_eq!(number(".5"), Decimal::new(i256::from_i128(5), 1));
    }

    #[test]
    fn the_nearest_float_is_found() {
        for text in ["0.1", "123456789012345678901234567890.5", "1e-30", "-2.5"] {
            assert_eq!(number(text).to_f64(), text.parse::<f64>().expect("a float"));
        }
    }
}
