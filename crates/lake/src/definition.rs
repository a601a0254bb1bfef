//! What a table is: columns, keys, defaults and comments; all of it lives in the Delta metadata.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

/// The field metadata key that holds PostgreSQL's `format_type` text of a column.
pub const PG_TYPE: &str = "rapport.pg_type";

#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Storage types; each field carries [`PG_TYPE`] in its metadata.
    pub schema: SchemaRef,
    pub comment: Option<String>,
    pub primary_key: Vec<String>,
    pub unique: Vec<Vec<String>>,
    pub foreign_keys: Vec<ForeignKey>,
    /// Column → SQL expression.
    pub defaults: BTreeMap<String, String>,
    pub column_comments: BTreeMap<String, String>,
}

/// Declared, not enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    pub table: String,
    pub ref_columns: Vec<String>,
}

impl Definition {
    /// A table of these columns and nothing declared about them.
    pub fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            comment: None,
            primary_key: vec![],
            unique: vec![],
            foreign_keys: vec![],
            defaults: BTreeMap::new(),
            column_comments: BTreeMap::new(),
        }
    }
}
