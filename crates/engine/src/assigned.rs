//! What an INSERT or an UPDATE may put into a column without a cast: PostgreSQL takes less on assignment than a cast does.

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Value};
use rapport_lake::{PG_TYPE, Snapshot};
use rapport_udf_postgres::one_dimension;

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
    (rows, were_values): (&Query, bool),
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
            let told = match were_values {
                true => vec![Told::Open; planned.columns.len()],
                false => all_told(&rows.body, planned.columns.len()),
            };
            check_columns(snapshot, columns.iter(), planned.columns.iter().zip(told))
        }
        Err(_) => Ok(()),
    }
}

/// Whether what is shown as a text is one.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Told {
    /// A literal: it is what its column wants.
    Open,
    /// As a column of a sub-query: it may be a json or a uuid.
    Text,
    Surely,
}

/// Of each column of a query.
fn all_told(body: &SetExpr, n_columns: usize) -> Vec<Told> {
    let select = match body {
        SetExpr::Query(inner) => return all_told(&inner.body, n_columns),
        SetExpr::Values(_) => return vec![Told::Open; n_columns],
        SetExpr::Select(select) if select.distinct.is_none() => select,
        _ => return vec![Told::Text; n_columns],
    };
    let told = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => of_item(expr),
        _ => Told::Text,
    };
    let is_star = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    };
    let items = &select.projection;
    let before = items.iter().position(is_star).unwrap_or(items.len());
    let behind = items.iter().rev().position(is_star).unwrap_or(0);
    let stars = n_columns.saturating_sub(before + behind);
    let all = items[..before].iter().map(told);
    let all = all.chain(std::iter::repeat_n(Told::Text, stars));
    all.chain(items[items.len() - behind..].iter().map(told))
        .collect()
}

fn of_item(expr: &Expr) -> Told {
    match expr {
        Expr::Nested(inner) => of_item(inner),
        Expr::Value(_) => Told::Open,
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Told::Text,
        _ => Told::Surely,
    }
}

/// As [`check_rows`], of the columns that a query answers.
pub(crate) fn check_columns<'a>(
    snapshot: &Snapshot,
    columns: impl Iterator<Item = &'a String>,
    given: impl Iterator<Item = (&'a Column, Told)>,
) -> Result<()> {
    for (column, (given, told)) in columns.zip(given) {
        let Some(from) = PgType::of_oid(given.pg_type, given.typmod) else {
            continue;
        };
        let Some(to) = type_of(snapshot, column) else {
            continue;
        };
        if is_text(&from.kind) && given.table_oid == 0 {
            let is_kept_as_text = match to.storage() {
                DataType::List(element) => element.data_type() == &DataType::Utf8,
                storage => storage == DataType::Utf8,
            };
            if told == Told::Open || told == Told::Text && is_kept_as_text {
                continue;
            }
        }
        check_dimensions(&given.data_type, &to)?;
        check(&to, column, &from)?;
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
    let Some(to) = type_of(snapshot, column) else {
        return Ok(());
    };
    check_size(value, &to)?;
    match told(value).or_else(|| of_parameter(value, declared)) {
        Some(from) => check(&to, column, &from),
        None => Ok(()),
    }
}

/// `None`: there is no such column.
fn type_of(snapshot: &Snapshot, column: &str) -> Option<PgType> {
    let schema = snapshot.schema();
    let field = schema.field_with_name(column).ok()?;
    let declared = field.metadata().get(PG_TYPE);
    let declared = declared.and_then(|text| PgType::parse(text).ok());
    Some(declared.unwrap_or_else(|| PgType::of_arrow(field.data_type())))
}

fn check(to: &PgType, column: &str, from: &PgType) -> Result<()> {
    if is_assignable(&from.kind, &to.kind) {
        return Ok(());
    }
    let (to, from) = (to.name_alone(), from.name_alone());
    Err(Error::DatatypeMismatch {
        message: format!("column \"{column}\" is of type {to} but expression is of type {from}"),
        hint: Some("You will need to rewrite or cast the expression.".to_owned()),
    })
}

/// 0A000 for what PostgreSQL would keep and Rapport has no place for: an array of arrays, a number of too many digits.
fn check_size(value: &Expr, to: &PgType) -> Result<()> {
    match (value, &to.kind) {
        (Expr::Nested(inner), _) => check_size(inner, to),
        (Expr::UnaryOp { expr, .. }, _) => check_size(expr, to),
        (Expr::Array(array), Kind::Array(_)) => {
            match array.elem.iter().any(|item| matches!(item, Expr::Array(_))) {
                true => Err(Error::Refused(one_dimension())),
                false => Ok(()),
            }
        }
        (Expr::Value(value), Kind::Numeric(None)) => match &value.value {
            Value::Number(digits, _) | Value::SingleQuotedString(digits) => check_digits(digits),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn check_dimensions(given: &DataType, to: &PgType) -> Result<()> {
    match (given, &to.kind) {
        (DataType::List(item), Kind::Array(_)) if matches!(item.data_type(), DataType::List(_)) => {
            Err(Error::Refused(one_dimension()))
        }
        _ => Ok(()),
    }
}

/// How many digits a numeric that says nothing of them has before the point.
const MOST_DIGITS: usize = 28;

fn check_digits(number: &str) -> Result<()> {
    let whole = number.trim().trim_start_matches(['+', '-', '0']);
    let whole = whole.split('.').next().unwrap_or_default();
    if whole.len() > MOST_DIGITS && whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::not_supported(
            format!(
                "a numeric with more than {MOST_DIGITS} digits before the point is not supported"
            ),
            "Declare the column as numeric(38,0), which has 38, or as text.",
        ));
    }
    Ok(())
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
