//! Remove files that no readable version needs.
//!
//! A file may go when no commit younger than `keep` knew it as live and it was itself written before that: then no
//! version so young needs it, and no load that is still running owns it.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use crate::log::replay::read_commit;
use crate::{Error, Result, Snapshot, Table};

/// A reader may hold a snapshot, or a load take, this long.
const FLOOR_DAYS: u64 = 7;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    pub files: usize,
    pub bytes: u64,
}

impl Table {
    /// Less than seven days to `keep` is refused unless `below_floor` says that it is meant.
    pub async fn vacuum(
        &self,
        keep: Duration,
        now: DateTime<Utc>,
        below_floor: bool,
    ) -> Result<Vacuumed> {
        const DAY: u64 = 24 * 60 * 60;
        if keep < Duration::from_secs(FLOOR_DAYS * DAY) && !below_floor {
            return Err(Error::VacuumFloor {
                asked_days: keep.as_secs() / DAY,
                floor_days: FLOOR_DAYS,
            });
        }
        let cutoff = now - keep;
        // Listed first: what is written after this is not looked at.
        let candidates = self.data_files().await?;
        let newest = self.newest().await?;
        let needed = self.needed_since(&newest, cutoff).await?;
        let (mut paths, mut bytes) = (vec![], 0);
        for file in candidates {
            if file.last_modified < cutoff && !needed.contains(file.location.as_ref()) {
                bytes += file.size;
                paths.push(file);
            }
        }
        let files = paths.len();
        self.remove_files(paths).await?;
        Ok(Vacuumed { files, bytes })
    }

    /// All that is live now or was live at `cutoff` or later.
    async fn needed_since(
        &self,
        newest: &Snapshot,
        cutoff: DateTime<Utc>,
    ) -> Result<HashSet<String>> {
        let folder = self.name().folder();
        let mut needed: HashSet<String> =
            newest.files.iter().map(|file| file.path.clone()).collect();
        let mut version = newest.version;
        while let Some(commit) = read_commit(self.store().as_ref(), &folder, version).await? {
            if commit.timestamp() < cutoff {
                // What this version and older ones removed was already gone at `cutoff`.
                break;
            }
            for remove in commit.lines.iter().filter_map(|line| line.remove.as_ref()) {
                if let Ok(path) = Path::from_url_path(&remove.path) {
                    needed.insert(format!("{folder}/{path}"));
                }
            }
            let Some(before) = version.checked_sub(1) else {
                break;
            };
            version = before;
        }
        Ok(needed)
    }

    /// Every data file under the table, live or not.
    pub(crate) async fn data_files(&self) -> Result<Vec<object_store::ObjectMeta>> {
        let folder = self.name().folder();
        let log = format!("{folder}/_delta_log/");
        let listed = self.store().list(Some(&folder));
        listed
            .try_filter(|meta| {
                let path = meta.location.as_ref();
                let is_data = path.ends_with(".parquet") && !path.starts_with(&log);
                std::future::ready(is_data)
            })
            .try_collect()
            .await
            .map_err(|error| Error::storage(format!("listing {folder}"), error))
    }

    pub(crate) async fn remove_files(&self, files: Vec<object_store::ObjectMeta>) -> Result<()> {
        let paths = files.into_iter().map(|file| Ok(file.location));
        let mut removed = self
            .store()
            .delete_stream(stream::iter(paths.collect::<Vec<_>>()).boxed());
        while let Some(outcome) = removed.next().await {
            match outcome {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    return Err(Error::storage(
                        format!("removing files of {}", self.name()),
                        error,
                    ));
                }
            }
        }
        Ok(())
    }
}
