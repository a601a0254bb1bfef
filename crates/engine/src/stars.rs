//! `*` where it has to be spelled out: where a column comes twice (`a, *` and `*, *`), and where tables share columns.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Select, SelectItem, SelectItemQualifiedWildcardKind,
};

use crate::{
    columns::MARK,
    names::{folded, parts},
    shapes::Item,
    using::{self, Tables},
};

pub(crate) fn shows_all(select: &Select) -> bool {
    let mut items = select.projection.iter();
    items.any(|item| wildcard(item).is_some())
}

/// The columns in the place of `*`, where one is shared or there are several `*`. What comes again gets a name of its own, as do
/// columns of one name where they are a sub-query's: DataFusion would give them numbers. `false` if a column cannot be named.
pub(crate) fn spell_out(select: &mut Select, tables: &impl Tables, is_within: bool) -> bool {
    let from = select.from.iter();
    let Some(from) = from
        .map(|table| using::columns(table, tables))
        .collect::<Option<Vec<_>>>()
    else {
        return true;
    };
    let columns: Vec<using::Column> = from.into_iter().flatten().collect();
    let stars = select.projection.iter().filter_map(wildcard);
    let is_plain = |item: &SelectItem| match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
            *options == Default::default()
        }
        _ => true,
    };
    let n_stars = stars.count();
    if n_stars == 0 || !select.projection.iter().all(is_plain) {
        return true;
    }
    let is_shared = columns.iter().any(|column| column.is_shared);
    let can_be_named = is_distinct(columns.iter().map(|column| column.expr.to_string()));
    let names = columns.iter().map(|column| column.name.clone());
    let is_wanted = is_within && can_be_named && !is_distinct(names);
    if !(is_shared || n_stars > 1 || is_wanted) {
        return true;
    }
    if !can_be_named {
        return false;
    }
    let mut seen = HashSet::new();
    let mut names = HashSet::new();
    let items = std::mem::take(&mut select.projection);
    for item in items {
        let Some(of) = wildcard(&item) else {
            select.projection.push(item);
            continue;
        };
        let shown: Vec<(String, Expr)> = match &of {
            None => columns
                .iter()
                .map(|column| (column.name.clone(), column.expr.clone()))
                .collect(),
            Some(table) => match of_table(select, table, tables) {
                Some(shown) => shown,
                None => {
                    select.projection.push(item);
                    continue;
                }
            },
        };
        for (name, expr) in shown {
            let is_new =
                seen.insert(expr.to_string()) && (names.insert(name.clone()) || !is_within);
            let item = match (is_new, &expr) {
                (true, Expr::CompoundIdentifier(_)) => SelectItem::UnnamedExpr(expr),
                (true, _) => SelectItem::ExprWithAlias {
                    expr,
                    alias: Ident::with_quote('"', name),
                },
                (false, _) => SelectItem::ExprWithAlias {
                    expr,
                    alias: Ident::with_quote(
                        '"',
                        format!("{name}{MARK}*{}", select.projection.len()),
                    ),
                },
            };
            select.projection.push(item);
        }
    }
    true
}

fn is_distinct(mut names: impl Iterator<Item = String>) -> bool {
    let mut seen = HashSet::new();
    names.all(|name| seen.insert(name))
}

/// The columns of one of the tables.
fn of_table(select: &Select, name: &str, tables: &impl Tables) -> Option<Vec<(String, Expr)>> {
    let from = select.from.iter();
    let found = from.flat_map(using::factors).find_map(|factor| {
        let (table, columns) = tables.of(factor)?;
        (table == name).then_some(columns)
    });
    let columns = found?.into_iter().map(|column| {
        let idents = [name, &column].map(|part| Ident::with_quote('"', part));
        (column, Expr::CompoundIdentifier(idents.into()))
    });
    Some(columns.collect())
}

/// `SELECT a, * FROM t`: what `*` answers too gets a name of its own, of which the client sees the first part.
pub(crate) fn tell_apart(select: &mut Select, items: &[Item]) {
    let mut shown: HashSet<(&str, &str)> = HashSet::new();
    for item in &select.projection {
        let all = wildcard(item);
        let wanted = items.iter().filter(|item| match &all {
            Some(Some(name)) => item.name == *name,
            Some(None) => true,
            None => false,
        });
        for item in wanted {
            let columns = item.shape.iter().flatten();
            shown.extend(columns.map(|column| (item.name.as_str(), column.as_str())));
        }
    }
    if shown.is_empty() {
        return;
    }
    for (index, item) in select.projection.iter_mut().enumerate() {
        let (name, expr) = match &*item {
            SelectItem::UnnamedExpr(Expr::Identifier(column)) => {
                let column = folded(column);
                let is_shown = shown.iter().any(|(_, shown)| *shown == column);
                if !is_shown {
                    continue;
                }
                (column, None)
            }
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                let names: Vec<String> = names.iter().map(folded).collect();
                match names.as_slice() {
                    [.., table, column] if shown.contains(&(table, column)) => {
                        (column.clone(), None)
                    }
                    _ => continue,
                }
            }
            SelectItem::ExprWithAlias { alias, expr } => {
                let name = folded(alias);
                let is_shown = shown.iter().any(|(_, shown)| *shown == name);
                if !is_shown {
                    continue;
                }
                (name, Some(expr.clone()))
            }
            _ => continue,
        };
        let expr = match (expr, &*item) {
            (Some(expr), _) => expr,
            (None, SelectItem::UnnamedExpr(expr)) => expr.clone(),
            _ => continue,
        };
        let alias = Ident::with_quote('"', format!("{name}{MARK}{index}"));
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
}

/// Whether it is `*`, and of what.
fn wildcard(item: &SelectItem) -> Option<Option<String>> {
    match item {
        SelectItem::Wildcard(_) => Some(None),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            Some(Some(parts(name).ok()?.pop()?))
        }
        _ => None,
    }
}
