//! `justify_interval`: 24 hours become a day, thirty days a month, and all parts get the same sign.

use arrow::datatypes::{DataType, IntervalMonthDayNanoType};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{described, is_unknown, map1, no_such_function, span_type};
use crate::refusal::Refusal;
use crate::span::Span;
use crate::zone::DAY;

#[user_doc(
    doc_section(label = "Date and time"),
    description = "24 hours become a day, thirty days a month, and all parts get the same sign. NULL if the argument is NULL.",
    syntax_example = "justify_interval(interval)",
    argument(name = "interval", description = "interval")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct JustifyInterval {
    signature: Signature,
}

impl JustifyInterval {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for JustifyInterval {
    described!("justify_interval");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::Interval(_) | DataType::Duration(_)] => Ok(vec![span_type()]),
            [unknown] if is_unknown(unknown) => Ok(vec![span_type()]),
            _ => Err(no_such_function("justify_interval", given).into()),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(span_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        map1::<IntervalMonthDayNanoType, IntervalMonthDayNanoType>(
            &args.args[0],
            &span_type(),
            |span| justified(span.into())?.to_arrow(),
        )
    }
}

fn justified(span: Span) -> Result<Span, Refusal> {
    let mut micros = span.micros % DAY;
    let all_days = i64::from(span.days) + span.micros / DAY;
    let mut days = all_days % 30;
    let mut months = i64::from(span.months) + all_days / 30;
    if months > 0 && (days < 0 || days == 0 && micros < 0) {
        days += 30;
        months -= 1;
    } else if months < 0 && (days > 0 || days == 0 && micros > 0) {
        days -= 30;
        months += 1;
    }
    if days > 0 && micros < 0 {
        micros += DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= DAY;
        days += 1;
    }
    let fits = |value: i64| i32::try_from(value).map_err(|_| Refusal::interval_out_of_range());
    Ok(Span::new(fits(months)?, fits(days)?, micros))
}
