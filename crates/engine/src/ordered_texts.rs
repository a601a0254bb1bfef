//! `string_agg(a, ',' ORDER BY b)` beside one in another order: DataFusion computes one order of `string_agg` at a time,
//! and any number of `array_agg`.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
    Ident, ObjectName, OrderByExpr, Select, Value,
};

use crate::tree::{call, visit_own_functions};

/// Changes nothing where all are in the same order.
pub(crate) fn spell_out(select: &mut Select) {
    let mut orders: Vec<Vec<OrderByExpr>> = vec![];
    visit(select, |expr| {
        if let Some(order) = order(expr)
            && !orders.contains(&order)
        {
            orders.push(order);
        }
    });
    if orders.len() < 2 {
        return;
    }
    visit(select, |expr| {
        if order(expr).is_some()
            && let Some(joined) = joined(expr)
        {
            *expr = joined;
        }
    });
}

fn visit(select: &mut Select, mut visit: impl FnMut(&mut Expr)) {
    visit_own_functions(&mut select.projection, &mut visit);
    visit_own_functions(&mut select.having, &mut visit);
}

/// What a `string_agg` is ordered by.
fn order(expr: &Expr) -> Option<Vec<OrderByExpr>> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let is_it = matches!(function.name.0.as_slice(), [name]
        if name.as_ident().is_some_and(|name| name.value.eq_ignore_ascii_case("string_agg")));
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    if !is_it || function.over.is_some() {
        return None;
    }
    list.clauses.iter().find_map(|clause| match clause {
        FunctionArgumentClause::OrderBy(order) => Some(order.clone()),
        _ => None,
    })
}

/// `array_to_string(array_agg(a ORDER BY b) FILTER (WHERE a IS NOT NULL), ',')`
fn joined(expr: &Expr) -> Option<Expr> {
    let Expr::Function(mut collected) = expr.clone() else {
        return None;
    };
    collected.name = ObjectName::from(vec![Ident::new("array_agg")]);
    let FunctionArguments::List(list) = &mut collected.args else {
        return None;
    };
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(separator)),
    ] = list.args.as_slice()
    else {
        return None;
    };
    // NULL parts nothing there, and everything here.
    let is_text = matches!(separator, Expr::Value(value)
        if matches!(value.value, Value::SingleQuotedString(_)));
    if !is_text {
        return None;
    }
    let (value, separator) = (value.clone(), separator.clone());
    list.args.truncate(1);
    let is_there = Expr::IsNotNull(Box::new(value));
    collected.filter = Some(Box::new(match collected.filter.take() {
        Some(filter) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(filter)),
            op: BinaryOperator::And,
            right: Box::new(is_there),
        },
        None => is_there,
    }));
    Some(call(
        "array_to_string",
        vec![Expr::Function(collected), separator],
    ))
}
