//! `SELECT t.id, t.name FROM t GROUP BY t.id`: what a primary key decides needs no place in GROUP BY. It gets one here, where it is
//! shown, or sorted or filtered by, outside of an aggregate: nothing else tells DataFusion that it is the same in a group.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use crate::{
    names::{Names, folded, parts},
    shapes::Shapes,
    syntax::plain_name,
    tree::bare,
    using::{self, Tables},
};

/// After the names are known, and what stands for rows is spelled out. `is_aggregate` says it of a function's name.
pub(crate) fn spell_out(
    statement: &mut Statement,
    names: &Names,
    is_aggregate: impl Fn(&str) -> bool,
) {
    if names.has_keys() {
        let shapes = Shapes::new(names);
        let mut queries = Queries {
            names,
            shapes,
            is_aggregate: &is_aggregate,
        };
        let _ = statement.visit(&mut queries);
    }
}

struct Queries<'a> {
    names: &'a Names,
    shapes: Shapes<'a>,
    is_aggregate: &'a dyn Fn(&str) -> bool,
}

impl VisitorMut for Queries<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.shapes.enter(query);
        let order_by = query.order_by.clone();
        if let SetExpr::Select(select) = &mut *query.body {
            self.group(select, &order_by);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.shapes.leave();
        ControlFlow::Continue(())
    }
}

/// A table in FROM.
struct Table {
    name: String,
    columns: Vec<String>,
    key: Vec<String>,
}

type Column = (String, String);

impl Queries<'_> {
    fn group(&self, select: &mut Select, order_by: &impl Visit) {
        let GroupByExpr::Expressions(by, modifiers) = &select.group_by else {
            return;
        };
        let is_set = |expr: &Expr| {
            matches!(
                expr,
                Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_)
            )
        };
        if by.is_empty() || !modifiers.is_empty() || by.iter().any(is_set) {
            return;
        }
        let factors = select.from.iter().flat_map(using::factors);
        let tables: Vec<Table> = factors.filter_map(|factor| self.table(factor)).collect();
        let grouped: Vec<Column> = by
            .iter()
            .filter_map(|expr| column_of(said(expr, select, &tables), &tables))
            .collect();
        let is_grouped = |name: &str, column: &str| {
            let mut grouped = grouped.iter();
            grouped.any(|(table, own)| table == name && own == column)
        };
        let is_decided = |table: &&Table| {
            let mut key = table.key.iter();
            !table.key.is_empty() && key.all(|column| is_grouped(&table.name, column))
        };
        let decided: Vec<&Table> = tables.iter().filter(is_decided).collect();
        if decided.is_empty() {
            return;
        }
        let mut shown = Shown {
            tables: &tables,
            is_aggregate: self.is_aggregate,
            aggregates: 0,
            queries: 0,
            columns: vec![],
        };
        let _ = select.projection.visit(&mut shown);
        let _ = select.having.visit(&mut shown);
        let _ = order_by.visit(&mut shown);
        let mut columns = shown.columns;
        for item in &select.projection {
            let of = match item {
                SelectItem::Wildcard(_) => None,
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) => parts(name).ok().and_then(|mut parts| parts.pop()),
                _ => continue,
            };
            let tables = decided.iter();
            let tables = tables.filter(|table| of.as_ref().is_none_or(|of| *of == table.name));
            columns.extend(tables.flat_map(|table| {
                let columns = table.columns.iter();
                columns.map(|column| (table.name.clone(), column.clone()))
            }));
        }
        let mut more: Vec<Column> = vec![];
        for (name, column) in columns {
            let is_decided = decided.iter().any(|table| table.name == name);
            let added = (name, column);
            if is_decided && !is_grouped(&added.0, &added.1) && !more.contains(&added) {
                more.push(added);
            }
        }
        if let GroupByExpr::Expressions(by, _) = &mut select.group_by {
            by.extend(more.into_iter().map(|(table, column)| {
                let names = [table, column].map(|name| Ident::with_quote('"', name));
                Expr::CompoundIdentifier(names.into())
            }));
        }
    }

    fn table(&self, factor: &TableFactor) -> Option<Table> {
        let (name, columns) = self.shapes.of(factor)?;
        let mut key = vec![];
        if let TableFactor::Table {
            name, args: None, ..
        } = factor
        {
            let found = self.names.key_of(&parts(name).ok()?);
            // As an alias calls them.
            for at in found.into_iter().flatten() {
                key.push(columns.get(at)?.clone());
            }
        }
        Some(Table { name, columns, key })
    }
}

/// What a number or a name of the select list stands for in GROUP BY.
fn said<'a>(expr: &'a Expr, select: &'a Select, tables: &[Table]) -> &'a Expr {
    let expr = bare(expr);
    let place = match expr {
        Expr::Value(value) => value.to_string().parse::<usize>().ok(),
        Expr::Identifier(name) if column_of(expr, tables).is_none() => {
            let mut items = select.projection.iter();
            let place = items.position(|item| {
                matches!(item, SelectItem::ExprWithAlias { alias, .. } if folded(alias) == folded(name))
            });
            place.map(|place| place + 1)
        }
        _ => None,
    };
    let item = place.and_then(|place| select.projection.get(place.checked_sub(1)?));
    match item {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => bare(expr),
        _ => expr,
    }
}

/// The table and the name of a column.
fn column_of(expr: &Expr, tables: &[Table]) -> Option<Column> {
    match expr {
        Expr::Identifier(name) => {
            let name = folded(name);
            let mut found = tables.iter().filter(|table| table.columns.contains(&name));
            let table = found.next()?;
            let is_only = found.next().is_none();
            is_only.then(|| (table.name.clone(), name))
        }
        Expr::CompoundIdentifier(names) => {
            let names: Vec<String> = names.iter().map(folded).collect();
            match names.as_slice() {
                [.., table, column] => {
                    let mut tables = tables.iter();
                    let known = tables.find(|known| known.name == *table)?;
                    let is_there = known.columns.contains(column);
                    is_there.then(|| (table.clone(), column.clone()))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The columns that are named outside of aggregates.
struct Shown<'a> {
    tables: &'a [Table],
    is_aggregate: &'a dyn Fn(&str) -> bool,
    aggregates: usize,
    queries: usize,
    columns: Vec<Column>,
}

impl Shown<'_> {
    fn aggregates(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Function(function)
            if function.over.is_none()
                && plain_name(&function.name).is_some_and(|name| (self.is_aggregate)(&name)))
    }
}

impl Visitor for Shown<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.aggregates += usize::from(self.aggregates(expr));
        // A bare name in a sub-query is mostly of its own tables.
        let is_own = self.queries == 0 || matches!(expr, Expr::CompoundIdentifier(_));
        if self.aggregates == 0
            && is_own
            && let Some(column) = column_of(expr, self.tables)
        {
            self.columns.push(column);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.aggregates -= usize::from(self.aggregates(expr));
        ControlFlow::Continue(())
    }
}
