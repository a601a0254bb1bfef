//! Texts to arrays and back: `string_to_array` and `array_to_string`.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, ListArray},
    datatypes::DataType,
};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    output::Output,
    simple::{Call, Kind, Overload, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const SPLIT: &[Overload] = &[
        Overload {
            takes: &[Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Texts,
            work: split,
        },
        Overload {
            takes: &[Kind::Text, Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Texts,
            work: split,
        },
    ];
    const JOIN: &[Overload] = &[
        Overload {
            takes: &[Kind::AnyArray, Kind::Text],
            more: None,
            gives: Kind::Text,
            work: join,
        },
        Overload {
            takes: &[Kind::AnyArray, Kind::Text, Kind::Text],
            more: None,
            gives: Kind::Text,
            work: join,
        },
    ];
    vec![
        simple(
            "string_to_array",
            "string_to_array(text, separator [, null])",
            "What lies between the separators; with a NULL separator each character. What equals the third text becomes NULL.",
            SPLIT,
        )
        .udf(),
        simple(
            "array_to_string",
            "array_to_string(array, separator [, null])",
            "The elements as texts with the separator between them. NULLs are left out, or are the third text.",
            JOIN,
        )
        .stable()
        .udf(),
    ]
}

fn split(call: &Call) -> Result<ArrayRef> {
    let (texts, separators) = (call.text(0), call.text(1));
    call.text_lists(|row| {
        let Some(text) = texts.get(row) else {
            return Ok(None);
        };
        let null = if call.count() > 2 {
            call.text(2).get(row)
        } else {
            None
        };
        let item = |part: &str| (Some(part) != null).then(|| part.to_owned());
        if text.is_empty() {
            return Ok(Some(vec![]));
        }
        Ok(Some(match separators.get(row) {
            None => text
                .chars()
                .map(|c| item(c.encode_utf8(&mut [0; 4])))
                .collect(),
            Some("") => vec![item(text)],
            Some(separator) => text.split(separator).map(item).collect(),
        }))
    })
}

fn join(call: &Call) -> Result<ArrayRef> {
    if call.array(0).data_type().is_null() {
        return call.texts(|_, _| Ok(false));
    }
    let separators = call.text(1);
    let lists = call.list(0);
    let leaves = leaves(lists);
    let values = Output::new(&leaves, call.zone)?;
    call.texts(|row, out| {
        let (false, Some(separator)) = (call.is_null(0, row), separators.get(row)) else {
            return Ok(false);
        };
        let null = if call.count() > 2 {
            call.text(2).get(row)
        } else {
            None
        };
        let mut is_first = true;
        let (from, to) = span(lists, call.at(0, row));
        for at in from..to {
            let is_null = values.is_null(at);
            if is_null && null.is_none() {
                continue;
            }
            if !is_first {
                out.push_str(separator);
            }
            is_first = false;
            match null {
                Some(null) if is_null => out.push_str(null),
                _ => values.write(at, out),
            }
        }
        Ok(true)
    })
}

/// The elements of arrays in arrays, too.
fn leaves(lists: &ListArray) -> ArrayRef {
    let mut values = lists.values().clone();
    while let DataType::List(_) = values.data_type() {
        values = values.as_list::<i32>().values().clone();
    }
    values
}

/// Which leaves belong to one list.
fn span(lists: &ListArray, at: usize) -> (usize, usize) {
    let place =
        |lists: &ListArray, at: usize| usize::try_from(lists.value_offsets()[at]).unwrap_or(0);
    let (mut from, mut to) = (place(lists, at), place(lists, at + 1));
    let mut values = lists.values().clone();
    while let DataType::List(_) = values.data_type() {
        let inner = values.as_list::<i32>();
        (from, to) = (place(inner, from), place(inner, to));
        let next = inner.values().clone();
        values = next;
    }
    (from, to)
}
