//! What DataFusion has no plan for, said in other words that mean the same.
//!
//! - `(SELECT name FROM p WHERE p.id = o.id)`, and the same with `ORDER BY … LIMIT 1`: only a sub-query that aggregates is
//!   joined, so it becomes one, by the functions of `one_row`.
//! - `WHERE (a, b) IN (SELECT …)`, and with NOT IN: a correlated EXISTS.
//! - `GROUP BY ROLLUP (1, 2)`, `DISTINCT ON (1)`: the columns in place of their numbers.
//! - `SELECT generate_series(1, 3)`: the list of them, unnested.
//! - `SELECT EXISTS (…)`: a count that is not zero.
//! - `text::bit(64)::bigint`: the function of `bits`.
//! - `GROUP BY at, at::date` and `avg(a), avg(a::float8)`: DataFusion names an expression without its casts, and refuses
//!   two of one name; there the casts go through a function, which is named with its arguments.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    sync::Arc,
};

use arrow::datatypes::{DataType, FieldRef};

use datafusion::common::Result as PlanResult;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::{
    ast::{
        self, BinaryOperator, Distinct, Expr, Function, FunctionArg, FunctionArgExpr,
        FunctionArgumentClause, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident,
        LimitClause, ObjectName, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr,
        Statement, TableFactor, Value, VisitMut, VisitorMut,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use crate::{
    bits::BITS,
    names::{PRIVATE, folded},
    one_row::{ONE_ROW, VALUE},
    row_values::values,
    set_returning::with_type,
    tree::calls,
};

/// `is_aggregate` says it of a function's name.
pub(crate) fn rephrase(statement: &mut Statement, is_aggregate: impl Fn(&str) -> bool) {
    let _ = statement.visit(&mut Rephrase { is_aggregate });
}

struct Rephrase<F> {
    is_aggregate: F,
}

impl<F: Fn(&str) -> bool> VisitorMut for Rephrase<F> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if has_casts_to_tell_apart(query) {
            tell_casts_apart(query);
        }
        let mut bodies = vec![&mut *query.body];
        while let Some(body) = bodies.pop() {
            match body {
                SetExpr::Select(select) => {
                    name_grouped_columns(select);
                    select.selection.iter_mut().for_each(rows_exist);
                    select.projection.iter_mut().for_each(|item| {
                        if let SelectItem::UnnamedExpr(expr)
                        | SelectItem::ExprWithAlias { expr, .. } = item
                        {
                            unnest_series(expr);
                            count_what_exists(expr);
                        }
                    });
                    if let GroupByExpr::Expressions(by, _) = &mut select.group_by {
                        by.iter_mut().for_each(unnest_series);
                        by.iter_mut().for_each(count_what_exists);
                    }
                }
                SetExpr::SetOperation { left, right, .. } => bodies.extend([&mut **left, right]),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(rephrased) = number_of_bits(expr) {
            *expr = rephrased;
        }
        if let Expr::Subquery(query) = expr
            && self.aggregate(query)
        {
            let query = Expr::Subquery(query.clone());
            *expr = call(VALUE, vec![query], vec![]);
        }
        ControlFlow::Continue(())
    }
}

impl<F: Fn(&str) -> bool> Rephrase<F> {
    /// Makes the sub-query aggregate its one column, if it does not. Whether the value is to be taken out of that.
    fn aggregate(&self, query: &mut Query) -> bool {
        if query.with.is_some() || !is_correlated(query) {
            return false;
        }
        let Some(order_by) = first_of(query) else {
            return false;
        };
        let SetExpr::Select(select) = &mut *query.body else {
            return false;
        };
        let is_plain = select.distinct.is_none()
            && select.having.is_none()
            && !select.from.is_empty()
            && matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
        let own = relations(select);
        let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
            select.projection.as_mut_slice()
        else {
            return false;
        };
        // An aggregate of another query's columns is that query's.
        if !is_plain || self.aggregates(item) || is_outer(item, &own) {
            return false;
        }
        let value = std::mem::replace(item, Expr::Value(Value::Null.into()));
        query.order_by = None;
        let any = query.limit_clause.take().is_none();
        *item = match any {
            true => call(ONE_ROW, vec![value], vec![]),
            false => call("first_value", vec![value], order_by),
        };
        any
    }

    fn aggregates(&self, expr: &Expr) -> bool {
        let found = ast::visit_expressions(expr, |expr| match expr {
            Expr::Function(function)
                if function.over.is_some() || (self.is_aggregate)(&last(&function.name)) =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        });
        found.is_break()
    }
}

/// The order of a query that says `LIMIT 1`, or nothing of order and limits.
fn first_of(query: &Query) -> Option<Vec<OrderByExpr>> {
    let order_by = match &query.order_by {
        None => vec![],
        Some(order_by) => match &order_by.kind {
            OrderByKind::Expressions(exprs) => exprs.clone(),
            OrderByKind::All(_) => return None,
        },
    };
    let by_number = |order: &OrderByExpr| matches!(order.expr, Expr::Value(_));
    match &query.limit_clause {
        None => Some(vec![]),
        Some(LimitClause::LimitOffset {
            limit: Some(Expr::Value(limit)),
            offset: None,
            ..
        }) if limit.to_string() == "1" && !order_by.iter().any(by_number) => Some(order_by),
        Some(_) => None,
    }
}

/// Whether the query calls a column by a relation that is not its own.
fn is_correlated(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else {
        return false;
    };
    let own = relations(select);
    let found = ast::visit_expressions(query, |expr| match expr {
        Expr::CompoundIdentifier(parts) if is_outside(parts, &own) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Whether the value is of columns, and all of them are another query's.
pub(crate) fn is_outer(value: &Expr, own: &HashSet<String>) -> bool {
    let mut is_of_columns = false;
    let found = ast::visit_expressions(value, |expr| match expr {
        Expr::CompoundIdentifier(parts) if is_outside(parts, own) => {
            is_of_columns = true;
            ControlFlow::Continue(())
        }
        Expr::CompoundIdentifier(_) | Expr::Identifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    is_of_columns && found.is_continue()
}

fn is_outside(parts: &[Ident], own: &HashSet<String>) -> bool {
    parts.len() > 1 && !own.contains(&folded(&parts[parts.len() - 2]))
}

pub(crate) fn relations(select: &Select) -> HashSet<String> {
    let mut own = HashSet::new();
    for from in &select.from {
        let joined = from.joins.iter().map(|join| &join.relation);
        own.extend(
            std::iter::once(&from.relation)
                .chain(joined)
                .filter_map(name),
        );
    }
    own
}

fn name(factor: &TableFactor) -> Option<String> {
    let (name, alias) = match factor {
        TableFactor::Table { name, alias, .. } => (name.0.last(), alias),
        TableFactor::Derived { alias, .. } => (None, alias),
        _ => return None,
    };
    let alias = alias.as_ref().map(|alias| &alias.name);
    alias.or_else(|| name?.as_ident()).map(folded)
}

/// `ROLLUP (1)` and `DISTINCT ON (1)` are the first column, as `GROUP BY 1` is.
fn name_grouped_columns(select: &mut Select) {
    if let Some(Distinct::On(chosen)) = &mut select.distinct {
        chosen
            .iter_mut()
            .for_each(|expr| name_column(expr, &select.projection));
        let mut known = vec![];
        chosen.retain(|expr| {
            let is_new = !known.contains(expr);
            known.push(expr.clone());
            is_new
        });
    }
    let GroupByExpr::Expressions(by, _) = &mut select.group_by else {
        return;
    };
    for expr in by {
        let (Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets)) = expr else {
            continue;
        };
        sets.iter_mut()
            .flatten()
            .for_each(|expr| name_column(expr, &select.projection));
    }
}

fn name_column(expr: &mut Expr, shown: &[SelectItem]) {
    let Expr::Value(value) = &*expr else { return };
    let column = match value.to_string().parse::<usize>() {
        Ok(number) if number > 0 => shown.get(number - 1),
        _ => None,
    };
    if let Some(SelectItem::UnnamedExpr(column) | SelectItem::ExprWithAlias { expr: column, .. }) =
        column
    {
        *expr = column.clone();
    }
}

/// Where a condition must hold, a row that is in a query's rows is one that exists there, and a row is not in them if none
/// exists there that may be equal.
fn rows_exist(condition: &mut Expr) {
    match condition {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            rows_exist(left);
            rows_exist(right);
        }
        Expr::Nested(inner) => rows_exist(inner),
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } => {
            if let Some(values) = values(expr) {
                *condition = exists(&values, subquery, *negated);
            }
        }
        _ => {}
    }
}

fn exists(values: &[Expr], rows: &Query, is_negated: bool) -> Expr {
    let column = |index| Ident::with_quote('"', format!("{PRIVATE}{index}"));
    let relation = Ident::with_quote('"', format!("{PRIVATE}rows"));
    let columns: Vec<String> = (0..values.len()).map(|i| column(i).to_string()).collect();
    let text = format!(
        "EXISTS (SELECT 1 FROM (SELECT 1) AS {relation} ({}))",
        columns.join(", ")
    );
    let parsed = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(&text)
        .and_then(|mut parser| parser.parse_expr());
    let mut exists = parsed.expect("it is written above");
    if let Expr::Exists { subquery, negated } = &mut exists
        && let SetExpr::Select(select) = &mut *subquery.body
    {
        *negated = is_negated;
        if let TableFactor::Derived { subquery, .. } = &mut select.from[0].relation {
            **subquery = rows.clone();
        }
        let equalities = values.iter().enumerate().map(|(index, value)| {
            let column = Expr::CompoundIdentifier(vec![relation.clone(), column(index)]);
            binary(value.clone(), BinaryOperator::Eq, column)
        });
        let equal = equalities.reduce(|left, right| binary(left, BinaryOperator::And, right));
        select.selection = match is_negated {
            false => equal,
            true => equal.map(|equal| Expr::IsNotFalse(Box::new(Expr::Nested(Box::new(equal))))),
        };
    }
    exists
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

/// A function that gives rows gives a list to DataFusion, which `unnest` makes rows of.
fn unnest_series(expr: &mut Expr) {
    struct Series(usize);
    impl VisitorMut for Series {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            // Sub-queries are looked at by themselves.
            if self.0 > 0 {
                return ControlFlow::Continue(());
            }
            if let Expr::Function(function) = expr
                && function.over.is_none()
                && function
                    .name
                    .to_string()
                    .eq_ignore_ascii_case("generate_series")
            {
                if let FunctionArguments::List(list) = &mut function.args {
                    for arg in &mut list.args {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
                            *expr = with_type(expr.clone());
                        }
                    }
                }
                *expr = call("unnest", vec![expr.clone()], vec![]);
            }
            ControlFlow::Continue(())
        }
    }
    let _ = expr.visit(&mut Series(0));
}

/// DataFusion joins EXISTS where it is a condition, and nowhere else.
fn count_what_exists(expr: &mut Expr) {
    let _ = ast::visit_expressions_mut(expr, |expr| {
        if let Expr::Exists { subquery, negated } = expr
            && let Some(count) = count_of(subquery)
        {
            let op = match negated {
                true => BinaryOperator::Eq,
                false => BinaryOperator::Gt,
            };
            let zero = Expr::Value(Value::Number("0".to_owned(), false).into());
            *expr = Expr::Nested(Box::new(binary(count, op, zero)));
        }
        ControlFlow::<()>::Continue(())
    });
}

/// The number of the rows of a query that neither groups nor limits them, and calls nothing that may aggregate or make rows.
fn count_of(query: &Query) -> Option<Expr> {
    let SetExpr::Select(select) = &*query.body else {
        return None;
    };
    let is_plain = query.with.is_none()
        && query.limit_clause.is_none()
        && select.distinct.is_none()
        && select.having.is_none()
        && !calls(&select.projection)
        && matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if !is_plain {
        return None;
    }
    let mut query = query.clone();
    query.order_by = None;
    if let SetExpr::Select(select) = &mut *query.body {
        let one = Expr::Value(Value::Number("1".to_owned(), false).into());
        select.projection = vec![SelectItem::UnnamedExpr(call("count", vec![one], vec![]))];
    }
    Some(Expr::Subquery(Box::new(query)))
}

fn number_of_bits(expr: &Expr) -> Option<Expr> {
    let Expr::Cast {
        expr: bits,
        data_type: ast::DataType::BigInt(_) | ast::DataType::Int8(_),
        ..
    } = expr
    else {
        return None;
    };
    match &**bits {
        Expr::Cast {
            expr: text,
            data_type: ast::DataType::Bit(Some(64)),
            ..
        } => Some(call(BITS, vec![(**text).clone()], vec![])),
        _ => None,
    }
}

/// Whether two groups or calls of functions differ by casts only.
fn has_casts_to_tell_apart(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else {
        return false;
    };
    let mut named: Vec<Expr> = vec![];
    let items = select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    if let GroupByExpr::Expressions(by, _) = &select.group_by
        && !by.is_empty()
    {
        named.extend(by.iter().chain(items.clone()).cloned());
    }
    for expr in items.chain(&select.having) {
        let _ = ast::visit_expressions(expr, |expr| {
            if matches!(expr, Expr::Function(_)) {
                named.push(expr.clone());
            }
            ControlFlow::<()>::Continue(())
        });
    }
    let mut seen: HashMap<String, String> = HashMap::new();
    named.into_iter().any(|mut expr| {
        let said = expr.to_string();
        let _ = ast::visit_expressions_mut(&mut expr, |expr| {
            if let Expr::Cast { expr: inner, .. } = expr {
                *expr = (**inner).clone();
            }
            ControlFlow::<()>::Continue(())
        });
        let other = seen.entry(expr.to_string()).or_insert_with(|| said.clone());
        *other != said
    })
}

fn tell_casts_apart(query: &mut Query) {
    let tell = |expr: &mut Expr| {
        let _ = ast::visit_expressions_mut(expr, |expr| {
            if let Expr::Cast { data_type, .. } = expr {
                let name = Value::SingleQuotedString(data_type.to_string());
                *expr = call(CAST, vec![expr.clone(), Expr::Value(name.into())], vec![]);
            }
            ControlFlow::<()>::Continue(())
        });
    };
    if let Some(order_by) = &mut query.order_by
        && let OrderByKind::Expressions(exprs) = &mut order_by.kind
    {
        exprs.iter_mut().for_each(|order| tell(&mut order.expr));
    }
    let SetExpr::Select(select) = &mut *query.body else {
        return;
    };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            tell(expr);
        }
    }
    if let GroupByExpr::Expressions(by, _) = &mut select.group_by {
        by.iter_mut().for_each(tell);
    }
    select.having.iter_mut().for_each(tell);
}

/// The cast that is its first argument; the second says to what.
pub(crate) fn named_cast() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(NamedCast {
        signature: Signature::any(2, Volatility::Immutable),
    }))
}

/// A name that no client can type.
const CAST: &str = "\u{1}cast";

#[derive(Debug, PartialEq, Eq, Hash)]
struct NamedCast {
    signature: Signature,
}

impl ScalarUDFImpl for NamedCast {
    fn name(&self) -> &str {
        CAST
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> PlanResult<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> PlanResult<FieldRef> {
        Ok(args.arg_fields[0].clone())
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        Ok(args.args.swap_remove(0))
    }
}

fn last(name: &ObjectName) -> String {
    let ident = name.0.last().and_then(|part| part.as_ident());
    ident.map(folded).unwrap_or_default()
}

fn call(name: &str, arguments: Vec<Expr>, order_by: Vec<OrderByExpr>) -> Expr {
    let arguments = arguments
        .into_iter()
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    let clauses = match order_by.is_empty() {
        true => vec![],
        false => vec![FunctionArgumentClause::OrderBy(order_by)],
    };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_quote('"', name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses,
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}
