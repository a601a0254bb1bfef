//! COPY's formats on the wire: text, csv and binary, out of the engine and into it.

use rapport_engine::{CopyFormat, CopyKind};

use crate::charset::Charset;
use crate::rows::Form;
use crate::sqlstate::{Failure, Result};

pub mod input;
pub mod out;

/// How the columns of a format are encoded.
pub fn form(kind: CopyKind) -> Form {
    match kind {
        CopyKind::Text | CopyKind::Csv => Form::Text,
        CopyKind::Binary => Form::Binary,
    }
}

/// The encoding that the statement names, or the client's.
fn charset(format: &CopyFormat, client: Charset) -> Result<Charset> {
    let charset = match &format.encoding {
        None => client,
        Some(name) => Charset::find(name)?.ok_or_else(|| {
            let message = "argument to option \"encoding\" must be a valid encoding name";
            Failure::new("22023", message)
        })?,
    };
    match (format.kind, charset) {
        (CopyKind::Text | CopyKind::Csv, _) | (CopyKind::Binary, Charset::Utf8) => Ok(charset),
        (CopyKind::Binary, _) => Err(Failure::not_supported(format!(
            "COPY in binary is not supported in encoding \"{}\"",
            charset.name()
        ))
        .with_hint("Use UTF8, or text or csv.")),
    }
}

/// Which of the columns an option names. 42703 if it names another one.
fn marked(columns: &[&str], named: &[String]) -> Result<Vec<bool>> {
    if let Some(unknown) = named.iter().find(|name| !columns.contains(&name.as_str())) {
        let message = format!("column \"{unknown}\" does not exist");
        return Err(Failure::new("42703", message));
    }
    Ok(columns
        .iter()
        .map(|column| named.iter().any(|name| name == column))
        .collect())
}

/// What a binary COPY begins with: the signature, no flags, no extension.
const BINARY_START: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What a binary COPY ends with instead of a tuple.
const BINARY_END: [u8; 2] = (-1i16).to_be_bytes();
