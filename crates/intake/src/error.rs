//! What can go wrong with a load as a whole. A row that can't be understood is not an error but a refusal.

use std::path::PathBuf;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no source `{name}`{}; there are: {}", meant(.nearest), .known.join(", "))]
    UnknownSource {
        name: String,
        nearest: Option<String>,
        known: Vec<String>,
    },

    /// The TOML file does not say what a source must say.
    #[error("source {origin}: {what}")]
    BadSource { origin: String, what: String },

    #[error("source {origin} can't be read")]
    SourceFile {
        origin: PathBuf,
        #[source]
        source: std::io::Error,
    },

    /// The SELECT does not fit the file's columns, or gives columns that the table lacks.
    #[error("source {source_name}: {what}")]
    Select { source_name: String, what: String },

    #[error("{path}: {what}")]
    Path { path: String, what: String },

    #[error("{file} can't be read")]
    Read {
        file: String,
        #[source]
        source: std::io::Error,
    },

    #[error("{path} can't be read from its store")]
    Store {
        path: String,
        #[source]
        source: object_store::Error,
    },

    /// The bytes are not what the source says they are.
    #[error("{file}: {what}")]
    Format { file: String, what: String },

    #[error("{file} has no column `{column}`, which source {source_name} needs; it has: {}", .has.join(", "))]
    MissingColumn {
        file: String,
        column: String,
        source_name: String,
        has: Vec<String>,
    },

    #[error(
        "{file} changed while it was being loaded; nothing was loaded, try again when it is complete"
    )]
    Changed { file: String },

    #[error("{}", too_many(.refused, .read, .max_share, .reasons))]
    TooManyRefused {
        refused: u64,
        read: u64,
        max_share: f64,
        /// Column and reason with the number of rows, most frequent first.
        reasons: Vec<(String, u64)>,
        /// The first of them, as quarantine would have shown them.
        first: Vec<crate::Refusal>,
    },

    #[error(
        "table {table} does not exist; `rapport init` creates the built-in ones, CREATE TABLE your own"
    )]
    NoTable { table: String },

    #[error("interrupted; nothing was loaded")]
    Cancelled,

    /// Other loads kept committing in between.
    #[error(
        "table {table} kept changing while this load tried to commit; nothing was loaded, try again"
    )]
    Contention { table: String },

    #[error(
        "rows could not be kept aside on disk while loading (in {folder}); free some space there"
    )]
    Spill {
        folder: String,
        #[source]
        source: std::io::Error,
    },

    #[error("rows that were kept aside on disk could not be read back")]
    SpillRead {
        #[source]
        source: std::io::Error,
    },

    #[error("the rows could not be sorted")]
    Sort(#[source] datafusion::error::DataFusionError),

    #[error("a file of the lake could not be read back: {path}")]
    ReadBack {
        path: String,
        #[source]
        source: parquet::errors::ParquetError,
    },

    #[error("the lake could not take the rows")]
    Lake(#[from] rapport_lake::Error),

    /// Our bug.
    #[error("internal error while loading: {what}")]
    Internal { what: String },
}

fn meant(name: &Option<String>) -> String {
    name.as_ref()
        .map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

fn too_many(refused: &u64, read: &u64, max_share: &f64, reasons: &[(String, u64)]) -> String {
    let mut text = format!(
        "{refused} of {read} rows can't be understood, more than the {}% that are allowed; nothing was loaded.",
        max_share * 100.0
    );
    for (reason, rows) in reasons.iter().take(5) {
        text.push_str(&format!("\n  {rows} × {reason}"));
    }
    if reasons.len() > 5 {
        text.push_str(&format!("\n  and {} other reasons", reasons.len() - 5));
    }
    text
}
