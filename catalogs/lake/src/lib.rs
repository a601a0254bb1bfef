//! A table name → a table version → a Parquet plan.
//!
//! The plan is DataFusion's own `DataSourceExec` over the files of one snapshot and holds nothing of Delta, so it can
//! be sent to a worker, declares its order, and prunes files, row groups, pages and rows.

mod footers;
mod groups;
mod present;
mod prune;
mod statistics;
mod table;

pub use present::present_schema;
pub use table::LakeTable;
