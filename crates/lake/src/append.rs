//! Add sorted rows to a table: files first, then one commit that makes them visible.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use crate::Result;

/// The mark of a piece of work in the log: a commit with the same `app_id` and the same or a higher `version` has
/// landed before, so this one has nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    pub app_id: String,
    pub version: i64,
}

#[derive(Clone, Debug, Default)]
pub struct Append {
    pub txn: Option<Txn>,
    /// Fail with `Conflict` if the table has moved past this version.
    pub base: Option<u64>,
    /// Stored with every file.
    pub tags: BTreeMap<String, String>,
    pub operation: &'static str,
    /// Stored in the commit.
    pub info: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The version that holds the rows (the newest one, if they had landed before).
    pub version: u64,
    pub rows: u64,
    pub files: usize,
    pub bytes: u64,
    /// The txn had landed before: nothing was done.
    pub already: bool,
}

/// An append in push form. Nothing is visible until [`Writer::commit`]; dropping it leaves at most files that
/// a vacuum removes.
pub struct Writer {}

impl Writer {
    pub async fn write(&mut self, _batch: RecordBatch) -> Result<()> {
        unimplemented!()
    }

    pub async fn commit(self) -> Result<Appended> {
        unimplemented!()
    }

    pub async fn abort(self) -> Result<()> {
        unimplemented!()
    }
}
