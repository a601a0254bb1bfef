//! Bytes → raw batches, one file at a time, in bounded memory.
//!
//! What is compressed and which format it is are told from the bytes, so that a `.csv` that is really gzip works.

mod bytes;
mod csv;
mod jsonl;
mod parquet;

use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::raw::RawBatch;
use crate::{Error, Format, Result, Source};

pub use bytes::Reading;

/// Rows in one batch. Larger ones cost memory, smaller ones time.
pub const BATCH_ROWS: usize = 16_384;
/// A batch of long rows ends before.
const BATCH_BYTES: usize = 32 << 20;
/// No row may be longer: a quote that is never closed must not swallow the memory.
const LONGEST_ROW_BYTES: u64 = 64 << 20;
/// JSON objects with more different keys than this are refused.
const MOST_COLUMNS: usize = 2_000;

/// Takes each batch; `Break` ends the decoding early.
pub type Sink<'a> = dyn FnMut(RawBatch) -> ControlFlow<()> + 'a;

/// `path` is the file on this machine, `name` what the user calls it.
pub fn decode(path: &Path, name: &Arc<str>, source: &Source, sink: &mut Sink) -> Result<()> {
    let mut reading = Reading::open(path, name)?;
    let is_parquet = reading.starts_with(b"PAR1")?;
    match (source.format, is_parquet) {
        (Some(Format::Parquet) | None, true) => parquet::decode(path, name, sink),
        (Some(Format::Parquet), false) => Err(Error::Format {
            file: name.to_string(),
            what: "is not a Parquet file".into(),
        }),
        (Some(_), true) => Err(Error::Format {
            file: name.to_string(),
            what: format!("is a Parquet file, but source {} reads text", source.name),
        }),
        (format, false) => {
            let count = reading.count();
            let mut text = reading.into_text(source.encoding)?;
            let format = match format {
                Some(format) => format,
                None => sniff(&mut text, name)?,
            };
            match format {
                Format::Jsonl => jsonl::decode(text, name, source, &count, sink),
                _ => csv::decode(text, name, source, &count, sink),
            }
        }
    }
}

/// JSON lines start with `{`.
fn sniff(text: &mut dyn BufRead, name: &Arc<str>) -> Result<Format> {
    let start = text
        .fill_buf()
        .map_err(|error| bytes::unreadable(name, error))?;
    if start.starts_with(b"PAR1") {
        return Err(Error::Format {
            file: name.to_string(),
            what: "is a Parquet file inside gzip or zstd; decompress it first".into(),
        });
    }
    Ok(
        match start.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Format::Jsonl,
            _ => Format::Csv,
        },
    )
}
