//! Rows that wait until the whole load has been read: in memory, beyond a bound on disk; then given out sorted.
//!
//! They can't be written at once, because what a row is called (`customer_id`) and whether it is new are known at
//! the end only, and because files are sorted. Given out as often as asked, so that a commit that was overtaken can
//! be tried again.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::{filter, interleave};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::row::{RowConverter, SortField};
use chrono::{DateTime, Utc};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::check::Rows;
use crate::key::{IdSet, push_uuid};
use crate::table::Facts;
use crate::{Error, Result, input};

/// Rows in a batch that is given out, if they are not long.
const CHUNK_ROWS: usize = 16_384;
const CHUNK_BYTES: usize = 64 << 20;
const ID: &str = "__id";

pub struct Held {
    pub table: Arc<Facts>,
    batches: Vec<HeldRows>,
    rows: u64,
    bytes: usize,
    most_bytes: usize,
    spill_folder: Option<PathBuf>,
    spilled: Vec<File>,
    /// Columns that any row has a value for.
    present: Vec<bool>,
}

/// Some rows: for interactions `customer_id` is the number of the customer in this load, and the identity stands
/// in `ids` instead of its column.
#[derive(Clone)]
pub struct HeldRows {
    pub columns: Vec<Option<ArrayRef>>,
    pub ids: Vec<u128>,
    pub n: usize,
}

/// What turns held rows into rows of the table.
pub struct Finish {
    /// Of rows that the table has already.
    pub known: IdSet,
    /// `customer_id` by the customer's number in this load.
    pub customers: Vec<i64>,
    pub source: String,
    pub now: DateTime<Utc>,
}

impl Held {
    pub fn new(table: Arc<Facts>, most_bytes: usize, spill_folder: Option<PathBuf>) -> Self {
        let present = vec![false; table.schema.fields().len()];
        Self {
            table,
            batches: vec![],
            rows: 0,
            bytes: 0,
            most_bytes,
            spill_folder,
            spilled: vec![],
            present,
        }
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// `rows.customers` must have been turned into the column of numbers before.
    pub fn push(&mut self, rows: HeldRows) -> Result<()> {
        if rows.n == 0 {
            return Ok(());
        }
        self.rows += rows.n as u64;
        self.bytes += rows.bytes();
        for (present, column) in self.present.iter_mut().zip(&rows.columns) {
            *present |= column
                .as_ref()
                .is_some_and(|column| column.null_count() < column.len());
        }
        self.batches.push(rows);
        if self.bytes > self.most_bytes {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        let failed = |source| input::spill(self.spill_folder.as_deref(), source);
        let file = input::scratch(self.spill_folder.as_deref())?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .build();
        let schema = self.spill_schema();
        let to_io = |error: parquet::errors::ParquetError| std::io::Error::other(error);
        let handle = file.try_clone().map_err(failed)?;
        let mut writer = ArrowWriter::try_new(handle, Arc::clone(&schema), Some(properties))
            .map_err(|error| failed(to_io(error)))?;
        for rows in self.batches.drain(..) {
            let batch = rows.into_batch(&schema)?;
            writer.write(&batch).map_err(|error| failed(to_io(error)))?;
        }
        writer.close().map_err(|error| failed(to_io(error)))?;
        self.spilled.push(file);
        self.bytes = 0;
        Ok(())
    }

    fn spill_schema(&self) -> SchemaRef {
        let mut fields = vec![Field::new(ID, DataType::FixedSizeBinary(16), true)];
        fields.extend(
            self.table
                .schema
                .fields()
                .iter()
                .map(|field| Field::new(field.name(), field.data_type().clone(), true)),
        );
        Arc::new(Schema::new(fields))
    }

    /// All rows in the order they came.
    pub fn each(&self) -> impl Iterator<Item = Result<HeldRows>> {
        let has_ids = self.table.has_identity();
        let spilled = self.spilled.iter().flat_map(move |file| match open(file) {
            Ok(reader) => Box::new(reader.map(move |batch| {
                let batch = batch.map_err(|error| read_back(std::io::Error::other(error)))?;
                Ok(HeldRows::from_batch(&batch, has_ids))
            })) as Box<dyn Iterator<Item = Result<HeldRows>>>,
            Err(error) => Box::new(std::iter::once(Err(error))),
        });
        spilled.chain(self.batches.iter().map(|rows| Ok(rows.clone())))
    }

    /// Rows of the table, those that it has already left out, in the order that the lake wants. Ends when `take`
    /// says so.
    pub fn sorted(&self, finish: &Finish, take: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
        if self.spilled.is_empty() {
            return self.give_out(&self.batches, finish, take);
        }
        self.sorted_outside(finish, take)
    }

    /// Sorts what fits in memory, run by run, each run to disk; then merges the runs.
    fn sorted_outside(
        &self,
        finish: &Finish,
        take: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<()> {
        let failed = |source| input::spill(self.spill_folder.as_deref(), source);
        let to_io = |error: parquet::errors::ParquetError| std::io::Error::other(error);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_max_row_group_row_count(Some(1 << 17))
            .build();
        let mut runs = vec![];
        let mut part: Vec<HeldRows> = vec![];
        let mut bytes = 0;
        let mut end_run = |part: &mut Vec<HeldRows>| -> Result<()> {
            if part.is_empty() {
                return Ok(());
            }
            let file = input::scratch(self.spill_folder.as_deref())?;
            let handle = file.try_clone().map_err(failed)?;
            let mut writer = ArrowWriter::try_new(
                handle,
                Arc::clone(&self.table.schema),
                Some(properties.clone()),
            )
            .map_err(|error| failed(to_io(error)))?;
            let mut outcome = Ok(());
            self.give_out(part, finish, &mut |batch| {
                outcome = writer.write(&batch);
                outcome.is_ok()
            })?;
            outcome.map_err(|error| failed(to_io(error)))?;
            writer.close().map_err(|error| failed(to_io(error)))?;
            runs.push(file);
            part.clear();
            Ok(())
        };
        for rows in self.each() {
            let rows = rows?;
            bytes += rows.bytes();
            part.push(rows);
            if bytes > self.most_bytes {
                end_run(&mut part)?;
                bytes = 0;
            }
        }
        end_run(&mut part)?;
        crate::merge::merge(&runs, &self.table, take)
    }

    fn give_out(
        &self,
        all: &[HeldRows],
        finish: &Finish,
        take: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<()> {
        let order = self.order(all, finish)?;
        let columns = self.side_by_side(all, finish);
        let bytes: usize = all.iter().map(HeldRows::bytes).sum();
        let row_bytes = bytes / all.iter().map(|rows| rows.n).sum::<usize>().max(1);
        let chunk_rows = (CHUNK_BYTES / row_bytes.max(1)).clamp(1, CHUNK_ROWS);
        for chunk in order.chunks(chunk_rows) {
            if !take(self.chunk(all, &columns, chunk, finish)?) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Places (batch, row) of the rows that are new, sorted.
    fn order(&self, all: &[HeldRows], finish: &Finish) -> Result<Vec<(u32, u32)>> {
        let table = &self.table;
        let is_new = |rows: &HeldRows, row: usize| {
            finish.known.is_empty() || rows.ids.is_empty() || !finish.known.contains(&rows.ids[row])
        };
        if table.is_interactions
            && table
                .sort
                .starts_with(&["customer_id".into(), "occurred_at".into()])
        {
            let customer = table.index("customer_id").expect("it is in the sort order");
            let time = table.index("occurred_at").expect("it is in the sort order");
            let mut keys: Vec<(i64, i64, u128, u32, u32)> = vec![];
            for (batch, rows) in (0..).zip(all) {
                let customers = rows.columns[customer]
                    .as_ref()
                    .map(|c| c.as_primitive::<Int64Type>());
                let times = rows.columns[time]
                    .as_ref()
                    .expect("no interaction is without a time");
                let times = times.as_primitive::<TimestampMicrosecondType>().values();
                for row in 0..rows.n {
                    if is_new(rows, row) {
                        // NULL is the last.
                        let customer = customers
                            .filter(|customers| customers.is_valid(row))
                            .map_or(i64::MAX, |customers| finish.customer(customers.value(row)));
                        keys.push((customer, times[row], rows.ids[row], batch, row as u32));
                    }
                }
            }
            keys.sort_unstable();
            return Ok(keys
                .into_iter()
                .map(|(_, _, _, batch, row)| (batch, row))
                .collect());
        }

        let mut places: Vec<(u32, u32)> = vec![];
        for (batch, rows) in (0..).zip(all) {
            places.extend(
                (0..rows.n)
                    .filter(|row| is_new(rows, *row))
                    .map(|row| (batch, row as u32)),
            );
        }
        if table.sort.is_empty() {
            return Ok(places);
        }
        let sort: Vec<usize> = table
            .sort
            .iter()
            .filter_map(|column| table.index(column))
            .collect();
        let fields = sort.iter().map(|column| {
            let options = arrow::compute::SortOptions {
                descending: false,
                nulls_first: false,
            };
            SortField::new_with_options(table.schema.field(*column).data_type().clone(), options)
        });
        let converter = RowConverter::new(fields.collect()).map_err(internal)?;
        let mut keys = vec![];
        for rows in all {
            let columns: Result<Vec<ArrayRef>> = sort
                .iter()
                .map(|column| self.column(rows, *column, finish))
                .collect();
            keys.push(converter.convert_columns(&columns?).map_err(internal)?);
        }
        places.sort_by(|a, b| {
            keys[a.0 as usize]
                .row(a.1 as usize)
                .cmp(&keys[b.0 as usize].row(b.1 as usize))
        });
        Ok(places)
    }

    /// Each column that has values, as one array for each of the batches.
    fn side_by_side(&self, all: &[HeldRows], finish: &Finish) -> Vec<Option<Vec<ArrayRef>>> {
        let longest = all.iter().map(|rows| rows.n).max().unwrap_or(0);
        (0..self.present.len())
            .map(|i| {
                let mut gap: Option<ArrayRef> = None;
                self.present[i].then(|| {
                    let columns = all.iter().map(|rows| match &rows.columns[i] {
                        Some(column) => Arc::clone(column),
                        None => gap
                            .get_or_insert_with(|| filler(&self.table, i, longest, finish))
                            .slice(0, rows.n),
                    });
                    columns.collect()
                })
            })
            .collect()
    }

    /// The rows at these places as rows of the table.
    fn chunk(
        &self,
        all: &[HeldRows],
        columns: &[Option<Vec<ArrayRef>>],
        places: &[(u32, u32)],
        finish: &Finish,
    ) -> Result<RecordBatch> {
        let places: Vec<(usize, usize)> = places
            .iter()
            .map(|(batch, row)| (*batch as usize, *row as usize))
            .collect();
        let ids: Vec<u128> = if self.table.is_interactions {
            places
                .iter()
                .map(|(batch, row)| all[*batch].ids[*row])
                .collect()
        } else {
            vec![]
        };
        let columns = columns.iter().map(|column| {
            let arrays: Option<Vec<&dyn Array>> = column
                .as_ref()
                .map(|arrays| arrays.iter().map(AsRef::as_ref).collect());
            arrays
                .map(|arrays| interleave(&arrays, &places).map_err(internal))
                .transpose()
        });
        let columns = columns.collect::<Result<_>>()?;
        self.finished(
            &HeldRows {
                columns,
                ids,
                n: places.len(),
            },
            finish,
        )
    }

    fn finished(&self, rows: &HeldRows, finish: &Finish) -> Result<RecordBatch> {
        let columns: Result<Vec<ArrayRef>> = (0..self.present.len())
            .map(|column| self.column(rows, column, finish))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.n));
        RecordBatch::try_new_with_options(Arc::clone(&self.table.schema), columns?, &options)
            .map_err(internal)
    }

    /// A column as the table will have it.
    fn column(&self, rows: &HeldRows, column: usize, finish: &Finish) -> Result<ArrayRef> {
        let field = self.table.schema.field(column);
        if self.table.is_interactions {
            match field.name().as_str() {
                "interaction_id" => return Ok(Arc::new(uuids(&rows.ids))),
                "customer_id" => {
                    if let Some(numbers) = &rows.columns[column] {
                        let numbers = numbers.as_primitive::<Int64Type>();
                        let ids: Int64Array = numbers
                            .iter()
                            .map(|number| number.map(|number| finish.customer(number)))
                            .collect();
                        return Ok(Arc::new(ids));
                    }
                }
                _ => {}
            }
        }
        Ok(match &rows.columns[column] {
            Some(values) => Arc::clone(values),
            None => filler(&self.table, column, rows.n, finish),
        })
    }
}

/// A column that the rows do not give: what the load itself knows of interactions, otherwise NULL.
fn filler(table: &Facts, column: usize, n: usize, finish: &Finish) -> ArrayRef {
    let field = table.schema.field(column);
    match field.name().as_str() {
        "source" if table.is_interactions => constant_text(&finish.source, n),
        "received_at" if table.is_interactions => {
            let now = finish.now.timestamp_micros();
            Arc::new(TimestampMicrosecondArray::from_value(now, n).with_timezone("UTC"))
        }
        _ => new_null_array(field.data_type(), n),
    }
}

fn constant_text(text: &str, n: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, n)))
}

fn uuids(ids: &[u128]) -> StringArray {
    let mut text = Vec::with_capacity(ids.len() * 36);
    for id in ids {
        push_uuid(&mut text, *id);
    }
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(36, ids.len()));
    StringArray::new(offsets, Buffer::from_vec(text), None)
}

impl Finish {
    fn customer(&self, number: i64) -> i64 {
        self.customers[usize::try_from(number).expect("customers are counted from 0")]
    }
}

impl HeldRows {
    pub fn new(rows: Rows, table: &Facts, customers: Option<Int64Array>) -> Self {
        let Rows {
            columns, ids, n, ..
        } = rows;
        let mut held = Self { columns, ids, n };
        held.set_customers(table, customers);
        held
    }

    /// The customers' numbers in this load, in the place of `customer_id`.
    pub fn set_customers(&mut self, table: &Facts, customers: Option<Int64Array>) {
        if let (Some(index), Some(customers)) = (table.index("customer_id"), customers) {
            self.columns[index] = Some(Arc::new(customers));
        }
    }

    pub fn filter(self, kept: &BooleanArray) -> Result<Self> {
        let columns = self.columns.into_iter().map(|column| {
            column
                .map(|column| filter(&column, kept))
                .transpose()
                .map_err(internal)
        });
        let ids = self
            .ids
            .into_iter()
            .zip(kept.iter())
            .filter(|(_, kept)| *kept == Some(true));
        Ok(Self {
            columns: columns.collect::<Result<_>>()?,
            ids: ids.map(|(id, _)| id).collect(),
            n: kept.true_count(),
        })
    }

    fn bytes(&self) -> usize {
        let columns = self
            .columns
            .iter()
            .flatten()
            .map(|column| column.get_array_memory_size());
        // 40 more a row for its place in the sort.
        columns.sum::<usize>() + self.n * (size_of::<u128>() + 40)
    }

    fn into_batch(self, schema: &SchemaRef) -> Result<RecordBatch> {
        let ids = if self.ids.is_empty() {
            new_null_array(&DataType::FixedSizeBinary(16), self.n)
        } else {
            let bytes: Vec<u8> = self.ids.iter().flat_map(|id| id.to_be_bytes()).collect();
            Arc::new(FixedSizeBinaryArray::new(16, Buffer::from_vec(bytes), None))
        };
        let mut columns = vec![ids];
        for (field, column) in schema.fields().iter().skip(1).zip(self.columns) {
            columns.push(column.unwrap_or_else(|| new_null_array(field.data_type(), self.n)));
        }
        RecordBatch::try_new(Arc::clone(schema), columns).map_err(internal)
    }

    fn from_batch(batch: &RecordBatch, has_ids: bool) -> Self {
        let ids = batch.column(0).as_fixed_size_binary();
        let ids = if has_ids {
            (0..ids.len())
                .map(|row| {
                    u128::from_be_bytes(
                        ids.value(row).try_into().expect("identities have 16 bytes"),
                    )
                })
                .collect()
        } else {
            vec![]
        };
        // A column without any value may be one that the load fills in itself.
        let columns = batch.columns()[1..]
            .iter()
            .map(|column| (column.null_count() < column.len()).then(|| Arc::clone(column)));
        Self {
            columns: columns.collect(),
            ids,
            n: batch.num_rows(),
        }
    }
}

fn open(file: &File) -> Result<ParquetRecordBatchReader> {
    let failed = read_back;
    // Handles share their position, but each read seeks first, and a file has one reader at a time.
    let handle = file.try_clone().map_err(failed)?;
    ParquetRecordBatchReaderBuilder::try_new(handle)
        .and_then(|builder| builder.with_batch_size(CHUNK_ROWS).build())
        .map_err(|error| failed(std::io::Error::other(error)))
}

pub fn read_back(source: std::io::Error) -> Error {
    Error::SpillRead { source }
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::Internal {
        what: error.to_string(),
    }
}
