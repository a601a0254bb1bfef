//! `rapport load`: files into the lake, exactly once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use chrono::Utc;
use clap::Args;
use rapport_engine::Warehouse;
use rapport_intake::{LoadOptions, Loaded, Phase, Preview, Source};
use serde_json::{Value, json};

use super::Context;
use crate::failure::{Failure, INTERRUPTED, Result};
use crate::output::{self, count, counted, duration};
use crate::progress::Progress;
use crate::settings::{Flags, Settings};
use crate::{open, runtimes};

/// Load files into the lake: once each, however often you ask
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  rapport load csv calls.csv\n  \
    rapport load online_retail 'exports/2011-*.parquet' --dry-run\n  \
    zcat events.csv.gz | rapport load ecom_events -\n  \
    rapport load jsonl s3://bucket/events/\n\n\
    `rapport sources` lists what SOURCE may be. A row that can't be understood goes to the table quarantine.")]
pub struct Load {
    /// What the files are: the name of a source, or the path of your own .toml
    source: String,
    /// Files, folders, globs, object-store URLs, or - for standard input
    #[arg(required = true)]
    paths: Vec<String>,
    /// Show the first rows as they would be loaded and the first that would be refused; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Fail if more than this share of the rows is refused (setting load.max_refused)
    #[arg(long, value_name = "SHARE")]
    max_refused: Option<f64>,
    /// As JSON: {load_id, read, added, already_known, refused, new_customers, version, tables, files, reasons, seconds}
    #[arg(long)]
    json: bool,
}

impl Load {
    pub fn add_flags(&self, flags: &mut Flags) {
        flags.put("--max-refused", "load.max_refused", self.max_refused);
    }

    pub async fn run(self, context: Context) -> Result {
        let settings = context.settings().clone();
        let source = Source::find(&self.source, std::slice::from_ref(&settings.load.sources))?;
        let options = options(&settings, self.paths.clone());
        let stop = context.interrupt.token.clone();
        if self.dry_run {
            let work = runtimes::on(&context.compute, async move {
                let warehouse = open::warehouse_without_catalogue(&settings).await?;
                Ok::<_, Failure>(rapport_intake::preview(&warehouse, &source, options, stop).await?)
            });
            let preview = context.interrupt.or(work).await??;
            return if self.json {
                output::json(&preview_json(&preview))
            } else {
                show_preview(&preview)
            };
        }
        // Not raced against Ctrl-C: the load itself decides whether it stops before its commit or after it.
        let loaded = runtimes::on(&context.compute, async move {
            let warehouse = open::warehouse_without_catalogue(&settings).await?;
            let bar = Bar::new();
            Ok::<_, Failure>(rapport_intake::load(&warehouse, &source, options, &bar, stop).await?)
        })
        .await
        .map_err(|failure| match failure.code {
            INTERRUPTED => failure.hint("run the same command again"),
            _ => failure,
        })?;
        if self.json {
            output::json(&loaded_json(&loaded))
        } else {
            show(&loaded)
        }
    }
}

pub fn options(settings: &Settings, paths: Vec<String>) -> LoadOptions {
    LoadOptions {
        max_refused_share: settings.load.max_refused,
        memory_bytes: settings.query.memory.bytes() / 2,
        spill_folder: settings.query.spill_dir.clone(),
        store_options: open::store_options(settings),
        ..LoadOptions::new(paths, Utc::now())
    }
}

/// Loads one source without a bar of its own; for commands that load on the way.
pub async fn quietly(
    warehouse: &Warehouse,
    source: &Source,
    options: LoadOptions,
    progress: &dyn rapport_intake::Progress,
    stop: tokio_util::sync::CancellationToken,
) -> Result<Loaded> {
    Ok(rapport_intake::load(warehouse, source, options, progress, stop).await?)
}

/// Rows while they are read, then rows while they are written, and how fast.
pub struct Bar {
    bar: Progress,
    total_bytes: AtomicU64,
    read_bytes: AtomicU64,
    rows: AtomicU64,
    /// And when it began.
    phase: Mutex<(Phase, Instant)>,
}

impl Bar {
    pub fn new() -> Self {
        Self {
            bar: Progress::new("loading", 0),
            total_bytes: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            phase: Mutex::new((Phase::Looking, Instant::now())),
        }
    }

    fn say(&self) {
        let (phase, since) = *self.phase.lock().expect("held for one assignment");
        let rows = self.rows.load(Ordering::Relaxed);
        let seconds = since.elapsed().as_secs_f64().max(0.001);
        let speed = format!("{} a second", count((rows as f64 / seconds) as u64));
        let read = self.read_bytes.load(Ordering::Relaxed) * 100;
        let share = read
            .checked_div(self.total_bytes.load(Ordering::Relaxed))
            .unwrap_or(0)
            .min(100);
        self.bar.set(rows);
        self.bar.say(match phase {
            Phase::Looking => "looking at the files".to_owned(),
            Phase::Reading => format!("rows read, {share} %, {speed}"),
            Phase::Matching => "rows read; which of them are known already?".to_owned(),
            Phase::Writing => format!("rows written, {speed}"),
            Phase::Committing => "rows written; committing".to_owned(),
        });
    }
}

impl rapport_intake::Progress for Bar {
    fn phase(&self, phase: Phase) {
        *self.phase.lock().expect("held for one assignment") = (phase, Instant::now());
        if phase == Phase::Writing {
            self.rows.store(0, Ordering::Relaxed);
        }
        self.say();
    }

    fn total_bytes(&self, bytes: u64) {
        self.total_bytes.store(bytes, Ordering::Relaxed);
    }

    fn advance(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.read_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.say();
    }
}

fn show(loaded: &Loaded) -> Result {
    for (reason, rows) in loaded.reasons.iter().take(5) {
        output::line(&format!(
            "refused {}: {reason}",
            counted(*rows, "row", "rows")
        ))?;
    }
    output::line(&summary(loaded))
}

/// The last line of a load: what was done, how many rows, how long.
pub fn summary(loaded: &Loaded) -> String {
    let known = loaded
        .files
        .iter()
        .filter(|file| file.loaded_before)
        .count();
    let files = counted(loaded.files.len() as u64, "file", "files");
    if known == loaded.files.len() {
        return format!(
            "nothing new: {files} loaded before, nothing changed, in {}",
            duration(loaded.took)
        );
    }
    let mut text = format!(
        "loaded {} from {files}",
        counted(loaded.added, "row", "rows")
    );
    if known > 0 {
        text += &format!(" ({} loaded before)", count(known as u64));
    }
    for table in &loaded.tables {
        if loaded.tables.len() > 1 {
            text += &format!(", {} into {}", count(table.added), table.table);
        }
    }
    text += &format!(
        ": {} read, {} known already, {} refused{}, in {}{}",
        count(loaded.read),
        count(loaded.already_known),
        count(loaded.refused),
        if loaded.refused > 0 {
            " (see table quarantine)"
        } else {
            ""
        },
        duration(loaded.took),
        output::rate(loaded.read, loaded.took),
    );
    text
}

fn loaded_json(loaded: &Loaded) -> Value {
    json!({
        "load_id": loaded.load_id,
        "read": loaded.read,
        "added": loaded.added,
        "already_known": loaded.already_known,
        "refused": loaded.refused,
        "new_customers": loaded.new_customers,
        "version": loaded.version,
        "tables": loaded.tables.iter().map(|t| json!({
            "table": t.table.to_string(), "added": t.added, "already_known": t.already_known,
        })).collect::<Vec<_>>(),
        "files": loaded.files.iter().map(|f| json!({
            "file": f.file, "bytes": f.bytes, "loaded_before": f.loaded_before,
        })).collect::<Vec<_>>(),
        "reasons": loaded.reasons.iter().map(|(reason, rows)| json!({
            "reason": reason, "rows": rows,
        })).collect::<Vec<_>>(),
        "seconds": loaded.took.as_secs_f64(),
    })
}

fn preview_json(preview: &Preview) -> Value {
    json!({
        "tables": preview.tables.iter().map(|t| json!({
            "table": t.table.to_string(), "rows": output::objects(&t.rows),
        })).collect::<Vec<_>>(),
        "refused": preview.refused.iter().map(|r| json!({
            "file": r.file, "line": r.line, "column": r.column, "reason": r.reason, "raw": r.raw,
        })).collect::<Vec<_>>(),
        "read": preview.n_read,
        "refused_rows": preview.n_refused,
        "complete": preview.complete,
    })
}

fn show_preview(preview: &Preview) -> Result {
    for table in &preview.tables {
        output::line(&format!("{}:", table.table))?;
        // Wide rows read better downwards, one column a line, and without the columns that say nothing.
        for (n, row) in output::objects(&table.rows).into_iter().enumerate() {
            output::line(&format!("  row {}", n + 1))?;
            for (name, value) in row.as_object().into_iter().flatten() {
                if !value.is_null() {
                    let text = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    output::line(&format!("    {name:<18} {text}"))?;
                }
            }
        }
    }
    for refusal in &preview.refused {
        let column = refusal
            .column
            .as_ref()
            .map(|c| format!(", column {c}"))
            .unwrap_or_default();
        output::line(&format!(
            "refused: {} line {}{column}: {}\n    {}",
            refusal.file, refusal.line, refusal.reason, refusal.raw
        ))?;
    }
    output::line(&format!(
        "looked at {}{}, {} would be refused; nothing was written",
        counted(preview.n_read, "row", "rows"),
        if preview.complete { "" } else { " (the first)" },
        count(preview.n_refused),
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rapport_intake::FileLoaded;

    use super::*;

    fn loaded(before: &[bool], added: u64) -> Loaded {
        Loaded {
            load_id: "l".into(),
            files: before
                .iter()
                .map(|b| FileLoaded {
                    file: "f".into(),
                    bytes: 1,
                    loaded_before: *b,
                })
                .collect(),
            read: 1_200,
            added,
            already_known: 100,
            refused: 100,
            reasons: vec![],
            new_customers: 0,
            version: Some(1),
            tables: vec![],
            took: Duration::from_secs(2),
        }
    }

    #[test]
    fn the_last_line_counts_what_was_refused() {
        assert_eq!(
            summary(&loaded(&[true, false], 1_000)),
            "loaded 1,000 rows from 2 files (1 loaded before): 1,200 read, 100 known already, \
             100 refused (see table quarantine), in 2.0 s (600 rows a second)"
        );
    }

    #[test]
    fn the_same_files_again_are_said_to_change_nothing() {
        assert_eq!(
            summary(&loaded(&[true], 0)),
            "nothing new: 1 file loaded before, nothing changed, in 2.0 s"
        );
    }
}
