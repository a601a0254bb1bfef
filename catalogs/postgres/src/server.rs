//! Reaching a PostgreSQL server: the one in the child process, or one of the user's own.

use std::io;

use bytes::{Buf, BytesMut};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;

use crate::catalogue::Catalogue;
use crate::connection::{Connection, Socket, keep_first};
use crate::error::{Error, Result};
use crate::quote;
use crate::tls::{self, Tls};

/// A server of the user's own.
pub(crate) struct Server {
    /// Without the password.
    shown: String,
    config: tokio_postgres::Config,
    tls: Tls,
}

impl Server {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let bad = |what: String| Error::BadServer {
            url: without_password(url),
            what,
        };
        let (rest, tls) = tls::parse(url).map_err(bad)?;
        let config: tokio_postgres::Config =
            rest.parse().map_err(|error: tokio_postgres::Error| {
                bad(format!(
                    "{error}; write postgres://user:password@host:port/database"
                ))
            })?;
        Ok(Self {
            shown: without_password(url),
            config,
            tls,
        })
    }

    fn bad(&self, what: impl ToString) -> Error {
        Error::BadServer {
            url: self.shown.clone(),
            what: what.to_string(),
        }
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        let socket = self.socket().await.map_err(|error| self.bad(error))?;
        let user = self.config.get_user().unwrap_or("postgres");
        let database = self.config.get_dbname().unwrap_or(user);
        greet(socket, user, database, self.config.get_password())
            .await
            .map_err(|error| match error {
                Error::Postgres(fields) => self.bad(fields),
                error => error,
            })
    }

    /// Refuses a role that could not do what the catalogue has to, and keeps the name of the owner.
    ///
    /// Every statement runs as the client's own role (SET SESSION AUTHORIZATION), logins are checked against the
    /// verifiers in `pg_authid`, and roles are denied functions of `pg_catalog`: all of it is for superusers alone.
    /// [`Catalogue::OWNER`] may do everything, so nobody else may be called that.
    pub(crate) async fn check_role(&self, connection: &mut Connection) -> Result<()> {
        let owner = quote::literal(Catalogue::OWNER);
        let rows = connection
            .query(&format!(
                "SELECT r.rolsuper, o.rolsuper FROM pg_catalog.pg_roles r
                 LEFT JOIN pg_catalog.pg_roles o ON o.rolname = {owner} WHERE r.rolname = session_user"
            ))
            .await?;
        let is = |at: usize| rows.first().and_then(|row| row[at].as_deref());
        match (is(0), is(1)) {
            (Some("t"), Some("t")) => Ok(()),
            (Some("t"), None) => {
                let owner = quote::ident(Catalogue::OWNER);
                let reserve = format!("CREATE ROLE {owner} SUPERUSER NOLOGIN");
                connection.query(&reserve).await.map(drop)
            }
            (Some("t"), _) => Err(self.bad(format!(
                "its role {} is no superuser, and Rapport calls the owner of its own tables so",
                Catalogue::OWNER
            ))),
            _ => Err(self.bad(format!(
                "{} is no superuser, and the catalogue needs one: it reads password verifiers and runs statements as \
                 other roles",
                connection.user()
            ))),
        }
    }

    async fn socket(&self) -> io::Result<Box<dyn Socket>> {
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        match self.config.get_hosts().first() {
            Some(Host::Unix(_)) => socket(&self.config).await,
            Some(Host::Tcp(host)) => tls::encrypted(tcp(host, port).await?, host, &self.tls).await,
            None => tls::encrypted(tcp("localhost", port).await?, "localhost", &self.tls).await,
        }
    }

    /// Asks the server, in the background, to end what a connection is doing.
    pub(crate) fn cancel(&self, (process, secret): (i32, i32)) {
        let config = self.config.clone();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let mut message = BytesMut::new();
            frontend::cancel_request(process, secret, &mut message);
            if let Ok(mut socket) = socket(&config).await {
                let _ = socket.write_all(&message).await;
            }
        });
    }
}

/// Without TLS: all that a request to cancel needs.
async fn socket(config: &tokio_postgres::Config) -> io::Result<Box<dyn Socket>> {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match config.get_hosts().first() {
        Some(Host::Tcp(host)) => Ok(Box::new(tcp(host, port).await?)),
        Some(Host::Unix(dir)) => Ok(Box::new(
            UnixStream::connect(dir.join(format!(".s.PGSQL.{port}"))).await?,
        )),
        None => Ok(Box::new(tcp("localhost", port).await?)),
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn without_password(url: &str) -> String {
    match url
        .split_once("://")
        .and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)))
    {
        Some((scheme, (user, host))) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
        None => url.to_owned(),
    }
}

/// Logs in, and returns a connection that is ready for a statement.
pub(crate) async fn greet(
    socket: Box<dyn Socket>,
    user: &str,
    database: &str,
    password: Option<&[u8]>,
) -> Result<Connection> {
    let mut connection = Connection::new(socket, user);
    let parameters = [
        ("user", user),
        ("database", database),
        ("client_encoding", "UTF8"),
        ("application_name", "rapport"),
    ];
    connection.put(|out| frontend::startup_message(parameters, out))?;
    connection.send().await?;
    let mut scram = None;
    let mut failed = None;
    loop {
        let mut message = connection.receive().await?;
        match message.kind {
            b'R' => {
                let kind = message
                    .body
                    .try_get_u32()
                    .map_err(|_| refused("an empty request for authentication"))?;
                authenticate(
                    &mut connection,
                    kind,
                    &message.body,
                    user,
                    password,
                    &mut scram,
                )
                .await?;
            }
            b'E' => {
                keep_first(&mut failed, &message.body);
                return Err(failed.expect("it was just kept"));
            }
            b'Z' => return Ok(connection),
            _ => {}
        }
    }
}

async fn authenticate(
    connection: &mut Connection,
    kind: u32,
    body: &[u8],
    user: &str,
    password: Option<&[u8]>,
    scram: &mut Option<ScramSha256>,
) -> Result<()> {
    let password = || password.ok_or_else(|| refused("the server asks for a password"));
    match kind {
        0 => return Ok(()),
        3 => {
            let password = password()?;
            connection.put(|out| frontend::password_message(password, out))?;
        }
        5 => {
            let salt = body.try_into().map_err(|_| refused("an odd salt"))?;
            let hashed = md5_hash(user.as_bytes(), password()?, salt);
            connection.put(|out| frontend::password_message(hashed.as_bytes(), out))?;
        }
        10 => {
            let scram = scram.insert(ScramSha256::new(password()?, ChannelBinding::unsupported()));
            connection
                .put(|out| frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), out))?;
        }
        11 | 12 => {
            let scram = scram
                .as_mut()
                .ok_or_else(|| refused("an answer to no question"))?;
            if kind == 12 {
                return scram.finish(body).map_err(Error::Lost);
            }
            scram.update(body).map_err(Error::Lost)?;
            connection.put(|out| frontend::sasl_response(scram.message(), out))?;
        }
        _ => return Err(refused("a kind of authentication that is not supported")),
    }
    connection.send().await
}

fn refused(what: &str) -> Error {
    Error::Lost(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(
            without_password("postgres://ann:se:cr@t@db/x"),
            "postgres://ann@db/x"
        );
    }
}
