//! What PostgreSQL refuses before it looks at a table, and DataFusion takes.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, GroupByExpr, OrderBy, OrderByKind, Query, SetExpr, Value,
};
use rapport_udf_postgres::refusal::Refusal;

use crate::{Error, Result, syntax::plain_name, tree::bare};

/// 42601 for `ORDER BY 'name'` and `GROUP BY 'name'`, which would order and group by nothing.
pub(crate) fn check_query(query: &Query) -> Result<()> {
    if let Some(OrderBy {
        kind: OrderByKind::Expressions(keys),
        ..
    }) = &query.order_by
    {
        check_constants(keys.iter().map(|key| &key.expr), "ORDER BY")?;
    }
    if let SetExpr::Select(select) = query.body.as_ref()
        && let GroupByExpr::Expressions(keys, _) = &select.group_by
    {
        check_constants(keys.iter(), "GROUP BY")?;
    }
    Ok(())
}

fn check_constants<'a>(mut keys: impl Iterator<Item = &'a Expr>, clause: &str) -> Result<()> {
    let is_constant = |key: &Expr| match bare(key) {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.contains(['.', 'e', 'E']),
            Value::Placeholder(_) => false,
            _ => true,
        },
        _ => false,
    };
    match keys.any(is_constant) {
        true => Err(Error::Syntax {
            message: format!("non-integer constant in {clause}"),
            position: None,
        }),
        false => Ok(()),
    }
}

/// 42809 for `count()`.
pub(crate) fn check_call(expr: &Expr) -> Result<()> {
    let Expr::Function(Function {
        name,
        args: FunctionArguments::List(list),
        ..
    }) = expr
    else {
        return Ok(());
    };
    if list.args.is_empty() && plain_name(name).is_some_and(|name| name == "count") {
        let message = "count(*) must be used to call a parameterless aggregate function";
        return Err(Error::Refused(Refusal::new("42809", message)));
    }
    Ok(())
}
