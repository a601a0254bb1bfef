//! Values to JSON: `to_json`, `json_build_object`, `json_build_array`, and what `json_agg` is made of.
//!
//! The planner turns each argument into a text that is JSON, because only it knows which texts are so already. What the
//! builders put together are such texts.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Field},
};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use super::{scan::quote, value::Value};
use crate::{
    output::Output,
    refusal::{not_supported, refuse},
    simple::{Call, Kind, Overload, PG_TYPE, simple},
    text::Zone,
};

/// What the planner calls them: a value as JSON, and whether its texts are JSON already.
pub const FRAGMENT: &str = "\u{1}json_fragment";
/// As JSON, `null` for NULL; the planner puts [`FRAGMENT`] in its place.
pub const ITEM: &str = "\u{1}json_item";

/// As [`FRAGMENT`], of an array or a row that stands on a line of its own.
pub const LINE: &str = "\u{1}json_line";
/// As `row_to_json`, of a row that an aggregate takes: on a line of its own.
pub const ROW: &str = "\u{1}json_row";
/// As `row_to_json`, each member on a line of its own.
pub const ROW_ON_LINES: &str = "\u{1}json_row_on_lines";
/// A key and a value, of those that `json_object_agg` takes.
pub const MEMBER: &str = "\u{1}json_member";
/// An array as `json_agg` would make one of its elements; and the same with what [`FRAGMENT`] is told of them.
pub const AGGREGATED: &str = "\u{1}json_aggregated";
pub const AGGREGATED_FRAGMENT: &str = "\u{1}json_aggregated_fragment";

macro_rules! builder {
    ($name:literal, $usage:literal, $gives:ident, $work:ident) => {{
        const OVERLOADS: &[Overload] = &[
            Overload {
                takes: &[],
                more: None,
                gives: Kind::$gives,
                work: $work,
            },
            Overload {
                takes: &[Kind::Any],
                more: Some(Kind::Any),
                gives: Kind::$gives,
                work: $work,
            },
        ];
        simple($name, $usage, "A JSON value of several.", OVERLOADS)
            .stable()
            .udf()
    }};
}

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const PART: &[Overload] = &[Overload {
        takes: &[Kind::Any, Kind::Bool],
        more: None,
        gives: Kind::Json,
        work: fragment,
    }];
    const LINE_PART: &[Overload] = &[Overload {
        work: line,
        ..PART[0]
    }];
    const AGGREGATED_PART: &[Overload] = &[Overload {
        takes: &[Kind::AnyArray, Kind::Bool],
        work: aggregated,
        ..PART[0]
    }];
    const ALONE: &[Overload] = &[Overload {
        takes: &[Kind::Any],
        more: None,
        gives: Kind::Text,
        work: unplanned,
    }];
    const AROUND: &[Overload] = &[Overload {
        takes: &[Kind::Text],
        more: None,
        gives: Kind::Json,
        work: array_of,
    }];
    const AROUND_MEMBERS: &[Overload] = &[Overload {
        takes: &[Kind::Text],
        more: None,
        gives: Kind::Json,
        work: object_of,
    }];
    const KEY_AND_VALUE: &[Overload] = &[Overload {
        takes: &[Kind::Any, Kind::Text],
        more: None,
        gives: Kind::Text,
        work: member,
    }];
    vec![
        simple(FRAGMENT, "to_json(value)", "A value as JSON.", PART)
            .stable()
            .udf(),
        simple(ITEM, "to_json(value)", "A value as JSON.", ALONE)
            .stable()
            .udf(),
        simple(LINE, "to_json(value)", "A value as JSON.", LINE_PART)
            .stable()
            .udf(),
        simple(AGGREGATED, "json_agg(value)", "An array as JSON.", ALONE)
            .stable()
            .udf(),
        simple(
            AGGREGATED_FRAGMENT,
            "json_agg(value)",
            "An array as JSON.",
            AGGREGATED_PART,
        )
        .stable()
        .udf(),
        simple("to_json", "to_json(value)", "A value as JSON.", ALONE)
            .stable()
            .udf(),
        simple("to_jsonb", "to_jsonb(value)", "A value as JSON.", ALONE)
            .stable()
            .udf(),
        builder!(
            "json_build_array",
            "json_build_array(value, …)",
            Json,
            unplanned
        ),
        builder!(
            "jsonb_build_array",
            "jsonb_build_array(value, …)",
            Jsonb,
            unplanned
        ),
        builder!(
            "json_build_object",
            "json_build_object(key, value, …)",
            Json,
            unplanned
        ),
        builder!(
            "jsonb_build_object",
            "jsonb_build_object(key, value, …)",
            Jsonb,
            unplanned
        ),
        builder!(
            "\u{1}json_build_array",
            "json_build_array(value, …)",
            Json,
            array
        ),
        builder!(
            "\u{1}jsonb_build_array",
            "jsonb_build_array(value, …)",
            Jsonb,
            jsonb_array
        ),
        builder!(
            "\u{1}json_build_object",
            "json_build_object(key, value, …)",
            Json,
            object
        ),
        builder!(
            "\u{1}jsonb_build_object",
            "jsonb_build_object(key, value, …)",
            Jsonb,
            jsonb_object
        ),
        builder!("\u{1}json_row", "json_agg(row)", Json, unplanned),
        builder!("\u{1}\u{1}json_row", "json_agg(row)", Json, line_object),
        builder!(
            "\u{1}json_row_on_lines",
            "row_to_json(row, true)",
            Json,
            unplanned
        ),
        builder!(
            "\u{1}\u{1}json_row_on_lines",
            "row_to_json(row, true)",
            Json,
            object_on_lines
        ),
        builder!("row_to_json", "row_to_json(row)", Json, unplanned),
        builder!("\u{1}row_to_json", "row_to_json(row)", Json, compact_object),
        simple(
            "\u{1}json_array_of",
            "json_agg(value)",
            "Texts that are JSON as an array.",
            AROUND,
        )
        .udf(),
        simple(
            "\u{1}json_object_of",
            "json_object_agg(key, value)",
            "Members as an object.",
            AROUND_MEMBERS,
        )
        .udf(),
        simple(
            MEMBER,
            "json_object_agg(key, value)",
            "A key and a value as a member.",
            KEY_AND_VALUE,
        )
        .stable()
        .udf(),
    ]
}

fn unplanned(_: &Call) -> Result<ArrayRef> {
    Err(not_supported(
        "functions that make JSON are only planned in a session",
        "",
    ))
}

fn fragment(call: &Call) -> Result<ArrayRef> {
    let value = call.array(0);
    let writer = Writer::new(value, call.zone, call.bool(1, 0).unwrap_or(false))?;
    call.texts(|row, out| {
        if call.is_null(0, row) {
            return Ok(false);
        }
        writer.put(call.at(0, row), out);
        Ok(true)
    })
}

/// What begins a line.
const NEW_LINE: &str = "\n ";

fn line(call: &Call) -> Result<ArrayRef> {
    let value = call.array(0);
    let writer = Writer::new(value, call.zone, call.bool(1, 0).unwrap_or(false))?;
    call.texts(|row, out| {
        if call.is_null(0, row) {
            return Ok(false);
        }
        out.push_str(NEW_LINE);
        writer.put(call.at(0, row), out);
        Ok(true)
    })
}

fn aggregated(call: &Call) -> Result<ArrayRef> {
    let values = call.list(0).values();
    let writer = Writer::new(values, call.zone, call.bool(1, 0).unwrap_or(false))?;
    let has_lines = values.data_type().is_nested();
    let offsets = call.list(0).value_offsets();
    let place = |at: usize| usize::try_from(offsets[at]).unwrap_or(0);
    call.texts(|row, out| {
        if call.is_null(0, row) {
            return Ok(false);
        }
        let at = call.at(0, row);
        out.push('[');
        for (index, item) in (place(at)..place(at + 1)).enumerate() {
            if index > 0 {
                out.push_str(", ");
                if has_lines && values.is_valid(item) {
                    out.push_str(NEW_LINE);
                }
            }
            writer.put(item, out);
        }
        out.push(']');
        Ok(true)
    })
}

/// Values of one array as JSON.
struct Writer<'a> {
    array: &'a ArrayRef,
    shape: Shape<'a>,
}

enum Shape<'a> {
    /// As it is printed.
    Plain(Output<'a>),
    /// As it is printed, in quotes unless it is a number.
    Number(Output<'a>),
    Bool,
    Quoted(Output<'a>),
    /// With a `T` between date and time, and all of the offset.
    Moment(Output<'a>),
    List(Box<Writer<'a>>),
    Row(Vec<(String, Writer<'a>)>),
}

impl<'a> Writer<'a> {
    fn new(array: &'a ArrayRef, zone: Zone, is_json: bool) -> Result<Self> {
        let output = || Output::new(array, zone);
        let shape = match array.data_type() {
            DataType::Boolean => Shape::Bool,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Shape::Number(output()?),
            other if other.is_numeric() => Shape::Plain(output()?),
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 if is_json => {
                Shape::Plain(output()?)
            }
            DataType::Timestamp(..) => Shape::Moment(output()?),
            DataType::List(_) => {
                let values = array.as_list::<i32>().values();
                Shape::List(Box::new(Writer::new(values, zone, is_json)?))
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns().iter();
                let members = fields.iter().zip(columns).enumerate();
                let members = members.map(|(at, (field, column))| {
                    // A row of values names its columns by their place.
                    let name = match field.name() == &format!("c{at}") {
                        true => format!("f{}", at + 1),
                        false => field.name().clone(),
                    };
                    Ok((name, Writer::new(column, zone, is_json_text(field))?))
                });
                Shape::Row(members.collect::<Result<_>>()?)
            }
            _ => Shape::Quoted(output()?),
        };
        Ok(Self { array, shape })
    }

    fn put(&self, at: usize, out: &mut String) {
        if self.array.data_type().is_null() || self.array.is_null(at) {
            out.push_str("null");
            return;
        }
        let text = |output: &Output| {
            let mut text = String::new();
            output.write(at, &mut text);
            text
        };
        match &self.shape {
            Shape::Plain(output) => output.write(at, out),
            Shape::Number(output) => {
                let text = text(output);
                if text.ends_with(|c: char| c.is_ascii_digit()) {
                    out.push_str(&text);
                } else {
                    quote(&text, out);
                }
            }
            Shape::Bool => {
                let value = self.array.as_boolean().value(at);
                out.push_str(if value { "true" } else { "false" });
            }
            Shape::Quoted(output) => quote(&text(output), out),
            Shape::Moment(output) => {
                let text = text(output).replacen(' ', "T", 1);
                let has_zone = matches!(self.array.data_type(), DataType::Timestamp(_, Some(_)));
                let has_minutes = text.len() > 3 && text.as_bytes()[text.len() - 3] == b':';
                let offset = text.rfind(['+', '-']).map_or(0, |from| text.len() - from);
                let minutes = has_zone && offset == 3 && !has_minutes;
                quote(&if minutes { text + ":00" } else { text }, out);
            }
            Shape::Row(members) => {
                out.push('{');
                for (index, (name, values)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(name, out);
                    out.push(':');
                    values.put(at, out);
                }
                out.push('}');
            }
            Shape::List(values) => {
                let offsets = self.array.as_list::<i32>().value_offsets();
                let place = |at: usize| usize::try_from(offsets[at]).unwrap_or(0);
                out.push('[');
                for (index, item) in (place(at)..place(at + 1)).enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    values.put(item, out);
                }
                out.push(']');
            }
        }
    }
}

fn is_json_text(field: &Field) -> bool {
    let pg_type = field.metadata().get(PG_TYPE);
    pg_type.is_some_and(|pg_type| pg_type.starts_with("json"))
}

fn put_array(call: &Call, row: usize, out: &mut String) {
    out.push('[');
    for index in 0..call.count() {
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(part(call, index, row));
    }
    out.push(']');
}

/// JSON that the planner has made.
fn part(call: &Call, index: usize, row: usize) -> &str {
    if call.is_null(index, row) {
        "null"
    } else {
        call.text(index).of(row)
    }
}

fn array(call: &Call) -> Result<ArrayRef> {
    call.texts(|row, out| {
        put_array(call, row, out);
        Ok(true)
    })
}

fn jsonb_array(call: &Call) -> Result<ArrayRef> {
    call.texts(|row, out| {
        let mut made = String::new();
        put_array(call, row, &mut made);
        Value::parse(&made)?.write(out);
        Ok(true)
    })
}

fn put_object(call: &Call, row: usize, out: &mut String) -> Result<()> {
    if !call.count().is_multiple_of(2) {
        return Err(crate::refusal::refuse_with_hint(
            "22023",
            "argument list must have even number of elements",
            "The arguments of json_build_object() must consist of alternating keys and values.",
        ));
    }
    out.push('{');
    for index in (0..call.count()).step_by(2) {
        if index > 0 {
            out.push_str(", ");
        }
        if call.is_null(index, row) {
            let message = format!("argument {} cannot be null", index + 1);
            return Err(crate::refusal::refuse_with_hint(
                "22023",
                message,
                "Object keys should be text.",
            ));
        }
        quote(call.text(index).of(row), out);
        out.push_str(" : ");
        out.push_str(part(call, index + 1, row));
    }
    out.push('}');
    Ok(())
}

fn object(call: &Call) -> Result<ArrayRef> {
    call.texts(|row, out| {
        put_object(call, row, out)?;
        Ok(true)
    })
}

/// Without spaces.
fn compact_object(call: &Call) -> Result<ArrayRef> {
    object_of_row(call, "", ",")
}

fn line_object(call: &Call) -> Result<ArrayRef> {
    object_of_row(call, NEW_LINE, ",")
}

fn object_on_lines(call: &Call) -> Result<ArrayRef> {
    object_of_row(call, "", ",\n ")
}

fn object_of_row(call: &Call, before: &str, between: &str) -> Result<ArrayRef> {
    if !call.count().is_multiple_of(2) {
        return Err(not_supported(
            "row_to_json of this value is not supported",
            "Give it the name of a table or of a sub-query in FROM.",
        ));
    }
    call.texts(|row, out| {
        out.push_str(before);
        out.push('{');
        for index in (0..call.count()).step_by(2) {
            if index > 0 {
                out.push_str(between);
            }
            quote(call.text(index).of(row), out);
            out.push(':');
            out.push_str(part(call, index + 1, row));
        }
        out.push('}');
        Ok(true)
    })
}

fn jsonb_object(call: &Call) -> Result<ArrayRef> {
    call.texts(|row, out| {
        let mut made = String::new();
        put_object(call, row, &mut made)?;
        Value::parse(&made)?.write(out);
        Ok(true)
    })
}

fn array_of(call: &Call) -> Result<ArrayRef> {
    let items = call.text(0);
    call.strict_texts(|row, out| {
        let items = items.of(row);
        out.push('[');
        // The first stands where the array begins.
        out.push_str(items.strip_prefix(NEW_LINE).unwrap_or(items));
        out.push(']');
        Ok(())
    })
}

fn object_of(call: &Call) -> Result<ArrayRef> {
    let members = call.text(0);
    call.strict_texts(|row, out| {
        out.push_str("{ ");
        out.push_str(members.of(row));
        out.push_str(" }");
        Ok(())
    })
}

fn member(call: &Call) -> Result<ArrayRef> {
    let keys = call.shown(0)?;
    call.texts(|row, out| {
        let at = call.at(0, row);
        if keys.is_null(at) {
            return Err(refuse("22023", "field name must not be null"));
        }
        let mut key = String::new();
        keys.write(at, &mut key);
        quote(&key, out);
        out.push_str(" : ");
        out.push_str(part(call, 1, row));
        Ok(true)
    })
}
