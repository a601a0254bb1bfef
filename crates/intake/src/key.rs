//! Who a row is: the 128 bits that make it the same row in every load.
//!
//! With a `key`, the identity is the XXH3-128 of the source's name and the key's values. Without one it is that of
//! the source's name, the whole row (names and values of all columns that are not NULL) and n, where the row is the
//! n-th of its kind **in its file**. So two rows that are equal in one file are two interactions, while a second
//! file that overlaps the first, with the same two rows, brings them under the same two identities and adds nothing.
//! (A file that was cut in two between such rows would lose the second; rows of which that matters need a key.)
//!
//! Values are hashed as text, so a number has one identity in CSV, JSON and Parquet. The hash is taken over: the
//! source's name, then 1 (key) or 2 (whole row), then the parts, each led by its length in four bytes.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{Array, StringArray};
use twox_hash::XxHash3_128;

use crate::raw::RawBatch;
use crate::text::as_text;
use crate::{Error, Result, Source};

/// Of numbers that are hashes already.
#[derive(Default)]
pub struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u128 are hashed with it");
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}

pub type IdSet = HashSet<u128, BuildHasherDefault<Spread>>;

/// Gives each raw row its identity.
pub struct Keys {
    source: String,
    columns: Vec<String>,
    /// A row whose key is not there is taken as a whole, not refused.
    optional: bool,
    /// The rows of this file so far: 17 bytes each, and room for as many again.
    seen: IdSet,
    /// How often those came again that did.
    again: HashMap<u128, u32, BuildHasherDefault<Spread>>,
    buffer: Vec<u8>,
}

impl Keys {
    pub fn new(source: &Source) -> Self {
        Self {
            source: source.name.clone(),
            columns: source.key.clone(),
            optional: source.targets.iter().all(|target| target.select.is_none()),
            seen: IdSet::default(),
            again: HashMap::default(),
            buffer: vec![],
        }
    }

    pub fn next_file(&mut self) {
        self.seen = IdSet::default();
        self.again.clear();
    }

    /// The identity of each raw row. `sources`: each row's own source, where the file tells it.
    pub fn of(
        &mut self,
        raw: &RawBatch,
        sources: Option<&StringArray>,
        refuse: &mut dyn FnMut(usize, Option<&str>, String),
    ) -> Result<Vec<u128>> {
        let schema = raw.columns.schema();
        let mut key: Vec<StringArray> = vec![];
        for name in &self.columns {
            let column = if self.optional {
                raw.column_called(name)
            } else {
                raw.columns.column_by_name(name)
            };
            match column {
                Some(column) => key.push(text_of(raw, name, column)?),
                None if self.optional => {}
                // JSON lines may lack it in this batch; then all of it is missing.
                None => key.push(StringArray::new_null(raw.rows())),
            }
        }
        let has_key = !key.is_empty() && key.len() == self.columns.len();
        let needs_whole =
            !has_key || self.optional && key.iter().any(|column| column.null_count() > 0);
        let whole: Vec<(&str, StringArray)> = if !needs_whole {
            vec![]
        } else {
            let mut whole = vec![];
            for (field, column) in schema.fields().iter().zip(raw.columns.columns()) {
                whole.push((field.name().as_str(), text_of(raw, field.name(), column)?));
            }
            whole.sort_by_key(|(name, _)| *name);
            whole
        };

        let mut ids = Vec::with_capacity(raw.rows());
        for row in 0..raw.rows() {
            let source = sources
                .filter(|sources| sources.is_valid(row))
                .map(|sources| sources.value(row));
            self.buffer.clear();
            push(&mut self.buffer, source.unwrap_or(&self.source).as_bytes());
            if has_key {
                let missing = key.iter().position(|column| column.is_null(row));
                if missing.is_none() {
                    self.buffer.push(1);
                    for column in &key {
                        push(&mut self.buffer, column.value(row).as_bytes());
                    }
                    ids.push(XxHash3_128::oneshot(&self.buffer));
                    continue;
                }
                if let (Some(missing), false) = (missing, self.optional) {
                    refuse(
                        row,
                        Some(&self.columns[missing]),
                        "the key is missing".into(),
                    );
                    ids.push(0);
                    continue;
                }
            }
            self.buffer.push(2);
            for (name, column) in &whole {
                if column.is_valid(row) {
                    push(&mut self.buffer, name.as_bytes());
                    push(&mut self.buffer, column.value(row).as_bytes());
                }
            }
            let row = XxHash3_128::oneshot(&self.buffer);
            if self.seen.insert(row) {
                ids.push(row);
                continue;
            }
            let n = self.again.entry(row).or_insert(0);
            *n += 1;
            ids.push(derived(row, &n.to_le_bytes()));
        }
        Ok(ids)
    }
}

/// Another identity that follows from `id`: of the target called `name`, or of the n-th equal row.
pub fn derived(id: u128, name: &[u8]) -> u128 {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend_from_slice(name);
    XxHash3_128::oneshot(&bytes)
}

/// The identity of a row in a table with a primary key, from the key's values.
pub fn of_primary_key(columns: &[StringArray], row: usize, buffer: &mut Vec<u8>) -> u128 {
    buffer.clear();
    for column in columns {
        push(
            buffer,
            if column.is_valid(row) {
                column.value(row).as_bytes()
            } else {
                b""
            },
        );
    }
    XxHash3_128::oneshot(buffer)
}

fn push(buffer: &mut Vec<u8>, part: &[u8]) {
    buffer.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    buffer.extend_from_slice(part);
}

fn text_of(raw: &RawBatch, name: &str, column: &arrow::array::ArrayRef) -> Result<StringArray> {
    as_text(column).ok_or_else(|| Error::Format {
        file: raw.file.to_string(),
        what: format!("column `{name}` holds bytes, not text, so it can't be part of a key"),
    })
}

/// As a uuid is written.
pub fn push_uuid(text: &mut Vec<u8>, id: u128) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (i, byte) in id.to_be_bytes().into_iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push(b'-');
        }
        text.push(HEX[usize::from(byte >> 4)]);
        text.push(HEX[usize::from(byte & 15)]);
    }
}

/// The other way; `None` if it is not a uuid.
pub fn parse_uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut id = 0;
    for (i, byte) in text.bytes().enumerate() {
        if matches!(i, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        id = id << 4 | u128::from(char::from(byte).to_digit(16)?);
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;
    use crate::raw::{Lines, RawForm};

    fn raw(columns: Vec<(&str, ArrayRef)>) -> RawBatch {
        RawBatch {
            file: "test".into(),
            form: RawForm::Typed,
            columns: RecordBatch::try_from_iter(columns).expect("a test's own columns"),
            lines: Lines::From(1),
            json: vec![],
            refused: vec![],
            bytes: 0,
        }
    }

    fn text(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn keys(source: &str) -> Keys {
        let text = format!("about = 'test'\nselect = 'SELECT'\n{source}");
        Keys::new(&Source::parse("test", &text, "test.toml").expect("a test's own source"))
    }

    fn ids(keys: &mut Keys, columns: Vec<(&str, ArrayRef)>) -> Vec<u128> {
        keys.of(&raw(columns), None, &mut |_, _, reason| panic!("{reason}"))
            .expect("all are text")
    }

    #[test]
    fn a_key_is_the_same_in_text_and_numbers() {
        let mut keys = keys("key = ['id']");
        let as_text = ids(
            &mut keys,
            vec![("id", text(&[Some("7")])), ("x", text(&[Some("a")]))],
        );
        let as_number = ids(
            &mut keys,
            vec![
                ("x", text(&[Some("b")])),
                ("id", Arc::new(Int64Array::from(vec![7]))),
            ],
        );
        assert_eq!(as_text, as_number);
    }

    #[test]
    fn parts_of_a_key_do_not_run_together() {
        let mut keys = keys("key = ['a', 'b']");
        let ids = ids(
            &mut keys,
            vec![
                ("a", text(&[Some("1"), Some("12")])),
                ("b", text(&[Some("23"), Some("3")])),
            ],
        );
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn equal_rows_of_one_file_are_kept_apart_and_found_again_in_the_next() {
        let rows = || vec![("a", text(&[Some("1"), Some("1"), Some("2"), Some("1")]))];
        let mut keys = keys("");
        let first = ids(&mut keys, rows());
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), 4);
        keys.next_file();
        assert_eq!(ids(&mut keys, rows()), first);
    }

    #[test]
    fn neither_column_order_nor_an_empty_column_makes_a_row_another() {
        let mut keys = keys("");
        let first = ids(
            &mut keys,
            vec![("a", text(&[Some("1")])), ("b", text(&[Some("2")]))],
        );
        keys.next_file();
        let second = ids(
            &mut keys,
            vec![
                ("b", text(&[Some("2")])),
                ("new", text(&[None])),
                ("a", text(&[Some("1")])),
            ],
        );
        assert_eq!(first, second);
    }

    #[test]
    fn a_missing_key_is_refused() {
        let mut refused = vec![];
        keys("key = ['id']")
            .of(
                &raw(vec![("id", text(&[Some("1"), None]))]),
                None,
                &mut |row, column, _| {
                    refused.push((row, column.map(str::to_owned)));
                },
            )
            .expect("all are text");
        assert_eq!(refused, [(1, Some("id".to_owned()))]);
    }

    #[test]
    fn a_uuid_is_read_as_it_is_written() {
        let mut text = vec![];
        push_uuid(&mut text, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        let text = String::from_utf8(text).expect("hexadecimal digits");
        assert_eq!(text, "01234567-89ab-cdef-fedc-ba9876543210");
        assert_eq!(
            parse_uuid(&text),
            Some(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210)
        );
        assert_eq!(parse_uuid("01234567-89ab-cdef-fedc-ba987654321x"), None);
    }
}
