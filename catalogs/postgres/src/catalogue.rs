//! The catalogue as the rest of Rapport sees it, and the connections it keeps.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tracing::{debug, info};

use crate::connection::{Connection, Rows, Status};
use crate::error::{Error, Result};
use crate::functions::Declarations;
use crate::guard;
use crate::launch::Launcher;
use crate::server::Server;
use crate::system::SystemNames;

/// Connections of one process; beyond them, statements wait.
const MAX_CONNECTIONS: usize = 8;
/// How often a statement whose connection is lost is asked again.
const MAX_LOST: u32 = 2;

/// Session settings, as `SET` takes them: `search_path`, `TimeZone`, `DateStyle`, …
pub type Settings = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub struct Config {
    pub place: Place,
    /// Longest a client's statement may take before it is ended.
    pub statement_timeout: Duration,
}

#[derive(Clone, Debug)]
pub enum Place {
    /// A child process `exe __catalogue dir`, shared by all processes that open the same folder.
    Embedded { dir: PathBuf, exe: PathBuf },
    /// An ordinary PostgreSQL, 15 or later, as any superuser: `postgres://user:password@host:port/database`. Whatever the
    /// database held before belongs to Rapport from then on; roles are the server's, not the database's.
    Url(String),
}

/// Cheap to clone; the child process stays as long as one clone is left.
#[derive(Clone)]
pub struct Catalogue(Arc<Inner>);

struct Inner {
    place: Reached,
    statement_timeout: Duration,
    idle: Mutex<Vec<Connection>>,
    slots: Arc<Semaphore>,
    names: OnceCell<Arc<SystemNames>>,
    declarations: Mutex<Option<Declarations>>,
    /// Held by the long query that is asked aside.
    aside: tokio::sync::Mutex<()>,
}

enum Reached {
    Child(tokio::sync::Mutex<Launcher>),
    Server(Server),
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogue").finish_non_exhaustive()
    }
}

impl Catalogue {
    /// Who owns what Rapport itself creates: the superuser, whatever a server of the user's own calls him.
    pub const OWNER: &'static str = "postgres";

    /// Connects, starting the child process where none runs, and denies every role what none may have.
    pub async fn open(config: Config) -> Result<Catalogue> {
        let place = match config.place {
            Place::Embedded { dir, exe } => Reached::Child(Launcher::new(dir, exe).into()),
            Place::Url(url) => Reached::Server(Server::parse(&url)?),
        };
        let catalogue = Catalogue(Arc::new(Inner {
            place,
            statement_timeout: config.statement_timeout,
            idle: Mutex::default(),
            slots: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            names: OnceCell::new(),
            declarations: Mutex::default(),
            aside: tokio::sync::Mutex::default(),
        }));
        if let Reached::Server(server) = &catalogue.0.place {
            let mut lease = catalogue.lease().await?;
            server.check_role(&mut lease).await?;
            lease.give_back();
        }
        if catalogue.ask(guard::IS_SET).await? != [[Some("t".to_owned())]] {
            info!("setting up the catalogue");
            catalogue.transact(&guard::set()).await?;
        }
        Ok(catalogue)
    }

    /// Lets go of all idle connections. The child process ends two seconds after its last client.
    pub async fn shutdown(&self) {
        self.0.slots.close();
        self.idle().clear();
    }

    /// What has to be declared again when everything is dropped.
    pub(crate) fn keep_declarations(&self, declarations: Declarations) {
        *self.declarations() = Some(declarations);
    }

    pub(crate) fn declarations(&self) -> MutexGuard<'_, Option<Declarations>> {
        self.0
            .declarations
            .lock()
            .expect("no code panics while it holds this lock")
    }

    pub(crate) fn known_names(&self) -> &OnceCell<Arc<SystemNames>> {
        &self.0.names
    }

    pub(crate) fn aside(&self) -> &tokio::sync::Mutex<()> {
        &self.0.aside
    }

    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.0.place, Reached::Child(_))
    }

    /// The folder of an embedded catalogue, and the program that opens it.
    pub(crate) async fn folder(&self) -> Option<(PathBuf, PathBuf)> {
        match &self.0.place {
            Reached::Child(launcher) => Some(launcher.lock().await.place()),
            Reached::Server(_) => None,
        }
    }

    pub(crate) fn statement_timeout(&self) -> Duration {
        self.0.statement_timeout
    }

    /// Runs statements of our own that leave nothing behind; asks again if the connection is lost.
    pub(crate) async fn ask(&self, sql: &str) -> Result<Rows> {
        let mut attempts = Attempts::default();
        loop {
            let mut lease = self.lease().await?;
            let answer = lease.query(sql).await;
            if self.is_to_repeat(&answer, &mut attempts) {
                continue;
            }
            lease.give_back();
            return answer;
        }
    }

    /// Runs statements of our own as one transaction, and returns when it is durable.
    ///
    /// If the connection is lost, PostgreSQL is asked whether the transaction was committed, and it is run again only
    /// if it was not.
    pub(crate) async fn transact(&self, sql: &str) -> Result<()> {
        let mut attempts = Attempts::default();
        loop {
            let mut lease = self.lease().await?;
            let begun = lease
                .query(&format!("BEGIN;\n{sql};\n{CURRENT_TRANSACTION}"))
                .await;
            if self.is_to_repeat(&begun, &mut attempts) {
                continue;
            }
            let transaction = match begun {
                Ok(rows) => transaction_id(rows),
                Err(error) => {
                    lease.roll_back().await;
                    return Err(error);
                }
            };
            match self.commit(lease, &transaction).await {
                Err(Error::Lost(_)) if attempts.again() => {}
                result => return result,
            }
        }
    }

    /// Commits what `lease` has open. `Lost` means that it was not committed.
    pub(crate) async fn commit(&self, mut lease: Lease, transaction: &str) -> Result<()> {
        match lease.query("COMMIT").await {
            Err(Error::Lost(source)) => {
                drop(lease);
                self.idle().clear();
                let sql = format!("SELECT pg_catalog.pg_xact_status('{transaction}')");
                match Box::pin(self.ask(&sql)).await {
                    Ok(rows) if rows == [[Some("committed".to_owned())]] => Ok(()),
                    // Aborted, or so early that nobody has heard of it.
                    Ok(_) | Err(Error::Postgres(_)) => Err(Error::Lost(source)),
                    Err(error) => Err(error),
                }
            }
            result => {
                lease.give_back();
                result.map(drop)
            }
        }
    }

    /// Whether the connection was lost and there is still an attempt left.
    pub(crate) fn is_to_repeat<T>(&self, result: &Result<T>, attempts: &mut Attempts) -> bool {
        let Err(Error::Lost(source)) = result else {
            return false;
        };
        // The other connections led to the same process.
        self.idle().clear();
        debug!(%source, "lost the catalogue");
        attempts.again()
    }

    /// A connection for one transaction, outside of any.
    pub(crate) async fn lease(&self) -> Result<Lease> {
        let slot = self.0.slots.clone().acquire_owned().await;
        let slot = slot.map_err(|_| Error::Lost(std::io::ErrorKind::NotConnected.into()))?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(Lease {
            connection: Some(connection),
            home: self.clone(),
            _slot: slot,
        })
    }

    async fn connect(&self) -> Result<Connection> {
        match &self.0.place {
            Reached::Child(launcher) => {
                let mut lost = Attempts::default();
                loop {
                    let socket = launcher.lock().await.connect().await?;
                    // It may be leaving just now.
                    match crate::server::greet(Box::new(socket), "postgres", "rapport", None).await
                    {
                        Err(Error::Lost(_)) if lost.again() => {}
                        greeted => return greeted,
                    }
                }
            }
            Reached::Server(server) => server.connect().await,
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0
            .idle
            .lock()
            .expect("no code panics while it holds this lock")
    }
}

/// How often a lost connection was overcome.
#[derive(Default)]
pub(crate) struct Attempts(u32);

impl Attempts {
    fn again(&mut self) -> bool {
        self.0 += 1;
        self.0 <= MAX_LOST
    }
}

/// Ends the statements of a transaction; [`transaction_id`] reads it.
pub(crate) const CURRENT_TRANSACTION: &str = "SELECT pg_catalog.pg_current_xact_id()";

pub(crate) fn transaction_id(rows: Rows) -> String {
    let id = rows
        .into_iter()
        .next()
        .and_then(|row| row.into_iter().next().flatten());
    id.expect("pg_current_xact_id answers one number")
}

/// A connection in use. Dropping it ends whatever it is doing; [`Lease::give_back`] keeps it for the next.
pub(crate) struct Lease {
    connection: Option<Connection>,
    home: Catalogue,
    _slot: OwnedSemaphorePermit,
}

impl Lease {
    pub(crate) fn home(&self) -> Catalogue {
        self.home.clone()
    }

    /// Keeps the connection if it is out of any transaction.
    pub(crate) fn give_back(mut self) {
        if self.status() == Status::Idle
            && let Some(connection) = self.connection.take()
            && !self.home.0.slots.is_closed()
        {
            self.home.idle().push(connection);
        }
    }

    /// Ends the open transaction, and keeps the connection if that worked.
    pub(crate) async fn roll_back(mut self) {
        if self.query("ROLLBACK").await.is_ok() {
            self.give_back();
        }
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("only give_back takes it")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("only give_back takes it")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The child process ends a statement when its client goes; a server wants to be asked.
        if let (Some(connection), Reached::Server(server)) =
            (self.connection.take(), &self.home.0.place)
            && connection.is_waiting()
        {
            server.cancel(connection.key);
        }
    }
}
