//! Real drivers against the server: `clients/<driver>/<subject>.py` (or `.mjs`), one test per function.
//!
//! A script is plain code of its driver: whoever knows the driver can read it. Functions whose names begin with an
//! underscore are helpers, all others are tests and take no argument. All scripts share one server and make their
//! own tables. With `RAPPORT_TEST_SERVER=postgres` they run against a real PostgreSQL instead, which is how we know
//! that they expect what PostgreSQL does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use libtest_mimic::Trial;

use crate::fixtures::postgres::{self, Postgres};
use crate::fixtures::trial::{skip, trial};
use crate::fixtures::warehouse::{Endpoint, Server, finish};
use crate::fixtures::{files, place, shared};

/// What runs or helps the scripts.
pub const HELPERS: &[&str] = &[
    "clients/one.py",
    "clients/one.mjs",
    "clients/server.py",
    "clients/server.mjs",
    "fixtures/make_container.mjs",
    "fixtures/s3.py",
];
const DRIVERS: &[&str] = &[
    "psql", "socket", "psycopg", "psycopg2", "asyncpg", "pg8000", "node",
];
/// A script that cannot run here ends with this code and the reason as its last line.
const SKIPPED: i32 = 77;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![];
    for script in scripts().expect("tests/clients can be read") {
        let text = fs::read_to_string(&script).expect("a script is UTF-8");
        let below = script
            .strip_prefix(folder())
            .expect("it was found there")
            .with_extension("");
        for test in functions(&text) {
            let script = script.clone();
            let name = format!("clients::{}::{test}", below.display()).replace('/', "::");
            trials.push(trial(name, move || run(&script, &test)));
        }
    }
    trials
}

fn folder() -> PathBuf {
    place::tests().join("clients")
}

/// Every script of a known driver, sorted.
pub fn scripts() -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    for driver in DRIVERS {
        for file in
            fs::read_dir(folder().join(driver)).with_context(|| format!("read clients/{driver}"))?
        {
            let file = file?.path();
            if file.extension().is_some_and(|e| e == "py" || e == "mjs") {
                found.push(file);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn functions(text: &str) -> Vec<String> {
    let starts = [
        "def ",
        "async def ",
        "export async function ",
        "export function ",
    ];
    text.lines()
        .filter_map(|line| starts.iter().find_map(|start| line.strip_prefix(start)))
        .filter_map(|rest| rest.split('(').next())
        .filter(|name| !name.starts_with('_'))
        .map(str::to_owned)
        .collect()
}

fn run(script: &Path, test: &str) -> Result<()> {
    let driver = script
        .parent()
        .and_then(Path::file_name)
        .context("a script lies in its driver's folder")?;
    let driver = driver.to_string_lossy();
    let mut command = match interpreter(&driver) {
        Ok(command) => command,
        Err(reason) => return skip(reason),
    };
    let (endpoint, _server) = match server() {
        Ok(server) => server,
        Err(error) => return Err(error).context("start the server of the client scripts"),
    };
    command.arg(script).arg(test).current_dir(folder());
    command
        .envs(endpoint.libpq())
        .env("SERVER_PROCESS", endpoint.process.to_string())
        .env("SERVER_ENGINE", endpoint.engine)
        .env("NODE_MODULES", place::node_modules());
    let done = finish(command)?;
    match done.code {
        Some(0) => Ok(()),
        Some(SKIPPED) => skip(
            done.stderr
                .trim()
                .lines()
                .last()
                .unwrap_or("no reason given"),
        ),
        _ => bail!("{}{}", done.stdout, done.stderr),
    }
}

/// What runs a driver's scripts, or why nothing can.
fn interpreter(driver: &str) -> Result<Command, String> {
    let missing =
        |what: &str| format!("{what} is not installed (tests/run installs it where it can)");
    match driver {
        "psql" | "socket" => {
            place::program("psql").ok_or_else(|| missing("psql"))?;
            let mut command =
                Command::new(place::program("python3").ok_or_else(|| missing("python3"))?);
            command.arg("one.py");
            Ok(command)
        }
        "node" => {
            if !place::node_modules().join("pg").exists() {
                return Err(missing("npm's pg"));
            }
            let mut command = Command::new(place::program("node").ok_or_else(|| missing("node"))?);
            command.arg("one.mjs");
            Ok(command)
        }
        _ => {
            let mut command = Command::new(
                place::python().ok_or_else(|| missing(&format!("Python's {driver}")))?,
            );
            command.arg("one.py");
            Ok(command)
        }
    }
}

/// Keeps the server that an endpoint belongs to.
type Kept = (Option<Arc<Server>>, Option<Arc<Postgres>>);

fn server() -> Result<(Endpoint, Kept)> {
    if std::env::var("RAPPORT_TEST_SERVER").is_ok_and(|server| server == "postgres") {
        if let Some(reason) = postgres::absent() {
            return skip(reason);
        }
        let postgres = shared::POSTGRES.get(Postgres::start)?;
        let endpoint = postgres.database()?;
        files::shop_in_postgres(&endpoint)?;
        return Ok((endpoint, (None, Some(postgres))));
    }
    let server = shared::SHOP.get(|| files::shop()?.serve())?;
    Ok((server.endpoint().clone(), (Some(server), None)))
}
