//! `+`, `-`, `*` and `/` of dates, times and intervals. Which of them is meant is decided where the statement is planned.

use std::sync::Arc;

use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use datafusion_common::Result;
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use crate::arguments::{clock_type, map1, map2, moment_type, span_type, time_type};
use crate::calendar::add_months;
use crate::moment::{date_in_range, in_range, is_finite, is_finite_date};
use crate::refusal::Refusal;
use crate::span::Span;
use crate::zone::{Clocks, DAY, Zone};

/// An operator between two types (of one, where it says so).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeOperator {
    DatePlusInteger,
    DateMinusInteger,
    DateMinusDate,
    DatePlusTime,
    /// Of two timestamps, or of two timestamps with time zone.
    Difference,
    TimestampPlusInterval,
    TimestampMinusInterval,
    TimestamptzPlusInterval,
    TimestamptzMinusInterval,
    TimePlusInterval,
    TimeMinusInterval,
    TimeMinusTime,
    IntervalPlusInterval,
    IntervalMinusInterval,
    IntervalTimesNumber,
    IntervalOverNumber,
    /// Of one interval.
    Minus,
    /// Of one interval: what it is compared by, a number.
    Weight,
}

impl TimeOperator {
    pub fn function(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(Function::new(self)))
    }

    /// The types of the operands, in their order.
    pub fn operands(self) -> Vec<DataType> {
        use TimeOperator as Op;
        match self {
            Op::DatePlusInteger | Op::DateMinusInteger => vec![DataType::Date32, DataType::Int32],
            Op::DateMinusDate => vec![DataType::Date32, DataType::Date32],
            Op::DatePlusTime => vec![DataType::Date32, time_type()],
            Op::Difference => vec![moment_type(), moment_type()],
            Op::TimestampPlusInterval | Op::TimestampMinusInterval => {
                vec![clock_type(), span_type()]
            }
            Op::TimestamptzPlusInterval | Op::TimestamptzMinusInterval => {
                vec![moment_type(), span_type()]
            }
            Op::TimePlusInterval | Op::TimeMinusInterval => vec![time_type(), span_type()],
            Op::TimeMinusTime => vec![time_type(), time_type()],
            Op::IntervalPlusInterval | Op::IntervalMinusInterval => {
                vec![span_type(), span_type()]
            }
            Op::IntervalTimesNumber | Op::IntervalOverNumber => {
                vec![span_type(), DataType::Float64]
            }
            Op::Minus | Op::Weight => vec![span_type()],
        }
    }

    fn result(self) -> DataType {
        use TimeOperator as Op;
        match self {
            Op::DatePlusInteger | Op::DateMinusInteger => DataType::Date32,
            Op::DateMinusDate => DataType::Int32,
            Op::DatePlusTime | Op::TimestampPlusInterval | Op::TimestampMinusInterval => {
                clock_type()
            }
            Op::TimestamptzPlusInterval | Op::TimestamptzMinusInterval => moment_type(),
            Op::TimePlusInterval | Op::TimeMinusInterval => time_type(),
            Op::Weight => DataType::Decimal128(38, 0),
            _ => span_type(),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    operator: TimeOperator,
    signature: Signature,
}

impl Function {
    fn new(operator: TimeOperator) -> Self {
        // A day later is at the same hour of the session's zone.
        let volatility = match operator {
            TimeOperator::TimestamptzPlusInterval | TimeOperator::TimestamptzMinusInterval => {
                Volatility::Stable
            }
            _ => Volatility::Immutable,
        };
        let signature = match operator {
            // Both timestamps or both with a zone: all the same here.
            TimeOperator::Difference => Signature::any(2, volatility),
            // What is an integer in PostgreSQL may be wider here.
            TimeOperator::DatePlusInteger | TimeOperator::DateMinusInteger => Signature::one_of(
                vec![
                    TypeSignature::Exact(operator.operands()),
                    TypeSignature::Exact(vec![DataType::Date32, DataType::Int64]),
                ],
                volatility,
            ),
            other => Signature::exact(other.operands(), volatility),
        };
        Self {
            operator,
            signature,
        }
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        use TimeOperator as Op;
        match self.operator {
            Op::DatePlusInteger | Op::DatePlusTime => "date +",
            Op::DateMinusInteger | Op::DateMinusDate => "date -",
            Op::Difference | Op::TimestampMinusInterval => "timestamp -",
            Op::TimestampPlusInterval => "timestamp +",
            Op::TimestamptzPlusInterval => "timestamptz +",
            Op::TimestamptzMinusInterval => "timestamptz -",
            Op::TimePlusInterval => "time +",
            Op::TimeMinusInterval | Op::TimeMinusTime => "time -",
            Op::IntervalPlusInterval => "interval +",
            Op::IntervalMinusInterval | Op::Minus => "interval -",
            Op::IntervalTimesNumber => "interval *",
            Op::IntervalOverNumber => "interval /",
            Op::Weight => "interval weight",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(self.operator.result())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        use TimeOperator as Op;
        let rows = args.number_rows;
        let result = self.operator.result();
        let values = args.args.as_slice();
        match (self.operator, values) {
            (Op::DatePlusInteger | Op::DateMinusInteger, [date, days]) => {
                let sign = if self.operator == Op::DateMinusInteger {
                    -1
                } else {
                    1
                };
                match days.data_type() {
                    DataType::Int64 => map2::<Date32Type, Int64Type, Date32Type>(
                        date,
                        days,
                        rows,
                        &result,
                        |date, days| date_plus(date, days.saturating_mul(sign)),
                    ),
                    _ => map2::<Date32Type, Int32Type, Date32Type>(
                        date,
                        days,
                        rows,
                        &result,
                        |date, days| date_plus(date, i64::from(days) * sign),
                    ),
                }
            }
            (Op::DateMinusDate, [a, b]) => {
                map2::<Date32Type, Date32Type, Int32Type>(a, b, rows, &result, |a, b| {
                    if !is_finite_date(a) || !is_finite_date(b) {
                        return Err(Refusal::new("22008", "cannot subtract infinite dates"));
                    }
                    a.checked_sub(b)
                        .ok_or_else(|| Refusal::new("22003", "integer out of range"))
                })
            }
            (Op::DatePlusTime, [date, time]) => {
                map2::<Date32Type, Time64MicrosecondType, TimestampMicrosecondType>(
                    date,
                    time,
                    rows,
                    &result,
                    |date, time| match start_of(date)? {
                        start if is_finite(start) => in_range(start.saturating_add(time)),
                        infinite => Ok(infinite),
                    },
                )
            }
            (Op::Difference, [a, b]) => map2::<
                TimestampMicrosecondType,
                TimestampMicrosecondType,
                IntervalMonthDayNanoType,
            >(a, b, rows, &result, |a, b| {
                if !is_finite(a) || !is_finite(b) {
                    return Err(Refusal::new("22008", "cannot subtract infinite timestamps"));
                }
                let micros = a
                    .checked_sub(b)
                    .ok_or_else(Refusal::interval_out_of_range)?;
                let days =
                    i32::try_from(micros / DAY).map_err(|_| Refusal::interval_out_of_range())?;
                Span::new(0, days, micros % DAY).to_arrow()
            }),
            (Op::TimestampPlusInterval | Op::TimestampMinusInterval, [at, span]) => {
                let negate = self.operator == Op::TimestampMinusInterval;
                shift(at, span, rows, &result, negate, Zone::UTC)
            }
            (Op::TimestamptzPlusInterval | Op::TimestamptzMinusInterval, [at, span]) => {
                let negate = self.operator == Op::TimestamptzMinusInterval;
                let zone = Zone::of_session(&args.config_options)?;
                shift(at, span, rows, &result, negate, zone)
            }
            (Op::TimePlusInterval | Op::TimeMinusInterval, [time, span]) => {
                let sign = if self.operator == Op::TimeMinusInterval {
                    -1
                } else {
                    1
                };
                map2::<Time64MicrosecondType, IntervalMonthDayNanoType, Time64MicrosecondType>(
                    time,
                    span,
                    rows,
                    &result,
                    |time, span| Ok((time + sign * (Span::from(span).micros % DAY)).rem_euclid(DAY)),
                )
            }
            (Op::TimeMinusTime, [a, b]) => map2::<
                Time64MicrosecondType,
                Time64MicrosecondType,
                IntervalMonthDayNanoType,
            >(a, b, rows, &result, |a, b| {
                Span::new(0, 0, a - b).to_arrow()
            }),
            (Op::IntervalPlusInterval, [a, b]) => spans(a, b, rows, |a, b| a.checked_add(b)),
            (Op::IntervalMinusInterval, [a, b]) => spans(a, b, rows, |a, b| a.checked_sub(b)),
            (Op::IntervalTimesNumber, [span, number]) => {
                map2::<IntervalMonthDayNanoType, Float64Type, IntervalMonthDayNanoType>(
                    span,
                    number,
                    rows,
                    &result,
                    |span, number| Span::from(span).multiply(number)?.to_arrow(),
                )
            }
            (Op::IntervalOverNumber, [span, number]) => {
                map2::<IntervalMonthDayNanoType, Float64Type, IntervalMonthDayNanoType>(
                    span,
                    number,
                    rows,
                    &result,
                    |span, number| match number {
                        0.0 => Err(Refusal::new("22012", "division by zero")),
                        number => Span::from(span).divide(number)?.to_arrow(),
                    },
                )
            }
            (Op::Minus, [span]) => {
                map1::<IntervalMonthDayNanoType, IntervalMonthDayNanoType>(span, &result, |span| {
                    Span::from(span).checked_neg()?.to_arrow()
                })
            }
            (Op::Weight, [span]) => {
                map1::<IntervalMonthDayNanoType, Decimal128Type>(span, &result, |span| {
                    Ok(Span::from(span).weight())
                })
            }
            _ => Err(Refusal::no_such_function("operator with other operands").into()),
        }
    }
}

fn date_plus(date: i32, days: i64) -> Result<i32, Refusal> {
    if is_finite_date(date) {
        date_in_range(i64::from(date).saturating_add(days))
    } else {
        Ok(date)
    }
}

/// Midnight, in microseconds; the infinities stay.
pub(crate) fn start_of(date: i32) -> Result<i64, Refusal> {
    use crate::moment::{DATE_INFINITY, DATE_MINUS_INFINITY, INFINITY, MINUS_INFINITY};
    match date {
        DATE_INFINITY => Ok(INFINITY),
        DATE_MINUS_INFINITY => Ok(MINUS_INFINITY),
        date => i64::from(date)
            .checked_mul(DAY)
            .ok_or_else(|| Refusal::new("22008", "date out of range for timestamp")),
    }
}

fn spans(
    left: &ColumnarValue,
    right: &ColumnarValue,
    rows: usize,
    each: impl Fn(Span, Span) -> Result<Span, Refusal>,
) -> Result<ColumnarValue> {
    map2::<IntervalMonthDayNanoType, IntervalMonthDayNanoType, IntervalMonthDayNanoType>(
        left,
        right,
        rows,
        &span_type(),
        |left, right| each(left.into(), right.into())?.to_arrow(),
    )
}

fn shift(
    at: &ColumnarValue,
    span: &ColumnarValue,
    rows: usize,
    result: &DataType,
    negate: bool,
    zone: Zone,
) -> Result<ColumnarValue> {
    let mut clocks = Clocks::of(zone);
    map2::<TimestampMicrosecondType, IntervalMonthDayNanoType, TimestampMicrosecondType>(
        at,
        span,
        rows,
        result,
        |at, span| {
            let span = Span::from(span);
            let span = if negate { span.checked_neg()? } else { span };
            plus(at, span, &mut clocks)
        },
    )
}

/// From one moment to another, step by step.
pub fn steps(from: i64, to: i64, step: Span, zone: Zone, most: usize) -> Result<Vec<i64>, Refusal> {
    let forward = match step.weight().signum() {
        0 => return Err(Refusal::invalid_parameter("step size cannot equal zero")),
        sign => sign > 0,
    };
    let mut clocks = Clocks::of(zone);
    let mut moments = vec![];
    let mut at = from;
    while if forward { at <= to } else { at >= to } {
        if moments.len() == most {
            let message = format!("a series of more than {most} times is not supported");
            return Err(Refusal::not_supported(
                message,
                "Make it shorter, or its steps longer.",
            ));
        }
        moments.push(at);
        at = plus(at, step, &mut clocks)?;
    }
    Ok(moments)
}

/// Months first, then days, both on the zone's clocks; then the rest, in elapsed time.
#[inline]
pub(crate) fn plus(at: i64, span: Span, clocks: &mut Clocks) -> Result<i64, Refusal> {
    if !is_finite(at) {
        return Ok(at);
    }
    let mut at = at;
    if span.months != 0 {
        let local = clocks.local(at);
        let day = add_months(local.div_euclid(DAY), span.months.into());
        at = clocks.moment(on_day(day, local.rem_euclid(DAY))?);
    }
    if span.days != 0 {
        let local = clocks.local(at);
        let day = local.div_euclid(DAY) + i64::from(span.days);
        at = clocks.moment(on_day(day, local.rem_euclid(DAY))?);
    }
    in_range(
        at.checked_add(span.micros)
            .ok_or_else(Refusal::timestamp_out_of_range)?,
    )
}

fn on_day(day: i64, time: i64) -> Result<i64, Refusal> {
    day.checked_mul(DAY)
        .and_then(|start| start.checked_add(time))
        .ok_or_else(Refusal::timestamp_out_of_range)
}
