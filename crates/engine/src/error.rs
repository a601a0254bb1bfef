//! What can go wrong with a statement. Each variant is one SQLSTATE to a client; the codes are given in `pgwire`.

use arrow::error::ArrowError;
use datafusion::{
    common::SchemaError, error::DataFusionError, sql::sqlparser::parser::ParserError,
};

use rapport_udf_postgres::refusal::Refusal;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Messages are PostgreSQL's own wording where it has one, and carry no value from a row.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 42601. `position` counts characters from 1, as PostgreSQL's error field does.
    #[error("{message}")]
    Syntax {
        message: String,
        position: Option<usize>,
    },
    /// 54001
    #[error("statement is too complex: {what}")]
    TooComplex { what: String },
    /// 42P01
    #[error("relation \"{name}\" does not exist")]
    UndefinedTable { name: String },
    /// 42703
    #[error("{message}")]
    UndefinedColumn {
        message: String,
        hint: Option<String>,
    },
    /// 42702
    #[error("{message}")]
    AmbiguousColumn { message: String },
    /// 42883
    #[error("{message}")]
    UndefinedFunction {
        message: String,
        hint: Option<String>,
    },
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
    /// 42712
    #[error("table name \"{name}\" specified more than once")]
    DuplicateAlias { name: String },
    /// 42803
    #[error("{message}")]
    Grouping { message: String },
    /// 42804
    #[error("{message}")]
    DatatypeMismatch {
        message: String,
        hint: Option<String>,
    },
    /// 42809
    #[error("{message}")]
    WrongObjectType {
        message: String,
        hint: Option<String>,
    },
    /// 42846
    #[error("{message}")]
    CannotCoerce { message: String },
    /// 42P20
    #[error("window functions are not allowed in {place}")]
    Windowing { place: &'static str },
    /// 2201B
    #[error("invalid regular expression: {message}")]
    InvalidRegularExpression { message: String },
    /// 2201W
    #[error("LIMIT must not be negative")]
    InvalidLimit,
    /// 2201X
    #[error("OFFSET must not be negative")]
    InvalidOffset,
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
    /// 22008
    #[error("date/time field value out of range: \"{text}\"")]
    DatetimeOverflow { text: String },
    /// 22001
    #[error("value too long for type {pg_type}")]
    TooLong { pg_type: String },
    /// 22023
    #[error("{message}")]
    InvalidParameter {
        message: String,
        hint: Option<String>,
    },
    /// 22P04
    #[error("{message}")]
    BadCopy { message: String },
    /// 23502
    #[error(
        "null value in column \"{column}\" of relation \"{table}\" violates not-null constraint"
    )]
    NotNull {
        table: String,
        column: String,
        /// As the detail shows it.
        row: String,
    },

    #[error("column \"{column}\" of relation \"{table}\" contains null values")]
    HasNulls { table: String, column: String },
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
    /// As a function says: its own code, message and hint.
    #[error("{0}")]
    Refused(Refusal),
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

impl Error {
    pub(crate) fn not_supported(what: impl Into<String>, hint: &str) -> Self {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Self::NotSupported {
            what: what.into(),
            hint,
        }
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

/// What DataFusion says, as PostgreSQL would say it. Its variants are coarse, so its wording decides at times; a
/// wording that changes turns a precise code into a general one, never into a wrong one.
impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(source) => from_box(source),
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                (*inner).into()
            }
            DataFusionError::Collection(mut errors) if !errors.is_empty() => {
                errors.swap_remove(0).into()
            }
            DataFusionError::Shared(inner) => match std::sync::Arc::try_unwrap(inner) {
                Ok(inner) => inner.into(),
                Err(shared) => from_shared(&shared),
            },
            DataFusionError::ArrowError(arrow, _) => (*arrow).into(),
            DataFusionError::SchemaError(schema, _) => from_schema(*schema),
            DataFusionError::Plan(message) => from_plan(message),
            DataFusionError::NotImplemented(message) if message.contains("WindowFunction(") => {
                Self::Windowing { place: "WHERE" }
            }
            DataFusionError::NotImplemented(message)
                if message.contains("OuterReferenceColumn")
                    || message.contains("logical expression ScalarSubquery")
                    || message.contains("logical expression InSubquery")
                    || message.contains("logical expression Exists") =>
            {
                Self::not_supported(
                    "this sub-query, which looks at columns of the query around it, is not supported",
                    "Write it as a join: FROM a LEFT JOIN (SELECT … GROUP BY key) AS b ON b.key = a.key.",
                )
            }
            DataFusionError::NotImplemented(message) => not_implemented(&message),
            DataFusionError::SQL(parser, _) => match *parser {
                ParserError::RecursionLimitExceeded => Self::TooComplex {
                    what: "it is nested too deeply".to_owned(),
                },
                ParserError::ParserError(message) | ParserError::TokenizerError(message) => {
                    Self::Syntax {
                        message,
                        position: None,
                    }
                }
            },
            DataFusionError::ResourcesExhausted(message) if message.contains("disk") => {
                Self::DiskFull {
                    message: first_line(&message),
                }
            }
            DataFusionError::ResourcesExhausted(message) => Self::OutOfMemory {
                message: first_line(&message),
            },
            DataFusionError::Execution(message) => from_execution(message),
            DataFusionError::Configuration(message) => Self::not_supported(message, ""),
            DataFusionError::ExecutionJoin(join) if join.is_panic() => Self::Panic {
                message: "a part of the statement failed".to_owned(),
            },
            DataFusionError::ParquetError(parquet) => from_filter(&parquet.to_string())
                .unwrap_or_else(|| Self::Read(DataFusionError::ParquetError(parquet))),
            error @ (DataFusionError::ObjectStore(_) | DataFusionError::IoError(_)) => {
                Self::Read(error)
            }
            DataFusionError::Internal(message) if message.contains("Failed to coerce types") => {
                from_plan("Failed to coerce arguments of BETWEEN".to_owned())
            }
            DataFusionError::Internal(message) if message.contains("Cannot run range queries") => {
                let hint = "Write ROWS in place of RANGE, or order by something else.";
                Self::not_supported("a RANGE over values of this type is not supported", hint)
            }
            error => Self::Internal(error),
        }
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::DivideByZero => Self::DivisionByZero,
            ArrowError::ArithmeticOverflow(_) => out_of_range(),
            ArrowError::CastError(message) | ArrowError::ParseError(message) => from_cast(message),
            ArrowError::ExternalError(source) => from_box(source),
            ArrowError::InvalidArgumentError(message) if message.contains("too large to store") => {
                out_of_range()
            }
            ArrowError::InvalidArgumentError(message) | ArrowError::ComputeError(message) => {
                from_execution(message)
            }
            ArrowError::NotYetImplemented(message) => not_implemented(&message),
            error => Self::Internal(DataFusionError::ArrowError(Box::new(error), None)),
        }
    }
}

/// What DataFusion has no plan for, without what Rust shows of its insides.
fn not_implemented(message: &str) -> Error {
    if let Some((_, name)) = message.split_once("`retract_batch` is not implemented: ") {
        let name = name.split('(').next().unwrap_or_default();
        return Error::not_supported(
            format!(
                "{name} over a frame that does not begin at UNBOUNDED PRECEDING is not supported"
            ),
            "Join the table with itself on the rows of the frame, and GROUP BY the row.",
        );
    }
    let message = first_line(message);
    if message.starts_with("Unsupported ast node") {
        return Error::not_supported("this form of the statement is not supported", "");
    }
    let mut words = vec![];
    for word in message.split_whitespace() {
        // `Ident {`, `Identifier(…`
        let name = word.trim_start_matches(['\'', '"', '`']);
        let is_name = name.starts_with(|c: char| c.is_ascii_uppercase());
        let inner = name.find(['(', '{']).filter(|_| is_name);
        if word == "{" || inner.is_some_and(|at| name[..at].contains(char::is_lowercase)) {
            break;
        }
        words.push(word);
    }
    let is_cut = words.len() < message.split_whitespace().count();
    if is_cut {
        let is_end = |word: &&str| word.ends_with(':') || matches!(*word, "expression" | "expr");
        while words.pop_if(|word| is_end(&&**word)).is_some() {}
    }
    let what = match words.is_empty() {
        true => "this form of the statement is not supported".to_owned(),
        false => words.join(" "),
    };
    Error::not_supported(what, "")
}

fn from_box(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let source = match source.downcast::<Error>() {
        Ok(error) => return *error,
        Err(source) => source,
    };
    let source = match source.downcast::<DataFusionError>() {
        Ok(error) => return (*error).into(),
        Err(source) => source,
    };
    let source = match source.downcast::<ArrowError>() {
        Ok(error) => return (*error).into(),
        Err(source) => source,
    };
    let source = match source.downcast::<Refusal>() {
        Ok(refusal) => return Error::Refused(*refusal),
        Err(source) => source,
    };
    let told = source.to_string();
    if let Some((_, what)) = told.split_once("regex parse error:") {
        let message = what
            .lines()
            .last()
            .unwrap_or_default()
            .replace("error: ", "")
            .trim()
            .to_owned();
        return Error::InvalidRegularExpression { message };
    }
    if let Some(error) = source.downcast_ref() {
        return from_stats(error);
    }
    match source.downcast::<rapport_lake::Error>() {
        Ok(error) => (*error).into(),
        Err(source) => Error::Internal(DataFusionError::External(source)),
    }
}

/// Several streams may hold the same failure; it can only be looked at.
fn from_shared(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::ArrowError(arrow, _) => match arrow.as_ref() {
            ArrowError::DivideByZero => Error::DivisionByZero,
            ArrowError::ArithmeticOverflow(_) => out_of_range(),
            ArrowError::CastError(message) | ArrowError::ParseError(message) => {
                from_cast(message.clone())
            }
            other => Error::Internal(DataFusionError::Execution(other.to_string())),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            from_shared(inner)
        }
        DataFusionError::Shared(inner) => from_shared(inner),
        DataFusionError::External(source) => {
            match (source.downcast_ref::<Refusal>(), source.downcast_ref()) {
                (Some(refusal), _) => Error::Refused(refusal.clone()),
                (_, Some(Error::Catalogue(error))) => Error::Catalogue(error.retold()),
                _ if let Some(error) = source.downcast_ref() => from_stats(error),
                _ => Error::Internal(DataFusionError::Execution(source.to_string())),
            }
        }
        DataFusionError::Execution(message) => from_execution(message.clone()),
        DataFusionError::ResourcesExhausted(message) => Error::OutOfMemory {
            message: first_line(message),
        },
        DataFusionError::ParquetError(parquet) => from_filter(&parquet.to_string())
            .unwrap_or_else(|| Error::Internal(DataFusionError::Execution(parquet.to_string()))),
        other => Error::Internal(DataFusionError::Execution(other.strip_backtrace())),
    }
}

/// What a model refuses is an argument that cannot be, unless it is more than we compute.
fn from_stats(error: &rapport_stats::Error) -> Error {
    use rapport_stats::Error as Stats;
    let message = error.to_string();
    match error {
        Stats::Cancelled => Error::Cancelled,
        Stats::OutOfRange { .. } => Error::OutOfRange { message },
        Stats::TooHard { .. } | Stats::TooMany { .. } => Error::TooComplex { what: message },
        Stats::Trees(_) | Stats::Stored(_) => Error::Panic { message },
        Stats::Recency { .. }
        | Stats::Repeats { .. }
        | Stats::MoreThanOccasions { .. }
        | Stats::Range { .. }
        | Stats::Score { .. }
        | Stats::Leakage { .. }
        | Stats::TooLittle(_)
        | Stats::Name { .. }
        | Stats::Contradiction(_)
        | Stats::Pattern { .. } => Error::InvalidParameter {
            message,
            hint: None,
        },
    }
}

/// A filter that is computed while a file is read leaves nothing of its error but how Rust shows it.
fn from_filter(told: &str) -> Option<Error> {
    let (_, shown) = told.split_once("Error evaluating filter predicate: ")?;
    let between = |text: &str, from: &str, to: &str| -> Option<String> {
        let (_, rest) = text.split_once(from)?;
        Some(rest.split_once(to)?.0.replace("\\\"", "\""))
    };
    if let Some((_, refusal)) = shown.split_once("Refusal { code: \"")
        && let Some(code) = CODES.iter().find(|code| refusal.starts_with(**code))
        && let Some(message) = between(refusal, "message: \"", "\", hint: ")
    {
        return Some(Error::Refused(Refusal::new(code, message)));
    }
    if shown.contains("DivideByZero") || shown.contains("DivisionByZero") {
        return Some(Error::DivisionByZero);
    }
    if let Some(message) = between(shown, "ResourcesExhausted(\"", "\")") {
        return Some(Error::OutOfMemory { message });
    }
    if let Some(message) = between(shown, "CastError(\"", "\")") {
        return Some(from_cast(message));
    }
    if let Some(message) = between(shown, "OutOfRange { message: \"", "\"") {
        return Some(Error::OutOfRange { message });
    }
    if shown.contains("verflow") {
        return Some(out_of_range());
    }
    Some(Error::Read(DataFusionError::Execution(first_line(shown))))
}

/// What functions refuse rows with.
const CODES: [&str; 11] = [
    "0A000", "2201B", "22003", "22004", "22007", "22008", "22011", "22012", "22023", "22025",
    "22P02",
];

/// What PostgreSQL keeps with each row.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

fn from_schema(error: SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, .. }
            if SYSTEM_COLUMNS.contains(&field.name.as_str()) =>
        {
            Error::not_supported(
                format!("the system column {} is not supported", field.name),
                "Rows of the lake have no place of their own. Use a key of the table, or row_number().",
            )
        }
        SchemaError::FieldNotFound { field, .. } => Error::UndefinedColumn {
            message: match &field.relation {
                Some(relation) => {
                    format!("column {}.{} does not exist", relation.table(), field.name)
                }
                None => format!("column \"{}\" does not exist", field.name),
            },
            hint: None,
        },
        SchemaError::AmbiguousReference { field } => Error::AmbiguousColumn {
            message: format!("column reference \"{}\" is ambiguous", field.name),
        },
        SchemaError::DuplicateQualifiedField { qualifier, .. } => Error::DuplicateAlias {
            name: qualifier.table().to_owned(),
        },
        SchemaError::DuplicateUnqualifiedField { name } => Error::DuplicateColumn { name },
    }
}

fn from_plan(message: String) -> Error {
    let message = first_line(&message);
    // What a function of ours says of its arguments.
    if let Some((_, said)) =
        message.split_once("user-defined coercion failed with: External error: ")
    {
        let said = said.split(". No function matches").next().unwrap_or(said);
        return Error::Refused(Refusal::no_such_function(said));
    }
    if let Some(name) = quoted_after(&message, "Invalid function ") {
        let message = format!("function {name} does not exist");
        return Error::UndefinedFunction {
            message,
            hint: None,
        };
    }
    if let Some(name) = quoted_after(&message, "table function ") {
        return Error::UndefinedFunction {
            message: format!("function {name} does not exist"),
            hint: None,
        };
    }
    if let Some(name) = message.strip_prefix("Unsupported SQL type ") {
        return Error::UndefinedObject {
            what: format!("type \"{}\"", name.to_lowercase()),
        };
    }
    if message.starts_with("Unsupported CAST from ") || message.contains("Cannot cast from ") {
        return Error::CannotCoerce { message };
    }
    if message.starts_with("Incompatible inputs for Union") {
        return Error::DatatypeMismatch {
            message: "UNION types of one column cannot be matched".to_owned(),
            hint: None,
        };
    }
    if let Some((_, frame)) = message.split_once("Invalid window frame: ") {
        let code = if frame.contains("non negative") {
            "22013"
        } else {
            "42P20"
        };
        return Error::Refused(Refusal::new(code, frame));
    }
    if message.contains("LIMIT must be >= 0") {
        return Error::InvalidLimit;
    }
    if message.contains("OFFSET must be >=") {
        return Error::InvalidOffset;
    }
    if message.contains("Unexpected window function")
        || message.contains("Window function") && message.contains("WHERE")
    {
        return Error::Windowing { place: "WHERE" };
    }
    let says = |what: &[&str]| what.iter().any(|what| message.contains(what));
    if says(&[
        "for logical boolean operation",
        "Join condition must be boolean",
    ]) {
        Error::DatatypeMismatch {
            message,
            hint: None,
        }
    } else if says(&[
        "GROUP BY",
        "could not be resolved from available columns",
        "aggregate function",
        "is not in grouping columns",
    ]) {
        Error::Grouping { message }
    } else if says(&[
        "No function matches",
        "Cannot infer common",
        "Cannot coerce",
        "cannot be coerced",
        "failed to match any signature",
        "Failed to coerce arguments",
        "Can not find compatible types to compare",
        "There isn't a common type to coerce",
        "Cannot get result type",
    ]) {
        let hint = "You might need to add explicit type casts.".to_owned();
        Error::UndefinedFunction {
            message,
            hint: Some(hint),
        }
    } else if says(&["Column count doesn't match"]) {
        Error::Syntax {
            message: "INSERT has another number of expressions than of target columns".to_owned(),
            position: None,
        }
    } else if says(&["Cannot automatically convert", "Failed to coerce then"]) {
        Error::DatatypeMismatch {
            message,
            hint: None,
        }
    } else {
        Error::Syntax {
            message,
            position: None,
        }
    }
}

fn from_execution(message: String) -> Error {
    let message = first_line(&message);
    if message.starts_with("Cannot access field at argument") {
        Error::WrongObjectType {
            message: "column notation applied to a type that is not a composite type".to_owned(),
            hint: None,
        }
    } else if message.contains("ivide by zero") || message.contains("ivision by zero") {
        Error::DivisionByZero
    } else if message.contains("verflow") || message.contains("out of range") {
        out_of_range()
    } else if message.contains("aggregate with DISTINCT, ORDER BY") {
        Error::InvalidColumnReference { message }
    } else if message.contains("more than one row") {
        let message = "more than one row returned by a subquery used as an expression".to_owned();
        Error::Cardinality { message }
    } else {
        Error::InvalidParameter {
            message,
            hint: None,
        }
    }
}

fn from_cast(message: String) -> Error {
    let message = first_line(&message);
    if message.contains("too large")
        || message.contains("out of range")
        || message.contains("verflow")
    {
        return out_of_range();
    }
    let number = message
        .strip_prefix("Can't cast value ")
        .and_then(|rest| rest.split_once(" to type "));
    if let Some((value, arrow_type)) = number
        && value.parse::<f64>().is_ok()
    {
        return Error::OutOfRange {
            message: format!("{} out of range", type_word(arrow_type)),
        };
    }
    let parts = message
        .strip_prefix("Cannot cast string '")
        .and_then(|rest| rest.split_once("' to value of "))
        .map(|(value, rest)| (value, rest.trim_end_matches(" type")));
    match parts {
        Some((value, arrow_type))
            if arrow_type.starts_with("Int") && value.trim().parse::<i128>().is_ok() =>
        {
            let name = type_word(arrow_type);
            Error::OutOfRange {
                message: format!("value \"{value}\" is out of range for type {name}"),
            }
        }
        Some((value, arrow_type)) => Error::InvalidText {
            message: format!(
                "invalid input syntax for type {}: \"{value}\"",
                type_word(arrow_type)
            ),
        },
        None if message.contains("timestamp") || message.contains("date") => {
            Error::InvalidDatetime { message }
        }
        None => Error::InvalidText { message },
    }
}

fn type_word(arrow_type: &str) -> &str {
    match arrow_type {
        "Int16" => "smallint",
        "Int32" => "integer",
        "Int64" => "bigint",
        "Float32" => "real",
        "Float64" => "double precision",
        "Boolean" => "boolean",
        "Date32" => "date",
        other if other.starts_with("Decimal") => "numeric",
        other if other.starts_with("Timestamp") => "timestamp",
        other => other,
    }
}

fn out_of_range() -> Error {
    Error::OutOfRange {
        message: "value out of range".to_owned(),
    }
}

fn quoted_after<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(before)?;
    rest.strip_prefix('\'')?.split('\'').next()
}

/// Without DataFusion's backtrace and its lists of candidates.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}
