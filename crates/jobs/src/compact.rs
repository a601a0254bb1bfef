//! Few large files in place of many small ones, in every table; checkpoints, and expired commits cleared away.

use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use rapport_engine::{CompactProgress, Compacted, Warehouse};
use rapport_lake::compact::Policy;
use rapport_lake::{TableName, Vacuumed};

use crate::error::chain;
use crate::{Context, Failure, Job, Schedule, Summary};

pub struct Compact {
    pub warehouse: Warehouse,
    pub schedule: Schedule,
    pub policy: Policy,
}

/// What was done to one table.
#[derive(Clone, Debug, Default)]
pub struct Tended {
    pub compacted: Compacted,
    pub vacuumed: Vacuumed,
}

/// Compacts one table if there is a policy, keeps its log short, and removes files if it is said how long they are kept.
pub async fn tend(
    warehouse: &Warehouse,
    name: &TableName,
    policy: Option<&Policy>,
    keep: Option<(Duration, bool)>,
    tell: &(dyn Fn(CompactProgress) + Sync),
) -> Result<Tended, rapport_engine::Error> {
    let mut done = Tended::default();
    if let Some(policy) = policy {
        done.compacted = warehouse.compact(name, policy, Utc::now(), tell).await?;
    }
    let table = warehouse.lake().table(name).await?;
    table.maintain(Utc::now()).await?;
    if let Some((keep, below_floor)) = keep {
        done.vacuumed = table.vacuum(keep, Utc::now(), below_floor).await?;
    }
    Ok(done)
}

#[async_trait]
impl Job for Compact {
    fn name(&self) -> String {
        "compact".into()
    }

    fn kind(&self) -> &'static str {
        "compact"
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    async fn run(&self, context: &Context) -> Result<Summary, Failure> {
        let (mut rows, mut before, mut after) = (0, 0, 0);
        let tables = each_table(&self.warehouse, Some(&self.policy), None, context, |done| {
            rows += done.compacted.rows;
            before += done.compacted.files_before;
            after += done.compacted.files_after;
        });
        let tables = tables.await?;
        let message = format!("{before} files became {after} in {tables} tables");
        Ok(Summary { rows, message })
    }
}

/// Answers how many tables there are. A table that can't be tended does not keep the others from it.
pub(crate) async fn each_table(
    warehouse: &Warehouse,
    policy: Option<&Policy>,
    keep: Option<Duration>,
    context: &Context,
    mut add: impl FnMut(Tended) + Send,
) -> Result<usize, Failure> {
    let names = warehouse.lake().table_names().await.map_err(Failure::of)?;
    let keep = keep.map(|keep| (keep, false));
    let mut failed = vec![];
    for (at, name) in names.iter().enumerate() {
        context
            .progress
            .set("tables", at as u64, names.len() as u64);
        match tend(warehouse, name, policy, keep, &|_| ()).await {
            Ok(done) => add(done),
            // Dropped since it was listed.
            Err(rapport_engine::Error::Lake(rapport_lake::Error::NoSuchTable(_))) => {}
            Err(error) => failed.push(format!("{name}: {}", chain(&error))),
        }
    }
    match failed.is_empty() {
        true => Ok(names.len()),
        false => Err(Failure::of(failed.join("; "))),
    }
}
