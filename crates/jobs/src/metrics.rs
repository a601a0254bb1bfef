//! Numbers for Prometheus, in its text format.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rapport_engine::Warehouse;

use crate::Models;
use crate::history::{Run, Status};

pub struct Metrics {
    warehouse: Warehouse,
    endpoint: Box<dyn Fn() -> Endpoint + Send + Sync>,
    models: Option<Arc<dyn Models>>,
    jobs: Mutex<BTreeMap<String, OfJob>>,
}

/// What clients do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Endpoint {
    /// That are open now.
    pub connections: u64,
    /// Statements that went well.
    pub completed: u64,
    /// Statements that ended in an error.
    pub failed: u64,
}

#[derive(Clone, Debug, Default)]
struct OfJob {
    runs: BTreeMap<&'static str, u64>,
    seconds: f64,
    succeeded_at: Option<DateTime<Utc>>,
}

impl Metrics {
    pub fn new(
        warehouse: Warehouse,
        endpoint: impl Fn() -> Endpoint + Send + Sync + 'static,
        models: Option<Arc<dyn Models>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            warehouse,
            endpoint: Box::new(endpoint),
            models,
            jobs: Mutex::default(),
        })
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<String, OfJob>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was before this process.
    pub(crate) fn know(&self, job: &str, succeeded_at: Option<DateTime<Utc>>) {
        self.jobs().entry(job.to_owned()).or_default().succeeded_at = succeeded_at;
    }

    pub(crate) fn count(&self, run: &Run) {
        let mut jobs = self.jobs();
        let job = jobs.entry(run.job.clone()).or_default();
        *job.runs.entry(run.status.word()).or_default() += 1;
        job.seconds += seconds(run.finished_at - run.started_at);
        if run.status == Status::Ok {
            job.succeeded_at = Some(run.finished_at);
        }
    }

    /// All of them, as of `now`.
    pub async fn text(&self, now: DateTime<Utc>) -> String {
        let mut page = Page::default();
        page.family("rapport_build_info", "gauge", "The version that runs.");
        page.sample(
            "rapport_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))],
            1,
        );
        let Endpoint {
            connections,
            completed,
            failed,
        } = (self.endpoint)();
        page.family("rapport_connections", "gauge", "Connections that are open.");
        page.sample("rapport_connections", &[], connections);
        let name = "rapport_statements_total";
        page.family(name, "counter", "Statements by how they ended.");
        page.sample(name, &[("outcome", "completed")], completed);
        page.sample(name, &[("outcome", "failed")], failed);
        page.family("rapport_statements_running", "gauge", "Statements at work.");
        page.sample("rapport_statements_running", &[], self.warehouse.running());
        let jobs = self.jobs().clone();
        let name = "rapport_job_runs_total";
        page.family(name, "counter", "Runs of jobs by how they ended.");
        for (job, of) in &jobs {
            for (status, runs) in &of.runs {
                page.sample(name, &[("job", job), ("status", status)], runs);
            }
        }
        let name = "rapport_job_seconds_total";
        page.family(name, "counter", "Time that runs of jobs took.");
        for (job, of) in &jobs {
            page.sample(name, &[("job", job)], of.seconds);
        }
        let name = "rapport_job_last_success_age_seconds";
        page.family(
            name,
            "gauge",
            "Time since a job last went well, in whichever process.",
        );
        for (job, of) in &jobs {
            if let Some(at) = of.succeeded_at {
                page.sample(name, &[("job", job)], seconds(now - at));
            }
        }
        if let Some(models) = &self.models
            && let Ok(published) = models.published().await
        {
            let name = "rapport_model_scores_age_seconds";
            page.family(
                name,
                "gauge",
                "Age of the scores that a model has published.",
            );
            for (model, at) in published {
                page.sample(name, &[("model", &model)], seconds(now - at));
            }
        }
        page.0
    }
}

fn seconds(time: chrono::TimeDelta) -> f64 {
    time.as_seconds_f64().max(0.0)
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.0 += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.as_slice() {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(",")),
        };
        self.0 += &format!("{name}{labels} {value}\n");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_may_hold_anything() {
        let mut page = Page::default();
        page.sample("m", &[("job", "a\"b\\c\nd")], 1.5);
        page.sample("m", &[], 2);
        assert_eq!(page.0, "m{job=\"a\\\"b\\\\c\\nd\"} 1.5\nm 2\n");
    }
}
