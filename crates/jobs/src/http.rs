//! `/metrics` for Prometheus; `/livez` and `/readyz` for whoever restarts servers and sends them clients.
//!
//! Three pages without a body to read, each on a connection of its own, are all that is spoken here of HTTP/1.1.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use rapport_engine::Warehouse;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Metrics;

const AT_ONCE: usize = 32;
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: u64 = 16 << 10;
const PLAIN: &str = "text/plain; charset=utf-8";
/// The version of Prometheus's text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

struct Page {
    status: &'static str,
    kind: &'static str,
    body: String,
}

/// Until `stop`; from then on nobody is told that the server is ready.
pub async fn serve(
    listener: TcpListener,
    warehouse: Warehouse,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut connections = JoinSet::new();
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else {
            return;
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = stop.cancelled() => return,
        };
        while connections.try_join_next().is_some() {}
        let (warehouse, metrics) = (warehouse.clone(), Arc::clone(&metrics));
        connections.spawn(async move {
            // Who does not listen to the answer needs none.
            let _ = tokio::time::timeout(PATIENCE, answer(stream, &warehouse, &metrics)).await;
            drop(turn);
        });
    }
}

async fn answer(
    mut stream: TcpStream,
    warehouse: &Warehouse,
    metrics: &Metrics,
) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut head = BufReader::new(reader).take(MAX_HEAD_BYTES);
    let mut request = String::new();
    head.read_line(&mut request).await?;
    let mut line = String::new();
    while head.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let mut words = request.split_whitespace();
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let path = target.split('?').next().unwrap_or_default();
    let page = match (method, path) {
        ("GET" | "HEAD", "/metrics") => Page {
            status: "200 OK",
            kind: METRICS,
            body: metrics.text(Utc::now()).await,
        },
        ("GET" | "HEAD", "/livez") => plain("200 OK", "alive"),
        ("GET" | "HEAD", "/readyz") => match ready(warehouse).await {
            Ok(()) => plain("200 OK", "ready"),
            Err(why) => plain("503 Service Unavailable", &why),
        },
        ("GET" | "HEAD", _) => plain("404 Not Found", "there are /metrics, /livez and /readyz"),
        _ => plain("405 Method Not Allowed", "GET and HEAD are allowed"),
    };
    let Page { status, kind, body } = page;
    let length = body.len();
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    if method != "HEAD" {
        text += &body;
    }
    writer.write_all(text.as_bytes()).await?;
    writer.shutdown().await
}

fn plain(status: &'static str, body: &str) -> Page {
    Page {
        status,
        kind: PLAIN,
        body: format!("{body}\n"),
    }
}

/// Whether a client's statement could be answered: the lake and the catalogue are there.
async fn ready(warehouse: &Warehouse) -> Result<(), String> {
    match warehouse.lake().exists().await {
        Ok(true) => {}
        Ok(false) => return Err("the lake is gone".into()),
        Err(_) => return Err("the lake can't be reached".into()),
    }
    let Some(catalogue) = warehouse.catalogue() else {
        return Ok(());
    };
    let asked = catalogue.list_roles().await;
    asked
        .map(drop)
        .map_err(|_| "the catalogue does not answer".into())
}
