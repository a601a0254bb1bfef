//! The columns of what stands in FROM, for what PostgreSQL says with its name alone: `row_to_json(t)`, `count(t)`,
//! `(t).a`, `t (a)` that renames the first column and leaves the others, and `a, *` that answers a column twice.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    JoinConstraint, JoinOperator, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, Value,
    VisitMut, VisitorMut,
};
use rapport_udf_postgres::json;

use crate::{
    columns::{Label, MARK, label},
    names::{Names, PRIVATE, folded, key, parts},
    parse,
    privilege::quoted,
    tree::call,
};

/// After the names are known.
pub(crate) fn spell_out(statement: &mut Statement, names: &Names) {
    let mut rows = Rows {
        names,
        ctes: vec![],
        scopes: vec![],
    };
    let _ = statement.visit(&mut rows);
}

/// The names of an item's columns; `None` if they are not known here.
type Shape = Option<Vec<String>>;

struct Item {
    name: String,
    shape: Shape,
    /// An outer join may have no row of it.
    may_be_missing: bool,
    /// Whether a column may be put beside its own, by which a row is known from none.
    may_be_marked: bool,
    is_marked: bool,
}

/// The column that is true in each row of an item, and NULL where an outer join has none.
const THERE: &str = "\u{1}there";

struct Rows<'a> {
    names: &'a Names,
    ctes: Vec<HashMap<String, Shape>>,
    /// What stands in FROM, of the innermost query last.
    scopes: Vec<Vec<Item>>,
}

impl Rows<'_> {
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
        let mut columns = self.item(&table.relation)?.shape?;
        for join in &table.joins {
            match constraint(&join.join_operator) {
                Some(JoinConstraint::On(_) | JoinConstraint::None) => {}
                _ => return None,
            }
            columns.extend(self.item(&join.relation)?.shape?);
        }
        Some(columns)
    }

    fn items_of(&self, select: &Select) -> Vec<Item> {
        let tables = select.from.iter();
        tables.flat_map(|table| self.items(table)).collect()
    }

    fn items(&self, table: &TableWithJoins) -> Vec<Item> {
        let mut items: Vec<Item> = self.item(&table.relation).into_iter().collect();
        for join in &table.joins {
            use JoinOperator as J;
            let (left, right) = match &join.join_operator {
                J::Join(_) | J::Inner(_) | J::CrossJoin(_) => (false, false),
                J::Left(_) | J::LeftOuter(_) => (false, true),
                J::Right(_) | J::RightOuter(_) => (true, false),
                _ => (true, true),
            };
            items
                .iter_mut()
                .for_each(|item| item.may_be_missing |= left);
            if let Some(mut item) = self.item(&join.relation) {
                item.may_be_missing = right;
                items.push(item);
            }
        }
        items
    }

    fn item(&self, factor: &TableFactor) -> Option<Item> {
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
            _ => return None,
        };
        let given = alias.iter().flat_map(|alias| &alias.columns);
        let given = given.map(|column| folded(&column.name));
        let shape = base.map(|mut columns| {
            for (at, name) in given.enumerate() {
                if let Some(column) = columns.get_mut(at) {
                    *column = name;
                }
            }
            columns
        });
        Some(Item {
            name: alias.as_ref().map(|alias| folded(&alias.name)).or(name)?,
            shape,
            may_be_missing: false,
            may_be_marked: false,
            is_marked: false,
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

    /// What the name stands for, if it cannot be a column.
    fn whole(&mut self, name: &Ident) -> Option<&mut Item> {
        let name = folded(name);
        for scope in self.scopes.iter_mut().rev() {
            let is_column = |item: &Item| match &item.shape {
                Some(columns) => columns.contains(&name),
                None => true,
            };
            if scope.iter().any(is_column) {
                return None;
            }
            if let Some(item) = scope.iter_mut().find(|item| item.name == name) {
                return Some(item);
            }
        }
        None
    }

    fn object(&mut self, function: &str, expr: &Expr) -> Option<Expr> {
        let Expr::Identifier(name) = expr else {
            return None;
        };
        let item = self.whole(name)?;
        let columns = item.shape.clone()?;
        let there = match item.may_be_missing {
            true => Some(item.there(name)?),
            false => None,
        };
        let members = columns.iter().flat_map(|column| {
            [
                Expr::Value(Value::SingleQuotedString(column.clone()).into()),
                Expr::CompoundIdentifier(vec![name.clone(), Ident::with_quote('"', column)]),
            ]
        });
        let object = call(function, members.collect());
        // It is NULL where there is none, and not a row of NULLs.
        Some(match there {
            Some(condition) => Expr::Case {
                case_token: AttachedToken::empty(),
                end_token: AttachedToken::empty(),
                operand: None,
                conditions: vec![CaseWhen {
                    condition,
                    result: object,
                }],
                else_result: None,
            },
            None => object,
        })
    }

    fn function(&mut self, function: &mut Function) -> Option<Expr> {
        let called = match function.name.0.as_slice() {
            [name] => folded(name.as_ident()?),
            _ => return None,
        };
        let FunctionArguments::List(list) = &mut function.args else {
            return None;
        };
        let Some(FunctionArg::Unnamed(first)) = list.args.first_mut() else {
            return None;
        };
        // `t.*` is the row too.
        if let FunctionArgExpr::QualifiedWildcard(name) = &*first
            && let [table] = name.0.as_slice()
        {
            let table = table.as_ident()?.clone();
            *first = FunctionArgExpr::Expr(Expr::Identifier(table));
        }
        let FunctionArgExpr::Expr(first) = first else {
            return None;
        };
        match called.as_str() {
            "row_to_json" | "to_json" => self.object("row_to_json", first),
            "to_jsonb" => self.object("jsonb_build_object", first),
            json::ITEM => {
                *first = self.object(json::ROW, first)?;
                None
            }
            // Rows come on lines of their own.
            "string_agg" => {
                let is_rows = matches!(&*first, Expr::Function(item) if is_call(item, json::ITEM)
                    && matches!(only_argument(item), Some(Expr::Function(row)) if is_call(row, json::ROW)));
                if let (
                    true,
                    Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(separator)))),
                ) = (is_rows, list.args.get_mut(1))
                {
                    separator.value = Value::SingleQuotedString(", \n ".to_owned());
                }
                None
            }
            "count" => {
                let Expr::Identifier(name) = &*first else {
                    return None;
                };
                let item = self.whole(name)?;
                if list.duplicate_treatment.is_none() {
                    let rows = match item.may_be_missing {
                        true => FunctionArgExpr::Expr(item.there(name)?),
                        false => FunctionArgExpr::Wildcard,
                    };
                    list.args[0] = FunctionArg::Unnamed(rows);
                }
                None
            }
            _ => None,
        }
    }
}

impl Item {
    /// Whether there is a row of it.
    fn there(&mut self, name: &Ident) -> Option<Expr> {
        self.is_marked |= self.may_be_marked;
        let there = vec![name.clone(), Ident::with_quote('"', THERE)];
        self.may_be_marked
            .then_some(Expr::CompoundIdentifier(there))
    }
}

/// `t` as `(SELECT *, true AS there FROM t) AS t`.
fn mark(factor: &mut TableFactor, name: &str) {
    let Ok(query) = parse::query(&format!("SELECT *, true AS {} FROM t", quoted(THERE))) else {
        return;
    };
    let alias = TableAlias {
        explicit: true,
        name: Ident::with_quote('"', name),
        columns: vec![],
        at: None,
    };
    let mut marked = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: Some(alias),
        sample: None,
    };
    if let TableFactor::Derived { subquery, .. } = &mut marked
        && let SetExpr::Select(select) = subquery.body.as_mut()
    {
        std::mem::swap(&mut select.from[0].relation, factor);
    }
    *factor = marked;
}

/// `SELECT a, * FROM t`: what `*` answers too gets a name of its own, of which the client sees the first part.
fn tell_apart(select: &mut Select, items: &[Item]) {
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

/// What a table or a sub-query in FROM is called.
fn alias(factor: &mut TableFactor) -> Option<&mut TableAlias> {
    match factor {
        TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => alias.as_mut(),
        _ => None,
    }
}

/// Gives those columns their own names that an alias leaves out.
fn name_all(alias: &mut TableAlias, columns: &[String]) {
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

fn is_call(function: &Function, name: &str) -> bool {
    matches!(function.name.0.as_slice(), [part]
        if part.as_ident().is_some_and(|ident| ident.value == name))
}

fn only_argument(function: &Function) -> Option<&Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(only)), ..] => Some(only),
        _ => None,
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(constraint)
        | J::Inner(constraint)
        | J::Left(constraint)
        | J::LeftOuter(constraint)
        | J::Right(constraint)
        | J::RightOuter(constraint)
        | J::FullOuter(constraint)
        | J::CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

impl VisitorMut for Rows<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.ctes.push(HashMap::new());
        let ctes = query.with.iter_mut();
        for cte in ctes.flat_map(|with| &mut with.cte_tables) {
            let mut shape = self.of_query(&cte.query);
            if let Some(columns) = &mut shape {
                for (column, given) in columns.iter_mut().zip(&cte.alias.columns) {
                    *column = folded(&given.name);
                }
                name_all(&mut cte.alias, columns);
            }
            if let Some(ctes) = self.ctes.last_mut() {
                ctes.insert(folded(&cte.alias.name), shape);
            }
        }
        // What stands in FROM is seen by ORDER BY too.
        let items = match query.body.as_ref() {
            SetExpr::Select(select) if query.order_by.is_some() => self.items_of(select),
            _ => vec![],
        };
        self.scopes.push(items);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.ctes.pop();
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut items = self.items_of(select);
        tell_apart(select, &items);
        let shows_all = select
            .projection
            .iter()
            .any(|item| wildcard(item).is_some());
        for item in &mut items {
            item.may_be_marked = !shows_all;
        }
        self.scopes.push(items);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let items = self.scopes.pop().unwrap_or_default();
        for item in items.into_iter().filter(|item| item.is_marked) {
            let joined = select.from.iter_mut().flat_map(|table| {
                let joins = table.joins.iter_mut().map(|join| &mut join.relation);
                std::iter::once(&mut table.relation).chain(joins)
            });
            for factor in joined {
                if self.item(factor).is_some_and(|own| own.name == item.name) {
                    mark(factor, &item.name);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let is_renamed = alias(factor).is_some_and(|alias| !alias.columns.is_empty());
        let item = is_renamed.then(|| self.item(factor)).flatten();
        if let Some(columns) = item.and_then(|item| item.shape)
            && let Some(alias) = alias(factor)
        {
            name_all(alias, &columns);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let spelled = match expr {
            Expr::Function(function) => self.function(function),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let mut root = root.as_ref();
                while let Expr::Nested(inner) = root {
                    root = inner;
                }
                match (root, access_chain.as_slice()) {
                    (Expr::Identifier(name), [AccessExpr::Dot(Expr::Identifier(column))])
                        if self.whole(name).is_some() =>
                    {
                        Some(Expr::CompoundIdentifier(vec![name.clone(), column.clone()]))
                    }
                    // A row that a function has answered.
                    (row, [AccessExpr::Dot(Expr::Identifier(column))]) => {
                        let column = Value::SingleQuotedString(folded(column));
                        let column = Expr::Value(column.into());
                        Some(call("get_field", vec![row.clone(), column]))
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        if let Some(spelled) = spelled {
            *expr = spelled;
        }
        ControlFlow::Continue(())
    }
}
