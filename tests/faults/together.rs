//! Several at once: loads, compactions, readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::faults::{begin_compaction, begin_load, is_whole, load, loaded};
use crate::fixtures::files;
use crate::fixtures::process::Running;
use crate::fixtures::reader;
use crate::fixtures::trial::trials;

pub fn trials() -> Vec<Trial> {
    trials!["faults::together";
        two_loads_of_different_files_add_both,
        two_loads_of_the_same_file_add_it_once,
        two_loads_of_overlapping_files_add_each_row_once,
        two_compactions_change_no_row,
        a_load_beside_a_compaction_loses_nothing,
        a_reader_sees_one_version_beside_loads_and_compactions,
        loads_beside_a_server_are_seen_by_its_next_statement,
        loads_beside_a_server_are_seen_in_its_catalogue,
        writers_of_one_own_table_lose_nothing,
    ]
}

fn all_succeed(mut running: Vec<Running>) -> Result<()> {
    for one in &mut running {
        let status = one.wait_for_end()?;
        ensure!(status.success(), "ended with {status}:\n{}", one.log());
    }
    Ok(())
}

fn two_loads_of_different_files_add_both() -> Result<()> {
    let (warehouse, source) = loaded(1_000, 1)?;
    let a = files::visits(warehouse.folder(), "a.csv", 1_000..6_000)?;
    let b = files::visits(warehouse.folder(), "b.csv", 6_000..11_000)?;
    all_succeed(vec![
        begin_load(&warehouse, &source, &a, "a.log")?,
        begin_load(&warehouse, &source, &b, "b.log")?,
    ])?;
    is_whole(&warehouse, 11_000)
}

fn two_loads_of_the_same_file_add_it_once() -> Result<()> {
    let (warehouse, source) = loaded(1_000, 1)?;
    let a = files::visits(warehouse.folder(), "a.csv", 1_000..9_000)?;
    all_succeed(vec![
        begin_load(&warehouse, &source, &a, "a.log")?,
        begin_load(&warehouse, &source, &a, "b.log")?,
    ])?;
    is_whole(&warehouse, 9_000)
}

fn two_loads_of_overlapping_files_add_each_row_once() -> Result<()> {
    let (warehouse, source) = loaded(1_000, 1)?;
    let a = files::visits(warehouse.folder(), "a.csv", 500..6_000)?;
    let b = files::visits(warehouse.folder(), "b.csv", 3_000..9_000)?;
    all_succeed(vec![
        begin_load(&warehouse, &source, &a, "a.log")?,
        begin_load(&warehouse, &source, &b, "b.log")?,
    ])?;
    is_whole(&warehouse, 9_000)
}

fn two_compactions_change_no_row() -> Result<()> {
    let (warehouse, _) = loaded(12_000, 12)?;
    let before = reader::table(&warehouse.lake(), "interactions")?
        .paths()
        .len();
    let mut running = vec![
        begin_compaction(&warehouse, "a.log")?,
        begin_compaction(&warehouse, "b.log")?,
    ];
    // One of them may find that the other was faster and say so; it must not fail on it.
    for one in &mut running {
        let status = one.wait_for_end()?;
        ensure!(status.success(), "ended with {status}:\n{}", one.log());
    }
    is_whole(&warehouse, 12_000)?;
    let after = reader::table(&warehouse.lake(), "interactions")?
        .paths()
        .len();
    ensure!(after < before, "{before} files before, {after} after");
    Ok(())
}

fn a_load_beside_a_compaction_loses_nothing() -> Result<()> {
    let (warehouse, source) = loaded(8_000, 8)?;
    for round in 0..3 {
        let from = 8_000 + round * 4_000;
        let file = files::visits(warehouse.folder(), "more.csv", from..from + 4_000)?;
        all_succeed(vec![
            begin_compaction(&warehouse, "compact.log")?,
            begin_load(&warehouse, &source, &file, "load.log")?,
        ])?;
        is_whole(&warehouse, from + 4_000)?;
    }
    Ok(())
}

/// Each load adds 1,000 visits at once, so a version has a multiple of 1,000 of them, and never fewer than the last.
fn a_reader_sees_one_version_beside_loads_and_compactions() -> Result<()> {
    let (warehouse, source) = loaded(4_000, 4)?;
    let server = Arc::new(warehouse.serve()?);
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (server, done) = (server.clone(), done.clone());
            thread::spawn(move || -> Result<u64> {
                let (mut last, mut asked) = (0, 0);
                while !done.load(Ordering::Relaxed) {
                    let rows = server.ask(
                        "SELECT count(*), count(DISTINCT source_id), (SELECT count(*) FROM interactions) FROM interactions",
                    )?;
                    let seen: Vec<u64> = rows[0].iter().map(|n| n.parse()).collect::<Result<_, _>>()?;
                    ensure!(seen[0] == seen[1] && seen[0] == seen[2], "one statement saw {seen:?}");
                    ensure!(seen[0].is_multiple_of(1_000), "half a load is visible: {seen:?}");
                    ensure!(seen[0] >= last, "{} rows after {last}", seen[0]);
                    (last, asked) = (seen[0], asked + 1);
                }
                Ok(asked)
            })
        })
        .collect();
    let work = || -> Result<()> {
        for n in 4..10 {
            let file = files::visits(
                server.warehouse().folder(),
                "more.csv",
                n * 1_000..(n + 1) * 1_000,
            )?;
            load(server.warehouse(), &source, &file)?;
            if n % 3 == 0 {
                server.warehouse().succeed(["compact"])?;
            }
        }
        Ok(())
    };
    let worked = work();
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        let asked = reader.join().expect("a reader does not panic")?;
        ensure!(asked > 3, "only {asked} questions were asked meanwhile");
    }
    worked?;
    is_whole(server.warehouse(), 10_000)
}

fn loads_beside_a_server_are_seen_by_its_next_statement() -> Result<()> {
    let (warehouse, source) = loaded(1_000, 1)?;
    let server = warehouse.serve()?;
    for n in 1..4 {
        let file = files::visits(
            server.warehouse().folder(),
            "more.csv",
            n * 1_000..(n + 1) * 1_000,
        )?;
        load(server.warehouse(), &source, &file)?;
        let seen = server.ask("SELECT count(*) FROM interactions")?;
        ensure!(
            seen == [[((n + 1) * 1_000).to_string()]],
            "after load {n}: {seen:?}"
        );
    }
    Ok(())
}

/// The loading process does not open the catalogue; the server looks at the lake before it answers from the catalogue.
fn loads_beside_a_server_are_seen_in_its_catalogue() -> Result<()> {
    let (warehouse, source) = loaded(1_000, 1)?;
    let server = warehouse.serve()?;
    let estimate = "SELECT reltuples FROM pg_class WHERE oid = 'interactions'::regclass";
    let seen = server.ask(estimate)?;
    ensure!(seen == [["1000"]], "at first: {seen:?}");
    let file = files::visits(server.warehouse().folder(), "more.csv", 1_000..3_000)?;
    load(server.warehouse(), &source, &file)?;
    let started = std::time::Instant::now();
    loop {
        let seen = server.ask(estimate)?;
        if seen == [["3000"]] {
            return Ok(());
        }
        ensure!(
            started.elapsed().as_secs() < 10,
            "ten seconds after the load: {seen:?}"
        );
    }
}

/// Ten clients insert, update and delete at once; a conflict is either solved or an error (40001), never a lost row.
fn writers_of_one_own_table_lose_nothing() -> Result<()> {
    let (warehouse, _) = loaded(1_000, 1)?;
    let server = Arc::new(warehouse.serve()?);
    server.ask("CREATE TABLE busy (writer integer, n integer)")?;
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let server = server.clone();
            thread::spawn(move || -> Result<usize> {
                let mut written = 0;
                for n in 0..8 {
                    match server.ask(&format!("INSERT INTO busy VALUES ({writer}, {n})")) {
                        Ok(_) => written += 1,
                        Err(error) => ensure!(format!("{error:#}").contains("40001"), "{error:#}"),
                    }
                }
                Ok(written)
            })
        })
        .collect();
    let mut written = 0;
    for writer in writers {
        written += writer
            .join()
            .expect("a writer does not panic")
            .context("a writer")?;
    }
    let seen = server.ask("SELECT count(*), count(DISTINCT (writer * 100 + n)) FROM busy")?;
    ensure!(
        seen == [[written.to_string(), written.to_string()]],
        "{written} were acknowledged, {seen:?} are there"
    );
    server.ask("UPDATE busy SET n = n + 1000 WHERE writer < 3")?;
    server.ask("DELETE FROM busy WHERE writer = 5")?;
    let seen = server.ask(
        "SELECT count(*) FILTER (WHERE n >= 1000) = count(*) FILTER (WHERE writer < 3) FROM busy",
    )?;
    ensure!(seen == [["t"]], "{seen:?}");
    Ok(())
}
