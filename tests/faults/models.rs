//! A small model whose refresh is broken in every way: what must hold of it at any moment, and what after a clean run.

use anyhow::{Context, Result, ensure};

use crate::fixtures::process::Running;
use crate::fixtures::shared::Shared;
use crate::fixtures::warehouse::{Done, Server, Warehouse};

/// Purchases that end within two years; `many` are as many customers as make a refresh take its time.
const TABLES: &str = "
    CREATE TABLE stopping AS
    SELECT c AS customer_id, TIMESTAMPTZ '2024-01-01 12:00:00+00' + (c * 7 % 400 + floor(k * (4 + 40 * u) + c * k * 31 % 5)::integer) * interval '1 day' AS occurred_at,
           (10 + c * 31 % 90 + c * k % 7)::numeric(18,2) AS amount
    FROM (SELECT c, (c * 104729 + 7) * 2246822519 % 4294967296 / 4294967296.0 AS u, ((c * 7919 + 13) * 2654435761 % 4294967296 + 0.5) / 4294967296.0 AS v
          FROM generate_series(1, 600) AS g (c)) AS customers, generate_series(0, 40) AS k
    WHERE k <= floor(ln(v) / ln(0.85));
    DELETE FROM stopping WHERE occurred_at >= '2026-01-01';
    CREATE TABLE many AS
    SELECT n * 600 + customer_id AS customer_id, occurred_at, amount + n AS amount FROM stopping, generate_series(0, 29) AS g (n)";

pub const CUSTOMERS: u64 = 600;

static TEMPLATE: Shared<Warehouse> = Shared::new();

pub fn stop_shared() {
    TEMPLATE.stop();
}

/// A local warehouse with the model `worth`, of which version 1 is published.
pub fn fitted() -> Result<Warehouse> {
    let template = TEMPLATE.get(|| {
        let warehouse = with_tables(Warehouse::init()?)?;
        make(&warehouse, "worth", "stopping")?;
        Ok(warehouse)
    })?;
    template.copy()
}

pub fn with_tables(warehouse: Warehouse) -> Result<Warehouse> {
    let server = warehouse.serve()?;
    for sql in TABLES.split(';') {
        server.ask(sql)?;
    }
    server.stop()
}

/// Another one: with a version from before the last 90 days, so that the next ones are judged beside it.
pub fn make(warehouse: &Warehouse, name: &str, table: &str) -> Result<()> {
    let query = format!("SELECT * FROM {table}");
    let fixed = ["model", "create", name, "--type", "clv", "--query", &query];
    let scores = format!("scores={name}");
    let options = ["--option", "horizon=90", "--option", &scores, "--no-data"];
    warehouse.succeed(fixed.iter().chain(&options))?;
    warehouse.succeed(["refresh", name, "--as-of", "2025-09-30"])?;
    Ok(())
}

/// A refresh that runs beside the test; what it says is in its log.
pub fn begin_refresh(warehouse: &Warehouse, model: &str, log: &str) -> Result<Running> {
    begin_refresh_with(warehouse, model, log, &[])
}

pub fn begin_refresh_with(
    warehouse: &Warehouse,
    model: &str,
    log: &str,
    settings: &[(&str, &str)],
) -> Result<Running> {
    let mut command = warehouse.command(["refresh", model])?;
    command.envs(settings.iter().copied());
    Running::start(
        "rapport refresh",
        &mut command,
        &warehouse.folder().join(log),
    )
}

pub fn refresh(warehouse: &Warehouse, model: &str) -> Result<Done> {
    warehouse.run(["refresh", model])
}

/// A refresh that nothing disturbs; it publishes.
pub fn refresh_cleanly(warehouse: &Warehouse, model: &str) -> Result<()> {
    warehouse.succeed(["refresh", model]).map(drop)
}

/// What a reader sees at any moment: all scores, of one version.
pub fn version_read(server: &Server, model: &str, customers: u64) -> Result<i64> {
    let rows = server.ask(&format!(
        "SELECT count(*), count(DISTINCT customer_id), min(version), max(version) FROM scores.{model}"
    ))?;
    let [row] = rows.as_slice() else {
        anyhow::bail!("{rows:?}")
    };
    let customers = customers.to_string();
    ensure!(
        row[0] == customers && row[1] == customers && row[2] == row[3],
        "a reader sees {} scores of {} customers, versions {} to {}",
        row[0],
        row[1],
        row[2],
        row[3]
    );
    Ok(row[2].parse()?)
}

/// What holds when nothing is left to be done: no run is lost without a word, and all tables say the same.
pub fn is_settled(server: &Server, model: &str, customers: u64) -> Result<i64> {
    let version = version_read(server, model, customers)?;
    let number = |what: &str, sql: &str| -> Result<i64> {
        let rows = server.ask(&sql.replace("{model}", model))?;
        let number = rows.first().and_then(|row| row.first());
        let number = number.with_context(|| what.to_owned())?;
        number.parse().with_context(|| format!("{what}: {number}"))
    };
    for (what, expected, sql) in [
        (
            "the version in use, as models.models has it",
            version,
            "SELECT version FROM models.models WHERE model = '{model}'",
        ),
        (
            "versions in use",
            1,
            "SELECT count(*) FROM models.versions WHERE model = '{model}' AND status = 'in use'",
        ),
        (
            "the version in use, as models.versions has it",
            version,
            "SELECT max(version) FROM models.versions WHERE model = '{model}' AND status = 'in use'",
        ),
        (
            "versions that are there twice",
            0,
            "SELECT count(*) - count(DISTINCT version) FROM models.versions WHERE model = '{model}'",
        ),
        (
            "metrics that are there twice",
            0,
            "SELECT count(*) - count(DISTINCT version || metric) FROM models.metrics WHERE model = '{model}'",
        ),
        (
            "parameters that are there twice",
            0,
            "SELECT count(*) - count(DISTINCT version || name) FROM models.parameters WHERE model = '{model}'",
        ),
        (
            "scores of versions that nobody knows",
            0,
            "SELECT count(*) FROM scores.{model}_history WHERE version NOT IN (SELECT version FROM models.versions WHERE model = '{model}')",
        ),
        (
            "scores that are kept twice",
            0,
            "SELECT count(*) - count(DISTINCT version || '.' || customer_id) FROM scores.{model}_history",
        ),
        (
            "scores that are in use and are not kept as they are",
            0,
            "SELECT count(*) FROM scores.{model} AS s LEFT JOIN scores.{model}_history AS h
             ON h.customer_id = s.customer_id AND h.version = s.version AND h.clv = s.clv WHERE h.version IS NULL",
        ),
        (
            "runs that seem to run",
            0,
            "SELECT count(*) FROM models.runs WHERE model = '{model}' AND status = 'running'",
        ),
        (
            "runs that published what is no version",
            0,
            "SELECT count(*) FROM models.runs WHERE model = '{model}' AND status = 'published'
             AND version NOT IN (SELECT version FROM models.versions WHERE model = '{model}')",
        ),
        (
            "versions that no run has made",
            0,
            "SELECT count(*) FROM models.versions AS v WHERE model = '{model}'
             AND NOT EXISTS (SELECT FROM models.runs AS r WHERE r.model = v.model AND r.version = v.version)",
        ),
    ] {
        let found = number(what, sql)?;
        ensure!(found == expected, "{what}: {found}, not {expected}");
    }
    Ok(version)
}

/// How many runs of a model ended so.
pub fn runs(server: &Server, model: &str, status: &str) -> Result<u64> {
    let rows = server.ask(&format!(
        "SELECT count(*) FROM models.runs WHERE model = '{model}' AND status = '{status}'"
    ))?;
    Ok(rows[0][0].parse()?)
}
