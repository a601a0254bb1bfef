//! The few functions that are about the session, and which PostgreSQL must not run for us because its session is not
//! ours: `set_config`, `pg_sleep`, `pg_cancel_backend` and `pg_backend_pid`.
//!
//! Calls in the select list of a query without FROM are taken out and done by the session; the rest of the query is
//! PostgreSQL's. Anywhere else the first three are denied, and `pg_backend_pid` is what [`crate::own_views`] says.

use std::time::Duration;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    SelectItem, SetExpr, Statement, Value,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// What the session has to do for a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    SetConfig {
        name: String,
        value: Given,
        local: bool,
    },
    Sleep(Duration),
    /// Of the session with this number.
    Cancel(Given),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// The default.
    Null,
    Text(String),
    /// A parameter, counted from 0.
    Parameter(usize),
}

/// The query without its calls, which have become their own results, and what is to be done. `None` if it has none.
pub fn take(statement: &Statement, pid: i32) -> Option<(String, Vec<Call>)> {
    let mut statement = statement.clone();
    let Statement::Query(query) = &mut statement else {
        return None;
    };
    let SetExpr::Select(select) = &mut *query.body else {
        return None;
    };
    if !select.from.is_empty() {
        return None;
    }
    let mut calls = Vec::new();
    let mut is_changed = false;
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        let Some((name, args)) = function(expr) else {
            continue;
        };
        let (call, result) = match (name.as_str(), &args[..]) {
            ("set_config", [name, value, local]) => {
                let Some(call) = set_config(name, value, local) else {
                    continue;
                };
                let result = match &call {
                    // Without a value, what only the session knows is empty.
                    Call::SetConfig {
                        name,
                        value: Given::Null,
                        ..
                    } if name.contains('.') => expression("''"),
                    _ => (*value).clone(),
                };
                (Some(call), as_text(result))
            }
            ("pg_sleep", [seconds]) => {
                let Some(time) =
                    number(seconds).and_then(|time| Duration::try_from_secs_f64(time).ok())
                else {
                    continue;
                };
                (
                    Some(Call::Sleep(time)),
                    expression("pg_catalog.void_in('')"),
                )
            }
            ("pg_cancel_backend", [pid]) => {
                let Some(pid_given) = number_given(pid) else {
                    continue;
                };
                // The sessions are ours to know: see `own_views`.
                let is_there = format!(
                    "CAST({pid} AS int4) = ANY (ARRAY(SELECT s.pid FROM pg_catalog.pg_stat_ssl s))"
                );
                (Some(Call::Cancel(pid_given)), expression(&is_there))
            }
            ("pg_backend_pid", []) => (None, expression(&format!("CAST({pid} AS int4)"))),
            _ => continue,
        };
        calls.extend(call);
        is_changed = true;
        let alias = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
            _ => Ident::new(name),
        };
        *item = SelectItem::ExprWithAlias {
            expr: result,
            alias,
        };
    }
    is_changed.then(|| (statement.to_string(), calls))
}

/// The name of a system function and its arguments, if that is what an expression is.
fn function(expr: &Expr) -> Option<(String, Vec<&Expr>)> {
    let Expr::Function(Function {
        name,
        args: FunctionArguments::List(list),
        ..
    }) = expr
    else {
        return None;
    };
    let name = match name.0.as_slice() {
        [name] => name,
        [schema, name] if schema.to_string().eq_ignore_ascii_case("pg_catalog") => name,
        _ => return None,
    };
    let args = list
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect::<Option<_>>()?;
    Some((name.to_string().to_lowercase(), args))
}

fn set_config(name: &Expr, value: &Expr, local: &Expr) -> Option<Call> {
    let Given::Text(name) = given(name)? else {
        return None;
    };
    let local = match literal(local)? {
        Value::Boolean(local) => *local,
        value => crate::parse::bool(text(value)?)?,
    };
    Some(Call::SetConfig {
        name,
        value: given(value)?,
        local,
    })
}

/// A number that is given as it is, as a text or as a parameter.
fn number_given(expr: &Expr) -> Option<Given> {
    match literal(expr)? {
        Value::Number(number, _) => Some(Given::Text(number.clone())),
        _ => given(expr),
    }
}

fn given(expr: &Expr) -> Option<Given> {
    match literal(expr)? {
        Value::Null => Some(Given::Null),
        Value::Placeholder(name) => {
            let n: usize = name.strip_prefix('$')?.parse().ok()?;
            Some(Given::Parameter(n.checked_sub(1)?))
        }
        value => text(value).map(|text| Given::Text(text.to_owned())),
    }
}

fn number(expr: &Expr) -> Option<f64> {
    match literal(expr)? {
        Value::Number(number, _) => number.parse().ok(),
        value => text(value)?.trim().parse().ok(),
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
        _ => None,
    }
}

fn as_text(expr: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: DataType::Text,
        array: false,
        format: None,
    }
}

fn expression(sql: &str) -> Expr {
    Parser::new(&PostgreSqlDialect {})
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_expr())
        .expect("our own text is an expression")
}

/// The value under any casts.
fn literal(expr: &Expr) -> Option<&Value> {
    match expr {
        Expr::Value(value) => Some(&value.value),
        Expr::Cast { expr, .. } | Expr::Nested(expr) => literal(expr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn check(sql: &str, expected: Option<(&str, Vec<Call>)>) {
        let statements =
            Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("a statement of the test");
        let taken = take(&statements[0], 7);
        let taken = taken
            .as_ref()
            .map(|(sql, calls)| (sql.as_str(), calls.clone()));
        assert_eq!(taken, expected, "{sql}");
    }

    fn call(name: &str, value: Given, local: bool) -> Call {
        Call::SetConfig {
            name: name.into(),
            value,
            local,
        }
    }

    #[test]
    fn a_call_becomes_its_result() {
        check(
            "SELECT pg_catalog.set_config('search_path', '', false)",
            Some((
                "SELECT CAST('' AS TEXT) AS set_config",
                vec![call("search_path", Given::Text(String::new()), false)],
            )),
        );
        check(
            "select current_setting('jit') AS cur, set_config('jit', $1, true) AS new",
            Some((
                "SELECT current_setting('jit') AS cur, CAST($1 AS TEXT) AS new",
                vec![call("jit", Given::Parameter(0), true)],
            )),
        );
        check(
            "select set_config('a.b', null, 'on')",
            Some((
                "SELECT CAST('' AS TEXT) AS set_config",
                vec![call("a.b", Given::Null, true)],
            )),
        );
    }

    #[test]
    fn the_session_sleeps_and_has_its_own_number() {
        check(
            "select pg_sleep(0.5)",
            Some((
                "SELECT pg_catalog.void_in('') AS pg_sleep",
                vec![Call::Sleep(Duration::from_millis(500))],
            )),
        );
        check(
            "select pg_backend_pid() as pid",
            Some(("SELECT CAST(7 AS INT4) AS pid", vec![])),
        );
    }

    #[test]
    fn the_session_cancels_others() {
        let sql = "select pg_cancel_backend($1), pg_cancel_backend(5)";
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("a statement");
        let (sql, calls) = take(&statements[0], 7).expect("calls");
        let expected = [Given::Parameter(0), Given::Text("5".into())].map(Call::Cancel);
        assert_eq!(calls, expected);
        assert!(sql.starts_with("SELECT CAST($1 AS INT4) = ANY"), "{sql}");
        assert!(sql.ends_with(" AS pg_cancel_backend"), "{sql}");
    }

    #[test]
    fn other_queries_have_no_calls() {
        check("select 1", None);
        check("select pg_sleep(-1)", None);
        check("select set_config('a', 'b', false) from t", None);
        check("select lower(set_config('a', 'b', false))", None);
        check("select set_config(lower('a'), 'b', false)", None);
    }
}
