//! Data that are made up once and kept for the next run: the same bytes for us and for the peers.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Beta, Distribution, Exp1, Gamma, StandardNormal};

/// The BG/NBD that the customers come from, of the CDNOW sample; weeks.
const TRUE: [f64; 4] = [0.243, 4.414, 0.793, 2.426];
const WEEKS: f64 = 39.0;
const FEATURES: usize = 50;

fn made(path: PathBuf, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<PathBuf> {
    if !path.exists() {
        let unfinished = path.with_extension("unfinished");
        fs::write(&unfinished, make()?)?;
        fs::rename(unfinished, &path)?;
    }
    Ok(path)
}

/// Repeats, recency and age of each customer, as CSV. First purchases are spread over twelve weeks, times are of days.
pub fn customers(folder: &Path, size: usize) -> Result<PathBuf> {
    made(folder.join(format!("customers-{size}.csv")), || {
        let mut random = StdRng::seed_from_u64(2005);
        let [r, alpha, a, b] = TRUE;
        let (rates, stops) = (Gamma::new(r, 1.0 / alpha)?, Beta::new(a, b)?);
        let mut csv = String::new();
        for _ in 0..size {
            let (rate, stop) = (rates.sample(&mut random), stops.sample(&mut random));
            let age = WEEKS - f64::from(random.random_range(0..84)) / 7.0;
            let (mut repeats, mut recency, mut time) = (0, 0.0, 0.0);
            loop {
                let wait: f64 = Exp1.sample(&mut random);
                time += wait / rate;
                if time >= age {
                    break;
                }
                repeats += 1;
                recency = (((time * 7.0).floor() + 0.5) / 7.0).min(age);
                if random.random_bool(stop) {
                    break;
                }
            }
            writeln!(csv, "{repeats},{recency},{age}")?;
        }
        Ok(csv.into_bytes())
    })
}

/// Ten columns of eight clouds, as CSV.
pub fn points(folder: &Path, size: usize) -> Result<PathBuf> {
    made(folder.join(format!("points-{size}.csv")), || {
        let mut random = StdRng::seed_from_u64(8);
        let centres: Vec<f64> = (0..80).map(|_| random.random_range(-3.0..3.0)).collect();
        let mut csv = String::new();
        for _ in 0..size {
            let cloud = random.random_range(0..8_usize);
            for column in 0..10 {
                let noise: f64 = StandardNormal.sample(&mut random);
                let comma = if column > 0 { "," } else { "" };
                write!(csv, "{comma}{:.4}", centres[cloud * 10 + column] + noise)?;
            }
            csv.push('\n');
        }
        Ok(csv.into_bytes())
    })
}

/// Twice as many rows as customers, the second half to be foretold: a label and 50 features, as doubles.
pub fn labelled(folder: &Path, size: usize) -> Result<PathBuf> {
    made(folder.join(format!("labelled-{size}.f64")), || {
        let mut random = StdRng::seed_from_u64(50);
        let mut bytes = Vec::with_capacity(2 * size * (1 + FEATURES) * 8);
        for _ in 0..2 * size {
            let x: [f64; FEATURES] = std::array::from_fn(|_| StandardNormal.sample(&mut random));
            // A few count, some of them together.
            let log_odds = x[0] - 0.7 * x[1] + x[2] * x[3] + (x[4] > 0.5) as i32 as f64 - 1.5;
            let is_one = random.random_bool(1.0 / (1.0 + (-log_odds).exp()));
            for value in std::iter::once(f64::from(u8::from(is_one))).chain(x) {
                bytes.extend(value.to_le_bytes());
            }
        }
        Ok(bytes)
    })
}

/// Labels, and the features column by column.
pub fn read_labelled(bytes: &[u8]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let value = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let values: Vec<f64> = bytes.chunks_exact(8).map(value).collect();
    let column = |n: usize| values.iter().skip(n).step_by(1 + FEATURES).copied();
    let features = (1..=FEATURES).map(|n| column(n).collect());
    (column(0).collect(), features.collect())
}

/// As in peers.py: the same events in every engine, by whole numbers alone.
pub fn events_sql(size: usize) -> String {
    let (customers, span) = ((size / 100).max(1), 63_072_000 / (size / 5).max(1));
    let last = size - 1;
    format!(
        "INSERT INTO interactions (interaction_id, source, customer_id, occurred_at, received_at, channel, interaction_type, survey, score)
         SELECT lpad(to_hex(n), 32, '0')::uuid, 'made', customer, to_timestamp(second), to_timestamp(second), 'web',
                (ARRAY['page_view', 'cart', 'purchase', 'search', 'login', 'logout'])[kind + 1], 'nps', score
         FROM (SELECT n, n / 5 * 2654435761 % 4294967296 % {customers} AS customer,
                      1640995200 + n / 5 * {span} + n % 5 * 240 AS second,
                      n % 65521 * (n % 65519) % 10007 % 6 AS kind, n % 32749 * (n % 32719) % 10007 % 11 AS score
               FROM (SELECT n::bigint AS n FROM generate_series(0, {last}) AS g (n)) AS g) AS events"
    )
}
