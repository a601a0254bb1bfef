//! `encode` and `decode`: bytes as hexadecimal, base64 or escaped text.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::ScalarUDF;

use crate::{
    refusal::refuse,
    simple::{Call, Kind, Overload, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const ENCODE: &[Overload] = &[Overload {
        takes: &[Kind::Bytea, Kind::Text],
        more: None,
        gives: Kind::Text,
        work: encode,
    }];
    const DECODE: &[Overload] = &[Overload {
        takes: &[Kind::Text, Kind::Text],
        more: None,
        gives: Kind::Bytea,
        work: decode,
    }];
    vec![
        simple(
            "encode",
            "encode(bytes, format)",
            "Bytes as text: hex, base64 or escape.",
            ENCODE,
        )
        .udf(),
        simple(
            "decode",
            "decode(text, format)",
            "Bytes from text: hex, base64 or escape.",
            DECODE,
        )
        .udf(),
    ]
}

enum Format {
    Hex,
    Base64,
    Escape,
}

fn format(name: &str) -> Result<Format> {
    match name.to_ascii_lowercase().as_str() {
        "hex" => Ok(Format::Hex),
        "base64" => Ok(Format::Base64),
        "escape" => Ok(Format::Escape),
        _ => Err(refuse(
            "22023",
            format!("unrecognized encoding: \"{name}\""),
        )),
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters of a line of base64.
const LINE: usize = 76;

fn encode(call: &Call) -> Result<ArrayRef> {
    let formats = call.text(1);
    call.strict_texts(|row, out| {
        let bytes = call.bytes(0, row).unwrap_or_default();
        match format(formats.of(row))? {
            Format::Hex => {
                for byte in bytes {
                    out.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
                    out.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
                }
            }
            Format::Base64 => {
                let mut in_line = 0;
                for three in bytes.chunks(3) {
                    if in_line == LINE {
                        out.push('\n');
                        in_line = 0;
                    }
                    in_line += 4;
                    let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
                    let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
                    for digit in 0..4 {
                        if digit > three.len() {
                            out.push('=');
                        } else {
                            let value = bits >> (18 - 6 * digit) & 63;
                            out.push(char::from(DIGITS[value as usize]));
                        }
                    }
                }
            }
            Format::Escape => {
                for byte in bytes {
                    match byte {
                        b'\\' => out.push_str("\\\\"),
                        0 | 0x80.. => out.push_str(&format!("\\{byte:03o}")),
                        byte => out.push(char::from(*byte)),
                    }
                }
            }
        }
        Ok(())
    })
}

fn decode(call: &Call) -> Result<ArrayRef> {
    let (texts, formats) = (call.text(0), call.text(1));
    call.byteas(|row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let text = texts.of(row);
        let bytes = match format(formats.of(row))? {
            Format::Hex => hex(text)?,
            Format::Base64 => base64(text)?,
            Format::Escape => escaped(text).ok_or_else(invalid_bytea)?,
        };
        Ok(Some(bytes))
    })
}

fn invalid_bytea() -> DataFusionError {
    refuse("22P02", "invalid input syntax for type bytea")
}

/// As PostgreSQL reads a bytea: `\x…`, or text with escapes.
pub fn bytea(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(digits) => hex(digits),
        None => escaped(text).ok_or_else(invalid_bytea),
    }
}

fn hex(text: &str) -> Result<Vec<u8>> {
    let mut digits = vec![];
    for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        let Some(digit) = c.to_digit(16) else {
            return Err(refuse(
                "22023",
                format!("invalid hexadecimal digit: \"{c}\""),
            ));
        };
        digits.push(digit as u8);
    }
    if !digits.len().is_multiple_of(2) {
        return Err(refuse(
            "22023",
            "invalid hexadecimal data: odd number of digits",
        ));
    }
    Ok(digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

fn base64(text: &str) -> Result<Vec<u8>> {
    let (mut bits, mut count, mut padding) = (0_u32, 0_u32, 0);
    let mut bytes = vec![];
    for c in text.chars() {
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        if c == '=' {
            padding += 1;
            count += 1;
            bits <<= 6;
            if count < 3 || padding > 2 {
                return Err(refuse(
                    "22023",
                    "unexpected \"=\" while decoding base64 sequence",
                ));
            }
        } else {
            let digit = DIGITS.iter().position(|digit| char::from(*digit) == c);
            let Some(digit) = digit.filter(|_| padding == 0) else {
                let message =
                    format!("invalid symbol \"{c}\" found while decoding base64 sequence");
                return Err(refuse("22023", message));
            };
            bits = bits << 6 | digit as u32;
            count += 1;
        }
        if count == 4 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
            (bits, count) = (0, 0);
        }
    }
    if count != 0 {
        return Err(crate::refusal::refuse_with_hint(
            "22023",
            "invalid base64 end sequence",
            "Input data is missing padding, is truncated, or is otherwise corrupted.",
        ));
    }
    Ok(bytes)
}

/// `None` if it is malformed.
fn escaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
        } else if tail.first() == Some(&b'\\') {
            bytes.push(b'\\');
            rest = &tail[1..];
        } else {
            let octal = tail.get(..3)?;
            if !octal.iter().all(|digit| (b'0'..=b'7').contains(digit)) || octal[0] > b'3' {
                return None;
            }
            bytes.push((octal[0] - b'0') << 6 | (octal[1] - b'0') << 3 | (octal[2] - b'0'));
            rest = &tail[3..];
        }
    }
    Some(bytes)
}
