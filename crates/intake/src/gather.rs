//! The first half of a load: files → rows that wait. One thread decodes, another one checks, so two cores are used.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{AsArray, BooleanArray};
use chrono::{DateTime, Utc};
use rapport_lake::Snapshot;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::check::{Checker, Rows};
use crate::decode::decode;
use crate::held::{Held, HeldRows};
use crate::identities::Customers;
use crate::input::{Found, Input};
use crate::key::IdSet;
use crate::quarantine::{self, Reasons};
use crate::raw::RawBatch;
use crate::table::Facts;
use crate::{Error, Result, Source};

/// Batches that may wait between the two threads.
const QUEUE: usize = 4;
/// Source names of their own that the rows of one load may have.
const MOST_SOURCES: usize = 1_000;
/// How long a cancelled load waits for its threads.
const PATIENCE: Duration = Duration::from_secs(2);
/// A load that refuses this many rows and more than half of all is given up before the end.
const HOPELESS: u64 = 10_000;

/// What is known of a file from earlier loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Never,
    /// Its rows are in; its refused rows are not, because a load was killed between the two.
    WithoutQuarantine,
    Loaded,
}

/// Versions of the mark that a loaded file leaves in its main table.
pub mod mark {
    pub const COMPLETE: i64 = 1;
    /// Refused rows follow, in a commit to `quarantine` with the same mark.
    pub const REFUSED_FOLLOW: i64 = 2;

    pub fn app_id(source: &str, hash: u128) -> String {
        format!("load:{source}:{hash:032x}")
    }
}

pub struct FileRead {
    pub name: Arc<str>,
    pub bytes: u64,
    pub app_id: String,
    pub before: Before,
    /// Its refused rows, if it has any.
    pub quarantine: Option<Held>,
}

/// One table and the rows that wait for it.
pub struct Gathering {
    pub held: Held,
    /// Identities of the rows.
    pub ids: IdSet,
    /// Rows that came twice in this load, and those of files whose rows are in already.
    pub passed: u64,
}

#[derive(Default)]
pub struct Gathered {
    pub tables: Vec<Gathering>,
    pub files: Vec<FileRead>,
    pub customers: Customers,
    pub sources: BTreeSet<String>,
    pub reasons: Reasons,
    pub read: u64,
}

/// What both threads need to know.
pub struct Plan {
    pub source: Source,
    pub files: Vec<Found>,
    /// By target of the source: the place of its table.
    pub table_of_target: Vec<usize>,
    pub tables: Vec<Arc<Facts>>,
    /// By table: the version in which marks of files are looked for, where rows have no identity of their own.
    pub marked: Vec<Option<Arc<Snapshot>>>,
    /// Rows of the main table come last and decide what was loaded before.
    pub main: Arc<Snapshot>,
    pub quarantine: Arc<Snapshot>,
    pub load_id: String,
    pub now: DateTime<Utc>,
    pub memory_bytes: usize,
    pub spill_folder: Option<PathBuf>,
}

/// Counted by the threads, told by the load.
#[derive(Default)]
pub struct Counters {
    pub rows: AtomicU64,
    pub bytes: AtomicU64,
}

enum Message {
    File {
        name: Arc<str>,
        bytes: u64,
        app_id: String,
        before: Before,
    },
    Batch(RawBatch),
    EndOfFile,
}

impl Plan {
    fn before(&self, app_id: &str) -> Before {
        match self.main.txn(app_id) {
            None => Before::Never,
            Some(version) if version < mark::REFUSED_FOLLOW => Before::Loaded,
            Some(_) if self.quarantine.txn(app_id).is_some() => Before::Loaded,
            Some(_) => Before::WithoutQuarantine,
        }
    }
}

/// Runs until all files are read. Blocks nothing: both halves have threads of their own.
pub async fn gather(
    plan: Arc<Plan>,
    checker: Checker,
    counters: Arc<Counters>,
    cancel: CancellationToken,
) -> Result<Gathered> {
    let (queue, batches) = mpsc::channel(QUEUE);
    let stop = cancel.clone();
    let reader = {
        let (plan, counters, cancel) = (Arc::clone(&plan), Arc::clone(&counters), cancel.clone());
        tokio::task::spawn_blocking(move || read(&plan, &queue, &counters, &cancel))
    };
    let sorter =
        tokio::task::spawn_blocking(move || receive(&plan, checker, batches, &counters, &cancel));
    let both = async { (reader.await, sorter.await) };
    let (read, gathered) = tokio::select! {
        both = both => both,
        // A thread that waits for standard input does not hear that it is over.
        () = given_up(&stop) => return Err(Error::Cancelled),
    };
    // Whoever stops first makes the other stop too; an error of checking is then the cause.
    let gathered = gathered.map_err(panicked)??;
    read.map_err(panicked)??;
    Ok(gathered)
}

async fn given_up(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(PATIENCE).await;
}

pub fn panicked(error: tokio::task::JoinError) -> Error {
    Error::Internal {
        what: error.to_string(),
    }
}

fn read(
    plan: &Plan,
    queue: &mpsc::Sender<Message>,
    counters: &Counters,
    cancel: &CancellationToken,
) -> Result<()> {
    let runtime = tokio::runtime::Handle::current();
    let mut hashes = HashSet::new();
    for found in &plan.files {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let input: Input =
            runtime.block_on(found.fingerprint(plan.spill_folder.as_deref(), cancel))?;
        let app_id = mark::app_id(&plan.source.name, input.hash);
        // The same bytes under two names are one file.
        let before = if hashes.insert(input.hash) {
            plan.before(&app_id)
        } else {
            Before::Loaded
        };
        let name = Arc::clone(&input.name);
        let file = Message::File {
            name: Arc::clone(&name),
            bytes: input.bytes,
            app_id,
            before,
        };
        if queue.blocking_send(file).is_err() {
            return Ok(());
        }
        if before == Before::Loaded {
            counters.bytes.fetch_add(input.bytes, Ordering::Relaxed);
            continue;
        }
        let mut stopped = false;
        decode(&input.path, &name, &plan.source, &mut |batch| {
            counters.bytes.fetch_add(batch.bytes, Ordering::Relaxed);
            stopped = cancel.is_cancelled() || queue.blocking_send(Message::Batch(batch)).is_err();
            if stopped {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if stopped {
            return Ok(());
        }
        input.unchanged()?;
        if queue.blocking_send(Message::EndOfFile).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn receive(
    plan: &Plan,
    mut checker: Checker,
    mut batches: mpsc::Receiver<Message>,
    counters: &Counters,
    cancel: &CancellationToken,
) -> Result<Gathered> {
    let main = plan.tables.len() - 1;
    let tables = plan.tables.iter().enumerate().map(|(i, table)| {
        let bytes = if i == main {
            plan.memory_bytes
        } else {
            plan.memory_bytes / 8
        };
        Gathering {
            held: Held::new(Arc::clone(table), bytes, plan.spill_folder.clone()),
            ids: IdSet::default(),
            passed: 0,
        }
    });
    let mut gathered = Gathered {
        tables: tables.collect(),
        ..Gathered::default()
    };
    while let Some(message) = batches.blocking_recv() {
        match message {
            Message::File {
                name,
                bytes,
                app_id,
                before,
            } => {
                checker.next_file(&name);
                gathered.files.push(FileRead {
                    name,
                    bytes,
                    app_id,
                    before,
                    quarantine: None,
                });
            }
            Message::Batch(raw) => {
                gathered.take(plan, &mut checker, &raw)?;
                counters
                    .rows
                    .fetch_add((raw.rows() + raw.refused.len()) as u64, Ordering::Relaxed);
            }
            Message::EndOfFile => checker.end_of_file()?,
        }
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
    }
    Ok(gathered)
}

impl Gathered {
    fn take(&mut self, plan: &Plan, checker: &mut Checker, raw: &RawBatch) -> Result<()> {
        let checked = checker.check(raw)?;
        self.read += checked.n_read;
        self.reasons.count(&checked.refused);
        if self.reasons.n > HOPELESS && self.reasons.n > self.read / 2 {
            return Err(self.too_many_refused(0.5));
        }
        let file = self.files.last_mut().expect("a batch comes after its file");
        if !checked.refused.is_empty() {
            let quarantine = file.quarantine.get_or_insert_with(|| {
                let table = Arc::new(Facts::of(&plan.quarantine));
                Held::new(table, plan.memory_bytes / 8, plan.spill_folder.clone())
            });
            quarantine::hold(
                quarantine,
                &checked.refused,
                &plan.load_id,
                &plan.source.name,
                plan.now,
            )?;
        }
        let is_in = file.before == Before::WithoutQuarantine;
        let app_id = file.app_id.clone();
        for (rows, table) in checked.rows.into_iter().zip(&plan.table_of_target) {
            // A load that was killed may have added them to this table and not yet to the main one.
            let marked = plan.marked[*table].as_ref();
            if is_in || marked.is_some_and(|snapshot| snapshot.txn(&app_id).is_some()) {
                self.tables[*table].passed += rows.n as u64;
            } else {
                self.hold(plan, *table, rows)?;
            }
        }
        Ok(())
    }

    /// Rows whose identity has come before in this load are dropped: the first is kept.
    fn hold(&mut self, plan: &Plan, table: usize, rows: Rows) -> Result<()> {
        let gathering = &mut self.tables[table];
        let facts = Arc::clone(&gathering.held.table);
        if facts.is_interactions {
            let column = facts.index("source").and_then(|i| rows.columns[i].as_ref());
            match column {
                Some(column) => {
                    let mut last = "";
                    for source in column.as_string::<i32>().iter().flatten() {
                        if source != last && !self.sources.contains(source) {
                            self.sources.insert(source.to_owned());
                        }
                        last = source;
                    }
                }
                None => {
                    self.sources.insert(plan.source.name.clone());
                }
            }
            if self.sources.len() > MOST_SOURCES {
                return Err(Error::Format {
                    file: self
                        .files
                        .last()
                        .map_or_else(String::new, |file| file.name.to_string()),
                    what: format!("has more than {MOST_SOURCES} different values in `source`"),
                });
            }
        }
        let numbers = rows.customers.as_ref().filter(|_| facts.is_interactions);
        if !facts.has_identity() {
            return gathering.held.push(HeldRows::new(rows, &facts, None));
        }
        let n = rows.n;
        let kept: Vec<bool> = rows
            .ids
            .iter()
            .map(|id| gathering.ids.insert(*id))
            .collect();
        let n_kept = kept.iter().filter(|kept| **kept).count();
        gathering.passed += (n - n_kept) as u64;
        if n_kept == n {
            let numbers = numbers.map(|customers| self.customers.numbers(customers));
            return gathering.held.push(HeldRows::new(rows, &facts, numbers));
        }
        // Only customers of rows that are kept are customers of this load.
        let kept = BooleanArray::from(kept);
        let customers = numbers
            .map(|customers| arrow::compute::filter(customers, &kept))
            .transpose()
            .map_err(|error| Error::Internal {
                what: error.to_string(),
            })?;
        let numbers =
            customers.map(|customers| self.customers.numbers(customers.as_string::<i32>()));
        let mut rows = HeldRows::new(rows, &facts, None).filter(&kept)?;
        rows.set_customers(&facts, numbers);
        gathering.held.push(rows)
    }

    pub fn too_many_refused(&self, max_share: f64) -> Error {
        Error::TooManyRefused {
            refused: self.reasons.n,
            read: self.read,
            max_share,
            reasons: self.reasons.by_count(),
            first: self.reasons.first.clone(),
        }
    }
}
