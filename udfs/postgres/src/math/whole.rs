//! Functions that integers have, and `numeric`.

use datafusion_common::{DataFusionError, Result};

use super::{Form, Math, exact};
use crate::refusal::refuse;

pub(crate) fn functions() -> Vec<Math> {
    let form = |whole| Form {
        whole: Some(whole),
        ..Form::of(2)
    };
    vec![
        Math::new(
            "mod",
            &[form(modulo).or_exact(exact::remainder, exact::modulo)],
        ),
        Math::new("gcd", &[form(gcd).or_exact(exact::remainder, exact::gcd)]),
        Math::new(
            "lcm",
            &[form(lcm).or_exact(
                |given, _| crate::numeric::Digits {
                    whole: given[0].whole + given[1].whole,
                    scale: given[0].scale.max(given[1].scale),
                    shown: given[0].shown.max(given[1].shown),
                },
                exact::lcm,
            )],
        ),
    ]
}

fn out_of_range() -> DataFusionError {
    refuse("22003", "bigint out of range")
}

fn modulo(x: &[i64]) -> Result<i64> {
    if x[1] == 0 {
        return Err(refuse("22012", "division by zero"));
    }
    Ok(x[0].wrapping_rem(x[1]))
}

fn gcd(x: &[i64]) -> Result<i64> {
    let (mut left, mut right) = (x[0].unsigned_abs(), x[1].unsigned_abs());
    while right != 0 {
        (left, right) = (right, left % right);
    }
    i64::try_from(left).map_err(|_| out_of_range())
}

fn lcm(x: &[i64]) -> Result<i64> {
    if x[0] == 0 || x[1] == 0 {
        return Ok(0);
    }
    let part = x[0] / gcd(x)?;
    let product = part.checked_mul(x[1]).ok_or_else(out_of_range)?;
    product.checked_abs().ok_or_else(out_of_range)
}
