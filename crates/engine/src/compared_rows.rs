//! `x > ALL (SELECT …)`, `x <> ANY (SELECT …)`: said by the least, the greatest and the number of the rows, and by IN where
//! that means the same. `SELECT x IN (SELECT …)`, which DataFusion joins as a condition only: said by numbers of rows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, SelectItem, SetExpr, Value, VisitMut, VisitorMut,
};

use crate::{names::PRIVATE, reword::expression};

/// Changes the expression if it is such a comparison. `None` if it is not, or of an operator that has no order.
pub(crate) fn spell_out(expr: &mut Expr) -> Option<()> {
    let (left, operator, right, is_all) = match expr {
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => (left, compare_op, right, false),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => (left, compare_op, right, true),
        _ => return None,
    };
    let Expr::Subquery(query) = right.as_ref() else {
        return None;
    };
    if let (BinaryOperator::Eq, false) | (BinaryOperator::NotEq, true) = (&*operator, is_all) {
        let left = std::mem::replace(left, Box::new(Expr::Value(Value::Null.into())));
        *expr = Expr::InSubquery {
            expr: left,
            subquery: query.clone(),
            negated: is_all,
        };
        return Some(());
    }
    let (least, greatest) = (of_rows("min", query), of_rows("max", query));
    // One row decides: of ANY that it holds, of ALL that it does not.
    let differs = format!("({left}) <> {least} OR ({left}) <> {greatest}");
    let decides = match (&*operator, is_all) {
        (BinaryOperator::Gt, false) => format!("({left}) > {least}"),
        (BinaryOperator::GtEq, false) => format!("({left}) >= {least}"),
        (BinaryOperator::Lt, false) => format!("({left}) < {greatest}"),
        (BinaryOperator::LtEq, false) => format!("({left}) <= {greatest}"),
        (BinaryOperator::Gt, true) => format!("({left}) <= {greatest}"),
        (BinaryOperator::GtEq, true) => format!("({left}) < {greatest}"),
        (BinaryOperator::Lt, true) => format!("({left}) >= {least}"),
        (BinaryOperator::LtEq, true) => format!("({left}) > {least}"),
        (BinaryOperator::NotEq, false) | (BinaryOperator::Eq, true) => differs,
        _ => return None,
    };
    *expr = decided(left, query, &decides, !is_all)?;
    Some(())
}

/// What a row decides if there is one that does; otherwise the opposite, unless something is not known.
fn decided(left: &Expr, query: &Query, decides: &str, decision: bool) -> Option<Expr> {
    let (all, known) = (of_rows("count(*)", query), of_rows("count", query));
    let otherwise = !decision;
    expression(&format!(
        "(CASE WHEN {decides} THEN {decision} WHEN {all} = 0 THEN {otherwise} \
         WHEN ({left}) IS NULL OR {known} < {all} THEN NULL ELSE {otherwise} END)"
    ))
}

/// An aggregate of the query's only column.
fn of_rows(aggregate: &str, query: &Query) -> String {
    let of = |value: &str| match aggregate {
        "count(*)" => aggregate.to_owned(),
        _ => format!("{aggregate}({value})"),
    };
    match plain_column(query) {
        // Its conditions can look at the row outside only if nothing stands between.
        Some(column) => {
            let mut query = query.clone();
            if let (SetExpr::Select(select), Some(expr)) =
                (&mut *query.body, expression(&of(&column)))
            {
                select.projection = vec![SelectItem::UnnamedExpr(expr)];
            }
            query.order_by = None;
            format!("({query})")
        }
        None => format!(
            "(SELECT {} FROM ({query}) AS \"{PRIVATE}rows\"(\"{PRIVATE}value\"))",
            of(&format!("\"{PRIVATE}value\""))
        ),
    }
}

/// The column of a query that only filters.
fn plain_column(query: &Query) -> Option<String> {
    let SetExpr::Select(select) = &*query.body else {
        return None;
    };
    let is_plain = query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && select.distinct.is_none()
        && select.having.is_none()
        && !select.from.is_empty()
        && matches!(&select.group_by, GroupByExpr::Expressions(by, with) if by.is_empty() && with.is_empty());
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }]
            if is_plain && matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) =>
        {
            Some(expr.to_string())
        }
        _ => None,
    }
}

/// Of what is selected: IN becomes numbers of rows.
pub(crate) fn count_members(item: &mut SelectItem) {
    if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
        let _ = expr.visit(&mut Members { depth: 0 });
    }
}

struct Members {
    depth: usize,
}

impl VisitorMut for Members {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::InSubquery {
                expr: left,
                subquery,
                negated,
            } = &*expr
            && !matches!(left.as_ref(), Expr::Tuple(_))
        {
            let equal = format!(
                "(SELECT count(*) FROM ({subquery}) AS \"{PRIVATE}rows\"(\"{PRIVATE}value\") \
                 WHERE \"{PRIVATE}value\" = ({left})) > 0"
            );
            if let Some(counted) = decided(left, subquery, &equal, !negated) {
                *expr = counted;
            }
        }
        ControlFlow::Continue(())
    }
}
