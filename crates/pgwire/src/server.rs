//! Accepts connections, counts them, and lets them go at shutdown.

use std::time::Duration;

use rapport_engine::Warehouse;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("accepting a connection")]
    Accept(#[source] std::io::Error),
}

/// What bounds the endpoint; the command line fills it from its settings.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The runtime that queries compute on; the caller's own runtime only moves bytes.
    pub cpu: Handle,
    /// Connections beyond this are answered 53300.
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
}

impl ServerConfig {
    /// The defaults, with queries computed on `cpu`.
    pub fn new(cpu: Handle) -> Self {
        Self {
            cpu,
            max_connections: 100,
            login_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(120),
            idle_timeout: None,
            max_message_bytes: 256 << 20,
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

/// Serves until `shutdown` is cancelled and every connection has ended.
#[expect(clippy::todo)]
pub async fn serve(
    listener: TcpListener,
    warehouse: Warehouse,
    config: ServerConfig,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let _ = (listener, warehouse, config, shutdown);
    todo!()
}

/// A verifier (`SCRAM-SHA-256$4096:salt$stored:server`) for `password`, with a fresh salt: what the catalogue
/// stores in the password's place.
#[expect(clippy::todo)]
pub fn scram_verifier(password: &str) -> String {
    let _ = password;
    todo!()
}
