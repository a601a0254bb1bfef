//! What a definition does to a block's drafts: new tables, other columns, other names.
//!
//! Files are written anew where their columns are no longer the table's: after DROP, RENAME or TYPE of a column, and
//! for a new column with a default. Everything else is a matter of the log.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{array::AsArray, datatypes::Int64Type};
use datafusion::{
    datasource::provider_as_source,
    physical_plan::{collect, execute_stream},
    sql::sqlparser::ast,
};
use rapport_catalog_lake::LakeTable;
use rapport_catalog_postgres::{Column, Relation};
use rapport_lake::{Definition, Draft, Snapshot, TableName};

use crate::{
    Error, Result,
    block::Block,
    cancel::Guard,
    change::{FILES, cast_to, ours},
    define::{definition, field},
    execute,
    pg_type::PgType,
    plan::Scope,
    privilege::quoted,
    target::{self, Target},
    write,
};

/// Makes a table that is empty.
pub(crate) async fn create(
    scope: &Scope,
    block: &Block,
    name: &TableName,
    definition: &Definition,
) -> Result<Draft> {
    let draft = match block.draft(name) {
        Some(mut dropped) => dropped.create_again(definition).map(|()| dropped),
        None => scope.lake(name).draft_new(name, definition).await,
    };
    let draft = draft.map_err(|error| match error {
        rapport_lake::Error::TableExists(name) => Error::DuplicateTable { name: name.table },
        error => error.into(),
    })?;
    block.put(scope, draft.clone());
    Ok(draft)
}

/// Whether the rows and what is asked of them stay as they are.
pub(crate) fn keeps_rows(before: &Relation, after: &Relation) -> bool {
    let stays = |old: &Column| {
        let new = after.columns.iter().find(|new| new.number == old.number);
        new.is_some_and(|new| {
            new.name == old.name && new.pg_type == old.pg_type && new.default == old.default
        })
    };
    let is_harmless = |new: &Column| {
        let is_old = before.columns.iter().any(|old| old.number == new.number);
        is_old || !new.not_null && new.default.is_none()
    };
    before.name == after.name
        && before.file == after.file
        && before.columns.iter().all(stays)
        && after.columns.iter().all(is_harmless)
}

/// `using` are expressions for columns that get another type.
pub(crate) async fn alter(
    scope: &Scope,
    block: &Block,
    before: &Relation,
    after: &Relation,
    using: &[(String, String)],
    guard: &Guard,
) -> Result<()> {
    let base = scope.base(&block.pins, &before.name).await?;
    let mut draft = scope.draft(block, &base).await?;
    let altered = Altered::new(before, after, &base, using)?;
    if before.name != after.name {
        if scope.store_url(&before.name) != scope.store_url(&after.name) {
            return Err(Error::not_supported(
                "moving a table into or out of a temporary schema is not supported",
                "Make a new table from the old one: CREATE TABLE new AS SELECT … FROM old.",
            ));
        }
        let mut renamed = create(scope, block, &after.name, &altered.definition).await?;
        take_rows(&mut renamed, &draft).await?;
        draft.drop_table();
        block.put(scope, draft);
        block.put(scope, renamed);
        return Ok(());
    }
    for column in &altered.now_not_null {
        refuse_nulls(scope, block, &base, column, guard).await?;
    }
    if altered.is_reshaped && !base.files().is_empty() {
        reshape(scope, block, &mut draft, &altered, guard).await?;
    } else {
        draft.redefine(&altered.definition)?;
    }
    block.put(scope, draft);
    Ok(())
}

/// Boxed for the compiler's sake, as in `write`.
fn take_rows<'a>(
    renamed: &'a mut Draft,
    from: &'a Draft,
) -> futures::future::BoxFuture<'a, Result<()>> {
    Box::pin(async move { renamed.take_rows_of(from).await.map_err(write::told) })
}

/// What becomes of a table's columns.
struct Altered {
    definition: Definition,
    /// What each new column is of the old ones.
    values: Vec<String>,
    is_reshaped: bool,
    /// Columns that may hold NULL until now.
    now_not_null: Vec<String>,
}

impl Altered {
    fn new(
        before: &Relation,
        after: &Relation,
        base: &Snapshot,
        using: &[(String, String)],
    ) -> Result<Self> {
        let schema = base.schema();
        let using: BTreeMap<&str, &str> = using
            .iter()
            .map(|(column, expr)| (column.as_str(), expr.as_str()))
            .collect();
        let mut values = vec![];
        let mut now_not_null = vec![];
        let mut is_reshaped = false;
        let mut fields = BTreeMap::new();
        for new in &after.columns {
            let old = before.columns.iter().find(|old| old.number == new.number);
            let kept = old.and_then(|old| schema.field_with_name(&old.name).ok());
            let (Some(old), Some(kept)) = (old, kept) else {
                let pg_type = PgType::parse(&new.pg_type)?;
                values.push(match &new.default {
                    Some(default) => cast_to(&pg_type, default),
                    None => cast_to(&pg_type, "NULL"),
                });
                is_reshaped |= new.default.is_some();
                if new.not_null && new.default.is_none() && base.rows() > 0 {
                    return Err(has_nulls(after, &new.name));
                }
                continue;
            };
            let mut field = match new.pg_type == old.pg_type {
                true => kept.clone().with_name(&new.name),
                false => field(new)?,
            };
            values.push(
                match (new.pg_type == old.pg_type, using.get(old.name.as_str())) {
                    (_, Some(using)) => cast_to(&PgType::parse(&new.pg_type)?, using),
                    (true, None) => quoted(&old.name),
                    (false, None) => cast_to(&PgType::parse(&new.pg_type)?, &quoted(&old.name)),
                },
            );
            is_reshaped |= new.name != old.name
                || new.pg_type != old.pg_type
                || using.contains_key(old.name.as_str());
            let nullable = match (old.not_null, new.not_null) {
                (false, true) => {
                    now_not_null.push(old.name.clone());
                    false
                }
                (true, false) => true,
                _ => kept.is_nullable(),
            };
            field.set_nullable(nullable);
            fields.insert(new.number, field);
        }
        is_reshaped |= before
            .columns
            .iter()
            .any(|old| !after.columns.iter().any(|new| new.number == old.number));
        Ok(Self {
            definition: definition(after, |column| fields.get(&column.number).cloned())?,
            values,
            is_reshaped,
            now_not_null,
        })
    }
}

fn has_nulls(table: &Relation, column: &str) -> Error {
    Error::HasNulls {
        table: table.name.table.clone(),
        column: column.to_owned(),
    }
}

async fn refuse_nulls(
    scope: &Scope,
    block: &Block,
    base: &Arc<Snapshot>,
    column: &str,
    guard: &Guard,
) -> Result<()> {
    let sql = format!(
        "SELECT count(*) FROM {} WHERE {} IS NULL",
        quoted(FILES),
        quoted(column)
    );
    let ast::Statement::Query(query) = ours(scope, &sql)? else {
        return Err(Error::not_supported("this form of the statement", ""));
    };
    let files = provider_as_source(Arc::new(LakeTable::new(
        base.clone(),
        scope.store_url(base.name()),
    )));
    let planned = scope
        .plan_query_over(&block.pins, &query, &[], &[(FILES, files)])
        .await?;
    let state = scope.state();
    let plan = execute::physical(&scope.warehouse, state.clone(), planned.plan, guard).await?;
    let context = execute::task_context(&scope.warehouse, &state, guard);
    let work = async move { Ok(collect(plan, context).await?) };
    let batches = scope.warehouse.cpu().run(guard, work).await?;
    let found = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().iter().flatten())
        .any(|count| count > 0);
    match found {
        true => Err(Error::HasNulls {
            table: base.name().table.clone(),
            column: column.to_owned(),
        }),
        false => Ok(()),
    }
}

/// Writes all rows in the new columns.
async fn reshape(
    scope: &Scope,
    block: &Block,
    draft: &mut Draft,
    altered: &Altered,
    guard: &Guard,
) -> Result<()> {
    let base = draft
        .snapshot()
        .cloned()
        .ok_or_else(|| rapport_lake::Error::NoSuchTable(draft.name().clone()))?;
    let mut reshaped = draft.clone();
    reshaped.redefine(&altered.definition)?;
    let next = reshaped
        .snapshot()
        .cloned()
        .ok_or_else(|| rapport_lake::Error::NoSuchTable(draft.name().clone()))?;

    let sql = format!(
        "INSERT INTO {} SELECT {} FROM {}",
        quoted(target::NAME),
        altered.values.join(", "),
        quoted(FILES)
    );
    let ast::Statement::Insert(insert) = ours(scope, &sql)? else {
        return Err(Error::not_supported("this form of the statement", ""));
    };
    let target = Target::source(&next, &[], Default::default());
    let files = LakeTable::new(base.clone(), scope.store_url(base.name()));
    let sources = [
        (target::NAME, target),
        (FILES, provider_as_source(Arc::new(files))),
    ];
    let planned = scope
        .plan_insert(&block.pins, &insert, &[], &sources)
        .await?;
    let state = scope.state();
    let plan = execute::physical(&scope.warehouse, state.clone(), planned.plan, guard).await?;
    let context = execute::task_context(&scope.warehouse, &state, guard);
    let (mut written, definition) = (draft.clone(), altered.definition.clone());
    let work = async move {
        let rows = write::storable(&next, execute_stream(plan, context.clone())?, context, None)?;
        write::reshape_draft(&mut written, &definition, rows).await?;
        Ok(written)
    };
    *draft = scope.warehouse.cpu().run(guard, work).await?;
    Ok(())
}
