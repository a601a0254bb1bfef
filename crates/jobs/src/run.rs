//! One run of a job: nobody else runs it meanwhile, it may not take for ever, and how it ended is written down.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rapport_lake::{Holder, Lease, Taken};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::error::chain;
use crate::history::{Run, Status};
use crate::scheduler::House;
use crate::{Context, Failure, Job, Progress, Summary};

/// How it ended, and what is to be said of it.
type End = (Status, Option<u64>, String);

const FAILED: Status = Status::Failed { again: true };

impl House {
    /// Whether it is due for `due`, nobody runs it, and nobody has since: then it is run, and how it ends is kept.
    pub(crate) async fn run(
        &self,
        job: &Arc<dyn Job>,
        due: DateTime<Utc>,
        attempt: u32,
        stop: &CancellationToken,
    ) -> Status {
        let started_at = self.clock.now();
        let name = job.name();
        info!(job = name, attempt, "a job begins");
        let lake = self.warehouse.lake();
        let taken = lake.lease(&name, &self.rules.who, self.rules.lease).await;
        let (lease, (status, rows, message)) = match taken {
            Ok(Taken::Mine(lease)) => {
                let end = match self.has_run_since(&name, due).await {
                    Ok(true) => (
                        Status::Skipped,
                        None,
                        "another process has run it".to_owned(),
                    ),
                    Ok(false) => self.run_bounded(job, &lease, stop).await,
                    Err(error) => (FAILED, None, chain(&error)),
                };
                (Some(lease), end)
            }
            Ok(Taken::Held(holder)) => (None, (Status::Skipped, None, held(&holder))),
            Err(error) => (None, (FAILED, None, chain(&error))),
        };
        let finished_at = self.clock.now();
        let run = Run {
            job: name.clone(),
            started_at,
            finished_at,
            status,
            rows,
            message,
            attempt,
        };
        match status {
            Status::Failed { .. } | Status::TimedOut => {
                warn!(
                    job = name,
                    status = status.word(),
                    reason = run.message,
                    "a job ended"
                );
            }
            _ => info!(job = name, status = status.word(), "a job ended"),
        }
        self.metrics.count(&run);
        if let Err(error) = self.history.add(&run).await {
            error!(
                job = name,
                error = chain(&error),
                "a run is missing in the history"
            );
        }
        // Only now, so that who has the lease next sees that this was done.
        if let Some(lease) = lease
            && let Err(error) = lease.release().await
        {
            warn!(job = name, %error, "a lease could not be given back, and ends by itself");
        }
        status
    }

    async fn has_run_since(&self, name: &str, due: DateTime<Utc>) -> crate::Result<bool> {
        let last = self.history.last(self.clock.now()).await?;
        let ok = last.get(name).and_then(|last| last.ok);
        Ok(ok.is_some_and(|ok| ok >= due))
    }

    /// In a task of its own, so that the lease is kept up while it computes.
    async fn run_bounded(
        &self,
        job: &Arc<dyn Job>,
        lease: &Lease,
        stop: &CancellationToken,
    ) -> End {
        let context = Context {
            token: lease.token(),
            progress: Progress::default(),
        };
        let limit = job.max_run_time().unwrap_or(self.rules.max_run_time);
        let mut work = JoinSet::new();
        let (job, given) = (job.clone(), context.clone());
        work.spawn(async move { job.run(&given).await });
        let end = tokio::select! {
            // What is done is done, whatever else has happened.
            biased;
            done = work.join_next() => match done {
                Some(Ok(done)) => ending(done),
                _ => (FAILED, None, "internal error: the job panicked".to_owned()),
            },
            error = lease.keep(|| context.progress.said().write()) => (FAILED, None, chain(&error)),
            () = tokio::time::sleep(limit) => (Status::TimedOut, None, timed_out(limit)),
            () = stop.cancelled() => (Status::Interrupted, None, "the server was stopped".to_owned()),
        };
        // Not before it has really ended may anybody else begin.
        tokio::select! {
            () = work.shutdown() => {}
            _ = lease.keep(Vec::new) => {}
        }
        end
    }
}

fn ending(done: Result<Summary, Failure>) -> End {
    match done {
        Ok(Summary { rows, message }) => (Status::Ok, Some(rows), message),
        Err(Failure { why, again }) => (Status::Failed { again }, None, why),
    }
}

fn held(holder: &Holder) -> String {
    let since = holder.since.format("%F %T UTC");
    format!("{} runs it since {since}", running_on(holder))
}

fn timed_out(limit: Duration) -> String {
    format!("it did not end within {} seconds", limit.as_secs_f64())
}

/// Who runs it, as `system.jobs` shows it.
pub(crate) fn running_on(holder: &Holder) -> String {
    format!(
        "{} (host {}, process {})",
        holder.who, holder.host, holder.pid
    )
}
