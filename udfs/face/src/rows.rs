//! The rows that an aggregate keeps until the last has come: one vector for each argument.

use std::collections::HashMap;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListArray, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use rapport_stats::Error;

use crate::answer::list;
use crate::argument::{Argument, Kind};
use crate::refused;

/// At least one row; no value is NULL. Arguments are counted from 0.
#[derive(Clone, Debug)]
pub struct Rows {
    arguments: &'static [Argument],
    n_rows: usize,
    columns: Vec<Column>,
}

#[derive(Clone, Debug, Default)]
struct Column {
    /// Of flags 1 and 0, of labels their number, of features row by row, of a constant the only one.
    values: Vec<f64>,
    /// Of features, as soon as there is a row.
    width: Option<usize>,
    names: Vec<String>,
    numbers: HashMap<String, usize>,
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

    /// The number of each row's label, by the order of the labels from 0, and how many labels there are.
    pub fn labels(&self, argument: usize) -> (Vec<u32>, usize) {
        let column = &self.columns[argument];
        let mut order: Vec<usize> = (0..column.names.len()).collect();
        order.sort_by_key(|number| &column.names[*number]);
        let mut place = vec![0; order.len()];
        for (at, number) in order.iter().enumerate() {
            place[*number] = at as u32;
        }
        let of = |number: &f64| place[*number as usize];
        (column.values.iter().map(of).collect(), order.len())
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
        let kept: Vec<usize> = (0..n_rows)
            .filter(|row| arrays.iter().all(|array| is_known(array.as_ref(), *row)))
            .collect();
        if kept.is_empty() {
            return Ok(());
        }
        for (index, argument) in self.arguments.iter().enumerate().take(arrays.len()) {
            let column = &mut self.columns[index];
            let array = &arrays[index];
            match argument.kind {
                Kind::Label => column.add_labels(array.as_string::<i32>(), &kept),
                Kind::Constant => column.add_constant(argument.name, array, &kept)?,
                Kind::Features => column.add_features(&arrays[index..], &kept)?,
                Kind::Flag => column.add_flags(argument.name, array, &kept)?,
                Kind::Number | Kind::Numbers | Kind::Matrix => {
                    let array = array.as_primitive::<Float64Type>();
                    let values = kept.iter().map(|row| array.value(*row));
                    column.values.extend(values);
                }
            }
        }
        self.n_rows += kept.len();
        Ok(())
    }

    pub(crate) fn size(&self) -> usize {
        let of = |column: &Column| {
            // Each name is kept twice, and beside it what a string and a place in the table take.
            let names: usize = column.names.iter().map(|name| 2 * name.len() + 64).sum();
            size_of_val(column) + column.values.capacity() * size_of::<f64>() + names
        };
        size_of_val(self) + self.columns.iter().map(of).sum::<usize>()
    }

    /// The types of [`Self::state`], with names.
    pub(crate) fn state_types(arguments: &[Argument]) -> Vec<(String, DataType)> {
        let mut types = vec![("rows".to_owned(), DataType::Int64)];
        for argument in arguments {
            let values = crate::argument::list_of(DataType::Float64);
            types.push((argument.name.to_owned(), values));
            if argument.kind == Kind::Label {
                let names = crate::argument::list_of(DataType::Utf8);
                types.push((format!("names of {}", argument.name), names));
            }
        }
        types
    }

    pub(crate) fn state(&self) -> Result<Vec<ScalarValue>> {
        let n_rows = i64::try_from(self.n_rows).unwrap_or(i64::MAX);
        let mut state = vec![ScalarValue::Int64(Some(n_rows))];
        for (argument, column) in self.arguments.iter().zip(&self.columns) {
            let length = column.values.len();
            if i32::try_from(length).is_err() {
                return Err(DataFusionError::ResourcesExhausted(format!(
                    "an aggregate cannot hand on {length} numbers at once"
                )));
            }
            let values: ArrayRef = Arc::new(Float64Array::from(column.values.clone()));
            let values = list(DataType::Float64, [length], values)?;
            state.push(ScalarValue::try_from_array(&values, 0)?);
            if argument.kind == Kind::Label {
                let names: ArrayRef = Arc::new(StringArray::from_iter_values(&column.names));
                let names = list(DataType::Utf8, [column.names.len()], names)?;
                state.push(ScalarValue::try_from_array(&names, 0)?);
            }
        }
        Ok(state)
    }

    pub(crate) fn merge(&mut self, states: &[ArrayRef]) -> Result<()> {
        let n_rows = states[0].as_primitive::<Int64Type>();
        for state in 0..n_rows.len() {
            if n_rows.is_valid(state) && n_rows.value(state) > 0 {
                self.merge_one(states, state, n_rows.value(state) as usize)?;
            }
        }
        Ok(())
    }

    fn merge_one(&mut self, states: &[ArrayRef], state: usize, n_rows: usize) -> Result<()> {
        let mut next = 1;
        for (argument, column) in self.arguments.iter().zip(&mut self.columns) {
            let values = states[next].as_list::<i32>().value(state);
            let values = values.as_primitive::<Float64Type>().values();
            next += 1;
            match argument.kind {
                Kind::Label => {
                    let names = states[next].as_list::<i32>().value(state);
                    next += 1;
                    column.merge_labels(values, names.as_string::<i32>());
                }
                Kind::Constant => {
                    if let Some(value) = values.first() {
                        column.set_constant(argument.name, *value)?;
                    }
                }
                Kind::Features => {
                    column.set_width(values.len() / n_rows)?;
                    column.values.extend_from_slice(values);
                }
                _ => column.values.extend_from_slice(values),
            }
        }
        self.n_rows += n_rows;
        Ok(())
    }
}

/// An array that holds a NULL is as good as NULL.
fn is_known(array: &dyn Array, row: usize) -> bool {
    if array.is_null(row) {
        return false;
    }
    match array.data_type() {
        DataType::List(_) => {
            let offsets = array.as_list::<i32>().value_offsets();
            let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
            let values = array.as_list::<i32>().values();
            let nulls = values.nulls();
            nulls.is_none_or(|nulls| nulls.slice(start, end - start).null_count() == 0)
        }
        _ => true,
    }
}

impl Column {
    fn add_flags(&mut self, name: &'static str, array: &ArrayRef, kept: &[usize]) -> Result<()> {
        for row in kept {
            let value = feature(array, *row);
            if value != 0.0 && value != 1.0 {
                return Err(refused(Error::Range {
                    name,
                    range: "true or false, or 1 or 0",
                    value,
                }));
            }
            self.values.push(value);
        }
        Ok(())
    }

    fn add_constant(&mut self, name: &'static str, array: &ArrayRef, kept: &[usize]) -> Result<()> {
        let array = array.as_primitive::<Float64Type>();
        for row in kept {
            self.set_constant(name, array.value(*row))?;
        }
        Ok(())
    }

    fn set_constant(&mut self, name: &'static str, value: f64) -> Result<()> {
        match self.values.first() {
            None => self.values.push(value),
            Some(known) if *known == value || (known.is_nan() && value.is_nan()) => {}
            Some(_) => {
                return Err(refused(Error::Range {
                    name,
                    range: "the same in all rows",
                    value,
                }));
            }
        }
        Ok(())
    }

    fn add_features(&mut self, arrays: &[ArrayRef], kept: &[usize]) -> Result<()> {
        if let [array] = arrays
            && let Some(lists) = array.as_list_opt::<i32>()
        {
            let values = lists.values().as_primitive::<Float64Type>().values();
            let offsets: &[i32] = ListArray::value_offsets(lists);
            for row in kept {
                let values = &values[offsets[*row] as usize..offsets[*row + 1] as usize];
                self.set_width(values.len())?;
                self.values.extend_from_slice(values);
            }
            return Ok(());
        }
        self.set_width(arrays.len())?;
        for row in kept {
            self.values
                .extend(arrays.iter().map(|array| feature(array, *row)));
        }
        Ok(())
    }

    fn set_width(&mut self, width: usize) -> Result<()> {
        if width == 0 {
            let error = Error::TooLittle("an array of features holds at least one number");
            return Err(refused(error));
        }
        if *self.width.get_or_insert(width) != width {
            let error = Error::Contradiction("the arrays of features must be equally long");
            return Err(refused(error));
        }
        Ok(())
    }

    fn add_labels(&mut self, names: &StringArray, kept: &[usize]) {
        for row in kept {
            let number = self.number(names.value(*row));
            self.values.push(number as f64);
        }
    }

    fn merge_labels(&mut self, values: &[f64], names: &StringArray) {
        let numbers: Vec<usize> = (0..names.len())
            .map(|index| self.number(names.value(index)))
            .collect();
        let values = values.iter().map(|value| numbers[*value as usize] as f64);
        self.values.extend(values);
    }

    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len();
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

fn feature(array: &ArrayRef, row: usize) -> f64 {
    match array.as_boolean_opt() {
        Some(flags) => f64::from(u8::from(BooleanArray::value(flags, row))),
        None => array.as_primitive::<Float64Type>().value(row),
    }
}
