//! The built-in tables without a catalogue: what `rapport init` makes, from the same SQL.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::sql::sqlparser::ast::{ColumnOption, Statement, TableConstraint};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use rapport_lake::{Definition, Lake, PG_TYPE, TableName};

const HISTORY: &str = include_str!("../../engine/src/history.sql");

pub async fn create(lake: &Lake) {
    for statement in Parser::parse_sql(&PostgreSqlDialect {}, HISTORY).expect("our own SQL") {
        if let Statement::CreateTable(table) = statement {
            let mut key: Vec<String> = vec![];
            for constraint in &table.constraints {
                if let TableConstraint::PrimaryKey(primary) = constraint {
                    key.extend(
                        primary
                            .columns
                            .iter()
                            .map(|column| column.column.expr.to_string()),
                    );
                }
            }
            for column in &table.columns {
                let options = column.options.iter().map(|option| &option.option);
                if options
                    .into_iter()
                    .any(|option| matches!(option, ColumnOption::PrimaryKey(_)))
                {
                    key.push(column.name.value.clone());
                }
            }
            let fields: Vec<Field> = table
                .columns
                .iter()
                .map(|column| {
                    let name = &column.name.value;
                    let not_null = key.contains(name)
                        || column
                            .options
                            .iter()
                            .any(|option| option.option == ColumnOption::NotNull);
                    let pg_type = column.data_type.to_string().to_lowercase();
                    Field::new(name, stored_as(&pg_type), !not_null)
                        .with_metadata(HashMap::from([(PG_TYPE.to_owned(), pg_type)]))
                })
                .collect();
            let mut definition = Definition::new(Arc::new(Schema::new(fields)));
            definition.primary_key = key;
            let name = TableName::public(table.name.to_string());
            lake.create_table(&name, &definition)
                .await
                .expect("created");
        }
    }
}

fn stored_as(pg_type: &str) -> DataType {
    match pg_type {
        "bigint" => DataType::Int64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "double precision" => DataType::Float64,
        "text" | "uuid" => DataType::Utf8,
        "timestamp with time zone" => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        "numeric(18,2)" => DataType::Decimal128(18, 2),
        "numeric(18,3)" => DataType::Decimal128(18, 3),
        "numeric(18,4)" => DataType::Decimal128(18, 4),
        other => panic!("history.sql has a new type: {other}"),
    }
}
