//! Any failure to an SQLSTATE, a message and a hint: the one place where codes are given.
//!
//! No match in here has a wildcard over our own errors, so that a new variant has to be given its code. XX000 means
//! our bug.

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};
use rapport_catalog_postgres::ErrorFields;
use rapport_engine::Notice;
use rapport_udf_postgres::refusal::Refusal;

use crate::wire::Broken;

/// Where there is nothing better to say.
const OTHERWISE: &str = "Rapport does not have all of PostgreSQL; say it in other words.";

/// What a client is told when its statement, or its connection, fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure(Box<ErrorFields>);

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorFields {
            severity: "ERROR".into(),
            code: code.into(),
            message: message.into(),
            ..ErrorFields::default()
        }))
    }

    /// The connection ends with it.
    pub fn fatal(code: &str, message: impl Into<String>) -> Self {
        let mut failure = Self::new(code, message);
        failure.0.severity = "FATAL".into();
        failure
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Where in the client's data it happened.
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.0.where_ = Some(context.into());
        self
    }

    /// The table and its column that it is about.
    pub fn about(mut self, table: String, column: String) -> Self {
        self.0.table = Some(table);
        self.0.column = Some(column);
        self
    }

    /// Counted in characters of the statement, from 1.
    pub fn at(mut self, position: usize) -> Self {
        self.0.position = u32::try_from(position).ok();
        self
    }

    /// The statement stood so many characters into the client's message.
    pub fn moved_by(mut self, characters: usize) -> Self {
        self.0.position = self.0.position.map(|position| position + characters as u32);
        self
    }

    /// The same, as the last word of the connection.
    pub fn into_fatal(mut self) -> Self {
        self.0.severity = "FATAL".into();
        self
    }

    /// The same place, with another code and other words.
    pub fn told_as(mut self, code: &str, message: impl Into<String>) -> Self {
        code.clone_into(&mut self.0.code);
        self.0.message = message.into();
        self
    }

    pub fn is_fatal(&self) -> bool {
        self.0.severity == "FATAL"
    }

    pub fn code(&self) -> &str {
        &self.0.code
    }

    #[cfg(test)]
    pub fn context(&self) -> Option<&str> {
        self.0.where_.as_deref()
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn into_message(self) -> PgWireBackendMessage {
        PgWireBackendMessage::ErrorResponse(ErrorResponse::new(fields(&self.0)))
    }

    // What several places have to say.

    pub fn cancelled() -> Self {
        Self::new("57014", "canceling statement due to user request")
    }

    /// Drivers know by the routine's name that they may parse their statement again and go on.
    pub fn stale_plan() -> Self {
        let mut failure = Self::not_supported("cached plan must not change result type");
        failure.0.routine = Some("RevalidateCachedQuery".into());
        failure
    }

    pub fn timed_out() -> Self {
        Self::new("57014", "canceling statement due to statement timeout")
    }

    pub fn too_many() -> Self {
        Self::fatal("53300", "sorry, too many clients already")
    }

    pub fn shutting_down() -> Self {
        Self::fatal(
            "57P01",
            "terminating connection due to administrator command",
        )
    }

    pub fn not_supported(what: impl Into<String>) -> Self {
        Self::new("0A000", what)
    }

    pub fn protocol(what: impl Into<String>) -> Self {
        Self::new("08P01", what)
    }

    pub fn internal(what: impl Into<String>) -> Self {
        Self::new("XX000", what)
    }
}

/// A notice of the catalogue, as it came.
pub fn notice(notice: &ErrorFields) -> PgWireBackendMessage {
    PgWireBackendMessage::NoticeResponse(NoticeResponse::new(fields(notice)))
}

/// A notice of the engine.
pub fn engine_notice(given: &Notice) -> PgWireBackendMessage {
    notice(&ErrorFields {
        severity: given.severity.into(),
        code: given.code.clone(),
        message: given.message.clone(),
        detail: given.detail.clone(),
        hint: given.hint.clone(),
        ..ErrorFields::default()
    })
}

/// A warning of our own.
pub fn warning(code: &str, message: &str) -> PgWireBackendMessage {
    said("WARNING", code, message)
}

pub fn said(severity: &str, code: &str, message: &str) -> PgWireBackendMessage {
    notice(&ErrorFields {
        severity: severity.into(),
        code: code.into(),
        message: message.into(),
        ..ErrorFields::default()
    })
}

/// In the order in which PostgreSQL sends them.
fn fields(given: &ErrorFields) -> Vec<(u8, String)> {
    let mut fields = vec![
        (b'S', given.severity.clone()),
        (b'V', given.severity.clone()),
        (b'C', given.code.clone()),
        (b'M', given.message.clone()),
    ];
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    let optional = [
        (b'D', given.detail.clone()),
        (b'H', given.hint.clone()),
        (b'P', number(given.position)),
        (b'p', number(given.internal_position)),
        (b'q', given.internal_query.clone()),
        (b'W', given.where_.clone()),
        (b's', given.schema.clone()),
        (b't', given.table.clone()),
        (b'c', given.column.clone()),
        (b'd', given.data_type.clone()),
        (b'n', given.constraint.clone()),
        (b'F', given.file.clone()),
        (b'L', number(given.line)),
        (b'R', given.routine.clone()),
    ];
    fields.extend(
        optional
            .into_iter()
            .filter_map(|(code, value)| Some((code, value?))),
    );
    for (_, value) in &mut fields {
        // A zero byte would end the field early.
        value.retain(|c| c != '\0');
    }
    fields
}

impl From<Broken> for Failure {
    fn from(error: Broken) -> Self {
        match error {
            Broken::Io(_) | Broken::Closed | Broken::Slow => {
                Failure::fatal("08006", error.to_string())
            }
            Broken::Protocol(_) => Failure::fatal("08P01", error.to_string()),
            Broken::Encoding { failure, .. } => *failure,
        }
    }
}

impl From<rapport_catalog_postgres::Error> for Failure {
    fn from(error: rapport_catalog_postgres::Error) -> Self {
        use rapport_catalog_postgres::Error as E;
        match error {
            E::Postgres(fields) if is_for_session(&fields) => {
                Failure::not_supported("set_config, pg_sleep, pg_cancel_backend and pg_terminate_backend of this form are not supported")
                    .with_hint(
                        "Call them in the select list; set_config and pg_sleep with literals or parameters, without a table.",
                    )
            }
            E::Postgres(fields) => Failure(fields),
            E::TimedOut => Failure::timed_out(),
            E::NotSupported(what) => Failure::new("0A000", what).with_hint(OTHERWISE),
            E::TooLarge { .. } => Failure::new("54000", error.to_string()),
            E::Lost(_) => Failure::new("08006", error.to_string()),
            E::NotStarted { .. } => Failure::new("58000", error.to_string()),
            E::BadServer { .. } => Failure::new("08001", error.to_string()),
        }
    }
}

/// Whether it is denied because it is the session's to do, see [`crate::calls`].
fn is_for_session(fields: &ErrorFields) -> bool {
    let denied = fields
        .message
        .strip_prefix("permission denied for function ");
    fields.code == "42501"
        && matches!(
            denied,
            Some("set_config" | "pg_sleep" | "pg_cancel_backend" | "pg_terminate_backend")
        )
}

impl From<rapport_engine::Error> for Failure {
    fn from(error: rapport_engine::Error) -> Self {
        use rapport_engine::Error as E;
        let message = error.to_string();
        let coded = |code: &str| Failure::new(code, message.clone());
        let hinted = |code: &str, hint: Option<String>| match hint {
            Some(hint) => Failure::new(code, message.clone()).with_hint(hint),
            None => Failure::new(code, message.clone()),
        };
        match error {
            E::Syntax { position, .. } => {
                let mut failure = coded("42601");
                failure.0.position = position.and_then(|position| u32::try_from(position).ok());
                failure
            }
            E::TooComplex { .. } => coded("54001"),
            E::UndefinedTable { .. } => coded("42P01"),
            E::UndefinedColumn { hint, .. } => hinted("42703", hint),
            E::AmbiguousColumn { .. } => coded("42702"),
            E::UndefinedFunction { hint, .. } => hinted("42883", hint),
            E::UndefinedSchema { .. } => coded("3F000"),
            E::UndefinedObject { .. } => coded("42704"),
            E::DuplicateTable { .. } => coded("42P07"),
            E::DuplicateColumn { .. } => coded("42701"),
            E::DuplicateAlias { .. } => coded("42712"),
            E::Grouping { .. } => coded("42803"),
            E::DatatypeMismatch { hint, .. } => hinted("42804", hint),
            E::WrongObjectType { hint, .. } => hinted("42809", hint),
            E::CannotCoerce { .. } => coded("42846"),
            E::Windowing { .. } => coded("42P20"),
            E::InvalidRegularExpression { .. } => coded("2201B"),
            E::InvalidLimit => coded("2201W"),
            E::InvalidOffset => coded("2201X"),
            E::InvalidColumnReference { .. } => coded("42P10"),
            E::IndeterminateParameter { .. } => coded("42P18"),
            E::ParameterCount { .. } => coded("08P01"),
            E::NotSupported { hint, .. } => {
                hinted("0A000", Some(hint.unwrap_or_else(|| OTHERWISE.to_owned())))
            }
            E::Denied { .. } => coded("42501"),
            E::DivisionByZero => coded("22012"),
            E::OutOfRange { .. } => coded("22003"),
            E::InvalidText { .. } => coded("22P02"),
            E::InvalidDatetime { .. } => coded("22007"),
            E::DatetimeOverflow { .. } => coded("22008"),
            E::TooLong { .. } => coded("22001"),
            E::InvalidParameter { hint, .. } => hinted("22023", hint),
            E::Refused(refusal) => hinted(refusal.code, refusal.hint),
            E::BadCopy { .. } => coded("22P04"),
            E::NotNull { table, column, row } => coded("23502")
                .about(table, column)
                .with_detail(format!("Failing row contains {row}.")),
            E::HasNulls { table, column } => coded("23502").about(table, column),
            E::Cardinality { .. } => coded("21000"),
            E::Conflict { .. } => coded("40001").with_hint("Try the statement again."),
            E::ActiveTransaction { .. } => coded("25001"),
            E::Cancelled => coded("57014"),
            E::TimedOut => coded("57014"),
            E::OutOfMemory { .. } => coded("53200"),
            E::DiskFull { .. } => coded("53100"),
            E::Catalogue(error) => error.into(),
            E::Lake(error) => lake(error),
            E::Read(error) => match data_fusion(&error) {
                Some(failure) => failure,
                None => Failure::new("58030", format!("{message}: {}", error.strip_backtrace())),
            },
            E::Internal(error) => data_fusion(&error).unwrap_or_else(|| {
                Failure::internal(format!("{message}: {}", error.strip_backtrace()))
            }),
            E::Panic { .. } => coded("XX000"),
        }
    }
}

impl From<rapport_models::Error> for Failure {
    fn from(error: rapport_models::Error) -> Self {
        use rapport_models::Error as E;
        let (message, hint) = (error.to_string(), error.hint());
        let code = match error {
            E::Syntax { position, .. } => {
                let mut failure = Failure::new("42601", message);
                failure.0.position = position.and_then(|position| u32::try_from(position).ok());
                return failure;
            }
            E::Engine(error) => return error.into(),
            E::OptionTwice(_) => "42601",
            E::MissingParameter(_) => "08P01",
            E::NoValue { .. } => "22004",
            E::NoVersion(_) | E::Invalid { .. } | E::Stats(_) => "22023",
            E::ArgumentCount { .. } => "42883",
            E::NotLiteral(_) | E::Alone(_) => "0A000",
            E::NoSuchModel(_) | E::NoSuchVersion { .. } => "42704",
            E::Exists(_) => "42710",
            E::NotOwner(_) | E::MayNotCreate => "42501",
            E::Busy { .. } => "55P03",
            E::Overtaken { .. } => "40001",
            E::Unfit { .. } => "22000",
            E::TooBig { .. } => "53200",
            E::Lake(error) => return lake(error),
        };
        let failure = Failure::new(code, message);
        match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

fn lake(error: rapport_lake::Error) -> Failure {
    use rapport_lake::Error as E;
    let coded = |code: &str| Failure::new(code, error.to_string());
    match &error {
        E::NoSuchTable(name) => {
            Failure::new("42P01", format!("relation \"{name}\" does not exist"))
        }
        E::TableExists(name) => {
            Failure::new("42P07", format!("relation \"{name}\" already exists"))
        }
        E::NoSuchVersion { .. } | E::NoSuchTime { .. } => coded("22023"),
        E::Conflict { .. } => coded("40001").with_hint("Try the statement again."),
        E::Fenced { .. } | E::LeaseLost { .. } => {
            coded("40001").with_hint("Another process does the same job now; leave it to that one.")
        }
        E::NotSorted { .. } | E::WrongSchema { .. } | E::RowsChanged { .. } => coded("XX000"),
        E::NoConditionalCreate { .. } | E::NotALake(_) | E::NewerFormat { .. } => coded("55000"),
        E::StorageFull { .. } => coded("53100"),
        E::Storage { source, .. } => coded("58030").with_detail(source.to_string()),
        E::Corrupt { .. } => coded("XX001"),
        E::BadLocation { .. } | E::VacuumFloor { .. } => coded("22023"),
        E::BadTableName(_, _) => coded("42602"),
        E::Unsupported { .. } | E::UnsupportedType { .. } => coded("0A000").with_hint(OTHERWISE),
        E::Encode(source) => coded("XX000").with_detail(source.to_string()),
        E::Rows(source) => match source
            .downcast_ref::<DataFusionError>()
            .and_then(data_fusion)
        {
            Some(failure) => failure,
            None => coded("XX000").with_detail(source.to_string()),
        },
    }
}

/// An error that came out of a running plan.
impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        match engine_error(error) {
            Ok(error) => (*error).into(),
            Err(error) => data_fusion(&error).unwrap_or_else(|| {
                Failure::internal(format!("internal error: {}", error.strip_backtrace()))
            }),
        }
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}

/// The engine's own error, if that is what a plan failed with.
fn engine_error(error: DataFusionError) -> Result<Box<rapport_engine::Error>, DataFusionError> {
    match error {
        DataFusionError::External(source) => source.downcast().map_err(DataFusionError::External),
        DataFusionError::Context(what, source) => {
            engine_error(*source).map_err(|source| DataFusionError::Context(what, Box::new(source)))
        }
        other => Err(other),
    }
}

/// What DataFusion says in types, and what it says in words only. `None`: nothing a client could have caused.
fn data_fusion(error: &DataFusionError) -> Option<Failure> {
    let coded = |code: &str, message: &str| Some(Failure::new(code, message.trim()));
    match error {
        DataFusionError::ArrowError(error, _) => arrow(error),
        DataFusionError::SQL(error, _) => coded("42601", &error.to_string()),
        DataFusionError::NotImplemented(message) => {
            let error = DataFusionError::NotImplemented(message.clone());
            Some(rapport_engine::Error::from(error).into())
        }
        DataFusionError::Plan(message) => coded(code_of_plan_error(message), message),
        DataFusionError::Configuration(message) => coded("22023", message),
        DataFusionError::SchemaError(error, _) => Some(schema(error)),
        DataFusionError::Execution(message) => coded(code_of_execution_error(message), message),
        DataFusionError::ResourcesExhausted(message) => coded("53200", message),
        DataFusionError::Context(_, error) | DataFusionError::Diagnostic(_, error) => {
            data_fusion(error)
        }
        DataFusionError::Shared(error) => data_fusion(error),
        DataFusionError::Collection(errors) => errors.first().and_then(data_fusion),
        DataFusionError::External(source) => {
            if let Some(error) = source.downcast_ref::<DataFusionError>() {
                data_fusion(error)
            } else if let Some(refusal) = source.downcast_ref::<Refusal>() {
                Some(rapport_engine::Error::Refused(refusal.clone()).into())
            } else {
                source.downcast_ref::<ArrowError>().and_then(arrow)
            }
        }
        DataFusionError::ExecutionJoin(error) if error.is_panic() => {
            coded("XX000", "internal error: a part of the query panicked")
        }
        _ => None,
    }
}

fn schema(error: &SchemaError) -> Failure {
    match error {
        SchemaError::AmbiguousReference { field } => Failure::new(
            "42702",
            format!("column reference \"{}\" is ambiguous", field.name),
        ),
        SchemaError::DuplicateQualifiedField { qualifier, .. } => Failure::new(
            "42712",
            format!(
                "table name \"{}\" specified more than once",
                qualifier.table()
            ),
        ),
        SchemaError::DuplicateUnqualifiedField { name } => Failure::new(
            "42701",
            format!("column \"{name}\" specified more than once"),
        ),
        SchemaError::FieldNotFound { field, .. } => match &field.relation {
            Some(relation) => Failure::new(
                "42703",
                format!("column {relation}.{} does not exist", field.name),
            ),
            None => Failure::new("42703", format!("column \"{}\" does not exist", field.name)),
        },
    }
}

fn arrow(error: &ArrowError) -> Option<Failure> {
    let coded = |code: &str, message: &str| Some(Failure::new(code, message));
    match error {
        ArrowError::DivideByZero => coded("22012", "division by zero"),
        ArrowError::ArithmeticOverflow(message) => coded("22003", message),
        ArrowError::CastError(message) | ArrowError::ParseError(message) => {
            coded(code_of_execution_error(message), message)
        }
        ArrowError::ComputeError(message) | ArrowError::InvalidArgumentError(message) => {
            coded(code_of_execution_error(message), message)
        }
        ArrowError::NotYetImplemented(message) => {
            let error = ArrowError::NotYetImplemented(message.clone());
            Some(rapport_engine::Error::from(error).into())
        }
        ArrowError::MemoryError(message) => coded("53200", message),
        ArrowError::OffsetOverflowError(_) => {
            coded("54000", "a column of one batch is larger than 2 GB")
        }
        ArrowError::ExternalError(source) => source
            .downcast_ref::<DataFusionError>()
            .and_then(data_fusion),
        _ => None,
    }
}

/// DataFusion names the kind of a planning error in words only.
fn code_of_plan_error(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match () {
        () if says(&["table '", "table or cte", "no table named"]) && says(&["not found"]) => {
            "42P01"
        }
        () if says(&[
            "invalid function",
            "no function matches",
            "does not support",
        ]) =>
        {
            "42883"
        }
        () if says(&[
            "must be in group by",
            "group by clause",
            "aggregate function",
        ]) =>
        {
            "42803"
        }
        () if says(&["ambiguous"]) => "42702",
        () if says(&["must have the same number of columns"]) => "42601",
        () if says(&[
            "cannot coerce",
            "cannot infer common",
            "type_coercion",
            "must be boolean",
        ]) =>
        {
            "42804"
        }
        () if says(&["unsupported", "not supported", "not implemented"]) => "0A000",
        () => "42601",
    }
}

/// The same for what fails on a value.
fn code_of_execution_error(message: &str) -> &'static str {
    let lower = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match () {
        () if says(&["divide by zero", "division by zero"]) => "22012",
        () if says(&[
            "overflow",
            "out of range",
            "too large to store",
            "too small to store",
        ]) =>
        {
            "22003"
        }
        () if says(&["timestamp", "date", "time zone", "timezone"])
            && says(&["pars", "cast", "invalid"]) =>
        {
            "22007"
        }
        () if says(&[
            "cannot cast string",
            "error parsing",
            "can't cast",
            "cannot cast",
            "cannot parse",
            "invalid input syntax",
        ]) =>
        {
            "22P02"
        }
        () if says(&["regular expression", "regex"]) => "2201B",
        () if says(&["more than one row", "more than one row returned"]) => "21000",
        () => "22000",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: DataFusionError, code: &str) {
        let failure = Failure::from(error);
        assert_eq!(failure.code(), code, "{}", failure.message());
    }

    #[test]
    fn values_that_fail_have_their_codes() {
        check(ArrowError::DivideByZero.into(), "22012");
        check(
            ArrowError::ArithmeticOverflow("Overflow happened on: 1 + 2".into()).into(),
            "22003",
        );
        check(
            ArrowError::CastError("Cannot cast string 'abc' to value of Int32 type".into()).into(),
            "22P02",
        );
        check(
            ArrowError::ParseError("Error parsing timestamp from 'x': error parsing date".into())
                .into(),
            "22007",
        );
        check(
            DataFusionError::ResourcesExhausted("Failed to allocate".into()),
            "53200",
        );
        check(DataFusionError::Internal("a bug".into()), "XX000");
    }

    #[test]
    fn what_datafusion_lacks_is_told_without_its_insides() {
        let told = |message: &str| {
            let failure = Failure::from(DataFusionError::NotImplemented(message.into()));
            assert_eq!(failure.code(), "0A000");
            assert!(failure.0.hint.is_some(), "{message}");
            failure.message().to_owned()
        };
        assert_eq!(
            told(
                "Dot access not supported for non-string expr: Identifier(Ident { value: \"a\" })"
            ),
            "Dot access not supported for non-string"
        );
        assert_eq!(told("Unsupported Value 'X'"), "Unsupported Value 'X'");
        assert_eq!(
            told(
                "Aggregate can not be used as a sliding accumulator because `retract_batch` is not implemented: f(a)"
            ),
            "f over a frame that does not begin at UNBOUNDED PRECEDING is not supported"
        );
    }

    #[test]
    fn an_error_of_the_engine_passes_through_a_plan() {
        let error = DataFusionError::External(Box::new(rapport_engine::Error::DivisionByZero));
        check(error.context("while computing"), "22012");
    }

    #[test]
    fn zero_bytes_do_not_cut_a_message() {
        let fields = fields(&ErrorFields {
            message: "a\0b".into(),
            ..ErrorFields::default()
        });
        assert_eq!(fields[3], (b'M', "ab".to_owned()));
    }
}
