//! Rows as the file has them: named columns, line numbers, and the way back to the row's own text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::Refusal;

/// Raw text longer than this is cut in quarantine.
const LONGEST_RAW_BYTES: usize = 64 * 1024;

/// What a raw row looked like in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawForm {
    Csv { delimiter: u8, quote: Option<u8> },
    Json,
    Typed,
}

#[derive(Clone, Debug)]
pub struct RawBatch {
    pub file: Arc<str>,
    pub form: RawForm,
    pub columns: RecordBatch,
    pub lines: Lines,
    /// Per column, which texts are JSON (numbers, objects …) and not strings; only JSON lines have it.
    pub json: Vec<Option<BooleanArray>>,
    /// Rows that could not even be decoded.
    pub refused: Vec<Refusal>,
    /// Bytes of the file, as it lies on disk, that were read for this batch.
    pub bytes: u64,
}

#[derive(Clone, Debug)]
pub enum Lines {
    From(u64),
    Each(Vec<u64>),
}

impl RawBatch {
    pub fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    pub fn line(&self, row: usize) -> u64 {
        match &self.lines {
            Lines::From(first) => first + row as u64,
            Lines::Each(lines) => lines[row],
        }
    }

    /// One row, as near to what the file says as its columns allow.
    pub fn text(&self, row: usize) -> String {
        let text = match self.form {
            RawForm::Csv { delimiter, quote } => self.csv_text(row, delimiter, quote),
            RawForm::Json | RawForm::Typed => {
                let mut text = String::from("{");
                for (i, array) in self.columns.columns().iter().enumerate() {
                    if array.is_valid(row) {
                        if text.len() > 1 {
                            text.push(',');
                        }
                        push_json_string(&mut text, self.columns.schema_ref().field(i).name());
                        text.push(':');
                        push_json_value(&mut text, array, row, self.is_json(i, row));
                    }
                }
                text.push('}');
                text
            }
        };
        shorten(text)
    }

    /// A column by its name, in whatever letters the file writes it.
    pub fn column_called(&self, name: &str) -> Option<&ArrayRef> {
        let fields = self.columns.schema_ref().fields().iter();
        let mut named = fields.zip(self.columns.columns());
        named
            .find(|(field, _)| field.name().eq_ignore_ascii_case(name))
            .map(|(_, column)| column)
    }

    pub fn is_json(&self, column: usize, row: usize) -> bool {
        self.json
            .get(column)
            .and_then(Option::as_ref)
            .is_some_and(|json| json.value(row))
    }

    fn csv_text(&self, row: usize, delimiter: u8, quote: Option<u8>) -> String {
        let mut text = String::new();
        for (i, array) in self.columns.columns().iter().enumerate() {
            if i > 0 {
                text.push(char::from(delimiter));
            }
            let array = array.as_string::<i32>();
            if array.is_valid(row) {
                push_csv_field(&mut text, array.value(row), delimiter, quote);
            }
        }
        text
    }
}

pub fn push_csv_field(text: &mut String, value: &str, delimiter: u8, quote: Option<u8>) {
    match quote {
        Some(quote)
            if value
                .bytes()
                .any(|b| b == delimiter || b == quote || b == b'\n' || b == b'\r') =>
        {
            let quote = char::from(quote);
            text.push(quote);
            for c in value.chars() {
                if c == quote {
                    text.push(quote);
                }
                text.push(c);
            }
            text.push(quote);
        }
        _ => text.push_str(value),
    }
}

pub fn shorten(mut text: String) -> String {
    if text.len() > LONGEST_RAW_BYTES {
        let whole = text.len();
        let cut = (0..=LONGEST_RAW_BYTES)
            .rev()
            .find(|i| text.is_char_boundary(*i))
            .unwrap_or(0);
        text.truncate(cut);
        text.push_str(&format!("… ({whole} bytes in all)"));
    }
    text
}

/// Bytes that are not UTF-8, readable: what is not printable ASCII or valid UTF-8 becomes `\xE9`.
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    shorten(text)
}

pub fn push_json_string(json: &mut String, text: &str) {
    json.push('"');
    let mut plain = 0;
    for (i, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        json.push_str(&text[plain..i]);
        plain = i + 1;
        match byte {
            b'"' => json.push_str("\\\""),
            b'\\' => json.push_str("\\\\"),
            b'\n' => json.push_str("\\n"),
            b'\r' => json.push_str("\\r"),
            b'\t' => json.push_str("\\t"),
            _ => json.push_str(&format!("\\u{byte:04x}")),
        }
    }
    json.push_str(&text[plain..]);
    json.push('"');
}

/// One value as JSON: numbers and truth values bare, nested values nested, everything else as a string.
pub fn push_json_value(json: &mut String, array: &ArrayRef, row: usize, is_json: bool) {
    use std::fmt::Write;
    macro_rules! number {
        ($type:ty) => {{
            let written = write!(json, "{}", array.as_primitive::<$type>().value(row));
            written.expect("a String takes any text");
        }};
    }
    macro_rules! float {
        ($type:ty) => {{
            let value = array.as_primitive::<$type>().value(row);
            if value.is_finite() {
                write!(json, "{value}").expect("a String takes any text");
            } else {
                push_json_string(json, &value.to_string());
            }
        }};
    }
    if array.is_null(row) {
        json.push_str("null");
        return;
    }
    match array.data_type() {
        DataType::Utf8 => {
            let text = array.as_string::<i32>().value(row);
            if is_json {
                json.push_str(text)
            } else {
                push_json_string(json, text)
            }
        }
        DataType::Boolean => {
            json.push_str(if array.as_boolean().value(row) {
                "true"
            } else {
                "false"
            });
        }
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => float!(Float32Type),
        DataType::Float64 => float!(Float64Type),
        DataType::Decimal128(_, _) => {
            json.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(row));
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            json.push('[');
            for i in 0..items.len() {
                if i > 0 {
                    json.push(',');
                }
                push_json_value(json, &items, i, false);
            }
            json.push(']');
        }
        DataType::Struct(fields) => {
            json.push('{');
            for (i, field) in fields.iter().enumerate() {
                if i > 0 {
                    json.push(',');
                }
                push_json_string(json, field.name());
                json.push(':');
                push_json_value(json, array.as_struct().column(i), row, false);
            }
            json.push('}');
        }
        DataType::Date32 => {
            let day = array.as_primitive::<Date32Type>().value_as_date(row);
            push_json_string(
                json,
                &day.map_or_else(|| "infinity".into(), |day| day.to_string()),
            );
        }
        _ => {
            let text = ArrayFormatter::try_new(array, &FormatOptions::default())
                .map(|formatter| formatter.value(row).to_string())
                .unwrap_or_else(|error| error.to_string());
            push_json_string(json, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf_8_are_escaped() {
        assert_eq!(
            escape_bytes(b"za\xBF\xF3\xB3\xE6 \xC4\x99"),
            "za\\xBF\\xF3\\xB3\\xE6 ę"
        );
    }

    #[test]
    fn json_strings_are_escaped() {
        let mut json = String::new();
        push_json_string(&mut json, "a\"b\\c\n\u{1}ż");
        assert_eq!(json, "\"a\\\"b\\\\c\\n\\u0001ż\"");
        assert_eq!(
            serde_json::from_str::<String>(&json).expect("valid"),
            "a\"b\\c\n\u{1}ż"
        );
    }

    #[test]
    fn a_csv_field_is_quoted_only_where_it_must_be() {
        let mut text = String::new();
        push_csv_field(&mut text, "plain", b',', Some(b'"'));
        push_csv_field(&mut text, "a,\"b\"", b',', Some(b'"'));
        assert_eq!(text, "plain\"a,\"\"b\"\"\"");
    }

    #[test]
    fn endless_raw_text_is_cut() {
        assert!(shorten("ż".repeat(100_000)).ends_with("… (200000 bytes in all)"));
    }
}
