//! Arrow columns ⇄ the schema text of Delta's metadata.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::{Map, Value, json};

use crate::{Error, Result};

pub(crate) fn to_delta(schema: &Schema) -> Result<String> {
    let fields = schema
        .fields()
        .iter()
        .map(|field| {
            let metadata: Map<String, Value> = field
                .metadata()
                .iter()
                .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
                .collect();
            Ok(json!({
                "name": field.name(),
                "type": type_to_delta(field.name(), field.data_type())?,
                "nullable": field.is_nullable(),
                "metadata": metadata,
            }))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(json!({"type": "struct", "fields": fields}).to_string())
}

fn type_to_delta(column: &str, data_type: &DataType) -> Result<Value> {
    let name = match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 => "byte",
        DataType::Int16 => "short",
        DataType::Int32 => "integer",
        DataType::Int64 => "long",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 => "string",
        DataType::Binary => "binary",
        DataType::Date32 => "date",
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => {
            "timestamp"
        }
        DataType::Decimal128(precision, scale) if *scale >= 0 => {
            return Ok(Value::from(format!("decimal({precision},{scale})")));
        }
        DataType::List(element) => {
            return Ok(json!({
                "type": "array",
                "elementType": type_to_delta(column, element.data_type())?,
                "containsNull": element.is_nullable(),
            }));
        }
        other => {
            return Err(Error::UnsupportedType {
                column: column.into(),
                data_type: other.to_string(),
            });
        }
    };
    Ok(Value::from(name))
}

/// `Err` says what is not understood.
pub(crate) fn from_delta(text: &str) -> Result<SchemaRef, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let fields = value["fields"]
        .as_array()
        .ok_or("a schema without fields")?
        .iter()
        .map(|field| {
            let name = field["name"].as_str().ok_or("a column without a name")?;
            let data_type = type_from_delta(&field["type"])?;
            let nullable = field["nullable"].as_bool().unwrap_or(true);
            let metadata: HashMap<String, String> = field["metadata"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, value)| {
                    let text = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    (key.clone(), text)
                })
                .collect();
            Ok(Field::new(name, data_type, nullable).with_metadata(metadata))
        })
        .collect::<Result<Vec<_>, String>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

fn type_from_delta(value: &Value) -> Result<DataType, String> {
    if value["type"] == "array" {
        let nullable = value["containsNull"].as_bool().unwrap_or(true);
        let element = type_from_delta(&value["elementType"])?;
        return Ok(DataType::List(Arc::new(Field::new(
            "element", element, nullable,
        ))));
    }
    let name = value
        .as_str()
        .ok_or_else(|| format!("columns of type {value}"))?;
    Ok(match name {
        "boolean" => DataType::Boolean,
        "byte" => DataType::Int8,
        "short" => DataType::Int16,
        "integer" => DataType::Int32,
        "long" => DataType::Int64,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "string" => DataType::Utf8,
        "binary" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        other => decimal(other).ok_or_else(|| format!("columns of type {other}"))?,
    })
}

fn decimal(name: &str) -> Option<DataType> {
    let inner = name.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = inner.split_once(',')?;
    Some(DataType::Decimal128(
        precision.trim().parse().ok()?,
        scale.trim().parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_storage_type_survives_the_round_trip() {
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let list = DataType::List(Arc::new(Field::new("element", DataType::Int32, true)));
        let types = [
            DataType::Boolean,
            DataType::Int16,
            DataType::Int32,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Utf8,
            DataType::Binary,
            DataType::Date32,
            DataType::Decimal128(18, 2),
            timestamp,
            list,
        ];
        let fields: Vec<Field> = types
            .into_iter()
            .enumerate()
            .map(|(at, data_type)| {
                let pg_type = HashMap::from([(crate::PG_TYPE.to_owned(), format!("type {at}"))]);
                Field::new(format!("c{at}"), data_type, at % 2 == 0).with_metadata(pg_type)
            })
            .collect();
        let schema = Schema::new(fields);
        let text = to_delta(&schema).expect("a schema");
        assert_eq!(*from_delta(&text).expect("our own text"), schema);
    }

    #[test]
    fn a_type_that_delta_lacks_is_refused() {
        let schema = Schema::new(vec![Field::new(
            "x",
            DataType::Time64(TimeUnit::Microsecond),
            true,
        )]);
        assert!(matches!(
            to_delta(&schema),
            Err(Error::UnsupportedType { .. })
        ));
    }
}
