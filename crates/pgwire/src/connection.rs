//! One client, from the first byte to the last: its state, the loop over its messages, and what guards a statement
//! while it runs.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{BackendKeyData, ParameterStatus};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use rapport_catalog_postgres::{Reply, Request};
use rapport_engine::Session;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::copy::out::raw_fields;
use crate::lexer::Piece;
use crate::login::{Login, login};
use crate::long_names;
use crate::pump::panic_text;
use crate::registry::{Doing, Registered, Who};
use crate::server::Shared;
use crate::settings::{self, REPORTED, SessionSettings};
use crate::sqlstate::{self, Failure, Result};
use crate::statement::{Named, Portal};
use crate::transaction::{State, Transaction};
use crate::wire::{Broken, Wire};

/// One session.
pub struct Client<S> {
    pub wire: Wire<S>,
    pub shared: Arc<Shared>,
    pub role: String,
    /// Away while the CPU runtime works with it.
    session: Option<Session>,
    pub settings: SessionSettings,
    pub transaction: Transaction,
    /// By name; the unnamed one is "".
    pub statements: HashMap<String, Named>,
    pub portals: HashMap<String, Portal>,
    pub registered: Registered,
    /// After an error in the extended protocol, until Sync.
    pub skipping: bool,
    /// In the extended protocol, something has been executed since the last Sync.
    pub is_piped: bool,
    /// Portals that there have been.
    pub portals_made: u64,
}

/// What guards one statement.
pub struct Run {
    token: CancellationToken,
    deadline: Option<Instant>,
}

/// Why a statement did not come to its end.
#[derive(Debug)]
pub enum Stop {
    /// The client is told, and the session goes on unless it is fatal.
    Failure(Failure),
    /// There is nobody to tell.
    Gone(Broken),
    /// The server ends.
    Shutdown,
}

/// Why there is no next message.
enum Next {
    /// There was one of this kind, and its text is not text.
    Garbled {
        kind: u8,
        failure: Failure,
    },
    Stop(Stop),
}

impl From<Broken> for Next {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Encoding { kind, failure } => Next::Garbled {
                kind,
                failure: *failure,
            },
            other => Next::Stop(other.into()),
        }
    }
}

impl Stop {
    /// The failing statement stood so many characters into the client's message.
    pub fn moved_by(self, characters: usize) -> Self {
        match self {
            Stop::Failure(failure) => Stop::Failure(failure.moved_by(characters)),
            other => other,
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failure(failure)
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Io(_) | Broken::Closed | Broken::Slow => Stop::Gone(broken),
            Broken::Protocol(_) | Broken::Encoding { .. } => Stop::Failure(broken.into()),
        }
    }
}

impl From<rapport_engine::Error> for Stop {
    fn from(error: rapport_engine::Error) -> Self {
        Stop::Failure(error.into())
    }
}

impl From<rapport_models::Error> for Stop {
    fn from(error: rapport_models::Error) -> Self {
        Stop::Failure(error.into())
    }
}

impl From<rapport_catalog_postgres::Error> for Stop {
    fn from(error: rapport_catalog_postgres::Error) -> Self {
        Stop::Failure(error.into())
    }
}

/// Serves one client until either side ends.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: SocketAddr,
    shared: Arc<Shared>,
) {
    let mut wire = Wire::new(stream, shared.config.write_timeout);
    let logged_in = tokio::select! {
        logged_in = timeout(shared.config.login_timeout, begin(&mut wire, &shared)) => logged_in,
        () = shared.ending.cancelled() => Ok(Err(Failure::shutting_down())),
    };
    let failure = match logged_in {
        Ok(Ok(Some((login, permit)))) => {
            Client::start(wire, peer, shared, login).await;
            drop(permit);
            return;
        }
        // Over TLS a cancel request waits for a proper end.
        Ok(Ok(None)) => return wire.close().await,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::fatal("57014", "canceling authentication due to timeout"),
    };
    tracing::debug!(code = failure.code(), "a login failed");
    wire.put(failure.into_message());
    wire.close().await;
}

/// The login, and a place among the sessions.
async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    shared: &Arc<Shared>,
) -> Result<Option<(Login, tokio::sync::OwnedSemaphorePermit)>> {
    let Some(login) = login(wire, shared).await? else {
        return Ok(None);
    };
    let permit = shared
        .sessions
        .clone()
        .try_acquire_owned()
        .map_err(|_| Failure::too_many())?;
    Ok(Some((login, permit)))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn start(mut wire: Wire<S>, peer: SocketAddr, shared: Arc<Shared>, login: Login) {
        wire.set_limit(shared.config.max_message_bytes);
        let who = Who {
            role: login.role.clone(),
            cipher: wire.cipher(),
            peer: Some(peer),
        };
        let ended = shared.ended.child_token();
        let mut client = Self {
            wire,
            session: Some(shared.warehouse.session(&login.role)),
            registered: shared.registry.register(login.version, who, ended),
            shared,
            role: login.role,
            settings: SessionSettings::default(),
            transaction: Transaction::default(),
            statements: HashMap::new(),
            portals: HashMap::new(),
            skipping: false,
            is_piped: false,
            portals_made: 0,
        };
        let ended = match client.welcome(login.settings, login.database).await {
            Ok(()) => client.converse().await,
            Err(Stop::Failure(failure)) => Err(Stop::Failure(failure.into_fatal())),
            Err(stop) => Err(stop),
        };
        match ended {
            Ok(()) => {}
            Err(Stop::Gone(broken)) => tracing::debug!(%broken, "a client has gone"),
            Err(Stop::Failure(failure)) => client.wire.put(failure.into_message()),
            Err(Stop::Shutdown) => client.wire.put(Failure::shutting_down().into_message()),
        }
        // Ends all that still runs before the last word is said.
        client.portals.clear();
        client.wire.close().await;
    }

    /// Settings, the key for cancel requests, and the invitation to ask.
    async fn welcome(
        &mut self,
        startup: rapport_catalog_postgres::Settings,
        database: Option<String>,
    ) -> Result<(), Stop> {
        let mut judged = rapport_catalog_postgres::Settings::new();
        for (name, value) in startup {
            let value = match settings::known_value(&name, &value)? {
                Some(value) => value,
                None => {
                    self.shared
                        .catalogue
                        .judge_setting(&self.role, &judged, &name, Some(&value))
                        .await?
                }
            };
            settings::check(&name, &value)?;
            judged.insert(name, value);
        }
        self.settings = SessionSettings::new(judged);

        let names = REPORTED
            .iter()
            .map(|name| format!("'{name}'"))
            .collect::<Vec<_>>()
            .join(",");
        let sql = format!(
            "SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ({names}) \
             UNION ALL SELECT 'is_superuser', pg_catalog.current_setting('is_superuser') \
             UNION ALL SELECT 'database', pg_catalog.current_database()"
        );
        let reply = self
            .shared
            .catalogue
            .relay(&self.role, &self.settings.relayed(), Request::Simple(sql))
            .await?;
        for row in &reply.rows {
            if let [Some(name), Some(value)] = raw_fields(row)[..] {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                self.settings.set_server_value(&text(name), text(value));
            }
        }
        if let (Some(asked), Some(there)) = (database, self.settings.get("database"))
            && asked != there
        {
            let message = format!("database \"{asked}\" does not exist");
            let hint = format!("There is one database, \"{there}\".");
            return Err(Failure::fatal("3D000", message).with_hint(hint).into());
        }
        // These are about the catalogue's own connection there.
        self.settings
            .set_server_value("default_transaction_read_only", "off".into());
        self.settings
            .set_server_value("in_hot_standby", "off".into());
        if let Some(limit) = self.shared.warehouse.limits().statement_timeout {
            self.settings
                .set_server_value("statement_timeout", format!("{}ms", limit.as_millis()));
        }
        for name in REPORTED {
            self.report(name);
        }
        let role = self.role.clone();
        self.put_parameter("session_authorization", role);
        self.apply_settings()?;

        let key = BackendKeyData::new(self.registered.pid, self.registered.secret.clone());
        self.wire.put(PgWireBackendMessage::BackendKeyData(key));
        self.ready().await
    }

    /// Tells the client what a setting is now.
    pub fn report(&mut self, name: &str) {
        if let Some(value) = self.settings.get(name) {
            let value = value.to_owned();
            self.put_parameter(name, value);
        }
    }

    fn put_parameter(&mut self, name: &str, value: String) {
        let status = ParameterStatus::new(name.to_owned(), value);
        self.wire.put(PgWireBackendMessage::ParameterStatus(status));
    }

    /// The loop over messages; ends when the client does.
    async fn converse(&mut self) -> Result<(), Stop> {
        loop {
            let message = match self.next_message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(Next::Garbled { kind, failure }) => {
                    self.garbled(kind, failure).await?;
                    continue;
                }
                Err(Next::Stop(stop)) => return Err(stop),
            };
            match message {
                PgWireFrontendMessage::Terminate(_) => return Ok(()),
                PgWireFrontendMessage::Query(query) => {
                    self.skipping = false;
                    self.simple_query(&query.query).await?;
                    self.ready().await?;
                }
                PgWireFrontendMessage::Sync(_) => {
                    self.sync().await?;
                    self.skipping = false;
                    self.ready().await?;
                }
                PgWireFrontendMessage::Flush(_) => self.wire.flush().await?,
                // What a client still sends of a COPY that has failed.
                PgWireFrontendMessage::CopyData(_)
                | PgWireFrontendMessage::CopyDone(_)
                | PgWireFrontendMessage::CopyFail(_) => {}
                message if message.is_extended_query() => {
                    if !self.skipping {
                        let done = self.extended(message).await;
                        self.settle(done).await?;
                    }
                }
                _ => return Err(Failure::fatal("08P01", "invalid frontend message").into()),
            }
        }
    }

    /// A message whose text is not UTF-8 fails like the statement in it would.
    async fn garbled(&mut self, kind: u8, failure: Failure) -> Result<(), Stop> {
        if kind == b'Q' {
            self.fail(failure).await?;
            return self.ready().await;
        }
        if !self.skipping {
            self.fail(failure).await?;
            self.skipping = true;
        }
        Ok(())
    }

    /// Waits for the client, but not beyond the end of the server or of patience.
    async fn next_message(&mut self) -> Result<Option<PgWireFrontendMessage>, Next> {
        if let Some(message) = self.wire.buffered()? {
            return Ok(Some(message));
        }
        self.wire.shrink();
        let (idle, code, message) = match self.transaction.in_block() {
            true => (
                self.settings.timeout("idle_in_transaction_session_timeout"),
                "25P03",
                "terminating connection due to idle-in-transaction timeout",
            ),
            false => (
                self.settings
                    .timeout("idle_session_timeout")
                    .or(self.shared.config.idle_timeout),
                "57P05",
                "terminating connection due to idle-session timeout",
            ),
        };
        let too_idle = async {
            match idle {
                Some(idle) => tokio::time::sleep(idle).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.shared.ending.cancelled() => Err(Next::Stop(Stop::Shutdown)),
            () = self.registered.ended.cancelled() => Err(Next::Stop(Stop::Shutdown)),
            message = self.wire.message() => Ok(message?),
            () = too_idle => Err(Next::Stop(Failure::fatal(code, message).into())),
        }
    }

    /// After a step of the extended protocol: an error is told, and what follows is skipped until Sync.
    async fn settle(&mut self, done: Result<(), Stop>) -> Result<(), Stop> {
        self.registered.statement_ended();
        match done {
            Err(Stop::Failure(failure)) if !failure.is_fatal() => {
                self.fail(failure).await?;
                self.skipping = true;
                Ok(())
            }
            other => other,
        }
    }

    /// Tells the client of an error; a transaction block fails with it, and one that nobody began is over.
    pub async fn fail(&mut self, failure: Failure) -> Result<(), Stop> {
        tracing::debug!(code = failure.code(), "a statement failed");
        self.shared.config.counters.count_failed();
        self.wire.put(failure.into_message());
        match self.transaction.in_block() {
            true => self.transaction.fail(),
            false => self.roll_back().await?,
        }
        Ok(())
    }

    async fn ready(&mut self) -> Result<(), Stop> {
        let (status, doing) = match self.transaction.state() {
            State::Idle | State::Several | State::Series => (TransactionStatus::Idle, Doing::Idle),
            State::Open => (TransactionStatus::Transaction, Doing::IdleInTransaction),
            State::Failed => (TransactionStatus::Error, Doing::IdleInFailed),
        };
        let application = self.settings.get("application_name").unwrap_or_default();
        self.registered.rests(doing, application);
        self.wire
            .put(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(
                status,
            )));
        Ok(self.wire.flush().await?)
    }

    /// The message with its long names cut, if it has any. The client is told.
    pub fn cut_names(&mut self, sql: &str, pieces: &[Piece<'_>]) -> Option<String> {
        let cut = long_names::cut(sql, pieces)?;
        if self.settings.shows("NOTICE") {
            for told in &cut.told {
                self.wire.put(sqlstate::said("NOTICE", "42622", told));
            }
        }
        Some(cut.sql)
    }

    /// Starts the clock of a statement, and makes it the one a cancel request means.
    pub fn begin_run(&self) -> Run {
        Run {
            token: self.registered.statement_begins(),
            deadline: self
                .settings
                .timeout("statement_timeout")
                .map(|limit| Instant::now() + limit),
        }
    }

    /// Waits for `work`, unless the client cancels or goes, time is up, or the server ends.
    pub async fn guard<T>(&mut self, run: &Run, work: impl Future<Output = T>) -> Result<T, Stop> {
        let ended = self.registered.ended.clone();
        tokio::select! {
            biased;
            stop = interrupted(run, &ended) => Err(stop),
            gone = self.wire.watch() => Err(Stop::Gone(gone)),
            done = work => Ok(done),
        }
    }

    /// The client's next message in the middle of a statement.
    pub async fn message_guarded(&mut self, run: &Run) -> Result<PgWireFrontendMessage, Stop> {
        let ended = self.registered.ended.clone();
        tokio::select! {
            biased;
            stop = interrupted(run, &ended) => Err(stop),
            message = self.wire.message() => message?.ok_or(Stop::Gone(Broken::Closed)),
        }
    }

    /// Whether nothing else is asked before Sync.
    pub async fn is_last_guarded(&mut self, run: &Run) -> Result<bool, Stop> {
        let ended = self.registered.ended.clone();
        tokio::select! {
            biased;
            stop = interrupted(run, &ended) => Err(stop),
            last = self.wire.is_at_sync() => Ok(last?),
        }
    }

    /// Sends what is there, if it is much; a client that does not take it does not hold up a cancel.
    pub async fn flush_guarded(&mut self, run: &Run) -> Result<(), Stop> {
        let ended = self.registered.ended.clone();
        tokio::select! {
            biased;
            stop = interrupted(run, &ended) => Err(stop),
            flushed = self.wire.flush_if_full() => Ok(flushed?),
        }
    }

    /// Sends what is there, however little.
    pub async fn flush_all_guarded(&mut self, run: &Run) -> Result<(), Stop> {
        let ended = self.registered.ended.clone();
        tokio::select! {
            biased;
            stop = interrupted(run, &ended) => Err(stop),
            flushed = self.wire.flush() => Ok(flushed?),
        }
    }

    /// Works with the engine's session on the CPU runtime. When the wait is over early the engine is told, and the
    /// session is waited for: it is needed for the next statement.
    pub async fn with_session<T: Send + 'static>(
        &mut self,
        run: &Run,
        work: impl for<'a> FnOnce(&'a mut Session) -> BoxFuture<'a, rapport_engine::Result<T>>
        + Send
        + 'static,
    ) -> Result<T, Stop> {
        let mut session = self
            .session
            .take()
            .expect("a session does one thing at a time");
        let cancel = session.cancel_token();
        let mut task = self.shared.config.cpu.spawn(async move {
            let done = AssertUnwindSafe(work(&mut session)).catch_unwind().await;
            (session, done)
        });
        let (joined, stop) = match self.guard(run, &mut task).await {
            Ok(joined) => (joined, None),
            Err(stop @ Stop::Failure(_)) => {
                cancel.cancel();
                (task.await, Some(stop))
            }
            Err(stop) => {
                // Nobody needs the session any more.
                cancel.cancel();
                return Err(stop);
            }
        };
        let Ok((session, done)) = joined else {
            return Err(Stop::Shutdown);
        };
        self.session = Some(session);
        match (done, stop) {
            // It came to its end after all: a client that is there has to know.
            (Ok(Ok(done)), None | Some(Stop::Failure(_))) => Ok(done),
            (_, Some(stop)) => Err(stop),
            (Ok(Err(error)), None) => Err(error.into()),
            (Err(panic), None) => {
                tracing::error!("a statement panicked");
                Err(Failure::internal(format!("internal error: {}", panic_text(&*panic))).into())
            }
        }
    }

    /// The session, for what needs no computing.
    pub fn session(&mut self) -> &mut Session {
        self.session
            .as_mut()
            .expect("a session does one thing at a time")
    }

    /// Has PostgreSQL answer.
    pub async fn relay(&mut self, run: &Run, request: Request) -> Result<Reply, Stop> {
        if request.is_ping() {
            return self.answer_ping(run, request).await;
        }
        self.relay_anew(run, request).await
    }

    async fn answer_ping(&mut self, run: &Run, request: Request) -> Result<Reply, Stop> {
        const KEPT: usize = 100;
        let shared = self.shared.clone();
        let pings = || shared.pings.lock().expect("never held over a panic");
        if let Some(reply) = pings().get(&request) {
            return Ok(reply.clone());
        }
        let reply = self.relay_anew(run, request.clone()).await?;
        let mut pings = pings();
        if pings.len() < KEPT {
            pings.insert(request, reply.clone());
        }
        Ok(reply)
    }

    async fn relay_anew(&mut self, run: &Run, request: Request) -> Result<Reply, Stop> {
        let catalogue = self.shared.catalogue.clone();
        let role = self.role.clone();
        let settings = self.settings.relayed();
        let settings = match request.is_show() {
            true => settings,
            false => self.session().with_temporary(settings),
        };
        let earlier = self.session().open_definitions();
        let warehouse = self.shared.warehouse.clone();
        let reply = self
            .guard(run, async move {
                warehouse.follow_lake().await;
                catalogue
                    .relay_after(&role, &earlier, &settings, request)
                    .await
            })
            .await??;
        Ok(reply)
    }

    /// Makes the engine's settings those of the session.
    pub fn apply_settings(&mut self) -> Result<()> {
        self.wire.charset = self.settings.charset();
        let mut wanted = self.settings.relayed();
        // The clock runs here, and only while the client waits: between two fetches of a cursor it stands still.
        wanted.insert("statement_timeout".into(), "0".into());
        if let Some(zone) = self.settings.get("timezone") {
            wanted.insert("timezone".into(), zone.to_owned());
        }
        let session = self.session();
        let gone: Vec<String> = session
            .settings()
            .keys()
            .filter(|name| !wanted.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            session.reset(&name);
        }
        for (name, value) in &wanted {
            if session.setting(name) != Some(value) {
                session.set(name, value)?;
            }
        }
        Ok(())
    }
}

impl Run {
    /// Fails if the time is up or the client has cancelled: what was begun meanwhile is not worth going on with.
    pub fn check(&self) -> Result<()> {
        if self.token.is_cancelled() {
            return Err(Failure::cancelled());
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Failure::timed_out()),
            _ => Ok(()),
        }
    }
}

/// Ends when the statement has to.
async fn interrupted(run: &Run, ended: &CancellationToken) -> Stop {
    let time_is_up = async {
        match run.deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = ended.cancelled() => Stop::Shutdown,
        () = run.token.cancelled() => Stop::Failure(Failure::cancelled()),
        () = time_is_up => Stop::Failure(Failure::timed_out()),
    }
}
