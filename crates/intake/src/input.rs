//! Paths → files: folders, globs, standard input, objects in a bucket; and each file's fingerprint.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use rapport_lake::Location;
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;
use twox_hash::xxhash3_128::{RawHasher, SecretBuffer};

use crate::{Error, LoadOptions, Result};

/// A file that was found, before it is opened.
#[derive(Clone)]
pub struct Found {
    /// As the user would call it.
    pub name: Arc<str>,
    /// 0 for what can be read only once.
    pub bytes: u64,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Local(PathBuf),
    /// A pipe or a device: it can be read once.
    Pipe(PathBuf),
    StandardInput,
    Object {
        store: Arc<dyn ObjectStore>,
        path: ObjectPath,
    },
}

/// A file on this machine, with the hash of its bytes.
pub struct Input {
    pub name: Arc<str>,
    pub path: PathBuf,
    pub bytes: u64,
    pub hash: u128,
    changed: Option<(u64, SystemTime)>,
    /// Removes the copy when the input is dropped.
    _copy: Option<NamedTempFile>,
}

/// All files of the load, in a fixed order: paths as given, folders and globs sorted by name. Names that begin with
/// `.` or `_` are passed over in folders, as everybody's tools do.
pub async fn find(options: &LoadOptions) -> Result<Vec<Found>> {
    let mut all: Vec<Found> = vec![];
    for path in &options.paths {
        let found = if path == "-" {
            vec![Found {
                name: "standard input".into(),
                bytes: 0,
                place: Place::StandardInput,
            }]
        } else if path.contains("://") && !path.starts_with("file://") {
            objects(path, options).await?
        } else {
            local(path.strip_prefix("file://").unwrap_or(path))?
        };
        if found.is_empty() {
            return Err(Error::Path {
                path: path.clone(),
                what: "there is no file there".into(),
            });
        }
        for file in found {
            if !all.iter().any(|other| other.name == file.name) {
                all.push(file);
            }
        }
    }
    if all.is_empty() {
        return Err(Error::Path {
            path: String::new(),
            what: "name a file, a folder or `-`".into(),
        });
    }
    Ok(all)
}

fn local(path: &str) -> Result<Vec<Found>> {
    let mut files = vec![];
    if Path::new(path).exists() {
        collect(Path::new(path), &mut files)?;
    } else {
        let matches = glob::glob(path).map_err(|error| Error::Path {
            path: path.to_owned(),
            what: format!("is not a pattern: {error}"),
        })?;
        let mut matches: Vec<PathBuf> = matches.filter_map(Result::ok).collect();
        matches.sort();
        for path in matches {
            collect(&path, &mut files)?;
        }
    }
    files
        .into_iter()
        .map(|path| {
            let metadata = std::fs::metadata(&path).map_err(|source| unreadable(&path, source))?;
            Ok(Found {
                name: path.display().to_string().into(),
                bytes: metadata.len(),
                place: match metadata.is_file() {
                    true => Place::Local(path),
                    false => Place::Pipe(path),
                },
            })
        })
        .collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let kind = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
    if !kind.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .map_err(|source| unreadable(path, source))?;
    entries.sort();
    for entry in entries {
        let name = entry
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // A link to a folder could lead round in a circle.
        let leads_elsewhere = entry.is_symlink() && entry.is_dir();
        if !is_hidden(&name) && !leads_elsewhere {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    Error::Read {
        file: path.display().to_string(),
        source,
    }
}

/// One object, all below a prefix, or those that a pattern matches.
async fn objects(url: &str, options: &LoadOptions) -> Result<Vec<Found>> {
    let start = url.find("://").map_or(0, |at| at + 3);
    let pattern_at = url[start..].find(['*', '?', '[']).map(|at| start + at);
    // The store is rooted at the folder that the object, the prefix or the pattern is in.
    let upto = &url[..pattern_at.unwrap_or(url.trim_end_matches('/').len())];
    let slash = upto[start..].rfind('/').map(|at| start + at);
    let (root, name) = match slash {
        Some(slash) => (&url[..slash], url[slash + 1..].trim_end_matches('/')),
        None => (url, ""),
    };
    let store = Location::parse(root, options.store_options.iter().cloned())?.store();
    let failed = |source| Error::Store {
        path: url.to_owned(),
        source,
    };

    let mut listed = vec![];
    if pattern_at.is_some() {
        let pattern = glob::Pattern::new(name).map_err(|error| Error::Path {
            path: url.to_owned(),
            what: error.to_string(),
        })?;
        let whole = glob::MatchOptions {
            require_literal_separator: true,
            ..Default::default()
        };
        let all: Vec<_> = store.list(None).try_collect().await.map_err(failed)?;
        listed.extend(
            all.into_iter()
                .filter(|object| pattern.matches_with(object.location.as_ref(), whole)),
        );
    } else {
        let path = ObjectPath::from(name);
        match store.head(&path).await {
            Ok(object) if !name.is_empty() && !url.ends_with('/') => listed.push(ObjectMeta {
                location: path,
                ..object
            }),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {
                let all: Vec<_> = store
                    .list(Some(&path))
                    .try_collect()
                    .await
                    .map_err(failed)?;
                listed.extend(all.into_iter().filter(|object| {
                    !object.location.parts().any(|part| is_hidden(part.as_ref()))
                }));
            }
            Err(error) => return Err(failed(error)),
        }
    }
    listed.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(listed
        .into_iter()
        .map(|object| Found {
            name: format!("{root}/{}", object.location).into(),
            bytes: object.size,
            place: Place::Object {
                store: Arc::clone(&store),
                path: object.location,
            },
        })
        .collect())
}

impl Found {
    /// Reads the file once for its hash. What is not a local file is copied to one on the way, because a file may
    /// be read twice and Parquet from its end.
    pub async fn fingerprint(
        &self,
        spill_folder: Option<&Path>,
        cancel: &CancellationToken,
    ) -> Result<Input> {
        match &self.place {
            Place::Local(path) => {
                let before = state(path)?;
                let mut file = File::open(path).map_err(|source| unreadable(path, source))?;
                let (bytes, hash) =
                    copy(&mut file, None, cancel, |source| unreadable(path, source))?;
                Ok(Input {
                    name: Arc::clone(&self.name),
                    path: path.clone(),
                    bytes,
                    hash,
                    changed: Some(before),
                    _copy: None,
                })
            }
            Place::Pipe(path) => {
                let mut pipe = File::open(path).map_err(|source| unreadable(path, source))?;
                self.read_once(&mut pipe, spill_folder, cancel)
            }
            Place::StandardInput => {
                self.read_once(&mut std::io::stdin().lock(), spill_folder, cancel)
            }
            Place::Object { store, path } => {
                let failed = |source| Error::Store {
                    path: self.name.to_string(),
                    source,
                };
                let mut copied = temporary(spill_folder)?;
                let mut hasher = RawHasher::new(SecretBuffer::default());
                let mut bytes = 0;
                let mut stream = store.get(path).await.map_err(failed)?.into_stream();
                while let Some(chunk) = stream.try_next().await.map_err(failed)? {
                    if cancel.is_cancelled() {
                        return Err(Error::Cancelled);
                    }
                    hasher.write(&chunk);
                    bytes += chunk.len() as u64;
                    copied
                        .write_all(&chunk)
                        .map_err(|source| spill(spill_folder, source))?;
                }
                Ok(self.copied(copied, bytes, hasher.finish_128()))
            }
        }
    }

    fn read_once(
        &self,
        from: &mut dyn Read,
        spill_folder: Option<&Path>,
        cancel: &CancellationToken,
    ) -> Result<Input> {
        let mut copied = temporary(spill_folder)?;
        let failed = |source| Error::Read {
            file: self.name.to_string(),
            source,
        };
        let (bytes, hash) = copy(from, Some(&mut copied), cancel, failed)?;
        Ok(self.copied(copied, bytes, hash))
    }

    fn copied(&self, copy: NamedTempFile, bytes: u64, hash: u128) -> Input {
        Input {
            name: Arc::clone(&self.name),
            path: copy.path().to_owned(),
            bytes,
            hash,
            changed: None,
            _copy: Some(copy),
        }
    }
}

impl Input {
    /// Fails if the file was written to since its fingerprint was taken.
    pub fn unchanged(&self) -> Result<()> {
        match self.changed {
            Some(before) if state(&self.path)? != before => Err(Error::Changed {
                file: self.name.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

fn state(path: &Path) -> Result<(u64, SystemTime)> {
    let metadata = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
    Ok((
        metadata.len(),
        metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
    ))
}

fn temporary(folder: Option<&Path>) -> Result<NamedTempFile> {
    let made = match folder {
        Some(folder) => std::fs::create_dir_all(folder).and_then(|()| {
            tempfile::Builder::new()
                .prefix("rapport-")
                .tempfile_in(folder)
        }),
        None => tempfile::Builder::new().prefix("rapport-").tempfile(),
    };
    made.map_err(|source| spill(folder, source))
}

/// A file without a name, which is gone even if this process is killed.
pub fn scratch(folder: Option<&Path>) -> Result<File> {
    let made = match folder {
        Some(folder) => {
            std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder))
        }
        None => tempfile::tempfile(),
    };
    made.map_err(|source| spill(folder, source))
}

pub fn spill(folder: Option<&Path>, source: std::io::Error) -> Error {
    let folder = folder.map_or_else(std::env::temp_dir, Path::to_owned);
    Error::Spill {
        folder: folder.display().to_string(),
        source,
    }
}

fn copy(
    from: &mut dyn Read,
    mut to: Option<&mut NamedTempFile>,
    cancel: &CancellationToken,
    failed: impl Fn(std::io::Error) -> Error,
) -> Result<(u64, u128)> {
    let mut hasher = RawHasher::new(SecretBuffer::default());
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let read = from.read(&mut buffer).map_err(&failed)?;
        if read == 0 {
            return Ok((bytes, hasher.finish_128()));
        }
        hasher.write(&buffer[..read]);
        bytes += read as u64;
        if let Some(to) = &mut to {
            to.write_all(&buffer[..read]).map_err(&failed)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    async fn names(paths: &[String]) -> Result<Vec<String>> {
        let options = LoadOptions::new(paths.to_vec(), DateTime::UNIX_EPOCH);
        Ok(find(&options)
            .await?
            .into_iter()
            .map(|found| found.name.to_string())
            .collect())
    }

    #[tokio::test]
    async fn folders_and_globs_are_sorted_and_hidden_files_passed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in [
            "b.csv",
            "a.csv",
            ".hidden",
            "_SUCCESS",
            "sub/c.csv",
            "d.txt",
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, "x").expect("written");
        }
        let at = |name: &str| format!("{}/{name}", folder.path().display());
        let all = names(&[at("")]).await.expect("found");
        assert_eq!(all.len(), 4);
        assert!(all.is_sorted());
        assert_eq!(
            names(&[at("*.csv")]).await.expect("found"),
            [at("a.csv"), at("b.csv")]
        );
        assert_eq!(names(&[at("**/*.csv")]).await.expect("found").len(), 3);
        assert_eq!(
            names(&[at("a.csv"), at("*.csv")])
                .await
                .expect("found")
                .len(),
            2
        );
        let error = names(&[at("*.json")])
            .await
            .expect_err("there is none")
            .to_string();
        assert!(error.contains("no file"), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_is_read_to_its_end_and_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo is there").success());
        let writer = std::thread::spawn({
            let path = path.clone();
            move || std::fs::write(path, "customer\n1\n")
        });
        let options = LoadOptions::new(vec![path.display().to_string()], DateTime::UNIX_EPOCH);
        let found = find(&options).await.expect("found");
        let input = found[0]
            .fingerprint(None, &CancellationToken::new())
            .await
            .expect("read");
        assert_eq!(input.bytes, 11);
        assert_eq!(
            std::fs::read(&input.path).expect("a copy"),
            b"customer\n1\n"
        );
        writer.join().expect("ended").expect("written");
    }

    #[tokio::test]
    async fn a_file_that_changes_meanwhile_is_noticed() {
        let file = NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "one").expect("written");
        let options = LoadOptions::new(
            vec![file.path().display().to_string()],
            DateTime::UNIX_EPOCH,
        );
        let found = find(&options).await.expect("found");
        let input = found[0]
            .fingerprint(None, &CancellationToken::new())
            .await
            .expect("read");
        input.unchanged().expect("nothing has changed");
        std::fs::write(file.path(), "one two").expect("written");
        assert!(matches!(input.unchanged(), Err(Error::Changed { .. })));
    }
}
