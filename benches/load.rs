//! How many rows a second does `rapport load` take, beside DuckDB writing sorted Parquet of the same rows?
//!
//! The rows are visits as a company exports them: by time, some customers much more often than others. DuckDB only
//! sorts and writes; `rapport load` also tells time zones and money, numbers customers, finds rows that it knows, hashes
//! each row's identity and commits. Medians of three runs, each into an empty lake.

mod bench;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use bench::{folder, median, rapport, root, timed};

const SOURCE: &str = r#"about = "Visits made up for the bench"
format = "FORMAT"
key = ["id"]
time_zone = "UTC"
currency = "EUR"
customer_kind = "card"
select = """
SELECT id AS source_id, card AS customer, at AS occurred_at, channel, type AS interaction_type, product AS product_id,
       basket AS order_id, quantity, amount, waited AS wait_s, note AS body
FROM raw
"""
"#;
const RUNS: usize = 3;

fn main() -> Result<()> {
    let rows = number("RAPPORT_BENCH_ROWS", 3_000_000);
    let folder = folder()?;
    let csv = folder.join(format!("visits-{rows}.csv"));
    if !csv.exists() {
        write_visits(&csv, rows)?;
    }
    let parquet = csv.with_extension("parquet");
    let Some(python) = python() else {
        println!("load: skipped, Python's duckdb is not installed (tests/run installs it)");
        return Ok(());
    };
    if !parquet.exists() {
        duckdb(
            &python,
            &format!(
                "COPY (FROM read_csv('{}')) TO '{}' (FORMAT parquet, COMPRESSION zstd)",
                csv.display(),
                parquet.display()
            ),
        )?;
    }
    println!(
        "| load of {rows} rows | rapport, rows/s | DuckDB's sorted COPY, rows/s | ratio | bytes a row |"
    );
    println!("|---|---|---|---|---|");
    for (format, file, read) in [
        ("csv", &csv, "read_csv"),
        ("parquet", &parquet, "read_parquet"),
    ] {
        let source = folder.join(format!("visits-{format}.toml"));
        fs::write(&source, SOURCE.replace("FORMAT", format))?;
        let (mut ours, mut theirs, mut bytes) = (vec![], vec![], 0.0);
        for _ in 0..RUNS {
            let lake = tempfile::tempdir_in(&folder)?;
            timed(rapport(lake.path(), ["init"])?)?;
            let (_, took) = timed(rapport(
                lake.path(),
                ["load".as_ref(), source.as_os_str(), file.as_os_str()],
            )?)?;
            ours.push(rows as f64 / took.as_secs_f64());
            bytes = bytes_of_interactions(lake.path())? / rows as f64;

            let out = lake.path().join("sorted.parquet");
            let took = duckdb(
                &python,
                &format!(
                    "COPY (FROM {read}('{}') ORDER BY card, \"at\") TO '{}' \
                 (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 262144)",
                    file.display(),
                    out.display()
                ),
            )?;
            theirs.push(rows as f64 / took);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "| {format} | {ours:.0} | {theirs:.0} | {:.2} | {bytes:.1} |",
            ours / theirs
        );
    }
    Ok(())
}

/// Seconds that a statement took inside DuckDB, without the start of Python.
fn duckdb(python: &Path, sql: &str) -> Result<f64> {
    const TIMED: &str = "import duckdb, sys, time\n\
                         start = time.monotonic()\n\
                         duckdb.execute(sys.argv[1])\n\
                         print(time.monotonic() - start)";
    let mut command = Command::new(python);
    command.args(["-c", TIMED, sql]);
    Ok(timed(command)?.0.trim().parse()?)
}

fn bytes_of_interactions(lake: &Path) -> Result<f64> {
    let tables: Vec<serde_json::Value> =
        serde_json::from_str(&timed(rapport(lake, ["tables", "--json"])?)?.0)?;
    let named = |table: &&serde_json::Value| {
        table["table"]
            .as_str()
            .is_some_and(|name| name.ends_with("interactions"))
    };
    Ok(tables
        .iter()
        .find(named)
        .and_then(|table| table["bytes"].as_f64())
        .unwrap_or(f64::NAN))
}

/// Thirty visits a customer on average; half of all visits are of a tenth of the customers.
fn write_visits(path: &Path, rows: u64) -> Result<()> {
    const CHANNELS: [&str; 8] = [
        "web", "app", "store", "phone", "chat", "e-mail", "social", "bot",
    ];
    const TYPES: [&str; 6] = ["view", "view", "visit", "question", "purchase", "complaint"];
    let customers = rows / 30 + 1;
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"id,card,at,channel,type,product,basket,quantity,amount,waited,note\n")?;
    let mut state = 88_172_645_463_325_252_u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut line = String::new();
    for n in 0..rows {
        let customer = if draw(2) == 0 {
            draw(customers / 10 + 1)
        } else {
            draw(customers)
        };
        // Three years from 2022-01-01, in order.
        let second = n * 94_608_000 / rows;
        let (day, of_day) = (second / 86_400, second % 86_400);
        let (year, day) = (2022 + day / 365, day % 365);
        let kind = TYPES[draw(6) as usize];
        line.clear();
        write!(
            line,
            "{n},C{customer:08},{year}-{:02}-{:02}T{:02}:{:02}:{:02}Z,{},{kind},",
            day / 31 + 1,
            day % 28 + 1,
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60,
            CHANNELS[draw(8) as usize],
        )?;
        match kind {
            "purchase" => writeln!(
                line,
                "P{:04},B{n},{},{}.{:02},,",
                draw(5_000),
                draw(4) + 1,
                draw(300),
                draw(100)
            )?,
            "question" => writeln!(line, ",,,,{},asked about topic {}", draw(600), draw(200))?,
            _ => line.push_str(",,,,,\n"),
        }
        file.write_all(line.as_bytes())?;
    }
    file.flush()?;
    Ok(())
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|n| n.replace('_', "").parse().ok())
        .unwrap_or(default)
}

/// Python with DuckDB, which `tests/run` installs.
fn python() -> Option<std::path::PathBuf> {
    let path = root().join("tests/.env/bin/python");
    path.exists().then_some(path)
}
