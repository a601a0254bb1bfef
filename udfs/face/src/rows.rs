//! The rows that an aggregate keeps until the last has come: one column for each argument.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion_common::{Result, ScalarValue};

use crate::answer::Values;
use crate::argument::{Argument, Kind};
use crate::column::Column;

/// At least one row; no value is NULL. Arguments are counted from 0.
#[derive(Clone, Debug)]
pub struct Rows {
    arguments: &'static [Argument],
    n_rows: usize,
    columns: Vec<Column>,
}

impl Rows {
    pub(crate) fn new(arguments: &'static [Argument]) -> Self {
        Self {
            arguments,
            n_rows: 0,
            columns: vec![Column::default(); arguments.len()],
        }
    }

    pub fn len(&self) -> usize {
        self.n_rows
    }

    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Of a number; empty if the argument was left out.
    pub fn numbers(&self, argument: usize) -> &[f64] {
        &self.columns[argument].values
    }

    pub fn flags(&self, argument: usize) -> Vec<bool> {
        let values = self.columns[argument].values.iter();
        values.map(|value| *value != 0.0).collect()
    }

    /// `None` if the argument was left out.
    pub fn constant(&self, argument: usize) -> Option<f64> {
        self.columns[argument].values.first().copied()
    }

    /// `None` if the argument was left out.
    pub fn text(&self, argument: usize) -> Option<&str> {
        self.columns[argument].names.first().map(String::as_str)
    }

    /// Of arrays of numbers, one for each row; none if the argument was left out.
    pub fn arrays(&self, argument: usize) -> Vec<&[f64]> {
        self.columns[argument].arrays().collect()
    }

    /// The number of each row's label, by the order of the labels from 0, and how many labels there are.
    pub fn labels(&self, argument: usize) -> (Vec<u32>, usize) {
        let column = &self.columns[argument];
        let place = column.places();
        let of = |number: &f64| place[*number as usize];
        (column.values.iter().map(of).collect(), place.len())
    }

    /// As [`Self::labels`], of arrays of them.
    pub fn label_arrays(&self, argument: usize) -> (Vec<Vec<u32>>, usize) {
        let column = &self.columns[argument];
        let place = column.places();
        let of = |array: &[f64]| array.iter().map(|n| place[*n as usize]).collect();
        (column.arrays().map(of).collect(), place.len())
    }

    /// The labels by their numbers, as texts.
    pub fn names(&self, argument: usize) -> Vec<&str> {
        let column = &self.columns[argument];
        let order = column.order().into_iter();
        order.map(|number| column.names[number].as_str()).collect()
    }

    /// The labels of these numbers, for an answer.
    pub fn labelled(&self, argument: usize, numbers: impl IntoIterator<Item = u32>) -> Values {
        let known = self.names(argument);
        let names = numbers
            .into_iter()
            .map(|number| Some(known[number as usize]));
        Values(Arc::new(names.collect::<StringViewArray>()))
    }

    /// Row by row, and how many of them a row has.
    pub fn features(&self, argument: usize) -> (&[f64], usize) {
        let column = &self.columns[argument];
        (&column.values, column.width.unwrap_or(0))
    }

    /// 1 for each row, if the argument was left out.
    pub fn weights(&self, argument: usize) -> Vec<f64> {
        let column = &self.columns[argument];
        match column.values.is_empty() {
            true => vec![1.0; self.n_rows],
            false => column.values.clone(),
        }
    }

    /// The rows of a batch in which nothing is NULL.
    pub(crate) fn add(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        let n_rows = arrays.first().map_or(0, |array| array.len());
        let last = self.arguments.len().saturating_sub(1);
        let is_known = |(index, array): (usize, &ArrayRef), row: usize| {
            let may_be_null = self.arguments[index.min(last)].kind == Kind::FeaturesOrNull;
            match array.as_list_opt::<i32>() {
                Some(_) if may_be_null => array.is_valid(row),
                _ => may_be_null || is_known(array.as_ref(), row),
            }
        };
        let may_lack = |(_, array): &(usize, &ArrayRef)| {
            array.is_nullable() || array.as_list_opt::<i32>().is_some()
        };
        let lacking: Vec<(usize, &ArrayRef)> = arrays.iter().enumerate().filter(may_lack).collect();
        let kept: Vec<usize> = (0..n_rows)
            .filter(|row| lacking.iter().all(|array| is_known(*array, *row)))
            .collect();
        if kept.is_empty() {
            return Ok(());
        }
        for (index, argument) in self.arguments.iter().enumerate().take(arrays.len()) {
            self.columns[index].add(argument, &arrays[index..], &kept)?;
        }
        self.n_rows += kept.len();
        Ok(())
    }

    pub(crate) fn size(&self) -> usize {
        size_of_val(self) + self.columns.iter().map(Column::size).sum::<usize>()
    }

    /// The types of [`Self::state`], with names.
    pub(crate) fn state_types(arguments: &[Argument]) -> Vec<(String, DataType)> {
        let mut types = vec![("rows".to_owned(), DataType::Int64)];
        types.extend(arguments.iter().flat_map(Column::state_types));
        types
    }

    pub(crate) fn state(&self) -> Result<Vec<ScalarValue>> {
        let n_rows = i64::try_from(self.n_rows).unwrap_or(i64::MAX);
        let mut state = vec![ScalarValue::Int64(Some(n_rows))];
        for (argument, column) in self.arguments.iter().zip(&self.columns) {
            state.extend(column.state(argument)?);
        }
        Ok(state)
    }

    pub(crate) fn merge(&mut self, states: &[ArrayRef]) -> Result<()> {
        let n_rows = states[0].as_primitive::<Int64Type>();
        for state in 0..n_rows.len() {
            if n_rows.is_null(state) || n_rows.value(state) == 0 {
                continue;
            }
            let n_rows = n_rows.value(state) as usize;
            let mut parts = states[1..]
                .iter()
                .map(|states| states.as_list::<i32>().value(state));
            for (argument, column) in self.arguments.iter().zip(&mut self.columns) {
                column.merge(argument, &mut parts, n_rows)?;
            }
            self.n_rows += n_rows;
        }
        Ok(())
    }
}

/// An array that holds a NULL is as good as NULL.
fn is_known(array: &dyn Array, row: usize) -> bool {
    if array.is_null(row) {
        return false;
    }
    match array.as_list_opt::<i32>() {
        Some(list) => {
            let offsets = list.value_offsets();
            let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
            let nulls = list.values().nulls();
            nulls.is_none_or(|nulls| nulls.slice(start, end - start).null_count() == 0)
        }
        None => true,
    }
}
