//! `rapport model` and `rapport refresh`: what a scheduler goes by, and what an operator sees.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use super::nowhere;
use crate::commands::jobs::page;
use crate::fixtures::process::{free_port, signal};
use crate::fixtures::shared::Shared;
use crate::fixtures::trial::trials;
use crate::fixtures::warehouse::{Done, Server, Warehouse, finish};

pub fn trials() -> Vec<Trial> {
    trials!["commands";
        a_model_is_made_listed_refreshed_and_dropped,
        what_is_judged_and_not_published_is_exit_code_3,
        wrong_usage_of_models_is_exit_code_2,
        a_refresh_that_fails_is_exit_code_1_and_the_others_go_on,
        of_two_refreshers_one_is_told_who_the_other_is,
        an_interrupted_refresh_publishes_nothing,
        a_model_is_made_beside_the_server,
        models_find_again_what_is_true_of_the_demo,
        scheduled_models_are_refreshed_and_one_that_is_refused_has_failed,
    ]
}

/// Purchases of `stopping` end within two years, those of `regular` never do, `many` takes its time.
const TABLES: &str = "
    CREATE TABLE stopping AS
    SELECT c AS customer_id, TIMESTAMPTZ '2024-01-01 12:00:00+00' + (c * 7 % 400 + floor(k * (4 + 40 * u) + c * k * 31 % 5)::integer) * interval '1 day' AS occurred_at,
           (10 + c * 31 % 90 + c * k % 7)::numeric(18,2) AS amount
    FROM (SELECT c, (c * 104729 + 7) * 2246822519 % 4294967296 / 4294967296.0 AS u, ((c * 7919 + 13) * 2654435761 % 4294967296 + 0.5) / 4294967296.0 AS v
          FROM generate_series(1, 600) AS g (c)) AS customers, generate_series(0, 40) AS k
    WHERE k <= floor(ln(v) / ln(0.85));
    DELETE FROM stopping WHERE occurred_at >= '2026-01-01';
    CREATE TABLE regular AS
    SELECT c AS customer_id, TIMESTAMPTZ '2025-01-01 12:00:00+00' + (c % 20 + k * (5 + c % 3)) * interval '1 day' AS occurred_at, 20.00::numeric(18,2) AS amount
    FROM generate_series(1, 300) AS g (c), generate_series(0, 80) AS k WHERE c % 20 + k * (5 + c % 3) < 365;
    CREATE TABLE many AS
    SELECT n * 600 + customer_id AS customer_id, occurred_at, amount + n AS amount FROM stopping, generate_series(0, 29) AS g (n)";

static TEMPLATE: Shared<Warehouse> = Shared::new();

pub fn stop_shared() {
    TEMPLATE.stop();
}

fn warehouse() -> Result<Warehouse> {
    let template = TEMPLATE.get(|| {
        let server = Warehouse::init()?.serve()?;
        for sql in TABLES.split(';') {
            server.ask(sql)?;
        }
        server.stop()
    })?;
    template.copy()
}

fn make(warehouse: &Warehouse, name: &str, table: &str, more: &[&str]) -> Result<Done> {
    let query = format!("SELECT * FROM {table}");
    let fixed = ["model", "create", name, "--type", "clv", "--query", &query];
    warehouse.run(fixed.iter().chain(more))
}

/// With a version from before the last 90 days: the next one can be judged beside it.
fn make_in_autumn(warehouse: &Warehouse, name: &str, table: &str) -> Result<()> {
    let later = ["--option", "horizon=90", "--no-data"];
    is(&make(warehouse, name, table, &later)?, 0)?;
    is(
        &warehouse.run(["refresh", name, "--as-of", "2025-09-30"])?,
        0,
    )
}

fn is(done: &Done, code: i32) -> Result<()> {
    ensure!(done.code == Some(code), "not exit code {code}: {done}");
    Ok(())
}

/// Published or not, as it was judged.
fn went_through(done: &Done) -> Result<()> {
    ensure!(matches!(done.code, Some(0 | 3)), "{done}");
    Ok(())
}

/// The version in use, as `model list` has it.
fn version(warehouse: &Warehouse, model: &str) -> Result<Value> {
    let told: Value = serde_json::from_str(&warehouse.succeed(["model", "list", "--json"])?)?;
    let models = told.as_array().context("an array")?;
    let known = models.iter().find(|known| known["model"] == model);
    Ok(known.context("the model is listed")?["version"].clone())
}

fn a_model_is_made_listed_refreshed_and_dropped() -> Result<()> {
    let warehouse = warehouse()?;
    let none = warehouse.succeed(["model", "list"])?;
    ensure!(none.contains("no models yet"), "{none}");
    make_in_autumn(&warehouse, "worth", "stopping")?;
    let refreshed = warehouse.run(["refresh", "worth"])?;
    is(&refreshed, 0)?;
    let line = &refreshed.stdout;
    ensure!(
        line.starts_with("worth: version 2 published: 600 rows") && line.lines().count() == 1,
        "{refreshed}"
    );
    ensure!(version(&warehouse, "worth")? == 2);
    let again = make(&warehouse, "worth", "stopping", &[])?;
    is(&again, 2)?;
    ensure!(again.stderr.contains("already exists"), "{again}");

    let refreshed = warehouse.run(["refresh", "worth", "--as-of", "2025-12-01", "--json"])?;
    let told: Value = serde_json::from_str(&refreshed.stdout)?;
    ensure!(
        told[0]["model"] == "worth" && told[0]["version"] == 3 && told[0]["rows"] == 600,
        "{told}"
    );

    warehouse.succeed([
        "model",
        "promote",
        "worth",
        "1",
        "--because",
        "it was better",
    ])?;
    ensure!(version(&warehouse, "worth")? == 1);
    let described = warehouse.succeed(["model", "describe", "worth"])?;
    ensure!(described.contains("it was better"), "{described}");
    let dropped = warehouse.succeed(["model", "drop", "worth"])?;
    ensure!(dropped.contains("model worth dropped"), "{dropped}");
    is(&warehouse.run(["refresh", "worth"])?, 2)
}

fn what_is_judged_and_not_published_is_exit_code_3() -> Result<()> {
    let warehouse = warehouse()?;
    let made = make(&warehouse, "steady", "regular", &[])?;
    is(&made, 3)?;
    ensure!(
        made.stdout.starts_with("steady: version 1 not published"),
        "{made}"
    );
    ensure!(made.stdout.contains("own past rate"), "{made}");
    is(&warehouse.run(["refresh", "steady"])?, 3)?;
    // Nor is it promoted without a reason.
    is(&warehouse.run(["model", "promote", "steady", "1"])?, 2)?;
    let because = [
        "model",
        "promote",
        "steady",
        "1",
        "--because",
        "to look at it",
    ];
    is(&warehouse.run(because)?, 0)?;
    ensure!(version(&warehouse, "steady")? == 1);
    Ok(())
}

fn wrong_usage_of_models_is_exit_code_2() -> Result<()> {
    let warehouse = warehouse()?;
    let wrong: [&[&str]; 8] = [
        &["refresh"],
        &["refresh", "worth", "--all"],
        &["refresh", "nobody"],
        &["model", "describe", "nobody"],
        &["model", "promote", "nobody", "1"],
        &["model", "create", "worth", "--type", "weather"],
        &[
            "model", "create", "worth", "--type", "clv", "--option", "horizon",
        ],
        &[
            "model",
            "create",
            "worth",
            "--type",
            "clv",
            "--option",
            "horizn=90",
        ],
    ];
    for arguments in wrong {
        is(&warehouse.run(arguments)?, 2)?;
    }
    is(&warehouse.run(["refresh", "--all"])?, 0)
}

fn a_refresh_that_fails_is_exit_code_1_and_the_others_go_on() -> Result<()> {
    let warehouse = warehouse()?;
    is(&make(&warehouse, "broken", "regular", &[])?, 3)?;
    make_in_autumn(&warehouse, "worth", "stopping")?;
    let server = warehouse.serve()?;
    server.ask("DROP TABLE regular")?;
    let warehouse = server.stop()?;
    let done = warehouse.run(["refresh", "--all", "--json"])?;
    is(&done, 1)?;
    let told: Value = serde_json::from_str(&done.stdout)?;
    ensure!(
        told[0]["model"] == "broken" && told[0]["exit_code"] == 1,
        "{told}"
    );
    ensure!(
        told[1]["model"] == "worth" && told[1]["published"] == true,
        "{told}"
    );
    ensure!(done.stderr.contains("regular"), "{done}");
    Ok(())
}

fn of_two_refreshers_one_is_told_who_the_other_is() -> Result<()> {
    let warehouse = warehouse()?;
    make_in_autumn(&warehouse, "worth", "many")?;
    let refresh = || {
        let command = warehouse.command(["refresh", "worth"])?;
        anyhow::Ok(thread::spawn(move || finish(command)))
    };
    let both = [refresh()?, refresh()?];
    let mut done = vec![];
    for one in both {
        done.push(one.join().expect("waiting does not panic")?);
    }
    done.sort_by_key(|done| done.code);
    went_through(&done[0])?;
    is(&done[1], 4)?;
    let says_who = "model \"worth\" is being refreshed by rapport refresh";
    ensure!(done[1].stderr.contains(says_who), "{}", done[1]);
    Ok(())
}

fn an_interrupted_refresh_publishes_nothing() -> Result<()> {
    let warehouse = warehouse()?;
    make_in_autumn(&warehouse, "worth", "many")?;
    for kind in ["INT", "TERM"] {
        let mut command = warehouse.command(["refresh", "worth"])?;
        let running = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        thread::sleep(Duration::from_millis(1500));
        let at = Instant::now();
        signal(running.id(), kind)?;
        let output = running.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(130),
            "{kind}: {:?} {said}",
            output.status
        );
        ensure!(
            at.elapsed() < Duration::from_secs(2),
            "{kind}: {:?}",
            at.elapsed()
        );
        ensure!(version(&warehouse, "worth")? == 1);
    }
    // And the way is free.
    went_through(&warehouse.run(["refresh", "worth"])?)
}

fn a_model_is_made_beside_the_server() -> Result<()> {
    let server = warehouse()?.serve()?;
    is(&make(server.warehouse(), "worth", "stopping", &[])?, 0)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let asked = server
            .ask("SELECT count(*), bool_and(clv = clv('worth', customer_id)) FROM scores.clv");
        match asked {
            Ok(rows) => {
                ensure!(rows == [["600", "t"]], "{rows:?}");
                return Ok(());
            }
            // What other processes make is known within seconds.
            Err(error) => ensure!(Instant::now() < deadline, "{error:#}"),
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// A minute is the least that a schedule can say: the first one's runs come to an end, the next one's server is killed.
fn scheduled_models_are_refreshed_and_one_that_is_refused_has_failed() -> Result<()> {
    let warehouse = warehouse()?;
    let each_minute = ["--option", "refresh=* * * * *", "--no-data"];
    let more = [&["--option", "horizon=90"], each_minute.as_slice()].concat();
    is(&make(&warehouse, "worth", "stopping", &more)?, 0)?;
    is(
        &warehouse.run(["refresh", "worth", "--as-of", "2025-09-30"])?,
        0,
    )?;
    is(&make(&warehouse, "steady", "regular", &each_minute)?, 0)?;
    let settings = [
        ("RAPPORT_JOBS__ENABLED", "true"),
        ("RAPPORT_JOBS__COMPACT", "off"),
        ("RAPPORT_JOBS__CHECK", "off"),
        ("RAPPORT_JOBS__VACUUM", "off"),
        ("RAPPORT_JOBS__JITTER", "0"),
    ];
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let flags = ["--metrics", &address];
    let server = warehouse.serve_as(&flags, settings)?;
    let runs = "SELECT DISTINCT job, status, attempt, split_part(message, ':', 1) FROM system.job_runs ORDER BY 1";
    let found = until(&server, runs, |found| found.len() >= 2)?;
    ensure!(
        found[0] == ["model.steady", "failed", "1", "not published"]
            && found[1][..3] == ["model.worth", "ok", "1"],
        "{found:?}"
    );
    let in_use =
        "SELECT max(version) FROM models.versions WHERE model = 'worth' AND status = 'in use'";
    ensure!(server.ask(in_use)? == [["2"]], "{:?}", server.ask(in_use)?);
    let (_, _, page) = page(port, "GET", "/metrics")?;
    for line in [
        "rapport_job_runs_total{job=\"model.steady\",status=\"failed\"} 1",
        "rapport_job_runs_total{job=\"model.worth\",status=\"ok\"} 1",
        "rapport_model_scores_age_seconds{model=\"worth\"}",
    ] {
        ensure!(page.contains(line), "{line} is not in {page}");
    }
    let running = "SELECT version FROM models.runs WHERE model = 'worth' AND status = 'running'";
    until(&server, running, |found| !found.is_empty())?;
    let server = server.kill()?.serve_as(&flags, settings)?;
    let one = "SELECT count(*), min(version) = max(version) FROM scores.clv";
    ensure!(server.ask(one)? == [["600", "t"]], "{:?}", server.ask(one)?);
    // What it missed is caught up, and the run that was killed is not forgotten.
    let lost = "SELECT (SELECT count(*) FROM models.runs WHERE model = 'worth' AND status = 'published'), status
        FROM models.runs WHERE model = 'worth' AND status = 'lost'";
    let found = until(&server, lost, |found| {
        found.first().is_some_and(|row| row[0] == "3")
    })?;
    ensure!(found == [["3", "lost"]], "{found:?}");
    ensure!(server.ask(one)? == [["600", "t"]], "{:?}", server.ask(one)?);
    Ok(())
}

/// Asks again and again, as long as schedules may take.
fn until(
    server: &Server,
    sql: &str,
    is_there: impl Fn(&[Vec<String>]) -> bool,
) -> Result<Vec<Vec<String>>> {
    let deadline = Instant::now() + Duration::from_secs(150);
    loop {
        let found = server.ask(sql)?;
        if is_there(&found) {
            return Ok(found);
        }
        ensure!(
            Instant::now() < deadline,
            "{sql}: {found:?} {}",
            server.log()
        );
        thread::sleep(Duration::from_millis(30));
    }
}

/// The cohort whose purchases follow the models exactly: each parameter within four standard errors, and the models of
/// everybody published.
fn models_find_again_what_is_true_of_the_demo() -> Result<()> {
    let warehouse = nowhere()?;
    warehouse.succeed(["demo", "--customers", "20000", "--seed", "3", "--no-serve"])?;
    let book = std::fs::read_to_string(warehouse.folder().join("rapport-demo/demo.json"))?;
    let book: Value = serde_json::from_str(&book)?;
    let truth = |path: &str| {
        book.pointer(path)
            .and_then(Value::as_f64)
            .with_context(|| format!("{path} in {book}"))
    };
    let lake = ["--lake", "rapport-demo/lake"];
    let query = "SELECT i.customer_id, i.occurred_at, i.amount FROM interactions AS i JOIN customers AS c USING (customer_id)
        WHERE i.interaction_type = 'purchase' AND c.properties::json ->> 'cohort' = 'baseline'";
    let options = ["--option", "family=bgnbd", "--option", "scores=baseline"];
    let make = [
        "model", "create", "baseline", "--type", "clv", "--query", query,
    ];
    warehouse.succeed(make.into_iter().chain(options).chain(lake))?;
    let said = warehouse.succeed(
        ["model", "describe", "baseline", "--json"]
            .into_iter()
            .chain(lake),
    )?;
    let parts: Vec<Value> = serde_json::from_str(&said)?;
    let fitted = |name: &str| -> Result<(f64, f64)> {
        let is_it = |part: &&Value| part["part"] == "parameter" && part["name"] == name;
        let part = parts
            .iter()
            .find(is_it)
            .with_context(|| format!("{name} in {said}"))?;
        let text = part["value"].as_str().context("a text")?;
        let (value, error) = text.split_once(" ± ").with_context(|| text.to_owned())?;
        Ok((value.parse()?, error.parse()?))
    };
    for (name, path, unit) in [
        ("r", "/truth/purchases/r", 1.0),
        ("alpha", "/truth/purchases/alpha_weeks", 7.0),
        ("a", "/truth/purchases/a", 1.0),
        ("b", "/truth/purchases/b", 1.0),
        ("p", "/truth/spend/p", 1.0),
        ("q", "/truth/spend/q", 1.0),
        ("v", "/truth/spend/v", 1.0),
    ] {
        let ((value, error), expected) = (fitted(name)?, truth(path)? * unit);
        ensure!(
            error > 0.0 && (value - expected).abs() < 4.0 * error,
            "{name}: {value} ± {error}, not {expected}"
        );
    }
    let said = warehouse.succeed(["model", "list", "--json"].into_iter().chain(lake))?;
    let models: Vec<Value> = serde_json::from_str(&said)?;
    for model in ["clv", "churn", "segments", "baseline"] {
        let is_published = |of: &Value| of["model"] == model && of["version"] == 1;
        ensure!(models.iter().any(is_published), "{model} in {said}");
    }
    Ok(())
}
