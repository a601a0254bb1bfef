//! What an INSERT or an UPDATE may put into a column without a cast: PostgreSQL takes less on assignment than a cast does.

use datafusion::sql::sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Value};
use rapport_lake::{PG_TYPE, Snapshot};

use crate::{
    Column, Error, Result,
    pg_type::{Kind, PgType},
    pins::Pins,
    plan::{Scope, parameter_index},
    tree::is_default,
};

/// 42804 for a column that is given something else by a query, or by the literals of VALUES.
pub(crate) async fn check_rows(
    scope: &Scope,
    pins: &Pins,
    snapshot: &Snapshot,
    columns: &[String],
    rows: &Query,
    declared: &[Option<u32>],
) -> Result<()> {
    if let SetExpr::Values(values) = &*rows.body {
        for row in &values.rows {
            for (column, value) in columns.iter().zip(&row.content) {
                check_value(snapshot, column, value, declared)?;
            }
        }
        return Ok(());
    }
    // What is wrong with the query is found where it is planned to be run.
    match Box::pin(scope.plan_query(pins, rows, declared)).await {
        Ok(planned) => {
            let given = planned.columns.iter().zip(computed(rows));
            check_columns(snapshot, columns.iter(), given)
        }
        Err(_) => Ok(()),
    }
}

/// Of each column of a query, from the first, whether it is surely more than a literal, whose type is open.
fn computed(query: &Query) -> impl Iterator<Item = bool> {
    let items = match &*query.body {
        SetExpr::Select(select) => select.projection.as_slice(),
        _ => &[],
    };
    let items = items.iter().map_while(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    let is_column = |expr: &Expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    items
        .map(move |expr| !is_literal(expr) && !is_column(expr))
        .chain(std::iter::repeat(false))
}

/// As [`check_rows`], of the columns that a query answers, each with whether it is computed.
pub(crate) fn check_columns<'a>(
    snapshot: &Snapshot,
    columns: impl Iterator<Item = &'a String>,
    given: impl Iterator<Item = (&'a Column, bool)>,
) -> Result<()> {
    for (column, (given, is_computed)) in columns.zip(given) {
        let Some(from) = PgType::of_oid(given.pg_type, given.typmod) else {
            continue;
        };
        // A text that is of no table may have been a literal, whose type is open.
        if is_text(&from.kind) && given.table_oid == 0 && !is_computed {
            continue;
        }
        check(snapshot, column, &from)?;
    }
    Ok(())
}

/// As [`check_rows`], of one value, if it tells its type by itself.
pub(crate) fn check_value(
    snapshot: &Snapshot,
    column: &str,
    value: &Expr,
    declared: &[Option<u32>],
) -> Result<()> {
    match told(value).or_else(|| of_parameter(value, declared)) {
        Some(from) => check(snapshot, column, &from),
        None => Ok(()),
    }
}

fn check(snapshot: &Snapshot, column: &str, from: &PgType) -> Result<()> {
    let schema = snapshot.schema();
    let Ok(field) = schema.field_with_name(column) else {
        return Ok(());
    };
    let declared = field.metadata().get(PG_TYPE);
    let to = match declared.and_then(|text| PgType::parse(text).ok()) {
        Some(to) => to,
        None => PgType::of_arrow(field.data_type()),
    };
    if is_assignable(&from.kind, &to.kind) {
        return Ok(());
    }
    let (to, from) = (to.name_alone(), from.name_alone());
    Err(Error::DatatypeMismatch {
        message: format!("column \"{column}\" is of type {to} but expression is of type {from}"),
        hint: Some("You will need to rewrite or cast the expression.".to_owned()),
    })
}

/// The type of a number, a boolean, or what says its type.
fn told(value: &Expr) -> Option<PgType> {
    let name = match value {
        Expr::Nested(inner) => return told(inner),
        Expr::UnaryOp { expr, .. } => return told(expr),
        Expr::Cast { data_type, .. } => data_type.to_string().to_lowercase(),
        Expr::TypedString(typed) => typed.data_type.to_string().to_lowercase(),
        Expr::Value(value) => match &value.value {
            Value::Boolean(_) => "boolean".to_owned(),
            Value::Number(digits, _) if digits.parse::<i32>().is_ok() => "integer".to_owned(),
            Value::Number(digits, _) if digits.parse::<i64>().is_ok() => "bigint".to_owned(),
            Value::Number(..) => "numeric".to_owned(),
            _ => return None,
        },
        _ => return None,
    };
    PgType::parse(&name).ok()
}

/// The type that the client has declared of a parameter.
fn of_parameter(value: &Expr, declared: &[Option<u32>]) -> Option<PgType> {
    let Expr::Value(value) = value else {
        return None;
    };
    let Value::Placeholder(id) = &value.value else {
        return None;
    };
    let index = parameter_index(id).ok()?;
    PgType::of_oid((*declared.get(index - 1)?)?, -1)
}

fn is_text(kind: &Kind) -> bool {
    match kind {
        Kind::Text | Kind::Name | Kind::InternalChar | Kind::Varchar(_) | Kind::Char(_) => true,
        Kind::Array(element) => is_text(&element.kind),
        _ => false,
    }
}

/// PostgreSQL's casts on assignment, `pg_cast.castcontext` of `a` and `i`, and those to text, which all types have.
fn is_assignable(from: &Kind, to: &Kind) -> bool {
    use Kind as K;
    match to {
        K::Array(to) => match from {
            K::Array(from) => is_assignable(&from.kind, &to.kind),
            _ => false,
        },
        to if is_text(to) => true,
        K::Bool => matches!(from, K::Bool),
        K::Int2 | K::Int4 | K::Int8 | K::Float4 | K::Float8 | K::Numeric(_) | K::Oid => matches!(
            from,
            K::Int2 | K::Int4 | K::Int8 | K::Float4 | K::Float8 | K::Numeric(_) | K::Oid
        ),
        K::Date | K::Timestamp | K::Timestamptz => {
            matches!(from, K::Date | K::Timestamp | K::Timestamptz)
        }
        K::Time => matches!(from, K::Time | K::Timestamp | K::Timestamptz | K::Interval),
        K::Interval => matches!(from, K::Interval | K::Time),
        K::Json | K::Jsonb => matches!(from, K::Json | K::Jsonb),
        same => from == same,
    }
}

/// Whether its type is known without planning it.
pub(crate) fn is_literal(value: &Expr) -> bool {
    match value {
        Expr::Nested(inner) => is_literal(inner),
        Expr::UnaryOp { expr, .. } => is_literal(expr),
        Expr::Value(_) | Expr::Cast { .. } | Expr::TypedString(_) => true,
        other => is_default(other),
    }
}
