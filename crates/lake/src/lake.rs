//! The lake as a whole: its root, its tables.

use std::sync::Arc;

use object_store::ObjectStore;
use url::Url;

use crate::{Definition, Location, Result, Table, TableName};

/// Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    location: Location,
}

impl Lake {
    pub async fn open(_location: Location) -> Result<Lake> {
        unimplemented!()
    }

    pub async fn exists(&self) -> Result<bool> {
        unimplemented!()
    }

    pub async fn create_root(&self) -> Result<()> {
        unimplemented!()
    }

    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Rooted at the lake; the engine registers it under [`Lake::store_url`].
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.location.store()
    }

    /// The only store the engine ever registers.
    pub fn store_url(&self) -> Url {
        Url::parse("rapport://lake/").expect("a constant URL")
    }

    pub async fn table_names(&self) -> Result<Vec<TableName>> {
        unimplemented!()
    }

    pub async fn create_table(&self, _name: &TableName, _definition: &Definition) -> Result<Table> {
        unimplemented!()
    }

    pub async fn drop_table(&self, _name: &TableName) -> Result<()> {
        unimplemented!()
    }

    pub async fn table(&self, _name: &TableName) -> Result<Table> {
        unimplemented!()
    }
}
