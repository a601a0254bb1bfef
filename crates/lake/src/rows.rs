//! Rows → data files that no commit names yet.
//!
//! Encoding runs in a task of its own, so that it goes on while the next rows are being made.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::file::properties::WriterProperties;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::data_file::{sorted_by_tag, tag};
use crate::log::action::{Add, Remove};
use crate::order::OrderCheck;
use crate::parquet_file::{Finished, PAGE_ROWS, ParquetFile, ROW_GROUP_ROWS, properties};
use crate::shape::conform;
use crate::{Appended, DataFile, Error, Layout, Result, Snapshot, TableName, stats};

/// Where a file ends and the next begins.
pub(crate) const FILE_BYTES: u64 = 256 << 20;
/// Rows encoded at a time: enough to keep all cores busy, few enough to stay small in memory.
const ROUND_ROWS: usize = 13 * PAGE_ROWS;
const ROUND_BYTES: usize = 64 << 20;
/// Batches that may wait for the encoder.
const QUEUE: usize = 4;

/// What to write, where to.
pub(crate) struct Plan {
    pub table: TableName,
    pub store: Arc<dyn ObjectStore>,
    pub schema: SchemaRef,
    pub layout: Arc<Layout>,
    pub tags: BTreeMap<String, String>,
    /// `None` means now.
    pub until: Option<DateTime<Utc>>,
    /// Whether the rows are new to the table.
    pub data_change: bool,
    pub file_bytes: u64,
}

#[derive(Default)]
pub(crate) struct Written {
    pub adds: Vec<Add>,
    pub rows: u64,
    pub bytes: u64,
    pub fingerprint: u128,
}

impl Written {
    pub(crate) fn landed_at(&self, version: u64) -> Appended {
        Appended {
            version,
            rows: self.rows,
            files: self.adds.len(),
            bytes: self.bytes,
            already: false,
        }
    }
}

enum Message {
    Rows(RecordBatch),
    End,
}

/// Dropping it gives the rows up.
pub(crate) struct RowsWriter {
    queue: mpsc::Sender<Message>,
    encoder: JoinHandle<Result<Written>>,
}

impl RowsWriter {
    pub(crate) fn start(plan: Plan) -> Self {
        let (queue, rows) = mpsc::channel(QUEUE);
        Self {
            queue,
            encoder: tokio::spawn(encode(plan, rows)),
        }
    }

    /// After an error only [`RowsWriter::finish`] is left to call; it returns why.
    pub(crate) async fn write(&mut self, batch: RecordBatch) -> Result<(), Stopped> {
        let sent = self.queue.send(Message::Rows(batch)).await;
        sent.map_err(|_| Stopped)
    }

    pub(crate) async fn finish(self) -> Result<Written> {
        // If the encoder has stopped, its own error is the answer.
        let _ = self.queue.send(Message::End).await;
        drop(self.queue);
        match self.encoder.await {
            Ok(written) => written,
            Err(error) => Err(Error::Storage {
                doing: "encoding rows".into(),
                source: error.into(),
            }),
        }
    }

    /// Waits until what was written is gone again.
    pub(crate) async fn abort(self) {
        drop(self.queue);
        // It ends with an error, which is what was asked for.
        let _ = self.encoder.await;
    }
}

/// The encoder has stopped.
pub(crate) struct Stopped;

async fn encode(plan: Plan, mut rows: mpsc::Receiver<Message>) -> Result<Written> {
    let mut encoder = Encoder::new(plan);
    loop {
        let step = match rows.recv().await {
            Some(Message::Rows(batch)) => encoder.push(&batch).await,
            Some(Message::End) => match encoder.end().await {
                Ok(()) => return Ok(encoder.written),
                Err(error) => Err(error),
            },
            None => Err(Error::Rows("the writer was given up".into())),
        };
        if let Err(error) = step {
            encoder.discard().await;
            return Err(error);
        }
    }
}

struct Encoder {
    plan: Plan,
    properties: Arc<WriterProperties>,
    order: OrderCheck,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    waiting_bytes: usize,
    file: Option<ParquetFile>,
    written: Written,
}

impl Encoder {
    fn new(plan: Plan) -> Self {
        let sort = plan.layout.sort.iter();
        let columns = sort
            .filter_map(|name| plan.schema.index_of(name).ok())
            .collect();
        Self {
            properties: Arc::new(properties(&plan.schema, &plan.layout)),
            order: OrderCheck::new(columns),
            plan,
            waiting: vec![],
            waiting_rows: 0,
            waiting_bytes: 0,
            file: None,
            written: Written::default(),
        }
    }

    async fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let table = || self.plan.table.clone();
        let batch = conform(batch, &self.plan.schema).map_err(|what| Error::WrongSchema {
            table: table(),
            what,
        })?;
        let out_of_order = self.order.first_out_of_order(&batch);
        let out_of_order = out_of_order.map_err(|error| Error::Rows(error.into()))?;
        if let Some(row) = out_of_order {
            return Err(Error::NotSorted {
                table: table(),
                by: self.plan.layout.sort.join(", "),
                row,
            });
        }
        let mut rest = batch;
        while rest.num_rows() > 0 {
            // Cut where a page ends, so that a round can end there.
            let page = PAGE_ROWS - self.waiting_rows % PAGE_ROWS;
            let rows = rest.num_rows().min(self.room()).min(page);
            let part = rest.slice(0, rows);
            rest = rest.slice(rows, rest.num_rows() - rows);
            self.waiting_rows += rows;
            self.waiting_bytes += size_of(&part);
            self.waiting.push(part);
            let is_heavy = rows == page && self.waiting_bytes >= ROUND_BYTES;
            if self.room() == 0 || is_heavy {
                self.round().await?;
            }
        }
        Ok(())
    }

    /// How many more rows the next round takes: no less than a page stays for the one after it.
    fn room(&self) -> usize {
        let in_group = self.file.as_ref().map_or(ROW_GROUP_ROWS, ParquetFile::room);
        let round = if in_group < ROUND_ROWS + PAGE_ROWS {
            in_group
        } else {
            ROUND_ROWS
        };
        round - self.waiting_rows
    }

    async fn round(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let round = std::mem::take(&mut self.waiting);
        self.written.rows += self.waiting_rows as u64;
        (self.waiting_rows, self.waiting_bytes) = (0, 0);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let name = format!("data/{}.parquet", uuid::Uuid::new_v4().simple());
                let path = Path::from(format!("{}/{name}", self.plan.table.folder()));
                let file = ParquetFile::create(
                    Arc::clone(&self.plan.store),
                    path,
                    Arc::clone(&self.plan.schema),
                    &self.properties,
                )?;
                self.file.insert(file)
            }
        };
        file.write(round).await?;
        if file.size() >= self.plan.file_bytes {
            self.end_file().await?;
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<()> {
        self.round().await?;
        self.end_file().await
    }

    async fn end_file(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let name = file.path.filename().unwrap_or_default().to_owned();
        let finished = file.finish().await?;
        self.written.bytes += finished.size;
        self.written.fingerprint = self.written.fingerprint.wrapping_add(finished.fingerprint);
        let add = self.add(format!("data/{name}"), &finished);
        self.written.adds.push(add);
        Ok(())
    }

    fn add(&self, path: String, file: &Finished) -> Add {
        let now = Utc::now();
        let until = self.plan.until.unwrap_or(now);
        let mut tags = self.plan.tags.clone();
        tags.insert(tag::CRC32C.into(), format!("{:08x}", file.crc32c));
        tags.insert(
            tag::FINGERPRINT.into(),
            format!("{:032x}", file.fingerprint),
        );
        tags.insert(tag::SORTED_BY.into(), sorted_by_tag(&self.plan.layout.sort));
        tags.insert(tag::UNTIL.into(), until.timestamp_millis().to_string());
        let statistics = &self.plan.layout.statistics;
        Add {
            path,
            size: i64::try_from(file.size).unwrap_or(i64::MAX),
            modification_time: now.timestamp_millis(),
            data_change: self.plan.data_change,
            stats: Some(stats::of_file(
                &file.metadata,
                &self.plan.schema,
                statistics,
            )),
            tags: Some(
                tags.into_iter()
                    .map(|(key, value)| (key, Some(value)))
                    .collect(),
            ),
            ..Add::default()
        }
    }

    async fn discard(&mut self) {
        if let Some(file) = self.file.take() {
            file.abort().await;
        }
        discard(&self.plan.store, &self.plan.table, &self.written.adds).await;
    }
}

/// Remove files that no commit names. What can't be removed now, a vacuum removes.
pub(crate) async fn discard(store: &Arc<dyn ObjectStore>, table: &TableName, adds: &[Add]) {
    let folder = table.folder();
    let paths: Vec<_> = adds
        .iter()
        .map(|add| Ok(Path::from(format!("{folder}/{}", add.path))))
        .collect();
    let mut removed = store.delete_stream(stream::iter(paths).boxed());
    while let Some(outcome) = removed.next().await {
        if let Err(error) = outcome {
            tracing::debug!(%error, "a file that was given up could not be removed");
        }
    }
}

pub(crate) fn remove_of(snapshot: &Snapshot, file: &DataFile, data_change: bool) -> Remove {
    let folder = format!("{}/", snapshot.name.folder());
    let relative = file.path.strip_prefix(&folder).unwrap_or(&file.path);
    Remove {
        path: url_path(relative),
        deletion_timestamp: Some(Utc::now().timestamp_millis()),
        data_change,
        extended_file_metadata: true,
        size: i64::try_from(file.size).ok(),
        ..Remove::default()
    }
}

/// Paths in the log are percent-encoded; ours need no encoding, another program's may.
fn url_path(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/=".contains(&byte);
    path.bytes().fold(String::new(), |mut url, byte| {
        if plain(byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
        url
    })
}

/// Of the rows in the slice, not of the buffers it shares.
fn size_of(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns
        .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0))
        .sum()
}
