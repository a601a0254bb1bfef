//! What PostgreSQL takes and DataFusion's planner does not, in words that it takes and that mean the same.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        self, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
        FunctionArguments, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, LimitClause,
        ObjectName, OrderByKind, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor,
        TableWithJoins, Value, VisitMut, VisitorMut,
    },
    parser::Parser,
};

use crate::{
    compared_rows::{self, count_members, count_members_within},
    dialect::RapportDialect,
    names::folded,
    nested_with, same,
    tree::{calls, take},
};

/// Changes the statement where it has to be: recursions, and what is LATERAL.
pub(crate) fn reword(statement: &mut ast::Statement) {
    nested_with::tell_apart(statement);
    let _ = statement.visit(&mut Reword);
}

/// Gives casts names of their own, so that what differs by them only is told apart.
pub(crate) fn name_casts(statement: &mut ast::Statement) {
    let _ = ast::visit_expressions_mut(statement, |expr| {
        if let Expr::Cast { data_type, .. } = expr {
            let name = format!("{}{}", same::PREFIX, data_type.to_string().to_lowercase());
            let cast = std::mem::replace(expr, Expr::Value(Value::Null.into()));
            *expr = call(&name, cast);
        }
        ControlFlow::<()>::Continue(())
    });
}

struct Reword;

impl VisitorMut for Reword {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(with) = &mut query.with
            && with.recursive
        {
            for table in &mut with.cte_tables {
                if let SetExpr::SetOperation { left, .. } = &mut *table.query.body {
                    small_literals(left);
                }
            }
        }
        each_select(&mut query.body, &mut |select| {
            one_group(select);
            filter_last_join(select);
            select.projection.iter_mut().for_each(count_members);
            select.selection.iter_mut().for_each(count_members_within);
            // An aggregate has no place in a sub-query's condition.
            let having = select.having.iter_mut();
            having
                .filter(|having| !calls(*having))
                .for_each(count_members_within);
            lateral_rows(select);
            lateral_series(select);
        });
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let _ = compared_rows::spell_out(expr);
        ControlFlow::Continue(())
    }
}

/// `GROUP BY ()`: all rows are one group.
fn one_group(select: &mut Select) {
    if let GroupByExpr::Expressions(by, _) = &mut select.group_by
        && !by.is_empty()
        && by
            .iter()
            .all(|expr| matches!(expr, Expr::Tuple(parts) if parts.is_empty()))
    {
        *by = vec![Expr::GroupingSets(vec![vec![]])];
    }
}

/// `FROM a JOIN b ON … AND EXISTS (…)`: DataFusion joins rows that exist where a condition of WHERE asks for them.
fn filter_last_join(select: &mut Select) {
    let [from] = select.from.as_mut_slice() else {
        return;
    };
    let Some(
        JoinOperator::Join(JoinConstraint::On(on)) | JoinOperator::Inner(JoinConstraint::On(on)),
    ) = from.joins.last_mut().map(|join| &mut join.join_operator)
    else {
        return;
    };
    if !asks_for_rows(on) {
        return;
    }
    let mut conditions = vec![];
    split(take(on), &mut conditions);
    let (mut moved, kept): (Vec<Expr>, Vec<Expr>) = conditions.into_iter().partition(asks_for_rows);
    *on = all(kept).unwrap_or(Expr::Value(Value::Boolean(true).into()));
    moved.splice(0..0, select.selection.take());
    select.selection = all(moved);
}

fn asks_for_rows(condition: &Expr) -> bool {
    ast::visit_expressions(condition, |expr| match expr {
        Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

fn all(conditions: Vec<Expr>) -> Option<Expr> {
    let conditions = conditions.into_iter();
    let conditions = conditions.map(|condition| Expr::Nested(Box::new(condition)));
    conditions.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: ast::BinaryOperator::And,
        right: Box::new(right),
    })
}

fn each_select(body: &mut SetExpr, work: &mut dyn FnMut(&mut Select)) {
    match body {
        SetExpr::Select(select) => work(select),
        SetExpr::SetOperation { left, right, .. } => {
            each_select(left, work);
            each_select(right, work);
        }
        _ => {}
    }
}

/// The first rows of a recursion say what types its columns have, and `1` is an integer.
fn small_literals(body: &mut SetExpr) {
    let widen = |expr: &mut Expr| {
        if is_int4(expr) {
            *expr = parsed(&format!("CAST({expr} AS INTEGER)"), expr);
        }
    };
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                match item {
                    SelectItem::UnnamedExpr(expr) if is_int4(expr) => {
                        // PostgreSQL gives a literal no name, and a cast one.
                        let alias = Ident::with_quote('"', "?column?");
                        let expr = parsed(&format!("CAST({expr} AS INTEGER)"), expr);
                        *item = SelectItem::ExprWithAlias { expr, alias };
                    }
                    SelectItem::ExprWithAlias { expr, .. } => widen(expr),
                    _ => {}
                }
            }
        }
        SetExpr::Values(values) => {
            for row in &mut values.rows {
                for value in &mut row.content {
                    widen(value);
                }
            }
        }
        SetExpr::Query(query) => small_literals(&mut query.body),
        SetExpr::SetOperation { left, .. } => small_literals(left),
        _ => {}
    }
}

fn is_int4(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse::<i32>().is_ok(),
            _ => false,
        },
        Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => is_int4(expr),
        _ => false,
    }
}

/// `LATERAL (SELECT … WHERE inner = outer ORDER BY … LIMIT n)`: DataFusion does not join what is limited. So the rows are
/// numbered per value of `inner`, and joined by it.
fn lateral_rows(select: &mut Select) {
    let shows_all = select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    });
    if shows_all {
        return;
    }
    let is_limited = |factor: &TableFactor| {
        matches!(factor, TableFactor::Derived { lateral: true, subquery, alias: Some(_), .. }
            if subquery.limit_clause.is_some())
    };
    if select
        .from
        .iter()
        .skip(1)
        .any(|from| is_limited(&from.relation))
    {
        one_join(&mut select.from);
    }
    for from in &mut select.from {
        for join in &mut from.joins {
            if is_limited(&join.relation) {
                numbered(join);
            }
        }
    }
}

/// `a, b` is `a CROSS JOIN b`.
fn one_join(from: &mut Vec<TableWithJoins>) {
    let rest = from.split_off(1);
    let Some(first) = from.first_mut() else {
        return;
    };
    for table in rest {
        first.joins.push(Join {
            relation: table.relation,
            global: false,
            join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
        });
        first.joins.extend(table.joins);
    }
}

fn numbered(join: &mut Join) -> Option<()> {
    let TableFactor::Derived {
        lateral,
        subquery,
        alias: Some(alias),
        ..
    } = &mut join.relation
    else {
        return None;
    };
    let limit = match &subquery.limit_clause {
        Some(LimitClause::LimitOffset {
            limit: Some(limit),
            offset: None,
            limit_by,
        }) if limit_by.is_empty() && is_int4(limit) => limit.clone(),
        _ => return None,
    };
    let order = match subquery.order_by.as_ref().map(|order| &order.kind) {
        None => vec![],
        Some(OrderByKind::Expressions(order)) => order.clone(),
        Some(OrderByKind::All(_)) => return None,
    };
    let SetExpr::Select(inner) = &mut *subquery.body else {
        return None;
    };
    let is_plain = inner.distinct.is_none()
        && inner.having.is_none()
        && matches!(&inner.group_by, GroupByExpr::Expressions(by, with) if by.is_empty() && with.is_empty());
    if !is_plain {
        return None;
    }
    let own: Vec<String> = inner
        .from
        .iter()
        .flat_map(|from| {
            std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
        })
        .map(name_of)
        .collect::<Option<_>>()?;
    let mut conjuncts = vec![];
    split(inner.selection.clone()?, &mut conjuncts);
    let (mut kept, mut keys) = (vec![], vec![]);
    for conjunct in conjuncts {
        if !refers_elsewhere(&conjunct, &own) {
            kept.push(conjunct);
            continue;
        }
        let Expr::BinaryOp {
            left,
            op: ast::BinaryOperator::Eq,
            right,
        } = conjunct
        else {
            return None;
        };
        match (
            refers_elsewhere(&left, &own),
            refers_elsewhere(&right, &own),
        ) {
            (false, true) if !mentions(&right, &own) => keys.push((*left, *right)),
            (true, false) if !mentions(&left, &own) => keys.push((*right, *left)),
            _ => return None,
        }
    }
    let asks_outside = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            refers_elsewhere(expr, &own)
        }
        _ => false,
    };
    if keys.is_empty()
        || inner.projection.iter().any(asks_outside)
        || order.iter().any(|key| refers_elsewhere(&key.expr, &own))
    {
        return None;
    }
    let mut items = inner.projection.clone();
    let table = alias.name.clone();
    let mut on = vec![];
    for (at, (own, outer)) in keys.iter().enumerate() {
        let name = Ident::with_quote('"', format!("\u{1}key{at}"));
        items.push(SelectItem::ExprWithAlias {
            expr: own.clone(),
            alias: name.clone(),
        });
        on.push(format!("{table}.{name} = {outer}"));
    }
    let by: Vec<String> = keys.iter().map(|(own, _)| own.to_string()).collect();
    let order: Vec<String> = order.iter().map(ToString::to_string).collect();
    let order = match order.is_empty() {
        true => String::new(),
        false => format!(" ORDER BY {}", order.join(", ")),
    };
    let row = Ident::with_quote('"', "\u{1}row");
    let number = format!("row_number() OVER (PARTITION BY {}{order})", by.join(", "));
    items.push(SelectItem::ExprWithAlias {
        expr: expression(&number)?,
        alias: row.clone(),
    });
    on.push(format!("{table}.{row} <= {limit}"));
    let on = expression(&on.join(" AND "))?;
    let on = |given: &JoinConstraint| match given {
        JoinConstraint::On(given) => Some(JoinConstraint::On(Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(given.clone()))),
            op: ast::BinaryOperator::And,
            right: Box::new(on.clone()),
        })),
        JoinConstraint::None => Some(JoinConstraint::On(on.clone())),
        _ => None,
    };
    let operator = match &join.join_operator {
        JoinOperator::CrossJoin(given) | JoinOperator::Inner(given) | JoinOperator::Join(given) => {
            JoinOperator::Inner(on(given)?)
        }
        JoinOperator::Left(given) | JoinOperator::LeftOuter(given) => {
            JoinOperator::Left(on(given)?)
        }
        _ => return None,
    };
    inner.projection = items;
    inner.selection = kept.into_iter().reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: ast::BinaryOperator::And,
        right: Box::new(right),
    });
    subquery.order_by = None;
    subquery.limit_clause = None;
    *lateral = false;
    join.join_operator = operator;
    Some(())
}

fn split(expr: Expr, conjuncts: &mut Vec<Expr>) {
    match expr {
        Expr::BinaryOp {
            left,
            op: ast::BinaryOperator::And,
            right,
        } => {
            split(*left, conjuncts);
            split(*right, conjuncts);
        }
        Expr::Nested(expr) => split(*expr, conjuncts),
        expr => conjuncts.push(expr),
    }
}

/// What the query around calls a table.
fn name_of(factor: &TableFactor) -> Option<String> {
    let alias = match factor {
        TableFactor::Table { alias, name, .. } => match alias {
            Some(alias) => Some(alias.name.clone()),
            None => name.0.last().and_then(|part| part.as_ident()).cloned(),
        },
        TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| alias.name.clone()),
        _ => None,
    };
    alias.as_ref().map(folded)
}

/// The tables that qualified columns of the expression name.
fn qualifiers(expr: &Expr) -> Vec<String> {
    let mut found = vec![];
    let _ = ast::visit_expressions(expr, |expr| {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [.., table, _] = parts.as_slice()
        {
            found.push(folded(table));
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

fn refers_elsewhere(expr: &Expr, own: &[String]) -> bool {
    qualifiers(expr).iter().any(|table| !own.contains(table))
}

/// Whether it has a column of these tables; a bare name is one of theirs.
fn mentions(expr: &Expr, own: &[String]) -> bool {
    let bare = ast::visit_expressions(expr, |expr| match expr {
        Expr::Identifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    bare.is_break() || qualifiers(expr).iter().any(|table| own.contains(table))
}

/// `FROM t, generate_series(1, t.n) AS g`, `unnest(t.list)`, `LATERAL (VALUES (t.a), (t.b))`: functions of one table's row
/// are computed beside the row, in the table's place.
fn lateral_series(select: &mut Select) {
    let shows_all = select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    });
    if shows_all {
        return;
    }
    loop {
        let Some((from, join)) = find_series(&select.from) else {
            return;
        };
        if take_series(select, from, join).is_none() {
            return;
        }
    }
}

/// Where a lateral series is: its place in FROM, and among the joins there.
fn find_series(from: &[TableWithJoins]) -> Option<(usize, Option<usize>)> {
    for (at, table) in from.iter().enumerate() {
        if at > 0 && series(&table.relation).is_some() && table.joins.is_empty() {
            return Some((at, None));
        }
        for (place, join) in table.joins.iter().enumerate() {
            let is_inner = match &join.join_operator {
                JoinOperator::CrossJoin(JoinConstraint::None) => true,
                JoinOperator::Inner(JoinConstraint::On(on))
                | JoinOperator::Join(JoinConstraint::On(on)) => {
                    on.to_string().eq_ignore_ascii_case("true")
                }
                _ => false,
            };
            if is_inner && series(&join.relation).is_some() {
                return Some((at, Some(place)));
            }
        }
    }
    None
}

/// What a lateral series is of.
struct Series {
    alias: Ident,
    /// Column names and the arrays they come from.
    columns: Vec<(Ident, String)>,
    /// The table whose row it is computed from.
    table: String,
}

fn series(factor: &TableFactor) -> Option<Series> {
    let named = |alias: &Option<TableAlias>, default: Option<Ident>, arrays: Vec<String>| {
        let name = alias.as_ref().map(|alias| alias.name.clone()).or(default)?;
        let given: Vec<Ident> = alias
            .iter()
            .flat_map(|alias| alias.columns.iter().map(|column| column.name.clone()))
            .collect();
        let columns = arrays.into_iter().enumerate().map(|(at, array)| {
            let column = given.get(at).cloned().unwrap_or_else(|| name.clone());
            (column, array)
        });
        Some((name.clone(), columns.collect::<Vec<_>>()))
    };
    let function = |name: &ObjectName, args: &[FunctionArg]| {
        let function = name.0.last().and_then(|part| part.as_ident())?;
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let args = args.join(", ");
        match folded(function).as_str() {
            // In quotes it is the array of them.
            "generate_series" => Some((function.clone(), format!("\"generate_series\"({args})"))),
            "unnest" => Some((function.clone(), args)),
            _ => None,
        }
    };
    let (alias, columns) = match factor {
        TableFactor::Table {
            name,
            alias,
            args: Some(args),
            with_ordinality: false,
            ..
        } => {
            let (function, array) = function(name, &args.args)?;
            named(alias, Some(function), vec![array])?
        }
        TableFactor::Function {
            name,
            args,
            alias,
            with_ordinality: false,
            ..
        } => {
            let (function, array) = function(name, args)?;
            named(alias, Some(function), vec![array])?
        }
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_offset: false,
            with_ordinality: false,
            ..
        } => {
            let arrays = array_exprs.iter().map(ToString::to_string).collect();
            named(alias, Some(Ident::new("unnest")), arrays)?
        }
        TableFactor::Derived {
            lateral: true,
            subquery,
            alias: alias @ Some(given),
            ..
        } => {
            let SetExpr::Values(values) = &*subquery.body else {
                return None;
            };
            let width = values.rows.first()?.content.len();
            if given.columns.len() != width || subquery.limit_clause.is_some() {
                return None;
            }
            let arrays = (0..width).map(|at| {
                let values = values.rows.iter().map(|row| row.content.get(at));
                let values: Option<Vec<String>> =
                    values.map(|value| value.map(ToString::to_string)).collect();
                values.map(|values| format!("ARRAY[{}]", values.join(", ")))
            });
            named(alias, None, arrays.collect::<Option<_>>()?)?
        }
        _ => return None,
    };
    let mut tables = vec![];
    for (_, array) in &columns {
        tables.extend(qualifiers(&expression(array)?));
    }
    tables.dedup();
    match tables.as_slice() {
        [table] => Some(Series {
            alias,
            columns,
            table: table.clone(),
        }),
        _ => None,
    }
}

fn take_series(select: &mut Select, from: usize, join: Option<usize>) -> Option<()> {
    let factor = match join {
        Some(join) => &select.from[from].joins[join].relation,
        None => &select.from[from].relation,
    };
    let series = series(factor)?;
    let base = select
        .from
        .iter_mut()
        .flat_map(|table| {
            std::iter::once(&mut table.relation)
                .chain(table.joins.iter_mut().map(|join| &mut join.relation))
        })
        .find(|factor| name_of(factor).as_deref() == Some(series.table.as_str()))?;
    let table = Ident::with_quote('"', series.table.clone());
    let hidden = |column: &Ident| {
        Ident::with_quote(
            '"',
            format!("\u{1}{}.{}", folded(&series.alias), folded(column)),
        )
    };
    let unnested: Vec<String> = series
        .columns
        .iter()
        .map(|(column, array)| format!("unnest({array}) AS {}", hidden(column)))
        .collect();
    let text = format!(
        "SELECT 1 FROM (SELECT {table}.*, {} FROM {base}) AS {table}",
        unnested.join(", ")
    );
    *base = from_item(&text)?;
    match join {
        Some(join) => {
            select.from[from].joins.remove(join);
        }
        None => {
            select.from.remove(from);
        }
    }
    let columns: Vec<(String, Ident)> = series
        .columns
        .iter()
        .map(|(column, _)| (folded(column), hidden(column)))
        .collect();
    let alias = folded(&series.alias);
    // What the select list calls a column has to be said before the column gets another name.
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item {
            let alias = name.clone();
            if columns.iter().any(|(column, _)| *column == folded(name)) {
                *item = SelectItem::ExprWithAlias {
                    expr: Expr::Identifier(alias.clone()),
                    alias,
                };
            }
        } else if let SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) = item
            && let [of, name] = parts.as_slice()
            && folded(of) == alias
        {
            *item = SelectItem::ExprWithAlias {
                alias: name.clone(),
                expr: Expr::CompoundIdentifier(parts.clone()),
            };
        }
    }
    let _ = ast::visit_expressions_mut(select, |expr| {
        let found = match expr {
            Expr::Identifier(name) => columns.iter().find(|(column, _)| *column == folded(name)),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [of, name] if folded(of) == alias => {
                    columns.iter().find(|(column, _)| *column == folded(name))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some((_, hidden)) = found {
            *expr = Expr::CompoundIdentifier(vec![table.clone(), hidden.clone()]);
        }
        ControlFlow::<()>::Continue(())
    });
    Some(())
}

fn call(name: &str, arg: Expr) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_quote('"', name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))],
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

pub(crate) fn expression(sql: &str) -> Option<Expr> {
    let dialect = RapportDialect { versions: false };
    let parser = Parser::new(&dialect).try_with_sql(sql);
    parser.ok()?.parse_expr().ok()
}

/// Text that was an expression before, changed a little.
fn parsed(sql: &str, otherwise: &Expr) -> Expr {
    expression(sql).unwrap_or_else(|| otherwise.clone())
}

/// The one item of `SELECT 1 FROM item`.
fn from_item(sql: &str) -> Option<TableFactor> {
    let dialect = RapportDialect { versions: false };
    let query = Parser::new(&dialect)
        .try_with_sql(sql)
        .ok()?
        .parse_query()
        .ok()?;
    match *query.body {
        SetExpr::Select(select) => Some(select.from.into_iter().next()?.relation),
        _ => None,
    }
}
