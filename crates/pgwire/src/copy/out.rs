//! `COPY … TO STDOUT`: one CopyData message a row.

use rapport_engine::{Column, CopyColumns, CopyFormat, CopyKind, Header};

use super::{BINARY_END, BINARY_START, charset, form, marked};
use crate::charset::Charset;
use crate::rows::{Cell, Form, Rows};
use crate::sqlstate::Result;
use crate::wire;

/// How the rows of one COPY are written.
#[derive(Clone, Debug)]
pub struct CopyOut {
    format: CopyFormat,
    /// Columns that are quoted in any case.
    quoted: Vec<bool>,
    /// Whether values without words need no look for what has to be escaped.
    trusts_wordless: bool,
    charset: Charset,
    /// The binary signature travels in one message with what comes first, the way PostgreSQL sends it.
    signature: &'static [u8],
}

impl CopyOut {
    /// Fails if the options are about other columns, or an encoding that we do not have.
    pub fn new(format: CopyFormat, columns: &[&str], client: Charset) -> Result<Self> {
        let quoted = match &format.force_quote {
            CopyColumns::All => vec![true; columns.len()],
            CopyColumns::Named(named) => marked(columns, named)?,
        };
        let signs = [format.delimiter, format.quote, format.escape];
        let may_be_null =
            format.null.bytes().all(Cell::is_wordless_byte) && !format.null.is_empty();
        Ok(Self {
            quoted,
            trusts_wordless: !may_be_null && !signs.into_iter().any(Cell::is_wordless_byte),
            charset: charset(&format, client)?,
            format,
            signature: b"",
        })
    }

    /// What the columns have to be encoded as.
    pub fn form(&self) -> Form {
        form(self.format.kind)
    }

    pub fn put_start(&mut self, columns: &[Column], out: &mut Vec<u8>) -> Result<()> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        self.put_header(&names, out)
    }

    pub fn put_header(&mut self, names: &[&str], out: &mut Vec<u8>) -> Result<()> {
        if self.format.kind == CopyKind::Binary {
            self.signature = BINARY_START;
            return Ok(());
        }
        if self.format.header == Header::No {
            return Ok(());
        }
        self.put_line(out, |copy, out| {
            for (n, name) in names.iter().enumerate() {
                if n > 0 {
                    out.push(copy.format.delimiter);
                }
                let start = out.len();
                out.extend_from_slice(name.as_bytes());
                copy.escape_field(out, start, false, names.len() == 1);
            }
        })
    }

    pub fn put_row(&mut self, rows: &Rows<'_>, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.format.kind == CopyKind::Binary {
            self.put_binary(out, |out| rows.put_body(row, out));
            return Ok(());
        }
        let cells = rows.cells();
        self.put_line(out, |copy, out| {
            for (n, (cell, is_quoted)) in cells.iter().zip(&copy.quoted).enumerate() {
                if n > 0 {
                    out.push(copy.format.delimiter);
                }
                if cell.is_null(row) {
                    out.extend_from_slice(copy.format.null.as_bytes());
                    continue;
                }
                let start = out.len();
                cell.put_text(row, out);
                if *is_quoted || !(copy.trusts_wordless && cell.is_wordless()) {
                    copy.escape_field(out, start, *is_quoted, cells.len() == 1);
                }
            }
        })
    }

    /// A row that PostgreSQL has encoded: the body of a DataRow message.
    pub fn put_raw_row(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if self.format.kind == CopyKind::Binary {
            self.put_binary(out, |out| out.extend_from_slice(body));
            return Ok(());
        }
        let fields = raw_fields(body);
        self.put_line(out, |copy, out| {
            for (n, (field, is_quoted)) in fields.iter().zip(&copy.quoted).enumerate() {
                if n > 0 {
                    out.push(copy.format.delimiter);
                }
                match field {
                    None => out.extend_from_slice(copy.format.null.as_bytes()),
                    Some(field) => {
                        let start = out.len();
                        out.extend_from_slice(field);
                        copy.escape_field(out, start, *is_quoted, fields.len() == 1);
                    }
                }
            }
        })
    }

    pub fn put_end(&mut self, out: &mut Vec<u8>) {
        if self.format.kind == CopyKind::Binary {
            self.put_binary(out, |out| out.extend_from_slice(&BINARY_END));
        }
    }

    fn put_binary(&mut self, out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
        let start = wire::begin_message(out, b'd');
        out.extend_from_slice(std::mem::take(&mut self.signature));
        put(out);
        wire::end_message(out, start);
    }

    fn put_line(&self, out: &mut Vec<u8>, line: impl FnOnce(&Self, &mut Vec<u8>)) -> Result<()> {
        let start = wire::begin_message(out, b'd');
        line(self, out);
        out.push(b'\n');
        if self.charset != Charset::Utf8 && !out[start..].is_ascii() {
            let line = out.split_off(start + 4);
            self.charset.encode(&String::from_utf8_lossy(&line), out)?;
        }
        wire::end_message(out, start);
        Ok(())
    }

    /// Makes what was written from `start` on a field of the format; most fields need no change.
    fn escape_field(&self, out: &mut Vec<u8>, start: usize, is_quoted: bool, is_only: bool) {
        match self.format.kind {
            CopyKind::Text => self.escape_text(out, start),
            CopyKind::Csv => self.quote_csv(out, start, is_quoted, is_only),
            CopyKind::Binary => {}
        }
    }

    fn escape_text(&self, out: &mut Vec<u8>, start: usize) {
        let delimiter = self.format.delimiter;
        let needs = |byte: u8| (byte < 0x0e) | (byte == b'\\') | (byte == delimiter);
        if !has_any(&out[start..], needs) {
            return;
        }
        for byte in out.split_off(start) {
            let letter = match byte {
                0x08 => b'b',
                0x09 => b't',
                0x0a => b'n',
                0x0b => b'v',
                0x0c => b'f',
                0x0d => b'r',
                _ if byte == b'\\' || byte == delimiter => byte,
                _ => {
                    out.push(byte);
                    continue;
                }
            };
            out.extend_from_slice(&[b'\\', letter]);
        }
    }

    fn quote_csv(&self, out: &mut Vec<u8>, start: usize, is_quoted: bool, is_only: bool) {
        let CopyFormat {
            delimiter,
            quote,
            escape,
            ..
        } = self.format;
        let field = &out[start..];
        // An unquoted field that reads like NULL, or like the end of the data, would be one.
        let needs = is_quoted
            || field == self.format.null.as_bytes()
            || (is_only && field == b"\\.")
            || has_any(field, |byte| {
                (byte == delimiter) | (byte == quote) | (byte == b'\n') | (byte == b'\r')
            });
        if !needs {
            return;
        }
        let field = out.split_off(start);
        out.push(quote);
        for byte in field {
            if byte == quote || byte == escape {
                out.push(escape);
            }
            out.push(byte);
        }
        out.push(quote);
    }
}

/// Whether a byte is one of those. Many are looked at at once, which is quicker than to stop at the first.
fn has_any(field: &[u8], is_one: impl Fn(u8) -> bool) -> bool {
    let any = |bytes: &[u8]| bytes.iter().fold(false, |any, byte| any | is_one(*byte));
    let (chunks, rest) = field.as_chunks::<16>();
    chunks.iter().any(|chunk| any(chunk)) || any(rest)
}

/// The fields of a DataRow's body, which PostgreSQL has made.
pub fn raw_fields(body: &[u8]) -> Vec<Option<&[u8]>> {
    let mut fields = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        rest = tail;
        let field = usize::try_from(i32::from_be_bytes(*length))
            .ok()
            .and_then(|length| rest.split_at_checked(length));
        fields.push(field.map(|(field, tail)| {
            rest = tail;
            field
        }));
    }
    fields
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, RecordBatch};
    use arrow::datatypes::DataType;
    use rapport_engine::oid;
    use rapport_udf_postgres::text::Zone;

    use super::*;
    use crate::rows::Layout;
    use crate::style::Style;

    fn copy_of(format: CopyFormat, columns: &[&str], client: Charset) -> CopyOut {
        CopyOut::new(format, columns, client).expect("options of the test")
    }

    fn body(fields: &[Option<&str>]) -> Vec<u8> {
        let mut body = (fields.len() as u16).to_be_bytes().to_vec();
        for field in fields {
            match field {
                None => body.extend_from_slice(&(-1i32).to_be_bytes()),
                Some(field) => {
                    body.extend_from_slice(&(field.len() as u32).to_be_bytes());
                    body.extend_from_slice(field.as_bytes());
                }
            }
        }
        body
    }

    fn check_with(format: CopyFormat, fields: &[Option<&str>], expected: &[u8]) {
        let names = ["a", "b", "c", "d"];
        let mut copy = copy_of(format, &names[..fields.len()], Charset::Utf8);
        let mut out = Vec::new();
        copy.put_raw_row(&body(fields), &mut out)
            .expect("it can be said");
        assert_eq!(
            String::from_utf8_lossy(&out[5..]),
            String::from_utf8_lossy(expected)
        );
    }

    fn check(kind: CopyKind, fields: &[Option<&str>], expected: &str) {
        check_with(CopyFormat::plain(kind), fields, expected.as_bytes());
    }

    #[test]
    fn quotes_can_be_forced() {
        let format = |force_quote| CopyFormat {
            force_quote,
            ..CopyFormat::plain(CopyKind::Csv)
        };
        let fields = [Some("x"), None, Some("1")];
        let named = CopyColumns::Named(vec!["c".into()]);
        check_with(format(named), &fields, b"x,,\"1\"\n");
        check_with(format(CopyColumns::All), &fields, b"\"x\",,\"1\"\n");
        let unknown = format(CopyColumns::Named(vec!["z".into()]));
        let failure = CopyOut::new(unknown, &["a"], Charset::Utf8).expect_err("no such column");
        assert_eq!(failure.code(), "42703");
    }

    #[test]
    fn lines_are_in_the_encoding_that_was_asked_for() {
        let mut format = CopyFormat::plain(CopyKind::Text);
        let mut copy = copy_of(format.clone(), &["a"], Charset::Latin1);
        let mut out = Vec::new();
        copy.put_raw_row(&body(&[Some("ä")]), &mut out)
            .expect("it can be said");
        assert_eq!(out, b"d\0\0\0\x06\xe4\n");
        format.encoding = Some("WIN1251".into());
        let mut copy = copy_of(format, &["a"], Charset::Latin1);
        let failure = copy
            .put_raw_row(&body(&[Some("ä")]), &mut out)
            .expect_err("not Cyrillic");
        assert_eq!(failure.code(), "22P05");
    }

    #[test]
    fn text_escapes_what_would_be_read_otherwise() {
        check(
            CopyKind::Text,
            &[Some("a\tb"), None, Some("c\\d\ne")],
            "a\\tb\t\\N\tc\\\\d\\ne\n",
        );
        check(CopyKind::Text, &[Some(""), Some("\u{1}")], "\t\u{1}\n");
    }

    /// A day, which need not be looked at unless the options make its signs mean something.
    fn check_day(format: CopyFormat, expected: &str) {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![19_724]));
        let layout = Layout {
            columns: vec![Column {
                name: "a".into(),
                pg_type: oid::DATE,
                typmod: -1,
                least_scale: 0,
                table_oid: 0,
                number: 0,
                data_type: DataType::Date32,
            }],
            forms: vec![Form::Text],
            style: Style::plain(Zone::UTC),
            charset: Charset::Utf8,
        };
        let batch = RecordBatch::try_from_iter([("a", days)]).expect("one column");
        let rows = Rows::new(&batch, &layout).expect("a type of the test");
        let mut out = Vec::new();
        copy_of(format, &["a"], Charset::Utf8)
            .put_row(&rows, 0, &mut out)
            .expect("it can be said");
        assert_eq!(String::from_utf8_lossy(&out[5..]), expected);
    }

    #[test]
    fn numbers_and_days_are_escaped_like_words_where_they_need_it() {
        let plain = CopyFormat::plain;
        check_day(plain(CopyKind::Text), "2024-01-02\n");
        check_day(plain(CopyKind::Csv), "2024-01-02\n");
        let format = |kind, delimiter| CopyFormat {
            delimiter,
            ..plain(kind)
        };
        check_day(format(CopyKind::Text, b'-'), "2024\\-01\\-02\n");
        check_day(format(CopyKind::Csv, b'-'), "\"2024-01-02\"\n");
        let format = CopyFormat {
            null: "2024-01-02".to_owned(),
            ..plain(CopyKind::Csv)
        };
        check_day(format, "\"2024-01-02\"\n");
        let format = CopyFormat {
            quote: b'0',
            ..plain(CopyKind::Csv)
        };
        check_day(format, "02\"024-\"01-\"020\n");
    }

    #[test]
    fn csv_tells_null_from_the_empty_text() {
        check(
            CopyKind::Csv,
            &[Some(""), None, Some("a,b"), Some("c\"d")],
            "\"\",,\"a,b\",\"c\"\"d\"\n",
        );
        check(CopyKind::Csv, &[Some("\\.")], "\"\\.\"\n");
    }

    #[test]
    fn the_binary_signature_travels_with_the_first_row() {
        let mut copy = copy_of(CopyFormat::plain(CopyKind::Binary), &[], Charset::Utf8);
        let mut out = Vec::new();
        copy.put_header(&[], &mut out).expect("a signature");
        copy.put_raw_row(b"\0\0", &mut out).expect("a tuple");
        copy.put_end(&mut out);
        let mut expected = b"d\0\0\0\x19".to_vec();
        expected.extend_from_slice(BINARY_START);
        expected.extend_from_slice(b"\0\0d\0\0\0\x06\xff\xff");
        assert_eq!(out, expected);
    }

    #[test]
    fn a_header_names_the_columns() {
        let mut out = Vec::new();
        let names = ["a", "b,c"];
        let format = CopyFormat {
            header: Header::Yes,
            ..CopyFormat::plain(CopyKind::Csv)
        };
        copy_of(format, &names, Charset::Utf8)
            .put_header(&names, &mut out)
            .expect("it can be said");
        assert_eq!(&out[5..], b"a,\"b,c\"\n");
    }
}
