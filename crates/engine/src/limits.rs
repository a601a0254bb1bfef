//! What one warehouse and one statement may use.

use std::{path::PathBuf, time::Duration};

#[derive(Clone, Debug)]
pub struct Limits {
    /// What all statements together may hold before they spill or fail with 53200.
    pub memory_bytes: usize,
    /// What one statement may hold.
    pub query_memory_bytes: usize,
    /// Sessions start with this; `SET statement_timeout` changes it for one session.
    pub statement_timeout: Option<Duration>,
    /// Worker threads for queries, and partitions of a plan.
    pub threads: usize,
    /// Syntax tree nodes in one statement.
    pub max_nodes: usize,
    /// Levels of nesting in one statement.
    pub max_depth: usize,
    /// Bytes of SQL text in one statement.
    pub max_statement_bytes: usize,
    pub planning_timeout: Duration,
    /// Parquet footers and page indexes kept in memory.
    pub metadata_cache_bytes: usize,
    /// Where sorts and aggregates spill; `None` is the operating system's temporary folder.
    pub spill_dir: Option<PathBuf>,
    pub spill_bytes: u64,
    pub batch_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            memory_bytes: 4 << 30,
            query_memory_bytes: 2 << 30,
            statement_timeout: None,
            threads,
            max_nodes: 20_000,
            max_depth: 300,
            max_statement_bytes: 16 << 20,
            planning_timeout: Duration::from_secs(10),
            metadata_cache_bytes: 256 << 20,
            spill_dir: None,
            spill_bytes: 100 << 30,
            batch_rows: 8192,
        }
    }
}
