//! Which version of each table a statement, or a transaction block, sees.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use chrono::{DateTime, Utc};
use rapport_catalog_lake::LakeTable;
use rapport_lake::{Snapshot, TableName};

use crate::{Error, Result, Warehouse};

/// The versions that have been looked at so far. A table that is looked at later in the same block is seen as it was
/// when the block began.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    is_block: bool,
    /// When the block's first table was looked at.
    began: OnceLock<DateTime<Utc>>,
    tables: Mutex<HashMap<TableName, Arc<LakeTable>>>,
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
        warehouse: &Warehouse,
        name: &TableName,
    ) -> Result<Option<Arc<LakeTable>>> {
        if let Some(known) = self
            .tables
            .lock()
            .expect("never held over a panic")
            .get(name)
        {
            return Ok(Some(known.clone()));
        }
        let Some(snapshot) = self.snapshot(warehouse, name).await? else {
            return Ok(None);
        };
        let table = warehouse.lake_table(snapshot);
        let mut tables = self.tables.lock().expect("never held over a panic");
        Ok(Some(tables.entry(name.clone()).or_insert(table).clone()))
    }

    async fn snapshot(
        &self,
        warehouse: &Warehouse,
        name: &TableName,
    ) -> Result<Option<Arc<Snapshot>>> {
        let table = match warehouse.lake().table(name).await {
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

    /// What has been pinned, to see later whether a plan over it still holds.
    pub(crate) fn tables(&self) -> Vec<(TableName, Arc<LakeTable>)> {
        let tables = self.tables.lock().expect("never held over a panic");
        tables
            .iter()
            .map(|(name, table)| (name.clone(), table.clone()))
            .collect()
    }
}
