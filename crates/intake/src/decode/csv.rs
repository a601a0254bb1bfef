//! CSV: every column is text.
//!
//! An empty field is NULL, quoted or not, because few programs that write CSV tell the two apart; a source lists
//! other spellings in `nulls`.

use std::io::{BufRead, Read};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use csv::ByteRecord;

use super::bytes::{Count, unreadable};
use super::{BATCH_BYTES, BATCH_ROWS, LONGEST_ROW_BYTES, Sink};
use crate::raw::{Lines, RawBatch, RawForm, escape_bytes};
use crate::source::CsvOptions;
use crate::{Error, Refusal, Result, Source};

pub fn decode(
    text: Box<dyn BufRead>,
    name: &Arc<str>,
    source: &Source,
    count: &Count,
    sink: &mut Sink,
) -> Result<()> {
    let options = &source.csv;
    let watch = Arc::new(Watch::default());
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(options.delimiter)
        .quoting(options.quote.is_some())
        .quote(options.quote.unwrap_or(b'"'))
        .buffer_capacity(1 << 18)
        .from_reader(Watched {
            inner: text,
            quote: options.quote,
            watch: Arc::clone(&watch),
        });
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => unreadable(name, error),
        kind => Error::Format {
            file: name.to_string(),
            what: format!("{kind:?}"),
        },
    };

    let mut record = ByteRecord::new();
    let mut pending = reader.read_byte_record(&mut record).map_err(failed)?;
    if !pending {
        return Ok(());
    }
    let names = column_names(&record, options, name)?;
    if options.header {
        pending = reader.read_byte_record(&mut record).map_err(failed)?;
    }

    let nulls: Vec<&str> = source.nulls.as_ref().map_or_else(
        || vec![""],
        |nulls| nulls.iter().map(String::as_str).collect(),
    );
    let mut rows = Rows::new(names, nulls, name, options);
    while pending {
        watch.row_is_over();
        let started = record.position().map_or(0, csv::Position::line);
        rows.push(&record, started);
        if rows.is_full() && sink(rows.take(count.take())?).is_break() {
            return Ok(());
        }
        pending = reader.read_byte_record(&mut record).map_err(failed)?;
        if !pending && watch.quote_is_open() && reader.position().line() > started + 1 {
            return Err(Error::Format {
                file: name.to_string(),
                what: format!(
                    "the quoted text in the row of line {started} never ends; if quotes are ordinary characters \
                     in this file, say `quote = \"\"` in the source"
                ),
            });
        }
    }
    if sink(rows.take(count.take())?) == ControlFlow::Break(()) {
        return Ok(());
    }
    Ok(())
}

/// The names in the header, made unique; or the source's own.
fn column_names(first: &ByteRecord, options: &CsvOptions, name: &Arc<str>) -> Result<Vec<String>> {
    if let Some(columns) = &options.columns {
        if columns.len() != first.len() {
            return Err(Error::Format {
                file: name.to_string(),
                what: format!(
                    "the first row has {} fields, but the source names {} columns; is the delimiter right?",
                    first.len(),
                    columns.len()
                ),
            });
        }
        return Ok(columns.clone());
    }
    let mut names: Vec<String> = vec![];
    for (i, field) in first.iter().enumerate() {
        let title = String::from_utf8_lossy(field).trim().to_owned();
        let title = if options.header && !title.is_empty() {
            title
        } else {
            format!("column_{}", i + 1)
        };
        let unique = (1..)
            .map(|n| {
                if n == 1 {
                    title.clone()
                } else {
                    format!("{title}_{n}")
                }
            })
            .find(|candidate| !names.contains(candidate))
            .expect("one of endlessly many names is free");
        names.push(unique);
    }
    Ok(names)
}

struct Rows<'a> {
    schema: SchemaRef,
    columns: Vec<StringBuilder>,
    lines: Vec<u64>,
    bytes: usize,
    refused: Vec<Refusal>,
    empty_is_null: bool,
    /// Other texts that mean NULL.
    nulls: Vec<&'a str>,
    file: Arc<str>,
    options: &'a CsvOptions,
}

impl<'a> Rows<'a> {
    fn new(
        names: Vec<String>,
        nulls: Vec<&'a str>,
        file: &Arc<str>,
        options: &'a CsvOptions,
    ) -> Self {
        let columns = names.iter().map(|_| StringBuilder::new()).collect();
        let fields: Vec<Field> = names
            .into_iter()
            .map(|name| Field::new(name, DataType::Utf8, true))
            .collect();
        Self {
            schema: Arc::new(Schema::new(fields)),
            columns,
            lines: vec![],
            bytes: 0,
            refused: vec![],
            empty_is_null: nulls.contains(&""),
            nulls: nulls.into_iter().filter(|null| !null.is_empty()).collect(),
            file: Arc::clone(file),
            options,
        }
    }

    fn push(&mut self, record: &ByteRecord, line: u64) {
        if record.len() != self.columns.len() {
            let reason = format!(
                "{} fields, the header has {}",
                record.len(),
                self.columns.len()
            );
            self.refuse(record, line, None, reason);
            return;
        }
        // The whole row is checked at once, and that no character reaches across a field's end.
        let whole = std::str::from_utf8(record.as_slice()).unwrap_or_default();
        let starts = |i: usize| record.range(i).map_or(0, |range| range.start);
        let is_text = whole.len() == record.as_slice().len()
            && (0..record.len()).all(|i| whole.is_char_boundary(starts(i)));
        if !is_text {
            let bad = (0..record.len()).find(|i| std::str::from_utf8(&record[*i]).is_err());
            let bad = bad.expect("text that is whole in each field is whole");
            let column = self.schema.field(bad).name().clone();
            let reason = format!(
                "\"{}\" is not UTF-8; if the file has another encoding, say so in the source",
                escape_bytes(&record[bad])
            );
            self.refuse(record, line, Some(column), reason);
            return;
        }
        for (i, column) in self.columns.iter_mut().enumerate() {
            let value = &whole[record.range(i).expect("the fields have been counted")];
            if value.is_empty() && self.empty_is_null || self.nulls.contains(&value) {
                column.append_null();
            } else {
                column.append_value(value);
            }
        }
        self.lines.push(line);
        self.bytes += record.as_slice().len();
    }

    fn refuse(&mut self, record: &ByteRecord, line: u64, column: Option<String>, reason: String) {
        let mut raw = vec![];
        for (i, field) in record.iter().enumerate() {
            if i > 0 {
                raw.push(self.options.delimiter);
            }
            raw.extend_from_slice(field);
        }
        self.refused.push(Refusal {
            file: self.file.to_string(),
            line,
            column,
            reason,
            raw: escape_bytes(&raw),
        });
    }

    fn is_full(&self) -> bool {
        self.lines.len() + self.refused.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    fn take(&mut self, bytes: u64) -> Result<RawBatch> {
        self.bytes = 0;
        let lines = std::mem::take(&mut self.lines);
        let arrays: Vec<ArrayRef> = self
            .columns
            .iter_mut()
            .map(|column| Arc::new(column.finish()) as ArrayRef)
            .collect();
        let rows = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        let columns = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &rows)
            .map_err(|error| Error::Internal {
                what: error.to_string(),
            })?;
        Ok(RawBatch {
            file: Arc::clone(&self.file),
            form: RawForm::Csv {
                delimiter: self.options.delimiter,
                quote: self.options.quote,
            },
            columns,
            lines: Lines::Each(lines),
            json: vec![],
            refused: std::mem::take(&mut self.refused),
            bytes,
        })
    }
}

/// Counts what the csv reader takes, because it would read a row of any length and does not tell that a quote is
/// still open where the file ends.
struct Watched {
    inner: Box<dyn BufRead>,
    quote: Option<u8>,
    watch: Arc<Watch>,
}

#[derive(Default)]
struct Watch {
    since_row: AtomicU64,
    quotes: AtomicU64,
}

impl Watch {
    fn row_is_over(&self) {
        self.since_row.store(0, Ordering::Relaxed);
    }

    fn quote_is_open(&self) -> bool {
        !self.quotes.load(Ordering::Relaxed).is_multiple_of(2)
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if self
            .watch
            .since_row
            .fetch_add(read as u64, Ordering::Relaxed)
            > LONGEST_ROW_BYTES
        {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "a row is longer than 64 MB; is a quote never closed?",
            ));
        }
        if let Some(quote) = self.quote {
            let quotes = buffer[..read].iter().filter(|byte| **byte == quote).count();
            self.watch
                .quotes
                .fetch_add(quotes as u64, Ordering::Relaxed);
        }
        Ok(read)
    }
}
