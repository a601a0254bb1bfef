//! `justify_days`: thirty days become a month.

use arrow::datatypes::{DataType, IntervalMonthDayNanoType};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{described, is_unknown, map1, no_such_function, span_type};
use crate::refusal::Refusal;
use crate::span::Span;

#[user_doc(
    doc_section(label = "Date and time"),
    description = "Thirty days become a month. NULL if the argument is NULL.",
    syntax_example = "justify_days(interval)",
    argument(name = "interval", description = "interval")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct JustifyDays {
    signature: Signature,
}

impl JustifyDays {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for JustifyDays {
    described!("justify_days");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::Interval(_) | DataType::Duration(_)] => Ok(vec![span_type()]),
            [unknown] if is_unknown(unknown) => Ok(vec![span_type()]),
            _ => Err(no_such_function("justify_days", given).into()),
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
    let add = |months: i32| {
        span.months
            .checked_add(months)
            .ok_or_else(Refusal::interval_out_of_range)
    };
    let (mut months, mut days) = (add(span.days / 30)?, span.days % 30);
    if months > 0 && days < 0 {
        days += 30;
        months -= 1;
    } else if months < 0 && days > 0 {
        days -= 30;
        months += 1;
    }
    Ok(Span::new(months, days, span.micros))
}
