//! delta-rs must see in our log what we see.

use super::*;
use crate::Expect;
use crate::log::maintain::log_store;
use deltalake_core::DeltaTable;

async fn check(table: &Table) {
    let ours = table.snapshot().await.expect("a snapshot");
    let log = log_store(table.store(), &table.name().folder()).expect("a log store");
    let mut theirs = DeltaTable::new(log.clone());
    theirs.load().await.expect("a table that delta-rs reads");
    assert_eq!(theirs.version(), Some(ours.version()));
    let folder = table.name().folder();
    let mut their_files: Vec<String> = theirs
        .snapshot()
        .expect("a snapshot")
        .log_data()
        .iter()
        .map(|file| format!("{folder}/{}", file.path()))
        .collect();
    their_files.sort_unstable();
    let mut our_files: Vec<String> = ours.files().iter().map(|file| file.path.clone()).collect();
    our_files.sort_unstable();
    assert_eq!(their_files, our_files);
    let their_rows: usize = theirs
        .snapshot()
        .expect("a snapshot")
        .log_data()
        .iter()
        .map(|file| file.num_records().expect("a number of rows"))
        .sum();
    assert_eq!(their_rows as u64, ours.rows());
    let fields = theirs
        .snapshot()
        .expect("a snapshot")
        .schema()
        .fields()
        .count();
    assert_eq!(fields, ours.schema().fields().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delta_rs_reads_what_we_commit() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    check(&table).await;
    for customer in 0..25 {
        append(&table, &[customer]).await.expect("an append");
    }
    check(&table).await;
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
    table
        .maintain(chrono::Utc::now())
        .await
        .expect("a checkpoint");
    check(&table).await;
    append(&table, &[99]).await.expect("an append");
    check(&table).await;
}
