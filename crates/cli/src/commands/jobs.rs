//! What `serve` does by itself: the jobs that the settings name, on the runtime that computes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rapport_engine::{Cancel, Warehouse};
use rapport_jobs::{
    BoxError, Check, Compact, Job, Metrics, Rules, ScheduledModel, Scheduler, Summary, SystemClock,
    Vacuum,
};
use rapport_models::{Error, Models};
use tokio::task::JoinHandle;

use super::Context;
use crate::failure::{Failure, Result};
use crate::runtimes;
use crate::settings::{Settings, Span};

/// How long jobs may take to write down that they were ended.
const GRACE: Duration = Duration::from_secs(5);

/// `None` if no jobs are to be run.
pub async fn start(
    context: &Context,
    warehouse: &Warehouse,
    metrics: Arc<Metrics>,
    models: Arc<dyn rapport_jobs::Models>,
    who: String,
) -> Result<Option<JoinHandle<()>>> {
    let settings = context.settings();
    if !settings.jobs.enabled {
        return Ok(None);
    }
    let jobs =
        jobs(settings, warehouse).map_err(|error| Failure::doing("planning jobs", &error))?;
    let rules = Rules {
        who,
        lease: settings.jobs.lease.or_very_long(),
        max_run_time: settings.jobs.max_run_time.or_very_long(),
        retries: settings.jobs.retries,
        max_jitter: settings.jobs.jitter.limit().unwrap_or_default(),
        time_zone: settings.jobs.time_zone.clone(),
    };
    let (warehouse, models) = (warehouse.clone(), Some(models));
    let opening = async move {
        let clock = Arc::new(SystemClock);
        Scheduler::open(warehouse, jobs, models, metrics, clock, rules).await
    };
    match runtimes::on(&context.compute, opening).await {
        Ok(scheduler) => {
            let stop = context.interrupt.token.clone();
            Ok(Some(context.compute.spawn(scheduler.run(stop))))
        }
        Err(error) => {
            // Clients can be served all the same, as from a bucket that may only be read.
            let why = Failure::doing("starting jobs", &error).cause;
            tracing::error!(why, "no jobs are run");
            Ok(None)
        }
    }
}

/// Models as jobs see them.
pub struct ScheduledModels(pub Models);

#[async_trait]
impl rapport_jobs::Models for ScheduledModels {
    async fn scheduled(&self) -> Result<Vec<ScheduledModel>, BoxError> {
        let scheduled = self.0.scheduled().await?;
        let job = |model: rapport_models::Scheduled| ScheduledModel {
            max_run_time: model
                .max_run_time
                .and_then(|span| limit(&model.model, &span)),
            model: model.model,
            job: model.lease,
            schedule: model.refresh,
            time_zone: model.time_zone,
        };
        Ok(scheduled.into_iter().map(job).collect())
    }

    async fn refresh(
        &self,
        model: &str,
        context: &rapport_jobs::Context,
    ) -> Result<Summary, rapport_jobs::Failure> {
        let cancel = Cancel::default();
        // Dropping this future ends the run.
        let _ends = EndsWhenDropped(cancel.clone());
        let progress = context.progress.clone();
        let tell = move |at: rapport_models::Progress| {
            progress.set(at.phase, u64::from(at.done), u64::from(at.total))
        };
        let answer = self
            .0
            .refresh_holding_lease(model, context.token, &tell, &cancel)
            .await;
        let answer = answer.map_err(|error| match error {
            Error::Engine(_) | Error::Lake(_) => rapport_jobs::Failure::of(error),
            // The same data say the same again.
            lasting => rapport_jobs::Failure::lasting(lasting.to_string()),
        })?;
        let (rows, why) = answer.told();
        match answer.is_published {
            true => Ok(Summary { rows, message: why }),
            false => Err(rapport_jobs::Failure::lasting(format!(
                "not published: {why}"
            ))),
        }
    }

    async fn published(&self) -> Result<Vec<(String, DateTime<Utc>)>, BoxError> {
        Ok(self.0.published().await?)
    }
}

/// The option was looked at when the model was made: what can't be read was made by another release.
fn limit(model: &str, span: &str) -> Option<Duration> {
    let read = span.parse::<Span>();
    read.inspect_err(|error| tracing::warn!(model, %error, "jobs.max_run_time holds for a model"))
        .ok()?
        .limit()
}

struct EndsWhenDropped(Cancel);

impl Drop for EndsWhenDropped {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Waits for what runs to be ended; what does not is left to its lease.
pub async fn end(jobs: Option<JoinHandle<()>>) {
    if let Some(jobs) = jobs
        && tokio::time::timeout(GRACE, jobs).await.is_err()
    {
        tracing::warn!("a job did not end in time");
    }
}

fn jobs(settings: &Settings, warehouse: &Warehouse) -> rapport_jobs::Result<Vec<Arc<dyn Job>>> {
    let mut jobs: Vec<Arc<dyn Job>> = vec![];
    let said = &settings.jobs;
    if let Some(schedule) = said.schedule(&said.compact)? {
        let (warehouse, policy) = (warehouse.clone(), settings.compact.policy());
        jobs.push(Arc::new(Compact {
            warehouse,
            schedule,
            policy,
        }));
    }
    if let Some(schedule) = said.schedule(&said.check)? {
        let warehouse = warehouse.clone();
        jobs.push(Arc::new(Check {
            warehouse,
            schedule,
        }));
    }
    if let Some(schedule) = said.schedule(&said.vacuum)? {
        let (warehouse, keep) = (warehouse.clone(), settings.vacuum.keep());
        jobs.push(Arc::new(Vacuum {
            warehouse,
            schedule,
            keep,
        }));
    }
    Ok(jobs)
}
