//! Cancel, timeout and a client that has gone stop the work, whatever operator is at it.

use std::time::{Duration, Instant};

use futures::StreamExt;

use super::*;

const SORT: &str = "SELECT a.v FROM generate_series(1, 20000) AS a (v), generate_series(1, 20000) AS b (v) ORDER BY a.v * b.v % 1000003";
const JOIN: &str = "SELECT count(*) FROM generate_series(1, 300000) AS a (v), generate_series(1, 300000) AS b (v) WHERE a.v + b.v = 7";
const HASH_JOIN: &str = "SELECT count(*) FROM generate_series(1, 400000) AS a (v) JOIN generate_series(1, 400000) AS b (v) ON a.v % 3 = b.v % 3";
const AGGREGATE: &str = "SELECT max(n) FROM (SELECT a.v * b.v AS k, count(*) AS n FROM generate_series(1, 30000) AS a (v), generate_series(1, 30000) AS b (v) GROUP BY a.v * b.v % 999983, a.v * b.v) AS s";
const WINDOW: &str = "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY a.v * b.v % 10007) AS n FROM generate_series(1, 20000) AS a (v), generate_series(1, 20000) AS b (v)) AS s";
const WIDE_WINDOW: &str = "SELECT sum(n) FROM (SELECT sum(v) OVER (ORDER BY v ROWS BETWEEN 100000 PRECEDING AND 100000 FOLLOWING) AS n FROM generate_series(1, 300000000) AS a (v)) AS s";
const SPILL: &str = "SELECT v FROM (SELECT a.v, md5(a.v::text) AS k FROM generate_series(1, 100000000) AS a (v)) AS s ORDER BY k";
const RECURSIVE: &str = "WITH RECURSIVE r AS (SELECT 1 AS v UNION ALL SELECT v + 1 FROM r WHERE v < 1000000000) SELECT count(*) FROM r";
// Nobody is like anybody else: each step of the climb looks at all of them.
const FIT: &str = "SELECT (pnbd_fit(2 + v % 5, 1 + v % 997 / 7.0 + v / 1e7, 200 + v / 1e6)).r FROM generate_series(1, 300000) AS g (v)";
const FIT_OF_GROUPS: &str = "SELECT v % 3, (pnbd_fit(2 + v % 5, 1 + v % 997 / 7.0 + v / 1e7, 200 + v / 1e6)).r FROM generate_series(1, 300000) AS g (v) GROUP BY 1";
const CLUSTERS: &str = "SELECT (kmeans_fit(500, v::bigint * 7919 % 100003, v::bigint * 104729 % 99991, v::bigint * 31 % 9973)).inertia FROM generate_series(1, 300000) AS g (v)";
// Thousands of rows come to a function of one row at once.
const LIFETIMES: &str = "SELECT sum(customer_lifetime_value(0.243, 4.414, 0.793, 2.426, 6.25, 3.74, 15.44, 2, 30.43, 38.86, v, 10000, 0.0027)) FROM generate_series(1, 100000) AS g (v)";
const REPEATS: &str = "SELECT count(*) FROM generate_series(1, 100000) AS g (v) WHERE bgnbd_probability_of_repeats(0.243, 4.414, 0.793, 2.426, 900000 - v % 2, 39) > 2";
const NAMES: &str = "SELECT v FROM generate_series(1, 100000) AS g (v) ORDER BY jaro_winkler(repeat('ab', 50000) || v::text, repeat('ba', 50000)) LIMIT 1";
const IN_A_JOIN: &str = "SELECT v FROM generate_series(1, 3) AS g (v) WHERE v IN (SELECT v FROM generate_series(1, 50000) AS h (v) WHERE bgnbd_probability_of_repeats(0.243, 4.414, 0.793, 2.426, 900000, v) > 2)";
const STREAM: &str = "SELECT a.v FROM generate_series(1, 1000000000) AS a (v)";

/// Long enough to be at work, and then the work is over within a second.
async fn check(sql: &str) {
    let house = House::new().await;
    let mut session = house.session();
    let cancel = session.cancel_token();
    let outcome = execute(&mut session, sql, vec![]).await.expect("it starts");
    let Outcome::Rows { mut stream, .. } = outcome else {
        panic!("rows")
    };
    let reading = tokio::spawn(async move {
        while let Some(batch) = stream.next().await {
            if let Err(error) = batch {
                return Some(Error::from(error));
            }
        }
        None
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(house.warehouse.running(), 1, "it is at work: {sql}");
    let started = Instant::now();
    cancel.cancel();
    let error = reading.await.expect("it reads");
    assert!(matches!(error, Some(Error::Cancelled)), "{sql}: {error:?}");
    assert!(
        started.elapsed() < Duration::from_millis(300),
        "the client waits no longer: {sql}"
    );
    until_idle(&house, started, sql).await;
}

async fn until_idle(house: &House, started: Instant, sql: &str) {
    while house.warehouse.running() > 0 {
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "the work goes on: {sql}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let used = cpu_time();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(
        cpu_time() - used < Duration::from_millis(150),
        "some thread goes on: {sql}"
    );
}

/// Of this process.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .expect("a name in brackets")
        .1
        .split_whitespace()
        .collect();
    let ticks: u64 = [11, 12]
        .iter()
        .map(|at| fields[*at].parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(ticks * 10)
}

// One test, because another's work would be taken for ours.
#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
#[ignore = "wants the processor for itself; run it alone"]
async fn cancel_stops_the_work() {
    for sql in [
        STREAM,
        SORT,
        JOIN,
        HASH_JOIN,
        AGGREGATE,
        WINDOW,
        WIDE_WINDOW,
        RECURSIVE,
        SPILL,
        FIT,
        FIT_OF_GROUPS,
        CLUSTERS,
        LIFETIMES,
        REPEATS,
        NAMES,
        IN_A_JOIN,
    ] {
        check(sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_ends_the_statement() {
    let house = House::new().await;
    let mut session = house.session();
    session.set("statement_timeout", "300").expect("it is set");
    for sql in [SORT, HASH_JOIN, AGGREGATE] {
        let started = Instant::now();
        let error = ask(&mut session, sql).await.expect_err("it is ended");
        assert!(matches!(error, Error::TimedOut), "{sql}: {error:?}");
        assert!(started.elapsed() < Duration::from_millis(1_500), "{sql}");
    }
}

/// The client hears of it at once; here its work is over as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_fit_and_a_function_end_with_their_statement() {
    for sql in [
        FIT,
        FIT_OF_GROUPS,
        CLUSTERS,
        LIFETIMES,
        REPEATS,
        NAMES,
        IN_A_JOIN,
    ] {
        let house = House::new().await;
        let mut session = house.session();
        session.set("statement_timeout", "2s").expect("it is set");
        let started = Instant::now();
        let error = ask(&mut session, sql).await.expect_err("it is ended");
        assert!(matches!(error, Error::TimedOut), "{sql}: {error:?}");
        while house.warehouse.running() > 0 {
            let late = started.elapsed();
            assert!(late < Duration::from_secs(3), "the work goes on: {sql}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_dropped_stops_the_work() {
    let house = House::new().await;
    let mut session = house.session();
    let Outcome::Rows { mut stream, .. } = execute(&mut session, STREAM, vec![])
        .await
        .expect("it starts")
    else {
        panic!("rows")
    };
    stream.next().await.expect("a batch").expect("no error");
    drop(stream);
    let started = Instant::now();
    while house.warehouse.running() > 0 {
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "the work goes on"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_cancel_before_the_statement_keeps_it_from_starting_and_no_other() {
    let house = House::new().await;
    let mut session = house.session();
    session.cancel_token().cancel();
    assert!(matches!(
        ask(&mut session, "SELECT 1").await,
        Err(Error::Cancelled)
    ));
    session.cancel_token();
    assert_eq!(ask(&mut session, "SELECT 1").await.expect("it runs"), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_over_its_memory_share_fails_or_spills() {
    let house = House::with(Limits {
        threads: 2,
        query_memory_bytes: 32 << 20,
        ..Limits::default()
    })
    .await;
    let error = house
        .error("SELECT count(*) FROM generate_series(1, 5000000) AS a (v) JOIN generate_series(1, 5000000) AS b (v) ON a.v = b.v")
        .await;
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error:?}");
    let sorted = house
        .ask("SELECT count(*) FROM (SELECT v, v * 7919 % 1000003 AS k FROM generate_series(1, 3000000) AS g (v) ORDER BY k, v OFFSET 1) AS s")
        .await;
    assert_eq!(sorted, ["2999999"]);
    assert_eq!(house.ask("SELECT 1").await, ["1"]);
}
