//! `make_time`: a time of day of its parts.

use arrow::array::{Array, AsArray, Time64MicrosecondBuilder};
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, described, is_integer, is_number, is_scalar, no_such_function, time_type,
};
use crate::refusal::Refusal;
use crate::zone::{DAY, HOUR, MINUTE, SECOND};

#[user_doc(
    doc_section(label = "Date and time"),
    description = "A time of day of its parts. NULL if an argument is NULL; a time that no clock shows is refused (22008).",
    syntax_example = "make_time(hour, minute, second)",
    argument(name = "hour", description = "0 to 24"),
    argument(name = "minute", description = "0 to 59"),
    argument(name = "second", description = "with a fraction")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MakeTime {
    signature: Signature,
}

impl MakeTime {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for MakeTime {
    described!("make_time");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [hour, minute, second]
                if is_integer(hour) && is_integer(minute) && is_number(second) =>
            {
                Ok(vec![DataType::Int32, DataType::Int32, DataType::Float64])
            }
            _ => Err(no_such_function("make_time", given).into()),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(time_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let parts = ColumnarValue::values_to_arrays(&args.args)?;
        let mut times = Time64MicrosecondBuilder::with_capacity(parts[0].len());
        for row in 0..parts[0].len() {
            if parts.iter().any(|part| part.is_null(row)) {
                times.append_null();
                continue;
            }
            let part =
                |index: usize| i64::from(parts[index].as_primitive::<Int32Type>().value(row));
            let second = parts[2].as_primitive::<Float64Type>().value(row);
            times.append_value(time(part(0), part(1), second)?);
        }
        as_given(std::sync::Arc::new(times.finish()), is_scalar(&args.args))
    }
}

pub(crate) fn time(hour: i64, minute: i64, second: f64) -> Result<i64, Refusal> {
    let micros = (second * SECOND as f64).round_ties_even();
    let within = (0..=24).contains(&hour)
        && (0..=59).contains(&minute)
        && (0.0..=60.0 * SECOND as f64).contains(&micros);
    let time = hour * HOUR + minute * MINUTE + if within { micros as i64 } else { 0 };
    if within && time <= DAY {
        return Ok(time);
    }
    let shown = format!("{second}");
    let message = format!("time field value out of range: {hour}:{minute:02}:{shown:0>2}");
    Err(Refusal::new("22008", message))
}
