//! How long do the models take, beside those who do the same: lifetimes, scikit-learn, LightGBM, ClickHouse and DuckDB?
//!
//! Ours are SQL functions of a table in a lake, asked through psql, the reading of the table and the way to psql included;
//! peers have their data in memory (ClickHouse and DuckDB in tables) before the clock starts. Trees are grown by
//! `rapport-stats` itself, so that both sides stop early alike. Medians of three runs. Customers who are alike are one to
//! our fits, and times are of days. *off* is how far the answers are apart, as a share of the peer's: log-likelihoods,
//! inertias, AUCs and counts. Events are a hundred for each customer, in `interactions`; the peers' are in the same order,
//! by customer and time.

mod bench;
#[path = "models/made.rs"]
mod made;
#[path = "models/peers.rs"]
mod peers;
mod server;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use bench::{folder, median, rapport, timed};
use peers::{Peers, Told};
use rapport_stats::boosting::Boosting;
use rapport_stats::learner::{Column, Goal, Learner, Predictor, Table};
use rapport_stats::metrics::Ranking;
use server::{Server, add_user, times_told};

const RUNS: usize = 3;
const EVENTS_OF_ONE: usize = 100;

struct Question {
    name: &'static str,
    /// Of `buyers`, `points` or `interactions`.
    sql: &'static str,
    is_of_events: bool,
    peers: &'static [Peer],
}

struct Peer {
    name: &'static str,
    /// Of peers.py.
    question: &'static str,
    /// Of how many customers it answers within minutes.
    most_customers: usize,
}

const fn peer(name: &'static str, question: &'static str) -> Peer {
    Peer {
        name,
        question,
        most_customers: usize::MAX,
    }
}

const QUESTIONS: [Question; 7] = [
    Question {
        name: "bgnbd_fit",
        sql: "SELECT (bgnbd_fit(repeats, recency, age)).log_likelihood FROM buyers",
        is_of_events: false,
        peers: &[peer("lifetimes", "bgnbd_fit")],
    },
    Question {
        name: "pnbd_fit",
        sql: "SELECT (pnbd_fit(repeats, recency, age)).log_likelihood FROM buyers",
        is_of_events: false,
        peers: &[Peer { name: "lifetimes", question: "pnbd_fit", most_customers: 10_000 }],
    },
    Question {
        name: "score",
        sql: "SELECT sum(bgnbd_p_alive(0.243, 4.414, 0.793, 2.426, repeats, recency, age)
                 + bgnbd_expected_purchases(0.243, 4.414, 0.793, 2.426, repeats, recency, age, 13)) FROM buyers",
        is_of_events: false,
        peers: &[peer("lifetimes", "score")],
    },
    Question {
        name: "kmeans_fit",
        sql: "SELECT (kmeans_fit(8, x0, x1, x2, x3, x4, x5, x6, x7, x8, x9)).inertia FROM points",
        is_of_events: false,
        peers: &[peer("scikit-learn", "kmeans_fit")],
    },
    Question {
        name: "window_funnel",
        sql: "SELECT level, count(*) FROM (
                SELECT window_funnel(604800, occurred_at, interaction_type = 'page_view', interaction_type = 'cart',
                    interaction_type = 'purchase') AS level FROM interactions GROUP BY customer_id
              ) AS funnel GROUP BY level ORDER BY level",
        is_of_events: true,
        peers: &[
            peer("ClickHouse", "window_funnel_clickhouse"),
            peer("DuckDB", "window_funnel_duckdb"),
        ],
    },
    Question {
        name: "sessions",
        sql: "SELECT sum(sessions) FROM (
                SELECT max(session) AS sessions FROM (
                  SELECT customer_id, session_id(occurred_at, 1800) OVER (
                    PARTITION BY customer_id ORDER BY occurred_at
                  ) AS session FROM interactions
                ) AS numbered GROUP BY customer_id
              ) AS counted",
        is_of_events: true,
        peers: &[
            peer("ClickHouse", "sessions_clickhouse"),
            peer("DuckDB", "sessions_duckdb"),
        ],
    },
    Question {
        name: "nps by month",
        sql: "SELECT date_trunc('month', occurred_at) AS month, nps(score) FROM interactions
              GROUP BY month ORDER BY month LIMIT 1",
        is_of_events: true,
        peers: &[
            peer("ClickHouse", "nps_clickhouse"),
            peer("DuckDB", "nps_duckdb"),
        ],
    },
];

fn main() -> Result<()> {
    let sizes = std::env::var("RAPPORT_BENCH_CUSTOMERS").unwrap_or_else(|_| "10000,100000".into());
    let sizes = sizes.split(',').map(|size| size.trim().parse::<usize>());
    let sizes: Vec<usize> = sizes
        .collect::<Result<_, _>>()
        .context("RAPPORT_BENCH_CUSTOMERS=10000,100000")?;
    let folder = folder()?;
    let peers = Peers::find()?;
    let mut growth = vec![];
    println!("| question | rows | rapport, ms | peer | ms | ratio | off |");
    println!("|---|---|---|---|---|---|---|");
    for size in sizes {
        let lake = tempfile::tempdir_in(&folder)?;
        timed(rapport(lake.path(), ["init"])?)?;
        add_user(lake.path())?;
        let server = Server::start(lake.path())?;
        server.psql(&tables(&folder, size)?)?;
        timed(rapport(lake.path(), ["compact"])?)?;
        for question in &QUESTIONS {
            let rows = match question.is_of_events {
                true => size * EVENTS_OF_ONE,
                false => size,
            };
            let ours = match ask(&server, question.sql) {
                Ok(ours) => ours,
                Err(error) => {
                    println!("| {} | {rows} | failed: {error} | | | | |", question.name);
                    continue;
                }
            };
            let asked = question
                .peers
                .iter()
                .filter(|peer| size <= peer.most_customers);
            if question.peers.iter().all(|peer| size > peer.most_customers) {
                tell(question.name, rows, &ours, "", None);
            }
            for peer in asked {
                let theirs = peers.ask(peer.question, rows, &folder)?;
                tell(question.name, rows, &ours, peer.name, theirs.as_ref());
            }
            growth.push((question.name, rows, ours.took));
        }
        drop(server);
        let ours = boosted(&folder, size)?;
        let theirs = peers.ask("boosting", size, &folder)?;
        tell(
            "boosting, 50 features",
            size,
            &ours,
            "LightGBM",
            theirs.as_ref(),
        );
        growth.push(("boosting, 50 features", size, ours.took));
    }
    tell_growth(&growth);
    Ok(())
}

/// A script that makes and fills them.
fn tables(folder: &Path, size: usize) -> Result<String> {
    let columns: Vec<String> = (0..10).map(|n| format!("x{n} double precision")).collect();
    Ok(format!(
        "SET statement_timeout = 0;
         CREATE TABLE buyers (repeats double precision, recency double precision, age double precision);
         \\copy buyers FROM '{}' CSV
         CREATE TABLE points ({});
         \\copy points FROM '{}' CSV
         {};\n",
        made::customers(folder, size)?.display(),
        columns.join(", "),
        made::points(folder, size)?.display(),
        made::events_sql(size * EVENTS_OF_ONE),
    ))
}

fn ask(server: &Server, sql: &str) -> Result<Told> {
    let mut script = String::from(
        "\\pset format unaligned\n\\pset tuples_only on\nSET statement_timeout = 0;\n\\timing on\n",
    );
    for _ in 0..RUNS {
        script += &format!("{sql};\n");
    }
    let said = server.psql(&script)?;
    let told = said.lines().rfind(|line| !line.starts_with("Time: "));
    Ok(Told {
        took: median(times_told(&said)),
        answer: told.context("an answer")?.to_owned(),
    })
}

/// Grown on half of the rows, told by its AUC on the other.
fn boosted(folder: &Path, size: usize) -> Result<Told> {
    let bytes = std::fs::read(made::labelled(folder, size)?)?;
    let (labels, features) = made::read_labelled(&bytes);
    let table = |from: usize| {
        let half = |column: &Vec<f64>| Column::Numbers(column[from..from + size].to_vec());
        Table::new(features.iter().map(half).collect())
    };
    let (seen, unseen) = (table(0)?, table(size)?);
    let weights = vec![1.0; size];
    let (mut times, mut auc) = (vec![], f64::NAN);
    while times.len() < RUNS && times.iter().sum::<f64>() < 30_000.0 {
        let start = Instant::now();
        let trees =
            Boosting::new(Goal::Probability).fit(&seen, &labels[..size], &weights, &|| false)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        let is_one: Vec<bool> = labels[size..].iter().map(|label| *label > 0.5).collect();
        auc = Ranking::new(&is_one, &trees.predict(&unseen)?)?.auc();
    }
    Ok(Told {
        took: median(times),
        answer: auc.to_string(),
    })
}

fn tell(question: &str, rows: usize, ours: &Told, peer: &str, theirs: Option<&Told>) {
    let last = |told: &Told| -> Option<f64> { told.answer.rsplit(['|', ' ']).next()?.parse().ok() };
    match theirs {
        Some(theirs) => {
            let off = last(ours)
                .zip(last(theirs))
                .map_or(f64::NAN, |(ours, theirs)| {
                    (ours - theirs).abs() / theirs.abs()
                });
            println!(
                "| {question} | {rows} | {:.1} | {peer} | {:.1} | {:.2} | {off:.1e} |",
                ours.took,
                theirs.took,
                theirs.took / ours.took
            );
        }
        None => println!("| {question} | {rows} | {:.1} | {peer} | | | |", ours.took),
    }
}

/// Time goes with rows to this power, from the fewest to the most.
fn tell_growth(measured: &[(&'static str, usize, f64)]) {
    println!("\n| question | rows | ms | grows with rows to the power |");
    println!("|---|---|---|---|");
    let mut names: Vec<&str> = vec![];
    for (name, ..) in measured {
        if !names.contains(name) {
            names.push(name);
        }
    }
    for name in names {
        let of_name: Vec<_> = measured
            .iter()
            .filter(|(other, ..)| *other == name)
            .collect();
        let (Some((_, few, fast)), Some((_, many, slow))) = (of_name.first(), of_name.last())
        else {
            continue;
        };
        let power = (slow / fast).ln() / (*many as f64 / *few as f64).ln();
        println!("| {name} | {few} to {many} | {fast:.1} to {slow:.1} | {power:.2} |");
    }
}
