//! What must not happen to a history: rows lost, doubled or half visible, whatever breaks and whoever works beside it.

mod bucket;
mod damage;
mod disk;
mod kill;
mod models;
mod refresh;
mod together;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use crate::fixtures::reader;
use crate::fixtures::warehouse::Warehouse;
use crate::fixtures::{files, process::Running};

pub fn trials() -> Vec<Trial> {
    [
        kill::trials(),
        refresh::trials(),
        bucket::trials(),
        together::trials(),
        disk::trials(),
        damage::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub fn stop_shared() {
    models::stop_shared();
}

/// A local warehouse with the visits 0 to `n` loaded, `parts` files of them.
fn loaded(n: u64, parts: u64) -> Result<(Warehouse, PathBuf)> {
    let warehouse = Warehouse::init()?;
    let source = files::source(warehouse.folder())?;
    let size = n / parts;
    for part in 0..parts {
        let file = files::visits(
            warehouse.folder(),
            &format!("part-{part}.csv"),
            part * size..(part + 1) * size,
        )?;
        load(&warehouse, &source, &file)?;
    }
    Ok((warehouse, source))
}

fn load(warehouse: &Warehouse, source: &Path, file: &Path) -> Result<String> {
    warehouse.succeed(["load".as_ref(), source.as_os_str(), file.as_os_str()])
}

/// A load that runs beside the test.
fn begin_load(warehouse: &Warehouse, source: &Path, file: &Path, log: &str) -> Result<Running> {
    let mut command = warehouse.command(["load".as_ref(), source.as_os_str(), file.as_os_str()])?;
    Running::start("rapport load", &mut command, &warehouse.folder().join(log))
}

fn begin_compaction(warehouse: &Warehouse, log: &str) -> Result<Running> {
    Running::start(
        "rapport compact",
        &mut warehouse.command(["compact"])?,
        &warehouse.folder().join(log),
    )
}

/// How many visits are visible; they must be the visits 0 to some number, each once, in every table that they touch.
fn visible(warehouse: &Warehouse) -> Result<u64> {
    let table = reader::table(&warehouse.lake(), "interactions")?;
    table.distinct("interaction_id")?;
    let visits = table.distinct("source_id")?;
    for (n, visit) in visits.iter().enumerate() {
        ensure!(
            *visit == files::id(n as u64),
            "visit {} is missing, {visit} is there",
            files::id(n as u64)
        );
    }
    // A card is one customer, and a customer has been given one number.
    let identities = reader::table(&warehouse.lake(), "customer_identities")?;
    identities.distinct("value")?;
    let numbers = identities.distinct("customer_id")?;
    let customers = reader::table(&warehouse.lake(), "customers")?.distinct("customer_id")?;
    for number in table.column("customer_id")?.into_iter().flatten() {
        ensure!(
            numbers.binary_search(&number).is_ok(),
            "an interaction of customer {number}, who has no identity"
        );
        ensure!(
            customers.binary_search(&number).is_ok(),
            "an interaction of customer {number}, who is not in customers"
        );
    }
    Ok(visits.len() as u64)
}

/// Exactly these visits, and `check` has nothing to say.
fn is_whole(warehouse: &Warehouse, n: u64) -> Result<()> {
    let seen = visible(warehouse)?;
    ensure!(seen == n, "{seen} visits are visible, not {n}");
    warehouse.succeed(["check"])?;
    Ok(())
}
