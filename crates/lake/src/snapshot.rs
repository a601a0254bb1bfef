//! One version of a table: its columns and its files. It never changes.

use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};

use crate::{ColumnStats, DataFile, Definition, Layout, TableName};

pub struct Snapshot {
    name: TableName,
    version: u64,
    timestamp: DateTime<Utc>,
    definition: Definition,
    layout: Layout,
    files: Vec<DataFile>,
}

impl Snapshot {
    pub fn name(&self) -> &TableName {
        &self.name
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    /// When this version was committed.
    pub fn timestamp(&self) -> DateTime<Utc> {
        self.timestamp
    }

    /// Storage types, with field metadata.
    pub fn schema(&self) -> SchemaRef {
        self.definition.schema.clone()
    }

    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn files(&self) -> &[DataFile] {
        &self.files
    }

    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The last version that `app_id` has committed to this table, if it ever did.
    pub fn txn(&self, _app_id: &str) -> Option<i64> {
        unimplemented!()
    }

    /// `operation` of the commit that made this version.
    pub fn last_operation(&self) -> Option<&str> {
        unimplemented!()
    }

    /// Statistics of one column over all files; `None` if the layout keeps none for it.
    pub fn file_statistics(&self, _column: &str) -> Option<ColumnStats> {
        unimplemented!()
    }
}
