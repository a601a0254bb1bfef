//! A table that rows are loaded into, as far as loading must know it.

use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use rapport_lake::{Lake, PG_TYPE, Snapshot, Table, TableName};

use crate::{Error, Result};

#[derive(Clone)]
pub struct Facts {
    pub name: TableName,
    /// Storage types.
    pub schema: SchemaRef,
    /// In the order that the lake wants rows in.
    pub sort: Vec<String>,
    /// Indexes of columns.
    pub primary_key: Vec<usize>,
    pub is_interactions: bool,
}

impl Facts {
    pub fn of(snapshot: &Snapshot) -> Self {
        let schema = snapshot.schema();
        let primary_key = snapshot.definition().primary_key.iter();
        Self {
            name: snapshot.name().clone(),
            primary_key: primary_key
                .filter_map(|column| schema.index_of(column).ok())
                .collect(),
            sort: snapshot.layout().sort.clone(),
            is_interactions: *snapshot.name() == TableName::public("interactions"),
            schema,
        }
    }

    pub fn index(&self, column: &str) -> Option<usize> {
        self.schema.index_of(column).ok()
    }

    /// Rows have an identity, so that none is added twice.
    pub fn has_identity(&self) -> bool {
        self.is_interactions || !self.primary_key.is_empty()
    }
}

/// PostgreSQL's name of a column's type.
pub fn pg_type(field: &Field) -> &str {
    field.metadata().get(PG_TYPE).map_or("text", String::as_str)
}

pub async fn open(lake: &Lake, name: &TableName) -> Result<(Table, Arc<Snapshot>)> {
    let table = lake.table(name).await.map_err(|error| match error {
        rapport_lake::Error::NoSuchTable(_) => Error::NoTable {
            table: name.to_string(),
        },
        other => Error::Lake(other),
    })?;
    let snapshot = table.snapshot().await?;
    Ok((table, snapshot))
}
