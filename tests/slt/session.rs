//! One connection of an slt file: a statement in, rows as text out, by either protocol.

use std::fmt;

use async_trait::async_trait;
use sqllogictest::{AsyncDB, ColumnType, DBOutput};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::fixtures::failure::Failure;
use crate::fixtures::warehouse::Endpoint;
use crate::slt::binary::Raw;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Simple,
    Extended,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Simple => "simple",
            Protocol::Extended => "extended",
        })
    }
}

/// What an slt file's type letter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Integer,
    Numeric,
    Float,
    Text,
    Date,
    Timestamp,
    TimestampWithZone,
    Any,
}

const LETTERS: [(char, Kind); 9] = [
    ('B', Kind::Boolean),
    ('I', Kind::Integer),
    ('N', Kind::Numeric),
    ('R', Kind::Float),
    ('T', Kind::Text),
    ('D', Kind::Date),
    ('P', Kind::Timestamp),
    ('Z', Kind::TimestampWithZone),
    ('?', Kind::Any),
];

impl ColumnType for Kind {
    fn from_char(letter: char) -> Option<Self> {
        LETTERS
            .iter()
            .find(|(l, _)| *l == letter)
            .map(|(_, kind)| *kind)
    }

    fn to_char(&self) -> char {
        LETTERS
            .iter()
            .find(|(_, kind)| kind == self)
            .expect("every kind has a letter")
            .0
    }
}

fn kind_of(pg_type: &Type) -> Kind {
    match *pg_type {
        Type::BOOL => Kind::Boolean,
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => Kind::Integer,
        Type::NUMERIC => Kind::Numeric,
        Type::FLOAT4 | Type::FLOAT8 => Kind::Float,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::CHAR | Type::UNKNOWN => {
            Kind::Text
        }
        Type::DATE => Kind::Date,
        Type::TIMESTAMP => Kind::Timestamp,
        Type::TIMESTAMPTZ => Kind::TimestampWithZone,
        // Types without a letter of their own (uuid, bytea, arrays ...): write `?` and look at the value.
        _ => Kind::Any,
    }
}

pub struct Session {
    client: Client,
    protocol: Protocol,
    engine: &'static str,
}

impl Session {
    pub async fn connect(endpoint: Endpoint, protocol: Protocol) -> Result<Session, Failure> {
        Ok(Session {
            client: endpoint.connect().await?,
            protocol,
            engine: endpoint.engine,
        })
    }

    async fn simple(&self, sql: &str) -> Result<DBOutput<Kind>, Failure> {
        let (mut columns, mut rows, mut count) = (None, vec![], 0);
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(description) => {
                    columns = Some(description.len())
                }
                SimpleQueryMessage::Row(row) => {
                    rows.push(
                        (0..row.len())
                            .map(|i| shown(row.get(i).map(str::to_owned)))
                            .collect(),
                    );
                }
                SimpleQueryMessage::CommandComplete(n) => count = n,
                _ => {}
            }
        }
        Ok(match columns {
            Some(n) => DBOutput::Rows {
                types: vec![Kind::Any; n],
                rows,
            },
            None => DBOutput::StatementComplete(count),
        })
    }

    async fn extended(&self, sql: &str) -> Result<DBOutput<Kind>, Failure> {
        let statement = self.client.prepare(sql).await?;
        if statement.columns().is_empty() {
            return Ok(DBOutput::StatementComplete(
                self.client.execute(&statement, &[]).await?,
            ));
        }
        let rows = self.client.query(&statement, &[]).await?;
        let text = |row: &tokio_postgres::Row| {
            (0..row.len())
                .map(|i| shown(row.get::<_, Option<Raw>>(i).map(|value| value.to_string())))
                .collect()
        };
        Ok(DBOutput::Rows {
            types: statement
                .columns()
                .iter()
                .map(|column| kind_of(column.type_()))
                .collect(),
            rows: rows.iter().map(text).collect(),
        })
    }
}

fn shown(value: Option<String>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(text) if text.is_empty() => "(empty)".to_owned(),
        Some(text) => text,
    }
}

#[async_trait]
impl AsyncDB for Session {
    type Error = Failure;
    type ColumnType = Kind;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<Kind>, Failure> {
        match self.protocol {
            Protocol::Simple => self.simple(sql).await,
            Protocol::Extended => self.extended(sql).await,
        }
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        self.engine
    }

    fn error_sql_state(failure: &Failure) -> Option<String> {
        failure.code().map(str::to_owned)
    }
}
