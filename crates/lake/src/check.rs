//! Prove that a lake is whole, or say what is not and what to do.

use crate::{Lake, Result, TableName};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub table: Option<TableName>,
    /// Relative to the lake's root.
    pub path: String,
    pub what: String,
    pub remedy: String,
}

/// After each file: how far the check is.
#[derive(Clone, Debug)]
pub struct CheckProgress {
    pub table: TableName,
    pub files_done: usize,
    pub files: usize,
    pub bytes_done: u64,
    pub bytes: u64,
}

pub async fn check(
    _lake: &Lake,
    _progress: &(dyn Fn(CheckProgress) + Sync),
) -> Result<Vec<Finding>> {
    unimplemented!()
}
