//! From the files of a log to a snapshot: the newest usable checkpoint, then every commit after it.
//!
//! A commit that is empty, cut off or missing is an error that says what to do: neither the version before it nor one
//! after it may be taken for the truth.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

use super::action::{Add, Line, Metadata};
use super::{checkpoint_version, commit_path, commit_version, folder};
use crate::data_file::RawStats;
use crate::stored_file::StoredFile;
use crate::{BoxError, DataFile, Definition, Error, Layout, Result, Snapshot, TableName, layout};

const PARALLEL_READS: usize = 16;

/// One commit as read from the store.
pub(crate) struct Commit {
    pub lines: Vec<Line>,
    /// When its file was written, by the store's clock.
    pub written: DateTime<Utc>,
}

impl Commit {
    /// When it was made, by the clock of whoever made it.
    pub(crate) fn timestamp(&self) -> DateTime<Utc> {
        let info = self.lines.iter().find_map(|line| line.commit_info.as_ref());
        info.and_then(|info| DateTime::from_timestamp_millis(info.timestamp?))
            .unwrap_or(self.written)
    }

    /// The mark by which one of us recognises its own commit.
    pub(crate) fn mark(&self) -> Option<&str> {
        let info = self
            .lines
            .iter()
            .find_map(|line| line.commit_info.as_ref())?;
        Some(&info.rapport.as_ref()?.commit)
    }

    /// Whether it added, changed or removed rows; a compaction doesn't.
    pub(crate) fn changes_rows(&self) -> bool {
        let adds = |line: &Line| line.add.as_ref().is_some_and(|add| add.data_change);
        let removes = |line: &Line| {
            line.remove
                .as_ref()
                .is_some_and(|remove| remove.data_change)
        };
        self.lines.iter().any(|line| adds(line) || removes(line))
    }
}

/// `None` if there is no such commit.
pub(crate) async fn read_commit(
    store: &dyn ObjectStore,
    table: &Path,
    version: u64,
) -> Result<Option<Commit>> {
    let path = commit_path(table, version);
    let result = match store.get(&path).await {
        Ok(result) => result,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(Error::storage(format!("reading {path}"), error)),
    };
    let written = result.meta.last_modified;
    let bytes = result
        .bytes()
        .await
        .map_err(|error| Error::storage(format!("reading {path}"), error))?;
    let lines = parse_commit(&path, &bytes)?;
    Ok(Some(Commit { lines, written }))
}

fn parse_commit(path: &Path, bytes: &Bytes) -> Result<Vec<Line>> {
    let torn = |what: String| {
        Error::Corrupt {
        path: path.to_string(),
        what,
        remedy: "It was torn by a crash or a full disk before it was whole, so nobody was told that it was done: if it is \
                 the last one of its folder, move it away and repeat the load or statement that was interrupted; \
                 otherwise restore it from a backup"
            .into(),
    }
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(torn("the commit is empty".into()));
    }
    let lines = serde_json::Deserializer::from_slice(bytes)
        .into_iter::<Line>()
        .enumerate()
        .map(|(at, line)| {
            line.map_err(|error| torn(format!("line {} is not whole ({error})", at + 1)))
        })
        .collect::<Result<Vec<_>>>()?;
    let info = lines.iter().find_map(|line| line.commit_info.as_ref());
    if let Some(ours) = info.and_then(|info| info.rapport.as_ref())
        && ours.lines != lines.len()
    {
        return Err(torn(format!(
            "it has {} of its {} lines",
            lines.len(),
            ours.lines
        )));
    }
    Ok(lines)
}

/// What a log's folder holds, by name.
pub(crate) struct Listing {
    /// Ascending.
    pub commits: Vec<u64>,
    /// Ascending.
    pub checkpoints: Vec<u64>,
}

impl Listing {
    /// `from` leaves out what is older, where the store can.
    pub(crate) async fn read(store: &dyn ObjectStore, table: &Path, from: u64) -> Result<Self> {
        let folder = folder(table);
        let offset = folder.clone().join(format!("{from:020}"));
        let names: Vec<Path> = store
            .list_with_offset(Some(&folder), &offset)
            .map_ok(|meta| meta.location)
            .try_collect()
            .await
            .map_err(|error| Error::storage(format!("listing {folder}"), error))?;
        let sorted = |version: fn(&Path) -> Option<u64>| {
            let mut versions: Vec<u64> = names.iter().filter_map(version).collect();
            versions.sort_unstable();
            versions
        };
        Ok(Self {
            commits: sorted(commit_version),
            checkpoints: sorted(checkpoint_version),
        })
    }

    pub(crate) fn newest(&self) -> Option<u64> {
        self.commits.last().max(self.checkpoints.last()).copied()
    }

    /// The oldest version that can be put together from what is there.
    pub(crate) fn oldest(&self) -> Option<u64> {
        match (self.commits.first(), self.checkpoints.first()) {
            (Some(0), _) => Some(0),
            (_, checkpoint) => checkpoint.copied(),
        }
    }
}

/// The newest snapshot, or the one `at` a version. `None` if there is no log at all.
pub(crate) async fn load(
    store: &Arc<dyn ObjectStore>,
    name: &TableName,
    at: Option<u64>,
) -> Result<Option<Snapshot>> {
    let table = name.folder();
    let hint = last_checkpoint_hint(store.as_ref(), &table).await;
    let from = hint
        .filter(|hint| at.is_none_or(|at| *hint <= at))
        .unwrap_or(0);
    let mut listing = Listing::read(store.as_ref(), &table, from).await?;
    if from > 0 && !listing.checkpoints.contains(&from) {
        // The hint is wrong, which is allowed.
        listing = Listing::read(store.as_ref(), &table, 0).await?;
    }
    let Some(newest) = listing.newest() else {
        return Ok(None);
    };
    let target = at.unwrap_or(newest);
    if target > newest {
        let oldest = Listing::read(store.as_ref(), &table, 0).await?.oldest();
        return Err(Error::NoSuchVersion {
            table: name.clone(),
            version: target,
            oldest: oldest.unwrap_or(newest),
            newest,
        });
    }
    match replay(store, name, &listing, target).await {
        // The checkpoint may be damaged, though older ones and the commits say the same; or log clean-up may just have
        // replaced by a checkpoint what was listed a moment ago.
        Err(Error::Corrupt { path, what, .. }) => {
            tracing::warn!(path, what, "reading a log again from its beginning");
            let listing = Listing::read(store.as_ref(), &table, 0).await?;
            replay(store, name, &listing, target).await.map(Some)
        }
        other => other.map(Some),
    }
}

async fn replay(
    store: &Arc<dyn ObjectStore>,
    name: &TableName,
    listing: &Listing,
    target: u64,
) -> Result<Snapshot> {
    let table = name.folder();
    let mut failure = None;
    let usable = |start: u64| {
        (start..=target).all(|version| listing.commits.binary_search(&version).is_ok())
    };
    for &checkpoint in listing
        .checkpoints
        .iter()
        .rev()
        .filter(|version| **version <= target)
    {
        if !usable(checkpoint + 1) {
            continue;
        }
        match read_checkpoint(store.as_ref(), &table, checkpoint).await {
            Ok(lines) => {
                let mut replay = Replay::new(name);
                replay.apply(checkpoint, &lines)?;
                return replay.finish_at(store, checkpoint + 1, target).await;
            }
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    if usable(0) {
        if let Some(error) = failure {
            tracing::warn!(%error, "a checkpoint can't be read, replaying all commits");
        }
        return Replay::new(name).finish_at(store, 0, target).await;
    }
    if let Some(error) = failure {
        return Err(error);
    }
    let oldest = listing.oldest();
    if oldest.is_some_and(|oldest| target < oldest) {
        return Err(Error::NoSuchVersion {
            table: name.clone(),
            version: target,
            oldest: oldest.unwrap_or(target),
            newest: listing.newest().unwrap_or(target),
        });
    }
    let start = listing
        .checkpoints
        .iter()
        .rev()
        .find(|version| **version <= target)
        .map_or(0, |version| version + 1);
    let missing = (start..=target)
        .find(|version| listing.commits.binary_search(version).is_err())
        .unwrap_or(start);
    Err(Error::Corrupt {
        path: commit_path(&table, missing).to_string(),
        what: format!("the commit is missing, though version {target} exists"),
        remedy: "Restore it from a backup of the folder; until then the table can't be read".into(),
    })
}

/// A version put together from commits alone, without any checkpoint; `None` if they are no longer all there.
pub(crate) async fn from_commits(
    store: &Arc<dyn ObjectStore>,
    name: &TableName,
    version: u64,
    listing: &Listing,
) -> Result<Option<Snapshot>> {
    if listing.commits.first() != Some(&0) {
        return Ok(None);
    }
    Replay::new(name)
        .finish_at(store, 0, version)
        .await
        .map(Some)
}

async fn last_checkpoint_hint(store: &dyn ObjectStore, table: &Path) -> Option<u64> {
    #[derive(Deserialize)]
    struct Hint {
        version: u64,
    }
    // It is a hint: whatever is wrong with it, the listing knows better.
    let result = store
        .get(&folder(table).join("_last_checkpoint"))
        .await
        .ok()?;
    let hint: Hint = serde_json::from_slice(&result.bytes().await.ok()?).ok()?;
    Some(hint.version)
}

pub(crate) async fn read_checkpoint(
    store: &dyn ObjectStore,
    table: &Path,
    version: u64,
) -> Result<Vec<Line>> {
    let path = folder(table).join(format!("{version:020}.checkpoint.parquet"));
    let bytes = async { store.get(&path).await?.bytes().await }
        .await
        .map_err(|error| Error::storage(format!("reading {path}"), error))?;
    let parsed = tokio::task::spawn_blocking(move || parse_checkpoint(bytes))
        .await
        .unwrap_or_else(|panic| Err(panic.into()));
    parsed.map_err(|error| Error::Corrupt {
        path: path.to_string(),
        what: format!("the checkpoint can't be read ({error})"),
        remedy:
            "Move it away if the commits before it are still there, or restore it from a backup"
                .into(),
    })
}

fn parse_checkpoint(bytes: Bytes) -> Result<Vec<Line>, BoxError> {
    const COLUMNS: [&str; 11] = [
        "add.path",
        "add.partitionValues",
        "add.size",
        "add.modificationTime",
        "add.dataChange",
        "add.stats",
        "add.tags",
        "add.deletionVector",
        "txn",
        "metaData",
        "protocol",
    ];
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let columns = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let mut json = vec![];
    let mut writer = LineDelimitedWriter::new(&mut json);
    for batch in builder.with_projection(columns).build()? {
        writer.write(&batch?)?;
    }
    writer.finish()?;
    serde_json::Deserializer::from_slice(&json)
        .into_iter::<Line>()
        .map(|line| Ok(line?))
        .collect()
}

/// A snapshot in the making.
pub(crate) struct Replay {
    name: TableName,
    folder: Path,
    version: u64,
    timestamp: DateTime<Utc>,
    operation: Option<String>,
    writer_version: i32,
    metadata: Option<Arc<Metadata>>,
    described: Option<(Arc<Definition>, Arc<Layout>)>,
    files: Vec<Option<Entry>>,
    at_path: HashMap<String, usize>,
    txns: Arc<HashMap<String, i64>>,
}

enum Entry {
    Known(DataFile),
    New(Box<Add>),
}

impl Replay {
    fn new(name: &TableName) -> Self {
        Self {
            name: name.clone(),
            folder: name.folder(),
            version: 0,
            timestamp: DateTime::default(),
            operation: None,
            writer_version: 2,
            metadata: None,
            described: None,
            files: vec![],
            at_path: HashMap::new(),
            txns: Arc::default(),
        }
    }

    pub(crate) fn after(snapshot: &Snapshot) -> Self {
        let path = |file: &DataFile| file.path.clone();
        let at_path = snapshot.files.iter().map(path).zip(0..).collect();
        Self {
            name: snapshot.name.clone(),
            folder: snapshot.name.folder(),
            version: snapshot.version,
            timestamp: snapshot.timestamp,
            operation: snapshot.operation.clone(),
            writer_version: snapshot.writer_version,
            metadata: Some(Arc::clone(&snapshot.metadata)),
            described: Some((
                Arc::clone(&snapshot.definition),
                Arc::clone(&snapshot.layout),
            )),
            files: snapshot
                .files
                .iter()
                .cloned()
                .map(Entry::Known)
                .map(Some)
                .collect(),
            at_path,
            txns: Arc::clone(&snapshot.txns),
        }
    }

    pub(crate) fn apply(&mut self, version: u64, lines: &[Line]) -> Result<()> {
        self.version = version;
        for line in lines {
            if let Some(protocol) = &line.protocol {
                if protocol.min_reader_version > 1 {
                    return Err(self.unsupported(format!(
                        "Delta reader version {}",
                        protocol.min_reader_version
                    )));
                }
                self.writer_version = protocol.min_writer_version;
            }
            if let Some(metadata) = &line.meta_data {
                self.metadata = Some(Arc::new(metadata.clone()));
                self.described = None;
            }
            if let Some(remove) = &line.remove {
                let path = self.full_path(&remove.path)?;
                if let Some(at) = self.at_path.remove(&path) {
                    self.files[at] = None;
                }
            }
            if let Some(add) = &line.add {
                if add
                    .deletion_vector
                    .as_ref()
                    .is_some_and(|vector| !vector.is_null())
                {
                    return Err(self.unsupported("deletion vectors".into()));
                }
                let path = self.full_path(&add.path)?;
                let old = self.at_path.insert(path, self.files.len());
                if let Some(at) = old {
                    self.files[at] = None;
                }
                self.files.push(Some(Entry::New(Box::new(add.clone()))));
            }
            if let Some(txn) = &line.txn {
                Arc::make_mut(&mut self.txns).insert(txn.app_id.clone(), txn.version);
            }
            if let Some(info) = &line.commit_info {
                self.operation.clone_from(&info.operation);
            }
        }
        Ok(())
    }

    pub(crate) fn apply_commit(&mut self, version: u64, commit: &Commit) -> Result<()> {
        self.apply(version, &commit.lines)?;
        self.timestamp = commit.timestamp();
        Ok(())
    }

    async fn finish_at(
        mut self,
        store: &Arc<dyn ObjectStore>,
        from: u64,
        target: u64,
    ) -> Result<Snapshot> {
        let mut commits = stream::iter(from..=target)
            .map(|version| {
                let folder = self.folder.clone();
                async move {
                    let commit = read_commit(store.as_ref(), &folder, version).await?;
                    Ok::<_, Error>((version, commit))
                }
            })
            .buffered(PARALLEL_READS);
        let mut read = vec![];
        while let Some((version, commit)) = commits.try_next().await? {
            match commit {
                Some(commit) => read.push((version, commit)),
                // Listed a moment ago: log clean-up removes only what a newer checkpoint covers.
                None => {
                    return Err(Error::Corrupt {
                        path: commit_path(&self.folder, version).to_string(),
                        what: "the commit vanished while it was read".into(),
                        remedy: "Try again; if it stays away, restore it from a backup".into(),
                    });
                }
            }
        }
        drop(commits);
        for (version, commit) in &read {
            self.apply_commit(*version, commit)?;
        }
        if read.is_empty() {
            // Only a checkpoint is left of this version; its own commit, if it is still there, has the time.
            if let Some(commit) = read_commit(store.as_ref(), &self.folder, target).await? {
                self.timestamp = commit.timestamp();
                let info = commit
                    .lines
                    .iter()
                    .find_map(|line| line.commit_info.as_ref());
                self.operation = info.and_then(|info| info.operation.clone());
            }
        }
        self.finish(store).await
    }

    pub(crate) async fn finish(self, store: &Arc<dyn ObjectStore>) -> Result<Snapshot> {
        let Some(metadata) = &self.metadata else {
            return Err(Error::Corrupt {
                path: folder(&self.folder).to_string(),
                what: "no commit says what the table's columns are".into(),
                remedy: "Restore the folder from a backup".into(),
            });
        };
        let (definition, layout) = match &self.described {
            Some((definition, layout)) => (Arc::clone(definition), Arc::clone(layout)),
            None => {
                let definition = Definition::read_from(metadata, &self.name)?;
                let layout = layout::of(&self.name, &definition.schema);
                (Arc::new(definition), Arc::new(layout))
            }
        };
        let mut files = Vec::with_capacity(self.at_path.len());
        for entry in self.files.iter().flatten() {
            files.push(match entry {
                Entry::Known(file) => file.clone(),
                Entry::New(add) => {
                    let path = self.full_path(&add.path)?;
                    let rows = match RawStats::parse(add.stats.as_deref()).num_records {
                        Some(rows) => rows,
                        None => {
                            // Another program's file may come without a row count; its footer has one.
                            let size = u64::try_from(add.size).unwrap_or(0);
                            let rows = StoredFile::new(store, &path, size).rows().await;
                            rows.map_err(|error| {
                                Error::storage(format!("reading the footer of {path}"), error)
                            })?
                        }
                    };
                    DataFile::new(path, add, rows, &definition.schema)
                }
            });
        }
        Ok(Snapshot {
            name: self.name,
            version: self.version,
            timestamp: self.timestamp,
            operation: self.operation,
            writer_version: self.writer_version,
            metadata: Arc::clone(metadata),
            definition,
            layout,
            files,
            txns: self.txns,
        })
    }

    fn full_path(&self, path: &str) -> Result<String> {
        let relative = match Path::from_url_path(path) {
            Ok(relative) if !path.contains("://") && !path.starts_with('/') => relative,
            _ => return Err(self.unsupported(format!("data files elsewhere ({path})"))),
        };
        Ok(format!("{}/{relative}", self.folder))
    }

    fn unsupported(&self, what: String) -> Error {
        Error::Unsupported {
            table: self.name.clone(),
            what,
        }
    }
}
