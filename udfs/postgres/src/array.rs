//! Arrays as PostgreSQL has them: counted from 1, nothing outside, elements equal if both are NULL.

mod build;
mod look;
mod size;

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, ListArray, new_empty_array},
    buffer::{NullBuffer, OffsetBuffer},
    compute::interleave,
    datatypes::DataType,
};
use datafusion_common::{Result, exec_err};
use datafusion_expr::ScalarUDF;

use crate::simple::{Call, bounded};

pub use build::{ARRAY_CONCAT, ARRAY_ITEM, ARRAY_SLICE};
pub use size::same_sizes;

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    [build::functions(), look::functions(), size::functions()].concat()
}

/// Where the elements of a row's list lie.
fn span(call: &Call, index: usize, row: usize) -> (usize, usize) {
    let offsets = call.list(index).value_offsets();
    let at = call.at(index, row);
    let place = |at: usize| usize::try_from(offsets[at]).unwrap_or(0);
    (place(at), place(at + 1))
}

/// Of each element, from which source it comes and where it is there.
type Places = Vec<(usize, usize)>;

/// Lists of elements of the sources; `None` is NULL.
fn lists(
    call: &Call,
    sources: &[ArrayRef],
    mut each: impl FnMut(usize) -> Result<Option<Places>>,
) -> Result<ArrayRef> {
    let DataType::List(field) = &call.gives else {
        return exec_err!("an array function answers an array");
    };
    let mut places: Places = vec![];
    let mut lengths = Vec::with_capacity(call.rows);
    let mut valid = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let list = each(row)?;
        valid.push(list.is_some());
        let list = list.unwrap_or_default();
        lengths.push(list.len());
        places.extend(list);
        bounded(places.len().saturating_mul(8))?;
    }
    let values = if places.is_empty() {
        new_empty_array(field.data_type())
    } else {
        let sources: Vec<&dyn Array> = sources.iter().map(AsRef::as_ref).collect();
        interleave(&sources, &places)?
    };
    Ok(Arc::new(ListArray::try_new(
        field.clone(),
        OffsetBuffer::from_lengths(lengths),
        values,
        Some(NullBuffer::from(valid)),
    )?))
}

/// The elements of an argument that is a list, or that is itself one element.
fn elements(call: &Call, index: usize) -> ArrayRef {
    match call.array(index).data_type() {
        DataType::List(_) => call.list(index).values().clone(),
        _ => call.array(index).clone(),
    }
}

fn dimensions(list: &ArrayRef) -> usize {
    let mut count = 0;
    let mut values = list.clone();
    while let DataType::List(_) = values.data_type() {
        count += 1;
        values = values.as_list::<i32>().values().clone();
    }
    count
}
