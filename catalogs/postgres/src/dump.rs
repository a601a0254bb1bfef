//! All that the catalogue holds as SQL text, and back: roles with their verifiers, memberships, schemas, tables,
//! views, comments, owners and privileges. With the lake's tables it restores a warehouse from its bucket alone.

use std::collections::BTreeSet;

use rapport_lake::TableName;

use crate::catalogue::Catalogue;
use crate::connection::{Connection, Rows};
use crate::define;
use crate::error::Result;
use crate::functions::Declarations;
use crate::guard;
use crate::quote;
use crate::relations::{self, Relation, RelationKind};

const STATEMENTS: &str = include_str!("dump.sql");

/// Removes everything that a dump makes.
const EMPTY: &str = "
DO $restore$
DECLARE
  one name;
BEGIN
  FOR one IN SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE pg_catalog.format('DROP SCHEMA %I CASCADE', one);
  END LOOP;
  CREATE SCHEMA public AUTHORIZATION pg_database_owner;
  GRANT USAGE ON SCHEMA public TO PUBLIC;
  FOR one IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' AND rolname <> current_user LOOP
    EXECUTE pg_catalog.format('DROP OWNED BY %I', one);
    EXECUTE pg_catalog.format('DROP ROLE %I', one);
  END LOOP;
END
$restore$";

impl Catalogue {
    /// Taken in one transaction.
    pub async fn dump(&self) -> Result<String> {
        let mut lease = self.lease().await?;
        let dumped = dump(&mut lease).await;
        lease.roll_back().await;
        dumped
    }

    /// Replaces everything by what a dump holds, in one transaction. Of a bad dump, nothing is taken.
    pub async fn restore(&self, sql: &str) -> Result<()> {
        let version = self.ask("SHOW server_version_num").await?;
        let version = version.into_iter().flatten().flatten().next();
        let version = version.and_then(|version| version.parse().ok());
        let sql = as_of(sql, version.unwrap_or_default());
        let guard = guard::set();
        let functions = {
            let declarations = self.declarations();
            let sql = declarations.as_ref().map(Declarations::sql);
            sql.unwrap_or_default().to_owned()
        };
        self.transact(&format!(
            "SET LOCAL search_path = '';\n{EMPTY};\n{functions}\n{sql}\n{guard}"
        ))
        .await
    }
}

/// A dump without what a PostgreSQL of this version does not know; the one that wrote it may have been younger.
fn as_of(sql: &str, version: u32) -> String {
    let is_known = |line: &&str| {
        let is_maintain = line.starts_with("GRANT MAINTAIN ON ")
            || line.starts_with("ALTER DEFAULT PRIVILEGES ")
                && line.contains(" GRANT MAINTAIN ON ");
        let has_options = line.starts_with("GRANT ")
            && (line.ends_with(", SET true;") || line.ends_with(", SET false;"));
        (version >= 170_000 || !is_maintain) && (version >= 160_000 || !has_options)
    };
    let lines: Vec<&str> = sql.split('\n').filter(is_known).collect();
    lines.join("\n")
}

async fn dump(connection: &mut Connection) -> Result<String> {
    connection.query("BEGIN READ ONLY").await?;
    let mut there = relations::read(connection).await?;
    there.retain(|relation| !relation.is_temporary());
    let roles = connection
        .query(&format!(
            "{STATEMENTS} WHERE stage <= 3 ORDER BY stage, name, step, sql"
        ))
        .await?;
    let privileges = connection
        .query(&format!(
            "{STATEMENTS} WHERE stage >= 4 ORDER BY stage, name, step, sql"
        ))
        .await?;
    let mut sql = String::from("-- The catalogue of a Rapport warehouse.\n");
    push(&mut sql, roles);
    let tables = || {
        there
            .iter()
            .filter(|relation| relation.kind == RelationKind::Table)
    };
    for table in tables() {
        sql.push_str(&define::table(table));
        sql.push_str(&define::comments(table));
        sql.push_str(&owner(table));
    }
    for table in tables() {
        for key in &table.foreign_keys {
            sql.push_str(&define::foreign_key(table, key));
        }
    }
    sql.push_str(&define_views(&there));
    push(&mut sql, privileges);
    Ok(sql)
}

fn push(sql: &mut String, statements: Rows) {
    for statement in statements.into_iter().flatten().flatten() {
        sql.push_str(&statement);
        sql.push_str(";\n");
    }
}

fn owner(relation: &Relation) -> String {
    if relation.owner == Catalogue::OWNER {
        return String::new();
    }
    let kind = if relation.kind == RelationKind::View {
        "VIEW"
    } else {
        "TABLE"
    };
    format!(
        "ALTER {kind} {} OWNER TO {};\n",
        quote::relation(&relation.name),
        quote::ident(&relation.owner)
    )
}

/// A view after those that it reads.
fn in_order(there: &[Relation]) -> Vec<&Relation> {
    let mut waiting: Vec<&Relation> = there
        .iter()
        .filter(|relation| relation.kind == RelationKind::View)
        .collect();
    let mut blocked: BTreeSet<u32> = waiting.iter().map(|view| view.oid).collect();
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let (ready, rest): (Vec<&Relation>, Vec<&Relation>) = waiting
            .into_iter()
            .partition(|view| !view.reads.iter().any(|oid| blocked.contains(oid)));
        if ready.is_empty() {
            break;
        }
        for view in &ready {
            blocked.remove(&view.oid);
        }
        ordered.extend(ready);
        waiting = rest;
    }
    ordered
}

fn define_views(there: &[Relation]) -> String {
    in_order(there)
        .into_iter()
        .map(|view| define::view(view) + &define::comments(view) + &owner(view))
        .collect()
}

/// How to make all views anew, each with its comments, owner and privileges.
pub(crate) async fn views(
    catalogue: &Catalogue,
    there: &[Relation],
) -> Result<Vec<(TableName, String)>> {
    let sql = format!("{STATEMENTS} WHERE stage IN (5, 6) ORDER BY stage, name, step, sql");
    let privileges: Vec<String> = catalogue
        .ask(&sql)
        .await?
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    let definition = |view: &Relation| {
        let mine = format!(" ON TABLE {} ", name_as_format_does(view));
        let granted: String = privileges
            .iter()
            .filter(|statement| statement.contains(&mine))
            .map(|statement| format!("{statement};\n"))
            .collect();
        define::view(view) + &define::comments(view) + &owner(view) + &granted
    };
    Ok(in_order(there)
        .into_iter()
        .map(|view| (view.name.clone(), definition(view)))
        .collect())
}

/// As `format('%I.%I')` writes it: quoted only where needed.
fn name_as_format_does(relation: &Relation) -> String {
    let part = |name: &str| {
        let is_plain = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && !name.starts_with(|char: char| char.is_ascii_digit());
        if is_plain {
            name.to_owned()
        } else {
            quote::ident(name)
        }
    };
    format!(
        "{}.{}",
        part(&relation.name.schema),
        part(&relation.name.table)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_postgresql_is_told_only_what_it_knows() {
        let old = "GRANT a TO b;\nGRANT SELECT ON TABLE public.t TO b;";
        let dump = "GRANT a TO b;\nGRANT a TO c WITH ADMIN OPTION, INHERIT false, SET false;\n\
            GRANT MAINTAIN ON TABLE public.t TO b;\nGRANT SELECT ON TABLE public.t TO b;\n\
            ALTER DEFAULT PRIVILEGES  GRANT MAINTAIN ON TABLES TO b;";
        assert_eq!(as_of(dump, 150_018), old);
        assert_eq!(as_of(dump, 170_005), dump);
    }
}
