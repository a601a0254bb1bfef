//! `SELECT string_agg(a, ',') FROM (SELECT a FROM t ORDER BY b) AS s`: PostgreSQL aggregates and numbers the rows in the order of
//! the sub-query. DataFusion promises none, so what depends on it says it.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArgumentClause, FunctionArguments, Ident, OrderByExpr, OrderByKind, Query,
    Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, Value, WindowType,
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
    let TableFactor::Derived {
        subquery, alias, ..
    } = &mut table.relation
    else {
        return;
    };
    let shows_all = select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    });
    if !table.joins.is_empty() || subquery.order_by.is_none() {
        return;
    }
    let mut depends = false;
    visit_own_functions(&mut select.projection, |expr| {
        depends |= place(expr).is_some()
    });
    if !depends {
        return;
    }
    let Some(keys) = keys(subquery, alias.as_mut(), !shows_all) else {
        return;
    };
    visit_own_functions(&mut select.projection, |expr| match place(expr) {
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
    let keys = keys.clone();
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
    let is_named = |key: &OrderByExpr| match &key.expr {
        Expr::Value(_) => true,
        Expr::Identifier(name) => labels.iter().flatten().any(|label| *label == folded(name)),
        _ => false,
    };
    // A window does not see what the select list calls its columns.
    if !may_add || select.distinct.is_some() || keys.iter().any(is_named) {
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
