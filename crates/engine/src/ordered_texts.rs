//! `string_agg(a, ',' ORDER BY b)` beside one in another order: DataFusion computes one order of `string_agg` at a time,
//! and any number of `array_agg`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, ObjectName, OrderByExpr, Query, Select, VisitMut, VisitorMut,
};

use crate::tree::call;

/// Changes nothing where all are in the same order.
pub(crate) fn spell_out(select: &mut Select) {
    let mut found = Texts {
        depth: 0,
        orders: vec![],
        rewrites: false,
    };
    let _ = visit(select, &mut found);
    if found.orders.len() > 1 {
        found.rewrites = true;
        let _ = visit(select, &mut found);
    }
}

fn visit(select: &mut Select, texts: &mut Texts) -> ControlFlow<()> {
    select.projection.visit(texts)?;
    select.having.visit(texts)
}

struct Texts {
    /// Of sub-queries, which have their own.
    depth: usize,
    /// All that differ.
    orders: Vec<Vec<OrderByExpr>>,
    rewrites: bool,
}

impl VisitorMut for Texts {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let Some(order) = order(function) else {
            return ControlFlow::Continue(());
        };
        if !self.orders.contains(&order) {
            self.orders.push(order);
        }
        if self.rewrites
            && let Some(joined) = joined(function)
        {
            *expr = joined;
        }
        ControlFlow::Continue(())
    }
}

/// What a `string_agg` is ordered by.
fn order(function: &Function) -> Option<Vec<OrderByExpr>> {
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
fn joined(function: &Function) -> Option<Expr> {
    let mut collected = function.clone();
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
