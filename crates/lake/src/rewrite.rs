//! Replace files by others in one commit: compaction, update, delete. Nothing is committed before it is proven that the
//! files are still live and that no row got lost.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::ParquetRecordBatchStreamBuilder;

use crate::append::{check_same_table, commit_written};
use crate::data_file::tag;
use crate::fingerprint::{RowHashes, seed_of};
use crate::log::commit::{Change, Header, conflict};
use crate::rows::{Plan, RowsWriter, Written, discard, remove_of};
use crate::shape::conform;
use crate::stored_file::StoredFile;
use crate::{Appended, BatchStream, DataFile, Error, Result, Snapshot, Table, Txn, compact};

const PARALLEL_READS: usize = 4;

/// What must hold between the rows removed and the rows written, or nothing is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The same rows in whatever order: their number and the sum of their 128-bit hashes.
    SameRows,
    /// This many rows are written.
    Rows(u64),
    Any,
}

impl Table {
    /// Replace `removed`, files of `base`, by files of `rows`, which must be sorted by `layout.sort`.
    ///
    /// Appends that land meanwhile stay; anything that removed one of the files first is a `Conflict`.
    pub async fn rewrite(
        &self,
        base: &Snapshot,
        removed: &[DataFile],
        mut rows: BatchStream,
        expect: Expect,
        txn: Txn,
        operation: &'static str,
    ) -> Result<Appended> {
        let newest = self.snapshot().await?;
        if newest
            .txn(&txn.app_id)
            .is_some_and(|version| version >= txn.version)
        {
            return Ok(Appended::nothing(newest.version, true));
        }
        check_live(base, &newest, removed)?;
        let same_rows = expect == Expect::SameRows;
        let mut writer = RowsWriter::start(Plan {
            table: self.name().clone(),
            store: Arc::clone(self.store()),
            schema: base.schema(),
            layout: Arc::clone(&base.layout),
            tags: merged_tags(removed),
            until: removed
                .iter()
                .map(DataFile::until)
                .max()
                .filter(|_| same_rows),
            data_change: !same_rows,
            file_bytes: compact::file_bytes(removed),
        });
        let stopped = loop {
            match rows.next().await {
                Some(Ok(batch)) => {
                    if writer.write(batch).await.is_err() {
                        break None;
                    }
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        if let Some(error) = stopped {
            writer.abort().await;
            return Err(Error::Rows(error));
        }
        let written = writer.finish().await?;
        if let Err(error) = self.prove(base, removed, &written, expect).await {
            discard(self.store(), self.name(), &written.adds).await;
            return Err(error);
        }
        let header = Header {
            operation,
            txn: Some(txn),
            ..Header::default()
        };
        commit_written(self, &header, written, |newest, written| {
            check_live(base, newest, removed)?;
            Ok(Change {
                adds: written.adds.clone(),
                removes: removed
                    .iter()
                    .map(|file| remove_of(newest, file, !same_rows))
                    .collect(),
                ..Change::default()
            })
        })
        .await
    }

    async fn prove(
        &self,
        base: &Snapshot,
        removed: &[DataFile],
        written: &Written,
        expect: Expect,
    ) -> Result<()> {
        let wrong = |what: String| Error::RowsChanged {
            table: self.name().clone(),
            what,
        };
        let wanted = match expect {
            Expect::Any => return Ok(()),
            Expect::Rows(rows) => rows,
            Expect::SameRows => removed.iter().map(|file| file.rows).sum(),
        };
        if written.rows != wanted {
            return Err(wrong(format!(
                "{} rows were written, not {wanted}",
                written.rows
            )));
        }
        if expect == Expect::SameRows {
            let before = self.fingerprint(base, removed).await?;
            if before != written.fingerprint {
                return Err(wrong("as many rows were written, but other ones".into()));
            }
        }
        Ok(())
    }

    /// Of all rows of `files`; those that another program wrote are read.
    async fn fingerprint(&self, base: &Snapshot, files: &[DataFile]) -> Result<u128> {
        // The files are owned: futures over borrowed ones are not seen to be `Send` from outside of this crate.
        stream::iter(files.to_vec())
            .map(|file| async move {
                match file.fingerprint() {
                    Some(fingerprint) => Ok(fingerprint),
                    None => self.read_fingerprint(base, &file).await,
                }
            })
            .buffer_unordered(PARALLEL_READS)
            .try_fold(0_u128, async |sum, file| Ok(sum.wrapping_add(file)))
            .await
    }

    async fn read_fingerprint(&self, base: &Snapshot, file: &DataFile) -> Result<u128> {
        let failed = |error| Error::storage(format!("reading {}", file.path), error);
        let reader = StoredFile::new(self.store(), &file.path, file.size);
        let builder = ParquetRecordBatchStreamBuilder::new(reader)
            .await
            .map_err(failed)?;
        let mut batches = builder.build().map_err(failed)?;
        let schema = base.schema();
        let mut sum = 0_u128;
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let batch = conform(&batch, &schema).map_err(|what| Error::WrongSchema {
                table: self.name().clone(),
                what,
            })?;
            let mut hashes = RowHashes::new(batch.num_rows());
            for (field, column) in schema.fields().iter().zip(batch.columns()) {
                hashes.add(column, seed_of(field.name()));
            }
            sum = sum.wrapping_add(hashes.sum());
        }
        Ok(sum)
    }
}

fn check_live(base: &Snapshot, newest: &Snapshot, removed: &[DataFile]) -> Result<()> {
    check_same_table(base, newest)?;
    let live: HashSet<&str> = newest.files.iter().map(|file| file.path.as_str()).collect();
    match removed
        .iter()
        .find(|file| !live.contains(file.path.as_str()))
    {
        Some(file) => Err(conflict(
            &base.name,
            format!("{} was replaced by somebody else", file.path),
        )),
        None => Ok(()),
    }
}

/// The appenders' tags; different values of one key are joined by commas.
fn merged_tags(files: &[DataFile]) -> BTreeMap<String, String> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (key, value) in files.iter().flat_map(|file| file.tags.iter()) {
        if !tag::OURS.contains(&key.as_str()) {
            values.entry(key).or_default().extend(value.split(','));
        }
    }
    values
        .into_iter()
        .map(|(key, values)| {
            (
                key.to_owned(),
                values.into_iter().collect::<Vec<_>>().join(","),
            )
        })
        .collect()
}
