//! Prove that a lake is whole, or say what is not and what to do.

use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt};

use crate::log::replay::{self, Listing, read_checkpoint, read_commit};
use crate::log::{commit_path, folder};
use crate::stored_file::StoredFile;
use crate::{DataFile, Error, Lake, Result, Snapshot, Table, TableName};

const PARALLEL_FILES: usize = 4;
const CHUNK: u64 = 8 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub table: Option<TableName>,
    /// Relative to the lake's root.
    pub path: String,
    pub what: String,
    pub remedy: String,
}

/// After each file: how far the check of its table is.
#[derive(Clone, Debug)]
pub struct CheckProgress {
    pub table: TableName,
    pub files_done: usize,
    pub files: usize,
    pub bytes_done: u64,
    pub bytes: u64,
}

/// Read every commit and every live file of every table. Findings are what is wrong; an error means that the check
/// itself could not go on.
pub async fn check(lake: &Lake, progress: &(dyn Fn(CheckProgress) + Sync)) -> Result<Vec<Finding>> {
    match lake.exists().await {
        Ok(true) => {}
        Ok(false) => return Err(Error::NotALake(lake.location().display())),
        Err(error) => return Ok(vec![finding(None, error)?]),
    }
    let mut findings = vec![];
    let mut names = lake.logs().await?;
    names.sort_unstable();
    for name in names {
        // A handle of its own: what others have in memory is not what is being checked.
        let table = Table::new(name, lake.store());
        check_log(&table, &mut findings).await?;
        match table.newest().await {
            Ok(snapshot) => check_files(&table, &snapshot, progress, &mut findings).await?,
            Err(Error::NoSuchTable(_)) => {}
            Err(error) => {
                let found = finding(Some(table.name()), error)?;
                if !findings
                    .iter()
                    .any(|finding: &Finding| finding.path == found.path)
                {
                    findings.push(found);
                }
            }
        }
    }
    Ok(findings)
}

fn finding(table: Option<&TableName>, error: Error) -> Result<Finding> {
    match error {
        Error::Corrupt { path, what, remedy } => Ok(Finding {
            table: table.cloned(),
            path,
            what,
            remedy,
        }),
        Error::Unsupported { ref table, .. } | Error::WrongSchema { ref table, .. } => {
            Ok(Finding {
                table: Some(table.clone()),
                path: folder(&table.folder()).to_string(),
                what: error.to_string(),
                remedy: "Use this table only with programs that read it, or copy it".into(),
            })
        }
        Error::NewerFormat { .. } => Ok(Finding {
            table: None,
            path: "_rapport/format.json".into(),
            what: error.to_string(),
            remedy: "Use a newer rapport".into(),
        }),
        other => Err(other),
    }
}

/// Every commit and checkpoint there is: whole, and none missing in between.
async fn check_log(table: &Table, findings: &mut Vec<Finding>) -> Result<()> {
    let store = table.store();
    let place = table.name().folder();
    let listing = Listing::read(store.as_ref(), &place, 0).await?;
    let (Some(&first), Some(&last)) = (listing.commits.first(), listing.commits.last()) else {
        return Ok(());
    };
    for version in first..=last {
        match read_commit(store.as_ref(), &place, version).await {
            Ok(Some(_)) => {}
            Ok(None) => findings.push(Finding {
                table: Some(table.name().clone()),
                path: commit_path(&place, version).to_string(),
                what: format!("the commit is missing, though version {last} exists"),
                remedy: "Restore it from a backup; versions that a later checkpoint covers can still be read".into(),
            }),
            Err(error) => findings.push(finding(Some(table.name()), error)?),
        }
    }
    for &version in &listing.checkpoints {
        match read_checkpoint(store.as_ref(), &place, version).await {
            Ok(_) => {}
            Err(error) => findings.push(finding(Some(table.name()), error)?),
        }
    }
    check_last_checkpoint(table, &listing, findings).await
}

/// What the newest checkpoint says, and what the commits before it say, must be the same.
async fn check_last_checkpoint(
    table: &Table,
    listing: &Listing,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let Some(&version) = listing.checkpoints.last() else {
        return Ok(());
    };
    let replayed = replay::from_commits(table.store(), table.name(), version, listing).await;
    let (Ok(Some(replayed)), Ok(Some(loaded))) = (
        replayed,
        replay::load(table.store(), table.name(), Some(version)).await,
    ) else {
        // Commits from before it are gone, or what is wrong with them was found already.
        return Ok(());
    };
    let paths = |snapshot: &Snapshot| {
        let mut paths: Vec<_> = snapshot
            .files()
            .iter()
            .map(|file| file.path.clone())
            .collect();
        paths.sort_unstable();
        paths
    };
    if paths(&replayed) != paths(&loaded) || replayed.txns != loaded.txns {
        let path = folder(&table.name().folder()).join(format!("{version:020}.checkpoint.parquet"));
        findings.push(Finding {
            table: Some(table.name().clone()),
            path: path.to_string(),
            what: "the checkpoint and the commits it stands for disagree".into(),
            remedy: "Move the checkpoint away: the commits are the truth and are still there"
                .into(),
        });
    }
    Ok(())
}

async fn check_files(
    table: &Table,
    snapshot: &Snapshot,
    progress: &(dyn Fn(CheckProgress) + Sync),
    findings: &mut Vec<Finding>,
) -> Result<()> {
    // Owned, or the compiler does not see that the check may be sent to another thread.
    let mut checked = stream::iter(snapshot.files().to_vec())
        .map(|file| async move {
            let outcome = check_file(table, &file).await;
            (file, outcome)
        })
        .buffer_unordered(PARALLEL_FILES);
    let (mut files_done, mut bytes_done) = (0, 0);
    while let Some((file, outcome)) = checked.next().await {
        files_done += 1;
        bytes_done += file.size;
        if let Some(what) = outcome? {
            findings.push(Finding {
                table: Some(table.name().clone()),
                path: file.path.clone(),
                what,
                remedy: remedy(&file),
            });
        }
        progress(CheckProgress {
            table: table.name().clone(),
            files_done,
            files: snapshot.files().len(),
            bytes_done,
            bytes: snapshot.bytes(),
        });
    }
    Ok(())
}

fn remedy(file: &DataFile) -> String {
    let sources = file
        .tags
        .get("rapport.sources")
        .map_or(String::new(), |sources| {
            format!(" (its rows came from {sources})")
        });
    format!(
        "Restore this file from a backup or another copy of the bucket{sources}; its {} rows can't be relied on until then",
        file.rows
    )
}

/// What is wrong with a file, if anything.
async fn check_file(table: &Table, file: &DataFile) -> Result<Option<String>> {
    let store = table.store();
    let path = Path::from(file.path.as_str());
    let failed = |error| Error::storage(format!("reading {path}"), error);
    let size = match store.head(&path).await {
        Ok(meta) => meta.size,
        Err(StoreError::NotFound { .. }) => return Ok(Some("the file is missing".into())),
        Err(error) => return Err(failed(error)),
    };
    if size != file.size {
        return Ok(Some(format!(
            "the file has {size} bytes, the log says {}",
            file.size
        )));
    }
    if let Some(expected) = file.crc32c {
        let mut crc = 0;
        for from in (0..size).step_by(CHUNK as usize) {
            let to = (from + CHUNK).min(size);
            let bytes = store.get_range(&path, from..to).await.map_err(failed)?;
            crc = crc32c::crc32c_append(crc, &bytes);
        }
        if crc != expected {
            return Ok(Some(format!(
                "its checksum is {crc:08x}, the log says {expected:08x}"
            )));
        }
    }
    match StoredFile::new(store, &file.path, size).rows().await {
        Ok(rows) if rows == file.rows => Ok(None),
        Ok(rows) => Ok(Some(format!(
            "it holds {rows} rows, the log says {}",
            file.rows
        ))),
        Err(error) => Ok(Some(format!("its footer can't be read ({error})"))),
    }
}
