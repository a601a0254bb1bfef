//! What a function answers: one value, an array, or a row of named columns.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringViewArray, StructArray,
    },
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Fields},
};
use datafusion_common::{Result, ScalarValue, internal_err};

use crate::argument::list_of;

/// Its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Number,
    Whole,
    Flag,
    Text,
    Numbers,
    /// An array of equally long arrays.
    Matrix,
    /// Named columns: `(f(…)).*` in SQL.
    Row(&'static [(&'static str, Answer)]),
}

/// The answer itself. What has no value is [`Value::Null`]; so is a number that is NaN.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Number(f64),
    Whole(i64),
    Flag(bool),
    Text(&'static str),
    Numbers(Vec<f64>),
    /// Row by row, with the length of a row.
    Matrix(Vec<f64>, usize),
    Row(Vec<Value>),
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<Vec<f64>> for Value {
    fn from(values: Vec<f64>) -> Self {
        Self::Numbers(values)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Answer {
    pub fn data_type(self) -> DataType {
        match self {
            Self::Number => DataType::Float64,
            Self::Whole => DataType::Int64,
            Self::Flag => DataType::Boolean,
            Self::Text => DataType::Utf8View,
            Self::Numbers => list_of(DataType::Float64),
            Self::Matrix => list_of(list_of(DataType::Float64)),
            Self::Row(columns) => DataType::Struct(fields(columns)),
        }
    }

    /// Of a row; empty for what is not one.
    pub fn columns(self) -> &'static [(&'static str, Answer)] {
        match self {
            Self::Row(columns) => columns,
            _ => &[],
        }
    }

    pub(crate) fn scalar(self, value: Value) -> Result<ScalarValue> {
        match value {
            Value::Null => ScalarValue::try_from(&self.data_type()),
            value => ScalarValue::try_from_array(&self.array(value)?, 0),
        }
    }

    /// Of one row.
    fn array(self, value: Value) -> Result<ArrayRef> {
        Ok(match (self, value) {
            (Self::Number, Value::Number(value)) => {
                Arc::new(Float64Array::from(vec![shown(value)]))
            }
            (Self::Whole, Value::Whole(value)) => Arc::new(Int64Array::from(vec![value])),
            (Self::Flag, Value::Flag(value)) => Arc::new(BooleanArray::from(vec![value])),
            (Self::Text, Value::Text(value)) => Arc::new(StringViewArray::from(vec![value])),
            (Self::Numbers, Value::Numbers(values)) => {
                let length = values.len();
                list(DataType::Float64, [length], numbers(values))?
            }
            (Self::Matrix, Value::Matrix(values, width)) => {
                let n_rows = values.len() / width.max(1);
                let lengths = std::iter::repeat_n(width, n_rows);
                let rows = list(DataType::Float64, lengths, numbers(values))?;
                list(list_of(DataType::Float64), [n_rows], rows)?
            }
            (Self::Row(columns), Value::Row(values)) => {
                let pairs = columns.iter().zip(values);
                let arrays = pairs.map(|((_, answer), value)| answer.array(value));
                let arrays = arrays.collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new(fields(columns), arrays, None)?)
            }
            (answer, Value::Null) => arrow::array::new_null_array(&answer.data_type(), 1),
            (answer, value) => return internal_err!("{value:?} is no {answer:?}"),
        })
    }
}

fn fields(columns: &[(&str, Answer)]) -> Fields {
    let field = |(name, answer): &(&str, Answer)| Field::new(*name, answer.data_type(), true);
    columns.iter().map(field).collect()
}

fn numbers(values: Vec<f64>) -> ArrayRef {
    let known = values.into_iter().map(shown);
    Arc::new(known.collect::<Float64Array>())
}

/// NaN is no answer, and a zero has no sign.
fn shown(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value + 0.0)
}

pub(crate) fn list(
    element: DataType,
    lengths: impl IntoIterator<Item = usize>,
    values: ArrayRef,
) -> Result<ArrayRef> {
    let field = Arc::new(Field::new_list_field(element, true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(field, offsets, values, None)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::Float64Type;

    #[test]
    fn a_row_has_named_columns_and_says_null_for_nan() {
        const ROW: Answer = Answer::Row(&[
            ("a", Answer::Number),
            ("n", Answer::Whole),
            ("is_so", Answer::Flag),
            ("xs", Answer::Numbers),
            ("m", Answer::Matrix),
        ]);
        let value = Value::Row(vec![
            f64::NAN.into(),
            3_usize.into(),
            true.into(),
            vec![1.0, f64::NAN].into(),
            Value::Matrix(vec![1.0, 2.0, 3.0, 4.0], 2),
        ]);
        let scalar = ROW.scalar(value).expect("fits");
        assert_eq!(scalar.data_type(), ROW.data_type());
        let ScalarValue::Struct(row) = scalar else {
            panic!("a row");
        };
        assert!(row.column(0).is_null(0));
        let matrix = row.column(4).as_list::<i32>().value(0);
        assert_eq!(matrix.len(), 2);
        let second = matrix.as_list::<i32>().value(1);
        assert_eq!(second.as_primitive::<Float64Type>().values(), &[3.0, 4.0]);
    }

    #[test]
    fn no_answer_is_null_of_its_type() {
        let row = Answer::Row(&[("a", Answer::Number)]);
        let scalar = row.scalar(Value::Null).expect("a type");
        assert!(scalar.is_null());
        assert_eq!(scalar.data_type(), row.data_type());
    }
}
