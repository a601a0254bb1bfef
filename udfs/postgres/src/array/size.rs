//! How large an array is: `array_length`, `cardinality`, `array_dims` and the like.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int32Builder, Int64Builder, ListBuilder},
    datatypes::DataType,
};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::{dimensions, span};
use crate::{
    refusal::refuse,
    simple::{Call, Kind, Overload, bounded, simple},
};

macro_rules! one {
    ($($takes:ident),* => $gives:ident, $work:ident) => {
        Overload {
            takes: &[$(Kind::$takes),*],
            more: None,
            gives: Kind::$gives,
            work: $work,
        }
    };
}

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const LENGTH: &[Overload] = &[one!(List, Int => Int4, length)];
    const LOWER: &[Overload] = &[one!(List, Int => Int4, lower)];
    const CARDINALITY: &[Overload] = &[one!(List => Int4, cardinality)];
    const NDIMS: &[Overload] = &[one!(List => Int4, ndims)];
    const DIMS: &[Overload] = &[one!(List => Text, dims)];
    const ORDINALS: &[Overload] = &[Overload {
        takes: &[],
        more: Some(Kind::AnyArray),
        gives: Kind::Int8s,
        work: ordinals,
    }];
    const SUBSCRIPTS: &[Overload] = &[
        one!(List, Int => Int4s, subscripts),
        one!(List, Int, Bool => Int4s, subscripts),
    ];
    let length = "The length of one dimension; NULL if it has none.";
    vec![
        simple(
            "array_length",
            "array_length(array, dimension)",
            length,
            LENGTH,
        )
        .udf(),
        simple(
            "array_upper",
            "array_upper(array, dimension)",
            length,
            LENGTH,
        )
        .udf(),
        simple(
            "array_lower",
            "array_lower(array, dimension)",
            "1, or NULL for an empty array.",
            LOWER,
        )
        .udf(),
        simple(
            "cardinality",
            "cardinality(array)",
            "How many elements there are in all dimensions.",
            CARDINALITY,
        )
        .udf(),
        simple(
            "array_ndims",
            "array_ndims(array)",
            "How many dimensions it has.",
            NDIMS,
        )
        .udf(),
        simple(
            "array_dims",
            "array_dims(array)",
            "The bounds of all dimensions.",
            DIMS,
        )
        .udf(),
        simple(
            "\u{1}ordinals",
            "WITH ORDINALITY",
            "1, 2, 3 … for the elements of an array.",
            ORDINALS,
        )
        .udf(),
        simple(
            "\u{1}generate_subscripts",
            "generate_subscripts(array, dimension [, reverse])",
            "1, 2, 3 … for the elements of a dimension.",
            SUBSCRIPTS,
        )
        .udf(),
    ]
}

/// Of the dimensions from the outermost on; none of an empty array.
fn sizes(call: &Call, row: usize) -> Vec<usize> {
    let mut sizes = vec![];
    let (mut from, mut to) = span(call, 0, row);
    let mut values: ArrayRef = call.list(0).values().clone();
    loop {
        sizes.push(to - from);
        if from == to {
            return vec![];
        }
        let DataType::List(_) = values.data_type() else {
            return sizes;
        };
        let inner = values.as_list::<i32>();
        if inner.is_null(from) {
            return sizes;
        }
        let offsets = inner.value_offsets();
        let place = |at: usize| usize::try_from(offsets[at]).unwrap_or(0);
        (from, to) = (place(from), place(from + 1));
        let next = inner.values().clone();
        values = next;
    }
}

fn size(call: &Call, row: usize) -> Option<i32> {
    if call.any_null(row) {
        return None;
    }
    let dimension = usize::try_from(call.int(1, row)?).ok()?.checked_sub(1)?;
    let size = sizes(call, row).get(dimension).copied()?;
    i32::try_from(size).ok()
}

fn length(call: &Call) -> Result<ArrayRef> {
    call.ints(|row| Ok(size(call, row)))
}

fn lower(call: &Call) -> Result<ArrayRef> {
    call.ints(|row| Ok(size(call, row).map(|_| 1)))
}

fn cardinality(call: &Call) -> Result<ArrayRef> {
    call.ints(|row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let sizes = sizes(call, row);
        let count = if sizes.is_empty() {
            0
        } else {
            sizes.iter().product()
        };
        Ok(i32::try_from(count).ok())
    })
}

fn ndims(call: &Call) -> Result<ArrayRef> {
    let count = i32::try_from(dimensions(call.array(0))).unwrap_or(0);
    call.ints(|row| {
        let is_empty = call.any_null(row) || sizes(call, row).is_empty();
        Ok((!is_empty).then_some(count))
    })
}

fn dims(call: &Call) -> Result<ArrayRef> {
    call.texts(|row, out| {
        if call.any_null(row) {
            return Ok(false);
        }
        let sizes = sizes(call, row);
        for size in &sizes {
            out.push_str(&format!("[1:{size}]"));
        }
        Ok(!sizes.is_empty())
    })
}

/// What `array_agg` has put together of arrays: 2202E unless all have the same size, 22004 where one is NULL.
pub fn same_sizes() -> Arc<ScalarUDF> {
    const SAME: &[Overload] = &[one!(AnyArray => AnyArray, checked)];
    simple(
        "\u{1}same_sizes",
        "array_agg(array)",
        "Arrays of one size as an array.",
        SAME,
    )
    .udf()
}

fn checked(call: &Call) -> Result<ArrayRef> {
    let arrays = call.list(0);
    let Some(items) = arrays.values().as_list_opt::<i32>() else {
        return Ok(call.array(0).clone());
    };
    for row in (0..arrays.len()).filter(|row| arrays.is_valid(*row)) {
        let (from, to) = span(call, 0, row);
        for item in from..to {
            if items.is_null(item) {
                return Err(refuse("22004", "cannot accumulate null arrays"));
            }
            if items.value_length(item) == 0 {
                return Err(refuse("2202E", "cannot accumulate empty arrays"));
            }
            if items.value_length(item) != items.value_length(from) {
                let message = "cannot accumulate arrays of different dimensionality";
                return Err(refuse("2202E", message));
            }
        }
    }
    Ok(call.array(0).clone())
}

fn ordinals(call: &Call) -> Result<ArrayRef> {
    let mut builder = ListBuilder::new(Int64Builder::new());
    for row in 0..call.rows {
        let arrays = (0..call.count()).filter(|index| !call.is_null(*index, row));
        let lengths = arrays.map(|index| {
            let (from, to) = span(call, index, row);
            to - from
        });
        for ordinal in 1..=lengths.max().unwrap_or(0) {
            builder
                .values()
                .append_value(i64::try_from(ordinal).unwrap_or(0));
        }
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}

fn subscripts(call: &Call) -> Result<ArrayRef> {
    let mut builder = ListBuilder::new(Int32Builder::new());
    let mut total = 0;
    for row in 0..call.rows {
        if let Some(size) = size(call, row) {
            total += 4 * usize::try_from(size).unwrap_or(0);
            bounded(total)?;
            let is_reverse = call.count() > 2 && call.bool(2, row).unwrap_or(false);
            for number in 1..=size {
                let number = if is_reverse {
                    size + 1 - number
                } else {
                    number
                };
                builder.values().append_value(number);
            }
        }
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}
