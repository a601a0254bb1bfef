//! Which version of each table a statement, or a transaction block, sees.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use chrono::{DateTime, Utc};
use rapport_catalog_lake::LakeTable;
use rapport_lake::{Snapshot, TableName};

use crate::{Error, Result, plan::Scope};

/// The versions that have been looked at so far. A table that is looked at later in the same block is seen as it was
/// when the block began.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    is_block: bool,
    /// When the block's first table was looked at.
    began: OnceLock<DateTime<Utc>>,
    tables: Mutex<HashMap<TableName, Arc<LakeTable>>>,
    /// What the block has made of tables; `None` was dropped.
    drafts: Mutex<HashMap<TableName, Option<Arc<LakeTable>>>>,
}

impl Pins {
    /// The block's time is that of its first statement.
    pub(crate) fn of_block() -> Self {
        Self {
            is_block: true,
            ..Self::default()
        }
    }

    /// The pinned version, pinning it now if it is asked for the first time. `None`: there is no such table.
    pub(crate) async fn table(
        &self,
        scope: &Scope,
        name: &TableName,
    ) -> Result<Option<Arc<LakeTable>>> {
        let draft = {
            let drafts = self.drafts.lock().expect("never held over a panic");
            drafts.get(name).cloned()
        };
        if let Some(draft) = draft {
            return Ok(draft);
        }
        if let Some(known) = self
            .tables
            .lock()
            .expect("never held over a panic")
            .get(name)
        {
            return Ok(Some(known.clone()));
        }
        let Some(snapshot) = self.snapshot(scope, name).await? else {
            return Ok(None);
        };
        let table = scope.lake_table(snapshot);
        let mut tables = self.tables.lock().expect("never held over a panic");
        Ok(Some(tables.entry(name.clone()).or_insert(table).clone()))
    }

    async fn snapshot(&self, scope: &Scope, name: &TableName) -> Result<Option<Arc<Snapshot>>> {
        let table = match scope.lake(name).table(name).await {
            Ok(table) => table,
            Err(rapport_lake::Error::NoSuchTable(_) | rapport_lake::Error::BadTableName(..)) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let newest = match table.snapshot().await {
            Ok(snapshot) => snapshot,
            Err(rapport_lake::Error::NoSuchTable(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let began = self.is_block.then(|| *self.began.get_or_init(Utc::now));
        match began {
            Some(began) if newest.timestamp() > began => match table.snapshot_as_of(began).await {
                Ok(snapshot) => Ok(Some(snapshot)),
                // It was made after the block began: PostgreSQL shows such a table too, and it has no older version.
                Err(rapport_lake::Error::NoSuchTime { .. }) => Ok(Some(newest)),
                Err(error) => Err(Error::from(error)),
            },
            _ => Ok(Some(newest)),
        }
    }

    /// The block sees the table so from now on.
    pub(crate) fn show(&self, scope: &Scope, name: &TableName, draft: Option<&Arc<Snapshot>>) {
        let table = draft
            .map(|draft| Arc::new(LakeTable::new(draft.clone(), scope.store_url(name).clone())));
        let mut drafts = self.drafts.lock().expect("never held over a panic");
        drafts.insert(name.clone(), table);
    }

    /// Nothing that the block has done is seen any more.
    pub(crate) fn show_none(&self) {
        self.drafts.lock().expect("never held over a panic").clear();
    }

    /// What has been pinned, to see later whether a plan over it still holds.
    pub(crate) fn tables(&self) -> Vec<(TableName, Arc<LakeTable>)> {
        let tables = self.tables.lock().expect("never held over a panic");
        tables
            .iter()
            .map(|(name, table)| (name.clone(), table.clone()))
            .collect()
    }
}
