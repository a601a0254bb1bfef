//! A session's temporary tables: a lake of its own in the scratch folder, and a schema of its own in the catalogue, so that
//! all that works on a table works on them. Both are gone when the session is.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use datafusion::{
    execution::object_store::ObjectStoreUrl,
    sql::sqlparser::ast::{self, Ident, ObjectName},
};
use rapport_catalog_postgres::Catalogue;
use rapport_lake::{Lake, Location, TableName};
use rapport_udf_postgres::refusal::Refusal;
use tracing::{debug, warn};

use crate::{
    Error, Result, Session, Statement, Warehouse, names::parts, stores::Stores, view::View,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnCommit {
    DeleteRows,
    Drop,
}

pub(crate) struct Temporary {
    lake: Lake,
    /// Of the catalogue.
    schema: String,
    url: ObjectStoreUrl,
    folder: PathBuf,
    views: Mutex<BTreeMap<TableName, Arc<View>>>,
    on_commit: Mutex<BTreeMap<TableName, OnCommit>>,
    stores: Arc<Stores>,
    catalogue: Option<Catalogue>,
}

impl Temporary {
    pub(crate) async fn open(warehouse: &Warehouse, role: &str) -> Result<Self> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let folder = warehouse.scratch().join(&id);
        let location = Location::parse(
            &folder.display().to_string(),
            std::iter::empty::<(String, String)>(),
        )?;
        let lake = Lake::open(location).await?;
        lake.create_root().await?;
        let host = format!("temporary-{id}");
        let url = ObjectStoreUrl::parse(format!("rapport://{host}/"))?;
        let temporary = Self {
            schema: format!(
                "{}{}_{}",
                Catalogue::TEMPORARY,
                std::process::id(),
                &id[..12]
            ),
            url,
            folder,
            views: Mutex::default(),
            on_commit: Mutex::default(),
            stores: warehouse.stores().clone(),
            catalogue: warehouse.catalogue().cloned(),
            lake,
        };
        temporary.stores.add(&host, temporary.lake.store());
        if let Some(catalogue) = &temporary.catalogue {
            catalogue
                .create_temporary_schema(&temporary.schema, role)
                .await?;
        }
        Ok(temporary)
    }

    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) fn url(&self) -> &ObjectStoreUrl {
        &self.url
    }

    pub(crate) fn has(&self, name: &TableName) -> bool {
        name.schema == self.schema
    }

    pub(crate) fn views(&self) -> MutexGuard<'_, BTreeMap<TableName, Arc<View>>> {
        self.views.lock().expect("never held over a panic")
    }

    pub(crate) fn on_commit(&self) -> MutexGuard<'_, BTreeMap<TableName, OnCommit>> {
        self.on_commit.lock().expect("never held over a panic")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(host) = AsRef::<url::Url>::as_ref(&self.url).host_str() {
            self.stores.remove(host);
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            debug!(folder = %self.folder.display(), %error, "temporary tables could not be removed");
        }
        let (catalogue, schema) = (self.catalogue.take(), self.schema.clone());
        if let (Some(catalogue), Ok(runtime)) = (catalogue, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                if let Err(error) = catalogue.drop_temporary_schema(&schema).await {
                    warn!(%schema, %error, "the schema of temporary tables stays");
                }
            });
        }
    }
}

/// Removes the schemas that processes have left that were killed.
pub(crate) async fn remove_abandoned(warehouse: &Warehouse) -> Result<()> {
    if let Some(catalogue) = warehouse.catalogue() {
        let is_alive = |schema: &str| {
            let rest = schema.strip_prefix(Catalogue::TEMPORARY);
            rest.and_then(|rest| rest.split_once('_'))
                .and_then(|(process, _)| process.parse().ok())
                .is_some_and(is_alive)
        };
        catalogue.drop_temporary_schemas(is_alive).await?;
    }
    Ok(())
}

/// Of a process on this machine; where that can't be known, it is.
fn is_alive(process: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new(&format!("/proc/{process}")).exists()
}

/// A definition of something temporary, in words that say where it is.
pub(crate) struct Named {
    pub ast: ast::Statement,
    pub text: String,
    /// For a table that does not keep its rows, or itself.
    pub on_commit: Option<(Arc<Temporary>, OnCommit)>,
}

/// If the statement makes, changes or drops something temporary: the same with the schema's true name.
pub(crate) async fn name_own(
    session: &mut Session,
    statement: &Statement,
) -> Result<Option<Named>> {
    let mut ast = statement.ast.clone();
    let mut on_commit = None;
    let is_own = match &mut ast {
        ast::Statement::CreateTable(table) => {
            let asked = std::mem::take(&mut table.temporary) | is_in_pg_temp(&table.name);
            if asked {
                let temporary = session.temporary().await?;
                table.name = own_name(&temporary, &table.name)?;
                on_commit = match table.on_commit.take() {
                    Some(ast::OnCommit::DeleteRows) => Some((temporary, OnCommit::DeleteRows)),
                    Some(ast::OnCommit::Drop) => Some((temporary, OnCommit::Drop)),
                    Some(ast::OnCommit::PreserveRows) | None => None,
                };
            }
            asked
        }
        ast::Statement::CreateView(view) => {
            let asked = std::mem::take(&mut view.temporary)
                | is_in_pg_temp(&view.name)
                | reads_own(session, &view.query).await?;
            if asked {
                view.name = own_name(&*session.temporary().await?, &view.name)?;
            }
            asked
        }
        ast::Statement::Drop { names, .. } => {
            let mut any = false;
            for name in names {
                any |= qualify(session, name).await?;
            }
            any
        }
        ast::Statement::AlterTable(alter) => qualify(session, &mut alter.name).await?,
        ast::Statement::CreateIndex(index) => qualify(session, &mut index.table_name).await?,
        ast::Statement::Comment {
            object_type: ast::CommentObject::Table | ast::CommentObject::View,
            object_name,
            ..
        } => qualify(session, object_name).await?,
        _ => false,
    };
    Ok(is_own.then(|| Named {
        text: ast.to_string(),
        ast,
        on_commit,
    }))
}

fn is_in_pg_temp(name: &ObjectName) -> bool {
    let parts = parts(name).unwrap_or_default();
    matches!(parts.as_slice(), [.., schema, _] if schema == "pg_temp")
}

fn own_name(temporary: &Temporary, name: &ObjectName) -> Result<ObjectName> {
    let parts = parts(name)?;
    match parts.as_slice() {
        [table] => Ok(qualified(temporary, table)),
        [.., schema, table] if schema == "pg_temp" || schema == temporary.schema() => {
            Ok(qualified(temporary, table))
        }
        _ => Err(Error::Refused(Refusal::new(
            "42P16",
            "cannot create temporary relation in non-temporary schema",
        ))),
    }
}

fn qualified(temporary: &Temporary, table: &str) -> ObjectName {
    ObjectName::from(vec![
        Ident::with_quote('"', temporary.schema()),
        Ident::with_quote('"', table),
    ])
}

/// Gives a temporary table's or view's name its schema.
async fn qualify(session: &Session, name: &mut ObjectName) -> Result<bool> {
    let scope = session.scope();
    let Some(temporary) = &scope.temporary else {
        return Ok(false);
    };
    let candidates = scope.candidates(&parts(name)?)?;
    match scope.find(&session.pins(), &candidates, false).await? {
        Some((found, _)) if temporary.has(&found) => {
            *name = qualified(temporary, &found.table);
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// A view of something temporary is temporary.
async fn reads_own(session: &Session, query: &ast::Query) -> Result<bool> {
    let mut names = vec![];
    let _ = ast::visit_relations(query, |name| {
        names.push(name.clone());
        ControlFlow::<()>::Continue(())
    });
    for mut name in names {
        if parts(&name).is_ok() && qualify(session, &mut name).await? {
            return Ok(true);
        }
    }
    Ok(false)
}
