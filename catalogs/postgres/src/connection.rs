//! One connection to PostgreSQL: messages out, messages in, and simple questions of our own.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::{Error, ErrorFields, Result};

/// A socket of any kind.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

pub(crate) struct Connection {
    socket: Box<dyn Socket>,
    incoming: BytesMut,
    outgoing: BytesMut,
    user: String,
    server_version: u32,
    status: Status,
    /// Sent something whose answer is not complete.
    is_waiting: bool,
    /// For a cancel request: process and secret.
    pub(crate) key: (i32, i32),
}

/// A message from PostgreSQL: its type and its body.
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) body: Bytes,
}

/// Where a connection stands after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Idle,
    InTransaction,
    Failed,
}

/// Rows of text; a NULL is None.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

impl Connection {
    pub(crate) fn new(socket: Box<dyn Socket>, user: &str) -> Self {
        Self {
            socket,
            user: user.to_owned(),
            incoming: BytesMut::with_capacity(8 * 1024),
            outgoing: BytesMut::with_capacity(4 * 1024),
            server_version: 0,
            status: Status::Idle,
            is_waiting: false,
            key: (0, 0),
        }
    }

    /// The superuser who logged in.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// The major version, e.g. 17.
    pub(crate) fn server_version(&self) -> u32 {
        self.server_version
    }

    /// As of the last complete answer.
    pub(crate) fn status(&self) -> Status {
        if self.is_waiting {
            Status::Failed
        } else {
            self.status
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Queues a message of `postgres_protocol::message::frontend`.
    ///
    /// Fails only on text with a zero byte in it, which no PostgreSQL text may contain.
    pub(crate) fn put(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> Result<()> {
        write(&mut self.outgoing).map_err(|_| {
            Error::Postgres(Box::new(ErrorFields {
                severity: "ERROR".into(),
                code: "22021".into(),
                message: "invalid byte sequence for encoding \"UTF8\": 0x00".into(),
                ..ErrorFields::default()
            }))
        })
    }

    /// Sends what was queued.
    pub(crate) async fn send(&mut self) -> Result<()> {
        self.is_waiting = true;
        let sent = self.socket.write_all(&self.outgoing).await;
        self.outgoing.clear();
        sent.map_err(Error::Lost)
    }

    /// The next message, whatever it is.
    pub(crate) async fn receive(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = self.take() {
                self.note(&message);
                return Ok(message);
            }
            let n = self
                .socket
                .read_buf(&mut self.incoming)
                .await
                .map_err(Error::Lost)?;
            if n == 0 {
                return Err(Error::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn take(&mut self) -> Option<Message> {
        let (head, _) = self.incoming.split_first_chunk::<5>()?;
        let kind = head[0];
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if self.incoming.len() < 1 + length {
            self.incoming.reserve(1 + length - self.incoming.len());
            return None;
        }
        let mut whole = self.incoming.split_to(1 + length);
        whole.advance(5);
        Some(Message {
            kind,
            body: whole.freeze(),
        })
    }

    fn note(&mut self, message: &Message) {
        match message.kind {
            b'S' => {
                if let Some(version) = message.body.strip_prefix(b"server_version\0") {
                    let digits: String = version
                        .iter()
                        .take_while(|byte| byte.is_ascii_digit())
                        .map(|byte| char::from(*byte))
                        .collect();
                    self.server_version = digits.parse().unwrap_or(0);
                }
            }
            b'Z' => {
                self.status = status(&message.body);
                self.is_waiting = false;
            }
            b'K' => {
                let mut body = message.body.clone();
                if body.len() >= 8 {
                    self.key = (body.get_i32(), body.get_i32());
                }
            }
            _ => {}
        }
    }

    /// Runs statements of our own and returns the rows of the last one that has any.
    ///
    /// The first error is returned when the answer is complete, so the connection can go on.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Rows> {
        let (rows, _) = self.run(sql, &mut Vec::new()).await?;
        Ok(rows)
    }

    /// Runs statements; notices go to `notices`, the last command tag comes back with the rows.
    pub(crate) async fn run(
        &mut self,
        sql: &str,
        notices: &mut Vec<ErrorFields>,
    ) -> Result<(Rows, String)> {
        self.put(|out| frontend::query(sql, out))?;
        self.send().await?;
        let mut rows = Rows::new();
        let mut tag = String::new();
        let mut failed = None;
        loop {
            let message = self.receive().await?;
            match message.kind {
                b'T' => rows.clear(),
                b'D' => rows.push(row(message.body)),
                b'C' => tag = text(&message.body),
                b'N' => notices.push(ErrorFields::parse(&message.body)),
                b'E' => keep_first(&mut failed, &message.body),
                b'Z' => break,
                _ => {}
            }
        }
        failed.map_or(Ok((rows, tag)), Err)
    }
}

pub(crate) fn keep_first(failed: &mut Option<Error>, body: &Bytes) {
    if failed.is_none() {
        *failed = Some(Error::Postgres(Box::new(ErrorFields::parse(body))));
    }
}

/// What ReadyForQuery says.
fn status(body: &Bytes) -> Status {
    match body.first() {
        Some(b'I') => Status::Idle,
        Some(b'T') => Status::InTransaction,
        _ => Status::Failed,
    }
}

/// The zero-terminated text of a body.
pub(crate) fn text(body: &Bytes) -> String {
    let end = body
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(body.len());
    String::from_utf8_lossy(&body[..end]).into_owned()
}

fn row(mut body: Bytes) -> Vec<Option<String>> {
    let n = body.try_get_u16().unwrap_or(0);
    let value = |body: &mut Bytes| {
        let length = usize::try_from(body.try_get_i32().ok()?).ok()?;
        let value = (length <= body.len()).then(|| body.split_to(length))?;
        Some(String::from_utf8_lossy(&value).into_owned())
    };
    (0..n).map(|_| value(&mut body)).collect()
}
