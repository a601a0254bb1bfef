//! What is in an array: `array_position`, `@>`, `<@`, `&&`.

use std::{cmp::Ordering, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, Int32Builder, ListBuilder, make_comparator},
    compute::SortOptions,
};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::{elements, span};
use crate::simple::{Call, Kind, Overload, simple};

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
    const POSITION: &[Overload] = &[
        one!(List, Item => Int4, position),
        one!(List, Item, Int => Int4, position),
    ];
    const POSITIONS: &[Overload] = &[one!(List, Item => Int4s, positions)];
    const CONTAINS: &[Overload] = &[one!(List, List => Bool, contains)];
    const CONTAINED: &[Overload] = &[one!(List, List => Bool, contained)];
    const OVERLAP: &[Overload] = &[one!(List, List => Bool, overlap)];
    vec![
        simple(
            "array_position",
            "array_position(array, element [, from])",
            "Where the first equal element is, counted from 1; NULL if there is none.",
            POSITION,
        )
        .udf(),
        simple(
            "array_positions",
            "array_positions(array, element)",
            "Where all equal elements are.",
            POSITIONS,
        )
        .udf(),
        simple(
            "arraycontains",
            "array @> array",
            "Whether the first has all elements of the second.",
            CONTAINS,
        )
        .udf(),
        simple(
            "arraycontained",
            "array <@ array",
            "Whether the second has all elements of the first.",
            CONTAINED,
        )
        .udf(),
        simple(
            "arrayoverlap",
            "array && array",
            "Whether they have an element in common.",
            OVERLAP,
        )
        .udf(),
    ]
}

fn position(call: &Call) -> Result<ArrayRef> {
    let values = elements(call, 0);
    let order = make_comparator(&values, call.array(1), SortOptions::default())?;
    call.ints(|row| {
        if call.is_null(0, row) {
            return Ok(None);
        }
        let (from, to) = span(call, 0, row);
        let skipped = if call.count() > 2 {
            call.int(2, row).unwrap_or(1) - 1
        } else {
            0
        };
        let first = from + usize::try_from(skipped).unwrap_or(0);
        let found = (first..to).find(|at| order(*at, call.at(1, row)) == Ordering::Equal);
        Ok(found.map(|at| i32::try_from(at - from + 1).unwrap_or(i32::MAX)))
    })
}

fn positions(call: &Call) -> Result<ArrayRef> {
    let values = elements(call, 0);
    let order = make_comparator(&values, call.array(1), SortOptions::default())?;
    let mut builder = ListBuilder::new(Int32Builder::new());
    for row in 0..call.rows {
        if call.is_null(0, row) {
            builder.append_null();
            continue;
        }
        let (from, to) = span(call, 0, row);
        for at in from..to {
            if order(at, call.at(1, row)) == Ordering::Equal {
                builder
                    .values()
                    .append_value(i32::try_from(at - from + 1).unwrap_or(i32::MAX));
            }
        }
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}

/// Whether all (or any) elements of one list are in the other. NULL equals nothing here.
fn among(call: &Call, parts: usize, whole: usize, all: bool) -> Result<ArrayRef> {
    let (part_values, whole_values) = (elements(call, parts), elements(call, whole));
    let order = make_comparator(&part_values, &whole_values, SortOptions::default())?;
    call.bools(|row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let (from, to) = span(call, whole, row);
        let is_in = |part: usize| {
            part_values.is_valid(part) && (from..to).any(|at| order(part, at) == Ordering::Equal)
        };
        let (first, last) = span(call, parts, row);
        let mut range = first..last;
        Ok(Some(if all {
            range.all(is_in)
        } else {
            range.any(is_in)
        }))
    })
}

fn contains(call: &Call) -> Result<ArrayRef> {
    among(call, 1, 0, true)
}

fn contained(call: &Call) -> Result<ArrayRef> {
    among(call, 0, 1, true)
}

fn overlap(call: &Call) -> Result<ArrayRef> {
    among(call, 0, 1, false)
}
