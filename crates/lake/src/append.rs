//! Add sorted rows to a table: files first, then one commit that makes them visible.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::StreamExt;

use crate::log::commit::{self, Change, Header, Landed, conflict};
use crate::log::group;
use crate::rows::{FILE_BYTES, Plan, RowsWriter, Stopped, Written, discard};
use crate::{BatchStream, Definition, Error, Result, Snapshot, Table};

/// The mark of a piece of work in the log. Once a commit with the same `app_id` and the same or a higher `version`
/// has landed, there is nothing left to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    pub app_id: String,
    pub version: i64,
}

#[derive(Clone, Debug, Default)]
pub struct Append {
    pub txn: Option<Txn>,
    /// Recorded in the same commit and not checked: one load brings several files, each with a mark of its own.
    pub marks: Vec<Txn>,
    /// Fail with `Conflict` if rows were added, changed or removed after this version. A compaction changes none.
    pub base: Option<u64>,
    /// Stored with every file. A compaction joins different values of a key by commas.
    pub tags: BTreeMap<String, String>,
    /// As the log's history names it; `WRITE` if empty.
    pub operation: &'static str,
    /// Stored in the commit.
    pub info: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The version that holds the rows (the newest one, if nothing was done).
    pub version: u64,
    pub rows: u64,
    pub files: usize,
    pub bytes: u64,
    /// The txn had landed before: nothing was done.
    pub already: bool,
}

impl Appended {
    pub(crate) fn nothing(version: u64, already: bool) -> Self {
        Self {
            version,
            rows: 0,
            files: 0,
            bytes: 0,
            already,
        }
    }
}

impl Table {
    /// Add the rows of a stream, which must be sorted by `layout.sort`. A txn that has landed leaves the stream unread.
    pub async fn append(&self, mut rows: BatchStream, options: Append) -> Result<Appended> {
        let mut writer = self.begin_append(options).await?;
        if writer.is_done() {
            return writer.commit().await;
        }
        while let Some(batch) = rows.next().await {
            match batch {
                Ok(batch) => writer.write(batch).await?,
                Err(error) => {
                    writer.abort().await?;
                    return Err(Error::Rows(error));
                }
            }
        }
        writer.commit().await
    }

    pub async fn begin_append(&self, options: Append) -> Result<Writer> {
        let base = self.snapshot().await?;
        let landed = options.txn.as_ref().is_some_and(|txn| {
            let version = base.txn(&txn.app_id);
            version.is_some_and(|version| version >= txn.version)
        });
        let rows = (!landed).then(|| {
            RowsWriter::start(Plan {
                table: self.name().clone(),
                store: Arc::clone(self.store()),
                schema: base.schema(),
                layout: Arc::clone(&base.layout),
                tags: options.tags.clone(),
                until: None,
                data_change: true,
                file_bytes: FILE_BYTES,
            })
        });
        Ok(Writer {
            table: self.clone(),
            base,
            options,
            rows,
            written: None,
        })
    }
}

/// An append in push form. Nothing is visible until [`Writer::commit`]; dropping it gives the rows up.
pub struct Writer {
    table: Table,
    base: Arc<Snapshot>,
    options: Append,
    /// `None` once there is nothing to do.
    rows: Option<RowsWriter>,
    /// Set while commits are being tried.
    written: Option<Written>,
}

impl Writer {
    /// The txn had landed before: rows are ignored from now on.
    pub fn is_done(&self) -> bool {
        self.rows.is_none()
    }

    /// After an error nothing of it will become visible.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        let Some(rows) = &mut self.rows else {
            return Ok(());
        };
        match rows.write(batch).await {
            Ok(()) => Ok(()),
            Err(Stopped) => {
                let rows = self.rows.take().expect("it was there above");
                let why = rows.finish().await.err();
                Err(why.unwrap_or_else(|| Error::Rows("the encoder stopped".into())))
            }
        }
    }

    pub async fn commit(self) -> Result<Appended> {
        let header = self.header(self.options.base);
        let Some(rows) = self.rows else {
            return Ok(Appended::nothing(self.base.version, true));
        };
        let written = rows.finish().await?;
        if written.rows == 0 && self.options.txn.is_none() && self.options.marks.is_empty() {
            return Ok(Appended::nothing(self.base.version, false));
        }
        if header.rows_unchanged_since.is_none() {
            return group::append(&self.table, self.base, header, written).await;
        }
        commit_written(&self.table, &header, written, |newest, written| {
            added(&self.base, newest, written)
        })
        .await
    }

    /// As [`Writer::commit`] with another `base`. After `Conflict` the files stay where they are, so the caller may
    /// look at what came between and try again, or [`Writer::abort`].
    pub async fn try_commit(&mut self, base: u64) -> Result<Appended> {
        if let Some(rows) = self.rows.take() {
            self.written = Some(rows.finish().await?);
        }
        let Some(written) = self.written.take() else {
            return Ok(Appended::nothing(self.base.version, true));
        };
        let header = self.header(Some(base));
        let change = |newest: &Snapshot| added(&self.base, newest, &written);
        match commit::commit(&self.table, &header, change).await {
            Ok(landed) => Ok(settle(&self.table, landed, &written).await),
            Err(error @ Error::Conflict { .. }) => {
                self.written = Some(written);
                Err(error)
            }
            Err(error) => Err(give_up(&self.table, error, &written).await),
        }
    }

    fn header(&self, base: Option<u64>) -> Header {
        let operation = self.options.operation;
        Header {
            operation: if operation.is_empty() {
                "WRITE"
            } else {
                operation
            },
            info: self.options.info.clone(),
            txn: self.options.txn.clone(),
            marks: self.options.marks.clone(),
            rows_unchanged_since: base,
        }
    }

    pub async fn abort(self) -> Result<()> {
        if let Some(rows) = self.rows {
            rows.abort().await;
        }
        if let Some(written) = self.written {
            discard(self.table.store(), self.table.name(), &written.adds).await;
        }
        Ok(())
    }
}

fn added(base: &Snapshot, newest: &Snapshot, written: &Written) -> Result<Change> {
    check_same_table(base, newest)?;
    Ok(Change {
        adds: written.adds.clone(),
        ..Change::default()
    })
}

/// Commit files that are in the store, or remove them again.
pub(crate) async fn commit_written(
    table: &Table,
    header: &Header,
    written: Written,
    mut change: impl FnMut(&Snapshot, &Written) -> Result<Change>,
) -> Result<Appended> {
    match commit::commit(table, header, |newest| change(newest, &written)).await {
        Ok(landed) => Ok(settle(table, landed, &written).await),
        Err(error) => Err(give_up(table, error, &written).await),
    }
}

async fn settle(table: &Table, landed: Landed, written: &Written) -> Appended {
    if landed.already {
        discard(table.store(), table.name(), &written.adds).await;
        return Appended::nothing(landed.snapshot.version, true);
    }
    written.landed_at(landed.snapshot.version)
}

async fn give_up(table: &Table, error: Error, written: &Written) -> Error {
    // Without a clear answer the commit may still land; a vacuum removes the files if it does not.
    if !matches!(error, Error::Storage { .. } | Error::Corrupt { .. }) {
        discard(table.store(), table.name(), &written.adds).await;
    }
    error
}

/// Rows made for `base` may be added to `newest`.
pub(crate) fn check_same_table(base: &Snapshot, newest: &Snapshot) -> Result<()> {
    let conflict = |what: &str| Err(conflict(&base.name, what));
    if newest.is_dropped() || newest.born() != base.born() {
        return conflict("it was dropped");
    }
    if newest.scoped("") != base.scoped("") {
        return conflict("it was truncated");
    }
    if !fits(&base.definition, &newest.definition) {
        return conflict("its columns were changed");
    }
    Ok(())
}

fn fits(base: &Definition, newest: &Definition) -> bool {
    let kept = base.schema.fields().iter().all(|field| {
        newest
            .schema
            .field_with_name(field.name())
            .is_ok_and(|same| {
                same.data_type() == field.data_type() && same.is_nullable() >= field.is_nullable()
            })
    });
    let added_may_be_null = newest
        .schema
        .fields()
        .iter()
        .all(|field| field.is_nullable() || base.schema.field_with_name(field.name()).is_ok());
    kept && added_may_be_null
}
