//! `SELECT string_agg(a, ',') FROM (SELECT a FROM t ORDER BY b) AS s`: PostgreSQL aggregates and numbers the rows in the order of
//! the sub-query. DataFusion promises none, so what depends on it says it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident, OrderByExpr, OrderByKind,
    Query, Select, SelectItem, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor,
    Value, WindowType, visit_relations,
};

use crate::{
    columns::{Label, label},
    names::folded,
    syntax::plain_name,
    tree::{ascending, call_over, column, visit_own_functions},
};

const NUMBER: &str = "\u{1}number";

/// Changes nothing where nothing depends on the order, or has one of its own.
pub(crate) fn spell_out(select: &mut Select) {
    let [table] = select.from.as_mut_slice() else {
        return;
    };
    if let TableFactor::Derived {
        subquery, alias, ..
    } = &mut table.relation
        && table.joins.is_empty()
    {
        let may_add = !shows_all(&select.projection);
        order(&mut select.projection, subquery, alias.as_mut(), may_add);
    }
}

/// Whether what a query shows are rows of a single sub-query, whose order PostgreSQL leaves as it is.
pub(crate) fn shows_rows_of_a_query(statement: &Statement) -> bool {
    let Statement::Query(query) = statement else {
        return false;
    };
    let SetExpr::Select(select) = query.body.as_ref() else {
        return false;
    };
    matches!(select.from.as_slice(), [table]
        if table.joins.is_empty() && matches!(table.relation, TableFactor::Derived { .. }))
        && query.order_by.is_none()
        && select.distinct.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
}

/// As [`spell_out`], where the sub-query is one of the WITH before.
pub(crate) fn spell_out_named(query: &mut Query) {
    let Some((name, n_asked)) = asked(query) else {
        return;
    };
    let (Some(with), SetExpr::Select(select)) = (&mut query.with, query.body.as_mut()) else {
        return;
    };
    let mut ctes = with.cte_tables.iter_mut();
    if let Some(cte) = ctes.find(|cte| folded(&cte.alias.name) == name) {
        let may_add = n_asked == 1 && !shows_all(&select.projection);
        let alias = (!cte.alias.columns.is_empty()).then_some(&mut cte.alias);
        order(&mut select.projection, &mut cte.query, alias, may_add);
    }
}

/// The one name of a WITH that a query is over, and how often it is asked for in all.
fn asked(query: &Query) -> Option<(String, usize)> {
    query.with.as_ref().filter(|with| !with.recursive)?;
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let [table] = select.from.as_slice() else {
        return None;
    };
    let name = plain_table(&table.relation).filter(|_| table.joins.is_empty())?;
    let mut n_asked = 0;
    let _ = visit_relations(query, |relation| {
        let is_it = matches!(relation.0.as_slice(), [part]
            if part.as_ident().is_some_and(|ident| folded(ident) == name));
        n_asked += usize::from(is_it);
        ControlFlow::<()>::Continue(())
    });
    Some((name, n_asked))
}

/// What is asked for by name, its columns by theirs.
fn plain_table(factor: &TableFactor) -> Option<String> {
    let TableFactor::Table {
        name,
        alias,
        args: None,
        version: None,
        ..
    } = factor
    else {
        return None;
    };
    let [part] = name.0.as_slice() else {
        return None;
    };
    let is_renamed = alias
        .as_ref()
        .is_some_and(|alias| !alias.columns.is_empty());
    part.as_ident().map(folded).filter(|_| !is_renamed)
}

fn shows_all(items: &[SelectItem]) -> bool {
    let mut items = items.iter();
    items.any(|item| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    })
}

/// Tells the functions of a select list the order of the sub-query's rows.
fn order(
    items: &mut Vec<SelectItem>,
    subquery: &mut Query,
    alias: Option<&mut TableAlias>,
    may_add: bool,
) {
    if subquery.order_by.is_none() {
        return;
    }
    let mut depends = false;
    visit_own_functions(items, |expr| depends |= place(expr).is_some());
    if !depends {
        return;
    }
    let Some(keys) = keys(subquery, alias, may_add) else {
        return;
    };
    visit_own_functions(items, |expr| match place(expr) {
        Some(Place::Aggregate(clauses)) => {
            clauses.push(FunctionArgumentClause::OrderBy(keys.clone()));
        }
        Some(Place::Window(order_by)) => order_by.clone_from(&keys),
        None => {}
    });
}

/// What the rows of the sub-query are ordered by, as columns of it.
///
/// `may_add` a column to it that nobody sees.
fn keys(
    query: &mut Query,
    alias: Option<&mut TableAlias>,
    may_add: bool,
) -> Option<Vec<OrderByExpr>> {
    let OrderByKind::Expressions(keys) = &query.order_by.as_ref()?.kind else {
        return None;
    };
    let mut keys = keys.clone();
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    let labels: Vec<Option<String>> = select
        .projection
        .iter()
        .map(|item| match label(item) {
            Label::One(label) => Some(label),
            Label::Many => None,
        })
        .collect();
    // As the statement around it calls them.
    let given: Vec<String> = alias
        .iter()
        .flat_map(|alias| &alias.columns)
        .map(|column| folded(&column.name))
        .collect();
    let called = |name: String| {
        let at = labels
            .iter()
            .position(|label| label.as_ref() == Some(&name));
        let given = at.and_then(|at| given.get(at)).cloned();
        given.unwrap_or(name)
    };
    let shown = keys.iter().map(|key| {
        let name = match &key.expr {
            Expr::Identifier(name) => folded(name),
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => {
                    let at = number.parse::<usize>().ok()?.checked_sub(1)?;
                    labels.get(at)?.clone()?
                }
                _ => return None,
            },
            _ => return None,
        };
        // Of a column of that name there must be one.
        let named = labels.iter().flatten().filter(|label| **label == name);
        (named.count() == 1).then(|| OrderByExpr {
            expr: column(&called(name)),
            ..key.clone()
        })
    });
    if let Some(shown) = shown.collect::<Option<Vec<_>>>() {
        return Some(shown);
    }
    // A window does not see what the select list calls its columns.
    for key in &mut keys {
        let at = match &key.expr {
            Expr::Value(_) => return None,
            Expr::Identifier(name) => {
                let name = Some(folded(name));
                labels.iter().position(|label| *label == name)
            }
            _ => None,
        };
        if let Some(at) = at
            && let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } =
                &select.projection[at]
        {
            key.expr = expr.clone();
        }
    }
    if !may_add || select.distinct.is_some() {
        return None;
    }
    if let Some(alias) = alias
        && !alias.columns.is_empty()
    {
        if alias.columns.len() != labels.len() {
            return None;
        }
        alias.columns.push(TableAliasColumnDef {
            name: Ident::with_quote('"', NUMBER),
            data_type: None,
        });
    }
    select.projection.push(SelectItem::ExprWithAlias {
        expr: call_over("row_number", keys),
        alias: Ident::with_quote('"', NUMBER),
    });
    Some(vec![ascending(column(NUMBER))])
}

/// Where a function that depends on the order of its rows would say it.
enum Place<'a> {
    Aggregate(&'a mut Vec<FunctionArgumentClause>),
    Window(&'a mut Vec<OrderByExpr>),
}

fn place(expr: &mut Expr) -> Option<Place<'_>> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let name = plain_name(&function.name)?;
    match &mut function.over {
        Some(WindowType::WindowSpec(window)) => {
            let is_bare = name == "row_number"
                && window.window_name.is_none()
                && window.partition_by.is_empty()
                && window.order_by.is_empty();
            is_bare.then_some(Place::Window(&mut window.order_by))
        }
        Some(_) => None,
        None => {
            let FunctionArguments::List(list) = &mut function.args else {
                return None;
            };
            let is_ordered = matches!(
                name.as_str(),
                "array_agg"
                    | "string_agg"
                    | "json_agg"
                    | "jsonb_agg"
                    | "json_object_agg"
                    | "jsonb_object_agg"
            );
            let has_order = list
                .clauses
                .iter()
                .any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
            (is_ordered && !has_order && list.duplicate_treatment.is_none())
                .then_some(Place::Aggregate(&mut list.clauses))
        }
    }
}
