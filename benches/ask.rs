//! How long does psql wait for one customer's history, and for a count by channel and month?
//!
//! Through psql (libpq) and its `\timing`, on the demo's history at 1 M and 30 M interactions, compacted. *Cold* is the
//! first question to a server that has just started, with the lake's files out of the page cache; *warm* is the median
//! of 31 in one session, of a different customer each time.

mod bench;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use bench::{folder, median, rapport, root, timed};
use server::{Server, add_user, times_told};

/// What the demo makes of one customer, on average.
const INTERACTIONS_A_CUSTOMER: u64 = 30;
const WARM: u64 = 31;
const COLD: usize = 5;

fn main() -> Result<()> {
    let sizes = std::env::var("RAPPORT_BENCH_SIZES").unwrap_or_else(|_| "1000000,30000000".into());
    println!("| interactions | bytes each | question | cold, ms | warm, ms |");
    println!("|---|---|---|---|---|");
    for size in sizes.split(',') {
        let lake = lake(
            size.trim()
                .parse()
                .context("RAPPORT_BENCH_SIZES=1000000,30000000")?,
        )?;
        let (rows, bytes) = interactions(&lake)?;
        for name in ["customer_history", "channel_by_month"] {
            let sql = fs::read_to_string(root().join(format!("benches/queries/{name}.sql")))?;
            let mut cold = vec![];
            for n in 0..COLD {
                forget(&lake)?;
                let server = Server::start(&lake)?;
                cold.extend(ask(&server, &sql, 1, 1_000 + n as u64 * 7)?);
            }
            let server = Server::start(&lake)?;
            ask(&server, &sql, 3, 1)?;
            let warm = ask(&server, &sql, WARM, 100)?;
            println!(
                "| {rows} | {:.1} | {name} | {:.1} | {:.1} |",
                bytes / rows as f64,
                median(cold),
                median(warm)
            );
        }
    }
    Ok(())
}

/// The demo's lake of about that size, made once and kept.
fn lake(size: u64) -> Result<PathBuf> {
    let home = folder()?.join(format!("demo-{size}"));
    let lake = home.join("rapport-demo/lake");
    if !home.join("made").exists() {
        fs::create_dir_all(&home)?;
        let customers = (size / INTERACTIONS_A_CUSTOMER).to_string();
        let mut demo = rapport(
            &lake,
            [
                "demo",
                "--customers",
                &customers,
                "--seed",
                "1",
                "--no-serve",
            ],
        )?;
        demo.current_dir(&home).env_remove("RAPPORT_LAKE__URL");
        timed(demo)?;
        timed(rapport(&lake, ["compact"])?)?;
        add_user(&lake)?;
        fs::write(home.join("made"), "")?;
    }
    Ok(lake)
}

/// Rows and bytes.
fn interactions(lake: &Path) -> Result<(u64, f64)> {
    let tables: Vec<serde_json::Value> =
        serde_json::from_str(&timed(rapport(lake, ["tables", "--json"])?)?.0)?;
    let table = tables
        .iter()
        .find(|table| {
            table["table"]
                .as_str()
                .is_some_and(|name| name.ends_with("interactions"))
        })
        .context("interactions")?;
    Ok((
        table["rows"].as_u64().context("rows")?,
        table["bytes"].as_f64().context("bytes")?,
    ))
}

/// Takes the lake's files out of the page cache, as far as an ordinary user may.
fn forget(lake: &Path) -> Result<()> {
    const EVICT: &str = "find \"$0\" -type f -name '*.parquet' -exec \
                         dd of={} oflag=nocache conv=notrunc,fdatasync count=0 status=none \\;";
    let mut command = Command::new("sh");
    command.args(["-c", EVICT]).arg(lake);
    timed(command)?;
    Ok(())
}

/// Milliseconds of `times` runs in one session, as psql tells them.
fn ask(server: &Server, sql: &str, times: u64, first_customer: u64) -> Result<Vec<f64>> {
    let mut script = String::from("\\timing on\n\\o /dev/null\n");
    for n in 0..times {
        let customer = (first_customer + n * 37).to_string();
        script += &format!("{};\n", sql.trim().replace(":customer", &customer));
    }
    let said = server.psql(&script)?;
    let times = times_told(&said);
    if times.is_empty() {
        bail!("psql told no time: {said}");
    }
    Ok(times)
}
