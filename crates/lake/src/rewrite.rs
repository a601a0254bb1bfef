//! Replace files by others in one commit: compaction, update, delete, truncate.

/// What must hold between the rows removed and the rows written, or nothing is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The same rows in whatever order: their number and the sum of their 128-bit hashes.
    SameRows,
    /// This many rows are written.
    Rows(u64),
    Any,
}
