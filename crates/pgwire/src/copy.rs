//! COPY's formats on the wire: text, csv and binary, out of the engine and into it.

pub mod input;
pub mod out;

/// What a binary COPY begins with: the signature, no flags, no extension.
const BINARY_START: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What a binary COPY ends with instead of a tuple.
const BINARY_END: [u8; 2] = (-1i16).to_be_bytes();
