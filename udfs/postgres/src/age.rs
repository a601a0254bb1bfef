//! `age`: the difference of two times in years, months and days, as people count them.

use arrow::datatypes::{DataType, IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    clock_type, described, is_unknown, map2, moment_type, no_such_function, span_type,
};
use crate::calendar::{Civil, civil, days_in_month};
use crate::clock::Clock;
use crate::moment::is_finite;
use crate::refusal::Refusal;
use crate::span::Span;
use crate::zone::{Clocks, DAY, Zone};

#[user_doc(
    doc_section(label = "Date and time"),
    description = "The time between two moments in years, months, days and a rest; from today's midnight if only one is given. NULL if an argument is NULL.",
    syntax_example = "age(end [, begin])",
    argument(
        name = "end",
        description = "date, timestamp or timestamp with time zone"
    ),
    argument(
        name = "begin",
        description = "as end; without it, end is the beginning"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Age {
    signature: Signature,
}

impl Age {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for Age {
    described!("age");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if !(1..=2).contains(&given.len()) {
            return Err(no_such_function("age", given).into());
        }
        let takes = |data_type: &DataType| {
            matches!(data_type, DataType::Timestamp(..) | DataType::Date32) || is_unknown(data_type)
        };
        if !given.iter().all(takes) {
            return Err(no_such_function("age", given).into());
        }
        // A date alone is taken for a moment with time zone.
        let clock = given
            .iter()
            .any(|data_type| matches!(data_type, DataType::Timestamp(_, None)))
            && !given
                .iter()
                .any(|data_type| matches!(data_type, DataType::Timestamp(_, Some(_))));
        let of = if clock { clock_type() } else { moment_type() };
        Ok(vec![of; given.len()])
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(span_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone = match args.args[0].data_type() {
            DataType::Timestamp(_, Some(_)) => Zone::of_session(&args.config_options)?,
            _ => Zone::UTC,
        };
        let (end, begin) = match args.args.as_slice() {
            [begin] => {
                let session = Zone::of_session(&args.config_options)?;
                let mut clocks = Clocks::of(session);
                let now = clocks.local(Clock::of(&args.config_options).transaction);
                let midnight = now.div_euclid(DAY) * DAY;
                let (today, name) = match begin.data_type() {
                    DataType::Timestamp(_, zone @ Some(_)) => (clocks.moment(midnight), zone),
                    _ => (midnight, None),
                };
                let today = ScalarValue::TimestampMicrosecond(Some(today), name);
                (ColumnarValue::Scalar(today), begin.clone())
            }
            [end, begin] => (end.clone(), begin.clone()),
            _ => return Err(no_such_function("age", &[]).into()),
        };
        let mut clocks = Clocks::of(zone);
        map2::<TimestampMicrosecondType, TimestampMicrosecondType, IntervalMonthDayNanoType>(
            &end,
            &begin,
            args.number_rows,
            &span_type(),
            |end, begin| {
                if !is_finite(end) || !is_finite(begin) {
                    return Err(Refusal::not_supported(
                        "age of an infinite moment is not supported",
                        "Leave infinite moments out with isfinite(…).",
                    ));
                }
                between(clocks.local(end), clocks.local(begin), end < begin).to_arrow()
            },
        )
    }
}

/// From what clocks show. A month that is borrowed has the days of the earlier one of the two months.
fn between(end: i64, begin: i64, negative: bool) -> Span {
    let (first, last) = if negative { (end, begin) } else { (begin, end) };
    let of = |local: i64| (civil(local.div_euclid(DAY)), local.rem_euclid(DAY));
    let ((from, from_time), (to, to_time)) = (of(first), of(last));
    let Civil { year, month, .. } = from;
    let mut micros = to_time - from_time;
    let mut days = to.day - from.day;
    let mut months = (to.year - from.year) * 12 + to.month - from.month;
    if micros < 0 {
        micros += DAY;
        days -= 1;
    }
    if days < 0 {
        days += days_in_month(year, month);
        months -= 1;
    }
    let sign = if negative { -1 } else { 1 };
    // All of these are small: the ends lie within the calendar.
    Span::new((sign * months) as i32, (sign * days) as i32, sign * micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::day_of;

    // What PostgreSQL 15 answers.
    fn check(end: (i64, i64, i64), begin: (i64, i64, i64), expected: &str) {
        let at = |(year, month, day)| day_of(year, month, day) * DAY;
        let (end, begin) = (at(end), at(begin));
        let mut shown = String::new();
        between(end, begin, end < begin).push_text(&mut shown);
        assert_eq!(shown, expected);
    }

    #[test]
    fn days_are_borrowed_from_the_earlier_month() {
        check((2001, 4, 10), (1957, 6, 13), "43 years 9 mons 27 days");
        check((2024, 3, 1), (2024, 1, 31), "1 mon 1 day");
        check((2024, 1, 31), (2024, 3, 1), "-1 mons -1 days");
        check((2024, 2, 29), (2023, 2, 28), "1 year 1 day");
        check((2024, 3, 30), (2024, 3, 30), "00:00:00");
    }
}
