//! Damage is found and never read past in silence.

use super::*;
use crate::{Error, check};
use std::fs;

async fn findings(lake: &TestLake) -> Vec<String> {
    let found = check(&lake.again().await, &|_| ()).await.expect("a check");
    found
        .into_iter()
        .map(|finding| format!("{}: {}", finding.path, finding.what))
        .collect()
}

async fn three_versions(lake: &TestLake) -> Table {
    let table = lake.interactions().await;
    append(&table, &[1]).await.expect("an append");
    append(&table, &[2]).await.expect("an append");
    table
}

async fn check_torn(content: &str) {
    let lake = TestLake::new().await;
    let table = three_versions(&lake).await;
    fs::write(lake.commit(3), content).expect("a torn commit");

    let error = table
        .snapshot()
        .await
        .expect_err("a handle that knows version 2");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    let error = lake
        .again()
        .await
        .table(&interactions())
        .await
        .err()
        .expect("a fresh one");
    assert!(error.to_string().contains("move it away"), "{error}");
    let error = append(&table, &[3]).await.expect_err("an append after it");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    let found = findings(&lake).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("00000000000000000003.json"), "{found:?}");

    fs::remove_file(lake.commit(3)).expect("the remedy");
    assert_eq!(findings(&lake).await, [""; 0]);
    append(&table, &[3]).await.expect("an append");
}

#[tokio::test]
async fn an_empty_last_commit_is_an_error() {
    check_torn("").await;
}

#[tokio::test]
async fn a_half_last_commit_is_an_error() {
    check_torn("{\"commitInfo\":{\"timestamp\":1,\"operation\":\"WR").await;
}

#[tokio::test]
async fn a_commit_cut_off_between_lines_is_an_error() {
    let line = "{\"commitInfo\":{\"timestamp\":1,\"operation\":\"WRITE\",\"rapport\":{\"commit\":\"x\",\"lines\":2}}}\n";
    check_torn(line).await;
}

#[tokio::test]
async fn a_commit_missing_in_between_is_an_error() {
    let lake = TestLake::new().await;
    three_versions(&lake).await;
    fs::remove_file(lake.commit(1)).expect("damage");
    let error = lake
        .again()
        .await
        .table(&interactions())
        .await
        .err()
        .expect("a gap");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert_eq!(findings(&lake).await.len(), 1);
}

#[tokio::test]
async fn a_whole_lake_has_no_findings() {
    let lake = TestLake::new().await;
    three_versions(&lake).await;
    assert_eq!(findings(&lake).await, [""; 0]);
}

#[tokio::test]
async fn a_flipped_bit_is_found() {
    let lake = TestLake::new().await;
    let table = three_versions(&lake).await;
    let path = table.snapshot().await.expect("a snapshot").files()[1]
        .path
        .clone();
    let mut bytes = fs::read(lake.file(&path)).expect("a file");
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x10;
    fs::write(lake.file(&path), bytes).expect("damage");
    let found = findings(&lake).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(&path) && found[0].contains("checksum"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_missing_and_a_short_file_are_found() {
    let lake = TestLake::new().await;
    let table = three_versions(&lake).await;
    let snapshot = table.snapshot().await.expect("a snapshot");
    fs::remove_file(lake.file(&snapshot.files()[0].path)).expect("damage");
    fs::write(lake.file(&snapshot.files()[1].path), "PAR1").expect("damage");
    let mut found = findings(&lake).await;
    found.sort();
    assert_eq!(found.len(), 2);
    assert!(
        found.iter().any(|found| found.contains("missing")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|found| found.contains("4 bytes")),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_damaged_checkpoint_is_found_but_does_not_stop_reading() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    for customer in 0..20 {
        append(&table, &[customer]).await.expect("an append");
    }
    table
        .maintain(chrono::Utc::now())
        .await
        .expect("a checkpoint");
    let checkpoint =
        lake.file("public/interactions/_delta_log/00000000000000000020.checkpoint.parquet");
    assert!(checkpoint.exists());
    fs::write(checkpoint, "PAR1 no more").expect("damage");
    let fresh = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    assert_eq!(fresh.snapshot().await.expect("a snapshot").rows(), 20);
    let found = findings(&lake).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("checkpoint"), "{found:?}");
}
