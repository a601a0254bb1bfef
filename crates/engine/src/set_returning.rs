//! Functions that answer several rows, where a statement names its tables: a sub-query that unnests arrays.
//!
//! `FROM t, jsonb_each(t.j) AS e` becomes `FROM t, LATERAL (SELECT unnest(keys) AS key, unnest(values) AS value) AS e`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName,
    Query, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, Value,
    visit_expressions,
};
use rapport_udf_postgres::json::{TO_JSON, TO_JSONB};

use crate::{
    inner_values::is_constant,
    parse,
    syntax::{array_of_rows, plain_name, shape_of_rows},
    tree::call,
};

/// `LATERAL (VALUES (a, b), (c, d)) AS v`, of the columns beside it, is `unnest(ARRAY[a, c], ARRAY[b, d]) AS v`.
pub(crate) fn unnest_values(factor: &mut TableFactor) {
    let TableFactor::Derived {
        subquery, alias, ..
    } = factor
    else {
        return;
    };
    let SetExpr::Values(values) = subquery.body.as_ref() else {
        return;
    };
    let width = values.rows.first().map_or(0, |row| row.content.len());
    let is_plain = subquery.with.is_none()
        && subquery.order_by.is_none()
        && subquery.limit_clause.is_none()
        && subquery.fetch.is_none()
        && width > 0
        && values.rows.iter().all(|row| row.content.len() == width);
    if !is_plain || is_constant(&subquery.body) {
        return;
    }
    let arrays = (0..width).map(|at| {
        let items = values.rows.iter().map(|row| row.content[at].clone());
        call("make_array", items.collect())
    });
    let array_exprs = arrays.collect();
    let alias = alias.clone().map(|mut alias| {
        for at in alias.columns.len()..width {
            alias.columns.push(TableAliasColumnDef {
                name: Ident::new(format!("column{}", at + 1)),
                data_type: None,
            });
        }
        alias
    });
    *factor = TableFactor::UNNEST {
        alias,
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
}

/// `jsonb_to_record(j) AS r (a text, b int)` is `LATERAL (SELECT CAST(j ->> 'a' AS text) AS a, …) AS r`, and of a record set the
/// same of each item.
fn record(factor: &TableFactor) -> Option<TableFactor> {
    let (name, args, alias) = match factor {
        TableFactor::Table {
            name,
            args: Some(args),
            alias: Some(alias),
            with_ordinality: false,
            ..
        } => (name, &args.args, alias),
        TableFactor::Function {
            name,
            args,
            alias: Some(alias),
            with_ordinality: false,
            ..
        } => (name, args, alias),
        _ => return None,
    };
    let value = match (plain_name(name)?.as_str(), plain(args)?.as_slice()) {
        ("json_to_record" | "jsonb_to_record", [value]) => value.clone(),
        ("json_to_recordset", [value]) => call(
            "unnest",
            vec![call("\u{1}json_to_recordset", vec![value.clone()])],
        ),
        ("jsonb_to_recordset", [value]) => call(
            "unnest",
            vec![call("\u{1}jsonb_to_recordset", vec![value.clone()])],
        ),
        _ => return None,
    };
    let is_binary = plain_name(name)?.starts_with("jsonb");
    let json = call(if is_binary { TO_JSONB } else { TO_JSON }, vec![value]);
    let items = alias.columns.iter().map(|column| {
        let data_type = column.data_type.clone()?;
        let key = Value::SingleQuotedString(crate::names::folded(&column.name));
        let member = |op: BinaryOperator| Expr::BinaryOp {
            left: Box::new(json.clone()),
            op,
            right: Box::new(Expr::Value(key.clone().into())),
        };
        let member = match &data_type {
            DataType::JSON | DataType::JSONB => member(BinaryOperator::Arrow),
            DataType::Array(_) => {
                let items = member(BinaryOperator::Arrow);
                call("\u{1}json_items", vec![items])
            }
            _ => member(BinaryOperator::LongArrow),
        };
        Some(SelectItem::ExprWithAlias {
            expr: Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(member),
                data_type,
                array: false,
                format: None,
            },
            alias: column.name.clone(),
        })
    });
    let items: Vec<SelectItem> = items.collect::<Option<_>>()?;
    Some(TableFactor::Derived {
        lateral: true,
        subquery: Box::new(select(items)?),
        alias: Some(TableAlias {
            columns: vec![],
            ..alias.clone()
        }),
        sample: None,
    })
}

/// `None` if it is no such function.
pub(crate) fn as_query(factor: &TableFactor) -> Option<TableFactor> {
    if let Some(record) = record(factor) {
        return Some(record);
    }
    let (name, args, with_ordinality, alias) = match factor {
        TableFactor::Table {
            name,
            args: Some(args),
            alias,
            with_ordinality,
            ..
        } => (
            plain_name(name)?,
            plain(&args.args)?,
            *with_ordinality,
            alias,
        ),
        TableFactor::Function {
            name,
            args,
            with_ordinality,
            alias,
            ..
        } => (plain_name(name)?, plain(args)?, *with_ordinality, alias),
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_offset: false,
            with_ordinality,
            ..
        } => (
            "unnest".to_owned(),
            array_exprs.clone(),
            *with_ordinality,
            alias,
        ),
        _ => return None,
    };
    let shape = shape_of_rows(&name);
    // An array in brackets is planned without the columns of the tables beside it.
    let args = args.into_iter().map(|arg| match arg {
        Expr::Array(array) => call("make_array", array.elem),
        arg => arg,
    });
    let args = args.collect();
    let mut columns = columns(&name, args, alias.as_ref())?;
    if with_ordinality {
        let arrays = columns.iter().map(|(_, array)| array.clone());
        let ordinals = call("\u{1}ordinals", arrays.collect());
        columns.push(("ordinality".to_owned(), ordinals));
    }
    let given = alias.iter().flat_map(|alias| &alias.columns);
    let mut given = given.map(|column| column.name.clone());
    let items = columns.into_iter().map(|(name, array)| {
        let is_value = name == "value";
        let alias = given.next().unwrap_or_else(|| Ident::with_quote('"', name));
        let rows = call("unnest", vec![array]);
        let expr = match shape {
            Some(cast) if is_value => call(cast, vec![rows]),
            _ => rows,
        };
        SelectItem::ExprWithAlias { expr, alias }
    });
    let items = items.collect();
    let named = match alias {
        Some(alias) => TableAlias {
            columns: vec![],
            ..alias.clone()
        },
        None => TableAlias {
            explicit: true,
            name: Ident::with_quote('"', name),
            columns: vec![],
            at: None,
        },
    };
    Some(TableFactor::Derived {
        lateral: true,
        subquery: Box::new(select(items)?),
        alias: Some(named),
        sample: None,
    })
}

fn plain(args: &[FunctionArg]) -> Option<Vec<Expr>> {
    let args = args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    args.collect()
}

/// The names of a function's columns, with the arrays that they are made of.
fn columns(name: &str, args: Vec<Expr>, alias: Option<&TableAlias>) -> Option<Vec<(String, Expr)>> {
    let shown = alias.map_or_else(
        || name.to_owned(),
        |alias| crate::names::folded(&alias.name),
    );
    let pair = |keys: &str, values: &str| {
        Some(vec![
            ("key".to_owned(), call(keys, args.clone())),
            ("value".to_owned(), call(values, args.clone())),
        ])
    };
    match name {
        "unnest" => Some(
            args.iter()
                .map(|array| (shown.clone(), array.clone()))
                .collect(),
        ),
        "generate_series" if args.iter().any(has_column) => Some(vec![(shown, series(args))]),
        "json_each" => pair("\u{1}json_each_keys", "\u{1}json_each"),
        "jsonb_each" => pair("\u{1}jsonb_each_keys", "\u{1}jsonb_each"),
        "json_each_text" => pair("\u{1}json_each_keys", "\u{1}json_each_text"),
        "jsonb_each_text" => pair("\u{1}jsonb_each_keys", "\u{1}jsonb_each_text"),
        _ => {
            let array = call(array_of_rows(name)?, args);
            // These have a name for what they answer.
            let is_named = name.contains("array_elements");
            let column = if is_named { "value".to_owned() } else { shown };
            Some(vec![(column, array)])
        }
    }
}

/// The values of `generate_series` as an array: in quotes it is not made rows of.
pub(crate) fn series(args: Vec<Expr>) -> Expr {
    let mut array = call("", args.into_iter().map(with_type).collect());
    if let Expr::Function(function) = &mut array {
        function.name = ObjectName::from(vec![Ident::with_quote('"', "generate_series")]);
    }
    array
}

/// A whole number is an integer where it fits, which a function would take for a bigint.
pub(crate) fn with_type(expr: Expr) -> Expr {
    let is_integer =
        |value: &Value| matches!(value, Value::Number(number, _) if number.parse::<i32>().is_ok());
    let is_literal = match &expr {
        Expr::UnaryOp { expr, .. } => {
            matches!(expr.as_ref(), Expr::Value(value) if is_integer(&value.value))
        }
        Expr::Value(value) => is_integer(&value.value),
        _ => false,
    };
    match is_literal {
        true => Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(expr),
            data_type: DataType::Integer(None),
            array: false,
            format: None,
        },
        false => expr,
    }
}

/// Of constants it is a table of its own.
fn has_column(expr: &Expr) -> bool {
    visit_expressions(expr, |expr| match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

fn select(items: Vec<SelectItem>) -> Option<Query> {
    let mut query = parse::query("SELECT NULL").ok()?;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    select.projection = items;
    Some(query)
}
