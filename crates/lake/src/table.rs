//! One table: read its versions, change it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    Append, Appended, BatchStream, DataFile, Definition, Expect, Result, Snapshot, TableName, Txn,
    Vacuumed, Writer,
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Table {
    name: Arc<TableName>,
}

impl Table {
    pub fn name(&self) -> &TableName {
        &self.name
    }

    pub async fn snapshot(&self) -> Result<Arc<Snapshot>> {
        unimplemented!()
    }

    pub async fn snapshot_at(&self, _version: u64) -> Result<Arc<Snapshot>> {
        unimplemented!()
    }

    pub async fn snapshot_as_of(&self, _at: DateTime<Utc>) -> Result<Arc<Snapshot>> {
        unimplemented!()
    }

    pub async fn append(&self, _rows: BatchStream, _options: Append) -> Result<Appended> {
        unimplemented!()
    }

    pub async fn begin_append(&self, _options: Append) -> Result<Writer> {
        unimplemented!()
    }

    pub async fn rewrite(
        &self,
        _base: &Snapshot,
        _removed: &[DataFile],
        _rows: BatchStream,
        _expect: Expect,
        _txn: Txn,
        _operation: &'static str,
    ) -> Result<Appended> {
        unimplemented!()
    }

    pub async fn set_definition(&self, _definition: &Definition) -> Result<u64> {
        unimplemented!()
    }

    pub async fn truncate(&self) -> Result<u64> {
        unimplemented!()
    }

    /// `keep` below the floor of seven days is refused unless `below_floor` says it is meant.
    pub async fn vacuum(
        &self,
        _keep: Duration,
        _now: DateTime<Utc>,
        _below_floor: bool,
    ) -> Result<Vacuumed> {
        unimplemented!()
    }

    pub async fn maintain(&self, _now: DateTime<Utc>) -> Result<()> {
        unimplemented!()
    }
}
