//! `system.jobs`: what is planned and what runs, as it is when somebody asks.
//!
//! The lake has a table of that name without rows, so that the catalogue and every client know its columns. The
//! warehouse reads this in its place: the schedules of this process, the history, and the leases of all processes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as PlanResult;
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use rapport_engine::Warehouse;

use crate::Result;
use crate::columns::{self, Columns};
use crate::history::{History, Last};
use crate::job::Said;
use crate::run::running_on;
use crate::scheduler::Planned;

const COLUMNS: &Columns = &[
    ("job", "text", "Name of the job"),
    (
        "kind",
        "text",
        "compact, check, vacuum, refresh_model; empty if no schedule of this server runs it",
    ),
    (
        "schedule",
        "text",
        "Minute, hour, day, month, weekday and time zone",
    ),
    (
        "next_run",
        "timestamp with time zone",
        "When it begins next",
    ),
    (
        "last_run",
        "timestamp with time zone",
        "When it began last, in whichever process",
    ),
    (
        "last_status",
        "text",
        "How that ended: ok, failed, timed_out or interrupted",
    ),
    ("running_on", "text", "The process that runs it now"),
    ("phase", "text", "What that is doing"),
    ("done", "bigint", "How much of it is done"),
    ("total", "bigint", "How much there is to do"),
    ("seconds_left", "bigint", "How long it may still take"),
];

const COMMENT: &str = "What jobs there are, and what they do now";

pub(crate) struct Live {
    warehouse: Warehouse,
    history: History,
    planned: Arc<Mutex<BTreeMap<String, Planned>>>,
    schema: SchemaRef,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("system.jobs")
    }
}

#[derive(Clone, Debug, Default)]
struct Line {
    planned: Option<Planned>,
    last: Last,
    running_on: Option<String>,
    said: Said,
}

impl Live {
    pub(crate) async fn show(
        warehouse: &Warehouse,
        history: History,
        planned: Arc<Mutex<BTreeMap<String, Planned>>>,
    ) -> Result<()> {
        let name = columns::named("jobs");
        columns::make(warehouse, &name, COLUMNS, COMMENT).await?;
        let schema = warehouse.provider(&name).await?.schema();
        let live = Self {
            warehouse: warehouse.clone(),
            history,
            planned,
            schema,
        };
        warehouse.show(name, Arc::new(live));
        Ok(())
    }

    async fn rows(&self) -> Result<RecordBatch> {
        let mut lines: BTreeMap<String, Line> = BTreeMap::new();
        let planned = self
            .planned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (job, planned) in planned {
            lines.entry(job).or_default().planned = Some(planned);
        }
        for (job, holder) in self.warehouse.lake().leases().await? {
            let line = lines.entry(job).or_default();
            line.running_on = Some(running_on(&holder));
            line.said = Said::read(&holder.said);
        }
        for (job, last) in self.history.last(Utc::now()).await? {
            // What nobody plans and nobody runs is history.
            if let Some(line) = lines.get_mut(&job) {
                line.last = last;
            }
        }
        let texts = |of: &dyn Fn(&Line) -> Option<String>| {
            Arc::new(lines.values().map(of).collect::<StringViewArray>()) as ArrayRef
        };
        let times = |of: &dyn Fn(&Line) -> Option<DateTime<Utc>>| {
            let times = lines
                .values()
                .map(|line| Some(of(line)?.timestamp_micros()));
            let times: TimestampMicrosecondArray = times.collect();
            Arc::new(times.with_timezone("UTC")) as ArrayRef
        };
        let numbers = |of: &dyn Fn(&Line) -> Option<u64>| {
            let numbers = lines.values().map(|line| Some(of(line)? as i64));
            Arc::new(numbers.collect::<Int64Array>()) as ArrayRef
        };
        let names = lines.keys().map(Some).collect::<StringViewArray>();
        let values: Vec<ArrayRef> = vec![
            Arc::new(names),
            texts(&|line| line.planned.as_ref().map(|planned| planned.kind.to_owned())),
            texts(&|line| {
                line.planned
                    .as_ref()
                    .map(|planned| planned.schedule.clone())
            }),
            times(&|line| line.planned.as_ref()?.next_run),
            times(&|line| line.last.started_at),
            texts(&|line| line.last.status.clone()),
            texts(&|line| line.running_on.clone()),
            texts(&|line| line.said.phase.clone()),
            numbers(&|line| line.said.done),
            numbers(&|line| line.said.total),
            numbers(&|line| line.said.seconds_left),
        ];
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), values);
        Ok(rows.map_err(rapport_engine::Error::from)?)
    }
}

#[async_trait]
impl TableProvider for Live {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let rows = self.rows().await;
        let rows = rows.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let table = MemTable::try_new(self.schema(), vec![vec![rows]])?;
        table.scan(session, projection, filters, limit).await
    }
}
