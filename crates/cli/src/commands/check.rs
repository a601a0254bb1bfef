//! `rapport check`: is everything there, and is it what was written?

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use clap::Args;
use rapport_catalog_postgres::{Relation, RelationKind};
use rapport_lake::{Finding, Lake, TableName};
use serde::Serialize;
use serde_json::json;

use super::Context;
use crate::failure::{Failure, Result};
use crate::open;
use crate::output::{self, bytes, count, counted, duration};
use crate::progress::Progress;

/// Verify every commit, the size and checksum of every file, and the catalogue
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rapport check\n  rapport check --json | jq '.findings[] | {path, remedy}'\n\n\
    Ends with 0 if all is well, with 1 if something was found; each finding says what to do."
)]
pub struct Check {
    /// As JSON: {ok, tables, files, bytes, seconds, findings: [{table, path, what, remedy}]}
    #[arg(long)]
    json: bool,
    /// Leave the catalogue out: only the lake's own files
    #[arg(long)]
    lake_only: bool,
}

#[derive(Serialize)]
struct Found {
    table: Option<String>,
    path: String,
    what: String,
    remedy: String,
}

/// Files and bytes that were looked at, by table.
type Seen = BTreeMap<TableName, (usize, u64)>;

impl Check {
    pub async fn run(self, context: Context) -> Result {
        let start = Instant::now();
        let (mut found, seen) = self.lake(&context).await?;
        if !self.lake_only {
            found.extend(context.interrupt.or(catalogue(&context)).await??);
        }
        let (tables, files) = (
            seen.len(),
            seen.values().map(|(files, _)| files).sum::<usize>(),
        );
        let size = seen.values().map(|(_, bytes)| bytes).sum::<u64>();
        let took = start.elapsed();
        if self.json {
            output::json(&json!({
                "ok": found.is_empty(), "tables": tables, "files": files, "bytes": size,
                "seconds": took.as_secs_f64(), "findings": found,
            }))?;
        } else {
            for finding in &found {
                let table = finding
                    .table
                    .as_ref()
                    .map(|t| format!("{t}: "))
                    .unwrap_or_default();
                output::line(&format!(
                    "{table}{}: {}\n  → {}",
                    finding.path, finding.what, finding.remedy
                ))?;
            }
            output::line(&format!(
                "checked {}, {}, {} in {}: {}",
                counted(tables as u64, "table", "tables"),
                counted(files as u64, "file", "files"),
                bytes(size),
                duration(took),
                if found.is_empty() {
                    "all is well".to_owned()
                } else {
                    problems(found.len())
                },
            ))?;
        }
        if found.is_empty() {
            Ok(())
        } else {
            Err(failure(found.len(), self.json))
        }
    }

    async fn lake(&self, context: &Context) -> Result<(Vec<Found>, Seen)> {
        let settings = context.settings().clone();
        // Not spawned: the check waits for files more than it computes, and its future is not `Send` for every caller.
        let work = async move {
            let lake = open::lake(&settings).await?;
            let bar = Progress::new("checking", 0);
            // A table without files has nothing to tell of, and is a table all the same.
            let tables = lake.table_names().await?;
            let seen: Seen = tables.into_iter().map(|table| (table, (0, 0))).collect();
            let seen = Mutex::new(seen);
            let tell = |at: rapport_lake::CheckProgress| {
                let mut seen = seen.lock().expect("only counts are kept under this lock");
                seen.insert(at.table.clone(), (at.files_done, at.bytes_done));
                bar.set(seen.values().map(|(files, _)| *files as u64).sum());
                bar.say(format!(
                    "files, {} of {}",
                    count(at.files_done as u64),
                    at.table
                ));
            };
            let findings = rapport_lake::check(&lake, &tell).await?;
            drop(bar);
            let seen = seen
                .into_inner()
                .expect("only counts are kept under this lock");
            Ok::<_, Failure>((findings.into_iter().map(Found::from).collect(), seen))
        };
        context.interrupt.or(work).await?
    }
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Self {
        Self {
            table: finding.table.map(|table| table.to_string()),
            path: finding.path,
            what: finding.what,
            remedy: finding.remedy,
        }
    }
}

fn problems(n: usize) -> String {
    counted(n as u64, "problem", "problems")
}

fn failure(n: usize, is_json: bool) -> Failure {
    let failure = Failure::new(format!("{} found", problems(n)));
    if is_json {
        failure.hint("see findings[].remedy")
    } else {
        failure.hint("each says above what to do")
    }
}

/// The catalogue must open, and describe the tables that the lake holds. It is looked at as it is: opening the
/// warehouse would mend it before anyone saw.
async fn catalogue(context: &Context) -> Result<Vec<Found>> {
    let lake = open::lake(context.settings()).await?;
    let found = |path: &str, what: String, remedy: &str| Found {
        table: None,
        path: path.to_owned(),
        what,
        remedy: remedy.to_owned(),
    };
    let catalogue = match open::catalogue(context.settings(), lake.location()).await {
        Ok(catalogue) => catalogue,
        Err(failure) => {
            let remedy = "stop every rapport process, move the catalogue's folder (setting catalog.dir) away \
                          and run `rapport serve`: it is made anew from the lake, with its users";
            return Ok(vec![found("catalogue", failure.cause, remedy)]);
        }
    };
    let relations = catalogue.relations().await;
    catalogue.shutdown().await;
    let relations = match relations {
        Ok(relations) => relations,
        Err(error) => {
            let remedy = "run `rapport check` again; if it stays, move the catalogue's folder away and serve";
            return Ok(vec![found("catalogue", Failure::from(error).cause, remedy)]);
        }
    };
    compare(&lake, &relations).await
}

async fn compare(lake: &Lake, relations: &[Relation]) -> Result<Vec<Found>> {
    const MENDED: &str =
        "`rapport serve` (or any other command that opens the catalogue) mends this by itself";
    let mut mirrored: BTreeMap<&TableName, &Relation> = relations
        .iter()
        .filter(|relation| relation.kind == RelationKind::Table)
        .map(|relation| (&relation.name, relation))
        .collect();
    let mut all = Vec::new();
    let mut add = |name: &TableName, what: String| {
        all.push(Found {
            table: Some(name.to_string()),
            path: "catalogue".into(),
            what,
            remedy: MENDED.into(),
        });
    };
    for name in lake.table_names().await? {
        let Some(relation) = mirrored.remove(&name) else {
            add(
                &name,
                "the lake has this table, the catalogue does not".into(),
            );
            continue;
        };
        // What is wrong with a table that can't be read was found by the lake's own check.
        let Ok(table) = lake.table(&name).await else {
            continue;
        };
        let Ok(snapshot) = table.snapshot().await else {
            continue;
        };
        let lake_columns: Vec<String> = snapshot
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let columns: Vec<String> = relation
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect();
        if lake_columns != columns {
            add(
                &name,
                format!(
                    "columns in the lake: {}; in the catalogue: {}",
                    lake_columns.join(", "),
                    columns.join(", ")
                ),
            );
        }
    }
    for name in mirrored.into_keys() {
        add(
            name,
            "the catalogue has this table, the lake does not".into(),
        );
    }
    Ok(all)
}
