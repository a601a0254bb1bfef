//! The wall clock, which tests replace.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> DateTime<Utc>;

    /// May return early: what is waited for is a time of day, and the clock may be set meanwhile.
    async fn sleep(&self, time: Duration);
}

/// Looked at again so often, because a machine may sleep and a clock be set.
const GLANCE: Duration = Duration::from_secs(15);

pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time.min(GLANCE)).await;
    }
}
