//! What statements put on the disk of this machine: what does not fit into memory, and temporary tables. Each process
//! has a folder of its own, whose lock tells others that it lives.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rapport_udf_postgres::refusal::Refusal;
use tempfile::TempDir;
use tracing::debug;

use crate::{Error, Result};

const PREFIX: &str = "rapport-scratch-";
const LOCK: &str = "lock";

/// Removed when dropped.
pub(crate) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// In the system's temporary folder if none is given. Removes what processes have left that were killed.
    pub(crate) fn create(root: Option<&Path>) -> Result<Self> {
        let root = root.map_or_else(std::env::temp_dir, PathBuf::from);
        remove_abandoned(&root);
        create(&root).map_err(|error| {
            let message = format!("nothing can be written to \"{}\": {error}", root.display());
            let hint = "Let query.spill_dir name a folder that Rapport may write to.";
            Error::Refused(Refusal::new("58030", message).with_hint(hint))
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn create(root: &Path) -> io::Result<Scratch> {
    std::fs::create_dir_all(root)?;
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(root)?;
    // Nobody sees the lock before it is held. Where nothing can be locked, nobody removes the folder for another.
    let unlocked = folder.path().join("unlocked");
    let lock = File::create(&unlocked)?;
    if lock.lock().is_ok() {
        std::fs::rename(unlocked, folder.path().join(LOCK))?;
    }
    Ok(Scratch {
        folder,
        _lock: lock,
    })
}

fn remove_abandoned(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let folder = entry.path();
        if is_ours && is_abandoned(&folder) {
            let removed = std::fs::remove_dir_all(&folder);
            debug!(folder = %folder.display(), ?removed, "an abandoned folder");
        }
    }
}

/// Whether nobody holds its lock; where that can't be known, somebody does.
fn is_abandoned(folder: &Path) -> bool {
    let Ok(lock) = File::open(folder.join(LOCK)) else {
        return false;
    };
    lock.try_lock().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_folders_of_the_living_and_removes_the_others() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let root = root.path().join("not/there/yet");
        let living = Scratch::create(Some(&root)).expect("a folder");
        let killed = root.join("rapport-scratch-killed");
        std::fs::create_dir(&killed).expect("a folder");
        std::fs::write(killed.join(LOCK), "").expect("a file");
        std::fs::write(killed.join("rows"), "some").expect("a file");
        let other = root.join("of-somebody-else");
        std::fs::create_dir(&other).expect("a folder");

        let second = Scratch::create(Some(&root)).expect("a folder");

        assert!(living.path().exists() && second.path().exists() && other.exists());
        assert!(!killed.exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }

    #[test]
    fn says_which_folder_can_not_be_written() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let file = root.path().join("file");
        std::fs::write(&file, "").expect("a file");
        let Err(Error::Refused(refusal)) = Scratch::create(Some(&file)) else {
            panic!("a file is no folder");
        };
        assert_eq!(refusal.code, "58030");
        assert!(refusal.to_string().contains(&file.display().to_string()));
    }
}
