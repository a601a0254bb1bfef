//! What can go wrong in the lake, as the caller can act on it.

/// The error of whoever feeds or reads a stream of rows.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no table {0} in the lake")]
    NoSuchTable(crate::TableName),

    #[error("table {0} already exists in the lake")]
    TableExists(crate::TableName),

    #[error(
        "table {table} has no version {version}; the oldest that can be read is {oldest}, the newest {newest}"
    )]
    NoSuchVersion {
        table: crate::TableName,
        version: u64,
        oldest: u64,
        newest: u64,
    },

    #[error(
        "table {table} had no version yet at {at}; its oldest readable version is from {oldest}"
    )]
    NoSuchTime {
        table: crate::TableName,
        at: chrono::DateTime<chrono::Utc>,
        oldest: chrono::DateTime<chrono::Utc>,
    },

    /// Somebody else's commit came first. Nothing of ours is visible; read the table anew and try again.
    #[error(
        "table {table} was changed by somebody else meanwhile ({what}); nothing was written, try again"
    )]
    Conflict {
        table: crate::TableName,
        what: String,
    },

    #[error("rows for table {table} must arrive sorted by {by}; row {row} does not")]
    NotSorted {
        table: crate::TableName,
        by: String,
        row: u64,
    },

    /// A batch does not fit the table's columns.
    #[error("rows do not fit table {table}: {what}")]
    WrongSchema {
        table: crate::TableName,
        what: String,
    },

    /// The rewrite would have lost or invented rows; nothing was committed.
    #[error("rewriting table {table} would not keep its rows: {what}; nothing was changed")]
    RowsChanged {
        table: crate::TableName,
        what: String,
    },

    #[error(
        "{location} can't hold a lake: {what}. Use a store that honours conditional create (If-None-Match: *)"
    )]
    NoConditionalCreate { location: String, what: String },

    #[error(
        "no space left while writing {path}; free some space and run it again, nothing of it is visible"
    )]
    StorageFull {
        path: String,
        #[source]
        source: BoxError,
    },

    #[error("{what}")]
    Storage {
        what: String,
        #[source]
        source: BoxError,
    },

    #[error("{path} is damaged: {what}. {remedy}")]
    Corrupt {
        path: String,
        what: String,
        remedy: String,
    },

    #[error("{0} is not a lake yet; `rapport init` makes one")]
    NotALake(String),

    #[error(
        "the lake at {location} has format {found}, this program reads {known}; use a newer rapport"
    )]
    NewerFormat {
        location: String,
        found: u64,
        known: u64,
    },

    #[error("{url} is not a place for a lake: {what}")]
    BadLocation { url: String, what: String },

    #[error("{0} is not a usable table name: {1}")]
    BadTableName(String, &'static str),

    #[error(
        "a {asked_days}-day vacuum would remove what running readers may need; keep at least {floor_days} days"
    )]
    VacuumFloor { asked_days: i64, floor_days: i64 },

    /// A type the lake can't store.
    #[error("column {column} has type {data_type}, which the lake can't store")]
    UnsupportedType { column: String, data_type: String },

    /// Whoever produces the rows failed; its error is the source.
    #[error("the rows could not be produced")]
    Rows(#[source] BoxError),
}
