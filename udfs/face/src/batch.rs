//! A batch of rows as the arguments of a [`Scalar`](crate::Scalar), and its work on each of them.

use std::sync::Arc;

use arrow::{
    array::{Array as _, ArrayRef, AsArray, Float64Array, Int64Array, ListArray},
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, Float64Type},
};
use datafusion_common::Result;
use rapport_stats::Error;

use crate::answer::numbers;
use crate::argument::Kind;
use crate::cancel;
use crate::refused;
use crate::scalar::Array;

/// One argument of a batch.
pub(crate) struct Column<'a> {
    kind: Kind,
    pub is_constant: bool,
    /// Of arrays: the innermost numbers.
    values: &'a Float64Array,
    list: Option<&'a ListArray>,
    /// Of an array of arrays: the arrays.
    inner: Option<&'a ListArray>,
    pub nulls: Option<NullBuffer>,
}

impl<'a> Column<'a> {
    pub fn new(kind: Kind, array: &'a dyn arrow::array::Array, is_constant: bool) -> Self {
        let list = matches!(kind, Kind::Numbers | Kind::Matrix).then(|| array.as_list::<i32>());
        let inner = match (kind, list) {
            (Kind::Matrix, Some(list)) => Some(list.values().as_list::<i32>()),
            _ => None,
        };
        let values = match (inner, list) {
            (Some(inner), _) => inner.values().as_ref(),
            (None, Some(list)) => list.values().as_ref(),
            (None, None) => array,
        };
        let mut column = Self {
            kind,
            is_constant,
            values: values.as_primitive::<Float64Type>(),
            list,
            inner,
            nulls: array
                .nulls()
                .filter(|nulls| nulls.null_count() > 0)
                .cloned(),
        };
        if column.has_hidden_nulls() {
            let is_known = |row: usize| array.is_valid(row) && column.is_complete(row);
            let nulls: NullBuffer = (0..array.len()).map(is_known).collect::<Vec<_>>().into();
            column.nulls = (nulls.null_count() > 0).then_some(nulls);
        }
        column
    }

    /// An array that holds a NULL is as good as NULL.
    fn has_hidden_nulls(&self) -> bool {
        let has_nulls = |list: &ListArray| list.null_count() > 0;
        self.list.is_some() && self.values.null_count() > 0 || self.inner.is_some_and(has_nulls)
    }

    /// From where to where the innermost numbers of a row lie.
    fn range(&self, row: usize) -> (usize, usize) {
        let of = |list: &ListArray, at: usize| list.value_offsets()[at] as usize;
        match (self.list, self.inner) {
            (Some(list), Some(inner)) => (of(inner, of(list, row)), of(inner, of(list, row + 1))),
            (Some(list), None) => (of(list, row), of(list, row + 1)),
            (None, _) => (row, row + 1),
        }
    }

    fn is_complete(&self, row: usize) -> bool {
        let (start, end) = self.range(row);
        let no_nulls = |array: &dyn arrow::array::Array, start: usize, end: usize| {
            array
                .nulls()
                .is_none_or(|nulls| nulls.slice(start, end - start).null_count() == 0)
        };
        let rows_known = match (self.list, self.inner) {
            (Some(list), Some(inner)) => {
                let offsets = list.value_offsets();
                no_nulls(inner, offsets[row] as usize, offsets[row + 1] as usize)
            }
            _ => true,
        };
        rows_known && no_nulls(self.values, start, end)
    }

    fn number(&self, row: usize) -> f64 {
        self.values.value(if self.is_constant { 0 } else { row })
    }

    fn array(&self, row: usize) -> rapport_stats::Result<Array<'a>> {
        let row = if self.is_constant { 0 } else { row };
        let (start, end) = self.range(row);
        let values = &self.values.values()[start..end];
        let mut width = values.len();
        if let (Kind::Matrix, Some(list), Some(inner)) = (self.kind, self.list, self.inner) {
            let offsets = list.value_offsets();
            let rows = offsets[row] as usize..offsets[row + 1] as usize;
            let length = |row: usize| inner.value_length(row) as usize;
            width = rows.clone().next().map_or(0, length);
            if rows.map(length).any(|other| other != width) {
                return Err(Error::Contradiction(
                    "the arrays within an array must be equally long",
                ));
            }
        }
        Ok(Array { values, width })
    }
}

/// The arguments of a batch.
pub(crate) struct Batch<'a> {
    pub columns: Vec<Column<'a>>,
    /// Of the answer.
    pub nulls: Option<NullBuffer>,
    pub n_rows: usize,
}

impl Batch<'_> {
    pub fn is_valid(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }

    /// `empty` stands where the answer is NULL.
    pub fn map<T: Copy>(
        &self,
        f: impl Fn(&[f64]) -> rapport_stats::Result<T>,
        empty: T,
    ) -> Result<Vec<T>> {
        let mut row = vec![0.0; self.columns.len()];
        let mut answers = Vec::with_capacity(self.n_rows);
        for index in 0..self.n_rows {
            cancel::check(index)?;
            if !self.is_valid(index) {
                answers.push(empty);
                continue;
            }
            for (value, column) in row.iter_mut().zip(&self.columns) {
                *value = column.number(index);
            }
            answers.push(f(&row).map_err(refused)?);
        }
        Ok(answers)
    }

    fn map_arrays<T: Clone>(
        &self,
        f: impl Fn(&[Array]) -> rapport_stats::Result<T>,
        empty: T,
    ) -> Result<Vec<T>> {
        let none = Array {
            values: &[],
            width: 0,
        };
        let mut row = vec![none; self.columns.len()];
        let mut answers = Vec::with_capacity(self.n_rows);
        for index in 0..self.n_rows {
            cancel::check(index)?;
            if !self.is_valid(index) {
                answers.push(empty.clone());
                continue;
            }
            for (value, column) in row.iter_mut().zip(&self.columns) {
                *value = column.array(index).map_err(refused)?;
            }
            answers.push(f(&row).map_err(refused)?);
        }
        Ok(answers)
    }

    pub fn floats(&self, f: impl Fn(&[f64]) -> rapport_stats::Result<f64>) -> Result<ArrayRef> {
        // A zero has no sign.
        let values = self.map(|row| Ok(f(row)? + 0.0), 0.0)?;
        Ok(Arc::new(Float64Array::new(
            values.into(),
            self.nulls.clone(),
        )))
    }

    pub fn whole(&self, f: impl Fn(&[f64]) -> rapport_stats::Result<i64>) -> Result<ArrayRef> {
        let values = self.map(f, 0)?;
        Ok(Arc::new(Int64Array::new(values.into(), self.nulls.clone())))
    }

    pub fn floats_of_arrays(
        &self,
        f: impl Fn(&[Array]) -> rapport_stats::Result<f64>,
    ) -> Result<ArrayRef> {
        let values = self.map_arrays(f, 0.0)?;
        Ok(Arc::new(Float64Array::new(
            values.into(),
            self.nulls.clone(),
        )))
    }

    pub fn whole_of_arrays(
        &self,
        f: impl Fn(&[Array]) -> rapport_stats::Result<i64>,
    ) -> Result<ArrayRef> {
        let values = self.map_arrays(f, 0)?;
        Ok(Arc::new(Int64Array::new(values.into(), self.nulls.clone())))
    }

    pub fn lists_of_arrays(
        &self,
        f: impl Fn(&[Array]) -> rapport_stats::Result<Vec<f64>>,
    ) -> Result<ArrayRef> {
        let values = self.map_arrays(f, vec![])?;
        let lengths = OffsetBuffer::from_lengths(values.iter().map(Vec::len));
        let field = Arc::new(Field::new_list_field(DataType::Float64, true));
        let values = numbers(values.concat());
        let lists = ListArray::try_new(field, lengths, values, self.nulls.clone())?;
        Ok(Arc::new(lists))
    }
}
