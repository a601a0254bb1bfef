//! Adding one commit to a log: exactly one writer gets a version, and ours is recognised even if the answer was lost.

use std::sync::Arc;

use chrono::Utc;
use object_store::{Error as StoreError, PutMode, PutOptions};
use serde_json::{Map, Value};

use super::action::{Add, CommitInfo, Line, Metadata, Ours, Protocol, Remove, SetTransaction};
use super::commit_path;
use super::replay::{Commit, Replay, read_commit};
use crate::{Error, Result, Snapshot, Table, TableName, Txn};

/// How often somebody else may come first before we give up; each time the change is checked anew.
pub(crate) const ATTEMPTS: usize = 100;

/// What a commit does to the newest version, decided when that is known.
#[derive(Default)]
pub(crate) struct Change {
    pub adds: Vec<Add>,
    pub removes: Vec<Remove>,
    pub metadata: Option<Metadata>,
    /// A txn that outlives truncation, unlike a header's.
    pub fence: Option<Txn>,
}

/// What a commit says about itself.
#[derive(Clone, Default)]
pub(crate) struct Header {
    pub operation: &'static str,
    pub info: Map<String, Value>,
    pub txn: Option<Txn>,
    /// Recorded beside it, and not checked.
    pub marks: Vec<Txn>,
    /// No commit after this version may have changed rows.
    pub rows_unchanged_since: Option<u64>,
}

pub(crate) struct Landed {
    pub snapshot: Arc<Snapshot>,
    /// The txn had landed before; this time nothing was committed.
    pub already: bool,
}

/// Commit what `change` makes of the newest version. It is asked again each time somebody else came first, and refuses
/// by an error if it no longer applies.
pub(crate) async fn commit(
    table: &Table,
    header: &Header,
    mut change: impl FnMut(&Snapshot) -> Result<Change>,
) -> Result<Landed> {
    // Our own writers would only beat each other to the next version.
    let _turn = table.turn().await;
    let mut newest = table.newest().await?;
    for _ in 0..ATTEMPTS {
        if has_landed(&newest, header.txn.as_ref()) {
            return Ok(Landed {
                snapshot: newest,
                already: true,
            });
        }
        check_rows_unchanged(table, &newest, header.rows_unchanged_since).await?;
        let change = change(&newest)?;
        if let Some(snapshot) = write_next(table, &newest, &[header], change).await? {
            return Ok(Landed {
                snapshot,
                already: false,
            });
        }
        newest = table.newest().await?;
    }
    Err(outrun(&newest))
}

pub(crate) fn outrun(newest: &Snapshot) -> Error {
    conflict(&newest.name, format!("{ATTEMPTS} other commits came first"))
}

/// Write the version after `newest`, in the name of one header or several. `None` if somebody else has it.
pub(crate) async fn write_next(
    table: &Table,
    newest: &Snapshot,
    headers: &[&Header],
    change: Change,
) -> Result<Option<Arc<Snapshot>>> {
    if newest.writer_version > 2 {
        return Err(Error::Unsupported {
            table: newest.name.clone(),
            what: format!("Delta writer version {}", newest.writer_version),
        });
    }
    let version = newest.version + 1;
    let timestamp = Utc::now()
        .timestamp_millis()
        .max(newest.timestamp.timestamp_millis() + 1);
    let set = |app_id: String, version| SetTransaction {
        app_id,
        version,
        last_updated: Some(timestamp),
    };
    let fence = change.fence.iter();
    let txns = headers
        .iter()
        .flat_map(|header| header.txn.iter().chain(&header.marks))
        // A change of epoch takes effect with its own commit.
        .map(|txn| set(newest.scoped(&txn.app_id), txn.version))
        .chain(fence.map(|fence| set(fence.app_id.clone(), fence.version)))
        .collect();
    let lines = lines(headers, change, txns, None, timestamp);
    if !put(table, version, &lines).await? {
        return Ok(None);
    }
    let mut replay = Replay::after(newest);
    let commit = Commit {
        lines,
        written: Utc::now(),
    };
    // It has landed: from here on nothing may turn it into a failure.
    let applied = match replay.apply_commit(version, &commit) {
        Ok(()) => replay.finish(table.store()).await,
        Err(error) => Err(error),
    };
    match applied {
        Ok(snapshot) => Ok(Some(table.remember(snapshot))),
        Err(_) => table.newest().await.map(Some),
    }
}

/// The first commit of a table that has no log. `false` if somebody else made it first.
pub(crate) async fn create(table: &Table, header: &Header, change: Change) -> Result<bool> {
    let protocol = Protocol {
        min_reader_version: 1,
        min_writer_version: 2,
    };
    let timestamp = Utc::now().timestamp_millis();
    let txns = header.txn.iter().map(|txn| SetTransaction {
        app_id: txn.app_id.clone(),
        version: txn.version,
        last_updated: Some(timestamp),
    });
    let lines = lines(&[header], change, txns.collect(), Some(protocol), timestamp);
    put(table, 0, &lines).await
}

pub(crate) fn has_landed(newest: &Snapshot, txn: Option<&Txn>) -> bool {
    txn.is_some_and(|txn| {
        newest
            .txn(&txn.app_id)
            .is_some_and(|version| version >= txn.version)
    })
}

async fn check_rows_unchanged(table: &Table, newest: &Snapshot, since: Option<u64>) -> Result<()> {
    let Some(since) = since else {
        return Ok(());
    };
    for version in since + 1..=newest.version {
        let commit = read_commit(table.store().as_ref(), &table.name().folder(), version).await?;
        if commit.is_none_or(|commit| commit.changes_rows()) {
            return Err(Error::Conflict {
                table: newest.name.clone(),
                what: format!("version {version} changed its rows after version {since} was read"),
            });
        }
    }
    Ok(())
}

fn lines(
    headers: &[&Header],
    change: Change,
    txns: Vec<SetTransaction>,
    protocol: Option<Protocol>,
    timestamp: i64,
) -> Vec<Line> {
    let Change {
        adds,
        removes,
        metadata,
        fence: _,
    } = change;
    let is_blind = |header: &&Header| header.rows_unchanged_since.is_none();
    let blind = removes.is_empty() && metadata.is_none() && headers.iter().all(is_blind);
    let mut rest = vec![];
    rest.extend(protocol.map(|protocol| Line {
        protocol: Some(protocol),
        ..Line::default()
    }));
    rest.extend(metadata.map(|metadata| Line {
        meta_data: Some(metadata),
        ..Line::default()
    }));
    rest.extend(txns.into_iter().map(|txn| Line {
        txn: Some(txn),
        ..Line::default()
    }));
    rest.extend(removes.into_iter().map(|remove| Line {
        remove: Some(remove),
        ..Line::default()
    }));
    rest.extend(adds.into_iter().map(|add| Line {
        add: Some(add),
        ..Line::default()
    }));
    let info = CommitInfo {
        timestamp: Some(timestamp),
        operation: Some(operation(headers).to_owned()),
        is_blind_append: Some(blind),
        engine_info: Some(concat!("rapport/", env!("CARGO_PKG_VERSION")).to_owned()),
        rapport: Some(Ours {
            commit: uuid::Uuid::new_v4().to_string(),
            lines: rest.len() + 1,
            info: info(headers),
        }),
        other: Map::new(),
    };
    // The protocol wants it first.
    let first = Line {
        commit_info: Some(info),
        ..Line::default()
    };
    std::iter::once(first).chain(rest).collect()
}

fn operation(headers: &[&Header]) -> &'static str {
    match headers {
        [one] => one.operation,
        [first, rest @ ..]
            if rest
                .iter()
                .all(|header| header.operation == first.operation) =>
        {
            first.operation
        }
        _ => "WRITE",
    }
}

fn info(headers: &[&Header]) -> Map<String, Value> {
    match headers {
        [one] => one.info.clone(),
        several => {
            let infos = several
                .iter()
                .map(|header| Value::from(header.info.clone()));
            Map::from_iter([("appends".to_owned(), infos.collect())])
        }
    }
}

/// Whether these lines became `version`. After an unclear answer the log itself is asked.
async fn put(table: &Table, version: u64, lines: &[Line]) -> Result<bool> {
    let folder = table.name().folder();
    let path = commit_path(&folder, version);
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line).expect("lines have text keys only"));
        text.push('\n');
    }
    let store = table.store();
    let options = PutOptions::from(PutMode::Create);
    let error = match store.put_opts(&path, text.into(), options).await {
        Ok(_) => return Ok(true),
        Err(error) => error,
    };
    // Also after "exists already": a lost answer makes the client's own retry see its own commit.
    let mark = lines[0]
        .commit_info
        .as_ref()
        .and_then(|info| info.rapport.as_ref())
        .map(|ours| ours.commit.as_str());
    let there = read_commit(store.as_ref(), &folder, version).await;
    if let Ok(Some(commit)) = &there
        && commit.mark() == mark
    {
        return Ok(true);
    }
    match error {
        StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => there.map(|_| false),
        error => {
            // A file without a name may be left in a local folder; it is removed when the lake is opened next.
            Err(Error::storage(format!("committing {path}"), error))
        }
    }
}

pub(crate) fn conflict(table: &TableName, what: impl Into<String>) -> Error {
    Error::Conflict {
        table: table.clone(),
        what: what.into(),
    }
}
