//! One version of a table: its columns and its files. It never changes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};

use crate::log::action::Metadata;
use crate::{ColumnStats, DataFile, Definition, Layout, Result, TableName, layout};

/// Settings in the Delta metadata.
pub(crate) mod setting {
    /// The version that created the table, if it was not the first of its log.
    pub(crate) const BORN: &str = "rapport.born";
    /// Set when the table was dropped; its log goes on when the name is used again.
    pub(crate) const DROPPED: &str = "rapport.dropped";
    /// Changes when the table is emptied or created anew: older txns then no longer count.
    pub(crate) const EPOCH: &str = "rapport.epoch";
}

#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) name: TableName,
    pub(crate) version: u64,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) operation: Option<String>,
    pub(crate) writer_version: i32,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) definition: Arc<Definition>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) files: Vec<DataFile>,
    pub(crate) txns: Arc<HashMap<String, i64>>,
}

impl Snapshot {
    /// No rows yet, and no version in a log.
    pub(crate) fn bare(name: &TableName, metadata: Metadata) -> Result<Self> {
        let definition = Definition::read_from(&metadata, name)?;
        Ok(Self {
            name: name.clone(),
            version: 0,
            timestamp: Utc::now(),
            operation: None,
            writer_version: 2,
            metadata: Arc::new(metadata),
            layout: Arc::new(layout::of(name, &definition.schema)),
            definition: Arc::new(definition),
            files: vec![],
            txns: Arc::default(),
        })
    }

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
        Arc::clone(&self.definition.schema)
    }

    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// In the order in which they were committed.
    pub fn files(&self) -> &[DataFile] {
        &self.files
    }

    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The last version that `app_id` has committed to this table since it was created or truncated.
    pub fn txn(&self, app_id: &str) -> Option<i64> {
        self.txns.get(&self.scoped(app_id)).copied()
    }

    /// Whether `app_id` has ever committed `version` or a later one to this name.
    pub(crate) fn has_ever_seen(&self, app_id: &str, version: i64) -> bool {
        let is_of = |key: &str| {
            let rest = key.strip_prefix(app_id);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
        };
        let mut seen = self.txns.iter();
        seen.any(|(key, seen)| *seen >= version && is_of(key))
    }

    /// The token that has fenced the table off, see [`Draft::fenced`](crate::Draft::fenced).
    pub(crate) fn fence(&self, app_id: &str) -> Option<i64> {
        self.txns.get(app_id).copied()
    }

    /// `operation` of the commit that made this version.
    pub fn last_operation(&self) -> Option<&str> {
        self.operation.as_deref()
    }

    /// Statistics of one column over all files; `None` for a column whose type has none.
    pub fn file_statistics(&self, column: &str) -> Option<ColumnStats> {
        let files = self.files.iter().map(|file| &file.stats);
        ColumnStats::of(&self.definition.schema, files, column)
    }

    /// The log has no way to take a txn back, so those before the current epoch have another name.
    pub(crate) fn scoped(&self, app_id: &str) -> String {
        match self.setting(setting::EPOCH) {
            Some(epoch) => format!("{app_id}@{epoch}"),
            None => app_id.to_owned(),
        }
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.setting(setting::DROPPED).is_some()
    }

    /// The oldest version that belongs to this table and not to a dropped one of the same name.
    pub(crate) fn born(&self) -> u64 {
        self.setting(setting::BORN)
            .and_then(|version| version.parse().ok())
            .unwrap_or(0)
    }

    fn setting(&self, key: &str) -> Option<&String> {
        self.metadata.configuration.get(key)
    }
}
