//! One argument of all the rows that an aggregate has seen.

use std::collections::HashMap;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use rapport_stats::Error;

use crate::answer::list;
use crate::argument::{Argument, Kind, list_of};
use crate::refused;

#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    /// Of flags 1 and 0, of labels their number, of features and arrays row by row, of a constant the only one.
    pub values: Vec<f64>,
    /// Of features, as soon as there is a row.
    pub width: Option<usize>,
    /// Of arrays.
    lengths: Vec<f64>,
    /// Of labels, in the order in which they came; of a text the only one.
    pub names: Vec<String>,
    numbers: HashMap<String, usize>,
    /// What the names take: each is kept twice, and beside it what a string and a place in the table take.
    name_bytes: usize,
}

impl Kind {
    fn has_names(self) -> bool {
        matches!(self, Self::Text | Self::Label | Self::Labels)
    }

    fn has_lengths(self) -> bool {
        matches!(self, Self::Numbers | Self::Labels)
    }
}

impl Column {
    pub fn arrays(&self) -> impl Iterator<Item = &[f64]> {
        let mut rest = self.values.as_slice();
        self.lengths.iter().map(move |length| {
            let (array, others) = rest.split_at(*length as usize);
            rest = others;
            array
        })
    }

    /// The names' numbers in the order of the names: whole numbers by their size, else texts.
    pub fn order(&self) -> Vec<usize> {
        let whole = self.names.iter().map(|name| name.parse().ok());
        let whole: Option<Vec<i64>> = whole.collect();
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_unstable_by(|a, b| {
            let by_name = || self.names[*a].cmp(&self.names[*b]);
            match &whole {
                Some(whole) => whole[*a].cmp(&whole[*b]).then_with(by_name),
                None => by_name(),
            }
        });
        order
    }

    /// Of each name's number its place in [`Self::order`].
    pub fn places(&self) -> Vec<u32> {
        let order = self.order();
        let mut places = vec![0; order.len()];
        for (at, number) in order.iter().enumerate() {
            places[*number] = at as u32;
        }
        places
    }

    /// The rows `kept`, of the first of `arrays`, or of all of them if the argument is features.
    pub fn add(&mut self, argument: &Argument, arrays: &[ArrayRef], kept: &[usize]) -> Result<()> {
        let array = &arrays[0];
        match argument.kind {
            Kind::Text => {
                let texts = cast(array, &DataType::Utf8View)?;
                for row in kept {
                    self.set_text(texts.as_string_view().value(*row))?;
                }
            }
            Kind::Label => {
                let names = cast(array, &DataType::Utf8)?;
                self.add_labels(names.as_string(), kept.iter().copied());
            }
            Kind::Labels => {
                let lists = array.as_list();
                let names = lists.values().as_string();
                for row in kept {
                    let range = range(lists, *row);
                    self.lengths.push(range.len() as f64);
                    self.add_labels(names, range);
                }
            }
            Kind::Constant => {
                let array = array.as_primitive::<Float64Type>();
                for row in kept {
                    self.set_constant(argument.name, array.value(*row))?;
                }
            }
            Kind::Features | Kind::FeaturesOrNull => self.add_features(arrays, kept)?,
            Kind::Flag => self.add_flags(argument.name, array, kept)?,
            Kind::Numbers => {
                let lists = array.as_list();
                let values = lists.values().as_primitive::<Float64Type>().values();
                for row in kept {
                    let range = range(lists, *row);
                    self.lengths.push(range.len() as f64);
                    self.values.extend_from_slice(&values[range]);
                }
            }
            Kind::Number | Kind::Matrix => {
                let values = array.as_primitive::<Float64Type>().values();
                match kept.len() == values.len() {
                    true => self.values.extend_from_slice(values),
                    false => self.values.extend(kept.iter().map(|row| values[*row])),
                }
            }
        }
        Ok(())
    }

    pub fn size(&self) -> usize {
        let numbers = self.values.capacity() + self.lengths.capacity();
        size_of_val(self) + numbers * size_of::<f64>() + self.name_bytes
    }

    /// The types of [`Self::state`], with names.
    pub fn state_types(argument: &Argument) -> Vec<(String, DataType)> {
        let (name, kind) = (argument.name, argument.kind);
        let mut types = vec![(name.to_owned(), list_of(DataType::Float64))];
        if kind.has_lengths() {
            types.push((format!("lengths of {name}"), list_of(DataType::Float64)));
        }
        if kind.has_names() {
            types.push((format!("names of {name}"), list_of(DataType::Utf8)));
        }
        types
    }

    pub fn state(&self, argument: &Argument) -> Result<Vec<ScalarValue>> {
        let one = |array: ArrayRef| -> Result<ScalarValue> {
            let length = array.len();
            if i32::try_from(length).is_err() {
                return Err(DataFusionError::ResourcesExhausted(format!(
                    "an aggregate cannot hand on {length} values at once"
                )));
            }
            let list = list(array.data_type().clone(), [length], array)?;
            ScalarValue::try_from_array(&list, 0)
        };
        let numbers = |values: &[f64]| one(Arc::new(Float64Array::from(values.to_vec())));
        let mut state = vec![numbers(&self.values)?];
        if argument.kind.has_lengths() {
            state.push(numbers(&self.lengths)?);
        }
        if argument.kind.has_names() {
            let names = StringArray::from_iter_values(&self.names);
            state.push(one(Arc::new(names))?);
        }
        Ok(state)
    }

    /// With the state of `n_rows` others, which the next of `parts` are.
    pub fn merge(
        &mut self,
        argument: &Argument,
        parts: &mut impl Iterator<Item = ArrayRef>,
        n_rows: usize,
    ) -> Result<()> {
        let mut next = || {
            parts
                .next()
                .expect("a state has all the parts that its types tell")
        };
        let values = next();
        let values = values.as_primitive::<Float64Type>().values();
        if argument.kind.has_lengths() {
            let lengths = next();
            let lengths = lengths.as_primitive::<Float64Type>().values();
            self.lengths.extend_from_slice(lengths);
        }
        match argument.kind {
            Kind::Text => {
                for name in next().as_string::<i32>().iter().flatten() {
                    self.set_text(name)?;
                }
            }
            Kind::Label | Kind::Labels => {
                let names = next();
                let names = names.as_string::<i32>().iter().flatten();
                let numbers: Vec<usize> = names.map(|name| self.number(name)).collect();
                let values = values.iter().map(|value| numbers[*value as usize] as f64);
                self.values.extend(values);
            }
            Kind::Constant => {
                if let Some(value) = values.first() {
                    self.set_constant(argument.name, *value)?;
                }
            }
            Kind::Features | Kind::FeaturesOrNull => {
                self.set_width(values.len() / n_rows)?;
                self.values.extend_from_slice(values);
            }
            Kind::Number | Kind::Flag | Kind::Numbers | Kind::Matrix => {
                self.values.extend_from_slice(values);
            }
        }
        Ok(())
    }

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

    fn set_text(&mut self, text: &str) -> Result<()> {
        match self.names.first() {
            None => self.names.push(text.to_owned()),
            Some(known) if known == text => {}
            Some(_) => {
                return Err(refused(Error::Contradiction(
                    "a text that is given for all rows must be the same in all rows",
                )));
            }
        }
        Ok(())
    }

    fn add_features(&mut self, arrays: &[ArrayRef], kept: &[usize]) -> Result<()> {
        if let [array] = arrays
            && let Some(lists) = array.as_list_opt::<i32>()
        {
            for row in kept {
                let range = range(lists, *row);
                self.set_width(range.len())?;
                let values = range.map(|at| feature(lists.values(), at));
                self.values.extend(values);
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

    fn add_labels(&mut self, names: &StringArray, rows: impl Iterator<Item = usize>) {
        for row in rows {
            let number = self.number(names.value(row));
            self.values.push(number as f64);
        }
    }

    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len();
        self.name_bytes += 2 * name.len() + 64;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

/// Where the items of a row lie.
fn range(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = lists.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

/// NULL is NaN.
pub(crate) fn feature(array: &ArrayRef, row: usize) -> f64 {
    if array.is_null(row) {
        return f64::NAN;
    }
    match array.as_boolean_opt() {
        Some(flags) => f64::from(u8::from(BooleanArray::value(flags, row))),
        None => array.as_primitive::<Float64Type>().value(row),
    }
}
