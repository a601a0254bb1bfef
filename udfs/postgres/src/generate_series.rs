//! `generate_series` as an array, for each row of its own: numbers, and times by the clocks of the session's zone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, PrimitiveArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, FieldRef, Int32Type, Int64Type, IntervalMonthDayNanoType,
    TimestampMicrosecondType,
};
use datafusion_common::{Result, internal_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion_macros::user_doc;

use crate::arguments::{
    as_given, clock_type, described, is_integer, is_scalar, is_unknown, moment_type,
    no_such_function, span_type,
};
use crate::operators::steps;
use crate::refusal::Refusal;
use crate::simple::bounded;
use crate::span::Span;
use crate::zone::Zone;

const NAME: &str = "generate_series";
/// Of one row.
const MOST: usize = 10_000_000;

#[user_doc(
    doc_section(label = "Arrays"),
    description = "The numbers or times from one to another, step by step, both ends among them. NULL if an argument is NULL. A step of zero is refused (22023).",
    syntax_example = "generate_series(start, stop [, step])",
    argument(
        name = "start",
        description = "integer, bigint, timestamp or timestamp with time zone"
    ),
    argument(name = "stop", description = "as start"),
    argument(
        name = "step",
        description = "as start, 1 if left out; of times an interval"
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct GenerateSeries {
    signature: Signature,
}

impl GenerateSeries {
    pub(crate) fn new() -> Self {
        // Never computed while the plan is made: it makes much of little.
        Self {
            signature: Signature::user_defined(Volatility::Volatile),
        }
    }
}

impl ScalarUDFImpl for GenerateSeries {
    described!("generate_series");

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let is_whole = |given: &DataType| is_integer(given) || given.is_null();
        match given {
            [_, _] | [_, _, _] if given.iter().all(is_whole) => {
                let is_wide = |given: &DataType| given == &DataType::Int64;
                let of = match given.iter().any(is_wide) {
                    true => DataType::Int64,
                    false => DataType::Int32,
                };
                Ok(vec![of; given.len()])
            }
            [start, stop, step] => {
                let is_time = |given: &DataType| {
                    matches!(given, DataType::Timestamp(..) | DataType::Date32) || is_unknown(given)
                };
                let is_step = matches!(step, DataType::Interval(_) | DataType::Duration(_))
                    || is_unknown(step);
                if !is_time(start) || !is_time(stop) || !is_step {
                    return Err(no_such_function(NAME, given).into());
                }
                let has_zone = |given: &DataType| matches!(given, DataType::Timestamp(_, Some(_)));
                let is_clock = |given: &DataType| matches!(given, DataType::Timestamp(_, None));
                let clock =
                    !has_zone(start) && !has_zone(stop) && (is_clock(start) || is_clock(stop));
                let of = if clock { clock_type() } else { moment_type() };
                Ok(vec![of.clone(), of, span_type()])
            }
            _ => Err(no_such_function(NAME, given).into()),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let item = Field::new_list_field(given[0].clone(), true);
        Ok(DataType::List(Arc::new(item)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::List(item) = args.return_field.data_type() else {
            return internal_err!("generate_series answers an array");
        };
        let scalar = is_scalar(&args.args);
        let rows = if scalar { 1 } else { args.number_rows };
        let given = ColumnarValue::values_to_arrays(&args.args)?;
        let lists = match item.data_type() {
            DataType::Int32 => wholes::<Int32Type>(&given, item, rows)?,
            DataType::Int64 => wholes::<Int64Type>(&given, item, rows)?,
            _ => {
                let zone = match item.data_type() {
                    DataType::Timestamp(_, None) => Zone::UTC,
                    _ => Zone::of_session(&args.config_options)?,
                };
                let starts = given[0].as_primitive::<TimestampMicrosecondType>();
                let stops = given[1].as_primitive::<TimestampMicrosecondType>();
                let spans = given[2].as_primitive::<IntervalMonthDayNanoType>();
                lists::<TimestampMicrosecondType>(&given, item, rows, |row| {
                    let step = Span::from(spans.value(row));
                    steps(starts.value(row), stops.value(row), step, zone, MOST)
                })?
            }
        };
        as_given(lists, scalar)
    }
}

fn wholes<T: ArrowPrimitiveType>(
    given: &[ArrayRef],
    item: &FieldRef,
    rows: usize,
) -> Result<ArrayRef>
where
    T::Native: TryFrom<i64>,
{
    let wide = |array: &ArrayRef| arrow::compute::cast(array, &DataType::Int64);
    let wide = given.iter().map(wide).collect::<Result<Vec<_>, _>>()?;
    let value = |argument: usize, row: usize| wide[argument].as_primitive::<Int64Type>().value(row);
    lists::<T>(given, item, rows, |row| {
        let (start, stop) = (value(0, row), value(1, row));
        let step = if given.len() > 2 { value(2, row) } else { 1 };
        if step == 0 {
            return Err(Refusal::invalid_parameter("step size cannot equal zero"));
        }
        let mut items = vec![];
        let mut at = Some(start);
        while let Some(now) = at.filter(|now| if step > 0 { *now <= stop } else { *now >= stop }) {
            if items.len() == MOST {
                return Err(Refusal::not_supported(
                    format!("a series of more than {MOST} numbers for each row is not supported"),
                    "Make it shorter, or its steps longer.",
                ));
            }
            let Ok(item) = T::Native::try_from(now) else {
                break;
            };
            items.push(item);
            at = now.checked_add(step);
        }
        Ok(items)
    })
}

/// NULL where an argument is.
fn lists<T: ArrowPrimitiveType>(
    given: &[ArrayRef],
    item: &FieldRef,
    rows: usize,
    series: impl Fn(usize) -> Result<Vec<T::Native>, Refusal>,
) -> Result<ArrayRef> {
    let mut values: Vec<T::Native> = vec![];
    let mut lengths = Vec::with_capacity(rows);
    let mut valid = Vec::with_capacity(rows);
    for row in 0..rows {
        let is_known = given.iter().all(|array| array.is_valid(row));
        let before = values.len();
        if is_known {
            values.extend(series(row)?);
            bounded(values.len().saturating_mul(size_of::<T::Native>()))?;
        }
        lengths.push(values.len() - before);
        valid.push(is_known);
    }
    let values = PrimitiveArray::<T>::from_iter_values(values);
    let values = values.with_data_type(item.data_type().clone());
    Ok(Arc::new(ListArray::try_new(
        item.clone(),
        OffsetBuffer::from_lengths(lengths),
        Arc::new(values),
        Some(NullBuffer::from(valid)),
    )?))
}
