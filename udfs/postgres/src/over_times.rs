//! `coalesce`, `greatest` and `least` of dates, times and intervals, beside what DataFusion's own functions of these names do.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, FieldRef, IntervalMonthDayNanoType};
use datafusion_common::Result;
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use crate::arguments::{
    as_given, clock_type, is_scalar, is_unknown, moment_type, span_type, time_type,
};
use crate::span::Span;

/// The functions of the list, those that take their arguments for one type extended by PostgreSQL's rules for times.
pub fn over_times(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    functions
        .into_iter()
        .map(|function| match function.name() {
            "coalesce" | "greatest" | "least" => Arc::new(ScalarUDF::from(OverTimes {
                signature: Signature::user_defined(Volatility::Immutable),
                inner: function,
            })),
            _ => function,
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OverTimes {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

/// The one type of times that all have room in; `None` if there is none, or nothing is a time.
fn common_time(given: &[DataType]) -> Option<DataType> {
    let mut known = given.iter().filter(|data_type| !is_unknown(data_type));
    let first = kind(known.next()?)?;
    known.try_fold(first, |common, other| widest(&common, &kind(other)?))
}

fn kind(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Date32 => Some(DataType::Date32),
        DataType::Timestamp(_, None) => Some(clock_type()),
        DataType::Timestamp(_, Some(_)) => Some(moment_type()),
        DataType::Time64(_) => Some(time_type()),
        DataType::Interval(_) | DataType::Duration(_) => Some(span_type()),
        _ => None,
    }
}

/// The type that both times are cast to where they meet: a date is a timestamp, and that one is one with time zone. `None`
/// if PostgreSQL casts neither to the other, or one is no time.
pub fn widest(left: &DataType, right: &DataType) -> Option<DataType> {
    let rank = |data_type: &DataType| match data_type {
        DataType::Date32 => 1,
        DataType::Timestamp(_, None) => 2,
        DataType::Timestamp(_, Some(_)) => 3,
        _ => 0,
    };
    let (left, right) = (kind(left)?, kind(right)?);
    if left == right {
        return Some(left);
    }
    match (rank(&left), rank(&right)) {
        (0, _) | (_, 0) => None,
        (of_left, of_right) if of_left < of_right => Some(right),
        _ => Some(left),
    }
}

impl ScalarUDFImpl for OverTimes {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match common_time(given) {
            Some(common) => Ok(vec![common; given.len()]),
            None => self.inner.coerce_types(given),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.inner.return_type(given)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (self.name(), args.return_field.data_type()) {
            ("greatest", DataType::Interval(_)) => extreme(&args, Ordering::Greater),
            ("least", DataType::Interval(_)) => extreme(&args, Ordering::Less),
            _ => self.inner.invoke_with_args(args),
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn conditional_arguments<'a>(
        &self,
        args: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// Of intervals that are equal, such as a month and 30 days, the first.
fn extreme(args: &ScalarFunctionArgs, wanted: Ordering) -> Result<ColumnarValue> {
    let scalar = is_scalar(&args.args);
    let rows = if scalar { 1 } else { args.number_rows };
    let columns = args
        .args
        .iter()
        .map(|value| {
            let column = value.to_array(rows)?;
            Ok(column.as_primitive::<IntervalMonthDayNanoType>().clone())
        })
        .collect::<Result<Vec<_>>>()?;
    let chosen: IntervalMonthDayNanoArray = (0..rows)
        .map(|row| {
            let values = columns
                .iter()
                .filter(|column| column.is_valid(row))
                .map(|column| column.value(row));
            values.reduce(|best, value| {
                let order = Span::from(value).weight().cmp(&Span::from(best).weight());
                if order == wanted { value } else { best }
            })
        })
        .collect();
    let chosen: ArrayRef = Arc::new(chosen);
    as_given(chosen, scalar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[DataType], expected: Option<DataType>) {
        assert_eq!(common_time(given), expected);
    }

    #[test]
    fn a_text_is_read_as_the_time_beside_it() {
        check(&[DataType::Date32, DataType::Utf8], Some(DataType::Date32));
        check(&[DataType::Null, clock_type()], Some(clock_type()));
    }

    #[test]
    fn moments_meet_in_the_widest() {
        check(&[moment_type(), DataType::Date32], Some(moment_type()));
        check(&[DataType::Date32, clock_type()], Some(clock_type()));
        check(&[time_type(), time_type()], Some(time_type()));
    }

    #[test]
    fn what_is_no_time_is_left_alone() {
        check(&[DataType::Utf8, DataType::Null], None);
        check(&[DataType::Int32, DataType::Date32], None);
        check(&[DataType::Date32, span_type()], None);
        check(&[time_type(), span_type()], None);
    }
}
