//! Parquet: columns keep their types; a row's "line" is its number.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{BATCH_BYTES, BATCH_ROWS, Sink};
use crate::raw::{Lines, RawBatch, RawForm};
use crate::{Error, Result};

pub fn decode(path: &Path, name: &Arc<str>, sink: &mut Sink) -> Result<()> {
    let damaged = |what: String| Error::Format {
        file: name.to_string(),
        what,
    };
    let file = File::open(path).map_err(|source| Error::Read {
        file: name.to_string(),
        source,
    })?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| damaged(format!("is not a readable Parquet file: {error}")))?;
    let all_rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
    let all_bytes: i64 = builder
        .metadata()
        .row_groups()
        .iter()
        .map(|group| group.total_byte_size())
        .sum();
    let row_bytes =
        usize::try_from(all_bytes).unwrap_or(0) / usize::try_from(all_rows).unwrap_or(1);
    let reader = builder
        .with_batch_size((BATCH_BYTES / row_bytes.max(1)).clamp(1, BATCH_ROWS))
        .build()
        .map_err(|error| damaged(format!("is not a readable Parquet file: {error}")))?;

    let mut rows = 0;
    for batch in reader {
        let batch =
            batch.map_err(|error| damaged(format!("is damaged after row {rows}: {error}")))?;
        let n = batch.num_rows() as u64;
        let bytes = size * (rows + n) / all_rows - size * rows / all_rows;
        let columns = plain(batch).map_err(|error| damaged(error.to_string()))?;
        let raw = RawBatch {
            file: Arc::clone(name),
            form: RawForm::Typed,
            columns,
            lines: Lines::From(rows + 1),
            json: vec![],
            refused: vec![],
            bytes,
        };
        rows += n;
        if sink(raw).is_break() {
            break;
        }
    }
    Ok(())
}

/// Dictionaries and the other two string types as plain text, so that a SELECT meets one type of text.
fn plain(batch: RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut fields: Vec<Field> = vec![];
    let mut arrays: Vec<ArrayRef> = vec![];
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let wanted = match field.data_type() {
            DataType::Dictionary(_, value) => plain_type(value),
            other => plain_type(other),
        };
        arrays.push(if *field.data_type() == wanted {
            Arc::clone(array)
        } else {
            cast(array, &wanted)?
        });
        fields.push(Field::new(field.name(), wanted, true));
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &rows)
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}
