//! `UPDATE`, `DELETE` and `TRUNCATE` of a user's own table: the files that hold a row to change are written anew, in one
//! commit that fails if somebody else has changed them meanwhile.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use arrow::{
    array::AsArray,
    datatypes::{Field, Int64Type},
};
use datafusion::{
    common::ScalarValue,
    datasource::provider_as_source,
    execution::TaskContext,
    physical_plan::{collect, execute_stream},
    sql::sqlparser::ast::{self, AssignmentTarget, Expr, FromTable, TableFactor, TableWithJoins},
};
use rapport_catalog_lake::LakeTable;
use rapport_lake::{DataFile, Expect, Snapshot, TableName};
use tokio::sync::OwnedMutexGuard;

use crate::{
    Column, Error, Outcome, Result,
    assigned::{self, Told},
    cancel::Guard,
    computed_once::{self, check_stable},
    execute,
    names::folded,
    parse,
    pg_type::{Kind, PgType},
    pins::Pins,
    plan::{Planned, Scope},
    privilege::{Privilege, quoted},
    returning::{Keeper, Listed, Returning, check_described},
    row_values,
    syntax::plain_name,
    target::{self, Target},
    times::read_texts,
    told_apart::tell_apart,
    tree::{calls, is_default, visit_own_functions},
    write,
};

/// What the statements that we make call the files that are written anew.
pub(crate) const FILES: &str = "\u{1}files";

/// An UPDATE or a DELETE, taken apart.
struct Change {
    name: TableName,
    /// What the statement calls the table.
    alias: String,
    /// Other tables that it looks at: FROM of an UPDATE, USING of a DELETE.
    beside: Option<String>,
    filter: Option<String>,
    /// New values by column; none for a DELETE.
    values: BTreeMap<String, Expr>,
    operation: &'static str,
    returning: Option<Returning>,
    /// As it was written, without RETURNING.
    statement: ast::Statement,
}

/// Of an UPDATE or a DELETE.
pub(crate) async fn prepare(
    scope: &Scope,
    pins: &Arc<Pins>,
    statement: &ast::Statement,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<Planned> {
    let change = read(scope, pins, statement).await?;
    let snapshot = scope.base(pins, &change.name).await?;
    let whole = whole(scope, pins, &change, &snapshot, declared, guard).await?;
    let columns = whole.listed.map(|listed| listed.columns());
    Ok(Planned {
        columns: columns.unwrap_or_default(),
        ..whole.planned
    })
}

pub(crate) async fn truncate(
    scope: &Scope,
    pins: &Arc<Pins>,
    truncate: &ast::Truncate,
    guard: &Guard,
) -> Result<Outcome> {
    let mut names = vec![];
    for target in &truncate.table_names {
        let name = scope.target(pins, &target.name).await?;
        scope.require(&name, Privilege::Truncate).await?;
        refuse_history(&name, "TRUNCATE")?;
        names.push(name);
    }
    for name in names {
        if let Some(block) = &scope.block {
            let base = scope.base(pins, &name).await?;
            let mut draft = scope.draft(block, &base).await?;
            draft.truncate()?;
            block.put(scope, draft);
            continue;
        }
        let _turn = scope.warehouse.turn_to_rewrite(&name).await;
        let table = scope.lake(&name).table(&name).await?;
        let work = async move { table.truncate().await.map_err(write::told) };
        scope.warehouse.cpu().run(guard, work).await?;
        scope.warehouse.tell_rows(&name).await;
    }
    Ok(Outcome::Done {
        tag: "TRUNCATE TABLE".to_owned(),
        notices: vec![],
    })
}

/// The history is what happened. It is corrected by loading, and forgotten by erasing a customer.
pub(crate) fn refuse_history(name: &TableName, what: &str) -> Result<()> {
    if *name != TableName::public("interactions") {
        return Ok(());
    }
    Err(Error::not_supported(
        format!("{what} on \"interactions\" is not supported: the history only grows"),
        "Correct the source and load it again, or keep your own copy: CREATE TABLE mine AS SELECT … FROM interactions.",
    ))
}

async fn read(scope: &Scope, pins: &Pins, statement: &ast::Statement) -> Result<Change> {
    match statement {
        ast::Statement::Update(update) => read_update(scope, pins, update).await,
        ast::Statement::Delete(delete) => read_delete(scope, pins, delete).await,
        _ => Err(Error::not_supported("this form of the statement", "")),
    }
}

/// What decides which rows change is the same each time that it is looked at.
fn check(scope: &Scope, statement: &ast::Statement) -> Result<()> {
    match statement {
        ast::Statement::Update(update) => {
            check_stable(scope, &update.selection, "an UPDATE")?;
            check_stable(scope, &update.from, "an UPDATE")
        }
        ast::Statement::Delete(delete) => {
            check_stable(scope, &delete.selection, "a DELETE")?;
            check_stable(scope, &delete.using, "a DELETE")
        }
        _ => Ok(()),
    }
}

async fn read_update(scope: &Scope, pins: &Pins, update: &ast::Update) -> Result<Change> {
    let (name, alias) = changed(scope, pins, &update.table, "UPDATE").await?;
    let base = scope.base(pins, &name).await?;
    let values = all_assigned(&update.assignments, &base)?;
    let set: Vec<String> = values.keys().cloned().collect();
    scope
        .require_columns(&name, Privilege::Update, &set)
        .await?;
    let read = values.values().chain(&update.selection);
    may_read(scope, pins, &name, &alias, read).await?;
    let filter = update.selection.as_ref().map(ToString::to_string);
    let from = update.from.as_ref().map(|from| match from {
        ast::UpdateTableFromKind::BeforeSet(tables)
        | ast::UpdateTableFromKind::AfterSet(tables) => listed(tables),
    });
    let returning = update.returning.as_deref();
    let returning = read_returning(scope, pins, &name, &alias, returning, from.as_deref()).await?;
    Ok(Change {
        name,
        alias,
        beside: from,
        filter,
        values,
        operation: "UPDATE",
        returning,
        statement: ast::Statement::Update(ast::Update {
            returning: None,
            ..update.clone()
        }),
    })
}

async fn read_delete(scope: &Scope, pins: &Pins, delete: &ast::Delete) -> Result<Change> {
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    let [table] = tables.as_slice() else {
        return Err(Error::not_supported(
            "DELETE from several tables is not supported",
            "",
        ));
    };
    let (name, alias) = changed(scope, pins, table, "DELETE").await?;
    scope.require(&name, Privilege::Delete).await?;
    may_read(scope, pins, &name, &alias, delete.selection.iter()).await?;
    let filter = delete.selection.as_ref().map(ToString::to_string);
    let using = delete.using.as_ref().map(|tables| listed(tables));
    let returning = delete.returning.as_deref();
    let returning = read_returning(scope, pins, &name, &alias, returning, using.as_deref()).await?;
    Ok(Change {
        name,
        alias,
        beside: using,
        filter,
        values: BTreeMap::new(),
        operation: "DELETE",
        returning,
        statement: ast::Statement::Delete(ast::Delete {
            returning: None,
            ..delete.clone()
        }),
    })
}

async fn read_returning(
    scope: &Scope,
    pins: &Pins,
    name: &TableName,
    alias: &str,
    items: Option<&[ast::SelectItem]>,
    beside: Option<&str>,
) -> Result<Option<Returning>> {
    let Some(items) = items else {
        return Ok(None);
    };
    let beside = match beside {
        Some(tables) => {
            let ast::Statement::Query(query) = ours(scope, &format!("SELECT * FROM {tables}"))?
            else {
                return Err(Error::not_supported("this form of the statement", ""));
            };
            Some(scope.plan_query(pins, &query, &[]).await?.plan)
        }
        None => None,
    };
    let returning = Returning::new(scope, pins, name, alias, items, beside.as_ref());
    Ok(Some(returning.await?))
}

pub(crate) async fn changed(
    scope: &Scope,
    pins: &Pins,
    table: &TableWithJoins,
    what: &str,
) -> Result<(TableName, String)> {
    if !table.joins.is_empty() {
        return Err(Error::not_supported(
            format!("{what} of a join is not supported"),
            "Name the other tables in FROM (UPDATE) or USING (DELETE).",
        ));
    }
    let TableFactor::Table { name, alias, .. } = &table.relation else {
        return Err(Error::not_supported(
            format!("{what} of anything but a table"),
            "",
        ));
    };
    let name = scope.target(pins, name).await?;
    refuse_history(&name, what)?;
    let alias = alias
        .as_ref()
        .map_or_else(|| name.table.clone(), |alias| folded(&alias.name));
    Ok((name, alias))
}

/// Who changes rows by what is in them must be allowed to see it. Names are taken for the table's own columns wherever
/// they may be: a subquery's own column of the same name needs the privilege too.
pub(crate) async fn may_read<'a>(
    scope: &Scope,
    pins: &Pins,
    name: &TableName,
    alias: &str,
    exprs: impl Iterator<Item = &'a Expr>,
) -> Result<()> {
    let schema = scope.base(pins, name).await?.schema();
    let mut named = vec![];
    for expr in exprs {
        let _ = ast::visit_expressions(expr, |expr| {
            let column = match expr {
                Expr::Identifier(column) => Some(folded(column)),
                Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                    [table, column] if folded(table) == alias => Some(folded(column)),
                    _ => None,
                },
                _ => None,
            };
            named.extend(column.filter(|column| schema.index_of(column).is_ok()));
            ControlFlow::<()>::Continue(())
        });
    }
    if named.is_empty() {
        return Ok(());
    }
    scope.require_columns(name, Privilege::Select, &named).await
}

/// The columns that assignments set, and to what.
pub(crate) fn all_assigned(
    assignments: &[ast::Assignment],
    base: &Snapshot,
) -> Result<BTreeMap<String, Expr>> {
    let mut values = BTreeMap::new();
    for assignment in assignments {
        for (column, value) in assigned(assignment, base)? {
            if values.insert(column.clone(), value).is_some() {
                return Err(Error::Syntax {
                    message: format!("multiple assignments to same column \"{column}\""),
                    position: None,
                });
            }
        }
    }
    Ok(values)
}

fn assigned(assignment: &ast::Assignment, base: &Snapshot) -> Result<Vec<(String, Expr)>> {
    let columns = match &assignment.target {
        AssignmentTarget::ColumnName(column) => {
            return Ok(vec![(set_column(column, base)?, assignment.value.clone())]);
        }
        AssignmentTarget::Tuple(columns) => columns.iter().map(|column| set_column(column, base)),
    };
    let columns = columns.collect::<Result<Vec<_>>>()?;
    if let Some(values) = row_values::values(&assignment.value) {
        if columns.len() != values.len() {
            return Err(Error::Syntax {
                message: "number of columns does not match number of values".to_owned(),
                position: None,
            });
        }
        return Ok(columns.into_iter().zip(values).collect());
    }
    match &assignment.value {
        Expr::Subquery(query) => {
            let n_columns = columns.len();
            let columns = columns.into_iter().enumerate();
            columns
                .map(|(at, column)| Ok((column, column_of(query, at, n_columns)?)))
                .collect()
        }
        _ => Err(Error::not_supported(
            "this form of SET (a, b) = … is not supported",
            "Set each column by itself.",
        )),
    }
}

/// The column that SET names. PostgreSQL takes `a.b` for a part of the column `a`.
fn set_column(name: &ast::ObjectName, base: &Snapshot) -> Result<String> {
    let mut parts = name.0.iter().map(|part| part.as_ident().map(folded));
    let first = parts.next().flatten().unwrap_or_default();
    let Some(field) = parts.next().flatten() else {
        return Ok(first);
    };
    check_columns(base, std::iter::once(&first))?;
    Err(Error::DatatypeMismatch {
        message: format!(
            "cannot assign to field \"{field}\" of column \"{first}\" because it is not of a composite type"
        ),
        hint: None,
    })
}

/// One of the columns that a sub-query answers, as a sub-query of its own.
fn column_of(query: &ast::Query, at: usize, n_columns: usize) -> Result<Expr> {
    let mut query = query.clone();
    let mismatch = || Error::Syntax {
        message: "number of columns does not match number of values".to_owned(),
        position: None,
    };
    match query.body.as_mut() {
        ast::SetExpr::Select(select) if select.distinct.is_none() => {
            let is_named = |item: &ast::SelectItem| {
                matches!(
                    item,
                    ast::SelectItem::UnnamedExpr(_) | ast::SelectItem::ExprWithAlias { .. }
                )
            };
            if !select.projection.iter().all(is_named) {
                return Err(Error::not_supported(
                    "SET (a, b) = (SELECT * …) is not supported",
                    "Name the columns.",
                ));
            }
            if select.projection.len() != n_columns {
                return Err(mismatch());
            }
            // One column by itself must answer as it does beside the others.
            let n_calls = select.projection.iter().filter(|item| calls(*item)).count();
            let n_aggregates = select
                .projection
                .iter()
                .filter(|item| aggregates(item))
                .count();
            let is_grouped = select.having.is_some()
                || !matches!(&select.group_by, ast::GroupByExpr::Expressions(by, _) if by.is_empty());
            let by_name = query
                .order_by
                .as_ref()
                .is_some_and(|order_by| match &order_by.kind {
                    ast::OrderByKind::Expressions(keys) => keys
                        .iter()
                        .any(|key| matches!(key.expr, Expr::Value(_) | Expr::Identifier(_))),
                    ast::OrderByKind::All(_) => true,
                });
            if is_grouped || by_name || (n_calls > 0 && n_aggregates < n_columns) {
                return Err(Error::not_supported(
                    "SET (a, b) = (SELECT …) of this query is not supported",
                    "Set each column by a sub-query of its own.",
                ));
            }
            let item = select.projection[at].clone();
            select.projection = vec![item];
            Ok(Expr::Subquery(Box::new(query)))
        }
        _ => Err(Error::not_supported(
            "SET (a, b) = (…) of this query is not supported",
            "Set each column by itself.",
        )),
    }
}

/// Whether it is made of one of the plain aggregates.
fn aggregates(item: &ast::SelectItem) -> bool {
    ast::visit_expressions(item, |expr| match expr {
        Expr::Function(function) => match plain_name(&function.name).as_deref() {
            Some("avg" | "count" | "max" | "min" | "sum") => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

fn listed(tables: &[TableWithJoins]) -> String {
    let tables: Vec<String> = tables.iter().map(ToString::to_string).collect();
    tables.join(", ")
}

/// The number of a row, where a row may meet several of another table and is to be changed once.
pub(crate) const ROW: &str = "\u{1}row";

impl Change {
    /// What holds of the rows that change; `None` is all of them.
    fn condition(&self) -> Option<String> {
        match (&self.beside, &self.filter) {
            (None, filter) => filter.clone(),
            (Some(beside), Some(filter)) => {
                Some(format!("EXISTS (SELECT 1 FROM {beside} WHERE {filter})"))
            }
            (Some(beside), None) => Some(format!("EXISTS (SELECT 1 FROM {beside})")),
        }
    }

    /// `FROM files AS alias, others`
    fn from(&self) -> String {
        let from = format!("FROM {} AS {}", quoted(FILES), quoted(&self.alias));
        match &self.beside {
            Some(beside) => format!("{from}, {beside}"),
            None => from,
        }
    }

    /// `FROM files AS alias WHERE condition`, of the rows that change.
    fn matching(&self) -> String {
        let from = format!("FROM {} AS {}", quoted(FILES), quoted(&self.alias));
        match self.condition() {
            Some(condition) => format!("{from} WHERE {condition}"),
            None => from,
        }
    }

    /// The new rows, given their expressions.
    fn changed(&self, values: &[String]) -> String {
        let Some(beside) = &self.beside else {
            return format!("SELECT {} {}", values.join(", "), self.matching());
        };
        let columns: Vec<String> = (0..values.len()).map(|at| format!("c{at}")).collect();
        let values = values.iter().zip(&columns);
        let values: Vec<String> = values
            .map(|(value, name)| format!("{value} AS {name}"))
            .collect();
        let (row, files, alias) = (quoted(ROW), quoted(FILES), quoted(&self.alias));
        let filter = self.filter.as_deref().unwrap_or("TRUE");
        format!(
            "SELECT {} FROM (SELECT DISTINCT ON ({alias}.{row}) {} \
             FROM (SELECT *, row_number() OVER () AS {row} FROM {files}) AS {alias}, {beside} \
             WHERE {filter}) AS changed",
            columns.join(", "),
            values.join(", "),
        )
    }

    /// The rows of the files after the change.
    fn rows(&self, snapshot: &Snapshot) -> Result<String> {
        let schema = snapshot.schema();
        check_columns(snapshot, self.values.keys())?;
        let alias = quoted(&self.alias);
        let old: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| format!("{alias}.{}", quoted(field.name())))
            .collect();
        let new = schema.fields().iter().zip(&old).map(|(field, old)| {
            match self.values.get(field.name()) {
                Some(value) => typed_value(snapshot, field, value),
                None => Ok(old.clone()),
            }
        });
        let mut new: Vec<String> = new.collect::<Result<_>>()?;
        let mut kept = old.clone();
        if let Some(returning) = &self.returning {
            new.extend(returning.kept());
            kept.extend(returning.not_kept());
        }
        let unchanged = self.condition().map(|condition| {
            let files = quoted(FILES);
            let otherwise = match &self.beside {
                Some(_) => format!("NOT {condition}"),
                None => format!("({condition}) IS NOT TRUE"),
            };
            format!(
                "SELECT {} FROM {files} AS {alias} WHERE {otherwise}",
                kept.join(", ")
            )
        });
        let changed = self.changed(&new);
        // Rows that go are among those that are returned.
        let only_unchanged = self.values.is_empty() && self.returning.is_none();
        Ok(match (only_unchanged, unchanged) {
            (true, Some(unchanged)) => unchanged,
            (true, None) => format!("SELECT {} {} WHERE false", old.join(", "), self.matching()),
            (false, Some(unchanged)) => format!("{changed} UNION ALL {unchanged}"),
            (false, None) => changed,
        })
    }
}

/// 42703 for a column that the table does not have.
pub(crate) fn check_columns<'a>(
    snapshot: &Snapshot,
    mut columns: impl Iterator<Item = &'a String>,
) -> Result<()> {
    let schema = snapshot.schema();
    match columns.find(|column| schema.index_of(column).is_err()) {
        Some(column) => Err(Error::UndefinedColumn {
            message: format!(
                "column \"{column}\" of relation \"{}\" does not exist",
                snapshot.name().table
            ),
            hint: None,
        }),
        None => Ok(()),
    }
}

/// A new value of a column, as SQL of the column's type.
pub(crate) fn typed_value(snapshot: &Snapshot, field: &Field, value: &Expr) -> Result<String> {
    // It is described as of the column's type.
    let is_parameter = matches!(value, Expr::Value(value)
        if matches!(value.value, ast::Value::Placeholder(_)));
    let value = if is_default(value) {
        let default = snapshot.definition().defaults.get(field.name());
        default.map_or("NULL", String::as_str).to_owned()
    } else {
        value.to_string()
    };
    let pg_type = field.metadata().get(rapport_lake::PG_TYPE);
    Ok(match pg_type.map(|text| PgType::parse(text)).transpose()? {
        Some(pg_type) if is_parameter => {
            // A cast would cut what is too long; that is refused when it is written.
            let name = match pg_type.kind {
                Kind::Varchar(_) => "character varying".to_owned(),
                Kind::Char(_) => "text".to_owned(),
                Kind::Array(_) => kept_as(&pg_type),
                _ => pg_type.name(),
            };
            format!("CAST({value} AS {name})")
        }
        Some(pg_type) => cast_to(&pg_type, &value),
        None => value,
    })
}

/// So that the two halves of the rows have the same types.
pub(crate) fn cast_to(pg_type: &PgType, value: &str) -> String {
    format!("CAST(({value}) AS {})", kept_as(pg_type))
}

fn kept_as(pg_type: &PgType) -> String {
    match &pg_type.kind {
        Kind::Array(element) => match &element.kind {
            Kind::Time | Kind::Interval | Kind::Uuid | Kind::Json | Kind::Jsonb => {
                "text[]".to_owned()
            }
            _ => format!("{}[]", kept_as(element)),
        },
        Kind::Numeric(None) => "numeric(38,10)".to_owned(),
        Kind::Time | Kind::Interval | Kind::Uuid | Kind::Json | Kind::Jsonb => pg_type.name(),
        _ if pg_type.storage() == arrow::datatypes::DataType::Utf8 => "text".to_owned(),
        _ => pg_type.name(),
    }
}

/// A change that can be planned over all files: its parameters are known.
struct Whole {
    planned: Planned,
    listed: Option<Listed>,
}

async fn whole(
    scope: &Scope,
    pins: &Arc<Pins>,
    change: &Change,
    base: &Arc<Snapshot>,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<Whole> {
    check_values(
        scope,
        pins,
        base,
        change.values.iter(),
        &change.from(),
        declared,
    )
    .await?;
    let files = base.files().to_vec();
    let planned = plan_rows(scope, pins, change, base, files.clone(), declared, guard).await?;
    let Some(returning) = &change.returning else {
        return Ok(Whole {
            planned,
            listed: None,
        });
    };
    let (listed, types) = returning
        .plan_beside(
            scope,
            pins,
            base,
            &change.statement,
            (&planned, declared),
            guard,
        )
        .await?;
    let planned = match types {
        Some(types) => plan_rows(scope, pins, change, base, files, &types, guard).await?,
        None => planned,
    };
    Ok(Whole {
        planned,
        listed: Some(listed),
    })
}

/// Of types that the columns take. `from` is what the values look at, the table itself under the name [`FILES`].
pub(crate) async fn check_values<'a>(
    scope: &Scope,
    pins: &Pins,
    base: &Arc<Snapshot>,
    values: impl Iterator<Item = (&'a String, &'a Expr)>,
    from: &str,
    declared: &[Option<u32>],
) -> Result<()> {
    let (mut columns, mut open) = (vec![], vec![]);
    for (column, value) in values {
        check_windows(value)?;
        match assigned::is_literal(value) {
            true => assigned::check_value(base, column, value, declared)?,
            false => {
                columns.push(column);
                open.push(value.to_string());
            }
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    let query = our_query(scope, &format!("SELECT {} {from}", open.join(", ")))?;
    let files = LakeTable::of_files(base.clone(), scope.store_url(base.name()), vec![]);
    let files = [(FILES, read_texts(provider_as_source(Arc::new(files)))?)];
    let tables = [(FILES, base.name().clone())];
    // What else is wrong is found where the change is planned.
    match scope
        .plan_query_of(pins, &query, declared, &files, &tables)
        .await
    {
        Ok(planned) => {
            let given = planned.columns.iter();
            let given = given.map(|column| (column, Told::Surely));
            assigned::check_columns(base, columns.into_iter(), given)
        }
        Err(_) => Ok(()),
    }
}

/// 42P20 for a window that is not in a sub-query: it would be one of the rows that change.
fn check_windows(value: &Expr) -> Result<()> {
    let mut has_window = false;
    visit_own_functions(&mut value.clone(), |expr| {
        has_window |= matches!(expr, Expr::Function(function) if function.over.is_some());
    });
    match has_window {
        true => Err(Error::Windowing { place: "UPDATE" }),
        false => Ok(()),
    }
}

async fn plan_rows(
    scope: &Scope,
    pins: &Arc<Pins>,
    change: &Change,
    snapshot: &Arc<Snapshot>,
    files: Vec<DataFile>,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<Planned> {
    let sql = format!(
        "INSERT INTO {} {}",
        quoted(target::NAME),
        change.rows(snapshot)?
    );
    let ast::Statement::Insert(insert) = ours(scope, &sql)? else {
        return Err(Error::not_supported("this form of the statement", ""));
    };
    let (inner, pins, declared, base) = (
        scope.clone(),
        pins.clone(),
        declared.to_vec(),
        snapshot.clone(),
    );
    let beside = change.returning.as_ref().map(Returning::columns);
    let beside = beside.unwrap_or_default();
    let work = async move {
        let target = Target::source(&base, &beside, Default::default());
        let url = inner.store_url(base.name());
        let files = LakeTable::of_files(base, url, files);
        let files = read_texts(provider_as_source(Arc::new(files)))?;
        inner
            .plan_insert(
                &pins,
                &insert,
                &declared,
                &[(target::NAME, target), (FILES, files)],
            )
            .await
    };
    scope.warehouse.plan_within_budget(guard, work).await
}

pub(crate) fn ours(scope: &Scope, sql: &str) -> Result<ast::Statement> {
    let mut statements = parse::parse_trusted(sql, scope.warehouse.limits())?;
    Ok(statements.remove(0).ast)
}

/// None in a block: it finds out when it commits whether somebody else was faster.
pub(crate) async fn turn(
    scope: &Scope,
    name: &TableName,
    guard: &Guard,
) -> Result<Option<OwnedMutexGuard<()>>> {
    if scope.block.is_some() {
        return Ok(None);
    }
    let turn = async { Ok(scope.warehouse.turn_to_rewrite(name).await) };
    guard.bound(turn).await.map(Some)
}

pub(crate) fn our_query(scope: &Scope, sql: &str) -> Result<Box<ast::Query>> {
    match ours(scope, sql)? {
        ast::Statement::Query(query) => Ok(query),
        _ => Err(Error::not_supported("this form of the statement", "")),
    }
}

pub(crate) async fn run(
    scope: &Scope,
    pins: &Arc<Pins>,
    (with, statement): (Option<&ast::With>, &ast::Statement),
    declared: &[Option<u32>],
    params: Vec<ScalarValue>,
    described: Option<&[Column]>,
    guard: &Guard,
) -> Result<Outcome> {
    let change = read(scope, pins, statement).await?;
    let _turn = turn(scope, &change.name, guard).await?;
    let base = scope.base(pins, &change.name).await?;
    // Planned over everything first: what is wrong with the statement is wrong for an empty table too.
    let whole = whole(scope, pins, &change, &base, declared, guard).await?;
    check_described(described, whole.listed.as_ref())?;
    let types: Vec<Option<u32>> = whole.planned.params.iter().copied().map(Some).collect();
    let known = (types.as_slice(), params.as_slice());
    let computed = computed_once::compute(scope, pins, with, statement, known, guard).await?;
    let (scope, change) = match &computed {
        Some((scope, statement)) => (scope, read(scope, pins, statement).await?),
        None => (scope, change),
    };
    check(
        scope,
        computed
            .as_ref()
            .map_or(statement, |(_, statement)| statement),
    )?;

    let work = Work {
        scope,
        pins,
        base: &base,
        types: &types,
        params: &params,
        guard,
    };
    let affected = affected(&work, &change).await?;
    let count: u64 = affected.iter().map(|(_, rows)| rows).sum();
    if count == 0 {
        return Ok(match &whole.listed {
            Some(listed) => listed.nothing(change.operation),
            None => done(&change, 0),
        });
    }
    let context = execute::task_context(&scope.warehouse, &scope.state(), guard);
    let keeper = match &whole.listed {
        Some(listed) => {
            let goes = change.values.is_empty();
            let keeper = listed.start(scope, &params, goes, &context, guard);
            Some(keeper.await?)
        }
        None => None,
    };
    let kept = (context, keeper.clone());
    rewrite(&work, &change, affected, kept).await?;
    if scope.block.is_none() {
        scope.warehouse.tell_rows(&change.name).await;
    }
    Ok(match (&whole.listed, &keeper) {
        (Some(listed), Some(keeper)) => keeper.outcome(listed, change.operation),
        _ => done(&change, count),
    })
}

fn done(change: &Change, count: u64) -> Outcome {
    Outcome::Done {
        tag: format!("{} {count}", change.operation),
        notices: vec![],
    }
}

/// What all steps of a change know.
pub(crate) struct Work<'a> {
    pub scope: &'a Scope,
    pub pins: &'a Arc<Pins>,
    pub base: &'a Arc<Snapshot>,
    pub types: &'a [Option<u32>],
    pub params: &'a [ScalarValue],
    pub guard: &'a Guard,
}

impl Work<'_> {
    /// The numbers that a query of ours counts in these files.
    pub(crate) async fn count<const N: usize>(
        &self,
        query: &ast::Query,
        files: Vec<DataFile>,
    ) -> Result<[u64; N]> {
        let (inner, pins, base) = (self.scope.clone(), self.pins.clone(), self.base.clone());
        let (query, types, params) = (query.clone(), self.types.to_vec(), self.params.to_vec());
        let bound = self.guard.clone();
        let work = async move {
            let url = inner.store_url(base.name());
            let files = LakeTable::of_files(base, url, files);
            let files = read_texts(provider_as_source(Arc::new(files)))?;
            let planned = inner
                .plan_query_over(&pins, &query, &types, &[(FILES, files)])
                .await?;
            let logical = execute::bind(&planned, params)?;
            let state = inner.state();
            let logical = tell_apart(state.optimize(&logical)?)?;
            let planner = state.query_planner();
            let plan = planner.create_physical_plan(&logical, &state).await?;
            let context = execute::task_context(&inner.warehouse, &state, &bound);
            let mut counts = [0; N];
            for batch in collect(plan, context).await? {
                for (at, count) in counts.iter_mut().enumerate() {
                    let values = batch.column(at).as_primitive::<Int64Type>();
                    *count += values.iter().flatten().map(i64::unsigned_abs).sum::<u64>();
                }
            }
            Ok(counts)
        };
        self.scope.warehouse.cpu().run(self.guard, work).await
    }

    /// Puts the planned rows in the place of the removed files, in one commit or into the block.
    pub(crate) async fn rewrite(
        &self,
        planned: &Planned,
        (context, keeper): (Arc<TaskContext>, Option<Arc<Keeper>>),
        removed: Vec<DataFile>,
        expected: u64,
        operation: &'static str,
    ) -> Result<()> {
        let (scope, base) = (self.scope.clone(), self.base.clone());
        let logical = execute::bind(planned, self.params.to_vec())?;
        let plan = execute::physical(&scope.warehouse, scope.state(), logical, self.guard).await?;
        let (warehouse, txn) = (scope.warehouse.clone(), scope.warehouse.rewrite_txn());
        let work = async move {
            let rows = execute_stream(plan, context.clone())?;
            let rows = write::storable(&base, rows, context, keeper)?;
            let expect = Expect::Rows(expected);
            if let Some(block) = &scope.block {
                let mut draft = scope.draft(block, &base).await?;
                write::rewrite_draft(&mut draft, &removed, rows, expect).await?;
                block.put(&scope, draft);
                return Ok(());
            }
            let name = base.name();
            let table = scope.lake(name).table(name).await?;
            write::rewrite(&table, &base, &removed, rows, expect, txn, operation).await?;
            Ok(())
        };
        warehouse.cpu().run(self.guard, work).await
    }
}

/// The files that hold rows to change, and how many.
async fn affected(work: &Work<'_>, change: &Change) -> Result<Vec<(DataFile, u64)>> {
    let files = work.base.files().iter();
    if change.condition().is_none() {
        return Ok(files.map(|file| (file.clone(), file.rows)).collect());
    }
    let query = our_query(
        work.scope,
        &format!("SELECT count(*) {}", change.matching()),
    )?;
    let mut affected = vec![];
    for file in files {
        let [rows] = work.count(&query, vec![file.clone()]).await?;
        if rows > 0 {
            affected.push((file.clone(), rows));
        }
    }
    Ok(affected)
}

async fn rewrite(
    work: &Work<'_>,
    change: &Change,
    affected: Vec<(DataFile, u64)>,
    (context, keeper): (Arc<TaskContext>, Option<Arc<Keeper>>),
) -> Result<()> {
    let is_delete = change.values.is_empty();
    let kept = |(file, rows): &(DataFile, u64)| {
        if is_delete {
            file.rows - rows
        } else {
            file.rows
        }
    };
    let expected = affected.iter().map(kept).sum();
    // A file whose rows all go does not have to be read, unless somebody wants to see them.
    let read = affected
        .iter()
        .filter(|file| kept(file) > 0 || keeper.is_some())
        .map(|(file, _)| file.clone())
        .collect();
    let (scope, pins, types) = (work.scope, work.pins, work.types);
    let planned = plan_rows(scope, pins, change, work.base, read, types, work.guard).await?;
    let removed = affected.into_iter().map(|(file, _)| file).collect();
    let operation = change.operation;
    work.rewrite(&planned, (context, keeper), removed, expected, operation)
        .await
}
