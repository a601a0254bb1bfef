//! The lake as a whole: its root, its tables.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use chrono::Utc;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::durable::DurableFiles;
use crate::log::action::Metadata;
use crate::log::commit::{self, Change, Header};
use crate::snapshot::setting;
use crate::{Definition, Error, Location, Result, Table, TableName, probe};

const FORMAT_FILE: &str = "_rapport/format.json";
const FORMAT: u64 = 1;
const PARALLEL: usize = 16;

/// Cheap to clone.
#[derive(Clone)]
pub struct Lake(Arc<Inner>);

struct Inner {
    location: Location,
    store: Arc<dyn ObjectStore>,
    tables: RwLock<HashMap<TableName, Table>>,
    /// A transaction of this process has been left in the middle; its journal is there.
    is_unfinished: AtomicBool,
}

#[derive(Serialize, Deserialize)]
struct Format {
    format: u64,
}

impl Lake {
    /// Whether or not there is a lake yet; see [`Lake::exists`]. A bucket is asked to prove that it can hold one.
    pub async fn open(location: Location) -> Result<Lake> {
        let store = location.store();
        match location.local_path() {
            Some(root) => DurableFiles::remove_abandoned(root, SystemTime::now()),
            None => probe::conditional_create(store.as_ref(), &location.display()).await?,
        }
        let lake = Self(Arc::new(Inner {
            location,
            store,
            tables: RwLock::default(),
            is_unfinished: AtomicBool::new(false),
        }));
        lake.exists().await?;
        Ok(lake)
    }

    /// Fails if a newer program made it.
    pub async fn exists(&self) -> Result<bool> {
        let location = self.location().display();
        let read = async {
            let result = self.0.store.get(&Path::from(FORMAT_FILE)).await?;
            result.bytes().await
        };
        let bytes = match read.await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(Error::storage(format!("reading {location}"), error)),
        };
        let format: Format = serde_json::from_slice(&bytes).map_err(|error| Error::Corrupt {
            path: FORMAT_FILE.into(),
            what: error.to_string(),
            remedy: format!(
                "Write {{\"format\":{FORMAT}}} into it if the tables beside it are rapport's"
            ),
        })?;
        if format.format > FORMAT {
            return Err(Error::NewerFormat {
                location,
                found: format.format,
                known: FORMAT,
            });
        }
        Ok(true)
    }

    /// Make the place a lake. It does no harm where there is one.
    pub async fn create_root(&self) -> Result<()> {
        let text =
            serde_json::to_string(&Format { format: FORMAT }).expect("a number becomes JSON");
        let options = PutOptions::from(PutMode::Create);
        let path = Path::from(FORMAT_FILE);
        match self.0.store.put_opts(&path, text.into(), options).await {
            Ok(_) | Err(StoreError::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(Error::storage(
                format!("making a lake at {}", self.location().display()),
                error,
            )),
        }
    }

    pub(crate) fn is_unfinished(&self) -> &AtomicBool {
        &self.0.is_unfinished
    }

    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// Rooted at the lake; the engine registers it under [`Lake::store_url`].
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.0.store)
    }

    /// The only store the engine ever registers.
    pub fn store_url(&self) -> Url {
        Url::parse("rapport://lake/").expect("a constant URL")
    }

    /// All tables, sorted by name.
    pub async fn table_names(&self) -> Result<Vec<TableName>> {
        let mut names: Vec<TableName> = stream::iter(self.logs().await?)
            .map(|name| async move {
                match self.handle(&name).snapshot().await {
                    // A table that can't be read is still there; whoever reads it gets the error.
                    Ok(_) | Err(Error::Corrupt { .. } | Error::Unsupported { .. }) => {
                        Ok(Some(name))
                    }
                    Err(Error::NoSuchTable(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(PARALLEL)
            .try_filter_map(async |name| Ok(name))
            .try_collect()
            .await?;
        names.sort_unstable();
        Ok(names)
    }

    /// Every folder that may hold a log, those of dropped tables included.
    pub(crate) async fn logs(&self) -> Result<Vec<TableName>> {
        let store = &self.0.store;
        let folders = async |prefix: Option<&Path>| {
            let listed = store.list_with_delimiter(prefix).await;
            let listed = listed.map_err(|error| {
                Error::storage(format!("listing {}", self.location().display()), error)
            })?;
            let is_folder = |path: &Path| path.filename().map(str::to_owned);
            Ok::<Vec<String>, Error>(
                listed
                    .common_prefixes
                    .iter()
                    .filter_map(is_folder)
                    .collect(),
            )
        };
        let mut names = vec![];
        for schema in folders(None).await? {
            if schema.starts_with('_') {
                continue;
            }
            for table in folders(Some(&Path::from(schema.as_str()))).await? {
                names.extend(TableName::from_folders(&schema, &table));
            }
        }
        Ok(names)
    }

    pub async fn create_table(&self, name: &TableName, definition: &Definition) -> Result<Table> {
        let metadata = new_metadata(name, definition)?;
        let table = self.handle(name);
        let header = Header {
            operation: "CREATE TABLE",
            ..Header::default()
        };
        match table.newest().await {
            Ok(_) => self.create_again(&table, &header, metadata).await?,
            Err(Error::NoSuchTable(_)) => {
                let change = Change {
                    metadata: Some(metadata),
                    ..Change::default()
                };
                if !commit::create(&table, &header, change).await? {
                    return Err(Error::TableExists(name.clone()));
                }
            }
            Err(error) => return Err(error),
        }
        Ok(table)
    }

    /// The log of a dropped table goes on under its old name, so that nobody who still holds the old one mistakes an
    /// early version of the new for a stale one of the old.
    async fn create_again(&self, table: &Table, header: &Header, metadata: Metadata) -> Result<()> {
        commit::commit(table, header, |newest| {
            if !newest.is_dropped() {
                return Err(Error::TableExists(table.name().clone()));
            }
            let mut metadata = metadata.clone();
            let version = (newest.version + 1).to_string();
            metadata
                .configuration
                .insert(setting::BORN.into(), version.clone());
            metadata
                .configuration
                .insert(setting::EPOCH.into(), version);
            Ok(Change {
                metadata: Some(metadata),
                ..Change::default()
            })
        })
        .await?;
        Ok(())
    }

    /// One commit says that it is gone; then its data files are removed. Its small log stays.
    pub async fn drop_table(&self, name: &TableName) -> Result<()> {
        let table = self.table(name).await?;
        // Listed before the commit: what is written after it belongs to the next table of this name.
        let data = table.data_files().await?;
        let header = Header {
            operation: "DROP TABLE",
            ..Header::default()
        };
        commit::commit(&table, &header, |newest| {
            let mut metadata = newest.metadata.as_ref().clone();
            metadata
                .configuration
                .insert(setting::DROPPED.into(), "true".into());
            table.removal_of_all(newest, metadata)
        })
        .await?;
        table.remove_files(data).await
    }

    /// A handle that is shared by all who ask for this name.
    pub async fn table(&self, name: &TableName) -> Result<Table> {
        name.check()?;
        let table = self.handle(name);
        let found = table.snapshot().await;
        if matches!(found, Err(Error::NoSuchTable(_))) {
            // A handle for every name that anybody ever asked for would be a leak.
            let mut tables = self
                .0
                .tables
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            tables.remove(name);
        }
        found.map(|_| table)
    }

    pub(crate) fn handle(&self, name: &TableName) -> Table {
        let tables = self.0.tables.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(name) {
            return table.clone();
        }
        drop(tables);
        let mut tables = self
            .0
            .tables
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        tables
            .entry(name.clone())
            .or_insert_with(|| Table::new(name.clone(), self.store()))
            .clone()
    }
}

/// Of a table that is to be made.
pub(crate) fn new_metadata(name: &TableName, definition: &Definition) -> Result<Metadata> {
    name.check()?;
    if definition.schema.fields().is_empty() {
        return Err(Error::WrongSchema {
            table: name.clone(),
            what: "a table needs a column".into(),
        });
    }
    let mut metadata = Metadata {
        id: uuid::Uuid::new_v4().to_string(),
        name: Some(name.to_string()),
        created_time: Some(Utc::now().timestamp_millis()),
        ..Metadata::default()
    };
    definition.write_to(&mut metadata)?;
    Ok(metadata)
}
