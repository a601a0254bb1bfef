//! What a query orders or cuts its rows by and does not show, where DataFusion cannot plan it: `FETCH FIRST … WITH TIES`, and
//! the order of rows that functions of the select list make.

use std::{collections::HashSet, ops::ControlFlow};

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    Ident, LimitClause, ObjectName, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SetExpr, TableFactor, Value, Visit, Visitor, visit_expressions,
};

use crate::{
    Error, Result,
    columns::{Label, label},
    names::folded,
    parse,
    set_returning::series,
    syntax::{array_of_rows, plain_name},
    tree::{ascending, call, call_over, column},
};

const RANK: &str = "\u{1}rank";
/// A row's number before functions made rows of it, and which of these rows it is.
const PLACE: &str = "\u{1}place";

/// Before what is in the query is looked at.
pub(crate) fn spell_out(query: &mut Query) -> Result<()> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Ok(());
    };
    let Some(OrderBy {
        kind: OrderByKind::Expressions(keys),
        ..
    }) = &query.order_by
    else {
        return Ok(());
    };
    let has_ties = query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties);
    if has_ties {
        return with_ties(query);
    }
    let is_shadowed = keys.iter().any(|key| names_alias(&key.expr, select));
    if select.distinct.is_some() {
        if is_shadowed {
            order_by_places(query);
        }
        return Ok(());
    }
    if !is_shadowed && !shows_rows(select) && !keys.iter().any(|key| asks(&key.expr)) {
        return Ok(());
    }
    let mut hidden = vec![];
    let keys = keys.clone().into_iter().enumerate().map(|(at, key)| {
        let name = match shown_at(&key.expr, select) {
            Some(at) => format!("\u{1}shown{at}"),
            None => {
                let name = format!("\u{1}key{at}");
                hidden.push((name.clone(), key.expr));
                name
            }
        };
        OrderByExpr {
            expr: column(&name),
            ..key
        }
    });
    let mut keys: Vec<OrderByExpr> = keys.collect();
    let shows_all = select
        .projection
        .iter()
        .any(|item| matches!(label(item), Label::Many));
    if hidden.is_empty() && shows_all {
        return Ok(());
    }
    // PostgreSQL makes the rows of a row together, one after the other.
    let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let made = select.projection.iter().find_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => array_of(expr),
        _ => None,
    });
    if let Some(array) = made.filter(|_| !is_grouped) {
        hidden.push((PLACE.to_owned(), place(array)));
        keys.push(ascending(column(PLACE)));
    }
    hide(query, hidden, keys, None)
}

/// Whether a sub-query is in it, which DataFusion plans in a select list alone.
fn asks(key: &Expr) -> bool {
    let found = visit_expressions(key, |expr| match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// `SELECT upper(a) AS a FROM t ORDER BY length(a)`: in an expression a name is a column of the tables, whatever is selected
/// under it.
fn names_alias(key: &Expr, select: &Select) -> bool {
    if matches!(key, Expr::Identifier(_) | Expr::Value(_)) {
        return false;
    }
    let aliases = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => {
            let alias = folded(alias);
            let is_column = match expr {
                Expr::Identifier(name) => folded(name) == alias,
                Expr::CompoundIdentifier(names) => {
                    names.last().is_some_and(|name| folded(name) == alias)
                }
                _ => false,
            };
            (!is_column).then_some(alias)
        }
        _ => None,
    });
    let aliases: HashSet<String> = aliases.collect();
    visit_expressions(key, |expr| match expr {
        Expr::Identifier(name) if aliases.contains(&folded(name)) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// What is selected, by its place.
fn order_by_places(query: &mut Query) {
    let (SetExpr::Select(select), Some(order_by)) = (query.body.as_ref(), &mut query.order_by)
    else {
        return;
    };
    let OrderByKind::Expressions(keys) = &mut order_by.kind else {
        return;
    };
    for key in keys {
        if names_alias(&key.expr, select)
            && let Some(at) = shown_at(&key.expr, select)
        {
            key.expr = Expr::Value(Value::Number((at + 1).to_string(), false).into());
        }
    }
}

/// The rows up to the n-th, and those that are ranked with it.
fn with_ties(query: &mut Query) -> Result<()> {
    let Some(fetch) = query.fetch.take() else {
        return Ok(());
    };
    let (SetExpr::Select(select), Some(order_by)) = (query.body.as_ref(), query.order_by.take())
    else {
        return Ok(());
    };
    let has_offset = matches!(
        &query.limit_clause,
        Some(LimitClause::LimitOffset {
            offset: Some(_),
            ..
        })
    );
    if has_offset || fetch.percent || shows_rows(select) || select.distinct.is_some() {
        return Err(Error::not_supported(
            "WITH TIES together with OFFSET, DISTINCT or functions that make rows is not supported",
            "Rank the rows in a sub-query, and compare with the rank.",
        ));
    }
    let OrderByKind::Expressions(keys) = order_by.kind else {
        return Err(Error::not_supported("ORDER BY ALL", ""));
    };
    let keys = keys.into_iter().map(|key| OrderByExpr {
        expr: meant(key.expr, select),
        ..key
    });
    let rank = call_over("rank", keys.collect());
    let one = Expr::Value(Value::Number("1".to_owned(), false).into());
    let most = fetch.quantity.unwrap_or(one);
    let hidden = vec![(RANK.to_owned(), rank)];
    hide(query, hidden, vec![ascending(column(RANK))], Some(most))
}

/// `SELECT shown FROM (SELECT shown, hidden FROM …) WHERE rank <= most ORDER BY keys`
fn hide(
    query: &mut Query,
    hidden: Vec<(String, Expr)>,
    keys: Vec<OrderByExpr>,
    most: Option<Expr>,
) -> Result<()> {
    let mut outer = parse::query(
        "SELECT 1 FROM (SELECT 1) AS \"\u{1}hidden\" WHERE \"\u{1}rank\" <= 1 ORDER BY 1",
    )?;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Ok(());
    };
    let mut shown = vec![];
    for (at, item) in select.projection.iter_mut().enumerate() {
        let Label::One(alias) = label(item) else {
            return Err(Error::not_supported(
                "* is not supported beside functions that make rows, WITH TIES or a sub-query in ORDER BY",
                "Name the columns.",
            ));
        };
        let name = format!("\u{1}shown{at}");
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let expr = expr.clone();
            *item = SelectItem::ExprWithAlias {
                expr,
                alias: Ident::with_quote('"', &name),
            };
        }
        shown.push(SelectItem::ExprWithAlias {
            expr: column(&name),
            alias: Ident::with_quote('"', alias),
        });
    }
    // What is ordered by a shown column or its place finds it outside.
    for (name, expr) in hidden {
        select.projection.push(SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', name),
        });
    }
    std::mem::swap(query, &mut outer);
    let mut inner = outer;
    query.with = inner.with.take();
    query.limit_clause = inner.limit_clause.take();
    query.fetch = inner.fetch.take();
    inner.order_by = None;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = shown;
        match (&mut select.selection, most) {
            (Some(Expr::BinaryOp { right, .. }), Some(most)) => **right = most,
            (selection, _) => *selection = None,
        }
        if let Some(TableFactor::Derived { subquery, .. }) =
            select.from.first_mut().map(|from| &mut from.relation)
        {
            **subquery = inner;
        }
    }
    if let Some(OrderBy { kind, .. }) = &mut query.order_by {
        *kind = OrderByKind::Expressions(keys);
    }
    Ok(())
}

/// Which column of the result a key of ORDER BY is.
fn shown_at(key: &Expr, select: &Select) -> Option<usize> {
    let mut items = select.projection.iter();
    match key {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse::<usize>().ok()?.checked_sub(1),
            _ => None,
        },
        Expr::Identifier(name) => items.position(|item| match label(item) {
            Label::One(label) => label == folded(name),
            Label::Many => false,
        }),
        key => items.position(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr == key,
            _ => false,
        }),
    }
}

/// A key as an expression of the tables: places and names of the select list are what stands there.
fn meant(key: Expr, select: &Select) -> Expr {
    let items = || {
        select.projection.iter().map(|item| match item {
            SelectItem::UnnamedExpr(expr) => (None, Some(expr)),
            SelectItem::ExprWithAlias { expr, alias } => (Some(folded(alias)), Some(expr)),
            _ => (None, None),
        })
    };
    let found = match &key {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number
                .parse::<usize>()
                .ok()
                .and_then(|place| items().nth(place.checked_sub(1)?)?.1),
            _ => None,
        },
        Expr::Identifier(name) => {
            let name = folded(name);
            let mut named = items().filter(|(alias, _)| alias.as_ref() == Some(&name));
            named.next().and_then(|(_, expr)| expr)
        }
        _ => None,
    };
    found.cloned().unwrap_or(key)
}

/// Whether a function of the select list makes rows.
fn shows_rows(select: &Select) -> bool {
    select.projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => makes_rows(expr),
        _ => false,
    })
}

/// As one number: DataFusion takes what numbers the rows for unique when rows have been made of them, and looks no further.
fn place(array: Expr) -> Expr {
    let binary = |left, op, right| Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    };
    let most = Expr::Value(Value::Number("4294967296".to_owned(), false).into());
    let row = binary(
        call_over("row_number", vec![]),
        BinaryOperator::Multiply,
        most,
    );
    let place = call("unnest", vec![call("\u{1}ordinals", vec![array])]);
    binary(row, BinaryOperator::Plus, place)
}

/// Whether a function of the expression makes rows.
pub(crate) fn makes_rows(expr: &Expr) -> bool {
    array_of(expr).is_some()
}

/// The array that the first such function makes rows of.
fn array_of(expr: &Expr) -> Option<Expr> {
    struct Finds(Option<Expr>);
    impl Visitor for Finds {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if self.0.is_none() => self.0 = array(function),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut finds = Finds(None);
    let _ = expr.visit(&mut finds);
    finds.0
}

fn array(function: &Function) -> Option<Expr> {
    let name = plain_name(&function.name)?;
    match name.as_str() {
        "unnest" => match &function.args {
            FunctionArguments::List(list) => match list.args.first()? {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(array)) => Some(array.clone()),
                _ => None,
            },
            _ => None,
        },
        "generate_series" => {
            let FunctionArguments::List(list) = &function.args else {
                return None;
            };
            let args = list.args.iter().map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            });
            Some(series(args.collect::<Option<_>>()?))
        }
        name => {
            let mut array = function.clone();
            array.name = ObjectName::from(vec![Ident::new(array_of_rows(name)?)]);
            Some(Expr::Function(array))
        }
    }
}
