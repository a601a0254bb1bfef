//! A file's bytes: counted, decompressed, in UTF-8.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};

use crate::{Error, Result};

const BUFFER_BYTES: usize = 256 * 1024;

/// An open file, before anything is known of its content.
pub struct Reading {
    name: Arc<str>,
    file: BufReader<Counted<File>>,
}

/// Bytes read so far, as they lie on disk.
#[derive(Clone, Default)]
pub struct Count {
    total: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
}

impl Count {
    /// Those since the last call.
    pub fn take(&self) -> u64 {
        let total = self.total.load(Ordering::Relaxed);
        total - self.taken.swap(total, Ordering::Relaxed)
    }
}

struct Counted<R> {
    inner: R,
    count: Count,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.total.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

pub fn unreadable(name: &Arc<str>, source: std::io::Error) -> Error {
    match source.kind() {
        // What the decompressors say of bytes that they don't understand.
        std::io::ErrorKind::InvalidInput
        | std::io::ErrorKind::InvalidData
        | std::io::ErrorKind::UnexpectedEof => Error::Format {
            file: name.to_string(),
            what: format!("is damaged or cut off: {source}"),
        },
        _ => Error::Read {
            file: name.to_string(),
            source,
        },
    }
}

impl Reading {
    pub fn open(path: &Path, name: &Arc<str>) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::Read {
            file: name.to_string(),
            source,
        })?;
        let counted = Counted {
            inner: file,
            count: Count::default(),
        };
        Ok(Self {
            name: Arc::clone(name),
            file: BufReader::with_capacity(BUFFER_BYTES, counted),
        })
    }

    pub fn count(&self) -> Count {
        self.file.get_ref().count.clone()
    }

    pub fn starts_with(&mut self, magic: &[u8]) -> Result<bool> {
        Ok(peek(&mut self.file, &self.name)?.starts_with(magic))
    }

    /// Decompressed and in UTF-8, without a byte order mark. UTF-8 is not checked here, so that one bad row costs
    /// that row only.
    pub fn into_text(mut self, encoding: &'static Encoding) -> Result<Box<dyn BufRead>> {
        let start = peek(&mut self.file, &self.name)?;
        let plain: Box<dyn BufRead> = if start.starts_with(&[0x1f, 0x8b]) {
            Box::new(buffered(flate2::bufread::MultiGzDecoder::new(self.file)))
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let decoder = zstd::Decoder::with_buffer(self.file)
                .map_err(|error| unreadable(&self.name, error))?;
            Box::new(buffered(decoder))
        } else {
            Box::new(self.file)
        };
        without_mark(plain, encoding, &self.name)
    }
}

fn buffered<R: Read>(inner: R) -> BufReader<R> {
    BufReader::with_capacity(BUFFER_BYTES, inner)
}

fn peek<'a>(reader: &'a mut dyn BufRead, name: &Arc<str>) -> Result<&'a [u8]> {
    reader.fill_buf().map_err(|error| unreadable(name, error))
}

/// A byte order mark tells the encoding, whatever the source says.
fn without_mark(
    mut plain: Box<dyn BufRead>,
    encoding: &'static Encoding,
    name: &Arc<str>,
) -> Result<Box<dyn BufRead>> {
    let marked = Encoding::for_bom(peek(&mut plain, name)?);
    if let Some((_, length)) = marked {
        plain.consume(length);
    }
    let encoding = marked.map_or(encoding, |(encoding, _)| encoding);
    Ok(if encoding == UTF_8 {
        plain
    } else {
        Box::new(buffered(Transcoded {
            inner: plain,
            decoder: encoding.new_decoder_without_bom_handling(),
            finished: false,
        }))
    })
}

/// Text of another encoding as UTF-8.
struct Transcoded {
    inner: Box<dyn BufRead>,
    decoder: Decoder,
    finished: bool,
}

impl Read for Transcoded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // A character takes up to four bytes, and the decoder writes whole characters only.
        debug_assert!(buffer.len() >= 16);
        while !self.finished {
            let input = self.inner.fill_buf()?;
            let last = input.is_empty();
            let (result, read, written, _) = self.decoder.decode_to_utf8(input, buffer, last);
            self.inner.consume(read);
            self.finished = last && result == CoderResult::InputEmpty;
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}
