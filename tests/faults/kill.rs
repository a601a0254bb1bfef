//! `kill -9` at random moments. 10 rounds each; `RAPPORT_TEST_ROUNDS` asks for more (`tests/run --long`: 200).

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;

use crate::faults::{begin_compaction, begin_load, is_whole, load, loaded, visible};
use crate::fixtures::files;
use crate::fixtures::process::signal;
use crate::fixtures::reader;
use crate::fixtures::trial::trials;
use crate::fixtures::warehouse::{Server, Warehouse};

pub fn trials() -> Vec<Trial> {
    trials!["faults::kill";
        a_killed_load_shows_all_or_nothing_and_run_again_ends_as_if_it_had_run_once,
        a_killed_compaction_changes_no_row,
        what_a_killed_server_acknowledged_is_there,
        a_lost_catalogue_is_made_again_from_the_lake,
        a_killed_process_leaves_no_other_behind,
        what_a_killed_server_wrote_beside_the_lake_is_removed,
        an_interrupted_load_ends_with_130_and_shows_nothing,
    ]
}

const BEFORE: u64 = 3_000;
const ADDED: u64 = 40_000;

pub(super) fn rounds() -> u64 {
    std::env::var("RAPPORT_TEST_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(10)
}

/// A moment of a run that takes `whole` when nothing runs beside it: before its first write, in it, or after its last.
pub(super) fn a_moment_of(whole: Duration) -> Duration {
    whole.mul_f64(rand::random_range(0.0..2.5))
}

pub(super) fn timed(action: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    action()?;
    Ok(start.elapsed())
}

fn a_killed_load_shows_all_or_nothing_and_run_again_ends_as_if_it_had_run_once() -> Result<()> {
    let (template, source) = loaded(BEFORE, 1)?;
    let file = files::visits(template.folder(), "more.csv", 0..BEFORE + ADDED)?;
    let trial_run = template.copy()?;
    let whole = timed(|| load(&trial_run, &source, &file).map(drop))?;
    is_whole(&trial_run, BEFORE + ADDED)?;
    let (mut before, mut after) = (0, 0);
    for round in 0..rounds() {
        let warehouse = template.copy()?;
        let moment = a_moment_of(whole);
        let told = || format!("round {round}, killed after {moment:?} of {whole:?}");
        let mut running = begin_load(&warehouse, &source, &file, "load.log")?;
        thread::sleep(moment);
        let had_ended = running.has_ended()?;
        running.kill()?;
        match visible(&warehouse).with_context(told)? {
            BEFORE if !had_ended => before += 1,
            n if n == BEFORE + ADDED => after += 1,
            n => bail!("{}: {n} visits are visible", told()),
        }
        load(&warehouse, &source, &file).with_context(told)?;
        is_whole(&warehouse, BEFORE + ADDED).with_context(told)?;
        // And a third time, which adds nothing.
        load(&warehouse, &source, &file).with_context(told)?;
        is_whole(&warehouse, BEFORE + ADDED).with_context(told)?;
    }
    println!("killed loads: {before} before their commit, {after} after it, of {whole:?} each");
    Ok(())
}

fn a_killed_compaction_changes_no_row() -> Result<()> {
    let (template, _) = loaded(16_000, 8)?;
    let trial_run = template.copy()?;
    let whole = timed(|| trial_run.succeed(["compact"]).map(drop))?;
    is_whole(&trial_run, 16_000)?;
    let files = |warehouse: &Warehouse| -> Result<usize> {
        Ok(reader::table(&warehouse.lake(), "interactions")?
            .paths()
            .len())
    };
    let (many, few) = (files(&template)?, files(&trial_run)?);
    ensure!(few < many, "compaction made {few} files of {many}");
    let (mut before, mut after) = (0, 0);
    for round in 0..rounds() {
        let warehouse = template.copy()?;
        let moment = a_moment_of(whole);
        let told = || format!("round {round}, killed after {moment:?} of {whole:?}");
        let mut running = begin_compaction(&warehouse, "compact.log")?;
        thread::sleep(moment);
        running.kill()?;
        is_whole(&warehouse, 16_000).with_context(told)?;
        if files(&warehouse)? == many {
            before += 1
        } else {
            after += 1
        }
        warehouse.succeed(["compact"]).with_context(told)?;
        is_whole(&warehouse, 16_000).with_context(told)?;
        ensure!(
            files(&warehouse)? < many,
            "{}: nothing was compacted afterwards",
            told()
        );
    }
    println!(
        "killed compactions: {before} before their first commit, {after} after it, of {whole:?} each"
    );
    Ok(())
}

/// Own tables: definitions in the catalogue and rows in the lake, both or neither.
fn what_a_killed_server_acknowledged_is_there() -> Result<()> {
    let mut warehouse = Warehouse::init()?;
    let mut server = warehouse.serve()?;
    for round in 0..rounds().min(20) {
        let (made, rows) = (format!("made_{round}"), 50 + round);
        let endpoint = server.endpoint().clone();
        let table = made.clone();
        // Works until the server is killed; what it returns was acknowledged.
        let client = thread::spawn(move || -> Result<u64> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let client = endpoint.connect().await?;
                client
                    .batch_execute(&format!("CREATE TABLE {table} (n bigint)"))
                    .await?;
                let mut acknowledged = 0;
                while acknowledged < rows {
                    match client
                        .batch_execute(&format!("INSERT INTO {table} VALUES ({acknowledged})"))
                        .await
                    {
                        Ok(()) => acknowledged += 1,
                        Err(_) => break,
                    }
                }
                Ok(acknowledged)
            })
        });
        thread::sleep(Duration::from_millis(rand::random_range(200..1500)));
        warehouse = server.kill()?;
        let acknowledged = client
            .join()
            .expect("the client does not panic")
            .unwrap_or(0);
        server = warehouse
            .serve()
            .with_context(|| format!("round {round}"))?;
        let known = server.ask(&format!("SELECT to_regclass('{made}') IS NOT NULL"))?;
        if known == [["f"]] {
            ensure!(
                acknowledged == 0,
                "round {round}: the table is gone with {acknowledged} acknowledged rows"
            );
            continue;
        }
        let answer = server.ask(&format!("SELECT count(*), count(DISTINCT n) FROM {made}"))?;
        let (all, distinct): (u64, u64) = (answer[0][0].parse()?, answer[0][1].parse()?);
        // One more may have landed whose answer the kill cut off.
        ensure!(
            all == distinct && (acknowledged..=acknowledged + 1).contains(&all),
            "round {round}: {acknowledged} rows were acknowledged, {all} are there, {distinct} of them different"
        );
    }
    warehouse = server.stop()?;
    warehouse.succeed(["check"])?;
    Ok(())
}

/// Roles, memberships, grants, comments, views and their owners, with nothing left but the lake.
fn a_lost_catalogue_is_made_again_from_the_lake() -> Result<()> {
    let warehouse = Warehouse::init()?;
    warehouse.add("boss", true)?;
    let server = warehouse.serve()?;
    let questions = [
        "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1",
        "SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE roleid::regrole::text !~ '^pg_' ORDER BY roleid::regrole::text, member::regrole::text",
        "SELECT relname, relacl FROM pg_class WHERE relname ~ '^lost' AND relkind IN ('r', 'v') ORDER BY 1",
        "SELECT attname, attacl FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid = 'lost'::regclass ORDER BY 1",
        "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class WHERE relname ~ '^lost' ORDER BY 1",
        "SELECT defaclrole::regrole, defaclobjtype, x.grantee::regrole, x.privilege_type FROM pg_default_acl, aclexplode(defaclacl) x ORDER BY defaclrole::regrole::text, 2, x.grantee::regrole::text, 4",
        "SELECT nspname, x.grantee::regrole, x.privilege_type, x.is_grantable FROM pg_namespace, aclexplode(nspacl) x WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY nspname, x.grantee::regrole::text, 3",
        "SELECT relname, pg_get_userbyid(relowner) FROM pg_class WHERE relname ~ '^lost' ORDER BY 1",
        "SELECT pg_get_viewdef('lost_view'::regclass)",
        "SELECT a, n FROM lost_view ORDER BY a",
    ];
    for sql in [
        "CREATE TABLE lost (a integer PRIMARY KEY, b text NOT NULL DEFAULT 'x', c integer)",
        "INSERT INTO lost VALUES (1, 'one', 10)",
        "COMMENT ON TABLE lost IS 'not lost'",
        "CREATE VIEW lost_view AS SELECT a, approx_distinct(b) AS n FROM lost GROUP BY a",
        "COMMENT ON VIEW lost_view IS 'nor this'",
        "GRANT SELECT (a, c), UPDATE (c) ON lost TO boss",
        "GRANT SELECT ON lost_view TO rapport_reader",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO boss",
    ] {
        server.ask(sql)?;
    }
    let answers = |server: &Server| -> Result<Vec<Vec<Vec<String>>>> {
        questions.iter().map(|sql| server.ask(sql)).collect()
    };
    let before = answers(&server)?;
    let warehouse = server.kill()?;
    let catalogue = warehouse.lake().join("_rapport").join("catalogue-pg");
    // Out of the way at once: its process may still be leaving.
    fs::rename(&catalogue, warehouse.folder().join("lost-catalogue"))?;
    let server = warehouse.serve()?;
    let after = answers(&server)?;
    for ((question, before), after) in questions.iter().zip(&before).zip(&after) {
        ensure!(
            before == after,
            "{question}: {before:?} before, {after:?} after"
        );
    }
    Ok(())
}

fn a_killed_process_leaves_no_other_behind() -> Result<()> {
    let server = Warehouse::init()?.serve()?;
    server.ask("SELECT count(*) FROM pg_class")?;
    let folder = server.warehouse().folder().display().to_string();
    ensure!(
        !processes_with(&folder)?.is_empty() || server.endpoint().process > 0,
        "the server runs"
    );
    let warehouse = server.kill()?;
    // The catalogue's process notices that nobody is left.
    for _ in 0..100 {
        if processes_with(&folder)?.is_empty() {
            drop(warehouse);
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    bail!("still running: {:?}", processes_with(&folder)?)
}

/// The command lines that name this folder.
fn processes_with(folder: &str) -> Result<Vec<String>> {
    let mut found = vec![];
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path().join("cmdline");
        let line = fs::read(&path).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(folder) {
            found.push(format!("{}: {line}", Path::new(&path).display()));
        }
    }
    Ok(found)
}

/// Temporary tables, and what a sort has put on the disk.
fn what_a_killed_server_wrote_beside_the_lake_is_removed() -> Result<()> {
    let warehouse = Warehouse::init()?;
    let folder = warehouse.folder().join("spilled");
    let settings = [
        ("RAPPORT_QUERY__SPILL_DIR", folder.display().to_string()),
        ("RAPPORT_QUERY__MEMORY", "256MB".to_owned()),
    ];
    let server = warehouse.serve_with(settings.clone())?;
    let endpoint = server.endpoint().clone();
    let client = thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let client = endpoint.connect().await?;
            let sql = "CREATE TEMPORARY TABLE seen AS SELECT n, repeat('x', 300) || n AS t FROM generate_series(1, 2000000) AS n;
                SELECT count(*) FROM (SELECT t, row_number() OVER (ORDER BY t) AS i FROM seen) AS s WHERE i > 5 AND t > 'y'";
            client.batch_execute(sql).await?;
            Ok(())
        })
    });
    let start = Instant::now();
    let (is_table, is_spilled) = loop {
        let names = names_below(&folder)?;
        let is_table = names.iter().any(|name| name.ends_with(".parquet"));
        let is_spilled = names.iter().any(|name| name.contains("datafusion-"));
        if (is_table && is_spilled) || start.elapsed() > Duration::from_secs(60) {
            break (is_table, is_spilled);
        }
        thread::sleep(Duration::from_millis(10));
    };
    ensure!(
        is_table && is_spilled,
        "nothing was written: {:?}",
        names_below(&folder)?
    );
    let before = names_below(&folder)?;
    let warehouse = server.kill()?;
    ensure!(client.join().expect("no panic").is_err(), "it was killed");
    let server = warehouse.serve_with(settings)?;
    let after = names_below(&folder)?;
    let left: Vec<_> = before.iter().filter(|name| after.contains(name)).collect();
    ensure!(left.is_empty(), "still there: {left:?}");
    let warehouse = server.stop()?;
    let after = names_below(&folder)?;
    ensure!(after.is_empty(), "a server that ended left {after:?}");
    drop(warehouse);
    Ok(())
}

fn names_below(folder: &Path) -> Result<Vec<String>> {
    let mut names = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What is removed meanwhile is not there.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            names.push(entry.path().display().to_string());
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(names)
}

fn an_interrupted_load_ends_with_130_and_shows_nothing() -> Result<()> {
    let (warehouse, source) = loaded(BEFORE, 1)?;
    // Standard input that never ends: the load is still reading when it is interrupted.
    let mut feeder = std::process::Command::new("sh");
    feeder.arg("-c").arg(format!(
        "cat '{}'; exec sleep 100",
        warehouse.folder().join("part-0.csv").display()
    ));
    let mut feeder = feeder.stdout(std::process::Stdio::piped()).spawn()?;
    let mut command = warehouse.command(["load".as_ref(), source.as_os_str(), "-".as_ref()])?;
    command.stdin(feeder.stdout.take().context("the feeder's output")?);
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    thread::sleep(Duration::from_millis(1500));
    signal(child.id(), "INT")?;
    let status = wait(&mut child);
    feeder.kill()?;
    feeder.wait()?;
    ensure!(
        status?.code() == Some(130),
        "an interrupted load must end with 130"
    );
    is_whole(&warehouse, BEFORE)
}

fn wait(child: &mut std::process::Child) -> Result<std::process::ExitStatus> {
    for _ in 0..2000 {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    bail!("an interrupted load did not end")
}
