//! Where the time goes for one customer's history. Asked for by `--ignored --nocapture`.

use std::time::{Duration, Instant};

use super::*;

const CUSTOMERS: i64 = 100_000;
const ROWS: i64 = 3_500_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes 3.5 million rows; a measurement"]
async fn one_customers_history() {
    let house = House::with_history().await;
    let made = Instant::now();
    house
        .run(&format!(
            "INSERT INTO interactions (interaction_id, source, source_id, customer_id, occurred_at, received_at, channel, \
             interaction_type, session_id, product_id, amount, currency, duration_s, body, properties)
             SELECT md5(v::text), 'shop', 'S-' || v, v / 35, to_timestamp_seconds(1672531200 + v % 35 * 86400), \
             TIMESTAMPTZ '2026-01-01 00:00:00+00', CASE v % 4 WHEN 0 THEN 'web' WHEN 1 THEN 'phone' WHEN 2 THEN 'app' ELSE 'store' END, \
             CASE v % 3 WHEN 0 THEN 'view' WHEN 1 THEN 'contact' ELSE 'purchase' END, 'sess-' || (v / 5), 'P-' || (v % 2000), \
             v % 10000 / 100.0, 'EUR', v % 900, 'said something about order ' || v, '{{\"page\": ' || (v % 1000) || '}}'
             FROM generate_series(1, {ROWS}) AS g (v)"
        ))
        .await;
    let bytes = house
        .warehouse
        .provider(&TableName::public("interactions"))
        .await;
    drop(bytes);
    println!("{ROWS} rows written in {:?}", made.elapsed());

    let mut session = house.session();
    for (what, sql) in [
        (
            "history, all columns",
            "SELECT * FROM interactions WHERE customer_id = {}",
        ),
        (
            "history, 4 columns",
            "SELECT occurred_at, channel, interaction_type, amount FROM interactions WHERE customer_id = {} ORDER BY occurred_at",
        ),
        ("nothing at all", "SELECT 1 WHERE {} > 0"),
    ] {
        let mut planned = vec![];
        let mut total = vec![];
        for round in 0..60 {
            let customer = (round * 7919) % CUSTOMERS;
            let started = Instant::now();
            let statement = session
                .parse(&sql.replace("{}", &customer.to_string()))
                .expect("it parses")
                .remove(0);
            let prepared = session
                .prepare(&statement, &[])
                .await
                .expect("it is planned");
            planned.push(started.elapsed());
            let Outcome::Rows { stream, .. } =
                session.execute(&prepared, vec![]).await.expect("it runs")
            else {
                panic!("rows")
            };
            let batches: Vec<RecordBatch> = stream.try_collect().await.expect("it runs");
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            total.push(started.elapsed());
            if round == 0 {
                println!("{what}: cold {:?}, {rows} rows", total[0]);
            }
        }
        println!(
            "{what}: prepared {:?}, all {:?} (median), {:?} (p90)",
            at(&mut planned, 50),
            at(&mut total, 50),
            at(&mut total, 90)
        );
    }
    for sql in [
        "SELECT channel, date_trunc('month', occurred_at) AS month, count(*) FROM interactions GROUP BY 1, 2",
        "SELECT count(*) FROM interactions WHERE channel = 'web' AND amount > 50",
        "SELECT count(DISTINCT customer_id), sum(amount) FROM interactions",
        "SELECT customer_id, sum(amount) AS s FROM interactions GROUP BY customer_id ORDER BY s DESC LIMIT 5",
        "SELECT max(gap) FROM (SELECT occurred_at - lag(occurred_at) OVER (PARTITION BY customer_id ORDER BY occurred_at) AS gap FROM interactions) AS s",
    ] {
        let mut times = vec![];
        for _ in 0..3 {
            let started = Instant::now();
            ask(&mut session, sql).await.expect("it runs");
            times.push(started.elapsed());
        }
        println!("{:?} {sql}", at(&mut times, 50));
    }
    let plan = ask(
        &mut session,
        "EXPLAIN ANALYZE SELECT * FROM interactions WHERE customer_id = 4711",
    )
    .await;
    println!("{}", plan.expect("it runs").join("\n"));
}

fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() - 1) * percent / 100]
}
