//! PostgreSQL itself: opened in the catalogue's folder, given bytes, asked for bytes.

use std::fs;
use std::path::Path;

use pglite_oxide::{ExecProtocolOptions, Pglite};
use postgres_protocol::message::frontend;

use super::Failure;
use super::durable::Durable;

/// The database that clients see.
const DATABASE: &str = "rapport";

/// Written once the folder holds a database of ours; a later layout gets a later number.
const FORMAT: &str = "1\n";

/// Startup settings. Not `fsync`, which pglite-oxide turns off: inside the sandbox it fails on folders, and a
/// checkpoint panics over it. `durable.rs` does from outside what it would do.
const SETTINGS: [(&str, &str); 5] = [
    ("search_path", "\"$user\", public"),
    ("shared_buffers", "32MB"),
    ("wal_buffers", "1MB"),
    ("min_wal_size", "32MB"),
    ("max_wal_size", "64MB"),
];

/// A single-user PostgreSQL starts without having set this, and then `ROLLBACK` does not undo
/// `SET LOCAL SESSION AUTHORIZATION`: the next statement would still run as the last one's role.
const BE_SUPERUSER: &str = "SET SESSION AUTHORIZATION postgres";

pub(super) struct Backend {
    pglite: Pglite,
    durable: Durable,
    server_version: String,
}

pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// PostgreSQL is out of any transaction.
    pub(super) is_idle: bool,
}

impl Backend {
    pub(super) fn open(dir: &Path) -> Result<Self, Failure> {
        let data = dir.join("data");
        let format = dir.join("format");
        if !format.exists() {
            make(&data)?;
            fs::write(&format, FORMAT)?;
        }
        let found = fs::read_to_string(&format)?;
        if found != FORMAT {
            return Err(format!(
                "it has format {}, this program knows {}; use a newer rapport",
                found.trim(),
                FORMAT.trim()
            )
            .into());
        }
        let mut pglite = match start(&data, DATABASE) {
            Ok(pglite) => pglite,
            Err(damage) => start_anew(dir, &data, damage)?,
        };
        ask(&mut pglite, BE_SUPERUSER)?;
        let server_version = ask(&mut pglite, "SHOW server_version")?;
        let durable = Durable::new(data);
        Ok(Self {
            pglite,
            durable,
            server_version,
        })
    }

    pub(super) fn server_version(&self) -> &str {
        &self.server_version
    }

    /// Runs messages up to one that PostgreSQL answers. What it commits is on disk before this returns.
    pub(super) fn run(&mut self, messages: &[u8]) -> Answer {
        let bytes = send(&mut self.pglite, messages).unwrap_or_else(|error| give_up(&error));
        let mut is_idle = false;
        let mut wrote = false;
        for (kind, body) in frames(&bytes) {
            match kind {
                b'Z' => is_idle = body == b"I",
                b'C' => wrote |= !is_read(body),
                _ => {}
            }
        }
        if is_idle && wrote {
            self.durable.sync().unwrap_or_else(|error| give_up(&error));
        }
        Answer { bytes, is_idle }
    }

    pub(super) fn roll_back(&mut self) {
        self.run(&query("ROLLBACK"));
        self.run(&query("DISCARD ALL"));
        self.run(&query(BE_SUPERUSER));
    }

    pub(super) fn close(mut self) {
        stop(self.pglite);
        if let Err(error) = self.durable.sync() {
            eprintln!("could not sync the catalogue: {error}");
        }
    }
}

/// An empty database of ours.
fn make(data: &Path) -> Result<(), Failure> {
    let _ = fs::remove_dir_all(data);
    let mut pglite = start(data, "template1")?;
    ask(&mut pglite, "ALTER DATABASE postgres RENAME TO rapport")?;
    stop(pglite);
    Ok(())
}

/// PostgreSQL can't open its files (a torn disk). All that they held is in the lake, and an empty catalogue is restored
/// from there; so they are put aside. But not if the trouble is elsewhere, and a new database can't be made either.
fn start_anew(dir: &Path, data: &Path, damage: Failure) -> Result<Pglite, Failure> {
    let fresh = dir.join("data.new");
    if let Err(error) = make(&fresh) {
        eprintln!("no new database either: {error}");
        return Err(damage);
    }
    let aside = dir.join("data.damaged");
    eprintln!("put damaged files aside in data.damaged: {damage}");
    let _ = fs::remove_dir_all(&aside);
    fs::rename(data, aside)?;
    fs::rename(fresh, data)?;
    start(data, DATABASE)
}

/// A backend that failed in a way PostgreSQL does not report is not to be trusted with another statement.
fn give_up(error: &Failure) -> ! {
    eprintln!("the catalogue's PostgreSQL failed: {error}");
    std::process::exit(70);
}

fn start(data: &Path, database: &str) -> Result<Pglite, Failure> {
    let opened = Pglite::builder()
        .path(data)
        .database(database)
        .postgres_configs(SETTINGS)
        .open();
    opened.map_err(|error| format!("could not open database {database}: {error:#}").into())
}

/// With a checkpoint, so that the next start has nothing to recover.
fn stop(mut pglite: Pglite) {
    if let Err(error) = ask(&mut pglite, "CHECKPOINT") {
        eprintln!("no checkpoint at the end: {error}");
    }
    if let Err(error) = pglite.close() {
        eprintln!("PostgreSQL did not stop cleanly: {error:#}");
    }
}

fn query(sql: &str) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    frontend::query(sql, &mut out).expect("our own statements have no zero byte");
    out.to_vec()
}

fn send(pglite: &mut Pglite, messages: &[u8]) -> Result<Vec<u8>, Failure> {
    let answer = pglite.exec_protocol_raw(messages, ExecProtocolOptions::no_sync());
    answer.map_err(|error| format!("{error:#}").into())
}

/// The first column of the first row, or nothing.
fn ask(pglite: &mut Pglite, sql: &str) -> Result<String, Failure> {
    let answer = send(pglite, &query(sql))?;
    let mut value = String::new();
    for (kind, body) in frames(&answer) {
        match kind {
            b'E' => {
                return Err(format!(
                    "{sql}: {}",
                    String::from_utf8_lossy(body).replace('\0', " ")
                )
                .into());
            }
            b'D' if body.len() > 6 => value = String::from_utf8_lossy(&body[6..]).into_owned(),
            _ => {}
        }
    }
    Ok(value)
}

/// Whether a command with this tag leaves nothing behind.
fn is_read(tag: &[u8]) -> bool {
    let verb = tag.split(|byte| matches!(byte, b' ' | 0)).next();
    matches!(
        verb,
        Some(
            b"SELECT"
                | b"SHOW"
                | b"BEGIN"
                | b"START"
                | b"SET"
                | b"RESET"
                | b"ROLLBACK"
                | b"EXPLAIN"
                | b"DISCARD"
        )
    )
}

/// The messages of an answer: kind and body.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (head, _) = bytes.split_first_chunk::<5>()?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let body = bytes.get(5..1 + length)?;
        bytes = &bytes[1 + length..];
        Some((head[0], body))
    })
}
