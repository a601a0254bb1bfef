//! The lake in a bucket: real object stores on this machine, one of them unfit for it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::fixtures::files;
use crate::fixtures::process::Running;
use crate::fixtures::stores::Store;
use crate::fixtures::trial::trials;
use crate::fixtures::warehouse::{Warehouse, free_lake};

pub fn trials() -> Vec<Trial> {
    trials!["stores";
        a_lake_on_s3_is_made_loaded_asked_and_checked,
        a_lake_on_azure_is_made_loaded_asked_and_checked,
        a_store_that_breaks_its_promise_is_refused,
        two_loads_at_once_on_s3_lose_nothing,
        a_load_killed_on_s3_and_run_again_ends_as_if_it_had_run_once,
        an_object_that_is_missing_is_found_by_check,
        a_bucket_alone_restores_the_warehouse,
        a_store_that_does_not_answer_is_named,
    ]
}

fn load(warehouse: &Warehouse, source: &Path, file: &Path) -> Result<String> {
    warehouse.succeed(["load".as_ref(), source.as_os_str(), file.as_os_str()])
}

fn made_loaded_asked_and_checked(store: &Store) -> Result<()> {
    let warehouse = Warehouse::init_in_bucket(&store.lake("first"), store.variables())?;
    let source = files::source(warehouse.folder())?;
    for n in 0..5_u64 {
        let file = files::visits(
            warehouse.folder(),
            &format!("{n}.csv"),
            n * 1000..(n + 1) * 1000,
        )?;
        load(&warehouse, &source, &file)?;
    }
    // Once more, which changes nothing.
    load(&warehouse, &source, &warehouse.folder().join("0.csv"))?;
    warehouse.succeed(["compact"])?;
    warehouse.succeed(["check"])?;
    let server = warehouse.serve()?;
    let answer = server.ask("SELECT count(*), count(DISTINCT interaction_id), count(DISTINCT source_id) FROM interactions")?;
    ensure!(answer == [["5000", "5000", "5000"]], "{answer:?}");
    server.ask("CREATE TABLE own (a integer, b text)")?;
    server.ask("INSERT INTO own VALUES (1, 'x'), (2, 'y')")?;
    server.ask("UPDATE own SET b = 'z' WHERE a = 2")?;
    let answer = server.ask("SELECT a, b FROM own ORDER BY a")?;
    ensure!(answer == [["1", "x"], ["2", "z"]], "{answer:?}");
    let answer = server.ask("SELECT count(*) FROM own VERSION AS OF 0")?;
    ensure!(answer == [["0"]], "{answer:?}");
    server.ask("DROP TABLE own")?;
    server.warehouse().succeed(["check"])?;
    Ok(())
}

fn a_lake_on_s3_is_made_loaded_asked_and_checked() -> Result<()> {
    made_loaded_asked_and_checked(&Store::moto()?)
}

fn a_lake_on_azure_is_made_loaded_asked_and_checked() -> Result<()> {
    made_loaded_asked_and_checked(&Store::azurite()?)
}

/// s3rver answers 200 to each of several creates of one key: commits would overwrite each other.
fn a_store_that_breaks_its_promise_is_refused() -> Result<()> {
    let store = Store::s3rver()?;
    let (folder, url) = (tempfile::tempdir()?, store.lake("lost"));
    let warehouse = Warehouse::at(folder, url.clone(), store.variables());
    for command in [
        ["init"].as_slice(),
        &["serve"],
        &["load", "csv", "-"],
        &["tables"],
    ] {
        let said = warehouse.fail(command)?;
        ensure!(
            said.contains(&url),
            "{command:?} does not name the bucket: {said}"
        );
        ensure!(
            said.contains("create") && said.contains("If-None-Match"),
            "{command:?} does not say what the store cannot do: {said}"
        );
        ensure!(
            said.trim().lines().count() <= 3,
            "{command:?} says too much: {said}"
        );
    }
    Ok(())
}

fn two_loads_at_once_on_s3_lose_nothing() -> Result<()> {
    let store = Store::moto()?;
    let warehouse = Warehouse::init_in_bucket(&store.lake("two"), store.variables())?;
    let source = files::source(warehouse.folder())?;
    // The second half of the one is the first half of the other.
    let files = [
        files::visits(warehouse.folder(), "a.csv", 0..4000)?,
        files::visits(warehouse.folder(), "b.csv", 2000..6000)?,
    ];
    let mut running = vec![];
    for (n, file) in files.iter().enumerate() {
        let mut command =
            warehouse.command(["load".as_ref(), source.as_os_str(), file.as_os_str()])?;
        // Two machines: what they share is the bucket.
        command.env(
            "RAPPORT_CATALOG__DIR",
            warehouse.folder().join(format!("catalogue-{n}")),
        );
        running.push(Running::start(
            "rapport load",
            &mut command,
            &warehouse.folder().join(format!("{n}.log")),
        )?);
    }
    for load in &mut running {
        let status = load.wait_for_end()?;
        ensure!(
            status.success(),
            "a load ended with {status}: {}",
            load.log()
        );
    }
    let server = warehouse.serve()?;
    let answer = server.ask(
        "SELECT count(*), count(DISTINCT interaction_id), count(DISTINCT source_id), min(source_id), max(source_id) FROM interactions",
    )?;
    ensure!(
        answer == [["6000", "6000", "6000", "v0000000", "v0005999"]],
        "{answer:?}"
    );
    let answer = server.ask(
        "SELECT count(*) - count(DISTINCT value), count(*) - count(DISTINCT customer_id) FROM customer_identities",
    )?;
    ensure!(
        answer == [["0", "0"]],
        "a card has two customers, or a customer two cards: {answer:?}"
    );
    Ok(())
}

fn a_load_killed_on_s3_and_run_again_ends_as_if_it_had_run_once() -> Result<()> {
    let store = Store::moto()?;
    let warehouse = Warehouse::init_in_bucket(&store.lake("killed"), store.variables())?;
    let source = files::source(warehouse.folder())?;
    let mut expected = 0;
    for round in 0..5_u64 {
        let file = files::visits(warehouse.folder(), "next.csv", expected..expected + 3000)?;
        let mut command =
            warehouse.command(["load".as_ref(), source.as_os_str(), file.as_os_str()])?;
        let mut running = Running::start(
            "rapport load",
            &mut command,
            &warehouse.folder().join("load.log"),
        )?;
        std::thread::sleep(std::time::Duration::from_millis(rand::random_range(
            0..1500,
        )));
        running.kill()?;
        load(&warehouse, &source, &file).with_context(|| format!("round {round}"))?;
        expected += 3000;
    }
    warehouse.succeed(["check"])?;
    let server = warehouse.serve()?;
    let answer = server.ask("SELECT count(*), count(DISTINCT interaction_id) FROM interactions")?;
    let expected = expected.to_string();
    ensure!(answer == [[expected.clone(), expected]], "{answer:?}");
    Ok(())
}

fn an_object_that_is_missing_is_found_by_check() -> Result<()> {
    let store = Store::moto()?;
    let warehouse = Warehouse::init_in_bucket(&store.lake("holes"), store.variables())?;
    let source = files::source(warehouse.folder())?;
    load(
        &warehouse,
        &source,
        &files::visits(warehouse.folder(), "a.csv", 0..1000)?,
    )?;
    let keys = store.keys("holes/public/interactions/")?;
    let lost = keys
        .iter()
        .find(|key| key.ends_with(".parquet"))
        .context("a data file")?;
    store.delete(lost)?;
    let done = warehouse.run(["check"])?;
    let name = lost.rsplit('/').next().unwrap_or(lost);
    ensure!(done.code == Some(1), "{done}");
    ensure!(
        done.to_string().contains(name),
        "{name} is not named: {done}"
    );
    Ok(())
}

/// Definitions, comments, views and users are in the lake too: a machine is lost, nothing else is.
fn a_bucket_alone_restores_the_warehouse() -> Result<()> {
    let store = Store::moto()?;
    let url = store.lake("kept");
    let first = Warehouse::init_in_bucket(&url, store.variables())?;
    let source = files::source(first.folder())?;
    load(
        &first,
        &source,
        &files::visits(first.folder(), "a.csv", 0..1000)?,
    )?;
    let server = first.serve()?;
    server.ask("CREATE TABLE own (id bigint PRIMARY KEY, name text DEFAULT 'x' NOT NULL)")?;
    server.ask("COMMENT ON TABLE own IS 'kept'")?;
    server.ask("INSERT INTO own (id) VALUES (7)")?;
    server.ask("CREATE VIEW own_view AS SELECT id FROM own")?;
    drop(server);

    // Another machine: the bucket, and nothing beside it.
    let second = Warehouse::at(free_lake()?, url, store.variables()).serve()?;
    let rows = second.ask("SELECT name, id FROM own NATURAL JOIN own_view")?;
    ensure!(rows == [["x", "7"]], "{rows:?}");
    let rows = second.ask("SELECT count(*) FROM interactions")?;
    ensure!(rows == [["1000"]], "{rows:?}");
    let told = second.ask(
        "SELECT obj_description('own'::regclass), \
                (SELECT count(*) FROM pg_constraint WHERE conrelid = 'own'::regclass AND contype = 'p')",
    )?;
    ensure!(told == [["kept", "1"]], "{told:?}");
    Ok(())
}

fn a_store_that_does_not_answer_is_named() -> Result<()> {
    let port = crate::fixtures::process::free_port()?;
    let variables = [
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_ACCESS_KEY_ID", "x".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "x".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ];
    let variables = variables
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
    let said =
        Warehouse::at(free_lake()?, "s3://nowhere/lake".to_owned(), variables).fail(["tables"])?;
    ensure!(said.contains("s3://nowhere/lake"), "{said}");
    Ok(())
}
