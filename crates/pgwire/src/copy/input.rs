//! `COPY … FROM STDIN`: bytes in pieces of any size, to rows, to batches for the engine.
//!
//! The formats are PostgreSQL's: in text a backslash may escape a newline, in csv NULL and an empty quoted field are
//! not the same, which a general CSV reader does not tell.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef};
use bytes::Bytes;
use rapport_engine::{Column, CopyFormat, CopyIn, CopyKind, Header, oid};
use tokio::sync::mpsc;

use super::{BINARY_START, charset, marked};
use crate::charset::Charset;
use crate::sqlstate::{Failure, Result};
use crate::value::Collector;
use rapport_udf_postgres::Reading;

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

/// A record that is longer than this has no end.
const LONGEST_RECORD: usize = 256 << 20;

/// Reads until the client is done, and commits. `None` if the client was not done: nothing was kept.
pub async fn receive(
    mut copy: CopyIn,
    mut reader: Reader,
    mut input: mpsc::Receiver<Input>,
) -> Result<Option<u64>> {
    let read = async {
        while let Some(input) = input.recv().await {
            match input {
                Input::Data(bytes) => {
                    reader.feed(&bytes)?;
                    if reader.is_full() {
                        reader.hand_over(&mut copy).await?;
                    }
                }
                Input::Done => {
                    reader.finish()?;
                    if reader.rows > 0 {
                        reader.hand_over(&mut copy).await?;
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
pub struct Reader {
    table: String,
    format: CopyFormat,
    charset: Charset,
    names: Vec<String>,
    /// Columns whose values are never NULL, and those that are even in quotes.
    not_null: Vec<bool>,
    null: Vec<bool>,
    schema: SchemaRef,
    columns: Vec<Collector>,
    rows: usize,
    /// The line that each of the rows starts at.
    lines: Vec<u64>,
    /// Bytes read into the columns since the last batch.
    bytes: usize,
    /// What has arrived and is not a whole record yet, and how far it has been looked through.
    pending: Vec<u8>,
    scan: Scan,
    ending: Option<Ending>,
    /// The line a record starts at, from 1.
    line: u64,
    state: State,
    /// The fields of a record one after another, and where each is; kept to be used again.
    scratch: Vec<u8>,
    fields: Vec<FieldAt>,
}

/// How far the search for a record's end has come.
#[derive(Clone, Copy, Default)]
struct Scan {
    at: usize,
    in_quotes: bool,
    /// Line breaks within the record.
    breaks: u64,
}

/// How lines end; the first one decides for all.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Newline,
    Return,
    ReturnNewline,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The signature, or the header line, has not been seen.
    Start,
    Rows,
    /// After `\.` or the trailer; what follows is not looked at.
    End,
}

/// One field of a record, in the scratch.
#[derive(Clone, Copy)]
struct FieldAt {
    start: usize,
    end: usize,
    /// It reads like NULL.
    is_null: bool,
    was_quoted: bool,
}

/// A whole record of lines.
struct Found {
    /// Where its text ends, and where the next one begins.
    end: usize,
    next: usize,
    lines: u64,
}

impl Reader {
    /// Fails if the options are about other columns, or a column is of a type that can't be sent.
    pub fn new(
        table: String,
        columns: &[Column],
        format: CopyFormat,
        reading: Reading,
        client: Charset,
    ) -> Result<Self> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| Field::new(&column.name, sent_type(column), true))
            .collect();
        let collectors = columns
            .iter()
            .zip(&fields)
            .map(|(column, field)| {
                Collector::new(column.pg_type, column.typmod, field.data_type(), reading)
            })
            .collect::<Result<_>>()?;
        let state = match format.header != Header::No || format.kind == CopyKind::Binary {
            true => State::Start,
            false => State::Rows,
        };
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        Ok(Self {
            table,
            charset: charset(&format, client)?,
            not_null: marked(&names, &format.force_not_null)?,
            null: marked(&names, &format.force_null)?,
            format,
            names: names.into_iter().map(str::to_owned).collect(),
            schema: Arc::new(Schema::new(fields)),
            columns: collectors,
            rows: 0,
            lines: Vec::new(),
            bytes: 0,
            pending: Vec::new(),
            scan: Scan::default(),
            ending: None,
            line: 1,
            state,
            scratch: Vec::new(),
            fields: Vec::new(),
        })
    }

    fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows since the last batch go to the engine; what it finds wrong with one of them is told with its line.
    async fn hand_over(&mut self, copy: &mut CopyIn) -> Result<()> {
        let lines = std::mem::take(&mut self.lines);
        let batch = self.batch()?;
        match copy.push(batch.clone()).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let column = match &error {
                    rapport_engine::Error::NotNull { column, .. } => batch.column_by_name(column),
                    _ => None,
                };
                let row =
                    column.and_then(|values| (0..values.len()).find(|row| values.is_null(*row)));
                let failure = Failure::from(error);
                Err(match row.and_then(|row| lines.get(row)) {
                    Some(line) => failure.with_context(format!("COPY {}, line {line}", self.table)),
                    None => failure,
                })
            }
        }
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        self.bytes = 0;
        self.lines.clear();
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
        match self.charset {
            Charset::Utf8 => self.pending.extend_from_slice(bytes),
            // One byte is one character in these: there are no halves of characters.
            charset => self
                .pending
                .extend_from_slice(charset.decode(bytes)?.as_bytes()),
        }
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
        if input.len() > LONGEST_RECORD {
            let message = format!("a record of over {LONGEST_RECORD} bytes");
            return Err(Failure::new("54000", message)
                .with_context(format!("COPY {}, line {}", self.table, self.line)));
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
            // Some drivers leave out the trailer, and PostgreSQL does not miss it.
            CopyKind::Binary if self.state == State::Rows && rest.is_empty() => Ok(()),
            CopyKind::Binary => Err(self.bad("unexpected EOF in COPY data")),
            CopyKind::Text | CopyKind::Csv => {
                let mut used = 0;
                while used < rest.len() && self.state != State::End {
                    match self.record(&rest[used..], true)? {
                        Some(length) => used += length,
                        None => return Err(self.bad("unterminated CSV quoted field")),
                    }
                }
                Ok(())
            }
        }
    }

    /// Takes one record off the input if it is there whole; answers its length.
    fn record(&mut self, input: &[u8], is_last: bool) -> Result<Option<usize>> {
        if self.format.kind == CopyKind::Binary {
            return self.tuple(input);
        }
        let Some(found) = self.find_end(input, is_last)? else {
            return Ok(None);
        };
        self.scan = Scan::default();
        let line = &input[..found.end];
        if line == b"\\." {
            self.state = State::End;
            return Ok(Some(found.next));
        }
        let is_header = self.state == State::Start;
        self.state = State::Rows;
        if !is_header || self.format.header == Header::Match {
            match self.format.kind {
                CopyKind::Csv => self.split_csv(line),
                _ => self.split_text(line),
            }
        }
        if is_header {
            if self.format.header == Header::Match {
                self.check_header(line)?;
            }
        } else {
            self.row(line)?;
            self.rows += 1;
            self.lines.push(self.line);
            self.bytes += found.next;
        }
        self.line += found.lines;
        Ok(Some(found.next))
    }

    /// Looks on from where it stopped before; what has been looked through once is not looked at again.
    fn find_end(&mut self, input: &[u8], is_last: bool) -> Result<Option<Found>> {
        let is_csv = self.format.kind == CopyKind::Csv;
        let (quote, escape) = (self.format.quote, self.format.escape);
        let mut scan = self.scan;
        while let Some(&byte) = input.get(scan.at) {
            match byte {
                b'\n' | b'\r' if scan.in_quotes => {
                    scan.breaks +=
                        u64::from(byte == b'\n' || input.get(scan.at + 1) != Some(&b'\n'));
                }
                b'\n' => {
                    if !matches!(self.ending, None | Some(Ending::Newline)) {
                        return Err(self.bad_break("newline", "\\n"));
                    }
                    self.ending = Some(Ending::Newline);
                    return Ok(Some(Found::at(scan, 1)));
                }
                b'\r' => {
                    let next = input.get(scan.at + 1);
                    if next.is_none() && !is_last && self.ending != Some(Ending::Return) {
                        self.scan = scan;
                        return Ok(None);
                    }
                    let ending = match (self.ending, next) {
                        (None | Some(Ending::ReturnNewline), Some(b'\n')) => Ending::ReturnNewline,
                        (None | Some(Ending::Return), _) => Ending::Return,
                        _ => return Err(self.bad_break("carriage return", "\\r")),
                    };
                    self.ending = Some(ending);
                    let length = if ending == Ending::ReturnNewline {
                        2
                    } else {
                        1
                    };
                    return Ok(Some(Found::at(scan, length)));
                }
                _ if is_csv && scan.in_quotes && escape != quote && byte == escape => {
                    // It hides the next byte, if that is one that can be hidden.
                    match input.get(scan.at + 1) {
                        None if !is_last => {
                            self.scan = scan;
                            return Ok(None);
                        }
                        Some(next) if *next == quote || *next == escape => scan.at += 1,
                        _ => {}
                    }
                }
                _ if is_csv && byte == quote => scan.in_quotes = !scan.in_quotes,
                b'\\' if !is_csv => {
                    // The next byte belongs to it, even a newline.
                    match input.get(scan.at + 1) {
                        None if !is_last => {
                            self.scan = scan;
                            return Ok(None);
                        }
                        next => scan.breaks += u64::from(next == Some(&b'\n')),
                    }
                    scan.at += 1;
                }
                _ => {}
            }
            scan.at += 1;
        }
        scan.at = scan.at.min(input.len());
        self.scan = scan;
        Ok((is_last && !scan.in_quotes).then(|| Found::at(scan, 0)))
    }

    fn bad_break(&self, what: &str, sign: &str) -> Failure {
        let is_csv = self.format.kind == CopyKind::Csv;
        let (message, hint) = match is_csv {
            true => (
                format!("unquoted {what} found in data"),
                format!("Use quoted CSV field to represent {what}."),
            ),
            false => (
                format!("literal {what} found in data"),
                format!("Use \"{sign}\" to represent {what}."),
            ),
        };
        self.bad(&message).with_hint(hint)
    }

    fn split_text(&mut self, line: &[u8]) {
        self.scratch.clear();
        self.fields.clear();
        let mut rest = Some(line);
        while let Some(input) = rest {
            let length = unescaped(input, self.format.delimiter);
            let field = &input[..length];
            rest = input.get(length + 1..);
            let start = self.scratch.len();
            match memchr::memchr(b'\\', field) {
                Some(_) => unescape(field, &mut self.scratch),
                None => self.scratch.extend_from_slice(field),
            }
            self.fields.push(FieldAt {
                start,
                end: self.scratch.len(),
                is_null: field == self.format.null.as_bytes(),
                was_quoted: false,
            });
        }
    }

    fn split_csv(&mut self, line: &[u8]) {
        let CopyFormat {
            delimiter,
            quote,
            escape,
            ..
        } = self.format;
        self.scratch.clear();
        self.fields.clear();
        let mut at = 0;
        loop {
            let start = self.scratch.len();
            let mut was_quoted = false;
            let mut in_quotes = false;
            let mut is_last = true;
            while let Some(&byte) = line.get(at) {
                at += 1;
                if in_quotes {
                    let next = line.get(at).copied();
                    if byte == escape && next.is_some_and(|next| next == quote || next == escape) {
                        self.scratch.extend(next);
                        at += 1;
                    } else if byte == quote {
                        in_quotes = false;
                    } else {
                        self.scratch.push(byte);
                    }
                } else if byte == quote {
                    in_quotes = true;
                    was_quoted = true;
                } else if byte == delimiter {
                    is_last = false;
                    break;
                } else {
                    self.scratch.push(byte);
                }
            }
            let end = self.scratch.len();
            self.fields.push(FieldAt {
                start,
                end,
                is_null: self.scratch[start..end] == *self.format.null.as_bytes(),
                was_quoted,
            });
            if is_last {
                return;
            }
        }
    }

    /// The fields of a line to the columns.
    fn row(&mut self, line: &[u8]) -> Result<()> {
        if self.fields.len() > self.columns.len() {
            return Err(self.extra(line));
        }
        for n in 0..self.columns.len() {
            let Some(field) = self.fields.get(n).copied() else {
                return Err(self.missing(n, line));
            };
            let is_null = match self.format.kind {
                CopyKind::Csv if field.was_quoted => field.is_null && self.null[n],
                CopyKind::Csv => field.is_null && !self.not_null[n],
                _ => field.is_null,
            };
            if is_null {
                self.columns[n].push_null();
                continue;
            }
            let bytes = &self.scratch[field.start..field.end];
            let text = match Charset::Utf8.decode(bytes) {
                Ok(std::borrow::Cow::Borrowed(text)) if !bytes.contains(&0) => text,
                Ok(_) => {
                    let message = "invalid byte sequence for encoding \"UTF8\": 0x00";
                    return Err(Failure::new("22021", message).with_context(self.at_line()));
                }
                Err(failure) => return Err(failure.with_context(self.at_line())),
            };
            self.columns[n].push_text(text).map_err(|failure| {
                failure.with_context(format!(
                    "COPY {}, line {}, column {}: \"{}\"",
                    self.table,
                    self.line,
                    self.names[n],
                    excerpt(bytes)
                ))
            })?;
        }
        Ok(())
    }

    /// `HEADER MATCH`: the names have to be those of the columns, in their order.
    fn check_header(&self, line: &[u8]) -> Result<()> {
        if self.fields.len() != self.names.len() {
            let message = format!(
                "wrong number of fields in header line: got {}, expected {}",
                self.fields.len(),
                self.names.len()
            );
            return Err(self.bad_line(&message, line));
        }
        for (n, (field, name)) in self.fields.iter().zip(&self.names).enumerate() {
            let given = &self.scratch[field.start..field.end];
            let is_null = field.is_null && !field.was_quoted;
            let given = String::from_utf8_lossy(given);
            let got = match is_null {
                true => format!("null value (\"{}\")", self.format.null),
                false if given == *name => continue,
                false => format!("\"{given}\""),
            };
            let message = format!(
                "column name mismatch in header line field {}: got {got}, expected \"{name}\"",
                n + 1
            );
            return Err(self.bad_line(&message, line));
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
            let message = format!(
                "row field count is {count}, expected {}",
                self.columns.len()
            );
            return Err(self.bad(&message));
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
        self.lines.push(self.line);
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
        Failure::new("22P04", message).with_context(self.at_line())
    }

    fn at_line(&self) -> String {
        format!("COPY {}, line {}", self.table, self.line)
    }
}

impl Found {
    /// The record ends where the search has come to, with an end of line of some length behind it.
    fn at(scan: Scan, ending: usize) -> Self {
        Self {
            end: scan.at,
            next: scan.at + ending,
            lines: scan.breaks + 1,
        }
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
    use arrow::array::AsArray;
    use arrow::datatypes::Int32Type;

    fn reader_of(format: CopyFormat) -> Reader {
        let column = |name: &str, pg_type, data_type| Column {
            name: name.into(),
            pg_type,
            typmod: -1,
            least_scale: 0,
            table_oid: 0,
            number: 0,
            data_type,
        };
        let columns = [
            column("n", oid::INT4, DataType::Int32),
            column("t", oid::TEXT, DataType::Utf8),
        ];
        Reader::new(
            "public_t".into(),
            &columns,
            format,
            crate::parse::reading(rapport_udf_postgres::Zone::UTC, 0),
            Charset::Utf8,
        )
        .expect("types of the test")
    }

    fn reader(kind: CopyKind, header: bool) -> Reader {
        reader_of(CopyFormat {
            header: if header { Header::Yes } else { Header::No },
            ..CopyFormat::plain(kind)
        })
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
        let input = b"1\ta\\tb\n\\N\t\\N\n3\tline\\\nbreak \\x41\\101\n4\t";
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
        assert_eq!((failure.code(), failure.message()), (code, message));
        assert_eq!(failure.context(), Some(context));
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
    fn lines_end_as_the_first_one_does() {
        let expected = vec![row(Some(1), Some("a")), row(Some(2), Some("b"))];
        for (kind, input) in [
            (CopyKind::Text, b"1\ta\r\n2\tb\r\n".as_slice()),
            (CopyKind::Text, b"1\ta\r2\tb\r"),
            (CopyKind::Text, b"1\ta\r2\tb"),
            (CopyKind::Csv, b"1,a\r\n2,b"),
            (CopyKind::Csv, b"1,a\r2,b\r"),
        ] {
            let bytes: Vec<&[u8]> = input.chunks(1).collect();
            let read = rows(reader(kind, false), &bytes).expect("well formed");
            assert_eq!(read, expected, "{}", String::from_utf8_lossy(input));
        }
        refused(
            CopyKind::Text,
            b"1\ta\n2\tb\rc\n",
            "22P04",
            "literal carriage return found in data",
            "COPY public_t, line 2",
        );
        refused(
            CopyKind::Csv,
            b"1,a\r\n2,b\nc\r\n",
            "22P04",
            "unquoted newline found in data",
            "COPY public_t, line 2",
        );
        let quoted = rows(reader(CopyKind::Csv, false), &[b"1,\"a\r\nb\"\n"]);
        assert_eq!(quoted.expect("quoted"), vec![row(Some(1), Some("a\r\nb"))]);
    }

    #[test]
    fn an_escape_of_its_own_is_read_in_any_pieces() {
        let format = CopyFormat {
            escape: b'\\',
            ..CopyFormat::plain(CopyKind::Csv)
        };
        let input = b"1,\"a\\\"b\\\\\"\n2,\"c\\d\"\n";
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(
            rows(reader_of(format), &bytes).expect("well formed"),
            vec![row(Some(1), Some("a\"b\\")), row(Some(2), Some("c\\d"))]
        );
    }

    #[test]
    fn null_can_be_forced_and_forbidden() {
        let format = |force_null: &[&str], force_not_null: &[&str]| CopyFormat {
            force_null: force_null.iter().map(ToString::to_string).collect(),
            force_not_null: force_not_null.iter().map(ToString::to_string).collect(),
            ..CopyFormat::plain(CopyKind::Csv)
        };
        let input: &[&[u8]] = &[b"1,\n2,\"\"\n"];
        assert_eq!(
            rows(reader_of(format(&["t"], &[])), input).expect("well formed"),
            vec![row(Some(1), None), row(Some(2), None)]
        );
        assert_eq!(
            rows(reader_of(format(&[], &["t"])), input).expect("well formed"),
            vec![row(Some(1), Some("")), row(Some(2), Some(""))]
        );
    }

    #[test]
    fn a_header_has_to_match_if_it_must() {
        let read = |input: &[u8]| {
            let format = CopyFormat {
                header: Header::Match,
                ..CopyFormat::plain(CopyKind::Csv)
            };
            rows(reader_of(format), &[input])
        };
        assert_eq!(
            read(b"n,\"t\"\n1,a\n").expect("the same names"),
            vec![row(Some(1), Some("a"))]
        );
        for (input, message) in [
            (
                b"n,x\n".as_slice(),
                "column name mismatch in header line field 2: got \"x\", expected \"t\"",
            ),
            (
                b"n\n",
                "wrong number of fields in header line: got 1, expected 2",
            ),
            (
                b"n,\n",
                "column name mismatch in header line field 2: got null value (\"\"), expected \"t\"",
            ),
        ] {
            let failure = read(input).expect_err("other names");
            assert_eq!((failure.code(), failure.message()), ("22P04", message));
        }
    }

    #[test]
    fn a_zero_byte_is_no_text() {
        refused(
            CopyKind::Text,
            b"1\ta\0b\n",
            "22021",
            "invalid byte sequence for encoding \"UTF8\": 0x00",
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
