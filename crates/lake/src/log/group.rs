//! Appends that wait for each other become one commit.
//!
//! Whoever gets the table's turn takes along all who are waiting for it; they find their answer when the turn comes to
//! them.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::commit::{ATTEMPTS, Change, Header, has_landed, outrun, write_next};
use crate::append::check_same_table;
use crate::rows::{Written, discard};
use crate::{Appended, Error, Result, Snapshot, Table};

/// An append whose files are in the store.
pub(crate) struct Pending {
    base: Arc<Snapshot>,
    header: Header,
    written: Written,
    answer: oneshot::Sender<Result<Appended>>,
}

/// Rows that may land at any version: `header` must not ask for a base.
pub(crate) async fn append(
    table: &Table,
    base: Arc<Snapshot>,
    header: Header,
    written: Written,
) -> Result<Appended> {
    let (answer, mut result) = oneshot::channel();
    table.wait_with(Pending {
        base,
        header,
        written,
        answer,
    });
    let turn = table.turn().await;
    if let Ok(done) = result.try_recv() {
        return done;
    }
    let group = table.take_waiting();
    let committer = table.clone();
    // A task of its own: who gives up its own append must not break off the others'.
    tokio::spawn(async move {
        let _turn = turn;
        commit_all(&committer, group).await;
    });
    result.await.unwrap_or_else(|_| {
        Err(Error::Storage {
            doing: format!("committing to {}", table.name()),
            source: "the committer stopped".into(),
        })
    })
}

async fn commit_all(table: &Table, mut group: Vec<Pending>) {
    for _ in 0..ATTEMPTS {
        let newest = match table.newest().await {
            Ok(newest) => newest,
            Err(error) => return fail(group, &error),
        };
        let (ready, later) = sort_out(table, &newest, group).await;
        if ready.is_empty() {
            return;
        }
        let change = Change {
            adds: ready
                .iter()
                .flat_map(|one| one.written.adds.clone())
                .collect(),
            ..Change::default()
        };
        let headers: Vec<&Header> = ready.iter().map(|one| &one.header).collect();
        match write_next(table, &newest, &headers, change).await {
            Ok(Some(snapshot)) => {
                for one in ready {
                    let appended = one.written.landed_at(snapshot.version());
                    // Who no longer waits for the answer does not need it.
                    let _ = one.answer.send(Ok(appended));
                }
                group = later;
            }
            Ok(None) => group = ready.into_iter().chain(later).collect(),
            Err(error) => {
                // Without a clear answer the commit may still land, so the files stay.
                if matches!(error, Error::StorageFull { .. }) {
                    discard_all(table, &ready).await;
                }
                fail(ready.into_iter().chain(later).collect(), &error);
                return;
            }
        }
        if group.is_empty() {
            return;
        }
    }
    if let Ok(newest) = table.newest().await {
        discard_all(table, &group).await;
        fail(group, &outrun(&newest));
    }
}

/// Answer those that have nothing to commit. The second list waits for the first, because it has the same txns.
async fn sort_out(
    table: &Table,
    newest: &Snapshot,
    group: Vec<Pending>,
) -> (Vec<Pending>, Vec<Pending>) {
    let (mut ready, mut later) = (vec![], vec![]);
    let mut app_ids = HashSet::new();
    for one in group {
        let refused = if has_landed(newest, one.header.txn.as_ref()) {
            Some(Ok(Appended::nothing(newest.version, true)))
        } else if one.answer.is_closed() {
            Some(Err(Error::Rows("the append was given up".into())))
        } else {
            check_same_table(&one.base, newest).err().map(Err)
        };
        if let Some(answer) = refused {
            discard(table.store(), table.name(), &one.written.adds).await;
            let _ = one.answer.send(answer);
            continue;
        }
        let app_id = one.header.txn.as_ref().map(|txn| txn.app_id.clone());
        if app_id.is_some_and(|app_id| !app_ids.insert(app_id)) {
            later.push(one);
        } else {
            ready.push(one);
        }
    }
    (ready, later)
}

async fn discard_all(table: &Table, group: &[Pending]) {
    for one in group {
        discard(table.store(), table.name(), &one.written.adds).await;
    }
}

fn fail(group: Vec<Pending>, error: &Error) {
    for one in group {
        let _ = one.answer.send(Err(error.shared()));
    }
}
