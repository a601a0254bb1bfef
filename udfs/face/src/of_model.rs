//! The work of a scalar that asks a stored model: rows with the same model are asked about at once, so that it is read once.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringViewArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion_common::Result;
use rapport_stats::Error;

use crate::answer;
use crate::cancel;
use crate::column::feature;
use crate::refused;
use crate::scalar::OfModel;

/// An array, and whether its only value stands for all rows.
type Given = (ArrayRef, bool);

pub(crate) fn numbers(f: OfModel, args: &[Given], n_rows: usize) -> Result<ArrayRef> {
    let mut values = vec![f64::NAN; n_rows];
    for (rows, found) in asked(f, args, n_rows)? {
        for (row, value) in rows.into_iter().zip(found) {
            values[row] = value;
        }
    }
    Ok(answer::numbers(values))
}

pub(crate) fn lists(f: OfModel, args: &[Given], n_rows: usize) -> Result<ArrayRef> {
    let (mut values, mut lengths) = (vec![], vec![0; n_rows]);
    let mut is_known = vec![false; n_rows];
    // Rows come in their order.
    for (rows, found) in asked(f, args, n_rows)? {
        for row in &rows {
            lengths[*row] = found.len() / rows.len();
            is_known[*row] = true;
        }
        values.extend(found);
    }
    let field = Arc::new(Field::new_list_field(DataType::Float64, true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = NullBuffer::from(is_known);
    let lists = ListArray::try_new(field, offsets, answer::numbers(values), Some(nulls))?;
    Ok(Arc::new(lists))
}

/// Rows of the same model, and what it answers to them. Rows without a model or features are left out.
fn asked(f: OfModel, args: &[Given], n_rows: usize) -> Result<Vec<(Vec<usize>, Vec<f64>)>> {
    let (model, features) = args.split_first().expect("a model and features");
    let models = cast(&model.0, &DataType::Utf8View)?;
    let models = models.as_string_view();
    let place = |row: usize| if model.1 { 0 } else { row };
    let mut answers = vec![];
    let mut row = 0;
    while row < n_rows {
        cancel::check(answers.len())?;
        let first = place(row);
        let same = (row + 1..n_rows).find(|next| !is_same(models, first, place(*next)));
        let end = same.unwrap_or(n_rows);
        if models.is_valid(first) {
            let rows: Vec<usize> = (row..end).filter(|row| is_known(features, *row)).collect();
            let (values, width) = gathered(features, &rows)?;
            if !rows.is_empty() {
                let found = f(models.value(first), &values, width).map_err(refused)?;
                answers.push((rows, found));
            }
        }
        row = end;
    }
    Ok(answers)
}

/// A view tells where a text lies: mostly there is nothing to compare.
fn is_same(models: &StringViewArray, one: usize, other: usize) -> bool {
    if models.is_null(one) || models.is_null(other) {
        return models.is_null(one) == models.is_null(other);
    }
    models.views()[one] == models.views()[other] || models.value(one) == models.value(other)
}

/// An array of features is not NULL; single ones may be.
fn is_known(features: &[Given], row: usize) -> bool {
    match features {
        [(array, is_constant)] if array.as_list_opt::<i32>().is_some() => {
            array.is_valid(if *is_constant { 0 } else { row })
        }
        _ => true,
    }
}

/// Row by row, and how many a row has.
fn gathered(features: &[Given], rows: &[usize]) -> Result<(Vec<f64>, usize)> {
    let mut values = vec![];
    let mut width = None;
    for row in rows {
        let before = values.len();
        for (array, is_constant) in features {
            let row = if *is_constant { 0 } else { *row };
            match array.as_list_opt::<i32>() {
                Some(lists) => {
                    let items = lists.value(row);
                    values.extend((0..items.len()).map(|at| feature(&items, at)));
                }
                None => values.push(feature(array, row)),
            }
        }
        let length = values.len() - before;
        if length == 0 || *width.get_or_insert(length) != length {
            return Err(refused(Error::Contradiction(
                "the arrays of features must be equally long, and hold at least one number",
            )));
        }
    }
    Ok((values, width.unwrap_or(0)))
}
