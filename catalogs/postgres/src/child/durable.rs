//! Makes what PostgreSQL wrote survive a power cut.
//!
//! Inside its sandbox `fsync` is off, and would reach the host's kernel as nothing to do if it were on. So after each
//! transaction that wrote, and before its client is told, the files written since the last time are synced from
//! outside: the write-ahead log first, the control file last. What is left is a power cut in the milliseconds between
//! a checkpoint and this; the mirror is rebuilt from the lake then.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Failure;

/// Times of files may lag behind the clock by the kernel's tick.
const SLACK: Duration = Duration::from_millis(100);

const SYNCED_AT_ONCE: usize = 8;

pub(super) struct Durable {
    root: PathBuf,
    synced_at: SystemTime,
}

impl Durable {
    /// Everything that is there now is taken as not yet synced.
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            synced_at: SystemTime::UNIX_EPOCH,
        }
    }

    pub(super) fn sync(&mut self) -> Result<(), Failure> {
        let started = SystemTime::now() - SLACK;
        let mut written = Vec::new();
        collect(&self.root, self.synced_at, &mut written)?;
        for stage in 0..3 {
            sync_all(written.iter().filter(|path| order(path) == stage).collect())?;
        }
        self.synced_at = started;
        Ok(())
    }
}

/// Several at once, so that they share the disk's turns.
fn sync_all(paths: Vec<&PathBuf>) -> Result<(), Failure> {
    let share = paths.len().div_ceil(SYNCED_AT_ONCE).max(1);
    std::thread::scope(|scope| {
        let shares: Vec<_> = paths
            .chunks(share)
            .map(|share| scope.spawn(|| share.iter().try_for_each(|path| sync(path))))
            .collect();
        shares
            .into_iter()
            .try_for_each(|share| share.join().expect("a sync does not panic"))
    })
}

fn sync(path: &Path) -> Result<(), Failure> {
    match File::open(path).and_then(|file| file.sync_all()) {
        // PostgreSQL has removed it since.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("sync {}: {error}", path.display()).into()),
        Ok(()) => Ok(()),
    }
}

/// The log, then data and folders, then the file that says where recovery starts.
fn order(path: &Path) -> u8 {
    if path.ends_with("global/pg_control") {
        2
    } else {
        u8::from(!path.components().any(|part| part.as_os_str() == "pg_wal"))
    }
}

fn collect(dir: &Path, since: SystemTime, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // PostgreSQL's temporary files come and go.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let path = entry.path();
        if metadata.modified()? >= since && (metadata.is_file() || metadata.is_dir()) {
            found.push(path.clone());
        }
        if metadata.is_dir() {
            collect(&path, since, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_synced_first_and_the_control_file_last() {
        let mut paths =
            ["d/global/pg_control", "d/base/5/1259", "d/pg_wal/0001"].map(PathBuf::from);
        paths.sort_by_key(|path| order(path));
        assert_eq!(
            paths,
            ["d/pg_wal/0001", "d/base/5/1259", "d/global/pg_control"].map(PathBuf::from)
        );
    }
}
