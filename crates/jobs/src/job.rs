//! What a job is, what it is given, and how it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::chain;
use crate::{BoxError, Schedule};

/// An idempotent function with a schedule. Dropping the future stops it, and that must do no harm.
#[async_trait]
pub trait Job: Send + Sync {
    /// Of its lease too: nobody else holds it while this runs.
    fn name(&self) -> String;

    /// What jobs of its sort are called.
    fn kind(&self) -> &'static str;

    fn schedule(&self) -> &Schedule;

    /// `None`: as long as any job may.
    fn max_run_time(&self) -> Option<Duration> {
        None
    }

    async fn run(&self, context: &Context) -> Result<Summary, Failure>;
}

/// What a run is given.
#[derive(Clone, Debug)]
pub struct Context {
    pub progress: Progress,
    /// Of the job's lease, which is kept up while it runs.
    pub token: i64,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    pub rows: u64,
    pub message: String,
}

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// For the history.
    pub why: String,
    /// Whether it may go well when it is tried again.
    pub again: bool,
}

impl Failure {
    /// Of what may pass: a store that did not answer, a full disk.
    pub fn of(error: impl Into<BoxError>) -> Self {
        Self {
            why: chain(error.into().as_ref()),
            again: true,
        }
    }

    /// What stays so until somebody does something.
    pub fn lasting(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            again: false,
        }
    }
}

/// How far a run is; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Phase>>);

#[derive(Debug)]
struct Phase {
    name: String,
    done: u64,
    total: u64,
    since: Instant,
}

impl Default for Phase {
    fn default() -> Self {
        Self {
            name: String::new(),
            done: 0,
            total: 0,
            since: Instant::now(),
        }
    }
}

/// What a holder of a lease says of its progress with each beat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Said {
    pub phase: Option<String>,
    pub done: Option<u64>,
    pub total: Option<u64>,
    pub seconds_left: Option<u64>,
}

impl Progress {
    /// `total` is 0 where it is not known.
    pub fn set(&self, phase: &str, done: u64, total: u64) {
        let mut now = self.lock();
        if now.name != phase {
            *now = Phase {
                name: phase.to_owned(),
                ..Phase::default()
            };
        }
        (now.done, now.total) = (done, total);
    }

    pub(crate) fn said(&self) -> Said {
        let now = self.lock();
        if now.name.is_empty() {
            return Said::default();
        }
        let left = now.total.saturating_sub(now.done) as f64;
        let seconds_left = (now.done > 0 && now.total > 0)
            .then(|| now.since.elapsed().as_secs_f64() / now.done as f64 * left);
        Said {
            phase: Some(now.name.clone()),
            done: Some(now.done),
            total: (now.total > 0).then_some(now.total),
            seconds_left: seconds_left.map(|seconds| seconds.ceil() as u64),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    pub(crate) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and text become JSON")
    }

    /// Whatever else a holder says is not of interest here.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_was_written() {
        let progress = Progress::default();
        assert_eq!(progress.said(), Said::default());
        progress.set("fitting", 3, 0);
        let said = progress.said();
        assert_eq!(
            (said.done, said.total, said.seconds_left),
            (Some(3), None, None)
        );
        progress.set("scoring", 10, 10);
        let said = progress.said();
        assert_eq!(said.phase.as_deref(), Some("scoring"));
        assert_eq!(said.seconds_left, Some(0));
        assert_eq!(Said::read(&said.write()), said);
        assert_eq!(Said::read(b"anything else"), Said::default());
    }
}
