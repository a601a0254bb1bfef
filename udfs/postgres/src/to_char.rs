//! `to_char`: times, intervals and numbers as a template says.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, clock_type, described, is_scalar, is_text, moment_type, no_such_function, span_type,
    texts, time_type,
};
use crate::moment::is_finite;
use crate::number_template::Template;
use crate::refusal::Refusal;
use crate::span::Span;
use crate::template::{self, Node};
use crate::time_to_char;
use crate::zone::{Clocks, Zone};

#[user_doc(
    doc_section(label = "Formatting"),
    description = "A time, interval or number written as a template says, with every pattern of PostgreSQL; names are English. A \
                   moment with time zone is written as the session's clocks show it. NULL if an argument is NULL.",
    syntax_example = "to_char(value, template)",
    argument(
        name = "value",
        description = "date, timestamp, timestamp with time zone, interval, integer, numeric or floating-point number"
    ),
    argument(
        name = "template",
        description = "for example 'YYYY-MM-DD HH24:MI' or 'FM999G990D00'"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ToChar {
    signature: Signature,
}

impl ToChar {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for ToChar {
    described!("to_char");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [value, template] = given else {
            return Err(no_such_function("to_char", given).into());
        };
        let value = match value {
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, Some(_)) => moment_type(),
            DataType::Timestamp(_, None) => clock_type(),
            DataType::Interval(_) | DataType::Duration(_) => span_type(),
            DataType::Time64(_) => time_type(),
            DataType::Decimal128(digits, scale) => DataType::Decimal128(*digits, *scale),
            // A mean has more digits than a template shows.
            DataType::Decimal256(_, scale) => DataType::Decimal128(38, (*scale).clamp(0, 16)),
            DataType::Float32 => DataType::Float32,
            DataType::Float64 => DataType::Float64,
            DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Int32,
            integer if integer.is_integer() => DataType::Int64,
            DataType::Null => DataType::Null,
            _ => return Err(no_such_function("to_char", given).into()),
        };
        if !is_text(template) && !template.is_null() {
            return Err(no_such_function("to_char", given).into());
        }
        Ok(vec![value, DataType::Utf8])
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = is_scalar(&args.args);
        let rows = if scalar { 1 } else { args.number_rows };
        let values = args.args[0].to_array(rows)?;
        let templates = Templates {
            same: matches!(args.args[1], ColumnarValue::Scalar(_)),
            texts: texts(&args.args[1], rows)?,
        };
        let zone = match values.data_type() {
            DataType::Timestamp(_, Some(_)) => Some(Zone::of_session(&args.config_options)?),
            _ => None,
        };
        as_given(Arc::new(write(&values, &templates, zone)?), scalar)
    }
}

struct Templates {
    /// One for all rows.
    same: bool,
    texts: StringArray,
}

impl Templates {
    /// Writes each row; a NULL, and what `each` answers false to, is NULL.
    fn write<T>(
        &self,
        values: &ArrayRef,
        parse: impl Fn(&str) -> Result<T, Refusal>,
        mut each: impl FnMut(usize, &T, &mut String) -> Result<bool, Refusal>,
    ) -> Result<StringArray> {
        let rows = values.len();
        let mut builder = StringBuilder::with_capacity(rows, rows * 12);
        let mut text = String::with_capacity(64);
        let mut known: Option<(&str, T)> = None;
        for row in 0..rows {
            let template =
                (self.texts.is_valid(row) && values.is_valid(row)).then(|| self.texts.value(row));
            let Some(template) = template else {
                builder.append_null();
                continue;
            };
            let is_known = known
                .as_ref()
                .is_some_and(|(of, _)| self.same || *of == template);
            if !is_known {
                known = Some((template, parse(template)?));
            }
            let (_, parsed) = known.as_ref().expect("it was put in");
            text.clear();
            if each(row, parsed, &mut text)? {
                builder.append_value(&text);
            } else {
                builder.append_null();
            }
        }
        Ok(builder.finish())
    }
}

fn write(values: &ArrayRef, templates: &Templates, zone: Option<Zone>) -> Result<StringArray> {
    // PostgreSQL makes NULL of an empty template here, and an empty text of a number.
    let of_time = |text: &str| Ok(template::parse(text));
    match values.data_type() {
        DataType::Timestamp(..) => {
            let mut clocks = zone.map(Clocks::of);
            let moments = values.as_primitive::<TimestampMicrosecondType>();
            templates.write(values, of_time, |row, nodes: &Vec<Node>, out| {
                let at = moments.value(row);
                if !is_finite(at) || nodes.is_empty() {
                    return Ok(false);
                }
                time_to_char::moment(nodes, at, clocks.as_mut(), out);
                Ok(true)
            })
        }
        DataType::Interval(_) => {
            let spans = values.as_primitive::<IntervalMonthDayNanoType>();
            templates.write(values, of_time, |row, nodes: &Vec<Node>, out| {
                time_to_char::interval(nodes, spans.value(row).into(), out)?;
                Ok(!nodes.is_empty())
            })
        }
        DataType::Time64(_) => {
            let times = values.as_primitive::<Time64MicrosecondType>();
            templates.write(values, of_time, |row, nodes: &Vec<Node>, out| {
                let span = Span::new(0, 0, times.value(row));
                time_to_char::interval(nodes, span, out)?;
                Ok(!nodes.is_empty())
            })
        }
        DataType::Int32 => {
            let numbers = values.as_primitive::<Int32Type>();
            templates.write(values, Template::parse, |row, template, out| {
                let number = numbers.value(row);
                match template.scientific {
                    true => float(template, number.into(), 15, out),
                    false => decimal(template, number.into(), 0, out),
                }
                Ok(true)
            })
        }
        DataType::Int64 => {
            let numbers = values.as_primitive::<Int64Type>();
            templates.write(values, Template::parse, |row, template, out| {
                decimal(template, numbers.value(row).into(), 0, out);
                Ok(true)
            })
        }
        DataType::Decimal128(_, scale) => {
            let scale = usize::try_from(*scale).unwrap_or(0);
            let numbers = values.as_primitive::<Decimal128Type>();
            templates.write(values, Template::parse, |row, template, out| {
                decimal(template, numbers.value(row), scale, out);
                Ok(true)
            })
        }
        DataType::Float32 => {
            let numbers = values.as_primitive::<Float32Type>();
            templates.write(values, Template::parse, |row, template, out| {
                float(template, numbers.value(row).into(), 6, out);
                Ok(true)
            })
        }
        DataType::Float64 => {
            let numbers = values.as_primitive::<Float64Type>();
            templates.write(values, Template::parse, |row, template, out| {
                float(template, numbers.value(row), 15, out);
                Ok(true)
            })
        }
        _ => Ok(StringArray::new_null(values.len())),
    }
}

/// `unscaled` × 10^-`scale`
fn decimal(template: &Template, unscaled: i128, scale: usize, out: &mut String) {
    let negative = unscaled < 0;
    if template.roman.is_some() {
        let rounded = round(unscaled.unsigned_abs(), scale, 0);
        let number = i64::try_from(rounded).ok().filter(|_| !negative);
        return template.roman(number, out);
    }
    if template.scientific {
        out.push(if negative { '-' } else { ' ' });
        return scientific(unscaled.unsigned_abs(), scale, template.after, out);
    }
    // What `V` moves is taken from the scale, or added as zeros.
    let places = template.after;
    let (magnitude, scale) = match scale.checked_sub(template.shift) {
        Some(scale) => (unscaled.unsigned_abs(), scale),
        None => {
            let zeros = 10_u128.checked_pow((template.shift - scale) as u32);
            let magnitude = zeros.and_then(|zeros| unscaled.unsigned_abs().checked_mul(zeros));
            (magnitude.unwrap_or(u128::MAX), 0)
        }
    };
    let rounded = round(magnitude, scale, places);
    let kept = places.min(scale);
    let mut digits = format!("{rounded:0width$}", width = kept + 1);
    if places > 0 {
        digits.insert(digits.len() - kept, '.');
        digits.extend(std::iter::repeat_n('0', places - kept));
    }
    let is_zero = rounded == 0;
    template.fill(&digits, places, negative && !is_zero, out);
}

/// To so many places (if there are more), halves away from zero.
fn round(magnitude: u128, scale: usize, places: usize) -> u128 {
    let Some(dropped) = scale.checked_sub(places).filter(|dropped| *dropped > 0) else {
        return magnitude;
    };
    match 10_u128.checked_pow(dropped as u32) {
        Some(unit) => magnitude / unit + u128::from(magnitude % unit >= unit.div_ceil(2)),
        None => 0,
    }
}

/// `1.23e+05`; what is rounded up to ten stays so, as PostgreSQL has it: `10.00e+04`.
fn scientific(magnitude: u128, scale: usize, places: usize, out: &mut String) {
    use std::fmt::Write;
    let digits = magnitude.to_string();
    let exponent = match magnitude {
        0 => 0,
        _ => digits.len() as i64 - 1 - scale as i64,
    };
    let dropped = digits.len().saturating_sub(places + 1);
    let mut rounded = round(magnitude, dropped, 0).to_string();
    let whole = rounded.len() + dropped - digits.len() + 1;
    rounded.extend(std::iter::repeat_n(
        '0',
        (places + whole).saturating_sub(rounded.len()),
    ));
    out.push_str(&rounded[..whole]);
    if places > 0 {
        out.push('.');
        out.push_str(&rounded[whole..]);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.abs());
}

/// `most`: digits that the type is sure of.
fn float(template: &Template, value: f64, most: usize, out: &mut String) {
    use std::fmt::Write;
    if template.roman.is_some() {
        let rounded = value.round_ties_even();
        let number = (rounded.abs() < 1e9).then_some(rounded as i64);
        return template.roman(number, out);
    }
    if template.scientific {
        if !value.is_finite() {
            out.push_str(&template.overflowed_scientific());
            return;
        }
        let text = format!("{:.*e}", template.after, value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if value.is_sign_negative() { '-' } else { ' ' };
        let of_exponent = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{sign}{mantissa}e{of_exponent}{:02}", exponent.abs());
        return;
    }
    let value = match template.shift {
        0 => value,
        shift => value * 10_f64.powi(i32::try_from(shift).unwrap_or(i32::MAX)),
    };
    let word = if value.is_nan() { "NaN" } else { "Infinity" };
    let whole = match value.is_finite() {
        true => format!("{:.0}", value.abs()).len(),
        false => word.len(),
    };
    let places = match whole >= most {
        true => 0,
        false => template.after.min(most - whole),
    };
    if !value.is_finite() {
        template.fill(word, places, value < 0.0, out);
        return;
    }
    let digits = format!("{:.places$}", value.abs());
    template.fill(&digits, places, value.is_sign_negative(), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    // What PostgreSQL 15 answers.
    fn check(unscaled: i128, scale: usize, template: &str, expected: &str) {
        let mut out = String::new();
        let template = Template::parse(template).expect("a template");
        decimal(&template, unscaled, scale, &mut out);
        assert_eq!(out, expected, "{unscaled} {scale}");
    }

    #[test]
    fn numbers_fill_templates() {
        check(-1, 1, "99.99", "  -.10");
        check(-1, 1, "FM9.99", "-.1");
        check(1, 1, "0.9", " 0.1");
        check(12, 0, "9990999.9", "    0012.0");
        check(12, 0, "FM9990999.9", "0012.");
        check(485, 0, "999", " 485");
        check(-485, 0, "999", "-485");
        check(485, 0, "9 9 9", " 4 8 5");
        check(1485, 0, "9,999", " 1,485");
        check(1485, 0, "9G999", " 1,485");
        check(148_500, 3, "999.999", " 148.500");
        check(148_500, 3, "FM999.999", "148.5");
        check(148_500, 3, "FM999.990", "148.500");
        check(-485, 0, "999S", "485-");
        check(-485, 0, "999MI", "485-");
        check(485, 0, "999MI", "485 ");
        check(485, 0, "FM999MI", "485");
        check(485, 0, "PL999", "+ 485");
        check(485, 0, "SG999", "+485");
        check(-485, 0, "9SG99", "4-85");
        check(-485, 0, "999PR", "<485>");
        check(485, 0, "L999", "  485");
        check(485, 0, "RN", "        CDLXXXV");
        check(485, 0, "FMRN", "CDLXXXV");
        check(5, 0, "FM999th", "5th");
        check(482, 0, "999th", " 482nd");
        check(485, 0, "\"Good number:\"999", "Good number: 485");
        check(4858, 1, "\"Pre:\"999\" Post:\" .999", "Pre: 485 Post: .800");
        check(12, 0, "99V999", " 12000");
        check(124, 1, "99V999", " 12400");
        check(1245, 2, "99V9", " 125");
        check(4_859, 4, "9.99EEEE", " 4.86e-01");
        check(1_234_567, 0, "999", " ###");
        check(0, 0, "FM999,990.00", "0.00");
    }
}
