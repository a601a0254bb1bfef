//! `width_bucket`: in which of so many equal parts of a range a number lies.

use arrow::datatypes::i256;
use datafusion_common::{DataFusionError, Result};

use super::{Form, Math};
use crate::{
    numeric::{decimal::Decimal, transcendental::Shown},
    refusal::refuse,
};

/// `(number, from, to, parts)`: 0 below the range, parts + 1 beyond it; the range may run downwards.
pub(crate) fn function() -> Math {
    Math::new(
        "width_bucket",
        &[Form {
            count: Some((exact, Some(float))),
            ..Form::of(4)
        }],
    )
}

fn invalid(message: &str) -> DataFusionError {
    refuse("2201G", message)
}

fn parts(count: Option<i32>) -> Result<i32> {
    match count {
        Some(count) if count > 0 => Ok(count),
        _ => Err(invalid("count must be greater than zero")),
    }
}

fn beyond(parts: i32) -> Result<i32> {
    let next = parts.checked_add(1);
    next.ok_or_else(|| refuse("22003", "integer out of range"))
}

fn float(x: &[f64]) -> Result<i32> {
    let (number, from, to) = (x[0], x[1], x[2]);
    let parts = parts(Some(x[3] as i32))?;
    if number.is_nan() || from.is_nan() || to.is_nan() {
        return Err(invalid(
            "operand, lower bound, and upper bound cannot be NaN",
        ));
    }
    if from.is_infinite() || to.is_infinite() {
        return Err(invalid("lower and upper bounds must be finite"));
    }
    if from == to {
        return Err(invalid("lower bound cannot equal upper bound"));
    }
    let (number, from, to) = match from < to {
        true => (number, from, to),
        false => (-number, -from, -to),
    };
    if number < from {
        return Ok(0);
    }
    if number >= to {
        return beyond(parts);
    }
    let share = (number - from) / (to - from);
    let bucket = (share * f64::from(parts)) as i32 + 1;
    Ok(bucket.min(parts))
}

fn exact(x: &[Shown]) -> Result<i32> {
    let [number, from, to] = [x[0].0, x[1].0, x[2].0];
    let count = x[3].0.digits.to_i128();
    let parts = parts(count.and_then(|count| i32::try_from(count).ok()))?;
    if from.compare(to).is_eq() {
        return Err(invalid("lower bound cannot equal upper bound"));
    }
    let (number, from, to) = match from.compare(to).is_lt() {
        true => (number, from, to),
        false => (number.negated(), from.negated(), to.negated()),
    };
    if number.compare(from).is_lt() {
        return Ok(0);
    }
    if number.compare(to).is_ge() {
        return beyond(parts);
    }
    let steps = number
        .subtract(from)?
        .multiply(Decimal::new(i256::from_i128(parts.into()), 0))?;
    let bucket = steps.whole_quotient(to.subtract(from)?)?;
    let bucket = bucket.digits.to_i128().and_then(|n| i32::try_from(n).ok());
    Ok(bucket.unwrap_or(parts).min(parts - 1) + 1)
}
