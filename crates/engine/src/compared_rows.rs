//! `x > ALL (SELECT …)`, `x <> ANY (SELECT …)`: said by the least, the greatest and the number of the rows, and by IN where
//! that means the same. `SELECT x IN (SELECT …)`, which DataFusion joins as a condition only: said by numbers of rows.
//! `(a, b) = (SELECT …)`: the comparison is the sub-query's. `x IN (VALUES (1), (2))` is a list.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, SelectItem, SetExpr, UnaryOperator, Value, VisitMut,
    VisitorMut,
};

use crate::{
    names::PRIVATE,
    quantified,
    rephrase::{is_outer, relations},
    reword::expression,
    row_values::values,
    tree::{bare, take},
};

/// Changes the expression if it is such a comparison. `None` if it is not, or of an operator that has no order.
pub(crate) fn spell_out(expr: &mut Expr) -> Option<()> {
    if let Some(list) = list_of_values(expr) {
        *expr = list;
        return Some(());
    }
    if let Some(compared) = compared_row(expr) {
        *expr = compared;
        return Some(());
    }
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
    if let Some(values) = values(left) {
        if quantified::takes(operator) {
            *expr = decided_row(&values, operator, query, !is_all, !is_all)?;
        }
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

/// `x IN (1, 3)` of `x IN (VALUES (1), (3))`.
fn list_of_values(expr: &mut Expr) -> Option<Expr> {
    let Expr::InSubquery {
        expr: left,
        subquery,
        negated,
    } = expr
    else {
        return None;
    };
    let is_plain = subquery.with.is_none()
        && subquery.order_by.is_none()
        && subquery.limit_clause.is_none()
        && subquery.fetch.is_none();
    let SetExpr::Values(rows) = &mut *subquery.body else {
        return None;
    };
    let width = values(left).map_or(1, |values| values.len());
    let mut all = rows.rows.iter();
    if !is_plain || !all.all(|row| row.content.len() == width) {
        return None;
    }
    let rows = rows.rows.iter_mut().map(|row| match width {
        1 => take(&mut row.content[0]),
        _ => Expr::Tuple(std::mem::take(&mut row.content)),
    });
    Some(Expr::InList {
        list: rows.collect(),
        expr: Box::new(match values(left).as_deref() {
            Some([only]) => only.clone(),
            _ => take(left),
        }),
        negated: *negated,
    })
}

/// `(SELECT ROW(a, b) = ROW(x, y) FROM (SELECT …) AS rows (x, y))` of `(a, b) = (SELECT …)`.
fn compared_row(expr: &Expr) -> Option<Expr> {
    let Expr::BinaryOp { left, op, right } = expr else {
        return None;
    };
    let (Some(values), Expr::Subquery(query)) = (values(left), right.as_ref()) else {
        return None;
    };
    if !quantified::takes(op) {
        return None;
    }
    let (columns, rows) = named_rows(query, values.len());
    let row = |values: Vec<String>| format!("ROW({})", values.join(", "));
    let (left, right) = (row(texts(&values)), row(columns));
    expression(&format!("(SELECT {left} {op} {right} {rows})"))
}

fn texts(values: &[Expr]) -> Vec<String> {
    values.iter().map(|value| format!("({value})")).collect()
}

/// Names for the columns of a query, and a FROM that gives them.
fn named_rows(query: &Query, width: usize) -> (Vec<String>, String) {
    let columns = (0..width).map(|at| format!("\"{PRIVATE}value{at}\""));
    let columns: Vec<String> = columns.collect();
    let rows = format!(
        "FROM ({query}) AS \"{PRIVATE}rows\"({})",
        columns.join(", ")
    );
    (columns, rows)
}

/// `(a, b) IN (SELECT …)`, `(a, b) > ALL (SELECT …)`: a row that compares so, or that does not, decides; and then one that may.
fn decided_row(
    values: &[Expr],
    op: &BinaryOperator,
    query: &Query,
    decides: bool,
    decision: bool,
) -> Option<Expr> {
    let (columns, rows) = named_rows(query, values.len());
    let (left, right) = (texts(values).join(", "), columns.join(", "));
    let holds = format!("ROW({left}) {op} ROW({right})");
    let is_it = if decides { "" } else { "NOT " };
    expression(&format!(
        "(CASE WHEN (SELECT count(*) {rows} WHERE {is_it}({holds})) > 0 THEN {decision} \
         WHEN (SELECT count(*) {rows} WHERE ({holds}) IS NULL) > 0 THEN NULL ELSE {} END)",
        !decision
    ))
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
            if is_plain
                && matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                && !is_outer(expr, &relations(select)) =>
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

/// Of a condition: where it matters whether IN is false or unknown. Elsewhere it is joined.
pub(crate) fn count_members_within(condition: &mut Expr) {
    count_where_it_matters(condition, true);
}

/// `must_hold`: of a condition that is nothing but true.
fn count_where_it_matters(condition: &mut Expr, must_hold: bool) {
    if let Expr::UnaryOp {
        op: UnaryOperator::Not,
        expr,
    } = condition
        && let Expr::InSubquery { .. } = bare(expr)
    {
        let mut asked = bare(expr).clone();
        if let Expr::InSubquery { negated, .. } = &mut asked {
            *negated = !*negated;
        }
        *condition = asked;
    }
    match condition {
        Expr::BinaryOp {
            left,
            op: op @ (BinaryOperator::And | BinaryOperator::Or),
            right,
        } => {
            let must_hold = must_hold && *op == BinaryOperator::And;
            count_where_it_matters(left, must_hold);
            count_where_it_matters(right, must_hold);
        }
        Expr::Nested(inner) => count_where_it_matters(inner, must_hold),
        Expr::InSubquery { expr, negated, .. }
            if must_hold || !*negated && values(expr).is_none() => {}
        condition => {
            let _ = condition.visit(&mut Members { depth: 0 });
        }
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
        {
            let counted = match values(left) {
                Some(values) => decided_row(&values, &BinaryOperator::Eq, subquery, true, !negated),
                None => {
                    let equal = format!(
                        "(SELECT count(*) FROM ({subquery}) AS \"{PRIVATE}rows\"(\"{PRIVATE}value\") \
                         WHERE \"{PRIVATE}value\" = ({left})) > 0"
                    );
                    decided(left, subquery, &equal, !negated)
                }
            };
            if let Some(counted) = counted {
                *expr = counted;
            }
        }
        ControlFlow::Continue(())
    }
}
