//! Any column as text, in the form that identifiers and keys have in every format: the number 17850 is `17850`
//! whether a file has it as an integer, as 17850.0 or as text.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};

use crate::raw::push_json_value;

/// NULL stays NULL. Nested values become JSON. Bytes that are not UTF-8 are `None` as a whole.
pub fn as_text(array: &ArrayRef) -> Option<StringArray> {
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().clone(),
        DataType::Float64 => float_text::<Float64Type>(array),
        DataType::Float32 => float_text::<Float32Type>(array),
        DataType::List(_) | DataType::Struct(_) | DataType::Map(_, _) | DataType::LargeList(_) => {
            let mut texts = StringBuilder::new();
            let mut json = String::new();
            for row in 0..array.len() {
                json.clear();
                push_json_value(&mut json, array, row, false);
                texts.append_option(array.is_valid(row).then_some(&json));
            }
            texts.finish()
        }
        _ => cast(array, &DataType::Utf8)
            .ok()?
            .as_string::<i32>()
            .clone(),
    })
}

fn float_text<T: ArrowPrimitiveType>(array: &ArrayRef) -> StringArray
where
    T::Native: std::fmt::Display,
{
    let floats = array.as_primitive::<T>();
    let mut texts = StringBuilder::with_capacity(floats.len(), floats.len() * 8);
    for value in floats {
        match value {
            Some(value) => {
                write!(texts, "{value}").expect("a builder takes any text");
                texts.append_value("");
            }
            None => texts.append_null(),
        }
    }
    texts.finish()
}

/// One value as a user would like to see it in a message: quoted, short, without control characters.
pub fn shown(array: &ArrayRef, row: usize) -> String {
    let text = as_text(&array.slice(row, 1)).map_or_else(
        || "(bytes)".to_owned(),
        |text| {
            if text.is_valid(0) {
                text.value(0).to_owned()
            } else {
                "NULL".to_owned()
            }
        },
    );
    quoted(&text)
}

pub fn quoted(text: &str) -> String {
    const MOST_CHARS: usize = 80;
    let mut short = String::from("\"");
    for c in text.chars().take(MOST_CHARS) {
        if c.is_control() {
            short.extend(c.escape_default())
        } else {
            short.push(c)
        }
    }
    if text.chars().nth(MOST_CHARS).is_some() {
        short.push('…');
    }
    short.push('"');
    short
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array};

    use super::*;

    #[test]
    fn a_whole_float_is_the_same_text_as_the_integer() {
        let float: ArrayRef = Arc::new(Float64Array::from(vec![Some(17850.0), None, Some(0.5)]));
        let text = as_text(&float).expect("floats are text");
        assert_eq!(
            text,
            StringArray::from(vec![Some("17850"), None, Some("0.5")])
        );
        let int: ArrayRef = Arc::new(Int64Array::from(vec![17850]));
        assert_eq!(as_text(&int).expect("integers are text").value(0), "17850");
    }

    #[test]
    fn a_shown_value_is_short_and_on_one_line() {
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 83);
    }
}
