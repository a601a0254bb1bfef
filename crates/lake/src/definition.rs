//! What a table is: columns, keys, defaults and comments. All of it lives in the Delta metadata, so that the bucket
//! alone restores a table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::log::action::Metadata;
use crate::log::delta_schema;
use crate::{Error, Result, TableName};

/// The field metadata key that holds PostgreSQL's `format_type` text of a column.
pub const PG_TYPE: &str = "rapport.pg_type";

const COMMENT: &str = "rapport.comment";
const DEFINITION: &str = "rapport.definition";
/// Where other readers of Delta look for a column's comment.
const FIELD_COMMENT: &str = "comment";

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

/// The part of a definition that Delta has no place for.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Declared {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    primary_key: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unique: Vec<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    foreign_keys: Vec<ForeignKey>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    defaults: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    column_comments: BTreeMap<String, String>,
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

    /// With the columns spelt as the log gives them back.
    pub(crate) fn as_stored(&self) -> Self {
        let fields = self.schema.fields().iter();
        let fields: Vec<Field> = fields
            .map(|field| storage_field(field).with_metadata(field.metadata().clone()))
            .collect();
        Self {
            schema: without_comments(&Schema::new(fields)),
            ..self.clone()
        }
    }

    /// Put this definition into `metadata`, whose other settings stay.
    pub(crate) fn write_to(&self, metadata: &mut Metadata) -> Result<()> {
        metadata.schema_string = delta_schema::to_delta(&self.delta_fields())?;
        metadata.description = self.comment.clone();
        let mut set = |key: &str, value: Option<String>| match value {
            Some(value) => metadata.configuration.insert(key.into(), value),
            None => metadata.configuration.remove(key),
        };
        set(COMMENT, self.comment.clone());
        let declared = Declared {
            primary_key: self.primary_key.clone(),
            unique: self.unique.clone(),
            foreign_keys: self.foreign_keys.clone(),
            defaults: self.defaults.clone(),
            column_comments: self.column_comments.clone(),
        };
        let declared = serde_json::to_string(&declared).expect("maps with text keys become JSON");
        set(DEFINITION, Some(declared));
        Ok(())
    }

    fn delta_fields(&self) -> Schema {
        let with_comment = |field: &Arc<Field>| {
            let mut metadata = field.metadata().clone();
            metadata.remove(FIELD_COMMENT);
            if let Some(comment) = self.column_comments.get(field.name()) {
                metadata.insert(FIELD_COMMENT.into(), comment.clone());
            }
            storage_field(field).with_metadata(metadata)
        };
        Schema::new(
            self.schema
                .fields()
                .iter()
                .map(with_comment)
                .collect::<Vec<_>>(),
        )
    }

    pub(crate) fn read_from(metadata: &Metadata, table: &TableName) -> Result<Self> {
        let unsupported = |what: String| Error::Unsupported {
            table: table.clone(),
            what,
        };
        if !metadata.partition_columns.is_empty() {
            return Err(unsupported("partition columns".into()));
        }
        let schema = delta_schema::from_delta(&metadata.schema_string).map_err(unsupported)?;
        let declared: Declared = match metadata.configuration.get(DEFINITION) {
            Some(text) => serde_json::from_str(text)
                .map_err(|error| unsupported(format!("an unknown {DEFINITION} ({error})")))?,
            None => Declared::default(),
        };
        Ok(Self {
            schema: without_comments(&schema),
            comment: metadata
                .configuration
                .get(COMMENT)
                .or(metadata.description.as_ref())
                .cloned(),
            primary_key: declared.primary_key,
            unique: declared.unique,
            foreign_keys: declared.foreign_keys,
            defaults: declared.defaults,
            column_comments: declared.column_comments,
        })
    }
}

/// Delta calls a list's element `element`; Arrow writers call it what they like.
fn storage_field(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::List(element) => DataType::List(Arc::new(Field::new(
            "element",
            element.data_type().clone(),
            element.is_nullable(),
        ))),
        other => other.clone(),
    };
    Field::new(field.name(), data_type, field.is_nullable())
}

fn without_comments(schema: &Schema) -> SchemaRef {
    let strip = |field: &Arc<Field>| {
        let metadata: HashMap<String, String> = field
            .metadata()
            .iter()
            .filter(|(key, _)| *key != FIELD_COMMENT)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Arc::new(field.as_ref().clone().with_metadata(metadata))
    };
    Arc::new(Schema::new(
        schema.fields().iter().map(strip).collect::<Vec<_>>(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_gives_a_definition_back() {
        let pg_type = HashMap::from([(PG_TYPE.to_owned(), "bigint".to_owned())]);
        let fields = vec![
            Field::new("id", DataType::Int64, false).with_metadata(pg_type),
            Field::new(
                "tags",
                DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
                true,
            ),
        ];
        let definition = Definition {
            comment: Some("what it is".into()),
            primary_key: vec!["id".into()],
            unique: vec![vec!["id".into(), "tags".into()]],
            foreign_keys: vec![ForeignKey {
                columns: vec!["id".into()],
                table: "public.other".into(),
                ref_columns: vec!["id".into()],
            }],
            defaults: BTreeMap::from([("id".into(), "1 + 1".into())]),
            column_comments: BTreeMap::from([("id".into(), "its number".into())]),
            ..Definition::new(Arc::new(Schema::new(fields)))
        };
        let mut metadata = Metadata::default();
        definition.write_to(&mut metadata).expect("a definition");
        assert!(metadata.schema_string.contains("its number"));
        let read = Definition::read_from(&metadata, &TableName::public("t")).expect("our own");
        assert_eq!(read, definition);
    }
}
