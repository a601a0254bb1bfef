//! JSON lines: one object a line. Strings become text, everything else stays as the JSON text that the line has
//! (so no digit of a number is lost); the columns are the union of all keys.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch, RecordBatchOptions, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema};
use serde::de::IgnoredAny;

use super::bytes::{Count, unreadable};
use super::{BATCH_BYTES, BATCH_ROWS, LONGEST_ROW_BYTES, MOST_COLUMNS, Sink};
use crate::raw::{Lines, RawBatch, RawForm, escape_bytes, shorten};
use crate::{Error, Refusal, Result, Source};

pub fn decode(
    mut text: Box<dyn BufRead>,
    name: &Arc<str>,
    source: &Source,
    count: &Count,
    sink: &mut Sink,
) -> Result<()> {
    let nulls: &[String] = source.nulls.as_deref().unwrap_or_default();
    let mut rows = Rows::new(name, nulls);
    let mut line = vec![];
    let mut number = 0;
    loop {
        line.clear();
        let read = text
            .by_ref()
            .take(LONGEST_ROW_BYTES)
            .read_until(b'\n', &mut line)
            .map_err(|error| unreadable(name, error))?;
        if read == 0 {
            break;
        }
        number += 1;
        if read as u64 == LONGEST_ROW_BYTES && !line.ends_with(b"\n") {
            return Err(Error::Format {
                file: name.to_string(),
                what: format!("line {number} is longer than 64 MB; one object a line is needed"),
            });
        }
        rows.push(line.trim_ascii(), number)?;
        if rows.is_full() && sink(rows.take(count.take())?).is_break() {
            return Ok(());
        }
    }
    let _ = sink(rows.take(count.take())?);
    Ok(())
}

struct Column {
    name: String,
    texts: StringBuilder,
    is_json: BooleanBufferBuilder,
}

struct Rows<'a> {
    file: Arc<str>,
    nulls: &'a [String],
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
    lines: Vec<u64>,
    bytes: usize,
    refused: Vec<Refusal>,
}

impl<'a> Rows<'a> {
    fn new(file: &Arc<str>, nulls: &'a [String]) -> Self {
        Self {
            file: Arc::clone(file),
            nulls,
            columns: vec![],
            by_name: HashMap::new(),
            lines: vec![],
            bytes: 0,
            refused: vec![],
        }
    }

    fn push(&mut self, line: &[u8], number: u64) -> Result<()> {
        if line.is_empty() {
            return Ok(());
        }
        let Ok(text) = std::str::from_utf8(line) else {
            self.refuse(number, "is not UTF-8".into(), escape_bytes(line));
            return Ok(());
        };
        if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
            let reason =
                format!("is not JSON: {error}").replace(" at line 1 column ", " at character ");
            self.refuse(number, reason, shorten(text.to_owned()));
            return Ok(());
        }
        if !text.starts_with('{') {
            self.refuse(
                number,
                "is not a JSON object".into(),
                shorten(text.to_owned()),
            );
            return Ok(());
        }
        // A key that comes twice counts the last time, as everywhere.
        let mut fields: Vec<(usize, &str)> = vec![];
        for (key, value) in Members::of(text) {
            let index = self.column(&unescape(key))?;
            match fields.iter_mut().find(|(i, _)| *i == index) {
                Some(field) => field.1 = value,
                None => fields.push((index, value)),
            }
        }
        let row = self.lines.len();
        for (index, value) in fields {
            let column = &mut self.columns[index];
            match value.as_bytes().first() {
                Some(b'n') => column.texts.append_null(),
                Some(b'"') => {
                    let text = unescape(value);
                    if self.nulls.contains(&text) {
                        column.texts.append_null();
                    } else {
                        column.texts.append_value(&text);
                    }
                }
                _ => column.texts.append_value(value),
            }
            column.is_json.append(!value.starts_with('"'));
        }
        for column in &mut self.columns {
            if column.is_json.len() == row {
                column.texts.append_null();
                column.is_json.append(false);
            }
        }
        self.lines.push(number);
        self.bytes += line.len();
        Ok(())
    }

    /// The column of this key, with NULLs for the rows before.
    fn column(&mut self, key: &str) -> Result<usize> {
        if let Some(index) = self.by_name.get(key) {
            return Ok(*index);
        }
        if self.columns.len() == MOST_COLUMNS {
            return Err(Error::Format {
                file: self.file.to_string(),
                what: format!(
                    "has more than {MOST_COLUMNS} different keys; nest what is not a column in one object"
                ),
            });
        }
        let rows = self.lines.len();
        let mut texts = StringBuilder::new();
        texts.append_nulls(rows);
        let mut is_json = BooleanBufferBuilder::new(rows);
        is_json.append_n(rows, false);
        self.columns.push(Column {
            name: key.to_owned(),
            texts,
            is_json,
        });
        self.by_name.insert(key.to_owned(), self.columns.len() - 1);
        Ok(self.columns.len() - 1)
    }

    fn refuse(&mut self, line: u64, reason: String, raw: String) {
        let file = self.file.to_string();
        self.refused.push(Refusal {
            file,
            line,
            column: None,
            reason,
            raw,
        });
    }

    fn is_full(&self) -> bool {
        self.lines.len() + self.refused.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    fn take(&mut self, bytes: u64) -> Result<RawBatch> {
        self.bytes = 0;
        let lines = std::mem::take(&mut self.lines);
        let mut fields = vec![];
        let mut arrays: Vec<ArrayRef> = vec![];
        let mut json = vec![];
        for column in &mut self.columns {
            fields.push(Field::new(&column.name, DataType::Utf8, true));
            arrays.push(Arc::new(column.texts.finish()));
            json.push(Some(BooleanArray::new(column.is_json.finish(), None)));
        }
        let rows = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        let columns =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &rows)
                .map_err(|error| Error::Internal {
                    what: error.to_string(),
                })?;
        Ok(RawBatch {
            file: Arc::clone(&self.file),
            form: RawForm::Json,
            columns,
            lines: Lines::Each(lines),
            json,
            refused: std::mem::take(&mut self.refused),
            bytes,
        })
    }
}

/// What a JSON string says; `quoted` is known to be valid.
fn unescape(quoted: &str) -> String {
    if quoted.contains('\\') {
        // A lone surrogate is valid JSON and no text; it is kept as it is written.
        serde_json::from_str(quoted).unwrap_or_else(|_| quoted[1..quoted.len() - 1].to_owned())
    } else {
        quoted[1..quoted.len() - 1].to_owned()
    }
}

/// The members of an object that is known to be valid JSON, as text: key with its quotes, value.
struct Members<'a> {
    rest: &'a str,
}

impl<'a> Members<'a> {
    fn of(object: &'a str) -> Self {
        Self {
            rest: object[1..object.len() - 1].trim(),
        }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (key, rest) = self.rest.split_at(value_end(self.rest));
        let rest = rest
            .trim_start()
            .strip_prefix(':')
            .unwrap_or(rest)
            .trim_start();
        let (value, rest) = rest.split_at(value_end(rest));
        let rest = rest.trim_start();
        self.rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        Some((key.trim_end(), value.trim_end()))
    }
}

/// Where the value that `json` starts with ends: the first comma or colon outside strings and nested values.
fn value_end(json: &str) -> usize {
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    for (i, byte) in json.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' | b':' if depth == 0 => return i,
            _ => {}
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_an_object_are_taken_as_they_are_written() {
        let members: Vec<_> =
            Members::of(r#"{ "a" : 12.10 , "b\"c":"x,}y","d":{"e":[1,{"f":":"}]} ,"g":null}"#)
                .collect();
        assert_eq!(
            members,
            [
                (r#""a""#, "12.10"),
                (r#""b\"c""#, r#""x,}y""#),
                (r#""d""#, r#"{"e":[1,{"f":":"}]}"#),
                (r#""g""#, "null"),
            ]
        );
    }

    #[test]
    fn an_empty_object_has_no_members() {
        assert_eq!(Members::of("{}").count(), 0);
    }
}
