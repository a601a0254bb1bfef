//! `make_interval`: an interval of its parts.

use arrow::array::{Array, AsArray, IntervalMonthDayNanoBuilder};
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, described, is_integer, is_number, is_scalar, no_such_function, span_type,
};
use crate::refusal::Refusal;
use crate::span::Span;
use crate::zone::{HOUR, MINUTE};

#[user_doc(
    doc_section(label = "Date and time"),
    description = "An interval of its parts; those that are left out are 0. NULL if an argument is NULL.",
    syntax_example = "make_interval([years, months, weeks, days, hours, mins, secs])",
    argument(name = "years", description = "integer"),
    argument(name = "months", description = "integer"),
    argument(name = "weeks", description = "integer"),
    argument(name = "days", description = "integer"),
    argument(name = "hours", description = "integer"),
    argument(name = "mins", description = "integer"),
    argument(name = "secs", description = "with a fraction")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MakeInterval {
    signature: Signature,
}

impl MakeInterval {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for MakeInterval {
    described!("make_interval");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let whole = given.iter().take(6).all(is_integer);
        if given.len() > 7 || !whole || !given.get(6).is_none_or(is_number) {
            return Err(no_such_function("make_interval", given).into());
        }
        let mut types = vec![DataType::Int32; given.len().min(6)];
        types.extend(given.get(6).map(|_| DataType::Float64));
        Ok(types)
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(span_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let parts = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = parts.first().map_or(1, |part| part.len());
        let mut intervals = IntervalMonthDayNanoBuilder::with_capacity(rows);
        for row in 0..rows {
            if parts.iter().any(|part| part.is_null(row)) {
                intervals.append_null();
                continue;
            }
            let part = |index: usize| {
                let part = parts.get(index);
                part.map_or(0, |part| {
                    i64::from(part.as_primitive::<Int32Type>().value(row))
                })
            };
            let seconds = parts.get(6);
            let seconds = seconds.map_or(0.0, |part| part.as_primitive::<Float64Type>().value(row));
            let small =
                |value: i64| i32::try_from(value).map_err(|_| Refusal::interval_out_of_range());
            let micros = (seconds * 1e6).round_ties_even();
            if !micros.is_finite() || micros.abs() > 9e18 {
                return Err(Refusal::interval_out_of_range().into());
            }
            let time = (part(4) * HOUR)
                .checked_add(part(5) * MINUTE)
                .and_then(|time| time.checked_add(micros as i64))
                .ok_or_else(Refusal::interval_out_of_range)?;
            let months = small(part(0) * 12 + part(1))?;
            let days = small(part(2) * 7 + part(3))?;
            intervals.append_value(Span::new(months, days, time).to_arrow()?);
        }
        as_given(
            std::sync::Arc::new(intervals.finish()),
            is_scalar(&args.args),
        )
    }
}
