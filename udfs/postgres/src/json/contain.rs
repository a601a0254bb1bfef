//! `@>`, `<@`, `?`, `?|` and `?&`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::value::Value;
use crate::simple::{Call, Kind, Overload, simple};

macro_rules! one {
    ($first:ident, $second:ident, $work:ident) => {
        &[Overload {
            takes: &[Kind::$first, Kind::$second],
            more: None,
            gives: Kind::Bool,
            work: $work,
        }]
    };
}

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const CONTAINS: &[Overload] = one!(Jsonb, Jsonb, contains);
    const CONTAINED: &[Overload] = one!(Jsonb, Jsonb, contained);
    const EXISTS: &[Overload] = one!(Jsonb, Text, exists);
    const EXISTS_ANY: &[Overload] = one!(Jsonb, Texts, exists_any);
    const EXISTS_ALL: &[Overload] = one!(Jsonb, Texts, exists_all);
    vec![
        simple(
            "jsonb_contains",
            "jsonb @> jsonb",
            "Whether the first has all that the second has.",
            CONTAINS,
        )
        .udf(),
        simple(
            "jsonb_contained",
            "jsonb <@ jsonb",
            "Whether the second has all that the first has.",
            CONTAINED,
        )
        .udf(),
        simple(
            "jsonb_exists",
            "jsonb ? text",
            "Whether the text is a key, or a string of the array.",
            EXISTS,
        )
        .udf(),
        simple(
            "jsonb_exists_any",
            "jsonb ?| text[]",
            "Whether any of the texts is a key.",
            EXISTS_ANY,
        )
        .udf(),
        simple(
            "jsonb_exists_all",
            "jsonb ?& text[]",
            "Whether all of the texts are keys.",
            EXISTS_ALL,
        )
        .udf(),
    ]
}

fn contains(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (call.text(0), call.text(1));
    call.bools(|row| match left.get(row).zip(right.get(row)) {
        Some((left, right)) => Ok(Some(has(&Value::parse(left)?, &Value::parse(right)?, true))),
        None => Ok(None),
    })
}

fn contained(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (call.text(0), call.text(1));
    call.bools(|row| match left.get(row).zip(right.get(row)) {
        Some((left, right)) => Ok(Some(has(&Value::parse(right)?, &Value::parse(left)?, true))),
        None => Ok(None),
    })
}

/// An array contains the scalar that it has as an element, but only on the outside.
fn has(whole: &Value, part: &Value, is_outside: bool) -> bool {
    match (whole, part) {
        (Value::Object(_), Value::Object(members)) => members.iter().all(|(key, part)| {
            whole
                .member(key)
                .is_some_and(|whole| has(whole, part, false))
        }),
        (Value::Array(items), Value::Array(parts)) => parts.iter().all(|part| {
            items.iter().any(|item| {
                if part.is_scalar() {
                    item.equals(part)
                } else {
                    has(item, part, false)
                }
            })
        }),
        (Value::Array(items), part) if is_outside && part.is_scalar() => {
            items.iter().any(|item| item.equals(part))
        }
        (whole, part) => whole.is_scalar() && part.is_scalar() && whole.equals(part),
    }
}

fn has_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(_) => value.member(key).is_some(),
        Value::Array(items) => items
            .iter()
            .any(|item| matches!(item, Value::String(text) if text == key)),
        Value::String(text) => text == key,
        _ => false,
    }
}

fn exists(call: &Call) -> Result<ArrayRef> {
    let (values, keys) = (call.text(0), call.text(1));
    call.bools(|row| match values.get(row).zip(keys.get(row)) {
        Some((value, key)) => Ok(Some(has_key(&Value::parse(value)?, key))),
        None => Ok(None),
    })
}

fn exists_any(call: &Call) -> Result<ArrayRef> {
    of_keys(call, |value, keys| {
        keys.iter().any(|key| has_key(value, key))
    })
}

fn exists_all(call: &Call) -> Result<ArrayRef> {
    of_keys(call, |value, keys| {
        keys.iter().all(|key| has_key(value, key))
    })
}

fn of_keys(call: &Call, test: impl Fn(&Value, &[&str]) -> bool) -> Result<ArrayRef> {
    let values = call.text(0);
    call.bools(|row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let keys = call.list(1).value(call.at(1, row));
        let keys = keys.as_string_view();
        let value = Value::parse(values.of(row))?;
        let keys: Vec<&str> = keys.iter().flatten().collect();
        Ok(Some(test(&value, &keys)))
    })
}
