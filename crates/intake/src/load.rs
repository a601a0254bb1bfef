//! One load from beginning to end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rapport_engine::Warehouse;
use rapport_lake::{Lake, Snapshot, TableName};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::check::Checker;
use crate::commit::Commit;
use crate::gather::{self, Before, Counters};
use crate::table::Facts;
use crate::{Phase, Progress, Result, Source, input, table};

#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Files, folders, globs, `-` for standard input, object-store URLs.
    pub paths: Vec<String>,
    /// The load fails if more than this share of its rows is refused: 0.05 is 5 %.
    pub max_refused_share: f64,
    /// Rows waiting to be sorted beyond this go to disk.
    pub memory_bytes: usize,
    /// Where they go, and where standard input and objects of a bucket are kept meanwhile; `None` is the operating
    /// system's temporary folder.
    pub spill_folder: Option<PathBuf>,
    /// Options for object-store URLs among the paths, as `rapport_lake::Location::parse` takes them.
    pub store_options: Vec<(String, String)>,
    /// When the rows are received.
    pub now: DateTime<Utc>,
}

impl LoadOptions {
    pub fn new(paths: Vec<String>, now: DateTime<Utc>) -> Self {
        Self {
            paths,
            max_refused_share: 0.05,
            memory_bytes: 2 << 30,
            spill_folder: None,
            store_options: vec![],
            now,
        }
    }
}

/// What a load did. Where a source makes one row of the main table out of each raw row,
/// `read = added + already_known + refused`.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub load_id: String,
    pub files: Vec<FileLoaded>,
    /// Raw rows of the files that were not loaded before.
    pub read: u64,
    /// Rows added to the source's main table.
    pub added: u64,
    /// Rows that the main table has already, or that came twice in this load.
    pub already_known: u64,
    /// Raw rows in quarantine.
    pub refused: u64,
    /// Reasons of refusal with their number, most frequent first.
    pub reasons: Vec<(String, u64)>,
    pub new_customers: u64,
    /// Version of the main table after the load.
    pub version: Option<u64>,
    pub tables: Vec<TableLoaded>,
    pub took: Duration,
}

#[derive(Clone, Debug)]
pub struct FileLoaded {
    pub file: String,
    pub bytes: u64,
    /// Loaded before with the same bytes: skipped.
    pub loaded_before: bool,
}

#[derive(Clone, Debug)]
pub struct TableLoaded {
    pub table: TableName,
    pub added: u64,
    pub already_known: u64,
}

/// Interrupted or failed, nothing of it is visible.
pub async fn load(
    warehouse: &Warehouse,
    source: &Source,
    options: LoadOptions,
    progress: &dyn Progress,
    cancel: CancellationToken,
) -> Result<Loaded> {
    let start = Instant::now();
    progress.phase(Phase::Looking);
    let files = input::find(&options).await?;
    progress.total_bytes(files.iter().map(|file| file.bytes).sum());
    let load_id = load_id(source, &options);
    let targets = Targets::open(warehouse.lake(), source).await?;
    let (_, quarantine) = table::open(warehouse.lake(), &TableName::public("quarantine")).await?;
    let main = targets.snapshots.last().expect("a source has a target");
    let checker = Checker::new(
        source,
        warehouse.bare_context(),
        targets.facts_of_targets(),
        options.now,
    );
    let plan = Arc::new(gather::Plan {
        source: source.clone(),
        files,
        table_of_target: targets.table_of_target.clone(),
        tables: targets.facts.clone(),
        marked: targets.marked(),
        main: Arc::clone(main),
        quarantine,
        load_id: load_id.clone(),
        now: options.now,
        memory_bytes: options.memory_bytes,
        spill_folder: options.spill_folder.clone(),
    });

    progress.phase(Phase::Reading);
    let counters = Arc::new(Counters::default());
    let gathered = told(
        gather::gather(plan, checker, Arc::clone(&counters), cancel.clone()),
        &counters,
        progress,
    )
    .await?;
    let share = gathered.reasons.n as f64 / (gathered.read as f64).max(1.0);
    if share > options.max_refused_share {
        return Err(gathered.too_many_refused(options.max_refused_share));
    }

    let mut loaded = Loaded {
        load_id: load_id.clone(),
        files: gathered
            .files
            .iter()
            .map(|file| FileLoaded {
                file: file.name.to_string(),
                bytes: file.bytes,
                loaded_before: file.before == Before::Loaded,
            })
            .collect(),
        read: gathered.read,
        added: 0,
        already_known: 0,
        refused: gathered.reasons.n,
        reasons: gathered.reasons.by_count(),
        new_customers: 0,
        version: Some(main.version()),
        tables: vec![],
        took: start.elapsed(),
    };
    if loaded.files.iter().all(|file| file.loaded_before) {
        return Ok(loaded);
    }
    let commit = Commit {
        lake: warehouse.lake(),
        source,
        load_id: &load_id,
        now: options.now,
        progress,
        cancel: &cancel,
    };
    let committed = commit.run(gathered).await?;
    if let Some(main) = committed.tables.last() {
        loaded.added = main.added;
        loaded.already_known = main.already_known;
    }
    loaded.new_customers = committed.new_customers;
    loaded.version = committed.version;
    loaded.tables = committed.tables;
    loaded.took = start.elapsed();
    info!(
        source = source.name,
        load_id,
        added = loaded.added,
        refused = loaded.refused,
        "loaded"
    );
    Ok(loaded)
}

/// Waits, and says ten times a second how far it is.
async fn told<T>(
    work: impl Future<Output = Result<T>>,
    counters: &Counters,
    progress: &dyn Progress,
) -> Result<T> {
    let mut work = std::pin::pin!(work);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let (mut rows, mut bytes) = (0, 0);
    let mut tell = || {
        let (all_rows, all_bytes) = (
            counters.rows.load(Ordering::Relaxed),
            counters.bytes.load(Ordering::Relaxed),
        );
        if (all_rows, all_bytes) != (rows, bytes) {
            progress.advance(all_rows - rows, all_bytes - bytes);
            (rows, bytes) = (all_rows, all_bytes);
        }
    };
    loop {
        tokio::select! {
            done = &mut work => {
                tell();
                return done;
            }
            _ = tick.tick() => tell(),
        }
    }
}

/// The tables of a source, the main one last: `interactions` if it is among them, otherwise that of the last target.
pub struct Targets {
    pub facts: Vec<Arc<Facts>>,
    pub snapshots: Vec<Arc<Snapshot>>,
    /// By target of the source.
    pub table_of_target: Vec<usize>,
}

impl Targets {
    pub async fn open(lake: &Lake, source: &Source) -> Result<Self> {
        let mut names: Vec<&TableName> = vec![];
        for target in &source.targets {
            names.retain(|name| **name != target.table);
            names.push(&target.table);
        }
        names.sort_by_key(|name| **name == TableName::public("interactions"));
        let mut snapshots = vec![];
        for name in &names {
            snapshots.push(table::open(lake, name).await?.1);
        }
        let place = |table| names.iter().position(|name| *name == table);
        let table_of_target = source
            .targets
            .iter()
            .filter_map(|target| place(&target.table));
        Ok(Self {
            facts: snapshots
                .iter()
                .map(|snapshot| Arc::new(Facts::of(snapshot)))
                .collect(),
            table_of_target: table_of_target.collect(),
            snapshots,
        })
    }

    pub fn facts_of_targets(&self) -> Vec<Arc<Facts>> {
        self.table_of_target
            .iter()
            .map(|table| Arc::clone(&self.facts[*table]))
            .collect()
    }

    /// The main table's marks decide for the whole file, so it needs no second look.
    fn marked(&self) -> Vec<Option<Arc<Snapshot>>> {
        let main = self.facts.len() - 1;
        let all = self.facts.iter().zip(&self.snapshots).enumerate();
        all.map(|(i, (facts, snapshot))| {
            (i != main && !facts.has_identity()).then(|| Arc::clone(snapshot))
        })
        .collect()
    }
}

/// Sortable by time, and unlike that of another load of the same second.
fn load_id(source: &Source, options: &LoadOptions) -> String {
    let unique = format!("{:?}{:?}{}", options.paths, options.now, std::process::id());
    let hash = twox_hash::XxHash3_128::oneshot(unique.as_bytes()) as u32;
    format!(
        "{}-{}-{hash:08x}",
        options.now.format("%Y%m%dT%H%M%SZ"),
        source.name
    )
}
