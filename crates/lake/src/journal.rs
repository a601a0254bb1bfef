//! Commits to several tables that are to land all or none.
//!
//! What is about to be done is written down first, as one file under `_rapport/journal`. A process that finds such a
//! file when it opens the lake does what is left of it: each commit carries a mark that says that it has landed. So a
//! crash between two of the commits loses nothing; until the lake is opened again, other processes see only the first
//! of them. Within this process nobody looks while they land.
//!
//! A draft that is fenced lands first and decides: once it has landed, the others follow whoever holds the lease by then.
//!
//! What has begun to land and was interrupted in this process is finished before its next commit.
//!
//! All drafts are checked before the first commit. If another process changes one of the tables in the moment after
//! that, the commits before it have landed and the error says so: that needs two writers of one table in two processes.

use std::sync::atomic::Ordering::Relaxed;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::append::check_same_table;
use crate::draft::marked;
use crate::log::action::{Add, Metadata};
use crate::log::commit::{self, Change, Header, conflict};
use crate::rows::remove_of;
use crate::{Draft, Error, Lake, Result, Snapshot, Table, TableName, Txn};

/// Marks the commits of blocks in the tables' logs.
const MARK: &str = "rapport.block";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Files come and go, the definition may change.
    Change,
    /// The same, and everything older is gone for good.
    Truncate,
    Create,
    /// Drop and create in one.
    Replace,
    Drop,
}

/// One table's part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub schema: String,
    pub table: String,
    pub kind: Kind,
    pub adds: Vec<Add>,
    /// Paths in the lake.
    pub removes: Vec<String>,
    /// If it is to change.
    pub metadata: Option<Metadata>,
    /// What the table said of itself when it was read.
    pub base: Option<Metadata>,
    /// The process and the moment; none for a commit of its own.
    pub txn: Option<(String, i64)>,
    /// The application and the token that must have fenced the table off.
    #[serde(default)]
    pub fence: Option<(String, i64)>,
}

impl Lake {
    /// Commits drafts of this lake: all of them, or none. After an error, files of theirs that nobody will ever see are
    /// removed.
    ///
    /// `writer` names the process, and `moment` must grow with every call in it.
    pub async fn commit(&self, drafts: &[Draft], writer: &str, moment: i64) -> Result<()> {
        // What was left in the middle comes first: this commit's marks would make it look done.
        if self.is_unfinished().swap(false, Relaxed) {
            let left = Left(self);
            if let Err(error) = self.finish_journals().await {
                give_up(drafts).await;
                return Err(error);
            }
            left.finish();
        }
        let mut works = vec![];
        for draft in drafts {
            if let Err(error) = draft.check().await {
                give_up(drafts).await;
                return Err(error);
            }
            works.extend(draft.work().map(|work| (draft, work)));
        }
        if let [(draft, work)] = works.as_slice() {
            let landed = work.land(self, draft.table()).await;
            // Without a clear answer the commit may still land.
            if let Err(error) = &landed
                && !matches!(error, Error::Storage { .. } | Error::Corrupt { .. })
            {
                give_up(drafts).await;
            }
            return landed;
        }
        if works.is_empty() {
            return Ok(());
        }
        works.sort_by_key(|(_, work)| work.fence.is_none());
        for (_, work) in works.iter_mut().skip(1) {
            work.fence = None;
        }
        for (_, work) in &mut works {
            work.txn = Some((format!("{MARK}.{writer}"), moment));
        }
        let path = Path::from_iter(["_rapport", "journal", &format!("{writer}.{moment}.json")]);
        let said: Vec<&Work> = works.iter().map(|(_, work)| work).collect();
        let said = serde_json::to_string(&said).expect("works have text keys only");
        let left = Left(self);
        if let Err(error) = self.store().put(&path, PutPayload::from(said)).await {
            // Without a clear answer the journal may be there, and whoever finds it does what it says.
            let error = Error::storage(format!("writing {path}"), error);
            if self.forget(&path).await || matches!(error, Error::StorageFull { .. }) {
                left.finish();
                give_up(drafts).await;
            }
            return Err(error);
        }
        for (at, (draft, work)) in works.iter().enumerate() {
            let Err(error) = work.land(self, draft.table()).await else {
                continue;
            };
            let is_storage = matches!(error, Error::Storage { .. } | Error::StorageFull { .. });
            // Whoever opens the lake next goes on; and so it is where nobody can say whether the first has landed.
            if is_storage && (at > 0 || draft.table().newest().await.is_err()) {
                return Err(error);
            }
            if at > 0 {
                warn!(table = %draft.name(), %error, "a transaction has landed in part");
            }
            if self.forget(&path).await {
                left.finish();
                if !matches!(error, Error::Storage { .. }) {
                    let rest: Vec<Draft> = works[at..].iter().map(|work| work.0.clone()).collect();
                    give_up(&rest).await;
                }
            }
            return Err(error);
        }
        self.forget(&path).await;
        left.finish();
        Ok(())
    }

    /// Finishes what a process that is gone has begun. Harmless while others do the same.
    pub async fn finish_journals(&self) -> Result<()> {
        let folder = Path::from_iter(["_rapport", "journal"]);
        let listed: Vec<_> = self
            .store()
            .list(Some(&folder))
            .try_collect()
            .await
            .map_err(|error| Error::storage(format!("listing {folder}"), error))?;
        for journal in listed {
            let path = journal.location;
            let read = async { self.store().get(&path).await?.bytes().await };
            let bytes = match read.await {
                Ok(bytes) => bytes,
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(Error::storage(format!("reading {path}"), error)),
            };
            let works: Vec<Work> =
                serde_json::from_slice(&bytes).map_err(|error| Error::Corrupt {
                    path: path.to_string(),
                    what: error.to_string(),
                    remedy: "Remove it; tables that it names may have missed a transaction".into(),
                })?;
            for (at, work) in works.iter().enumerate() {
                let table = self.handle(&TableName::new(&work.schema, &work.table));
                match work.land(self, &table).await {
                    Ok(()) => {}
                    Err(
                        error @ (Error::Fenced { .. }
                        | Error::Conflict { .. }
                        | Error::TableExists(_)),
                    ) if at == 0 => {
                        info!(table = %table.name(), %error, "a transaction had not landed, and can't");
                        break;
                    }
                    Err(
                        error @ (Error::Conflict { .. }
                        | Error::TableExists(_)
                        | Error::NoSuchTable(_)),
                    ) => info!(table = %table.name(), %error, "it had landed, or was overtaken"),
                    Err(error) => return Err(error),
                }
            }
            info!(n_tables = works.len(), "finished a transaction");
            self.forget(&path).await;
        }
        Ok(())
    }

    /// Whether the journal is gone.
    async fn forget(&self, path: &Path) -> bool {
        match self.store().delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => true,
            Err(error) => {
                warn!(%path, %error, "a transaction's journal stays, and is looked at again when the lake is opened");
                false
            }
        }
    }
}

/// A transaction that has begun to land. Dropped before it is finished, as when whoever waited for it was told to end,
/// it is for the next commit to finish.
struct Left<'a>(&'a Lake);

impl Left<'_> {
    fn finish(self) {
        std::mem::forget(self);
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.is_unfinished().store(true, Relaxed);
    }
}

/// Nothing of these is ever to be seen.
async fn give_up(drafts: &[Draft]) {
    for draft in drafts {
        draft.clone().discard().await;
    }
}

impl Work {
    async fn land(&self, lake: &Lake, table: &Table) -> Result<()> {
        let Err(refused) = self.try_to_land(lake, table).await else {
            return Ok(());
        };
        // Another process may have done it, or we before the table was emptied or made anew.
        if let Some((app_id, moment)) = &self.txn
            && let Ok(newest) = table.newest().await
            && newest.has_ever_seen(app_id, *moment)
        {
            return Ok(());
        }
        Err(refused)
    }

    async fn try_to_land(&self, lake: &Lake, table: &Table) -> Result<()> {
        let header = Header {
            operation: match self.kind {
                Kind::Change => "TRANSACTION",
                Kind::Truncate => "TRUNCATE",
                Kind::Create | Kind::Replace => "CREATE TABLE",
                Kind::Drop => "DROP TABLE",
            },
            txn: self.txn.as_ref().map(|(app_id, version)| Txn {
                app_id: app_id.clone(),
                version: *version,
            }),
            ..Header::default()
        };
        match self.kind {
            Kind::Drop => {
                let newest = table.snapshot().await?;
                self.change(&newest)?;
                lake.drop_table(table.name()).await
            }
            Kind::Create => match table.newest().await {
                Ok(_) => self.commit(table, &header).await,
                Err(Error::NoSuchTable(_)) if self.fence.is_none() => {
                    let change = Change {
                        adds: self.adds.clone(),
                        metadata: self.metadata.clone(),
                        ..Change::default()
                    };
                    match commit::create(table, &header, change).await? {
                        true => Ok(()),
                        false => Err(Error::TableExists(table.name().clone())),
                    }
                }
                Err(error) => Err(error),
            },
            Kind::Change | Kind::Truncate | Kind::Replace => self.commit(table, &header).await,
        }
    }

    async fn commit(&self, table: &Table, header: &Header) -> Result<()> {
        commit::commit(table, header, |newest| self.change(newest)).await?;
        Ok(())
    }

    pub(crate) fn check_fence(&self, newest: &Snapshot) -> Result<()> {
        match &self.fence {
            Some((app_id, token)) if newest.fence(app_id) != Some(*token) => Err(Error::Fenced {
                table: newest.name.clone(),
                token: *token,
            }),
            _ => Ok(()),
        }
    }

    /// Refuses what no longer fits.
    pub(crate) fn change(&self, newest: &Snapshot) -> Result<Change> {
        self.check_fence(newest)?;
        let next = newest.version + 1;
        if self.kind == Kind::Create {
            if !newest.is_dropped() {
                return Err(Error::TableExists(newest.name.clone()));
            }
            let metadata = self.metadata.clone();
            return Ok(Change {
                adds: self.adds.clone(),
                metadata: metadata.map(|metadata| marked(metadata, self.kind, next)),
                ..Change::default()
            });
        }
        if let Some(base) = &self.base {
            check_same_table(&Snapshot::bare(&newest.name, base.clone())?, newest)?;
            if self.metadata.is_some() && *newest.metadata != *base {
                return Err(conflict(&newest.name, "its definition was changed"));
            }
        }
        let all = matches!(self.kind, Kind::Replace | Kind::Drop);
        let mut removes = vec![];
        if all {
            removes.extend(
                newest
                    .files
                    .iter()
                    .map(|file| remove_of(newest, file, true)),
            );
        } else {
            for path in &self.removes {
                let file = newest.files.iter().find(|file| file.path == *path);
                let file = file.ok_or_else(|| {
                    conflict(
                        &newest.name,
                        format!("{path} was replaced by somebody else"),
                    )
                })?;
                removes.push(remove_of(newest, file, true));
            }
        }
        let metadata = match self.kind {
            Kind::Replace | Kind::Truncate => {
                let metadata = self.metadata.clone();
                let metadata = metadata.unwrap_or_else(|| newest.metadata.as_ref().clone());
                Some(marked(metadata, self.kind, next))
            }
            _ => self.metadata.clone(),
        };
        Ok(Change {
            adds: self.adds.clone(),
            removes,
            metadata,
            fence: None,
        })
    }
}
