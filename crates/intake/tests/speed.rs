//! How fast a load is. Not a test: `cargo test -p rapport-intake --test main -- --ignored --nocapture speed`.

use std::fs::File;
use std::sync::Mutex;
use std::time::Instant;

use datafusion::prelude::SessionContext;
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rapport_intake::{Phase, Progress, Source, load};
use tokio_util::sync::CancellationToken;

use crate::lab::Lab;

/// Shaped like a company's history: customers in order, all channels, sparse columns.
const HISTORY: &str = "
SELECT concat('e', value) AS source_id, concat('C', lpad(cast(value / 35 AS TEXT), 7, '0')) AS customer,
       to_timestamp_micros(1600000000000000 + (value * 7919 % 94608000) * 1000000) AS occurred_at,
       to_timestamp_micros(1600000001000000 + (value * 7919 % 94608000) * 1000000) AS received_at,
       CASE value % 5 WHEN 0 THEN 'web' WHEN 1 THEN 'app' WHEN 2 THEN 'phone' WHEN 3 THEN 'email' ELSE 'store' END AS channel,
       CASE value % 7 WHEN 0 THEN 'home' WHEN 1 THEN 'cart' ELSE 'catalog' END AS touchpoint,
       CASE value % 11 WHEN 0 THEN 'purchase' ELSE 'page_view' END AS interaction_type,
       'inbound' AS direction, 'situational' AS context,
       CASE WHEN value % 3 > 0 THEN concat('s', value / 9) END AS session_id,
       CASE WHEN value % 17 = 0 THEN concat('k', value / 40) END AS case_id,
       CASE WHEN value % 13 = 0 THEN concat('camp', value % 40) END AS campaign_id,
       CASE WHEN value % 17 = 0 THEN concat('a', value % 200) END AS agent_id,
       CASE WHEN value % 4 = 0 THEN concat('p', value % 900) END AS product_id,
       CASE WHEN value % 11 = 0 THEN concat('o', value) END AS order_id,
       CASE WHEN value % 11 = 0 THEN cast(1 + value % 3 AS DOUBLE) END AS quantity,
       CASE WHEN value % 11 = 0 THEN cast((value % 10000) / 100.0 AS DECIMAL(18,2)) END AS amount,
       CASE WHEN value % 11 = 0 THEN 'EUR' END AS currency,
       cast((value % 700) / 10000.0 AS DECIMAL(18,4)) AS cost,
       CASE WHEN value % 2 = 0 THEN cast(value % 900 AS DOUBLE) END AS duration_s,
       CASE WHEN value % 17 = 0 THEN cast(value % 300 AS DOUBLE) END AS wait_s,
       CASE WHEN value % 11 = 0 THEN 'purchase' END AS outcome,
       CASE WHEN value % 50 = 0 THEN 'nps' END AS survey,
       CASE WHEN value % 50 = 0 THEN cast(value % 11 AS DOUBLE) END AS score,
       CASE WHEN value % 17 = 0 THEN 0.25 END AS sentiment,
       CASE WHEN value % 29 = 0 THEN concat('the parcel ', value % 1000, ' did not come, please call me back today') END AS body,
       CASE WHEN value % 19 = 0 THEN 52.0 + (value % 100) / 100.0 END AS latitude,
       CASE WHEN value % 19 = 0 THEN 21.0 + (value % 100) / 100.0 END AS longitude,
       CASE WHEN value % 29 = 0 THEN concat('{\"reason\":\"R', value % 9, '\"}') END AS properties
FROM generate_series(0, {rows} - 1)";

/// Wall clock and the process's own CPU seconds, because other work may share the machine.
struct Phases(Mutex<Vec<(Phase, Instant, f64)>>);

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: f64 = stat
        .split(' ')
        .skip(13)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}

impl Progress for Phases {
    fn phase(&self, phase: Phase) {
        self.0
            .lock()
            .expect("held for a line")
            .push((phase, Instant::now(), cpu_seconds()));
    }
    fn total_bytes(&self, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_parquet() {
    let rows = std::env::var("ROWS").unwrap_or_else(|_| "3500000".into());
    let lab = Lab::new().await;
    let path = std::env::temp_dir()
        .join(format!("rapport-speed-{rows}.parquet"))
        .display()
        .to_string();
    if !std::fs::exists(&path).expect("the temporary folder is there") {
        write_history(&path, &rows).await;
    }
    measure(&lab, "rapport", &path).await;
}

async fn write_history(path: &str, rows: &str) {
    let context = SessionContext::new();
    let sql = HISTORY.replace("{rows}", rows);
    let mut batches = context
        .sql(&sql)
        .await
        .expect("planned")
        .execute_stream()
        .await
        .expect("running");
    let options = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::LZ4_RAW)
        .build();
    let file = File::create(path).expect("created");
    let mut writer = ArrowWriter::try_new(file, batches.schema(), Some(options)).expect("a writer");
    while let Some(batch) = batches.next().await {
        writer.write(&batch.expect("a batch")).expect("written");
    }
    writer.close().expect("written");
}

async fn measure(lab: &Lab, source: &str, path: &str) {
    let phases = Phases(Mutex::new(vec![]));
    let source = Source::find(source, &[]).expect("it is shipped");
    let start = Instant::now();
    let loaded = load(
        &lab.warehouse,
        &source,
        lab.options(&[path]),
        &phases,
        CancellationToken::new(),
    )
    .await
    .expect("loaded");
    let seconds = start.elapsed().as_secs_f64();
    let mut phases = phases.0.into_inner().expect("the load is over");
    phases.push((Phase::Committing, Instant::now(), cpu_seconds()));
    for pair in phases.windows(2) {
        let (wall, cpu) = (pair[1].1 - pair[0].1, pair[1].2 - pair[0].2);
        eprintln!(
            "{:?} {:.2} s, {cpu:.2} s of CPU",
            pair[0].0,
            wall.as_secs_f64()
        );
    }
    eprintln!(
        "{} rows in {seconds:.2} s: {:.0} rows/s",
        loaded.added,
        loaded.added as f64 / seconds
    );
}
