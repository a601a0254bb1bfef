//! Signatures, to be filled in.
#![expect(clippy::todo, reason = "being written")]
#![allow(unused_variables)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rapport_lake::TableName;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL refused; its own words.
    #[error("{0}")]
    Postgres(Box<ErrorFields>),

    /// The statement ran past its bound and was ended (57014).
    #[error("canceling statement due to statement timeout")]
    TimedOut,

    /// Valid SQL that the catalogue does not take from a client (0A000).
    #[error("{0}")]
    NotSupported(String),

    /// The answer is larger than the catalogue hands out (54000).
    #[error("the result of a catalogue query may hold at most {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },

    /// The catalogue's process or server went away while it worked (08006); asking again starts it again.
    #[error("the connection to the catalogue was lost")]
    Lost(#[source] std::io::Error),

    /// The catalogue's process did not start (58000).
    #[error("the catalogue in {dir} did not start: {what}")]
    NotStarted { dir: String, what: String },

    /// The server named by `catalog.url` can't be used (08001).
    #[error("the catalogue at {url} can't be used: {what}")]
    BadServer { url: String, what: String },
}

/// An error or a notice, field by field as PostgreSQL gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorFields {
    pub severity: String,
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub position: Option<u32>,
    pub internal_position: Option<u32>,
    pub internal_query: Option<String>,
    pub where_: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub data_type: Option<String>,
    pub constraint: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub routine: Option<String>,
}

impl std::fmt::Display for ErrorFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

pub type Settings = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub struct Config {
    pub place: Place,
    /// Longest a client's statement may take before it is ended.
    pub statement_timeout: Duration,
}

#[derive(Clone, Debug)]
pub enum Place {
    /// A child process `exe __catalogue dir`, shared by all processes that open the same folder.
    Embedded { dir: PathBuf, exe: PathBuf },
    /// An ordinary PostgreSQL.
    Url(String),
}

#[derive(Clone, Debug)]
pub struct Catalogue;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    pub is_admin: bool,
    pub can_login: bool,
    pub has_password: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    Table,
    View,
}

/// A table or a view as PostgreSQL describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub oid: u32,
    pub name: TableName,
    pub kind: RelationKind,
    pub owner: String,
    pub columns: Vec<Column>,
    pub primary_key: Vec<String>,
    pub unique: Vec<Vec<String>>,
    pub foreign_keys: Vec<ForeignKey>,
    pub comment: Option<String>,
    /// A view's query, as `pg_get_viewdef` prints it.
    pub query: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// `format_type` text, e.g. `numeric(18,2)`.
    pub pg_type: String,
    pub type_oid: u32,
    pub type_modifier: i32,
    pub not_null: bool,
    pub default: Option<String>,
    pub comment: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    pub table: TableName,
    pub ref_columns: Vec<String>,
}

/// A relation that must be in the mirror; `oid` and `owner` of the relation are not looked at.
#[derive(Clone, Debug)]
pub struct Mirrored {
    pub relation: Relation,
    pub rows: u64,
}

#[derive(Clone, Debug)]
pub enum Request {
    Simple(String),
    Extended {
        sql: String,
        param_types: Vec<u32>,
        params: Vec<Option<Bytes>>,
        param_formats: Vec<i16>,
        result_formats: Vec<i16>,
    },
    Describe {
        sql: String,
        param_types: Vec<u32>,
    },
}

#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub param_types: Vec<u32>,
    pub fields: Option<Vec<Field>>,
    /// Bodies of DataRow messages, to be forwarded as they are.
    pub rows: Vec<Bytes>,
    pub tag: String,
    pub notices: Vec<ErrorFields>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub table_oid: u32,
    pub column_id: i16,
    pub type_oid: u32,
    pub type_size: i16,
    pub type_modifier: i32,
    pub format: i16,
}

/// An open transaction in which a definition has been judged.
#[derive(Debug)]
pub struct Ddl;

impl Ddl {
    /// What the statement made or changed; empty after a DROP.
    pub fn relations(&self) -> &[Relation] {
        todo!()
    }
    /// What the statement dropped.
    pub fn dropped(&self) -> &[TableName] {
        todo!()
    }
    pub fn notices(&self) -> &[ErrorFields] {
        todo!()
    }
    pub fn tag(&self) -> &str {
        todo!()
    }
    pub async fn commit(self) -> Result<()> {
        todo!()
    }
    pub async fn rollback(self) -> Result<()> {
        todo!()
    }
}

impl Catalogue {
    pub async fn open(config: Config) -> Result<Catalogue> {
        todo!()
    }
    pub async fn shutdown(&self) {
        todo!()
    }
    pub async fn create_role(&self, role: &str, scram_verifier: &str, admin: bool) -> Result<()> {
        todo!()
    }
    pub async fn set_password(&self, role: &str, scram_verifier: &str) -> Result<()> {
        todo!()
    }
    pub async fn drop_role(&self, role: &str) -> Result<()> {
        todo!()
    }
    pub async fn list_roles(&self) -> Result<Vec<Role>> {
        todo!()
    }
    pub async fn verifier(&self, role: &str) -> Result<Option<String>> {
        todo!()
    }
    pub async fn begin_ddl(
        &self,
        role: &str,
        settings: &Settings,
        statement: &str,
    ) -> Result<Ddl> {
        todo!()
    }
    pub async fn relation(&self, name: &TableName) -> Result<Option<Relation>> {
        todo!()
    }
    pub async fn relations(&self) -> Result<Vec<Relation>> {
        todo!()
    }
    pub async fn mirror(&self, tables: &[Mirrored]) -> Result<()> {
        todo!()
    }
    pub async fn set_row_estimates(&self, rows: &[(TableName, u64)]) -> Result<()> {
        todo!()
    }
    pub async fn dump(&self) -> Result<String> {
        todo!()
    }
    pub async fn restore(&self, sql: &str) -> Result<()> {
        todo!()
    }
    pub async fn relay(
        &self,
        as_role: &str,
        settings: &Settings,
        request: Request,
    ) -> Result<Reply> {
        todo!()
    }
}

/// The child process: owns `dir` until nobody needs it. Called by the binary for `__catalogue <dir>`.
pub fn child_main(dir: &Path) -> Result<()> {
    todo!()
}
