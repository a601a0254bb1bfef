//! `UPDATE`, `DELETE` and `TRUNCATE` of a user's own table: the files that hold a row to change are written anew, in one
//! commit that fails if somebody else has changed them meanwhile.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Int64Type,
};
use datafusion::{
    common::ScalarValue,
    datasource::provider_as_source,
    physical_plan::{collect, execute_stream},
    sql::sqlparser::ast::{self, AssignmentTarget, Expr, FromTable, TableFactor, TableWithJoins},
};
use rapport_catalog_lake::LakeTable;
use rapport_lake::{DataFile, Expect, Snapshot, TableName};

use crate::{
    Error, Outcome, Result,
    cancel::Guard,
    execute,
    insert::newest,
    names::folded,
    parse,
    pg_type::{Kind, PgType},
    pins::Pins,
    plan::{Planned, Scope},
    privilege::{Privilege, quoted},
    target::{self, Target},
    write,
};

/// What the statements that we make call the files that are written anew.
const FILES: &str = "\u{1}files";

/// An UPDATE or a DELETE, taken apart.
struct Change {
    name: TableName,
    /// What the statement calls the table.
    alias: String,
    filter: Option<String>,
    /// New values by column; none for a DELETE.
    values: BTreeMap<String, Expr>,
    operation: &'static str,
}

pub(crate) async fn prepare_update(
    scope: &Scope,
    pins: &Arc<Pins>,
    update: &ast::Update,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<Planned> {
    let change = read_update(scope, pins, update).await?;
    plan_whole(scope, pins, change, declared, guard).await
}

pub(crate) async fn prepare_delete(
    scope: &Scope,
    pins: &Arc<Pins>,
    delete: &ast::Delete,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<Planned> {
    let change = read_delete(scope, pins, delete).await?;
    plan_whole(scope, pins, change, declared, guard).await
}

pub(crate) async fn update(
    scope: &Scope,
    pins: &Arc<Pins>,
    update: &ast::Update,
    declared: &[Option<u32>],
    params: Vec<ScalarValue>,
    guard: &Guard,
) -> Result<Outcome> {
    let change = read_update(scope, pins, update).await?;
    run(scope, pins, change, declared, params, guard).await
}

pub(crate) async fn delete(
    scope: &Scope,
    pins: &Arc<Pins>,
    delete: &ast::Delete,
    declared: &[Option<u32>],
    params: Vec<ScalarValue>,
    guard: &Guard,
) -> Result<Outcome> {
    let change = read_delete(scope, pins, delete).await?;
    run(scope, pins, change, declared, params, guard).await
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
        let _turn = scope.warehouse.turn_to_rewrite(&name).await;
        let table = scope.warehouse.lake().table(&name).await?;
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

async fn read_update(scope: &Scope, pins: &Pins, update: &ast::Update) -> Result<Change> {
    if update.from.is_some() || !update.table.joins.is_empty() {
        return Err(Error::not_supported(
            "UPDATE … FROM is not supported yet",
            "Use a subquery: UPDATE t SET a = (SELECT …) WHERE id IN (SELECT …).",
        ));
    }
    if update.returning.is_some() {
        return Err(Error::not_supported(
            "UPDATE … RETURNING is not supported",
            "Select the rows afterwards.",
        ));
    }
    let mut values = BTreeMap::new();
    for assignment in &update.assignments {
        let AssignmentTarget::ColumnName(column) = &assignment.target else {
            return Err(Error::not_supported(
                "SET (a, b) = … is not supported",
                "Set each column by itself.",
            ));
        };
        let column = column
            .0
            .last()
            .and_then(|part| part.as_ident())
            .map(folded)
            .unwrap_or_default();
        if values
            .insert(column.clone(), assignment.value.clone())
            .is_some()
        {
            return Err(Error::Syntax {
                message: format!("multiple assignments to same column \"{column}\""),
                position: None,
            });
        }
    }
    let (name, alias) = changed(scope, pins, &update.table, "UPDATE").await?;
    let set: Vec<String> = values.keys().cloned().collect();
    scope
        .require_columns(&name, Privilege::Update, &set)
        .await?;
    let read = values.values().chain(&update.selection);
    may_read(scope, &name, &alias, read).await?;
    let filter = update.selection.as_ref().map(ToString::to_string);
    Ok(Change {
        name,
        alias,
        filter,
        values,
        operation: "UPDATE",
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
    if delete.using.is_some() || !table.joins.is_empty() {
        return Err(Error::not_supported(
            "DELETE … USING is not supported yet",
            "Use a subquery: DELETE FROM t WHERE id IN (SELECT …).",
        ));
    }
    if delete.returning.is_some() {
        return Err(Error::not_supported(
            "DELETE … RETURNING is not supported",
            "Select the rows before.",
        ));
    }
    let (name, alias) = changed(scope, pins, table, "DELETE").await?;
    scope.require(&name, Privilege::Delete).await?;
    may_read(scope, &name, &alias, delete.selection.iter()).await?;
    let filter = delete.selection.as_ref().map(ToString::to_string);
    Ok(Change {
        name,
        alias,
        filter,
        values: BTreeMap::new(),
        operation: "DELETE",
    })
}

async fn changed(
    scope: &Scope,
    pins: &Pins,
    table: &TableWithJoins,
    what: &str,
) -> Result<(TableName, String)> {
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
async fn may_read<'a>(
    scope: &Scope,
    name: &TableName,
    alias: &str,
    exprs: impl Iterator<Item = &'a Expr>,
) -> Result<()> {
    let schema = newest(scope, name).await?.schema();
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

impl Change {
    /// `FROM files AS alias WHERE filter`, of the rows that change.
    fn matching(&self) -> String {
        let from = format!("FROM {} AS {}", quoted(FILES), quoted(&self.alias));
        match &self.filter {
            Some(filter) => format!("{from} WHERE {filter}"),
            None => from,
        }
    }

    /// The rows of the files after the change.
    fn rows(&self, snapshot: &Snapshot) -> Result<String> {
        let schema = snapshot.schema();
        for column in self.values.keys() {
            if schema.index_of(column).is_err() {
                return Err(Error::UndefinedColumn {
                    message: format!(
                        "column \"{column}\" of relation \"{}\" does not exist",
                        self.name.table
                    ),
                    hint: None,
                });
            }
        }
        let alias = quoted(&self.alias);
        let old: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| format!("{alias}.{}", quoted(field.name())))
            .collect();
        let new = schema.fields().iter().zip(&old).map(|(field, old)| {
            match self.values.get(field.name()) {
                Some(value) => {
                    let value = self.value(snapshot, field.name(), value);
                    let pg_type = field
                        .metadata()
                        .get(rapport_lake::PG_TYPE)
                        .map(|text| PgType::parse(text));
                    Ok(match pg_type.transpose()? {
                        Some(pg_type) => cast_to(&pg_type, &value),
                        None => value,
                    })
                }
                None => Ok(old.clone()),
            }
        });
        let new: Vec<String> = new.collect::<Result<_>>()?;
        let unchanged = self.filter.as_ref().map(|filter| {
            let files = quoted(FILES);
            format!(
                "SELECT {} FROM {files} AS {alias} WHERE ({filter}) IS NOT TRUE",
                old.join(", ")
            )
        });
        let changed = format!("SELECT {} {}", new.join(", "), self.matching());
        Ok(match (self.values.is_empty(), unchanged) {
            (true, Some(unchanged)) => unchanged,
            (true, None) => format!("SELECT {} {} WHERE false", old.join(", "), self.matching()),
            (false, Some(unchanged)) => format!("{changed} UNION ALL {unchanged}"),
            (false, None) => changed,
        })
    }

    fn value(&self, snapshot: &Snapshot, column: &str, value: &Expr) -> String {
        let is_default = matches!(value, Expr::Identifier(ident)
            if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"));
        if !is_default {
            return value.to_string();
        }
        snapshot
            .definition()
            .defaults
            .get(column)
            .cloned()
            .unwrap_or_else(|| "NULL".to_owned())
    }
}

/// So that the two halves of the rows have the same types.
fn cast_to(pg_type: &PgType, value: &str) -> String {
    let name = match &pg_type.kind {
        Kind::Array(_) => return value.to_owned(),
        Kind::Numeric(None) => "numeric(38,10)".to_owned(),
        _ if pg_type.storage() == arrow::datatypes::DataType::Utf8 => "text".to_owned(),
        _ => pg_type.name(),
    };
    format!("CAST(({value}) AS {name})")
}

/// Over all files at once: to know the parameters, and that it can be planned.
async fn plan_whole(
    scope: &Scope,
    pins: &Arc<Pins>,
    change: Change,
    declared: &[Option<u32>],
    guard: &Guard,
) -> Result<Planned> {
    let snapshot = newest(scope, &change.name).await?;
    let files = snapshot.files().to_vec();
    plan_rows(scope, pins, &change, &snapshot, files, declared, guard).await
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
    let work = async move {
        let target = Target::source(&base, &inner.state())?;
        let files = LakeTable::of_files(base, inner.warehouse.store_url(), files);
        let files = provider_as_source(Arc::new(files));
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

fn ours(scope: &Scope, sql: &str) -> Result<ast::Statement> {
    let mut statements = parse::parse_trusted(sql, scope.warehouse.limits())?;
    Ok(statements.remove(0).ast)
}

async fn run(
    scope: &Scope,
    pins: &Arc<Pins>,
    change: Change,
    declared: &[Option<u32>],
    params: Vec<ScalarValue>,
    guard: &Guard,
) -> Result<Outcome> {
    let warehouse = scope.warehouse.clone();
    let _turn = guard
        .bound(async { Ok(warehouse.turn_to_rewrite(&change.name).await) })
        .await?;
    let base = newest(scope, &change.name).await?;
    // Planned over everything first: what is wrong with the statement is wrong for an empty table too.
    let whole = plan_rows(
        scope,
        pins,
        &change,
        &base,
        base.files().to_vec(),
        declared,
        guard,
    )
    .await?;
    let types: Vec<Option<u32>> = whole.params.iter().copied().map(Some).collect();

    let affected = affected(scope, pins, &change, &base, &types, &params, guard).await?;
    let count: u64 = affected.iter().map(|(_, rows)| rows).sum();
    if count > 0 {
        rewrite(scope, pins, &change, &base, affected, &types, params, guard).await?;
        scope.warehouse.tell_rows(&change.name).await;
    }
    Ok(Outcome::Done {
        tag: format!("{} {count}", change.operation),
        notices: vec![],
    })
}

/// The files that hold rows to change, and how many.
async fn affected(
    scope: &Scope,
    pins: &Arc<Pins>,
    change: &Change,
    base: &Arc<Snapshot>,
    types: &[Option<u32>],
    params: &[ScalarValue],
    guard: &Guard,
) -> Result<Vec<(DataFile, u64)>> {
    if change.filter.is_none() {
        return Ok(base
            .files()
            .iter()
            .map(|file| (file.clone(), file.rows))
            .collect());
    }
    let ast::Statement::Query(query) =
        ours(scope, &format!("SELECT count(*) {}", change.matching()))?
    else {
        return Err(Error::not_supported("this form of the statement", ""));
    };
    let mut affected = vec![];
    for file in base.files() {
        let (inner, pins, base) = (scope.clone(), pins.clone(), base.clone());
        let (query, types, params) = (query.clone(), types.to_vec(), params.to_vec());
        let (only, bound) = (vec![file.clone()], guard.clone());
        let work = async move {
            let files = LakeTable::of_files(base, inner.warehouse.store_url(), only);
            let files = provider_as_source(Arc::new(files));
            let planned = inner
                .plan_query_over(&pins, &query, &types, &[(FILES, files)])
                .await?;
            let logical = execute::bind(&planned, params)?;
            let state = inner.state();
            let plan = state.create_physical_plan(&logical).await?;
            let batches = collect(
                plan,
                execute::task_context(&inner.warehouse, &state, &bound),
            )
            .await?;
            Ok(batches.iter().map(count).sum::<u64>())
        };
        let rows = scope.warehouse.cpu().run(guard, work).await?;
        if rows > 0 {
            affected.push((file.clone(), rows));
        }
    }
    Ok(affected)
}

fn count(batch: &RecordBatch) -> u64 {
    let counts = batch.column(0).as_primitive::<Int64Type>();
    counts
        .iter()
        .flatten()
        .map(|count| u64::try_from(count).unwrap_or(0))
        .sum()
}

#[expect(
    clippy::too_many_arguments,
    reason = "one step of `run`, with all that it knows"
)]
async fn rewrite(
    scope: &Scope,
    pins: &Arc<Pins>,
    change: &Change,
    base: &Arc<Snapshot>,
    affected: Vec<(DataFile, u64)>,
    types: &[Option<u32>],
    params: Vec<ScalarValue>,
    guard: &Guard,
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
    // A file whose rows all go does not have to be read.
    let read = affected
        .iter()
        .filter(|file| kept(file) > 0)
        .map(|(file, _)| file.clone())
        .collect();
    let planned = plan_rows(scope, pins, change, base, read, types, guard).await?;
    let logical = execute::bind(&planned, params)?;
    let state = scope.state();
    let plan = execute::physical(&scope.warehouse, state.clone(), logical, guard).await?;

    let context = execute::task_context(&scope.warehouse, &state, guard);
    let (warehouse, base) = (scope.warehouse.clone(), base.clone());
    let removed: Vec<DataFile> = affected.into_iter().map(|(file, _)| file).collect();
    let (operation, txn) = (change.operation, scope.warehouse.rewrite_txn());
    let name = change.name.clone();
    let work = async move {
        let rows = write::storable(&base, execute_stream(plan, context.clone())?, context)?;
        let table = warehouse.lake().table(&name).await?;
        write::rewrite(
            &table,
            &base,
            &removed,
            rows,
            Expect::Rows(expected),
            txn,
            operation,
        )
        .await?;
        Ok(())
    };
    scope.warehouse.cpu().run(guard, work).await
}
