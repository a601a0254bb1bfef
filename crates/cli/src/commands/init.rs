//! `rapport init`: a lake with its built-in tables, and the catalogue beside it.

use std::time::Instant;

use clap::Args;
use rapport_engine::Warehouse;
use rapport_lake::Lake;
use serde_json::json;

use super::Context;
use crate::failure::{Failure, Result};
use crate::{open, output, runtimes};

/// Make a lake with its built-in tables; what is there already stays
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rapport init\n  rapport init --lake s3://my-bucket/rapport\n  \
    rapport init --lake /data/lake && rapport load --lake /data/lake csv calls.csv"
)]
pub struct Init {
    /// As JSON: {lake, tables, created, seconds}
    #[arg(long)]
    json: bool,
}

impl Init {
    pub async fn run(self, context: Context) -> Result {
        let start = Instant::now();
        let settings = context.settings().clone();
        let work = runtimes::on(&context.compute, async move {
            let lake = Lake::open(open::location(&settings)?).await?;
            let before = if lake.exists().await? {
                lake.table_names().await?.len()
            } else {
                lake.create_root().await?;
                0
            };
            let catalogue = open::catalogue(&settings, lake.location()).await?;
            let warehouse = Warehouse::open(
                lake.clone(),
                Some(catalogue.clone()),
                open::limits(&settings),
            )
            .await?;
            let made = warehouse.init().await;
            let tables = lake.table_names().await?.len();
            catalogue.shutdown().await;
            made?;
            Ok::<_, Failure>((lake.location().display(), before, tables))
        });
        let (place, before, tables) = context.interrupt.or(work).await??;
        let created = tables.saturating_sub(before);
        let took = start.elapsed();
        if self.json {
            return output::json(&json!({
                "lake": place, "tables": tables, "created": created, "seconds": took.as_secs_f64(),
            }));
        }
        let made = output::counted(created as u64, "table", "tables");
        let all = output::counted(tables as u64, "table", "tables");
        output::line(&format!(
            "lake {place}: {made} created, {all} in all, in {}",
            output::duration(took)
        ))
    }
}
