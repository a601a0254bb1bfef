//! Text in the encoding that the client asked for. Everything in here is UTF-8; what comes and goes is converted.
//!
//! The encodings with one byte a character that a Windows or an older Unix terminal may have; psql asks for the one of
//! its terminal by itself. Others are refused.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use encoding_rs::Encoding;
use pgwire::messages::PgWireBackendMessage;

use crate::rows::Form;
use crate::sqlstate::{Failure, Result};
use crate::statement::ColumnInfo;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    #[default]
    Utf8,
    /// The first 256 characters of Unicode, each as one byte.
    Latin1,
    Table(&'static str, &'static Encoding),
}

/// PostgreSQL's other encodings.
const NOT_OURS: [&str; 20] = [
    "big5",
    "euccn",
    "eucjis2004",
    "eucjp",
    "euckr",
    "euctw",
    "gb18030",
    "gbk",
    "iso88599",
    "johab",
    "koi8u",
    "latin5",
    "mskanji",
    "muleinternal",
    "shiftjis",
    "shiftjis2004",
    "sjis",
    "uhc",
    "win936",
    "win949",
];

impl Charset {
    /// By PostgreSQL's name of it or one of its other names; `None` if there is none of the name. 0A000 if it is one
    /// that we do not have.
    pub fn find(name: &str) -> Result<Option<Self>> {
        match Self::parse(name) {
            Some(charset) => Ok(Some(charset)),
            None if NOT_OURS.contains(&plain(name).as_str()) => Err(Failure::not_supported(
                format!("encoding \"{name}\" is not supported"),
            )
            .with_hint("Use UTF8, or one of those with one byte a character.")),
            None => Ok(None),
        }
    }

    /// `None` if it is not one of ours.
    pub fn parse(name: &str) -> Option<Self> {
        let plain = plain(name);
        let table = |name, encoding| Some(Charset::Table(name, encoding));
        match plain.as_str() {
            // Without an encoding of its own, the client gets what is there.
            "utf8" | "unicode" | "sqlascii" => Some(Charset::Utf8),
            "latin1" | "iso88591" => Some(Charset::Latin1),
            "latin2" | "iso88592" => table("LATIN2", encoding_rs::ISO_8859_2),
            "latin3" | "iso88593" => table("LATIN3", encoding_rs::ISO_8859_3),
            "latin4" | "iso88594" => table("LATIN4", encoding_rs::ISO_8859_4),
            "latin6" | "iso885910" => table("LATIN6", encoding_rs::ISO_8859_10),
            "latin7" | "iso885913" => table("LATIN7", encoding_rs::ISO_8859_13),
            "latin8" | "iso885914" => table("LATIN8", encoding_rs::ISO_8859_14),
            "latin9" | "iso885915" => table("LATIN9", encoding_rs::ISO_8859_15),
            "latin10" | "iso885916" => table("LATIN10", encoding_rs::ISO_8859_16),
            "iso88595" => table("ISO_8859_5", encoding_rs::ISO_8859_5),
            "iso88596" => table("ISO_8859_6", encoding_rs::ISO_8859_6),
            "iso88597" => table("ISO_8859_7", encoding_rs::ISO_8859_7),
            "iso88598" => table("ISO_8859_8", encoding_rs::ISO_8859_8),
            "win1250" | "windows1250" => table("WIN1250", encoding_rs::WINDOWS_1250),
            "win" | "win1251" | "windows1251" => table("WIN1251", encoding_rs::WINDOWS_1251),
            "win1252" | "windows1252" => table("WIN1252", encoding_rs::WINDOWS_1252),
            "win1253" | "windows1253" => table("WIN1253", encoding_rs::WINDOWS_1253),
            "win1254" | "windows1254" => table("WIN1254", encoding_rs::WINDOWS_1254),
            "win1255" | "windows1255" => table("WIN1255", encoding_rs::WINDOWS_1255),
            "win1256" | "windows1256" => table("WIN1256", encoding_rs::WINDOWS_1256),
            "win1257" | "windows1257" => table("WIN1257", encoding_rs::WINDOWS_1257),
            "abc" | "tcvn" | "tcvn5712" | "vscii" | "win1258" | "windows1258" => {
                table("WIN1258", encoding_rs::WINDOWS_1258)
            }
            "alt" | "win866" | "windows866" => table("WIN866", encoding_rs::IBM866),
            "win874" | "windows874" => table("WIN874", encoding_rs::WINDOWS_874),
            "koi8" | "koi8r" => table("KOI8R", encoding_rs::KOI8_R),
            _ => None,
        }
    }

    /// As PostgreSQL calls it.
    pub fn name(self) -> &'static str {
        match self {
            Charset::Utf8 => "UTF8",
            Charset::Latin1 => "LATIN1",
            Charset::Table(name, _) => name,
        }
    }

    /// 22021 if the bytes are not text of this encoding.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>> {
        self.read(bytes).ok_or_else(|| self.invalid(bytes))
    }

    fn read(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Charset::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Charset::Latin1 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Charset::Table(_, encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(bytes)
                .filter(|text| !text.contains(|c| self.is_filler(c))),
        }
    }

    fn invalid(self, bytes: &[u8]) -> Failure {
        let bad = match std::str::from_utf8(bytes) {
            Err(error) if self == Charset::Utf8 => {
                let start = error.valid_up_to();
                let end = start + error.error_len().unwrap_or(bytes.len() - start);
                &bytes[start..end]
            }
            _ => bytes
                .chunks(1)
                .find(|byte| self.read(byte).is_none())
                .unwrap_or(bytes),
        };
        let name = self.name();
        Failure::new(
            "22021",
            format!(
                "invalid byte sequence for encoding \"{name}\": {}",
                hex(bad)
            ),
        )
    }

    /// encoding_rs gives the bytes that Windows leaves unused a meaning, PostgreSQL does not.
    fn is_filler(self, c: char) -> bool {
        self.name().starts_with("WIN") && matches!(c, '\u{80}'..='\u{9f}')
    }

    fn byte_of(self, c: char) -> Option<u8> {
        if c.is_ascii() {
            return Some(c as u8);
        }
        match self {
            Charset::Utf8 => None,
            Charset::Latin1 => u8::try_from(c).ok(),
            Charset::Table(_, encoding) => {
                let mut utf8 = [0; 4];
                let (bytes, _, is_lossy) = encoding.encode(c.encode_utf8(&mut utf8));
                match bytes.as_ref() {
                    [byte] if !is_lossy && !self.is_filler(c) => Some(*byte),
                    _ => None,
                }
            }
        }
    }

    /// 22P05 if it has no word for a character.
    pub fn encode(self, text: &str, out: &mut Vec<u8>) -> Result<()> {
        if self == Charset::Utf8 {
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        for c in text.chars() {
            out.push(self.byte_of(c).ok_or_else(|| {
                let mut utf8 = [0; 4];
                let bytes = hex(c.encode_utf8(&mut utf8).as_bytes());
                let name = self.name();
                Failure::new(
                    "22P05",
                    format!(
                        "character with byte sequence {bytes} in encoding \"UTF8\" has no equivalent in encoding \"{name}\""
                    ),
                )
            })?);
        }
        Ok(())
    }

    /// The values of a row, its body as in a DataRow message, in this encoding. `is_text` tells which of them are text.
    pub fn encode_row(self, body: &[u8], is_text: &[bool], out: &mut Vec<u8>) -> Result<()> {
        if self == Charset::Utf8 || body.is_ascii() {
            out.extend_from_slice(body);
            return Ok(());
        }
        let (count, mut rest) = body.split_at(2);
        out.extend_from_slice(count);
        for is_text in is_text {
            let Some((length, tail)) = rest.split_first_chunk::<4>() else {
                break;
            };
            let field = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            let (field, tail) = tail.split_at(field.min(tail.len()));
            rest = tail;
            match std::str::from_utf8(field) {
                Ok(text) if *is_text && !text.is_ascii() => {
                    let start = out.len();
                    out.extend_from_slice(&[0; 4]);
                    self.encode(text, out)?;
                    let length = (out.len() - start - 4) as u32;
                    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
                }
                _ => {
                    out.extend_from_slice(length);
                    out.extend_from_slice(field);
                }
            }
        }
        Ok(())
    }

    /// A whole message that has been encoded at the end of `out`, from `start` on.
    pub fn encode_message(self, message: &PgWireBackendMessage, out: &mut BytesMut, start: usize) {
        if self == Charset::Utf8 || out[start..].is_ascii() {
            return;
        }
        let plain = out.split_off(start);
        let kind = plain[0];
        let mut body = Vec::with_capacity(plain.len());
        match message {
            PgWireBackendMessage::RowDescription(_) => {
                body.extend_from_slice(&plain[5..7]);
                let mut rest = &plain[7..];
                while let Some(end) = memchr::memchr(0, rest) {
                    self.encode_lossy(&rest[..end], &mut body);
                    // Six numbers stand behind each name.
                    let next = (end + 1 + 18).min(rest.len());
                    body.extend_from_slice(&rest[end..next]);
                    rest = &rest[next..];
                }
            }
            PgWireBackendMessage::ErrorResponse(_)
            | PgWireBackendMessage::NoticeResponse(_)
            | PgWireBackendMessage::CommandComplete(_)
            | PgWireBackendMessage::ParameterStatus(_) => self.encode_lossy(&plain[5..], &mut body),
            _ => body.extend_from_slice(&plain[5..]),
        }
        out.put_u8(kind);
        out.put_u32(body.len() as u32 + 4);
        out.extend_from_slice(&body);
    }

    /// Where an error would be about the error: what can't be said becomes a question mark.
    fn encode_lossy(self, text: &[u8], out: &mut Vec<u8>) {
        out.extend(
            String::from_utf8_lossy(text)
                .chars()
                .map(|c| self.byte_of(c).unwrap_or(b'?')),
        );
    }

    /// A frame of the client with its texts in UTF-8: all of a query, names elsewhere. Values are converted when it is
    /// known which of them are text.
    pub fn decode_frame(self, frame: BytesMut) -> Result<BytesMut> {
        if self == Charset::Utf8 || frame.is_ascii() {
            return Ok(frame);
        }
        let (before, n_texts) = match frame[0] {
            b'Q' | b'f' | b'E' => (5, 1),
            b'P' | b'B' => (5, 2),
            b'C' | b'D' => (6, 1),
            _ => return Ok(frame),
        };
        let mut decoded = BytesMut::with_capacity(frame.len() * 2);
        let (head, mut rest) = frame.split_at(before.min(frame.len()));
        decoded.extend_from_slice(head);
        for _ in 0..n_texts {
            let end = memchr::memchr(0, rest).unwrap_or(rest.len());
            decoded.extend_from_slice(self.decode(&rest[..end])?.as_bytes());
            let next = (end + 1).min(rest.len());
            decoded.extend_from_slice(&rest[end..next]);
            rest = &rest[next..];
        }
        decoded.extend_from_slice(rest);
        let length = (decoded.len() - 1) as u32;
        decoded[1..5].copy_from_slice(&length.to_be_bytes());
        Ok(decoded)
    }
}

/// Which columns of a result are text on the wire; 0A000 if one is text in parts only.
pub fn text_columns(columns: &[ColumnInfo], forms: &[Form]) -> Result<Vec<bool>> {
    columns
        .iter()
        .zip(forms)
        .map(|(column, form)| match form {
            Form::Text => Ok(true),
            Form::Binary => column.is_text_in_binary().ok_or_else(|| {
                Failure::not_supported(
                    "arrays and rows in binary are supported with client_encoding UTF8 only",
                )
                .with_hint("SET client_encoding TO UTF8, or ask for texts.")
            }),
        })
        .collect()
}

/// Names are compared without regard to case and punctuation.
fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, bytes: &[u8]) {
        let charset = Charset::parse(name).expect("an encoding of the test");
        let mut encoded = Vec::new();
        charset.encode(text, &mut encoded).expect("it can be said");
        assert_eq!(encoded, bytes, "{name}");
        assert_eq!(
            charset.decode(bytes).expect("it can be read"),
            text,
            "{name}"
        );
    }

    #[test]
    fn text_goes_there_and_back() {
        check("UTF8", "zażółć", "zażółć".as_bytes());
        check("LATIN1", "Käse \u{80}", b"K\xe4se \x80");
        check("LATIN2", "łódź", b"\xb3\xf3d\xbc");
        check("latin9", "€", b"\xa4");
        check("WIN1250", "łódź €", b"\xb3\xf3d\x9f \x80");
        check("windows-1251", "да", b"\xe4\xe0");
        check("WIN1252", "€", b"\x80");
        check("KOI8-R", "да", b"\xc4\xc1");
        check("WIN866", "да", b"\xa4\xa0");
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let refused = |name: &str, text: &str| {
            let charset = Charset::parse(name).expect("an encoding of the test");
            charset.encode(text, &mut Vec::new()).expect_err(text)
        };
        let failure = refused("LATIN1", "a€");
        assert_eq!(failure.code(), "22P05");
        assert_eq!(
            failure.message(),
            "character with byte sequence 0xe2 0x82 0xac in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\""
        );
        assert_eq!(refused("WIN1252", "\u{81}").code(), "22P05");
        let win1252 = Charset::parse("WIN1252").expect("known");
        let failure = win1252.decode(b"ab\x81c").expect_err("unused");
        assert_eq!(
            failure.message(),
            "invalid byte sequence for encoding \"WIN1252\": 0x81"
        );
        assert_eq!(
            Charset::find("EUC_JP").expect_err("not ours").code(),
            "0A000"
        );
        assert_eq!(Charset::find("EBCDIC").expect("nobody's"), None);
    }

    #[test]
    fn rows_are_converted_value_by_value() {
        let latin1 = Charset::Latin1;
        let mut body = b"\0\x03\0\0\0\x02\xc3\xa4\xff\xff\xff\xff\0\0\0\x02\xc3\xa4".to_vec();
        let mut out = Vec::new();
        latin1
            .encode_row(&body, &[true, true, false], &mut out)
            .expect("it can be said");
        assert_eq!(
            out,
            b"\0\x03\0\0\0\x01\xe4\xff\xff\xff\xff\0\0\0\x02\xc3\xa4"
        );
        body.truncate(8);
        out.clear();
        latin1.encode_row(&body, &[true], &mut out).expect("short");
    }

    #[test]
    fn frames_are_converted_where_they_are_text() {
        let frame = BytesMut::from(&b"B\0\0\0\x11p\xe4\0s\xe4\0\0\0\0\x01\xe4\0\0"[..]);
        let decoded = Charset::Latin1.decode_frame(frame).expect("text");
        assert_eq!(
            decoded.as_ref(),
            b"B\0\0\0\x13p\xc3\xa4\0s\xc3\xa4\0\0\0\0\x01\xe4\0\0"
        );
    }
}
