//! Tables come and go; a table's past can be read.

use super::*;
use crate::{Error, ForeignKey};

#[tokio::test]
async fn a_folder_is_a_lake_once_it_was_made_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lake = open(folder.path()).await;
    assert!(!lake.exists().await.expect("readable"));
    lake.create_root().await.expect("a new lake");
    lake.create_root().await.expect("again");
    assert!(lake.exists().await.expect("readable"));
}

#[tokio::test]
async fn a_lake_of_a_newer_program_is_refused() {
    let lake = TestLake::new().await;
    std::fs::write(lake.file("_rapport/format.json"), "{\"format\": 99}").expect("a file");
    assert!(matches!(
        lake.exists().await,
        Err(Error::NewerFormat { found: 99, .. })
    ));
}

#[tokio::test]
async fn tables_are_listed_by_name() {
    let lake = TestLake::new().await;
    let names = [
        TableName::public("b"),
        TableName::new("Übersicht", "x y"),
        TableName::public("a"),
    ];
    for name in &names {
        let definition = Definition::new(interactions_schema());
        lake.create_table(name, &definition)
            .await
            .expect("a new table");
    }
    let listed = lake.again().await.table_names().await.expect("a list");
    assert_eq!(
        listed,
        [
            TableName::public("a"),
            TableName::public("b"),
            TableName::new("Übersicht", "x y")
        ]
    );
}

#[tokio::test]
async fn a_table_is_created_once() {
    let lake = TestLake::new().await;
    lake.interactions().await;
    let again = lake
        .create_table(&interactions(), &Definition::new(interactions_schema()))
        .await;
    assert!(matches!(again, Err(Error::TableExists(_))));
}

#[tokio::test]
async fn a_table_that_is_not_there_says_so() {
    let lake = TestLake::new().await;
    let missing = lake.table(&TableName::public("nobody")).await;
    assert!(matches!(missing, Err(Error::NoSuchTable(_))));
}

#[tokio::test]
async fn a_name_without_a_schema_is_refused() {
    let lake = TestLake::new().await;
    let definition = Definition::new(interactions_schema());
    let created = lake
        .create_table(&TableName::new("", "x"), &definition)
        .await;
    assert!(matches!(created.err(), Some(Error::BadTableName(..))));
    assert!(lake.table(&TableName::public("")).await.is_err());
}

#[tokio::test]
async fn a_dropped_table_is_gone_and_its_name_free() {
    let lake = TestLake::new().await;
    let old = lake.again().await;
    let table = lake.interactions().await;
    table
        .append(stream_of(vec![rows(&[1])]), once("file a"))
        .await
        .expect("an append");
    let held = old.table(&interactions()).await.expect("a table");

    lake.drop_table(&interactions()).await.expect("a drop");
    assert!(lake.table_names().await.expect("a list").is_empty());
    assert!(matches!(
        lake.table(&interactions()).await,
        Err(Error::NoSuchTable(_))
    ));
    assert!(matches!(held.snapshot().await, Err(Error::NoSuchTable(_))));
    assert!(table.data_files().await.expect("a list").is_empty());

    let table = lake.interactions().await;
    assert_eq!(table.snapshot().await.expect("a snapshot").rows(), 0);
    let appended = table
        .append(stream_of(vec![rows(&[7, 8])]), once("file a"))
        .await;
    assert!(
        !appended.expect("an append").already,
        "the new table has not seen this file"
    );
    let snapshot = held.snapshot().await.expect("the new table");
    assert_eq!(customers(&held, &snapshot).await, [7, 8]);
    let fresh = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    assert_eq!(fresh.snapshot().await.expect("a snapshot").rows(), 2);
    assert!(matches!(
        fresh.snapshot_at(1).await,
        Err(Error::NoSuchVersion { .. })
    ));
}

#[tokio::test]
async fn rows_for_a_table_dropped_meanwhile_conflict() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let mut writer = table
        .begin_append(Append::default())
        .await
        .expect("a writer");
    writer.write(rows(&[1])).await.expect("rows");
    lake.drop_table(&interactions()).await.expect("a drop");
    lake.interactions().await;
    let error = writer.commit().await.expect_err("another table");
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
}

#[tokio::test]
async fn a_truncated_table_can_be_loaded_again() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let load = || table.append(stream_of(vec![rows(&[1])]), once("file a"));
    load().await.expect("an append");
    table.truncate().await.expect("a truncate");
    assert_eq!(table.snapshot().await.expect("a snapshot").rows(), 0);
    assert!(!load().await.expect("an append").already);
    let fresh = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    assert_eq!(fresh.snapshot().await.expect("a snapshot").rows(), 1);
}

#[tokio::test]
async fn the_past_can_be_read_by_version_and_by_time() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let mut times = vec![];
    for customer in 0..6 {
        append(&table, &[customer]).await.expect("an append");
        times.push(table.snapshot().await.expect("a snapshot").timestamp());
    }
    for (at, time) in times.iter().enumerate() {
        let rows = at as u64 + 1;
        assert_eq!(
            table.snapshot_at(rows).await.expect("a version").rows(),
            rows
        );
        let as_of = table.snapshot_as_of(*time).await.expect("a time");
        assert_eq!((as_of.rows(), as_of.version()), (rows, rows));
    }
    assert!(matches!(
        table.snapshot_at(7).await,
        Err(Error::NoSuchVersion { newest: 6, .. })
    ));
    let before = times[0] - chrono::TimeDelta::days(1);
    assert!(matches!(
        table.snapshot_as_of(before).await,
        Err(Error::NoSuchTime { .. })
    ));
}

#[tokio::test]
async fn a_definition_can_be_changed_and_columns_added() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    append(&table, &[1]).await.expect("an append");
    let mut fields: Vec<_> = interactions_schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("mood", DataType::Utf8, true)));
    let definition = Definition {
        comment: Some("all contacts".into()),
        primary_key: vec!["interaction_id".into()],
        foreign_keys: vec![ForeignKey {
            columns: vec!["customer_id".into()],
            table: "public.customers".into(),
            ref_columns: vec!["customer_id".into()],
        }],
        ..Definition::new(Arc::new(Schema::new(fields)))
    };
    table.set_definition(&definition).await.expect("a change");
    append(&table, &[2])
        .await
        .expect("rows without the new column");
    let fresh = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    let snapshot = fresh.snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.definition(), &definition);
    assert_eq!(customers(&fresh, &snapshot).await, [1, 2]);
    let narrower = Definition::new(interactions_schema());
    assert!(matches!(
        table.set_definition(&narrower).await,
        Err(Error::WrongSchema { .. })
    ));
}

#[tokio::test]
async fn checkpoints_keep_the_newest_version_readable() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    for customer in 0..25 {
        let options = once(&format!("file {customer}"));
        let batches = stream_of(vec![rows(&[customer])]);
        table.append(batches, options).await.expect("an append");
    }
    let now = chrono::Utc::now();
    table.maintain(now).await.expect("a checkpoint");
    assert!(
        lake.file("public/interactions/_delta_log/_last_checkpoint")
            .exists()
    );
    append(&table, &[25]).await.expect("an append");
    let check = async |version: u64| {
        let fresh = lake
            .again()
            .await
            .table(&interactions())
            .await
            .expect("a table");
        let snapshot = fresh.snapshot().await.expect("a snapshot");
        assert_eq!(snapshot.version(), version);
        assert_eq!(
            customers(&fresh, &snapshot).await,
            (0..version as i64).collect::<Vec<_>>()
        );
        assert_eq!(snapshot.txn("file 3"), Some(1));
        assert!(snapshot.files().iter().all(|file| file.crc32c.is_some()));
        assert!(snapshot.files()[0].stats.column("customer_id").is_some());
        fresh
    };
    let fresh = check(26).await;
    assert_eq!(
        fresh
            .snapshot_at(3)
            .await
            .expect("before the checkpoint")
            .rows(),
        3
    );

    let later = now + chrono::TimeDelta::days(31);
    table.maintain(later).await.expect("a clean-up");
    assert!(!lake.commit(3).exists(), "expired commits go");
    let fresh = check(26).await;
    assert!(matches!(
        fresh.snapshot_at(3).await,
        Err(Error::NoSuchVersion { .. })
    ));
    assert_eq!(
        fresh.snapshot_at(25).await.expect("the checkpoint").rows(),
        25
    );
    assert_eq!(crate::check(&lake, &|_| ()).await.expect("a check"), []);
}
