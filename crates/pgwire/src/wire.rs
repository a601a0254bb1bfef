//! Bytes to messages and back, over any stream.
//!
//! pgwire's decoders trust lengths and panic on frames that lie. So a frame is cut out of the input only after its
//! type and length have been checked, and is handed on only when every field in it ends where the frame ends.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use pgwire::messages::startup::{PasswordMessageFamily, SASLInitialResponse};
use pgwire::messages::{
    DecodeContext, PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::charset::Charset;
use crate::sqlstate::Failure;
use crate::tls::{Cipher, Identity, Transport};

/// Until the login is done, nothing a client may say is longer.
pub const LIMIT_BEFORE_LOGIN: usize = 16 << 10;

/// Output waits until this much is together, or until the client has to answer.
pub const FLUSH_AT: usize = 64 << 10;

/// While a statement runs, so much of what the client pipelines behind it is read ahead; reading is how a client
/// that has gone is noticed.
const READ_AHEAD: usize = 64 << 10;

/// What one read makes room for: at first, and for a client that sends much.
const LEAST_READ: usize = 4 << 10;
const MOST_READ: usize = 256 << 10;

/// The connection can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the connection was lost")]
    Io(#[from] io::Error),
    #[error("the client has closed the connection")]
    Closed,
    #[error("the client took no byte for too long")]
    Slow,
    /// 08P01
    #[error("{0}")]
    Protocol(String),
    /// 22021; the message itself came whole, so that the session can go on.
    #[error("the client has sent bytes that are no text")]
    Encoding {
        /// The kind of the message.
        kind: u8,
        failure: Box<Failure>,
    },
}

/// One client's stream, with what has been read but not understood and what has been said but not sent.
pub struct Wire<S> {
    stream: Transport<S>,
    input: BytesMut,
    output: BytesMut,
    limit: usize,
    /// What the next read makes room for.
    read_size: usize,
    write_timeout: Duration,
    context: DecodeContext,
    /// The client's encoding of text.
    pub charset: Charset,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S, write_timeout: Duration) -> Self {
        let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_2);
        context.awaiting_frontend_ssl = false;
        context.awaiting_frontend_startup = false;
        Self {
            stream: Transport::Plain(stream),
            input: BytesMut::new(),
            output: BytesMut::new(),
            limit: LIMIT_BEFORE_LOGIN,
            read_size: LEAST_READ,
            write_timeout,
            context,
            charset: Charset::default(),
        }
    }

    /// From now on messages may be this long.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Bytes that have arrived and nobody has asked for.
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// The first byte that has not been taken yet; `None` at a clean end.
    pub async fn first_byte(&mut self) -> Result<Option<u8>, Broken> {
        while self.input.is_empty() {
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
        Ok(self.input.first().copied())
    }

    /// Goes on in TLS; what has arrived and was not taken is the beginning of it.
    pub async fn encrypt(&mut self, identity: &Identity) -> Result<(), Broken> {
        let first = self.input.split().freeze();
        Ok(self.stream.encrypt(identity, first).await?)
    }

    pub fn is_encrypted(&self) -> bool {
        self.stream.is_encrypted()
    }

    /// How it is encrypted, if it is.
    pub fn cipher(&self) -> Option<Cipher> {
        self.stream.cipher()
    }

    /// Whether PostgreSQL's protocol was agreed on within TLS.
    pub fn has_alpn(&self) -> bool {
        self.stream.has_alpn()
    }

    /// The body of a packet without a type byte: its code and the rest. `None` at a clean end.
    pub async fn startup_packet(&mut self) -> Result<Option<BytesMut>, Broken> {
        loop {
            if self.input.len() >= 4 {
                let length = (&self.input[..4]).get_u32() as usize;
                if !(8..=10_000).contains(&length) {
                    return Err(Broken::Protocol("invalid length of startup packet".into()));
                }
                if self.input.len() >= length {
                    return Ok(Some(self.input.split_to(length)));
                }
            }
            if self.fill().await? == 0 {
                return match self.input.is_empty() {
                    true => Ok(None),
                    false => Err(Broken::Closed),
                };
            }
        }
    }

    /// The next message; `None` when the client closed the connection between two messages.
    pub async fn message(&mut self) -> Result<Option<PgWireFrontendMessage>, Broken> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(message));
            }
            if self.fill().await? == 0 {
                return match self.input.is_empty() {
                    true => Ok(None),
                    false => Err(Broken::Closed),
                };
            }
        }
    }

    /// The next message if it has arrived whole.
    pub fn buffered(&mut self) -> Result<Option<PgWireFrontendMessage>, Broken> {
        let Some(frame) = cut_frame(&mut self.input, self.limit)? else {
            return Ok(None);
        };
        let kind = frame[0];
        let mut frame = self
            .charset
            .decode_frame(frame)
            .map_err(|failure| Broken::Encoding {
                kind,
                failure: Box::new(failure),
            })?;
        check_frame(&frame)?;
        let malformed = || Broken::Protocol("invalid message format".into());
        let message = PgWireFrontendMessage::decode(&mut frame, &self.context)
            .map_err(|_| malformed())?
            .ok_or_else(malformed)?;
        Ok(Some(message))
    }

    /// Whether the client goes on with Sync, but for what it closes. Waits for its words: before Sync or Flush no client
    /// counts on an answer. May be dropped at any time.
    pub async fn is_at_sync(&mut self) -> Result<bool, Broken> {
        const LONGEST: usize = 10_000;
        let mut at = 0;
        loop {
            match self.input.get(at) {
                Some(b'S') => return Ok(true),
                Some(b'C') => {
                    if let Some(mut length) = self.input.get(at + 1..at + 5) {
                        at += 1 + (length.get_u32() as usize).clamp(4, LONGEST);
                        continue;
                    }
                }
                Some(_) => return Ok(false),
                None if at > LONGEST => return Ok(false),
                None => {}
            }
            if self.fill().await? == 0 {
                return Ok(false);
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        // An idle connection holds no buffer to speak of; one that sends much is read in large pieces.
        self.input.reserve(self.read_size);
        let n = self.stream.read_buf(&mut self.input).await?;
        if n >= self.read_size {
            self.read_size = (self.read_size * 2).min(MOST_READ);
        }
        Ok(n)
    }

    /// Ends only when the client has gone; what it sends meanwhile is kept for later. May be dropped at any time.
    pub async fn watch(&mut self) -> Broken {
        while self.input.len() < READ_AHEAD {
            match self.fill().await {
                Ok(0) => return Broken::Closed,
                Ok(_) => {}
                Err(error) => return error.into(),
            }
        }
        std::future::pending().await
    }

    pub fn put(&mut self, message: PgWireBackendMessage) {
        let before = self.output.len();
        if let Err(error) = message.encode(&mut self.output) {
            // Only a message that is longer than the protocol allows; half of it must not go out.
            tracing::error!(%error, "a message could not be encoded");
            self.output.truncate(before);
            return;
        }
        self.charset
            .encode_message(&message, &mut self.output, before);
    }

    /// Ready-made messages. Many, with nothing that waits before them, are sent from where they are.
    pub fn put_messages(&mut self, messages: Vec<u8>) {
        match self.output.is_empty() && messages.len() >= FLUSH_AT {
            true => self.output = Bytes::from(messages).into(),
            false => self.output.extend_from_slice(&messages),
        }
    }

    /// What `put` could not say: ready-made bytes.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    pub async fn flush(&mut self) -> Result<(), Broken> {
        let is_large = self.output.len() >= FLUSH_AT;
        while !self.output.is_empty() {
            let written = self.stream.write_buf(&mut self.output);
            match tokio::time::timeout(self.write_timeout, written).await {
                Ok(Ok(0)) => return Err(Broken::Closed),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(Broken::Slow),
            }
        }
        if is_large {
            // What is sent does not count as its capacity any more, and would stay.
            self.output = BytesMut::new();
        }
        match tokio::time::timeout(self.write_timeout, self.stream.flush()).await {
            Ok(flushed) => Ok(flushed?),
            Err(_) => Err(Broken::Slow),
        }
    }

    /// Flushes only when enough has come together.
    pub async fn flush_if_full(&mut self) -> Result<(), Broken> {
        if self.output.len() >= FLUSH_AT {
            self.flush().await?;
        }
        Ok(())
    }

    /// Says goodbye as far as the client listens.
    pub async fn close(&mut self) {
        let _ = self.flush().await;
        let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.shutdown()).await;
    }

    /// Frees the buffers of a session that waits, if a large message has left them large.
    pub fn shrink(&mut self) {
        if self.input.is_empty() && self.input.capacity() > READ_AHEAD {
            self.input = BytesMut::new();
            self.read_size = LEAST_READ;
        }
        if self.output.is_empty() && self.output.capacity() > FLUSH_AT {
            self.output = BytesMut::new();
        }
    }
}

/// Takes one whole frame, type byte included, off the input.
fn cut_frame(input: &mut BytesMut, limit: usize) -> Result<Option<BytesMut>, Broken> {
    let Some(&kind) = input.first() else {
        return Ok(None);
    };
    if !b"pQPBCDEHSXdfc".contains(&kind) {
        return Err(Broken::Protocol(format!(
            "invalid frontend message type {kind}"
        )));
    }
    if input.len() < 5 {
        return Ok(None);
    }
    let length = (&input[1..5]).get_u32() as usize;
    // The short kinds: pgwire allows them no more, and nobody needs it.
    let limit = match kind {
        b'Q' | b'P' | b'B' | b'd' => limit,
        _ => limit.min(10_000),
    };
    if length < 4 || length > limit {
        return Err(Broken::Protocol(format!(
            "invalid message length: {length} bytes, the limit is {limit}"
        )));
    }
    if input.len() < length + 1 {
        // One reservation instead of many doublings; bounded by the limit.
        input.reserve(length + 1 - input.len());
        return Ok(None);
    }
    Ok(Some(input.split_to(length + 1)))
}

/// Every field lies inside the frame, the last one ends with it, and text is UTF-8.
fn check_frame(frame: &[u8]) -> Result<(), Broken> {
    let mut fields = Fields {
        kind: frame[0],
        rest: &frame[5..],
    };
    let ok = match frame[0] {
        b'Q' | b'f' => fields.text()?,
        b'P' => fields.text()? && fields.text()? && fields.array(4),
        b'B' => {
            fields.text()?
                && fields.text()?
                && fields.array(2)
                && fields.values()
                && fields.array(2)
        }
        b'C' | b'D' => fields.skip(1) && fields.text()?,
        b'E' => fields.text()? && fields.skip(4),
        // Bodies without inner structure.
        b'd' | b'p' => return Ok(()),
        _ => true,
    };
    match ok && fields.rest.is_empty() {
        true => Ok(()),
        false => Err(Broken::Protocol("invalid message format".into())),
    }
}

struct Fields<'a> {
    kind: u8,
    rest: &'a [u8],
}

impl Fields<'_> {
    fn skip(&mut self, n: usize) -> bool {
        let fits = n <= self.rest.len();
        if fits {
            self.rest = &self.rest[n..];
        }
        fits
    }

    /// A string up to its zero byte.
    fn text(&mut self) -> Result<bool, Broken> {
        let Some(end) = memchr::memchr(0, self.rest) else {
            return Ok(false);
        };
        check_text(self.kind, &self.rest[..end])?;
        Ok(self.skip(end + 1))
    }

    fn count(&mut self) -> Option<usize> {
        let count = usize::from(u16::from_be_bytes(*self.rest.first_chunk()?));
        self.skip(2).then_some(count)
    }

    /// A count and as many elements of one size.
    fn array(&mut self, size: usize) -> bool {
        self.count().is_some_and(|count| self.skip(count * size))
    }

    /// A count and as many values, each with its length or -1 before it.
    fn values(&mut self) -> bool {
        let Some(count) = self.count() else {
            return false;
        };
        (0..count).all(|_| {
            let Some(length) = self.rest.first_chunk::<4>() else {
                return false;
            };
            let length = i32::from_be_bytes(*length);
            self.skip(4)
                && match length {
                    -1 => true,
                    _ => usize::try_from(length).is_ok_and(|length| self.skip(length)),
                }
        })
    }
}

/// Fails if the text of a message of this kind is not UTF-8.
pub fn check_text(kind: u8, text: &[u8]) -> Result<(), Broken> {
    match Charset::Utf8.decode(text) {
        Ok(_) => Ok(()),
        Err(failure) => Err(Broken::Encoding {
            kind,
            failure: Box::new(failure),
        }),
    }
}

/// The first SASL message, whose inner length pgwire would trust.
pub fn sasl_initial(message: PasswordMessageFamily) -> Option<SASLInitialResponse> {
    let PasswordMessageFamily::Raw(body) = &message else {
        return None;
    };
    let name = memchr::memchr(0, body)?;
    let length = i32::from_be_bytes(*body[name + 1..].first_chunk::<4>()?);
    let rest = body.len() - (name + 5);
    match length {
        -1 if rest == 0 => {}
        _ if usize::try_from(length) == Ok(rest) => {}
        _ => return None,
    }
    message.into_sasl_initial_response().ok()
}

/// Starts a message whose length is not known yet; [`end_message`] fills it in.
pub fn begin_message(out: &mut Vec<u8>, kind: u8) -> usize {
    out.put_u8(kind);
    out.put_u32(0);
    out.len() - 4
}

/// Writes the length of the message begun at `start`.
pub fn end_message(out: &mut [u8], start: usize) {
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8]) -> Result<Option<u8>, Broken> {
        let mut input = BytesMut::from(bytes);
        let Some(frame) = cut_frame(&mut input, 1 << 20)? else {
            return Ok(None);
        };
        check_frame(&frame)?;
        Ok(Some(frame[0]))
    }

    /// Feeds what the client might say and reads until the end or the first refusal.
    async fn read_all(bytes: Vec<u8>, startup: bool) {
        let (mut client, server) = tokio::io::duplex(1 << 10);
        let mut wire = Wire::new(server, Duration::from_secs(5));
        let read = async {
            if startup {
                while let Ok(Some(_)) = wire.startup_packet().await {}
            } else {
                while let Ok(Some(_)) = wire.message().await {}
            }
            drop(wire);
        };
        let write = async {
            // The reader may have had enough before the end.
            let _ = client.write_all(&bytes).await;
            drop(client);
        };
        tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(read, write) })
            .await
            .expect("reading never hangs");
    }

    #[tokio::test]
    async fn random_bytes_neither_panic_nor_hang() {
        for n in 0..2_000 {
            let bytes: Vec<u8> = std::iter::repeat_with(rand::random).take(n % 300).collect();
            read_all(bytes.clone(), true).await;
            read_all(bytes, false).await;
        }
    }

    #[tokio::test]
    async fn random_bodies_of_every_kind_neither_panic_nor_hang() {
        for n in 0..20_000usize {
            let kinds = b"pQPBCDEHSXdfc";
            let mut bytes = vec![kinds[n % kinds.len()]];
            let length = rand::random::<u8>() % 40;
            bytes.extend_from_slice(&(u32::from(length) + 4).to_be_bytes());
            // Small numbers, so that counts and lengths are plausible.
            bytes.extend(std::iter::repeat_with(|| rand::random::<u8>() % 5).take(length.into()));
            read_all(bytes, false).await;
        }
    }

    #[test]
    fn a_whole_query_is_taken() {
        assert_eq!(check(b"Q\0\0\0\x06a\0").expect("well formed"), Some(b'Q'));
    }

    #[test]
    fn half_a_message_is_waited_for() {
        assert_eq!(check(b"Q\0\0\0\x06a").expect("well formed so far"), None);
        assert_eq!(check(b"Q\0\0").expect("well formed so far"), None);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for bytes in [
            &b"Q\0\0\0\x03"[..],
            b"Q\xff\xff\xff\xff",
            b"Q\x7f\xff\xff\xff",
            b"Q\0\0\0\x06ab",
            b"S\0\0\0\x05x",
            b"B\0\0\0\x0c\0\0\0\0\0\0\xff\xff",
            b"B\0\0\0\x10\0\0\0\0\0\x01\0\0\0\x09\0\0",
            b"P\0\0\0\x08\0\0\0\x01",
            b"D\0\0\0\x04",
            b"E\0\0\0\x05\0",
            b"z\0\0\0\x04",
        ] {
            assert!(
                matches!(check(bytes), Err(Broken::Protocol(_))),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn text_that_is_not_utf8_has_its_own_error() {
        assert!(matches!(
            check(b"Q\0\0\0\x06\xff\0"),
            Err(Broken::Encoding { kind: b'Q', .. })
        ));
    }

    #[test]
    fn a_sasl_message_with_a_false_length_is_none() {
        let raw = |bytes: &[u8]| sasl_initial(PasswordMessageFamily::Raw(BytesMut::from(bytes)));
        assert!(raw(b"SCRAM-SHA-256\0\0\0\0\x03abc").is_some());
        assert!(raw(b"SCRAM-SHA-256\0\0\0\0\x09abc").is_none());
        assert!(raw(b"SCRAM-SHA-256\0\xff\xff\xff\xf0abc").is_none());
        assert!(raw(b"SCRAM-SHA-256").is_none());
        assert!(raw(b"SCRAM-SHA-256\0\0").is_none());
    }
}
