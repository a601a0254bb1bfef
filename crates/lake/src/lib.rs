//! The lake: Delta tables of sorted Parquet files in a local folder or a bucket. Knows no SQL.
//!
//! delta-rs writes the log's checkpoints and clears expired commits away. Everything that decides whether a row can be
//! lost (how a file becomes durable, who wins a race, what a rewrite may remove) is here, in small files.

pub mod check;
pub mod compact;
pub mod layout;

mod append;
mod data_file;
mod definition;
mod draft;
mod durable;
mod error;
mod fingerprint;
mod journal;
mod lake;
mod lease;
mod location;
mod log;
mod order;
mod parquet_file;
mod probe;
mod rewrite;
mod rows;
mod shape;
mod snapshot;
mod stats;
mod stored_file;
mod table;
mod table_name;
mod vacuum;

pub use append::{Append, Appended, Txn, Writer};
pub use check::{CheckProgress, Finding, check};
pub use data_file::{ColumnStats, DataFile, FileColumnStats, FileStats};
pub use definition::{Definition, ForeignKey, PG_TYPE};
pub use draft::Draft;
pub use error::{BoxError, Error, Result};
pub use lake::Lake;
pub use layout::Layout;
pub use lease::{Holder, Lease, Taken, host};
pub use location::Location;
pub use rewrite::Expect;
pub use snapshot::Snapshot;
pub use stored_file::StoredFile;
pub use table::Table;
pub use table_name::TableName;
pub use vacuum::Vacuumed;

/// Rows on their way into a table. An error in the stream ends the write; nothing of it becomes visible.
pub type BatchStream =
    futures::stream::BoxStream<'static, std::result::Result<arrow::array::RecordBatch, BoxError>>;

#[cfg(test)]
mod tests;
