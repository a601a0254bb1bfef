//! A client's statement about the catalogue: as its own role, with its own settings, read-only, bounded.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;

use crate::aside::PATIENCE;
use crate::catalogue::{Attempts, Catalogue, Settings};
use crate::connection::{Connection, keep_first, text};
use crate::error::{Error, ErrorFields, Result};
use crate::rewrite;
use crate::session;

/// The most that one statement may answer.
const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;
/// Whatever a statement reads has been locked for it when it is parsed; PostgreSQL's own relations have lower numbers.
const LOCKS: &str = "SELECT FROM pg_catalog.pg_locks
WHERE locktype = 'relation' AND relation >= 16384 AND pid = pg_catalog.pg_backend_pid()";

/// Rows PostgreSQL hands out at once, so that a large answer is noticed before it is made.
const ROWS_AT_ONCE: i32 = 5_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// One statement; the rows come as text.
    Simple(String),
    Extended {
        sql: String,
        /// 0 where PostgreSQL shall find out.
        param_types: Vec<u32>,
        params: Vec<Option<Bytes>>,
        param_formats: Vec<i16>,
        result_formats: Vec<i16>,
    },
    /// What parameters a statement takes and what columns it returns; it is not run.
    Describe { sql: String, param_types: Vec<u32> },
    /// The same of a statement that is run elsewhere, and may change rows.
    DescribeAny { sql: String, param_types: Vec<u32> },
}

#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub param_types: Vec<u32>,
    /// None for a statement that returns no rows.
    pub fields: Option<Vec<Field>>,
    /// Bodies of DataRow messages, to be forwarded as they are.
    pub rows: Vec<Bytes>,
    pub tag: String,
    pub notices: Vec<ErrorFields>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub table_oid: u32,
    pub column_id: i16,
    pub type_oid: u32,
    pub type_size: i16,
    pub type_modifier: i32,
    /// 0 text, 1 binary; as asked for.
    pub format: i16,
}

impl Request {
    /// SHOW: it asks for a setting as the client has made it.
    pub fn is_show(&self) -> bool {
        session::first_words(self.sql(), 1) == ["show"]
    }

    /// `SELECT 1`, or another small number: a client wants to know whether somebody answers. The answer is always the same.
    pub fn is_ping(&self) -> bool {
        let mut words = self.sql().split_ascii_whitespace();
        let (Some(select), Some(number), None) = (words.next(), words.next(), words.next()) else {
            return false;
        };
        select.eq_ignore_ascii_case("select")
            && number.len() < 10
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && self.param_types().is_empty()
    }

    fn sql(&self) -> &str {
        match self {
            Request::Simple(sql)
            | Request::Extended { sql, .. }
            | Request::Describe { sql, .. }
            | Request::DescribeAny { sql, .. } => sql,
        }
    }

    fn param_types(&self) -> &[u32] {
        match self {
            Request::Simple(_) => &[],
            Request::Extended { param_types, .. }
            | Request::Describe { param_types, .. }
            | Request::DescribeAny { param_types, .. } => param_types,
        }
    }
}

impl Catalogue {
    /// Runs one read-only statement as `as_role`. Dropping the future ends the statement.
    ///
    /// A statement that is not a query is judged by PostgreSQL (so its syntax error is the client's) and then refused.
    pub async fn relay(
        &self,
        as_role: &str,
        settings: &Settings,
        request: Request,
    ) -> Result<Reply> {
        self.relay_after(as_role, &[], settings, request).await
    }

    /// The same as if the definitions, each judged before and with its settings, had been made.
    pub async fn relay_after(
        &self,
        as_role: &str,
        earlier: &[(Settings, String)],
        settings: &Settings,
        request: Request,
    ) -> Result<Reply> {
        let bound = session::timeout(settings).map_or(self.statement_timeout(), |asked| {
            asked.min(self.statement_timeout())
        });
        let prologue = session::begin_after(as_role, earlier, settings)?;
        let patience = match self.is_embedded() {
            true => PATIENCE.min(bound),
            false => bound,
        };
        let started = Instant::now();
        let mut attempts = Attempts::default();
        loop {
            let result = self
                .relay_once(&prologue, &request, bound, patience, false)
                .await;
            if self.is_to_repeat(&result, &mut attempts) {
                continue;
            }
            let left = bound.saturating_sub(started.elapsed());
            return match result {
                Err(Error::TimedOut) if patience < bound && !left.is_zero() => {
                    self.relay_aside(&prologue, &request, left).await
                }
                result => result.map(|(reply, _)| reply),
            };
        }
    }

    /// What a statement takes and answers, and whether it reads a table or a view of the warehouse, none of which has
    /// a row here. It is not run.
    pub async fn judge(
        &self,
        as_role: &str,
        settings: &Settings,
        sql: String,
        param_types: Vec<u32>,
    ) -> Result<(Reply, bool)> {
        let prologue = session::begin(as_role, settings)?;
        let request = Request::Describe { sql, param_types };
        let bound = self.statement_timeout();
        let mut attempts = Attempts::default();
        loop {
            let result = self
                .relay_once(&prologue, &request, bound, bound, true)
                .await;
            if !self.is_to_repeat(&result, &mut attempts) {
                return result;
            }
        }
    }

    /// `bound` is for all of it, `patience` for when its turn has come.
    pub(crate) async fn relay_once(
        &self,
        prologue: &str,
        request: &Request,
        bound: Duration,
        patience: Duration,
        looks_at_locks: bool,
    ) -> Result<(Reply, bool)> {
        // Starting the child is not the statement's fault.
        let mut lease = self.lease().await?;
        let answer = async {
            // What follows runs as superuser unless all of this worked, so it waits for the answer.
            lease.query(prologue).await?;
            let reply = tokio::time::timeout(patience, answer(&mut lease, request))
                .await
                .unwrap_or(Err(Error::TimedOut))?;
            let found = match looks_at_locks {
                true => lease.query(LOCKS).await?,
                false => vec![],
            };
            Ok((reply, !found.is_empty()))
        };
        let result = tokio::time::timeout(bound, answer)
            .await
            .unwrap_or(Err(Error::TimedOut));
        match &result {
            // Dropping the connection ends the statement.
            Err(Error::Lost(_) | Error::TimedOut | Error::TooLarge { .. }) => {}
            _ => lease.roll_back().await,
        }
        result
    }

    /// What PostgreSQL makes of `SET name = value` (or `RESET name`, without a value) in a session with these settings:
    /// the value in its canonical form, or its refusal. Nothing is kept.
    pub async fn judge_setting(
        &self,
        as_role: &str,
        settings: &Settings,
        name: &str,
        value: Option<&str>,
    ) -> Result<String> {
        let set = match value {
            Some(value) => session::set(name, value)?,
            None => session::reset(name)?,
        };
        let begin = session::begin(as_role, settings)?;
        let sql = format!("{begin};{set};SHOW {}", session::name(name)?);
        let mut attempts = Attempts::default();
        loop {
            let mut lease = self.lease().await?;
            let shown = lease.query(&sql).await;
            if self.is_to_repeat(&shown, &mut attempts) {
                continue;
            }
            lease.roll_back().await;
            let shown = shown?
                .into_iter()
                .next()
                .and_then(|row| row.into_iter().next().flatten());
            return Ok(shown.unwrap_or_default());
        }
    }
}

async fn answer(connection: &mut Connection, request: &Request) -> Result<Reply> {
    let sql = rewrite::for_server(request.sql(), connection.server_version());
    let param_types = request.param_types().iter().copied();
    connection.put(|out| frontend::parse("", &sql, param_types, out))?;
    connection.put(|out| frontend::describe(b'S', "", out))?;
    let is_query = is_query(&sql);
    let mut result_formats = None;
    match request {
        Request::Describe { .. } | Request::DescribeAny { .. } => {}
        _ if !is_query => {}
        Request::Simple(_) => {
            bind(connection, &[], &[], &[])?;
            result_formats = Some(&[][..]);
        }
        Request::Extended {
            params,
            param_formats,
            result_formats: formats,
            ..
        } => {
            bind(connection, param_formats, params, formats)?;
            result_formats = Some(&formats[..]);
        }
    }
    if result_formats.is_some() {
        connection.put(|out| frontend::execute("", ROWS_AT_ONCE, out))?;
    }
    connection.put(|out| {
        frontend::sync(out);
        Ok(())
    })?;
    connection.send().await?;

    let mut reply = Reply::default();
    let mut n_bytes = 0;
    while collect(connection, &mut reply, &mut n_bytes).await? == Portal::Suspended {
        connection.put(|out| frontend::execute("", ROWS_AT_ONCE, out))?;
        connection.put(|out| {
            frontend::sync(out);
            Ok(())
        })?;
        connection.send().await?;
    }
    if let (Some(formats), Some(fields)) = (result_formats, &mut reply.fields) {
        for (i, field) in fields.iter_mut().enumerate() {
            field.format = if let [one] = formats {
                *one
            } else {
                formats.get(i).copied().unwrap_or(0)
            };
        }
    }
    if !is_query && !matches!(request, Request::DescribeAny { .. }) {
        return Err(Error::NotSupported(
            "this statement can't be run: over the catalogue only queries are (SELECT, VALUES, TABLE, WITH, SHOW, EXPLAIN)".into(),
        ));
    }
    Ok(reply)
}

fn bind(
    connection: &mut Connection,
    formats: &[i16],
    params: &[Option<Bytes>],
    result_formats: &[i16],
) -> Result<()> {
    connection.put(|out| {
        let write = |param: &Option<Bytes>, out: &mut bytes::BytesMut| match param {
            Some(param) => {
                out.extend_from_slice(param);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        };
        let formats = formats.iter().copied();
        let result_formats = result_formats.iter().copied();
        match frontend::bind("", "", formats, params, write, result_formats, out) {
            Ok(()) => Ok(()),
            Err(frontend::BindError::Serialization(error)) => Err(error),
            Err(frontend::BindError::Conversion(error)) => Err(std::io::Error::other(error)),
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Portal {
    Complete,
    Suspended,
}

/// Reads one answer, up to ReadyForQuery.
async fn collect(
    connection: &mut Connection,
    reply: &mut Reply,
    n_bytes: &mut usize,
) -> Result<Portal> {
    let mut portal = Portal::Complete;
    let mut failed = None;
    loop {
        let message = connection.receive().await?;
        match message.kind {
            b't' => reply.param_types = param_types(message.body),
            b'T' => reply.fields = Some(fields(message.body)),
            b'D' => {
                *n_bytes += message.body.len();
                if *n_bytes > MAX_REPLY_BYTES {
                    return Err(Error::TooLarge {
                        limit_bytes: MAX_REPLY_BYTES,
                    });
                }
                reply.rows.push(message.body);
            }
            b's' => portal = Portal::Suspended,
            b'C' => reply.tag = tag(&text(&message.body), reply.rows.len()),
            b'N' => reply.notices.push(ErrorFields::parse(&message.body)),
            b'E' => keep_first(&mut failed, &message.body),
            b'Z' => break,
            _ => {}
        }
    }
    failed.map_or(Ok(portal), Err)
}

/// The tag counts the rows of the last portion only.
fn tag(tag: &str, n_rows: usize) -> String {
    match tag.strip_prefix("SELECT ") {
        Some(_) => format!("SELECT {n_rows}"),
        None => tag.to_owned(),
    }
}

fn param_types(mut body: Bytes) -> Vec<u32> {
    let n = body.try_get_u16().unwrap_or(0);
    (0..n).map_while(|_| body.try_get_u32().ok()).collect()
}

fn fields(mut body: Bytes) -> Vec<Field> {
    let n = body.try_get_u16().unwrap_or(0);
    (0..n).map_while(|_| field(&mut body)).collect()
}

fn field(body: &mut Bytes) -> Option<Field> {
    let name = text(body);
    body.advance((name.len() + 1).min(body.len()));
    Some(Field {
        name,
        table_oid: body.try_get_u32().ok()?,
        column_id: body.try_get_i16().ok()?,
        type_oid: body.try_get_u32().ok()?,
        type_size: body.try_get_i16().ok()?,
        type_modifier: body.try_get_i32().ok()?,
        format: body.try_get_i16().ok()?,
    })
}

/// Whether the statement is of a kind that can only read, judging by its first word.
fn is_query(sql: &str) -> bool {
    const QUERIES: [&str; 6] = ["select", "values", "table", "with", "show", "explain"];
    let word = session::first_words(sql, 1);
    word.first()
        .is_some_and(|word| QUERIES.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_known_behind_comments_and_parentheses() {
        assert!(is_query("-- Looker\n/* a /* nested */ one */ ((SELECT 1))"));
        assert!(!is_query("/* select */ commit"));
        assert!(!is_query(""));
    }

    #[test]
    fn a_ping_is_a_small_number_and_nothing_else() {
        let is_ping = |sql: &str| Request::Simple(sql.to_owned()).is_ping();
        assert!(is_ping("SELECT 1") && is_ping("select\n42 "));
        for sql in [
            "SELECT",
            "SELECT 1 AS a",
            "SELECT -1",
            "SELECT 1,2",
            "SELECT 9999999999",
            "SHOW 1",
        ] {
            assert!(!is_ping(sql), "{sql}");
        }
    }
}
