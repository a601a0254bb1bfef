//! `set_config(name, value, is_local)` in a SELECT: a function that changes the session, which PostgreSQL must not
//! run for us because its session is not ours.
//!
//! Calls in the select list of a query without FROM are taken out and done by the session; the rest of the query is
//! PostgreSQL's. Anywhere else the function is denied.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    SelectItem, SetExpr, Statement, Value,
};

/// One change that a query asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub name: String,
    pub value: Given,
    pub local: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// The default.
    Null,
    Text(String),
    /// A parameter, counted from 0.
    Parameter(usize),
}

/// The query without its calls, which have become their own results, and the calls in order. `None` if it has none.
pub fn take(statement: &Statement) -> Option<(String, Vec<Call>)> {
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
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        let Some((call, value)) = call(expr) else {
            continue;
        };
        calls.push(call);
        let expr = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(value),
            data_type: DataType::Text,
            array: false,
            format: None,
        };
        let alias = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
            _ => Ident::new("set_config"),
        };
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
    (!calls.is_empty()).then(|| (statement.to_string(), calls))
}

/// The call that an expression is, and its value.
fn call(expr: &Expr) -> Option<(Call, Expr)> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else {
        return None;
    };
    let is_set_config = match name.0.as_slice() {
        [name] => name.to_string().eq_ignore_ascii_case("set_config"),
        [schema, name] => {
            schema.to_string().eq_ignore_ascii_case("pg_catalog")
                && name.to_string().eq_ignore_ascii_case("set_config")
        }
        _ => false,
    };
    if !is_set_config {
        return None;
    }
    let args: Vec<&Expr> = list
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let [name, value, local] = args[..] else {
        return None;
    };
    let Given::Text(name) = given(name)? else {
        return None;
    };
    let local = match literal(local)? {
        Value::Boolean(local) => *local,
        _ => crate::parse::bool(text(literal(local)?)?)?,
    };
    Some((Call { name, value: given(value)?, local }, value.clone()))
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

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
        _ => None,
    }
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
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("a statement of the test");
        let taken = take(&statements[0]);
        let taken = taken.as_ref().map(|(sql, calls)| (sql.as_str(), calls.clone()));
        assert_eq!(taken, expected, "{sql}");
    }

    fn call(name: &str, value: Given, local: bool) -> Call {
        Call { name: name.into(), value, local }
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
            Some(("SELECT CAST(NULL AS TEXT) AS set_config", vec![call("a.b", Given::Null, true)])),
        );
    }

    #[test]
    fn other_queries_have_no_calls() {
        check("select 1", None);
        check("select set_config('a', 'b', false) from t", None);
        check("select lower(set_config('a', 'b', false))", None);
        check("select set_config(lower('a'), 'b', false)", None);
    }
}
