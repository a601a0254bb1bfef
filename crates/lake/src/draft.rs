//! A version of a table that nobody else sees yet: its files are in the store, and no commit names them.
//!
//! A transaction block works on drafts. They are committed together, see `journal`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::append::check_same_table;
use crate::data_file::RawStats;
use crate::journal::{Kind, Work};
use crate::lake::new_metadata;
use crate::log::action::{Add, Metadata};
use crate::log::commit::conflict;
use crate::rows::{FILE_BYTES, Plan, RowsWriter, Written, discard};
use crate::snapshot::setting;
use crate::{
    BatchStream, DataFile, Definition, Error, Expect, Lake, Result, Snapshot, Table, TableName, Txn,
};

/// Cheap to clone: a savepoint is a clone that is kept.
#[derive(Clone)]
pub struct Draft {
    table: Table,
    /// What it was made from; `None` for a table that is new.
    base: Option<Arc<Snapshot>>,
    /// What it looks like now; `None` once it was dropped.
    now: Option<Arc<Snapshot>>,
    /// What the log is to say about the new files, by their path in the lake.
    adds: Arc<BTreeMap<String, Add>>,
    /// All older rows are gone for good, and what was loaded may be loaded again.
    is_truncated: bool,
    /// The table that was there has been dropped, and this is another one.
    is_new: bool,
    fence: Option<Txn>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft")
            .field("table", self.table.name())
            .finish_non_exhaustive()
    }
}

impl Table {
    /// Of a version that was read.
    pub fn draft(&self, base: &Arc<Snapshot>) -> Draft {
        Draft {
            table: self.clone(),
            base: Some(Arc::clone(base)),
            now: Some(Arc::clone(base)),
            adds: Arc::default(),
            is_truncated: false,
            is_new: false,
            fence: None,
        }
    }
}

impl Lake {
    /// Of a table that is not there yet.
    pub async fn draft_new(&self, name: &TableName, definition: &Definition) -> Result<Draft> {
        let table = self.handle(name);
        match table.snapshot().await {
            Ok(_) => return Err(Error::TableExists(name.clone())),
            Err(Error::NoSuchTable(_)) => {}
            Err(error) => return Err(error),
        }
        let bare = Snapshot::bare(name, new_metadata(name, definition)?)?;
        Ok(Draft {
            table,
            base: None,
            now: Some(Arc::new(bare)),
            adds: Arc::default(),
            is_truncated: false,
            is_new: true,
            fence: None,
        })
    }
}

impl Draft {
    pub fn name(&self) -> &TableName {
        self.table.name()
    }

    /// As it is now; `None` if it was dropped.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.now.as_ref()
    }

    /// Whether it is another table than the one that everybody sees under the name, if there is one.
    pub fn is_new(&self) -> bool {
        self.is_new && self.now.is_some()
    }

    /// It is to land only while `token` is the one that [`Table::fence`] has put there for `app_id`; then all drafts that
    /// are committed with it land, and else none.
    pub fn fenced(mut self, app_id: &str, token: i64) -> Self {
        self.fence = Some(Txn {
            app_id: app_id.to_owned(),
            version: token,
        });
        self
    }

    fn now(&self) -> Result<Arc<Snapshot>> {
        let now = self.now.clone();
        now.ok_or_else(|| Error::NoSuchTable(self.name().clone()))
    }

    /// Adds rows, which must be sorted by the layout. Answers how many.
    pub async fn append(&mut self, rows: BatchStream) -> Result<u64> {
        let now = self.now()?;
        let written = write(&self.table, &now, rows).await?;
        let n_rows = written.rows;
        self.replace(&now, &[], written)?;
        Ok(n_rows)
    }

    /// Puts rows in the place of files.
    pub async fn rewrite(
        &mut self,
        removed: &[DataFile],
        rows: BatchStream,
        expect: Expect,
    ) -> Result<u64> {
        let now = self.now()?;
        let written = write(&self.table, &now, rows).await?;
        if let Expect::Rows(wanted) = expect
            && written.rows != wanted
        {
            discard(self.table.store(), self.name(), &written.adds).await;
            return Err(Error::RowsChanged {
                table: self.name().clone(),
                what: format!("{} rows were written, not {wanted}", written.rows),
            });
        }
        let n_rows = written.rows;
        self.replace(&now, removed, written)?;
        Ok(n_rows)
    }

    pub fn truncate(&mut self) -> Result<()> {
        let mut now = self.now()?.as_ref().clone();
        now.files.clear();
        self.now = Some(Arc::new(now));
        self.is_truncated = true;
        Ok(())
    }

    /// Another definition over the same files: columns may be added that may be NULL, and NOT NULL may come and go.
    pub fn redefine(&mut self, definition: &Definition) -> Result<()> {
        let mut now = self.now()?.as_ref().clone();
        let mut metadata = now.metadata.as_ref().clone();
        definition.write_to(&mut metadata)?;
        let bare = Snapshot::bare(self.name(), metadata)?;
        now.metadata = bare.metadata;
        now.definition = bare.definition;
        now.layout = bare.layout;
        self.now = Some(Arc::new(now));
        Ok(())
    }

    /// Another definition, and all rows written anew in its columns.
    pub async fn reshape(&mut self, definition: &Definition, rows: BatchStream) -> Result<()> {
        let before = self.now()?.files.clone();
        let mut reshaped = self.clone();
        reshaped.redefine(definition)?;
        reshaped.rewrite(&before, rows, Expect::Any).await?;
        *self = reshaped;
        Ok(())
    }

    pub fn drop_table(&mut self) {
        self.now = None;
    }

    /// The dropped table's name, taken again for a new one.
    pub fn create_again(&mut self, definition: &Definition) -> Result<()> {
        if self.now.is_some() {
            return Err(Error::TableExists(self.name().clone()));
        }
        let metadata = new_metadata(self.name(), definition)?;
        let mut bare = Snapshot::bare(self.name(), metadata)?;
        bare.version = self.base.as_ref().map_or(0, |base| base.version);
        self.now = Some(Arc::new(bare));
        self.is_new = true;
        self.is_truncated = false;
        Ok(())
    }

    /// This table, which is new and empty, takes the rows of another one: copies of its files, made by the store.
    pub async fn take_rows_of(&mut self, other: &Draft) -> Result<()> {
        let mut now = self.now()?.as_ref().clone();
        let (from, to) = (other.name().folder(), self.name().folder());
        let mut adds = self.adds.as_ref().clone();
        for file in &other.now()?.files {
            let relative = file.path.strip_prefix(&format!("{from}/"));
            let relative = relative.unwrap_or(&file.path).to_owned();
            let path = format!("{to}/{relative}");
            let (source, target) = (Path::from(file.path.as_str()), Path::from(path.as_str()));
            let copied = self.table.store().copy(&source, &target).await;
            copied.map_err(|error| Error::storage(format!("copying {source}"), error))?;
            let add = file.add(relative);
            now.files.push(DataFile {
                path: path.clone(),
                ..file.clone()
            });
            adds.insert(path, add);
        }
        self.now = Some(Arc::new(now));
        self.adds = Arc::new(adds);
        Ok(())
    }

    fn replace(&mut self, now: &Snapshot, removed: &[DataFile], written: Written) -> Result<()> {
        let gone: HashSet<&str> = removed.iter().map(|file| file.path.as_str()).collect();
        let mut next = now.clone();
        next.files.retain(|file| !gone.contains(file.path.as_str()));
        let folder = self.name().folder();
        let mut adds = self.adds.as_ref().clone();
        for add in written.adds {
            let path = format!("{folder}/{}", add.path);
            let rows = RawStats::parse(add.stats.as_deref()).num_records;
            let rows = rows.ok_or_else(|| conflict(self.name(), "a file has no row count"))?;
            let schema = now.schema();
            next.files
                .push(DataFile::new(path.clone(), &add, rows, &schema));
            adds.insert(path, add);
        }
        self.now = Some(Arc::new(next));
        self.adds = Arc::new(adds);
        Ok(())
    }

    /// Nothing of it is to become visible: removes the files that were written for it.
    pub async fn discard(self) {
        let adds: Vec<Add> = self.adds.values().cloned().collect();
        discard(self.table.store(), self.name(), &adds).await;
    }

    /// Whether `newest`, or there being no table, still allows the commit.
    pub(crate) async fn check(&self) -> Result<()> {
        let newest = match self.table.newest().await {
            Ok(newest) if newest.is_dropped() => None,
            Ok(newest) => Some(newest),
            Err(Error::NoSuchTable(_)) => None,
            Err(error) => return Err(error),
        };
        match (&self.base, newest) {
            (None, None) => Ok(()),
            (None, Some(_)) if self.now.is_none() => Ok(()),
            (None, Some(_)) => Err(Error::TableExists(self.name().clone())),
            (Some(_), None) => Err(conflict(self.name(), "it was dropped")),
            (Some(base), Some(newest)) => {
                let work = self.work();
                if let Some(work) = &work {
                    work.check_fence(&newest)?;
                }
                check_same_table(base, &newest)?;
                match work {
                    Some(work) => work.change(&newest).map(|_| ()),
                    None => Ok(()),
                }
            }
        }
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// What the commit is to do; `None` if that is nothing.
    pub(crate) fn work(&self) -> Option<Work> {
        let base_metadata = |base: &Arc<Snapshot>| base.metadata.as_ref().clone();
        let work = |kind, metadata: Option<Metadata>, removes, adds| Work {
            schema: self.name().schema.clone(),
            table: self.name().table.clone(),
            kind,
            adds,
            removes,
            metadata,
            base: self.base.as_ref().map(base_metadata),
            txn: None,
            fence: self
                .fence
                .clone()
                .map(|fence| (fence.app_id, fence.version)),
        };
        let Some(now) = &self.now else {
            self.base.as_ref()?;
            return Some(work(Kind::Drop, None, vec![], vec![]));
        };
        let live: HashSet<&str> = now.files.iter().map(|file| file.path.as_str()).collect();
        let adds: Vec<Add> = self
            .adds
            .iter()
            .filter(|(path, _)| live.contains(path.as_str()))
            .map(|(_, add)| add.clone())
            .collect();
        let metadata = now.metadata.as_ref().clone();
        let Some(base) = self.base.as_ref().filter(|_| !self.is_new) else {
            let kind = match &self.base {
                Some(_) => Kind::Replace,
                None => Kind::Create,
            };
            return Some(work(kind, Some(metadata), vec![], adds));
        };
        let removes: Vec<String> = base
            .files
            .iter()
            .filter(|file| !live.contains(file.path.as_str()))
            .map(|file| file.path.clone())
            .collect();
        let metadata = (metadata != *base.metadata).then_some(metadata);
        let kind = match self.is_truncated {
            true => Kind::Truncate,
            false => Kind::Change,
        };
        let is_nothing = !self.is_truncated
            && adds.is_empty()
            && removes.is_empty()
            && metadata.is_none()
            && self.fence.is_none();
        (!is_nothing).then(|| work(kind, metadata, removes, adds))
    }
}

/// The rows in files of their own.
async fn write(table: &Table, now: &Snapshot, mut rows: BatchStream) -> Result<Written> {
    let mut writer = RowsWriter::start(Plan {
        table: table.name().clone(),
        store: Arc::clone(table.store()),
        schema: now.schema(),
        layout: Arc::clone(&now.layout),
        tags: BTreeMap::new(),
        until: None,
        data_change: true,
        file_bytes: FILE_BYTES,
    });
    while let Some(batch) = rows.next().await {
        match batch {
            Ok(batch) => {
                if writer.write(batch).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                writer.abort().await;
                return Err(Error::Rows(error));
            }
        }
    }
    writer.finish().await
}

/// Settings that say which table of a name it is, put into what a new one or an emptied one says of itself.
pub(crate) fn marked(mut metadata: Metadata, kind: Kind, version: u64) -> Metadata {
    let version = version.to_string();
    let configuration = &mut metadata.configuration;
    if matches!(kind, Kind::Create | Kind::Replace) {
        configuration.insert(setting::BORN.into(), version.clone());
    }
    configuration.insert(setting::EPOCH.into(), version);
    metadata
}
