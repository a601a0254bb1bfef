//! `COPY … FROM STDIN`: bytes in pieces of any size, to rows, to batches for the engine.
//!
//! The formats are PostgreSQL's: in text a backslash may escape a newline, in csv NULL and an empty quoted field are
//! not the same, which a general CSV reader does not tell.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef};
use bytes::Bytes;
use rapport_engine::{Column, CopyFormat, CopyIn, CopyKind, oid};
use tokio::sync::mpsc;

use super::BINARY_START;
use crate::sqlstate::{Failure, Result};
use crate::text::Zone;
use crate::value::Collector;

/// Rows that are collected before they go to the engine.
const BATCH_ROWS: usize = 8192;

/// Bytes of input after which a batch goes to the engine, however few rows it has.
const BATCH_BYTES: usize = 8 << 20;

/// What the client sent.
pub enum Input {
    Data(Bytes),
    /// CopyDone; a channel that closes without it is a copy that failed.
    Done,
}

/// Reads until the client is done, and commits. `None` if the client was not done: nothing was kept.
pub async fn receive(
    mut copy: CopyIn,
    table: String,
    zone: Zone,
    mut input: mpsc::Receiver<Input>,
) -> Result<Option<u64>> {
    let read = async {
        let mut reader = Reader::new(table, copy.columns(), copy.format().clone(), zone)?;
        while let Some(input) = input.recv().await {
            match input {
                Input::Data(bytes) => {
                    reader.feed(&bytes)?;
                    if reader.is_full() {
                        copy.push(reader.batch()?).await?;
                    }
                }
                Input::Done => {
                    reader.finish()?;
                    let rest = reader.batch()?;
                    if rest.num_rows() > 0 {
                        copy.push(rest).await?;
                    }
                    return Ok(true);
                }
            }
        }
        Ok(false)
    };
    match read.await {
        Ok(true) => Ok(Some(copy.finish().await?)),
        Ok(false) => {
            copy.abort().await;
            Ok(None)
        }
        Err(failure) => {
            copy.abort().await;
            Err(failure)
        }
    }
}

/// Bytes to typed columns.
struct Reader {
    table: String,
    format: CopyFormat,
    names: Vec<String>,
    schema: SchemaRef,
    columns: Vec<Collector>,
    rows: usize,
    /// Bytes read into the columns since the last batch.
    bytes: usize,
    /// What has arrived and is not a whole record yet.
    pending: Vec<u8>,
    /// The line a record starts at, from 1.
    line: u64,
    state: State,
    /// Where the fields of a record are put together; kept to be used again.
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The signature, or the header line, has not been seen.
    Start,
    Rows,
    /// After `\.` or the trailer; what follows is not looked at.
    End,
}

/// One field of a record.
enum Given<'a> {
    Null,
    Text(&'a [u8]),
}

impl Reader {
    fn new(table: String, columns: &[Column], format: CopyFormat, zone: Zone) -> Result<Self> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| Field::new(&column.name, sent_type(column), true))
            .collect();
        let collectors = columns
            .iter()
            .zip(&fields)
            .map(|(column, field)| {
                Collector::new(column.pg_type, column.typmod, field.data_type(), zone)
            })
            .collect::<Result<_>>()?;
        let state = match format.header || format.kind == CopyKind::Binary {
            true => State::Start,
            false => State::Rows,
        };
        Ok(Self {
            table,
            format,
            names: columns.iter().map(|column| column.name.clone()).collect(),
            schema: Arc::new(Schema::new(fields)),
            columns: collectors,
            rows: 0,
            bytes: 0,
            pending: Vec::new(),
            line: 1,
            state,
            scratch: Vec::new(),
        })
    }

    fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows since the last batch.
    fn batch(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        self.bytes = 0;
        let arrays = self
            .columns
            .iter_mut()
            .zip(self.schema.fields())
            .map(|(column, field)| {
                let array = column.finish();
                // Text may be held as another kind of string there.
                match array.data_type() == field.data_type() {
                    true => Ok(array),
                    false => arrow::compute::cast(&array, field.data_type()),
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        if self.state == State::End {
            return Ok(());
        }
        self.pending.extend_from_slice(bytes);
        let mut input = std::mem::take(&mut self.pending);
        let mut used = 0;
        while self.state != State::End {
            let Some(length) = self.record(&input[used..], false)? else {
                break;
            };
            used += length;
        }
        if self.state == State::End {
            input.clear();
        } else {
            input.drain(..used);
        }
        self.pending = input;
        Ok(())
    }

    /// The last record may lack its end of line.
    fn finish(&mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.pending);
        if self.state == State::End {
            return Ok(());
        }
        match self.format.kind {
            CopyKind::Binary => Err(self.bad("unexpected EOF in COPY data")),
            CopyKind::Text | CopyKind::Csv if rest.is_empty() => Ok(()),
            CopyKind::Text | CopyKind::Csv => match self.record(&rest, true)? {
                Some(_) => Ok(()),
                None => Err(self.bad("unterminated CSV quoted field")),
            },
        }
    }

    /// Takes one record off the input if it is there whole; answers its length.
    fn record(&mut self, input: &[u8], is_last: bool) -> Result<Option<usize>> {
        if self.format.kind == CopyKind::Binary {
            return self.tuple(input);
        }
        let Some((end, length, lines)) = self.line_end(input, is_last) else {
            return Ok(None);
        };
        let line = &input[..end];
        if line == b"\\." {
            self.state = State::End;
        } else if self.state == State::Start {
            self.state = State::Rows;
        } else {
            match self.format.kind {
                CopyKind::Csv => self.csv_row(line)?,
                _ => self.text_row(line)?,
            }
            self.rows += 1;
            self.bytes += length;
        }
        self.line += lines;
        Ok(Some(length))
    }

    /// Where the record ends, where the next one begins, and how many lines it is. A lone carriage return ends a
    /// line only in front of a newline.
    fn line_end(&self, input: &[u8], is_last: bool) -> Option<(usize, usize, u64)> {
        let is_csv = self.format.kind == CopyKind::Csv;
        let (quote, escape) = (self.format.quote, self.format.escape);
        let mut in_quotes = false;
        let mut lines = 1;
        let mut at = 0;
        while at < input.len() {
            let byte = input[at];
            if byte == b'\n' {
                if !in_quotes {
                    let end = if input[..at].ends_with(b"\r") {
                        at - 1
                    } else {
                        at
                    };
                    return Some((end, at + 1, lines));
                }
                lines += 1;
            } else if is_csv {
                if in_quotes && escape != quote && byte == escape {
                    at += 1;
                } else if byte == quote {
                    in_quotes = !in_quotes;
                }
            } else if byte == b'\\' {
                // The next byte belongs to it, even a newline.
                at += 1;
                lines += u64::from(input.get(at) == Some(&b'\n'));
            }
            at += 1;
        }
        let end = if input.ends_with(b"\r") {
            input.len() - 1
        } else {
            input.len()
        };
        (is_last && !in_quotes).then_some((end, input.len(), lines))
    }

    fn text_row(&mut self, line: &[u8]) -> Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut rest = Some(line);
        for n in 0..self.columns.len() {
            let Some(input) = rest else {
                return Err(self.missing(n, line));
            };
            let end = unescaped(input, self.format.delimiter);
            let field = &input[..end];
            rest = input.get(end + 1..);
            let given = if field == self.format.null.as_bytes() {
                Given::Null
            } else if memchr::memchr(b'\\', field).is_some() {
                unescape(field, &mut scratch);
                Given::Text(&scratch)
            } else {
                Given::Text(field)
            };
            self.push(n, given)?;
        }
        self.scratch = scratch;
        match rest {
            Some(_) => Err(self.extra(line)),
            None => Ok(()),
        }
    }

    fn csv_row(&mut self, line: &[u8]) -> Result<()> {
        let CopyFormat {
            delimiter,
            quote,
            escape,
            ..
        } = self.format;
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut at = Some(0);
        for n in 0..self.columns.len() {
            let Some(mut here) = at else {
                return Err(self.missing(n, line));
            };
            scratch.clear();
            let mut was_quoted = false;
            let mut in_quotes = false;
            at = None;
            while let Some(&byte) = line.get(here) {
                here += 1;
                if in_quotes {
                    let next = line.get(here).copied();
                    if byte == escape && next.is_some_and(|next| next == quote || next == escape) {
                        scratch.extend(next);
                        here += 1;
                    } else if byte == quote {
                        in_quotes = false;
                    } else {
                        scratch.push(byte);
                    }
                } else if byte == quote {
                    in_quotes = true;
                    was_quoted = true;
                } else if byte == delimiter {
                    at = Some(here);
                    break;
                } else {
                    scratch.push(byte);
                }
            }
            let given = match !was_quoted && scratch == self.format.null.as_bytes() {
                true => Given::Null,
                false => Given::Text(&scratch),
            };
            self.push(n, given)?;
        }
        self.scratch = scratch;
        match at {
            Some(_) => Err(self.extra(line)),
            None => Ok(()),
        }
    }

    fn push(&mut self, n: usize, given: Given<'_>) -> Result<()> {
        let column = &mut self.columns[n];
        match given {
            Given::Null => column.push_null(),
            Given::Text(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| {
                    Failure::new("22021", "invalid byte sequence for encoding \"UTF8\"")
                        .with_context(format!("COPY {}, line {}", self.table, self.line))
                })?;
                column.push_text(text).map_err(|failure| {
                    failure.with_context(format!(
                        "COPY {}, line {}, column {}: \"{}\"",
                        self.table,
                        self.line,
                        self.names[n],
                        excerpt(bytes)
                    ))
                })?;
            }
        }
        Ok(())
    }

    /// One tuple of the binary format, or its signature, or its end.
    fn tuple(&mut self, input: &[u8]) -> Result<Option<usize>> {
        if self.state == State::Start {
            if input.len() < BINARY_START.len() {
                return Ok(None);
            }
            if input[..11] != BINARY_START[..11] {
                return Err(self.bad("COPY file signature not recognized"));
            }
            let extension =
                u32::from_be_bytes([input[15], input[16], input[17], input[18]]) as usize;
            if input.len() < BINARY_START.len() + extension {
                return Ok(None);
            }
            self.state = State::Rows;
            return Ok(Some(BINARY_START.len() + extension));
        }
        let Some((count, mut rest)) = input.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.state = State::End;
            return Ok(Some(2));
        }
        if usize::try_from(count) != Ok(self.columns.len()) {
            return Err(self.bad("row field count does not match the table's columns"));
        }
        // First see whether all of it has come.
        let mut fields = Vec::with_capacity(self.columns.len());
        for _ in 0..self.columns.len() {
            let Some((length, tail)) = rest.split_first_chunk::<4>() else {
                return Ok(None);
            };
            rest = tail;
            match i32::from_be_bytes(*length) {
                -1 => fields.push(None),
                length => {
                    let length =
                        usize::try_from(length).map_err(|_| self.bad("invalid field size"))?;
                    let Some((field, tail)) = rest.split_at_checked(length) else {
                        return Ok(None);
                    };
                    fields.push(Some(field));
                    rest = tail;
                }
            }
        }
        for (n, field) in fields.into_iter().enumerate() {
            match field {
                None => self.columns[n].push_null(),
                Some(field) => self.columns[n].push_binary(field).map_err(|failure| {
                    failure.with_context(format!(
                        "COPY {}, line {}, column {}",
                        self.table, self.line, self.names[n]
                    ))
                })?,
            }
        }
        let length = input.len() - rest.len();
        self.rows += 1;
        self.bytes += length;
        self.line += 1;
        Ok(Some(length))
    }

    fn missing(&self, n: usize, line: &[u8]) -> Failure {
        self.bad_line(
            &format!("missing data for column \"{}\"", self.names[n]),
            line,
        )
    }

    fn extra(&self, line: &[u8]) -> Failure {
        self.bad_line("extra data after last expected column", line)
    }

    fn bad_line(&self, message: &str, line: &[u8]) -> Failure {
        Failure::new("22P04", message).with_context(format!(
            "COPY {}, line {}: \"{}\"",
            self.table,
            self.line,
            excerpt(line)
        ))
    }

    fn bad(&self, message: &str) -> Failure {
        Failure::new("22P04", message)
            .with_context(format!("COPY {}, line {}", self.table, self.line))
    }
}

/// As the engine wants the column, except for intervals: of those it knows the text, but not in every spelling.
fn sent_type(column: &Column) -> DataType {
    match column.pg_type {
        oid::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => column.data_type.clone(),
    }
}

/// The first delimiter that no backslash stands before.
fn unescaped(input: &[u8], delimiter: u8) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(delimiter, b'\\', &input[at..]) {
        at += found;
        if input[at] == delimiter {
            return at;
        }
        at = (at + 2).min(input.len());
    }
    input.len()
}

/// Backslash sequences to the bytes they mean.
fn unescape(field: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&letter, tail)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = tail;
        match letter {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(0x0b),
            b'0'..=b'7' => {
                let mut value = u32::from(letter - b'0');
                for _ in 0..2 {
                    match rest.first() {
                        Some(digit @ b'0'..=b'7') => value = value * 8 + u32::from(digit - b'0'),
                        _ => break,
                    }
                    rest = &rest[1..];
                }
                out.push(value as u8);
            }
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                let mut value = 0;
                for _ in 0..2 {
                    match rest.first().and_then(|digit| (*digit as char).to_digit(16)) {
                        Some(digit) => value = value * 16 + digit,
                        None => break,
                    }
                    rest = &rest[1..];
                }
                out.push(value as u8);
            }
            other => out.push(other),
        }
    }
}

/// As much of the client's data as PostgreSQL shows in an error.
fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 100;
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::Int32Type;

    fn reader(kind: CopyKind, header: bool) -> Reader {
        let column = |name: &str, pg_type, data_type| Column {
            name: name.into(),
            pg_type,
            typmod: -1,
            least_scale: 0,
            table_oid: 0,
            number: 0,
            data_type,
        };
        let format = CopyFormat {
            kind,
            delimiter: if kind == CopyKind::Csv { b',' } else { b'\t' },
            null: if kind == CopyKind::Csv {
                String::new()
            } else {
                "\\N".into()
            },
            quote: b'"',
            escape: b'"',
            header,
        };
        let columns = [
            column("n", oid::INT4, DataType::Int32),
            column("t", oid::TEXT, DataType::Utf8),
        ];
        Reader::new("public_t".into(), &columns, format, Zone::UTC).expect("types of the test")
    }

    fn rows(mut reader: Reader, pieces: &[&[u8]]) -> Result<Vec<(Option<i32>, Option<String>)>> {
        for piece in pieces {
            reader.feed(piece)?;
        }
        reader.finish()?;
        let batch = reader.batch()?;
        let numbers = batch.column(0).as_primitive::<Int32Type>();
        let texts = batch.column(1).as_string::<i32>();
        Ok((0..batch.num_rows())
            .map(|row| {
                (
                    numbers.is_valid(row).then(|| numbers.value(row)),
                    texts.is_valid(row).then(|| texts.value(row).to_owned()),
                )
            })
            .collect())
    }

    fn row(n: Option<i32>, t: Option<&str>) -> (Option<i32>, Option<String>) {
        (n, t.map(str::to_owned))
    }

    #[test]
    fn text_is_read_whatever_pieces_it_comes_in() {
        let input = b"1\ta\\tb\n\\N\t\\N\r\n3\tline\\\nbreak \\x41\\101\n4\t";
        let expected = vec![
            row(Some(1), Some("a\tb")),
            row(None, None),
            row(Some(3), Some("line\nbreak AA")),
            row(Some(4), Some("")),
        ];
        assert_eq!(
            rows(reader(CopyKind::Text, false), &[input]).expect("well formed"),
            expected
        );
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(
            rows(reader(CopyKind::Text, false), &bytes).expect("well formed"),
            expected
        );
    }

    #[test]
    fn nothing_after_the_end_of_data_is_read() {
        let read = rows(
            reader(CopyKind::Text, false),
            &[b"1\ta\n\\.\nnonsense", b"more"],
        );
        assert_eq!(read.expect("well formed"), vec![row(Some(1), Some("a"))]);
    }

    #[test]
    fn csv_tells_null_from_the_empty_text() {
        let input = b"n,t\n1,\"\"\n2,\n3,\"a \"\"b\"\",\nc\"\n4,x\"y\"z\n";
        let expected = vec![
            row(Some(1), Some("")),
            row(Some(2), None),
            row(Some(3), Some("a \"b\",\nc")),
            row(Some(4), Some("xyz")),
        ];
        assert_eq!(
            rows(reader(CopyKind::Csv, true), &[input]).expect("well formed"),
            expected
        );
        let bytes: Vec<&[u8]> = input.chunks(3).collect();
        assert_eq!(
            rows(reader(CopyKind::Csv, true), &bytes).expect("well formed"),
            expected
        );
    }

    fn refused(kind: CopyKind, input: &[u8], code: &str, message: &str, context: &str) {
        let failure = rows(reader(kind, false), &[input]).expect_err("badly formed");
        let expected = Failure::new(code, message).with_context(context);
        assert_eq!(failure, expected);
    }

    #[test]
    fn errors_name_the_line_and_the_column() {
        refused(
            CopyKind::Text,
            b"1\ta\nabc\tb\n",
            "22P02",
            "invalid input syntax for type integer: \"abc\"",
            "COPY public_t, line 2, column n: \"abc\"",
        );
        refused(
            CopyKind::Text,
            b"1\n",
            "22P04",
            "missing data for column \"t\"",
            "COPY public_t, line 1: \"1\"",
        );
        refused(
            CopyKind::Csv,
            b"1,a\n2,b,c\n",
            "22P04",
            "extra data after last expected column",
            "COPY public_t, line 2: \"2,b,c\"",
        );
        refused(
            CopyKind::Csv,
            b"1,\"a\n",
            "22P04",
            "unterminated CSV quoted field",
            "COPY public_t, line 1",
        );
    }

    #[test]
    fn binary_is_read_in_any_pieces() {
        let mut input = BINARY_START.to_vec();
        input.extend_from_slice(b"\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x01x");
        input.extend_from_slice(b"\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
        let expected = vec![row(Some(7), Some("x")), row(None, None)];
        assert_eq!(
            rows(reader(CopyKind::Binary, false), &[&input]).expect("well formed"),
            expected
        );
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(
            rows(reader(CopyKind::Binary, false), &bytes).expect("well formed"),
            expected
        );
        assert!(
            rows(
                reader(CopyKind::Binary, false),
                &[b"PGCOPY nonsense and more"]
            )
            .is_err()
        );
    }
}
