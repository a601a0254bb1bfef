//! `string_agg(a, ',' ORDER BY b)` beside one in another order: DataFusion computes one order of `string_agg` at a time,
//! any number of `array_agg`, and one of `array_agg(DISTINCT a)`, whose values are sorted behind it.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, ObjectName, OrderByExpr, Select, Value,
};

use crate::{
    syntax::plain_name,
    tree::{call, visit_own_functions},
};

/// Changes nothing where all are in the same order.
pub(crate) fn spell_out(select: &mut Select) {
    each_where_orders_differ(select, |expr| order(expr, "string_agg"), joined);
    let distinct = |expr: &Expr| {
        let is_distinct = matches!(expr, Expr::Function(Function { args: FunctionArguments::List(list), .. })
            if list.duplicate_treatment == Some(DuplicateTreatment::Distinct));
        order(expr, "array_agg").filter(|_| is_distinct)
    };
    each_where_orders_differ(select, distinct, sorted);
}

fn each_where_orders_differ(
    select: &mut Select,
    order: impl Fn(&Expr) -> Option<Vec<OrderByExpr>>,
    change: impl Fn(&Expr) -> Option<Expr>,
) {
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
            && let Some(changed) = change(expr)
        {
            *expr = changed;
        }
    });
}

fn visit(select: &mut Select, mut visit: impl FnMut(&mut Expr)) {
    visit_own_functions(&mut select.projection, &mut visit);
    visit_own_functions(&mut select.having, &mut visit);
}

/// What an aggregate of that name is ordered by.
fn order(expr: &Expr, name: &str) -> Option<Vec<OrderByExpr>> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let is_it = plain_name(&function.name).is_some_and(|own| own == name);
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

/// `array_sort(array_agg(DISTINCT a), 'DESC', 'NULLS FIRST')`
fn sorted(expr: &Expr) -> Option<Expr> {
    let [key] = order(expr, "array_agg")?.try_into().ok()?;
    let Expr::Function(mut collected) = expr.clone() else {
        return None;
    };
    if let FunctionArguments::List(list) = &mut collected.args {
        list.clauses.clear();
    }
    let text = |text: &str| Expr::Value(Value::SingleQuotedString(text.to_owned()).into());
    let is_descending = key.options.asc == Some(false);
    let nulls_first = key.options.nulls_first.unwrap_or(is_descending);
    let direction = text(if is_descending { "DESC" } else { "ASC" });
    let nulls = text(if nulls_first {
        "NULLS FIRST"
    } else {
        "NULLS LAST"
    });
    let collected = Expr::Function(collected);
    Some(call("array_sort", vec![collected, direction, nulls]))
}
