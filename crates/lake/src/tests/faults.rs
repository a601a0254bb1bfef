//! A store that fails, or whose answer gets lost, at the worst moment.

use super::*;
use crate::Error;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use std::sync::Mutex;

/// What happens to the next write whose path contains a word.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It is done, but the answer is an error.
    AnswerLost,
    /// It is done, then done again by the client's own retry, which finds it there.
    RetriedByClient,
    /// It is not done.
    NotDone,
    /// There is no space left.
    Full,
}

#[derive(Debug, Default)]
struct Faulty {
    store: InMemory,
    next: Mutex<Option<(&'static str, Fault)>>,
}

impl Faulty {
    fn at(&self, word: &'static str, fault: Fault) {
        *self.next.lock().expect("no panic") = Some((word, fault));
    }

    fn fault(&self, path: &Path) -> Option<Fault> {
        let mut next = self.next.lock().expect("no panic");
        let hit = next.is_some_and(|(word, _)| path.as_ref().contains(word));
        next.take_if(|_| hit).map(|(_, fault)| fault)
    }
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("faulty")
    }
}

fn failed(kind: std::io::ErrorKind) -> StoreError {
    StoreError::Generic {
        store: "faulty",
        source: Box::new(std::io::Error::from(kind)),
    }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        match self.fault(path) {
            None => self.store.put_opts(path, payload, opts).await,
            Some(Fault::AnswerLost) => {
                self.store.put_opts(path, payload, opts).await?;
                Err(failed(std::io::ErrorKind::ConnectionReset))
            }
            Some(Fault::RetriedByClient) => {
                self.store
                    .put_opts(path, payload.clone(), opts.clone())
                    .await?;
                self.store.put_opts(path, payload, opts).await
            }
            Some(Fault::NotDone) => Err(failed(std::io::ErrorKind::ConnectionReset)),
            Some(Fault::Full) => Err(failed(std::io::ErrorKind::StorageFull)),
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(path, opts).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.store.get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.store.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

async fn faulty_table() -> (Arc<Faulty>, Table) {
    let store = Arc::new(Faulty::default());
    let location = Location::of_store(Arc::clone(&store) as Arc<dyn ObjectStore>);
    let lake = Lake::open(location).await.expect("a good store so far");
    lake.create_root().await.expect("a new lake");
    let definition = Definition::new(interactions_schema());
    let table = lake.create_table(&interactions(), &definition).await;
    (store, table.expect("a new table"))
}

async fn load(table: &Table) -> Result<Appended> {
    table
        .append(stream_of(vec![rows(&[1, 2])]), once("file a"))
        .await
}

async fn check_landed_once(table: &Table) {
    let snapshot = table.snapshot().await.expect("a snapshot");
    assert_eq!((snapshot.rows(), snapshot.version()), (2, 1));
    assert_eq!(customers(table, &snapshot).await, [1, 2]);
    assert!(load(table).await.expect("the same again").already);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_has_landed() {
    let (store, table) = faulty_table().await;
    store.at("_delta_log", Fault::AnswerLost);
    assert!(!load(&table).await.expect("it landed").already);
    check_landed_once(&table).await;
}

#[tokio::test]
async fn a_commit_that_meets_itself_has_landed() {
    let (store, table) = faulty_table().await;
    store.at("_delta_log", Fault::RetriedByClient);
    assert!(!load(&table).await.expect("it landed").already);
    check_landed_once(&table).await;
}

#[tokio::test]
async fn a_commit_that_failed_can_be_repeated() {
    let (store, table) = faulty_table().await;
    store.at("_delta_log", Fault::NotDone);
    let error = load(&table).await.expect_err("a failure");
    assert!(matches!(error, Error::Storage { .. }), "{error}");
    assert_eq!(table.snapshot().await.expect("a snapshot").rows(), 0);
    load(&table).await.expect("the same again");
    check_landed_once(&table).await;
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_and_says_so() {
    for place in ["/data/", "_delta_log"] {
        let (store, table) = faulty_table().await;
        store.at(place, Fault::Full);
        let error = load(&table).await.expect_err("a failure");
        assert!(matches!(error, Error::StorageFull { .. }), "{error}");
        assert_eq!(table.snapshot().await.expect("a snapshot").rows(), 0);
        assert!(table.data_files().await.expect("a list").is_empty());
        load(&table).await.expect("there is space again");
        check_landed_once(&table).await;
    }
}
