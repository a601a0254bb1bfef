//! `rapport compact`: few large files in place of many small ones; checkpoints; vacuum.

use std::time::{Duration, Instant};

use clap::Args;
use rapport_engine::{CompactProgress, Warehouse};
use rapport_lake::TableName;
use rapport_lake::compact::Policy;
use serde::Serialize;

use super::Context;
use crate::failure::{Failure, Result};
use crate::output::{self, bytes, count, counted, duration};
use crate::progress::Progress;
use crate::settings::{Flags, Settings};
use crate::{open, runtimes};

/// Fold small files into large ones, write checkpoints, and on request remove what no version needs
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rapport compact\n  rapport compact interactions\n  \
    rapport compact --vacuum --keep-days 14\n\n\
    Safe beside loads and queries: nothing that a reader may see changes before the new files are complete \
    and proved to hold the same rows."
)]
pub struct Compact {
    /// Tables; all of them if none is named
    tables: Vec<String>,
    /// Fold the files of today as well, however few there are
    #[arg(long)]
    today: bool,
    /// Also remove files that no version of the last days needs
    #[arg(long)]
    vacuum: bool,
    /// How many days of versions vacuum keeps readable, at least 7 (setting vacuum.keep_days)
    #[arg(long, value_name = "DAYS", requires = "vacuum")]
    keep_days: Option<u32>,
    /// Let --keep-days go below 7: only when nothing else reads or writes the lake
    #[arg(long, requires = "vacuum")]
    below_floor: bool,
    /// Only checkpoints and log clean-up (and vacuum): leave the files as they are
    #[arg(long)]
    maintenance_only: bool,
    /// As JSON: an array of {table, groups, files_before, files_after, rows, bytes_before, bytes_after, vacuumed_files, vacuumed_bytes, seconds}
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Line {
    table: String,
    groups: usize,
    files_before: usize,
    files_after: usize,
    rows: u64,
    bytes_before: u64,
    bytes_after: u64,
    vacuumed_files: usize,
    vacuumed_bytes: u64,
    seconds: f64,
}

impl Compact {
    pub fn add_flags(&self, flags: &mut Flags) {
        flags.put("--keep-days", "vacuum.keep_days", self.keep_days);
    }

    pub async fn run(self, context: Context) -> Result {
        let start = Instant::now();
        let warehouse = open::warehouse_without_catalogue(context.settings()).await?;
        let names = self.names(&warehouse).await?;
        let mut lines = Vec::new();
        for name in names {
            let work = one(warehouse.clone(), name, self.what(context.settings()));
            lines.push(
                context
                    .interrupt
                    .or(runtimes::on(&context.compute, work))
                    .await??,
            );
        }
        if self.json {
            return output::json(&lines);
        }
        let mut table = output::Table::new(&[
            "table", ">rows", ">files", ">became", ">size", ">became", ">time",
        ]);
        for line in lines.iter().filter(|line| line.groups > 0) {
            table.row(vec![
                line.table.clone(),
                count(line.rows),
                count(line.files_before as u64),
                count(line.files_after as u64),
                bytes(line.bytes_before),
                bytes(line.bytes_after),
                duration(Duration::from_secs_f64(line.seconds)),
            ]);
        }
        if lines.iter().any(|line| line.groups > 0) {
            table.print()?;
        }
        output::line(&summary(&lines, start.elapsed(), self.vacuum))
    }

    async fn names(&self, warehouse: &Warehouse) -> Result<Vec<TableName>> {
        let mut all = warehouse.lake().table_names().await?;
        all.sort();
        if self.tables.is_empty() {
            return Ok(all);
        }
        let find = |asked: &String| {
            let name = match asked.split_once('.') {
                Some((schema, table)) => TableName::new(schema, table),
                None => TableName::public(asked),
            };
            all.contains(&name).then_some(name).ok_or_else(|| {
                Failure::usage(format!("there is no table {asked} in the lake"))
                    .hint("`rapport tables` lists those that exist")
            })
        };
        self.tables.iter().map(find).collect()
    }

    fn what(&self, settings: &Settings) -> What {
        let mut policy = settings.compact.policy();
        if self.today {
            policy.min_today = 2;
        }
        What {
            policy: (!self.maintenance_only).then_some(policy),
            keep: self.vacuum.then(|| settings.vacuum.keep()),
            below_floor: self.below_floor,
        }
    }
}

struct What {
    policy: Option<Policy>,
    keep: Option<Duration>,
    below_floor: bool,
}

async fn one(warehouse: Warehouse, name: TableName, what: What) -> Result<Line> {
    let start = Instant::now();
    let mut line = Line {
        table: name.to_string(),
        ..Line::default()
    };
    let bar = Progress::new("compacting", 0);
    bar.say(format!("groups of {name}"));
    let tell = |at: CompactProgress| {
        bar.set_total(at.groups as u64);
        bar.set(at.groups_done as u64);
        bar.say(format!(
            "groups of {name}, {}",
            counted(at.rows, "row", "rows")
        ));
    };
    let keep = what.keep.map(|keep| (keep, what.below_floor));
    let done = rapport_jobs::tend(&warehouse, &name, what.policy.as_ref(), keep, &tell).await?;
    line.groups = done.compacted.groups;
    line.files_before = done.compacted.files_before;
    line.files_after = done.compacted.files_after;
    line.rows = done.compacted.rows;
    line.bytes_before = done.compacted.bytes_before;
    line.bytes_after = done.compacted.bytes_after;
    line.vacuumed_files = done.vacuumed.files;
    line.vacuumed_bytes = done.vacuumed.bytes;
    line.seconds = start.elapsed().as_secs_f64();
    Ok(line)
}

fn summary(lines: &[Line], took: Duration, vacuumed: bool) -> String {
    let sum = |of: fn(&Line) -> u64| lines.iter().map(of).sum::<u64>();
    let rows = sum(|line| line.rows);
    let mut text = if rows == 0 {
        "nothing to compact".to_owned()
    } else {
        format!(
            "compacted {} from {} into {}",
            counted(rows, "row", "rows"),
            counted(sum(|line| line.files_before as u64), "file", "files"),
            counted(sum(|line| line.files_after as u64), "file", "files"),
        )
    };
    if vacuumed {
        let files = counted(sum(|line| line.vacuumed_files as u64), "file", "files");
        text += &format!(
            ", vacuumed {files} ({})",
            bytes(sum(|line| line.vacuumed_bytes))
        );
    }
    let tables = counted(lines.len() as u64, "table", "tables");
    format!(
        "{text} in {tables}, in {}{}",
        duration(took),
        output::rate(rows, took)
    )
}
