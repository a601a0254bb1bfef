//! How long does it take to make the three models of a whole history (value, churn, segments), and how much memory, beside
//! the same work in Python?
//!
//! Ours is `rapport refresh` of the demo's history, about 32 interactions a customer: reading, fitting three models of
//! purchases, judging them on the holdout, scoring, publishing; the time is the process's, and so is the memory. The
//! peer reads the same Parquet files with DuckDB, fits with lifetimes (equal customers weighted) and cuts with pandas; it
//! judges and scores as much, and writes three Parquet files.

mod bench;
#[path = "models/peers.rs"]
mod peers;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use bench::{binary, folder, rapport, timed};
use peers::Peers;

const MODELS: [&str; 3] = ["clv", "churn", "segments"];

fn main() -> Result<()> {
    let sizes = std::env::var("RAPPORT_BENCH_CUSTOMERS").unwrap_or_else(|_| "100000".into());
    let sizes = sizes.split(',').map(|size| size.trim().parse::<usize>());
    let sizes: Vec<usize> = sizes
        .collect::<Result<_, _>>()
        .context("RAPPORT_BENCH_CUSTOMERS=100000,1000000")?;
    let folder = folder()?;
    let peers = Peers::find()?;
    println!("| customers | work | seconds | peak memory, MB | phases |");
    println!("|---|---|---|---|---|");
    for size in sizes {
        let place = folder.join(format!("refresh-{size}"));
        make(&place, size)?;
        let mut total = 0.0;
        for model in MODELS {
            let one = refresh(&place.join("lake"), model)?;
            println!(
                "| {size} | {model} | {:.1} | {} | {} |",
                one.seconds, one.peak_mb, one.phases
            );
            total += one.seconds;
        }
        match peers.ask("refresh", size, &place.join("files"))? {
            Some(theirs) => println!(
                "| {size} | all three | {total:.1} | Python {:.1} s, ratio {:.2} | {} |",
                theirs.took / 1e3,
                theirs.took / 1e3 / total,
                theirs.answer
            ),
            None => println!("| {size} | all three | {total:.1} | | |"),
        }
    }
    Ok(())
}

/// The demo, kept for the next time.
fn make(place: &Path, size: usize) -> Result<()> {
    if place.join("made").is_file() {
        return Ok(());
    }
    let mut demo = rapport(place, ["demo", "--no-serve", "--json"])?;
    demo.env_remove("RAPPORT_LAKE__URL");
    demo.arg("--customers")
        .arg(size.to_string())
        .arg("--dir")
        .arg(place);
    timed(demo)?;
    std::fs::write(place.join("made"), "")?;
    Ok(())
}

struct Refreshed {
    seconds: f64,
    peak_mb: u64,
    phases: String,
}

/// One refresh in a process of its own; its phases as its diary tells them.
fn refresh(lake: &Path, model: &str) -> Result<Refreshed> {
    let report = tempfile::NamedTempFile::new()?;
    let mut command = std::process::Command::new("/usr/bin/time");
    command
        .args(["-f", "%M", "-o"])
        .arg(report.path())
        .arg(binary()?)
        .args(["refresh", model, "--set", "log.level=rapport_models=info"])
        .env("RAPPORT_LAKE__URL", lake);
    let start = Instant::now();
    let done = command.output().with_context(|| format!("{command:?}"))?;
    let seconds = start.elapsed().as_secs_f64();
    // 3: judged, and not published, which is as much work.
    if !matches!(done.status.code(), Some(0 | 3)) {
        bail!("{command:?}\n{}", String::from_utf8_lossy(&done.stderr));
    }
    let peak = std::fs::read_to_string(report.path())?;
    let peak = peak
        .lines()
        .last()
        .and_then(|line| line.trim().parse::<u64>().ok());
    Ok(Refreshed {
        seconds,
        peak_mb: peak.unwrap_or(0) / 1024,
        phases: phases(&String::from_utf8_lossy(&done.stderr)),
    })
}

/// `fitting 1.2 s, judging 0.4 s`, of lines that begin with a moment and name a phase.
fn phases(diary: &str) -> String {
    let mut begun: Vec<(String, f64)> = vec![];
    for line in diary.lines() {
        let Some((_, phase)) = line.split_once("phase=\"") else {
            continue;
        };
        let phase = phase.split('"').next().unwrap_or_default();
        let moment = line.split_whitespace().next().unwrap_or_default();
        if let Ok(moment) = moment.parse::<chrono::DateTime<chrono::Utc>>() {
            begun.push((phase.to_owned(), moment.timestamp_micros() as f64 / 1e6));
        }
    }
    let spans = begun
        .windows(2)
        .map(|pair| format!("{} {:.1} s", pair[0].0, pair[1].1 - pair[0].1));
    spans.collect::<Vec<_>>().join(", ")
}
