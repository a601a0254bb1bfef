//! Rewriting: beside others, and only if no row is lost.

use super::*;
use crate::compact::{Policy, plan};
use crate::{Error, Expect};
use chrono::{TimeDelta, Utc};

async fn table_of(lake: &TestLake, appends: &[&[i64]]) -> Table {
    let table = lake.interactions().await;
    for customers in appends {
        append(&table, customers).await.expect("an append");
    }
    table
}

async fn compact(table: &Table, snapshot: &Snapshot) -> Result<Appended> {
    let rows = stream_of(vec![merged(table, snapshot.files()).await]);
    let txn = txn("compact", snapshot.version() as i64);
    table
        .rewrite(
            snapshot,
            snapshot.files(),
            rows,
            Expect::SameRows,
            txn,
            "COMPACT",
        )
        .await
}

#[tokio::test]
async fn compaction_keeps_every_row_in_one_sorted_file() {
    let lake = TestLake::new().await;
    let table = table_of(&lake, &[&[1, 5], &[2, 4], &[3]]).await;
    let before = table.snapshot().await.expect("a snapshot");
    let done = compact(&table, &before).await.expect("a compaction");
    assert_eq!((done.rows, done.files), (5, 1));
    let after = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    let snapshot = after.snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.files().len(), 1);
    assert!(snapshot.files()[0].is_sorted_by(&snapshot.layout().sort));
    assert_eq!(customers(&after, &snapshot).await, [1, 2, 3, 4, 5]);
    let newest = before.files().iter().map(DataFile::until).max();
    assert_eq!(
        Some(snapshot.files()[0].until()),
        newest,
        "compaction does not make rows younger"
    );
}

#[tokio::test]
async fn a_compaction_that_would_change_a_row_is_refused() {
    let lake = TestLake::new().await;
    let table = table_of(&lake, &[&[1, 2], &[3]]).await;
    let snapshot = table.snapshot().await.expect("a snapshot");
    let check = async |customers: &[i64]| {
        let other = stream_of(vec![rows(customers)]);
        let done = table.rewrite(
            &snapshot,
            snapshot.files(),
            other,
            Expect::SameRows,
            txn("c", 1),
            "COMPACT",
        );
        let error = done.await.expect_err("other rows");
        assert!(matches!(error, Error::RowsChanged { .. }), "{error}");
    };
    check(&[1, 2]).await;
    check(&[1, 2, 3]).await;
    assert_eq!(table.snapshot().await.expect("a snapshot").version(), 2);
    assert_eq!(table.data_files().await.expect("a list").len(), 2);
}

#[tokio::test]
async fn an_append_beside_a_compaction_stays() {
    let lake = TestLake::new().await;
    let table = table_of(&lake, &[&[1], &[2]]).await;
    let snapshot = table.snapshot().await.expect("a snapshot");
    append(&table, &[3]).await.expect("an append meanwhile");
    compact(&table, &snapshot).await.expect("a compaction");
    let now = table.snapshot().await.expect("a snapshot");
    assert_eq!(customers(&table, &now).await, [1, 2, 3]);
    assert_eq!(now.files().len(), 2);
}

#[tokio::test]
async fn of_two_compactions_of_the_same_files_one_wins() {
    let lake = TestLake::new().await;
    let table = table_of(&lake, &[&[1], &[2]]).await;
    let snapshot = table.snapshot().await.expect("a snapshot");
    let other = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    let rows = || async { stream_of(vec![merged(&table, snapshot.files()).await]) };
    let start = |table: Table, rows, id| {
        let snapshot = &snapshot;
        async move {
            let files = snapshot.files();
            table
                .rewrite(
                    snapshot,
                    files,
                    rows,
                    Expect::SameRows,
                    txn(id, 1),
                    "COMPACT",
                )
                .await
        }
    };
    let (one, two) = tokio::join!(
        start(table.clone(), rows().await, "one"),
        start(other, rows().await, "two"),
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let lost = one.err().or(two.err()).expect("a loser");
    assert!(matches!(lost, Error::Conflict { .. }), "{lost}");
    let now = table.snapshot().await.expect("a snapshot");
    assert_eq!(customers(&table, &now).await, [1, 2]);
    assert_eq!(table.data_files().await.expect("a list").len(), 3);
}

#[tokio::test]
async fn a_repeated_rewrite_does_nothing() {
    let lake = TestLake::new().await;
    let table = table_of(&lake, &[&[1], &[2]]).await;
    let snapshot = table.snapshot().await.expect("a snapshot");
    let rows = stream_of(vec![merged(&table, snapshot.files()).await]);
    let again = stream_of(vec![merged(&table, snapshot.files()).await]);
    let run = |rows| {
        table.rewrite(
            &snapshot,
            snapshot.files(),
            rows,
            Expect::SameRows,
            txn("c", 1),
            "COMPACT",
        )
    };
    assert!(!run(rows).await.expect("a compaction").already);
    assert!(run(again).await.expect("the same").already);
}

#[tokio::test]
async fn a_rewrite_may_be_told_how_many_rows_stay() {
    let lake = TestLake::new().await;
    let table = table_of(&lake, &[&[1, 2], &[3]]).await;
    let snapshot = table.snapshot().await.expect("a snapshot");
    let first = &snapshot.files()[..1];
    let delete = |expect, id| {
        let rows = stream_of(vec![rows(&[1])]);
        table.rewrite(&snapshot, first, rows, expect, txn(id, 1), "DELETE")
    };
    let wrong = delete(Expect::Rows(2), "a").await;
    assert!(matches!(wrong, Err(Error::RowsChanged { .. })), "{wrong:?}");
    delete(Expect::Rows(1), "b").await.expect("a delete");
    let now = table.snapshot().await.expect("a snapshot");
    assert_eq!(customers(&table, &now).await, [1, 3]);
    let all_gone = table.rewrite(
        &now,
        now.files(),
        stream_of(vec![]),
        Expect::Any,
        txn("d", 1),
        "DELETE",
    );
    all_gone.await.expect("a delete");
    assert_eq!(table.snapshot().await.expect("a snapshot").rows(), 0);
}

#[tokio::test]
async fn compare_and_swap_does_not_mind_a_compaction() {
    let lake = TestLake::new().await;
    let table = table_of(&lake, &[&[1], &[2]]).await;
    let snapshot = table.snapshot().await.expect("a snapshot");
    compact(&table, &snapshot).await.expect("a compaction");
    let options = Append {
        base: Some(snapshot.version()),
        ..Append::default()
    };
    let appended = table.append(stream_of(vec![rows(&[3])]), options).await;
    assert_eq!(appended.expect("no rows were changed").version, 4);
}

#[tokio::test]
async fn past_files_are_folded_and_what_was_folded_is_left_alone() {
    let lake = TestLake::new().await;
    let table = table_of(&lake, &[&[1], &[2], &[3]]).await;
    let snapshot = table.snapshot().await.expect("a snapshot");
    let policy = Policy::default();
    let now = Utc::now();
    assert!(
        plan(&snapshot, now, &policy).is_empty(),
        "three files of today may stay"
    );
    let eager = Policy {
        min_today: 3,
        ..Policy::default()
    };
    assert_eq!(plan(&snapshot, now, &eager).len(), 1);
    let next_year = now + TimeDelta::days(400);
    let groups = plan(&snapshot, next_year, &policy);
    assert_eq!(
        (groups.len(), groups[0].files.len(), groups[0].rows()),
        (1, 3, 3)
    );
    compact(&table, &snapshot).await.expect("a compaction");
    let after = table.snapshot().await.expect("a snapshot");
    assert!(plan(&after, next_year, &policy).is_empty());
}

/// Wide enough that a merge of them would be split.
#[test]
fn big_files_are_made_of_small_ones_and_not_folded_again() {
    let check = |megabytes: u64, expected: u64| {
        let file = |size| {
            let schema = interactions_schema();
            let add = crate::log::action::Add {
                size,
                ..Default::default()
            };
            DataFile::new("x".into(), &add, 1, &schema)
        };
        let half = i64::try_from(megabytes << 19).expect("small");
        assert_eq!(
            crate::compact::file_bytes(&[file(half), file(half)]) >> 20,
            expected
        );
    };
    check(10, 200);
    check(330, 330);
    check(500, 250);
    check(1_100, 220);
}
