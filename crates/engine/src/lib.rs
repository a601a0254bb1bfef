//! SQL in, a stream of batches out: sessions over one lake, their limits, snapshots and transactions.
//!
//! A statement goes through the files in this order: `parse` (text to a syntax tree, bounded), `names` (a table
//! name becomes one version of a lake table), `plan` (only allow-listed plans go on), `columns` (what PostgreSQL
//! would call and type the result) and `execute` (memory share, deadline, cancel). Statements that change
//! something have a file each: `create`, `alter`, `view`, `insert`, `copy_in`, `change`, `compact`.

mod cancel;
mod columns;
mod error;
mod limits;
mod parse;
mod session;
mod warehouse;

pub use cancel::Cancel;
pub use columns::{Column, oid};
pub use compact::{CompactProgress, Compacted};
pub use copy_in::{CopyFormat, CopyIn};
pub use error::{Error, Result};
pub use limits::Limits;
pub use parse::Statement;
pub use session::{Notice, Outcome, Prepared, Session, TransactionStatus};
pub use warehouse::Warehouse;

mod compact;
mod copy_in;
