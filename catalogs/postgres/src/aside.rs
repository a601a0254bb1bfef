//! Long queries of clients, asked aside: of a second process, over a copy of the catalogue's folder.
//!
//! The embedded PostgreSQL runs one statement at a time, so all sessions, logins too, wait for one that is long. After
//! [`PATIENCE`] it is ended, as a cancel ends it, and begins again in a process of its own, which ends with it. The copy is
//! what the query would see: a query changes nothing. Other long ones wait for this one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tracing::debug;

use crate::catalogue::{Attempts, Catalogue, Config, Place};
use crate::error::{Error, Result};
use crate::relay::{Reply, Request};

/// How long a query may keep all others waiting.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// What a catalogue's folder consists of; the cache is not in all of them. The rest is of the process that owns it.
const PARTS: [&str; 3] = ["data", "format", "cache"];

impl Catalogue {
    /// Runs a query that took too long for the others.
    pub(crate) async fn relay_aside(
        &self,
        prologue: &str,
        request: &Request,
        bound: Duration,
    ) -> Result<Reply> {
        let answer = async {
            let _one_at_a_time = self.aside().lock().await;
            let (copy, exe) = self.copy().await?;
            let aside = Catalogue::open(Config {
                place: Place::Embedded {
                    dir: copy.path().to_owned(),
                    exe,
                },
                statement_timeout: bound,
            })
            .await?;
            let answered = aside.relay_once(prologue, request, bound, bound, false);
            answered.await.map(|(reply, _)| reply)
        };
        debug!("a query is asked aside");
        tokio::time::timeout(bound, answer)
            .await
            .unwrap_or(Err(Error::TimedOut))
    }

    /// The folder as it is between two transactions, and the program that opens it.
    async fn copy(&self) -> Result<(TempDir, PathBuf)> {
        let Some((dir, exe)) = self.folder().await else {
            return Err(Error::NotSupported(
                "only the embedded catalogue is copied".into(),
            ));
        };
        let mut attempts = Attempts::default();
        loop {
            let mut lease = self.lease().await?;
            // As long as this transaction is open PostgreSQL is nobody else's, and nothing is written.
            let begun = lease.query("BEGIN").await;
            if self.is_to_repeat(&begun, &mut attempts) {
                continue;
            }
            begun?;
            let from = dir.clone();
            let copied = tokio::task::spawn_blocking(move || copy_of(&from)).await;
            lease.roll_back().await;
            let copied = copied.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
            return match copied {
                Ok(copy) => Ok((copy, exe)),
                Err(error) => Err(Error::NotStarted {
                    dir: dir.display().to_string(),
                    what: format!("its copy could not be made: {error}"),
                }),
            };
        }
    }
}

fn copy_of(dir: &Path) -> io::Result<TempDir> {
    let copy = tempfile::Builder::new()
        .prefix("rapport-catalogue-")
        .tempdir()?;
    for part in PARTS {
        let from = dir.join(part);
        if from.exists() {
            copy_all(&from, &copy.path().join(part))?;
        }
    }
    Ok(copy)
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(from)?;
    if found.is_dir() {
        fs::create_dir(to)?;
        fs::set_permissions(to, found.permissions())?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy_all(&from.join(&name), &to.join(&name))?;
        }
    } else if found.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
    } else if found.is_file() {
        fs::copy(from, to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_copied_without_what_is_of_its_process() {
        let dir = TempDir::new().expect("a temporary folder");
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("data/base/1")).expect("a folder");
        fs::write(path("data/base/1/2"), "rows").expect("a write");
        fs::write(path("format"), "1\n").expect("a write");
        fs::write(path("lock"), "").expect("a write");
        let copy = copy_of(dir.path()).expect("a copy");
        let read = |name: &str| fs::read_to_string(copy.path().join(name)).ok();
        assert_eq!(read("data/base/1/2").as_deref(), Some("rows"));
        assert_eq!(read("format").as_deref(), Some("1\n"));
        assert_eq!(read("lock"), None);
    }
}
