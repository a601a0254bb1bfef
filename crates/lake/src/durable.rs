//! Local files that survive a power cut, as an object store.
//!
//! object_store's own `LocalFileSystem` never fsyncs: after a power cut its last files may be empty. Here a file is
//! written under a temporary name, fsynced, given its name (by a hard link that never replaces, or by a rename), and
//! the folder is fsynced. Reading, listing and deleting are object_store's.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};

const STORE: &str = "local folder";

/// Unfinished files, in a folder of their own so that nobody mistakes them for data.
const TEMPORARY: &str = "_rapport/tmp";

/// A temporary file this old belongs to a process that was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Debug)]
pub(crate) struct DurableFiles {
    root: Arc<PathBuf>,
    /// Set once the root exists: reading a lake that is not there must not make its folder.
    files: Arc<OnceLock<LocalFileSystem>>,
}

impl DurableFiles {
    pub(crate) fn new(root: &FsPath) -> Self {
        Self {
            root: Arc::new(root.to_owned()),
            files: Arc::default(),
        }
    }

    fn files(&self) -> Result<&LocalFileSystem> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        if !self.root.is_dir() {
            return Err(Error::NotFound {
                path: self.root.display().to_string(),
                source: Box::new(io::Error::from(io::ErrorKind::NotFound)),
            });
        }
        let files = LocalFileSystem::new_with_prefix(self.root.as_path())?;
        Ok(self.files.get_or_init(|| files))
    }

    fn target(&self, location: &Path) -> Result<PathBuf> {
        make_folder(&self.root).map_err(|error| generic(&self.root, error))?;
        self.files()?.path_to_filesystem(location)
    }

    fn stage(&self) -> Result<Staged> {
        Staged::create(&self.root.join(TEMPORARY))
            .map_err(|error| generic(&self.root.join(TEMPORARY), error))
    }

    /// Remove what killed processes left behind.
    pub(crate) fn remove_abandoned(root: &FsPath, now: SystemTime) {
        let Ok(entries) = fs::read_dir(root.join(TEMPORARY)) else {
            return;
        };
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|meta| meta.modified());
            let is_old =
                modified.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > ABANDONED));
            if is_old {
                // Somebody else may have removed it first.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl fmt::Display for DurableFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE} {}", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for DurableFiles {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let create = match opts.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return Err(unsupported("conditional update")),
        };
        if !opts.attributes.is_empty() {
            return Err(unsupported("attributes"));
        }
        let (store, location) = (self.clone(), location.clone());
        blocking(move || {
            let target = store.target(&location)?;
            let mut staged = store.stage()?;
            staged
                .write_all(payload.iter())
                .and_then(|()| staged.publish(&target, create))
                .map_err(|error| published(&target, error))
        })
        .await?;
        Ok(done())
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !opts.attributes.is_empty() {
            return Err(unsupported("attributes"));
        }
        let (store, location) = (self.clone(), location.clone());
        let upload = blocking(move || {
            Ok(DurableUpload {
                target: store.target(&location)?,
                staged: Arc::new(Mutex::new(store.stage()?)),
                offset: 0,
            })
        })
        .await?;
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files()?.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<Bytes>> {
        self.files()?.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.files() {
            Ok(files) => files.delete_stream(locations),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.files() {
            Ok(files) => in_order(files.list(prefix)),
            Err(Error::NotFound { .. }) => stream::empty().boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.files() {
            Ok(files) => in_order(files.list_with_offset(prefix, offset)),
            Err(Error::NotFound { .. }) => stream::empty().boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match self.files() {
            Ok(files) => files.list_with_delimiter(prefix).await,
            Err(Error::NotFound { .. }) => Ok(ListResult {
                common_prefixes: vec![],
                objects: vec![],
            }),
            Err(error) => Err(error),
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let target = self.target(to)?;
        self.files()?.copy_opts(from, to, options).await?;
        blocking(move || sync_parent(&target).map_err(|error| generic(&target, error))).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let target = self.target(to)?;
        self.files()?.rename_opts(from, to, options).await?;
        blocking(move || sync_parent(&target).map_err(|error| generic(&target, error))).await
    }
}

/// A bucket lists by name and delta-rs relies on it; a folder has no order.
fn in_order(
    listed: BoxStream<'static, Result<ObjectMeta>>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let sorted = async move {
        let mut files: Vec<ObjectMeta> = listed.try_collect().await?;
        files.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok::<_, Error>(stream::iter(files.into_iter().map(Ok)))
    };
    stream::once(sorted).try_flatten().boxed()
}

/// A file that has no name yet. Dropping it removes it.
#[derive(Debug)]
struct Staged {
    path: PathBuf,
    file: File,
}

impl Staged {
    fn create(folder: &FsPath) -> io::Result<Self> {
        make_folder(folder)?;
        let path = folder.join(uuid::Uuid::new_v4().simple().to_string());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Self { path, file })
    }

    fn write_all<'a>(&mut self, parts: impl IntoIterator<Item = &'a Bytes>) -> io::Result<()> {
        parts
            .into_iter()
            .try_for_each(|part| self.file.write_all(part))
    }

    fn publish(&self, target: &FsPath, create: bool) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(parent) = target.parent() {
            make_folder(parent)?;
        }
        if create {
            fs::hard_link(&self.path, target)?;
        } else {
            fs::rename(&self.path, target)?;
        }
        sync_parent(target)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}

#[derive(Debug)]
struct DurableUpload {
    target: PathBuf,
    staged: Arc<Mutex<Staged>>,
    offset: u64,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let at = self.offset;
        self.offset += data.content_length() as u64;
        let (staged, target) = (Arc::clone(&self.staged), self.target.clone());
        Box::pin(blocking(move || {
            let mut staged = staged.lock().unwrap_or_else(|poison| poison.into_inner());
            staged
                .file
                .seek(SeekFrom::Start(at))
                .and_then(|_| staged.write_all(data.iter()))
                .map_err(|error| generic(&target, error))
        }))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (staged, target) = (Arc::clone(&self.staged), self.target.clone());
        blocking(move || {
            let staged = staged.lock().unwrap_or_else(|poison| poison.into_inner());
            staged
                .publish(&target, false)
                .map_err(|error| published(&target, error))
        })
        .await?;
        Ok(done())
    }

    async fn abort(&mut self) -> Result<()> {
        // Dropping the upload removes its file.
        Ok(())
    }
}

/// Make a folder and those above it so that they are still there after a power cut.
fn make_folder(folder: &FsPath) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_parent(folder),
    }
}

fn sync_parent(path: &FsPath) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

fn published(target: &FsPath, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Error::AlreadyExists {
            path: target.display().to_string(),
            source: Box::new(error),
        },
        _ => generic(target, error),
    }
}

fn generic(path: &FsPath, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Error::PermissionDenied {
            path: path.display().to_string(),
            source: Box::new(error),
        };
    }
    Error::Generic {
        store: STORE,
        source: Box::new(error),
    }
}

fn unsupported(what: &str) -> Error {
    Error::NotImplemented {
        operation: what.into(),
        implementer: STORE.into(),
    }
}

fn done() -> PutResult {
    PutResult {
        e_tag: None,
        version: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;

    fn store() -> (tempfile::TempDir, DurableFiles) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = DurableFiles::new(&folder.path().join("deep/lake"));
        (folder, store)
    }

    #[tokio::test]
    async fn reading_a_lake_that_is_not_there_makes_no_folder() {
        let (folder, store) = store();
        assert!(matches!(
            store.get(&Path::from("x")).await,
            Err(Error::NotFound { .. })
        ));
        assert!(
            store
                .list(None)
                .try_collect::<Vec<_>>()
                .await
                .expect("a list")
                .is_empty()
        );
        assert!(!folder.path().join("deep").exists());
    }

    #[tokio::test]
    async fn create_never_replaces() {
        let (_folder, store) = store();
        let path = Path::from("a/b");
        let create = || PutOptions::from(PutMode::Create);
        store
            .put_opts(&path, "one".into(), create())
            .await
            .expect("first");
        let second = store.put_opts(&path, "two".into(), create()).await;
        assert!(
            matches!(second, Err(Error::AlreadyExists { .. })),
            "{second:?}"
        );
        let bytes = store
            .get(&path)
            .await
            .expect("a file")
            .bytes()
            .await
            .expect("bytes");
        assert_eq!(bytes, "one");
    }

    #[tokio::test]
    async fn overwrite_replaces_and_leaves_nothing_behind() {
        let (folder, store) = store();
        let path = Path::from("a");
        store.put(&path, "one".into()).await.expect("first");
        store.put(&path, "two".into()).await.expect("second");
        let bytes = store
            .get(&path)
            .await
            .expect("a file")
            .bytes()
            .await
            .expect("bytes");
        assert_eq!(bytes, "two");
        let left = fs::read_dir(folder.path().join("deep/lake").join(TEMPORARY));
        assert_eq!(left.expect("a folder").count(), 0);
    }

    #[tokio::test]
    async fn an_upload_is_invisible_until_complete() {
        let (_folder, store) = store();
        let path = Path::from("big");
        let mut upload = store.put_multipart(&path).await.expect("an upload");
        let (first, second) = (
            upload.put_part("hello ".into()),
            upload.put_part("world".into()),
        );
        second.await.expect("second part, first");
        first.await.expect("first part, second");
        assert!(store.head(&path).await.is_err());
        upload.complete().await.expect("complete");
        let bytes = store
            .get(&path)
            .await
            .expect("a file")
            .bytes()
            .await
            .expect("bytes");
        assert_eq!(bytes, "hello world");
    }

    #[tokio::test]
    async fn a_dropped_upload_leaves_nothing() {
        let (folder, store) = store();
        let mut upload = store
            .put_multipart(&Path::from("big"))
            .await
            .expect("an upload");
        upload.put_part("x".into()).await.expect("a part");
        drop(upload);
        let left = fs::read_dir(folder.path().join("deep/lake").join(TEMPORARY));
        assert_eq!(left.expect("a folder").count(), 0);
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_removed_after_a_day() {
        let (folder, store) = store();
        let root = folder.path().join("deep/lake");
        store
            .put(&Path::from("a"), "x".into())
            .await
            .expect("a file");
        let left = root.join(TEMPORARY).join("left");
        fs::write(&left, "half").expect("a file");
        DurableFiles::remove_abandoned(&root, SystemTime::now());
        assert!(left.exists());
        DurableFiles::remove_abandoned(&root, SystemTime::now() + 2 * ABANDONED);
        assert!(!left.exists());
    }
}
