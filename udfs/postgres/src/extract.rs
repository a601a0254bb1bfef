//! `extract(field FROM x)` and `date_part('field', x)`: the same parts, as numeric and as double precision.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Decimal128Builder, Float64Builder};
use arrow::datatypes::{
    DataType, Date32Type, Field as ArrowField, FieldRef, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use datafusion_common::Result;
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, clock_type, constant_text, described, is_scalar, is_unknown, moment_type,
    no_such_function, null, span_type, time_type, type_name,
};
use crate::calendar::{JULIAN, civil, day_of_week, day_of_year, iso_week};
use crate::field::{Field, not_recognized, not_supported};
use crate::moment::{INFINITY, is_finite, is_finite_date};
use crate::refusal::Refusal;
use crate::span::Span;
use crate::zone::{Clocks, DAY, HOUR, MINUTE, SECOND, Zone};

#[user_doc(
    doc_section(label = "Date and time"),
    description = "A part of a date, time or interval, as numeric. Of a moment with time zone, in the session's time zone. NULL if \
                   an argument is NULL; an unknown field is refused (22023), one that the type does not have too (0A000).",
    syntax_example = "extract(field FROM x)",
    argument(
        name = "field",
        description = "century, day, decade, dow, doy, epoch, hour, isodow, isoyear, julian, microseconds, millennium, \
                       milliseconds, minute, month, quarter, second, timezone, timezone_hour, timezone_minute, week, year"
    ),
    argument(
        name = "x",
        description = "date, time, timestamp, timestamp with time zone or interval"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Extract {
    signature: Signature,
}

impl Extract {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for Extract {
    described!("extract");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerced("extract", given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Err(no_such_function("extract", given).into())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let of = args.arg_fields[1].data_type();
        let name = args
            .scalar_arguments
            .first()
            .and_then(|scalar| scalar.and_then(|scalar| scalar.try_as_str()))
            .flatten();
        let data_type = match name {
            Some(name) => {
                let (digits, scale) = shape(known(name, of)?, of);
                DataType::Decimal128(digits, scale)
            }
            None => DataType::Decimal128(10, 0),
        };
        Ok(Arc::new(ArrowField::new("extract", data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Decimal128(digits, scale) = *args.return_field.data_type() else {
            return Err(no_such_function("extract", &[]).into());
        };
        let mut builder = Decimal128Builder::with_capacity(args.number_rows)
            .with_precision_and_scale(digits, scale)?;
        let put = |part: Option<Part>| -> Result<(), Refusal> {
            match part {
                None => builder.append_null(),
                Some(Part::Number(number)) => builder.append_value(number),
                Some(Part::Infinite(_)) => {
                    return Err(Refusal::not_supported(
                        "an infinite numeric is not supported",
                        "Use date_part, or leave infinite dates out with isfinite(…).",
                    ));
                }
                Some(Part::Julian { .. }) => {
                    return Err(Refusal::not_supported(
                        "extract(julian FROM a timestamp) is not supported",
                        "Use date_part('julian', …), or extract it from a date.",
                    ));
                }
            }
            Ok(())
        };
        match each_part(&args, put)? {
            None => null(args.return_field.data_type()),
            Some(()) => as_given(Arc::new(builder.finish()), is_scalar(&args.args[1..])),
        }
    }
}

#[user_doc(
    doc_section(label = "Date and time"),
    description = "A part of a date, time or interval, as double precision. Of a date, as of its midnight. Otherwise as extract.",
    syntax_example = "date_part(field, x)",
    argument(name = "field", description = "as for extract, as text"),
    argument(
        name = "x",
        description = "date, time, timestamp, timestamp with time zone or interval"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct DatePart {
    signature: Signature,
}

impl DatePart {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for DatePart {
    described!("date_part");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let mut types = coerced("date_part", given)?;
        if types[1] == DataType::Date32 {
            types[1] = clock_type();
        }
        Ok(types)
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let of = args.args[1].data_type();
        let scale = match constant_text(&args.args[0]).flatten() {
            Some(name) => shape(known(&name, &of)?, &of).1,
            None => 0,
        };
        let unit = 10_f64.powi(scale.into());
        let mut builder = Float64Builder::with_capacity(args.number_rows);
        let put = |part: Option<Part>| {
            match part {
                None => builder.append_null(),
                Some(Part::Number(number)) => builder.append_value(number as f64 / unit),
                Some(Part::Infinite(positive)) => builder.append_value(match positive {
                    true => f64::INFINITY,
                    false => f64::NEG_INFINITY,
                }),
                Some(Part::Julian { day, time }) => {
                    builder.append_value(day as f64 + time as f64 / DAY as f64);
                }
            }
            Ok(())
        };
        match each_part(&args, put)? {
            None => null(&DataType::Float64),
            Some(()) => as_given(Arc::new(builder.finish()), is_scalar(&args.args[1..])),
        }
    }
}

fn coerced(function: &str, given: &[DataType]) -> Result<Vec<DataType>> {
    let [_, of] = given else {
        return Err(no_such_function(function, given).into());
    };
    let of = match of {
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => time_type(),
        DataType::Timestamp(_, None) => clock_type(),
        DataType::Timestamp(_, Some(_)) => moment_type(),
        DataType::Interval(_) | DataType::Duration(_) => span_type(),
        unknown if is_unknown(unknown) => moment_type(),
        _ => return Err(no_such_function(function, given).into()),
    };
    Ok(vec![DataType::Utf8, of])
}

enum Part {
    /// In units of the field's scale.
    Number(i128),
    /// Whether it is above all.
    Infinite(bool),
    /// Whole days and microseconds of the day.
    Julian { day: i64, time: i64 },
}

/// The field, if the type has it.
fn known(name: &str, of: &DataType) -> Result<Field, Refusal> {
    use Field as F;
    let field = Field::parse(name).ok_or_else(|| not_recognized(name, type_name(of)))?;
    let of_clock = matches!(
        field,
        F::Microseconds | F::Milliseconds | F::Second | F::Minute | F::Hour
    );
    let of_zone = matches!(field, F::Timezone | F::TimezoneHour | F::TimezoneMinute);
    let has = match of {
        DataType::Date32 => !of_clock && !of_zone,
        DataType::Time64(_) => of_clock || field == F::Epoch,
        DataType::Interval(_) => {
            of_clock
                || matches!(
                    field,
                    F::Day
                        | F::Month
                        | F::Quarter
                        | F::Year
                        | F::Decade
                        | F::Century
                        | F::Millennium
                        | F::Epoch
                )
        }
        DataType::Timestamp(_, None) => !of_zone,
        _ => true,
    };
    match has {
        true => Ok(field),
        false => Err(not_supported(name, type_name(of))),
    }
}

/// Digits and scale of the numeric.
fn shape(field: Field, of: &DataType) -> (u8, i8) {
    match (field, of) {
        (Field::Second, _) => (10, 6),
        (Field::Milliseconds, _) => (10, 3),
        (Field::Epoch, DataType::Date32) => (18, 0),
        (Field::Epoch, _) => (22, 6),
        _ => (10, 0),
    }
}

/// `None` if the field is NULL for all.
fn each_part(
    args: &ScalarFunctionArgs,
    mut put: impl FnMut(Option<Part>) -> Result<(), Refusal>,
) -> Result<Option<()>> {
    let Some(name) = constant_text(&args.args[0]) else {
        return Err(Refusal::not_supported(
            "a field of extract or date_part that differs from row to row is not supported",
            "Use CASE with one call for each field.",
        )
        .into());
    };
    let Some(name) = name else { return Ok(None) };
    let of = args.args[1].data_type();
    let field = known(&name, &of)?;
    let array = args.args[1].to_array(args.number_rows)?;
    match of {
        DataType::Date32 => {
            for day in array.as_primitive::<Date32Type>() {
                put(day.and_then(|day| match is_finite_date(day) {
                    true => of_date(field, day.into()),
                    false => of_infinity(field, day > 0),
                }))?;
            }
        }
        DataType::Time64(_) => {
            for time in array.as_primitive::<Time64MicrosecondType>() {
                put(time.and_then(|time| match field {
                    Field::Epoch => Some(Part::Number(time.into())),
                    field => of_clock(field, time),
                }))?;
            }
        }
        DataType::Interval(_) => {
            for span in array.as_primitive::<IntervalMonthDayNanoType>() {
                put(span.and_then(|span| of_span(field, span.into())))?;
            }
        }
        DataType::Timestamp(_, zone) => {
            let zone = match zone {
                Some(_) => Zone::of_session(&args.config_options)?,
                None => Zone::UTC,
            };
            let mut clocks = Clocks::of(zone);
            for at in array.as_primitive::<TimestampMicrosecondType>() {
                put(at.and_then(|at| match is_finite(at) {
                    true => of_moment(field, at, &mut clocks),
                    false => of_infinity(field, at == INFINITY),
                }))?;
            }
        }
        other => {
            if array.null_count() < array.len() {
                return Err(no_such_function("extract", &[other]).into());
            }
            for _ in 0..array.len() {
                put(None)?;
            }
        }
    }
    Ok(Some(()))
}

fn number(value: i64) -> Option<Part> {
    Some(Part::Number(value.into()))
}

#[inline]
fn of_clock(field: Field, time: i64) -> Option<Part> {
    match field {
        Field::Microseconds | Field::Second | Field::Milliseconds => number(time % MINUTE),
        Field::Minute => number(time / MINUTE % 60),
        Field::Hour => number(time / HOUR),
        _ => None,
    }
}

#[inline]
fn of_date(field: Field, day: i64) -> Option<Part> {
    let era = |year: i64| if year > 0 { year } else { year - 1 };
    let centuries = |of: i64| {
        let year = civil(day).year;
        match year > 0 {
            true => (year + of - 1) / of,
            false => -((of - 1 - (year - 1)) / of),
        }
    };
    number(match field {
        Field::Day => civil(day).day,
        Field::Month => civil(day).month,
        Field::Quarter => (civil(day).month - 1) / 3 + 1,
        Field::Week => iso_week(day).1,
        Field::Year => era(civil(day).year),
        Field::Decade => civil(day).year.div_euclid(10),
        Field::Century => centuries(100),
        Field::Millennium => centuries(1_000),
        Field::Julian => day + JULIAN,
        Field::IsoYear => era(iso_week(day).0),
        Field::DayOfWeek => day_of_week(day),
        Field::IsoDayOfWeek => (day_of_week(day) + 6) % 7 + 1,
        Field::DayOfYear => day_of_year(day),
        Field::Epoch => day * 86_400,
        _ => return None,
    })
}

#[inline]
fn of_moment(field: Field, at: i64, clocks: &mut Clocks) -> Option<Part> {
    match field {
        Field::Epoch => return number(at),
        Field::Timezone => return number(clocks.offset(at) / SECOND),
        Field::TimezoneHour => return number(clocks.offset(at) / HOUR),
        Field::TimezoneMinute => return number(clocks.offset(at) / MINUTE % 60),
        _ => {}
    }
    let local = clocks.local(at);
    let (day, time) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    match field {
        Field::Julian => Some(Part::Julian {
            day: day + JULIAN,
            time,
        }),
        Field::Microseconds | Field::Milliseconds | Field::Second | Field::Minute | Field::Hour => {
            of_clock(field, time)
        }
        field => of_date(field, day),
    }
}

fn of_infinity(field: Field, positive: bool) -> Option<Part> {
    match field {
        Field::Year
        | Field::Decade
        | Field::Century
        | Field::Millennium
        | Field::Julian
        | Field::IsoYear
        | Field::Epoch => Some(Part::Infinite(positive)),
        _ => None,
    }
}

fn of_span(field: Field, span: Span) -> Option<Part> {
    let (years, months) = (i64::from(span.months / 12), i64::from(span.months % 12));
    number(match field {
        Field::Microseconds | Field::Second | Field::Milliseconds => span.micros % MINUTE,
        Field::Minute => span.micros / MINUTE % 60,
        Field::Hour => span.micros / HOUR,
        Field::Day => span.days.into(),
        Field::Month => months,
        Field::Quarter => months / 3 + 1,
        Field::Year => years,
        Field::Decade => years / 10,
        Field::Century => years / 100,
        Field::Millennium => years / 1_000,
        Field::Epoch => {
            // A year has 365.25 days here, a month 30.
            let quarter_days =
                i128::from(years) * 1_461 + i128::from(months) * 120 + i128::from(span.days) * 4;
            let micros = quarter_days * i128::from(DAY / 4) + i128::from(span.micros);
            return Some(Part::Number(micros));
        }
        _ => return None,
    })
}
