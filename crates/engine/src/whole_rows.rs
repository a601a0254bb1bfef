//! The columns of what stands in FROM, for what PostgreSQL says with its name alone: `SELECT t`, `row_to_json(t)`, `count(t)`,
//! `(t).a`, `t (a)` that renames the first column and leaves the others, a column that `using` finds in two tables, and the
//! `*` of `stars`.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, CaseWhen, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, Statement,
    TableAlias, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};
use rapport_udf_postgres::{TEXT_OF, json};

use crate::{
    Error, Result,
    columns::{Label, label, plain},
    names::{Names, folded},
    parse,
    privilege::quoted,
    row_values,
    shapes::{Item, Shapes, name_all},
    stars,
    tree::{call, take},
    using,
};

/// After the names are known.
pub(crate) fn spell_out(statement: &mut Statement, names: &Names) -> Result<()> {
    let mut rows = Rows {
        shapes: Shapes::new(names),
        scopes: vec![],
    };
    match statement.visit(&mut rows) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The column that is true in each row of an item, and NULL where an outer join has none.
const THERE: &str = "\u{1}there";

struct Rows<'a> {
    shapes: Shapes<'a>,
    /// Of the innermost query last.
    scopes: Vec<Scope>,
}

/// What the names of a query stand for.
#[derive(Default)]
struct Scope {
    /// What stands in FROM.
    items: Vec<Item>,
    /// Columns of two tables or more.
    shared: HashMap<String, Expr>,
    /// What ORDER BY finds in the select list first.
    aliases: HashSet<String>,
}

impl Rows<'_> {
    fn scope_of(&self, select: &Select) -> Scope {
        let tables = select.from.iter();
        let columns =
            tables.flat_map(|table| using::columns(table, &self.shapes).unwrap_or_default());
        let columns: Vec<using::Column> = columns.collect();
        let is_only = |column: &&using::Column| {
            let others = columns.iter().filter(|other| other.name == column.name);
            column.is_shared && others.count() == 1
        };
        let shared = columns.iter().filter(is_only).cloned();
        Scope {
            items: self.shapes.items_of(select),
            shared: shared.map(|column| (column.name, column.expr)).collect(),
            aliases: HashSet::new(),
        }
    }

    /// What the name stands for, if it cannot be a column.
    fn whole(&mut self, name: &Ident) -> Option<&mut Item> {
        let name = folded(name);
        for scope in self.scopes.iter_mut().rev() {
            if scope.aliases.contains(&name) || scope.may_be_column(&name) {
                return None;
            }
            if let Some(item) = scope.items.iter_mut().find(|item| item.name == name) {
                return Some(item);
            }
        }
        None
    }

    /// The column of several tables that the name stands for.
    fn shared(&self, name: &Ident) -> Option<Expr> {
        let name = folded(name);
        for scope in self.scopes.iter().rev() {
            if let Some(expr) = scope.shared.get(&name) {
                return Some(expr.clone());
            }
            if scope.may_be_column(&name) {
                return None;
            }
        }
        None
    }

    fn is_row(&mut self, expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) => self.is_row(inner),
            Expr::Identifier(name) => self.whole(name).is_some(),
            Expr::QualifiedWildcard(..) | Expr::Tuple(_) => true,
            Expr::Function(function) => is_call(function, "row"),
            _ => false,
        }
    }

    /// The row that the name stands for.
    fn row(&mut self, name: &Ident) -> Option<Expr> {
        let item = self.whole(name)?;
        let columns = item.shape.clone()?;
        let there = match item.may_be_missing {
            true => Some(item.there(name)?),
            false => None,
        };
        let is_value = item.is_value;
        let mut columns = columns
            .iter()
            .map(|column| Expr::CompoundIdentifier(vec![name.clone(), quoted_ident(column)]));
        if is_value {
            return columns.next();
        }
        Some(if_there(there, call("row", columns.collect())))
    }

    /// Marks the rows of the item of that name.
    fn mark(&self, table: &mut TableWithJoins, name: &str) {
        let joins = table.joins.iter_mut().map(|join| &mut join.relation);
        for factor in std::iter::once(&mut table.relation).chain(joins) {
            if let TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } = factor
            {
                self.mark(table_with_joins, name);
            } else if self.shapes.item(factor).is_some_and(|own| own.name == name) {
                mark(factor, name);
            }
        }
    }

    /// Of rows put together, `array_agg(t)`, JSON is made one by one.
    fn objects_in(&mut self, array: &mut Function) {
        if !is_call(array, "array_agg") {
            return;
        }
        if let FunctionArguments::List(list) = &mut array.args
            && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(row))) = list.args.first_mut()
            && let Some(object) = self.object("row_to_json", row)
        {
            *row = object;
        }
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
                Expr::Value(Value::SingleQuotedString(plain(column)).into()),
                Expr::CompoundIdentifier(vec![name.clone(), Ident::with_quote('"', column)]),
            ]
        });
        Some(if_there(there, call(function, members.collect())))
    }

    /// What `t.*` stands for among the arguments of `row`.
    fn columns_of(&mut self, given: &FunctionArg) -> Option<Vec<FunctionArg>> {
        let FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) = given else {
            return None;
        };
        let [table] = name.0.as_slice() else {
            return None;
        };
        let table = table.as_ident()?;
        let columns = self.whole(table)?.shape.clone()?;
        let columns = columns.iter().map(|column| {
            let column = Expr::CompoundIdentifier(vec![table.clone(), quoted_ident(column)]);
            FunctionArg::Unnamed(FunctionArgExpr::Expr(column))
        });
        Some(columns.collect())
    }

    fn function(&mut self, function: &mut Function) -> Option<Expr> {
        let called = match function.name.0.as_slice() {
            [name] => folded(name.as_ident()?),
            _ => return None,
        };
        let FunctionArguments::List(list) = &mut function.args else {
            return None;
        };
        if called == "row" {
            // As many values as the tables have columns, and no row in a row.
            for given in std::mem::take(&mut list.args) {
                match self.columns_of(&given) {
                    Some(columns) => list.args.extend(columns),
                    None => list.args.push(given),
                }
            }
            return None;
        }
        if called.contains("json") {
            for given in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(array))) = given {
                    self.objects_in(array);
                }
            }
        }
        let is_on_lines = matches!(list.args.get(1),
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))))
                if value.value == Value::Boolean(true));
        let Some(FunctionArg::Unnamed(first)) = list.args.first_mut() else {
            return None;
        };
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
            "row_to_json" if is_on_lines => self.object(json::ROW_ON_LINES, first),
            "row_to_json" | "to_json" => self.object("row_to_json", first),
            "to_jsonb" => self.object("jsonb_build_object", first),
            json::ITEM => {
                *first = self.object(json::ROW, first)?;
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

/// A row is NULL where there is none, and not a row of NULLs.
fn if_there(there: Option<Expr>, row: Expr) -> Expr {
    match there {
        Some(condition) => Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen {
                condition,
                result: row,
            }],
            else_result: None,
        },
        None => row,
    }
}

fn quoted_ident(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

impl Scope {
    fn may_be_column(&self, name: &String) -> bool {
        self.items.iter().any(|item| match &item.shape {
            Some(columns) => columns.contains(name),
            None => true,
        })
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

/// What a table or a sub-query in FROM is called.
fn alias(factor: &mut TableFactor) -> Option<&mut TableAlias> {
    match factor {
        TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => alias.as_mut(),
        _ => None,
    }
}

/// `SELECT a AS t FROM t GROUP BY t`: a name of the select list goes before that of a row.
fn by_place(select: &mut Select, scope: &Scope) {
    let GroupByExpr::Expressions(by, _) = &mut select.group_by else {
        return;
    };
    for key in by {
        let Expr::Identifier(name) = &*key else {
            continue;
        };
        let name = folded(name);
        let place = select.projection.iter().position(
            |item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if folded(alias) == name),
        );
        if let Some(place) = place
            && !scope.may_be_column(&name)
            && scope.items.iter().any(|item| item.name == name)
        {
            *key = Expr::Value(Value::Number((place + 1).to_string(), false).into());
        }
    }
}

fn is_call(function: &Function, name: &str) -> bool {
    matches!(function.name.0.as_slice(), [part]
        if part.as_ident().is_some_and(|ident| ident.value == name))
}

impl VisitorMut for Rows<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.shapes.enter(query);
        // What stands in FROM is seen by ORDER BY too, behind what is selected.
        let scope = match query.body.as_ref() {
            SetExpr::Select(select) if query.order_by.is_some() => {
                let mut scope = self.scope_of(select);
                for item in &select.projection {
                    if let Label::One(name) = label(item) {
                        scope.shared.remove(&name);
                        scope.aliases.insert(name);
                    }
                }
                if stars::shows_all(select) {
                    scope.shared.clear();
                }
                scope
            }
            _ => Scope::default(),
        };
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
        self.shapes.leave();
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        for table in &mut select.from {
            using::enclose(table);
        }
        let mut scope = self.scope_of(select);
        stars::tell_apart(select, &scope.items);
        if !stars::spell_out(select, &self.shapes, self.scopes.len() > 1) {
            return ControlFlow::Break(Error::not_supported(
                "* of a sub-query with two columns of one name is not supported beside another * or USING",
                "Give the sub-query's columns names of their own.",
            ));
        }
        let shows_all = stars::shows_all(select);
        for item in &mut scope.items {
            item.may_be_marked = !shows_all;
        }
        by_place(select, &scope);
        for table in &mut select.from {
            if !using::name_conditions(table, &self.shapes) {
                return ControlFlow::Break(Error::not_supported(
                    "this RIGHT or FULL JOIN … USING is not supported",
                    "Join ON a.x = b.x, and select coalesce(a.x, b.x).",
                ));
            }
        }
        self.scopes.push(scope);
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item
                && (self.whole(name).is_some() || self.shared(name).is_some())
            {
                *item = SelectItem::ExprWithAlias {
                    alias: name.clone(),
                    expr: Expr::Identifier(name.clone()),
                };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let scope = self.scopes.pop().unwrap_or_default();
        for item in scope.items.into_iter().filter(|item| item.is_marked) {
            let tables = select.from.iter_mut();
            tables.for_each(|table| self.mark(table, &item.name));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let is_renamed = alias(factor).is_some_and(|alias| !alias.columns.is_empty());
        let item = is_renamed.then(|| self.shapes.item(factor)).flatten();
        if let Some(columns) = item.and_then(|item| item.shape)
            && let Some(alias) = alias(factor)
        {
            name_all(alias, &columns);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        // `t.*` is the row too.
        if let Expr::QualifiedWildcard(name, _) = &*expr
            && let [table] = name.0.as_slice()
            && let Some(table) = table.as_ident()
        {
            *expr = Expr::Identifier(table.clone());
        }
        let spelled = match expr {
            Expr::Function(function) => self.function(function),
            Expr::Cast {
                expr: row,
                data_type: DataType::Text | DataType::Varchar(None),
                ..
            } if self.is_row(row) => {
                **row = call(TEXT_OF, vec![take(row)]);
                None
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                let mut root = root.as_ref();
                while let Expr::Nested(inner) = root {
                    root = inner;
                }
                match (root, access_chain.as_slice()) {
                    (
                        Expr::Identifier(name),
                        [AccessExpr::Dot(Expr::Identifier(column)), rest @ ..],
                    ) if self.whole(name).is_some() => {
                        let column = Expr::CompoundIdentifier(vec![name.clone(), column.clone()]);
                        Some(within(column, rest))
                    }
                    // A row that a function has answered.
                    (row, [AccessExpr::Dot(Expr::Identifier(_)), ..]) => {
                        Some(within(row.clone(), access_chain))
                    }
                    _ => None,
                }
            }
            Expr::IsNull(row) | Expr::IsNotNull(row) => {
                if let Expr::Identifier(name) = row.as_ref()
                    && let Some(item) = self.whole(name)
                    && let Some(columns) = item.shape.clone()
                {
                    let columns = columns.iter().map(|column| {
                        Expr::CompoundIdentifier(vec![name.clone(), quoted_ident(column)])
                    });
                    **row = Expr::Tuple(columns.collect());
                }
                row_values::is_null(expr)
            }
            _ => None,
        };
        if let Some(spelled) = spelled {
            *expr = spelled;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Identifier(name) = expr
            && let Some(spelled) = self.shared(name).or_else(|| self.row(name))
        {
            *expr = spelled;
        }
        ControlFlow::Continue(())
    }
}

/// What a chain of fields and subscripts leads to.
fn within(mut root: Expr, chain: &[AccessExpr]) -> Expr {
    for access in chain {
        root = match (access, root) {
            (AccessExpr::Dot(Expr::Identifier(column)), row) => {
                let column = Value::SingleQuotedString(folded(column));
                call("get_field", vec![row, Expr::Value(column.into())])
            }
            (
                access,
                Expr::CompoundFieldAccess {
                    root,
                    mut access_chain,
                },
            ) => {
                access_chain.push(access.clone());
                Expr::CompoundFieldAccess { root, access_chain }
            }
            (access, root) => Expr::CompoundFieldAccess {
                root: Box::new(root),
                access_chain: vec![access.clone()],
            },
        };
    }
    root
}
