//! One live Parquet file of a table, and what the log says about it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::log::action::Add;
use crate::stats;

/// Tags that we put on each file; the others are the appender's.
pub(crate) mod tag {
    pub(crate) const CRC32C: &str = "rapport.crc32c";
    pub(crate) const FINGERPRINT: &str = "rapport.fingerprint";
    pub(crate) const SORTED_BY: &str = "rapport.sorted_by";
    pub(crate) const UNTIL: &str = "rapport.until";
    pub(crate) const OURS: &[&str] = &[CRC32C, FINGERPRINT, SORTED_BY, UNTIL];
}

#[derive(Clone, Debug)]
pub struct DataFile {
    /// Relative to the lake's root, ready for the store.
    pub path: String,
    pub size: u64,
    pub rows: u64,
    /// `None` for files that another writer put into the table.
    pub crc32c: Option<u32>,
    pub tags: Arc<BTreeMap<String, String>>,
    pub stats: FileStats,
    pub modified: DateTime<Utc>,
}

impl DataFile {
    /// `rows` is what a file without statistics was found to hold.
    pub(crate) fn new(path: String, add: &Add, rows: u64, schema: &SchemaRef) -> Self {
        let tags: BTreeMap<String, String> = add
            .tags
            .iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
            .collect();
        Self {
            path,
            size: u64::try_from(add.size).unwrap_or(0),
            rows,
            crc32c: tags
                .get(tag::CRC32C)
                .and_then(|hex| u32::from_str_radix(hex, 16).ok()),
            stats: FileStats::parse(add.stats.as_deref(), Arc::clone(schema)),
            modified: DateTime::from_timestamp_millis(add.modification_time).unwrap_or_default(),
            tags: Arc::new(tags),
        }
    }

    /// What the log would say about the same file under another table's folder.
    pub(crate) fn add(&self, relative: String) -> Add {
        let tags = self.tags.iter();
        let tags = tags.map(|(key, value)| (key.clone(), Some(value.clone())));
        Add {
            path: relative,
            size: i64::try_from(self.size).unwrap_or(i64::MAX),
            modification_time: self.modified.timestamp_millis(),
            data_change: true,
            stats: serde_json::to_string(self.stats.raw.as_ref()).ok(),
            tags: Some(tags.collect()),
            ..Add::default()
        }
    }

    /// Whether its rows are known to be in the order of `columns`; another program's files are not.
    pub fn is_sorted_by(&self, columns: &[String]) -> bool {
        match self.tags.get(tag::SORTED_BY) {
            Some(by) => *by == sorted_by_tag(columns),
            None => columns.is_empty(),
        }
    }

    /// Whether its minima and maxima occur in it; other programs cut long texts and times.
    pub fn has_exact_stats(&self) -> bool {
        self.crc32c.is_some()
    }

    /// When the newest of its rows was committed; compaction keeps this, unlike `modified`.
    pub fn until(&self) -> DateTime<Utc> {
        self.tags
            .get(tag::UNTIL)
            .and_then(|ms| DateTime::from_timestamp_millis(ms.parse().ok()?))
            .unwrap_or(self.modified)
    }

    pub(crate) fn fingerprint(&self) -> Option<u128> {
        u128::from_str_radix(self.tags.get(tag::FINGERPRINT)?, 16).ok()
    }
}

pub(crate) fn sorted_by_tag(columns: &[String]) -> String {
    columns.join(",")
}

/// What is known of a file's columns without reading it.
#[derive(Clone, Debug)]
pub struct FileStats {
    schema: SchemaRef,
    raw: Arc<RawStats>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawStats {
    pub(crate) num_records: Option<u64>,
    /// Kept as text: a decimal would lose digits as a JSON number.
    min_values: HashMap<String, Box<RawValue>>,
    max_values: HashMap<String, Box<RawValue>>,
    null_count: HashMap<String, Box<RawValue>>,
}

/// One column of one file. Minimum and maximum are arrays of one element, of the column's storage type.
#[derive(Clone, Debug)]
pub struct FileColumnStats {
    pub min: Option<ArrayRef>,
    pub max: Option<ArrayRef>,
    pub nulls: Option<u64>,
}

/// One column over all files of a snapshot, in the order of `Snapshot::files`: element `i` is file `i`'s,
/// NULL where it is not known. Minimum and maximum have the column's storage type.
#[derive(Clone, Debug)]
pub struct ColumnStats {
    pub min: ArrayRef,
    pub max: ArrayRef,
    pub nulls: UInt64Array,
}

impl FileStats {
    fn parse(json: Option<&str>, schema: SchemaRef) -> Self {
        Self {
            schema,
            raw: Arc::new(RawStats::parse(json)),
        }
    }

    /// `None` if the file says nothing about the column.
    pub fn column(&self, name: &str) -> Option<FileColumnStats> {
        let all = ColumnStats::of(&self.schema, [self].into_iter(), name)?;
        let known = |array: ArrayRef| (array.null_count() == 0).then_some(array);
        let nulls = (
            all.nulls.iter().next().flatten(),
            known(all.min),
            known(all.max),
        );
        match nulls {
            (None, None, None) => None,
            (nulls, min, max) => Some(FileColumnStats { min, max, nulls }),
        }
    }

    fn nulls(&self, column: &str) -> Option<u64> {
        self.raw.null_count.get(column)?.get().parse().ok()
    }
}

impl RawStats {
    /// Statistics that can't be read are as good as none.
    pub(crate) fn parse(json: Option<&str>) -> Self {
        json.and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default()
    }
}

impl ColumnStats {
    pub(crate) fn of<'a>(
        schema: &SchemaRef,
        files: impl Iterator<Item = &'a FileStats> + Clone,
        column: &str,
    ) -> Option<Self> {
        let data_type = schema.field_with_name(column).ok()?.data_type();
        let min = files
            .clone()
            .map(|file| Some(file.raw.min_values.get(column)?.get()));
        let max = files
            .clone()
            .map(|file| Some(file.raw.max_values.get(column)?.get()));
        Some(Self {
            min: stats::from_json(data_type, min, stats::Bound::Lower)?,
            max: stats::from_json(data_type, max, stats::Bound::Upper)?,
            nulls: files.map(|file| file.nulls(column)).collect(),
        })
    }
}
