//! The second half of a load: rows that wait → commits.
//!
//! What makes a load exactly-once, wherever it is killed:
//!
//! 1. Rows of other tables than the main one (products …) are added if their primary key is not there yet; rows of
//!    a table without a primary key leave the marks of their files in the same commit.
//! 2. The main table's files are written, invisibly.
//! 3. New customers are added, by compare-and-swap. A load that is run again finds them.
//! 4. One commit makes the main table's rows visible, with a mark for each file (source + hash of its bytes): a file
//!    with a mark is not loaded again. It is a compare-and-swap, too, on the version in which this load's identities
//!    were looked for; if rows were added since, those are looked through before it is tried again.
//! 5. Refused rows go to `quarantine`, with the same marks. The mark in the main table says whether that was still
//!    to be done, so that a load which is run again does it.
//!
//! So a reader sees all rows of a load or none, and the worst that a kill leaves behind is a product or a customer
//! that has no interaction yet.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rapport_lake::{Append, Lake, Snapshot, Table, TableName, Txn, Writer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::gather::{Before, FileRead, Gathered, Gathering, mark, panicked};
use crate::held::{Finish, Held};
use crate::identities::{self, Customers, LookedUp};
use crate::key::IdSet;
use crate::table::open;
use crate::{Error, Phase, Progress, Result, Source, TableLoaded, stored};

/// How often a load may be overtaken before it gives up.
const ATTEMPTS: usize = 30;

pub struct Commit<'a> {
    pub lake: &'a Lake,
    pub source: &'a Source,
    pub load_id: &'a str,
    pub now: DateTime<Utc>,
    pub progress: &'a dyn Progress,
    pub cancel: &'a CancellationToken,
}

pub struct Committed {
    pub tables: Vec<TableLoaded>,
    pub new_customers: u64,
    pub version: Option<u64>,
}

/// A table's rows, shared with the thread that sorts them.
struct Waiting {
    held: Arc<Held>,
    ids: IdSet,
    passed: u64,
    /// Of the table's rows, those that the load brings too.
    known: IdSet,
    /// Files that have been looked through for them.
    looked: HashSet<String>,
}

impl Waiting {
    fn new(gathering: Gathering) -> Self {
        Self {
            held: Arc::new(gathering.held),
            ids: gathering.ids,
            passed: gathering.passed,
            known: IdSet::default(),
            looked: HashSet::new(),
        }
    }

    fn n_new(&self) -> u64 {
        self.held.rows() - self.known.len() as u64
    }

    fn loaded(&self) -> TableLoaded {
        TableLoaded {
            table: self.held.table.name.clone(),
            added: self.n_new(),
            already_known: self.passed + self.known.len() as u64,
        }
    }
}

impl Commit<'_> {
    pub async fn run(&self, gathered: Gathered) -> Result<Committed> {
        let Gathered {
            tables,
            files,
            customers,
            sources,
            ..
        } = gathered;
        let mut waiting: Vec<Waiting> = tables.into_iter().map(Waiting::new).collect();
        let mut main = waiting.pop().expect("a source has a target");
        let tags = BTreeMap::from([(
            stored::SOURCES_TAG.to_owned(),
            stored::sources_tag(&sources),
        )]);
        let tags = if main.held.table.is_interactions {
            tags
        } else {
            BTreeMap::new()
        };
        let marks = self.marks(&files);
        let mut others = Some(waiting);
        let mut new_customers = 0;
        let mut tables = vec![];

        let (table, _) = open(self.lake, &main.held.table.name).await?;
        let mut written: Option<Written> = None;
        for _ in 0..ATTEMPTS {
            self.progress.phase(Phase::Matching);
            let snapshot = table.snapshot().await?;
            self.look_for_known(&mut main, &snapshot, &sources).await?;
            let first_seen = self.first_seen(&main, &customers).await?;
            let looked_up =
                identities::look_up(self.lake, self.source, &customers, &first_seen, self.cancel)
                    .await?;

            let mut files_written = match written.take() {
                Some(written) if written.is_of(&main, &looked_up) => written,
                overtaken => {
                    if let Some(overtaken) = overtaken {
                        overtaken.writer.abort().await?;
                    }
                    if marks.is_empty() && main.n_new() == 0 {
                        // Everything was there before; only refused rows were missing.
                        self.quarantine(&files).await?;
                        tables.push(main.loaded());
                        return Ok(Committed {
                            tables,
                            new_customers: 0,
                            version: Some(snapshot.version()),
                        });
                    }
                    self.write(&table, &main, &looked_up, marks.clone(), tags.clone())
                        .await?
                }
            };

            self.progress.phase(Phase::Committing);
            if let Err(error) = self.not_cancelled() {
                files_written.writer.abort().await?;
                return Err(error);
            }
            for other in others.take().into_iter().flatten() {
                tables.push(self.commit_other(other, &marks).await?);
            }
            let is_added = looked_up
                .add_new(
                    self.lake,
                    self.source,
                    &customers,
                    &first_seen,
                    self.now,
                    self.cancel,
                )
                .await?;
            if !is_added {
                written = Some(files_written);
                continue;
            }
            new_customers += looked_up.n_new();
            match self
                .try_commit(&table, &mut files_written, &mut main, &sources, snapshot)
                .await?
            {
                Some(version) => {
                    self.quarantine(&files).await?;
                    tables.push(main.loaded());
                    return Ok(Committed {
                        tables,
                        new_customers,
                        version: Some(version),
                    });
                }
                None => written = Some(files_written),
            }
        }
        if let Some(written) = written {
            written.writer.abort().await?;
        }
        Err(contention(&main))
    }

    fn not_cancelled(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }

    /// One for each file whose rows are not in yet.
    fn marks(&self, files: &[FileRead]) -> Vec<Txn> {
        let new = files.iter().filter(|file| file.before == Before::Never);
        new.map(|file| Txn {
            app_id: file.app_id.clone(),
            version: if file.quarantine.is_some() {
                mark::REFUSED_FOLLOW
            } else {
                mark::COMPLETE
            },
        })
        .collect()
    }

    /// Looks through the files that were not looked through yet; `true` if rows of this load stand in them.
    async fn look_for_known(
        &self,
        waiting: &mut Waiting,
        snapshot: &Snapshot,
        sources: &BTreeSet<String>,
    ) -> Result<bool> {
        let facts = Arc::clone(&waiting.held.table);
        if !facts.has_identity() {
            return Ok(false);
        }
        let files: Vec<_> = snapshot
            .files()
            .iter()
            .filter(|file| !facts.is_interactions || stored::may_hold(file, sources))
            .filter(|file| waiting.looked.insert(file.path.clone()))
            .collect();
        let found = stored::known_ids(self.lake, &facts, &files, &waiting.ids, self.cancel).await?;
        let before = waiting.known.len();
        waiting.known.extend(found);
        Ok(waiting.known.len() > before)
    }

    async fn first_seen(&self, main: &Waiting, customers: &Customers) -> Result<Vec<Option<i64>>> {
        if customers.len() == 0 {
            return Ok(vec![]);
        }
        let (held, known, n) = (Arc::clone(&main.held), main.known.clone(), customers.len());
        tokio::task::spawn_blocking(move || identities::first_seen(&held, n, &known))
            .await
            .map_err(panicked)?
    }

    async fn write(
        &self,
        table: &Table,
        rows: &Waiting,
        looked_up: &LookedUp,
        marks: Vec<Txn>,
        tags: BTreeMap<String, String>,
    ) -> Result<Written> {
        self.progress.phase(Phase::Writing);
        let mut info = serde_json::Map::new();
        info.insert("load_id".into(), self.load_id.into());
        info.insert("source".into(), self.source.name.clone().into());
        let options = Append {
            marks: marks.clone(),
            tags,
            operation: "LOAD",
            info,
            ..Append::default()
        };
        let mut writer = table.begin_append(options).await?;
        let finish = self.finish(rows.known.clone(), looked_up.ids.clone());
        let written = self.push(&mut writer, &rows.held, finish).await;
        if let Err(error) = written {
            writer.abort().await?;
            return Err(error);
        }
        let (n_known, customers) = (rows.known.len(), looked_up.ids.clone());
        Ok(Written {
            writer,
            marks,
            n_known,
            customers,
            is_stale: false,
        })
    }

    /// Sorts in a thread of its own while the lake encodes.
    async fn push(&self, writer: &mut Writer, held: &Arc<Held>, finish: Finish) -> Result<()> {
        let (queue, mut sorted) = mpsc::channel(2);
        let held = Arc::clone(held);
        let sorter = tokio::task::spawn_blocking(move || {
            held.sorted(&finish, &mut |batch| queue.blocking_send(batch).is_ok())
        });
        while let Some(batch) = sorted.recv().await {
            self.not_cancelled()?;
            self.progress.advance(batch.num_rows() as u64, 0);
            writer.write(batch).await?;
        }
        sorter.await.map_err(panicked)?
    }

    /// The version that has the rows; `None` if they must be written anew, because rows that came between are among
    /// them.
    async fn try_commit(
        &self,
        table: &Table,
        written: &mut Written,
        waiting: &mut Waiting,
        sources: &BTreeSet<String>,
        looked_at: Arc<Snapshot>,
    ) -> Result<Option<u64>> {
        let mut base = looked_at.version();
        for _ in 0..ATTEMPTS {
            match written.writer.try_commit(base).await {
                Ok(appended) => return Ok(Some(appended.version)),
                Err(rapport_lake::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            let newest = table.snapshot().await?;
            if newest.version() == base {
                written.is_stale = true;
                waiting.known.clear();
                waiting.looked.clear();
                return Ok(None);
            }
            if self.look_for_known(waiting, &newest, sources).await? {
                return Ok(None);
            }
            if !waiting.held.table.has_identity() && any_landed(&newest, &written.marks) {
                return Err(contention(waiting));
            }
            base = newest.version();
        }
        Ok(None)
    }

    /// A table beside the main one. Rows with a primary key that is there already stay as they are.
    async fn commit_other(&self, mut other: Waiting, marks: &[Txn]) -> Result<TableLoaded> {
        let (table, mut snapshot) = open(self.lake, &other.held.table.name).await?;
        let marks: Vec<Txn> = if other.held.table.has_identity() {
            vec![]
        } else {
            marks
                .iter()
                .filter(|mark| snapshot.txn(&mark.app_id).is_none())
                .cloned()
                .collect()
        };
        let nobody = LookedUp::nobody();
        for _ in 0..ATTEMPTS {
            self.look_for_known(&mut other, &snapshot, &BTreeSet::new())
                .await?;
            if other.n_new() == 0 && marks.is_empty() {
                return Ok(other.loaded());
            }
            let mut written = self
                .write(&table, &other, &nobody, marks.clone(), BTreeMap::new())
                .await?;
            match self
                .try_commit(&table, &mut written, &mut other, &BTreeSet::new(), snapshot)
                .await
            {
                Ok(Some(_)) => return Ok(other.loaded()),
                Ok(None) => written.writer.abort().await?,
                Err(error) => {
                    written.writer.abort().await?;
                    return Err(error);
                }
            }
            snapshot = table.snapshot().await?;
        }
        Err(contention(&other))
    }

    /// Refused rows of all files, except those that another run of this load has brought.
    async fn quarantine(&self, files: &[FileRead]) -> Result<()> {
        if files.iter().all(|file| file.quarantine.is_none()) {
            return Ok(());
        }
        let (table, _) = open(self.lake, &TableName::public("quarantine")).await?;
        for _ in 0..ATTEMPTS {
            let snapshot = table.snapshot().await?;
            let missing = files
                .iter()
                .filter(|file| snapshot.txn(&file.app_id).is_none());
            let missing: Vec<(&FileRead, &Held)> = missing
                .filter_map(|file| Some((file, file.quarantine.as_ref()?)))
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            let marks = missing.iter().map(|(file, _)| Txn {
                app_id: file.app_id.clone(),
                version: mark::COMPLETE,
            });
            let options = Append {
                marks: marks.collect(),
                operation: "LOAD",
                ..Append::default()
            };
            let mut writer = table.begin_append(options).await?;
            for (_, held) in missing {
                let mut batches = vec![];
                held.sorted(&self.finish(IdSet::default(), vec![]), &mut |batch| {
                    batches.push(batch);
                    true
                })?;
                for batch in batches {
                    writer.write(batch).await?;
                }
            }
            match writer.try_commit(snapshot.version()).await {
                Ok(_) => return Ok(()),
                Err(rapport_lake::Error::Conflict { .. }) => writer.abort().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Contention {
            table: table.name().to_string(),
        })
    }

    fn finish(&self, known: IdSet, customers: Vec<i64>) -> Finish {
        Finish {
            known,
            customers,
            source: self.source.name.clone(),
            now: self.now,
        }
    }
}

/// Files of a table that no commit names yet.
struct Written {
    writer: Writer,
    marks: Vec<Txn>,
    /// What they were written with.
    n_known: usize,
    customers: Vec<i64>,
    /// The table became another one: truncated, or its columns changed.
    is_stale: bool,
}

impl Written {
    fn is_of(&self, rows: &Waiting, looked_up: &LookedUp) -> bool {
        !self.is_stale && self.n_known == rows.known.len() && self.customers == looked_up.ids
    }
}

fn any_landed(snapshot: &Snapshot, marks: &[Txn]) -> bool {
    marks
        .iter()
        .any(|mark| snapshot.txn(&mark.app_id).is_some())
}

fn contention(waiting: &Waiting) -> Error {
    Error::Contention {
        table: waiting.held.table.name.to_string(),
    }
}
