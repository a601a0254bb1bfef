//! Statements that have been prepared, and the portals that run them.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::ScalarValue;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{FieldDescription, NoData, RowDescription};
use rapport_catalog_postgres::{Field, Reply};
use rapport_engine::{Column, Prepared};

use crate::calls::Call;
use crate::command::Command;
use crate::pump::Pump;
use crate::rows::Form;
use crate::sqlstate::{Failure, Result};
use crate::types;

/// A statement that has been kept under a name.
pub struct Named {
    pub statement: Arc<Statement>,
    pub source: Source,
}

/// What the client said to make something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub text: String,
    /// In microseconds since 1970.
    pub at: i64,
    /// By PREPARE or DECLARE, and not by a message of the protocol.
    pub from_sql: bool,
}

impl Source {
    pub fn new(text: &str, from_sql: bool) -> Self {
        Self {
            text: text.to_owned(),
            at: chrono::Utc::now().timestamp_micros(),
            from_sql,
        }
    }
}

/// A statement whose parameters and result are known.
#[derive(Debug)]
pub struct Statement {
    pub kind: Kind,
    /// Types of `$1`, `$2`, …
    pub params: Vec<u32>,
}

#[derive(Debug)]
pub enum Kind {
    Empty,
    Command(Command),
    /// `DECLARE … CURSOR FOR query`: the parameters are the query's.
    Declare {
        name: String,
        hold: bool,
        is_binary: bool,
        goes_forward: bool,
        query: Arc<Statement>,
        /// All of it.
        text: String,
    },
    Engine(Box<Prepared>),
    Catalogue {
        sql: String,
        /// Known when the statement was described; `None` is a statement without rows.
        fields: Option<Vec<Field>>,
        /// What the session has to do beside it.
        calls: Vec<Call>,
    },
    Model(rapport_models::Statement),
    /// `COPY (a query for the catalogue) TO STDOUT`.
    CatalogueCopy {
        query: String,
        format: rapport_engine::CopyFormat,
    },
}

impl Statement {
    /// COMMIT or ROLLBACK.
    pub fn ends_transaction(&self) -> bool {
        use Command::{Commit, Rollback};
        matches!(self.kind, Kind::Command(Commit { .. } | Rollback { .. }))
    }

    /// Whether it needs a snapshot, as PostgreSQL calls it: after such a one it is too late to say what kind of
    /// transaction it is.
    pub fn is_query(&self) -> bool {
        use Command as C;
        match &self.kind {
            Kind::Empty => false,
            Kind::Command(command) => !matches!(
                command,
                C::Begin { .. }
                    | C::Commit { .. }
                    | C::Rollback { .. }
                    | C::Savepoint(_)
                    | C::Release(_)
                    | C::RollbackTo(_)
                    | C::SetTransaction(_)
                    | C::SetCharacteristics(_)
                    | C::SetConstraints
                    | C::Set { .. }
                    | C::Show(_)
                    | C::Reset(_)
                    | C::ResetAll
                    | C::Fetch { .. }
                    | C::Nothing { .. }
            ),
            Kind::Catalogue { sql, .. } => {
                let first = sql.get(..4).unwrap_or_default();
                !first.eq_ignore_ascii_case("show")
            }
            _ => true,
        }
    }

    /// The one that gets the parameters: that of a cursor, or itself.
    pub fn innermost(&self) -> &Statement {
        match &self.kind {
            Kind::Declare { query, .. } => query,
            _ => self,
        }
    }
}

/// What a result's column is, whoever computes it.
#[derive(Clone, Debug)]
pub struct ColumnInfo {
    name: String,
    table_oid: u32,
    column_id: i16,
    type_oid: u32,
    type_size: i16,
    typmod: i32,
}

impl ColumnInfo {
    pub fn new(name: &str, type_oid: u32) -> Self {
        Self {
            name: name.to_owned(),
            table_oid: 0,
            column_id: 0,
            type_oid,
            type_size: types::size(type_oid),
            typmod: -1,
        }
    }
}

impl ColumnInfo {
    /// `None` if parts of the values are.
    pub fn is_text_in_binary(&self) -> Option<bool> {
        types::is_text_in_binary(self.type_oid)
    }
}

impl From<&Column> for ColumnInfo {
    fn from(column: &Column) -> Self {
        Self {
            table_oid: column.table_oid,
            column_id: column.number,
            typmod: column.typmod,
            ..Self::new(&column.name, column.pg_type)
        }
    }
}

impl From<&Field> for ColumnInfo {
    fn from(field: &Field) -> Self {
        Self {
            name: field.name.clone(),
            table_oid: field.table_oid,
            column_id: field.column_id,
            type_oid: field.type_oid,
            type_size: field.type_size,
            typmod: field.type_modifier,
        }
    }
}

/// RowDescription, or NoData for a statement without rows.
pub fn describe(columns: Option<&[ColumnInfo]>, forms: &Forms) -> PgWireBackendMessage {
    let Some(columns) = columns else {
        return PgWireBackendMessage::NoData(NoData::new());
    };
    let fields = columns
        .iter()
        .enumerate()
        .map(|(n, column)| {
            FieldDescription::new(
                column.name.clone(),
                column.table_oid as i32,
                column.column_id,
                column.type_oid,
                column.type_size,
                column.typmod,
                forms.of(n).code(),
            )
        })
        .collect();
    PgWireBackendMessage::RowDescription(RowDescription::new(fields))
}

/// The forms a client asked for: none is all text, one is for all columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forms(Vec<Form>);

impl Forms {
    pub fn read(codes: &[i16]) -> Result<Self> {
        let form = |code: &i16| match code {
            0 => Ok(Form::Text),
            1 => Ok(Form::Binary),
            other => Err(Failure::new(
                "22023",
                format!("unsupported format code: {other}"),
            )),
        };
        codes.iter().map(form).collect::<Result<_>>().map(Self)
    }

    /// All columns in binary.
    pub fn binary() -> Self {
        Self(vec![Form::Binary])
    }

    /// Fails if there are neither none nor one nor as many as columns.
    pub fn check(&self, n_columns: usize) -> Result<()> {
        if self.0.len() > 1 && self.0.len() != n_columns {
            return Err(Failure::protocol(format!(
                "bind message has {} result formats but query has {n_columns} columns",
                self.0.len()
            )));
        }
        Ok(())
    }

    pub fn of(&self, column: usize) -> Form {
        match self.0.as_slice() {
            [] => Form::Text,
            [one] => *one,
            forms => forms.get(column).copied().unwrap_or(Form::Text),
        }
    }

    pub fn all(&self, n_columns: usize) -> Vec<Form> {
        (0..n_columns).map(|column| self.of(column)).collect()
    }

    /// As PostgreSQL takes them.
    pub fn codes(&self) -> Vec<i16> {
        self.0.iter().map(|form| form.code()).collect()
    }
}

/// Values for a statement's parameters.
#[derive(Clone, Debug)]
pub enum Values {
    /// Read, for the engine.
    Scalars(Vec<ScalarValue>),
    /// As they came, for PostgreSQL to read.
    Raw {
        values: Vec<Option<Bytes>>,
        formats: Vec<i16>,
    },
}

/// A statement with values, and how far its result has been fetched.
pub struct Portal {
    pub statement: Arc<Statement>,
    pub values: Values,
    pub forms: Forms,
    /// What DECLARE said of it, if it was made by DECLARE.
    pub cursor: Option<Declared>,
    /// Of one that has a name.
    pub source: Option<Source>,
    pub progress: Progress,
    /// Rows that have been passed.
    pub position: u64,
    /// More was asked for than there was.
    pub is_at_end: bool,
    /// Counts the session's portals, so that a savepoint knows which were there before it.
    pub number: u64,
}

/// A cursor beside what every portal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Outlives the transaction block that it was declared in, if that takes effect.
    pub hold: bool,
    /// Simple queries get its rows in binary.
    pub is_binary: bool,
    /// NO SCROLL was said.
    pub goes_forward: bool,
    /// Of a block that is still open.
    pub is_in_block: bool,
}

pub enum Progress {
    /// Not run yet.
    New,
    /// The engine computes it.
    Running {
        pump: Pump,
        columns: Vec<ColumnInfo>,
        tag: &'static str,
    },
    /// PostgreSQL has answered.
    Answered { reply: Box<Reply>, next: usize },
    /// All has been said.
    Ended,
}

impl Portal {
    pub fn new(statement: Arc<Statement>, values: Values, forms: Forms) -> Self {
        Self {
            statement,
            values,
            forms,
            cursor: None,
            source: None,
            progress: Progress::New,
            position: 0,
            is_at_end: false,
            number: 0,
        }
    }

    /// Takes note of how far it was asked to go, and how far it went.
    pub fn passed(&mut self, asked: u64, rows: u64) {
        self.position += rows;
        self.is_at_end = rows < asked;
    }

    /// One that is run at once, in text.
    pub fn simple(statement: Arc<Statement>) -> Self {
        let values = match statement.innermost().kind {
            Kind::Engine(_) => Values::Scalars(Vec::new()),
            _ => Values::Raw {
                values: Vec::new(),
                formats: Vec::new(),
            },
        };
        Self::new(statement, values, Forms::default())
    }
}

/// How an execution ended.
pub enum Completion {
    Empty,
    /// There may be more rows.
    Suspended {
        rows: u64,
    },
    /// All rows have been sent, if it has rows.
    Complete {
        tag: String,
        rows: u64,
    },
}

impl Completion {
    pub fn rows(&self) -> u64 {
        match self {
            Completion::Empty => 0,
            Completion::Suspended { rows } | Completion::Complete { rows, .. } => *rows,
        }
    }
}
