//! Runs of jobs over a lake in a temporary folder, without a catalogue, and with a clock that does not wait.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use rapport_engine::{Limits, Outcome, Warehouse};
use rapport_lake::compact::Policy;
use rapport_lake::{Append, Lake, Location, TableName, Taken};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::columns::{make, named};
use crate::scheduler::Terms;
use crate::{
    Check, Clock, Compact, Context, Endpoint, Failure, Job, Metrics, Models, Progress, Result,
    Rules, Schedule, ScheduledModel, Scheduler, Summary, Vacuum,
};

/// Goes on by as much as is slept.
struct Jumping(Mutex<DateTime<Utc>>);

#[async_trait]
impl Clock for Jumping {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().expect("no panic")
    }

    async fn sleep(&self, time: Duration) {
        *self.0.lock().expect("no panic") += time;
        tokio::task::yield_now().await;
    }
}

fn at(text: &str) -> DateTime<Utc> {
    let time = DateTime::parse_from_rfc3339(text).expect(text);
    time.with_timezone(&Utc)
}

type Does = dyn Fn(u32) -> std::result::Result<Summary, Failure> + Send + Sync;

/// At three each night.
struct Nightly {
    schedule: Schedule,
    runs: AtomicU32,
    /// `None`: it never ends.
    does: Option<Box<Does>>,
    limit: Option<Duration>,
}

impl Nightly {
    fn that(
        does: impl Fn(u32) -> std::result::Result<Summary, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self {
            does: Some(Box::new(does)),
            ..Self::endless()
        }
    }

    fn endless() -> Self {
        Self {
            schedule: Schedule::parse("0 3 * * *", "UTC").expect("a schedule"),
            runs: AtomicU32::new(0),
            does: None,
            limit: None,
        }
    }
}

#[async_trait]
impl Job for Nightly {
    fn name(&self) -> String {
        "nightly".into()
    }

    fn kind(&self) -> &'static str {
        "test"
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn max_run_time(&self) -> Option<Duration> {
        self.limit
    }

    async fn run(&self, context: &Context) -> std::result::Result<Summary, Failure> {
        context.progress.set("working", 1, 2);
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        match &self.does {
            Some(does) => does(run),
            None => std::future::pending().await,
        }
    }
}

fn done() -> Summary {
    Summary {
        rows: 7,
        message: "done".into(),
    }
}

async fn warehouse(folder: &TempDir) -> Warehouse {
    let location = Location::parse(&folder.path().display().to_string(), []).expect("a path");
    let lake = Lake::open(location).await.expect("a folder");
    lake.create_root().await.expect("a lake");
    let limits = Limits {
        threads: 2,
        ..Limits::default()
    };
    Warehouse::open(lake, None, limits).await.expect("it opens")
}

async fn scheduler(
    warehouse: &Warehouse,
    jobs: Vec<Arc<dyn Job>>,
    models: Option<Arc<dyn Models>>,
    who: &str,
    now: &str,
) -> Result<Scheduler> {
    let metrics = Metrics::new(warehouse.clone(), Endpoint::default, models.clone());
    let rules = Rules {
        who: who.into(),
        lease: Duration::from_secs(30),
        max_run_time: Duration::from_secs(600),
        retries: 3,
        max_jitter: Duration::ZERO,
        time_zone: "UTC".into(),
    };
    let clock = Arc::new(Jumping(Mutex::new(at(now))));
    Scheduler::open(warehouse.clone(), jobs, models, metrics, clock, rules).await
}

/// Runs the jobs until `enough` says so.
async fn run_until(scheduler: Scheduler, enough: CancellationToken) {
    tokio::time::timeout(Duration::from_secs(60), scheduler.run(enough))
        .await
        .expect("it ends");
}

/// Rows as text, columns with a bar between them.
async fn ask(warehouse: &Warehouse, sql: &str) -> Vec<String> {
    let mut session = warehouse.session("tester");
    let statement = session.parse(sql).expect(sql).remove(0);
    let prepared = session.prepare(&statement, &[]).await.expect(sql);
    let Outcome::Rows { stream, .. } = session.execute(&prepared, vec![]).await.expect(sql) else {
        panic!("{sql} has no rows");
    };
    let batches: Vec<_> = stream.try_collect().await.expect(sql);
    let mut lines = vec![];
    for rows in batches {
        let texts: Vec<_> = rows
            .columns()
            .iter()
            .map(|column| cast(column, &DataType::Utf8).expect("everything has a text"))
            .collect();
        for row in 0..rows.num_rows() {
            let values: Vec<&str> = texts
                .iter()
                .map(|texts| texts.as_string::<i32>().value(row))
                .collect();
            lines.push(values.join("|"));
        }
    }
    lines
}

const RUNS: &str = "SELECT started_at, status, rows, message, attempt FROM system.job_runs ORDER BY started_at, attempt";

#[tokio::test]
async fn a_job_runs_each_night_and_what_was_missed_is_caught_up_once() {
    let folder = TempDir::new().expect("a folder");
    let warehouse = warehouse(&folder).await;
    for (now, runs) in [("2026-05-01T12:00:00Z", 2), ("2026-05-20T12:00:00Z", 2)] {
        let enough = CancellationToken::new();
        let stop = enough.clone();
        let job = Nightly::that(move |run| {
            if run == runs {
                stop.cancel();
            }
            Ok(done())
        });
        let scheduler = scheduler(&warehouse, vec![Arc::new(job)], None, "one", now).await;
        run_until(scheduler.expect("it opens"), enough).await;
    }
    let days = [
        "2026-05-02T03",
        "2026-05-03T03",
        "2026-05-20T12",
        "2026-05-21T03",
    ];
    let expected = days.map(|day| format!("{day}:00:00Z|ok|7|done|1"));
    assert_eq!(ask(&warehouse, RUNS).await, expected);
}

#[tokio::test]
async fn failures_and_panics_are_tried_again_and_written_down() {
    let folder = TempDir::new().expect("a folder");
    let warehouse = warehouse(&folder).await;
    let enough = CancellationToken::new();
    let stop = enough.clone();
    let job = Nightly::that(move |run| match run {
        1 => Err(Failure::of("the disk is full")),
        2 => panic!("a mistake"),
        _ => {
            stop.cancel();
            Ok(done())
        }
    });
    let now = "2026-05-01T12:00:00Z";
    let scheduler = scheduler(&warehouse, vec![Arc::new(job)], None, "one", now).await;
    run_until(scheduler.expect("it opens"), enough).await;
    let expected = [
        "2026-05-02T03:00:00Z|failed||the disk is full|1",
        "2026-05-02T03:01:00Z|failed||internal error: the job panicked|2",
        "2026-05-02T03:05:00Z|ok|7|done|3",
    ];
    assert_eq!(ask(&warehouse, RUNS).await, expected);
}

/// One run at the given moment, and how it ended.
async fn run_once(
    scheduler: &Scheduler,
    job: Nightly,
    due: &str,
    stop: &CancellationToken,
) -> String {
    let job: Arc<dyn Job> = Arc::new(job);
    let status = scheduler.house.run(&job, at(due), 1, stop).await;
    status.word().to_owned()
}

const DUE: &str = "2026-05-02T03:00:00Z";

#[tokio::test]
async fn a_run_that_takes_too_long_is_ended() {
    let folder = TempDir::new().expect("a folder");
    let warehouse = warehouse(&folder).await;
    let scheduler = scheduler(&warehouse, vec![], None, "one", DUE)
        .await
        .expect("it opens");
    let job = Nightly {
        limit: Some(Duration::from_millis(1)),
        ..Nightly::endless()
    };
    let stop = CancellationToken::new();
    assert_eq!(run_once(&scheduler, job, DUE, &stop).await, "timed_out");
    assert_eq!(warehouse.lake().leases().await.expect("a list"), []);
}

#[tokio::test]
async fn a_server_that_stops_ends_its_runs_and_another_goes_on() {
    let folder = TempDir::new().expect("a folder");
    let warehouse = warehouse(&folder).await;
    let scheduler = scheduler(&warehouse, vec![], None, "one", DUE)
        .await
        .expect("it opens");
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(
        run_once(&scheduler, Nightly::endless(), DUE, &stop).await,
        "interrupted"
    );
    let job = Nightly::that(|_| Ok(done()));
    assert_eq!(
        run_once(&scheduler, job, DUE, &CancellationToken::new()).await,
        "ok"
    );
}

#[tokio::test]
async fn who_comes_too_late_says_who_runs_it() {
    let folder = TempDir::new().expect("a folder");
    let warehouse = warehouse(&folder).await;
    let scheduler = scheduler(&warehouse, vec![], None, "one", DUE)
        .await
        .expect("it opens");
    let ttl = Duration::from_secs(30);
    let Ok(Taken::Mine(lease)) = warehouse.lake().lease("nightly", "the other", ttl).await else {
        panic!("nobody else has it");
    };
    let stop = CancellationToken::new();
    let job = || Nightly::that(|_| Ok(done()));
    assert_eq!(run_once(&scheduler, job(), DUE, &stop).await, "skipped");
    let said = ask(&warehouse, "SELECT message FROM system.job_runs").await;
    assert!(said[0].starts_with("the other (host "), "{said:?}");
    lease.release().await.expect("a release");
    assert_eq!(run_once(&scheduler, job(), DUE, &stop).await, "ok");
    // The moment is taken care of; the next is not.
    assert_eq!(run_once(&scheduler, job(), DUE, &stop).await, "skipped");
    let later = "2026-05-03T03:00:00Z";
    assert_eq!(run_once(&scheduler, job(), later, &stop).await, "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_servers_one_runs_a_job_in_each_of_25_nights() {
    let folder = TempDir::new().expect("a folder");
    let (one, two) = (warehouse(&folder).await, warehouse(&folder).await);
    let stop = CancellationToken::new();
    for night in 1..=25 {
        let due = format!("2026-05-{night:02}T03:00:00Z");
        let one = scheduler(&one, vec![], None, "one", &due)
            .await
            .expect("it opens");
        let two = scheduler(&two, vec![], None, "two", &due)
            .await
            .expect("it opens");
        let job = || Nightly::that(|_| Ok(done()));
        let (first, second) = tokio::join!(
            run_once(&one, job(), &due, &stop),
            run_once(&two, job(), &due, &stop),
        );
        let mut ends = [first, second];
        ends.sort();
        assert_eq!(ends, ["ok", "skipped"], "night {night}");
    }
}

#[tokio::test]
async fn what_is_planned_and_what_runs_can_be_asked_for() {
    let folder = TempDir::new().expect("a folder");
    let warehouse = warehouse(&folder).await;
    let (schedule, keep) = (
        Nightly::endless().schedule,
        Duration::from_secs(30 * 86_400),
    );
    let jobs: Vec<Arc<dyn Job>> = vec![
        Arc::new(Compact {
            warehouse: warehouse.clone(),
            schedule: schedule.clone(),
            policy: Default::default(),
        }),
        Arc::new(Check {
            warehouse: warehouse.clone(),
            schedule: schedule.clone(),
        }),
        Arc::new(Vacuum {
            warehouse: warehouse.clone(),
            schedule,
            keep,
        }),
    ];
    let enough = CancellationToken::new();
    let scheduler = scheduler(&warehouse, jobs, None, "one", DUE)
        .await
        .expect("it opens");
    let house = scheduler.house.clone();
    let running = tokio::spawn(scheduler.run(enough.clone()));
    let ok = "SELECT count(DISTINCT job) FROM system.job_runs WHERE status = 'ok'";
    while ask(&warehouse, ok).await != ["3"] {
        tokio::task::yield_now().await;
    }
    let ttl = Duration::from_secs(30);
    let Ok(Taken::Mine(lease)) = warehouse
        .lake()
        .lease("refresh clv", "a command", ttl)
        .await
    else {
        panic!("nobody else has it");
    };
    let said = br#"{"phase":"fitting","done":3,"total":9,"seconds_left":4,"more":true}"#;
    lease.beat(said).await.expect("a beat");
    let sql = "SELECT job, kind, schedule, last_status, phase, done, total, seconds_left, next_run > last_run
               FROM system.jobs ORDER BY 1";
    let expected = [
        "check|check|0 3 * * * UTC|ok|||||true",
        "compact|compact|0 3 * * * UTC|ok|||||true",
        "refresh clv||||fitting|3|9|4|",
        "vacuum|vacuum|0 3 * * * UTC|ok|||||true",
    ];
    let sql = sql.replace("\n", " ");
    let rows = ask(&warehouse, &sql).await;
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert_eq!(rows[2], expected[2]);
    let text = house.metrics.text(house.clock.now()).await;
    for line in [
        "rapport_connections 0",
        "rapport_job_last_success_age_seconds{job=\"check\"} ",
    ] {
        assert!(text.contains(line), "{text}");
    }
    enough.cancel();
    running.await.expect("it ends");
    let found = ask(&warehouse, "SELECT job FROM system.jobs").await;
    assert_eq!(found, ["refresh clv"]);
    assert_eq!(
        ask(
            &warehouse,
            "SELECT count(*) FROM system.jobs VERSION AS OF 0"
        )
        .await,
        ["0"]
    );
    assert!(named("jobs").to_string() == "system.jobs");
}

struct OneModel {
    refreshed: AtomicU32,
    enough: CancellationToken,
}

#[async_trait]
impl Models for OneModel {
    async fn scheduled(&self) -> std::result::Result<Vec<ScheduledModel>, crate::BoxError> {
        let model = |job: &str, schedule: &str| ScheduledModel {
            model: "clv".into(),
            job: job.into(),
            schedule: schedule.into(),
            time_zone: Some("Europe/Warsaw".into()),
            max_run_time: None,
        };
        Ok(vec![
            model("refresh clv", "0 3 * * *"),
            model("refresh odd", "sometimes"),
        ])
    }

    async fn refresh(
        &self,
        model: &str,
        context: &Context,
    ) -> std::result::Result<Summary, Failure> {
        assert_eq!((model, context.token), ("clv", 1));
        self.refreshed.fetch_add(1, Ordering::SeqCst);
        self.enough.cancel();
        Ok(done())
    }

    async fn published(
        &self,
    ) -> std::result::Result<Vec<(String, DateTime<Utc>)>, crate::BoxError> {
        Ok(vec![("clv".into(), at("2026-05-01T00:00:00Z"))])
    }
}

#[tokio::test]
async fn a_model_is_refreshed_by_its_own_schedule_and_the_age_of_its_scores_told() {
    let folder = TempDir::new().expect("a folder");
    let warehouse = warehouse(&folder).await;
    let enough = CancellationToken::new();
    let models = Arc::new(OneModel {
        refreshed: AtomicU32::new(0),
        enough: enough.clone(),
    });
    let now = "2026-05-01T12:00:00Z";
    let scheduler = scheduler(&warehouse, vec![], Some(models.clone()), "one", now).await;
    let scheduler = scheduler.expect("it opens");
    let metrics = scheduler.house.metrics.clone();
    run_until(scheduler, enough).await;
    assert_eq!(models.refreshed.load(Ordering::SeqCst), 1);
    assert_eq!(
        ask(&warehouse, RUNS).await,
        ["2026-05-02T01:00:00Z|ok|7|done|1"]
    );
    let text = metrics.text(at("2026-05-02T00:00:00Z")).await;
    let age = "rapport_model_scores_age_seconds{model=\"clv\"} 86400\n";
    assert!(text.contains(age), "{text}");
    assert!(
        text.contains("rapport_job_runs_total{job=\"refresh clv\",status=\"ok\"} 1\n"),
        "{text}"
    );
}

/// A model whose refresh may take another time each time it is asked for.
struct Changing {
    asked: AtomicU32,
}

#[async_trait]
impl Models for Changing {
    async fn scheduled(&self) -> std::result::Result<Vec<ScheduledModel>, crate::BoxError> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(vec![ScheduledModel {
            model: "clv".into(),
            job: "refresh clv".into(),
            schedule: "0 3 * * *".into(),
            time_zone: None,
            max_run_time: (asked > 0).then_some(Duration::from_millis(1)),
        }])
    }

    async fn refresh(&self, _: &str, _: &Context) -> std::result::Result<Summary, Failure> {
        std::future::pending().await
    }

    async fn published(
        &self,
    ) -> std::result::Result<Vec<(String, DateTime<Utc>)>, crate::BoxError> {
        Ok(vec![])
    }
}

#[tokio::test]
async fn a_job_that_may_take_another_time_is_another_job() {
    let folder = TempDir::new().expect("a folder");
    let warehouse = warehouse(&folder).await;
    let models = Arc::new(Changing {
        asked: AtomicU32::new(0),
    });
    let scheduler = scheduler(&warehouse, vec![], Some(models), "one", DUE).await;
    let scheduler = scheduler.expect("it opens");
    let terms = async || {
        let jobs = scheduler.jobs_now().await.expect("a list");
        Terms::of(jobs[0].as_ref())
    };
    let (first, second, third) = (terms().await, terms().await, terms().await);
    assert_ne!(first, second);
    assert_eq!(second, third);
}

async fn table(warehouse: &Warehouse, name: &str) -> rapport_lake::Table {
    let name = TableName::public(name);
    let columns = [("n", "bigint", "A number")];
    make(warehouse, &name, &columns, "Numbers")
        .await
        .expect("a new table");
    warehouse.lake().table(&name).await.expect("a table")
}

#[tokio::test]
async fn a_damaged_table_is_told_of_and_does_not_keep_the_others_from_compaction() {
    let folder = TempDir::new().expect("a folder");
    let warehouse = warehouse(&folder).await;
    table(&warehouse, "broken").await;
    let whole = table(&warehouse, "whole").await;
    let schema = whole.snapshot().await.expect("a snapshot").schema();
    for n in 0..3 {
        let numbers = Arc::new(Int64Array::from(vec![n])) as ArrayRef;
        let rows = RecordBatch::try_new(schema.clone(), vec![numbers]).expect("a row");
        let rows = stream::iter([Ok(rows)]).boxed();
        whole.append(rows, Append::default()).await.expect("rows");
    }
    let log = "public/broken/_delta_log/00000000000000000000.json";
    std::fs::write(folder.path().join(log), "{").expect("a commit");
    // As a process sees it that has not read the table before.
    let warehouse = self::warehouse(&folder).await;
    let schedule = Nightly::endless().schedule;
    let context = Context {
        progress: Progress::default(),
        token: 1,
    };
    let compact = Compact {
        warehouse: warehouse.clone(),
        schedule: schedule.clone(),
        policy: Policy {
            min_today: 2,
            ..Policy::default()
        },
    };
    let Failure { why, again: true } = compact.run(&context).await.expect_err("a damaged table")
    else {
        panic!("it may be mended meanwhile");
    };
    assert!(why.starts_with("public.broken: "), "{why}");
    let files = whole.snapshot().await.expect("a snapshot").files().len();
    assert_eq!(files, 1);
    let check = Check {
        warehouse,
        schedule,
    };
    let Failure { why, again: false } = check.run(&context).await.expect_err("a damaged table")
    else {
        panic!("it stays so");
    };
    assert!(why.contains(log), "{why}");
}
