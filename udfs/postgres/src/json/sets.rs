//! What `json_array_elements`, `json_object_keys` and `json_each` make their rows of: arrays, to be unnested.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, ListBuilder, StringViewBuilder},
    datatypes::{DataType, Field},
};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::{
    scan::{Scan, unescaped},
    value::Value,
};
use crate::{
    refusal::{not_supported, refuse},
    simple::{Call, Kind, Overload, PG_TYPE, bounded, simple},
};

macro_rules! set {
    ($name:literal, $usage:literal, $gives:ident, $work:expr) => {{
        fn work(call: &Call) -> Result<ArrayRef> {
            $work(call)
        }
        const OVERLOADS: &[Overload] = &[Overload {
            takes: &[Kind::Json],
            more: None,
            gives: Kind::$gives,
            work,
        }];
        simple(
            $name,
            $usage,
            "A row for each element, or for each key.",
            OVERLOADS,
        )
        .udf()
    }};
}

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        set!(
            "\u{1}json_array_elements",
            "json_array_elements(json)",
            Jsons,
            |call| elements(call, Shape::Json)
        ),
        set!(
            "\u{1}jsonb_array_elements",
            "jsonb_array_elements(jsonb)",
            Jsonbs,
            |call| elements(call, Shape::Jsonb)
        ),
        set!(
            "\u{1}json_array_elements_text",
            "json_array_elements_text(json)",
            Texts,
            |call| elements(call, Shape::JsonText)
        ),
        set!(
            "\u{1}jsonb_array_elements_text",
            "jsonb_array_elements_text(jsonb)",
            Texts,
            |call| elements(call, Shape::JsonbText)
        ),
        set!(
            "\u{1}json_to_recordset",
            "json_to_recordset(json)",
            Jsons,
            |call| records(call, Shape::Json)
        ),
        set!(
            "\u{1}jsonb_to_recordset",
            "jsonb_to_recordset(jsonb)",
            Jsonbs,
            |call| records(call, Shape::Jsonb)
        ),
        set!("\u{1}json_items", "json_to_record(json)", Texts, items),
        set!(
            "\u{1}json_object_keys",
            "json_object_keys(json)",
            Texts,
            |call| keys(call, false, "json_object_keys")
        ),
        set!(
            "\u{1}jsonb_object_keys",
            "jsonb_object_keys(jsonb)",
            Texts,
            |call| keys(call, true, "jsonb_object_keys")
        ),
        set!(
            "\u{1}json_each_keys",
            "json_each(json)",
            Texts,
            |call| keys(call, false, "json_each")
        ),
        set!("\u{1}jsonb_each_keys", "jsonb_each(jsonb)", Texts, |call| {
            keys(call, true, "jsonb_each")
        }),
        set!("\u{1}json_each", "json_each(json)", Jsons, |call| members(
            call,
            Shape::Json
        )),
        set!("\u{1}jsonb_each", "jsonb_each(jsonb)", Jsonbs, |call| {
            members(call, Shape::Jsonb)
        }),
        set!(
            "\u{1}json_each_text",
            "json_each_text(json)",
            Texts,
            |call| members(call, Shape::JsonText)
        ),
        set!(
            "\u{1}jsonb_each_text",
            "jsonb_each_text(jsonb)",
            Texts,
            |call| members(call, Shape::JsonbText)
        ),
    ]
}

#[derive(Clone, Copy)]
enum Shape {
    Json,
    Jsonb,
    JsonText,
    JsonbText,
}

impl Shape {
    /// One value in this shape; `None` is NULL.
    fn of(self, raw: &str) -> Result<Option<String>> {
        let mut out = String::new();
        match self {
            Shape::Json => out.push_str(raw),
            Shape::Jsonb => Value::parse(raw)?.write(&mut out),
            Shape::JsonText if raw == "null" => return Ok(None),
            Shape::JsonText => match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
                Some(inner) => out.push_str(&unescaped(inner)?),
                None => out.push_str(raw),
            },
            Shape::JsonbText => {
                if !Value::parse(raw)?.write_text(&mut out) {
                    return Ok(None);
                }
            }
        }
        Ok(Some(out))
    }

    fn item(self) -> Field {
        let item = Field::new_list_field(DataType::Utf8View, true);
        let pg_type = match self {
            Shape::Json => "json",
            Shape::Jsonb => "jsonb",
            Shape::JsonText | Shape::JsonbText => return item,
        };
        item.with_metadata(HashMap::from([(PG_TYPE.to_owned(), pg_type.to_owned())]))
    }
}

fn lists(
    call: &Call,
    item: Field,
    mut each: impl FnMut(&str, &mut dyn FnMut(Option<String>) -> Result<()>) -> Result<()>,
) -> Result<ArrayRef> {
    let values = call.text(0);
    let mut builder = ListBuilder::new(StringViewBuilder::new()).with_field(item);
    let mut total = 0;
    for row in 0..call.rows {
        if let Some(value) = values.get(row) {
            each(value, &mut |item| {
                total += item.as_ref().map_or(0, String::len) + 16;
                bounded(total)?;
                builder.values().append_option(item);
                Ok(())
            })?;
        }
        // No row for NULL, as for nothing.
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}

fn elements(call: &Call, shape: Shape) -> Result<ArrayRef> {
    lists(call, shape.item(), |text, put| {
        put_elements(text, shape, put)
    })
}

fn put_elements(
    text: &str,
    shape: Shape,
    put: &mut dyn FnMut(Option<String>) -> Result<()>,
) -> Result<()> {
    let mut scan = Scan::new(text);
    match scan.peek() {
        Some(b'[') => {}
        Some(b'{') => return Err(refuse("22023", "cannot extract elements from an object")),
        _ => {
            scan.skip()?;
            return Err(refuse("22023", "cannot extract elements from a scalar"));
        }
    }
    scan.expect(b'[')?;
    if !scan.skips(b']') {
        loop {
            put(shape.of(scan.skip()?)?)?;
            if scan.skips(b']') {
                break;
            }
            scan.expect(b',')?;
        }
    }
    scan.end()
}

/// As [`elements`], each an object.
fn records(call: &Call, shape: Shape) -> Result<ArrayRef> {
    let function = match shape {
        Shape::Json | Shape::JsonText => "json_to_recordset",
        Shape::Jsonb | Shape::JsonbText => "jsonb_to_recordset",
    };
    let wrong = |what: &str| Err(refuse("22023", format!("cannot call {function} on {what}")));
    lists(call, shape.item(), |text, put| {
        match Value::parse(text)? {
            Value::Array(items) => {
                if !items.iter().all(|item| matches!(item, Value::Object(_))) {
                    let message = format!("argument of {function} must be an array of objects");
                    return Err(refuse("22023", message));
                }
            }
            Value::Object(_) => return wrong("an object"),
            _ => return wrong("a scalar"),
        }
        put_elements(text, shape, put)
    })
}

/// The texts of an array, NULL for none: what a column of an array's type takes of a member.
fn items(call: &Call) -> Result<ArrayRef> {
    let values = call.text(0);
    call.text_lists(|row| {
        let Some(value) = values.get(row) else {
            return Ok(None);
        };
        match Value::parse(value)? {
            Value::Null => Ok(None),
            Value::Array(items) => {
                let texts = items.iter().map(|item| {
                    let mut out = String::new();
                    item.write_text(&mut out).then_some(out)
                });
                Ok(Some(texts.collect()))
            }
            Value::String(_) => Err(not_supported(
                "an array that JSON has as a text is not supported",
                "Take the member as text, and cast it.",
            )),
            _ => Err(refuse("22P02", "expected JSON array")),
        }
    })
}

/// The keys and values of an object, as they stand.
fn pairs(text: &str, function: &str) -> Result<Vec<(String, String)>> {
    let mut scan = Scan::new(text);
    match scan.peek() {
        Some(b'{') => {}
        Some(b'[') => {
            let message = match function.ends_with("keys") {
                true => format!("cannot call {function} on an array"),
                false => format!("cannot call {function} on a non-object"),
            };
            return Err(refuse("22023", message));
        }
        _ => {
            scan.skip()?;
            let message = match function.ends_with("keys") {
                true => format!("cannot call {function} on a scalar"),
                false => format!("cannot call {function} on a non-object"),
            };
            return Err(refuse("22023", message));
        }
    }
    scan.expect(b'{')?;
    let mut pairs = vec![];
    if !scan.skips(b'}') {
        loop {
            scan.peek();
            let key = unescaped(scan.string()?)?.into_owned();
            scan.expect(b':')?;
            pairs.push((key, scan.skip()?.to_owned()));
            if scan.skips(b'}') {
                break;
            }
            scan.expect(b',')?;
        }
    }
    scan.end()?;
    Ok(pairs)
}

fn keys(call: &Call, is_jsonb: bool, function: &str) -> Result<ArrayRef> {
    lists(call, Shape::JsonText.item(), |text, put| {
        for (key, _) in in_order(text, is_jsonb, function)? {
            put(Some(key))?;
        }
        Ok(())
    })
}

fn members(call: &Call, shape: Shape) -> Result<ArrayRef> {
    let is_jsonb = matches!(shape, Shape::Jsonb | Shape::JsonbText);
    let function = if is_jsonb { "jsonb_each" } else { "json_each" };
    lists(call, shape.item(), |text, put| {
        for (_, value) in in_order(text, is_jsonb, function)? {
            put(shape.of(&value)?)?;
        }
        Ok(())
    })
}

/// jsonb has each key once, shorter ones first.
fn in_order(text: &str, is_jsonb: bool, function: &str) -> Result<Vec<(String, String)>> {
    if !is_jsonb {
        return pairs(text, function);
    }
    pairs(&super::canonical(text)?, function)
}
