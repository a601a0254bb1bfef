//! SQL in, a stream of batches out: sessions over one lake, their limits, snapshots and transactions.
//!
//! A statement goes through these files in this order: `parse` (text to a syntax tree, bounded by `tree`), `names` (a
//! table name becomes one version of a lake table, by `pins`, or a relation of the catalogue, by `system`), `plan` (only what reads goes on), `columns` (what
//! PostgreSQL would call and type the result) and `execute` (memory share, deadline, cancel, on the threads of `cpu`).
//! Statements that change something have a file each: `define` (CREATE, ALTER, DROP, COMMENT, GRANT), `insert`,
//! `copy_in`, `change` (UPDATE, DELETE, TRUNCATE), `merge` and `compact`; they meet in `write`, and `returning` watches there.

mod alter;
mod array_of_query;
mod asking;
mod assigned;
mod beside;
mod bits;
mod block;
mod cancel;
mod change;
mod coerce;
mod collation;
mod columns;
mod commit;
mod compact;
mod compared_rows;
mod computed_first;
mod computed_once;
mod copies;
mod copy_in;
mod copy_options;
mod correlated;
mod cpu;
mod define;
mod dialect;
mod domain;
mod error;
mod execute;
mod explain;
mod expressions;
mod functions;
mod hidden_columns;
mod hypothetical;
mod inner_values;
mod insert;
mod interrupt;
mod limits;
mod literals;
mod memory;
mod merge;
mod mirror;
mod names;
mod nested_with;
mod numbers;
mod one_row;
mod operators;
mod ordered_input;
mod ordered_texts;
mod origin;
mod outer_references;
mod parse;
mod parts_of_aggregates;
mod pg_type;
mod pins;
mod plan;
mod privilege;
mod quantified;
mod rephrase;
mod returning;
mod reword;
mod row_values;
mod rows_of_functions;
mod same;
mod series;
mod session;
mod set_returning;
mod shown;
mod spelled_times;
mod stores;
mod styles;
mod syntax;
mod system;
mod table_functions;
mod target;
mod temporary;
mod times;
mod tokens;
mod tree;
mod typed;
mod types;
mod types_of_values;
mod unions;
mod using;
mod view;
mod warehouse;
mod whole_rows;
mod widen;
mod write;
mod yielding;

pub use cancel::Cancel;
pub use columns::{Column, oid};
pub use compact::{CompactProgress, Compacted};
pub use copy_in::CopyIn;
pub use copy_options::{Columns as CopyColumns, CopyFormat, CopyKind, Header, copy_format};
pub use domain::{ManualPage, manual};
pub use error::{Error, Result};
pub use limits::Limits;
pub use parse::Statement;
pub use session::{Notice, Outcome, Prepared, Session, TransactionStatus};
pub use table_functions::calls_table_function;
pub use warehouse::Warehouse;

#[cfg(test)]
mod tests;
