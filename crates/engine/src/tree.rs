//! Bounds on a syntax tree, and the folding that keeps long chains of AND and OR within them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, LimitClause, ObjectName, OrderByExpr, OrderByOptions, Query, SetExpr,
    Statement, TableFactor, Value, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut, WindowSpec,
    WindowType, visit_expressions,
};

use crate::{Error, Limits, Result};

/// Turns `a = 1 OR a = 2 OR …` into `a IN (1, 2, …)`, and what remains of long chains into balanced trees.
pub(crate) fn flatten(statement: &mut Statement) {
    let _ = statement.visit(&mut Flatten);
}

/// Counts nodes and levels. Values of a VALUES list are not counted: their number is bounded by the text's length.
pub(crate) fn check(statement: &Statement, limits: &Limits) -> Result<()> {
    let mut counter = Counter {
        nodes: 0,
        relations: 0,
        depth: 0,
        limits,
    };
    match statement.visit(&mut counter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(what) => Err(Error::TooComplex { what }),
    }
}

/// Without the parentheses around it.
pub(crate) fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

const SHORT_CHAIN: usize = 8;

struct Flatten;

impl VisitorMut for Flatten {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        fetch_as_limit(query);
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause {
            limit.iter_mut().for_each(whole);
            let offsets = offset.iter_mut().map(|offset| &mut offset.value);
            offsets.for_each(whole);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::AtTimeZone {
            timestamp,
            time_zone,
        } = expr
        {
            let arguments = vec![take(time_zone), take(timestamp)];
            *expr = call("timezone", arguments);
            return ControlFlow::Continue(());
        }
        if let Expr::BinaryOp {
            op: op @ (BinaryOperator::And | BinaryOperator::Or),
            ..
        } = expr
        {
            let op = op.clone();
            let mut terms = chain(expr, &op);
            if terms.len() <= SHORT_CHAIN {
                *expr = in_sequence(terms, &op);
                return ControlFlow::Continue(());
            }
            if op == BinaryOperator::Or {
                terms = fold_equalities(terms);
            }
            *expr = balanced(terms, &op);
        }
        ControlFlow::Continue(())
    }
}

/// `FETCH NEXT 5 ROWS ONLY` is `LIMIT 5`, which DataFusion knows.
/// PostgreSQL takes `LIMIT '2'` and `LIMIT 1.5`, which is 2.
fn whole(count: &mut Expr) {
    let Expr::Value(ValueWithSpan { value, .. }) = count else {
        return;
    };
    let rounded = match value {
        Value::SingleQuotedString(text) => text.trim().parse::<i64>().ok(),
        Value::Number(text, _) if text.contains('.') => {
            text.parse::<f64>().ok().map(|count| count.round() as i64)
        }
        _ => None,
    };
    if let Some(rounded) = rounded {
        *value = Value::Number(rounded.to_string(), false);
    }
}

fn fetch_as_limit(query: &mut Query) {
    let Some(fetch) = &query.fetch else { return };
    if fetch.with_ties || fetch.percent {
        return;
    }
    let one = Expr::Value(Value::Number("1".to_owned(), false).into());
    let limit = Some(fetch.quantity.clone().unwrap_or(one));
    match &mut query.limit_clause {
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit,
                offset: None,
                limit_by: vec![],
            });
        }
        Some(LimitClause::LimitOffset {
            limit: none @ None, ..
        }) => *none = limit,
        Some(_) => return,
    }
    query.fetch = None;
}

/// The terms of `a OR b OR c`, left to right, taken out of the expression.
fn chain(expr: &mut Expr, op: &BinaryOperator) -> Vec<Expr> {
    let mut terms = vec![];
    let mut rest = vec![take(expr)];
    while let Some(next) = rest.pop() {
        match next {
            Expr::BinaryOp {
                left,
                op: inner,
                right,
            } if inner == *op => {
                rest.push(*right);
                rest.push(*left);
            }
            term => terms.push(term),
        }
    }
    terms
}

pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments
        .into_iter()
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// A column whose name is taken as it stands.
pub(crate) fn column(name: &str) -> Expr {
    Expr::Identifier(Ident::with_quote('"', name))
}

/// A key of an ORDER BY that says no more.
pub(crate) fn ascending(expr: Expr) -> OrderByExpr {
    OrderByExpr {
        expr,
        options: OrderByOptions {
            asc: None,
            nulls_first: None,
        },
        with_fill: None,
    }
}

/// A call without arguments over all rows in that order.
pub(crate) fn call_over(name: &str, order_by: Vec<OrderByExpr>) -> Expr {
    let mut made = call(name, vec![]);
    if let Expr::Function(function) = &mut made {
        function.over = Some(WindowType::WindowSpec(WindowSpec {
            window_name: None,
            partition_by: vec![],
            order_by,
            window_frame: None,
        }));
    }
    made
}

/// Whether any function is called there: it may be an aggregate.
pub(crate) fn calls(part: &impl Visit) -> bool {
    visit_expressions(part, |expr| match expr {
        Expr::Function(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// Whether there is a sub-query among the expressions.
pub(crate) fn asks(part: &impl Visit) -> bool {
    visit_expressions(part, |expr| match expr {
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// Whether it is the word DEFAULT, in the place of a value.
pub(crate) fn is_default(value: &Expr) -> bool {
    matches!(value, Expr::Identifier(ident)
        if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

/// The functions that are called there, those of sub-queries left out, each behind what it is given.
pub(crate) fn visit_own_functions(part: &mut impl VisitMut, visit: impl FnMut(&mut Expr)) {
    struct Own<F> {
        depth: usize,
        visit: F,
    }
    impl<F: FnMut(&mut Expr)> VisitorMut for Own<F> {
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
            if self.depth == 0 && matches!(expr, Expr::Function(_)) {
                (self.visit)(expr);
            }
            ControlFlow::Continue(())
        }
    }
    let _ = part.visit(&mut Own { depth: 0, visit });
}

pub(crate) fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.into()))
}

fn in_sequence(terms: Vec<Expr>, op: &BinaryOperator) -> Expr {
    terms
        .into_iter()
        .reduce(|left, right| binary(left, op, right))
        .expect("a chain has terms")
}

fn balanced(mut terms: Vec<Expr>, op: &BinaryOperator) -> Expr {
    if terms.len() <= 2 {
        return in_sequence(terms, op);
    }
    let right = terms.split_off(terms.len() / 2);
    binary(balanced(terms, op), op, balanced(right, op))
}

fn binary(left: Expr, op: &BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    }
}

fn fold_equalities(terms: Vec<Expr>) -> Vec<Expr> {
    let mut folded: Vec<Expr> = vec![];
    let mut lists: Vec<(String, usize)> = vec![];
    for term in terms {
        let (column, literal) = match term {
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Eq,
                right,
            } if matches!(*left, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                && matches!(*right, Expr::Value(_)) =>
            {
                (left, *right)
            }
            other => {
                folded.push(other);
                continue;
            }
        };
        let name = column.to_string();
        match lists.iter().find(|(known, _)| *known == name) {
            Some((_, at)) => {
                if let Expr::InList { list, .. } = &mut folded[*at] {
                    list.push(literal);
                }
            }
            None => {
                lists.push((name, folded.len()));
                folded.push(Expr::InList {
                    expr: column,
                    list: vec![literal],
                    negated: false,
                });
            }
        }
    }
    folded
}

struct Counter<'a> {
    nodes: usize,
    relations: usize,
    depth: usize,
    limits: &'a Limits,
}

impl Counter<'_> {
    fn enter(&mut self) -> ControlFlow<String> {
        self.nodes += 1;
        self.depth += 1;
        if self.nodes > self.limits.max_nodes {
            return ControlFlow::Break(format!("it has more than {} parts", self.limits.max_nodes));
        }
        if self.depth > self.limits.max_depth {
            return ControlFlow::Break(format!(
                "it is nested over {} levels",
                self.limits.max_depth
            ));
        }
        ControlFlow::Continue(())
    }

    fn leave(&mut self) -> ControlFlow<String> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

impl Visitor for Counter<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let mut set = &*query.body;
        let mut levels = 0;
        while let SetExpr::SetOperation { left, .. } = set {
            levels += 1;
            set = left;
        }
        if levels > self.limits.max_depth {
            return ControlFlow::Break(format!("it has over {} unions", self.limits.max_depth));
        }
        self.enter()
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<String> {
        self.leave()
    }

    fn pre_visit_table_factor(&mut self, _factor: &TableFactor) -> ControlFlow<String> {
        self.relations += 1;
        if self.relations > self.limits.max_depth {
            return ControlFlow::Break(format!("it reads over {} tables", self.limits.max_depth));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        if matches!(expr, Expr::Value(ValueWithSpan { .. })) {
            self.depth += 1;
            return ControlFlow::Continue(());
        }
        self.enter()
    }

    fn post_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<String> {
        self.leave()
    }
}
