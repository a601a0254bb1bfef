//! Leases: of all the processes that share a lake, one at a time does a job.
//!
//! A lease is a folder of small files under `_rapport/leases`, and only a put that never replaces decides who has it.
//! `<token>.json` says who took it and when; the token grows by one each time. The holder puts `<token>.beat` again and
//! again, with whatever it has to say of its progress, and `<token>.done` at the end. A holder that is silent for
//! longer than it promised has lost the lease, by the store's own clock; one whose process is gone from this machine
//! has lost it at once. Who was only paused does not know that yet: what it must not do any more is kept from it by
//! [`Draft::fenced`](crate::Draft::fenced) with the token.

mod process;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error as StoreError, ObjectMeta, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::{Error, Lake, Result};
use process::Process;

pub use process::host;

/// A holder speaks so many times in the time after which its silence costs it the lease.
const BEATS: u32 = 6;

#[derive(Debug)]
pub enum Taken {
    Mine(Lease),
    Held(Holder),
}

/// Held until [`Lease::release`], and as long as it is kept up by [`Lease::beat`].
pub struct Lease {
    lake: Lake,
    name: String,
    token: i64,
    ttl: Duration,
}

/// Who has a lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Holder {
    pub who: String,
    pub host: String,
    pub pid: u32,
    /// By the holder's clock.
    pub since: DateTime<Utc>,
    /// By the store's clock.
    pub last_beat: DateTime<Utc>,
    /// What it said with its last beat; empty before the first.
    pub said: Vec<u8>,
}

/// The content of `<token>.json`.
#[derive(Serialize, Deserialize)]
struct Claim {
    /// Tells whose claim it is when the answer to the put was lost.
    id: String,
    name: String,
    who: String,
    process: Process,
    since_micros: i64,
    ttl_millis: u64,
}

/// The files of one lease.
#[derive(Default)]
struct Files(BTreeMap<(i64, String), ObjectMeta>);

impl Lake {
    /// Takes the lease, unless somebody has it. `who` is told to those who come too late. Without a beat for `ttl`, the
    /// lease is lost.
    pub async fn lease(&self, name: &str, who: &str, ttl: Duration) -> Result<Taken> {
        loop {
            let before = self.lease_files(name).await?;
            if let Some((_, holder)) = self.holder(&before).await? {
                return Ok(Taken::Held(holder));
            }
            let newest = before.newest();
            let lease = Lease {
                lake: self.clone(),
                name: name.to_owned(),
                token: newest.map_or(1, |token| token + 1),
                ttl,
            };
            if !lease.claim(who).await? {
                continue;
            }
            // Files of old tokens are removed, so that a slow claimer may have made one of them again.
            let files = self.lease_files(name).await?;
            if files.newest() > Some(lease.token) {
                self.remove(&lease.path("json")).await;
                continue;
            }
            for (_, file) in files.0.range(..(lease.token, String::new())) {
                self.remove(&file.location).await;
            }
            // Whoever had it may have been stopped in the middle of a transaction.
            self.finish_journals().await?;
            return Ok(Taken::Mine(lease));
        }
    }

    /// Those that are held now, by name.
    pub async fn leases(&self) -> Result<Vec<(String, Holder)>> {
        let root = Path::from_iter(["_rapport", "leases"]);
        let listed = self.store().list_with_delimiter(Some(&root)).await;
        let listed = listed.map_err(|error| Error::storage(format!("listing {root}"), error))?;
        let mut held = vec![];
        for folder in listed.common_prefixes {
            let files = self.files_in(&folder).await?;
            if let Some((claim, holder)) = self.holder(&files).await? {
                held.push((claim.name, holder));
            }
        }
        held.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(held)
    }

    async fn lease_files(&self, name: &str) -> Result<Files> {
        self.files_in(&folder(name)).await
    }

    async fn files_in(&self, folder: &Path) -> Result<Files> {
        let listed: Vec<ObjectMeta> = self
            .store()
            .list(Some(folder))
            .try_collect()
            .await
            .map_err(|error| Error::storage(format!("listing {folder}"), error))?;
        let files = listed.into_iter().filter_map(|file| {
            let (token, kind) = file.location.filename()?.split_once('.')?;
            Some(((token.parse().ok()?, kind.to_owned()), file))
        });
        Ok(Files(files.collect()))
    }

    /// `None` if nobody has the lease any more.
    async fn holder(&self, files: &Files) -> Result<Option<(Claim, Holder)>> {
        let Some(token) = files.newest() else {
            return Ok(None);
        };
        let (Some(file), None) = (files.get(token, "json"), files.get(token, "done")) else {
            return Ok(None);
        };
        let Some(bytes) = self.read(&file.location).await? else {
            return Ok(None);
        };
        let claim: Claim = serde_json::from_slice(&bytes).map_err(|error| Error::Corrupt {
            path: file.location.to_string(),
            what: error.to_string(),
            remedy: "Remove it when no job is running".into(),
        })?;
        if claim.process.is_gone() {
            return Ok(None);
        }
        let beat = files.get(token, "beat");
        let last_beat = beat.map_or(file.last_modified, |beat| {
            beat.last_modified.max(file.last_modified)
        });
        let silent = self.store_time().await? - last_beat;
        if silent > TimeDelta::milliseconds(claim.ttl_millis as i64) {
            return Ok(None);
        }
        let said = match beat {
            Some(beat) => self.read(&beat.location).await?.unwrap_or_default(),
            None => Bytes::new(),
        };
        let holder = Holder {
            who: claim.who.clone(),
            host: claim.process.host.clone(),
            pid: claim.process.pid,
            since: DateTime::from_timestamp_micros(claim.since_micros).unwrap_or_default(),
            last_beat,
            said: said.to_vec(),
        };
        Ok(Some((claim, holder)))
    }

    /// What the clock says by which files are dated.
    async fn store_time(&self) -> Result<DateTime<Utc>> {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let path = Path::from_iter(["_rapport", "probe", &unique]);
        let asked = async {
            self.store().put(&path, PutPayload::default()).await?;
            self.store().head(&path).await
        };
        let asked = asked.await;
        self.remove(&path).await;
        Ok(asked
            .map_err(|error| Error::storage("asking the store for its time", error))?
            .last_modified)
    }

    async fn read(&self, path: &Path) -> Result<Option<Bytes>> {
        let read = async { self.store().get(path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::storage(format!("reading {path}"), error)),
        }
    }

    async fn remove(&self, path: &Path) {
        match self.store().delete(path).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => warn!(%path, %error, "a small file stays; it does no harm"),
        }
    }
}

impl Lease {
    /// Grows each time that the lease is taken.
    pub fn token(&self) -> i64 {
        self.token
    }

    /// Says that the holder is alive, and what it does. Fails with [`Error::LeaseLost`] if somebody else has the lease.
    pub async fn beat(&self, said: &[u8]) -> Result<()> {
        let newest = self.lake.lease_files(&self.name).await?.newest();
        if newest != Some(self.token) {
            return Err(Error::LeaseLost {
                name: self.name.clone(),
            });
        }
        self.put("beat", said).await
    }

    /// Beats as often as it takes to keep the lease, with what `said` answers; ends only when the lease is lost, or when
    /// the store could not be reached for so long that it may be. To be awaited beside the work.
    pub async fn keep(&self, said: impl Fn() -> Vec<u8>) -> Error {
        let mut heard = Instant::now();
        loop {
            match self.beat(&said()).await {
                Ok(()) => heard = Instant::now(),
                Err(lost @ Error::LeaseLost { .. }) => return lost,
                Err(error) if heard.elapsed() > self.ttl => return error,
                Err(error) => warn!(lease = self.name, %error, "could not keep a lease up"),
            }
            tokio::time::sleep(self.ttl / BEATS).await;
        }
    }

    /// The next one need not wait.
    pub async fn release(self) -> Result<()> {
        self.put("done", &[]).await
    }

    /// Whether the token is ours.
    async fn claim(&self, who: &str) -> Result<bool> {
        let claim = Claim {
            id: uuid::Uuid::new_v4().to_string(),
            name: self.name.clone(),
            who: who.to_owned(),
            process: Process::this(),
            since_micros: Utc::now().timestamp_micros(),
            ttl_millis: self.ttl.as_millis() as u64,
        };
        let text = serde_json::to_string(&claim).expect("a claim has text keys only");
        let path = self.path("json");
        let options = PutOptions::from(PutMode::Create);
        let put = self
            .lake
            .store()
            .put_opts(&path, text.into(), options)
            .await;
        let Err(error) = put else {
            return Ok(true);
        };
        // Also after "exists already": a lost answer makes the client's own retry see its own claim.
        let there = self.lake.read(&path).await?;
        let is_ours = there
            .and_then(|bytes| serde_json::from_slice::<Claim>(&bytes).ok())
            .is_some_and(|there| there.id == claim.id);
        match error {
            _ if is_ours => Ok(true),
            StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => Ok(false),
            error => Err(Error::storage(format!("taking the lease {path}"), error)),
        }
    }

    async fn put(&self, kind: &str, content: &[u8]) -> Result<()> {
        let path = self.path(kind);
        let payload = PutPayload::from(content.to_vec());
        let put = self.lake.store().put(&path, payload).await;
        put.map_err(|error| Error::storage(format!("writing {path}"), error))?;
        Ok(())
    }

    fn path(&self, kind: &str) -> Path {
        folder(&self.name).join(format!("{:020}.{kind}", self.token))
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("name", &self.name)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl Files {
    fn newest(&self) -> Option<i64> {
        self.0.last_key_value().map(|((token, _), _)| *token)
    }

    fn get(&self, token: i64, kind: &str) -> Option<&ObjectMeta> {
        self.0.get(&(token, kind.to_owned()))
    }
}

fn folder(name: &str) -> Path {
    Path::from_iter(["_rapport", "leases", name])
}
