//! One table: read its versions, change it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::log::commit::{self, Change, Header, conflict};
use crate::log::group::Pending;
use crate::log::replay::{self, Listing, Replay, read_commit};
use crate::rows::remove_of;
use crate::snapshot::setting;
use crate::{Definition, Error, Result, Snapshot, TableName, Txn};

/// A snapshot loaded longer ago is loaded anew from a listing: log clean-up may have removed the commit after it, and then
/// a probe would find nothing for ever.
const TRUST_PROBE_FOR: Duration = Duration::from_secs(60 * 60);

/// Cheap to clone; all clones share the newest known snapshot.
#[derive(Clone)]
pub struct Table(Arc<Inner>);

struct Inner {
    name: TableName,
    store: Arc<dyn ObjectStore>,
    known: RwLock<Option<Known>>,
    /// One committer per table and process.
    turn: Arc<Semaphore>,
    /// Appends that whoever has the turn takes along.
    waiting: Mutex<Vec<Pending>>,
}

struct Known {
    snapshot: Arc<Snapshot>,
    seen: Instant,
}

impl Table {
    pub(crate) fn new(name: TableName, store: Arc<dyn ObjectStore>) -> Self {
        Self(Arc::new(Inner {
            name,
            store,
            known: RwLock::new(None),
            turn: Arc::new(Semaphore::new(1)),
            waiting: Mutex::default(),
        }))
    }

    pub fn name(&self) -> &TableName {
        &self.0.name
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.0.store
    }

    pub(crate) async fn turn(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.0.turn)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    pub(crate) fn wait_with(&self, pending: Pending) {
        let mut waiting = self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.push(pending);
    }

    pub(crate) fn take_waiting(&self) -> Vec<Pending> {
        let mut waiting = self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting)
    }

    /// The newest version. When nothing is new this costs one probe for the next commit.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>> {
        let newest = self.newest().await?;
        if newest.is_dropped() {
            return Err(Error::NoSuchTable(self.name().clone()));
        }
        Ok(newest)
    }

    /// Like [`Table::snapshot`], but shows a dropped table too: its log goes on.
    pub(crate) async fn newest(&self) -> Result<Arc<Snapshot>> {
        let Some(known) = self.known() else {
            let loaded = replay::load(self.store(), self.name(), None).await?;
            let loaded = loaded.ok_or_else(|| Error::NoSuchTable(self.name().clone()))?;
            return Ok(self.remember(loaded));
        };
        let mut replay = None;
        let mut version = known.version;
        let folder = self.name().folder();
        while let Some(commit) = read_commit(self.store().as_ref(), &folder, version + 1).await? {
            version += 1;
            replay
                .get_or_insert_with(|| Replay::after(&known))
                .apply_commit(version, &commit)?;
        }
        match replay {
            Some(replay) => Ok(self.remember(replay.finish(self.store()).await?)),
            None => Ok(known),
        }
    }

    fn known(&self) -> Option<Arc<Snapshot>> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .filter(|known| known.seen.elapsed() < TRUST_PROBE_FOR)
            .map(|known| Arc::clone(&known.snapshot))
    }

    /// Keep a snapshot for whoever asks next, unless somebody has brought a newer one meanwhile.
    pub(crate) fn remember(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_mut()
            && known.snapshot.version >= snapshot.version
        {
            known.seen = Instant::now();
            return Arc::clone(&known.snapshot);
        }
        let snapshot = Arc::new(snapshot);
        *known = Some(Known {
            snapshot: Arc::clone(&snapshot),
            seen: Instant::now(),
        });
        snapshot
    }

    /// The table as it was at `version`.
    pub async fn snapshot_at(&self, version: u64) -> Result<Arc<Snapshot>> {
        let newest = self.snapshot().await?;
        if newest.version == version {
            return Ok(newest);
        }
        let missing = |oldest| Error::NoSuchVersion {
            table: self.name().clone(),
            version,
            oldest,
            newest: newest.version,
        };
        if version > newest.version || version < newest.born() {
            return Err(missing(self.oldest(&newest).await?));
        }
        let loaded = replay::load(self.store(), self.name(), Some(version)).await?;
        loaded.map(Arc::new).ok_or_else(|| missing(newest.version))
    }

    /// The newest version that had been committed at `at`.
    pub async fn snapshot_as_of(&self, at: DateTime<Utc>) -> Result<Arc<Snapshot>> {
        let newest = self.snapshot().await?;
        if newest.timestamp <= at {
            return Ok(newest);
        }
        // Commits are made with ever later times, so halving finds the last that is not too late.
        let folder = self.name().folder();
        let (mut early, mut late) = (self.oldest(&newest).await?, newest.version);
        let time_of = async |version| {
            let commit = read_commit(self.store().as_ref(), &folder, version).await?;
            Ok::<_, Error>(commit.map(|commit| commit.timestamp()))
        };
        let oldest = time_of(early).await?.unwrap_or_default();
        if oldest > at {
            return Err(Error::NoSuchTime {
                table: self.name().clone(),
                at,
                oldest,
            });
        }
        while late - early > 1 {
            let middle = early + (late - early) / 2;
            match time_of(middle).await? {
                Some(time) if time > at => late = middle,
                _ => early = middle,
            }
        }
        self.snapshot_at(early).await
    }

    pub(crate) async fn oldest(&self, newest: &Snapshot) -> Result<u64> {
        let listing = Listing::read(self.store().as_ref(), &self.name().folder(), 0).await?;
        Ok(listing
            .oldest()
            .unwrap_or(newest.version)
            .max(newest.born()))
    }

    /// Change comments, keys and defaults, or add columns that may be NULL. Existing rows stay as they are.
    pub async fn set_definition(&self, definition: &Definition) -> Result<u64> {
        let base = self.snapshot().await?;
        let definition = &definition.as_stored();
        let header = Header {
            operation: "ALTER TABLE",
            ..Header::default()
        };
        let landed = commit::commit(self, &header, |newest| {
            if newest.metadata != base.metadata {
                return Err(conflict(self.name(), "its definition was changed"));
            }
            check_columns_stay(self.name(), &newest.definition, definition)?;
            let mut metadata = newest.metadata.as_ref().clone();
            definition.write_to(&mut metadata)?;
            Ok(Change {
                metadata: Some(metadata),
                ..Change::default()
            })
        })
        .await?;
        Ok(landed.snapshot.version)
    }

    /// From now on drafts that are [`fenced`](crate::Draft::fenced) for `app_id` with a smaller token are refused. Fails
    /// with [`Error::Fenced`] if a greater one was here before.
    pub async fn fence(&self, app_id: &str, token: i64) -> Result<()> {
        let header = Header {
            operation: "FENCE",
            ..Header::default()
        };
        let fence = Txn {
            app_id: app_id.to_owned(),
            version: token,
        };
        commit::commit(self, &header, |newest| {
            if newest.is_dropped() {
                return Err(Error::NoSuchTable(self.name().clone()));
            }
            if newest.fence(app_id).is_some_and(|there| there > token) {
                return Err(Error::Fenced {
                    table: self.name().clone(),
                    token,
                });
            }
            Ok(Change {
                fence: Some(fence.clone()),
                ..Change::default()
            })
        })
        .await?;
        Ok(())
    }

    /// Remove all rows; what was loaded before may be loaded again.
    pub async fn truncate(&self) -> Result<u64> {
        self.snapshot().await?;
        let header = Header {
            operation: "TRUNCATE",
            ..Header::default()
        };
        let landed = commit::commit(self, &header, |newest| {
            let mut metadata = newest.metadata.as_ref().clone();
            let epoch = (newest.version + 1).to_string();
            metadata.configuration.insert(setting::EPOCH.into(), epoch);
            self.removal_of_all(newest, metadata)
        })
        .await?;
        Ok(landed.snapshot.version)
    }

    pub(crate) fn removal_of_all(
        &self,
        newest: &Snapshot,
        metadata: crate::log::action::Metadata,
    ) -> Result<Change> {
        if newest.is_dropped() {
            return Err(Error::NoSuchTable(self.name().clone()));
        }
        Ok(Change {
            removes: newest
                .files
                .iter()
                .map(|file| remove_of(newest, file, true))
                .collect(),
            metadata: Some(metadata),
            ..Change::default()
        })
    }
}

/// Old files have neither a column's new type nor a new column's values.
fn check_columns_stay(table: &TableName, old: &Definition, new: &Definition) -> Result<()> {
    let wrong = |what: String| Error::WrongSchema {
        table: table.clone(),
        what,
    };
    for field in old.schema.fields() {
        match new.schema.field_with_name(field.name()) {
            Ok(same) if same.data_type() == field.data_type() => {}
            Ok(_) => {
                return Err(wrong(format!(
                    "column {} can't change its type",
                    field.name()
                )));
            }
            Err(_) => return Err(wrong(format!("column {} can't be removed", field.name()))),
        }
    }
    for field in new.schema.fields() {
        let is_new = old.schema.field_with_name(field.name()).is_err();
        if is_new && !field.is_nullable() {
            return Err(wrong(format!(
                "a new column can't be NOT NULL: {}",
                field.name()
            )));
        }
    }
    Ok(())
}
