//! What a function answers: one value, an array, a row of named columns, or an array of such rows.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringViewArray,
        StructArray, new_null_array,
    },
    buffer::OffsetBuffer,
    compute::cast,
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
    /// In rows: labels of the argument of this number, in its type.
    Label(usize),
    /// Named columns: `(f(…)).*` in SQL.
    Row(&'static [(&'static str, Answer)]),
    /// An array of rows: `(unnest(f(…))).*` in SQL.
    Rows(&'static [(&'static str, Answer)]),
}

/// The answer itself. What has no value is [`Value::Null`]; so is a number that is NaN.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Number(f64),
    Whole(i64),
    Flag(bool),
    Text(String),
    Numbers(Vec<f64>),
    /// Row by row, with the length of a row.
    Matrix(Vec<f64>, usize),
    Row(Vec<Value>),
    /// Column by column.
    Rows(Vec<Values>),
}

/// A column of an array of rows.
#[derive(Clone, Debug)]
pub struct Values(pub(crate) ArrayRef);

impl From<Vec<f64>> for Values {
    fn from(values: Vec<f64>) -> Self {
        Self(numbers(values))
    }
}

impl From<Vec<usize>> for Values {
    fn from(values: Vec<usize>) -> Self {
        let whole = values.into_iter().map(|n| i64::try_from(n).ok());
        Self(Arc::new(whole.collect::<Int64Array>()))
    }
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

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
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
    /// To arguments of the types `given`.
    pub fn data_type(self, given: &[DataType]) -> DataType {
        match self {
            Self::Number => DataType::Float64,
            Self::Whole => DataType::Int64,
            Self::Flag => DataType::Boolean,
            Self::Text => DataType::Utf8View,
            Self::Numbers => list_of(DataType::Float64),
            Self::Matrix => list_of(list_of(DataType::Float64)),
            Self::Label(argument) => match given.get(argument) {
                Some(kept @ (DataType::Int64 | DataType::Date32)) => kept.clone(),
                _ => DataType::Utf8View,
            },
            Self::Row(columns) => DataType::Struct(fields(columns, given)),
            Self::Rows(columns) => list_of(DataType::Struct(fields(columns, given))),
        }
    }
}

fn fields(columns: &[(&str, Answer)], given: &[DataType]) -> Fields {
    let field = |(name, answer): &(&str, Answer)| Field::new(*name, answer.data_type(given), true);
    columns.iter().map(field).collect()
}

impl Value {
    /// As a value of the type that [`Answer::data_type`] says.
    pub(crate) fn scalar(self, data_type: &DataType) -> Result<ScalarValue> {
        match self {
            Self::Null => ScalarValue::try_from(data_type),
            value => ScalarValue::try_from_array(&value.array(data_type)?, 0),
        }
    }

    /// Of one row.
    fn array(self, data_type: &DataType) -> Result<ArrayRef> {
        Ok(match (self, data_type) {
            (Self::Null, data_type) => new_null_array(data_type, 1),
            (Self::Number(value), _) => Arc::new(Float64Array::from(vec![shown(value)])),
            (Self::Whole(value), _) => Arc::new(Int64Array::from(vec![value])),
            (Self::Flag(value), _) => Arc::new(BooleanArray::from(vec![value])),
            (Self::Text(value), _) => Arc::new(StringViewArray::from(vec![value])),
            (Self::Numbers(values), _) => {
                let length = values.len();
                list(DataType::Float64, [length], numbers(values))?
            }
            (Self::Matrix(values, width), _) => {
                let n_rows = values.len() / width.max(1);
                let lengths = std::iter::repeat_n(width, n_rows);
                let rows = list(DataType::Float64, lengths, numbers(values))?;
                list(list_of(DataType::Float64), [n_rows], rows)?
            }
            (Self::Row(values), DataType::Struct(fields)) => {
                let pairs = fields.iter().zip(values);
                let arrays = pairs.map(|(field, value)| value.array(field.data_type()));
                let arrays = arrays.collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new(fields.clone(), arrays, None)?)
            }
            (Self::Rows(columns), DataType::List(element)) => {
                let DataType::Struct(fields) = element.data_type() else {
                    return internal_err!("rows are no {element}");
                };
                let pairs = fields.iter().zip(columns);
                let arrays = pairs.map(|(field, column)| Ok(cast(&column.0, field.data_type())?));
                let arrays = arrays.collect::<Result<Vec<_>>>()?;
                let n_rows = arrays.first().map_or(0, |array| array.len());
                let rows = StructArray::try_new(fields.clone(), arrays, None)?;
                list(element.data_type().clone(), [n_rows], Arc::new(rows))?
            }
            (value, data_type) => return internal_err!("{value:?} is no {data_type}"),
        })
    }
}

pub(crate) fn numbers(values: Vec<f64>) -> ArrayRef {
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
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int64Type};

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
        let scalar = value.scalar(&ROW.data_type(&[])).expect("fits");
        assert_eq!(scalar.data_type(), ROW.data_type(&[]));
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
        let row = Answer::Row(&[("a", Answer::Number)]).data_type(&[]);
        let scalar = Value::Null.scalar(&row).expect("a type");
        assert!(scalar.is_null());
        assert_eq!(scalar.data_type(), row);
    }

    #[test]
    fn rows_have_labels_in_the_type_of_their_argument() {
        const ROWS: Answer = Answer::Rows(&[("item", Answer::Label(1)), ("rank", Answer::Whole)]);
        let check = |given: DataType, expected: DataType| {
            let data_type = ROWS.data_type(&[DataType::Float64, given]);
            let items: ArrayRef = Arc::new(StringViewArray::from(vec!["7", "12"]));
            let value = Value::Rows(vec![Values(items), vec![1, 2].into()]);
            let scalar = value.scalar(&data_type).expect("fits");
            assert_eq!(scalar.data_type(), data_type);
            let ScalarValue::List(rows) = scalar else {
                panic!("an array");
            };
            let rows = rows.value(0);
            let rows = rows.as_struct();
            assert_eq!(rows.column(0).data_type(), &expected);
            assert_eq!(rows.column(1).as_primitive::<Int64Type>().values(), &[1, 2]);
        };
        check(DataType::Int64, DataType::Int64);
        check(DataType::Utf8, DataType::Utf8View);
    }
}
