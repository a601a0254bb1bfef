//! The same bits on any number of threads, of every fit whose sums are taken on several.

use std::fmt::Debug;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rapport_stats::bgbb::{BgBb, Occasions};
use rapport_stats::bgnbd::BgNbd;
use rapport_stats::cluster_quality::silhouette;
use rapport_stats::gamma_gamma::{GammaGamma, Spend};
use rapport_stats::history::{Customers, History};
use rapport_stats::mbgnbd::MbgNbd;
use rapport_stats::nbd::Nbd;
use rapport_stats::pareto_nbd::ParetoNbd;
use rapport_stats::points::Points;
use rapport_stats::shapley::{self, Sampling};
use rapport_stats::survival::Duration;
use rapport_stats::{cox, logistic, weibull_aft};

use crate::go_on;

/// More than the sums take in one piece, several times over.
const N: usize = 10_000;

/// What is written of a number says all of its bits, and NaN is like NaN.
fn check<T: Debug>(fit: impl Fn() -> T + Sync) {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads").install(|| format!("{:?}", fit()))
    };
    let alone = on(1);
    assert!(!alone.starts_with("Err"), "{alone}");
    for threads in [2, 3] {
        assert_eq!(on(threads), alone, "on {threads} threads");
    }
}

/// No two of them alike.
fn histories() -> Vec<(History, f64)> {
    let mut random = StdRng::seed_from_u64(1);
    let mut drawn = || {
        let age = 20.0 + 19.0 * random.random::<f64>();
        let repeats = (-2.0 * (1.0 - random.random::<f64>()).ln()).floor();
        let recency = match repeats > 0.0 {
            true => age * (0.01 + 0.99 * random.random::<f64>()),
            false => 0.0,
        };
        let history = History::new(repeats, recency, age).expect("possible");
        (history, 0.5 + random.random::<f64>())
    };
    (0..N).map(|_| drawn()).collect()
}

fn customers() -> Customers {
    Customers::new(histories()).expect("weights")
}

/// Three features of each, row by row, and whether something happened.
fn rows() -> (Vec<f64>, Vec<f64>) {
    let mut random = StdRng::seed_from_u64(2);
    let features: Vec<f64> = (0..3 * N).map(|_| random.random::<f64>()).collect();
    let happened = features
        .chunks_exact(3)
        .map(|row| {
            f64::from(u8::from(
                row[0] - 0.5 * row[1] + random.random::<f64>() > 0.8,
            ))
        })
        .collect();
    (features, happened)
}

fn durations(happened: &[f64]) -> Vec<Duration> {
    let mut random = StdRng::seed_from_u64(3);
    let of = |happened: &f64| {
        let time = 1.0 + (30.0 * random.random::<f64>()).floor() / (1.0 + happened);
        Duration::new(time, *happened > 0.5, 0.5 + random.random::<f64>()).expect("possible")
    };
    happened.iter().map(of).collect()
}

#[test]
fn bg_nbd() {
    let customers = customers();
    check(|| BgNbd::fit(&customers, &go_on));
}

#[test]
fn mbg_nbd() {
    let customers = customers();
    check(|| MbgNbd::fit(&customers, &go_on));
}

#[test]
fn pareto_nbd() {
    let customers = customers();
    check(|| ParetoNbd::fit(&customers, &go_on));
}

#[test]
fn nbd() {
    let customers = customers();
    check(|| Nbd::fit(&customers, &go_on));
}

#[test]
fn bg_bb() {
    let mut random = StdRng::seed_from_u64(4);
    let mut drawn = || {
        let of = random.random_range(1..=60_u32);
        let repeats = random.random_range(0..=of);
        let last = match repeats {
            0 => 0,
            _ => random.random_range(repeats..=of),
        };
        let occasions = Occasions::new(repeats, last, of);
        (occasions.expect("possible"), 0.5 + random.random::<f64>())
    };
    let rows: Vec<(Occasions, f64)> = (0..N).map(|_| drawn()).collect();
    check(|| BgBb::fit(rows.iter().copied(), &go_on));
}

#[test]
fn gamma_gamma() {
    let mut random = StdRng::seed_from_u64(5);
    let mut drawn = || {
        let purchases = 1.0 + (-3.0 * (1.0 - random.random::<f64>()).ln()).floor();
        let spend = Spend::new(purchases, 5.0 - 40.0 * (1.0 - random.random::<f64>()).ln());
        (spend.expect("positive"), 0.5 + random.random::<f64>())
    };
    let spends: Vec<(Spend, f64)> = (0..N).map(|_| drawn()).collect();
    check(|| GammaGamma::fit(spends.iter().copied(), &go_on));
}

#[test]
fn logistic_regression() {
    let (features, happened) = rows();
    let weights: Vec<f64> = features.chunks_exact(3).map(|row| 0.5 + row[2]).collect();
    check(|| logistic::fit(&features, 3, &happened, &weights, 0.0, &go_on));
    check(|| logistic::fit(&features, 3, &happened, &weights, 1.0, &go_on));
}

#[test]
fn proportional_hazards() {
    let (features, happened) = rows();
    let durations = durations(&happened);
    check(|| cox::fit(&durations, &features, 3, &go_on));
}

#[test]
fn accelerated_failure_times() {
    let (features, happened) = rows();
    let durations = durations(&happened);
    check(|| weibull_aft::fit(&durations, &features, 3, &go_on));
}

#[test]
fn sampled_shapley_values() {
    let worth = |set: u64| (set.count_ones() as f64).sqrt() + (set % 7) as f64 / 9.0;
    let sampling = Sampling {
        seed: 7,
        n_pairs: 500,
    };
    check(|| shapley::values(20, worth, sampling, &go_on));
}

#[test]
fn silhouettes() {
    let (features, happened) = rows();
    let points = Points::new(&features, 3).expect("rows");
    let labels: Vec<u32> = happened.iter().map(|h| *h as u32).collect();
    check(|| silhouette(&points, &labels, 1_000, 7, &go_on));
}
