//! What a server does by itself: compaction, check, vacuum and the refreshing of models, when their schedules say so.
//!
//! ```text
//! schedule.rs    a cron expression in a time zone → the next moment
//! timetable.rs   one job's moments: jitter, what was missed, what failed, clocks that jump
//! scheduler.rs   a task for each job, until the server ends
//! run.rs         one run: the lease, the time limit, how it ended
//! history.rs     system.job_runs          live.rs   system.jobs
//! job.rs         what a job is; one file for each: compact.rs, check.rs, vacuum.rs, refresh_model.rs
//! metrics.rs     numbers for Prometheus   http.rs   /metrics, /livez, /readyz
//! ```
//!
//! A job is an idempotent function: it looks at what is there and does what is left to do. So it may be killed at any
//! moment, and the next run is clean. Of all processes that share a lake, one at a time runs a job: see the leases of
//! `rapport_lake`.

mod check;
mod clock;
mod columns;
mod compact;
mod error;
mod history;
mod http;
mod job;
mod live;
mod metrics;
mod refresh_model;
mod run;
mod schedule;
mod scheduler;
mod timetable;
mod vacuum;

#[cfg(test)]
mod tests;

pub use check::Check;
pub use clock::{Clock, SystemClock};
pub use compact::{Compact, Tended, tend};
pub use error::{BoxError, Error, Result};
pub use http::serve as serve_http;
pub use job::{Context, Failure, Job, Progress, Summary};
pub use metrics::{Endpoint, Metrics};
pub use refresh_model::{Models, ScheduledModel};
pub use schedule::Schedule;
pub use scheduler::{Rules, Scheduler};
pub use vacuum::Vacuum;
