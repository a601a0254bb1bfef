//! `SELECT string_agg(a, ',') FROM (SELECT a FROM t ORDER BY b) AS s`: PostgreSQL aggregates and numbers the rows in the order of
//! the sub-query. DataFusion promises none, so what depends on it says it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentClause, FunctionArguments, Ident, OrderByExpr, OrderByKind,
    Query, Select, SelectItem, SetExpr, TableFactor, Value, VisitMut, VisitorMut, WindowSpec,
    WindowType,
};

use crate::{
    columns::{Label, label},
    names::folded,
    syntax::{call, plain_name},
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
    let is_renamed = alias
        .as_ref()
        .is_some_and(|alias| !alias.columns.is_empty());
    let shows_all = select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    });
    if !table.joins.is_empty() || subquery.order_by.is_none() || is_renamed {
        return;
    }
    let mut depends = Depends {
        depth: 0,
        found: false,
        keys: None,
    };
    let _ = select.projection.visit(&mut depends);
    if !depends.found {
        return;
    }
    let Some(keys) = keys(subquery, !shows_all) else {
        return;
    };
    depends.keys = Some(keys);
    let _ = select.projection.visit(&mut depends);
}

/// What the rows of the sub-query are ordered by, as columns of it.
///
/// `may_add` a column to it that nobody sees.
fn keys(query: &mut Query, may_add: bool) -> Option<Vec<OrderByExpr>> {
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
    let shown = keys.iter().map(|key| {
        let place = match &key.expr {
            Expr::Identifier(name) => {
                let name = folded(name);
                let mut named = labels.iter().flatten().filter(|label| **label == name);
                // Of a column of that name there must be one.
                let is_only = named.next().is_some() && named.next().is_none();
                is_only.then_some(name)?
            }
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => {
                    let at = number.parse::<usize>().ok()?.checked_sub(1)?;
                    let name = labels.get(at)?.clone()?;
                    let named = labels.iter().flatten().filter(|label| **label == name);
                    (named.count() == 1).then_some(name)?
                }
                _ => return None,
            },
            _ => return None,
        };
        Some(OrderByExpr {
            expr: column(&place),
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
    select.projection.push(SelectItem::ExprWithAlias {
        expr: over(call("row_number", vec![]), keys.clone()),
        alias: Ident::with_quote('"', NUMBER),
    });
    Some(vec![OrderByExpr {
        expr: column(NUMBER),
        ..ascending(keys.into_iter().next()?)
    }])
}

fn ascending(mut key: OrderByExpr) -> OrderByExpr {
    key.options.asc = None;
    key.options.nulls_first = None;
    key
}

fn over(mut expr: Expr, keys: Vec<OrderByExpr>) -> Expr {
    if let Expr::Function(function) = &mut expr {
        function.over = Some(WindowType::WindowSpec(WindowSpec {
            window_name: None,
            partition_by: vec![],
            order_by: keys,
            window_frame: None,
        }));
    }
    expr
}

fn column(name: &str) -> Expr {
    Expr::Identifier(Ident::with_quote('"', name))
}

struct Depends {
    /// Of sub-queries, which have their own rows.
    depth: usize,
    found: bool,
    /// What to order by.
    keys: Option<Vec<OrderByExpr>>,
}

impl VisitorMut for Depends {
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
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        if let Some(place) = place(function) {
            self.found = true;
            if let Some(keys) = &self.keys {
                match place {
                    Place::Aggregate(clauses) => {
                        clauses.push(FunctionArgumentClause::OrderBy(keys.clone()));
                    }
                    Place::Window(order_by) => order_by.clone_from(keys),
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Where a function that depends on the order of its rows would say it.
enum Place<'a> {
    Aggregate(&'a mut Vec<FunctionArgumentClause>),
    Window(&'a mut Vec<OrderByExpr>),
}

fn place(function: &mut Function) -> Option<Place<'_>> {
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
