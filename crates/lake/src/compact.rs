//! Which files to fold together.

use chrono::{DateTime, Utc};

use crate::{DataFile, Snapshot};

#[derive(Clone, Debug)]
pub struct Policy {
    /// A file at least this big is left alone.
    pub target_bytes: u64,
    /// Fold a tier when it has this many files.
    pub min_files: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            target_bytes: 256 << 20,
            min_files: 4,
        }
    }
}

/// Files to fold into one sorted run.
#[derive(Clone, Debug)]
pub struct Group {
    pub files: Vec<DataFile>,
}

pub fn plan(_snapshot: &Snapshot, _now: DateTime<Utc>, _policy: &Policy) -> Vec<Group> {
    vec![]
}
