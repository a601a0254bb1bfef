//! What all functions do with their arguments: types, constants, rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use crate::refusal::Refusal;

/// `timestamp without time zone`
pub(crate) fn clock_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// `timestamp with time zone`
pub(crate) fn moment_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// `interval`
pub(crate) fn span_type() -> DataType {
    DataType::Interval(IntervalUnit::MonthDayNano)
}

/// `time without time zone`
pub(crate) fn time_type() -> DataType {
    DataType::Time64(TimeUnit::Microsecond)
}

/// A literal in quotes, a NULL or a parameter: of any type that the place asks for. What a column holds or a cast makes is
/// a view.
pub(crate) fn is_unknown(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Null)
}

/// What is cast to integer. A bigint is taken too: when a statement is planned, literals still are.
pub(crate) fn is_integer(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int16 | DataType::Int32 | DataType::Int64
    ) || is_unknown(data_type)
}

/// What PostgreSQL casts to double precision by itself.
pub(crate) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || is_unknown(data_type)
}

pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
    )
}

/// PostgreSQL's name.
pub(crate) fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Null => "unknown",
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => "numeric",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone",
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea",
        DataType::Utf8 => "unknown",
        DataType::List(_) => "anyarray",
        _ => "text",
    }
}

/// 42883
pub(crate) fn no_such_function(name: &str, given: &[DataType]) -> Refusal {
    let types: Vec<&str> = given.iter().map(type_name).collect();
    Refusal::no_such_function(format!(
        "function {name}({}) does not exist",
        types.join(", ")
    ))
}

/// A text argument that is the same for all rows; outer `None` if it is not, inner if it is NULL.
pub(crate) fn constant_text(argument: &ColumnarValue) -> Option<Option<String>> {
    match argument {
        ColumnarValue::Scalar(scalar) => Some(scalar.try_as_str().flatten().map(str::to_owned)),
        ColumnarValue::Array(_) => None,
    }
}

/// A text argument, one for each row.
pub(crate) fn texts(argument: &ColumnarValue, rows: usize) -> Result<StringArray> {
    let array = cast(&argument.to_array(rows)?, &DataType::Utf8)?;
    Ok(array.as_string::<i32>().clone())
}

pub(crate) fn null(data_type: &DataType) -> Result<ColumnarValue> {
    Ok(ColumnarValue::Scalar(ScalarValue::try_from(data_type)?))
}

/// For each row, from one argument.
pub(crate) fn map1<A: ArrowPrimitiveType, R: ArrowPrimitiveType>(
    argument: &ColumnarValue,
    result: &DataType,
    mut each: impl FnMut(A::Native) -> Result<R::Native, Refusal>,
) -> Result<ColumnarValue> {
    let array = argument.to_array(1)?;
    let values = array.as_primitive::<A>();
    let nulls = values.nulls().cloned();
    let mapped = match &nulls {
        None => values
            .values()
            .iter()
            .map(|value| each(*value))
            .collect::<Result<Vec<_>, Refusal>>()?,
        Some(nulls) => values
            .values()
            .iter()
            .zip(nulls.iter())
            .map(|(value, is_there)| match is_there {
                true => each(*value),
                false => Ok(R::default_value()),
            })
            .collect::<Result<Vec<_>, Refusal>>()?,
    };
    let mapped = PrimitiveArray::<R>::new(mapped.into(), nulls);
    answer(mapped, result, is_scalar(std::slice::from_ref(argument)))
}

/// For each row, from two arguments; NULL if one of them is.
pub(crate) fn map2<A: ArrowPrimitiveType, B: ArrowPrimitiveType, R: ArrowPrimitiveType>(
    left: &ColumnarValue,
    right: &ColumnarValue,
    rows: usize,
    result: &DataType,
    mut each: impl FnMut(A::Native, B::Native) -> Result<R::Native, Refusal>,
) -> Result<ColumnarValue> {
    if let ColumnarValue::Scalar(scalar) = right {
        if scalar.is_null() {
            return null(result);
        }
        let constant = scalar.to_array()?;
        let constant = constant.as_primitive::<B>().value(0);
        return map1::<A, R>(left, result, |value| each(value, constant));
    }
    if let ColumnarValue::Scalar(scalar) = left {
        if scalar.is_null() {
            return null(result);
        }
        let constant = scalar.to_array()?;
        let constant = constant.as_primitive::<A>().value(0);
        return map1::<B, R>(right, result, |value| each(constant, value));
    }
    let (left, right) = (left.to_array(rows)?, right.to_array(rows)?);
    let nulls = NullBuffer::union(left.nulls(), right.nulls());
    let (left, right) = (left.as_primitive::<A>(), right.as_primitive::<B>());
    let pairs = left.values().iter().zip(right.values().iter()).enumerate();
    let values = pairs.map(|(row, (left, right))| {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(R::default_value());
        }
        each(*left, *right)
    });
    let values = values.collect::<Result<Vec<_>, Refusal>>()?;
    answer(
        PrimitiveArray::<R>::new(values.into(), nulls),
        result,
        false,
    )
}

/// For each row, a text or NULL.
pub(crate) fn map_text<A: ArrowPrimitiveType>(
    argument: &ColumnarValue,
    mut each: impl FnMut(A::Native, &mut String) -> Result<bool, Refusal>,
) -> Result<ColumnarValue> {
    let array = argument.to_array(1)?;
    let values = array.as_primitive::<A>();
    let mut builder = arrow::array::StringBuilder::with_capacity(values.len(), values.len() * 16);
    let mut text = String::with_capacity(64);
    for row in 0..values.len() {
        text.clear();
        if values.is_valid(row) && each(values.value(row), &mut text)? {
            builder.append_value(&text);
        } else {
            builder.append_null();
        }
    }
    let array: ArrayRef = Arc::new(builder.finish());
    as_given(array, is_scalar(std::slice::from_ref(argument)))
}

pub(crate) fn is_scalar(arguments: &[ColumnarValue]) -> bool {
    arguments
        .iter()
        .all(|argument| matches!(argument, ColumnarValue::Scalar(_)))
}

/// One value if there was only one to compute from.
pub(crate) fn as_given(array: ArrayRef, scalar: bool) -> Result<ColumnarValue> {
    Ok(match scalar {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
        false => ColumnarValue::Array(array),
    })
}

pub(crate) fn answer<R: ArrowPrimitiveType>(
    array: PrimitiveArray<R>,
    data_type: &DataType,
    scalar: bool,
) -> Result<ColumnarValue> {
    as_given(Arc::new(array.with_data_type(data_type.clone())), scalar)
}

/// What every `ScalarUDFImpl` of this crate says in the same words.
macro_rules! described {
    ($name:literal) => {
        fn name(&self) -> &str {
            $name
        }

        fn signature(&self) -> &datafusion_expr::Signature {
            &self.signature
        }

        fn documentation(&self) -> Option<&datafusion_expr::Documentation> {
            self.doc()
        }
    };
}

pub(crate) use described;
