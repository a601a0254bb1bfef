//! Arrays of arrays and elements: `||`, `array_append`, `array_remove`, slices and the like.

use std::{cmp::Ordering, sync::Arc};

use arrow::{
    array::{ArrayRef, make_comparator},
    compute::{SortOptions, take},
};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::{elements, lists, span};
use crate::{
    refusal::refuse,
    simple::{Call, Kind, Overload, simple},
};

/// What the planner calls `array || array`, `array[n]` and `array[n:m]`.
pub const ARRAY_CONCAT: &str = "array_cat";
pub const ARRAY_ITEM: &str = "\u{1}array_item";
pub const ARRAY_SLICE: &str = "\u{1}array_slice";

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
    const APPEND: &[Overload] = &[one!(List, Item => List, append)];
    const PREPEND: &[Overload] = &[one!(Item, List => List, prepend)];
    const CAT: &[Overload] = &[one!(List, List => List, cat)];
    const REMOVE: &[Overload] = &[one!(List, Item => List, remove)];
    const REPLACE: &[Overload] = &[one!(List, Item, Item => List, replace)];
    const ITEM: &[Overload] = &[one!(List, Int => Item, item)];
    const SLICE: &[Overload] = &[one!(List, Int, Int => List, slice)];
    const TRIM: &[Overload] = &[one!(List, Int => List, trim)];
    vec![
        simple(
            "array_append",
            "array_append(array, element)",
            "With one more at the end.",
            APPEND,
        )
        .udf(),
        simple(
            "array_prepend",
            "array_prepend(element, array)",
            "With one more at the beginning.",
            PREPEND,
        )
        .udf(),
        simple(
            ARRAY_CONCAT,
            "array_cat(array, array)",
            "One behind the other.",
            CAT,
        )
        .udf(),
        simple(
            "array_remove",
            "array_remove(array, element)",
            "Without all that are equal.",
            REMOVE,
        )
        .udf(),
        simple(
            "array_replace",
            "array_replace(array, from, to)",
            "With all that are equal replaced.",
            REPLACE,
        )
        .udf(),
        simple(
            ARRAY_ITEM,
            "array[n]",
            "The n-th element, NULL if there is none.",
            ITEM,
        )
        .udf(),
        simple(
            ARRAY_SLICE,
            "array[n:m]",
            "The n-th to the m-th element.",
            SLICE,
        )
        .udf(),
        simple(
            "trim_array",
            "trim_array(array, n)",
            "Without the last n elements.",
            TRIM,
        )
        .udf(),
    ]
}

fn append(call: &Call) -> Result<ArrayRef> {
    let sources = [elements(call, 0), call.array(1).clone()];
    lists(call, &sources, |row| {
        let mut places = kept(call, 0, 0, row);
        places.push((1, call.at(1, row)));
        Ok(Some(places))
    })
}

fn prepend(call: &Call) -> Result<ArrayRef> {
    let sources = [call.array(0).clone(), elements(call, 1)];
    lists(call, &sources, |row| {
        let mut places = vec![(0, call.at(0, row))];
        places.extend(kept(call, 1, 1, row));
        Ok(Some(places))
    })
}

/// The elements of a list, none of NULL.
fn kept(call: &Call, index: usize, source: usize, row: usize) -> Vec<(usize, usize)> {
    if call.is_null(index, row) {
        return vec![];
    }
    let (from, to) = span(call, index, row);
    (from..to).map(|at| (source, at)).collect()
}

fn cat(call: &Call) -> Result<ArrayRef> {
    let sources = [elements(call, 0), elements(call, 1)];
    lists(call, &sources, |row| {
        if call.is_null(0, row) && call.is_null(1, row) {
            return Ok(None);
        }
        let mut places = kept(call, 0, 0, row);
        places.extend(kept(call, 1, 1, row));
        Ok(Some(places))
    })
}

fn remove(call: &Call) -> Result<ArrayRef> {
    let sources = [elements(call, 0)];
    let order = make_comparator(&sources[0], call.array(1), SortOptions::default())?;
    lists(call, &sources, |row| {
        if call.is_null(0, row) {
            return Ok(None);
        }
        let (from, to) = span(call, 0, row);
        let is_other = |at: &usize| order(*at, call.at(1, row)) != Ordering::Equal;
        Ok(Some(
            (from..to).filter(is_other).map(|at| (0, at)).collect(),
        ))
    })
}

fn replace(call: &Call) -> Result<ArrayRef> {
    let sources = [elements(call, 0), call.array(2).clone()];
    let order = make_comparator(&sources[0], call.array(1), SortOptions::default())?;
    lists(call, &sources, |row| {
        if call.is_null(0, row) {
            return Ok(None);
        }
        let (from, to) = span(call, 0, row);
        let place = |at: usize| match order(at, call.at(1, row)) {
            Ordering::Equal => (1, call.at(2, row)),
            _ => (0, at),
        };
        Ok(Some((from..to).map(place).collect()))
    })
}

fn item(call: &Call) -> Result<ArrayRef> {
    let values = elements(call, 0);
    let places = (0..call.rows).map(|row| {
        if call.any_null(row) {
            return None;
        }
        let (from, to) = span(call, 0, row);
        let number = usize::try_from(call.int(1, row)?).ok()?.checked_sub(1)?;
        let at = from.checked_add(number).filter(|at| *at < to)?;
        u32::try_from(at).ok()
    });
    let places: arrow::array::UInt32Array = places.collect();
    Ok(take(&values, &places, None)?)
}

/// A bound that is left out is NULL here: the planner says so only for one that is.
fn slice(call: &Call) -> Result<ArrayRef> {
    let sources = [elements(call, 0)];
    lists(call, &sources, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let (from, to) = span(call, 0, row);
        let low = call.int(1, row).unwrap_or(1).max(1);
        let high = call.int(2, row).unwrap_or(0).max(0);
        let first = from.saturating_add(usize::try_from(low - 1).unwrap_or(usize::MAX));
        let last = from
            .saturating_add(usize::try_from(high).unwrap_or(usize::MAX))
            .min(to);
        Ok(Some((first..last).map(|at| (0, at)).collect()))
    })
}

fn trim(call: &Call) -> Result<ArrayRef> {
    let sources = [elements(call, 0)];
    lists(call, &sources, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let (from, to) = span(call, 0, row);
        let dropped = usize::try_from(call.int(1, row).unwrap_or(0)).ok();
        let Some(dropped) = dropped.filter(|dropped| *dropped <= to - from) else {
            let message = format!(
                "number of elements to trim must be between 0 and {}",
                to - from
            );
            return Err(refuse("2202E", message));
        };
        Ok(Some((from..to - dropped).map(|at| (0, at)).collect()))
    })
}
