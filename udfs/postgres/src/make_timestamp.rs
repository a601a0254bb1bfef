//! `make_timestamp`: a timestamp of its parts.

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, clock_type, described, is_integer, is_number, is_scalar, no_such_function,
};
use crate::moment::in_range;
use crate::refusal::Refusal;
use crate::zone::DAY;
use crate::{make_date, make_time};

#[user_doc(
    doc_section(label = "Date and time"),
    description = "A timestamp of its parts. NULL if an argument is NULL; what no clock shows is refused (22008).",
    syntax_example = "make_timestamp(year, month, day, hour, minute, second)",
    argument(name = "year", description = "negative before Christ"),
    argument(name = "month", description = "1 to 12"),
    argument(name = "day", description = "1 to 31"),
    argument(name = "hour", description = "0 to 24"),
    argument(name = "minute", description = "0 to 59"),
    argument(name = "second", description = "with a fraction")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MakeTimestamp {
    signature: Signature,
}

impl MakeTimestamp {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for MakeTimestamp {
    described!("make_timestamp");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if given.len() != 6 {
            return Err(no_such_function("make_timestamp", given).into());
        }
        coerced("make_timestamp", given)
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(clock_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let parts = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = parts[0].len();
        let mut timestamps = TimestampMicrosecondBuilder::with_capacity(rows);
        for row in 0..rows {
            timestamps.append_option(at(&parts, row)?);
        }
        as_given(
            std::sync::Arc::new(timestamps.finish()),
            is_scalar(&args.args),
        )
    }
}

/// The types of the first six arguments.
pub(crate) fn coerced(function: &str, given: &[DataType]) -> Result<Vec<DataType>> {
    if !given[..5].iter().all(is_integer) || !is_number(&given[5]) {
        return Err(no_such_function(function, given).into());
    }
    let mut types = vec![DataType::Int32; 5];
    types.push(DataType::Float64);
    Ok(types)
}

/// What clocks show, of the first six arguments.
pub(crate) fn at(parts: &[ArrayRef], row: usize) -> Result<Option<i64>, Refusal> {
    if parts.iter().any(|part| part.is_null(row)) {
        return Ok(None);
    }
    let part = |index: usize| i64::from(parts[index].as_primitive::<Int32Type>().value(row));
    let second = parts[5].as_primitive::<Float64Type>().value(row);
    let day = make_date::day(part(0), part(1), part(2))?;
    let time = make_time::time(part(3), part(4), second)?;
    let local = day
        .checked_mul(DAY)
        .and_then(|start| start.checked_add(time));
    in_range(local.unwrap_or(i64::MAX)).map(Some)
}
