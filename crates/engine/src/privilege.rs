//! Who may do what to which table: PostgreSQL's own answer, remembered until definitions change.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use rapport_catalog_postgres::{Catalogue, Request, Settings};
use rapport_lake::TableName;

use crate::{Error, Result, Warehouse, plan::Scope};

/// Grants may be changed by another process, which this one is not told.
const REMEMBERED: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Privilege {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
}

impl Privilege {
    fn word(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
        }
    }
}

/// Role, table and what the role wants to do.
type Question = (String, TableName, Privilege);

/// Answers with the moment they were given.
#[derive(Default)]
pub(crate) struct Privileges(Mutex<HashMap<Question, (Instant, bool)>>);

impl Privileges {
    pub(crate) fn forget(&self) {
        self.0.lock().expect("never held over a panic").clear();
    }
}

impl Scope {
    pub(crate) async fn may_read(&self, table: &TableName) -> Result<bool> {
        self.warehouse
            .may(&self.role, table, Privilege::Select)
            .await
    }

    pub(crate) async fn require(&self, table: &TableName, privilege: Privilege) -> Result<()> {
        if self.warehouse.may(&self.role, table, privilege).await? {
            Ok(())
        } else {
            Err(Error::Denied {
                what: format!("table {}", table.table),
            })
        }
    }
}

impl Warehouse {
    /// Without a catalogue there are no roles, and whoever holds the lake may do everything.
    async fn may(&self, role: &str, table: &TableName, privilege: Privilege) -> Result<bool> {
        let Some(catalogue) = self.catalogue() else {
            return Ok(true);
        };
        if role == Catalogue::OWNER {
            return Ok(true);
        }
        let key = (role.to_owned(), table.clone(), privilege);
        let known = self
            .privileges()
            .0
            .lock()
            .expect("never held over a panic")
            .get(&key)
            .copied();
        if let Some((since, may)) = known
            && since.elapsed() < REMEMBERED
        {
            return Ok(may);
        }
        let may = match ask(catalogue, role, table, privilege).await {
            // Another process made the table, and the mirror does not have it yet.
            Err(Error::Catalogue(_)) => {
                self.mirror_lake().await?;
                ask(catalogue, role, table, privilege).await?
            }
            answer => answer?,
        };
        let mut known = self.privileges().0.lock().expect("never held over a panic");
        known.insert(key, (Instant::now(), may));
        Ok(may)
    }
}

async fn ask(
    catalogue: &Catalogue,
    role: &str,
    table: &TableName,
    privilege: Privilege,
) -> Result<bool> {
    let name = format!("{}.{}", quoted(&table.schema), quoted(&table.table)).replace('\'', "''");
    let sql = format!(
        "SELECT pg_catalog.has_table_privilege('{name}', '{}')",
        privilege.word()
    );
    let reply = catalogue
        .relay(role, &Settings::new(), Request::Simple(sql))
        .await?;
    // A DataRow of one column: its count, its length, then `t` or `f`.
    Ok(reply
        .rows
        .first()
        .is_some_and(|row| row.last() == Some(&b't')))
}

/// An identifier as SQL takes it whatever it holds.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
