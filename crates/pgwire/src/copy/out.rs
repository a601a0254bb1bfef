//! `COPY … TO STDOUT`: one CopyData message a row.

use rapport_engine::{Column, CopyFormat, CopyKind};

use super::{BINARY_END, BINARY_START};
use crate::rows::{Form, Rows};
use crate::wire;

/// How the rows of one COPY are written.
#[derive(Clone, Debug)]
pub struct CopyOut {
    format: CopyFormat,
    /// The binary signature travels in one message with what comes first, the way PostgreSQL sends it.
    signature: &'static [u8],
}

impl CopyOut {
    pub fn new(format: CopyFormat) -> Self {
        Self {
            format,
            signature: b"",
        }
    }

    /// What the columns have to be encoded as.
    pub fn form(&self) -> Form {
        match self.format.kind {
            CopyKind::Text | CopyKind::Csv => Form::Text,
            CopyKind::Binary => Form::Binary,
        }
    }

    pub fn put_start(&mut self, columns: &[Column], out: &mut Vec<u8>) {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        self.put_header(&names, out);
    }

    pub fn put_header(&mut self, names: &[&str], out: &mut Vec<u8>) {
        if self.format.kind == CopyKind::Binary {
            self.signature = BINARY_START;
        } else if self.format.header {
            self.put_line(out, |copy, out| {
                for (n, name) in names.iter().enumerate() {
                    if n > 0 {
                        out.push(copy.format.delimiter);
                    }
                    let start = out.len();
                    out.extend_from_slice(name.as_bytes());
                    copy.escape_field(out, start, names.len() == 1);
                }
            });
        }
    }

    pub fn put_row(&mut self, rows: &Rows<'_>, row: usize, out: &mut Vec<u8>) {
        if self.format.kind == CopyKind::Binary {
            self.put_binary(out, |out| rows.put_body(row, out));
            return;
        }
        let cells = rows.cells();
        self.put_line(out, |copy, out| {
            for (n, cell) in cells.iter().enumerate() {
                if n > 0 {
                    out.push(copy.format.delimiter);
                }
                if cell.is_null(row) {
                    out.extend_from_slice(copy.format.null.as_bytes());
                    continue;
                }
                let start = out.len();
                cell.put_text(row, out);
                copy.escape_field(out, start, cells.len() == 1);
            }
        });
    }

    /// A row that PostgreSQL has encoded: the body of a DataRow message.
    pub fn put_raw_row(&mut self, body: &[u8], out: &mut Vec<u8>) {
        if self.format.kind == CopyKind::Binary {
            self.put_binary(out, |out| out.extend_from_slice(body));
            return;
        }
        let fields = raw_fields(body);
        self.put_line(out, |copy, out| {
            for (n, field) in fields.iter().enumerate() {
                if n > 0 {
                    out.push(copy.format.delimiter);
                }
                match field {
                    None => out.extend_from_slice(copy.format.null.as_bytes()),
                    Some(field) => {
                        let start = out.len();
                        out.extend_from_slice(field);
                        copy.escape_field(out, start, fields.len() == 1);
                    }
                }
            }
        });
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

    fn put_line(&self, out: &mut Vec<u8>, line: impl FnOnce(&Self, &mut Vec<u8>)) {
        let start = wire::begin_message(out, b'd');
        line(self, out);
        out.push(b'\n');
        wire::end_message(out, start);
    }

    /// Makes what was written from `start` on a field of the format; most fields need no change.
    fn escape_field(&self, out: &mut Vec<u8>, start: usize, is_only: bool) {
        match self.format.kind {
            CopyKind::Text => self.escape_text(out, start),
            CopyKind::Csv => self.quote_csv(out, start, is_only),
            CopyKind::Binary => {}
        }
    }

    fn escape_text(&self, out: &mut Vec<u8>, start: usize) {
        let delimiter = self.format.delimiter;
        let needs = |byte: u8| byte < 0x0e || byte == b'\\' || byte == delimiter;
        if !out[start..].iter().any(|byte| needs(*byte)) {
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

    fn quote_csv(&self, out: &mut Vec<u8>, start: usize, is_only: bool) {
        let CopyFormat {
            delimiter,
            quote,
            escape,
            ..
        } = self.format;
        let field = &out[start..];
        // An unquoted field that reads like NULL, or like the end of the data, would be one.
        let needs = field == self.format.null.as_bytes()
            || (is_only && field == b"\\.")
            || field
                .iter()
                .any(|byte| *byte == delimiter || *byte == quote || matches!(byte, b'\n' | b'\r'));
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
    use super::*;

    fn format(kind: CopyKind) -> CopyFormat {
        CopyFormat {
            kind,
            delimiter: if kind == CopyKind::Csv { b',' } else { b'\t' },
            null: if kind == CopyKind::Csv {
                String::new()
            } else {
                "\\N".into()
            },
            quote: b'"',
            escape: b'"',
            header: true,
        }
    }

    fn check(kind: CopyKind, fields: &[Option<&str>], expected: &str) {
        let mut copy = CopyOut::new(format(kind));
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
        let mut out = Vec::new();
        copy.put_raw_row(&body, &mut out);
        assert_eq!(String::from_utf8_lossy(&out[5..]), expected);
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
        let mut copy = CopyOut::new(format(CopyKind::Binary));
        let mut out = Vec::new();
        copy.put_header(&[], &mut out);
        copy.put_raw_row(b"\0\0", &mut out);
        copy.put_end(&mut out);
        let mut expected = b"d\0\0\0\x19".to_vec();
        expected.extend_from_slice(BINARY_START);
        expected.extend_from_slice(b"\0\0d\0\0\0\x06\xff\xff");
        assert_eq!(out, expected);
    }

    #[test]
    fn a_header_names_the_columns() {
        let mut out = Vec::new();
        CopyOut::new(format(CopyKind::Csv)).put_header(&["a", "b,c"], &mut out);
        assert_eq!(&out[5..], b"a,\"b,c\"\n");
    }
}
