//! One version of a lake table as DataFusion scans it.

use std::sync::Arc;

use rapport_lake::Snapshot;

/// Cheap to make: it holds the snapshot and nothing else.
#[derive(Clone, Debug)]
pub struct LakeTable {
    snapshot: Arc<Snapshot>,
}

impl LakeTable {
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot }
    }

    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }
}
