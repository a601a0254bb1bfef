//! Exactly once, whatever happens.

use rapport_intake::{Error, LoadOptions, Phase, Progress, Quiet, Source, load};
use tokio_util::sync::CancellationToken;

use crate::lab::{Lab, SALES, sales, source};

#[tokio::test]
async fn the_same_file_again_changes_nothing() {
    let lab = Lab::new().await;
    let file = lab.file("a.csv", sales(0, 100));
    let first = lab.load(&source(SALES), &[&file]).await;
    let copy = lab.file("copy of a.csv", sales(0, 100));
    let second = lab.load(&source(SALES), &[&copy]).await;
    assert!(second.files[0].loaded_before);
    assert_eq!((second.added, second.version), (0, first.version));
    assert_eq!(lab.interactions().await, 100);
}

#[tokio::test]
async fn the_same_bytes_twice_in_one_load_are_one_file() {
    let lab = Lab::new().await;
    let files = [
        lab.file("a.csv", sales(0, 100)),
        lab.file("b.csv", sales(0, 100)),
    ];
    let loaded = lab.load(&source(SALES), &[&files[0], &files[1]]).await;
    assert_eq!((loaded.read, loaded.added), (100, 100));
}

#[tokio::test]
async fn an_overlapping_file_adds_only_what_is_new() {
    let lab = Lab::new().await;
    let a = lab.file("a.csv", sales(0, 100));
    let b = lab.file("b.csv", sales(60, 100));
    lab.load(&source(SALES), &[&a]).await;
    let loaded = lab.load(&source(SALES), &[&b]).await;
    assert_eq!(
        (loaded.read, loaded.added, loaded.already_known),
        (100, 60, 40)
    );
    assert_eq!(
        lab.ask("SELECT count(*), count(DISTINCT source_id) FROM interactions")
            .await,
        ["160|160"]
    );
}

#[tokio::test]
async fn files_that_overlap_in_one_load_are_loaded_once() {
    let lab = Lab::new().await;
    let files = [
        lab.file("a.csv", sales(0, 100)),
        lab.file("b.csv", sales(60, 100)),
    ];
    let loaded = lab.load(&source(SALES), &[&files[0], &files[1]]).await;
    assert_eq!(
        (loaded.read, loaded.added, loaded.already_known),
        (200, 160, 40)
    );
}

#[tokio::test]
async fn equal_rows_without_a_key_are_all_kept_and_come_once() {
    let lab = Lab::new().await;
    let no_key = source(
        "select = '''SELECT 'web' AS channel, 'visit' AS interaction_type, at AS occurred_at, v AS amount FROM raw'''",
    );
    let day = "at,v\n2024-01-01,5\n2024-01-01,5\n2024-01-01,7\n";
    let a = lab.file("a.csv", day);
    assert_eq!(lab.load(&no_key, &[&a]).await.added, 3);
    let b = lab.file("b.csv", format!("{day}2024-01-01,5\n2024-01-02,5\n"));
    let loaded = lab.load(&no_key, &[&b]).await;
    assert_eq!((loaded.added, loaded.already_known), (2, 3));
    assert_eq!(
        lab.count("SELECT count(*) FROM interactions WHERE amount = 5")
            .await,
        4
    );
}

#[tokio::test]
async fn two_sources_do_not_know_each_others_rows() {
    let lab = Lab::new().await;
    let file = lab.file("a.csv", sales(0, 10));
    lab.load(&source(SALES), &[&file]).await;
    let other = Source::parse("other", &format!("about = 'other'\n{SALES}"), "other.toml")
        .expect("a source");
    assert_eq!(lab.load(&other, &[&file]).await.added, 10);
}

/// The state after a load that was killed before the newest commit of `table`, and then run again.
async fn check_killed_before(table: &str) {
    let lab = Lab::new().await;
    let file = lab.file("a.csv", sales(0, 100) + "100,not a time,c9,1\n");
    lab.load(&source(SALES), &[&file]).await;
    let tables = [
        "interactions",
        "customers",
        "customer_identities",
        "quarantine",
    ];
    // Commits are made in this order; those after the one that is missing are missing, too.
    let order = [
        "customer_identities",
        "customers",
        "interactions",
        "quarantine",
    ];
    let from = order
        .iter()
        .position(|name| *name == table)
        .expect("one of them");
    for name in &order[from..] {
        lab.take_back_commit(name);
    }
    let lab = lab.reopened().await;
    let loaded = lab.load(&source(SALES), &[&file]).await;
    assert!(!loaded.files[0].loaded_before);
    let mut counts = vec![];
    for table in tables {
        counts.push(lab.count(&format!("SELECT count(*) FROM {table}")).await);
    }
    assert_eq!(
        counts,
        [100, 7, 7, 1],
        "killed before the commit to {table}"
    );
    let ids =
        "SELECT min(customer_id), max(customer_id), count(DISTINCT customer_id) FROM interactions";
    assert_eq!(lab.ask(ids).await, ["1|7|7"]);
    let again = lab.load(&source(SALES), &[&file]).await;
    assert!(again.files[0].loaded_before, "after a kill before {table}");
}

#[tokio::test]
async fn a_load_killed_between_its_commits_is_completed_by_the_next_run() {
    for table in [
        "customer_identities",
        "customers",
        "interactions",
        "quarantine",
    ] {
        check_killed_before(table).await;
    }
}

/// Cancels when a phase begins.
struct CancelAt(Phase, CancellationToken);

impl Progress for CancelAt {
    fn phase(&self, phase: Phase) {
        if phase == self.0 {
            self.1.cancel();
        }
    }
    fn total_bytes(&self, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
}

#[tokio::test]
async fn an_interrupted_load_leaves_nothing() {
    for phase in [
        Phase::Reading,
        Phase::Matching,
        Phase::Writing,
        Phase::Committing,
    ] {
        let lab = Lab::new().await;
        let file = lab.file("a.csv", sales(0, 1_000));
        let token = CancellationToken::new();
        let progress = CancelAt(phase, token.clone());
        let outcome = load(
            &lab.warehouse,
            &source(SALES),
            lab.options(&[&file]),
            &progress,
            token,
        )
        .await;
        assert!(
            matches!(outcome, Err(Error::Cancelled)),
            "{phase:?}: {outcome:?}"
        );
        for table in [
            "interactions",
            "customers",
            "customer_identities",
            "quarantine",
        ] {
            assert_eq!(
                lab.count(&format!("SELECT count(*) FROM {table}")).await,
                0,
                "{phase:?}: {table}"
            );
        }
        assert_eq!(lab.load(&source(SALES), &[&file]).await.added, 1_000);
    }
}

/// Loads at the same time, from warehouses that know nothing of each other.
async fn at_the_same_time(lab: &Lab, loads: Vec<(Source, LoadOptions)>) -> u64 {
    let mut running = vec![];
    for (source, options) in loads {
        let location = lab.warehouse.lake().location().clone();
        let lake = rapport_lake::Lake::open(location).await.expect("opened");
        let limits = rapport_engine::Limits::default();
        let warehouse = rapport_engine::Warehouse::open(lake, None, limits)
            .await
            .expect("opened");
        running.push(tokio::spawn(async move {
            load(
                &warehouse,
                &source,
                options,
                &Quiet,
                CancellationToken::new(),
            )
            .await
        }));
    }
    let mut added = 0;
    for load in running {
        added += load.await.expect("no panic").expect("loaded").added;
    }
    added
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn overlapping_files_loaded_at_the_same_time_are_loaded_once() {
    for _ in 0..5 {
        let lab = Lab::new().await;
        let mut loads = vec![];
        for i in 0..6 {
            let file = lab.file(&format!("{i}.csv"), sales(i * 50, 100));
            loads.push((source(SALES), lab.options(&[&file])));
        }
        assert_eq!(at_the_same_time(&lab, loads).await, 350);
        let lab = lab.reopened().await;
        assert_eq!(
            lab.ask("SELECT count(*), count(DISTINCT interaction_id) FROM interactions")
                .await,
            ["350|350"]
        );
        assert_eq!(
            lab.ask(
                "SELECT count(*), count(DISTINCT value), max(customer_id) FROM customer_identities"
            )
            .await,
            ["7|7|7"]
        );
        assert_eq!(
            lab.ask("SELECT count(*), max(customer_id) FROM customers")
                .await,
            ["7|7"]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_file_loaded_at_the_same_time_is_loaded_once() {
    let lab = Lab::new().await;
    let file = lab.file("a.csv", sales(0, 100) + "100,not a time,c9,1\n");
    let loads = (0..5)
        .map(|_| (source(SALES), lab.options(&[&file])))
        .collect();
    assert_eq!(at_the_same_time(&lab, loads).await, 100);
    let lab = lab.reopened().await;
    assert_eq!(lab.interactions().await, 100);
    assert_eq!(lab.count("SELECT count(*) FROM quarantine").await, 1);
}

#[tokio::test]
async fn rows_that_do_not_fit_in_memory_are_the_same_rows() {
    let lab = Lab::new().await;
    let file = lab.file("a.csv", sales(0, 60_000));
    let in_memory = lab.load(&source(SALES), &[&file]).await;
    let all =
        "SELECT interaction_id, customer_id, occurred_at, amount FROM interactions ORDER BY 1";
    let expected = lab.ask(all).await;
    let lab = Lab::new().await;
    let file = lab.file("a.csv", sales(0, 60_000));
    let mut options = lab.options(&[&file]);
    options.memory_bytes = 200_000;
    let spilled = load(
        &lab.warehouse,
        &source(SALES),
        options,
        &Quiet,
        CancellationToken::new(),
    )
    .await
    .expect("loaded");
    assert_eq!(spilled.added, in_memory.added);
    assert_eq!(lab.ask(all).await, expected);
    // The lake itself refuses rows that are not in order.
    let left = std::fs::read_dir(lab.folder.path().join("spill"))
        .expect("it was used")
        .count();
    assert_eq!(left, 0, "temporary files are removed");
}
