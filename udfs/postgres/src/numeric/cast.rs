//! Casts from and to `numeric` that Arrow does otherwise: by text, by float, with PostgreSQL's digits.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, StringArray},
    compute,
    datatypes::{DataType, Float32Type, Float64Type},
};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{
    ANY_SCALE, Digits,
    arithmetic::{Numbers, to_array},
    decimal::{Decimal, parse},
};
use crate::refusal::{Refusal, refuse};

/// What PostgreSQL's cast does and Arrow's does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conversion {
    /// A text or a float to a number of any scale. A float gives the digits that it shows: fifteen, or six.
    ToNumeric,
    /// A number to a text, with the digits that it shows.
    ToText,
    /// A number or a text to the nearest float.
    ToFloat8,
    ToFloat4,
}

/// The conversion as a function of one argument.
pub fn function(conversion: Conversion) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Convert {
        conversion,
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

/// A text as a number of its own scale: `1.50` is of type numeric(3,2).
pub fn literal(text: &str) -> Result<ScalarValue> {
    let number = read(text)?;
    let mut digits = Digits {
        whole: (number.magnitude() + 1).max(0),
        scale: number.scale.max(0),
        shown: super::Shown::Scale,
    };
    // A literal of 0.5 has room for a digit before the point, as any other number of its type.
    digits.whole = digits.whole.max(1);
    let array = to_array(std::iter::once(Ok(Some(number))), &digits.data_type())?;
    ScalarValue::try_from_array(&array, 0)
}

/// Of [`widened`].
pub const WIDENED: &str = "\u{1}widened";

/// A number in a type that has room for it. Unlike a cast, it changes nothing in what the number shows.
pub fn widened(to: DataType) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Widened {
        to,
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Widened {
    to: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Widened {
    fn name(&self) -> &str {
        WIDENED
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args[0].cast_to(&self.to, None)
    }
}

#[derive(Debug)]
struct Convert {
    conversion: Conversion,
    signature: Signature,
}

impl PartialEq for Convert {
    fn eq(&self, other: &Self) -> bool {
        self.conversion == other.conversion
    }
}

impl Eq for Convert {}

impl Hash for Convert {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.conversion.hash(state);
    }
}

impl ScalarUDFImpl for Convert {
    fn name(&self) -> &str {
        match self.conversion {
            Conversion::ToNumeric => "numeric",
            Conversion::ToText => "text",
            Conversion::ToFloat8 => "float8",
            Conversion::ToFloat4 => "float4",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(match self.conversion {
            Conversion::ToNumeric => ANY_SCALE,
            Conversion::ToText => DataType::Utf8,
            Conversion::ToFloat8 => DataType::Float64,
            Conversion::ToFloat4 => DataType::Float32,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = args.args.as_slice() else {
            return Err(Refusal::no_such_function("a cast has one argument").into());
        };
        let array = argument.to_array(1)?;
        let done = match self.conversion {
            Conversion::ToNumeric => to_numeric(&array),
            Conversion::ToText => to_text(&array),
            Conversion::ToFloat8 => to_float8(&array),
            Conversion::ToFloat4 => to_float4(&array),
        }?;
        Ok(match argument {
            ColumnarValue::Scalar(_) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&done, 0)?)
            }
            ColumnarValue::Array(_) => ColumnarValue::Array(done),
        })
    }
}

fn read(text: &str) -> Result<Decimal> {
    if let Some(number) = parse(text) {
        return Ok(number);
    }
    let word = text.trim_ascii().trim_start_matches(['+', '-']);
    let is_special = ["nan", "inf", "infinity"]
        .iter()
        .any(|special| word.eq_ignore_ascii_case(special));
    if is_special {
        return Err(no_special(text.trim_ascii()));
    }
    let is_number = word.contains(|c: char| c.is_ascii_digit()) && word.parse::<f64>().is_ok();
    Err(if is_number {
        super::decimal::overflow()
    } else {
        refuse(
            "22P02",
            format!("invalid input syntax for type numeric: \"{text}\""),
        )
    })
}

fn no_special(name: &str) -> DataFusionError {
    Refusal::not_supported(
        format!("numeric has no {name} in the lake"),
        "Use double precision.",
    )
    .into()
}

fn to_numeric(array: &ArrayRef) -> Result<ArrayRef> {
    let from_float = |value: f64, significant| {
        Decimal::from_f64(value, significant).ok_or_else(|| no_special(&value.to_string()))
    };
    match array.data_type() {
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().iter();
            let values = values.map(|value| value.map(|value| from_float(value, 15)).transpose());
            to_array(values, &ANY_SCALE)
        }
        DataType::Float16 | DataType::Float32 => {
            let array = compute::cast(array, &DataType::Float32)?;
            let values = array.as_primitive::<Float32Type>().iter();
            let values =
                values.map(|value| value.map(|value| from_float(value.into(), 6)).transpose());
            to_array(values, &ANY_SCALE)
        }
        _ => {
            let texts = compute::cast(array, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>().iter();
            to_array(texts.map(|text| text.map(read).transpose()), &ANY_SCALE)
        }
    }
}

pub(crate) fn to_text(array: &ArrayRef) -> Result<ArrayRef> {
    let shown = shown_of(array.data_type())?;
    let numbers = Numbers::new(array)?;
    let texts = (0..numbers.len()).map(|row| {
        numbers.get(row).map(|number| {
            let mut text = String::new();
            number.write(number.shown_scale(shown), &mut text);
            text
        })
    });
    Ok(Arc::new(texts.collect::<StringArray>()))
}

fn shown_of(data_type: &DataType) -> Result<super::Shown> {
    Digits::of(data_type)
        .map(|digits| digits.shown)
        .ok_or_else(|| DataFusionError::Internal(format!("{data_type} is no number")))
}

/// A text as PostgreSQL reads a double precision; 22003 for what is too large or too small for it.
pub fn float8(text: &str) -> Result<f64> {
    let float: f64 = float(text, "double precision")?;
    in_range(float.is_infinite(), float == 0.0, text, "double precision")?;
    Ok(float)
}

/// As [`float8`], of a real.
pub fn float4(text: &str) -> Result<f32> {
    let float: f32 = float(text, "real")?;
    in_range(float.is_infinite(), float == 0.0, text, "real")?;
    Ok(float)
}

fn float<F: std::str::FromStr>(text: &str, pg_type: &str) -> Result<F> {
    text.trim_ascii().parse().map_err(|_| {
        let message = format!("invalid input syntax for type {pg_type}: \"{text}\"");
        refuse("22P02", message)
    })
}

fn in_range(is_infinite: bool, is_zero: bool, text: &str, pg_type: &str) -> Result<()> {
    let is_word = text.contains(['i', 'I']);
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    let is_vanished = is_zero && digits.contains(|c: char| matches!(c, '1'..='9'));
    match (is_infinite && !is_word) || is_vanished {
        true => {
            let text = text.trim_ascii();
            let message = format!("\"{text}\" is out of range for type {pg_type}");
            Err(refuse("22003", message))
        }
        false => Ok(()),
    }
}

fn to_float8(array: &ArrayRef) -> Result<ArrayRef> {
    if array.data_type().is_string() {
        let texts = compute::cast(array, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>().iter();
        let floats = texts.map(|text| text.map(float8).transpose());
        return Ok(Arc::new(floats.collect::<Result<Float64Array>>()?));
    }
    let numbers = Numbers::new(array)?;
    let floats = (0..numbers.len()).map(|row| numbers.get(row).map(Decimal::to_f64));
    Ok(Arc::new(floats.collect::<Float64Array>()))
}

/// Of a wider float, or of a number.
fn to_float4(array: &ArrayRef) -> Result<ArrayRef> {
    if array.data_type().is_string() {
        let texts = compute::cast(array, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>().iter();
        let floats = texts.map(|text| text.map(float4).transpose());
        return Ok(Arc::new(floats.collect::<Result<Float32Array>>()?));
    }
    let wide = match array.data_type() {
        DataType::Float64 => array.clone(),
        _ => to_float8(array)?,
    };
    let floats = wide.as_primitive::<Float64Type>().iter().map(|value| {
        let Some(value) = value else { return Ok(None) };
        let narrow = value as f32;
        if narrow.is_infinite() && !value.is_infinite() {
            return Err(refuse("22003", "value out of range: overflow"));
        }
        if narrow == 0.0 && value != 0.0 {
            return Err(refuse("22003", "value out of range: underflow"));
        }
        Ok(Some(narrow))
    });
    Ok(Arc::new(floats.collect::<Result<Float32Array>>()?))
}
