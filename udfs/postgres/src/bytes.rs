//! Bytes of a `bytea` by their number, and texts as bytes: `get_byte`, `set_byte`, `get_bit`, `set_bit`, `convert_from`,
//! `convert_to`. The one encoding of texts is UTF8.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    refusal::{not_supported, refuse},
    simple::{Call, Kind, Overload, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const fn of(
        takes: &'static [Kind],
        gives: Kind,
        work: fn(&Call) -> Result<ArrayRef>,
    ) -> Overload {
        Overload {
            takes,
            more: None,
            gives,
            work,
        }
    }
    const GET_BYTE: &[Overload] = &[of(&[Kind::Bytea, Kind::Int], Kind::Int4, get_byte)];
    const GET_BIT: &[Overload] = &[of(&[Kind::Bytea, Kind::Int], Kind::Int4, get_bit)];
    const SET_BYTE: &[Overload] = &[of(
        &[Kind::Bytea, Kind::Int, Kind::Int],
        Kind::Bytea,
        set_byte,
    )];
    const SET_BIT: &[Overload] = &[of(
        &[Kind::Bytea, Kind::Int, Kind::Int],
        Kind::Bytea,
        set_bit,
    )];
    const FROM: &[Overload] = &[of(&[Kind::Bytea, Kind::Text], Kind::Text, convert_from)];
    const TO: &[Overload] = &[of(&[Kind::Text, Kind::Text], Kind::Bytea, convert_to)];
    vec![
        simple(
            "get_byte",
            "get_byte(bytes, n)",
            "The byte with this number, from 0.",
            GET_BYTE,
        )
        .udf(),
        simple(
            "get_bit",
            "get_bit(bytes, n)",
            "The bit with this number, from 0, the lowest of each byte first.",
            GET_BIT,
        )
        .udf(),
        simple(
            "set_byte",
            "set_byte(bytes, n, value)",
            "The bytes with another one in this place.",
            SET_BYTE,
        )
        .udf(),
        simple(
            "set_bit",
            "set_bit(bytes, n, value)",
            "The bytes with another bit in this place.",
            SET_BIT,
        )
        .udf(),
        simple(
            "convert_from",
            "convert_from(bytes, encoding)",
            "The text that the bytes hold, in UTF8.",
            FROM,
        )
        .udf(),
        simple(
            "convert_to",
            "convert_to(text, encoding)",
            "The bytes of a text, in UTF8.",
            TO,
        )
        .udf(),
    ]
}

/// Which byte is meant.
fn place(n: i64, most: usize) -> Result<usize> {
    let found = usize::try_from(n).ok().filter(|at| *at < most);
    found.ok_or_else(|| {
        let last = most.checked_sub(1).map_or(-1, |last| last as i64);
        refuse("2202E", format!("index {n} out of valid range, 0..{last}"))
    })
}

fn get_byte(call: &Call) -> Result<ArrayRef> {
    call.ints(|row| {
        let (Some(bytes), Some(n)) = (call.bytes(0, row), call.int(1, row)) else {
            return Ok(None);
        };
        Ok(Some(i32::from(bytes[place(n, bytes.len())?])))
    })
}

fn get_bit(call: &Call) -> Result<ArrayRef> {
    call.ints(|row| {
        let (Some(bytes), Some(n)) = (call.bytes(0, row), call.int(1, row)) else {
            return Ok(None);
        };
        let at = place(n, bytes.len() * 8)?;
        Ok(Some(i32::from(bytes[at / 8] >> (at % 8) & 1)))
    })
}

fn set_byte(call: &Call) -> Result<ArrayRef> {
    call.byteas(|row| {
        let (Some(bytes), Some(n), Some(value)) =
            (call.bytes(0, row), call.int(1, row), call.int(2, row))
        else {
            return Ok(None);
        };
        let mut changed = bytes.to_vec();
        changed[place(n, bytes.len())?] = value.to_le_bytes()[0];
        Ok(Some(changed))
    })
}

fn set_bit(call: &Call) -> Result<ArrayRef> {
    call.byteas(|row| {
        let (Some(bytes), Some(n), Some(value)) =
            (call.bytes(0, row), call.int(1, row), call.int(2, row))
        else {
            return Ok(None);
        };
        let at = place(n, bytes.len() * 8)?;
        let bit = match value {
            0 => 0,
            1 => 1 << (at % 8),
            _ => return Err(refuse("22023", "new bit must be 0 or 1")),
        };
        let mut changed = bytes.to_vec();
        changed[at / 8] = changed[at / 8] & !(1 << (at % 8)) | bit;
        Ok(Some(changed))
    })
}

fn check_encoding(name: &str) -> Result<()> {
    let plain = |c: &char| c.is_ascii_alphanumeric();
    let name: String = name.chars().filter(plain).collect();
    match name.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => Ok(()),
        _ => Err(not_supported(
            format!("texts in the encoding {name} are not supported"),
            "Use UTF8.",
        )),
    }
}

fn convert_from(call: &Call) -> Result<ArrayRef> {
    let names = call.text(1);
    call.texts(|row, out| {
        let (Some(bytes), Some(name)) = (call.bytes(0, row), names.get(row)) else {
            return Ok(false);
        };
        check_encoding(name)?;
        let text = std::str::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| {
            let at = std::str::from_utf8(bytes).map_or_else(
                |error| error.valid_up_to(),
                |text| text.find('\0').unwrap_or(0),
            );
            refuse(
                "22021",
                format!(
                    "invalid byte sequence for encoding \"UTF8\": {:#04x}",
                    bytes[at]
                ),
            )
        })?;
        out.push_str(text);
        Ok(true)
    })
}

fn convert_to(call: &Call) -> Result<ArrayRef> {
    let (texts, names) = (call.text(0), call.text(1));
    call.byteas(|row| {
        let (Some(text), Some(name)) = (texts.get(row), names.get(row)) else {
            return Ok(None);
        };
        check_encoding(name)?;
        Ok(Some(text.as_bytes().to_vec()))
    })
}
