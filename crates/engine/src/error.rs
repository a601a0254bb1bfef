//! What can go wrong with a statement. Each variant is one SQLSTATE to a client; the codes are given in `pgwire`.

use datafusion::error::DataFusionError;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Messages are PostgreSQL's own wording where it has one, and carry no value from a row.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 42601. `position` counts characters from 1, as PostgreSQL's error field does.
    #[error("{message}")]
    Syntax { message: String, position: Option<usize> },
    /// 54001
    #[error("statement is too complex: {what}")]
    TooComplex { what: String },
    /// 42P01
    #[error("relation \"{name}\" does not exist")]
    UndefinedTable { name: String },
    /// 42703
    #[error("{message}")]
    UndefinedColumn { message: String, hint: Option<String> },
    /// 42702
    #[error("{message}")]
    AmbiguousColumn { message: String },
    /// 42883
    #[error("{message}")]
    UndefinedFunction { message: String, hint: Option<String> },
    /// 3F000
    #[error("schema \"{name}\" does not exist")]
    UndefinedSchema { name: String },
    /// 42704
    #[error("{what} does not exist")]
    UndefinedObject { what: String },
    /// 42P07
    #[error("relation \"{name}\" already exists")]
    DuplicateTable { name: String },
    /// 42701
    #[error("column \"{name}\" specified more than once")]
    DuplicateColumn { name: String },
    /// 42803
    #[error("{message}")]
    Grouping { message: String },
    /// 42804
    #[error("{message}")]
    DatatypeMismatch { message: String, hint: Option<String> },
    /// 42809
    #[error("{message}")]
    WrongObjectType { message: String, hint: Option<String> },
    /// 42P10
    #[error("{message}")]
    InvalidColumnReference { message: String },
    /// 42P18
    #[error("could not determine data type of parameter ${index}")]
    IndeterminateParameter { index: usize },
    /// 08P01
    #[error("bind message supplies {given} parameters, but the statement requires {wanted}")]
    ParameterCount { given: usize, wanted: usize },
    /// 0A000
    #[error("{what}")]
    NotSupported { what: String, hint: Option<String> },
    /// 42501
    #[error("permission denied for {what}")]
    Denied { what: String },
    /// 22012
    #[error("division by zero")]
    DivisionByZero,
    /// 22003
    #[error("{message}")]
    OutOfRange { message: String },
    /// 22P02
    #[error("{message}")]
    InvalidText { message: String },
    /// 22007
    #[error("{message}")]
    InvalidDatetime { message: String },
    /// 22001
    #[error("value too long for type {pg_type}")]
    TooLong { pg_type: String },
    /// 22023
    #[error("{message}")]
    InvalidParameter { message: String, hint: Option<String> },
    /// 22P04
    #[error("{message}")]
    BadCopy { message: String },
    /// 23502
    #[error("null value in column \"{column}\" of relation \"{table}\" violates not-null constraint")]
    NotNull { table: String, column: String },
    /// 21000
    #[error("{message}")]
    Cardinality { message: String },
    /// 40001
    #[error("could not serialize access to \"{table}\" due to concurrent update")]
    Conflict { table: String },
    /// 25001
    #[error("{message}")]
    ActiveTransaction { message: String },
    /// 57014
    #[error("canceling statement due to user request")]
    Cancelled,
    /// 57014
    #[error("canceling statement due to statement timeout")]
    TimedOut,
    /// 53200
    #[error("out of memory: {message}")]
    OutOfMemory { message: String },
    /// 53100
    #[error("the disk is full: {message}")]
    DiskFull { message: String },
    /// As the catalogue says: PostgreSQL's own code and message.
    #[error("the catalogue refused the statement")]
    Catalogue(#[from] rapport_catalog_postgres::Error),
    /// As the lake says.
    #[error("the lake could not do that")]
    Lake(#[from] rapport_lake::Error),
    /// 58030: a file of the lake could not be read.
    #[error("could not read the lake")]
    Read(#[source] DataFusionError),
    /// XX000: our bug.
    #[error("internal error")]
    Internal(#[source] DataFusionError),
    /// XX000: a panic inside the statement; the session lives on.
    #[error("internal error: {message}")]
    Panic { message: String },
}
