//! Columns of a table's files, read back to know which rows and customers are there already.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use futures::StreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use rapport_lake::{DataFile, Lake, StoredFile};
use tokio_util::sync::CancellationToken;

use crate::key::{self, IdSet};
use crate::table::Facts;
use crate::text::as_text;
use crate::{Error, Result};

/// Key of the tag on each file of `interactions`: the sources whose rows it holds, with commas between, because a
/// compaction joins different values of a tag by commas.
pub const SOURCES_TAG: &str = "rapport.sources";

pub fn sources_tag(sources: &BTreeSet<String>) -> String {
    let names: Vec<String> = sources
        .iter()
        .map(|source| source.replace(',', "%2C"))
        .collect();
    names.join(",")
}

/// Gives the named columns of each file, batch by batch; a file from before the column was added gives none.
pub async fn scan(
    lake: &Lake,
    files: &[&DataFile],
    columns: &[&str],
    cancel: &CancellationToken,
    take: &mut (dyn FnMut(&RecordBatch) + Send),
) -> Result<()> {
    for file in files {
        let failed = |source| Error::ReadBack {
            path: file.path.clone(),
            source,
        };
        let reader = StoredFile::new(&lake.store(), &file.path, file.size);
        let builder = ParquetRecordBatchStreamBuilder::new(reader)
            .await
            .map_err(failed)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        let mut batches = builder
            .with_projection(mask)
            .with_batch_size(crate::decode::BATCH_ROWS)
            .build()
            .map_err(failed)?;
        while let Some(batch) = batches.next().await {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            take(&batch.map_err(failed)?);
        }
    }
    Ok(())
}

/// Which of `ids` stand in these files.
pub async fn known_ids(
    lake: &Lake,
    table: &Facts,
    files: &[&DataFile],
    ids: &IdSet,
    cancel: &CancellationToken,
) -> Result<IdSet> {
    let mut known = IdSet::default();
    if table.is_interactions {
        scan(lake, files, &["interaction_id"], cancel, &mut |batch| {
            if let Some(texts) = batch.columns().first().and_then(as_text) {
                known.extend(
                    texts
                        .iter()
                        .flatten()
                        .filter_map(key::parse_uuid)
                        .filter(|id| ids.contains(id)),
                );
            }
        })
        .await?;
        return Ok(known);
    }
    let names: Vec<&str> = table
        .primary_key
        .iter()
        .map(|column| table.schema.field(*column).name().as_str())
        .collect();
    let mut buffer = vec![];
    scan(lake, files, &names, cancel, &mut |batch| {
        // A file gives its columns in its own order.
        let columns: Option<Vec<_>> = names
            .iter()
            .map(|name| batch.column_by_name(name).and_then(as_text))
            .collect();
        if let Some(columns) = columns {
            let all =
                (0..batch.num_rows()).map(|row| key::of_primary_key(&columns, row, &mut buffer));
            known.extend(all.filter(|id| ids.contains(id)));
        }
    })
    .await?;
    Ok(known)
}

/// Whether a file of `interactions` may hold rows of one of these sources. Files without the tag may hold any.
pub fn may_hold(file: &DataFile, sources: &BTreeSet<String>) -> bool {
    file.tags.get(SOURCES_TAG).is_none_or(|tag| {
        tag.split(',')
            .any(|source| sources.contains(&source.replace("%2C", ",")))
    })
}

/// Largest value of a bigint column in a batch.
pub fn largest(batch: &RecordBatch, column: &str) -> Option<i64> {
    let values = batch.column_by_name(column)?;
    arrow::compute::max(values.as_primitive_opt::<arrow::datatypes::Int64Type>()?)
}
