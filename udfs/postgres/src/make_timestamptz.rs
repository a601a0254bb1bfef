//! `make_timestamptz`: a moment of what clocks show.

use arrow::array::TimestampMicrosecondBuilder;
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, described, is_scalar, is_text, moment_type, no_such_function, texts,
};
use crate::make_timestamp;
use crate::zone::{Clocks, Zone};

#[user_doc(
    doc_section(label = "Date and time"),
    description = "A moment of what clocks show in the session's time zone, or in the one given. NULL if an argument is NULL; what no clock shows (22008) and an unknown zone (22023) are refused.",
    syntax_example = "make_timestamptz(year, month, day, hour, minute, second [, time_zone])",
    argument(name = "year", description = "negative before Christ"),
    argument(name = "month", description = "1 to 12"),
    argument(name = "day", description = "1 to 31"),
    argument(name = "hour", description = "0 to 24"),
    argument(name = "minute", description = "0 to 59"),
    argument(name = "second", description = "with a fraction"),
    argument(name = "time_zone", description = "name, abbreviation or offset")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MakeTimestamptz {
    signature: Signature,
}

impl MakeTimestamptz {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for MakeTimestamptz {
    described!("make_timestamptz");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let zone = given
            .get(6)
            .is_none_or(|zone| is_text(zone) || zone.is_null());
        if !(6..=7).contains(&given.len()) || !zone {
            return Err(no_such_function("make_timestamptz", given).into());
        }
        let mut types = make_timestamp::coerced("make_timestamptz", given)?;
        types.extend(given.get(6).map(|_| DataType::Utf8));
        Ok(types)
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(moment_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let parts = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = parts[0].len();
        let zones = args.args.get(6).map(|zone| texts(zone, rows)).transpose()?;
        let mut session = Clocks::of(Zone::of_session(&args.config_options)?);
        let mut moments = TimestampMicrosecondBuilder::with_capacity(rows);
        for row in 0..rows {
            let local = make_timestamp::at(&parts, row)?;
            moments.append_option(match (local, &zones) {
                (None, _) => None,
                (Some(local), None) => Some(session.moment(local)),
                (Some(local), Some(zones)) => {
                    let zone = Zone::input(zones.value(row))?;
                    Some(Clocks::of(zone).moment(local))
                }
            });
        }
        let moments = moments.finish().with_timezone("UTC");
        as_given(std::sync::Arc::new(moments), is_scalar(&args.args))
    }
}
