//! Real drivers against the server: `clients/<driver>/<subject>.py` (or `.mjs`, `.java`), one check per function.
//!
//! A script is plain code of its driver: whoever knows the driver can read it. Files and functions whose names begin with
//! an underscore are helpers, all others are checks and take no argument. Every check runs on a real PostgreSQL first, with
//! the tables of `clients/schema.sql` as on Rapport: one that fails there asks for something else than PostgreSQL does.
//! What a check returns must be the same on both. Behind its head each names the features that it is a check of, and
//! `clients/table.py` makes CLIENTS.md of that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::fixtures::place;
use crate::fixtures::postgres::{self, Postgres};
use crate::fixtures::seats::{self, Seat};
use crate::fixtures::tls;
use crate::fixtures::trial::{fault, skip, trial};
use crate::fixtures::warehouse::Endpoint;
use crate::fixtures::worker::{Outcome, Worker};

/// What runs or helps the scripts, and what a developer runs by hand.
pub const HELPERS: &[&str] = &[
    "clients/one.py",
    "clients/one.mjs",
    "clients/One.java",
    "clients/server.py",
    "clients/table.py",
    "clients/wire.py",
    "clients/server.mjs",
    "clients/Server.java",
    "clients/npgsql/_dotnet.py",
    "fixtures/make_container.mjs",
    "fixtures/s3.py",
    "slt/draw.py",
    "slt/record.py",
];
const DRIVERS: &[&str] = &[
    "psql",
    "socket",
    "psycopg",
    "psycopg2",
    "asyncpg",
    "pg8000",
    "pgjdbc",
    "npgsql",
    "psqlodbc",
    "sqlalchemy",
    "adbc",
    "connectorx",
    "duckdb",
    "clickhouse",
    "implicit",
    "node",
    "dbt",
    "pgbench",
    "pgcli",
];

/// What the catalogue has a part in: all of it is tried with a PostgreSQL of the user's own in its place too.
const OF_DEFINITIONS: [&str; 2] = ["psql/describe", "psycopg/sessions"];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![];
    let mut names = vec![];
    for script in scripts().expect("tests/clients can be read") {
        let text = fs::read_to_string(&script).expect("a script is UTF-8");
        let below = script
            .strip_prefix(folder())
            .expect("it was found there")
            .with_extension("");
        for test in functions(&text) {
            let script = script.clone();
            let name = format!("clients::{}::{test}", below.display()).replace('/', "::");
            names.push(name.clone());
            trials.push(trial(name, move || run(&script, &test)));
        }
        if OF_DEFINITIONS.contains(&below.to_string_lossy().as_ref()) {
            let name = format!("clients::{}::own_catalogue", below.display()).replace('/', "::");
            trials.push(trial(name, move || run_with_own_catalogue(&script, &text)));
        }
    }
    trials.push(trial("clients::table".to_owned(), move || {
        the_table_is_of_these_checks(&names)
    }));
    trials
}

/// CLIENTS.md counts the checks that are run here, and no others.
fn the_table_is_of_these_checks(checks: &[String]) -> Result<()> {
    let Some(python) = place::program("python3") else {
        return skip("python3 is not installed");
    };
    let table = |arguments: &[&str]| -> Result<String> {
        let script = folder().join("table.py");
        let done = Command::new(&python).arg(script).args(arguments).output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "{said}");
        Ok(String::from_utf8(done.stdout)?)
    };
    let listed = table(&["--checks"])?;
    let mut listed: Vec<&str> = listed.lines().collect();
    let mut checks: Vec<&str> = checks.iter().map(String::as_str).collect();
    listed.sort_unstable();
    checks.sort_unstable();
    ensure!(listed == checks, "table.py sees other checks than are run");
    let written = fs::read_to_string(place::root().join("CLIENTS.md"))?;
    let how = "run `python3 tests/clients/table.py > CLIENTS.md`";
    ensure!(table(&[])? == written, "{how}");
    Ok(())
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
            let is_helper = file
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('_'));
            if matches!(extension(&file), "py" | "mjs" | "java") && !is_helper {
                found.push(file);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn extension(file: &Path) -> &str {
    file.extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
}

fn functions(text: &str) -> Vec<String> {
    let starts = [
        "def ",
        "async def ",
        "export async function ",
        "export function ",
        "    public static void ",
        "    public static String ",
    ];
    text.lines()
        .filter_map(|line| starts.iter().find_map(|start| line.strip_prefix(start)))
        .filter_map(|rest| rest.split('(').next())
        .filter(|name| !name.starts_with('_'))
        .map(str::to_owned)
        .collect()
}

fn run(script: &Path, test: &str) -> Result<()> {
    let driver = driver(script)?;
    if let Some(missing) = absent(&driver) {
        return skip(format!(
            "{missing} is not installed (tests/run installs it where it can)"
        ));
    }
    let command = |endpoint: &Endpoint| command(&driver, script, endpoint);
    Seat::with(|seat| {
        let told = match seat.on_postgres(script, test, command) {
            Ok(Some(Outcome::Failed(said))) => {
                return fault(format!("PostgreSQL itself fails this check:\n{said}"));
            }
            Err(error) => return fault(format!("on PostgreSQL: {error:#}")),
            Ok(Some(Outcome::Passed(told))) => Some(told),
            // Some checks have nothing to ask of PostgreSQL.
            Ok(Some(Outcome::Skipped(_)) | None) => None,
        };
        match seat.on_rapport(script, test, command)? {
            Some(Outcome::Failed(said)) => bail!("{said}"),
            Some(Outcome::Skipped(reason)) => skip(reason),
            Some(Outcome::Passed(ours)) => match told {
                Some(theirs) if theirs != ours => bail!("{}", difference(&theirs, &ours)),
                _ => Ok(()),
            },
            None => Ok(()),
        }
    })
}

fn run_with_own_catalogue(script: &Path, text: &str) -> Result<()> {
    let driver = driver(script)?;
    if let Some(missing) = absent(&driver).or_else(postgres::absent) {
        return skip(format!("{missing} is not installed"));
    }
    let catalogue = Postgres::start()?;
    let server = seats::shop_served(Some(catalogue.as_catalogue()?))?;
    let mut worker = Worker::start(script, command(&driver, script, server.endpoint())?)?;
    let mut failures = vec![];
    for test in functions(text) {
        if let Outcome::Failed(said) = worker.run(&test)? {
            failures.push(format!("{test}\n{said}"));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// The folder that a script lies in.
fn driver(script: &Path) -> Result<String> {
    let folder = script.parent().and_then(Path::file_name);
    let folder = folder.context("a script lies in its driver's folder")?;
    Ok(folder.to_string_lossy().into_owned())
}

/// The lines that only one of two texts has, as far as anybody reads them.
fn difference(theirs: &str, ours: &str) -> String {
    let only = |mark: &str, text: &str, other: &str| {
        let lines = text
            .lines()
            .filter(|line| !other.lines().any(|o| o == *line));
        let lines: Vec<String> = lines
            .take(20)
            .map(|line| format!("{mark}{line:.300}\n"))
            .collect();
        lines.concat()
    };
    let (missing, more) = (only("- ", theirs, ours), only("+ ", ours, theirs));
    match missing.is_empty() && more.is_empty() {
        true => format!(
            "PostgreSQL has these lines in another order:\n{theirs:.2000}\n---\n{ours:.2000}"
        ),
        false => format!("PostgreSQL tells otherwise (-):\n{missing}{more}"),
    }
}

/// What a driver needs and this machine has not.
fn absent(driver: &str) -> Option<String> {
    let program = |name: &str| place::program(name).is_none().then(|| name.to_owned());
    let python = |environment: &str| {
        let there = place::python(environment).is_some();
        (!there).then(|| format!("Python's {driver}"))
    };
    match driver {
        "psql" | "socket" => program("psql").or_else(|| program("python3")),
        "pgbench" => program("pgbench").or_else(|| program("python3")),
        "node" => {
            let there = place::node_modules().join("pg").exists();
            program("node").or_else(|| (!there).then(|| "npm's pg".to_owned()))
        }
        "pgjdbc" => program("javac").or_else(|| {
            (!Path::new(JDBC).exists()).then(|| "Debian's libpostgresql-jdbc-java".to_owned())
        }),
        "psqlodbc" => {
            let there = place::psqlodbc().is_some();
            python("").or_else(|| (!there).then(|| "Debian's odbc-postgresql".to_owned()))
        }
        "npgsql" => {
            let there = place::tests().join(".env/npgsql/Npgsql.dll").exists();
            python("").or_else(|| (!there).then(|| "Npgsql 4.0.9".to_owned()))
        }
        "dbt" | "duckdb" | "clickhouse" | "implicit" => python(driver),
        _ => python(""),
    }
}

/// The process that runs the tests of a script against a server.
fn command(driver: &str, script: &Path, endpoint: &Endpoint) -> Result<Command> {
    let mut command = match (extension(script), driver) {
        ("java", _) => {
            let classes = CLASSES
                .as_ref()
                .map_err(|error| anyhow::anyhow!("{error}"))?;
            let mut command = Command::new("java");
            command
                .args([
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-Xshare:auto",
                    "-cp",
                ])
                .arg(format!("{}:{JDBC}", classes.path().display()))
                .arg("One")
                .arg(script.file_stem().unwrap_or_default());
            command
        }
        ("mjs", _) => {
            let mut command = Command::new("node");
            command.arg("one.mjs").arg(script);
            command
        }
        (_, driver) => {
            let python = match driver {
                "psql" | "socket" | "pgbench" => place::program("python3"),
                "dbt" | "duckdb" | "clickhouse" | "implicit" => place::python(driver),
                _ => place::python(""),
            };
            let mut command = Command::new(python.context("python3 was found a moment ago")?);
            command.arg("one.py").arg(script);
            command
        }
    };
    if driver == "npgsql" {
        let npgsql = place::tests().join(".env/npgsql");
        command
            .env("LD_LIBRARY_PATH", &npgsql)
            .env("NPGSQL", &npgsql)
            .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1");
    }
    if let Some(certificate) = &endpoint.certificate {
        command.env("PGSSLROOTCERT", certificate);
    }
    if let Some(odbc) = place::psqlodbc() {
        command.env("PSQLODBC", odbc);
    }
    command
        .current_dir(folder())
        .envs(endpoint.libpq())
        .env("SERVER_PROCESS", endpoint.process.to_string())
        .env("SERVER_ENGINE", endpoint.engine)
        .env("SERVER_CA", tls::file("ca.crt"))
        .env("NODE_MODULES", place::node_modules());
    Ok(command)
}

const JDBC: &str = "/usr/share/java/postgresql.jar";

/// The compiled scripts of pgjdbc; all of them at once, as starting the compiler is what takes the time.
static CLASSES: LazyLock<Result<TempDir, String>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let sources = scripts().map_err(|error| error.to_string())?;
    let sources = sources.iter().filter(|file| extension(file) == "java");
    let done = Command::new("javac")
        .args(["-nowarn", "-proc:none", "-cp", JDBC, "-d"])
        .arg(folder.path())
        .args(["One.java", "Server.java"])
        .args(sources)
        .current_dir(self::folder())
        .output()
        .map_err(|error| error.to_string())?;
    match done.status.success() {
        true => Ok(folder),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
});
