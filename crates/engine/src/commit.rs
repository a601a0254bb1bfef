//! The end of a block: PostgreSQL runs its definitions again, the lake takes its drafts, and only then PostgreSQL keeps
//! the definitions. After a crash between them the lake is right, and the catalogue follows it.

use chrono::Utc;
use futures::future::BoxFuture;
use rapport_catalog_postgres::{Ddl, Settings};
use rapport_lake::{Draft, Lake, TableName};
use tracing::warn;

use crate::{
    Error, Result, Warehouse,
    block::{Definition, State},
    plan::Scope,
    temporary::OnCommit,
    view, write,
};

/// Makes all of it visible, or nothing.
pub(crate) async fn commit(scope: &Scope, state: State) -> Result<()> {
    let warehouse = &scope.warehouse;
    let written: Vec<TableName> = state.drafts.keys().cloned().collect();
    land(scope, &state).await?;
    for name in &written {
        warehouse.forget_table(name);
        warehouse.tell_rows(name).await;
    }
    empty_temporary(scope).await
}

async fn land(scope: &Scope, state: &State) -> Result<()> {
    if state.is_empty() {
        return Ok(());
    }
    let warehouse = &scope.warehouse;
    let mut turns = vec![];
    for name in state.drafts.keys() {
        turns.push(warehouse.turn_to_rewrite(name).await);
    }
    let _turn = match state.definitions.is_empty() {
        true => None,
        false => Some(warehouse.lock_definitions().await),
    };
    // Before the catalogue is asked: who looks up names keeps landings off while he asks it.
    let mut last = warehouse.landing().write().await;
    let ddl = match judge(scope, &state.definitions).await {
        Ok(ddl) => ddl,
        Err(error) => {
            for draft in state.drafts.values() {
                draft.clone().discard().await;
            }
            return Err(error);
        }
    };
    *last = Utc::now().timestamp_micros().max(*last + 1);
    let landed = land_in_lakes(scope, state, *last).await;
    drop(last);
    if let Err(error) = landed {
        if let Some(ddl) = ddl {
            ddl.rollback().await?;
        }
        return Err(error);
    }
    if !state.views.is_empty() {
        warehouse.reload_views().await?;
    }
    if let Some(ddl) = ddl {
        if let Err(error) = ddl.commit().await {
            // Whatever became of the transaction, the lake is right.
            warn!(%error, "the catalogue did not keep a definition");
            warehouse.mirror_lake().await?;
        }
        warehouse.dump_catalogue().await?;
    }
    Ok(())
}

/// Runs the definitions in one open transaction of the catalogue.
pub(crate) async fn judge(scope: &Scope, definitions: &[Definition]) -> Result<Option<Ddl>> {
    let Some((last, earlier)) = definitions.split_last() else {
        return Ok(None);
    };
    let Some(catalogue) = scope.warehouse.catalogue() else {
        return Err(Error::not_supported(
            "definitions need the catalogue, and this process has none",
            "",
        ));
    };
    let earlier: Vec<(Settings, String)> = earlier
        .iter()
        .map(|definition| (definition.settings.clone(), definition.sql.clone()))
        .collect();
    let ask = || catalogue.begin_ddl_after(&scope.role, &earlier, &last.settings, &last.sql);
    match ask().await {
        // A table that the mirror does not have yet, because another process made it.
        Err(rapport_catalog_postgres::Error::Postgres(fields)) if fields.code == "42P01" => {
            scope.warehouse.mirror_lake().await?;
            Ok(Some(ask().await?))
        }
        begun => Ok(Some(begun?)),
    }
}

async fn land_in_lakes(scope: &Scope, state: &State, moment: i64) -> Result<()> {
    let warehouse = &scope.warehouse;
    let is_own = |name: &TableName| {
        let temporary = scope.temporary.as_ref();
        temporary.is_some_and(|temporary| temporary.has(name))
    };
    let (own, shared): (Vec<Draft>, Vec<Draft>) = state
        .drafts
        .values()
        .cloned()
        .partition(|draft| is_own(draft.name()));
    commit_drafts(warehouse, warehouse.lake(), shared, moment).await?;
    if let Some(temporary) = &scope.temporary {
        commit_drafts(warehouse, temporary.lake(), own, moment).await?;
    }
    for (name, view) in &state.views {
        match (&scope.temporary, view) {
            (Some(temporary), Some(view)) if temporary.has(name) => {
                temporary.views().insert(name.clone(), view.clone());
            }
            (Some(temporary), None) if temporary.has(name) => {
                temporary.views().remove(name);
            }
            (_, Some(view)) => view.save(warehouse.lake()).await?,
            (_, None) => view::remove(warehouse.lake(), name).await?,
        }
    }
    Ok(())
}

/// Boxed, because the compiler can't see through the lake's own future that it may be sent to another thread.
fn commit_drafts<'a>(
    warehouse: &'a Warehouse,
    lake: &'a Lake,
    drafts: Vec<Draft>,
    moment: i64,
) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let committed = lake.commit(&drafts, warehouse.writer(), moment).await;
        committed.map_err(|error| match error {
            rapport_lake::Error::TableExists(name) => Error::DuplicateTable { name: name.table },
            error => write::told(error),
        })
    })
}

/// What ON COMMIT says of temporary tables.
pub(crate) async fn empty_temporary(scope: &Scope) -> Result<()> {
    let Some(temporary) = &scope.temporary else {
        return Ok(());
    };
    let tables = temporary.on_commit().clone();
    for (name, what) in tables {
        let Ok(table) = temporary.lake().table(&name).await else {
            temporary.on_commit().remove(&name);
            continue;
        };
        match what {
            OnCommit::DeleteRows => {
                table.truncate().await?;
            }
            OnCommit::Drop => {
                temporary.lake().drop_table(&name).await?;
                temporary.on_commit().remove(&name);
                if let Some(catalogue) = scope.warehouse.catalogue() {
                    catalogue.drop_temporary_table(&name).await?;
                }
            }
        }
    }
    Ok(())
}
