//! How fast rows are written: tests that are asked for by `--ignored --nocapture`.

use super::*;
use arrow::array::{Decimal128Array, Float64Array, Int16Array};
use std::time::Instant;

const ROWS: usize = 3_500_000;
const BATCH: usize = 8_192;

/// Thirty columns shaped like a real history: most are NULL most of the time, codes repeat, ids do not.
fn wide(first: usize, rows: usize) -> RecordBatch {
    let at = |row: usize| first + row;
    let noise =
        |row: usize, salt: usize| at(row).wrapping_mul(0x9E37_79B9).wrapping_add(salt * 7919) >> 7;
    let code = |salt: usize, codes: &'static [&'static str], every: usize| -> ArrayRef {
        Arc::new(
            (0..rows)
                .map(|row| {
                    (noise(row, salt) % every == 0)
                        .then(|| codes[noise(row, salt + 1) % codes.len()])
                })
                .collect::<StringArray>(),
        )
    };
    let id = |salt: usize, prefix: &str, of: usize, every: usize| -> ArrayRef {
        Arc::new(
            (0..rows)
                .map(|row| {
                    (noise(row, salt) % every == 0)
                        .then(|| format!("{prefix}{}", noise(row, salt + 1) % of))
                })
                .collect::<StringArray>(),
        )
    };
    let money = |salt: usize, scale: i8, every: usize| -> ArrayRef {
        let values = (0..rows).map(|row| {
            (noise(row, salt) % every == 0).then(|| (noise(row, salt + 1) % 100_000) as i128)
        });
        Arc::new(
            values
                .collect::<Decimal128Array>()
                .with_precision_and_scale(18, scale)
                .expect("fits"),
        )
    };
    let time = |salt: usize| -> ArrayRef {
        let values = (0..rows).map(|row| {
            1_600_000_000_000_000
                + (at(row) % 40) as i64 * 86_400_000_000
                + (noise(row, salt) % 1000) as i64
        });
        Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
    };
    let uuids = (0..rows).map(|row| {
        let hash = twox_hash::XxHash3_128::oneshot(&at(row).to_le_bytes());
        uuid::Uuid::from_u128(hash).to_string()
    });
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "interaction_id",
            Arc::new(StringArray::from_iter_values(uuids)),
        ),
        ("source", code(1, &["shop", "crm", "web", "calls"], 1)),
        ("source_id", id(2, "S-", usize::MAX, 1)),
        (
            "customer_id",
            Arc::new(Int64Array::from_iter_values(
                (0..rows).map(|row| (at(row) / 35) as i64),
            )),
        ),
        (
            "occurred_at",
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    (0..rows).map(|row| 1_600_000_000_000_000 + at(row) as i64 * 1_000),
                )
                .with_timezone("UTC"),
            ),
        ),
        ("received_at", time(3)),
        (
            "channel",
            code(4, &["phone", "chat", "email", "web", "app", "store"], 1),
        ),
        (
            "touchpoint",
            code(5, &["home", "checkout", "hotline", "newsletter"], 2),
        ),
        (
            "interaction_type",
            code(6, &["view", "purchase", "contact", "survey"], 1),
        ),
        ("direction", code(7, &["in", "out"], 1)),
        (
            "context",
            code(8, &["relationship", "personal", "situational"], 3),
        ),
        ("session_id", id(9, "sess-", 500_000, 2)),
        ("case_id", id(10, "case-", 100_000, 9)),
        ("campaign_id", id(11, "camp-", 40, 7)),
        ("agent_id", id(12, "agent-", 300, 8)),
        ("product_id", id(13, "prod-", 2_000, 4)),
        ("order_id", id(14, "order-", usize::MAX, 6)),
        ("quantity", money(15, 2, 5)),
        ("amount", money(16, 2, 5)),
        ("currency", code(17, &["EUR"], 5)),
        ("cost", money(18, 4, 3)),
        (
            "duration_s",
            Arc::new(
                (0..rows)
                    .map(|row| (noise(row, 19) % 3 == 0).then(|| (noise(row, 20) % 900) as i64))
                    .collect::<Int64Array>(),
            ),
        ),
        (
            "wait_s",
            Arc::new(
                (0..rows)
                    .map(|row| (noise(row, 21) % 9 == 0).then(|| (noise(row, 22) % 900) as i64))
                    .collect::<Int64Array>(),
            ),
        ),
        (
            "outcome",
            code(23, &["purchase", "refusal", "resolved", "escalated"], 2),
        ),
        ("survey", code(24, &["nps", "csat"], 30)),
        (
            "score",
            Arc::new(
                (0..rows)
                    .map(|row| (noise(row, 25) % 30 == 0).then(|| (noise(row, 26) % 11) as i16))
                    .collect::<Int16Array>(),
            ),
        ),
        (
            "sentiment",
            Arc::new(
                (0..rows)
                    .map(|row| {
                        (noise(row, 27) % 10 == 0).then(|| (noise(row, 28) % 200) as f64 / 100.0)
                    })
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "body",
            id(
                29,
                "I called about my order and nobody could tell me where it was, number ",
                usize::MAX,
                20,
            ),
        ),
        (
            "latitude",
            Arc::new(
                (0..rows)
                    .map(|row| {
                        (noise(row, 30) % 20 == 0)
                            .then(|| 48.0 + (noise(row, 31) % 1000) as f64 / 100.0)
                    })
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "properties",
            id(32, "{\"page\": \"/shop/item\", \"ref\": ", 10_000, 3),
        ),
    ];
    let nullable = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(nullable).expect("columns of one length")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: several seconds on all cores"]
async fn rows_a_second_written() {
    let lake = TestLake::new().await;
    let sample = wide(0, 1);
    let definition = Definition::new(sample.schema());
    let table = lake
        .create_table(&interactions(), &definition)
        .await
        .expect("a new table");
    // Few distinct batches, made before the clock starts: the writer is measured, not this generator.
    let batches: Vec<_> = (0..ROWS)
        .step_by(BATCH)
        .map(|first| wide(first, BATCH.min(ROWS - first)))
        .collect();
    let start = Instant::now();
    let done = table
        .append(stream_of(batches), Append::default())
        .await
        .expect("an append");
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} rows in {seconds:.2} s: {:.0} rows/s, {} files, {:.1} bytes a row",
        done.rows,
        done.rows as f64 / seconds,
        done.files,
        done.bytes as f64 / done.rows as f64,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn commits_a_second_of_single_rows() {
    const COMMITS: u32 = 200;
    let lake = TestLake::new().await;
    let table = lake.interactions().await;
    let start = Instant::now();
    for _ in 0..COMMITS {
        append(&table, &[1]).await.expect("an append");
    }
    println!("one after another: {:?} each", start.elapsed() / COMMITS);
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..COMMITS {
        let table = table.clone();
        tasks.spawn(async move { append(&table, &[1]).await.expect("an append") });
    }
    tasks.join_all().await;
    println!("all at once: {:?} each", start.elapsed() / COMMITS);
    let fresh = lake.again().await;
    let start = Instant::now();
    let table = fresh.table(&interactions()).await.expect("a table");
    println!(
        "opened at version {} in {:?}",
        table.snapshot().await.expect("a snapshot").version(),
        start.elapsed()
    );
    let start = Instant::now();
    for _ in 0..1000 {
        table.snapshot().await.expect("a snapshot");
    }
    println!("nothing new: {:?} a look", start.elapsed() / 1000);
}
