//! A lake to try loads on, and a plain DataFusion to ask it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Utc};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rapport_engine::{Limits, Warehouse};
use rapport_intake::{Error, LoadOptions, Loaded, Preview, Quiet, Source, load, preview};
use rapport_lake::{Lake, Location, TableName};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub struct Lab {
    pub warehouse: Warehouse,
    pub folder: TempDir,
}

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000, 0).expect("a time of ours")
}

/// The folder of real files, if it is there; otherwise the test says that it is skipped.
pub fn real_data() -> Option<PathBuf> {
    let folder = std::env::var_os("RAPPORT_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: there is no folder {}", folder.display());
    None
}

pub fn source(toml: &str) -> Source {
    Source::parse("test", &format!("about = 'test'\n{toml}"), "test.toml")
        .expect("a test's own source")
}

impl Lab {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lake = folder.path().join("lake");
        let location = Location::parse(&lake.display().to_string(), []).expect("a local folder");
        let lake = Lake::open(location).await.expect("opened");
        lake.create_root().await.expect("created");
        crate::history::create(&lake).await;
        let warehouse = Warehouse::open(lake, None, Limits::default())
            .await
            .expect("opened");
        Self { warehouse, folder }
    }

    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join("files").join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        std::fs::write(&path, bytes).expect("written");
        path.display().to_string()
    }

    pub fn options(&self, paths: &[&str]) -> LoadOptions {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        LoadOptions {
            spill_folder: Some(self.folder.path().join("spill")),
            ..LoadOptions::new(paths, now())
        }
    }

    pub async fn try_load(&self, source: &Source, paths: &[&str]) -> Result<Loaded, Error> {
        load(
            &self.warehouse,
            source,
            self.options(paths),
            &Quiet,
            CancellationToken::new(),
        )
        .await
    }

    pub async fn load(&self, source: &Source, paths: &[&str]) -> Loaded {
        self.try_load(source, paths).await.expect("loaded")
    }

    pub async fn preview(&self, source: &Source, paths: &[&str]) -> Preview {
        preview(
            &self.warehouse,
            source,
            self.options(paths),
            CancellationToken::new(),
        )
        .await
        .expect("previewed")
    }

    /// All rows of a table, read from its files as anybody could.
    pub async fn table(&self, name: &str) -> Vec<RecordBatch> {
        let table = self
            .warehouse
            .lake()
            .table(&TableName::public(name))
            .await
            .expect("it exists");
        let snapshot = table.snapshot().await.expect("it can be read");
        let mut batches = vec![];
        for file in snapshot.files() {
            let path = self.folder.path().join("lake").join(&file.path);
            let file = std::fs::File::open(path).expect("the file is there");
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("it is Parquet");
            for batch in reader.build().expect("it is Parquet") {
                batches.push(batch.expect("it is whole"));
            }
        }
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(snapshot.schema()));
        }
        batches
    }

    /// Rows as text, columns with `|` between.
    pub async fn ask(&self, sql: &str) -> Vec<String> {
        let context = SessionContext::new();
        for name in [
            "interactions",
            "customers",
            "customer_identities",
            "products",
            "campaigns",
            "agents",
            "quarantine",
        ] {
            if sql.contains(name) {
                let batches = self.table(name).await;
                let schema = batches[0].schema();
                let batches = batches
                    .into_iter()
                    .map(|batch| {
                        RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())
                    })
                    .collect::<Result<_, _>>()
                    .expect("all files have the same columns");
                let table = MemTable::try_new(schema, vec![batches]).expect("a table");
                context
                    .register_table(name, Arc::new(table))
                    .expect("registered");
            }
        }
        let batches = context
            .sql(sql)
            .await
            .expect("a good question")
            .collect()
            .await
            .expect("an answer");
        let mut rows = vec![];
        for batch in batches {
            let options = FormatOptions::default().with_null("NULL");
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options).expect("it can be shown"))
                .collect();
            for row in 0..batch.num_rows() {
                let texts: Vec<String> = columns
                    .iter()
                    .map(|column| column.value(row).to_string())
                    .collect();
                rows.push(texts.join("|"));
            }
        }
        rows
    }

    /// One value of one row.
    pub async fn count(&self, sql: &str) -> u64 {
        let rows = self.ask(sql).await;
        rows.first()
            .and_then(|row| row.parse().ok())
            .expect("one number")
    }

    pub async fn interactions(&self) -> u64 {
        self.count("SELECT count(*) FROM interactions").await
    }

    /// Takes back the newest commit of a table, as if the load had been killed before it.
    pub fn take_back_commit(&self, table: &str) {
        let log = self
            .folder
            .path()
            .join("lake/public")
            .join(table)
            .join("_delta_log");
        let mut commits: Vec<PathBuf> = std::fs::read_dir(&log)
            .expect("the table has a log")
            .map(|entry| entry.expect("readable").path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .collect();
        commits.sort();
        std::fs::remove_file(commits.last().expect("there is a commit")).expect("removed");
    }

    /// The same lake as another process would open it.
    pub async fn reopened(self) -> Self {
        let location = self.warehouse.lake().location().clone();
        let lake = Lake::open(location).await.expect("opened");
        let warehouse = Warehouse::open(lake, None, Limits::default())
            .await
            .expect("opened");
        Self {
            warehouse,
            folder: self.folder,
        }
    }
}

/// `n` lines of CSV with a header: id, time, who, amount.
pub fn sales(from: usize, n: usize) -> String {
    let mut csv = String::from("id,at,who,amount\n");
    for i in from..from + n {
        csv += &format!("{i},2024-01-{:02} 12:00,c{},{}.50\n", 1 + i % 28, i % 7, i);
    }
    csv
}

pub const SALES: &str = "key = ['id']\nselect = \"SELECT 'web' AS channel, id AS source_id, at AS occurred_at, who AS customer, amount, 'purchase' AS interaction_type FROM raw\"";
