//! Accepts connections, counts them, and lets them go at shutdown.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use rapport_catalog_postgres::{Catalogue, Reply, Request};
use rapport_engine::Warehouse;
use rapport_models::Models;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connection;
use crate::counters::Counters;
use crate::registry::Registry;
use crate::sqlstate::Failure;
use crate::tls::Tls;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the endpoint needs a warehouse with a catalogue; this one was opened without")]
    NoCatalogue,
}

/// What bounds the endpoint; the command line fills it from its settings.
#[derive(Clone)]
pub struct ServerConfig {
    /// The runtime that queries compute on; the caller's own runtime only moves bytes.
    pub cpu: Handle,
    /// Those of the warehouse that is served.
    pub models: Models,
    /// Sessions beyond this are answered 53300.
    pub max_connections: usize,
    /// From the first byte to the end of the login.
    pub login_timeout: Duration,
    /// How long a client may take no byte of a waiting answer before it counts as gone.
    pub write_timeout: Duration,
    /// How long a session may be silent between statements; `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// The longest message a client may send once it is logged in.
    pub max_message_bytes: usize,
    /// How long running statements may go on after `shutdown` before they are ended with 57P01.
    pub shutdown_grace: Duration,
    /// Encryption, for clients that ask for it; `None`: they are told that there is none.
    pub tls: Option<Arc<Tls>>,
    /// What the answers about roles that do not exist are made of; the same over restarts, and nobody else's to know.
    pub secret: [u8; 32],
    /// Kept up to date; for whoever watches.
    pub counters: Arc<Counters>,
}

impl ServerConfig {
    /// The defaults, with queries computed on `cpu` and a secret that lasts until the process ends.
    pub fn new(cpu: Handle, models: Models) -> Self {
        Self {
            cpu,
            models,
            max_connections: 100,
            login_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(120),
            idle_timeout: None,
            max_message_bytes: 256 << 20,
            shutdown_grace: Duration::from_secs(5),
            tls: None,
            secret: rand::random(),
            counters: Arc::default(),
        }
    }
}

/// What all connections have in common.
pub struct Shared {
    pub warehouse: Warehouse,
    pub catalogue: Catalogue,
    pub config: ServerConfig,
    pub registry: Registry,
    /// What PostgreSQL has answered to those who ask whether somebody is there.
    pub pings: Mutex<HashMap<Request, Reply>>,
    /// A session holds one from its login to its end.
    pub sessions: Arc<Semaphore>,
    /// Sessions end when they have nothing to do.
    pub ending: CancellationToken,
    /// Sessions end now.
    pub ended: CancellationToken,
}

impl Shared {
    fn new(
        warehouse: Warehouse,
        config: ServerConfig,
        shutdown: CancellationToken,
    ) -> Result<Arc<Self>, Error> {
        let catalogue = warehouse.catalogue().ok_or(Error::NoCatalogue)?.clone();
        Ok(Arc::new(Self {
            warehouse,
            catalogue,
            registry: Registry::default(),
            pings: Mutex::default(),
            sessions: Arc::new(Semaphore::new(config.max_connections)),
            config,
            ending: shutdown,
            ended: CancellationToken::new(),
        }))
    }
}

/// Connections that have not logged in yet and may exist beside the sessions.
const STRANGERS: usize = 100;

/// Serves until `shutdown` is cancelled and every connection has ended.
pub async fn serve(
    listener: TcpListener,
    warehouse: Warehouse,
    config: ServerConfig,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let shared = Shared::new(warehouse, config, shutdown)?;
    let sockets = Arc::new(Semaphore::new(shared.config.max_connections + STRANGERS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shared.ending.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(permit) = sockets.clone().try_acquire_owned() else {
                    refuse(stream);
                    continue;
                };
                let shared = shared.clone();
                connections.spawn(async move {
                    serve_one(stream, peer, shared).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Of one client, or out of descriptors: neither is a reason to end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);

    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(shared.config.shutdown_grace, all_ended)
        .await
        .is_err()
    {
        shared.ended.cancel();
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        };
        // What does not even notice this is dropped with the set.
        let _ = tokio::time::timeout(Duration::from_secs(2), all_ended).await;
    }
    Ok(())
}

/// All that can be done when even strangers are too many: a word, if it fits.
fn refuse(stream: TcpStream) {
    let mut word = BytesMut::new();
    let message = Failure::too_many().into_message();
    if message.encode(&mut word).is_ok()
        && let Ok(mut stream) = stream.into_std()
    {
        let _ = stream.write(&word);
    }
}

async fn serve_one(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    // Answers are flushed when they are complete; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let _open = shared.config.counters.open();
    connection::serve(stream, peer, shared).await;
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}

/// A verifier (`SCRAM-SHA-256$4096:salt$stored:server`) for `password`, with a fresh salt: what the catalogue
/// stores in the password's place.
pub fn scram_verifier(password: &str) -> String {
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}
