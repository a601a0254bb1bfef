//! `to_timestamp`: a moment read with a template, or of seconds since 1970.

use std::sync::Arc;

use arrow::array::{Array, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Float64Type, TimestampMicrosecondType};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, described, is_number, is_scalar, is_text, map1, moment_type, no_such_function, texts,
};
use crate::from_char::read;
use crate::moment::{INFINITY, MINUS_INFINITY, in_range};
use crate::now::rounded_moment;
use crate::refusal::Refusal;
use crate::template::{Node, parse};
use crate::zone::{Clocks, DAY, SECOND, Zone};

#[user_doc(
    doc_section(label = "Formatting"),
    description = "A moment read with a template, on the session's clocks unless the template has TZH; or the moment so many seconds \
                   after 1970-01-01 00:00 UTC. NULL if an argument is NULL. A text that does not fit (22007) and a time that no \
                   clock shows (22008) are refused.",
    syntax_example = "to_timestamp(text, template), to_timestamp(seconds)",
    argument(name = "text", description = "for example '31.01.2026 14:05'"),
    argument(name = "template", description = "for example 'DD.MM.YYYY HH24:MI'"),
    argument(name = "seconds", description = "double precision")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ToTimestamp {
    signature: Signature,
}

impl ToTimestamp {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for ToTimestamp {
    described!("to_timestamp");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [seconds] if is_number(seconds) => Ok(vec![DataType::Float64]),
            [text, template]
                if [text, template]
                    .iter()
                    .all(|given| is_text(given) || given.is_null()) =>
            {
                Ok(vec![DataType::Utf8, DataType::Utf8])
            }
            _ => Err(no_such_function("to_timestamp", given).into()),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(moment_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let [seconds] = args.args.as_slice() {
            return map1::<Float64Type, TimestampMicrosecondType>(
                seconds,
                &moment_type(),
                of_seconds,
            );
        }
        let scalar = is_scalar(&args.args);
        let rows = if scalar { 1 } else { args.number_rows };
        let (values, templates) = (texts(&args.args[0], rows)?, texts(&args.args[1], rows)?);
        let mut clocks = Clocks::of(Zone::of_session(&args.config_options)?);
        let mut moments = TimestampMicrosecondBuilder::with_capacity(rows);
        let mut known: Option<(&str, Vec<Node>)> = None;
        for row in 0..rows {
            if values.is_null(row) || templates.is_null(row) {
                moments.append_null();
                continue;
            }
            let template = templates.value(row);
            if known.as_ref().is_none_or(|(of, _)| *of != template) {
                known = Some((template, parse(template)));
            }
            let (_, nodes) = known.as_ref().expect("it was put in");
            let said = read(values.value(row), nodes)?;
            let moment = match said.offset {
                Some(offset) => said.local - i64::from(offset) * SECOND,
                None => clocks.moment(said.local),
            };
            moments.append_value(match said.digits {
                Some(digits) => rounded_moment(moment, digits),
                None => moment,
            });
        }
        as_given(Arc::new(moments.finish().with_timezone("UTC")), scalar)
    }
}

/// PostgreSQL counts from the year 2000, which decides how fractions are rounded.
fn of_seconds(seconds: f64) -> Result<i64, Refusal> {
    const YEAR_2000: f64 = 946_684_800.0;
    if seconds.is_nan() {
        return Err(Refusal::new("22008", "timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 {
            INFINITY
        } else {
            MINUS_INFINITY
        });
    }
    let micros = ((seconds - YEAR_2000) * 1e6).round_ties_even();
    if micros.abs() > 9.3e18 {
        let message = format!("timestamp out of range: \"{seconds}\"");
        return Err(Refusal::new("22008", message));
    }
    in_range((micros as i64).saturating_add(10_957 * DAY))
}
