//! Runs portals: rows from the engine or from PostgreSQL to the client, COPY in both directions.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use pgwire::messages::extendedquery::PortalSuspended;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use rapport_catalog_postgres::Request;
use rapport_engine::{Column, CopyFormat, CopyIn, Outcome, Prepared};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::calls::{Call, Given};
use crate::charset::{self, Charset};
use crate::connection::{Client, Run, Stop};
use crate::copy::{
    self,
    input::{self, Input},
    out::{CopyOut, raw_fields},
};
use crate::lexer;
use crate::own_views::{self, CursorRow, Own, PreparedRow};
use crate::pump::{Answer, Encoding, Pump};
use crate::registry::Signal;
use crate::rows::{Form, Layout};
use crate::sqlstate::{self, Failure};
use crate::statement::{
    ColumnInfo, Completion, Declared, Forms, Kind, Portal, Progress, Source, Statement, Values,
    describe,
};
use crate::style::Style;
use crate::wire;

/// What happens to rows on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// As they are asked for: the client has been told the columns.
    Plain,
    /// After a description of the columns: the simple protocol.
    Described,
    /// Nowhere: MOVE.
    Skipped,
}

/// Pieces of a COPY that may wait for the engine.
const COPY_WAITING: usize = 4;

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Runs a portal for up to `limit` more rows.
    pub async fn run_portal(
        &mut self,
        run: &Run,
        portal: &mut Portal,
        limit: u64,
        rows: Rows,
    ) -> Result<Completion, Stop> {
        let statement = portal.statement.clone();
        self.check_block(match &statement.kind {
            Kind::Command(command) => Some(command),
            _ => None,
        })?;
        if matches!(portal.progress, Progress::New) {
            if statement.is_query() {
                self.transaction.note_query();
            }
            match &statement.kind {
                Kind::Empty => return Ok(Completion::Empty),
                Kind::Command(command) => {
                    portal.progress = Progress::Ended;
                    return Box::pin(self.run_command(run, command, &portal.forms, rows)).await;
                }
                Kind::Declare {
                    name,
                    hold,
                    is_binary,
                    goes_forward,
                    query,
                    text,
                } => {
                    portal.progress = Progress::Ended;
                    let mut cursor =
                        Portal::new(query.clone(), portal.values.clone(), Forms::default());
                    cursor.cursor = Some(Declared {
                        hold: *hold,
                        is_binary: *is_binary,
                        goes_forward: *goes_forward,
                        is_in_block: true,
                    });
                    cursor.source = Some(Source::new(text, true));
                    return self.declare(run, name, cursor).await;
                }
                Kind::CatalogueCopy { query, format } => {
                    portal.progress = Progress::Ended;
                    return self
                        .copy_catalogue(run, query.clone(), format.clone())
                        .await;
                }
                Kind::Catalogue { sql, calls, .. } => {
                    self.ask_catalogue(run, portal, sql.clone(), &statement)
                        .await?;
                    for call in calls {
                        self.do_call(run, portal, call).await?;
                    }
                }
                Kind::Model(asked) => self.ask_models(run, portal, asked).await?,
                Kind::Engine(prepared) => {
                    if let Some(done) = self.ask_engine(run, portal, prepared).await? {
                        portal.progress = Progress::Ended;
                        return Ok(done);
                    }
                }
            }
        }
        if rows == Rows::Described {
            let columns = portal_columns(portal);
            if let Some(columns) = &columns {
                self.wire.put(describe(Some(columns), &portal.forms));
            }
        }
        let completion = self
            .fetch(run, portal, limit, rows != Rows::Skipped)
            .await?;
        portal.passed(limit, completion.rows());
        Ok(completion)
    }

    /// A query for PostgreSQL, with what the session has made in the place of what PostgreSQL knows of it.
    pub fn with_own_views(&self, sql: &str) -> String {
        if !own_views::are_named(sql) {
            return sql.to_owned();
        }
        let statements = self.statements.iter().filter(|(name, _)| !name.is_empty());
        let statements = statements.map(|(name, named)| PreparedRow {
            name,
            source: &named.source,
            params: &named.statement.params,
        });
        let cursors = self.portals.iter().filter_map(|(name, portal)| {
            Some(CursorRow {
                name,
                source: portal.source.as_ref()?,
                is_holdable: portal.cursor.is_some_and(|cursor| cursor.hold),
                is_binary: portal.cursor.is_some_and(|cursor| cursor.is_binary),
            })
        });
        let (statements, cursors): (Vec<_>, Vec<_>) = (statements.collect(), cursors.collect());
        let sessions = self.shared.registry.sessions();
        let own = Own {
            pid: self.registered.pid,
            role: &self.role,
            statements: &statements,
            cursors: &cursors,
            sessions: &sessions,
        };
        own.put_before(sql)
    }

    async fn ask_catalogue(
        &mut self,
        run: &Run,
        portal: &mut Portal,
        sql: String,
        statement: &Statement,
    ) -> Result<(), Stop> {
        let sql = self.with_own_views(&sql);
        let request = request_of(sql, statement, &portal.values, portal.forms.codes());
        let reply = self.relay(run, request).await?;
        for notice in &reply.notices {
            self.wire.put(sqlstate::notice(notice));
        }
        portal.progress = Progress::Answered {
            reply: Box::new(reply),
            next: 0,
        };
        Ok(())
    }

    async fn do_call(&mut self, run: &Run, portal: &mut Portal, call: &Call) -> Result<(), Stop> {
        let (name, value, local, column) = match call {
            Call::Sleep(time) => return self.guard(run, tokio::time::sleep(*time)).await,
            Call::SetConfig {
                name,
                value,
                local,
                column,
            } => (name, value, *local, *column),
            Call::Signal { signal, pids } => return self.signal(run, portal, *signal, pids).await,
        };
        if ["role", "session_authorization"].contains(&name.to_lowercase().as_str()) {
            let message = format!("permission denied to set parameter \"{name}\"");
            return Err(Failure::new("42501", message).into());
        }
        let value = value_of(portal, value);
        let value = value.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned());
        let value = self
            .change_setting(run, name, value.as_deref(), local)
            .await?;
        if let (Some(value), Progress::Answered { reply, .. }) = (value, &mut portal.progress) {
            for row in &mut reply.rows {
                *row = with_field(row, column, value.as_bytes());
            }
        }
        Ok(())
    }

    /// Cancels what other sessions do, or ends them.
    async fn signal(
        &mut self,
        run: &Run,
        portal: &Portal,
        signal: Signal,
        pids: &str,
    ) -> Result<(), Stop> {
        let sql = self.with_own_views(pids);
        let request = request_of(sql, &portal.statement, &portal.values, Vec::new());
        let reply = self.relay(run, request).await?;
        for row in &reply.rows {
            let pid = raw_fields(row).pop().flatten();
            let pid = pid.and_then(|pid| std::str::from_utf8(pid).ok()?.parse().ok());
            let Some(pid) = pid else {
                continue;
            };
            let Some(role) = self.shared.registry.role_of(pid) else {
                let message = format!("PID {pid} is not a PostgreSQL backend process");
                self.warn("01000", &message);
                continue;
            };
            if role != self.role && !self.may_signal(run, &role).await? {
                let what = match signal {
                    Signal::Cancel => "query is being canceled",
                    Signal::Terminate => "process is being terminated",
                };
                let message = format!(
                    "must be a member of the role whose {what} or member of pg_signal_backend"
                );
                return Err(Failure::new("42501", message).into());
            }
            self.shared.registry.signal(pid, signal);
        }
        // It may have been this one.
        self.guard(run, std::future::ready(())).await
    }

    /// Who answers for the warehouse may, too.
    async fn may_signal(&mut self, run: &Run, role: &str) -> Result<bool, Stop> {
        let sql = "SELECT pg_catalog.bool_or(pg_catalog.pg_has_role(r.oid, 'MEMBER')) FROM pg_catalog.pg_roles r \
                   WHERE r.rolname IN ($1, 'pg_signal_backend', 'rapport_admin')";
        let request = Request::Extended {
            sql: sql.to_owned(),
            param_types: Vec::new(),
            params: vec![Some(role.to_owned().into())],
            param_formats: Vec::new(),
            result_formats: Vec::new(),
        };
        let reply = self.relay(run, request).await?;
        let may = reply.rows.first().map(|row| raw_fields(row));
        Ok(may.is_some_and(|may| may == [Some(&b"t"[..])]))
    }

    /// What is wrong with the query of a definition, in PostgreSQL's words and with its place, if PostgreSQL finds it wrong
    /// too.
    async fn said_of_query(&mut self, run: &Run, text: &str, ours: Failure) -> Stop {
        let is_about_meaning = ours.code().starts_with("42") && ours.code() != "42501";
        let Some(start) = query_of_definition(text).filter(|_| is_about_meaning) else {
            return ours.into();
        };
        let request = Request::DescribeAny {
            sql: text[start..].to_owned(),
            param_types: Vec::new(),
        };
        match self.relay(run, request).await {
            Err(Stop::Failure(theirs)) if theirs.code() == ours.code() => {
                theirs.moved_by(text[..start].chars().count()).into()
            }
            Err(stop @ (Stop::Gone(_) | Stop::Shutdown)) => stop,
            _ => ours.into(),
        }
    }

    /// Starts the engine; what has no rows is done at once.
    pub async fn ask_engine(
        &mut self,
        run: &Run,
        portal: &mut Portal,
        prepared: &Prepared,
    ) -> Result<Option<Completion>, Stop> {
        if self.is_read_only()
            && let Some(what) = change(&prepared.statement)
        {
            let message = format!("cannot execute {what} in a read-only transaction");
            return Err(Failure::new("25006", message).into());
        }
        let values = match &portal.values {
            Values::Scalars(values) => values.clone(),
            Values::Raw { .. } => Vec::new(),
        };
        let statement = prepared.clone();
        let asked = self
            .with_session(run, move |session| {
                Box::pin(async move { session.execute(&statement, values).await })
            })
            .await;
        let outcome = match asked {
            Err(Stop::Failure(ours)) => {
                let text = &prepared.statement.text;
                return Err(self.said_of_query(run, text, ours).await);
            }
            asked => asked?,
        };
        if !outcome.is_done() {
            run.check()?;
        }
        match outcome {
            Outcome::Rows {
                columns,
                stream,
                tag,
            } => {
                if !is_same_result(prepared.columns.as_deref(), &columns) {
                    return Err(Failure::stale_plan().into());
                }
                portal.forms.check(columns.len())?;
                let infos = columns.iter().map(ColumnInfo::from).collect();
                let layout = Layout {
                    columns,
                    forms: Vec::new(),
                    style: Style::of(&self.settings),
                    charset: self.wire.charset,
                };
                let pump = Pump::start(&self.shared.config.cpu, stream, layout);
                portal.progress = Progress::Running {
                    pump,
                    columns: infos,
                    tag,
                };
                Ok(None)
            }
            Outcome::Done { tag, notices } => {
                for notice in &notices {
                    if self.settings.shows(notice.severity) {
                        self.wire.put(sqlstate::engine_notice(notice));
                    }
                }
                Ok(Some(Completion::Complete { tag, rows: 0 }))
            }
            Outcome::CopyIn(copy) => self
                .copy_in(run, *copy, copied_table(prepared))
                .await
                .map(Some),
            Outcome::CopyOut {
                columns,
                stream,
                format,
            } => self.copy_out(run, columns, stream, format).await.map(Some),
        }
    }

    /// Rows of a portal that has been started.
    async fn fetch(
        &mut self,
        run: &Run,
        portal: &mut Portal,
        limit: u64,
        wanted: bool,
    ) -> Result<Completion, Stop> {
        match &mut portal.progress {
            Progress::Running { pump, columns, tag } => {
                let (tag, before) = (*tag, portal.position);
                let encoding = match wanted {
                    true => Encoding::Rows(portal.forms.all(columns.len())),
                    false => Encoding::Skip,
                };
                let done = self.drain(run, pump, limit, encoding).await;
                match done {
                    Ok((rows, false)) => Ok(Completion::Suspended { rows }),
                    Ok((rows, true)) => {
                        portal.progress = Progress::Ended;
                        Ok(Completion::Complete {
                            tag: tag_of_rows(tag, rows, before),
                            rows,
                        })
                    }
                    Err(stop) => {
                        portal.progress = Progress::Ended;
                        Err(stop)
                    }
                }
            }
            Progress::Answered { reply, next } => {
                let from = *next;
                let end = usize::try_from(limit)
                    .ok()
                    .and_then(|limit| from.checked_add(limit))
                    .map_or(reply.rows.len(), |end| end.min(reply.rows.len()));
                *next = end;
                if wanted {
                    let is_text = match self.wire.charset {
                        Charset::Utf8 => Vec::new(),
                        _ => {
                            let fields = reply.fields.iter().flatten();
                            let columns: Vec<ColumnInfo> = fields.map(ColumnInfo::from).collect();
                            charset::text_columns(&columns, &portal.forms.all(columns.len()))?
                        }
                    };
                    for row in &reply.rows[from..end] {
                        self.put_raw_row(row, &is_text)?;
                        self.flush_guarded(run).await?;
                    }
                }
                let rows = (end - from) as u64;
                if rows == limit {
                    return Ok(Completion::Suspended { rows });
                }
                let tag = match reply.tag.strip_prefix("SELECT ") {
                    Some(_) => format!("SELECT {rows}"),
                    None => reply.tag.clone(),
                };
                portal.progress = Progress::Ended;
                Ok(Completion::Complete { tag, rows })
            }
            Progress::Ended | Progress::New => match has_rows(&portal.statement) {
                // All has been fetched before.
                true => Ok(Completion::Complete {
                    tag: "SELECT 0".into(),
                    rows: 0,
                }),
                false => Err(Failure::new("55000", "portal cannot be run").into()),
            },
        }
    }

    /// A row in UTF-8, its body as in a DataRow message.
    pub fn put_raw_row(&mut self, body: &[u8], is_text: &[bool]) -> Result<(), Failure> {
        let mut encoded = Vec::new();
        let body = match self.wire.charset {
            Charset::Utf8 => body,
            charset => {
                charset.encode_row(body, is_text, &mut encoded)?;
                &encoded
            }
        };
        let out = self.wire.output();
        out.extend_from_slice(b"D");
        out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        out.extend_from_slice(body);
        Ok(())
    }

    /// Moves a pump's messages to the client until the request is done.
    async fn drain(
        &mut self,
        run: &Run,
        pump: &mut Pump,
        limit: u64,
        encoding: Encoding,
    ) -> Result<(u64, bool), Stop> {
        self.guard(run, pump.request(limit, encoding)).await?;
        loop {
            match self.guard(run, pump.answer()).await? {
                Answer::Messages(messages) => {
                    self.wire.put_messages(messages);
                    self.flush_guarded(run).await?;
                }
                Answer::Done { rows, exhausted } => return Ok((rows, exhausted)),
                Answer::Failed(failure) => return Err(failure.into()),
            }
        }
    }

    async fn copy_out(
        &mut self,
        run: &Run,
        columns: Vec<Column>,
        stream: datafusion::execution::SendableRecordBatchStream,
        format: CopyFormat,
    ) -> Result<Completion, Stop> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let copy = CopyOut::new(format, &names, self.wire.charset)?;
        let form = copy.form();
        self.begin_copy_out(form, columns.len());
        let forms = vec![form; columns.len()];
        let layout = Layout {
            columns,
            forms,
            style: Style::of(&self.settings),
            charset: self.wire.charset,
        };
        let mut pump = Pump::start(&self.shared.config.cpu, stream, layout);
        let (rows, _) = self
            .drain(run, &mut pump, u64::MAX, Encoding::Copy(copy))
            .await?;
        self.wire
            .put(PgWireBackendMessage::CopyDone(CopyDone::new()));
        Ok(Completion::Complete {
            tag: format!("COPY {rows}"),
            rows: 0,
        })
    }

    /// The same for a query that PostgreSQL answers.
    async fn copy_catalogue(
        &mut self,
        run: &Run,
        query: String,
        format: CopyFormat,
    ) -> Result<Completion, Stop> {
        let form = copy::form(format.kind);
        let reply = self
            .relay(
                run,
                Request::Extended {
                    sql: self.with_own_views(&query),
                    param_types: Vec::new(),
                    params: Vec::new(),
                    param_formats: Vec::new(),
                    result_formats: vec![form.code()],
                },
            )
            .await?;
        let fields = reply.fields.unwrap_or_default();
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let mut copy = CopyOut::new(format, &names, self.wire.charset)?;
        self.begin_copy_out(form, fields.len());
        let mut out = Vec::new();
        copy.put_header(&names, &mut out)?;
        for row in &reply.rows {
            copy.put_raw_row(row, &mut out)?;
            if out.len() >= wire::FLUSH_AT {
                self.wire.output().extend_from_slice(&out);
                out.clear();
                self.flush_guarded(run).await?;
            }
        }
        copy.put_end(&mut out);
        self.wire.output().extend_from_slice(&out);
        self.wire
            .put(PgWireBackendMessage::CopyDone(CopyDone::new()));
        Ok(Completion::Complete {
            tag: format!("COPY {}", reply.rows.len()),
            rows: 0,
        })
    }

    fn begin_copy_out(&mut self, form: Form, n_columns: usize) {
        let formats = vec![form.code(); n_columns];
        self.wire
            .put(PgWireBackendMessage::CopyOutResponse(CopyOutResponse::new(
                form.code() as i8,
                n_columns as i16,
                formats,
            )));
    }

    async fn copy_in(
        &mut self,
        run: &Run,
        copy: CopyIn,
        table: String,
    ) -> Result<Completion, Stop> {
        let n_columns = copy.columns().len();
        let form = copy::form(copy.format().kind);
        let reader = input::Reader::new(
            table,
            copy.columns(),
            copy.format().clone(),
            self.reading(),
            self.wire.charset,
        )?;
        let cancel = copy.cancel();
        self.wire
            .put(PgWireBackendMessage::CopyInResponse(CopyInResponse::new(
                form.code() as i8,
                n_columns as i16,
                vec![form.code(); n_columns],
            )));
        self.wire.flush().await?;

        let (pieces, waiting) = mpsc::channel(COPY_WAITING);
        let mut reading = self
            .shared
            .config
            .cpu
            .spawn(input::receive(copy, reader, waiting));
        let sent = self.send_pieces(run, pieces).await;
        // The reader has been told of the end, one way or the other; it may still have much to write.
        let (read, stop) = match self.guard(run, &mut reading).await {
            Ok(read) => (read, None),
            Err(stop @ Stop::Failure(_)) => {
                cancel.cancel();
                (reading.await, Some(stop))
            }
            Err(stop) => return Err(stop),
        };
        let read = match read {
            Ok(read) => read,
            Err(_) => Err(Failure::internal(
                "internal error: reading the rows of COPY panicked",
            )),
        };
        let sent = match (&read, stop) {
            // It came to its end after all.
            (Ok(Some(_)), _) | (_, None) => sent,
            (_, Some(stop)) => return Err(stop),
        };
        match (read, sent) {
            (_, Err(stop @ (Stop::Gone(_) | Stop::Shutdown))) => Err(stop),
            // What is wrong with the data comes before what is wrong with the messages.
            (Err(failure), _) => Err(failure.into()),
            (Ok(Some(rows)), _) => Ok(Completion::Complete {
                tag: format!("COPY {rows}"),
                rows: 0,
            }),
            (Ok(None), Err(stop)) => Err(stop),
            (Ok(None), Ok(())) => Err(Failure::internal("internal error: COPY ended early").into()),
        }
    }

    /// Hands over what the client sends until it is done or the reader has had enough.
    async fn send_pieces(&mut self, run: &Run, pieces: mpsc::Sender<Input>) -> Result<(), Stop> {
        loop {
            let input = match self.message_guarded(run).await? {
                PgWireFrontendMessage::CopyData(data) => Input::Data(data.data),
                PgWireFrontendMessage::CopyDone(_) => Input::Done,
                PgWireFrontendMessage::CopyFail(fail) => {
                    let message = format!("COPY from stdin failed: {}", fail.message);
                    return Err(Failure::new("57014", message).into());
                }
                PgWireFrontendMessage::Flush(_) | PgWireFrontendMessage::Sync(_) => continue,
                _ => {
                    let message = "unexpected message type during COPY from stdin";
                    return Err(Failure::fatal("08P01", message).into());
                }
            };
            let is_done = matches!(input, Input::Done);
            // A reader that has stopped has an error to tell.
            if self.guard(run, pieces.send(input)).await?.is_err() || is_done {
                return Ok(());
            }
        }
    }

    /// Tells the client how an execution ended.
    pub fn put_completion(&mut self, completion: Completion) {
        self.wire.put(match completion {
            Completion::Empty => {
                PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())
            }
            Completion::Suspended { .. } => {
                PgWireBackendMessage::PortalSuspended(PortalSuspended::new())
            }
            Completion::Complete { tag, .. } => {
                self.shared.config.counters.count_completed();
                PgWireBackendMessage::CommandComplete(CommandComplete::new(tag))
            }
        });
    }
}

/// The columns of a portal that has been started.
pub fn portal_columns(portal: &Portal) -> Option<Vec<ColumnInfo>> {
    match &portal.progress {
        Progress::Running { columns, .. } => Some(columns.clone()),
        Progress::Answered { reply, .. } => reply
            .fields
            .as_ref()
            .map(|fields| fields.iter().map(ColumnInfo::from).collect()),
        Progress::New | Progress::Ended => None,
    }
}

/// The body of a DataRow with another field.
fn with_field(row: &Bytes, column: usize, field: &[u8]) -> Bytes {
    let mut changed = BytesMut::from(&row[..2]);
    for (n, own) in raw_fields(row).into_iter().enumerate() {
        match if n == column { Some(field) } else { own } {
            None => changed.put_i32(-1),
            Some(field) => {
                changed.put_i32(i32::try_from(field.len()).expect("a setting is short"));
                changed.put_slice(field);
            }
        }
    }
    changed.freeze()
}

/// A query for PostgreSQL with the values of a portal.
fn request_of(
    sql: String,
    statement: &Statement,
    values: &Values,
    result_formats: Vec<i16>,
) -> Request {
    match values {
        Values::Raw { values, formats } if !values.is_empty() || !result_formats.is_empty() => {
            Request::Extended {
                sql,
                param_types: statement.params.clone(),
                params: values.clone(),
                param_formats: formats.clone(),
                result_formats,
            }
        }
        _ => Request::Simple(sql),
    }
}

fn has_rows(statement: &Arc<Statement>) -> bool {
    match &statement.kind {
        Kind::Engine(prepared) => prepared.columns.is_some(),
        Kind::Catalogue { .. } | Kind::Model(_) => true,
        Kind::Empty | Kind::Command(_) | Kind::CatalogueCopy { .. } | Kind::Declare { .. } => false,
    }
}

/// Where the query of `CREATE VIEW v AS query`, or of a table, begins.
fn query_of_definition(text: &str) -> Option<usize> {
    let tokens = lexer::tokens(text);
    if !tokens.first()?.is_word("create") {
        return None;
    }
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        if token.is_sign('(') {
            depth += 1;
        } else if token.is_sign(')') {
            depth -= 1;
        } else if depth == 0 && token.is_word("as") {
            return Some(tokens.get(at + 1)?.start);
        }
    }
    None
}

/// `SELECT 5`, `INSERT 0 5`; `EXPLAIN`, `SHOW` and what is about models do not count. What was written counts with the rows that were fetched
/// before.
fn tag_of_rows(tag: &str, rows: u64, before: u64) -> String {
    match tag {
        "EXPLAIN" | "SHOW" => tag.to_owned(),
        _ if tag.ends_with(" MODEL") || tag.ends_with(" MODELS") => tag.to_owned(),
        "INSERT" => format!("INSERT 0 {}", before + rows),
        "UPDATE" | "DELETE" => format!("{tag} {}", before + rows),
        _ => format!("{tag} {rows}"),
    }
}

/// What a statement that changes something is called.
pub fn change(statement: &rapport_engine::Statement) -> Option<String> {
    use datafusion::sql::sqlparser::ast;
    match &statement.ast {
        ast::Statement::Query(query) => match &*query.body {
            ast::SetExpr::Select(select) if select.into.is_some() => Some("SELECT INTO".to_owned()),
            _ => None,
        },
        ast::Statement::Insert(_) => Some("INSERT".to_owned()),
        ast::Statement::Update(_) => Some("UPDATE".to_owned()),
        ast::Statement::Delete(_) => Some("DELETE".to_owned()),
        ast::Statement::Merge(_) => Some("MERGE".to_owned()),
        ast::Statement::Explain { .. } | ast::Statement::Copy { to: true, .. } => None,
        ast::Statement::Copy { .. } => Some("COPY FROM".to_owned()),
        _ => {
            let mut words = statement.text.split_whitespace().map(str::to_uppercase);
            let first = words.next()?;
            match first.as_str() {
                "CREATE" | "DROP" | "ALTER" => Some(format!("{first} {}", words.next()?)),
                _ => Some(first),
            }
        }
    }
}

/// Whether the rows are those that were described when the statement was prepared; its tables may have changed since.
fn is_same_result(described: Option<&[Column]>, columns: &[Column]) -> bool {
    described.is_none_or(|described| {
        described.len() == columns.len()
            && described
                .iter()
                .zip(columns)
                .all(|(before, now)| before.name == now.name && before.pg_type == now.pg_type)
    })
}

/// What a call is given, and its format: 1 is binary.
fn value_of(portal: &Portal, given: &Given) -> Option<(Bytes, i16)> {
    match (given, &portal.values) {
        (Given::Text(text), _) => Some((text.clone().into(), 0)),
        (Given::Parameter(n), Values::Raw { values, formats }) => {
            let format = match formats.as_slice() {
                [] => 0,
                [one] => *one,
                each => each.get(*n).copied().unwrap_or_default(),
            };
            Some((values.get(*n)?.clone()?, format))
        }
        (Given::Parameter(_), Values::Scalars(_)) | (Given::Null, _) => None,
    }
}

/// The name PostgreSQL calls the table by in the errors of COPY.
fn copied_table(prepared: &Prepared) -> String {
    use datafusion::sql::sqlparser::ast;
    match &prepared.statement.ast {
        ast::Statement::Copy {
            source: ast::CopySource::Table { table_name, .. },
            ..
        } => match table_name.0.last().and_then(|part| part.as_ident()) {
            Some(ident) if ident.quote_style.is_some() => ident.value.clone(),
            Some(ident) => ident.value.to_lowercase(),
            None => table_name.to_string(),
        },
        _ => String::new(),
    }
}
