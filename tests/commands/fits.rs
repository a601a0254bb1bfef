//! A model that is being fitted is let go by a cancel request and by `statement_timeout`: the client hears of it, and the
//! server rests.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::fixtures::trial::trials;
use crate::fixtures::warehouse::{Endpoint, Warehouse};

pub fn trials() -> Vec<Trial> {
    trials!["commands";
        a_cancelled_fit_ends,
        a_fit_ends_at_its_timeout,
    ]
}

/// One of each way to fit; nobody is like anybody else, so that it takes long.
fn fits() -> Vec<String> {
    // Columns of whole numbers that follow from `v`, and not from each other.
    let features = |n: usize| {
        let of = |n: usize| format!("v::bigint * {} % {}", 7_919 + 2 * n, 10_007 + 2 * n);
        (0..n).map(of).collect::<Vec<_>>().join(", ")
    };
    let from = |n: u32| format!("FROM generate_series(1, {n}) AS g (v)");
    let (few, many) = (features(10), features(400));
    vec![
        // By gradients, as all models of repeat buyers.
        format!(
            "SELECT (pnbd_fit(2 + v % 5, 1 + v % 997 / 7.0 + v / 1e7, 200 + v / 1e6)).r {}",
            from(1_000_000)
        ),
        format!(
            "SELECT (kmeans_fit(2000, v::bigint * 7919 % 100003, v::bigint * 104729 % 99991, v::bigint * 31 % 9973)).inertia {}",
            from(300_000)
        ),
        format!("SELECT (gmm_fit(20, {few})).log_likelihood {}", from(200_000)),
        format!("SELECT silhouette(v % 5, ARRAY[{many}]) {}", from(50_000)),
        format!("SELECT boosting_fit(v % 7 = 0, {few}) {}", from(500_000)),
        // By curvatures, as the ridge and the times to failure.
        format!(
            "SELECT (logistic_fit(v::bigint * 31 % 97 < 40, ARRAY[{many}])).log_likelihood {}",
            from(80_000)
        ),
        format!(
            "SELECT (cox_fit(1 + v % 997, v % 3 = 0, ARRAY[{many}])).log_likelihood {}",
            from(50_000)
        ),
        format!(
            "SELECT cardinality(als_recommend(v % 200000, v::bigint * 7919 % 50021, 1, 5, 128)) {}",
            from(1_000_000)
        ),
        format!(
            "SELECT cardinality(item_neighbours(v % 2000, v / 2000, 'cosine', 5)) {}",
            from(8_000_000)
        ),
        format!(
            "SELECT cardinality(attribution_credits('markov_4', ARRAY[v % 211, v::bigint * 7919 % 199,
                v::bigint * 31 % 197, v::bigint * 17 % 193, v::bigint * 7 % 191], 1, 1)) {}",
            from(400_000)
        ),
    ]
}
const SOON: Duration = Duration::from_secs(1);

fn a_cancelled_fit_ends() -> Result<()> {
    with_client(async |client, endpoint| {
        for sql in fits() {
            let cancel = client.cancel_token();
            let asked = async { (client.simple_query(&sql).await, Instant::now()) };
            let cancelled = async {
                // Long enough to be at the fit itself.
                tokio::time::sleep(Duration::from_secs(6)).await;
                let at = Instant::now();
                cancel.cancel_query(NoTls).await.map(|()| at)
            };
            let ((answer, ended), cancelled) = tokio::join!(asked, cancelled);
            let said = format!("{sql:.80}");
            check(answer, "due to user request").context(said.clone())?;
            ensure!(ended - cancelled? < SOON, "{said}: it was not ended soon");
            rests(endpoint).await.context(said)?;
        }
        Ok(())
    })
}

fn a_fit_ends_at_its_timeout() -> Result<()> {
    with_client(async |client, endpoint| {
        client.batch_execute("SET statement_timeout = '6s'").await?;
        // Who asks is the same in all fits, so two of them are enough.
        for sql in fits().into_iter().take(2) {
            let started = Instant::now();
            let answer = client.simple_query(&sql).await;
            let late = started.elapsed().saturating_sub(Duration::from_secs(6));
            let said = format!("{sql:.80}");
            check(answer, "due to statement timeout").context(said.clone())?;
            ensure!(late < SOON, "{said}: it was ended {late:?} late");
            rests(endpoint).await.context(said)?;
        }
        Ok(())
    })
}

fn with_client(work: impl AsyncFnOnce(Client, &Endpoint) -> Result<()>) -> Result<()> {
    let server = Warehouse::init()?.serve()?;
    let endpoint = server.endpoint();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (client, connection) = endpoint.config().connect(NoTls).await?;
        tokio::spawn(connection);
        work(client, endpoint).await
    })
}

fn check(answer: Result<Vec<SimpleQueryMessage>, tokio_postgres::Error>, why: &str) -> Result<()> {
    let error = answer.err().context("it came to its end")?;
    let error = error.as_db_error().context("the connection is lost")?;
    ensure!(error.code().code() == "57014", "{error}");
    ensure!(error.message().contains(why), "{error}");
    Ok(())
}

/// Within a second of the end, no thread of the server is at work.
async fn rests(endpoint: &Endpoint) -> Result<()> {
    tokio::time::sleep(SOON).await;
    let before = ticks(endpoint.process)?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let used = ticks(endpoint.process)? - before;
    ensure!(used < 15, "the server goes on: {used} ticks of 50");
    Ok(())
}

/// Hundredths of a second of the processor that a process has had.
fn ticks(process: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a name in brackets")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}
