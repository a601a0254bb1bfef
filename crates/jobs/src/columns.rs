//! The two tables of the schema `system`: their columns, and arrays of them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use rapport_catalog_postgres::Catalogue;
use rapport_engine::Warehouse;
use rapport_lake::{Definition, PG_TYPE, TableName};

use crate::Result;

/// Name, PostgreSQL type and meaning of each column.
pub(crate) type Columns = [(&'static str, &'static str, &'static str)];

pub(crate) fn named(table: &str) -> TableName {
    TableName::new("system", table)
}

/// Makes the table if it is not there. Everybody may read it who may read anything, and nobody may write to it.
pub(crate) async fn make(
    warehouse: &Warehouse,
    name: &TableName,
    columns: &Columns,
    comment: &str,
) -> Result<()> {
    if warehouse.lake().table(name).await.is_ok() {
        return Ok(());
    }
    let definition = definition(columns, comment);
    match warehouse.create_from_definition(name, &definition).await {
        // Another server was faster.
        Err(rapport_engine::Error::Lake(rapport_lake::Error::TableExists(_))) => return Ok(()),
        made => made?,
    };
    if warehouse.catalogue().is_some() {
        let mut session = warehouse.session(Catalogue::OWNER);
        let revoke = format!(
            "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {name} FROM rapport_writer, rapport_admin"
        );
        for statement in session.parse(&revoke)? {
            let prepared = session.prepare(&statement, &[]).await?;
            session.execute(&prepared, vec![]).await?;
        }
    }
    Ok(())
}

fn definition(columns: &Columns, comment: &str) -> Definition {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, pg_type, _)| {
            let metadata = HashMap::from([(PG_TYPE.to_owned(), (*pg_type).to_owned())]);
            Field::new(*name, storage_type(pg_type), true).with_metadata(metadata)
        })
        .collect();
    let comments = columns
        .iter()
        .map(|(name, _, comment)| ((*name).to_owned(), (*comment).to_owned()));
    Definition {
        comment: Some(comment.to_owned()),
        column_comments: comments.collect(),
        ..Definition::new(Arc::new(Schema::new(fields)))
    }
}

fn storage_type(pg_type: &str) -> DataType {
    match pg_type {
        "bigint" => DataType::Int64,
        "timestamp with time zone" => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        _ => DataType::Utf8,
    }
}
