//! A store that fails, or whose answer gets lost, at the worst moment.

use super::*;
use crate::{Draft, Error, Taken};
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult,
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

async fn faulty_lake() -> (Arc<Faulty>, Lake) {
    let store = Arc::new(Faulty::default());
    let location = Location::of_store(Arc::clone(&store) as Arc<dyn ObjectStore>);
    let lake = Lake::open(location).await.expect("a good store so far");
    lake.create_root().await.expect("a new lake");
    (store, lake)
}

async fn faulty_table() -> (Arc<Faulty>, Table) {
    let (store, lake) = faulty_lake().await;
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

#[tokio::test]
async fn a_lease_whose_answer_was_lost_is_held_once() {
    for fault in [Fault::AnswerLost, Fault::RetriedByClient] {
        let (store, lake) = faulty_lake().await;
        let take = || lake.lease("job", "somebody", std::time::Duration::from_secs(30));
        store.at("leases", fault);
        assert!(matches!(take().await, Ok(Taken::Mine(_))), "{fault:?}");
        assert!(matches!(take().await, Ok(Taken::Held(_))), "{fault:?}");
    }
}

#[tokio::test]
async fn a_lease_that_could_not_be_written_is_free() {
    for fault in [Fault::NotDone, Fault::Full] {
        let (store, lake) = faulty_lake().await;
        let take = || lake.lease("job", "somebody", std::time::Duration::from_secs(30));
        store.at("leases", fault);
        assert!(take().await.is_err(), "{fault:?}");
        assert!(matches!(take().await, Ok(Taken::Mine(_))), "{fault:?}");
    }
}

/// Two tables, each with customer 1, and a draft for each that puts another in his place.
async fn two_drafts(lake: &Lake, customer: i64) -> Vec<Draft> {
    let mut drafts = vec![];
    for name in ["first", "second"] {
        let name = TableName::public(name);
        let table = match lake.table(&name).await {
            Ok(table) => table,
            Err(_) => {
                let definition = Definition::new(interactions_schema());
                let table = lake.create_table(&name, &definition).await;
                let table = table.expect("a new table");
                append(&table, &[1]).await.expect("an append");
                table
            }
        };
        let base = table.snapshot().await.expect("a snapshot");
        let mut draft = table.draft(&base);
        draft.truncate().expect("a table");
        let rows = stream_of(vec![rows(&[customer])]);
        draft.append(rows).await.expect("rows");
        drafts.push(draft);
    }
    drafts
}

async fn check_both(lake: &Lake, expected: [i64; 2]) {
    for (name, expected) in ["first", "second"].into_iter().zip(expected) {
        let table = lake.table(&TableName::public(name)).await.expect("a table");
        let snapshot = table.newest().await.expect("a snapshot");
        assert_eq!(customers(&table, &snapshot).await, [expected], "{name}");
    }
}

/// What has landed keeps its files, and the rest follows before anything else of this process does.
#[tokio::test]
async fn a_transaction_that_stopped_in_the_middle_is_finished_by_the_next() {
    for (fault, leaves) in [
        (Fault::NotDone, [2, 1]),
        (Fault::Full, [2, 1]),
        (Fault::AnswerLost, [2, 2]),
    ] {
        let (store, lake) = faulty_lake().await;
        let drafts = two_drafts(&lake, 2).await;
        store.at("second/_delta_log", fault);
        let done = lake.commit(&drafts, "writer", 1).await;
        assert_eq!(done.is_ok(), leaves == [2, 2], "{fault:?}: {done:?}");
        check_both(&lake, leaves).await;
        let table = lake.table(&interactions()).await;
        assert!(table.is_err(), "it is another one");
        let definition = Definition::new(interactions_schema());
        let third = lake.draft_new(&interactions(), &definition).await;
        let third = [third.expect("a new table")];
        lake.commit(&third, "writer", 2).await.expect("a commit");
        check_both(&lake, [2, 2]).await;
    }
}

#[tokio::test]
async fn a_transaction_whose_first_part_did_not_land_is_none() {
    for place in ["_rapport/journal", "first/_delta_log"] {
        for fault in [Fault::NotDone, Fault::Full] {
            let (store, lake) = faulty_lake().await;
            let drafts = two_drafts(&lake, 2).await;
            store.at(place, fault);
            let refused = lake.commit(&drafts, "writer", 1).await;
            assert!(refused.is_err(), "{place} {fault:?}");
            check_both(&lake, [1, 1]).await;
            lake.finish_journals().await.expect("nothing is left to do");
            check_both(&lake, [1, 1]).await;
            let drafts = two_drafts(&lake, 3).await;
            lake.commit(&drafts, "writer", 2).await.expect("a commit");
            check_both(&lake, [3, 3]).await;
        }
    }
}

/// What has landed when the other part is refused must not lose its files.
#[tokio::test]
async fn what_has_landed_of_a_transaction_can_be_read_when_the_rest_is_refused() {
    let (_, lake) = faulty_lake().await;
    let drafts = two_drafts(&lake, 2).await;
    let works: Vec<_> = drafts.iter().filter_map(Draft::work).collect();
    assert_eq!(works.len(), 2);
    // Somebody else empties the second one as soon as the first has landed.
    let second = lake.table(&TableName::public("second")).await;
    let second = second.expect("a table");
    let others = two_drafts(&lake, 9).await;
    let store = lake.store();
    let first = Path::from("public/first/_delta_log/00000000000000000002.json");
    let committing = lake.commit(&drafts, "writer", 1);
    let other = async {
        while store.head(&first).await.is_err() {
            tokio::task::yield_now().await;
        }
        lake.commit(&others[1..], "other", 1).await
    };
    let (done, other) = tokio::join!(committing, other);
    let snapshot = second.newest().await.expect("a snapshot");
    let seen = customers(&second, &snapshot).await;
    match done {
        Ok(()) => assert_eq!(seen, [if other.is_ok() { 9 } else { 2 }]),
        Err(error) => {
            assert!(matches!(error, Error::Conflict { .. }), "{error}");
            assert_eq!(seen, [9]);
        }
    }
    let first = lake.table(&TableName::public("first")).await;
    let first = first.expect("a table");
    let snapshot = first.newest().await.expect("a snapshot");
    assert_eq!(customers(&first, &snapshot).await, [2]);
}
