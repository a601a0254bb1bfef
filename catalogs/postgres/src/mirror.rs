//! Makes the mirror equal to the lake: every table the lake has, with its columns, keys and comments, and no other.
//!
//! Views, owners and grants are the catalogue's own and stay. A view over a table that changes shape is made anew; one
//! that no longer fits, or whose table is gone, goes with it.

use std::collections::{BTreeMap, BTreeSet};

use rapport_lake::TableName;
use tracing::{debug, info, warn};

use crate::catalogue::{Attempts, CURRENT_TRANSACTION, Catalogue, transaction_id};
use crate::connection::Connection;
use crate::define;
use crate::dump;
use crate::error::{Error, Result};
use crate::quote;
use crate::relations::{Column, Relation, RelationKind};

const ATTEMPTS: usize = 3;

/// A table of the lake. Of its `relation`, `oid`, `owner` and the columns' type OIDs are not looked at.
#[derive(Clone, Debug)]
pub struct Mirrored {
    pub relation: Relation,
    pub rows: u64,
}

impl Catalogue {
    /// Idempotent, one transaction; nothing is written when nothing differs.
    pub async fn mirror(&self, tables: &[Mirrored]) -> Result<()> {
        for _ in 1..ATTEMPTS {
            match self.mirror_once(tables).await {
                // In a server of the user's own somebody else may have told it the same meanwhile.
                Err(Error::Postgres(why)) => debug!(%why, "mirroring once more"),
                done => return done,
            }
        }
        self.mirror_once(tables).await
    }

    async fn mirror_once(&self, tables: &[Mirrored]) -> Result<()> {
        let mut there = self.relations().await?;
        let changes = changes(&there, tables);
        if !changes.is_empty() {
            info!(
                n_changed = changes.n_tables,
                "bringing the catalogue up to the lake"
            );
            let views = if changes.reshapes {
                dump::views(self, &there).await?
            } else {
                Vec::new()
            };
            let mut attempts = Attempts::default();
            loop {
                let made = self.make(&changes.sql(), &views).await;
                if !self.is_to_repeat(&made, &mut attempts) {
                    made?;
                    break;
                }
            }
            // A table that was rewritten has forgotten its rows.
            there.clear();
        }
        let rows: Vec<(TableName, u64)> = tables
            .iter()
            .map(|table| (table.relation.name.clone(), table.rows))
            .collect();
        self.set_row_estimates_where(&rows, &there).await
    }

    async fn make(&self, sql: &str, views: &[(TableName, String)]) -> Result<()> {
        let mut lease = self.lease().await?;
        match make(&mut lease, sql, views).await {
            Ok(transaction) => self.commit(lease, &transaction).await,
            Err(error) => {
                if !matches!(error, Error::Lost(_)) {
                    lease.roll_back().await;
                }
                Err(error)
            }
        }
    }

    /// The row counts that clients see in `pg_class.reltuples`.
    pub async fn set_row_estimates(&self, rows: &[(TableName, u64)]) -> Result<()> {
        self.set_row_estimates_where(rows, &[]).await
    }

    /// Leaves those alone that are right already.
    async fn set_row_estimates_where(
        &self,
        rows: &[(TableName, u64)],
        there: &[Relation],
    ) -> Result<()> {
        let is_right = |name: &TableName, rows: u64| {
            let found = there.iter().find(|relation| relation.name == *name);
            found.is_some_and(|found| found.row_estimate == Some(single_precision(rows)))
        };
        let values: Vec<String> = rows
            .iter()
            .filter(|(name, rows)| !is_right(name, *rows))
            .map(|(name, rows)| {
                format!(
                    "({}, {}, {rows}::float4)",
                    quote::literal(&name.schema),
                    quote::literal(&name.table)
                )
            })
            .collect();
        if values.is_empty() {
            return Ok(());
        }
        // Rows lie on no pages: a client that reads a table by ranges of ctid, as DuckDB does, then reads it in one piece.
        self.transact(&format!(
            "UPDATE pg_catalog.pg_class c
             SET reltuples = v.rows, relpages = 0
             FROM (VALUES {}) AS v (schema, name, rows), pg_catalog.pg_namespace n
             WHERE n.nspname = v.schema AND c.relnamespace = n.oid AND c.relname = v.name AND c.relkind = 'r'",
            values.join(", ")
        ))
        .await
    }
}

/// Leaves the transaction open, and returns its number.
async fn make(
    connection: &mut Connection,
    sql: &str,
    views: &[(TableName, String)],
) -> Result<String> {
    connection.query(&format!("BEGIN;\n{sql}")).await?;
    for (view, sql) in views {
        // Not an exception block of PL/pgSQL: in the embedded PostgreSQL those catch nothing.
        match connection
            .query(&format!("SAVEPOINT view;\n{sql}RELEASE view"))
            .await
        {
            Err(Error::Postgres(why)) => {
                warn!(%view, %why, "a view no longer fits the lake's tables and is dropped");
                connection.query("ROLLBACK TO view").await?;
            }
            made => drop(made?),
        }
    }
    Ok(transaction_id(connection.query(CURRENT_TRANSACTION).await?))
}

/// `reltuples` is a float4.
fn single_precision(rows: u64) -> u64 {
    rows as f32 as u64
}

#[derive(Default)]
struct Changes {
    schemas: BTreeSet<String>,
    dropped: String,
    made: String,
    /// Keys need both ends, so they come after everything is made.
    keys: String,
    n_tables: usize,
    /// A table that a view may read changes its columns or goes.
    reshapes: bool,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.made.is_empty() && self.keys.is_empty()
    }

    fn sql(&self) -> String {
        let schemas: String = self
            .schemas
            .iter()
            .map(|schema| format!("CREATE SCHEMA IF NOT EXISTS {};\n", quote::ident(schema)))
            .collect();
        format!("{schemas}{}{}{}", self.dropped, self.made, self.keys)
    }
}

fn changes(there: &[Relation], tables: &[Mirrored]) -> Changes {
    let wanted: BTreeMap<&TableName, &Relation> = tables
        .iter()
        .map(|table| (&table.relation.name, &table.relation))
        .collect();
    let found: BTreeMap<&TableName, &Relation> = there
        .iter()
        .filter(|relation| relation.kind == RelationKind::Table)
        .map(|relation| (&relation.name, relation))
        .collect();
    let mut changes = Changes::default();
    for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
        changes
            .dropped
            .push_str(&format!("DROP TABLE {} CASCADE;\n", quote::relation(name)));
        changes.reshapes = true;
        changes.n_tables += 1;
    }
    let mut remade: BTreeSet<&TableName> = BTreeSet::new();
    for (name, relation) in &wanted {
        let before = changes.dropped.len() + changes.made.len();
        changes.schemas.insert(name.schema.clone());
        match found.get(name) {
            None => {
                changes.made.push_str(&define::table(relation));
                changes.made.push_str(&define::comments(relation));
                remade.insert(name);
            }
            Some(found) if has_columns_of(found, relation) => {
                comments(found, relation, &mut changes.made);
                if found.primary_key != relation.primary_key
                    || !same(&found.unique, &relation.unique)
                {
                    unique_keys(relation, &mut changes.made);
                    remade.insert(name);
                }
            }
            Some(found) => {
                reshape(found, relation, &mut changes.made);
                remade.insert(name);
                changes.reshapes = true;
            }
        }
        changes.n_tables += usize::from(changes.dropped.len() + changes.made.len() > before);
    }
    if changes.reshapes {
        let views: Vec<String> = there
            .iter()
            .filter(|relation| relation.kind == RelationKind::View)
            .map(|view| quote::relation(&view.name))
            .collect();
        if !views.is_empty() {
            changes
                .dropped
                .insert_str(0, &format!("DROP VIEW {} CASCADE;\n", views.join(", ")));
        }
    }
    for (name, relation) in &wanted {
        let kept: Vec<_> = relation
            .foreign_keys
            .iter()
            .filter(|key| wanted.contains_key(&key.table))
            .collect();
        let is_there = found.get(name).is_some_and(|found| {
            found.foreign_keys.len() == kept.len()
                && kept.iter().all(|key| found.foreign_keys.contains(key))
        });
        // Unique keys that were made anew took the foreign keys to them along.
        let is_loose = remade.contains(name) || kept.iter().any(|key| remade.contains(&key.table));
        if !is_there || is_loose && !kept.is_empty() {
            changes.keys.push_str(&drop_keys(relation, "'f'"));
            for key in kept {
                changes.keys.push_str(&define::foreign_key(relation, key));
            }
        }
    }
    changes
}

fn has_columns_of(found: &Relation, wanted: &Relation) -> bool {
    let is_same = |there: &Column, column: &Column| {
        there.name == column.name
            && there.pg_type == column.pg_type
            && there.default == column.default
            // A primary key's columns are NOT NULL whether it is said or not.
            && there.not_null == (column.not_null || wanted.primary_key.contains(&column.name))
    };
    found.columns.len() == wanted.columns.len()
        && found
            .columns
            .iter()
            .zip(&wanted.columns)
            .all(|(there, column)| is_same(there, column))
}

fn same(left: &[Vec<String>], right: &[Vec<String>]) -> bool {
    left.len() == right.len() && left.iter().all(|key| right.contains(key))
}

fn comments(found: &Relation, wanted: &Relation, sql: &mut String) {
    if found.comment != wanted.comment {
        sql.push_str(&define::comment(wanted));
    }
    for (found, column) in found.columns.iter().zip(&wanted.columns) {
        if found.comment != column.comment {
            sql.push_str(&define::column_comment(wanted, column));
        }
    }
}

/// Keeps the table, its owner and its grants, and gives it other columns. There are no rows to keep.
fn reshape(found: &Relation, wanted: &Relation, sql: &mut String) {
    let table = quote::relation(&wanted.name);
    sql.push_str(&drop_keys(wanted, "'f', 'p', 'u'"));
    let is_prefix = found
        .columns
        .iter()
        .zip(&wanted.columns)
        .all(|(found, wanted)| found.name == wanted.name)
        && found.columns.len() <= wanted.columns.len();
    // Columns that moved can only be put in order by making all of them anew; a column that stays keeps its grants.
    let kept = if is_prefix { found.columns.len() } else { 0 };
    if kept == 0 {
        for column in &found.columns {
            sql.push_str(&format!(
                "ALTER TABLE {table} DROP COLUMN {} CASCADE;\n",
                quote::ident(&column.name)
            ));
        }
    }
    for (found, column) in found.columns.iter().zip(&wanted.columns).take(kept) {
        let name = quote::ident(&column.name);
        let mut alter = |what: String| {
            sql.push_str(&format!(
                "ALTER TABLE {table} ALTER COLUMN {name} {what};\n"
            ))
        };
        if found.default.is_some()
            && (found.default != column.default || found.pg_type != column.pg_type)
        {
            alter("DROP DEFAULT".into());
        }
        if found.pg_type != column.pg_type {
            alter(format!("TYPE {0} USING NULL::{0}", column.pg_type));
        }
        alter(if column.not_null {
            "SET NOT NULL".into()
        } else {
            "DROP NOT NULL".into()
        });
        if let Some(default) = &column.default {
            alter(format!("SET DEFAULT {default}"));
        }
    }
    for column in &wanted.columns[kept..] {
        sql.push_str(&format!(
            "ALTER TABLE {table} ADD COLUMN {};\n",
            define::column(column)
        ));
    }
    unique_keys(wanted, sql);
    sql.push_str(&define::comment(wanted));
    for column in &wanted.columns {
        sql.push_str(&define::column_comment(wanted, column));
    }
}

fn unique_keys(relation: &Relation, sql: &mut String) {
    sql.push_str(&drop_keys(relation, "'p', 'u'"));
    let table = quote::relation(&relation.name);
    if !relation.primary_key.is_empty() {
        sql.push_str(&format!(
            "ALTER TABLE {table} ADD PRIMARY KEY ({});\n",
            quote::idents(&relation.primary_key)
        ));
    }
    for unique in &relation.unique {
        sql.push_str(&format!(
            "ALTER TABLE {table} ADD UNIQUE ({});\n",
            quote::idents(unique)
        ));
    }
}

/// Keys are found by kind, since their names are PostgreSQL's.
fn drop_keys(relation: &Relation, kinds: &str) -> String {
    let table = quote::literal(&quote::relation(&relation.name));
    format!(
        "DO $mirror$
DECLARE
  key text;
BEGIN
  FOR key IN SELECT conname FROM pg_catalog.pg_constraint
    WHERE conrelid = {table}::regclass AND contype IN ({kinds}) ORDER BY contype = 'f' DESC
  LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', {table}::regclass, key);
  END LOOP;
END
$mirror$;
"
    )
}
