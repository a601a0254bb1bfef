//! How fast does the endpoint answer, beside PostgreSQL on the same machine, in the same run, through the same client?
//!
//! Rows out as text and binary, by query and by COPY, with the memory that the server took for them; `select 1` and a
//! look-up of one customer at 1, 8 and 64 clients; memory of an idle connection; log-ins a second. Both servers get the same
//! rows by the same COPY, in the order of their customers; PostgreSQL also gets the index that it needs for the look-up.
//!
//! Rows go to a driver, and once more to a client that takes the bytes and looks at none: a driver needs longer for a row
//! than a server may.

#[expect(dead_code, reason = "only its median is wanted here")]
mod bench;
#[path = "../tests/fixtures"]
#[expect(dead_code, reason = "the tests use all of it")]
mod fixtures {
    pub mod failure;
    pub mod files;
    pub mod place;
    pub mod postgres;
    pub mod process;
    pub mod seats;
    pub mod shared;
    pub mod tls;
    pub mod warehouse;
    pub mod worker;
}

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bench::median;
use bytes::Bytes;
use fixtures::postgres::{self, Postgres};
use fixtures::warehouse::{Endpoint, Warehouse};
use fixtures::{place, tls};
use futures::{SinkExt, StreamExt, future};
use tokio_postgres::{Client, SimpleQueryMessage};

const ROWS_A_CUSTOMER: u64 = 30;
const RUNS: usize = 3;
const CLIENTS: [usize; 3] = [1, 8, 64];
const IDLE: usize = 1_000;
/// Of each measurement of latencies.
const DURATION: Duration = Duration::from_secs(3);

const TABLE: &str = "CREATE TABLE mixed (id bigint, customer integer, at timestamp with time zone, day date, \
                     amount numeric(18,2), score double precision, channel text, paid boolean)";
const ALL: &str = "SELECT id, customer, at, day, amount, score, channel, paid FROM mixed";

fn main() -> Result<()> {
    if let Some(reason) = postgres::absent() {
        println!("wire: skipped, {reason}");
        return Ok(());
    }
    let rows: u64 = match std::env::var("RAPPORT_BENCH_ROWS") {
        Ok(text) => text
            .replace('_', "")
            .parse()
            .context("RAPPORT_BENCH_ROWS=5000000")?,
        Err(_) => 5_000_000,
    };
    let warehouse = Warehouse::init()?;
    let settings = format!("[serve]\nmax_connections = {}\n", IDLE + 100);
    fs::write(warehouse.folder().join("rapport.toml"), settings)?;
    let server = warehouse.serve_with(tls::settings())?;
    let postgres = Postgres::start()?;
    let sides = [server.endpoint().clone(), postgres.database()?];
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(measure(&sides, rows))?;
    Warehouse::stop_template();
    Ok(())
}

async fn measure(sides: &[Endpoint; 2], rows: u64) -> Result<()> {
    println!("| {rows} rows of 8 columns | Rapport | PostgreSQL | ratio |");
    println!("|---|---|---|---|");
    let (mut ours, mut theirs) = (fill(&sides[0], rows).await?, fill(&sides[1], rows).await?);
    line("COPY FROM, rows/s", ours, theirs);
    for way in [
        Way::Text,
        Way::Binary,
        Way::CopyText,
        Way::CopyCsv,
        Way::CopyBinary,
    ] {
        let mut memory = [0.0_f64; 2];
        let mut speeds = [vec![], vec![]];
        for _ in 0..RUNS {
            for (side, endpoint) in sides.iter().enumerate() {
                let (speed, bytes) = rows_out(endpoint, way, rows).await?;
                speeds[side].push(speed);
                memory[side] = memory[side].max(bytes);
            }
        }
        [ours, theirs] = speeds.map(median);
        line(&format!("{way:?} out to a driver, rows/s"), ours, theirs);
        let mut speeds = [vec![], vec![]];
        for _ in 0..RUNS {
            for (side, endpoint) in sides.iter().enumerate() {
                speeds[side].push(bytes_out(endpoint, way, rows).await?);
            }
        }
        [ours, theirs] = speeds.map(median);
        line(&format!("{way:?} out, rows/s"), ours, theirs);
        let megabytes = memory.map(|bytes| bytes / 1e6);
        line("… most memory over base, MB", megabytes[0], megabytes[1]);
    }
    let customers = rows / ROWS_A_CUSTOMER;
    for (what, sql) in [
        ("select 1", "SELECT 1"),
        (
            "one customer",
            "SELECT at, channel, amount FROM mixed WHERE customer = $1",
        ),
    ] {
        for clients in CLIENTS {
            let ours = latencies(&sides[0], sql, clients, customers).await?;
            let theirs = latencies(&sides[1], sql, clients, customers).await?;
            for (name, ours, theirs) in [
                ("p50, ms", ours.middle, theirs.middle),
                ("p99, ms", ours.slow, theirs.slow),
                ("a second", ours.a_second, theirs.a_second),
            ] {
                line(&format!("{what}, {clients} clients, {name}"), ours, theirs);
            }
        }
    }
    let ours = idle(&sides[0], IDLE).await?;
    // PostgreSQL takes 100 connections unless told otherwise; one of its processes is like another.
    let theirs = idle(&sides[1], 50).await?;
    line("memory of an idle connection, kB", ours / 1e3, theirs / 1e3);
    let (ours, theirs) = (logins(&sides[0]).await?, logins(&sides[1]).await?);
    line("log-ins a second (SCRAM), 8 at a time", ours, theirs);
    let (ours, theirs) = (tls_logins(&sides[0])?, tls_logins(&sides[1])?);
    line(
        "log-ins a second (TLS 1.3 and SCRAM), libpq, 2 at a time",
        ours,
        theirs,
    );
    Ok(())
}

fn line(what: &str, ours: f64, theirs: f64) {
    let digits = if ours.max(theirs) < 100.0 { 3 } else { 0 };
    println!(
        "| {what} | {ours:.digits$} | {theirs:.digits$} | {:.2} |",
        ours / theirs
    );
}

/// Rows a second of `COPY … FROM STDIN`.
async fn fill(endpoint: &Endpoint, rows: u64) -> Result<f64> {
    let client = endpoint.connect().await?;
    client.batch_execute(TABLE).await?;
    let start = Instant::now();
    let mut sink = pin!(client.copy_in::<_, Bytes>("COPY mixed FROM STDIN").await?);
    let mut chunk = String::new();
    for id in 0..rows {
        push_row(&mut chunk, id);
        if chunk.len() > 1 << 16 || id + 1 == rows {
            sink.send(Bytes::from(std::mem::take(&mut chunk))).await?;
        }
    }
    let copied = sink.finish().await?;
    let took = start.elapsed().as_secs_f64();
    if copied != rows {
        bail!("{} took {copied} of {rows} rows", endpoint.engine);
    }
    if endpoint.engine == "postgres" {
        client
            .batch_execute("CREATE INDEX ON mixed (customer)")
            .await?;
        client.batch_execute("VACUUM ANALYZE mixed").await?;
    }
    Ok(rows as f64 / took)
}

fn push_row(out: &mut String, id: u64) {
    const CHANNELS: [&str; 6] = ["web", "app", "store", "phone", "chat", "e-mail"];
    let mixed = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let (month, day) = (mixed % 12 + 1, mixed / 16 % 28 + 1);
    writeln!(
        out,
        "{id}\t{}\t2024-{month:02}-{day:02} {:02}:{:02}:{:02}.{:06}+00\t2024-{month:02}-{day:02}\t{}.{:02}\t{}\t{}\t{}",
        id / ROWS_A_CUSTOMER,
        mixed % 24,
        mixed / 32 % 60,
        mixed / 64 % 60,
        mixed % 1_000_000,
        mixed % 900,
        mixed % 100,
        (mixed % 10_007) as f64 / 128.0,
        CHANNELS[(mixed % 6) as usize],
        if mixed.is_multiple_of(3) { "t" } else { "f" },
    )
    .expect("a string takes everything");
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Text,
    Binary,
    CopyText,
    CopyCsv,
    CopyBinary,
}

/// Rows a second, and the most memory in bytes that the server had over what it had before.
async fn rows_out(endpoint: &Endpoint, way: Way, rows: u64) -> Result<(f64, f64)> {
    let client = endpoint.connect().await?;
    let process = server_process(&client, endpoint).await?;
    let base = memory(process, "VmRSS")?;
    // From here on the peak counts anew.
    let resets = fs::write(format!("/proc/{process}/clear_refs"), "5").is_ok();
    let start = Instant::now();
    let got = match way {
        Way::Text => count_text(&client).await?,
        Way::Binary => count_binary(&client).await?,
        Way::CopyText => {
            drain(&client, "text").await?;
            rows
        }
        Way::CopyCsv => {
            drain(&client, "csv").await?;
            rows
        }
        Way::CopyBinary => {
            drain(&client, "binary").await?;
            rows
        }
    };
    let took = start.elapsed().as_secs_f64();
    if got != rows {
        bail!("{}: {got} of {rows} rows came", endpoint.engine);
    }
    let over = match resets {
        true => (memory(process, "VmHWM")? - base).max(0.0),
        false => f64::NAN,
    };
    Ok((rows as f64 / took, over))
}

async fn count_text(client: &Client) -> Result<u64> {
    let mut stream = pin!(client.simple_query_raw(ALL).await?);
    let mut rows = 0;
    while let Some(message) = stream.next().await {
        rows += u64::from(matches!(message?, SimpleQueryMessage::Row(_)));
    }
    Ok(rows)
}

async fn count_binary(client: &Client) -> Result<u64> {
    let none: [&str; 0] = [];
    let mut stream = pin!(client.query_raw(ALL, none).await?);
    let mut rows = 0;
    while let Some(row) = stream.next().await {
        row?;
        rows += 1;
    }
    Ok(rows)
}

async fn drain(client: &Client, format: &str) -> Result<()> {
    let sql = format!("COPY ({ALL}) TO STDOUT (FORMAT {format})");
    let mut stream = pin!(client.copy_out(&sql).await?);
    while let Some(chunk) = stream.next().await {
        chunk?;
    }
    Ok(())
}

/// Rows a second to a client that reads the bytes and looks at none but the last.
async fn bytes_out(endpoint: &Endpoint, way: Way, rows: u64) -> Result<f64> {
    let mut stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port))?;
    let logging_in = stream.try_clone()?;
    logging_in.set_nonblocking(true)?;
    // The connection is never driven: what comes after the log-in is read here.
    let _logged_in = tokio_postgres::Config::new()
        .user(&endpoint.user)
        .password(&endpoint.password)
        .dbname(&endpoint.database)
        .connect_raw(
            tokio::net::TcpStream::from_std(logging_in)?,
            tokio_postgres::NoTls,
        )
        .await?;
    stream.set_nonblocking(false)?;
    let start = Instant::now();
    stream.write_all(&question(way))?;
    let mut chunk = vec![0; 1 << 20];
    let mut last: Vec<u8> = vec![];
    while !last.ends_with(b"Z\0\0\0\x05I") {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            bail!("{} has hung up", endpoint.engine);
        }
        last.extend_from_slice(&chunk[read.saturating_sub(64)..read]);
        last.drain(..last.len().saturating_sub(64));
    }
    let took = start.elapsed().as_secs_f64();
    let told = format!(" {rows}\0Z");
    if !String::from_utf8_lossy(&last).contains(&told) {
        bail!("{} did not send {rows} rows", endpoint.engine);
    }
    Ok(rows as f64 / took)
}

/// The messages that ask for all rows.
fn question(way: Way) -> Vec<u8> {
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).expect("a short message");
        [&[kind], length.to_be_bytes().as_slice(), body].concat()
    };
    let query = |sql: &str| message(b'Q', format!("{sql}\0").as_bytes());
    let copy = |format: &str| query(&format!("COPY ({ALL}) TO STDOUT (FORMAT {format})"));
    match way {
        Way::Text => query(ALL),
        Way::Binary => [
            message(b'P', format!("\0{ALL}\0\0\0").as_bytes()),
            // No parameters, all columns in binary.
            message(b'B', &[0, 0, 0, 0, 0, 0, 0, 1, 0, 1]),
            message(b'E', &[0; 5]),
            message(b'S', &[]),
        ]
        .concat(),
        Way::CopyText => copy("text"),
        Way::CopyCsv => copy("csv"),
        Way::CopyBinary => copy("binary"),
    }
}

/// The process that serves this connection: PostgreSQL has one for each.
async fn server_process(client: &Client, endpoint: &Endpoint) -> Result<u32> {
    if endpoint.engine != "postgres" {
        return Ok(endpoint.process);
    }
    let process: i32 = client
        .query_one("SELECT pg_backend_pid()", &[])
        .await?
        .get(0);
    Ok(u32::try_from(process)?)
}

/// Bytes of one of the lines of `/proc/<process>/status`.
fn memory(process: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line[1..].trim().strip_suffix(" kB"));
    Ok(kilobytes.context("memory")?.trim().parse::<f64>()? * 1024.0)
}

struct Latencies {
    /// Milliseconds.
    middle: f64,
    slow: f64,
    a_second: f64,
}

async fn latencies(
    endpoint: &Endpoint,
    sql: &str,
    clients: usize,
    customers: u64,
) -> Result<Latencies> {
    let opened = future::try_join_all((0..clients).map(|_| endpoint.connect())).await?;
    let sql: Arc<str> = sql.into();
    let asking = opened.into_iter().enumerate().map(|(n, client)| {
        let sql = Arc::clone(&sql);
        tokio::spawn(async move { ask(&client, &sql, n as u64, customers).await })
    });
    let mut all = vec![];
    for asked in future::try_join_all(asking).await? {
        all.extend(asked?);
    }
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    Ok(Latencies {
        middle: at(0.5),
        slow: at(0.99),
        a_second: all.len() as f64 / DURATION.as_secs_f64(),
    })
}

/// Milliseconds of each of the statements that a session gets answered in [`DURATION`].
async fn ask(client: &Client, sql: &str, n: u64, customers: u64) -> Result<Vec<f64>> {
    let statement = client.prepare(sql).await?;
    let by_customer = !statement.params().is_empty();
    let (start, mut took) = (Instant::now(), vec![]);
    let mut customer = n * 7_919;
    while start.elapsed() < DURATION {
        customer = (customer + 104_729) % customers;
        let key = i32::try_from(customer)?;
        let asked = Instant::now();
        let rows = match by_customer {
            true => client.query(&statement, &[&key]).await?.len() as u64,
            false => client.query(&statement, &[]).await?.len() as u64,
        };
        took.push(asked.elapsed().as_secs_f64() * 1e3);
        let expected = if by_customer { ROWS_A_CUSTOMER } else { 1 };
        if rows != expected {
            bail!("{rows} rows of customer {customer}");
        }
    }
    Ok(took)
}

/// Bytes of memory that one more connection costs the server, after a statement in it.
async fn idle(endpoint: &Endpoint, connections: usize) -> Result<f64> {
    let before = whole_memory(endpoint.process)?;
    let mut open = vec![];
    for _ in 0..connections {
        let client = endpoint.connect().await?;
        client.simple_query("SELECT 1").await?;
        open.push(client);
    }
    Ok((whole_memory(endpoint.process)? - before) / connections as f64)
}

/// Bytes of the process and all its children, shared ones counted once.
fn whole_memory(process: u32) -> Result<f64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let mut bytes = kilobytes.context("Pss")?.trim().parse::<f64>()? * 1024.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let children = fs::read_to_string(thread?.path().join("children"))?;
        for child in children.split_whitespace() {
            bytes += whole_memory(child.parse()?)?;
        }
    }
    Ok(bytes)
}

async fn logins(endpoint: &Endpoint) -> Result<f64> {
    let start = Instant::now();
    let one_after_another = || async {
        let mut logins = 0_u32;
        while start.elapsed() < DURATION {
            endpoint.connect().await?;
            logins += 1;
        }
        anyhow::Ok(logins)
    };
    let all = future::try_join_all((0..8).map(|_| one_after_another())).await?;
    Ok(f64::from(all.iter().sum::<u32>()) / start.elapsed().as_secs_f64())
}

/// By libpq, which checks the server's certificate; not a number where its Python driver is not installed.
fn tls_logins(endpoint: &Endpoint) -> Result<f64> {
    const LOG_IN: &str = "import psycopg, sys, time
start, n = time.time(), 0
while time.time() - start < float(sys.argv[1]):
    psycopg.connect(sslmode='verify-ca').close()
    n += 1
print(n)";
    let python = place::tests().join(".env/bin/python");
    let certificate = tls::file("ca.crt");
    let started = (0..2).map(|_| {
        std::process::Command::new(&python)
            .args(["-c", LOG_IN, &DURATION.as_secs().to_string()])
            .envs(endpoint.libpq())
            .env("PGSSLROOTCERT", &certificate)
            .stdout(std::process::Stdio::piped())
            .spawn()
    });
    let Ok(started) = started.collect::<std::io::Result<Vec<_>>>() else {
        return Ok(f64::NAN);
    };
    let mut logins = 0.0;
    for process in started {
        let output = process.wait_with_output()?;
        logins += String::from_utf8(output.stdout)?.trim().parse::<f64>()?;
    }
    Ok(logins / DURATION.as_secs_f64())
}
