//! Functions of one or two floats, most of them of `numeric` too: roots, powers, logarithms, rounding.

use datafusion_common::Result;

use super::{Form, Math, exact};
use crate::refusal::refuse;

pub(crate) fn functions() -> Vec<Math> {
    vec![
        Math::new("cbrt", &[Form::float(1, |x| Ok(x[0].cbrt()))]),
        Math::new(
            "sqrt",
            &[Form::float(1, sqrt).or_exact(exact::quotient, exact::sqrt)],
        ),
        Math::new(
            "exp",
            &[Form::float(1, exp).or_exact(exact::quotient, exact::exp)],
        ),
        Math::new(
            "ln",
            &[Form::float(1, ln).or_exact(exact::quotient, exact::ln)],
        ),
        Math::new(
            "log",
            &[
                Form::float(1, log10).or_exact(exact::quotient, exact::log10),
                Form::of(2).or_exact(exact::quotient, exact::log),
            ],
        ),
        Math::new(
            "log10",
            &[Form::float(1, log10).or_exact(exact::quotient, exact::log10)],
        ),
        Math::new(
            "power",
            &[Form::float(2, power).or_exact(exact::quotient, exact::power)],
        )
        .also("pow"),
        Math::new(
            "ceil",
            &[Form::float(1, |x| Ok(x[0].ceil())).or_exact(exact::whole, exact::ceil)],
        )
        .also("ceiling"),
        Math::new(
            "floor",
            &[Form::float(1, |x| Ok(x[0].floor())).or_exact(exact::whole, exact::floor)],
        ),
        Math::new(
            "round",
            &[
                Form::float(1, |x| Ok(x[0].round_ties_even())).or_exact(exact::whole, exact::round),
                Form::of(2).or_exact(exact::to_scale, exact::round),
            ],
        ),
        Math::new(
            "trunc",
            &[
                Form::float(1, |x| Ok(x[0].trunc())).or_exact(exact::whole, exact::trunc),
                Form::of(2).or_exact(exact::to_scale, exact::trunc),
            ],
        ),
        Math::new(
            "sign",
            &[Form::float(1, sign).or_exact(exact::one_digit, exact::sign)],
        )
        .also("signum"),
    ]
}

fn sqrt(x: &[f64]) -> Result<f64> {
    if x[0] < 0.0 {
        return Err(refuse(
            "2201F",
            "cannot take square root of a negative number",
        ));
    }
    Ok(x[0].sqrt())
}

/// 22003 where a finite argument gives an infinite answer, or one that vanishes.
pub(super) fn in_range(x: f64, result: f64, may_be_zero: bool) -> Result<f64> {
    if result.is_infinite() && x.is_finite() {
        return Err(refuse("22003", "value out of range: overflow"));
    }
    if result == 0.0 && !may_be_zero && x.is_finite() {
        return Err(refuse("22003", "value out of range: underflow"));
    }
    Ok(result)
}

fn exp(x: &[f64]) -> Result<f64> {
    in_range(x[0], x[0].exp(), false)
}

fn positive(x: f64) -> Result<f64> {
    if x == 0.0 {
        Err(refuse("2201E", "cannot take logarithm of zero"))
    } else if x < 0.0 {
        Err(refuse(
            "2201E",
            "cannot take logarithm of a negative number",
        ))
    } else {
        Ok(x)
    }
}

fn ln(x: &[f64]) -> Result<f64> {
    positive(x[0]).map(f64::ln)
}

fn log10(x: &[f64]) -> Result<f64> {
    positive(x[0]).map(f64::log10)
}

fn power(x: &[f64]) -> Result<f64> {
    let (base, exponent) = (x[0], x[1]);
    if base == 0.0 && exponent < 0.0 {
        return Err(refuse(
            "2201F",
            "zero raised to a negative power is undefined",
        ));
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(refuse(
            "2201F",
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    let result = base.powf(exponent);
    if base.is_infinite() || exponent.is_infinite() {
        return Ok(result);
    }
    in_range(base, result, base == 0.0)
}

fn sign(x: &[f64]) -> Result<f64> {
    Ok(match x[0] {
        x if x > 0.0 => 1.0,
        x if x < 0.0 => -1.0,
        // Of either zero, and of NaN.
        _ => 0.0,
    })
}
