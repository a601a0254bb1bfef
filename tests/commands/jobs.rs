//! What a server does by itself, as its operator sees it: in SQL, in psql, over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;

use crate::fixtures::place;
use crate::fixtures::process::free_port;
use crate::fixtures::stores::Store;
use crate::fixtures::trial::{skip, trials};
use crate::fixtures::warehouse::{Server, Warehouse, finish, free_lake};

pub fn trials() -> Vec<Trial> {
    trials!["commands";
        of_two_servers_one_runs_a_job_and_the_other_says_who,
        of_two_servers_of_a_bucket_one_runs_a_job,
        jobs_are_tables_to_every_client,
        jobs_can_be_switched_off,
        nobody_rewrites_the_history_of_jobs,
        a_schedule_that_is_none_is_refused,
        a_server_tells_how_it_is_over_http,
    ]
}

const ON: (&str, &str) = ("RAPPORT_JOBS__ENABLED", "true");

fn of_two_servers_one_runs_a_job_and_the_other_says_who() -> Result<()> {
    let warehouse = Warehouse::init()?;
    let lake = warehouse.lake().display().to_string();
    one_runs_and_the_other_says_who(warehouse, Warehouse::at(free_lake()?, lake, vec![]))
}

/// Two machines: what they share is the bucket.
fn of_two_servers_of_a_bucket_one_runs_a_job() -> Result<()> {
    let store = Store::moto()?;
    let (url, variables) = (store.lake("jobs"), store.variables());
    let warehouse = Warehouse::init_in_bucket(&url, variables.clone())?;
    one_runs_and_the_other_says_who(warehouse, Warehouse::at(free_lake()?, url, variables))
}

fn one_runs_and_the_other_says_who(one: Warehouse, two: Warehouse) -> Result<()> {
    // A minute is the least that a schedule can say, so this takes as long.
    let settings = [
        ON,
        ("RAPPORT_JOBS__COMPACT", "* * * * *"),
        ("RAPPORT_JOBS__CHECK", "off"),
        ("RAPPORT_JOBS__VACUUM", "off"),
        ("RAPPORT_JOBS__JITTER", "0"),
    ];
    let (one, two) = (one.serve_with(settings)?, two.serve_with(settings)?);
    let runs = "SELECT status, message, pid FROM system.job_runs WHERE job = 'compact'
                AND date_trunc('minute', started_at) = (SELECT min(date_trunc('minute', started_at)) FROM system.job_runs)
                ORDER BY status";
    let deadline = Instant::now() + Duration::from_secs(120);
    let found = loop {
        let found = one.ask(runs)?;
        if found.len() >= 2 {
            break found;
        }
        if Instant::now() > deadline {
            bail!("{found:?}\n{}\n{}", one.log(), two.log());
        }
        thread::sleep(Duration::from_millis(200));
    };
    let status: Vec<&str> = found.iter().map(|run| run[0].as_str()).collect();
    ensure!(status == ["ok", "skipped"], "{found:?}");
    ensure!(found[0][2] != found[1][2], "{found:?}");
    ensure!(
        found[1][1].contains(&found[0][2]) || found[1][1].contains("another process"),
        "{found:?}"
    );
    let jobs =
        two.ask("SELECT job, kind, schedule, last_status, next_run > last_run FROM system.jobs")?;
    ensure!(
        jobs == [["compact", "compact", "* * * * * UTC", "ok", "t"]],
        "{jobs:?}"
    );
    Ok(())
}

fn psql(server: &Server, sql: &str) -> Result<String> {
    let Some(psql) = place::program("psql") else {
        return skip("psql is not installed (tests/run installs it where it can)");
    };
    let mut command = Command::new(psql);
    command
        .args(["-X", "-w", "-A", "-t", "-c", sql])
        .envs(server.endpoint().libpq());
    let done = finish(command)?;
    ensure!(done.code == Some(0), "{done}");
    Ok(done.stdout)
}

fn jobs_are_tables_to_every_client() -> Result<()> {
    let server = Warehouse::init()?.serve_with([ON])?;
    // What Power BI's navigator and Tableau ask.
    let tables = server.ask(
        "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'system' ORDER BY 1",
    )?;
    ensure!(
        tables == [["job_runs", "BASE TABLE"], ["jobs", "BASE TABLE"]],
        "{tables:?}"
    );
    let jobs = "SELECT job, schedule, next_run > now(), last_run FROM system.jobs ORDER BY job";
    let told = psql(&server, jobs)?;
    let expected =
        "check|30 4 * * sun UTC|t|\ncompact|30 1 * * * UTC|t|\nvacuum|30 2 * * sun UTC|t|\n";
    ensure!(told == expected, "{told}");
    let told = psql(&server, "\\d+ system.jobs")?;
    ensure!(
        told.contains("seconds_left|bigint") && told.contains("How long it may still take"),
        "{told}"
    );
    ensure!(psql(&server, "TABLE system.job_runs")?.is_empty());
    let copied = psql(&server, "COPY (SELECT count(*) FROM system.jobs) TO STDOUT")?;
    ensure!(copied == "3\n", "{copied}");
    Ok(())
}

fn jobs_can_be_switched_off() -> Result<()> {
    let server = Warehouse::init()?.serve()?;
    let tables = server
        .ask("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'system'")?;
    ensure!(tables == [["0"]], "{tables:?}");
    Ok(())
}

fn nobody_rewrites_the_history_of_jobs() -> Result<()> {
    let warehouse = Warehouse::init()?;
    warehouse.add("boss", true)?;
    let server = warehouse.serve_with([ON])?;
    let mut boss = server.endpoint().clone();
    boss.user = "boss".into();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for user in [server.endpoint(), &boss] {
        for sql in [
            "INSERT INTO system.job_runs (job) VALUES ('mine')",
            "DELETE FROM system.jobs",
            "TRUNCATE system.job_runs",
            "DROP TABLE system.jobs",
        ] {
            let done = runtime.block_on(async { user.connect().await?.batch_execute(sql).await });
            let code = done
                .err()
                .and_then(|error| Some(error.code()?.code().to_owned()));
            ensure!(
                code.as_deref() == Some("42501"),
                "{}: {sql}: {code:?}",
                user.user
            );
        }
    }
    Ok(())
}

fn a_schedule_that_is_none_is_refused() -> Result<()> {
    let warehouse = Warehouse::init()?;
    for (key, value) in [
        ("jobs.compact", "sometimes"),
        ("jobs.check", "0 0 30 2 *"),
        ("jobs.time_zone", "Mars/Base"),
        ("jobs.lease", "0"),
    ] {
        let done = warehouse.run(["settings", "--set", &format!("{key}={value}")])?;
        ensure!(done.code == Some(2) && done.stderr.contains(key), "{done}");
    }
    let done = warehouse.run(["settings", "--set", "jobs.vacuum=off"])?;
    ensure!(done.code == Some(0), "{done}");
    Ok(())
}

/// Status line, type and body of a page.
pub(super) fn page(port: u16, method: &str, path: &str) -> Result<(String, String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("a head and a body")?;
    let mut lines = head.lines();
    let status = lines.next().context("a status")?.to_owned();
    let kind = lines
        .find_map(|line| line.strip_prefix("Content-Type: "))
        .context("a type")?;
    Ok((status, kind.to_owned(), body.to_owned()))
}

fn a_server_tells_how_it_is_over_http() -> Result<()> {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let server = Warehouse::init()?.serve_as(&["--metrics", &address], [ON])?;
    for (path, said) in [("/livez", "alive\n"), ("/readyz?verbose", "ready\n")] {
        let (status, _, body) = page(port, "GET", path)?;
        ensure!(
            (status.as_str(), body.as_str()) == ("HTTP/1.1 200 OK", said),
            "{path}: {status} {body}"
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    server.ask("SELECT 1")?;
    ensure!(server.ask("SELECT nobody").is_err());
    let client = runtime.block_on(server.endpoint().connect())?;
    let deadline = Instant::now() + Duration::from_secs(20);
    let (status, kind, body) = loop {
        // The clients before are let go of when the server notices.
        let page = page(port, "GET", "/metrics")?;
        if page.2.contains("\nrapport_connections 1\n") || Instant::now() > deadline {
            break page;
        }
    };
    ensure!(
        status.contains("200") && kind.contains("version=0.0.4"),
        "{status} {kind}"
    );
    ensure!(body.contains("\nrapport_connections 1\n"), "{body}");
    ensure!(body.contains("\nrapport_statements_running 0\n"), "{body}");
    ensure!(
        body.contains("# TYPE rapport_job_runs_total counter\n"),
        "{body}"
    );
    drop(client);
    for (method, path, code) in [
        ("HEAD", "/livez", "200"),
        ("GET", "/", "404"),
        ("POST", "/metrics", "405"),
    ] {
        let (status, ..) = page(port, method, path)?;
        ensure!(status.contains(code), "{method} {path}: {status}");
    }
    std::fs::rename(
        server.warehouse().lake().join("_rapport/format.json"),
        server.warehouse().folder().join("format.json"),
    )?;
    let (status, _, body) = page(port, "GET", "/readyz")?;
    ensure!(
        status.contains("503") && body == "the lake is gone\n",
        "{status} {body}"
    );
    Ok(())
}
