//! Who is let in, how many, and how long somebody may be silent.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt as _, pin_mut};
use libtest_mimic::Trial;
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;

use crate::fixtures::trial::trials;
use crate::fixtures::warehouse::{Server, Warehouse};

pub fn trials() -> Vec<Trial> {
    trials!["commands";
        who_does_not_log_in_is_dropped,
        a_session_that_says_nothing_is_ended,
        a_client_that_takes_nothing_is_gone,
        clients_beyond_the_limit_are_refused,
        strangers_beyond_the_limit_are_refused,
    ]
}

fn serve(settings: &[(&'static str, &'static str)]) -> Result<Server> {
    Warehouse::init()?.serve_with(settings.iter().copied())
}

fn runtime() -> Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime)
}

fn open(server: &Server) -> Result<TcpStream> {
    let stream = TcpStream::connect((server.endpoint().host.as_str(), server.endpoint().port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// What is said until the connection ends.
fn rest(mut stream: &TcpStream) -> Result<String> {
    let mut said = vec![];
    stream
        .read_to_end(&mut said)
        .context("the connection does not end")?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn who_does_not_log_in_is_dropped() -> Result<()> {
    let server = serve(&[("RAPPORT_SERVE__LOGIN_TIMEOUT", "1s")])?;
    let silent = open(&server)?;
    let mut asked = open(&server)?;
    let start = b"\0\x03\0\0user\0tester\0\0";
    asked.write_all(&(start.len() as u32 + 4).to_be_bytes())?;
    asked.write_all(start)?;
    for stream in [&silent, &asked] {
        let said = rest(stream)?;
        ensure!(said.contains("57014"), "{said:?}");
    }
    Ok(())
}

fn a_session_that_says_nothing_is_ended() -> Result<()> {
    let server = serve(&[("RAPPORT_SERVE__IDLE_TIMEOUT", "1s")])?;
    let endpoint = server.endpoint();
    runtime()?.block_on(async {
        let (client, connection) = endpoint.config().connect(tokio_postgres::NoTls).await?;
        let connection = tokio::spawn(connection);
        // Work is not silence, however long it takes.
        client.query_one("SELECT pg_sleep(2)", &[]).await?;
        let ended = tokio::time::timeout(Duration::from_secs(20), connection).await??;
        let error = ended.err().context("an error tells why")?;
        ensure!(
            error.code() == Some(&SqlState::IDLE_SESSION_TIMEOUT),
            "{error:?}"
        );
        Ok(())
    })
}

fn a_client_that_takes_nothing_is_gone() -> Result<()> {
    let server = serve(&[
        ("RAPPORT_SERVE__WRITE_TIMEOUT", "1s"),
        ("RAPPORT_LOG__LEVEL", "warn,rapport_pgwire=debug"),
    ])?;
    runtime()?.block_on(async {
        let client = server.endpoint().connect().await?;
        // One row of the lake's, so that it is not the catalogue's question.
        let endless = "SELECT n::text FROM (SELECT count(*) FROM offers) AS o, generate_series(1, 1000000000000) AS g (n)";
        let none: [&str; 0] = [];
        let rows = client.query_raw(endless, none).await?;
        pin_mut!(rows);
        rows.next().await.context("a row")??;
        let started = Instant::now();
        while !server.log().contains("a client has gone") {
            ensure!(
                started.elapsed() < Duration::from_secs(30),
                "{}",
                server.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // What was on its way arrives, and then the end.
        while let Some(row) = rows.next().await {
            if row.is_err() {
                return Ok(());
            }
        }
        anyhow::bail!("the answer is whole")
    })
}

fn clients_beyond_the_limit_are_refused() -> Result<()> {
    let server = serve(&[("RAPPORT_SERVE__MAX_CONNECTIONS", "2")])?;
    runtime()?.block_on(async {
        let first = server.endpoint().connect().await?;
        let second = server.endpoint().connect().await?;
        let refused = server.endpoint().connect().await;
        let error = refused.err().context("the third is refused")?;
        ensure!(
            error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS),
            "{error:?}"
        );
        first.batch_execute("SELECT 1").await?;
        drop(second);
        becomes_free(&server)
            .await
            .context("the place of the second")
    })
}

/// A place for one session more.
async fn becomes_free(server: &Server) -> Result<()> {
    for _ in 0..100 {
        if server.endpoint().connect().await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("no place becomes free")
}

/// Beside the sessions there is room for a hundred who have not logged in.
fn strangers_beyond_the_limit_are_refused() -> Result<()> {
    let server = serve(&[("RAPPORT_SERVE__MAX_CONNECTIONS", "2")])?;
    runtime()?.block_on(async {
        let client = server.endpoint().connect().await?;
        let strangers = (0..101)
            .map(|_| open(&server))
            .collect::<Result<Vec<TcpStream>>>()?;
        let said = rest(&open(&server)?)?;
        ensure!(said.contains("53300"), "{said:?}");
        client.batch_execute("SELECT 1").await?;
        drop(strangers);
        becomes_free(&server).await
    })
}
