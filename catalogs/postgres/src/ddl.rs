//! A definition, judged by PostgreSQL in an open transaction, which the caller commits once the lake has followed.
//!
//! The transaction holds the one backend: nobody else is answered until it ends. Do the long work before or after.

use std::collections::BTreeMap;

use postgres_protocol::message::frontend;
use rapport_lake::TableName;

use crate::catalogue::{Attempts, CURRENT_TRANSACTION, Catalogue, Lease, Settings, transaction_id};
use crate::connection::{Connection, keep_first, text};
use crate::error::{Error, ErrorFields, Result};
use crate::quote;
use crate::relations::{self, Relation};
use crate::session;

/// How often a definition is judged again because another came first.
const MAX_OVERTAKEN: u32 = 10;

/// What a client may define here, by the first words of its statement. A function could change its role from within,
/// so there are none.
const DEFINITIONS: [&[&str]; 29] = [
    &["create", "table"],
    &["create", "view"],
    &["create", "recursive", "view"],
    &["create", "or", "replace", "view"],
    &["create", "or", "replace", "recursive", "view"],
    &["create", "index"],
    &["create", "unique", "index"],
    &["create", "schema"],
    &["create", "role"],
    &["create", "user"],
    &["alter", "table"],
    &["alter", "view"],
    &["alter", "schema"],
    &["alter", "role"],
    &["alter", "user"],
    &["alter", "default", "privileges"],
    &["drop", "table"],
    &["drop", "view"],
    &["drop", "index"],
    &["drop", "schema"],
    &["drop", "role"],
    &["drop", "user"],
    &["create", "group"],
    &["alter", "group"],
    &["drop", "group"],
    &["reassign", "owned"],
    &["drop", "owned"],
    &["comment", "on"],
    &["grant"],
];

/// What PostgreSQL can do with a table and the lake can't, found in what the statement left.
const UNSUPPORTED: &str = "
SELECT what FROM (
  SELECT CASE
    WHEN c.relkind = 'S' THEN 'columns that number themselves (serial, identity)'
    WHEN c.relpersistence <> 'p' THEN 'temporary and unlogged tables'
    WHEN c.relkind = 'm' THEN 'materialized views'
    WHEN c.relkind IN ('p', 'I', 'f') OR c.relispartition THEN 'partitioned and foreign tables'
    WHEN c.reloftype <> 0 THEN 'tables of a composite type'
    WHEN c.relrowsecurity THEN 'row-level security'
    WHEN c.relhastriggers AND EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) THEN 'triggers'
  END
  FROM pg_catalog.pg_class c WHERE c.oid >= 16384
  UNION ALL
  SELECT 'inheritance' FROM pg_catalog.pg_inherits
  UNION ALL
  SELECT CASE contype WHEN 'c' THEN 'CHECK constraints' WHEN 'x' THEN 'EXCLUDE constraints' END
  FROM pg_catalog.pg_constraint WHERE conrelid >= 16384
  UNION ALL
  SELECT 'generated columns' FROM pg_catalog.pg_attribute WHERE attrelid >= 16384 AND attgenerated <> ''
) AS found (what)
WHERE what IS NOT NULL LIMIT 1";

/// What a statement did to one table or view.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are a handful per statement"
)]
pub enum Change {
    Created(Relation),
    /// New columns, keys, comments, a new name, a new owner.
    Altered {
        before: Relation,
        after: Relation,
    },
    Dropped(Relation),
}

/// An open transaction in which a statement has run. Dropping it rolls it back.
pub struct Ddl {
    lease: Lease,
    transaction: String,
    changes: Vec<Change>,
    notices: Vec<ErrorFields>,
    tag: String,
}

impl Ddl {
    /// In order of creation; empty for what concerns no table or view, such as a GRANT.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The one table or view that the statement made or changed.
    pub fn relation(&self) -> Option<&Relation> {
        self.relations().next()
    }

    /// What the statement made or changed, as it is now.
    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.changes.iter().filter_map(|change| match change {
            Change::Created(relation)
            | Change::Altered {
                after: relation, ..
            } => Some(relation),
            Change::Dropped(_) => None,
        })
    }

    /// What the statement dropped, CASCADE included.
    pub fn dropped(&self) -> impl Iterator<Item = &TableName> {
        self.changes.iter().filter_map(|change| match change {
            Change::Dropped(relation) => Some(&relation.name),
            _ => None,
        })
    }

    pub fn notices(&self) -> &[ErrorFields] {
        &self.notices
    }

    /// The command tag, e.g. `CREATE TABLE`.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Returns when it is durable. [`Error::Lost`] means that it is not: the mirror has to be made equal to the lake.
    pub async fn commit(self) -> Result<()> {
        let home = self.lease.home();
        home.commit(self.lease, &self.transaction).await
    }

    pub async fn rollback(self) -> Result<()> {
        self.lease.roll_back().await;
        Ok(())
    }
}

impl std::fmt::Debug for Ddl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ddl")
            .field("tag", &self.tag)
            .field("changes", &self.changes)
            .finish_non_exhaustive()
    }
}

impl Catalogue {
    /// Runs one definition as `role` and leaves its transaction open.
    pub async fn begin_ddl(&self, role: &str, settings: &Settings, statement: &str) -> Result<Ddl> {
        self.begin_ddl_after(role, &[], settings, statement).await
    }

    /// The same behind definitions that were judged before, each with its settings, and not committed.
    pub async fn begin_ddl_after(
        &self,
        role: &str,
        earlier: &[(Settings, String)],
        settings: &Settings,
        statement: &str,
    ) -> Result<Ddl> {
        let again = session::again(role, earlier)?;
        let become_role = session::become_role(role, settings)?;
        let mut attempts = Attempts::default();
        let mut overtaken = 0;
        loop {
            let begun = self.begin_ddl_once(&again, &become_role, statement).await;
            if self.is_to_repeat(&begun, &mut attempts) {
                continue;
            }
            match &begun {
                Err(Error::Postgres(fields))
                    if is_overtaken(fields) && overtaken < MAX_OVERTAKEN =>
                {
                    overtaken += 1;
                }
                _ => return begun,
            }
        }
    }

    async fn begin_ddl_once(&self, again: &str, become_role: &str, statement: &str) -> Result<Ddl> {
        let mut lease = self.lease().await?;
        let mut notices = Vec::new();
        let judged = judge(&mut lease, again, become_role, statement, &mut notices);
        let judged = tokio::time::timeout(self.statement_timeout(), judged).await;
        match judged.unwrap_or(Err(Error::TimedOut)) {
            Ok(Judged {
                changes,
                tag,
                transaction,
            }) => Ok(Ddl {
                lease,
                transaction,
                changes,
                notices,
                tag,
            }),
            Err(error) => {
                if !matches!(error, Error::Lost(_) | Error::TimedOut) {
                    lease.roll_back().await;
                }
                Err(error)
            }
        }
    }
}

/// Two transactions of a server of the user's own wrote the same row of the catalogue.
fn is_overtaken(fields: &ErrorFields) -> bool {
    fields.code == "XX000" && fields.message.starts_with("tuple concurrently ")
}

struct Judged {
    changes: Vec<Change>,
    tag: String,
    transaction: String,
}

async fn judge(
    connection: &mut Connection,
    again: &str,
    become_role: &str,
    statement: &str,
    notices: &mut Vec<ErrorFields>,
) -> Result<Judged> {
    // What others define meanwhile is none of the statement's changes.
    connection
        .query("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .await?;
    if !again.is_empty() {
        connection.query(again).await?;
        let superuser = quote::ident(connection.user());
        connection
            .query(&format!("SET LOCAL SESSION AUTHORIZATION {superuser}"))
            .await?;
    }
    let before = relations::read(connection).await?;
    connection
        .query(&format!("SET LOCAL search_path TO DEFAULT;{become_role}"))
        .await?;
    let tag = execute(connection, statement, notices).await?;
    // Not DEFAULT: the embedded PostgreSQL has none.
    let superuser = quote::ident(connection.user());
    connection
        .query(&format!("SET LOCAL SESSION AUTHORIZATION {superuser}"))
        .await?;
    let after = relations::read(connection).await?;
    let unsupported = connection.query(UNSUPPORTED).await?;
    if let Some(what) = unsupported.into_iter().flatten().flatten().next() {
        return Err(Error::NotSupported(format!(
            "the lake does not support {what}"
        )));
    }
    let transaction = transaction_id(connection.query(CURRENT_TRANSACTION).await?);
    Ok(Judged {
        changes: changes(before, after),
        tag,
        transaction,
    })
}

/// Through the extended protocol, which takes one statement and no more.
async fn execute(
    connection: &mut Connection,
    statement: &str,
    notices: &mut Vec<ErrorFields>,
) -> Result<String> {
    let is_definition = is_definition(statement);
    connection.put(|out| frontend::parse("", statement, [], out))?;
    if is_definition {
        let write = |_: &(), _: &mut bytes::BytesMut| Ok(postgres_protocol::IsNull::Yes);
        connection.put(|out| {
            frontend::bind("", "", [], &[] as &[()], write, [], out)
                .map_err(|_| std::io::ErrorKind::InvalidInput.into())
        })?;
        connection.put(|out| frontend::execute("", 0, out))?;
    }
    connection.put(|out| {
        frontend::sync(out);
        Ok(())
    })?;
    connection.send().await?;
    let mut tag = String::new();
    let mut failed = None;
    loop {
        let message = connection.receive().await?;
        match message.kind {
            b'C' => tag = text(&message.body),
            b'N' => notices.push(ErrorFields::parse(&message.body)),
            b'E' => keep_first(&mut failed, &message.body),
            b'Z' => break,
            _ => {}
        }
    }
    match failed {
        Some(error) => Err(error),
        None if !is_definition => Err(Error::NotSupported(
            "only tables, views, schemas, roles, comments and privileges can be defined".into(),
        )),
        // CREATE TABLE AS has read PostgreSQL's own tables; the lake's are empty here.
        None if tag.starts_with("SELECT") => Err(Error::NotSupported(
            "CREATE TABLE AS over the catalogue is not supported".into(),
        )),
        None => Ok(tag),
    }
}

/// Whether a statement defines something of the kinds that a client may define, judging by its first words.
pub fn is_definition(statement: &str) -> bool {
    let words = session::first_words(statement, 5);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.first() == Some(&"revoke")
        || DEFINITIONS
            .iter()
            .any(|definition| words.starts_with(definition))
}

fn changes(before: Vec<Relation>, after: Vec<Relation>) -> Vec<Change> {
    let mut before: BTreeMap<u32, Relation> = before
        .into_iter()
        .map(|relation| (relation.oid, relation))
        .collect();
    let mut changes = Vec::new();
    for after in after {
        match before.remove(&after.oid) {
            None => changes.push(Change::Created(after)),
            Some(before) if before != after => changes.push(Change::Altered { before, after }),
            Some(_) => {}
        }
    }
    changes.extend(before.into_values().map(Change::Dropped));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_lake_can_follow_is_a_definition() {
        assert!(is_definition("-- mine\ncreate table t (a int)"));
        assert!(is_definition("CREATE OR REPLACE VIEW v AS SELECT 1"));
        assert!(!is_definition(
            "create function f() returns int language sql as 'select 1'"
        ));
        assert!(!is_definition("create temp table t (a int)"));
        assert!(!is_definition("do $$ begin reset role; end $$"));
        assert!(!is_definition("commit"));
    }
}
