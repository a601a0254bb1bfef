//! `system.job_runs`: a line for each run, of whichever process.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{col, lit};
use futures::{StreamExt, stream};
use rapport_engine::Warehouse;
use rapport_lake::{Append, TableName};

use crate::Result;
use crate::columns::{self, Columns};
use crate::timetable::SMALL_STEP;

const COLUMNS: &Columns = &[
    ("job", "text", "Name of the job"),
    (
        "started_at",
        "timestamp with time zone",
        "When the run began",
    ),
    ("finished_at", "timestamp with time zone", "When it ended"),
    (
        "status",
        "text",
        "ok, failed, skipped, timed_out or interrupted",
    ),
    ("rows", "bigint", "Rows that were written, or looked at"),
    ("message", "text", "What was done, or why it was not"),
    ("host", "text", "Machine"),
    ("pid", "bigint", "Process"),
    (
        "attempt",
        "bigint",
        "1, or more if the runs before it failed",
    ),
];

const COMMENT: &str = "What jobs have run, and how they ended";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    Failed {
        /// Whether it may go well when it is tried again.
        again: bool,
    },
    /// Another process ran it.
    Skipped,
    TimedOut,
    /// The server was stopped.
    Interrupted,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed { .. } => "failed",
            Self::Skipped => "skipped",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub job: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub status: Status,
    pub rows: Option<u64>,
    pub message: String,
    pub attempt: u32,
}

/// The last runs of a job, those that were skipped aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Last {
    pub started_at: Option<DateTime<Utc>>,
    pub status: Option<String>,
    /// Began the last one that came to an end of its own.
    pub ended: Option<DateTime<Utc>>,
    /// Began the last one that went well.
    pub ok: Option<DateTime<Utc>>,
    /// Ended that one.
    pub succeeded_at: Option<DateTime<Utc>>,
}

#[derive(Clone)]
pub(crate) struct History {
    warehouse: Warehouse,
    name: TableName,
}

impl History {
    pub(crate) async fn open(warehouse: Warehouse) -> Result<Self> {
        let name = columns::named("job_runs");
        columns::make(&warehouse, &name, COLUMNS, COMMENT).await?;
        Ok(Self { warehouse, name })
    }

    pub(crate) async fn add(&self, run: &Run) -> Result<()> {
        let table = self.warehouse.lake().table(&self.name).await?;
        let text = |text: &str| Arc::new(StringArray::from(vec![text.to_owned()])) as ArrayRef;
        let number = |number: Option<i64>| Arc::new(Int64Array::from(vec![number])) as ArrayRef;
        let time = |time: DateTime<Utc>| {
            let time = TimestampMicrosecondArray::from(vec![time.timestamp_micros()]);
            Arc::new(time.with_timezone("UTC")) as ArrayRef
        };
        let values = vec![
            text(&run.job),
            time(run.started_at),
            time(run.finished_at),
            text(run.status.word()),
            number(run.rows.map(|rows| rows as i64)),
            text(&run.message),
            text(&rapport_lake::host()),
            number(Some(i64::from(std::process::id()))),
            number(Some(i64::from(run.attempt))),
        ];
        let schema = table.snapshot().await?.schema();
        let rows = RecordBatch::try_new(schema, values).map_err(rapport_engine::Error::from)?;
        let append = Append {
            operation: "JOB",
            ..Append::default()
        };
        table
            .append(stream::iter([Ok(rows)]).boxed(), append)
            .await?;
        Ok(())
    }

    /// By job. Runs of a clock that was far ahead do not count.
    pub(crate) async fn last(&self, now: DateTime<Utc>) -> Result<BTreeMap<String, Last>> {
        let context = self.warehouse.lake_context();
        let until = (now + SMALL_STEP).timestamp_micros();
        let until = ScalarValue::TimestampMicrosecond(Some(until), Some("UTC".into()));
        let runs = context
            .read_table(self.warehouse.provider(&self.name).await?)?
            .filter(col("started_at").lt_eq(lit(until)))?;
        context.register_table("runs", runs.into_view())?;
        let asked = context
            .sql(
                "SELECT job, max(started_at), last_value(status ORDER BY started_at),
                    max(started_at) FILTER (WHERE status <> 'interrupted'),
                    max(started_at) FILTER (WHERE status = 'ok'),
                    max(finished_at) FILTER (WHERE status = 'ok')
                 FROM runs WHERE status <> 'skipped' GROUP BY job",
            )
            .await?;
        let mut last = BTreeMap::new();
        for rows in asked.collect().await? {
            for row in 0..rows.num_rows() {
                let text = |column: usize| {
                    let texts = arrow::compute::cast(
                        rows.column(column),
                        &arrow::datatypes::DataType::Utf8,
                    )
                    .expect("a text is one");
                    let texts = texts.as_string::<i32>();
                    texts.is_valid(row).then(|| texts.value(row).to_owned())
                };
                let time = |column: usize| {
                    let times = rows
                        .column(column)
                        .as_primitive::<TimestampMicrosecondType>();
                    let micros = times.is_valid(row).then(|| times.value(row))?;
                    DateTime::from_timestamp_micros(micros)
                };
                let of_job = Last {
                    started_at: time(1),
                    status: text(2),
                    ended: time(3),
                    ok: time(4),
                    succeeded_at: time(5),
                };
                last.extend(text(0).map(|job| (job, of_job)));
            }
        }
        Ok(last)
    }
}
