//! The few functions that are about the session, and which PostgreSQL must not run for us because its session is not
//! ours: `set_config`, `pg_sleep`, `pg_cancel_backend`, `pg_terminate_backend` and `pg_backend_pid`.
//!
//! Calls in the select list of a query without FROM are taken out and done by the session; the rest of the query is
//! PostgreSQL's. Other sessions are cancelled and ended for each row of a query, too. Anywhere else the calls are denied, and `pg_backend_pid` is what [`crate::own_views`] says.

use std::time::Duration;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    Select, SelectItem, SetExpr, Statement, Value,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::registry::Signal;

/// What the session has to do for a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    SetConfig {
        name: String,
        value: Given,
        local: bool,
        /// Where the new value is shown, counted from 0.
        column: usize,
    },
    Sleep(Duration),
    /// To the sessions whose numbers are the last column of this query, which has the parameters of the whole.
    Signal {
        signal: Signal,
        pids: String,
    },
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
    let select = select_of(&mut statement)?;
    let has_rows = !select.from.is_empty();
    let mut calls = Vec::new();
    let mut signals = Vec::new();
    let mut is_changed = false;
    for (column, item) in select.projection.iter_mut().enumerate() {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        let Some((name, args)) = function(expr) else {
            continue;
        };
        let (call, result) = match (name.as_str(), &args[..]) {
            (name, [pid]) if let Some(signal) = signal_of(name) => {
                signals.push((signal, (*pid).clone()));
                // The sessions are ours to know: see `own_views`.
                let is_there = format!(
                    "CAST({pid} AS int4) = ANY (ARRAY(SELECT s.pid FROM pg_catalog.pg_stat_ssl s))"
                );
                (None, expression(&is_there))
            }
            _ if has_rows => continue,
            ("set_config", [name, value, local]) => {
                let Some(call) = set_config(name, value, local, column) else {
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
    for (signal, pid) in signals {
        let mut asked = statement.clone();
        let pid = expression(&format!("CAST({pid} AS int4)"));
        let items = &mut select_of(&mut asked)?.projection;
        items.push(SelectItem::UnnamedExpr(pid));
        let pids = asked.to_string();
        calls.push(Call::Signal { signal, pids });
    }
    is_changed.then(|| (statement.to_string(), calls))
}

fn signal_of(name: &str) -> Option<Signal> {
    match name {
        "pg_cancel_backend" => Some(Signal::Cancel),
        "pg_terminate_backend" => Some(Signal::Terminate),
        _ => None,
    }
}

fn select_of(statement: &mut Statement) -> Option<&mut Select> {
    let Statement::Query(query) = statement else {
        return None;
    };
    match &mut *query.body {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
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

fn set_config(name: &Expr, value: &Expr, local: &Expr, column: usize) -> Option<Call> {
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
        column,
    })
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

    fn call(name: &str, value: Given, local: bool, column: usize) -> Call {
        Call::SetConfig {
            name: name.into(),
            value,
            local,
            column,
        }
    }

    #[test]
    fn a_call_becomes_its_result() {
        check(
            "SELECT pg_catalog.set_config('search_path', '', false)",
            Some((
                "SELECT CAST('' AS TEXT) AS set_config",
                vec![call("search_path", Given::Text(String::new()), false, 0)],
            )),
        );
        check(
            "select current_setting('jit') AS cur, set_config('jit', $1, true) AS new",
            Some((
                "SELECT current_setting('jit') AS cur, CAST($1 AS TEXT) AS new",
                vec![call("jit", Given::Parameter(0), true, 1)],
            )),
        );
        check(
            "select set_config('a.b', null, 'on')",
            Some((
                "SELECT CAST('' AS TEXT) AS set_config",
                vec![call("a.b", Given::Null, true, 0)],
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
    fn the_session_cancels_and_ends_others() {
        let sql = "select pg_cancel_backend(s.pid), s.pid from pg_stat_activity s where s.usename = $1 order by 2";
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("a statement");
        let (sql, calls) = take(&statements[0], 7).expect("a call");
        assert!(sql.starts_with("SELECT CAST(s.pid AS INT4) = ANY"), "{sql}");
        let rest = " FROM pg_stat_activity s WHERE s.usename = $1 ORDER BY 2";
        assert!(
            sql.ends_with(&format!(" AS pg_cancel_backend, s.pid{rest}")),
            "{sql}"
        );
        let [Call::Signal { signal, pids }] = calls.as_slice() else {
            panic!("{calls:?}");
        };
        assert_eq!(*signal, Signal::Cancel);
        assert!(
            pids.ends_with(&format!(", s.pid, CAST(s.pid AS INT4){rest}")),
            "{pids}"
        );
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
