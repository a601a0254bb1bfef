//! `||`, `-` and `#-` of jsonb, `jsonb_set`, `jsonb_insert`, `json_strip_nulls` and `jsonb_pretty`.

use std::{borrow::Cow, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::DataType,
};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::{
    scan::quote,
    value::{Value, place},
};
use crate::{
    refusal::refuse,
    simple::{Call, Kind, Overload, simple},
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
    const CONCAT: &[Overload] = &[one!(Jsonb, Jsonb => Jsonb, concat)];
    const DELETE: &[Overload] = &[
        one!(Jsonb, Text => Jsonb, delete),
        one!(Jsonb, Int => Jsonb, delete),
        one!(Jsonb, Texts => Jsonb, delete),
    ];
    const DELETE_PATH: &[Overload] = &[one!(Jsonb, Texts => Jsonb, delete_path)];
    const SET: &[Overload] = &[
        one!(Jsonb, Texts, Jsonb => Jsonb, set),
        one!(Jsonb, Texts, Jsonb, Bool => Jsonb, set),
    ];
    const INSERT: &[Overload] = &[
        one!(Jsonb, Texts, Jsonb => Jsonb, insert),
        one!(Jsonb, Texts, Jsonb, Bool => Jsonb, insert),
    ];
    const STRIP: &[Overload] = &[one!(Jsonb => Jsonb, strip)];
    const PRETTY: &[Overload] = &[one!(Jsonb => Text, pretty)];
    vec![
        simple("jsonb_concat", "jsonb || jsonb", "Two objects or arrays as one; of equal keys the second stays.", CONCAT).udf(),
        simple("jsonb_delete", "jsonb - key", "Without a key, several keys or an element.", DELETE).udf(),
        simple("jsonb_delete_path", "jsonb #- path", "Without what is at the end of a path.", DELETE_PATH).udf(),
        simple(
            "jsonb_set",
            "jsonb_set(jsonb, path, value [, create])",
            "With another value at the end of a path; a key that is missing is made unless create is false.",
            SET,
        )
        .udf(),
        simple(
            "jsonb_insert",
            "jsonb_insert(jsonb, path, value [, after])",
            "With a new value at the end of a path, before or after the element that is there.",
            INSERT,
        )
        .udf(),
        simple("jsonb_strip_nulls", "jsonb_strip_nulls(jsonb)", "Without the keys whose value is null.", STRIP).udf(),
        simple("jsonb_pretty", "jsonb_pretty(jsonb)", "Over several lines, indented.", PRETTY).udf(),
    ]
}

fn concat(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (call.text(0), call.text(1));
    call.strict_texts(|row, out| {
        let (left, right) = (Value::parse(left.of(row))?, Value::parse(right.of(row))?);
        let items = |value| match value {
            Value::Array(items) => items,
            other => vec![other],
        };
        let both = match (left, right) {
            (Value::Object(mut members), Value::Object(more)) => {
                members.extend(more);
                Value::object(members)
            }
            (left, right) => {
                let mut all = items(left);
                all.extend(items(right));
                Value::Array(all)
            }
        };
        both.write(out);
        Ok(())
    })
}

/// The keys of a row's path.
fn path(call: &Call, index: usize, row: usize) -> Vec<Option<String>> {
    let keys = call.list(index).value(call.at(index, row));
    let keys = keys.as_string_view().iter();
    keys.map(|key| key.map(ToOwned::to_owned)).collect()
}

fn delete(call: &Call) -> Result<ArrayRef> {
    let values = call.text(0);
    let kind = call.array(1).data_type().clone();
    call.strict_texts(|row, out| {
        let value = Value::parse(values.of(row))?;
        if value.is_scalar() {
            return Err(refuse("22023", "cannot delete from scalar"));
        }
        let left = if let DataType::Int64 = kind {
            let index = call.int(1, row).unwrap_or_default();
            match value {
                Value::Array(mut items) => {
                    if let Some(at) = place(index, items.len()).filter(|at| *at < items.len()) {
                        items.remove(at);
                    }
                    Value::Array(items)
                }
                _ => {
                    return Err(refuse(
                        "22023",
                        "cannot delete from object using integer index",
                    ));
                }
            }
        } else {
            let keys = match kind {
                DataType::List(_) => path(call, 1, row).into_iter().flatten().collect(),
                _ => vec![call.text(1).of(row).to_owned()],
            };
            let is_gone = |text: &str| keys.iter().any(|key| key == text);
            match value {
                Value::Object(mut members) => {
                    members.retain(|(key, _)| !is_gone(key));
                    Value::Object(members)
                }
                Value::Array(mut items) => {
                    items.retain(|item| !matches!(item, Value::String(text) if is_gone(text)));
                    Value::Array(items)
                }
                other => other,
            }
        };
        left.write(out);
        Ok(())
    })
}

/// What happens at the end of a path.
enum Change<'a> {
    Delete,
    Set { value: Value<'a>, create: bool },
    Insert { value: Value<'a>, after: bool },
}

impl Change<'_> {
    /// Whether it may make what is not there.
    fn adds(&self) -> bool {
        match self {
            Self::Delete => false,
            Self::Set { create, .. } => *create,
            Self::Insert { .. } => true,
        }
    }
}

fn changed<'a>(
    value: Value<'a>,
    path: &[Option<String>],
    depth: usize,
    change: &Change<'a>,
) -> Result<Value<'a>> {
    let Some((key, rest)) = path.get(depth..).and_then(<[_]>::split_first) else {
        return Ok(value);
    };
    let Some(key) = key else {
        let message = format!("path element at position {} is null", depth + 1);
        return Err(refuse("22004", message));
    };
    Ok(match value {
        Value::Object(mut members) => {
            let known = members.iter().position(|(known, _)| known == key);
            match (known, change) {
                (Some(at), _) if !rest.is_empty() => {
                    let (key, inner) = members.remove(at);
                    members.insert(at, (key, changed(inner, path, depth + 1, change)?));
                }
                (None, _) if !rest.is_empty() => {}
                (Some(at), Change::Delete) => {
                    members.remove(at);
                }
                (Some(at), Change::Set { value, .. }) => members[at].1 = value.clone(),
                (Some(_), Change::Insert { .. }) => {
                    return Err(refuse("22023", "cannot replace existing key"));
                }
                (
                    None,
                    Change::Set {
                        value,
                        create: true,
                    }
                    | Change::Insert { value, .. },
                ) => {
                    members.push((Cow::Owned(key.clone()), value.clone()));
                }
                (None, _) => {}
            }
            Value::object(members)
        }
        Value::Array(mut items) => {
            let index: i64 = key.parse().map_err(|_| {
                refuse(
                    "22P02",
                    format!(
                        "path element at position {} is not an integer: \"{key}\"",
                        depth + 1
                    ),
                )
            })?;
            let at = place(index, items.len());
            let known = at.filter(|at| *at < items.len());
            match (known, change) {
                (Some(at), _) if !rest.is_empty() => {
                    let inner = items.remove(at);
                    items.insert(at, changed(inner, path, depth + 1, change)?);
                }
                (None, _) if !rest.is_empty() => {}
                (Some(at), Change::Delete) => {
                    items.remove(at);
                }
                (Some(at), Change::Set { value, .. }) => items[at] = value.clone(),
                (Some(at), Change::Insert { value, after }) => {
                    items.insert(at + usize::from(*after), value.clone());
                }
                (
                    None,
                    Change::Set {
                        value,
                        create: true,
                    }
                    | Change::Insert { value, .. },
                ) => {
                    // Before the beginning, or behind the end.
                    let end = if index < 0 { 0 } else { items.len() };
                    items.insert(end, value.clone());
                }
                (None, _) => {}
            }
            Value::Array(items)
        }
        scalar => scalar,
    })
}

fn along_path(
    call: &Call,
    scalar: &str,
    change: impl Fn(usize) -> Result<Change<'static>>,
) -> Result<ArrayRef> {
    let values = call.text(0);
    call.strict_texts(|row, out| {
        let value = Value::parse(values.of(row))?;
        if value.is_scalar() {
            return Err(refuse("22023", scalar));
        }
        let change = change(row)?;
        // PostgreSQL does not even look at the path.
        let is_empty = match &value {
            Value::Object(members) => members.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        let value = match is_empty && !change.adds() {
            true => value,
            false => changed(value, &path(call, 1, row), 0, &change)?,
        };
        value.write(out);
        Ok(())
    })
}

fn delete_path(call: &Call) -> Result<ArrayRef> {
    along_path(call, "cannot delete path in scalar", |_| Ok(Change::Delete))
}

fn set(call: &Call) -> Result<ArrayRef> {
    let news = call.text(2);
    along_path(call, "cannot set path in scalar", |row| {
        let create = call.count() < 4 || call.bool(3, row).unwrap_or(true);
        let value = Value::parse(news.of(row))?.owned();
        Ok(Change::Set { value, create })
    })
}

fn insert(call: &Call) -> Result<ArrayRef> {
    let news = call.text(2);
    along_path(call, "cannot set path in scalar", |row| {
        let after = call.count() > 3 && call.bool(3, row).unwrap_or(false);
        let value = Value::parse(news.of(row))?.owned();
        Ok(Change::Insert { value, after })
    })
}

fn strip(call: &Call) -> Result<ArrayRef> {
    let values = call.text(0);
    call.strict_texts(|row, out| {
        without_nulls(Value::parse(values.of(row))?).write(out);
        Ok(())
    })
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, value)| *value != Value::Null)
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

fn pretty(call: &Call) -> Result<ArrayRef> {
    let values = call.text(0);
    call.strict_texts(|row, out| {
        indented(&Value::parse(values.of(row))?, 0, out);
        Ok(())
    })
}

fn indented(value: &Value, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    };
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                indented(item, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, item)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                quote(key, out);
                out.push_str(": ");
                indented(item, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        other => other.write(out),
    }
}
