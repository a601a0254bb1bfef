//! One client of the process: its greeting, and its messages cut where PostgreSQL must answer.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// A frontend message may be at most this long.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;
/// A client that does not take its answer for this long is gone.
const SLOW_CLIENT: Duration = Duration::from_secs(10);

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const VERSION_3: u32 = 196_608;

pub(super) struct Client {
    pub(super) number: u64,
    said: Mutex<Said>,
    arrived: Condvar,
    stream: UnixStream,
}

#[derive(Default)]
struct Said {
    chunks: VecDeque<Vec<u8>>,
    /// It waits for its turn, or has it.
    is_queued: bool,
    is_gone: bool,
}

pub(super) enum Next {
    Chunk(Vec<u8>),
    Gone,
    Silent,
}

impl Client {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said
            .lock()
            .expect("no thread panics while it holds this lock")
    }

    /// Whether the client must be put into the queue for it.
    pub(super) fn push(&self, chunk: Vec<u8>) -> bool {
        let mut said = self.said();
        said.chunks.push_back(chunk);
        self.arrived.notify_one();
        !std::mem::replace(&mut said.is_queued, true)
    }

    pub(super) fn leave(&self) {
        self.said().is_gone = true;
        self.arrived.notify_one();
    }

    pub(super) fn next(&self, patience: Duration) -> Next {
        let waits = |said: &mut Said| !said.is_gone && said.chunks.is_empty();
        let (mut said, _) = self
            .arrived
            .wait_timeout_while(self.said(), patience, waits)
            .expect("no thread panics while it holds this lock");
        if said.is_gone {
            return Next::Gone;
        }
        said.chunks.pop_front().map_or(Next::Silent, Next::Chunk)
    }

    /// At the end of a turn: whether it must queue again.
    pub(super) fn has_more(&self) -> bool {
        let mut said = self.said();
        said.is_queued = !said.chunks.is_empty() && !said.is_gone;
        said.is_queued
    }

    /// Whether the client took it.
    pub(super) fn tell(&self, answer: &[u8]) -> bool {
        (&self.stream).write_all(answer).is_ok()
    }

    pub(super) fn hang_up(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Everything up to a message that PostgreSQL must answer before it reads on.
pub(super) struct Reader {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Reader {
    /// None when the client has left.
    pub(super) fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut looked_at = 0;
        loop {
            while let Some((kind, end)) = frame(&self.buffer, looked_at)? {
                match kind {
                    b'X' => return Ok(None),
                    // Query, Sync, Flush, FunctionCall and the messages of COPY.
                    b'Q' | b'S' | b'H' | b'F' | b'd' | b'c' | b'f' => {
                        return Ok(Some(self.buffer.drain(..end).collect()));
                    }
                    _ => looked_at = end,
                }
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 16 * 1024];
        let n = self.stream.read(&mut bytes)?;
        self.buffer.extend_from_slice(&bytes[..n]);
        Ok(n > 0)
    }

    /// The body of a packet without a type, as they come before the session.
    fn packet(&mut self) -> io::Result<Option<(u32, Vec<u8>)>> {
        loop {
            if self.buffer.len() >= 8 {
                let length = length_at(&self.buffer, 0);
                if !(8..=10_000).contains(&length) {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                if self.buffer.len() >= length {
                    let packet: Vec<u8> = self.buffer.drain(..length).collect();
                    let code = length_at(&packet, 4);
                    let code = u32::try_from(code).map_err(|_| io::ErrorKind::InvalidData)?;
                    return Ok(Some((code, packet[8..].to_vec())));
                }
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }
}

fn length_at(buffer: &[u8], at: usize) -> usize {
    let bytes = buffer[at..at + 4]
        .try_into()
        .expect("the slice has four bytes");
    u32::from_be_bytes(bytes) as usize
}

/// The kind and the end of the message that starts at `start`, once it is whole.
fn frame(buffer: &[u8], start: usize) -> io::Result<Option<(u8, usize)>> {
    if buffer.len() < start + 5 {
        return Ok(None);
    }
    let length = length_at(buffer, start + 1);
    if !(4..=MAX_MESSAGE).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let end = start + 1 + length;
    Ok((buffer.len() >= end).then_some((buffer[start], end)))
}

/// Answers the startup packet. None for a client that does not stay (a cancel request, a probe).
pub(super) fn greet(
    number: u64,
    stream: UnixStream,
    greeting: &[u8],
) -> io::Result<Option<(Client, Reader)>> {
    stream.set_write_timeout(Some(SLOW_CLIENT))?;
    let mut reader = Reader {
        stream: stream.try_clone()?,
        buffer: Vec::new(),
    };
    loop {
        match reader.packet()? {
            Some((SSL_REQUEST | GSS_REQUEST, _)) => (&stream).write_all(b"N")?,
            Some((VERSION_3, _)) => break,
            _ => return Ok(None),
        }
    }
    (&stream).write_all(greeting)?;
    let client = Client {
        number,
        said: Mutex::default(),
        arrived: Condvar::new(),
        stream,
    };
    Ok(Some((client, reader)))
}

/// AuthenticationOk, what drivers must know of the server, ReadyForQuery.
pub(super) fn greeting(server_version: &str) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, b'R', &0u32.to_be_bytes());
    for (name, value) in [
        ("server_version", server_version),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "UTC"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
    ] {
        message(&mut out, b'S', format!("{name}\0{value}\0").as_bytes());
    }
    message(&mut out, b'K', &[0; 8]);
    message(&mut out, b'Z', b"I");
    out
}

pub(super) fn idle_in_transaction() -> Vec<u8> {
    let mut out = Vec::new();
    let text = "terminating connection due to idle-in-transaction timeout";
    message(
        &mut out,
        b'E',
        format!("SFATAL\0VFATAL\0C25P03\0M{text}\0\0").as_bytes(),
    );
    out
}

fn message(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    let length = u32::try_from(body.len() + 4).expect("our own messages are short");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_by(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut theirs, ours) = UnixStream::pair().expect("a socket pair");
        theirs.write_all(bytes).expect("a short write");
        drop(theirs);
        let mut reader = Reader {
            stream: ours,
            buffer: Vec::new(),
        };
        std::iter::from_fn(|| reader.chunk().expect("whole messages")).collect()
    }

    fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        message(&mut out, kind, body);
        out
    }

    #[test]
    fn a_pipelined_extended_query_is_one_chunk_up_to_its_sync() {
        let parse = framed(b'P', b"\0select 1\0\0\0");
        let sync = framed(b'S', b"");
        let query = framed(b'Q', b"select 2\0");
        let chunks = said_by(&[parse.clone(), sync.clone(), query.clone()].concat());
        assert_eq!(chunks, [[parse, sync].concat(), query]);
    }

    #[test]
    fn a_torn_message_is_not_a_chunk() {
        let query = framed(b'Q', b"select 2\0");
        assert!(said_by(&query[..query.len() - 1]).is_empty());
    }
}
