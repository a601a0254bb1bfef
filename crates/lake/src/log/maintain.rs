//! Keep a log short: a checkpoint every so many commits, and expired commits removed behind it.
//!
//! Not part of any other commit: if it fails, nothing is lost but time.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use deltalake_core::DeltaTable;
use deltalake_core::checkpoints::{cleanup_expired_logs_for, create_checkpoint};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use url::Url;

use super::replay::Listing;
use crate::{Error, Result, Table};

const COMMITS_PER_CHECKPOINT: u64 = 20;
/// How long a version can be read after it was replaced.
const KEEP_COMMITS: TimeDelta = TimeDelta::days(30);

impl Table {
    /// Write a checkpoint if there are commits enough since the last, and remove what has expired.
    pub async fn maintain(&self, now: DateTime<Utc>) -> Result<()> {
        let newest = self.newest().await?;
        let folder = self.name().folder();
        let listing = Listing::read(self.store().as_ref(), &folder, 0).await?;
        let since = listing
            .checkpoints
            .last()
            .map_or(0, |checkpoint| checkpoint + 1);
        let log = log_store(self.store(), &folder)?;
        let failed =
            |error| Error::storage(format!("maintaining the log of {}", self.name()), error);
        if newest.version() + 1 >= since + COMMITS_PER_CHECKPOINT {
            let mut table = DeltaTable::new(Arc::clone(&log));
            table.load_version(newest.version()).await.map_err(failed)?;
            create_checkpoint(&table, None).await.map_err(failed)?;
        }
        let cutoff = (now - KEEP_COMMITS).timestamp_millis();
        cleanup_expired_logs_for(newest.version(), log.as_ref(), cutoff, None)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

/// The table as delta-rs sees it, through our own store.
pub(crate) fn log_store(
    store: &Arc<dyn ObjectStore>,
    folder: &object_store::path::Path,
) -> Result<LogStoreRef> {
    let url = Url::parse(&format!("rapport://lake/{folder}/"))
        .map_err(|error| Error::storage(format!("naming {folder}"), error))?;
    let table: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(store), folder.clone()));
    let options = StorageConfig::default();
    Ok(default_logstore(table, Arc::clone(store), &url, &options))
}
