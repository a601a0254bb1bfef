//! `->`, `->>`, `#>`, `#>>` and `json_extract_path`: one value out of another, in one reading.
//!
//! The operators reach into the text that a `jsonb` is made of as well as into that of a `json`; the planner therefore
//! leaves out the cast of a text to `jsonb` that is only reached into.

use std::{borrow::Cow, sync::Arc};

use arrow::array::{Array, ArrayRef, AsArray};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::{
    scan::{Scan, unescaped},
    value::{Value, place},
};
use crate::simple::{Call, Kind, Overload, simple};

macro_rules! getter {
    ($name:literal, $usage:literal, $gives:ident, $work:ident) => {{
        const OVERLOADS: &[Overload] = &[
            Overload {
                takes: &[Kind::Json, Kind::Text],
                more: Some(Kind::Text),
                gives: Kind::$gives,
                work: $work,
            },
            Overload {
                takes: &[Kind::Json],
                more: None,
                gives: Kind::$gives,
                work: $work,
            },
            Overload {
                takes: &[Kind::Json, Kind::Int],
                more: None,
                gives: Kind::$gives,
                work: $work,
            },
            Overload {
                takes: &[Kind::Json, Kind::Texts],
                more: None,
                gives: Kind::$gives,
                work: $work,
            },
        ];
        simple(
            $name,
            $usage,
            "The value under a key, at a place or at the end of a path; NULL if there is none.",
            OVERLOADS,
        )
        .udf()
    }};
}

/// What the planner calls the operators.
pub const GET_JSON: &str = "\u{1}json_get";
pub const GET_JSONB: &str = "\u{1}jsonb_get";
pub const GET_JSON_TEXT: &str = "\u{1}json_get_text";
pub const GET_JSONB_TEXT: &str = "\u{1}jsonb_get_text";

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        getter!("\u{1}json_get", "json -> key", Json, json),
        getter!("\u{1}jsonb_get", "jsonb -> key", Jsonb, jsonb),
        getter!("\u{1}json_get_text", "json ->> key", Text, json_text),
        getter!("\u{1}jsonb_get_text", "jsonb ->> key", Text, jsonb_text),
        getter!(
            "json_extract_path",
            "json_extract_path(json, key, …)",
            Json,
            json
        ),
        getter!(
            "jsonb_extract_path",
            "jsonb_extract_path(jsonb, key, …)",
            Jsonb,
            jsonb
        ),
        getter!(
            "json_extract_path_text",
            "json_extract_path_text(json, key, …)",
            Text,
            json_text
        ),
        getter!(
            "jsonb_extract_path_text",
            "jsonb_extract_path_text(jsonb, key, …)",
            Text,
            jsonb_text
        ),
    ]
}

/// A step of a path.
enum Step<'a> {
    Key(&'a str),
    Index(i64),
    /// A key in an object, or a place in an array, as in paths.
    Either(&'a str),
}

fn json(call: &Call) -> Result<ArrayRef> {
    got(call, false, |found, out| {
        out.push_str(found);
        Ok(true)
    })
}

fn jsonb(call: &Call) -> Result<ArrayRef> {
    got(call, true, |found, out| {
        Value::parse(found)?.write(out);
        Ok(true)
    })
}

fn json_text(call: &Call) -> Result<ArrayRef> {
    got(call, false, |found, out| {
        if found == "null" {
            return Ok(false);
        }
        match inside_quotes(found) {
            Some(raw) => out.push_str(&unescaped(raw)?),
            None => out.push_str(found),
        }
        Ok(true)
    })
}

fn jsonb_text(call: &Call) -> Result<ArrayRef> {
    got(call, true, |found, out| match inside_quotes(found) {
        Some(raw) => {
            out.push_str(&unescaped(raw)?);
            Ok(true)
        }
        None => Ok(Value::parse(found)?.write_text(out)),
    })
}

fn inside_quotes(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}

fn got(
    call: &Call,
    is_jsonb: bool,
    write: impl Fn(&str, &mut String) -> Result<bool>,
) -> Result<ArrayRef> {
    let texts = call.text(0);
    let types: Vec<_> = (1..call.count())
        .map(|index| call.array(index).data_type().clone())
        .collect();
    let is_path = matches!(types.as_slice(), [arrow::datatypes::DataType::List(_)]);
    let is_index = matches!(types.as_slice(), [only] if only.is_integer());
    let is_variadic = !is_path && !is_index;
    let several = call.count() != 2;

    call.texts(|row, out| {
        if call.any_null(row) {
            return Ok(false);
        }
        let mut steps = vec![];
        let keys: ArrayRef;
        if is_path {
            keys = call.list(1).value(call.at(1, row));
            let keys = keys.as_string_view();
            if keys.null_count() > 0 {
                return Ok(false);
            }
            steps.extend(keys.iter().flatten().map(Step::Either));
        } else if is_index {
            steps.extend(call.int(1, row).map(Step::Index));
        } else if is_variadic {
            for index in 1..call.count() {
                let key = call.text(index).of(row);
                steps.push(if several {
                    Step::Either(key)
                } else {
                    Step::Key(key)
                });
            }
        }
        let text = texts.of(row);
        let is_alone = is_index && is_jsonb && !text.trim_start().starts_with(['{', '[']);
        if is_alone && matches!(steps.as_slice(), [Step::Index(0 | -1)]) {
            // A jsonb that is neither array nor object is an array of one here.
            steps.clear();
        }
        match find(text, &steps)? {
            Some(found) => write(found, out),
            None => Ok(false),
        }
    })
}

/// The text of the value at the end of the path. The whole document is looked at first, so that what is no JSON is refused.
fn find<'a>(text: &'a str, steps: &[Step]) -> Result<Option<&'a str>> {
    let mut scan = Scan::new(text);
    let mut found = match steps.split_first() {
        Some((first, _)) => step(&mut scan, first)?,
        None => Some(scan.skip()?),
    };
    scan.end()?;
    for next in steps.iter().skip(1) {
        let Some(inner) = found else { return Ok(None) };
        found = step(&mut Scan::new(inner), next)?;
    }
    Ok(found)
}

/// Reads one value, and answers the part of it that is asked for.
fn step<'a>(scan: &mut Scan<'a>, step: &Step) -> Result<Option<&'a str>> {
    match (scan.peek(), step) {
        (Some(b'{'), Step::Key(key) | Step::Either(key)) => member(scan, key),
        (Some(b'['), Step::Index(index)) => item(scan, *index),
        (Some(b'['), Step::Either(key)) => match key.parse::<i64>() {
            Ok(index) => item(scan, index),
            Err(_) => {
                scan.skip()?;
                Ok(None)
            }
        },
        _ => {
            scan.skip()?;
            Ok(None)
        }
    }
}

fn member<'a>(scan: &mut Scan<'a>, key: &str) -> Result<Option<&'a str>> {
    let mut found = None;
    scan.enter()?;
    scan.expect(b'{')?;
    if !scan.skips(b'}') {
        loop {
            scan.peek();
            let raw = scan.string()?;
            let known: Cow<str> = if raw.contains('\\') {
                unescaped(raw)?
            } else {
                Cow::Borrowed(raw)
            };
            scan.expect(b':')?;
            let value = scan.skip()?;
            if known == key {
                found = Some(value);
            }
            if scan.skips(b'}') {
                break;
            }
            scan.expect(b',')?;
        }
    }
    scan.leave();
    Ok(found)
}

fn item<'a>(scan: &mut Scan<'a>, index: i64) -> Result<Option<&'a str>> {
    let mut items = vec![];
    let mut count = 0;
    scan.enter()?;
    scan.expect(b'[')?;
    if !scan.skips(b']') {
        loop {
            let value = scan.skip()?;
            // Only a place that is counted from the end needs them all.
            if index < 0 || count == index {
                items.push(value);
            }
            count += 1;
            if scan.skips(b']') {
                break;
            }
            scan.expect(b',')?;
        }
    }
    scan.leave();
    if index >= 0 {
        return Ok(items.pop());
    }
    Ok(place(index, items.len()).map(|at| items[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, steps: &[Step], expected: Option<&str>) {
        assert_eq!(find(text, steps).expect(text), expected, "{text}");
    }

    #[test]
    fn a_path_goes_through_objects_and_arrays() {
        let text = r#" {"a": [1, {"b": "x"}], "a\u0062": null, "c": 1, "c": 2} "#;
        check(
            text,
            &[Step::Key("a"), Step::Index(1), Step::Key("b")],
            Some("\"x\""),
        );
        check(text, &[Step::Either("a"), Step::Either("-2")], Some("1"));
        check(text, &[Step::Key("ab")], Some("null"));
        check(text, &[Step::Key("c")], Some("2"));
        check(text, &[Step::Key("nothing"), Step::Key("b")], None);
        check(text, &[Step::Index(0)], None);
        check("[1,2,3]", &[Step::Index(-1)], Some("3"));
        check("[1,2,3]", &[Step::Index(-4)], None);
    }

    #[test]
    fn what_is_no_json_is_refused_wherever_it_is_broken() {
        assert!(find(r#"{"a": 1, "b": }"#, &[Step::Key("a")]).is_err());
        assert!(find(r#"{"a": 1} x"#, &[Step::Key("a")]).is_err());
    }
}
