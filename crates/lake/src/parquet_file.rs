//! One Parquet file on its way to the store, its columns encoded on all cores.
//!
//! Rows come in rounds. In a round the workers take one column after another until none is left, so that a wide text
//! column keeps one of them busy while the others do the rest.

use std::io::{self, Write};

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::fingerprint::{RowHashes, seed_of};
use crate::{Error, Layout, Result};

pub(crate) const ROW_GROUP_ROWS: usize = 262_144;
/// Rows of a page, if they are not too wide for it. The limit is looked at after as many rows have been added, so each
/// round has to begin with a page.
pub(crate) const PAGE_ROWS: usize = 5_000;
const WRITE_BATCH_ROWS: usize = 1_000;
/// A row group whose rows are this big is closed early, for it is held in memory.
const ROW_GROUP_BYTES: usize = 128 << 20;
/// What is smaller is sent in one request.
const UPLOAD_PART_BYTES: usize = 8 << 20;
/// Fewer values than this are not worth a second thread.
const VALUES_PER_WORKER: usize = 50_000;

pub(crate) fn properties(schema: &SchemaRef, layout: &Layout) -> WriterProperties {
    let zstd = ZstdLevel::try_new(3).expect("zstd has a level 3");
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("rapport ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(zstd))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(WRITE_BATCH_ROWS)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_sorting_columns(sorting(schema, layout));
    for field in schema.fields() {
        let name = field.name();
        // A list's only leaf has a longer path.
        let column = match field.data_type() {
            DataType::List(_) => {
                ColumnPath::new(vec![name.clone(), "list".into(), "element".into()])
            }
            _ => ColumnPath::new(vec![name.clone()]),
        };
        if layout.dictionary.contains(name) {
            builder = builder.set_column_dictionary_enabled(column.clone(), true);
        } else if packs_well(field.data_type()) {
            builder = builder.set_column_encoding(column.clone(), Encoding::DELTA_BINARY_PACKED);
        }
        if layout.bloom.contains(name) {
            builder = builder
                .set_column_bloom_filter_enabled(column.clone(), true)
                .set_column_bloom_filter_fpp(column.clone(), 0.01)
                .set_column_bloom_filter_max_ndv(column.clone(), ROW_GROUP_ROWS as u64);
        }
        if layout.sort.contains(name) || layout.statistics.contains(name) {
            builder = builder.set_column_statistics_enabled(column, EnabledStatistics::Page);
        }
    }
    builder.build()
}

fn sorting(schema: &SchemaRef, layout: &Layout) -> Option<Vec<SortingColumn>> {
    let column = |name: &String| {
        Some(SortingColumn {
            // No sort column is nested, and no storage type before it has more than one leaf.
            column_idx: i32::try_from(schema.index_of(name).ok()?).ok()?,
            descending: false,
            nulls_first: false,
        })
    };
    let columns: Option<Vec<_>> = layout.sort.iter().map(column).collect();
    columns.filter(|columns| !columns.is_empty())
}

/// Types whose Parquet form is an integer.
fn packs_well(data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal128(precision, _) => *precision <= 18,
        other => other.is_integer() || matches!(other, DataType::Date32 | DataType::Timestamp(..)),
    }
}

pub(crate) struct ParquetFile {
    pub path: Path,
    schema: SchemaRef,
    writer: SerializedFileWriter<Encoded>,
    factory: ArrowRowGroupWriterFactory,
    encoded: Encoded,
    upload: BufWriter,
    group: Option<RowGroup>,
    groups: usize,
    sent: u64,
    crc32c: u32,
    fingerprint: u128,
}

/// What is known of a file once it is whole and in the store.
pub(crate) struct Finished {
    pub metadata: ParquetMetaData,
    pub size: u64,
    pub crc32c: u32,
    pub fingerprint: u128,
}

struct RowGroup {
    columns: Arc<Vec<Column>>,
    rows: usize,
}

struct Column {
    seed: u64,
    leaves: Mutex<Vec<ArrowColumnWriter>>,
}

impl ParquetFile {
    pub(crate) fn create(
        store: Arc<dyn ObjectStore>,
        path: Path,
        schema: SchemaRef,
        properties: &Arc<WriterProperties>,
    ) -> Result<Self> {
        let parquet_schema = ArrowSchemaConverter::new()
            .convert(&schema)
            .map_err(Error::Encode)?;
        let encoded = Encoded::default();
        let writer = SerializedFileWriter::new(
            encoded.clone(),
            parquet_schema.root_schema_ptr(),
            Arc::clone(properties),
        )
        .map_err(Error::Encode)?;
        Ok(Self {
            factory: ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&schema)),
            upload: BufWriter::with_capacity(store, path.clone(), UPLOAD_PART_BYTES),
            path,
            schema,
            writer,
            encoded,
            group: None,
            groups: 0,
            sent: 0,
            crc32c: 0,
            fingerprint: 0,
        })
    }

    /// How many more rows the open row group takes.
    pub(crate) fn room(&self) -> usize {
        ROW_GROUP_ROWS - self.group.as_ref().map_or(0, |group| group.rows)
    }

    /// Bytes of the row groups that are closed.
    pub(crate) fn size(&self) -> u64 {
        self.sent
    }

    /// Encode a round of at least one and at most [`ParquetFile::room`] rows; all but a file's last are full pages.
    pub(crate) async fn write(&mut self, round: Vec<RecordBatch>) -> Result<()> {
        let rows: usize = round.iter().map(RecordBatch::num_rows).sum();
        let group = match &mut self.group {
            Some(group) => group,
            None => {
                let group = RowGroup::open(&self.writer, &self.factory, &self.schema, self.groups)?;
                self.groups += 1;
                self.group.insert(group)
            }
        };
        group.rows += rows;
        let round = Arc::new(round);
        let n_columns = group.columns.len();
        let workers = (rows * n_columns / VALUES_PER_WORKER + 1).min(cores());
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..workers {
            let (round, next) = (Arc::clone(&round), Arc::clone(&next));
            let columns = Arc::clone(&group.columns);
            tasks.spawn_blocking(move || {
                let mut hashes = RowHashes::new(rows);
                while let Some(at) = take(&next, n_columns) {
                    columns[at].write(at, &round, &mut hashes)?;
                }
                Ok::<_, ParquetError>(hashes)
            });
        }
        let mut hashes = RowHashes::new(rows);
        for done in tasks.join_all().await {
            hashes.merge(&done.map_err(Error::Encode)?);
        }
        self.fingerprint = self.fingerprint.wrapping_add(hashes.sum());
        let is_big = group.columns.iter().map(Column::bytes).sum::<usize>() >= ROW_GROUP_BYTES;
        if self.room() == 0 || is_big {
            self.close_group().await?;
        }
        Ok(())
    }

    async fn close_group(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else {
            return Ok(());
        };
        let n_columns = group.columns.len();
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..cores().min(n_columns) {
            let (next, columns) = (Arc::clone(&next), Arc::clone(&group.columns));
            tasks.spawn_blocking(move || {
                let mut closed = vec![];
                while let Some(at) = take(&next, n_columns) {
                    closed.push((at, columns[at].close()?));
                }
                Ok::<_, ParquetError>(closed)
            });
        }
        let mut closed = vec![];
        for done in tasks.join_all().await {
            closed.extend(done.map_err(Error::Encode)?);
        }
        closed.sort_unstable_by_key(|(at, _)| *at);
        let chunks = closed.into_iter().flat_map(|(_, chunks)| chunks).collect();
        self.append(chunks).map_err(Error::Encode)?;
        self.send().await
    }

    fn append(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }

    async fn send(&mut self) -> Result<()> {
        self.writer
            .flush()
            .map_err(|error| Error::Encode(error.into()))?;
        let bytes = self.encoded.take();
        self.crc32c = crc32c::crc32c_append(self.crc32c, &bytes);
        self.sent += bytes.len() as u64;
        let sent = self.upload.put(bytes).await;
        sent.map_err(|error| Error::storage(format!("writing {}", self.path), error))
    }

    /// The file is in the store, whole and durable, when this returns.
    pub(crate) async fn finish(mut self) -> Result<Finished> {
        self.close_group().await?;
        let metadata = self.writer.finish().map_err(Error::Encode)?;
        self.send().await?;
        self.upload
            .shutdown()
            .await
            .map_err(|error| Error::storage(format!("writing {}", self.path), error))?;
        Ok(Finished {
            metadata,
            size: self.sent,
            crc32c: self.crc32c,
            fingerprint: self.fingerprint,
        })
    }

    pub(crate) async fn abort(mut self) {
        // What is left of a failed upload costs money in a bucket but harms nobody.
        if let Err(error) = self.upload.abort().await {
            tracing::debug!(%error, "an upload could not be aborted");
        }
    }
}

impl RowGroup {
    fn open(
        writer: &SerializedFileWriter<Encoded>,
        factory: &ArrowRowGroupWriterFactory,
        schema: &SchemaRef,
        at: usize,
    ) -> Result<Self> {
        let mut leaves = factory
            .create_column_writers(at)
            .map_err(Error::Encode)?
            .into_iter();
        let parquet = writer.schema_descr();
        let leaves_of = |column: usize| {
            let roots = (0..parquet.num_columns()).map(|leaf| parquet.get_column_root_idx(leaf));
            roots.filter(|root| *root == column).count()
        };
        let columns = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(column, field)| Column {
                seed: seed_of(field.name()),
                leaves: Mutex::new(leaves.by_ref().take(leaves_of(column)).collect()),
            })
            .collect();
        Ok(Self {
            columns: Arc::new(columns),
            rows: 0,
        })
    }
}

impl Column {
    fn write(
        &self,
        at: usize,
        round: &[RecordBatch],
        hashes: &mut RowHashes,
    ) -> Result<(), ParquetError> {
        let mut writers = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        let field = round[0].schema_ref().field(at);
        let parts: Vec<&dyn Array> = round
            .iter()
            .map(|batch| batch.column(at).as_ref())
            .collect();
        let column = concat(&parts)?;
        for (writer, leaf) in writers.iter_mut().zip(&compute_leaves(field, &column)?) {
            writer.write(leaf)?;
        }
        hashes.add(&column, self.seed);
        Ok(())
    }

    fn close(&self) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let mut writers = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        writers.drain(..).map(ArrowColumnWriter::close).collect()
    }

    fn bytes(&self) -> usize {
        let writers = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        writers
            .iter()
            .map(ArrowColumnWriter::get_estimated_total_bytes)
            .sum()
    }
}

fn take(next: &AtomicUsize, end: usize) -> Option<usize> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    (at < end).then_some(at)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Where the file writer puts its bytes until they are sent.
#[derive(Clone, Default)]
struct Encoded(Arc<Mutex<Vec<u8>>>);

impl Encoded {
    fn take(&self) -> Bytes {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Bytes::from(std::mem::take(&mut *bytes))
    }
}

impl Write for Encoded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
