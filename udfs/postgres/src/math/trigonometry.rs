//! Angles, in radians and in degrees. In degrees the angles whose sine, cosine or tangent is a plain number give just it.

use std::f64::consts::PI;

use datafusion_common::{DataFusionError, Result};

use super::{Form, Math, float::in_range};
use crate::refusal::refuse;

pub(crate) fn functions() -> Vec<Math> {
    let one = |name, work| Math::new(name, &[Form::float(1, work)]);
    let two = |name, work| Math::new(name, &[Form::float(2, work)]);
    vec![
        one("degrees", |x| in_range(x[0], x[0] / (PI / 180.0), true)),
        one("radians", |x| in_range(x[0], x[0] * (PI / 180.0), true)),
        one("sin", |x| finite(x[0]).map(f64::sin)),
        one("cos", |x| finite(x[0]).map(f64::cos)),
        one("tan", |x| finite(x[0]).map(f64::tan)),
        one("cot", |x| finite(x[0]).map(|x| 1.0 / x.tan())),
        one("asin", |x| unit(x[0]).map(f64::asin)),
        one("acos", |x| unit(x[0]).map(f64::acos)),
        one("atan", |x| Ok(x[0].atan())),
        two("atan2", |x| Ok(x[0].atan2(x[1]))),
        one("sinh", |x| Ok(x[0].sinh())),
        one("cosh", |x| Ok(x[0].cosh())),
        one("tanh", |x| Ok(x[0].tanh())),
        one("asinh", |x| Ok(x[0].asinh())),
        one("acosh", |x| match x[0] < 1.0 {
            true => Err(out_of_range()),
            false => Ok(x[0].acosh()),
        }),
        one("atanh", |x| match x[0] {
            1.0 => Ok(f64::INFINITY),
            -1.0 => Ok(f64::NEG_INFINITY),
            x => unit(x).map(f64::atanh),
        }),
        one("sind", |x| finite(x[0]).map(sind)),
        one("cosd", |x| finite(x[0]).map(cosd)),
        one("tand", |x| finite(x[0]).map(tand)),
        one("cotd", |x| finite(x[0]).map(cotd)),
        one("asind", |x| unit(x[0]).map(asind)),
        one("acosd", |x| unit(x[0]).map(acosd)),
        one("atand", |x| Ok(x[0].atan() / 1f64.atan() * 45.0)),
        two("atan2d", |x| Ok(x[0].atan2(x[1]) / 1f64.atan() * 45.0)),
    ]
}

fn out_of_range() -> DataFusionError {
    refuse("22003", "input is out of range")
}

fn finite(x: f64) -> Result<f64> {
    if x.is_infinite() {
        Err(out_of_range())
    } else {
        Ok(x)
    }
}

fn unit(x: f64) -> Result<f64> {
    if !(-1.0..=1.0).contains(&x) && !x.is_nan() {
        Err(out_of_range())
    } else {
        Ok(x)
    }
}

const DEGREE: f64 = PI / 180.0;

/// From 0 to 30 degrees; just a half at 30.
fn small_sine(x: f64) -> f64 {
    (x * DEGREE).sin() / (30.0 * DEGREE).sin() / 2.0
}

/// From 0 to 60 degrees; just a half at 60.
fn small_cosine(x: f64) -> f64 {
    1.0 - (1.0 - (x * DEGREE).cos()) / (1.0 - (60.0 * DEGREE).cos()) / 2.0
}

/// From 0 to 90 degrees.
fn quarter_sine(x: f64) -> f64 {
    if x <= 30.0 {
        small_sine(x)
    } else {
        small_cosine(90.0 - x)
    }
}

fn quarter_cosine(x: f64) -> f64 {
    if x <= 60.0 {
        small_cosine(x)
    } else {
        small_sine(90.0 - x)
    }
}

fn sind(x: f64) -> f64 {
    let mut sign = 1.0;
    let mut x = x % 360.0;
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        x = 180.0 - x;
    }
    sign * quarter_sine(x)
}

fn cosd(x: f64) -> f64 {
    let mut sign = 1.0;
    let mut x = (x % 360.0).abs();
    if x > 180.0 {
        x = 360.0 - x;
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    sign * quarter_cosine(x)
}

/// Angle from 0 to 90, and the sign of tangent and cotangent.
fn folded(x: f64) -> (f64, f64) {
    let mut sign = 1.0;
    let mut x = x % 360.0;
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    (x, sign)
}

fn tand(x: f64) -> f64 {
    let (x, sign) = folded(x);
    let by = quarter_sine(45.0) / quarter_cosine(45.0);
    let result = sign * ((quarter_sine(x) / quarter_cosine(x)) / by);
    // Not -0.
    if result == 0.0 { 0.0 } else { result }
}

fn cotd(x: f64) -> f64 {
    let (x, sign) = folded(x);
    let by = quarter_cosine(45.0) / quarter_sine(45.0);
    let result = sign * ((quarter_cosine(x) / quarter_sine(x)) / by);
    if result == 0.0 { 0.0 } else { result }
}

fn quarter_asin(x: f64) -> f64 {
    if x <= 0.5 {
        x.asin() / 0.5f64.asin() * 30.0
    } else {
        90.0 - x.acos() / 0.5f64.acos() * 60.0
    }
}

fn quarter_acos(x: f64) -> f64 {
    if x <= 0.5 {
        90.0 - x.asin() / 0.5f64.asin() * 30.0
    } else {
        x.acos() / 0.5f64.acos() * 60.0
    }
}

fn asind(x: f64) -> f64 {
    if x >= 0.0 {
        quarter_asin(x)
    } else {
        -quarter_asin(-x)
    }
}

fn acosd(x: f64) -> f64 {
    if x >= 0.0 {
        quarter_acos(x)
    } else {
        90.0 + quarter_asin(-x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_angles_have_plain_values() {
        assert_eq!((sind(30.0), cosd(60.0), tand(45.0)), (0.5, 0.5, 1.0));
        assert_eq!((sind(150.0), cosd(120.0), cotd(45.0)), (0.5, -0.5, 1.0));
        assert_eq!((asind(0.5), acosd(0.5), acosd(-0.5)), (30.0, 60.0, 120.0));
        assert_eq!(sind(90.0), 1.0);
    }
}
