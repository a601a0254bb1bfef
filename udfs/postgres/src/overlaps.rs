//! `overlaps`, which `(a, b) OVERLAPS (c, d)` is another word for.

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType};
use datafusion_common::Result;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, clock_type, described, is_scalar, is_unknown, moment_type, no_such_function,
    span_type, time_type,
};
use crate::operators::plus;
use crate::refusal::Refusal;
use crate::span::Span;
use crate::zone::{Clocks, DAY, Zone};

#[user_doc(
    doc_section(label = "Date and time"),
    description = "Whether two periods have a moment in common. A period holds its beginning and not its end, unless they are \
                   the same; its ends may be given in either order.",
    syntax_example = "(a, b) OVERLAPS (c, d)",
    argument(name = "a", description = "date, time or timestamp"),
    argument(name = "b", description = "as a, or an interval counted from it"),
    argument(name = "c", description = "as a"),
    argument(name = "d", description = "as b")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Overlaps {
    signature: Signature,
}

impl Overlaps {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for Overlaps {
    described!("overlaps");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let refused = || Err(no_such_function("overlaps", given).into());
        let is_span = |data_type: &DataType| matches!(data_type, DataType::Interval(_));
        let [a, b, c, d] = given else {
            return refused();
        };
        if is_span(a) || is_span(c) {
            return refused();
        }
        let moments: Vec<&DataType> = given.iter().filter(|given| !is_span(given)).collect();
        let all = |takes: &dyn Fn(&DataType) -> bool| moments.iter().all(|given| takes(given));
        let any = |takes: &dyn Fn(&DataType) -> bool| moments.iter().any(|given| takes(given));
        let is_time = |data_type: &DataType| matches!(data_type, DataType::Time64(_));
        let of = if any(&is_time) {
            if !all(&|given| is_time(given) || is_unknown(given)) {
                return refused();
            }
            time_type()
        } else if !all(&|given| {
            matches!(given, DataType::Timestamp(..) | DataType::Date32) || is_unknown(given)
        }) {
            return refused();
        } else if any(&|given| matches!(given, DataType::Timestamp(_, None)))
            && !any(&|given| matches!(given, DataType::Timestamp(_, Some(_))))
        {
            clock_type()
        } else {
            moment_type()
        };
        let end = |data_type: &DataType| match is_span(data_type) {
            true => span_type(),
            false => of.clone(),
        };
        Ok(vec![of.clone(), end(b), of.clone(), end(d)])
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone = match args.args[0].data_type() {
            DataType::Timestamp(_, Some(_)) => Zone::of_session(&args.config_options)?,
            _ => Zone::UTC,
        };
        let mut clocks = Clocks::of(zone);
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [a, b, c, d] = arrays.as_slice() else {
            return Err(no_such_function("overlaps", &[]).into());
        };
        let (a, c) = (numbers(a)?, numbers(c)?);
        let of_day = args.args[0].data_type() == time_type();
        let end = |begins: &[Option<i64>],
                   array: &ArrayRef,
                   clocks: &mut Clocks|
         -> Result<Vec<Option<i64>>> {
            let ends = ends(begins, array, clocks)?;
            let wrapped = ends.into_iter().map(|end| match (end, of_day) {
                (Some(end), true) if end != DAY => Some(end.rem_euclid(DAY)),
                (end, _) => end,
            });
            Ok(wrapped.collect())
        };
        let (b, d) = (end(&a, b, &mut clocks)?, end(&c, d, &mut clocks)?);
        let mut answers = BooleanBuilder::with_capacity(a.len());
        for row in 0..a.len() {
            answers.append_option(overlap((a[row], b[row]), (c[row], d[row])));
        }
        as_given(std::sync::Arc::new(answers.finish()), is_scalar(&args.args))
    }
}

fn numbers(array: &ArrayRef) -> Result<Vec<Option<i64>>> {
    let numbers = cast(array, &DataType::Int64)?;
    Ok(numbers.as_primitive::<Int64Type>().iter().collect())
}

fn ends(begins: &[Option<i64>], array: &ArrayRef, clocks: &mut Clocks) -> Result<Vec<Option<i64>>> {
    let DataType::Interval(_) = array.data_type() else {
        return numbers(array);
    };
    let spans = array.as_primitive::<IntervalMonthDayNanoType>();
    let ends = begins
        .iter()
        .zip(spans)
        .map(|(begin, span)| match (begin, span) {
            (Some(begin), Some(span)) => plus(*begin, Span::from(span), clocks).map(Some),
            _ => Ok(None),
        });
    Ok(ends.collect::<Result<Vec<_>, Refusal>>()?)
}

type Period = (Option<i64>, Option<i64>);

/// What is missing may make the answer unknown.
fn overlap(first: Period, second: Period) -> Option<bool> {
    let (begin1, end1) = ordered(first)?;
    let (begin2, end2) = ordered(second)?;
    match begin1.cmp(&begin2) {
        std::cmp::Ordering::Greater => within(begin1, end1, end2),
        std::cmp::Ordering::Less => within(begin2, end2, end1),
        std::cmp::Ordering::Equal => (end1.is_some() && end2.is_some()).then_some(true),
    }
}

/// Whether the period that begins later begins before the other ends.
fn within(later: i64, its_end: Option<i64>, other_end: Option<i64>) -> Option<bool> {
    match later < other_end? {
        true => Some(true),
        false => its_end.map(|_| false),
    }
}

fn ordered(period: Period) -> Option<(i64, Option<i64>)> {
    match period {
        (Some(begin), Some(end)) => Some((begin.min(end), Some(begin.max(end)))),
        (Some(one), None) | (None, Some(one)) => Some((one, None)),
        (None, None) => None,
    }
}
