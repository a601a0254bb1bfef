//! Folding many sorted files into few, without sorting and without losing a row.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::{
    catalog::TableProvider,
    execution::SessionState,
    physical_plan::{
        ExecutionPlan, ExecutionPlanProperties,
        coalesce_partitions::CoalescePartitionsExec,
        execute_stream,
        sorts::{sort::SortExec, sort_preserving_merge::SortPreservingMergeExec},
    },
};
use rapport_catalog_lake::LakeTable;
use rapport_lake::{
    Expect, Snapshot, TableName,
    compact::{Group, Policy, plan},
};
use tracing::info;

use crate::{Error, Result, Warehouse, cancel::Guard, execute, write};

/// What happened so far, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactProgress {
    pub groups_done: usize,
    pub groups: usize,
    pub rows: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    pub groups: usize,
    pub files_before: usize,
    pub files_after: usize,
    pub rows: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

impl Warehouse {
    /// Folds small files of one table into large sorted ones, one commit a group. Dropping the future stops it;
    /// what has been committed stays.
    pub async fn compact(
        &self,
        name: &TableName,
        policy: &Policy,
        now: DateTime<Utc>,
        progress: &(dyn Fn(CompactProgress) + Sync),
    ) -> Result<Compacted> {
        let _turn = self.turn_to_rewrite(name).await;
        let snapshot = self.lake().table(name).await?.snapshot().await?;
        let groups = plan(&snapshot, now, policy);
        let total = groups.len();
        let mut done = Compacted::default();
        progress(CompactProgress {
            groups_done: 0,
            groups: total,
            rows: 0,
        });
        for group in groups {
            let (files, bytes) = (group.files.len(), group.bytes());
            let warehouse = self.clone();
            let base = snapshot.clone();
            let work = async move { fold(&warehouse, base, group).await };
            let written = match self.cpu().run(&Guard::default(), work).await {
                // Another compaction, or a rewrite, was faster: its files are not ours to fold any more.
                Err(Error::Conflict { .. }) => {
                    info!(table = %name, "left a group that someone else rewrote meanwhile");
                    continue;
                }
                written => written?,
            };
            done.groups += 1;
            done.files_before += files;
            done.files_after += written.files;
            done.rows += written.rows;
            done.bytes_before += bytes;
            done.bytes_after += written.bytes;
            progress(CompactProgress {
                groups_done: done.groups,
                groups: total,
                rows: done.rows,
            });
        }
        info!(table = %name, groups = done.groups, rows = done.rows, "compacted");
        Ok(done)
    }
}

async fn fold(
    warehouse: &Warehouse,
    base: Arc<Snapshot>,
    group: Group,
) -> Result<rapport_lake::Appended> {
    let state = warehouse.template().clone();
    let plan = merge(warehouse, &base, &group, &state).await?;
    let rows = execute_stream(
        plan,
        execute::task_context(warehouse, &state, &Guard::default()),
    )?;
    // In order already; coercing only takes the types back to what is stored.
    let rows = write::in_order(&base, rows);
    let table = warehouse.lake().table(base.name()).await?;
    let txn = warehouse.rewrite_txn();
    write::rewrite(
        &table,
        &base,
        &group.files,
        rows,
        Expect::SameRows,
        txn,
        "COMPACT",
    )
    .await
}

/// All rows of the group's files in the table's order. Files that are sorted are merged; only files of other programs
/// are sorted here.
async fn merge(
    warehouse: &Warehouse,
    base: &Arc<Snapshot>,
    group: &Group,
    state: &SessionState,
) -> Result<Arc<dyn ExecutionPlan>> {
    let files = group.files.clone();
    let table = LakeTable::of_files(base.clone(), warehouse.store_url(), files);
    let scan = table.scan(state, None, &[], None).await?;
    let many = scan.output_partitioning().partition_count() > 1;
    let Some(ordering) = write::ordering(base, &table.schema()) else {
        return Ok(if many {
            Arc::new(CoalescePartitionsExec::new(scan))
        } else {
            scan
        });
    };
    let is_sorted = scan
        .equivalence_properties()
        .ordering_satisfy(ordering.clone())?;
    let sorted: Arc<dyn ExecutionPlan> = if is_sorted {
        scan
    } else {
        Arc::new(SortExec::new(ordering.clone(), scan).with_preserve_partitioning(true))
    };
    Ok(if many {
        Arc::new(SortPreservingMergeExec::new(ordering, sorted))
    } else {
        sorted
    })
}
