//! The same functions of `numeric`, and those that only `numeric` has.

use arrow::datatypes::i256;
use datafusion_common::Result;

use super::{Constants, Form, Math};
use crate::{
    numeric::{
        Digits, Shown as Rule,
        arithmetic::Operation,
        decimal::{Decimal, overflow},
        transcendental::{self, Shown},
    },
    refusal::refuse,
};

pub(crate) fn functions() -> Vec<Math> {
    vec![
        Math::new("div", &[Form::of(2).or_exact(whole, div)]),
        Math::new(
            "factorial",
            &[Form::of(1).or_exact(factorial_digits, factorial)],
        ),
        Math::new("trim_scale", &[Form::of(1).or_exact(telling, trim_scale)]),
        Math::new(
            "scale",
            &[Form {
                count: Some((|x| Ok(x[0].1), None)),
                ..Form::of(1)
            }],
        ),
        Math::new(
            "min_scale",
            &[Form {
                count: Some((|x| Ok(x[0].0.trimmed().scale.max(0)), None)),
                ..Form::of(1)
            }],
        ),
    ]
}

/// The result is a quotient, as far as its digits go.
pub(super) fn quotient(given: &[Digits], _: Constants) -> Digits {
    Digits {
        shown: Rule::Quotient,
        ..given[0]
    }
}

/// Rounding may add a digit.
pub(super) fn whole(given: &[Digits], _: Constants) -> Digits {
    Digits {
        whole: given[0].whole + 1,
        scale: 0,
        shown: Rule::Scale,
    }
}

pub(super) fn one_digit(_: &[Digits], _: Constants) -> Digits {
    Digits {
        whole: 1,
        scale: 0,
        shown: Rule::Scale,
    }
}

/// The second argument says how many digits after the point.
pub(super) fn to_scale(given: &[Digits], constants: Constants) -> Digits {
    let whole = given[0].whole + 1;
    match constants.get(1) {
        Some(Some(scale)) => Digits {
            whole,
            scale: i32::try_from((*scale).clamp(0, 37)).unwrap_or(0),
            shown: Rule::Scale,
        },
        _ => Digits {
            whole,
            scale: given[0].scale,
            shown: Rule::Telling,
        },
    }
}

fn telling(given: &[Digits], _: Constants) -> Digits {
    Digits {
        shown: Rule::Telling,
        ..given[0]
    }
}

pub(super) fn remainder(given: &[Digits], _: Constants) -> Digits {
    let types = [given[0].data_type(), given[1].data_type()];
    let result = Operation::Remainder.result(&types[0], &types[1]);
    result.as_ref().and_then(Digits::of).unwrap_or(given[0])
}

pub(super) fn sqrt(x: &[Shown]) -> Result<Decimal> {
    transcendental::sqrt(x[0])
}

pub(super) fn exp(x: &[Shown]) -> Result<Decimal> {
    transcendental::exp(x[0])
}

pub(super) fn ln(x: &[Shown]) -> Result<Decimal> {
    transcendental::ln(x[0])
}

pub(super) fn log10(x: &[Shown]) -> Result<Decimal> {
    transcendental::log((Decimal::whole(10), 0), x[0])
}

pub(super) fn log(x: &[Shown]) -> Result<Decimal> {
    transcendental::log(x[0], x[1])
}

pub(super) fn power(x: &[Shown]) -> Result<Decimal> {
    transcendental::power(x[0], x[1])
}

pub(super) fn ceil(x: &[Shown]) -> Result<Decimal> {
    let cut = x[0].0.truncated(0)?;
    let is_above = x[0].0.compare(cut).is_gt();
    if is_above {
        cut.add(Decimal::whole(1))
    } else {
        Ok(cut)
    }
}

pub(super) fn floor(x: &[Shown]) -> Result<Decimal> {
    let cut = x[0].0.truncated(0)?;
    let is_below = x[0].0.compare(cut).is_lt();
    if is_below {
        cut.subtract(Decimal::whole(1))
    } else {
        Ok(cut)
    }
}

/// Digits after the point that are asked for: PostgreSQL's own bounds are wider, and so are ours.
fn wanted(x: &[Shown]) -> i32 {
    let scale = x.get(1).and_then(|(scale, _)| scale.digits.to_i128());
    i32::try_from(scale.unwrap_or(0).clamp(-2000, 37)).unwrap_or(0)
}

pub(super) fn round(x: &[Shown]) -> Result<Decimal> {
    before_the_point(x[0].0.rounded(wanted(x))?)
}

pub(super) fn trunc(x: &[Shown]) -> Result<Decimal> {
    before_the_point(x[0].0.truncated(wanted(x))?)
}

fn before_the_point(number: Decimal) -> Result<Decimal> {
    number.rounded(number.scale.max(0))
}

pub(super) fn sign(x: &[Shown]) -> Result<Decimal> {
    Ok(Decimal::whole(if x[0].0.is_zero() {
        0
    } else if x[0].0.is_negative() {
        -1
    } else {
        1
    }))
}

fn div(x: &[Shown]) -> Result<Decimal> {
    x[0].0.whole_quotient(x[1].0)
}

pub(super) fn modulo(x: &[Shown]) -> Result<Decimal> {
    x[0].0.remainder(x[1].0)
}

pub(super) fn gcd(x: &[Shown]) -> Result<Decimal> {
    let (mut left, mut right) = (x[0].0.absolute(), x[1].0.absolute());
    while !right.is_zero() {
        (left, right) = (right, left.remainder(right)?);
    }
    Ok(left)
}

pub(super) fn lcm(x: &[Shown]) -> Result<Decimal> {
    let divisor = gcd(x)?;
    if divisor.is_zero() || x[0].0.is_zero() || x[1].0.is_zero() {
        return Ok(Decimal::ZERO);
    }
    let part = x[0].0.absolute().whole_quotient(divisor)?;
    part.multiply(x[1].0.absolute())
}

fn trim_scale(x: &[Shown]) -> Result<Decimal> {
    Ok(x[0].0.trimmed())
}

fn factorial_digits(_: &[Digits], _: Constants) -> Digits {
    Digits {
        whole: 75,
        scale: 0,
        shown: Rule::Scale,
    }
}

fn factorial(x: &[Shown]) -> Result<Decimal> {
    if x[0].0.is_negative() {
        return Err(refuse(
            "22003",
            "factorial of a negative number is undefined",
        ));
    }
    let most = x[0].0.digits.to_i128().unwrap_or(i128::MAX).min(100);
    let mut product = i256::ONE;
    for factor in 2..=most {
        let factor = i256::from_i128(factor);
        product = product.checked_mul(factor).ok_or_else(overflow)?;
    }
    Ok(Decimal::new(product, 0))
}
