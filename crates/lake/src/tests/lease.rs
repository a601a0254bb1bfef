//! One of many does the job, and who has lost the lease changes nothing any more.

use std::time::{Duration, SystemTime};

use futures::future::join_all;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::*;
use crate::{Draft, Error, Holder, Lease, Taken};

const TTL: Duration = Duration::from_secs(30);

async fn in_memory() -> Lake {
    let location = Location::of_store(Arc::new(InMemory::new()));
    let lake = Lake::open(location).await.expect("a store");
    lake.create_root().await.expect("a new lake");
    lake
}

async fn take(lake: &Lake, who: &str) -> Taken {
    lake.lease("job", who, TTL).await.expect("a good store")
}

async fn mine(lake: &Lake, who: &str) -> Lease {
    match take(lake, who).await {
        Taken::Mine(lease) => lease,
        Taken::Held(holder) => panic!("held by {holder:?}"),
    }
}

/// The lease of one that will not beat, and has promised to at once.
async fn silent(lake: &Lake) -> Lease {
    let taken = lake.lease("job", "silent", Duration::ZERO).await;
    match taken.expect("a good store") {
        Taken::Mine(lease) => lease,
        Taken::Held(holder) => panic!("held by {holder:?}"),
    }
}

async fn held(lake: &Lake, who: &str) -> Holder {
    match take(lake, who).await {
        Taken::Mine(lease) => panic!("{lease:?}"),
        Taken::Held(holder) => holder,
    }
}

async fn files(lake: &Lake) -> Vec<String> {
    let folder = Path::from("_rapport/leases/job");
    let store = lake.store();
    let listed = store.list(Some(&folder)).try_collect::<Vec<_>>().await;
    let listed = listed.expect("a list").into_iter();
    listed
        .map(|file| file.location.filename().expect("a file").to_owned())
        .collect()
}

async fn check_one_winner(lakes: &[Lake], rounds: i64) {
    for round in 1..=rounds {
        let taken = join_all(lakes.iter().map(|lake| take(lake, "one of eight"))).await;
        let mut winners = vec![];
        for taken in taken {
            match taken {
                Taken::Mine(lease) => winners.push(lease),
                Taken::Held(holder) => assert_eq!(holder.who, "one of eight"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        let winner = winners.pop().expect("one");
        assert_eq!(winner.token(), round);
        winner.release().await.expect("a good store");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_want_it_one_gets_it() {
    let lake = TestLake::new().await;
    let lakes = join_all((0..8).map(|_| lake.again())).await;
    check_one_winner(&lakes, 100).await;
    check_one_winner(&vec![in_memory().await; 8], 100).await;
}

#[tokio::test]
async fn who_comes_too_late_is_told_who_has_it() {
    let lake = in_memory().await;
    let lease = mine(&lake, "the first").await;
    lease.beat(b"half done").await.expect("a beat");
    let holder = held(&lake, "the second").await;
    assert_eq!(holder.who, "the first");
    assert_eq!(holder.pid, std::process::id());
    assert_eq!(holder.said, b"half done");
    assert_eq!(
        lake.leases().await.expect("a list"),
        [("job".to_owned(), holder)]
    );
    lease.release().await.expect("a release");
    assert_eq!(lake.leases().await.expect("a list"), []);
    assert_eq!(mine(&lake, "the second").await.token(), 2);
}

#[tokio::test]
async fn leases_of_other_names_are_free() {
    let lake = in_memory().await;
    let _lease = mine(&lake, "somebody").await;
    let other = lake.lease("refresh public.clv / all", "somebody", TTL);
    assert!(matches!(other.await, Ok(Taken::Mine(_))));
    let names: Vec<String> = lake
        .leases()
        .await
        .expect("a list")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["job", "refresh public.clv / all"]);
}

/// As if nothing had been written to the file since.
fn age(lake: &TestLake, file: &str, by: Duration) {
    let path = lake.file(format!("_rapport/leases/job/{file}"));
    let file = std::fs::File::options().write(true).open(path);
    let then = SystemTime::now() - by;
    file.and_then(|file| file.set_modified(then))
        .expect("a file");
}

#[tokio::test]
async fn a_beat_keeps_it_and_silence_loses_it() {
    let lake = TestLake::new().await;
    let lease = mine(&lake, "the first").await;
    age(&lake, "00000000000000000001.json", 10 * TTL);
    lease.beat(b"").await.expect("a beat");
    assert_eq!(held(&lake, "the second").await.who, "the first");
    age(
        &lake,
        "00000000000000000001.beat",
        TTL - Duration::from_secs(5),
    );
    assert_eq!(held(&lake, "the second").await.who, "the first");
    age(
        &lake,
        "00000000000000000001.beat",
        TTL + Duration::from_secs(1),
    );
    let second = mine(&lake, "the second").await;
    assert_eq!(second.token(), 2);
    assert!(matches!(
        lease.beat(b"").await,
        Err(Error::LeaseLost { .. })
    ));
    assert!(matches!(
        lease.keep(Vec::new).await,
        Error::LeaseLost { .. }
    ));
    second.beat(b"").await.expect("a beat");
}

#[tokio::test]
async fn files_of_old_tokens_are_removed() {
    let lake = in_memory().await;
    for _ in 0..3 {
        let lease = mine(&lake, "somebody").await;
        lease.beat(b"").await.expect("a beat");
        lease.release().await.expect("a release");
    }
    let of_the_third = ["beat", "done", "json"].map(|kind| format!("{:020}.{kind}", 3));
    assert_eq!(files(&lake).await, of_the_third);
}

#[tokio::test]
async fn a_claim_made_again_under_an_old_token_does_not_count() {
    let lake = in_memory().await;
    silent(&lake).await;
    let second = mine(&lake, "the second").await;
    // A slow one that looked before the second came, and puts its claim after the second has cleared up.
    let late = Path::from(format!("_rapport/leases/job/{:020}.json", 1));
    let put = lake
        .store()
        .put(&late, PutPayload::from_static(b"{}"))
        .await;
    put.expect("a good store");
    second.beat(b"").await.expect("a beat");
    assert_eq!(held(&lake, "the third").await.who, "the second");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_lease_of_a_process_that_died_is_free_at_once() {
    let lake = TestLake::new().await;
    let _lease = mine(&lake, "the dead").await;
    let path = lake.file("_rapport/leases/job/00000000000000000001.json");
    let text = std::fs::read_to_string(&path).expect("a claim");
    let mut claim: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut child = std::process::Command::new("true")
        .spawn()
        .expect("a process");
    child.wait().expect("our own child");
    claim["process"]["pid"] = child.id().into();
    std::fs::write(&path, claim.to_string()).expect("a claim");
    assert_eq!(mine(&lake, "the next").await.token(), 2);
}

/// A table of one customer that is fenced off by the lease.
async fn fenced_table(lake: &Lake, lease: &Lease) -> Table {
    let definition = Definition::new(interactions_schema());
    let table = lake.create_table(&interactions(), &definition).await;
    let table = table.expect("a new table");
    append(&table, &[1]).await.expect("an append");
    fence(&table, lease).await;
    table
}

async fn fence(table: &Table, lease: &Lease) {
    table.fence("scores", lease.token()).await.expect("a fence");
}

/// All rows replaced by those of one customer.
async fn draft(table: &Table, lease: &Lease, customer: i64) -> Draft {
    let base = table.snapshot().await.expect("a snapshot");
    let mut draft = table.draft(&base).fenced("scores", lease.token());
    draft.truncate().expect("a table");
    let rows = stream_of(vec![rows(&[customer])]);
    draft.append(rows).await.expect("rows");
    draft
}

async fn history(lake: &Lake) -> Draft {
    let name = TableName::public("history");
    let definition = Definition::new(interactions_schema());
    let draft = lake.draft_new(&name, &definition).await;
    let mut draft = draft.expect("a new table");
    let rows = stream_of(vec![rows(&[9])]);
    draft.append(rows).await.expect("rows");
    draft
}

async fn check_rows(table: &Table, expected: &[i64]) {
    let snapshot = table.snapshot().await.expect("a snapshot");
    assert_eq!(customers(table, &snapshot).await, expected);
}

async fn has_history(lake: &Lake) -> bool {
    let names = lake.table_names().await.expect("a list");
    names.contains(&TableName::public("history"))
}

#[tokio::test]
async fn who_holds_the_lease_publishes_again_and_again() {
    let lake = in_memory().await;
    let lease = mine(&lake, "somebody").await;
    let table = fenced_table(&lake, &lease).await;
    for customer in [2, 3] {
        let drafts = [draft(&table, &lease, customer).await];
        lake.commit(&drafts, "writer", customer)
            .await
            .expect("a commit");
        check_rows(&table, &[customer]).await;
    }
    let drafts = [history(&lake).await, draft(&table, &lease, 4).await];
    lake.commit(&drafts, "writer", 4).await.expect("a commit");
    check_rows(&table, &[4]).await;
    assert!(has_history(&lake).await);
}

#[tokio::test]
async fn who_was_overtaken_publishes_nothing() {
    for is_alone in [true, false] {
        let lake = in_memory().await;
        let paused = silent(&lake).await;
        let table = fenced_table(&lake, &paused).await;
        let mut drafts = vec![draft(&table, &paused, 2).await];
        if !is_alone {
            drafts.insert(0, history(&lake).await);
        }
        let next = mine(&lake, "the next").await;
        fence(&table, &next).await;
        let refused = lake.commit(&drafts, "paused", 1).await;
        assert!(
            matches!(refused, Err(Error::Fenced { token: 1, .. })),
            "{refused:?}"
        );
        check_rows(&table, &[1]).await;
        let drafts = [draft(&table, &next, 3).await];
        lake.commit(&drafts, "next", 1).await.expect("a commit");
        check_rows(&table, &[3]).await;
        assert!(!has_history(&lake).await);
        // It can't put its own fence back either, though the table was emptied since.
        let refused = table.fence("scores", paused.token()).await;
        assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    }
}

/// The journal of a transaction of which nothing has landed, as one leaves it that dies after writing it.
async fn journal(lake: &Lake, drafts: &[Draft]) {
    let mut works: Vec<_> = drafts.iter().filter_map(Draft::work).collect();
    works.sort_by_key(|work| work.fence.is_none());
    for work in &mut works {
        work.txn = Some(("rapport.block.dead".into(), 1));
    }
    let text = serde_json::to_string(&works).expect("JSON");
    let path = Path::from("_rapport/journal/dead.1.json");
    let put = lake.store().put(&path, text.into()).await;
    put.expect("a good store");
}

#[tokio::test]
async fn the_journal_of_one_who_was_overtaken_is_not_finished() {
    let lake = in_memory().await;
    let dead = silent(&lake).await;
    let table = fenced_table(&lake, &dead).await;
    let drafts = [draft(&table, &dead, 2).await, history(&lake).await];
    let next = mine(&lake, "the next").await;
    fence(&table, &next).await;
    journal(&lake, &drafts).await;
    lake.finish_journals().await.expect("a good store");
    check_rows(&table, &[1]).await;
    assert!(!has_history(&lake).await);
    lake.finish_journals().await.expect("nothing is left to do");
}

#[tokio::test]
async fn the_next_holder_finishes_the_journal_of_the_dead_one() {
    let lake = in_memory().await;
    let dead = silent(&lake).await;
    let table = fenced_table(&lake, &dead).await;
    let drafts = [draft(&table, &dead, 2).await, history(&lake).await];
    journal(&lake, &drafts).await;
    let next = mine(&lake, "the next").await;
    fence(&table, &next).await;
    check_rows(&table, &[2]).await;
    assert!(has_history(&lake).await);
}

#[tokio::test]
async fn a_journal_whose_first_part_has_landed_is_finished_behind_the_next_fence() {
    let lake = in_memory().await;
    let dead = silent(&lake).await;
    let table = fenced_table(&lake, &dead).await;
    let first = draft(&table, &dead, 2).await;
    journal(&lake, std::slice::from_ref(&first)).await;
    lake.finish_journals().await.expect("a good store");
    journal(&lake, &[first, history(&lake).await]).await;
    table.fence("scores", 7).await.expect("a fence");
    lake.finish_journals().await.expect("a good store");
    check_rows(&table, &[2]).await;
    assert!(has_history(&lake).await);
}

/// Another process, which does what it is told line by line.
#[cfg(unix)]
struct Other {
    child: std::process::Child,
    said: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
}

#[cfg(unix)]
impl Other {
    const FOLDER: &str = "RAPPORT_TEST_LAKE";
    const BEGINS: &str = "token ";

    /// Holds the lease, with the promise to beat within `ttl`.
    fn start(lake: &TestLake, ttl: Duration) -> Self {
        use std::io::BufRead;
        let mut child = std::process::Command::new(std::env::current_exe().expect("a test"))
            .args([
                "tests::lease::another_process",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(Self::FOLDER, lake.folder.path())
            .env("RAPPORT_TEST_TTL", ttl.as_millis().to_string())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("this very program");
        let out = child.stdout.take().expect("piped");
        let said = std::io::BufReader::new(out).lines();
        let mut other = Self { child, said };
        assert!(other.line(Self::BEGINS).starts_with(Self::BEGINS));
        other
    }

    fn line(&mut self, begins: &str) -> String {
        let mut lines = self.said.by_ref().map(|line| line.expect("text"));
        let found = lines.find(|line| line.starts_with(begins));
        found.expect("it goes on")
    }

    fn tell(&mut self, word: &str) {
        use std::io::Write;
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{word}").expect("it listens");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let kill = std::process::Command::new("kill")
            .args(["-s", signal, &pid])
            .status();
        assert!(kill.expect("kill").success());
    }
}

#[cfg(unix)]
#[tokio::test]
#[ignore = "started by the tests below, as another process"]
async fn another_process() {
    let Some(folder) = std::env::var_os(Other::FOLDER) else {
        return;
    };
    let ttl = std::env::var("RAPPORT_TEST_TTL").expect("set beside it");
    let ttl = Duration::from_millis(ttl.parse().expect("a number"));
    let lake = open(folder.as_ref()).await;
    let Ok(Taken::Mine(lease)) = lake.lease("job", "the other", ttl).await else {
        panic!("nobody has it");
    };
    let table = lake.table(&interactions()).await.expect("a table");
    fence(&table, &lease).await;
    let drafts = [draft(&table, &lease, 2).await, history(&lake).await];
    println!("\n{}{}", Other::BEGINS, lease.token());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line");
    let writer = format!("process {}", std::process::id());
    let done = lake.commit(&drafts, &writer, 1).await;
    println!("done {done:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn in_30_rounds_a_holder_is_killed_and_the_next_goes_on_at_once() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    append(&table, &[1]).await.expect("an append");
    for round in 0..30 {
        let mut other = Other::start(&lake, TTL);
        assert_eq!(held(&lake, "the next").await.pid, other.child.id());
        if round % 2 == 1 {
            // At some moment of its transaction, which takes some milliseconds.
            other.tell("publish");
            std::thread::sleep(Duration::from_micros(500 * round as u64));
        }
        other.child.kill().expect("our own child");
        other.child.wait().expect("our own child");
        let next = mine(&lake, "the next").await;
        fence(&table, &next).await;
        let has_published =
            customers(&table, &table.snapshot().await.expect("a snapshot")).await == [2];
        assert_eq!(has_published, has_history(&lake).await, "round {round}");
        if has_published {
            lake.drop_table(&TableName::public("history"))
                .await
                .expect("a table");
        }
        let drafts = [draft(&table, &next, 1).await];
        let committed = lake.lake.commit(&drafts, "next", round).await;
        committed.expect("a commit");
        check_rows(&table, &[1]).await;
        next.release().await.expect("a release");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_that_was_paused_publishes_nothing_when_it_wakes() {
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    append(&table, &[1]).await.expect("an append");
    let mut other = Other::start(&lake, Duration::ZERO);
    other.signal("STOP");
    let next = mine(&lake, "the next").await;
    fence(&table, &next).await;
    other.tell("publish");
    other.signal("CONT");
    let done = other.line("done ");
    assert!(done.starts_with("done Err(Fenced {"), "{done}");
    other.child.wait().expect("our own child");
    check_rows(&table, &[1]).await;
    assert!(!has_history(&lake).await);
}
