//! Tables and views, as PostgreSQL describes them.

use rapport_lake::TableName;
use serde::Deserialize;

use crate::catalogue::Catalogue;
use crate::connection::{Connection, Rows};
use crate::error::Result;
use crate::quote;

const QUERY: &str = include_str!("relations.sql");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    Table,
    View,
}

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
    /// A view's query as PostgreSQL prints it: every name of a relation qualified, no semicolon at its end.
    pub query: Option<String>,
    /// The OIDs of the relations that a view reads.
    pub reads: Vec<u32>,
    /// The lake's row count as clients see it (`reltuples`), once it was set.
    pub row_estimate: Option<u64>,
    /// The number of PostgreSQL's file, which is another one once its rows are written anew.
    pub file: u32,
}

impl Relation {
    /// One of a session's own, which nobody else sees.
    pub(crate) fn is_temporary(&self) -> bool {
        self.name.schema.starts_with(Catalogue::TEMPORARY)
    }

    /// A table with these columns and nothing declared about it.
    pub fn table(name: TableName, columns: Vec<Column>) -> Self {
        Self {
            oid: 0,
            name,
            kind: RelationKind::Table,
            owner: Catalogue::OWNER.into(),
            columns,
            primary_key: vec![],
            unique: vec![],
            foreign_keys: vec![],
            comment: None,
            query: None,
            reads: vec![],
            row_estimate: None,
            file: 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Column {
    /// Stays the same when the column gets another name.
    pub number: i16,
    pub name: String,
    /// `format_type` text, e.g. `numeric(18,2)`.
    pub pg_type: String,
    pub type_oid: u32,
    pub type_modifier: i32,
    pub not_null: bool,
    /// A SQL expression.
    pub default: Option<String>,
    pub comment: Option<String>,
}

impl Column {
    /// `pg_type` is what `format_type` says, e.g. `numeric(18,2)`.
    pub fn new(name: impl Into<String>, pg_type: impl Into<String>) -> Self {
        Self {
            number: 0,
            name: name.into(),
            pg_type: pg_type.into(),
            type_oid: 0,
            type_modifier: -1,
            not_null: false,
            default: None,
            comment: None,
        }
    }
}

/// Declared, not enforced: the mirror's tables are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    pub table: TableName,
    pub ref_columns: Vec<String>,
}

impl Catalogue {
    pub async fn relation(&self, name: &TableName) -> Result<Option<Relation>> {
        Ok(self
            .relations()
            .await?
            .into_iter()
            .find(|relation| relation.name == *name))
    }

    /// Who owns a table or a view.
    pub async fn owner(&self, name: &TableName) -> Result<Option<String>> {
        let rows = self
            .ask(&format!(
                "SELECT CASE WHEN o.rolname = session_user THEN {} ELSE o.rolname END
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
                   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'v')",
                quote::literal(Catalogue::OWNER),
                quote::literal(&name.schema),
                quote::literal(&name.table)
            ))
            .await?;
        Ok(rows.into_iter().flatten().flatten().next())
    }

    /// The number of a table or view in `pg_class`.
    pub async fn oid(&self, name: &TableName) -> Result<Option<u32>> {
        let rows = self
            .ask(&format!(
                "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = {} AND c.relname = {}",
                quote::literal(&name.schema),
                quote::literal(&name.table)
            ))
            .await?;
        let found = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next().flatten());
        Ok(found.and_then(|oid| oid.parse().ok()))
    }

    /// Every table and view of the warehouse, in order of creation; not those of single sessions.
    pub async fn relations(&self) -> Result<Vec<Relation>> {
        let rows = self
            .ask(&format!(
                "BEGIN READ ONLY;SET LOCAL search_path = '';{QUERY};ROLLBACK"
            ))
            .await?;
        let mut relations = parse(rows);
        relations.retain(|relation| !relation.is_temporary());
        Ok(relations)
    }
}

/// Inside an open transaction, which has an empty search_path from then on.
pub(crate) async fn read(connection: &mut Connection) -> Result<Vec<Relation>> {
    let rows = connection
        .query(&format!("SET LOCAL search_path = '';{QUERY}"))
        .await?;
    Ok(parse(rows))
}

#[derive(Deserialize)]
struct Described {
    oid: u32,
    file: u32,
    schema: String,
    table: String,
    is_view: bool,
    owner: String,
    rows: i64,
    comment: Option<String>,
    query: Option<String>,
    columns: Vec<Column>,
    keys: Vec<Key>,
    reads: Vec<u32>,
}

#[derive(Deserialize)]
struct Key {
    kind: String,
    columns: Vec<String>,
    schema: Option<String>,
    table: Option<String>,
    ref_columns: Option<Vec<String>>,
}

fn parse(rows: Rows) -> Vec<Relation> {
    let json = rows
        .into_iter()
        .next()
        .and_then(|row| row.into_iter().next().flatten());
    let json = json.expect("relations.sql answers one value");
    let described: Vec<Described> =
        serde_json::from_str(&json).expect("relations.sql and this struct agree");
    described.into_iter().map(Relation::from).collect()
}

impl From<Described> for Relation {
    fn from(described: Described) -> Self {
        let mut relation = Relation {
            oid: described.oid,
            name: TableName::new(described.schema, described.table),
            kind: if described.is_view {
                RelationKind::View
            } else {
                RelationKind::Table
            },
            owner: described.owner,
            columns: described.columns,
            primary_key: vec![],
            unique: vec![],
            foreign_keys: vec![],
            comment: described.comment,
            query: described
                .query
                .map(|query| query.trim().trim_end_matches(';').to_owned()),
            reads: described.reads,
            row_estimate: u64::try_from(described.rows).ok(),
            file: described.file,
        };
        for key in described.keys {
            match (key.kind.as_str(), key.schema, key.table, key.ref_columns) {
                ("p", ..) => relation.primary_key = key.columns,
                ("f", Some(schema), Some(table), Some(ref_columns)) => {
                    relation.foreign_keys.push(ForeignKey {
                        columns: key.columns,
                        table: TableName::new(schema, table),
                        ref_columns,
                    })
                }
                _ => relation.unique.push(key.columns),
            }
        }
        relation
    }
}
