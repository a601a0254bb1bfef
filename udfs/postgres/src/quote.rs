//! `quote_ident`, `quote_literal` and `quote_nullable`.

use std::sync::Arc;

use arrow::{array::ArrayRef, datatypes::DataType};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;

use crate::{
    output::Output,
    simple::{Call, Kind, Overload, simple},
};

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    const IDENT: &[Overload] = &[Overload {
        takes: &[Kind::Text],
        more: None,
        gives: Kind::Text,
        work: ident,
    }];
    const LITERAL: &[Overload] = &[Overload {
        takes: &[Kind::Any],
        more: None,
        gives: Kind::Text,
        work: literal,
    }];
    const NULLABLE: &[Overload] = &[Overload {
        takes: &[Kind::Any],
        more: None,
        gives: Kind::Text,
        work: nullable,
    }];
    vec![
        simple(
            "quote_ident",
            "quote_ident(text)",
            "A text as a name in SQL, in quotes if it needs them.",
            IDENT,
        )
        .udf(),
        simple(
            "quote_literal",
            "quote_literal(value)",
            "A value as a literal in SQL; NULL for NULL.",
            LITERAL,
        )
        .stable()
        .udf(),
        simple(
            "quote_nullable",
            "quote_nullable(value)",
            "A value as a literal in SQL; the word NULL for NULL.",
            NULLABLE,
        )
        .stable()
        .udf(),
    ]
}

fn ident(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.strict_texts(|row, out| {
        put_ident(texts.of(row), out);
        Ok(())
    })
}

fn literal(call: &Call) -> Result<ArrayRef> {
    let values = call.shown(0)?;
    call.strict_texts(|row, out| {
        put_value(call, &values, row, out);
        Ok(())
    })
}

fn nullable(call: &Call) -> Result<ArrayRef> {
    let values = call.shown(0)?;
    call.texts(|row, out| {
        let at = call.at(0, row);
        if values.is_null(at) {
            out.push_str("NULL");
        } else {
            put_value(call, &values, row, out);
        }
        Ok(true)
    })
}

/// As a cast to text writes it.
fn put_value(call: &Call, values: &Output, row: usize, out: &mut String) {
    let mut text = String::new();
    values.write(call.at(0, row), &mut text);
    match (call.array(0).data_type(), text.as_str()) {
        (DataType::Boolean, "t") => out.push_str("'true'"),
        (DataType::Boolean, _) => out.push_str("'false'"),
        (_, text) => put_literal(text, out),
    }
}

pub(crate) fn put_ident(text: &str, out: &mut String) {
    let mut chars = text.chars();
    let begins_well = chars
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    let is_plain = begins_well
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && RESERVED.binary_search(&text).is_err();
    if is_plain {
        out.push_str(text);
        return;
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

pub(crate) fn put_literal(text: &str, out: &mut String) {
    let has_backslash = text.contains('\\');
    if has_backslash {
        out.push('E');
    }
    out.push('\'');
    for c in text.chars() {
        if c == '\'' || c == '\\' {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
}

/// Keywords that are no names without quotes, sorted. Source: PostgreSQL 15, `pg_get_keywords()`.
const RESERVED: [&str; 151] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];
