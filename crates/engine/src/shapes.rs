//! What stands in FROM: what it is called, and the names of its columns where they are known.

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinOperator, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins,
};

use crate::{
    columns::{Label, label},
    names::{Names, PRIVATE, folded, key, parts},
    using::{self, Merged, Tables},
};

/// The names of an item's columns; `None` if they are not known here.
pub(crate) type Shape = Option<Vec<String>>;

pub(crate) struct Item {
    pub name: String,
    pub shape: Shape,
    /// An outer join may have no row of it.
    pub may_be_missing: bool,
    /// Whether a column may be put beside its own, by which a row is known from none.
    pub may_be_marked: bool,
    pub is_marked: bool,
    /// Of a function with a name for the one value that it answers, which the item's name alone stands for too.
    pub is_value: bool,
}

/// Of one statement, whose queries are entered and left.
pub(crate) struct Shapes<'a> {
    names: &'a Names,
    ctes: Vec<HashMap<String, Shape>>,
}

impl Tables for Shapes<'_> {
    fn of(&self, factor: &TableFactor) -> Option<(String, Vec<String>)> {
        if let TableFactor::NestedJoin {
            table_with_joins,
            alias: Some(alias),
        } = factor
        {
            let columns = using::columns(table_with_joins, self)?;
            let names = columns.into_iter().map(|column| column.name);
            return Some((folded(&alias.name), renamed(names.collect(), Some(alias))));
        }
        let item = self.item(factor)?;
        Some((item.name, item.shape?))
    }

    fn merged(&self) -> &Merged {
        self.names.merged()
    }
}

impl<'a> Shapes<'a> {
    pub(crate) fn new(names: &'a Names) -> Self {
        Self {
            names,
            ctes: vec![],
        }
    }

    pub(crate) fn enter(&mut self, query: &mut Query) {
        self.ctes.push(HashMap::new());
        let ctes = query.with.iter_mut();
        for cte in ctes.flat_map(|with| &mut with.cte_tables) {
            let mut shape = self.of_query(&cte.query);
            if let Some(columns) = &mut shape {
                *columns = renamed(std::mem::take(columns), Some(&cte.alias));
                name_all(&mut cte.alias, columns);
            }
            if let Some(ctes) = self.ctes.last_mut() {
                ctes.insert(folded(&cte.alias.name), shape);
            }
        }
    }

    pub(crate) fn leave(&mut self) {
        self.ctes.pop();
    }

    fn of_query(&self, query: &Query) -> Shape {
        let mut body = &*query.body;
        loop {
            body = match body {
                SetExpr::SetOperation { left, .. } => left,
                SetExpr::Query(query) => &query.body,
                SetExpr::Values(values) => {
                    let width = values.rows.first()?.content.len();
                    return Some((1..=width).map(|at| format!("column{at}")).collect());
                }
                SetExpr::Select(select) => return self.of_select(select),
                _ => return None,
            };
        }
    }

    fn of_select(&self, select: &Select) -> Shape {
        let mut columns = vec![];
        for item in &select.projection {
            match item {
                SelectItem::Wildcard(_) => {
                    for table in &select.from {
                        columns.extend(self.of_joined(table)?);
                    }
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) => {
                    let items = select.from.iter().flat_map(|table| self.items(table));
                    let wanted = parts(name).ok()?.pop()?;
                    let mut found = items.filter(|item| item.name == wanted);
                    columns.extend(found.next()?.shape?);
                }
                item => match label(item) {
                    Label::One(name) if name.starts_with(PRIVATE) => {}
                    Label::One(name) => columns.push(name),
                    Label::Many => return None,
                },
            }
        }
        Some(columns)
    }

    fn of_joined(&self, table: &TableWithJoins) -> Shape {
        let columns = using::columns(table, self)?.into_iter();
        Some(columns.map(|column| column.name).collect())
    }

    pub(crate) fn items_of(&self, select: &Select) -> Vec<Item> {
        let tables = select.from.iter();
        tables.flat_map(|table| self.items(table)).collect()
    }

    fn items(&self, table: &TableWithJoins) -> Vec<Item> {
        let mut items = self.items_within(&table.relation);
        for join in &table.joins {
            use JoinOperator as J;
            let (left, right) = match &join.join_operator {
                J::Join(_) | J::Inner(_) | J::CrossJoin(_) => (false, false),
                J::Left(_) | J::LeftOuter(_) => (false, true),
                J::Right(_) | J::RightOuter(_) => (true, false),
                _ => (true, true),
            };
            let mut others = self.items_within(&join.relation);
            let missing = |items: &mut [Item], may_be: bool| {
                let items = items.iter_mut();
                items.for_each(|item| item.may_be_missing |= may_be);
            };
            missing(&mut items, left);
            missing(&mut others, right);
            items.extend(others);
        }
        items
    }

    fn items_within(&self, factor: &TableFactor) -> Vec<Item> {
        match factor {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => self.items(table_with_joins),
            factor => self.item(factor).into_iter().collect(),
        }
    }

    pub(crate) fn item(&self, factor: &TableFactor) -> Option<Item> {
        let (base, name, alias) = match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let parts = parts(name).ok()?;
                (self.of_table(&parts), parts.last().cloned(), alias)
            }
            TableFactor::Derived {
                subquery, alias, ..
            } => (self.of_query(subquery), None, alias),
            // A function of one column, which has got its name by now.
            TableFactor::Table {
                args: Some(_),
                alias: alias @ Some(given),
                with_ordinality: false,
                ..
            } if given.columns.len() == 1 => (Some(vec![String::new()]), None, alias),
            _ => return None,
        };
        let shape = base.map(|columns| renamed(columns, alias.as_ref()));
        Some(Item {
            name: alias.as_ref().map(|alias| folded(&alias.name)).or(name)?,
            shape,
            may_be_missing: false,
            may_be_marked: false,
            is_marked: false,
            is_value: answers_a_value(factor),
        })
    }

    fn of_table(&self, parts: &[String]) -> Shape {
        if let [name] = parts
            && let Some(shape) = self.ctes.iter().rev().find_map(|ctes| ctes.get(name))
        {
            return shape.clone();
        }
        self.names.columns(&key(parts))
    }
}

/// `jsonb_array_elements(…)`, which is a query by now.
fn answers_a_value(factor: &TableFactor) -> bool {
    let TableFactor::Derived { subquery, .. } = factor else {
        return false;
    };
    let SetExpr::Select(select) = subquery.body.as_ref() else {
        return false;
    };
    matches!(
        select.projection.as_slice(),
        [SelectItem::ExprWithAlias { expr: Expr::Function(_), alias }]
            if select.from.is_empty() && alias.value == "value" && alias.quote_style.is_some()
    )
}

/// As an alias calls the first columns.
fn renamed(mut columns: Vec<String>, alias: Option<&TableAlias>) -> Vec<String> {
    let given = alias.iter().flat_map(|alias| &alias.columns);
    for (column, given) in columns.iter_mut().zip(given) {
        *column = folded(&given.name);
    }
    columns
}

/// Gives those columns their own names that an alias leaves out.
pub(crate) fn name_all(alias: &mut TableAlias, columns: &[String]) {
    if alias.columns.is_empty() {
        return;
    }
    let others = columns.iter().skip(alias.columns.len());
    let others = others.map(|column| TableAliasColumnDef {
        name: Ident::with_quote('"', column),
        data_type: None,
    });
    let others: Vec<TableAliasColumnDef> = others.collect();
    alias.columns.extend(others);
}
