//! A table name → a table version → a Parquet plan.

mod table;

pub use table::LakeTable;
