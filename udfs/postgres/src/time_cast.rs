//! Casts between dates, times, intervals and text, in the session's time zone.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use datafusion_common::Result;
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::arguments::{
    as_given, clock_type, is_scalar, is_text, map_text, map1, moment_type, span_type, texts,
    time_type, type_name,
};
use crate::moment::{
    DATE_INFINITY, DATE_MINUS_INFINITY, INFINITY, MINUS_INFINITY, Reading, is_finite,
};
use crate::operators::start_of;
use crate::refusal::Refusal;
use crate::span::{Span, Units};
use crate::written;
use crate::zone::{Clocks, DAY, SECOND, Zone};

/// What `CAST(x AS type)` is for these types, or `None` if it is none of ours: an ordinary cast will do, or there is none.
pub fn time_cast(from: &DataType, to: &DataType) -> Option<Arc<ScalarUDF>> {
    use DataType as D;
    let to = match to {
        D::Timestamp(_, None) => clock_type(),
        D::Timestamp(_, Some(_)) => moment_type(),
        D::Interval(_) => span_type(),
        D::Time64(_) => time_type(),
        D::Date32 => D::Date32,
        text if is_text(text) => D::Utf8,
        _ => return None,
    };
    let ours = match (from, &to) {
        (D::Date32, D::Timestamp(..) | D::Utf8) => true,
        (D::Timestamp(_, None), D::Date32 | D::Time64(_) | D::Timestamp(_, Some(_)) | D::Utf8) => {
            true
        }
        (D::Timestamp(_, Some(_)), D::Date32 | D::Time64(_) | D::Timestamp(_, None) | D::Utf8) => {
            true
        }
        (D::Time64(_), D::Interval(_) | D::Utf8) => true,
        (D::Interval(_), D::Time64(_) | D::Utf8) => true,
        (text, D::Date32 | D::Timestamp(..) | D::Time64(_) | D::Interval(_)) => is_text(text),
        _ => false,
    };
    ours.then(|| Arc::new(ScalarUDF::from(TimeCast::new(to))))
}

/// Whether PostgreSQL knows no such cast.
pub fn has_no_time_cast(from: &DataType, to: &DataType) -> bool {
    use DataType as D;
    let is_time = |data_type: &D| {
        matches!(
            data_type,
            D::Date32 | D::Timestamp(..) | D::Time64(_) | D::Interval(_)
        )
    };
    match (from, to) {
        (D::Date32, D::Timestamp(..) | D::Date32) => false,
        (D::Timestamp(..), D::Timestamp(..) | D::Date32 | D::Time64(_)) => false,
        (D::Time64(_), D::Time64(_) | D::Interval(_)) => false,
        (D::Interval(_), D::Interval(_) | D::Time64(_)) => false,
        (D::Null | D::Duration(_), _) | (_, D::Duration(_)) => false,
        (from, to) if is_text(from) || is_text(to) => false,
        (D::Dictionary(..), _) | (_, D::Dictionary(..)) => false,
        (from, to) => is_time(from) || is_time(to),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeCast {
    to: DataType,
    signature: Signature,
}

impl TimeCast {
    fn new(to: DataType) -> Self {
        Self {
            to,
            signature: Signature::any(1, Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for TimeCast {
    fn name(&self) -> &str {
        match &self.to {
            DataType::Date32 => "to date",
            DataType::Timestamp(_, None) => "to timestamp",
            DataType::Timestamp(..) => "to timestamptz",
            DataType::Time64(_) => "to time",
            DataType::Interval(_) => "to interval",
            _ => "to text",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = &args.args[0];
        let from = value.data_type();
        let zone = Zone::of_session(&args.config_options)?;
        if self.to == DataType::Utf8 {
            return to_text(value, zone);
        }
        if is_text(&from) {
            let reading = Reading::of(&args.config_options)?;
            return self.read(value, reading, args.number_rows);
        }
        self.convert(value, &from, zone)
    }
}

type Moments = TimestampMicrosecondType;

impl TimeCast {
    fn convert(&self, value: &ColumnarValue, from: &DataType, zone: Zone) -> Result<ColumnarValue> {
        use DataType as D;
        let to = &self.to;
        let clocks = || Clocks::of(zone);
        match (from, to) {
            (D::Date32, D::Timestamp(_, None)) => map1::<Date32Type, Moments>(value, to, start_of),
            (D::Date32, D::Timestamp(_, Some(_))) => {
                let mut clocks = clocks();
                map1::<Date32Type, Moments>(value, to, |date| {
                    let start = start_of(date)?;
                    Ok(if is_finite(start) {
                        clocks.moment(start)
                    } else {
                        start
                    })
                })
            }
            (D::Timestamp(_, None), D::Timestamp(_, Some(_))) => {
                let mut clocks = clocks();
                map1::<Moments, Moments>(value, to, |at| {
                    Ok(if is_finite(at) { clocks.moment(at) } else { at })
                })
            }
            (D::Timestamp(_, Some(_)), D::Timestamp(_, None)) => {
                let mut clocks = clocks();
                map1::<Moments, Moments>(value, to, |at| {
                    Ok(if is_finite(at) { clocks.local(at) } else { at })
                })
            }
            (D::Timestamp(_, of), D::Date32) => {
                let mut clocks = Clocks::of(if of.is_some() { zone } else { Zone::UTC });
                map1::<Moments, Date32Type>(value, to, |at| match at {
                    INFINITY => Ok(DATE_INFINITY),
                    MINUS_INFINITY => Ok(DATE_MINUS_INFINITY),
                    at => Ok(clocks.local(at).div_euclid(DAY) as i32),
                })
            }
            (D::Timestamp(_, of), D::Time64(_)) => {
                let mut clocks = Clocks::of(if of.is_some() { zone } else { Zone::UTC });
                let moments = value.to_array(1)?;
                let moments = moments.as_primitive::<Moments>().iter();
                // What is infinite has no time of day.
                let times = moments.map(|at| {
                    let at = at.filter(|at| is_finite(*at))?;
                    Some(clocks.local(at).rem_euclid(DAY))
                });
                let times: PrimitiveArray<Time64MicrosecondType> = times.collect();
                as_given(Arc::new(times), is_scalar(std::slice::from_ref(value)))
            }
            (D::Time64(_), D::Interval(_)) => {
                map1::<Time64MicrosecondType, IntervalMonthDayNanoType>(value, to, |time| {
                    Span::new(0, 0, time).to_arrow()
                })
            }
            (D::Interval(_), D::Time64(_)) => {
                map1::<IntervalMonthDayNanoType, Time64MicrosecondType>(value, to, |span| {
                    Ok(Span::from(span).micros.rem_euclid(DAY))
                })
            }
            (from, to) => Err(Refusal::new(
                "42846",
                format!("cannot cast type {} to {}", type_name(from), type_name(to)),
            )
            .into()),
        }
    }

    fn read(&self, value: &ColumnarValue, reading: Reading, rows: usize) -> Result<ColumnarValue> {
        let rows = if is_scalar(std::slice::from_ref(value)) {
            1
        } else {
            rows
        };
        let array: ArrayRef = match &self.to {
            DataType::Date32 => each::<Date32Type>(value, rows, |text| reading.date(text))?,
            DataType::Timestamp(_, None) => {
                each::<Moments>(value, rows, |text| reading.timestamp(text))?
            }
            DataType::Timestamp(..) => {
                each::<Moments>(value, rows, |text| reading.timestamptz(text))?
            }
            DataType::Time64(_) => {
                each::<Time64MicrosecondType>(value, rows, |text| reading.time(text))?
            }
            _ => each::<IntervalMonthDayNanoType>(value, rows, |text| {
                Span::parse(text, Units::default())?.to_arrow()
            })?,
        };
        let array = match &self.to {
            DataType::Timestamp(_, Some(_)) => {
                arrow::compute::cast(&arrow::compute::cast(&array, &DataType::Int64)?, &self.to)?
            }
            _ => array,
        };
        as_given(array, is_scalar(std::slice::from_ref(value)))
    }
}

fn each<R: ArrowPrimitiveType>(
    value: &ColumnarValue,
    rows: usize,
    read: impl Fn(&str) -> Result<R::Native, Refusal>,
) -> Result<ArrayRef> {
    let texts = texts(value, rows)?;
    let mut builder = arrow::array::PrimitiveBuilder::<R>::with_capacity(rows);
    for text in &texts {
        match text {
            Some(text) => builder.append_value(read(text)?),
            None => builder.append_null(),
        }
    }
    let array: PrimitiveArray<R> = builder.finish();
    Ok(Arc::new(array))
}

fn to_text(value: &ColumnarValue, zone: Zone) -> Result<ColumnarValue> {
    match value.data_type() {
        DataType::Date32 => map_text::<Date32Type>(value, |day, out| {
            written::push_date(out, day);
            Ok(true)
        }),
        DataType::Timestamp(_, None) => map_text::<Moments>(value, |at, out| {
            written::push_timestamp(out, at);
            Ok(true)
        }),
        DataType::Timestamp(..) => {
            let mut clocks = Clocks::of(zone);
            map_text::<Moments>(value, |at, out| {
                let offset = if is_finite(at) {
                    clocks.offset(at) / SECOND
                } else {
                    0
                };
                written::push_timestamptz(out, at, offset as i32);
                Ok(true)
            })
        }
        DataType::Time64(_) => map_text::<Time64MicrosecondType>(value, |time, out| {
            written::push_time(out, time);
            Ok(true)
        }),
        _ => map_text::<IntervalMonthDayNanoType>(value, |span, out| {
            Span::from(span).push_text(out);
            Ok(true)
        }),
    }
}
