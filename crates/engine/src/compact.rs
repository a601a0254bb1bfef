//! Folding many sorted files into few, without sorting and without losing a row.

/// What happened so far, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactProgress {
    pub groups_done: usize,
    pub groups: usize,
    pub rows: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    pub groups: usize,
    pub files_before: usize,
    pub files_after: usize,
    pub rows: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
}
