//! The lake, its catalogue and the machinery that all sessions share.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::{catalog::TableProvider, prelude::SessionContext};
use rapport_catalog_postgres::Catalogue;
use rapport_lake::{Definition, Lake, Table, TableName};

use crate::{CompactProgress, Compacted, Limits, Result, Session};

/// Cheap to clone.
#[derive(Clone)]
pub struct Warehouse(Arc<Inner>);

struct Inner {
    lake: Lake,
    catalogue: Option<Catalogue>,
    limits: Limits,
}

#[expect(clippy::todo, reason = "the seam stands before its body")]
impl Warehouse {
    /// Opens a lake that exists and makes the catalogue equal to it: an empty catalogue is restored from the newest
    /// dump in the lake, and tables that another process made or dropped appear or go.
    pub async fn open(lake: Lake, catalogue: Option<Catalogue>, limits: Limits) -> Result<Warehouse> {
        Ok(Self(Arc::new(Inner { lake, catalogue, limits })))
    }

    /// Creates the built-in tables that are missing.
    pub async fn init(&self) -> Result<()> {
        todo!()
    }

    pub fn lake(&self) -> &Lake {
        &self.0.lake
    }

    pub fn catalogue(&self) -> Option<&Catalogue> {
        self.0.catalogue.as_ref()
    }

    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub fn session(&self, role: &str) -> Session {
        Session::new(self.clone(), role)
    }

    /// Creates a table without asking PostgreSQL to judge it; the catalogue learns of it afterwards.
    pub async fn create_from_definition(&self, _name: &TableName, _definition: &Definition) -> Result<Table> {
        todo!()
    }

    /// Writes the catalogue's numbered dump to the lake. Call after a change of roles or grants; changes made through
    /// [`Session::execute`] do it themselves.
    pub async fn dump_catalogue(&self) -> Result<()> {
        todo!()
    }

    /// Folds small files of one table into large sorted ones, one commit a group.
    pub async fn compact(
        &self,
        _table: &TableName,
        _policy: &rapport_lake::compact::Policy,
        _now: DateTime<Utc>,
        _progress: &(dyn Fn(CompactProgress) + Sync),
    ) -> Result<Compacted> {
        todo!()
    }

    /// All our functions, no table, no store: what a source's SELECT is run in.
    pub fn bare_context(&self) -> SessionContext {
        todo!()
    }

    /// As [`Self::bare_context`], and able to read the lake's files: for plans over [`Self::provider`].
    pub fn lake_context(&self) -> SessionContext {
        todo!()
    }

    /// The newest version of a table, to register in [`Self::lake_context`].
    pub async fn provider(&self, _name: &TableName) -> Result<Arc<dyn TableProvider>> {
        todo!()
    }
}
