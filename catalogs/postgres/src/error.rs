//! What can go wrong in the catalogue, as the caller can act on it.

use std::fmt;

use bytes::Bytes;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL refused; its own words.
    #[error("{0}")]
    Postgres(Box<ErrorFields>),

    /// The statement ran past its bound and was ended (57014).
    #[error("canceling statement due to statement timeout")]
    TimedOut,

    /// Valid SQL that the catalogue does not take from a client (0A000).
    #[error("{0}")]
    NotSupported(String),

    /// The answer is larger than the catalogue hands out (54000).
    #[error("the result of a catalogue query may hold at most {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },

    /// The catalogue's process or server went away while it worked (08006); asking again starts it again.
    #[error("the connection to the catalogue was lost")]
    Lost(#[source] std::io::Error),

    /// The catalogue's process did not start (58000).
    #[error("the catalogue in {dir} did not start: {what}")]
    NotStarted { dir: String, what: String },

    /// The server named by `catalog.url` can't be used (08001).
    #[error("the catalogue at {url} can't be used: {what}")]
    BadServer { url: String, what: String },
}

impl Error {
    /// The same for somebody else; of what lies behind a lost connection only its kind.
    pub fn retold(&self) -> Error {
        match self {
            Error::Postgres(fields) => Error::Postgres(fields.clone()),
            Error::TimedOut => Error::TimedOut,
            Error::NotSupported(what) => Error::NotSupported(what.clone()),
            Error::TooLarge { limit_bytes } => Error::TooLarge {
                limit_bytes: *limit_bytes,
            },
            Error::Lost(source) => Error::Lost(source.kind().into()),
            Error::NotStarted { dir, what } => Error::NotStarted {
                dir: dir.clone(),
                what: what.clone(),
            },
            Error::BadServer { url, what } => Error::BadServer {
                url: url.clone(),
                what: what.clone(),
            },
        }
    }

    /// The SQLSTATE if PostgreSQL gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Postgres(fields) => Some(&fields.code),
            _ => None,
        }
    }
}

/// An error or a notice, field by field as PostgreSQL gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorFields {
    pub severity: String,
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub position: Option<u32>,
    pub internal_position: Option<u32>,
    pub internal_query: Option<String>,
    pub where_: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub data_type: Option<String>,
    pub constraint: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub routine: Option<String>,
}

impl ErrorFields {
    /// From the body of an ErrorResponse or a NoticeResponse.
    pub(crate) fn parse(body: &Bytes) -> Self {
        let mut fields = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, text)) = field.split_first() else {
                continue;
            };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                // 'V' is 'S' in English, whatever lc_messages says.
                b'V' => fields.severity = text,
                b'S' if fields.severity.is_empty() => fields.severity = text,
                b'C' => fields.code = text,
                b'M' => fields.message = text,
                b'D' => fields.detail = Some(text),
                b'H' => fields.hint = Some(text),
                b'P' => fields.position = text.parse().ok(),
                b'p' => fields.internal_position = text.parse().ok(),
                b'q' => fields.internal_query = Some(text),
                b'W' => fields.where_ = Some(text),
                b's' => fields.schema = Some(text),
                b't' => fields.table = Some(text),
                b'c' => fields.column = Some(text),
                b'd' => fields.data_type = Some(text),
                b'n' => fields.constraint = Some(text),
                b'F' => fields.file = Some(text),
                b'L' => fields.line = text.parse().ok(),
                b'R' => fields.routine = Some(text),
                _ => {}
            }
        }
        fields
    }
}

impl fmt::Display for ErrorFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
