//! `make_date`: a date of its parts.

use arrow::array::{Array, AsArray, Date32Builder};
use arrow::datatypes::{DataType, Int32Type};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{as_given, described, is_integer, is_scalar, no_such_function};
use crate::calendar::{day_of, days_in_month};
use crate::moment::date_in_range;
use crate::refusal::Refusal;

#[user_doc(
    doc_section(label = "Date and time"),
    description = "A date of its parts. NULL if an argument is NULL; a day that is not in the calendar is refused (22008).",
    syntax_example = "make_date(year, month, day)",
    argument(name = "year", description = "negative before Christ"),
    argument(name = "month", description = "1 to 12"),
    argument(name = "day", description = "1 to 31")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MakeDate {
    signature: Signature,
}

impl MakeDate {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for MakeDate {
    described!("make_date");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if given.len() != 3 || !given.iter().all(is_integer) {
            return Err(no_such_function("make_date", given).into());
        }
        Ok(vec![DataType::Int32; 3])
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let parts = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = parts[0].len();
        let mut dates = Date32Builder::with_capacity(rows);
        for row in 0..rows {
            if parts.iter().any(|part| part.is_null(row)) {
                dates.append_null();
                continue;
            }
            let part =
                |index: usize| i64::from(parts[index].as_primitive::<Int32Type>().value(row));
            let day = day(part(0), part(1), part(2))?;
            dates.append_value(date_in_range(day)?);
        }
        as_given(std::sync::Arc::new(dates.finish()), is_scalar(&args.args))
    }
}

/// There is no year 0: -1 is the year before 1.
pub(crate) fn day(year: i64, month: i64, day: i64) -> Result<i64, Refusal> {
    let counted = if year < 0 { year + 1 } else { year };
    let is_there = year != 0
        && (1..=12).contains(&month)
        && (1..=days_in_month(counted, month)).contains(&day);
    if is_there {
        return Ok(day_of(counted, month, day));
    }
    let message = format!("date field value out of range: {year}-{month:02}-{day:02}");
    Err(Refusal::new("22008", message))
}
