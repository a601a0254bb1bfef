//! Refreshes of models that are killed, paused, or meet another one. 10 rounds each; `RAPPORT_TEST_ROUNDS` asks for more.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::faults::kill::{a_moment_of, rounds, timed};
use crate::faults::models::{
    CUSTOMERS, begin_refresh, begin_refresh_with, fitted, is_settled, make, refresh,
    refresh_cleanly, runs, version_read,
};
use crate::fixtures::process::{Running, signal};
use crate::fixtures::trial::trials;
use crate::fixtures::warehouse::{Server, Warehouse};

pub fn trials() -> Vec<Trial> {
    trials!["faults::refresh";
        a_killed_refresh_leaves_one_version_and_the_next_is_clean,
        a_refresh_killed_while_it_publishes_is_finished_by_the_next,
        of_two_refreshers_one_publishes_or_one_after_the_other,
        refreshers_of_two_models_publish_both,
        a_paused_refresh_publishes_nothing_when_it_wakes,
        a_model_that_is_refreshed_is_neither_replaced_nor_dropped,
        queries_are_answered_beside_a_refresh,
    ]
}

const MODEL: &str = "worth";

/// So that a refresh says how far it is.
const TALKING: (&str, &str) = ("RAPPORT_LOG__LEVEL", "info");

/// Kills a refresh at a moment that `moment` waits for; what must hold then, and after the next one.
fn killed(
    server: &Server,
    told: &str,
    wait: impl FnOnce(&mut Running) -> Result<()>,
) -> Result<bool> {
    let warehouse = server.warehouse();
    let before = version_read(server, MODEL, CUSTOMERS)?;
    let (lost, published) = (
        runs(server, MODEL, "lost")?,
        runs(server, MODEL, "published")?,
    );
    let mut running = begin_refresh_with(warehouse, MODEL, "refresh.log", &[TALKING])?;
    wait(&mut running)?;
    running.kill()?;
    let seen = version_read(server, MODEL, CUSTOMERS)
        .with_context(|| format!("{told}, right after the kill"))?;
    ensure!(
        seen == before || seen == before + 1,
        "{told}: version {seen} after version {before}"
    );
    let has_begun = runs(server, MODEL, "running")? > 0;
    refresh_cleanly(warehouse, MODEL).with_context(|| told.to_owned())?;
    let next = is_settled(server, MODEL, CUSTOMERS)
        .with_context(|| format!("{told}, after the next refresh"))?;
    let (lost, published) = (
        runs(server, MODEL, "lost")? - lost,
        runs(server, MODEL, "published")? - published,
    );
    ensure!(
        next == before + published as i64,
        "{told}: version {next} after version {before} and {published} runs that published"
    );
    ensure!(
        seen == before || published == 2,
        "{told}: version {seen} was read and is no run's"
    );
    ensure!(
        !has_begun || lost + published == 2,
        "{told}: the run that was killed is neither lost nor finished"
    );
    Ok(published == 2)
}

fn a_killed_refresh_leaves_one_version_and_the_next_is_clean() -> Result<()> {
    let server = fitted()?.serve()?;
    let whole = timed(|| refresh_cleanly(server.warehouse(), MODEL))?;
    let mut after = 0;
    for round in 0..rounds() {
        let moment = a_moment_of(whole) / 2;
        let told = format!("round {round}, killed after {moment:?} of {whole:?}");
        let was_published = killed(&server, &told, |_| {
            thread::sleep(moment);
            Ok(())
        })?;
        after += u64::from(was_published);
    }
    let n = rounds();
    println!(
        "killed refreshes: {n}, {after} of them after they had begun to publish, of {whole:?} each"
    );
    Ok(())
}

/// The journal says what is about to be published; the kill comes while it is there.
fn a_refresh_killed_while_it_publishes_is_finished_by_the_next() -> Result<()> {
    let server = fitted()?.serve()?;
    let journal = server.warehouse().lake().join("_rapport/journal");
    let is_there = || fs::read_dir(&journal).is_ok_and(|mut found| found.next().is_some());
    let publishes = |running: &mut Running| -> Result<()> {
        loop {
            let has_come_so_far = running.log().contains("publishing") && is_there();
            if has_come_so_far || running.has_ended()? {
                return Ok(());
            }
        }
    };
    let mut running = begin_refresh_with(server.warehouse(), MODEL, "refresh.log", &[TALKING])?;
    publishes(&mut running)?;
    let mut window = timed(|| {
        while is_there() {}
        Ok(())
    })?;
    running.wait_for_end()?;
    let (mut tried, mut caught, mut finished) = (0, 0, 0);
    while tried < rounds() || (caught == 0 && tried < 5 * rounds()) {
        let moment = window.mul_f64(rand::random_range(0.0..0.9));
        let told = format!(
            "round {tried}, killed after {moment:?} of the {window:?} in which it publishes"
        );
        let mut came_late = false;
        let was_published = killed(&server, &told, |running| {
            publishes(running)?;
            thread::sleep(moment);
            running.kill()?;
            came_late = !is_there();
            Ok(())
        })?;
        tried += 1;
        caught += u64::from(!came_late);
        finished += u64::from(was_published);
        if came_late {
            // The one that was timed took longer than most.
            window /= 2;
        }
    }
    println!(
        "killed publications: {tried}, the last within {window:?}, {caught} of them with their journal, {finished} finished",
    );
    ensure!(
        caught > 0,
        "no refresh was killed in the middle of its publication"
    );
    Ok(())
}

/// How each of some refreshes that run at once has ended.
fn ends(running: Vec<Running>) -> Result<Vec<(Option<i32>, String)>> {
    let mut ends = vec![];
    for mut one in running {
        let code = one.wait_for_end()?.code();
        ends.push((code, one.log()));
    }
    ends.sort();
    Ok(ends)
}

fn of_two_refreshers_one_publishes_or_one_after_the_other() -> Result<()> {
    let server = fitted()?.serve()?;
    let warehouse = server.warehouse();
    let mut refused = 0;
    for round in 0..rounds() {
        let before = is_settled(&server, MODEL, CUSTOMERS)?;
        let mut running = vec![begin_refresh(warehouse, MODEL, "one.log")?];
        thread::sleep(Duration::from_millis(rand::random_range(0..300)));
        running.push(begin_refresh(warehouse, MODEL, "two.log")?);
        let pids: Vec<String> = running.iter().map(|one| one.id().to_string()).collect();
        let ends = ends(running)?;
        let published = ends.iter().filter(|(code, _)| *code == Some(0)).count();
        for (code, said) in &ends {
            let names_holder = said.contains("is being refreshed by rapport refresh")
                && pids
                    .iter()
                    .any(|pid| said.contains(&format!("process {pid}")));
            ensure!(
                *code == Some(0) || (*code == Some(4) && names_holder),
                "round {round}: {code:?} {said}"
            );
        }
        ensure!(published > 0, "round {round}: nobody published: {ends:?}");
        let version = is_settled(&server, MODEL, CUSTOMERS)
            .with_context(|| format!("round {round}: {ends:?}"))?;
        ensure!(
            version == before + published as i64,
            "round {round}: version {version} after {before}: {ends:?}"
        );
        refused += 2 - published;
    }
    println!(
        "two refreshers: {refused} of {} second ones were told who the first is",
        rounds()
    );
    ensure!(refused > 0, "they never met");
    Ok(())
}

/// They write to the same tables of the schema `models`.
fn refreshers_of_two_models_publish_both() -> Result<()> {
    let warehouse = fitted()?;
    make(&warehouse, "second", "stopping")?;
    let server = warehouse.serve()?;
    let models = [MODEL, "second"];
    for round in 0..rounds().div_ceil(2) {
        let before = models.map(|model| is_settled(&server, model, CUSTOMERS));
        let running = models
            .iter()
            .map(|model| begin_refresh(server.warehouse(), model, &format!("{model}.log")));
        let ends = ends(running.collect::<Result<_>>()?)?;
        for (model, before) in models.iter().zip(before) {
            let told = || format!("round {round}, {model}: {ends:?}");
            let version = is_settled(&server, model, CUSTOMERS).with_context(told)?;
            ensure!(version == before? + 1, "{}: version {version}", told());
        }
    }
    Ok(())
}

fn a_paused_refresh_publishes_nothing_when_it_wakes() -> Result<()> {
    let server = fitted()?.serve()?;
    let settings = [("RAPPORT_JOBS__LEASE", "1s"), TALKING];
    let phases = [
        "reading the history",
        "fitting",
        "judging",
        "scoring",
        "publishing",
    ];
    let mut overtaken = 0;
    for phase in phases {
        let told = || format!("paused while {phase}");
        let warehouse = server.warehouse();
        let before = version_read(&server, MODEL, CUSTOMERS)?;
        let mut paused = begin_refresh_with(warehouse, MODEL, "paused.log", &settings)?;
        let said = format!("phase=\"{phase}\"");
        while !paused.log().contains(&said) {
            ensure!(!paused.has_ended()?, "{}: {}", told(), paused.log());
        }
        signal(paused.id(), "STOP")?;
        // Longer than it has promised to speak.
        thread::sleep(Duration::from_millis(1_500));
        refresh_cleanly(warehouse, MODEL).with_context(told)?;
        let next = is_settled(&server, MODEL, CUSTOMERS).with_context(told)?;
        signal(paused.id(), "CONT")?;
        let code = paused.wait_for_end()?.code();
        let said = paused.log();
        let in_the_end = is_settled(&server, MODEL, CUSTOMERS).with_context(told)?;
        ensure!(
            in_the_end == next,
            "{}: it has published after it woke: {said}",
            told()
        );
        if next == before + 1 {
            ensure!(
                code == Some(4) && said.contains("was overtaken"),
                "{}: {code:?} {said}",
                told()
            );
            overtaken += 1;
            ensure!(
                runs(&server, MODEL, "overtaken")? == overtaken,
                "{}: models.runs does not tell",
                told()
            );
        } else {
            // It had published before it was paused, or its journal was there for the other to finish.
            ensure!(
                code == Some(0) && next == before + 2,
                "{}: {code:?}, version {next} after {before}: {said}",
                told()
            );
        }
    }
    println!(
        "paused refreshes: {overtaken} of {} were overtaken",
        phases.len()
    );
    ensure!(overtaken >= 3, "only {overtaken} were overtaken");
    Ok(())
}

fn a_model_that_is_refreshed_is_neither_replaced_nor_dropped() -> Result<()> {
    let server = fitted()?.serve()?;
    let warehouse = server.warehouse();
    let before = version_read(&server, MODEL, CUSTOMERS)?;
    let mut paused = begin_refresh_with(warehouse, MODEL, "paused.log", &[TALKING])?;
    while !paused.log().contains("phase=\"fitting\"") {
        ensure!(!paused.has_ended()?, "{}", paused.log());
    }
    signal(paused.id(), "STOP")?;
    for arguments in [
        &["model", "create", MODEL, "--type", "clv", "--replace"][..],
        &["model", "drop", MODEL],
    ] {
        let done = warehouse.run(arguments)?;
        let says = "is being refreshed by rapport refresh";
        ensure!(
            done.code == Some(4) && done.stderr.contains(says),
            "{arguments:?}: {done}"
        );
    }
    signal(paused.id(), "CONT")?;
    let code = paused.wait_for_end()?.code();
    ensure!(code == Some(0), "{code:?} {}", paused.log());
    let after = is_settled(&server, MODEL, CUSTOMERS)?;
    ensure!(after == before + 1, "version {after} after {before}");
    warehouse.succeed(["model", "drop", MODEL])?;
    Ok(())
}

fn queries_are_answered_beside_a_refresh() -> Result<()> {
    let warehouse: Warehouse = fitted()?;
    make(&warehouse, "big", "many")?;
    warehouse.add("boss", true)?;
    let server = warehouse.serve()?;
    let mut boss = server.endpoint().clone();
    boss.user = "boss".to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for statement in [None, Some("REFRESH MODEL big")] {
        let is_over = AtomicBool::new(false);
        let (answered, slowest) = thread::scope(|scope| -> Result<_> {
            let refreshing = scope.spawn(|| {
                let done = match statement {
                    Some(sql) => runtime
                        .block_on(async { boss.connect().await?.batch_execute(sql).await })
                        .map_err(Into::into),
                    // Published or not, as it was judged.
                    None => refresh(server.warehouse(), "big").and_then(|done| {
                        ensure!(matches!(done.code, Some(0 | 3)), "{done}");
                        Ok(())
                    }),
                };
                is_over.store(true, Ordering::Relaxed);
                done
            });
            let (mut answered, mut slowest) = (0, Duration::ZERO);
            while !is_over.load(Ordering::Relaxed) {
                slowest = slowest.max(timed(|| {
                    version_read(&server, "big", 30 * CUSTOMERS)?;
                    let rows = server
                        .ask("SELECT band, count(*), sum(clv) FROM scores.worth GROUP BY 1")?;
                    ensure!(!rows.is_empty(), "no bands");
                    Ok(())
                })?);
                answered += 1;
            }
            refreshing.join().expect("a refresh does not panic")?;
            Ok((answered, slowest))
        })?;
        println!(
            "beside a refresh {answered} dashboards were answered, the slowest in {slowest:?}"
        );
        ensure!(answered >= 3, "only {answered} were answered");
    }
    Ok(())
}
