//! SQL that defines a relation: for the mirror and for the dump.

use crate::quote;
use crate::relations::{Column, ForeignKey, Relation};

/// `CREATE TABLE` with its columns, primary key and unique keys; foreign keys come later, when all tables are there.
pub(crate) fn table(relation: &Relation) -> String {
    let mut parts: Vec<String> = relation.columns.iter().map(column).collect();
    if !relation.primary_key.is_empty() {
        parts.push(format!(
            "PRIMARY KEY ({})",
            quote::idents(&relation.primary_key)
        ));
    }
    for unique in &relation.unique {
        parts.push(format!("UNIQUE ({})", quote::idents(unique)));
    }
    format!(
        "CREATE TABLE {} (\n  {}\n);\n",
        quote::relation(&relation.name),
        parts.join(",\n  ")
    )
}

pub(crate) fn column(column: &Column) -> String {
    let mut sql = format!("{} {}", quote::ident(&column.name), column.pg_type);
    if column.not_null {
        sql.push_str(" NOT NULL");
    }
    if let Some(default) = &column.default {
        sql.push_str(&format!(" DEFAULT {default}"));
    }
    sql
}

pub(crate) fn foreign_key(relation: &Relation, key: &ForeignKey) -> String {
    format!(
        "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({});\n",
        quote::relation(&relation.name),
        quote::idents(&key.columns),
        quote::relation(&key.table),
        quote::idents(&key.ref_columns)
    )
}

pub(crate) fn view(relation: &Relation) -> String {
    let columns: Vec<&str> = relation
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    format!(
        "CREATE VIEW {} ({}) AS\n{};\n",
        quote::relation(&relation.name),
        quote::idents(&columns),
        relation.query.as_deref().unwrap_or_default()
    )
}

/// Those that there are.
pub(crate) fn comments(relation: &Relation) -> String {
    let mut sql = String::new();
    if relation.comment.is_some() {
        sql.push_str(&comment(relation));
    }
    for column in relation
        .columns
        .iter()
        .filter(|column| column.comment.is_some())
    {
        sql.push_str(&column_comment(relation, column));
    }
    sql
}

pub(crate) fn comment(relation: &Relation) -> String {
    let kind = if relation.query.is_some() {
        "VIEW"
    } else {
        "TABLE"
    };
    format!(
        "COMMENT ON {kind} {} IS {};\n",
        quote::relation(&relation.name),
        nullable(&relation.comment)
    )
}

pub(crate) fn column_comment(relation: &Relation, column: &Column) -> String {
    let name = quote::relation(&relation.name);
    format!(
        "COMMENT ON COLUMN {name}.{} IS {};\n",
        quote::ident(&column.name),
        nullable(&column.comment)
    )
}

fn nullable(text: &Option<String>) -> String {
    text.as_deref().map_or("NULL".into(), quote::literal)
}
