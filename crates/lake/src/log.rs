//! The Delta log of a table: what its lines mean, how they are replayed, how one is added.
//!
//! delta-rs writes the checkpoints and removes expired commits. Commits we read and write ourselves: a torn commit has to
//! be an error (delta-rs takes an empty one for a version without changes), and a commit that may have landed
//! has to be recognised as ours.

pub(crate) mod action;
pub(crate) mod commit;
pub(crate) mod delta_schema;
pub(crate) mod group;
pub(crate) mod maintain;
pub(crate) mod replay;

use object_store::path::Path;

pub(crate) fn folder(table: &Path) -> Path {
    table.clone().join("_delta_log")
}

pub(crate) fn commit_path(table: &Path, version: u64) -> Path {
    folder(table).join(format!("{version:020}.json"))
}

/// The version that a commit's file name stands for; `None` for any other file.
pub(crate) fn commit_version(path: &Path) -> Option<u64> {
    version_of(path.filename()?.strip_suffix(".json")?)
}

/// The version that a classic checkpoint's file name stands for.
pub(crate) fn checkpoint_version(path: &Path) -> Option<u64> {
    version_of(path.filename()?.strip_suffix(".checkpoint.parquet")?)
}

fn version_of(digits: &str) -> Option<u64> {
    let is_version = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_version.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commits_and_classic_checkpoints_are_versions() {
        let name = |name: &str| Path::from(format!("public/t/_delta_log/{name}"));
        assert_eq!(commit_version(&name("00000000000000000007.json")), Some(7));
        assert_eq!(commit_version(&name("00000000000000000007.crc")), None);
        assert_eq!(
            commit_version(&name(
                "00000000000000000001.00000000000000000007.compacted.json"
            )),
            None
        );
        assert_eq!(
            checkpoint_version(&name("00000000000000000007.checkpoint.parquet")),
            Some(7)
        );
        assert_eq!(
            commit_version(&commit_path(&Path::from("public/t"), 12)),
            Some(12)
        );
    }
}
