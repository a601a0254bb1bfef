//! `timezone(zone, time)`, which `time AT TIME ZONE zone` is another word for.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, clock_type, described, is_scalar, is_text, is_unknown, map1, moment_type,
    no_such_function, null, span_type, texts, time_type,
};
use crate::moment::is_finite;
use crate::refusal::Refusal;
use crate::span::Span;
use crate::zone::{Clocks, Zone};

#[user_doc(
    doc_section(label = "Date and time"),
    description = "What clocks in a zone show at a moment with time zone, and the moment when they show a timestamp. NULL if an argument is NULL; an unknown zone is refused (22023).",
    syntax_example = "timezone(zone, time)",
    argument(
        name = "zone",
        description = "name, abbreviation, offset in POSIX form, or interval east of Greenwich"
    ),
    argument(name = "time", description = "timestamp with time zone or timestamp")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Timezone {
    signature: Signature,
}

impl Timezone {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Timezone {
    described!("timezone");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [zone, time] = given else {
            return Err(no_such_function("timezone", given).into());
        };
        let zone = match zone {
            DataType::Interval(_) => span_type(),
            text if is_text(text) || text.is_null() => DataType::Utf8,
            _ => return Err(no_such_function("timezone", given).into()),
        };
        let time = match time {
            DataType::Timestamp(_, None) => clock_type(),
            DataType::Timestamp(_, Some(_)) | DataType::Date32 => moment_type(),
            unknown if is_unknown(unknown) => moment_type(),
            DataType::Time64(_) => time_type(),
            _ => return Err(no_such_function("timezone", given).into()),
        };
        Ok(vec![zone, time])
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(match &given[1] {
            DataType::Timestamp(_, Some(_)) => clock_type(),
            DataType::Time64(_) => {
                return Err(Refusal::not_supported(
                    "time with time zone is not supported",
                    "Add the time to a date, and use a timestamp.",
                )
                .into());
            }
            _ => moment_type(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let result = args.return_field.data_type();
        let to_moment = matches!(result, DataType::Timestamp(_, Some(_)));
        let shift = |clocks: &mut Clocks, time: i64| match (is_finite(time), to_moment) {
            (false, _) => time,
            (true, true) => clocks.moment(time),
            (true, false) => clocks.local(time),
        };
        let (zone, time) = (&args.args[0], &args.args[1]);
        if let ColumnarValue::Scalar(scalar) = zone {
            if scalar.is_null() {
                return null(result);
            }
            let zone = match scalar.try_as_str().flatten() {
                Some(name) => Zone::named(name)?,
                None => {
                    let spans = scalar.to_array()?;
                    displaced(
                        spans
                            .as_primitive::<IntervalMonthDayNanoType>()
                            .value(0)
                            .into(),
                    )?
                }
            };
            let mut clocks = Clocks::of(zone);
            return map1::<TimestampMicrosecondType, TimestampMicrosecondType>(
                time,
                result,
                |time| Ok(shift(&mut clocks, time)),
            );
        }
        let rows = args.number_rows;
        let times = time.to_array(rows)?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let mut shifted = TimestampMicrosecondBuilder::with_capacity(rows);
        if zone.data_type() == span_type() {
            let spans = zone.to_array(rows)?;
            let spans = spans.as_primitive::<IntervalMonthDayNanoType>();
            for row in 0..rows {
                shifted.append_option(match times.is_valid(row) && spans.is_valid(row) {
                    true => {
                        let zone = displaced(spans.value(row).into())?;
                        Some(shift(&mut Clocks::of(zone), times.value(row)))
                    }
                    false => None,
                });
            }
        } else {
            let names = texts(zone, rows)?;
            let mut known: HashMap<&str, Clocks> = HashMap::new();
            for row in 0..rows {
                if times.is_null(row) || names.is_null(row) {
                    shifted.append_null();
                    continue;
                }
                let name = names.value(row);
                if !known.contains_key(name) {
                    known.insert(name, Clocks::of(Zone::named(name)?));
                }
                let clocks = known.get_mut(name).expect("it was put in");
                shifted.append_value(shift(clocks, times.value(row)));
            }
        }
        let shifted = shifted.finish().with_data_type(result.clone());
        as_given(std::sync::Arc::new(shifted), is_scalar(&args.args))
    }
}

/// An interval without months and days is an offset.
fn displaced(span: Span) -> Result<Zone, Refusal> {
    if span.months != 0 || span.days != 0 {
        let mut shown = String::new();
        span.push_text(&mut shown);
        return Err(Refusal::invalid_parameter(format!(
            "interval time zone \"{shown}\" must not include months or days"
        )));
    }
    i32::try_from(span.micros / 1_000_000)
        .map(Zone::Fixed)
        .map_err(|_| Refusal::interval_out_of_range())
}
