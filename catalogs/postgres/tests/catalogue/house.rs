//! What every test here starts with: a catalogue in a folder of its own.

use std::path::Path;
use std::time::Duration;

use rapport_catalog_postgres::{Catalogue, Config, Error, Place, Reply, Request, Settings};
use tempfile::TempDir;

/// A verifier for the password "secret", as PostgreSQL writes them.
pub const VERIFIER: &str = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$R7V3y5cZ2uE6Yd6+W0ZbZz7Qn6p3mM0m1l8D3n8bqOQ=:kW6m7oR0xU5s1c1wXb5oYJw2b8mQ0m7h1sTqf4p8a9E=";

pub async fn open(dir: &Path) -> Catalogue {
    open_with(dir, Duration::from_secs(30)).await
}

pub async fn open_with(dir: &Path, statement_timeout: Duration) -> Catalogue {
    open_by(dir, statement_timeout)
        .await
        .expect("the catalogue opens")
}

pub async fn try_open(dir: &Path) -> Result<Catalogue, Error> {
    open_by(dir, Duration::from_secs(30)).await
}

async fn open_by(dir: &Path, statement_timeout: Duration) -> Result<Catalogue, Error> {
    let exe = std::env::current_exe().expect("this binary has a path");
    let place = Place::Embedded {
        dir: dir.to_owned(),
        exe,
    };
    Catalogue::open(Config {
        place,
        statement_timeout,
    })
    .await
}

/// A catalogue with the user `ann`.
pub async fn with_ann() -> (TempDir, Catalogue) {
    let dir = TempDir::new().expect("a temporary folder");
    let catalogue = open(dir.path()).await;
    catalogue
        .create_role("ann", VERIFIER, false)
        .await
        .expect("a new role");
    (dir, catalogue)
}

pub async fn ask(catalogue: &Catalogue, role: &str, sql: &str) -> Result<Reply, Error> {
    catalogue
        .relay(role, &Settings::new(), Request::Simple(sql.into()))
        .await
}

/// The rows as text, `|` between columns.
pub fn text(reply: &Reply) -> Vec<String> {
    reply
        .rows
        .iter()
        .map(|row| columns(row).join("|"))
        .collect()
}

fn columns(row: &[u8]) -> Vec<String> {
    let n = u16::from_be_bytes([row[0], row[1]]);
    let mut rest = &row[2..];
    (0..n)
        .map(|_| {
            let length = i32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
            rest = &rest[4..];
            match usize::try_from(length) {
                Ok(length) => {
                    let value = String::from_utf8_lossy(&rest[..length]).into_owned();
                    rest = &rest[length..];
                    value
                }
                Err(_) => "NULL".into(),
            }
        })
        .collect()
}

pub async fn check(catalogue: &Catalogue, role: &str, sql: &str, expected: &[&str]) {
    let reply = ask(catalogue, role, sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(text(&reply), expected, "{sql}");
}

pub async fn check_refused(catalogue: &Catalogue, role: &str, sql: &str, code: &str) {
    let refused = ask(catalogue, role, sql)
        .await
        .map(|reply| text(&reply))
        .expect_err(sql);
    let found = match &refused {
        Error::Postgres(fields) => fields.code.as_str(),
        Error::NotSupported(_) => "0A000",
        Error::TimedOut => "57014",
        other => panic!("{sql}: {other}"),
    };
    assert_eq!(found, code, "{sql}: {refused}");
}

/// Kills the child of a folder as a power cut would.
pub fn kill(dir: &Path) {
    let socket = std::os::unix::net::UnixStream::connect(dir.join(".s.PGSQL.5432"))
        .expect("the child answers");
    drop(socket);
    let pid = pid(dir);
    let status = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status();
    assert!(status.expect("kill runs").success());
}

/// The process that works in a folder.
pub fn pid(dir: &Path) -> u32 {
    let dir = dir.canonicalize().expect("the folder is there");
    let processes = std::fs::read_dir("/proc").expect("a Linux");
    let mut pids =
        processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let works_here = |pid: &u32| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
        cwd.as_deref() == Some(&dir) && command.windows(11).any(|window| window == b"__catalogue")
    };
    pids.find(works_here).expect("a child works in the folder")
}
