//! What can go wrong in the lake, as the caller can act on it.

use chrono::{DateTime, Utc};

use crate::TableName;

/// The error of whoever feeds or reads a stream of rows.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no table {0} in the lake")]
    NoSuchTable(TableName),

    #[error("table {0} already exists in the lake")]
    TableExists(TableName),

    #[error(
        "table {table} has no version {version} to read; the oldest is {oldest}, the newest {newest}"
    )]
    NoSuchVersion {
        table: TableName,
        version: u64,
        oldest: u64,
        newest: u64,
    },

    #[error("table {table} can't be read as of {at}; its oldest readable version is from {oldest}")]
    NoSuchTime {
        table: TableName,
        at: DateTime<Utc>,
        oldest: DateTime<Utc>,
    },

    #[error("{0:?} can't be the name of a table in the lake: {1}")]
    BadTableName(String, &'static str),

    /// Somebody else's commit came first. Nothing of ours is visible.
    #[error("table {table} was changed meanwhile: {what}; nothing was written, try again")]
    Conflict { table: TableName, what: String },

    /// Whoever holds the lease now has fenced the table off. Nothing of ours is visible.
    #[error(
        "a later run has taken table {table} over from the one with token {token}; nothing was written"
    )]
    Fenced { table: TableName, token: i64 },

    #[error("somebody else has taken over the lease {name:?}")]
    LeaseLost { name: String },

    #[error("rows for table {table} must arrive sorted by {by}, row {row} does not")]
    NotSorted {
        table: TableName,
        by: String,
        row: u64,
    },

    /// A batch does not fit the table's columns.
    #[error("rows do not fit table {table}: {what}")]
    WrongSchema { table: TableName, what: String },

    /// The rewrite would have lost or invented rows; nothing was committed.
    #[error("rewriting table {table} would not keep its rows: {what}; nothing was changed")]
    RowsChanged { table: TableName, what: String },

    /// Another program has upgraded the table beyond what we read and write.
    #[error("table {table} uses {what}, which rapport does not read")]
    Unsupported { table: TableName, what: String },

    #[error("column {column} has type {data_type}, which the lake can't store")]
    UnsupportedType { column: String, data_type: String },

    #[error(
        "{location} can't hold a lake: {what}; use a store that honours conditional create (If-None-Match: *)"
    )]
    NoConditionalCreate { location: String, what: String },

    #[error("no space left while {doing}; free some and run it again, nothing of it is visible")]
    StorageFull {
        doing: String,
        #[source]
        source: BoxError,
    },

    #[error("{doing} failed")]
    Storage {
        doing: String,
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
        "the lake at {location} has format {found}, this program knows {known}; use a newer rapport"
    )]
    NewerFormat {
        location: String,
        found: u64,
        known: u64,
    },

    #[error("{url} is not a place for a lake: {what}")]
    BadLocation { url: String, what: String },

    #[error(
        "keeping only {asked_days} days would remove files that readers may still need; keep at least {floor_days}"
    )]
    VacuumFloor { asked_days: u64, floor_days: u64 },

    /// Whoever produces the rows failed; its error is the source.
    #[error("the rows could not be produced")]
    Rows(#[source] BoxError),

    /// Writing Parquet failed for a reason other than storage.
    #[error("could not encode rows as Parquet")]
    Encode(#[source] parquet::errors::ParquetError),
}

impl Error {
    /// An error of the store, while `doing` something (a phrase like "reading public/t/data/x.parquet").
    pub(crate) fn storage(doing: impl Into<String>, source: impl Into<BoxError>) -> Self {
        let (doing, source) = (doing.into(), source.into());
        if is_full(source.as_ref()) {
            Self::StorageFull { doing, source }
        } else {
            Self::Storage { doing, source }
        }
    }

    /// The same for another who waited for the same thing; its sources become text.
    pub(crate) fn shared(&self) -> Self {
        match self {
            Self::Corrupt { path, what, remedy } => Self::Corrupt {
                path: path.clone(),
                what: what.clone(),
                remedy: remedy.clone(),
            },
            Self::Conflict { table, what } => Self::Conflict {
                table: table.clone(),
                what: what.clone(),
            },
            Self::Unsupported { table, what } => Self::Unsupported {
                table: table.clone(),
                what: what.clone(),
            },
            Self::NoSuchTable(table) => Self::NoSuchTable(table.clone()),
            Self::StorageFull { doing, source } => Self::StorageFull {
                doing: doing.clone(),
                source: chain(source.as_ref()).into(),
            },
            Self::Storage { doing, source } => Self::Storage {
                doing: doing.clone(),
                source: chain(source.as_ref()).into(),
            },
            other => Self::Rows(chain(other).into()),
        }
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Whether a full disk or quota is at the bottom of `error`.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            if matches!(
                io.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
            ) {
                return true;
            }
            // An io::Error's source() skips the error it wraps.
            if let Some(inner) = io.get_ref()
                && is_full(inner)
            {
                return true;
            }
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_recognised_through_wrappers() {
        let io = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let store = object_store::Error::Generic {
            store: "test",
            source: Box::new(io),
        };
        let error = Error::storage("writing a file", store);
        assert!(matches!(error, Error::StorageFull { .. }), "{error:?}");
    }

    #[test]
    fn another_failure_is_not_a_full_disk() {
        let io = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert!(matches!(
            Error::storage("writing", io),
            Error::Storage { .. }
        ));
    }
}
