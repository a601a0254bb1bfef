//! `date_bin`: the beginning of the bin of a fixed width that a moment lies in.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    clock_type, described, is_unknown, map2, moment_type, no_such_function, null, span_type,
};
use crate::moment::{in_range, is_finite};
use crate::refusal::Refusal;
use crate::span::Span;
use crate::zone::DAY;

#[user_doc(
    doc_section(label = "Date and time"),
    description = "The beginning of the bin that a moment lies in, bins of one width being counted from an origin. NULL if an argument is NULL. A width with months (0A000) or not above zero (22008) is refused.",
    syntax_example = "date_bin(width, moment, origin)",
    argument(name = "width", description = "interval"),
    argument(name = "moment", description = "timestamp or timestamp with time zone"),
    argument(name = "origin", description = "as moment")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct DateBin {
    signature: Signature,
}

impl DateBin {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for DateBin {
    described!("date_bin");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [width, moment, origin] = given else {
            return Err(no_such_function("date_bin", given).into());
        };
        let is_moment = |data_type: &DataType| {
            matches!(data_type, DataType::Timestamp(..) | DataType::Date32) || is_unknown(data_type)
        };
        let is_width =
            matches!(width, DataType::Interval(_) | DataType::Duration(_)) || is_unknown(width);
        if !is_width || !is_moment(moment) || !is_moment(origin) {
            return Err(no_such_function("date_bin", given).into());
        }
        let has_zone = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, Some(_)));
        let is_clock = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, None));
        let clock =
            !has_zone(moment) && !has_zone(origin) && (is_clock(moment) || is_clock(origin));
        let of = if clock { clock_type() } else { moment_type() };
        Ok(vec![span_type(), of.clone(), of])
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(given[1].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let result = args.return_field.data_type();
        let ColumnarValue::Scalar(width) = &args.args[0] else {
            return Err(Refusal::not_supported(
                "a width of date_bin that differs from row to row is not supported",
                "Use CASE with one call for each width.",
            )
            .into());
        };
        if width.is_null() {
            return null(result);
        }
        let width = width.to_array()?;
        let width = Span::from(width.as_primitive::<IntervalMonthDayNanoType>().value(0));
        if width.months != 0 {
            let message = "timestamps cannot be binned into intervals containing months or years";
            return Err(Refusal::new("0A000", message).into());
        }
        let width = i64::from(width.days)
            .checked_mul(DAY)
            .and_then(|days| days.checked_add(width.micros))
            .ok_or_else(Refusal::interval_out_of_range)?;
        if width <= 0 {
            return Err(Refusal::new("22008", "stride must be greater than zero").into());
        }
        map2::<TimestampMicrosecondType, TimestampMicrosecondType, TimestampMicrosecondType>(
            &args.args[1],
            &args.args[2],
            args.number_rows,
            result,
            |moment, origin| {
                if !is_finite(moment) {
                    return Ok(moment);
                }
                if !is_finite(origin) {
                    return Err(Refusal::new("22008", "origin out of range"));
                }
                let past = moment
                    .checked_sub(origin)
                    .ok_or_else(Refusal::interval_out_of_range)?;
                in_range(moment - past.rem_euclid(width))
            },
        )
    }
}
