//! A model is fitted, judged and published anew.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{BoxError, Context, Failure, Job, Schedule, Summary};

/// What is needed of models; `rapport-models` has them.
#[async_trait]
pub trait Models: Send + Sync {
    /// Those that are to be refreshed by themselves.
    async fn scheduled(&self) -> Result<Vec<ScheduledModel>, BoxError>;

    /// The model's lease, whose name is that of the job, is held already, with the token of the context.
    async fn refresh(&self, model: &str, context: &Context) -> Result<Summary, Failure>;

    /// As of when each model's published scores are.
    async fn published(&self) -> Result<Vec<(String, DateTime<Utc>)>, BoxError>;
}

#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledModel {
    pub model: String,
    /// Name of the job, and of the lease that statements and commands take when they refresh the model.
    pub job: String,
    pub schedule: String,
    /// `None`: that of the settings.
    pub time_zone: Option<String>,
    pub max_run_time: Option<Duration>,
}

pub(crate) struct RefreshModel {
    models: Arc<dyn Models>,
    model: ScheduledModel,
    schedule: Schedule,
}

impl RefreshModel {
    pub(crate) fn new(models: Arc<dyn Models>, model: ScheduledModel, schedule: Schedule) -> Self {
        Self {
            models,
            model,
            schedule,
        }
    }
}

#[async_trait]
impl Job for RefreshModel {
    fn name(&self) -> String {
        self.model.job.clone()
    }

    fn kind(&self) -> &'static str {
        "refresh_model"
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn max_run_time(&self) -> Option<Duration> {
        self.model.max_run_time
    }

    async fn run(&self, context: &Context) -> Result<Summary, Failure> {
        self.models.refresh(&self.model.model, context).await
    }
}
