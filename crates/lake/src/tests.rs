//! What a table promises, on a real folder.

mod append;
mod check;
mod compact;
mod faults;
mod interop;
mod lake;
mod lease;
mod speed;
mod vacuum;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::{concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::ParquetRecordBatchStreamBuilder;

use crate::stored_file::StoredFile;
use crate::{
    Append, Appended, BatchStream, DataFile, Definition, Lake, Location, PG_TYPE, Result, Snapshot,
    Table, TableName, Txn,
};

/// A lake in a folder that goes away with it.
struct TestLake {
    lake: Lake,
    folder: tempfile::TempDir,
}

impl std::ops::Deref for TestLake {
    type Target = Lake;

    fn deref(&self) -> &Lake {
        &self.lake
    }
}

impl TestLake {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lake = open(folder.path()).await;
        lake.create_root().await.expect("a new lake");
        Self { lake, folder }
    }

    /// The same lake as another process would see it.
    async fn again(&self) -> Lake {
        open(self.folder.path()).await
    }

    async fn interactions(&self) -> Table {
        let definition = Definition::new(interactions_schema());
        let created = self.create_table(&interactions(), &definition).await;
        created.expect("a new table")
    }

    fn file(&self, path: impl AsRef<str>) -> std::path::PathBuf {
        self.folder.path().join(path.as_ref())
    }

    fn commit(&self, version: u64) -> std::path::PathBuf {
        self.file(format!("public/interactions/_delta_log/{version:020}.json"))
    }
}

async fn open(path: &std::path::Path) -> Lake {
    let location = Location::parse(&path.display().to_string(), []).expect("a path");
    Lake::open(location).await.expect("a folder")
}

fn interactions() -> TableName {
    TableName::public("interactions")
}

fn interactions_schema() -> SchemaRef {
    let field = |name: &str, data_type: DataType, pg_type: &str, nullable: bool| {
        let metadata = HashMap::from([(PG_TYPE.to_owned(), pg_type.to_owned())]);
        Field::new(name, data_type, nullable).with_metadata(metadata)
    };
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        field("interaction_id", DataType::Utf8, "uuid", false),
        field("customer_id", DataType::Int64, "bigint", true),
        field("occurred_at", timestamp, "timestamp with time zone", false),
        field("channel", DataType::Utf8, "text", true),
        field("body", DataType::Utf8, "text", true),
    ]))
}

/// Rows of the given customers, each at the second of its number, in the order given.
fn rows(customers: &[i64]) -> RecordBatch {
    let ids = customers.iter().map(|_| uuid::Uuid::new_v4().to_string());
    let times = customers.iter().map(|customer| customer * 1_000_000);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(ids)),
        Arc::new(Int64Array::from(customers.to_vec())),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        Arc::new(StringArray::from_iter_values(
            customers.iter().map(|_| "web"),
        )),
        Arc::new(StringArray::new_null(customers.len())),
    ];
    RecordBatch::try_new(interactions_schema(), columns).expect("columns of the schema")
}

fn stream_of(batches: Vec<RecordBatch>) -> BatchStream {
    stream::iter(batches.into_iter().map(Ok)).boxed()
}

fn txn(app_id: &str, version: i64) -> Txn {
    Txn {
        app_id: app_id.into(),
        version,
    }
}

fn once(app_id: &str) -> Append {
    Append {
        txn: Some(txn(app_id, 1)),
        ..Append::default()
    }
}

async fn append(table: &Table, customers: &[i64]) -> Result<Appended> {
    let rows = stream_of(vec![rows(customers)]);
    table.append(rows, Append::default()).await
}

async fn read_files(table: &Table, files: &[DataFile]) -> Vec<RecordBatch> {
    let mut batches = vec![];
    for file in files {
        let reader = StoredFile::new(table.store(), &file.path, file.size);
        let builder = ParquetRecordBatchStreamBuilder::new(reader).await;
        let stream = builder.expect("a Parquet file").build().expect("a reader");
        batches.extend(stream.try_collect::<Vec<_>>().await.expect("rows"));
    }
    batches
}

async fn customers(table: &Table, snapshot: &Snapshot) -> Vec<i64> {
    let mut customers: Vec<i64> = read_files(table, snapshot.files())
        .await
        .iter()
        .flat_map(|batch| {
            let column = batch.column_by_name("customer_id").expect("a column");
            column.as_primitive::<Int64Type>().values().to_vec()
        })
        .collect();
    customers.sort_unstable();
    customers
}

/// All rows of `files` in the table's order, as the engine would merge them.
async fn merged(table: &Table, files: &[DataFile]) -> RecordBatch {
    let batches = read_files(table, files).await;
    let rows = concat_batches(batches[0].schema_ref(), &batches).expect("one schema");
    sorted(&rows)
}

fn sorted(rows: &RecordBatch) -> RecordBatch {
    let columns: Vec<_> = ["customer_id", "occurred_at"]
        .iter()
        .map(|name| arrow::compute::SortColumn {
            values: rows.column_by_name(name).expect("a column").clone(),
            options: Some(arrow::compute::SortOptions {
                descending: false,
                nulls_first: false,
            }),
        })
        .collect();
    let order = lexsort_to_indices(&columns, None).expect("sortable");
    take_record_batch(rows, &order).expect("its own rows")
}
