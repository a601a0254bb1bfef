//! SQL behaviour, in files: `slt/<domain>/<subject>.slt`, in sqllogictest's format.
//!
//! Each file runs over the simple and over the extended protocol, each time on a warehouse of its own; files with the line
//! `# data: bi/company.sql` only read, and share one that holds those tables. `slt/record.py` fills in what PostgreSQL
//! answers. The extended
//! protocol answers in binary, which is turned into PostgreSQL's text here, so both encodings meet one expectation.
//! A file with the line `# also: postgres` is run against a real PostgreSQL too: what we expect of ourselves is then
//! known to be what PostgreSQL answers. `onlyif postgres`, `skipif simple` and the like mark the exceptions; `skipif rapport`
//! marks what we want and do not have yet, and is listed as skipped (`RAPPORT_TEST_GAPS=1` tells which of them hold by now).
//!
//! Column types: B boolean, I integer, N numeric, R float, T text, D date, P timestamp, Z timestamp with time zone,
//! `?` any. NULL reads `NULL`, an empty text `(empty)`.

mod binary;
mod session;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use libtest_mimic::Trial;
use sqllogictest::{Condition, Record, Runner};

use crate::fixtures::failure::Failure;
use crate::fixtures::place;
use crate::fixtures::postgres::{self, Postgres};
use crate::fixtures::shared::{self, Shared};
use crate::fixtures::trial::{skip, trial};
use crate::fixtures::warehouse::{Endpoint, Server, Warehouse};
use session::{Kind, Protocol, Session};

/// What the catalogue has a part in: tried with a PostgreSQL of the user's own in its place too.
const OF_DEFINITIONS: [&str; 10] = [
    "catalogue/mixed",
    "catalogue/psql",
    "catalogue/session",
    "tables/alter",
    "tables/comment",
    "tables/create_table",
    "tables/keys",
    "tables/truncate_drop",
    "tables/view",
    "transactions/definitions",
];

pub fn trials() -> Vec<Trial> {
    let files = files().expect("tests/slt can be read");
    files.into_iter().flat_map(trials_of).collect()
}

/// Every `*.slt` below `slt`, sorted.
pub fn files() -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    let mut folders = vec![place::tests().join("slt")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?.path();
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|e| e == "slt") {
                found.push(entry);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A server with the tables of `bi/company.sql`, which the files that ask for them share.
static COMPANY: Shared<Server> = Shared::new();
/// The same in PostgreSQL.
static COMPANY_IN_POSTGRES: Shared<Endpoint> = Shared::new();

pub fn stop_shared() {
    COMPANY.stop();
    COMPANY_IN_POSTGRES.stop();
}

fn make_company(endpoint: &Endpoint) -> Result<()> {
    let sql = fs::read_to_string(place::tests().join("slt/bi/company.sql"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = endpoint.connect().await.map_err(Failure::from)?;
        let made = client.batch_execute(&sql).await.map_err(Failure::from);
        made.context("make the tables of bi/company.sql")
    })
}

fn trials_of(file: PathBuf) -> Vec<Trial> {
    let text = fs::read_to_string(&file).expect("an slt file is UTF-8");
    let name = file
        .strip_prefix(place::tests().join("slt"))
        .expect("it was found there")
        .with_extension("");
    let name = name.display().to_string();
    let says = |wanted: &str| text.lines().any(|line| line.trim() == wanted);
    let of_company = says("# data: bi/company.sql");
    let mut trials = vec![];
    for protocol in [Protocol::Simple, Protocol::Extended] {
        let path = file.clone();
        trials.push(trial(format!("slt::{name}::{protocol}"), move || {
            if of_company {
                let server = COMPANY.get(|| {
                    let server = Warehouse::init()?.serve()?;
                    make_company(server.endpoint())?;
                    Ok(server)
                })?;
                return run(&path, server.endpoint(), protocol);
            }
            let server = Warehouse::init()?.serve()?;
            run(&path, server.endpoint(), protocol)
        }));
        if protocol == Protocol::Extended && OF_DEFINITIONS.contains(&name.as_str()) {
            let path = file.clone();
            trials.push(trial(format!("slt::{name}::own_catalogue"), move || {
                if let Some(reason) = postgres::absent() {
                    return skip(reason);
                }
                let catalogue = Postgres::start()?;
                let server = Warehouse::init()?.serve_with([catalogue.as_catalogue()?])?;
                run(&path, server.endpoint(), protocol)
            }));
        }
        if says("# also: postgres") {
            let path = file.clone();
            trials.push(trial(
                format!("slt::{name}::postgres_{protocol}"),
                move || {
                    if let Some(reason) = postgres::absent() {
                        return skip(reason);
                    }
                    let server = shared::POSTGRES.get(Postgres::start)?;
                    if of_company {
                        let company = COMPANY_IN_POSTGRES.get(|| {
                            let database = server.database()?;
                            make_company(&database)?;
                            Ok(database)
                        })?;
                        return run(&path, &company, protocol);
                    }
                    run(&path, &server.database()?, protocol)
                },
            ));
        }
    }
    trials
}

/// Runs the whole file and reports every record that failed, not only the first.
fn run(file: &Path, endpoint: &Endpoint, protocol: Protocol) -> Result<()> {
    let records = sqllogictest::parse_file::<Kind>(file).context("read the slt file")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let failures = runtime.block_on(async {
        let mut runner = Runner::new(|| Session::connect(endpoint.clone(), protocol));
        runner.add_label(&protocol.to_string());
        runner.with_column_validator(same_or_unknown);
        let tries_gaps = std::env::var_os("RAPPORT_TEST_GAPS").is_some();
        let mut failures = vec![];
        for record in records {
            if matches!(record, Record::Halt { .. }) {
                break;
            }
            let (place, record) = match endpoint.engine {
                "rapport" => without_gap(record),
                _ => (None, record),
            };
            if let Some(place) = place {
                // tests/run lists these lines; with the variable set, it is tried whether some of them hold by now.
                let holds = tries_gaps && runner.run_async(record).await.is_ok();
                println!("gap: {place}{}", if holds { " holds now" } else { "" });
                continue;
            }
            if let Err(failure) = runner.run_async(record).await {
                failures.push(failure.to_string());
            }
        }
        runner.shutdown_async().await;
        failures
    });
    if failures.is_empty() {
        return Ok(());
    }
    bail!(
        "{} records failed\n\n{}",
        failures.len(),
        failures.join("\n")
    )
}

/// A record that says `skipif rapport` is something we want and do not have yet: its place, and the record without
/// the condition.
fn without_gap(mut record: Record<Kind>) -> (Option<String>, Record<Kind>) {
    let (Record::Statement {
        conditions, loc, ..
    }
    | Record::Query {
        conditions, loc, ..
    }) = &mut record
    else {
        return (None, record);
    };
    let is_gap = |condition: &Condition| matches!(condition, Condition::SkipIf { label } if label == "rapport");
    if !conditions.iter().any(is_gap) {
        return (None, record);
    }
    conditions.retain(|condition| !is_gap(condition));
    let file = loc.file();
    let file = file
        .strip_prefix(&format!("{}/", place::root().display()))
        .unwrap_or(file);
    (Some(format!("{file}:{}", loc.line())), record)
}

/// The simple protocol does not tell a column's type to its client, so only its number of columns is known.
#[expect(clippy::ptr_arg, reason = "the runner's signature")]
fn same_or_unknown(actual: &Vec<Kind>, expected: &Vec<Kind>) -> bool {
    actual.len() == expected.len()
        && actual
            .iter()
            .zip(expected)
            .all(|(a, e)| a == e || *a == Kind::Any || *e == Kind::Any)
}
