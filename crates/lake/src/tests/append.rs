//! Appending: once, sorted, all or nothing, beside others.

use super::*;
use crate::Error;
use std::collections::BTreeMap;

use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::basic::Encoding;
use parquet::file::metadata::PageIndexPolicy;

#[tokio::test]
async fn rows_appended_are_there_for_everybody() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let appended = append(&table, &[1, 2, 2, 9]).await.expect("an append");
    assert_eq!((appended.version, appended.rows, appended.files), (1, 4, 1));
    let other = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    let snapshot = other.snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.rows(), 4);
    assert_eq!(customers(&other, &snapshot).await, [1, 2, 2, 9]);
    assert_eq!(snapshot.schema(), interactions_schema());
}

#[tokio::test]
async fn a_snapshot_notices_what_others_commit() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let other = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    for version in 1..=3 {
        append(&table, &[1]).await.expect("an append");
        let snapshot = other.snapshot().await.expect("a snapshot");
        assert_eq!((snapshot.version(), snapshot.rows()), (version, version));
    }
}

#[tokio::test]
async fn the_same_txn_lands_once() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let batches = || stream_of(vec![rows(&[1, 2])]);
    let first = table
        .append(batches(), once("file a"))
        .await
        .expect("first");
    let second = table
        .append(batches(), once("file a"))
        .await
        .expect("second");
    assert!(!first.already && second.already);
    let fresh = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    assert!(
        fresh
            .append(batches(), once("file a"))
            .await
            .expect("third")
            .already
    );
    let snapshot = fresh.snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.rows(), 2);
    assert_eq!(snapshot.txn("file a"), Some(1));
    assert_eq!(snapshot.txn("file b"), None);
}

#[tokio::test]
async fn the_same_txn_started_twice_lands_once_and_leaves_no_file() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let other = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    let mut one = table.begin_append(once("file a")).await.expect("a writer");
    let mut two = other.begin_append(once("file a")).await.expect("a writer");
    one.write(rows(&[1])).await.expect("rows");
    two.write(rows(&[1])).await.expect("rows");
    assert!(!one.commit().await.expect("the first").already);
    assert!(two.commit().await.expect("the second").already);
    assert_eq!(table.snapshot().await.expect("a snapshot").rows(), 1);
    assert_eq!(table.data_files().await.expect("a list").len(), 1);
}

#[tokio::test]
async fn a_txn_without_rows_is_remembered_too() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let appended = table
        .append(stream_of(vec![]), once("empty"))
        .await
        .expect("nothing");
    assert_eq!((appended.version, appended.files), (1, 0));
    let nothing = table
        .append(stream_of(vec![]), Append::default())
        .await
        .expect("nothing");
    assert_eq!(nothing.version, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appenders_in_several_processes_all_land() {
    const APPENDERS: i64 = 6;
    const EACH: i64 = 5;
    let lake = TestLake::new().await;
    lake.interactions().await;
    let mut tasks = tokio::task::JoinSet::new();
    for appender in 0..APPENDERS {
        let table = lake
            .again()
            .await
            .table(&interactions())
            .await
            .expect("a table");
        tasks.spawn(async move {
            for at in 0..EACH {
                append(&table, &[appender * EACH + at])
                    .await
                    .expect("an append");
            }
        });
    }
    tasks.join_all().await;
    let table = lake.table(&interactions()).await.expect("a table");
    let snapshot = table.snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.version(), (APPENDERS * EACH) as u64);
    let all: Vec<i64> = (0..APPENDERS * EACH).collect();
    assert_eq!(customers(&table, &snapshot).await, all);
}

#[tokio::test]
async fn rows_out_of_order_are_refused_and_leave_nothing() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let batches = stream_of(vec![rows(&[1, 5]), rows(&[4])]);
    let error = table
        .append(batches, Append::default())
        .await
        .expect_err("unsorted");
    assert!(matches!(error, Error::NotSorted { row: 3, .. }), "{error}");
    assert_eq!(table.snapshot().await.expect("a snapshot").version(), 0);
    assert!(table.data_files().await.expect("a list").is_empty());
}

#[tokio::test]
async fn a_failing_producer_leaves_nothing() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let batches =
        stream::iter(vec![Ok(rows(&[1])), Err("the producer's own error".into())]).boxed();
    let error = table
        .append(batches, Append::default())
        .await
        .expect_err("a failure");
    let Error::Rows(source) = error else {
        panic!("{error}")
    };
    assert_eq!(source.to_string(), "the producer's own error");
    assert!(table.data_files().await.expect("a list").is_empty());
}

#[tokio::test]
async fn an_aborted_writer_leaves_nothing() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let mut writer = table
        .begin_append(Append::default())
        .await
        .expect("a writer");
    writer.write(rows(&[1])).await.expect("rows");
    writer.abort().await.expect("an abort");
    assert_eq!(table.snapshot().await.expect("a snapshot").version(), 0);
    assert!(table.data_files().await.expect("a list").is_empty());
}

#[tokio::test]
async fn rows_of_another_shape_are_refused() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("nobody", column)]).expect("a batch");
    let error = table
        .append(stream_of(vec![batch]), Append::default())
        .await;
    assert!(matches!(error, Err(Error::WrongSchema { .. })), "{error:?}");
}

#[tokio::test]
async fn compare_and_swap_fails_after_somebody_elses_rows() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let base = table.snapshot().await.expect("a snapshot").version();
    let swap = |base| Append {
        base: Some(base),
        ..Append::default()
    };
    let mut writer = table.begin_append(swap(base)).await.expect("a writer");
    writer.write(rows(&[1])).await.expect("rows");
    append(&table, &[2]).await.expect("somebody else");
    let error = writer.commit().await.expect_err("too late");
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    let base = table.snapshot().await.expect("a snapshot").version();
    let again = table.append(stream_of(vec![rows(&[1])]), swap(base)).await;
    assert_eq!(again.expect("in time").version, 2);
    assert_eq!(table.data_files().await.expect("a list").len(), 2);
}

#[tokio::test]
async fn the_log_says_what_a_file_holds() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let mut tags = BTreeMap::new();
    tags.insert("rapport.sources".to_owned(), "shop".to_owned());
    let options = Append {
        tags,
        operation: "LOAD",
        ..Append::default()
    };
    let appended = table
        .append(stream_of(vec![rows(&[3, 4, 7])]), options)
        .await;
    appended.expect("an append");
    let fresh = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    let snapshot = fresh.snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.last_operation(), Some("LOAD"));
    let file = &snapshot.files()[0];
    assert_eq!(
        file.tags.get("rapport.sources").map(String::as_str),
        Some("shop")
    );
    assert!(file.crc32c.is_some());
    assert!(file.is_sorted_by(&snapshot.layout().sort));
    let customer = file.stats.column("customer_id").expect("statistics");
    let value =
        |array: Option<ArrayRef>| array.expect("a bound").as_primitive::<Int64Type>().value(0);
    assert_eq!(
        (value(customer.min), value(customer.max), customer.nulls),
        (3, 7, Some(0))
    );
    let all = snapshot.file_statistics("occurred_at").expect("statistics");
    assert_eq!(all.max.len(), 1);
    assert!(file.stats.column("interaction_id").is_none());
}

#[tokio::test]
async fn a_big_append_is_split_into_row_groups() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let batches: Vec<_> = (0..60)
        .map(|at| rows(&(at * 10_000..(at + 1) * 10_000).collect::<Vec<_>>()))
        .collect();
    let appended = table.append(stream_of(batches), Append::default()).await;
    assert_eq!(appended.expect("an append").rows, 600_000);
    let snapshot = table.snapshot().await.expect("a snapshot");
    let file = &snapshot.files()[0];
    let reader = StoredFile::new(table.store(), &file.path, file.size);
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options)
        .await
        .expect("Parquet");
    let groups: Vec<i64> = builder
        .metadata()
        .row_groups()
        .iter()
        .map(|group| group.num_rows())
        .collect();
    assert_eq!(groups, [262_144, 262_144, 75_712]);
    for column in &builder.metadata().offset_index().expect("a page index")[0] {
        let starts: Vec<i64> = column
            .page_locations()
            .iter()
            .map(|page| page.first_row_index)
            .collect();
        assert!(
            starts.len() > 50 && starts.windows(2).all(|pages| pages[1] - pages[0] <= 5_000),
            "{starts:?}"
        );
    }
    let time = builder.metadata().row_group(0).column(2);
    assert!(
        time.encodings()
            .any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED)
    );
    let column = builder.metadata().row_group(0).column(0);
    assert!(column.bloom_filter_offset().is_some());
    assert!(column.statistics().is_none());
    assert!(builder.metadata().row_group(0).sorting_columns().is_some());
    assert_eq!(
        customers(&table, &snapshot).await,
        (0..600_000).collect::<Vec<i64>>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_that_wait_for_each_other_share_a_commit() {
    const APPENDS: i64 = 20;
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    // While somebody has the turn, all others queue up.
    let turn = table.turn().await;
    let mut tasks = tokio::task::JoinSet::new();
    for customer in 0..APPENDS {
        let table = table.clone();
        tasks.spawn(async move {
            let options = once(&format!("file {}", customer % 10));
            table
                .append(stream_of(vec![rows(&[customer])]), options)
                .await
        });
    }
    while table.data_files().await.expect("a list").len() < APPENDS as usize {
        tokio::task::yield_now().await;
    }
    drop(turn);
    let done: Vec<Appended> = tasks
        .join_all()
        .await
        .into_iter()
        .map(|done| done.expect("an append"))
        .collect();
    assert_eq!(
        done.iter().filter(|done| done.already).count(),
        10,
        "each txn landed once"
    );
    let snapshot = table.snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.rows(), 10);
    assert!(snapshot.version() < 10, "{} commits", snapshot.version());
    assert_eq!(table.data_files().await.expect("a list").len(), 10);
    let fresh = lake
        .again()
        .await
        .table(&interactions())
        .await
        .expect("a table");
    assert_eq!(fresh.snapshot().await.expect("a snapshot").rows(), 10);
}

#[tokio::test]
async fn an_append_given_up_while_it_waits_does_not_land() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let turn = table.turn().await;
    let given_up = tokio::spawn({
        let table = table.clone();
        async move { append(&table, &[1]).await }
    });
    while table.data_files().await.expect("a list").is_empty() {
        tokio::task::yield_now().await;
    }
    given_up.abort();
    assert!(given_up.await.is_err(), "it was cancelled");
    drop(turn);
    append(&table, &[2]).await.expect("an append");
    let snapshot = table.snapshot().await.expect("a snapshot");
    assert_eq!(customers(&table, &snapshot).await, [2]);
    assert_eq!(snapshot.version(), 1);
}
