//! `rapport tables`: what the lake holds.

use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use rapport_lake::{Lake, TableName};
use serde::Serialize;

use super::Context;
use crate::failure::Result;
use crate::open;
use crate::output::{self, bytes, count};

/// Tables are asked about side by side: a bucket answers each in some tens of milliseconds.
const AT_ONCE: usize = 16;

/// List the tables of the lake: rows, files, bytes, version, last load
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rapport tables\n  rapport tables --json | jq '.[] | {table, rows}'"
)]
pub struct Tables {
    /// As JSON: an array of {table, rows, files, bytes, version, last_load, operation}
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    table: String,
    rows: u64,
    files: usize,
    bytes: u64,
    version: u64,
    /// When the newest of the rows came in; `null` while there are none.
    last_load: Option<String>,
    /// What made the newest version.
    operation: Option<String>,
}

impl Tables {
    pub async fn run(self, context: Context) -> Result {
        let lines = context.interrupt.or(lines(&context)).await??;
        if self.json {
            return output::json(&lines);
        }
        let mut table = output::Table::new(&[
            "table",
            ">rows",
            ">files",
            ">size",
            ">version",
            "last load",
            "by",
        ]);
        for line in lines {
            table.row(vec![
                line.table,
                count(line.rows),
                count(line.files as u64),
                bytes(line.bytes),
                line.version.to_string(),
                line.last_load.unwrap_or_default(),
                line.operation.unwrap_or_default(),
            ]);
        }
        table.print()
    }
}

async fn lines(context: &Context) -> Result<Vec<Line>> {
    let lake = open::lake(context.settings()).await?;
    let mut names = lake.table_names().await?;
    names.sort();
    stream::iter(names)
        .map(|name| line(&lake, name))
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

async fn line(lake: &Lake, name: TableName) -> Result<Line> {
    let snapshot = lake.table(&name).await?.snapshot().await?;
    let newest = snapshot
        .files()
        .iter()
        .map(rapport_lake::DataFile::until)
        .max();
    Ok(Line {
        table: name.to_string(),
        rows: snapshot.rows(),
        files: snapshot.files().len(),
        bytes: snapshot.bytes(),
        version: snapshot.version(),
        last_load: newest.map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
        operation: snapshot.last_operation().map(str::to_owned),
    })
}
