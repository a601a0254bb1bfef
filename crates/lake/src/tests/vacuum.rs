//! What a vacuum removes, and what it must not.

use super::*;
use crate::{Error, Expect, Vacuumed};
use chrono::{TimeDelta, Utc};
use std::time::Duration;

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// One live file, one that a compaction replaced, and one that a killed load left.
async fn table_with_leftovers(lake: &TestLake) -> Table {
    let table = lake.interactions().await;
    append(&table, &[1]).await.expect("an append");
    let snapshot = table.snapshot().await.expect("a snapshot");
    let rows = stream_of(vec![merged(&table, snapshot.files()).await]);
    let done = table.rewrite(
        &snapshot,
        snapshot.files(),
        rows,
        Expect::SameRows,
        txn("c", 1),
        "COMPACT",
    );
    done.await.expect("a compaction");
    std::fs::write(lake.file("public/interactions/data/orphan.parquet"), "half").expect("a file");
    table
}

#[tokio::test]
async fn the_floor_is_a_week() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let day = Duration::from_secs(24 * 60 * 60);
    let error = table
        .vacuum(day, Utc::now(), false)
        .await
        .expect_err("too short");
    assert!(
        matches!(
            error,
            Error::VacuumFloor {
                asked_days: 1,
                floor_days: 7
            }
        ),
        "{error}"
    );
    table
        .vacuum(day, Utc::now(), true)
        .await
        .expect("it was meant");
}

#[tokio::test]
async fn what_young_versions_need_stays() {
    let lake = TestLake::new().await;
    let table = table_with_leftovers(&lake).await;
    let soon = Utc::now() + TimeDelta::days(6);
    assert_eq!(
        table.vacuum(WEEK, soon, false).await.expect("a vacuum"),
        Vacuumed::default()
    );
    assert_eq!(table.snapshot_at(1).await.expect("the past").rows(), 1);
}

#[tokio::test]
async fn what_only_old_versions_knew_goes() {
    let lake = TestLake::new().await;
    let table = table_with_leftovers(&lake).await;
    let later = Utc::now() + TimeDelta::days(8);
    let vacuumed = table.vacuum(WEEK, later, false).await.expect("a vacuum");
    assert_eq!(vacuumed.files, 2);
    let snapshot = table.snapshot().await.expect("a snapshot");
    assert_eq!(customers(&table, &snapshot).await, [1]);
    assert_eq!(table.data_files().await.expect("a list").len(), 1);
}

#[tokio::test]
async fn a_file_that_lived_until_yesterday_stays() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    append(&table, &[1]).await.expect("an append");
    let old = table.snapshot().await.expect("a snapshot").files()[0]
        .path
        .clone();
    let file = std::fs::File::options()
        .write(true)
        .open(lake.file(&old))
        .expect("a file");
    let long_ago = std::time::SystemTime::now() - 10 * WEEK;
    file.set_modified(long_ago).expect("a time");
    table.truncate().await.expect("a truncate");
    let soon = Utc::now() + TimeDelta::days(1);
    assert_eq!(
        table
            .vacuum(WEEK, soon, false)
            .await
            .expect("a vacuum")
            .files,
        0
    );
    assert!(lake.file(&old).exists());
}
