//! One live Parquet file of a table, and what the log says about it.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, UInt64Array};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct DataFile {
    /// Relative to the lake's root, ready for the store.
    pub path: String,
    pub size: u64,
    pub rows: u64,
    /// `None` for files that another writer put into the table.
    pub crc32c: Option<u32>,
    pub tags: BTreeMap<String, String>,
    pub stats: FileStats,
    pub modified: DateTime<Utc>,
}

/// What is known of a file's columns without reading it.
#[derive(Clone, Debug, Default)]
pub struct FileStats {
    columns: BTreeMap<String, FileColumnStats>,
}

/// One column of one file. Minimum and maximum are arrays of one element, of the column's storage type.
#[derive(Clone, Debug)]
pub struct FileColumnStats {
    pub min: Option<ArrayRef>,
    pub max: Option<ArrayRef>,
    pub nulls: Option<u64>,
}

impl FileStats {
    pub fn column(&self, name: &str) -> Option<&FileColumnStats> {
        self.columns.get(name)
    }
}

/// One column over all files of a snapshot, in the order of `Snapshot::files`: element `i` is file `i`'s,
/// NULL where it is not known. Minimum and maximum have the column's storage type.
#[derive(Clone, Debug)]
pub struct ColumnStats {
    pub min: ArrayRef,
    pub max: ArrayRef,
    pub nulls: UInt64Array,
}
